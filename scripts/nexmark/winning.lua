--[[
winning.lua - the winning bids, which q4 and q9 begin with: of each auction the highest bid made while it was open, the earliest
of equal ones.

  winning.bids('name', { 'category' })      a pipeline with a row whenever a bid takes the lead: the auction's id and these fields
                                            of it; bidder, price, bid_ts and bid_extra of the bid; `beaten`, the price that led before

A bid may come before its auction (ids are taken a little ahead, and events may come in disorder): it waits.
]]

local tm = require 'tidemill'

local M = {}

---@param fields string[] of the auction
function M.bids(name, fields)
  --- The bid b, an event or a table, on the auction that s holds.
  local function offer(b, s, ctx)
    if b.ts < s.opens or b.ts > s.expires then return end
    if s.price and (b.price < s.price or b.price == s.price and b.ts >= s.bid_ts) then return end
    local row, auction = {}, s.auction
    for _, field in ipairs(fields) do row[field] = auction[field] end
    row.id, row.bidder, row.price, row.bid_ts, row.bid_extra, row.beaten = ctx.key, b.bidder, b.price, b.ts, b.extra, s.price
    s.price, s.bid_ts = b.price, b.ts
    ctx.emit(row)
  end

  return tm.pipeline(name)
    :filter(function(e) return e.kind ~= 'person' end)
    :key_by(function(e) return e.auction or e.id end, 'id')
    :process('auctions', {
      max_keys = 1e6,
      state = {
        opens = 'number', expires = 'number', auction = 'any',
        price = 'number', bid_ts = 'number',   -- of the bid that leads
        early = tm.state.list { of = 'any', max = 10000 },
      },
      on_event = function(e, s, ctx)
        if e.kind == 'auction' then
          local auction = {}
          for _, field in ipairs(fields) do auction[field] = e[field] end
          s.opens, s.expires, s.auction = e.ts, e.expires, auction
          for _, b in s.early:each() do offer(b, s, ctx) end
          s.early:clear()
        elseif s.opens then
          offer(e, s, ctx)
        else
          s.early:push { ts = e.ts, bidder = e.bidder, price = e.price, extra = e.extra }
        end
      end,
    })
end

return M
