--[[
pack_site.lua - what a site says of a pack it did not write: a file outside of the pack, so that a new version of the pack keeps it.

  return {
    disable = { 'travel' },                                             -- rules that are off
    modes = { velocity = 'shadow' },                                    -- off shadow alert enforce
    params = { travel = { kmh = 800 } },                                -- within the bounds of the rule
    exceptions = { travel = { card = { 'c0017', 'c0042' } } },          -- fields that the rule names in its `exceptions`
    lists = { mcc = { add = { '7995' }, remove = { '6011' } } },        -- or { file = 'mcc.csv' }, beside this file
  }

Whatever it names must be there, and must change something: a rule that is off already, a key that a list has, are load errors, as they
are left over from another version.
]]

local files = require 'tidemill.pack_files'
local suggest = require 'tidemill.suggest'
local fault, shown, sorted = files.fault, files.shown, files.sorted

local M = {}

local FIELDS = { disable = { 'table' }, modes = { 'table' }, params = { 'table' }, exceptions = { 'table' }, lists = { 'table' } }
local LIST = { add = { 'table' }, remove = { 'table' }, file = { 'string' } }

--- Reads the file of a site.
---@param path string
---@param where string "file:line" that named it
function M.read(path, where, tm)
  local dir, name = path:match '^(.*)/([^/]*)$'
  local set = files.open(dir or '.', tm)
  if not set:has(name or path) then fault(where, "the site file '" .. path .. "' cannot be read") end
  local given, at = set:value(name or path)
  set:check(at, 'the site file', given, FIELDS)
  return { given = given, path = at, files = set }
end

--- What it says of lists, for pack_lists.lua. known: the lists of the manifest.
function M.lists(site, known)
  local set, path, out = site.files, site.path, {}
  for _, name in ipairs(sorted(site.given.lists or {})) do
    local about = site.given.lists[name]
    set:known(set:place(path, name, 'lists'), 'the pack has no list', name, sorted(known))
    set:check(path, "the list '" .. name .. "'", about, LIST, name)
    for _, key in ipairs { 'add', 'remove' } do
      for _, v in ipairs(about[key] or {}) do
        if type(v) ~= (known[name].key or 'string') then
          fault(set:place(path, name, 'lists'), ("the list '%s' has keys of type %s, found %s"):format(name, tostring(known[name].key),
            shown(v)))
        end
      end
    end
    if next(about) == nil then fault(set:place(path, name, 'lists'), "nothing is said of the list '" .. name .. "'") end
    out[name] = about
  end
  out.files = set
  out.place = function(name) return set:place(path, name, 'lists') end
  return out
end

local function rule_of(site, pack, section, id)
  local names = {}
  for _, rule in ipairs(pack.rules) do
    if rule.id == id then return rule end
    names[#names + 1] = rule.id
  end
  fault(site.files:place(site.path, id, section), "the pack has no rule '" .. tostring(id) .. "'" .. suggest.among(tostring(id), names))
end

local function apply_modes(site, pack)
  local set, path = site.files, site.path
  for _, id in ipairs(site.given.disable or {}) do
    local rule = rule_of(site, pack, 'disable', id)
    if rule.mode == 'off' then fault(set:place(path, id, 'disable'), "the rule '" .. id .. "' is off already") end
    rule.mode = 'off'
  end
  for _, id in ipairs(sorted(site.given.modes or {})) do
    local rule, mode = rule_of(site, pack, 'modes', id), site.given.modes[id]
    set:known(set:place(path, id, 'modes'), 'a mode is off, shadow, alert or enforce, got', mode, pack.modes)
    if rule.mode == mode then fault(set:place(path, id, 'modes'), ("the mode of the rule '%s' is '%s' already"):format(id, mode)) end
    rule.mode = mode
  end
end

local function apply_params(site, pack)
  local set, path = site.files, site.path
  for _, id in ipairs(sorted(site.given.params or {})) do
    local rule = rule_of(site, pack, 'params', id)
    for _, name in ipairs(sorted(site.given.params[id])) do
      local place = set:place(path, name, id)
      local about = rule.params[name]
      if not about then
        fault(place, ("the rule '%s' has no param '%s'%s"):format(id, tostring(name), suggest.among(tostring(name), sorted(rule.params))))
      end
      rule:set_param(name, site.given.params[id][name], place)
    end
  end
end

local function apply_exceptions(site, pack)
  local set, path = site.files, site.path
  for _, id in ipairs(sorted(site.given.exceptions or {})) do
    local rule = rule_of(site, pack, 'exceptions', id)
    for _, field in ipairs(sorted(site.given.exceptions[id])) do
      local place = set:place(path, field, id)
      set:known(place, ("the rule '%s' takes no exception by"):format(id), field, rule.exceptions)
      local values, n = {}, 0
      for _, v in ipairs(site.given.exceptions[id][field]) do
        if type(v) ~= 'string' and type(v) ~= 'number' then fault(place, 'an exception is a text or a number, got ' .. shown(v)) end
        if values[v] then fault(place, 'the exception ' .. shown(v) .. ' is there twice') end
        values[v], n = true, n + 1
      end
      if n == 0 then fault(place, ("no exception is given for '%s' of the rule '%s'"):format(field, id)) end
      rule.excepted[#rule.excepted + 1] = { field = field, values = values, n = n, hits = 0, place = place }
    end
  end
end

--- Changes the rules of a loaded pack as the site says.
function M.apply(site, pack)
  apply_modes(site, pack)
  apply_params(site, pack)
  apply_exceptions(site, pack)
end

return M
