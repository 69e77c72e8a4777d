--[[
view_steps.lua - steps that are data, on a view: select, drop, rename, set, schema, key_by.
Loaded anew for every view, with its view.lua (see there).
]]

local lib, spec, V = ...
local C, ffi, bit = lib.C, lib.ffi, lib.bit
local ffi_string, band, rshift = ffi.string, bit.band, bit.rshift
local type, rawnext, getmetatable = type, next, getmetatable
local NULL, REMOVED, OBJECT, SPAN, ROW = lib.NULL, lib.REMOVED, lib.OBJECT, lib.SPAN, lib.ROW
local EMPTY_ROW, EMPTY_CELLS = lib.EMPTY_ROW, lib.EMPTY_CELLS
local tonumber = tonumber
local value, types, raise = lib.value, lib.types, lib.raise
local batch, fields = spec.batch, spec.fields
local st, gens, vals, root = V.st, V.gens, V.vals, V.root
local put, make_view = V.put, V.make_view
local packed = batch and batch.format == C.TM_FORMAT_MSGPACK

-- Steps written as data -------------------------------------------------

local gathered = {}

--- A value of a declared type as text, so that it stays what it is under another name.
local function typed_text(node, v)
  local buf = lib.encode_buf
  buf.len = 0
  if node.typ.encode(buf, v) ~= 0 then raise('row-too-large', 'a value is too large to be written') end
  return (lib.text(ffi_string(buf.data, buf.len), 4, tonumber(v), node.typ))
end

--- What node holds now, as a value for put(); nil if absent.
local function current(node)
  if st.writes ~= 0 then
    if gens[node.slot] == st.gen then
      local v = vals[node.slot]
      if v == REMOVED then return nil end
      if v == SPAN or v == ROW then v = V.span(node) end
      if type(v) ~= 'table' then
        return node.typ and typed_text(node, v) or v
      end
      if v == OBJECT or v.order or (v.raw and node.view and V.written_below(node)) then
        return (value.text(node.view or make_view(node)))
      end
      return v
    end
    if node.view and st.row ~= EMPTY_ROW and V.written_below(node) then return (value.text(node.view)) end
  end
  local row = st.row
  if row == EMPTY_ROW then return nil end
  if node.col then
    if band(node.col[row].tag, 15) == 0 then return nil end
    return node.raw
  end
  return (V.text_of(node))
end

V.current = current

--- The same, for put() at this very node: a row of a table stays where it lies.
local function kept(node)
  if st.writes ~= 0 and vals[node.slot] == ROW and gens[node.slot] == st.gen then return ROW end
  return current(node)
end
V.kept = kept

function V.select(nodes, n)
  for i = 1, n do
    local v = kept(nodes[i])
    if v == nil then gathered[i] = REMOVED else gathered[i] = v end
  end
  V.fresh_ordered()
  for i = 1, n do
    local v = gathered[i]
    if v ~= REMOVED then put(nodes[i], v) end
  end
end

function V.remove(node) put(node, REMOVED) end

--- The second half of a rename: the value under its new name.
function V.renamed(to, v)
  if to.rule then
    v = V.accept(to, v)
    -- read and written by the new name's type from here on
    if type(v) == 'table' and v.raw then v = V.text_of(v.raw) end
    if type(v) == 'table' and v.text then v = lib.text(v.text, v.kind, v.num) end
  end
  V.put_whole(to, v)
end

-- Types and keys ---------------------------------------------------------

local csv = batch and (batch.format == C.TM_FORMAT_CSV or batch.format == C.TM_FORMAT_LINES)

--- A field of CSV that is declared to be no text has a column of its own, where its text is read as that.
local function read_as(node, class)
  local id = C.tm_ffi_fields_typed(fields, node.id, class)
  if st.types == nil then st.types = C.tm_ffi_types_new(fields) end
  if id < 0 or st.types == nil or C.tm_ffi_types_add(st.types, id) ~= 0 then raise('memory', 'no memory for a field') end
  node.id, node.col = id, C.tm_ffi_fields_cells(fields, id)
  node.cells, node.strs, node.words = node.col, spec.strings(id), spec.words(id)
  node.typed = true
  if batch.rows > 0 then C.tm_ffi_batch_fill(batch, id) end
  if C.tm_ffi_overlay_field(V.overlay, node.slot, node.name, node.len, node.col, 1) ~= 0 then raise('memory', 'no memory for a field') end
end

--- :schema: what the field must be, and what reading and writing it means from here on.
function V.declare(node, typ)
  if csv and typ.text and node.col then
    typ = types.from_text(typ)
    if not node.typed then read_as(node, typ.text) end
  end
  node.rule = typ
  if typ.special then
    node.typ, node.exact = typ, typ.exact or false
    node.cells, node.strs, node.words = EMPTY_CELLS, lib.EMPTY_STRINGS, lib.EMPTY_STRINGS
    node.codes = lib.EMPTY_CODES
    if typ.places then V.overlay.fields[node.slot].decimals = typ.places end
  end
  if typ.numeric and fields and node.id >= 0 then C.tm_ffi_fields_want_number(fields, node.id) end
  V.wire(node)
end

--- Rows that flat_map makes of this event keep the types declared before it.
function V.inherit(from)
  for name, node in rawnext, from.root.kids do
    if node.rule then V.declare(V.field(name), node.rule) end
  end
end

local function check(node, kind, p, len, num)
  local typ = node.rule
  if node.typed and (kind == 7 or kind == 8) then
    types.wrong(node, typ, len == 0 and "'', an empty text; make it nil before :schema where it means nothing" or
      "'" .. ffi_string(p, len) .. "'")
  end
  if band(typ.kinds, bit.lshift(1, kind)) == 0 then types.wrong(node, typ, types.kind_name(kind)) end
  if typ.verify and kind > 1 then typ.verify(node, kind, p, len, num) end
end

--- A value about to be put at a node with a declared type: checked, and in the form the type wants.
function V.accept(node, v)
  if type(v) ~= 'table' then return (node.rule.write(node, v)) end
  if v == NULL or v == REMOVED then return v end
  if v.raw then
    check(node, V.cell(v.raw, st.home))
  elseif v.text then
    local p, len = ffi.cast('const char *', v.text), #v.text
    if v.kind == 7 or v.kind == 8 then p, len = p + 1, len - 2 end
    check(node, v.kind, p, len, v.num or 0 / 0)
  else
    check(node, 9, nil, 0, 0 / 0)
  end
  return v
end

--- A declared field of this event has its type, or the event fails.
function V.verify(node)
  local row = st.row
  if st.writes ~= 0 and gens[node.slot] == st.gen then
    local v = vals[node.slot]
    V.accept(node, (v == SPAN or v == ROW) and V.span(node) or v)
  elseif row ~= EMPTY_ROW then
    local col = node.col
    if col then
      if packed and band(col[row].tag, 15) > 3 then V.to_text(col + row) end
      local tag = col[row].tag
      check(node, band(tag, 15), batch.raw + col[row].off, rshift(tag, 4), col[row].num)
    else
      check(node, V.cell(node, row))
    end
  end
end

--- The key a field gives. An integer beyond 2^53 is a text of its digits, which is no string; one declared int64 is read as
--- digits whatever its size.
function V.key_of(node)
  local rule = node.rule
  if rule and rule.digits then return (V.key_value(root.view[node.name], node.name)) end
  if not (st.writes ~= 0 and gens[node.slot] == st.gen) then
    local row, col = st.row, node.col
    if col and row ~= EMPTY_ROW and band(col[row].tag, 15) == 5 then
      return (V.key_digits(col, row))
    end
  else
    local v = vals[node.slot]
    if type(v) == 'table' then
      if v.raw then v = V.text_of(v.raw) end
      if v and v.kind == 5 then return (lib.text(v.text, 5)) end
    end
  end
  return (V.key_value(root.view[node.name], node.name))
end

--- The digits of an integer beyond 2^53 in a column, as a part of a key.
function V.key_digits(col, row)
  if V.to_text then V.to_text(col + row) end
  return (lib.text(ffi_string(batch.raw + col[row].off, rshift(col[row].tag, 4)), 5))
end

local function as_it_is(k) return k end
local function as_plain(k) return type(k) == 'table' and k.text or k end

local function read_part(node, row, part)
  if band(node.col[row].tag, 15) == 5 then return (part(V.key_digits(node.col, row))) end
  local text = node.words[node.codes[row]] or node.strs[row]
  if text then return text end
  return (part(V.read_base(node, row)))
end

--- The key of the event at hand in Lua's form, wherever it lies; part: what becomes of each of its values.
local function key_form(part)
  local key, row = V.key, st.home
  if key == lib.TURN_KEY then key = V.turn_key() end
  if key == lib.BYTES_KEY then key = V.bytes_key() end
  if key == lib.ROW_KEY then
    local def = V.key_def
    if not def.composite then return (read_part(def.nodes[1], row, part)) end
    local form = {}
    for i, name in ipairs(def.names) do form[name] = read_part(def.nodes[i], row, part) end
    return form
  end
  if type(key) ~= 'table' or getmetatable(key) then return (part(key)) end
  local form = {}
  for name, k in rawnext, key do form[name] = part(k) end
  return form
end

--- For dead letters: integers beyond 2^53 are integers.
function V.key_letter() return (key_form(as_it_is)) end

--- For scripts: such an integer is the string of its digits.
function V.key_now()
  return (key_form(as_plain))
end

--- Writes a part of the key into the field of its name, in the form the field's type wants.
function V.put_key(node, k)
  if node.rule then k = V.accept(node, k) end
  V.put_value(node, k)
end

--- A row of a script's own with a field of the key's name: the digits that scripts know of an integer leave as the integer.
function V.own_key(node, k)
  if gens[node.slot] == st.gen and vals[node.slot] == k.text then put(node, k) end
end

--- The same of a key that lies in a column of `base`, another view.
function V.own_digits(node, base, col, row)
  if gens[node.slot] ~= st.gen or type(vals[node.slot]) ~= 'string' then return end
  V.own_key(node, base.key_digits(col, row))
end

--- A function that gives the event's key of several fields: a table by name, or nil where one of them is absent. Written out for
--- just these fields: a loop would end the trace of the batch. The table is the same one for every event, as nobody has a key for
--- longer: who gives it to scripts copies it (key_form).
function V.key_list(nodes)
  local params, steps, members, sets = { 'key_of' }, {}, {}, {}
  for i, node in ipairs(nodes) do
    params[i + 1] = 'n' .. i
    steps[i] = ('local k%d = key_of(n%d) if k%d == nil then return nil end'):format(i, i, i)
    members[i] = ('[%q] = false'):format(node.name)
    sets[i] = ('key[%q] = k%d'):format(node.name, i)
  end
  local text = ('local %s = ... local key = { %s } return function() %s %s return key end'):format(table.concat(params, ', '),
    table.concat(members, ', '), table.concat(steps, ' '), table.concat(sets, ' '))
  return assert(loadstring(text, '=tidemill.view'))(V.key_of, unpack(nodes))
end

--- The same as bytes in `key` where that needs no strings: then the function gives BYTES_KEY, else what `list` gives.
---@param key ffi.cdata* struct tm_key
---@param list function of key_list
function V.key_bytes(nodes, key, list)
  --- Appends what the field holds: 0, or what `list` is there for.
  local function append(node)
    if st.writes ~= 0 and gens[node.slot] == st.gen then
      local v = vals[node.slot]
      local t = type(v)
      if t == 'string' then return (C.tm_ffi_key_string(key, v, #v)) end
      if t == 'number' then return (C.tm_ffi_key_number(key, v)) end
      return 1
    end
    local row, col = st.row, node.col
    if row == EMPTY_ROW then return 1 end
    local kind = band(col[row].tag, 15)
    if kind == 7 or kind == 8 or kind == 4 then return (C.tm_ffi_key_cell(key, batch, col, row)) end
    return 1
  end
  local params, steps = { 'append', 'key', 'list', 'BYTES_KEY' }, {}
  for i = 1, #nodes do
    params[i + 4] = 'n' .. i
    steps[i] = ('if append(n%d) ~= 0 then return (list()) end'):format(i)
  end
  local text = ('local %s = ... return function() key.len = 0 %s return BYTES_KEY end'):format(table.concat(params, ', '),
    table.concat(steps, ' '))
  return assert(loadstring(text, '=tidemill.view'))(append, key, list, lib.BYTES_KEY, unpack(nodes))
end

function V.key_value(v, name)
  local t = type(v)
  if t == 'number' then
    if v ~= v then raise('type', "the key '" .. name .. "' is NaN") end
    -- -0 is 0, as in the state
    return v + 0
  end
  if t == 'string' or t == 'boolean' or t == 'nil' then return v end
  raise('type', "the key '" .. name .. "' must be a string, number or boolean, got a " .. t)
end

function V.no_key(name)
  raise('missing-key', "the event has no key '" .. name .. "'; give key_by { missing = 'drop' } or 'keep' to let such events pass")
end

-- Event time -------------------------------------------------------------

local function no_time(node, unit, found)
  raise('type', "field '" .. node.name .. "' is declared event_time '" .. unit .. "', found " .. found)
end

--- The time in a text's bytes; kind: enum tm_kind.
local function time_in(node, kind, p, len, code, unit)
  if kind == 8 then
    p = V.unescape(p, len)
    len = #p
  elseif kind == 11 then
    local v = value.opaque(ffi_string(p, len))
    if v.seconds then return v.seconds * 1000 + (v.nanoseconds - v.nanoseconds % 1e6) / 1e6 end
  end
  local is_text = kind == 7 or kind == 8
  if is_text or ((kind == 4 or kind == 5) and unit ~= 'iso8601') then
    local t = C.tm_ffi_time_text(p, len, code)
    if t == t then return t end
    if kind ~= 8 then p = ffi_string(p, len) end
    return no_time(node, unit, is_text and "'" .. p .. "'" or p)
  end
  no_time(node, unit, types.kind_name(kind))
end

local number_text = ffi.new 'char[32]'

--- The event time a field gives, in ms; wherever its value lies.
---@param code integer enum tm_time_unit
---@param unit string what a script calls it
function V.time_of(node, code, unit)
  local v = current(node)
  local t = type(v)
  if t == 'string' then return time_in(node, 7, v, #v, code, unit)
  elseif t == 'number' then return time_in(node, 4, number_text, C.tm_ffi_number_text(v, number_text), code, unit)
  elseif t == 'nil' then no_time(node, unit, 'nothing')
  elseif t == 'boolean' then no_time(node, unit, 'a boolean') end
  if v == NULL then no_time(node, unit, 'null') end
  if v.raw then
    local kind, p, len = V.cell(v.raw, st.home)
    return time_in(node, kind, p, len, code, unit)
  end
  local p, len = v.text, #v.text
  if v.kind == 7 or v.kind == 8 or v.kind == 11 then
    p, len = p:sub(2, -2), len - 2
  end
  return time_in(node, v.kind, p, len, code, unit)
end
