--[[
value.lua - plain Lua values and JSON text: copies of views, decoded arrays, encoding with keys in byte order, and the
opaque values of msgpack.

Text inside the library may have notes (host/codec/note.h), which keep what JSON cannot say: bytes, extensions, how a number
was packed. M.encode and M.json give text without them.

Tables: a table whose keys are exactly 1..n is an array; an empty one is an array only if it was decoded as one or
made by tm.array. Null inside arrays and decoded tables is tm.null. Depth is bounded by 512, which also ends cycles.
]]

local lib = require 'tidemill.lib'
local C, ffi, bit = lib.C, lib.ffi, lib.bit
local ffi_string = ffi.string
local band, rshift = bit.band, bit.rshift
local NULL, raise, scratch = lib.NULL, lib.raise, lib.scratch
local owner = lib.owner
local DEPTH_MAX = 512

local M = {}

M.DEPTH_MAX = DEPTH_MAX
local tape = ffi.new 'struct tm_tape'
local array_mt = { __metatable = 'array' }
M.array_mt = array_mt

--- Marks a table as an array: `[]` when empty.
function M.array(t)
  if t ~= nil and type(t) ~= 'table' then raise('type', 'tm.array takes a table, got a ' .. type(t)) end
  return setmetatable(t or {}, array_mt)
end

-- Opaque values -----------------------------------------------------------

-- userdata: it has a length, compares, and cannot be written to. What it stands for is kept apart, out of reach.
local held = setmetatable({}, { __mode = 'k' })   -- opaque -> { text, bytes, type }; type false: bytes (bin)
local prototype = newproxy(true)
local opaque_mt = debug.getmetatable(prototype)
local type_out = ffi.new 'int32_t[1]'
local seconds_out, ns_out = ffi.new 'double[1]', ffi.new 'double[1]'
local BYTES = -1000

local function make(text)
  scratch.len = 0
  if C.tm_ffi_note_read(text, #text, scratch, type_out) ~= 0 then raise('memory', 'a value is too long to read') end
  local v = newproxy(prototype)
  held[v] = {
    text = text, bytes = ffi_string(scratch.data, scratch.len), type = type_out[0] ~= BYTES and type_out[0],
  }
  return v
end

--- The value of an opaque text (without its quotes).
M.opaque = make

local function packed(lead, ext_type, s)
  scratch.len = 0
  if C.tm_ffi_note_opaque(scratch, lead, ext_type, s, #s) ~= 0 then raise('memory', 'a value is too long to write') end
  return make(ffi_string(scratch.data + 1, scratch.len - 2))
end

--- Bytes, which msgpack writes as bin and JSON as base64.
function M.bin(s)
  if held[s] and not held[s].type then return s end
  if type(s) ~= 'string' then raise('type', 'tm.bin takes a string, got a ' .. type(s)) end
  return packed(0xc4, 0, s)
end

--- An extension: an integer from -128 to 127 and its bytes.
function M.ext(ext_type, s)
  if type(ext_type) ~= 'number' or ext_type % 1 ~= 0 or ext_type < -128 or ext_type > 127 then
    raise('type', 'tm.ext takes a type from -128 to 127 and a string, got ' .. tostring(ext_type) .. ' as the type')
  end
  if held[s] and not held[s].type then s = held[s].bytes end
  if type(s) ~= 'string' then raise('type', 'tm.ext takes a type and a string, got a ' .. type(s)) end
  return packed(0xd4, ext_type, s)
end

--- A point in time: seconds since 1970 and nanoseconds.
function M.timestamp(s, ns)
  ns = ns or 0
  local buf = lib.encode_buf
  buf.len = 0
  if type(s) ~= 'number' or type(ns) ~= 'number' or C.tm_ffi_timestamp_put(buf, s, ns) ~= 0 then
    raise('type', 'tm.timestamp takes whole seconds and nanoseconds from 0 to 999999999, got ' .. tostring(s) .. ' and ' ..
      tostring(ns))
  end
  return packed(0xd4, C.TM_EXT_TIMESTAMP, ffi_string(buf.data, buf.len))
end

--- An opaque value's bytes, and an extension's type; false: bytes. nil: v is none.
function M.opaque_parts(v)
  local h = held[v]
  if h then return h.bytes, h.type end
end

--- Is v bytes, an extension or a point in time?
function M.is_opaque(v) return held[v] ~= nil end

--- An opaque value as a text for a slot; nil if v is none.
function M.opaque_text(v)
  return held[v] and lib.text('"' .. held[v].text .. '"', 11) or nil
end

local function time_of(h)
  if h.type ~= C.TM_EXT_TIMESTAMP then return nil end
  if C.tm_ffi_timestamp_read(h.bytes, #h.bytes, seconds_out, ns_out) ~= 1 then return nil end
  return seconds_out[0], ns_out[0]
end

--- What people see: bytes themselves; of others what they are.
local function shown(v)
  local h = held[v]
  if not h.type then return h.bytes end
  local s, ns = time_of(h)
  if s then return ('timestamp(%.0f, %d)'):format(s, ns) end
  return ('ext(%d, %d bytes)'):format(h.type, #h.bytes)
end
M.opaque_shown = shown

-- methods of strings, on the bytes
local methods = {}

local function method(name)
  local f = debug.getmetatable('').__index[name]
  if not f then return nil end
  methods[name] = function(v, ...) return debug.getmetatable('').__index[name](held[v].bytes, ...) end
  return methods[name]
end

function opaque_mt.__index(v, name)
  local h = held[v]
  if not h.type then return methods[name] or method(name) end
  if name == 'type' then return h.type end
  if name == 'data' then return h.bytes end
  local s, ns = time_of(h)
  if s and name == 'seconds' then return s end
  if s and name == 'nanoseconds' then return ns end
  return nil
end

function opaque_mt.__newindex() raise('type', 'a value of msgpack cannot be changed; make another: tm.bin, tm.ext, tm.timestamp') end
function opaque_mt.__len(v) return #held[v].bytes end
function opaque_mt.__eq(a, b)
  a, b = held[a], held[b]
  return a ~= nil and b ~= nil and a.type == b.type and a.bytes == b.bytes
end
function opaque_mt.__concat(a, b)
  return (held[a] and shown(a) or a) .. (held[b] and shown(b) or b)
end
function opaque_mt.__lt(a, b)
  local x, y = held[a], held[b]
  if not x or not y or x.type ~= y.type then raise('type', 'cannot compare these two values') end
  local s, ns = time_of(x)
  if s then
    local t, mt = time_of(y)
    if t then return s < t or (s == t and ns < mt) end
  end
  return x.bytes < y.bytes
end
function opaque_mt.__le(a, b) return not opaque_mt.__lt(b, a) end
opaque_mt.__tostring = shown
opaque_mt.__metatable = 'opaque'

-- Decoding --------------------------------------------------------------

--- The text a key or string cell of a tape holds.
local function text_of(base, cell)
  local kind, len = band(cell.tag, 15), rshift(cell.tag, 4)
  if kind == 8 then
    scratch.len = 0
    if C.tm_ffi_json_unescape(base + cell.off, len, scratch) ~= 0 then raise('memory', 'a string is too long to read') end
    return ffi_string(scratch.data, scratch.len)
  end
  return ffi_string(base + cell.off, len)
end

M.cell_text = text_of

local function big(node, where, base, cell, kind)
  local digits = ffi_string(base + cell.off, rshift(cell.tag, 4))
  if kind == 5 and node then node.V.fail_bigint(node, digits) end
  if kind == 6 then
    raise('number-range', where .. ' holds ' .. digits .. ", a number beyond a double's range")
  end
  raise('bigint', where .. ' holds ' .. digits .. ', an integer outside +-2^53 that a Lua number would round')
end

--- Builds the value at tape cell i; returns it and the index behind it. where: of numbers that Lua does not have, for their message; nil:
--- such a number is its digits.
local function build(cells, i, base, where, node)
  local cell = cells[i]
  local kind = band(cell.tag, 15)
  if kind == 4 then return cell.num, i + 1 end
  if kind == 7 or kind == 8 then return text_of(base, cell), i + 1 end
  if kind == 10 then
    local n, t = cell.num, setmetatable({}, array_mt)
    i = i + 1
    for j = 1, n do t[j], i = build(cells, i, base, where) end
    return t, i
  end
  if kind == 9 then
    local n, t = cell.num, {}
    i = i + 1
    for _ = 1, n do
      local key = text_of(base, cells[i])
      t[key], i = build(cells, i + 1, base, where)
    end
    return t, i
  end
  if kind == 1 then return NULL, i + 1 end
  if kind == 2 then return false, i + 1 end
  if kind == 3 then return true, i + 1 end
  if kind == 11 then return make(text_of(base, cell)), i + 1 end
  if not where then return ffi_string(base + cell.off, rshift(cell.tag, 4)), i + 1 end
  return big(node, where, base, cell, kind)
end

-- A Lua string's bytes are not followed by the padding that scanners read, so texts are copied first.

local function to_tape(text)
  local buf = lib.padded
  buf.len = 0
  if C.tm_ffi_buf_put(buf, text, #text) ~= 0 or C.tm_ffi_json_tape(buf.data, #text, tape) ~= 0 then
    raise('memory', 'a nested value is too large to read')
  end
  return buf.data
end

--- The cells of a valid JSON text in pre-order, their number, and what their offsets count from; until the next use.
function M.tape(text)
  local base = to_tape(text)
  return tape.cells, tape.n, base
end

--- The Lua value of a valid JSON text. `node` names the field in messages.
function M.decode(text, node)
  local base = to_tape(text)
  local where = node and ("field '" .. node.V.path_of(node) .. "'") or 'the text'
  return (build(tape.cells, 0, base, where, node and band(tape.cells[0].tag, 15) < 9 and node or nil))
end

--- The same, of any text; integers that Lua would round are strings of digits, as fields of type int64 read.
function M.decode_digits(text)
  local base = to_tape(text)
  return (build(tape.cells, 0, base))
end

local function count(t)
  local n = 0
  for _ in next, t do n = n + 1 end
  return n
end

--- Does t hold what cell i holds? Returns the answer and the index behind the cell (only if true).
local function same(cells, i, base, t)
  local cell = cells[i]
  local kind = band(cell.tag, 15)
  if kind == 4 then return t == cell.num and (t ~= 0 or 1 / t == 1 / cell.num) or t ~= t and cell.num ~= cell.num, i + 1 end
  if kind == 11 then return held[t] ~= nil and held[t].text == text_of(base, cell), i + 1 end
  if kind == 7 or kind == 8 then return t == text_of(base, cell), i + 1 end
  if kind == 1 then return t == NULL, i + 1 end
  if kind == 2 then return t == false, i + 1 end
  if kind == 3 then return t == true, i + 1 end
  if type(t) ~= 'table' or t == NULL or owner[t] then return false, i end
  local n = cell.num
  i = i + 1
  if kind == 10 then
    if #t ~= n or count(t) ~= n or (n == 0 and getmetatable(t) ~= 'array') then return false, i end
    for j = 1, n do
      local ok
      ok, i = same(cells, i, base, t[j])
      if not ok then return false, i end
    end
    return true, i
  end
  if count(t) ~= n or (n == 0 and getmetatable(t) == 'array') then return false, i end
  for _ = 1, n do
    local v = t[text_of(base, cells[i])]
    local ok
    ok, i = same(cells, i + 1, base, v)
    if not ok then return false, i end
  end
  return true, i
end

--- Is table t still what the JSON text says?
function M.equal(t, text)
  local base = to_tape(text)
  return (same(tape.cells, 0, base, t))
end

-- Copying ---------------------------------------------------------------

local copy

local function copy_plain(t, depth)
  if depth > DEPTH_MAX then raise('too-deep', 'a table is nested deeper than 512 (or holds itself)') end
  local out = {}
  if getmetatable(t) == 'array' then setmetatable(out, array_mt) end
  for k, v in next, t do
    out[k] = type(v) == 'table' and copy(v, depth + 1) or v
  end
  return out
end

function copy(v, depth)
  if v == NULL then return v end
  local node = owner[v]
  if not node then return copy_plain(v, depth) end
  local V, out = node.V, {}
  local keys = V.keys(node)
  for i = 1, #keys do
    local key = keys[i]
    local got = v[key]
    if got == nil then
      if V.is_null(node, key) then got = NULL end
    elseif type(got) == 'table' then
      got = copy(got, depth + 1)
    end
    out[key] = got
  end
  return out
end

--- A plain table to keep: nested objects and arrays copied, null as tm.null.
function M.copy(v)
  if type(v) ~= 'table' then return v end
  return copy(v, 1)
end

--- What a view holds now, as JSON text: bytes nobody wrote untouched, nothing read.
function M.text(v)
  local node, buf = owner[v], lib.encode_buf
  buf.len = 0
  node.V.encode_node(node, buf)
  return lib.text(ffi_string(buf.data, buf.len), 9)
end

local function snapshot(v, depth)
  if v == NULL or lib.is_text(v) then return v end
  if owner[v] then return M.text(v) end
  if depth > DEPTH_MAX then raise('too-deep', 'a table is nested deeper than 512 (or holds itself)') end
  local out = {}
  if getmetatable(v) == 'array' then setmetatable(out, array_mt) end
  for k, item in next, v do
    out[k] = type(item) == 'table' and snapshot(item, depth + 1) or item
  end
  return out
end

--- A copy of a row to be written later: tables copied, views as their text.
function M.snapshot(v) return snapshot(v, 1) end

local function holds_view(t, depth)
  for _, v in next, t do
    if type(v) == 'table' and v ~= NULL and (owner[v] or (depth < DEPTH_MAX and holds_view(v, depth + 1))) then return true end
  end
  return false
end

--- The row itself, or a snapshot if it holds views, which are about to change.
function M.settle(t)
  return holds_view(t, 1) and snapshot(t, 1) or t
end

-- Encoding --------------------------------------------------------------

--- Is this plain table an array? Mixed tables raise.
function M.is_array(t)
  if getmetatable(t) == 'array' and next(t) == nil then return true end
  local n = #t
  if n == 0 then
    if next(t) == nil then return getmetatable(t) == 'array' end
    return false
  end
  if count(t) ~= n then
    raise('type', 'a table with both list items and named fields (or holes in the list) cannot be written')
  end
  for i = 1, n do
    if t[i] == nil then raise('type', 'a list with holes cannot be written; use tm.null for missing items') end
  end
  return true
end

local function failed(rc, v)
  if rc == -2 then
    if type(v) == 'string' then raise('not-writable', 'a text that is not UTF-8 cannot be written as JSON') end
    raise('not-writable', 'NaN and infinity cannot be written as JSON')
  end
  raise('row-too-large', 'the row is larger than an output row may be (16 MiB)')
end

local function put(buf, s)
  if C.tm_ffi_buf_put(buf, s, #s) ~= 0 then failed(-1) end
end

--- The table's keys in byte order; raises when one is not a string.
function M.sorted_keys(t)
  local keys, n = {}, 0
  for k in next, t do
    if type(k) ~= 'string' then
      raise('type', "an object's keys must be strings, found a " .. type(k))
    end
    n = n + 1
    local i = n
    if n <= 24 then
      while i > 1 and keys[i - 1] > k do
        keys[i] = keys[i - 1]
        i = i - 1
      end
    end
    keys[i] = k
  end
  if n > 24 then table.sort(keys) end
  return keys, n
end

local function encode(buf, v, depth)
  local t = type(v)
  local rc = 0
  if t == 'string' then
    rc = C.tm_ffi_json_string(buf, v, #v)
  elseif t == 'number' then
    rc = C.tm_ffi_note_number(buf, v)
  elseif t == 'boolean' then
    put(buf, v and 'true' or 'false')
  elseif v == NULL then
    put(buf, 'null')
  elseif held[v] then
    put(buf, '"')
    put(buf, held[v].text)
    put(buf, '"')
  elseif t ~= 'table' then
    raise('type', 'a ' .. t .. ' cannot be written as JSON')
  elseif owner[v] then
    owner[v].V.encode_node(owner[v], buf)
  elseif lib.is_text(v) then
    put(buf, v.text)
  elseif depth > DEPTH_MAX then
    raise('too-deep', 'a table is nested deeper than 512 (or holds itself)')
  elseif M.is_array(v) then
    put(buf, '[')
    for i = 1, #v do
      if i > 1 then put(buf, ',') end
      encode(buf, v[i], depth + 1)
    end
    put(buf, ']')
  else
    local keys, n = M.sorted_keys(v)
    put(buf, '{')
    for i = 1, n do
      if i > 1 then put(buf, ',') end
      local k = keys[i]
      rc = C.tm_ffi_json_string(buf, k, #k)
      if rc ~= 0 then failed(rc, k) end
      put(buf, ':')
      encode(buf, v[k], depth + 1)
    end
    put(buf, '}')
  end
  if rc ~= 0 then failed(rc, v) end
end

--- Appends v as JSON for others, keys in byte order.
function M.encode(buf, v)
  local from = buf.len
  encode(buf, v, 1)
  local rc = C.tm_ffi_note_clean(buf, from)
  if rc ~= 0 then failed(rc, v) end
end

--- The same as a string.
function M.json(v)
  local buf = lib.encode_buf
  buf.len = 0
  M.encode(buf, v)
  return ffi_string(buf.data, buf.len)
end

--- v as a text of the library's (which may have notes), made in a buffer of the library.
function M.encode_string(v, buf)
  buf = buf or lib.encode_buf
  buf.len = 0
  encode(buf, v, 1)
  return ffi_string(buf.data, buf.len)
end

return M
