-- q15.lua - bidding statistics: a day's bids, bidders and auctions, in all and by price.
--
--   tidemill run scripts/nexmark/q15.lua --from events.ndjson         --set emit=final: one row a day, at the end

local tm = require 'tidemill'
local statistics = require 'statistics'

return tm.pipeline 'q15'
  :filter(function(e) return e.kind == 'bid' end)
  :key_by(function(e) return tm.date.format(e.ts, '%Y-%m-%d') end, 'day')
  :running('statistics', statistics, { emit = tm.setting 'emit', max_keys = 1000 })
