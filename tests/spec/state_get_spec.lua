--[[
state_get_spec.lua - `tidemill state get NAME KEY` of what has more than one record a key: windows, sessions, joins, patterns, timers. What
is expected is counted by hand from seven events.
]]

local h = require 'spec.helper'
local r = require 'spec.running'

local SCRIPT = [[
local tm = require 'tidemill'
local agg = tm.agg
local s = tm.pipeline 'p':event_time { field = 'ts', unit = 'ms' }
local k = s:key_by 'k'
local all = { n = agg.count(), s = agg.sum 'v' }
local function out(name) return tm.sink.file(tm.setting 'out' .. '.' .. name) end
return { k:window('t', tm.window.tumbling '10ms', { lateness = '1s' }):aggregate(all):to(out 't'),
  k:window('h', tm.window.hopping('20ms', '10ms')):aggregate(all):to(out 'h'),
  k:window('p', tm.window.hopping('100ms', '10ms')):aggregate(all):to(out 'p'),
  k:window('s', tm.window.session '8ms', { lateness = '1s' }):aggregate(all):to(out 's'),
  k:window('c', tm.window.count(4, { slide = 2 })):aggregate(all):to(out 'c'),
  s:join('j', s:filter(function(e) return e.v > 4 end), { on = 'k', within = { after = '1m' } }):to(out 'j'),
  k:match(tm.pattern 'm':start('a', function(e) return e.v < 3 end):followed_by('b', function(e) return e.v == 9 end):within '1m')
    :to(out 'm'),
  k:process('x', { unbounded = true, state = { n = 0 }, on_event = function(e, st, ctx)
    st.n = st.n + 1
    ctx.timer('soon', e.ts + 500)
    ctx.timer('late', 900)
  end, on_timer = function() end }):to(out 'x') }
]]

-- k a: v 1 at 1, 2 at 5, 3 at 12, 4 at 35, 5 at 36, 6 at 37;  k b: v 7 at 40
local EVENTS = { { 1, 'a' }, { 5, 'a' }, { 12, 'a' }, { 35, 'a' }, { 36, 'a' }, { 37, 'a' }, { 40, 'b' } }

describe('state get of a key', function()
  after_each(r.stop_all)
  local path, data

  setup(function()
    path, data = h.write(SCRIPT, h.path 's.lua'), h.path 'data'
    local lines, out, fifo = {}, h.path 'out', r.fifo()
    for i, e in ipairs(EVENTS) do lines[i] = ('{"ts":%d,"k":"%s","v":%d}\n'):format(e[1], e[2], i) end
    local p = r.start({ 'run', '--quiet', path, '--set', 'out=' .. out, '--data', data }, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    f:write(table.concat(lines))
    f:flush()
    -- the last event ends the tumbling window from 30 on
    r.wait_until('rows', function() return p:code() or (h.read(out .. '.t') or ''):find('"window_start":30', 1, true) end)
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
  end)

  local function get(name, key)
    local got = h.run { 'state', 'get', 'p/' .. name, key or 'a', path, '--set', 'out=x', '--data', data }
    assert.equal(0, got.code, got.err)
    return h.rows(got.out)
  end

  local function windows(name)
    local list = {}
    for i, row in ipairs(get(name)) do
      list[i] = ('%s-%s %d %d'):format(tostring(row.window_start), tostring(row.window_end), row.n, row.s)
      assert.equal('a', row.k)
    end
    table.sort(list)
    return list
  end

  it('shows all its windows', function()
    assert.same({ '0-10 2 3', '10-20 1 3', '30-40 3 15' }, windows 't')
    -- the watermark is 39: the one from 20 to 40 is over
    assert.same({ '30-50 3 15' }, windows 'h')
    assert.same({ '-10-90 6 21', '-20-80 6 21', '-30-70 6 21', '-40-60 6 21', '-50-50 6 21', '0-100 6 21', '10-110 4 18', '20-120 3 15',
      '30-130 3 15' }, windows 'p')
    assert.same({ '1-20 3 6', '35-45 3 15' }, windows 's')
    -- of six events the windows begin with the first, third, fifth; the first two are full
    assert.same({ 'nil-nil 2 11' }, windows 'c')
  end)

  it('shows the events of a join, matches that have begun, and timers', function()
    local row, times = get('j')[1], {}
    for i, e in ipairs(row.right) do times[i] = e.time end
    assert.same({ 6, 2, { 36, 37 } }, { row.left_events, row.right_events, times })
    assert.same({ time = 12, event = { ts = 12, k = 'a', v = 3 } }, row.left[3])
    row = get('m')[1]
    assert.same({ 2, 0, {} }, { row.partial, row.held_back, row.held })
    assert.same({ { began = 1, last = 1, a = { { ts = 1, k = 'a', v = 1 } }, b = {} },
      { began = 5, last = 5, a = { { ts = 5, k = 'a', v = 2 } }, b = {} } }, row.matches)
    row = get('x')[1]
    table.sort(row.timers, function(a, b) return a.name < b.name end)
    assert.same({ k = 'a', n = 6, timers = { { name = 'late', at = 900 }, { name = 'soon', at = 537 } } }, row)
    assert.same({ { k = 'b', n = 1, timers = { { name = 'soon', at = 540 }, { name = 'late', at = 900 } } } }, get('x', 'b'))
  end)

  it('says that there is no such key', function()
    for _, name in ipairs { 't', 'p', 's' } do
      local got = h.run { 'state', 'get', 'p/' .. name, 'z', path, '--set', 'out=x', '--data', data }
      assert.equal(1, got.code)
      assert.truthy(got.err:find(("state 'p/%s' has no key \"z\""):format(name), 1, true), got.err)
    end
  end)
end)
