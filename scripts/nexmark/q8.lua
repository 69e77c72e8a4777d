-- q8.lua - monitor new users: who came and put up an auction within the same period of ten seconds?
--
--   tidemill run scripts/nexmark/q8.lua --from events.ndjson          --set out_of_order=5s: events that come later than that are late
--
-- Both kinds have a person as their key; a window in which there was one of each is an answer.

local tm = require 'tidemill'

local function is_person(e) return e.kind == 'person' end
local function is_auction(e) return e.kind == 'auction' end

return tm.pipeline 'q8'
  :event_time { field = 'ts', out_of_order = tm.setting('out_of_order', '0s') }
  :filter(function(e) return e.kind ~= 'bid' end)
  :key_by(function(e) return e.kind == 'person' and e.id or e.seller end, 'id')
  :window('new', tm.window.tumbling '10s')
  :aggregate {
    name = tm.agg.first('name', { where = is_person }),
    came = tm.agg.count { where = is_person },
    sold = tm.agg.count { where = is_auction },
  }
  :filter(function(e) return e.came > 0 and e.sold > 0 end)
  :select { 'id', 'name', 'window_start' }
