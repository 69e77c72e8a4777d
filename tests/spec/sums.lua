--[[
sums.lua - the pipeline that specs of kept runs begin with: windows of a second over seven keys, into a file; and events for it.
]]

local M = {}

M.script = [[
local tm = require 'tidemill'
return tm.pipeline 'sums':event_time { field = 'ts', unit = 'ms' }:key_by 'k':window('w', tm.window.tumbling '1s')
  :aggregate { n = tm.agg.count(), s = tm.agg.sum 'v' }:to(tm.sink.file(tm.setting 'out'))
]]

--- Lines of events, 10 ms apart.
function M.events(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ('{"ts":%d,"k":"k%d","v":%d}\n'):format(i * 10, i % 7, i) end
  return table.concat(list)
end

return M
