-- enrich.lua - purchases with the terms that their customer had at the time: a table with versions, a table of countries.
--
--   build/tidemill run scripts/examples/enrich.lua --from scripts/examples/data/purchases.ndjson
--
-- Both files are read to their end first. What a customer's tier was is told by `since`; a row without a tier ends it.

local tm = require 'tidemill'

local dir = tm.setting('data', 'scripts/examples/data')

local customers = tm.table('customers', {
  key = 'id',
  from = tm.source.file(dir .. '/customers.csv'),
  time = { field = 'since', unit = 'iso8601' },
  delete = function(row) return row.tier == '' end,
})
local countries = tm.table('countries', { key = 'code', from = tm.source.file(dir .. '/countries.csv'), schema = { vat = 'number' } })

local discount = { gold = 10, silver = 5 }   -- percent

return tm.pipeline 'enrich'
  :event_time { field = 'at', unit = 'iso8601' }
  :lookup(customers, { on = { customer = 'id' }, as = 'terms' })
  :lookup(countries, { on = { country = 'code' }, missing = 'drop' })
  :map(function(e)
    local percent = e.terms and discount[e.terms.tier] or 0
    local net = e.cents - math.floor(e.cents * percent / 100)
    return {
      purchase = e.purchase, country = e.countries.name, tier = e.terms and e.terms.tier or 'none', net = net,
      vat = math.floor(net * e.countries.vat / 100),
    }
  end)
