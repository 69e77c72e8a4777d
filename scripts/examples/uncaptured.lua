-- uncaptured.lua - what did not happen: card payments that were authorized and not captured within 15 minutes.
--
--   build/tidemill run scripts/examples/uncaptured.lua --from scripts/examples/data/captures.ndjson
--
-- Time is the events' own: a row comes when events a minute later than the deadline are there, or the input ends. A capture may
-- come before its authorization; one without any is forgotten.

local tm = require 'tidemill'

local WAIT = 15 * 60 * 1000

return tm.pipeline 'uncaptured'
  :event_time { field = 'ts', unit = 's', out_of_order = '1m' }
  :key_by 'auth'
  :process('open', {
    state = { card = 'string', amount = 'number', since = 'number', captured = false },
    max_keys = 1e6,
    on_event = function(e, s, ctx)
      if e.type == 'capture' then
        if not s.since then
          s.captured = true
          ctx.timer('forget', ctx.time + WAIT)
        elseif ctx.time - s.since <= WAIT then
          ctx.clear()
        end
      elseif s.captured then
        ctx.clear()
      else
        s.card, s.amount, s.since = e.card, e.amount, ctx.time
        ctx.timer('missing', ctx.time + WAIT)
      end
    end,
    on_timer = function(name, s, ctx)
      if name == 'missing' then
        ctx.emit { auth = ctx.key, card = s.card, amount = s.amount, since = s.since / 1000, missing_at = ctx.time / 1000 }
      end
      ctx.clear()
    end,
  })
