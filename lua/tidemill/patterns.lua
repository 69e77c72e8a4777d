--[[
patterns.lua - tm.pattern: sequences of events as scripts describe them. Every call gives a new pattern and leaves the old one as it was;
nothing runs. What is described here has the meaning that Flink CEP gives it; patterns_graph.lua makes states and edges of it.

  pattern  { name, stages, within, between, after, place }     within, between: ms, of all events and of neighbours
  stage    { name, link, fn or group, from, to, quantified, optional, greedy, inner, stop, place }
           link    how it follows the one before: 'start' 'next' 'followed_by' 'followed_by_any' 'not_next' 'not_followed_by'
           inner   how its own iterations follow one another: 'relaxed' 'strict' 'any'
           group   the record of a pattern in its place
  after    { kind, stage, strict }: what is skipped behind a match
]]

local suggest = require 'tidemill.suggest'
local stream = require 'tidemill.stream'
local duration = require 'tidemill.duration'

local M = {}

local fault, place, describe = stream.fault, stream.place, stream.describe
local pattern_mt = { __metatable = 'pattern' }
local private = setmetatable({}, { __mode = 'k' })
local methods = {}

local TIMES_MAX = 1000       -- states that one stage may become
local TAKEN = { key = true, time = true, timed_out = true, partial = true, op = true }
local STRATEGIES = { 'no_skip', 'skip_to_next', 'skip_past_last', 'skip_to_first', 'skip_to_last' }
local EXACT = 2 ^ 53

--- The record behind a pattern, or nil.
function M.record(v) return type(v) == 'table' and private[v] or nil end

local function made(rec)
  local p = setmetatable({}, pattern_mt)
  private[p] = rec
  return p
end

local function copy(t)
  local c = {}
  for k, v in pairs(t) do c[k] = v end
  return c
end

--- A copy of a pattern's record, whose list of stages may be added to.
local function changed(rec)
  local c = copy(rec)
  c.stages = { unpack(rec.stages) }
  return c
end

--- The names of all stages, those in groups too, in order.
local function names_of(rec, list)
  list = list or {}
  for _, s in ipairs(rec.stages) do
    list[#list + 1] = s.name
    if s.group then names_of(s.group, list) end
  end
  return list
end
M.names_of = names_of

local function is_not(s) return s.link == 'not_next' or s.link == 'not_followed_by' end
M.is_not = is_not

-- Stages ---------------------------------------------------------------------------

--- Refuses what a group cannot be in.
local function check_group(where, what, name, group, link)
  if is_not({ link = link }) then
    fault(where, what .. ": '" .. name .. "' is a pattern, and only single events can be excluded: give a function of the event")
  end
  if #group.stages == 0 then
    fault(where, ("%s: the pattern '%s' in '%s' has no stage; begin it with :start('first', function(e) … end)"):format(what, group.name,
      name))
  end
  if group.within or group.between or group.after then
    fault(where, what .. ": the pattern in '" .. name .. "' is a group; 'within' and 'after_match' are said of the whole pattern alone")
  end
  local empty = true
  for _, s in ipairs(group.stages) do empty = empty and (s.optional or is_not(s)) end
  if empty then
    fault(where, ("%s: the group '%s' could take no event at all, as all of it is optional; say optional() of the group instead")
      :format(what, name))
  end
  local last = group.stages[#group.stages]
  if is_not(last) then
    fault(where, ("%s: the group '%s' ends in %s '%s'; write it behind the group instead"):format(what, name, last.link, last.name))
  end
  local at = #group.stages
  while group.stages[at].optional or group.stages[at].link == 'not_next' do at = at - 1 end
  last = group.stages[at]
  if last.link == 'not_followed_by' then
    fault(where, ("%s: the group '%s' may end in not_followed_by '%s', as what stands behind that is optional; write it behind the " ..
      'group, or two patterns, one with what is optional and one without'):format(what, name, last.name))
  end
end

--- Is the first event of a group not always the same stage's?
local function may_skip_head(group)
  local head = group.stages[1]
  return head.optional or head.group and may_skip_head(head.group) or false
end

local function add(p, link, name, given)
  local where, rec = place(), private[p]
  if type(name) ~= 'string' or name == '' then
    fault(where, link .. " takes the stage's name first: :" .. link .. "('hit', function(e) … end), got " .. describe(name))
  end
  if #name > 60 then fault(where, link .. ': the name of a stage has at most 60 characters') end
  if TAKEN[name] then
    fault(where, ("%s: a stage cannot be called '%s', as a match has a field of that name already; give it another one"):format(link, name))
  end
  local group = private[given]
  if given ~= nil and not group and type(given) ~= 'function' then
    fault(where, ("%s: '%s' takes a function of the event, or a pattern, or nothing, which is every event; got %s"):format(link, name,
      describe(given)))
  end
  if link == 'start' then
    if #rec.stages > 0 then
      fault(where, "start stands first, and '" .. rec.stages[1].name .. "' has begun the pattern already; go on with next or followed_by")
    end
  elseif #rec.stages == 0 then
    fault(where, link .. ": a pattern begins with :start('first', function(e) … end)")
  end
  if group then check_group(where, link, name, group, link) end
  local at = #rec.stages
  while at > 1 and is_not(rec.stages[at]) do at = at - 1 end
  if group and at > 0 and rec.stages[at].greedy and may_skip_head(group) then
    fault(where, ("%s: '%s' stands behind '%s', which is greedy, and begins with what is optional: what that leaves over could not be told")
      :format(link, name, rec.stages[at].name))
  end
  local taken = {}
  for _, other in ipairs(names_of(rec)) do taken[other] = true end
  local own = { name }
  if group then names_of(group, own) end
  for _, one in ipairs(own) do
    if taken[one] then fault(where, ("%s: the pattern has a stage '%s' already; each needs a name of its own"):format(link, one)) end
    taken[one] = true
  end
  local last = rec.stages[#rec.stages]
  if is_not({ link = link }) and last and last.optional then
    fault(where, ("%s: '%s' stands behind '%s', which is optional, and what is excluded would depend on whether that was taken; write " ..
      'two patterns, one with it and one without'):format(link, name, last.name))
  end
  local c = changed(rec)
  c.stages[#c.stages + 1] = { name = name, link = link, fn = not group and given or nil, group = group, from = 1, to = 1, inner = 'relaxed',
    place = where }
  return made(c)
end

for _, link in ipairs { 'start', 'next', 'followed_by', 'followed_by_any', 'not_next', 'not_followed_by' } do
  methods[link] = function(p, name, given) return add(p, link, name, given) end
end

-- Quantifiers ----------------------------------------------------------------------

--- The pattern with its last stage changed by f(stage, where).
local function quantify(p, what, f)
  local where, rec = place(), private[p]
  local last = rec.stages[#rec.stages]
  if not last then fault(where, what .. " says how often the stage before it comes: :start('first', f):" .. what .. '(…)') end
  if is_not(last) then
    fault(where, ("%s: '%s' is excluded (%s), and what must not come has no number"):format(what, last.name, last.link))
  end
  local c = changed(rec)
  local s = copy(last)
  c.stages[#c.stages] = s
  f(s, where)
  return made(c)
end

local function set_times(s, where, what, from, to)
  if s.quantified then
    fault(where, ("%s: '%s' has %s already; a stage has one number"):format(what, s.name, s.quantified))
  end
  s.quantified, s.from, s.to = what, from, to
end

--- The stage comes n times, or n to m times; m = math.huge: n times or more. From 0 on it is optional.
function methods.times(p, n, m)
  if n == 0 and type(m) == 'number' and m >= 1 then return p:optional():times(1, m) end
  return quantify(p, 'times', function(s, where)
    m = m == nil and n or m
    local function bad(v, least) return type(v) ~= 'number' or v < least or v ~= math.huge and (v % 1 ~= 0 or v > TIMES_MAX) end
    if bad(n, 1) or n == math.huge then
      fault(where, ("times: '%s' comes a whole number of times from 1 to %d, got %s; optional() makes it one that may be missing"):format(
        s.name, TIMES_MAX, type(n) == 'number' and tostring(n) or describe(n)))
    end
    if bad(m, n) then
      fault(where, ("times: '%s' comes %d to … times: a whole number from %d to %d, or math.huge, got %s"):format(s.name, n, n, TIMES_MAX,
        type(m) == 'number' and tostring(m) or describe(m)))
    end
    set_times(s, where, 'times', n, m)
  end)
end

--- The stage comes once or more.
function methods.one_or_more(p)
  return quantify(p, 'one_or_more', function(s, where) set_times(s, where, 'one_or_more', 1, math.huge) end)
end

--- The stage may be missing.
function methods.optional(p)
  return quantify(p, 'optional', function(s, where)
    if s.optional then fault(where, "optional: '" .. s.name .. "' is optional already") end
    local rec = private[p]
    local at = #rec.stages - 1
    while at > 1 and is_not(rec.stages[at]) do at = at - 1 end
    local before = rec.stages[at]
    if before and before.greedy then
      fault(where, ("optional: '%s' stands behind '%s', which is greedy: what that leaves over could not be told"):format(s.name,
        before.name))
    end
    s.optional = true
  end)
end

--- It takes as many events as it can, before the stage behind it gets one.
function methods.greedy(p)
  return quantify(p, 'greedy', function(s, where)
    if s.group then fault(where, ("greedy: '%s' is a group; say it of the stages in it"):format(s.name)) end
    if not s.quantified then fault(where, ("greedy: '%s' comes once; say times(n, m) or one_or_more() first"):format(s.name)) end
    if s.inner == 'any' then fault(where, ("greedy: '%s' has combinations(), which tries all numbers of events"):format(s.name)) end
    s.greedy = true
  end)
end

local function set_inner(p, what, inner)
  return quantify(p, what, function(s, where)
    if not s.quantified then
      fault(where, ("%s: '%s' comes once, so nothing of it follows itself; say times(n) or one_or_more() first"):format(what, s.name))
    end
    if s.inner ~= 'relaxed' and s.inner ~= inner then
      fault(where, ("%s: '%s' cannot be both consecutive and in all combinations"):format(what, s.name))
    end
    if inner == 'any' and s.greedy then fault(where, ("combinations: '%s' is greedy, which takes all it can"):format(s.name)) end
    s.inner = inner
  end)
end

--- Its events follow one another without any other in between.
function methods.consecutive(p) return set_inner(p, 'consecutive', 'strict') end
--- Its events are any of those that fit, in order.
function methods.combinations(p) return set_inner(p, 'combinations', 'any') end

--- No more of the stage are taken once fn(e, m) is true; that event is none of it.
function methods.stop_when(p, fn)
  return quantify(p, 'stop_when', function(s, where)
    if type(fn) ~= 'function' then fault(where, 'stop_when takes a function(e, m) … end, got ' .. describe(fn)) end
    if s.to ~= math.huge then
      fault(where, ("stop_when: '%s' ends by its number; it goes with one_or_more() or times(n, math.huge)"):format(s.name))
    end
    if s.stop then fault(where, ("stop_when: '%s' has one already"):format(s.name)) end
    s.stop = fn
  end)
end

-- The whole pattern ------------------------------------------------------------------

--- A match takes less than so long, from its first event to its last; with 'previous' from one event to the next.
function methods.within(p, given, kind)
  local where, rec = place(), private[p]
  local ms, why = duration.parse(given)
  if not ms then fault(where, 'within: ' .. why) end
  if ms < 1 or ms % 1 ~= 0 or ms > EXACT then fault(where, 'within is whole milliseconds, at least one, got ' .. describe(given)) end
  if kind ~= nil and kind ~= 'previous' then
    fault(where, "within: the second argument is 'previous', for the time from one event to the next, got " .. describe(kind) ..
      (type(kind) == 'string' and suggest.hint(kind, { 'previous' }) or ''))
  end
  local name = kind and 'between' or 'within'
  if rec[name] then fault(where, ("within: the pattern '%s' has one already"):format(rec.name)) end
  local c = changed(rec)
  c[name] = ms
  return made(c)
end

--- What a match leaves to others that began before it ended.
function methods.after_match(p, kind, stage, options)
  local where, rec = place(), private[p]
  local known = {}
  for _, name in ipairs(STRATEGIES) do known[name] = true end
  if not known[kind] then
    fault(where, "after_match is one of '" .. table.concat(STRATEGIES, "', '") .. "', got " .. describe(kind) ..
      (type(kind) == 'string' and suggest.hint(kind, STRATEGIES) or ''))
  end
  local to = kind == 'skip_to_first' or kind == 'skip_to_last'
  if not to then
    if stage ~= nil then fault(where, ("after_match: '%s' takes no stage, got %s"):format(kind, describe(stage))) end
  else
    local names = names_of(rec)
    local found = false
    for _, name in ipairs(names) do found = found or name == stage end
    if not found then
      fault(where, ("after_match: '%s' names a stage of the pattern '%s' to go on from, got %s%s"):format(kind, rec.name, describe(stage),
        type(stage) == 'string' and suggest.among(stage, names) or '; it has ' .. table.concat(names, ', ')))
    end
  end
  local o = stream.options(where, 'after_match', options)
  if rec.after then fault(where, ("after_match: the pattern '%s' has one already"):format(rec.name)) end
  local c = changed(rec)
  c.after = { kind = kind, stage = stage, strict = o.strict or false }
  return made(c)
end

-- Checks of a whole pattern -------------------------------------------------------------

--- Refuses a pattern that cannot be matched.
---@param where string "file:line" of the step
---@param p any what the step was given
---@return table record
function M.check(where, p)
  local rec = private[p]
  if not rec then
    fault(where, "match takes a pattern first: :match(tm.pattern('probing'):start('probe', function(e) … end):within '10m'), got " ..
      describe(p))
  end
  if #rec.stages == 0 then
    fault(where, ("match: the pattern '%s' has no stage; begin it with :start('first', function(e) … end)"):format(rec.name))
  end
  local last = rec.stages[#rec.stages]
  if last.link == 'not_followed_by' and not (rec.within or rec.between) then
    fault(where, ("match: the pattern '%s' ends in not_followed_by '%s', so only time can tell that it is over: write :within '10m'")
      :format(rec.name, last.name))
  end
  return rec
end

local method_names = {}
for name, method in pairs(methods) do
  method_names[#method_names + 1] = name
  methods[name] = function(self, ...)
    if not M.record(self) then fault(place(), ('call with a colon: pattern:%s(…), not pattern.%s(…)'):format(name, name)) end
    return method(self, ...)
  end
end
table.sort(method_names)
M.method_names = method_names

pattern_mt.__index = function(_, name)
  local m, at = methods[name], place()
  if m then return m end
  fault(at, "a pattern has no '" .. tostring(name) .. "'" .. suggest.among(tostring(name), method_names))
end
pattern_mt.__newindex = function(_, name)
  fault(place(), "a pattern has no field '" .. tostring(name) .. "' to assign; patterns are built by calling their operators")
end
pattern_mt.__tostring = function(p) return 'pattern ' .. private[p].name end

--- Begins a pattern. Its name is also that of the state that a step with it keeps.
function M.pattern(name)
  local where = place()
  if type(name) ~= 'string' or name == '' then fault(where, "a pattern needs a name: tm.pattern 'card_testing', got " .. describe(name)) end
  if #name > 60 then fault(where, 'the name of a pattern has at most 60 characters') end
  return made { name = name, stages = {}, place = where }
end

return M
