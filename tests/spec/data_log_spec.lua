--[[ Rows of an event log that a kept run writes: readers of other processes are given them when an epoch that covers them is durable, soon,
and never rows that a kill takes back. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local system = require 'system'

local script = "return require('tidemill').pipeline 'p':to(require('tidemill').sink.log 'out')"

local function lines(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ('{"n":%d,"pad":"%s"}\n'):format(i, ('x'):rep(i % 50)) end
  return table.concat(list)
end

local function cat(data) return h.run({ 'log', 'cat', 'out', '--data', data }).out end

local function kill_all(p)
  local worker = p:worker()
  p:signal 'KILL'
  if worker then p:signal('KILL', worker) end
  p:wait()
  system.sleep(0.02)   -- a worker that was just being started ends with its parent
end

describe('the rows of a log of a run that is kept', function()
  after_each(r.stop_all)

  local path
  setup(function() path = h.write(script, h.path 's.lua') end)

  it('come soon, however long epochs may be, and not before their epoch', function()
    local data, fifo = h.path 'data', r.fifo()
    local p = r.start({ 'run', '--quiet', path, '--data', data, '--epoch', '1h' }, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    for i = 1, 5 do
      f:write(lines(i, i))
      f:flush()
      r.wait_until('row ' .. i, function() return cat(data) == lines(1, i) end)
    end
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
    -- the same run goes on, and nobody waits before an hour is over
    fifo = r.fifo 'fifo2'
    p = r.start({ 'run', '--quiet', path, '--data', data, '--epoch', '1h', '--epoch-min', '1h' }, { stdin = fifo })
    f = assert(io.open(fifo, 'w'))
    local bytes = r.size(data .. '/logs/out/00000000000000000001.events')
    f:write(lines(6, 9))
    f:flush()
    r.wait_until('rows in the file', function() return r.size(data .. '/logs/out/00000000000000000001.events') > bytes end)
    assert.equal(lines(1, 5), cat(data))
    local listed = h.decode(h.run({ 'log', 'ls', '--data', data, '--json' }).out)
    assert.equal(6, listed[1]['end'])
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
    assert.equal(lines(1, 9), cat(data))
    -- a run that is not kept writes the same log: what it appends is there at once
    fifo = r.fifo 'fifo3'
    p = r.start({ 'run', '--quiet', path, '--logs', data }, { stdin = fifo })
    f = assert(io.open(fifo, 'w'))
    f:write(lines(10, 10))
    f:flush()
    r.wait_until('row 10', function() return cat(data) == lines(1, 10) end)
    f:close()
    assert.equal(0, p:wait(), p:err())
  end)

  it('are all there when the run has ended, though it was killed before it told of its last epoch', function()
    local data, fifo = h.path 'data', r.fifo()
    local mark = data .. '/logs/out/durable'
    local p = r.start({ 'run', '--quiet', path, '--data', data }, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    f:write(lines(1, 3))
    f:flush()
    r.wait_until('rows', function() return cat(data) == lines(1, 3) end)
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
    local older = h.read(mark)
    local args = { 'run', '--quiet', path, '--data', data }
    assert.equal(0, h.shell('cat ' .. h.write(lines(4, 9)) .. ' | ' .. h.command(args)).code)
    assert.equal(lines(1, 9), cat(data))
    for _, text in ipairs { older, 'no mark' } do   -- as it was before the last epoch; and a damaged one, which is told
      h.write(text, mark)
      local got = h.run { 'log', 'cat', 'out', '--data', data }
      assert.equal(text == older and lines(1, 3) or '', got.out)
      assert.equal(text ~= older, got.err:find('is damaged; the run that writes this log makes it anew', 1, true) ~= nil)
      assert.truthy(h.run(args).err:find('has come to the end of its input', 1, true))
      assert.equal(lines(1, 9), cat(data))
    end
    -- nobody's mark: it stays away
    os.remove(mark)
    assert.equal(0, h.run(args).code)
    assert.equal('', h.read(mark))
    assert.equal(lines(1, 9), cat(data))
  end)

  it('that a follower has had are never taken back, however often the run is killed', function()
    math.randomseed(7)
    local data, input, seen = h.path 'data', h.write(lines(1, 40000), h.path 'in.ndjson'), h.path 'seen'
    local args = { 'run', '--quiet', path, '--from', input, '--data', data, '--rate', '20000/s' }
    local follower = r.start({ 'log', 'cat', 'out', '--follow', '--data', data, '--to', '40000' }, { stdout = seen })
    local kills = 0
    for _ = 1, 30 do
      local p = r.start(args)
      local last = system.monotime() + 0.03 + math.random() * 0.06
      while system.monotime() < last and not p:code() do system.sleep(0.001) end
      if p:code() then break end
      kill_all(p)
      kills = kills + 1
    end
    local p = r.start(args)
    assert.equal(0, p:wait(60), p:err())
    assert.equal(0, follower:wait(60), follower:err())
    assert.is_true(kills >= 10, kills .. ' kills')
    h.compare(lines(1, 40000), h.read(seen), 'after ' .. kills .. ' kills, the follower')
    h.compare(lines(1, 40000), cat(data), 'after ' .. kills .. ' kills, the log')
  end)
end)
