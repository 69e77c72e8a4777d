--[[
logs_spec.lua - event logs from the command line: written by tm.sink.log, read back by tm.source.log and `tidemill log`, from any place,
while they are written, rotated, packed and given up, and with workers killed in between.

What is expected is the input itself: lines that were put in must come out, each once and in order, whatever happened on the way.
]]

local h = require 'spec.helper'
local r = require 'spec.running'
local kill = require 'spec.kill'

local function data() return h.path 'data' end

--- n lines {"n":i,...} whose ts grows by 10 ms, and lies up to 200 ms off on the way.
local function lines_of(n, from)
  local list = {}
  for i = from or 1, n do
    list[#list + 1] = ('{"n":%d,"ts":%d,"pad":"%s"}\n'):format(i, 1700000000000 + i * 10 + i * 7919 % 400 - 200, ('p'):rep(i * 31 % 60))
  end
  return list
end

local function write(dir, text, options, ...)
  local sink = "tm.sink.log { name = 'a'" .. (options or '') .. ' }'
  local got = h.run({ 'run', '--logs', dir, '-e', "stream:event_time { field = 'ts' }:to(" .. sink .. ')', ... }, text)
  assert.equal(0, got.code, got.err)
end

--- Events of the log, read by a pipeline; options: text behind the name.
local function read(dir, options)
  local got = h.run { 'run', '--quiet', '--logs', dir, '-e', "stream:from(tm.source.log { name = 'a'" .. options .. ' })' }
  assert.equal(0, got.code, got.err)
  return got.out
end

local function cat(dir, ...)
  local got = h.run { 'log', 'cat', 'a', '--data', dir, ... }
  assert.equal(0, got.code, got.err)
  return got.out
end

local function files(dir, ending) return tonumber(h.sh('ls %s/logs/a | grep -c "%s$" || true', dir, ending)) end

describe('an event log', function()
  after_each(r.stop_all)

  it('gives what was written, by a pipeline and by log cat, from sequences and times', function()
    local dir, list = data(), lines_of(3000)
    write(dir, table.concat(list), ", segment = '32K'")
    assert.is_true(files(dir, 'packed') > 3, 'segments are packed')
    assert.equal(1, files(dir, 'events'))
    assert.equal(table.concat(list), read(dir, ', follow = false'))
    assert.equal(table.concat(list), cat(dir))
    for _, case in ipairs { { 1, 1 }, { 2990, 4000 }, { 1500, 1500 }, { 700, 2300 } } do
      local want = table.concat(list, '', case[1], math.min(case[2], #list))
      assert.equal(want, read(dir, (', from = %d, to = %d'):format(case[1], case[2])))
      assert.equal(want, cat(dir, '--from', case[1], '--to', case[2]))
    end
    -- by time: against all events whose own time lies there
    for _, case in ipairs { { 0, 5000 }, { 7000, 7100 }, { 12345, 22222 }, { 29000, 99999 } } do
      local want = {}
      for _, line in ipairs(list) do
        local ts = tonumber(line:match '"ts":(%d+)') - 1700000000000
        if ts >= case[1] and ts <= case[2] then want[#want + 1] = line end
      end
      local from, to = 1700000000000 + case[1], 1700000000000 + case[2]
      assert.is_true(#want > 0)
      assert.equal(table.concat(want), cat(dir, '--from', '@' .. from, '--to', '@' .. to))
      assert.equal(table.concat(want), read(dir, (", from = '@%d', to = '@%d'"):format(from, to)))
    end
  end)

  it('goes on where the last run ended, and numbers its events', function()
    local dir = data()
    write(dir, '{"n":1,"ts":1}\n{"n":2,"ts":2}\n')
    write(dir, '{"n":3,"ts":3}\n')
    assert.equal('{"sequence":1,"time":1,"event":{"n":1,"ts":1}}\n{"sequence":2,"time":2,"event":{"n":2,"ts":2}}\n' ..
      '{"sequence":3,"time":3,"event":{"n":3,"ts":3}}\n', cat(dir, '--json'))
    local got = h.run { 'run', '--quiet', '--logs', dir, '-e',
      "stream:from(tm.source.log { name = 'a', from = 2, follow = false })" ..
        ':map(function(e) return { at = tm.meta(e).position, n = e.n } end)' }
    assert.equal('{"at":2,"n":2}\n{"at":3,"n":3}\n', got.out)
    local listed = h.decode(h.run({ 'log', 'ls', '--data', dir, '--json' }).out)
    assert.equal(1, #listed)
    assert.equal('a', listed[1].name)
    assert.equal(1, listed[1].first)
    assert.equal(4, listed[1]['end'])
  end)

  it('keeps rows of windows and selected fields with their event time, others with the time of writing', function()
    local dir, before = data(), os.time() * 1000
    local script = [[local tm = require 'tidemill'
      local s = tm.pipeline 's':event_time { field = 'ts' }
      return { s:select { 'n' }:to(tm.sink.log 'a'),
        s:window('w', tm.window.tumbling '1s'):aggregate { n = tm.agg.count() }:to(tm.sink.log 'w'),
        tm.pipeline 'plain':to(tm.sink.log 'plain') }]]
    local got = h.script(script, '{"n":1,"ts":1500}\n{"n":2,"ts":1600}\n{"n":3,"ts":2700}\n', '--logs', dir)
    assert.equal(0, got.code, got.err)
    assert.equal('{"sequence":1,"time":1500,"event":{"n":1}}\n{"sequence":2,"time":1600,"event":{"n":2}}\n' ..
      '{"sequence":3,"time":2700,"event":{"n":3}}\n', cat(dir, '--json'))
    local w = h.rows(h.run({ 'log', 'cat', 'w', '--json', '--data', dir }).out)
    assert.same({ 1999, 2999 }, { w[1].time, w[2].time })
    assert.equal(2, w[1].event.n)
    local plain = h.rows(h.run({ 'log', 'cat', 'plain', '--json', '--data', dir }).out)
    assert.is_true(plain[1].time >= before and plain[1].time < before + 600000)
  end)

  it('is read by others while it is written, rotated, packed', function()
    local dir, list = data(), lines_of(20000)
    local fifo = r.fifo()
    local follower = r.start { 'log', 'cat', 'a', '--follow', '--data', dir, '--to', '20000' }
    local reader = r.start { 'run', '--quiet', '--logs', dir, '-e', "stream:from(tm.source.log { name = 'a', from = 5 })" }
    local writer = r.start({ 'run', '--quiet', '--logs', dir, '-e', "stream:to(tm.sink.log { name = 'a', segment = '64K' })" },
      { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    for i, line in ipairs(list) do
      f:write(line)
      if i % 4000 == 0 then
        f:flush()
        r.wait_until('what was written is read', function() return reader:out():find(('{"n":%d,'):format(i - 100), 1, true) end)
      end
    end
    f:close()
    assert.equal(0, writer:wait())
    assert.equal(0, follower:wait())
    assert.equal(table.concat(list), follower:out())
    local want = table.concat(list, '', 5)
    r.wait_until('all is read', function() return #reader:out() >= #want end)
    assert.equal(want, reader:out())
    reader:signal 'TERM'
    assert.equal(0, reader:wait())
    assert.is_true(files(dir, 'packed') > 5)
    assert.equal(table.concat(list), cat(dir))
  end)

  it('carries rows from one pipeline of a run to another, and takes those of several', function()
    local dir, list = data(), lines_of(500)
    local p = r.start({ 'run', '--quiet', '--logs', dir, h.write([[local tm = require 'tidemill'
      return { tm.pipeline 'a':to(tm.sink.log 'a'), tm.pipeline 'b':filter(function(e) return e.n % 2 == 0 end):to(tm.sink.log 'a'),
        tm.pipeline 'c':from(tm.source.log 'a'):select { 'n' } }]], h.path 'script.lua') }, { stdin = h.write(table.concat(list)) })
    local want = {}
    for i = 1, 500 do
      want[#want + 1] = ('{"n":%d}\n'):format(i)
      if i % 2 == 0 then want[#want + 1] = want[#want] end
    end
    want = table.concat(want)
    r.wait_until('all rows', function() return #p:out() >= #want end)
    assert.equal(want, p:out())
    p:signal 'TERM'
    assert.equal(0, p:wait())
  end)

  it('has each row once, whenever its workers are killed', function()
    local dir, list = data(), lines_of(60000)
    local file = h.write(table.concat(list))
    local out = h.path 'out'
    local p = r.start({ 'run', '--quiet', '--logs', dir, '--rate', '40000/s', h.write([[local tm = require 'tidemill'
      return { tm.pipeline 'a':to(tm.sink.log { name = 'a', segment = '256K' }), tm.pipeline 'b':from(tm.source.log 'a') }]],
      h.path 'script.lua'), '--from', file }, { stdout = out })
    local want = table.concat(list)
    local kills = kill.often(p, function() return r.size(out) end, 20, function()
      r.wait_until('all rows', function() return r.size(out) >= #want end, 60)
      p:signal 'TERM'
    end)
    assert.is_true(kills >= 15, kills .. ' kills')
    assert.equal(want, cat(dir))
    assert.equal(want, h.read(out))
    assert.equal(0, h.run({ 'log', 'verify', '--data', dir }).code)
  end)

  it('gives up old segments by size, and says what a reader missed', function()
    local dir, list = data(), lines_of(20000)
    write(dir, table.concat(list), ", segment = '64K', retention = { bytes = '200K' }")
    local x = h.decode(h.run({ 'log', 'ls', '--data', dir, '--json' }).out)[1]
    assert.is_true(x.first > 1 and x.bytes <= 200 * 1024 + 64 * 1024, x.first .. ' ' .. x.bytes)
    assert.equal(20001, x['end'])
    assert.equal(table.concat(list, '', x.first), cat(dir))
    local got = h.run { 'run', '--quiet', '--logs', dir, '-e', "stream:from(tm.source.log { name = 'a', from = 1, follow = false })" }
    assert.equal(table.concat(list, '', x.first), got.out)
    local told = ('log a: %d records were deleted by its retention before they were read'):format(x.first - 1)
    assert.truthy(got.err:find(told, 1, true), got.err)
  end)

  it('gives up old segments by age', function()
    local dir = data()
    write(dir, table.concat(lines_of(5000)), ", segment = '64K'")
    local before = files(dir, 'packed')
    assert.is_true(before > 2)
    write(dir, '{"n":0,"ts":1}\n', ", segment = '64K', retention = { age = '1ms' }")
    assert.equal(0, files(dir, 'packed'))
    assert.truthy(cat(dir):find('{"n":0,"ts":1}\n', 1, true))
  end)

  it('waits for a disk that is full, and goes on by itself', function()
    local dir, list = data(), lines_of(3000)
    h.sh('mkdir -p %s/logs', dir)
    local mounted = h.shell(('mount -t tmpfs -o size=128k tmpfs %s/logs'):format(dir)).code == 0
    if not mounted then return pending 'no file system can be mounted here' end
    local p = r.start({ 'run', '--quiet', '--logs', dir, '-e', "stream:to(tm.sink.log { name = 'a', segment = '1M' })" },
      { stdin = h.write(table.concat(list)) })
    r.wait_until('the disk is full', function() return p:err():find('cannot write: No space left on device; reading pauses', 1, true) end)
    h.sh('mount -o remount,size=8m %s/logs', dir)
    assert.equal(0, p:wait())
    local all = cat(dir)
    h.sh('umount %s/logs', dir)
    assert.equal(table.concat(list), all)
  end)
end)

describe('mistakes with logs', function()
  local function refused(code, what, ...)
    local got = h.run { 'run', '-e', code, ... }
    assert.truthy(got.code == 2 or got.code == 3, got.code .. got.err)
    assert.truthy(got.err:find(what, 1, true), got.err)
  end

  it('are told', function()
    local dir = data()
    refused("stream:to(tm.sink.log 'a')", '-e:1: log a is kept in a data folder: give --data DIR or --logs DIR')
    refused("stream:to(tm.sink.log 'a/b')", "'a/b' is no name of a log")
    refused('stream:to(tm.sink.log {})', "tm.sink.log takes a name: tm.sink.log 'payments'")
    refused("stream:to(tm.sink.log { name = 'a', retention = { size = 1 } })", "has no option 'size'")
    refused("stream:to(tm.sink.log { name = 'a', segment = '1K' })", "segment is a text such as '64M'")
    refused("stream:to(tm.sink.log { name = 'a', retention = { age = 7 } })", "write '7s' for seconds")
    refused("stream:from(tm.source.log { name = 'a', from = 'yesterday' })", "'yesterday' is no place in a log: write start, end")
    refused("stream:from(tm.source.log { name = 'a', follow = true, to = '2026-01-01' })",
      'a log that is followed has no end by time')
    refused("stream:from(tm.source.log { name = 'a', follow = false })", "there is no such log", '--logs', dir)
    local two = [[local tm = require 'tidemill'
      return { tm.pipeline 'a':to(tm.sink.log 'a'), tm.pipeline 'b':to(tm.sink.log { name = 'a', segment = '1M' }) }]]
    assert.truthy(h.script(two, '', '--logs', dir).err:find('is written with two different values of segment or retention', 1, true))
    assert.truthy(h.run({ 'log' }).err:find('log takes ls, cat or verify', 1, true))
    assert.truthy(h.run({ 'log', 'lss' }).err:find("did you mean 'log ls'", 1, true))
    assert.truthy(h.run({ 'log', 'cat', 'a', '--data', dir, '--from', 'x' }).err:find("--from: 'x' is no place in a log", 1, true))
    assert.truthy(h.run({ 'log', 'cat', 'a' }).err:find('which data folder? Give --data DIR', 1, true))
  end)

  it('a log has one writer', function()
    local dir, fifo = data(), r.fifo()
    local p = r.start({ 'run', '--quiet', '--logs', dir, '-e', "stream:to(tm.sink.log 'a')" }, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    f:write '{"n":1}\n'
    f:flush()
    r.wait_until('the first row', function() return h.run({ 'log', 'cat', 'a', '--data', dir }).out ~= '' end)
    local got = h.run({ 'run', '--logs', dir, '-e', "stream:to(tm.sink.log 'a')" }, '{"n":2}\n')
    assert.equal(1, got.code)
    assert.truthy(got.err:find('is written by another process, ' .. p:worker(), 1, true), got.err)
    f:close()
    assert.equal(0, p:wait())
  end)
end)

describe('damage', function()
  it('is found by verify and told with its segment and byte; a torn end is none', function()
    local dir, list = data(), lines_of(4000)
    write(dir, table.concat(list), ", segment = '64K'")
    assert.truthy(h.run({ 'log', 'verify', '--data', dir }).out:find('a: ok: 4000 records', 1, true))
    local newest = h.sh('ls %s/logs/a/*.events | tail -n 1', dir):gsub('\n', '')
    local torn = h.read(newest)
    h.write(torn .. 'half a block', newest)
    local ok = h.run { 'log', 'verify', 'a', '--data', dir }
    assert.equal(0, ok.code)
    assert.truthy(ok.err:find('the last 12 bytes of segment', 1, true), ok.err)
    local oldest = h.sh('ls %s/logs/a/*.packed | head -n 1', dir):gsub('\n', '')
    local text = h.read(oldest)
    h.write(text:sub(1, 999) .. string.char((text:byte(1000) + 1) % 256) .. text:sub(1001), oldest)
    local bad = h.run { 'log', 'verify', 'a', '--data', dir }
    assert.equal(1, bad.code)
    assert.truthy(bad.out:find('a: damaged: .*segment 00000000000000000001.packed is damaged at byte 64'), bad.out)
    local got = h.run { 'log', 'cat', 'a', '--data', dir }
    assert.equal(1, got.code)
    assert.truthy(table.concat(list):sub(1, #got.out) == got.out, 'no other event')
    local run = h.run { 'run', '--quiet', '--logs', dir, '-e', "stream:from(tm.source.log { name = 'a', follow = false })" }
    assert.equal(1, run.code)
    assert.truthy(run.err:find('is damaged at byte', 1, true), run.err)
  end)
end)
