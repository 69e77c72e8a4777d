--[[
bytecode.lua - what can be read off a function's bytecode: its instructions, the fields it names of its first parameter,
which variables from outside it has.

Opcodes differ between builds, so their numbers are learned by compiling functions whose code is known. What jit.util does
not tell (whose local an upvalue of an inner function is) is read from string.dump, whose layout is LuaJIT's lj_bcdump.h:

  ESC L J version flags=2 | (length flags params framesize upvalues kgc* kn* bc* instructions[4 each] upvalues[2 each] ...)* 0
  * ULEB128; inner functions stand before the one that has them, in the order of its constants
]]

local jit = require 'jit'
local jutil = require 'jit.util'
local bit = require('tidemill.lib').bit
local band, rshift = bit.band, bit.rshift

local M = {}

--- The fields of an instruction: opcode, A, B, C, and D, which is B and C as one number.
local function decode(ins)
  return band(ins, 255), band(rshift(ins, 8), 255), band(rshift(ins, 24), 255), band(rshift(ins, 16), 255), rshift(ins, 16)
end

local function opcode_at(text, pc)
  return (decode(jutil.funcbc(assert(loadstring('local u = 1 return ' .. text))(), pc)))
end

-- name, a function in which it stands, where
local known = {
  { 'GGET', 'function() return marker end', 1 }, { 'GSET', 'function(e) marker = e end', 1 },
  { 'TGETS', 'function(e) return e.marker end', 1 }, { 'TSETS', 'function(e) e.marker = e end', 1 },
  { 'TGETV', 'function(e, k) return e[k] end', 1 }, { 'TSETV', 'function(e, k) e[k] = e end', 1 },
  { 'UGET', 'function() return u end', 1 }, { 'USETV', 'function(e) u = e end', 1 },
  { 'USETS', "function() u = 'a' end", 1 }, { 'USETN', 'function() u = 1 end', 1 }, { 'USETP', 'function() u = nil end', 1 },
  { 'MOV', 'function(e) local f = e end', 1 }, { 'KSTR', "function() return 'a' end", 1 },
  { 'KPRI', 'function() return true end', 1 },
  { 'KNIL', 'function() local a, b end', 1 }, { 'LEN', 'function(e) return #e end', 1 },
  { 'ADDVN', 'function(e) return e + 1 end', 1 }, { 'ADDNV', 'function(e) return 1 + e end', 1 },
  { 'ADDVV', 'function(a, b) return a + b end', 1 }, { 'SUBVN', 'function(e) return e - 1 end', 1 },
  { 'SUBNV', 'function(e) return 1 - e end', 1 }, { 'SUBVV', 'function(a, b) return a - b end', 1 },
  { 'MULVN', 'function(e) return e * 2 end', 1 }, { 'MULNV', 'function(e) return 2 * e end', 1 },
  { 'MULVV', 'function(a, b) return a * b end', 1 }, { 'DIVVN', 'function(e) return e / 2 end', 1 },
  { 'DIVNV', 'function(e) return 2 / e end', 1 }, { 'DIVVV', 'function(a, b) return a / b end', 1 },
  { 'MODVN', 'function(e) return e % 2 end', 1 }, { 'MODNV', 'function(e) return 2 % e end', 1 },
  { 'MODVV', 'function(a, b) return a % b end', 1 }, { 'UNM', 'function(e) return -e end', 1 },
  { 'TSETB', 'function(e) e[1] = e end', 1 }, { 'CAT', 'function(a, b) return a .. b end', 3 },
  { 'FNEW', 'function(e) return function() return e end end', 1 },
  { 'UCLO', 'function(e) return function() return e end end', 2 },
  { 'CALL', 'function(f) f() end', 2 }, { 'CALLM', 'function(f) f(f()) end', 4 },
  { 'CALLT', 'function(f) return f() end', 2 }, { 'CALLMT', 'function(f, ...) return f(...) end', 3 },
  { 'RET0', 'function() end', 1 }, { 'RET1', 'function(e) return e end', 1 },
  { 'RET', 'function(e) return e, e end', 3 }, { 'RETM', 'function(...) return ... end', 2 },
  { 'VARG', 'function(...) return ... end', 1 }, { 'JMP', 'function(e) if e then e() end end', 2 },
  { 'KSHORT', 'function() return 1 end', 1 }, { 'KNUM', 'function() return 1.5 end', 1 },
  { 'ISLT', 'function(a, b) return a < b end', 1 }, { 'ISGE', 'function(a, b) return not (a < b) end', 1 },
  { 'ISLE', 'function(a, b) return a <= b end', 1 }, { 'ISGT', 'function(a, b) return not (a <= b) end', 1 },
  { 'ISEQV', 'function(a, b) return a == b end', 1 }, { 'ISNEV', 'function(a, b) return a ~= b end', 1 },
  { 'ISEQS', "function(a) return a == 'a' end", 1 }, { 'ISNES', "function(a) return a ~= 'a' end", 1 },
  { 'ISEQN', 'function(a) return a == 1 end', 1 }, { 'ISNEN', 'function(a) return a ~= 1 end', 1 },
  { 'ISEQP', 'function(a) return a == nil end', 1 }, { 'ISNEP', 'function(a) return a ~= nil end', 1 },
  { 'ISF', 'function(f) if f then f() end end', 1 }, { 'IST', 'function(f) if not f then f() end end', 1 },
  { 'NOT', 'function(a) return not a end', 1 },
  { 'ISTC', 'function(a, b) return a or b end', 1 }, { 'ISFC', 'function(a, b) return a and b end', 1 },
  { 'ISNEXT', 'function(t) for k in pairs(t) do end end', 4 }, { 'ITERN', 'function(t) for k in pairs(t) do end end', 5 },
  { 'ITERC', 'function(f, s) for k in f, s do k() end end', 7 }, { 'ITERL', 'function(f, s) for k in f, s do k() end end', 8 },
  { 'FORI', 'function() for i = 1, 2 do end end', 4 },
}
--- Opcodes by name.
local OP = {}
for _, o in ipairs(known) do OP[o[1]] = opcode_at(o[2], o[3]) end
M.OP = OP

--- Where arguments stand behind the function they are given to (2 in 64-bit builds, 1 in others).
local call = assert(loadstring 'return function(f, x) f(x) end')()
M.ARGS = select(2, decode(jutil.funcbc(call, 2))) - select(2, decode(jutil.funcbc(call, 1)))

--- Opcodes that return something.
M.VALUE_RETURNS = { [OP.RET1] = true, [OP.RET] = true, [OP.RETM] = true, [OP.CALLT] = true, [OP.CALLMT] = true }

--- "file:line" of an instruction.
local function place_of(f, pc)
  local info = jutil.funcinfo(f, pc)
  return (info.source:gsub('^@', '')) .. ':' .. info.currentline
end

local MISREADS = M.ARGS == 2 and jit.version:find('beta', 1, true) ~= nil
local COMES_BACK = { [OP.CALL] = true, [OP.CALLM] = true, [OP.ITERC] = true, [OP.ITERN] = true, [OP.FORI] = true }
local JUMP_BIAS = 0x8000

--- Where f reads `...` in a way that LuaJIT 2.1.0-beta3 gets wrong in 64-bit builds when it is compiled (its issue 864, mended
--- in July 2022): a fixed number of values (`local a = ...`, `(...)`) in a trace that did not see the call of f has each value's
--- neighbour instead. A trace begins inside of f behind something that was called there, and in loops; what is reached from the
--- start of f without either is right.
---@param f function|proto of Lua
---@return integer? pc of the first such place; nil: none
function M.misread_varargs(f)
  if not MISREADS then return nil end
  local last, from = jutil.funcinfo(f).bytecodes - 1, math.huge
  for pc = 1, last do
    local op, _, _, _, d = decode(jutil.funcbc(f, pc))
    if COMES_BACK[op] then from = math.min(from, pc)
    elseif (op == OP.JMP or op == OP.ITERL) and d < JUMP_BIAS then from = math.min(from, pc + 1 + d - JUMP_BIAS) end
  end
  for pc = from, last do
    local op, _, values = decode(jutil.funcbc(f, pc))
    if op == OP.VARG and values > 1 then return pc end
  end
end

--- Leaves to the interpreter f, and the functions inside it, where they have such a place.
function M.interpret_misread(f)
  if M.misread_varargs(f) then jit.off(f) end
  for i = -1, -math.huge, -1 do
    local k = jutil.funck(f, i)
    if k == nil then return end
    if type(k) == 'proto' then M.interpret_misread(k) end
  end
end

--- How many parameters a function names; huge: it has `...`.
function M.takes(f)
  local info = jutil.funcinfo(f)
  return info.isvararg and math.huge or info.params or 0
end

--- Names that function f reads from and writes to a parameter (0: the first), with the place of the first use.
function M.fields_of(f, param)
  local reads, writes = {}, {}
  param = param or 0
  if jutil.funcinfo(f).params <= param then return reads, writes end
  for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
    local op, _, b, c = decode(jutil.funcbc(f, pc))
    if (op == OP.TGETS or op == OP.TSETS) and b == param then
      local name = jutil.funck(f, -c - 1)
      local into = op == OP.TGETS and reads or writes
      if type(name) == 'string' and not into[name] then into[name] = place_of(f, pc) end
    end
  end
  return reads, writes
end

-- what an operand of an instruction is, as jit.util says it (lj_bc.h, BCMode)
local DST, RBASE = 1, 4
local function is_register(mode) return mode >= DST and mode <= RBASE end

--- Names that function f reads from a parameter (0: the first), if that is all it does with it; nil: it is handed on, written to, or
--- asked for what stands in no constant.
function M.only_named(f, param)
  local names, info = {}, jutil.funcinfo(f)
  if info.isvararg then return nil end
  if info.params <= param then return names end
  for pc = 1, info.bytecodes - 1 do
    local ins, mode = jutil.funcbc(f, pc)
    local op, a, b, c, d = decode(ins)
    local of_a, of_b, of_c = band(mode, 7), band(rshift(mode, 3), 15), band(rshift(mode, 7), 15)
    if op == OP.FNEW then return nil end
    if is_register(of_a) and a == param then return nil end
    if op == OP.KNIL and a <= param and param <= d then return nil end
    if op == OP.TGETS and b == param then
      names[jutil.funck(f, -c - 1)] = true
    elseif of_b == 0 then
      if is_register(of_c) and d == param then return nil end
    elseif is_register(of_b) and b == param or is_register(of_c) and c == param then
      return nil
    end
  end
  return names
end

--- The functions written inside f, in the order of its constants.
function M.inner(f)
  local list, i = {}, -1
  while true do
    local k = jutil.funck(f, i)
    if k == nil then return list end
    if type(k) == 'proto' then list[#list + 1] = k end
    i = i - 1
  end
end

--- ULEB128 at `at`: the number and where the next one begins.
local function uleb(text, at)
  local v, scale = 0, 1
  while true do
    local byte = text:byte(at)
    v, at = v + byte % 128 * scale, at + 1
    if byte < 128 then return v, at end
    scale = scale * 128
  end
end

--- Where the upvalues of a function and of all inside it come from: { [i] = { fresh, index } , inner = { the same for each
--- inner function } }. i from 0; fresh: a local of the function around it, in the register `index`, made anew at each call;
--- else upvalue `index` of the function around it; constant: a local that is never assigned after its declaration.
---@param f function of Lua
function M.upvalues(f)
  local text, at = string.dump(f, true), 6
  local function read()
    local size, from = uleb(text, at)
    at = from + size
    local n = text:byte(from + 3)
    local counts = select(2, uleb(text, select(2, uleb(text, from + 4))))   -- behind those of constants
    local instructions, p = uleb(text, counts)
    p = p + 4 * instructions
    local list = {}
    for i = 0, n - 1 do
      local low, high = text:byte(p + 2 * i, p + 2 * i + 1)
      list[i] = { fresh = high >= 128, index = low, constant = high >= 192 }
    end
    return list
  end
  -- the dump is in post-order: a function is taken out of the list when the one around it comes
  local function arrange(proto)
    local inner = {}
    for i, p in ipairs(M.inner(proto)) do inner[i] = arrange(p) end
    local own = read()
    own.inner = inner
    return own
  end
  return arrange(f)
end

M.decode, M.place_of = decode, place_of

return M
