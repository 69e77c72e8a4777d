--[[
windows_zone_spec.lua - windows of local time. The judge is Python's zoneinfo: days begin where Python puts their midnight, and random
streams around clock changes give what windows_reference.py gives, which finds each change by looking for it.
]]

local h = require 'spec.helper'
local cases = require 'spec.windows_cases'

local HOUR, DAY = 3600000, 86400000

-- clock changes and what is odd about them, in ms
local ZONES = {
  { 'Europe/Berlin', 1711846800000 }, { 'Europe/Berlin', 1729990800000 },             -- 23 and 25 hours
  { 'Australia/Lord_Howe', 1712415600000 }, { 'Australia/Lord_Howe', 1728142200000 }, -- half an hour
  { 'Pacific/Apia', 1325239200000 },                                                  -- 2011-12-30 does not come
  { 'America/Sao_Paulo', 1541300400000 }, { 'America/Havana', 1710046800000 },        -- no midnight
  { 'America/Havana', 1730610000000 }, { 'America/St_Johns', 1162607460000 },         -- midnight twice, and a minute of the next day
  { 'Asia/Kathmandu', 1700000000000 }, { 'Asia/Kolkata', 0 }, { '+05:45', 1700000000000 },
  { 'Europe/Dublin', 2550704400000 },                                                 -- by the rule behind the last change of the file
  { 'America/New_York', -5000000000 },
}

local function run(code, input)
  -- of a file, as of a pipe times far ahead of now do not count
  local r = h.run { 'run', '--json', '--from', h.write(input, h.path 'in.ndjson'), '-e', code }
  assert.equal(0, r.code, r.err)
  return r
end

describe('windows of a zone', function()
  it('are the days that Python counts, for thousands of random times', function()
    math.randomseed(77)
    for _, zone in ipairs { 'Europe/Berlin', 'Australia/Lord_Howe', 'Pacific/Apia', 'America/Sao_Paulo', 'Asia/Kathmandu', 'America/Havana',
      'Africa/Casablanca', 'America/New_York', 'Asia/Tehran', 'UTC', '-03:30' } do
      local times = {}
      for i = 1, 3000 do times[i] = math.random(-1500000000, 4000000000) * 1000 + math.random(0, 999) end
      table.sort(times)
      local lines = {}
      for i, t in ipairs(times) do lines[i] = ('{"ts":%.0f}\n'):format(t) end
      local input = table.concat(lines)
      local offset = math.random(0, 1) * 6
      local got = run(([[stream:event_time { field = 'ts' }:window('w', tm.window.tumbling('1d', { zone = '%s', offset = '%dh' }))
        :aggregate { n = tm.agg.count() }]]):format(zone, offset), input).out
      local want = h.shell(('python3 %s %s %d'):format(h.write [==[
import json, sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
name, hours = sys.argv[1], int(sys.argv[2])
zone = timezone(-timedelta(hours=3, minutes=30)) if name == "-03:30" else ZoneInfo(name)
def ms(day):   # the first ms of a local day, which may begin in a gap
    t = datetime(day.year, day.month, day.day, hours, tzinfo=zone)
    u = t.astimezone(timezone.utc)
    if u.astimezone(zone).replace(tzinfo=None) != t.replace(tzinfo=None):   # left out: the change is where the offset jumps
        low, high = int(u.timestamp()) - 90000, int(u.timestamp()) + 1
        off = lambda s: datetime.fromtimestamp(s, timezone.utc).astimezone(zone).utcoffset()
        before = off(low)
        while high - low > 1:
            mid = (low + high) // 2
            low, high = (mid, high) if off(mid) == before else (low, mid)
        return high * 1000
    return round(u.timestamp() * 1000)
counts = Counter()
for line in sys.stdin:
    t = json.loads(line)["ts"]
    local = datetime.fromtimestamp(t // 1000, timezone.utc).astimezone(zone).replace(tzinfo=None)
    counts[(local - timedelta(hours=hours)).date()] += 1
for day, n in sorted(counts.items()):
    end = day + timedelta(days=1)
    print('{"n":%d,"window_end":%d,"window_start":%d}' % (n, ms(end), ms(day)))
]==], zone, offset), input)
      assert.equal(0, want.code, want.err)
      h.compare(want.out, got, zone)
    end
  end)

  it('have 23, 25 and no hours', function()
    local function days(zone, ...)
      local input = {}
      for i, t in ipairs { ... } do input[i] = ('{"ts":%.0f}\n'):format(t) end
      local hours = {}
      local out = run(([[stream:event_time { field = 'ts' }:window('w', tm.window.tumbling('1d', { zone = '%s' }))
        :aggregate { n = tm.agg.count() }]]):format(zone), table.concat(input)).out
      for i, r in ipairs(h.rows(out)) do
        hours[i] = (r.window_end - r.window_start) / HOUR
      end
      return hours
    end
    -- 2024-03-30 to 04-01 and 2024-10-26 to 28 in Berlin; 2011-12-29 and 31 in Apia
    assert.same({ 24, 23, 24 }, days('Europe/Berlin', 1711792800000, 1711879200000, 1711965600000))
    assert.same({ 24, 25, 24 }, days('Europe/Berlin', 1729936800000, 1730023200000, 1730109600000))
    assert.same({ 24, 24 }, days('Pacific/Apia', 1325239199999, 1325239200000))
    assert.same({ 23.5 }, days('Australia/Lord_Howe', 1728142200000))
  end)

  it('give what the reference gives around clock changes, for every kind and way to emit', function()
    for seed = 1, 28 do
      math.randomseed(seed)
      local s = cases.spec()
      local zone = ZONES[(seed - 1) % #ZONES + 1]
      s.zone = zone[1]
      s.size = cases.pick { HOUR / 2, HOUR, 6 * HOUR, DAY, 2 * DAY, 90 * 60000 }
      s.slide = cases.pick { s.size, s.size, s.size / 2, s.size / 3, s.size / 6, s.size * 2 }
      s.offset = cases.pick { 0, 0, 6 * 60000, -7 * 60000 }
      s.what = cases.pick { 'aggregate', 'aggregate', 'reduce', 'apply' }
      s.out_of_order = cases.pick { 0, 2 * HOUR }
      s.lateness = cases.pick { 0, 0, HOUR, DAY }
      if s.every then s.every = 3 * HOUR end
      if s.zone:find '^%+' then s.zone = 'Asia/Kathmandu' end
      local dir = h.folder()
      local input = cases.stream(seed, 400, 20 * 60000, cases.pick { 0, 5 * HOUR }, zone[2] - DAY)
      local want, want_late = cases.reference(dir, s, input)
      local text = cases.script(s, dir .. '/late')
      for _, how in ipairs { '--json', '--no-jit' } do
        local r = h.run { 'run', how, '--from', dir .. '/in', h.write(text, dir .. '/s.lua') }
        assert.equal(0, r.code, text .. r.err)
        h.compare(want, r.out, ('seed %d\n%s'):format(seed, text))
        h.compare(want_late, h.read(dir .. '/late'), ('late events, seed %d\n%s'):format(seed, text))
        os.remove(dir .. '/late')
      end
    end
  end)

  it('join events of the same local day', function()
    local code = [[local all = stream:event_time { field = 'ts' }
      local l = all:filter(function(e) return e.l == true end)
      local r = all:filter(function(e) return e.l == nil end)
      return l:window_join('j', r, tm.window.tumbling('1d', { zone = 'Europe/Berlin' }), { on = 'k', as = 'r' })]]
    -- 2024-10-27 has 25 hours: its last ms is 1730069999999
    local r = h.run({ 'run', '--quiet', h.write("local tm = require 'tidemill'\nlocal stream = tm.pipeline 'p'\n" .. code) },
      '{"ts":1729980000000,"k":1,"l":true}\n{"ts":1730069999999,"k":1}\n{"ts":1730070000000,"k":1}\n')
    assert.equal(0, r.code, r.err)
    local rows = h.rows(r.out)
    assert.equal(1, #rows)
    assert.same({ 1729980000000, 1730070000000, 1730069999999 }, { rows[1].window_start, rows[1].window_end, rows[1].r.ts })
  end)

  it('are drawn with their zone', function()
    local r = h.run { 'graph', '-e', [[stream:event_time { field = 'ts' }
      :window('w', tm.window.hopping('2d', '1d', { zone = 'Asia/Tokyo' })):aggregate { n = tm.agg.count() }]] }
    assert.truthy(r.out:find('window w: hopping 2d by 1d in Asia/Tokyo', 1, true), r.out)
  end)
end)
