-- deliveries.lua - a webhook that is delivered again within a day is dropped; what passes leaves byte for byte.
--
--   build/tidemill run scripts/examples/deliveries.lua --from scripts/examples/data/deliveries.ndjson
--
-- Without `within` an id would be remembered as long as there is room for it (max_keys).

local tm = require 'tidemill'

return tm.pipeline 'deliveries'
  :event_time { field = 'at', unit = 'iso8601' }
  :dedup('seen', { on = { 'sender', 'id' }, within = '1d', max_keys = 1e6 })
