-- Count and sum per key, to the end; what is written then is the same for one reading of the input and for two.
local tm = require 'tidemill'

return tm.pipeline 'keys'
  :key_by 'k'
  :running('keys', { n = tm.agg.count(), total = tm.agg.sum 'a' }, { emit = 'final', unbounded = true })
  :to(tm.sink.discard())
