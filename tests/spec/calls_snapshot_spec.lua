--[[ Making a snapshot of a kept run, killed at a call of the system, or with one that fails: the run goes on from what is whole, and
what it writes is what an undisturbed run writes (faults.lua). FAULTS=all: at each call; without it FAULTS_SNAPSHOTS (16) of each kind. ]]

local h = require 'spec.helper'
local F = require 'spec.faults'

local FAULTS = tonumber(os.getenv 'FAULTS_SNAPSHOTS') or 16
local KEPT = { '--data', 'data', '--epoch', '2ms', '--rate', '20000/s' }
local MAKE = { 'snapshot', 'make', 'data' }

describe('making a snapshot', function()
  local input = F.events(600)
  local want, root

  setup(function()
    want = F.wanted('files', input)
    -- a run that was killed when some epochs were durable
    for at = 160, 40, -5 do
      root = F.place('files', input)
      local r = F.run(root, { at = at, what = 'kill', names = F.writing }, KEPT)
      local ls = h.shell(h.command({ 'journal', 'ls', 'data' }, { cwd = root })).out
      if r.code == 137 and tonumber(ls:match '%d+ +1 %- (%d+)' or 0) >= 3 then return end
      F.remove(root)
    end
    error 'the run was always killed too early'
  end)
  teardown(function() F.remove(root) end)

  --- Makes one with this fault in a copy of the run, then lets that go on. Returns what the making ended with.
  local function make(fault)
    local copy = h.path 'copy'
    h.sh('cp -r --sparse=always %s %s', root, copy)
    local made = F.command(copy, MAKE, fault)
    local where = ('%s at call %d: %s%s'):format(fault.what, fault.at, made.told, made.err)
    local r = F.run(copy, nil, KEPT)
    assert.equal(0, r.code, where .. r.err)
    h.compare(want, F.content(copy, copy .. '/data'), where)
    local verified = F.command(copy, { 'snapshot', 'verify', 'data' })
    assert.equal(0, verified.code, where .. verified.err)
    F.remove(copy)
    return made, where
  end

  local names = F.writing .. ',' .. F.reading
  local calls

  it('leaves what the run goes on from when nothing is wrong', function()
    local made = make { at = 0, what = 'tell', names = names }
    assert.equal(0, made.code, made.err)
    calls = made.count
    assert.is_true(calls > 50)
  end)

  local function numbers()
    local list = {}
    if os.getenv 'FAULTS' == 'all' then for n = 1, calls do list[n] = n end return list end
    -- the last calls give what was made its name
    for n = calls, calls - FAULTS / 2, -1 do list[#list + 1] = n end
    for _ = 1, FAULTS / 2 do list[#list + 1] = math.random(calls) end
    return list
  end

  it('and being killed does', function()
    math.randomseed(8)
    for _, at in ipairs(numbers()) do
      local made, where = make { at = at, what = 'kill', names = names }
      assert.equal(137, made.code, where)
      assert.is_true(made.told ~= '', where)
    end
  end)

  it('and a call that fails does', function()
    math.randomseed(9)
    for _, what in ipairs { 5, 28 } do
      for _, at in ipairs(numbers()) do
        local made, where = make { at = at, what = what, names = names }
        assert.is_true(made.told ~= '', where)
        assert.is_true(made.code == 0 or made.err:find('tidemill: error: ', 1, true) ~= nil, where)
        assert.is_true(made.code <= 2, where)
      end
    end
  end)
end)
