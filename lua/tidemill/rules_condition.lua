--[[
rules_condition.lua - the condition of a rule as a graph of tests and arithmetic over columns, read off the bytecode of its function, so
that C can tell for whole chunks of events (host/event/rules_graph.h). What C cannot tell it asks the function about: it stays the judge.

The function is followed from its first instruction: fields, features, params, constants, arithmetic, math.abs ceil floor max min sqrt,
comparisons, `and`, `or`, `not`, lists.x:has(tx.y), locals, and calls of functions that do no more than that. Whatever else it does ends
that path with KEEP: such rows Lua is asked about. So are rows for which something is no number where one is needed, as nothing but Lua
says what is raised then.

A register holds, as `is`
  object     a parameter: what = tx, f, p, lists          field    name: of the event; which column it is depends on its use
  constant   value, which may be nil                      number   of: a column that may be nil, or a temporary (an integer)
  bool       of: a column                                 truth    of what `not` was said: v, negated
  list       name; has: its method                        library  math; fn: a function
Each has an `id`: two that have the same one hold the same.
]]

local jutil = require 'jit.util'
local bytecode = require 'tidemill.bytecode'
local lib = require 'tidemill.lib'
local C, decode, OP, ARGS = lib.C, bytecode.decode, bytecode.OP, bytecode.ARGS

local M = {}

local DROP, KEEP, MATCH = C.TM_FILTER_DROP, C.TM_FILTER_KEEP, C.TM_FILTER_MATCH
local NODES_MAX, STEPS_MAX, DEPTH_MAX, JUMP_BIAS = 96, 2000, 8, 0x8000
local OBJECTS = { [0] = 'tx', 'f', 'p', 'lists' }

--- Opcodes of arithmetic: what C does, whether the constant stands first or second.
local ARITHMETIC = {}
for name, op in pairs { ADD = 'ADD', SUB = 'SUB', MUL = 'MUL', DIV = 'DIV', MOD = 'MOD' } do
  ARITHMETIC[OP[name .. 'VV']] = { op = op }
  ARITHMETIC[OP[name .. 'VN']] = { op = op, second = true }
  ARITHMETIC[OP[name .. 'NV']] = { op = op, first = true }
end

local LIBRARY = { [math.abs] = 'ABS', [math.ceil] = 'CEIL', [math.floor] = 'FLOOR', [math.sqrt] = 'SQRT', [math.max] = 'MAX',
  [math.min] = 'MIN' }
local TAKES = { MAX = 2, MIN = 2 }

--- What C does, done with constants.
local FOLD = {
  ADD = function(a, b) return a + b end, SUB = function(a, b) return a - b end, MUL = function(a, b) return a * b end,
  DIV = function(a, b) return a / b end, MOD = function(a, b) return a % b end, NEGATIVE = function(a) return -a end,
  ABS = math.abs, CEIL = math.ceil, FLOOR = math.floor, SQRT = math.sqrt, MAX = math.max, MIN = math.min,
}

local function constant(v)
  local text = type(v) == 'number' and ('%.17g'):format(v) or tostring(v)
  if v == 0 and 1 / v < 0 then text = '-0' end
  return { is = 'constant', value = v, id = 'k' .. type(v) .. text }
end

local NIL = constant(nil)

-- States -------------------------------------------------------------------------------------------------

-- fn: the function that is followed; regs; read: fields that were read and never looked at, which alone may raise; done: what temporaries
-- hold; stack: who called { fn, pc, regs, to: the register for what is returned, below, depth, key }

local function copy_of(t)
  local c = {}
  for k, v in pairs(t) do c[k] = v end
  return c
end

local function copy(state)
  return { fn = state.fn, regs = copy_of(state.regs), read = copy_of(state.read), done = copy_of(state.done), stack = state.stack }
end

local function key_of_regs(parts, regs)
  for reg, v in pairs(regs) do parts[#parts + 1] = reg .. '=' .. v.id end
end

local Path = {}
Path.__index = Path

function Path:number_of(fn)
  if not self.functions[fn] then
    self.functions_n = self.functions_n + 1
    self.functions[fn] = self.functions_n
  end
  return self.functions[fn]
end

function Path:key_of(pc, state)
  local parts = { 'at ' .. self:number_of(state.fn) .. ' ' .. pc, state.stack and state.stack.key or '' }
  key_of_regs(parts, state.regs)
  for name in pairs(state.read) do parts[#parts + 1] = 'read ' .. name end
  for id in pairs(state.done) do parts[#parts + 1] = 'done ' .. id end
  table.sort(parts)
  return table.concat(parts, '\0')
end

-- Nodes --------------------------------------------------------------------------------------------------

--- Adds a node; both ways on are followed. Returns its place in self.nodes, which come in order of leaving.
function Path:node(node, state, looked_at, on_true, on_false)
  if #self.nodes >= NODES_MAX then return KEEP end
  local after = copy(state)
  for _, v in ipairs(looked_at) do
    if v.is == 'field' then after.read[v.name] = nil end
  end
  node.on_true = on_true(copy(after))
  node.on_false = on_false and on_false(after) or KEEP
  if node.on_true == KEEP and node.on_false == KEEP or #self.nodes >= NODES_MAX then return KEEP end
  self.nodes[#self.nodes + 1] = node
  return #self.nodes
end

--- A value as what a node reads: a column, a temporary, or a constant and its number; nil: it is surely no number, or nobody knows.
function Path:operand(v)
  if v.is == 'number' then return v.of end
  if v.is == 'constant' and type(v.value) == 'number' then return 'constant', v.value end
  return v.is == 'field' and self.columns.number(v.name) or nil
end

--- A test of what a value is: nil, true, false, or (TRUTH) neither nil nor false. Returns operator and column; or what is known of it
--- without looking; nil: Lua must.
function Path:about(v, op)
  if v.is == 'constant' then
    local k = v.value
    if op == 'TRUTH' then return not not k end
    if op == 'EQ_NIL' then return k == nil end
    return k == (op == 'EQ_TRUE')
  end
  local of, bool = v.of, v.is == 'bool'
  if v.is == 'field' then of, bool = self.columns.plain(v.name) end
  if v.is == 'number' and type(of) == 'number' then return op == 'TRUTH' end
  if not of then return nil end
  if op == 'EQ_NIL' then return op, of end
  if op == 'TRUTH' then return bool and 'EQ_TRUE' or op, of end
  if bool then return op, of end
end

--- Goes on with yes or no by a test of what a value is.
function Path:test_about(v, op, state, yes, no)
  if v.is == 'truth' then
    if op ~= 'TRUTH' then return KEEP end
    if v.negated then yes, no = no, yes end
    v = v.v
  end
  local found, of = self:about(v, op)
  if found == true then return yes(copy(state)) end
  if found == false then return no(copy(state)) end
  if not found then return KEEP end
  return self:node({ op = 'TM_FILTER_' .. found, a = of }, state, { v }, yes, no)
end

--- Goes on by whether two values are equal.
function Path:test_equal(v, w, state, yes, no)
  if v.is == 'constant' then v, w = w, v end
  if v.is == 'constant' then return (v.value == w.value and yes or no)(copy(state)) end
  if w.is == 'constant' and type(w.value) == 'string' then
    local of = v.is == 'field' and self.columns.text(v.name)
    if not of then return KEEP end
    return self:node({ op = 'TM_FILTER_EQ_NUMBER', a = of, text = w.value }, state, { v }, yes, no)
  end
  if w.is == 'constant' and type(w.value) ~= 'number' then return KEEP end
  local a, b, num = self:operand(v), self:operand(w)
  if not a or not b then return KEEP end
  if b == 'constant' then return self:node({ op = 'TM_FILTER_EQ_NUMBER', a = a, num = num }, state, { v }, yes, no) end
  return self:node({ op = 'TM_RULE_EQ', a = a, b = b }, state, { v, w }, yes, no)
end

--- Goes on by whether v < w (LT) or v <= w (LE).
function Path:test_order(op, v, w, state, yes, no)
  local a, left = self:operand(v)
  local b, right = self:operand(w)
  if not a or not b then return KEEP end
  if a == 'constant' and b == 'constant' then
    local holds
    if op == 'LT' then holds = left < right else holds = left <= right end
    return (holds and yes or no)(copy(state))
  end
  if b == 'constant' then return self:node({ op = 'TM_FILTER_' .. op, a = a, num = right }, state, { v }, yes, no) end
  if a == 'constant' then
    return self:node({ op = op == 'LT' and 'TM_FILTER_GT' or 'TM_FILTER_GE', a = b, num = left }, state, { w }, yes, no)
  end
  return self:node({ op = 'TM_RULE_' .. op, a = a, b = b }, state, { v, w }, yes, no)
end

--- Goes on with the result of arithmetic: go(state, value).
function Path:compute(op, v, w, state, go)
  local a, left = self:operand(v)
  local b, right
  if w then b, right = self:operand(w) else b, right = 'constant', 0 end
  if not a or not b then return KEEP end
  if a == 'constant' and b == 'constant' then return go(copy(state), constant(FOLD[op](left, right))) end
  local id = op .. '(' .. v.id .. ',' .. (w and w.id or '') .. ')'
  local to = self.temporaries[id]
  if not to then
    to = self.temporaries_n
    if to >= C.TM_RULE_TEMPORARIES then return KEEP end
    self.temporaries[id], self.temporaries_n = to, to + 1
  end
  local value = { is = 'number', of = to, id = id }
  if state.done[id] then return go(copy(state), value) end
  local node = { op = 'TM_RULE_' .. op, a = a, b = b, num = a == 'constant' and left or right, to = to }
  return self:node(node, state, { v, w }, function(after)
    after.done[id] = true
    return go(after, value)
  end)
end

-- Ends ---------------------------------------------------------------------------------------------------

local function drop(state) return next(state.read) == nil and DROP or KEEP end
local function match(state) return next(state.read) == nil and MATCH or KEEP end

--- A function has returned v.
function Path:give(v, state)
  local caller = state.stack
  if caller then
    local after = copy(state)
    after.fn, after.regs, after.stack = caller.fn, copy_of(caller.regs), caller.below
    if not caller.to then return self:give(v, after) end
    after.regs[caller.to] = v
    return self:follow(caller.pc, after)
  end
  if v.is == 'object' or v.is == 'list' or v.is == 'has' or v.is == 'library' or v.is == 'fn' then return KEEP end
  return self:test_about(v, 'TRUTH', state, match, drop)
end

-- Instructions -------------------------------------------------------------------------------------------

--- A field of what a register holds; nil: nothing we know.
function Path:member(v, name, state)
  if v.is == 'library' then
    local fn = rawget(v.table, name)
    return type(fn) == 'function' and { is = 'fn', fn = fn, id = 'fn' .. self:number_of(fn) } or nil
  end
  if v.is == 'list' then return name == 'has' and { is = 'has', name = v.name, id = 'has ' .. v.name } or nil end
  if v.is ~= 'object' then return nil end
  if v.what == 'tx' then
    if self.columns.raises(name) then state.read[name] = true end
    return { is = 'field', name = name, id = 'x.' .. name }
  end
  if v.what == 'lists' then return { is = 'list', name = name, id = 'list ' .. name } end
  if v.what == 'p' then
    local k = self.columns.param(name)
    return k ~= nil and constant(k) or nil
  end
  local kind = self.columns.feature(name)
  return kind and { is = kind, of = 'f.' .. name, id = 'f.' .. name } or nil
end

--- A variable from outside that never changes, or a global that is the library.
function Path:outside(v, fn)
  local t = type(v)
  if t == 'number' or t == 'string' or t == 'boolean' then return v == v and constant(v) or nil end
  if t == 'function' then return { is = 'fn', fn = v, id = 'fn' .. self:number_of(v) } end
  if t == 'table' and rawget(debug.getfenv(fn), 'math') == v then return { is = 'library', table = v, id = 'math' } end
end

function Path:upvalue(fn, index)
  local ups = self.upvalues[fn] or bytecode.upvalues(fn)
  self.upvalues[fn] = ups
  local _, v = debug.getupvalue(fn, index + 1)
  return ups[index].constant and self:outside(v, fn) or nil
end

--- What loads a register and looks at nothing: true, or false where it is something else.
function Path:load(op, a, b, c, d, state)
  local fn, regs = state.fn, state.regs
  local v
  if op == OP.TGETS then
    local name = jutil.funck(fn, -c - 1)
    v = regs[b] and type(name) == 'string' and self:member(regs[b], name, state)
  elseif op == OP.KSHORT then v = constant(d >= JUMP_BIAS and d - 2 * JUMP_BIAS or d)
  elseif op == OP.KNUM then v = constant(jutil.funck(fn, d))
  elseif op == OP.KSTR then v = constant(jutil.funck(fn, -d - 1))
  elseif op == OP.KPRI then
    if d == 0 then v = NIL else v = constant(d == 2) end
  elseif op == OP.KNIL then
    for reg = a, d do regs[reg] = NIL end
    return true
  elseif op == OP.UGET then v = self:upvalue(fn, d)
  elseif op == OP.GGET then v = self:outside(rawget(debug.getfenv(fn), jutil.funck(fn, -d - 1)), fn)
  elseif op == OP.MOV then v = regs[d]
  elseif op == OP.NOT then
    v = regs[d]
    if v and v.is == 'constant' then
      v = constant(not v.value)
    elseif v and v.is == 'truth' then
      v = { is = 'truth', v = v.v, negated = not v.negated, id = (v.negated and 'truth ' or 'not ') .. v.v.id }
    elseif v and (v.is == 'number' or v.is == 'field' or v.is == 'bool') then
      v = { is = 'truth', v = v, negated = true, id = 'not ' .. v.id }
    else
      v = nil
    end
  end
  regs[a] = v
  return v and true or false
end

--- A call with n arguments; tail: what it returns is returned. go(state, value) goes on behind it.
function Path:call(a, n, tail, pc, state)
  local callee, args = state.regs[a], {}
  for i = 1, n do
    args[i] = state.regs[a + ARGS + i - 1]
    if not args[i] then return KEEP end
  end
  if not callee then return KEEP end
  local function go(after, v)
    if tail then return self:give(v, after) end
    for reg in pairs(copy_of(after.regs)) do
      if reg > a then after.regs[reg] = nil end
    end
    after.regs[a] = v
    return self:follow(pc + 1, after)
  end
  if callee.is == 'has' then
    local of = n == 2 and args[1].is == 'list' and args[1].name == callee.name and args[2].is == 'field' and
      self.columns.member(callee.name, args[2].name)
    return of and go(copy(state), { is = 'bool', of = of, id = of }) or KEEP
  end
  if callee.is ~= 'fn' then return KEEP end
  local op = LIBRARY[callee.fn]
  if op then
    if n ~= (TAKES[op] or 1) then return KEEP end
    return self:compute(op, args[1], args[2], state, go)
  end
  local info, depth = jutil.funcinfo(callee.fn), state.stack and state.stack.depth + 1 or 1
  if info.ffid or not info.params or info.isvararg or depth > DEPTH_MAX then return KEEP end
  local after = copy(state)
  local key = { self:number_of(state.fn) .. ' ' .. pc .. (tail and ' tail' or ''), state.stack and state.stack.key or '' }
  key_of_regs(key, state.regs)
  table.sort(key)
  after.stack = { fn = state.fn, pc = pc + 1, regs = copy_of(state.regs), to = not tail and a, below = state.stack, depth = depth,
    key = '<' .. table.concat(key, '\1') .. '>' }
  for reg in pairs(state.regs) do
    if reg > a then after.stack.regs[reg] = nil end
  end
  after.fn, after.regs = callee.fn, {}
  for i = 1, info.params do after.regs[i - 1] = args[i] or NIL end
  return self:follow(1, after)
end

local EQUAL, OPPOSITE, ABOUT = {}, {}, { [0] = 'EQ_NIL', 'EQ_FALSE', 'EQ_TRUE' }
for _, kind in ipairs { 'V', 'S', 'N', 'P' } do
  EQUAL[OP['ISEQ' .. kind]], EQUAL[OP['ISNE' .. kind]], OPPOSITE[OP['ISNE' .. kind]] = kind, kind, true
end
local ORDER = { [OP.ISLT] = 'LT', [OP.ISGE] = 'LT', [OP.ISLE] = 'LE', [OP.ISGT] = 'LE' }
OPPOSITE[OP.ISGE], OPPOSITE[OP.ISGT] = true, true
local TRUTH = { [OP.IST] = true, [OP.ISF] = true, [OP.ISTC] = true, [OP.ISFC] = true }
OPPOSITE[OP.ISF], OPPOSITE[OP.ISFC] = true, true

--- A comparison and the jump behind it, taken when it holds.
function Path:compare(pc, op, a, d, state)
  local fn, v, w = state.fn, state.regs[a], state.regs[d]
  local jump, _, _, _, to = decode(jutil.funcbc(fn, pc + 1))
  if jump ~= OP.JMP or to < JUMP_BIAS then return KEEP end
  local function yes(after)
    if op == OP.ISTC or op == OP.ISFC then after.regs[a] = after.regs[d] end
    return self:follow(pc + 2 + to - JUMP_BIAS, after)
  end
  local function no(after) return self:follow(pc + 2, after) end
  if OPPOSITE[op] then yes, no = no, yes end
  local function plain(x) return x and x.is ~= 'object' and x.is ~= 'list' and x.is ~= 'has' and x.is ~= 'library' and x.is ~= 'fn' end
  if TRUTH[op] then return plain(w) and self:test_about(w, 'TRUTH', state, yes, no) or KEEP end
  if not plain(v) then return KEEP end
  if EQUAL[op] == 'P' then return self:test_about(v, ABOUT[d], state, yes, no) end
  if EQUAL[op] == 'S' then w = constant(jutil.funck(fn, -d - 1)) elseif EQUAL[op] == 'N' then w = constant(jutil.funck(fn, d)) end
  if not plain(w) then return KEEP end
  if EQUAL[op] then return self:test_equal(v, w, state, yes, no) end
  return self:test_order(ORDER[op], v, w, state, yes, no)
end

--- Arithmetic at pc.
function Path:arithmetic(pc, op, a, b, c, d, state)
  local regs, of = state.regs, ARITHMETIC[op]
  local function go(after, v)
    after.regs[a] = v
    return self:follow(pc + 1, after)
  end
  if op == OP.UNM then return regs[d] and self:compute('NEGATIVE', regs[d], nil, state, go) or KEEP end
  local v, w = regs[b], of.first and regs[b] or regs[c]
  if of.first then v = constant(jutil.funck(state.fn, c)) elseif of.second then w = constant(jutil.funck(state.fn, c)) end
  return v and w and self:compute(of.op, v, w, state, go) or KEEP
end

--- Does a jump lead to pc? Only there ways meet again.
function Path:is_target(fn, pc)
  local targets = self.targets[fn]
  if not targets then
    targets = {}
    for at = 1, jutil.funcinfo(fn).bytecodes - 1 do
      local op, _, _, _, d = decode(jutil.funcbc(fn, at))
      if op == OP.JMP then targets[at + 1 + d - JUMP_BIAS] = true end
    end
    self.targets[fn] = targets
  end
  return targets[pc]
end

--- Follows a function from pc; returns what becomes of the rows that come there.
function Path:follow(pc, state)
  local key = self:is_target(state.fn, pc) and self:key_of(pc, state) or false
  local known = key and self.known[key]
  self.steps = self.steps + 1
  if known then return known end
  if self.steps > STEPS_MAX then return KEEP end
  local result
  while not result do
    local op, a, b, c, d = decode(jutil.funcbc(state.fn, pc))
    if op == OP.JMP then
      if d < JUMP_BIAS then result = KEEP else pc = pc + 1 + d - JUMP_BIAS end
    elseif op == OP.RET0 then
      result = self:give(NIL, state)
    elseif op == OP.RET1 then
      result = state.regs[a] and self:give(state.regs[a], state) or KEEP
    elseif EQUAL[op] or ORDER[op] or TRUTH[op] then
      result = self:compare(pc, op, a, d, state)
    elseif ARITHMETIC[op] or op == OP.UNM then
      result = self:arithmetic(pc, op, a, b, c, d, state)
    elseif op == OP.CALL then
      result = b == 2 and c > 0 and self:call(a, c - 1, false, pc, state) or KEEP
    elseif op == OP.CALLT then
      result = self:call(a, d - 1, true, pc, state)
    elseif self:load(op, a, b, c, d, state) then
      pc = pc + 1
    else
      result = KEEP
    end
  end
  if key then self.known[key] = result end
  return result
end

--- The graph that a rule's function begins with.
---@param fn function (tx, f, p, lists)
---@param columns table what columns there are: functions number(field), text(field), plain(field): column, is it boolean;
---   member(list, field): names of columns, nil for none; raises(field): may reading it raise?
---   feature(name): 'number' or 'bool'; param(name): its value
---@return table? list of nodes { op, a, b, to, num, text, on_true, on_false }: names of columns, temporaries from 0, 'constant'; text: num
---   is that text's number in the column a; on_true and on_false are places in the list from 0, or ends; nil: nothing can be told
function M.graph(fn, columns)
  local info = jutil.funcinfo(fn)
  if info.ffid or info.isvararg then return nil end
  local path = setmetatable({ columns = columns, nodes = {}, known = {}, steps = 0, temporaries = {}, temporaries_n = 0, functions = {},
    functions_n = 0, upvalues = {}, targets = {} }, Path)
  local regs = {}
  for param, what in pairs(OBJECTS) do
    if param < info.params then regs[param] = { is = 'object', what = what, id = what } end
  end
  local first = path:follow(1, { fn = fn, regs = regs, read = {}, done = {} })
  local n = #path.nodes
  if first ~= n or n == 0 then return nil end
  local function place(to) return to > 0 and n - to or to end
  local list = {}
  for i = n, 1, -1 do
    local node = path.nodes[i]
    node.on_true, node.on_false = place(node.on_true), place(node.on_false)
    list[#list + 1] = node
  end
  return list
end

return M
