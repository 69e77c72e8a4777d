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
  local f = { name = name, kind = kind, field = not NO_FIELD[kind] and (FIELD[kind] or 'v') or nil, where = chance(0.3) and pick { 'big', 'some' } or nil }
  if kind == 'ratio' then
    f.where = nil
    f.parts = { random_feature(name, { 'count', 'sum', 'max', 'distinct', 'quantile' }), random_feature(name, { 'count', 'avg', 'stddev' }) }
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
  local s = { out_of_order = pick { 0, 500, 3000 }, key = pick { { 'k' }, { 'k' }, { 'k', 'm' } }, fails = 'boom', ttl = pick { 70000, 2000000 },
    max = o.max or 10000, features = {}, wild = o.wild }
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
  :map(function(e) if e.boom then error 'as was asked for' end return e end)]]):format(s.out_of_order, types or '', table.concat(list, ',\n    '))
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
