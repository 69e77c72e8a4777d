-- funnel.lua - how many visitors of a web shop got how far: product, cart, checkout, paid, in this order.
--
--   build/tidemill run scripts/examples/funnel.lua --from scripts/examples/data/clicks.ndjson
--
-- A step counts once a visitor, and only when the one before it was reached.

local tm = require 'tidemill'

local steps = { 'product', 'cart', 'checkout', 'paid' }

return tm.pipeline 'funnel'
  :key_by 'visitor'
  :process('reached', {
    state = { n = 0 },
    max_keys = 1e6,
    on_event = function(e, s, ctx)
      if e.page == steps[s.n + 1] then
        s.n = s.n + 1
        ctx.emit { step = s.n, page = e.page }
      end
    end,
  })
  :key_by { 'step', 'page' }
  :running('visitors', { visitors = tm.agg.count() }, { emit = 'final', max_keys = #steps })
