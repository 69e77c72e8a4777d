-- An operator of the user's own with four fields a card.
local tm = require 'tidemill'

return tm.pipeline 'cards'
  :key_by 'card'
  :process('cards', { unbounded = true, state = { n = 0, total = 0, last = 'integer', top = 'number' },
    on_event = function(e, s, ctx)
      s.n = s.n + 1
      s.total = s.total + e.amount
      s.last = e.ts
      if not s.top or e.amount > s.top then s.top = e.amount end
      if s.n == 500 then ctx.emit { card = e.card, total = s.total, top = s.top } end
    end })
  :to(tm.sink.discard())
