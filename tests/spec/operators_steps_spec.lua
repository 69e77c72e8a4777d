--[[
operators_steps_spec.lua - dedup, top, sample, throttle, suppress one by one: rows by sqlite3's window functions and by hand, what a
drained run gives, bounds, and what is refused at load. operators_random_spec.lua has them in chains.
]]

local h = require 'spec.helper'
local running = require 'spec.running'

local function rows(code, input, ...)
  local out, r = h.e('stream' .. code, input, ...)
  return h.lines(out), r
end

--- n random events as lines, and as a table t(n, k, v, t) of SQL.
local function random_table(seed, n)
  math.randomseed(seed)
  local lines, values, time = {}, {}, 0
  for i = 1, n do
    time = time + math.random(0, 3)
    local k, v = 'k' .. math.random(300), math.random(-400, 400)
    lines[i] = ('{"n":%d,"k":"%s","v":%d,"t":%d}'):format(i, k, v, time)
    values[i] = ("(%d,'%s',%d,%d)"):format(i, k, v, time)
  end
  local sql = { 'create table t(n integer, k text, v integer, t integer);' }
  for i = 1, #values, 400 do
    sql[#sql + 1] = 'insert into t values ' .. table.concat(values, ',', i, math.min(i + 399, #values)) .. ';'
  end
  return lines, table.concat(sql, '\n')
end

local function sqlite(sql)
  local r = h.shell('sqlite3 -separator " " :memory:', sql)
  assert(r.code == 0 and r.err == '', r.err)
  return h.lines(r.out)
end

local function fields(out, ...)
  local names, list = { ... }, {}
  for i, row in ipairs(h.rows(table.concat(out, '\n'))) do
    local parts = {}
    for j, name in ipairs(names) do parts[j] = tostring(row[name]) end
    list[i] = table.concat(parts, ' ')
  end
  return list
end

describe('dedup', function()
  it('keeps the first of each as sqlite3 does, events untouched', function()
    local lines, sql = random_table(3, 20000)
    local want = sqlite(sql .. [[select n from (select n, row_number() over (partition by k, v order by n) as r from t)
      where r = 1 order by n;]])
    local got = rows(":dedup('d', { on = { 'k', 'v' }, unbounded = true })", lines)
    assert.same(want, fields(got, 'n'))
    for i, line in ipairs(got) do assert.equal(lines[tonumber(want[i])], line) end
  end)

  it("keep = 'last' sends changes as sqlite3's lag finds them", function()
    local lines, sql = random_table(4, 20000)
    for i, line in ipairs(lines) do lines[i] = line:gsub('"n":%d+,', ''):gsub('"v":%-?%d*(%d)', '"v":%1'):gsub('"t":%d+', '"t":1') end
    local want = sqlite(sql .. [[
      select k, v, row_number() over (partition by k order by n) - 1 from (
        select n, k, abs(v) % 10 as v, lag(abs(v) % 10) over (partition by k order by n) as before from t)
        where before is not v order by n;]])
    assert.same(want, fields(rows(":key_by 'k':dedup('d', { keep = 'last', max_keys = 1000 })", lines), 'k', 'v', 'revision'))
  end)

  it('within: by the last event that passed, whichever side of it', function()
    local at = { 0, 9, 10, 5, 19, 20, 1, 12, 11, 30 }
    local lines, want, last = {}, {}, nil
    for i, t in ipairs(at) do
      lines[i] = ('{"id":1,"t":%d}'):format(t)
      if not last or math.abs(t - last) >= 10 then want[#want + 1], last = lines[i], t end
    end
    assert.same(want, (rows(":event_time { field = 't' }:dedup('d', { on = 'id', within = '10ms', max_keys = 1 })", lines)))
  end)

  it('leaves the key of the stream as it was', function()
    assert.same({ '{"k":"a","n":1}', '{"k":"b","n":1}' }, (rows(":key_by 'k':dedup('d', { on = 'id', unbounded = true })" ..
      ":running('r', { n = tm.agg.count() }, { unbounded = true })", { '{"id":1,"k":"a"}', '{"id":1,"k":"b"}', '{"id":2,"k":"b"}' })))
  end)

  it('takes a function, and tells of events without it', function()
    local got, r = rows(":dedup('d', { on = function(e) return e.id % 3 end, unbounded = true })", { '{"id":1}', '{"id":4}', '{"id":2}' })
    assert.same({ '{"id":1}', '{"id":2}' }, got)
    assert.equal('', r.err)
    got, r = rows(":dedup('d', { on = 'id', unbounded = true })", { '{"x":1}', '{"id":null}', '{"id":[1]}', '{"id":2}' })
    assert.same({ '{"id":2}' }, got)
    assert.truthy(r.err:find("the event has no 'id', by which dedup#1 tells events apart [missing-key]", 1, true), r.err)
    assert.truthy(r.err:find("must be a string, number or boolean, got a table", 1, true), r.err)
  end)

  it('counts what it drops, and takes back the mark of an event that fails behind it', function()
    local r = h.run({ 'run', '--json', '-e', "stream:dedup('d', { on = 'id', unbounded = true })" ..
      ":filter(function(e) if e.bad then error 'no' end return true end)" }, '{"id":1,"bad":true}\n{"id":1}\n{"id":1}\n{"id":2}\n')
    assert.equal('{"id":1}\n{"id":2}\n', r.out)
    local counters = h.decode(r.err:match '([^\n]*"counters"[^\n]*)').counters
    assert.equal(1, counters.events_failed)
    assert.equal(1, counters.events_dropped)
  end)

  it('works on msgpack as on JSON', function()
    local lines = random_table(5, 2000)
    local packed = h.path 'packed'
    h.run({ 'run', '--quiet', '-e', 'stream', '--out-format', 'msgpack', '--to', packed }, table.concat(lines, '\n') .. '\n')
    for _, code in ipairs { ":dedup('d', { on = { 'k', 'v' }, unbounded = true })",
      ":key_by 'k':dedup('d', { keep = 'last', unbounded = true })",
      ":key_by 'k':top('t', 2, 'v', { unbounded = true })",
        ":event_time { field = 't' }:suppress('s', { by = 'v', within = '1s', unbounded = true })",
      ":sample { rate = 0.3, on = { 'k', 'v' } }", ':sample(0.3)', ':sample { every = 7 }' } do
      local r = h.run { 'run', '--quiet', '--format', 'msgpack', '--out-format', 'json', '--from', packed, '-e', 'stream' .. code }
      assert.equal('', r.err)
      assert.same(rows(code, lines), h.lines(r.out))
    end
  end)
end)

describe('top', function()
  it('agrees with sqlite3: by value, then time, then arrival; keys in order of arrival', function()
    local lines, sql = random_table(6, 20000)
    for _, order in ipairs { 'desc', 'asc' } do
      local want = sqlite(sql .. ([[
        select k, n, v, r from (
          select k, n, v, row_number() over (partition by k order by v %s, t, n) as r, min(n) over (partition by k) as first from t)
        where r <= 4 order by first, r;]]):format(order))
      local got = rows((":event_time { field = 't' }:key_by 'k'" ..
        ":top('t', 4, 'v', { order = '%s', emit = 'final', unbounded = true })"):format(order),
        lines)
      assert.same(want, fields(got, 'k', 'n', 'v', 'rank'))
    end
  end)

  it('sends the whole list after each change, and nothing otherwise', function()
    assert.same({
      '{"id":"a","v":5.0,"rank":1,"revision":0}',
      '{"v":7,"id":"b","rank":1,"revision":1}', '{"id":"a","v":5.0,"rank":2,"revision":1}',
      '{"v":7,"id":"b","rank":1,"revision":2}', '{"id":"e","v":6.5,"rank":2,"revision":2}',
    }, (rows(":top('t', 2, 'v', { unbounded = true })",
      { '{"id":"a", "v": 5.0 }', '{"v":7,"id":"b"}', '{"v":5,"id":"c"}', '{"v":1,"id":"d"}', '{"x":1}', '{"id":"e","v":6.5}' })))
  end)

  it('compares strings by byte and int64 by value, decimals as numbers; a mix fails', function()
    local got, r = rows(":top('t', 2, 'v', { emit = 'final', unbounded = true })", { '{"v":"b"}', '{"v":"B"}', '{"v":"é"}', '{"v":1}',
      '{"v":true}' })
    assert.same({ '{"v":"é","rank":1,"revision":2}', '{"v":"b","rank":2,"revision":2}' }, got)
    assert.truthy(r.err:find("top 't' ranks numbers or texts, but field 'v' holds a number, and the list of this key ranks texts", 1,
      true), r.err)
    got = rows(":schema { v = 'int64' }:top('t', 2, 'v', { emit = 'final', unbounded = true })",
      { '{"v":9}', '{"v":9223372036854775807}', '{"v":-5}', '{"v":10}' })
    assert.same({ '{"v":9223372036854775807,"rank":1,"revision":2}', '{"v":10,"rank":2,"revision":2}' }, got)
    got = rows(":schema { v = 'decimal(2)' }:top('t', 1, 'v', { emit = 'final', unbounded = true })", { '{"v":"9.50"}', '{"v":10.10}' })
    assert.same({ '{"v":10.10,"rank":1,"revision":1}' }, got)
  end)

  it('gives its rows the time of the event that changed the list', function()
    assert.same({ '{"v":1,"t":10,"rank":1,"revision":0,"ms":10}', '{"v":1,"t":10,"rank":1,"revision":1,"ms":5}',
      '{"v":0,"t":5,"rank":2,"revision":1,"ms":5}' },
      (rows(":event_time { field = 't' }:top('t', 2, 'v', { unbounded = true }):set { ms = tm.time }", { '{"v":1,"t":10}',
        '{"v":0,"t":5}' })))
  end)
end)

describe('sample', function()
  it('keeps its share, all of a value or none, the same ones each time, more for a larger rate', function()
    local lines = random_table(8, 20000)
    for _, rate in ipairs { 0.01, 0.2, 0.7 } do
      local got = rows((':sample(%g)'):format(rate), lines)
      -- five standard deviations of a binomial share
      assert.near(rate * 20000, #got, 5 * math.sqrt(20000 * rate * (1 - rate)))
      assert.same(got, (rows((':sample(%g)'):format(rate), lines)))
    end
    local small, large, of = {}, {}, {}
    for _, row in ipairs(h.rows(table.concat(lines, '\n'))) do of[row.k] = (of[row.k] or 0) + 1 end
    for _, row in ipairs(h.rows(table.concat(rows(":sample { rate = 0.2, on = 'k' }", lines),
      '\n'))) do small[row.k] = (small[row.k] or 0) + 1 end
    for _, row in ipairs(h.rows(table.concat(rows(":sample { rate = 0.5, on = 'k' }", lines), '\n'))) do large[row.k] = true end
    local n = 0
    for k, count in pairs(small) do
      n = n + 1
      assert.equal(of[k], count)
      assert.is_true(large[k])
    end
    assert.is_true(n > 30 and n < 90)
    assert.not_same(rows(':sample(0.5)', lines), rows(':sample { rate = 0.5, seed = 1 }', lines))
  end)

  it('by number: blank lines do not count, bad ones do, files go on, batches are not seen', function()
    local text = {}
    for i = 1, 5000 do text[i] = i % 17 == 0 and 'no json' or ('{"n":%d}%s'):format(i, i % 5 == 0 and '\n' or '') end
    local want = {}
    for i = 1, 5000 do if i % 10 == 0 and i % 17 ~= 0 then want[#want + 1] = ('{"n":%d}'):format(i) end end
    local whole = table.concat(text, '\n') .. '\n'
    assert.same(want, (rows(':sample { every = 10 }', whole)))
    local dir = h.folder { ['a.ndjson'] = table.concat(text, '\n', 1, 1234) .. '\n', ['b.ndjson'] = table.concat(text, '\n', 1235) .. '\n' }
    assert.same(want, h.lines(h.run({ 'run', '--quiet', '--from', dir, '-e', 'stream:sample { every = 10 }' }).out))
    local r = h.shell('python3 tests/spec/tools/pieces.py 4 700 | ' .. h.command { 'run', '--quiet', '-e',
      'stream:sample { every = 10 }' }, whole)
    assert.same(want, h.lines(r.out))
  end)
end)

describe('throttle', function()
  it('lets n at once and then so many for the time', function()
    local lines = {}
    for i, t in ipairs { 0, 0, 0, 4, 5, 5, 9, 10, 100, 100, 100, 90, 101 } do lines[i] = ('{"i":%d,"t":%d}'):format(i, t) end
    -- two in 10 ms: full at 0; by hand
    assert.same({ '1', '2', '5', '8', '9', '10' }, fields(rows(
      ":event_time { field = 't' }:throttle('t', { rate = { 2, per = '10ms' }, unbounded = true })", lines), 'i'))
    assert.same({ '1', '9' }, fields(rows(":event_time { field = 't' }:throttle('t', { rate = '1/s', unbounded = true })",
      { '{"i":1,"t":0}', '{"i":2,"t":999}', '{"i":9,"t":1000}' }), 'i'))
  end)
end)

describe('suppress', function()
  it('a run that is drained gives what was held back, and says that it is partial', function()
    local fifo = running.fifo 'in'
    local out = h.path 'out'
    local run = running.start({ 'run', '--json', '-e',
      "stream:event_time { field = 't' }:suppress('s', { by = 'k', within = '1h', unbounded = true })",
      '--from', fifo, '--to', out }, {})
    local feed = assert(io.open(fifo, 'w'))
    feed:write '{"k":"a","t":1}\n{"k":"b","t":1}\n{"k":"b","t":2}\n{"k":"a","t":3}\n{"k":"a","t":4}\n{"k":"c","t":4}\n'
    feed:flush()
    running.wait_until('rows', function() return #h.lines(h.read(out)) == 3 end)
    run:signal 'TERM'
    assert.equal(0, run:wait())
    feed:close()
    assert.same({ '{"k":"a","t":1}', '{"k":"b","t":1}', '{"k":"c","t":4}', '{"k":"a","partial":true,"suppressed":2}',
      '{"k":"b","partial":true,"suppressed":1}' }, h.lines(h.read(out)))
  end)

  it('goes in front of what comes behind at the end of input, in one pipeline and over links', function()
    local input = { '{"k":"a","t":1}', '{"k":"a","t":2}', '{"k":"b","t":3}', '{"k":"b","t":4}', '{"k":"b","t":4}' }
    local chain = ":suppress('s', { by = 'k', within = '1h', unbounded = true })"
    local sum = ":running('r', { held = tm.agg.sum 'suppressed', n = tm.agg.count() }, { emit = 'final', unbounded = true })"
    assert.same({ '{"held":3,"n":4}' }, (rows(":event_time { field = 't' }" .. chain .. sum, input)))
    local r = h.script("local tm = require 'tidemill'\nlocal a = tm.pipeline 'a':event_time { field = 't' }" .. chain ..
      "\nreturn { a:to(tm.sink.discard()), tm.pipeline 'b':from(a)" .. sum .. ' }', input)
    assert.equal('{"held":3,"n":4}\n', r.out)
  end)
end)

describe('rows at the end of input', function()
  it('pass a second step that gives rows then', function()
    assert.same({ '{"n":3}' }, (rows(":key_by 'k':running('a', { n = tm.agg.count() }, { emit = 'final', unbounded = true }):key_by {}" ..
      ":running('b', { n = tm.agg.sum 'n' }, { emit = 'final', unbounded = true })", { '{"k":1}', '{"k":2}', '{"k":1}' })))
  end)
end)

describe('state', function()
  it('without a bound is refused by run and check; a name is taken once', function()
    for _, code in ipairs { ":dedup('d', { on = 'id' })", ":top('d', 2, 'v')",
      ":event_time { field = 't' }:throttle('d', { rate = '1/s' })",
      ":event_time { field = 't' }:suppress('d', { within = '1m' })" } do
      for _, command in ipairs { 'run', 'check' } do
        local r = h.run({ command, '-e', 'stream' .. code }, '')
        assert.equal(3, r.code, code)
        assert.truthy(r.err:find('-e:1: %w+ keeps state without a bound; give one of [%w, ]*max_keys, [%w, ]*unbounded'), r.err)
      end
    end
    local r = h.run({ 'run', '-e', "stream:dedup('d', { on = 'id', unbounded = true }):top('d', 2, 'v', { unbounded = true })" }, '')
    assert.truthy(r.err:find("the name 'd' is taken by -e:1; state is found by its name", 1, true), r.err)
  end)

  it('that is full: the key not seen for longest goes, the event fails, or the run ends', function()
    local input = { '{"k":1}', '{"k":2}', '{"k":1}', '{"k":3}', '{"k":2}', '{"k":1}' }
    local function got(on_full) return rows((":dedup('d', { on = 'k', max_keys = 2, on_full = '%s' })"):format(on_full), input) end
    assert.same({ '{"k":1}', '{"k":2}', '{"k":3}', '{"k":2}', '{"k":1}' }, (got 'oldest'))
    local list, r = got 'refuse'
    assert.same({ '{"k":1}', '{"k":2}' }, list)
    assert.truthy(r.err:find("state 'e/d' has max_keys keys", 1, true), r.err)
    r = select(2, got 'stop')
    assert.equal(1, r.code)
  end)
end)

describe('state get', function()
  it('tells what is kept of a key', function()
    for code, want in pairs {
      [":dedup('d', { on = 'k', unbounded = true })"] = '{"k":"a"}',
      [":event_time { field = 't' }:dedup('d', { on = 'k', within = '5ms', unbounded = true })"] = '{"k":"a","at":6}',
      [":key_by 'k':dedup('d', { keep = 'last', unbounded = true })"] = '{"k":"a","event":{"k":"a","t":8},"revision":2}',
      [":key_by 'k':top('d', 2, 't', { unbounded = true })"] = '{"k":"a","events":[{"k":"a","t":8},{"k":"a","t":6}],"revision":2}',
      [":event_time { field = 't' }:throttle('d', { by = 'k', rate = { 2, per = '4ms' }, unbounded = true })"] =
        '{"k":"a","at":8,"tokens":1}',
      [":event_time { field = 't' }:suppress('d', { by = 'k', within = '7ms', unbounded = true })"] = '{"k":"a","held":0,"start":8}',
    } do
      local r = h.run({ 'state', 'get', 'd', 'a', '-e', 'stream' .. code },
        '{"k":"a","t":1}\n{"k":"b","t":1}\n{"k":"a","t":6}\n{"k":"a","t":8}\n')
      assert.equal(want .. '\n', r.out, code .. r.err)
    end
    local r = h.run({ 'state', 'ls', '-e', "stream:dedup('seen', { on = 'k', unbounded = true })" }, '{"k":"a"}\n{"k":"b"}\n')
    assert.truthy(r.out:find 'e/seen', r.out .. r.err)
  end)
end)

describe('mistakes', function()
  local time = ":event_time { field = 't' }"
  local wrong = {
    { ":dedup({ on = 'id' })", "dedup keeps state, so it needs a name: :dedup('spend', { … }); got a table" },
    { ":dedup('d', { unbounded = true })", "dedup takes what makes two events the same: { on = 'id' }, or a key_by before it" },
    { ":key_by 'k':key_by {}:dedup('d', { unbounded = true })", 'dedup takes what makes two events the same' },
    { ":dedup('d', { of = 'id' })", "dedup has no option 'of' (did you mean 'on'?)" },
    { ":dedup('d', { on = 5 })", "dedup: 'on' takes a field, a list of fields, or { function(e) … end, 'name' }, got a number" },
    { ":dedup('d', { on = { 'a', 'a' } })", "dedup: 'on' names the field 'a' twice" },
    { ":dedup('d', { on = 'id', keep = 'frist' })", "dedup: option 'keep' is one of 'first', 'last', got 'frist'" },
    { ":dedup('d', { on = 'id', within = '1h' })",
      "dedup with 'within' needs event time: write :event_time { field = 'ts', unit = 'ms' } before it" },
    { time .. ":dedup('d', { on = 'id', within = 5 })", "a duration needs a unit: write '5s' for seconds or '5ms' for milliseconds" },
    { time .. ":dedup('d', { on = 'id', within = '0s' })", "dedup: 'within' is longer than nothing, got '0s'" },
    { ":dedup('d', { on = 'id', ttl = '1h' })",
      "dedup with 'ttl' needs event time: write :event_time { field = 'ts', unit = 'ms' } before it" },
    { ":dedup('d', { on = 'id', max_keys = 0 })", "dedup: 'max_keys' is a whole number of at least 1" },
    { ":top('t', 0, 'v', { unbounded = true })", 'top takes how many rows, a whole number from 1 to 10000' },
    { ":top('t', 'v', 3)", "top takes how many rows, a whole number from 1 to 10000: :top('best', 10, 'amount'); got 'v'" },
    { ":top('t', 3)", 'top takes the name of a field' },
    { ":top('t', 3, 'v', { order = 'up' })", "top: option 'order' is one of 'desc', 'asc', got 'up'" },
    { ':sample()', 'sample takes a share, such as 0.01, or a table' },
    { ':sample(5)', 'sample: a share is from 0 to 1, got 5; 5 % is 0.05' },
    { ':sample { rate = 0.5, every = 2 }', 'sample takes either a rate, such as 0.01, or every = 10' },
    { ':sample { every = 1.5 }', "sample: 'every' is a whole number of at least 1, got 1.5" },
    { ":sample { every = 2, on = 'k' }", "sample: 'on' and 'seed' go with a rate, not with 'every'" },
    { ':sample { rat = 0.5 }', "sample has no option 'rat' (did you mean 'rate'?)" },
    { ":throttle('t', { rate = '1/s' })", 'throttle needs event time' },
    { time .. ":throttle('t', { unbounded = true })",
      "throttle: 'rate' is a text such as '10/s' (ms s m h d) or a table { 10, per = '5m' }, got nil" },
    { time .. ":throttle('t', { rate = '10/w' })", "throttle: 'rate' is a text such as '10/s'" },
    { time .. ":throttle('t', { rate = { 0.5, per = '1s' } })", "throttle: 'rate' allows a whole number of at least 1" },
    { time .. ":throttle('t', { rate = { 5, pr = '1s' } })", "throttle: 'rate' takes { 10, per = '1m' }, found 'pr'" },
    { ":suppress('s', { within = '1m' })", 'suppress needs event time' },
    { time .. ":suppress('s', { by = 'k' })", "suppress takes how long it holds back: { by = 'card', within = '10m' }" },
    { time .. ":suppress('s', { by = function(e) return 1 end, within = '1m' })", 'suppress: a function comes with the name of its field' },
    { time .. ":suppress('s', { by = 'suppressed', within = '1m' })", "suppress: 'suppressed' is a field of its rows, and of the key" },
  }
  for _, case in ipairs(wrong) do
    it('are told with their place: ' .. case[1], function()
      local r = h.run({ 'run', '-e', 'stream' .. case[1] }, '')
      assert.equal(3, r.code, r.err)
      assert.truthy(r.err:find('-e:1: ' .. case[2], 1, true) or r.err:find('-e:1: ', 1, true) and r.err:find(case[2], 1, true), r.err)
    end)
  end
end)

describe('graph', function()
  it('tells what each step does', function()
    local r = h.run { 'graph', '-e',
      "stream:event_time { field = 'ts' }:sample { rate = 0.01, on = 'k' }:dedup('once', { on = 'id', unbounded = true })" ..
      ":top('best', 3, 'v', { unbounded = true })" }
    for _, label in ipairs { 'event_time ts ms', 'sample 0.01 on k', 'dedup once', 'top best: 3 by v' } do
      assert.truthy(r.out:find(label, 1, true), r.out .. r.err)
    end
  end)
end)
