--[[
decisions.lua - from the rules that matched an event to the decision about it: exceptions, rollout, score, reasons in order, scorecards, the
rate guard; and what of each rule is told at the end.

  mode      enforce counts for the score and is a reason; alert is a reason; shadow is recorded alone, as is a rule that an exception or
            its rollout keeps from counting
  score     of the enforced rules and the scorecards: their sum, or the largest (`score = 'max'` in the manifest)
  decision  the one with the highest threshold that the score reaches; below all of them 'approve'
  reasons   { code, rule, score, severity, text }, the highest score first, then by id
  guard     more than `max` such decisions within `within` of event time: further ones become `action`, with guarded = true, until there is
            room again; the alarm is told once for each time that it trips

A row has the fields that the step asks for: decision, score, reasons, rules, features, pack, version, event, at, id (decision_ids.lua);
and errors, suppressed, guarded where there is something to say.

Who wants to see each decision as it is made gives `watch` (backtest.lua, why.lua):
  watch.decided(j, t, D, n, rules, modes)   D has decision, score, alert, guarded, event, J and set (features); of n rules that matched, in
                                            their order, how each counted: enforce alert shadow excepted error
                                            D.place() is `at` and `id`; D.given the reasons, where watch.reasons asks for them
  watch.suppressed()                        the one just told was one alert too many
]]

local cards = require 'tidemill.pack_cards'
local duration = require 'tidemill.duration'
local files = require 'tidemill.pack_files'
local keep = require 'tidemill.keep'
local lib = require 'tidemill.lib'
local shadow = require 'tidemill.shadow'
local state = require 'tidemill.state'
local value = require 'tidemill.value'
local C = lib.C
local floor = math.floor
local band, rshift = lib.bit.band, lib.bit.rshift

local M = {}

local TOLD = 256   -- rules that a summary has room for, TM_SHARED_RULES

M.FIELDS = { 'decision', 'score', 'reasons', 'rules', 'features', 'pack', 'version', 'event', 'at', 'id' }

--- A value in the text of a reason: whole numbers as they are, others with two decimals at most; format ':time': milliseconds as '9h26m'.
local function shown(v, format)
  if format == ':time' and type(v) == 'number' and v - v == 0 then return duration.short(v) end
  if type(v) == 'number' then
    if v == floor(v) and v < 1e15 and v > -1e15 then return ('%.0f'):format(v) end
    return (('%.2f'):format(v):gsub('0+$', ''):gsub('%.$', ''))
  end
  if v == nil then return '?' end
  if type(v) == 'table' then return value.json(v) end
  return tostring(v)
end

--- The text of a rule's reason for the event at hand.
local function reason_text(rule, J)
  local parts = {}
  for i, part in ipairs(rule.reason) do
    if type(part) == 'string' then
      parts[i] = part
    elseif part[1] == 'f' then
      parts[i] = shown(J.f[part[2]], part[3])
    elseif part[1] == 'tx' then
      parts[i] = shown(J.tx[part[2]], part[3])
    else
      parts[i] = shown(rule.values[part[2]], part[3])
    end
  end
  return table.concat(parts)
end

--- Does an exception of the site hold for the event?
local function is_excepted(rule, tx)
  for _, x in ipairs(rule.excepted) do
    local v = tx[x.field]
    if v ~= nil and x.values[v] then
      x.hits = x.hits + 1
      return true
    end
  end
  return false
end

--- Is the event one of those for which the rule is rolled out? By a hash of the rule's id and the value: the same ones always.
local function is_rolled_out(rule, tx)
  local v = tx[rule.rollout.by]
  if v == nil then return false end
  state.key.len = 0
  if state.set_key(rule.id .. '\0' .. type(v) .. '\0' .. tostring(v), {}) ~= 0 then return false end
  return C.tm_ffi_key_share(state.key, 0) < rule.rollout.share
end

--- The mode in which a rule that matched counts here; those that do not count are counted.
local function mode_of(rule, tx)
  if rule.excepted[1] and is_excepted(rule, tx) then
    rule.excepted_n = rule.excepted_n + 1
    return 'excepted'
  end
  if rule.rollout and rule.mode ~= 'shadow' and not is_rolled_out(rule, tx) then
    rule.held_n = rule.held_n + 1
    return 'shadow'
  end
  return rule.mode
end

-- The rate guard -------------------------------------------------------------------------------------

--- Times of the last `max` decisions of that name, in a ring; kept as the state of a step is.
local function new_guard(pack, name)
  local g = pack.guard
  if not g then return nil end
  local G = { times = {}, at = 0, tripped = false, trips = 0, held = 0 }
  for i = 0, g.max - 1 do G.times[i] = -math.huge end
  keep.add(name .. '/guard', 'a rate guard', function() return { G.times, G.at, G.tripped, G.trips, G.held } end, function(data)
    if data[1][0] == nil or data[1][g.max - 1] == nil or data[1][g.max] ~= nil then return 'it had another max' end
    G.times, G.at, G.tripped, G.trips, G.held = data[1], data[2], data[3], data[4], data[5]
  end)

  --- The decision at time t, or what takes its place.
  function G.judge(decision, t)
    if decision ~= g.decision then return decision, false end
    if t ~= t then t = 0 end
    if G.times[G.at] > t - g.within then
      G.held = G.held + 1
      if not G.tripped then
        G.tripped, G.trips = true, G.trips + 1
        lib.host.warn(("pack %s: more than %d decisions '%s' within %s; further ones become '%s' until there are fewer (guarded)"):format(
          pack.name, g.max, g.decision, duration.text(g.within), g.action))
      end
      return g.action, true
    end
    G.tripped = false
    G.times[G.at] = t
    G.at = (G.at + 1) % g.max
    return decision, false
  end
  return G
end

-- Deciding -------------------------------------------------------------------------------------------

local function by_score(a, b)
  if a.score ~= b.score then return a.score > b.score end
  return a.rule < b.rule
end

--- Points of the scorecards for the event at hand; reasons are appended.
local function card_points(pack, J, reasons)
  local total = 0
  for _, card in ipairs(pack.cards) do
    if card.mode == 'enforce' then
      total = total + card.base
      for _, c in ipairs(card.characteristics) do
        local v
        if c.feature then v = J.readers[c.name]() else v = J.tx[c.name] end
        local points = cards.points(c, v)
        total = total + points
        if points > 0 and reasons then
          reasons[#reasons + 1] = { code = c.code, rule = card.id, score = points, severity = 'low', text = c.name .. ' ' .. shown(v) }
        end
      end
    end
  end
  return total
end

--- What decides about events that rules have judged.
---@param J table of rules.new
---@param set table of features.compile
---@param o table name: of the step's state; emit: 'all' | 'matched' | 'alerts'; fields: list; place(): `at` and `id`; watch: above
---@return table D { decide(j, t), suppress() }
function M.new(J, set, o)
  local pack, R, tx, list = J.pack, J.R, J.tx, J.list
  local want = {}
  for _, name in ipairs(o.fields) do want[name] = true end
  local decisions, has_cards, sums = pack.decisions, #pack.cards > 0, pack.combine == 'sum'
  local columns, readers, emit = set.columns, J.readers, o.emit
  local with_reasons = want.reasons or o.watch and o.watch.reasons or false
  local detailed = with_reasons or want.rules
  local features = {}
  local D = { event = J.event, J = J, set = set, place = o.place, rank = 0, alert = false, events = 0,
    by_decision = { [pack.approve] = 0 } }
  for _, d in ipairs(decisions) do D.by_decision[d.name] = 0 end
  for _, rule in ipairs(list) do
    rule.plain, rule.excepted_n, rule.held_n = not rule.excepted[1] and not rule.rollout, 0, 0
  end
  local ranks = { [pack.approve] = 0 }
  for _, d in ipairs(decisions) do ranks[d.name] = d.rank end
  local guard = new_guard(pack, o.name)
  D.guard = guard
  local place = (want.at or want.id) and o.place or nil
  local watch, seen, seen_as = o.watch or nil, {}, {}
  local flow, step, amount_of = lib.flow, shadow.add(o.name, J)
  --- The decision about row j of the chunk, at time t: D.decision, D.score, D.alert (it has a reason), D.rank, and what else a row has;
  --- false: no row is sent of such events.
  function D.decide(j, t)
    local from, to = R.from[j], R.from[j + 1]
    local score, reasons, matched, errors = 0, detailed and {} or nil, want.rules and {} or nil, nil
    local alert = false
    for k = from, to - 1 do
      local entry = R.list[k]
      local rule = list[rshift(entry, 1) + 1]
      if band(entry, 1) == 1 then
        errors = errors or {}
        errors[#errors + 1] = rule.id
        if watch then seen[k - from + 1], seen_as[k - from + 1] = rule, 'error' end
      else
        local mode = rule.plain and rule.mode or mode_of(rule, tx)
        if watch then seen[k - from + 1], seen_as[k - from + 1] = rule, mode end
        if mode == 'enforce' then
          if sums then score = score + rule.score elseif rule.score > score then score = rule.score end
        end
        if mode == 'enforce' or mode == 'alert' then
          alert = true
          if with_reasons then
            reasons[#reasons + 1] = { code = rule.code, rule = rule.id, score = rule.score, severity = rule.severity,
              text = reason_text(rule, J) }
          end
        end
        if matched then matched[#matched + 1] = { id = rule.id, mode = mode, rev = rule.rev, score = rule.score } end
      end
    end
    if has_cards then
      local had = reasons and #reasons or 0
      local points = card_points(pack, J, with_reasons and reasons or nil)
      if sums then score = score + points elseif points > score then score = points end
      if reasons and #reasons > had then
        table.sort(reasons, by_score)
        alert = true
      end
    end
    local decision = pack.approve
    for i = 1, #decisions do
      if score >= decisions[i].at then
        decision = decisions[i].name
        break
      end
    end
    local guarded = false
    if guard then decision, guarded = guard.judge(decision, t) end
    D.events, D.by_decision[decision] = D.events + 1, D.by_decision[decision] + 1
    D.decision, D.score, D.alert, D.rank = decision, score, alert or score > 0 and decision ~= pack.approve, ranks[decision]
    D.errors, D.guarded, D.suppressed = errors, guarded or nil, nil
    D.given = reasons
    if watch then watch.decided(j, t, D, to - from, seen, seen_as) end
    if flow.watched ~= 0 then C.tm_ffi_decided(step, D.rank, score, amount_of and amount_of() or 0, R.list + from, to - from) end
    if emit ~= 'all' and not D.alert and (from == to or emit == 'alerts') then return false end
    if want.reasons then D.reasons = value.array(reasons) end
    if want.rules then D.rules = value.array(matched) end
    if want.features then
      for i = 1, #columns do
        local name = columns[i].name
        features[name] = readers[name]()
      end
      D.features = lib.text(value.encode_string(features), 9)
    end
    if place then D.at, D.id = place() end
    return true
  end

  --- The alert of the decision is one too many; false: then no row is sent.
  function D.suppress()
    D.suppressed = true
    if watch then watch.suppressed() end
    return emit ~= 'alerts'
  end
  return D
end

-- What is told at the end ----------------------------------------------------------------------------

--- What rules did: list of { id, mode, looked, matches, counted, excepted, held (by its rollout), errors, unknowns, called: how
--- often its function was, ns: of one event,
--- native: C knows its condition, raised: the first error }, in order of rules.
function M.stats(J)
  local out = {}
  for i, rule in ipairs(J.list) do
    local s = J.R.stats[i - 1]
    out[i] = { id = rule.id, mode = rule.mode, looked = s.looked, matches = s.hits, errors = s.errors, unknowns = s.unknowns,
      called = s.called, counted = s.hits - rule.excepted_n - rule.held_n, excepted = rule.excepted_n, held = rule.held_n,
      ns = s.timed > 0 and s.ns / s.timed or 0, native = rule.native, raised = rule.raised }
  end
  return out
end

--- What never decided anything, as sentences with the place (for pack_files.told): rules without a match, `needs` that are always
--- unknown, exceptions that were never used.
function M.coverage(J)
  local out = {}
  for i, rule in ipairs(J.list) do
    local s = J.R.stats[i - 1]
    local function say(place, text) out[#out + 1] = { rule = rule.id, place = place, text = text } end
    if s.looked == 0 then
      say(rule.place, rule.only[1] and 'its `only` never held' or 'no event came to it')
    elseif s.unknowns == s.looked then
      say(rule.place, 'what it needs (' .. table.concat(rule.needs, ', ') .. ') was never known')
    elseif s.hits == 0 then
      say(rule.place, 'it never matched')
    end
    for _, x in ipairs(rule.excepted) do
      if x.hits == 0 then say(x.place, ("the exception by '%s' was never used"):format(x.field)) end
    end
  end
  return out
end

--- Tells the host what each rule did, for the summary: those with something to say first, then by matches.
function M.tell(J, name)
  local notes = {}
  for _, c in ipairs(M.coverage(J)) do
    notes[c.rule] = notes[c.rule] or {}
    table.insert(notes[c.rule], c)
  end
  --- A note as text. Places are looked for in files, which for thousands of rules takes seconds: only of what is shown.
  local function text_of(s, shown_too)
    if s.raised then return 'raised first: ' .. s.raised end
    local parts = {}
    for i, c in ipairs(shown_too and notes[s.id] or {}) do parts[i] = files.told(c.place) .. ': ' .. c.text end
    return table.concat(parts, '; ')
  end
  local list = M.stats(J)
  for i, s in ipairs(list) do
    s.at = i
    s.noted = s.raised ~= nil or notes[s.id] ~= nil
  end
  table.sort(list, function(a, b)
    if a.noted ~= b.noted then return a.noted end
    if a.matches ~= b.matches then return a.matches > b.matches end
    return a.at < b.at
  end)
  for i, s in ipairs(list) do
    lib.host.rule_done(name .. '/' .. s.id, s.mode, s.matches, s.counted, s.errors, s.unknowns, s.ns,
      (text_of(s, i <= TOLD):gsub('%z', ' ')), s.called)
  end
end

return M
