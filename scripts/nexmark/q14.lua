-- q14.lua - calculation: the bids above 1 and below 50 million cents in euros, with the time of the day and how many c are in extra.
--
--   tidemill run scripts/nexmark/q14.lua --from events.ndjson

local tm = require 'tidemill'

local function time_type(e)
  local hour = math.floor(e.ts / 3600000) % 24
  if hour >= 8 and hour <= 18 then return 'dayTime' end
  return (hour <= 6 or hour >= 20) and 'nightTime' or 'otherTime'
end

return tm.pipeline 'q14'
  :filter(function(e) return e.kind == 'bid' and e.price * 908 > 1000000000 and e.price * 908 < 50000000000 end)
  :set {
    price = function(e) return e.price * 908 / 1000 end,   -- one rounding, so the three decimals are exact
    bid_time_type = time_type,
    c_counts = function(e) return tm.count(e.extra, 'c') end,
  }
  :select { 'auction', 'bidder', 'price', 'bid_time_type', 'ts', 'extra', 'c_counts' }
