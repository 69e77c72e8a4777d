-- q19.lua - auction top ten: the ten highest bids on each auction; of equal ones the earlier.
--
--   tidemill run scripts/nexmark/q19.lua --from events.ndjson         --set emit=final: each list once, at the end
--
-- The whole list after each bid that changes it; the last row of an auction and rank is the answer.

local tm = require 'tidemill'

return tm.pipeline 'q19'
  :event_time { field = 'ts' }
  :filter(function(e) return e.kind == 'bid' end)
  :key_by 'auction'
  :top('best', 10, 'price', { emit = tm.setting 'emit', max_keys = 1e6 })
  :select { 'auction', 'bidder', 'price', 'channel', 'url', 'ts', 'extra', 'rank' }
