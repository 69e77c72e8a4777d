--[[
state_any.lua - one field of type `any`: read as a value of its own, written back when the call returns if its bytes changed.
Loaded anew for every field of every step, like view_field.lua: what it works on are constants to the compiler.
]]

local lib, any, state_of, ptr, box, field = ...
local C, NULL, type = lib.C, lib.NULL, type
local cell, index, what, name = field.cell, field.index, "state field '" .. field.name .. "'", field.name
local packed = any.packed
-- the table handed out in this call
local given = false

local function store(v)
  any.pack(v, what, name)
  local rc = C.tm_ffi_text_patch(ptr, box.r, index, packed.data, packed.len)
  if rc < 0 then state_of.failed(ptr, rc) end
end

local function get()
  if given then return given end
  local ref = box.r[cell]
  if ref.at == 0 then return nil end
  local v = any.unpack(ptr.base + 8 * ref.at, ref.n, what)
  if type(v) == 'table' and v ~= NULL then
    given = v
    box.late = 1
  end
  return v
end

local function set(v)
  given = false
  if v ~= nil then return store(v) end
  local rc = C.tm_ffi_state_empty(ptr, box.r, index)
  if rc < 0 then state_of.failed(ptr, rc) end
end

--- The call returns: what was handed out is written back.
local function settle()
  if given then
    local v = given
    given = false
    store(v)
  end
end

--- What was handed out is the field's value no longer.
local function forget() given = false end

return get, set, settle, forget
