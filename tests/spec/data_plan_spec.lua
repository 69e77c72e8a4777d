--[[ Kept runs whose scripts have changed: pipelines, sources and sinks that are new, gone, in another order, written by more or by fewer.

Expected rows are those of runs that were never interrupted, over the part of the input that the pipeline has seen. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

local HEAD = [[
local tm = require 'tidemill'
local function to(name, o)
  o = o or {}
  o.path = tm.setting 'dir' .. '/' .. name
  return tm.sink.file(o)
end
]]
local SUMS = [[
local sums = tm.pipeline 'sums':event_time { field = 'ts', unit = 'ms' }:key_by 'k':window('w', tm.window.tumbling '1s')
  :aggregate { n = tm.agg.count(), s = tm.agg.sum 'v' }:to(to 'sums.ndjson')
]]
local COUNTS = [[
local counts = tm.pipeline 'counts':key_by 'k':running('r', { n = tm.agg.count() }, { unbounded = true })
  :filter(function(e) return e.n % 10 == 0 end):to(to 'counts.csv')
]]
local ODD = [[local odd = tm.pipeline 'odd':filter(function(e) return e.v % 2 == 1 end):select { 'v' }:to(to 'odd.ndjson')
]]

local function events(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ('{"ts":%d,"k":"k%d","v":%d}\n'):format(i * 10, i % 7, i) end
  return table.concat(list)
end

describe('a kept run with other scripts', function()
  after_each(r.stop_all)
  local dir, data, input

  before_each(function()
    dir, data = h.path 'out', h.path 'data'
    assert(os.execute('mkdir -p ' .. h.quote(dir)) == 0)
    input = r.fifo()
  end)

  local function command(script, ...)
    return { 'run', h.write(HEAD .. script, h.path 's.lua'), '--set', 'dir=' .. dir, '--data', data, ... }
  end

  --- Runs the script over the text, which comes from a pipe, and ends it by TERM when the file has grown to so much; what it said.
  local function part(script, text, path, size)
    local p = r.start(command(script), { stdin = input })
    local f = assert(io.open(input, 'w'))
    f:write(text)
    f:flush()
    r.wait_until('rows', function() return p:code() or r.size(path) >= size end)
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
    return p:err()
  end

  local function last(script, text, code, ...)
    local got = h.shell('cat ' .. h.write(text) .. ' | ' .. h.command(command(script, ...)))
    assert.equal(code or 0, got.code, got.err)
    return got.err
  end

  --- What a run of its own writes to the file.
  local function wanted(script, text, name)
    local own = h.path 'own'
    assert(os.execute('mkdir -p ' .. h.quote(own)) == 0)
    local got = h.run({ 'run', '--quiet', h.write(HEAD .. script, h.path 's.lua'), '--set', 'dir=' .. own }, text)
    assert.equal(0, got.code, got.err)
    return h.read(own .. '/' .. name)
  end

  local first, rest, all = events(1, 3333), events(3334, 6000), events(1, 6000)

  it('goes on with pipelines that stay, begins those that are new where the source is, in any order', function()
    local script = SUMS .. COUNTS .. 'return { sums, counts }'
    part(script, first, dir .. '/counts.csv', #wanted(script, first, 'counts.csv'))
    local told = last(ODD .. COUNTS .. SUMS .. 'return { odd, counts, sums }', rest)
    assert.truthy(told:find("the pipeline 'odd' is new: it begins", 1, true), told)
    assert.equal(wanted(script, all, 'sums.ndjson'), h.read(dir .. '/sums.ndjson'))
    assert.equal(wanted(script, all, 'counts.csv'), h.read(dir .. '/counts.csv'))
    assert.equal(wanted(ODD .. 'return odd', rest, 'odd.ndjson'), h.read(dir .. '/odd.ndjson'))
  end)

  it('says what is gone, and finds it again when it comes back', function()
    local script = SUMS .. COUNTS .. 'return { sums, counts }'
    part(script, events(1, 3333), dir .. '/counts.csv', #wanted(script, first, 'counts.csv'))
    local told = part(COUNTS .. 'return counts', events(3334, 5000), dir .. '/counts.csv', #wanted(script, events(1, 5000), 'counts.csv'))
    assert.truthy(told:find("what the pipeline 'sums' had is kept, but it is not in the scripts any more", 1, true), told)
    assert.truthy(told:find("what the sink '" .. dir .. "/sums.ndjson' had is kept, but it is not in the scripts any more", 1, true), told)
    last(script, events(5001, 6000))
    assert.equal(wanted(script, all, 'counts.csv'), h.read(dir .. '/counts.csv'))
  end)

  it('lets more or fewer pipelines write a sink, with rows that wait for it', function()
    -- a sink that is a pipe whose reader stands still: rows wait when the run is killed
    local one = [[local sink = tm.sink.file { path = tm.setting 'dir' .. '/pipe', name = 'pipe' }
      local a = tm.pipeline 'a':select { 'v' }:to(sink) ]]
    local two = one .. [[local b = tm.pipeline 'b':filter(function(e) return e.v > 1e6 end):select { 'v' }:to(sink) ]]
    for _, step in ipairs { { one .. 'return a', two .. 'return { a, b }' }, { two .. 'return { b, a }', one .. 'return a' } } do
      os.execute('rm -rf ' .. h.quote(data))
      os.execute('rm -f ' .. h.quote(dir .. '/pipe') .. '; mkfifo ' .. h.quote(dir .. '/pipe'))
      local text = h.write(events(1, 40000), h.path 'in.ndjson')
      local reader = h.path 'reader'
      assert(os.execute(('exec 9<>%s; sleep 100 <&9 & echo $! > %s'):format(h.quote(dir .. '/pipe'), h.quote(reader))) == 0)
      local p = r.start(command(step[1], '--epoch', '5ms', '--from', text))
      require('system').sleep(0.7)   -- long enough to fill the pipe and to keep what waits
      assert.is_nil(p:code(), p:err())
      local worker = p:worker()
      p:signal 'KILL'
      if worker then p:signal('KILL', worker) end
      p:wait()
      local got = h.path 'got'
      assert(os.execute(('cat < %s > %s & echo $! >> %s'):format(h.quote(dir .. '/pipe'), h.quote(got), h.quote(reader))) == 0)
      local run = h.run(command(step[2], '--from', text))
      assert.equal(0, run.code, run.err)
      os.execute('kill $(head -n1 ' .. h.quote(reader) .. ')')
      r.wait_until('rows', function() return h.read(got):find('{"v":40000}\n', 1, true) end)
      local seen = {}
      for row in h.read(got):gmatch '[^\n]+' do seen[row] = true end
      for i = 1, 40000 do assert.is_true(seen[('{"v":%d}'):format(i)] or false, 'row ' .. i) end
    end
  end)

  it('refuses what would lose rows, or is another thing of the same name', function()
    local text = h.write(events(1, 300000), h.path 'in.ndjson')
    local script = SUMS .. ODD .. 'return { sums, odd }'
    local p = r.start(command(script, '--from', text, '--epoch', '5ms', '--rate', '100000/s'))
    r.wait_until('rows', function() return r.size(dir .. '/odd.ndjson') > 30000 end)
    local worker = p:worker()
    p:signal 'KILL'
    if worker then p:signal('KILL', worker) end
    p:wait()
    local told = last(SUMS .. 'return sums', '', 6, '--from', text)
    assert.truthy(told:find("nothing writes the sink '" .. dir .. "/odd.ndjson' any more, but the run that is kept did not stop in order",
      1, true), told)
    told = last(script, '', 6, '--from', text, '--format', 'lines')
    assert.truthy(told:find("--max-event, a format or an option has changed", 1, true), told)
    local other = script:gsub("to 'odd.ndjson'", "to('o.csv', { name = tm.setting 'dir' .. '/odd.ndjson' })")
    told = last(other, '', 6, '--from', text)
    assert.truthy(told:find("odd.ndjson' is not the one that is kept: other files, or another format", 1, true), told)
    assert.equal(0, h.run(command(script, '--from', text)).code)
    assert.equal(wanted(script, h.read(text), 'odd.ndjson'), h.read(dir .. '/odd.ndjson'))
    assert.equal(wanted(script, h.read(text), 'sums.ndjson'), h.read(dir .. '/sums.ndjson'))
  end)
end)
