--[[
operators_random_spec.lua - event_time, dedup, top, running, sample, throttle and suppress in random chains over random events, against a
slow reference in Python (operators_reference.py): keys of all types and missing ones, disorder in time and ties, branches, links,
states that are full, events that fail behind the step; compiled or not, fed in pieces.
]]

local h = require 'spec.helper'

local function generate(seed, cases, events, more)
  local dir = h.folder()
  local r = h.shell(("python3 tests/spec/operators_reference.py %d %d %s '%s' %s"):format(seed, cases, dir, events or '', more or ''))
  assert(r.code == 0, r.err)
  return dir
end

--- Runs one case; feed: a command that the events pass through on their way to standard input.
local function compare(dir, feed, ...)
  local got = h.folder()
  local args = { 'run', '--quiet', '--set', 'dir=' .. got, dir .. '/chain.lua', ... }
  if not feed then args[#args + 1] = '--from' args[#args + 1] = dir .. '/in.ndjson' end
  local line = h.command(args)
  if feed then line = ('%s < %s/in.ndjson | %s'):format(feed, dir, line) end
  local r = h.shell(line)
  assert.equal(0, r.code, r.err)
  for sink, rows in pairs { a = r.out, b = h.read(got .. '/got-b') } do
    if h.read(dir .. '/want-' .. sink) ~= rows then
      assert.equal(h.read(dir .. '/want-' .. sink), rows, h.read(dir .. '/chain.lua') .. '\nsink ' .. sink .. '\n' .. r.err)
    end
  end
  return #r.out
end

describe('random chains of operators', function()
  it('give the rows of the slow reference', function()
    local dir, bytes = generate(11, 240), 0
    for i = 0, 239 do bytes = bytes + compare(dir .. '/' .. i, i % 8 == 0 and 'python3 tests/spec/tools/pieces.py ' .. i or nil) end
    assert.is_true(bytes > 20000)
  end)

  it('give them compiled and interpreted', function()
    local dir = generate(12, 6, 1200)
    for i = 0, 5 do
      compare(dir .. '/' .. i)
      compare(dir .. '/' .. i, nil, '--no-jit')
    end
  end)

  it('give the last of several within a time', function()
    local dir, n = generate(14, 130, nil, 'last'), 0
    for i = 0, 129 do
      local case = dir .. '/' .. i
      compare(case, i % 8 == 0 and 'python3 tests/spec/tools/pieces.py 3' or nil, i % 8 == 1 and '--no-jit' or nil)
      n = n + select(2, h.read(case .. '/chain.lua'):gsub("keep = 'last', [mu]", ''))
    end
    assert.is_true(n > 100, tostring(n))
    dir = generate(15, 4, 1200, 'last')
    for i = 0, 3 do compare(dir .. '/' .. i) end
  end)

  it('pass check, also with a sample', function()
    local dir = generate(13, 12)
    for i = 0, 11 do
      local case = dir .. '/' .. i
      local r = h.run { 'check', case .. '/chain.lua', '--set', 'dir=' .. h.folder(), '--sample', case .. '/in.ndjson' }
      assert.is_nil(r.err:find('kept after its call', 1, true), r.err)
      assert.is_nil(r.err:find('tidemill.', 1, true), r.err)
    end
  end)
end)
