--[[
features/ip.lua - what is known of an internet address. Many cards behind one address are usual, where each has a device of its own
(an office, a hotel): hence devices by card.
]]

local function payment(tx) return tx.kind == 'payment' end
local function failed_login(tx) return tx.kind == 'login' and tx.result ~= 'approved' end

return tm.features { key = 'ip', max_keys = 5e6, max = 500,
  ip_cards_1h = tm.f.distinct('card', { over = '1h', where = payment, max = 100 }),
  ip_devices_by_card_1h = tm.f.ratio(tm.f.distinct('device', { over = '1h', where = payment, max = 100 }),
    tm.f.distinct('card', { over = '1h', where = payment, max = 100 })),
  ip_failed_accounts_10m = tm.f.distinct('account', { over = '10m', where = failed_login, max = 100 }),
}
