-- What a rule pack knows of a card, its device and its address: 21 features of three keys.
local tm = require 'tidemill'

local function approved(e) return e.result == 'approved' end
local function declined(e) return e.result == 'declined' end

local function small(e) return e.amount < 2 end

return tm.pipeline 'features'
  :event_time { field = 'ts', out_of_order = '5s' }
  :features('card', tm.features { key = 'card', max_keys = 2e6, ttl = '40d',
    tx_1m = tm.f.count { over = '1m' }, tx_1h = tm.f.count { over = '1h' }, tx_24h = tm.f.count { over = '24h' },
    spent_1h = tm.f.sum('amount', { over = '1h' }), spent_24h = tm.f.sum('amount', { over = '24h', where = approved }),
    mean_24h = tm.f.avg('amount', { over = '24h', current = false }), spread_24h = tm.f.stddev('amount', { over = '24h', current = false }),
    most_24h = tm.f.max('amount', { over = '24h', current = false }), declined_1h = tm.f.count { over = '1h', where = declined },
    small_10m = tm.f.count { over = '10m', where = small }, devices_24h = tm.f.distinct('device', { over = '24h', max = 100 }),
    merchants_1h = tm.f.distinct('merchant', { over = '1h', max = 100 }), known = tm.f.has('merchant', { over = '24h' }),
    since = tm.f.time_since(), first = tm.f.first_seen(), profile = tm.f.ewma('amount', { half_life = '7d', current = false }),
    travel = tm.f.travel { 'lat', 'lon', within = '24h' } })
  :features('device', tm.features { key = 'device', cards_1h = tm.f.distinct('card', { over = '1h' }),
    device_1h = tm.f.count { over = '1h' } })
  :features('ip', tm.features { key = 'ip', cards_ip = tm.f.distinct('card', { over = '1h' }), ip_1h = tm.f.count { over = '1h' } })
  :to(tm.sink.discard())
