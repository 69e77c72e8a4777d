--[[ tm.sink.sqlite: what rows become in a table, whose columns they have, upsert and retractions, what is refused. The program sqlite3
reads what was written; expected values are written by hand, or come from sqlite3 and Python. ]]

local h = require 'spec.helper'

local function query(db, sql) return h.sh('sqlite3 -readonly %s %s', h.quote(db), h.quote(sql)) end
local function make(db, sql) h.sh('sqlite3 %s %s', h.quote(db), h.quote(sql)) end

--- Runs CODE over input; %DB% in it is a path of its own. Returns the path and the result.
local function run(code, input, db, ...)
  db = db or h.path 'out.db'
  local out, r = h.e(code:gsub('%%DB%%', (db:gsub('%%', '%%%%'))), input, ...)
  assert.equal('', out)
  return db, r
end

local ROWS = "stream:to(tm.sink.sqlite { path = '%DB%', table = 'rows' })"

describe('tm.sink.sqlite: values', function()
  --- What sqlite3 says of the values of one row, by column.
  local function typed(row, columns)
    local db, r = run(ROWS, { row })
    assert.equal(0, r.code, r.err)
    local parts = {}
    for i, c in ipairs(columns) do parts[i] = ('typeof("%s") || \' \' || quote("%s")'):format(c, c) end
    return h.lines(query(db, 'SELECT ' .. table.concat(parts, ', char(10), ') .. ' FROM rows'):gsub('\n|', '\n'):gsub('|\n', '\n'))
  end

  it('are integers, reals and texts', function()
    assert.same({ 'integer 1', 'integer -7', 'real 1.5', "text 'x'", "text ''", 'integer 1', 'integer 0', 'null NULL' },
      typed('{"a":1,"b":-7,"c":1.5,"d":"x","e":"","f":true,"g":false,"h":null}', { 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' }))
  end)

  it('keep all digits of integers and of decimals', function()
    assert.same({ 'integer 9223372036854775807', 'integer -9223372036854775808', "text '9223372036854775808'",
      "text '123456789012345678901234567890'", "text '12345678901234567.89'", 'real 0.1', 'real 1.0e+20', "text '1e999'" },
      typed('{"a":9223372036854775807,"b":-9223372036854775808,"c":9223372036854775808,"d":123456789012345678901234567890,' ..
        '"e":12345678901234567.89,"f":0.1,"g":1e20,"h":1e999}', { 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' }))
  end)

  it('are doubles bit for bit', function()
    local numbers = { '0.30000000000000004',
      '1.7976931348623157e308', '5e-324', '2.2250738585072014e-308', '123456.789', '1.10', '-2.5E-3' }
    local rows = {}
    for i, n in ipairs(numbers) do rows[i] = '{"i":' .. i .. ',"x":' .. n .. '}' end
    local db = run(ROWS, rows)
    local got = h.shell(h.python .. [[ -c "
import sqlite3, sys
for i, x in sqlite3.connect(sys.argv[1]).execute('SELECT i, x FROM rows ORDER BY i'):
    print(x == float(sys.argv[1 + i]), type(x).__name__)" ]] .. h.quote(db) .. ' ' .. table.concat(numbers, ' '))
    assert.equal(('True float\n'):rep(#numbers), got.out .. got.err)
  end)

  it('are decimals as they were declared', function()
    local db = run("stream:schema { amount = 'decimal(2)', id = 'int64' }:" .. ROWS:match ':(.*)',
      { '{"id":9007199254740993,"amount":19.90}', '{"id":1,"amount":12345678901234567.89}' })
    assert.equal('9007199254740993|integer|19.9|real\n1|integer|12345678901234567.89|text\n',
      query(db, 'SELECT id, typeof(id), amount, typeof(amount) FROM rows'))
  end)

  it('are texts with every character, NUL and quotes too', function()
    assert.same({ "text '🌊 é \n'", "text 'x''); DROP TABLE rows; --'" },
      (function()
        local list = typed([[{"a":"\ud83c\udf0a \u00e9 \\n","b":"x'); DROP TABLE rows; --"}]], { 'a', 'b' })
        list[1] = list[1]:gsub('\\n', '\n')
        return list
      end)())
    local db = run(ROWS, { [[{"a":"x\u0000y"}]] })
    assert.equal('780079|text\n', query(db, 'SELECT hex(a), typeof(a) FROM rows'))
  end)

  it('are JSON where they are nested', function()
    local db = run(ROWS, { '{"o":{"x":[1, 2.50,"y"]},"l":[],"n":1}' })
    assert.equal('{"x":[1, 2.50,"y"]}|[]|2.5\n', query(db, "SELECT o, l, o ->> '$.x[1]' FROM rows"))
  end)

  it('are what the declared types of a table make of them', function()
    local db = h.path 'typed.db'
    make(db, 'CREATE TABLE rows(i INTEGER, r REAL, t TEXT, n NUMERIC)')
    run(ROWS, { '{"i":"12","r":3,"t":4,"n":"5.0"}' }, db)
    assert.equal('integer|real|text|integer\n', query(db, 'SELECT typeof(i), typeof(r), typeof(t), typeof(n) FROM rows'))
  end)

  it('of a duplicate member are the last one', function()
    assert.same({ 'integer 2' }, typed('{"a":1,"a":2}', { 'a' }))
  end)

  it('of msgpack and CSV are those of their JSON', function()
    local db, r = run(ROWS, 'a,b\n1,x\n', nil, '--format', 'csv')
    assert.equal(0, r.code, r.err)
    assert.equal('text|x\n', query(db, 'SELECT typeof(a), b FROM rows'))
  end)
end)

describe('tm.sink.sqlite: columns', function()
  it('are those of the first row, and a row with another field fails', function()
    local db, r = run(ROWS, { '{"a":1,"b":2}', '{"b":3}', '{"a":4,"c":5}', '{"a":6}' })
    assert.equal('1|2\n|3\n6|\n', query(db, 'SELECT * FROM rows'))
    assert.truthy(r.err:find("field 'c' is none of the columns a,b", 1, true))
  end)

  it('go to the dead letters with the row', function()
    local bad = h.path 'bad'
    local db = run("stream:on_error(tm.sink.file '" .. bad .. "'):" .. ROWS:match ':(.*)', { '{"a":1}', '{"x":1}', '{"a":2}' })
    assert.equal('1\n2\n', query(db, 'SELECT a FROM rows'))
    assert.same({ x = 1 }, h.rows(h.read(bad))[1].event)
  end)

  it('are those of select, whatever the first row has', function()
    local db = run("stream:select { 'a', 'b' }:" .. ROWS:match ':(.*)', { '{"b":1}', '{"a":2,"z":9}' })
    assert.equal('a|b\n|1\n2|\n', h.sh('sqlite3 -header %s "SELECT * FROM rows"', db))
  end)

  it('are those named, of a table that is there too', function()
    local db = h.path 'has.db'
    make(db, "CREATE TABLE rows(id INTEGER PRIMARY KEY, a, b DEFAULT 'none')")
    run("stream:to(tm.sink.sqlite { path = '%DB%', table = 'rows', columns = { 'a' } })", { '{"a":5}', '{"a":6}' }, db)
    assert.equal('1|5|none\n2|6|none\n', query(db, 'SELECT * FROM rows'))
  end)

  it('are those of the table that is there', function()
    local db = h.path 'has.db'
    make(db, 'CREATE TABLE rows(id INTEGER PRIMARY KEY, a, b)')
    local _, r = run(ROWS, { '{"a":5}', '{"b":6,"id":9}', '{"c":1}' }, db)
    assert.equal('1|5|\n9||6\n', query(db, 'SELECT * FROM rows'))
    assert.truthy(r.err:find("field 'c' is none of the columns id,a,b", 1, true))
  end)

  it('have any name', function()
    local names = { [[a \"quote\"]], 'a b', 'select', "it's", [[\u00e9\ud83c\udf0a]], '1', ');--', '[x]', '`', '' }
    local members, want = {}, {}
    for i, n in ipairs(names) do members[i], want[i] = ('"%s":%d'):format(n, i), tostring(i) end
    local db, r = run([=[stream:to(tm.sink.sqlite { path = '%DB%', table = [[t'"; DROP TABLE x; --]] })]=],
      { '{' .. table.concat(members, ',') .. '}' })
    assert.equal(0, r.code, r.err)
    assert.equal(table.concat(want, '|') .. '\n', query(db, [[SELECT * FROM "t'""; DROP TABLE x; --"]]))
    assert.equal('a "quote"\na b\nselect\n', query(db, [[SELECT name FROM pragma_table_info('t''"; DROP TABLE x; --') LIMIT 3]]))
  end)

  it('may be a hundred', function()
    local rows = {}
    for row = 1, 50 do
      local m = {}
      for i = 1, 100 do m[i] = ('"c%d":%d'):format((i * 37 + row) % 100 + 1, ((i * 37 + row) % 100 + 1) * row) end
      rows[row] = '{' .. table.concat(m, ',') .. '}'
    end
    local db, r = run(ROWS, rows)
    assert.equal(0, r.code, r.err)
    assert.equal('50|1275|127500\n', query(db, 'SELECT count(*), sum(c1), sum(c100) FROM rows'))
  end)

  it('that SQLite cannot tell apart, or cannot have, are refused by name', function()
    local _, r = run(ROWS, { '{"a":1,"A":2}', '{"a":3}' })
    assert.truthy(r.err:find("field 'A' differs from another one in case only", 1, true))
    local db
    db, r = run(ROWS, { [[{"a\u0000b":1}]], '{"a":3}' })
    assert.truthy(r.err:find("the name of field 'a…' has a NUL in it", 1, true))
    assert.equal('3\n', query(db, 'SELECT a FROM rows'))
    _, r = run(ROWS, { '{}' })
    assert.truthy(r.err:find('this one has no field', 1, true))
  end)

  it('make a table without rows where they are known', function()
    local db = run("stream:select { 'a' }:" .. ROWS:match ':(.*)', '')
    assert.equal('0\n', query(db, 'SELECT count(*) FROM rows'))
    db = run(ROWS, '')
    assert.equal('0\n', query(db, "SELECT count(*) FROM sqlite_master WHERE name = 'rows'"))
  end)
end)

describe('tm.sink.sqlite: upsert', function()
  local UPSERT = "stream:to(tm.sink.sqlite { path = '%DB%', table = 'rows', key = 'id' })"

  it('replaces the row with the same key', function()
    local db = run(UPSERT, { '{"id":1,"n":1,"m":1}', '{"id":2,"n":5,"m":0}', '{"id":1,"n":2}' })
    assert.equal('1|2|\n2|5|0\n', query(db, 'SELECT id, n, m FROM rows ORDER BY id'))
  end)

  it('takes a key of several fields, of which 1 and "1" differ', function()
    local db = run("stream:to(tm.sink.sqlite { path = '%DB%', table = 'rows', key = { 'a', 'b' } })",
      { '{"a":1,"b":1,"n":1}', '{"a":"1","b":1,"n":2}', '{"a":1,"b":2,"n":3}', '{"n":4,"b":1,"a":1}', '{"a":1.0,"b":1,"n":5}' })
    assert.equal('5,3,2\n', query(db, 'SELECT group_concat(n) FROM (SELECT n FROM rows ORDER BY typeof(a), b)'))
  end)

  it('works where all columns are of the key', function()
    local db, r = run(UPSERT, { '{"id":1}', '{"id":1}', '{"id":2}' })
    assert.equal(0, r.code, r.err)
    assert.equal('1,2\n', query(db, 'SELECT group_concat(id) FROM rows'))
  end)

  it('fails events without a key', function()
    local _, nested = run(UPSERT, { '{"id":[1],"n":1}' })
    assert.truthy(nested.err:find("field 'id' belongs to the key, and is an object or an array", 1, true))
    local db, r = run(UPSERT, { '{"id":1,"n":1}', '{"n":2}', '{"id":null}', '{"id":[1]}', '{"id":3}' })
    assert.equal('1,3\n', query(db, 'SELECT group_concat(id) FROM rows'))
    assert.truthy(r.err:find("field 'id' belongs to the key, and is absent or null", 1, true))
  end)

  it('takes back what retractions take back', function()
    local db = run(UPSERT, { '{"op":"+","id":1,"n":1}', '{"op":"-","id":1,"n":1}', '{"op":"+","id":2,"n":2}', '{"op":"-","id":2,"n":2}',
      '{"op":"+","id":2,"n":3}', '{"op":"-","id":7}' })
    assert.equal('2|3\n', query(db, 'SELECT * FROM rows'))
    assert.equal('id,n\n', query(db, "SELECT group_concat(name) FROM pragma_table_info('rows')"))
  end)

  it('keeps op where it is a column', function()
    local db = run("stream:to(tm.sink.sqlite { path = '%DB%', table = 'rows', key = 'id', columns = { 'id', 'op' } })",
      { '{"id":1,"op":"-"}', '{"id":2,"op":"buy"}' })
    assert.equal('1|-\n2|buy\n', query(db, 'SELECT * FROM rows ORDER BY id'))
    local _, r = run("stream:select { 'id', 'op' }:" .. UPSERT:match ':(.*)', { '{"id":1,"op":"buy"}' })
    assert.truthy(r.err:find("field 'op' is none of the columns id", 1, true))
  end)

  it('holds the last row of each window, whatever was sent before', function()
    local script = ([[local tm = require 'tidemill'
      return tm.pipeline 'w':event_time { field = 'ts', unit = 'ms' }:key_by 'k'
        :window('w', tm.window.tumbling '1s', { lateness = '10s' }):aggregate { n = tm.agg.count() }:emit 'retract'
        :to(tm.sink.sqlite { path = '%s', table = 'counts', key = { 'k', 'window_start' } })]])
    local rows, state = {}, 12345
    for i = 1, 3000 do
      state = (state * 1103515245 + 12345) % 2147483648
      rows[i] = ('{"ts":%d,"k":"%s"}'):format(i * 10 - math.floor(state / 65536) % 4000, ('abc'):sub(i % 3 + 1, i % 3 + 1))
    end
    local db, input = h.path 'w.db', h.path 'w.ndjson'
    h.write(table.concat(rows, '\n') .. '\n', input)
    local r = h.script(script:format(db), nil, '--from', input)
    assert.equal(0, r.code, r.err)
    local want = h.sh([[jq -r '"\(.k)|\((.ts / 1000 | floor) * 1000)"' %s | sort | uniq -c | awk '{print $2 "|" $1}' | sort]], input)
    assert.equal(want, h.sh('sqlite3 -readonly %s "SELECT k, window_start, n FROM counts" | sort', db))
  end)

  it('goes on in a table that has a unique index of the key, and refuses one that has none', function()
    local db = h.path 'has.db'
    make(db, 'CREATE TABLE rows(id, n); INSERT INTO rows VALUES(1, 1)')
    local _, r = run(UPSERT, { '{"id":1,"n":2}' }, db)
    assert.equal(3, r.code)
    assert.truthy(r.err:find("table 'rows' has no primary key or unique index of exactly the fields of key", 1, true))
    make(db, 'CREATE UNIQUE INDEX of_id ON rows(id)')
    run(UPSERT, { '{"id":1,"n":2}' }, db)
    assert.equal('1|2\n', query(db, 'SELECT * FROM rows'))
  end)
end)

describe('tm.sink.sqlite: sinks', function()
  it('of several tables of one database, of several pipelines, count apart', function()
    local db = h.path 'two.db'
    local r = h.script(([[local tm = require 'tidemill'
      local db = '%s'
      local both = tm.sink.sqlite { path = db, table = 'both', columns = { 'n', 'of' } }
      local a = tm.pipeline 'a':filter(function(e) return e.n %% 2 == 0 end):set { of = function() return 'a' end }
      local b = tm.pipeline 'b':filter(function(e) return e.n %% 3 == 0 end):set { of = function() return 'b' end }
      return { a:to(both):to(tm.sink.sqlite { path = db, table = 'even', name = 'the even ones' }), b:to(both) }]]):format(db),
      (function() local t = {} for i = 1, 3000 do t[i] = '{"n":' .. i .. '}' end return t end)())
    assert.equal(0, r.code, r.err)
    assert.equal('2500|3753000\n', query(db, 'SELECT count(*), sum(n) FROM both'))
    assert.equal('1500\n', query(db, 'SELECT count(*) FROM even'))
    assert.equal('both|2500\nthe even ones|1500\n', query(db, 'SELECT sink, rows FROM tidemill_tokens ORDER BY sink'))
    -- as if every event had passed all pipelines before the next
    assert.equal('2,a 3,b 4,a 6,a 6,b 8,a\n', query(db, "SELECT group_concat(n || ',' || of, ' ') FROM (SELECT * FROM both LIMIT 6)"))
  end)

  it('append at each run, and leave a database without files beside it', function()
    local db = run(ROWS, { '{"a":1}' })
    run(ROWS, { '{"a":2}' }, db)
    assert.equal('', h.sh('ls %s-* 2>/dev/null || true', db))   -- before sqlite3, which leaves some when it only reads
    assert.equal('1,2\n', query(db, 'SELECT group_concat(a) FROM rows'))
    assert.equal('rows|1\n', query(db, 'SELECT sink, rows FROM tidemill_tokens'))
  end)

  it('make databases that others can read meanwhile, and leave the mode of one that is there', function()
    local db = run(ROWS, { '{"a":1}' })
    assert.equal('wal\n', query(db, 'PRAGMA journal_mode'))
    db = h.path 'has.db'
    make(db, 'CREATE TABLE x(y)')
    run(ROWS, { '{"a":1}' }, db)
    assert.equal('delete\n', query(db, 'PRAGMA journal_mode'))
  end)

  it('write transactions of at most batch rows', function()
    local rows = {}
    for i = 1, 500 do rows[i] = '{"n":' .. i .. '}' end
    local db = h.path 'b.db'
    make(db, [[CREATE TABLE tidemill_tokens(sink TEXT PRIMARY KEY, run TEXT NOT NULL, rows INTEGER NOT NULL);
      CREATE TABLE steps(n); CREATE TRIGGER t AFTER UPDATE ON tidemill_tokens BEGIN INSERT INTO steps VALUES(new.rows - old.rows); END]])
    run("stream:to(tm.sink.sqlite { path = '%DB%', table = 'rows', batch = 7 })", rows, db)
    assert.equal('500|7|7\n', query(db, 'SELECT sum(n), max(n), (SELECT n FROM steps LIMIT 1) FROM steps'))
  end)

  it('are in the summary and in the graph', function()
    local db = h.path 'g.db'
    local code = "stream:to(tm.sink.sqlite { path = '" .. db .. "', table = 'rows' })"
    local r = h.run({ 'run', '--json', '-e', code }, '{"a":1}\n{"a":2}\n')
    local s = h.decode(h.lines(r.err)[#h.lines(r.err)])
    assert.same({ { flow = 'e -> ' .. db .. ':rows', rows = 2 } }, s.rows)
    assert.equal(2, s.counters.rows_out)
    assert.truthy(h.run({ 'graph', '-e', code }).out:find('sqlite ' .. db .. ':rows', 1, true))
  end)
end)

describe('tm.sink.sqlite: what check refuses', function()
  local function refused(options, what)
    local r = h.run { 'check', '-e', 'stream:to(tm.sink.sqlite ' .. options .. ')' }
    assert.equal(3, r.code, options)
    assert.truthy(r.err:find(what, 1, true), r.err)
  end

  it('options', function()
    refused("'out.db'", "tm.sink.sqlite takes a table of options")
    refused("{ path = 'out.db' }", 'table')
    refused("{ table = 'x' }", "tm.sink.sqlite takes a path: tm.sink.sqlite { path = 'out.db', table = 'alerts' }")
    refused("{ path = 'o', table = 'x', colums = { 'a' } }", "did you mean 'columns'")
    refused("{ path = 'o', table = 'x', mode = 'upsret', key = 'id' }", "upsert")
    refused("{ path = 'o', table = 'x', mode = 'upsert' }", "mode = 'upsert' needs key")
    refused("{ path = 'o', table = 'x', mode = 'append', key = 'id' }", "key belongs to mode = 'upsert'")
    refused("{ path = 'o', table = 'x', key = 'ib', columns = { 'id', 'n' } }", "'ib' is none of the columns id, n (did you mean 'id'?)")
    refused("{ path = 'o', table = 'x', columns = { 'id', 'ID' } }", "'id' and 'ID' are one column to SQLite")
    refused("{ path = 'o', table = 'x', columns = {} }", 'columns are a list of names')
    refused("{ path = 'o', table = 'x', batch = 0 }", 'batch is a whole number of rows from 1 to 1000000, got 0')
    refused("{ path = 'o', table = 'sqlite_x' }", 'is a name that SQLite keeps for itself')
    refused("{ path = 'o', table = 'tidemill_tokens' }", 'is a name that this sink keeps for itself')
    refused("{ path = ':memory:', table = 'x' }", 'is no file')
    refused("{ path = '{day}.db', table = 'x' }", 'has a brace')
  end)

  it('rows of a sample with a field that is none of the columns named, and makes no database', function()
    local db, sample = h.path 'c.db', h.write '{"a":1}\n{"b":1}\n'
    local named = "stream:to(tm.sink.sqlite { path = '%s', table = 't', columns = { 'a' } })"
    local r = h.run { 'check', '--sample', sample, '-e', named:format(db) }
    assert.equal(3, r.code)
    assert.truthy(r.err:find("field 'b' is none of the columns a", 1, true), r.err)
    assert.is_nil(io.open(db))
    local code = "stream:select { 'a', 'b' }:to(tm.sink.sqlite { path = '%s', table = 't', key = 'a' })"
    r = h.run { 'check', '--sample', sample, '-e', code:format(db) }
    assert.truthy(r.err:find("field 'a' belongs to the key, and is absent or null", 1, true), r.err)
    -- what the columns of a table are is not known without opening it
    assert.equal(0, h.run({ 'check', '--sample', sample, '-e', (ROWS:gsub('%%DB%%', db)) }).code)
  end)

  it('two ways to write one table, and two sinks of one name', function()
    local function pair(a, b, what)
      local r = h.run { 'check', '-e', ('return { stream:to(tm.sink.sqlite %s):to(tm.sink.sqlite %s) }'):format(a, b) }
      assert.equal(3, r.code)
      assert.truthy(r.err:find(what, 1, true), r.err)
    end
    pair("{ path = 'o', table = 'x' }", "{ path = 'o', table = 'x', key = 'id' }", 'two different values of key, columns, batch or name')
    local as_file = "return { stream:to(tm.sink.sqlite { path = 'o', table = 'x' }):to(tm.sink.file 'o') }"
    assert.truthy(h.run({ 'check', '-e', as_file }).err:find('o is written as a file and as a database', 1, true))
    local r = h.run { 'check', '-e', "stream:select { 'id', 'n' }:to(tm.sink.sqlite { path = 'o', table = 'x', key = 'ib' })" }
    assert.truthy(r.err:find("o:x: key: 'ib' is none of the columns id, n (did you mean 'id'?)", 1, true), r.err)
    pair("{ path = 'o', table = 'x', name = 'n' }", "{ path = 'o', table = 'y', name = 'n' }", "two sinks are called 'n'")
  end)
end)
