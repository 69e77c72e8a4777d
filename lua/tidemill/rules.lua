--[[
rules.lua - a pack's rules at work on a chunk of events, rule by rule.

  take     once an event: the columns of its fields, the rules that its `only` leaves (rules_index.lua)
  judge    C walks what conditions it knows over the whole chunk (host/event/rules.c); each rule of which C cannot tell some rows has a
           loop of its own over these, loaded for it alone. A rule that raises is `error` for that row, and the loop goes on behind it
  collect  what matched, by row, in order of rules

A chunk is as many events as the caller took in, one or many: nothing here depends on how many. What the functions see of an event is the
view,
which is put at the row (st.row) where events are many; where the event was changed before the pack, chunks are of one.

The deadline may end a function in the middle of a chunk. Then the event at the marker fails alone (M.fail of boot.lua), and `judge` goes on
behind it when it is called again.
]]

local cards = require 'tidemill.pack_cards'
local compare = require 'tidemill.rules_compare'
local given = require 'tidemill.rules_given'
local index = require 'tidemill.rules_index'
local lib = require 'tidemill.lib'
local lists = require 'tidemill.pack_lists'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

local M = { ROWS = C.TM_RULES_ROWS }

local MANY = 200        -- rules whose loops need more traces than a pipeline without them
local KNOWN_ROOM = 64   -- bytes behind a column that are read with its last rows

-- One loop a rule: shared by several it would be compiled for the first one alone. It ends with the loop of the next rule that is asked, so
-- that all of them are one chain of traces: a return to what called them could be no part of one.
local LOOP = [[
local when, tx, f, p, lists, R, rule, rows, at, st, home, mk, answer, asked, all = ...
return function(from)
  local n = asked(R, rule)
  for i = from, n - 1 do
    local j = rows[i]
    at[0], at[1] = j, i
    PLACE
    if when(tx, f, p, lists) then answer(R, rule, j, 0) end
  end
  local k = at[2] + 1
  at[1], at[2] = -1, k
  if k < at[3] then
    local next = all[R.asking[k] + 1]
    return next(0)
  end
end
]]
local PLACE = 'local row = home[j] st.row, st.home, mk.row = row, row, row'

local function column()
  local num, known = ffi.new('double[?]', M.ROWS), ffi.new('uint8_t[?]', M.ROWS + KNOWN_ROOM)
  return { num = ffi.cast('double *', num), known = ffi.cast('uint8_t *', known), anchor = { num, known } }
end

--- Which columns a rule needs, and which it reads beside them, by number from 0.
local function columns_of(rule, number_of)
  local needs, reads, seen = {}, {}, {}
  for _, name in ipairs(rule.needs) do
    needs[#needs + 1], seen[name] = number_of['f.' .. name], true
  end
  for name in pairs(rule.reads[2]) do
    if not seen[name] then reads[#reads + 1] = number_of['f.' .. name] end
  end
  return needs, reads
end

local function int32s(list)
  local t = ffi.new('int32_t[?]', #list + 1)
  for i, v in ipairs(list) do t[i - 1] = v end
  return t
end

local function no_memory() raise('memory', 'no memory for the rules of a pack (--memory)') end

--- What a rule raised, for people.
local function told(e)
  if type(e) == 'table' and type(rawget(e, 'message')) == 'string' then return rawget(e, 'message') end
  return type(e) == 'string' and e or 'a value that is no text'
end

--- The rules of a pack, ready for events.
---@param pack table of pack.lua
---@param set table of features.compile
---@param view table of the events
---@param many boolean chunks are of many events: the view is put at the row
---@return table J { take(e, j), judge(n), list, R, at, home, readers, tx, f }
function M.new(pack, set, view, many)
  local J = { list = {}, working = false, pack = pack }
  for _, rule in ipairs(pack.rules) do if rule.mode ~= 'off' then J.list[#J.list + 1] = rule end end
  local list, types, number_of = J.list, {}, {}
  set:batch(M.ROWS)
  for i, c in ipairs(set.columns) do types[c.name], number_of['f.' .. c.name] = c.type, i - 1 end
  local wanted, tests = { number = {}, text = {} }, {}
  --- Can C read the numbers of a field off the events of a batch?
  local function is_plain(name)
    local node = many and view.field(name)
    return node and node.col and not (node.rule and node.rule.special)
  end
  for i, rule in ipairs(list) do tests[i] = compare.tests(rule, types, wanted, is_plain) or false end
  local columns, n, gathered = { number = {}, text = {} }, #set.columns, {}
  for name in pairs(wanted.number) do
    columns.number[name], number_of['x.' .. name], n = column(), n, n + 1
    local node = view.field(name)
    C.tm_ffi_fields_want_number(view.source.fields, node.id)
    columns.number[name].cells = node.col
    gathered[#gathered + 1] = columns.number[name]
  end
  for name, ids in pairs(wanted.text) do
    columns.text[name], number_of['t.' .. name], n = column(), n, n + 1
    columns.text[name].ids = ids.of
  end
  local R = C.tm_ffi_rules_new(#list, n)
  if R == nil then no_memory() end
  ffi.gc(R, C.tm_ffi_rules_free)
  for i in ipairs(set.columns) do C.tm_ffi_rules_column(R, i - 1, set.number[i], set.known[i]) end
  for kind, of in pairs { x = columns.number, t = columns.text } do
    for name, c in pairs(of) do C.tm_ffi_rules_column(R, number_of[kind .. '.' .. name], c.num, c.known) end
  end
  local anchor = { ffi.new 'int32_t[4]', ffi.new('int32_t[?]', M.ROWS), columns }
  local at, home, rows = ffi.cast('int32_t *', anchor[1]), ffi.cast('int32_t *', anchor[2]), R.rows
  local f, readers = given.features(set.columns, set, at)
  local tx, all, views = given.event(view.event), {}, {}
  for name, l in pairs(pack.lists) do views[name] = lists.view(l) end
  views = given.named('list', views)
  for i, rule in ipairs(list) do
    local needs, reads = columns_of(rule, number_of)
    local indexed = rule.only[1] ~= nil
    if C.tm_ffi_rules_put(R, i - 1, indexed and 1 or 0, int32s(needs), #needs, int32s(reads), #reads) ~= 0 then no_memory() end
    for _, t in ipairs(tests[i] or {}) do
      if C.tm_ffi_rules_test(R, i - 1, number_of[t.column], t.op, t.num, t.on_true, t.on_false) ~= 0 then no_memory() end
    end
    rule.native = tests[i] and true or false
  end
  -- loops are made when C asks for them first
  setmetatable(all, { __index = function(_, i)
    local rule = list[i]
    local run = assert(loadstring(LOOP:gsub('PLACE', many and PLACE or ''), '=(rule ' .. rule.id .. ')'))(rule.when, tx, f,
      given.named('param', rule.values), views, R, i - 1, rows, at, view.st, home, lib.flow.marker, C.tm_ffi_rules_answer,
      C.tm_ffi_rules_asked, all)
    rawset(all, i, run)
    return run
  end })
  local interpreted = 0
  for i in ipairs(list) do if not tests[i] then interpreted = interpreted + 1 end end
  if interpreted > MANY then jit.opt.start('maxtrace=60000', 'maxmcode=131072') end
  J.take = index.compile(list, R, columns)
  J.R, J.at, J.home, J.readers, J.tx, J.f, J.event, J.lists, J.anchor = R, at, home, readers, tx, f, view.event, views,
    { anchor, R, set }

  local left_out, left_any = {}, false   -- why rows of the chunk at hand have failed
  for j = 0, M.ROWS - 1 do left_out[j] = false end
  function J.left_out(j) return left_out[j] end

  --- The row at work has failed.
  function J.leave_out(why)
    left_out[at[0]] = ("the rule '%s': %s"):format(list[R.asking[at[2]] + 1].id, why)
  end

  --- Asks the functions of the rules that C has questions for, from the k-th to before the one at `to` (at[2], at[3]); at[1]: which of
  --- the rows of a rule is at work.
  local function ask_part(k, to)
    local from = 0
    at[1], at[2], at[3] = -1, k, to
    while at[2] < to do
      k = at[2]
      local ok, why = pcall(all[R.asking[k] + 1], from)
      if ok then return end
      if at[2] ~= k then from = 0 end
      local rule = R.asking[at[2]]
      local of = list[rule + 1]
      if at[1] < from then error(why, 0) end   -- it was not the function
      C.tm_ffi_rules_answer(R, rule, at[0], 1)
      of.raised = of.raised or told(why)
      from = at[1] + 1
    end
  end
  --- The same for all from the k-th on; while time is measured, each by itself.
  local function ask(k)
    if R.measuring == 0 then return ask_part(k, R.asking_n) end
    for n_th = k, R.asking_n - 1 do
      local rule = R.asking[n_th]
      C.tm_ffi_rules_clock(R, rule, 0)
      ask_part(n_th, n_th + 1)
      C.tm_ffi_rules_clock(R, rule, 1)
    end
  end
  jit.off(ask_part)
  jit.off(ask)

  --- Judges the n events that were taken in; called again, goes on where a function was ended by the deadline.
  function J.judge(count)
    if J.working then
      C.tm_ffi_rules_leave_out(R, at[0])
      left_any = true
      ask(at[2])
    else
      if left_any then
        for j = 0, M.ROWS - 1 do left_out[j] = false end
        left_any = false
      end
      for i = 1, #gathered do
        local c = gathered[i]
        C.tm_ffi_rules_gather(c.cells, home, count, c.num, c.known)
      end
      C.tm_ffi_rules_judge(R, count)
      J.working = true
      ask(0)
    end
    J.working = false
    if C.tm_ffi_rules_collect(R) < 0 then no_memory() end
  end
  return J
end

M.points = cards.points
return M
