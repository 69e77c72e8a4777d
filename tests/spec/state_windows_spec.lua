--[[
state_windows_spec.lua - a run that is kept goes on with a script whose windows have changed: aggregates that came or went, against windows
counted in plain Lua; sizes, bounds and stages that are others, which are refused with words, or dropped when told. The same behind a
kill, and when scripts are loaded anew. WINDOW_SEEDS: random histories of each kind of window (12).
]]

local h = require 'spec.helper'
local r = require 'spec.running'

local SEEDS = tonumber(os.getenv 'WINDOW_SEEDS' or 12)

describe('windows whose aggregates have changed', function()
  it('begin what was added empty where they are open, and say so', function()
    local dir = h.folder { ['x_spec.lua'] = ([[
      local tm, reference = require 'tidemill', require 'spec.state_windows_cases'
      local function build(window, aggregates, options)
        return tm.pipeline 'p':event_time { field = 'ts', out_of_order = '5ms' }:key_by 'k':window('w', window, options)
          :aggregate(aggregates):to(tm.sink.file 'o')
      end
      local n, s = tm.agg.count(), tm.agg.sum 'v'
      it('x', function()
        local partial = {}
        for seed = 1, %d do
          local state = seed * 7919 + 13
          local function pick(m) state = state * 16807 %% 2147483647 return state %% m end
          local events, ts = {}, 1000
          for i = 1, 120 do
            ts = ts + pick(4)
            events[i] = { ts = ts - pick(6), k = 'k' .. pick(4), v = pick(100) }
          end
          for _, kind in ipairs(reference.kinds) do
            local changed, got = 20 + pick(80), {}
            local t = tm.testing.run(build(kind[2](tm), { n = n }))
            for i, e in ipairs(events) do
              if i == changed + 1 then t:crash(build(kind[2](tm), { n = n, s = s })) end
              if i == changed + 10 then t:crash() end
              t:send(e)
            end
            t:watermark(math.huge)
            for _, row in ipairs(t:out 'o') do got[#got + 1] = reference.text(row) end
            assert.same({}, t:errors())
            table.sort(got)
            local want = reference.rows(events, kind, changed, 6)
            assert.equal(table.concat(want, '\n'), table.concat(got, '\n'), kind[1])
            for _, row in ipairs(want) do if row:find 'partial' then partial[kind[1] ] = (partial[kind[1] ] or 0) + 1 end end
          end
        end
        for _, kind in ipairs(reference.kinds) do assert.is_true((partial[kind[1] ] or 0) >= %d, kind[1]) end
      end)]]):format(SEEDS, SEEDS) }
    local got = h.run { 'test', dir }
    assert.equal(0, got.code, got.out .. got.err)
  end)

  it('of over see what was kept of the events before, and say partial where that is not all', function()
    local dir = h.folder { ['x_spec.lua'] = ([[
      local tm = require 'tidemill'
      local agg = tm.agg
      local first = { n = agg.count { over = '40ms' }, s = agg.sum('v', { over = '20ms' }), d = agg.distinct('w', { over = '30ms' }),
        c = agg.count { over = '15ms', where = function(e) return e.v > 50 end } }
      -- a: of values that are kept; m, l: of others; z: further back than is kept
      local more = { a = agg.avg('v', { over = '10ms' }), m = agg.max('u', { over = '25ms' }), l = agg.last('u', { over = '5ms' }) }
      local further = { z = agg.count { over = '90ms' } }
      local function build(...)
        local list = {}
        for _, one in ipairs { ... } do for name, a in pairs(one) do list[name] = a end end
        return tm.pipeline 'p':event_time { field = 'ts', out_of_order = '5ms' }:key_by 'k':over('w', list, { unbounded = true })
          :to(tm.sink.file 'o')
      end
      --- What event i must have; from: events before that are not known to it
      local function reference(events, i, size, from)
        local e, list = events[i], {}
        for j = from, i do
          local o = events[j]
          if o.k == e.k and o.ts <= e.ts and o.ts > e.ts - size then list[#list + 1] = o end
        end
        return list
      end
      it('x', function()
        local partial = 0
        for seed = 1, %d do
          local state = seed * 7919 + 13
          local function pick(m) state = state * 16807 %% 2147483647 return state %% m end
          local events, ts = {}, 1000
          for i = 1, 150 do
            ts = ts + pick(4)
            events[i] = { ts = ts - pick(6), k = 'k' .. pick(3), v = pick(100), w = pick(5), u = pick(1000), i = i }
          end
          local changed = 20 + pick(60)
          local again = changed + 20
          local t, highest = tm.testing.run(build(first)), { 0, 0 }
          for i, e in ipairs(events) do
            if i == changed + 1 then t:crash(build(first, more)) end
            if i == again + 1 then t:crash(build(first, more, further)) end
            if i == again + 7 then t:crash() end
            t:send(e)
            if i <= changed then highest[1] = math.max(highest[1], e.ts) end
            if i <= again then highest[2] = math.max(highest[2], e.ts) end
          end
          local rows = t:out 'o'
          assert.same({}, t:errors())
          assert.equal(#events, #rows)
          for i, row in ipairs(rows) do
            local e = events[i]
            local function over(size, from) return reference(events, i, size, from or 1) end
            local sum, seen, different, large = 0, {}, 0, 0
            for _, o in ipairs(over(20)) do sum = sum + o.v end
            for _, o in ipairs(over(30)) do
              if not seen[o.w] then seen[o.w], different = true, different + 1 end
            end
            for _, o in ipairs(over(15)) do if o.v > 50 then large = large + 1 end end
            assert.same({ #over(40), sum, different, large }, { row.n, row.s, row.d, row.c }, 'seed ' .. seed .. ', event ' .. i)
            local expected = nil
            if i > changed then
              local total, most, last = 0, nil, nil
              for _, o in ipairs(over(10)) do total = total + o.v end
              for _, o in ipairs(over(25, changed + 1)) do most = math.max(most or 0, o.u) end
              for _, o in ipairs(over(5, changed + 1)) do
                if not last or o.ts >= last.ts then last = o end
              end
              assert.equal(total / #over(10), row.a)
              assert.same({ most, last.u }, { row.m, row.l })
              expected = e.ts < highest[1] + 25 or i > again and e.ts < highest[2] + 90 or nil
            else
              assert.same({}, { row.a, row.m, row.l })
            end
            if expected then partial = partial + 1 end
            assert.equal(expected, row.partial, 'seed ' .. seed .. ', event ' .. i)
            if i > again and not row.partial then assert.equal(#over(90), row.z) end
          end
        end
        assert.is_true(partial > 50)
      end)]]):format(SEEDS) }
    local got = h.run { 'test', dir }
    assert.equal(0, got.code, got.out .. got.err)
  end)

  it('lose what has gone only when told, go on otherwise with late rows, early ones and windows that share a state', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      local agg = tm.agg
      local function build(window, aggregates, emit, options)
        local s = tm.pipeline 'p':event_time { field = 'ts' }:key_by 'k':window('w', window, options):aggregate(aggregates)
        return (emit and s:emit(emit) or s):to(tm.sink.file 'o')
      end
      local three = { n = agg.count(), l = agg.collect 'v', m = agg.max 'v' }
      it('drops', function()
        for _, window in ipairs { tm.window.tumbling '10ms', tm.window.session '10ms', tm.window.hopping('40ms', '10ms') } do
          local t = tm.testing.run(build(window, three))
          t:send { ts = 1, k = 'a', v = 5 }
          assert.error_matches(function() t:crash(build(window, { n = agg.count() })) end,
            "field '[lm]', .*, has gone; field '[lm]', .*, has gone. Write migrate = 'drop' in the step's options")
          t = tm.testing.run(build(window, three))
          t:send { ts = 1, k = 'a', v = 5 }
          t:crash(build(window, { n = agg.count() }, nil, { migrate = 'drop' }))
          t:send { ts = 2, k = 'a', v = 6 }
          t:watermark(math.huge)
          local row = t:out('o')[1]
          assert.same({ 2, nil, nil, nil }, { row.n, row.l, row.m, row.partial })
        end
      end)
      it('goes on with rows that come again', function()
        local t = tm.testing.run(build(tm.window.tumbling '10ms', { n = agg.count() }, nil, { lateness = '100ms' }))
        for _, ts in ipairs { 1, 2, 25 } do t:send { ts = ts, k = 'a', v = ts } end
        assert.same({ { k = 'a', n = 2, window_start = 0, window_end = 10 } }, t:out 'o')
        t:crash(build(tm.window.tumbling '10ms', { n = agg.count(), s = agg.sum 'v' }, nil, { lateness = '100ms' }))
        t:send { ts = 3, k = 'a', v = 3 }
        t:send { ts = 13, k = 'a', v = 13 }
        t:send { ts = 31, k = 'a', v = 31 }
        assert.same({ { k = 'a', n = 3, s = 3, partial = true, revision = 1, window_start = 0, window_end = 10 },
          { k = 'a', n = 1, s = 13, window_start = 10, window_end = 20 },
          { k = 'a', n = 1, s = 0, partial = true, window_start = 20, window_end = 30 } }, t:out 'o')
        t = tm.testing.run(build(tm.window.tumbling '10ms', { n = agg.count() }, 'updates'))
        t:send { ts = 1, k = 'a', v = 1 }
        t:out 'o'
        t:crash(build(tm.window.tumbling '10ms', { n = agg.count(), s = agg.sum 'v' }, 'updates'))
        t:send { ts = 2, k = 'a', v = 7 }
        t:send { ts = 12, k = 'a', v = 8 }
        assert.same({ { k = 'a', n = 2, s = 7, partial = true, window_start = 0, window_end = 10 },
          { k = 'a', n = 1, s = 8, window_start = 10, window_end = 20 } }, t:out 'o')
      end)
      it('goes on with more windows than have a state of their own', function()
        local t = tm.testing.run(build(tm.window.hopping('600ms', '1ms'), { n = agg.count(), e = agg.ewma('v', { half_life = '1s' }) }))
        t:send { ts = 1000, k = 'a', v = 1 }
        t:send { ts = 1001, k = 'b', v = 1 }
        assert.equal(1, #t:out 'o')
        t:crash(build(tm.window.hopping('600ms', '1ms'), { n = agg.count(), e = agg.ewma('v', { half_life = '1s' }), s = agg.sum 'v' }))
        t:send { ts = 1002, k = 'a', v = 2 }
        t:watermark(math.huge)
        local rows, n, partial, sum = t:out 'o', 0, 0, 0
        for _, row in ipairs(rows) do
          n, sum = n + row.n, sum + row.s
          if row.partial then partial = partial + 1 end
          assert.equal(row.window_start <= 1001, row.partial or false)
        end
        -- the first of a's windows is over; one that begins at 1002 is new
        assert.same({ 1799, 1200 }, { n, sum })
        assert.same({ 1201, 1200 }, { #rows, partial })
      end)]] }
    local got = h.run { 'test', dir }
    assert.equal(0, got.code, got.out .. got.err)
  end)

  it('are refused with words where sizes, bounds or stages are others, and begin anew when told', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      local agg = tm.agg
      local function base() return tm.pipeline 'p':event_time { field = 'ts' }:key_by 'k' end
      local function windowed(window) return function(o) return base():window('w', window, o):aggregate { n = agg.count() } end end
      local function over(size) return function(o) return base():over('w', { n = agg.count { over = size } }, o) end end
      local function join(options)
        return function(o)
          local s = base()
          local all = { on = 'k', migrate = o and o.migrate }
          for k, v in pairs(options) do all[k] = v end
          return s:join('w', s, all)
        end
      end
      local function match(pattern) return function(o) return base():match(pattern, o) end end
      local function pattern(name)
        return tm.pattern 'w':start('one', function(e) return e.v == 1 end):followed_by(name, function(e) return e.v == 2 end):within '1m'
      end
      local function running(o) return base():running('w', { n = agg.count() }, { max_keys = 9, migrate = o and o.migrate }) end
      local function dedup(on) return function(o) return base():dedup('w', { on = on, max_keys = 9, migrate = o and o.migrate }) end end
      local cases = {
        { windowed(tm.window.tumbling '1m'), windowed(tm.window.tumbling '5m'), 'its size was 1m and is 5m. .*options of window' },
        { windowed(tm.window.tumbling '1m'), windowed(tm.window.tumbling('1m', { offset = '-10s' })), 'it has the offset %-10s now' },
        { windowed(tm.window.hopping('1m', '30s')), windowed(tm.window.hopping('1m', '20s')),
          'its slide was 30s and is 20s; it has the way of' },
        { windowed(tm.window.tumbling '1m'), windowed(tm.window.session '1m'),
          'its kind of windows was tumbling and is session; it had the size 1m' },
        { windowed(tm.window.session '1m'), windowed(tm.window.session '2m'), 'its gap was 1m and is 2m' },
        { windowed(tm.window.count(5)), windowed(tm.window.count(6)), 'its size was 5 events and is 6 events' },
        { over '1m', over '1h', "its aggregate 'n' was count over 1m and is count over 1h. .*in the options of over" },
        { windowed(tm.window.sliding '1m'), windowed(tm.window.sliding '2m'), "its aggregate 'n' was count over 1m and is count over 2m" },
        { join { within = { after = '1m' } }, join { within = { before = '1s', after = '1m' } },
          'its range of times was from 0s before to 1m after and is from 1s before to 1m after. .*options of join' },
        { join { within = { after = '1m' } }, join { unbounded = true }, 'its range of times was .* and is any time' },
        { match(pattern 'two'), match(pattern 'other'),
          'its list of stages was one, two and is one, other; its form .* has changed. .*options of match' },
        { windowed(tm.window.tumbling '1m'), running, "it was kept by 'aggregate', and is 'running' now" },
        { dedup { 'v' }, dedup { 'v', 'k' }, 'it had the key v and has the key v, k' },
      }
      it('x', function()
        for i, case in ipairs(cases) do
          local function build(make, o) return make(o):to(tm.sink.file 'o') end
          local function begun()
            local t = tm.testing.run(build(case[1]))
            t:send { ts = 1000, k = 'a', v = 1 }
            return t
          end
          assert.error_matches(function() begun():crash(build(case[2])) end, "state 'p/w' is not the one .*: " .. case[3])
          local t, fresh = begun(), tm.testing.run(build(case[2]))
          fresh:send { ts = 2000, k = 'a', v = 2 }
          fresh:watermark(math.huge)
          local want = fresh:out 'o'
          t = begun()
          t:out 'o'
          t:crash(build(case[2], { migrate = 'drop' }))
          t:send { ts = 2000, k = 'a', v = 2 }
          t:watermark(math.huge)
          assert.same(want, t:out 'o', 'case ' .. i)
          assert.same({}, t:errors())
        end
      end)]] }
    local got = h.run { 'test', dir }
    assert.equal(0, got.code, got.out .. got.err)
  end)
end)

local script = [[
local tm = require 'tidemill'
return tm.pipeline 'p':event_time { field = 'ts', unit = 'ms' }:key_by 'k':window('w', tm.window.WINDOW)
  :aggregate { n = tm.agg.count(), MORE }:to(tm.sink.file(tm.setting 'out'))
]]

local function version(window, more, path)
  return h.write((script:gsub('WINDOW', function() return window end):gsub('MORE', function() return more end)), path)
end

local function events(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ('{"ts":%d,"k":"k%d","v":1}\n'):format(i * 10, i % 3) end
  return table.concat(list)
end

--- Each event has v = 1: of a row that is not partial s = n, or there is none; of a partial one s < n. Rows in order: those without s,
--- those that are partial, the rest.
local function judge(rows, n)
  local sum, stage, partial = 0, 1, 0
  for _, row in ipairs(rows) do
    sum = sum + row.n
    local now = row.s == nil and 1 or row.partial and 2 or 3
    assert.is_true(now >= stage)
    stage = now
    if now == 2 then
      partial = partial + 1
      assert.is_true(row.s <= row.n)
    elseif now == 3 then
      assert.equal(row.n, row.s)
    end
  end
  assert.equal(n, sum)
  assert.equal(3, stage)
  return partial
end

describe('a run whose windows change', function()
  after_each(r.stop_all)

  it('is not hurt by kills', function()
    math.randomseed(5)
    local n = 60000
    for _, window in ipairs { "tumbling '2s'", "hopping('4s', '2s')", "session '5ms'" } do
      local input = h.write(events(1, n), h.path 'in.ndjson')
      local o, data = h.path 'out', h.path 'data'
      local function run(path)
        return { 'run', '--quiet', path, '--set', 'out=' .. o, '--data', data, '--from', input, '--epoch', '5ms', '--rate', '60000/s' }
      end
      local first = version(window, '', h.path '1.lua')
      local second = version(window, "s = tm.agg.sum 'v'", h.path '2.lua')
      local function killed(path, size)
        local p = r.start(run(path))
        local from = r.size(o)
        r.wait_until('progress', function() return p:code() or r.size(o) > from + size end)
        require('system').sleep(math.random() * 0.05)
        assert.is_nil(p:code(), p:err())
        local worker = p:worker()
        p:signal 'KILL'
        if worker then p:signal('KILL', worker) end
        p:wait()
      end
      killed(first, 200)
      killed(first, 200)
      for _ = 1, 3 do killed(second, 200) end
      local got = h.run(run(second))
      assert.equal(0, got.code, got.err)
      local each = window:find 'hopping' and 2 or 1
      local partial = judge(h.rows(h.read(o)), n * each)
      -- one window a key was open, two of those that overlap
      if not window:find 'session' then assert.equal(3 * each, partial) end
    end
  end)

  it('goes on when its scripts are loaded anew, and refuses those that cannot', function()
    local o, path, fifo = h.path 'out', h.path 's.lua', r.fifo()
    version("tumbling '2s'", '', path)
    for _, kept in ipairs { false, true } do
      local args = { 'run', '--quiet', path, '--set', 'out=' .. o }
      if kept then args[6], args[7] = '--data', h.path 'data' end
      local p = r.start(args, { stdin = fifo })
      local f = assert(io.open(fifo, 'w'))
      local function send(from, to, rows)
        f:write(events(from, to))
        f:flush()
        r.wait_until('rows', function() return p:code() or select(2, (h.read(o) or ''):gsub('\n', '\n')) >= rows end)
      end
      local function reload(window, more, text)
        version(window, more, path)
        p:signal 'HUP'
        r.wait_until('reload', function() return p:code() or p:err():find(text, 1, true) end)
        assert.is_nil(p:code(), p:err())
      end
      version("tumbling '2s'", '', path)
      send(1, 500, 6)
      reload("tumbling '3s'", '', 'run on')
      assert.truthy(p:err():find('its size was 2s and is 3s', 1, true), p:err())
      reload("tumbling '2s'", "s = tm.agg.sum 'v'", 'loaded anew')
      send(501, 900, 12)
      f:close()
      assert.equal(0, p:wait(), p:err())
      assert.equal(3, judge(h.rows(h.read(o)), 900))
      os.remove(o)
    end
  end)
end)
