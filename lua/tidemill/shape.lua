--[[
shape.lua - tables with the same keys again and again: what a `map` returns or a flat_map emits, read and written
without a loop. A loop of a few rounds inside an event would keep the batch's loop from being compiled.

A shape is the list of a table's keys in the order of next(), with functions made for just that list. A table that does
not fit (another key, a nested value, a metatable) is refused and goes the general way. The captures of tm.re have a metatable
that changes nothing here.
]]

local M = {}

local KEYS_MAX = 40
local SHAPES_MAX = 16   -- tries to learn, for one view: rows whose keys keep changing are no shape

local function lines(n, template)
  local out = {}
  for i = 1, n do out[i] = (template:gsub('@', tostring(i))) end
  return table.concat(out, ' ')
end

--- fits(t): the values if t has exactly these keys in this order, all of them plain.
local function source(n)
  local values = lines(n, 'a@'):gsub(' ', ', ')
  local walk = { 'local q, a1 = next(t) if q ~= k1 then return false end' }
  for i = 2, n do
    walk[i] = ('local q, a%d = next(t, k%d) if q ~= k%d then return false end'):format(i, i - 1, i)
  end
  local plain = lines(n, "local y = type(a@) if y ~= 'number' and y ~= 'string' and y ~= 'boolean' then return false end")
  local check = table.concat(walk,
    ' ') .. (" local m = getmetatable(t) if next(t, k%d) ~= nil or (m ~= nil and m ~= 'match') then return false end "):format(n) .. plain
  local bytes = lines(n, "+ (type(a@) == 'string' and #a@ or 8)")
  return 'local next, type, getmetatable, replaced, keys, writers = ... ' ..
    lines(n, 'local k@, w@ = keys[@], writers[@]') ..
    ' return function(t) ' .. check .. ' replaced() ' .. lines(n, 'w@(a@)') .. ' return true end, ' ..
    'function(t) ' .. check .. ' return { ' .. values .. ' }, ' .. (2 + 12 * n) .. ' ' .. bytes .. ' end, ' ..
    'function(row) replaced() ' .. lines(n, 'w@(row[@])') .. ' end'
end

--- Learns the shape of t for a view: { assign, take, put }, or nil when it has none.
---   assign(t)  writes t as the event: whether it fits
---   take(t)    its values as a list, and their size in bytes; false if it does not fit
---   put(list)  writes such a list as the event
---@param view table whose root's writers are used
function M.learn(view, t)
  if view.shapes == SHAPES_MAX then return nil end
  view.shapes = (view.shapes or 0) + 1
  local keys, writers, n = {}, {}, 0
  for k, v in next, t do
    if type(k) ~= 'string' or type(v) == 'table' or n == KEYS_MAX then return nil end
    n = n + 1
    keys[n] = k
    view.field(k)
    writers[n] = view.root.writers[k]
  end
  if n == 0 then return nil end
  local chunk = assert(loadstring(source(n), '=tidemill.shape'))
  local assign, take, put = chunk(next, type, getmetatable, view.replaced, keys, writers)
  return { assign = assign, take = take, put = put }
end

return M
