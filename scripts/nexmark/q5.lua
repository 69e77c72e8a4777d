-- q5.lua - hot items: which auctions had most bids in the last ten seconds? Told every two seconds; several where they are level.
--
--   tidemill run scripts/nexmark/q5.lua --from events.ndjson          --set out_of_order=5s: events that come later than that are late

local tm = require 'tidemill'

-- A row of the first window has the time window_end - 1, so all of one window fall into the same two seconds of the second.
return tm.pipeline 'q5'
  :event_time { field = 'ts', out_of_order = tm.setting('out_of_order', '0s') }
  :filter(function(e) return e.kind == 'bid' end)
  :key_by 'auction'
  :window('bids', tm.window.hopping('10s', '2s'))
  :aggregate { num = tm.agg.count() }
  :key_by {}
  :window('most', tm.window.tumbling '2s')
  :aggregate { most = tm.agg.max 'num', counts = tm.agg.collect { max = 100000 } }
  :flat_map(function(e, emit)
    local most = e.most
    for _, row in ipairs(e.counts) do
      if row.num == most then
        emit { auction = row.auction, num = row.num, window_start = row.window_start, window_end = row.window_end }
      end
    end
  end)
