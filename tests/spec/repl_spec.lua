--[[
repl_spec.lua - `tidemill repl`, driven through a pipe: events, expressions, commands, and what is said of each that is wrong.
]]

local h = require 'spec.helper'

--- The output of a session.
local function repl(lines, ...)
  return h.run({ 'repl', ... }, table.concat(lines, '\n') .. '\n')
end

describe('tidemill repl', function()
  it('computes expressions, over several lines too, and keeps globals', function()
    local r = repl { '1 + 1', "'a'", 'x = 5', 'for i = 1, 3 do', '  x = x + i', 'end', 'x, x > 3', 'nil', '', 'tm.geo.km(0, 0, 0, 0)',
      '{ b = 1, a = { 1, 2 } }' }
    assert.equal(0, r.code, r.err)
    assert.equal('2\n"a"\n11\ntrue\nnil\n0\n{"a":[1,2],"b":1}\n', r.out)
  end)

  it('gives events to a stream, as JSON and as tables, and prints rows as they are', function()
    local r = repl { 'stream:filter(function(e) return e.n > 1 end)', '{"n":1}', '{"n":2.50,"s":"ü"}', "{ n = 3, s = 'b' }", 'e.s',
      '#rows' }
    assert.equal(0, r.code, r.err)
    assert.equal('{"n":2.50,"s":"ü"}\n{"n":3,"s":"b"}\n"b"\n1\n', r.out)
  end)

  it('loads a script, names its pipelines, and moves the watermark', function()
    local dir = h.folder()
    local script = h.write([[local tm = require 'tidemill'
local s = tm.pipeline 'clicks':event_time { field = 'ts' }
return { s:filter(function(e) return e.n == 2 end),
  tm.pipeline 'sums':from(s):event_time { field = 'ts' }:key_by 'k':window('w', tm.window.tumbling '1m')
    :aggregate { n = tm.agg.sum 'n' }:to(tm.sink.file 'sums.ndjson') }]], dir .. '/s.lua')
    local r = repl({ '{"ts":0,"k":"a","n":1}', '{"ts":59999,"k":"a","n":2}', '.watermark 59999', '{"ts":70000,"k":"b","n":5}',
      '.end' }, script)
    assert.equal(0, r.code, r.err)
    assert.equal('clicks: {"ts":59999,"k":"a","n":2}\nsums: {"k":"a","n":3,"window_end":60000,"window_start":0}\n' ..
      'sums: {"k":"b","n":5,"window_end":120000,"window_start":60000}\n', r.out)
    assert.equal(0, #h.lines(h.shell('ls ' .. dir .. ' | grep sums').out))   -- no sink of a script is opened
  end)

  it('tells decisions of a pack, features, and why a rule did or did not match', function()
    local r = repl({ '{"id":"1","ts":0,"card":"a","amount":2500,"country":"DE"}', '.rules', '.rules all', '.features spent', '.rule large',
      'f.tx_1m' }, 'scripts/packs/limits')
    assert.equal(0, r.code, r.err)
    assert.equal(table.concat({ 'review 50', '  large                  50  a payment of 2500',
      'matched    large                enforce', 'unknown    unusual              enforce',
      'no         burst                enforce', 'matched    large                enforce', 'no         risky_country        enforce',
      'unknown    unusual              enforce', '  spent_24h                  2500',
      'large: matched', '  p.amount = 2000', '  tx.amount = 2500', '1', '' }, '\n'), r.out)
  end)

  it('reads the files of a pack anew', function()
    local dir = h.folder()
    h.shell('cp -r scripts/packs/limits ' .. dir .. '/p')
    local rule = h.read(dir .. '/p/rules/large.lua')
    local event = '{"id":"1","ts":0,"card":"a","amount":2500,"country":"DE"}'
    local script = h.write(('.load %s/p\n%s\n'):format(dir, event), dir .. '/first')
    h.write((rule:gsub('default = 2000', 'default = 3000')), dir .. '/large.lua')
    -- a pipe that changes the file between two lines
    local r = h.shell(('(cat %s; sleep 1; cp %s/large.lua %s/p/rules/large.lua; echo .load; echo %s) | %s repl'):format(script, dir, dir,
      h.quote(event), h.quote(h.bin)))
    assert.equal('review 50\n  large                  50  a payment of 2500\napprove 0\n', r.out)
  end)

  it('says what is wrong, goes on, and ends with 1', function()
    local cases = {
      { '{"n":1}', 'nothing is loaded that takes an event: .load PATH, or a stream' },
      { '.lod x', "there is no command '.lod' (did you mean 'load'?)" },
      { '.load /nowhere.lua', '/nowhere.lua: No such file or directory' },
      { '.rules', 'no rule pack is loaded: .load FOLDER' },
      { 'io.open("x")', "line:1: attempt to index global 'io' (a nil value)" },
      { "require 'x'", "require takes 'tidemill' here" },
      { 'while true do end', 'an endless loop' },
      { 'stream:fliter(1)', "a stream has no operator 'fliter' (did you mean 'filter'?)" },
      { '.watermark soon', '.watermark takes milliseconds' },
      { '1 +* 2', 'unexpected symbol' },
      { '(1 +', 'the input ended within an expression: (1 +' },
    }
    for _, case in ipairs(cases) do
      local r = repl { case[1], case[1]:sub(1, 1) ~= '(' and '7 * 6' or nil }
      assert.equal(1, r.code, case[1])
      assert.truthy(r.err:find(case[2], 1, true), case[1] .. ': ' .. r.err)
      if case[1]:sub(1, 1) ~= '(' then assert.equal('42\n', r.out) end
    end
  end)

  it('tells dead letters, and goes on behind them', function()
    local r = repl { 'stream:map(function(e) e.m = e.n + 1 return e end)', '{"n":"x"}', '{"n":1}', '{"n":' }
    assert.equal('{"n":1,"m":2}\n', r.out)
    assert.truthy(r.err:find('dead letter: attempt to perform arithmetic', 1, true), r.err)
    assert.equal(1, r.code)
  end)

  it('refuses words it does not know', function()
    local r = h.run { 'repl', '--json' }
    assert.equal(2, r.code)
    assert.truthy(r.err:find('repl has none, it takes a script or the folder of a pack', 1, true))
    assert.equal(2, h.run({ 'repl', 'a.lua', 'b.lua' }).code)
    assert.equal(3, h.run({ 'repl', '/nowhere.lua' }, '').code)
  end)

  it('has help', function()
    assert.truthy(h.run({ 'help', 'repl' }).out:find('repl [SCRIPT | PACK]', 1, true))
    local r = repl { '.help' }
    for name in ('load rules rule features watermark end advance help quit'):gmatch '%a+' do
      assert.truthy(r.out:find('.' .. name, 1, true), name)
    end
    assert.equal('1\n', repl({ '1', '.quit', '2' }).out)
  end)
end)
