--[[
keep_removed.lua - what is kept of steps that no script declares any more: for DAYS days, so that a script can be put back.

Their states stay in C where they are, and nobody asks for them; what the library remembered of them stays as it was saved. Both have the
time since when nobody declares them, which is saved too. A script that declares the step again goes on with them, as if the events in
between had not come to it. What is older goes when scripts are loaded, and while a run goes on.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local C, ffi = lib.C, lib.ffi

local M = {}

M.DAYS = 7
local SPAN, LOOK = M.DAYS * 86400000, 3600000   -- ms: how long; how often a run that goes on looks

M.parts, M.since = {}, {}    -- by name what was saved; by name of these and of states of C since when, in ms
M.known = {}                 -- names that were gone before these scripts were loaded
local next_look = math.huge

--- A plan begins: nothing is known to be left.
function M.begin()
  M.parts, M.since, M.known, next_look = {}, {}, {}, math.huge
end

--- The states of C of one name that nobody has asked for go.
local function free(name)
  local list = {}
  local s = C.tm_ffi_states_left(state.changes, nil)
  while s ~= nil do
    if ffi.string(s.name, s.name_len) == name then list[#list + 1] = s end
    s = C.tm_ffi_states_left(state.changes, s)
  end
  for _, one in ipairs(list) do C.tm_ffi_state_free(ffi.cast('struct tm_state *', one)) end
end

--- Gives up what is too old: names of these, in order.
local function give_up(now)
  local names = {}
  for name, since in pairs(M.since) do
    if now - since >= SPAN then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    M.parts[name], M.since[name] = nil, nil
    free(name)
  end
  next_look = next(M.since) and now + LOOK or math.huge
  return names
end

--- Takes up what was saved and no step has now.
---@param saved table of keep.save: parts, removed
---@param is_known function (name): is it that of a step, or given up?
---@return table names of what is too old and gone now; whether a step has come back
function M.take(saved, is_known)
  local before, now, back = saved.removed or {}, lib.host.wall_ms(), false
  M.known = before
  for name, part in pairs(saved.parts) do
    if not is_known(name) then M.parts[name], M.since[name] = part, before[name] or now end
  end
  for _, name in ipairs(state.left()) do M.since[name] = before[name] or now end
  for name in pairs(before) do back = back or not M.since[name] end
  return give_up(now), back
end

--- A run goes on: what has become too old goes.
function M.pass()
  if next_look == math.huge then return end
  local now = lib.host.wall_ms()
  if now >= next_look then give_up(now) end
end

--- Until when a name is kept, as text: "2026-01-08".
function M.until_text(name)
  return require('tidemill.library.date').date.format(M.since[name] + SPAN, '%Y-%m-%d')
end

return M
