--[[
patterns_rows.lua - rows of matches, as text: key and time, then the events of each stage as they came. They are held until the event or
the time that made them is done (codegen_patterns.lua); what one of these may make is bounded by --max-rows and 16 MiB.
]]

local lib = require 'tidemill.lib'
local value = require 'tidemill.value'
local raise = lib.raise

local M = {}

local ROWS_BYTES = 16 * 1024 * 1024

---@param o table as of patterns_match.new
---@param X table what that gives: key, times
---@param B table of patterns_buffer.new
---@return table begin(): there are none; put(node, time, timed_out, op): one more, op: '+', '-' or nil; is_half_full(); bytes; lists(node)
function M.new(o, X, B)
  local rec, hold, times = o.rec, o.hold, X.times
  local graph, heads = rec.graph, {}
  local R = { bytes = 0 }
  for i, s in ipairs(graph.stages) do heads[i] = ',' .. value.json(s.name) .. ':[' end

  --- The events of a node as the members of a row, one a stage.
  function R.lists(node)
    local stages, ids, n = B.way(node)
    local parts = {}
    for place, s in ipairs(graph.stages) do
      local list = {}
      for i = 1, n do
        if s.owns[stages[i]] then list[#list + 1] = o.json(B.text(ids[i])) end
      end
      parts[#parts + 1] = heads[place] .. table.concat(list, ',') .. ']'
    end
    return table.concat(parts)
  end

  function R.begin() hold.n, R.bytes = 0, 0 end

  function R.is_half_full() return R.bytes > ROWS_BYTES / 2 end

  function R.put(node, time, timed_out, op)
    local n = hold.n + 1
    if n > lib.flow.max_rows then
      raise('too-many-rows', ("pattern '%s': one event ended more than %d matches (--max-rows)"):format(rec.name, lib.flow.max_rows))
    end
    local text = ('{%s"time":%s%s%s%s%s}'):format(o.key and '"key":' .. (X.key ~= nil and value.json(X.key) or 'null') .. ',' or '',
      value.json(time), rec.timeouts and (timed_out and ',"timed_out":true' or ',"timed_out":false') or '',
      op and ',"op":"' .. op .. '"' or '', R.lists(node), lib.flow.firing == 2 and ',"partial":true' or '')
    R.bytes = R.bytes + #text
    if R.bytes > ROWS_BYTES then
      raise('row-too-large', ("pattern '%s': the matches that one event ended exceed 16 MiB"):format(rec.name))
    end
    hold[n], hold.shapes[n], times[n] = lib.text(text, 9), false, time
    hold.n = n
  end

  return R
end

return M
