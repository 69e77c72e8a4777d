--[[
library.lua - what a call of the library in scripts costs: ns of processor time, the median of several runs.

  luajit tests/bench/library.lua BUILD EVENTS RUNS PATTERN        (build, 500000, 3, all of them)

Each call stands in a filter over the same events; a filter that only reads the field is run before it each time and taken off.
Events differ, so do the texts: what is made new for each is paid for. BUILD/bench/measure is needed (make bench builds it).
]]

package.path = 'tests/bench/?.lua;' .. package.path
local lib = require 'lib'

local build, events, runs, pattern = arg[1] or 'build', tonumber(arg[2] or 500000), tonumber(arg[3] or 3), arg[4] or ''
local measure = build .. '/bench/measure'
assert(lib.exists(measure), measure .. ' is not built: make B=' .. build .. ' ' .. measure)

local calls = {
  { 'tm.date.parse, six letters and a zone', "tm.date.parse(e.t, '%Y-%m-%d %H:%M:%S', 'Europe/Berlin')" },
  { 'tm.date.parse, iso8601', 'tm.date.parse(e.t)' }, { 'tm.date.parse, s', "tm.date.parse(e.n, 's')" },
  { 'tm.date.format, six letters and a zone', "tm.date.format(e.n * 1000, '%Y-%m-%d %H:%M:%S', 'Europe/Berlin')" },
  { 'tm.json.decode, four members', 'tm.json.decode(e.j)' }, { 'tm.json.encode, four members',
    'tm.json.encode { a = e.n, b = e.t, c = true, d = 1 }' },
  { 'tm.kv.parse, four pairs', 'tm.kv.parse(e.kv)' }, { 'tm.kv.format, three pairs', "tm.kv.format { a = e.n, b = e.t, c = 'x' }" },
  { 'tm.url.parse', 'tm.url.parse(e.u)' }, { 'tm.url.query, a name', "tm.url.query(e.u, 'id')" }, { 'tm.url.query, all of three',
    'tm.url.query(e.u)' },
  { 'tm.url.encode, 30 bytes', 'tm.url.encode(e.u)' }, { 'tm.url.decode, 60 bytes', 'tm.url.decode(e.u)' },
  { ':test, nine groups', 're:test(e.line)' }, { ':match, nine groups by name', 're:match(e.line)' }, { ':match, one group',
    'one:match(e.line)' },
  { ':find', 'one:find(e.line)' }, { ':gsub, one place', "one:gsub(e.line, '%1')" },
  { 'tm.re in the call', "tm.re '^(\\\\S+)':test(e.line)" },
  { 'tm.ip.parse', 'tm.ip.parse(e.ip)' }, { 'tm.ip.valid', 'tm.ip.valid(e.ip)' }, { 'tm.ip.within, one network',
    "tm.ip.within(e.ip, '10.0.0.0/8')" },
  { 'tm.ip.within, a list of 5,000', 'tm.ip.within(e.ip, nets)' }, { 'tm.ip.private', 'tm.ip.private(e.ip)' },
  { 'tm.geo.km', 'tm.geo.km(e.n % 90, 5, 6, e.n % 180)' }, { 'tm.geo.bearing', 'tm.geo.bearing(e.n % 90, 5, 6, e.n % 180)' },
  { 'tm.hash.md5, 200 bytes', 'tm.hash.md5(e.line)' }, { 'tm.hash.sha1, 200 bytes', 'tm.hash.sha1(e.line)' },
  { 'tm.hash.sha256, 200 bytes', 'tm.hash.sha256(e.line)' }, { 'tm.hash.sha512, 200 bytes', 'tm.hash.sha512(e.line)' },
  { 'tm.hash.xxh3, 200 bytes', 'tm.hash.xxh3(e.line)' }, { 'tm.hash.crc32, 200 bytes', 'tm.hash.crc32(e.line)' },
  { 'tm.hmac.sha256, 200 bytes', "tm.hmac.sha256('key', e.line)" }, { 'tm.base64.encode, 200 bytes', 'tm.base64.encode(e.line)' },
  { 'tm.base64.decode, 20 bytes', "tm.base64.decode 'aGVsbG8gd29ybGQhIQ'" }, { 'tm.hex.encode, 20 bytes', 'tm.hex.encode(e.t)' },
  { 'tm.hex.decode, 8 bytes', "tm.hex.decode('0123456789abcdef')" },
  { 'tm.lower, 20 bytes', 'tm.lower(e.t)' }, { 'tm.upper, 200 bytes', 'tm.upper(e.line)' }, { 'tm.trim', 'tm.trim(e.t)' },
  { 'tm.split, three parts', "tm.split(e.t, '-')" }, { 'tm.starts', "tm.starts(e.line, '10.')" }, { 'tm.ends', "tm.ends(e.line, '2)')" },
  { 'tm.contains, 200 bytes', "tm.contains(e.line, 'Gecko')" }, { 'tm.replace, two places', "tm.replace(e.t, '-', '/')" },
}

local HEAD = [==[
local tm = require 'tidemill'
local re, one = tm.re([=[^(?<addr>\S+) - (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>\S+) (?<path>\S+) [^"]*" (?<status>\d+)\x20]=] ..
    [=[(?<bytes>\d+) "(?<referer>[^"]*)" "(?<agent>[^"]*)"]=]),
  tm.re [=[\[([^\]]+)\]]=]
local nets = {}
for i = 1, 5000 do nets[i] = ('10.%d.%d.%d/30'):format(i % 256, i * 7 % 256, i % 64 * 4) end
]==]

local input = os.tmpname()
local out = assert(io.open(input, 'w'))
for i = 1, events do
  local ip, t = ('10.%d.%d.%d'):format(i % 256, i * 7 % 251, i % 255), ('20%02d-0%d-1%d 10:%02d:%02d'):format(i % 30, i % 9 + 1, i % 10,
    i % 60, i / 60 % 60)
  out:write(('{"n":%d,"t":"%s","ip":"%s","u":"https://example.org:8080/p/%d?id=%d&q=two+words&x=%%41",\z
    "kv":"level=info n=%d msg=\\"a b\\" user=u%d",\z
    "j":"{\\"a\\":%d,\\"b\\":\\"x%d\\",\\"c\\":[1,2],\\"d\\":null}",\z
    "line":"%s - - [17/May/2015:08:05:%02d +0000] \\"GET /products/%d HTTP/1.1\\" 200 %d \\"-\\" \z
    \\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0.2272.%d (x2)\\""}\n'):format(
    1431849932 + i, t, ip, i, i % 1000, i, i, i, i, ip, i % 60, i, i % 90000, i % 100))
end
out:close()

local function cpu(field, call)
  local script = os.tmpname()
  local f = assert(io.open(script, 'w'))
  -- a test that is not done in C, before the function is called
  f:write(HEAD, "return tm.pipeline 'p':filter(function(e) local v = ", field, call and ' local x = ' .. call or '',
    field == 'e.n' and ' return v * 2 == 1 end)\n' or ' return #v < 0 end)\n')
  f:close()
  local cost = lib.run(measure, { words = { build .. '/tidemill', 'run', '--quiet', '--from', input, script }, output = '/dev/null' })
  os.remove(script)
  assert(cost.code == 0, 'the run failed (' .. cost.code .. '): ' .. (call or field))
  return cost.cpu
end

print('| call | ns |\n|---|---|')
for _, c in ipairs(calls) do
  if c[1]:find(pattern, 1, true) or pattern == '' then
    local field, list = c[2]:match '%f[%w]e%.%a+' or 'e.n', {}
    for i = 1, runs do
      local base = cpu(field)
      list[i] = (cpu(field, c[2]) - base) / events * 1e9
    end
    local ns = lib.median(list)
    print(('| %s | %s |'):format(c[1], ns < 20 and '< 20' or ('%.0f'):format(ns)))
    io.flush()
  end
end
os.remove(input)
