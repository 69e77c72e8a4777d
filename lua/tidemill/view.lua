--[[
view.lua - the event as a user function sees it: one reused proxy whose __index reads the current row's
columns, and an overlay for what was written.

This text is loaded anew for every view (see codegen.lua), so that each pipeline owns its accessors and its
traces. Everything here may run inside a compiled loop: no closures, no patterns, no table.sort per event.

  node   a field of this view: { name, parent, slot, cells, col, kids, ... }; the root is the event
  slot   where a node's written value lies: vals[slot], in force while gens[slot] == st.gen
  value  a plain Lua value, or one of the specials (tables): REMOVED, NULL, OBJECT (an object without base:
         its members are written slots), { order = nodes } (the same, its members in that order), { raw = node } (the
         base's value of that node, bytes untouched), a text (lib.text: JSON that becomes one of the above when it
         is an object and looked into), SPAN and ROW (what C wrote, or an object as JSON, that lies in the slot alone, for this event)

A generation is one state of the overlay. A new event, a replaced base (`map` returned a table) and `select`
start a new one; a fork goes back to the one it began with by undoing its log. So copy on write at forks and
taking back a failing event's writes are one mechanism. A generation that is no whole number keeps the order in which
its members were written (`select`, an event handed on as text).
]]

local lib, spec = ...
local C, ffi, bit = lib.C, lib.ffi, lib.bit
local ffi_string = ffi.string
local band, rshift = bit.band, bit.rshift
local type, setmetatable = type, setmetatable
local NULL, REMOVED, OBJECT, SPAN, ROW = lib.NULL, lib.REMOVED, lib.OBJECT, lib.SPAN, lib.ROW
local EMPTY_ROW, EMPTY_CELLS = lib.EMPTY_ROW, lib.EMPTY_CELLS
local scratch, raise = lib.scratch, lib.raise
local value = lib.value
local batch, fields = spec.batch, spec.fields
local owner = lib.owner
local LEARN_MAX = 256

-- values of msgpack and CSV become JSON text when they are looked at as text (view_out.lua)
local packed = batch and batch.format ~= C.TM_FORMAT_JSON
local place = ffi.new 'struct tm_view'
-- a pointer is a constant to the compiler, a struct is not
local st = ffi.cast('struct tm_view *', place)
local found = ffi.new 'struct tm_cell[1]'
local overlay = C.tm_ffi_overlay_new()
if overlay == nil then raise('memory', 'no memory for a view') end
local gens, written = ffi.cast('double *', overlay.gens), ffi.cast('int32_t *', overlay.written)
local slots_c = ffi.cast('struct tm_slot *', overlay.slots)
local vals, nodes = {}, {}
local SLOTS_MAX = C.TM_SLOTS_MAX - 1
local arr_node, arr_table, arr_text = {}, {}, {}
local learned, slots = 0, 0
local V = { st = st, place = place, batch = batch }
local make_view, put, read_base, read_written, eff

st.row, st.time = EMPTY_ROW, 0 / 0
st.gen, st.gen_top = 1, 1

-- Nodes -----------------------------------------------------------------

local function sorted_insert(list, node)
  local i = #list
  while i > 0 and list[i].name > node.name do
    list[i + 1] = list[i]
    i = i - 1
  end
  list[i + 1] = node
end

local function new_node(parent, name, id)
  if slots >= SLOTS_MAX then
    raise('too-many-fields', 'an event with more than 65535 distinct field names cannot be handled in Lua')
  end
  slots = slots + 1
  gens[slots], vals[slots] = 0, false
  local node = {
    name = name, len = #name, parent = parent, slot = slots, id = id,
    cells = EMPTY_CELLS, col = false, strs = lib.EMPTY_STRINGS, words = lib.EMPTY_STRINGS, codes = lib.EMPTY_CODES,
    typ = false, rule = false, typed = false, exact = false,
    view = false, kids = {}, readers = {}, writers = {}, extra = false, sorted = {},
    patch = false, raw = false, top = false, seen = 0, V = V,
  }
  nodes[slots] = node
  node.raw = { raw = node }
  node.top = parent.parent and parent.top or node
  if id and id >= 0 then
    node.col = C.tm_ffi_fields_cells(fields, id)
    node.cells = node.col
    node.strs, node.words = spec.strings(id), spec.words(id)
  end
  if C.tm_ffi_overlay_field(overlay, slots, name, #name, node.col or nil, parent.parent and 0 or 1) ~= 0 then
    raise('memory', 'no memory for a field')
  end
  return node
end

local root = {
  name = '', len = 0, parent = false, slot = 0, id = 0, cells = EMPTY_CELLS, col = false, strs = false, typ = false,
  rule = false, view = false, kids = {}, readers = {}, writers = {}, extra = false, sorted = {}, patch = false, raw = false,
  top = false, V = V,
}
V.root = root

--- The node of member `name` under `node`, made if new. A name written in the script keeps its column for good;
--- beyond 256 names met as data a node lives for some events and reads the event's bytes.
local function learn(node, name, static)
  if type(name) ~= 'string' then return nil end
  local extra = node.extra
  if extra and extra[name] then return extra[name] end
  if static or learned < LEARN_MAX then
    local id = -1
    if fields then
      id = C.tm_ffi_fields_add(fields, node.id, name, #name)
      if id >= 0 and batch.rows > 0 then C.tm_ffi_batch_fill(batch, id) end
    end
    if not fields or id >= 0 then
      if not static then learned = learned + 1 end
      local made = new_node(node, name, id)
      node.kids[name] = made
      sorted_insert(node.sorted, made)
      V.wire(made)
      return made
    end
  end
  local made = new_node(node, name, -1)
  if not extra then extra = {}; node.extra = extra end
  extra[name] = made
  V.transient[#V.transient + 1] = made
  st.extra = #V.transient
  -- the next event begins with begin(), which forgets them when there are many
  if st.base == 0 and st.writes == 0 then st.base = 1 end
  return made
end
V.transient = {}

--- Between events: names met as data beyond the bound are forgotten.
function V.forget()
  local list = V.transient
  for i = #list, 1, -1 do
    local node = list[i]
    node.parent.extra = false
    -- weak keys do not help: the node holds its view
    if node.view then owner[node.view] = lib.KEPT end
    if node.slot == slots then slots = slots - 1 end
    list[i] = nil
  end
  st.extra = 0
end

local function path_of(node)
  local name = node.name
  local p = node.parent
  while p and p.parent do
    name = p.name .. '.' .. name
    p = p.parent
  end
  return name
end
V.path_of = path_of

-- Reading ---------------------------------------------------------------

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch '%a+' do keywords[word] = true end

local function fail_bigint(node, text)
  local advice = 'its digits can be read only at the top level of an event, with :schema'
  if node.parent == root then
    local key = node.name:find '^[%a_][%w_]*$' and not keywords[node.name] and node.name or "['" .. node.name .. "']"
    advice = 'declare :schema { ' .. key .. " = 'int64' } to read its digits"
  end
  raise('bigint', "field '" .. path_of(node) .. "' holds " .. text ..
    ', an integer outside +-2^53 that a Lua number would round; ' .. advice)
end
V.fail_bigint = fail_bigint

local function unescape(text, len)
  scratch.len = 0
  if C.tm_ffi_json_unescape(text, len, scratch) ~= 0 then raise('memory', 'a string is too long to read') end
  return ffi_string(scratch.data, scratch.len)
end

--- An array is a plain table, made at its first read in a call; sync() compares it when the call returns.
local function array(node, text)
  local n = st.arrays
  for i = 1, n do
    if arr_node[i] == node then return arr_table[i] end
  end
  local made = value.decode(text, node)
  n = n + 1
  arr_node[n], arr_table[n], arr_text[n] = node, made, text
  st.arrays, st.dirty = n, 1
  return made
end

--- A string made for `row` stays: until the next batch, or for good where the column knows it by an id.
local function keep(node, row, s)
  if spec.once then return end
  local id = node.codes[row]
  if id ~= 0 then
    node.words[id] = s
    return
  end
  local strs = node.strs
  strs[row], strs.used = s, true
end

--- What is not a plain number: the cell's kind decides.
local function read_cell(node, text, off, tag, num, row)
  local kind = band(tag, 15)
  local typ = node.typ
  -- of CSV, what is not of its type is a text until :schema says so
  if typ and kind > 1 and not (node.typed and (kind == 7 or kind == 8)) then
    return (typ.read(node, kind, ffi_string(text + off, rshift(tag, 4)), num))
  end
  if kind == 7 then
    local s = ffi_string(text + off, rshift(tag, 4))
    -- a declared field has no strings of its own
    if row >= 0 and not typ then keep(node, row, s) end
    return s
  elseif kind == 0 or kind == 1 then
    return nil
  elseif kind == 2 then
    return false
  elseif kind == 3 then
    return true
  elseif kind == 9 then
    return node.view or make_view(node)
  elseif kind == 8 then
    local s = unescape(text + off, rshift(tag, 4))
    if row >= 0 and not typ then keep(node, row, s) end
    return s
  elseif kind == 10 then
    return (array(node, ffi_string(text + off, rshift(tag, 4))))
  elseif kind == 11 then
    return (value.opaque(ffi_string(text + off, rshift(tag, 4))))
  elseif kind == 5 then
    fail_bigint(node, ffi_string(text + off, rshift(tag, 4)))
  elseif kind == 6 then
    raise('number-range', "field '" .. path_of(node) .. "' holds " .. ffi_string(text + off, rshift(tag, 4)) ..
      ", a number beyond a double's range")
  end
  return num
end

--- The base's value of `node` in `row`, through its column or, without one, from the event's bytes.
function read_base(node, row)
  if row == EMPTY_ROW then return nil end
  local col = node.col
  if col then
    local tag, limit = col[row].tag, node.exact
    if limit then
      local v = col[row].num
      if v < limit and v > -limit then return v end
    end
    if band(tag, 15) == 4 and not node.typ then
      if C.tm_ffi_fields_want_number(fields, node.id) == 1 then C.tm_ffi_batch_fill(batch, node.id) end
      local v = col[row].num
      if v == v then return v end
      C.tm_ffi_batch_fill(batch, node.id)
      return col[row].num
    end
    -- a string's bytes are its text already
    if packed and (band(tag, 15) ~= 7 and band(tag, 15) > 3) then
      V.to_text(col + row)
      tag = col[row].tag
    end
    return (read_cell(node, batch.raw, col[row].off, tag, col[row].num, row))
  end
  local text, len = V.base_text(node.parent, row)
  if not text then return nil end
  C.tm_ffi_json_find(text, len, node.name, node.len, found)
  return (read_cell(node, text, found[0].off, found[0].tag, found[0].num, -1))
end

--- Puts the members of an object's JSON text below `node`, bytes untouched; returns their nodes in order.
local function spread(node, text)
  local cells, n, base = value.tape(text)
  local list, texts, i = {}, {}, 1
  while i < n do
    local name = value.cell_text(base, cells[i])
    local kind, off, len, num = band(cells[i + 1].tag, 15), cells[i + 1].off, rshift(cells[i + 1].tag, 4), cells[i + 1].num
    local stop = off + len
    if kind == 7 or kind == 8 or kind == 11 then off, len = off - 1, len + 2 end
    local child = node.kids[name] or learn(node, name)
    local made = lib.text(ffi_string(base + off, len), kind, num, false)
    if child.rule then V.accept(child, made) end
    put(child, made)
    list[#list + 1], texts[#texts + 1] = child, made
    i = i + 2
    while i < n and cells[i].off < stop do i = i + 1 end
  end
  return list, texts
end
V.spread = spread

--- Nothing written below `node` in this generation holds.
local function clear_below(node)
  local kids = node.sorted
  for i = 1, #kids do
    if gens[kids[i].slot] == st.gen then put(kids[i], REMOVED) end
  end
  if node.extra then
    for i = st.base + 1, st.base + st.writes do
      local child = nodes[written[i]]
      if child.parent == node then put(child, REMOVED) end
    end
  end
end

--- An object written as text becomes written members, in its order. The text stays, for as long as they are unchanged.
local function expand(node, v)
  put(node, OBJECT)
  clear_below(node)
  local list, texts = spread(node, v.text)
  vals[node.slot] = { order = list, texts = texts, from = v }
end

local function written_in(node)
  local kids = node.sorted
  for i = 1, #kids do
    if gens[kids[i].slot] == st.gen then return true end
  end
  if node.extra then
    for i = st.base + 1, st.base + st.writes do
      if nodes[written[i]].parent == node then return true end
    end
  end
  return false
end

--- The base node and row an object's members are read from, given what was written; row EMPTY_ROW: no base.
function eff(node)
  local parent = node.parent
  if not parent then return node, st.row end
  if gens[node.slot] == st.gen then
    local v = vals[node.slot]
    if type(v) == 'table' then
      if v == ROW then v = V.span(node) end
      if v.raw then return v.raw, st.home end
      if v.kind == 9 then expand(node, v) end
    end
    return node, EMPTY_ROW
  end
  local pbase, row = eff(parent)
  if row == EMPTY_ROW or pbase == parent then return node, row end
  local base = pbase.kids[node.name] or learn(pbase, node.name)
  return base, row
end

--- The value that lies at `base`, read as that of `node`: objects and arrays belong to the field they are read from.
local function read_from(node, base, row)
  local kind, p, len = V.cell(base, row)
  if kind == 9 then return node.view or make_view(node) end
  if kind == 10 then return (array(node, ffi_string(p, len))) end
  return (read_base(base, row))
end

--- What a SPAN is, a string mostly, or the text of a ROW: from now on the slot's value.
function V.span(node)
  local slot = node.slot
  local kind = slots_c[slot].kind
  if kind ~= C.TM_SLOT_STRING and kind ~= C.TM_SLOT_TEXT then
    local v = NULL
    if kind == C.TM_SLOT_NUMBER then v = slots_c[slot].num
    elseif kind ~= C.TM_SLOT_NULL then v = kind == C.TM_SLOT_TRUE end
    vals[slot] = v
    return v
  end
  local text = ffi_string(slots_c[slot].text, slots_c[slot].len)
  if vals[slot] == ROW then text = lib.text(text, 9) end
  vals[slot] = text
  return text
end

local function read_special(node, v)
  if v == SPAN then
    v = V.span(node)
    if v == NULL then return nil end
    return v
  end
  if v == ROW or v == OBJECT or v.order then return node.view or make_view(node) end
  if v == NULL or v == REMOVED then return nil end
  local kind = v.kind
  if kind then
    local typ = node.typ or v.typ
    if typ and kind ~= 1 then
      local quoted = kind == 7 or kind == 8
      return (typ.read(node, kind, quoted and v.text:sub(2, -2) or v.text, v.num or 0 / 0))
    end
    if kind == 9 then return node.view or make_view(node) end
    if kind == 10 then return (array(node, v.text)) end
    if kind == 1 then return nil end
    if v.got == nil then v.got = value.decode(v.text, node) end
    return v.got
  end
  return (read_from(node, v.raw, st.home))
end

--- A member of a ROW, read where it lies; false: it is an object or array, which is a part of its text.
local function read_in_row(node, parent)
  local s = slots_c[parent.slot]
  C.tm_ffi_json_find(s.text, s.len, node.name, node.len, found)
  local kind = band(found[0].tag, 15)
  if kind == 9 or kind == 10 then return false end
  return true, read_cell(node, s.text, found[0].off, found[0].tag, found[0].num, -1)
end

function read_written(node)
  local slot = node.slot
  if gens[slot] == st.gen then
    local v = vals[slot]
    if type(v) ~= 'table' then return v end
    return (read_special(node, v))
  end
  local parent = node.parent
  local base, row = parent, st.row
  if parent.parent then
    if gens[parent.slot] == st.gen and vals[parent.slot] == ROW then
      local known, v = read_in_row(node, parent)
      if known then return v end
    end
    base, row = eff(parent)
    if gens[slot] == st.gen then return (read_written(node)) end
  end
  if row == EMPTY_ROW then return nil end
  if base == parent then
    local v = node.cells[row].num
    if v == v then return v end
    return (read_base(node, row))
  end
  return (read_from(node, base.kids[node.name] or learn(base, node.name), row))
end

--- Does the object at `node` hold a null there?
function V.is_null(node, name)
  if type(name) ~= 'string' then return false end
  local base, row = eff(node)
  local child = node.kids[name] or node.extra and node.extra[name]
  if child and gens[child.slot] == st.gen then
    local v = vals[child.slot]
    if v == NULL then return true end
    if type(v) ~= 'table' then return false end
    if v.raw then return (V.cell(v.raw, st.home)) == 1 end
    return v.kind == 1
  end
  if row == EMPTY_ROW then return false end
  local text, len = V.base_text(base, row)
  if not text then return false end
  C.tm_ffi_json_find(text, len, name, #name, found)
  return band(found[0].tag, 15) == 1
end

--- Pointer and length of an object's own text in a row; nil if it is no object there.
function V.base_text(node, row)
  if row == EMPTY_ROW then return nil end
  if not node.parent then return V.event_text(row) end
  if node.col then
    if band(node.col[row].tag, 15) ~= 9 then return nil end
    if packed then V.to_text(node.col + row) end
    local tag = node.col[row].tag
    return batch.raw + node.col[row].off, rshift(tag, 4)
  end
  local text, len = V.base_text(node.parent, row)
  if not text then return nil end
  C.tm_ffi_json_find(text, len, node.name, node.len, found)
  if band(found[0].tag, 15) ~= 9 then return nil end
  return text + found[0].off, rshift(found[0].tag, 4)
end

--- What the base holds at `node`: kind, pointer, length (strings: without quotes), number; kind 0: nothing.
function V.cell(node, row)
  if row == EMPTY_ROW then return 0 end
  if node.col then
    if packed then V.to_text(node.col + row) end
    local cell = node.col[row]
    return band(cell.tag, 15), batch.raw + cell.off, rshift(cell.tag, 4), cell.num
  end
  local text, len = V.base_text(node.parent, row)
  if not text then return 0 end
  C.tm_ffi_json_find(text, len, node.name, node.len, found)
  return band(found[0].tag, 15), text + found[0].off, rshift(found[0].tag, 4), found[0].num
end

--- The base's value at `node` as a text; nil if it is absent.
function V.text_of(node)
  local kind, p, len, num = V.cell(node, st.home)
  if kind == 0 then return nil end
  if kind == 7 or kind == 8 or kind == 11 then p, len = p - 1, len + 2 end
  -- NaN and the infinities are what their note says
  if packed and kind == 4 and num - num ~= 0 then p, len = p - 2, len + 2 end
  return lib.text(ffi_string(p, len), kind, num, node.typ)
end

V.gens, V.vals, V.written, V.nodes, V.overlay, V.slots = gens, vals, written, nodes, overlay, slots_c
V.learn, V.eff, V.read_base, V.unescape, V.packed = learn, eff, read_base, unescape, packed
V.expand, V.clear_below, V.written_in = expand, clear_below, written_in
V.arr_node, V.arr_table, V.arr_text = arr_node, arr_table, arr_text
lib.load 'tidemill.view_write' (lib, spec, V)
put = V.put
local write = V.write

-- The proxies -----------------------------------------------------------

--- The functions that read and write this field; again when a type was declared for it.
function V.wire(node)
  local parent = node.parent
  parent.readers[node.name], parent.writers[node.name] =
    lib.load 'tidemill.view_field' (V, node, read_special, read_written, read_base)
end

local stray = { name = '', len = 0, parent = false, typ = false, V = V }

--- Reads a member without a node of its own, for names beyond the bound. false: it is an object or array, or is
--- known by now; then a node is needed.
local function peek(node, name)
  local base, row = eff(node)
  local extra = node.extra
  if extra and extra[name] or node.kids[name] then return false end
  if row == EMPTY_ROW then return true, nil end
  local text, len = V.base_text(base, row)
  if not text then return true, nil end
  C.tm_ffi_json_find(text, len, name, #name, found)
  local kind = band(found[0].tag, 15)
  if kind == 9 or kind == 10 then return false end
  stray.name, stray.parent = name, node
  return true, read_cell(stray, text, found[0].off, found[0].tag, found[0].num, -1)
end

local function accessors(node)
  local readers, writers = node.readers, node.writers
  local function index(_, k)
    local read = readers[k]
    if read then return (read()) end
    if learned >= LEARN_MAX and type(k) == 'string' then
      local known, v = peek(node, k)
      if known then return v end
    end
    local n = learn(node, k)
    if n == nil then return nil end
    if st.writes ~= 0 then return (read_written(n)) end
    return (read_base(n, st.row))
  end
  local function newindex(_, k, v)
    local assign = writers[k]
    if assign then return (assign(v)) end
    local n = learn(node, k)
    if n == nil then raise('type', "an event's field names are strings, got a " .. type(k)) end
    return (write(node, n, v))
  end
  return index, newindex
end

function make_view(node)
  local index, newindex = accessors(node)
  local mt = { __index = index, __newindex = newindex, __metatable = 'event' }
  local proxy = setmetatable({ [lib.VIEW] = true }, mt)
  if node == root then V.meta = mt end
  owner[proxy] = node
  node.view = proxy
  return proxy
end
V.event = make_view(root)

--- A node for a name written in the script; wants: 'number' when Lua code will read it.
function V.field(name)
  return root.kids[name] or learn(root, name, true)
end

V.make_view = make_view
return V
