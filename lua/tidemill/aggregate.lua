--[[
aggregate.lua - tm.agg: what scripts declare, and how a step's list of aggregates becomes functions over records.

An aggregate is a passive description until a step compiles its list (compile): then each gets cells in the step's
record, and text of its own in one function that updates them all, so that the loop's trace holds nothing but loads,
additions and stores. aggregates/* have the parts: what is kept for each kind, how an event changes it, how two records
become one, what a row shows. A nil is skipped, another type than needed fails the event.

A part: cells(a, layout) declares what is kept; update(a) is text that takes the value v (without a field: the event e), merge(a)
takes what record r2 of state s2 holds, unupdate(a) takes v back (parts without it cannot), result(a) is the expression a row
shows. group(a) may name a group of aggregates of a field that are kept together, whose list is a.group then; joint(a) is update for all
of it: those with a bit of `marks` take the value. time, arrival: the text uses t, the event's time, or seq, which counts updates. In
texts @ is the number of the aggregate, #x@ the index of its reference x, A@ the description; r the record, s the state.
]]

local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local duration = require 'tidemill.duration'

local M = {}
local made = setmetatable({}, { __mode = 'k' })   -- what tm.agg.… returned -> its description

local MOST = 100          -- aggregates of one step: a row's values are locals of one function
local LISTED = 10000      -- rows of a list at most

-- Descriptions ----------------------------------------------------------------

local function fault(d, ...) stream.fault(d.place, 'tm.agg.' .. d.kind .. table.concat { ... }) end

local function is_whole(v, least, most) return type(v) == 'number' and v % 1 == 0 and v >= least and v <= most end

--- An aggregate of that kind; `members` of it, what check(d, options) adds. Options are those of its entry in the catalog.
local function describe(kind, members, options, check)
  local d = { kind = kind, place = stream.place() }
  for k, v in pairs(members) do d[k] = v end
  options = stream.options(d.place, 'tm.agg.' .. kind, options)
  if options.where ~= nil and type(options.where) ~= 'function' then
    fault(d, ": option 'where' takes a function(e), got ", stream.describe(options.where))
  end
  d.where = options.where
  if options.over ~= nil then d.over = stream.ms_of(d.place, 'tm.agg.' .. kind .. ": 'over'", options.over, 'positive') end
  if check then check(d, options) end
  local agg = setmetatable({}, { __metatable = 'aggregate' })
  made[agg] = d
  return agg
end

local function need_field(d, example)
  if type(d.field) ~= 'string' or d.field == '' then
    fault(d, ' takes the name of a field: tm.agg.', d.kind, example or " 'amount'", '; got ', stream.describe(d.field))
  end
end

--- A whole number of an option, or its default.
local function whole(d, options, name, default, least, most)
  local v = options[name]
  if v == nil then return default end
  if not is_whole(v, least, most) then
    fault(d, (": option '%s' is a whole number from %d to %d, got "):format(name, least, most), stream.describe(v))
  end
  return v
end

M.agg = {}
--- How many events.
function M.agg.count(options) return describe('count', {}, options) end
for _, kind in ipairs { 'sum', 'avg', 'var', 'stddev', 'min', 'max', 'first', 'last' } do
  M.agg[kind] = function(field, options) return describe(kind, { field = field }, options, function(d) need_field(d) end) end
end

--- The field `pick` of the event in which a field is least or greatest; a list: an object of fields; nothing: the event.
local function at_extreme(kind)
  return function(field, pick, options)
    if type(pick) == 'table' and pick[1] == nil and options == nil then pick, options = nil, pick end
    return describe(kind, { field = field, pick = pick }, options, function(d)
      need_field(d, "('amount', 'card')")
      local ok = pick == nil or (type(pick) == 'string' and pick ~= '')
      if type(pick) == 'table' then
        ok = #pick > 0
        for i = 1, #pick do ok = ok and type(pick[i]) == 'string' and pick[i] ~= '' end
      end
      if not ok then fault(d, " picks a field, a list of fields or nothing, which is the event; got ", stream.describe(pick)) end
    end)
  end
end
M.agg.argmin, M.agg.argmax = at_extreme 'argmin', at_extreme 'argmax'

--- The values of a field, or without one the events, as a list in order of time, then arrival.
function M.agg.collect(field, options)
  if type(field) == 'table' and options == nil then field, options = nil, field end
  return describe('collect', { field = field }, options, function(d, o)
    if field ~= nil then need_field(d, "('amount', { max = 100 })") end
    d.max = whole(d, o, 'max', LISTED, 1, LISTED * 10)
  end)
end

--- The n largest values of a field.
function M.agg.top(n, field, options)
  return describe('top', { field = field, size = n }, options, function(d, o)
    if not is_whole(n, 1, LISTED) then
      fault(d, " takes how many values, from 1 to ", LISTED, ", and a field: tm.agg.top(3, 'amount'); got ", stream.describe(n))
    end
    need_field(d, "(3, 'amount')")
    d.order = o.order or 'desc'
  end)
end

--- How many different values, exactly.
function M.agg.distinct(field, options)
  return describe('distinct', { field = field }, options, function(d, o)
    need_field(d)
    d.max = whole(d, o, 'max', nil, 1, 1e8)
  end)
end

--- How many different values, about.
function M.agg.approx_distinct(field, options)
  return describe('approx_distinct', { field = field }, options, function(d, o)
    need_field(d)
    d.precision = whole(d, o, 'precision', 13, 8, 16)
  end)
end

--- The value below which a share of all values lies.
function M.agg.quantile(field, share, options)
  return describe('quantile', { field = field, share = share }, options, function(d, o)
    need_field(d, "('amount', 0.95)")
    if type(share) ~= 'number' or not (share >= 0 and share <= 1) then
      fault(d, " takes a share from 0 to 1: tm.agg.quantile('amount', 0.95); got ", stream.describe(share))
    end
    d.error = o.error == nil and 0.01 or o.error
    if not (d.error >= 0.001 and d.error <= 0.5) then
      fault(d, ": option 'error' is a share from 0.001 to 0.5, such as 0.01 for 1 %; got ", stream.describe(o.error))
    end
  end)
end

--- The n values of a field that come most often.
function M.agg.heavy_hitters(field, n, options)
  if type(n) == 'table' and options == nil then n, options = nil, n end
  return describe('heavy_hitters', { field = field, size = n or 10 }, options, function(d, o)
    need_field(d, "('card', 10)")
    if not is_whole(d.size, 1, 1000) then
      fault(d, " takes how many values, from 1 to 1000: tm.agg.heavy_hitters('card', 10); got ", stream.describe(n))
    end
    d.counters = whole(d, o, 'counters', math.max(100, 10 * d.size), d.size, LISTED)
  end)
end

--- The mean of a field in which an event counts half as much as one that is half_life later.
function M.agg.ewma(field, options)
  return describe('ewma', { field = field }, options, function(d, o)
    need_field(d, "('amount', { half_life = '5m' })")
    if o.half_life == nil then fault(d, " needs a half-life: tm.agg.ewma('amount', { half_life = '5m' })") end
    local ms, why = duration.parse(o.half_life)
    if not ms or ms <= 0 then
      fault(d, ": option 'half_life' is a duration above 0 such as '5m': ", why or 'got ' .. stream.describe(o.half_life))
    end
    d.half_life = ms
  end)
end

--- An aggregate of functions: init (or a value), add(acc, e), merge(a, b), result(acc).
function M.agg.custom(options)
  return describe('custom', {}, options, function(d, o)
    if o.init == nil then fault(d, ' needs init: the first accumulator, or a function that returns it') end
    if type(o.add) ~= 'function' then fault(d, ' needs add = function(acc, e) … return acc end, got ', stream.describe(o.add)) end
    for _, name in ipairs { 'merge', 'result' } do
      if o[name] ~= nil and type(o[name]) ~= 'function' then
        fault(d, (": option '%s' takes a function, got "):format(name), stream.describe(o[name]))
      end
    end
    d.init, d.add, d.merge_fn, d.result_fn = o.init, o.add, o.merge, o.result
  end)
end

--- The list a step was given, in byte order of the names: copies of the descriptions with their names.
function M.list(where, what, given)
  if type(given) ~= 'table' or stream.record(given) then
    stream.fault(where, what .. ' takes a table { name = tm.agg.count(), … }, got ' .. stream.describe(given))
  end
  local list = {}
  for name, agg in pairs(given) do
    if type(name) ~= 'string' then stream.fault(where, what .. ': every aggregate needs a name, found ' .. stream.describe(name)) end
    local d = made[agg]
    if not d then
      stream.fault(where, what .. ": '" .. name .. "' must be an aggregate, such as tm.agg.count(), got " .. stream.describe(agg))
    end
    if d.over and what ~= 'over' then
      stream.fault(d.place, ("tm.agg.%s: 'over' goes with :over('name', { … }), not with %s"):format(d.kind, what))
    end
    local copy = { name = name }
    for k, v in pairs(d) do copy[k] = v end
    list[#list + 1] = copy
  end
  if #list == 0 then stream.fault(where, what .. ' takes at least one aggregate') end
  if #list > MOST then stream.fault(where, ('%s takes at most %d aggregates, got %d; use several steps'):format(what, MOST, #list)) end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- Refuses a list that cannot be merged, for a step that merges records (sessions, hopping windows).
function M.need_merge(list, where, what)
  for _, a in ipairs(list) do
    if a.kind == 'custom' and not a.merge_fn then
      stream.fault(where, ("%s merges what it kept, so '%s' (tm.agg.custom at %s) needs merge = function(a, b) … return acc end")
        :format(what, a.name, a.place))
    end
  end
end

-- Compiling -----------------------------------------------------------------------

local Layout = {}
Layout.__index = Layout
function Layout:number(name) self.numbers[#self.numbers + 1] = name end
--- What hangs off the record: { name, kind, … } as state.open takes it.
function Layout:ref(ref)
  self.refs[#self.refs + 1] = ref
  self.index[ref.name] = #self.refs - 1
end
function Layout:text(name) self:ref { name = name, kind = 'text', of = 'string' } end
--- A number v, its kind k, a text t.
function Layout:value(n)
  self:number('v' .. n)
  self:number('k' .. n)
  self:text('t' .. n)
end

-- loaded when a list is compiled: they need the host's side of state
local parts, shared
local function load_parts()
  parts, shared = {}, {}
  for _, name in ipairs { 'numbers', 'values', 'lists', 'sketches', 'custom', 'events' } do
    local file = require('tidemill.aggregates.' .. name)
    for kind, p in pairs(file.part) do parts[kind] = p end
    for k, v in pairs(file.shared) do shared[k] = v end
  end
  shared.wrong, shared.NULL, shared.type = require('tidemill.aggregates.kept').wrong, lib.NULL, type
end

local Aggregate = {}
Aggregate.__index = Aggregate

--- A field's name in the text of a part; the name itself is put in last, as it may hold anything.
function Aggregate:name_text(name)
  self.names[#self.names + 1] = name
  return 'F' .. #self.names .. 'F'
end

local function final_text(a, layout, text)
  text = text:gsub('A@', 'A[@]'):gsub('#(%l)@', function(c) return layout.index[c .. a.n] end):gsub('@', a.n)
  return (text:gsub('%s*\n%s*', ' '):gsub('F(%d+)F', function(i) return (('%q'):format(a.names[tonumber(i)]):gsub('\n', 'n')) end))
end

local function prepare(a, n, typ_of, options)
  setmetatable(a, Aggregate)
  local typ = a.field and typ_of(a.field)
  a.n, a.names = n, {}
  a.places = typ and typ.places or 0
  a.scale = 10 ^ a.places
  a.int64 = typ and typ.digits or false
  a.timed, a.merges, a.retracts = options.timed ~= false, options.merges ~= false, options.retracts or false
end

--- Gives aggregates that are kept together one list, a.group, at most eight in one.
local function group(list)
  local groups = {}
  for _, a in ipairs(list) do
    local part = parts[a.kind]
    local name = part.group and part.group(a)
    if name then
      local g = groups[name]
      if not g or #g == 8 then
        g = {}
        groups[name] = g
      end
      g[#g + 1], a.group = a, g
    end
  end
end

--- Text that gives the first aggregate of a group the value for all of it; nil: a is not the first.
local function joint_text(a, field, take)
  local tests, always = {}, 0
  if a.group[1] ~= a then return nil end
  for i, member in ipairs(a.group) do
    if not member.test then always = always + 2 ^ (i - 1)
    else tests[#tests + 1] = ('if %s then marks = marks + %d end'):format(member.test, 2 ^ (i - 1)) end
  end
  return ('local marks = %d %s if marks ~= 0 then local v = e[%s] if v ~= nil then %s end end'):format(always,
    table.concat(tests, ' '), field, take)
end

--- Names what tells for which events each aggregate counts (a.test), and returns the text that asks. Functions that several share are
--- asked once an event and before all; not where a function of the list may change the event in between.
local function tests_text(list, arg, all)
  local names, text, changes = {}, {}, #list > MOST / 2   -- a function has at most 200 locals
  for _, a in ipairs(list) do changes = changes or a.kind == 'custom' end
  for n, a in ipairs(list) do
    local where = a.where
    if where then
      local known = names[where]
      if not known then
        -- a function has at most 60 variables from outside
        known = n <= 20 and 'w' .. n or 'W[' .. n .. ']'
        all[n], names[where] = where, known
        if n <= 20 then arg(known, where) end
        if not changes then text[#text + 1] = ('local c%d = %s(e)'):format(n, known) end
      end
      a.test = changes and known .. '(e)' or 'c' .. known:match '%d+'
    end
  end
  return table.concat(text, ' ') .. ' '
end

local UNTOLD = { name = true, place = true, kind = true, field = true, n = true, scale = true, timed = true, merges = true, retracts = true,
  test = true, can_retract = true, over = true, slides = true, window = true, cell = true, low = true, at = true }

--- What the script says of an aggregate, and with which others it is kept together: "sum of 'amount' (places 2)".
local function declared_text(a)
  local more = {}
  for k, v in pairs(a) do
    local t = type(v)
    if t == 'table' and k == 'group' then
      for _, member in ipairs(v) do if member ~= a then more[#more + 1] = "beside '" .. member.name .. "'" end end
    elseif not UNTOLD[k] and (t == 'number' and not (k == 'places' and v == 0) or t == 'string' or v == true) then
      more[#more + 1] = k .. ' ' .. tostring(v)
    end
  end
  table.sort(more)
  return a.kind .. (type(a.field) == 'string' and " of '" .. a.field .. "'" or '') ..
    (more[1] and ' (' .. table.concat(more, ', ') .. ')' or '')
end

local BEGIN = { time = 'if t ~= t then t = -1e308 end ', arrival = 'seq = seq + 1 ' }

--- What compiling needs, for others that do it (slide.lua): parts by kind, what their texts call, an empty layout, and
--- prepare(a, n, typ_of, options), final_text(a, layout, text).
function M.pieces()
  if not parts then load_parts() end
  return { parts = parts, shared = shared, layout = setmetatable({ numbers = {}, refs = {}, index = {} }, Layout), prepare = prepare,
    final_text = final_text, declared_text = declared_text }
end

--- Which cells are whose, for state_layout.lua.
local function words_of(list, layout)
  local of, declared = {}, {}
  local function add(name)
    local part, n = name:match '^(%a+)(%d+)$'
    if n then of[name] = { list[tonumber(n)].name, nil, part } end
  end
  for _, name in ipairs(layout.numbers) do add(name) end
  for _, ref in ipairs(layout.refs) do add(ref.name) end
  for i, a in ipairs(list) do declared[i] = { a.name, declared_text(a) } end
  return of, declared
end

--- Compiles a list of aggregates for one step.
---@param list table of M.list
---@param typ_of function field -> its declared type, or nil
---@param options table|nil timed = false: events have no time, t is not looked at; merges = false: records are never merged;
---   retracts: values are taken back. What is not needed costs no cells.
---@return table compiled
---   numbers: names of the record's number cells; refs: what hangs off it, for state.open. These come first in the record's refs
---   update(e, r, s, t): an event at time t (NaN: none) goes into record r of state s, which is announced
---   results(r, s): one value for each of the list
---   merge(r, s, r2, s2): r takes in all that r2 holds, which is only read; nil with merges = false
---   values(e): with retracts, one value for each, nil where the event is skipped; add(r, s, t, v1, …): the same as update with them;
---     unupdate(r, s, v1, …): takes them back. nil if one of the list cannot: see list[i].can_retract
---   in each of the list, row: where C finds its value in the record { kind, scale, names of cells }; nil: only results() tells
---   arrivals(n): how many updates there were, after setting that to n unless it is nil; nil: they are not counted
---   of, declared: what cells and aggregates are, for state_layout.lua
---   functions: those that read the event, their first parameter; adders: the same of their second
function M.compile(list, typ_of, options)
  if not parts then load_parts() end
  options = options or {}
  local layout = setmetatable({ numbers = {}, refs = {}, index = {} }, Layout)
  local names, args, functions, adders, begins = { 'A', 'W' }, { list, {} }, {}, {}, {}
  local function arg(name, v)
    names[#names + 1], args[#args + 1] = name, v
  end
  local text = { update = {}, results = {}, merge = {}, values = {}, add = {}, unupdate = {} }
  local retracts = options.retracts or false
  for n, a in ipairs(list) do prepare(a, n, typ_of, options) end
  group(list)
  local tests = tests_text(list, arg, args[2])
  for n, a in ipairs(list) do
    local part = parts[a.kind]
    part.cells(a, layout)
    a.can_retract, a.row = part.unupdate ~= nil, part.row and part.row(a)
    retracts = retracts and a.can_retract
    if a.where then functions[#functions + 1] = a.where end
    if a.add then adders[#adders + 1] = a.add end
    if (part.time and a.timed) or a.kind == 'ewma' then begins.time = BEGIN.time end
    if part.arrival then begins.arrival = BEGIN.arrival end
    local function finish(s) return final_text(a, layout, s) end
    local take, field = a.group and part.joint(a) or part.update(a), a.field and a:name_text(a.field)
    local text_of
    if a.group then
      text_of = joint_text(a, field, take) or ''
    else
      text_of = field and ('local v = e[%s] if v ~= nil then %s end'):format(field, take) or take
      if a.test then text_of = ('if %s then %s end'):format(a.test, text_of) end
    end
    text.update[n] = finish('do ' .. text_of .. ' end')
    text.results[n] = finish(part.result(a))
    text.merge[n] = finish('do ' .. part.merge(a) .. ' end')
    if a.can_retract then
      text.values[n] = finish(('local x@ %s x@ = %s end'):format(a.test and 'if ' .. a.test .. ' then' or 'do',
        field and 'e[' .. field .. ']' or 'true'))
      text.add[n] = finish('if x@ ~= nil then local v = x@ ' .. take .. ' end')
      text.unupdate[n] = finish('if x@ ~= nil then local v = x@ ' .. part.unupdate(a) .. ' end')
    end
  end
  local values = {}
  for n = 1, #list do values[n] = 'x' .. n end
  values = table.concat(values, ', ')
  local begin = (begins.time or '') .. (begins.arrival or '')
  local function joined(which) return table.concat(text[which], ' ') end
  local made_of = {
    ('function(e, r, s, t) %s%s end'):format(begin .. tests, joined 'update'),
    ('function(r, s) return %s end'):format(table.concat(text.results, ', ')),
    options.merges ~= false and ('function(r, s, r2, s2) %s end'):format(joined 'merge') or 'nil',
    retracts and ('function(e) %s return %s end'):format(tests .. joined 'values', values) or 'nil',
    retracts and ('function(r, s, t, %s) %s%s end'):format(values, begin, joined 'add') or 'nil',
    retracts and ('function(r, s, %s) %s end'):format(values, joined 'unupdate') or 'nil',
    begins.arrival and 'function(n) if n then seq = n end return seq end' or 'nil',
  }
  local body = table.concat(made_of, ', ')
  for name, v in pairs(shared) do
    if body:find('%f[%w_]' .. name .. '%f[^%w_]') then arg(name, v) end
  end
  local chunk = ('local %s = ... local seq = 0 return %s'):format(table.concat(names, ', '), body)
  local update, results, merge, values_of, add, unupdate, arrivals = assert(loadstring(chunk, '=tidemill.aggregate'))(unpack(args))
  functions[#functions + 1] = update
  local of, declared = words_of(list, layout)
  return { of = of, declared = declared,
    numbers = layout.numbers, refs = layout.refs, update = update, results = results, merge = merge, values = values_of,
    add = add, unupdate = unupdate, functions = functions, adders = adders, arrivals = arrivals }
end

return M
