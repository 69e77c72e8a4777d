--[[
patterns_retract_spec.lua - match with emit 'retract' against a reference that matches everything anew behind each event
(patterns_retract_reference.py): random patterns on random streams in disorder, of which some events come later than the watermark
waits. Also its bounds, and what becomes of it in a crash and in a run that is kept. TIDEMILL_RETRACTIONS: how many,
TIDEMILL_PATTERNS_SEED: from where on, TM_KILLS: kills in all.
]]

-- luacheck: no max line length
local h = require 'spec.helper'
local patterns = require 'spec.patterns'
local random = require 'spec.patterns_random'
local running = require 'spec.running'
local json = require 'dkjson'

local MANY = tonumber(os.getenv 'TIDEMILL_RETRACTIONS') or 240
local SEED = tonumber(os.getenv 'TIDEMILL_PATTERNS_SEED') or 1
local BATCH = 40
local KILLS = tonumber(os.getenv 'TM_KILLS') or 10

local taken_back, sent, were_late = 0, 0, 0

-- what late events are likely to spoil
local BODIES = { 'a , b', 'a > b', 'a !> c > b', 'a , b+', 'a+ > b', 'a+g > b', 'a , (b , c)? , d', '(a , b)+', 'a !> b', 'a > b !> c', 'a !, b',
  'a{2} > b', 'a{1,2}c > b', 'ab+s , c', 'a >> b', 'a+/d > b', 'a > b#up', 'a , .', 'a > b#sum > c?' }
local SKIPS = { '', '', ' next', ' past', ' first s2', ' last s2', ' last s1' }

--- A pattern as text, and whether timeouts are rows.
local function pattern_of()
  if random.chance(0.4) then
    local text, _, timeouts = random.pattern()
    return text, timeouts
  end
  local body, skip = random.pick(BODIES), random.pick(SKIPS)
  if not body:find ' ' or body:find '^%(' then skip = '' end
  return ('%s | within %d%s'):format(body, math.random(4, 20), skip), skip == '' and random.chance(0.4)
end

--- Jobs from one seed on: patterns, events, and what a script and the reference are to be given.
local function jobs_from(from, n, dir)
  local jobs, lines, script, reference = {}, {}, { "local tm = require 'tidemill'", 'local out = {}' }, {}
  for job = 1, n do
    math.randomseed(from + job)
    local text, timeouts = pattern_of()
    local disorder, waits, lateness = random.pick { 3, 8, 15 }, random.pick { 0, 0, 1, 4 }, random.pick { 2, 5, 12, 40, 40 }
    local p = patterns.parse(text)
    local bound = p.within or p.between
    -- without a bound the answers grow with each event
    local list = bound and random.stream(disorder, 24, 50, 2, { 'a', 'a', 'b', 'b', 'c', 'd' }) or random.stream(disorder)
    jobs[job] = { text = text, p = p, list = list, seed = from + job }
    script[#script + 1] = ([[
local p = %s
out[#out + 1] = tm.pipeline 'p%d':filter(function(e) return e.job == %d end):event_time { field = 't', out_of_order = '%dms' }
  :key_by 'key':match(p, { timeouts = %s, emit = 'retract', lateness = '%dms'%s })
  :map(function(m) m.job = %d return m end):late_to(tm.sink.file('%s/late%d')):to(tm.sink.file('%s/out%d'))]]):format(
      patterns.text(p, 'q' .. job), job, job, waits, tostring(timeouts), lateness, bound and '' or ', unbounded = true', job, dir, job, dir,
      job)
    for _, e in ipairs(list) do lines[#lines + 1] = random.line(e, job) end
    reference[job] = json.encode { pattern = p, timeouts = timeouts or false, events = list, out_of_order = waits, lateness = lateness }
  end
  script[#script + 1] = 'return out'
  h.write(table.concat(script, '\n'), dir .. '/x.lua')
  h.write(table.concat(lines, '\n') .. '\n', dir .. '/in')
  h.write(table.concat(reference, '\n') .. '\n', dir .. '/jobs')
  return jobs
end

--- Rows of a file by key, each as { op, text }; numbers of late events.
local function rows_of(dir, job, names)
  local by_key, late = {}, {}
  for line in h.read(('%s/out%d'):format(dir, job)):gmatch '[^\n]+' do
    local row = h.decode(line)
    by_key[row.key] = by_key[row.key] or {}
    table.insert(by_key[row.key], { row.op, random.row_text(row, names) })
  end
  for line in h.read(('%s/late%d'):format(dir, job)):gmatch '[^\n]+' do late[#late + 1] = h.decode(line).i end
  return by_key, late
end

--- The next n rows of a key as sorted text, those that are taken back before the others.
local function take(rows, at, minus, plus)
  local list = {}
  for i = at, at + minus + plus - 1 do
    local row = rows[i] or { '?', 'no row' }
    list[#list + 1] = (i - at < minus and 1 or 2) .. ' ' .. row[1] .. ' ' .. row[2]
  end
  table.sort(list)
  return table.concat(list, '\n')
end

local function compare(dir, jobs)
  local ref = h.shell(('cd tests/spec && python3 patterns_retract_reference.py <%s/jobs'):format(dir))
  assert.equal(0, ref.code, ref.err)
  local n = 0
  for line in ref.out:gmatch '[^\n]+' do
    n = n + 1
    local job, want = jobs[n], json.decode(line)
    local names, inside = random.names_of(job.p.stages, {}, {})
    local rows, late = rows_of(dir, n, names)
    local events = {}
    for i, e in ipairs(job.list) do events[i] = ('%s%d:%d@%d/%d'):format(e.k, e.i, e.p, e.t, e.key) end
    local what = ('seed %d: %s   on   %s'):format(job.seed, job.text, table.concat(events, ' '))
    assert.same(want.late, late, what)
    were_late = were_late + #late
    local at = {}
    for _, step in ipairs(want.steps) do
      local list = {}
      for place, matches in ipairs { step.minus, step.plus } do
        for _, m in ipairs(matches) do
          list[#list + 1] = place .. (place == 1 and ' - ' or ' + ') .. random.match_text(m, names, inside, job.list)
        end
      end
      table.sort(list)
      local from = at[step.key] or 1
      assert.equal(table.concat(list, '\n'), take(rows[step.key] or {}, from, #step.minus, #step.plus),
        ('key %d, row %d, '):format(step.key, from) .. what)
      at[step.key] = from + #list
      taken_back, sent = taken_back + #step.minus, sent + #step.plus
    end
    for key, list in pairs(rows) do assert.equal(#list + 1, at[key] or 1, ('key %d has more rows, '):format(key) .. what) end
  end
  assert.equal(#jobs, n)
end

describe('late events', function()
  after_each(running.stop_all)

  for from = SEED, SEED + MANY - 1, BATCH do
    it(('correct random patterns %d to %d as the reference does'):format(from, math.min(from + BATCH, SEED + MANY) - 1), function()
      local dir = h.folder {}
      local jobs = jobs_from(from, math.min(BATCH, SEED + MANY - from), dir)
      local r = h.run { 'run', '--quiet', dir .. '/x.lua', '--from', dir .. '/in' }
      assert.equal('', r.err)
      assert.equal(0, r.code)
      compare(dir, jobs)
    end)
  end

  it('correct them too in a run that is killed at random moments, and whose batches have few events', function()
    local kills, round = 0, 0
    repeat
      round = round + 1
      local dir = h.folder {}
      local jobs = jobs_from((SEED + round) * 100000, BATCH, dir)
      local n, code, err = random.run_killed({ 'run', '--quiet', dir .. '/x.lua', '--from', dir .. '/in', '--data', dir .. '/data',
        '--epoch', '5ms', '--rate', '2000/s' }, 10)
      assert.equal(0, code, err)
      compare(dir, jobs)
      kills = kills + n
    until kills >= KILLS or round >= 2 * KILLS
    assert.is_true(kills >= KILLS, kills .. ' kills')
  end)

  it('correct them too where scripts are loaded anew', function()
    local dir = h.folder {}
    local jobs = jobs_from(SEED + 90000, BATCH, dir)
    local fifo, lines = running.fifo(), {}
    for line in h.read(dir .. '/in'):gmatch '[^\n]+\n' do lines[#lines + 1] = line end
    local p = running.start({ 'run', dir .. '/x.lua' }, { stdin = fifo })
    local pipe = assert(io.open(fifo, 'w'))
    for n = 1, 3 do
      pipe:write(table.concat(lines, '', math.floor((n - 1) * #lines / 3) + 1, math.floor(n * #lines / 3)))
      pipe:flush()
      if n == 1 then running.wait_until('rows', function() return p:code() or tonumber(h.sh('cat %s/out* | wc -l', dir)) > 0 end) end
      if n < 3 then
        p:signal 'HUP'
        running.wait_until('the scripts', function() return p:code() or select(2, p:err():gsub('loaded anew', '')) == n end, 60)
      end
    end
    pipe:close()
    assert.equal(0, p:wait(60), p:err())
    assert.equal(2, select(2, p:err():gsub('loaded anew', '')))
    compare(dir, jobs)
  end)

  it('took matches back, sent others, and some came too late', function()
    assert.is_true(taken_back > MANY / 8, taken_back .. ' taken back')
    assert.is_true(sent > MANY, sent .. ' sent')
    assert.is_true(were_late > MANY / 4, were_late .. ' late')
  end)
end)

describe('emit retract', function()
  after_each(running.stop_all)

  local SPEC = [[
    local tm = require 'tidemill'
    local function is(k) return function(e) return e.k == k end end
    local function ids(list)
      local n = {}
      for i, e in ipairs(list) do n[i] = e.n or e.t end
      return table.concat(n, ' ')
    end
    local function run(p, options, behind)
      options.emit, options.lateness = 'retract', options.lateness or '100ms'
      local s = tm.pipeline 'p':event_time { field = 't' }:key_by 'key':match(p, options)
      return tm.testing.run { behind and behind(s) or s:map(function(m) return { text = ('%s %d %s|%s'):format(m.op, m.time, ids(m.a), ids(m.b)) } end) }
    end
    local function out(t)
      local list = t:out()
      for i, row in ipairs(list) do list[i] = row.text end
      return list
    end
    local pair = tm.pattern 'pair':start('a', is 'a'):next('b', is 'b'):within '50ms'
  ]]

  local function test(body)
    local dir = h.folder { ['x_spec.lua'] = SPEC .. body }
    local r = h.run({ 'test' }, nil, { cwd = dir })
    assert.equal(0, r.code, r.out .. r.err)
    assert.matches('1 success', r.out .. r.err)
  end

  it('takes a match back, sends it again, and says nothing where a late event changes nothing', function()
    test [[it('x', function()
      local t = run(pair, {})
      t:send { t = 10, key = 1, k = 'a' }
      t:send { t = 20, key = 1, k = 'b' }
      t:send { t = 30, key = 2, k = 'x' }
      assert.same({ '+ 20 10|20' }, out(t))
      t:send { t = 15, key = 2, k = 'x' }
      t:send { t = 9, key = 1, k = 'x' }
      t:send { t = 20, key = 1, k = 'x' }           -- behind the one of that time
      assert.same({}, out(t))
      t:crash()
      t:send { t = 15, key = 1, k = 'x' }
      assert.same({ '- 20 10|20' }, out(t))
      t:crash()
      t:send { t = 17, key = 1, k = 'a' }
      assert.same({ '+ 20 17|20' }, out(t))
      t:watermark(math.huge)
      assert.same({}, out(t))
      assert.same({}, t:late())
      assert.same({}, t:errors())
    end)]]
  end)

  it('ends where the lateness ends', function()
    test [[it('x', function()
      local t = run(pair, {})
      t:send { t = 10, key = 1, k = 'a' }
      t:send { t = 20, key = 1, k = 'b' }
      t:send { t = 110, key = 2, k = 'x' }          -- the watermark is 109
      t:send { t = 9, key = 1, k = 'x' }
      assert.same({ { t = 9, key = 1, k = 'x' } }, t:late())
      t:send { t = 11, key = 1, k = 'x' }
      assert.same({ '+ 20 10|20', '- 20 10|20' }, out(t))
      assert.same({}, t:late())
    end)]]
  end)

  it('keeps max_late events of a key: what comes before the newer half is late', function()
    test [[it('x', function()
      local t = run(pair, { lateness = '1h', max_late = 4 })
      for n = 1, 7 do t:send { t = n * 10, key = 1, k = 'a' } end
      t:send { t = 80, key = 2, k = 'x' }
      t:send { t = 45, key = 1, k = 'b' }
      assert.same({ { t = 45, key = 1, k = 'b' } }, t:late())
      t:send { t = 55, key = 1, k = 'b' }
      t:send { t = 45, key = 2, k = 'x' }
      assert.same({}, t:late())
      assert.same({ '+ 55 50|55' }, out(t))
      for n = 1, 9 do t:send { t = 69 - n, key = 1, k = 'b' } end      -- late ones count, too
      local late = t:late()
      assert.is_true(#late > 0 and #late < 9, #late)
    end)]]
  end)

  it('orders late events of one time by the field, too', function()
    test [[it('x', function()
      local t = run(pair, { order_by = 'n' })
      t:send { t = 10, key = 1, n = 1, k = 'a' }
      t:send { t = 10, key = 1, n = 3, k = 'b' }
      t:send { t = 20, key = 1, n = 4, k = 'x' }
      t:send { t = 30, key = 1, n = 4, k = 'x' }
      assert.same({ '+ 10 1|3' }, out(t))
      t:send { t = 10, key = 1, n = 5, k = 'x' }
      assert.same({}, out(t))
      t:send { t = 10, key = 1, n = 2, k = 'a' }
      assert.same({ '- 10 1|3', '+ 10 2|3' }, out(t))
    end)]]
  end)

  it('takes back what time had ended, and what was held back', function()
    test [[it('x', function()
      local p = tm.pattern 'p':start('a', is 'a'):not_followed_by('b', is 'b'):within '20ms'
      local t = run(p, { timeouts = true })
      t:send { t = 10, key = 1, k = 'a' }
      t:send { t = 40, key = 1, k = 'x' }
      t:send { t = 50, key = 1, k = 'x' }
      assert.same({ '+ 10 10|' }, out(t))
      t:send { t = 29, key = 1, k = 'b' }
      assert.same({ '- 10 10|' }, out(t))
      t:send { t = 25, key = 1, k = 'a' }
      t:send { t = 28, key = 1, k = 'a' }
      t:send { t = 35, key = 1, k = 'a' }
      t:send { t = 70, key = 2, k = 'x' }
      assert.same({ '+ 35 35|' }, out(t))
      t:send { t = 30, key = 1, k = 'a' }           -- over at 50, which has passed
      assert.same({ '+ 30 30|' }, out(t))
    end)]]
  end)

  it('fails with the late event where a function raises, and nothing has changed', function()
    test [[it('x', function()
      local p = tm.pattern 'p':start('a', is 'a'):next('b', function(e, m)
        if m.a[1].bad then error 'bad one' end
        return e.k == 'b'
      end):within '50ms'
      local t = run(p, {})
      t:send { t = 10, key = 1, k = 'a' }
      t:send { t = 20, key = 1, k = 'b' }
      t:send { t = 30, key = 1, k = 'x' }
      t:send { t = 15, key = 1, k = 'a', bad = true }
      assert.same({ '+ 20 10|20' }, out(t))
      local errors = t:errors()
      assert.equal(1, #errors)
      assert.matches('bad one', errors[1].reason)
      assert.same({ t = 15, key = 1, k = 'a', bad = true }, errors[1].row)
      t:send { t = 14, key = 1, k = 'a' }
      assert.same({ '- 20 10|20', '+ 20 14|20' }, out(t))
    end)]]
  end)

  it('is never late for what stands behind it', function()
    test [[it('x', function()
      local t = run(pair, {}, function(s)
        return s:map(function(m) return { op = m.op } end):window('w', tm.window.tumbling '10ms')
          :aggregate { plus = tm.agg.count { where = function(e) return e.op == '+' end }, minus = tm.agg.count { where = function(e) return e.op == '-' end } }
      end)
      t:send { t = 10, key = 1, k = 'a' }
      t:send { t = 20, key = 1, k = 'b' }
      t:send { t = 119, key = 1, k = 'x' }
      t:send { t = 19, key = 1, k = 'x' }
      t:watermark(math.huge)
      assert.same({}, t:late())
      assert.same({ { key = 1, plus = 1, minus = 1, window_start = 20, window_end = 30 } }, t:out())
    end)]]
  end)

  it('frees what no late event can change', function()
    local lines, dir = {}, h.folder {}
    for i = 1, 6000 do
      local t = i * 2 - (i % 4 == 0 and i % 37 or 0)
      lines[i] = ('{"t":%d,"k":%d,"v":%d}'):format(t, i % 7, i % 5)
    end
    local code = [[local p = tm.pattern 'p':start('a', function(e) return e.v == 1 end):one_or_more()
      :next('b', function(e) return e.v == 3 end):within '60ms'
      return stream:event_time { field = 't' }:key_by 'k':match(p, { emit = 'retract', lateness = '50ms' }):to(tm.sink.file ']] .. dir ..
      [[/out')]]
    local r = h.run({ 'run', '--json', '-e', code, '--data', dir .. '/data' }, table.concat(lines, '\n') .. '\n')
    assert.equal(0, r.code, r.err)
    local _, minus = h.read(dir .. '/out'):gsub('"op":"%-"', '')
    assert.is_true(minus > 100, minus)
    -- as it was before the end of input: 7 keys with events of 50 to 100 ms, 14 ms apart, and less of all else
    for _, s in ipairs(h.decode(r.err:match '(%b{})\n$').state) do assert.is_true(s.keys <= 90, s.name .. ' ' .. s.keys) end
    r = h.run { 'state', 'ls', '-e', code, '--data', dir .. '/data', '--json' }
    assert.equal(0, h.decode(r.out)[1].keys, r.out .. r.err)
  end)

  it('goes on in another folder with what was exported', function()
    local dir = h.folder { ['s.lua'] = [[
      local tm = require 'tidemill'
      local p = tm.pattern 'p':start('a', function(e) return e.v == 1 end):one_or_more():next('b', function(e) return e.v == 3 end):within '60ms'
      local s = tm.pipeline 'e':from(tm.source.file { path = tm.setting 'in', follow = true }):event_time { field = 't' }
      return { s:key_by 'k':match(p, { emit = 'retract', lateness = '50ms' }):to(tm.sink.file(tm.setting 'out')), s:to(tm.sink.file(tm.setting 'all')) }]] }
    local function events(from, to)
      local lines = {}
      for i = from, to do
        lines[#lines + 1] = ('{"t":%d,"k":%d,"v":%d}\n'):format(i * 2 - (i % 4 == 0 and i % 37 or 0), i % 7, i % 5)
      end
      return table.concat(lines)
    end
    local function words(command, name)
      return { command, dir .. '/s.lua', '--data', dir .. '/' .. name, '--set', 'in=' .. dir .. '/' .. name .. '.in', '--set', 'out=' .. dir ..
        '/' .. name .. '.out', '--set', 'all=' .. dir .. '/' .. name .. '.all' }
    end
    local function run(name, lines)
      local p = running.start(words('run', name))
      running.wait_until('the events', function()
        return p:code() or select(2, (h.read(('%s/%s.all'):format(dir, name)) or ''):gsub('\n', '')) == lines
      end)
      p:signal 'TERM'
      assert.equal(0, p:wait(), p:err())
    end
    h.write(events(1, 1000), dir .. '/one.in')
    run('one', 1000)
    local before = h.read(dir .. '/one.out')
    local export, import = words('state', 'one'), words('state', 'two')
    table.insert(export, 2, 'export')
    table.insert(import, 2, 'import')
    local r = h.run(export)
    assert.equal(0, r.code, r.err)
    h.write(events(1001, 2000), dir .. '/two.in')
    r = h.run(import, r.out)
    assert.equal(0, r.code, r.err)
    run('two', 1000)
    h.write(events(1, 2000), dir .. '/one.in')
    run('one', 2000)
    local behind = h.read(dir .. '/one.out'):sub(#before + 1)
    assert.is_true(select(2, behind:gsub('"op":"%-"', '')) > 10)
    assert.equal(behind, h.read(dir .. '/two.out'))
  end)

  for _, case in ipairs {
    { "{ emit = 'retract' }", "match: emit = 'retract' needs to know how late an event may come: write lateness = '30s' beside it" },
    { "{ lateness = '1s' }", "match: 'lateness' is of late events that correct matches which were sent; write emit = 'retract' beside it, " ..
      'or let event_time wait longer with out_of_order' },
    { '{ max_late = 5 }', "match: 'max_late' is of late events that correct matches which were sent; write emit = 'retract' beside it, " ..
      'or let event_time wait longer with out_of_order' },
    { "{ emit = 'retract', lateness = 5 }", "match: 'lateness': a duration needs a unit: write '5s' for seconds or '5ms' for milliseconds" },
    { "{ emit = 'retract', lateness = '0s' }", "match: 'lateness' is longer than nothing, got '0s'" },
    { "{ emit = 'retract', lateness = '1s', max_late = 1 }", "match: 'max_late' is how many events of a key are kept for late ones, a whole " ..
      'number from 2 to 1000000' },
    { "{ emit = 'updates' }", "match: option 'emit' is one of 'final', 'retract', got 'updates'" },
  } do
    it('refuses ' .. case[1], function()
      local dir = h.folder { ['s.lua'] = ([[local tm = require 'tidemill'
return tm.pipeline 'x':event_time { field = 't' }:match(tm.pattern 'p':start('a'):next('b'):within '1s', %s)]]):format(case[1]) }
      local r = h.run({ 'run', 's.lua' }, '', { cwd = dir })
      assert.equal(3, r.code, r.err)
      assert.equal('tidemill: error: s.lua:2: ' .. case[2], r.err:match '^[^\n]*')
    end)
  end
end)
