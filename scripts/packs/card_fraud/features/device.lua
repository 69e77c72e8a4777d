-- features/device.lua - what is known of a device: cards that paid from it, accounts that were used on it.

return tm.features { key = 'device', max_keys = 5e6, max = 500,
  device_cards_24h = tm.f.distinct('card', { over = '24h', where = function(tx) return tx.kind == 'payment' end, max = 100 }),
  device_accounts_24h = tm.f.distinct('account', { over = '24h', where = function(tx) return tx.kind == 'login' end, max = 100 }),
  device_declined_1h = tm.f.count { over = '1h',
    where = function(tx) return tx.kind == 'payment' and tx.result ~= 'approved' end },
}
