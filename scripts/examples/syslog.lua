-- syslog.lua - both forms of syslog as rows: RFC 5424 with its parameters, and RFC 3164, which has no year and no zone.
--
--   build/tidemill run scripts/examples/syslog.lua --from scripts/examples/data/syslog.ndjson --set year=2024 --set zone=Europe/Berlin

local tm = require 'tidemill'

local year, zone = tm.setting('year', '2024'), tm.setting('zone', 'UTC')
local severities = { [0] = 'emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug' }

local new_form = tm.re([=[
  ^<(?<pri>\d{1,3})>1 \s (?<time>\S+) \s (?<host>\S+) \s (?<app>\S+) \s (?<pid>\S+) \s (?<id>\S+) \s
  (?<data>-|(?:\[(?:[^\]\\]|\\.)*+\])++) (?:\s(?<text>.*))?$ ]=], 'xs')
local old_form = tm.re([=[
  ^<(?<pri>\d{1,3})> (?<time>[A-Z][a-z]{2}\ [\ \d]\d\ \d\d:\d\d:\d\d) \s (?<host>\S+) \s
  (?<app>[^\s:\[]+) (?:\[(?<pid>\d+)\])? :\s?(?<text>.*)$ ]=], 'xs')
local parameter = tm.re [==[([^\s\[\]="]+)="((?:[^"\\\]]|\\.)*+)"]==]
local escaped = tm.re [==[\\(["\\\]])]==]

local function parameters(data)
  local t
  for m in parameter:each(data) do
    t = t or {}
    t[m[1]] = escaped:gsub(m[2], '%1')
  end
  return t
end

local function present(text) if text ~= '-' then return text end end

return tm.pipeline 'syslog'
  :map(function(e)
    local m = new_form:match(e.line)
    local time = m and m.time ~= '-' and tm.date.parse(m.time, 'rfc3339')
    if not m then
      m = old_form:match(e.line) or error 'neither RFC 5424 nor RFC 3164'
      time = tm.date.parse(year .. ' ' .. m.time, '%Y %b %e %H:%M:%S', zone)
    end
    local pri = tonumber(m.pri)
    return {
      time = time or nil, host = present(m.host), app = present(m.app), pid = m.pid and present(m.pid), id = m.id and present(m.id),
      facility = math.floor(pri / 8), severity = severities[pri % 8], text = m.text, data = m.data and parameters(m.data),
    }
  end)
