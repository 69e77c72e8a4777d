--[[
joins_spec.lua - joins against a slow reference (joins_reference.py): random streams with disorder, equal, negative and huge times,
missing keys, events of both sides; every kind, `where` and steps behind that fail; byte for byte, however the input is cut.
And joins that sqlite3 answers.
]]

local h = require 'spec.helper'
local compare = h.compare
local json = require 'dkjson'

local function pick(list) return list[math.random(#list)] end

--- A random stream: events of the left side (l), the right (r), of both and of neither.
local function stream(seed, n, gap, disorder, base, keys)
  math.randomseed(seed)
  local lines, t = {}, base
  for i = 1, n do
    local x = math.random()
    if x < 0.6 then t = t + math.random(0, gap) elseif x < 0.61 then t = t + gap * math.random(50, 500) end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    local side = pick { '"l":1,', '"l":1,', '"r":1,', '"r":1,', '"l":1,"r":1,', '' }
    local key = math.random(1, keys)
    local k = math.random() < 0.02 and '' or pick { '"k":%d,', '"k":%d,', '"k":"%d",', '"k":%d,"m":%d,' }:gsub('%%d', key)
    local m = k:find '"m"' and '' or math.random() < 0.95 and ('"m":%d,'):format(math.random(1, keys)) or '"m":null,'
    lines[i] = ('{%s%s%s"ts":%d,%s"v":%d,"i":%d}'):format(side, k, m, t - late, math.random() < 0.03 and '"x":[1,{"a":"\\\\b"}],' or '',
      math.random(0, 30), i)
  end
  return table.concat(lines, '\n') .. '\n'
end

--- What joins have in common: keys, kind, where, what is behind.
local function random_common()
  local s = { out_of_order = pick { 0, 500, 5000 }, kind = pick { 'inner', 'left', 'right', 'full' }, as = pick { 'right', 'x', 'z' } }
  s.left, s.right = { 'k' }, { 'k' }
  local on = math.random(4)
  if on == 1 then s.left, s.right = { 'k' }, { 'm' } elseif on == 2 then s.left, s.right = { 'k', 'm' }, { 'k', 'm' } end
  s.where, s.fail, s.behind = math.random() < 0.4, math.random() < 0.3, math.random() < 0.4
  return s
end

local function random_join()
  local s = random_common()
  if math.random() < 0.85 then
    s.before, s.after = pick { 0, 0, 300, 5000, -200, 1 }, pick { 0, 1000, 20000, 300 }
    if s.before < 0 and s.after < 300 then s.after = 300 end
    if math.random() < 0.2 then s.before, s.after = s.after, s.before end
  end
  return s
end

local function random_window_join()
  local s = random_common()
  s.size = pick { 1000, 1500, 10000 }
  s.slide, s.offset = s.size, 0
  if math.random() < 0.4 then s.slide = pick { s.size / 2, s.size / 5, s.size * 2 } end
  if math.random() < 0.3 then s.offset = pick { -100, 250, s.slide - 1 } end
  return s
end

local function random_session_join()
  local s = random_common()
  s.gap = pick { 1, 3, 20, 100, 700, 'v' }
  return s
end

local function window_of(s)
  if s.gap then
    return ('tm.window.session(%s), '):format(s.gap == 'v' and 'function(e) return 1 + 50 * e.v end' or ("'%dms'"):format(s.gap))
  elseif s.slide == s.size then
    return ("tm.window.tumbling('%dms', { offset = '%dms' }), "):format(s.size, s.offset)
  end
  return ("tm.window.hopping('%dms', '%dms', { offset = '%dms' }), "):format(s.size, s.slide, s.offset)
end

local function script(s, dir, more)
  local on = #s.left == 2 and "{ 'k', 'm' }" or s.left[1] == s.right[1] and "'k'" or "{ k = 'm' }"
  local options = { 'on = ' .. on, ("kind = '%s', as = '%s'"):format(s.kind, s.as) }
  if s.after then options[#options + 1] = ("within = { before = '%dms', after = '%dms' }"):format(s.before, s.after)
  elseif not (s.size or s.gap) then options[#options + 1] = 'unbounded = true' end
  if s.max then options[#options + 1] = ('max = %d'):format(s.max) end
  if s.where then
    options[#options + 1] = "where = function(l, r) if l.v + r.v == 20 then error 'twenty' end return (l.v + r.v) % 3 ~= 0 end"
  end
  local windowed = s.size or s.gap
  local behind = {}
  if s.fail then
    behind[1] = (":filter(function(e) local r = e.%s if ((e.i or 0) + (r and type(r) == 'table' and r.i or 0)) %% 13 == 0 then " ..
      "error 'thirteen' end return true end)"):format(s.as)
  end
  if s.behind then behind[#behind + 1] = ":running('n', { n = tm.agg.count() }, { unbounded = true })" end
  return ([[local tm = require 'tidemill'
local s = tm.pipeline 'p':event_time { field = 'ts', out_of_order = '%dms' }%s
  :late_to(tm.sink.file '%s/late'):on_error(tm.sink.file '%s/dead')
return s:filter(function(e) return e.l end):%s('j', s:filter(function(e) return e.r end), %s{ %s })%s]]):format(s.out_of_order,
    more or '', dir, dir, windowed and 'window_join' or 'join', windowed and window_of(s) or '', table.concat(options, ', '),
    table.concat(behind))
end

local function reference(dir, s, input)
  s.late, s.dead = dir .. '/late.want', dir .. '/dead.want'
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.shell(('python3 tests/spec/joins_reference.py %s/spec.json <%s/in'):format(dir, dir))
  assert(r.code == 0, r.err)
  return r.out, h.read(s.late), h.read(s.dead)
end

--- The events of dead letters, without those of rows.
local function dead_events(text)
  local list = {}
  for _, line in ipairs(h.lines(text)) do list[#list + 1] = line:match '"event":(%b{})' end
  return #list > 0 and table.concat(list, '\n') .. '\n' or ''
end

--- Runs random joins and compares them.
local function differ(seeds, make, options)
  for _, seed in ipairs(seeds) do
    math.randomseed(seed)
    local s = make()
    local dir = h.folder()
    local base = pick { 0, 1700000000000, -5000, -9e14, 9e14 }
    local input = stream(seed, 600, pick { 3, 50, 400 }, pick { 0, 1000, 9000 }, base, pick { 2, 7, 40 })
    local want, want_late, want_dead = reference(dir, s, input)
    local text = script(s, dir)
    local where = ('seed %d\n%s'):format(seed, text)
    local r = h.run({ 'run', '--json', h.write(text, dir .. '/s.lua'), '--from', dir .. '/in' }, nil, options)
    assert.equal(0, r.code, text .. r.err)
    compare(want, r.out, where)
    compare(want_late, h.read(dir .. '/late'), 'late events, ' .. where)
    compare(want_dead, dead_events(h.read(dir .. '/dead')), 'dead letters, ' .. where)
  end
end

local function range(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = i end
  return list
end

describe('joins', function()
  it('give what the reference gives, for every kind', function() differ(range(1, 40), random_join) end)

  it('of windows give what the reference gives', function() differ(range(101, 130), random_window_join) end)

  it('of sessions give what the reference gives', function() differ(range(401, 440), random_session_join) end)

  -- docs/static/fig/session-window-join.svg of Flink's documentation, "Joining": two sessions, and one without an event of the green stream
  it('of sessions give the pairs of the example in the documentation of Flink', function()
    local lines = {}
    for side, times in pairs { orange = { 1, 2, 5, 6, 8, 9 }, green = { 0, 4, 5 } } do
      for _, t in ipairs(times) do lines[#lines + 1] = ('{"%s":%d,"k":1,"ts":%d}\n'):format(side, t, t) end
    end
    local r = h.run({ 'run', '--quiet', '-e', [[(function(s) return s:filter(function(e) return e.orange end):window_join('j',
      s:filter(function(e) return e.green end), tm.window.session '1ms', { on = 'k', as = 'other' })
      :map(function(e) return { pair = e.orange .. ',' .. e.other.green, from = e.window_start, to = e.window_end, t = tm.time(e) } end)
      end)(stream:event_time { field = 'ts', out_of_order = '10ms' })]] }, table.concat(lines))
    local want = {}
    for i, pair in ipairs { '1,0', '2,0', '5,4', '5,5', '6,4', '6,5' } do
      want[i] = i <= 2 and { pair = pair, from = 0, to = 3, t = 2 } or { pair = pair, from = 4, to = 7, t = 6 }
    end
    assert.same(want, h.rows(r.out), r.err)
  end)

  it('keep so many events of a key and side, and drop the oldest', function()
    differ(range(201, 208), function()
      local s = random_join()
      s.kind, s.max, s.where, s.fail = 'inner', pick { 1, 3, 10 }, false, false
      s.before, s.after = nil, nil
      return s
    end)
  end)

  it('are the same from a pipe in small pieces, without the compiler, and of msgpack', function()
    for seed = 301, 306 do
      math.randomseed(seed)
      local s = pick { random_join, random_window_join, random_session_join }()
      local dir = h.folder()
      local input = stream(seed, 1500, pick { 3, 50 }, pick { 0, 9000 }, 1000, 9)
      local text = script(s, dir)
      local file = h.write(text, dir .. '/s.lua')
      local where = ('seed %d\n%s'):format(seed, text)
      local plain = h.run({ 'run', '--quiet', file }, input)
      assert.equal(0, plain.code, plain.err)
      assert.not_equal('', plain.out)
      local late = h.read(dir .. '/late')
      os.remove(dir .. '/late')
      compare(plain.out, h.run({ 'run', '--quiet', '--no-jit', file }, input).out, 'no compiler, ' .. where)
      compare(late, h.read(dir .. '/late'), 'late events, ' .. where)
      h.write(input, dir .. '/in')
      local piped = h.shell(('python3 tests/spec/tools/pieces.py 3 <%s/in | %s'):format(dir, h.command { 'run', '--quiet', file }))
      compare(plain.out, piped.out, 'pieces, ' .. where)
      -- msgpack's own packer, and its reader for the rows
      local packed = h.shell(([[%s -c 'import json, msgpack, sys
for line in sys.stdin: sys.stdout.buffer.write(msgpack.packb(json.loads(line)))' <%s/in | %s | %s -c 'import json, msgpack, sys
for row in msgpack.Unpacker(sys.stdin.buffer): print(json.dumps(row, separators=(",", ":")))']]):format(h.python, dir,
        h.command { 'run', '--quiet', '--format', 'msgpack', '--out-format', 'msgpack', file }, h.python))
      assert.equal(0, packed.code, packed.err)
      compare(plain.out, packed.out, 'msgpack, ' .. where)
    end
  end)

  -- of three streams; of rows of windows with the events they were made of, outer too: what is due in front of a join has its turn first
  it('follow each other, and windows: sqlite3 answers the same', function()
    local dir = h.folder()
    math.randomseed(7)
    local lines, t = {}, 0
    for i = 1, 3000 do
      t = t + math.random(0, 300)
      lines[i] = ('{"s":"%s","k":%d,"ts":%d,"i":%d,"p":%d}'):format(pick { 'a', 'b', 'c' }, math.random(1, 60), t, i, math.random(1, 12))
    end
    h.write(table.concat(lines, '\n') .. '\n', dir .. '/in')
    local function sql(select)
      h.write(([[create table j (t text);
.mode list
.import %s/in j
create table e as select t->>'s' as s, t->>'k' as k, t->>'ts' as ts, t->>'i' as i, t->>'p' as p from j;
%s;]]):format(dir, select), dir .. '/q.sql')
      return h.sh("sqlite3 -separator '\t' :memory: <%s/q.sql | LC_ALL=C sort", dir)
    end
    local function run(code, options)
      local text = "local tm = require 'tidemill' local s = tm.pipeline 'p':event_time { field = 'ts' }\n" ..
        "local function of(name) return s:filter(function(e) return e.s == name end) end\n" .. code
      local r = h.run({ 'run', '--quiet', h.write(text, dir .. '/s.lua'), '--from', dir .. '/in', unpack(options or {}) })
      assert.equal(0, r.code, r.err)
      return h.sh("LC_ALL=C sort %s", h.write(r.out))
    end
    compare(sql [[select json_object('a', a.i, 'b', b.i, 'c', c.i) from e a
        join e b on a.k = b.k and b.ts between a.ts - 1000 and a.ts + 20000
        join e c on c.p = a.p and c.ts between max(a.ts, b.ts) - 500 and max(a.ts, b.ts) + 9000
        where a.s = 'a' and b.s = 'b' and c.s = 'c']],
      run [[return of 'a':join('ab', of 'b', { on = 'k', within = { before = '1s', after = '20s' }, as = 'b' })
        :join('abc', of 'c', { on = 'p', within = { before = '500ms', after = '9s' }, as = 'c' })
        :map(function(e) return { a = e.i, b = e.b.i, c = e.c.i } end)]], 'three streams')
    for _, order in ipairs { 'local x = of "b" local w = W return x:J', 'local w = W return of "b":J' } do
      local code = order:gsub('W', [[of 'b':key_by 'p':window('w', tm.window.tumbling '10s'):aggregate { most = tm.agg.max 'k' }]])
        :gsub('J', [[join('j', w, { on = { k = 'most', p = 'p' }, within = { before = '0s', after = '10s' }, kind = 'left', as = 'w',
          where = function(l, r) return l.ts >= r.window_start and l.ts < r.window_end end })
          :map(function(e) return { i = e.i, most = e.w and e.w.most } end)]])
      compare(sql [[select case when m is null then json_object('i', i) else json_object('i', i, 'most', m) end from (select i,
        case when k = max(k) over (partition by p, ts / 10000) then k end as m from e where s = 'b')]], run(code), order)
    end
    compare(sql [[select json_object('i', b.i, 'n', n) from e b
        join (select p, ts / 10000 as w, count(*) as n from e where s = 'c' group by 1, 2) c
      on b.p = c.p and b.ts / 10000 = c.w where b.s = 'b']],
      run [[local n = of 'c':key_by 'p':window('n', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }
        return of 'b':window_join('j', n, tm.window.tumbling '10s', { on = 'p', as = 'c' })
          :map(function(e) return { i = e.i, n = e.c.n } end)]],
      'windows of windows')
    -- what a window's join sends is in a window of that end: there it is paired with itself, and counted, when both are complete
    local paired = [[from (select a.k, a.i as ai, b.i as bi, a.ts / 10000 as w from e a join e b on a.k = b.k
      and a.ts / 10000 = b.ts / 10000
      where a.s = 'a' and b.s = 'b') x join (select a.k, a.i as ci, b.i as di, a.ts / 10000 as w from e a join e b on a.k = b.k
      and a.ts / 10000 = b.ts / 10000 where a.s = 'a' and b.s = 'b' and a.p > 6) y on x.k = y.k and x.w = y.w]]
    local behind = [[local w = of 'a':window_join('ab', of 'b', tm.window.tumbling '10s', { on = 'k', as = 'b' })
      return w:window_join('ww', w:filter(function(e) return e.p > 6 end), tm.window.tumbling '10s', { on = 'k', as = 'c' })]]
    compare(sql("select json_object('a', ai, 'b', bi, 'c', ci, 'd', di) " .. paired),
      run(behind .. ':map(function(e) return { a = e.i, b = e.b.i, c = e.c.i, d = e.c.b.i } end)'), 'pairs of a window')
    compare(sql("select json_object('k', x.k, 'n', count(*), 'window_start', x.w * 10000) " .. paired .. ' group by x.k, x.w'), run(
      behind .. [[:late_to(tm.sink.stdout()):key_by 'k':window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }
        :select { 'k', 'n', 'window_start' }]]), 'pairs of a window, counted')
    -- rows without a partner are as old as the wait for one, and are not late for windows behind; nor for those of a second join
    for _, kind in ipairs { 'left', 'inner', 'full' } do
      compare(sql(([[select json_object('k', k, 'n', count(*), 'window_start', t / 10000 * 10000) from (
          select coalesce(a.k, b.k) as k, max(coalesce(a.ts, b.ts), coalesce(b.ts, a.ts)) as t
            from (select * from e where s = 'a') a %s join (select * from e where s = 'b') b
            on a.k = b.k and b.ts between a.ts - 4000 and a.ts + 20000) group by k, t / 10000]]):format(kind)),
        run(([[return of 'a':join('ab', of 'b', { on = 'k', within = { before = '4s', after = '20s' }, kind = '%s' })
          :late_to(tm.sink.stdout()):window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }
          :select { 'k', 'n', 'window_start' }]]):format(kind)), kind)
    end
    -- a stream with itself: each event is a partner of its own
    compare(sql [[select json_object('l', a.i, 'r', b.i) from e a join e b on a.k = b.k and b.ts between a.ts and a.ts + 5000]],
      run [[return s:join('self', s, { on = 'k', within = { after = '5s' } })
        :map(function(e) return { l = e.i, r = e.right.i } end)]], 'itself')
  end)

  it('of CSV give rows of the declared types; a field of the name of `as` is replaced', function()
    local code = [[(function(s) return s:filter(function(e) return e.side == 'l' end)
      :join('j', s:filter(function(e) return e.side == 'r' end), { on = 'id', unbounded = true, as = 'note' })
      end)(stream:schema { id = 'int64', v = 'decimal(2)' })]]
    local r = h.run({ 'run', '--quiet', '--format', 'csv', '--out-format', 'json', '-e', code },
      'side,id,v,note\nl,9007199254740993,1.50,a\nr,9007199254740993,2.5,b\nl,9007199254740992,1,c\n')
    assert.equal('{"side":"l","id":9007199254740993,"v":1.50,"note":{"side":"r","id":9007199254740993,"v":2.5,"note":"b"}}\n', r.out)
    r = h.run({ 'run', '--quiet', '-e', code }, '{"side":"l","id":1,"n\\u006fte":5,"z":[ ]}\n{"side":"r","id":1}\n{ "side":"l","id":1 }\n')
    assert.equal('{"side":"l","id":1,"n\\u006fte":{"side":"r","id":1},"z":[ ]}\n' ..
      '{ "side":"l","id":1,"note":{"side":"r","id":1}}\n', r.out)
  end)

  it('rows have the key and the time of their events; a row without a partner that fails is a dead letter', function()
    local dir = h.folder()
    local code = [[(function(s) return s:filter(function(e) return e.l end):join('j', s:filter(function(e) return e.r end),
      { on = { id = 'ref' }, within = { after = '1s' }, kind = 'full', as = 'o' })
      :map(function(e) if e.bad then error 'bad' end if e.o and e.o.bad then error 'bad too' end
        return { k = tm.meta(e).key, t = tm.time(e) } end) end)(stream:event_time { field = 'ts' }:on_error(tm.sink.file 'DEAD'))]]
    local r = h.run({ 'run', '--quiet', '-e', (code:gsub('DEAD', dir .. '/dead')) }, [[{"l":1,"id":7,"ts":10}
{"r":1,"ref":7,"ts":500}
{"l":1,"id":"7","ts":600,"bad":true}
{"r":1,"ref":8,"ts":700,"bad":true}
{"l":1,"id":8,"ts":700}
{"r":1,"ref":9,"ts":2000}
]])
    assert.equal(0, r.code)
    assert.same({ { k = 7, t = 500 }, { k = 9, t = 2000 } }, h.rows(r.out))
    local letters = h.rows(h.read(dir .. '/dead'))
    assert.equal(3, #letters)
    assert.same({ l = 1, id = 8, ts = 700 }, letters[1].event)   -- it meets the bad one, and is itself not kept
    assert.same({ o = { r = 1, ref = 8, ts = 700, bad = true } }, letters[2].row)
    assert.same({ 8, 'stdin:6', 'map#5' }, { letters[2].key, letters[2].position, letters[2].step })
    assert.same({ l = 1, id = '7', ts = 600, bad = true }, letters[3].row)
  end)

  it('are refused where they say nothing or contradict themselves', function()
    local function join(options, left, right, op)
      return ("(function(s) return s%s:%s('j', s%s, %s) end)(stream:event_time { field = 'ts' })"):format(left or '', op or 'join',
        right or '', options)
    end
    local function windows(options, window)
      return join((window or "tm.window.tumbling '1m'") .. ', ' .. options, nil, nil, 'window_join')
    end
    for code, want in pairs {
      [join "{ on = 'id' }"] = "join keeps every event for ever; write within = { after = '15m' }, or unbounded = true",
      [join "{ within = { after = '1m' } }"] = "join takes what makes two events partners: on = 'id'",
      [join "{ on = 5, unbounded = true }"] = "'on' is a field of both sides, or { left = 'right' }",
      [join "{ on = { id = 5 }, unbounded = true }"] = "'on' is a field of both sides",
      [join "{ on = 'id', within = '15m' }"] = "'within' is a table: within = { before = '0s', after = '15m' }, got '15m'",
      [join "{ on = 'id', within = { aftr = '15m' } }"] = "'within' has no 'aftr' (did you mean 'after'?)",
      [join "{ on = 'id', within = {} }"] = "'within' says how far the right event may be",
      [join "{ on = 'id', within = { after = 15 } }"] = "a duration needs a unit",
      [join "{ on = 'id', within = { before = '-2s', after = '1s' } }"] = "'within' is empty: it ends before it begins",
      [join "{ on = 'id', within = { after = '1s' }, unbounded = true }"] = "'within' is a bound; leave 'unbounded' out",
      [join "{ on = 'id', unbounded = true, knd = 'left' }"] = "join has no option 'knd' (did you mean 'kind'?)",
      [join "{ on = 'id', unbounded = true, kind = 'lefft' }"] = "is one of 'inner', 'left', 'right', 'full'",
      [join "{ on = 'id', unbounded = true, as = 'id' }"] = "'id' is a field of the key; give 'as' another name",
      [join("{ on = 'id', unbounded = true, as = 'x' }", ":select { 'id', 'x' }")] = "the left stream has a field 'x' (select)",
      [join "{ on = 'id', unbounded = true, where = 5 }"] = "'where' is function(left, right) … end, got a number",
      [join "{ on = 'id', unbounded = true, max = 0.5 }"] = "'max' is how many events of a key and side are kept",
      ["stream:join('j', { on = 'id' })"] = "join takes the other stream behind the name",
      ["stream:join({ on = 'id' })"] = 'join keeps state, so it needs a name',
      ["stream:join('j', stream, { on = 'id', within = { after = '1s' } })"] = "needs event time on both sides, and the left one has none",
      ["stream:event_time { field = 'a' }:join('j', stream:event_time { field = 'b' }, { on = 'id', within = { after = '1s' } })"] =
        'both sides need the same clock, and they have event_time apart (-e:1 and -e:1)',
      [windows "{ on = 'id', within = { after = '1s' } }"] = "window_join has no option 'within'",
      [windows("{ on = 'id' }", 'tm.window.global()')] = 'window_join takes tumbling, hopping and session windows, got global',
      [windows("{ on = 'id' }", 'tm.window.count(5)')] = 'window_join takes tumbling, hopping and session windows, got count',
      [windows("{ on = 'id' }", "'1m'")] = 'window_join takes what kind of windows behind the other stream',
      [windows "{ on = 'id', as = 'window_end' }"] = "'window_end' is a field of its rows already",
      [windows("{ on = 'id' }", "tm.window.hopping('1h', '100ms')")] = 'each event would go into 36000 windows one by one',
      [join("{ on = 'id', unbounded = true }", ":running('j', { n = tm.agg.count() }, { unbounded = true })")] = "the name 'j' is taken by",
    } do
      local r = h.run { 'check', '-e', code }
      assert.equal(3, r.code, code .. r.err)
      assert.truthy(r.err:find('%-e:1: ') and r.err:find(want, 1, true), code .. '\n' .. r.err)
    end
  end)

  it('find an event that `where` keeps, with check --sample', function()
    local file = h.write('{"l":1,"id":1,"ts":1}\n{"r":1,"id":1,"ts":2}\n{"r":1,"id":1,"ts":3}\n')
    for _, op in ipairs { "join('j', s:filter(function(e) return e.r end), {", "window_join('j', s:filter(function(e) return e.r end), " ..
      "tm.window.tumbling '1s', {", "window_join('j', s:filter(function(e) return e.r end), tm.window.session '1s', {" } do
      for _, side in ipairs { 'l', 'r' } do
        local r = h.run { 'check', '--sample', file, '-e', ([[(function(s) local kept
          return s:filter(function(e) return e.l end):%s on = 'id', %s where = function(l, r)
            local x = kept and kept.id kept = %s return true
          end }) end)(stream:event_time { field = 'ts' })]]):format(op, op:find '^join' and 'unbounded = true,' or '', side) }
        assert.truthy(r.err:find('event kept after its call; use tm.copy', 1, true), r.err)
      end
    end
    local r = h.run { 'check', '--sample', file, '-e', [[(function(s) local kept
      return s:filter(function(e) return e.l end):window_join('j', s:filter(function(e) return e.r end), tm.window.session(function(e)
        local x = kept and kept.id kept = e return 5 end), { on = 'id' }) end)(stream:event_time { field = 'ts' })]] }
    assert.truthy(r.err:find('event kept after its call; use tm.copy', 1, true), r.err)
  end)

  it('of more streams than one loop holds are refused with what to do; six are not', function()
    local function code(n)
      return "(function(s) local j = s for i = 1, " .. n .. [[ do
        j = j:join('j' .. i, s:filter(function(e) return e.k == i end), {
        on = 'id', within = { after = '1s' }, kind = 'left', as = 'r' .. i,
          where = function(l, r) return l.v >= r.v end }) end return j end)(
        stream:event_time { field = 'ts' })]]
    end
    local r = h.run({ 'run', '--quiet', '-e', code(6) }, '{"ts":1,"id":1,"k":2,"v":1}\n{"ts":2,"id":1,"k":6,"v":1}\n')
    assert.equal(0, r.code, r.err)
    local self = '{"ts":1,"id":1,"k":2,"v":1}'
    assert.equal(('{"ts":1,"id":1,"k":2,"v":1,"r2":%s,"r6":{"ts":2,"id":1,"k":6,"v":1}}\n'):format(self) ..
      '{"ts":2,"id":1,"k":6,"v":1,"r6":{"ts":2,"id":1,"k":6,"v":1}}\n', r.out)
    r = h.run { 'run', '-e', code(30) }
    assert.equal(3, r.code)
    assert.truthy(r.err:find("the pipeline 'e' has more joins, flat_maps and processes than fit into one loop", 1, true), r.err:sub(1, 300))
  end)

  it('are drawn with both inputs', function()
    local code = [[(function(s) return s:filter(function(e) return e.a end):join('settle', s:filter(function(e) return e.b end),
      { on = { id = 'auth' }, within = { before = '-1s', after = '15m' }, kind = 'left' }) end)(stream:event_time { field = 'ts' })]]
    local text = h.run({ 'graph', '-e', code }).out
    assert.truthy(text:find('join settle: left, on id = auth, within -1s before to 15m after, as right', 1, true), text)
    assert.truthy(text:find('join settle, as its right side', 1, true), text)
    local dot = h.run({ 'graph', '--format', 'dot', '-e', code }).out
    assert.truthy(dot:find('p0_4 -> p0_3 [label="right"]', 1, true), dot)
    code = code:gsub(':join', ':window_join')
    local session = h.run({ 'graph', '-e', (code:gsub("{ on = .*'left' }", "tm.window.session '5m', { on = 'id' }")) }).out
    assert.truthy(session:find('window_join settle: on id, session gap 5m, as right', 1, true), session)
  end)

  it('keep what `state` shows, until it is past', function()
    local code = [[(function(s) return s:join('j', s:filter(function(e) return e.r end), { on = 'id', within = { after = '10s' } })
      end)(stream:event_time { field = 'ts' })]]
    local lines = {}
    for i = 1, 1000 do lines[i] = ('{"id":%d,"ts":%d%s}'):format(i, i * 1000, i % 2 == 0 and ',"r":1' or '') end
    local input = table.concat(lines, '\n') .. '\n'
    local r = h.run({ 'state', 'ls', '--json', '-e', code }, input)
    local row = h.decode(r.out)[1]
    assert.same({ 'e/j', 'join' }, { row.name, row.kind })
    assert.is_true(row.keys <= 12, r.out)   -- of ten seconds, one a second
    r = h.run({ 'state', 'get', 'e/j', '1000', '-e', code }, input)
    local event = { time = 1000000, event = { id = 1000, ts = 1000000, r = 1 } }
    assert.same({ id = 1000, left_events = 1, right_events = 1, left = { event }, right = { event } }, h.decode(r.out))
    -- sessions are gone at the end of input, whatever became of their records
    code = code:gsub("join%('j', (.*), { on = 'id', [^\n]* }%)", "window_join('j', %1, tm.window.session '10s', { on = 'id' })")
    row = h.decode(h.run({ 'state', 'ls', '--json', '-e', code }, input).out)[1]
    assert.same({ 'e/j', 'window_join', 0 }, { row.name, row.kind, row.keys })
    assert.truthy(h.run({ 'state', 'ls', '-e', code }, input).out:find('open windows', 1, true))
  end)

  -- which of the two is read when is the host's; what comes out is not
  it('of two pipelines: sqlite3 answers the same, of two files and of one input, for every kind', function()
    local dir = h.folder()
    math.randomseed(11)
    local lines, sides, t = {}, { l = {}, r = {} }, 0
    for i = 1, 2500 do
      t = t + math.random(0, 300)
      local side = pick { 'l', 'r' }
      lines[i] = ('{"s":"%s","k":%d,"ts":%d,"i":%d}'):format(side, math.random(1, 40), t, i)
      table.insert(sides[side], lines[i])
    end
    local all = table.concat(lines, '\n') .. '\n'
    h.write(all, dir .. '/in')
    for name, list in pairs(sides) do h.write(table.concat(list, '\n') .. '\n', dir .. '/' .. name) end
    local head = ([[create table j (t text);
.mode list
.import %s/in j
create table e as select *, sum(new) over (partition by k order by ts, i) as session from (
  select t->>'s' as s, t->>'k' as k, t->>'ts' as ts, t->>'i' as i,
    ifnull(t->>'ts' - lag(t->>'ts') over (partition by t->>'k' order by t->>'ts', t->>'i') > 4000, 1) as new from j);
create view l as select * from e where s = 'l'; create view r as select * from e where s = 'r';
]]):format(dir)
    local ends = { inner = 'where l.i is not null and r.i is not null', left = 'where l.i is not null', right = 'where r.i is not null',
      full = '' }
    local function sql(kind, on)
      local select = "select json_object('k', coalesce(l.k, r.k), 'l', l.i, 'r', r.i) from l full join r on l.k = r.k and %s %s;"
      h.write(head .. select:format(on, ends[kind]), dir .. '/q.sql')
      return h.sh("sqlite3 :memory: <%s/q.sql | LC_ALL=C sort", dir)
    end
    local sources = { files = { ":from(tm.source.file '" .. dir .. "/l')", ":from(tm.source.file '" .. dir .. "/r')" },
      input = { ":filter(function(e) return e.s == 'l' end)", ":filter(function(e) return e.s == 'r' end)" } }
    for kind in pairs(ends) do
      for _, how in ipairs {
        { "join('j', r, { on = 'k', within = { before = '2s', after = '15s' }, kind = 'KIND', as = 'o' })",
          'r.ts between l.ts - 2000 and l.ts + 15000' },
        { "join('j', r, { on = 'k', unbounded = true, kind = 'KIND', as = 'o', " ..
          'where = function(l, r) return l.i + 7 > r.i and r.i > l.i end })',
          'l.i + 7 > r.i and r.i > l.i' },
        { "window_join('j', r, tm.window.tumbling '10s', { on = 'k', kind = 'KIND', as = 'o' })", 'l.ts / 10000 = r.ts / 10000' },
        { "window_join('j', r, tm.window.session '4s', { on = 'k', kind = 'KIND', as = 'o' })", 'l.session = r.session' },
      } do
        local want = sql(kind, how[2])
        for source, from in pairs(sources) do
          local text = ([[local tm = require 'tidemill'
local l = tm.pipeline 'l'%s:event_time { field = 'ts', out_of_order = '10m' }
local r = tm.pipeline 'r'%s:event_time { field = 'ts', out_of_order = '10m' }
local j = l:%s
return { j:map(function(e) return { k = e.k, l = e.i or tm.null, r = e.o and e.o.i or tm.null } end):to(tm.sink.stdout()),
  tm.pipeline 'n':from(j):running('n', { n = tm.agg.count() }, { unbounded = true, emit = 'final' }):to(tm.sink.file '%s/n') }]]):format(
            from[1], from[2], how[1]:gsub('KIND', kind), dir)
          os.remove(dir .. '/n')
          local file = h.write(text, dir .. '/s.lua')
          local r = source == 'input' and h.run({ 'run', '--quiet', file }, all) or h.run { 'run', '--quiet', file }
          assert.equal(0, r.code, r.err)
          local got = h.sh('LC_ALL=C sort %s', h.write(r.out))
          compare(want, got, text)
          assert.equal(select(2, got:gsub('\n', '')), h.decode(h.read(dir .. '/n')).n, text)
        end
      end
    end
  end)

  it('of two pipelines: the watermark is the least of both, in a spec too', function()
    local dir = h.folder { ['j_spec.lua'] = [[local tm = require 'tidemill'
it('waits for the slower side', function()
  local l = tm.pipeline 'l':from(tm.source.file { path = 'l', name = 'l' }):event_time { field = 'ts' }
  local r = tm.pipeline 'r':from(tm.source.file { path = 'r', name = 'r' }):event_time { field = 'ts' }
  local t = tm.testing.run(l:join('j', r, { on = 'k', within = { after = '1s' }, kind = 'left' })
    :to(tm.sink.file { path = 'o', name = 'o' }))
  t:send('l', { k = 1, ts = 1000 }) t:send('l', { k = 2, ts = 1500 }) t:send('l', { k = 1, ts = 90000 })
  assert.same({}, t:out 'o')
  t:send('r', { k = 2, ts = 1600 })
  assert.same({ { k = 2, ts = 1500, right = { k = 2, ts = 1600 } } }, t:out 'o')
  t:send('r', { k = 9, ts = 2001 })
  assert.same({ { k = 1, ts = 1000 } }, t:out 'o')      -- r has passed 2000
  t:send('l', { k = 9, ts = 1000 })                     -- behind both
  assert.same(1, #t:late())
  t:watermark('r', math.huge)
  assert.same({}, t:out 'o')
  t:watermark(math.huge)
  assert.same({ { k = 1, ts = 90000 } }, t:out 'o')
end)
]] }
    local r = h.run({ 'test' }, nil, { cwd = dir })
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('gives a flat_map behind it the row to send on as it is', function()
    local r = h.run({ 'run', '--quiet', '-e', [[(function(s) return s:filter(function(e) return e.a end):join('j',
      s:filter(function(e) return e.b end), { on = 'k', within = { before = '0s', after = '1s' } }) end)(stream:event_time { field = 't' })
      :flat_map(function(e, emit) emit(e) e.a = 'written' emit(e) end)]] },
      '{"t":1,"k":1,"a":1}\n{"t":2,"k":1,"b":2}\n{"t":3,"k":2,"b":2}\n')
    assert.equal('{"t":1,"k":1,"a":1,"right":{"t":2,"k":1,"b":2}}\n{"t":1,"k":1,"a":"written","right":{"t":2,"k":1,"b":2}}\n', r.out, r.err)
  end)
end)
