--[[
traces.lua - counts what the compiler does: pieces of Lua made machine code, attempts given up, all thrown away.
LuaJIT calls back at these events only, never in compiled code; the function itself is not compiled, so that counting
changes nothing of what is counted. The host reads the numbers.
]]

local jit = require 'jit'
local lib = require 'tidemill.lib'
local count = lib.ffi.cast('double *', lib.host.traces)

local index = { stop = 0, abort = 1, flush = 2 }
local loops, compiled = {}, {}
local starting

local function on_trace(what, _, func, _, parent)
  if what == 'start' then
    starting = not parent and loops[func] and func or nil
    return
  end
  local i = index[what]
  if not i then return end
  count[i] = count[i] + 1
  if what == 'flush' then compiled, count[3] = {}, 0 end
  if what == 'stop' and starting and not compiled[starting] then
    compiled[starting] = true
    count[3] = count[3] + 1
  end
  starting = nil
end

jit.off(on_trace)
jit.attach(on_trace, 'trace')

local M = {}

--- Counts this pipeline's loop when it becomes machine code.
function M.watch(loop)
  loops[loop] = true
end

return M
