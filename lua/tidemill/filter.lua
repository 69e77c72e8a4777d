--[[
filter.lua - what a filter's function says about fields and constants, read off its bytecode, so that C can leave out the
rows it surely drops (host/event/filter.c). The function itself is called for all others and stays the judge.

A function is followed from its first instruction through comparisons of the event's fields with constants (those of
locals outside it that are never assigned too), jumps and returns: these neither change anything nor depend on anything
else. Whatever else it does ends that path with KEEP: such rows go to the function. A path that drops the event after
reading a field it never compared is kept too, since reading alone may raise.
]]

local jutil = require 'jit.util'
local bytecode = require 'tidemill.bytecode'
local lib = require 'tidemill.lib'
local C, bit, decode, OP = lib.C, lib.bit, bytecode.decode, bytecode.OP

local M = {}

local DROP, KEEP = C.TM_FILTER_DROP, C.TM_FILTER_KEEP
local TESTS_MAX, STEPS_MAX = 64, 1000
local JUMP_BIAS = 0x8000
local TEXT_KINDS = bit.lshift(1, 7) + bit.lshift(1, 8)   -- TM_KIND_STRING, TM_KIND_ESCAPED
local PRIMITIVE = { [0] = 'TM_FILTER_EQ_NIL', 'TM_FILTER_EQ_FALSE', 'TM_FILTER_EQ_TRUE' }
local FLIPPED = { TM_FILTER_LT = 'TM_FILTER_GT', TM_FILTER_LE = 'TM_FILTER_GE' }

-- A register holds { object = function(name) what its field `name` is, and whether reading it may raise; tag }, { field = name },
-- { constant = v }, or what `not` made of a field: { field = name, truth = true, negated = boolean }.

local function key_of(pc, state)
  local parts = { pc }
  for reg, v in pairs(state.regs) do
    parts[#parts + 1] = reg .. '=' .. (v.object and 'e' .. v.tag or v.field and ('f' .. tostring(v.truth and v.negated) .. v.field) or
      type(v.constant) .. tostring(v.constant))
  end
  for name in pairs(state.read) do parts[#parts + 1] = 'r' .. name end
  table.sort(parts, function(a, b) return tostring(a) < tostring(b) end)
  return table.concat(parts, '\0')
end

local function copy(state)
  local regs, read = {}, {}
  for k, v in pairs(state.regs) do regs[k] = v end
  for k, v in pairs(state.read) do read[k] = v end
  return { regs = regs, read = read }
end

local Path = {}
Path.__index = Path

--- A test of a field; both ways on are followed. Returns its place in self.tests, which come in order of leaving.
function Path:test(op, v, constant, state, if_true, if_false)
  if #self.tests >= TESTS_MAX then return KEEP end
  if v.negated then if_true, if_false = if_false, if_true end
  local after = copy(state)
  after.read[v.field] = nil
  local on_true = if_true(copy(after))
  local on_false = if_false(after)
  if on_true == KEEP and on_false == KEEP then return KEEP end
  self.tests[#self.tests + 1] = { op = C[op], field = v.field, constant = constant, on_true = on_true, on_false = on_false }
  return #self.tests
end

local function drop(state)
  return next(state.read) == nil and DROP or KEEP
end

--- The end for rows for which it surely is true.
function Path:yes(state) return next(state.read) == nil and self.match or KEEP end

--- A returned value: kept if it is neither nil nor false.
function Path:value(v, state)
  if not v or v.object then return KEEP end
  if not v.field then return v.constant and self:yes(state) or drop(state) end
  return self:test('TM_FILTER_TRUTH', v, nil, state, function(after) return self:yes(after) end, drop)
end

--- The comparison at pc as a test: operator, register, constant, whether it is the other way round; nil: none we know.
function Path:comparison(op, a, d, state)
  local f, regs = self.fn, state.regs
  local v = regs[a]
  local field = v and v.field and not v.truth and v
  if op == OP.ISEQS or op == OP.ISNES then return field and 'TM_FILTER_EQ_TEXT', v, jutil.funck(f, -d - 1), op == OP.ISNES end
  if op == OP.ISEQN or op == OP.ISNEN then return field and 'TM_FILTER_EQ_NUMBER', v, jutil.funck(f, d), op == OP.ISNEN end
  if op == OP.ISEQP or op == OP.ISNEP then return field and PRIMITIVE[d], v, nil, op == OP.ISNEP end
  if op == OP.IST or op == OP.ISF or op == OP.ISTC or op == OP.ISFC then
    v = regs[d]
    return v and v.field and 'TM_FILTER_TRUTH', v, nil, op == OP.ISF or op == OP.ISFC
  end
  if op == OP.ISEQV or op == OP.ISNEV then
    local w = regs[d]
    if not v or not w then return nil end
    if not field then v, w = w, v end
    if not v.field or v.truth or w.field or w.object then return nil end
    local k = w.constant
    local kind = type(k) == 'string' and 'TM_FILTER_EQ_TEXT' or type(k) == 'number' and 'TM_FILTER_EQ_NUMBER'
    return kind or nil, v, k, op == OP.ISNEV
  end
  local kind = (op == OP.ISLT or op == OP.ISGE) and 'TM_FILTER_LT' or (op == OP.ISLE or op == OP.ISGT) and 'TM_FILTER_LE'
  if not kind then return nil end
  local w, opposite = regs[d], op == OP.ISGE or op == OP.ISGT
  if not v or not w then return nil end
  if field and type(w.constant) == 'number' then return kind, v, w.constant, opposite end
  if w.field and not w.truth and type(v.constant) == 'number' then return FLIPPED[kind], w, v.constant, opposite end
  return nil
end

local COMPARES = {}
for _, name in ipairs { 'ISEQS', 'ISNES', 'ISEQN', 'ISNEN', 'ISEQP', 'ISNEP', 'IST', 'ISF', 'ISTC', 'ISFC', 'ISLT', 'ISGE', 'ISLE',
  'ISGT', 'ISEQV', 'ISNEV' } do
  COMPARES[OP[name]] = true
end

--- What loads a register, and goes on.
function Path:load(op, a, b, c, d, state)
  local f, regs = self.fn, state.regs
  if op == OP.TGETS then
    local name = jutil.funck(f, -c - 1)
    if not (regs[b] and regs[b].object) or type(name) ~= 'string' then return false end
    local v, raises = regs[b].object(name)
    if not v then return false end
    regs[a] = v
    if raises then state.read[v.field] = true end
  elseif op == OP.KSHORT then
    regs[a] = { constant = d >= JUMP_BIAS and d - 2 * JUMP_BIAS or d }
  elseif op == OP.KNUM then
    regs[a] = { constant = jutil.funck(f, d) }
  elseif op == OP.KSTR then
    regs[a] = { constant = jutil.funck(f, -d - 1) }
  elseif op == OP.KPRI then
    regs[a] = { constant = d == 2 }
  elseif op == OP.UGET then
    self.upvalues = self.upvalues or bytecode.upvalues(f)
    local _, v = debug.getupvalue(f, d + 1)
    if not self.upvalues[d].constant or type(v) ~= 'number' and type(v) ~= 'string' then return false end
    if v ~= v then return false end
    regs[a] = { constant = v }
  elseif op == OP.MOV then
    regs[a] = regs[d]
  elseif op == OP.NOT then
    local v = regs[d]
    if not v or not v.field then return false end
    regs[a] = { field = v.field, negated = not v.negated, truth = true }
  else
    return false
  end
  return true
end

--- Follows the function from pc; returns what becomes of the rows that come there.
function Path:follow(pc, state)
  local key = key_of(pc, state)
  local known = self.known[key]
  self.steps = self.steps + 1
  if known then return known end
  if self.steps > STEPS_MAX then return KEEP end
  local result
  while not result do
    local op, a, b, c, d = decode(jutil.funcbc(self.fn, pc))
    if op == OP.JMP then
      if d < JUMP_BIAS then result = KEEP else pc = pc + 1 + d - JUMP_BIAS end
    elseif op == OP.RET0 then
      result = drop(state)
    elseif op == OP.RET1 then
      result = self:value(state.regs[a], state)
    elseif COMPARES[op] then
      result = self:compare(pc, op, a, d, state)
    elseif self:load(op, a, b, c, d, state) then
      pc = pc + 1
    else
      result = KEEP
    end
  end
  self.known[key] = result
  return result
end

--- A comparison and the jump behind it, taken when it holds.
function Path:compare(pc, op, a, d, state)
  local kind, v, constant, opposite = self:comparison(op, a, d, state)
  local jump, _, _, _, to = decode(jutil.funcbc(self.fn, pc + 1))
  if not kind or jump ~= OP.JMP or to < JUMP_BIAS then return KEEP end
  local function taken(after)
    if op == OP.ISTC or op == OP.ISFC then after.regs[a] = after.regs[d] end
    return self:follow(pc + 2 + to - JUMP_BIAS, after)
  end
  local function passed(after) return self:follow(pc + 2, after) end
  if opposite then return self:test(kind, v, constant, state, passed, taken) end
  return self:test(kind, v, constant, state, taken, passed)
end

--- The graph of tests that a function begins with.
---@param f function
---@param objects table parameter, from 0 -> function(name): what a field of it is ({ field = name } or { constant = v }, nil: nothing that
---   is known), and whether reading it may raise
---@param match integer the end for rows for which it is surely true: KEEP, or MATCH
---@return table? list of { op, field, constant, on_true, on_false }: places in the list from 0, or ends; the first one is where to begin;
---   nil: nothing can be told
function M.graph(f, objects, match)
  local info = jutil.funcinfo(f)
  if info.ffid or info.params < 1 or info.isvararg then return nil end
  local path = setmetatable({ fn = f, tests = {}, known = {}, steps = 0, match = match }, Path)
  local regs = {}
  for param, object in pairs(objects) do
    if param < info.params then regs[param] = { object = object, tag = param } end
  end
  local first = path:follow(1, { regs = regs, read = {} })
  local n = #path.tests
  if first ~= n or n == 0 or n >= TESTS_MAX then return nil end
  local function place(to) return to > 0 and n - to or to end
  local list = {}
  for i = n, 1, -1 do
    local t = path.tests[i]
    t.on_true, t.on_false = place(t.on_true), place(t.on_false)
    list[#list + 1] = t
  end
  return list
end

local function event_field(name) return { field = name }, true end

--- The tests of function f on its first parameter, the first one first; nil if it drops nothing that can be told.
---@return table? list as of graph
function M.tests(f)
  local list, drops = M.graph(f, { [0] = event_field }, KEEP), false
  for _, t in ipairs(list or {}) do drops = drops or t.on_true == DROP or t.on_false == DROP end
  return drops and list or nil
end

--- A condition for C as a filter that ends in MATCH where it surely holds (tm_ffi_filter_flags); nil where it is no graph of comparisons
--- from beginning to end, and C could not tell of most rows.
---@param f function of an event
---@param node_of function (name): the node of that field, or nil where its column does not read as C has it
---@param fields ffi.cdata* struct tm_fields *
---@return ffi.cdata*? struct tm_filter *, table? the nodes of what it reads
function M.condition(f, node_of, fields)
  local tests, nodes = M.graph(f, { [0] = event_field }, C.TM_FILTER_MATCH), {}
  if not tests then return nil end
  for i, t in ipairs(tests) do
    nodes[i] = node_of(t.field)
    if not nodes[i] or t.on_true == KEEP or t.on_false == KEEP then return nil end
  end
  local filter = C.tm_ffi_filter_new(fields)
  if filter == nil then lib.raise('memory', 'no memory for a filter') end
  for i, t in ipairs(tests) do
    local k = t.constant
    if type(k) == 'number' then C.tm_ffi_fields_want_number(fields, nodes[i].id) end
    local text = type(k) == 'string' and k or ''
    if C.tm_ffi_filter_add(filter, nodes[i].id, t.op, type(k) == 'number' and k or 0, text, #text, t.on_true, t.on_false) ~= 0 then
      return nil
    end
  end
  return filter, nodes
end

--- The kinds of values that a declared field surely may have; nil where that is not for the kind alone to say.
local function sure_kinds(node)
  local rule = node.rule
  if not node.col or rule.verify then return nil end
  -- of CSV, what is not of its type is a text
  return node.typed and bit.band(rule.kinds, bit.bnot(TEXT_KINDS)) or rule.kinds
end

M.sure_kinds = sure_kinds

--- The same for C, over a view's columns; nil where that cannot be: a field without a column, or one whose type means that it is read
--- in another way.
---@param declared table[] fields whose :schema stands before the filter: a row in which one may not be of its type is kept, to fail
function M.compile(f, view, fields, declared)
  local tests = M.tests(f)
  if not tests then return nil end
  local filter = C.tm_ffi_filter_new(fields)
  if filter == nil then lib.raise('memory', 'no memory for a filter') end
  for i, node in ipairs(declared) do
    local kinds = sure_kinds(node)
    if not kinds or C.tm_ffi_filter_add(filter, node.id, C.TM_FILTER_KINDS, kinds, '', 0, i, KEEP) ~= 0 then return nil end
  end
  local function place(to) return to >= 0 and to + #declared or to end
  for _, t in ipairs(tests) do
    local node = view.field(t.field)
    if node.rule and node.rule.special or not node.col then return nil end
    local k = t.constant
    if type(k) == 'number' then C.tm_ffi_fields_want_number(fields, node.id) end
    local text = type(k) == 'string' and k or ''
    if C.tm_ffi_filter_add(filter, node.id, t.op, type(k) == 'number' and k or 0, text, #text, place(t.on_true),
      place(t.on_false)) ~= 0 then
      return nil
    end
  end
  return filter
end

return M
