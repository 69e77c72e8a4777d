--[[
files_follow_spec.lua - files that grow: rotated by renaming and by truncation while a writer writes, deleted, new ones, lines
in pieces, workers killed meanwhile. Every line once: the writer, a program of its own, numbers them and counts.
]]

local h = require 'spec.helper'
local r = require 'spec.running'

--- Writes numbered lines, rotates every `every` lines, and says how many there are in all.
--- A file is not renamed before some of it was read: one that nobody has seen under its name cannot be followed.
--- mode: rename, late (the old file is written a while after it was renamed), truncate (when all was read), delete, many
local writer = h.write([[
import os, random, sys, time
mode, folder, out, count, every = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
random.seed(count)
log = folder + '/app.log'
def read():
  try: return open(out, 'rb').read().count(b'\n')
  except FileNotFoundError: return 0
f, old, n, rotated, before = open(log, 'ab', 0), None, 0, 0, 0
while n < count:
  lines = []
  for _ in range(random.randrange(1, 100)):
    if n == count: break
    n += 1
    lines.append(b'{"i":%d,"pad":"%s"}\n' % (n, b'p' * random.randrange(60)))
  text = b''.join(lines)
  to = old if old is not None and random.random() < .3 else f
  cut = random.randrange(len(text))
  to.write(text[:cut])
  if random.random() < .2: time.sleep(.001)
  to.write(text[cut:])
  if n // every == rotated: continue
  rotated = n // every
  if mode == 'truncate':
    while read() < n: time.sleep(.002)
    os.truncate(log, 0)
  elif mode == 'many':
    if old: old.close()
    old = open(folder + '/other%d.log' % n, 'ab', 0)
  else:
    if old: old.close()
    while read() <= before: time.sleep(.002)
    before = n
    os.unlink(log) if mode == 'delete' else os.rename(log, folder + '/rotated.%d' % n)
    if mode == 'late': old, f = f, open(log, 'ab', 0)
    else:
      f.close()
      f = open(log, 'ab', 0)
print(n)
]], h.path 'writer.py')

local COUNT = 30000

--- The lines that came out, as a list of how often each came.
local function check(out)
  local seen, n = {}, 0
  for line in io.lines(out) do
    local i = tonumber(line:match '^{"i":(%d+),"pad":"p*"}$')
    assert(i, 'torn: ' .. line)
    assert(not seen[i], 'twice: ' .. line)
    seen[i], n = true, n + 1
  end
  assert.equal(COUNT, n)
end

local function lines_of(path) return select(2, h.read(path):gsub('\n', '')) end

describe('files that are followed', function()
  after_each(r.stop_all)

  local function rotated(mode, pattern, kills)
    local dir, out = h.folder(), h.path 'out'
    local p = r.start { 'run', '--json', '-e', 'stream', '--follow', '--from', dir .. '/' .. pattern, '--to', out }
    local w = r.spawn(('python3 %s %s %s %s %d %d'):format(writer, mode, dir, out, COUNT, 1500))
    local killed, last, size = 0, nil, 0
    while not w:code() do
      -- only after something came through: workers that get nowhere end the run
      local worker, now = p:worker(), r.size(out)
      if kills and now > size + 50000 and worker and worker ~= last and p:signal('KILL', worker) then
        killed, last, size = killed + 1, worker, now
      end
      h.shell 'sleep 0.01'
    end
    assert.equal(0, w:wait(), w:err())
    local there, why = pcall(r.wait_until, 'all lines', function() return lines_of(out) >= COUNT end)
    assert(there, tostring(why) .. p:err())
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    check(out)
    assert.is_true(not kills or killed * h.slowness() >= 3, killed .. ' kills')
  end

  it('and renamed, each line once', function() rotated('rename', 'app.log') end)
  it('and renamed while the worker is killed', function() rotated('rename', 'app.log', true) end)
  it('and renamed, the old one written on', function() rotated('late', 'app.log') end)
  it('and renamed, the old one written on, while the worker is killed', function() rotated('late', 'app.log', true) end)
  it('and truncated', function() rotated('truncate', 'app.log') end)
  it('and truncated while the worker is killed', function() rotated('truncate', 'app.log', true) end)
  it('and deleted', function() rotated('delete', 'app.log') end)
  it('many of a pattern, new ones among them', function() rotated('many', '*.log') end)
  it('many of a pattern while the worker is killed', function() rotated('many', '*.log', true) end)

  it('a truncated file that is soon as long as before is read anew', function()
    local dir, out = h.folder { ['a.log'] = '{"n":1}\n{"n":2}\n' }, h.path 'out'
    local p = r.start { 'run', '--quiet', '-e', 'stream', '--follow', '--from', dir .. '/a.log', '--to', out }
    r.wait_until('two lines', function() return lines_of(out) == 2 end)
    -- in one call of the system, so that no size in between can be seen
    h.write('{"n":3}\n{"n":4}\n{"n":5}\n', dir .. '/new')
    h.shell(([[python3 -c 'import os
os.write(os.open("%s/a.log", os.O_WRONLY), open("%s/new", "rb").read())']]):format(dir, dir))
    r.wait_until('three more', function() return lines_of(out) == 5 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    assert.equal('{"n":1}\n{"n":2}\n{"n":3}\n{"n":4}\n{"n":5}\n', h.read(out))
  end)

  it('positions are those of each file; an unfinished line waits, also beside other files', function()
    local dir, out = h.folder { ['a.log'] = '{"n":1}\n{"n":', ['b.log'] = '\n{"n":2}\n' }, h.path 'out'
    local code = "stream:map(function(e) e.at = tm.meta(e).source:match '[^/]*$' .. ':' .. tm.meta(e).position return e end)"
    local p = r.start { 'run', '--quiet', '-e', code, '--follow', '--from', dir, '--to', out }
    r.wait_until('two lines', function() return lines_of(out) == 2 end)
    h.shell(("printf '{\"n\":3}\\n' >>%s/b.log"):format(dir))
    r.wait_until('three', function() return lines_of(out) == 3 end)
    h.shell(("printf '4}\\n{\"n\":5}' >>%s/a.log"):format(dir))
    r.wait_until('four', function() return lines_of(out) == 4 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    assert.equal('{"n":1,"at":"a.log:1"}\n{"n":2,"at":"b.log:2"}\n{"n":3,"at":"b.log:3"}\n{"n":4,"at":"a.log:2"}\n', h.read(out))
  end)

  it('need not be there yet; a deleted one ends with its last line', function()
    local dir, out = h.folder(), h.path 'out'
    local p = r.start { 'run', '--quiet', '-e', 'stream', '--follow', '--from', dir .. '/later.log', '--to', out }
    r.wait_until('the word', function() return p:err():find('nothing is there yet', 1, true) end)
    h.write('{"n":1}\n{"n":2}', dir .. '/later.log')
    r.wait_until('a line', function() return lines_of(out) == 1 end)
    os.remove(dir .. '/later.log')
    r.wait_until('the last line', function() return lines_of(out) == 2 end, 40)
    p:signal 'TERM'
    assert.equal(0, p:wait())
  end)

  it('compressed ones are left out; what is written is not followed', function()
    local dir, out = h.folder { ['a.log'] = '{"n":1}\n' }, h.path 'out'
    h.shell(('cd %s && gzip -k a.log && mv a.log.gz b.log'):format(dir))
    local p = r.start { 'run', '--quiet', '-e', 'stream', '--follow', '--from', dir .. '/*.log', '--to', out }
    r.wait_until('the word', function() return p:err():find('b.log: is compressed and not followed', 1, true) and lines_of(out) == 1 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    local got = h.run { 'run', '--quiet', '-e', 'stream', '--follow', '--from', dir .. '/*.log', '--to', dir .. '/a.log' }
    assert.equal(3, got.code)
    assert.truthy(got.err:find('is both followed and written', 1, true), got.err)
    got = h.run { 'run', '--quiet', '-e', 'stream', '--follow', '--from', dir .. '/*.log', '--to', dir .. '/new.log' }
    assert.equal(3, got.code)
    assert.truthy(got.err:find('is both followed and written', 1, true), got.err)
    got = h.run({ 'run', '--quiet', '-e', 'stream', '--follow' }, '')
    assert.equal(2, got.code)
    assert.truthy(got.err:find('--follow: standard input is followed by itself; name files with --from', 1, true), got.err)
  end)
end)

describe('a named pipe', function()
  after_each(r.stop_all)

  it('ends with its last writer; one that is held open takes writers that come and go', function()
    local fifo, out = r.fifo(), h.path 'out'
    local p = r.start { 'run', '--quiet', '-e', 'stream', '--from', fifo, '--to', out }
    local held = r.spawn('sleep 30', { stdout = fifo })
    for i = 1, 3 do
      h.shell(([[printf '{"n":%d}\n' >%s]]):format(i, fifo))
      r.wait_until('a line', function() return lines_of(out) == i end)
    end
    held:signal 'KILL'
    assert.equal(0, p:wait())
    assert.equal('{"n":1}\n{"n":2}\n{"n":3}\n', h.read(out))
  end)
end)

describe('a clock and rates', function()
  it('ticks at full periods, counted', function()
    local got = h.run { 'run', '--quiet', '-e', "stream:from(tm.source.every { '20ms', count = 5 })" }
    assert.equal(0, got.code)
    local rows = h.rows(got.out)
    assert.equal(5, #rows)
    for i, row in ipairs(rows) do
      assert.equal(i, row.n)
      assert.equal(rows[1].time + 20 * (i - 1), row.time)
    end
    assert.is_true(math.abs(rows[5].time / 1000 - os.time()) < 60)
  end)

  it('goes on counting when the worker is killed', function()
    local out = h.path 'out'
    local p = r.start { 'run', '--quiet', '-e', "stream:from(tm.source.every { '5ms', count = 200 })", '--to', out }
    for k = 1, 4 do
      r.wait_until('ticks', function() return lines_of(out) > 30 * k end)
      p:signal('KILL', r.wait_until('a worker', function() return p:worker() end))
    end
    assert.equal(0, p:wait())
    local rows = h.rows(h.read(out))
    assert.equal(200, #rows)
    for i, row in ipairs(rows) do assert.equal(i, row.n) end
    r.stop_all()
  end)

  it('a rate is kept on any source, and everything comes', function()
    local input = {}
    for i = 1, 200 do input[i] = ('{"i":%d,"pad":"%s"}\n'):format(i, ('p'):rep(i * 37 % 2000)) end
    input = table.concat(input)
    local path = h.write(input)
    local python = h.python
    local packed = h.shell(python .. [[ -c '
import json, msgpack, sys
for line in sys.stdin: sys.stdout.buffer.write(msgpack.packb(json.loads(line)))']], input).out
    local generated = "stream:from(tm.source.generate(function(i) return { i = i, pad = ('p'):rep(i * 37 % 2000) } end, { count = 200 }))"
    for _, case in ipairs {
      { { '--from', path, '-e', 'stream' }, '' }, { { '-e', 'stream' }, input }, { { '--format', 'msgpack', '-e', 'stream' }, packed },
      { { '-e', generated }, '' },
    } do
      local got = h.run({ 'run', '--quiet', '--rate', '400/s', unpack(case[1]) }, case[2])
      assert.equal(0, got.code, got.err)
      assert.is_true(got.out == input)
      assert.is_true(got.seconds > 0.4, got.seconds)   -- 200 events; a lower bound cannot fail on a slow machine
    end
    local got = h.run({ 'run', '-e', "stream:from(tm.source.stdin { rate = '5/x' })" }, '')
    assert.equal(3, got.code)
    local message = "rate: '5/x' is not a rate; write events a second, minute or hour, such as '1000/s' or '6/m'"
    assert.truthy(got.err:find(message, 1, true), got.err)
    assert.equal(2, h.run({ 'run', '--rate', '7', '-e', 'stream' }, '').code)
    got = h.run({ 'run', '-e', "stream:from(tm.source.every '10')" }, '')
    assert.equal(3, got.code)
    assert.truthy(got.err:find("tm.source.every takes a period, such as '10s'", 1, true), got.err)
  end)
end)
