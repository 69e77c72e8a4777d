--[[
people.lua - customers of the generator and their usual life: where they live, what they pay as a rule, when, where, with what.

  customer   { card, bin, account, device, ip, address, country, lat, lon, zone, mu, sigma, a_day, shops, merchants_new, payees }
             an amount is exp(mu + sigma * normal); a_day: payments a day

Payments are made between 7 and 23 o'clock. Nothing here knows a rule; the numbers are those of everyday life: most payments small and at
shops that one knows, one in thirty refused, one in two hundred sent back.
]]

local M = {}

local DAY = 86400000
local HOUR = 3600000

--- zone: hours ahead of UTC.
M.countries = {
  { code = 'DE', lat = 51.1, lon = 10.4, zone = 1 }, { code = 'FR', lat = 46.6, lon = 2.4, zone = 1 },
  { code = 'GB', lat = 52.5, lon = -1.5, zone = 0 }, { code = 'PL', lat = 52.1, lon = 19.4, zone = 1 },
  { code = 'IT', lat = 43.0, lon = 12.3, zone = 1 }, { code = 'SE', lat = 59.6, lon = 15.8, zone = 1 },
  { code = 'ES', lat = 40.2, lon = -3.6, zone = 1 }, { code = 'AT', lat = 47.6, lon = 14.1, zone = 1 },
}

local BINS = { '412345', '423456', '434567', '445678', '521234', '532345', '543456', '554567' }
local MCCS = { '5411', '5411', '5812', '5812', '5999', '5541', '5732', '5691', '4111', '5912', '5814', '5311' }
local KINDS = {
  regular = { mu = 3.0, sigma = 0.45, a_day = 2 },
  middle = { mu = 4.1, sigma = 0.42, a_day = 2 },
  wealthy = { mu = 5.86, sigma = 0.45, a_day = 2 },
}

local function cents(v) return math.floor(v * 100 + 0.5) / 100 end
M.cents = cents

local function near(v, spread, r) return math.floor((v + r:within(-spread, spread)) * 1e4 + 0.5) / 1e4 end

--- A shop near a place.
function M.shop(r, country, name)
  return { merchant = name, terminal = name .. '-' .. r:whole(1, 3), mcc = r:pick(MCCS), country = country.code,
    lat = near(country.lat, 0.4, r), lon = near(country.lon, 0.4, r), zone = country.zone }
end

--- A customer.
---@param r table random numbers
---@param name string makes card, account and device different from all others'
---@param kind string of KINDS; nil: regular, now and then another one
function M.customer(r, name, kind)
  local country = r:pick(M.countries)
  kind = kind or (r:chance(0.05) and 'wealthy' or r:chance(0.25) and 'middle' or 'regular')
  local k = KINDS[kind]
  local c = { name = name, card = 'card-' .. name, bin = r:pick(BINS), account = 'account-' .. name, device = 'device-' .. name,
    ip = ('10.%d.%d.%d'):format(r:whole(0, 255), r:whole(0, 255), r:whole(1, 254)), address = 'address-' .. name, country = country,
    mu = k.mu + r:within(-0.1, 0.1), sigma = k.sigma, a_day = k.a_day * r:within(0.8, 1.2), shops = {}, n = 0, kind = kind,
    payees = {} }
  for i = 1, 6 do c.shops[i] = M.shop(r, country, ('shop-%s-%d'):format(country.code, r:whole(1, 300))) end
  for i = 1, 4 do c.payees[i] = 'payee-' .. r:whole(1, 2000) end
  return c
end

--- What the customer pays as a rule; never beyond what one does without thinking.
function M.amount(c, r)
  return cents(math.exp(c.mu + c.sigma * math.max(-2.2, math.min(2.2, r:normal()))))
end

--- A payment at a shop.
---@param over table? fields that are otherwise
function M.payment(c, r, ts, over)
  local shop = over and over.shop or c.shops[r:whole(1, #c.shops)]
  local e = { kind = 'payment', ts = math.floor(ts), card = c.card, bin = c.bin, amount = M.amount(c, r), merchant = shop.merchant,
    terminal = shop.terminal, mcc = shop.mcc, country = shop.country, utc_offset = shop.zone, channel = 'chip', result = 'approved' }
  for k, v in pairs(over or {}) do if k ~= 'shop' then e[k] = v end end
  if e.channel == 'ecom' then
    e.terminal, e.device, e.ip = nil, e.device or c.device, e.ip or c.ip
  else
    e.lat, e.lon = shop.lat, shop.lon
  end
  return e
end

--- An event of the account.
function M.banking(c, ts, kind, over)
  local e = { kind = kind, ts = math.floor(ts), account = c.account, device = c.device, ip = c.ip }
  if kind == 'login' then e.result = 'approved' end
  for k, v in pairs(over or {}) do e[k] = v end
  return e
end

--- The next moment at which the customer does something behind `ts`.
function M.next_time(c, r, ts)
  local t = ts + r:exponential(DAY / (c.a_day * 1.25)) * 16 / 24
  local hour = (t / HOUR + c.country.zone) % 24
  if hour < 7 or hour >= 23 then t = t + ((31 - hour) % 24 + r:within(0, 3)) * HOUR end
  return t
end

--- What the customer does then: one event of everyday life.
function M.live(c, r, ts)
  c.n = c.n + 1
  local what = r:share()
  if what < 0.005 then
    local shop = r:pick(c.shops)
    return { kind = 'refund', ts = math.floor(ts), card = c.card, amount = M.amount(c, r), merchant = shop.merchant }
  elseif what < 0.10 then
    return M.banking(c, ts, 'login', { result = r:chance(0.04) and 'declined' or nil })
  elseif what < 0.16 then
    return M.banking(c, ts, 'transfer', { payee = r:pick(c.payees), amount = cents(r:within(15, 400)) })
  end
  local over = { result = r:chance(0.03) and (r:chance(0.1) and 'bad_cvv' or 'declined') or nil }
  if what < 0.36 then
    over.channel = 'ecom'
    if r:chance(0.5) then over.address = c.address end
  elseif what < 0.40 then
    over.channel, over.amount, over.mcc = 'atm', 10 * r:whole(2, 15), '6011'
  elseif what < 0.70 then
    over.channel = 'contactless'
  end
  if r:chance(0.08) then over.shop = M.shop(r, c.country, ('shop-%s-%d'):format(c.country.code, r:whole(1, 300))) end
  return M.payment(c, r, ts, over)
end

return M
