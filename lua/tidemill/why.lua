--[[
why.lua - `tidemill why`: history up to a decision, and how each rule stood there.

  prepare   changes the plan (history.lua), reads ids, hangs the watcher on the step of the pack
  watcher   finds the events that the ids name, looks, and ends the run behind the last one; the pack's state is that of the run by then
  lines     what it saw (why_report.lua); an id that was not found fails the run

An event is found by its place: source and number, as the id has them. Where the history is one file or one log, its name does not count, so
decisions about standard input are found in a file of it.

  seen    { id, asked, at, time, decision, score, alert, guarded, suppressed, reasons, features, warming, event, rules, changed }
  rule    { id, mode, score, rev, answer, counts, only, needs, because, conditions, untold, error, differs, reason }
          answer: fired | no | unknown (because: features that are nil or warming) | only (it did not hold) | error | off
          differs: the rule's function, asked again, says something else than it said; so it does not depend on the event alone
]]

local conditions_of = require 'tidemill.why_conditions'
local decision_ids = require 'tidemill.decision_ids'
local history = require 'tidemill.history'
local json = require 'tidemill.library.json'.json
local lib = require 'tidemill.lib'
local value = require 'tidemill.value'
local plain = conditions_of.plain

local M = {}

local IDS_MAX, BYTES_MAX = 100000, 64 * 2 ^ 20
local WARMING = 2   -- enum tm_feature_known

local function refuse(message, ...) lib.raise('usage', 'why: ' .. message:format(...)) end

-- Ids --------------------------------------------------------------------------------------------

--- The ids of the command line and of a file: list of { id, hash, at }.
local function ids_of(o, pack)
  local list, seen = {}, {}
  local function add(id, place)
    local name, hash, at = decision_ids.parse(id)
    if not name then refuse("%s'%s' is no id of a decision, such as limits-d369724a@payments.ndjson:17", place, id) end
    if name ~= pack.name then refuse("%s'%s' is of the pack '%s', and this one is '%s'", place, id, name, pack.name) end
    if seen[id] then return end
    if #list == IDS_MAX then refuse('more than %d ids', IDS_MAX) end
    seen[id], list[#list + 1] = true, { id = id, hash = hash, at = at }
  end
  for _, id in ipairs(o.ids) do add(id, '') end
  if not o.ids_file then return list end
  local text, why = lib.host.read_data(o.ids_file, BYTES_MAX)
  if not text then refuse('--ids: %s: %s', o.ids_file, why) end
  local line = 0
  for one in text:gmatch '([^\n]*)\n?' do
    line = line + 1
    local place = ('%s:%d: '):format(o.ids_file, line)
    one = one:match '^%s*(.-)%s*$'
    if one:sub(1, 1) == '{' then
      local ok, row = pcall(json.decode, one)
      if not ok or type(row) ~= 'table' or type(row.id) ~= 'string' then refuse("%sa row of a decision has the field 'id'", place) end
      one = row.id
    end
    if one ~= '' then add(one, place) end
  end
  if #list == 0 then refuse('--ids: %s has no id', o.ids_file) end
  return list
end

--- Number behind the last colon of a place, with what follows it, and the source before.
local function split(at)
  local source, number = at:match '^(.*):([^:]*)$'
  return source or '', number or at
end

-- Rules ------------------------------------------------------------------------------------------

local STATES = { [0] = 'nil', [1] = 'known', [2] = 'warming', [3] = 'known' }

--- The features of a set by name: value and state of row j.
local function features_at(D, j)
  local set, list = D.set, {}
  for i, column in ipairs(set.columns) do
    list[column.name] = { value = D.J.readers[column.name](), state = STATES[set.known[i][j]] }
  end
  return list
end

--- What `only` asks, as it stood; does it hold?
local function only_at(rule, tx)
  local list, holds = value.array {}, true
  for i, c in ipairs(rule.only) do
    local v = tx[c.field]
    local row = { field = c.field, value = plain(v) }
    if c.values then
      row.values = value.array {}
      for want in pairs(c.values) do row.values[#row.values + 1] = want end
      table.sort(row.values, function(a, b) return tostring(a) < tostring(b) end)
      row.holds = v ~= nil and c.values[v] == true
    else
      row.min, row.max = c.min > -math.huge and c.min or nil, c.max < math.huge and c.max or nil
      row.holds = type(v) == 'number' and v >= c.min and v <= c.max
    end
    holds = holds and row.holds
    list[i] = row
  end
  return list, holds
end

--- What a rule needs, and which of it keeps it from answering.
local function needs_at(rule, features)
  local list, because, seen = value.array {}, value.array {}, {}
  for i, name in ipairs(rule.needs) do
    local f = features[name]
    list[i], seen[name] = { feature = name, value = plain(f.value), state = f.state }, true
    if f.state ~= 'known' then because[#because + 1] = name end
  end
  local warm = {}
  for name in pairs(rule.reads[2]) do
    if not seen[name] and features[name] and features[name].state == 'warming' then warm[#warm + 1] = name end
  end
  table.sort(warm)
  for _, name in ipairs(warm) do because[#because + 1] = name end
  return list, because
end

local explainers = {}   -- rule -> { explain, untold }

local function explainer_of(pack, rule)
  local made = explainers[rule]
  if not made then
    local explain, why = conditions_of.explainer(rule.when, pack.files.texts[rule.path] or '')
    made = { explain, why }
    explainers[rule] = made
  end
  return made[1], made[2]
end

--- How one rule stood. as: how it counted, nil: it did not match.
local function rule_at(D, pack, rule, features, as)
  local row = { id = rule.id, mode = rule.mode, score = rule.score, rev = rule.rev, counts = as ~= 'error' and as or nil }
  if rule.mode == 'off' then
    row.answer = 'off'
    return row
  end
  local J = D.J
  local only, holds = only_at(rule, J.tx)
  row.only = only
  row.needs, row.because = needs_at(rule, features)
  if not holds then
    row.answer = 'only'
  elseif #row.because > 0 then
    row.answer = 'unknown'
  else
    local explain, untold = explainer_of(pack, rule)
    local ok, answer
    if explain then
      row.conditions, ok, answer = explain(J.tx, J.f, rule.values, J.lists)
    else
      row.untold = untold
      ok, answer = pcall(rule.when, J.tx, J.f, rule.values, J.lists)
    end
    row.answer = not ok and 'error' or answer and 'fired' or 'no'
    if not ok then row.error = type(answer) == 'table' and rawget(answer, 'message') or tostring(answer) end
  end
  local said = as == 'error' and 'error' or as and 'fired'
  if said and row.answer ~= said or not said and (row.answer == 'fired' or row.answer == 'error') then row.differs = said or 'no' end
  for _, reason in ipairs(D.given) do
    if reason.rule == rule.id then row.reason = reason.text end
  end
  return row
end

-- Looking ----------------------------------------------------------------------------------------

--- All about the decision that was just made.
local function look(D, pack, j, t, n, rules, modes)
  local features, as = features_at(D, j), {}
  for i = 1, n do as[rules[i]] = modes[i] end
  local seen = { decision = D.decision, score = D.score, alert = D.alert, guarded = D.guarded or false, suppressed = false,
    time = t == t and t or lib.NULL, reasons = value.array {}, features = {}, warming = value.array {}, rules = value.array {},
    event = value.copy(D.event), pack = pack.name, version = pack.version, hash = pack.hash }
  for i, reason in ipairs(D.given) do seen.reasons[i] = reason end
  for name, f in pairs(features) do seen.features[name] = f.value end
  for i, column in ipairs(D.set.columns) do
    if D.set.known[i][j] == WARMING then seen.warming[#seen.warming + 1] = column.name end
  end
  for i, rule in ipairs(pack.rules) do seen.rules[i] = rule_at(D, pack, rule, features, as[rule]) end
  return seen
end

local run   -- what `lines` tells of

local function watcher(pack, ids, one_history)
  local by_place, left, last = {}, #ids, nil
  for _, of in ipairs(ids) do
    local key = one_history and select(2, split(of.at)) or of.at
    by_place[key] = by_place[key] or {}
    table.insert(by_place[key], of)
  end
  local W = { reasons = true }
  function W.decided(j, t, D, n, rules, modes)
    last = nil
    if left == 0 then return end
    local at, id = D.place()
    local key = one_history and select(2, split(at)) or at
    local list = by_place[key]
    if not list then return end
    by_place[key] = nil
    for _, of in ipairs(list) do
      last = look(D, pack, j, t, n, rules, modes)
      last.id, last.at, last.asked, last.changed = id, at, of.id, of.hash ~= pack.hash
      of.seen, left = last, left - 1
    end
    if left == 0 then lib.host.end_run() end
  end
  function W.suppressed()
    if last then last.suppressed = true end
  end
  jit.off(W.decided)
  return W
end

--- Makes of a plan one that looks at decisions.
---@param o table from, replay, ids, ids_file, json
---@param input table the default input, as a source of the plan
function M.prepare(plan, o, input)
  local step = history.change(plan, o, input, 'why')
  local pack = step.rec.pack
  local ids = ids_of(o, pack)
  local one_history = o.replay ~= nil or #o.from <= 1
  run = { ids = ids, json = o.json, pack = pack }
  step.rec.watch = watcher(pack, ids, one_history)
end

--- What was seen, as lines; ids that were not found fail the run.
function M.lines()
  local lost = {}
  for _, of in ipairs(run.ids) do if not of.seen then lost[#lost + 1] = of.id end end
  if #lost > 0 then
    lib.host.fail_run(("why: no decision of this history is %s%s; is it the input of that run, from its start?"):format(lost[1],
      #lost == 2 and ', nor is another one' or #lost > 2 and (', nor are %d others'):format(#lost - 1) or ''))
  end
  return require 'tidemill.why_report'.lines(run)
end

return M
