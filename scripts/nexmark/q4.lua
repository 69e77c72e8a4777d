-- q4.lua - average price for a category: of each auction the highest bid made while it was open; of these the mean a category.
--
--   tidemill run scripts/nexmark/q4.lua --from events.ndjson          --set emit=final: one row a category, at the end
--
-- A row whenever a mean changes. What a bid that takes the lead adds to the sum is its price less the one it beats.

local tm = require 'tidemill'
local winning = require 'winning'

return winning.bids('q4', {
    state = { category = 'number' },
    open = function(e, s) s.category = e.category end,
    lead = function(b, s, ctx)
      ctx.emit { category = s.category, more = b.price - (s.price or 0), auctions = s.price and 0 or 1 }
    end,
  })
  :key_by 'category'
  :running('prices', { total = tm.agg.sum 'more', auctions = tm.agg.sum 'auctions' }, { emit = tm.setting 'emit', max_keys = 1000 })
  :map(function(e) return { category = e.category, final = e.total / e.auctions } end)
