-- t0: decode, test one number, count (the end summary counts).
local tm = require 'tidemill'

return tm.pipeline 't0'
  :filter(function(e) return e.amount > 100 end)
  :to(tm.sink.discard())
