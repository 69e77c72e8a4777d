--[[ Runs that are kept and go on from a snapshot, with a journal behind it. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local sums = require 'spec.sums'

local script, events = sums.script, sums.events

describe('a run that goes on from a snapshot', function()
  after_each(r.stop_all)

  local path, want
  setup(function()
    path = h.write(script, h.path 's.lua')
    local out = h.path 'want'
    assert.equal(0, h.run({ 'run', '--quiet', path, '--set', 'out=' .. out }, events(1, 9000)).code)
    want = h.read(out)
  end)

  --- Feeds events [from, to] to a new process, waits until their rows are there and ends it.
  local function part(out, data, from, to)
    local fifo = r.fifo('fifo' .. from)
    local p = r.start({ 'run', '--quiet', path, '--set', 'out=' .. out, '--data', data, '--epoch', '5ms' }, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    f:write(events(from, to))
    f:flush()
    local rows = 7 * math.floor((to - 1) / 100)
    r.wait_until('rows up to event ' .. to, function() return #h.lines(h.read(out)) >= rows or p:code() end)
    assert.is_nil(p:code(), p:err())
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
  end

  it('has what it had', function()
    local out, data = h.path 'out', h.path 'data'
    part(out, data, 1, 2000)
    for i = 1, 3 do
      assert.truthy(h.run({ 'snapshot', 'make', data }).out:find('snapshot of epoch', 1, true))
      part(out, data, i * 2000 + 1, (i + 1) * 2000)
    end
    assert.equal(0, h.run({ 'snapshot', 'make', data }).code)
    local got = h.shell('cat ' .. h.write(events(8001, 9000)) .. ' | ' ..
      h.command { 'run', '--quiet', path, '--set', 'out=' .. out, '--data', data })
    assert.equal(0, got.code, got.err)
    h.compare(want, h.read(out), 'the rows of five processes')
    assert.truthy(h.run({ 'snapshot', 'verify', data }).out:find('whole', 1, true))
  end)
end)
