-- features/merchant.lua - what is known of a merchant: tiny payments just now, and what was found to be fraud there in four weeks.

local function tiny(tx) return tx.kind == 'payment' and tx.channel == 'ecom' and tx.amount ~= nil and tx.amount <= 2 end
local function payment(tx) return tx.kind == 'payment' end

return tm.features { key = 'merchant', max_keys = 1e6, max = 5000,
  tiny_10m = tm.f.count { over = '10m', where = tiny },
  tiny_share_10m = tm.f.ratio(tm.f.count { over = '10m', where = tiny }, tm.f.count { over = '10m', where = payment }),
  merchant_tx_28d = tm.f.count { over = '28d', step = '6h', where = payment },
  merchant_fraud_share_28d = tm.f.ratio(
    tm.f.count { over = '28d', step = '6h', where = function(tx) return tx.kind == 'chargeback' end },
    tm.f.count { over = '28d', step = '6h', where = payment }),
}
