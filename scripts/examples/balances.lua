--[[
balances.lua - event sourcing: what is on each account follows from the events that changed it, now or at any moment of the past.

Keep the events in a log of the host, then play the log up to a moment; each account that was touched by then is a row:

  tidemill run -e "stream:event_time { field = 'ts' }:to(tm.sink.log 'ledger')" --data /tmp/bank \
    --from scripts/examples/data/account_events.ndjson
  tidemill replay scripts/examples/balances.lua --log ledger --data /tmp/bank --to 2026-03-02T12:00:00Z
  tidemill replay scripts/examples/balances.lua --log ledger --data /tmp/bank

Amounts are whole cents. A new rule for the balance is a new script over the same log.
]]

local tm = require 'tidemill'

local function change(e, emit, account, cents) emit { account = account, cents = cents, ts = e.ts } end

-- what an event does to accounts
local effects = {
  deposit = function(e, emit) change(e, emit, e.account, e.cents) end,
  withdrawal = function(e, emit) change(e, emit, e.account, -e.cents) end,
  fee = function(e, emit) change(e, emit, e.account, -e.cents) end,
  transfer = function(e, emit)
    change(e, emit, e.account, -e.cents)
    change(e, emit, e.to, e.cents)
  end,
}

return tm.pipeline 'balances'
  :flat_map(function(e, emit)
    local effect = effects[e.type]
    if not effect then error('no such type of event: ' .. tostring(e.type)) end
    effect(e, emit)
  end)
  :event_time { field = 'ts' }
  :key_by 'account'
  :running('balance', { balance = tm.agg.sum 'cents', changes = tm.agg.count(), changed = tm.agg.max 'ts' },
    { emit = 'final', max_keys = 1e6 })
