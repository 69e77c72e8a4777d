--[[
view_steps.lua - steps that are data, on a view: select, drop, rename, set, schema, key_by.
Loaded anew for every view, with its view.lua (see there).
]]

local lib, spec, V = ...
local C, ffi, bit = lib.C, lib.ffi, lib.bit
local ffi_string, band, rshift = ffi.string, bit.band, bit.rshift
local type = type
local NULL, REMOVED, OBJECT = lib.NULL, lib.REMOVED, lib.OBJECT
local EMPTY_ROW, EMPTY_CELLS = lib.EMPTY_ROW, lib.EMPTY_CELLS
local value, types, raise = lib.value, lib.types, lib.raise
local batch, fields = spec.batch, spec.fields
local st, gens, vals, written, root = V.st, V.gens, V.vals, V.written, V.root
local put, put_value, read_base, fresh, make_view, write = V.put, V.put_value, V.read_base, V.fresh, V.make_view, V.write

-- Steps written as data -------------------------------------------------

local gathered = {}

--- What node holds now, as a value for put(); nil if absent.
local function current(node)
  if st.writes ~= 0 and gens[node.slot] == st.gen then
    local v = vals[node.slot]
    if v == REMOVED then return nil end
    if v == OBJECT then return value.copy(node.view or make_view(node)) end
    return v
  end
  local row = st.row
  if row == EMPTY_ROW then return nil end
  if node.parent == root and st.writes ~= 0 and node.patch and V.touched(node) then
    return value.copy(node.view or make_view(node))
  end
  if node.col then
    if band(node.col[row].tag, 15) == 0 then return nil end
    return node.raw
  end
  return read_base(node, row)
end

--- Has anything below this top-level node been written in this generation?
function V.touched(node)
  for i = st.base + 1, st.base + st.writes do
    local n = V.nodes[written[i]]
    if n.top == node and n ~= node then return true end
  end
  return false
end

function V.select(nodes, n)
  for i = 1, n do
    local v = current(nodes[i])
    if v == nil then gathered[i] = REMOVED else gathered[i] = v end
  end
  fresh()
  st.row = EMPTY_ROW
  V.ordered = st.gen
  for i = 1, n do
    local v = gathered[i]
    if v ~= REMOVED then
      if type(v) == 'table' and not v.raw and not v.arr and v ~= NULL then put_value(nodes[i], v, 1) else put(nodes[i], v) end
    end
  end
end

function V.drop(nodes, n)
  for i = 1, n do put(nodes[i], REMOVED) end
end

function V.rename(from, to, n)
  for i = 1, n do
    local v = current(from[i])
    if v == nil then gathered[i] = REMOVED else gathered[i] = v end
  end
  for i = 1, n do
    if gathered[i] ~= REMOVED then put(from[i], REMOVED) end
  end
  for i = 1, n do
    local v = gathered[i]
    if v ~= REMOVED then
      if type(v) == 'table' and not v.raw and not v.arr and v ~= NULL then put_value(to[i], v, 1) else put(to[i], v) end
    end
  end
end

function V.set(node, v)
  write(root, node, v)
end
-- Types and keys ---------------------------------------------------------

--- :schema: what the field must be, and what reading and writing it means from here on.
function V.declare(node, typ)
  node.rule = typ
  if typ.special then
    node.typ = typ
    if not typ.numeric then node.cells = EMPTY_CELLS end
    if typ.numeric and fields and node.id >= 0 then C.tm_ffi_fields_want_number(fields, node.id) end
  end
  V.wire(node)
end

local function verify_written(node, v)
  local typ = node.rule
  if type(v) ~= 'table' then
    typ.write(node, v)
  elseif v.raw then
    return false
  elseif v ~= NULL and v ~= REMOVED and typ.name ~= 'any' then
    types.wrong(node, typ, v == OBJECT and 'an object' or 'an array')
  end
  return true
end

--- Every declared field of this event has its type, or the event fails.
function V.verify(nodes, n)
  local written_any = st.writes ~= 0
  for i = 1, n do
    local node = nodes[i]
    local row, col = st.row, node.col
    local done = false
    if written_any and gens[node.slot] == st.gen then
      local v = vals[node.slot]
      done = verify_written(node, v)
      if not done then row, col = st.home, v.raw.col end
    end
    if not done and row ~= EMPTY_ROW and col then
      local typ = node.rule
      local tag = col[row].tag
      local kind = band(tag, 15)
      if band(typ.kinds, bit.lshift(1, kind)) == 0 then
        types.wrong(node, typ, types.kind_name(kind))
      end
      if typ.verify and kind > 1 then
        typ.verify(node, kind, ffi_string(batch.raw + col[row].off, rshift(tag, 4)), col[row].num)
      end
    end
  end
end

--- The key a field gives: large integers by their digits.
function V.key_of(node)
  if st.writes == 0 and node.col and st.row ~= EMPTY_ROW and band(node.col[st.row].tag, 15) == 5 then
    return ffi_string(batch.raw + node.col[st.row].off, rshift(node.col[st.row].tag, 4))
  end
  return V.key_value(root.view[node.name], node.name)
end

function V.key_list(nodes, n)
  local key = {}
  for i = 1, n do
    local v = V.key_of(nodes[i])
    if v == nil then return nil end
    key[nodes[i].name] = v
  end
  return key
end

function V.key_value(v, name)
  local t = type(v)
  if t == 'number' or t == 'string' or t == 'boolean' or t == 'nil' then
    if v ~= v then raise('type', "the key '" .. name .. "' is NaN") end
    return v
  end
  raise('type', "the key '" .. name .. "' must be a string, number or boolean, got a " .. t)
end

function V.no_key(name)
  raise('missing-key', "the event has no key '" .. name .. "'; give key_by { missing = 'drop' } or 'keep' to let such events pass")
end
