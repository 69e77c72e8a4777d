-- q9.lua - winning bids: of each auction the highest bid made while it was open, the earliest of equal ones.
--
--   tidemill run scripts/nexmark/q9.lua --from events.ndjson
--
-- A row whenever a bid takes the lead; the last row of an id is its winner.

local winning = require 'winning'

return winning.bids('q9', {
  state = {
    item_name = 'string', description = 'string', initial_bid = 'number', reserve = 'number', seller = 'number', category = 'number',
    extra = 'string',
  },
  open = function(e, s)
    s.item_name, s.description, s.initial_bid, s.reserve = e.item_name, e.description, e.initial_bid, e.reserve
    s.seller, s.category, s.extra = e.seller, e.category, e.extra
  end,
  lead = function(b, s, ctx)
    ctx.emit {
      id = ctx.key, item_name = s.item_name, description = s.description, initial_bid = s.initial_bid, reserve = s.reserve,
      ts = s.opens, expires = s.expires, seller = s.seller, category = s.category, extra = s.extra,
      bidder = b.bidder, price = b.price, bid_ts = b.ts, bid_extra = b.extra,
    }
  end,
})
