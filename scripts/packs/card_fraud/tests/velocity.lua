-- tests/velocity.lua - amounts and shares in a short time; what only counts is tested in counts.lua.

local H, D = 3600000, 86400000

local function pay(ts, amount, result, channel)
  return { ts = ts, kind = 'payment', card = 'a', amount = amount, result = result or 'approved', channel = channel or 'chip' }
end

--- Twenty payments of `amount` in the month before; the last a day and more before D * 40.
local function month(amount, n)
  local list = {}
  for i = 1, n or 20 do list[i] = pay(D * 40 - (2 + (20 - i) * 1.3) * D, amount) end
  return list
end

local function with(list, ...)
  local more = { ... }
  for i = 1, #more do list[#list + 1] = more[i] end
  return list
end

local T = 40 * D

--- n payments in a day, the first `refused` of them refused.
local function shares(n, refused, gap)
  local list = {}
  for i = 1, n do list[i] = pay(i * (gap or H), 9, i <= refused and 'declined' or 'approved') end
  return list
end

return {
  { 'spend_burst: fires beyond 2,500 in an hour', fires = { 'spend_burst' },
    events = { pay(0, 1000), pay(1000, 1000), pay(2000, 500.01) } },
  { 'spend_burst: boundary, 2,500 is usual', not_fires = { 'spend_burst' },
    events = { pay(0, 1000), pay(1000, 1000), pay(2000, 500) } },
  { 'spend_burst: does not fire where the first one is over', not_fires = { 'spend_burst' },
    events = { pay(0, 1000), pay(1000, 1000), pay(2000, 400), pay(H, 600) } },
  { 'spend_burst: does not fire for refused payments', not_fires = { 'spend_burst' },
    events = { pay(0, 1000), pay(1000, 1000, 'declined'), pay(2000, 1000) } },
  { 'spend_burst: late event, counts at its time', fires = { 'spend_burst' },
    events = { pay(5000, 1000), pay(2000, 1000), pay(6000, 600) } },
  { 'spend_burst: warm-up, unknown before anything is approved', unknown = { 'spend_burst' }, events = { pay(0, 9, 'declined') } },

  -- 20 payments of 30 in the 29 days before: 15 times a day of these is 310.3, so the bound is 600
  { 'spend_day: fires beyond 600', fires = { 'spend_day' }, events = with(month(30), pay(T, 300), pay(T + H, 300.01)) },
  { 'spend_day: boundary, 600 is usual', not_fires = { 'spend_day' }, events = with(month(30), pay(T, 300), pay(T + H, 300)) },
  -- of 100 each it is 15 * 2,000 / 29 = 1,034.48
  { 'spend_day: fires beyond fifteen times an average day', fires = { 'spend_day' },
    events = with(month(100), pay(T, 500), pay(T + H, 534.49)) },
  { 'spend_day: boundary, fifteen times is usual', not_fires = { 'spend_day' },
    events = with(month(100), pay(T, 500), pay(T + H, 534.48)) },
  { 'spend_day: late event, counts at its time', fires = { 'spend_day' },
    events = with(month(30), pay(T + 5000, 300), pay(T + 1000, 200), pay(T + H, 101)) },
  { 'spend_day: warm-up, unknown before twenty payments', unknown = { 'spend_day' },
    events = with(month(30, 18), pay(T, 300), pay(T + H, 900)) },
  { 'spend_day: does not fire over two days', not_fires = { 'spend_day' }, events = with(month(30), pay(T, 400), pay(T + D, 400)) },

  { 'decline_share: fires beyond six in ten', fires = { 'decline_share' }, events = shares(10, 7) },
  { 'decline_share: boundary, six in ten are usual', not_fires = { 'decline_share' }, events = shares(10, 6) },
  { 'decline_share: does not fire of seven payments', not_fires = { 'decline_share' }, events = shares(7, 7) },
  { 'decline_share: does not fire where they are over', not_fires = { 'decline_share' }, events = shares(10, 7, 6 * H) },
  { 'decline_share: late event, counts at its time', fires = { 'decline_share' },
    events = with(shares(7, 6), pay(6.5 * H, 9, 'declined'), pay(8 * H, 9)) },
  { 'decline_share: warm-up, the first payment of all', not_fires = { 'decline_share' }, events = shares(1, 1) },

  { 'cash_burst: fires beyond 1,500 in a day', fires = { 'cash_burst' },
    events = { pay(0, 1000, nil, 'atm'), pay(H, 500.01, nil, 'atm') } },
  { 'cash_burst: boundary, 1,500 is usual', not_fires = { 'cash_burst' }, events = { pay(0, 1000, nil, 'atm'), pay(H, 500, nil, 'atm') } },
  { 'cash_burst: does not fire where the first one is over', not_fires = { 'cash_burst' },
    events = { pay(0, 1000, nil, 'atm'), pay(D, 600, nil, 'atm') } },
  { 'cash_burst: does not fire for purchases', not_fires = { 'cash_burst' }, events = { pay(0, 1000), pay(H, 600, nil, 'atm') } },
  { 'cash_burst: late event, counts at its time', fires = { 'cash_burst' },
    events = { pay(9000, 500, nil, 'atm'), pay(6000, 600, nil, 'atm'), pay(9001, 500, nil, 'atm') } },
  { 'cash_burst: warm-up, unknown before cash was drawn', unknown = { 'cash_burst' }, events = { pay(0, 9) } },
}
