-- CSV and plain lines through the real program: what is a row, headers, types, columns of outputs, flags, faults.
-- Whole files are judged by Python's csv module and by a slow reading of the rules (csv_reference.py), by sqlite3's .import and
-- .mode csv; single cases are written down from RFC 4180 and semantics.md 26.
local h = require 'spec.helper'

local function run(code, text, ...)
  return h.run({ 'run', '--quiet', '-e', code, '--format', 'csv', ... }, text)
end

--- What comes out, and that nothing was said.
local function out(code, text, ...)
  local r = run(code, text, ...)
  assert.equal('', r.err)
  assert.equal(0, r.code)
  return r.out
end

local function to_csv(code, text, ...)
  return h.run({ 'run', '--quiet', '-e', code, '--out-format', 'csv', ... }, text)
end

local function says(r, text)
  assert.truthy(r.err:find(text, 1, true), 'expected: ' .. text .. '\ngot: ' .. r.err .. r.out)
end

describe('CSV in', function()
  it('agrees with other implementations on random files', function()
    for _, simd in ipairs { '', 'TIDEMILL_SIMD=portable ' } do
      local r = h.shell(('%spython3 tests/spec/csv_reference.py %s %d 12'):format(simd, h.quote(h.bin), #simd + 100))
      assert.equal(0, r.code, r.out .. r.err)
      assert.truthy(r.out:match '^%d+ comparisons')
    end
  end)

  it('agrees with sqlite3, both ways', function()
    local csv = h.write('id,name,amount\n1,"a, ""b""",12.5\r\n2,"two\nlines",\n3,é,7', h.path 'in.csv')
    local rows = h.shell(('sqlite3 :memory: ".import --csv %s t" ".mode json" "select * from t"'):format(csv))
    assert.same(h.decode(rows.out), h.rows(out('stream', h.read(csv))))
    local list = rows.out:gsub('^%[', ''):gsub(',\n', '\n'):gsub('%]\n$', '\n')
    local ours = h.write(h.run({ 'run', '--quiet', '-e', 'stream', '--out-format', 'csv' }, list).out)
    local back = h.shell(('sqlite3 :memory: ".import --csv %s t" ".mode json" "select * from t"'):format(ours))
    assert.same(h.decode(rows.out), h.decode(back.out))
    local theirs = h.shell(('sqlite3 -csv -header :memory: ".import --csv %s t" "select * from t"'):format(csv))
    assert.same(h.decode(rows.out), h.rows(out('stream', theirs.out)))
  end)

  it('passes rows byte for byte where the columns are the same', function()
    local text = 'a,b\n"1", x \n"2",""\n"3\n3",\n'
    assert.equal(text, out('stream', text, '--out-format', 'csv'))
    assert.equal('b,a\n x ,"1"\n"","2"\n,"3\n3"\n', out("stream:select { 'b', 'a' }", text, '--out-format', 'csv'))
    assert.equal('a;b\n1; x \n2;\n"3\n3";\n', out('stream', text, '--out-format', 'csv', '--out-delimiter', ';'))
  end)

  it('has all of the view: pairs, reads, writes, raw, copy, rename, drop, null', function()
    local text = 'b,a\n1,"x""y"\n'
    assert.equal('{"k":"b=1;a=x\\"y;","raw":"1,\\"x\\"\\"y\\""}\n', out([[stream:map(function(e)
      local k = '' for name, v in pairs(e) do k = k .. name .. '=' .. v .. ';' end
      return { k = k, raw = tm.raw(e) } end)]], text))
    assert.equal('{"b":"1","a":"x\\"y","c":"x\\"y!"}\n', out("stream:map(function(e) e.c = e.a .. '!' return e end)", text))
    assert.equal('{"a":"x\\"y","n":"1"}\n', out("stream:rename { b = 'n' }", text))
    assert.equal('{"b":"1"}\n', out("stream:drop { 'a' }", text))
    assert.equal('{"a":"x\\"y","b":"1"}\n', out('stream:map(function(e) return tm.copy(e) end)', text))
    assert.equal('{"none":true}\n', out("stream:map(function(e) return { none = e.zz == nil and not tm.is_null(e, 'a') } end)", text))
  end)

  it('reads declared types from the text, and only there', function()
    local text = 'n,i,big,d,ok,t,s\n1.50,7,9007199254740993,12.30,TRUE,2024-05-01T10:00:00Z,007\n'
    local schema = "stream:schema { n = 'number', i = 'integer', big = 'int64', d = 'decimal(2)', ok = 'boolean', t = 'time_iso8601' }"
    assert.equal('{"n":1.50,"i":7,"big":9007199254740993,"d":12.30,"ok":true,"t":"2024-05-01T10:00:00Z","s":"007"}\n', out(schema, text))
    assert.equal(text, out(schema, text, '--out-format', 'csv'))
    assert.equal('{"x":"3,8,9007199254740994,24.6,true,string"}\n', out(schema ..
      [[:map(function(e)
        return { x = table.concat({ e.n * 2, e.i + 1, tm.i64.add(e.big, 1), e.d * 2, tostring(e.ok), type(e.s) }, ',') } end)]], text))
    assert.equal('{"n":1.50,"i":8,"big":9007199254740993,"d":12.30,"ok":true,"t":"2024-05-01T10:00:00Z","s":"007"}\n',
      out(schema .. ':map(function(e) e.i = e.i + 1 return e end)', text))
  end)

  it('two pipelines may declare different types of one column', function()
    local r = h.run({ 'run', '--quiet', '--format', 'csv', h.write([[local tm = require 'tidemill'
      return { tm.pipeline 'a':schema { n = 'number' }, tm.pipeline 'b', tm.pipeline 'c':schema { n = 'string' } }]]) }, 'n\n1\n')
    assert.equal('{"n":1}\n{"n":"1"}\n{"n":"1"}\n', r.out)
  end)

  it('fails what is not of its declared type, the empty text too, and says what was found', function()
    for text, found in pairs { x = "'x'", [' 1'] = "' 1'", ['+1'] = "'+1'", ['01'] = "'01'", ['""'] = "'', an empty text" } do
      local r = run("stream:schema { n = 'number' }", 'n,m\n' .. text .. ',1\n2,2\n')
      assert.equal('{"n":2,"m":"2"}\n', r.out)
      says(r, "field 'n' is declared number, found " .. found)
    end
    assert.equal('{"m":"1"}\n{"n":2,"m":"2"}\n',
      out("stream:map(function(e) if e.n == '' then e.n = nil end return e end):schema { n = 'number' }", 'n,m\n,1\n2,2\n'))
    says(run("stream:schema { n = 'boolean' }", 'n\nyes\n'), "field 'n' is declared boolean, found 'yes'")
  end)

  it('a text in a field declared decimal is read as such before :schema, and is not taken for another row\'s', function()
    local r = run("stream:map(function(e) if e.n == '' then e.n = nil end return e end):schema { n = 'decimal(2)' }",
      'n,m\n1.00,a\n,b\n,c\nx,d\n,e\n2.5,f\nx,g\n')
    assert.equal('{"n":1.00,"m":"a"}\n{"m":"b"}\n{"m":"c"}\n{"m":"e"}\n{"n":2.5,"m":"f"}\n', r.out)
    says(r, "field 'n' is declared decimal(2), found 'x'")
  end)

  it('reads texts that are written to declared fields', function()
    assert.equal('{"n":1234.5}\n', out(
      "stream:map(function(e) e.n = e.n:gsub(',', '') .. '' return e end):schema { n = 'number' }", 'n\n"1,234.5"\n'))
    says(run("stream:map(function(e) e.n = 'x' return e end):schema { n = 'number' }", 'n\n1\n'), "field 'n' is declared number, found 'x'")
  end)

  it('a bad row is one dead letter with its text and its first line, and the next is read', function()
    local bad = h.path 'bad'
    local r = run("stream:on_error(tm.sink.file '" .. bad .. "')",
      'a,b\n1,2\n"x\ny",1,2\n5\n6,"oops\n7,8\n9,"q"z\n\255,1\n"\n",10\n')
    assert.equal('{"a":"1","b":"2"}\n{"a":"7","b":"8"}\n{"a":"\\n","b":"10"}\n', r.out)
    local letters = {}
    for i, l in ipairs(h.rows(h.read(bad))) do letters[i] = { l.position, l.code, l.event, l.step } end
    assert.same({ { 'stdin:3', 'fields', '"x\ny",1,2', 'decode' }, { 'stdin:5', 'fields', '5', 'decode' },
      { 'stdin:6', 'syntax', '6,"oops', 'decode' }, { 'stdin:8', 'syntax', '9,"q"z', 'decode' },
      { 'stdin:9', 'syntax', '�,1', 'decode' } }, letters)
    says(r, 'stdin:3: the row has 3 fields, expected 2: a,b [fields]')
    says(r, "stdin:6: byte 2: the quote that opens this field is not closed")
  end)

  it('works with other formats: unions, links, keyed state, msgpack', function()
    local csv = h.write('id,n\n1,2\n3,"4"\n', h.path 'x.csv')
    local r = h.script(([[local tm = require 'tidemill'
      return tm.union(tm.pipeline 'a':from(tm.source.file '%s'):schema { n = 'number' }, tm.pipeline 'b')
        :map(function(e) e.n = e.n + 1 return e end)]]):format(csv), '{"id":1,"n":10}\n')
    assert.equal('{"id":"1","n":3}\n{"id":"3","n":5}\n{"id":1,"n":11}\n', r.out)
    assert.equal('{"k":"x","n":2}\n{"k":"y\\"","n":1}\n',
      out("stream:key_by 'k':running('r', { n = tm.agg.count() }, { unbounded = true, emit = 'final' })", 'k\nx\n"y"""\nx\n'))
    local packed = out('stream', 'a\n"1"\n', '--out-format', 'msgpack')
    assert.equal('\129\161a\1611', packed)
  end)
end)

describe('columns of CSV in', function()
  it('each file of a pattern has its header, in any order and with other columns', function()
    local dir = h.folder { ['1.csv'] = 'a,b\n1,2\n', ['2.csv'] = '\239\187\191b,c,a\r\n3,4,5\r\n', ['3.csv'] = '', ['4.csv'] = 'a\n6' }
    assert.equal('{"a":"1"}\n{"b":"3","c":"4","a":"5"}\n{"a":"6"}\n',
      (h.run({ 'run', '--quiet', '-e', "stream:map(function(e) if e.b == '2' then e.b = nil end return e end)", '--from',
        dir .. '/*.csv' }).out))
    assert.equal('{"x":"12"}\n{"x":"53"}\n{"x":"6"}\n',
      (h.run({ 'run', '--quiet', '-e', "stream:map(function(e) return { x = e.a .. (e.b or '') } end)", '--from', dir .. '/*.csv' }).out))
  end)

  it('are named by columns, with a header to pass over or without', function()
    assert.equal('{"x":"a","y":"b"}\n{"x":"1","y":"2"}\n', out('stream', 'a,b\n1,2\n', '--columns', 'x,y'))
    local r = h.script([[local tm = require 'tidemill'
      return tm.pipeline 'p':from(tm.source.stdin { format = 'csv', columns = { 'x', 'y' }, header = true })]], 'a,a\n1,2\n')
    assert.equal('{"x":"1","y":"2"}\n', r.out)
  end)

  it('a header that names no columns is told, its file left out, the others read, and the run fails', function()
    local dir = h.folder { ['1.csv'] = 'a,b,a\n1,2,3\n', ['2.csv'] = 'a,,b\n1,2,3\n', ['3.csv'] = 'a\n4\n', ['4.csv'] = '"a\n4\n' }
    local r = h.run({ 'run', '--quiet', '-e', 'stream', '--from', dir .. '/*.csv' })
    assert.equal(1, r.code)
    assert.equal('{"a":"4"}\n', r.out)
    says(r, "1.csv:1: columns 1 and 3 are both called 'a'; nothing of it is read. Name the columns with columns = {…} or --columns")
    says(r, '2.csv:1: column 2 has no name')
    says(r, '4.csv:1: the first row should name the columns, and a quote in it is not closed')
  end)

  it('delimiters: any ASCII character, a tab by three names', function()
    for _, d in ipairs { ';', '|', ' ', '.', '\\t', 'tab', '\t', 'x' } do
      local c = (d == '\\t' or d == 'tab') and '\t' or d
      assert.equal('{"a":1,"b":"2"}\n', out("stream:schema { a = 'number' }", ('a%sb\n1%s2\n'):format(c, c), '--delimiter', d))
    end
    local tsv = h.write('a\tb\n1\t2,3\n', h.path 'x.tsv')
    assert.equal('{"a":"1","b":"2,3"}\n', h.run({ 'run', '--quiet', '-e', 'stream', '--from', tsv }).out)
    for _, d in ipairs { '', ',,', '"', 'ü', '\n' } do
      assert.equal(2, run('stream', '', '--delimiter', d).code)
    end
  end)

  it('refuses options that say nothing, and names where', function()
    local function rejected(options, text)
      local r = h.script("local tm = require 'tidemill'\nreturn tm.pipeline 'p':from(tm.source.stdin " .. options .. ')')
      assert.equal(3, r.code)
      says(r, ':2: tm.source.stdin' .. text)
    end
    rejected("{ format = 'csv', header = false }", ': without a header the columns must be named')
    rejected("{ format = 'csv', columns = {} }", ': columns are a list of names')
    rejected("{ format = 'csv', columns = { 'a', 'a' } }", ": columns 1 and 2 are both called 'a'")
    rejected("{ format = 'csv', delimiter = '::' }", ': a delimiter is one ASCII character')
    rejected("{ delimiter = ';' }", ": 'delimiter' belongs to the format csv, and this is 'json'")
    rejected("{ format = 'cvs' }", ": no format is called 'cvs' (did you mean 'csv'?); it has 'csv', 'fluent', 'json', 'lines', 'msgpack'")
    rejected("{ format = 'csv', delimitr = ';' }", " has no option 'delimitr' (did you mean 'delimiter'?)")
    local r = h.run({ 'run', '-e', 'stream', '--columns', 'a' })
    assert.equal(2, r.code)
    says(r, "--delimiter and --columns are of CSV, and the default input is 'json'; give --format csv too")
  end)
end)

describe('CSV out', function()
  it('writes JSON as RFC 4180 says: quotes where they must be, JSON for what is nested, nothing for null', function()
    local r = to_csv('stream', '{"a":"x","b":1.50,"c":null}\n{"c":{"k":[1,"2"]},"b":true,"a":"q\\"\\u00e9,\\n"}\n{"b":""}\n')
    assert.equal('a,b,c\nx,1.50,\n"q""é,\n",true,"{""k"":[1,""2""]}"\n,,\n', r.out)
    assert.equal('"a,b"\n""\nx\n', to_csv('stream', '{"a,b":null}\n{"a,b":"x"}\n').out)
  end)

  it('takes columns from columns, from select, from the first row', function()
    assert.equal('b,a\n2,1\n', to_csv("stream", '{"a":1,"b":2}\n', '--out-columns', 'b,a').out)
    assert.equal('b,a\n2,\n4,3\n', to_csv("stream:select { 'b', 'a' }", '{"b":2}\n{"a":3,"b":4,"c":5}\n').out)
    assert.equal('b,a\n2,1\n4,\n', to_csv('stream', '{"b":2,"a":1}\n{"b":4}\n').out)
    assert.equal('', to_csv("stream:select { 'a' }:filter(function(e) return false end)", '{"a":1}\n').out)
  end)

  it('the first row that stays says the columns and brings the header', function()
    local r = to_csv([[stream:flat_map(function(e, emit) emit { x = 1 } if e.bad then error 'no' end emit { x = 2 } end)]],
      '{"bad":true}\n{}\n')
    assert.equal('x\n1\n2\n', r.out)
  end)

  it('a row with another field fails, once told, and the others are written', function()
    local r = to_csv('stream', '{"a":1}\n{"a":2,"zz":3}\n{"a":4}\n{"zz":5}\n')
    assert.equal('a\n1\n4\n', r.out)
    says(r, "field 'zz' is none of the columns a")
    assert.equal(1, select(2, r.err:gsub('zz', '')) - select(2, r.err:gsub('{[^\n]*zz', '')))
    says(to_csv('stream', '{}\n'), 'the first row says the columns, and this one has no field')
  end)

  it('has the options of files: delimiter, header, crlf, and no second header in a file that has one', function()
    local path = h.path 'o.csv'
    local function write(options, text)
      return h.script(([[local tm = require 'tidemill'
        return tm.pipeline 'p':to(tm.sink.file { path = '%s'%s })]]):format(path, options), text)
    end
    write('', '{"a":1}\n')
    write('', '{"a":2}\n')
    assert.equal('a\n1\n2\n', h.read(path))
    os.remove(path)
    write(", header = false, crlf = true, delimiter = ';'", '{"a":"1;","b":2}\n')
    assert.equal('"1;";2\r\n', h.read(path))
  end)

  it('several pipelines write one file only with columns they agree on; then it has one header', function()
    local path = h.path 'm.csv'
    local function write(options, a, b)
      os.remove(path)
      return h.script(([[local tm = require 'tidemill'
        local f = tm.sink.file { path = '%s'%s }
        return { tm.pipeline 'a'%s:to(f), tm.pipeline 'b'%s:to(f) }]]):format(path, options, a, b), '{"x":1,"y":2}\n{"x":3,"y":4}\n')
    end
    local r = write('', '', '')
    assert.equal(3, r.code)
    says(r, 'is written as CSV by several pipelines, or with their dead letters, and the columns are not the same everywhere')
    write(", columns = { 'y', 'x' }", '', '')
    assert.equal('y,x\n2,1\n2,1\n4,3\n4,3\n', h.read(path))
    write('', ":select { 'x' }", ":select { 'x' }:filter(function(e) return e.x > 1 end)")
    assert.equal('x\n1\n3\n3\n', h.read(path))
  end)

  it('dead letters have columns of their own', function()
    local path = h.path 'd.csv'
    local code = ("stream:on_error(tm.sink.file '%s'):map(function(e) error 'no' end)"):format(path)
    h.run({ 'run', '--quiet', '-e', code }, '{"a":1}\noops\n')
    local r = h.shell(('python3 -c "import csv,json,sys; print(json.dumps(list(csv.DictReader(open(sys.argv[1])))))" %s'):format(path))
    local letters = h.decode(r.out)
    assert.equal('{"a":1}', letters[1].event)
    assert.equal('oops', letters[2].event)
    assert.equal('syntax', letters[2].code)
    assert.equal('at,code,event,key,pipeline,position,reason,step', h.lines(h.read(path))[1])
  end)
end)

describe('lines', function()
  local function lines(code, text, ...) return h.run({ 'run', '--quiet', '-e', code, '--format', 'lines', ... }, text) end

  it('are events with one field, empty ones too; CR LF ends a line as LF does', function()
    assert.equal('{"line":"a \\"b\\","}\n{"line":""}\n{"line":"c"}\n{"line":"\\rd"}\n', lines('stream', 'a "b",\n\nc\r\n\rd').out)
    assert.equal('a "b",\nc\n', lines("stream:filter(function(e) return e.line ~= '' end)", 'a "b",\n\nc\r\n', '--out-format', 'lines').out)
  end)

  it('that are not UTF-8 fail', function()
    local r = lines('stream', 'a\n\255\nb\n')
    assert.equal('{"line":"a"}\n{"line":"b"}\n', r.out)
    says(r, 'stdin:2: byte 0: not UTF-8 (found 0xff) [syntax]')
  end)

  it('are written from the field line; a row without one, or with a line break in it, fails', function()
    local r = h.run({ 'run', '--quiet', '-e', 'stream', '--out-format', 'lines' },
      '{"line":"a","x":1}\n{"line":7}\n{"x":1}\n{"line":null}\n{"line":"a\\nb"}\n{"line":"\\u00e9"}\n')
    assert.equal('a\n7\né\n', r.out)
    says(r, "the row has no field 'line'")
    says(r, "field 'line' holds a line break")
    assert.equal('line\n"a,"\nb\n', lines('stream', 'a,\nb\n', '--out-format', 'csv').out)
  end)

  it('longer than --max-event are bad lines', function()
    local r = lines('stream', ('x'):rep(40) .. '\nb\n' .. ('y'):rep(16) .. '\n', '--max-event', '16')
    assert.equal('{"line":"b"}\n{"line":"' .. ('y'):rep(16) .. '"}\n', r.out)
    says(r, 'stdin:1: longer than 16 bytes (--max-event)')
  end)
end)
