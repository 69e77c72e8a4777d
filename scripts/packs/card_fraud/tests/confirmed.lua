-- tests/confirmed.lua - frauds that became known, and lists. A chargeback counts from when it came, not from when the payment was.

local H, D = 3600000, 86400000

local function pay(ts, card, more)
  return { ts = ts, kind = 'payment', card = card or 'a', amount = more and more.amount or 20, result = 'approved',
    channel = more and more.channel or 'chip', terminal = more and more.terminal or 't', merchant = more and more.merchant or 'm',
    mcc = more and more.mcc, country = more and more.country, device = more and more.device, ip = more and more.ip }
end
local function back(ts, card, terminal)
  return { ts = ts, kind = 'chargeback', card = card, amount = 20, merchant = 'm', terminal = terminal or 't' }
end

--- n payments at a merchant, then `frauds` chargebacks, then one payment more.
local function merchant(n, frauds)
  local list = {}
  for i = 1, n - 1 do list[#list + 1] = pay(i * H, 'c' .. i, { terminal = 't' .. i }) end
  for i = 1, frauds do list[#list + 1] = back(n * H + i, 'c' .. i, 't' .. i) end
  list[#list + 1] = pay((n + 1) * H, 'x', { terminal = 'u' })
  return list
end

return {
  { 'fraud_terminal: fires behind four', fires = { 'fraud_terminal' },
    events = { back(0, 'b'), back(1, 'c'), back(2, 'd'), back(3, 'e'), pay(D) } },
  { 'fraud_terminal: boundary, three are usual', not_fires = { 'fraud_terminal' },
    events = { back(0, 'b'), back(1, 'c'), back(2, 'd'), pay(D) } },
  { 'fraud_terminal: does not fire while nobody knows', not_fires = { 'fraud_terminal' },
    events = { pay(0, 'b'), pay(1, 'c'), pay(2, 'd'), pay(3, 'e'), pay(D) } },
  { 'fraud_terminal: does not fire at another terminal', not_fires = { 'fraud_terminal' },
    events = { back(0, 'b'), back(1, 'c'), back(2, 'd'), back(3, 'e'), pay(D, 'a', { terminal = 'u' }) } },
  { 'fraud_terminal: does not fire five weeks later', not_fires = { 'fraud_terminal' },
    events = { back(0, 'b'), back(1, 'c'), back(2, 'd'), back(3, 'e'), pay(35 * D) } },
  { 'fraud_terminal: late event, counts', fires = { 'fraud_terminal' },
    events = { back(0, 'b'), back(4000, 'c'), back(5000, 'd'), back(2000, 'e'), pay(6000) } },
  { 'fraud_terminal: warm-up, the first payment of all', not_fires = { 'fraud_terminal' }, events = { pay(0) } },

  { 'fraud_merchant: fires at three of 100', fires = { 'fraud_merchant' }, events = merchant(100, 3) },
  { 'fraud_merchant: boundary, two of 100 are usual', not_fires = { 'fraud_merchant' }, events = merchant(100, 2) },
  { 'fraud_merchant: boundary, of 99 nothing is said', not_fires = { 'fraud_merchant' }, events = merchant(99, 5) },
  { 'fraud_merchant: late event, counts', fires = { 'fraud_merchant' },
    events = (function()
      local list = merchant(100, 3)
      local n = #list
      list[n - 1].ts, list[n - 2].ts = list[n - 2].ts, list[n - 1].ts
      return list
    end)() },
  { 'fraud_merchant: warm-up, the first payment of all', not_fires = { 'fraud_merchant' }, events = merchant(1, 0) },

  { 'fraud_card: fires behind two', fires = { 'fraud_card' }, events = { back(0, 'a'), back(1, 'a'), pay(D) } },
  { 'fraud_card: boundary, one is disputed now and then', not_fires = { 'fraud_card' }, events = { back(0, 'a'), pay(D) } },
  { 'fraud_card: does not fire 31 days later', not_fires = { 'fraud_card' }, events = { back(0, 'a'), back(1, 'a'), pay(31 * D) } },
  { 'fraud_card: late event, counts', fires = { 'fraud_card' }, events = { back(5000, 'a'), back(2000, 'a'), pay(6000) } },
  { 'fraud_card: warm-up, the first payment of all', not_fires = { 'fraud_card' }, events = { pay(0) } },

  { 'listed_card: fires', fires = { 'listed_card' }, decision = 'decline', events = { pay(0, 'card-stolen-1') } },
  { 'listed_card: boundary, case and blanks matter', not_fires = { 'listed_card' }, events = { pay(0, 'card-Stolen-1') } },
  { 'listed_card: late event, as any', fires = { 'listed_card' }, events = { pay(5000), pay(1000, 'card-stolen-2') } },
  { 'listed_card: warm-up, needs nothing', not_fires = { 'listed_card' }, events = { pay(0) } },
  { 'listed_device: fires', fires = { 'listed_device' }, events = { pay(0, 'a', { channel = 'ecom', device = 'device-seen-1' }) } },
  { 'listed_device: boundary, another device', not_fires = { 'listed_device' },
    events = { pay(0, 'a', { channel = 'ecom', device = 'device-seen-11' }) } },
  { 'listed_device: late event, as any', fires = { 'listed_device' },
    events = { pay(5000), pay(1000, 'a', { channel = 'ecom', device = 'device-seen-2' }) } },
  { 'listed_device: warm-up, no device at all', not_fires = { 'listed_device' }, events = { pay(0, 'a', { channel = 'ecom' }) } },
  { 'listed_ip: fires beyond 100', fires = { 'listed_ip' },
    events = { pay(0, 'a', { channel = 'ecom', ip = '192.0.2.1', amount = 100.01 }) } },
  { 'listed_ip: boundary, 100 is no harm', not_fires = { 'listed_ip' },
    events = { pay(0, 'a', { channel = 'ecom', ip = '192.0.2.1', amount = 100 }) } },
  { 'listed_ip: does not fire for another address', not_fires = { 'listed_ip' },
    events = { pay(0, 'a', { channel = 'ecom', ip = '192.0.2.3', amount = 200 }) } },
  { 'listed_ip: late event, as any', fires = { 'listed_ip' },
    events = { pay(5000), pay(1000, 'a', { channel = 'ecom', ip = '192.0.2.2', amount = 200 }) } },
  { 'listed_ip: warm-up, no address at all', not_fires = { 'listed_ip' }, events = { pay(0, 'a', { channel = 'ecom', amount = 200 }) } },
  { 'cash_like: fires beyond 700', fires = { 'cash_like' }, events = { pay(0, 'a', { amount = 400 }), pay(H - 1, 'a', { amount = 300.01,
    mcc = '7995' }) } },
  { 'cash_like: boundary, 700 is usual', not_fires = { 'cash_like' },
    events = { pay(0, 'a', { amount = 400 }), pay(H - 1, 'a', { amount = 300, mcc = '7995' }) } },
  { 'cash_like: does not fire where the first one is over', not_fires = { 'cash_like' },
    events = { pay(0, 'a', { amount = 400 }), pay(H, 'a', { amount = 301, mcc = '7995' }) } },
  { 'cash_like: does not fire at another merchant', not_fires = { 'cash_like' }, events = { pay(0, 'a', { amount = 800, mcc = '5411' }) } },
  { 'cash_like: late event, counts at its time', fires = { 'cash_like' },
    events = { pay(5000, 'a'), pay(2000, 'a', { amount = 400 }), pay(6000, 'a', { amount = 301, mcc = '6051' }) } },
  { 'cash_like: warm-up, unknown before anything is approved', unknown = { 'cash_like' },
    events = { { ts = 0, kind = 'payment', card = 'a', amount = 800, result = 'declined', mcc = '6051' } } },
  { 'listed_country: fires beyond 300', fires = { 'listed_country' },
    events = { pay(0), pay(H, 'a', { amount = 280.01, country = 'XA' }) } },
  { 'listed_country: boundary, 300 is usual', not_fires = { 'listed_country' },
    events = { pay(0), pay(H, 'a', { amount = 280, country = 'XA' }) } },
  { 'listed_country: does not fire elsewhere', not_fires = { 'listed_country' },
    events = { pay(0), pay(H, 'a', { amount = 500, country = 'DE' }) } },
  { 'listed_country: late event, counts at its time', fires = { 'listed_country' },
    events = { pay(5000), pay(2000, 'a', { amount = 200 }), pay(6000, 'a', { amount = 200, country = 'XB' }) } },
  { 'listed_country: warm-up, unknown before anything is approved', unknown = { 'listed_country' },
    events = { { ts = 0, kind = 'payment', card = 'a', amount = 800, result = 'declined', country = 'XA' } } },
}
