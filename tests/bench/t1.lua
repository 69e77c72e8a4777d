-- t1: amount > 100 (18 % pass), five fields as JSON.
local tm = require 'tidemill'

return tm.pipeline 't1'
  :filter(function(e) return e.amount > 100 end)
  :select { 'ts', 'id', 'card', 'merchant', 'amount' }
  :to(tm.sink.stdout())
