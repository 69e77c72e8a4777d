--[[
next_spec.lua - no machine code of the library holds the instruction by which Debian 12's LuaJIT loses half of a pointer behind
next() (its issue 829; lua/tidemill/walk.lua). tools/next_cases.lua makes the cases and reads the code. Whether registers get
short enough differs from process to process, with the addresses that it has; so does the number of tries.
]]

local h = require 'spec.helper'

local TRIES, SAFE_TRIES, CASES = 30, 8, 300

--- One process. Returns how many walks it compiled, and whether one was bad.
local function try(safe, i)
  local p = assert(io.popen(("LUA_PATH='lua/?.lua;;' luajit tests/spec/tools/next_cases.lua %d %d %d 2>&1"):format(
    safe, i * 1000, i * 1000 + CASES)))
  local out = p:read '*a'
  p:close()
  local walks, bad = out:match '^walks (%d+) bad (%d)\n$'
  assert.truthy(walks, out)
  return tonumber(walks), bad == '1'
end

describe('a compiled next()', function()
  it('of Lua itself loses half of a pointer where registers are short', function()
    for i = 1, TRIES do
      local _, bad = try(0, i)
      if bad then return end
    end
    pending('this LuaJIT does not show its issue 829; lua/tidemill/walk.lua may be needless with it')
  end)

  it('of the library does not', function()
    local walks = 0
    for i = 1, SAFE_TRIES do
      local n, bad = try(1, i)
      assert.is_false(bad, 'case ' .. i * 1000)
      walks = walks + n
    end
    assert.is_true(walks > SAFE_TRIES * CASES, walks)
  end)

  it('is what the library walks with: its globals are replaced before anything else is loaded', function()
    -- names of fields as the script sees them, through the library's own walks
    local r = h.run({ 'run', '--quiet', '-e', [[stream:map(function(e)
      local names = {}
      for k in pairs { b = 1, a = 2, [3] = 3 } do names[#names + 1] = tostring(k) end
      return { n = table.concat(names, ' '), first = next { x = 1 } }
    end)]] }, '{}\n')
    assert.equal('{"first":"x","n":"3 a b"}\n', r.out, r.err)
    assert.truthy(h.read('lua/tidemill/boot.lua'):find "require 'tidemill.lib'\nlocal walk = require 'tidemill.walk'\n_G.next, _G.pairs = ")
  end)
end)
