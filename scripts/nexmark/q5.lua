-- q5.lua - hot items: which auctions had most bids in the last ten seconds? Told every two seconds; several where they are level.
--
--   tidemill run scripts/nexmark/q5.lua --from events.ndjson          --set out_of_order=5s: events that come later than that are late

local tm = require 'tidemill'

return tm.pipeline 'q5'
  :event_time { field = 'ts', out_of_order = tm.setting('out_of_order', '0s') }
  :filter(function(e) return e.kind == 'bid' end)
  :key_by 'auction'
  :window('bids', tm.window.hopping('10s', '2s'))
  :aggregate { num = tm.agg.count() }
  :key_by 'window_end'   -- rows of one window come together, and its timer fires behind them
  :process('most', {
    state = { num = 0, auctions = tm.state.list { of = 'number' } },
    max_keys = 1000,
    on_event = function(e, s, ctx)
      if ctx.new then ctx.timer('end', e.window_end) end
      if e.num > s.num then
        s.num = e.num
        s.auctions:clear()
      end
      if e.num == s.num then s.auctions:push(e.auction) end
    end,
    on_timer = function(_, s, ctx)
      for _, auction in s.auctions:each() do
        ctx.emit { auction = auction, num = s.num, window_start = ctx.key - 10000, window_end = ctx.key }
      end
      ctx.clear()
    end,
  })
