-- features/address.lua - what is known of an address to which goods are sent; devices by card as in features/ip.lua.

local function payment(tx) return tx.kind == 'payment' end

return tm.features { key = 'address', max_keys = 5e6, max = 500,
  address_cards_7d = tm.f.distinct('card', { over = '7d', where = payment, max = 100 }),
  address_devices_by_card_7d = tm.f.ratio(tm.f.distinct('device', { over = '7d', where = payment, max = 100 }),
    tm.f.distinct('card', { over = '7d', where = payment, max = 100 })),
}
