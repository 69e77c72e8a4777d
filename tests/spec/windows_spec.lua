--[[
windows_spec.lua - windows against a slow reference (windows_reference.py): random streams with disorder, gaps, equal and negative times;
every kind of window and every way to emit, byte for byte, however the input is cut. And cases from published semantics.
]]

local h = require 'spec.helper'
local cases = require 'spec.windows_cases'
local stream, pick, random_spec, script, compare, reference = cases.stream, cases.pick, cases.spec, cases.script, h.compare,
  cases.reference

describe('windows', function()
  it('give what the reference gives, for every kind and way to emit', function()
    for seed = 1, 40 do
      math.randomseed(seed)
      local s = random_spec()
      local dir = h.folder()
      local input = stream(seed, 1500, pick { 3, 50, 400 }, pick { 0, 1000, 9000 }, pick { 0, 1700000000000, -5000, -9e14 })
      local want, want_late = reference(dir, s, input)
      local text = script(s, dir .. '/late')
      local r = h.run({ 'run', '--json', h.write(text, dir .. '/s.lua') }, input)
      assert.equal(0, r.code, text .. r.err)
      compare(want, r.out, ('seed %d\n%s'):format(seed, text))
      compare(want_late, h.read(dir .. '/late'), ('late events, seed %d\n%s'):format(seed, text))
      assert.equal(select(2, want_late:gsub('\n', '')), h.decode(r.err:match '(%b{})\n$').counters.events_late)
    end
  end)

  -- sqlite3 counts them: the files of a pattern, and sources of a union, each are a partition, and none is late for another
  it('take the files of a pattern, and the sources of a union, as partitions of their own', function()
    local dir = h.folder()
    local all = {}
    for f = 1, 3 do
      all[f] = stream(200 + f, 2000, 20, 0, 1000000 + f * 777)
      h.write(all[f], ('%s/%d.ndjson'):format(dir, f))
    end
    h.write(table.concat(all), dir .. '/all')
    local sql = ([[create table e (j text);
.mode list
.import %s/all e
select json_object('k', k, 'n', n, 'window_end', s + 10000, 'window_start', s) from
  (select j->>'k' as k, count(*) as n, (j->>'ts') / 10000 * 10000 as s from e group by 1, 3) order by s, k;]]):format(dir)
    h.write(sql, dir .. '/q.sql')
    local want = h.sh("sqlite3 -separator '\t' :memory: <%s/q.sql", dir)
    local step = [[:event_time { field = 'ts' }:key_by 'k':window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }]]
    local function sorted(text)
      local rows = h.rows(text)
      table.sort(rows, function(a, b)
        if a.window_start ~= b.window_start then return a.window_start < b.window_start end
        return a.k < b.k
      end)
      return rows
    end
    local one = h.run { 'run', '--json', '-e', "stream:from(tm.source.file '" .. dir .. "/*.ndjson')" .. step }
    assert.equal(0, one.code, one.err)
    assert.same(h.rows(want), sorted(one.out))
    assert.equal(0, h.decode(one.err:match '(%b{})\n$').counters.events_late)
    local parts = {}
    for f = 1, 3 do parts[f] = ("tm.pipeline 'p%d':from(tm.source.file '%s/%d.ndjson')"):format(f, dir, f) end
    local two = h.run { 'run', '--json', '-e', "stream:from(tm.union(" .. table.concat(parts, ', ') .. '))' .. step }
    assert.equal(0, two.code, two.err)
    assert.same(h.rows(want), sorted(two.out))
    assert.equal(0, h.decode(two.err:match '(%b{})\n$').counters.events_late)
  end)

  it('a row of a window that fails is one dead letter; the others, and its event, stand', function()
    local dir = h.folder()
    local code = ([[stream:on_error(tm.sink.file '%s/dead'):event_time { field = 'ts' }:key_by 'k':window('w', tm.window.tumbling '1s')
      :aggregate { n = tm.agg.count() }:map(function(e) e.half = 1 / (e.n - 2) return e end)]]):format(dir)
    local input = '{"ts":1,"k":"a"}\n{"ts":2,"k":"b"}\n{"ts":3,"k":"b"}\n{"ts":4,"k":"c"}\n{"ts":1000,"k":"b"}\n{"ts":1500,"k":"a"}\n'
    local r = h.run({ 'run', '--json', '-e', code }, input)
    local want = {}
    for i, of in ipairs { { 'a', 0 }, { 'c', 0 }, { 'b', 1000 }, { 'a', 1000 } } do
      want[i] = ('{"half":-1,"k":"%s","n":1,"window_end":%d,"window_start":%d}\n'):format(of[1], of[2] + 1000, of[2])
    end
    assert.equal(table.concat(want), r.out)
    local letters = h.rows(h.read(dir .. '/dead'))
    assert.equal(1, #letters)
    assert.same({ 'b', 'stdin:5', 'w' }, { letters[1].key, letters[1].position, 'w' })
    assert.same({ window_start = 0, window_end = 1000 }, letters[1].row)
    assert.is_nil(letters[1].event)
    assert.equal(1, h.decode(r.err:match '(%b{})\n$').counters.events_failed)
  end)

  it('are the same behind a filter that the host applies, from a pipe in small pieces, and without the compiler', function()
    for seed = 101, 108 do
      math.randomseed(seed)
      local s = random_spec()
      cases.other_ways(stream(seed, 3000, pick { 3, 50 }, pick { 0, 9000 }, 1000), function(late, more) return script(s, late, more) end,
        'seed ' .. seed)
    end
  end)

  it('are refused where they say nothing or contradict themselves', function()
    local timed = "stream:event_time { field = 'ts' }"
    local minute = timed .. ":window('w', tm.window.tumbling '1m')"
    for code, want in pairs {
      [minute] = 'window says nothing of what becomes of its events; add',
      [minute .. ':filter(function() end)'] = 'behind window stands what becomes of its events, such as :aggregate',
      ["stream:window('w', tm.window.tumbling '1m')"] = 'window needs event time: write :event_time',
      [timed .. ":window('w', tm.window.tumbling(60))"] = "a duration needs a unit: write '60s' for seconds or '60ms'",
      [timed .. ":window('w', tm.window.tumbling '-1m')"] = 'the size is longer than nothing',
      [timed .. ":window('w', tm.window.tumbling('1m', { offset = '1m' }))"] = "'offset' is shorter than the size",
      [timed .. ":window('w', tm.window.hopping('1m', '10s', { offset = '-10s' }))"] = "'offset' is shorter than the slide",
      [timed .. ":window('w', tm.window.tumbling('1d', { zone = 'Europe/Berln' }))"] = "called 'Europe/Berln' (did you mean",
      [timed .. ":window('w', tm.window.hopping('1d', '1h', { zone = 'Mars' }))"] = "no time zone is called 'Mars'",
      [timed .. ":window('w', tm.window.tumbling('1d', { zone = 2 }))"] = "'zone'",
      [timed .. ":window('w', tm.window.tumblin '1m')"] = "tm.window has no 'tumblin'",
      [timed .. ":window('w', '1m')"] = 'window takes what kind of windows',
      [timed .. ":window('w', tm.window.hopping('1h', '1s'), { lateness = '3d' })"] = 'about 262800 windows would be open at a time',
      [timed .. ":window('w', tm.window.tumbling '1m', { latness = '1s' })"] = "has no option 'latness' (did you mean 'lateness'?)",
      [minute .. ':aggregate { op = tm.agg.count() }'] = "'op' is the name of a field that window rows have already",
      [timed .. ":key_by('k'):window('w', tm.window.tumbling '1m'):aggregate { k = tm.agg.count() }"] = "'k' is the name of a field",
      [minute .. ":aggregate { n = tm.agg.count() }:emit 'finale'"] = "is one of 'final', 'closed', 'updates', 'retract'",
      [minute .. ":aggregate { n = tm.agg.count() }:emit { early = { cuont = 1 } }"] = "'early' takes '10s' or { count = 100 }",
      [minute .. ":aggregate { n = tm.agg.count() }:emit { mode = 'closed', early = '1s' }"] = "'early' goes with mode 'final'",
      [minute .. ":aggregate { n = tm.agg.count() }:emit { mode = 'retract', accumulate = false }"] = "'accumulate' goes with",
      ["stream:window('w', tm.window.global()):aggregate { n = tm.agg.count() }:emit 'retract'"] = 'a global window closes at the end',
      ["stream:window('w', tm.window.global()):aggregate { n = tm.agg.count() }:emit { early = '1s' }"] = 'needs event time',
      ["stream:emit 'final'"] = 'emit stands right behind aggregate',
      ["stream:aggregate { n = tm.agg.count() }"] = 'aggregate stands right behind window',
      ["stream:late_to 'x'"] = "late_to takes a sink, such as tm.sink.file 'late.ndjson'",
    } do
      local r = h.run { 'check', '-e', code }
      assert.equal(3, r.code, code)
      assert.truthy(r.err:find('%-e:1: ') and r.err:find(want, 1, true), code .. '\n' .. r.err)
    end
  end)

  -- api.md: max_ahead is off for files, 1h for live inputs; a link is as far as what it reads
  it('of files take events of the next century, also behind a link; of a pipe they are ahead of their arrival', function()
    local code = [[tm.pipeline 'l':from(stream:event_time { field = 'ts' }:late_to(tm.sink.discard())):event_time { field = 'ts' }
      :late_to(tm.sink.discard()):window('w', tm.window.tumbling '10ms'):aggregate { n = tm.agg.count() }]]
    local input = '{"ts":4000000000000}\n{"ts":4000000000020}\n'
    local r = h.run { 'run', '--quiet', '-e', code, '--from', h.write(input) }
    assert.equal('{"n":1,"window_end":4000000000010,"window_start":4000000000000}\n' ..
      '{"n":1,"window_end":4000000000030,"window_start":4000000000020}\n', r.out, r.err)
    assert.equal('', h.run({ 'run', '--quiet', '-e', code }, input).out)
  end)

  it('are drawn with their bounds', function()
    local r = h.run { 'graph', '-e', [[stream:event_time { field = 'ts', out_of_order = '5s' }:key_by('k')
      :window('w', tm.window.hopping('90s', '30s'), { lateness = '1m' }):aggregate { n = tm.agg.count() }:emit 'updates'
      :late_to(tm.sink.file 'late')]] }
    for _, part in ipairs { 'event_time ts ms, out of order 5s', 'window w: hopping 1m30s by 30s, lateness 1m', 'aggregate n, emit updates',
      'late_to → file late' } do
      assert.truthy(r.out:find(part, 1, true), r.out)
    end
  end)
end)
