--[[
logs.lua - tm.source.log and tm.sink.log: event logs that the host keeps under DIR/logs/ (--data DIR).

  source  kind 'log', log = name, range = { follow, from, from_at, until_, until_at, speed } as host.source_log takes it
  sink    kind 'log', path = name, kept = { segment, retain_ms, retain_bytes } as host.sink_log takes it
]]

local duration = require 'tidemill.duration'
local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local fault, describe = stream.fault, stream.describe

local M = {}

-- enum tm_log_point_kind of what host.log_point tells -> enum tm_log_from, and of `to` enum tm_log_until
local START, END, SEQUENCE, TIME = 0, 1, 2, 3
local FROM = { [START] = 0, [END] = 1, [SEQUENCE] = 2, [TIME] = 3 }
local UNTIL = { [END] = 0, [SEQUENCE] = 1, [TIME] = 2 }
local NAME_MAX = 64
local units = { [''] = 1, B = 1, K = 2 ^ 10, M = 2 ^ 20, G = 2 ^ 30, T = 2 ^ 40 }

--- The options of a call: a name alone, or a table with one.
local function given_of(where, what, arg)
  local given = stream.options(where, what, type(arg) == 'string' and { name = arg } or arg)
  local name = given.name
  if type(name) ~= 'string' then fault(where, what .. " takes a name: " .. what .. " 'payments'") end
  if #name > NAME_MAX or not name:find '^[%w_-][%w._-]*$' then
    fault(where, what .. ": '" .. name .. "' is no name of a log: it has letters, digits and . _ -, does not begin with a dot, " ..
      'and at most ' .. NAME_MAX .. ' characters')
  end
  return given
end

--- A place in a log: what it is and its value, as host.log_point has them.
local function point(fail, v)
  if type(v) == 'number' then v = ('%.0f'):format(v) end
  if type(v) ~= 'string' then fail("a place in a log is 'start', 'end', a sequence number or a time, got " .. describe(v)) end
  local kind, value = lib.host.log_point(v)
  if not kind then fail(value) end
  return kind, value
end

--- What is read of a log. fail: told a sentence; from, upto: as a user wrote them, or nil.
---@return table range
function M.range(fail, from, upto, follow)
  local range = { follow = follow, from = FROM[START], from_at = 0, until_ = UNTIL[END], until_at = 0, speed = 0 }
  if from ~= nil then
    local kind, value = point(function(m) fail('from: ' .. m) end, from)
    range.from, range.from_at = FROM[kind], value
  end
  if upto ~= nil then
    local kind, value = point(function(m) fail('to: ' .. m) end, upto)
    if kind == START then fail "to: there is nothing before the start; write 'end', a sequence number or a time" end
    range.until_, range.until_at = UNTIL[kind], value
  end
  if follow and range.until_ == UNTIL[TIME] then
    fail 'to: events of a time may always come later, so a log that is followed has no end by time; set follow = false'
  end
  return range
end

--- The source of a log.
function M.source(where, arg)
  local what = 'tm.source.log'
  local given = given_of(where, what, arg)
  local follow = given.follow
  if follow == nil then follow = given.to == nil end
  local function fail(m) fault(where, what .. ': ' .. m) end
  local range = M.range(fail, given.from, given.to, follow)
  local key = ('%s %s %d %s %d %s'):format(given.name, tostring(follow), range.from, range.from_at, range.until_, range.until_at)
  return { kind = 'log', log = given.name, key = key, name = 'log ' .. given.name, format = 'json', place = where, range = range }
end

local function size_of(where, what, text, least, most)
  local number, unit = tostring(text):match '^(%d+%.?%d*)([BKMGT]?)B?$'
  local size = number and tonumber(number) * units[unit]
  if not size or type(text) ~= 'string' or size < least or size > most then
    fault(where, what .. (" is a text such as '64M' (B K M G T), from %.0f to %.0f bytes, got %s"):format(least, most, describe(text)))
  end
  return size
end

--- The sink of a log.
function M.sink(where, arg)
  local what = 'tm.sink.log'
  local given = given_of(where, what, arg)
  local kept = { segment = 0, retain_ms = 0, retain_bytes = 0 }
  if given.segment then kept.segment = size_of(where, what .. ': segment', given.segment, 4096, 2 ^ 30) end
  if given.retention then
    local retention = stream.options(where, what .. ' retention', given.retention)
    if retention.age then
      local ms, why = duration.parse(retention.age)
      if not ms or ms <= 0 then fault(where, what .. ': retention: age: ' .. (why or 'more than 0, got ' .. describe(retention.age))) end
      kept.retain_ms = ms
    end
    if retention.bytes then kept.retain_bytes = size_of(where, what .. ': retention: bytes', retention.bytes, 4096, 2 ^ 50) end
  end
  return { kind = 'log', path = given.name, name = 'log ' .. given.name, format = 'json', place = where, kept = kept }
end

--- Where a log lies; o: what the run was told.
function M.folder(o, d)
  local data = o.logs or o.data
  if data == nil then
    lib.raise('usage', (d.place or 'script') .. ': ' .. d.name .. ' is kept in a data folder: give --data DIR or --logs DIR')
  end
  return data .. '/logs/' .. (d.log or d.path)
end

return M
