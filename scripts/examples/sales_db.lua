-- sales_db.lua - sales and what each shop takes, in an SQLite database that other programs read while it grows.
--
--   build/tidemill run scripts/examples/sales_db.lua --from scripts/examples/data/sales.ndjson
--   sqlite3 sales.db "SELECT shop, quarter, taken FROM takings ORDER BY taken DESC LIMIT 3"
--
-- Each sale is one more row of the table sales. A quarter of an hour of a shop is one row of takings, which a sale that comes late
-- replaces: `emit 'retract'` takes the old row back before it gives the new one, and the sink does as its rows say.

local tm = require 'tidemill'
local db = tm.setting('dir', '.') .. '/sales.db'

local sales = tm.pipeline 'sales'
  :schema { at = 'time_s', shop = 'string', article = 'string', amount = 'decimal(2)' }

local takings = tm.pipeline 'takings':from(sales)
  :event_time { field = 'at', unit = 's', out_of_order = '1m' }
  :key_by 'shop'
  :window('quarter', tm.window.tumbling '15m', { lateness = '15m' })
  :aggregate { sales = tm.agg.count(), taken = tm.agg.sum 'amount' }
  :emit 'retract'
  :set { quarter = function(e) return tm.date.format(e.window_start, '%Y-%m-%d %H:%M') end }
  :select { 'op', 'shop', 'quarter', 'sales', 'taken' }

return {
  sales:to(tm.sink.sqlite { path = db, table = 'sales', columns = { 'at', 'shop', 'article', 'amount' } }),
  takings:to(tm.sink.sqlite { path = db, table = 'takings', key = { 'shop', 'quarter' } }),
}
