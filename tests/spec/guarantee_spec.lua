--[[ guarantee = '…' of sinks: what can be kept, what is refused and in which words; what `graph` tells. With --data in force it is asked of
the library's file alone, which needs nothing of the host. ]]

local h = require 'spec.helper'
local guarantee = require 'tidemill.guarantee'

local FILE, STDOUT = "tm.sink.file { path = '%s', guarantee = '%s' }", "tm.sink.stdout { guarantee = '%s' }"
local SQLITE = "tm.sink.sqlite { path = '%s', table = 't', guarantee = '%s' }"

local function code(sink, ...) return 'stream:to(' .. sink:format(...) .. ')' end

describe('guarantee', function()
  it('of a run without --data is at most once', function()
    local out = h.path 'out.ndjson'
    local r = h.run({ 'run', '--quiet', '-e', code(FILE, out, 'exactly_once') }, '{"a":1}\n')
    assert.equal(3, r.code)
    assert.truthy(r.err:find(out .. ": guarantee = 'exactly_once' cannot be kept, only at_most_once: without a folder to recover from, " ..
      'a run that is ended by force begins anew; give --data DIR', 1, true), r.err)
    assert.equal('', h.read(out))
    assert.equal(3, h.run({ 'run', '--quiet', '-e', code(FILE, out, 'at_least_once') }, '{"a":1}\n').code)
    assert.equal(3, h.run({ 'run', '--quiet', '-e', code(SQLITE, h.path 'o.db', 'exactly_once') }, '{"a":1}\n').code)
    assert.equal(0, h.run({ 'run', '--quiet', '-e', code(FILE, out, 'at_most_once') }, '{"a":1}\n').code)
    assert.equal('{"a":1}\n', h.read(out))
  end)

  it('of standard output is never more than at most once', function()
    for _, command in ipairs { 'check', 'run', 'graph' } do
      for _, level in ipairs { 'exactly_once', 'at_least_once' } do
        local r = h.run({ command, '-e', code(STDOUT, level) }, '')
        assert.equal(3, r.code)
        assert.truthy(r.err:find("stdout: guarantee = '" .. level .. "' cannot be kept, only at_most_once: ", 1, true), r.err)
      end
      assert.equal(0, h.run({ command, '-e', code(STDOUT, 'at_most_once') }, '').code)
    end
    local r = h.run { 'check', '-e', code(STDOUT, 'exactly_once') }
    assert.truthy(r.err:find('nobody can be asked what standard output took; write to a file or a database', 1, true), r.err)
  end)

  it('of files and databases is checked as if there were --data, which a script cannot say', function()
    for _, level in ipairs(guarantee.LEVELS) do
      assert.equal(0, h.run({ 'check', '-e', code(FILE, 'o', level) }).code)
      assert.equal(0, h.run({ 'check', '-e', code(SQLITE, 'o', level) }).code)
    end
  end)

  it('is one of three words, and one for each place', function()
    local r = h.run { 'check', '-e', code(FILE, 'o', 'exactly_onc') }
    assert.equal(3, r.code)
    assert.truthy(r.err:find('exactly_once', 1, true), r.err)
    r = h.run { 'check', '-e', "return { stream:to(tm.sink.file { path = 'o', guarantee = 'exactly_once' })" ..
      ":to(tm.sink.file { path = 'o', guarantee = 'at_most_once' }) }" }
    assert.truthy(r.err:find('o is asked for two different values of guarantee; choose one', 1, true), r.err)
  end)

  it('is drawn where it was asked for, and told of every sink as JSON', function()
    local both = ("return stream:to(%s):to(tm.sink.file 'plain.ndjson'):to(tm.sink.stdout())"):format(SQLITE:format('o.db', 'exactly_once'))
    local text = h.run({ 'graph', '-e', both }).out
    assert.truthy(text:find('→ sqlite o.db:t (exactly once)', 1, true), text)
    assert.truthy(text:find('→ file plain.ndjson ', 1, true), text)
    local told = {}
    for _, n in ipairs(h.decode(h.run({ 'graph', '--json', '-e', both }).out).nodes) do
      if n.kind == 'sink' then told[#told + 1] = n.label .. ': ' .. n.guarantee end
    end
    assert.same({ 'sqlite o.db:t (exactly once): exactly_once', 'file plain.ndjson: exactly_once', 'stdout: at_most_once' }, told)
  end)

  it('goes with what is said of sources: whether they can be read again', function()
    local line = guarantee.sources_line { { kind = 'file', name = 'a.ndjson' }, { kind = 'link' }, { kind = 'stdin', name = 'stdin' },
      { kind = 'log', name = 'log l' } }
    assert.truthy(line:find('^input can be read: a%.ndjson again, stdin once %(a pipe: .* is lost when all of the program ends by force' ..
      '; .*%), log l again$'), line)
    assert.is_nil(guarantee.sources_line { { kind = 'link' } })
    local told = {}
    for _, n in ipairs(h.decode(h.run({ 'graph', '--json', '-e', "return { stream:to(tm.sink.stdout()), " ..
      "tm.pipeline 'f':from(tm.source.log 'l'):to(tm.sink.stdout()) }" }).out).nodes) do
      if n.kind == 'source' then told[#told + 1] = n.label .. ': ' .. n.again end
    end
    table.sort(told)
    assert.same({ 'log l: again', 'stdin: once' }, told)
  end)

  it('is told of all sinks in a line, with --data', function()
    local sinks = { { kind = 'file', name = 'a.ndjson' }, { kind = 'link' }, { kind = 'stdout', name = 'stdout' }, { kind = 'discard' },
      { kind = 'sqlite', name = 'o.db:t' } }
    assert.equal('rows are written: a.ndjson exactly once, stdout at most once, o.db:t exactly once', guarantee.line(sinks))
    assert.equal('rows are written: nowhere', guarantee.line {})
    local failed = {}
    sinks[1].guarantee, sinks[3].guarantee, sinks[5].guarantee = 'at_least_once', 'at_most_once', 'exactly_once'
    guarantee.check(sinks, true, function(_, message) failed[#failed + 1] = message end)
    assert.same({}, failed)
    sinks[3].guarantee, sinks[3].place = 'exactly_once', 's.lua:3'
    guarantee.check(sinks, true, function(place, message) failed[#failed + 1] = place .. ' ' .. message end)
    assert.equal(1, #failed)
    assert.truthy(failed[1]:find("^s.lua:3 stdout: guarantee = 'exactly_once' cannot be kept"))
  end)
end)
