-- q2.lua - selection: the bids on certain auctions, every 123rd.
--
--   tidemill run scripts/nexmark/q2.lua --from events.ndjson

local tm = require 'tidemill'

return tm.pipeline 'q2'
  :filter(function(e) return e.kind == 'bid' and e.auction % 123 == 0 end)
  :select { 'auction', 'price' }
