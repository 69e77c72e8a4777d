-- features/bin.lua - cards of one issuer's range (BIN) that a merchant sees refused: numbers that somebody makes up one after the other.

return tm.features { key = { 'bin', 'merchant' }, max_keys = 5e6, max = 500,
  bin_cards_10m = tm.f.distinct('card', { over = '10m', max = 200,
    where = function(tx) return tx.kind == 'payment' and tx.channel == 'ecom' and tx.result ~= 'approved' end }),
}
