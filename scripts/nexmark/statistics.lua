--[[
statistics.lua - what q15 and q16 count: bids, bidders and auctions, in all and by price, as aggregates for `running`.
]]

local tm = require 'tidemill'

local levels = {
  total = false,
  rank1 = function(e) return e.price < 10000 end,
  rank2 = function(e) return e.price >= 10000 and e.price < 1000000 end,
  rank3 = function(e) return e.price >= 1000000 end,
}

local M = {}
for level, where in pairs(levels) do
  local options = { where = where or nil }
  M[level .. '_bids'] = tm.agg.count(options)
  M[level .. '_bidders'] = tm.agg.distinct('bidder', options)
  M[level .. '_auctions'] = tm.agg.distinct('auction', options)
end
return M
