--[[
aggregates.lua - run by test_aggregates.c: records merged in random trees, values taken back, failing events rolled back, memory
that runs out, each against all values in one record or against Python.
]]

local host = host   -- luacheck: ignore 113
local modules, lua_require = {}, require
local builtin = { ffi = true, bit = true, jit = true, ['jit.util'] = true, ['table.new'] = true, ['string.buffer'] = true }

local function read(path)
  local f = assert(io.open(path))
  local text = f:read '*a'
  f:close()
  return text
end

host.abi, host.sizes = read 'host/abi.h', {}
function host.text(name) return read('lua/' .. name:gsub('%.', '/') .. '.lua') end
local function load_module(name)
  if builtin[name] then return lua_require(name) end
  if modules[name] == nil then modules[name] = assert(loadstring(host.text(name), '@' .. name))(name, host) or true end
  return modules[name]
end
_G.require = load_module   -- luacheck: ignore 122

local lib = load_module 'tidemill.lib'
local aggregate = load_module 'tidemill.aggregate'
local state_of = load_module 'tidemill.state'
local value = load_module 'tidemill.value'
local types = load_module 'tidemill.types'
local C, ffi, agg = lib.C, lib.ffi, aggregate.agg

local function check(ok, ...)
  if not ok then error(table.concat({ ... }, ' '), 2) end
  host.passed(1)
end

local opened = 0
--- A step: its functions, and records by number.
local function step(given, options, typ)
  opened = opened + 1
  local list = aggregate.list('test', 'test', given)
  local c = aggregate.compile(list, function() return typ and types.parse(typ) end, options)
  local s = state_of.open('test/' .. opened, c.numbers, c.refs, {})
  local self = { c = c, s = s, list = list }
  function self.record(key)
    state_of.key.len = 0
    C.tm_ffi_key_number(state_of.key, key)
    local p = C.tm_ffi_state_write(s.ptr, state_of.key)
    assert(p ~= nil, 'no record')
    return ffi.cast(s.type, p)
  end
  --- Results as text; NULL is null.
  function self.shown(key)
    local out = { c.results(self.record(key), s.ptr) }
    for i = 1, #list do
      local v = out[i]
      out[i] = lib.is_text(v) and v.text or type(v) == 'number' and (v == v and ('%.17g'):format(v) or 'nan') or value.encode_string(v)
    end
    return table.concat(out, ' | ')
  end
  return self
end

local function commit() host.commit() end
local function rollback() C.tm_ffi_changes_rollback(state_of.changes, 0) end

--- What Python prints for a program that reads one value a line as text.
local function python(program, lines)
  local name = os.tmpname()
  local f = assert(io.open(name, 'w'))
  f:write(table.concat(lines, '\n'))
  f:close()
  local p = assert(io.popen("python3 -c '" .. program .. "' < " .. name))
  local out = p:read '*a'
  p:close()
  os.remove(name)
  return out
end

local random = math.random
math.randomseed(20)

-- values of all sizes, with many that cancel
local function wild()
  local kind = random(8)
  if kind == 1 then return random(-5, 5) end
  if kind == 2 then return (random() - 0.5) * 2 ^ random(-1000, 1000) end
  if kind == 3 then return (random() - 0.5) * 2 ^ random(-60, 60) end
  if kind == 4 then return random(-99999, 99999) / 100 end
  if kind == 5 then return (random(2) * 2 - 3) * 2 ^ random(-1074, 1023) end
  if kind == 6 then return (random(2) * 2 - 3) * 1.7976931348623157e308 end
  return random() * 1000
end
local function money() return random(-1000000, 1000000) / 100 end
local function integer() return random(-2 ^ 31, 2 ^ 31 - 1) * 2 ^ random(0, 22) end

local function values_of(make, n)
  local values = {}
  for i = 1, n do
    values[i] = make()
    if i > 3 and random(4) == 1 then values[i] = -values[random(i - 1)] end
  end
  return values
end

local function shuffled(list)
  local out = {}
  for i, v in ipairs(list) do
    local j = random(i)
    out[i] = out[j]
    out[j] = v
  end
  return out
end

--- Events spread over records in random order, merged in a random tree: what the last one shows.
local function spread(st, events, parts)
  local keys = {}
  for i = 1, parts do keys[i] = opened * 1e6 + random(1e6) * 1e3 + i end
  for i, e in ipairs(events) do
    st.c.update(e, st.record(keys[random(parts)]), st.s.ptr, e.t)
    if i % 7 == 0 then commit() end
  end
  while #keys > 1 do
    local a = table.remove(keys, random(#keys))
    local b = keys[random(#keys)]
    st.c.merge(st.record(b), st.s.ptr, st.record(a), st.s.ptr)
    commit()
  end
  return st.shown(keys[1])
end

local function events_of(values)
  local events = {}
  for i, v in ipairs(values) do events[i] = { v = v, t = random(50), id = i } end
  return events
end

local NUMBERS = { a = agg.sum 'v', b = agg.avg 'v', c = agg.var 'v', d = agg.stddev 'v', e = agg.count(), f = agg.quantile('v', 0.5),
  g = agg.distinct 'v' }

-- sum, mean, variance, deviation: fractions, rounded once
local FRACTIONS = [[
import sys
from fractions import Fraction as F
from math import isqrt
def root(x):
  if x == 0: return 0.0
  k = 0
  while x.numerator * 4**k // x.denominator < 4**120: k += 60
  n = x.numerator * 4**k // x.denominator
  r = isqrt(n)
  return float(F(2 * r + (1 if r * r != n or n * x.denominator != x.numerator * 4**k else 0), 2 * 2**k))
def f(x):
  try: return repr(float(x))
  except OverflowError: return "inf" if x > 0 else "-inf"
v = [F(float.fromhex(l)) for l in sys.stdin.read().split()]
n = len(v); s = sum(v); q = sum(x * x for x in v)
var = (n * q - s * s) / (n * (n - 1)) if n > 1 else F(0)
try: sd = repr(root(var))
except OverflowError: sd = "inf"
print(f(s)); print(f(s / n)); print(f(var)); print(sd)
]]

local function hex(values)
  local out = {}
  for i, v in ipairs(values) do out[i] = ('%a'):format(v) end
  return out
end

-- Exact sums ------------------------------------------------------------------------

for name, make in pairs { wild = wild, money = money, integer = integer } do
  for round = 1, 12 do
    local values = values_of(make, round * round + 1)
    local st = step({ s = agg.sum 'v', m = agg.avg 'v', v = agg.var 'v', x = agg.stddev 'v' })
    for i, v in ipairs(values) do st.c.update({ v = v }, st.record(1), st.s.ptr, i) end
    commit()
    local m, s, v, x = st.c.results(st.record(1), st.s.ptr)
    local expected = {}
    for line in python(FRACTIONS, hex(values)):gmatch '[^\n]+' do expected[#expected + 1] = tonumber(line) end
    check(#expected == 4, 'python failed')
    for i, got in ipairs { s, m, v, x } do
      if lib.is_text(got) then got = got.num end
      check(got == expected[i], name, round, i, ('%.17g'):format(got), 'python:', ('%.17g'):format(expected[i]))
    end
  end
end

-- Merging, orders ---------------------------------------------------------------------

for name, make in pairs { wild = wild, money = money, integer = integer } do
  for round = 1, 15 do
    local st = step(NUMBERS, { retracts = true })
    local events = events_of(values_of(make, random(60)))
    local whole = spread(st, events, 1)
    for _ = 1, 4 do
      local other = spread(st, shuffled(events), random(9))
      check(other == whole, name, round, other, '/', whole)
    end
  end
end

-- what depends on time and arrival: arrival goes by updates, so the events keep their order
local ORDERED = {
  a = agg.first 'v', b = agg.last 'v', c = agg.min 'v', d = agg.max 'v', e = agg.argmin('v', 'id'), f = agg.argmax('v', { 'id', 'v' }),
  g = agg.argmax 'v', h = agg.collect('v', { max = 7 }), i = agg.collect(nil, { max = 5 }), j = agg.top(5, 'v'),
  k = agg.top(3, 'v', { order = 'asc' }), l = agg.approx_distinct 'v', m = agg.distinct 'v', n = agg.heavy_hitters('v', 100),
  o = agg.custom { init = { n = 0, sum = 0 }, add = function(acc, e) acc.n = acc.n + 1 acc.sum = acc.sum + e.id return acc end,
    merge = function(p, q) return { n = p.n + q.n, sum = p.sum + q.sum } end, result = function(acc) return acc.n + acc.sum / 1e6 end },
}

local function small() return random(12) end
local words = { 'a', 'b', 'B', 'é', '', 'bb', 'c"x' }
local function word() return words[random(#words)] end
for name, make in pairs { small = small, money = money, words = word } do
  for round = 1, 25 do
    for _, timed in ipairs { true, false } do
      local st = step(ORDERED, { timed = timed })
      local values = {}
      for i = 1, random(40) do values[i] = make() end
      local events = events_of(values)
      local whole = spread(st, events, 1)
      for _ = 1, 3 do
        local other = spread(st, events, random(6))
        check(other == whole, name, round, tostring(timed), other, '/', whole)
      end
    end
  end
end

-- slow references: sorted copies
for _ = 1, 40 do
  local st = step({ a = agg.first 'v', b = agg.last 'v', c = agg.argmax('v', 'id'), d = agg.argmin('v', 'id'),
    e = agg.collect('id', { max = 9 }), f = agg.top(4, 'v') })
  local values = {}
  for i = 1, random(30) do values[i] = random(6) end
  local events = events_of(values)
  local shown = spread(st, events, random(5))
  local function sorted(less)
    local copy = {}
    for i, e in ipairs(events) do copy[i] = e end
    table.sort(copy, function(a, b)
      local c = less(a, b)
      if c ~= 0 then return c < 0 end
      return a.id < b.id
    end)
    return copy
  end
  local by_time = sorted(function(a, b) return a.t - b.t end)
  local best = sorted(function(a, b) return a.v ~= b.v and b.v - a.v or a.t - b.t end)
  local least = sorted(function(a, b) return a.v ~= b.v and a.v - b.v or a.t - b.t end)
  local ids, top = {}, {}
  for i = math.max(1, #by_time - 8), #by_time do ids[#ids + 1] = by_time[i].id end
  for i = 1, math.min(4, #best) do top[i] = best[i].v end
  local expected = ('%d | %d | %d | %d | [%s] | [%s]'):format(by_time[1].v, by_time[#by_time].v, best[1].id, least[1].id,
    table.concat(ids, ','), table.concat(top, ','))
  check(shown == expected, shown, '/', expected)
end

-- Taking back ---------------------------------------------------------------------------

for name, make in pairs { wild = wild, money = money, integer = integer } do
  for round = 1, 15 do
    local st = step(NUMBERS, { retracts = true })
    local events = events_of(values_of(make, 40))
    local n = random(40)
    for _, e in ipairs(events) do st.c.add(st.record(1), st.s.ptr, e.t, st.c.values(e)) end
    for i, e in ipairs(shuffled(events)) do
      if e.id <= n then st.c.unupdate(st.record(1), st.s.ptr, st.c.values(e)) end
      if i % 5 == 0 then commit() end
    end
    for _, e in ipairs(events) do
      if e.id > n then st.c.update(e, st.record(2), st.s.ptr, e.t) end
    end
    st.record(2)
    check(st.shown(1) == st.shown(2), name, round, n, st.shown(1), '/', st.shown(2))
    for _, e in ipairs(events) do
      if e.id > n then st.c.unupdate(st.record(1), st.s.ptr, st.c.values(e)) end
    end
    check(st.shown(1) == '0 | null | null | null | 0 | null | 0', st.shown(1))
    commit()
  end
end

do
  local st = step({ s = agg.sum 'v', w = agg.sum('v', { where = function(e) return e.ok end }) }, { retracts = true }, 'int64')
  for _, e in ipairs { { v = '9223372036854775807', ok = true }, { v = '-5' }, { v = '9223372036854775807' } } do
    st.c.add(st.record(1), st.s.ptr, 0, st.c.values(e))
  end
  check(st.shown(1) == '18446744073709551609 | 9223372036854775807', st.shown(1))
  st.c.unupdate(st.record(1), st.s.ptr, st.c.values { v = '9223372036854775807', ok = true })
  check(st.shown(1) == '9223372036854775802 | 0', st.shown(1))
  commit()
end
check(step({ a = agg.count(), b = agg.max 'v' }, { retracts = true }).c.unupdate == nil, 'max cannot take back')

-- Roll-back, memory ---------------------------------------------------------------------

local ALL = { p = agg.sum 'w', q = agg.stddev 'w', r = agg.quantile('w', 0.9), s = agg.ewma('w', { half_life = '10s' }) }
for k, a in pairs(ORDERED) do ALL[k] = a end

for round = 1, 30 do
  local st = step(ALL)
  local function event(i) return { v = round % 2 == 0 and 'k' .. random(3000) or random(3000), w = wild() / 4, id = i, t = random(50) } end
  for i = 1, random(200) do
    local e = event(i)
    st.c.update(e, st.record(random(2)), st.s.ptr, e.t)
    if random(5) == 1 then commit() end
  end
  st.record(1) st.record(2)
  commit()
  local before = st.shown(1) .. st.shown(2)
  rollback()
  for i = 1, random(60) do
    local e = event(i)
    st.c.update(e, st.record(1), st.s.ptr, e.t)
  end
  st.c.merge(st.record(1), st.s.ptr, st.record(2), st.s.ptr)
  rollback()
  check(st.shown(1) .. st.shown(2) == before, round, 'rolled back')
  rollback()
end

-- every allocation fails once: the event fails, and nothing of it stays
local budget, fails = state_of.changes.budget, 0
for n = 1, 60 do
  local st = step(ALL)
  local function some(key)
    for i = 1, 90 do
      st.c.update({ v = 'value ' .. i * n, w = i % 3 == 0 and 1e300 * i or i / 7, id = i, t = i % 9 }, st.record(key), st.s.ptr, i % 9)
    end
  end
  some(1)
  commit()
  local before = st.shown(1)
  rollback()
  budget.fail_in = n
  local ok, why = pcall(function() some(2) st.c.merge(st.record(1), st.s.ptr, st.record(2), st.s.ptr) end)
  budget.fail_in = 0
  if not ok then
    fails = fails + 1
    check(type(why) == 'table' and why.code == 'memory' or tostring(why):find('no record', 1, true), tostring(why))
  end
  rollback()
  check(st.shown(1) == before, n, 'no memory')
  rollback()
end
check(fails >= 3, 'allocations failed:', fails)

-- Sketches: the promised error ----------------------------------------------------------

for _, precision in ipairs { 8, 12, 13, 16 } do
  local st = step({ n = agg.approx_distinct('v', { precision = precision }) })
  local squares, n, rounds = 0, 0, 0
  for key = 1, 12 do
    local count = math.floor(10 ^ (1 + key / 3))
    for i = 1, count do
      st.c.update({ v = key % 2 == 0 and key * 1e6 + i or 'user-' .. key .. '-' .. i }, st.record(key), st.s.ptr, 0)
      if i % 64 == 0 then commit() end
    end
    commit()
    local off = (st.c.results(st.record(key), st.s.ptr) - count) / count
    squares, n, rounds = squares + off * off, n + 1, rounds + 1
    check(math.abs(off) < 5 * 1.04 / math.sqrt(2 ^ precision), precision, count, off)
  end
  -- root of the mean square: below the standard error with room for a dozen tries
  check(math.sqrt(squares / n) < 1.7 * 1.04 / math.sqrt(2 ^ precision), precision, math.sqrt(squares / n))
end

local function pareto() return 1 / (1 - random()) ^ 2 end
local function both() return (random() - 0.5) * 10 ^ random(-8, 8) end
local function normal() return 100 + 5 * math.sqrt(-2 * math.log(1 - random())) * math.cos(2 * math.pi * random()) end
for name, make in pairs { uniform = random, pareto = pareto, both = both, normal = normal, wild = wild, steps = small } do
  for _, promised in ipairs { 0.05, 0.01, 0.001 } do
    local given, shares = {}, { 0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 }
    for i, share in ipairs(shares) do given['q' .. i] = agg.quantile('v', share, { error = promised }) end
    local st, values = step(given), {}
    for i = 1, 3000 do
      values[i] = make()
      st.c.update({ v = values[i] }, st.record(1), st.s.ptr, 0)
      if i % 50 == 0 then commit() end
    end
    commit()
    table.sort(values)
    local got = { st.c.results(st.record(1), st.s.ptr) }
    for i, share in ipairs(shares) do
      local exact = values[1 + math.floor(share * 2999)]
      check(math.abs(got[i] - exact) <= promised * math.abs(exact), name, promised, share, got[i], exact)
    end
  end
end

for _, counters in ipairs { 20, 200 } do
  local st, truth, n = step({ h = agg.heavy_hitters('v', 20, { counters = counters }) }), {}, 20000
  for i = 1, n do
    local v = math.floor(300 ^ random())
    truth[v] = (truth[v] or 0) + 1
    st.c.update({ v = v }, st.record(random(3)), st.s.ptr, 0)
    if i % 64 == 0 then commit() end
  end
  st.c.merge(st.record(1), st.s.ptr, st.record(2), st.s.ptr)
  st.c.merge(st.record(1), st.s.ptr, st.record(3), st.s.ptr)
  local seen, least = {}, math.huge
  for _, row in ipairs(value.decode(st.c.results(st.record(1), st.s.ptr).text)) do
    check(row.count - row.error <= truth[row.value] and truth[row.value] <= row.count, counters, row.value, row.count, row.error)
    check(row.error <= n / counters, counters, 'error', row.error)
    seen[row.value], least = true, math.min(least, row.count)
  end
  for v, count in pairs(truth) do check(seen[v] or count <= least + n / counters, counters, v, count) end
  commit()
end

-- Decaying means: the sum in Python's fractions of powers of two, whatever the order
do
  local st = step({ m = agg.ewma('v', { half_life = '8s' }) })
  local events, lines = {}, {}
  for i = 1, 60 do
    events[i] = { v = random(1000), t = random(100) * 8000 }
    lines[i] = events[i].v .. ' ' .. events[i].t / 8000
  end
  local expected = tonumber((python([[
import sys
from fractions import Fraction as F
r = [l.split() for l in sys.stdin]
print(float(sum(int(v) * F(2) ** int(t) for v, t in r) / sum(F(2) ** int(t) for v, t in r)))]], lines)))
  for _ = 1, 10 do
    local got = tonumber(spread(st, shuffled(events), random(5)))
    check(math.abs(got - expected) < 1e-12 * math.abs(expected), got, expected)
  end
end

-- Rows of a list one by one: in order of time, then arrival, each once, however many were dropped and whatever was merged
do
  local row = ffi.new 'struct tm_value'
  for _ = 1, 20 do
    local st = step({ c = agg.collect('v', { max = 50 }) })
    local events, expected = {}, {}
    for i = 1, random(0, 80) do
      events[i] = { v = ('x'):rep(random(0, 20)) .. i, t = random(10) - 5 }
      expected[i] = events[i]
      events[i].i = i
    end
    for i, e in ipairs(events) do st.c.update(e, st.record(1 + i % 2), st.s.ptr, e.t) end
    st.c.merge(st.record(1), st.s.ptr, st.record(2), st.s.ptr)
    table.sort(expected, function(a, b) if a.t ~= b.t then return a.t < b.t end return a.i < b.i end)
    while #expected > 50 do table.remove(expected, 1) end
    local n, off = 0, C.tm_ffi_ranked_next(st.s.ptr, st.record(1), 0, 0, row)
    while off ~= 0 do
      n = n + 1
      local e = expected[n]
      check(e and ffi.string(row.text, row.len) == '"' .. e.v .. '"' and row.num == e.t, 'row', n)
      off = C.tm_ffi_ranked_next(st.s.ptr, st.record(1), 0, off, row)
    end
    check(n == #expected, n, #expected)
    commit()
  end
end

-- Refused at load -----------------------------------------------------------------------
do
  local add = function(acc) return acc end
  local list = aggregate.list('test', 'test', { n = agg.count(), c = agg.custom { init = 0, add = add } })
  local ok, why = pcall(aggregate.need_merge, list, 'x.lua:3', 'a session window')
  local expected = "x.lua:3: a session window merges what it kept, so 'c' (tm.agg.custom at"
  check(not ok and tostring(why.message):find(expected, 1, true), tostring(why))
  list = aggregate.list('test', 'test', { c = agg.custom { init = 0, add = add, merge = add } })
  aggregate.need_merge(list, 'x.lua:3', 'a session window')
end
