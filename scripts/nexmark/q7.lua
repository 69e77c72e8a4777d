-- q7.lua - highest bid: the highest bids of each period of ten seconds; several where they are level.
--
--   tidemill run scripts/nexmark/q7.lua --from events.ndjson          --set out_of_order=5s: events that come later than that are late
--
-- The highest price of a period meets the bids that made it. A bid below one of its period that came before it is not among them, so
-- few are left to be kept.

local tm = require 'tidemill'

local period = tm.window.tumbling '10s'

local rising = tm.pipeline 'q7'
  :event_time { field = 'ts', out_of_order = tm.setting('out_of_order', '0s') }
  :filter(function(e) return e.kind == 'bid' end)
  :key_by(function(e) return e.ts - e.ts % 10000 end, 'period')
  :process('rising', {
    state = { most = 0 }, max_keys = 10000,
    on_event = function(e, s, ctx)
      if e.price < s.most then return end
      s.most = e.price
      ctx.emit(e)
    end,
  })
local highest = rising:window('highest', period):aggregate { price = tm.agg.max 'price' }

return rising:window_join('bids', highest, period, { on = 'price' })
  :select { 'auction', 'bidder', 'price', 'ts', 'extra' }
