--[[
tests/counts.lua - rules that count: of each, what still is usual (boundary), one more (fires), one more of which the first is just outside
of the window and just inside, one more of which one came late, and the first event of all, of which nothing is known (warm-up).

  { rule, n: that still are usual, window in ms, function(i, ts): the i-th event }
]]

local M, H, D = 60000, 3600000, 86400000

local counted = {
  { 'card_burst', 5, M, function(_, ts) return { ts = ts, kind = 'payment', card = 'a', amount = 5, result = 'approved' } end },
  { 'card_burst_hour', 15, H, function(_, ts) return { ts = ts, kind = 'payment', card = 'a', amount = 5, result = 'approved' } end },
  { 'decline_burst', 4, 10 * M, function(_, ts) return { ts = ts, kind = 'payment', card = 'a', amount = 5, result = 'declined' } end },
  { 'merchants_burst', 4, 10 * M, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'a', amount = 5, result = 'approved', merchant = 'm' .. i }
  end },
  { 'contactless_burst', 8, H, function(_, ts)
    return { ts = ts, kind = 'payment', card = 'a', amount = 5, result = 'approved', channel = 'contactless' }
  end },
  { 'refund_burst', 4, D, function(_, ts) return { ts = ts, kind = 'refund', card = 'a', amount = 50 } end },
  { 'countries_burst', 3, D, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'a', amount = 5, result = 'approved', channel = 'chip', country = 'C' .. i }
  end },
  { 'merchant_testing', 20, 10 * M, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'c' .. i, amount = 1, result = 'approved', channel = 'ecom', merchant = 'm' }
  end },
  { 'bin_attack', 12, 10 * M, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'c' .. i, bin = '412345', amount = 9, result = 'declined', channel = 'ecom', merchant = 'm' }
  end },
  { 'cvv_guessing', 3, H, function(_, ts)
    return { ts = ts, kind = 'payment', card = 'a', amount = 9, result = 'bad_cvv', channel = 'ecom' }
  end },
  { 'device_declines', 6, H, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'c' .. i % 3, amount = 9, result = 'declined', channel = 'ecom', device = 'd' }
  end },
  { 'device_cards', 4, D, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'c' .. i, amount = 9, result = 'approved', channel = 'ecom', device = 'd' }
  end },
  { 'ip_cards', 8, H, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'c' .. i, amount = 9, result = 'approved', channel = 'ecom', device = 'd' .. i % 3,
      ip = '10.0.0.1' }
  end },
  { 'device_accounts', 4, D, function(i, ts)
    return { ts = ts, kind = 'login', account = 'a' .. i, result = 'approved', device = 'd', ip = '10.0.0.' .. i }
  end },
  { 'credential_stuffing', 10, 10 * M, function(i, ts)
    return { ts = ts, kind = 'login', account = 'a' .. i, result = 'declined', device = 'd' .. i, ip = '10.0.0.1' }
  end },
  { 'address_cards', 6, 7 * D, function(i, ts)
    return { ts = ts, kind = 'payment', card = 'c' .. i, amount = 9, result = 'approved', channel = 'ecom', device = 'd' .. i % 2,
      address = 'x' }
  end },
  { 'account_devices', 3, D, function(i, ts)
    return { ts = ts, kind = 'login', account = 'a', result = 'approved', device = 'd' .. i }
  end },
  { 'structuring', 3, 7 * D, function(i, ts) return { ts = ts, kind = 'transfer', account = 'a', payee = 'p' .. i, amount = 9500 } end },
  { 'mule_fan_in', 8, D, function(i, ts) return { ts = ts, kind = 'transfer', account = 'a' .. i, payee = 'p', amount = 500 } end },
}

local tests = {}

--- n events of a rule: the first at `from`, the others a second apart, the last at `to`.
local function events(make, n, from, to)
  local list = {}
  for i = 1, n do list[i] = make(i, i == 1 and from or to - (n - i) * 1000) end
  return list
end

for c = 1, #counted do
  local id, n, window, make = counted[c][1], counted[c][2], counted[c][3], counted[c][4]
  local late = events(make, n + 1, 0, (n + 1) * 1000)
  late[n - 1], late[n] = late[n], make(n + 7, late[n - 1].ts - 500)   -- behind its time
  local of = {
    { id .. ': boundary, ' .. n .. ' are usual', events = events(make, n, 0, n * 1000), not_fires = { id } },
    { id .. ': fires at one more', events = events(make, n + 1, 0, n * 1000), fires = { id } },
    { id .. ': does not fire where the first one is over', events = events(make, n + 1, 0, window), not_fires = { id } },
    { id .. ': fires where the first one still counts', events = events(make, n + 1, 0, window - 1), fires = { id } },
    { id .. ': late event, counts at its time', events = late, fires = { id } },
    { id .. ': warm-up, the first event of all', events = events(make, 1, 0, 0), not_fires = { id } },
  }
  for i = 1, #of do tests[#tests + 1] = of[i] end
end

return tests
