--[[
filters_spec.lua - rows that a filter surely drops are left out before its function is called (lua/tidemill/filter.lua,
host/event/filter.c). What is expected comes from the same expression in a function that cannot be read so: it begins
with a call.
]]

local h = require 'spec.helper'

-- Rows ------------------------------------------------------------------------

-- values as JSON texts: frequent ones, rare ones, and those whose reading or comparing raises
local TEXTS = { '"pos"', '"ecom"', '"atm"', '""', '"p\\u006fs"', '"a text of more than fifteen bytes"', '"é"' }
local NUMBERS = { '0', '-0', '1', '1.5', '100', '1e2', '-7', '9007199254740993', '1e999', '0.1' }
local OTHERS = { 'true', 'false', 'null', '{"x":1}', '[1,2]' }

local function pick(list) return list[math.random(#list)] end

local function value(main)
  local r = math.random()
  if r < 0.8 then return pick(main) end
  if r < 0.85 then return pick(TEXTS) elseif r < 0.9 then return pick(NUMBERS) elseif r < 0.97 then return pick(OTHERS) end
  return nil
end

local function rows(n)
  local lines = {}
  for i = 1, n do
    local members = { '"n":' .. i }
    for name, main in pairs { a = TEXTS, b = NUMBERS, c = OTHERS, d = { '"pos"' }, e = { '"id-' .. i .. '"' } } do
      local v = value(main)
      if v then members[#members + 1] = ('"%s":%s'):format(name, v) end
      if math.random(30) == 1 then members[#members + 1] = ('"%s":%s'):format(name, value(TEXTS) or '1') end
    end
    lines[i] = '{' .. table.concat(members, ',') .. '}'
    if math.random(50) == 1 then lines[i] = lines[i]:sub(1, -3) end
  end
  return table.concat(lines, '\n') .. '\n'
end

-- Expressions -------------------------------------------------------------------

local function field() return 'e.' .. pick { 'a', 'b', 'c', 'd', 'e', 'missing' } end

local function comparison()
  local r = math.random(10)
  if r <= 3 then return field() .. pick { ' == ', ' ~= ' } .. pick { "'pos'", "'ecom'", "''", "'never'", "'id-77'", "'é'" } end
  if r <= 5 then return 'e.b' .. pick { ' < ', ' <= ', ' > ', ' >= ' } .. pick { '0', '1.5', '100', '-7', '40000' } end
  if r == 6 then return pick { '0', '1.5', '100' } .. pick { ' < ', ' <= ', ' > ', ' >= ' } .. 'e.b' end
  if r == 7 then return field() .. pick { ' == ', ' ~= ' } .. pick { '1', '0', '1.5', '100' } end
  if r == 8 then return field() .. pick { ' == ', ' ~= ' } .. pick { 'nil', 'true', 'false' } end
  if r == 9 then return 'not ' .. field() end
  return field()
end

local function expression(depth)
  local r = math.random(6)
  if depth == 0 or r <= 2 then return comparison() end
  if r == 3 then return 'not (' .. expression(depth - 1) .. ')' end
  return '(' .. expression(depth - 1) .. ')' .. pick { ' and ', ' or ' } .. '(' .. expression(depth - 1) .. ')'
end

--- A script with the same filter twice: as it is, and in a function that begins with a call. before: steps in front of it.
local function script(bodies, out, before)
  local parts = { "local tm = require 'tidemill'\nlocal function nothing() end\nreturn {" }
  for i, body in ipairs(bodies) do
    for way, first in pairs { plain = '', opaque = 'nothing() ' } do
      parts[#parts + 1] = ("tm.pipeline '%s%d'%s:filter(function(e) %s%s end):select { 'n' }\n" ..
        "  :on_error(tm.sink.file '%s.%s%d.bad'):to(tm.sink.file '%s.%s%d'),"):format(way, i, before or '', first, body, out, way, i, out,
        way, i)
    end
  end
  parts[#parts + 1] = '}'
  return table.concat(parts, '\n')
end

local function compare(bodies, input, option, before)
  local out = h.path 'filtered'
  local path = h.write(script(bodies, out, before))
  local r = h.run { 'run', path, '--from', h.write(input), option }
  assert.equal(0, r.code, r.err)
  local kept = 0
  for i, body in ipairs(bodies) do
    local plain, opaque = h.read(('%s.plain%d'):format(out, i)), h.read(('%s.opaque%d'):format(out, i))
    assert.equal(opaque, plain, body)
    kept = kept + select(2, plain:gsub('\n', ''))
    local function letters(way)
      -- the two stand on different lines
      return (h.read(('%s.%s%d.bad'):format(out, way, i)):gsub('"pipeline":"' .. way, '"pipeline":"'):gsub('{"at":"[^"]*"', '{'))
    end
    assert.is_true(letters 'opaque' == letters 'plain', body)
  end
  return kept
end

describe('a filter that is read off its bytecode', function()
  for seed = 1, 4 do
    it('keeps and fails the same rows as one that is called for each, seed ' .. seed, function()
      math.randomseed(seed)
      local bodies = {}
      for i = 1, 24 do bodies[i] = 'return ' .. expression(3) end
      assert.is_true(compare(bodies, rows(3000), seed == 4 and '--no-jit' or nil) > 0)
    end)
  end

  it('has branches, several returns, locals and fields that are only read', function()
    math.randomseed(5)
    compare({
      "if e.a == 'pos' then return true end if e.b == 1 then return false end return e.c",
      "local a = e.a if a == nil then return end return a == 'pos' or a == 'atm'",
      "local b = e.b if e.a == 'pos' then return true end return false",
      "if e.a then if e.b then if e.c then return e.d == 'pos' end end end",
      "local x = e.a == 'pos' return x",
      "local x = not e.c return x == true",
      "local x = not not e.a return x == 'pos'",
      "return e.a == 'pos' and 1 or nil",
      "if e.b == 1 then return false end return false",
      "while e.a == 'pos' do return true end return false",
      "local f = e return f.a == 'pos'",
      "return e.a == e.d", "return e.b * 2 > 10", "return e.c.x == 1", "return true", "return false", '',
    }, rows(3000))
  end)

  it('meets text by text columns of few, of many and of one value each', function()
    local lines = {}
    for i = 1, 6000 do
      lines[i] = ('{"n":%d,"few":"w%d","many":"w%d","own":"w%d"}'):format(i, i % 3, i % 300, i)
    end
    local kept = compare({ "return e.few == 'w1'", "return e.many == 'w7'", "return e.many ~= 'w299'", "return e.own == 'w5999'",
      "return e.few == 'w3'" }, table.concat(lines, '\n') .. '\n')
    assert.equal(2000 + 20 + 5980 + 1 + 0, kept)
  end)

  -- what the schema lets fail must fail in both, also in rows that the filter drops
  local schemas = { ":schema { b = 'number' }", ":schema { b = 'number', a = 'string', c = 'boolean' }",
    ":schema { d = 'any', b = 'time_ms' }:schema { c = 'boolean' }", ":schema { b = 'integer', a = 'string' }",
    ":schema { b = 'decimal(2)' }", ":event_time { field = 'n' }:schema { b = 'number', missing = 'number', e = 'string' }" }

  it('stands behind a :schema', function()
    math.randomseed(6)
    for _, schema in ipairs(schemas) do
      local bodies = { 'return e.b > 100', "return e.a == 'pos'", 'return e.c' }
      for _ = 1, 3 do bodies[#bodies + 1] = 'return ' .. expression(2) end
      compare(bodies, rows(400), nil, schema)
    end
  end)

  it('stands behind a :schema of CSV', function()
    math.randomseed(7)
    local texts, numbers = { 'pos', 'ecom', '', '"p""s"', 'é', '"a,b"' }, { '0', '100', '1e2', '-7', '0.1', '9007199254740993', '1e999' }
    local odd = { '', 'x', '+5', '"7"', 'true', '1.5', '"a ""b"" c"' }
    local function cell(main) return pick(math.random(12) == 1 and odd or main) end
    for _, schema in ipairs(schemas) do
      local lines = { 'n,a,b,c,d,e' }
      for i = 1, 600 do
        lines[#lines + 1] = ('%d,%s,%s,%s,%s,id-%d'):format(i, cell(texts), cell(numbers), cell { 'true', 'FALSE' }, cell { 'pos' }, i)
      end
      local bodies = { 'return e.b > 100', "return e.a == 'pos'", 'return e.c', "return e.b == '0'", 'return e.c == true' }
      for _ = 1, 3 do bodies[#bodies + 1] = 'return ' .. expression(2) end
      compare(bodies, table.concat(lines, '\n') .. '\n', '--format=csv', schema)
    end
  end)

  it('leaves declared types to Lua', function()
    local out = h.path 'typed'
    local path = h.write(("local tm = require 'tidemill' return tm.pipeline 'p':filter(function(e) return e.id == '1' end)" ..
      ":schema { id = 'int64' }:to(tm.sink.file '%s')"):format(out))
    local r = h.run { 'run', path, '--from', h.write '{"id":1}\n{"id":2}\n' }
    assert.equal(0, r.code, r.err)
    assert.equal('{"id":1}\n', h.read(out))
  end)
end)

describe('what is read off a function', function()
  local loaded = {}
  local C = { TM_FILTER_DROP = -1, TM_FILTER_KEEP = -2, TM_FILTER_EQ_TEXT = 0, TM_FILTER_EQ_NUMBER = 1, TM_FILTER_LT = 2,
    TM_FILTER_LE = 3, TM_FILTER_GT = 4, TM_FILTER_GE = 5, TM_FILTER_TRUTH = 6, TM_FILTER_EQ_NIL = 7, TM_FILTER_EQ_FALSE = 8,
    TM_FILTER_EQ_TRUE = 9 }
  local filter
  setup(function()
    for _, name in ipairs { 'tidemill.lib', 'tidemill.bytecode', 'tidemill.filter' } do loaded[name] = package.loaded[name] end
    package.loaded['tidemill.lib'] = { bit = require 'bit', C = C }
    package.loaded['tidemill.bytecode'], package.loaded['tidemill.filter'] = nil, nil
    filter = require 'tidemill.filter'
  end)
  teardown(function()
    for _, name in ipairs { 'tidemill.lib', 'tidemill.bytecode', 'tidemill.filter' } do package.loaded[name] = loaded[name] end
  end)

  it('is its tests in order, each with two ways on', function()
    assert.same({
      { op = C.TM_FILTER_EQ_TEXT, field = 'channel', constant = 'pos', on_true = 1, on_false = -1 },
      { op = C.TM_FILTER_GT, field = 'amount', constant = 6, on_true = -2, on_false = -1 },
    }, filter.tests(function(e) return e.channel == 'pos' and e.amount > 6 end))
    assert.same({
      { op = C.TM_FILTER_TRUTH, field = 'blocked', on_true = -1, on_false = 1 },
      { op = C.TM_FILTER_EQ_NUMBER, field = 'mcc', constant = 7995, on_true = -1, on_false = -2 },
    }, filter.tests(function(e) return not e.blocked and e.mcc ~= 7995 end))
  end)

  it('has the values of locals that are never assigned', function()
    local limit, name = 5, 'pos'
    assert.same({
      { op = C.TM_FILTER_EQ_TEXT, field = 'channel', constant = 'pos', on_true = 1, on_false = -1 },
      { op = C.TM_FILTER_GT, field = 'amount', constant = 5, on_true = -2, on_false = -1 },
    }, filter.tests(function(e) return e.channel == name and e.amount > limit end))
  end)

  it('is nothing where every row must be asked', function()
    local limit = 5
    assert.is_nil(filter.tests(function(e) return e.amount > limit end))
    limit = limit + 1
    assert.is_nil(filter.tests(function(e) print(e) return e.amount > 5 end))
    assert.is_nil(filter.tests(function(e) return e.a == e.b end))
    assert.is_nil(filter.tests(function() return true end))
    assert.is_nil(filter.tests(print))
  end)
end)
