-- rules/testing.lua - numbers that are tried: which of them work, and what belongs to them.

return {
  { id = 'card_testing', score = 100, severity = 'critical', reason_code = 'T1', tags = { 'testing' }, needs = { 'probes_10m' },
    params = { probes = { default = 2, min = 1, max = 20, about = 'payments up to 2.00 in the ten minutes before that are still usual' },
      amount = { default = 50, min = 10, max = 1000, about = 'the payment behind them' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and tx.result == 'approved' and tx.amount > p.amount and f.probes_10m > p.probes
    end,
    reason = '{tx.amount} behind {f.probes_10m} payments of next to nothing',
    why = 'Bought lists of numbers are tried with tiny payments; with those that work one buys.',
    false_positives = 'Parking by minutes and then a hotel; a wallet that checks a card when it is added, once.' },
  { id = 'merchant_testing', score = 50, severity = 'high', reason_code = 'T2', tags = { 'testing', 'merchant' },
    needs = { 'tiny_share_10m' }, exceptions = { 'merchant' },
    params = { n = { default = 20, min = 5, max = 1000, about = 'payments up to 2.00 in ten minutes that are still usual' },
      share = { default = 0.5, min = 0.1, max = 1, about = "of all of the merchant's" } },
    when = function(tx, f, p)
      return tx.channel == 'ecom' and tx.amount <= 2 and f.tiny_10m > p.n and f.tiny_share_10m > p.share
    end,
    reason = '{f.tiny_10m} payments of next to nothing in ten minutes at {tx.merchant}',
    why = 'The form of a small shop, or of one that takes donations, is what numbers are tried with.',
    false_positives = 'Shops that only sell songs or tickets: exceptions by merchant.' },
  { id = 'bin_attack', score = 80, severity = 'critical', reason_code = 'T3', tags = { 'testing' }, needs = { 'bin_cards_10m' },
    params = { n = { default = 12, min = 4, max = 200, about = 'refused cards of one range in ten minutes that are still usual' } },
    when = function(tx, f, p) return tx.channel == 'ecom' and tx.result ~= 'approved' and f.bin_cards_10m > p.n end,
    reason = '{f.bin_cards_10m} refused cards that begin with {tx.bin} at {tx.merchant}',
    why = 'Numbers of one issuer are made up one after the other; nearly all are refused.',
    false_positives = "An issuer's outage while a large shop books its subscriptions." },
  { id = 'cvv_guessing', score = 60, severity = 'high', reason_code = 'T4', tags = { 'testing' }, needs = { 'bad_cvv_1h' },
    params = { n = { default = 3, min = 2, max = 20, about = 'wrong check numbers in an hour that are still usual' } },
    when = function(tx, f, p) return tx.result == 'bad_cvv' and f.bad_cvv_1h > p.n end,
    reason = '{f.bad_cvv_1h} wrong check numbers in an hour',
    why = 'A number without its three digits on the back: they are guessed.',
    false_positives = 'Worn cards.' },
  { id = 'device_declines', score = 50, severity = 'medium', reason_code = 'T5', tags = { 'testing', 'device' },
    needs = { 'device_declined_1h' },
    params = { n = { default = 6, min = 3, max = 50, about = 'refused payments from a device in an hour that are still usual' } },
    when = function(tx, f, p) return tx.channel == 'ecom' and tx.result ~= 'approved' and f.device_declined_1h > p.n end,
    reason = '{f.device_declined_1h} payments from this device were refused in an hour',
    why = 'One person tries many cards, and changes the shop each time.',
    false_positives = 'A payment page with a fault.' },
}
