--[[ Kept runs (--data) over all kinds of input, killed at random moments and started again: each event counts once, in its order.
Inputs that end must give what an undisturbed run writes, byte for byte. Of those that grow (followed files through rotation, an event log
that another process writes) each line must be there once. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local system = require 'system'

local KILLS = tonumber(os.getenv 'TM_KILLS') or 8   -- of each input

-- what is counted goes on over all events, so one that is lost or comes twice is seen in all rows behind it
local SCRIPT = [[
local tm = require 'tidemill'
local dir = tm.setting 'dir'
local input, follow = tm.pipeline 'input', tm.setting('follow', '') ~= ''
if tm.setting('log', '') ~= '' then input = input:from(tm.source.log { name = tm.setting 'log', follow = follow }) end
local counted = input:map(function(e) return { i = tonumber(e.i), k = tonumber(e.i) % 7 } end):key_by 'k'
  :running('n', { n = tm.agg.count(), sum = tm.agg.sum 'i' }, { unbounded = true })
return { counted:to(tm.sink.file(dir .. '/counted')), counted:to(tm.sink.file { path = dir .. '/part', roll = { size = '50K' } }) }
]]

local function kill_all(p)
  local worker = p:worker()
  p:signal 'KILL'
  if worker then p:signal('KILL', worker) end
  p:wait()
end

local function out_dir()
  local dir = h.path 'out'
  h.sh('mkdir %s', dir)
  return dir
end

local function content(dir) return h.sh('cd %s && for f in *; do echo "== $f"; cat $f; done', dir) end

--- The arguments of a run over an input.
local function arguments(script, dir, more)
  local args = { 'run', '--quiet', script, '--set', 'dir=' .. dir }
  for _, a in ipairs(more) do args[#args + 1] = a end
  return args
end

--- Kills a run over an input `KILLS` times, each time when it has got further; what it has written is that of one that was not disturbed.
local function judge(what, more, more_kept)
  local script = h.write(SCRIPT, h.path 's.lua')
  local dir = out_dir()
  local got = h.run(arguments(script, dir, more))
  assert.equal(0, got.code, got.err)
  local want = content(dir)
  assert.is_true(#want > 300000, what .. ': nothing was read')
  dir = out_dir()
  local args = arguments(script, dir, more_kept or more)
  for _, a in ipairs { '--data', h.path 'data', '--epoch', '5ms', '--rate', '100000/s' } do args[#args + 1] = a end
  local kills, most = 0, 0
  while kills < KILLS do
    local p = r.start(args)
    r.wait_until('progress', function() return p:code() or r.size(dir .. '/counted') > most end, 60)
    most = math.max(most, r.size(dir .. '/counted'))
    system.sleep(math.random() * 0.02)
    if p:code() then break end
    kill_all(p)
    kills = kills + 1
  end
  got = h.run(args)
  assert.equal(0, got.code, got.err)
  h.compare(want, content(dir), what)
  assert.is_true(kills >= KILLS / 2, what .. ': it ended after ' .. kills .. ' kills')
end

local function lines(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ('{"i":%d,"pad":"%s"}\n'):format(i, ('x'):rep(i * 7919 % 50)) end
  return table.concat(list)
end

describe('kept runs that are killed read', function()
  after_each(r.stop_all)
  math.randomseed(21)

  it('files by a pattern', function()
    local dir = h.folder()
    for i = 1, 6 do h.write(lines(i * 5000 - 4999, i * 5000), ('%s/%d.ndjson'):format(dir, i)) end
    judge('pattern', { '--from', dir .. '/*.ndjson' })
    judge('folder', { '--from', dir })
  end)

  it('compressed files', function()
    local dir = h.folder { ['a.ndjson'] = lines(1, 15000), ['b.ndjson'] = lines(15001, 30000) }
    h.sh('cd %s && gzip -k a.ndjson && zstd -q b.ndjson -o b.zst', dir)
    judge('compressed', { '--from', dir .. '/a.ndjson.gz', '--from', dir .. '/b.zst' })
    judge('compressed and plain', { '--from', dir .. '/a.ndjson.gz', '--from', dir .. '/b.ndjson' })
  end)

  it('CSV with headers, and msgpack', function()
    local dir = h.folder()
    h.sh([[%s -c 'import csv, sys
for f in 0, 1:
    with open("%%s/%%d.csv" %% (sys.argv[1], f), "w", newline="") as out:
        w = csv.writer(out)
        w.writerow(["pad", "i"])
        for i in range(15000): w.writerow(["a \"x\", \n" + "y" * (i %% 9), f * 15000 + i])' %s]], h.python, dir)
    judge('csv', { '--from', dir .. '/0.csv', '--from', dir .. '/1.csv' })
    h.sh([[%s -c 'import msgpack, sys
with open(sys.argv[1], "wb") as f:
    for i in range(30000): f.write(msgpack.packb({"pad": b"\xff" * (i %% 60), "i": i}))' %s/in.msgpack]], h.python, dir)
    judge('msgpack', { '--from', dir .. '/in.msgpack' })
  end)

  it('standard input that is a file', function()
    local input = h.write(lines(1, 30000), h.path 'in.ndjson')
    local script, dir, data = h.write(SCRIPT, h.path 's.lua'), out_dir(), h.path 'data'
    assert.equal(0, h.run(arguments(script, dir, { '--from', input })).code)
    local want = content(dir)
    dir = out_dir()
    local args, most, kills = arguments(script, dir, { '--data', data, '--epoch', '5ms', '--rate', '100000/s' }), 0, 0
    for _ = 1, KILLS do
      local p = r.start(args, { stdin = input })
      r.wait_until('progress', function() return p:code() or r.size(dir .. '/counted') > most end, 60)
      most = math.max(most, r.size(dir .. '/counted'))
      if p:code() then break end
      kill_all(p)
      kills = kills + 1
    end
    assert.equal(0, r.start(args, { stdin = input }):wait())
    h.compare(want, content(dir), 'standard input')
    assert.is_true(kills >= KILLS / 2)
  end)

  it('an event log', function()
    local logs = h.path 'logs'
    local code = "stream:to(tm.sink.log { name = 'in', segment = '100K' })"
    local got = h.run({ 'run', '--quiet', '-e', code, '--logs', logs }, lines(1, 30000))
    assert.equal(0, got.code, got.err)
    judge('log', { '--set', 'log=in', '--logs', logs })
  end)

  --- The events 1 to n were counted, each once: the rows of each key count up to the number of its events, and the last sums are theirs.
  local function each_once(dir, n)
    local counts, sums, want, total = {}, {}, {}, {}
    for i = 1, n do want[i % 7], total[i % 7] = (want[i % 7] or 0) + 1, (total[i % 7] or 0) + i end
    for _, row in ipairs(h.rows(h.read(dir .. '/counted'))) do
      counts[row.k] = (counts[row.k] or 0) + 1
      assert.equal(counts[row.k], row.n)
      sums[row.k] = row.sum
    end
    assert.same(want, counts)
    assert.same(total, sums)
  end

  it('an event log that another process writes', function()
    local logs, dir = h.path 'logs', out_dir()
    local fifo = r.fifo()
    local code = "stream:to(tm.sink.log { name = 'in', segment = '50K' })"
    local writer = r.start({ 'run', '--quiet', '-e', code, '--logs', logs }, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    local script = h.write(SCRIPT, h.path 's.lua')
    local args = arguments(script, dir, { '--set', 'log=in', '--set', 'follow=1', '--logs', logs, '--data', h.path 'data',
      '--epoch', '5ms' })
    local p
    local at = 0
    local function more(n)
      f:write(lines(at + 1, at + n))
      f:flush()
      at = at + n
    end
    more(100)
    r.wait_until('the log', function() return r.size(logs .. '/logs/in/00000000000000000001.events') > 0 end)
    for _ = 1, KILLS do
      p = r.start(args)
      local from = r.size(dir .. '/counted')
      for _ = 1, 5 do
        more(300)
        system.sleep(math.random() * 0.02)
      end
      r.wait_until('progress', function() return p:code() or r.size(dir .. '/counted') > from end)
      assert.is_nil(p:code(), p:err())
      kill_all(p)
    end
    more(500)
    f:close()
    assert.equal(0, writer:wait(), writer:err())
    p = r.start(args)
    local n = h.sh('cat %s/counted | wc -l', dir)
    r.wait_until('all', function()
      n = tonumber((h.sh('cat %s/counted | wc -l', dir)))
      return n >= at
    end, 60)
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    each_once(dir, at)
  end)

  it('files that are followed and rotated, killed before, behind and in between', function()
    local logs, dir = h.folder(), out_dir()
    local script = h.write(SCRIPT, h.path 's.lua')
    local args = arguments(script, dir, { '--from', logs .. '/a.log', '--follow', '--data', h.path 'data', '--epoch', '5ms' })
    local at, old = 0, 0
    local function more(n)
      local f = assert(io.open(logs .. '/a.log', 'a'))
      f:write(lines(at + 1, at + n))
      f:close()
      at = at + n
    end
    local function count() return tonumber((h.sh('cat %s/counted 2>/dev/null | wc -l', dir))) end
    more(50)
    for k = 1, KILLS do
      local p = r.start(args)
      for step = 1, 4 do
        more(200)
        system.sleep(math.random() * 0.01)
        if step == 2 and k % 2 == 0 then
          -- what nobody has seen under its name cannot be followed
          r.wait_until('the rows', function() return p:code() or count() == at end, 30)
          old = old + 1
          assert(os.rename(logs .. '/a.log', logs .. '/old.' .. old))
        end
      end
      assert.is_nil(p:code(), p:err())
      kill_all(p)
    end
    local function all_read()
      local p = r.start(args)
      r.wait_until('all', function() return p:code() or (p:worker() and count() >= at) end, 60)
      p:signal 'TERM'
      assert.equal(0, p:wait(), p:err())
    end
    all_read()
    -- rotated while nobody reads: by renaming, with lines that were not read, and by copying
    more(100)
    old = old + 1
    assert(os.rename(logs .. '/a.log', logs .. '/old.' .. old))
    more(100)
    all_read()
    h.sh('cd %s && cp a.log a.copy && : >a.log', logs)
    more(70)
    all_read()
    each_once(dir, at)
  end)
end)
