--[[
sessions_spec.lua - sessions and count windows, and apply and reduce behind every kind of window, against slow references
(sessions_reference.py, windows_reference.py): random streams with disorder, gaps, equal, negative and huge times, byte for byte,
however the input is cut, with the compiler and without. And cases worked out by hand from the published rules of merging windows.
]]

local h = require 'spec.helper'
local cases = require 'spec.windows_cases'
local compare = h.compare
local running = require 'spec.running'
local json = require 'dkjson'

local function pick(list) return list[math.random(#list)] end

--- A random stream: { lines }, its times around `base`, steps of up to `gap` ms, up to `disorder` ms late; g is the gap of each event.
local function stream(seed, n, gap, disorder, base, keys)
  math.randomseed(seed)
  local lines, t = {}, base
  for i = 1, n do
    local r = math.random()
    if r < 0.6 then t = t + math.random(0, gap) elseif r < 0.63 then t = t + gap * math.random(5, 200) end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    lines[i] = ('{"ts":%.0f,"k":"k%d","v":%d,"g":%d,"i":%d}'):format(t - late, math.random(1, keys), math.random(-50, 50),
      math.random(1, 3) * math.random(1, 5 * gap), i)
  end
  return table.concat(lines, '\n') .. '\n'
end

local function random_emit(s, modes)
  s.mode, s.accumulate = pick(modes), true
  if s.mode == 'every' then s.mode, s.every = 'early', pick { 100, 300, 1000 }
  elseif s.mode == 'count' then s.mode, s.count = 'early', pick { 1, 2, 5 } end
  if (s.mode == 'final' or s.mode == 'early') and math.random() < 0.3 then s.accumulate = false end
  return s
end

local SESSION_MODES = { 'final', 'final', 'closed', 'updates', 'retract', 'every', 'count' }
local COUNT_MODES = { 'final', 'final', 'updates', 'every', 'count' }

local function random_session(gap)
  return random_emit({ kind = 'session', gap = pick { 'g', gap, 2 * gap, 5 * gap, 1 }, lateness = pick { 0, 0, 1, gap, 30 * gap },
    out_of_order = pick { 0, gap, 10 * gap }, key = math.random() < 0.8 and 'k' or h.null }, SESSION_MODES)
end

local function random_count()
  local n = pick { 1, 2, 3, 7, 20 }
  return random_emit({ kind = 'count', n = n, slide = pick { n, n, 1, 2, 5, n + 3 }, lateness = 0, out_of_order = pick { 0, 50 },
    key = math.random() < 0.8 and 'k' or h.null }, COUNT_MODES)
end

local WHAT = {
  aggregate = "aggregate { n = tm.agg.count(), total = tm.agg.sum 'v', least = tm.agg.min 'v' }",
  ends = "aggregate { n = tm.agg.count(), total = tm.agg.sum 'v', least = tm.agg.min 'v', first = tm.agg.first 'i', " ..
    "last = tm.agg.last 'i', all = tm.agg.collect 'i', kinds = tm.agg.distinct 'v' }",
  fails = "aggregate { n = tm.agg.count(), total = tm.agg.sum 'v', least = tm.agg.min 'v', first = tm.agg.first 'i', " ..
    "last = tm.agg.last 'i', all = tm.agg.collect 'i', kinds = tm.agg.distinct 'v', " ..
    "ok = tm.agg.count { where = function(e) if e.v % 7 == 0 then error 'seven' end return true end } }",
  reduce = "reduce('sum', function(a, b) return { v = a.v + b.v, i = math.max(a.i, b.i) } end)",
  apply = [[apply(function(key, window, rows, emit)
      local all, total = tm.array {}, 0
      for i, row in ipairs(rows) do all[i], total = row.i, total + row.v end
      emit { n = #rows, all = all, total = total }
      if #rows > 0 then emit { span = rows[#rows].ts - rows[1].ts, window_end = 'own', last = tm.copy(rows[#rows]) } end
    end)]],
}

local function script(s, late, more)
  local window
  if s.kind == 'session' then
    window = s.gap == 'g' and 'tm.window.session(function(e) return e.g end)' or ("tm.window.session '%dms'"):format(s.gap)
  elseif s.kind == 'count' then
    window = ('tm.window.count(%d, { slide = %d })'):format(s.n, s.slide)
  else
    window = ("tm.window.hopping('%dms', '%dms')"):format(s.size, s.slide)
  end
  local emit = { "mode = '" .. (s.mode == 'early' and 'final' or s.mode) .. "'" }
  if s.every then emit[2] = ("early = '%dms'"):format(s.every) end
  if s.count then emit[2] = ('early = { count = %d }'):format(s.count) end
  if not s.accumulate then emit[#emit + 1] = 'accumulate = false' end
  return ([[local tm = require 'tidemill'
return tm.pipeline 'w':event_time { field = 'ts', out_of_order = '%dms', max_ahead = '20000000d' }%s%s
  :window('w', %s, { lateness = '%dms' })
  :%s:emit { %s }:late_to(tm.sink.file '%s')]]):format(s.out_of_order, more or '', s.key == 'k' and ":key_by 'k'" or '', window, s.lateness,
    WHAT[s.fails and 'fails' or s.ends and 'ends' or s.what or 'aggregate'], table.concat(emit, ', '), late)
end

local function reference(dir, s, input)
  s.late = dir .. '/late.want'
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.shell(('python3 tests/spec/%s_reference.py %s/spec.json <%s/in'):format(s.kind and 'sessions' or 'windows', dir, dir))
  assert(r.code == 0, r.err)
  return r.out, h.read(s.late)
end

local function agree(seed, s, input)
  local dir = h.folder()
  local want, want_late = reference(dir, s, input)
  local text = script(s, dir .. '/late')
  local r = h.run({ 'run', '--json', h.write(text, dir .. '/s.lua') }, input)
  assert.equal(0, r.code, text .. r.err)
  compare(want, r.out, ('seed %d\n%s'):format(seed, text))
  compare(want_late, h.read(dir .. '/late'), ('late events, seed %d\n%s'):format(seed, text))
  assert.equal(select(2, want_late:gsub('\n', '')), h.decode(r.err:match '(%b{})\n$').counters.events_late)
end

--- Rows of code over `input`, as text; more: further arguments.
local function rows(code, input, ...)
  local r = h.run({ 'run', '--quiet', '-e', code, ... }, input)
  assert.equal(0, r.code, code .. r.err)
  return r.out
end

local function lines(list) return table.concat(list, '\n') .. '\n' end

local BASES = { 0, 1700000000000, -5000, -9e14, 9e14 }

describe('sessions', function()
  it('give what the reference gives, for every way to emit', function()
    for seed = 1, 50 do
      math.randomseed(seed)
      local gap = pick { 3, 20, 400 }
      local s = random_session(gap)
      s.ends = math.random() < 0.6
      s.fails = s.ends and math.random() < 0.6
      agree(seed, s, stream(seed, 500, gap, pick { 0, 10 * gap, 60 * gap }, pick(BASES), pick { 1, 5, 40 }))
    end
  end)

  it('are the same behind a filter that the host applies, from a pipe in small pieces, and without the compiler', function()
    for seed = 101, 106 do
      math.randomseed(seed)
      local gap = pick { 3, 20 }
      local s = random_session(gap)
      if seed % 3 == 0 then s = random_count() end
      if seed % 2 == 0 then s.what = 'apply' end
      cases.other_ways(stream(seed, 3000, gap, 30 * gap, 1000, 20), function(late, more) return script(s, late, more) end,
        'seed ' .. seed)
    end
  end)

  -- worked out by hand: [1,11) and [20,30) are sent; 10 touches both; then the session goes on, and one that is late is told apart
  it('that merge behind their end give one row more; retract takes back what was sent of each', function()
    local input = lines { '{"ts":1,"v":1}', '{"ts":20,"v":2}', '{"ts":100,"v":4}', '{"ts":10,"v":8}', '{"ts":29,"v":16}',
      '{"ts":2,"v":32}', '{"ts":50,"v":64}', '{"ts":1000,"v":0}', '{"ts":49,"v":128}' }
    local step = [[stream:event_time { field = 'ts' }:window('s', tm.window.session '10ms', { lateness = '200ms' })
      :aggregate { sum = tm.agg.sum 'v' }]]
    assert.equal(lines {
      '{"sum":1,"window_end":11,"window_start":1}', '{"sum":2,"window_end":30,"window_start":20}',
      '{"revision":1,"sum":11,"window_end":30,"window_start":1}', '{"revision":2,"sum":27,"window_end":39,"window_start":1}',
      '{"revision":3,"sum":59,"window_end":39,"window_start":1}', '{"sum":64,"window_end":60,"window_start":50}',
      '{"sum":4,"window_end":110,"window_start":100}', '{"sum":0,"window_end":1010,"window_start":1000}' }, rows(step, input))
    assert.equal(lines {
      '{"op":"+","sum":1,"window_end":11,"window_start":1}', '{"op":"+","sum":2,"window_end":30,"window_start":20}',
      '{"op":"-","sum":1,"window_end":11,"window_start":1}', '{"op":"-","sum":2,"window_end":30,"window_start":20}',
      '{"op":"+","sum":11,"window_end":30,"window_start":1}', '{"op":"-","sum":11,"window_end":30,"window_start":1}',
      '{"op":"+","sum":27,"window_end":39,"window_start":1}', '{"op":"-","sum":27,"window_end":39,"window_start":1}',
      '{"op":"+","sum":59,"window_end":39,"window_start":1}', '{"op":"+","sum":64,"window_end":60,"window_start":50}',
      '{"op":"+","sum":4,"window_end":110,"window_start":100}', '{"op":"+","sum":0,"window_end":1010,"window_start":1000}' },
      rows(step .. ":emit 'retract'", input))
  end)

  -- a session that was sent and reaches beyond the watermark again says nothing before its new end
  it('that open again are sent at their end, with a revision', function()
    local input = lines { '{"ts":0,"v":1}', '{"ts":109,"v":2}', '{"ts":100,"v":4}', '{"ts":300,"v":0}' }
    assert.equal(lines { '{"sum":1,"window_end":100,"window_start":0}', '{"revision":1,"sum":7,"window_end":209,"window_start":0}',
      '{"sum":0,"window_end":400,"window_start":300}' },
      rows([[stream:event_time { field = 'ts' }:window('s', tm.window.session '100ms', { lateness = '50ms' })
        :aggregate { sum = tm.agg.sum 'v' }]], input))
  end)

  it('take keys of several fields and integers beyond 2^53, each with several open', function()
    local input, want = {}, {}
    local keys = { '"a":"x","b":1', '"a":"x","b":2', '"a":1,"b":1', '"a":9007199254740995,"b":1', '"a":9007199254740994,"b":1', '"b":1' }
    for n = 1, 3 do
      for i, key in ipairs(keys) do
        local t = n * 100 + i
        input[#input + 1] = ('{"ts":%d,%s}'):format(t, key)
        input[#input + 1] = ('{"ts":%d,%s}'):format(t + 9, key)
        -- an event without one of the fields has no key, and is dropped
        if i < 6 then
          want[#want + 1] = ('{%s,"n":2,"window_end":%d,"window_start":%d}'):format(key, t + 19, t)
        end
      end
    end
    assert.equal(lines(want), rows([[stream:event_time { field = 'ts', out_of_order = '1s' }:key_by({ 'a', 'b' }, { missing = 'drop' })
      :window('s', tm.window.session '10ms'):aggregate { n = tm.agg.count() }]], lines(input)))
  end)

  it('a row that fails is one dead letter with its window and key; its session is gone, the others stand', function()
    local dir = h.folder()
    local code = ([[stream:on_error(tm.sink.file '%s/dead'):event_time { field = 'ts' }:key_by 'k':window('s', tm.window.session '10ms')
      :aggregate { n = tm.agg.count() }:map(function(e) e.half = e.n == 2 and error('two') or 1 return e end)]]):format(dir)
    local out = rows(code, lines { '{"ts":1,"k":"a"}', '{"ts":2,"k":"b"}', '{"ts":3,"k":"b"}', '{"ts":3,"k":"c"}', '{"ts":100,"k":"b"}',
      '{"ts":105,"k":"a"}' })
    assert.equal(lines { '{"half":1,"k":"a","n":1,"window_end":11,"window_start":1}',
      '{"half":1,"k":"c","n":1,"window_end":13,"window_start":3}', '{"half":1,"k":"b","n":1,"window_end":110,"window_start":100}',
      '{"half":1,"k":"a","n":1,"window_end":115,"window_start":105}' }, out)
    local letters = h.rows(h.read(dir .. '/dead'))
    assert.equal(1, #letters)
    assert.same({ 'b', 'stdin:5' }, { letters[1].key, letters[1].position })
    assert.same({ window_start = 2, window_end = 13 }, letters[1].row)
    assert.is_nil(letters[1].event)
  end)

  it('fail events whose gap is none, and bound how many of a key are open', function()
    local dir = h.folder()
    local code = ([[stream:on_error(tm.sink.file '%s/dead'):event_time { field = 'ts', out_of_order = '1d' }
      :window('s', tm.window.session(function(e) return e.g end)):aggregate { n = tm.agg.count() }]]):format(dir)
    local input = { '{"ts":1,"g":0}', '{"ts":1}', '{"ts":1,"g":"5"}', '{"ts":1,"g":1.5}', '{"ts":1,"g":-1}', '{"ts":1,"g":true}' }
    for i = 1, 4098 do input[#input + 1] = ('{"ts":%d,"g":1}'):format(3 * i) end
    input[#input + 1] = '{"ts":2,"g":20000}'
    assert.equal(lines { '{"n":4097,"window_end":20002,"window_start":2}' }, rows(code, lines(input)))
    local letters = h.rows(h.read(dir .. '/dead'))
    for i, found in ipairs { '0', 'nothing', "the text '5'", '1.5', '-1', 'a boolean' } do
      assert.equal('the gap of a session is whole milliseconds above 0, but its function returned ' .. found, letters[i].reason)
    end
    assert.equal(8, #letters)
    assert.truthy(letters[7].reason:find("step 's': a key has 4096 open sessions, and no more can be", 1, true), letters[7].reason)
  end)
end)

describe('count windows', function()
  it('give what the reference gives, for every way to emit', function()
    for seed = 201, 225 do
      math.randomseed(seed)
      local s = random_count()
      s.ends = seed % 2 == 0
      s.fails = s.ends and seed % 4 == 0
      agree(seed, s, stream(seed, 500, 20, pick { 0, 200 }, pick(BASES), pick { 1, 5, 40 }))
    end
  end)
end)

describe('apply and reduce', function()
  it('give what the reference gives, behind every kind of window', function()
    for seed = 301, 330 do
      math.randomseed(seed)
      local gap = pick { 3, 20, 400 }
      local kind = seed % 3
      local s
      if kind == 0 then
        s = random_session(gap)
      elseif kind == 1 then
        s = random_count()
      else
        s = random_emit({ size = 50 * gap, slide = pick { 50 * gap, 20 * gap }, offset = 0, lateness = pick { 0, 30 * gap },
          out_of_order = pick { 0, 10 * gap }, key = math.random() < 0.8 and 'k' or h.null }, SESSION_MODES)
      end
      s.what = pick { 'apply', 'apply', 'reduce' }
      agree(seed, s, stream(seed, 400, gap, pick { 0, 10 * gap, 60 * gap }, pick(BASES), pick { 1, 5, 40 }))
    end
  end)

  it('show rows as events: types, nesting, null, time, copies, walks; read-only, and gone when the function has returned', function()
    local input = lines {
      '{"ts":"5","id":9223372036854775807,"amount":1.10,"geo":{"lat":1,"tags":["a","b"],"deep":{"x":"\\u00e9"}},"none":null,"z":1}',
      '{"ts":"3","id":7,"amount":2.00,"geo":{"lat":2,"tags":[],"deep":{"x":"y"}},"big":9007199254740993}' }
    local code = [[stream:schema { id = 'int64', amount = 'decimal(2)' }:event_time { field = 'ts' }:window('w', tm.window.tumbling('10ms'))
      :apply(function(key, window, rows, emit)
        local a, b = rows[1], rows[2]
        local names = {}
        for name, v in pairs(b) do names[#names + 1] = name .. '=' .. type(v) end
        local geo, other = a.geo, b.geo
        emit { key = key == nil, n = #rows, ids = a.id .. ' ' .. b.id, amounts = { a.amount, b.amount }, lats = { geo.lat, other.lat },
          tags = other.tags, deep = other.deep.x,
          none = b.none == nil and tm.is_null(b, 'none') and not (tm.is_null(a, 'none') or tm.is_null(a, 1)),
          names = names, times = { tm.time(a), tm.time(b) }, window = window, copy = tm.copy(other), same = geo == a.geo,
          raw = tm.raw(a), length = select('#', unpack(rows)), step = pcall(function() return a.big end) }
        emit(b)
        emit { nested = other, window_start = 'mine' }
      end)]]
    local got = h.rows(rows(code, input))
    assert.same({ key = true, n = 2, ids = '7 9223372036854775807', amounts = { 2, 1.1 }, lats = { 2, 1 }, tags = { 'a', 'b' }, deep = 'é',
      none = true, names = { 'ts=string', 'id=string', 'amount=number', 'geo=table', 'none=nil', 'z=number' }, times = { 3, 5 },
      window = { window_start = 0, window_end = 10 }, copy = { lat = 1, tags = { 'a', 'b' }, deep = { x = 'é' } }, same = true,
      raw = input:match '\n(.-)\n', length = 2, step = false, window_start = 0, window_end = 10 }, got[1])
    -- the row itself keeps its bytes
    assert.equal(input:match '^(.-)}\n' .. ',"window_start":0,"window_end":10}', h.lines(rows(code, input))[2])
    assert.same({ nested = { lat = 1, tags = { 'a', 'b' }, deep = { x = 'é' } }, window_start = 'mine', window_end = 10 }, got[3])
    for what, want in pairs {
      ['rows[1].x = 1'] = 'the rows of a window are read-only; tm.copy(row) gives a table to change',
      ['local v = rows[2].big'] = "field 'big' holds 9007199254740993, an integer outside",
      ['tm.meta(rows[1])'] = 'tm.meta takes the event at hand, not a row of a window',
      ['if held then local v = held.ts end held = rows[1]'] = 'row of a window kept after its call; use tm.copy',
      ['emit(5)'] = 'emit takes a table or the event, got a number',
    } do
      local r = h.run({ 'check', '-e', ([[local held
        return stream:event_time { field = "ts" }:key_by("k"):window("w", tm.window.tumbling("1s"))
        :apply(function(key, window, rows, emit) %s end)]]):format(what), '--sample', h.write(lines { '{"ts":1,"k":1}',
        '{"ts":2,"k":1,"big":9007199254740993}', '{"ts":3,"k":2}', '{"ts":3,"k":2,"big":9007199254740993}' }, h.folder() .. '/s.ndjson') })
      assert.truthy((r.out .. r.err):find(want, 1, true), what .. r.out .. r.err)
    end
  end)

  it('keep what msgpack and CSV say', function()
    local dir = h.folder()
    local make = [[import msgpack,sys
for i in range(3): sys.stdout.buffer.write(msgpack.packb({'ts': i, 'b': bytes([i, 255]), 'e': msgpack.ExtType(5, b'x'), 'f': 2.5}))]]
    h.write(make, dir .. '/make.py')
    h.sh('%s %s/make.py >%s/in.msgpack', h.python, dir, dir)
    local code = [[stream:event_time { field = 'ts' }:window('w', tm.window.count(3)):apply(function(key, window, rows, emit)
      emit { n = #rows, b = rows[3].b, same = rows[2].b == tm.bin '\1\255', type = rows[1].e.type }
      emit(rows[2]) end)]]
    h.shell(h.command { 'run', '--quiet', '--from', dir .. '/in.msgpack', '--out-format', 'msgpack', '-e', code } .. ' >' .. dir .. '/out')
    assert.equal("[{'b': b'\\x02\\xff', 'n': 3, 'same': True, 'type': 5}, " ..
      "{'ts': 1, 'b': b'\\x01\\xff', 'e': ExtType(code=5, data=b'x'), 'f': 2.5}]\n",
      h.sh("%s -c \"import msgpack; print(list(msgpack.Unpacker(open('%s/out', 'rb'))))\"", h.python, dir))
    local csv = rows([[stream:schema { v = 'number' }:window('w', tm.window.global()):apply(function(key, window, rows, emit)
      emit { sum = rows[1].v + rows[2].v, text = rows[2].t } end)]], 'v,t\n1,a\n2.5,"x ""y"""\n', '--format', 'csv', '--out-format',
      'json')
    assert.equal('{"sum":3.5,"text":"x \\"y\\""}\n', csv)
  end)

  it('hold so many events and no more: one more fails, and so do sessions that would have more together', function()
    local dir = h.folder()
    local input = lines { '{"ts":1,"i":1}', '{"ts":2,"i":2}', '{"ts":3,"i":3}', '{"ts":30,"i":4}', '{"ts":31,"i":5}', '{"ts":18,"i":6}',
      '{"ts":60,"i":7}' }
    local out = rows(([[stream:on_error(tm.sink.file '%s/dead'):event_time { field = 'ts', out_of_order = '1s' }
      :window('w', tm.window.session '15ms')
      :apply(function(key, window, rows, emit) emit { n = #rows } end, { max = 2 })]]):format(dir), input)
    assert.equal(lines { '{"n":2,"window_end":17,"window_start":1}', '{"n":2,"window_end":46,"window_start":30}',
      '{"n":1,"window_end":75,"window_start":60}' }, out)
    local failed = {}
    for i, letter in ipairs(h.rows(h.read(dir .. '/dead'))) do
      failed[i] = letter.event.i
      assert.equal('state-full', letter.code)
      assert.truthy(letter.reason:find("window holds 2 events, which is 'max' of apply; make max larger", 1, true), letter.reason)
    end
    assert.same({ 3, 6 }, failed)
  end)

  it('gives its rows to steps that keep something: counts, windows, processes', function()
    local input = lines { '{"ts":1,"k":"a"}', '{"ts":2,"k":"a"}', '{"ts":3,"k":"b"}', '{"ts":1500,"k":"a"}' }
    local step = [[stream:event_time { field = 'ts' }:key_by 'k':window('w', tm.window.tumbling '1s')
      :apply(function(key, window, rows, emit) for i = 1, #rows do emit { i = i } end end)]]
    local each = lines { '{"k":"a","n":1}', '{"k":"a","n":2}', '{"k":"b","n":1}', '{"k":"a","n":3}' }
    assert.equal(each, rows(step .. ":running('n', { n = tm.agg.count() }, { unbounded = true })", input))
    assert.equal(each, rows(step .. [[:process('p', { state = { n = 0 }, unbounded = true, on_event = function(e, s, ctx)
      s.n = s.n + 1 ctx.emit { k = e.k, n = s.n } end })]], input))
    assert.equal(lines { '{"k":"a","n":3}', '{"k":"b","n":1}' },
      rows(step .. ":window('both', tm.window.tumbling '2s'):aggregate { n = tm.agg.count() }:select { 'k', 'n' }", input))
  end)

  it('a window whose function fails is one dead letter; so is a reduce that returns nothing, of its event', function()
    local dir = h.folder()
    local input = lines { '{"ts":1,"k":"a"}', '{"ts":2,"k":"b"}', '{"ts":3,"k":"b"}', '{"ts":1000,"k":"a"}' }
    local step = ([[stream:on_error(tm.sink.file '%s/dead'):event_time { field = 'ts' }:key_by 'k'
      :window('w', tm.window.tumbling '1s')]]):format(dir)
    local out = rows(step .. [[:apply(function(key, window, rows, emit)
      emit { before = true }
      if #rows == 2 then error('two of ' .. key) end
      end)]], input)
    assert.equal(lines { '{"before":true,"k":"a","window_end":1000,"window_start":0}',
      '{"before":true,"k":"a","window_end":2000,"window_start":1000}' }, out)
    local letter = h.rows(h.read(dir .. '/dead'))[1]
    assert.same({ 'b', { window_start = 0, window_end = 1000 }, 'apply#5', 'two of b' },
      { letter.key, letter.row, letter.step, letter.reason })
    os.remove(dir .. '/dead')
    rows(step .. ":reduce('r', function(a, b) end)", input)
    letter = h.rows(h.read(dir .. '/dead'))[1]
    assert.same({ { ts = 3, k = 'b' }, "reduce: the function of 'r' returned nil; it returns what stands for both" },
      { letter.event, letter.reason })
  end)
end)

describe('windows of both kinds, apply and reduce', function()
  after_each(running.stop_all)

  it('are refused where they say nothing or contradict themselves', function()
    local timed = "stream:event_time { field = 'ts' }"
    local minute = timed .. ":window('w', tm.window.tumbling '1m')"
    local count = "stream:window('w', tm.window.count(3))"
    local f = 'function() end'
    for code, want in pairs {
      ["stream:window('w', tm.window.session '1m')"] = 'window needs event time: write :event_time',
      [timed .. ":window('w', tm.window.session(60))"] = "a duration needs a unit: write '60s' for seconds or '60ms'",
      [timed .. ":window('w', tm.window.session())"] = 'tm.window.session: the gap',
      [timed .. ":window('w', tm.window.session '0s')"] = 'the gap is longer than nothing',
      [timed .. ":window('w', tm.window.session '-5s')"] = 'the gap is longer than nothing',
      [timed .. ":window('w', tm.window.sesion '1m')"] = "tm.window has no 'sesion' (did you mean 'session'?)",
      ["stream:window('w', tm.window.count(0))"] = 'the number of events is a whole number of at least 1, got 0',
      ["stream:window('w', tm.window.count '3')"] = "the number of events is a whole number of at least 1, got '3'",
      ["stream:window('w', tm.window.count(3, { slide = 1.5 }))"] = "'slide' is a whole number of at least 1, got 1.5",
      ["stream:window('w', tm.window.count(3, { slid = 1 }))"] = "has no option 'slid' (did you mean 'slide'?)",
      ["stream:window('w', tm.window.count(1e6, { slide = 1 }))"] = '1000000 windows of a key would be open at a time, at most 4096',
      ["stream:window('w', tm.window.count(3), { lateness = '1s' })"] = 'nothing is late for a count window',
      [count .. ":aggregate { n = tm.agg.count() }:emit 'closed'"] = 'nothing is late for a count window; it takes',
      [count .. ":aggregate { n = tm.agg.count() }:emit { early = '1s' }"] = "'early' with a duration needs event time",
      [timed .. ":window('w', tm.window.session '1m'):aggregate { c = tm.agg.custom { init = 0, add = " .. f .. " } }"] =
        "a window of sessions merges what it kept, so 'c' (tm.agg.custom at -e:1) needs merge = function(a, b)",
      [minute .. ':apply()'] = 'apply takes a function(key, window, rows, emit), got nil',
      [minute .. ':apply(' .. f .. ", { max = 0 })"] = "'max' is a whole number of at least 1, got 0",
      [minute .. ':apply(' .. f .. ", { max = 1e7 })"] = "'max' is at most 1000000, got 10000000",
      [minute .. ':apply(' .. f .. ", { mx = 1 })"] = "has no option 'mx' (did you mean 'max'?)",
      ['stream:apply(' .. f .. ')'] = 'apply stands right behind window',
      [minute .. ':reduce(' .. f .. ')'] = "reduce takes the name of the row's field first",
      [minute .. ":reduce('x')"] = "reduce takes a function(a, b) behind the field's name, got nil",
      [minute .. ":reduce('window_end', " .. f .. ')'] = "'window_end' is the name of a field that window rows have already",
      [timed .. ":key_by('k'):window('w', tm.window.count(2)):reduce('k', " .. f .. ')'] = "'k' is the name of a field",
      ["stream:reduce('x', " .. f .. ')'] = 'reduce stands right behind window',
    } do
      local r = h.run { 'check', '-e', code }
      assert.equal(3, r.code, code)
      assert.truthy(r.err:find('%-e:1: ') and r.err:find(want, 1, true), code .. '\n' .. r.err)
    end
  end)

  it('are drawn, and checked by the fields they have', function()
    local r = h.run { 'graph', '-e', [[local timed = stream:event_time { field = 'ts' }
      return { timed:window('a', tm.window.session '90s', { lateness = '1m' }):apply(function() end):emit 'updates',
        timed:window('b', tm.window.session(function(e) return e.g end)):reduce('largest', function(a) return a end),
        timed:window('c', tm.window.count(10, { slide = 2 })):aggregate { n = tm.agg.count() } }]] }
    for _, part in ipairs { 'window a: session gap 1m30s, lateness 1m', 'apply emit updates', 'window b: session gap by function',
      'reduce largest', 'window c: count 10 by 2', 'aggregate n' } do
      assert.truthy(r.out:find(part, 1, true), r.out)
    end
    local schema = "stream:schema { ts = 'time_ms', v = 'number' }:event_time { field = 'ts' }"
    local count = ":aggregate { n = tm.agg.count() }:filter(function(e) return e.n > 1 and e.window_end end)"
    for code, want in pairs {
      [schema .. ":window('w', tm.window.session '1m')" .. count] = 'ok',
      [schema .. ":window('w', tm.window.session(function(e) return e.vv end))" .. count] = "the schema has no field 'vv'",
      [schema .. ":window('w', tm.window.count(2)):apply(function(k, w, rows, emit) emit { x = 1 } end)" ..
        ":filter(function(e) return e.x end)"] = 'ok',
    } do
      r = h.run { 'check', '-e', code }
      assert.truthy((r.out .. r.err):find(want, 1, true), code .. r.out .. r.err)
    end
  end)

  it('that are open at an early end are sent as partial', function()
    local dir = h.folder()
    local file = h.write(lines { '{"ts":1,"k":"a"}', '{"ts":2,"k":"b"}', '{"ts":3,"k":"a"}' }, dir .. '/in.ndjson')
    for window, want in pairs {
      ["session '1m'"] = { '{"k":"b","n":1,"partial":true,"window_end":60002,"window_start":2}',
        '{"k":"a","n":2,"partial":true,"window_end":60003,"window_start":1}' },
      ['count(5)'] = { '{"k":"a","n":2,"partial":true}', '{"k":"b","n":1,"partial":true}' },
    } do
      local out = h.path 'out'
      -- the three events are read when their copies are there
      local run = running.start { 'run', '--quiet', '-e', ([[local s = stream:from(tm.source.file { path = '%s', follow = true })
        :event_time { field = 'ts' } return { s:to(tm.sink.file '%s'), s:key_by 'k':window('w', tm.window.%s)
        :aggregate { n = tm.agg.count() } }]]):format(file, out, window) }
      running.wait_until('three events', function() return select(2, h.read(out):gsub('\n', '')) == 3 end)
      run:signal 'TERM'
      assert.equal(0, run:wait())
      assert.equal(lines(want), run:out())
    end
  end)
end)
