--[[
steps_emit_spec.lua - what a function emits is taken as it is at that moment: the event itself, changed or not, its nested
objects, tables. The reference is `map`: the k-th row of an event is what a map makes of it that does the same writes and
returns it; only its JSON and msgpack, byte for byte, are compared.
]]

local h = require 'spec.helper'

--- n odd events as JSON: white space, duplicate keys, escapes, large integers, nested values; the same for the same seed.
local function events(n, seed)
  math.randomseed(seed)
  local function value(depth)
    local k = math.random(depth < 3 and 9 or 6)
    if k == 1 then return tostring(math.random(-50, 50)) end
    if k == 2 then return ('%.2f'):format(math.random() * 100) end
    if k == 3 then return ({ 'null', 'true', 'false', '[]', '{ }', '1e3', '-0' })[math.random(7)] end
    if k == 4 then return ({ '"x"', '""', '"a\\n\\"b\\u00e9"', '"日本"', '"' .. ('long '):rep(30) .. '"' })[math.random(5)] end
    if k == 5 then return '7.50' end
    if k == 6 then return '"t' .. math.random(9) .. '"' end
    local items = {}
    for i = 1, math.random(0, 3) do
      items[i] = (k == 7 and '' or ('"%s" :'):format(('abcd'):sub(i, i))) .. value(depth + 1)
    end
    return k == 7 and '[' .. table.concat(items, ', ') .. ']' or '{' .. table.concat(items, ',') .. '}'
  end
  local names = { 'a', 'b', 'c', 'd', 'geo', 'id', 'n\\u0061me' }
  local lines = {}
  for i = 1, n do
    local members = { ('"k":%d,"big":1152921504606846977'):format(i) }
    for _, name in ipairs(names) do
      if math.random(3) > 1 then members[#members + 1] = ('"%s":%s'):format(name, value(1)) end
    end
    if math.random(8) == 1 then members[#members + 1] = '"a":7' end
    if math.random(4) == 1 then members[#members + 1] = ' "geo" : { "a" : 1, "x" : { "y" : [1, 2] } }' end
    lines[i] = '{' .. table.concat(members, math.random(2) == 1 and ',' or ' , ') .. '}'
  end
  return table.concat(lines, '\n') .. '\n'
end

local json = h.write(events(200, 7), h.path 'events.ndjson')
local packed = h.path 'events.msgpack'
h.run { 'run', '--quiet', '-e', 'stream', '--from', json, '--to', packed, '--out-format', 'msgpack' }

-- `obj` is true where geo is an object
local OBJ = "local geo = e.geo local obj = type(geo) == 'table' and next(geo) == 'a' and e.k % 2 == 0 "
local writes = {
  ['nothing'] = { '', '', 'e.k = e.k' },
  ['fields, new and old'] = { 'e.b = 1', "e.new = 'x'", 'e.b = nil', 'e.b = e.k', 'e.c = tm.null e.b = 2.5' },
  ['a field from another'] = { 'e.x = e.c == nil', 'e.x = e.d == true e.d = nil', 'e.x = tm.is_null(e, "c")' },
  ['tables'] = { 'e.b = { x = { y = 1 } }', 'e.b.x.y = { 2 }', 'e.b.x.z = tm.array {}', 'e.b = nil', 'e.b = { e.k }' },
  ['nested objects'] = { 'if obj then e.geo.a = 5 end', 'if obj then e.geo.q = { r = 1 } end', 'if obj then e.geo.q.r = nil end',
    'e.geo = nil', 'e.geo = { a = 2 }' },
  ['arrays in place'] = { 'local l = e.l or { 1 } e.l = l', 'e.l[2] = e.k', 'e.l[1] = nil e.l[1] = 3', 'e.l = { 1, 2 }' },
  ['more than some'] = { 'e.w1, e.w2, e.w3, e.w4, e.w5, e.w6 = 1, 2, 3, 4, 5, 6', 'e.w7, e.w3, e.w8 = 7, nil, 8' },
  ['names met as data'] = { "e['n' .. e.k] = 1", "e['n' .. e.k] = nil e['m' .. e.k] = 'x'", 'for i = 1, 3 do e["p" .. (e.k + i)] = i end' },
}

local before = {
  ['as it came'] = '',
  ['after a map to a table'] = ":map(function(e) return { k = e.k, geo = { a = e.k, x = {} }, q = 's' } end)",
  ['after select'] = ":select { 'geo', 'k', 'c' }",
  ['after rename and set'] = ":rename { a = 'd2', c = 'a' }:set { k2 = function(e) return e.k end }",
  ['in rows of a flat_map'] = ':flat_map(function(e, emit) e.outer = 1 emit(e) end)',
}

--- What the code writes, in the format it reads.
local function rows_of(code, from, format)
  local to = h.path 'rows'
  local r = h.run { 'run', '--quiet', '-e', code, '--from', from, '--format', format, '--to', to, '--out-format', format }
  assert.equal('', r.err, code)
  return h.read(to)
end

describe('emit(e)', function()
  for chain_name, chain in pairs(before) do
    for name, list in pairs(writes) do
      it(name .. ', ' .. chain_name .. ': each row is what a map would have made', function()
        local function map(i, source, format)
          return rows_of(('stream%s:map(function(e) %s %s return e end)'):format(chain, OBJ, table.concat(list, ' ', 1, i)), source, format)
        end
        local all, want = {}, {}
        for i, w in ipairs(list) do
          all[i] = w .. ' emit(e)'
          want[i] = h.lines(map(i, json, 'json'))
        end
        local each = ('stream%s:flat_map(function(e, emit) %s %s end)'):format(chain, OBJ, table.concat(all, ' '))
        local got = h.lines(rows_of(each, json, 'json'))
        assert.is_true(#got == #list * #want[1] and #got > 300)
        for k, line in ipairs(got) do assert.equal(want[(k - 1) % #list + 1][math.floor((k - 1) / #list) + 1], line) end
        -- of msgpack one row an event, as nothing here can tell where a row ends
        local flat = ('stream%s:flat_map(function(e, emit) %s %s emit(e) end)'):format(chain, OBJ, table.concat(list, ' '))
        assert.is_true(map(#list, packed, 'msgpack') == rows_of(flat, packed, 'msgpack'), flat)
      end)
    end
  end

  it('unchanged: its own bytes, white space and duplicates included', function()
    assert.equal(h.read(json), rows_of('stream:flat_map(function(e, emit) emit(e) end)', json, 'json'))
    assert.equal(h.read(packed), rows_of('stream:flat_map(function(e, emit) emit(e) end)', packed, 'msgpack'))
  end)

  it('is read behind the step as the event that it was', function()
    local out = h.e([[stream:flat_map(function(e, emit) emit(e) e.v = e.v + 1 emit(e) e.v = nil emit(e) end)
      :filter(function(r) return r.v ~= 2 end):map(function(r) r.seen = r.t .. tostring(r.v) return r end)
      :key_by 't':running('n', { n = tm.agg.count(), v = tm.agg.sum 'v', last = tm.agg.last 'seen' }, { max_keys = 9 })]],
      { '{"v":1,"t":"a"}', '{"t":"b","v":7}' })
    assert.same({ { t = 'a', n = 1, v = 1, last = 'a1' }, { t = 'a', n = 2, v = 1, last = 'anil' }, { t = 'b', n = 1, v = 7, last = 'b7' },
      { t = 'b', n = 2, v = 15, last = 'b8' }, { t = 'b', n = 3, v = 15, last = 'bnil' } }, h.rows(out))
  end)

  it('takes nested objects, other views and tables that hold views as they are then', function()
    local out = h.e([[stream:flat_map(function(e, emit) emit(e.geo) e.geo.a = 2 emit(e.geo) emit { g = e.geo, l = { e.geo } } e.geo.a = 3
      e.geo.x.z = 1 emit(e.geo.x) emit(e.geo) end)]], { '{"geo": {"x" : {"y":[1, 2]},"a":1}}' })
    assert.equal([[{"x":{"y":[1, 2]},"a":1}
{"x":{"y":[1, 2]},"a":2}
{"g":{"x" : {"y":[1, 2]},"a":2},"l":[{"x" : {"y":[1, 2]},"a":2}]}
{"y":[1, 2],"z":1}
{"x":{"y":[1, 2],"z":1},"a":3}
]], out)
  end)

  it('holds captures of tm.re, which lie in the event', function()
    local out = h.e([[stream:map(tm.re '^(?<a>\\w+) (?<b>\\w+)':fields 'line')
      :flat_map(function(e, emit) emit(e) e.c = 1 emit(e) end):filter(function(r) return r.a ~= 'x' end)]],
      { '{"line":"hello world"}', '{"line":"x y"}' })
    assert.equal('{"a":"hello","b":"world"}\n{"a":"hello","b":"world","c":1}\n', out)
  end)

  it('survives many objects written among odd neighbours (a compiled next() lost half of a pointer)', function()
    for _ = 1, 12 do
      local r = h.run { 'run', '--quiet', '--from', json, '-e', [[
        stream:rename { a = 'd2', c = 'a' }:set { k2 = function(e) return e.k end }
        :map(function(e) local geo = e.geo e.k = e.k return e end)]] }
      assert.equal('', r.err)
      assert.equal(200, #h.lines(r.out))
    end
  end)

  it('of an event that fails leaves nothing, and the next one is not touched', function()
    local out, r = h.e([[stream:key_by 'k':process('p', { max_keys = 9, state = { n = 0 }, on_event = function(e, s, ctx)
      s.n = s.n + 1 e.n = s.n ctx.emit(e) e.n = nil ctx.emit(e) if e.bad then error 'as asked' end end })]],
      { '{"k":1}', '{"k":1,"bad":true}', '{"k":1}' })
    assert.equal('{"k":1,"n":1}\n{"k":1}\n{"k":1,"n":2}\n{"k":1}\n', out)
    assert.truthy(r.err:find('as asked', 1, true))
  end)

  it('keeps the types declared before it, and meets those declared behind it', function()
    local out, r = h.e([[stream:schema { d = 'decimal(2)', i = 'int64' }:flat_map(function(e, emit) emit(e) e.d = 1.5 emit(e)
      e.i = tm.i64.add(e.i, '1') emit(e) end):filter(function(x) return x.d < 3 and #x.i > 15 end)]],
      { '{"d":2.10,"i":1152921504606846977}' })
    assert.equal('', r.err)
    assert.equal('{"d":2.10,"i":1152921504606846977}\n{"d":1.50,"i":1152921504606846977}\n{"d":1.50,"i":1152921504606846978}\n', out)
    out, r = h.e([[stream:flat_map(function(e, emit) e.d = 1.5 emit(e) e.d = 'x' emit(e) end):schema { d = 'decimal(2)' }]], { '{"k":1}' })
    assert.equal('', out)
    assert.truthy(r.err:find("field 'd'", 1, true), r.err)
  end)

  it('counts what it holds: an event may make as many rows as its bounds say', function()
    local big = '{"t":"' .. ('x'):rep(1000000) .. '"}'
    local out, r = h.e('stream:flat_map(function(e, emit) for i = 1, 20 do emit(e) end end):filter(function(r) return false end)', { big })
    assert.equal('', out)
    assert.truthy(r.err:find('exceed 16 MiB', 1, true), r.err)
    out, r = h.e('stream:flat_map(function(e, emit) for i = 1, 11 do e.i = i emit(e) end end)', { '{}' }, '--max-rows', '10')
    assert.equal('', out)
    assert.truthy(r.err:find('more than 10 rows', 1, true), r.err)
  end)
end)
