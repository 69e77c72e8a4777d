-- q0.lua - pass through: every bid as it is. What reading and writing alone cost.
--
--   tidemill run scripts/nexmark/q0.lua --from events.ndjson

local tm = require 'tidemill'

return tm.pipeline 'q0'
  :filter(function(e) return e.kind == 'bid' end)
  :select { 'auction', 'bidder', 'price', 'ts', 'extra' }
