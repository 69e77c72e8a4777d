--[[
library_compiled_spec.lua - a step that calls a function of the library for every event stays machine code, the number of traces
does not grow with the events, and the interpreter gives the same bytes.

Not here: log (it prints), json.decode and tables of whole queries and lines (their loops are traces of their own).
]]

local h = require 'spec.helper'

local function events(n)
  local rows = {}
  for i = 1, n do
    rows[i] = ('{"id":%d,"s":"User%d@Example.org, x%d ","ip":"10.%d.%d.7","t":"2024-0%d-11 10:%02d:07","ms":%d,\z
      "url":"https://h:%d/p%d?a=%d&b=x+y"}'):format(
      i, i % 977, i % 7, i % 256, i * 7 % 256, i % 9 + 1, i % 60, i * 1234567, i % 5000 + 1, i % 13, i)
  end
  return table.concat(rows, '\n') .. '\n'
end

-- what is made of e, in a map that also drops now and then
local calls = {
  ['tm.date.parse'] = "tm.date.parse(e.t, '%Y-%m-%d %H:%M:%S', 'Europe/Berlin')",
  ['tm.date.parse iso8601'] = "tm.date.parse('2024-05-01T10:00:00.5Z')", ['tm.date.parse of numbers'] = "tm.date.parse(e.ms, 's')",
  ['tm.date.format'] = "tm.date.format(e.ms, '%d/%b/%Y:%H:%M:%S %z', 'America/New_York')",
  ['tm.json.encode'] = 'tm.json.encode(e.s)', ['tm.url.parse'] = 'tm.url.parse(e.url).port', ['tm.url.query'] = "tm.url.query(e.url, 'a')",
  ['tm.url.decode'] = 'tm.url.decode(e.url)', ['tm.url.encode'] = 'tm.url.encode(e.s)',
  ['tm.re match'] = "re:match(e.s)[1]", ['tm.re match by name'] = 'named:match(e.s).user', ['tm.re test'] = 're:test(e.s)',
  ['tm.re find'] = 're:find(e.s)', ['tm.re gsub'] = "re:gsub(e.s, '<%1>')", ['tm.re in the call'] = "tm.re '@(.*)':match(e.s)[1]",
  ['tm.ip.parse'] = 'tm.ip.parse(e.ip).text', ['tm.ip.valid'] = 'tm.ip.valid(e.ip)',
    ['tm.ip.within one'] = "tm.ip.within(e.ip, '10.128.0.0/9')",
  ['tm.ip.within a list'] = 'tm.ip.within(e.ip, nets)', ['tm.ip.private'] = 'tm.ip.private(e.ip)',
    ['tm.ip.loopback'] = 'tm.ip.loopback(e.ip)',
  ['tm.geo.km'] = 'tm.geo.km(e.id % 90, 5, 6, e.id % 180)', ['tm.geo.bearing'] = 'tm.geo.bearing(e.id % 90, 5, 6, e.id % 180)',
  ['tm.hash.md5'] = 'tm.hash.md5(e.s)', ['tm.hash.sha256'] = 'tm.hash.sha256(e.s)', ['tm.hash.xxh3'] = 'tm.hash.xxh3(e.s)',
  ['tm.hash.crc32'] = 'tm.hash.crc32(e.s)', ['tm.hmac.sha256'] = "tm.hmac.sha256('key', e.s)",
  ['tm.base64'] = 'tm.base64.decode(tm.base64.encode(e.s))', ['tm.base64 url'] = "tm.base64.encode(e.s, 'url')",
  ['tm.hex'] = 'tm.hex.decode(tm.hex.encode(e.s))', ['tm.lower'] = 'tm.lower(e.s)', ['tm.upper'] = 'tm.upper(e.s)',
    ['tm.trim'] = 'tm.trim(e.s)',
  ['tm.split'] = "tm.split(e.s, '@')[2]", ['tm.starts'] = "tm.starts(e.s, 'User1')", ['tm.ends'] = "tm.ends(e.s, 'x3 ')",
  ['tm.contains'] = "tm.contains(e.s, '3@')", ['tm.count'] = "tm.count(e.s, '3@')", ['tm.replace'] = "tm.replace(e.s, '@', ' at ')",
}

local HEAD = [[
local tm = require 'tidemill'
local re, named = tm.re '(\\w+)@', tm.re '(?<user>\\w+)@(?<host>[\\w.]+)'
local nets = {}
for i = 1, 3000 do nets[i] = ('10.%d.%d.0/28'):format(i % 256, i % 251) end
]]

local function run(text, path, extra)
  local r = h.run { 'run', '--json', '--from', path, h.write(text, h.path 'script.lua'), extra }
  assert.are.equal(0, r.code, r.err)
  return r.out, h.decode(r.err:match '([^\n]*)\n*$').counters
end

describe('compiled code of the library', function()
  local short, long = h.write(events(12000)), h.write(events(48000))

  local function check(script)
    local out, counters = run(script, short)
    assert.are.equal(1, counters.loops_compiled)
    assert.are.equal(0, counters.trace_flushes)
    assert.are.equal(0, counters.events_failed)
    assert.is_true(run(script, short, '--no-jit') == out, 'machine code and interpreter differ')
    local _, later = run(script, long)
    assert.is_true(later.traces <= counters.traces + 40, ('%d traces after 12,000 events, %d after 48,000'):format(counters.traces,
      later.traces))
    assert.is_true(later.trace_aborts <= counters.trace_aborts + 30,
      ('%d given up after 12,000 events, %d after 48,000'):format(counters.trace_aborts, later.trace_aborts))
  end

  for name, call in pairs(calls) do
    it(name .. ': the loop is machine code, traces stand still, the interpreter agrees', function()
      check(HEAD .. "return tm.pipeline 'p':map(function(e) if e.id % 10 ~= 3 then e.x = " .. call .. ' return e end end)')
    end)
  end

  it('tm.re fields: likewise, with nine captures', function()
    local groups = ''
    for i = 1, 9 do groups = groups .. ('(?<a%d>.)'):format(i) end
    check(HEAD .. "return tm.pipeline 'p':map(tm.re '" .. groups .. "':fields 'url')")
  end)
end)
