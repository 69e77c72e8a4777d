--[[
features_spec.lua - features judged by sqlite3 (features_reference.py): random groups over random streams with disorder, late events, equal
times, several keys, gaps that end a key, conditions, events that fail. With the JIT off, however the input is cut, after crashes. And
bounds, memory, mistakes.
]]

local h = require 'spec.helper'
local json = require 'dkjson'

local ROUNDS = tonumber(os.getenv 'FEATURES_ROUNDS' or 24)

local function pick(list) return list[math.random(#list)] end
local function chance(p) return math.random() < p end

local SIZES = { 1, 50, 700, 5000, 60000 }
local WILD = { 1e300, -1e300, 1e-300, 9007199254740991, 0.1, 1e17, -3.5, 3 }

--- Lines of events: steps of up to `gap` ms, up to `disorder` ms late; some fields are not there.
local function stream(o)
  local lines, t = {}, o.base
  for i = 1, o.n do
    local r = math.random()
    if r < 0.6 then t = t + math.random(0, o.gap) elseif r < 0.62 then t = t + o.gap * math.random(50, 500) end
    local late = chance(0.3) and math.random(0, o.disorder) or 0
    local v = o.wild and pick(WILD) or math.random(-200, 200) / 4
    lines[i] = ('{"ts":%.0f,%s"m":%d,"v":%s,"x":%s,"y":%s,%s"i":%d,"boom":%s}'):format(t - late,
      chance(0.03) and '' or ('"k":"k%d",'):format(math.random(1, o.keys)), math.random(1, 2),
      chance(0.05) and 'null' or ('%.17g'):format(v), pick { '1', '"1"', 'true', '"a"', '"long text of a device"', 'null', '2.5', 'false' },
      pick { '"p"', '"q"', 'null', '""' },
      chance(0.8) and ('"lat":%.4f,"lon":%.4f,'):format(math.random() * 170 - 85, math.random() * 358 - 179) or '', i,
      tostring(chance(o.fails or 0)))
  end
  return table.concat(lines, '\n') .. '\n'
end

local KINDS = { 'count', 'sum', 'avg', 'stddev', 'min', 'max', 'distinct', 'quantile', 'has', 'last', 'first_seen', 'time_since', 'ewma',
  'travel', 'ratio' }
local FIELD = { distinct = 'x', has = 'x', last = 'y' }
local STEPS = { count = true, sum = true, avg = true, stddev = true, min = true, max = true }
local NO_FIELD = { count = true, first_seen = true, time_since = true, travel = true, ratio = true }

local function random_feature(name, kinds, wild)
  local kind = pick(kinds)
  local f = { name = name, kind = kind, field = not NO_FIELD[kind] and (FIELD[kind] or 'v') or nil,
    where = chance(0.3) and pick { 'big', 'some' } or nil }
  if kind == 'ratio' then
    f.where = nil
    f.parts = { random_feature(name, { 'count', 'sum', 'max', 'distinct', 'quantile' }),
      random_feature(name, { 'count', 'avg', 'stddev' }) }
    return f
  end
  if kind == 'travel' then
    f.within = pick { 500, 60000 }
    return f
  end
  if kind == 'ewma' then f.half_life = pick { 100, 5000 }
  elseif kind == 'quantile' then f.share = pick { 0, 0.25, 0.5, 0.9, 1 } end
  if kind ~= 'ewma' and not ((kind == 'first_seen' or kind == 'time_since') and chance(0.5)) then f.over = pick(SIZES) end
  if kind ~= 'has' and kind ~= 'time_since' and chance(0.35) then f.current = false end
  if STEPS[kind] and f.over and f.over > 50 and chance(0.4) and not wild then f.step = pick { 7, 20, f.over / 10 } end
  if kind == 'distinct' and chance(0.3) then f.max = 3 end
  if f.over and kind ~= 'first_seen' and kind ~= 'time_since' and chance(0.2) then f.min_history = math.random(2, 5) end
  return f
end

local function random_spec(o)
  local s = { out_of_order = pick { 0, 500, 3000 }, key = pick { { 'k' }, { 'k' }, { 'k', 'm' } }, fails = 'boom',
    ttl = pick { 70000, 2000000 }, max = o.max or 10000, features = {}, wild = o.wild }
  for i = 1, math.random(2, o.features or 14) do s.features[i] = random_feature('f' .. i, o.kinds or KINDS, o.wild) end
  return s
end

local WHERE = { big = 'where = function(e) return e.v ~= nil and e.v > 0 end', some = 'where = function(e) return e.i % 3 > 0 end' }

local function feature_text(f)
  local options = { WHERE[f.where or 1] }
  for _, name in ipairs { 'over', 'step', 'half_life', 'within' } do
    if f[name] then options[#options + 1] = ("%s = '%dms'"):format(name, f[name]) end
  end
  for _, name in ipairs { 'min_history', 'max' } do
    if f[name] then options[#options + 1] = ('%s = %d'):format(name, f[name]) end
  end
  if f.current == false then options[#options + 1] = 'current = false' end
  options = '{ ' .. table.concat(options, ', ') .. ' }'
  if f.kind == 'travel' then return ("tm.f.travel { 'lat', 'lon', %s"):format(options:sub(3)) end
  if f.kind == 'ratio' then return ('tm.f.ratio(%s, %s)'):format(feature_text(f.parts[1]), feature_text(f.parts[2])) end
  if not f.field then return ('tm.f.%s(%s)'):format(f.kind, options) end
  return ("tm.f.%s('%s', %s%s)"):format(f.kind, f.field, f.share and f.share .. ', ' or '', options)
end

local function script(s, types)
  local list = { ("key = { '%s' }, ttl = '%dms', max = %d"):format(table.concat(s.key, "', '"), s.ttl, s.max) }
  for _, f in ipairs(s.features) do list[#list + 1] = ('%s = %s'):format(f.name, feature_text(f)) end
  return ([[local tm = require 'tidemill'
return tm.pipeline 'p':on_error(tm.sink.discard()):event_time { field = 'ts', out_of_order = '%dms' }%s
  :features('f', tm.features {
    %s })
  :map(function(e) if e.boom then error 'as was asked for' end return e end)]]):format(s.out_of_order, types or '',
    table.concat(list, ',\n    '))
end

--- Runs the script and has sqlite3 judge its rows. Returns the folder, the rows, and how many values were neither null nor 0.
local function judge(s, input, where, types)
  local dir = h.folder()
  local text = script(s, types)
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.run { 'run', '--quiet', '--from', dir .. '/in', h.write(text, dir .. '/s.lua') }
  assert.equal(0, r.code, text .. r.err)
  h.write(r.out, dir .. '/out')
  local j = h.shell(('python3 tests/spec/features_reference.py %s/spec.json %s/in %s/out'):format(dir, dir, dir))
  assert.equal(0, j.code, ('%s\n%s\n%s in %s'):format(where, text, j.err, dir))
  return dir, r.out, tonumber(j.out)
end

local function random_stream(o)
  return stream { n = o.n or 300, gap = pick { 1, 30, 400, 20000 }, disorder = o.disorder or pick { 0, 1000, 9000 }, keys = o.keys or 4,
    base = pick { 0, 1700000000000, -5000 }, wild = o.wild, fails = o.fails }
end

describe('features', function()
  it('are those of sqlite3', function()
    local told = 0
    for seed = 1, ROUNDS do
      math.randomseed(seed)
      local s = random_spec {}
      local _, _, n = judge(s, random_stream { fails = seed % 2 * 0.05 }, 'seed ' .. seed)
      told = told + n
    end
    assert.is_true(told > ROUNDS * 300, told)
  end)

  it('of a key with many events, in order and not', function()
    for seed = 101, 103 do
      math.randomseed(seed)
      local s = random_spec { features = 8 }
      s.out_of_order = 3000
      judge(s, random_stream { n = 900, keys = 1, disorder = seed % 2 * 3000 }, 'seed ' .. seed)
    end
  end)

  it('of values whose sums two doubles do not hold', function()
    for seed = 201, 206 do
      math.randomseed(seed)
      local s = random_spec { kinds = { 'sum', 'avg', 'min', 'max', 'count', 'quantile' }, wild = true }
      judge(s, random_stream { n = 200, wild = true }, 'seed ' .. seed)
    end
  end)

  it('of keys that have more events than they may hold', function()
    for seed = 301, 306 do
      math.randomseed(seed)
      local kinds = { 'count', 'sum', 'avg', 'min', 'max', 'distinct', 'has', 'last', 'quantile' }
      local s = random_spec { max = math.random(1, 12), kinds = kinds }
      for _, f in ipairs(s.features) do f.step = nil end
      judge(s, random_stream { fails = 0.05 }, 'seed ' .. seed)
    end
  end)

  it('do not depend on the JIT, nor on how the input is cut, nor on how the key is found', function()
    for seed = 401, 402 do
      math.randomseed(seed)
      local s = random_spec {}
      local dir, out = judge(s, random_stream { n = 600, fails = 0.03 }, 'seed ' .. seed)
      local r = h.run { 'run', '--quiet', '--no-jit', '--from', dir .. '/in', dir .. '/s.lua' }
      assert.equal(out, r.out)
      local command = h.command { 'run', '--quiet', dir .. '/s.lua' }
      assert.equal(out, h.sh('python3 tests/spec/tools/pieces.py %d <%s/in | %s', seed, dir, command))
      local text = h.read(dir .. '/s.lua'):gsub(':features%(', ":map(function(e) if e.k then e.k = e.k .. '' end return e end):features(")
      r = h.run { 'run', '--quiet', '--from', dir .. '/in', h.write(text, dir .. '/written.lua') }
      assert.equal(out, r.out)
    end
  end)
end)

--- Runs :features with this table over lines; the rows.
local function rows_of(group, lines)
  local out, r = h.e(("stream:event_time { field = 'ts' }:features('f', tm.features { key = 'k', %s })"):format(group), lines)
  assert.equal(0, r.code, r.err)
  return h.rows(out), r
end

describe('features', function()
  it('of declared decimals are exact, and equal ones are kept once', function()
    local lines = {}
    for i = 1, 20 do lines[i] = ('{"ts":%d,"k":"a","v":0.1}'):format(i) end
    local rows = h.rows(h.e([[stream:schema { v = 'decimal(2)' }:event_time { field = 'ts' }:features('f', tm.features { key = 'k',
      a = tm.f.sum('v', { over = '10ms' }), b = tm.f.sum('v', { over = '10ms' }), c = tm.f.avg('v', { over = '10ms' }),
      d = tm.f.stddev('v', { over = '10ms' }) })]], lines))
    for i = 10, 20 do assert.same({ 1, 1, 0.1, 0 }, { rows[i].a, rows[i].b, rows[i].c, rows[i].d }) end
    local function record(group)
      local r = h.run { 'graph', '-e', ("stream:event_time { field = 'ts' }:features('f', tm.features { key = 'k', %s })"):format(group) }
      return tonumber(r.out:match 'a key (%d+) bytes'), tonumber(r.out:match 'and (%d+) an event')
    end
    local one, entry = record "a = tm.f.sum('v', { over = '1h' })"
    local two, entry2 = record "a = tm.f.sum('v', { over = '1h' }), b = tm.f.sum('v', { over = '1h' }), c = tm.f.avg('v', { over = '1h' })"
    assert.truthy(one and entry)
    assert.same({ one, entry }, { two, entry2 })
    local three, entry3 = record "a = tm.f.sum('v', { over = '1h' }), b = tm.f.sum('v', { over = '1m' })"
    assert.is_true(three > one and entry3 == entry)
  end)

  it('are known with enough history alone, and emptied windows are exactly 0', function()
    local rows = rows_of("n = tm.f.avg('v', { over = '10ms', min_history = 3 }), s = tm.f.sum('v', { over = '10ms', current = false }), " ..
      "c = tm.f.count { over = '10ms', where = function(e) return e.v > 1 end, current = false }",
      { '{"ts":1,"k":"a","v":1e300}', '{"ts":2,"k":"a","v":1}', '{"ts":3,"k":"a","v":1e-300}',
        '{"ts":20,"k":"a","v":2}', '{"ts":21,"k":"a","v":2}' })
    local found = {}
    for i, row in ipairs(rows) do found[i] = { row.n, row.s, row.c } end
    assert.same({ { h.null, h.null, 0 }, { h.null, 1e300, 1 }, { 1e300 / 3, 1e300, 1 }, { h.null, h.null, 0 }, { h.null, 2, 1 } }, found)
  end)

  it('hold what they say at most: events of a key, keys', function()
    local _, r = h.e([[stream:event_time { field = 'ts' }:features('f', tm.features { key = 'k', max = 2, on_full = 'refuse',
      n = tm.f.count { over = '1h' } })]], { '{"ts":1,"k":"a"}', '{"ts":2,"k":"a"}', '{"ts":3,"k":"a"}' })
    assert.truthy(r.err:find("the features of 'f' hold 2 events of this key", 1, true), r.err)
    local lines = {}
    for i = 1, 200 do lines[i] = ('{"ts":%d,"k":"k%d"}'):format(i, i % 50) end
    local rows = rows_of("max_keys = 10, n = tm.f.count { over = '1h' }", lines)
    assert.equal(200, #rows)
    for _, row in ipairs(rows) do assert.equal(1, row.n) end
  end)

  it('of keys that are of no use any more are given back', function()
    local lines = {}
    for i = 1, 60000 do lines[i] = ('{"ts":%d,"k":"k%d"}'):format(i, i) end
    local out, r = h.e("stream:event_time { field = 'ts' }:features('f', tm.features { key = 'k', n = tm.f.count { over = '100ms' } })" ..
      ':filter(function(e) return e.n > 1 end)', lines)
    assert.equal('', out)
    assert.equal(0, r.code, r.err)
    r = h.run({ 'run', '-e', "stream:event_time { field = 'ts' }" ..
      ":features('f', tm.features { key = 'k', n = tm.f.count { over = '100ms' } })",
      '--to', '/dev/null' }, table.concat(lines, '\n') .. '\n')
    local keys = r.err:match '/f%s+([%d,]+) keys'
    assert.truthy(keys, r.err)
    assert.is_true(tonumber((keys:gsub(',', ''))) < 2000, keys)
  end)

  local MISTAKES = {
    { "n = tm.f.count()", "tm.f.count needs to know how far it looks back: { over = '1h' }" },
    { "n = tm.f.sum('v', { ovr = '1h' })", "tm.f.sum has no option 'ovr' (did you mean 'over'?)" },
    { "n = tm.f.cuont { over = '1h' }", "tm.f has no 'cuont' (did you mean 'count'?)" },
    { "n = tm.f.sum({ over = '1h' })", "tm.f.sum takes the name of a field" },
    { "n = tm.f.distinct('v', { over = '30d', step = '1h' })", "tm.f.distinct has no option 'step'" },
    { "n = tm.f.count { over = '1h', step = '2h' }", "'step' is shorter than 'over'" },
    { "n = tm.f.count { over = '400d', step = '1ms' }", 'name a longer step' },
    { "n = tm.f.first_seen()", "ttl = '90d'" },
    { "ttl = '1m', n = tm.f.count { over = '1h' }", "'ttl' of 1m is shorter than a feature looks back (1h)" },
    { "max_kyes = 3, n = tm.f.count { over = '1h' }", "tm.features has no option 'max_kyes' (did you mean 'max_keys'?)" },
    { "k = tm.f.count { over = '1h' }", "'k' is the name of a field of the key already" },
    { "t = tm.f.travel { 'lat', 'lon', within = '1h' }, t_km = tm.f.count { over = '1h' }", "'t_km' is the name of a feature already" },
    { "n = tm.f.decisions('decline', { over = '1h' })", 'a pipeline decides nothing' },
    { "n = tm.f.quantile('v', 2, { over = '1h' })", 'takes a share from 0 to 1' },
    { "n = tm.f.ratio(1, 2)", 'takes two features that are numbers' },
    { "n = tm.f.ewma('v')", 'needs a half-life' },
    { "", 'takes at least one feature' },
  }

  it('that cannot be are told where they stand', function()
    for _, m in ipairs(MISTAKES) do
      local path = h.write(("local tm = require 'tidemill'\nreturn tm.pipeline 'p':event_time { field = 'ts' }" ..
        ":features('f', tm.features { key = 'k',\n%s })"):format(m[1]))
      local r = h.run { 'check', path }
      assert.equal(3, r.code, m[1])
      assert.truthy(r.err:find(m[2], 1, true), m[1] .. '\n' .. r.err)
      assert.truthy(r.err:find(path .. ':2: ', 1, true) or r.err:find(path .. ':3: ', 1, true), r.err)
    end
  end)

  it('fail events whose values are of another type, which change nothing', function()
    local _, r = h.e("stream:event_time { field = 'ts' }:features('f', tm.features { key = 'k', s = tm.f.sum('v', { over = '1h' }) })",
      { '{"ts":1,"k":"a","v":"x"}', '{"ts":2,"k":"a","v":3}' })
    assert.truthy(r.err:find("'s': tm.f.sum takes numbers, but field 'v' holds a string", 1, true), r.err)
    assert.equal(3, h.rows(r.out)[1].s)
  end)
end)
