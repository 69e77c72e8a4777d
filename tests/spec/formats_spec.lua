-- The format of sources and sinks by the names of files, of folders and patterns too (lua/tidemill/formats.lua).
local h = require 'spec.helper'
local r = require 'spec.running'

local A1 = '\x81\xa1a\x01'   -- { a = 1 } in msgpack

local function from(...)
  local args = { 'run', '--quiet', '-e', 'stream' }
  for _, path in ipairs { ... } do args[#args + 1] = '--from'; args[#args + 1] = path end
  return h.run(args)
end

describe('names of files', function()
  after_each(r.stop_all)

  it('tell the format of a file, a folder and a pattern', function()
    local cases = {
      { { ['a.csv'] = 'a\n1\n', ['b.CSV'] = 'a,b\n2,3\n' }, '{"a":"1"}\n{"a":"2","b":"3"}\n' },
      { { ['a.tsv'] = 'a\tb\n1,5\t2\n' }, '{"a":"1,5","b":"2"}\n' },
      { { ['a.msgpack'] = A1, ['b.mpk'] = A1 }, '{"a":1}\n{"a":1}\n' },
      { { ['a.lines'] = 'x\n\n' }, '{"line":"x"}\n{"line":""}\n' },
      { { ['a.ndjson'] = '{"a":1}\n', ['b.jsonl'] = '{"a":2}\n', ['c.log'] = '{"a":3}\n', d = '{"a":4}\n' },
        '{"a":1}\n{"a":2}\n{"a":3}\n{"a":4}\n' },
      { { ['a.csv'] = 'a\n1\n', ['.hidden.ndjson'] = 'x' }, '{"a":"1"}\n' },
    }
    for _, case in ipairs(cases) do
      local dir = h.folder(case[1])
      for _, what in ipairs { dir, dir .. '/', dir .. '/*' } do
        local got = from(what)
        assert.equal(case[2], got.out, got.err)
        assert.equal(0, got.code)
      end
      local script = h.write(("local tm = require 'tidemill' return tm.pipeline 'p':from(tm.source.file '%s')"):format(dir),
        h.path 's.lua')
      assert.equal(case[2], h.run({ 'run', '--quiet', script }).out)
      assert.equal(0, h.run({ 'check', script }).code)
    end
    local dir = h.folder { ['a.csv'] = 'a\n1\n' }
    h.sh('gzip %s/a.csv', dir)
    assert.equal('{"a":"1"}\n', from(dir).out)
    assert.equal('{"a":"1"}\n', from(dir .. '/?.csv.gz').out)
  end)

  it('that tell different things are told, until a format is said', function()
    local dir = h.folder { ['a.csv'] = 'a\n1\n', ['b.ndjson'] = '{"a":1}\n' }
    local got = from(dir)
    assert.equal(2, got.code)
    assert.truthy(got.err:find(('--format: %s/a.csv is csv by its name and %s/b.ndjson is json by its name; say which format ' ..
      'all of them have, or read them apart'):format(dir, dir), 1, true), got.err)
    assert.equal('', got.out)
    got = from(dir .. '/a.csv', dir .. '/b.ndjson')
    assert.equal(2, got.code)
    got = h.run { 'run', '--quiet', '-e', 'stream', '--from', dir, '--format', 'lines' }
    assert.equal('{"line":"a"}\n{"line":"1"}\n{"line":"{\\"a\\":1}"}\n', got.out, got.err)
    got = h.run { 'run', '--quiet', '-e', ("tm.pipeline 'p':from(tm.source.file '%s')"):format(dir) }
    assert.equal(3, got.code)
    assert.truthy(got.err:find('tm.source.file: ' .. dir .. '/a.csv is csv by its name', 1, true), got.err)
    got = from(h.folder { ['a.csv'] = 'a\n1\n', ['b.tsv'] = 'a\n1\n' })
    assert.truthy(got.err:find('a.csv is csv by its name and', 1, true), got.err)
    assert.truthy(got.err:find('b.tsv is csv with tabs by its name', 1, true), got.err)
    got = from(h.folder { ['a.msgpack'] = A1, notes = 'x' })
    assert.truthy(got.err:find('notes tells nothing by its name', 1, true), got.err)
  end)

  it('tell that of a sink', function()
    local to = h.path 'out.msgpack'
    assert.equal(0, h.run({ 'run', '--quiet', '-e', 'stream', '--to', to }, '{"a":1}\n').code)
    assert.equal(A1, h.read(to))
  end)

  it('are looked at once: a new worker goes on though other files have come', function()
    local dir = h.folder { ['a.csv'] = 'a\n' .. ('1\n'):rep(200000) }
    local to = h.path 'to'
    local p = r.start({ 'run', '--json', '-e', 'stream', '--from', dir, '--rate', '200000/s' }, { stdout = to })
    r.wait_until('rows', function() return r.size(to) > 1000 end)
    h.write('{}\n', dir .. '/b.ndjson')
    local worker = p:worker()
    assert.is_true(p:signal('KILL', worker))
    assert.equal(0, p:wait(60), p:err())
    assert.equal(('{"a":"1"}\n'):rep(200000), h.read(to))
    assert.equal(1, h.decode(p:err():match '([^\n]*"counters"[^\n]*)').counters.worker_restarts)
  end)
end)
