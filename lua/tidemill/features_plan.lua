--[[
features_plan.lua - how the features of a group lie in a record: rings of entries, windows over them, sums of windows, results.

All features over the same ring share its entries, and those that add up the same field under the same condition over the same window
share one sum (sum, avg and stddev too). Two features that are equal in all but their names are one result. What C makes of it:
host/aggregate/feature.c; struct tm_features of abi.h is filled from this by features_set.lua.

  plan    { group, rings, sums, shows, doubles, columns, flags }
  ring    { kind, step, windows, cells, sums, shows, width (cells of an entry), flag_cell, max, longest }
  sum     { kind, window, cell, mask, at, doubles }         cell: of a ring, or nil where all events count
  show    { kind, ring, window, sum, cell, mask, before, history, … }
]]

local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local duration = require 'tidemill.duration'
local bit, C = lib.bit, lib.C

local M = {}

local FLAGS_MAX = 32
local WIDTH_MAX = 64        -- cells of an entry
local DOUBLES_MAX = 2000    -- of a record
local ROOM = 2              -- entries that lie in the record

local LEVEL = { 'NUMBER', 'TOTAL', 'SQUARES', NUMBER = 1, TOTAL = 2, SQUARES = 3 }
local DOUBLES = { NUMBER = 1, TOTAL = 3, SQUARES = 6, LEAST = 2, GREATEST = 2, VALUES = 1, EWMA = 3, FIRST = 2, LATEST = 2, PLACE = 4 }

local function fault(d, message) stream.fault(d.place, ("'%s': tm.f.%s %s"):format(d.name, d.kind, message)) end

-- Fields -----------------------------------------------------------------------------------

local NO_NUMBER = { string = true, boolean = true, any = false }

--- The declared type of a field that has to hold numbers; its scale.
local function scale_of(d, field, typ_of)
  local typ = typ_of(field)
  if typ and typ.digits then
    fault(d, ("adds up numbers, and the schema has '%s' as int64, whose digits a number may not hold; declare it integer or decimal(0)")
      :format(field))
  elseif typ and NO_NUMBER[typ.name] then
    fault(d, ("takes numbers, and the schema has '%s' as %s"):format(field, typ.name))
  end
  return typ and typ.places and 10 ^ typ.places or 1
end

local COLUMN = { string = 'text', boolean = 'bool' }

local function column_type(d, typ_of)
  if d.kind == 'has' then return 'bool' end
  if d.kind ~= 'last' then return 'number' end
  local typ = typ_of(d.field)
  if not typ or typ.name == 'any' then return 'any' end
  return typ.digits and 'text' or COLUMN[typ.name] or 'number'
end

-- Conditions, values ------------------------------------------------------------------------

--- What several groups ask of an event: conditions and values, each once.
---@return table asked { conditions: list of functions; slots: list of { takes, field, scale, d } }
function M.asked()
  local asked = { conditions = {}, slots = {}, by_name = {} }

  --- What tells a condition: functions with the same instructions that have nothing from outside are the same.
  local function name_of(fn)
    local ok, text = pcall(string.dump, fn, true)
    if ok and not debug.getupvalue(fn, 1) then return text end
    return fn
  end

  --- The number of a condition, from 1.
  function asked.condition(fn)
    local name = name_of(fn)
    if not asked.by_name[name] then
      asked.conditions[#asked.conditions + 1] = fn
      asked.by_name[name] = #asked.conditions
    end
    return asked.by_name[name]
  end

  --- The number of a value, from 1. takes: 'number', 'key' or 'any'.
  function asked.slot(d, takes, field, scale)
    for i, s in ipairs(asked.slots) do
      if s.takes == takes and s.field == field and s.scale == scale then return i end
    end
    asked.slots[#asked.slots + 1] = { takes = takes, field = field, scale = scale, d = d }
    return #asked.slots
  end
  return asked
end

-- Rings --------------------------------------------------------------------------------------

local Plan = {}
Plan.__index = Plan

function Plan:ring(kind, step)
  for _, r in ipairs(self.rings) do
    if r.kind == kind and r.step == step then return r end
  end
  local r = { kind = kind, step = step, windows = {}, cells = {}, sums = {}, shows = {}, max = self.group.max }
  self.rings[#self.rings + 1] = r
  return r
end

local function window_of(r, size)
  for _, w in ipairs(r.windows) do
    if w.size == size then return w end
  end
  local w = { size = size }
  r.windows[#r.windows + 1] = w
  return w
end

--- A cell of a ring's entries; of a ring of steps those of a source, which has the condition in it.
local function cell_of(r, slot, hashed, mask)
  if r.kind ~= 'STEPS' then mask = nil end
  for _, c in ipairs(r.cells) do
    if c.slot == slot and c.hashed == hashed and c.mask == mask then return c end
  end
  local c = { slot = slot, hashed = hashed, mask = mask }
  r.cells[#r.cells + 1] = c
  return c
end

--- A sum of a window, made or found. Of NUMBER, TOTAL and SQUARES there is one, the one that has most.
local function sum_of(r, window, kind, cell, mask)
  if r.kind == 'STEPS' then mask = 0 end
  for _, s in ipairs(r.sums) do
    if s.window == window and s.cell == cell and s.mask == mask then
      if s.kind == kind then return s end
      if LEVEL[kind] and LEVEL[s.kind] then
        s.kind = LEVEL[math.max(LEVEL[kind], LEVEL[s.kind])]
        return s
      end
    end
  end
  local s = { kind = kind, window = window, cell = cell, mask = mask }
  r.sums[#r.sums + 1] = s
  return s
end

--- The bit of a condition, or of the name of a decision; 0: there is none.
local function flag_of(d, flags, name)
  if name == nil then return 0 end
  if not flags[name] then
    if flags.n == FLAGS_MAX then fault(d, ('is one condition too many, a group has at most %d different ones'):format(FLAGS_MAX)) end
    flags[name], flags.n = 2 ^ flags.n, flags.n + 1
  end
  return flags[name]
end

-- Features -----------------------------------------------------------------------------------

local SUM = { sum = 'TOTAL', avg = 'TOTAL', stddev = 'SQUARES', min = 'LEAST', max = 'GREATEST' }
local SHOW = { sum = 'TOTAL', avg = 'AVERAGE', stddev = 'DEVIATION', min = 'EXTREME', max = 'EXTREME', quantile = 'RANK' }

local windowed = {}

function windowed.count(_, d, r, w, show)
  show.history = d.min_history and -1
  if r.kind == 'EVENTS' and show.mask == 0 then
    show.kind = 'EVENTS'
    return
  end
  show.kind, show.cell = 'N', r.kind == 'STEPS' and cell_of(r, nil, nil, show.mask) or nil
  show.sum = sum_of(r, w, 'NUMBER', show.cell, show.mask)
  show.history = d.min_history and show.sum
end

local function of_number(plan, d, r, w, show)
  show.scale = scale_of(d, d.field, plan.typ_of)
  show.cell = cell_of(r, plan.asked.slot(d, 'number', d.field, show.scale), nil, show.mask)
  show.kind = SHOW[d.kind]
  if SUM[d.kind] then show.sum = sum_of(r, w, SUM[d.kind], show.cell, show.mask) end
  show.share = d.share
  show.history = d.min_history and sum_of(r, w, 'NUMBER', show.cell, show.mask)
end
for _, kind in ipairs { 'sum', 'avg', 'stddev', 'min', 'max', 'quantile' } do windowed[kind] = of_number end

function windowed.distinct(plan, d, r, w, show)
  show.cell = cell_of(r, plan.asked.slot(d, 'key', d.field, 1), true)
  show.kind, show.sum, show.share = 'N', sum_of(r, w, 'VALUES', show.cell, show.mask), d.max or 0
  show.history = d.min_history and sum_of(r, w, 'NUMBER', show.cell, show.mask)
end

function windowed.has(plan, d, r, w, show)
  show.slot = plan.asked.slot(d, 'key', d.field, 1)
  show.cell, show.kind, show.before = cell_of(r, show.slot, true), 'SEEN', true
  show.history = d.min_history and sum_of(r, w, 'NUMBER', show.cell, show.mask)
end

function windowed.last(plan, d, r, w, show)
  show.cell, show.kind = cell_of(r, plan.asked.slot(d, 'any', d.field, 1), nil), 'LAST'
  show.history = d.min_history and sum_of(r, w, 'NUMBER', show.cell, show.mask)
end

function windowed.first_seen(_, _, _, _, show) show.kind = 'FIRST_TIME' end

function windowed.decisions(plan, d, r, w, show)
  show.kind = 'EVENTS'
  if not d.names then return end
  show.mask = 0
  for _, name in ipairs(d.names) do show.mask = bit.bor(show.mask, flag_of(d, plan.decisions, name)) end
  if show.mask < 0 then show.mask = show.mask + 2 ^ 32 end
  show.kind, show.sum = 'N', sum_of(r, w, 'NUMBER', nil, show.mask)
end

local traces = {}

--- What is kept of all events, made or found.
function Plan:trace(kind, members)
  for _, s in ipairs(self.traces) do
    if s.kind == kind and s.cell == members.cell and s.low == members.low and s.mask == members.mask and s.share == members.share then
      return s
    end
  end
  members.kind = kind
  self.traces[#self.traces + 1] = members
  return members
end

function traces.ewma(plan, d, show)
  show.scale = scale_of(d, d.field, plan.typ_of)
  show.kind = 'EWMA'
  show.sum = plan:trace('EWMA', { cell = plan.asked.slot(d, 'number', d.field, show.scale), mask = show.mask, share = 1 / d.half_life })
end

function traces.first_seen(plan, _, show)
  show.kind, show.sum = 'FIRST_EVER', plan:trace('FIRST', { mask = show.mask })
end

function traces.time_since(plan, d, show)
  show.kind, show.sum, show.before = 'SINCE_LATEST', plan:trace('LATEST', { mask = show.mask }), true
  show.within = d.over or math.huge
end

--- A result, or the same one that is there already.
local function keep(list, show)
  for _, s in ipairs(list) do
    local same = true
    for _, member in ipairs { 'kind', 'window', 'sum', 'cell', 'mask', 'before', 'history', 'slot', 'low', 'over', 'under', 'least',
      'share', 'scale', 'within' } do
      same = same and s[member] == show[member]
    end
    if same then return s end
  end
  list[#list + 1] = show
  return show
end

local function column_of(show, d, name, typ)
  return { show = show, name = name, type = typ, optional = show.kind ~= 'EVENTS' and show.kind ~= 'N', warming = d.min_history ~= nil,
    decisions = d.kind == 'decisions', feature = d }
end

--- The result of a feature that has one.
function Plan:result(d)
  local show = { before = not d.current, mask = 0, least = d.min_history }
  if d.where then show.mask = flag_of(d, self.flags, self.asked.condition(d.where)) end
  if not windowed[d.kind] or not d.over then
    traces[d.kind](self, d, show)
    return keep(self.trace_shows, show)
  end
  local r = d.kind == 'decisions' and self:ring 'DECISIONS' or d.step and self:ring('STEPS', d.step) or self:ring 'EVENTS'
  show.ring, show.window = r, window_of(r, d.over)
  windowed[d.kind](self, d, r, show.window, show)
  return keep(r.shows, show)
end

function Plan:travel(d)
  local mask = d.where and flag_of(d, self.flags, self.asked.condition(d.where)) or 0
  local lat, lon = self.asked.slot(d, 'number', d.fields[1], 1), self.asked.slot(d, 'number', d.fields[2], 1)
  self.asked.slots[lat].most, self.asked.slots[lon].most = 90, 360
  for _, field in ipairs(d.fields) do
    if scale_of(d, field, self.typ_of) ~= 1 then fault(d, ("takes degrees, declare '%s' as number"):format(field)) end
  end
  local sum, km = self:trace('PLACE', { cell = lat, low = lon, mask = mask }), nil
  for i, kind in ipairs { 'KM', 'KMH', 'TRAVEL_MS' } do
    local show = keep(self.trace_shows, { kind = kind, sum = sum, slot = lat, low = lon, mask = mask, before = true, within = d.over,
      over = kind == 'KMH' and km or nil })
    if kind == 'KM' then km = show end
    self.columns[#self.columns + 1] = column_of(show, d, d.outputs[i], 'number')
  end
end

function Plan:ratio(d)
  local over, under = self:result(d.parts[1]), self:result(d.parts[2])
  local show = keep(self.ratios, { kind = 'RATIO', over = over, under = under, mask = 0, before = false })
  local column = column_of(show, d, d.name, 'number')
  column.warming = d.parts[1].min_history ~= nil or d.parts[2].min_history ~= nil
  self.columns[#self.columns + 1] = column
end

-- Places -------------------------------------------------------------------------------------

local function power_of_two(n)
  local p = 1
  while p < n do p = p * 2 end
  return p
end

local ORDER = { STEPS = 1, DECISIONS = 2, EVENTS = 3 }

--- Where the cells of a ring's entries are, and how wide these are.
local function place_cells(plan, r)
  local at = 1
  r.flag_cell = 0
  for _, s in ipairs(r.kind == 'STEPS' and {} or { r.sums, r.shows }) do
    for _, of in ipairs(s) do
      if of.mask ~= 0 then r.flag_cell = 1 end
    end
  end
  if r.flag_cell == 1 then at = 2 end
  for _, c in ipairs(r.cells) do
    c.at = at
    at = at + (r.kind == 'STEPS' and 3 or 1)
    for _, s in ipairs(r.kind == 'STEPS' and r.sums or {}) do
      if s.cell == c and s.kind == 'SQUARES' and not c.squares then c.squares, at = at, at + 3 end
      if s.cell == c and (s.kind == 'LEAST' or s.kind == 'GREATEST') and not c.extremes then c.extremes, at = at, at + 2 end
    end
    for _, s in ipairs(r.kind == 'STEPS' and r.sums or {}) do
      if s.cell == c and s.kind == 'SQUARES' then s.low = c.squares end
      if s.cell == c and s.kind == 'LEAST' then s.low = c.extremes end
      if s.cell == c and s.kind == 'GREATEST' then s.low = c.extremes + 1 end
    end
  end
  r.width = power_of_two(at)
  if r.width > WIDTH_MAX then
    stream.fault(plan.group.place, ("the features of '%s' look at %d values of an event, at most %d fit into an entry; make two groups")
      :format(plan.group.name, at, WIDTH_MAX))
  end
end

--- Order, indices and doubles of all that a plan has.
local function place_all(plan)
  table.sort(plan.rings, function(a, b)
    if a.kind ~= b.kind then return ORDER[a.kind] < ORDER[b.kind] end
    return (a.step or 0) < (b.step or 0)
  end)
  plan.sums, plan.shows, plan.doubles = {}, {}, 2
  local function add_show(show)
    plan.shows[#plan.shows + 1], show.index = show, #plan.shows
  end
  local function add_sum(s)
    plan.sums[#plan.sums + 1], s.index = s, #plan.sums
    s.at, s.doubles = plan.doubles, DOUBLES[s.kind]
    plan.doubles = plan.doubles + s.doubles
  end
  for _, r in ipairs(plan.rings) do
    table.sort(r.windows, function(a, b) return a.size < b.size end)
    place_cells(plan, r)
    r.at, r.longest = plan.doubles, r.windows[#r.windows].size
    plan.doubles = plan.doubles + math.ceil(#r.windows / 2)
    for i, w in ipairs(r.windows) do
      w.index, w.sum_from = i - 1, #plan.sums
      for _, s in ipairs(r.sums) do
        if s.window == w then add_sum(s) end
      end
      w.sum_to = #plan.sums
    end
    if r.kind == 'STEPS' then r.max = math.ceil(r.longest / r.step) + 64 end
    r.show_from = #plan.shows
    for _, show in ipairs(r.shows) do add_show(show) end
    r.show_to = #plan.shows
    r.room = r.kind == 'EVENTS' and (r.width <= 4 and ROOM or 1) or 0
  end
  plan.sums_from, plan.shows_from = #plan.sums, #plan.shows
  for _, s in ipairs(plan.traces) do add_sum(s) end
  for _, show in ipairs(plan.trace_shows) do add_show(show) end
  for _, show in ipairs(plan.ratios) do add_show(show) end
  if plan.doubles > DOUBLES_MAX then
    stream.fault(plan.group.place, ("the features of '%s' need %d numbers a key, at most %d can be; make two groups"):format(
      plan.group.name, plan.doubles, DOUBLES_MAX))
  end
end

--- Lays out a group.
---@param group table of features.group
---@param typ_of function field -> its declared type, or nil
---@param asked table of M.asked
function M.plan(group, typ_of, asked)
  local plan = setmetatable({ group = group, typ_of = typ_of, asked = asked, rings = {}, traces = {}, trace_shows = {}, ratios = {},
    columns = {}, flags = { n = 0 }, decisions = { n = 0 } }, Plan)
  for _, d in ipairs(group.features) do
    if d.kind == 'travel' then
      plan:travel(d)
    elseif d.kind == 'ratio' then
      for _, part in ipairs(d.parts) do part.name = d.name end
      plan:ratio(d)
    else
      local show = plan:result(d)
      plan.columns[#plan.columns + 1] = column_of(show, d, d.name, column_type(d, typ_of))
    end
  end
  place_all(plan)
  return plan
end

--- The constant of C of a name.
function M.constant(prefix, name) return C['TM_' .. prefix .. '_' .. name] end

-- Memory -------------------------------------------------------------------------------------

local ITEM = 24   -- what a key costs beside its record: index, order of arrival, header, some bytes of its own

--- What a key costs at most.
---@return table { record: bytes; entry: bytes of an event in all rings; most: bytes of a key that has all it may have; rings: list of
---   { what, bytes, max }; features: list of { name, record, entry }: what a feature shares with others is said for each of them }
function M.memory(plan)
  local memory = { record = ITEM + plan.doubles * 8, entry = 0, most = 0, rings = {}, features = {} }
  for _, r in ipairs(plan.rings) do
    local bytes = r.width * 8
    memory.record = memory.record + 8 + r.room * bytes
    if r.kind == 'EVENTS' then memory.entry = memory.entry + bytes end
    memory.most = memory.most + power_of_two(r.max) * bytes
    memory.rings[#memory.rings + 1] = { bytes = bytes, max = r.max,
      what = r.kind == 'EVENTS' and 'an event' or r.kind == 'DECISIONS' and 'a decision' or 'a step of ' .. duration.text(r.step) }
  end
  memory.most = memory.most + memory.record
  for _, c in ipairs(plan.columns) do
    local shows = { c.show, c.show.over, c.show.under }
    local f = { name = c.name, record = 0, entry = 0 }
    for i = 1, 3 do
      local show = shows[i]
      if show and show.sum then f.record = f.record + show.sum.doubles * 8 end
      local cell = show and show.cell
      if cell then f.entry = f.entry + 8 end
      if cell and show.ring.kind == 'STEPS' then
        f.entry = f.entry + 16 + (cell.squares and 24 or 0) + (cell.extremes and 16 or 0)
      end
    end
    memory.features[#memory.features + 1] = f
  end
  return memory
end

return M
