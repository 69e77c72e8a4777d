--[[
rules_given.lua - what the function of a rule is given: the event, the features, its params, the lists. All of them are read-only, and say
so in words; a name that they do not have is told with what is close.

The event is seen through a proxy of its view, objects in it through proxies of theirs; an array is a copy. Features are read off
columns at the row at hand (at.row), by a function of their own each.
]]

local lib = require 'tidemill.lib'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'
local raise, owner = lib.raise, lib.owner
local setmetatable, type = setmetatable, type

local M = {}

local function read_only(what)
  return function(_, k)
    raise('read-only', ("%s.%s cannot be assigned: what a rule is given is read-only; a rule's values are its locals"):format(what,
      tostring(k)))
  end
end

--- The event as rules see it.
---@param event table the view's proxy
function M.event(event)
  local meta_of, assign = nil, read_only 'tx'
  local known = setmetatable({}, { __mode = 'k' })
  local function nested(v)
    if not owner[v] then return (value.copy(v)) end
    local made = known[v]
    if not made then
      made = setmetatable({ [lib.VIEW] = true }, meta_of(v))
      owner[made], known[v] = owner[v], made
    end
    return made
  end
  function meta_of(view)
    return {
      __index = function(_, k)
        local v = view[k]
        if type(v) == 'table' then return (nested(v)) end
        return v
      end,
      __newindex = assign, __metatable = 'event',
    }
  end
  local tx = setmetatable({ [lib.VIEW] = true }, meta_of(event))
  owner[tx] = owner[event]
  return tx
end

local READ = {
  number = 'if known[j] == 1 then return num[j] end return nil',
  bool = 'if known[j] == 1 then return num[j] ~= 0 end return nil',
  text = 'if known[j] == 1 then return text[j] end return nil',
}

--- Features as rules see them.
---@param columns table list of { name, type }, of features.lua
---@param set table its number, known, text
---@param at ffi.cdata* int32_t *: the row at hand
---@return table f, table readers: name -> function(): the value in that row
function M.features(columns, set, at)
  local readers, names = {}, {}
  for i, c in ipairs(columns) do
    local text = 'local num, known, text, at = ... return function() local j = at[0] ' .. (READ[c.type] or READ.text) .. ' end'
    readers[c.name] = assert(loadstring(text, '=tidemill.rules_given'))(set.number[i], set.known[i], set.text[i], at)
    names[i] = c.name
  end
  local function index(_, k)
    local read = readers[k]
    if read then return (read()) end
    raise('unknown-feature', "the pack has no feature '" .. tostring(k) .. "'" .. suggest.among(tostring(k), names))
  end
  return setmetatable({}, { __index = index, __newindex = read_only 'f', __metatable = 'features' }), readers
end

--- A table of plain values by name, read-only.
function M.named(what, values)
  local function index(_, k)
    local names = {}
    for name in pairs(values) do names[#names + 1] = name end
    raise('unknown-' .. what, ("there is no %s '%s'%s"):format(what, tostring(k), suggest.among(tostring(k), names)))
  end
  return setmetatable({}, { __index = setmetatable(values, { __index = index }), __newindex = read_only(what == 'param' and 'p' or 'lists'),
    __metatable = what })
end

return M
