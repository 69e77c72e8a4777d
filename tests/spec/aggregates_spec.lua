--[[
aggregates_spec.lua - all of tm.agg through the program: what they are, by Python's statistics, decimal and collections and by
sqlite3; that order does not matter; times, types and mistakes; roll-back; the JIT on and off. Merging and taking back are tried in
unit/aggregates.lua.
]]

local h = require 'spec.helper'

local function python(program, text)
  local r = h.shell('python3 -c ' .. h.quote(program), text)
  assert.equal(0, r.code, r.err)
  return r.out
end

local FINAL = ", { emit = 'final', unbounded = true })"

--- The row at the end of input, and its text.
local function final(aggregates, lines, before, ...)
  local out, r = h.e('stream' .. (before or '') .. ":running('r', { " .. aggregates .. ' }' .. FINAL, lines, ...)
  assert.equal('', r.err)
  return h.rows(out)[1], out
end

local function shuffled(list)
  local out = {}
  for i, v in ipairs(list) do
    local j = math.random(i)
    out[i] = out[j]
    out[j] = v
  end
  return out
end

local TIMED = ":event_time { field = 'ts', unit = 's' }"

describe('var and stddev', function()
  it("are those of Python's statistics to the last digit, whatever the order", function()
    math.randomseed(4)
    for _, make in ipairs {
      function() return ('%d'):format(math.random(-50, 50)) end,
      function() return ('%.2f'):format(math.random() * 1e4) end,
      function() return ('%.17g'):format(1e9 + math.random()) end,
      function() return ('%.17e'):format((math.random() - 0.5) * 10 ^ math.random(-30, 30)) end,
    } do
      local texts, lines = {}, {}
      for i = 1, 400 do
        texts[i] = make()
        lines[i] = '{"v":' .. texts[i] .. '}'
      end
      local expected = python([[
import sys, statistics as s
v = [float(l) for l in sys.stdin]
print(repr(float(s.variance(v))), repr(s.stdev(v)), repr(float(s.fmean(v))))]], table.concat(texts, '\n'))
      local v, sd = expected:match '(%S+) (%S+)'
      local row, text = final("v = tm.agg.var 'v', s = tm.agg.stddev 'v', a = tm.agg.avg 'v', t = tm.agg.sum 'v'", lines)
      assert.equal(tonumber(v), row.v)
      assert.equal(tonumber(sd), row.s)
      for _ = 1, 3 do
        local _, again = final("v = tm.agg.var 'v', s = tm.agg.stddev 'v', a = tm.agg.avg 'v', t = tm.agg.sum 'v'", shuffled(lines))
        assert.equal(text, again)
      end
    end
  end)

  it('are null below two values', function()
    assert.same({ v = h.null, s = h.null }, (final("v = tm.agg.var 'v', s = tm.agg.stddev 'v'", { '{"v":1}', '{"v":null}' })))
  end)

  it('of decimals and int64 are exact', function()
    local texts, lines = {}, {}
    for i = 1, 300 do
      texts[i] = ('%d.%02d'):format(math.random(0, 1e9), math.random(0, 99))
      lines[i] = '{"v":' .. texts[i] .. '}'
    end
    local expected = python([[
import sys
from fractions import Fraction as F
v = [F(l.strip()) for l in sys.stdin]
m = sum(v) / len(v)
print(repr(float(m)), repr(float(sum((x - m) ** 2 for x in v) / (len(v) - 1))))]], table.concat(texts, '\n'))
    local a, v = expected:match '(%S+) (%S+)'
    local row = final("a = tm.agg.avg 'v', w = tm.agg.var 'v'", lines, ":schema { v = 'decimal(2)' }")
    assert.equal(tonumber(a), row.a)
    assert.equal(tonumber(v), row.w)
    row = final("a = tm.agg.avg 'v', w = tm.agg.var 'v', s = tm.agg.stddev 'v', t = tm.agg.top(2, 'v'), d = tm.agg.distinct 'v'",
      { '{"v":9223372036854775807}', '{"v":9223372036854775805}', '{"v":-3}', '{"v":"-3"}', '{"v":10}' }, ":schema { v = 'int64' }")
    -- python3: statistics on fractions of the same integers
    assert.equal(tonumber(python 'print(repr(float((2**63-1 + 2**63-3 - 3 - 3 + 10) / 5)))'), row.a)
    assert.equal(tonumber(python [[
from fractions import Fraction as F
v = [F(x) for x in (2**63-1, 2**63-3, -3, -3, 10)]
m = sum(v) / 5
print(repr(float(sum((x - m) ** 2 for x in v) / 4)))]]), row.w)
    assert.same({ '9223372036854775807', '9223372036854775805' }, row.t)
    assert.equal(4, row.d)
  end)
end)

describe('sums', function()
  it('beyond what two doubles hold are exact, and do not overflow on the way', function()
    local texts = { '1e308', '1e308', '0.1', '1e-300', '-1e308', '5e-324', '-1e308', '1e100', '3', '-1e100', '-0.1' }
    local lines = {}
    for i, t in ipairs(texts) do lines[i] = '{"v":' .. t .. '}' end
    local expected = tonumber(python([[
import sys
from fractions import Fraction as F
print(repr(float(sum(F(float(l)) for l in sys.stdin))))]], table.concat(texts, '\n')))
    for _ = 1, 5 do assert.equal(expected, final("s = tm.agg.sum 'v'", shuffled(lines)).s) end
  end)

  it('of decimals beyond 2^53 leave as their digits', function()
    local lines = {}
    for i = 1, 2001 do lines[i] = '{"v":9999999999999.99}' end
    local _, out = final("s = tm.agg.sum 'v'", lines, ":schema { v = 'decimal(2)' }")
    local exact = python 'from decimal import Decimal as D; print(format((D("9999999999999.99") * 2001).normalize(), "f"), end="")'
    assert.equal('{"s":' .. exact .. '}\n', out)
  end)

  it('take no NaN and no infinity', function()
    local out, r = h.e("stream:set { v = function(e) return e.n == 1 and 0 / 0 or e.n == 2 and 1 / 0 or e.n end }:running('r', " ..
      "{ s = tm.agg.sum 'v', d = tm.agg.stddev 'v' }, { unbounded = true })", { '{"n":1}', '{"n":2}', '{"n":3}' })
    assert.equal('{"d":null,"s":3}\n', out)
    assert.truthy(r.err:find("stddev takes finite numbers, but field 'v' holds NaN", 1, true), r.err)
  end)
end)

describe('by event time', function()
  local lines = {}
  math.randomseed(8)
  for i = 1, 200 do lines[i] = ('{"ts":%d,"v":%d,"id":%d}'):format(math.random(60), math.random(9), i) end
  local expected = h.decode((python([==[
import sys, json
e = [json.loads(l) for l in sys.stdin]
t = sorted(e, key=lambda x: x["ts"])
hi = max(e, key=lambda x: (x["v"], -x["ts"], -x["id"])); lo = min(e, key=lambda x: (x["v"], x["ts"], x["id"]))
print(json.dumps({"first": t[0]["id"], "last": t[-1]["id"], "hi": hi["id"], "lo": {"id": lo["id"], "ts": lo["ts"]}, "all": hi,
  "ids": [x["id"] for x in t[-20:]], "events": t[-2:]}))]==], table.concat(lines, '\n'))))

  it('first, last, argmin, argmax and collect go', function()
    local row = final("first = tm.agg.first 'id', last = tm.agg.last 'id', hi = tm.agg.argmax('v', 'id'), " ..
      "lo = tm.agg.argmin('v', { 'id', 'ts', 'none' }), all = tm.agg.argmax 'v', ids = tm.agg.collect('id', { max = 20 }), " ..
      'events = tm.agg.collect { max = 2 }', lines, TIMED)
    assert.same(expected, row)
  end)

  it('without one by arrival', function()
    local row = final("f = tm.agg.first 'id', l = tm.agg.last 'id', c = tm.agg.collect('id', { max = 3 })", lines)
    assert.same({ f = 1, l = 200, c = { 198, 199, 200 } }, row)
  end)

  it('ewma weighs', function()
    local want = tonumber(python([[
import sys, json
e = [json.loads(l) for l in sys.stdin]
w = [2 ** (x["ts"] / 10) for x in e]
print(repr(sum(x["v"] * y for x, y in zip(e, w)) / sum(w)))]], table.concat(lines, '\n')))
    local got = final("m = tm.agg.ewma('v', { half_life = '10s' })", lines, TIMED).m
    assert.is_true(math.abs(got - want) < 1e-12, got .. ' ' .. want)
    local r = h.run { 'check', '-e', "stream:running('r', { m = tm.agg.ewma('v', { half_life = '10s' }) }, { unbounded = true })" }
    assert.equal(3, r.code)
    assert.truthy(r.err:find("'m': tm.agg.ewma needs event time", 1, true), r.err)
  end)
end)

describe('argmax', function()
  it('gives the event with its bytes, and values of any type', function()
    local _, out = final("e = tm.agg.argmax 'v', o = tm.agg.argmax('v', 'o'), n = tm.agg.argmin('v', 'none')",
      { '{"v":1,"o":[1]}', '{"v":  2.50,"o":{"b":1,"a":null},"z":1e2}' })
    assert.equal('{"e":{"v":  2.50,"o":{"b":1,"a":null},"z":1e2},"n":null,"o":{"b":1,"a":null}}\n', out)
  end)

  it('ranks texts by byte', function()
    local row = final("x = tm.agg.argmax('v', 'id'), y = tm.agg.argmin('v', 'id')",
      { '{"v":"b","id":1}', '{"v":"é","id":2}', '{"v":"B","id":3}' })
    assert.same({ x = 2, y = 3 }, row)
  end)
end)

describe('distinct', function()
  it('agrees with sqlite3, approximately below 3,000 values too', function()
    math.randomseed(5)
    local lines, values = {}, {}
    for i = 1, 20000 do
      local k, v = 'k' .. math.random(40), math.floor(2000 ^ math.random())
      lines[i] = ('{"k":"%s","v":%d}'):format(k, v)
      values[i] = ("('%s',%d,%d)"):format(k, v, i)
    end
    local sql = { 'create table t(k text, v integer, i integer);' }
    for i = 1, #values, 400 do
      sql[#sql + 1] = 'insert into t values ' .. table.concat(values, ',', i, math.min(i + 399, #values)) .. ';'
    end
    sql[#sql + 1] = 'select k, count(distinct v) from t group by k order by min(i);'
    local out = h.e("stream:key_by 'k':running('r', { d = tm.agg.distinct 'v', a = tm.agg.approx_distinct 'v' }" .. FINAL, lines)
    local got, about = {}, {}
    for i, row in ipairs(h.rows(out)) do got[i], about[i] = row.k .. '|' .. row.d, row.k .. '|' .. row.a end
    local expected = h.shell('sqlite3 :memory:', table.concat(sql, '\n')).out
    assert.equal(expected, table.concat(got, '\n') .. '\n')
    assert.equal(expected, table.concat(about, '\n') .. '\n')
  end)

  it('keeps types apart, as approx_distinct does', function()
    local lines = { '{"v":1}', '{"v":"1"}', '{"v":1.0}', '{"v":true}', '{"v":"true"}', '{"v":0}',
      '{"v":-0.0}', '{"v":null}', '{"v":false}' }
    assert.same({ d = 6, a = 6 }, (final("d = tm.agg.distinct 'v', a = tm.agg.approx_distinct 'v'", lines)))
  end)

  it('fails an event with a value more than max', function()
    local out, r = h.e("stream:running('r', { d = tm.agg.distinct('v', { max = 2 }) }, { unbounded = true })",
      { '{"v":1}', '{"v":2}', '{"v":3}', '{"v":2}' })
    assert.equal('{"d":1}\n{"d":2}\n{"d":2}\n', out)
    assert.truthy(r.err:find('is full', 1, true), r.err)
  end)

  it('of one field with several conditions agrees with Python, for values of all types, across fails, and where sessions merge', function()
    math.randomseed(11)
    local texts, lines = { '"a"', '"b c"', '"1"', 'true', 'false', 'null', '[1]' }, {}
    for i = 1, 6000 do
      local v = math.random(5) == 1 and texts[math.random(#texts)] or ('%d'):format(math.floor(3000 ^ math.random()))
      -- of disorder up to 12 s, so that sessions are joined by later events; some events stop the last condition
      lines[i] = ('{"k":%d,"ts":%d,"v":%s,"p":%d}'):format(math.random(12), 10 * i + math.random(0, 12000), v,
        math.random(300) == 1 and -1 or math.random(0, 99))
    end
    local list = [[a = tm.agg.distinct 'v', b = tm.agg.distinct('v', { where = low }), c = tm.agg.distinct('v', { where = high }),
      d = tm.agg.distinct('v', { where = low }), e = tm.agg.count { where = low },
      f = tm.agg.distinct('p', { where = function(e) if e.p < 0 then error 'no' end return true end })]]
    local head = [[local tm = require 'tidemill'
local function low(e) return e.p < 30 end
local function high(e) return e.p >= 60 end
return tm.pipeline 'p':event_time { field = 'ts', unit = 'ms', out_of_order = '13s' }:key_by 'k':]]
    local running = h.write(head .. "running('r', { " .. list .. " }, { emit = 'final', max_keys = 100 })", h.path 'running.lua')
    local sessions = h.write(head .. "window('w', tm.window.session '300ms'):aggregate { " .. list .. ' }', h.path 'sessions.lua')
    local expected = python([==[
import sys, json
keys, rows = {}, []
for line in sys.stdin:
  e = json.loads(line)
  if isinstance(e["v"], list) or e["p"] < 0: continue
  keys.setdefault(e["k"], []).append(e)
def row(k, events):
  def distinct(f, test): return len({(type(e[f]), e[f]) for e in events if e[f] is not None and test(e)})
  low, high = (lambda e: e["p"] < 30), (lambda e: e["p"] >= 60)
  return [k, distinct("v", lambda e: True), distinct("v", low), distinct("v", high), distinct("v", low), sum(map(low, events)),
    distinct("p", lambda e: True)]
sessions = []
for k, events in keys.items():
  rows.append(row(k, events))
  part = []
  for e in sorted(events, key = lambda e: e["ts"]):
    if part and e["ts"] - part[-1]["ts"] > 300:
      sessions.append(row(k, part) + [part[0]["ts"]])
      part = []
    part.append(e)
  sessions.append(row(k, part) + [part[0]["ts"]])
print(json.dumps([sorted(rows), sorted(sessions)]))]==], table.concat(lines, '\n') .. '\n')
    local function got(script, bounds)
      local r = h.run({ 'run', '--quiet', script }, table.concat(lines, '\n') .. '\n')
      local rows = {}
      for i, x in ipairs(h.rows(r.out)) do
        rows[i] = { x.k, x.a, x.b, x.c, x.d, x.e, x.f, bounds and x.window_start or nil }
      end
      table.sort(rows, function(x, y) if x[1] ~= y[1] then return x[1] < y[1] end return (x[8] or 0) < (y[8] or 0) end)
      return rows
    end
    local want = h.decode(expected)
    table.sort(want[2], function(x, y) if x[1] ~= y[1] then return x[1] < y[1] end return x[8] < y[8] end)
    assert.same(want[1], got(running))
    assert.same(want[2], got(sessions, true))
    assert.is_true(#want[2] > 12)
  end)
end)

describe('top and heavy_hitters', function()
  it("agree with Python's sorted and Counter", function()
    math.randomseed(6)
    local lines = {}
    for i = 1, 3000 do lines[i] = ('{"v":%d,"w":"%s"}'):format(math.random(1e6), ('abcdefghijklm'):sub(math.random(13)):sub(1, 2)) end
    local expected = h.decode((python([==[
import sys, json, collections
e = [json.loads(l) for l in sys.stdin]
v = sorted(x["v"] for x in e)
c = sorted(collections.Counter(x["w"] for x in e).items(), key=lambda p: (-p[1], p[0]))
print(json.dumps({"t": v[::-1][:7], "b": v[:3], "w": sorted((x["w"] for x in e), reverse=True)[:2],
  "h": [{"count": n, "error": 0, "value": k} for k, n in c[:5]]}))]==], table.concat(lines, '\n'))))
    assert.same(expected, (final("t = tm.agg.top(7, 'v'), b = tm.agg.top(3, 'v', { order = 'asc' }), w = tm.agg.top(2, 'w'), " ..
      "h = tm.agg.heavy_hitters('w', 5)", lines)))
  end)

  it('take values of one type, heavy_hitters of any', function()
    local out, r = h.e("stream:running('r', { t = tm.agg.top(2, 'v') }, { unbounded = true })", { '{"v":1}', '{"v":"a"}', '{"v":2}' })
    assert.equal('{"t":[1]}\n{"t":[2,1]}\n', out)
    assert.truthy(r.err:find("top takes numbers here, as it did before, but field 'v' holds a string", 1, true), r.err)
    local row = final("h = tm.agg.heavy_hitters 'v'", { '{"v":[1]}', '{"v":"[1]"}', '{"v":{"a":1}}', '{"v":[1]}' })
    assert.same({ count = 2, error = 0, value = { 1 } }, row.h[1])
    assert.equal(3, #row.h)
  end)
end)

describe('custom', function()
  it('keeps what its functions return', function()
    local out = h.e([[stream:key_by 'k':running('r', { x = tm.agg.custom { init = function() return { n = 0, seen = {} } end,
      add = function(acc, e) acc.n = acc.n + e.v acc.seen[#acc.seen + 1] = e.v return acc end,
      result = function(acc) return { total = acc.n, seen = acc.seen } end, where = function(e) return e.v ~= 3 end } },
      { unbounded = true })]], { '{"k":1,"v":1}', '{"k":2,"v":5}', '{"k":1,"v":3}', '{"k":1,"v":4}' })
    assert.equal('{"k":1,"x":{"seen":[1],"total":1}}\n{"k":2,"x":{"seen":[5],"total":5}}\n{"k":1,"x":{"seen":[1],"total":1}}\n' ..
      '{"k":1,"x":{"seen":[1,4],"total":5}}\n', out)
  end)

  it('a table given as init is never shared', function()
    local out = h.e([[stream:key_by 'k':running('r', { x = tm.agg.custom { init = { n = 0 },
      add = function(acc, e) acc.n = acc.n + 1 return acc end } }, { unbounded = true })]], { '{"k":1}', '{"k":2}', '{"k":1}' })
    assert.equal('{"k":1,"x":{"n":1}}\n{"k":2,"x":{"n":1}}\n{"k":1,"x":{"n":2}}\n', out)
  end)

  it('says what is wrong with them', function()
    local function err(add)
      return h.run({ 'run', '-e', "stream:running('r', { x = tm.agg.custom { init = 0, add = " .. add .. ' } }, { unbounded = true })' },
        '{"v":1}\n').err
    end
    assert.truthy(err('function() end'):find("'x': add of tm.agg.custom returned nil; it returns the accumulator", 1, true))
    assert.truthy(err('function() return print end'):find("the accumulator of 'x' cannot hold a function", 1, true))
  end)
end)

describe('names', function()
  it('of fields may hold anything', function()
    local row = final([=[a = tm.agg.sum 'a@b', b = tm.agg.argmax('a@b', 'F1F'), c = tm.agg.last '#t@', d = tm.agg.max 'x" y',
      e = tm.agg.argmin('a@b', { '#z@', '@' })]=], { '{"a@b":1,"F1F":2,"#t@":3,"x\\" y":4,"#z@":5,"@":6}' })
    assert.same({ a = 1, b = 2, c = 3, d = 4, e = { ['#z@'] = 5, ['@'] = 6 } }, row)
  end)

  it('may be a hundred, each with its function', function()
    local given = {}
    for i = 1, 100 do given[i] = ("a%d = tm.agg.sum('v', { where = function(e) return e.v > %d end })"):format(i, i) end
    local row = final(table.concat(given, ', '), { '{"v":50}', '{"v":90}' })
    for i = 1, 100 do assert.equal((i < 50 and 50 or 0) + (i < 90 and 90 or 0), row['a' .. i]) end
    local r = h.run { 'check', '-e', "stream:running('r', { " .. table.concat(given, ', ') ..
      ', b = tm.agg.count() }, { unbounded = true })' }
    assert.equal(3, r.code)
    assert.truthy(r.err:find('running takes at most 100 aggregates, got 101', 1, true), r.err)
  end)
end)

describe('a failing event', function()
  local EVERY = [[a = tm.agg.count(), b = tm.agg.sum 'v', c = tm.agg.avg 'v', d = tm.agg.var 'v', e = tm.agg.stddev 'v', f = tm.agg.min 'v',
    g = tm.agg.max 'v', h = tm.agg.first 'w', i = tm.agg.last 'w', j = tm.agg.argmin('v', 'w'), x = tm.agg.argmax 'v',
    l = tm.agg.collect('w', { max = 5 }), m = tm.agg.distinct 'v', n = tm.agg.approx_distinct 'v', o = tm.agg.quantile('v', 0.5),
    p = tm.agg.top(3, 'v'), q = tm.agg.heavy_hitters('v', 2, { counters = 3 }), r = tm.agg.ewma('v', { half_life = '1m' }),
    s = tm.agg.custom { init = '', add = function(acc, e) return (acc .. e.w):sub(-20) end },
    z = tm.agg.count { where = function(e) if e.bad == 1 then error 'where' end return true end }]]
  local good, all = {}, {}
  math.randomseed(12)
  for i = 1, 600 do
    local bad = math.random(0, 3)
    local line = ('{"id":%d,"k":%d,"ts":%d,"v":%.17e,"w":"%s","bad":%d}'):format(i, math.random(3), math.random(900),
      (math.random() - 0.3) * 10 ^ math.random(-20, 20), ('x'):rep(math.random(9)) .. i, bad)
    if bad ~= 1 and bad ~= 2 then good[#good + 1] = line end
    all[i] = line
  end
  local CHAIN = "stream" .. TIMED .. ":key_by 'k':running('r', { bad = tm.agg.argmax('id', 'bad'), " .. EVERY .. " }, { max_keys = 2 })" ..
    ":set { nan = function(e) if e.bad == 2 then return 0 / 0 end end }"

  it('leaves nothing behind in any aggregate: its where fails, or a NaN is found behind it', function()
    local out, r = h.e(CHAIN, good)
    assert.equal('', r.err)
    assert.equal(#good, #h.lines(out))
    assert.equal(out, (h.e(CHAIN, all)))
  end)

  it('and the rows are the same with the JIT off', function()
    assert.equal((h.e(CHAIN, all)), (h.e(CHAIN, all, '--no-jit')))
  end)

  it('state get shows what the last rows did', function()
    local input = h.write(table.concat(good, '\n') .. '\n')
    local code = CHAIN:gsub('max_keys = 2', 'unbounded = true'):gsub(':set.*$', '')
    local last = {}
    for _, line in ipairs(h.lines((h.e(code, good)))) do last[line:match '"k":(%d)'] = h.decode(line) end
    local r = h.run { 'state', 'get', 'r', '--from', input, '-e', code }
    assert.equal(0, r.code, r.err)
    local rows = h.rows(r.out)
    assert.equal(3, #rows)
    for _, row in ipairs(rows) do assert.same(last[tostring(row.k)], row) end
  end)
end)

describe('mistakes', function()
  for _, case in ipairs {
    { "tm.agg.sum()", "tm.agg.sum takes the name of a field: tm.agg.sum 'amount'; got nil" },
    { "tm.agg.sum('v', { where = 1 })", "tm.agg.sum: option 'where' takes a function(e), got" },
    { "tm.agg.quantile('v', 95)", 'tm.agg.quantile takes a share from 0 to 1' },
    { "tm.agg.quantile('v', 0.5, { error = 2 })", "option 'error' is a share from 0.001 to 0.5" },
    { "tm.agg.quantile('v', 0.5, { eror = 0.1 })", "tm.agg.quantile has no option 'eror' (did you mean 'error'?)" },
    { "tm.agg.top('v', 3)", "takes how many values, from 1 to 10000, and a field: tm.agg.top(3, 'amount')" },
    { "tm.agg.top(3, 'v', { order = 'up' })", "option 'order' is one of 'desc', 'asc'" },
    { "tm.agg.collect('v', { max = 0 })", "option 'max' is a whole number from 1 to 100000" },
    { "tm.agg.approx_distinct('v', { precision = 30 })", "option 'precision' is a whole number from 8 to 16" },
    { "tm.agg.heavy_hitters('v', 0)", 'takes how many values, from 1 to 1000' },
    { "tm.agg.heavy_hitters('v', 50, { counters = 10 })", "option 'counters' is a whole number from 50 to 10000" },
    { "tm.agg.ewma 'v'", "needs a half-life: tm.agg.ewma('amount', { half_life = '5m' })" },
    { "tm.agg.ewma('v', { half_life = 5 })", "option 'half_life' is a duration above 0 such as '5m'" },
    { "tm.agg.argmax('v', 5)", 'picks a field, a list of fields or nothing' },
    { "tm.agg.custom { add = function(a) return a end }", 'needs init' },
    { "tm.agg.custom { init = 0 }", 'needs add = function(acc, e)' },
    { "tm.agg.custom { init = 0, add = function(a) return a end, merge = 1 }", "option 'merge' takes a function" },
    { "tm.agg.stdev 'v'", "tm.agg has no 'stdev' (did you mean 'stddev'?)" },
  } do
    it(case[1] .. ' is told', function()
      local r = h.run { 'check', '-e', "stream:running('r', { x = " .. case[1] .. ' }, { unbounded = true })' }
      assert.equal(3, r.code)
      assert.truthy(r.err:find('-e:1: ', 1, true), r.err)
      assert.truthy(r.err:find(case[2], 1, true), r.err)
    end)
  end

  it('of types name both', function()
    for _, case in ipairs { { "var 'v'", '"x"', 'var takes numbers', 'a string' },
      { "quantile('v', 0.5)", 'true', 'quantile takes finite numbers', 'a boolean' },
      { "distinct 'v'", '[1]', 'distinct takes numbers, texts and booleans', 'a table' },
      { "argmax 'v'", '{}', 'argmax takes numbers or texts', 'an object' },
      { "approx_distinct 'v'", '{}', 'approx_distinct takes numbers, texts and booleans', 'an object' } } do
      local r = h.run({ 'run', '-e', "stream:running('r', { x = tm.agg." .. case[1] .. ' }, { unbounded = true })' },
        '{"v":' .. case[2] .. '}\n')
      assert.truthy(r.err:find(("'x': %s, but field 'v' holds %s"):format(case[3], case[4]), 1, true), r.err)
    end
  end)
end)

describe('in windows', function()
  it('they start anew in each, sets and texts too', function()
    local out = h.e("stream" .. TIMED .. ":window('w', tm.window.tumbling '10s'):aggregate { d = tm.agg.distinct 'v', " ..
      "s = tm.agg.stddev 'v', c = tm.agg.collect 'v', f = tm.agg.first 'v', t = tm.agg.sum 'v' }",
      { '{"ts":3,"v":4}', '{"ts":1,"v":2}', '{"ts":3,"v":4}', '{"ts":9,"v":9}', '{"ts":10,"v":9}' })
    -- python3: statistics.stdev([2, 4, 4, 9])
    assert.same({ { d = 3, s = 2.9860788111948193, c = { 2, 4, 4, 9 }, f = 2, t = 19, window_start = 0, window_end = 10000 },
      { d = 1, s = h.null, c = { 9 }, f = 9, t = 9, window_start = 10000, window_end = 20000 } }, h.rows(out))
  end)
end)
