--[[
timers_wall_spec.lua - ctx.wall_timer: by the clock of a spec, where every time can be counted by hand, and of runs whose input pauses;
beside timers of event time, at the end of input, with ttl, with failures, and while workers are killed.
]]

local h = require 'spec.helper'
local running = require 'spec.running'
local kill = require 'spec.kill'

local function passes(body)
  local dir = h.folder { ['x_spec.lua'] = "local tm = require 'tidemill'\nit('x', function()\n" .. body .. '\nend)\n' }
  local r = h.run({ 'test' }, nil, { cwd = dir })
  assert.equal(0, r.code, r.out .. r.err)
end

describe('ctx.wall_timer', function()
  after_each(running.stop_all)

  it('fires when the clock is there, not before, without event time, again and again', function()
    passes [[
      local t = tm.testing.run { tm.pipeline 'p':key_by 'k':process('p', { max_keys = 10, state = { n = 0 },
        on_event = function(e, s, ctx)
          if e.cancel then ctx.emit { had = ctx.cancel 'x' } elseif e.clear then ctx.clear() else ctx.wall_timer(e.name or 'x', e.after) end
        end,
        on_timer = function(name, s, ctx)
          s.n = s.n + 1
          ctx.emit { name = name, k = ctx.key, n = s.n, timed = ctx.time ~= nil }
          if name == 'again' and s.n < 4 then ctx.wall_timer('again', '10s') end
        end }) }
      t:send { k = 'a', after = '30s' }
      t:advance '29999ms'
      assert.same({}, t:out())
      t:advance '1ms'
      assert.same({ { name = 'x', k = 'a', n = 1, timed = false } }, t:out())
      t:send { k = 'a', after = '10s' }
      t:advance '5s'
      t:send { k = 'a', after = '10s' }   -- a later call replaces it
      t:advance '9s'
      assert.same({}, t:out())
      t:advance '1s'
      assert.equal(1, #t:out())
      t:send { k = 'a', after = '5s' }
      t:send { k = 'a', cancel = true }
      t:send { k = 'a', cancel = true }
      t:advance '1h'
      assert.same({ { had = true }, { had = false } }, t:out())
      t:send { k = 'a', after = '5s' }
      t:send { k = 'a', clear = true }
      t:advance '1h'
      assert.same({}, t:out())
      -- what sets itself again goes by its own time, however the clock is moved
      t:send { k = 'b', name = 'again', after = '10s' }
      t:send { k = 'c', after = '25s' }
      t:advance '1h'
      local got = {}
      for i, row in ipairs(t:out()) do got[i] = row.k .. row.n end
      assert.same({ 'b1', 'b2', 'c1', 'b3', 'b4' }, got)
    ]]
  end)

  it('has the time of an event that comes now, beside timers of event time, of which it is one a name', function()
    passes [[
      local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't', out_of_order = '10ms' }:key_by 'k':process('p', { max_keys = 10,
        on_event = function(e, s, ctx)
          if e.at then ctx.timer(e.name, e.at) else ctx.wall_timer(e.name, e.after) end
        end,
        on_timer = function(name, s, ctx) ctx.emit { name = name, t = ctx.time, w = ctx.watermark } end })
        :window('w', tm.window.tumbling '100ms'):aggregate { names = tm.agg.collect 'name', times = tm.agg.collect 't' } }
      t:send { k = 1, t = 1000, name = 'a', after = '1s' }
      t:send { k = 1, t = 1100, name = 'b', at = 1150 }
      t:advance '1s'
      t:send { k = 1, t = 1300, name = 'c', after = '1s' }
      t:send { k = 1, t = 1301, name = 'c', at = 1290 }    -- at once, and no other c is left
      t:send { k = 1, t = 1302, name = 'd', at = 5000 }
      t:send { k = 1, t = 1303, name = 'd', after = '1s' }
      t:advance '10s'
      t:send { k = 1, t = 9000, name = 'e', after = '1s' }
      -- watermarks: 1089 for a, 1289 for b and c (1150 and 1290), 1292 for d
      assert.same({
        { k = 1, names = { 'a' }, times = { 1090 }, window_start = 1000, window_end = 1100 },
        { k = 1, names = { 'b' }, times = { 1150 }, window_start = 1100, window_end = 1200 },
        { k = 1, names = { 'c', 'd' }, times = { 1290, 1293 }, window_start = 1200, window_end = 1300 },
      }, t:out())
      t:watermark(math.huge)
      assert.same({ { k = 1, names = { 'e' }, times = { 8990 }, window_start = 8900, window_end = 9000 } }, t:out())
      assert.same({}, t:late())
    ]]
  end)

  it('keeps its key, as an event does, and is none without it', function()
    passes [[
      local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't' }:key_by 'k':process('p', { ttl = '100ms',
        on_event = function(e, s, ctx) if e.after then ctx.wall_timer('x', e.after) end end,
        on_timer = function(name, s, ctx) ctx.emit { k = ctx.key, fired = true } end,
        on_expire = function(s, ctx) ctx.emit { k = ctx.key, old = ctx.time } end }) }
      t:send { k = 1, t = 0, after = '1s' }
      t:send { k = 2, t = 0, after = '1h' }
      t:send { k = 3, t = 91 }
      t:advance '1s'                     -- w = 90: it is used at 91
      t:send { k = 3, t = 192 }          -- w = 191: 2 went at 100, 1 goes at 191, 3 was used before that
      assert.same({ { k = 1, fired = true }, { k = 2, old = 100 }, { k = 1, old = 191 } }, t:out())
      t:advance '2h'
      assert.same({}, t:out())
      t:send { k = 4, t = 193, after = '1h' }
      t:watermark(math.huge)             -- each fires once, before keys go
      assert.same({ { k = 4, fired = true }, { k = 3, old = 292 }, { k = 4, old = 293 } }, t:out())
    ]]
  end)

  it('that fails is taken back, with a dead letter, and the others fire', function()
    passes [[
      local t = tm.testing.run { tm.pipeline 'p':key_by 'k':process('p', { max_keys = 10, state = { n = 0 },
        on_event = function(e, s, ctx) ctx.wall_timer('x', '1s') ctx.wall_timer('y', '1s') if e.fail then error 'told to' end end,
        on_timer = function(name, s, ctx)
          s.n = s.n + 1
          ctx.emit { name = name, n = s.n }
          if name == 'x' then error 'told to' end
        end }) }
      t:send { k = 1 }
      t:send { k = 2, fail = true }
      assert.equal(1, #t:errors())
      t:advance '2s'
      assert.same({ { name = 'y', n = 1 } }, t:out())
      local letters = t:errors()
      assert.equal(1, #letters)
      assert.same({ name = 'x', time = 1000 }, letters[1].timer)
      assert.equal(1, letters[1].key)
    ]]
  end)

  it('goes by the clock of processing_time, and behind a link and a filter that drops all', function()
    passes [[
      local rows = tm.pipeline 'in':filter(function(e) return e.k end)
      local t = tm.testing.run { rows, tm.pipeline 'p':from(rows):processing_time():key_by 'k':process('p', { ttl = '1m',
        state = { seen = tm.state.set { ttl = '10s' } },
        on_event = function(e, s, ctx) s.seen:add(e.k) ctx.wall_timer('x', '5s') ctx.wall_timer('y', '15s') end,
        on_timer = function(name, s, ctx) ctx.emit { name = name, at = ctx.time, n = s.seen:size() } end,
        on_expire = function(s, ctx) ctx.emit { old = ctx.time } end }):to(tm.sink.file 'x') }
      t:send { k = 'a' }
      t:advance '2s'
      t:send { z = 1 }
      t:advance '1h'
      assert.same({ { name = 'x', at = 5000, n = 1 }, { name = 'y', at = 15000, n = 0 }, { old = 75000 } }, t:out 'x')
    ]]
  end)

  local CODE = [[local tm = require 'tidemill'
    return tm.pipeline 'p'%s:key_by 'k':process('p', { max_keys = 1000, state = { n = 0 },
      on_event = function(e, s, ctx) ctx.wall_timer('x', '%s') if e.more then ctx.timer('e', e.t + 5) end ctx.emit { k = ctx.key } end,
      on_timer = function(name, s, ctx) ctx.emit { k = ctx.key, fired = name } end })]]

  it('fires while no input comes', function()
    for _, time in ipairs { '', ":event_time { field = 't' }", ':processing_time()' } do
      local dir = h.folder()
      -- without event time ctx.timer may not be named at all
      local code = time == '' and CODE:gsub('if e.more.-end', '', 1) or CODE
      local file = h.write(code:format(time, '50ms'), dir .. '/s.lua')
      local fifo, out = running.fifo(), dir .. '/out'
      local r = running.start({ 'run', '--json', file }, { stdin = fifo, stdout = out, stderr = dir .. '/err' })
      local feed = io.open(fifo, 'w')
      feed:write '{"t":1,"k":1}\n'
      feed:flush()
      running.wait_until('the timer', function() return h.read(out) == '{"k":1}\n{"fired":"x","k":1}\n' end)
      feed:write '{"t":2,"k":2}\n'
      feed:flush()
      running.wait_until('the second timer', function() return running.size(out) == 58 - 2 end)
      feed:close()
      assert.equal(0, r:wait())
      assert.equal('{"k":1}\n{"fired":"x","k":1}\n{"k":2}\n{"fired":"x","k":2}\n', h.read(out))
      assert.equal(0, r:summary().counters.timers_dropped)
    end
  end)

  it('fires once at the natural end, and not at one that comes early', function()
    local file = h.write(CODE:format(":event_time { field = 't' }", '1h'), h.folder() .. '/s.lua')
    local r = h.run({ 'run', file }, '{"t":1,"k":1,"more":true}\n{"t":2,"k":2}\n')
    assert.equal('{"k":1}\n{"k":2}\n{"fired":"x","k":1}\n{"fired":"x","k":2}\n{"fired":"e","k":1}\n', r.out, r.err)
    local fifo, dir = running.fifo(), h.folder()
    local p = running.start({ 'run', '--json', file }, { stdin = fifo, stdout = dir .. '/out', stderr = dir .. '/err' })
    local feed = io.open(fifo, 'w')
    feed:write '{"t":1,"k":1,"more":true}\n'
    feed:flush()
    running.wait_until('the row', function() return running.size(dir .. '/out') == 8 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    feed:close()
    assert.equal('{"k":1}\n', h.read(dir .. '/out'))
    assert.equal(2, p:summary().counters.timers_dropped)
  end)

  it('while workers are killed leaves the rows beside it exact', function()
    local dir = h.folder()
    local out = dir .. '/out'
    local file = h.write(([[local tm = require 'tidemill'
      local all = tm.pipeline 'p':from(tm.source.generate(function(n)
        return '{"t":' .. n .. ',"k":' .. n %% 50 .. ',"i":' .. n .. '}' end, { count = 300000 })):event_time { field = 't' }
      local timed = all:key_by 'k':process('p', { max_keys = 1000, state = { n = 0 },
        on_event = function(e, s, ctx) s.n = s.n + 1 ctx.wall_timer('a', '1ms') end,
        on_timer = function(name, s, ctx) ctx.emit { fired = name, t = ctx.time, w = ctx.watermark } end })
      return { all:select { 'i' }:to(tm.sink.file '%s'), timed:to(tm.sink.file '%s') }]]):format(out, dir .. '/timed'), dir .. '/s.lua')
    local p = running.start { 'run', '--json', file }
    local kills, code = kill.often(p, function() return running.size(out) end, 8)
    assert.equal(0, code, p:err())
    assert.is_true(kills > 2)
    assert.equal(h.shell('seq -f \'{"i":%.0f}\' 300000 | sha256sum').out:match '%x+', running.digest(out))
    local n = 0
    for line in io.lines(dir .. '/timed') do
      local t, w = line:match '"t":(%d+),"w":(%d+)}$'
      assert.equal(tonumber(w) + 1, tonumber(t), line)
      n = n + 1
    end
    assert.is_true(n > 50)
  end)
end)
