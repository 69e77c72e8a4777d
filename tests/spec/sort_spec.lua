--[[
sort_spec.lua - table.sort of scripts: LuaJIT's own is the judge of orders and errors; the deadline stops it.
]]

local h = require 'spec.helper'

--- Runs an attack on the second of three events; it prints 'sorting' before its last call.
local function attack(text)
  local dir = h.folder { ['s.lua'] = ([[
local tm = require 'tidemill'
return tm.pipeline 'p':map(function(e)
  if e.id == 2 then
    %s
  end
  return e
end):on_error(tm.sink.file 'dead.ndjson')]]):format(text) }
  local r = h.run({ 'run', '--json', '--deadline', '150ms', 's.lua' }, '{"id":1}\n{"id":2}\n{"id":3}\n', { cwd = dir, timeout = 30 })
  local dead = h.rows(h.read(dir .. '/dead.ndjson') or '')
  assert.truthy(r.err:find('sorting', 1, true), r.err)
  assert.equal('{"id":1}\n{"id":3}\n', r.out, r.err)
  assert.truthy(r.err:find('"worker_restarts":0', 1, true), r.err)
  assert.equal(1, #dead)
  assert.equal('s.lua:4', dead[1].at)
  return dead[1]
end

describe('table.sort', function()
  it('does what LuaJIT does, item by item and word by word', function()
    local seen = {}
    for seed = 1, 4 do
      local p = assert(io.popen(("LUA_PATH='lua/?.lua;;' luajit tests/spec/tools/sort_cases.lua %d 400 2>&1"):format(seed)))
      local out = p:read '*a'
      p:close()
      assert.truthy(out:find '^400\n', out)
      for n, why in out:gmatch '(%d+)\t([^\n]+)' do seen[why] = (seen[why] or 0) + tonumber(n) end
    end
    -- that the cases met these, in LuaJIT's own words
    for _, why in ipairs { 'invalid order function for sorting', 'attempt to compare two table values',
      'attempt to compare two boolean values', 'attempt to compare number with string',
      'attempt to compare number with nil', 'attempt to compare nil with number', 'enough',
      "bad argument #1 to '?' (number expected, got table)" } do
      assert.truthy((seen[why] or 0) > 0, why)
    end
  end)

  it('of many items is stopped at the deadline, with and without an order', function()
    for _, call in ipairs { 'table.sort(t)', 'table.sort(t, function(a, b) return a > b end)',
      'pcall(table.sort, t, function(a, b) return a < b end) while true do end' } do
      local letter = attack('local t = {} for i = 1, 2e6 do t[i] = i * 7919 % 2000003 end print "sorting" ' .. call)
      assert.equal('deadline', letter.code)
    end
  end)

  it('names the line of the script in an error', function()
    local letter = attack "local t = {} for i = 1, 2000 do t[i] = i end print 'sorting' table.sort(t, function() return true end)"
    assert.equal('invalid order function for sorting', letter.reason)
    letter = attack "local t = {} for i = 1, 2000 do t[i] = i % 7 == 0 and 'x' or i end print 'sorting' table.sort(t)"
    assert.truthy(letter.reason:find '^attempt to compare ')
  end)

  it('keeps a list whole when its metatable has functions', function()
    local r = h.run({ 'run', '--quiet', '-e', [[stream:map(function(e)
      local touched = 0
      local t = setmetatable({}, { __index = function() touched = touched + 1 end, __newindex = function() touched = touched + 1 end })
      for i = 1, 1500 do rawset(t, i, i * 7919 % 1511) end
      table.sort(t)
      local sorted = true
      for i = 2, 1500 do sorted = sorted and t[i - 1] < t[i] end
      return { touched = touched, sorted = sorted }
    end)]] }, '{}\n')
    assert.equal('{"sorted":true,"touched":0}\n', r.out, r.err)
  end)
end)

describe('table.insert', function()
  it('at a position that is none is refused: it would move all between', function()
    for _, at in ipairs { '-1', '-1e9', '-2^31', "'-1e9'", '-math.huge', '2^31', '1e308', '0/0', 'math.huge' } do
      local letter = attack("print 'sorting' table.insert({ 1, 2 }, " .. at .. ', 3)')
      assert.truthy(letter.reason:find '^table%.insert: position %S+ is no place in a list$', letter.reason)
    end
  end)
end)
