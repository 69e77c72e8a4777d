--[[
cards.lua - a generator of card transactions, for demonstrations and for trying things out.

  local cards = require 'cards'                                  -- this file beside the script
  tm.pipeline 'shop':from(cards.source { count = 200000, seed = 7 })

One event a millisecond of event time, 13 fields. 100,000 cards, chosen by Zipf's law with exponent 0.8 over shuffled ranks;
amounts are log-normal (mu 3.6, sigma 1.1, at least 0.50), so that 18 % are above 100; 30 % of the events arrive up to 4,999 ms
late. A card is at home in one country and used there 97 times of 100. The same seed gives the same events.
]]

local tm = require 'tidemill'

local M = {}

local CARDS, MERCHANTS = 100000, 10000
local FIRST_MS, FIRST_ID = 1700000040000, 1000000
local AT_HOME = 0.97

--- share: of 100 cards, how many are at home there. zone: hours ahead of UTC in winter.
local countries = {
  { code = 'DE', share = 26, currency = 'EUR', lat = 51.1, lon = 10.4, zone = 1 },
  { code = 'FR', share = 22, currency = 'EUR', lat = 46.6, lon = 2.4, zone = 1 },
  { code = 'GB', share = 21, currency = 'GBP', lat = 52.5, lon = -1.5, zone = 0 },
  { code = 'US', share = 12, currency = 'USD', lat = 39.8, lon = -86.0, zone = -5 },
  { code = 'PL', share = 7, currency = 'PLN', lat = 52.1, lon = 19.4, zone = 1 },
  { code = 'CH', share = 6, currency = 'CHF', lat = 46.8, lon = 8.2, zone = 1 },
  { code = 'SE', share = 4, currency = 'SEK', lat = 59.6, lon = 15.8, zone = 1 },
  { code = 'BR', share = 2, currency = 'BRL', lat = -22.0, lon = -46.0, zone = -3 },
}

--- Countries by code: currency, middle (lat, lon), zone.
M.countries = {}
local by_share = {}
for _, country in ipairs(countries) do
  M.countries[country.code] = country
  for _ = 1, country.share do by_share[#by_share + 1] = country end
end

--- The country in which a card is at home: as with real cards, its number tells.
---@param card string 'c000000' … 'c099999'
function M.home(card)
  return by_share[tonumber(card:sub(-2)) + 1]
end

--- Numbers in (0, 1): L'Ecuyer's two combined multiplicative generators (CACM 31, 1988). Every product stays below 2^53,
--- so a plain Lua number holds it exactly.
local function random_from(seed)
  local a, b = 1 + seed % 2147483562, 1 + (seed * 7919) % 2147483398
  return function()
    a, b = a * 40014 % 2147483563, b * 40692 % 2147483399
    local z = a - b
    if z < 1 then z = z + 2147483562 end
    return z / 2147483563
  end
end

--- A function that draws card numbers: rank by binary search in the sums of 1 / rank^0.8, then the card of that rank.
local function zipf(random)
  local upto, card, sum = {}, {}, 0
  for rank = 1, CARDS do
    sum = sum + rank ^ -0.8
    upto[rank], card[rank] = sum, rank - 1
  end
  for rank = CARDS, 2, -1 do
    local other = 1 + math.floor(random() * rank)
    card[rank], card[other] = card[other], card[rank]
  end
  return function()
    local at, low, high = random() * sum, 1, CARDS
    while low < high do
      local middle = math.floor((low + high) / 2)
      if upto[middle] <= at then low = middle + 1 else high = middle end
    end
    return card[low]
  end
end

--- Rounded to cents, by Box and Muller's method.
local function amount(random)
  local normal = math.sqrt(-2 * math.log(random())) * math.cos(2 * math.pi * random())
  return math.max(0.5, math.floor(100 * math.exp(3.6 + 1.1 * normal) + 0.5) / 100)
end

local function near(middle, spread, random)
  return math.floor((middle + (random() - 0.5) * spread) * 1e5 + 0.5) / 1e5
end

local codes = { 5411, 5812, 5999, 6011, 4111, 5541, 7995, 5732 }
local channels = { 'pos', 'pos', 'ecom', 'contactless', 'ecom', 'atm', 'contactless', 'pos' }
local statuses = { 'authorized', 'authorized', 'settled', 'declined' }

--- A source of `count` transactions; without count it never ends.
---@param options table count, seed (default 1)
function M.source(options)
  local random = random_from(options.seed or 1)
  local draw_card = zipf(random)
  local e = {}   -- one table for all events: what is returned is taken at once
  return tm.source.generate(function(i)
    local number, merchant = draw_card(), math.floor(random() * MERCHANTS)
    local place = by_share[number % 100 + 1]
    if random() > AT_HOME then place = countries[1 + math.floor(random() * #countries)] end
    local late_ms = random() < 0.3 and 1 + math.floor(random() * 4999) or 0
    e.ts, e.id = FIRST_MS + i - 1 - late_ms, FIRST_ID + i - 1
    e.card, e.merchant = ('c%06d'):format(number), ('m%05d'):format(merchant)
    e.amount, e.currency, e.country = amount(random), place.currency, place.code
    e.lat, e.lon = near(place.lat, 5, random), near(place.lon, 8, random)
    e.device = ('dev-%06x-%d'):format(number * 2654435 % 16777216, math.floor(random() * 3))
    e.mcc, e.channel = codes[merchant % 8 + 1], channels[1 + math.floor(random() * 8)]
    e.status = statuses[1 + math.floor(random() * 4)]
    return e
  end, { count = options.count, name = 'cards' })
end

return M
