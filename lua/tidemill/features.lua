--[[
features.lua - tm.f and tm.features: what a pack, or a pipeline's :features, declares to know of an entity; checks of it.

A group is a key and the features of that key, found with one lookup. Declarations are passive: features_plan.lua lays them out,
features_set.lua makes them into functions. Options are those of the catalog.

  feature   { kind, place, field, fields, share, over, step, where, current, min_history, max, half_life, parts, names }
]]

local stream = require 'tidemill.stream'
local suggest = require 'tidemill.suggest'

local M = {}

local made, declared = setmetatable({}, { __mode = 'k' }), setmetatable({}, { __mode = 'k' })

local EVENTS, EVENTS_MAX = 10000, 1e6     -- of a key
local VALUES_MAX, HISTORY_MAX = 1e6, 1e6
local STEPS_MAX = 20000                   -- of a window
local WINDOW_MAX = 400 * 86400000

-- kinds that know a window, and those among them that may go by steps of time
local WINDOWED = { count = true, sum = true, avg = true, stddev = true, min = true, max = true, distinct = true, last = true,
  quantile = true, has = true, decisions = true }
local STEPPED = { count = true, sum = true, avg = true, stddev = true, min = true, max = true }

local function fault(d, ...) stream.fault(d.place, 'tm.f.' .. d.kind .. table.concat { ... }) end

local function whole(d, o, name, least, most)
  local v = o[name]
  if v == nil then return nil end
  if type(v) ~= 'number' or v % 1 ~= 0 or v < least or v > most then
    fault(d, (": option '%s' is a whole number from %.0f to %.0f, got "):format(name, least, most), stream.describe(v))
  end
  return v
end

local function duration_of(d, o, name)
  if o[name] == nil then return nil end
  local ms = stream.ms_of(d.place, 'tm.f.' .. d.kind .. ": '" .. name .. "'", o[name], 'positive')
  if ms > WINDOW_MAX or ms % 1 ~= 0 then fault(d, (": '%s' is a whole number of ms and at most 400d, got "):format(name), o[name]) end
  return ms
end

local function check_step(d)
  if not STEPPED[d.kind] then
    fault(d, " looks at each event, so it has no 'step'; count, sum, avg, stddev, min and max have")
  end
  if d.over / d.step > STEPS_MAX then
    fault(d, (": a window of %.0f steps is too long, at most %d are kept; name a longer step"):format(d.over / d.step, STEPS_MAX))
  end
  if d.step >= d.over then fault(d, ": 'step' is shorter than 'over', such as '1h' for '30d'") end
end

--- A feature of that kind. Options are those of its entry in the catalog.
local function describe(kind, members, options)
  local d = { kind = kind, place = stream.place() }
  for k, v in pairs(members) do d[k] = v end
  local o = stream.options(d.place, 'tm.f.' .. kind, options)
  if o.where ~= nil and type(o.where) ~= 'function' then
    fault(d, ": option 'where' takes a function(tx), got ", stream.describe(o.where))
  end
  d.where, d.current = o.where, o.current ~= false
  d.over, d.step, d.half_life = duration_of(d, o, 'over'), duration_of(d, o, 'step'), duration_of(d, o, 'half_life')
  d.min_history, d.max = whole(d, o, 'min_history', 1, HISTORY_MAX), whole(d, o, 'max', 1, VALUES_MAX)
  if WINDOWED[kind] and not d.over then fault(d, " needs to know how far it looks back: { over = '1h' }") end
  if d.step then check_step(d) end
  if d.min_history and not d.over then fault(d, ": 'min_history' goes with 'over', whose events it counts") end
  local feature = setmetatable({}, { __metatable = 'feature' })
  made[feature] = d
  return feature, d
end

local function need_field(kind, field)
  if type(field) ~= 'string' or field == '' then
    stream.fault(stream.place(), ("tm.f.%s takes the name of a field: tm.f.%s('amount', { over = '1h' }); got %s"):format(kind, kind,
      stream.describe(field)))
  end
end

M.f = {}

--- How many events.
function M.f.count(options) return (describe('count', {}, options)) end

for _, kind in ipairs { 'sum', 'avg', 'stddev', 'min', 'max', 'distinct', 'last', 'has' } do
  M.f[kind] = function(field, options)
    need_field(kind, field)
    return (describe(kind, { field = field }, options))
  end
end

--- The value below which a share of all values lies.
function M.f.quantile(field, share, options)
  need_field('quantile', field)
  local feature, d = describe('quantile', { field = field, share = share }, options)
  if type(share) ~= 'number' or not (share >= 0 and share <= 1) then
    fault(d, " takes a share from 0 to 1: tm.f.quantile('amount', 0.95, { over = '1d' }); got ", stream.describe(share))
  end
  return feature
end

--- The time of the first event, in the window or ever.
function M.f.first_seen(options) return (describe('first_seen', {}, options)) end

--- The time since the last event before.
function M.f.time_since(options) return (describe('time_since', {}, options)) end

--- The mean of a field in which an event counts half as much as one that is half_life later.
function M.f.ewma(field, options)
  need_field('ewma', field)
  local feature, d = describe('ewma', { field = field }, options)
  if not d.half_life then fault(d, " needs a half-life: tm.f.ewma('amount', { half_life = '7d' })") end
  return feature
end

--- One feature divided by another.
function M.f.ratio(over, under, options)
  local feature, d = describe('ratio', {}, options)
  d.parts = { made[over], made[under] }
  for i = 1, 2 do
    local part = d.parts[i]
    if not part or part.kind == 'ratio' or part.kind == 'travel' or part.kind == 'last' then
      fault(d, " takes two features that are numbers: tm.f.ratio(tm.f.count { over = '1h', where = … }, tm.f.count { over = '1h' })")
    end
  end
  return feature
end

--- How far, and how fast, from the place before: 'lat', 'lon', within = '24h'.
function M.f.travel(options)
  local given, fields = {}, {}
  if type(options) ~= 'table' then
    stream.fault(stream.place(), "tm.f.travel takes two fields and a duration: tm.f.travel { 'lat', 'lon', within = '24h' }")
  end
  for k, v in pairs(options) do
    if k == 1 or k == 2 then fields[k] = v else given[k] = v end
  end
  local within = given.within
  given.within = nil
  local feature, d = describe('travel', { fields = fields }, given)
  for i = 1, 2 do
    if type(fields[i]) ~= 'string' or fields[i] == '' then
      fault(d, " takes the fields of latitude and longitude first: tm.f.travel { 'lat', 'lon', within = '24h' }; got ",
        stream.describe(fields[i]))
    end
  end
  d.over = duration_of(d, { within = within }, 'within')
  if not d.over then fault(d, " needs to know how far it looks back: tm.f.travel { 'lat', 'lon', within = '24h' }") end
  return feature
end

--- How many decisions the pack itself has made about the key: of one name, of a list of names, or of all.
function M.f.decisions(names, options)
  if type(names) == 'table' and options == nil and names[1] == nil then names, options = nil, names end
  if type(names) == 'string' then names = { names } end
  local feature, d = describe('decisions', { names = names }, options)
  for _, name in ipairs(names or {}) do
    if type(name) ~= 'string' then fault(d, " takes names of decisions: tm.f.decisions('decline', { over = '24h' })") end
  end
  return feature
end

-- Groups ---------------------------------------------------------------------------------

local OPTIONS = { 'key', 'max_keys', 'ttl', 'max', 'on_full', 'migrate' }
local OPTION = {}
for _, name in ipairs(OPTIONS) do OPTION[name] = true end

local list_of   -- function, below

--- A group of features of one key, as `features/*.lua` of a pack returns it.
function M.features(def)
  local where = stream.place()
  if type(def) ~= 'table' or stream.record(def) then
    stream.fault(where, "tm.features takes a table { key = 'card', tx_1h = tm.f.count { over = '1h' }, … }, got " .. stream.describe(def))
  end
  local copy = { place = where }
  for k, v in pairs(def) do copy[k] = v end
  list_of(copy)
  local group = setmetatable({}, { __metatable = 'features' })
  declared[group] = copy
  return group
end

--- Is it what tm.features returned?
function M.is_group(v) return type(v) == 'table' and declared[v] ~= nil end

local function key_of(def)
  local key = type(def.key) == 'string' and { def.key } or def.key
  local ok = type(key) == 'table' and #key > 0 and #key <= 16
  for i = 1, ok and #key or 0 do ok = ok and type(key[i]) == 'string' and key[i] ~= '' end
  if not ok then
    stream.fault(def.place, "tm.features needs the field, or the fields, of its key: key = 'card' or key = { 'card', 'merchant' }; got " ..
      stream.describe(def.key))
  end
  return { unpack(key) }
end

local function option_whole(def, name, most)
  local v = def[name]
  if v ~= nil and (type(v) ~= 'number' or v < 1 or v % 1 ~= 0 or v > most) then
    stream.fault(def.place, ("tm.features: '%s' is a whole number from 1 to %.0f, got %s"):format(name, most, stream.describe(v)))
  end
  return v
end

--- The features of a table in byte order of their names: copies of the descriptions, with names.
function list_of(def)
  local list, kinds = {}, {}
  for kind in pairs(M.f) do kinds[#kinds + 1] = kind end
  for name, v in pairs(def) do
    if type(name) ~= 'string' then
      stream.fault(def.place, 'tm.features: every feature needs a name, found ' .. stream.describe(name))
    end
    local d = made[v]
    if d and OPTION[name] then
      stream.fault(d.place, ("tm.features: '%s' is the name of an option, give the feature another one"):format(name))
    elseif d then
      local copy = { name = name }
      for k, member in pairs(d) do copy[k] = member end
      copy.outputs = d.kind == 'travel' and { name .. '_km', name .. '_kmh', name .. '_ms' } or { name }
      list[#list + 1] = copy
    elseif not OPTION[name] and name ~= 'place' then
      stream.fault(def.place, ("tm.features has no option '%s'%s; a feature is made by tm.f: tm.f.count { over = '1h' }, got %s"):format(
        name, suggest.hint(name, OPTIONS), stream.describe(v)))
    end
  end
  if #list == 0 then stream.fault(def.place, 'tm.features takes at least one feature; tm.f has ' .. table.concat(kinds, ', ')) end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- How long a key is kept behind its newest event: what its features need, or `ttl`.
local function ttl_of(def, list)
  local longest, unending = 0, nil
  for _, d in ipairs(list) do
    for _, part in ipairs(d.parts or { d }) do
      longest = math.max(longest, (part.over or 0) + (part.step or 0))
      if not part.over then unending = d end
    end
  end
  if def.ttl == nil then
    if unending then
      stream.fault(def.place, ("tm.features: '%s' looks back without end, so the group needs a time after which a key that has no " ..
        "events is forgotten: ttl = '90d'"):format(unending.name))
    end
    return longest
  end
  local ttl = stream.ms_of(def.place, "tm.features: 'ttl'", def.ttl, 'positive')
  if ttl < longest then
    stream.fault(def.place, ("tm.features: 'ttl' of %s is shorter than a feature looks back (%s)"):format(def.ttl,
      require('tidemill.duration').text(longest)))
  end
  return ttl
end

local function check_fields(group, fields)
  if not fields then return end
  local names, known = {}, {}
  for _, name in ipairs(fields) do names[#names + 1], known[name] = name, true end
  local function check(where, name)
    if not known[name] then stream.fault(where, "the schema has no field '" .. name .. "'" .. suggest.among(name, names)) end
  end
  for _, name in ipairs(group.key) do check(group.place, name) end
  for _, d in ipairs(group.features) do
    for _, part in ipairs(d.parts or { d }) do
      for _, name in ipairs(part.fields or { part.field }) do check(part.place, name) end
    end
  end
end

--- Checks a group.
---@param name string what it is called: the file's name in a pack
---@param def table what tm.features returned
---@param fields table|nil names of the fields that events have; nil: any
---@return table group { name, key (list of fields), features (list of { name, kind, options, outputs, place, … }), max_keys, ttl in ms,
---   max, on_full, place }
function M.group(name, def, fields)
  local d = declared[def]
  if not d then
    stream.fault(stream.place(), ("the features '%s' must be what tm.features { key = …, … } returns, got %s"):format(name,
      stream.describe(def)))
  end
  local list = list_of(d)
  if d.on_full ~= nil and d.on_full ~= 'oldest' and d.on_full ~= 'refuse' and d.on_full ~= 'stop' then
    stream.fault(d.place, "tm.features: 'on_full' is one of 'oldest', 'refuse', 'stop', got " .. stream.describe(d.on_full))
  end
  if d.migrate ~= nil and d.migrate ~= 'drop' then
    stream.fault(d.place, "tm.features: 'migrate' is 'drop', got " .. stream.describe(d.migrate))
  end
  local group = { name = name, key = key_of(d), features = list, place = d.place, on_full = d.on_full or 'oldest', migrate = d.migrate,
    max_keys = option_whole(d, 'max_keys', 1e9), max = option_whole(d, 'max', EVENTS_MAX) or EVENTS, ttl = ttl_of(d, list) }
  local outputs = {}
  for _, key in ipairs(group.key) do outputs[key] = 'a field of the key' end
  for _, feature in ipairs(list) do
    feature.options = { over = feature.over, step = feature.step, where = feature.where, current = feature.current,
      min_history = feature.min_history, max = feature.max, half_life = feature.half_life }
    for _, output in ipairs(feature.outputs) do
      if outputs[output] then
        stream.fault(feature.place, ("tm.features: '%s' is the name of %s already"):format(output, outputs[output]))
      end
      outputs[output] = 'a feature'
    end
  end
  check_fields(group, fields)
  return group
end

--- See features_set.lua.
function M.compile(groups, schema, ctx) return require('tidemill.features_set').compile(groups, schema, ctx) end

return M
