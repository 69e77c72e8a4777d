--[[
demo.lua - what `make demo` runs: the activity of a bank's customers is made up, with fraud planted in it (generate.lua), and judged by the
rule pack packs/card_fraud. Prints the first alert of each rule as it comes, and at the end what was found and what was not.

  tidemill run scripts/fraud/demo.lua
  tidemill run scripts/fraud/demo.lua --set seed=7 --set customers=500 --set cases=1
]]

local tm = require 'tidemill'
local cases, life, random = require 'cases', require 'life', require 'random'

local seed, customers = tonumber(tm.setting('seed', 1)), tonumber(tm.setting('customers', 1000))
local END_MS, DAYS, DAY = 1717200000000, 35, 86400000   -- until 2024-06-01

local next_case = cases.plan { seed = seed, to = END_MS, cases = tonumber(tm.setting('cases', 2)), strengths = { 0.7, 1.3 },
  look_alikes = tonumber(tm.setting('look_alikes', 5)), only = '' }

local made = tm.pipeline 'made'
  :from(tm.source.generate(life.stream { seed = seed, customers = customers, from = END_MS - DAYS * DAY, to = END_MS, next_case = next_case,
    random = random }, { name = 'customers' }))
  :filter(function(e) return e.id ~= nil end)

local decisions = tm.pipeline 'bank':from(made)
  :pack(tm.setting('pack', 'scripts/packs/card_fraud'), { fields = { 'decision', 'score', 'reasons', 'event' } })

--- Alerts: the first of each rule, one line each.
local alerts = tm.pipeline 'alerts':from(decisions)
  :filter(function(d) return d.reasons[1] ~= nil end)
  :set { rule = function(d) return d.reasons[1].rule end }
  :dedup('first_of_rule', { on = 'rule', max_keys = 1000 })
  :map(function(d)
    local e = d.event
    local who = e.card or e.account or e.payee or '?'
    return { line = ('%s  %-9s %3.0f  %-18s %-19s %s'):format(tm.date.format(e.ts, '%d %b %H:%M'), d.decision, d.score, d.reasons[1].rule,
      who, d.reasons[1].text) }
  end)
  :to(tm.sink.stdout { format = 'lines' })

--- What a decision tells of the case that its event belongs to: was it an alert (hit), and one by the rule of the pattern (own)?
local function marked(d)
  local label, own = d.event.label, false
  for _, reason in ipairs(d.reasons) do own = own or reason.rule == label.pattern end
  return { kind = label.fraud and 'fraud' or label.strength and 'below' or 'harmless', case = label.case,
    hit = d.reasons[1] and 1 or 0, own = own and 1 or 0 }
end

local by_case = tm.pipeline 'cases':from(decisions)
  :filter(function(d) return d.event.label ~= nil end)
  :map(marked)
  :key_by { 'kind', 'case' }
  :running('case', { hit = tm.agg.max 'hit', own = tm.agg.max 'own' }, { emit = 'final', max_keys = 100000 })
local everyday = tm.pipeline 'everyday':from(decisions)
  :filter(function(d) return d.event.label == nil end)
  :map(function(d) return { kind = 'everyday', hit = d.reasons[1] and 1 or 0, own = 0 } end)

local what = { fraud = 'planted fraud, 1.3 times what is usual', below = 'the same at 0.7 times', harmless = 'harmless, but looks like it',
  everyday = 'events of everyday life' }

local summary = tm.pipeline 'summary':from(tm.union(by_case, everyday))
  :key_by 'kind'
  :running('kind', { n = tm.agg.count(), hit = tm.agg.sum 'hit', own = tm.agg.sum 'own' }, { emit = 'final', max_keys = 10 })
  :map(function(row)
    local own = row.kind == 'fraud' and (', %d by the rule that it is called after'):format(row.own) or ''
    return { line = ('%-40s %7d, %5d alerted (%.2f %%)%s'):format(what[row.kind], row.n, row.hit, 100 * row.hit / row.n, own) }
  end)
  :to(tm.sink.stdout { format = 'lines' })

return { alerts, summary }
