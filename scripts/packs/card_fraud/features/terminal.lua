--[[
features/terminal.lua - what is known of a terminal: payments there that were found to be fraud. That becomes known days after the payment,
and counts from then on: a chargeback has the time at which it came.
]]

return tm.features { key = 'terminal', max_keys = 1e6,
  terminal_frauds_28d = tm.f.count { over = '28d', step = '6h', where = function(tx) return tx.kind == 'chargeback' end },
}
