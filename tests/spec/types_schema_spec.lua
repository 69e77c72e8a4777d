--[[
types_schema_spec.lua - :schema with every type: what it takes, what Lua reads, what may be written, how it leaves;
and tm.i64 on digits, compared with Python's integers.
]]

local h = require 'spec.helper'

--- Which of these JSON values pass :schema { v = typ }: the values, in order.
local function passing(typ, values)
  local lines = {}
  for i, v in ipairs(values) do lines[i] = '{"v":' .. v .. '}' end
  local out, r = h.e("stream:schema { v = '" .. typ .. "' }", lines)
  local got = {}
  for i, line in ipairs(h.lines(out)) do got[i] = line:match '^{"v":(.*)}$' end
  return got, r.err
end

local function map(schema, body, ...) return (h.e('stream:schema ' .. schema .. ':map(function(e) ' .. body .. ' end)', { ... })) end
local function told(schema, body, ...)
  local _, r = h.e('stream:schema ' .. schema .. ':map(function(e) ' .. body .. ' end)', { ... })
  return r.err, r.out
end

local ALL = { 'null', 'true', '0', '-1', '1.5', '1e3', '12345678901234567890', '9223372036854775807', '9223372036854775808',
  '-9223372036854775808', '1e999',
  '"x"', '"5"', '"1.50"', '"\\u0041"', '{}', '[]' }

describe(':schema fixes a field\'s type for every event', function()
  for typ, want in pairs {
    string = { 'null', '"x"', '"5"', '"1.50"', '"\\u0041"' },
    number = { 'null', '0', '-1', '1.5', '1e3' },
    integer = { 'null', '0', '-1', '1e3' },
    int64 = { 'null', '0', '-1', '9223372036854775807', '-9223372036854775808', '"5"' },
    ['decimal(2)'] = { 'null', '0', '-1', '1.5', '1e3', '12345678901234567890', '9223372036854775807', '9223372036854775808',
      '-9223372036854775808', '"5"', '"1.50"' },
    boolean = { 'null', 'true' },
    time_s = { 'null', '0', '-1', '1.5', '1e3' },
    time_ms = { 'null', '0', '-1', '1.5', '1e3' },
    time_us = { 'null', '0', '-1', '1.5', '1e3' },
    time_ns = { 'null', '0', '-1', '9223372036854775807', '-9223372036854775808', '"5"' },
    any = ALL,
  } do
    it(typ .. ' passes untouched what it takes and fails the rest', function()
      assert.same(want, (passing(typ, ALL)))
    end)
  end

  it('time_iso8601 takes dates and date-times', function()
    local good = { 'null', '"2024-02-29"', '"2024-02-29T23:59:60Z"', '"2024-01-01T12:30"', '"2024-01-01 12:30:00.123456789+05:30"',
      '"2024-01-01t12:30:00z"',
      '"2000-02-29T00:00:00-0800"', '"2024-01-01T24:00:00+01"', '"2024-12-31T12:00:00,5Z"' }
    local bad = { '"2023-02-29"', '"1900-02-29"', '"2024-13-01"', '"2024-00-10"', '"2024-01-32"', '"2024-1-1"', '"20240101"',
      '"2024-01-01T25:00:00Z"', '"2024-01-01T24:00:01Z"',
      '"2024-01-01T12:60:00Z"', '"2024-01-01T12:00:61Z"', '"2024-01-01T12:00:00+24:00"',
      '"2024-01-01T12:00:00."', '"2024-01-01T12:00:00Zx"', '"2024-01-01Z"',
      '"yesterday"', '""', '0', 'true', '{}' }
    local both = {}
    for _, v in ipairs(good) do both[#both + 1] = v end
    for _, v in ipairs(bad) do both[#both + 1] = v end
    assert.same(good, (passing('time_iso8601', both)))
    assert.same(good, (passing('iso8601', both)))
  end)

  it('absent fields pass', function() assert.equal('{}\n', map("{ a = 'int64', b = 'decimal(2)', c = 'string' }", 'return e', '{}')) end)

  it('a wrong type fails the event: field, declared type and what was found are told', function()
    assert.truthy(select(2, passing('number', { '"x"' })):find("field 'v' is declared number, found a string [type]", 1, true))
    assert.truthy(select(2, passing('string', { '[1]' })):find("field 'v' is declared string, found an array [type]", 1, true))
    assert.truthy(select(2, passing('int64',
      { '9223372036854775808' })):find("field 'v' is declared int64, found 9223372036854775808 [type]", 1, true))
    assert.truthy(select(2, passing('decimal(2)',
      { '1.005' })):find("declared decimal(2), found 1.005, which has more than 2 decimals", 1, true))
  end)

  it('writing another type fails the event', function()
    for schema, value in pairs { int64 = '1.5', string = '1', number = '"x"', integer = '0.5', boolean = '1', ['decimal(2)'] = '0/0',
      time_ns = '"x"', time_iso8601 = '"2024-02-30"' } do
      local err, out = told("{ v = '" .. schema .. "' }", 'e.v = ' .. value .. ' return e', '{}')
      assert.equal('', out)
      assert.truthy(err:find("field 'v' is declared " .. schema .. ', found ', 1, true), schema)
      err, out = told("{ v = '" .. schema .. "' }", 'return { v = ' .. value .. ' }', '{}')
      assert.equal('', out)
      assert.truthy(err:find("field 'v' is declared " .. schema, 1, true), schema)
    end
  end)

  it('null and nil may always be written', function()
    assert.equal('{"a":null}\n', map("{ a = 'int64', b = 'string' }", 'e.a = tm.null e.b = nil return e', '{"a":1,"b":"x"}'))
  end)

  it('checks fields made by earlier steps', function()
    assert.equal('', (h.e("stream:rename { x = 'v' }:schema { v = 'number' }", { '{"x":"s"}' })))
    assert.equal('{"v":1.0}\n', (h.e("stream:rename { x = 'v' }:schema { v = 'number' }", { '{"x":1.0}' })))
    assert.equal('', (h.e("stream:map(function(e) return { v = { 1 } } end):schema { v = 'number' }", { '{}' })))
  end)

  it('an unknown type is a load error with a suggestion and the list of types', function()
    local _, r = h.e("stream:schema { v = 'int46' }", {})
    assert.equal(3, r.code)
    assert.truthy(r.err:find("schema: field 'v': no type 'int46' (did you mean 'int64'?)", 1, true))
    assert.truthy(r.err:find('time_iso8601', 1, true))
  end)
end)

describe('int64', function()
  it('reads as digits always', function()
    assert.equal('{"l":["1","-5","0","9223372036854775807","7"]}\n',
      map("{ a = 'int64', b = 'int64', c = 'int64', d = 'int64', f = 'int64' }",
      'return { l = { e.a, e.b, e.c, e.d, e.f } }', '{"a":1,"b":-5,"c":-0,"d":9223372036854775807,"f":"007"}'))
  end)
  it('is written as an integer, from digits or from a Lua integer', function()
    assert.equal('{"a":9223372036854775807,"b":5,"c":-9007199254740992,"d":12}\n',
      map("{ a = 'int64', b = 'int64', c = 'int64', d = 'int64' }",
      "e.a = '9223372036854775807' e.b = 5 e.c = -2^53 e.d = '0012' return e", '{"a":1}'))
  end)
  it('keeps its bytes when it is not written', function()
    assert.equal('{"a":"007","b":2}\n', map("{ a = 'int64' }", 'local x = e.a e.b = 2 return e', '{"a":"007"}'))
  end)
  it('keeps its type under another name, in select, map, flat_map and tm.copy', function()
    local line, write = '{"id":12345678901234567}', "stream:schema { id = 'int64' }:map(function(e) e.id = tm.i64.add(e.id, 1) \z
      return e end)"
    assert.equal('{"x":12345678901234568}\n', (h.e(write .. ":rename { id = 'x' }", { line })))
    assert.equal('{"id":12345678901234568}\n', (h.e(write .. ":select { 'id' }:map(function(e) return e end)", { line })))
    assert.equal('{"id":12345678901234568}\n', (h.e(write .. ':map(function(e) return tm.copy(e) end)', { line })))
    assert.equal('{"id":12345678901234568}\n{"id":12345678901234569}\n',
      (h.e(write .. ':flat_map(function(e, emit) emit(e) emit { id = tm.i64.add(e.id, 1) } end)', { line })))
    assert.equal('{"x":12345678901234568,"y":"12345678901234568"}\n',
      (h.e(write .. ":rename { id = 'x' }:map(function(e) e.y = e.x return e end)", { line })))
  end)
  it('a field renamed into a declared name reads and is written as declared', function()
    assert.equal('{"id":1,"j":"1"}\n',
      (h.e("stream:rename { x = 'id' }:schema { id = 'int64' }:map(function(e) e.j = e.id return e end)", { '{"x":1}' })))
    assert.equal('{"x":1,"id":5,"j":"5"}\n',
      (h.e("stream:map(function(e) e.y = 5 return e end):rename { y = 'id' }:schema { id = 'int64' }:map(function(e) e.j = e.id \z
        return e end)", { '{"x":1}' })))
  end)
end)

describe('decimal(n)', function()
  it('reads as a number', function()
    assert.equal('{"l":[12.5,0.1,3,100]}\n', map("{ a = 'decimal(2)', b = 'decimal(2)', c = 'decimal(2)', d = 'decimal(2)' }",
      'return { l = { e.a, e.b, e.c, e.d } }', '{"a":12.50,"b":"0.1","c":3,"d":1e2}'))
  end)
  it('is written exactly: n decimals, rounded half to even of the exact value', function()
    local values = { '0.1 + \z
      0.2', '1.005', '2.675', '0.125', '0.375', '-0.125', '1e15', '12', '-7.1', '0.005', '0.015', '123456789012.345' }
    local out = {}
    for i, v in ipairs(values) do out[i] = map("{ a = 'decimal(2)' }", 'e.a = ' .. v .. ' return e', '{}') end
    local r = h.shell('python3 -c ' .. h.quote([[
from decimal import Decimal, ROUND_HALF_EVEN
for x in (]] .. table.concat(values, ', ') .. [[,):
    print('{"a":%s}' % Decimal(x).quantize(Decimal('0.01'), ROUND_HALF_EVEN))]]))
    assert.equal(r.out, table.concat(out))
  end)
  it('keeps its bytes when it is not written', function()
    assert.equal('{"a":12.5,"b":2}\n', map("{ a = 'decimal(2)' }", 'local x = e.a e.b = 2 return e', '{"a":12.5}'))
  end)
  it('one with more digits than a number keeps passes unread and fails the event when read', function()
    assert.equal('{"a":90071992547409.93,"b":1}\n', map("{ a = 'decimal(2)' }", 'e.b = 1 return e', '{"a":90071992547409.93}'))
    local err, out = told("{ a = 'decimal(2)' }", 'return { x = e.a }', '{"a":90071992547409.93}')
    assert.equal('', out)
    assert.truthy(err:find("field 'a' holds 90071992547409.93, a decimal(2) with more digits than a Lua number keeps exactly", 1, true))
  end)
  it('every value that reads comes back unchanged', function()
    local lines = {}
    math.randomseed(7)
    for i = 1, 500 do
      local digits = tostring(math.random(1, 9))
      for _ = 2, math.random(1, 15) do digits = digits .. math.random(0, 9) end
      if #digits < 3 then digits = ('0'):rep(3 - #digits) .. digits end
      lines[i] = ('{"a":%s.%s}'):format(digits:sub(1, -3), digits:sub(-2))
    end
    assert.equal(table.concat(lines, '\n') .. '\n',
      (h.e("stream:schema { a = 'decimal(2)' }:map(function(e) local x = e.a e.a = 0 e.a = x return e end)", lines)))
  end)
  it('decimal(0) and decimal(18) are the bounds', function()
    assert.equal('{"a":5,"b":0.000000000000000001}\n', map("{ a = 'decimal(0)', b = 'decimal(18)' }", 'e.a = 5.4 return e',
      '{"a":1,"b":0.000000000000000001}'))
    assert.equal(3, select(2, h.e("stream:schema { v = 'decimal(19)' }", {})).code)
  end)
end)

describe('tm.i64', function()
  local nums = { '0', '1', '-1', '7', '-7', '2', '9007199254740993', '-9007199254740993', '9223372036854775807',
    '-9223372036854775808', '4611686018427387904', '-4611686018427387905' }
  it('add, sub, mod and cmp work on digits; results beyond an int64 raise', function()
    local lines = {}
    for _, a in ipairs(nums) do
      for _, b in ipairs(nums) do lines[#lines + 1] = ('{"a":"%s","b":"%s"}'):format(a, b) end
    end
    local out = h.e([[stream:map(function(e)
      local r = {}
      for _, op in ipairs { 'add', 'sub', 'mod' } do
        local ok, v = pcall(tm.i64[op], e.a, e.b)
        r[op] = ok and v or 'raises'
      end
      r.cmp = tm.i64.cmp(e.a, e.b)
      return r
    end)]], lines)
    local r = h.shell('python3 -c ' .. h.quote([[
import sys, json
fit = lambda v: str(v) if -2**63 <= v < 2**63 else 'raises'
for line in sys.stdin:
    e = json.loads(line); a, b = int(e['a']), int(e['b'])
    print(json.dumps({'add': fit(a + b), 'cmp': (a > b) - (a < b), 'mod': fit(a % b) if b else 'raises', 'sub': fit(a - b)},
      separators=(',', ':')))]]),
      table.concat(lines, '\n') .. '\n')
    assert.equal(r.out, out)
  end)
  it('takes Lua integers up to 2^53 too, and nothing else', function()
    assert.equal('{"a":"15"}\n', (h.e("stream:map(function(e) return { a = tm.i64.add(7, '8') } end)", { '{}' })))
    for _, arg in ipairs { '1.5', '2^60', "'x'", "'1.0'", 'nil', "'9223372036854775808'" } do
      local _, r = h.e('stream:map(function(e) return { a = tm.i64.add(' .. arg .. ', 1) } end)', { '{}' })
      assert.equal('', r.out)
      assert.truthy(r.err:find('tm.i64.add', 1, true), arg)
    end
  end)
end)
