-- Every event changes its card's state and then fails: all is taken back.
local tm = require 'tidemill'

return tm.pipeline 'failing'
  :key_by 'card'
  :process('cards', { unbounded = true, state = { n = 0, total = 0 },
    on_event = function(e, s)
      s.n = s.n + 1
      s.total = s.total + e.amount
      error 'as asked'
    end })
  :to(tm.sink.discard())
