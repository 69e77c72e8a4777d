--[[
pack_reference.lua - rule packs the slow and obvious way, for specs: random packs and streams, and what each event should be decided, by a
plain loop over all rules for every event, features counted anew from all events before, functions called on plain tables.
]]

local M = {}

local MINUTE = 60000

-- Random numbers of its own, so that a seed means the same everywhere (L'Ecuyer 1988).
local function generator(seed)
  local a, b = seed % 2147483561 + 1, seed * 7 % 2147483397 + 1
  local function unit()
    a, b = a * 40014 % 2147483563, b * 40692 % 2147483399
    return (a - b) % 2147483562 / 2147483563
  end
  return {
    unit = unit,
    to = function(n) return math.floor(unit() * n) + 1 end,
    one = function(list) return list[math.floor(unit() * #list) + 1] end,
    chance = function(p) return unit() < p end,
  }
end
M.generator = generator

local COUNTRIES, CHANNELS = { 'DE', 'FR', 'XA', 'XB', 'US' }, { 'pos', 'web' }

--- Events: list of { ts, card, amount, country, channel, note }, some without fields, some out of order, times that are equal.
function M.events(seed, n)
  local r, list, now = generator(seed), {}, 1000000
  for i = 1, n do
    if not r.chance(0.2) then now = now + r.to(9000) end
    local e = { id = i, ts = r.chance(0.15) and now - r.to(30000) or now, card = 'c' .. r.to(6) }
    if r.chance(0.95) then e.amount = r.to(4000) / 4 end
    if r.chance(0.9) then e.country = r.one(COUNTRIES) end
    if r.chance(0.9) then e.channel = r.one(CHANNELS) end
    if r.chance(0.1) then e.note = { text = 'x' } end
    list[i] = e
  end
  return list
end

-- Random rules ---------------------------------------------------------------------------------------

local OPS = { '<', '<=', '>', '>=', '==', '~=' }

local function comparison(r, rule)
  local kind = r.to(10)
  if kind <= 3 then return ('f.n_1m %s %d'):format(r.one(OPS), r.to(5)) end
  if kind == 4 then
    rule.params.x = r.to(800)
    return ('f.s_10m %s p.x'):format(r.one(OPS))
  end
  if kind == 5 then return ('f.m_10m %s %d'):format(r.one(OPS), r.to(600)) end
  if kind == 6 then return ('tx.amount %s %d'):format(r.one(OPS), r.to(900)) end
  if kind == 7 then return ("tx.country %s '%s'"):format(r.chance(0.5) and '==' or '~=', r.one(COUNTRIES)) end
  if kind == 8 then return ('f.w_10m %s nil'):format(r.chance(0.5) and '==' or '~=') end
  if kind == 9 then return 'tx.amount > 2 * f.m_10m' end
  return r.one { "lists.risky:has(tx.country)", "tx.note.text == 'x'", 'f.n_1m * 3 > f.n_10m', "tx.channel == 'web'", 'not tx.country',
    'f.w_10m > 200' }
end

local function condition(r, rule, depth)
  if depth == 0 or r.chance(0.4) then return comparison(r, rule) end
  local a, b = condition(r, rule, depth - 1), condition(r, rule, depth - 1)
  if r.chance(0.15) then a = 'not (' .. a .. ')' end
  return ('(%s) %s (%s)'):format(a, r.chance(0.6) and 'and' or 'or', b)
end

local function random_rule(r, i)
  local rule = { id = ('r%03d'):format(i), score = r.to(5) * 10, mode = r.one { 'enforce', 'enforce', 'enforce', 'alert', 'shadow', 'off' },
    params = {}, needs = {}, exceptions = {} }
  rule.when = condition(r, rule, 2)
  for _, name in ipairs { 'm_10m', 'w_10m', 's_10m' } do if r.chance(0.3) then rule.needs[#rule.needs + 1] = name end end
  if r.chance(0.4) then
    rule.only = {}
    local kind = r.to(4)
    if kind == 1 then rule.only.country = r.one(COUNTRIES) end
    if kind == 2 then rule.only.country = { 'DE', r.one { 'FR', 'XA' } } end
    if kind == 3 or r.chance(0.3) then rule.only.amount = { min = r.chance(0.7) and r.to(500) or nil, max = 500 + r.to(500) } end
    if kind == 4 or r.chance(0.3) then rule.only.channel = r.one(CHANNELS) end
  end
  if r.chance(0.2) then rule.exceptions[1], rule.excepted = 'card', { 'c1', 'c' .. (1 + r.to(5)) } end
  if r.chance(0.1) then rule.rollout = r.chance(0.5) and 0 or 100 end
  return rule
end

--- A random pack: { rules, decisions, combine, suppress, guard }.
function M.pack(seed, n)
  local r = generator(seed)
  local pack = { rules = {}, decisions = { challenge = 40, review = 80, decline = 130 }, combine = r.one { 'sum', 'max' } }
  for i = 1, n do pack.rules[i] = random_rule(r, i) end
  if pack.combine == 'max' then pack.decisions = { challenge = 20, review = 30, decline = 50 } end
  if r.chance(0.6) then pack.suppress = r.to(4) * MINUTE end
  if r.chance(0.5) then pack.guard = { max = r.to(4), within = r.to(5) * MINUTE } end
  pack.card = r.chance(0.4)
  return pack
end

local function literal(v)
  if type(v) ~= 'table' then return type(v) == 'string' and ('%q'):format(v) or tostring(v) end
  local parts = {}
  for k, item in pairs(v) do parts[#parts + 1] = ('[%s] = %s'):format(literal(k), literal(item)) end
  return '{ ' .. table.concat(parts, ', ') .. ' }'
end

--- The files of a pack, and the site's, as text by name.
function M.files(pack)
  local guard = pack.guard and ("guard = { decision = 'decline', action = 'review', max = %d, within = '%dms' },"):format(pack.guard.max,
    pack.guard.within) or ''
  local files = {
    ['pack.lua'] = ([[return { name = 'random', version = '1.0.0', stream = 'payment',
      time = { field = 'ts', unit = 'ms', out_of_order = '5s' },
      decisions = %s, score = %q, lists = { risky = { key = 'string', file = 'lists/risky.txt' } },
        %s %s }]]):format(literal(pack.decisions),
      pack.combine, pack.suppress and ("suppress = { by = 'card', within = '%dms' },"):format(pack.suppress) or '', guard),
    ['schema/payment.lua'] = [[return { id = 'number', ts = 'time_ms', card = 'string', amount = 'number', country = 'string',
      channel = 'string', note = 'any' }]],
    ['features/card.lua'] = [[return tm.features { key = 'card', max_keys = 1000, n_1m = tm.f.count { over = '1m' },
      n_10m = tm.f.count { over = '10m' }, s_10m = tm.f.sum('amount', { over = '10m' }),
      m_10m = tm.f.avg('amount', { over = '10m', current = false }),
      w_10m = tm.f.avg('amount', { over = '10m', current = false, min_history = 3 }) }]],
    ['lists/risky.txt'] = 'XA\n# more\nXB\n',
  }
  local site = { exceptions = {} }
  for i, rule in ipairs(pack.rules) do
    local params = {}
    for name, v in pairs(rule.params) do params[name] = { default = v } end
    files[('rules/%03d.lua'):format(i)] = ([[return { id = %q, score = %d, mode = %q, needs = %s, exceptions = %s, only = %s, params = %s,
      reason_code = %q, reason = '{f.n_1m} of {tx.card}', %s
      when = function(tx, f, p, lists) return %s end }]]):format(rule.id, rule.score, rule.mode, literal(rule.needs),
        literal(rule.exceptions),
      literal(rule.only), literal(params), 'C' .. rule.id, rule.rollout and
        ("rollout = { percent = %d, by = 'card' },"):format(rule.rollout) or '',
      rule.when)
    if rule.excepted then site.exceptions[rule.id] = { card = rule.excepted[1] == rule.excepted[2] and { 'c1' } or rule.excepted } end
  end
  if pack.card then
    files['scorecards/base.lua'] = [[return { id = 'base', characteristics = {
      { feature = 'n_1m', bands = { { below = 2, points = 0 }, { below = 4, points = 15 }, { points = 35 } } },
      { field = 'channel', values = { web = 10 }, other = 0, missing = 5 } } }]]
  end
  return files, next(site.exceptions) and 'return ' .. literal(site) or nil
end

-- What should be decided -----------------------------------------------------------------------------

local function mean(list)
  local sum = 0
  for _, v in ipairs(list) do sum = sum + v end
  return #list > 0 and sum / #list or nil
end

--- Features of event i of the list: of those that arrived before it and itself; those before the watermark less the window are gone.
local function features(events, i, marks)
  local e = events[i]
  local n1, n10, sum, some, others = 0, 0, 0, false, {}
  for k = 1, i do
    local o = events[k]
    local age = e.ts - o.ts
    if o.card == e.card and age >= 0 then
      if age < MINUTE and o.ts > marks[i] - MINUTE then n1 = n1 + 1 end
      if age < 10 * MINUTE and o.ts > marks[i] - 10 * MINUTE then
        n10 = n10 + 1
        if o.amount then
          sum, some = sum + o.amount, true
          if k < i then others[#others + 1] = o.amount end
        end
      end
    end
  end
  local m = mean(others)
  return { n_1m = n1, n_10m = n10, s_10m = some and sum or nil, m_10m = m, w_10m = #others >= 3 and m or nil }, { w_10m = m and
    #others < 3 }
end

local function holds(only, e)
  for field, want in pairs(only or {}) do
    local v = e[field]
    if v == nil then return false end
    if type(want) ~= 'table' then
      if v ~= want then return false end
    elseif want[1] then
      local found = false
      for _, w in ipairs(want) do found = found or w == v end
      if not found then return false end
    elseif v < (want.min or -math.huge) or v > (want.max or math.huge) then
      return false
    end
  end
  return true
end

--- Does the text of a rule name this feature?
local function reads(rule, name) return rule.when:find('f.' .. name, 1, true) ~= nil end

local function judge(rule, fn, e, f, warming)
  if not holds(rule.only, e) then return nil end
  for _, name in ipairs(rule.needs) do if f[name] == nil then return 'unknown' end end
  for name, is in pairs(warming) do if is and reads(rule, name) then return 'unknown' end end
  local ok, hit = pcall(fn, e, f, rule.params, { risky = { has = function(_, k) return k == 'XA' or k == 'XB' end } })
  if not ok then return 'error' end
  return hit and 'hit' or nil
end

local RANK = { approve = 0, challenge = 1, review = 2, decline = 3 }

--- What a pack decides about events: list of { id, decision, score, rules, reasons, errors, suppressed, guarded } as texts.
function M.decide(pack, events)
  local rules, fns = {}, {}
  for _, rule in ipairs(pack.rules) do
    rules[#rules + 1] = rule
    fns[rule] = assert(loadstring('return function(tx, f, p, lists) return ' .. rule.when .. ' end'))()
  end
  table.sort(rules, function(a, b) if a.score ~= b.score then return a.score > b.score end return a.id < b.id end)
  local out, highest, marks, alerts, declines = {}, -math.huge, {}, {}, {}
  local stats = { unknown = 0, error = 0, hit = 0 }
  for i, e in ipairs(events) do
    highest = math.max(highest, e.ts)
    marks[i] = i == 1 and -math.huge or marks.now
    marks.now = highest - 5001
    local f, warming = features(events, i, marks)
    local score, matched, reasons, errors = 0, {}, {}, {}
    local function add(points) if pack.combine == 'sum' then score = score + points else score = math.max(score, points) end end
    for _, rule in ipairs(rules) do
      local got = rule.mode ~= 'off' and judge(rule, fns[rule], e, f, warming)
      if got then stats[got] = stats[got] + 1 end
      if got == 'error' then errors[#errors + 1] = rule.id end
      if got == 'hit' then
        local mode = rule.mode
        for _, card in ipairs(rule.excepted or {}) do if card == e.card then mode = 'excepted' end end
        if rule.rollout == 0 and mode ~= 'excepted' then mode = 'shadow' end
        matched[#matched + 1] = rule.id .. ':' .. mode
        if mode == 'enforce' then add(rule.score) end
        if mode == 'enforce' or mode == 'alert' then reasons[#reasons + 1] = { rule.score, rule.id, 'C' .. rule.id, f.n_1m .. ' of ' ..
          e.card } end
      end
    end
    if pack.card then
      local a = f.n_1m < 2 and 0 or f.n_1m < 4 and 15 or 35
      local b = e.channel == 'web' and 10 or e.channel == nil and 5 or 0
      add(a + b)
      if a > 0 then reasons[#reasons + 1] = { a, 'base', 'base', 'n_1m ' .. f.n_1m } end
      if b > 0 then reasons[#reasons + 1] = { b, 'base', 'base', 'channel ' .. (e.channel or '?') } end
      table.sort(reasons, function(x, y) if x[1] ~= y[1] then return x[1] > y[1] end return x[2] < y[2] end)
    end
    local decision = 'approve'
    for name, at in pairs(pack.decisions) do if score >= at and at >= (pack.decisions[decision] or 0) then decision = name end end
    local guarded, suppressed = false, false
    if pack.guard and decision == 'decline' then
      local last = declines[#declines - pack.guard.max + 1]
      if last and last > e.ts - pack.guard.within then
        decision, guarded = 'review', true
      else
        declines[#declines + 1] = e.ts
      end
    end
    if pack.suppress and (#reasons > 0 or decision ~= 'approve' and score > 0) then
      local last = alerts[e.card]
      if last and marks[i] >= last.ts + pack.suppress then last = nil end   -- what is over for the watermark is forgotten
      if last and e.ts < last.ts + pack.suppress and e.ts >= last.ts and RANK[decision] <= last.rank then
        suppressed = true
      elseif not last or e.ts >= last.ts then
        alerts[e.card] = { ts = e.ts, rank = RANK[decision] }
      end
    end
    local texts = {}
    for k, reason in ipairs(reasons) do texts[k] = reason[3] .. '=' .. reason[1] .. '(' .. reason[4] .. ')' end
    out[i] = ('%d %s %g [%s] [%s] [%s]%s%s'):format(e.id, decision, score, table.concat(matched, ' '), table.concat(texts, ' '),
      table.concat(errors, ' '), suppressed and ' suppressed' or '', guarded and ' guarded' or '')
  end
  return out, stats
end

--- A row of the program in the same form.
function M.shown(row)
  local matched, reasons = {}, {}
  for k, rule in ipairs(row.rules) do matched[k] = rule.id .. ':' .. rule.mode end
  for k, reason in ipairs(row.reasons) do reasons[k] = reason.code .. '=' .. reason.score .. '(' .. reason.text .. ')' end
  return ('%d %s %g [%s] [%s] [%s]%s%s'):format(row.event.id, row.decision, row.score, table.concat(matched, ' '), table.concat(reasons,
    ' '),
    table.concat(row.errors or {}, ' '), row.suppressed and ' suppressed' or '', row.guarded and ' guarded' or '')
end

return M
