--[[
patterns_spec.lua - match beside what a pattern means (patterns_published_spec, patterns_random_spec): its rows, what functions see, time,
keys, bounds, failing events, formats, steps behind it; and what is said of patterns that cannot be.
]]

-- luacheck: no max line length
local h = require 'spec.helper'
local running = require 'spec.running'

local function run(code, lines, ...)
  local r = h.run({ 'run', '--quiet', '-e', code, ... }, table.concat(lines, '\n') .. '\n')
  return r.out, r.err, r.code
end

local function rows(code, lines, ...)
  local out, err, exit = run(code, lines, ...)
  assert.equal('', err)
  assert.equal(0, exit)
  return out
end

local PROBING = [[
local probing = tm.pattern 'probing'
  :start('probe', function(e) return e.v == 1 end):times(2)
  :followed_by('hit', function(e, m) return e.v > 10 * m.probe[1].v end)
  :within '10ms' :after_match 'skip_past_last'
local timed = stream:event_time { field = 't', out_of_order = '3ms' }
]]

describe('match', function()
  it('gives a row with key, time and the bytes of the events, in order of time', function()
    assert.equal('{"key":"a","time":4,"probe":[{"t":1,"k":"a", "v":1.0},{"t":2,"k":"a","v":1}],"hit":[{"t":4,"k":"a","v":11}]}\n',
      rows(PROBING .. "return timed:key_by 'k':match(probing)", {
        '{"t":1,"k":"a", "v":1.0}', '{"t":4,"k":"a","v":11}', '{"t":3,"k":"b","v":50}', '{"t":2,"k":"a","v":1}' }))
  end)

  it('has no key without key_by, and one of several fields as an object', function()
    local lines = { '{"t":1,"k":"a","z":1,"v":1}', '{"t":2,"k":"a","z":1,"v":1}', '{"t":3,"k":"a","z":1,"v":20}' }
    assert.equal('{"time":3,"hits":1}\n', rows(PROBING .. [[return timed:match(probing):map(function(m)
      return { time = m.time, hits = #m.hit, key = m.key } end):select { 'time', 'hits', 'key' }]], lines))
    assert.equal('{"key":{"k":"a","z":1},"z":1}\n', rows(PROBING .. [[return timed:key_by { 'k', 'z' }:match(probing):map(function(m)
      return { key = m.key, z = m.key.z } end)]], lines))
    assert.equal('{"k":"a","n":1}\n', rows(PROBING .. [[return timed:key_by 'k':match(probing):running('r', { n = tm.agg.count() }, { unbounded = true })]], lines))
  end)

  it('visits the stages of a match in their order', function()
    assert.equal('{"names":"key,time,z,y,a"}\n', rows([[
      local p = tm.pattern 'p':start('z'):next('y'):next('a'):within '1s'
      return stream:event_time { field = 't' }:key_by 'k':match(p):map(function(m)
        local names = {} for name in pairs(m) do names[#names + 1] = name end return { names = table.concat(names, ',') } end)]],
      { '{"t":1,"k":1}', '{"t":2,"k":1}', '{"t":3,"k":1}' }))
  end)

  it('waits until the watermark has passed an event, and sends late ones to late_to', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      it('x', function()
        local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end):next('b', function(e) return e.v == 'b' end):within '100ms'
        local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't', out_of_order = '5ms' }:match(p)
          :map(function(m) return { at = m.time } end) }
        t:send { t = 10, v = 'a' }
        t:send { t = 12, v = 'b' }
        t:send { t = 11, v = 'x' }       -- in between: no longer next to each other
        t:send { t = 20, v = 'a' }
        t:send { t = 21, v = 'b' }
        assert.same({}, t:out())         -- the watermark is 15
        t:send { t = 27, v = 'x' }
        assert.same({ { at = 21 } }, t:out())
        t:send { t = 21, v = 'b' }
        assert.same({ { t = 21, v = 'b' } }, t:late())
        t:watermark(math.huge)
        assert.same({}, t:out())
      end)
      it('tells what began and is over, at its time', function()
        local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end):followed_by('b', function(e) return e.v == 'b' end):within '10ms'
        local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't' }:key_by 'k':match(p, { timeouts = true })
          :map(function(m) return { k = m.key, at = m.time, mine = tm.time(m), out = m.timed_out, n = #m.b } end) }
        t:send { t = 10, k = 1, v = 'a' }
        t:send { t = 14, k = 2, v = 'a' }
        t:send { t = 19, k = 2, v = 'b' }
        t:send { t = 20, k = 3, v = 'x' }
        assert.same({ { k = 2, at = 19, mine = 19, out = false, n = 1 } }, t:out())
        t:send { t = 21, k = 3, v = 'x' }
        assert.same({ { k = 1, at = 20, mine = 20, out = true, n = 0 } }, t:out())
      end)
      it('holds a match back while an earlier one goes on, and nothing is late behind it', function()
        local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end)
          :followed_by('b', function(e, m) return e.v == 'b' and e.x == m.a[1].x end):within '50ms':after_match 'skip_to_next'
        local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't' }:match(p):map(function(m) return { x = m.a[1].x, at = m.time } end)
          :window('w', tm.window.tumbling '10ms'):aggregate { n = tm.agg.count() } }
        t:send { t = 10, v = 'a', x = 1 }
        t:send { t = 11, v = 'a', x = 2 }
        t:send { t = 12, v = 'b', x = 2 }
        t:send { t = 58, v = 'x' }
        assert.same({}, t:out())
        t:send { t = 61, v = 'x' }       -- 60: the first one's time is over
        t:watermark(math.huge)
        assert.same({ { n = 1, window_start = 10, window_end = 20 } }, t:out())
        assert.same({}, t:late())
      end)
      it('orders events of one time by a field', function()
        local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end):next('b', function(e) return e.v == 'b' end):within '1s'
        local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't' }:key_by 'k':match(p, { order_by = 'n' })
          :map(function(m) return { a = m.a[1].n, b = m.b[1].n } end) }
        t:send { t = 1, k = 1, n = 3, v = 'b' }
        t:send { t = 1, k = 1, n = 2, v = 'a' }
        t:send { t = 1, k = 1, n = 1, v = 'b' }
        t:send { t = 1, k = 1, v = 'x' }
        t:send { t = 1, k = 1, n = 'z', v = 'b' }
        t:send { t = 1, k = 1, n = 'y', v = 'a' }
        t:send { t = 1, k = 2, n = {}, v = 'a' }
        t:watermark(math.huge)
        assert.same({ { a = 2, b = 3 }, { a = 'y', b = 'z' } }, t:out())
        local errors = t:errors()
        assert.equal(1, #errors)
        assert.matches("order_by 'n' takes numbers or texts, but the field holds a table", errors[1].reason)
      end)
      it('takes back what a failing event did, and goes on', function()
        local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end)
          :followed_by('b', function(e) if e.boom then error 'boom' end return e.v == 'b' end):within '1s'
        local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't' }:key_by 'k':match(p)
          :map(function(m) if m.b[1].bad then error 'bad' end return { n = m.a[1].n, b = m.b[1].n } end) }
        t:send { t = 1, k = 1, n = 1, v = 'a' }
        t:send { t = 2, k = 1, n = 2, v = 'a', boom = true }    -- begins nothing, as it fails
        t:send { t = 3, k = 1, n = 3, v = 'b', bad = true }     -- the match fails behind: it stays as it was
        t:send { t = 4, k = 1, n = 4, v = 'b' }
        t:watermark(math.huge)
        assert.same({ { n = 1, b = 4 } }, t:out())
        local errors = t:errors()
        assert.equal(2, #errors)
        assert.matches('boom', errors[1].reason)
        assert.same({ t = 2, k = 1, n = 2, v = 'a', boom = true }, errors[1].row)
        assert.equal(1, errors[1].key)
        assert.matches('bad', errors[2].reason)
      end)
      it('gives up the oldest beyond max_partial, or begins no more', function()
        for _, case in ipairs { { 'oldest', '2 3' }, { 'refuse', '1 2' } } do
          local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end):followed_by('b', function(e) return e.v == 'b' end):within '1s'
          local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't' }:match(p, { max_partial = 2, on_full = case[1] })
            :map(function(m) return { n = m.a[1].n } end) }
          for n = 1, 3 do t:send { t = n, n = n, v = 'a' } end
          t:send { t = 4, v = 'b' }
          t:watermark(math.huge)
          local got = t:out()
          assert.equal(case[2], got[1].n .. ' ' .. got[2].n)
        end
      end)
      it('goes on after a crash', function()
        local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end):one_or_more()
          :followed_by('b', function(e, m) return e.v == 'b' and e.x == #m.a end):within '1s'
        local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't', out_of_order = '2ms' }:key_by 'k':match(p)
          :map(function(m) return { n = #m.a } end) }
        t:send { t = 1, k = 1, v = 'a' }
        t:crash()
        t:send { t = 3, k = 1, v = 'a' }
        t:send { t = 2, k = 1, v = 'c' }
        t:crash()
        t:send { t = 9, k = 1, v = 'b', x = 2 }
        t:crash()
        t:watermark(math.huge)
        assert.same({ { n = 2 } }, t:out())
      end)
    ]] }
    local r = h.run({ 'test' }, nil, { cwd = dir })
    assert.equal(0, r.code, r.out .. r.err)
    assert.matches('7 success', r.out .. r.err)
  end)

  it('frees what nobody can take any more', function()
    local dir = h.folder {}
    local lines = {}
    for i = 1, 3000 do lines[i] = ('{"t":%d,"k":%d,"v":%d}'):format(i, i % 7, i % 5) end
    local code = [[local p = tm.pattern 'p':start('a', function(e) return e.v == 1 end):one_or_more():combinations()
      :followed_by('b', function(e) return e.v == 3 end):within '60ms'
      return stream:event_time { field = 't' }:key_by 'k':match(p):to(tm.sink.file ']] .. dir .. [[/out')]]
    local r = h.run({ 'run', '--json', '-e', code, '--data', dir .. '/data' }, table.concat(lines, '\n') .. '\n')
    assert.equal(0, r.code, r.err)
    assert.is_true(#h.read(dir .. '/out') > 100000)
    for _, s in ipairs(h.decode(r.err:match '(%b{})\n$').state) do
      assert.is_true(s.keys <= 400, s.name .. ' ' .. s.keys)
    end
  end)

  it('reads and copies events of other formats and types', function()
    local dir = h.folder {}
    local lines = { '{"t":1,"k":"a","v":1}', '{"t":2,"k":"a","v":1}', '{"t":3,"k":"a","v":20}' }
    local want = '{"key":"a","time":3,"probe":[{"t":1,"k":"a","v":1},{"t":2,"k":"a","v":1}],"hit":[{"t":3,"k":"a","v":20}]}\n'
    rows('stream', lines, '--to', dir .. '/x.msgpack')
    local r = h.run { 'run', '--quiet', '--from', dir .. '/x.msgpack', '-e', PROBING .. "return timed:key_by 'k':match(probing)" }
    assert.equal(want, r.out .. r.err)
    assert.equal('{"big":"9007199254740993","less":true}\n', rows([[
      local p = tm.pattern 'p':start('a'):next('b', function(e, m) return tm.i64.cmp(e.id, m.a[1].id) > 0 end):within '1s'
      return stream:schema { id = 'int64', x = 'decimal(2)' }:event_time { field = 't' }:match(p)
        :map(function(m) return { big = '9007199254740993', less = #m.a == 1 } end)]],
      { '{"t":1,"id":9007199254740992,"x":0.10}', '{"t":2,"id":9007199254740993,"x":0.10}' }))
  end)

  it('has the events of a group under its name and under those of its stages', function()
    assert.equal('{"g":[1,2,3,4],"a":[1,3],"b":[2,4]}\n', rows([[
      local pair = tm.pattern 'pair':start('a', function(e) return e.v == 'a' end):next('b', function(e) return e.v == 'b' end)
      local p = tm.pattern 'p':start('g', pair):times(2):next('end', function(e) return e.v == 'c' end):within '1s'
      local function ids(l) local t = tm.array {} for i, e in ipairs(l) do t[i] = e.t end return t end
      return stream:event_time { field = 't' }:match(p):map(function(m) return { g = ids(m.g), a = ids(m.a), b = ids(m.b) } end)
        :select { 'g', 'a', 'b' }]],
      { '{"t":1,"v":"a"}', '{"t":2,"v":"b"}', '{"t":3,"v":"a"}', '{"t":4,"v":"b"}', '{"t":5,"v":"c"}' }))
  end)

  it('ends the run where a strict strategy has nothing to skip to', function()
    local p = [[local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end):next('b', function(e) return e.v == 'b' end):optional()
      :next('c', function(e) return e.v == 'c' end):within '1s':after_match('skip_to_first', '%s', { strict = true })
      return stream:event_time { field = 't' }:match(p)]]
    local lines = { '{"t":1,"v":"a"}', '{"t":2,"v":"c"}' }
    local _, err, code = run(p:format 'b', lines)
    assert.equal(1, code, err)
    assert.matches("pattern 'p': after_match%('skip_to_first', 'b', { strict = true }%), and a match took no event in stage 'b'", err)
    _, err, code = run(p:format 'a', lines)
    assert.equal(1, code, err)
    assert.matches("and a match begins with the event of 'a' to go on from", err)
  end)

  it('is counted where matches are given up, and shown in the state', function()
    local lines = {}
    for i = 1, 9 do lines[i] = ('{"t":%d,"v":"a"}'):format(i) end
    local r = h.run({ 'run', '--json', '-e', [[stream:event_time { field = 't' }:match(tm.pattern 'p':start('a'):next('b', function(e) return false end)
      :within '1s')]] }, table.concat(lines, '\n') .. '\n')
    assert.equal(0, h.decode(r.err:match '(%b{})\n$').counters.matches_dropped)
    r = h.run({ 'run', '--json', '-e', [[stream:event_time { field = 't' }:match(tm.pattern 'p':start('a'):followed_by('b', function(e) return false end)
      :within '1s', { max_partial = 4 })]] }, table.concat(lines, '\n') .. '\n')
    assert.equal(5, h.decode(r.err:match '(%b{})\n$').counters.matches_dropped)
  end)
end)

describe('a flood of beginnings', function()
  local BEGINNINGS, MAX = 4000, 50

  local function flood(on_full)
    local lines = {}
    for i = 1, BEGINNINGS do lines[i] = ('{"t":%d,"n":%d,"v":"a"}'):format(i, i) end
    lines[#lines + 1] = ('{"t":%d,"v":"b"}'):format(BEGINNINGS + 1)
    local dir = h.folder {}
    local r = h.run({ 'run', '--json', '-e', ([[stream:event_time { field = 't' }:match(tm.pattern 'p':start('a', function(e) return e.v == 'a' end)
      :followed_by('b', function(e) return e.v == 'b' end):within '1h', { max_partial = %d, on_full = '%s' })
      :map(function(m) return { n = m.a[1].n } end):to(tm.sink.file '%s/out')]]):format(MAX, on_full, dir) }, table.concat(lines, '\n') .. '\n')
    local numbers = {}
    for n in h.read(dir .. '/out'):gmatch '%d+' do numbers[#numbers + 1] = tonumber(n) end
    return r, h.decode(r.err:match '(%b{})\n$'), numbers
  end

  for on_full, first in pairs { oldest = BEGINNINGS - MAX + 1, refuse = 1 } do
    it('leaves max_partial of a key, the others are counted: ' .. on_full, function()
      local r, summary, numbers = flood(on_full)
      assert.equal(0, r.code, r.err)
      assert.equal(MAX, #numbers)
      for i = 1, MAX do assert.equal(first + i - 1, numbers[i]) end
      assert.equal(BEGINNINGS - MAX, summary.counters.matches_dropped)
      for _, s in ipairs(summary.state) do assert.is_true(s.keys <= MAX + 1, s.name .. ' ' .. s.keys) end
    end)
  end

  it('ends the run under stop', function()
    local r, summary = flood 'stop'
    assert.equal(1, r.code, r.err)
    assert.matches("pattern 'p' has 50 partial matches of one key %(max_partial, on_full = 'stop'%)", r.err)
    assert.equal(0, summary.counters.matches_dropped)
    for _, s in ipairs(summary.state) do assert.is_true(s.name:find 'waiting' ~= nil or s.keys <= MAX + 1, s.name .. ' ' .. s.keys) end
  end)
end)

describe('a run that is kept', function()
  after_each(running.stop_all)

  it('goes on with the matches that have begun, and refuses a pattern of other stages', function()
    local dir = h.folder { ['in'] = '{"t":1,"v":"a"}\n{"t":2,"v":"x"}\n{"t":3,"v":"x"}\n', ['s.lua'] = [[
      local tm = require 'tidemill'
      local dir = tm.setting 'dir'
      local p = tm.pattern 'p':start('a', function(e) return e.v == 'a' end)
        :followed_by(tm.setting('second', 'b'), function(e) return e.v == 'b' end):within '10m'
      local s = tm.pipeline 'x':from(tm.source.file { path = dir .. '/in', follow = true }):event_time { field = 't' }
      return { s:match(p):to(tm.sink.file(dir .. '/out')), s:to(tm.sink.file(dir .. '/all')) }]] }
    local args = { 'run', '--quiet', '--data', dir .. '/data', '--set', 'dir=' .. dir, dir .. '/s.lua' }
    local function lines(name) return select(2, h.read(dir .. '/' .. name):gsub('\n', '')) end
    local p = running.start(args)
    running.wait_until('three events', function() return running.size(dir .. '/all') > 0 and lines 'all' == 3 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    local r = h.run { 'run', '--data', dir .. '/data', '--set', 'dir=' .. dir, '--set', 'second=c', dir .. '/s.lua' }
    assert.equal(6, r.code, r.err)
    assert.matches("state 'x/p' is not the one that the data folder keeps: its list of stages was a, b and is a, c", r.err)
    h.write(h.read(dir .. '/in') .. '{"t":5,"v":"b"}\n{"t":9,"v":"x"}\n', dir .. '/in')
    p = running.start(args)
    running.wait_until('the match', function() return running.size(dir .. '/out') > 0 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    assert.equal('{"time":5,"a":[{"t":1,"v":"a"}],"b":[{"t":5,"v":"b"}]}\n', h.read(dir .. '/out'))
  end)
end)

describe('a pattern that cannot be', function()
  local P = "tm.pattern 'p'"
  local A = ":start('a', function(e) return e.v end)"
  local CASES = {
    { P .. A .. ":next('b')", "match keeps what has begun for ever, as the pattern 'p' has no within; write :within '10m' behind its stages, or unbounded = true if that is meant" },
    { P .. ":within '1s'", "match: the pattern 'p' has no stage; begin it with :start('first', function(e) … end)" },
    { "'p'", "match takes a pattern first: :match(tm.pattern('probing'):start('probe', function(e) … end):within '10m'), got 'p'" },
    { P .. A .. ":nxt('b')", "a pattern has no 'nxt' (did you mean 'next'?)" },
    { P .. ":next('b')", "next: a pattern begins with :start('first', function(e) … end)" },
    { P .. A .. ":start('b')", "start stands first, and 'a' has begun the pattern already; go on with next or followed_by" },
    { P .. A .. ":next('a')", "next: the pattern has a stage 'a' already; each needs a name of its own" },
    { P .. A .. ":next('g', tm.pattern 'x':start('a'))", "next: the pattern has a stage 'a' already; each needs a name of its own" },
    { P .. A .. ":next('key')", "next: a stage cannot be called 'key', as a match has a field of that name already; give it another one" },
    { P .. A .. ":next(function(e) end)", "next takes the stage's name first: :next('hit', function(e) … end), got a function" },
    { P .. A .. ":next('b', 5)", "next: 'b' takes a function of the event, or a pattern, or nothing, which is every event; got a number" },
    { P .. A .. ":not_next('b', tm.pattern 'x':start('c'))", "not_next: 'b' is a pattern, and only single events can be excluded: give a function of the event" },
    { P .. A .. ":not_followed_by('b')", "match: the pattern 'p' ends in not_followed_by 'b', so only time can tell that it is over: write :within '10m'" },
    { P .. A .. ":optional():not_next('b')", "not_next: 'b' stands behind 'a', which is optional, and what is excluded would depend on whether that was taken; write two patterns, one with it and one without" },
    { P .. A .. ":not_next('b'):times(2)", "times: 'b' is excluded (not_next), and what must not come has no number" },
    { P .. A .. ":times(2):one_or_more()", "one_or_more: 'a' has times already; a stage has one number" },
    { P .. A .. ":times(0)", "times: 'a' comes a whole number of times from 1 to 1000, got 0; optional() makes it one that may be missing" },
    { P .. A .. ":times(3, 2)", "times: 'a' comes 3 to … times: a whole number from 3 to 1000, or math.huge, got 2" },
    { P .. A .. ":optional():optional()", "optional: 'a' is optional already" },
    { P .. A .. ":greedy()", "greedy: 'a' comes once; say times(n, m) or one_or_more() first" },
    { P .. ":start('g', tm.pattern 'x':start('c')):one_or_more():greedy()", "greedy: 'g' is a group; say it of the stages in it" },
    { P .. A .. ":one_or_more():combinations():greedy()", "greedy: 'a' has combinations(), which tries all numbers of events" },
    { P .. A .. ":one_or_more():greedy():next('b'):optional()", "optional: 'b' stands behind 'a', which is greedy: what that leaves over could not be told" },
    { P .. A .. ":consecutive()", "consecutive: 'a' comes once, so nothing of it follows itself; say times(n) or one_or_more() first" },
    { P .. A .. ":one_or_more():consecutive():combinations()", "combinations: 'a' cannot be both consecutive and in all combinations" },
    { P .. A .. ":times(2):stop_when(function(e) end)", "stop_when: 'a' ends by its number; it goes with one_or_more() or times(n, math.huge)" },
    { P .. A .. ":one_or_more():stop_when(5)", "stop_when takes a function(e, m) … end, got a number" },
    { P .. ":start('g', tm.pattern 'x')", "start: the pattern 'x' in 'g' has no stage; begin it with :start('first', function(e) … end)" },
    { P .. ":start('g', tm.pattern 'x':start('c'):optional())", "start: the group 'g' could take no event at all, as all of it is optional; say optional() of the group instead" },
    { P .. ":start('g', tm.pattern 'x':start('c'):not_next('d'))", "start: the group 'g' ends in not_next 'd'; write it behind the group instead" },
    { P .. ":start('g', tm.pattern 'x':start('c'):not_followed_by('d'):next('e'):optional())", "start: the group 'g' may end in not_followed_by 'd', as what stands behind that is optional; write it behind the group, or two patterns, one with what is optional and one without" },
    { P .. ":start('g', tm.pattern 'x':start('c'):within '1s')", "start: the pattern in 'g' is a group; 'within' and 'after_match' are said of the whole pattern alone" },
    { P .. A .. ":within(5)", "within: a duration is a text with a unit, such as '5m' or '300ms'; a bare number is an error, got 5", 'within: ' },
    { P .. A .. ":within('1s', 'prevoius')", "within: the second argument is 'previous', for the time from one event to the next, got 'prevoius' (did you mean 'previous'?)" },
    { P .. A .. ":within '1s':within '2s'", "within: the pattern 'p' has one already" },
    { P .. A .. ":after_match 'skip_past_lst'", "after_match is one of 'no_skip', 'skip_to_next', 'skip_past_last', 'skip_to_first', 'skip_to_last', got 'skip_past_lst' (did you mean 'skip_past_last'?)" },
    { P .. A .. ":next('before'):after_match('skip_to_first', 'befor')", "after_match: 'skip_to_first' names a stage of the pattern 'p' to go on from, got 'befor' (did you mean 'before'?)" },
    { P .. A .. ":after_match('skip_to_next', 'a')", "after_match: 'skip_to_next' takes no stage, got 'a'" },
    { P .. A .. ":after_match('skip_to_last', 'a', { strct = true })", "after_match has no option 'strct' (did you mean 'strict'?)" },
    { P .. A .. ":within '1s', { max_partial = 0 }", "match: 'max_partial' is how many matches of a key may have begun, a whole number from 1 to 200000" },
    { P .. A .. ":within '1s', { timeout = true }", "match has no option 'timeout' (did you mean 'timeouts'?)" },
    { P .. A .. ":within '1s', { unbounded = true }", "match: 'within' is a bound; leave 'unbounded' out" },
    { P .. A .. ":times(2):optional():next('b', nil):one_or_more():next('c', function(e) return e.v end):times(900, 1000):within '1s'" ..
      ", { on_full = 'oldset' }", "match: option 'on_full' is one of 'oldest', 'refuse', 'stop', got 'oldset'" },
    { "tm.pattern()", "a pattern needs a name: tm.pattern 'card_testing', got nil" },
  }

  for i, case in ipairs(CASES) do
    it('is refused in words: ' .. case[1]:sub(1, 70) .. ' (' .. i .. ')', function()
      for _, command in ipairs { 'run', 'check' } do
        local dir = h.folder { ['s.lua'] = ("local tm = require 'tidemill'\nreturn tm.pipeline 'x':event_time { field = 't' }:match(%s)"):format(case[1]) }
        local r = h.run({ command, 's.lua' }, '', { cwd = dir })
        assert.equal(3, r.code, r.err)
        local said = 'tidemill: error: s.lua:2: ' .. (case[3] or case[2])
        assert.equal(said, r.err:sub(1, #said))
      end
    end)
  end

  it('is refused without event time', function()
    local _, err, code = run("return stream:match(tm.pattern 'p':start('a'):within '1s')", { '{}' })
    assert.equal(3, code)
    assert.matches("match needs event time: write :event_time { field = 'ts', unit = 'ms' } before it, in this pipeline", err)
  end)

  it('names a stage that is not there where a function asks for one', function()
    local _, err = run([[return stream:event_time { field = 't' }:match(tm.pattern 'p':start('probe'):next('b', function(e, m) return m.prob[1].t end)
      :within '1s')]], { '{"t":1}', '{"t":2}' })
    assert.matches("the pattern has no stage 'prob' %(did you mean 'probe'%?%)", err)
  end)
end)
