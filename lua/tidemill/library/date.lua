--[[
date.lua - tm.date: points in time, as integer milliseconds since 1970, from and to text, in any zone.

Zones go by name and are read once, at their first use; UTC without one. Clock and environment are never asked.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local C, raise, host = lib.C, lib.raise, lib.host
local out, wrong, shown = args.out, args.wrong, args.shown

local M = {}

local ZONES, ZONES_MAX, NAME_MAX = '/usr/share/zoneinfo/', 1000, 255
local zones, unknown, known_n = {}, {}, 0
local per_ms = { s = 1000, ms = 1, us = 1e-3, ns = 1e-6 }

--- The names that the system has, for "did you mean".
local function names()
  local list, text = {}, host.read(ZONES .. 'tzdata.zi', true)
  for name in (text or ''):gmatch '\nZ (%S+)' do list[#list + 1] = name end
  for name in (text or ''):gmatch '\nL %S+ (%S+)' do list[#list + 1] = name end
  return list
end

local function offset_of(name)
  local sign, h, m = name:match '^([+-])(%d%d):?(%d%d)$'
  if not sign or tonumber(h) > 23 or tonumber(m) > 59 then return nil end
  return (h * 3600 + m * 60) * (sign == '-' and -1 or 1), ('%s%s:%s'):format(sign, h, m)
end

--- A zone by its name, or nil and why not.
local function open(name)
  if name == 'UTC' or name == 'Z' then return C.tm_ffi_zone_fixed(0, 'UTC', 3) end
  local offset, text = offset_of(name)
  if offset then return C.tm_ffi_zone_fixed(offset, text, #text) end
  local file, why
  if #name <= NAME_MAX and name:find '^%w[%w_+/-]*$' and not name:find('//', 1, true) then file, why = host.read(ZONES .. name, true) end
  if not file then
    local hint = require 'tidemill.suggest'.hint(name, names())
    return nil, 'no time zone is called ' .. shown(name) .. (hint ~= '' and hint or
      "; it is a name such as 'Europe/Berlin', an offset such as '+02:00', or 'UTC'") .. (why and ' (' .. ZONES .. name .. ': ' .. why ..
        ')' or '')
  end
  local zone = C.tm_ffi_zone_new(file, #file)
  if zone == nil then return nil, ZONES .. name .. ' is no file of a time zone' end
  return zone
end

--- The zone of that name for a load's checks and windows: a struct tm_zone *, kept; or nil and why there is none.
local function zone_named(name)
  if zones[name] then return zones[name] end
  local zone, why = open(name)
  zones[name] = zone
  return zone, why
end

local function zone_of(what, name)
  if type(name) ~= 'string' then wrong(what, "the name of a time zone such as 'Europe/Berlin'", name, 3, 'zone') end
  if not unknown[name] and not zones[name] then
    if #name > NAME_MAX then raise('date', what .. ': ' .. select(2, open(name))) end   -- not kept: it may be megabytes
    if known_n >= ZONES_MAX then raise('date', what .. ': more than 1000 names of time zones; are they made of what events hold?') end
    known_n = known_n + 1
    local zone, why = open(name)
    zones[name], unknown[name] = zone, why
  end
  if unknown[name] then raise('date', what .. ': ' .. unknown[name]) end
  return zones[name]
end

--- A text as ms since 1970. format: strptime's letters, 'iso8601' (the default), 'rfc3339', or 's' 'ms' 'us' 'ns' since 1970, which
--- take numbers too. zone: what the text's clock shows, unless it says so itself. Raises where text and format do not fit.
---@param s string|number
---@param format? string
---@param zone? string
---@return number
function M.parse(s, format, zone)
  if format == nil then format = 'iso8601' elseif type(format) ~= 'string' then wrong('tm.date.parse', 'a string', format, 2, 'format') end
  local z = zones[zone or 'UTC'] or zone_of('tm.date.parse', zone == nil and 'UTC' or zone)
  if type(s) == 'number' and per_ms[format] then
    local ms = math.floor(s * per_ms[format])
    if ms >= -62167219200000 and ms <= 253402300799999 then return ms end
    raise('date', ("tm.date.parse: %.17g %s lies outside of the years 0 to 9999"):format(s, format))
  end
  if type(s) ~= 'string' then wrong('tm.date.parse', per_ms[format] and 'a string or a number' or 'a string', s, 1) end
  local ms = C.tm_ffi_date_parse(s, #s, format, #format, z, out)
  if ms ~= ms then raise('date', 'tm.date.parse: ' .. args.text()) end
  return ms
end

-- Of each format the text that was made last, and from when to when it is the same: of events that come about in order nearly all
-- share a day, a minute or a second with their neighbour, and making a string is most of what a text costs.
local same = lib.ffi.new 'double[2]'
local recent, recent_n, RECENT_MAX = {}, 0, 64

local function remember(format, zone, text)
  if same[0] >= same[1] then return end
  local r = recent[format]
  if not r then
    if recent_n == RECENT_MAX then return end   -- formats are made of what events hold
    recent_n = recent_n + 1
    r = { zone = zone, from = 0, to = 0, text = text }
    recent[format] = r
  end
  r.zone, r.from, r.to, r.text = zone, same[0], same[1], text
end

--- A point in time as text: strftime's letters as GNU date has them, or the same names as for parse.
---@param ms number
---@param format? string
---@param zone? string
---@return string
function M.format(ms, format, zone)
  if format == nil then format = 'iso8601' elseif type(format) ~= 'string' then wrong('tm.date.format', 'a string', format, 2, 'format') end
  if type(ms) ~= 'number' then wrong('tm.date.format', 'a number (ms since 1970)', ms, 1) end
  local r = recent[format]
  if r and ms >= r.from and ms < r.to and r.zone == (zone or 'UTC') then return r.text end
  local z = zones[zone or 'UTC'] or zone_of('tm.date.format', zone == nil and 'UTC' or zone)
  local rc = C.tm_ffi_date_format(out, ms, format, #format, z, same)
  if rc == -1 then args.too_long 'tm.date.format' end
  if rc ~= 0 then raise('date', 'tm.date.format: ' .. args.text()) end
  local text = args.text()
  remember(format, zone or 'UTC', text)
  return text
end

return { date = M, zone = zone_named }
