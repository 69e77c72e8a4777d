-- Messages of Fluent Bit and fluentd through the real program. Random ones are made, and what they hold is written down, by
-- Python's msgpack (fluent_reference.py); bytes of single ones are written down from the forward protocol's specification.
local h = require 'spec.helper'
local r = require 'spec.running'
local kill = require 'spec.kill'

local python = h.python

local function hex(text)
  return (text:gsub('%s', ''):gsub('%x%x', function(c) return string.char(tonumber(c, 16)) end))
end

local function shown(bytes)
  return (bytes:gsub('.', function(c) return ('%02x '):format(c:byte()) end):gsub(' $', ''))
end

-- [EventTime(1700000000, 123456789), { log = 'a' }]
local EVENT = hex '92 d7 00 65 53 f1 00 07 5b cd 15 81 a3 6c 6f 67 a1 61'
local ROW = '{"date":"2023-11-14T22:13:20.123456789Z","log":"a"}\n'

local function run(code, bytes, ...)
  return h.run({ 'run', '--quiet', '-e', code, '--format', 'fluent', ... }, bytes)
end

--- Random messages: a file of them, a file of what they hold, how many events and how many that are none.
local function reference(seed, messages, ...)
  local packed, want = h.path 'messages.bin', h.path 'want.ndjson'
  local made = h.shell(table.concat({ python, 'tests/spec/fluent_reference.py', seed, messages, packed, want, ... }, ' '))
  assert.equal(0, made.code, made.err)
  local rows, bad = made.out:match '^(%d+) (%d+)'
  return packed, want, tonumber(rows), tonumber(bad)
end

--- Rows as they are wanted; shows the first that is not.
local function same(want, got, what)
  if want == got then return end
  local a, b = want:gmatch '[^\n]*', got:gmatch '[^\n]*'
  repeat
    local x, y = a(), b()
    assert.equal(x, y, what)
  until not x
end

describe('messages of Fluent Bit', function()
  after_each(r.stop_all)

  it('are what another implementation finds in them, in all modes', function()
    for seed = 1, 4 do
      local packed, want, rows, bad = reference(seed, 600, seed % 2 == 0 and 'time' or 'date', seed > 2 and 'tag' or nil)
      local tag = seed > 2 and '--tag-key=tag' or nil
      local got = h.run { 'run', '--json', '-e', 'stream', '--format', 'fluent', '--from', packed,
        '--time-key', seed % 2 == 0 and 'time' or 'date', tag }
      same(h.read(want), got.out, 'seed ' .. seed)
      local counters = h.decode(got.err:match '([^\n]*"counters"[^\n]*)').counters
      assert.same({ rows, bad }, { counters.events_in, counters.lines_bad })
      assert.equal(0, got.code, got.err)
      -- and by field
      got = run('stream:map(function(e) return { level = e.level, log = e.log } end)', nil, '--from', packed, '--time-key',
        seed % 2 == 0 and 'time' or 'date', tag)
      same(h.sh("jq -cS '{level, log} | with_entries(select(.value != null))' %s", want), h.shell('jq -cS .', got.out).out)
    end
  end)

  it('are the same in whatever pieces they come, compressed, from a named pipe, at a rate and by both scanners', function()
    local packed, want = reference(11, 300)
    want = h.read(want)
    local command = h.command { 'run', '--quiet', '-e', 'stream', '--format', 'fluent' }
    for small = 1, 40, 13 do
      same(want, h.sh('%s tests/spec/tools/pieces.py %d %d <%s 2>/dev/null | %s 2>/dev/null', python, small, small, packed, command))
    end
    same(want, h.sh('gzip -c %s | %s', packed, command))
    same(want, h.sh('TIDEMILL_SIMD=portable %s <%s', command, packed))
    local fifo = r.fifo()
    r.spawn('cat', { stdin = packed, stdout = fifo })
    same(want, h.sh('%s --from %s', command, fifo))
    same(want, run('stream', nil, '--from', packed, '--rate', '100000/s').out)
  end)

  it('go on in the middle of a message when the worker is killed', function()
    math.randomseed(5)
    local packed, want = reference(21, 3000)
    local digest = r.digest(want)
    local left = 8
    for round = 1, 20 do
      local to = h.path 'to'
      local p
      if round % 2 == 0 then
        p = r.start({ 'run', '--json', '-e', 'stream', '--format', 'fluent', '--from', packed }, { stdout = to })
      else
        local fifo = r.fifo()
        r.spawn(('%s tests/spec/tools/pieces.py %d 9000'):format(python, round), { stdin = packed, stdout = fifo })
        p = r.start({ 'run', '--json', '-e', 'stream', '--format', 'fluent' }, { stdin = fifo, stdout = to })
      end
      local kills, code = kill.often(p, function() return r.size(to) end, 3)
      assert.equal(0, code, p:err())
      assert.equal(digest, r.digest(to), 'round ' .. round)
      left = left - kills
      if left <= 0 then break end
    end
    assert.is_true(left <= 0)
  end)

  it('are followed, several files at a time', function()
    local dir = h.folder {}
    local packed, want = reference(31, 60, 'date', 'tag')
    packed, want = h.read(packed), h.read(want)
    local to = h.path 'to'
    local p = r.start({ 'run', '--json', '-e', 'stream:select { "tag", "log" }', '--format', 'fluent', '--tag-key', 'tag', '--follow',
      '--from', dir }, { stdout = to })
    local files = {}
    for i = 1, 3 do files[i] = assert(io.open(dir .. '/' .. i .. '.bin', 'wb')) end
    for at = 1, #packed, 777 do
      for _, f in ipairs(files) do
        f:write(packed:sub(at, at + 776))
        f:flush()
      end
    end
    local rows = 3 * select(2, want:gsub('\n', ''))
    r.wait_until('all rows', function() return select(2, h.read(to):gsub('\n', '')) >= rows end, 60)
    p:signal 'TERM'
    assert.equal(0, p:wait(30), p:err())
    -- each row three times, whatever the order
    local count = {}
    for line in h.read(to):gmatch '[^\n]+' do count[line] = (count[line] or 0) + 1 end
    local n = 0
    for _, times in pairs(count) do
      assert.equal(0, times % 3)
      n = n + times
    end
    assert.equal(rows, n)
  end)

  it('leave as msgpack with their own bytes, also when a field is written', function()
    local ts = 'a4 64 61 74 65 d7 ff 1d 6f 34 54 65 53 f1 00'
    assert.equal('82 ' .. ts .. ' a3 6c 6f 67 a1 61', shown(run('stream', EVENT, '--out-format', 'msgpack').out))
    -- log in a form that is not the shortest
    local odd = hex '92 d7 00 65 53 f1 00 07 5b cd 15 81 a3 6c 6f 67 d9 01 61'
    assert.equal('83 ' .. ts .. ' a3 6c 6f 67 d9 01 61 a1 78 01',
      shown(run('stream:map(function(e) e.x = 1 return e end)', odd, '--out-format', 'msgpack').out))
    assert.equal('81 a3 6c 6f 67 d9 01 61', shown(run("stream:drop { 'date' }", odd, '--out-format', 'msgpack').out))
  end)

  it('have their time read by event_time, in Lua, and by the milliseconds', function()
    local got = run([[stream:event_time { field = 'date' }:map(function(e)
      return { ms = tm.time(e), s = e.date.seconds, ns = e.date.nanoseconds, place = tm.meta(e).position } end)]], EVENT .. EVENT)
    assert.equal('{"ms":1700000000123,"ns":123456789,"place":0,"s":1700000000}\n' ..
      '{"ms":1700000000123,"ns":123456789,"place":18,"s":1700000000}\n', got.out, got.err)
  end)

  it('are read by scripts, and by pipelines that feed others', function()
    local path = h.write(EVENT)
    local script = ([[local tm = require 'tidemill'
      local a = tm.pipeline 'a':from(tm.source.file { path = '%s', format = 'fluent', time_key = '@timestamp', tag_key = 'tag' })
      return tm.pipeline 'b':from(a:set { b = 1 })
        :set { same = function(e) return e['@timestamp'].seconds == 1700000000 end }]]):format(path)
    local got = h.run { 'run', '--quiet', h.write(script, h.path 's.lua') }
    assert.equal('{"@timestamp":"2023-11-14T22:13:20.123456789Z","log":"a","b":1,"same":true}\n', got.out, got.err)
    got = h.run { 'check', '--sample', path, '--format', 'fluent', '-e', "stream:filter(function(e) return e.log == 'a' end)" }
    assert.equal(0, got.code, got.err)
    got = h.run { 'graph', '-e', 'stream', '--format', 'dot' }
    assert.equal(0, got.code, got.err)
  end)
end)

describe('what is no event of Fluent Bit', function()
  local function bad(bytes, ...)
    local dead = h.path 'dead.ndjson'
    local got = run(("stream:on_error(tm.sink.file '%s')"):format(dead), EVENT .. bytes .. EVENT, ...)
    return got, h.rows(h.read(dead))
  end

  local refused = {
    { '81 a1 61 01', 'not an object: an event is [time, record] or part of a message of the forward protocol; this is a map, which the ' ..
      'format msgpack reads', 'not-object' },
    { '93 01 80 80', 'not an object: an event is [time, record] or part of a message of the forward protocol', 'not-object' },
    { '92 01 90', 'not an object: the record of an event is a map', 'not-object' },
    { '92 c0 80', 'the time of an event is an EventTime, a number of seconds or a timestamp', 'syntax' },
    { '92 d7 00 00 00 00 00 3b 9a ca 00 80', 'the time of an event is an EventTime, a number of seconds or a timestamp', 'syntax' },
    { '92 01 81 01 02', 'in the record, byte 1: expected a text as the key of a map, found a number', 'syntax' },
    { '92 01 81 a1 ff 02', 'in the record, byte 1: a text that is not UTF-8', 'syntax' },
    { '92 01 81 a1 61 ' .. ('91 '):rep(512) .. '01', 'in the record, byte 514: nested deeper than 512 levels', 'too-deep' },
    { '92 01 81 a4 64 61 74 65 01',
      'the record has a field of the name that its time or tag gets; choose another one: --time-key, --tag-key',
      'syntax' },
    { '92 a1 74 c4 03 1f 8b 08', 'compressed entries are not read; send them plain (Fluent Bit: compress off)', 'syntax' },
    { '92 a1 74 80', 'a message of the forward protocol is [tag, events], [tag, time, record], or one of them with an option', 'syntax' },
    { '92 a1 ff 90', 'a tag that is not UTF-8', 'syntax' },
    { '92 da 01 00 ' .. ('61 '):rep(256) .. '90', 'a tag is longer than 255 bytes', 'syntax' },
    { '92 a1 74 c4 02 92 01', 'packed entries end inside an event', 'syntax', '92 01' },
    { '92 a1 74 c4 03 92 c1 80', 'byte 1: 0xc1 begins no value of msgpack', 'syntax', '92 c1' },
  }
  for _, case in ipairs(refused) do
    it('fails alone where its end is known: ' .. case[2]:sub(1, 60) .. ' ' .. case[1]:sub(1, 20), function()
      local got, letters = bad(hex(case[1]))
      assert.equal(ROW .. ROW, got.out)
      assert.equal(0, got.code)
      assert.equal(1, #letters)
      assert.same({ case[2], case[3] }, { letters[1].reason, letters[1].code })
      assert.equal(shown(hex(case[4] or case[1])), shown(h.shell('base64 -d', letters[1].event).out))
      assert.equal(1, select(2, letters[1].position:gsub('^stdin:@%d+$', '')))
    end)
  end

  it('an event too long is told and passed over, in a message of its own, of many, and packed', function()
    local long = hex '92 01 81 a1 78 c6 00 0f 42 40' .. ('y'):rep(1000000)
    local short = hex '92 01 81 a1 78 01'
    for _, message in ipairs { long, hex '92 a1 74 92' .. long .. short,
      hex '93 a1 74 c6' .. hex(('%08x'):format(#long + #short)) .. long .. short .. hex '80' } do
      local got, letters = bad(message, '--max-event', '100K')
      assert.equal(ROW .. (message == long and '' or '{"date":"1970-01-01T00:00:01Z","x":1}\n') .. ROW, got.out)
      assert.equal(0, got.code)
      assert.same({ 1, 'longer than 102400 bytes (--max-event)', 'too-long' }, { #letters, letters[1].reason, letters[1].code })
    end
  end)

  it('a message of many events may be larger than any of them', function()
    local n = 30000
    local message = hex '93 a1 74 dd' .. hex(('%08x'):format(n)) .. EVENT:rep(n) .. hex '80'
    local got = run("stream:select { 'log' }", message, '--max-event', '64')
    assert.equal(('{"log":"a"}\n'):rep(n), got.out)
  end)

  it('an end inside a message is told with its place, wherever it is', function()
    local message = hex '93 a1 74 92' .. EVENT .. EVENT .. hex '81 a1 6f 01'
    for cut = 1, #message - 1 do
      local got = run('stream', EVENT .. message:sub(1, cut))
      assert.equal(1, got.code)
      local whole = math.max(0, math.min(2, math.floor((cut - 4) / #EVENT)))
      assert.equal(ROW .. ROW:rep(whole), got.out)
      assert.truthy(got.err:find(('error: stdin: byte %d: the input ends inside a message'):format(#EVENT + cut), 1, true), got.err)
    end
    assert.equal(0, run('stream', EVENT .. message).code)
  end)

  it('where the structure breaks nothing behind it is read', function()
    local got, letters = bad(hex '92 01 81 a1 61 c1')
    assert.equal(ROW, got.out)
    assert.equal(1, got.code)
    assert.equal('byte 5: 0xc1 begins no value of msgpack', letters[1].reason)
    assert.truthy(got.err:find('error: stdin: byte 23: 0xc1 begins no value of msgpack; nothing behind it can be read', 1, true), got.err)
  end)
end)

describe('the format fluent', function()
  it('says what belongs to it', function()
    local cases = {
      { { '--out-format', 'fluent' }, 2, "--out-format: 'fluent' is a format of sources alone; write msgpack, json, csv or lines" },
      { { '--time-key', 'x' }, 2, "--time-key and --tag-key are of fluent, and the default input is 'json'; give --format fluent too" },
      { { '--format', 'fluent', '--tag-key', 'date' }, 2, "time_key and tag_key are both 'date'" },
      { { '--format', 'fluent', '--time-key', ('x'):rep(256) }, 2, 'time_key is the name of a field, of 1 to 255 bytes' },
      { { '--format', 'fluent', '--columns', 'a' }, 2, "--delimiter and --columns are of CSV, and the default input is 'fluent'" },
      { { '--format', 'fluant' }, 2, "--format: no format is called 'fluant'; did you mean fluent?" },
    }
    for _, case in ipairs(cases) do
      local got = h.run({ 'run', '-e', 'stream', unpack(case[1]) }, '')
      assert.equal(case[2], got.code, got.err)
      assert.truthy(got.err:find(case[3], 1, true), got.err)
    end
    for code, why in pairs {
      ["tm.source.stdin { format = 'json', time_key = 'x' }"] = "'time_key' belongs to the format fluent, and this is 'json'",
      ["tm.source.stdin { format = 'fluent', tag_key = 1 }"] = 'tag_key',
    } do
      local got = h.run({ 'run', '-e', "tm.pipeline 'p':from(" .. code .. ')' }, '')
      assert.equal(3, got.code)
      assert.truthy(got.err:find(why, 1, true), got.err)
    end
  end)

  it('of one place is one', function()
    local script = [[local tm = require 'tidemill'
      local function p(name, key)
        return tm.pipeline(name):from(tm.source.file { path = 'x', format = 'fluent', time_key = key }):to(tm.sink.discard())
      end
      return { p('a', 'date'), p('b', 'time') }]]
    local got = h.run { 'check', h.write(script, h.path 's.lua') }
    assert.equal(3, got.code)
    assert.truthy(got.err:find('x is read with different time_key or tag_key; choose one', 1, true), got.err)
  end)
end)
