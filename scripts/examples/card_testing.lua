-- card_testing.lua - patterns: a thief tries a card with small amounts, then takes a large one; and orders nobody paid in an hour.
--
--   build/tidemill run scripts/examples/card_testing.lua --from scripts/examples/data/card_testing.ndjson
--
-- Events are matched in order of their own time, each when events a minute later are there, or the input ends. A match is a row with the
-- events of each stage; functions of a stage may look at what was matched before it.

local tm = require 'tidemill'

local SMALL, TIMES_LARGER = 2, 50   -- what a try is; how much more the large amount is

local probing = tm.pattern 'card_testing'
  :start('probe', function(e) return e.type == 'payment' and e.amount < SMALL end):times(3, math.huge):greedy()
  :followed_by('hit', function(e, m) return e.type == 'payment' and e.amount > TIMES_LARGER * m.probe[1].amount end)
  :within '10m' :after_match 'skip_past_last'

local unpaid = tm.pattern 'unpaid'
  :start('order', function(e) return e.type == 'order' end)
  :not_followed_by('payment', function(e, m) return e.type == 'payment' and e.order == m.order[1].order end)
  :within '1h'

local events = tm.pipeline 'cards':event_time { field = 'ts', unit = 's', out_of_order = '1m' }:key_by 'card'

return {
  events:match(probing):map(function(m)
    return { alert = 'card_testing', card = m.key, tries = #m.probe, amount = m.hit[1].amount, at = m.time / 1000 }
  end):to(tm.sink.stdout()),
  events:match(unpaid):map(function(m)
    return { alert = 'unpaid', card = m.key, order = m.order[1].order, at = m.time / 1000 }
  end):to(tm.sink.stdout()),
}
