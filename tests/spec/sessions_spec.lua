--[[
sessions_spec.lua - sessions and count windows, and apply and reduce behind every kind of window, against slow references
(sessions_reference.py, windows_reference.py): random streams with disorder, gaps, equal, negative and huge times, byte for byte,
however the input is cut, with the compiler and without. And cases worked out by hand from the published rules of merging windows.
]]

local h = require 'spec.helper'
local json = require 'dkjson'

local function pick(list) return list[math.random(#list)] end

--- A random stream: { lines }, its times around `base`, steps of up to `gap` ms, up to `disorder` ms late; g is the gap of each event.
local function stream(seed, n, gap, disorder, base, keys)
  math.randomseed(seed)
  local lines, t = {}, base
  for i = 1, n do
    local r = math.random()
    if r < 0.6 then t = t + math.random(0, gap) elseif r < 0.63 then t = t + gap * math.random(5, 200) end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    lines[i] = ('{"ts":%.0f,"k":"k%d","v":%d,"g":%d,"i":%d}'):format(t - late, math.random(1, keys), math.random(-50, 50),
      math.random(1, 3) * math.random(1, 5 * gap), i)
  end
  return table.concat(lines, '\n') .. '\n'
end

local function random_emit(s, modes)
  s.mode, s.accumulate = pick(modes), true
  if s.mode == 'every' then s.mode, s.every = 'early', pick { 20, 300, 1000 }
  elseif s.mode == 'count' then s.mode, s.count = 'early', pick { 1, 2, 5 } end
  if (s.mode == 'final' or s.mode == 'early') and math.random() < 0.3 then s.accumulate = false end
  return s
end

local SESSION_MODES = { 'final', 'final', 'closed', 'updates', 'retract', 'every', 'count' }
local COUNT_MODES = { 'final', 'final', 'updates', 'every', 'count' }

local function random_session(gap)
  return random_emit({ kind = 'session', gap = pick { 'g', gap, 2 * gap, 5 * gap, 1 }, lateness = pick { 0, 0, 1, gap, 30 * gap },
    out_of_order = pick { 0, gap, 10 * gap }, key = math.random() < 0.8 and 'k' or h.null }, SESSION_MODES)
end

local function random_count()
  local n = pick { 1, 2, 3, 7, 20 }
  return random_emit({ kind = 'count', n = n, slide = pick { n, n, 1, 2, 5, n + 3 }, lateness = 0, out_of_order = pick { 0, 50 },
    key = math.random() < 0.8 and 'k' or h.null }, COUNT_MODES)
end

local WHAT = {
  aggregate = "aggregate { n = tm.agg.count(), total = tm.agg.sum 'v', least = tm.agg.min 'v' }",
  ends = "aggregate { n = tm.agg.count(), total = tm.agg.sum 'v', least = tm.agg.min 'v', first = tm.agg.first 'i', " ..
    "last = tm.agg.last 'i', all = tm.agg.collect 'i' }",
  reduce = "reduce('sum', function(a, b) return { v = a.v + b.v, i = math.max(a.i, b.i) } end)",
  apply = [[apply(function(key, window, rows, emit)
      local all, total = tm.array {}, 0
      for i, row in ipairs(rows) do all[i], total = row.i, total + row.v end
      emit { n = #rows, all = all, total = total }
      if #rows > 0 then emit { span = rows[#rows].ts - rows[1].ts, window_end = 'own', last = tm.copy(rows[#rows]) } end
    end)]],
}

local function script(s, late, more)
  local window
  if s.kind == 'session' then
    window = s.gap == 'g' and 'tm.window.session(function(e) return e.g end)' or ("tm.window.session '%dms'"):format(s.gap)
  elseif s.kind == 'count' then
    window = ('tm.window.count(%d, { slide = %d })'):format(s.n, s.slide)
  else
    window = ("tm.window.hopping('%dms', '%dms')"):format(s.size, s.slide)
  end
  local emit = { "mode = '" .. (s.mode == 'early' and 'final' or s.mode) .. "'" }
  if s.every then emit[2] = ("early = '%dms'"):format(s.every) end
  if s.count then emit[2] = ('early = { count = %d }'):format(s.count) end
  if not s.accumulate then emit[#emit + 1] = 'accumulate = false' end
  return ([[local tm = require 'tidemill'
return tm.pipeline 'w':event_time { field = 'ts', out_of_order = '%dms', max_ahead = '20000000d' }%s%s
  :window('w', %s, { lateness = '%dms' })
  :%s:emit { %s }:late_to(tm.sink.file '%s')]]):format(s.out_of_order, more or '', s.key == 'k' and ":key_by 'k'" or '', window, s.lateness,
    WHAT[s.ends and 'ends' or s.what or 'aggregate'], table.concat(emit, ', '), late)
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
  s.late = dir .. '/late.want'
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.shell(('python3 tests/spec/%s_reference.py %s/spec.json <%s/in'):format(s.kind and 'sessions' or 'windows', dir, dir))
  assert(r.code == 0, r.err)
  return r.out, h.read(s.late)
end

local function agree(seed, s, input)
  local dir = h.folder()
  local want, want_late = reference(dir, s, input)
  local text = script(s, dir .. '/late')
  local r = h.run({ 'run', '--json', h.write(text, dir .. '/s.lua') }, input)
  assert.equal(0, r.code, text .. r.err)
  compare(want, r.out, ('seed %d\n%s'):format(seed, text))
  compare(want_late, h.read(dir .. '/late'), ('late events, seed %d\n%s'):format(seed, text))
  assert.equal(select(2, want_late:gsub('\n', '')), h.decode(r.err:match '(%b{})\n$').counters.events_late)
end

local BASES = { 0, 1700000000000, -5000, -9e14, 9e14 }

describe('sessions', function()
  it('give what the reference gives, for every way to emit', function()
    for seed = 1, 60 do
      math.randomseed(seed)
      local gap = pick { 3, 20, 400 }
      local s = random_session(gap)
      s.ends = math.random() < 0.5
      agree(seed, s, stream(seed, 700, gap, pick { 0, 10 * gap, 60 * gap }, pick(BASES), pick { 1, 5, 40 }))
    end
  end)
end)

describe('count windows', function()
  it('give what the reference gives, for every way to emit', function()
    for seed = 201, 230 do
      math.randomseed(seed)
      local s = random_count()
      agree(seed, s, stream(seed, 700, 20, pick { 0, 200 }, pick(BASES), pick { 1, 5, 40 }))
    end
  end)
end)

describe('apply and reduce', function()
  it('give what the reference gives, behind every kind of window', function()
    for seed = 301, 345 do
      math.randomseed(seed)
      local gap = pick { 3, 20, 400 }
      local kind = seed % 3
      local s
      if kind == 0 then
        s = random_session(gap)
      elseif kind == 1 then
        s = random_count()
      else
        s = random_emit({ size = 50 * gap, slide = pick { 50 * gap, 20 * gap }, offset = 0, lateness = pick { 0, 30 * gap },
          out_of_order = pick { 0, 10 * gap }, key = math.random() < 0.8 and 'k' or h.null }, SESSION_MODES)
      end
      s.what = pick { 'apply', 'apply', 'reduce' }
      agree(seed, s, stream(seed, 400, gap, pick { 0, 10 * gap, 60 * gap }, pick(BASES), pick { 1, 5, 40 }))
    end
  end)
end)
