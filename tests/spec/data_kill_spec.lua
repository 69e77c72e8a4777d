--[[ Runs that are kept in a data folder (--data) and killed, host and worker, at random moments: started again with the same
command until they end by themselves, they must have written what an undisturbed run writes, byte for byte. ]]

local h = require 'spec.helper'
local kill = require 'spec.kill'
local r = require 'spec.running'
local system = require 'system'

local KILLS = tonumber(os.getenv 'TM_KILLS') or 40   -- in each case

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
return { win, hop, sessions, over, sliding, idle, once, totals, pairs_, bad }
]]

local seed = 20

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

--- All that lies in a folder, as one text; compressed files as what they say.
local function content(dir)
  return h.shell(([[cd %s && for f in $(find . -type f | LC_ALL=C sort); do echo "== $f"
    case $f in *.gz) gzip -dc $f;; *) cat $f;; esac; done]]):format(h.quote(dir))).out
end

local function kill_all(p)
  local worker = p:worker()
  p:signal 'KILL'
  if worker then p:signal('KILL', worker) end
  p:wait()
end

--- Starts the command again and again, killing it after some ms, until it was killed so often; then lets it end.
local function run_killed(args, kills)
  local done = 0
  while done < kills do
    local p = r.start(args)
    local last = system.monotime() + 0.02 + math.random() * 0.12
    while system.monotime() < last and not p:code() do system.sleep(0.001) end
    if p:code() then return done, p:code(), p:err() end
    kill_all(p)
    done = done + 1
  end
  local p = r.start(args)
  return done, p:wait(120), p:err()
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
    local plain = h.run { 'run', '--quiet', path, '--from', input, '--set', 'dir=' .. dir }
    assert.equal(0, plain.code, plain.err)
    want = content(dir)
    assert.is_true(#want > 1e6)
  end)

  it('writes each row once, whatever its steps keep and wherever its rows go', function()
    math.randomseed(seed + 1)
    local left = KILLS
    for _ = 1, 20 do
      local dir, data = out_dir(), h.path 'data'
      local kills, code, err = run_killed({ 'run', '--quiet', path, '--from', input, '--set', 'dir=' .. dir, '--data', data,
        '--epoch', '5ms' }, left)
      assert.equal(0, code, err)
      h.compare(want, content(dir), 'after ' .. kills .. ' kills')
      left = left - kills
      if left <= 0 then break end
    end
    assert.is_true(left <= 0, 'runs ended before they could be killed')
  end)

  it('does so when workers alone are killed', function()
    math.randomseed(seed + 2)
    local left = KILLS
    for _ = 1, 20 do
      local dir = out_dir()
      local p = r.start { 'run', '--json', path, '--from', input, '--set', 'dir=' .. dir, '--data', h.path 'data',
        '--epoch', '5ms' }
      local kills, code = kill.often(p, function() return r.size(dir .. '/once.ndjson') + r.size(dir .. '/idle.ndjson') end, left)
      assert.equal(0, code, p:err())
      assert.equal(0, p:summary().counters.quarantined)
      h.compare(want, content(dir), 'after ' .. kills .. ' kills')
      assert.is_true(p:summary().counters.worker_restarts >= kills - 1)
      assert.equal(60000, p:summary().counters.events_in)
      left = left - kills
      if left <= 0 then break end
    end
    assert.is_true(left <= 0, 'runs ended before they could be killed')
  end)
end)
