--[[
sliding_spec.lua - over, and sliding windows, judged by a slow reference (sliding_reference.py): random streams with disorder, late
events, gaps, equal, negative and huge times, values that are not there or of the wrong type, events that fail. With the JIT off and
however the input is cut. And bounds, memory, mistakes.
]]

local h = require 'spec.helper'
local json = require 'dkjson'

local ROUNDS = tonumber(os.getenv 'SLIDING_ROUNDS' or 20)

local function pick(list) return list[math.random(#list)] end

local KINDS = { 'count', 'sum', 'avg', 'var', 'stddev', 'min', 'max', 'first', 'last', 'distinct', 'quantile' }
-- of these alone windows move over all keys at once (lua/tidemill/slide.lua)
local MOVING = { 'count', 'sum', 'avg', 'var', 'stddev', 'quantile' }
local SIZES = { 1, 700, 5000, 60000 }

local WILD = { 1e300, -1e300, 1e-300, 9007199254740991, 0.1, 1e17, -3.5, 3 }

--- Random lines: times around `base`, steps of up to `gap` ms, up to `disorder` ms late. wild: values far apart, and none; so many keys.
local function stream(n, gap, disorder, base, odd, wild)
  local lines, t = {}, base
  for i = 1, n do
    local r = math.random()
    if r < 0.6 then t = t + math.random(0, gap) elseif r < 0.61 then t = t + gap * math.random(50, 500) end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    local v = wild and pick(WILD) or pick { math.random(-50, 50), math.random(-5000, 5000) / 100, math.random() * 1e6, 0 }
    local x = pick { 'null', '"b"', '"a"', '"ab"', '""', '"é"' }
    local y = pick { 'true', 'false', '1', '"1"', '[1,2]', '{"a":null}', 'null', '-3.5' }
    local wrong, none = odd and math.random() < 0.02, wild and i % 11 == 0
    lines[i] = ('{"ts":%.0f,"k":"k%d","v":%s,"x":%s,"y":%s,"d":%s,"i":%d,"boom":%s}'):format(t - late,
      math.random(1, wild or 5), wrong and '"no number"' or none and 'null' or ('%.17g'):format(v),
      odd and math.random() < 0.05 and '7' or x, y, pick { '1', '"1"', 'true', 'null', '2.5' }, i,
      tostring(odd and math.random() < 0.05))
  end
  return table.concat(lines, '\n') .. '\n'
end

local FIELD = { min = { 'v', 'x' }, max = { 'v', 'x' }, first = { 'v', 'y', 'x' }, last = { 'v', 'y', 'x' }, distinct = { 'v', 'd' } }

local function random_spec(mode)
  local size = pick(SIZES)
  local s = { mode = mode, out_of_order = pick { 0, 500, 5000 }, key = math.random() < 0.7 and 'k' or h.null, fails = 'boom',
    aggregates = {} }
  local kinds = math.random() < 0.5 and MOVING or KINDS
  for i = 1, math.random(1, 6) do
    local kind = pick(kinds)
    if i == 1 and kind == 'quantile' then kind = 'sum' end   -- what `fails` compares with is exact
    s.aggregates[i] = { name = 'a' .. i, kind = kind, field = pick(FIELD[kind] or { 'v' }), over = mode == 'over' and pick(SIZES) or size,
      where = math.random() < 0.3 and 'big' or nil, share = pick { 0, 0.5, 0.9, 1 } }
  end
  if mode == 'sliding' then s.fails = math.random(1, 30) end
  return s
end

local WHERE = { big = 'where = function(e) return e.v > 0 end', some = 'where = function(e) return e.i % 3 > 0 end' }

local function script(s, dir)
  local list = {}
  for i, a in ipairs(s.aggregates) do
    local options = { WHERE[a.where or 1] }
    if s.mode == 'over' then options[#options + 1] = ("over = '%dms'"):format(a.over) end
    local args = { a.kind ~= 'count' and "'" .. a.field .. "'" or nil }
    if a.kind == 'quantile' then args[#args + 1] = tostring(a.share) end
    args[#args + 1] = '{ ' .. table.concat(options, ', ') .. ' }'
    list[i] = ('    %s = tm.agg.%s(%s)'):format(a.name, a.kind, table.concat(args, ', '))
  end
  list = '{\n' .. table.concat(list, ',\n') .. ' }'
  return ([[local tm = require 'tidemill'
return tm.pipeline 'p':on_error(tm.sink.discard()):event_time { field = 'ts', out_of_order = '%dms' }%s
  %s
  :map(function(e) if %s then error 'as was asked for' end return e end):late_to(tm.sink.file '%s/late')]]):format(s.out_of_order,
    s.key == 'k' and ":key_by 'k'" or '',
    s.mode == 'over' and ":over('o', " .. list .. (s.max and ', { max = ' .. s.max .. ' }' or '') .. ')' or
      (":window('o', tm.window.sliding '%dms'):aggregate %s"):format(s.aggregates[1].over, list),
    s.mode == 'over' and 'e.boom' or ('e.a1 == %d'):format(s.fails), dir)
end

--- Runs the script and has the reference judge its rows.
local function judge(s, input, where)
  local dir = h.folder()
  local text = script(s, dir)
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.run { 'run', '--quiet', '--from', dir .. '/in', h.write(text, dir .. '/s.lua') }
  assert.equal(0, r.code, text .. r.err)
  h.write(r.out, dir .. '/out')
  local j = h.shell(('python3 tests/spec/sliding_reference.py %s/spec.json %s/in %s/out %s/late'):format(dir, dir, dir, dir))
  assert.equal(0, j.code, ('%s\n%s\n%s in %s'):format(where, text, j.err, dir))
  return dir, r.out
end

describe('sliding values', function()
  for _, mode in ipairs { 'over', 'sliding' } do
    it('are those of the reference: ' .. mode, function()
      for seed = 1, ROUNDS do
        math.randomseed(seed)
        local s = random_spec(mode)
        local input = stream(500, pick { 1, 30, 400, 20000 }, pick { 0, 1000, 9000 }, pick { 0, 1700000000000, -5000, -9e14, 9e14 },
          seed % 2 == 0)
        judge(s, input, 'seed ' .. seed)
      end
    end)

    it('and of a key with many events, most of them out of order: ' .. mode, function()
      for seed = 101, 103 do
        math.randomseed(seed)
        local s = random_spec(mode)
        s.key, s.out_of_order = h.null, 3000
        judge(s, stream(3000, 20, 3000, 0, false), 'seed ' .. seed)
      end
    end)

    it('do not depend on the JIT, nor on how the input is cut: ' .. mode, function()
      for seed = 201, 202 do
        math.randomseed(seed)
        local s = random_spec(mode)
        local dir, out = judge(s, stream(3000, 30, 6000, 0, true), 'seed ' .. seed)
        local r = h.run { 'run', '--quiet', '--no-jit', '--from', dir .. '/in', dir .. '/s.lua' }
        assert.equal(out, r.out)
        local command = h.command { 'run', '--quiet', dir .. '/s.lua' }
        assert.equal(out, h.sh('python3 tests/spec/tools/pieces.py %d <%s/in | %s', seed, dir, command))
      end
    end)
  end

  -- these have a way of their own (slide_plain.c), which leaves sums that a pair of doubles does not hold to the other one
  it('are those of the reference for counts, sums and means alone, few events a key to many, in any order, bounded', function()
    for seed = 401, 412 do
      math.randomseed(seed)
      local disorder = pick { 0, 40, 3000 }
      local s = { mode = 'over', out_of_order = pick { 0, disorder }, key = 'k', fails = 'boom', aggregates = {} }
      for i = 1, math.random(1, 4) do
        s.aggregates[i] = { name = 'a' .. i, kind = pick { 'count', 'sum', 'avg' }, field = 'v', over = pick { 1, 50, 700, 700, 5000 },
          where = seed % 4 == 0 and math.random() < 0.5 and 'some' or nil }
      end
      if seed % 3 == 0 then s.max, s.out_of_order = math.random(1, 12), disorder end
      local wild = pick { false, 1, 3, 40, 400 }
      judge(s, stream(1500, pick { 1, 20, 300 }, disorder, pick { 0, -2000, 1700000000000 }, false, wild or nil), 'seed ' .. seed)
    end
  end)

  it('of many keys that come and go are those of the reference', function()
    math.randomseed(451)
    local s = { mode = 'over', out_of_order = 300, key = 'k', fails = 'boom', aggregates = {
      { name = 'a1', kind = 'count', field = 'v', over = 5000 }, { name = 'a2', kind = 'sum', field = 'v', over = 700 } } }
    judge(s, stream(60000, 1, 400, 0, false, 20000), 'seed 451')
  end)

  -- numbers alone by a key in a column: rows wait many at a time in C, but for those that are late or of another type
  it('are those of the reference where rows wait many at a time, and the same where each is looked at', function()
    for seed = 301, 303 do
      math.randomseed(seed)
      local s = { mode = 'sliding', out_of_order = pick { 0, 500, 5000 }, key = 'k', fails = math.random(1, 8), aggregates = {} }
      local size = pick(SIZES)
      for i, kind in ipairs { 'count', 'sum', 'avg' } do s.aggregates[i] = { name = 'a' .. i, kind = kind, field = 'v', over = size } end
      local dir, out = judge(s, stream(2500, pick { 1, 30, 400 }, 6000, 0, seed % 2 == 1), 'seed ' .. seed)
      local text = h.read(dir .. '/s.lua'):gsub(":key_by 'k'", ":map(function(e) return e end):key_by 'k'")
      local r = h.run { 'run', '--quiet', '--from', dir .. '/in', h.write(text, dir .. '/each.lua') }
      assert.equal(out, r.out, 'seed ' .. seed)
      local command = h.command { 'run', '--quiet', dir .. '/s.lua' }
      assert.equal(out, h.sh('python3 tests/spec/tools/pieces.py %d <%s/in | %s', seed, dir, command))
    end
  end)

  it('a process behind them has the key, its rows the fields, of each event at its turn', function()
    local lines = {}
    for i = 1, 3000 do
      local key = i % 7 == 0 and i % 5 or ('"key of some length %d"'):format(i % 40)
      lines[i] = ('{"ts":%d,"k":%s,"v":%d}'):format(i - i % 3 * 2, key, i % 9)
    end
    local out = h.e("stream:event_time { field = 'ts', out_of_order = '4ms' }:key_by 'k':window('o', tm.window.sliding '100ms')" ..
      ":aggregate { n = tm.agg.count(), s = tm.agg.sum 'v' }:process('p', { max_keys = 100, state = { seen = 0 }, " ..
      'on_event = function(e, s, ctx) s.seen = s.seen + 1 ctx.emit { k = ctx.key, same = ctx.key == e.k, n = e.n, s = e.s, ' ..
      'at = ctx.time, seen = s.seen, w = ctx.watermark } end })', lines)
    -- the slow way, in order of time, then of arrival
    local events, seen, highest = {}, {}, -math.huge
    for i, line in ipairs(lines) do
      events[i] = h.decode(line)
      events[i].i = i
      if events[i].ts > highest then highest = events[i].ts end
    end
    table.sort(events, function(a, b) if a.ts ~= b.ts then return a.ts < b.ts end return a.i < b.i end)
    local rows = h.rows(out)
    assert.equal(3000, #rows)
    for at, e in ipairs(events) do
      local n, sum = 0, 0
      for j = at, math.max(1, at - 400), -1 do
        local o = events[j]
        if o.k == e.k and o.ts > e.ts - 100 then n, sum = n + 1, sum + o.v end
      end
      seen[e.k] = (seen[e.k] or 0) + 1
      local row = rows[at]
      assert.same({ e.k, true, n, sum, e.ts, seen[e.k] }, { row.k, row.same, row.n, row.s, row.at, row.seen }, 'row ' .. at)
      assert.is_true(not row.w or row.w < e.ts)
    end
  end)

  it('have their bounds: events of a key, keys', function()
    local input, more = {}, {}
    for i = 1, 10 do
      input[i] = ('{"ts":%d,"k":"a","v":%d}'):format(i, i)
      more[i] = ('{"ts":%d,"k":"k%d","v":%d}'):format(i, i % 3, i)
    end
    local step = "stream:event_time { field = 'ts' }:key_by 'k':over('o', { n = tm.agg.count { over = '1m' }, " ..
      "m = tm.agg.min('v', { over = '1m' }) }, "
    local plain = step:gsub('min', 'sum')
    local function ns(options, lines, what)
      local list = {}
      for _, row in ipairs(h.rows((h.e((what or step) .. options .. '):on_error(tm.sink.discard())',
        lines)))) do list[#list + 1] = row.n .. ':' .. row.m end
      return table.concat(list, ' ')
    end
    assert.equal('1:1 2:1 3:1 3:2 3:3 3:4 3:5 3:6 3:7 3:8', ns("{ max = 3 }", input))
    assert.equal('1:1 2:1 3:1', ns("{ max = 3, on_full = 'refuse' }", input))
    assert.equal('1:1 2:3 3:6 3:9 3:12 3:15 3:18 3:21 3:24 3:27', ns("{ max = 3 }", input, plain))
    assert.equal('1:1 2:3 3:6', ns("{ max = 3, on_full = 'refuse' }", input, plain))
    -- the third key takes the place of the one not written for longest
    assert.equal('1:1 1:2 1:3 1:4 1:5 1:6 1:7 1:8 1:9 1:10', ns("{ max_keys = 2 }", more))
    assert.equal('1:1 2:1 3:1', ns("{ max_keys = 1, on_full = 'refuse' }", { input[1], more[1], input[2], input[3] }))
  end)

  it('take memory for what is in their windows alone', function()
    local dir = h.folder()
    local lines = {}
    for i = 1, 60000 do lines[i] = ('{"ts":%d,"k":"k%d","v":1}'):format(i * 10, i) end   -- 100 new keys a second
    for i = 60001, 160000 do lines[i] = ('{"ts":%d,"k":"one","v":1}'):format(600000 + i) end
    h.write(table.concat(lines, '\n') .. '\n', dir .. '/in')
    local code = "stream:event_time { field = 'ts' }:key_by 'k':over('o', { n = tm.agg.count { over = '10s' } })" ..
      ':filter(function(e) return false end)'
    local function keys(count)
      h.sh("head -%d %s/in >%s/part", count, dir, dir)
      local r = h.run { 'state', 'ls', '--json', '--from', dir .. '/part', '-e', code }
      assert.equal(0, r.code, r.err)
      return h.decode(r.out)[1].keys
    end
    -- 1,000 keys are within ten seconds; those of no use are no more than others, about
    local live = keys(60000)
    assert.is_true(live >= 1000 and live <= 3000, live)
    assert.is_true(keys(160000) <= 100)
  end)

  it('are told in one line what they cannot do', function()
    for code, message in pairs {
      [":over('o', { n = tm.agg.count() })"] = "over: 'n' needs to know how far it looks back: tm.agg.count({ over = '1m' })",
      [":over('o', { n = tm.agg.sum 'v' })"] = "over: 'n' needs to know how far it looks back: tm.agg.sum('v', { over = '1m' })",
      [":over('o', { n = tm.agg.count { over = 60 } })"] = "tm.agg.count: 'over': ",
      [":over('o', { n = tm.agg.count { over = '0s' } })"] = "tm.agg.count: 'over' is longer than nothing, got '0s'",
      [":over('o', { n = tm.agg.count { ovr = '1m' } })"] = "tm.agg.count has no option 'ovr' (did you mean 'over'?)",
      [":over('o', { n = tm.agg.collect 'v' })"] = "'n' is tm.agg.collect, which cannot forget an event",
      [":over({ n = tm.agg.count { over = '1m' } })"] = 'over keeps state, so it needs a name',
      [":over('o', { n = tm.agg.count { over = '1m' } }, { max = 0 })"] = "over: 'max' is a whole number from 1 to",
      [":key_by 'k':over('o', { k = tm.agg.count { over = '1m' } })"] = "over: 'k' is a field of the key; give the aggregate another name",
      [":running('o', { n = tm.agg.count { over = '1m' } }, { unbounded = true })"] =
        "'over' goes with :over('name', { … }), not with running",
      [":window('o', tm.window.sliding '1m'):aggregate { n = tm.agg.top(3, 'v') }"] = "'n' is tm.agg.top, which cannot forget an event",
      [":window('o', tm.window.sliding '1m'):aggregate { n = tm.agg.count() }:emit 'updates'"] =
        'emit: a sliding window gives one row for each event, when the watermark has passed it; leave emit out',
      [":window('o', tm.window.sliding '1m', { lateness = '1s' })"] = 'is sent once; leave lateness out, and make out_of_order',
      [":window('o', tm.window.sliding())"] = 'tm.window.sliding: the size',
    } do
      local r = h.run { 'check', '-e', "stream:event_time { field = 'ts' }" .. code }
      assert.equal(3, r.code, code .. r.out .. r.err)
      assert.truthy(r.err:find(message, 1, true), code .. '\n' .. r.err)
    end
    local r = h.run { 'check', '-e', "stream:over('o', { n = tm.agg.count { over = '1m' } })" }
    assert.truthy(r.err:find("over needs event time: write :event_time { field = 'ts', unit = 'ms' } before it", 1, true), r.err)
  end)

  it('a mix of numbers and texts in one window is a dead letter that says so', function()
    local _, r = h.e("stream:event_time { field = 'ts' }:over('o', { m = tm.agg.min('v', { over = '10ms' }) })",
      { '{"ts":1,"v":1}', '{"ts":2,"v":"a"}', '{"ts":11,"v":"a"}' })
    assert.truthy(r.err:find("'m': min takes numbers or texts, but there are both of field 'v' in one window", 1, true), r.err)
    assert.equal(2, #h.rows(r.out))
  end)

  it('of int64 and decimals are exact', function()
    local schema = ":schema { id = 'int64', v = 'decimal(2)' }:event_time { field = 'ts' }"
    local out = h.e('stream' .. schema .. [[:over('o', { s = tm.agg.sum('id', { over = '10ms' }), m = tm.agg.max('id', { over = '10ms' }),
      d = tm.agg.sum('v', { over = '10ms' }) }):select { 's', 'm', 'd' }]],
      { '{"ts":1,"id":9223372036854775807,"v":0.10}', '{"ts":2,"id":9223372036854775806,"v":0.20}', '{"ts":11,"id":1,"v":0.07}' })
    -- Python: 2**63 - 1 + 2**63 - 2, then 2**63 - 2 + 1; 0.1 + 0.2, 0.2 + 0.07 as Decimal
    assert.equal('{"s":9223372036854775807,"m":9223372036854775807,"d":0.1}\n' ..
      '{"s":18446744073709551613,"m":9223372036854775807,"d":0.3}\n' ..
      '{"s":9223372036854775807,"m":9223372036854775806,"d":0.27}\n', (out:gsub('"m":"(%d+)"', '"m":%1')))
  end)
end)
