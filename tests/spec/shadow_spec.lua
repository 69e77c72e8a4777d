--[[ A candidate beside the run: `tidemill rules shadow`, diff, promote, discard.

What the candidate must decide is known from runs of their own: of the run's pack over the same input, and of the candidate's; or from a run
whose scripts are loaded anew at the same event. Nothing of what the candidate does may show in what the run writes. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local random = require 'spec.random'
local system = require 'system'

--- A pack of payments; o: large, burst: thresholds; version; rules, features: more files; suppress, decisions.
local function pack(o)
  local files = {
    ['pack.lua'] = ([[return { name = '%s', version = '%s', stream = 'tx', time = { field = 'ts', unit = 'ms' },
      decisions = %s%s }]]):format(o.name or 'cards', o.version or '1.0.0',
      o.decisions or '{ challenge = 20, review = 50, decline = 100 }',
      o.suppress and ", suppress = { by = 'card', within = '1m' }" or ''),
    ['schema/tx.lua'] = "return { id = 'number', ts = 'time_ms', card = 'string', amount = 'decimal(2)' }",
    ['features/card.lua'] = [[return tm.features { key = 'card', max_keys = 1000, n_1m = tm.f.count { over = '1m' },
      spent_10m = tm.f.sum('amount', { over = '10m' }) }]],
    ['rules/all.lua'] = ([[return {
      { id = 'large', score = 60, when = function(tx) return tx.amount > %d end, reason = 'large' },
      { id = 'burst', score = 50, when = function(tx, f) return f.n_1m > %d end, reason = '{f.n_1m} in a minute' },
      { id = 'spent', score = 20, needs = { 'spent_10m' }, when = function(tx, f) return f.spent_10m > 3000 end,
        reason = 'spent' } }]]):format(o.large or 800, o.burst or 4),
  }
  for name, text in pairs(o.files or {}) do files[name] = text end
  return h.folder(files)
end

--- n payments as a list of { line, amount }, the same ones always.
local function payments(n)
  local list, t, r0 = {}, 1000, random(7)
  for i = 1, n do
    t = t + r0(3000)
    local amount = r0.chance(0.9) and r0(30000) / 100 or r0(200000) / 100
    list[i] = { amount = amount, line = ('{"id":%d,"ts":%d,"card":"c%d","amount":%.2f}\n'):format(i, t, r0(30), amount) }
  end
  return list
end

local function script_of(dir, more)
  return ([[local tm = require 'tidemill'
    return tm.pipeline 'judge':pack('%s'%s):to(tm.sink.file(tm.setting 'out'))]]):format(dir, more or '')
end

--- What a pack decides about each payment, by a run of its own: id -> { decision, rules = { id -> true } }.
local function decided_by(dir, events)
  local out, lines = h.path 'reference', {}
  for i, e in ipairs(events) do lines[i] = e.line end
  local got = h.script(script_of(dir), table.concat(lines), '--set', 'out=' .. out)
  assert.equal(0, got.code, got.err)
  local by_id = {}
  for _, row in ipairs(h.rows(h.read(out))) do
    local rules = {}
    for _, rule in ipairs(row.rules) do rules[rule.id] = true end
    by_id[row.event.id] = { decision = row.decision, rules = rules, score = row.score }
  end
  return by_id, h.read(out)
end

--- Lines of a text from the one after the n-th.
local function behind(text, n)
  local lines = h.lines(text)
  return table.concat(lines, '\n', n + 1) .. '\n'
end

describe('a candidate beside the run', function()
  after_each(r.stop_all)

  local events, run, out, socket, pipe, sent

  --- Starts the run, with a script of that text.
  local function start(text, ...)
    local input = r.fifo()
    out, socket, sent = h.path 'out', h.path 'sock', 0
    local script = h.write(text, h.path 's.lua')
    run = r.start({ 'run', script, '--control', socket, '--set', 'out=' .. out, ... }, { stdin = input })
    run.script = script
    pipe = assert(io.open(input, 'w'))
    pipe:setvbuf 'full'
  end

  local function rules(...)
    local args = { 'rules', ... }
    args[#args + 1], args[#args + 2] = '--control', socket
    return h.run(args, nil, { timeout = 60 })
  end

  local function diff()
    local got = rules('diff', '--json')
    assert.equal(0, got.code, got.err)
    return h.decode(got.out)
  end

  --- Sends payments up to the n-th; waits until the run has written a row for each of them (rows: or so many).
  local function send(n, rows)
    for i = sent + 1, n do pipe:write(events[i].line) end
    pipe:flush()
    sent = n
    r.wait_until('rows up to ' .. (rows or n), function()
      assert.is_nil(run:code(), run:err())
      return select(2, h.read(out):gsub('\n', '')) >= (rows or n)
    end)
  end

  local function shadow(candidate, ...)
    local args, got = { ... }, nil
    r.wait_until('the control socket', function()
      got = rules('shadow', candidate, unpack(args))
      return got.code ~= 5
    end)
    return got
  end

  --- Waits until the candidate has compared so many decisions.
  local function compared(n)
    local d
    r.wait_until('decisions of the candidate', function()
      d = diff()
      assert.equal('running', d.phase, d.why)
      return d.packs[1].events >= n
    end)
    assert.equal(n, d.packs[1].events)
    return d
  end

  local function finish()
    pipe:close()
    assert.equal(0, run:wait(), run:err())
  end

  --- The matrix that two runs of their own give for payments behind the first `from`.
  local function reference(live, own, from)
    local cells = {}
    for i = from + 1, #events do
      local a, b = live[i], own[i]
      local key = a.decision .. ' -> ' .. b.decision
      local cell = cells[key] or { events = 0, cents = 0, rules = {} }
      cells[key] = cell
      cell.events, cell.cents = cell.events + 1, cell.cents + math.floor(events[i].amount * 100 + 0.5)
      if a.decision ~= b.decision then
        local any = false
        for id in pairs(b.rules) do if not a.rules[id] then cell.rules['+' .. id], any = (cell.rules['+' .. id] or 0) + 1, true end end
        for id in pairs(a.rules) do if not b.rules[id] then cell.rules['-' .. id], any = (cell.rules['-' .. id] or 0) + 1, true end end
        if not any then cell.rules['~'] = (cell.rules['~'] or 0) + 1 end
      end
    end
    return cells
  end

  local function matrix_of(d)
    local cells = {}
    for _, c in ipairs(d.packs[1].matrix) do
      local named = {}
      for _, rule in ipairs(c.rules or {}) do named[rule.rule:sub(1, 1) == '~' and '~' or rule.rule] = rule.events end
      cells[c.live .. ' -> ' .. c.candidate] = { events = c.events, cents = math.floor(c.amount * 100 + 0.5), rules = named }
    end
    return cells
  end

  before_each(function() events = payments(3000) end)

  for _, kept in ipairs { false, true } do
    it('decides as a run of its own does, event by event' .. (kept and ', beside a run that is kept' or ''), function()
      local live, own = pack {}, pack { version = '1.1.0', large = 500, burst = 3 }
      local folder = h.path 'candidate'
      start(script_of(live), unpack(kept and { '--data', h.path 'data' } or {}))
      send(1000)
      local got = shadow(own, '--out', folder)
      assert.equal(0, got.code, got.err)
      send(1700)
      send(3000)
      local d = compared(2000)
      local a, a_text = decided_by(live, events)
      local b, b_text = decided_by(own, events)
      local want = reference(a, b, 1000)
      assert.is_true(want['approve -> review'].events > 20 and want['review -> decline'].events > 0)   -- or it shows nothing
      assert.same(want, matrix_of(d))
      local changed = 0
      for i = 1001, 3000 do changed = changed + (a[i].decision ~= b[i].decision and 1 or 0) end
      assert.equal(changed, d.packs[1].changed)
      for _, cell in ipairs(d.packs[1].matrix) do
        assert.is_true(cell.examples == nil or #cell.examples == math.min(5, cell.events))
        for _, e in ipairs(cell.examples or {}) do
          local id = h.decode(e.event).id
          assert.equal('stdin:' .. id, e.at)
          assert.equal(id, e.number)
          assert.same({ a[id].decision, a[id].score, b[id].decision, b[id].score },
            { e.live.decision, e.live.score, e.candidate.decision, e.candidate.score })
        end
      end
      finish()
      assert.equal(a_text, h.read(out))                                    -- the run, as if nobody had been there
      assert.equal(behind(b_text, 1000), h.read(folder .. '/' .. out:gsub('/', '_')))
    end)
  end

  it('decides the same where it is the same: two packs, several decisions an event, features of decisions, a guard', function()
    local dir = h.folder {}
    local first = pack { suppress = true }
    local second = pack { name = 'second', files = {
      ['pack.lua'] = [[return { name = 'second', version = '1.0.0', stream = 'tx', time = { field = 'ts', unit = 'ms' },
        decisions = { review = 50, decline = 100 }, guard = { decision = 'decline', max = 3, within = '5m', action = 'review' } }]],
      ['features/past.lua'] = [[return tm.features { key = 'card', max_keys = 1000, past = tm.f.decisions { over = '10m' } }]],
      ['rules/past.lua'] = [[return { id = 'past', score = 40, when = function(tx, f) return f.past > 2 end, reason = '{f.past}' }]] } }
    local text = ([[local tm = require 'tidemill'
      local both = tm.pipeline 'double':flat_map(function(e, emit)
        emit { id = e.id, ts = e.ts, card = e.card, amount = e.amount }
        if e.id %% 3 == 0 then emit { id = e.id, ts = e.ts, card = e.card, amount = e.amount * 4 } end
      end)
      local more = tm.pipeline 'more':from(tm.source.file { path = '%s/*.ndjson', follow = true })
      return { tm.pipeline 'one':from(both):pack '%s':to(tm.sink.file(tm.setting 'out')),
        tm.pipeline 'two':from(both):pack '%s':to(tm.sink.file(tm.setting 'out' .. '.two')),
        more:pack('%s', { name = 'other', emit = 'alerts' }):to(tm.sink.file(tm.setting 'out' .. '.more')) }]])   -- four folders
    start(text:format(dir, first, second, first))
    local function rows_of(n) return n + math.floor(n / 3) end
    send(1500, rows_of(1500))
    local folder = h.path 'candidate'
    local got = shadow(run.script, '--out', folder)
    assert.equal(0, got.code, got.err)
    local lines = {}
    for i = 1, 400 do lines[i] = events[i].line end
    h.write(table.concat(lines), dir .. '/1.ndjson')
    send(3000, rows_of(3000))
    local counts
    r.wait_until('all decisions', function()
      counts = {}
      for _, p in ipairs(diff().packs) do
        counts[p.step] = p.events
        assert.same({ 0, 0 }, { p.changed, p.rescored }, p.step)
        for _, rule in ipairs(p.rules) do assert.equal(rule.live, rule.candidate) end
      end
      return counts['one/cards'] == 2000 and counts['two/second'] == 2000 and counts['more/other'] == 400
    end)
    for _, name in ipairs { out, out .. '.two', out .. '.more' } do
      local own
      r.wait_until('rows of ' .. name, function()
        own = h.read(folder .. '/' .. name:gsub('/', '_'))
        return h.read(name):sub(-#own) == own and #own > 1000
      end)
      assert.is_true(#own <= #h.read(name))
    end
    assert.equal(2000, #h.lines(h.read(folder .. '/' .. out:gsub('/', '_'))))
    run:signal 'TERM'
    assert.equal(0, run:wait(), run:err())
  end)

  it('has the state that the run has, suppression and all: its rows are those of a run switched at the same event', function()
    local live, own = pack { suppress = true }, pack { suppress = true, version = '1.1.0', large = 500, burst = 3 }
    local folder = h.path 'candidate'
    start(script_of(live))
    send(1500)
    assert.equal(0, shadow(own, '--out', folder).code)
    send(3000)
    compared(1500)
    finish()
    local rows = h.read(folder .. '/' .. out:gsub('/', '_'))
    start(script_of(live))
    send(1500)
    assert.equal(0, shadow(own).code)
    local got = rules 'promote'
    assert.equal(0, got.code, got.err)
    send(3000)
    finish()
    assert.equal(behind(h.read(out), 1500), rows)
    assert.truthy(rows:find('"suppressed":true', 1, true))
  end)

  it('is fed from files that grow, of CSV too, with windows, links and silent inputs', function()
    local dir, lines = h.folder {}, {}
    local live, own = pack { large = 300 }, pack { large = 200, version = '2.0.0' }
    local function text(dirname)
      return ([[local tm = require 'tidemill'
        local a = tm.pipeline 'a':from(tm.source.file { path = '%s/*.csv', follow = true })
          :schema { id = 'number', ts = 'time_ms', card = 'string', amount = 'decimal(2)' }
          :event_time { field = 'ts', unit = 'ms', idle_after = '300ms' }
        return {
          tm.pipeline 'judge':from(a):select { 'id', 'ts', 'card', 'amount' }:pack('%s'):to(tm.sink.file(tm.setting 'out')),
          a:key_by 'card':window('w', tm.window.tumbling '1m'):aggregate { n = tm.agg.count(), s = tm.agg.sum 'amount' }
            :to(tm.sink.file(tm.setting 'out' .. '.windows')) }]]):format(dir, dirname)
    end
    h.write('id,ts,card,amount\n', dir .. '/1.csv')
    start(text(live))
    local function append(from, to, name)
      local f = assert(io.open(dir .. '/' .. name, 'a'))
      for i = from, to do
        local e = h.decode(events[i].line)
        lines[i] = ('%d,%d,%s,%.2f\n'):format(e.id, e.ts, e.card, e.amount)
        f:write(lines[i])
      end
      f:close()
    end
    append(1, 500, '1.csv')
    send(0, 500)
    local folder = h.path 'candidate'
    local got = shadow(own, '--out', folder)
    assert.equal(0, got.code, got.err)
    append(501, 900, '1.csv')
    send(0, 900)
    h.write('id,ts,card,amount\n', dir .. '/2.csv')
    append(901, 1400, '2.csv')
    send(0, 1400)
    compared(900)
    -- what windows gave when inputs had been silent
    local windows = folder .. '/' .. (out .. '.windows'):gsub('/', '_')
    r.wait_until('windows of silent inputs', function()
      local rows = h.read(windows)
      return rows ~= '' and h.read(out .. '.windows'):sub(-#rows) == rows
    end)
    run:signal 'TERM'
    assert.equal(0, run:wait(), run:err())
    events = { unpack(events, 1, 1400) }
    local b = select(2, decided_by(own, events))
    local rows, want = h.rows(h.read(folder .. '/' .. out:gsub('/', '_'))), h.rows(behind(b, 500))
    assert.equal(900, #rows)
    for i, row in ipairs(rows) do
      assert.same({ want[i].event.id, want[i].decision, want[i].score }, { row.event.id, row.decision, row.score })
    end
  end)

  it('is a script in the place of all, and sees state by its name', function()
    local function counter(limit)
      return ([[local tm = require 'tidemill'
        return tm.pipeline 'p':key_by 'card':process('c', { max_keys = 100, state = { n = 0 }, on_event = function(e, s, ctx)
          s.n = s.n + 1
          if s.n %% %d == 0 then ctx.emit { card = e.card, n = s.n, id = e.id } end
        end }):to(tm.sink.file(tm.setting 'out'))]]):format(limit)
    end
    start(counter(1))
    send(1200)
    local folder = h.path 'candidate'
    assert.equal(0, shadow(h.write(counter(10), h.path 'c.lua'), '--out', folder).code)
    send(3000)
    local want = {}
    for _, row in ipairs(h.rows(behind(h.read(out), 1200))) do if row.n % 10 == 0 then want[#want + 1] = row end end
    r.wait_until('rows of the candidate', function() return #h.lines(h.read(folder .. '/' .. out:gsub('/', '_'))) >= #want end)
    assert.same(want, h.rows(h.read(folder .. '/' .. out:gsub('/', '_'))))
    local text = rules 'diff'
    assert.truthy(text.out:find('no decisions to compare', 1, true), text.out)
    finish()
  end)

  describe('that dies', function()
    local plain
    before_each(function()
      events = payments(1500)
      plain = select(2, decided_by(pack {}, events))
    end)

    --- The run goes on and writes what it would have; why the candidate ended.
    local function ended(want)
      local d
      r.wait_until('the end of the candidate', function()
        d = diff()
        return d.phase == 'ended'
      end, 40)
      assert.truthy(d.why:find(want), d.why)
      send(1500)
      r.wait_until('the end of its process', function()
        return h.sh('ps -o pid= --ppid %d | grep -v "^ *$" || true', run:worker()) == ''
      end)
      finish()
      assert.equal(plain, h.read(out))
      return d
    end

    it('of a rule that never ends', function()
      start(script_of(pack {}), '--deadline', '50ms')
      send(500)
      local got = shadow(pack { files = { ['rules/loop.lua'] = [[return { id = 'loop', score = 1,
        when = function(tx) local n = 0 while tx.amount >= 0 do n = n + 1 end return n < 0 end, reason = 'x' }]] } })
      assert.equal(0, got.code, got.err)
      local from = system.monotime()
      send(1400)
      assert.is_true(system.monotime() - from < 20)
      ended '%-%-deadline'
    end)

    it('by a signal', function()
      start(script_of(pack {}))
      send(500)
      local got = shadow(pack { large = 100 })
      assert.equal(0, got.code, got.err)
      send(900)
      compared(400)
      local status = h.decode(h.run({ 'status', '--json', '--control', socket }).out)
      assert.equal('running', status.candidate.phase)
      run:signal('KILL', diff().pid)
      local d = ended 'signal 9'
      assert.equal(400, d.packs[1].events)   -- what it had found is still shown
    end)

    it('of more memory than it may have', function()
      start(script_of(pack {}))
      send(500)
      local got = shadow(pack { files = { ['rules/eat.lua'] = [[local kept = {}
        return { id = 'eat', score = 1, when = function(tx)
          for i = 1, 100 do kept[#kept + 1] = tostring(tx.amount) .. ('x'):rep(1000) .. #kept end
          return false end, reason = 'x' }]] } }, '--memory', '32M')
      assert.equal(0, got.code, got.err)
      send(1400)
      ended 'memory'
    end)

    it('with the worker', function()
      start(script_of(pack {}))
      send(500)
      assert.equal(0, shadow(pack { large = 100 }).code)
      local pid = diff().pid
      run:signal('KILL', run:worker())
      r.wait_until('the end of the candidate', function() return r.state(pid) == nil end)
      send(700)
      assert.truthy(diff().why:find 'worker died')
      assert.equal(0, shadow(pack { large = 100 }).code)   -- and another one can begin
      send(900)
      compared(200)
      finish()
    end)
  end)

  it('that cannot be loaded is refused, with the place, and the run goes on', function()
    start(script_of(pack {}))
    send(500)
    local cases = {
      { pack { files = { ['rules/bad.lua'] = "return { id = 'x', score = , }" } }, 3, 'rules/bad.lua:1: ' },
      { pack { files = { ['rules/bad.lua'] =
        "return { id = 'x', score = 1, when = function(tx, f) return f.n_2m > 1 end, reason = 'x' }" } }, 3, 'n_2m' },
      { pack { name = 'card' }, 3, "no pack of the run is called 'card' (did you mean 'cards'?)" },
      { h.write([[local tm = require 'tidemill'
        return tm.pipeline 'p':from(tm.source.file '/etc/hostname'):to(tm.sink.file(tm.setting 'out'))]], h.path 'other.lua'), 3,
        'which the run does not' },
    }
    for i, c in ipairs(cases) do
      local got = shadow(c[1])
      assert.equal(c[2], got.code, got.err)
      assert.truthy(got.err:find(c[3], 1, true), i .. ': ' .. got.err)
    end
    assert.equal(3, rules('shadow', '/no/such/pack').code)
    assert.equal(2, rules('shadow').code)
    assert.equal(2, rules('shadw').code)
    assert.equal(1, rules('discard').code)
    assert.equal(1, rules('promote').code)
    assert.equal(0, shadow(pack { large = 1 }).code)
    local got = shadow(pack { large = 2 })
    assert.equal(1, got.code)
    assert.truthy(got.err:find('a candidate is there already', 1, true), got.err)
    assert.equal(0, rules('discard').code)
    assert.truthy(diff().why:find 'discarded')
    send(3000)
    finish()
    assert.equal(select(2, decided_by(pack {}, events)), h.read(out))
  end)

  it('is promoted: the run decides as it did, also behind the death of a worker', function()
    local live, own = pack {}, pack { version = '1.1.0', large = 500, burst = 3 }
    start(script_of(live), '--data', h.path 'data')
    send(800)
    assert.equal(0, shadow(own).code)
    send(1600)
    local got = rules 'promote'
    assert.equal(0, got.code, got.err)
    assert.truthy(diff().why:find 'loaded anew')
    send(2200)
    run:signal('KILL', run:worker())
    send(3000)
    finish()
    local a, b = select(2, decided_by(live, events)), select(2, decided_by(own, events))
    local lines = h.lines(a)
    assert.equal(table.concat(lines, '\n', 1, 1600) .. '\n' .. behind(b, 1600), h.read(out))
  end)

  it('is not promoted when it does not load any more, and the run goes on as it was', function()
    local live, own = pack {}, pack { version = '1.1.0', large = 500 }
    start(script_of(live))
    send(800)
    assert.equal(0, shadow(own).code)
    h.write('return { id = ', own .. '/rules/all.lua')
    local got = rules 'promote'
    assert.equal(3, got.code, got.err)
    assert.truthy(got.err:find('rules/all.lua:1', 1, true), got.err)
    assert.equal('running', diff().phase)
    run:signal 'HUP'   -- what was not promoted is not loaded later either
    r.wait_until('a reload', function() return run:err():find('were loaded anew', 1, true) end)
    send(3000)
    finish()
    assert.equal(select(2, decided_by(live, events)), h.read(out))
  end)

  it('begins with nothing where its features are others, and says so', function()
    local own = pack { version = '1.1.0', files = { ['features/card.lua'] = [[return tm.features { key = 'card', max_keys = 1000,
      n_1m = tm.f.count { over = '1m' }, n_2m = tm.f.count { over = '2m' }, spent_10m = tm.f.sum('amount', { over = '10m' }) }]],
      ['rules/two.lua'] = "return { id = 'two', score = 5, when = function(tx, f) return f.n_2m > 2 end, reason = 'two' }" } }
    start(script_of(pack {}))
    send(1000)
    local got = shadow(own)
    assert.equal(0, got.code, got.err)
    send(3000)
    local d = compared(2000)
    assert.equal('judge/cards/features/card', d.warming[1].state)
    assert.truthy(rules 'diff'.out:find("warming: 'judge/cards/features/card' began with nothing", 1, true))
    -- as a run of its own over what came since
    local since = {}
    for i = 1001, 3000 do since[i - 1000] = events[i] end
    local two = 0
    for _, b in pairs((decided_by(own, since))) do two = two + (b.rules.two and 1 or 0) end
    for _, rule in ipairs(d.packs[1].rules) do
      if rule.rule == 'two' then assert.same({ 0, two }, { rule.live, rule.candidate }) end
    end
    assert.is_true(two > 100)
    local promoted = rules 'promote'   -- the run would lose what it keeps: that is refused
    assert.equal(6, promoted.code, promoted.err)
    finish()
  end)

  it('that was promoted goes back with reload --back', function()
    local live, own = pack {}, pack { version = '1.1.0', large = 500, burst = 3 }
    start(script_of(live))
    send(800)
    assert.equal(0, shadow(own).code)
    assert.equal(0, rules('promote').code)
    send(1600)
    local got = h.run { 'reload', '--back', '--control', socket }
    assert.equal(0, got.code, got.err)
    send(3000)
    finish()
    local a, b = h.lines(select(2, decided_by(live, events))), h.lines(select(2, decided_by(own, events)))
    assert.equal(table.concat(a, '\n', 1, 800) .. '\n' .. table.concat(b, '\n', 801, 1600) .. '\n' .. table.concat(a, '\n', 1601) .. '\n',
      h.read(out))
  end)

  it('that stands still is not waited for: what it misses is counted, and it goes on behind it', function()
    local live, own = pack {}, pack { large = 500 }
    local plain, pad = select(2, decided_by(live, events)), (' '):rep(40000)   -- 3,000 of these are more than the ring holds
    for i, e in ipairs(events) do e.line = e.line:gsub('"card"', pad .. '"card"') events[i] = e end
    start(([[local tm = require 'tidemill'
      return tm.pipeline 'judge':select { 'id', 'ts', 'card', 'amount' }:pack('%s'):to(tm.sink.file(tm.setting 'out'))]]):format(live))
    send(100)
    assert.equal(0, shadow(own).code)
    send(200)
    compared(100)
    local pid = diff().pid
    run:signal('STOP', pid)
    send(2900)
    local d = diff()
    assert.is_true(d.missed_events > 500 and d.waiting_bytes > 3e7, h.literal { d.missed_events, d.waiting_bytes })
    run:signal('CONT', pid)
    r.wait_until('the candidate to take what waits', function()
      d = diff()
      return d.entries_taken == d.entries_fed
    end)
    local taken = d.events_fed
    assert.equal(2800, taken + d.missed_events)
    send(3000)
    d = compared(taken + 100)
    assert.truthy(rules 'diff'.out:find('events in %d+ batches were left out'))
    finish()
    assert.equal(plain, h.read(out))
  end)

  it('and stats of the rules of the run are shown', function()
    start(script_of(pack { files = { ['rules/never.lua'] = [[return { id = 'never', score = 1,
      when = function(tx) return tx.amount < -1 end, reason = 'x' }]] } }))
    send(3000)
    local by_name = {}
    local got
    r.wait_until('the control socket', function()
      got = rules('stats', '--json')
      return got.code == 0
    end)
    for _, rule in ipairs(h.decode(got.out).rules) do by_name[rule.rule] = rule end
    local n = { large = 0, burst = 0, spent = 0 }
    for _, d in pairs((decided_by(pack {}, events))) do for id in pairs(d.rules) do n[id] = n[id] + 1 end end
    for id, count in pairs(n) do assert.equal(count, by_name['cards/' .. id].matches) end
    assert.truthy(by_name['cards/never'].note:find 'it never matched')
    local text = rules 'stats'
    assert.truthy(text.out:find('cards/never +enforce +0'), text.out)
    finish()
  end)
end)
