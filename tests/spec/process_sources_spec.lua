--[[ Sources of the real program: files, standard input, generators, links between pipelines; what ends them and what
they refuse. Expected rows are written out, or counted by the obvious loop beside the test. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

local pass = "return require 'tidemill'.pipeline 'p'"

local function run(script, args, input)
  local list = { 'run', h.write(script, h.path 'script.lua'), '--json' }
  for _, a in ipairs(args or {}) do list[#list + 1] = a end
  return h.run(list, input)
end

local function counters(result)
  local lines = h.lines(result.err)
  return h.decode(lines[#lines]).counters
end

describe('files', function()
  it('are read in the order of their names', function()
    local dir = h.folder { ['b'] = '{"n":2}\n', ['a'] = '{"n":1}\n', ['c'] = '{"n":3}' }
    local got = run(pass, { '--from', dir .. '/c', '--from', dir .. '/a', '--from', dir .. '/b' })
    assert.equal('{"n":1}\n{"n":2}\n{"n":3}\n', got.out)
    assert.equal(0, got.code)
  end)

  it('each begin anew: byte order mark, line numbers, a last line without LF', function()
    local dir = h.folder { a = '\239\187\191{"n":1}\n{"n":2}', b = '\239\187\191{"n":3}\n\nno\n' }
    local got = run(pass, { '--from', dir .. '/a', '--from', dir .. '/b' })
    assert.equal('{"n":1}\n{"n":2}\n{"n":3}\n', got.out)
    assert.truthy(got.err:find(dir .. '/b:3', 1, true), got.err)
    assert.equal(1, counters(got).lines_bad)
  end)

  it('may be empty, or hold nothing but white space', function()
    local dir = h.folder { a = '', b = '\n \t\r\n\n', c = '{"n":1}\n' }
    local got = run(pass, { '--from', dir .. '/a', '--from', dir .. '/b', '--from', dir .. '/c' })
    assert.equal('{"n":1}\n', got.out)
    assert.equal(3, counters(got).lines_blank)
    assert.equal('', run(pass, { '--from', dir .. '/a' }).out)
  end)

  it('that are missing are told before anything is read', function()
    local dir = h.folder { a = '{"n":1}\n' }
    local got = run(pass, { '--from', dir .. '/a', '--from', dir .. '/z' })
    assert.equal(3, got.code)
    assert.equal('', got.out)
    assert.truthy(got.err:find(dir .. '/z: cannot be read: No such file or directory', 1, true), got.err)
  end)

  it('whose reading fails end the run with exit code 1', function()
    local got = run(pass, { '--from', '/proc/self/mem' })
    assert.equal(1, got.code)
    assert.truthy(got.err:find('/proc/self/mem: read failed: Input/output error', 1, true), got.err)
  end)

  it('are not read and written at once', function()
    local path = h.write '{"n":1}\n'
    local got = run(pass, { '--from', path, '--to', path })
    assert.equal(3, got.code)
    assert.truthy(got.err:find('is both read and written; write to another file', 1, true), got.err)
    assert.equal('{"n":1}\n', h.read(path))
    local script = h.write(pass, h.path 'script.lua')
    got = h.shell(h.command { 'run', script } .. ' <' .. path .. ' >>' .. path)
    assert.equal(3, got.code)
    got = run("local tm = require 'tidemill' return tm.pipeline 'p':from(tm.source.file '" .. path .. "'):to(tm.sink.file '" ..
      path:gsub('([^/]+)$', './%1') .. "')")
    assert.equal(3, got.code)
  end)

  it('may be pipes', function()
    local got = h.shell('mkfifo ' .. h.path 'f' .. '; ' .. h.command { 'run', '--quiet', '-e', 'stream', '--from', '/dev/fd/9' } ..
      ' 9<<X\n{"n":1}\n{"n":2}\nX\n')
    assert.equal('{"n":1}\n{"n":2}\n', got.out)
  end)

  it('may follow a pipe', function()
    local dir = h.folder { b = '{"n":2}\n' }
    local got = h.shell(('mkfifo %s/a && (echo \'{"n":1}\' >%s/a &) && %s'):format(dir, dir,
      h.command({ 'run', '--quiet', '-e', 'stream', '--from', dir .. '/a', '--from', dir .. '/b' }, { timeout = 10 })))
    assert.equal('{"n":1}\n{"n":2}\n', got.out)
    assert.equal(0, got.code)
  end)

  it('of any number may be sources of one script', function()
    local dir = h.folder { a = '{"n":1}\n{"n":2}\n', b = '{"n":3}\n{"n":4}\n' }
    local got = run(([[local tm = require 'tidemill'
      local a = tm.pipeline 'a':from(tm.source.file '%s/a')
      local b = tm.pipeline 'b':from(tm.source.file '%s/b')
      return { tm.pipeline 'u':from(tm.union(a, b)):map(function(e) return { u = e.n } end),
        a:filter(function(e) return e.n == 2 end), b }]])
      :format(dir, dir))
    -- a's batch first, event by event; a stream's own rows go before what is made of them
    assert.equal('{"u":1}\n{"n":2}\n{"u":2}\n{"n":3}\n{"u":3}\n{"n":4}\n{"u":4}\n', got.out)
  end)
end)

describe('standard input', function()
  after_each(r.stop_all)

  it('may be a pipe, a file, empty or closed', function()
    assert.equal('{"n":1}\n', h.shell("printf '{\"n\":1}' | " .. h.command { 'run', '--quiet', '-e', 'stream' }).out)
    local file = h.write '{"n":1}\n{"n":2}\n'
    assert.equal('{"n":1}\n{"n":2}\n', h.shell(h.command { 'run', '--quiet', '-e', 'stream' } .. ' <' .. file).out)
    -- a file that somebody has begun to read: the rest
    assert.equal('{"n":2}\n', h.shell('{ read line; ' .. h.command { 'run', '--quiet', '-e', 'stream' } .. '; } <' .. file).out)
    local got = h.shell(': | ' .. h.command { 'run', '--quiet', '-e', 'stream' })
    assert.equal('', got.out .. got.err)
    assert.equal(0, got.code)
    got = h.shell(h.command { 'run', '--quiet', '-e', 'stream' } .. ' <&-')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('standard input is closed; give --from FILE', 1, true), got.err)
    got = h.shell(h.command { 'run', '--quiet', '-e', 'stream' } .. ' </tmp')
    assert.equal(3, got.code)
  end)

  it('takes CRLF, a byte order mark, blank lines and a last line without LF', function()
    local got = run(pass, {}, '\239\187\191{"n":1}\r\n\r\n  \n{"n":2} \r\n\n{"n":3}')
    assert.equal('{"n":1}\n{"n":2}\n{"n":3}\n', got.out)
    local c = counters(got)
    assert.equal(3, c.events_in)
    assert.equal(3, c.lines_blank)
    assert.equal(0, c.lines_bad)
  end)

  it('is one source, whatever it is called by and however many read it', function()
    local got = run([[local tm = require 'tidemill'
      return { tm.pipeline 'a':map(function(e) return { a = e.n } end), tm.pipeline 'b':from(tm.source.stdin()):to(tm.sink.stdout()) }]],
      {}, '{"n":1}\n{"n":2}\n')
    assert.equal('{"a":1}\n{"n":1}\n{"a":2}\n{"n":2}\n', got.out)
    assert.equal(2, counters(got).events_in)
  end)

  it('hands each event on at once, to a pipe and to a file', function()
    for _, to in ipairs { r.fifo(), h.path 'file' } do
      local input, out = r.fifo(), h.path 'out'
      local copy
      if h.shell('test -p ' .. to).code == 0 then copy = r.spawn('cat', { stdin = to, stdout = out }) else out = to end
      local p = r.start({ 'run', '--quiet', '-e', 'stream' }, { stdin = input, stdout = to })
      local f = assert(io.open(input, 'wb'))
      f:setvbuf 'no'
      local want = ''
      for i = 1, 20 do
        local line = ('{"n":%d}\n'):format(i)
        f:write(line)
        want = want .. line
        r.wait_until('row ' .. i, function() return h.read(out) == want end)
      end
      f:close()
      assert.equal(0, p:wait())
      if copy then copy:wait() end
      assert.equal(want, h.read(out))
    end
  end)
end)

describe('generate', function()
  local function generated(fn, options)
    return run(("local tm = require 'tidemill' return tm.pipeline 'g':from(tm.source.generate(%s%s))")
      :format(fn, options and ', ' .. options or ''))
  end

  it('ends with nil or at its count', function()
    assert.equal('{"i":1}\n{"i":2}\n{"i":3}\n', generated 'function(i) if i <= 3 then return { i = i } end end'.out)
    assert.equal('{"i":1}\n{"i":2}\n', generated('function(i) return { i = i } end', '{ count = 2 }').out)
    assert.equal('', generated 'function() return nil end'.out)
    assert.equal('', generated('function(i) return { i = i } end', '{ count = 0 }').out)
    assert.equal('{"t":1}\n{"t":1}\n', generated([[function() return '{"t":1}' end]], '{ count = 2 }').out)
  end)

  it('makes a hundred thousand events, each once', function()
    local got = generated('function(i) return { i = i } end', '{ count = 100000 }')
    local want = {}
    for i = 1, 100000 do want[i] = ('{"i":%d}\n'):format(i) end
    assert.equal(0, got.code)
    assert.is_true(table.concat(want) == got.out)
    assert.equal(100000, counters(got).events_in)
  end)

  it('fails the run when its function does, or returns something else', function()
    local got = generated "function(i) if i == 3 then error 'enough' end return { i = i } end"
    assert.equal(1, got.code)
    assert.truthy(got.err:find('script.lua:1: enough', 1, true), got.err)
    got = generated 'function() return 5 end'
    assert.equal(1, got.code)
    assert.truthy(got.err:find('must return a table, a JSON text or nil, got a number', 1, true), got.err)
  end)
end)

describe('large events and many rows', function()
  it('a single event of 15 MiB, and one that makes 100,000 rows', function()
    local text = ('x'):rep(15 * 1024 * 1024)
    local got = run(pass, {}, '{"a":1}\n{"t":"' .. text .. '"}\n{"a":2}')
    assert.equal(0, got.code)
    assert.is_true(got.out == '{"a":1}\n{"t":"' .. text .. '"}\n{"a":2}\n')
    got = run("return require 'tidemill'.pipeline 'p':flat_map(function(e, emit) for j = 1, e.n do emit { j = j } end end)", {},
      '{"n":2}\n{"n":100000}\n{"n":100001}\n{"n":1}\n')
    local want = { '{"j":1}\n{"j":2}\n' }
    for j = 1, 100000 do want[#want + 1] = ('{"j":%d}\n'):format(j) end
    want[#want + 1] = '{"j":1}\n'
    assert.is_true(got.out == table.concat(want))
    assert.equal(1, counters(got).events_failed)
    assert.truthy(got.err:find('one event made more than 100000 rows (--max-rows)', 1, true), got.err)
  end)

  it('--max-rows and 16 MiB bound the rows of one event, and undo it', function()
    local got = run("return require 'tidemill'.pipeline 'p':flat_map(function(e, emit) for j = 1, e.n do emit { j = j } end end)",
      { '--max-rows', '3' }, '{"n":3}\n{"n":4}\n{"n":1}\n')
    assert.equal('{"j":1}\n{"j":2}\n{"j":3}\n{"j":1}\n', got.out)
    got = run([[return require 'tidemill'.pipeline 'p':flat_map(function(e, emit)
      for j = 1, e.n do emit { t = ('x'):rep(1024 * 1024) } end end)]], {}, '{"n":17}\n{"n":1}\n')
    assert.equal(1024 * 1024 + 9, #got.out)
    assert.equal(1, counters(got).events_failed)
    assert.truthy(got.err:find('exceed 16 MiB', 1, true), got.err)
  end)

  it('a line over --max-event is one bad line, wherever it stands', function()
    local long = '{"t":"' .. ('x'):rep(200) .. '"}'
    local huge = '{"t":"' .. ('y'):rep(3 * 1024 * 1024) .. '"}'
    for _, bad in ipairs { long, huge } do
      for _, input in ipairs {
        bad .. '\n{"n":1}\n{"n":2}\n', '{"n":1}\n' .. bad .. '\n{"n":2}\n', '{"n":1}\n{"n":2}\n' .. bad .. '\n',
        '{"n":1}\n{"n":2}\n' .. bad,
      } do
        local got = run(pass, { '--max-event', '100' }, input)
        assert.equal('{"n":1}\n{"n":2}\n', got.out)
        local c = counters(got)
        assert.equal(1, c.lines_bad)
        assert.equal(2, c.events_in)
      end
      local got = run(pass, { '--max-event', '100' }, bad .. '\n' .. bad .. '\n\n{"n":1}\n' .. bad .. '\n' .. bad .. '\nno')
      assert.equal('{"n":1}\n', got.out)
      assert.equal(5, counters(got).lines_bad)
      assert.truthy(got.err:find('longer than 100 bytes (--max-event)', 1, true), got.err)
      assert.truthy(got.err:find('stdin:7', 1, true) , got.err)
    end
  end)

  it('pipelines feed pipelines any number of rows an event', function()
    local got = run([[local tm = require 'tidemill'
      local first = tm.pipeline 'first':flat_map(function(e, emit) for j = 1, e.n do emit { i = e.i, j = j } end end)
      local second = tm.pipeline 'second':from(first):flat_map(function(e, emit) emit { a = e.j } emit { b = e.j } end)
      return { tm.pipeline 'third':from(second):to(tm.sink.stdout()), tm.pipeline 'side':map(function(e) return { side = e.i } end) }]],
      {}, '{"i":1,"n":5000}\n{"i":2,"n":0}\n{"i":3,"n":30000}\n')
    local want = {}
    for i, n in ipairs { 5000, 0, 30000 } do
      for j = 1, n do want[#want + 1] = ('{"a":%d}\n{"b":%d}\n'):format(j, j) end
      want[#want + 1] = ('{"side":%d}\n'):format(i)
    end
    assert.equal(0, got.code)
    assert.is_true(got.out == table.concat(want))
  end)
end)
