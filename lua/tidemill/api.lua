--[[
api.lua - what `require 'tidemill'` gives a script: a table of its own for each run, unknown names reported.
]]

local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local suggest = require 'tidemill.suggest'
local types = require 'tidemill.types'
local duration = require 'tidemill.duration'
local aggregate = require 'tidemill.aggregate'
local features = require 'tidemill.features'
local patterns = require 'tidemill.patterns'
local library = require 'tidemill.library'
local state_view = require 'tidemill.state_view'
local value = require 'tidemill.value'
local csv = require 'tidemill.csv'
local formats = require 'tidemill.formats'
local record = require 'tidemill.record'
local logs = require 'tidemill.logs'
local sink_sqlite = require 'tidemill.sink_sqlite'
local raise, owner = lib.raise, lib.owner
local ffi_string = lib.ffi.string
local fault, place = stream.fault, stream.place

local M = {}

--- A table that tells of names it does not have. later: names found when they are asked for, and a function that makes them.
local function strict(what, t, later)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  for _, name in ipairs(later and later.names or {}) do names[#names + 1] = name end
  local proxy = setmetatable({}, {
    __index = function(_, name)
      local v = t[name]
      if v ~= nil then return v end
      v = later and later.get(name)
      if v ~= nil then
        t[name] = v
        return v
      end
      fault(place(), what .. " has no '" .. tostring(name) .. "'" .. suggest.among(tostring(name), names))
    end,
    __newindex = function(_, name) fault(place(), what .. '.' .. tostring(name) .. ' cannot be assigned') end,
    __metatable = what,
  })
  lib.shared[proxy] = true
  return proxy
end

local function path_option(where, what, arg, example)
  local given = arg
  if type(arg) == 'string' then given = { path = arg } end
  given = stream.options(where, what, given)
  if type(given.path) ~= 'string' or given.path == '' then
    fault(where, what .. ' takes a path: ' .. what .. ' ' .. (example or "'file.ndjson'"))
  end
  return given
end

--- format, csv and fluent of a place, as a source or sink was told.
local function format_of(where, what, given, paths, is_sink)
  local function fail(message) fault(where, what .. ': ' .. message) end
  local format, told = formats.find(fail, given.format, paths, is_sink)
  local options = csv.options(fail, format, given, told, is_sink)
  if given.record ~= nil then
    local checked = record.options(where, what, format, given.record)   -- fails where there are no options of lines
    options.record = checked
  end
  return format, options, formats.fluent(fail, format, given)
end

--- Events a second from the option `rate`; nil without it.
local function rate_of(where, what, given)
  if given.rate == nil then return nil end
  local rate, why = duration.rate(given.rate)
  if not rate then fault(where, what .. ': rate: ' .. why) end
  return rate
end

local source, sink = {}, {}

--- Reads files to their end: a path, a folder, a pattern, or a list of them, in name order.
function source.file(arg)
  local where = place()
  local given = arg
  if type(arg) == 'table' and type(arg.path) == 'table' then
    given = { path = 'list' }
    for k in pairs(arg) do if k ~= 'path' then given[k] = arg[k] end end
  end
  given = path_option(where, 'tm.source.file', given)
  local paths = type(arg) == 'table' and type(arg.path) == 'table' and arg.path or { given.path }
  local list = {}
  for i, p in ipairs(paths) do
    if type(p) ~= 'string' then fault(where, 'tm.source.file: paths are texts') end
    list[i] = p
  end
  if #list == 0 then fault(where, 'tm.source.file: the list of paths is empty') end
  table.sort(list)
  local format, options, fluent = format_of(where, 'tm.source.file', given, list)
  return stream.source { kind = 'file', paths = list, name = given.name or table.concat(list, ','), format = format, csv = options,
    fluent = fluent, place = where, follow = given.follow or nil, rate = rate_of(where, 'tm.source.file', given) }
end

--- Reads standard input.
function source.stdin(arg)
  local where = place()
  local given = stream.options(where, 'tm.source.stdin', arg)
  local format, options, fluent = format_of(where, 'tm.source.stdin', given, {})
  return stream.source { kind = 'stdin', name = given.name or 'stdin', key = 'stdin', format = format, csv = options, fluent = fluent,
    place = where, rate = rate_of(where, 'tm.source.stdin', given) }
end

local made = 0
--- Events { time, n } at fixed times: the period is the first argument, or in the table of options.
function source.every(arg)
  local where, what = place(), 'tm.source.every'
  local given = type(arg) == 'table' and {} or { period = arg }
  if type(arg) == 'table' and not stream.record(arg) then
    for k, v in pairs(arg) do given[k == 1 and 'period' or k] = v end
  end
  given = stream.options(where, what, given)
  local ms, why = duration.parse(given.period)
  if not ms then fault(where, what .. " takes a period, such as '10s': " .. why) end
  if ms < 1 or ms % 1 ~= 0 then
    fault(where, what .. ": the period is a number of milliseconds, at least '1ms'; found " .. stream.describe(given.period))
  end
  if given.count and given.count < 1 then fault(where, what .. ': count is at least 1, got ' .. given.count) end
  made = made + 1
  return stream.source { kind = 'every', name = given.name or 'every', key = 'every' .. made, period_ms = ms, ticks = given.count,
    place = where }
end

local generated = 0
--- Calls f(i) with i = 1, 2, … for a table (or a JSON text) each, until it returns nil.
function source.generate(f, options)
  local where = place()
  if type(f) ~= 'function' then fault(where, 'tm.source.generate takes a function of the number of the event') end
  local given = stream.options(where, 'tm.source.generate', options)
  generated = generated + 1
  return stream.source { kind = 'generate', fn = f, count = given.count, name = given.name or 'generate', key = 'generate' .. generated,
    rate = rate_of(where, 'tm.source.generate', given) }
end

--- Reads an event log of the host: a name, or a table of options with one.
function source.log(arg) return stream.source(logs.source(place(), arg)) end

local PACKS = { none = 0, gzip = 1, zstd = 2 }
local ENDINGS = { ['.gz'] = 'gzip', ['.zst'] = 'zstd' }
local MAX_FILES, MAX_FILES_MOST = 10000, 100000
local units = { [''] = 1, B = 1, K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30, T = 2 ^ 40 }

local function refuse(where, message)
  if where then fault(where, message) end
  raise('usage', message)
end

--- Are the braces of a path pairs around names? Has it any?
local function template_of(where, what, path)
  local text = path:gsub('{{', ''):gsub('}}', '')
  for name in text:gmatch '{([^}]*)}' do
    if name == '' or name:find '[{/]' then
      refuse(where, what .. ": '" .. path .. "' has {" .. name .. "}, expected the name of a field in braces, such as {country}")
    end
  end
  local rest, n = text:gsub('{[^}]*}', '')
  if rest:find '[{}]' then
    refuse(where, what .. ": '" .. path .. "' has a brace without its pair; write {{ or }} for a brace in the name")
  end
  return n > 0 or text ~= path
end

local function roll_of(where, what, roll)
  if roll == nil then return 0, 0 end
  roll = stream.options(where, what .. ' roll', roll)
  if not roll.size and not roll.every then fault(where, what .. ": roll takes size or every, such as { size = '100M', every = '1h' }") end
  local number, unit = tostring(roll.size or '1G'):match '^(%d+%.?%d*)([BKMGT]?)$'
  local size = number and tonumber(number) * units[unit]
  if not size or size < 1 or type(roll.size) == 'number' then
    fault(where, what .. ": roll: size is a text such as '100M' (B K M G T), got " .. stream.describe(roll.size))
  end
  local every = 0
  if roll.every then
    local ms, why = duration.parse(roll.every)
    if not ms or ms < 1000 then fault(where, what .. ': roll: every: ' .. (why or 'at least 1s, got ' .. stream.describe(roll.every))) end
    every = ms
  end
  return roll.size and size or 0, every
end

--- How the file of a sink is more than one plain file: fields in its path, rolled, compressed; nil when it is not.
---@param where string? file:line of the script; nil: the command line
function M.files_of(where, what, given)
  local pack = PACKS[given.compress or ENDINGS[given.path:match '%.%a+$' or ''] or 'none']
  local template = template_of(where, what, given.path)
  local size, every = roll_of(where, what, given.roll)
  local most = given.max_files or MAX_FILES
  if most < 1 or most > MAX_FILES_MOST or most % 1 ~= 0 then
    fault(where, what .. ': max_files is a whole number from 1 to ' .. MAX_FILES_MOST .. ', got ' .. tostring(given.max_files))
  end
  if not template and pack == 0 and size == 0 and every == 0 then return nil end
  return { template = template, pack = pack, roll_size = size, roll_every_ms = every, max_files = most }
end

--- Appends rows to a file, in the format its name or `format` tells.
function sink.file(arg)
  local where = place()
  local given = path_option(where, 'tm.sink.file', arg)
  local format, options = format_of(where, 'tm.sink.file', given, { given.path }, true)
  return stream.sink { kind = 'file', path = given.path, name = given.name or given.path, format = format, csv = options, place = where,
    files = M.files_of(where, 'tm.sink.file', given), guarantee = given.guarantee }
end

--- Writes rows into a table of an SQLite database, each once.
function sink.sqlite(arg)
  local where, what = place(), 'tm.sink.sqlite'
  local example = "{ path = 'out.db', table = 'alerts' }"
  if type(arg) ~= 'table' then fault(where, what .. ' takes a table of options: ' .. what .. ' ' .. example) end
  local given = path_option(where, what, arg, example)
  local d = sink_sqlite.describe(function(message) fault(where, what .. ': ' .. message) end, given)
  d.kind, d.place, d.guarantee = 'sqlite', where, given.guarantee
  return stream.sink(d)
end

--- Writes rows to standard output.
function sink.stdout(arg)
  local where = place()
  local given = stream.options(where, 'tm.sink.stdout', arg)
  local format, options = format_of(where, 'tm.sink.stdout', given, {}, true)
  return stream.sink { kind = 'stdout', name = given.name or 'stdout', key = 'stdout', format = format, csv = options, place = where,
    guarantee = given.guarantee }
end

--- Appends rows to an event log of the host: a name, or a table of options with one.
function sink.log(arg) return stream.sink(logs.sink(place(), arg)) end

--- Counts rows and keeps nothing.
function sink.discard(arg)
  stream.options(place(), 'tm.sink.discard', arg)
  return stream.sink { kind = 'discard', name = 'discard', key = 'discard' }
end

M.source, M.sink = source, sink

local function node_of(what, e)
  local node = owner[e]
  if not node then raise('type', what .. ' takes an event') end
  return node
end

--- The API table for scripts. settings: what --set gave; more: parts that specs have besides.
function M.make(settings, more)
  local tm = { null = lib.NULL, pipeline = stream.pipeline, union = stream.union, table = stream.table, pattern = patterns.pattern,
    array = value.array, bin = value.bin, ext = value.ext, timestamp = value.timestamp }
  tm.source, tm.sink = strict('tm.source', source), strict('tm.sink', sink)
  tm.window = strict('tm.window', stream.window)
  tm.agg, tm.state = strict('tm.agg', aggregate.agg), strict('tm.state', state_view.api)
  tm.f, tm.features = strict('tm.f', features.f), features.features
  tm.i64 = strict('tm.i64', types.i64)
  for name, part in pairs(more or {}) do tm[name] = strict('tm.' .. name, part) end

  --- A plain table to keep.
  function tm.copy(e) return value.copy(e) end
  --- The event's bytes as they came in (of msgpack the message, of CSV the row); for a row made in Lua, its JSON.
  function tm.raw(e)
    local node = node_of('tm.raw', e)
    local V = node.V
    local row = lib.flow.marker.row
    if V.batch and V.level == 0 and row >= 0 and lib.flow.firing == 0 and not node.parent then
      return ffi_string(V.batch.raw + V.batch.off[row], V.batch.len[row])
    end
    return value.json(e)
  end
  --- Event time in ms; nil until event time is declared.
  function tm.time(e)
    local node = node_of('tm.time', e)
    local t = node.at or node.V.st.time
    if t == t then return t end
    return nil
  end
  --- Where the event came from: source, position (line; msgpack: byte), received (ms), key.
  function tm.meta(e)
    local V = node_of('tm.meta', e).V
    if not V.batch then raise('type', 'tm.meta takes the event at hand, not a row of a window') end
    local source_name, position = lib.host.origin(lib.flow.marker.pipeline, lib.flow.marker.row)
    return { source = source_name, position = position, received = V.batch.received_ms, key = V.key_now() }
  end
  --- Is the field there and null?
  function tm.is_null(e, name)
    local node = owner[e]
    if not node then return type(e) == 'table' and e[name] == lib.NULL end
    return node.V.is_null(node, name)
  end
  --- A setting given with --set name=value, or the default.
  function tm.setting(name, default)
    local v = settings[name]
    if v == nil then return default end
    if type(default) == 'number' then
      local n = tonumber(v)
      if not n then fault(place(), "the setting '" .. name .. "' must be a number, got '" .. v .. "' (--set)") end
      return n
    elseif type(default) == 'boolean' then
      return v == 'true' or v == '1'
    end
    return v
  end
  return strict('tm', tm, {
    names = library.names,
    get = function(name)
      local v = library.get(name, settings)
      return type(v) == 'table' and strict('tm.' .. name, v) or v
    end,
  })
end

return M
