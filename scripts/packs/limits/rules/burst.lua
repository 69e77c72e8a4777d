-- rules/burst.lua - a card is used again and again within a minute.

return { id = 'burst', rev = 1, score = 60, severity = 'high', reason_code = 'L1', exceptions = { 'card' },
  params = { n = { default = 4, min = 2, max = 50, about = 'payments in a minute that are still usual' } },
  when = function(tx, f, p) return f.tx_1m > p.n end,
  reason = '{f.tx_1m} payments in a minute',
  why = 'Stolen cards are used until they are blocked.', false_positives = 'Machines that take small sums one by one.' }
