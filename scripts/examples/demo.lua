--[[
demo.lua - a whole job: card transactions are made up, filtered, enriched, compared with what each card did
before, and routed by risk; the risky ones are printed as alerts, each with the reasons.

  build/tidemill run scripts/examples/demo.lua
  build/tidemill run scripts/examples/demo.lua --set events=1000000 --set seed=2 > alerts.ndjson
]]

local tm = require 'tidemill'
local cards = require 'cards'   -- cards.lua, beside this file

-- What a person may want to change stands in tables.
local to_eur = { EUR = 1, GBP = 1.15, USD = 0.92, PLN = 0.23, CHF = 1.05, SEK = 0.088, BRL = 0.17 }
local alert_at, review_at = 100, 60

local rules = {
  { points = 30, why = 'large', when = function(e) return e.eur > 500 and e.eur <= 1500 end },
  { points = 60, why = 'very large', when = function(e) return e.eur > 1500 end },
  { points = 40, why = 'far away', when = function(e) return e.km > 2500 and e.eur > 100 and e.channel ~= 'ecom' end },
  { points = 20, why = 'risky shop', when = function(e) return e.mcc == 6011 or e.mcc == 7995 end },   -- cash, gambling
  { points = 20, why = 'new merchant', when = function(e) return e.new_merchant and e.nth > 5 and e.eur > 300 end },
  { points = 30, why = 'ten times its usual', when = function(e) return e.nth > 5 and e.eur > 10 * e.usual end },
  { points = 20, why = 'ten in a minute', when = function(e) return e.ten_in_a_minute and e.eur > 300 end },
  { points = 10, why = 'night', when = function(e) return e.hour >= 23 or e.hour < 6 end },
}

--- Great-circle distance in km.
local function distance(lat1, lon1, lat2, lon2)
  local a, b = math.rad(lat1), math.rad(lat2)
  local h = math.sin((b - a) / 2) ^ 2 + math.cos(a) * math.cos(b) * math.sin(math.rad(lon2 - lon1) / 2) ^ 2
  return 12742 * math.asin(math.min(1, math.sqrt(h)))
end

local function enrich(e)
  local home, here = cards.home(e.card), cards.countries[e.country]
  e.eur = math.floor(e.amount * to_eur[e.currency] * 100 + 0.5) / 100
  e.hour = math.floor(e.ts / 3600000 + here.zone) % 24
  e.km = math.floor(distance(e.lat, e.lon, home.lat, home.lon) + 0.5)
  return e
end

--- What a card did before: how many payments, what they came to, the times of the last ten, where it paid.
local memory = {
  max_keys = 200000,
  state = {
    n = 0, spent = 0, times = tm.state.list { of = 'integer', max = 10 },
    merchants = tm.state.set { of = 'string', max = 50 },
  },
  on_event = function(e, s, ctx)
    local usual = s.n > 0 and s.spent / s.n or 0
    s.n, s.spent = s.n + 1, s.spent + e.eur
    s.times:push(e.ts)
    ctx.emit {
      card = e.card, eur = e.eur, km = e.km, hour = e.hour, channel = e.channel, mcc = e.mcc,
      nth = s.n, spent = math.floor(s.spent * 100 + 0.5) / 100, usual = usual,
      new_merchant = s.merchants:add(e.merchant),
      ten_in_a_minute = s.times:size() == 10 and e.ts - s.times:get(1) < 60000,
    }
  end,
}

local function assess(e)
  local risk, why = 0, nil
  for _, rule in ipairs(rules) do
    if rule.when(e) then
      risk = risk + rule.points
      why = why and why .. ', ' .. rule.why or rule.why
    end
  end
  e.risk, e.why = risk, why
  return e
end

local payments = tm.pipeline 'payments'
  :from(cards.source { count = tm.setting('events', 200000), seed = tm.setting('seed', 1) })
  :on_error(tm.sink.discard())   -- a file here would keep what fails: tm.sink.file 'payments.bad.ndjson'
  :filter(function(e) return e.status == 'authorized' end)
  :map(enrich)
  :key_by 'card'
  :process('memory', memory)
  :map(assess)
  :route {
    { 'alert', function(e) return e.risk >= alert_at end },
    { 'review', function(e) return e.risk >= review_at end },
    { 'normal' },
  }

-- Pipelines of their own, so that the summary counts each.
return {
  tm.pipeline 'alerts':from(payments.alert)
    :select { 'card', 'eur', 'nth', 'spent', 'risk', 'why' }
    :to(tm.sink.stdout()),
  tm.pipeline 'review':from(payments.review):to(tm.sink.discard()),
  tm.pipeline 'normal':from(payments.normal):to(tm.sink.discard()),
}
