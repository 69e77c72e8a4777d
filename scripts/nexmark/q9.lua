-- q9.lua - winning bids: of each auction the highest bid made while it was open, the earliest of equal ones.
--
--   tidemill run scripts/nexmark/q9.lua --from events.ndjson
--
-- A row whenever a bid takes the lead; the last row of an id is its winner.

local winning = require 'winning'

return winning.bids('q9', { 'item_name', 'description', 'initial_bid', 'reserve', 'ts', 'expires', 'seller', 'category', 'extra' })
  :drop { 'beaten' }
