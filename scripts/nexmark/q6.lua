-- q6.lua - average selling price by seller: the mean of the winning bids of a seller's last ten closed auctions, told at each closing.
--
--   tidemill run scripts/nexmark/q6.lua --from events.ndjson          --set out_of_order=5s: events may come so much later
--
-- An auction is won by the bid that leads when it expires. Those of a seller that expire in the same ms are told by id: they wait until
-- all of that ms are there, as a timer comes behind the rows of its time, and each timer tells the first that waits.

local tm = require 'tidemill'
local winning = require 'winning'

return winning.bids('q6', {
    out_of_order = tm.setting('out_of_order', '0s'),
    state = { seller = 'number' },
    open = function(e, s) s.seller = e.seller end,
    close = function(s, ctx) ctx.emit { seller = s.seller, auction = ctx.key, price = s.price } end,
  })
  :key_by 'seller'
  :process('closing', {
    max_keys = 1e6,
    state = {
      closed = tm.state.map { key = 'number', of = 'number', max = 10000 },    -- when, by auction
      price = tm.state.map { key = 'number', of = 'number', max = 10000 },     -- and for how much
      last = tm.state.list { of = 'number', max = 10 }, total = 0,             -- prices of the last ten, and their sum
    },
    on_event = function(e, s, ctx)
      s.closed:set(e.auction, ctx.time)
      s.price:set(e.auction, e.price)
      ctx.timer(tostring(e.auction), ctx.time)
    end,
    on_timer = function(_, s, ctx)
      local auction
      for id, time in s.closed:each() do
        if time == ctx.time and (not auction or id < auction) then auction = id end
      end
      local price = s.price:get(auction)
      s.closed:remove(auction)
      s.price:remove(auction)
      if s.last:size() == 10 then s.total = s.total - s.last:shift() end
      s.last:push(price)
      s.total = s.total + price
      ctx.emit { seller = ctx.key, auction = auction, avg_price = s.total / s.last:size() }
    end,
  })
