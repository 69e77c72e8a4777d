-- q6.lua - average selling price by seller: the mean of the winning bids of a seller's last ten closed auctions, told at each closing.
--
--   tidemill run scripts/nexmark/q6.lua --from events.ndjson          --set out_of_order=5s: events may come so much later
--
-- An auction is won by the bid that leads when it expires. A seller has a timer for each time at which some of his auctions do; those of
-- the same ms are told by id.

local tm = require 'tidemill'
local winning = require 'winning'

return winning.bids('q6', {
    out_of_order = tm.setting('out_of_order', '0s'),
    state = { seller = 'number' },
    open = function(e, s) s.seller = e.seller end,
    lead = function(b, s, ctx) ctx.emit { auction = ctx.key, seller = s.seller, expires = s.expires, price = b.price } end,
  })
  :key_by 'seller'
  :process('closing', {
    max_keys = 1e6,
    state = {
      open = tm.state.map { key = 'number', of = 'any', max = 10000 },   -- by auction: when it expires, and the bid that leads
      prices = tm.state.list { of = 'number', max = 10 },                -- of the last ten
    },
    on_event = function(e, s, ctx)
      s.open:set(e.auction, { expires = e.expires, price = e.price })
      ctx.timer(tostring(e.expires), e.expires)
    end,
    on_timer = function(_, s, ctx)
      local closed = {}
      for auction, a in s.open:each() do
        if a.expires == ctx.time then closed[#closed + 1] = auction end
      end
      table.sort(closed)
      for _, auction in ipairs(closed) do
        s.prices:push(s.open:get(auction).price)
        s.open:remove(auction)
        local sum = 0
        for _, price in s.prices:each() do sum = sum + price end
        ctx.emit { seller = ctx.key, auction = auction, avg_price = sum / s.prices:size() }
      end
    end,
  })
