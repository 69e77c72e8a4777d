--[[
harmless.lua - doings of honest people that look like fraud, one function a kind. Their numbers are drawn from what happens in life, not so
that a rule stays silent.
]]

local people = require 'people'
local cents = people.cents

local S, MIN, HOUR, DAY = 1000, 60000, 3600000, 86400000

local M = {}

--- The day on which salaries come: more is bought than usual, at shops one knows.
function M.payday(k, r)
  local c = k:victim()
  k:tell { kind = 'credit', ts = math.floor(k.t), account = c.account, amount = cents(r:within(1800, 4200)) }
  for i = 1, r:whole(3, 6) do
    k:pay(c, i * r:within(40, 90) * MIN, { shop = r:pick(c.shops), amount = cents(people.amount(c, r) * r:within(1, 2.5)) })
  end
  k:bank(c, r:within(1, 8) * HOUR, 'transfer', { payee = c.payees[1], amount = cents(r:within(500, 1100)) })
end

--- An employer pays its people: one account, many payees, all known for long.
function M.employer(k, r)
  local firm = k:stranger()
  for i = 1, r:whole(15, 45) do
    k:bank(firm, i * 2 * S, 'transfer', { payee = ('payee-%s-%d'):format(k.name, i), amount = cents(r:within(1700, 4800)) })
  end
end

--- An office: one internet address and one address for parcels, everybody with a phone of their own.
function M.office(k, r)
  local n, first = r:whole(12, 30), nil
  for _ = 1, n do
    local c = k:stranger()
    first = first or c
    k:pay(c, r:within(0, 55) * MIN, { channel = 'ecom', ip = first.ip, address = first.address })
    if r:chance(0.3) then k:pay(c, r:within(1, 4) * DAY, { channel = 'ecom', ip = first.ip, address = first.address }) end
  end
end

--- An airport: a meal at the gate, three hours of flight, a hotel in another country; behind many others at the same terminal.
function M.airport(k, r)
  local c = k:victim(r:chance(0.5) and 'middle' or 'regular')
  local gate = k:shop(c, 1)
  local there = people.shop(r, { code = 'PT', lat = 38.7, lon = -9.1, zone = 0 }, 'shop-' .. k.name .. '-2')
  for i = 1, r:whole(10, 40) do k:pay(k:stranger(), i * 40 * S, { shop = gate, amount = k:small() }) end
  k:pay(c, 30 * MIN, { shop = gate, amount = cents(r:within(8, 40)) })
  local hours = r:within(3.3, 6)
  k:pay(c, 30 * MIN + hours * HOUR, { shop = there, channel = 'contactless', amount = cents(r:within(4, 30)) })
  k:pay(c, 30 * MIN + (hours + 2) * HOUR, { shop = there, amount = cents(r:within(90, 280)) })
end

--- A bill split: several cards, one terminal, a minute or two, the same amount; or friends who send their part to one of them.
function M.split_bill(k, r)
  local amount, shop = cents(r:within(12, 60)), nil
  for i = 1, r:whole(4, 9) do
    local c = k:stranger()
    shop = shop or k:shop(c)
    k:pay(c, i * 15 * S, { shop = shop, amount = amount })
  end
  for i = 1, r:whole(4, 12) do
    k:bank(k:stranger(), 2 * HOUR + i * r:within(1, 40) * MIN, 'transfer', { payee = 'payee-' .. k.name, amount = amount })
  end
end

--- A club collects its fee.
function M.club_fee(k, r)
  local fee = cents(r:within(10, 60))
  for i = 1, r:whole(10, 30) do
    k:bank(k:stranger(), i * r:within(5, 30) * MIN, 'transfer', { payee = 'payee-' .. k.name, amount = fee })
  end
end

--- A family with one tablet.
function M.family_tablet(k, r)
  local first
  for i = 1, r:whole(2, 4) do
    local c = k:stranger()
    first = first or c
    for j = 1, r:whole(1, 3) do k:pay(c, (i * 3 + j) * 20 * MIN, { channel = 'ecom', device = first.device, ip = first.ip }) end
  end
end

--- A lost phone: a new password, a new device, and then the usual small transfer.
function M.lost_phone(k, r)
  local c = k:victim()
  k:bank(c, 0, 'reset')
  k:bank(c, r:within(5, 60) * MIN, 'new_device', { device = c.device .. '-2' })
  k:bank(c, r:within(1, 9) * HOUR, 'transfer', { device = c.device .. '-2', payee = r:pick(c.payees), amount = cents(r:within(15, 400)) })
end

--- A table for the living room, of somebody who can.
function M.furniture(k, r)
  local c = k:victim 'wealthy'
  k:pay(c, r:within(0, 8) * HOUR, { shop = k:shop(c), amount = cents(r:within(300, 800)) })
end

--- A subscription of an expired card: tried again every few hours.
function M.expired_card(k, r)
  local c = k:victim()
  local shop = r:pick(c.shops)
  for i = 1, r:whole(2, 4) do k:pay(c, i * 3 * HOUR, { shop = shop, channel = 'ecom', amount = 9.99, result = 'declined' }) end
  k:pay(c, 14 * HOUR, { shop = shop, channel = 'ecom', amount = 9.99 })
end

--- Parking by the minute, then dinner.
function M.parking(k, r)
  local c = k:victim()
  local shop = k:shop(c)
  for i = 1, r:whole(1, 2) do k:pay(c, i * 3 * MIN, { shop = shop, channel = 'ecom', amount = cents(r:within(0.5, 2)) }) end
  k:pay(c, r:within(8, 180) * MIN, { shop = r:pick(c.shops), amount = cents(r:within(30, 110)) })
end

--- A taxi in the night.
function M.night_taxi(k, r)
  local c = k:victim()
  local midnight = k.t + ((24 - (k.t / HOUR + c.country.zone) % 24) % 24) * HOUR
  k:pay(c, midnight + r:within(0.5, 4) * HOUR - k.t, { channel = 'contactless', amount = cents(r:within(15, 80)) })
end

--- A new flat: a new address, then the rent to a payee that is known.
function M.moving(k, r)
  local c = k:victim()
  k:bank(c, 0, 'profile')
  k:bank(c, r:within(1, 20) * HOUR, 'transfer', { payee = c.payees[1], amount = cents(r:within(600, 1500)) })
end

--- A shop that sells songs.
function M.song_shop(k, r)
  local shop
  for i = 1, r:whole(6, 16) do
    local c = k:stranger()
    shop = shop or k:shop(c)
    k:pay(c, i * r:within(30, 50) * S, { shop = shop, channel = 'ecom', amount = 0.99 })
  end
end

--- A card for holidays: months without a payment, then a coffee at the beach.
function M.holiday_card(k, r)
  local c = k:stranger()
  for i = 0, 2 do k:paid(c, (65 + i) * DAY, {}) end
  k:pay(c, 0, { shop = k:shop(c), amount = cents(r:within(3, 60)) })
  k:pay(c, 5 * HOUR, { shop = k:shop(c, 2), amount = cents(r:within(20, 150)) })
end

return M
