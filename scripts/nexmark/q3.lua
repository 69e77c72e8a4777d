-- q3.lua - local item suggestion: who in Oregon, Idaho or California sells in category 10, and which auctions?
--
--   tidemill run scripts/nexmark/q3.lua --from events.ndjson
--
-- Persons and auctions meet at the person's id, whichever comes first.

local tm = require 'tidemill'

local local_states = { OR = true, ID = true, CA = true }

local function suggestion(s, auction) return { name = s.name, city = s.city, state = s.state, id = auction } end

return tm.pipeline 'q3'
  :filter(function(e) return e.kind ~= 'bid' end)
  :filter(function(e) return e.category == 10 or e.kind == 'person' and local_states[e.state] end)
  :key_by(function(e) return e.seller or e.id end, 'person')
  :process('sellers', {
    max_keys = 1e6,
    state = { name = 'string', city = 'string', state = 'string', early = tm.state.list { of = 'number', max = 10000 } },
    on_event = function(e, s, ctx)
      if e.kind == 'person' then
        s.name, s.city, s.state = e.name, e.city, e.state
        for _, auction in s.early:each() do ctx.emit(suggestion(s, auction)) end
        s.early:clear()
      elseif s.name then
        ctx.emit(suggestion(s, e.id))
      else
        s.early:push(e.id)
      end
    end,
  })
