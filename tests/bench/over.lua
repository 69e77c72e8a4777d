-- Count and sum over the last 60 s of each card, with each event.
local tm = require 'tidemill'

return tm.pipeline 'over'
  :event_time { field = 'ts', out_of_order = '5s' }
  :key_by 'card'
  :over('spent', { n = tm.agg.count { over = '1m' }, total = tm.agg.sum('amount', { over = '1m' }) })
