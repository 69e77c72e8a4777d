--[[
rules.lua - a pack's rules at work on a chunk of events, rule by rule.

  take     once an event: the columns of its fields, the rules that its `only` leaves (rules_index.lua)
  judge    C walks what conditions it knows over the whole chunk (host/event/rules.c); each rule of which C cannot tell some rows has a
           loop of its own over these (rules_loops.lua). A rule that raises is `error` for that row, and the loop goes on behind it
  collect  what matched, by row, in order of rules

A chunk is as many events as the caller took in, one or many: nothing here depends on how many. What the functions see of an event is the
view, which is put at the row (st.row) where events are many; where the event was changed before the pack, chunks are of one.

The deadline may end a function in the middle of a chunk. Then the event at the marker fails alone (M.fail of boot.lua), and `judge` goes on
behind it when it is called again.
]]

local cards = require 'tidemill.pack_cards'
local condition = require 'tidemill.rules_condition'
local given = require 'tidemill.rules_given'
local index = require 'tidemill.rules_index'
local lib = require 'tidemill.lib'
local lists = require 'tidemill.pack_lists'
local loops = require 'tidemill.rules_loops'
local rules_columns = require 'tidemill.rules_columns'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

local M = { ROWS = C.TM_RULES_ROWS }

local MANY = 200        -- rules whose loops need more traces than a pipeline without them

--- Which columns a rule needs, and which it reads beside them, by number from 0.
local function columns_of(rule, columns)
  local needs, reads, seen = {}, {}, {}
  for _, name in ipairs(rule.needs) do
    needs[#needs + 1], seen[name] = columns.by_name['f.' .. name].at, true
  end
  for name in pairs(rule.reads[2]) do
    if not seen[name] then reads[#reads + 1] = columns.by_name['f.' .. name].at end
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

--- Gives C a rule: what it needs, its condition, what makes a row plain.
local function put(R, number, rule, graph, reads, columns)
  local function operand(of)
    if type(of) == 'number' then return -1 - of end
    return of and of ~= 'constant' and columns.by_name[of].at or C.TM_RULE_CONSTANT
  end
  local needs, others = columns_of(rule, columns)
  if C.tm_ffi_rules_put(R, number, rule.only[1] and 1 or 0, int32s(needs), #needs, int32s(others), #others) ~= 0 then no_memory() end
  for _, node in ipairs(graph) do
    local num = node.text and columns.text_number(columns.by_name[node.a], node.text) or node.num or 0
    local a, b = operand(node.a), operand(node.b)
    if C.tm_ffi_rules_node(R, number, C[node.op], a, b, node.to or 0, num, node.on_true, node.on_false) ~= 0 then no_memory() end
  end
  if reads then
    local plain = {}
    for k, read in ipairs(reads) do plain[k] = columns.by_name[read.column].at end
    if C.tm_ffi_rules_plain(R, number, int32s(plain), #plain) ~= 0 then no_memory() end
  end
  rule.native = graph[1] ~= nil
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
  local list = J.list
  set:batch(M.ROWS)
  local columns, graphs, reads = rules_columns.new(pack, set, view, many), {}, {}
  for i, rule in ipairs(list) do
    graphs[i] = condition.graph(rule.when, columns:of_rule(rule.values)) or false
    for _, node in ipairs(graphs[i] or {}) do
      for _, of in ipairs { node.a or false, node.b or false } do
        if type(of) == 'string' and of ~= 'constant' then columns:want(of) end
      end
    end
    reads[i] = loops.prepare(rule, columns) or false
    lib.at_work()
  end
  local R = C.tm_ffi_rules_new(#list, #columns.list)
  if R == nil then no_memory() end
  ffi.gc(R, C.tm_ffi_rules_free)
  for _, c in ipairs(columns.list) do C.tm_ffi_rules_column(R, c.at, c.num, c.known) end
  local anchor = { ffi.new 'int32_t[5]', ffi.new('int32_t[?]', M.ROWS), columns }
  local at, home, rows = ffi.cast('int32_t *', anchor[1]), ffi.cast('int32_t *', anchor[2]), R.rows
  local f, readers = given.features(set.columns, set, at)
  local tx, all, views = given.event(view.event), {}, {}
  for name, l in pairs(pack.lists) do views[name] = lists.view(l) end
  views = given.named('list', views)
  for i, rule in ipairs(list) do put(R, i - 1, rule, graphs[i] or {}, reads[i], columns) end
  -- loops are made when C asks for them first
  setmetatable(all, { __index = function(_, i)
    local rule = list[i]
    local run = loops.make({ when = rule.when, tx = tx, f = f, p = given.named('param', rule.values), lists = views, R = R, rule = i - 1,
      rows = rows, at = at, st = view.st, home = home, mk = lib.flow.marker, all = all }, rule.id, reads[i] or nil, columns, anchor)
    rawset(all, i, run)
    return run
  end })
  local interpreted, gathered = 0, columns.gathered
  for i in ipairs(list) do if not graphs[i] then interpreted = interpreted + 1 end end
  if interpreted > MANY then jit.opt.start('maxtrace=60000', 'maxmcode=131072') end
  J.take = index.compile(list, R, columns)
  J.R, J.at, J.home, J.readers, J.tx, J.f, J.event, J.lists, J.anchor = R, at, home, readers, tx, f, view.event, views,
    { anchor, R, set }

  local left_out, left_any = {}, false   -- why rows of the chunk at hand have failed
  for j = 0, M.ROWS - 1 do left_out[j] = false end
  function J.left_out(j) return left_out[j] end

  --- The row at work, where a loop knows only which of the rows asked for it is.
  local function row_at_work()
    if at[1] >= 0 then at[0] = rows[at[1]] end
    return at[0]
  end

  --- The row at work has failed.
  function J.leave_out(why)
    row_at_work()
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
      C.tm_ffi_rules_answer(R, rule, row_at_work(), 1)
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
      C.tm_ffi_rules_leave_out(R, row_at_work())
      left_any = true
      ask(at[2])
    else
      if left_any then
        for j = 0, M.ROWS - 1 do left_out[j] = false end
        left_any = false
      end
      for i = 1, #gathered do
        local c = gathered[i]
        C.tm_ffi_rules_gather(c.cells, home, count, c.below, c.num, c.known)
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
