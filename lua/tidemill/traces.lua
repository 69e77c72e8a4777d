--[[
traces.lua - counts what the compiler does: pieces of Lua made machine code, attempts given up, all thrown away.
LuaJIT calls back at these events only, never in compiled code; the function itself is not compiled, so that counting
changes nothing of what is counted. The host reads the three numbers.
]]

local jit = require 'jit'
local lib = require 'tidemill.lib'
local count = lib.ffi.cast('double *', lib.host.traces)

local index = { stop = 0, abort = 1, flush = 2 }

local function on_trace(what)
  local i = index[what]
  if i then count[i] = count[i] + 1 end
end

jit.off(on_trace)
jit.attach(on_trace, 'trace')
return true
