--[[
features_conditions_spec.lua - conditions of features (`where`) that C tells for a whole batch, beside the same ones written so that only
Lua can: each pair must count the same events, whatever the fields hold. Fields are declared, decimals too, and hold what is odd about them:
nothing, null, texts with escapes, numbers as texts, numbers that are too large.
]]

local h = require 'spec.helper'

-- what C can tell | the same, computed
local PAIRS = {
  { "tx.kind == 'a'", "(tx.kind or '') .. '' == 'a'" },
  { "tx.kind ~= 'a'", "not ((tx.kind or '') .. '' == 'a')" },
  { "tx.kind == 'a' and tx.amount ~= nil and tx.amount <= 2", "(tx.kind or '') .. '' == 'a' and tx.amount ~= nil and tx.amount + 0 <= 2" },
  { "tx.amount ~= nil and tx.amount > 0.5", 'tx.amount ~= nil and tx.amount + 0 > 0.5' },
  { "tx.kind == 'ü' or tx.ok == true", "(tx.kind or '') .. '' == 'ü' or tostring(tx.ok) == 'true'" },
  { 'not tx.ok', "tostring(tx.ok) ~= 'true'" },
  { 'tx.num == 3', '(tx.num or 0) + 0 == 3' },
  { 'tx.num ~= nil and tx.num < -1', 'tx.num ~= nil and tx.num + 0 < -1' },
}

local function pack(extra)
  local features, rules = {}, {}
  for i, pair in ipairs(PAIRS) do
    for k, text in ipairs(pair) do
      features[#features + 1] = ("  n%d_%d = tm.f.count { over = '1h', where = function(tx) return %s end },"):format(i, k, text)
      features[#features + 1] = ("  s%d_%d = tm.f.sum('amount', { over = '1h', where = function(tx) return %s end }),"):format(i, k, text)
    end
  end
  for _, kind in ipairs { 'n', 's' } do
    for i in ipairs(PAIRS) do
      rules[#rules + 1] = ("{ id = '%s%d', score = 10, when = function(_, f) return f.%s%d_1 ~= f.%s%d_2 end },"):format(kind, i, kind, i,
        kind, i)
    end
  end
  rules[#rules + 1] = "{ id = 'counted', score = 0, when = function(_, f) return f.n1_1 > 0 end },"
  return h.folder {
    ['pack.lua'] = "return { name = 'p', version = '1.0.0', stream = 'x', time = { field = 'ts', unit = 'ms' }, decisions = { bad = 10 } }",
    ['schema/x.lua'] = "return { ts = 'time_ms', key = 'string', kind = 'string', amount = 'decimal(2)', ok = 'boolean', num = 'number' }",
    ['features/key.lua'] = "return tm.features { key = 'key', max_keys = 1000,\n" .. table.concat(features, '\n') .. '\n}',
    ['rules/all.lua'] = 'return {\n' .. table.concat(rules, '\n') .. '\n}',
    ['run.lua'] = "local tm = require 'tidemill'\nreturn tm.pipeline 'x'" .. (extra or '') ..
      ":pack('.', { fields = { 'decision', 'rules', 'event' } })",
  }
end

--- Events of every kind in a random order; no two have the same fields but by chance.
local function events(n)
  local random = require 'spec.random'(7)
  local kinds = { '"a"', '"b"', '"\\u0061"', '"ü"', '"\\u00fc"', 'null', false }
  local amounts = { '0', '2', '2.01', '1.99', '-0.0', '"1.50"', '"3"', '12', 'null', false, '999999999999.99' }
  local oks, nums = { 'true', 'false', 'null', false }, { '3', '3.0', '-2', '1e3', 'null', false, '0.5' }
  local lines = {}
  for i = 1, n do
    local parts = { ('"ts":%d'):format(i), ('"key":"k%d"'):format(random(3)) }
    for _, of in ipairs { { 'kind', kinds }, { 'amount', amounts }, { 'ok', oks }, { 'num', nums } } do
      local name, v = of[1], random.pick(of[2])
      if v then parts[#parts + 1] = ('"%s":%s'):format(name, v) end
    end
    lines[i] = '{' .. table.concat(parts, ',') .. '}'
  end
  return table.concat(lines, '\n') .. '\n'
end

describe('conditions of features', function()
  local input = events(4000)

  local function judge(dir, ...)
    local r = h.run({ 'run', '--json', 'run.lua', ... }, input, { cwd = dir })
    assert.equal(0, r.code, r.err)
    return r
  end

  it('that C tells count what those count that only Lua can tell', function()
    local rows, counted = h.rows(judge(pack()).out), 0
    assert.equal(4000, #rows)
    for _, row in ipairs(rows) do
      assert.equal('approve', row.decision, row.rules[1] and row.rules[1].id)
      assert.is_nil(row.errors)
      counted = counted + #row.rules
    end
    assert.is_true(counted > 3900)
  end)

  it('count the same where the event was changed before, or nothing is compiled', function()
    local first = judge(pack()).out
    assert.is_true(first == judge(pack(), '--no-jit').out)
    local changed = pack ':map(function(e) e.kind = e.kind return e end)'
    local rows = h.rows(judge(changed).out)
    for _, row in ipairs(rows) do assert.equal('approve', row.decision) end
    assert.equal(4000, #rows)
  end)

  it('leave to Lua what is too large to be read: that event fails alone', function()
    local dir = pack()
    local lines = {}
    for i = 1, 50 do lines[i] = ('{"ts":%d,"key":"k","kind":"a","amount":%s}'):format(i, i == 20 and '99999999999999.99' or '1.25') end
    local r = h.run({ 'run', '--json', 'run.lua' }, table.concat(lines, '\n') .. '\n', { cwd = dir })
    assert.equal(49, #h.rows(r.out))
    assert.truthy(r.err:find('more digits than a Lua number keeps exactly', 1, true), r.err)
  end)
end)
