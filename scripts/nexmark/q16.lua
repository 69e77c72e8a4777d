-- q16.lua - channel statistics: as q15, a channel and day, with the last minute in which there was a bid.
--
--   tidemill run scripts/nexmark/q16.lua --from events.ndjson         --set emit=final: one row a channel and day, at the end

local tm = require 'tidemill'
local statistics = require 'statistics'

local list = { minute = tm.agg.max 'minute' }
for name, aggregate in pairs(statistics) do list[name] = aggregate end

return tm.pipeline 'q16'
  :filter(function(e) return e.kind == 'bid' end)
  :set {
    day = function(e) return tm.date.format(e.ts, '%Y-%m-%d') end,
    minute = function(e) return tm.date.format(e.ts, '%H:%M') end,
  }
  :key_by { 'channel', 'day' }
  :running('statistics', list, { emit = tm.setting 'emit', max_keys = 1e6 })
