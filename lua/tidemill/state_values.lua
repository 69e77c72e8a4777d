--[[
state_values.lua - values on their way into lists, maps and sets of C (struct tm_value), and out of them: checked against the declared
types, with the container's name in messages.
]]

local lib = require 'tidemill.lib'
local any = require 'tidemill.any'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string

local M = {}

--- A key or an element of a set: v is that of x.
local function fill(v, x, what)
  local t = type(x)
  if t == 'number' then v.kind, v.num = C.TM_VALUE_NUMBER, x
  elseif t == 'string' then v.kind, v.text, v.len = C.TM_VALUE_STRING, x, #x
  elseif t == 'boolean' then v.kind = x and C.TM_VALUE_TRUE or C.TM_VALUE_FALSE
  else raise('type', what .. ' takes a string, number or boolean, got ' .. (t == 'nil' and 'nil' or 'a ' .. t)) end
end
M.fill = fill

--- What a container whose values are `of` keeps of x.
function M.fill_value(v, x, of, what)
  if of == 'any' then
    if x == nil then raise('type', what .. ' takes a value, got nil') end
    any.pack(x, what, 'value')
    v.kind, v.text, v.len = C.TM_VALUE_ANY, any.packed.data, any.packed.len
    return
  end
  local wanted = of == 'integer' and 'number' or of
  if wanted and type(x) ~= wanted then
    raise('type', what .. ' holds values of type ' .. of .. ', got ' .. (x == nil and 'nil' or 'a ' .. type(x)))
  end
  if of == 'integer' and (x % 1 ~= 0 or x > 2 ^ 53 or x < -2 ^ 53) then raise('type', what .. ' holds integers, got ' .. tostring(x)) end
  fill(v, x, what)
end

--- The Lua value of what C gave.
function M.read(v, what)
  local kind = v.kind
  if kind == C.TM_VALUE_NUMBER then return v.num
  elseif kind == C.TM_VALUE_STRING then return (ffi_string(v.text, v.len))
  elseif kind == C.TM_VALUE_TRUE then return true
  elseif kind == C.TM_VALUE_FALSE then return false
  elseif kind == C.TM_VALUE_ANY then return (any.unpack(v.text, v.len, what)) end
  return nil
end

return M
