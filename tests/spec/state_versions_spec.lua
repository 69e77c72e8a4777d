--[[
state_versions_spec.lua - a run that is kept goes on with a script whose states have changed: fields that came, went, moved, or were made
anew by migrate, against plain Lua tables (versions_cases.lua); timers and ages that survive it; what is refused, and in which words.
VERSION_SEEDS: random histories (60).
]]

local h = require 'spec.helper'

local SEEDS = tonumber(os.getenv 'VERSION_SEEDS' or 60)

describe('a state that has changed', function()
  it('holds what plain tables hold behind random changes of its fields', function()
    local dir = h.folder { ['x_spec.lua'] = ([[
      local tm, cases = require 'tidemill', require 'spec.versions_cases'
      it('x', function()
        local sum = { stayed = 0, came = 0, went = 0, converted = 0 }
        for seed = 1, %d do
          local why, counts = cases.run(tm, seed)
          if why then error(why:sub(1, 6000), 0) end
          for k, n in pairs(counts) do sum[k] = sum[k] + n end
        end
        io.stderr:write(('%%d %%d %%d %%d\n'):format(sum.stayed, sum.came, sum.went, sum.converted))
      end)]]):format(SEEDS) }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
    local counted = 0
    for n in r.err:gmatch '%d+' do
      assert.is_true(tonumber(n) > SEEDS / 4, r.err)
      counted = counted + 1
    end
    assert.equal(4, counted, r.err)
  end)
end)
