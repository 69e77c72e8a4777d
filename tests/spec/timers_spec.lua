--[[
timers_spec.lua - timers of `process` against a slow reference (timers_reference.py): random streams with disorder, of which some events
fail; timers that are set, moved, cancelled and cleared by events and by timers, and fail; two steps, one behind the other. However
the input is cut, with filters that the host applies, with the compiler and without.
]]

local h = require 'spec.helper'
local compare = h.compare
local json = require 'dkjson'
local running = require 'spec.running'
local kill = require 'spec.kill'

local function pick(list) return list[math.random(#list)] end

--- Random events: what each does to timers is its `ops`.
local function stream(n, gap, disorder, keys)
  local lines, t = {}, pick { 0, -500, 1700000000000 }
  for i = 1, n do
    if math.random() < 0.6 then t = t + math.random(0, gap) elseif math.random() < 0.02 then t = t + 40 * gap end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    local ops = {}
    for j = 1, math.random(0, 3) do
      local r = math.random()
      if r < 0.8 then ops[j] = { op = 'set', name = pick { 'a', 'b', 'c', 'd', 'e', 'f' }, dt = pick { -30, 0, 1, 5, 20, 20, 100, 1000 } }
      elseif r < 0.95 then ops[j] = { op = 'cancel', name = pick { 'a', 'b', 'c' } }
      else ops[j] = { op = 'clear' } end
    end
    setmetatable(ops, { __jsontype = 'array' })
    lines[i] = json.encode({ t = t - late, k = 'k' .. math.random(keys), ops = ops, fail = math.random() < 0.1,
      keep = math.random() < 0.8 },
      { keyorder = { 't', 'k', 'keep', 'fail', 'ops' } })
  end
  return table.concat(lines, '\n') .. '\n'
end

local SCRIPT = [[
local tm = require 'tidemill'
local function shown(w) return w == math.huge and 'end' or w end
return tm.pipeline 'p':on_error(tm.sink.file '%s'):event_time { field = 't', out_of_order = '%dms' }:filter(%s):key_by 'k'
  :process('first', { max_keys = %d, %s state = { n = 0 },
    on_event = function(e, s, ctx)
      s.n = s.n + 1
      local new, out = ctx.new, {}
      for _, op in ipairs(e.ops) do
        if op.op == 'set' then ctx.timer(op.name, ctx.time + op.dt)
        elseif op.op == 'cancel' then out[#out + 1] = { what = 'cancel', had = ctx.cancel(op.name) }
        else ctx.clear() end
      end
      out[#out + 1] = { what = 'event', new = new, w = shown(ctx.watermark) }
      if e.fail then error 'told to' end
      for _, row in ipairs(out) do row.k, row.n = ctx.key, s.n ctx.emit(row) end
    end,
    on_timer = function(name, s, ctx)
      s.n = s.n + 1
      local out = {}
      if name == 'b' and s.n %% 3 ~= 0 then ctx.timer('b', ctx.time + 7)
      elseif name == 'c' then ctx.timer('a', ctx.time)
      elseif name == 'd' then ctx.clear()
      elseif name == 'e' then
        ctx.timer('a', ctx.time + 2)
        if s.n %% 2 == 0 then error 'told to' end
      elseif name == 'f' then out[1] = { what = 'cancel', had = ctx.cancel 'a' } end
      out[#out + 1] = { what = name, w = shown(ctx.watermark) }
      for _, row in ipairs(out) do row.k, row.n = ctx.key, s.n ctx.emit(row) end
    end })
  :process('second', { max_keys = 1000, state = { m = 0 },
    on_event = function(e, s, ctx)
      s.m = s.m + 1
      ctx.timer('q' .. e.n %% 2, ctx.time + 5)
      if e.n %% 13 == 0 then error 'told to' end
      e.m, e.time, e.w2 = s.m, ctx.time, shown(ctx.watermark)
      ctx.emit { what = e.what, had = e.had, new = e.new, w = e.w, k = e.k, n = e.n, m = e.m, time = e.time, w2 = e.w2 }
    end,
    on_timer = function(name, s, ctx)
      ctx.emit { q = name, k = ctx.key, m = s.m, time = ctx.time, w2 = shown(ctx.watermark) }
    end })
]]

local OLD = [[ttl = '%dms', on_expire = function(s, ctx)
      ctx.emit { what = 'old', w = shown(ctx.watermark), k = ctx.key, n = s.n }
      if s.n %% 4 == 0 then error 'told to' end
    end,]]

--- The dead letters as the reference writes them.
local function letters_of(text)
  local list = {}
  for i, letter in ipairs(h.rows(text)) do
    assert.equal(letter.timer == nil, letter.event ~= nil)
    list[i] = ('["%s",%s]'):format(letter.key, not letter.timer and 'null' or
      letter.timer.expired and ('{"name":null,"time":%d}'):format(letter.timer.time) or
      ('{"name":"%s","time":%d}'):format(letter.timer.name, letter.timer.time))
  end
  return table.concat(list, '\n')
end

describe('timers', function()
  after_each(running.stop_all)

  it('do what the reference does, in every way to run', function()
    local fired, failed, dropped, old = 0, 0, 0, 0
    for seed = 1, 20 do
      math.randomseed(seed)
      local dir = h.folder()
      local s = { out_of_order = pick { 0, 0, 25 }, max_keys = pick { 2, 4, 1000 }, ttl = seed > 10 and pick { 1, 10, 60, 400 } or h.null,
        letters = dir .. '/letters.want' }
      local input = stream(600, pick { 1, 8, 60 }, pick { 0, 40 }, 6)
      h.write(json.encode(s), dir .. '/spec.json')
      h.write(input, dir .. '/in')
      local ref = h.shell(('python3 tests/spec/timers_reference.py %s/spec.json <%s/in'):format(dir, dir))
      assert.equal(0, ref.code, ref.err)
      local filter = seed % 2 == 0 and 'function(e) return e.keep == true end' or 'function(e) return (e.keep and 1 or 0) + 0 == 1 end'
      local file = h.write(SCRIPT:format(dir .. '/dead', s.out_of_order, filter, s.max_keys,
        s.ttl ~= h.null and OLD:format(s.ttl) or ''), dir .. '/s.lua')
      local want_letters, want_dropped = h.read(s.letters):match '^(.-)\n?(%d+)\n$'
      local ways = {
        function() return h.run({ 'run', '--json', file }, input) end,
        function() return h.run({ 'run', '--json', '--no-jit', file }, input) end,
        function()
          return h.shell(('python3 tests/spec/tools/pieces.py 3 <%s/in | %s'):format(dir, h.command { 'run', '--json', file }))
        end,
      }
      for i, way in ipairs(ways) do
        if i == 1 or seed % 4 == 0 then
          os.remove(dir .. '/dead')
          local r = way()
          local where = ('seed %d, way %d, %s'):format(seed, i, dir)
          assert.equal(0, r.code, where .. r.err)
          compare(ref.out, r.out, where)
          compare(want_letters, letters_of(h.read(dir .. '/dead')), 'letters, ' .. where)
          assert.equal(tonumber(want_dropped), h.decode(r.err:match '(%b{})\n$').counters.timers_dropped, where)
        end
      end
      fired = fired + select(2, ref.out:gsub('"q":', ''))
      old = old + select(2, ref.out:gsub('"what":"old"', ''))
      failed = failed + select(2, want_letters:gsub('"name"', ''))
      dropped = dropped + tonumber(want_dropped)
    end
    assert.is_true(fired > 1000 and failed > 50 and dropped > 5 and old > 200, ('%d, %d, %d, %d'):format(fired, failed, dropped, old))
  end)

  --- A process with timers in a row of events with a time and a key; `more`: further options.
  local function run(on_event, on_timer, lines, more, option)
    local code = ([[stream:event_time { field = 't' }:key_by 'k':process('p', { %s unbounded = true, state = { n = 0 },
      on_event = function(e, s, ctx) s.n = s.n + 1 %s end, on_timer = function(name, s, ctx) %s end })]]):format(more or '', on_event,
      on_timer)
    return h.run({ 'run', option or '--json', '-e', code }, table.concat(lines, '\n') .. '\n')
  end

  it('the same time again keeps its place among equal times, another one moves behind', function()
    local r = run("for _, op in ipairs(e.set) do ctx.timer(op[1], op[2]) end", 'ctx.emit { name = name, t = ctx.time }', {
      '{"t":1,"k":1,"set":[["a",9],["b",9],["c",9],["a",9],["b",8],["b",9]]}' })
    assert.equal('{"name":"a","t":9}\n{"name":"c","t":9}\n{"name":"b","t":9}\n', r.out, r.err)
  end)

  it('a chain that would have no end fails, and the run goes on', function()
    local r = run("ctx.timer('x', ctx.time - 1)", "ctx.timer('x', ctx.time) if s.n > 1 then ctx.emit { n = s.n } end", {
      '{"t":1,"k":1}', '{"t":2,"k":1}' }, nil, '--max-rows=50')
    assert.truthy(r.err:find('50 timers in a row were set by timers for their own time or before it', 1, true), r.err)
    assert.equal(0, r.code)
  end)

  it('names what is wrong', function()
    local cases = {
      ["ctx.timer('x')"] = 'ctx.timer takes a time in whole ms, such as ctx.time + 60000, got nil',
      ["ctx.timer('x', '5m')"] = 'such as ctx.time + 60000, got a string',
      ["ctx.timer('x', 1.5)"] = 'got 1.5',
      ["ctx.timer('x', 0 / 0)"] = 'ctx.timer takes a time in whole ms',
      ["ctx.timer('x', math.huge)"] = 'got inf',
      ["ctx.timer(5, 7)"] = 'ctx.timer: a timer has a name of 1 to 255 bytes, got 5',
      ["ctx.timer('', 7)"] = 'got one of 0',
      ["ctx.cancel()"] = 'ctx.cancel: a timer has a name of 1 to 255 bytes, got nil',
      ["ctx.cancl('x')"] = "ctx has no 'cancl' (did you mean 'cancel'?)",
      ["ctx.wall_timer('x', 30)"] = "ctx.wall_timer takes a name and how long to wait, such as '30s': a duration needs a unit: write '30s'",
      ["ctx.wall_timer('x')"] = "ctx.wall_timer takes a name and how long to wait, such as '30s': a duration is a text",
      ["ctx.wall_timer('x', '0s')"] = "ctx.wall_timer waits whole milliseconds, at least one, got '0s'",
      ["ctx.wall_timer('x', '-5s')"] = "at least one, got '-5s'",
      ["ctx.wall_timer('x', '0.5ms')"] = "at least one, got '0.5ms'",
      ["ctx.wall_timer({}, '5s')"] = 'ctx.wall_timer: a timer has a name of 1 to 255 bytes, got a table',
      ["ctx.wall_timr('x')"] = "ctx has no 'wall_timr' (did you mean 'wall_timer'?)",
    }
    for body, message in pairs(cases) do
      local r = run(body, '', { '{"t":1,"k":1}' })
      assert.truthy(r.err:find(message, 1, true), body .. ': ' .. r.err)
    end
    local late = h.run({ 'run', '-e', [[local kept
      return stream:event_time { field = 't' }:process('p', { unbounded = true, on_timer = print,
        on_event = function(e, s, ctx) kept = ctx ctx.emit(e) end }):map(function(e) kept.timer('x', 1) return e end)]] }, '{"t":1}\n')
    assert.truthy(late.err:find('ctx.timer was called after its function had returned', 1, true), late.err)
  end)

  it('a timer that is dropped when a run is ended early is counted, and does not fire', function()
    local dir = h.folder()
    local file = h.write([[local tm = require 'tidemill'
      return tm.pipeline 'p':event_time { field = 't' }:key_by 'k':process('p', { unbounded = true,
      on_event = function(e, s, ctx) ctx.timer('a', 50) ctx.timer('b', 60) ctx.emit(e) end,
      on_timer = function(name, s, ctx) ctx.emit { fired = name } end })]], dir .. '/s.lua')
    local fifo, out = running.fifo(), dir .. '/out'
    local r = running.start({ 'run', '--json', file }, { stdin = fifo, stdout = out, stderr = dir .. '/err' })
    local feed = io.open(fifo, 'w')
    feed:write '{"t":1,"k":1}\n{"t":2,"k":2}\n'
    feed:flush()
    running.wait_until('the first rows', function() return running.size(out) == 28 end)
    r:signal 'TERM'
    assert.equal(0, r:wait())
    feed:close()
    assert.equal('{"t":1,"k":1}\n{"t":2,"k":2}\n', h.read(out))
    assert.equal(4, r:summary().counters.timers_dropped)
  end)

  it('behind a flat_map, by a key of two fields, in front of a window', function()
    local r = h.run({ 'run', '-e', [[stream:event_time { field = 't' }
      :flat_map(function(e, emit) for i = 1, 2 do emit { k = e.k, i = i } end end)
      :key_by { 'k', 'i' }:process('p', { ttl = '1h', state = { n = 0 },
        on_event = function(e, s, ctx) s.n = s.n + 1 ctx.timer('x', ctx.time + 5) end,
        on_timer = function(name, s, ctx) ctx.emit { of = ctx.key.k .. ctx.key.i, n = s.n } end })
      :window('w', tm.window.tumbling '10ms'):aggregate { of = tm.agg.collect 'of', n = tm.agg.sum 'n' }]] },
      '{"k":"a","t":1}\n{"k":"b","t":7}\n{"k":"c","t":8}\n{"k":"b","t":30}\n{"k":"b","t":31}\n')
    -- a at 6, c at 13, b at 36: its event at 30 came before the watermark, and moved the timer
    local want = {}
    for i, k in ipairs { 'a', 'c', 'b' } do
      want[i] = ('{"i":%s,"k":"%s","n":%d,"of":["%s%s"],"window_end":%d,"window_start":%d}'):format('1', k, k == 'b' and 3 or 1, k, '1',
        ({ 10, 20, 40 })[i], ({ 0, 10, 30 })[i])
      want[i] = want[i] .. '\n' .. want[i]:gsub('"i":1', '"i":2'):gsub(k .. '1', k .. '2')
    end
    assert.equal(table.concat(want, '\n') .. '\n', r.out, r.err)
  end)

  it('gives a key beyond 2^53 back as the integer it is', function()
    local r = run("ctx.timer('x', 9)", 'ctx.emit { k = ctx.key, n = s.n }', { '{"t":1,"k":9007199254740993}' })
    assert.equal('{"k":9007199254740993,"n":1}\n', r.out, r.err)
  end)

  it('that fire while workers are killed leave the rows beside them exact', function()
    local dir = h.folder()
    local out = dir .. '/out'
    local file = h.write(([[local tm = require 'tidemill'
      local function shown(w) return w < 2 ^ 53 and w or nil end
      local all = tm.pipeline 'p':from(tm.source.generate(function(n)
        return '{"t":' .. n .. ',"k":' .. n %% 50 .. ',"i":' .. n .. '}' end, { count = 300000 })):event_time { field = 't' }
      local timed = all:key_by 'k':process('p', { ttl = '20ms',
        on_event = function(e, s, ctx) ctx.timer('a', ctx.time + e.i %% 90) ctx.timer('b', ctx.time - 5) end,
        on_timer = function(name, s, ctx) ctx.emit { fired = name, t = ctx.time, w = shown(ctx.watermark) } end,
        on_expire = function(s, ctx) ctx.emit { fired = 'old', t = ctx.time, w = shown(ctx.watermark) } end })
        :filter(function(e) return e.fired ~= 'b' end)
      return { all:select { 'i' }:to(tm.sink.file '%s'), timed:to(tm.sink.file '%s') }]]):format(out, dir .. '/timed'), dir .. '/s.lua')
    local p = running.start { 'run', '--json', file }
    local kills, code = kill.often(p, function() return running.size(out) end, 12)
    assert.equal(0, code, p:err())
    assert.is_true(kills > 2)
    assert.equal(h.shell('seq -f \'{"i":%.0f}\' 300000 | sha256sum').out:match '%x+', running.digest(out))
    -- a row of a timer comes from a watermark that reached its time, and but for the end's none is later than it
    local n = 0
    for line in io.lines(dir .. '/timed') do
      local t, w = line:match '"t":(%d+),"w":(%d+)}$'
      if w then assert(tonumber(t) <= tonumber(w), line) n = n + 1 end
    end
    assert.is_true(n > 50000)
  end)
end)
