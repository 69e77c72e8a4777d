--[[ Workers that die: killed at random moments, by the deadline's second stage, in user code, while loading, while idle.
What comes out must be what an undisturbed run writes, each row once; an event that kills the worker twice is left
out and told. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

-- Sixty million replacements of some steps each: seconds inside C, where no hook and no trace's check can reach. It must last much longer
-- than two deadlines: a control process that a busy machine wakes late would find it over, ended by the hook behind it.
local bomb = ("(function() return (('a'):rep(%d):gsub('b-b-b-b-b-b-a', '')) end)()"):format(6e7 / h.slowness())

local script = [[
local tm = require 'tidemill'
local all, bad = tm.sink.file(tm.setting 'all'), tm.sink.file(tm.setting 'bad')
local thirds = tm.pipeline 'thirds':filter(function(e) return e.i % 3 ~= 0 end)
local lines = tm.pipeline 'lines':flat_map(function(e, emit) for j = 1, e.i % 5 do emit { i = e.i, j = j } end end)
local some = tm.pipeline 'some':from(lines):filter(function(e) return e.j ~= 2 end)
  :map(function(e) if e.i % 1000 == 7 then error 'seven' end e.some = true return e end):on_error(bad)
local both = tm.pipeline 'both':from(tm.union(thirds, lines)):map(function(e) return { both = e.i } end)
return { thirds:to(all), some:to(all), both:to(all):to(tm.sink.stdout()),
  tm.pipeline 'last':from(some):map(function(e) return { last = e.i * 10 + e.j } end):to(all),
  tm.pipeline 'none':filter(function(e) if e.i % 5000 == 13 then error 'none' end return e.i % 2 == 0 end)
    :on_error(bad):to(tm.sink.discard()) }
]]

local function last_line(text)
  local lines = h.lines(text)
  return h.decode(lines[#lines])
end

describe('a worker killed at random moments', function()
  after_each(r.stop_all)
  local KILLS = 25   -- in each case, of one run or more
  local path = h.write(script, h.path 'script.lua')
  local file = h.path 'input'

  setup(function()
    local list = {}
    for i = 1, 60000 do
      list[#list + 1] = ('{"i":%d,"pad":"%s"}\n'):format(i, ('p'):rep(i * 7919 % 200))
      if i % 997 == 0 then list[#list + 1] = '\n' end
      if i % 1999 == 0 then list[#list + 1] = '{"i":oops}\n' end
    end
    h.write(table.concat(list), file)
  end)

  --- What must be the same in both runs. Dead letters name the source.
  local function outcome(summary, to, source)
    local c = summary.counters
    local out = { rows = {}, failures = #summary.failures }
    for i, flow in ipairs(summary.rows) do out.rows[i] = flow.rows end
    for _, name in ipairs { 'events_in', 'bytes_in', 'lines_blank', 'lines_bad', 'rows_out', 'events_dropped', 'events_failed',
      'rows_dead', 'quarantined' } do out[name] = c[name] end
    out.all, out.out = r.digest(to.all), r.digest(to.out)
    out.bad = r.digest(h.write((h.read(to.bad):gsub(source:gsub('%p', '%%%0') .. ':', 'X:'))))
    out.bytes_out = source == file and c.bytes_out or nil
    return out
  end

  local function paths() return { all = h.path 'all', bad = h.path 'bad', out = h.path 'out' } end

  local function arguments(to) return { 'run', '--json', path, '--set', 'all=' .. to.all, '--set', 'bad=' .. to.bad } end

  local undisturbed, undisturbed_stdin

  --- Kills the worker so often at most, each time after it has got further and a random while more, then lets the run end.
  --- Returns its summary, and how often a new one was started.
  local function kill_often(p, all, most)
    local kills, last = 0, nil
    while kills < most and not p:code() do
      local size = r.size(all)
      r.wait_until('progress', function() return p:code() or r.size(all) > size end)
      local spin = os.clock() + math.random() * 0.006
      while os.clock() < spin do end
      local worker = p:worker()
      -- not one that is dead already and still listed
      if worker and worker ~= last and r.state(worker) ~= 'Z' and p:signal('KILL', worker) then kills, last = kills + 1, worker end
    end
    assert.equal(0, p:wait(120))
    local s = p:summary()
    local restarts = s.counters.worker_restarts
    -- the last kill may have met a worker that was ending by itself
    assert.is_true(restarts == kills or restarts == kills - 1)
    return s, restarts
  end

  --- Calls run(most kills) until all kills were made: on a machine that is busy elsewhere a run may end before them.
  local function until_killed(run)
    local left = KILLS
    for _ = 1, 20 do
      left = left - run(left)
      if left == 0 then return end
    end
    error('runs ended before they could be killed: they need more input')
  end

  it('goes on where it was, from a file to files', function()
    local to = paths()
    local args = arguments(to)
    args[#args + 1], args[#args + 2] = '--from', file
    local got = h.shell(h.command(args) .. ' >' .. to.out)
    assert.equal(0, got.code)
    undisturbed = outcome(last_line(got.err), to, file)
    assert.is_true(undisturbed.rows_dead > 50 and undisturbed.events_dropped > 1000)
    math.randomseed(1)
    until_killed(function(most)
      to = paths()
      args = arguments(to)
      args[#args + 1], args[#args + 2] = '--from', file
      local summary, kills = kill_often(r.start(args, { stdout = to.out }), to.all, most)
      assert.same(undisturbed, outcome(summary, to, file))
      return kills
    end)
  end)

  it('goes on where it was, from a pipe to a pipe', function()
    local to = paths()
    local got = h.shell(h.command(arguments(to)) .. ' >' .. to.out .. ' <' .. file)
    undisturbed_stdin = outcome(last_line(got.err), to, 'stdin')
    math.randomseed(2)
    until_killed(function(most)
      to = paths()
      local from, into = r.fifo(), r.fifo()
      r.spawn('cat', { stdin = file, stdout = from })
      local reader = r.spawn('python3 tests/spec/tools/pieces.py 5', { stdin = into, stdout = to.out })
      local summary, kills = kill_often(r.start(arguments(to), { stdin = from, stdout = into }), to.all, most)
      reader:wait()
      assert.same(undisturbed_stdin, outcome(summary, to, 'stdin'))
      return kills
    end)
    assert.equal(undisturbed.out, undisturbed_stdin.out)
    assert.equal(undisturbed.bad, undisturbed_stdin.bad)
  end)

  it('goes on where it was, from a generator', function()
    math.randomseed(3)
    until_killed(function(most)
      local out = h.path 'out'
      local p = r.start({ 'run', '--json', h.write([[local tm = require 'tidemill'
        return tm.pipeline 'g':from(tm.source.generate(function(i) return { i = i } end, { count = 3000000 }))]], h.path 's.lua') },
        { stdout = out })
      local _, kills = kill_often(p, out, most)
      local n = 0
      for line in io.lines(out) do
        n = n + 1
        if line ~= ('{"i":%d}'):format(n) then error(('line %d: %s'):format(n, line)) end
      end
      assert.equal(3000000, n)
      os.remove(out)
      return kills
    end)
  end)

  it('goes on where it was, from CSV files whose headers differ to CSV files', function()
    local orders = { { 'i', 'text', 'n' }, { 'n', 'i', 'text' }, { 'text', 'i' } }
    local files = {}
    for f, order in ipairs(orders) do
      local list = { table.concat(order, ',') .. '\n' }
      for i = 1, 60000 do
        local row = { i = f * 100000 + i, n = i % 7 == 0 and '"7,""\n"' or ('p'):rep(i * 7919 % 200),
          text = i % 1999 == 0 and '"oops' or 'x' }
        for k, name in ipairs(order) do list[#list + 1] = row[name] .. (k == #order and '\n' or ',') end
      end
      files[('%d.csv'):format(f)] = table.concat(list)
    end
    local folder = h.folder(files)
    local one, two, bad, out
    local function args()
      one, two, bad, out = h.path 'one.csv', h.path 'two.csv', h.path 'bad.csv', h.path 'out'
      return { 'run', '--json', '--from', folder .. '/*.csv', h.write(([[local tm = require 'tidemill'
        local both = tm.sink.file { path = '%s', columns = { 'i', 'of', 'n' } }
        return { tm.pipeline 'a':filter(function(e) return e.i:sub(-1) < '5' end):select { 'i', 'n' }:to(both),
          tm.pipeline 'b':on_error(tm.sink.file '%s'):schema { i = 'int64' }
            :map(function(e) return { i = e.i, of = #(e.n or '') } end):to(both),
          tm.pipeline 'c':select { 'n', 'i' }:to(tm.sink.file '%s') }]]):format(one, bad, two), h.path 's.lua') }
    end
    local function outcome_of() return { r.digest(one), r.digest(two), r.digest(bad) } end
    assert.equal(0, h.run(args()).code)
    local want = outcome_of()
    local heads = select(2, h.read(one):gsub('i,of,n\n', '')) + select(2, h.read(two):gsub('n,i\n', ''))
    assert.equal(2, heads)
    math.randomseed(4)
    until_killed(function(most)
      local _, kills = kill_often(r.start(args(), { stdout = out }), one, most)
      assert.same(want, outcome_of())
      return kills
    end)
  end)

  -- Events wait for the watermark, in blocks of fifty that come backwards, each at a time of its own. What waited goes with the worker, as
  -- all keyed state does: no row of it comes, none comes twice, and where nothing was lost nearby rows are what they have to be.
  for name, before in pairs { ['many at a time'] = '', ['one by one'] = ':map(function(e) return e end)' } do
    it('loses in sliding windows what waited and what they held, no more, where rows wait ' .. name, function()
      local N, SIZE, WAIT, KEYS = 150000, 2000, 600, 97
      local input, list = h.path 'input', {}
      for i = 0, N - 1 do
        local at = i - i % 50 + 49 - i % 50
        list[i + 1] = ('{"ts":%d,"k":"k%d","v":%d}\n'):format(at * 10, at % KEYS, at)
      end
      h.write(table.concat(list), input)
      local text = h.write(([[local tm = require 'tidemill'
        return tm.pipeline 'p':event_time { field = 'ts', out_of_order = '%dms' }%s:key_by 'k':window('w', tm.window.sliding '%dms')
          :aggregate { n = tm.agg.count(), s = tm.agg.sum 'v' }
          :process('last', { max_keys = 1000, state = { at = -1 }, on_event = function(e, s, ctx)
            ctx.emit { at = ctx.time, n = e.n, s = e.s, newer = ctx.time > s.at }
            s.at = ctx.time
          end })]]):format(WAIT, before, SIZE), h.path 's.lua')
      local function judge(out, deaths)
        local seen, last = {}, -1
        for line in io.lines(out) do
          local row = h.decode(line)
          assert.is_true(row.at > last and row.newer, line)
          last = row.at
          row.line, seen[row.at / 10] = line, row
        end
        local lost, lost_at = 0, -math.huge   -- the newest one lost up to WAIT behind the row
        for at = 0, N - 1 + WAIT / 10 do
          if at < N and not seen[at] then lost, lost_at = lost + 1, at * 10 end
          local i = at - WAIT / 10
          local row = seen[i]
          if row then
            local n = 1 + math.floor(math.min(i, SIZE / 10 - 1) / KEYS)
            local whole = lost_at <= row.at - SIZE
            local m = whole and n or row.n
            assert.is_true(m >= 1 and m <= n and row.n == m and row.s == m * i - KEYS * m * (m - 1) / 2, row.line)
          end
        end
        assert.is_true(lost <= deaths * (WAIT / 10 + 10), lost .. ' lost in ' .. deaths .. ' deaths')
        return lost
      end
      math.randomseed(6)
      local lost = 0
      until_killed(function(most)
        local out = h.path 'out'
        local summary, kills = kill_often(r.start({ 'run', '--json', '--from', input, text }, { stdout = out }), out, most)
        lost = lost + judge(out, kills)
        assert.equal(N, summary.counters.events_in)
        assert.equal(0, summary.counters.events_failed + summary.counters.events_dropped + summary.counters.events_late)
        os.remove(out)
        return kills
      end)
      assert.is_true(lost > 0)
    end)
  end
end)

describe('an event that no hook can stop', function()
  after_each(r.stop_all)
  local DEADLINE = '250ms'   -- long enough for a script to load on a busy machine, sanitizers and all

  it('is tried twice, then left out: a dead letter, counted; the rest is exact', function()
    local bad = h.path 'bad'
    local input, want = {}, {}
    for i = 1, 300 do
      input[i] = ('{"i":%d}\n'):format(i)
      if i ~= 100 and i ~= 200 then want[#want + 1] = input[i] end
    end
    local got = h.run({ 'run', '--json', '--deadline', DEADLINE, h.write(([[local tm = require 'tidemill'
      return tm.pipeline 'p':map(function(e) if e.i %% 100 == 0 and e.i < 300 then e.x = %s end return e end):on_error(tm.sink.file '%s')]])
      :format(bomb, bad), h.path 's.lua') }, table.concat(input))
    assert.equal(0, got.code)
    assert.equal(table.concat(want), got.out)
    local rows = h.rows(h.read(bad))
    assert.equal(2, #rows)
    for i, row in ipairs(rows) do
      assert.equal('quarantined', row.code)
      assert.same({ i = i * 100 }, row.event)
      assert.equal('stdin:' .. i * 100, row.position)
      assert.equal('map#1', row.step)
    end
    local c = last_line(got.err).counters
    assert.equal(2, c.quarantined)
    assert.equal(2, c.events_failed)
    assert.equal(4, c.worker_kills_deadline)
    assert.equal(4, c.worker_restarts)
    assert.equal(298, c.rows_out)
    assert.equal(0, c.events_dropped)
    assert.truthy(got.err:find('worker killed: one event was not done after 500 ms (deadline 250 ms), in pipeline p, ' ..
      'stdin line 100: {"i":100}', 1, true), got.err)
    assert.truthy(got.err:find('this event ended it before and is left out', 1, true), got.err)
  end)

  it('behind a link is named by the line it came from', function()
    local got = h.run({ 'run', '--json', '--deadline', DEADLINE, h.write(([[local tm = require 'tidemill'
      local lines = tm.pipeline 'lines':flat_map(function(e, emit) for j = 1, 2000 do emit { i = e.i, j = j } end end)
      return tm.pipeline 'p':from(lines):filter(function(e) if e.i == 2 and e.j == 1500 then return %s end return e.j %% 500 == 0 end)]])
      :format(bomb), h.path 's.lua') }, '{"i":1}\n{"i":2}\n{"i":3}\n')
    assert.equal(0, got.code)
    local want = {}
    for i = 1, 3 do
      for j = 500, 2000, 500 do
        if i ~= 2 or j ~= 1500 then want[#want + 1] = ('{"i":%d,"j":%d}\n'):format(i, j) end
      end
    end
    assert.equal(table.concat(want), got.out)
    assert.equal(1, last_line(got.err).counters.quarantined, got.err)
    assert.truthy(got.err:find('in pipeline p, stdin line 2: {"i":2,"j":1500}', 1, true), got.err)
  end)

  it('behind a link is told from one with the same place in another of its batches', function()
    -- 1024 rows a batch: rows 451 of the third and the fourth batch of one event
    local got = h.run({ 'run', '--json', '--deadline', DEADLINE, h.write(([[local tm = require 'tidemill'
      local lines = tm.pipeline 'lines':flat_map(function(e, emit) for j = 1, 5000 do emit { j = j } end end)
      return tm.pipeline 'p':from(lines):filter(function(e) if e.j == 2500 or e.j == 3524 then return %s end return e.j %% 500 == 0 end)]])
      :format(bomb), h.path 's.lua') }, '{"i":1}\n')
    assert.equal(0, got.code)
    local c = last_line(got.err).counters
    assert.equal(2, c.quarantined)
    assert.equal(4, c.worker_kills_deadline)
    assert.equal('{"j":500}\n{"j":1000}\n{"j":1500}\n{"j":2000}\n{"j":3000}\n{"j":3500}\n{"j":4000}\n{"j":4500}\n{"j":5000}\n', got.out)
  end)

  it('while the script loads: exit code 3, and no second try', function()
    local got = h.run({ 'run', '--deadline', DEADLINE, h.write(bomb .. " return require 'tidemill'.pipeline 'p'", h.path 's.lua') }, '')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('while it loaded', 1, true), got.err)
    assert.equal(1, #h.lines(got.err))
  end)

  it('in a generator ends the run when it does not get any further', function()
    local got = h.run({ 'run', '--json', '--deadline', DEADLINE, h.write(([[local tm = require 'tidemill'
      return tm.pipeline 'p':from(tm.source.generate(function(i) if i == 3 then return %s end return { i = i } end))]])
      :format(bomb), h.path 's.lua') })
    assert.equal(1, got.code)
    assert.truthy(got.err:find('giving up', 1, true), got.err)
  end)
end)

describe('a worker killed from outside', function()
  after_each(r.stop_all)

  it('in the same event twice leaves it out, once does not', function()
    local input = r.fifo()
    local p = r.start({ 'run', '--json', '--deadline', '1h', '-e', 'stream:filter(function(e) while e.n == 2 do end return true end)' },
      { stdin = input })
    local f = assert(io.open(input, 'wb'))
    f:setvbuf 'no'
    f:write '{"n":1}\n{"n":2}\n{"n":3}\n'
    for kill = 1, 2 do
      -- in the event: running, and for longer than a worker needs to start
      local worker = r.wait_until('the endless event', function()
        local pid = p:worker()
        -- utime, the 14th
        local ticks = pid and tonumber((h.read('/proc/' .. pid .. '/stat'):match('^%d+ %b() %a' .. (' %S+'):rep(10) .. ' (%d+)')))
        return ticks and ticks > 20 and pid
      end)
      assert.is_true(p:signal('KILL', worker))
      r.wait_until('the word about it', function() return select(2, p:err():gsub('ended by signal 9', '')) == kill end)
    end
    r.wait_until('the rest', function() return p:out() == '{"n":1}\n{"n":3}\n' end)
    f:close()
    assert.equal(0, p:wait())
    local c = p:summary().counters
    assert.equal(1, c.quarantined)
    assert.equal(2, c.rows_out)
    assert.truthy(p:err():find('in pipeline e, stdin line 2: {"n":2}', 1, true), p:err())
  end)

  it('again and again within one batch goes on, as long as it gets further', function()
    local out, input, want = r.fifo(), {}, {}
    for i = 1, 1000 do
      input[i] = ('{"i":%d}\n'):format(i)
      for j = 1, 20 do want[#want + 1] = ('{"i":%d,"j":%d,"pad":"%s"}\n'):format(i, j, ('p'):rep(500)) end
    end
    local p = r.start({ 'run', '--json', '--from', h.write(table.concat(input)), h.write(([[return require 'tidemill'.pipeline 'p':flat_map(
      function(e, emit) for j = 1, 20 do emit { i = e.i, j = j, pad = '%s' } end end)]]):format(('p'):rep(500)), h.path 's.lua') },
      { stdout = out })
    local f = assert(io.open(out, 'rb'))
    local got = {}
    for kill = 1, 8 do
      got[kill] = f:read(1000000)
      -- it cannot write: outside of user code
      local worker = r.wait_until('a worker that waits', function() return p:worker() and r.state(p:worker()) == 'S' and p:worker() end)
      assert.is_true(p:signal('KILL', worker))
    end
    got[#got + 1] = f:read '*a'
    f:close()
    assert.equal(0, p:wait())
    assert.equal(8, p:summary().counters.worker_restarts)
    assert.equal(1, p:summary().counters.batches)
    assert.is_true(table.concat(want) == table.concat(got))
  end)

  it('is followed by one that loads what ran, though its scripts have changed since', function()
    local input, path = r.fifo(), h.write("return require 'tidemill'.pipeline 'p'", h.path 's.lua')
    local p = r.start({ 'run', '--quiet', path }, { stdin = input })
    local f = assert(io.open(input, 'wb'))
    f:setvbuf 'no'
    f:write '{"n":1}\n'
    r.wait_until('the row', function() return p:out() == '{"n":1}\n' end)
    h.write("return require 'tidemill'.pipeline 'other'", path)
    p:signal('KILL', p:worker())
    f:write '{"n":2}\n'
    r.wait_until('the second row', function() return p:out() == '{"n":1}\n{"n":2}\n' or p:code() end)
    f:close()
    assert.equal(0, p:wait())
    assert.equal('{"n":1}\n{"n":2}\n', p:out())
  end)

  it('while it waits loses nothing; --strict remembers it', function()
    for strict = 0, 1 do
      local input = r.fifo()
      local p = r.start({ 'run', '--quiet', '-e', 'stream', strict == 1 and '--strict' or '--quiet' }, { stdin = input })
      local f = assert(io.open(input, 'wb'))
      f:setvbuf 'no'
      local want = ''
      for i = 1, 4 do
        want = want .. ('{"n":%d}\n'):format(i)
        -- half of the line before, half behind the death: what was read of a line is kept
        f:write(('{"n":%d}\n'):format(i):sub(1, 3))
        local worker = r.wait_until('the worker to wait', function() return p:worker() and r.state(p:worker()) == 'S' and p:worker() end)
        p:signal('KILL', worker)
        f:write((('{"n":%d}\n'):format(i):sub(4)))
        r.wait_until('row ' .. i, function() return p:out() == want end)
      end
      f:close()
      assert.equal(strict, p:wait())
      assert.equal(want, p:out())
    end
  end)
end)
