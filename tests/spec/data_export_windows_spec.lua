--[[ `tidemill state export` and `import` of windows, sessions, joins, features, patterns and clocks: into a new folder and out again byte
for byte, and a run that goes on from what was imported writes what the undisturbed run writes, byte for byte. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

local SCRIPT = [[
local tm = require 'tidemill'
local agg = tm.agg
local s = tm.pipeline 'p':event_time { field = 'ts', unit = 'ms', out_of_order = '300ms' }
local k = s:key_by 'k'
local q = tm.pipeline 'q':event_time { field = 'ts', unit = 'ms', out_of_order = '300ms' }:key_by 'k'
local function out(name) return tm.sink.file(tm.setting 'out' .. '.' .. name) end
local all = { n = agg.count(), s = agg.sum 'v', m = agg.max 'v', d = agg.distinct 'w', l = agg.collect('v', { max = 5 }) }
return {
  k:window('tumbling', tm.window.tumbling '1s'):aggregate(all):to(out 'tumbling'),
  k:window('late', tm.window.tumbling('1s', { offset = '-100ms' }), { lateness = '5s' }):aggregate(all):emit 'retract':to(out 'late'),
  k:window('hopping', tm.window.hopping('2s', '1s')):aggregate(all):emit { early = '700ms' }:to(out 'hopping'),
  k:window('panes', tm.window.hopping('5s', '500ms'), { lateness = '2s' }):aggregate(all):to(out 'panes'),
  k:window('zone', tm.window.tumbling('1d', { zone = 'Europe/Berlin' })):aggregate(all):to(out 'zone'),
  k:window('all', tm.window.global()):aggregate(all):emit { early = '1s' }:to(out 'all'),
  k:window('session', tm.window.session '400ms', { lateness = '1s' }):aggregate(all):to(out 'session'),
  s:key_by { 'k', 'w' }:window('count', tm.window.count(5, { slide = 2 })):aggregate(all):to(out 'count'),
  k:window('apply', tm.window.tumbling '1s'):apply(function(key, w, rows, emit)
    local sum = 0
    for _, e in ipairs(rows) do sum = sum + e.v end
    emit { sum = sum, key = key }
  end):to(out 'apply'),
  s:join('near', s:filter(function(e) return e.v % 3 == 0 end), { on = 'k', within = { before = '300ms', after = '400ms' }, kind = 'full',
    where = function(a, b) return a.v ~= b.v end }):select { 'ts', 'k', 'v', 'right' }:to(out 'near'),
  s:window_join('both', s:filter(function(e) return e.v % 2 == 0 end), tm.window.tumbling '600ms', { on = 'k', kind = 'left' })
    :select { 'ts', 'k', 'v', 'right' }:to(out 'both'),
  k:process('timed', { unbounded = true, state = { n = 0 }, on_event = function(e, st, ctx)
    st.n = st.n + 1
    ctx.timer('t', e.ts + 900)
  end, on_timer = function(name, st, ctx) ctx.emit { k = ctx.key, n = st.n, at = ctx.time } end }):to(out 'timed'),
  q:over('over', { n = agg.count { over = '1s' }, m = agg.max('v', { over = '2s' }), d = agg.distinct('w', { over = '3s' }),
    f = agg.first('w', { over = '2s' }), q = agg.quantile('v', 0.5, { over = '1500ms' }), a = agg.avg('v', { over = '700ms' }) },
    { unbounded = true }):select { 'ts', 'k', 'n', 'm', 'd', 'f', 'q', 'a' }:to(out 'over'),
  q:over('plain', { n = agg.count { over = '1s' }, s = agg.sum('v', { over = '2s' }) }):select { 'ts', 'k', 'n', 's' }:to(out 'plain'),
  q:features('known', tm.features { key = 'k', ttl = '1h', n = tm.f.count { over = '2s' }, s = tm.f.sum('v', { over = '1s' }),
    m = tm.f.max('v', { over = '3s' }), t = tm.f.time_since(), l = tm.f.last('w', { over = '1s' }),
    w = tm.f.ewma('v', { half_life = '1s' }), r = tm.f.avg('v', { over = '4s', step = '1s' }) })
    :select { 'ts', 'k', 'n', 's', 'm', 't', 'l', 'w', 'r' }:to(out 'known'),
  q:match(tm.pattern 'steps':start('low', function(e) return e.v < 30 end):one_or_more():followed_by('high', function(e, m)
    return e.v > m.low[1].v + 40 end):within '900ms', { timeouts = true }):to(out 'steps'),
  q:match(tm.pattern 'sorted':start('a', function(e) return e.w == 'w0' end):next('b', function(e) return e.w == 'w1' end)
    :after_match 'skip_past_last':within '2s', { order_by = 'v' }):to(out 'sorted'),
  q:match(tm.pattern 'mended':start('a', function(e) return e.v < 20 end):followed_by('b', function(e) return e.v > 70 end):within '700ms',
    { emit = 'retract', lateness = '2s' }):to(out 'mended'),
  s:filter(function(e) return e.v == -1 end):late_to(out 'lates'):to(out 'none') }
]]
local NAMES = { 'tumbling', 'late', 'hopping', 'panes', 'zone', 'all', 'session', 'count', 'apply', 'near', 'both', 'timed', 'over',
  'plain', 'known', 'steps', 'sorted', 'mended', 'lates' }

local function events(seed, from, to)
  local state, list = seed * 48271 + 11, {}
  local function pick(n)
    state = state * 16807 % 2147483647
    return state % n
  end
  for i = 1, to do
    local ts = 1700000000000 + i * 40 - pick(10) * 35 - (pick(25) == 0 and 900 or 0)
    local line = ('{"ts":%d,"k":"k%d","w":"w%d","v":%d}\n'):format(ts, pick(4), pick(3), pick(100))
    if i >= from then list[#list + 1] = line end
  end
  return table.concat(list)
end

local function kept(path, o, ...)
  local args = { ... }
  for _, a in ipairs { path, '--data', o.data, '--set', 'out=' .. o.out } do args[#args + 1] = a end
  return args
end

--- Runs with these events, then ends by TERM when all have passed.
local function begun(path, o, text)
  local fifo = r.fifo()
  local p = r.start(kept(path, o, 'run', '--quiet'), { stdin = fifo })
  local f = assert(io.open(fifo, 'w'))
  f:write(text)
  f:flush()
  local last, same = '', 0
  r.wait_until('rows', function()
    local sizes = {}
    for i, name in ipairs(NAMES) do sizes[i] = r.size(o.out .. '.' .. name) end
    local now = table.concat(sizes, ' ')
    same = now == last and r.size(o.out .. '.near') > 0 and same + 1 or 0
    last = now
    return p:code() or same > 30
  end)
  p:signal 'TERM'
  assert.equal(0, p:wait(), p:err())
  f:close()
end

local function export(path, o)
  local got = h.run(kept(path, o, 'state', 'export'))
  assert.equal(0, got.code, got.err)
  return got.out
end

describe('state export and import of windows and joins', function()
  after_each(r.stop_all)

  it('let a run go on in a new folder as the undisturbed one, byte for byte', function()
    local path = h.write(SCRIPT, h.path 's.lua')
    for seed = 1, 3 do
      local one, two = { out = h.path 'out', data = h.path 'data' }, { out = h.path 'out2', data = h.path 'data2' }
      begun(path, one, events(seed, 1, 200 + seed))
      local text = export(path, one)
      local seen = {}
      for _, row in ipairs(h.rows(text)) do
        local name = row.clock and 'clock' or row.seal and 'seal' or row.state:match '/(.*)'
        seen[name] = (seen[name] or 0) + 1
      end
      for _, name in ipairs { 'tumbling', 'late', 'hopping', 'panes', 'zone', 'all', 'session', 'count', 'apply', 'near', 'near/waiting',
        'both',
        'timed', 'timed/timers', 'over', 'plain', 'known', 'steps', 'steps/nodes', 'steps/events', 'steps/waiting',
        'sorted/waiting', 'mended', 'mended/sent', 'clock' } do
        assert.is_true((seen[name] or 0) > 0, name .. ' has no line')
      end
      local got = h.run(kept(path, two, 'state', 'import'), text)
      assert.equal(0, got.code, got.err)
      h.compare(text, export(path, two), 'seed ' .. seed)
      -- what hangs together is taken as it was written, or not at all
      for change, wanted in pairs { ['"state":"p/session"'] = 'p/session', ['"state":"q/steps/nodes"'] = 'q/steps',
        ['"state":"q/over"'] = 'q/over', ['"state":"p/near/waiting"'] = 'p/near' } do
        local less, left_out = {}, false
        for line in text:gmatch '[^\n]+' do
          if not left_out and line:find(change, 1, true) then left_out = true else less[#less + 1] = line end
        end
        assert.is_true(left_out)
        local refused = h.run(kept(path, { out = h.path 'out3', data = h.path 'data3' }, 'state', 'import'),
          table.concat(less, '\n') .. '\n')
        assert.equal(1, refused.code, change)
        assert.truthy(refused.err:find("the seal does not fit: lines of '" .. wanted .. "' were changed", 1, true), refused.err)
      end
      got = h.run(kept(path, two, 'state', 'import'), text)
      assert.equal(1, got.code)
      assert.truthy(got.err:find('can be imported only where it keeps nothing', 1, true), got.err)
      local had, rest = {}, h.write(events(seed, 201 + seed, 500))
      for _, name in ipairs(NAMES) do had[name] = #(h.read(one.out .. '.' .. name) or '') end
      for _, o in ipairs { one, two } do
        got = h.shell('cat ' .. rest .. ' | ' .. h.command(kept(path, o, 'run', '--quiet')))
        assert.equal(0, got.code, got.err)
      end
      for _, name in ipairs(NAMES) do
        local whole = h.read(one.out .. '.' .. name)
        assert.is_true(#whole > had[name], name .. ': nothing came behind the import')
        h.compare(whole:sub(had[name] + 1), h.read(two.out .. '.' .. name), name .. ', seed ' .. seed)
      end
    end
  end)

  it('say which line cannot be read and why', function()
    local path = h.write([[local tm = require 'tidemill'
      local k = tm.pipeline 'p':event_time { field = 'ts' }:key_by 'k'
      local n = { n = tm.agg.count() }
      return { k:window('w', tm.window.tumbling '1s'):aggregate(n):emit { early = '300ms' }:to(tm.sink.file(tm.setting 'out')),
        k:window('h', tm.window.hopping('5s', '1s')):aggregate(n):to(tm.sink.file(tm.setting 'out' .. '.h')),
        k:window('s', tm.window.session '1s'):aggregate(n):to(tm.sink.file(tm.setting 'out' .. '.s')),
        k:window('l', tm.window.sliding '1s'):aggregate(n):to(tm.sink.file(tm.setting 'out' .. '.l')),
        k:over('o', { n = tm.agg.count { over = '1s' } }, { unbounded = true }):to(tm.sink.file(tm.setting 'out' .. '.o')),
        k:running('r', n, { unbounded = true }):to(tm.sink.file(tm.setting 'out' .. '.r')) }]], h.path 's.lua')
    local o = { out = h.path 'out', data = h.path 'data' }
    local good = '{"state":"p/w","window":{"start":1000,"end":2000},"key":["a"],"more":{"n":{"n":3}}}\n'
    local cases = {
      ['{"state":"p/w","key":["a"]}'] = '"window" says which window, an object',
      ['{"state":"p/w","window":7,"key":["a"]}'] = '"window" says which window, an object',
      ['{"state":"p/w","window":{"start":"x"},"key":["a"]}'] = '"start" is a time in ms',
      ['{"state":"p/w","window":{"start":1500,"end":2500},"key":["a"]}'] = 'the windows of the step have other bounds',
      ['{"state":"p/w","window":{"start":1000,"end":3000},"key":["a"]}'] = 'the windows of the step have other bounds',
      ['{"state":"p/w","window":{"start":1000,"end":2000},"key":["a","b"]}'] = '"key" has 2 parts, and that of the state has 1',
      ['{"state":"p/w","pane":{"start":1000,"end":2000},"key":["a"]}'] = 'the step has no such pane',
      ['{"state":"p/h","pane":{"start":1000,"end":2000},"key":["a"]}'] = 'the step has no such pane, or no open window that has it',
      ['{"state":"p/r","window":{"start":1000,"end":2000},"key":["a"]}'] = 'the state has no windows of fixed bounds',
      ['{"state":"p/w","tick":"soon"}'] = '"tick" is a time in ms, of windows with early rows',
      ['{"state":"p/r","tick":5}'] = '"tick" is a time in ms, of windows with early rows',
      ['{"clock":"p/event_time","watermark":"x","passed":1}'] = '"watermark" and "passed" of a clock are times in ms',
      ['{"clock":"q/event_time","watermark":1,"passed":1}'] = "the script has no clock 'q/event_time'",
      ['{"state":"p/l","key":["a"]}'] = "the state 'p/l' is one of 'aggregate' behind a sliding window",
      ['{"state":"p/o","set":{"aggregate \'n\'":"count over 2s"}}'] =
        "the aggregate 'n' of 'p/o' is count over 1s in the script, and count over 2s",
      ['{"state":"p/r","key":["a"],"event":"x"}'] = "no events wait in 'p/r'",
      ['{"seal":"p/s","lines":1,"sum":"0"}'] =
        "the seal does not fit: lines of 'p/s' were changed, left out or put in; 0 were read, and 1 written",
    }
    for line, wanted in pairs(cases) do
      local got = h.run(kept(path, o, 'state', 'import'), good .. line .. '\n' .. good)
      assert.equal(1, got.code, line .. got.err)
      assert.truthy(got.err:find('line 2: ' .. wanted, 1, true) and got.err:find('; nothing was imported', 1, true), line .. got.err)
      assert.equal('', export(path, o))
    end
    local got = h.run(kept(path, o, 'state', 'import'), '{"state":"p/s","key":["a"],"more":{"":{"from":1}}}\n')
    assert.equal(1, got.code)
    assert.truthy(got.err:find("what 'p/s' keeps has no seal, a line behind its own: lines are missing; nothing was imported", 1, true),
      got.err)
    got = h.run(kept(path, o, 'state', 'import'), good)
    assert.equal(0, got.code, got.err)
    assert.same({ k = 'a', n = 3, window_start = 1000, window_end = 2000 },
      h.decode(h.run(kept(path, o, 'state', 'get', 'p/w')).out))
  end)
end)
