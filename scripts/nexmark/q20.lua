-- q20.lua - bids with their auction: those of category 10.
--
--   tidemill run scripts/nexmark/q20.lua --from events.ndjson
--
-- A bid may come before its auction (ids are taken a little ahead, and events may come in disorder): it waits.

local tm = require 'tidemill'

--- The bid b, an event or a table, and its auction as one row.
local function joined(b, auction, ctx)
  ctx.emit {
    auction = ctx.key, bidder = b.bidder, price = b.price, channel = b.channel, url = b.url, bid_ts = b.ts, bid_extra = b.extra,
    item_name = auction.item_name, description = auction.description, initial_bid = auction.initial_bid, reserve = auction.reserve,
    auction_ts = auction.ts, expires = auction.expires, seller = auction.seller, category = auction.category,
    auction_extra = auction.extra,
  }
end

return tm.pipeline 'q20'
  :filter(function(e) return e.kind ~= 'person' end)
  :key_by(function(e) return e.auction or e.id end, 'auction')
  :process('auctions', {
    max_keys = 1e6,
    state = { known = false, auction = 'any', early = tm.state.list { of = 'any', max = 10000 } },   -- auction: nil in other categories
    on_event = function(e, s, ctx)
      if e.kind == 'auction' then
        s.known = true
        if e.category == 10 then
          s.auction = tm.copy(e)
          for _, b in s.early:each() do joined(b, s.auction, ctx) end
        end
        s.early:clear()
      elseif not s.known then
        s.early:push(tm.copy(e))
      else
        local auction = s.auction
        if auction then joined(e, auction, ctx) end
      end
    end,
  })
