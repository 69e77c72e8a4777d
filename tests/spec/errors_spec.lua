--[[
errors_spec.lua - an event that fails: the dead letter, the report, the count, --strict; the rest goes on. Broken lines:
what they are is decided by Python's json, what their letter holds by Python's decoding with replacement.
]]

local h = require 'spec.helper'

local LETTER_KEYS = { 'at', 'code', 'event', 'pipeline', 'position', 'reason', 'step' }

--- Runs a chain with on_error; returns the letters, their text, and the result.
local function dead(chain, input, ...)
  local path = h.path 'dead'
  local script = h.write("local tm = require 'tidemill'\nreturn tm.pipeline 'p'\n" .. chain .. "\n:on_error(tm.sink.file '" .. path ..
    "')", h.path 'script.lua')
  local from = h.write(type(input) == 'table' and table.concat(input, '\n') .. '\n' or input, h.path 'in.ndjson')
  local r = h.run { 'run', '--quiet', '--from', from, script, ... }
  local text = h.read(path)
  return h.rows(text), text, r, script, from
end

describe('a dead letter', function()
  it('is one JSON object, its keys in byte order: at, code, event, key, pipeline, position, reason, step', function()
    local letters, text, r, script, from = dead(":key_by 'k'\n:map(function(e)\n  if e.n == 2 then error 'no twos' end\n  return e\nend)",
      { '{"n":1,"k":"a"}', '{"n": 2 ,"k":"b"}', '{"n":3,"k":"c"}' })
    assert.equal('{"n":1,"k":"a"}\n{"n":3,"k":"c"}\n', r.out)
    assert.same({ { at = script .. ':5', code = 'lua', event = { n = 2, k = 'b' }, key = 'b', pipeline = 'p', position = from .. ':2',
      reason = 'no twos', step = 'map#2' } }, letters)
    local order = {}
    for k in text:gsub('"event":%b{}', '"event":0'):gmatch '"(%w+)":' do order[#order + 1] = k end
    assert.same({ 'at', 'code', 'event', 'key', 'pipeline', 'position', 'reason', 'step' }, order)
    assert.truthy(text:find('"event":{"n": 2 ,"k":"b"}', 1, true))
  end)

  it('without a key has no key', function()
    local letters = dead(":filter(function(e) error 'x' end)", { '{}' })
    local keys = {}
    for k in pairs(letters[1]) do keys[#keys + 1] = k end
    table.sort(keys)
    assert.same(LETTER_KEYS, keys)
  end)

  it('holds the event as it entered the pipeline, whatever was written before', function()
    local letters, text = dead(":map(function(e) e.a = 9 e.o.b = 9 return e end):map(function(e) return { x = 1 } \z
      end):filter(function(e) error 'x' end)", { '{"a":1.0,"o":{ "b":2 }}' })
    assert.equal(1, #letters)
    assert.truthy(text:find('"event":{"a":1.0,"o":{ "b":2 }}', 1, true))
  end)

  it('names the step: its operator and number', function()
    local letters = dead(":filter(function(e) return e.n ~= 0 or error 'f' end):map(function(e) if e.n == 1 then error 'm' end \z
      return e end)" ..
      ":set { x = function(e) if e.n == 2 then error 's' end end }:schema { n = 'integer' }:key_by(function(e) if e.n ~= 4 then \z
        return 1 end end, 'x')" ..
      ":flat_map(function(e, emit) if e.n == 5 then error 'fm' end emit(e) end):map(function(e) if e.n == 6 then e.x = 0/0 end \z
        return e end):to(tm.sink.discard()):to(tm.sink.stdout())",
      { '{"n":0}', '{"n":1}', '{"n":2}', '{"n":3.5}', '{"n":4}', '{"n":5}', '{"n":6}', '{"n":7}', '[]' })
    local got = {}
    for i, l in ipairs(letters) do got[i] = l.step .. ' ' .. l.code end
    assert.same({ 'filter#1 lua', 'map#2 lua', 'set#3 lua', 'schema#4 type', 'key_by#5 missing-key', 'flat_map#6 lua',
      'to#9 not-writable', 'decode not-object' }, got)
  end)

  it('at is the place in the script: of the error, else of the step', function()
    local letters, _, _, script = dead(":map(function(e)\n  local x = e.a.b.c\n  return e\nend)", { '{"a":{}}' })
    assert.equal(script .. ':4', letters[1].at)
    letters, _, _, script = dead(":filter(function(e) return true end)\n\n:schema { a = 'string' }", { '{"a":1}' })
    assert.equal(script .. ':5', letters[1].at)
  end)

  it('reason is the message, whatever was raised', function()
    local raised = { ["error('text', 0)"] = 'text', ["error { message = 'in a table', code = 5 }"] = 'in a table',
      ["error { a = 1 }"] = '{"a":1}',
      ['error()'] = 'nil', ['error(5, 0)'] = '5', ['error(true)'] = 'true', ["error(setmetatable({}, { __tostring = function() \z
        return 'mine' end }))"] = 'mine',
      ['local x = nil + 1'] = 'attempt to perform arithmetic on a nil value' }
    for body, want in pairs(raised) do
      local letters = dead(':filter(function(e) ' .. body .. ' end)', { '{}' })
      assert.equal(want, letters[1].reason, body)
    end
  end)

  it('a script may catch errors itself', function()
    local letters, _, r = dead(":map(function(e) local ok, err = pcall(error, 'x', 0) local ok2, err2 = pcall(function() return \z
      e.big end) return { ok = ok, err = err, ok2 = ok2, big = err2.code or tostring(err2) } end)",
      { '{"big":12345678901234567890}' })
    assert.equal(0, #letters)
    assert.truthy(r.out:find('"err":"x","ok":false,"ok2":false', 1, true), r.out .. r.err)
  end)
end)

describe('a broken line', function()
  it('is one dead letter of each pipeline that reads the source', function()
    local one, two = h.path 'one', h.path 'two'
    local r = h.script(([[
      local tm = require 'tidemill'
      return { tm.pipeline 'a':on_error(tm.sink.file '%s'):set { a = 1 }, tm.pipeline 'b':on_error(tm.sink.file '%s'):set { b = 1 }
        }]]):format(one, two),
      { '{"n":1}', 'broken', '{"n":2}' })
    assert.same({ '{"n":1,"a":1}', '{"n":1,"b":1}', '{"n":2,"a":1}', '{"n":2,"b":1}' }, h.lines(r.out))
    for name, path in pairs { a = one, b = two } do
      local letters = h.rows(h.read(path))
      assert.equal(1, #letters)
      assert.same({ name, 'decode', 'syntax', 'broken', 'stdin:2' }, { letters[1].pipeline, letters[1].step, letters[1].code,
        letters[1].event, letters[1].position })
      assert.equal('', letters[1].at)
    end
  end)

  it('its text is kept, with invalid bytes as U+FFFD', function()
    local lines = { 'plain', '{"a":"\255x"}', '{"b":"\195("}', '\240\159\152', 'é\192\128', '{"c":"\237\160\128"}', '"\\u00"',
      '{"t":"\t"}', '\1\127' }
    local letters = dead('', lines)
    local r = h.shell('python3 -c ' .. h.quote([[
import sys, json
for line in sys.stdin.buffer.read().split(b'\n')[:-1]:
    print(json.dumps(line.decode('utf-8', errors='replace')))]]), table.concat(lines, '\n') .. '\n')
    local want = h.rows(r.out)
    assert.equal(#lines, #letters)
    for i, letter in ipairs(letters) do assert.equal(want[i], letter.event) end
  end)

  it("that is valid but no object fails: not an object", function()
    for _, line in ipairs { '[]', '5', '"x"', 'null', 'true', '[{}]' } do
      local letters = dead('', { line })
      assert.equal('not-object', letters[1].code)
      assert.truthy(letters[1].reason:find('not an object', 1, true))
    end
  end)

  it('whether a line is one never depends on what the script reads', function()
    local lines = { '{"a":1,"b":}', '{"a":1,"b":01}', '{"a":1,"b":"\\x"}', '{"a":1,"b":"\\ud800"}', '{"a":1,"b":[1,]}', '{"a":1}}',
      '{"a":1,}', "{'a':1}", '{"a":1,"b":nan}', '{"a":1 "b":2}', '{"a":1,"b":"\1"}', '{"a":+1}', '{"a":1,"b":tru}' }
    for _, chain in ipairs { '', ":filter(function(e) return true end)", ":filter(function(e) return e.a == 1 end)",
      ":filter(function(e) return e.b == nil end)", ":select { 'a' }" } do
      local letters, _, r = dead(chain, lines)
      assert.equal(#lines, #letters, chain)
      assert.equal('', r.out)
      for _, letter in ipairs(letters) do assert.equal('syntax', letter.code) end
    end
  end)

  it('whitespace-only lines are skipped, the last line needs no LF, a BOM at the start is dropped', function()
    local letters, _, r = dead('', '\239\187\191{"a":1}\n\n  \t\r\n {"a":2} \r\n{"a":3}')
    assert.equal(0, #letters)
    assert.equal('{"a":1}\n{"a":2}\n{"a":3}\n', r.out)
  end)

  it('depth at most 512', function()
    local function nested(n) return ('{"a":'):rep(n) .. '1' .. ('}'):rep(n) end
    local letters, _, r = dead('', { nested(512), nested(513) })
    assert.equal(nested(512) .. '\n', r.out)
    assert.equal(1, #letters)
    assert.equal('too-deep', letters[1].code)
  end)

  it('longer than --max-event fails and the next line is read', function()
    local letters, _, r = dead('', { '{"a":"' .. ('x'):rep(5000) .. '"}', '{"a":1}' }, '--max-event', '4K')
    assert.equal('{"a":1}\n', r.out)
    assert.equal('too-long', letters[1].code)
  end)
end)

describe('a report', function()
  it('tells once, with place in the script, position in the input and the event itself; then counts', function()
    local lines = {}
    for i = 1, 2000 do lines[i] = '{"n":' .. i .. '}' end
    local r = h.run({ 'run', '-e', "stream:map(function(e) if e.n > 5 then error('too large: ' .. e.n) end return e end)" },
      table.concat(lines, '\n') .. '\n')
    assert.equal(0, r.code)
    local _, n = r.err:gsub('too large', '')
    assert.truthy(n == 2, r.err)   -- the report, and the first example in the summary
    assert.truthy(r.err:find('-e:1: too large: 6 [lua]', 1, true))
    assert.truthy(r.err:find('event stdin:6', 1, true))
    assert.truthy(r.err:find('{"n":6}', 1, true))
    assert.truthy(r.err:find('1,995', 1, true) or r.err:find('1995', 1, true))
  end)

  it('each root cause is told: other places and other pipelines', function()
    local r = h.script([[
      local tm = require 'tidemill'
      local function fail(e)
        if e.n == 1 then error 'one' end
        if e.n == 2 then error 'two' end
        return e
      end
      return { tm.pipeline 'a':map(fail), tm.pipeline 'b':map(fail) }]], { '{"n":1}', '{"n":2}', '{"n":1}', '{"n":2}' })
    local _, n = r.err:gsub('warning', '')
    assert.equal(4, n)
  end)

  it('shows the way through the script: a traceback of user lines only', function()
    local r = h.script("local tm = require 'tidemill'\nlocal function inner(e)\n  error 'deep'\nend\nlocal function outer(e)\n  \z
      inner(e)\n  return e\nend\nreturn tm.pipeline 'p':map(function(e)\n  outer(e)\n  return e\nend)", { '{}' })
    assert.truthy(r.err:find('script.lua:3: deep', 1, true))
    for _, line in ipairs { 3, 6, 10 } do assert.truthy(r.err:find('script.lua:' .. line .. ': in ', 1, true), r.err) end
    assert.falsy(r.err:find('tidemill.view', 1, true))
    assert.falsy(r.err:find('(pipeline', 1, true))
  end)
end)

describe('--strict', function()
  it('an event that failed makes the exit code 1, and the rest goes on all the same', function()
    for code, input in pairs { ["stream:map(function(e) if e.n == 1 then error 'x' end return e end)"] = '{"n":1}',
      ['stream:filter(function(e) return true end)'] = 'broken' } do
      local out, r = h.e(code, { input, '{"n":2}' }, '--strict')
      assert.equal('{"n":2}\n', out)
      assert.equal(1, r.code)
      r = select(2, h.e(code, { input, '{"n":2}' }))
      assert.equal(0, r.code)
      r = select(2, h.e(code, { '{"n":2}' }, '--strict'))
      assert.equal(0, r.code)
    end
  end)
end)

describe('bounds of one event', function()
  it('--max-rows: beyond it the event fails and its rows are undone', function()
    local out, r = h.e('stream:flat_map(function(e, emit) for i = 1, e.n do emit { i = i } end end)', { '{"n":3}', '{"n":11}',
      '{"n":10}' }, '--max-rows', '10')
    assert.equal(13, #h.lines(out))
    assert.truthy(r.err:find('one event made more than 10 rows (--max-rows) [too-many-rows]', 1, true))
  end)
  it('16 MiB: likewise', function()
    local out, r = h.e([[local big = ('x'):rep(1024 * 1024) return stream:flat_map(function(e, emit) for i = 1, e.n do emit { s =
      big } end end):map(function(e) return { l = #e.s } end)]],
      { '{"n":17}', '{"n":2}' })
    assert.equal('{"l":1048576}\n{"l":1048576}\n', out)
    assert.truthy(r.err:find('row-too-large', 1, true))
  end)
  it('an endless function fails the event at the deadline', function()
    local out, r = h.e('stream:map(function(e) while e.n == 1 do end return e end)', { '{"n":1}', '{"n":2}' }, '--deadline', '100ms')
    assert.equal('{"n":2}\n', out)
    assert.truthy(r.err:find('[deadline]', 1, true))
  end)
end)
