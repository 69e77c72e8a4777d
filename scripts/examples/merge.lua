-- merge.lua - two files of different shape become one stream.
--
--   build/tidemill run scripts/examples/merge.lua
--
-- --set data=DIR reads bank_a.ndjson and bank_b.ndjson elsewhere.

local tm = require 'tidemill'

local data = tm.setting('data', 'scripts/examples/data')

local a = tm.pipeline 'bank_a':from(tm.source.file(data .. '/bank_a.ndjson'))
  :map(function(e) return { id = e.ref, account = e.iban, euros = e.cents / 100 } end)

local b = tm.pipeline 'bank_b':from(tm.source.file(data .. '/bank_b.ndjson'))
  :map(function(e) return { id = 'B-' .. e.txid, account = e.account, euros = e.value } end)

return tm.pipeline 'large':from(tm.union(a, b))
  :filter(function(e) return math.abs(e.euros) >= 40 end)
  :select { 'id', 'account', 'euros' }
