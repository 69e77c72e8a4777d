--[[
view_rows.lua - the rows that a function of flat_map or process emits, held until it returns.

A row is taken at once. A table is held as the list of its values where its keys have a shape (shape.lua), else as a copy. The
event itself is held as the row of the batch that it is and what was written in it by then; behind the step it is the
event again, its own bytes with those changes. Other views, and the few changes that mean something in their own view only,
are held as text. Loaded anew for each step (see view.lua).

  held[n]         the n-th row of the event at hand; held.shapes[n]: what puts it into the rows' view, or false: V.replace does
]]

local lib, from, to = ...
local raise, owner, value, flow, is_text = lib.raise, lib.owner, lib.value, lib.flow, lib.is_text
local NULL, SPAN, ROW, EMPTY_ROW = lib.NULL, lib.SPAN, lib.ROW, lib.EMPTY_ROW
local type, rawnext = type, next
local BYTES_MAX = 16 * 1024 * 1024
local learn = lib.shape.learn
local st, written, vals, nodes, root, batch = from.st, from.written, from.vals, from.nodes, from.root, from.batch
local to_st, put = to.st, to.put
local held = { n = 0, open = false, bytes = 0, shapes = {} }

-- The event itself --------------------------------------------------------

-- by row: its place in the batch, its changes, whether they keep their order; of all rows: the changes
local at_row, first, count, ordered = {}, {}, {}, {}
local change_node, change_val = {}, {}
local used = 0
-- slot of the event's view -> the node of the same field in the rows' view; false: of another type there
local twins = {}

local function is_extra(node)
  local extra = node.parent.extra
  return extra and extra[node.name] == node
end

--- The node of the rows' view for a field of the event's; false: it has another type there. Of a field that lives for some
--- events only (V.learn) this may be called when its row is put, and what it gives holds for that row.
local function twin_of(node)
  if not node.parent then return to.root end
  local known = twins[node.slot]
  if known ~= nil and not is_extra(node) then return known end
  local parent = twin_of(node.parent)
  if not parent then return false end
  -- what is written below an object is looked for where it has a view
  if parent ~= to.root and not parent.view then to.make_view(parent) end
  local twin = parent.kids[node.name] or to.learn(parent, node.name, not is_extra(node))
  if twin.rule ~= node.rule then twin = false end
  if not is_extra(node) and not (twin and is_extra(twin)) then twins[node.slot] = twin end
  return twin
end

--- A written table as it is in the rows' view.
local function moved(v)
  local raw = v.raw
  if not raw then return v end
  local twin = raw.col and twin_of(raw)
  return twin and twin.col and twin.raw or from.text_of(raw)
end

--- Holds the i-th change: its size, or false.
local function hold(i)
  local slot = written[st.base + i]
  local v, node = vals[slot], nodes[slot]
  local twin = twin_of(node)
  if v == SPAN or v == ROW then v = from.span(node) end
  -- members in an order of their own are nodes of this view
  if not twin or type(v) == 'table' and v.order then return false end
  if not is_extra(twin) then node = twin end
  local bytes, t = 8, type(v)
  if t == 'string' then
    bytes = #v
  elseif t == 'table' then
    v = moved(v)
    if v.text then bytes = #v.text end
  end
  used = used + 1
  change_node[used], change_val[used] = node, v
  return bytes
end

local function hold_rest(n)
  local bytes = 0
  for i = 5, n do
    local more = hold(i)
    if not more then return false end
    bytes = bytes + more
  end
  return bytes
end

--- Holds the event as it stands as row n: its size, or false. (Written out, as a loop would make a trace of its own.)
local function hold_event(n)
  if st.arrays ~= 0 then from.settle_arrays() end
  if n == 1 then used = 0 end
  local row, w = st.row, st.writes
  at_row[n], first[n], count[n], ordered[n] = row, used, w, st.gen % 1 ~= 0
  local bytes = row == EMPTY_ROW and 2 or batch.len[row]
  local more = 0
  if w >= 1 then more = hold(1) end
  if w >= 2 and more then bytes = bytes + more more = hold(2) end
  if w >= 3 and more then bytes = bytes + more more = hold(3) end
  if w >= 4 and more then bytes = bytes + more more = hold(4) end
  if w >= 5 and more then bytes = bytes + more more = hold_rest(w) end
  return more and bytes + more
end

local function put_change(i)
  local node = change_node[i]
  if node.V ~= to then node = twin_of(node) end
  put(node, change_val[i])
end

local function put_rest(at, n)
  for i = at + 5, at + n do put_change(i) end
end

local event = {}

--- Makes the rows' view the event that is held as row n.
function event.put(n)
  if ordered[n] then to.fresh_ordered() end
  to_st.row = at_row[n]
  local at, w = first[n], count[n]
  if w >= 1 then put_change(at + 1) end
  if w >= 2 then put_change(at + 2) end
  if w >= 3 then put_change(at + 3) end
  if w >= 4 then put_change(at + 4) end
  if w >= 5 then put_rest(at, w) end
end

-- Tables ------------------------------------------------------------------

local function size(t, depth)
  if is_text(t) then return #t.text end
  local bytes = 2
  for k, v in rawnext, t do
    bytes = bytes + 4 + (type(k) == 'string' and #k or 8)
    local kind = type(v)
    if kind == 'string' then bytes = bytes + #v
    elseif kind == 'table' and depth < 512 then bytes = bytes + size(v, depth + 1)
    else bytes = bytes + 8 end
  end
  return bytes
end

--- The values of a row of a shape that is known, their bytes, the shape; or false. (KNOWN_MAX of shape.lua, written out.)
local function take(row)
  local shape = to.shape
  if not shape then return false end
  local copy, bytes = shape.take(row)
  if copy then return copy, bytes, shape end
  shape = shape.other
  if not shape then return false end
  copy, bytes = shape.take(row)
  if copy then return copy, bytes, shape end
  shape = shape.other
  if not shape then return false end
  copy, bytes = shape.take(row)
  if copy then return copy, bytes, shape end
  shape = shape.other
  if not shape then return false end
  copy, bytes = shape.take(row)
  return copy, bytes, shape
end

--- The emit function.
function held.add(row)
  if not held.open then raise('kept', 'emit was called after its function had returned') end
  if type(row) ~= 'table' or row == NULL then
    raise('type', 'emit takes a table or the event, got ' .. (row == nil and 'nil' or row == NULL and 'null' or 'a ' .. type(row)))
  end
  local n = held.n + 1
  if n > flow.max_rows then
    raise('too-many-rows', 'one event made more than ' .. flow.max_rows .. ' rows (--max-rows)')
  end
  local shape, copy, bytes = false, false, false
  local node = owner[row]
  if node == root then
    bytes = hold_event(n)
    if bytes then copy, shape = n, event end
  elseif not node then
    copy, bytes, shape = take(row)
  end
  if not copy then
    if not node then learn(to, row) end
    copy, shape = value.snapshot(row), false
    bytes = size(copy, 1)
  end
  held.bytes = held.bytes + bytes
  if held.bytes > BYTES_MAX then raise('row-too-large', "one event's rows exceed 16 MiB") end
  held[n], held.shapes[n] = copy, shape
  held.n = n
end

--- After an error: nothing is held.
function held.abandon()
  for i = 1, held.n do held[i] = nil end
  held.open, held.n = false, 0
end

return held
