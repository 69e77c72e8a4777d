--[[
events_differential_spec.lua - random events through random chains of steps, compared with reference.py, which does the
same the slow and obvious way; and the same bytes with the JIT off and however the input arrives.
]]

local h = require 'spec.helper'

local SEEDS, EVENTS = 12, 350
local REFERENCE = h.cwd .. '/tests/spec/reference.py'

-- writes its input in pieces of odd sizes, so that lines and tokens are cut anywhere
local FEED = [[
import os, random, sys
r, data, at = random.Random(5), open(sys.argv[1], 'rb').read(), 0
while at < len(data):
    n = r.choice([1, 3, 17, 61, 257, 1021, 4093])
    os.write(1, data[at:at + n])
    at += n]]

local dir = h.folder {}

local function reference(seed)
  local r = h.shell(('python3 %s %d %d %s'):format(REFERENCE, seed, EVENTS, dir))
  assert.equal(0, r.code, r.err)
  return h.read(dir .. '/want.ndjson')
end

describe('random events through random chains', function()
  for seed = 1, SEEDS do
    it('come out as the reference says, seed ' .. seed, function()
      local want = reference(seed)
      local chain, input = dir .. '/chain.lua', dir .. '/in.ndjson'
      local r = h.run { 'run', '--quiet', '--from', input, chain }
      assert.equal(0, r.code, r.err)
      local stripped = h.shell('python3 ' .. REFERENCE .. ' --strip', r.out).out
      if stripped ~= want then
        local got, expected = h.lines(stripped), h.lines(want)
        for i = 1, math.max(#got, #expected) do
          if got[i] ~= expected[i] then
            error(('row %d with\n%s\nwant %s\ngot  %s'):format(i, h.read(chain), tostring(expected[i]), tostring(got[i])), 0)
          end
        end
      end
      assert.truthy(#want > 0)
      local interpreted = h.run { 'run', '--quiet', '--no-jit', '--from', input, chain }
      assert.is_true(interpreted.out == r.out, 'other rows with --no-jit')
      local pieces = h.shell(('python3 -c %s %s | %s'):format(h.quote(FEED), input, h.command { 'run', '--quiet', chain }))
      assert.is_true(pieces.out == r.out, 'other rows when the input comes in pieces')
    end)
  end
end)
