--[[
library_date_spec.lua - tm.date beside GNU date (all letters of strftime), Python's zoneinfo (offsets, names, times that clocks
show twice or not at all) and Python's strptime; in zones with every kind of rule: half an hour of saving (Lord Howe), a day that
was left out (Apia), negative saving (Dublin), Ramadan (Casablanca), and years far behind the files' last change.
]]

local h = require 'spec.helper'
local oracle = require 'spec.oracle'

local ZONES = { 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Apia', 'Africa/Casablanca',
  'Europe/Dublin', 'America/Sao_Paulo', 'Asia/Tehran', 'Antarctica/Troll', 'UTC' }
local PY_ZONES = 'from zoneinfo import ZoneInfo\nfrom datetime import datetime, timezone, timedelta\nzones = ["' ..
  table.concat(ZONES, '", "') .. '"]\n'

describe('tm.date.format', function()
  it('writes all letters as GNU date does, in every zone', function()
    local letters = '%a|%A|%b|%B|%c|%C|%d|%D|%e|%F|%g|%G|%h|%H|%I|%j|%k|%l|%m|%M|%n|%N|%p|%P|%r|%R|%s|%S|%t|%T|%u|%U|%V|%w|%W|%x|%X|' ..
      '%y|%Y|%z|%:z|%::z|%Z|%%|%-d|%_H|%^a|%#Z|%10Y|%_5m|%-j|%3N|%^B|%-I|%05d|%#p|%_3S'
    local seed = h.shell([[python3 -c '
import random
r = random.Random(5)
for _ in range(700): print("@%d.%03d" % (r.randrange(-2208988800, 7258118400), r.randrange(1000)))
for y in range(1970, 2030):
  for d in range(-4, 5): print("@%d" % ((y - 1970) * 31556952 + d * 86400))']]).out
    local input = {}
    -- -5.250 is a quarter of a second before -5, for GNU date too
    for sign, s, ms in seed:gmatch '@(%-?)(%d+)%.?(%d*)\n' do
      input[#input + 1] = ('{"ms":%.0f}'):format((s * 1000 + (tonumber(ms) or 0)) * (sign == '-' and -1 or 1))
    end
    for _, zone in ipairs(ZONES) do
      local gnu = h.shell(('LC_ALL=C TZ=%s date -f - "+%s"'):format(zone, letters), seed)
      assert.equal(0, gnu.code, gnu.err)
      local script = ([[local tm = require 'tidemill'
        return tm.pipeline 'p':map(function(e) return { s = tm.date.format(e.ms, %q, %q) } end)]]):format(letters, zone)
      local r = h.script(script, input)
      assert.equal(0, r.code, r.err)
      local expected, found, got = {}, {}, h.rows(r.out)
      -- %n is a newline: a case is two lines of GNU date's
      for case in gnu.out:gmatch '[^\n]*\n[^\n]*\n' do
        -- where a place had no time yet, GNU date writes the offset as minus zero
        expected[#expected + 1] = case:sub(1, -2):gsub('%-0000|%-00:00|%-00:00:00|%-00|', '+0000|+00:00|+00:00:00|-00|')
      end
      for i, row in ipairs(got) do found[i] = row.s end
      assert.equal(1240, #found)
      for i = 1, #found do
        if expected[i] ~= found[i] then assert.equal(expected[i], found[i], zone .. ' ' .. input[i]) end
      end
    end
  end)

  it('knows every zone from 1900 to 2200 as Python does, and takes any file of zones there is', function()
    local n = oracle.agree(PY_ZONES .. [[
for zone in zones:
  z = ZoneInfo(zone)
  for i in range(500):
    s = r.randrange(-2208988800, 7258118400)
    if i % 2:   # close to a change, where there is one in the year ahead
      step = 86400 * 16
      for _ in range(24):
        a, b = (datetime.fromtimestamp(t, timezone.utc).astimezone(z).utcoffset() for t in (s, s + step))
        if a != b: break
        s += step
      else: step = 0
      while step > 1:
        step //= 2
        if datetime.fromtimestamp(s + step, timezone.utc).astimezone(z).utcoffset() == a: s += step
      s += r.randrange(-2, 3)
    t = datetime.fromtimestamp(s, timezone.utc).astimezone(z)
    off = int(t.utcoffset().total_seconds())
    a = abs(off)
    case({"ms": s * 1000, "z": zone}, t.strftime("%Y-%m-%d %H:%M:%S ") + ("-" if off < 0 else "+") +
      "%02d:%02d:%02d " % (a // 3600, a // 60 % 60, a % 60) + t.tzname())
]], "return tm.date.format(e.ms, '%Y-%m-%d %H:%M:%S %::z %Z', e.z)")
    assert.equal(500 * #ZONES, n)
    oracle.agree([[
import zoneinfo
from datetime import datetime, timezone
for zone in sorted(zoneinfo.available_timezones()):
  s = r.randrange(-2208988800, 7258118400)
  t = datetime.fromtimestamp(s, timezone.utc).astimezone(zoneinfo.ZoneInfo(zone))
  case({"ms": s * 1000, "z": zone}, t.strftime("%Y-%m-%d %H:%M:%S ") + t.tzname())
]], "return tm.date.format(e.ms, '%F %T %Z', e.z)")
  end)

  it('gives neighbouring times their own texts, across each change of a clock', function()
    oracle.agree([[
from datetime import datetime, timezone, timedelta
from zoneinfo import ZoneInfo
zones = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Monrovia"]
formats = ["%Y-%m-%d", "%H:%M", "%H %p", "%Z %j", "%F %T", "%a %I", "%A %G-W%V", "%S", "%D %R", "%M"]
starts = [0, 1711846800, 1729994400, 1712415600, 1728142200, 63593070, 1709164799, -86400]
for _ in range(300):
  t, zone, step = r.choice(starts) * 1000 + r.randrange(-5000, 5000), r.choice(zones), r.choice([1, 400, 7000, 900000, 20000000])
  for _ in range(20):
    t += r.randrange(-step, 2 * step)
    if r.random() < .1: zone = r.choice(zones)
    f = r.choice(formats)
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=t)
    case({"ms": t, "f": f, "z": zone}, at.astimezone(ZoneInfo(zone)).strftime(f))
]], "return tm.date.format(e.ms, e.f, e.z)")
  end)

  it('writes ISO 8601, units, and the first and last year', function()
    for call, expected in pairs {
      ["tm.date.format(0)"] = '1970-01-01T00:00:00Z', ["tm.date.format(1)"] = '1970-01-01T00:00:00.001Z',
      ["tm.date.format(-1, 'rfc3339', '-03:30')"] = '1969-12-31T20:29:59.999-03:30', ["tm.date.format(-1, 's')"] = '-1',
      ["tm.date.format(1500, 'ns')"] = '1500000000', ["tm.date.format(1500, 'us')"] = '1500000', ["tm.date.format(0, 'ns')"] = '0',
      ["tm.date.format(1.9, 'ms')"] = '1', ["tm.date.format(-1.1, 'ms')"] = '-2', ["tm.date.format(-62167219200000)"] =
        '0000-01-01T00:00:00Z',
      ["tm.date.format(253402300799999)"] = '9999-12-31T23:59:59.999Z', ["tm.date.format(7, '%L %f %N')"] = '007 007000 007000000',
    } do
      assert.equal(expected, h.rows((h.e('stream:map(function(e) return { s = ' .. call .. ' } end)', '{}\n')))[1].s, call)
    end
  end)
end)

describe('tm.date.parse', function()
  it('reads local times as Python does with fold=0, those that clocks show twice and those that they leave out', function()
    oracle.agree(PY_ZONES .. [[
def local_case(y, m, d, hh, mm, ss, zone):
  t = datetime(y, m, d, hh, mm, ss, r.choice([0, 0, 123000]), ZoneInfo(zone))
  # counted in days, since timestamp() loses nothing but Python's own range checks get in the way of the year 1
  ms = (t.replace(tzinfo=None) - t.utcoffset() - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
  case({"s": t.strftime("%Y-%m-%d %H:%M:%S.%f"), "z": zone}, ms)
for zone in zones:
  for _ in range(250): local_case(r.randrange(1900, 2200), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60),
    r.randrange(60), zone)
  for _ in range(250):   # nights in which clocks change
    local_case(r.randrange(1970, 2120), r.choice([2, 3, 4, 5, 9, 10, 11]), r.randrange(1, 29), r.choice([0, 1, 2, 3]), r.randrange(60), 0,
      zone)
  for y in range(2000, 2060):
    for m in 3, 4, 9, 10, 11:
      for d in range(1, 31):
        t = datetime(y, m, d, tzinfo=ZoneInfo(zone))
        if t.utcoffset() != (t + timedelta(days=1)).utcoffset():
          for _ in range(4): local_case(y, m, d, r.randrange(5), r.randrange(60), r.randrange(60), zone)
]], "return tm.date.parse(e.s, '%Y-%m-%d %H:%M:%S.%f', e.z)")
  end)

  it('reads what Python writes and reads, by many formats', function()
    oracle.agree([[
from datetime import datetime, timezone, timedelta
formats = ["%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%A %B %d %I:%M:%S %p %Y", "%y%m%d%H%M%S", "%Y-%j %H", "%m/%d/%y %H:%M",
  "%Y%m%dT%H%M%S.%f%z", "%c", "%x %X", "%G-W%V-%u", "%d.%m.%Y", "%H:%M", "%Y", "%B %Y",
  "%Y-%m-%dT%H:%M:%S.%f%z", "%I%p", "%%%Y%%%m", "%G week %V %a"]
for f in formats:
  for _ in range(150):
    t = datetime(r.randrange(1970, 2068), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60), r.randrange(60),
      r.randrange(1000) * 1000, timezone(timedelta(minutes=r.randrange(-720, 841))))
    s = t.strftime(f)
    if r.random() < .3: s = r.choice([s.upper(),
      s.lower()]) if "%" not in s and "z" not in f and "Z" not in f and "T" not in f and "W" not in f and "w" not in f else s
    p = datetime.strptime(s, f)
    if "%Y" not in f and "%y" not in f and "%G" not in f and f != "%c" and not f.startswith("%x"): p = p.replace(year=1970)
    if p.tzinfo is None: p = p.replace(tzinfo=timezone.utc)
    case({"s": s, "f": f}, (p - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1))
]], "return tm.date.parse(e.s, e.f)")
  end)

  it('reads ISO 8601 as Python does', function()
    oracle.agree([[
from datetime import datetime, timezone, timedelta
for _ in range(2000):
  t = datetime(r.randrange(1, 10000), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60), r.randrange(60),
    r.randrange(10**6))
  zone = r.choice(["", "Z", "+02:00", "-11:30", "+0545"])
  s = r.choice([t.isoformat(), t.isoformat(" ", "seconds"), t.isoformat("T", "milliseconds"), t.isoformat("T", "minutes")]) + zone
  p = datetime.fromisoformat(s)
  if p.tzinfo is None: p = p.replace(tzinfo=timezone.utc)
  try: ms = (p.replace(tzinfo=None) - p.utcoffset() - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
  except OverflowError: continue
  case({"s": s}, ms)
for s in ["2023-02-29", "2024-13-01", "2024-1-01", "2024-01-01T25:00", "2024-01-01T24:00:01", "2024-01-01T10", "2024-01-01T10:60", "x",
  "", "2024",
  "2024-01-01T10:00:00.", "2024-01-01T10:00+2", "2024-01-01T10:00Z ", "2024-01-01X10:00", "2024-01-01T10:00:00+24:00"]:
  case({"s": s}, "error")
case({"s": "2024-02-29T24:00"}, 1709251200000)
case({"s": "2016-12-31T23:59:60Z"}, 1483228800000)
case({"s": "2024-01-01T00:00:00.123999999Z"}, 1704067200123)
]], "return tm.date.parse(e.s)")
  end)

  it('reads counts since 1970 in four units, texts exactly', function()
    oracle.agree([[
from decimal import Decimal, ROUND_FLOOR
for unit, places in ("s", 3), ("ms", 0), ("us", -3), ("ns", -6):
  for _ in range(300):
    n = r.randrange(-62167219200, 253402300799) * 10 ** (3 - places) // 1000 + r.randrange(10 ** max(0, 3 - places))
    s = str(n) + ("" if r.random() < .5 else "." + str(r.randrange(10 ** r.randrange(1, 12))))
    ms = int((Decimal(s) * Decimal(10) ** places).to_integral_value(ROUND_FLOOR))
    case({"s": s, "u": unit}, ms)
    if abs(n) < 2**53: case({"s": n, "u": unit}, int((Decimal(n) * Decimal(10) ** places).to_integral_value(ROUND_FLOOR)))
for s in "", "-", ".5", "1.", "1e3", "0x10", " 1", "1 ", "1.2.3", "99999999999999999999999": case({"s": s, "u": "s"}, "error")
]], "return tm.date.parse(e.s, e.u)")
  end)

  it('refuses what does not fit, and says where', function()
    for call, expected in pairs {
      ["tm.date.parse('2024-13-01', '%Y-%m-%d')"] =
        "'2024-13-01' does not fit '%Y-%m-%d': expected a month (01 to 12) at byte 6, found '13-01'",
      ["tm.date.parse('2023-02-29', '%F')"] = "expected a day that the month has at byte 11, found its end",
      ["tm.date.parse('2024x', '%Y')"] = "expected the end at byte 5, found 'x'",
      ["tm.date.parse('10:00 XYZ', '%H:%M %Z', 'Europe/Berlin')"] =
        "expected UTC, GMT, Z or a name of the zone's own, such as CET at byte 7",
      ["tm.date.parse('2024', '%Q')"] = "the format's '%Q' cannot be read",
      ["tm.date.parse('2024-W54-1', '%G-W%V-%u')"] = 'expected a week (01 to 53) at byte 7',
      ["tm.date.parse('2021-W53-1', '%G-W%V-%u')"] = 'expected a week that the year has',
      ["tm.date.parse('2023-366', '%Y-%j')"] = 'expected a day that the year has',
      ["tm.date.parse('2024-01-01', 'rfc3339')"] = "does not fit 'rfc3339': expected 2024-01-31T13:59:59Z or +01:00 for Z at byte 11",
      ["tm.date.parse('x', 's')"] = "does not fit 's': expected a number at byte 1, found 'x'",
      ["tm.date.parse(e.n, '%Y')"] = 'tm.date.parse takes a string as its first argument, got a number',
      ["tm.date.parse(nil)"] = 'tm.date.parse takes a string as its first argument, got nil',
      ["tm.date.parse(1e30, 's')"] = 'tm.date.parse: 1e+30 s lies outside of the years 0 to 9999',
      ["tm.date.parse('2024', '%Y', 'Europe/Berlinn')"] = "no time zone is called 'Europe/Berlinn' (did you mean 'Europe/Berlin'?)",
      ["tm.date.parse('2024', '%Y', '../../../etc/passwd')"] =
        "no time zone is called '../../../etc/passwd'; it is a name such as 'Europe/Berlin'",
      ["tm.date.parse('2024', '%Y', 'tzdata.zi')"] = "no time zone is called 'tzdata.zi'",
      ["tm.date.parse('2024', '%Y', 'Europe')"] = "no time zone is called 'Europe'",
      ["tm.date.parse('2024', '%Y', 'zone1970')"] = "no time zone is called 'zone1970'",
      ["tm.date.parse('2024', '%Y', 5)"] =
        "tm.date.parse takes the name of a time zone such as 'Europe/Berlin' as its third argument (zone), got a number",
      ["tm.date.format('x')"] = 'tm.date.format takes a number (ms since 1970) as its first argument, got a string',
      ["tm.date.format(0/0)"] = 'the years 0 to 9999 are known, not ms ',
      ["tm.date.format(1e300)"] = 'the years 0 to 9999 are known, not ms 1.0000000000000001e+300',
      ["tm.date.format(0, '%E')"] = "the format has no letter '%E'",
      ["tm.date.format(0, '%')"] = "the format has no letter '%'",
      ["tm.date.format(0, 'iso')"] = 'the format is neither a name (iso8601 rfc3339 s ms us ns) nor has it a %',
    } do
      local said = oracle.error_of(call)
      assert.truthy(said:find(expected, 1, true), call .. '\n' .. said)
    end
  end)

  it('reads names of its zone, and an offset before it', function()
    local code = [[stream:map(function(e) return { v = tm.date.parse(e.s, '%F %T %Z', 'Europe/Berlin') } end)]]
    local out = h.e(code, { '{"s":"2024-10-27 02:30:00 CEST"}', '{"s":"2024-10-27 02:30:00 CET"}', '{"s":"2024-10-27 02:30:00 UTC"}' })
    -- GNU date: date -ud '2024-10-27 00:30' +%s
    assert.equal('{"v":1729989000000}\n{"v":1729992600000}\n{"v":1729996200000}\n', out)
  end)

  it('never looks at the environment', function()
    local code = [[stream:map(function(e) return { a = tm.date.parse('2024-01-01 00:00', '%F %R'), b = tm.date.format(0,
      '%F %R %Z') } end)]]
    local r = h.shell('TZ=Asia/Tokyo LC_ALL=de_DE.UTF-8 ' .. h.command { 'run', '--quiet', '-e', code }, '{}\n')
    assert.equal('{"a":1704067200000,"b":"1970-01-01 00:00 UTC"}\n', r.out)
  end)
end)
