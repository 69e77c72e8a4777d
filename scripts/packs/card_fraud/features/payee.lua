-- features/payee.lua - what is known of a payee when money is sent there.

return tm.features { key = 'payee', max_keys = 5e6, max = 2000,
  senders_24h = tm.f.distinct('account', { over = '24h', where = function(tx) return tx.kind == 'transfer' end, max = 200 }),
  received_24h = tm.f.sum('amount', { over = '24h', where = function(tx) return tx.kind == 'transfer' end }),
}
