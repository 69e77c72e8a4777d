-- T3: per card, over 60 s in order of event time: an alert when more than 5 events and more than 1000 spent becomes true.
local tm = require 'tidemill'

return tm.pipeline 't3'
  :event_time { field = 'ts', out_of_order = '5s' }
  :key_by 'card'
  :window('spent', tm.window.sliding '1m')
  :aggregate { n = tm.agg.count(), total = tm.agg.sum 'amount' }
  :process('edge', { max_keys = 1e6, state = { on = false },
    on_event = function(e, s, ctx)
      local on = e.n > 5 and e.total > 1000
      if on and not s.on then ctx.emit { card = ctx.key, at = ctx.time, n = e.n, total = e.total } end
      s.on = on
    end })
