--[[
state_versions_spec.lua - a run that is kept goes on with a script whose states have changed: fields that came, went, moved, or were made
anew by migrate, against plain Lua tables (versions_cases.lua); timers and ages that survive it; what is refused, and in which words.
VERSION_SEEDS: random histories (60).
]]

local h = require 'spec.helper'

local SEEDS = tonumber(os.getenv 'VERSION_SEEDS' or 60)

describe('a state that has changed', function()
  it('holds what plain tables hold behind random changes of its fields', function()
    local dir = h.folder { ['x_spec.lua'] = ([[
      local tm, cases = require 'tidemill', require 'spec.versions_cases'
      it('x', function()
        local sum = { stayed = 0, came = 0, went = 0, converted = 0 }
        for seed = 1, %d do
          local why, counts = cases.run(tm, seed)
          if why then error(why:sub(1, 6000), 0) end
          for k, n in pairs(counts) do sum[k] = sum[k] + n end
        end
        io.stderr:write(('%%d %%d %%d %%d\n'):format(sum.stayed, sum.came, sum.went, sum.converted))
      end)]]):format(SEEDS) }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
    local counted = 0
    for n in r.err:gmatch '%d+' do
      assert.is_true(tonumber(n) > SEEDS / 4, r.err)
      counted = counted + 1
    end
    assert.equal(4, counted, r.err)
  end)

  it('keeps timers, keys and elements that go by age, and which key was not written for longest', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      --- the same rows whichever version is at work; more: fields that nothing looks at
      local function build(more, options)
        local state = { n = 0, recent = tm.state.list { of = 'number', ttl = '40ms' }, seen = tm.state.set { of = 'number', ttl = '70ms' },
          last = tm.state.map { key = 'number', of = 'number', ttl = '55ms' } }
        for name, v in pairs(more) do state[name] = v end
        local o = { ttl = '120ms', max_keys = 6, state = state,
          on_event = function(e, s, ctx)
            s.n = s.n + 1
            s.recent:push(e.v)
            s.seen:add(e.v)
            s.last:set(e.v, s.n)
            if e.v % 3 == 0 then ctx.timer('t', ctx.time + e.v) elseif e.v % 7 == 0 then ctx.cancel 't' end
            ctx.emit { k = e.k, n = s.n, new = ctx.new, r = s.recent:size(), s = s.seen:size(), m = s.last:size() }
          end,
          on_timer = function(_, s, ctx) ctx.emit { k = ctx.key, timer = ctx.time, n = s.n, r = s.recent:size() } end,
          on_expire = function(s, ctx) ctx.emit { k = ctx.key, over = true, n = s.n } end }
        for name, v in pairs(options or {}) do o[name] = v end
        return tm.pipeline 'p':event_time { field = 'ts', out_of_order = '9ms' }:key_by 'k':process('s', o):to(tm.sink.file 'o')
      end
      local function same(old) return old end
      local versions = {
        function() return build { a = 0 } end,
        function() return build({ a = 0, b = 'any', z = tm.state.list {} }) end,
        function() return build({ b = 'x' }, { migrate = function(old) old.a, old.b, old.z = nil, nil, nil return old end }) end,
        function() return build({ b = 'x' }, { version = 2, migrate = same }) end,
        function() return build({}, { migrate = 'drop' }) end,
      }
      local function rows_of(seed, crashed)
        local state = seed * 7919 + 3
        local function r(n) state = state * 16807 % 2147483647 return state % n + 1 end
        local t, ts, out, crashes = tm.testing.run(build {}), 0, {}, 0
        for i = 1, 150 do
          ts = ts + r(9) - 1
          if r(20) == 1 then ts = ts + r(90) end
          t:send { ts = ts - r(8), k = 'k' .. r(9), v = r(30) }
          if i % 25 == 0 and versions[i / 25] and crashed then
            t:crash(versions[i / 25]())
            crashes = crashes + 1
          end
        end
        t:watermark(math.huge)
        for i, row in ipairs(t:out 'o') do
          local parts = { row.k }
          for n, name in ipairs { 'n', 'new', 'r', 's', 'm', 'timer', 'over' } do parts[n + 1] = name .. ' ' .. tostring(row[name]) end
          out[i] = table.concat(parts, ' ')
        end
        assert.same({}, t:errors())
        return table.concat(out, '\n'), crashes
      end
      it('x', function()
        for seed = 1, 25 do
          local want, got, crashes = rows_of(seed, false), rows_of(seed, true)
          assert.equal(want, got)
          assert.is_truthy(want:find 'timer %d' and want:find 'over true')
        end
        assert.equal(5, (select(2, rows_of(1, true))))
      end)]] }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('gives keys and elements a time when a ttl is added, so that they go so long behind it', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      local function build(o)
        o.max_keys, o.on_event = 10, function(e, s, ctx)
          if s.list then s.list:push(e.v) end
          ctx.emit { k = e.k, new = ctx.new, n = s.list and s.list:size() }
        end
        return tm.pipeline 'p':event_time { field = 'ts' }:key_by 'k':process('s', o):to(tm.sink.file 'o')
      end
      it('x', function()
        local t = tm.testing.run(build { state = { list = tm.state.list { of = 'number' } } })
        t:send { ts = 10, k = 'a', v = 1 }
        t:send { ts = 40, k = 'd', v = 1 }
        t:send { ts = 100, k = 'b', v = 1 }
        t:out()
        t:crash(build { ttl = '50ms', state = { list = tm.state.list { of = 'number', ttl = '30ms' } },
          migrate = function(old) return { list = old.list } end })
        -- all is as of 100, the largest time there was; the watermark is 1 behind the event before
        for _, e in ipairs { { 125, 'a' }, { 145, 'c' }, { 147, 'b' }, { 148, 'd' }, { 200, 'c' }, { 220, 'a' } } do
          t:send { ts = e[1], k = e[2], v = 2 }
        end
        assert.same({ { k = 'a', new = false, n = 2 }, { k = 'c', new = true, n = 1 }, { k = 'b', new = false, n = 1 },
          { k = 'd', new = false, n = 1 }, { k = 'c', new = false, n = 2 }, { k = 'a', new = true, n = 1 } }, t:out 'o')
      end)]] }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('keeps aggregates of running that stay, begins those that are added, and drops others only when told', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      local function build(aggregates, options)
        options = options or {}
        options.unbounded = true
        return tm.pipeline 'p':key_by 'k':running('r', aggregates, options):to(tm.sink.file 'o')
      end
      local agg = tm.agg
      it('x', function()
        local t = tm.testing.run(build { n = agg.count(), d = agg.distinct 'v', e = agg.distinct 'v', s = agg.sum 'v', f = agg.first 'w' })
        for v = 1, 5 do t:send { k = 1, v = v % 3 + 0.25, w = 'w' .. v } end
        t:out()
        t:crash(build { b = agg.max 'v', n = agg.count(), d = agg.distinct 'v', e = agg.distinct 'v', s = agg.sum 'v', f = agg.first 'w' })
        t:send { k = 1, v = 7 }
        assert.same({ { k = 1, b = 7, n = 6, d = 4, e = 4, s = 14.25, f = 'w1' } }, t:out 'o')
        local less = { n = agg.count(), s = agg.sum 'w' }
        assert.error_matches(function() t:crash(build(less)) end,
          "field 'b', max of 'v', has gone; field 'd'.*; field 's' was sum of 'v' and is sum of 'w'. Write migrate = 'drop'")
        t = tm.testing.run(build { n = agg.count(), s = agg.sum 'v' })
        t:send { k = 1, v = 2 }
        t:out()
        t:crash(build(less, { migrate = 'drop' }))
        t:send { k = 1, w = 3 }
        assert.same({ { k = 1, n = 2, s = 3 } }, t:out 'o')
      end)]] }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('goes on as scripts/README.md says', function()
    local blocks = {}
    local text = h.read 'scripts/README.md':match '## Changing what a step keeps.-## Decisions'
    for code in text:gmatch '```lua\n(.-)```' do blocks[#blocks + 1] = code end
    assert.equal(2, #blocks)
    local dir = h.folder { ['one.lua'] = blocks[1], ['two.lua'] = blocks[2], ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      it('x', function()
        local t = tm.testing.run 'one.lua'
        t:send { card = 'a', shop = 's1' }
        t:send { card = 'a', shop = 's2' }
        t:out()
        t:crash 'two.lua'
        t:send { card = 'a', shop = 's1' }
        t:send { card = 'b', shop = 's1' }
        assert.same({ { card = 'a', n = 3, shops = 2 }, { card = 'b', n = 1, shops = 1 } }, t:out())
        assert.error_matches(function() t:crash 'one.lua' end, "field 'shops', a set of 'string', has gone")
      end)]] }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
  end)
end)
