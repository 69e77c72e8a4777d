--[[
stream.lua - the builder: tm.pipeline 'x':filter(f):to(sink). Each call returns a new stream that points at the
one it reads; nothing runs. plan.lua turns what a script returns into pipelines.

  stream  { kind, parent, pipeline, place, readers, ... }   kind: 'root', an operator's name, 'branch-arm', 'union'
]]

local catalog = require 'tidemill.catalog'
local suggest = require 'tidemill.suggest'
local types = require 'tidemill.types'
local raise = require('tidemill.lib').raise

local M = {}

local stream_mt = { __metatable = 'stream' }
local methods = {}
local private = setmetatable({}, { __mode = 'k' })   -- stream -> its record: scripts see no field of it

--- The record behind a stream, or nil.
function M.record(s)
  return type(s) == 'table' and private[s] or nil
end

--- The record, or that of the first of its kind in front of it in the same pipeline. Rows of a join one of whose sides has no event
--- time have none either: then there is no event_time, and that join is returned besides.
function M.before(rec, kind)
  while rec and rec.kind ~= kind do
    if kind == 'event_time' and rec.right and not rec.timed then return nil, rec end
    rec = rec.parent
  end
  return rec
end

local last_place = 'script'

--- "file:line" of the script's line that called the library. A tail call (`return s:filter(f)`) hides its line: then the
--- line where the library was last met, which is where the operator was looked up (stream_mt.__index).
local function place()
  for level = 3, 30 do
    local info = debug.getinfo(level, 'Sl')
    if not info then break end
    if info.what ~= 'C' and info.source:sub(1, 1) == '@' and M.is_user(info.source:sub(2)) then
      last_place = info.source:sub(2) .. ':' .. info.currentline
      return last_place
    end
  end
  return last_place
end
M.place = place
M.user_sources = {}
function M.is_user(name) return M.user_sources[name] end

--- "file:line" where a script's function was written.
local function place_of(fn)
  local info = type(fn) == 'function' and debug.getinfo(fn, 'S')
  return info and info.source:sub(1, 1) == '@' and info.source:sub(2) .. ':' .. info.linedefined or nil
end

--- Rejects the script: where, what, what to do.
local function fault(where, message)
  raise('script', where .. ': ' .. message)
end
M.fault = fault

local function new(record)
  local s = setmetatable({}, stream_mt)
  record.place = record.place or place_of(record.fn) or place()
  record.readers = {}
  private[s] = record
  record.stream = s
  local all = M.all
  all[#all + 1] = record
  if record.parent then
    local list = record.parent.readers
    list[#list + 1] = record
  end
  return s
end
M.new = new
M.all = {}

local function describe(v)
  if v == nil then return 'nil' end
  if type(v) == 'string' then return "'" .. v .. "'" end
  return 'a ' .. type(v)
end
M.describe = describe

--- Options of a call, by the catalog's entry of that name: every one must be known.
function M.options(where, what, given)
  if given == nil then return {} end
  local known = catalog.options(what)
  if type(given) ~= 'table' or private[given] then fault(where, what .. ' takes its options as a table, got ' .. describe(given)) end
  local names = {}
  for k in pairs(known) do names[#names + 1] = k end
  for k, v in pairs(given) do
    local check = known[k]
    if check == nil then
      fault(where, what .. " has no option '" .. tostring(k) .. "'" .. suggest.hint(tostring(k), names))
    end
    if type(check) == 'string' and type(v) ~= check then
      fault(where, what .. ": option '" .. k .. "' takes a " .. check .. ', got ' .. describe(v))
    elseif type(check) == 'table' then
      local ok = false
      for _, allowed in ipairs(check) do if allowed == v then ok = true end end
      if not ok then
        fault(where, what .. ": option '" .. k .. "' is one of '" .. table.concat(check, "', '") .. "', got " .. describe(v))
      end
    end
  end
  return given
end

local function chain(s)
  local rec = private[s]
  if not rec then fault(place(), 'call operators with a colon: stream:filter(f), not stream.filter(f)') end
  if rec.ended then fault(place(), rec.kind .. ' ends the chain; go on with the streams of the table it returned') end
  return rec
end

local function need_function(where, what, f)
  if type(f) ~= 'function' then fault(where, what .. ' takes a function of the event, got ' .. describe(f)) end
end

local function need_fields(where, what, list)
  if type(list) ~= 'table' or private[list] then
    fault(where, what .. " takes a list of field names, such as { 'id', 'amount' }, got " .. describe(list))
  end
  local n = 0
  local seen = {}
  for k, v in pairs(list) do
    n = n + 1
    if type(k) ~= 'number' or type(v) ~= 'string' then
      fault(where, what .. ' takes a list of field names, found ' .. describe(k) .. ' = ' .. describe(v))
    end
    if seen[v] then fault(where, what .. " names the field '" .. v .. "' twice") end
    seen[v] = true
  end
  if n ~= #list or n == 0 then fault(where, what .. ' takes a list of at least one field name, without holes') end
  local copy = {}
  for i = 1, n do copy[i] = list[i] end
  return copy
end

M.need_fields = need_fields

local function sorted_pairs(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  local i = 0
  return function()
    i = i + 1
    if keys[i] ~= nil then return keys[i], t[keys[i]] end
  end
end

local function step(s, kind, fields)
  local parent = chain(s)
  if parent.kind == 'window' and kind ~= 'aggregate' then
    fault(place(), "behind window stands what becomes of its events, such as :aggregate { n = tm.agg.count() }; got " .. kind)
  end
  fields.kind, fields.parent, fields.pipeline = kind, parent, parent.pipeline
  return new(fields)
end

--- Keeps the events for which f is true.
function methods:filter(f)
  chain(self)
  need_function(place(), 'filter', f)
  return step(self, 'filter', { fn = f })
end

--- Replaces the event by what f returns: the event itself, a table, or nil to drop it.
function methods:map(f)
  chain(self)
  need_function(place(), 'map', f)
  return step(self, 'map', { fn = f })
end

--- Calls f(event, emit); each emitted table is an event of its own.
function methods:flat_map(f)
  chain(self)
  need_function(place(), 'flat_map', f)
  return step(self, 'flat_map', { fn = f })
end

--- Keeps only these fields, in this order.
function methods:select(list)
  return step(self, 'select', { fields = need_fields(place(), 'select', list) })
end

--- Removes these fields.
function methods:drop(list)
  return step(self, 'drop', { fields = need_fields(place(), 'drop', list) })
end

--- Renames fields: { old = 'new' }, all at once.
function methods:rename(map)
  local where = place()
  if type(map) ~= 'table' then fault(where, "rename takes a table { old = 'new' }, got " .. describe(map)) end
  local from, to, seen = {}, {}, {}
  for k, v in pairs(map) do
    if type(k) ~= 'string' or type(v) ~= 'string' then
      fault(where, "rename takes a table { old = 'new' }, found " .. describe(k) .. ' = ' .. describe(v))
    end
    if seen[v] then fault(where, "rename gives two fields the name '" .. v .. "'") end
    seen[v] = true
  end
  for k, v in sorted_pairs(map) do from[#from + 1], to[#to + 1] = k, v end
  if #from == 0 then fault(where, 'rename takes at least one pair') end
  return step(self, 'rename', { from = from, to = to })
end

--- Sets fields: { field = function(e) … end }; every function reads the event as it was before the step.
function methods:set(map)
  local where = place()
  if type(map) ~= 'table' then fault(where, 'set takes a table { field = function(e) … end }, got ' .. describe(map)) end
  local names, fns = {}, {}
  for k, v in pairs(map) do
    if type(k) ~= 'string' then
      fault(where, 'set takes a table { field = function(e) … end }, found ' .. describe(v) .. ' without a field name')
    end
    if type(v) == 'table' then fault(where, "set: '" .. k .. "' takes a function or a plain value, got a table") end
    local _ = v
  end
  for k, v in sorted_pairs(map) do names[#names + 1], fns[#fns + 1] = k, v end
  if #names == 0 then fault(where, 'set takes at least one field') end
  return step(self, 'set', { fields = names, fns = fns })
end

--- Fixes field types for every event of the pipeline; another type fails the event.
function methods:schema(map)
  local where = place()
  if type(map) ~= 'table' then fault(where, "schema takes a table { field = 'type' }, got " .. describe(map)) end
  local list = {}
  for k in pairs(map) do
    if type(k) ~= 'string' then fault(where, 'schema: field names are strings') end
  end
  for k, v in sorted_pairs(map) do
    local typ, why = types.parse(v)
    if not typ then fault(where, "schema: field '" .. k .. "': " .. why) end
    list[#list + 1] = { name = k, typ = typ }
  end
  if #list == 0 then fault(where, 'schema takes at least one field') end
  return step(self, 'schema', { types = list })
end

--- Names the key: a field, a list of fields, or a function and its name; {} removes it.
function methods:key_by(key, a, b)
  local where = place()
  local name, options = nil, a
  if type(key) == 'function' then
    name, options = a, b
    if type(name) ~= 'string' then fault(where, "key_by with a function takes the key's name too: key_by(fn, 'bucket')") end
  end
  options = M.options(where, 'key_by', options)
  local fields
  if type(key) == 'string' then
    fields = { key }
  elseif type(key) == 'table' then
    fields = next(key) == nil and {} or need_fields(where, 'key_by', key)
  elseif type(key) ~= 'function' then
    fault(where, "key_by takes a field, a list of fields, or a function and a name, got " .. describe(key))
  end
  return step(self, 'key_by', {
    fields = fields, fn = type(key) == 'function' and key or nil, name = name, missing = options.missing or 'fail',
    composite = type(key) == 'table',
  })
end

local function arm(node, name, fn)
  return new { kind = 'arm', parent = node, pipeline = node.pipeline, name = name, fn = fn }
end

--- The table of streams a branch or route returns: a name it does not have is a slip.
local function strict_arms(out, what)
  return setmetatable(out, {
    __index = function(_, name)
      local names = {}
      for k in pairs(out) do names[#names + 1] = k end
      fault(place(), 'this ' .. what .. " has no stream '" .. tostring(name) .. "'" .. suggest.hint(tostring(name), names))
    end,
    __metatable = what,
  })
end

--- To every branch whose function is true, to the branch declared `true` if none was.
function methods:branch(map)
  local where = place()
  if type(map) ~= 'table' or private[map] then
    fault(where, 'branch takes a table { name = function(e) … end, rest = true }, got ' .. describe(map))
  end
  local rest
  for k, v in pairs(map) do
    if type(k) ~= 'string' then
      fault(where, 'branch: each branch needs a name: { name = function(e) … end }, found ' .. describe(v) .. ' without one')
    end
    if v == true then
      if rest then fault(where, 'branch: only one branch can take the rest (= true)') end
      rest = k
    elseif type(v) ~= 'function' then
      fault(where, "branch: '" .. k .. "' takes a function of the event, or true for the rest, got " .. describe(v))
    end
  end
  if next(map) == nil then fault(where, 'branch takes at least one branch') end
  local node = private[step(self, 'branch', { arms = {}, rest = rest, ended = true, place = where })]
  local out = {}
  for k, v in sorted_pairs(map) do
    out[k] = arm(node, k, v)
    node.arms[#node.arms + 1] = private[out[k]]
  end
  return strict_arms(out, 'branch')
end

--- To the first branch of the list whose function is true; one without a function takes what is left.
function methods:route(list)
  local where = place()
  if type(list) ~= 'table' or private[list] or #list == 0 then
    fault(where, "route takes a list { { 'name', function(e) … end }, …, { 'rest' } }, got " .. describe(list))
  end
  local node = private[step(self, 'route', { arms = {}, ended = true, place = where })]
  local out = {}
  for i, item in ipairs(list) do
    if type(item) ~= 'table' or type(item[1]) ~= 'string' then
      fault(where, "route: item " .. i .. " must be { 'name', function(e) … end }")
    end
    if item[2] == nil and i ~= #list then fault(where, "route: '" .. item[1] .. "' has no function, so it must be the last") end
    if item[2] ~= nil then need_function(where, "route: '" .. item[1] .. "'", item[2]) end
    if out[item[1]] then fault(where, "route names '" .. item[1] .. "' twice") end
    out[item[1]] = arm(node, item[1], item[2] or true)
    node.arms[i] = private[out[item[1]]]
  end
  return strict_arms(out, 'route')
end

--- Where dead letters of the whole pipeline go.
function methods:on_error(sink)
  local where = place()
  if not M.is_sink(sink) then fault(where, "on_error takes a sink, such as tm.sink.file 'bad.ndjson', got " .. describe(sink)) end
  return step(self, 'on_error', { sink = sink })
end

--- Writes the stream to a sink; may be repeated.
function methods:to(sink)
  local where = place()
  if not M.is_sink(sink) then
    fault(where, "to takes a sink, such as tm.sink.file 'out.ndjson' or tm.sink.stdout(), got " .. describe(sink))
  end
  return step(self, 'to', { sink = sink })
end

--- What a pipeline reads: a source, a stream of another pipeline, or a union.
function methods:from(source)
  local where = place()
  local rec = chain(self)
  if rec.kind ~= 'root' or rec.union then fault(where, 'from stands first, right behind tm.pipeline') end
  if rec.from then fault(where, "pipeline '" .. rec.pipeline .. "' has a from already") end
  local from = private[source]
  if not from and not M.is_source(source) then
    fault(where, "from takes a source, such as tm.source.file 'in.ndjson', or a stream, got " .. describe(source))
  end
  if from and from.ended then fault(where, from.kind .. ' returned a table of streams; name one of them') end
  local made = new { kind = 'root', pipeline = rec.pipeline, from = source, place = rec.place, replaces = rec }
  rec.replaced = true
  if from then from.readers[#from.readers + 1] = private[made] end
  return made
end

-- lib is there only inside the host: list and help read no state
require 'tidemill.stream_state'(methods, step, M)
require 'tidemill.stream_operators'(methods, step, M)
require 'tidemill.stream_windows'(methods, step, M)
require 'tidemill.stream_features'(methods, step, M)
require 'tidemill.stream_tables'(methods, step, M)
require 'tidemill.stream_pack'(methods, step, M)
require 'tidemill.stream_joins'(methods, step, M)
require 'tidemill.stream_patterns'(methods, step, M)

local names = {}
for name, method in pairs(methods) do
  names[#names + 1] = name
  methods[name] = function(self, ...)
    chain(self)
    return method(self, ...)
  end
end
table.sort(names)
M.method_names = names

stream_mt.__index = function(_, name)
  local m, at = methods[name], place()
  if m then return m end
  fault(at, "a stream has no operator '" .. tostring(name) .. "'" .. suggest.among(tostring(name), names))
end
stream_mt.__newindex = function(_, name)
  fault(place(), "a stream has no field '" .. tostring(name) .. "' to assign; streams are built by calling operators")
end
stream_mt.__tostring = function(s) return 'stream of ' .. private[s].pipeline end

-- Sources and sinks: passive descriptions --------------------------------

local source_mt, sink_mt = { __metatable = 'source' }, { __metatable = 'sink' }
local described = setmetatable({}, { __mode = 'k' })

function M.is_source(v) return type(v) == 'table' and described[v] ~= nil and described[v].what == 'source' end
function M.is_sink(v) return type(v) == 'table' and described[v] ~= nil and described[v].what == 'sink' end
function M.described(v) return described[v] end

local function describe_as(mt, what, record)
  local v = setmetatable({}, mt)
  record.what, record.place = what, place()
  described[v] = record
  return v
end

--- A source description; record: kind, name, and what the host needs to open it.
function M.source(record) return describe_as(source_mt, 'source', record) end
--- A sink description.
function M.sink(record) return describe_as(sink_mt, 'sink', record) end

--- Starts a pipeline.
function M.pipeline(name)
  local where = place()
  if type(name) ~= 'string' or name == '' then fault(where, "a pipeline needs a name: tm.pipeline 'clean'") end
  if #name > 60 then fault(where, 'a pipeline name has at most 60 characters') end
  return new { kind = 'root', pipeline = name, place = where }
end

--- The rows of several streams as one.
function M.union(...)
  local where = place()
  local inputs = { ... }
  if #inputs < 2 then fault(where, 'union takes two streams or more') end
  local parts = {}
  for i, s in ipairs(inputs) do
    if not private[s] then fault(where, 'union: argument ' .. i .. ' is not a stream but ' .. describe(s)) end
    if private[s].ended then fault(where, private[s].kind .. ' returned a table of streams; name one of them') end
    parts[i] = private[s].pipeline
  end
  local made = new { kind = 'root', pipeline = 'union(' .. table.concat(parts, ',') .. ')', union = inputs, place = where }
  for _, s in ipairs(inputs) do
    local list = private[s].readers
    list[#list + 1] = private[made]
  end
  return made
end

return M
