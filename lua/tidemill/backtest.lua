--[[
backtest.lua - `tidemill backtest`: a run over history whose pack is watched; what came of it is counted beside what is known to be
true.

  prepare   changes the plan (history.lua), reads labels, hangs the watcher on the step of the pack
  watcher   is told each decision (decisions.lua), and only counts: nothing it does reaches an event, so decisions are those of a run
  lines     the report, when the input has come to its end (backtest_report.lua)

What is counted (T), for all, each decision and each rule: events and money by truth, { fraud, legit, unknown } as [1], [2], [3].
  all, alerts, sent (alerts that were not suppressed), decisions[name], rules[rule] { n, money, alone, cases }
  cases[number]   { first: time of its first event, alert: of its first alert, events, caught, money, before: what was lost until then }
  pairs           rules that matched the same event: at most 100,000 pairs, and of an event its first 40 rules; others are counted

Events that say that fraud was confirmed (--label-event, backtest_confirm.lua) are decided as all are, and not counted.

Money of a field that is declared decimal(n) is added up in its smallest unit, so that sums are exact.
]]

local confirm = require 'tidemill.backtest_confirm'
local history = require 'tidemill.history'
local labels_of = require 'tidemill.backtest_labels'
local lib = require 'tidemill.lib'
local suggest = require 'tidemill.suggest'
local floor, huge = math.floor, math.huge

local M = {}

local FRAUD, LEGIT, UNKNOWN = 1, 2, 3
local PAIRS_MAX, PAIRED_MAX = 100000, 40

--- Events and money by truth.
local function counts() return { n = { 0, 0, 0 }, money = { 0, 0, 0 } } end

local function add(c, truth, amount)
  c.n[truth], c.money[truth] = c.n[truth] + 1, c.money[truth] + amount
end

--- The field of money, and in how many parts of its unit it is counted.
local function money_of(pack, name)
  local field = name or 'amount'
  local typ = pack.fields[field]
  if not typ then
    if not name then return nil, 1 end
    local names = {}
    for known in pairs(pack.fields) do names[#names + 1] = known end
    lib.raise('usage', ("backtest: --amount '%s' is no field of %s%s"):format(name, pack.schema_path, suggest.among(name, names)))
  end
  local places = typ.name:match '^decimal%((%d+)%)$'
  return field, places and 10 ^ tonumber(places) or 1
end

--- What is counted, all at nothing.
local function totals(pack)
  local T = { pack = pack, all = counts(), alerts = counts(), sent = counts(), decisions = {}, rules = {}, cases = {}, case_n = 0,
    pairs = {}, pairs_n = 0, pairs_left = 0, first = huge, last = -huge, errors = 0, guarded = 0, no_amount = 0, confirmations = 0 }
  T.decisions[pack.approve] = counts()
  for _, d in ipairs(pack.decisions) do T.decisions[d.name] = counts() end
  for i, rule in ipairs(pack.rules) do
    local of = counts()
    of.rule, of.index, of.alone, of.alone_false, of.cases, of.case_n = rule, i, 0, 0, {}, 0
    T.rules[rule] = of
  end
  return T
end

--- A rule found an event that no other counting rule did.
local function add_alone(of, truth)
  if truth == FRAUD then of.alone = of.alone + 1 elseif truth == LEGIT then of.alone_false = of.alone_false + 1 end
end

--- Rules that matched the same event.
local function add_pairs(T, list, n, truth)
  if n > PAIRED_MAX then n, T.pairs_left = PAIRED_MAX, T.pairs_left + 1 end
  for i = 1, n - 1 do
    for k = i + 1, n do
      local key = list[i].index * 1048576 + list[k].index
      local pair = T.pairs[key]
      if not pair then
        if T.pairs_n == PAIRS_MAX then
          T.pairs_left = T.pairs_left + 1
          return
        end
        pair = { list[i], list[k], 0, 0 }
        T.pairs[key], T.pairs_n = pair, T.pairs_n + 1
      end
      pair[3] = pair[3] + 1
      if truth == FRAUD then pair[4] = pair[4] + 1 end
    end
  end
end

--- A case gets an event more.
local function add_case(T, number, t, amount, alert)
  local case = T.cases[number]
  if not case then
    case = { first = t, alert = nil, events = 0, caught = 0, money = 0, before = 0 }
    T.cases[number], T.case_n = case, T.case_n + 1
  end
  case.events, case.money = case.events + 1, case.money + amount
  if t < case.first then case.first = t end
  if alert then
    case.caught = case.caught + 1
    if not case.alert then case.alert = t end
  elseif not case.alert then
    case.before = case.before + amount
  end
end

--- What a pack's decisions are told to.
---@param o table { labels, field: of money, scale, unlabelled: the truth of an event without a label }
local function watcher(T, o)
  local labels, field, scale, unlabelled = o.labels, o.field, o.scale, o.unlabelled
  local of_label, label_value = o.of_label, o.label_value
  local all, alerts, sent, by_decision, of_rules = T.all, T.alerts, T.sent, T.decisions, T.rules
  local find, matched = labels and labels:finder(), {}
  local truth, amount, counted = UNKNOWN, 0, true   -- of the event at hand
  local W = {}

  function W.decided(_, t, D, n, rules, modes)
    local tx = D.event
    if of_label and tx[of_label] == label_value then
      counted = false
      T.confirmations = T.confirmations + 1
      return
    end
    counted = true
    amount, truth = 0, unlabelled
    if field then
      local v = tx[field]
      if type(v) == 'number' then
        amount = scale == 1 and v or floor(v * scale + 0.5)
      else
        T.no_amount = T.no_amount + 1
      end
    end
    local label = find and find(tx, t)
    local case = 0
    if label then
      labels.matched[label] = labels.matched[label] + 1
      truth = labels.is_fraud[label] and FRAUD or LEGIT
      if truth == FRAUD then case = labels.case[label] end
    end
    if t < T.first then T.first = t end
    if t > T.last then T.last = t end
    add(all, truth, amount)
    add(by_decision[D.decision], truth, amount)
    if D.guarded then T.guarded = T.guarded + 1 end
    if D.alert then
      add(alerts, truth, amount)
      add(sent, truth, amount)
    end
    if case ~= 0 then add_case(T, case, t, amount, D.alert) end
    if n == 0 then return end
    local counting, only, m = 0, nil, 0
    for i = 1, n do
      local mode = modes[i]
      if mode == 'error' then
        T.errors = T.errors + 1
      else
        local of = of_rules[rules[i]]
        add(of, truth, amount)
        m = m + 1
        matched[m] = of
        if mode == 'enforce' or mode == 'alert' then counting, only = counting + 1, of end
        if case ~= 0 and not of.cases[case] then of.cases[case], of.case_n = true, of.case_n + 1 end
      end
    end
    if counting == 1 then add_alone(only, truth) end
    if m > 1 then add_pairs(T, matched, m, truth) end
  end

  --- The alert just told is not sent: another of its entity was.
  function W.suppressed()
    if not counted then return end
    sent.n[truth], sent.money[truth] = sent.n[truth] - 1, sent.money[truth] - amount
  end
  return W
end

local run   -- what `lines` tells of

--- Makes of a plan that of a backtest.
---@param o table from, replay, labels, event_id, unlabelled, amount, decisions, json
---@param input table the default input, as a source of the plan
function M.prepare(plan, o, input)
  local step = history.change(plan, o, input, 'backtest', o.decisions)
  local pack = step.rec.pack
  local labels = #o.labels > 0 and labels_of.read(o.labels, pack, o.event_id) or nil
  local field, scale = money_of(pack, o.amount)
  local T = totals(pack)
  run = { T = T, labels = labels, scale = scale, field = field, json = o.json, unlabelled = o.unlabelled or 'legit', step = step }
  local unlabelled = labels and run.unlabelled == 'legit' and LEGIT or UNKNOWN
  local of_label, label_value
  if o.label_event then of_label, label_value = confirm.event(o.label_event, pack) end
  step.rec.watch = watcher(T, { labels = labels, field = field, scale = scale, unlabelled = unlabelled, of_label = of_label,
    label_value = label_value })
end

--- The report, as lines.
function M.lines()
  return require 'tidemill.backtest_report'.lines(run)
end

return M
