--[[
crash_cases.lua - random pipelines and inputs for crash_spec.lua, with every kind of step that remembers something, and what runs them: once
undisturbed, and with t:crash() in between. It is loaded by specs that `tidemill test` runs.

  case   { name, build(tm, r) -> streams, events(r) -> actions, watermark }
  r      a source of random numbers (random.lua)
  action { method of t, its arguments … }
]]

local M = {}

local random = require 'spec.random'

-- Inputs ---------------------------------------------------------------------------

local VALUES = { '1', '0.1', '-3', '1e300', '-1e300', '9007199254740993', '"7"', 'null', '2.5', '12', '"b"', 'true' }

--- Lines of events with time, key, value and side; gap, disorder in ms.
local function line(r, at, i, odd)
  local v = odd and r.chance(0.15) and r.pick(VALUES) or tostring(r(100) - 50)
  local y = odd and r.chance(0.1) and '"y"' or r(9)
  local k = r.chance(0.02) and '' or ('"k":"k%d",'):format(r(4))
  return ('{"ts":%d,%s"m":%d,"v":%s,"y":%s,"x":"%s","i":%d,"side":"%s"%s}'):format(at, k, r(3), v, y, r.pick { 'a', 'b', 'c', '' }, i,
    r.pick { 'l', 'r', 'b' }, r.chance(0.03) and ',"boom":true' or '')
end

--- Actions that send such events, some of them several at a time.
---@param o table n, gap, disorder, odd, sources: names, at_once: events at most, advance: the clock goes on, too
local function stream(o)
  return function(r)
    local list, t = {}, r.pick { 1000, -500, 1700000000000 }
    local n, i = o.n or 24 + r(20), 0
    while i < n do
      local rows = {}
      for _ = 1, r.chance(0.7) and 1 or r(o.at_once or 6) do
        i = i + 1
        local step = r(10)
        if step > 3 then t = t + r(o.gap or 20) elseif step == 1 and r.chance(0.2) then t = t + 40 * r(30) end
        local late = r.chance(0.3) and r(o.disorder or 30) or 0
        rows[#rows + 1] = line(r, t - late, i, o.odd)
      end
      local text = table.concat(rows, '\n')
      if o.sources then list[#list + 1] = { 'send', r.pick(o.sources), text } else list[#list + 1] = { 'send', text } end
      if o.advance and r.chance(0.5) then list[#list + 1] = { 'advance', r.pick { '1ms', '7ms', '30ms', '100ms' } } end
    end
    return list
  end
end

-- Pipelines ------------------------------------------------------------------------

local function timed(tm, r, name, from)
  local p = tm.pipeline(name or 'p')
  if from then p = p:from(from) end
  return p:event_time { field = 'ts', out_of_order = r.pick { '0ms', '5ms', '25ms' } }
end

local function boom(e) if e.boom then error 'boom' end return true end

--- Aggregates, each that `of` allows, some of them.
local function aggregates(tm, r, simple)
  local list = { n = tm.agg.count(), total = tm.agg.sum 'v', least = tm.agg.min 'v', ys = tm.agg.max 'y', xs = tm.agg.distinct 'x',
    last = tm.agg.last 'i' }
  if simple then return list end
  local more = {
    avg = tm.agg.avg 'v', var = tm.agg.var 'v', dev = tm.agg.stddev 'v', most = tm.agg.max 'x', first = tm.agg.first 'v',
    who = tm.agg.argmin('v', 'i'), whom = tm.agg.argmax('v', 'x'), all = tm.agg.collect('i', { max = 5 }),
    about = tm.agg.approx_distinct 'i',
    half = tm.agg.quantile('v', 0.5), best = tm.agg.top(3, 'v'), heavy = tm.agg.heavy_hitters('x', 2),
    own = tm.agg.custom { init = function() return { n = 0 } end, add = function(acc, e)
      acc.n, acc.last = acc.n + 1, e.i
      return acc
    end, merge = function(a, b) return { n = a.n + b.n, last = b.last } end },
  }
  local names = {}
  for name in pairs(more) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do if r.chance(0.5) then list[name] = more[name] end end
  return list
end

--- An emit of a window, of those that its kind has.
local function emit(r, s, kind, early)
  local modes = { { mode = 'final' }, { mode = 'updates' }, { mode = 'final', early = early or '15ms' },
    { mode = 'final', early = { count = 2 } } }
  if kind ~= 'count' and kind ~= 'global' then
    modes[#modes + 1] = { mode = 'closed' }
    modes[#modes + 1] = { mode = 'retract' }
  end
  if kind ~= 'session' then
    modes[#modes + 1] = { mode = 'final', accumulate = false }
    modes[#modes + 1] = { mode = 'final', early = early or '9ms', accumulate = false }
  end
  return s:emit(r.pick(modes))
end

local function windowed(make, kind, early)
  return function(tm, r)
    local s = timed(tm, r):filter(boom)
    if r.chance(0.8) then s = s:key_by(r.pick { 'k', 'm', { 'k', 'm' } }) end
    local w = make(tm, r)
    local bounded = kind ~= 'count' and kind ~= 'global'
    s = s:window('w', w, bounded and { lateness = r.pick { '0ms', '10ms', '60ms' } } or nil)
    local how = r(4)
    if how == 1 then
      s = s:reduce('last', function(a, b) return { v = a.i + b.i, i = b.i } end)
    elseif how == 2 then
      s = s:apply(function(_, _, rows, give)
        local all = {}
        for i = 1, #rows do all[i] = rows[i].i end
        give { n = #rows, all = all }
      end)
    else
      s = s:aggregate(aggregates(tm, r, how == 3 or kind == 'session'))
    end
    return { emit(r, s, kind, early):to(tm.sink.file 'w') }
  end
end

local function sides(tm, r)
  local s = timed(tm, r):filter(boom)
  return s:filter(function(e) return e.side ~= 'r' end), s:filter(function(e) return e.side ~= 'l' end)
end

local function join_options(r)
  local o = { on = r.pick { 'k', { k = 'k' }, { 'k', 'm' } }, kind = r.pick { 'inner', 'left', 'right', 'full' }, as = 'other' }
  if r.chance(0.4) then o.where = function(a, b) return (a.i + b.i) % 3 ~= 0 end end
  return o
end

local function process_options(tm, r, wall)
  local clock, often = r.pick { 10, 40 }, r.pick { 3, 11 }
  local o = {
    state = {
      n = 0, whole = 'integer', on = false, text = 'string', any = 'any', start = 'x', list = tm.state.list { of = 'number', max = 4 },
      map = tm.state.map { key = 'string', of = 'any', max = 3 }, set = tm.state.set { of = 'string' },
      aged = tm.state.list { of = 'integer', ttl = '40ms' }, agedm = tm.state.map { key = 'string', of = 'number', ttl = '25ms' },
      ageds = tm.state.set { of = 'number', ttl = '60ms' },
    },
    max_keys = r.pick { 2, 3, 100 },
    on_event = function(e, s, ctx)
      s.n, s.whole, s.on, s.text = s.n + 1, e.i, not s.on, e.x
      s.any = { last = s.any and s.any.i, i = e.i }
      s.list:push(e.i)
      s.map:set(e.x, { e.i })
      s.set:add(e.x)
      s.aged:push(e.i)
      s.agedm:set(e.x, e.i)
      s.ageds:add(e.m)
      ctx.timer('t' .. e.m, ctx.time + clock * e.m)
      if wall then ctx.wall_timer('w', e.m == 1 and '5ms' or '40ms') end
      if e.i % 7 == 0 then ctx.cancel 't1' end
      if e.i % often == 0 then ctx.clear() end
      if e.boom then error 'boom' end
      ctx.emit { i = e.i, n = s.n, list = s.list:size(), map = s.map:size(), set = s.set:size(), aged = s.aged:size(),
        agedm = s.agedm:size(), ageds = s.ageds:size(), w = ctx.watermark, new = ctx.new, text = s.text, before = s.any.last }
    end,
    on_timer = function(name, s, ctx)
      s.n = s.n + 100
      if s.n % 3 == 0 and name == 't1' then ctx.timer('t2', ctx.time + 5) end
      ctx.emit { timer = name, at = ctx.time, n = s.n, aged = s.aged:size(), start = s.start }
    end,
  }
  if r.chance(0.6) then
    o.ttl = r.pick { '30ms', '100ms' }
    if r.chance(0.6) then o.on_expire = function(s, ctx) ctx.emit { gone = true, n = s.n, at = ctx.time } end end
  end
  return o
end

local function keyed(tm, r) return timed(tm, r):filter(boom):key_by(r.pick { 'k', { 'k', 'm' } }) end

local CASES = {
  { 'tumbling', windowed(function(tm, r) return tm.window.tumbling(r.pick { '10ms', '50ms' }, { offset = r.pick { '0ms', '3ms' } }) end) },
  { 'hopping', windowed(function(tm, r) return tm.window.hopping(r.pick { '20ms', '30ms' }, r.pick { '10ms', '15ms', '7ms' }) end) },
  { 'panes', windowed(function(tm, r) return tm.window.hopping(r.pick { '60ms', '100ms', '160ms' }, '10ms') end), stream { odd = true } },
  { 'sessions', windowed(function(tm, r)
    return tm.window.session(r.chance(0.6) and r.pick { '3ms', '8ms', '25ms' } or function(e) return 1 + 5 * e.m end)
  end, 'session') },
  { 'count windows', windowed(function(tm, r) return tm.window.count(r.pick { 3, 5 }, { slide = r.pick { 1, 2, 3, 7 } }) end, 'count') },
  { 'global windows', windowed(function(tm) return tm.window.global() end, 'global'), stream { odd = true } },
  { 'days of a zone', windowed(function(tm, r)
    return tm.window.tumbling(r.pick { '1h', '1d' }, { zone = r.pick { 'Europe/Berlin', 'America/New_York' } })
  end, nil, '20m'), stream { gap = 3000000, disorder = 1000000 } },
  { 'sliding', function(tm, r)
    local few = { n = tm.agg.count(), total = tm.agg.sum 'v', avg = tm.agg.avg 'v' }
    return { keyed(tm, r):window('w', tm.window.sliding(r.pick { '20ms', '70ms' })):aggregate(r.chance(0.5) and few or {
      n = tm.agg.count(), least = tm.agg.min 'v', xs = tm.agg.distinct 'x', half = tm.agg.quantile('v', 0.5), last = tm.agg.last 'i' })
      :to(tm.sink.file 'w') }
  end, stream { odd = true } },
  { 'features', function(tm, r)
    local function some(e) return e.i % 3 > 0 end
    local function at(tm_f, options)
      options.over = r.pick { '5ms', '30ms', '200ms' }
      if r.chance(0.3) then options.where = some end
      return tm_f(options)
    end
    local function of(name) return function(options) return tm.f[name](name == 'distinct' and 'x' or 'y', options) end end
    return { tm.pipeline 'p':event_time { field = 'ts', out_of_order = r.pick { '0ms', '20ms' } }
      :features('f', tm.features { key = r.chance(0.5) and 'k' or { 'k', 'm' }, ttl = '300ms', max = r.pick { 5, 1000 },
        n = at(tm.f.count, {}), total = at(of 'sum', {}), spread = at(of 'stddev', { current = false }), most = at(of 'max', {}),
        different = at(of 'distinct', {}), last = tm.f.last('x', { over = '50ms', current = false }),
        seen = tm.f.has('x', { over = '90ms' }),
        coarse = tm.f.avg('y', { over = '200ms', step = '20ms' }), first = tm.f.first_seen(), mean = tm.f.ewma('y', { half_life = '40ms' }),
        middle = tm.f.quantile('y', 0.5, { over = '30ms' }) })
      :map(function(e) if e.boom then error 'as was asked for' end return e end):to(tm.sink.file 'f') }
  end, stream { odd = true } },
  { 'over', function(tm, r)
    return { keyed(tm, r):over('o', { n = tm.agg.count { over = '30ms' }, total = tm.agg.sum('v', { over = '20ms' }),
      most = tm.agg.max('v', { over = '60ms' }), xs = tm.agg.distinct('x', { over = '30ms' }) }, { max = r.pick { 5, 100 } })
      :to(tm.sink.file 'o') }
  end, stream { odd = true } },
  { 'running', function(tm, r)
    local o = r.pick { { unbounded = true }, { max_keys = 2 }, { ttl = '30ms' }, { unbounded = true, emit = 'final' } }
    return { keyed(tm, r):running('r', aggregates(tm, r), o):to(tm.sink.file 'r') }
  end, stream { odd = true } },
  { 'process', function(tm, r) return { keyed(tm, r):process('p', process_options(tm, r)):to(tm.sink.file 'p') } end },
  { 'wall timers', function(tm, r)
    return { keyed(tm, r):process('p', process_options(tm, r, true)):to(tm.sink.file 'p') }
  end, stream { advance = true } },
  { 'small steps', function(tm, r)
    local s = keyed(tm, r)
    local which = r(8)
    if which == 1 then
      s = s:dedup('s', r.pick { { on = 'x', unbounded = true }, { on = 'x', within = '30ms' }, { on = 'x', ttl = '40ms' } })
    elseif which == 2 then s = s:dedup('s', { on = 'm', keep = 'last', unbounded = true })
    elseif which <= 4 then s = s:dedup('s', { on = r.pick { 'm', 'x', { 'x', 'm' } }, keep = 'last', within = r.pick { '10ms', '40ms' } })
    elseif which == 5 then s = s:top('s', 3, 'i', r.pick { { unbounded = true }, { ttl = '50ms' }, { unbounded = true, emit = 'final' } })
    elseif which == 6 then s = s:suppress('s', { within = '25ms', max_keys = 3 })
    elseif which == 7 then s = s:throttle('s', { rate = { 2, per = '30ms' }, max_keys = 3 })
    else s = s:sample(r.pick { { every = 3 }, { rate = 0.5 }, { rate = 0.5, on = 'x' } }) end
    if r.chance(0.4) then s = s:window('w', tm.window.tumbling '30ms'):aggregate { n = tm.agg.count(), l = tm.agg.last 'i' } end
    return { s:to(tm.sink.file 's') }
  end },
  { 'join', function(tm, r)
    local a, b = sides(tm, r)
    local o = join_options(r)
    if r.chance(0.85) then
      o.within = { before = r.pick { '0ms', '10ms', '-3ms' }, after = r.pick { '20ms', '5ms' } }
    else
      o.unbounded = true
    end
    if r.chance(0.3) then o.max = 2 end
    local s = a:join('j', b, o)
    if r.chance(0.4) then s = s:window('w', tm.window.tumbling '30ms'):aggregate { n = tm.agg.count(), l = tm.agg.last 'i' } end
    return { s:to(tm.sink.file 'j') }
  end },
  { 'window_join', function(tm, r)
    local a, b = sides(tm, r)
    local w = r.pick { tm.window.tumbling '30ms', tm.window.hopping('40ms', '20ms'), tm.window.session '8ms' }
    return { a:window_join('j', b, w, join_options(r)):to(tm.sink.file 'j') }
  end },
  { 'join of two pipelines', function(tm, r)
    local a, b = timed(tm, r, 'a', tm.source.file 'a.ndjson'), timed(tm, r, 'b', tm.source.file 'b.ndjson')
    local o = join_options(r)
    local s
    if r.chance(0.5) then
      o.within = { before = '5ms', after = r.pick { '20ms', '5ms' } }
      s = a:join('j', b, o)
    else
      s = a:window_join('j', b, tm.window.tumbling '30ms', o)
    end
    if r.chance(0.4) then s = s:running('n', { n = tm.agg.count() }, { unbounded = true }) end
    return { s:to(tm.sink.file 'j') }
  end, function(r)
    local list = stream { sources = { 'a.ndjson', 'b.ndjson' } } (r)
    -- one of the inputs ends long before the other
    if r.chance(0.5) then
      local cut, ended = r(#list), r.pick { 'a.ndjson', 'b.ndjson' }
      local kept = {}
      for i, a in ipairs(list) do
        if i == cut then kept[#kept + 1] = { 'watermark', ended, math.huge } end
        if i < cut or a[2] ~= ended then kept[#kept + 1] = a end
      end
      return kept
    end
    return list
  end },
  { 'tables', function(tm, r)
    local versions = r.chance(0.5)
    local rows = tm.pipeline('rows'):from(tm.source.file 'rows.ndjson')
    local t = tm.table('t', { key = r.pick { 'k', 'm' }, from = rows, delete = r.chance(0.5) and function(e) return e.v > 40 end or nil,
      time = versions and 'ts' or nil, versioned = versions and r.chance(0.7) and '50ms' or nil,
      unbounded = true, wait = false })
    local s = timed(tm, r, 'q', tm.source.file 'q.ndjson'):lookup(t, { as = 'row', missing = r.pick { 'keep', 'drop' } })
    return { s:to(tm.sink.file 'out'), t:changes():running('c', { n = tm.agg.count() }, { unbounded = true }):to(tm.sink.file 'changes') }
  end, stream { sources = { 'rows.ndjson', 'q.ndjson' } } },
  -- more than have a state each: further ones are sections of one
  { 'many windows', function(tm, r)
    local s = tm.pipeline 'p':event_time { field = 'ts', out_of_order = r.pick { '300ms', '700ms' } }:key_by 'm'
    return { s:window('w', r.pick { tm.window.tumbling '1ms', tm.window.hopping('3ms', '2ms') }, { lateness = r.pick { '0ms', '200ms' } })
      :aggregate { n = tm.agg.count(), all = tm.agg.collect 'i' }:to(tm.sink.file 'w') }
  end, stream { n = 900, gap = 4, disorder = 250, at_once = 60 } },
  { 'several inputs', function(tm, r)
    local function input(name)
      return tm.pipeline(name):from(tm.source.file(name .. '.ndjson')):filter(boom)
    end
    local all = tm.union(input 'a', input 'b', input 'c')
    local s = tm.pipeline('all'):from(all):event_time { field = 'ts', out_of_order = '5ms', idle_after = r.pick { '20ms', '1h' } }
    s = s:key_by 'k':window('w', tm.window.tumbling '20ms', { lateness = '20ms' }):aggregate { n = tm.agg.count(), l = tm.agg.last 'i' }
    local counted = tm.pipeline('counted'):from(s):running('n', { n = tm.agg.count(), t = tm.agg.sum 'n' }, { unbounded = true })
    return { s:to(tm.sink.file 'w'), counted:to(tm.sink.file 'n') }
  end, stream { sources = { 'a', 'b', 'c' }, advance = true } },
  { 'patterns', function(tm, r)
    local p = tm.pattern('q' .. r(3)):start('first', function(e) return e.x == 'a' end)
    if r.chance(0.5) then p = p:times(1, 2) end
    p = p[r.pick { 'next', 'followed_by', 'followed_by_any' }](p, 'second', function(e) if e.boom then error 'boom' end return e.m < 3 end)
    if r.chance(0.6) then p = p:one_or_more() end
    if r.chance(0.6) then
      p = p:followed_by('last', function(e, m) return e.i > m.first[1].i and e.y ~= m.second[1].y end)
    else
      p = p:not_followed_by('never', function(e) return e.x == 'c' end)
    end
    p = p:within(r.pick { '10ms', '40ms', '200ms' })
    if r.chance(0.5) then p = p:after_match(r.pick { 'skip_past_last', 'skip_to_next' }) end
    local s = keyed(tm, r):match(p, { timeouts = r.chance(0.5), max_partial = r.pick { 5, 1000 }, order_by = r.pick { 'i', 'x' } })
    return { s:to(tm.sink.file 'matches') }
  end, stream { gap = 6, n = 60 } },
  { 'processing time', function(tm, r)
    local s = tm.pipeline 'p':processing_time():key_by 'k'
    return { s:window('w', r.pick { tm.window.tumbling '20ms', tm.window.session '15ms', tm.window.hopping('40ms', '10ms') })
      :aggregate(aggregates(tm, r, true)):to(tm.sink.file 'w'),
      tm.pipeline('c'):from(tm.source.every '25ms'):running('n', { n = tm.agg.count() }, { unbounded = true }):to(tm.sink.file 'c') }
  end, stream { advance = true } },
  { 'chance', function(tm, r)
    return { keyed(tm, r):map(function(e) return { i = e.i, k = e.k, x = math.random(1000), y = math.random() } end):to(tm.sink.file 'x') }
  end },
  { 'manual watermarks', function(tm, r)
    local s = tm.pipeline 'p':event_time { field = 'ts' }:key_by 'k'
    return { s:window('w', r.pick { tm.window.tumbling '20ms', tm.window.hopping('80ms', '10ms'), tm.window.session '8ms' },
      { lateness = r.pick { '0ms', '30ms' } }):aggregate(aggregates(tm, r, true)):to(tm.sink.file 'w') }
  end, function(r)
    local list, out, w = stream {} (r), {}, nil
    for _, a in ipairs(list) do
      out[#out + 1] = a
      if r.chance(0.3) then
        local at = tonumber(a[2]:match '"ts":(%-?%d+)') - 20
        if not w or at > w then
          w = at
          out[#out + 1] = { 'watermark', at }
        end
      end
    end
    return out
  end, 'manual' },
}

M.names = {}
for i, c in ipairs(CASES) do
  CASES[i] = { name = c[1], build = c[2], events = c[3] or stream {}, watermark = c[4] }
  M.names[i] = c[1]
end

-- Running ----------------------------------------------------------------------------

--- Rows as text: order and types count.
local function text_of(v)
  if type(v) ~= 'table' then return type(v) == 'number' and ('%.17g'):format(v) or type(v):sub(1, 1) .. tostring(v) end
  local keys, parts = {}, {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then return type(a) < type(b) end
    return a < b
  end)
  for i, k in ipairs(keys) do parts[i] = text_of(k) .. '=' .. text_of(v[k]) end
  return '{' .. table.concat(parts, ',') .. '}'
end

local function lines_of(rows)
  local out = {}
  for i, row in ipairs(rows) do out[i] = text_of(row) end
  return table.concat(out, '\n')
end

--- What comes of a case. crashes(i): before action i
local function outcome(tm, case, streams, actions, options, crashes)
  math.randomseed(7)
  local t = tm.testing.run(streams, options)
  local crashed, got = 0, {}
  for i, a in ipairs(actions) do
    if crashes(i) then
      t:crash()
      crashed = crashed + 1
    end
    t[a[1]](t, unpack(a, 2))
    -- what was sent behind each action, too
    got[#got + 1] = lines_of(t:out())
  end
  if crashes(#actions + 1) then t:crash() end
  t:watermark(math.huge)
  got[#got + 1] = lines_of(t:out())
  return { rows = table.concat(got, '\n--\n'), late = lines_of(t:late()), errors = lines_of(t:errors()) }, crashed, case
end

--- Runs a case with a seed: what differs, as text; nil: nothing does. Also how often it crashed and how many bytes of rows came.
function M.run(tm, index, seed)
  local case, r = CASES[index], random(seed * 100 + index)
  local streams, actions = case.build(tm, r), case.events(r)
  local options = { watermark = case.watermark, checked = r.chance(0.5) }
  local want = outcome(tm, case, streams, actions, options, function() return false end)
  local share = seed % 3 == 0 and 1 or 0.15
  local got, crashes = outcome(tm, case, streams, actions, options, function() return r.chance(share) end)
  for _, what in ipairs { 'rows', 'late', 'errors' } do
    if want[what] ~= got[what] then
      return ('%s, seed %d: %s\n---- undisturbed\n%s\n---- crashed\n%s'):format(case.name, seed, what, want[what], got[what]), crashes, 0
    end
  end
  return nil, crashes, #want.rows
end

return M
