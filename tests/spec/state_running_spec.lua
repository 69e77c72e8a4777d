--[[
state_running_spec.lua - running aggregates: what they are, exactly, by sqlite3 and Python's fractions and decimals; keys and
their types; bounds; roll-back of failing events.
]]

local h = require 'spec.helper'

local function run(code, input, ...)
  local out, r = h.e(code, input, ...)
  return h.rows(out), r
end

local AGGREGATES = [[{ n = tm.agg.count(), s = tm.agg.sum 'v', a = tm.agg.avg 'v', lo = tm.agg.min 'v', hi = tm.agg.max 'v',
  f = tm.agg.first 'v', l = tm.agg.last 'v' }]]

describe('running', function()
  it('sends a row after each event: the key, the aggregates', function()
    local rows, r = run("stream:key_by 'k':running('r', " .. AGGREGATES .. ', { max_keys = 10 })',
      { '{"k":"a","v":2}', '{"k":"b","v":-1}', '{"k":"a","v":3.5}', '{"k":"a"}', '{"k":"a","v":null}' })
    assert.equal('', r.err)
    assert.same({
      { k = 'a', n = 1, s = 2, a = 2, lo = 2, hi = 2, f = 2, l = 2 },
      { k = 'b', n = 1, s = -1, a = -1, lo = -1, hi = -1, f = -1, l = -1 },
      { k = 'a', n = 2, s = 5.5, a = 2.75, lo = 2, hi = 3.5, f = 2, l = 3.5 },
      { k = 'a', n = 3, s = 5.5, a = 2.75, lo = 2, hi = 3.5, f = 2, l = 3.5 },
      { k = 'a', n = 4, s = 5.5, a = 2.75, lo = 2, hi = 3.5, f = 2, l = 3.5 },
    }, rows)
  end)

  it('of nothing is null, but for count and sum', function()
    local rows = run("stream:running('r', " .. AGGREGATES .. ', { unbounded = true })', { '{"v":null}' })
    assert.same({ { n = 1, s = 0, a = h.null, lo = h.null, hi = h.null, f = h.null, l = h.null } }, rows)
  end)

  it("with emit = 'final' gives one row a key at the end, in order of the keys' first arrival", function()
    local rows = run("stream:key_by 'k':running('r', { n = tm.agg.count() }, { emit = 'final', unbounded = true })" ..
      ":filter(function(e) return e.n > 1 end):set { twice = function(e) return e.n * 2 end }",
      { '{"k":"z"}', '{"k":"a"}', '{"k":7}', '{"k":"a"}', '{"k":false}', '{"k":"z"}', '{"k":"m"}', '{"k":false}' })
    assert.same({ { k = 'z', n = 2, twice = 4 }, { k = 'a', n = 2, twice = 4 }, { k = false, n = 2, twice = 4 } }, rows)
  end)

  it('agrees with sqlite3 on random events, whatever the batches', function()
    math.randomseed(11)
    local lines, values = {}, {}
    for i = 1, 30000 do
      local k, v = 'k' .. math.random(700), math.random(-5000, 5000)
      lines[i] = ('{"k":"%s","v":%d}'):format(k, v)
      values[i] = ("('%s',%d,%d)"):format(k, v, i)
    end
    local sql = { 'create table t(k text, v integer, i integer);' }
    for i = 1, #values, 400 do
      sql[#sql + 1] = 'insert into t values ' .. table.concat(values, ',', i, math.min(i + 399, #values)) .. ';'
    end
    sql[#sql + 1] = "select k, count(*), sum(v), min(v), max(v) from t group by k order by min(i);"
    local expected = h.shell('sqlite3 :memory:', table.concat(sql, '\n')).out
    local rows = run("stream:key_by 'k':running('r', { n = tm.agg.count(), s = tm.agg.sum 'v', " ..
      "lo = tm.agg.min 'v', hi = tm.agg.max 'v' }, { emit = 'final', unbounded = true })", lines)
    local got = {}
    for i, row in ipairs(rows) do got[i] = ('%s|%d|%d|%d|%d'):format(row.k, row.n, row.s, row.lo, row.hi) end
    assert.equal(expected, table.concat(got, '\n') .. '\n')
  end)

  it('counts only where the function is true', function()
    local rows = run("stream:running('r', { n = tm.agg.count { where = function(e) return e.v > 1 end }, " ..
      "s = tm.agg.sum('v', { where = function(e) return e.ok end }) }, { unbounded = true, emit = 'final' })",
      { '{"v":1,"ok":true}', '{"v":2,"ok":false}', '{"v":3,"ok":true}' })
    assert.same({ { n = 2, s = 4 } }, rows)
  end)

  it('goes through what comes behind, forks and links included', function()
    local out = h.path 'linked'
    local path = h.write(([[local tm = require 'tidemill'
      local sums = tm.pipeline 'sums':key_by 'k':running('r', { s = tm.agg.sum 'v' }, { emit = 'final', unbounded = true })
      return { sums:to(tm.sink.discard()), tm.pipeline 'top':from(sums):running('t', { hi = tm.agg.max 's', n = tm.agg.count() },
        { emit = 'final', unbounded = true }):to(tm.sink.file '%s') }]]):format(out))
    local r = h.run { 'run', path, '--from', h.write '{"k":1,"v":2}\n{"k":2,"v":9}\n{"k":1,"v":5}\n' }
    assert.equal(0, r.code, r.err)
    assert.same({ { hi = 9, n = 2 } }, h.rows(h.read(out)))
  end)
end)

describe('sums', function()
  it('of integers are exact, whatever their order and size', function()
    local lines, texts = {}, { '9007199254740992', '9007199254740991', '-9007199254740992', '1', '3', '-1' }
    math.randomseed(3)
    for i = 1, 5000 do lines[i] = texts[math.random(#texts)] end
    local expected = h.shell('python3 -c "import sys; print(sum(int(l) for l in sys.stdin))"', table.concat(lines, '\n')).out
    local input = {}
    for i, v in ipairs(lines) do input[i] = '{"v":' .. v .. '}' end
    local out = h.e("stream:running('r', { s = tm.agg.sum 'v' }, { emit = 'final', unbounded = true })", input)
    assert.equal('{"s":' .. expected:gsub('\n', '') .. '}\n', out)
  end)

  it('of int64 fields are exact beyond 64 bits', function()
    local out = h.e("stream:schema { v = 'int64' }:running('r', { s = tm.agg.sum 'v', lo = tm.agg.min 'v', hi = tm.agg.max 'v' }, " ..
      "{ emit = 'final', unbounded = true })", { '{"v":9223372036854775807}', '{"v":9223372036854775807}', '{"v":-5}', '{"v":12}' })
    assert.equal('{"hi":"9223372036854775807","lo":"-5","s":18446744073709551621}\n', out)
  end)

  it('of decimals are exact', function()
    local lines = {}
    for i = 1, 1000 do lines[i] = '{"v":0.10}' end
    local out = h.e("stream:schema { v = 'decimal(2)' }:running('r', { s = tm.agg.sum 'v', a = tm.agg.avg 'v' }, " ..
      "{ emit = 'final', unbounded = true })", lines)
    assert.equal('{"a":0.1,"s":100}\n', out)
  end)

  it('of other numbers are as good as exact sums rounded once', function()
    math.randomseed(9)
    local lines, texts = {}, {}
    for i = 1, 5000 do
      texts[i] = ('%.17g'):format((math.random() - 0.5) * 10 ^ math.random(-8, 8))
      lines[i] = '{"v":' .. texts[i] .. '}'
    end
    local expected = h.shell('python3 -c "import sys, math; print(repr(math.fsum(float(l) for l in sys.stdin)))"',
      table.concat(texts, '\n')).out
    local rows = run("stream:running('r', { s = tm.agg.sum 'v' }, { emit = 'final', unbounded = true })", lines)
    assert.equal(tonumber(expected), rows[1].s)
  end)

  it('fail the event for another type, and only it', function()
    local rows, r = run("stream:running('r', { s = tm.agg.sum 'v', n = tm.agg.count() }, { unbounded = true })",
      { '{"v":1}', '{"v":"2"}', '{"v":3}', '{"v":{"x":1}}' })
    assert.same({ { n = 1, s = 1 }, { n = 2, s = 4 } }, rows)
    assert.truthy(r.err:find("'s': sum takes numbers, but field 'v' holds a string", 1, true), r.err)
    r = select(2, run("stream:running('r', { s = tm.agg.sum 'v' }, { unbounded = true })", { '{"v":{"x":1}}' }))
    assert.truthy(r.err:find("'s': sum takes numbers, but field 'v' holds an object", 1, true), r.err)
  end)
end)

describe('min and max', function()
  it('compare strings by byte, and fail a mix', function()
    local rows, r = run("stream:running('r', { lo = tm.agg.min 'v', hi = tm.agg.max 'v' }, { unbounded = true })",
      { '{"v":"b"}', '{"v":"B"}', '{"v":"é"}', '{"v":1}', '{"v":true}' })
    assert.same({ { lo = 'b', hi = 'b' }, { lo = 'B', hi = 'b' }, { lo = 'B', hi = 'é' } }, rows)
    assert.truthy(r.err:find('max takes texts here, as it did before', 1, true), r.err)
  end)
end)

describe('first and last', function()
  it('keep values of any type', function()
    local out = h.e("stream:running('r', { f = tm.agg.first 'v', l = tm.agg.last 'v' }, { unbounded = true })",
      { '{"v":[1,{"x":null}]}', '{"v":{"b":1,"a":2}}', '{"v":"t"}', '{"v":false}', '{"v":1.5}' })
    assert.same({
      '{"f":[1,{"x":null}],"l":[1,{"x":null}]}', '{"f":[1,{"x":null}],"l":{"b":1,"a":2}}', '{"f":[1,{"x":null}],"l":"t"}',
      '{"f":[1,{"x":null}],"l":false}', '{"f":[1,{"x":null}],"l":1.5}',
    }, h.lines(out))
  end)
end)

describe('keys', function()
  it('keep their type; equal numbers are equal', function()
    local rows = run("stream:key_by('k', { missing = 'keep' }):running('r', { n = tm.agg.count() }, { emit = 'final', unbounded = true })",
      { '{"k":1}', '{"k":"1"}', '{"k":1.0}', '{"k":true}', '{"k":1e0}', '{"x":1}', '{"k":null}', '{"k":-0}', '{"k":0}', '{"k":"\\u0031"}' })
    assert.same({ { k = 1, n = 3 }, { k = '1', n = 2 }, { k = true, n = 1 }, { n = 2 }, { k = 0, n = 2 } }, rows)
  end)

  it('are the value at that step, also when the field is changed behind it', function()
    local rows = run("stream:key_by 'k':set { k = 'other' }:running('r', { n = tm.agg.count(), l = tm.agg.last 'k' }, " ..
      "{ unbounded = true })",
      { '{"k":"a"}', '{"k":"b"}', '{"k":"a"}' })
    assert.same({ { k = 'a', n = 1, l = 'other' }, { k = 'b', n = 1, l = 'other' }, { k = 'a', n = 2, l = 'other' } }, rows)
  end)

  it('may be written before, be several, or come of a function', function()
    local rows = run("stream:set { k = function(e) return e.k:sub(1, 1) end }:key_by { 'k', 'c' }" ..
      ":running('r', { n = tm.agg.count() }, { unbounded = true })",
      { '{"k":"ax","c":1}', '{"k":"ay","c":1}', '{"k":"ay","c":2}' })
    assert.same({ { k = 'a', c = 1, n = 1 }, { k = 'a', c = 1, n = 2 }, { k = 'a', c = 2, n = 1 } }, rows)
    rows = run("stream:key_by(function(e) return e.v % 2 end, 'odd'):running('r', { n = tm.agg.count() }, " ..
      "{ unbounded = true, emit = 'final' })",
      { '{"v":1}', '{"v":2}', '{"v":3}' })
    assert.same({ { odd = 1, n = 2 }, { odd = 0, n = 1 } }, rows)
  end)

  it('of several fields, written or as they came, of any kind and escaped, are what Python groups by', function()
    local cases, want = h.path 'keys.ndjson', h.path 'keys.rows'
    local made = h.shell(('python3 %s %s %s'):format(h.write [==[
import json, random, sys
r = random.Random(4)
events, rows, counts = open(sys.argv[1], "w"), open(sys.argv[2], "w"), {}
values = ["x", "", "a\"\\\u0001", "\u00e9\u65e5", "long " * 60, 0, -0.0, 7, 7.0, 2.5, -3, 1e300, True, False]
for i in range(3000):
  e = {"a": r.choice(values), "b": r.choice(values), "w": r.randrange(4), "i": i}
  events.write(json.dumps(e, ensure_ascii=r.random() < 0.5) + "\n")
  b = e["b"] if e["w"] == 0 else "w%d" % e["w"] if e["w"] < 3 else r"q\"q"
  key = (type(e["a"]) is bool, type(e["a"]) is str, e["a"], type(b) is bool, type(b) is str, b)
  counts[key] = counts.get(key, 0) + 1
  rows.write(json.dumps({"a": e["a"], "b": b, "n": counts[key]}) + "\n")
]==], cases, want))
    assert.equal(0, made.code, made.err)
    want = h.rows(h.read(want))
    for _, way in ipairs { ":running('r', { n = tm.agg.count() }, { max_keys = 1000 })",
      ":running('r', { n = tm.agg.count() }, { max_keys = 1000 }):map(function(e) return e end)" } do
      local r = h.run { 'run', '--quiet', '--from', cases, '-e', [==[stream
        :set { b = function(e) if e.w == 0 then return e.b elseif e.w < 3 then return 'w' .. e.w end return [[q\"q]] end }
        :key_by { 'a', 'b' }]==] .. way }
      assert.equal('', r.err)
      assert.same(want, h.rows(r.out))
    end
  end)

  it('of several fields are told in dead letters and in tm.meta, also where no string was made of them', function()
    local out = h.e([[stream:set { b = function(e) return e.i .. '-' end }:key_by { 'a', 'b' }
      :running('r', { n = tm.agg.count { where = function(e)
        local key = tm.meta(e).key
        e.b = nil
        if e.i == 2 then error(key.a .. ' ' .. key.b) end
        return true end } }, { max_keys = 9 }):on_error(tm.sink.stdout())]], { '{"a":"x\\ny","i":1}', '{"a":"x\\ny","i":2}' })
    local rows = h.rows(out)
    assert.same({ a = 'x\ny', b = '1-', n = 1 }, rows[1])
    assert.same({ a = 'x\ny', b = '2-' }, rows[2].key)
    assert.truthy(rows[2].reason:find 'x\ny 2%-')
  end)

  it('go with the rows that flat_map makes', function()
    local rows = run("stream:key_by 'k':flat_map(function(e, emit) emit { v = e.v } emit { v = 10 } end)" ..
      ":running('r', { s = tm.agg.sum 'v' }, { unbounded = true })",
      { '{"k":"a","v":1}', '{"k":"b","v":2}' })
    assert.same({ { k = 'a', s = 1 }, { k = 'a', s = 11 }, { k = 'b', s = 2 }, { k = 'b', s = 12 } }, rows)
  end)
end)

describe('names', function()
  it('of aggregates may not be those of key fields, nor those of states twice', function()
    local r = h.run({ 'run', '-e', "stream:key_by 'k':running('r', { k = tm.agg.count() }, { max_keys = 1 })" }, '')
    assert.equal(3, r.code)
    assert.truthy(r.err:find("running: 'k' is the name of a key field and of an aggregate", 1, true), r.err)
    r = h.run({ 'run', '-e', "stream:running('r', { n = tm.agg.count() }, { max_keys = 1 })" ..
      ":running('r', { n = tm.agg.count() }, { max_keys = 1 })" }, '')
    assert.equal(3, r.code)
    assert.truthy(r.err:find("the name 'r' is taken by -e:1; state is found by its name", 1, true), r.err)
  end)
end)

describe('bounds', function()
  it('are asked for at load where there is a key', function()
    local r = h.run({ 'run', '-e', "stream:key_by 'k':running('r', { n = tm.agg.count() })" }, '{"k":1}\n')
    assert.equal(3, r.code)
    assert.truthy(r.err:find('running keeps state without a bound; give one of ttl, max_keys, unbounded', 1, true), r.err)
  end)

  it('on_full: the key not written for longest goes, the event fails, or the run ends', function()
    local input = { '{"k":"a"}', '{"k":"b"}', '{"k":"a"}', '{"k":"c"}', '{"k":"a"}', '{"k":"b"}' }
    local function counts(on_full)
      return run(("stream:key_by 'k':running('r', { n = tm.agg.count() }, { max_keys = 2, on_full = '%s' })"):format(on_full), input)
    end
    local function n_of(rows)
      local list = {}
      for i, row in ipairs(rows) do list[i] = row.k .. row.n end
      return table.concat(list, ' ')
    end
    assert.equal('a1 b1 a2 c1 a3 b1', n_of((counts 'oldest')))
    local rows, r = counts 'refuse'
    assert.equal('a1 b1 a2 a3 b2', n_of(rows))
    assert.truthy(r.err:find("state 'e/r' has max_keys keys", 1, true), r.err)
    rows, r = counts 'stop'
    assert.equal(1, r.code)
    assert.truthy(r.err:find("state 'e/r' is full (on_full = 'stop'); the run ends", 1, true), r.err)
    assert.equal('a1 b1 a2', n_of(rows):sub(1, 8))
  end)
end)

describe('roll-back', function()
  it('takes back what a failing event did in every step of its pipeline', function()
    local rows, r = run([[stream:key_by 'k':running('one', { n = tm.agg.count(), t = tm.agg.last 't', bad = tm.agg.last 'bad' },
      { max_keys = 2 })
      :running('two', { n2 = tm.agg.count(), n = tm.agg.last 'n', t = tm.agg.last 't', bad = tm.agg.last 'bad' }, { max_keys = 2 })
      :map(function(e) if e.bad == true then error 'no' end return e end)]],
      { '{"k":"a","t":"x"}', '{"k":"a","t":"much longer text","bad":true}', '{"k":"new","bad":true}', '{"k":"b","t":"y"}',
        '{"k":"third","bad":true}', '{"k":"a","t":"z","bad":false}', '{"k":"b"}' })
    local got = {}
    for i, row in ipairs(rows) do got[i] = ('%s %d %d %s'):format(row.k, row.n, row.n2, row.t) end
    assert.same({ 'a 1 1 x', 'b 1 1 y', 'a 2 2 z', 'b 2 2 y' }, got)
    assert.truthy(r.err:find('no', 1, true))
  end)
end)

describe('keys that are integers beyond 2^53', function()
  -- what each key is, is what Python's json reads: an integer is one, the string of its digits another
  local input = { '{"id":9007199254740993,"c":"x"}', '{"id":"9007199254740993","c":"x"}', '{"id":-12345678901234567890,"c":"y"}',
    '{"id":9007199254740993,"c":"x"}', '{"id":5,"c":"x"}', '{"id":9007199254740992,"c":"x"}' }
  local function counts(by)
    local r = h.shell([[python3 -c '
import json, sys
n = {}
for line in sys.stdin:
  e = json.loads(line)
  k = json.dumps({ f: e[f] for f in sys.argv[1].split() } | {"n": 0}, sort_keys=True, separators=(",", ":"))
  n[k] = n.get(k, 0) + 1
for k in n: print(k.replace("\"n\":0", "\"n\":%d" % n[k]))' ]] .. h.quote(by), table.concat(input, '\n'))
    assert.equal(0, r.code, r.err)
    return r.out
  end

  for _, before in ipairs { '', ':set { z = 1 }' } do
    it('are the integer in final rows as in those after each event, wherever the key lies: ' .. before, function()
      local chain = "stream%s:key_by %s:running('r', { n = tm.agg.count() }, { unbounded = true%s })"
      for by, expected in pairs { ["'id'"] = counts 'id', ["{ 'id', 'c' }"] = counts 'id c', ["{ 'c', 'id' }"] = counts 'id c' } do
        assert.equal(expected, (h.e(chain:format(before, by, ", emit = 'final'"), input)))
        local each = h.lines((h.e(chain:format(before, by, ''), input)))
        assert.equal(6, #each)
        for i, line in ipairs(each) do
          local id = input[i]:match '"id":("?%-?%d+"?)'
          assert.truthy(line:find('"id":' .. id, 1, true), line)
        end
      end
    end)

    it('are the integer in rows that process emits, by the names of the key: ' .. before, function()
      local out = h.e('stream' .. before .. [[:key_by 'id':process('p', { unbounded = true, on_event = function(e, s, ctx)
        ctx.emit { id = ctx.key, other = ctx.key } end })]], input)
      local expected = {}
      for i, line in ipairs(input) do
        local id = line:match '"id":("?%-?%d+"?)'
        expected[i] = ('{"id":%s,"other":%s}\n'):format(id, #id > 1 and id ~= '9007199254740992' and '"' .. id:gsub('"', '') .. '"' or id)
      end
      assert.equal(table.concat(expected), out)
      out = h.e('stream' .. before .. [[:key_by { 'c', 'id' }:process('p', { unbounded = true, on_event = function(e, s, ctx)
        if #e.c > 0 then ctx.emit { id = ctx.key.id, c = ctx.key.c } end end })]], { input[1], input[2] })
      assert.equal('{"c":"x","id":9007199254740993}\n{"c":"x","id":"9007199254740993"}\n', out)
    end)

    it('declared int64 are one key with their digits, and integers in rows: ' .. before, function()
      for _, schema in ipairs { { ":schema { id = 'int64' }", '' }, { '', ":schema { id = 'int64' }" } } do
        local chain = 'stream' .. schema[1] .. before .. ":key_by 'id'" .. schema[2]
        assert.equal('{"id":9007199254740993,"n":3}\n{"id":-42,"n":2}\n{"id":5,"n":1}\n', (h.e(chain ..
          ":running('r', { n = tm.agg.count() }, { unbounded = true, emit = 'final' })",
          { '{"id":9007199254740993}', '{"id":-42}', '{"id":"9007199254740993"}', '{"id":"-42"}', '{"id":5}', '{"id":9007199254740993}' })))
        assert.equal('{"id":9007199254740993}\n{"id":5}\n', (h.e(chain ..
          ":process('p', { unbounded = true, on_event = function(e, s, ctx) ctx.emit { id = ctx.key } end })",
          { '{"id":9007199254740993}', '{"id":"5"}' })))
      end
    end)
  end

  it('are integers in dead letters too', function()
    local out = h.e("stream:key_by 'id':on_error(tm.sink.stdout()):map(function(e) error 'no' end)", { input[1], input[2] })
    local keys = {}
    for key in out:gmatch '"key":("?%d+"?)' do keys[#keys + 1] = key end
    assert.same({ '9007199254740993', '"9007199254740993"' }, keys)
  end)

  it('and those of msgpack are the same keys', function()
    -- by the format's specification: uint 64, int 64, fixstr of 20 bytes
    local most = '\207' .. ('\255'):rep(8)
    local packed = ''
    for _, v in ipairs { most, '\211\128' .. ('\0'):rep(7), '\180' .. '18446744073709551615', most } do
      packed = packed .. '\129\162id' .. v
    end
    assert.equal('{"id":18446744073709551615,"n":2}\n{"id":-9223372036854775808,"n":1}\n{"id":"18446744073709551615","n":1}\n',
      (h.e("stream:key_by 'id':running('r', { n = tm.agg.count() }, { unbounded = true, emit = 'final' })", packed, '--format', 'msgpack')))
  end)
end)
