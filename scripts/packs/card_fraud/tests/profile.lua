-- tests/profile.lua - places, times and amounts beside what a card usually does.

local H, D = 3600000, 86400000
local T = 40 * D + 12 * H   -- noon

local function pay(ts, amount, more)
  local e = { ts = ts, kind = 'payment', card = 'a', amount = amount, result = 'approved', channel = 'chip', merchant = 'm',
    country = 'DE' }
  if more then
    e.merchant, e.country, e.channel = more.merchant or 'm', more.country or 'DE', more.channel or 'chip'
    e.result = more.result or 'approved'
    e.lat, e.lon, e.utc_offset = more.lat, more.lon, more.utc_offset
  end
  return e
end

--- n payments at noon in the month before, one a day, of two amounts in turn.
local function month(n, one, other)
  local list = {}
  for i = 1, n do list[i] = pay(T - (n + 1 - i) * D, i % 2 == 0 and other or one) end
  return list
end

local function with(list, ...)
  local more = { ... }
  for i = 1, #more do list[#list + 1] = more[i] end
  return list
end

--- The same as a card that came first at n payments.
local function behind(n, ...) return with(month(n, 20, 20), ...) end

-- On the equator a degree of longitude is 6371.0088 km * pi / 180 = 111.195 km: nine degrees are 1,000.755 km.
local berlin, nine = { lat = 0, lon = 0 }, { lat = 0, lon = 9 }

return {
  { 'impossible_travel: fires beyond 900 km/h', fires = { 'impossible_travel' },
    events = { pay(0, 9, berlin), pay(4003000, 9, nine) } },                      -- 900.004 km/h
  { 'impossible_travel: boundary, below 900 km/h is an airliner', not_fires = { 'impossible_travel' },
    events = { pay(0, 9, berlin), pay(4003100, 9, nine) } },                      -- 899.98 km/h
  { 'impossible_travel: does not fire within a town', not_fires = { 'impossible_travel' },
    events = { pay(0, 9, berlin), pay(1000, 9, { lat = 0, lon = 1.3 }) } },
  { 'impossible_travel: does not fire for a web shop', not_fires = { 'impossible_travel' },
    events = { pay(0, 9, berlin), pay(1000, 9, { lat = 0, lon = 90, channel = 'ecom' }) } },
  { 'impossible_travel: late event, the time between both counts', fires = { 'impossible_travel' },
    events = { pay(9000, 9, berlin), pay(6000, 9, nine) } },
  { 'impossible_travel: warm-up, unknown at the first place', unknown = { 'impossible_travel' }, events = { pay(0, 9, berlin) } },
  { 'impossible_travel: unknown a day later', unknown = { 'impossible_travel' }, events = { pay(0, 9, berlin), pay(D + 1, 9, nine) } },

  { 'new_country: fires beyond 400', fires = { 'new_country' }, events = behind(10, pay(T, 400.01, { country = 'PT' })) },
  { 'new_country: boundary, 400 is usual', not_fires = { 'new_country' }, events = behind(10, pay(T, 400, { country = 'PT' })) },
  { 'new_country: does not fire at home', not_fires = { 'new_country' }, events = behind(10, pay(T, 500)) },
  { 'new_country: does not fire a second time', not_fires = { 'new_country' },
    events = behind(10, pay(T - H, 5, { country = 'PT' }), pay(T, 500, { country = 'PT' })) },
  { 'new_country: late event, a country known by then', not_fires = { 'new_country' },
    events = behind(10, pay(T - 1000, 5), pay(T - 3000, 5, { country = 'PT' }), pay(T, 500, { country = 'PT' })) },
  { 'new_country: warm-up, unknown before ten payments', unknown = { 'new_country' }, events = behind(8, pay(T, 500, { country = 'PT' })) },

  { 'night: fires at two beyond 150', fires = { 'night' }, events = behind(20, pay(T + 14 * H, 150.01)) },
  { 'night: boundary, 150 is usual', not_fires = { 'night' }, events = behind(20, pay(T + 14 * H, 150)) },
  { 'night: boundary, at five the day begins', not_fires = { 'night' }, events = behind(20, pay(T + 17 * H, 200)) },
  { 'night: fires a moment before five', fires = { 'night' }, events = behind(20, pay(T + 17 * H - 1, 200)) },
  { 'night: does not fire where it is day', not_fires = { 'night' },
    events = behind(20, pay(T + 14 * H, 200, { country = 'DE', utc_offset = 8 })) },
  { 'night: does not fire for a night owl', not_fires = { 'night' },
    events = behind(19, pay(T - 10 * H, 9), pay(T + 14 * H, 200)) },              -- one of 20 before is at night: 0.05
  { 'night: late event, the night is that of its own time', fires = { 'night' },
    events = behind(20, pay(T + 17 * H + 2000, 9), pay(T + 17 * H - 1000, 200)) },
  { 'night: warm-up, unknown before twenty payments', unknown = { 'night' }, events = behind(19, pay(T + 14 * H, 200)) },

  -- 20 payments of 40 and 60 in turn: mean 50, deviation of the sample sqrt(20 * 100 / 19) = 10.2598; 50 + 8 * 10.2598 is below 300.
  -- Of 100 and 300: mean 200, deviation 102.598: 1,020.78
  { 'amount_zscore: fires beyond 300', fires = { 'amount_zscore' }, events = with(month(20, 40, 60), pay(T, 300.01)) },
  { 'amount_zscore: boundary, 300 is no harm', not_fires = { 'amount_zscore' }, events = with(month(20, 40, 60), pay(T, 300)) },
  { 'amount_zscore: fires beyond eight deviations', fires = { 'amount_zscore' }, events = with(month(20, 100, 300), pay(T, 1020.79)) },
  { 'amount_zscore: boundary, eight deviations are usual', not_fires = { 'amount_zscore' },
    events = with(month(20, 100, 300), pay(T, 1020.78)) },
  -- one more of 1,000 in the past makes the mean 238.10 and the deviation 201.19: 1,847.6
  { 'amount_zscore: late event, counts in the profile', not_fires = { 'amount_zscore' },
    events = with(month(20, 100, 300), pay(T - D + 3000, 1), pay(T - D + 1000, 1000), pay(T, 1500)) },
  { 'amount_zscore: warm-up, unknown before ten payments', unknown = { 'amount_zscore' }, events = with(month(9, 40, 60), pay(T, 900)) },
  { 'amount_zscore: warm-up, known behind ten', fires = { 'amount_zscore' }, events = with(month(10, 40, 60), pay(T, 900)) },

  -- equal amounts have themselves as mean, whatever the weights: 12 * 30 = 360
  { 'amount_ewma: fires beyond twelve times', fires = { 'amount_ewma' }, events = with(month(10, 30, 30), pay(T, 360.01)) },
  { 'amount_ewma: boundary, twelve times is usual', not_fires = { 'amount_ewma' }, events = with(month(10, 30, 30), pay(T, 360)) },
  { 'amount_ewma: does not fire below 300', not_fires = { 'amount_ewma' }, events = with(month(10, 2, 2), pay(T, 300)) },
  { 'amount_ewma: late event, is one of the ten', fires = { 'amount_ewma' },
    events = with(month(9, 30, 30), pay(T - D + 1000, 30), pay(T - D + 500, 30), pay(T, 400)) },
  { 'amount_ewma: warm-up, not before ten payments', not_fires = { 'amount_ewma' }, events = with(month(9, 30, 30), pay(T, 900)) },
  { 'amount_ewma: warm-up, unknown at the first payment', unknown = { 'amount_ewma' }, events = { pay(T, 900) } },

  { 'large_amount: fires beyond 4,000', fires = { 'large_amount' }, decision = 'challenge', events = { pay(0, 4000.01) } },
  { 'large_amount: boundary, 4,000 is usual', not_fires = { 'large_amount' }, decision = 'approve', events = { pay(0, 4000) } },
  { 'large_amount: does not fire for a refund', not_fires = { 'large_amount' },
    events = { { ts = 0, kind = 'refund', card = 'a', amount = 5000 } } },
  { 'large_amount: late event, fires as any', fires = { 'large_amount' }, events = { pay(9000, 1), pay(6000, 5000) } },
  { 'large_amount: warm-up, needs nothing', fires = { 'large_amount' }, events = { pay(0, 5000) } },

  { 'first_merchant: fires beyond 800', fires = { 'first_merchant' }, events = behind(10, pay(T, 800.01, { merchant = 'n' })) },
  { 'first_merchant: boundary, 800 is usual', not_fires = { 'first_merchant' }, events = behind(10, pay(T, 800, { merchant = 'n' })) },
  { 'first_merchant: does not fire where the card was', not_fires = { 'first_merchant' }, events = behind(10, pay(T, 900)) },
  { 'first_merchant: fires where it was 31 days ago', fires = { 'first_merchant' },
    events = { pay(T - 31 * D, 9, { merchant = 'n' }), pay(T - 11 * D, 9), pay(T - 10 * D, 9), pay(T - 9 * D, 9), pay(T - 8 * D, 9),
      pay(T - 7 * D, 9), pay(T - 6 * D, 9), pay(T - 5 * D, 9), pay(T - 4 * D, 9), pay(T - 3 * D, 9), pay(T - 2 * D, 9),
      pay(T, 900, { merchant = 'n' }) } },
  { 'first_merchant: late event, known by then', not_fires = { 'first_merchant' },
    events = behind(10, pay(T - 1000, 5), pay(T - 3000, 5, { merchant = 'n' }), pay(T, 900, { merchant = 'n' })) },
  { 'first_merchant: warm-up, unknown before ten payments', unknown = { 'first_merchant' },
    events = behind(8, pay(T, 900, { merchant = 'n' })) },

  { 'dormant_card: fires beyond sixty days', fires = { 'dormant_card' }, events = { pay(0, 9), pay(60 * D + 1, 251) } },
  { 'dormant_card: boundary, sixty days are usual', not_fires = { 'dormant_card' }, events = { pay(0, 9), pay(60 * D, 251) } },
  { 'dormant_card: boundary, 250 is no harm', not_fires = { 'dormant_card' }, events = { pay(0, 9), pay(61 * D, 250) } },
  { 'dormant_card: late event, ends the sleep', not_fires = { 'dormant_card' },
    events = { pay(0, 9), { ts = 61 * D, kind = 'refund', card = 'a', amount = 1 }, pay(61 * D - 4000, 9), pay(61 * D, 251) } },
  { 'dormant_card: warm-up, unknown at the first payment', unknown = { 'dormant_card' }, events = { pay(61 * D, 251) } },
}
