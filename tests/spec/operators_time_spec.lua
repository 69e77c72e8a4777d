--[[
operators_time_spec.lua - event_time: what is a time and which one, by Python's datetime and fractions; which fields, rows and steps
have it; what is refused.
]]

local h = require 'spec.helper'

--- Random texts of times and what they mean: a line "JSON value<TAB>ms or -".
local REFERENCE = [==[
import datetime, json, random, re, sys
from fractions import Fraction
unit, rnd = sys.argv[1], random.Random(int(sys.argv[2]))
epoch = datetime.datetime(1970, 1, 1)
scale = {'s': Fraction(1000), 'ms': Fraction(1), 'us': Fraction(1, 1000), 'ns': Fraction(1, 1000000)}
number = re.compile(r'-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z')

def of_number(text):
  if not number.match(text): return None
  exponent = re.search(r'[eE]([+-]?[0-9]+)', text)
  if exponent and abs(int(exponent.group(1))) > 400: return 0 if Fraction(text.split('e')[0].split('E')[0]) == 0 else None
  v = Fraction(text) * scale[unit]
  ms = v.numerator // v.denominator
  return ms if abs(ms) <= 2 ** 53 else None

def iso():
  day = datetime.date.fromordinal(rnd.choice([rnd.randint(1, 3652059), rnd.randint(719000, 740000)]))
  text, at = day.isoformat(), datetime.datetime.combine(day, datetime.time())
  delta = datetime.timedelta()
  if rnd.random() < .95:
    hour, minute, second, frac, zone = rnd.randint(0, 23), rnd.randint(0, 59), 0, '', ''
    text += rnd.choice('Tt ') + '%02d:%02d' % (hour, minute)
    delta = datetime.timedelta(hours=hour, minutes=minute)
    if rnd.random() < .9:
      second = rnd.randint(0, 59)
      text += ':%02d' % second
      if rnd.random() < .6:
        frac = ''.join(rnd.choice('0123456789') for _ in range(rnd.choice([1, 2, 3, 6, 9, 12])))
        text += rnd.choice('.,') + frac
    delta += datetime.timedelta(seconds=second, milliseconds=int((frac + '000')[:3]))
    form = rnd.randint(0, 4)
    if form == 1: text += rnd.choice('Zz')
    elif form > 1:
      h, m, sign = rnd.randint(0, 23), rnd.randint(0, 59), rnd.choice('+-')
      if form == 4: m = 0
      text += sign + '%02d' % h + ('' if form == 4 else ':%02d' % m if form == 2 else '%02d' % m)
      offset = datetime.timedelta(hours=h, minutes=m)
      delta -= offset if sign == '+' else -offset
  return text, ((at - epoch) + delta) // datetime.timedelta(milliseconds=1)

def broken(text):
  i = rnd.randrange(len(text))
  return text[:i] + rnd.choice(['', 'x', '9', ' ', '-', ':']) + text[i + 1:]

def plain():
  sign = '-' if rnd.random() < .3 else ''
  digits = str(rnd.randrange(10 ** rnd.randint(1, 19)))
  part = '.' + ''.join(rnd.choice('0123456789') for _ in range(rnd.randint(1, 9))) if rnd.random() < .4 else ''
  power = rnd.choice(['e', 'E', 'e+', 'e-']) + str(rnd.choice([0, 1, 3, 12, 300])) if rnd.random() < .15 else ''
  return sign + digits + part + power

for _ in range(3000):
  kind = rnd.random()
  if unit == 'iso8601':
    text, ms = iso()
    if kind < .1: print(json.dumps(rnd.choice([1, None, True, [], {}, 'now', '']), separators=(',', ':')), '-', sep='\t')
    elif kind < .2:
      escaped = '"' + ''.join('\\u%04x' % ord(c) if rnd.random() < .1 else c for c in text) + '"'
      print(escaped, ms, sep='\t')
    else: print(json.dumps(text), ms, sep='\t')
  else:
    text = plain()
    if kind < .1: print(json.dumps(rnd.choice([None, True, [], {}, '', 'soon', '1.', '+1', ' 1', '1 ', '0x1', '.5', '1e', '-'])), '-',
      sep='\t')
    else:
      ms = of_number(text)
      print(json.dumps(text) if kind < .5 else text, '-' if ms is None else ms, sep='\t')
]==]

local function lines_of(unit, seed)
  local r = h.shell(('python3 %s %s %d'):format(h.write(REFERENCE), unit, seed))
  assert(r.code == 0, r.err)
  local input, want = {}, {}
  for value, ms in r.out:gmatch '([^\t\n]*)\t([^\n]*)\n' do
    input[#input + 1] = ('{"i":%d,"ts":%s}'):format(#input + 1, value)
    if ms ~= '-' then want[#want + 1] = ('%d %s'):format(#input, ms) end
  end
  return input, want
end

local function got(out)
  local list = {}
  for i, row in ipairs(h.rows(out)) do list[i] = ('%d %.0f'):format(row.i, row.ms) end
  return list
end

describe('event_time', function()
  for _, unit in ipairs { 's', 'ms', 'us', 'ns', 'iso8601' } do
    it('reads ' .. unit .. ' as Python does, off the column and as a written value', function()
      local input, want = lines_of(unit, #unit)
      assert.is_true(#want > 1500 and #want < 2990)
      local time = (":event_time { field = '%s', unit = '%s' }"):format('ts', unit)
      local out = h.e("stream" .. time .. ":map(function(e) return { i = e.i, ms = tm.time(e) } end)", input)
      assert.same(want, got(out))
      -- behind a step that moves the value
      out = h.e("stream:rename { ts = 'at' }" .. time:gsub("'ts'", "'at'") ..
        ":map(function(e) return { i = e.i, ms = tm.time(e) } end)", input)
      assert.same(want, got(out))
      -- of rows that are written as text
      out = h.e("stream:flat_map(function(e, emit) emit(e) end)" .. time .. ":map(function(e) return { i = e.i, ms = tm.time(e) } end)",
        input)
      assert.same(want, got(out))
      -- as msgpack, which has no decimals: doubles, and integers up to 64 bits
      local packed, whole, meant = h.path 'packed', {}, {}
      for _, line in ipairs(input) do
        local i, value = line:match '"i":(%d+),"ts":(.*)}$'
        if value:find '^"' or value:find '^%-?%d+$' and #value < 19 then whole[#whole + 1], meant[i] = line, true end
      end
      local r = h.run({ 'run', '--quiet', '-e', 'stream', '--out-format', 'msgpack', '--to', packed }, table.concat(whole, '\n') .. '\n')
      assert.equal(0, r.code, r.err)
      r = h.run { 'run', '--quiet', '--format', 'msgpack', '--out-format', 'json', '--from', packed, '-e',
        'stream' .. time .. ':map(function(e) return { i = e.i, ms = tm.time(e) } end)' }
      local some = {}
      for _, line in ipairs(want) do if meant[line:match '^%d+'] then some[#some + 1] = line end end
      assert.same(some, got(r.out))
    end)
  end

  it('knows the days that calendars get wrong', function()
    local input, want = {}, {}
    for i, at in ipairs { '1900-03-01', '2000-02-29', '2000-12-31T23:59:60Z', '2024-02-29T24:00:00', '0000-01-01',
      '9999-12-31T23:59:59.999',
      '1969-12-31T23:59:59.9999' } do
      input[i] = ('{"i":%d,"ts":"%s"}'):format(i, at)
    end
    -- by date -u -d (GNU): the second 60 and 24:00 as what follows them
    for i, at in ipairs { '1900-03-01', '2000-02-29', '2001-01-01 00:00:00', '2024-03-01', '0000-01-01', '9999-12-31 23:59:59.999' } do
      local ms = h.shell("date -u -d '" .. at .. "' +%s%3N").out:gsub('\n', '')
      want[i] = i .. ' ' .. ms
    end
    want[7] = '7 -1'
    local out = h.e("stream:event_time { field = 'ts', unit = 'iso8601' }:set { ms = tm.time }", input)
    assert.same(want, got(out))
    local r = select(2, h.e("stream:event_time { field = 'ts', unit = 'iso8601' }", { '{"ts":"1900-02-29"}' }))
    assert.truthy(r.err:find("-e:1: field 'ts' is declared event_time 'iso8601', found '1900-02-29'", 1, true), r.err)
  end)

  it('is nil before, and may be declared again, in one branch too', function()
    local out = h.e([[local s = stream:set { none = function(e) return tm.time(e) == nil end }:event_time { field = 'a' }
      return { s:event_time { field = 'b', unit = 's' }:set { ms = tm.time }, s:set { ms = tm.time } }]], { '{"a":1,"b":2}' })
    assert.equal('{"a":1,"b":2,"none":true,"ms":2000}\n{"a":1,"b":2,"none":true,"ms":1}\n', out)
  end)

  it('goes with rows, and to ctx.time; a pipeline that reads another one declares its own', function()
    local r = h.script([[local tm = require 'tidemill'
      local a = tm.pipeline 'a':event_time { field = 't' }:flat_map(function(e, emit) emit { x = 1 } emit { x = 2 } end)
        :process('p', { unbounded = true, on_event = function(e, s, ctx) ctx.emit { x = e.x, at = ctx.time } end })
        :map(function(e) return { x = e.x, at = e.at, again = tm.time(e) } end)
      return { a, tm.pipeline 'b':from(a):map(function(e) return { timed = tm.time(e) ~= nil } end) }]], { '{"t":7}' })
    assert.equal('{"again":7,"at":7,"x":1}\n{"again":7,"at":7,"x":2}\n{"timed":false}\n{"timed":false}\n', r.out)
  end)

  it('is kept for rows at the end of input: that of the last event', function()
    local out = h.e("stream:event_time { field = 't' }:key_by 'k'" ..
      ":running('r', { n = tm.agg.count() }, { emit = 'final', unbounded = true })" ..
      ":set { ms = tm.time }", { '{"k":"a","t":5}', '{"k":"b","t":9}', '{"k":"a","t":3}' })
    assert.equal('{"k":"a","ms":3,"n":2}\n{"k":"b","ms":9,"n":1}\n', out)
  end)

  it('fails an event without it, also one that a filter behind would drop, and leaves the others', function()
    local input = {}
    for i = 1, 3000 do input[i] = ('{"i":%d,"x":%d%s}'):format(i, i % 50, i % 1000 == 7 and '' or ',"t":' .. i) end
    local r = h.run({ 'run', '--json', '-e', "stream:event_time { field = 't' }:filter(function(e) return e.x == 3 end)" },
      table.concat(input, '\n') .. '\n')
    local counters = h.decode(r.err:match '([^\n]*"counters"[^\n]*)').counters
    assert.equal(3, counters.events_failed)
    assert.equal(60, #h.lines(r.out))
    assert.truthy(r.err:find("field 't' is declared event_time 'ms', found nothing [type]", 1, true), r.err)
  end)

  it('reads timestamps of msgpack, whatever the unit of other values is', function()
    local packed = h.path 'packed'
    h.run({ 'run', '--quiet', '-e', 'stream:set { ts = function(e) return tm.timestamp(e.s, e.ns) end }', '--out-format', 'msgpack', '--to',
      packed }, '{"s":12,"ns":345678901}\n{"s":-1,"ns":1000000}\n')
    for _, unit in ipairs { 'iso8601', 'ms', 'ns' } do
      for _, before in ipairs { '', ':map(function(e) e.x = e.ts return e end)',
        ':map(function(e) e.ts = tm.timestamp(e.ts.seconds, 345678901) return e end)' } do
        local r = h.run { 'run', '--quiet', '--format', 'msgpack', '--out-format', 'json', '--from', packed, '-e',
          ("stream%s:event_time { field = 'ts', unit = '%s' }:map(function(e) return { ms = tm.time(e) } end)"):format(before, unit) }
        assert.equal(before:find('345', 1, true) and '{"ms":12345}\n{"ms":-655}\n' or '{"ms":12345}\n{"ms":-999}\n', r.out, r.err)
      end
    end
  end)

  it('refuses at load what it cannot be', function()
    for code, message in pairs {
      [":event_time 'ts'"] = "event_time takes a table { field = 'ts', unit = 'ms' }, got 'ts'",
      [":event_time {}"] = 'event_time takes the field that holds the time',
      [":event_time { fild = 'ts' }"] = "event_time has no option 'fild' (did you mean 'field'?)",
      [":event_time { field = 'ts', unit = 'min' }"] = "event_time: option 'unit' is one of 's', 'ms', 'us', 'ns', 'iso8601', got 'min'",
      [":event_time { field = 'ts', out_of_order = 5 }"] = "event_time: 'out_of_order': a duration needs a unit",
      [":event_time { field = 'ts', out_of_order = '-5s' }"] = "event_time: 'out_of_order' is not negative, got '-5s'",
      [":event_time { field = 'ts', lateness = '5s' }"] = "event_time has no option 'lateness'",
      [":processing_time '5s'"] = 'processing_time takes nothing',
      [":schema { ts = 'time_s' }:event_time { field = 'ts' }"] = "event_time reads field 'ts' in 'ms', which :schema declares time_s",
    } do
      local r = h.run({ 'run', '-e', 'stream' .. code }, '')
      assert.equal(3, r.code, code)
      assert.truthy(r.err:find('-e:1: ' .. message, 1, true) or r.err:find(message, 1, true), r.err)
    end
  end)
end)
