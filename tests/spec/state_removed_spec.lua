--[[
state_removed_spec.lua - steps that a later script does not declare any more: what they kept stays for seven days, is shown, and taken up
by a script that declares them again; what a folder keeps is shown without any script.
]]

local h = require 'spec.helper'
local r = require 'spec.running'

describe('a step that no script declares any more', function()
  it('goes on when it comes back within seven days, and begins anew behind them', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      local agg = tm.agg
      --- x: behind the names of steps, so that they are others
      local function build(x)
        local s = tm.pipeline 'p':event_time { field = 'ts', out_of_order = '5ms' }:key_by 'k'
        return { s:running('r' .. x, { n = agg.count() }, { max_keys = 10 }):to(tm.sink.file 'r'),
          s:window('w' .. x, tm.window.tumbling '20ms'):aggregate { n = agg.count() }:to(tm.sink.file 'w'),
          s:window('h' .. x, tm.window.hopping('40ms', '10ms')):aggregate { n = agg.count() }:to(tm.sink.file 'h'),
          s:window('s' .. x, tm.window.session '30ms'):aggregate { n = agg.count() }:to(tm.sink.file 's'),
          s:process('p' .. x, { max_keys = 10, state = { n = 0 }, on_event = function(e, st, ctx)
            st.n = st.n + 1
            ctx.timer('t', e.ts + 15)
          end, on_timer = function(name, st, ctx) ctx.emit { k = ctx.key, n = st.n, at = ctx.time } end }):to(tm.sink.file 'q'),
          s:join('j' .. x, s:filter(function(e) return e.r end), { on = 'k', within = { after = '10m' } }):select { 'ts' }
            :to(tm.sink.file 'j') }
      end
      local function windows(rows)
        local list = {}
        for i, row in ipairs(rows) do list[i] = ('%s %d-%d %d'):format(row.k, row.window_start, row.window_end, row.n) end
        return list
      end
      local function clear(t) for _, name in ipairs { 'r', 'w', 'h', 's', 'q', 'j' } do t:out(name) end end

      it('goes on', function()
        local t = tm.testing.run(build '')
        for i = 1, 10 do t:send { ts = i * 3, k = 'k' .. i % 2, v = i } end
        clear(t)
        t:crash(build 'x')
        t:send { ts = 200, k = 'k1' }
        t:advance '6d'
        t:crash()
        t:crash(build '')
        clear(t)
        t:send { ts = 206, k = 'k1', r = true }
        -- events 3 to 30: k1 in 3, 9, 15, 21, 27; the watermark was 24 when the step went
        assert.same({ 'k1 20-40 2', 'k0 20-40 2' }, windows(t:out 'w'))
        assert.same({ 'k1 -10-30 5', 'k0 -10-30 4', 'k1 0-40 5', 'k0 0-40 5' }, { unpack(windows(t:out 'h'), 1, 4) })
        assert.same({ 'k1 3-57 5', 'k0 6-60 5' }, windows(t:out 's'))
        -- the timer of k0, at 30 + 15; that of k1 was set anew
        assert.same({ { k = 'k0', n = 5, at = 45 } }, t:out 'q')
        assert.same({ { k = 'k1', n = 6 } }, t:out 'r')
        -- the events of k1 that were kept, and the one that pairs with itself
        assert.equal(6, #t:out 'j')
        assert.same({}, t:errors())
      end)

      it('begins anew', function()
        local t = tm.testing.run(build '')
        for i = 1, 10 do t:send { ts = i * 3, k = 'k' .. i % 2, v = i } end
        t:crash(build 'x')
        t:advance '7d'
        t:crash()
        t:crash(build '')
        clear(t)
        t:send { ts = 206, k = 'k1', r = true }
        t:watermark(math.huge)
        assert.same({ 'k1 200-220 1' }, windows(t:out 'w'))
        assert.same({ { k = 'k1', n = 1 } }, t:out 'r')
        assert.equal(1, #t:out 'j')
      end)

      it('goes while a run goes on', function()
        local t = tm.testing.run(build '')
        t:send { ts = 3, k = 'k1', v = 1 }
        t:crash(build 'x')
        t:send { ts = 4, k = 'k1', v = 1 }
        t:advance '7d'
        t:advance '2h'
        t:send { ts = 5, k = 'k1', v = 1 }
        t:crash()   -- saves, and looks at what is too old
        t:crash(build '')
        clear(t)
        t:send { ts = 6, k = 'k1', v = 1 }
        assert.same({ { k = 'k1', n = 1 } }, t:out 'r')
      end)]] }
    local got = h.run { 'test', dir }
    assert.equal(0, got.code, got.out .. got.err)
  end)
end)

local BOTH = [[
local tm = require 'tidemill'
local s = tm.pipeline 'p':event_time { field = 'ts', unit = 'ms' }:key_by 'k'
local all = s:running('all', { n = tm.agg.count() }, { unbounded = true }):to(tm.sink.file(tm.setting 'out'))
local some = s:window('some', tm.window.tumbling '1s'):aggregate { n = tm.agg.count() }:to(tm.sink.file(tm.setting 'out' .. '.w'))
]]

describe('a folder', function()
  after_each(r.stop_all)

  it('shows what a script at hand does not declare, and gives it back, also behind a kill', function()
    local both = h.write(BOTH .. 'return { all, some }', h.path 'both.lua')
    local one = h.write(BOTH:gsub('local some.*', 'return all'), h.path '1.lua')
    local out, data, fifo = h.path 'out', h.path 'data', r.fifo()
    local function run(path) return { 'run', '--quiet', path, '--set', 'out=' .. out, '--data', data, '--epoch', '5ms' } end
    local function events(from, to)
      local list = {}
      for i = from, to do list[#list + 1] = ('{"ts":%d,"k":"k%d"}\n'):format(i * 10, i % 3) end
      return table.concat(list)
    end
    local function part(path, from, to, signal)
      local p = r.start(run(path), { stdin = fifo })
      local f = assert(io.open(fifo, 'w'))
      f:write(events(from, to))
      f:flush()
      r.wait_until('rows', function() return p:code() or select(2, (h.read(out) or ''):gsub('\n', '\n')) == to end)
      assert.is_nil(p:code(), p:err())
      if signal == 'KILL' then
        require('system').sleep(0.2)   -- the last epoch is durable
        local worker = p:worker()
        p:signal 'KILL'
        if worker then p:signal('KILL', worker) end
      else
        p:signal 'TERM'
      end
      p:wait()
      f:close()
      return p:err()
    end
    local function ls(...)
      local got = h.run { 'state', 'ls', '--json', '--set', 'out=x', '--data', data, ... }
      assert.equal(0, got.code, got.err)
      local by_name = {}
      for _, row in ipairs(h.decode(got.out)) do by_name[row.name] = row end
      return by_name, got.err
    end
    part(both, 1, 250)
    assert.is_nil(ls(both)['p/some'].orphan)
    local told = part(one, 251, 260, 'KILL')
    assert.truthy(told:find("'p/some', 'p/some/windows'. It is taken up again by a script that declares it, until", 1, true), told)
    part(one, 261, 270)
    local rows = ls(one)
    local day = os.date('!%Y-%m-%d', os.time() + 7 * 86400)
    local some = rows['p/some']
    assert.same({ 'aggregate', true, 3, { 'n' } }, { some.kind, some.orphan, some.keys, some.fields })
    assert.is_true(some['until'] == day or some['until'] == os.date('!%Y-%m-%d', os.time() + 7 * 86400 - 60))
    assert.equal('running', rows['p/all'].kind)
    -- without a script all are shown, and that one is an orphan
    rows = ls()
    assert.same({ true, false, 3 }, { rows['p/some'].orphan, rows['p/all'].orphan, rows['p/all'].keys })
    local text = h.run({ 'state', 'ls', '--data', data }).out
    assert.truthy(text:find('p/some +aggregate +3 .* orphan until ' .. rows['p/some']['until']:gsub('%-', '%%-') .. ' +n\n'), text)
    local got = h.run { 'state', 'get', 'p/some', 'k1', '--data', data }
    assert.equal(0, got.code, got.err)
    -- of 2000 ms to 2500 ms each third event, from 202 on
    local row = h.decode(got.out)
    assert.same({ 'p/some', { 'k1' }, { start = 2000, ['end'] = 3000 }, 17 }, { row.state, row.key, row.window, row.more.n.n })
    assert.same({ 90, 90, 90 }, { h.rows(h.run({ 'state', 'get', 'all', '--data', data }).out)[1].more.n.n,
      h.decode(h.run({ 'state', 'get', 'all', 'k1', '--data', data }).out).more.n.n, 270 / 3 })
    got = h.run { 'state', 'get', 'some', 'k9', '--data', data }
    assert.equal(1, got.code)
    assert.truthy(got.err:find("state 'p/some' has no key \"k9\"", 1, true), got.err)
    got = h.run { 'state', 'get', 'most', '--data', data }
    assert.equal(1, got.code)
    assert.truthy(got.err:find("the folder keeps no state 'most'; there are: p/all, p/some", 1, true), got.err)
    -- it comes back: events 251 to 270 have not come to it
    part(both, 271, 310)
    assert.is_nil(ls(both)['p/some'].orphan)
    local list = {}
    for i, w in ipairs(h.rows(h.read(out .. '.w'))) do list[i] = ('%s %d %d'):format(w.k, w.window_start, w.n) end
    -- k0 of 2000 to 2990: 201, 204 … 249, then 273 … 297; k1: 202 … 250, 271 … 298; k2: 200 … 248, 272 … 299
    assert.same({ 'k1 0 33', 'k2 0 33', 'k0 0 33', 'k1 1000 34', 'k2 1000 33', 'k0 1000 33', 'k2 2000 27', 'k0 2000 26',
      'k1 2000 27' }, list)
  end)
end)
