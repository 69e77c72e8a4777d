-- clean.lua - checks types, keeps settled payments, hides card numbers, brings fields into the shape others expect.
--
--   build/tidemill run scripts/examples/clean.lua --from scripts/examples/data/payments.ndjson
--
-- One payment of the sample has no amount that is a number: it is told on stderr and counted, the others go on.

local tm = require 'tidemill'

return tm.pipeline 'clean'
  :schema { at = 'time_ms', pan = 'string', amt = 'decimal(2)', status = 'string', fee = 'decimal(2)' }
  :filter(function(e) return e.status == 'settled' end)
  :set {
    card = function(e) return e.pan:sub(1, 6) .. '…' .. e.pan:sub(-4) end,
    fee = function(e) return e.amt * 0.015 end,   -- leaves with two decimals, as declared
  }
  :drop { 'pan', 'holder', 'status' }
  :rename { at = 'ts', amt = 'amount' }
