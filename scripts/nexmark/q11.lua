-- q11.lua - user sessions: how many bids did a person make in each time of activity? It ends after ten seconds without a bid.
--
--   tidemill run scripts/nexmark/q11.lua --from events.ndjson         --set out_of_order=5s: events that come later than that are late

local tm = require 'tidemill'

return tm.pipeline 'q11'
  :event_time { field = 'ts', out_of_order = tm.setting('out_of_order', '0s') }
  :filter(function(e) return e.kind == 'bid' end)
  :key_by 'bidder'
  :window('bids', tm.window.session '10s')
  :aggregate { bid_count = tm.agg.count() }
