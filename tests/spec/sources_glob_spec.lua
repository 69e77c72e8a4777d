--[[
sources_glob_spec.lua - files by pattern and by folder: which are read, in which order, and what is told of those that are
empty, unreadable or gone. Which files a pattern means is asked of Python's glob; the order is that of sorted bytes.
]]

local h = require 'spec.helper'
local r = require 'spec.running'

local pass = "return require 'tidemill'.pipeline 'p'"

local function run(dir, ...)
  return h.run({ 'run', '--json', '-e', 'stream', ... }, nil, { cwd = dir })
end

local function counters(result)
  local lines = h.lines(result.err)
  return h.decode(lines[#lines]).counters
end

--- A folder whose files each hold one event with their own name.
local function named(names)
  local files = {}
  for _, name in ipairs(names) do files[name] = ('{"f":"%s"}\n'):format(name) end
  return h.folder(files)
end

local function names(result)
  local list = {}
  for i, row in ipairs(h.rows(result.out)) do list[i] = row.f end
  return list
end

local many = { 'b.ndjson', 'a.ndjson', 'Z.ndjson', 'a.txt', '.hidden.ndjson', 'é.ndjson', 'a10.ndjson', 'a9.ndjson', 'sub/x.ndjson',
  'sub/y.ndjson', 'sub/deep/z.ndjson', 'other/x.ndjson', '[a].ndjson', '~', 'with space.ndjson' }

describe('a pattern', function()
  it('means what it means to Python, in order of bytes', function()
    local dir = named(many)
    for _, pattern in ipairs { '*.ndjson', 'a*', '?.ndjson', '[ab].ndjson', '[!ab].ndjson', '*/*.ndjson', 'sub/[xy]*', '*/*/*', './a*',
      '.h*', '*é*', 'a[0-9]*', '*' } do
      local want = h.shell(([[cd %s && python3 -c '
import glob, os, sys
found = [p for p in glob.glob(sys.argv[1]) if not os.path.isdir(p)]
for p in sorted(found, key=os.fsencode): print(open(p).read().split(chr(34))[3])' %s]]):format(dir, h.quote(pattern)))
      assert.equal(0, want.code, want.err)
      local got = run(dir, '--from', pattern)
      assert.equal(0, got.code, got.err)
      assert.same(h.lines(want.out), names(got), pattern)
      assert.is_true(#names(got) > 0, pattern)
    end
  end)

  it('is a file of that name first; \\ takes the magic away', function()
    local dir = named { '[a].ndjson', 'a.ndjson', 'x*', 'xy' }
    assert.same({ '[a].ndjson' }, names(run(dir, '--from', '[a].ndjson')))
    assert.same({ 'x*' }, names(run(dir, '--from', 'x*')))
    os.remove(dir .. '/x*')
    assert.same({ 'xy' }, names(run(dir, '--from', 'x*')))
    assert.same({ 'a.ndjson' }, names(run(dir, '--from', '?.ndjson')))
    assert.same({ '[a].ndjson' }, names(run(dir, '--from', '\\[*')))
  end)

  it('may stand in a script, alone or in a list', function()
    local dir = named(many)
    local function script(source, ...)
      h.write("local tm = require 'tidemill' return tm.pipeline 'p':from(" .. source .. ')', dir .. '/p.lua')
      return h.run({ 'run', '--json', 'p.lua', ... }, nil, { cwd = dir })
    end
    assert.same({ 'sub/x.ndjson', 'sub/y.ndjson' }, names(script "tm.source.file 'sub/*'"))
    assert.same({ 'a.txt', 'other/x.ndjson', 'sub/x.ndjson', 'sub/y.ndjson' },
      names(script "tm.source.file { path = { 'sub/*.ndjson', 'a.txt', 'other' } }"))
    local got = script "tm.source.file { path = 'sub/?' }"
    assert.equal(3, got.code)
  end)

  it('that leads nowhere is told before anything is read', function()
    local dir = named { 'a.ndjson', 'sub/x.ndjson' }
    local cases = {
      { 'b*', 'b*: no file matches this pattern, and none is called so' },
      { 'no/such/*.ndjson', 'no/such/*.ndjson: no file matches this pattern' },
      { 's*', 's*: only folders match this pattern; name a folder to read the files in it' },
    }
    for _, case in ipairs(cases) do
      local got = run(dir, '--from', 'a.ndjson', '--from', case[1])
      assert.equal(3, got.code)
      assert.equal('', got.out)
      assert.truthy(got.err:find(case[2], 1, true), got.err)
    end
    -- check and graph do not look
    assert.equal(0, h.run({ 'check', '-e', 'stream', '--from', 'b*' }, nil, { cwd = dir }).code)
    assert.equal(3, h.run({ 'check', '-e', 'stream', '--sample', 'b*' }, nil, { cwd = dir }).code)
  end)

  it('and a name, or two patterns, that mean one file read it once; two names read it twice', function()
    local dir = named { 'a', 'b' }
    assert.same({ 'a', 'b' }, names(run(dir, '--from', '[ab]', '--from', 'a')))
    assert.same({ 'a', 'b' }, names(run(dir, '--from', '[ab]', '--from', 'a*')))
    assert.same({ 'a', 'a', 'b' }, names(run(dir, '--from', 'a', '--from', 'a', '--from', '[ab]')))
  end)
end)

describe('a folder', function()
  it('is all regular files in it: not hidden ones, not those below', function()
    local dir = named(many)
    h.shell('mkfifo ' .. dir .. '/pipe; ln -s a.txt ' .. dir .. '/link; ln -s sub ' .. dir .. '/sublink')
    local want = { 'Z.ndjson', '[a].ndjson', 'a.ndjson', 'a.txt', 'a10.ndjson', 'a9.ndjson', 'b.ndjson', 'a.txt', 'with space.ndjson', '~',
      'é.ndjson' }
    assert.same(want, names(run(dir, '--from', '.')))
    assert.same(want, names(run(nil, '--from', dir .. '/')))
    assert.same({ 'sub/x.ndjson', 'sub/y.ndjson' }, names(run(dir, '--from', 'sub')))
    assert.same({ 'sub/x.ndjson', 'sub/y.ndjson' }, names(run(dir, '--from', 'sublink')))
  end)

  it('without files is told', function()
    local dir = named { 'sub/x', '.hidden' }
    local got = run(dir, '--from', '.')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('.: there is no file in this folder (hidden ones and those of folders below are not read)', 1, true))
  end)

  it('of thousands of files is read in order, with few descriptors', function()
    local dir = h.folder()
    assert.equal(0, h.shell('cd ' .. dir .. [[ && seq 0 2999 | while read i; do echo "{\"f\":$i}" >$i.ndjson; done]]).code)
    local want = h.shell(('cd %s && LC_ALL=C ls | sed "s/.ndjson//"'):format(dir)).out
    local got = h.shell('ulimit -n 64; ' .. h.command { 'run', '--quiet', '-e', 'stream', '--from', dir })
    assert.equal(0, got.code, got.err)
    assert.equal(want, (got.out:gsub('{"f":(%d+)}', '%1')))
  end)
end)

describe('of files found so', function()
  after_each(r.stop_all)

  it('positions are told of each by itself', function()
    local dir = h.folder { ['a.ndjson'] = '{"n":1}\n{"n":2}\n', ['b.ndjson'] = '\n{"n":3}\n{"n":"x"}\nno\n' }
    local code = [[stream:map(function(e)
      e.n = e.n + 0
      e.at = tm.meta(e).source .. ':' .. tm.meta(e).position
      return e
    end):on_error(tm.sink.file 'bad')]]
    local got = h.run({ 'run', '--quiet', '-e', code, '--from', '*.ndjson' }, nil, { cwd = dir })
    assert.equal('{"n":1,"at":"a.ndjson:1"}\n{"n":2,"at":"a.ndjson:2"}\n{"n":3,"at":"b.ndjson:2"}\n', got.out)
    local places = {}
    for i, row in ipairs(h.rows(h.read(dir .. '/bad'))) do places[i] = row.position end
    assert.same({ 'b.ndjson:3', 'b.ndjson:4' }, places)
    got = h.run({ 'run', '--quiet', '-e', 'stream', '--from', dir .. '/' })
    assert.truthy(got.err:find(dir .. '/b.ndjson:4', 1, true), got.err)
  end)

  it('empty ones are counted, the first is named', function()
    local dir = h.folder { a = '', b = '{"f":"b"}\n', c = '', d = '\n' }
    local got = run(dir, '--from', '.')
    assert.equal(0, got.code)
    assert.same({ 'b' }, names(got))
    assert.equal(2, counters(got).files_empty)
    assert.truthy(got.err:find('./a: is empty', 1, true), got.err)
    assert.is_nil(got.err:find('./c: is empty', 1, true))
    local summary = h.run({ 'run', '-e', 'stream', '--from', '.' }, nil, { cwd = dir }).err
    assert.truthy(summary:find '\n  files empty +2\n')
  end)

  it('unreadable ones are told by name, before anything is read', function()
    local dir = named { 'a', 'b' }
    h.shell(('cd %s && for i in 1 2 3 4 5; do ln -s /no/where l$i; done'):format(dir))
    local got = run(dir, '--from', '.')
    assert.equal(3, got.code)
    assert.equal('', got.out)
    assert.truthy(got.err:find('./l1: cannot be read: No such file or directory; ./l2: ', 1, true), got.err)
    assert.truthy(got.err:find('and 2 more of 7 files', 1, true), got.err)
  end)

  it('so are files and folders without the right to read them', function()
    -- root may read all: as somebody else then
    local as = h.shell('id -u').out == '0\n' and 'setpriv --reuid=65534 --clear-groups --inh-caps=-all ' or ''
    if as ~= '' and h.shell(as .. 'true').code ~= 0 then return pending 'no other user to be' end
    local dir = named { 'a', 'sub/b', 'shut/c' }
    h.shell(('cd %s && chmod 755 . .. && chmod 000 sub/b && chmod 711 shut'):format(dir))
    local bin = h.path 'bin'
    h.shell(('cp %s %s && chmod 755 %s'):format(h.quote(h.bin), bin, bin))
    local function try(path)
      return h.shell(('cd %s && %s%s run --quiet -e stream --from %s'):format(dir, as, bin, h.quote(path)))
    end
    assert.equal('{"f":"a"}\n', try('a').out)
    for path, message in pairs {
      sub = 'sub/b: cannot be read: Permission denied',
      ['*/*'] = '*/*: cannot look for it: shut: Permission denied',
      ['sub/*'] = 'sub/b: cannot be read: Permission denied',
      shut = 'shut: the folder cannot be read: Permission denied', ['shut/*'] = 'shut/*: cannot look for it: shut: Permission denied',
    } do
      local got = try(path)
      assert.equal(3, got.code, path .. got.err)
      assert.truthy(got.err:find(message, 1, true), got.err)
    end
  end)

  it('those that vanish before it is their turn are told and left out; --strict ends with 1', function()
    for _, strict in ipairs { false, true } do
      local dir = h.folder { b = '{"n":2}\n', c = '{"n":3}\n' }
      -- a is a pipe: while it is open, the others wait
      h.shell('mkfifo ' .. dir .. '/a')
      local out, err = h.path 'out', h.path 'err'
      local p = r.start({ 'run', '--json', strict and '--strict' or '--no-jit', '-e', 'stream', '--from', dir .. '/*' },
        { stdout = out, stderr = err })
      local f = assert(io.open(dir .. '/a', 'r+b'))   -- a reader too: nobody is hurt while there is no other
      f:setvbuf 'no'
      f:write '{"n":1}\n'
      r.wait_until('the first row', function() return h.read(out) == '{"n":1}\n' end)
      os.remove(dir .. '/b')
      f:close()
      assert.equal(strict and 1 or 0, p:wait())
      assert.equal('{"n":1}\n{"n":3}\n', h.read(out))
      assert.truthy(h.read(err):find(dir .. '/b: was there when the run began and is gone; it is left out', 1, true), h.read(err))
      assert.equal(1, counters { err = h.read(err) }.files_gone)
    end
  end)

  it('the list is made once: what comes later, also after a death, is not read', function()
    local dir = h.folder { b = '{"n":2}\n' }
    h.shell('mkfifo ' .. dir .. '/a')
    local out, err = h.path 'out', h.path 'err'
    local p = r.start({ 'run', '--quiet', '-e', 'stream', '--from', dir .. '/*' }, { stdout = out, stderr = err })
    local f = assert(io.open(dir .. '/a', 'r+b'))
    f:setvbuf 'no'
    f:write '{"n":1}\n'
    r.wait_until('the first row', function() return h.read(out) == '{"n":1}\n' end)
    h.write('{"n":9}\n', dir .. '/c')
    local worker = p:worker()
    assert.truthy(worker)
    h.shell('kill -9 ' .. worker)
    r.wait_until('the next worker', function() return h.read(err):find('the next worker goes on', 1, true) end)
    f:write '{"n":1.5}\n'
    r.wait_until('its row', function() return h.read(out) == '{"n":1}\n{"n":1.5}\n' end)
    f:close()
    assert.equal(0, p:wait())
    assert.equal('{"n":1}\n{"n":1.5}\n{"n":2}\n', h.read(out))
  end)

  it('are not written to in the same run', function()
    local dir = named { 'a', 'out' }
    local got = run(dir, '--from', '.', '--to', 'out')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('./out is both read and written', 1, true), got.err)
    assert.equal('{"f":"out"}\n', h.read(dir .. '/out'))
  end)
end)

describe('names as they are', function()
  it('stay what they were', function()
    local dir = named { 'a', 'b' }
    assert.same({ 'a', 'b' }, names(run(dir, '--from', 'b', '--from', 'a')))
    local got = run(dir, '--from', 'a', '--from', 'none')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('none: cannot be read: No such file or directory', 1, true), got.err)
    h.write(pass, dir .. '/p.lua')
    -- what a shell made of a pattern: the second name is a script, as ever
    assert.equal(3, h.run({ 'run', 'p.lua', '--from', 'a', 'b' }, nil, { cwd = dir }).code)
  end)
end)
