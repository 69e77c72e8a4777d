--[[
tables_spec.lua - tm.table, lookup, changes. Random streams of rows, deletions, versions out of order and questions against a slow
reference in Python (tables_reference.py); the plain case against SQLite's left join; msgpack against Python's; what is kept, in which
order files are read, mistakes.
]]

local h = require 'spec.helper'

local function generate(seed, cases, events)
  local dir = h.folder()
  local r = h.shell(('python3 tests/spec/tables_reference.py %d %d %s %s'):format(seed, cases, dir, events or ''))
  assert(r.code == 0, r.err)
  return dir
end

--- Runs one case; feed: a command that the events pass through on their way to standard input.
local function compare(dir, feed, ...)
  local changes = h.path 'changes'
  local args = { 'run', '--json', '--set', 'changes=' .. changes, dir .. '/script.lua', ... }
  if not feed then args[#args + 1] = '--from' args[#args + 1] = dir .. '/in.ndjson' end
  local line = h.command(args)
  if feed then line = ('%s < %s/in.ndjson | %s'):format(feed, dir, line) end
  local r = h.shell(line)
  assert.equal(0, r.code, r.err)
  local counters = h.decode(r.err:match '{"exit_code".*').counters
  local script = h.read(dir .. '/script.lua')
  for name, got in pairs { rows = r.out, changes = h.read(changes) or '' } do
    local want = h.read(dir .. '/want-' .. name)
    if want ~= got then assert.equal(want, got, script .. '\n' .. name .. ' of ' .. dir) end
  end
  assert.equal(h.read(dir .. '/want-counts'), ('%d %d\n'):format(counters.lookups_missed, counters.lookups_mistyped), script)
  return #r.out
end

describe('random tables', function()
  it('give what the slow reference does', function()
    local dir, bytes = generate(21, 60), 0
    for i = 0, 59 do bytes = bytes + compare(dir .. '/' .. i, i % 8 == 0 and 'python3 tests/spec/tools/pieces.py ' .. i or nil) end
    assert.is_true(bytes > 100000)
  end)

  it('give it compiled and interpreted', function()
    local dir = generate(22, 4, 2500)
    for i = 0, 3 do
      compare(dir .. '/' .. i)
      compare(dir .. '/' .. i, nil, '--no-jit')
    end
  end)
end)

-- 500 accounts of which some are there twice, 3000 events of which some have an account that is not; some without
local PROFILES, EVENTS = {}, {}
do
  local seed = 7
  local function random(n)
    seed = (seed * 16807) % 2147483647
    return seed % n
  end
  for i = 1, 550 do
    PROFILES[i] = { ('acc%d'):format(random(500)), ({ 'gold', 'silver', 'a "b", c', '' })[random(4) + 1], random(1000) }
  end
  for i = 1, 3000 do EVENTS[i] = { i, random(10) > 0 and ('acc%d'):format(random(600)) or nil } end
end

local function csv_of(rows)
  local lines = { 'account,tier,score' }
  for _, r in ipairs(rows) do lines[#lines + 1] = ('%s,"%s",%d'):format(r[1], r[2]:gsub('"', '""'), r[3]) end
  return table.concat(lines, '\n') .. '\n'
end

describe('lookup', function()
  local events = {}
  for i, e in ipairs(EVENTS) do
    events[i] = e[2] and ('{"id":%d,"account":"%s"}'):format(e[1], e[2]) or ('{"id":%d}'):format(e[1])
  end
  local input, profiles = table.concat(events, '\n') .. '\n', csv_of(PROFILES)

  for _, missing in ipairs { 'keep', 'drop' } do
    it('is the join of SQL, ' .. missing, function()
      local dir = h.folder { ['profiles.csv'] = profiles, ['events.ndjson'] = input }
      -- the last row of a key counts
      local want = h.shell(([[cd %s && sqlite3 :memory: <<'SQL'
.mode csv
.import profiles.csv p
.mode list
.separator |
.nullvalue nil
create table lines(t text);
.separator "\001"
.import events.ndjson lines
.separator |
create table e as select json_extract(t, '$.id') id, json_extract(t, '$.account') account from lines;
select e.id, p.tier, p.score from e %s join p on p.account = e.account and
  p.rowid = (select max(rowid) from p q where q.account = e.account) order by e.id;
SQL]]):format(dir, missing == 'keep' and 'left' or 'inner'))
      assert.equal(0, want.code, want.err)
      local script = h.write(([[local tm = require 'tidemill'
local p = tm.table('profiles', { key = 'account', from = tm.source.file '%s/profiles.csv' })
return tm.pipeline 'e':lookup(p, { as = 'p', missing = '%s' })
  :map(function(e) return { line = e.id .. '|' .. (e.p and e.p.tier or 'nil') .. '|' .. (e.p and e.p.score or 'nil') } end)]]):format(
        dir, missing))
      local r = h.run({ 'run', '--quiet', script, '--out-format', 'lines' }, input)
      assert.equal(0, r.code, r.err)
      assert.equal(want.out, r.out)
    end)
  end

  it('keeps the bytes of a row, and of the event', function()
    local dir = h.folder { ['t.ndjson'] = '{ "k" : "a",  "n":1.50, "o": {"x" :[1, 2]} }\n{"k":"b","n":1e2}\n' }
    local script = h.write(([[local tm = require 'tidemill'
local t = tm.table('t', { key = 'k', from = tm.source.file '%s/t.ndjson' })
return tm.pipeline 'e':lookup(t, { on = { id = 'k' } }):filter(function(e) return e.t == nil or e.t.n > 1 end)
  :lookup(t, { on = { other = 'k' }, as = 'second' })]]):format(dir))
    local r = h.run({ 'run', '--quiet', script },
      '{"id": "a", "v":2.0}\n{"id":"b","other":"a","second":1,"w":[ ]}\n{"second":9,"id":null}\n')
    assert.equal(table.concat({ '{"id": "a", "v":2.0,"t":{ "k" : "a",  "n":1.50, "o": {"x" :[1, 2]} }}',
      '{"id":"b","other":"a","second":{ "k" : "a",  "n":1.50, "o": {"x" :[1, 2]} },"w":[ ],"t":{"k":"b","n":1e2}}',
      '{"id":null}' }, '\n') .. '\n', r.out, r.err)
  end)

  it('reads rows as any nested object', function()
    local dir = h.folder { ['t.ndjson'] =
      [==[{"k":1,"s":"plain","e":"q\"é\n","n":null,"f":false,"a":[1,[2]],"o":{"p":{"q":5}}}]==] .. '\n' }
    local script = h.write(([[local tm = require 'tidemill'
local t = tm.table('t', { key = 'k', from = tm.source.file '%s/t.ndjson' })
return tm.pipeline 'e':lookup(t, { on = 'k' }):map(function(e)
  local p, names = e.t, {}
  local out = { s = p.s, e = p.e, n = p.n == nil, null = tm.is_null(p, 'n'), f = p.f, absent = p.zzz == nil,
    q = p.o.p.q, a = p.a[2][1], len = #p.a }
  for name in pairs(p) do names[#names + 1] = name end
  out.names = names
  out.copy = tm.copy(p).o
  p.o.p.q, p.new, p.s = 6, true, nil
  out.changed, out.gone = tm.copy(p), p.s == nil
  return out
end)]]):format(dir))
    local r = h.run({ 'run', '--quiet', script }, '{"k":1}\n')
    assert.equal(0, r.code, r.err)
    local got = h.decode(r.out ~= '' and r.out or error(r.err))
    assert.same({ s = 'plain', e = 'q"é\n', n = true, null = true, f = false, absent = true, q = 5, a = 2, len = 2,
      names = { 'k', 's', 'e', 'n', 'f', 'a', 'o' }, copy = { p = { q = 5 } }, gone = true,
      changed = { k = 1, e = 'q"é\n', n = h.null, f = false, a = { 1, { 2 } }, o = { p = { q = 6 } }, new = true } }, got)
    h.write('{"k":1,"big":9007199254740993}\n', dir .. '/t.ndjson')
    local fails = h.run({ 'run', '--quiet', '-e', ([[stream:lookup(tm.table('t', { key = 'k', from = tm.source.file '%s/t.ndjson' }))
  :filter(function(e) return e.t.big > 1 end)]]):format(dir) }, '{"k":1}\n')
    assert.truthy(fails.err:find("field 't.big' holds 9007199254740993", 1, true), fails.err)
  end)

  it('carries msgpack as it is', function()
    local dir = h.folder()
    local python = h.python .. [==[ - %s <<'EOF'
import msgpack, sys
d = sys.argv[1]
rows = [{'k': b'\x00\xff', 'skip': 1}, {'k': 'a', 'bin': b'\x00\x01\xff', 'ext': msgpack.ExtType(5, b'xyz'),
         'f': 1.5, 'whole': 3.0, 'n': None,
         'big': 2**63,
         't': msgpack.Timestamp(5, 6), 'm': {'x': [1, b'z']}}]
open(d + '/t.msgpack', 'wb').write(b''.join(msgpack.packb(r) for r in rows[1:]))
open(d + '/e.msgpack', 'wb').write(b''.join(msgpack.packb(e) for e in [{'k': 'a', 'v': b'e'}, {'k': 'b'}]))
open(d + '/want.msgpack', 'wb').write(b''.join(msgpack.packb(e) for e in [{'k': 'a', 'v': b'e', 't': rows[1]}, {'k': 'b'}]))
EOF]==]
    assert.equal(0, h.shell(python:format(dir)).code)
    local r = h.run { 'run', '--quiet', '--from', dir .. '/e.msgpack', '--out-format', 'msgpack', '-e',
      ("stream:lookup(tm.table('t', { key = 'k', from = tm.source.file '%s/t.msgpack' }))"):format(dir) }
    assert.equal(0, r.code, r.err)
    assert.is_true(h.read(dir .. '/want.msgpack') == r.out)
  end)

  it('tells once that keys are of another type, and what to write', function()
    local dir = h.folder { ['p.csv'] = 'id,tier\n1,gold\n2,iron\n' }
    local code = "stream:lookup(tm.table('p', { key = 'id', from = tm.source.file '" .. dir .. "/p.csv'%s }))"
    local r = h.run({ 'run', '-e', code:format '' }, '{"id":1}\n{"id":2}\n{"id":"x"}\n')
    local _, times = r.err:gsub('lookup: \'id\' of the event is a number, 1, but \'id\' of table \'p\' holds strings only', '')
    assert.equal(1, times, r.err)
    assert.truthy(r.err:find("{ schema = { id = 'number' }, … }); CSV has strings only", 1, true), r.err)
    assert.truthy(r.err:find 'lookups missed +3\n', r.err)
    assert.truthy(r.err:find 'lookups mistyped +2\n', r.err)
    local sample = h.run { 'check', '--sample', h.write '{"id":1}\n', '-e', code:format '' }
    assert.truthy(sample.err:find("'id' of the event is a number, 1", 1, true), sample.err)
    assert.truthy(sample.out:find('learned from 1 event:', 1, true), sample.out)
    local mended = h.run({ 'run', '-e', code:format ", schema = { id = 'number' }" }, '{"id":1}\n')
    assert.equal('{"id":1,"p":{"id":1,"tier":"gold"}}\n', mended.out)
    assert.is_nil(mended.err:find('lookups', 1, true), mended.err)
  end)

  it('is taken back, as the row is, with the event that fails', function()
    local r = h.run({ 'run', '--quiet', '-e', [[(function()
  local s = stream
  local t = tm.table('t', { key = 'k', from = s:filter(function(e) return e.v end), max_keys = 9 })
  local failing = s:filter(function(e) if e.fail then error 'no' end return false end)
  return { failing, s:filter(function(e) return e.ask end):lookup(t) }
end)()]] }, '{"k":1,"v":1}\n{"k":1,"v":2,"fail":true}\n{"k":2,"v":2,"fail":true}\n{"k":1,"ask":1}\n{"k":2,"ask":2}\n')
    assert.equal('{"k":1,"ask":1,"t":{"k":1,"v":1}}\n{"k":2,"ask":2}\n', r.out, r.err)
  end)
end)

describe('a table that is read first', function()
  local many = {}
  for i = 1, 5000 do many[i] = ('{"k":%d,"v":"%s"}'):format(i, ('v'):rep(50)) end

  local function run(options, stdin)
    local dir = h.folder { ['z.ndjson'] = table.concat(many, '\n') .. '\n', ['a.ndjson'] = '{"k":5000}\n' }
    local code = ([[local tm = require 'tidemill'
local t = tm.table('t', { key = 'k', from = tm.pipeline 'clean':from(tm.source.file '%s/z.ndjson'):select { 'k' } %s })
return tm.pipeline 'e'%s:lookup(t)]]):format(dir, options, stdin and '' or (":from(tm.source.file '%s/a.ndjson')"):format(dir))
    return h.run({ 'run', '--quiet', h.write(code) }, stdin)
  end

  it('is complete, whatever the names of files and whoever asks', function()
    assert.equal('{"k":5000,"t":{"k":5000}}\n', run('').out)
    assert.equal('{"k":5000,"t":{"k":5000}}\n', run(', wait = true').out)
    assert.equal('{"k":1,"t":{"k":1}}\n{"k":5000,"t":{"k":5000}}\n', run('', '{"k":1}\n{"k":5000}\n').out)
    assert.equal('{"k":5000}\n', run(', wait = false').out)
  end)

  it('is read first also by those who read its source besides', function()
    local dir = h.folder { ['rows.ndjson'] = '{"k":1,"v":1}\n{"k":2,"v":2}\n', ['asks.ndjson'] = '{"k":1}\n{"k":2}\n' }
    local r = h.run({ 'run', '--quiet', h.write(([[local tm = require 'tidemill'
local rows, asks = tm.pipeline 'rows':from(tm.source.file '%s/rows.ndjson'), tm.pipeline 'asks':from(tm.source.file '%s/asks.ndjson')
local t = tm.table('t', { key = 'k', from = rows })
return tm.union(asks, rows:filter(function(e) return e.k == 2 end)):lookup(t)]]):format(dir, dir)) })
    assert.equal('{"k":2,"v":2,"t":{"k":2,"v":2}}\n{"k":1,"t":{"k":1,"v":1}}\n{"k":2,"t":{"k":2,"v":2}}\n', r.out, r.err)
  end)

  it('may be standard input, and then files wait', function()
    local events = h.write '{"k":2}\n'
    local r = h.shell(("(sleep 0.3; echo '{\"k\":2,\"v\":1}') | %s"):format(h.command { 'run', '--quiet', '-e', ([[
tm.pipeline 'asks':from(tm.source.file '%s'):lookup(tm.table('t', { key = 'k', from = stream, max_keys = 9, wait = true }))]]):format(
      events) }))
    assert.equal('{"k":2,"t":{"k":2,"v":1}}\n', r.out, r.err)
  end)
end)

describe('versions', function()
  it('that nobody can ask for any more are not kept', function()
    local lines = {}
    for i = 1, 60000 do
      lines[i] = ('{"ts":%d,"since":%d,"k":%d,"v":"%s"}'):format(i, i - i % 7, i % 3, ('x'):rep(60))
    end
    local dir = h.folder { ['in.ndjson'] = table.concat(lines, '\n') .. '\n', ['s.lua'] = [[local tm = require 'tidemill'
local s = tm.pipeline 's':event_time { field = 'ts', out_of_order = '10ms' }
local t = tm.table('t', { key = 'k', from = s, time = 'since', versioned = '1s', max_keys = 10 })
return s:lookup(t, { as = 'row' }):filter(function(e) return e.row == nil end)]] }
    assert.equal('', h.run({ 'run', '--quiet', dir .. '/s.lua', '--from', dir .. '/in.ndjson' }).out)
    local ls = h.decode(h.run({ 'state', 'ls', '--json', dir .. '/s.lua', '--from', dir .. '/in.ndjson' }).out)
    assert.equal('t', ls[1].name)
    assert.equal(3, ls[1].keys)
    -- a third of a second of them a key is 330 versions of 100 bytes; all would be 6 MB
    assert.is_true(ls[1].bytes < 500000, ls[1].bytes)
    local got = h.run { 'state', 'get', 't', '1', dir .. '/s.lua', '--from', dir .. '/in.ndjson' }
    local versions = h.decode(got.out).versions
    assert.is_true(#versions > 140 and #versions < 460, #versions)
    assert.equal(59998 - 59998 % 7, versions[#versions].time)
  end)

  it('of a million events out of order come out right, in little time', function()
    -- each half of the time steps backwards: every other row is put in front of many
    local lines = {}
    for i = 1, 20000 do lines[i] = ('{"k":"a","since":%d}'):format(i % 2 == 0 and i or 40000 - i) end
    local dir = h.folder { ['t.ndjson'] = table.concat(lines, '\n') .. '\n' }
    local r = h.run({ 'run', '--quiet', '-e', ([[stream:event_time { field = 'ts' }
  :lookup(tm.table('t', { key = 'k', from = tm.source.file '%s/t.ndjson', time = { field = 'since' } }))]]):format(dir) },
      '{"k":"a","ts":1}\n{"k":"a","ts":3}\n{"k":"a","ts":20000}\n{"k":"a","ts":20002}\n{"k":"a","ts":99999}\n')
    assert.equal('{"k":"a","ts":1}\n{"k":"a","ts":3,"t":{"k":"a","since":2}}\n{"k":"a","ts":20000,"t":{"k":"a","since":20000}}\n' ..
      '{"k":"a","ts":20002,"t":{"k":"a","since":20001}}\n{"k":"a","ts":99999,"t":{"k":"a","since":39999}}\n', r.out, r.err)
  end)
end)

describe('tables', function()
  it('are found by state, graph and specs', function()
    local dir = h.folder { ['p.csv'] = 'id,tier\n1,gold\n2,iron\n', ['s.lua'] = [[local tm = require 'tidemill'
local p = tm.table('people', { key = 'id', from = tm.source.file(tm.setting('dir', '.') .. '/p.csv') })
return tm.pipeline 'e':lookup(p, { on = { person = 'id' }, missing = 'drop' })]],
      ['s_spec.lua'] = [[local tm = require 'tidemill'
describe('it', function() it('works', function()
  local t = tm.testing.run 's.lua'
  t:send('./p.csv', { id = '7', tier = 'tin' })
  t:send('stdin', { person = '7' })
  t:send('stdin', { person = '8' })
  assert.same({ { person = '7', people = { id = '7', tier = 'tin' } } }, t:out 'e')
  assert.same({ id = '7', tier = 'tin' }, t:state('people', '7'))
  assert.is_nil(t:state('people', '8'))
end) end)]] }
    local function state(...)
      local args = { 'state', ... }
      args[#args + 1] = '--set'
      args[#args + 1] = 'dir=' .. dir
      return h.run(args, '').out
    end
    assert.truthy(state('ls', dir .. '/s.lua'):find 'people +table +2 .*files that end')
    assert.equal('{"id":"1","row":{"id":"1","tier":"gold"}}\n{"id":"2","row":{"id":"2","tier":"iron"}}\n',
      state('get', 'people', dir .. '/s.lua'))
    assert.equal('{"id":"2","row":{"id":"2","tier":"iron"}}\n', state('get', 'people', '"2"', dir .. '/s.lua'))
    local text = h.run({ 'graph', dir .. '/s.lua' }).out
    assert.truthy(text:find('table people: key id', 1, true), text)
    assert.truthy(text:find('· looked up by pipeline e', 1, true), text)
    assert.truthy(text:find('lookup people on person = id as people', 1, true), text)
    local dot = h.run({ 'graph', '--format', 'dot', dir .. '/s.lua' }).out
    assert.truthy(dot:find('p0_1 -> p1_1 [label="lookup"];', 1, true), dot)
    local spec = h.run({ 'test', dir .. '/s_spec.lua' }, nil, { cwd = dir })
    assert.equal(0, spec.code, spec.out .. spec.err)
  end)
end)

describe('mistakes with tables', function()
  local T = "tm.table('t', { key = 'k', from = tm.source.file 'x.csv' })"
  for _, case in ipairs {
    { 'stream:lookup(stream)', 'lookup takes a table: ', 'got a stream; a table is made of one by tm.table' },
    { "stream:lookup('t')", "got 't'" },
    { "stream:lookup(tm.table('t'))", "tm.table takes a table { key = 'account', from = tm.source.file 'profiles.csv' }, got nil" },
    { "stream:lookup(tm.table({}))", "a table needs a name: tm.table('profiles'" },
    { "stream:lookup(tm.table('t', { from = stream }))", "tm.table takes the field its rows are found by: { key = 'account'" },
    { "stream:lookup(tm.table('t', { key = 'k' }))",
      "tm.table takes what its rows come from: { from = tm.source.file 'profiles.csv' }, or a stream; got nil" },
    { "stream:lookup(tm.table('t', { key = 'k', frm = stream }))", "tm.table has no option 'frm' (did you mean 'from'?)" },
    { "stream:lookup(tm.table('t', { key = {}, from = stream }))", "tm.table: 'key' takes a list of at least one field name" },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, time = 5 }))",
      "tm.table: 'time' takes the field from whose time on" },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, time = { fild = 'x' } }))",
      "'time' has no option 'fild' (did you mean 'field'?)" },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, time = { field = 'x', unit = 'min' } }))",
      "'unit' of 'time' is one of 's'" },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, versioned = '7d' }))",
      "'versioned' says how long versions are kept, and which one holds when is told by time = 'since'" },
    { "stream:event_time { field = 'x' }:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, time = 's', versioned = 7 }))",
      "tm.table: 'versioned': ", '7ms' },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, delete = true }))",
      'tm.table takes delete = function(row) … end' },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, time = 's' }))",
      "lookup in a table with 'time' needs event time: write :event_time" },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 0 }))", "tm.table: 'max_keys' is a whole number of at least 1" },
    { 'stream:lookup(' .. T .. ", { on = 'account' })", "the key of the table is 'k', not 'account'; write on = { account = 'k' }" },
    { "stream:lookup(tm.table('t', { key = { 'a', 'b' }, from = tm.source.file 'x.csv' }), { on = 'a' })",
      "the keys of the table are 'a', 'b'; 'on' lacks 'b'" },
    { 'stream:lookup(' .. T .. ", { on = { x = 'k', y = 'k' } })", "'on' has two fields for 'k' of the table" },
    { 'stream:lookup(' .. T .. ", { on = 5 })", "'on' takes a field of both sides, a list of them, or { left = 'right' }" },
    { 'stream:lookup(' .. T .. ", { missing = 'skip' })", "option 'missing' is one of 'keep', 'drop', got 'skip'" },
    { 'stream:lookup(' .. T .. ", { ass = 'x' })", "lookup has no option 'ass' (did you mean 'as'?)" },
    { 'stream:lookup(' .. T .. ", { as = '' })", "'as' is the name of the field that gets the row" },
    { T .. ':change()', "a table has no 'change' (did you mean 'changes'?)" },
    { "tm.table('t', { key = 'op', from = stream, max_keys = 1 }):changes()", "changes: 'op' is a field of its rows" },
    { '(function() local t = ' .. T .. ' return stream end)()', "nobody reads the table 't'; look it up" },
    { '(function() return stream:lookup(' .. T .. ', { as = "a" }):lookup(' .. T .. ') end)()',
      "two tables are called 't', the other one in -e:1" },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream }))",
      "table 't' keeps a row for each key, and what it is made of may never end; give max_keys" },
    { "stream:event_time { field = 'x' }:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, time = 's' }))",
      "table 't' keeps every version of a row, and what it is made of may never end; give versioned = '7d'" },
    { "stream:lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1, wait = true }))",
      "table 't' cannot be read to its end first (wait = true): its rows come from 'stdin', which is read by whoever looks it up" },
    { "stream:lookup(tm.table('t', { key = 'k', from = tm.source.file { path = 'x', follow = true }, max_keys = 1, wait = true }))",
      "table 't' is to be read to its end (wait = true), but 'x' never ends; leave wait out" },
    { "stream:lookup(tm.table('t', { key = 'k', from = tm.source.every '1s', max_keys = 1, wait = true }))", "but 'every' never ends" },
    { T, 'the script must return a stream or a list of streams' },
  } do
    it(case[1]:sub(1, 90), function()
      local r = h.run({ 'run', '-e', case[1] }, '')
      assert.equal(3, r.code, r.err)
      assert.truthy(r.err:find('-e:1', 1, true) or case[1] == T, r.err)
      for i = 2, #case do assert.truthy(r.err:find(case[i], 1, true), r.err) end
      assert.is_nil(r.err:find('tidemill.%a+:%d'), r.err)
    end)
  end

  it('tell what a row lacks, and go on', function()
    local r = h.run({ 'run', '-e', [[(function()
  local t = tm.table('t', { key = { 'a', 'b' }, from = stream:filter(function(e) return e.row end), max_keys = 5 })
  return stream:filter(function(e) return e.ask end):lookup(t)
end)()]] }, '{"row":1,"a":1}\n{"row":2,"a":1,"b":{}}\n{"row":3,"a":1,"b":2}\n{"ask":1,"a":1,"b":2}\n{"ask":2,"a":[],"b":2}\n')
    assert.equal('{"ask":1,"a":1,"b":2,"t":{"row":3,"a":1,"b":2}}\n', r.out)
    assert.truthy(r.err:find("the event has no 'a', 'b', by which table#%d+ tells events apart"), r.err)
    assert.truthy(r.err:find 'events failed +3\n', r.err)
  end)
end)
