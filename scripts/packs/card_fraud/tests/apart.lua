--[[
tests/apart.lua - what must be left alone though it counts as much as fraud does: each event of it is of honest people.
]]

local function list(n, make)
  local out = {}
  for i = 1, n do out[i] = make(i) end
  return out
end

return {
  { 'an office: twenty cards behind one address, each with its own device', not_fires = { 'ip_cards', 'device_cards', 'address_cards' },
    decision = 'approve',
    events = list(20, function(i)
      return { ts = i * 60000, kind = 'payment', card = 'c' .. i, amount = 12, result = 'approved', channel = 'ecom', device = 'd' .. i,
        ip = '10.0.0.1', address = 'office' }
    end) },
  { 'payday: an employer pays forty people who are known', not_fires = { 'mule_fan_out', 'new_payee_large' }, decision = 'approve',
    events = list(40, function(i) return { ts = i * 1000, kind = 'transfer', account = 'firm', payee = 'p' .. i, amount = 2400 } end) },
  { 'a bill of twenty friends', not_fires = { 'mule_fan_in' }, decision = 'approve',
    events = list(20, function(i) return { ts = i * 60000, kind = 'transfer', account = 'a' .. i, payee = 'p', amount = 25 } end) },
  { 'a shop of songs that also sells albums', not_fires = { 'merchant_testing' },
    events = list(60, function(i)
      return { ts = i * 9000, kind = 'payment', card = 'c' .. i, amount = i % 2 == 0 and 1 or 9, result = 'approved', channel = 'ecom',
        merchant = 'm' }
    end) },
  { 'cards of one range refused at many merchants', not_fires = { 'bin_attack' },
    events = list(20, function(i)
      return { ts = i * 1000, kind = 'payment', card = 'c' .. i, bin = '412345', amount = 9, result = 'declined', channel = 'ecom',
        merchant = 'm' .. i }
    end) },
  { 'many payments of one card, but over a day', not_fires = { 'card_burst', 'card_burst_hour', 'merchants_burst' }, decision = 'approve',
    events = list(20, function(i)
      return { ts = i * 4000000, kind = 'payment', card = 'a', amount = 9, result = 'approved', channel = 'chip', merchant = 'm' .. i }
    end) },
}
