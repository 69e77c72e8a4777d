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
