--[[
nesting.lua - how deep what a script calls may nest on C's stack.

C functions that call back (gsub, table.sort, coroutines) need that stack, which nothing bounds but its end: they refuse
to be nested deeper than it surely holds.
]]

local raise = require 'tidemill.lib'.raise

local M = {}

local getinfo, running, resume, create = debug.getinfo, coroutine.running, coroutine.resume, coroutine.create
local LEVELS_MAX, RESUMED_MAX = 2000, 200
local resumed = 0   -- coroutines that wait for one they resumed

--- Before a C function that calls back: 2,000 Lua calls hold some 600 of the largest, gsub, 10 KB each. Coroutines have
--- levels of their own, so each leaves less to those it resumes.
function M.check()
  if not running() then resumed = 0 end
  if getinfo(LEVELS_MAX / (resumed + 1) + 3, 'l') then
    raise('stack-overflow', 'functions called by gsub, table.sort and coroutines are nested too deep: a recursion without an end?')
  end
end

local function resume_begin()
  M.check()
  if resumed >= RESUMED_MAX then raise('stack-overflow', 'more than 200 coroutines wait for one another: a recursion without an end?') end
  resumed = resumed + 1
end

local function resume_end(...)
  resumed = resumed - 1
  return ...
end

local function wrap_end(ok, ...)
  resumed = resumed - 1
  if not ok then error(..., 0) end
  return ...
end

--- The table `coroutine` for one environment.
function M.coroutine_library()
  local t = { create = create, running = running, status = coroutine.status, yield = coroutine.yield }
  function t.resume(co, ...)
    if type(co) ~= 'thread' then return resume(co) end
    resume_begin()
    return resume_end(resume(co, ...))
  end
  function t.wrap(f)
    if type(f) ~= 'function' then
      error(("bad argument #1 to 'wrap' (function expected, got %s)"):format(f == nil and 'no value' or type(f)), 2)
    end
    local co = create(f)
    return function(...)
      resume_begin()
      return wrap_end(resume(co, ...))
    end
  end
  return t
end

return M
