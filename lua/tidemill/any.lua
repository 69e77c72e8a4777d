--[[
any.lua - values of type `any` in keyed state: Lua values as msgpack and back, each value always as the same bytes.

To bytes: a walk in C (host/engine/lua_table.h). From bytes: C makes of them what LuaJIT's string.buffer reads, which makes
tables in one call that the compiler knows. What these do not know goes the long way in Lua: bytes, extensions and points in
time, views (copied), null when read, nesting beyond the serializer's 100 levels; so does saying what cannot be kept, and where
it was found. The long way to bytes is not compiled, as it walks tables (see lua_table.h).

Tables keep all of their keys: texts, numbers and booleans. A table whose keys are 1..n comes back as an array.
]]

local lib = require 'tidemill.lib'
local value = require 'tidemill.value'
local buffer = require 'string.buffer'
local jit = require 'jit'
local C, ffi, bit, raise = lib.C, lib.ffi, lib.bit, lib.raise
local NULL, owner = lib.NULL, lib.owner
local band, rshift, ffi_string = bit.band, bit.rshift, ffi.string
local type = type

local M = {}

local BYTES_MAX = 64 * 1024 * 1024   -- written on the long way: of a table that holds others many times
-- in the order of TM_LUA_META_...
local writer, reader = buffer.new(), buffer.new { metatable = { value.array_mt } }
local pack = lib.host.table_packer(value.array_mt, NULL)
local packed_ud = lib.host.packed
local packed, lua_bytes = ffi.cast('struct tm_buf *', packed_ud), lib.buf()
local tape = ffi.new 'struct tm_tape'
local ext_type = ffi.new 'int32_t[1]'

--- The bytes that pack() made, until its next use (struct tm_buf).
M.packed = packed

-- The long way to bytes ---------------------------------------------------

local function length(n)
  if n < 0xe0 then return string.char(n) end
  if n < 0x1fe0 then
    n = n - 0xe0
    return string.char(0xe0 + rshift(n, 8), band(n, 255))
  end
  return string.char(255, band(n, 255), band(rshift(n, 8), 255), band(rshift(n, 16), 255), rshift(n, 24))
end

local function place(path, n)
  local parts = {}
  for i = 1, n do
    local k = path[i]
    if type(k) == 'string' and k:find '^[%a_][%w_]*$' then
      parts[i] = (i > 1 and '.' or '') .. k
    else
      parts[i] = '[' .. (type(k) == 'string' and ('%q'):format(k):gsub('\n', 'n') or tostring(k)) .. ']'
    end
    if i == 8 and n > 12 then
      parts[i + 1] = '…'
      break
    end
  end
  return table.concat(parts)
end

local function too_large(what)
  raise('too-long', what .. ' cannot hold a value of more than 16 MiB')
end

--- Appends the serializer's bytes for v, with ours for what it does not know. path[1..n]: where v is; on: the tables around it.
local function put(v, path, n, on, what)
  local t = type(v)
  if t == 'number' or t == 'string' or t == 'boolean' then return writer:encode(v) end
  if v == NULL then return writer:put '\3' end
  local bytes, of = value.opaque_parts(v)
  if bytes then
    return writer:put(of and '\19\0' .. string.char(of % 256) or '\19\1', length(#bytes), bytes)
  end
  if t ~= 'table' then
    raise('type', what .. ' cannot hold a ' .. t .. (n > 1 and ', found at ' .. place(path, n) or ''))
  end
  if owner[v] then v = value.copy(v) end
  if on[v] then raise('type', what .. ' cannot hold a table that holds itself, found at ' .. place(path, n)) end
  if n > value.DEPTH_MAX then
    raise('too-deep', what .. ' cannot hold tables nested deeper than ' .. value.DEPTH_MAX .. ', found at ' .. place(path, n))
  end
  if #writer > BYTES_MAX then too_large(what) end
  on[v] = true
  local count = 0
  for k in next, v do
    local kind = type(k)
    if kind ~= 'string' and kind ~= 'number' and kind ~= 'boolean' then
      raise('type', what .. ' cannot hold a table with a ' .. (k == NULL and 'null' or kind) .. ' as a key, found at ' .. place(path, n))
    end
    count = count + 1
  end
  if count == 0 then
    writer:put(getmetatable(v) == 'array' and '\14\0\8' or '\8')
  else
    writer:put('\9', length(count))
    for k, item in next, v do
      writer:encode(k)
      path[n + 1] = k
      put(item, path, n + 1, on, what)
    end
  end
  on[v] = nil
end
jit.off(put)

local function pack_long(v, what, name)
  writer:reset()
  put(v, { name }, 1, {}, what)
  packed.len = 0
  if C.tm_ffi_any_pack(packed, writer:ref()) ~= 0 then too_large(what) end
end
jit.off(pack_long)

--- Makes the bytes of a value: in M.packed, until the next use.
---@param v any but nil
---@param what string for messages: "state field 't'"
---@param name string what a place in the value begins with
function M.pack(v, what, name)
  packed.len = 0
  if pack(packed_ud, v) ~= 0 then pack_long(v, what, name) end
end

-- From bytes --------------------------------------------------------------

local function opaque(p, len)
  local head = C.tm_ffi_any_opaque(p, len, ext_type)
  local bytes = ffi_string(p + head, len - head)
  if ext_type[0] == C.TM_ANY_BYTES then return value.bin(bytes) end
  return value.ext(ext_type[0], bytes)
end

--- The value at cell i, and the index behind it.
local function build(cells, i, p)
  local cell = cells[i]
  local kind = band(cell.tag, 15)
  if kind == 4 then return cell.num, i + 1 end
  if kind == 7 then return ffi_string(p + cell.off, rshift(cell.tag, 4)), i + 1 end
  if kind == 10 then
    local n, t = cell.num, value.array()
    i = i + 1
    for j = 1, n do t[j], i = build(cells, i, p) end
    return t, i
  end
  if kind == 9 then
    local n, t = cell.num, {}
    i = i + 1
    for _ = 1, n do
      local key
      key, i = build(cells, i, p)
      t[key], i = build(cells, i, p)
    end
    return t, i
  end
  if kind == 1 then return NULL, i + 1 end
  if kind == 2 then return false, i + 1 end
  if kind == 3 then return true, i + 1 end
  return opaque(p + cell.off, rshift(cell.tag, 4)), i + 1
end

local function damaged(rc, what)
  if rc == -1 then raise('memory', 'no memory to read ' .. what) end
  raise('state', what .. ' holds bytes that are no value')
end

--- The value of bytes that pack() made.
---@param p ffi.cdata* pointer to them
---@param len integer
---@param what string for messages
function M.unpack(p, len, what)
  lua_bytes.len = 0
  local rc = C.tm_ffi_any_unpack(lua_bytes, p, len)
  if rc == 0 then
    reader:set(lua_bytes.data, lua_bytes.len)
    return (reader:decode())
  end
  if rc < 0 then damaged(rc, what) end
  rc = C.tm_ffi_any_tape(p, len, tape)
  if rc ~= 0 then damaged(rc, what) end
  return (build(tape.cells, 0, p))
end

return M
