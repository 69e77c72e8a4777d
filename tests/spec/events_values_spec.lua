--[[
events_values_spec.lua - what values are: null and missing, numbers, large integers, duplicate keys, bytes that pass
through, names met as data. Numbers are compared with Python's json and float; the rest is worked out by hand.
]]

local h = require 'spec.helper'

local function e(code, ...) return (h.e(code, { ... })) end
local function map(body, ...) return e('stream:map(function(e) ' .. body .. ' end)', ...) end
local function told(code, ...)
  local _, r = h.e(code, { ... })
  return r.err, r.out
end

--- Python's stdout for a program, with input on stdin.
local function python(program, input)
  local r = h.shell('python3 -c ' .. h.quote(program), input)
  assert.equal(0, r.code, r.err)
  return r.out
end

describe('null and missing', function()
  it('both read as nil; tm.is_null(e, name) tells them apart', function()
    assert.equal('{"l":[true,true,true,false,false]}\n',
      map("return { l = { e.a == nil, e.b == nil, tm.is_null(e, 'a'), tm.is_null(e, 'b'), tm.is_null(e, 'c') } }", '{"a":null,"c":1}'))
  end)

  it('tm.is_null sees written values, nested objects and plain tables', function()
    assert.equal('{"l":[true,false,true,false,true]}\n', map(
      "e.x = tm.null e.n = nil return { l = { tm.is_null(e, 'x'), tm.is_null(e, 'n'), tm.is_null(e.o, 'p'), tm.is_null(e.o, 'q'), \z
        tm.is_null(tm.copy(e), 'x') } }",
      '{"n":null,"o":{"p":null}}'))
    assert.equal('{"b":null,"l":true}\n', e('stream:rename{a="b"}:map(function(e) e.l = tm.is_null(e, "b") return e end)', '{"a":null}'))
    assert.equal('{"a":null,"l":true}\n', e('stream:select{"a"}:map(function(e) e.l = tm.is_null(e, "a") return e end)', '{"a":null}'))
  end)

  it('e.x = tm.null writes null, e.x = nil removes', function()
    assert.equal('{"a":null,"c":null}\n', map('e.a = tm.null e.b = nil e.c = tm.null return e', '{"a":1,"b":2}'))
    assert.equal('{"o":{"a":null}}\n', map('e.o.a = tm.null e.o.b = nil return e', '{"o":{"a":1,"b":2}}'))
    assert.equal('{"l":[null,{"n":null}],"n":null}\n', map('return { n = tm.null, l = { tm.null, { n = tm.null } } }', '{}'))
  end)
end)

describe('empty tables', function()
  it('tm.array{} and decoded arrays encode as [], other empty tables as {}', function()
    assert.equal('{"a":[],"b":{},"c":[],"d":{},"e":[],"f":[[],{}]}\n',
      map('return { a = tm.array {}, b = {}, c = e.c, d = e.d, e = tm.array(), f = { tm.array {}, {} } }', '{"c":[],"d":{}}'))
  end)

  it('an array that lost its items stays one', function()
    assert.equal('{"a":[],"x":{"l":[]}}\n', map('table.remove(e.a) return { a = e.a, x = { l = e.a } }', '{"a":[1]}'))
  end)
end)

describe('numbers', function()
  it('are written with the fewest digits that read back, integers below 2^53 without exponent', function()
    local list = { '0', '-0.0', '1', '-1', '100000', '1e15', '9007199254740991', '-9007199254740991',
      '123456789012345', '0.1', '0.30000000000000004', '1e-7',
      '1.5', '-2.25', '1e21', '1e22', '1.7976931348623157e308', '5e-324', '2.2250738585072014e-308',
      '123456.789', '1e100', '3.141592653589793', '1e16', '4503599627370497.5' }
    local lines = {}
    for i, text in ipairs(list) do lines[i] = '{"a":' .. text .. '}' end
    local out = h.e('stream:map(function(e) return { v = e.a } end)', lines)
    local checked = python([[
import sys, json, re
want = json.loads(sys.stdin.readline())
for text, line in zip(want, sys.stdin):
    got = line.strip()[5:-1]
    x = float(text)
    assert float(got) == x and json.dumps(float(got)) == json.dumps(x), (text, got)      # reads back, -0.0 too
    digits = lambda s: len(re.sub(r'^0+|0+$', '', re.sub(r'[eE].*$', '', s).replace('-', '').replace('.', '')))
    assert digits(got) == digits(repr(x)), (text, got)                                    # repr has the fewest digits
    if x == int(x) and abs(x) < 2**53: assert re.fullmatch('-?[0-9]+', got), (text, got)
    print('ok')
]], '["' .. table.concat(list, '","') .. '"]\n' .. out)
    assert.equal(#list, select(2, checked:gsub('ok', '')))
  end)

  it('NaN and infinity cannot be written: the event fails', function()
    for _, v in ipairs { '0/0', 'math.huge', '-math.huge' } do
      for _, body in ipairs { 'e.a = %s return e', 'e.o.a = %s return e', 'return { a = %s }', 'e.l[1] = %s return e',
        'return { l = { { %s } } }' } do
        local err, out = told('stream:map(function(e) ' .. body:format(v) .. ' end)', '{"a":1,"o":{"a":1},"l":[1]}')
        assert.equal('', out)
        assert.truthy(err:find('[not-writable]', 1, true), body)
      end
    end
  end)

  it('one that is overwritten before the end of the event does no harm', function()
    assert.equal('{"a":2}\n', map('e.a = 0/0 e.a = 2 return e', '{"a":1}'))
  end)
end)

describe('integers outside +-2^53', function()
  local line = '{"id":12345678901234567890,"neg":-9007199254740993,"a":1}'

  it('reading one in Lua fails the event and names the :schema line to write', function()
    local err, out = told('stream:map(function(e) e.x = e.id return e end)', line)
    assert.equal('', out)
    assert.truthy(err:find("field 'id' holds 12345678901234567890, an integer outside +-2^53", 1, true))
    assert.truthy(err:find(":schema { id = 'int64' }", 1, true))
    assert.truthy(told('stream:filter(function(e) return e["a-b"] == 1 end)', '{"a-b":12345678901234567890}')
      :find(":schema { ['a-b'] = 'int64' }", 1, true))
  end)

  it('2^53 and -2^53 themselves read as numbers', function()
    assert.equal('{"l":[9007199254740992,-9007199254740992]}\n', map('return { l = { e.a, e.b } }',
      '{"a":9007199254740992,"b":-9007199254740992}'))
    assert.truthy(told('stream:filter(function(e) return e.a end)', '{"a":9007199254740993}'):find('bigint', 1, true))
  end)

  it('fails the event in pairs, tm.copy and nested arrays too, for they read', function()
    for _, body in ipairs { 'for k, v in pairs(e) do end', 'tm.copy(e)', 'local n = #e.l', 'local n = e.o.b' } do
      local err, out = told('stream:map(function(e) ' .. body .. ' return e end)',
        '{"l":[12345678901234567890],"o":{"b":12345678901234567890}}')
      assert.equal('', out)
      assert.truthy(err:find('12345678901234567890', 1, true), body)
    end
  end)

  it('unread they pass untouched, whatever else is written', function()
    assert.equal(line:gsub('"a":1', '"a":2') .. '\n', map('e.a = 2 return e', line))
    assert.equal('{"r":12345678901234567890,"a":1}\n',
      e('stream:select{"id","a"}:rename{id="r"}:map(function(e) return e end):select{"r","a"}', line))
    assert.equal(line .. '\n', e('stream:flat_map(function(e, emit) emit(e) end)', line))
    assert.equal('{"o":{"b":12345678901234567890}}\n', map('return { o = e.o }', '{"o":{"b":12345678901234567890}}'))
  end)

  it('used as a key or in select they pass untouched', function()
    assert.equal('{"id":12345678901234567890,"k":"12345678901234567890"}\n',
      e('stream:key_by "id":map(function(e) e.k = tm.meta(e).key return e end):select{"id","k"}', line))
    assert.equal('{"r":12345678901234567890,"k":"12345678901234567890"}\n',
      e('stream:rename { id = "r" }:key_by "r":map(function(e) e.k = tm.meta(e).key return e end):select{"r","k"}', line))
    assert.equal('{"id":12345678901234567890,"z":1}\n',
      e('stream:set { z = function() return 1 end }:key_by "id":select{"id","z"}', line))
  end)

  it("a number beyond a double's range passes unread and fails the event when read", function()
    assert.equal('{"a":1e999,"b":1}\n', map('e.b = 1 return e', '{"a":1e999}'))
    assert.truthy(told('stream:map(function(e) return { x = e.a } end)', '{"a":-1e999}')
      :find("field 'a' holds -1e999, a number beyond a double's range [number-range]", 1, true))
  end)
end)

describe('duplicate keys', function()
  local line = '{"a":1,"b":2,"a":3,"c":4,"\\u0061":5}'
  it('the last one is read', function()
    assert.equal('{"v":5}\n', map('return { v = e.a }', line))
    assert.equal('{"v":7}\n', map('return { v = e.o.x }', '{"o":{"x":6,"x":7}}'))
    assert.equal('{"v":"y"}\n', map('return { v = e.l[1].x }', '{"l":[{"x":6,"x":"y"}]}'))
  end)
  it('untouched they pass as they are', function() assert.equal(line .. '\n', map('return e', line)) end)
  it('writing replaces the last one and removes the others', function()
    assert.equal('{"b":2,"c":4,"\\u0061":9}\n', map('e.a = 9 return e', line))
    assert.equal('{"o":{"y":1,"x":8}}\n', map('e.o.x = 8 return e', '{"o":{"x":6,"y":1,"x":7}}'))
  end)
  it('removing removes all', function() assert.equal('{"b":2,"c":4}\n', map('e.a = nil return e', line)) end)
  it('drop and rename take all, select the last', function()
    assert.equal('{"b":2,"c":4}\n', e('stream:drop{"a"}', line))
    assert.equal('{"b":2,"c":4,"n":5}\n', e('stream:rename{a="n"}', line))
    assert.equal('{"a":5}\n', e('stream:select{"a"}', line))
  end)
end)

describe('bytes', function()
  local line = '{ "s" : "\\u00e9\\/é" , "n":1.0,"e":1E+2, "o" : { "x":[ 1 , 2.50 ],"y" : -0 }, "l":[ true,null ] }'
  it('an event nobody wrote leaves byte for byte', function()
    assert.equal(line .. '\n', e('stream:filter(function(e) return e.n == 1 and e.s == "é/é" and e.o.y == 0 and e.l[1] end)', line))
  end)
  it('fields nobody wrote leave byte for byte, also when another field changed', function()
    -- the contract says nothing about white space around a field that is added
    local out = map('e.n = 2 e.z = 1 return e', line)
    assert.equal(line:gsub('"n":1.0', '"n":2'):gsub(' }$', '') .. ',"z":1}\n', (out:gsub(' *,"z":1 *}', ',"z":1}')))
    assert.equal((line:gsub('"y" : %-0', '"y" : 5')) .. '\n', map('e.o.y = 5 return e', line))
  end)
  it('selected and renamed fields keep their bytes', function()
    assert.equal('{"e":1E+2,"s":"\\u00e9\\/é","o":{ "x":[ 1 , 2.50 ],"y" : -0 }}\n', e('stream:select{"e","s","o"}', line))
    assert.equal('{"e":1E+2,"t":"\\u00e9\\/é","l":[ true,null ]}\n',
      e('stream:select{"e","s","l"}:map(function(e) local x = e.s .. e.e return e end):rename{s="t"}:select{"e","t","l"}', line))
  end)
  it('rows made in Lua are written with their keys in byte order', function()
    assert.equal('{"":0,"A":1,"B":2,"Z":{"a":1,"b":2},"a":3,"aa":4,"b":5,"é":6,"😀":7}\n',
      map("return { ['é'] = 6, b = 5, aa = 4, a = 3, Z = { b = 2, a = 1 }, B = 2, A = 1, [''] = 0, ['😀'] = 7 }", '{}'))
    local many = map('local t = {} for i = 1, 100 do t["k" .. (i * 37 % 101)] = i end return { t = t, l = { t } }', '{}')
    local want = python([[
import json
t = {"k%d" % (i * 37 % 101): i for i in range(1, 101)}
t = dict(sorted(t.items(), key=lambda kv: kv[0].encode()))
print(json.dumps({"l": [t], "t": t}, separators=(',', ':')))]])
    assert.equal(want, many)
  end)
  it('strings are written with what JSON wants escaped, and only that', function()
    local out = map([[return { s = '"\\/\b\f\n\r\t\1\31\127é😀' }]], '{}')
    assert.equal('"\\/\b\f\n\r\t\1\31\127é😀', h.decode(out).s)
    assert.equal(python([[
import json
print(json.dumps({"s": '"\\/\b\f\n\r\t\x01\x1f\x7fé😀'}, ensure_ascii=False, separators=(',', ':')))]]), out)
  end)
  it('text that is not UTF-8 cannot be written: the event fails', function()
    assert.truthy(told([[stream:map(function(e) e.s = '\255' return e end)]], '{}'):find('[not-writable]', 1, true))
  end)
  it('a table that holds itself fails the event', function()
    assert.truthy(told('stream:map(function(e) local t = {} t.t = t e.t = t return e end)', '{}'):find('[too-deep]', 1, true))
  end)
end)

describe('names met as data', function()
  -- 40 events of 100 names each, none twice: far more than the 256 that are learned
  local lines = h.lines(python [=[
import json
for i in range(40):
    print(json.dumps({f"k{i}_{j}": [i * j, f"s{j}\n", None, True, 1.5, {"a": j}, [j]][j % 7] for j in range(100)}))]=])
  local want = python([[
import sys, json
for line in sys.stdin:
    d = json.loads(line)
    r = {"n": len(d), "num": sum(v for v in d.values() if type(v) in (int, float)), "len": sum(len(v) for v in d.values() if
      type(v) is str),
         "obj": sum(v["a"] for v in d.values() if type(v) is dict), "arr": sum(v[0] for v in d.values() if type(v) is list),
         "null": sum(v is None for v in d.values()), "bool": sum(v is True for v in d.values())}
    print(json.dumps(r, sort_keys=True, separators=(',', ':')))]], table.concat(lines, '\n') .. '\n')
  local code = [[stream:map(function(e)
    local r = { n = 0, num = 0, len = 0, obj = 0, arr = 0, null = 0, bool = 0 }
    for k in pairs(e) do
      local v = e[k]
      r.n = r.n + 1
      if type(v) == 'number' then r.num = r.num + v elseif type(v) == 'string' then r.len = r.len + #v
      elseif v == nil then assert(tm.is_null(e, k)) r.null = r.null + 1 elseif v == true then r.bool = r.bool + 1
      elseif v[1] then r.arr = r.arr + v[1] else r.obj = r.obj + v.a end
    end
    return r
  end)]]

  it('e[k] with thousands of names gives right answers', function()
    assert.equal((want:gsub('%.0', '')), (h.e(code, lines)))
  end)

  it('writing them gives right answers', function()
    local out = h.e([[stream:map(function(e) local t = tm.copy(e) for k, v in pairs(t) do if type(v) == 'number' then e[k] = v + 1
      e[k .. 'n'] = v end end return e end)]], lines)
    local expected = python([[
import sys, json
for line in sys.stdin:
    d = json.loads(line); t = dict(d)
    for k in sorted(t, key=lambda k: k.encode()):
        if type(t[k]) in (int, float): d[k] = t[k] + 1; d[k + 'n'] = t[k]
    print(json.dumps(d))]], table.concat(lines, '\n') .. '\n')
    local got, expect = h.rows(out), h.rows(expected)
    assert.equal(40, #got)
    assert.same(expect, got)
  end)

  it('take a bounded amount of memory', function()
    local many = {}
    for i = 1, 10 do
      for _, line in ipairs(lines) do many[#many + 1] = (line:gsub('"k', '"r' .. i .. 'k')) end
    end
    local path = h.write(table.concat(many, '\n') .. '\n')
    -- 40,000 names; something kept for each would need more than this cap
    local r = h.run { 'run', '--quiet', '--strict', '--script-memory', '32M', '--deadline', '30s', '--from', path, '-e', code }
    assert.equal(0, r.code, r.err)
    assert.equal(400, #h.lines(r.out))
    for i = 1, 400 do
      local fields = {}
      for j = 1, 100 do fields[j] = ('"r%dk%d":{"a":%d}'):format(i, j, j) end
      many[i] = '{' .. table.concat(fields, ',') .. '}'
    end
    local _, objects = h.e('stream:map(function(e) local n = 0 for k, v in pairs(e) do n = n + v.a end return { n = n } end)', many,
      '--strict', '--script-memory', '32M', '--deadline', '30s')
    assert.equal(0, objects.code, objects.err)
    assert.equal(('{"n":5050}\n'):rep(400), objects.out)
  end)
end)
