-- q20.lua - bids with their auction: those of category 10.
--
--   tidemill run scripts/nexmark/q20.lua --from events.ndjson
--
-- A bid may come before its auction (ids are taken a little ahead, and events may come in disorder), and long after it: so all of both are
-- kept.

local tm = require 'tidemill'

local s = tm.pipeline 'q20'
local bids = s:filter(function(e) return e.kind == 'bid' end)
local auctions = s:filter(function(e) return e.category == 10 end)

return bids:join('auctions', auctions, { on = { auction = 'id' }, unbounded = true, max_keys = 1e6, as = 'of' })
  :map(function(b)
    local a = b.of
    b.bid_ts, b.bid_extra, b.item_name, b.description = b.ts, b.extra, a.item_name, a.description
    b.initial_bid, b.reserve, b.auction_ts, b.expires = a.initial_bid, a.reserve, a.ts, a.expires
    b.seller, b.category, b.auction_extra = a.seller, a.category, a.extra
    return b
  end)
  :select {
    'auction', 'bidder', 'price', 'channel', 'url', 'bid_ts', 'bid_extra', 'item_name', 'description', 'initial_bid', 'reserve',
    'auction_ts', 'expires', 'seller', 'category', 'auction_extra',
  }
