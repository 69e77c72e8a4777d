-- q21.lua - channel id: known channels have one, of others it stands in the URL; bids without one are left out.
--
--   tidemill run scripts/nexmark/q21.lua --from events.ndjson

local tm = require 'tidemill'

local in_url = tm.re '[?&]channel_id=(?<channel_id>[^&]*)'
local known = { apple = '0', google = '1', facebook = '2', baidu = '3' }

return tm.pipeline 'q21'
  :filter(function(e) return e.kind == 'bid' end)
  :map(in_url:fields('url', { add = true }))
  :set { channel_id = function(e) return known[tm.lower(e.channel)] or e.channel_id end }
  :filter(function(e) return e.channel_id ~= nil end)
  :select { 'auction', 'bidder', 'price', 'channel', 'channel_id' }
