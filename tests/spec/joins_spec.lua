--[[
joins_spec.lua - joins against a slow reference (joins_reference.py): random streams with disorder, equal, negative and huge times,
missing keys, events of both sides; every kind, `where` and steps behind that fail; byte for byte, however the input is cut.
And joins that sqlite3 answers.
]]

local h = require 'spec.helper'
local json = require 'dkjson'

local function pick(list) return list[math.random(#list)] end

--- A random stream: events of the left side (l), the right (r), of both and of neither.
local function stream(seed, n, gap, disorder, base, keys)
  math.randomseed(seed)
  local lines, t = {}, base
  for i = 1, n do
    local x = math.random()
    if x < 0.6 then t = t + math.random(0, gap) elseif x < 0.61 then t = t + gap * math.random(50, 500) end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    local side = pick { '"l":1,', '"l":1,', '"r":1,', '"r":1,', '"l":1,"r":1,', '' }
    local key = math.random(1, keys)
    local k = math.random() < 0.02 and '' or pick { '"k":%d,', '"k":%d,', '"k":"%d",', '"k":%d,"m":%d,' }:gsub('%%d', key)
    local m = k:find '"m"' and '' or math.random() < 0.95 and ('"m":%d,'):format(math.random(1, keys)) or '"m":null,'
    lines[i] = ('{%s%s%s"ts":%d,%s"v":%d,"i":%d}'):format(side, k, m, t - late, math.random() < 0.03 and '"x":[1,{"a":"\\\\b"}],' or '',
      math.random(0, 30), i)
  end
  return table.concat(lines, '\n') .. '\n'
end

--- What joins have in common: keys, kind, where, what is behind.
local function random_common()
  local s = { out_of_order = pick { 0, 500, 5000 }, kind = pick { 'inner', 'left', 'right', 'full' }, as = pick { 'right', 'x', 'z' } }
  s.left, s.right = { 'k' }, { 'k' }
  local on = math.random(4)
  if on == 1 then s.left, s.right = { 'k' }, { 'm' } elseif on == 2 then s.left, s.right = { 'k', 'm' }, { 'k', 'm' } end
  s.where, s.fail, s.behind = math.random() < 0.4, math.random() < 0.3, math.random() < 0.4
  return s
end

local function random_join()
  local s = random_common()
  if math.random() < 0.85 then
    s.before, s.after = pick { 0, 0, 300, 5000, -200, 1 }, pick { 0, 1000, 20000, 300 }
    if s.before < 0 and s.after < 300 then s.after = 300 end
    if math.random() < 0.2 then s.before, s.after = s.after, s.before end
  end
  return s
end

local function random_window_join()
  local s = random_common()
  s.size = pick { 1000, 1500, 10000 }
  s.slide, s.offset = s.size, 0
  if math.random() < 0.4 then s.slide = pick { s.size / 2, s.size / 5, s.size * 2 } end
  if math.random() < 0.3 then s.offset = pick { -100, 250, s.slide - 1 } end
  return s
end

local function script(s, dir, more)
  local on = #s.left == 2 and "{ 'k', 'm' }" or s.left[1] == s.right[1] and "'k'" or "{ k = 'm' }"
  local options = { 'on = ' .. on, ("kind = '%s', as = '%s'"):format(s.kind, s.as) }
  if s.after then options[#options + 1] = ("within = { before = '%dms', after = '%dms' }"):format(s.before, s.after)
  elseif not s.size then options[#options + 1] = 'unbounded = true' end
  if s.max then options[#options + 1] = ('max = %d'):format(s.max) end
  if s.where then
    options[#options + 1] = "where = function(l, r) if l.v + r.v == 20 then error 'twenty' end return (l.v + r.v) % 3 ~= 0 end"
  end
  local window = s.size and (s.slide == s.size and ("tm.window.tumbling('%dms', { offset = '%dms' }), "):format(s.size, s.offset) or
    ("tm.window.hopping('%dms', '%dms', { offset = '%dms' }), "):format(s.size, s.slide, s.offset)) or ''
  local behind = {}
  if s.fail then
    behind[1] = (":filter(function(e) local r = e.%s if ((e.i or 0) + (r and type(r) == 'table' and r.i or 0)) %% 13 == 0 then " ..
      "error 'thirteen' end return true end)"):format(s.as)
  end
  if s.behind then behind[#behind + 1] = ":running('n', { n = tm.agg.count() }, { unbounded = true })" end
  return ([[local tm = require 'tidemill'
local s = tm.pipeline 'p':event_time { field = 'ts', out_of_order = '%dms' }%s
  :late_to(tm.sink.file '%s/late'):on_error(tm.sink.file '%s/dead')
return s:filter(function(e) return e.l end):%s('j', s:filter(function(e) return e.r end), %s{ %s })%s]]):format(s.out_of_order,
    more or '', dir, dir, s.size and 'window_join' or 'join', window, table.concat(options, ', '), table.concat(behind))
end

local function compare(want, got, where)
  if want == got then return end
  local a, b = h.lines(want), h.lines(got)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then
      error(('%s\nrow %d of %d and %d:\nreference: %s\nprogram:   %s'):format(where, i, #a, #b, tostring(a[i]), tostring(b[i])))
    end
  end
end

local function reference(dir, s, input)
  s.late, s.dead = dir .. '/late.want', dir .. '/dead.want'
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.shell(('python3 tests/spec/joins_reference.py %s/spec.json <%s/in'):format(dir, dir))
  assert(r.code == 0, r.err)
  return r.out, h.read(s.late), h.read(s.dead)
end

--- The events of dead letters, without those of rows.
local function dead_events(text)
  local list = {}
  for _, line in ipairs(h.lines(text)) do list[#list + 1] = line:match '"event":(%b{})' end
  return #list > 0 and table.concat(list, '\n') .. '\n' or ''
end

--- Runs random joins and compares them.
local function differ(seeds, make, options)
  for _, seed in ipairs(seeds) do
    math.randomseed(seed)
    local s = make()
    local dir = h.folder()
    local input = stream(seed, 600, pick { 3, 50, 400 }, pick { 0, 1000, 9000 }, pick { 0, 1700000000000, -5000, -9e14, 9e14 }, pick { 2, 7, 40 })
    local want, want_late, want_dead = reference(dir, s, input)
    local text = script(s, dir)
    local where = ('seed %d\n%s'):format(seed, text)
    local r = h.run({ 'run', '--json', h.write(text, dir .. '/s.lua'), '--from', dir .. '/in' }, nil, options)
    assert.equal(0, r.code, text .. r.err)
    compare(want, r.out, where)
    compare(want_late, h.read(dir .. '/late'), 'late events, ' .. where)
    compare(want_dead, dead_events(h.read(dir .. '/dead')), 'dead letters, ' .. where)
  end
end

local function range(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = i end
  return list
end

describe('joins', function()
  it('give what the reference gives, for every kind', function() differ(range(1, 40), random_join) end)

  it('of windows give what the reference gives', function() differ(range(101, 130), random_window_join) end)
end)
