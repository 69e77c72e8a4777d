-- Card testing: three small amounts of a card, then one fifty times the first of them, all within ten minutes; in order of event time.
local tm = require 'tidemill'

local probing = tm.pattern 'card_testing'
  :start('probe', function(e) return e.amount < 2 end):times(3)
  :followed_by('hit', function(e, m) return e.amount > 50 * m.probe[1].amount end)
  :within '10m' :after_match 'skip_past_last'

return tm.pipeline 'card_testing':event_time { field = 'ts', out_of_order = '5s' }:key_by 'card':match(probing)
  :map(function(m) return { card = m.key, first = m.probe[1].id, hit = m.hit[1].id, amount = m.hit[1].amount } end)
