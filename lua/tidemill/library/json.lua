--[[
json.lua - tm.json: JSON text to Lua values and back, as events have them: null is tm.null, decoded arrays stay arrays, keys
are written in byte order, numbers with the fewest digits that read back.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local value = require 'tidemill.value'
local C, raise = lib.C, lib.raise

local M = {}
local at = lib.ffi.new 'int32_t[1]'

--- The value of a JSON text; raises where it is none.
---@param s string
---@return any
function M.decode(s)
  if type(s) ~= 'string' then args.wrong('tm.json.decode', 'a string', s) end
  if C.tm_ffi_json_check(s, #s, at) ~= 0 then
    raise('json', 'tm.json.decode: ' .. args.shown(s) .. ' is no JSON from byte ' .. (at[0] + 1) .. ' on' ..
      (at[0] < #s and ', at ' .. args.shown(s:sub(at[0] + 1, at[0] + 20)) or ': it ends too early'))
  end
  return value.decode(s)
end

--- A value as JSON text.
---@param v any
---@return string
function M.encode(v)
  if v == nil then args.wrong('tm.json.encode', 'a value', v) end
  return value.json(v)
end

return { json = M }
