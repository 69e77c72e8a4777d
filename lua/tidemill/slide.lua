--[[
slide.lua - aggregates over sliding windows: a step's list made into the plan that C follows (host/aggregate/slide.c), and into
functions that give it an event and read results.

C moves the windows and keeps what aggregates keep: each record by itself, or, where events wait and all aggregates can do that, over all
keys at once (`moves`). Here an event's values are read, checked and put into cells; aggregates that take
the same values of a field share one. The record's cells of sums, maps and buckets are those of aggregates/*, and so are the texts
that make results of them.

  number    finite numbers, decimals as integers of their last place, int64 in two cells: sum avg var stddev quantile
  ranked    numbers or texts: min max              key   numbers, texts, booleans: distinct
  any       every value, objects and arrays as JSON: first last
]]

local lib = require 'tidemill.lib'
local aggregate = require 'tidemill.aggregate'
local kept = require 'tidemill.aggregates.kept'
local state_of = require 'tidemill.state'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string

local M = {}

local CELLS_MAX = 64
local ROOM = 8        -- cells of entries that lie in the record at most
local RECORD = 112    -- bytes; with a short key that is two lines of the processor's caches
local NUMBER, STRING, FALSE, TRUE, ANY = C.TM_VALUE_NUMBER, C.TM_VALUE_STRING, C.TM_VALUE_FALSE, C.TM_VALUE_TRUE, C.TM_VALUE_ANY

-- by kind: what C calls it, which values it takes, cells of its own, or whether those are the part's; what else hangs off the record
local KINDS = {
  count = { C.TM_SLIDE_COUNT, 'event', part = true },
  sum = { C.TM_SLIDE_SUM, 'number', part = true, field = 'q' },
  avg = { C.TM_SLIDE_MEAN, 'number', part = true, field = 'q' },
  var = { C.TM_SLIDE_VARIANCE, 'number', part = true, field = 'q', squares = 'p' },
  stddev = { C.TM_SLIDE_VARIANCE, 'number', part = true, field = 'q', squares = 'p' },
  min = { C.TM_SLIDE_MIN, 'ranked', field = 'c' },
  max = { C.TM_SLIDE_MAX, 'ranked', field = 'c' },
  first = { C.TM_SLIDE_FIRST, 'any' },
  last = { C.TM_SLIDE_LAST, 'any' },
  distinct = { C.TM_SLIDE_DISTINCT, 'key', part = true, field = 't' },
  quantile = { C.TM_SLIDE_QUANTILE, 'number', part = true, field = 't' },
  events = { C.TM_SLIDE_EVENTS, 'event' },
}
local PLAIN = { count = true, sum = true, avg = true }

-- Values of an event ----------------------------------------------------------------------

-- text that puts v, which is not nil, into cell I[c]; T holds what texts are made of until the call is over
local TAKE = {
  event = 'I[c].kind = NUMBER I[c].num = 1',
  number = "if type(v) ~= 'number' then wrong(A@, v, 'numbers') end if v - v ~= 0 then wrong(A@, v, 'finite numbers') end " ..
    'I[c].kind = NUMBER I[c].num = SCALED',
  halves = 'local v, low = halves(v) I[c].kind = NUMBER I[c].num = v I[d].kind = NUMBER I[d].num = low',
  ranked = "if type(v) == 'number' and v == v then I[c].kind = NUMBER I[c].num = v + 0 elseif type(v) == 'string' then " ..
    "T[c] = v I[c].kind = STRING I[c].text = v I[c].len = #v else wrong(A@, v, 'numbers or texts') end",
  key = "if type(v) == 'number' and v == v then I[c].kind = NUMBER I[c].num = v elseif type(v) == 'string' then " ..
    "T[c] = v I[c].kind = STRING I[c].text = v I[c].len = #v elseif type(v) == 'boolean' then I[c].kind = v and TRUE or FALSE " ..
    "else wrong(A@, v, 'numbers, texts and booleans') end",
  any = "if type(v) == 'number' then if v ~= v then wrong(A@, v, 'values that can be written') end I[c].kind = NUMBER I[c].num = v " ..
    "elseif type(v) == 'boolean' then I[c].kind = v and TRUE or FALSE else " ..
    "local json = type(v) ~= 'string' if json then v = text_of(v) end " ..
    'T[c] = v I[c].kind = json and ANY or STRING I[c].text = v I[c].len = #v end',
}

local shared = { NUMBER = NUMBER, STRING = STRING, FALSE = FALSE, TRUE = TRUE, ANY = ANY, wrong = kept.wrong, text_of = kept.json,
  type = type }

--- A result in C's form as a value to write.
function shared.shown(o)
  local kind = o.kind
  if kind == NUMBER then return o.num end
  if kind == C.TM_VALUE_NIL then return lib.NULL end
  if kind == TRUE or kind == FALSE then return kind == TRUE end
  local text = ffi_string(o.text, o.len)
  if kind == STRING then return text end
  local first = text:byte(1)
  return lib.text(text, first == 0x5B and 10 or first == 0x22 and 11 or 9)
end

--- The cell whose values an aggregate takes, and what is beyond it (int64): shared with others that take the same.
local function cell_of(cells, a, takes)
  if takes == 'event' and not a.where then return 0, 0 end
  local halves = takes == 'number' and a.int64
  for _, c in ipairs(cells) do
    if c.takes == takes and c.field == a.field and c.where == a.where then return c.cell, c.low end
  end
  local cell = cells.n + 1
  cells.n = halves and cell + 1 or cell
  cells[#cells + 1] = { takes = takes, field = a.field, where = a.where, cell = cell, low = halves and cell + 1 or 0, a = a }
  return cell, halves and cell + 1 or 0
end

--- Text that puts the event's values into cells.
local function values_text(cells, layout, final_text)
  local parts = {}
  for i, c in ipairs(cells) do
    local a = c.a
    local take = TAKE[c.low ~= 0 and 'halves' or c.takes]:gsub('I%[c%]', 'I[' .. c.cell .. ']'):gsub('I%[d%]', 'I[' .. c.low .. ']')
      :gsub('T%[c%]', 'T[' .. c.cell .. ']'):gsub('SCALED', a.places > 0 and ('floor(v * %.0f + 0.5)'):format(a.scale) or 'v')
    local none = ('I[%d].kind = 0'):format(c.cell)
    if c.field then take = ('local v = e[%s] if v ~= nil then %s else %s end'):format(a:name_text(c.field), take, none) end
    if c.where then take = ('if W[%d](e) then %s else %s end'):format(i, take, none) end
    parts[i] = final_text(a, layout, 'do ' .. take .. ' end')
  end
  return table.concat(parts, ' ')
end

-- Compiling -------------------------------------------------------------------------------

local function power_of_two(n)
  local p = 1
  while p < n do p = p * 2 end
  return p
end

--- Raises why C refused an event of a step.
local function refuse(list, plan, options, s, rc)
  local a = plan.wrong >= 0 and list[plan.wrong + 1]
  if a and rc == C.TM_STATE_TYPE then
    raise('type', ("'%s': %s takes numbers or texts, but there are both of field '%s' in one window"):format(a.name, a.kind, a.field))
  elseif a and rc == C.TM_STATE_FULL then
    raise('state-full', ("'%s': a window holds more than %d different values of field '%s' (max)"):format(a.name, a.max or 0, a.field))
  elseif rc == C.TM_STATE_FULL then
    raise('state-full', ("the key has %d events in its windows, and no more can be (max, on_full = 'refuse')"):format(options.max))
  end
  state_of.failed(s, rc)
end

local ON_FULL = { oldest = C.TM_ON_FULL_OLDEST, refuse = C.TM_ON_FULL_REFUSE, stop = C.TM_ON_FULL_STOP }

-- kinds that give back what they took of numbers, and need no order: their windows can move over all keys at once
local GIVES_BACK = { count = true, sum = true, avg = true, var = true, stddev = true, quantile = true }

--- Is a step such that its windows move over all keys at once? turns: events wait, and have their turns in order of time.
local function moves(list, turns)
  for _, a in ipairs(list) do turns = turns and GIVES_BACK[a.kind] end
  return turns or false
end

--- The plan as C reads it, with what keeps it alive. n: cells of an entry
local function plan_of(list, n, layout, sizes, at, moving, options)
  local plan, parts = ffi.new 'struct tm_slide', ffi.new('struct tm_slide_part[?]', #list)
  local ms = ffi.new('double[?]', #sizes)
  local values, out = ffi.new('struct tm_value[?]', n), ffi.new('struct tm_value[?]', #list)
  plan.longest = 0
  for i, size in ipairs(sizes) do
    ms[i - 1] = size
    if size > plan.longest then plan.longest = size end
  end
  for i, a in ipairs(list) do
    local kind, p = KINDS[a.slides], parts[i - 1]
    p.kind, p.window, p.cell, p.low, p.at = kind[1], a.window, a.cell, a.low, a.at
    p.field = kind.field and layout.index[kind.field .. i] or -1
    p.squares = kind.squares and layout.index[kind.squares .. i] or -1
    p.digits, p.log_g, p.scale = a.int64 and 1 or 0, a.log_g or 0, a.scale or 1
  end
  plan.parts, plan.sizes, plan['in'], plan.out = parts, ms, values, out
  plan.parts_n, plan.windows_n, plan.cells = #list, #sizes, n
  plan.series, plan.at, plan.moving = layout.index.entries or -1, at, moving and 1 or 0
  plan.max, plan.on_full = options.max or 0, ON_FULL[options.on_full or 'oldest']
  return plan, { plan, parts, ms, values, out }
end

--- Compiles a list of aggregates whose `over` is a size in ms.
---@param list table of aggregate.list
---@param typ_of function field -> its declared type, or nil
---@param options table max, on_full; turns: events wait, and all aggregates are over one size; else at_once: results are asked for behind
---   update or tm_ffi_slide_look alone
---@return table compiled
---   numbers, refs: for state.open; plan: struct tm_slide *; declared: what the script says of each of the list
---   update(e, r, s, t, w): the event at t goes into record r of state s, which is announced, w is the watermark before it; results as
---     below, over its own windows; hold(e, s, t, key), hold_row(e, s, t, batch, cols, row): it waits for its turn, its key in C's form
---   results(r, s): one value for each of the list, after tm_ffi_turns_next or tm_ffi_slide_look; refuse(s, rc): raises what a code means
---   cells: what an event's cells hold: list of { takes, field, where, cell, a: an aggregate that takes it }
---   moving: windows move over all keys at once; functions: those that read the event, their first parameter
function M.compile(list, typ_of, options)
  local pieces = aggregate.pieces()
  local layout, parts = pieces.layout, pieces.parts
  local cells, sizes, index, where_of, functions, results = { n = 0 }, {}, {}, {}, {}, {}
  local plain, extremes = options.at_once or false, false
  for n, a in ipairs(list) do
    pieces.prepare(a, n, typ_of, { retracts = true })
    plain = plain and PLAIN[a.kind] and not a.int64
    extremes = extremes or a.kind == 'min' or a.kind == 'max'
  end
  for n, a in ipairs(list) do
    a.slides = options.at_once and a.kind == 'count' and not a.where and 'events' or a.kind
    local kind, part, shown = KINDS[a.slides], parts[a.kind], ('shown(O[%d])'):format(n - 1)
    a.at = #layout.numbers
    if a.slides == 'events' then
      shown = ('O[%d].num'):format(n - 1)
    elseif kind.part then
      part.cells(a, layout)
      shown = part.result(a)
      if plain then shown = ('(O[%d].kind == NUMBER and O[%d].num or %s)'):format(n - 1, n - 1, shown) end
    else
      layout:number('n' .. n)
      layout:number('k' .. n)
      if kind.field then layout:ref { name = kind.field .. n, kind = 'series', cells = 2 } end
    end
    if not index[a.over] then
      sizes[#sizes + 1] = a.over
      index[a.over] = #sizes - 1
    end
    a.window = index[a.over]
    a.cell, a.low = cell_of(cells, a, kind[2])
    results[n] = pieces.final_text(a, layout, shown)
  end
  if cells.n >= CELLS_MAX then
    raise('script', ('%s: the aggregates of one step take %d different values of an event, at most %d can be; use several steps')
      :format(list[1].place, cells.n, CELLS_MAX - 1))
  end
  local declared = {}
  for i, a in ipairs(list) do declared[i] = pieces.declared_text(a) end
  local at, moving, entry = #layout.numbers, moves(list, options.turns), cells.n + 1
  for i = 1, moving and 2 or math.ceil((3 + #sizes + (extremes and 1 or 0)) / 2) do layout:number('slide' .. i) end
  if not moving then
    entry = power_of_two(entry)
    local left = math.floor(RECORD / 8) - #layout.numbers - #layout.refs - 1
    layout:ref { name = 'entries', kind = 'series', cells = entry, room = math.max(1, math.floor(math.min(ROOM, left) / entry)) }
  end
  local plan, anchor = plan_of(list, entry, layout, sizes, at, moving, options)
  plan.plain, plan.extremes = plain and 1 or 0, extremes and 1 or 0
  for i, c in ipairs(cells) do
    where_of[i] = c.where
    functions[#functions + 1] = c.where
  end
  local function failed(s, rc) refuse(list, plan, options, s, rc) end
  local names = { 'A', 'W', 'I', 'O', 'T', 'P', 'failed', 'slide_add', 'hold_key', 'hold_row' }
  local args = { list, where_of, ffi.cast('struct tm_value *', anchor[4]), ffi.cast('struct tm_value *', anchor[5]), {},
    ffi.cast('struct tm_slide *', plan), failed, C.tm_ffi_slide_add, C.tm_ffi_turns_hold, C.tm_ffi_turns_hold_row }
  local values, shows = values_text(cells, layout, pieces.final_text), table.concat(results, ', ')
  local body = ([[function(e, r, s, t, w) %s local rc = slide_add(P, s, r, t, w) if rc ~= 0 then failed(s, rc) end return %s end,
    function(e, s, t, key) %s local rc = hold_key(P, s, key, t) if rc ~= 0 then failed(s, rc) end end,
    function(e, s, t, batch, cols, row) %s local rc = hold_row(P, s, batch, cols, row, t) if rc ~= 0 then failed(s, rc) end end,
    function(r, s) return %s end]]):format(values:gsub('%%', '%%%%'), shows, values:gsub('%%', '%%%%'), values:gsub('%%', '%%%%'), shows)
  for _, from in ipairs { shared, pieces.shared } do
    for name, v in pairs(from) do
      if body:find('%f[%w_]' .. name .. '%f[^%w_]') and not (from == pieces.shared and shared[name] ~= nil) then
        names[#names + 1], args[#args + 1] = name, v
      end
    end
  end
  local chunk = 'local ' .. table.concat(names, ', ') .. ' = ... return ' .. body
  local update, hold, hold_row, show = assert(loadstring(chunk, '=tidemill.slide'))(unpack(args))
  for _, fn in ipairs { update, hold, hold_row } do functions[#functions + 1] = fn end
  return { declared = declared,
    numbers = layout.numbers, refs = layout.refs, update = update, hold = hold, hold_row = hold_row, results = show,
    cells = cells, moving = moving, refuse = failed, plan = args[6],
    anchor = anchor, functions = functions, adders = {} }
end

-- Events that wait ------------------------------------------------------------------------

--- The turns of events that wait for a state. One that was taken stands, whatever becomes of its row.
---@param opened table of state.open
---@param compiled table of M.compile
---@param size number ms
---@return table next(to, rows): the record whose event has its turn until the watermark is `to`; nil: there is none, or, while working, C
---   refused it (ptr.code); rows: struct tm_slide_rows * with which it may have come due, or nil; its window in `at` (from, to, ptr: the
---   state); working: it is not done yet; unit(): its key and bounds; judge_due(): from which watermark on there is something to do
function M.turns(opened, compiled, size)
  local ptr, plan = opened.ptr, compiled.plan
  local W = { at = { from = 0, to = 0, ptr = ptr }, working = false, size = size }
  local at = W.at
  if C.tm_ffi_turns_new(plan, ptr) ~= 0 then raise('memory', "no memory for the state '" .. opened.name .. "' (--memory)") end

  function W.next(to, rows)
    W.working = false
    local p = C.tm_ffi_turns_next(plan, ptr, to, rows)
    while p == nil and ptr.code == C.TM_STATE_MORE do p = C.tm_ffi_turns_next(plan, ptr, to, rows) end
    if p == nil then
      if ptr.code == 0 then return nil end
      if ptr.code == C.TM_STATE_GONE then
        lib.host.stop_run 'no memory to go on with the events that wait (--memory)'
        return nil
      end
    end
    local t = plan.time
    at.from, at.to, W.working = t + 1 - size, t + 1, true
    return p
  end

  --- The key of the event that next gave last.
  function W.key()
    C.tm_ffi_turns_key(ptr, state_of.key)
    return state_of.key_from(state_of.key.bytes, state_of.key.len, opened.names, opened.composite)
  end

  --- The same, and its bounds.
  function W.unit()
    if not W.working then return nil end
    return W.key(), { window_start = at.from, window_end = at.to }
  end

  function W.judge_due() return ptr.due end
  return W
end

return M
