-- q20.lua - bids with their auction: those of category 10.
--
--   tidemill run scripts/nexmark/q20.lua --from events.ndjson
--
-- A bid may come before its auction (ids are taken a little ahead, and events may come in disorder): it waits.

local tm = require 'tidemill'

--- The bid b, an event or a table, with the auction that s holds. An event that is emitted itself costs less than a table.
local function join(b, s, ctx)
  b.bid_ts, b.bid_extra, b.item_name, b.description = b.ts, b.extra, s.item_name, s.description
  b.initial_bid, b.reserve, b.auction_ts, b.expires = s.initial_bid, s.reserve, s.ts, s.expires
  b.seller, b.category, b.auction_extra = s.seller, s.category, s.extra
  ctx.emit(b)
end

return tm.pipeline 'q20'
  :filter(function(e) return e.kind ~= 'person' end)
  :key_by(function(e) return e.auction or e.id end, 'auction')
  :process('auctions', {
    max_keys = 1e6,
    state = {
      category = 'number', item_name = 'string', description = 'string', initial_bid = 'number', reserve = 'number', ts = 'number',
      expires = 'number', seller = 'number', extra = 'string',
      early = tm.state.list { of = 'any', max = 10000 },
    },
    on_event = function(e, s, ctx)
      if e.kind == 'bid' then
        if s.category == 10 then join(e, s, ctx) elseif not s.category then s.early:push(tm.copy(e)) end
        return
      end
      s.category = e.category
      if e.category == 10 then
        s.item_name, s.description, s.initial_bid, s.reserve = e.item_name, e.description, e.initial_bid, e.reserve
        s.ts, s.expires, s.seller, s.extra = e.ts, e.expires, e.seller, e.extra
        for _, b in s.early:each() do join(b, s, ctx) end
      end
      s.early:clear()
    end,
  })
  :select {
    'auction', 'bidder', 'price', 'channel', 'url', 'bid_ts', 'bid_extra', 'item_name', 'description', 'initial_bid', 'reserve',
    'auction_ts', 'expires', 'seller', 'category', 'auction_extra',
  }
