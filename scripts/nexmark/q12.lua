-- q12.lua - processing time windows: how many bids does a person make in ten seconds of the clock?
--
--   tidemill run scripts/nexmark/q12.lua --from events.ndjson

local tm = require 'tidemill'

return tm.pipeline 'q12'
  :processing_time()
  :filter(function(e) return e.kind == 'bid' end)
  :key_by 'bidder'
  :window('bids', tm.window.tumbling '10s')
  :aggregate { bid_count = tm.agg.count() }
