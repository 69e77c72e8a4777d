-- msgpack streams through the real program: both ways, types in Lua, what is refused and where reading goes on.
-- Expected bytes are written down from the specification of msgpack; whole streams are judged by Python's msgpack and json
-- (msgpack_reference.py).
local helper = require 'spec.helper'

local python = helper.python

--- Bytes from hexadecimal digits.
local function hex(text)
  return (text:gsub('%s', ''):gsub('%x%x', function(c) return string.char(tonumber(c, 16)) end))
end

local function shown(bytes)
  return (bytes:gsub('.', function(c) return ('%02x '):format(c:byte()) end):gsub(' $', ''))
end

--- Runs CODE over msgpack; options: out (format), more arguments.
local function run(code, bytes, out, ...)
  return helper.run({ 'run', '--quiet', '-e', code, '--format', 'msgpack', '--out-format', out or 'msgpack', ... }, bytes)
end

local function packed(code, bytes, ...)
  local r = run(code, bytes, 'msgpack', ...)
  return shown(r.out), r
end

local function json(code, bytes, ...)
  local r = run(code, bytes, 'json', ...)
  return r.out, r
end

--- Lines as msgpack.
local function from_json(lines)
  return helper.run({ 'run', '--quiet', '-e', 'stream', '--out-format', 'msgpack' }, lines)
end

local A1 = hex '81 a1 61 01'   -- { a = 1 }

describe('msgpack in and out', function()
  it('agrees with another implementation on random events, in every direction', function()
    local r = helper.shell(('%s tests/spec/msgpack_reference.py %s %d 2'):format(python, helper.quote(helper.bin), 1))
    assert.equal(0, r.code, r.out .. r.err)
    assert.truthy(r.out:match '^%d+ comparisons')
  end)

  it('passes events byte for byte, in whatever form they came', function()
    local odd = hex 'df 00 00 00 02 d9 01 61 cf 00 00 00 00 00 00 00 01 db 00 00 00 01 62 ca 3f c0 00 00'
    assert.equal(shown(odd .. A1), (packed('stream', odd .. A1)))
    assert.equal(shown(odd), (packed('stream:filter(function(e) return e.a == 1 and e.b == 1.5 end)', odd .. hex '80')))
  end)

  it('leaves the other fields as they are when one is written, nested ones too', function()
    local event = hex '83 a1 61 d3 00 00 00 00 00 00 00 01 a3 67 65 6f 82 a3 6c 61 74 ca 3f c0 00 00 a1 78 91 cd 00 01 a1 62 c4 01 ff'
    assert.equal('83 a1 61 02 a3 67 65 6f 82 a3 6c 61 74 ca 3f c0 00 00 a1 78 91 cd 00 01 a1 62 c4 01 ff',
      (packed('stream:map(function(e) e.a = 2 return e end)', event)))
    assert.equal('83 a1 61 d3 00 00 00 00 00 00 00 01 a3 67 65 6f 83 a3 6c 61 74 ca 3f c0 00 00 a1 78 91 cd 00 01 ' ..
      'a1 79 a1 7a a1 62 c4 01 ff',
      (packed("stream:map(function(e) e.geo.y = 'z' return e end)", event)))
    assert.equal('82 a1 61 d3 00 00 00 00 00 00 00 01 a1 62 c4 01 ff', (packed("stream:drop { 'geo' }", event)))
    assert.equal('82 a1 67 82 a3 6c 61 74 ca 3f c0 00 00 a1 78 91 cd 00 01 a1 62 c4 01 ff',
      (packed("stream:rename { geo = 'g' }:select { 'g', 'b' }", event)))
  end)

  it('writes integers as the shortest int, other numbers as float64, keys of tables in byte order', function()
    local code = [[stream:map(function(e) return { z = -1, a = 127, b = 128, c = 65536, d = 2^53, e = 0.5, f = 'é', g = true, h = tm.null,
      i = { 1, { x = {} } }, j = tm.array {}, k = -0.0, l = 1e300, m = 1e20, n = -129 } end)]]
    assert.equal('8f a1 61 7f a1 62 cc 80 a1 63 ce 00 01 00 00 a1 64 cf 00 20 00 00 00 00 00 00 a1 65 cb 3f e0 00 00 00 00 00 00 ' ..
      'a1 66 a2 c3 a9 a1 67 c3 a1 68 c0 a1 69 92 01 81 a1 78 80 a1 6a 90 a1 6b cb 80 00 00 00 00 00 00 00 a1 6c cb 7e 37 e4 3c 88 00 ' ..
      '75 9c a1 6d cb 44 15 af 1d 78 b5 8c 40 a1 6e d1 ff 7f a1 7a ff', (packed(code, hex '80')))
  end)

  it('writes maps of more than 15 and more than 65,535 members', function()
    for _, n in ipairs { 15, 16, 65535, 65536 } do
      local members = {}
      for i = 1, n do members[i] = ('"%d":%d'):format(i, i) end
      local r = from_json('{"t":{' .. table.concat(members, ',') .. '}}\n')
      local count = helper.shell(python .. [[ -c 'import msgpack,sys
m = msgpack.load(sys.stdin.buffer)["t"]
print(len(m), all(m[str(i)] == i for i in range(1, len(m) + 1)))']], r.out)
      assert.equal(n .. ' True\n', count.out, r.err .. count.err)
    end
  end)

  it('reads JSON and writes msgpack, and the other way', function()
    local r = from_json('{"a":1,"b":[1.0,"x\\u00e9",null],"c":{"d":-5e-1}}\n\n{}\n')
    assert.equal('83 a1 61 01 a1 62 93 cb 3f f0 00 00 00 00 00 00 a3 78 c3 a9 c0 a1 63 81 a1 64 cb bf e0 00 00 00 00 00 00 80',
      shown(r.out))
    assert.equal('{"a":1,"b":[1,"xé",null],"c":{"d":-0.5}}\n{}\n', (json('stream', r.out)))
  end)

  it('the last of duplicate keys counts, and writing it removes the others', function()
    local twice = hex '83 a1 61 01 a1 62 02 a1 61 03'
    assert.equal('{"x":3}\n', (json('stream:map(function(e) return { x = e.a } end)', twice)))
    assert.equal('82 a1 62 02 a1 61 04', (packed('stream:map(function(e) e.a = 4 return e end)', twice)))
    assert.equal(shown(twice), (packed('stream', twice)))
  end)
end)

describe('types of msgpack in Lua', function()
  it('bin is a string that remembers it', function()
    local event = hex '82 a1 62 c4 03 61 00 ff a1 73 a1 61'
    local code = [[stream:map(function(e) local b = e.b
      return { len = #b, sub = b:sub(1, 1), byte = b:byte(3), text = tostring(b) == 'a\0\255', cat = b:sub(1, 1) .. e.s, same = b == e.b,
        other = b == tm.bin 'a', copy = b, list = { b }, plain = tm.bin(e.s) } end)]]
    assert.equal('{"byte":255,"cat":"aa","copy":"YQD/","len":3,"list":["YQD/"],"other":false,"plain":"YQ==","same":true,' ..
      '"sub":"a","text":true}\n',
      (json(code, event)))
    assert.equal('83 a1 62 c4 03 61 00 ff a1 73 a1 61 a1 63 c4 03 61 00 ff',
      (packed('stream:map(function(e) e.c = e.b return e end)', event)))
    assert.equal('81 a1 63 91 c4 03 61 00 ff', (packed('stream:map(function(e) return { c = { e.b } } end)', event)))
  end)

  it('extensions and timestamps are opaque values that can be made and compared', function()
    local event = hex '82 a1 65 c7 03 05 61 62 63 a1 74 d7 ff 01 31 2d 00 5b e1 a6 50'
    local code = [[stream:map(function(e) return { type = e.e.type, data = e.e.data, s = e.t.seconds, ns = e.t.nanoseconds,
      same = e.t == tm.timestamp(1541514832, 5000000), later = tm.timestamp(1541514832, 6000000) > e.t, shown = tostring(e.t) } end)]]
    assert.equal('{"data":"abc","later":true,"ns":5000000,"s":1541514832,"same":true,"shown":"timestamp(1541514832, 5000000)","type":5}\n',
      (json(code, event)))
    assert.equal('{"e":{"ext":5,"data":"YWJj"},"t":"2018-11-06T14:33:52.005Z"}\n', (json('stream', event)))
    assert.equal('84 a1 61 d4 07 78 a1 62 c7 03 80 61 62 63 a1 63 d6 ff 00 00 00 01 a1 64 c7 0c ff 00 00 00 00 ff ff ff ff ff ff ff ff',
      (packed([[stream:map(function(e) return { a = tm.ext(7, 'x'), b = tm.ext(-128, 'abc'), c = tm.timestamp(1),
        d = tm.timestamp(-1, 0) } end)]], hex '80')))
    assert.equal('c7 03 05 61 62 63', (packed('stream:map(function(e) return { x = e.e } end)', event)):sub(-17))
  end)

  it('a constructor says what it takes', function()
    for code, why in pairs {
      ["tm.bin(1)"] = 'tm.bin takes a string, got a number', ["tm.ext(128, '')"] = 'tm.ext takes a type from -128 to 127',
      ["tm.ext(1, {})"] = 'tm.ext takes a type and a string, got a table',
      ["tm.timestamp(0.5)"] = 'tm.timestamp takes whole seconds and nanoseconds',
      ["tm.timestamp(0, 1e9)"] = 'tm.timestamp takes whole seconds',
    } do
      local _, r = json('stream:map(function(e) return { x = ' .. code .. ' } end)', hex '80')
      assert.truthy(r.err:find(why, 1, true), code .. ': ' .. r.err)
    end
    local _, r = json('stream:map(function(e) e.b.x = 1 return e end)', hex '81 a1 62 c4 00')
    assert.truthy(r.err:find("'b' is not an object", 1, true) or r.err:find('cannot be changed', 1, true), r.err)
  end)

  it('constructors write JSON sinks too, whatever the source', function()
    local code = "stream:map(function(e) e.b = tm.bin(e.s) e.t = tm.timestamp(0) e.x = tm.ext(1, 'a') return e end)"
    local r = helper.e(code, '{"s":"hi"}\n')
    assert.equal('{"s":"hi","b":"aGk=","t":"1970-01-01T00:00:00Z","x":{"ext":1,"data":"YQ=="}}\n', r)
  end)

  it('large integers follow the rules of JSON: digits by schema, untouched unread', function()
    local big = hex '82 a1 61 cf ff ff ff ff ff ff ff ff a1 62 d3 80 00 00 00 00 00 00 00'
    assert.equal('{"a":18446744073709551615,"b":-9223372036854775808}\n', (json('stream', big)))
    local _, r = json('stream:map(function(e) return { x = e.a } end)', big)
    assert.truthy(r.err:find("field 'a' holds 18446744073709551615, an integer outside +-2^53", 1, true), r.err)
    assert.equal('{"x":"-9223372036854775808"}\n', (json("stream:schema { b = 'int64' }:map(function(e) return { x = e.b } end)", big)))
    assert.equal('82 a1 61 cf ff ff ff ff ff ff ff ff a1 62 d3 80 00 00 00 00 00 00 01',
      (packed("stream:schema { b = 'int64' }:map(function(e) e.b = tm.i64.add(e.b, 1) return e end)", big)))
  end)

  it('declared types are checked and kept', function()
    local event = hex '83 a1 69 07 a1 70 cb 40 28 99 99 99 99 99 9a a1 73 a1 78'
    assert.equal('{"j":"7","q":12.3,"t":"x"}\n',
      (json([[stream:schema { i = 'int64', p = 'decimal(2)', s = 'string' }
        :map(function(e) return { j = e.i, q = e.p, t = e.s } end)]], event)))
    local _, r = json("stream:schema { s = 'int64' }", event)
    assert.truthy(r.err:find("field 's' is declared int64, found x", 1, true), r.err)
    _, r = json("stream:schema { b = 'string' }", hex '81 a1 62 c4 01 61')
    assert.truthy(r.err:find("field 'b' is declared string, found bytes or an extension", 1, true), r.err)
  end)

  it('NaN and infinities are read as numbers, kept in msgpack, and fail an event in JSON', function()
    local event = hex '83 a1 78 cb 7f f8 00 00 00 00 00 00 a1 79 ca ff 80 00 00 a1 7a 91 cb 7f f0 00 00 00 00 00 00'
    assert.equal(shown(event), (packed('stream', event)))
    assert.equal('{"inf":true,"nan":true,"nested":true}\n', (json(
      'stream:map(function(e) return { nan = e.x ~= e.x, inf = e.y == -math.huge, nested = e.z[1] == math.huge } end)', event)))
    local dead = helper.path 'dead.ndjson'
    local out, r = json(("stream:on_error(tm.sink.file '%s')"):format(dead), event .. A1)
    assert.equal('{"a":1}\n', out)
    assert.truthy(r.err:find("field 'x' holds a value that JSON cannot carry: NaN or an infinity [not-writable]", 1, true), r.err)
    -- the dead letter holds the message itself, as JSON has no text for it
    local letter = helper.rows(helper.read(dead))[1]
    assert.equal(shown(event), shown(helper.shell('base64 -d', letter.event).out))
  end)

  it('an integer beyond 64 bits cannot become msgpack', function()
    local r = from_json('{"a":[18446744073709551616]}\n{"b":1e400}\n{"c":1}\n')
    assert.equal('81 a1 63 01', shown(r.out))
    assert.truthy(r.err:find("field 'a' holds a value that msgpack cannot carry: an integer beyond 64 bits", 1, true), r.err)
  end)

  it('names met as data beyond what is learnt are read all the same', function()
    local code = [[stream:map(function(e) for i = 1, 300 do local _ = e['n' .. i] end
      return { b = e.late.b, o = e.late.o.x, l = e.late.l[1], n = e.late.n } end)]]
    local event = hex '81 a4 6c 61 74 65 84 a1 62 c4 01 61 a1 6f 81 a1 78 c3 a1 6c 91 ca 3f c0 00 00 a1 6e 05'
    assert.equal('{"b":"YQ==","l":1.5,"n":5,"o":true}\n', (json(code, event)))
    local out = helper.e(code, '{"late":{"b":"YQ==","o":{"x":true},"l":[1.5],"n":5}}\n')
    assert.equal('{"b":"YQ==","l":1.5,"n":5,"o":true}\n', out)
  end)
end)

describe('what is no event', function()
  --- Runs over bad bytes between good ones: rows, dead letters, result.
  local function bad(bytes, ...)
    local dead = helper.path 'dead.ndjson'
    local out, r = json(("stream:on_error(tm.sink.file '%s')"):format(dead), A1 .. bytes .. A1, ...)
    return out, helper.rows(helper.read(dead)), r
  end

  local refused = {
    { '81 01 02', 'byte 1: expected a text as the key of a map, found a number', 'syntax' },
    { '81 a1 61 81 c4 01 61 02', 'byte 4: expected a text as the key of a map, found bin', 'syntax' },
    { '81 a1 61 a2 c3 28', 'byte 3: a text that is not UTF-8', 'syntax' },
    { '81 a2 ff fe 01', 'byte 1: a text that is not UTF-8', 'syntax' },
    { '93 01 02 03', 'not an object: an event is a msgpack map', 'not-object' },
    { 'c0', 'not an object: an event is a msgpack map', 'not-object' },
    { '81 a1 61 ' .. ('91 '):rep(512) .. '01', 'byte 514: nested deeper than 512 levels', 'too-deep' },
  }
  for _, case in ipairs(refused) do
    it('fails alone where its end is known: ' .. case[2], function()
      local out, letters, r = bad(hex(case[1]))
      assert.equal('{"a":1}\n{"a":1}\n', out)
      assert.equal(0, r.code)
      assert.equal(1, #letters)
      assert.same({ case[2], case[3], 'stdin:@4', 'decode' }, { letters[1].reason, letters[1].code, letters[1].position, letters[1].step })
      assert.equal(shown(hex(case[1])), shown(helper.shell('base64 -d', letters[1].event).out))
    end)
  end

  it('an event too long is told and passed over, also when it comes in many blocks', function()
    local long = hex '82 a1 78 93' .. hex 'db 00 0f 42 40' .. ('y'):rep(1000000) .. hex 'c0 01 a1 7a 80'
    local out, letters, r = bad(long, '--max-event', '100K')
    assert.equal('{"a":1}\n{"a":1}\n', out)
    assert.equal(0, r.code)
    assert.same({ 1, 'longer than 102400 bytes (--max-event)', 'stdin:@4' }, { #letters, letters[1].reason, letters[1].position })
  end)

  local broken = {
    { 'c1', 4, 'byte 0: 0xc1 begins no value of msgpack', '0xc1 begins no value of msgpack' },
    { '82 a1 61 01 a1 62 c1', 10, 'byte 6: 0xc1 begins no value of msgpack', '0xc1 begins no value of msgpack' },
    { 'dd ff ff ff ff', 13, 'longer than 16777216 bytes (--max-event)', 'the input ends inside a message' },
    { '81 a1 61 db ff ff ff ff', 16, 'longer than 16777216 bytes (--max-event)', 'the input ends inside a message' },
  }
  for _, case in ipairs(broken) do
    it('where the structure breaks nothing behind it is read: ' .. case[1], function()
      local out, letters, r = bad(hex(case[1]))
      assert.equal('{"a":1}\n', out)
      assert.equal(1, r.code)
      assert.same({ 1, case[3], 'stdin:@4' }, { #letters, letters[1].reason, letters[1].position })
      assert.truthy(r.err:find(('error: stdin: byte %d: %s; nothing behind it can be read'):format(case[2], case[4]), 1, true), r.err)
    end)
  end

  it('a truncated end is told with its place', function()
    local event = hex '82 a1 61 cd 10 00 a1 62 a2 68 69'
    for cut = 1, #event - 1 do
      local out, r = json('stream', A1 .. event:sub(1, cut))
      assert.equal('{"a":1}\n', out)
      assert.equal(1, r.code)
      assert.truthy(r.err:find(('error: stdin: byte %d: the input ends inside a message'):format(4 + cut), 1, true) or
        cut ~= #event - 1, r.err)
      assert.truthy(r.err:find('the input ends inside a message, which needs at least', 1, true), r.err)
    end
  end)

  it('of several files the others are read', function()
    local first, second = helper.write(A1 .. '\xc1' .. A1, helper.path 'a.mp'), helper.write(A1, helper.path 'b.mp')
    local r = helper.run { 'run', '--quiet', '-e', 'stream', '--format', 'msgpack', '--from', first, '--from', second }
    assert.equal('{"a":1}\n{"a":1}\n', r.out)
    assert.equal(1, r.code)
    assert.truthy(r.err:find(first .. ': byte 4: 0xc1', 1, true), r.err)
  end)

  it('each pipeline that reads the source has its dead letter', function()
    local dead = helper.path 'dead.ndjson'
    local script = ([[local tm = require 'tidemill'
      local function p(name) return tm.pipeline(name):on_error(tm.sink.file '%s'):to(tm.sink.discard()) end
      return { p 'x', p 'y' }]]):format(dead)
    local r = helper.run({ 'run', '--quiet', '--format', 'msgpack', helper.write(script, helper.path 's.lua') }, hex '81 01 02')
    assert.equal(0, r.code, r.err)
    assert.equal(2, #helper.rows(helper.read(dead)))
  end)

  it('dead letters are msgpack where their sink is', function()
    local dead = helper.path 'dead.mp'
    packed(("stream:map(function(e) error 'no' end):on_error(tm.sink.file { path = '%s', format = 'msgpack' })"):format(dead),
      hex '81 a1 62 c4 01 ff' .. hex '81 01 02')
    local r = helper.shell(python .. [[ -c 'import msgpack,sys
for m in msgpack.Unpacker(sys.stdin.buffer): print(m["code"], m["event"])']], helper.read(dead))
    assert.equal("lua {'b': b'\\xff'}\nsyntax b'\\x81\\x01\\x02'\n", r.out)
  end)

  it('an event of msgpack is told by its byte', function()
    local r = run("stream:map(function(e) return { p = tm.meta(e).position, raw = #tm.raw(e) } end)", A1 .. A1, 'json')
    assert.equal('{"p":0,"raw":4}\n{"p":4,"raw":4}\n', r.out)
  end)
end)

describe('choosing a format', function()
  it('on sources and sinks of a script', function()
    local source, sink = helper.write(A1 .. hex '81 a1 61 c4 01 ff', helper.path 'in.mp'), helper.path 'out.mp'
    local script = ([[local tm = require 'tidemill'
      return tm.pipeline 'p':from(tm.source.file { path = '%s', format = 'msgpack' }):to(tm.sink.file { path = '%s', format = 'msgpack' })
        :to(tm.sink.stdout { format = 'json' })]]):format(source, sink)
    local r = helper.run { 'run', '--quiet', helper.write(script, helper.path 's.lua') }
    assert.equal('{"a":1}\n{"a":"/w=="}\n', r.out, r.err)
    assert.equal('81 a1 61 01 81 a1 61 c4 01 ff', shown(helper.read(sink)))
  end)

  it('in the environment and in tidemill.lua', function()
    local r = helper.shell('TIDEMILL_FORMAT=msgpack TIDEMILL_OUT_FORMAT=json ' .. helper.command { 'run', '--quiet', '-e', 'stream' }, A1)
    assert.equal('{"a":1}\n', r.out, r.err)
    local folder = helper.folder { ['tidemill.lua'] = "return { format = 'msgpack', out_format = 'msgpack' }" }
    r = helper.run({ 'run', '--quiet', '-e', 'stream' }, A1, { cwd = folder })
    assert.equal(A1, r.out, r.err)
  end)

  it('says what there is', function()
    local r = helper.run({ 'run', '-e', 'stream', '--format', 'msgpak' }, '')
    assert.equal(2, r.code)
    assert.truthy(r.err:find("--format: no format is called 'msgpak'; did you mean msgpack?", 1, true), r.err)
    r = helper.run({ 'run', '-e', "tm.pipeline 'p':from(tm.source.stdin { format = 'msgpac' })" }, '')
    assert.equal(3, r.code)
    assert.truthy(r.err:find(
      "tm.source.stdin: no format is called 'msgpac' (did you mean 'msgpack'?); it has 'csv', 'fluent', 'json', 'lines', 'msgpack'",
      1, true), r.err)
  end)

  it('one place has one format', function()
    local script = [[local tm = require 'tidemill'
      return { tm.pipeline 'a':from(tm.source.file 'x'):to(tm.sink.discard()),
        tm.pipeline 'b':from(tm.source.file { path = 'x', format = 'msgpack' }):to(tm.sink.discard()) }]]
    local r = helper.run { 'check', helper.write(script, helper.path 's.lua') }
    assert.equal(3, r.code)
    assert.truthy(r.err:find("x is read as 'json' and as 'msgpack'; choose one", 1, true), r.err)
  end)

  it('pipelines that feed pipelines keep what values are', function()
    local script = [[local tm = require 'tidemill'
      local a = tm.pipeline 'a':map(function(e) e.n = (e.n or 0) + 1 return e end)
      return tm.pipeline 'b':from(a):map(function(e) e.n = e.n + 1 return e end)]]
    local event = hex '82 a1 62 c4 01 ff a1 66 ca 3f c0 00 00'
    local path = helper.write(script, helper.path 's.lua')
    local r = helper.run({ 'run', '--quiet', '--format', 'msgpack', '--out-format', 'msgpack', path }, event)
    assert.equal('83 a1 62 c4 01 ff a1 66 ca 3f c0 00 00 a1 6e 02', shown(r.out), r.err)
    -- lines keep their bytes
    r = helper.run({ 'run', '--quiet', path }, '{"f": 1.50, "n":1}\n')
    assert.equal('{"f": 1.50, "n":3}\n', r.out, r.err)
  end)

  it('a union of both carries msgpack', function()
    local mp, nd = helper.write(hex '81 a1 62 c4 01 ff', helper.path 'a.mp'), helper.write('{"b":2}\n', helper.path 'b.ndjson')
    local script = ([[local tm = require 'tidemill'
      local x = tm.pipeline 'x':from(tm.source.file { path = '%s', format = 'msgpack' })
      local y = tm.pipeline 'y':from(tm.source.file '%s')
      return tm.union(x, y):map(function(e) e.c = 1 return e end)]]):format(mp, nd)
    local r = helper.run { 'run', '--quiet', '--out-format', 'msgpack', helper.write(script, helper.path 's.lua') }
    assert.equal('82 a1 62 c4 01 ff a1 63 01 82 a1 62 02 a1 63 01', shown(r.out), r.err)
  end)
end)
