-- Count and sum per card, one row a card at the end.
local tm = require 'tidemill'

return tm.pipeline 'totals'
  :key_by 'card'
  :running('spent', { n = tm.agg.count(), total = tm.agg.sum 'amount' }, { emit = 'final', unbounded = true })
