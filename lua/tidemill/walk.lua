--[[
walk.lua - next and pairs for the whole library, safe to compile.

The LuaJIT of Debian 12 (2.1 beta3 of 2022-03) compiles next() to a call that gives two values in two registers: a pointer
to the pair, and the index behind it. Where the register allocator has chosen each for the other, it exchanges them by an
instruction of 32 bits, and half of the pointer is gone (LuaJIT's issue 829, mended upstream in 2022-04). The index is
taken only where a walk ends (the result is nil) and by loops `for k in pairs(t)` and `for k in next, t`, whose bytecode
keeps it. So:
  - a walk here is a call of next(t, k), never such a loop: where it does not end there is no index.
  - behind each next() stands a call of C. A call empties the registers that it may destroy, among them these two; as
    the allocator goes backwards, it finds both free at the next() before and chooses neither for the other.
boot.lua puts both in place of Lua's own before it loads anything else: a walk of the library may be compiled wherever it
becomes hot, also where it is no part of an event's way. tests/spec/next_spec.lua looks for the instruction.
]]

local lib = require 'tidemill.lib'
local rawnext, type, error, walked = next, type, error, lib.C.tm_ffi_table_walked

local M = {}

function M.next(t, k) local key, v = rawnext(t, k) walked() return key, v end

local next = M.next

function M.pairs(t)
  if type(t) ~= 'table' then error("bad argument #1 to 'pairs' (table expected, got " .. (t == nil and 'nil' or type(t)) .. ')', 2) end
  return next, t, nil
end

return M
