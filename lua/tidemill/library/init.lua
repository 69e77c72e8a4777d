--[[
init.lua - the library in scripts: which file below holds which names of tm. A file is loaded when a script asks for one of its
names, so that a start does not pay for what it does not use.
]]

local M = {}

local files = {
  date = 'date', geo = 'geo', ip = 'ip', json = 'json', kv = 'kv', log = 'log', re = 're', url = 'url',
  hash = 'hash', hmac = 'hash', base64 = 'hash', hex = 'hash',
  lower = 'text', upper = 'text', trim = 'text', split = 'text', starts = 'text', ends = 'text', contains = 'text',
  count = 'text', replace = 'text',
}

--- The names it adds to tm.
M.names = {}
for name in pairs(files) do M.names[#M.names + 1] = name end

--- What tm.<name> is: a function, or a table of functions; nil: the library has no such name.
---@param name string
---@param settings table<string, string> what --set gave
function M.get(name, settings)
  local file = files[name]
  if not file then return nil end
  local module = require('tidemill.library.' .. file)
  if file == 'log' then return module(settings.log) end
  return module[name]
end

return M
