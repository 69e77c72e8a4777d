-- t1 from CSV: the amount is declared, as its text is a text until then.
local tm = require 'tidemill'

return tm.pipeline 't1'
  :schema { amount = 'number' }
  :filter(function(e) return e.amount > 100 end)
  :select { 'ts', 'id', 'card', 'merchant', 'amount' }
  :to(tm.sink.stdout())
