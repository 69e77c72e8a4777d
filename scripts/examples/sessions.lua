-- sessions.lua - visits of a web shop: clicks of a visitor less than a gap apart are one; the gap depends on the device.
--
--   build/tidemill run scripts/examples/sessions.lua --from scripts/examples/data/clicks.ndjson
--
-- process numbers the visits, running sums up each of them.

local tm = require 'tidemill'

local minutes = { phone = 5, desktop = 30 }

return tm.pipeline 'sessions'
  :event_time { field = 'ts', unit = 's' }
  :key_by 'visitor'
  :process('visits', {
    state = { last = 'number', n = 0 },
    max_keys = 1e6,
    on_event = function(e, s, ctx)
      if not s.last or ctx.time - s.last > (minutes[e.device] or 15) * 60000 then s.n = s.n + 1 end
      s.last = math.max(s.last or 0, ctx.time)
      ctx.emit { visitor = ctx.key, visit = s.n, ts = e.ts, page = e.page }
    end,
  })
  :key_by { 'visitor', 'visit' }
  :running('pages', {
    pages = tm.agg.count(), from = tm.agg.min 'ts', to = tm.agg.max 'ts', left_at = tm.agg.last 'page',
  }, { emit = 'final', max_keys = 1e6 })
