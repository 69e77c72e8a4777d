--[[ Runs that are kept in a data folder (--data) and killed, host and worker, at random moments: started again with the same
command until they end by themselves, they must have written what an undisturbed run writes, byte for byte. ]]

local h = require 'spec.helper'
local kill = require 'spec.kill'
local r = require 'spec.running'
local system = require 'system'

local KILLS = tonumber(os.getenv 'TM_KILLS') or 70   -- in each case

local script = [[
local tm = require 'tidemill'
local dir = tm.setting 'dir'
local function to(name, o)
  o = o or {}
  o.path = dir .. '/' .. name
  return tm.sink.file(o)
end
local tx = tm.pipeline 'tx':event_time { field = 'ts', unit = 'ms', out_of_order = '5s' }
local win = tx:key_by 'card':window('w', tm.window.tumbling '10s', { lateness = '1s' })
  :aggregate { n = tm.agg.count(), total = tm.agg.sum 'amount', top = tm.agg.max 'amount' }
  :late_to(to 'late.ndjson'):to(to 'windows.ndjson')
local hop = tx:key_by 'shop':window('h', tm.window.hopping('20s', '5s')):aggregate { n = tm.agg.count(), d = tm.agg.distinct 'card' }
  :emit 'retract':select { 'op', 'shop', 'n', 'd', 'window_end' }:to(to 'hops/{shop}.csv')
local sessions = tx:key_by 'card':window('s', tm.window.session '2s'):aggregate { n = tm.agg.count() }
  :to(to('sessions.ndjson.gz', { roll = { size = '40K' } }))
local over = tx:key_by 'card':over('o', { n_1m = tm.agg.count { over = '30s' }, spent = tm.agg.sum('amount', { over = '30s' }) })
  :filter(function(e) return e.n_1m > 6 end):select { 'id', 'card', 'n_1m', 'spent' }:to(to('over.ndjson', { roll = { size = '30K' } }))
local sliding = tx:key_by 'card':window('sl', tm.window.sliding '20s'):aggregate { n = tm.agg.count(), sum = tm.agg.sum 'amount' }
  :filter(function(e) return e.n > 4 end):to(to 'sliding.ndjson')
local idle = tx:key_by 'card':process('idle', { ttl = '5m',
  state = { n = 0, last = 'integer', seen = tm.state.set { max = 50 }, log = 'any' },
  on_event = function(e, s, ctx)
    s.n = s.n + 1
    s.last = ctx.time
    s.seen:add(e.shop)
    s.log = { e.id, s.log and s.log[1] or 0 }
    ctx.timer('idle', ctx.time + 3000)
    if s.n % 5 == 0 then ctx.emit { card = e.card, n = s.n, shops = s.seen:size() } end
  end,
  on_timer = function(name, s, ctx) ctx.emit { card = ctx.key, idle = ctx.time, n = s.n, log = s.log } end }):to(to 'idle.ndjson')
local once = tm.pipeline 'once':dedup('d', { on = 'card', max_keys = 300 }):to(to 'once.ndjson')
local totals = tm.pipeline 'totals':event_time { field = 'ts', unit = 'ms', out_of_order = '5s' }:key_by 'shop'
  :running('t', { n = tm.agg.count(), q = tm.agg.quantile('amount', 0.9) }, { emit = 'final', unbounded = true }):to(to 'totals.ndjson')
local big = tm.pipeline 'big':event_time { field = 'ts', unit = 'ms', out_of_order = '5s' }:filter(function(e) return e.amount > 60 end)
local small = tm.pipeline 'small':event_time { field = 'ts', unit = 'ms', out_of_order = '5s' }:filter(function(e) return e.amount < 20 end)
local pairs_ = big:join('pairs', small, { on = 'card', within = { before = '1s', after = '1s' }, kind = 'full', as = 'other' })
  :map(function(e) return { id = e.id, card = e.card, other = e.other and e.other.id } end):to(to 'pairs.ndjson')
local bad = tm.pipeline 'bad':filter(function(e) if e.id % 97 == 0 then error('no ' .. e.id) end return e.id % 50 == 0 end)
  :on_error(to 'dead.ndjson'):to(to 'some.ndjson')
local all = tm.pipeline 'all':filter(function(e) return e.id % 3 == 0 end):select { 'id', 'card', 'amount' }
local rows = all:to(tm.sink.sqlite { path = dir .. '/rows.db', table = 'rows' })
local last = all:to(tm.sink.sqlite { path = dir .. '/last.db', table = 'last', key = 'card' })
local log = all:to(tm.sink.log { name = 'all', segment = '200K' })
local burst = tm.pattern 'burst':start('small', function(e) return e.amount < 20 end):times(2)
  :followed_by('large', function(e, m) return e.amount > 3 * m.small[1].amount end):within '3s':after_match 'skip_past_last'
local bursts = tx:key_by 'card':match(burst, { timeouts = true })
  :map(function(m) return { card = m.key, at = m.time, small = #m.small, large = #m.large, out = m.timed_out } end):to(to 'bursts.ndjson')
local calm = tm.pattern 'calm':start('large', function(e) return e.amount > 60 end)
  :not_followed_by('small', function(e) return e.amount < 20 end)
  :followed_by('next', function(e) return e.amount > 40 end):within '4s':after_match 'skip_past_last'
local corrected = tx:key_by 'card':match(calm, { emit = 'retract', lateness = '15s' })
  :map(function(m) return { op = m.op, card = m.key, at = m.time, from = m.large[1].id, to = m.next[1].id } end):to(to 'corrected.ndjson')
return { win, hop, sessions, over, sliding, idle, once, totals, pairs_, bursts, corrected, bad, rows, last, log }
]]

local seed = tonumber(os.getenv 'TM_SEED') or 20

--- Events of 60 cards in 5 shops, up to 4 s out of order, a few late.
local function events(n)
  math.randomseed(seed)
  local list = {}
  for i = 1, n do
    local late = math.random() < 0.3 and math.random(0, 4999) or math.random() < 0.01 and math.random(6000, 20000) or 0
    list[i] = ('{"ts":%d,"id":%d,"card":"c%02d","shop":"s%d","amount":%.2f}\n'):format(1700000000000 + i * 10 - late, i,
      math.floor(60 * math.random() ^ 2), math.random(5), math.random() * 100)
  end
  return table.concat(list)
end

--- All that lies in a folder and in the log, as one text; compressed files as what they say, tables as their rows.
local function content(dir, data)
  return h.sh([[cd %s && for f in $(find . -type f | LC_ALL=C sort); do echo "== $f"
    case $f in
    *.gz) gzip -dc $f;;
    *.db) sqlite3 $f "PRAGMA integrity_check; SELECT * FROM $(basename $f .db) ORDER BY id";;
    *) cat $f;;
    esac; done; echo '== log'; %s]], h.quote(dir), h.command { 'log', 'cat', 'all', '--data', data })
end

--- How much some of the files hold that get more all the time.
local function written(dir)
  return r.size(dir .. '/idle.ndjson') + r.size(dir .. '/sliding.ndjson') + r.size(dir .. '/pairs.ndjson')
end

--- Starts the command again and again and kills it, until it was killed so often; then lets it end. A part of the kills comes while it
--- starts and takes up what was kept, the others when it has written more than ever before. kill(p): does it.
--- Returns how many, its exit code and words, and how many came after it had got further.
local function run_killed(args, kills, dir, kill_it)
  local done, further, most = 0, 0, 0
  while done < kills do
    local p = r.start(args)
    if math.random() < 0.35 then
      local last = system.monotime() + math.random() * 0.08
      while system.monotime() < last and not p:code() do system.sleep(0.001) end
    else
      r.wait_until('progress', function() return p:code() or written(dir) > most end, 60)
      most = math.max(most, written(dir))
      local last = system.monotime() + math.random() * 0.03
      while system.monotime() < last and not p:code() do system.sleep(0.001) end
      if not p:code() then further = further + 1 end
    end
    if p:code() then return done, p:code(), p:err(), further end
    kill_it(p)
    p:wait()
    done = done + 1
  end
  local p = r.start(args)
  return done, p:wait(120), p:err(), further
end

local function kill_all(p)
  local worker = p:worker()
  p:signal 'KILL'
  if worker then p:signal('KILL', worker) end
end

describe('a run that is kept and killed at random moments', function()
  after_each(r.stop_all)

  local function out_dir()
    local dir = h.path 'out'
    assert(os.execute('mkdir -p ' .. h.quote(dir)) == 0)
    return dir
  end

  local path, input, want

  setup(function()
    path, input = h.write(script, h.path 's.lua'), h.write(events(60000), h.path 'in.ndjson')
    local dir = out_dir()
    local data = h.path 'data'
    local plain = h.run { 'run', '--quiet', path, '--from', input, '--set', 'dir=' .. dir, '--logs', data }
    assert.equal(0, plain.code, plain.err)
    want = content(dir, data)
    assert.is_true(#want > 1e6)
  end)

  --- Runs until it was killed so often in all, each run in a place of its own.
  local function often(kills, kill_it)
    local left, further = kills, 0
    for _ = 1, 20 do
      local dir, data = out_dir(), h.path 'data'
      local n, code, err, more = run_killed({ 'run', '--quiet', path, '--from', input, '--set', 'dir=' .. dir, '--data', data,
        '--epoch', '5ms' }, left, dir, kill_it)
      assert.equal(0, code, err)
      h.compare(want, content(dir, data), 'after ' .. n .. ' kills')
      h.sh('rm -r %s %s', dir, data)
      left, further = left - n, further + more
      if left <= 0 then break end
    end
    assert.is_true(left <= 0, 'runs ended before they could be killed')
    assert.is_true(further >= kills / 3, 'only ' .. further .. ' kills came behind the start')
  end

  it('writes each row once, whatever its steps keep and wherever its rows go', function()
    math.randomseed(seed + 1)
    often(KILLS, kill_all)
  end)

  it('does so when control alone is killed, and the worker goes with it', function()
    math.randomseed(seed + 3)
    often(KILLS, function(p) p:signal 'KILL' end)
  end)

  it('does so when workers alone are killed', function()
    math.randomseed(seed + 2)
    local left = KILLS
    for _ = 1, 20 do
      local dir, data = out_dir(), h.path 'data'
      local p = r.start { 'run', '--json', path, '--from', input, '--set', 'dir=' .. dir, '--data', data,
        '--epoch', '5ms' }
      local kills, code = kill.often(p, function() return r.size(dir .. '/once.ndjson') + r.size(dir .. '/idle.ndjson') end, left)
      assert.equal(0, code, p:err())
      assert.equal(0, p:summary().counters.quarantined)
      h.compare(want, content(dir, data), 'after ' .. kills .. ' kills')
      assert.is_true(p:summary().counters.worker_restarts >= kills - 1)
      assert.equal(60000, p:summary().counters.events_in)
      left = left - kills
      if left <= 0 then break end
    end
    assert.is_true(left <= 0, 'runs ended before they could be killed')
  end)
end)
