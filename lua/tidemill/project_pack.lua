--[[
project_pack.lua - the files that `tidemill new pack` writes: a rule pack that runs as it is, with its tests and a sample.

Needs nothing of the host. The pack is about payments of cards: many in a minute, more money in a day than usual, a large one, a country
on a list. scripts/packs/limits is the same pack (a spec compares them).
]]

local M = {}

local manifest = [[
-- pack.lua - what the pack is called, what its events are, and what a score means. It is data: no functions here.

return {
  name = 'limits', version = '0.1.0', engine = '>=0.1',
  stream = 'payment',                                              -- schema/payment.lua
  time = { field = 'ts', unit = 'ms', out_of_order = '5s' },
  decisions = { challenge = 40, review = 50, decline = 90 },       -- the least score of each; below all of them: approve
  suppress = { by = 'card', within = '1h' },                       -- a second alert of a card within an hour is marked `suppressed`
  lists = { risky = { key = 'string', file = 'lists/risky.csv', column = 'country' } },
}
]]

local schema = [[
-- schema/payment.lua - the fields of an event and their types; another type fails the event.

return { id = 'string', ts = 'time_ms', card = 'string', amount = 'decimal(2)', country = 'string' }
]]

local features = [[
-- features/card.lua - what is known of a card when an event of it comes. Windows are (t - over, t]; the event itself counts.

return tm.features { key = 'card', max_keys = 1e6, ttl = '40d',
  tx_1m = tm.f.count { over = '1m' },
  spent_24h = tm.f.sum('amount', { over = '24h' }),
  mean_30d = tm.f.avg('amount', { over = '30d', step = '1h', current = false, min_history = 5 }),
}
]]

local burst = [[
-- rules/burst.lua - a card is used again and again within a minute.

return { id = 'burst', rev = 1, score = 60, severity = 'high', reason_code = 'L1', exceptions = { 'card' },
  params = { n = { default = 4, min = 2, max = 50, about = 'payments in a minute that are still usual' } },
  when = function(tx, f, p) return f.tx_1m > p.n end,
  reason = '{f.tx_1m} payments in a minute',
  why = 'Stolen cards are used until they are blocked.', false_positives = 'Machines that take small sums one by one.' }
]]

local large = [[
-- rules/large.lua - a large payment, and one that is large for this card. A file may return several rules.

return {
  { id = 'large', score = 50, reason_code = 'L2', only = { amount = { min = 1000 } },
    params = { amount = { default = 2000, min = 1000 } },
    when = function(tx, f, p) return tx.amount >= p.amount end,
    reason = 'a payment of {tx.amount}' },
  { id = 'unusual', score = 40, reason_code = 'L3', needs = { 'mean_30d' },
    params = { times = { default = 10, min = 2 } },
    when = function(tx, f, p) return tx.amount > p.times * f.mean_30d end,
    reason = '{tx.amount}, where the card pays {f.mean_30d} as a rule' },
}
]]

local risky = [[
-- rules/risky.lua - more than a little money in a day, from a country on the list.

return { id = 'risky_country', score = 40, severity = 'low', reason_code = 'L4', needs = { 'spent_24h' },
  params = { spent = { default = 500, min = 0 } },
  when = function(tx, f, p, lists) return f.spent_24h > p.spent and lists.risky:has(tx.country) end,
  reason = '{f.spent_24h} in a day, in {tx.country}' }
]]

local list = [[
country,since
XA,2024-01-01
XB,2024-06-01
]]

local tests = [[
-- tests/limits.lua - run by `tidemill test`. Each test is a stream of its own; what it expects is of its last event.

return {
  { 'four payments in a minute are usual', decision = 'approve', not_fires = { 'burst' },
    events = { { ts = 0, card = 'a' }, { ts = 1000, card = 'a' }, { ts = 2000, card = 'a' }, { ts = 59999, card = 'a' } } },
  { 'the fifth one is not', fires = { 'burst' }, decision = 'review', score = 60,
    events = { { ts = 0, card = 'a' }, { ts = 1000, card = 'a' }, { ts = 2000, card = 'a' }, { ts = 3000, card = 'a' }, { ts = 59999,
      card = 'a' } } },
  { 'after a minute the first one does not count any more', not_fires = { 'burst' },
    events = { { ts = 0, card = 'a' }, { ts = 1000, card = 'a' }, { ts = 2000, card = 'a' }, { ts = 3000, card = 'a' }, { ts = 60000,
      card = 'a' } } },
  { 'one that comes late counts at its time', fires = { 'burst' },
    events = { { ts = 10000, card = 'a' }, { ts = 11000, card = 'a' }, { ts = 12000, card = 'a' },
      { ts = 9000, card = 'a' },
      { ts = 13000, card = 'a' } } },
  { 'a large payment', fires = { 'large' }, decision = 'review', events = { { ts = 0, card = 'a', amount = 2000 } } },
  { 'just below it', not_fires = { 'large' }, events = { { ts = 0, card = 'a', amount = 1999.99 } } },
  { 'what is usual is not known before the fifth payment', unknown = { 'unusual' },
    events = { { ts = 0, card = 'a', amount = 1 }, { ts = 3600000, card = 'a', amount = 900 } } },
  { 'a country on the list', fires = { 'risky_country' }, decision = 'challenge',
    events = { { ts = 0, card = 'a', amount = 501,
    country = 'XA' } } },
  { 'a country that is not', not_fires = { 'risky_country' }, events = { { ts = 0, card = 'a', amount = 501, country = 'DE' } } },
}
]]

local sample = [[
{"id":"p-1","ts":1714557601000,"card":"a","amount":10.10,"country":"DE"}
{"id":"p-2","ts":1714557604000,"card":"b","amount":2700.00,"country":"FR"}
{"id":"p-3","ts":1714557605000,"card":"a","amount":5.90,"country":"DE"}
{"id":"p-4","ts":1714557606000,"card":"a","amount":99.00,"country":"DE"}
{"id":"p-5","ts":1714557607000,"card":"a","amount":3.00,"country":"DE"}
{"id":"p-6","ts":1714557608000,"card":"a","amount":3.25,"country":"DE"}
{"id":"p-7","ts":1714557650000,"card":"c","amount":620.00,"country":"XA"}
{"id":"p-8","ts":1714557651000,"card":"b","amount":2800.00,"country":"FR"}
]]

local readme = [[
# A rule pack

| | |
|---|---|
| `pack.lua` | name, version, event time, decisions, suppression, lists |
| `schema/payment.lua` | the fields of an event |
| `features/` | what is known of a card: a file a key |
| `rules/` | the rules: begin here |
| `lists/` | lists that rules ask |
| `tests/` | what must fire and what must not |
| `sample.ndjson` | eight payments |

In this folder:

```sh
tidemill check .                        # what is wrong, before anything runs
tidemill test .                         # the tests
tidemill run . --from sample.ndjson     # a decision about each payment
tidemill repl .                         # type payments: decisions, features, what each rule said
```

In a script: `tm.pipeline 'fraud':pack('FOLDER', { emit = 'alerts', site = 'site.lua' })`. What a site changes (rules that are off, params,
exceptions, lists) stands in a file of its own, so that a new version of the pack keeps it; `tidemill help pack` has more.
]]

--- The files as one text: name NUL text NUL, again and again.
---@return string
function M.files()
  local files = { 'pack.lua', manifest, 'schema/payment.lua', schema, 'features/card.lua', features, 'rules/burst.lua', burst,
    'rules/large.lua', large, 'rules/risky.lua', risky, 'lists/risky.csv', list, 'tests/limits.lua', tests, 'sample.ndjson', sample,
    'README.md', readme }
  return table.concat(files, '\0') .. '\0'
end

return M
