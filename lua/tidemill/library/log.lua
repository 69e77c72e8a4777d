--[[
log.lua - tm.log: lines on stderr with a level, at most 200 a second together with print's.
]]

local lib = require 'tidemill.lib'
local sandbox = require 'tidemill.sandbox'
local suggest = require 'tidemill.suggest'

local levels = { 'debug', 'info', 'warn', 'error' }

--- The functions of tm.log. least: --set log=LEVEL; what lies below is left out (info without one).
---@param least string|nil
return function(least)
  local log, from = {}, 2
  if least ~= nil then
    from = nil
    for i, name in ipairs(levels) do if name == least then from = i end end
    if not from then
      lib.raise('usage', "--set log: no level is called '" .. least .. "'" .. suggest.among(least, levels))
    end
  end
  for i, name in ipairs(levels) do
    log[name] = i < from and function() end or function(...)
      local parts = { name .. ':' }
      for k = 1, select('#', ...) do parts[k + 1] = sandbox.tostring((select(k, ...))) end
      lib.host.print(table.concat(parts, ' '))
    end
  end
  return log
end
