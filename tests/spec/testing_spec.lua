--[[
testing_spec.lua - `tidemill test` and tm.testing. Specs are written to a folder and run by the program; what they assert is from api.md and
semantics.md, numbers are small enough to be counted by hand, larger streams are compared with `tidemill run` on the same events.
]]

local h = require 'spec.helper'

local HEAD = "local tm = require 'tidemill'\n"

--- Runs the body of one test, or the files of a folder.
local function test(files, ...)
  if type(files) == 'string' then files = { ['x_spec.lua'] = HEAD .. "it('x', function()\n" .. files .. '\nend)\n' } end
  local dir = h.folder(files)
  return h.run({ 'test', ... }, nil, { cwd = dir }), dir
end

local function passes(body)
  local r = test(body)
  assert.equal(0, r.code, r.out .. r.err)
  assert.matches('1 success / 0 failures / 0 errors', r.out)
  assert.equal('', r.err)
end

--- What the test ends with, as JSON tells it.
local function message(body)
  local r = test(body, '--json')
  return h.decode(r.out:match '([^\n]*)\n$').tests[1].message, r
end

describe('processing_time', function()
  it('goes by the clock, which a spec moves', function()
    passes [[
      local s = tm.pipeline 'p':processing_time()
      local t = tm.testing.run { s:window('w', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }:to(tm.sink.file 'w'),
        s:key_by 'k':process('late', { state = { n = 0 }, max_keys = 10,
          on_event = function(e, st, ctx) ctx.timer('t', ctx.time + 10000) end,
          on_timer = function(name, st, ctx) ctx.emit { k = ctx.key, at = ctx.time } end }):to(tm.sink.file 't') }
      t:send { k = 'a' }
      t:advance '9s'
      t:send { k = 'b' }
      t:advance '1s'
      assert.same({}, t:out 't')   -- the millisecond at which it is due is not over
      t:advance '1ms'
      assert.same({ { k = 'a', at = 10000 } }, t:out 't')
      t:send { k = 'a' }
      t:advance '5m'
      assert.same({ { k = 'b', at = 19000 }, { k = 'a', at = 20001 } }, t:out 't')
      assert.same({ { n = 3, window_start = 0, window_end = 60000 } }, t:out 'w')
      t:send { k = 'c' }
      t:watermark(math.huge)
      assert.same({ { n = 1, window_start = 300000, window_end = 360000 } }, t:out 'w')
    ]]
  end)
end)

describe('tidemill test', function()
  it('runs the specs of folders and files, hidden ones left out', function()
    local pass = "it('a', function() assert.equal(1, 1) end)"
    local files = { ['a_spec.lua'] = pass, ['b/c_spec.lua'] = pass }
    for _, name in ipairs { '.d/e_spec.lua', 'b/.f_spec.lua', 'g.lua' } do files[name] = 'error()' end
    local r, dir = test(files)
    assert.equal(0, r.code, r.out .. r.err)
    assert.matches('^%+%+\n2 successes / 0 failures / 0 errors / 0 pending', r.out)
    assert.matches('\n1 success ', h.run({ 'test', 'b' }, nil, { cwd = dir }).out)
    assert.matches('\n1 success ', h.run({ 'test', 'a_spec.lua' }, nil, { cwd = dir }).out)
  end)

  it('ends with 4 when a test failed, 3 when a spec or script does not load, 2 on usage', function()
    assert.equal(4, test('assert.equal(1, 2)').code)
    assert.equal(4, test('error "oops"').code)
    assert.equal(3, test({ ['x_spec.lua'] = 'it(' }).code)
    assert.equal(3, test({ ['x_spec.lua'] = HEAD .. "it('x', function() tm.testing.run 's.lua' end)", ['s.lua'] = 'return 1' }).code)
    assert.equal(3, test("tm.testing.run 'none.lua'").code)
    -- a script that is refused on purpose is no failure
    assert.equal(0, test('assert.has_error(function() tm.testing.run "none.lua" end)').code)
    local r = test({})
    assert.equal(2, r.code)
    assert.matches("no %*_spec.lua, and no pack with tests, in '.'", r.err)
    r = test({}, 'nowhere')
    assert.equal(2, r.code)
    assert.matches("'nowhere'", r.err)
    assert.equal(2, test({}, '--jsn').code)
    assert.matches("'x.txt' is no spec", test({ ['x.txt'] = '' }, 'x.txt').err)
  end)

  it('tells the results as one JSON object', function()
    local r = test({ ['x_spec.lua'] = [[
      it('good', function() print 'words of a spec' end)
      it('bad', function()
        assert.equal(1, 2)
      end)
      it('raises', function() error 'oops' end)
      pending 'later'
    ]] }, '--json')
    assert.equal(4, r.code)
    local told = h.decode(r.out)
    assert.same({ 1, 1, 1, 1 }, { told.passed, told.failed, told.errors, told.pending })
    local by_name = {}
    for _, t in ipairs(told.tests) do by_name[t.name] = t end
    assert.equal('passed', by_name.good.status)
    assert.same({ 'failed', 'x_spec.lua' }, { by_name.bad.status, by_name.bad.file })
    assert.matches('x_spec.lua:3: Expected objects to be equal', by_name.bad.message)
    assert.matches('x_spec.lua:5: oops', by_name.raises.message)
  end)

  it('says what to install where busted is not', function()
    local r = h.shell(('LUA_PATH=/nowhere/?.lua %s test .'):format(h.quote(h.bin)))
    assert.equal(1, r.code)
    assert.matches('busted does not load; .*apt%-get install lua%-busted', r.err)
  end)

  it('has Lua as it is, outside the sandbox', function()
    passes [[
      assert.truthy(io.open and os.getenv and debug.getinfo and package.path)
      assert.matches('^table: 0x', tostring {})
      assert.equal(tm, require 'tidemill')
      assert.equal('ab', ('%s%s'):format('a', 'b'))
    ]]
  end)
end)

describe('tm.testing', function()
  it('sends events to a stream and takes its rows, once', function()
    passes [[
      local seen = 0
      local t = tm.testing.run(tm.pipeline 'a':filter(function(e) seen = seen + 1 return e.x > 1 end))
      t:send { x = 1 } t:send { x = 2, list = {}, deep = { list = { 1, tm.null } } } t:send '{"x":3}'
      assert.same({ { x = 2, list = {}, deep = { list = { 1, tm.null } } }, { x = 3 } }, t:out 'a')
      assert.same({}, t:out 'a')
      assert.equal(3, seen)
    ]]
  end)

  it('gives integers that a number of Lua would round as their digits', function()
    passes [[
      local t = tm.testing.run(tm.pipeline 'p')
      t:send '{"n":9223372036854775807,"list":[-9007199254740993,9007199254740992]}'
      assert.same({ { n = '9223372036854775807', list = { '-9007199254740993', 9007199254740992 } } }, t:out())
    ]]
  end)

  it('runs over: what looks back gives all its values, with a where too', function()
    passes [[
      local t = tm.testing.run(tm.pipeline 'p':event_time { field = 'ts' }:key_by 'k':over('o', { n = tm.agg.count { over = '10ms' },
        a = tm.agg.sum('v', { over = '10ms' }), b = tm.agg.max('v', { over = '10ms', where = function(e) return e.v < 5 end }) })
        :select { 'n', 'a', 'b' })
      for ts = 1, 3 do t:send { k = 'x', ts = ts, v = 2 * ts } end
      assert.same({ { n = 1, a = 2, b = 2 }, { n = 2, a = 6, b = 4 }, { n = 3, a = 12, b = 4 } }, t:out())
    ]]
  end)

  it('sends to pipelines that share a table and a source, event by event', function()
    passes [[
      local rows = tm.pipeline 'rows':filter(function(e) return e.name end)
      local names = tm.table('names', { key = 'k', from = rows, unbounded = true })
      local t = tm.testing.run { tm.pipeline 'p':lookup(names, { on = 'k', as = 'of' }) }
      t:send '{"k":1}\n{"k":1,"name":"a"}\n{"k":1}\n'
      local of = { k = 1, name = 'a' }
      assert.same({ { k = 1 }, { k = 1, name = 'a', of = of }, { k = 1, of = of } }, t:out())
    ]]
  end)

  it('takes events of any time, behind a link too', function()
    passes [[
      local link = tm.pipeline 'l':from(tm.pipeline 'p'):event_time { field = 'ts' }
      local t = tm.testing.run(link:window('w', tm.window.tumbling '10ms'):aggregate { n = tm.agg.count() })
      t:send { ts = 4e12 }
      t:send { ts = 4e12 + 10 }
      assert.same({ { n = 1, window_start = 4e12, window_end = 4e12 + 10 } }, t:out())
      assert.same({}, t:late())
    ]]
  end)

  it('knows sinks by name and path, and keeps them apart', function()
    passes [[
      local s = tm.pipeline 'a':branch { big = function(e) return e.x > 1 end, rest = true }
      local t = tm.testing.run { s.big:to(tm.sink.file { path = '/nowhere/{x}.csv', name = 'big' }), s.rest:to(tm.sink.discard()) }
      t:send { x = 1 } t:send { x = 2 }
      assert.same({ { x = 1 } }, t:out 'discard')
      t:send { x = 3 }
      assert.same({ { x = 2 }, { x = 3 } }, t:out '/nowhere/{x}.csv')
      assert.same({}, t:out 'big')
      assert.same({}, t:out 'a')
    ]]
  end)

  it('gives dead letters, with and without on_error, and takes back what the event did', function()
    passes [[
      local s = tm.pipeline 'a':key_by 'k':process('p', { max_keys = 9, state = { n = 0 }, on_event = function(e, st, ctx)
        st.n = st.n + 1
        if e.bad then error 'no' end
        ctx.emit { n = st.n }
      end })
      for _, stream in ipairs { s, s:on_error(tm.sink.file 'dead.ndjson') } do
        local t = tm.testing.run(stream)
        t:send { k = 'x' } t:send { k = 'x', bad = true } t:send { k = 'x' } t:send { k = 'x', bad = true }
        assert.same({ { n = 1 }, { n = 2 } }, t:out 'a')
        local letters = t:errors()
        assert.equal(2, #letters)
        assert.same({ 'no', 'a', { k = 'x', bad = true } }, { letters[1].reason, letters[1].pipeline, letters[1].event })
        assert.matches('^x_spec.lua:5$', letters[1].at)
        assert.same({ n = 2 }, t:state('a/p', 'x'))
        assert.is_nil(t:state('p', 'y'))
      end
    ]]
  end)

  it('tells of dead letters that nobody looked at', function()
    local r = test [[
      local t = tm.testing.run(tm.pipeline 'a':filter(function(e) return e.x > 1 end))
      t:send {} t:send {}
    ]]
    assert.equal(0, r.code)
    assert.matches('x_spec.lua:3: 2 dead letters of this run that t:errors%(%) did not take; the first: x_spec.lua:3: attempt', r.err)
  end)

  it('moves the watermark by events as declared, or by hand alone', function()
    local stream = [[
      local s = tm.pipeline 'w':event_time { field = 'ts', out_of_order = '1s' }:key_by 'k'
        :window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }
      local function row(n, from) return { k = 'a', n = n, window_start = from, window_end = from + 10000 } end
    ]]
    passes(stream .. [[
      local t = tm.testing.run(s)
      t:send { k = 'a', ts = 0 } t:send { k = 'a', ts = 10999 } t:send { k = 'a', ts = 9999 }
      assert.same({}, t:out())
      t:send { k = 'a', ts = 11000 }          -- w = 11000 - 1000 - 1 = 9999
      assert.same({ row(2, 0) }, t:out())
      t:send { k = 'a', ts = 9999 }
      assert.same({ { k = 'a', ts = 9999 } }, t:late())
      t:watermark(19998)
      assert.same({}, t:out())
      t:watermark(19999)
      assert.same({ row(2, 10000) }, t:out())
      t:send { k = 'a', ts = 20000 }
      assert.matches('never goes back: 19998 is before 19999', select(2, pcall(t.watermark, t, 19998)))
      t:watermark(math.huge)
      assert.same({ row(1, 20000) }, t:out())
      assert.has_error(function() t:send {} end)
    ]])
    passes(stream .. [[
      local t = tm.testing.run(s, { watermark = 'manual' })
      t:send { k = 'a', ts = 50000 } t:send { k = 'a', ts = 1 }
      assert.same({}, t:out())
      t:watermark(9999)
      assert.same({ row(1, 0) }, t:out())
      t:send { k = 'a', ts = 1 }
      assert.equal(1, #t:late())
    ]])
  end)

  it('waits for the watermark of each source, by hand', function()
    passes [[
      local u = tm.union(tm.pipeline 'a':from(tm.source.file 'a'), tm.pipeline 'b':from(tm.source.file 'b'))
      local t = tm.testing.run(u:event_time { field = 'ts' }:window('w', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() },
        { watermark = 'manual' })
      t:send('a', { ts = 1 }) t:send('b', { ts = 2 })
      t:watermark('a', 60000)
      assert.same({}, t:out())
      t:watermark('b', 59999)
      assert.same({ { n = 2, window_start = 0, window_end = 60000 } }, t:out())
    ]]
  end)

  it('has a clock that starts at 0 and moves when told', function()
    passes [[
      local t = tm.testing.run { tm.pipeline 'a':from(tm.source.every '10s'), tm.pipeline 'b':from(tm.source.every { '15s', count = 1 }) }
      t:advance '30s'
      assert.same({ { time = 10000, n = 1 }, { time = 20000, n = 2 }, { time = 30000, n = 3 } }, t:out 'a')
      assert.same({ { time = 15000, n = 1 } }, t:out 'b')
      t:advance '9s'
      assert.same({}, t:out())
      t:advance '1s'
      assert.same({ { time = 40000, n = 4 } }, t:out())
    ]]
    passes [[
      local t = tm.testing.run(tm.pipeline 'a':map(function(e) return { at = tm.meta(e).received } end))
      t:advance '1m30s'
      t:send {}
      assert.same({ { at = 90000 } }, t:out())
    ]]
  end)

  it('loads a script by its path in the sandbox, with settings, sources in their format', function()
    local r = test {
      ['s/s.lua'] = HEAD .. [[
        local limit = require('limits').of(tm.setting('limit', 10))
        assert(io == nil)
        return tm.pipeline 'big':from(tm.source.file 'in.csv'):schema { n = 'integer' }:filter(function(e) return e.n >= limit end)
          :to(tm.sink.file 'out.csv')]],
      ['s/limits.lua'] = 'return { of = function(n) return n end }',
      ['x_spec.lua'] = HEAD .. [[it('x', function()
        local t = tm.testing.run('s/s.lua', { set = { limit = 5 } })
        t:send { n = 4, name = 'a,b' } t:send { n = 6, name = 'c "d"' } t:send '7,e'
        assert.same({ { n = 6, name = 'c "d"' }, { n = 7, name = 'e' } }, t:out 'out.csv')
      end)]],
    }
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('tells of an event kept after its call', function()
    passes [[
      local kept
      local t = tm.testing.run(tm.pipeline 'k':filter(function(e) local x = kept and kept.x kept = e return x == nil end))
      t:send { x = 1 } t:send { x = 2 }
      assert.matches('kept after its call', t:errors()[1].reason)
    ]]
  end)

  it('stops an endless function at the deadline', function()
    passes [[
      local t = tm.testing.run(tm.pipeline 'k':filter(function() while true do end end))
      t:send {}
      assert.equal('deadline', t:errors()[1].code)
    ]]
    local r = test { ['s.lua'] = 'while true do end', ['x_spec.lua'] = HEAD .. "it('x', function() tm.testing.run 's.lua' end)" }
    assert.equal(3, r.code)
    assert.matches('x_spec.lua:2: the script was still loading at the deadline', r.out)
  end)

  it('takes tables for sources of every format', function()
    passes [[
      for _, format in ipairs { 'json', 'msgpack', 'csv', 'lines', 'fluent' } do
        local s = tm.pipeline 'a':from(tm.source.file { path = 'x', format = format }):map(function(e) return { l = e.line } end)
        local t = tm.testing.run(s)
        t:send { line = 'one' } t:send { line = 'two' }
        assert.same({ { l = 'one' }, { l = 'two' } }, t:out 'a')
      end
      local t = tm.testing.run(tm.pipeline 'a':from(tm.source.file 'x.csv'))
      t:send { id = 1 } t:send '2' t:send '"3'
      assert.same({ { id = '1' }, { id = '2' } }, t:out())
      assert.matches("no column 'line'", select(2, pcall(t.send, t, { line = 1 })))
      assert.same({}, t:errors())   -- the quote may end on a further line
      t:watermark(math.huge)
      assert.equal(1, #t:errors())
      t = tm.testing.run(tm.pipeline 'a':from(tm.source.file 'x.csv'))
      t:send 'id' t:send '1'
      assert.matches('go on with texts', select(2, pcall(t.send, t, { id = 1 })))
    ]]
  end)

  it('shows what scripts print', function()
    local r = test { ['s.lua'] = HEAD .. "return tm.pipeline 'p':filter(function(e) print 'seen' return true end)",
      ['x_spec.lua'] = HEAD .. "it('x', function() local t = tm.testing.run 's.lua' for i = 1, 3 do t:send {} t:advance '1s' end end)" }
    assert.equal('seen\nseen\nseen\n', r.err)
  end)

  it('begins anew with each run, hundreds of times', function()
    passes [[
      local s = tm.pipeline 'k':key_by 'k':running('r', { n = tm.agg.count() }, { max_keys = 9 })
      local before
      for i = 1, 400 do
        local t = tm.testing.run(s)
        t:send { k = i } t:send { k = i }
        assert.same({ { k = i, n = 1 }, { k = i, n = 2 } }, t:out())
        assert.is_nil(t:state('r', i - 1))
      end
    ]]
  end)

  it('refuses what makes no sense, with the line of the spec', function()
    local K = "local t = tm.testing.run(tm.pipeline 'k':to(tm.sink.file 'out.ndjson'))\n"
    for body, text in pairs {
      [K .. "t:out 'kk'"] = "no pipeline and no sink is called 'kk' %(did you mean 'k'%?%)",
      [K .. "t:send('stdn', {})"] = "no source is called 'stdn' %(did you mean 'stdin'%?%)",
      [K .. 't:send(3)'] = 't:send takes an event as a table, or a line as a text, got a number',
      [K .. 't:advance(3)'] = "t:advance takes a duration such as '5m': .*write '3s'",
      [K .. "t:watermark 'x'"] = "t:watermark takes milliseconds, or math.huge",
      [K .. 't:watermark(5) t:watermark(4)'] = 'never goes back: 4 is before 5',
      [K .. "t:state 'x'"] = 'no step of these scripts keeps state',
      [K .. 't.send {}'] = 'call it with a colon',
      [K .. "tm.testing.run(tm.pipeline 'l') t:send {}"] = 'this run has ended: another tm.testing.run began at x_spec.lua:4',
      [K .. 'coroutine.wrap(function() t:send {} end)()'] = 'driven from the spec itself, not from a coroutine',
      ['\ntm.testing.run(3)'] = 'takes a stream, a list of streams or the path of a script, got a number',
      ["\ntm.testing.run(tm.pipeline 'l', { watermrk = 1 })"] = "has no option 'watermrk' %(did you mean 'watermark'%?%)",
      ["\ntm.testing.run(tm.pipeline 'l', { watermark = 1 })"] = "watermark is 'declared' or 'manual', got a number",
      ["\ntm.testing.run(tm.pipeline 'l':process('p', {}))"] = 'process takes on_event',
    } do
      local told, r = message(body)
      assert.matches('x_spec.lua:4: ', told)
      assert.matches(text, told)
      assert.equal(4, r.code, told)
    end
  end)

  it('gives the rows of a run, one event a batch', function()
    local script = [[local tm = require 'tidemill'
      local s = tm.pipeline 'a':event_time { field = 'ts', out_of_order = '500ms' }:key_by 'k'
      return { s:window('w', tm.window.hopping('2s', '1s'), { lateness = '1s' }):aggregate { n = tm.agg.count(), t = tm.agg.sum 'v' }
        :late_to(tm.sink.file(tm.setting 'late')),
        s:running('r', { m = tm.agg.max 'v' }, { max_keys = 100 }):to(tm.sink.file(tm.setting 'run')) }]]
    local events, x = {}, 1
    for i = 1, 400 do
      x = x * 16807 % 2147483647
      events[i] = ('{"k":"k%d","ts":%d,"v":%d}'):format(x % 3, i * 40 + x % 3000, x % 100)
    end
    local input = table.concat(events, '\n') .. '\n'
    local r, dir = test { ['s.lua'] = script, ['in.ndjson'] = input, ['x_spec.lua'] = HEAD .. [[it('x', function()
      local t = tm.testing.run('s.lua', { set = { late = 'late', run = 'run' } })
      for line in io.lines 'in.ndjson' do t:send(line) end
      t:watermark(math.huge)
      for name, rows in pairs { out = t:out 'stdout', run = t:out 'run', late = t:late() } do
        local f = io.open(name .. '.got', 'w')
        for _, row in ipairs(rows) do f:write(tm.json.encode(row), '\n') end
        f:close()
      end
      assert.same({}, t:errors())
    end)]] }
    assert.equal(0, r.code, r.out .. r.err)
    local run = h.run({ 'run', 's.lua', '--quiet', '--from', 'in.ndjson', '--set', 'late=late', '--set', 'run=run' }, nil, { cwd = dir })
    assert.equal(0, run.code, run.err)
    local function sorted(text) return h.shell('jq -cS .', text).out end
    assert.equal(sorted(run.out), sorted(h.read(dir .. '/out.got')))
    assert.equal(sorted(h.read(dir .. '/run')), sorted(h.read(dir .. '/run.got')))
    assert.equal(sorted(h.read(dir .. '/late')), sorted(h.read(dir .. '/late.got')))
    assert.is_true(#h.read(dir .. '/late') > 100 and #run.out > 1000)
  end)
end)

describe('specs of scripts/examples', function()
  it('pass', function()
    local r = h.run { 'test', 'scripts/examples' }
    assert.equal(0, r.code, r.out .. r.err)
    assert.equal('', r.err)
    assert.is_true(tonumber(r.out:match '(%d+) successes') >= 8)
  end)
end)
