-- best_sellers.lua - the three largest sales of each shop, once the input ends.
--
--   build/tidemill run scripts/examples/best_sellers.lua --from scripts/examples/data/sales.ndjson
--
-- Of equal amounts the earlier sale ranks first. Without emit = 'final' the list comes after each sale that changes it.

local tm = require 'tidemill'

return tm.pipeline 'best_sellers'
  :event_time { field = 'at', unit = 's' }
  :key_by 'shop'
  :top('best', tm.setting('n', 3), 'amount', { emit = 'final', max_keys = 10000 })
  :select { 'shop', 'rank', 'article', 'amount' }
