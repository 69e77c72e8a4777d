-- rules/risky.lua - more than a little money in a day, from a country on the list.

return { id = 'risky_country', score = 40, severity = 'low', reason_code = 'L4', needs = { 'spent_24h' },
  params = { spent = { default = 500, min = 0 } },
  when = function(tx, f, p, lists) return f.spent_24h > p.spent and lists.risky:has(tx.country) end,
  reason = '{f.spent_24h} in a day, in {tx.country}' }
