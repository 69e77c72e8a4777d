-- q13.lua - bounded side input: every bid with the value that a table of 10,000 rows has for its auction.
--
--   tidemill run scripts/nexmark/side_input.lua --out-format csv > side_input.csv
--   tidemill run scripts/nexmark/q13.lua --from events.ndjson --set side=side_input.csv

local tm = require 'tidemill'

local side = tm.table('side_input', {
  key = 'key', from = tm.source.file { path = tm.setting('side', 'side_input.csv'), format = 'csv' }, schema = { key = 'integer' },
})

return tm.pipeline 'q13'
  :filter(function(e) return e.kind == 'bid' end)
  :set { key = function(e) return e.auction % 10000 end }
  :lookup(side, { on = 'key', as = 'side', missing = 'drop' })
  :set { value = function(e) return e.side.value end }
  :select { 'auction', 'bidder', 'price', 'ts', 'value' }
