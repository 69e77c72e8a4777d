-- q1.lua - currency conversion: the price of every bid in euros, at 0.908 a dollar.
--
--   tidemill run scripts/nexmark/q1.lua --from events.ndjson

local tm = require 'tidemill'

return tm.pipeline 'q1'
  :filter(function(e) return e.kind == 'bid' end)
  :set { price = function(e) return e.price * 908 / 1000 end }   -- one rounding, so the three decimals are exact
  :select { 'auction', 'bidder', 'price', 'ts', 'extra' }
