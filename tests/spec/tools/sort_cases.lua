-- sort_cases.lua SEED ROUNDS - sorts the same lists by LuaJIT's table.sort and by lua/tidemill/sort.lua and compares all that can be
-- seen: the items' order, what was raised, what was left behind then. Prints the number of rounds and, a line each, the texts raised
-- with their number.

package.loaded['tidemill.lib'] = {
  load = function(name) return assert(loadfile('lua/' .. name:gsub('%.', '/') .. '.lua')) end,
}
local sort = require 'tidemill.sort'.sort
local random = math.random
math.randomseed(tonumber(arg[1]))

local by_first = { __lt = function(a, b) return a[1] < b[1] end }
local makers = {
  function() return random(1e6) end, function() return random(20) end, function() return 's' .. random(1000) end,
  function(i) return { random(30), i } end, function(i) return random(400) == 1 and 'x' .. i or random(100) end,
  function() return random(60) == 1 and 0 / 0 or random(100) end,
  function(i) return setmetatable({ random(30), i }, by_first) end, function(i) return i end, function() return true end,
  function() return (random() - 0.5) * 10 ^ random(-300, 300) end,
}

local state
local function value(v) return type(v) == 'table' and v[1] or v end
local function less(a, b) return value(a) < value(b) end
local orders = {
  false, false, false, less, function(a, b) return value(a) > value(b) end, function(a, b) return not less(b, a) end,
  function() return true end, function() return false end, function() end,
  function() state = state * 16807 % 2147483647 return state % 2 == 0 end,
  function(a, b) state = state + 1 if state > 5000 then error('enough', 0) end return less(a, b) end,
  function(a, b) return a[1] < b[1] end,
  rawequal, math.max, 5, 'x', {}, true,
}

local function try(f, t, order)
  state = 1
  if order then return pcall(f, t, order) end
  return pcall(f, t)
end

local raised = {}
for round = 1, tonumber(arg[2]) do
  local make, order, n = makers[random(#makers)], orders[random(#orders)], random(4) == 1 and random(0, 1010) or random(1001, 2500)
  local theirs, ours = {}, {}
  for i = 1, n do theirs[i] = make(i) end
  if random(4) == 1 and n > 20 then theirs[random(n - 1)] = nil end
  for i = 1, n do ours[i] = theirs[i] end
  local ok, why = try(table.sort, theirs, order)
  local our_ok, our_why = try(sort, ours, order)
  assert(ok == our_ok and why == our_why, ('round %d: %s, %s'):format(round, tostring(why), tostring(our_why)))
  for i = 1, n do
    local a, b = theirs[i], ours[i]
    assert(rawequal(a, b) or (a ~= a and b ~= b), ('round %d of %d items: item %d differs'):format(round, n, i))
  end
  if not ok then raised[why] = (raised[why] or 0) + 1 end
end
print(arg[2])
for why, n in pairs(raised) do print(n, why) end
