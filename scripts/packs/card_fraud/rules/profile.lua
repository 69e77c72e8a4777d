-- rules/profile.lua - a payment beside what the card usually does.

return {
  { id = 'amount_zscore', score = 40, severity = 'medium', reason_code = 'P1', tags = { 'amount', 'profile' },
    needs = { 'mean_30d', 'stddev_30d' }, only = { amount = { min = 100 } }, exceptions = { 'card', 'merchant' },
    params = { z = { default = 8, min = 3, max = 50, about = 'standard deviations above the mean of 30 days' },
      least = { default = 300, min = 100, max = 10000, about = 'amounts below are no harm' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and tx.amount > p.least and tx.amount > f.mean_30d + p.z * f.stddev_30d
    end,
    reason = '{tx.amount}, where the card pays {f.mean_30d} give or take {f.stddev_30d}',
    why = 'Who has a stolen card buys what is worth it, whatever its owner usually buys.',
    false_positives = 'Rents, insurances, holidays: what comes once a year.' },
  { id = 'amount_ewma', score = 40, severity = 'medium', reason_code = 'P2', tags = { 'amount', 'profile' }, needs = { 'usual' },
    only = { amount = { min = 100 } },
    params = { times = { default = 12, min = 3, max = 100, about = 'times the mean that weighs the last week most' },
      n = { default = 10, min = 5, max = 100, about = 'payments in the 30 days before, at least' },
      least = { default = 300, min = 100, max = 10000, about = 'amounts below are no harm' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and tx.amount > p.least and f.paid_30d >= p.n and tx.amount > p.times * f.usual
    end,
    reason = '{tx.amount}, where the card lately pays {f.usual}',
    why = 'As amount_zscore, and sees it also for cards whose amounts vary, as it follows what they do now.',
    false_positives = 'The first large payment behind a quiet week.' },
  { id = 'large_amount', score = 40, severity = 'medium', reason_code = 'P3', tags = { 'amount' }, only = { amount = { min = 1000 } },
    exceptions = { 'card', 'merchant', 'mcc' },
    params = { amount = { default = 4000, min = 1000, max = 100000, about = 'a payment that somebody should look at' } },
    when = function(tx, _, p) return tx.kind == 'payment' and tx.amount > p.amount end,
    reason = 'a payment of {tx.amount}',
    why = 'A bound for cards of which nothing is known yet.',
    false_positives = 'Cars, jewels, hospitals.' },
  { id = 'first_merchant', score = 40, severity = 'low', reason_code = 'P4', tags = { 'merchant', 'profile' },
    needs = { 'merchant_known' }, only = { amount = { min = 200 } },
    params = { amount = { default = 800, min = 200, max = 20000, about = 'paid at a merchant where the card was not in 30 days' } },
    when = function(tx, f, p) return tx.kind == 'payment' and f.merchant_known == false and tx.amount > p.amount end,
    reason = '{tx.amount} at {tx.merchant}, for the first time in 30 days',
    why = 'Fraud goes to shops that sell what can be sold again, not to those where the owner buys.',
    false_positives = 'Every large purchase that is not made each month; low score, it counts beside others.' },
  { id = 'dormant_card', score = 50, severity = 'medium', reason_code = 'P5', tags = { 'profile' }, needs = { 'since_payment' },
    only = { amount = { min = 50 } },
    params = { days = { default = 60, min = 10, max = 110, about = 'days without a payment' },
      amount = { default = 250, min = 50, max = 10000, about = 'paid behind them' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and tx.amount > p.amount and f.since_payment > p.days * 86400000
    end,
    reason = '{tx.amount} behind {f.since_payment:time} without a payment',
    why = 'Nobody looks at the statements of a card that lies in a drawer.',
    false_positives = 'A card for holidays.' },
}
