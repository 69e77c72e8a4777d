--[[
state_checked.lua - the state and the context of a `process` function that live for one call, for `check --sample`: using them,
or anything got from them, in a later call is reported. Slow, and only there where it is asked for.
]]

local lib = require 'tidemill.lib'
local raise, type, setmetatable = lib.raise, type, setmetatable

local M = {}

--- Gives out the proxies of a process step for one call at a time.
---@param s table the state's proxy
---@param ctx table the context's
---@param containers table lists, maps and sets of the state, as keys
---@return function lend() -> s, ctx for the call that begins
---@return function retire() the call is over
function M.make(s, ctx, containers)
  local call = {}   -- one table a call; `over` in it when that is

  --- inner as long as the call lasts
  local function lent(inner, of, message)
    local function check() if of.over then raise('kept', message) end end
    return setmetatable({}, {
      __index = function(_, k)
        check()
        local v = inner[k]
        if type(v) == 'function' then
          return function(...)
            check()
            return v(...)
          end
        end
        return containers[v] and lent(v, of, message) or v
      end,
      __newindex = function(_, k, v)
        check()
        inner[k] = v
      end,
      __metatable = getmetatable(inner),
    })
  end

  local function retire() call.over = true end
  local function lend()
    retire()
    call = {}
    return lent(s, call, 'state kept after its call; keep what you need of it as plain values'),
      lent(ctx, call, 'ctx kept after its call; use the one of the call at hand')
  end
  return lend, retire
end

return M
