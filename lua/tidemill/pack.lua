--[[
pack.lua - a rule pack as it lies in a folder, loaded and checked: manifest, schema, lists, features, rules, scorecards, what a site says
of them. Nothing of it runs here; rules.lua makes of it what judges events.

  pack   { name, version, dir, path, stream, fields, schema, time, decisions, combine, suppress, guard, lists, groups, features, rules,
           cards, tests }
  fields     name -> declared type, of schema/<stream>.lua; schema: the same table as it is written
  decisions  list of { name, at }, the highest score first; combine: 'sum' or 'max'
  features   name -> true, all outputs; groups: of features.lua
  rules      list of pack_rules.lua, in order of score, then of id
  cards      list of pack_cards.lua
  hash       8 hexadecimal digits of all that was read for it, the site's files too: another text is another pack, whatever its version

Unknown fields, features, lists, params, ids used twice, and what a site says of things that are not there, are load errors with
file:line and a suggestion.
]]

local cards = require 'tidemill.pack_cards'
local duration = require 'tidemill.duration'
local files = require 'tidemill.pack_files'
local lib = require 'tidemill.lib'
local lists = require 'tidemill.pack_lists'
local rules = require 'tidemill.pack_rules'
local site_of = require 'tidemill.pack_site'
local suggest = require 'tidemill.suggest'
local types = require 'tidemill.types'
local fault, shown, sorted = files.fault, files.shown, files.sorted

local M = {}

local MANIFEST = {
  name = { 'string', required = "name = 'card_fraud'" }, version = { 'string', required = "version = '1.0.0'" }, engine = { 'string' },
  stream = { 'string', required = "stream = 'payment', for schema/payment.lua" },
  time = { 'table', required = "time = { field = 'ts', unit = 'ms' }" }, decisions = { 'table',
    required = 'decisions = { review = 60, decline = 100 }' },
  suppress = { 'table' }, lists = { 'table' }, score = { one_of = { 'sum', 'max' } }, guard = { 'table' },
}
local TIME = { field = { 'string', required = "field = 'ts'" }, unit = { one_of = { 's', 'ms', 'us', 'ns', 'iso8601' } },
  out_of_order = { 'string' }, idle_after = { 'string' }, max_ahead = { 'string' } }
local SUPPRESS = { by = { 'string', 'table', required = "by = 'card'" }, within = { 'string', required = "within = '1h'" },
  max_keys = { 'number' } }
local GUARD = { decision = { 'string', required = "decision = 'decline'" }, max = { 'number', required = 'max = 100' },
  within = { 'string', required = "within = '1m'" }, action = { 'string', required = "action = 'review'" } }
local GUARD_MAX = 10000
local APPROVE = 'approve'   -- the decision where no threshold is reached

--- A version as a number: '1.4.2'; nil: it is none.
local function version_number(text)
  local a, b, c = tostring(text):match '^(%d+)%.(%d+)%.?(%d*)$'
  return a and tonumber(a) * 1e6 + tonumber(b) * 1e3 + (tonumber(c) or 0)
end

local function check_engine(set, path, engine)
  if engine == nil then return end
  local sign, wanted = engine:match '^%s*([<>=]*)%s*([%d%.]+)%s*$'
  local least = wanted and version_number(wanted)
  if not least or not (sign == '>=' or sign == '') then
    fault(set:place(path, 'engine'), "engine is the least version of tidemill that runs the pack, such as '>=0.1', got " .. shown(engine))
  end
  if version_number(lib.host.version) < least then
    fault(set:place(path, 'engine'), ('the pack needs tidemill %s, this is %s'):format(wanted, lib.host.version))
  end
end

--- A duration of a table of the manifest, in ms.
local function ms_of(set, path, name, v, after)
  local ms, why = duration.parse(v)
  if not ms or ms <= 0 or ms % 1 ~= 0 then
    fault(set:place(path, name, after), "'" .. name .. "': " .. (why or 'longer than nothing and of whole milliseconds, got ' .. shown(v)))
  end
  return ms
end

local function schema_of(set, pack)
  local name = 'schema/' .. pack.stream .. '.lua'
  if not set:has(name) then
    local there = set:names('schema', '.lua')
    for i, n in ipairs(there) do there[i] = n:match '([^/]*)%.lua$' end
    fault(set:place(pack.path, 'stream'), "there is no schema '" .. name .. "' for the stream '" .. pack.stream .. "'" ..
      suggest.among(pack.stream, there))
  end
  local schema, path = set:value(name)
  pack.fields, pack.schema, pack.schema_path = {}, schema, path
  for _, field in ipairs(sorted(schema)) do
    if type(field) ~= 'string' then fault(path .. ':1', "a schema is { field = 'type' }, found the key " .. shown(field)) end
    local typ, why = types.parse(schema[field])
    if not typ then fault(set:place(path, field), "field '" .. field .. "': " .. why) end
    pack.fields[field] = typ
  end
  if next(pack.fields) == nil then fault(path .. ':1', 'the schema has no field') end
end

--- Is this a field of the schema? Else raises, with the place.
local function need_field(pack, place, what, name)
  if pack.fields[name] then return end
  fault(place, what .. " '" .. tostring(name) .. "' is no field of " .. pack.schema_path .. suggest.among(tostring(name),
    sorted(pack.fields)))
end

local function decisions_of(set, pack, given)
  local list, path = {}, pack.path
  for _, name in ipairs(sorted(given)) do
    local at = given[name]
    if type(name) ~= 'string' or type(at) ~= 'number' or not (at > 0 and at < math.huge) then
      fault(set:place(path, name, 'decisions'), 'decisions are names and the least scores above 0: { review = 60 }, found ' ..
        tostring(name) .. ' = ' .. shown(at))
    end
    if name == APPROVE then
      fault(set:place(path, name, 'decisions'), "'" .. APPROVE .. "' is the decision below all others, and has no score")
    end
    list[#list + 1] = { name = name, at = at }
  end
  if #list == 0 then fault(set:place(path, 'decisions'), 'the pack has no decision; such as { review = 60, decline = 100 }') end
  table.sort(list, function(a, b) return a.at > b.at end)
  for i = 2, #list do
    if list[i].at == list[i - 1].at then
      fault(set:place(path, list[i].name, 'decisions'), ("'%s' and '%s' have the same score"):format(list[i].name, list[i - 1].name))
    end
  end
  for i, d in ipairs(list) do d.rank = #list + 1 - i end
  return list
end

local function suppress_of(set, pack, given)
  if given == nil then return nil end
  local path = pack.path
  set:check(path, 'suppress', given, SUPPRESS, 'suppress')
  local by = type(given.by) == 'string' and { given.by } or given.by
  if #by == 0 then fault(set:place(path, 'by', 'suppress'), "suppress: 'by' names a field, or a list of fields") end
  for _, field in ipairs(by) do need_field(pack, set:place(path, 'by', 'suppress'), 'suppress: by', field) end
  if given.max_keys and (given.max_keys < 1 or given.max_keys % 1 ~= 0) then
    fault(set:place(path, 'max_keys', 'suppress'), "suppress: 'max_keys' is a whole number of at least 1")
  end
  return { by = by, composite = type(given.by) == 'table', within = ms_of(set, path, 'within', given.within, 'suppress'),
    max_keys = given.max_keys }
end

local function guard_of(set, pack, given)
  if given == nil then return nil end
  local path, names = pack.path, { APPROVE }
  set:check(path, 'guard', given, GUARD, 'guard')
  for _, d in ipairs(pack.decisions) do names[#names + 1] = d.name end
  for _, key in ipairs { 'decision', 'action' } do
    set:known(set:place(path, key, 'guard'), "guard: the pack has no decision", given[key], names)
  end
  if given.decision == APPROVE or given.action == given.decision then
    fault(set:place(path, 'guard'), "guard: 'decision' is what is bounded, 'action' another one, which takes its place")
  end
  if given.max < 1 or given.max > GUARD_MAX or given.max % 1 ~= 0 then
    fault(set:place(path, 'max', 'guard'), ("guard: 'max' is a whole number from 1 to %d, got %s"):format(GUARD_MAX, shown(given.max)))
  end
  return { decision = given.decision, action = given.action, max = given.max, within = ms_of(set, path, 'within', given.within, 'guard') }
end

--- The groups of features, and the names of all that they give.
local function features_of(set, pack)
  local features = require 'tidemill.features'
  local groups, names = {}, {}
  for _, name in ipairs(set:names('features', '.lua')) do
    local def, path = set:value(name, true)
    local group = features.group(name:match '([^/]*)%.lua$', def, sorted(pack.fields))
    group.path = path
    groups[#groups + 1] = group
    for _, feature in ipairs(group.features) do
      for _, output in ipairs(feature.outputs) do
        if names[output] then
          fault(set:place(path, feature.name), ("the feature '%s' is declared in %s too; names of features are the pack's"):format(output,
            names[output]))
        end
        names[output] = path
      end
    end
  end
  return groups, names
end

--- Loads a pack. Raises with file:line what is wrong with it.
---@param dir string its folder
---@param o table where: "file:line" that named it; site: path of a file (pack_site.lua); tm: what files with functions see as `tm`
---@return table pack
function M.load(dir, o)
  local set = files.open(dir, o.tm)
  if not set:has 'pack.lua' then
    fault(o.where, "there is no pack in '" .. dir .. "': a pack is a folder with pack.lua; 'tidemill new pack DIR' makes one")
  end
  local given, path = set:value 'pack.lua'
  set:check(path, 'the pack', given, MANIFEST)
  if not given.name:match '^[%w_%-]+$' or #given.name > 40 then
    fault(set:place(path, 'name'), 'a name has at most 40 letters, digits, _ and -, got ' .. shown(given.name))
  end
  if not version_number(given.version) then
    fault(set:place(path, 'version'), "a version is three numbers, such as '1.4.0', got " .. shown(given.version))
  end
  check_engine(set, path, given.engine)
  local pack = { name = given.name, version = given.version, dir = dir, path = path, stream = given.stream, files = set,
    combine = given.score or 'sum', time = given.time }
  schema_of(set, pack)
  set:check(path, 'time', given.time, TIME, 'time')
  need_field(pack, set:place(path, 'field', 'time'), 'time: field', given.time.field)
  for _, name in ipairs { 'out_of_order', 'idle_after', 'max_ahead' } do
    if given.time[name] then
      local ms, why = duration.parse(given.time[name])
      if not ms then fault(set:place(path, name, 'time'), "time: '" .. name .. "': " .. why) end
    end
  end
  pack.decisions = decisions_of(set, pack, given.decisions)
  pack.suppress, pack.guard = suppress_of(set, pack, given.suppress), guard_of(set, pack, given.guard)
  pack.groups, pack.features = features_of(set, pack)
  pack.need_field = need_field
  local site = o.site and site_of.read(o.site, o.where, o.tm) or nil
  pack.lists = lists.load(set, path, given.lists or {}, site and site_of.lists(site, given.lists or {}))
  pack.rules = rules.load(set, pack)
  pack.cards = cards.load(set, pack)
  if site then site_of.apply(site, pack) end
  pack.approve, pack.hash = APPROVE, set:hash(site and site.files or nil)
  return pack
end

return M
