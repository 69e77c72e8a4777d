--[[
features_set.lua - the features of some groups as functions over events: states opened, plans filled for C, the text that reads an event.

  ask(e)                      conditions are asked once an event
  read(e)                     values are read, checked and put where C finds them
  groups[i].step(e, row, t, w)    the event at hand goes into the record of its key: its results into the columns
  groups[i].copy_texts(row)   results that are texts, as strings

step(e, row, t, w) does all of it; in a loop (codegen_features.lua) C reads values and keys off the event's columns, where it is as it came.
]]

local lib = require 'tidemill.lib'
local features_plan = require 'tidemill.features_plan'
local kept = require 'tidemill.aggregates.kept'
local settings = require 'tidemill.state_settings'
local state_of = require 'tidemill.state'
local types = require 'tidemill.types'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string
local NUMBER, STRING, FALSE, TRUE = C.TM_VALUE_NUMBER, C.TM_VALUE_STRING, C.TM_VALUE_FALSE, C.TM_VALUE_TRUE

local M = {}

local ROWS = 1025            -- of columns, at first
local CONDITIONS_MAX = 100   -- they are locals of one function
local ON_FULL = { oldest = C.TM_ON_FULL_OLDEST, refuse = C.TM_ON_FULL_REFUSE, stop = C.TM_ON_FULL_STOP }

-- The event ----------------------------------------------------------------------------------

local function wrong(slot, v, wanted)
  local d = slot.d
  kept.wrong({ name = d.name, kind = 'tm.f.' .. d.kind, field = slot.field }, v, wanted)
end

-- text that puts v, which is not nil, into cell I[@]; T holds texts until the call is over
local TAKE = {
  number = "if type(v) ~= 'number' then wrong(A[@], v, 'numbers') end if not (v - v == 0LIMIT) then wrong(A[@], v, 'WANTED') end " ..
    'I[@].kind = NUMBER I[@].num = SCALED',
  key = "if type(v) == 'number' then if v ~= v then wrong(A[@], v, 'values that are equal to themselves') end " ..
    "I[@].kind = NUMBER I[@].num = v elseif type(v) == 'string' then T[@] = v I[@].kind = STRING I[@].text = v I[@].len = #v " ..
    "elseif type(v) == 'boolean' then " ..
    "I[@].kind = v and TRUE or FALSE I[@].len = 0 else wrong(A[@], v, 'numbers, texts and booleans') end",
}
TAKE.any = TAKE.key

local function take_text(i, slot)
  local text = TAKE[slot.takes]:gsub('@', tostring(i))
  text = text:gsub('SCALED', slot.scale ~= 1 and ('floor(v * %.0f + 0.5)'):format(slot.scale) or 'v')
  text = text:gsub('LIMIT', slot.most and (' and v >= -%d and v <= %d'):format(slot.most, slot.most) or '')
    :gsub('WANTED', slot.most and ('degrees from -%d to %d'):format(slot.most, slot.most) or 'finite numbers')
  return ('do local v = e[%q] if v == nil then I[%d].kind = 0 else %s end end'):format(slot.field, i, text)
end

--- Text that asks conditions and reads values.
local function taking_text(asked)
  local ask, read = {}, {}
  for i in ipairs(asked.conditions) do ask[i] = ('local c%d = W[%d](e) and 1 or 0'):format(i, i) end
  for i, slot in ipairs(asked.slots) do read[i] = take_text(i, slot) end
  return table.concat(ask, ' '), table.concat(read, ' ')
end

--- Text of a group's flags: what its conditions make together.
local function flags_text(plan, asked)
  local parts = { '0' }
  for i, fn in ipairs(asked.conditions) do
    local flag = plan.flags[asked.condition(fn)]
    if flag then parts[#parts + 1] = ('c%d * %.0f'):format(i, flag) end
  end
  return table.concat(parts, ' + ')
end

-- C's plan -----------------------------------------------------------------------------------

local function array(anchor, ctype, n)
  local a = ffi.new(ctype, math.max(n, 1))
  anchor[#anchor + 1] = a
  return a
end

local function fill_ring(r, at, field, anchor)
  local windows = array(anchor, 'struct tm_feature_window[?]', #r.windows)
  for i, w in ipairs(r.windows) do
    windows[i - 1].size, windows[i - 1].sum_from, windows[i - 1].sum_to = w.size, w.sum_from, w.sum_to
  end
  local cells = array(anchor, 'struct tm_feature_cell[?]', #r.cells)
  for i, c in ipairs(r.cells) do
    local to = cells[i - 1]
    to.at, to.slot, to.hashed, to.mask = c.at, c.slot or 0, c.hashed and 1 or 0, c.mask or 0
    to.squares, to.extremes = c.squares or 0, c.extremes or 0
  end
  at.windows, at.windows_n, at.cells, at.cells_n = windows, #r.windows, cells, #r.cells
  at.longest, at.step, at.kind = r.longest, r.step or 0, features_plan.constant('FEATURE', r.kind)
  at.field, at.at, at.max, at.flags = field, r.at, r.max, r.flag_cell
  at.show_from, at.show_to = r.show_from, r.show_to
end

local function fill_show(show, at)
  at.kind, at.window = features_plan.constant('SHOW', show.kind), show.window and show.window.index or 0
  at.sum, at.cell = show.sum and show.sum.index or -1, show.cell and show.cell.at or 0
  at.mask, at.before = show.mask, show.before and 1 or 0
  at.history = type(show.history) == 'table' and show.history.index or show.history or -2
  at.slot, at.low = show.slot or 0, show.low or 0
  at.over, at.under = show.over and show.over.index or -1, show.under and show.under.index or -1
  at.least, at.share, at.scale, at.within = show.least or 0, show.share or 0, show.scale or 1, show.within or math.huge
end

local function fill_sum(s, at)
  local cell = s.cell
  at.kind, at.at = features_plan.constant('FEATURE', s.kind), s.at
  at.cell = type(cell) == 'table' and cell.at or cell or 0
  at.low, at.mask, at.share = s.low or 0, s.mask or 0, s.share or 0
end

--- A plan as C reads it; anchor keeps what it points at.
local function plan_for_c(plan, index, values, anchor)
  local p = ffi.new 'struct tm_features'
  anchor[#anchor + 1] = p
  local rings, ranks = array(anchor, 'struct tm_feature_ring[?]', #plan.rings), 0
  for i, r in ipairs(plan.rings) do
    fill_ring(r, rings[i - 1], index['ring' .. i], anchor)
    rings[i - 1].on_full = ON_FULL[r.kind == 'STEPS' and 'oldest' or plan.group.on_full]
    for _, show in ipairs(r.shows) do
      if show.kind == 'RANK' then ranks = r.max end
    end
  end
  local sums = array(anchor, 'struct tm_feature_sum[?]', #plan.sums)
  for i, s in ipairs(plan.sums) do fill_sum(s, sums[i - 1]) end
  local shows = array(anchor, 'struct tm_feature_show[?]', #plan.shows)
  for i, show in ipairs(plan.shows) do fill_show(show, shows[i - 1]) end
  p.rings, p.sums, p.shows, p['in'] = rings, sums, shows, values
  p.aside = array(anchor, 'double[?]', plan.doubles)
  p.ranks = array(anchor, 'double[?]', ranks)
  p.ttl, p.doubles, p.rings_n = plan.group.ttl, plan.doubles, #plan.rings
  p.sums_from, p.sums_n, p.shows_from, p.shows_n = plan.sums_from, #plan.sums, plan.shows_from, #plan.shows
  return ffi.cast('struct tm_features *', p), shows
end

--- The state of a group.
local function open(plan, name)
  local numbers, refs = {}, {}
  for i = 1, plan.doubles do numbers[i] = 'd' .. i end
  for i, r in ipairs(plan.rings) do
    refs[i] = { name = 'ring' .. i, kind = 'series', cells = r.width, room = r.room > 0 and r.room or nil }
  end
  local opened = state_of.open(name, numbers, refs, { max_keys = plan.group.max_keys, on_full = plan.group.on_full },
    { kind = 'features', key = plan.group.key, migrate = plan.group.migrate, set = settings.of_features(plan.group) })
  for _, r in ipairs(plan.rings) do
    -- hashes go by a seed of the folder, so another one cannot read them
    for _, c in ipairs(r.cells) do opened.bound_here = opened.bound_here or c.hashed end
  end
  return opened
end

-- Groups -------------------------------------------------------------------------------------

--- Raises why C refused an event.
local function refuse(plan, p, s, rc)
  local group = plan.group
  if rc == C.TM_STATE_FULL and p.wrong >= 0 then
    raise('state-full', ("the features of '%s' hold %d events of this key, and no more can be (max, on_full = 'refuse')"):format(
      group.name, group.max))
  end
  state_of.failed(s, rc)
end

--- A function (e, row): the event's flags, of the conditions that C has told (known[i][row], of group i), and of those it could not,
--- which are asked.
local function flags_function(set, others, known)
  local ask, to, wheres, plans = {}, {}, {}, {}
  for n, i in ipairs(others) do
    wheres[n] = set.asked.conditions[i]
    ask[n] = ('local c%d = W[%d](e) and 1 or 0'):format(n, n)
  end
  for k, g in ipairs(set.groups) do
    plans[k] = g.p
    local parts = { ('F[%d][row]'):format(k) }
    for n, i in ipairs(others) do
      local bit = set.flag_of(g, i)
      if bit then parts[#parts + 1] = ('c%d * %.0f'):format(n, bit) end
    end
    to[k] = ('P[%d].flags = %s'):format(k, table.concat(parts, ' + '))
  end
  local fn = assert(loadstring(('local W, P, F = ... return function(e, row) %s %s end'):format(table.concat(ask, ' '),
    table.concat(to, ' ')), '=tidemill.features'))(wheres, plans, known)
  set.functions[#set.functions + 1] = fn
  return fn
end

--- The generated functions.
local function load_functions(set, asked, values)
  local ask, read = taking_text(asked)
  local wheres, slots, plans = {}, {}, {}
  for i, fn in ipairs(asked.conditions) do wheres[i] = fn end
  for i, slot in ipairs(asked.slots) do slots[i] = slot end
  local flags = {}
  for i, g in ipairs(set.groups) do
    plans[i] = g.p
    flags[i] = ('P[%d].flags = %s'):format(i, flags_text(g.plan, asked))
  end
  local chunk = ([[local W, A, I, T, P, wrong, NUMBER, STRING, TRUE, FALSE, type, floor = ...
    return function(e) %s %s end, function(e) %s end]]):format(ask, table.concat(flags, ' '), read)
  set.ask, set.read = assert(loadstring(chunk, '=tidemill.features'))(wheres, slots, values, {}, plans, wrong, NUMBER, STRING, TRUE,
    FALSE, type, math.floor)
  set.functions[#set.functions + 1], set.functions[#set.functions + 2] = set.ask, set.read
  for _, fn in ipairs(wheres) do set.functions[#set.functions + 1] = fn end
end

--- A function that gives the record of the event's key in a group's state; nil: a part of the key is missing.
local function record_finder(g)
  local text = {}
  for i, name in ipairs(g.names) do
    text[i] = ('v = e[%q] if v == nil then return nil end if rc == 0 then rc = add(v) end'):format(name)
  end
  return assert(loadstring(([[local key, ptr, add, failed, C = ... return function(e)
    key.len = 0 local rc, v = 0 %s if rc ~= 0 then failed(ptr, rc) end
    local r = C.tm_ffi_state_write(ptr, key) if r == nil then failed(ptr, ptr.code) end return r end]]):format(table.concat(text, ' ')),
    '=tidemill.features'))(state_of.key, g.state.ptr, state_of.add_part, state_of.failed, C)
end

local STEP = C.tm_ffi_features_step

--- What a group does with an event.
local function group_functions(set, g)
  local p, ptr, plan, texts, find = g.p, g.state.ptr, g.plan, {}, record_finder(g)
  set.functions[#set.functions + 1] = find
  for i, column in ipairs(set.columns) do
    if column.owner == g and (column.type == 'text' or column.type == 'any') then
      texts[#texts + 1] = { column = i, value = g.shows[column.show.index] }
    end
  end
  function g.copy_texts(row)
    for _, t in ipairs(texts) do
      local v, known = t.value.value, set.known[t.column][row]
      local to = set.text[t.column]
      if known == 0 then to[row] = nil
      elseif v.kind == STRING then to[row] = ffi_string(v.text, v.len)
      elseif v.kind == NUMBER then to[row] = v.num
      else to[row] = v.kind == TRUE end
    end
  end
  g.has_texts = #texts > 0
  function g.failed(rc) refuse(plan, p, ptr, rc) end
  function g.step(e, row, t, w)
    local r = find(e)
    if r ~= nil then
      local rc = STEP(p, ptr, r, t, w, row)
      if rc ~= 0 then refuse(plan, p, ptr, rc) end
    else
      for i = 0, p.shows_n - 1 do g.shows[i].known[row] = 0 end
    end
    if g.has_texts then g.copy_texts(row) end
  end
end

-- Sets ---------------------------------------------------------------------------------------

local function typ_function(schema)
  if type(schema) == 'function' then return schema end
  local parsed = {}
  for field, name in pairs(schema or {}) do parsed[field] = types.parse(name) end
  return function(field) return parsed[field] end
end

--- Room for the results of so many events.
local function grow(set, rows)
  set.rows = rows
  local numbers, known = {}, {}
  for i, column in ipairs(set.columns) do
    local show = column.owner.shows[column.show.index]
    local at = column.owner.name .. column.show.index
    if not numbers[at] then
      local n, k = ffi.new('double[?]', rows), ffi.new('uint8_t[?]', rows)
      set.anchor[at] = { n, k }
      numbers[at], known[at] = ffi.cast('double *', n), ffi.cast('uint8_t *', k)
      show.number, show.known = n, k
    end
    set.number[i], set.known[i] = numbers[at], known[at]
  end
  -- results that only others are made of
  for _, g in ipairs(set.groups) do
    for i = 0, #g.plan.shows - 1 do
      if not numbers[g.name .. i] then
        local n, k = ffi.new('double[?]', rows), ffi.new('uint8_t[?]', rows)
        set.anchor[g.name .. i] = { n, k }
        g.shows[i].number, g.shows[i].known = n, k
      end
    end
  end
end

local Set = {}
Set.__index = Set

--- Columns for n events, before the first step of a batch. Pointers of number and known may be others behind it.
function Set:batch(n)
  if n > self.rows then grow(self, n) end
end

--- The event of a row was decided: features that read the pack's own decisions of its key count it from now on.
---@param row number of a step of this batch
---@param decision string
function Set:decided(row, decision)
  for _, g in ipairs(self.groups) do
    local key, flag = g.keys and g.keys[row], g.plan.decisions[decision]
    if key ~= nil and (flag or g.counts_all) then
      local ptr = g.state.ptr
      local r = state_of.record_of(ptr, key, g.names)
      if r == nil then state_of.failed(ptr, ptr.code) end
      local rc = C.tm_ffi_features_decided(g.p, ptr, r, g.times[row], g.marks[row], flag or 0)
      if rc ~= 0 then refuse(g.plan, g.p, ptr, rc) end
    end
  end
end

--- The key of the event at hand, for `decided`.
local function keep_key(g, e, row, t, w)
  local names = g.names
  g.times[row], g.marks[row] = t, w
  if #names == 1 then
    g.keys[row] = e[names[1]]
    return
  end
  local key = {}
  for _, name in ipairs(names) do
    key[name] = e[name]
    if key[name] == nil then
      g.keys[row] = nil
      return
    end
  end
  g.keys[row] = key
end
local function step_of(set)
  local groups, ask, read = set.groups, set.ask, set.read
  local function step(e, row, t, w)
    ask(e)
    read(e)
    for _, g in ipairs(groups) do
      g.step(e, row, t, w)
      if g.keys then keep_key(g, e, row, t, w) end
    end
  end
  return step
end

--- What a group's record says as it stands, in order of the columns; NULL: nothing, or too little yet.
local function look_at(set, asked, values, g, record)
  local found = {}
  for i = 1, #asked.slots do values[i].kind = 0 end
  C.tm_ffi_features_look(g.p, g.state.ptr, record, 0)
  for n, i in ipairs(g.indices) do
    local column = set.columns[i]
    local number, value = set.number[i][0], g.shows[column.show.index].value
    found[n] = number
    if set.known[i][0] ~= 1 then found[n] = lib.NULL
    elseif set.text[i] and value.kind == STRING then found[n] = ffi_string(value.text, value.len)
    elseif column.type == 'bool' or set.text[i] and value.kind ~= NUMBER then found[n] = number == 1 end
  end
  return unpack(found, 1, #g.indices)
end

--- A function that reads the fields of all keys, by which a view learns their names.
local function key_reader(set)
  local lines = {}
  for _, g in ipairs(set.groups) do
    for _, name in ipairs(g.names) do lines[#lines + 1] = ('n = e[%q]'):format(name) end
  end
  return assert(loadstring('return function(e) local n ' .. table.concat(lines, ' ') .. ' return n end', '=tidemill.features'))()
end

--- Opens the states of groups, and makes the functions over events.
---@param groups table list of features.group
---@param schema table|function|nil field -> name of its type; or a function from a field to its declared type or nil
---@param ctx table { name: states are called name .. '/features/' .. group; or state_name = function(group) }
---@return table set { columns, number, known, text, step, take, groups, functions, adders, reads_decisions, memory }
function M.compile(groups, schema, ctx)
  local typ_of, asked = typ_function(schema), features_plan.asked()
  local set = setmetatable({ groups = {}, columns = {}, number = {}, known = {}, text = {}, functions = {}, adders = {}, anchor = {},
    rows = 0, reads_decisions = false }, Set)
  for i, group in ipairs(groups) do
    local plan = features_plan.plan(group, typ_of, asked)
    set.groups[i] = { name = group.name, names = group.key, group = group, plan = plan, indices = {} }
  end
  if #asked.conditions > CONDITIONS_MAX then
    raise('script', ('%s: the features have %d different conditions, at most %d can be'):format(groups[1].place, #asked.conditions,
      CONDITIONS_MAX))
  end
  local values = array(set.anchor, 'struct tm_value[?]', #asked.slots + 1)
  for _, g in ipairs(set.groups) do
    local name = ctx.state_name and ctx.state_name(g.name) or ctx.name .. '/features/' .. g.name
    g.state = open(g.plan, name)
    g.p, g.shows = plan_for_c(g.plan, g.state.index, values, set.anchor)
    for _, column in ipairs(g.plan.columns) do
      column.owner, column.group = g, g.name
      set.columns[#set.columns + 1] = column
      g.indices[#g.indices + 1] = #set.columns
      if column.type == 'text' or column.type == 'any' then set.text[#set.columns] = {} end
      if column.decisions then
        g.keys, g.times, g.marks, set.reads_decisions = {}, {}, {}, true
        g.counts_all = g.counts_all or column.show.kind == 'EVENTS'
      end
    end
  end
  set.asked, set.values = asked, ffi.cast('struct tm_value *', values)
  load_functions(set, asked, values)
  set.functions[#set.functions + 1] = key_reader(set)
  grow(set, ROWS)
  for _, g in ipairs(set.groups) do group_functions(set, g) end
  set.step = step_of(set)
  set.flags_function = flags_function
  --- The bit of the i-th condition in the flags of a group; nil: it does not ask for it.
  function set.flag_of(g, i) return g.plan.flags[asked.condition(asked.conditions[i])] end
  function set.look(g, record) return look_at(set, asked, values, g, record) end
  function set.keeper(g)
    return function(e, row, t, w) keep_key(g, e, row, t, w) end
  end
  return set
end

return M
