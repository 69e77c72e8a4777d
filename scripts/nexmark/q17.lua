-- q17.lua - auction statistics: a day's bids on each auction, in number by price, and their prices.
--
--   tidemill run scripts/nexmark/q17.lua --from events.ndjson         --set emit=final: one row an auction and day, at the end
--
-- A row after each bid; the last row of an auction and day is the answer.

local tm = require 'tidemill'

local count = tm.agg.count

return tm.pipeline 'q17'
  :filter(function(e) return e.kind == 'bid' end)
  :set { day = function(e) return tm.date.format(e.ts, '%Y-%m-%d') end }
  :key_by { 'auction', 'day' }
  :running('bids', {
    total_bids = count(),
    rank1_bids = count { where = function(e) return e.price < 10000 end },
    rank2_bids = count { where = function(e) return e.price >= 10000 and e.price < 1000000 end },
    rank3_bids = count { where = function(e) return e.price >= 1000000 end },
    min_price = tm.agg.min 'price', max_price = tm.agg.max 'price', avg_price = tm.agg.avg 'price', sum_price = tm.agg.sum 'price',
  }, { emit = tm.setting 'emit', max_keys = 1e6 })
