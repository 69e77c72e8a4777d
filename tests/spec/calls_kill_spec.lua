--[[ Runs that are kept (--data) and killed at a chosen call of the system: all of it, or the worker alone, before the call, or when half of
what it writes is written. Started again they must have written what an undisturbed run writes, byte for byte (faults.lua).
FAULTS=all: at each call; without it FAULTS_KILLS (12) of each kind, at least one at each place that makes calls where that is enough. ]]

local h = require 'spec.helper'
local F = require 'spec.faults'

local KILLS = tonumber(os.getenv 'FAULTS_KILLS') or 12
local EVENTS = { files = 300, rolled = 120, tables = 120, logs = 800 }
local KEPT = { '--data', 'data', '--epoch', '2ms', '--rate', '50000/s' }

--- A run with a fault, then as many without as it takes; what is there then is compared.
local function try(name, input, want, fault, code)
  local root = F.place(name, input)
  local first = F.run(root, fault, KEPT)
  local where = ('%s at call %d: %s%s'):format(fault.what, fault.at, first.told, first.err)
  local met = first.told ~= ''
  if met then assert.equal(code, first.code, where)
  else assert.is_true(first.count < fault.at, 'call ' .. fault.at .. ' was not met') end
  local second = F.run(root, nil, KEPT)
  assert.equal(0, second.code, where .. second.err)
  h.compare(want, F.content(root, root .. '/data'), where)
  F.remove(root)
  return met
end

describe('a kept run killed at a call of the system', function()
  for _, name in ipairs { 'files', 'rolled', 'tables', 'logs' } do
    it('has written each row once: ' .. name, function()
      math.randomseed(4)
      local input = F.events(EVENTS[name])
      local want = F.wanted(name, input)
      local tried, met = 0, 0
      for _, kind in ipairs { { 'kill', 137, 1 }, { 'torn', 137, 0.4 }, { 'die', 0, 0.4 } } do
        for _, at in ipairs(F.choose(name, input, F.writing, KEPT, math.ceil(KILLS * kind[3]))) do
          tried = tried + 1
          local fault = { at = at, what = kind[1], names = F.writing, who = kind[1] == 'die' and 'w' or 'cws' }
          if try(name, input, want, fault, kind[2]) then met = met + 1 end
        end
      end
      -- calls of threads come in another number in each run, so the last may be missed
      assert.is_true(met >= 0.7 * tried, met .. ' of ' .. tried)
    end)

    it('goes on when a worker is killed while it loads: ' .. name, function()
      local input = F.events(EVENTS[name])
      local want = F.wanted(name, input)
      local kept, met = nil, 0
      local function restart(place, at, more)
        local copy = h.path 'copy'
        h.sh('cp -r --sparse=always %s %s', place, copy)
        local args = { unpack(KEPT) }
        args[#args + 1] = more
        local r = F.run(copy, { at = at, what = 'die', names = F.writing, who = 'w' }, args)
        if r.err:find('while it loaded: the next worker begins anew', 1, true) then met = met + 1 end
        assert.equal(0, r.code, r.told .. r.err)
        h.compare(want, F.content(copy, copy .. '/data'), 'a worker died at ' .. r.told)
        F.remove(copy)
      end
      local new = F.place(name, input)
      for at = 1, 16, 5 do restart(new, at) end
      repeat
        if kept then F.remove(kept) end
        kept = F.place(name, input)
        F.run(kept, { at = math.random(100, 200), what = 'kill', names = F.writing }, KEPT)
      until h.shell('test -e ' .. kept .. '/data/durable').code == 0
      for at = 1, 16, 5 do restart(kept, at) end
      h.sh('rm -rf %s/out %s/data/logs; mkdir %s/out', kept, kept, kept)
      for at = 2, 22, 7 do restart(kept, at, '--reset') end
      assert.is_true(met > 6, met .. ' died while they loaded')
      F.remove(kept)
      F.remove(new)
    end)

    it('goes on when it is killed again while it takes up what was kept: ' .. name, function()
      math.randomseed(5)
      local input = F.events(EVENTS[name])
      local want = F.wanted(name, input)
      local root = F.place(name, input)
      local met = 0
      for _, at in ipairs(F.choose(name, input, F.writing, KEPT, math.ceil(KILLS / 3))) do
        for _, again in ipairs { at, math.random(60), math.random(30) } do
          local r = F.run(root, { at = again, what = 'kill', names = F.writing }, KEPT)
          if r.told ~= '' then met = met + 1 end
          assert.equal(r.told ~= '' and 137 or 0, r.code, r.err)
        end
        local r = F.run(root, nil, KEPT)
        assert.equal(0, r.code, r.err)
        h.compare(want, F.content(root, root .. '/data'), 'killed three times from call ' .. at)
        F.remove(root)
        root = F.place(name, input)
      end
      assert.is_true(met >= KILLS / 2)
      F.remove(root)
    end)
  end
end)
