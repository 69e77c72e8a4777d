-- T2: count and sum per card, one row a card at the end.
local tm = require 'tidemill'

return tm.pipeline 't2'
  :key_by 'card'
  :running('spent', { n = tm.agg.count(), total = tm.agg.sum 'amount' }, { emit = 'final', unbounded = true })
