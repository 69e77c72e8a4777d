-- The first event of each value of a field (--set on=field); nothing is written.
local tm = require 'tidemill'

return tm.pipeline 'dedup'
  :dedup('seen', { on = tm.setting('on', 'card'), max_keys = 2e7 })
  :to(tm.sink.discard())
