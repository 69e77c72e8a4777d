--[[
backtest_report.lua - what a backtest found (backtest.lua), as a table for people or as one JSON object.

  precision   of alerts whose truth is known, the share that is fraud;  recall: of fraud, the share that had an alert
  decision    the same of this decision and those above it
  rule        the same of its matches, whatever its mode; alone: fraud that no other counting rule matched
  case        found with its first alert; `before`: money of its events until then

What cannot be said (no labels, nothing to divide by) is '-', in JSON null. Rules are in order of what they found, then of matches.
]]

local date = require 'tidemill.library.date'.date
local duration = require 'tidemill.duration'
local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local value = require 'tidemill.value'
local floor = math.floor

local M = {}

local FRAUD, LEGIT, UNKNOWN = 1, 2, 3
local PAIRS_SHOWN, NULL = 10, lib.NULL

local function sum(list) return list[1] + list[2] + list[3] end

local function share(part, whole) return whole > 0 and part / whole or NULL end

--- The figures of some events: by truth, and against all fraud there is.
local function figures(c, fraud, scale)
  local known = c.n[FRAUD] + c.n[LEGIT]
  return { events = sum(c.n), fraud = c.n[FRAUD], legit = c.n[LEGIT], unknown = c.n[UNKNOWN],
    precision = fraud and share(c.n[FRAUD], known) or NULL, recall = fraud and share(c.n[FRAUD], fraud) or NULL,
    caught = c.money[FRAUD] / scale, ['false'] = c.money[LEGIT] / scale, amount = sum(c.money) / scale }
end

--- Quantile q of a sorted list, the least value that has so many at or below it; null of none.
local function quantile(list, q)
  return list[math.max(1, math.ceil(q * #list))] or NULL
end

local function cases_of(run)
  local T, labels, scale = run.T, run.labels, run.scale
  local given, seen = 0, {}
  for i = 1, labels.n do
    local case = labels.case[i]
    if labels.is_fraud[i] and case ~= 0 and not seen[case] then given, seen[case] = given + 1, true end
  end
  if given == 0 then return NULL end
  local found, times, before, lost = 0, {}, 0, 0
  for _, case in pairs(T.cases) do
    if case.alert then
      found = found + 1
      times[found] = math.max(0, case.alert - case.first)
      before = before + case.before
    else
      lost = lost + case.money
    end
  end
  table.sort(times)
  return { labelled = given, seen = T.case_n, found = found, recall = share(found, T.case_n), before = before / scale,
    missed = lost / scale,
    first_alert_ms = { p50 = quantile(times, 0.5), p90 = quantile(times, 0.9), max = times[#times] or NULL } }
end

local function rules_of(run, fraud)
  local list = value.array {}
  for _, rule in ipairs(run.T.pack.rules) do
    local of = run.T.rules[rule]
    if rule.mode ~= 'off' then
      local row = figures(of, fraud, run.scale)
      row.id, row.mode, row.rev, row.score, row.alone, row.alone_false, row.cases = rule.id, rule.mode, rule.rev, rule.score, of.alone,
        of.alone_false, of.case_n
      list[#list + 1] = row
    end
  end
  table.sort(list, function(a, b)
    if a.fraud ~= b.fraud then return a.fraud > b.fraud end
    if a.events ~= b.events then return a.events > b.events end
    return a.id < b.id
  end)
  return list
end

local function pairs_of(T)
  local list = value.array {}
  for _, p in pairs(T.pairs) do list[#list + 1] = { a = p[1].rule.id, b = p[2].rule.id, events = p[3], fraud = p[4] } end
  table.sort(list, function(x, y)
    if x.events ~= y.events then return x.events > y.events end
    if x.a ~= y.a then return x.a < y.a end
    return x.b < y.b
  end)
  return list
end

local function decisions_of(run, fraud)
  local T, list = run.T, value.array {}
  local above = { n = { 0, 0, 0 }, money = { 0, 0, 0 } }
  local names = {}
  for _, d in ipairs(T.pack.decisions) do names[#names + 1] = { d.name, d.at } end
  names[#names + 1] = { T.pack.approve, 0 }
  for _, of in ipairs(names) do
    local c = T.decisions[of[1]]
    for i = 1, 3 do above.n[i], above.money[i] = above.n[i] + c.n[i], above.money[i] + c.money[i] end
    local row, to = figures(c, fraud, run.scale), figures(above, fraud, run.scale)
    row.decision, row.at, row.precision, row.recall = of[1], of[2], to.precision, to.recall
    list[#list + 1] = row
  end
  return list
end

local function labels_told(run)
  local labels = run.labels
  if not labels then return NULL end
  local unmatched, first = labels:unmatched()
  return { given = labels.n, fraud = labels.fraud, legit = labels.legit, twice = labels.twice, unmatched = unmatched,
    first_unmatched = first or NULL, files = value.array(labels.files), unlabelled = run.unlabelled }
end

--- All that is told, as plain data.
local function report(run)
  local T, scale = run.T, run.scale
  local fraud = run.labels and T.all.n[FRAUD]
  local alerts, events = figures(T.alerts, fraud, scale), sum(T.all.n)
  local count, p50, p99, p999 = lib.host.latency()
  alerts.sent, alerts.share = sum(T.sent.n), share(alerts.events, events)
  alerts.suppressed = alerts.events - alerts.sent
  alerts.missed = (T.all.money[FRAUD] - T.alerts.money[FRAUD]) / scale
  return {
    pack = { name = T.pack.name, version = T.pack.version, hash = T.pack.hash },
    events = events, from = events > 0 and T.first > -math.huge and T.first or NULL, to = events > 0 and T.last or NULL,
    all = figures(T.all, nil, scale), alerts = alerts, labels = labels_told(run), decisions = decisions_of(run, fraud),
    rules = rules_of(run, fraud), pairs = pairs_of(T), pairs_left_out = T.pairs_left, cases = run.labels and cases_of(run) or NULL,
    rule_errors = T.errors, guarded = T.guarded, amount_field = run.field or NULL, without_amount = T.no_amount,
    confirmations = T.confirmations,
    latency_ns = { count = count, p50 = p50, p99 = p99, p999 = p999 },
  }
end

-- For people -------------------------------------------------------------------------------------

local function thousands(n)
  local text = ('%.0f'):format(n)
  local sign, digits = text:match '^(-?)(%d+)$'
  local head = (#digits - 1) % 3 + 1
  return sign .. digits:sub(1, head) .. digits:sub(head + 1):gsub('...', ',%0')
end

local function money(v)
  local text = ('%.2f'):format(v)
  return thousands(tonumber(text:match '^(.-)%.')) .. text:match '%..*$'
end

local function ratio(v) return v == NULL and '-' or ('%.3f'):format(v) end
local function percent(v) return v == NULL and '-' or ('%.2f %%'):format(100 * v) end
local function span(ms) return ms == NULL and '-' or duration.text(floor(ms)) end

local function time_text(ns)
  if ns < 1e6 then return ('%.1f µs'):format(ns / 1e3) end
  return ('%.1f ms'):format(ns / 1e6)
end

--- Rows of cells as lines: the first column (and those of `left`) to the left, others to the right.
local function columns(lines, rows, left)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 0, printable.width(text)) end
  end
  for _, row in ipairs(rows) do
    local cells = {}
    for i, text in ipairs(row) do
      local gap = (' '):rep(widths[i] - printable.width(text))
      if i <= left then cells[i] = i < #row and text .. gap or text else cells[i] = gap .. text end
    end
    lines[#lines + 1] = '  ' .. table.concat(cells, '  ')
  end
end

local function head_lines(r, lines)
  local function put(name, text, ...) lines[#lines + 1] = ('  %-10s %s'):format(name, text:format(...)) end
  lines[1] = ('backtest of %s %s (%s)'):format(r.pack.name, r.pack.version, r.pack.hash)
  local range = ''
  if r.from ~= NULL then range = ('   %s to %s'):format(date.format(r.from, 'iso8601'), date.format(r.to, 'iso8601')) end
  put('events', '%s%s', thousands(r.events), range)
  local l = r.labels
  if l ~= NULL then
    put('labels', '%s fraud, %s legit; an event without one is %s%s', thousands(l.fraud), thousands(l.legit), l.unlabelled,
      l.twice > 0 and ('; %s stand twice'):format(thousands(l.twice)) or '')
    if l.unmatched > 0 then put('', '%s match no event, the first at %s', thousands(l.unmatched), printable.line(l.first_unmatched)) end
  else
    put('labels', 'none given, so nothing is said of what is true: --labels FILE')
  end
  if r.confirmations > 0 then put('', '%s events confirm fraud, and are not counted', thousands(r.confirmations)) end
  local a = r.alerts
  put('alerts', '%s, %s of events; %s suppressed', thousands(a.events), percent(a.share), thousands(a.suppressed))
  if l ~= NULL then
    put('found', '%s of %s events of fraud   precision %s   recall %s', thousands(a.fraud), thousands(r.all.fraud), ratio(a.precision),
      ratio(a.recall))
    if r.amount_field ~= NULL then
      put('money', "caught %s   missed %s   false %s   (%s)", money(a.caught), money(a.missed), money(a['false']),
        printable.line(r.amount_field))
    end
  elseif r.amount_field ~= NULL then
    put('money', '%s in alerts of %s (%s)', money(a.amount), money(r.all.amount), printable.line(r.amount_field))
  end
  local c = r.cases
  if c ~= NULL then
    put('cases', '%s found of %s that have events   first alert after p50 %s  p90 %s  max %s', thousands(c.found), thousands(c.seen),
      span(c.first_alert_ms.p50), span(c.first_alert_ms.p90), span(c.first_alert_ms.max))
    put('', 'money before the first alert %s, in cases that were not found %s', money(c.before), money(c.missed))
  end
  if r.without_amount > 0 then put('', "%s events have no number in '%s'", thousands(r.without_amount), printable.line(r.amount_field)) end
  if r.rule_errors > 0 then put('errors', '%s times a rule raised; `tidemill run` tells the first of each', thousands(r.rule_errors)) end
  if r.guarded > 0 then put('guarded', '%s decisions became another one by the rate guard', thousands(r.guarded)) end
  put('latency', 'source to sink p50 %s   p99 %s   p99.9 %s', time_text(r.latency_ns.p50), time_text(r.latency_ns.p99),
    time_text(r.latency_ns.p999))
end

--- Cells of figures in tables.
local function cells_of(row, has_labels)
  if not has_labels then return { thousands(row.events), money(row.amount) } end
  return { thousands(row.events), thousands(row.fraud), thousands(row.legit), ratio(row.precision), ratio(row.recall), money(row.caught),
    money(row['false']) }
end

local HEAD = { [true] = { 'events', 'fraud', 'legit', 'precision', 'recall', 'caught', 'false' }, [false] = { 'events', 'money' } }

local function append(list, more)
  for _, v in ipairs(more) do list[#list + 1] = v end
  return list
end

local function text_lines(r)
  local lines, has = {}, r.labels ~= NULL
  head_lines(r, lines)
  local rows = { append({ 'decision', 'score' }, HEAD[has]) }
  for _, d in ipairs(r.decisions) do rows[#rows + 1] = append({ d.decision, ('%.14g'):format(d.at) }, cells_of(d, has)) end
  lines[#lines + 1] = ''
  columns(lines, rows, 1)
  rows = { append({ 'rule', 'mode' }, HEAD[has]) }
  if has then append(rows[1], { 'alone', 'cases' }) end
  for _, of in ipairs(r.rules) do
    local row = append({ of.id, of.mode }, cells_of(of, has))
    if has then append(row, { thousands(of.alone), thousands(of.cases) }) end
    rows[#rows + 1] = row
  end
  lines[#lines + 1] = ''
  columns(lines, rows, 2)
  if #r.pairs > 0 then
    rows = { { 'both', 'and', 'events', 'fraud' } }
    for i = 1, math.min(#r.pairs, PAIRS_SHOWN) do
      local p = r.pairs[i]
      rows[#rows + 1] = { p.a, p.b, thousands(p.events), has and thousands(p.fraud) or '-' }
    end
    lines[#lines + 1] = ''
    columns(lines, rows, 2)
    if #r.pairs > PAIRS_SHOWN then lines[#lines + 1] = ('  and %s pairs more: --json'):format(thousands(#r.pairs - PAIRS_SHOWN)) end
  end
  if r.pairs_left_out > 0 then
    lines[#lines + 1] = ('  of %s events not all pairs of rules are counted'):format(thousands(r.pairs_left_out))
  end
  return lines
end

--- The lines to print.
---@param run table of backtest.lua: T, labels, scale, field, json, unlabelled
---@return string[]
function M.lines(run)
  local r = report(run)
  if run.json then return { value.json(r) } end
  return text_lines(r)
end

return M
