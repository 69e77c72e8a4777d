-- features/card.lua - what is known of a card when an event of it comes. Windows are (t - over, t]; the event itself counts.

return tm.features { key = 'card', max_keys = 1e6, ttl = '40d',
  tx_1m = tm.f.count { over = '1m' },
  spent_24h = tm.f.sum('amount', { over = '24h' }),
  mean_30d = tm.f.avg('amount', { over = '30d', step = '1h', current = false, min_history = 5 }),
}
