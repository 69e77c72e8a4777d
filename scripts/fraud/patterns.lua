--[[
patterns.lua - how fraud looks, one function a pattern. Each has one quantity by which it is told, with a value that is just still usual:
it stands in the function, from a description of the pattern and not from a pack of rules, and is planted at a share of it (case.s). All
else about a case is drawn well within the pattern, and small where it could look like another one.

The names are those that an analyst would look for; a pack is good if its rule of that name finds the case.
]]

local people = require 'people'
local cents = people.cents

local S, MIN, HOUR, DAY = 1000, 60000, 3600000, 86400000

local M = {}

-- Too often, too much ---------------------------------------------------------------------------------

--- More than five payments in a minute.
function M.card_burst(k, r)
  local c = k:victim()
  local shop = r:pick(c.shops)
  for i = 1, k:number(5) do k:pay(c, i * r:within(4, 8) * S, { shop = shop, amount = k:small() }) end
end

--- More than fifteen in an hour.
function M.card_burst_hour(k, r)
  local c = k:victim()
  local shop = r:pick(c.shops)
  for i = 1, k:number(15) do k:pay(c, i * 160 * S + r:within(0, 60) * S, { shop = shop, amount = k:small() }) end
end

--- More than 2,500 in an hour, in several payments.
function M.spend_burst(k, r)
  local c, n = k:victim 'wealthy', r:whole(4, 5)
  for i = 1, n do k:pay(c, i * 9 * MIN, { shop = r:pick(c.shops), amount = cents(2500 * k.s / n) }) end
end

--- More than fifteen times what the card spends on a day, and more than 600.
function M.spend_day(k, r)
  local c, n = k:victim(), r:whole(6, 8)
  local usual = math.max(600, 15 * c.history.sum / 30)
  for i = 1, n do k:pay(c, i * 80 * MIN, { shop = r:pick(c.shops), amount = cents(usual * k.s / n) }) end
end

--- More than four refused within ten minutes.
function M.decline_burst(k, r)
  local c = k:victim()
  local shop = r:pick(c.shops)
  for i = 1, k:number(4) do k:pay(c, i * r:within(70, 85) * S, { shop = shop, amount = k:small(), result = 'declined' }) end
end

--- More than six in ten refused, of a dozen over a day.
function M.decline_share(k, r)
  local c, share, n = k:victim(), 0.6 * k.s, r:whole(12, 16)
  for i = 1, n do
    local refused = math.floor(i * share) > math.floor((i - 1) * share)
    k:pay(c, i * 45 * MIN, { shop = r:pick(c.shops), amount = k:small(), result = refused and 'declined' or nil })
  end
end

--- More than 1,500 in cash in a day.
function M.cash_burst(k, r)
  local c, n = k:victim 'wealthy', r:whole(5, 7)
  local shop = r:pick(c.shops)
  for i = 1, n do k:pay(c, i * 100 * MIN, { shop = shop, channel = 'atm', mcc = '6011', amount = cents(1500 * k.s / n) }) end
end

--- At more than four merchants within ten minutes.
function M.merchants_burst(k, r)
  local c = k:victim()
  for i = 1, k:number(4) do
    k:pay(c, i * r:within(70, 90) * S, { shop = people.shop(r, c.country, ('shop-%s-%d'):format(k.name, i)), amount = k:small() })
  end
end

--- More than eight contactless payments in an hour.
function M.contactless_burst(k, r)
  local c = k:victim()
  local shops = { r:pick(c.shops), r:pick(c.shops) }
  for i = 1, k:number(8) do
    k:pay(c, i * r:within(4, 5) * MIN, { shop = shops[i % 2 + 1], channel = 'contactless', amount = k:small() })
  end
end

--- More than four refunds in a day.
function M.refund_burst(k, r)
  local c = k:victim()
  for i = 1, k:number(4) do
    k:tell { kind = 'refund', ts = math.floor(k.t + i * r:within(40, 80) * MIN), card = c.card, amount = cents(r:within(20, 300)),
      merchant = r:pick(c.shops).merchant }
  end
end

-- Where, when ---------------------------------------------------------------------------------------

--- Two places, by the spherical law of cosines; km.
local function far(lat1, lon1, lat2, lon2)
  local a, b, d = math.rad(lat1), math.rad(lat2), math.rad(lon2 - lon1)
  return 6371 * math.acos(math.min(1, math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(d)))
end

--- Faster than 900 km/h.
function M.impossible_travel(k, r)
  local c = k:victim()
  local home = r:pick(c.shops)
  k:pay(c, 0, { shop = home, amount = k:small() })
  local there = people.shop(r, { code = 'US', lat = r:within(30, 45), lon = r:within(-110, -80), zone = -6 }, 'shop-' .. k.name)
  local km = far(home.lat, home.lon, there.lat, there.lon)
  k:pay(c, km / (900 * k.s) * HOUR, { shop = there, amount = k:small() })
end

--- In more than three countries within a day; places that are close.
function M.countries_burst(k, r)
  local c, codes = k:victim(), { 'DE', 'AT', 'CH', 'LI', 'IT', 'SI' }
  local lat, lon = c.shops[1].lat, c.shops[1].lon
  for i = 1, k:number(3) do
    local shop = people.shop(r, { code = codes[i], lat = lat, lon = lon, zone = 1 }, ('shop-%s-%d'):format(k.name, i))
    k:pay(c, i * r:within(2.5, 3.5) * HOUR, { shop = shop, amount = k:small() })
  end
end

--- More than 400 in a country where the card was not for 30 days.
function M.new_country(k, r)
  local c = k:victim 'wealthy'
  local shop = people.shop(r, { code = 'PT', lat = 38.7, lon = -9.1, zone = 0 }, 'shop-' .. k.name)
  k:pay(c, r:within(0, 6) * HOUR, { shop = shop, amount = cents(400 * k.s) })
end

--- More than 150 between midnight and five, by somebody who never pays then.
function M.night(k, r)
  local c = k:victim()
  local midnight = k.t + ((24 - (k.t / HOUR + c.country.zone) % 24) % 24) * HOUR
  local at = midnight + r:within(0.5, 4.5) * HOUR
  k:pay(c, at - k.t, { shop = r:pick(c.shops), amount = cents(150 * k.s) })
end

-- Beside what is usual ---------------------------------------------------------------------------------

--- More than eight standard deviations above the mean, and more than 250.
function M.amount_zscore(k, r)
  local c = k:victim 'middle'
  local usual = math.max(250, c.history.mean + 8 * c.history.deviation)
  k:pay(c, r:within(0, 8) * HOUR, { shop = r:pick(c.shops), amount = cents(usual * k.s) })
end

--- More than twelve times the mean of lately, by somebody whose amounts vary, and more than 250.
function M.amount_ewma(k, r)
  k.rare = true
  local c = k:victim()
  k:pay(c, r:within(0, 2) * HOUR, { shop = r:pick(c.shops), amount = cents(math.max(250, 12 * c.history.ewma) * k.s) })
end

--- More than 4,000 with a card of which nothing is known.
function M.large_amount(k, r)
  k:pay(k:stranger(), r:within(0, 8) * HOUR, { amount = cents(4000 * k.s) })
end

--- More than 800 at a merchant where the card was not for 30 days.
function M.first_merchant(k, r)
  local c = k:victim 'wealthy'
  k:pay(c, r:within(0, 8) * HOUR, { shop = k:shop(c), amount = cents(800 * k.s) })
end

--- No payment for sixty days, then 400.
function M.dormant_card(k, r)
  local c = k:stranger()
  for i = 0, 3 do k:paid(c, (60 * k.s + 2 * i) * DAY, {}) end
  k:pay(c, 0, { shop = r:pick(c.shops), amount = cents(r:within(350, 700)) })
end

-- Numbers that are tried -------------------------------------------------------------------------------

--- More than two tiny payments, then a real one.
function M.card_testing(k, r)
  local c = k:victim()
  local shop, n = k:shop(c), k:number(2)
  for i = 1, n do k:pay(c, i * 70 * S, { shop = shop, channel = 'ecom', amount = cents(r:within(0.5, 2)) }) end
  k:pay(c, n * 70 * S + r:within(60, 240) * S, { shop = shop, channel = 'ecom', amount = cents(r:within(70, 150)) })
end

--- More than twenty tiny payments at one merchant within ten minutes.
function M.merchant_testing(k, r)
  local shop
  for i = 1, k:number(20) do
    local c = k:stranger()
    shop = shop or k:shop(c)
    k:pay(c, i * 20 * S + r:within(0, 9) * S, { shop = shop, channel = 'ecom', amount = cents(r:within(0.5, 2)),
      result = r:chance(0.3) and 'declined' or nil })
  end
end

--- More than twelve refused cards of one range at one merchant within ten minutes.
function M.bin_attack(k, r)
  local shop, bin, tool
  for i = 1, k:number(12) do
    local c = k:stranger()
    shop, bin = shop or k:shop(c), bin or c.bin
    if i % 2 == 1 then tool = c end
    k:pay(c, i * 25 * S + r:within(0, 9) * S, { shop = shop, bin = bin, channel = 'ecom', amount = k:small(), result = 'declined',
      device = tool.device, ip = tool.ip })
  end
end

--- More than three wrong check numbers in an hour.
function M.cvv_guessing(k, r)
  local c = k:victim()
  for i = 1, k:number(3) do
    k:pay(c, i * r:within(11, 13) * MIN, { shop = r:pick(c.shops), channel = 'ecom', amount = k:small(), result = 'bad_cvv' })
  end
end

--- More than six refused payments from one device in an hour.
function M.device_declines(k, r)
  local a, b, d = k:stranger(), k:stranger(), k:stranger()
  for i = 1, k:number(6) do
    local c = ({ a, b, d })[i % 3 + 1]
    k:pay(c, i * r:within(6, 6.5) * MIN, { channel = 'ecom', amount = k:small(), result = 'declined', device = a.device, ip = a.ip })
  end
end

-- What many have in common ----------------------------------------------------------------------------

--- More than four cards that pay from one device in a day.
function M.device_cards(k, r)
  local tool = k:stranger()
  for i = 1, k:number(4) do
    k:pay(k:stranger(), i * r:within(80, 120) * MIN, { channel = 'ecom', amount = k:small(), device = tool.device, ip = tool.ip })
  end
end

--- More than eight cards behind one internet address in an hour, from a few devices.
function M.ip_cards(k, r)
  local tools, n = {}, k:number(8)
  for i = 1, math.max(2, math.floor(n * 0.3)) do tools[i] = k:stranger() end
  for i = 1, n do
    k:pay(k:stranger(), i * r:within(4, 4.9) * MIN, { channel = 'ecom', amount = k:small(), device = tools[i % #tools + 1].device,
      ip = tools[1].ip })
  end
end

--- More than four accounts on one device in a day.
function M.device_accounts(k, r)
  local tool = k:stranger()
  for i = 1, k:number(4) do
    k:bank(k:stranger(), i * r:within(80, 120) * MIN, 'login', { device = tool.device, ip = tool.ip })
  end
end

--- Wrong passwords of more than ten accounts from one internet address within ten minutes.
function M.credential_stuffing(k, r)
  local tool = k:stranger()
  for i = 1, k:number(10) do
    k:bank(k:stranger(), i * r:within(30, 42) * S, 'login', { ip = tool.ip, result = 'declined' })
  end
end

--- More than six cards that order to one address within a week, from one or two devices.
function M.address_cards(k, r)
  local tool, other = k:stranger(), k:stranger()
  for i = 1, k:number(6) do
    local by = i > 4 and other or tool
    k:pay(k:stranger(), i * r:within(15, 17) * HOUR, { channel = 'ecom', amount = k:small(), device = by.device, ip = by.ip,
      address = tool.address })
  end
end

-- Accounts --------------------------------------------------------------------------------------------

--- A new password, a new device, then more than 500 to somebody.
function M.account_takeover(k, r)
  local c, thief = k:victim(), k:stranger()
  local own = { device = thief.device, ip = thief.ip }
  k:bank(c, 0, 'reset', { ip = thief.ip })
  k:bank(c, r:within(2, 20) * MIN, 'new_device', own)
  k:bank(c, r:within(30, 600) * MIN, 'transfer', { device = thief.device, ip = thief.ip, payee = r:pick(c.payees),
    amount = cents(500 * k.s) })
end

--- More than 3,000 to a payee that was added just before.
function M.new_payee_large(k, r)
  local c = k:victim()
  k:bank(c, 0, 'new_payee')
  k:bank(c, r:within(2, 25) * MIN, 'transfer', { payee = 'payee-' .. k.name, amount = cents(3000 * k.s) })
end

--- More than four wrong passwords, then the right one and a transfer.
function M.guessed_password(k, r)
  local c, n = k:victim(), k:number(4)
  for i = 1, n do k:bank(c, i * r:within(60, 90) * S, 'login', { result = 'declined' }) end
  k:bank(c, (n + 1) * 90 * S, 'login')
  k:bank(c, (n + 3) * 90 * S, 'transfer', { payee = r:pick(c.payees), amount = cents(r:within(300, 900)) })
end

--- Another phone number, a new payee, then more than 400.
function M.profile_then_payee(k, r)
  local c = k:victim()
  k:bank(c, 0, 'profile')
  k:bank(c, r:within(5, 60) * MIN, 'new_payee')
  k:bank(c, r:within(2, 20) * HOUR, 'transfer', { payee = 'payee-' .. k.name, amount = cents(400 * k.s) })
end

--- Used on more than three devices in a day.
function M.account_devices(k, r)
  local c = k:victim()
  for i = 1, k:number(3) do
    k:bank(c, i * r:within(2, 4) * HOUR, 'login', { device = ('device-%s-x%d'):format(k.name, i) })
  end
end

--- More than three transfers just below 10,000 in a week.
function M.structuring(k, r)
  local c = k:victim()
  for i = 1, k:number(3) do
    k:bank(c, i * r:within(25, 35) * HOUR, 'transfer', { payee = r:pick(c.payees), amount = cents(r:within(9050, 9990)) })
  end
end

--- More than 10,000 in cash in a day, in small deposits.
function M.deposit_structuring(k, r)
  local c, n = k:victim(), r:whole(4, 6)
  for i = 1, n do
    k:tell { kind = 'deposit', ts = math.floor(k.t + i * 70 * MIN), account = c.account, amount = cents(10000 * k.s / n) }
  end
end

--- More than eight accounts send to one payee in a day.
function M.mule_fan_in(k, r)
  for i = 1, k:number(8) do
    k:bank(k:stranger(), i * r:within(30, 60) * MIN, 'transfer', { payee = 'payee-' .. k.name, amount = cents(r:within(450, 1200)) })
  end
end

--- To more than six payees in a day, all of them new.
function M.mule_fan_out(k, r)
  local c = k:victim()
  for i = 1, k:number(6) do
    local payee, at = ('payee-%s-%d'):format(k.name, i), i * r:within(40, 60) * MIN
    k:bank(c, at, 'new_payee')
    k:bank(c, at + r:within(2, 5) * MIN, 'transfer', { payee = payee, amount = cents(r:within(100, 900)) })
  end
end

--- More than eight tenths of what came in is sent on within six hours.
function M.mule_pass_through(k, r)
  local c, came, n = k:victim(), cents(r:within(3000, 7000)), r:whole(2, 4)
  k:tell { kind = 'credit', ts = math.floor(k.t), account = c.account, amount = came }
  for i = 1, n do
    k:bank(c, i * r:within(30, 60) * MIN, 'transfer', { payee = r:pick(c.payees), amount = cents(came * 0.8 * k.s / n) })
  end
end

-- Where it happened before ---------------------------------------------------------------------------

--- What was found to be fraud, some days behind the payment.
local function confirmed(k, e, after)
  e = { kind = 'chargeback', ts = math.floor(e.ts + after), card = e.card, amount = e.amount, merchant = e.merchant, terminal = e.terminal }
  return k:add(e)
end

--- A terminal at which more than three payments of four weeks were fraud, as is known by now.
function M.fraud_terminal(k, r)
  local shop
  for i = 1, k:number(3) do
    local c = k:stranger()
    shop = shop or k:shop(c)
    confirmed(k, k:paid(c, r:within(10, 20) * DAY, { shop = shop }), r:within(3, 9) * DAY)
  end
  for i = 1, 2 do k:pay(k:stranger(), i * HOUR, { shop = shop or k:shop(k:stranger()) }) end
end

--- A merchant where more than two payments in a hundred were fraud.
function M.fraud_merchant(k, r)
  local n, shops, paid = 200, {}, {}
  local first = k:stranger()
  for i = 1, 5 do
    shops[i] = k:shop(first)
    shops[i].terminal = shops[1].merchant .. '-' .. i
  end
  for i = 1, n do paid[i] = k:paid(k:stranger(), r:within(10, 20) * DAY, { shop = shops[i % 5 + 1] }) end
  for i = 1, k:number(0.02 * n) do confirmed(k, paid[i], r:within(3, 9) * DAY) end
  for i = 1, 2 do k:pay(k:stranger(), i * HOUR, { shop = shops[i] }) end
end

--- A card with more than one confirmed fraud in 30 days that is still used.
function M.fraud_card(k, r)
  local c = k:victim()
  for _ = 1, k:number(1) do
    local before = r:within(5, 20) * DAY
    confirmed(k, k:paid(c, before, {}), before - r:within(1, 20) * HOUR)
  end
  k:pay(c, r:within(0, 8) * HOUR, { amount = k:small() })
end

-- What lists say -----------------------------------------------------------------------------------------

--- A card that was reported, and below that one that was not.
function M.listed_card(k, r)
  local c = k:victim()
  if k.s >= 1 then c.card = 'card-stolen-' .. r:whole(1, 3) end
  k:pay(c, r:within(0, 8) * HOUR, { amount = k:small() })
end

function M.listed_device(k, r)
  local c = k:victim()
  k:pay(c, r:within(0, 8) * HOUR, { channel = 'ecom', amount = k:small(), device = k.s >= 1 and 'device-seen-' .. r:whole(1, 2) or nil })
end

--- More than 100 from an address that hides who pays.
function M.listed_ip(k, r)
  local c = k:victim 'middle'
  k:pay(c, r:within(0, 8) * HOUR, { channel = 'ecom', shop = r:pick(c.shops), amount = cents(100 * k.s),
    ip = ({ '192.0.2.1', '192.0.2.2', '198.51.100.7' })[r:whole(1, 3)] })
end

--- More than 700 in an hour, at the end on what is as good as cash.
function M.cash_like(k, r)
  local c = k:victim 'wealthy'
  k:pay(c, 0, { shop = r:pick(c.shops), amount = cents(350 * k.s) })
  k:pay(c, r:within(10, 40) * MIN, { shop = r:pick(c.shops), channel = 'ecom', mcc = r:pick { '7995', '6051', '6211' },
    amount = cents(350 * k.s) })
end

--- More than 300 in a day in a country where copies are used.
function M.listed_country(k, r)
  local c = k:victim 'wealthy'
  local home = c.country
  local shop = people.shop(r, { code = r:pick { 'XA', 'XB' }, lat = home.lat, lon = home.lon, zone = home.zone }, 'shop-' .. k.name)
  for i = 1, 2 do k:pay(c, i * r:within(1, 3) * HOUR, { shop = shop, channel = 'ecom', amount = cents(150 * k.s) }) end
end

return M
