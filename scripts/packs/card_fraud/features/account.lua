--[[
features/account.lua - what is known of an account when somebody logs in, changes something or sends money. time_since is the time since
the last such event before the one at hand, so the order of several can be told: what is less long ago came later.
]]

local function transfer(tx) return tx.kind == 'transfer' end
local function just_below(tx) return tx.kind == 'transfer' and tx.amount ~= nil and tx.amount >= 9000 and tx.amount < 10000 end
local function small_deposit(tx) return tx.kind == 'deposit' and tx.amount ~= nil and tx.amount < 10000 end
local function failed_login(tx) return tx.kind == 'login' and tx.result ~= 'approved' end

return tm.features { key = 'account', max_keys = 5e6, ttl = '30d', max = 2000,
  since_reset = tm.f.time_since { over = '7d', where = function(tx) return tx.kind == 'reset' end },
  since_profile = tm.f.time_since { over = '7d', where = function(tx) return tx.kind == 'profile' end },
  since_new_device = tm.f.time_since { over = '7d', where = function(tx) return tx.kind == 'new_device' end },
  since_new_payee = tm.f.time_since { over = '7d', where = function(tx) return tx.kind == 'new_payee' end },
  failed_logins_1h = tm.f.count { over = '1h', where = failed_login },
  devices_24h = tm.f.distinct('device', { over = '24h', max = 50 }),
  just_below_7d = tm.f.count { over = '7d', where = just_below },
  deposits_24h = tm.f.count { over = '24h', where = small_deposit },
  deposited_24h = tm.f.sum('amount', { over = '24h', where = small_deposit }),
  payees_24h = tm.f.distinct('payee', { over = '24h', where = transfer, max = 200 }),
  payees_added_24h = tm.f.count { over = '24h', where = function(tx) return tx.kind == 'new_payee' end },
  sent_6h = tm.f.sum('amount', { over = '6h', where = transfer }),
  credited_6h = tm.f.sum('amount', { over = '6h', where = function(tx) return tx.kind == 'credit' end }),
}
