--[[
features/card.lua - what is known of a card when an event of it comes. Windows are (t - over, t]; the event itself counts unless
current = false. What looks back 30 days goes by steps of six hours, where the feature can: a card then keeps 120 numbers, not its events.
]]

local function payment(tx) return tx.kind == 'payment' end
local function approved(tx) return tx.kind == 'payment' and tx.result == 'approved' end
local function declined(tx) return tx.kind == 'payment' and tx.result ~= 'approved' end
local function present(tx) return tx.kind == 'payment' and tx.channel ~= 'ecom' end
local function bad_cvv(tx) return tx.result == 'bad_cvv' end
local function cash(tx) return tx.channel == 'atm' and tx.result == 'approved' end
local function contactless(tx) return tx.channel == 'contactless' end
local function probe(tx) return tx.channel == 'ecom' and tx.amount ~= nil and tx.amount <= 2 end
local function refund(tx) return tx.kind == 'refund' end
local function chargeback(tx) return tx.kind == 'chargeback' end
local function night(tx)
  return tx.kind == 'payment' and tx.result == 'approved' and (tx.ts / 3600000 + (tx.utc_offset or 0)) % 24 < 5
end

return tm.features { key = 'card', max_keys = 5e6, ttl = '120d', max = 600,
  tx_1m = tm.f.count { over = '1m', where = payment },
  tx_1h = tm.f.count { over = '1h', where = payment },
  tx_24h = tm.f.count { over = '24h', where = payment },
  spent_1h = tm.f.sum('amount', { over = '1h', where = approved }),
  spent_24h = tm.f.sum('amount', { over = '24h', where = approved }),
  declined_10m = tm.f.count { over = '10m', where = declined },
  declined_share_24h = tm.f.ratio(tm.f.count { over = '24h', where = declined }, tm.f.count { over = '24h', where = payment }),
  cash_24h = tm.f.sum('amount', { over = '24h', where = cash }),
  contactless_1h = tm.f.count { over = '1h', where = contactless },
  refunds_24h = tm.f.count { over = '24h', where = refund },
  probes_10m = tm.f.count { over = '10m', where = probe, current = false },
  bad_cvv_1h = tm.f.count { over = '1h', where = bad_cvv },
  merchants_10m = tm.f.distinct('merchant', { over = '10m', where = payment, max = 50 }),
  countries_24h = tm.f.distinct('country', { over = '24h', where = present, max = 50 }),
  travel = tm.f.travel { 'lat', 'lon', within = '24h', where = present },
  merchant_known = tm.f.has('merchant', { over = '30d', where = approved, min_history = 10 }),
  country_known = tm.f.has('country', { over = '30d', where = present, min_history = 10 }),
  paid_30d = tm.f.count { over = '30d', step = '6h', where = approved, current = false },
  spent_30d = tm.f.sum('amount', { over = '30d', step = '6h', where = approved, current = false, min_history = 20 }),
  mean_30d = tm.f.avg('amount', { over = '30d', step = '6h', where = approved, current = false, min_history = 10 }),
  stddev_30d = tm.f.stddev('amount', { over = '30d', step = '6h', where = approved, current = false, min_history = 10 }),
  night_share_30d = tm.f.ratio(tm.f.count { over = '30d', step = '6h', where = night, current = false },
    tm.f.count { over = '30d', step = '6h', where = approved, current = false, min_history = 20 }),
  card_frauds_30d = tm.f.count { over = '30d', step = '6h', where = chargeback, current = false },
  usual = tm.f.ewma('amount', { half_life = '7d', where = approved, current = false }),
  since_payment = tm.f.time_since { where = payment },
}
