--[[
bytecode.lua - what can be read off a function's bytecode: the fields it names of its first parameter, what it returns.

Opcodes differ between builds, so their numbers are learned by compiling functions whose code is known.
]]

local jutil = require 'jit.util'
local bit = require('tidemill.lib').bit
local band, rshift = bit.band, bit.rshift

local M = {}

local function decode(ins)
  return band(ins, 255), band(rshift(ins, 8), 255), band(rshift(ins, 24), 255), band(rshift(ins, 16), 255)
end

--- The opcode of the first instruction of the function this text gives.
local function first_opcode(text)
  return (decode(jutil.funcbc(assert(loadstring('return ' .. text))(), 1)))
end

local GGET = first_opcode 'function() return marker end'
local GSET = first_opcode 'function(e) marker = e end'
local TGETS = first_opcode 'function(e) return e.marker end'
local TSETS = first_opcode 'function(e) e.marker = e end'
local VALUE_RETURNS = {
  [first_opcode 'function(e) return e end'] = true,
  [(decode(jutil.funcbc(assert(loadstring 'return function(e) return e, e end')(), 3)))] = true,
  [(decode(jutil.funcbc(assert(loadstring 'return function(...) return ... end')(), 2)))] = true,
  [(decode(jutil.funcbc(assert(loadstring 'return function(f) return f() end')(), 2)))] = true,
  [(decode(jutil.funcbc(assert(loadstring 'return function(f, ...) return f(...) end')(), 3)))] = true,
}

local function place_of(f, pc)
  local info = jutil.funcinfo(f, pc)
  return (info.source:gsub('^@', '')) .. ':' .. info.currentline
end

--- Names that function f reads from and writes to its first parameter, with the place of the first use.
function M.fields_of(f)
  local reads, writes = {}, {}
  if jutil.funcinfo(f).params < 1 then return reads, writes end
  for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
    local op, _, b, c = decode(jutil.funcbc(f, pc))
    if (op == TGETS or op == TSETS) and b == 0 then
      local name = jutil.funck(f, -c - 1)
      local into = op == TGETS and reads or writes
      if type(name) == 'string' and not into[name] then into[name] = place_of(f, pc) end
    end
  end
  return reads, writes
end

M.decode, M.place_of = decode, place_of
M.GGET, M.GSET, M.TGETS, M.VALUE_RETURNS = GGET, GSET, TGETS, VALUE_RETURNS

return M
