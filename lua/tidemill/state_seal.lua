--[[
state_seal.lua - seals over lines of export that are of use only as they are and all together: records that name one another by number
(sessions, matches, joins), or hold places in what they keep (`over`, features). Written by hand, or with a line left out, they would lead
C astray.

  {"seal":"p/steps","lines":31,"sum":"00c0ffee…"}     behind the lines of a step's states; sum: of each line and the sum before it

Import takes sealed states only into ones that are empty, and refuses them without their seal.
]]

local lib = require 'tidemill.lib'
local C, ffi = lib.C, lib.ffi

local M = {}

local WHOLE = { over = true, features = true, match = true, join = true, window_join = true }
local PART_OF = { match_nodes = true, match_events = true, match_waiting = true, join_waiting = true }
local buf = lib.buf()

--- The name of the step under whose seal a state's lines stand; nil: each line stands for itself.
---@param opened table of state.open
---@return string|nil
function M.step_of(opened)
  local kind = opened.words.kind
  if PART_OF[kind] then return (opened.name:match '^(.*)/[^/]*$') end
  return (WHOLE[kind] or opened.siblings) and opened.name or nil
end

--- Sums of lines, by step.
---@return table add(step, line); of(step): { lines, sum } or nil; steps: names in the order in which they came
function M.new()
  local S = { steps = {} }

  function S.add(step, line)
    local s = S[step]
    if not s then
      s = { lines = 0, sum = '' }
      S[step], S.steps[#S.steps + 1] = s, step
    end
    local text = s.sum .. line
    buf.len = 0
    if C.tm_ffi_hash(C.TM_HASH_XXH3, text, #text, buf) ~= 0 then lib.raise('memory', 'no memory for a seal') end
    s.lines, s.sum = s.lines + 1, ffi.string(buf.data, buf.len)
  end

  function S.of(step) return S[step] end

  return S
end

return M
