--[[ Sinks of the real program: standard output in all its forms, files, nothing; readers that go away or read late, disks
that are full. Nothing may be lost, doubled or torn, and memory stays where it is. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

local stream = { 'run', '--quiet', '-e', 'stream' }

--- NDJSON of `count` events, about 100 bytes each.
local function events(count)
  local list, pad = {}, ('p'):rep(80)
  for i = 1, count do list[i] = ('{"i":%d,"pad":"%s"}\n'):format(i, pad) end
  return table.concat(list)
end

--- All input that will ever come: an endless stream of events from a program of its own.
local endless = [[awk 'BEGIN { for (i = 1; ; i++) printf "{\"i\":%d,\"pad\":\"pppppppppppppppppppppppppppppp\"}\n", i }']]

describe('standard output', function()
  after_each(r.stop_all)

  it('may be a file, a pipe, a socket, appended to, or closed', function()
    local input = events(20000)
    local file, out = h.write(input), h.path 'out'
    assert.equal(0, h.shell(h.command(stream) .. ' <' .. file .. ' >' .. out).code)
    assert.is_true(h.read(out) == input)
    assert.equal(0, h.shell(h.command(stream) .. ' <' .. file .. ' >>' .. out).code)
    assert.is_true(h.read(out) == input .. input)
    assert.is_true(h.shell(h.command(stream) .. ' <' .. file .. ' | cat').out == input)
    local socket = [[python3 -c 'import socket, subprocess, sys
a, b = socket.socketpair()
p = subprocess.Popen(sys.argv[1:], stdout=b)
b.close()
while True:
  data = a.recv(1000)
  if not data: break
  sys.stdout.buffer.write(data)
sys.exit(p.wait())' ]]
    local got = h.shell(socket .. h.command(stream) .. ' <' .. file)
    assert.is_true(got.out == input)
    assert.equal(0, got.code)
    got = h.shell(h.command(stream) .. ' <' .. file .. ' >&-')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('standard output is closed; give --to FILE', 1, true), got.err)
  end)

  it('whose reader goes away ends the run in order', function()
    local code = h.path 'code'
    for _, input in ipairs { '', ' <' .. h.write(events(50000)) } do
      local from = input == '' and endless .. ' 2>/dev/null | ' or ''
      local got = h.shell(from .. '{ ' .. h.command { 'run', '--json', '-e', 'stream' } .. input ..
        '; echo $? >' .. code .. '; } | head -n 1')
      assert.equal(1, #h.lines(got.out))
      assert.equal('0\n', h.read(code))
      assert.truthy(got.err:find('stdout: the reader has gone away; the run ends', 1, true), got.err)
      local lines = h.lines(got.err)
      local c = h.decode(lines[#lines]).counters
      assert.is_true(c.rows_discarded > 0)
      -- what was made is either taken or thrown away
      assert.equal(c.events_in, c.rows_out + c.rows_discarded)
    end
  end)
end)

describe('files', function()
  after_each(r.stop_all)

  it('are appended to', function()
    local to = h.write '{"old":1}\n'
    for _ = 1, 2 do h.run({ 'run', '--quiet', '-e', 'stream', '--to', to }, '{"n":1}\n') end
    assert.equal('{"old":1}\n{"n":1}\n{"n":1}\n', h.read(to))
  end)

  it('that cannot be written are told before anything is read', function()
    local got = h.run({ 'run', '-e', 'stream', '--to', '/no/such/folder/x' }, '{"n":1}\n')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('/no/such/folder/x: cannot be written: No such file or directory', 1, true), got.err)
    got = h.run({ 'run', '-e', 'stream', '--to', '/tmp' }, '{"n":1}\n')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('/tmp: cannot be written: Is a directory', 1, true), got.err)
  end)

  it('have one name each', function()
    local dir = h.folder()
    local script = ([[local tm = require 'tidemill'
      return tm.pipeline 'p':to(tm.sink.file '%s/a'):to(tm.sink.file '%s/./a')]]):format(dir, dir)
    local got = h.script(script, '{"n":1}\n')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('are one file; call it by one name', 1, true), got.err)
  end)

  it('may be written by several pipelines and scripts', function()
    local to = h.path 'to'
    local got = h.script(([[local tm = require 'tidemill'
      local f = tm.sink.file '%s'
      local p = tm.pipeline 'p':map(function(e) if e.n == 2 then error 'two' end return e end):on_error(f)
      return { p:to(f), tm.pipeline 'q':to(tm.sink.file { path = '%s' }) }]]):format(to, to), '{"n":1}\n{"n":2}\n{"n":3}\n')
    assert.equal(0, got.code)
    local rows = h.rows(h.read(to))
    assert.same({ n = 1 }, rows[1])
    assert.same({ n = 1 }, rows[2])
    assert.equal('two', rows[3].reason)
    assert.same({ n = 2 }, rows[4])
    assert.equal(6, #rows)
  end)

  it('at their size limit end the run with exit code 1', function()
    local to = h.path 'to'
    local command = h.command { 'run', '--quiet', '-e', 'stream', '--to', to }
    local got = h.shell("trap '' XFSZ; ulimit -f 64; " .. command .. ' <' .. h.write(events(5000)))
    assert.equal(1, got.code)
    assert.truthy(got.err:find(to .. ': write failed: File too large', 1, true), got.err)
  end)
end)

describe('discard', function()
  it('counts rows and keeps none', function()
    local got = h.run({ 'run', '--json', h.write([[local tm = require 'tidemill'
      return tm.pipeline 'p':flat_map(function(e, emit) for j = 1, e.n do if j == 3 then error 'three' end emit { j = j } end end)
        :on_error(tm.sink.discard()):to(tm.sink.discard())]], h.path 's.lua') }, '{"n":2}\n{"n":0}\n{"n":3}\n{"n":1}\nno\n')
    assert.equal(0, got.code)
    assert.equal('', got.out)
    local lines = h.lines(got.err)
    local s = h.decode(lines[#lines])
    assert.equal(3, s.counters.rows_out)
    assert.equal(0, s.counters.bytes_out)
    assert.equal(1, s.counters.events_dropped)
    assert.equal(2, s.counters.rows_dead)
  end)

  it('takes any number of dead letters', function()
    local input = {}
    for i = 1, 30000 do input[i] = ('{"i":%d,"pad":"%s"}\n'):format(i, ('p'):rep(50)) end
    local got = h.script([[local tm = require 'tidemill'
      return tm.pipeline 'p':map(function(e) if e.i < 30000 then error 'no' end return e end)
        :on_error(tm.sink.discard())]], table.concat(input))
    assert.equal(0, got.code)
    assert.equal(input[30000], got.out)
  end)
end)

describe('a sink that takes nothing for a while', function()
  after_each(r.stop_all)

  -- 60 MB through a pipe whose reader waits for a word
  it('stops its sources and bounds memory; then nothing is lost or doubled', function()
    local input, to, go, digest = r.fifo(), r.fifo(), h.path 'go', h.path 'digest'
    local made = h.path 'made'
    local program = h.write([[BEGIN { for (i = 1; i <= 600000; i++) printf "{\"i\":%d,\"pad\":\"]] .. ('p'):rep(80) .. [[\"}\n", i }]])
    local feeder = r.spawn(('sh -c "awk -f %s | tee %s"'):format(program, made), { stdout = input })
    local reader = r.spawn(([[sh -c 'while [ ! -e %s ]; do sleep 0.01; done; exec sha256sum']]):format(go), { stdin = to, stdout = digest })
    local p = r.start({ 'run', '--json', '-e', 'stream' }, { stdin = input, stdout = to })
    -- the feeder comes to rest: what it made no longer grows, and the worker sleeps
    r.wait_until('the sources to stop', function()
      local size = r.size(made)
      if size == 0 then return false end
      h.shell 'sleep 0.2'
      return r.size(made) == size and p:worker() and r.state(p:worker()) == 'S'
    end)
    local before = r.size(made)
    assert.is_true(before < 20e6, 'refused after ' .. before .. ' bytes')
    assert.is_true(p:resident() < 64 * 1024 * 1024, 'resident ' .. p:resident())
    h.write('', go)
    local most = 0
    r.wait_until('the end', function()
      most = math.max(most, p:resident())
      return p:code()
    end, 60)
    assert.equal(0, p:wait())
    feeder:wait()
    reader:wait()
    assert.is_true(most < 64 * 1024 * 1024, 'resident ' .. most)
    assert.equal(r.digest(made), h.read(digest):match '%x+')
    local s = p:summary()
    assert.equal(600000, s.counters.rows_out)
    assert.is_true(s.counters.source_pauses >= 1)
  end)

  it('with one of two sinks slow: both get everything', function()
    local to, fast = r.fifo(), h.path 'fast'
    local file, slow = h.write(events(30000)), h.path 'slow'
    local reader = r.spawn('python3 tests/spec/tools/pieces.py 3 4000', { stdin = to, stdout = slow })
    local p = r.start({ 'run', '--quiet', h.write(([[local tm = require 'tidemill'
      return tm.pipeline 'p':to(tm.sink.file '%s'):to(tm.sink.file '%s')]]):format(fast, to), h.path 's.lua'), '--from', file })
    assert.equal(0, p:wait())
    reader:wait()
    assert.equal(r.digest(file), r.digest(fast))
    assert.equal(r.digest(file), r.digest(slow))
  end)

  it('a full disk is told; a drain ends the run with exit code 1', function()
    local p = r.start({ 'run', '--quiet', '-e', 'stream', '--from', h.write(events(20)), '--to', '/dev/full' })
    r.wait_until('the warning', function() return p:err():find('No space left on device; reading pauses until it works again', 1, true) end)
    assert.is_nil(p:code())
    p:signal 'TERM'
    assert.equal(1, p:wait())
    local said = p:err()
    assert.truthy(said:find('/dev/full: cannot write: No space left on device; the last %d+ bytes of rows are not in it'), said)
    assert.equal(2, #h.lines(said), said)
  end)

  it('a full disk that is cleared: the run goes on', function()
    local dir = h.folder()
    if os.execute('mount -t tmpfs -o size=256k none ' .. dir .. ' 2>/dev/null') ~= 0 then
      pending 'only root may mount a small file system'
      return
    end
    finally(function() os.execute('umount -l ' .. dir) end)
    os.execute('head -c 131072 /dev/zero >' .. dir .. '/other')
    local input = events(2000)   -- 190 KB
    local p = r.start({ 'run', '--json', '-e', 'stream', '--from', h.write(input), '--to', dir .. '/to' })
    r.wait_until('the warning', function() return p:err():find('No space left on device', 1, true) end)
    os.remove(dir .. '/other')
    assert.equal(0, p:wait())
    assert.is_true(h.read(dir .. '/to') == input)
    assert.equal(1, p:summary().counters.source_pauses)
  end)
end)
