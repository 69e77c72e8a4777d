--[[
generate.lua - makes the activity of a bank's customers: payments, transfers, logins of everyday life, cases of fraud planted among them,
and harmless doings that look like fraud. Writes the events, and beside them labels that say which belong to a case.

  tidemill run scripts/fraud/generate.lua --set dir=/tmp/fraud                    # /tmp/fraud/activity.ndjson, labels.ndjson
  … --set seed=7 --set customers=2000 --set cases=3 --set look_alikes=5 --set days=35

  label   { id: of the event, case, pattern, strength: of what the pattern is told by, as a share of the least that counts as
            fraud, fraud: true, or false for what only looks like it }

The same settings give the same bytes. Events come in the order in which they arrive: of everyday life one in twenty is up to
four seconds late.
]]

local tm = require 'tidemill'
local cases, life, random = require 'cases', require 'life', require 'random'

local dir, seed = tm.setting('dir', '.'), tonumber(tm.setting('seed', 1))
local customers, days = tonumber(tm.setting('customers', 2000)), tonumber(tm.setting('days', 35))
local strengths = {}
for s in tm.setting('strengths', '0.7,1.3'):gmatch '[%d.]+' do strengths[#strengths + 1] = tonumber(s) end

local END_MS = 1717200000000   -- 2024-06-01
local next_case = cases.plan { seed = seed, to = END_MS, cases = tonumber(tm.setting('cases', 3)), strengths = strengths,
  look_alikes = tonumber(tm.setting('look_alikes', 5)), only = tm.setting('pattern', '') }
local next_event = life.stream { seed = seed, customers = customers, from = END_MS - days * 86400000, to = END_MS, next_case = next_case,
  random = random }

local made = tm.pipeline 'made':from(tm.source.generate(next_event, { name = 'customers' }))
  :filter(function(e) return e.id ~= nil end)

return {
  tm.pipeline 'activity':from(made):drop { 'label' }:to(tm.sink.file(dir .. '/activity.ndjson')),
  tm.pipeline 'labels':from(made):filter(function(e) return e.label ~= nil end)
    :map(function(e)
      local label = e.label
      return { id = e.id, ts = e.ts, case = label.case, pattern = label.pattern, strength = label.strength, fraud = label.fraud }
    end)
    :to(tm.sink.file(dir .. '/labels.ndjson')),
}
