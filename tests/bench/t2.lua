-- T2: windows of a minute of event time, count and sum per card; events come up to five seconds late.
local tm = require 'tidemill'

return tm.pipeline 't2'
  :event_time { field = 'ts', out_of_order = '5s' }
  :key_by 'card'
  :window('spent', tm.window.tumbling '1m')
  :aggregate { n = tm.agg.count(), total = tm.agg.sum 'amount' }
