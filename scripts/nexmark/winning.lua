--[[
winning.lua - the winning bids, which q4, q6 and q9 begin with: of each auction the highest bid made while it was open, the earliest
of equal ones.

  winning.bids('name', {
    state = { category = 'number' },                              what is kept of an auction, beside what is needed here
    open = function(e, s) s.category = e.category end,            an auction comes
    lead = function(b, s, ctx) ctx.emit { … } end,                the bid b takes the lead; s.price is still the price that it beats
    close = function(s, ctx) ctx.emit { … } end,                  it expires, and is won at s.price: this needs
    out_of_order = '5s',                                          the pipeline has event time; events may come so much later
  })

One of `lead` and `close` is there at least.

A bid may come before its auction (ids are taken a little ahead, and events may come in disorder): it waits.
]]

local tm = require 'tidemill'

local M = {}

---@param query { state: table, open: function, lead: function|nil, close: function|nil, out_of_order: string|nil }
function M.bids(name, query)
  local state = {
    opens = 'number', expires = 'number',
    price = 'number', bid_ts = 'number',   -- of the bid that leads
    early = tm.state.list { of = 'any', max = 10000 },
  }
  for field, kind in pairs(query.state) do state[field] = kind end

  --- The bid b, an event or a table, on the auction that s holds.
  local function offer(b, s, ctx)
    local ts, price = b.ts, b.price
    if ts < s.opens or ts > s.expires then return end
    if s.price and (price < s.price or price == s.price and ts >= s.bid_ts) then return end
    if query.lead then query.lead(b, s, ctx) end
    s.price, s.bid_ts = price, ts
  end

  local events = tm.pipeline(name)
  if query.out_of_order then events = events:event_time { field = 'ts', out_of_order = query.out_of_order } end
  return events
    :filter(function(e) return e.kind ~= 'person' end)
    :key_by(function(e) return e.auction or e.id end, 'id')
    :process('auctions', {
      max_keys = 1e6,
      state = state,
      on_event = function(e, s, ctx)
        if e.kind == 'auction' then
          s.opens, s.expires = e.ts, e.expires
          query.open(e, s)
          for _, b in s.early:each() do offer(b, s, ctx) end
          s.early:clear()
          if query.close then ctx.timer('closes', e.expires) end
        elseif s.opens then
          offer(e, s, ctx)
        else
          s.early:push { ts = e.ts, bidder = e.bidder, price = e.price, extra = e.extra }
        end
      end,
      on_timer = query.close and function(_, s, ctx)
        if s.price then query.close(s, ctx) end
      end,
    })
end

return M
