-- totals_per_card.lua - keeps a total for each card, and tells of large payments at a merchant new to the card.
--
--   build/tidemill run scripts/examples/totals_per_card.lua --from scripts/examples/data/card_payments.ndjson --set dir=/tmp
--
-- The totals go to totals.ndjson once the input ends, the alerts to standard output as they come. Of the sample, one payment has
-- no amount that is a number and one no card: both fail alone.

local tm = require 'tidemill'

local dir = tm.setting('dir', '.')
local large = tm.setting('large', 100)

local payments = tm.pipeline 'payments'
  :schema { card = 'string', merchant = 'string', amount = 'decimal(2)' }
  :key_by 'card'

local totals = payments
  :running('totals', {
    payments = tm.agg.count(),
    spent = tm.agg.sum 'amount',
    largest = tm.agg.max 'amount',
    last_at = tm.agg.last 'merchant',
  }, { max_keys = 1e6, emit = 'final' })
  :to(tm.sink.file(dir .. '/totals.ndjson'))

local alerts = payments
  :process('merchants', {
    state = { seen = tm.state.set { of = 'string', max = 1000 } },
    max_keys = 1e6,
    on_event = function(e, s, ctx)
      if s.seen:add(e.merchant) and e.amount >= large then
        ctx.emit { card = ctx.key, merchant = e.merchant, amount = e.amount, merchants = s.seen:size() }
      end
    end,
  })
  :to(tm.sink.stdout())

return { totals, alerts }
