-- q20.lua - bids with their auction: those of category 10.
--
--   tidemill run scripts/nexmark/q20.lua --from events.ndjson
--
-- Bids and their auction meet at the auction's id. A bid that comes first (ids are taken a little ahead, and events may come in disorder)
-- waits, as its auction may be of category 10; an auction stays, as there may be bids on it long after.

local tm = require 'tidemill'

--- The bid b, an event or a table, with the auction that s holds.
local function meet(b, s, ctx)
  b.item_name, b.description, b.initial_bid, b.reserve = s.item_name, s.description, s.initial_bid, s.reserve
  b.auction_ts, b.expires, b.seller, b.category, b.auction_extra = s.ts, s.expires, s.seller, s.category, s.extra
  ctx.emit(b)
end

return tm.pipeline 'q20'
  :filter(function(e) return e.kind ~= 'person' end)
  :key_by(function(e) return e.auction or e.id end, 'auction')
  :process('auctions', {
    max_keys = 1e6,
    state = {
      item_name = 'string', description = 'string', initial_bid = 'number', reserve = 'number', ts = 'number', expires = 'number',
      seller = 'number', category = 'number', extra = 'string',
      early = tm.state.list { of = 'any', max = 1e6 },
    },
    on_event = function(e, s, ctx)
      if e.kind == 'auction' then
        s.category = e.category
        if e.category == 10 then
          s.item_name, s.description, s.initial_bid, s.reserve = e.item_name, e.description, e.initial_bid, e.reserve
          s.ts, s.expires, s.seller, s.extra = e.ts, e.expires, e.seller, e.extra
          for _, b in s.early:each() do meet(b, s, ctx) end
        end
        s.early:clear()
      elseif s.category == 10 then
        meet(e, s, ctx)
      elseif not s.category then
        s.early:push {
          auction = e.auction, bidder = e.bidder, price = e.price, channel = e.channel, url = e.url, ts = e.ts, extra = e.extra,
        }
      end
    end,
  })
  :rename { ts = 'bid_ts', extra = 'bid_extra' }
  :select {
    'auction', 'bidder', 'price', 'channel', 'url', 'bid_ts', 'bid_extra', 'item_name', 'description', 'initial_bid', 'reserve',
    'auction_ts', 'expires', 'seller', 'category', 'auction_extra',
  }
