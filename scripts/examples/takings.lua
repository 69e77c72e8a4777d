-- takings.lua - what each shop takes in a quarter of an hour, as the day goes on.
--
--   build/tidemill run scripts/examples/takings.lua --from scripts/examples/data/sales.ndjson
--
-- A quarter's row comes when a sale a minute behind its end has come: tills report with some delay. A sale that comes later, up to a
-- quarter of an hour, gives the row once more, with a `revision`; what is later than that goes to late.ndjson.

local tm = require 'tidemill'
local dir = tm.setting('dir', '.')

return tm.pipeline 'takings'
  :event_time { field = 'at', unit = 's', out_of_order = '1m' }
  :key_by 'shop'
  :window('quarter', tm.window.tumbling '15m', { lateness = '15m' })
  :aggregate { sales = tm.agg.count(), taken = tm.agg.sum 'amount', largest = tm.agg.max 'amount', sold = tm.agg.distinct 'article' }
  :set { at = function(e) return tm.date.format(e.window_start, '%H:%M') end }
  :drop { 'window_start', 'window_end' }
  :late_to(tm.sink.file(dir .. '/late.ndjson'))
