--[[
value.lua - plain Lua values and JSON text: copies of views, decoded arrays, encoding with keys in byte order.

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

local tape = ffi.new 'struct tm_tape'
local array_mt = { __metatable = 'array' }

--- Marks a table as an array: `[]` when empty.
function M.array(t)
  if t ~= nil and type(t) ~= 'table' then raise('type', 'tm.array takes a table, got a ' .. type(t)) end
  return setmetatable(t or {}, array_mt)
end

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

--- Builds the value at tape cell i; returns it and the index behind it.
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

local function count(t)
  local n = 0
  for _ in next, t do n = n + 1 end
  return n
end

--- Does t hold what cell i holds? Returns the answer and the index behind the cell (only if true).
local function same(cells, i, base, t)
  local cell = cells[i]
  local kind = band(cell.tag, 15)
  if kind == 4 then return t == cell.num and (t ~= 0 or 1 / t == 1 / cell.num), i + 1 end
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
    rc = C.tm_ffi_json_number(buf, v)
  elseif t == 'boolean' then
    put(buf, v and 'true' or 'false')
  elseif v == NULL then
    put(buf, 'null')
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

--- Appends v as JSON, keys in byte order.
function M.encode(buf, v)
  encode(buf, v, 1)
end

--- v as a JSON string, made in a buffer of the library.
function M.encode_string(v, buf)
  buf = buf or lib.encode_buf
  buf.len = 0
  encode(buf, v, 1)
  return ffi_string(buf.data, buf.len)
end

return M
