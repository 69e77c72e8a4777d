--[[
dedup_last_spec.lua - dedup with keep = 'last' and within: what is sent and when, counted by hand; the end of a run, steps behind it that
go by the watermark, failures, formats, what stays in memory, workers that are killed. Random streams: operators_random_spec.
]]

local h = require 'spec.helper'
local running = require 'spec.running'
local kill = require 'spec.kill'

local function run(code, lines, ...)
  local r = h.run({ 'run', '--quiet', '-e', 'stream:event_time { field = "t", out_of_order = "5ms" }' .. code, ... },
    table.concat(lines, '\n') .. '\n')
  assert.equal(0, r.code, r.err)
  return r.out, r.err
end

local function rows(...) return table.concat({ ... }, '\n') .. '\n' end

describe("dedup keep = 'last' with within", function()
  after_each(running.stop_all)

  it('sends the last by event time when the watermark has passed the time, with the bytes it came with', function()
    local t = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      it('x', function()
        local t = tm.testing.run { tm.pipeline 'p':event_time { field = 't' }:dedup('d', { on = 'k', keep = 'last', within = '10ms' }) }
        t:send { k = 1, t = 100 }
        t:send { k = 1, t = 105 }
        t:send { k = 1, t = 103 }       -- earlier, though later here
        t:send { k = 1, t = 105, v = 'again' }   -- of equal times the one that came last
        t:send { k = 2, t = 109 }
        assert.same({}, t:out())         -- w = 108; the time of k = 1 is [100, 110)
        t:send { k = 2, t = 110 }
        assert.same({ { k = 1, t = 105, v = 'again' } }, t:out())
        t:send { k = 1, t = 112 }        -- begins the next
        t:send { k = 3, t = 118 }
        assert.same({}, t:out())
        t:send { k = 3, t = 118, v = 2 }
        t:send { k = 3, t = 120 }        -- k = 2: [109, 119) is over at 118, k = 1: [112, 122)
        assert.same({ { k = 2, t = 110 } }, t:out())
        t:watermark(math.huge)
        assert.same({ { k = 1, t = 112 }, { k = 3, t = 120 } }, t:out())
      end)
    ]] }
    local r = h.run({ 'test' }, nil, { cwd = t })
    assert.equal(0, r.code, r.out .. r.err)
    assert.equal('{"t":1.50e1,"k" : 1,"x":[1, 2]}\n', (run(":dedup('d', { on = 'k', keep = 'last', within = '10ms' })",
      { '{"t":1.50e1,"k" : 1,"x":[1, 2]}' })))
  end)

  it('takes an earlier event as the first while it is not late, a late one not', function()
    -- 92 is before 100, and the watermark (94) past it: a duplicate of what is there, 89 stands alone, 95 begins the time anew
    local out = run(":dedup('d', { on = 'k', keep = 'last', within = '10ms' })", {
      '{"t":100,"k":1}', '{"t":92,"k":1}', '{"t":89,"k":1}', '{"t":95,"k":1}', '{"t":103,"k":1}', '{"t":106,"k":1}' })
    assert.equal(rows('{"t":89,"k":1}', '{"t":103,"k":1}', '{"t":106,"k":1}'), out)
  end)

  it('makes nothing late behind it', function()
    local out, err = run([[:dedup('d', { on = 'k', keep = 'last', within = '50ms' }):window('w', tm.window.tumbling '10ms')
      :aggregate { n = tm.agg.count(), ks = tm.agg.collect 'k' }:late_to(tm.sink.stdout())]], {
      '{"t":1,"k":1}', '{"t":12,"k":2}', '{"t":13,"k":1}', '{"t":31,"k":3}', '{"t":100,"k":4}', '{"t":300,"k":4}' })
    assert.equal(rows('{"ks":[2,1],"n":2,"window_end":20,"window_start":10}', '{"ks":[3],"n":1,"window_end":40,"window_start":30}',
      '{"ks":[4],"n":1,"window_end":110,"window_start":100}', '{"ks":[4],"n":1,"window_end":310,"window_start":300}'), out, err)
  end)

  it('keeps the key and the time of the event, also beside a key of its own', function()
    local code = [[:key_by { 'g', 'h' }:dedup('d', { on = 'k', keep = 'last', within = '10ms' })
      :map(function(e) local m = tm.meta(e).key return { g = m.g, h = m.h, at = tm.time(e) } end)]]
    -- digits of an integer beyond 2^53 are a string in Lua
    assert.equal(rows('{"at":2,"g":"b","h":"9007199254740993"}', '{"at":40,"g":true,"h":1.5}'), (run(code, { '{"t":1,"k":1,"g":"a","h":1}',
      '{"t":2,"k":1,"g":"b","h":9007199254740993}', '{"t":40,"k":1,"g":true,"h":1.5}' })))
  end)

  it('takes back what fails behind it, and goes on', function()
    local dir = h.folder()
    local out = run(([[:dedup('d', { on = 'k', keep = 'last', within = '10ms' }):on_error(tm.sink.file '%s')
      :filter(function(e) if e.k == 2 then error 'told to' end return true end)]]):format(dir .. '/dead'), {
      '{"t":1,"k":1}', '{"t":2,"k":2,"x":7}', '{"t":3,"k":3}', '{"t":50,"k":2}' })
    assert.equal(rows('{"t":1,"k":1}', '{"t":3,"k":3}'), out)
    local letters = h.rows(h.read(dir .. '/dead'))
    assert.equal(2, #letters)
    assert.same({ t = 2, k = 2, x = 7 }, letters[1].row)
  end)

  it('reads msgpack as JSON', function()
    -- {t, k, v}, v being bin
    local function event(t, k, v) return '\131\161t' .. string.char(t) .. '\161k\161' .. k .. '\161v\196\1' .. v end
    local r = h.run({ 'run', '--quiet', '--format', 'msgpack', '--out-format', 'json', '-e',
      "stream:event_time { field = 't' }:dedup('d', { on = 'k', keep = 'last', within = '10ms' })" },
      event(1, 'a', 'x') .. event(2, 'a', 'y') .. event(50, 'b', 'z'))
    assert.equal(rows('{"t":2,"k":"a","v":"eQ=="}', '{"t":50,"k":"b","v":"eg=="}'), r.out, r.err)
  end)

  it('sends what waits with partial = true when the run is ended early', function()
    local dir = h.folder()
    local file = h.write([[local tm = require 'tidemill' return tm.pipeline 'p':event_time { field = 't' }
      :dedup('d', { on = 'k', keep = 'last', within = '10s' })]], dir .. '/s.lua')
    local fifo, out = running.fifo(), dir .. '/out'
    local p = running.start({ 'run', '--json', file }, { stdin = fifo, stdout = out, stderr = dir .. '/err' })
    local feed = io.open(fifo, 'w')
    feed:write '{"t":1,"k":1}\n{"t":2,"k":1}\n{"t":20000,"k":2}\n'
    feed:flush()
    running.wait_until('the first row', function() return running.size(out) == 14 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    feed:close()
    assert.equal('{"t":2,"k":1}\n{"t":20000,"k":2,"partial":true}\n', h.read(out))
  end)

  it('goes by the clock behind processing_time', function()
    local t = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      it('x', function()
        local t = tm.testing.run { tm.pipeline 'p':processing_time():dedup('d', { on = 'k', keep = 'last', within = '10s' })
          :running('n', { n = tm.agg.count(), last = tm.agg.last 'v' }, { ttl = '1m' }) }
        t:send { k = 1, v = 1 }
        t:advance '4s'
        t:send { k = 1, v = 2 }
        t:advance '5999ms'
        assert.same({}, t:out())
        t:advance '1ms'
        assert.same({ { n = 1, last = 2 } }, t:out())
        t:advance '1h'
        t:send { k = 1, v = 3 }
        t:advance '10s'
        assert.same({ { n = 1, last = 3 } }, t:out())
      end)
    ]] }
    local r = h.run({ 'test' }, nil, { cwd = t })
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('keeps little: of a time that is fixed the last event, of a key that is done nothing', function()
    local lines = {}
    for i = 1, 20000 do lines[i] = ('{"t":%d,"k":%d,"pad":"%s"}'):format(i, i % 7, ('x'):rep(200)) end
    for i = 1, 3000 do lines[#lines + 1] = ('{"t":%d,"k":"n%d","pad":"%s"}'):format(20000 + i, i, ('x'):rep(200)) end
    local function fails(within, more)
      local r = h.run({ 'run', '--json', '--memory', '4M', '-e', ([[stream:event_time { field = 't' %s }
        :dedup('d', { on = 'k', keep = 'last', within = '%s' }):to(tm.sink.discard())]]):format(more, within) },
        table.concat(lines, '\n') .. '\n')
      return r.code ~= 0 or h.decode(r.err:match '(%b{})\n$').counters.events_failed > 0
    end
    assert.is_true(fails('1h', ", out_of_order = '1h'"))   -- none is fixed: all are kept, 5 MB
    assert.is_false(fails('1h', ''))
    for i = 1, 3000 do lines[i] = lines[i]:gsub('"k":%d', '"k":"o' .. i .. '"') end
    lines[#lines + 1] = '{"t":1000000,"k":1}'
    assert.is_false(fails('2s', ''))
  end)

  it('while workers are killed leaves the rows beside it exact', function()
    local dir = h.folder()
    local out = dir .. '/out'
    local file = h.write(([[local tm = require 'tidemill'
      local all = tm.pipeline 'p':from(tm.source.generate(function(n)
        return '{"t":' .. n .. ',"k":' .. n %% 50 .. ',"i":' .. n .. '}' end, { count = 300000 })):event_time { field = 't' }
      return { all:select { 'i' }:to(tm.sink.file '%s'),
        all:dedup('d', { on = 'k', keep = 'last', within = '200ms' }):select { 'i', 'k' }:to(tm.sink.file '%s') }]]):format(out,
      dir .. '/last'), dir .. '/s.lua')
    local p = running.start { 'run', '--json', file }
    local kills, code = kill.often(p, function() return running.size(out) end, 8)
    assert.equal(0, code, p:err())
    assert.is_true(kills > 2)
    assert.equal(h.shell('seq -f \'{"i":%.0f}\' 300000 | sha256sum').out:match '%x+', running.digest(out))
    -- no row twice, none out of order
    local last, n = {}, 0
    for line in io.lines(dir .. '/last') do
      local i, k = line:match '"i":(%d+),"k":(%d+)'
      assert.is_true(tonumber(i) > (last[k] or 0), line)
      last[k], n = tonumber(i), n + 1
    end
    assert.is_true(n > 50000)
  end)

  it('refuses what cannot be', function()
    local cases = {
      ["dedup('d', { on = 'k', keep = 'last', within = '1s' })"] = "dedup with 'within' needs event time",
      ["event_time { field = 't' }:dedup('d', { on = 'k', keep = 'last', within = '1s', ttl = '1m' })"] =
        "dedup: 'within' says how long a key is kept; leave 'ttl' out, or 'within'",
      ["dedup('d', { on = 'k', ttl = '1m' })"] = "dedup with 'ttl' needs event time",
      ["event_time { field = 't' }:top('d', 3, 'v', { ttl = 60 })"] = "top: 'ttl': a duration needs a unit",
      ["event_time { field = 't' }:running('d', { n = tm.agg.count() }, { ttl = '-1s' })"] = "running: 'ttl'",
      ["running('d', { n = tm.agg.count() }, { ttl = '1s' })"] = "running with 'ttl' needs event time",
    }
    for code, message in pairs(cases) do
      local r = h.run({ 'run', '-e', 'stream:' .. code }, '')
      assert.equal(3, r.code)
      assert.truthy(r.err:find(message, 1, true), code .. ': ' .. r.err)
    end
  end)
end)
