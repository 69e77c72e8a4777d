--[[
files_records_spec.lua - lines as records of several (`record` of a source of lines): which lines are one event, however they come, what
ends a record besides the next one, and what is no option. The judge is records_reference.py, which has all lines in a list.
]]

local h = require 'spec.helper'
local r = require 'spec.running'
local kill = require 'spec.kill'
local sh, quote = h.sh, h.quote

local REFERENCE = 'tests/spec/records_reference.py'
local START = [[^%d%d%d%d%-%d%d%-%d%d ]]

--- A script that reads records. more: further items of `record`; options: of the source.
local function script(source, more, options)
  return h.write(("return require('tidemill').pipeline 'p':from(tm.source.%s { format = 'lines', record = { start = '%s'%s }%s })")
    :format(source, START, more and ', ' .. more or '', options and ', ' .. options or ''):gsub('^', "local tm = require 'tidemill'\n"),
    h.path 'records.lua')
end

--- What the reference makes of a log: its events as text, parts and lines that are none.
local function reference(path, lines, bytes)
  local got = h.shell(('python3 %s read %d %d <%s'):format(REFERENCE, lines or 1000, bytes or 16777216, quote(path)))
  assert.equal(0, got.code, got.err)
  local parts, bad = got.err:match '(%d+) (%d+)'
  return got.out, tonumber(parts), tonumber(bad)
end

local function random_log(seed, lines, crlf)
  local path = h.path 'app.log'
  sh('python3 %s log %d %d %s >%s', REFERENCE, seed, lines, crlf or 'lf', quote(path))
  return path
end

local function counters(got) return h.decode(h.lines(got.err)[#h.lines(got.err)]).counters end

--- Rows as jq writes them, so that only what they say is compared.
local function same_rows(want, got)
  assert.equal(sh('jq -c . <%s', quote(h.write(want))), sh('jq -c . <%s', quote(h.write(got))))
end

local function says(got, text) assert(got.err:find(text, 1, true), 'not said: ' .. text .. '\n' .. got.err) end

describe('records of several lines', function()
  after_each(r.stop_all)

  it('are what the reference finds, of files, pipes in pieces, gzip and zstd, whatever the bounds', function()
    for seed = 1, 6 do
      local crlf = ({ 'lf', 'crlf', 'mixed' })[seed % 3 + 1]
      local log = random_log(seed, 3000, crlf)
      local max_lines, max_event = ({ 1000, 5, 37, 1 })[seed % 4 + 1], ({ 16777216, 600, 2000 })[seed % 3 + 1]
      local want, parts, bad = reference(log, max_lines, max_event)
      local more = 'max_lines = ' .. max_lines
      local stdin = script('stdin', more)
      local run = h.command { 'run', '--json', '--max-event', max_event, stdin }
      local packed = h.path 'app.log.gz'
      sh('gzip -c %s >%s', quote(log), quote(packed))
      local file = script('file', more, ("path = '%s'"):format(packed))
      for _, line in ipairs {
        run .. ' <' .. quote(log),
        ('python3 tests/spec/tools/pieces.py %d <%s | %s'):format(seed, quote(log), run),
        ('python3 tests/spec/tools/pieces.py %d 9 <%s | %s'):format(seed, quote(log), run),
        ('zstd -qc %s | python3 tests/spec/tools/pieces.py %d | %s'):format(quote(log), seed, run),
        h.command { 'run', '--json', '--max-event', max_event, '--rate', '100000/s', file },
      } do
        local got = h.shell(line)
        assert.equal(0, got.code, got.err)
        same_rows(want, got.out)
        assert.equal(parts, counters(got).records_cut, line)
        assert.equal(bad, counters(got).lines_bad, line)
      end
    end
  end)

  it('never cross files; positions are those of first lines', function()
    local dir = h.folder { ['a.log'] = 'x\n\n2026-01-01 a\n b', ['b.log'] = ' c\n2026-01-02 d\n e\n' }
    local code = h.write(([[
local tm = require 'tidemill'
return tm.pipeline 'p':from(tm.source.file { path = '%s', format = 'lines',
    record = { start = '%s' } })
  :set { at = function(e) return tm.meta(e).source:match '[^/]*$' .. ':' .. tm.meta(e).position end, n = function(e) return #e.line end }]])
      :format(dir, START))
    assert.equal('{"line":"x\\n","at":"a.log:1","n":2}\n' ..
      '{"line":"2026-01-01 a\\n b","at":"a.log:3","n":15}\n{"line":" c","at":"b.log:1","n":2}\n' ..
      '{"line":"2026-01-02 d\\n e","at":"b.log:2","n":15}\n', h.run({ 'run', '--quiet', code }).out)
  end)

  it('that are cut are told once and counted', function()
    local text = '2026-01-01 a\n' .. (' x\n'):rep(10)
    local got = h.run({ 'run', '--json', script('stdin', 'max_lines = 3') }, text)
    assert.equal(4, #h.lines(got.out))
    assert.equal(3, counters(got).records_cut)
    local told = 'stdin:4: this line is no start of a record, and begins one all the same: '
    says(got, told .. 'the one before has max_lines = 3 lines (further ones are counted: records_cut)')
    assert.equal(1, select(2, got.err:gsub('begins one all the same', '')))
    got = h.run({ 'run', '--json', '--max-event', '20', script 'stdin' }, text)
    says(got, told .. 'with it the one before would have more than 20 bytes (--max-event)')
  end)

  it('whose first line is too long, or which are not UTF-8, are no events', function()
    local got = h.run({ 'run', '--json', '--max-event', '30', script 'stdin' },
      '2026-01-01 a\n b\n' .. ('x'):rep(40) .. '\n c\n2026-01-02 \n \255\n2026-01-03 d\n')
    assert.equal('{"line":"2026-01-01 a\\n b"}\n{"line":" c"}\n{"line":"2026-01-03 d"}\n', got.out)
    says(got, 'stdin:3: longer than 30 bytes (--max-event)')
    says(got, 'stdin:5: byte 13: not UTF-8 (found 0xff)')
    assert.equal(2, counters(got).lines_bad)
  end)

  it('a pattern that takes for ever is no start, told once', function()
    local path = h.write("local tm = require 'tidemill'\nreturn tm.pipeline 'p':from(tm.source.stdin { format = 'lines', " ..
      "record = { start = '.-.-.-.-.-.-.-b$', max_lines = 50 } })", h.path 'bomb.lua')
    local got = h.run({ 'run', '--json', path }, (('a'):rep(200) .. '\n'):rep(120))
    assert.equal(0, got.code, got.err)
    assert.equal(3, #h.lines(got.out))
    says(got, "stdin: the pattern '.-.-.-.-.-.-.-b$' takes too many steps on a line near 1, which then counts as no start of a record")
    assert.equal(1, select(2, got.err:gsub('takes too many steps', '')))
  end)

  it('go on in the next worker, whenever one is killed', function()
    local log = random_log(77, 60000, 'mixed')
    local want, parts = reference(log, 40)
    for _, how in ipairs { 'file', 'gzip', 'pipe' } do
      local out, stdin = h.path 'out', nil
      local source = script('stdin', 'max_lines = 40')
      if how == 'pipe' then
        stdin = r.fifo()
        r.spawn(("sh -c 'python3 tests/spec/tools/pieces.py 5 3000 <%s'"):format(log), { stdout = stdin })
      else
        if how == 'gzip' then sh('gzip -kf %s', quote(log)) end
        source = script('file', 'max_lines = 40', ("path = '%s', rate = '40000/s'"):format(log .. (how == 'gzip' and '.gz' or '')))
      end
      local p = r.start({ 'run', '--json', source, '--to', out }, { stdin = stdin })
      local kills, code = kill.often(p, function() return r.size(out) end, 6)
      assert.equal(0, code, p:err())
      assert.is_true(kills * h.slowness() >= 2, how .. ': ' .. kills .. ' kills')
      same_rows(want, h.read(out))
      assert.equal(parts, counters({ err = p:err() }).records_cut)
    end
  end)
end)

describe('a record that is held', function()
  after_each(r.stop_all)
  local function count(path) return select(2, h.read(path):gsub('\n', '')) end

  it('ends when nothing comes for its timeout; what comes later is a record of its own', function()
    local fifo, out = r.fifo(), h.path 'out'
    local p = r.start({ 'run', '--json', script('stdin', "timeout = '200ms'"), '--to', out }, { stdin = fifo })
    local held = r.spawn('sleep 60', { stdout = fifo })
    sh("printf '2026-01-01 a\\n b\\n 2026' >%s", fifo)
    r.wait_until('the first', function() return count(out) == 1 end)
    sh("printf -- '-01-02 c\\n2026-01-03 d\\n' >%s", fifo)
    r.wait_until('two more', function() return count(out) == 3 end)
    held:signal 'KILL'
    assert.equal(0, p:wait())
    assert.equal('{"line":"2026-01-01 a\\n b"}\n{"line":" 2026-01-02 c"}\n{"line":"2026-01-03 d"}\n', h.read(out))
    assert.equal(1, counters({ err = p:err() }).records_cut)
    says({ err = p:err() }, 'begins one all the same: behind the one before nothing came for 0.2 s (timeout)')
  end)

  it('of a pipe is given when the run is told to end', function()
    local fifo, out = r.fifo(), h.path 'out'
    local p = r.start({ 'run', '--quiet', script('stdin', "timeout = '1h'"), '--to', out }, { stdin = fifo })
    r.spawn('sleep 60', { stdout = fifo })
    sh("printf '2026-01-01 a\\n b\\n2026-01-02 c\\n d\\n e' >%s", fifo)
    r.wait_until('the first', function() return count(out) == 1 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    assert.equal('{"line":"2026-01-01 a\\n b"}\n{"line":"2026-01-02 c\\n d"}\n', h.read(out))
    says({ err = p:err() }, '2 bytes of an unfinished last line were read and not processed')
  end)

  it('survives the worker that read it, and its silence is judged anew', function()
    local fifo, out = r.fifo(), h.path 'out'
    local p = r.start({ 'run', '--quiet', script('stdin', "timeout = '700ms'"), '--to', out }, { stdin = fifo })
    local held = r.spawn('sleep 60', { stdout = fifo })
    sh("printf '2026-01-01 a\\n2026-01-02 b\\n c\\n' >%s", fifo)
    r.wait_until('the first', function() return count(out) == 1 end)
    p:signal('KILL', p:worker())
    r.wait_until('the second', function() return count(out) == 2 end)
    held:signal 'KILL'
    assert.equal(0, p:wait())
    assert.equal('{"line":"2026-01-01 a"}\n{"line":"2026-01-02 b\\n c"}\n', h.read(out))
  end)

  it('costs no processor time while it waits', function()
    local fifo, out = r.fifo(), h.path 'out'
    local p = r.start({ 'run', '--quiet', script('stdin', "timeout = '1h'", "rate = '1000/s'"), '--to', out }, { stdin = fifo })
    r.spawn('sleep 60', { stdout = fifo })
    sh("printf '2026-01-01 a\\n2026-01-02 b\\n' >%s", fifo)
    r.wait_until('the first', function() return count(out) == 1 end)
    local worker = r.wait_until('a worker', function() return p:worker() end)
    local function ticks()
      local fields = {}
      for word in h.read('/proc/' .. worker .. '/stat'):match '%) (.*)$':gmatch '%S+' do fields[#fields + 1] = word end
      return fields[12] + fields[13]   -- utime and stime of proc(5)
    end
    r.wait_until('sleep', function() return r.state(worker) == 'S' end)
    local from = ticks()
    h.shell 'sleep 0.5'
    assert.is_true(ticks() - from <= 5, ticks() - from .. ' ticks of 10 ms in half a second')
  end)

  local function follow(dir, more)
    return r.start { 'run', '--json', script('file', more, ("path = '%s/*.log', follow = true"):format(dir)), '--to', dir .. '/out' }
  end

  it('of a file that is followed ends in silence, and in time when the file is truncated', function()
    local dir = h.folder { ['a.log'] = '2026-01-01 a\n b\n2026-01-02 c\n d' }
    local p = follow(dir, "timeout = '400ms'")
    local out = dir .. '/out'
    r.wait_until('the first', function() return count(out) == 1 end)
    sh("printf '\\n e\\n' >>%s/a.log", dir)
    r.wait_until('the second, in silence', function() return count(out) == 2 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    dir = h.folder { ['a.log'] = '2026-01-01 a\n2026-01-03 f\n g\n' }
    p, out = follow(dir, "timeout = '1h'"), dir .. '/out'
    r.wait_until('the first', function() return count(out) == 1 end)
    sh(": >%s/a.log", dir)
    r.wait_until('what was truncated', function() return count(out) == 2 end)
    sh("printf '2026-01-04 h\\n i\\n2026-01-05 j\\n' >>%s/a.log", dir)
    r.wait_until('what is written anew', function() return count(out) == 3 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    assert.equal('{"line":"2026-01-01 a"}\n{"line":"2026-01-03 f\\n g"}\n{"line":"2026-01-04 h\\n i"}\n{"line":"2026-01-05 j"}\n',
      h.read(out))
    assert.equal(0, counters({ err = p:err() }).records_cut)
  end)

  it('of many files never mixes, and is given when the run is told to end', function()
    local dir = h.folder { ['a.log'] = '2026-01-01 a\n a\n', ['b.log'] = '2026-01-01 b\n b\n', ['c.log'] = '2026-01-01 c\n' }
    local p, out = follow(dir, "timeout = '1h'"), dir .. '/out'
    for i = 1, 20 do
      for _, name in ipairs { 'a', 'b', 'c' } do
        sh("printf ' %s %d\\n%s' >>%s/%s.log", name, i, i % 5 == 0 and '2026-02-0' .. i / 5 .. ' ' .. name .. '\\n' or '', dir, name)
      end
    end
    r.wait_until('whole ones', function() return count(out) == 12 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    local want = {}
    for _, name in ipairs { 'a', 'b', 'c' } do want[#want + 1] = (reference(('%s/%s.log'):format(dir, name))) end
    same_rows(sh('sort %s', quote(h.write(table.concat(want)))), sh('sort %s', quote(out)))
  end)

  --- Writes numbered records of 1 to 30 lines and rotates; ends them all with a last line.
  local writer = h.write([[
import os, random, sys, time
mode, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
random.seed(count)
log, out = folder + '/app.log', folder + '/out'
def read():
  try: return open(out, 'rb').read().count(b'\n')
  except FileNotFoundError: return 0
f, rotated = open(log, 'ab', 0), 0
for n in range(1, count + 1):
  text = b'2026-01-01 %d\n' % n + b''.join(b' %d %s\n' % (n, b'p' * random.randrange(40)) for _ in range(random.randrange(30)))
  cut = random.randrange(len(text))
  f.write(text[:cut])
  if random.random() < .2: time.sleep(.001)
  f.write(text[cut:])
  if n % 500: continue
  while read() < n: time.sleep(.005)      # all of it was read, the last record in silence
  if mode == 'truncate': os.truncate(log, 0)
  else:
    os.rename(log, folder + '/rotated.%d' % n)
    f.close()
    f = open(log, 'ab', 0)
]], h.path 'writer.py')

  local function rotated(mode, kills)
    local COUNT = 3000
    local dir = h.folder()
    local out = dir .. '/out'
    local p = follow(dir, "timeout = '1s'")
    local w = r.spawn(('python3 %s %s %s %d'):format(writer, mode, dir, COUNT))
    local killed, last, size = 0, nil, 0
    while not w:code() do
      local worker, now = p:worker(), r.size(out)
      if kills and now > size + 20000 and worker and worker ~= last and p:signal('KILL', worker) then
        killed, last, size = killed + 1, worker, now
      end
      h.shell 'sleep 0.02'
    end
    assert.equal(0, w:wait(), w:err())
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    local n = 0
    for line in io.lines(out) do
      n = n + 1
      local rows = h.decode(line).line
      local number = rows:match '^2026%-01%-01 (%d+)'
      assert.equal(n, tonumber(number), line)
      for other in rows:gmatch '\n (%d+)' do assert.equal(number, other) end
    end
    assert.equal(COUNT, n)
    assert.equal(0, counters({ err = p:err() }).records_cut)
    assert.is_true(not kills or killed >= 3, killed .. ' kills')
  end

  it('of files that are renamed, each record once', function() rotated 'rename' end)
  it('of files that are truncated while workers are killed', function() rotated('truncate', true) end)
  it('of files that are renamed while workers are killed', function() rotated('rename', true) end)
end)

describe('records leave', function()
  local text = 'x\n\n2026-01-01 "a",\r\n b\n\n2026-01-02 c\n'
  local function run(body, input, ...)
    return h.run({ 'run', '--quiet', h.write(("local tm = require 'tidemill'\nlocal s = tm.pipeline 'p':from(tm.source.stdin { \z
      format = 'lines', record = { start = '%s' } })\n%s"):format(START, body), h.path 'leave.lua'), ... }, input or text)
  end

  it('as lines with their line breaks, also by way of other pipelines and steps', function()
    local plain = text:gsub('\r', '')
    for _, body in ipairs { 'return s', "return s:select { 'line' }", 'return s:map(function(e) return { line = e.line } end)',
      "return tm.pipeline 'q':from(s:filter(function(e) return e.line ~= '' end))", "return s:set { x = 1 }:drop { 'x' }" } do
      local got = run(body, nil, '--out-format', 'lines')
      assert.equal(plain, got.out, body .. got.err)
    end
    assert.equal((plain:gsub('\n', '\r\n')), run("return s:to(tm.sink.stdout { format = 'lines', crlf = true })").out)
  end)

  it('as CSV and msgpack that others read', function()
    local want = h.shell(('python3 %s read 1000 99999'):format(REFERENCE), text).out
    for _, body in ipairs { 'return s', "return s:select { 'line' }", 'return s:filter(function(e) return #e.line > 0 end)' } do
      local got = h.shell([[python3 -c 'import csv, io, json, sys
for row in csv.DictReader(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline="")): print(json.dumps(row))']],
        run(body, nil, '--out-format', 'csv').out)
      same_rows(want, got.out)
      got = h.shell([[/usr/bin/python3 -c 'import json, msgpack, sys
for row in msgpack.Unpacker(sys.stdin.buffer): print(json.dumps(row))']], run(body, nil, '--out-format', 'msgpack').out)
      same_rows(want, got.out)
    end
  end)

  it('not in files whose place is found row by row, and other line breaks stay refused', function()
    local dir = h.folder()
    local got = run(("return s:to(tm.sink.file { path = '%s/o.log', format = 'lines', roll = { size = '1K' } })"):format(dir))
    says(got, "field 'line' holds a line break")
    got = h.run({ 'run', '--quiet', '-e', 'stream', '--out-format', 'lines' }, '{"line":"a\\nb"}\n')
    says(got, "field 'line' holds a line break")
  end)
end)

describe('what is no record', function()
  local function refused(record, text, source)
    local path = h.write(("local tm = require 'tidemill'\nreturn tm.pipeline 'p':from(tm.source.%s, record = %s })"):format(
      source or "stdin { format = 'lines'", record), h.path 'bad.lua')
    local got = h.run { 'check', path }
    assert.equal(3, got.code, got.err)
    says(got, path .. ':2: ' .. (source and '' or 'tm.source.stdin record') .. text)
  end

  it('is told with its place, what was found and what to write', function()
    refused("{ strat = '^%d' }", " has no option 'strat' (did you mean 'start'?)")
    refused("{ start = '^%d', max_line = 3 }", " has no option 'max_line' (did you mean 'max_lines'?)")
    refused('{}', ": start takes the Lua pattern that the first line of a record matches, such as '^%d%d%d%d%-'; got nil")
    refused("{ start = '' }", ": start takes the Lua pattern that the first line of a record matches, such as " ..
      "'^%d%d%d%d%-'; got an empty text")
    refused('{ start = 7 }', ': start takes the Lua pattern')
    refused("{ start = '[a' }", ": start '[a' is no Lua pattern: malformed pattern (missing ']')")
    refused("{ start = '(a' }", ": start '(a' is no Lua pattern: unfinished capture")
    refused([=[{ start = [[^\d+]] }]=], [[: start '^\d+' has \d, and is a Lua pattern, where classes are written with %]])
    refused("{ start = '%s*' }", ": start '%s*' matches every line, so that each would be a record of its own")
    refused("{ start = '" .. ('a'):rep(1001) .. "' }", ': start is a pattern of at most 1000 bytes, got 1001')
    refused("{ start = '^%d', max_lines = 0 }", ': max_lines is a whole number from 1 to 1000000, got ')
    refused("{ start = '^%d', max_lines = 1.5 }", ': max_lines is a whole number')
    refused("{ start = '^%d', timeout = 5 }", ": timeout: a duration needs a unit: write '5s' for seconds or '5ms' for milliseconds")
    refused("{ start = '^%d', timeout = '0s' }", ": timeout: from '1ms' to '1d', got '0s'")
    local belongs = ": 'record' makes events of several lines and belongs to the format lines, and this is "
    refused("{ start = '^%d' }", 'tm.source.stdin' .. belongs .. "'json'; write format = 'lines'", "stdin { name = 'x'")
    refused("{ start = '^%d' }", 'tm.source.file' .. belongs .. "'csv'", "file { path = 'x.csv'")
    refused("'^%d'", "tm.source.stdin: option 'record' takes a table", "stdin { format = 'lines'")
  end)

  it('one file is read in one way', function()
    local path = h.write(([[
local tm = require 'tidemill'
local function read(n) return tm.source.file { path = '%s', format = 'lines', record = { start = '^%%d', max_lines = n } } end
return { tm.pipeline 'a':from(read(1)), tm.pipeline 'b':from(read(2)) }]]):format(h.write 'x'), h.path 'two.lua')
    local got = h.run { 'check', path }
    assert.equal(3, got.code)
    says(got, 'with different delimiter, columns, header, crlf or record; choose one')
  end)
end)
