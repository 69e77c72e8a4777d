-- q10.lua - log to file system: every bid into a file of its minute, by day.
--
--   tidemill run scripts/nexmark/q10.lua --from events.ndjson --set dir=bids     bids/2015-07-15/00:00.csv …

local tm = require 'tidemill'

return tm.pipeline 'q10'
  :filter(function(e) return e.kind == 'bid' end)
  :set {
    dt = function(e) return tm.date.format(e.ts, '%Y-%m-%d') end,
    hm = function(e) return tm.date.format(e.ts, '%H:%M') end,
  }
  :select { 'auction', 'bidder', 'price', 'ts', 'extra', 'dt', 'hm' }
  :to(tm.sink.file(tm.setting('dir', 'bids') .. '/{dt}/{hm}.csv'))
