--[[
view_write.lua - writing into a view: the overlay's slots, their log, objects and arrays, a new event and a replaced one.
Loaded anew for every view, by its view.lua (see there for what the words mean).
]]

local lib, spec, V = ...
local ffi = lib.ffi
local type, rawnext = type, next
local NULL, REMOVED, OBJECT, EMPTY_ROW = lib.NULL, lib.REMOVED, lib.OBJECT, lib.EMPTY_ROW
local SPAN, ROW = lib.SPAN, lib.ROW
local raise, value, owner = lib.raise, lib.value, lib.owner
local LOG = spec.log
local st, root = V.st, V.root
local gens, vals, written, nodes, slots_c = V.gens, V.vals, V.written, V.nodes, V.slots
local SLOTS_MAX = lib.C.TM_SLOTS_MAX - 1
local arr_node, arr_table, arr_text = V.arr_node, V.arr_table, V.arr_text
local learn, eff, expand, spread, path_of = V.learn, V.eff, V.expand, V.spread, V.path_of
local clear_below, written_in = V.clear_below, V.written_in
local undo_slot, undo_gen, undo_val = {}, {}, {}
-- of a SPAN or ROW, where its text lies
local undo_text, undo_len = {}, {}

--- The written value as the encoder (C) sees it.
local function fill(slot, v, typ)
  local s, t = slots_c + slot, type(v)
  if t == 'number' then
    s.kind, s.num = typ and typ.slot or 1, v
  elseif t == 'string' then
    s.kind, s.text, s.len = typ and typ.slot or 2, v, #v
  elseif t == 'boolean' then
    s.kind = v and 3 or 4
  elseif v == NULL then
    s.kind = 5
  elseif v == REMOVED then
    s.kind = 6
  elseif v == ROW then
    s.kind = 7
  elseif v.text then
    s.kind, s.text, s.len = 7, v.text, #v.text
  elseif v.raw and v.raw.col then
    s.kind, s.text = 8, ffi.cast('const char *', v.raw.col)
  else
    s.kind = 0
  end
end

local function undo(mark)
  local n = st.log
  while n > mark do
    local slot = undo_slot[n]
    gens[slot], vals[slot] = undo_gen[n], undo_val[n]
    local v = undo_val[n]
    if v == SPAN or v == ROW then
      local s = slots_c + slot
      s.kind, s.text, s.len = v == ROW and 7 or 2, undo_text[n], undo_len[n]
    else
      fill(slot, v, nodes[slot].typ)
    end
    undo_val[n] = false
    n = n - 1
  end
  st.log = n
end

local function log_undo(slot)
  local n = st.log + 1
  local v = vals[slot]
  undo_slot[n], undo_gen[n], undo_val[n] = slot, gens[slot], v
  if v == SPAN or v == ROW then undo_text[n], undo_len[n] = slots_c[slot].text, slots_c[slot].len end
  st.log = n
end
V.log_undo = LOG and log_undo or false

local function put(node, v)
  local slot, gen = node.slot, st.gen
  if LOG then log_undo(slot) end
  if gens[slot] ~= gen then
    gens[slot] = gen
    local w = st.writes + 1
    written[st.base + w] = slot
    st.writes, st.dirty = w, 1
  end
  vals[slot] = v
  fill(slot, v, node.typ)
end

--- A JSON object becomes the value, its bytes where they lie until the event is done.
function V.put_bytes(node, text, len)
  put(node, ROW)
  local s = slots_c + node.slot
  s.kind, s.text, s.len = 7, text, len
end

--- put() of a value whose base is not the node's own: what was written below the node does not belong to it.
function V.put_whole(node, v)
  if type(v) == 'table' and (v.raw or v.kind == 9) and written_in(node) then
    if v.raw then v = V.text_of(v.raw) end
    put(node, v)
    if v.kind == 9 then expand(node, v) end
    return
  end
  put(node, v)
end

--- A new state of the overlay with nothing written.
local function fresh()
  if st.base + st.writes > SLOTS_MAX then raise('too-many-fields', 'this event is rewritten with too many fields') end
  local gen = st.gen_top + 1
  st.gen_top, st.gen = gen, gen
  st.base = st.base + st.writes
  st.writes, st.dirty = 0, 1
end

--- The same without a base, for members that keep the order in which they are written.
function V.fresh_ordered()
  fresh()
  st.gen = st.gen + 0.5
  st.row = EMPTY_ROW
end

local function is_object_now(node)
  if not node.parent then return true end
  if gens[node.slot] == st.gen then
    local v = vals[node.slot]
    if v == OBJECT then return true end
    if type(v) ~= 'table' then return false end
    if v == ROW then v = V.span(node) end
    if v.raw then return (V.cell(v.raw, st.home)) == 9 end
    if v.kind == 9 then expand(node, v) end
    return v.kind == 9 or v.order ~= nil
  end
  local base, row = eff(node)
  return (V.base_text(base, row)) ~= nil
end

local put_value

--- A plain object becomes written members without a base, so that later steps see the same kind of view.
local function put_object(node, t, depth)
  if depth > 512 then raise('too-deep', "the value of '" .. path_of(node) .. "' is nested deeper than 512") end
  put(node, OBJECT)
  clear_below(node)
  for k, v in rawnext, t do
    if type(k) ~= 'string' then
      raise('type', "cannot write '" .. path_of(node) .. "': an object's keys must be strings, found a " .. type(k))
    end
    put_value(node.kids[k] or learn(node, k), v, depth + 1)
  end
end

function put_value(node, v, depth)
  local t = type(v)
  if t == 'number' or t == 'boolean' then return (put(node, v)) end
  if t == 'string' then return (put(node, v)) end
  if t == 'table' then
    if v == NULL then return (put(node, NULL)) end
    if owner[v] then v = value.text(v) end
    if lib.is_text(v) then return (V.put_whole(node, v)) end
    if value.is_array(v) then return (put(node, lib.text(value.encode_string(v), 10))) end
    return (put_object(node, v, depth))
  end
  if v == nil then return (put(node, REMOVED)) end
  if value.is_opaque(v) then return (put(node, value.opaque_text(v))) end
  raise('type', "cannot write a " .. t .. " into field '" .. path_of(node) .. "'")
end

--- Arrays handed out at this node or below it are no longer the field's value.
local function drop_array(node)
  for i = 1, st.arrays do
    local at = arr_node[i]
    while at do
      if at == node then
        arr_node[i] = false
        break
      end
      at = at.parent
    end
  end
end

local function write(node, child, v)
  if node.parent and not is_object_now(node) then
    raise('type', "cannot write '" .. path_of(child) .. "': '" .. path_of(node) .. "' is not an object in this event")
  end
  if st.arrays ~= 0 then drop_array(child) end
  if child.rule and v ~= nil and v ~= NULL then v = child.rule.write(child, v) end
  put_value(child, v, 1)
end
V.write = write

local settling = false

--- When a call has returned that may have read arrays: they are compared and, if changed, written back.
function V.sync()
  if st.arrays == 0 then return end
  settling = true
  for i = 1, st.arrays do
    local node, t = arr_node[i], arr_table[i]
    if node and not value.equal(t, arr_text[i]) then put_value(node, t, 1) end
    arr_node[i], arr_table[i], arr_text[i] = false, false, false
  end
  settling = false
  st.arrays = 0
end

--- The same in the middle of a call: the tables stay in the script's hands.
function V.settle_arrays()
  if settling then return end
  settling = true
  for i = 1, st.arrays do
    local node, t = arr_node[i], arr_table[i]
    if node and not value.equal(t, arr_text[i]) then
      arr_text[i] = value.encode_string(t, lib.array_buf)
      put(node, lib.text(arr_text[i], 10))
    end
  end
  settling = false
end

--- A new event: what the last one wrote no longer holds.
function V.begin()
  if st.dirty ~= 0 then
    local gen = st.gen_top + 1
    st.gen_top, st.gen = gen, gen
    st.base, st.writes, st.log, st.dirty = 0, 0, 0, 0
    if st.extra > 512 then V.forget() end
  end
end

--- After an error: nothing written holds, nothing is handed out. `dirty` is set before all the others.
function V.abandon()
  settling = false
  if st.dirty == 0 then return end
  st.arrays, st.log, st.base, st.writes, st.dirty = 0, 0, 0, 0, 0
  st.gen_top = st.gen_top + 1
  st.gen = st.gen_top
end

--- Writes a table of a shape that is known as the event: is it one? (KNOWN_MAX of shape.lua, written out.)
local function assign(t)
  local shape = V.shape
  if not shape then return false end
  if shape.assign(t) then return true end
  shape = shape.other
  if not shape then return false end
  if shape.assign(t) then return true end
  shape = shape.other
  if not shape then return false end
  if shape.assign(t) then return true end
  shape = shape.other
  return shape and shape.assign(t)
end

--- `map` returned something other than the view: the event is replaced. Returns whether a row goes on.
function V.take(r)
  if r == nil then return false end
  if type(r) ~= 'table' or r == NULL then
    raise('type', 'map must return the event, a table or nil, got a ' .. (r == NULL and 'null' or type(r)))
  end
  if owner[r] == root then return true end
  if owner[r] then
    r = value.text(r)
  else
    if assign(r) then return true end
    lib.shape.learn(V, r)
  end
  V.replace(r)
  return true
end

--- A new state of the overlay over an empty event.
function V.replaced()
  fresh()
  st.row = EMPTY_ROW
end

--- The event becomes this plain table, or the object of this text.
function V.replace(t)
  if lib.is_text(t) then
    V.fresh_ordered()
    spread(root, t.text)
    return
  end
  t = value.settle(t)
  V.replaced()
  for k, v in rawnext, t do
    if type(k) ~= 'string' then
      raise('type', "an event's keys must be strings, found a " .. type(k) .. ' key')
    end
    local child = root.kids[k] or learn(root, k)
    if child.rule and v ~= NULL then v = child.rule.write(child, v) end
    put_value(child, v, 1)
  end
end
-- Forks -----------------------------------------------------------------

function V.restore(row, gen, writes, base, log)
  if st.log ~= log then undo(log) end
  st.row, st.gen, st.writes, st.base = row, gen, writes, base
end

V.put, V.put_value, V.fresh = put, put_value, fresh
