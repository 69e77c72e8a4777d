--[[
state_dropped.lua - kept states that are given up: because a step says migrate = 'drop', or as no script has declared them for too long.

All that is kept under a step's name goes: its states, those that belong to it ("name/…"), and what the library remembers of it (keep.lua
asks is_dropped). In the data folder they go with the first epoch that is cut; a process that dies before finds them again.
]]

local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local shadow = require 'tidemill.shadow'
local state = require 'tidemill.state'
local C, ffi = lib.C, lib.ffi

local M = {}

--- Is a name that of a step, or of something that belongs to it?
local function belongs(name, step) return name == step or name:sub(1, #step + 1) == step .. '/' end

--- Was what is remembered under this name given up?
function M.is_dropped(name)
  for step in pairs(state.dropped) do
    if belongs(name, step) then return true end
  end
  return false
end

--- Gives back all states that nobody has asked for and that belong to a step: how many keys they had.
---@param step string "pipeline/step"
---@return number
function M.free(step)
  local list, keys = {}, 0
  local s = C.tm_ffi_states_left(state.changes, nil)
  while s ~= nil do
    if belongs(ffi.string(s.name, s.name_len), step) then list[#list + 1] = s end
    s = C.tm_ffi_states_left(state.changes, s)
  end
  for _, one in ipairs(list) do
    keys = keys + one.keys
    C.tm_ffi_state_free(ffi.cast('struct tm_state *', one))
  end
  return keys
end

--- Gives up what a step keeps, and says so.
---@param step string "pipeline/step"
---@param why table texts of what has changed
function M.drop(step, why)
  state.dropped[step] = true
  local keys = M.free(step)
  if shadow.is_candidate() then return end   -- it tells by itself
  lib.host.warn(("what '%s' kept, %.0f key%s, is dropped, as migrate says: %s"):format(printable.line(step), keys, keys == 1 and '' or 's',
    table.concat(why, '; ')))
end

return M
