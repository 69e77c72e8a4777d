-- q18.lua - last bid: of each bidder the last bid on each auction; of several at the same time the one that came last.
--
--   tidemill run scripts/nexmark/q18.lua --from events.ndjson
--
-- A row for every bid that is the last one when it comes; the last row of a bidder and auction is the answer.

local tm = require 'tidemill'

return tm.pipeline 'q18'
  :filter(function(e) return e.kind == 'bid' end)
  :key_by { 'bidder', 'auction' }
  :process('last', {
    max_keys = 1e7,
    state = { ts = 0 },
    on_event = function(e, s, ctx)
      if e.ts >= s.ts then
        s.ts = e.ts
        ctx.emit(e)
      end
    end,
  })
  :select { 'auction', 'bidder', 'price', 'channel', 'url', 'ts', 'extra' }
