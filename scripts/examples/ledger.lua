-- ledger.lua - identifiers beyond 2^53 and exact amounts.
--
--   build/tidemill run scripts/examples/ledger.lua --from scripts/examples/data/ledger.ndjson
--
-- A Lua number would round such identifiers. An int64 field is read as its digits and leaves as it came; tm.i64 computes with
-- digits. A decimal(2) field is a number in Lua and is written with two decimals. Two entries of the sample break their
-- declared types: an identifier beyond an int64, an amount with three decimals.

local tm = require 'tidemill'

return tm.pipeline 'ledger'
  :schema { id = 'int64', amount = 'decimal(2)', net = 'decimal(2)', following = 'int64', booked = 'time_iso8601' }
  :filter(function(e) return tm.i64.cmp(e.id, '0') > 0 end)
  :set {
    shard = function(e) return tonumber(tm.i64.mod(e.id, 16)) end,
    net = function(e) return e.amount / 1.19 end,
    following = function(e) return e.id ~= '9223372036854775807' and tm.i64.add(e.id, 1) or nil end,
  }
