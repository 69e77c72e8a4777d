--[[
shape.lua - tables with the same keys again and again: what a `map` returns or a flat_map emits, read and written
without a loop. A loop of a few rounds inside an event would keep the batch's loop from being compiled.

A shape is the list of a table's keys in the order of next(), with functions made for just that list. A table that does
not fit (another key, a nested value, a metatable) is refused and goes the general way. The captures of tm.re have a metatable
that changes nothing here. A view knows some shapes at a time, the newest first: the order of next() is that of how a table came
to be, so one function may make the same row in several.
]]

local M = {}

local KEYS_MAX = 40
local LEARNED_MAX = 16   -- tries to learn, for one view: rows whose keys keep changing are no shape
local KNOWN_MAX = 4      -- shapes that a row is compared with

local function lines(n, template)
  local out = {}
  for i = 1, n do out[i] = (template:gsub('@', tostring(i))) end
  return table.concat(out, ' ')
end

--- Text that writes a1, a2 … into the view's slots, which are all new in a fresh state of the overlay: what the view's `put` does of each,
--- without asking.
local function straight(slots)
  local text = { 'replaced() local gen, at = st.gen, st.base' }
  for i, slot in ipairs(slots) do
    text[i + 1] = (('gens[S], vals[S], written[at + @] = gen, a@, S ' ..
      "if type(a@) == 'number' then slots_c[S].kind, slots_c[S].num = 1, a@ " ..
      "elseif type(a@) == 'string' then slots_c[S].kind, slots_c[S].text, slots_c[S].len = 2, a@, #a@ " ..
      'else slots_c[S].kind = a@ and 3 or 4 end'):gsub('S', slot):gsub('@', tostring(i)))
  end
  text[#text + 1] = ('st.writes = %d'):format(#slots)
  return table.concat(text, ' ')
end

--- The functions of a shape of n keys; write: text that writes its values as the event.
local function source(n, write)
  local values = lines(n, 'a@'):gsub(' ', ', ')
  local walk = { 'local q, a1 = next(t) if q ~= k1 then return false end' }
  for i = 2, n do
    walk[i] = ('local q, a%d = next(t, k%d) if q ~= k%d then return false end'):format(i, i - 1, i)
  end
  local plain = lines(n, "local y = type(a@) if y ~= 'number' and y ~= 'string' and y ~= 'boolean' then return false end")
  local check = table.concat(walk,
    ' ') .. (" local m = getmetatable(t) if next(t, k%d) ~= nil or (m ~= nil and m ~= 'match') then return false end "):format(n) .. plain
  local bytes = lines(n, "+ (type(a@) == 'string' and #a@ or 8)")
  return 'local next, type, getmetatable, V, keys, writers = ... ' ..
    'local replaced, st, gens, vals, written, slots_c = V.replaced, V.st, V.gens, V.vals, V.written, V.slots ' ..
    lines(n, 'local k@ = keys[@]') ..
    ' return function(t) ' .. check .. ' ' .. write .. ' return true end, ' ..
    'function(t) ' .. check .. ' return { ' .. values .. ' }, ' .. (2 + 12 * n) .. ' ' .. bytes .. ' end, ' ..
    'function(row) ' .. lines(n, 'local a@ = row[@]') .. ' ' .. write .. ' end'
end

--- The newest shapes of a list, KNOWN_MAX of them.
local function newest(shape)
  local last = shape
  for _ = 2, KNOWN_MAX do last = last and last.other end
  if last then last.other = false end
  return shape
end

--- Learns the shape of a table that the view knows none for, if it has one.
---@param view table that gets it, as view.shape: { assign, take, put, other: the next one that is known, or false }
---   assign(t)  writes t as the event: whether it fits
---   take(t)    its values as a list, and their size in bytes; false if it does not fit
---   put(list)  writes such a list as the event
---@param t table
function M.learn(view, t)
  if view.shapes == LEARNED_MAX then return end
  view.shapes = (view.shapes or 0) + 1
  local keys, writers, slots, n = {}, {}, {}, 0
  local plain = not view.log_undo
  for k, v in next, t do
    if type(k) ~= 'string' or type(v) == 'table' or n == KEYS_MAX then return end
    n = n + 1
    keys[n] = k
    local node = view.field(k)
    writers[n], slots[n] = view.root.writers[k], node.slot
    if node.rule then plain = false end
  end
  if n == 0 then return end
  local write = plain and straight(slots) or
    'replaced() ' .. lines(n, 'writers[@](a@)')
  local chunk = assert(loadstring(source(n, write), '=tidemill.shape'))
  local assign, take, put = chunk(next, type, getmetatable, view, keys, writers)
  view.shape = newest { assign = assign, take = take, put = put, other = view.shape or false }
end

return M
