-- tests/sequences.lua - rules that look for one thing behind another: numbers that are tried, accounts that are taken over, mules.

local MIN, H, D = 60000, 3600000, 86400000

local function pay(ts, amount, channel)
  return { ts = ts, kind = 'payment', card = 'a', amount = amount, result = 'approved', channel = channel or 'ecom', merchant = 'm' }
end
local function bank(ts, kind, amount, more)
  return { ts = ts, kind = kind, account = 'a', amount = amount, payee = more and more.payee, result = more and more.result }
end
local function wrong(ts) return bank(ts, 'login', nil, { result = 'declined' }) end

--- n payees, added and sent to; the first `known` of them were not added.
local function spread(n, known, gap)
  local list = {}
  for i = 1, n do
    local ts = i * (gap or H)
    if i > (known or 0) then list[#list + 1] = bank(ts, 'new_payee', nil, { payee = 'p' .. i }) end
    list[#list + 1] = bank(ts + MIN, 'transfer', 100, { payee = 'p' .. i })
  end
  return list
end

return {
  { 'card_testing: fires behind three tiny payments', fires = { 'card_testing' }, decision = 'decline',
    events = { pay(0, 1), pay(1000, 2), pay(2000, 0.5), pay(3000, 50.01) } },
  { 'card_testing: boundary, two are usual', not_fires = { 'card_testing' }, events = { pay(0, 1), pay(1000, 2), pay(3000, 60) } },
  { 'card_testing: boundary, 2.01 is not tiny', not_fires = { 'card_testing' },
    events = { pay(0, 1), pay(1000, 2.01), pay(2000, 0.5), pay(3000, 60) } },
  { 'card_testing: boundary, 50 is no harm', not_fires = { 'card_testing' },
    events = { pay(0, 1), pay(1000, 2), pay(2000, 0.5), pay(3000, 50) } },
  { 'card_testing: does not fire ten minutes later', not_fires = { 'card_testing' },
    events = { pay(0, 1), pay(1000, 2), pay(2000, 0.5), pay(10 * MIN, 60) } },
  { 'card_testing: late event, counts at its time', fires = { 'card_testing' },
    events = { pay(1000, 1), pay(5000, 2), pay(2000, 0.5), pay(6000, 60) } },
  { 'card_testing: warm-up, the first payment of all', not_fires = { 'card_testing' }, events = { pay(0, 60) } },

  { 'account_takeover: fires at reset, device, transfer', fires = { 'account_takeover' }, decision = 'decline',
    events = { bank(0, 'reset'), bank(MIN, 'new_device'), bank(H, 'transfer', 500.01, { payee = 'p' }) } },
  { 'account_takeover: does not fire at device, reset, transfer', not_fires = { 'account_takeover' },
    events = { bank(0, 'new_device'), bank(MIN, 'reset'), bank(H, 'transfer', 600, { payee = 'p' }) } },
  { 'account_takeover: boundary, 500 is usual', not_fires = { 'account_takeover' },
    events = { bank(0, 'reset'), bank(MIN, 'new_device'), bank(H, 'transfer', 500, { payee = 'p' }) } },
  { 'account_takeover: boundary, a day later', not_fires = { 'account_takeover' },
    events = { bank(0, 'reset'), bank(MIN, 'new_device'), bank(D, 'transfer', 600, { payee = 'p' }) } },
  { 'account_takeover: fires a moment before', fires = { 'account_takeover' },
    events = { bank(0, 'reset'), bank(MIN, 'new_device'), bank(D - 1, 'transfer', 600, { payee = 'p' }) } },
  { 'account_takeover: late event, the reset came behind the device', fires = { 'account_takeover' },
    events = { bank(4000, 'new_device'), bank(1000, 'reset'), bank(H, 'transfer', 600, { payee = 'p' }) } },
  { 'account_takeover: warm-up, unknown without a reset', unknown = { 'account_takeover' },
    events = { bank(MIN, 'new_device'), bank(H, 'transfer', 600, { payee = 'p' }) } },

  { 'new_payee_large: fires beyond 3,000', fires = { 'new_payee_large' },
    events = { bank(0, 'new_payee'), bank(MIN, 'transfer', 3000.01, { payee = 'p' }) } },
  { 'new_payee_large: boundary, 3,000 is usual', not_fires = { 'new_payee_large' },
    events = { bank(0, 'new_payee'), bank(MIN, 'transfer', 3000, { payee = 'p' }) } },
  { 'new_payee_large: boundary, half an hour later', not_fires = { 'new_payee_large' },
    events = { bank(0, 'new_payee'), bank(30 * MIN, 'transfer', 4000, { payee = 'p' }) } },
  { 'new_payee_large: late event, the new payee came behind others', fires = { 'new_payee_large' },
    events = { bank(4000, 'login', nil, { result = 'approved' }), bank(1000, 'new_payee'),
      bank(5000, 'transfer', 4000, { payee = 'p' }) } },
  { 'new_payee_large: warm-up, unknown without a new payee', unknown = { 'new_payee_large' },
    events = { bank(0, 'transfer', 4000, { payee = 'p' }) } },

  { 'guessed_password: fires behind five wrong ones', fires = { 'guessed_password' },
    events = { wrong(0), wrong(1000), wrong(2000), wrong(3000), wrong(4000), bank(MIN, 'transfer', 200.01, { payee = 'p' }) } },
  { 'guessed_password: boundary, four are usual', not_fires = { 'guessed_password' },
    events = { wrong(0), wrong(1000), wrong(2000), wrong(3000), bank(MIN, 'transfer', 300, { payee = 'p' }) } },
  { 'guessed_password: boundary, 200 is no harm', not_fires = { 'guessed_password' },
    events = { wrong(0), wrong(1000), wrong(2000), wrong(3000), wrong(4000), bank(MIN, 'transfer', 200, { payee = 'p' }) } },
  { 'guessed_password: does not fire an hour later', not_fires = { 'guessed_password' },
    events = { wrong(0), wrong(1000), wrong(2000), wrong(3000), wrong(4000), bank(H, 'transfer', 300, { payee = 'p' }) } },
  { 'guessed_password: late event, counts at its time', fires = { 'guessed_password' },
    events = { wrong(0), wrong(1000), wrong(2000), wrong(4000), wrong(3000), bank(MIN, 'transfer', 300, { payee = 'p' }) } },
  { 'guessed_password: warm-up, the first event of all', not_fires = { 'guessed_password' },
    events = { bank(0, 'transfer', 300, { payee = 'p' }) } },

  { 'profile_then_payee: fires at profile, payee, transfer', fires = { 'profile_then_payee' },
    events = { bank(0, 'profile'), bank(MIN, 'new_payee'), bank(H, 'transfer', 400.01, { payee = 'p' }) } },
  { 'profile_then_payee: boundary, 400 is usual', not_fires = { 'profile_then_payee' },
    events = { bank(0, 'profile'), bank(MIN, 'new_payee'), bank(H, 'transfer', 400, { payee = 'p' }) } },
  { 'profile_then_payee: does not fire at payee, profile, transfer', not_fires = { 'profile_then_payee' },
    events = { bank(0, 'new_payee'), bank(MIN, 'profile'), bank(H, 'transfer', 500, { payee = 'p' }) } },
  { 'profile_then_payee: late event, the profile came behind the payee', fires = { 'profile_then_payee' },
    events = { bank(4000, 'new_payee'), bank(1000, 'profile'), bank(H, 'transfer', 500, { payee = 'p' }) } },
  { 'profile_then_payee: warm-up, unknown without a new payee', unknown = { 'profile_then_payee' },
    events = { bank(0, 'profile'), bank(H, 'transfer', 500, { payee = 'p' }) } },

  { 'deposit_structuring: fires beyond 10,000', fires = { 'deposit_structuring' },
    events = { bank(0, 'deposit', 4000), bank(H, 'deposit', 4000), bank(2 * H, 'deposit', 2000.01) } },
  { 'deposit_structuring: boundary, 10,000 is usual', not_fires = { 'deposit_structuring' },
    events = { bank(0, 'deposit', 4000), bank(H, 'deposit', 4000), bank(2 * H, 'deposit', 2000) } },
  { 'deposit_structuring: boundary, two deposits', not_fires = { 'deposit_structuring' },
    events = { bank(0, 'deposit', 6000), bank(H, 'deposit', 6000) } },
  { 'deposit_structuring: does not fire where the first one is over', not_fires = { 'deposit_structuring' },
    events = { bank(0, 'deposit', 4000), bank(H, 'deposit', 4000), bank(D, 'deposit', 4000) } },
  { 'deposit_structuring: late event, counts at its time', fires = { 'deposit_structuring' },
    events = { bank(0, 'deposit', 1000), bank(5000, 'deposit', 3000), bank(2000, 'deposit', 4000),
      bank(5001, 'deposit', 3000) } },
  { 'deposit_structuring: warm-up, the first deposit of all', not_fires = { 'deposit_structuring' },
    events = { bank(0, 'deposit', 9999) } },

  { 'mule_fan_out: fires at seven new payees', fires = { 'mule_fan_out' }, events = spread(7) },
  { 'mule_fan_out: boundary, six are usual', not_fires = { 'mule_fan_out' }, events = spread(6) },
  { 'mule_fan_out: does not fire where one was known', not_fires = { 'mule_fan_out' }, events = spread(7, 1) },
  { 'mule_fan_out: does not fire over days', not_fires = { 'mule_fan_out' }, events = spread(7, 0, 5 * H) },
  { 'mule_fan_out: late event, counts at its time', fires = { 'mule_fan_out' },
    events = { bank(0, 'new_payee'), bank(1, 'new_payee'), bank(2, 'new_payee'), bank(3, 'new_payee'), bank(4, 'new_payee'),
      bank(5, 'new_payee'), bank(6000, 'transfer', 9, { payee = '1' }), bank(6001, 'transfer', 9, { payee = '2' }),
      bank(6002, 'transfer', 9, { payee = '3' }), bank(6003, 'transfer', 9, { payee = '4' }), bank(6004, 'transfer', 9, { payee = '5' }),
      bank(6005, 'transfer', 9, { payee = '6' }), bank(3000, 'new_payee'), bank(6006, 'transfer', 9, { payee = '7' }) } },
  { 'mule_fan_out: warm-up, the first transfer of all', not_fires = { 'mule_fan_out' }, events = spread(1) },

  { 'mule_pass_through: fires beyond eight tenths', fires = { 'mule_pass_through' },
    events = { bank(0, 'credit', 5000), bank(H, 'transfer', 2000, { payee = 'p' }), bank(2 * H, 'transfer', 2000.01, { payee = 'q' }) } },
  { 'mule_pass_through: boundary, eight tenths are usual', not_fires = { 'mule_pass_through' },
    events = { bank(0, 'credit', 5000), bank(H, 'transfer', 2000, { payee = 'p' }), bank(2 * H, 'transfer', 2000, { payee = 'q' }) } },
  { 'mule_pass_through: boundary, 2,000 is no harm', not_fires = { 'mule_pass_through' },
    events = { bank(0, 'credit', 2000), bank(H, 'transfer', 2000, { payee = 'p' }) } },
  { 'mule_pass_through: unknown where what came in is over', unknown = { 'mule_pass_through' },
    events = { bank(0, 'credit', 5000), bank(6 * H, 'transfer', 5000, { payee = 'p' }) } },
  { 'mule_pass_through: late event, the credit came behind', fires = { 'mule_pass_through' },
    events = { bank(5000, 'login', nil, { result = 'approved' }), bank(2000, 'credit', 5000),
      bank(6000, 'transfer', 4500, { payee = 'p' }) } },
  { 'mule_pass_through: warm-up, unknown before anything came in', unknown = { 'mule_pass_through' },
    events = { bank(0, 'transfer', 5000, { payee = 'p' }) } },
}
