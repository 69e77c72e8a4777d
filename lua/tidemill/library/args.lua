--[[
args.lua - what the functions of the library share: the check of an argument, and the buffer in which C leaves a text.

Functions here are called for every event: no closures, no patterns, no loops where a table of a few items does.
]]

local lib = require 'tidemill.lib'
local ffi_string, raise, owner, NULL = lib.ffi.string, lib.raise, lib.owner, lib.NULL

local M = {}

--- What C's functions write to; valid until the next of them is called.
M.out = lib.buf()
local out = M.out

--- The text in the buffer.
---@return string
function M.text() return (ffi_string(out.data, out.len)) end

local ordinal = { 'first', 'second', 'third', 'fourth', 'fifth' }

--- What a value is, for messages: 'a number', 'an event', 'nil'.
function M.kind(v)
  if v == nil then return 'nil' end
  if v == NULL then return 'null' end
  if owner[v] then return 'an event or an object of one' end
  if type(v) == 'userdata' then return 'a value that is no text' end
  return 'a ' .. type(v)
end

--- Refuses an argument.
---@param what string the function, 'tm.lower'
---@param needs string 'a string'
---@param v any what was given
---@param n? integer which argument, where there are several
---@param name? string what it is called
function M.wrong(what, needs, v, n, name)
  local which = n and (' as its ' .. ordinal[n] .. ' argument' .. (name and ' (' .. name .. ')' or '')) or ''
  raise('type', what .. ' takes ' .. needs .. which .. ', got ' .. M.kind(v))
end

--- Refuses a text that is too long to work on.
function M.too_long(what)
  raise('too-long', what .. ': the result would be longer than 64 MiB, or there is no memory for it')
end

--- A text of a caller's, cut so that a message stays readable.
function M.shown(s)
  return "'" .. (#s > 60 and s:sub(1, 60) .. '…' or s) .. "'"
end

return M
