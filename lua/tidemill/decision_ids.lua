--[[
decision_ids.lua - what a decision is called: the event it is about, and the pack that made it.

  at   in.ndjson:17                              the event, as errors and tm.meta name it; behind a '.' how many rows the event had
                                                 made in its pipeline before, where it had (flat_map in front of the pack)
  id   card_fraud-3f2a9c01@in.ndjson:17          the pack's name, its content as 8 digits of a hash (pack.lua), and the same place

The same input and pack give the same ids, in a run, a replay and a backtest, so an id says where to look again (why.lua). The text before
the number is asked of the host once a batch; the number is read off the batch.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local C = lib.C

local M = {}

--- The parts of an id: hash of the pack, place; nil: it is none.
---@param id string
---@return string? pack, string? hash, string? at
function M.parse(id)
  local pack, hash, at = id:match '^([%w_%-]+)%-(%x%x%x%x%x%x%x%x)@(.+)$'
  return pack, hash, at
end

--- A function that gives `at` and `id` of the event at the marker.
---@param pack table of pack.lua
---@param source table of the plan: where the pipeline's batches come from
function M.namer(pack, source)
  local flow, serial, batch = lib.flow, state.serial, source.batch
  local is_link = source.kind == 'link'
  local known, prefix = -1, ''
  local lead = pack.name .. '-' .. pack.hash .. '@'
  --- Asks the host; a place without a number (the end of input) is all prefix.
  local function ask(row)
    local mk = flow.marker
    local text = lib.host.position(mk.pipeline, row)
    local _, line = lib.host.origin(mk.pipeline, row)
    local number = ('%.0f'):format(line)
    if text:sub(-#number) ~= number or flow.firing ~= 0 then return text, nil end
    return text:sub(1, -#number - 1), line
  end
  jit.off(ask)
  return function()
    local mk = flow.marker
    local row = mk.row
    local line
    if is_link or flow.firing ~= 0 or row < 0 or row >= C.TM_BATCH_ROWS then
      prefix, line = ask(row)
      known = -1
    else
      if known ~= serial[0] then
        prefix, line = ask(row)
        known = line and serial[0] or -1
      else
        line = batch.line_first + batch.line[batch.origin[row]]
      end
    end
    local at = line and ('%s%.0f'):format(prefix, line) or prefix
    if mk.sub > 0 then at = ('%s.%d'):format(at, mk.sub) end
    return at, lead .. at
  end
end

return M
