--[[
rules/confirmed.lua - where fraud was confirmed before. A chargeback comes days or weeks behind the payment that it is about (its own time
is when it came), so these rules see what was known at the time, and nothing earlier.
]]

return {
  { id = 'fraud_terminal', score = 60, severity = 'high', reason_code = 'C1', tags = { 'confirmed' }, needs = { 'terminal_frauds_28d' },
    exceptions = { 'terminal' },
    params = { n = { default = 3, min = 1, max = 100, about = 'confirmed frauds in 28 days that are still usual' } },
    when = function(tx, f, p) return tx.kind == 'payment' and f.terminal_frauds_28d > p.n end,
    reason = '{f.terminal_frauds_28d} confirmed frauds at {tx.terminal} in 28 days',
    why = 'A reader that copies cards was built in.',
    false_positives = 'Large terminals have a few anyway: exceptions by terminal.' },
  { id = 'fraud_merchant', score = 45, severity = 'medium', reason_code = 'C2', tags = { 'confirmed', 'merchant' },
    needs = { 'merchant_fraud_share_28d' }, exceptions = { 'merchant' },
    params = { share = { default = 0.02, min = 0.001, max = 0.5, about = 'share of payments in 28 days that was fraud' },
      n = { default = 100, min = 20, max = 10000, about = 'payments in 28 days, at least' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and f.merchant_tx_28d >= p.n and f.merchant_fraud_share_28d > p.share
    end,
    reason = '{f.merchant_fraud_share_28d} of {f.merchant_tx_28d} payments at {tx.merchant} were fraud',
    why = 'A shop that does not look, or that is part of it.',
    false_positives = 'Shops that sell what is easily sold again.' },
  { id = 'fraud_card', score = 60, severity = 'high', reason_code = 'C3', tags = { 'confirmed' }, needs = { 'card_frauds_30d' },
    exceptions = { 'card' },
    params = { n = { default = 1, min = 0, max = 10, about = 'confirmed frauds in 30 days before it is looked at' } },
    when = function(tx, f, p) return tx.kind == 'payment' and f.card_frauds_30d > p.n end,
    reason = '{f.card_frauds_30d} confirmed frauds with this card in 30 days',
    why = 'The card should have been replaced.',
    false_positives = 'Owners who dispute what they bought.' },
}
