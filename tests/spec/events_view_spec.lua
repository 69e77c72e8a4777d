--[[
events_view_spec.lua - an event in a script's hands: reading, writing, pairs, nested objects and arrays, what raises.
Expected rows are worked out by hand from the contract's sentences; JSON is decoded by dkjson.
]]

local h = require 'spec.helper'

local function e(code, ...) return (h.e(code, { ... })) end
local function map(body, ...) return e('stream:map(function(e) ' .. body .. ' end)', ...) end
--- What a failing function is told: the first line of the report.
local function told(code, ...)
  local _, r = h.e(code, { ... })
  return r.err, r.out
end

describe('event views', function()
  it('e.x reads, e.x = v writes, e.x = nil removes', function()
    assert.equal('{"a":2,"c":3,"d":6}\n', map('e.d = e.a + 5 e.a = 2 e.b = nil return e', '{"a":1,"b":2,"c":3}'))
  end)

  it("fields whose names are Lua keywords are read as e['end']", function()
    assert.equal('{"end":2,"function":"f!"}\n',
      map("e['end'] = e['end'] + 1 e['function'] = e['function'] .. '!' return e", '{"end":1,"function":"f"}'))
  end)

  it('no field name is special and events have no methods', function()
    local line = '{"copy":1,"raw":2,"time":3,"meta":4,"is_null":5,"__index":6,"st":7,"key":8,"":9}'
    assert.equal('{"s":45}\n', map("return { s = e.copy + e.raw + e.time + e.meta + e.is_null + e.__index + e.st + e.key + e[''] \z
      }", line))
    assert.equal('{"s":[0,0]}\n', map('local n = 0 for _ in pairs(e) do n = n + 1 end return { s = { n, e.copy == nil and 0 or 1 } }',
      '{}'))
  end)

  it('a written field replaces the value in place, a new one is appended, in order of writing', function()
    assert.equal('{"a":1,"b":"x","c":3,"z":1,"d":2}\n', map("e.z = 1 e.b = 'x' e.d = 2 return e", '{"a":1,"b":2,"c":3}'))
  end)

  it('a field removed and written again keeps its place', function()
    assert.equal('{"a":9,"b":2}\n', map('e.a = nil e.a = 9 return e', '{"a":1,"b":2}'))
  end)

  it('writing under a key that is no string raises; reading one gives nil', function()
    assert.equal('{"a":1,"n":true}\n', map('e.n = e[1] == nil and e[true] == nil return e', '{"a":1}'))
    assert.truthy(told('stream:map(function(e) e[1] = 2 return e end)', '{"a":1}'):find('field names are strings, got a number', 1, true))
  end)

  it('functions and threads cannot be written', function()
    assert.truthy(told('stream:map(function(e) e.f = print return e end)', '{}')
      :find("cannot write a function into field 'f'", 1, true))
  end)
end)

describe('pairs and next on an event', function()
  it("visit all fields in the event's order, null ones with the value nil", function()
    assert.equal('{"l":["z=1","a=nil","m=x","b=true"]}\n', map(
      'local l = {} for k, v in pairs(e) do l[#l + 1] = k .. "=" .. tostring(v) end return { l = l }',
      '{"z":1,"a":null,"m":"x","b":true}'))
  end)

  it('next(e) and next(e, k) walk in the same order', function()
    assert.equal('{"l":["z","a","m"]}\n', map(
      'local l, k = {}, next(e) while k do l[#l + 1] = k k = next(e, k) end return { l = l }', '{"z":1,"a":null,"m":"x"}'))
    assert.equal('{"empty":true}\n', map('return { empty = next(e) == nil }', '{}'))
  end)

  it('see written fields behind the others and no removed ones', function()
    assert.equal('{"l":["b","c","n"]}\n', map(
      'e.a = nil e.c = 5 e.n = 1 local l = {} for k in pairs(e) do l[#l + 1] = k end return { l = l }', '{"a":1,"b":2,"c":3}'))
  end)

  it('visit a duplicate key once, at the last one\'s place', function()
    assert.equal('{"l":["b=2","a=3"]}\n', map(
      'local l = {} for k, v in pairs(e) do l[#l + 1] = k .. "=" .. v end return { l = l }', '{"a":1,"b":2,"a":3}'))
  end)

  it('give unescaped names', function()
    assert.equal('{"l":["a\\"b","é","x"]}\n', map(
      'local l = {} for k, v in pairs(e) do l[#l + 1] = k assert(e[k] == v) end return { l = l }', '{"a\\"b":1,"\\u00e9":2,"\\u0078":3}'))
  end)

  it('walk a nested object in its order', function()
    assert.equal('{"l":["z","y","n"]}\n', map(
      'e.o.n = 1 local l = {} for k in pairs(e.o) do l[#l + 1] = k end return { l = l }', '{"o":{"z":1,"y":null}}'))
  end)

  it('after select walk in the order selected, in a row made in Lua by byte', function()
    local list = 'local l = {} for k in pairs(e) do l[#l + 1] = k end return { l = l }'
    assert.equal('{"l":["c","a"]}\n', e('stream:select{"c","x","a"}:map(function(e) ' .. list .. ' end)', '{"a":1,"b":2,"c":3}'))
    assert.equal('{"l":["B","a","c"]}\n', e('stream:map(function(e) return { c = 1, a = 2, B = 3 } end):map(function(e) ' .. list ..
      ' end)', '{}'))
  end)
end)

describe('nested objects', function()
  it('are views: e.geo.lat reads, and writes are written back', function()
    assert.equal('{"geo":{"lat":2.5,"x":{"y":4},"new":1},"id":7}\n', map(
      'e.geo.lat = e.geo.lat + 1 e.geo.x.y = e.geo.x.y * 2 e.geo.new = 1 return e', '{"geo":{"lat":1.5,"x":{"y":2}},"id":7}'))
  end)

  it('hold the fields nobody wrote byte for byte', function()
    assert.equal('{"o":{ "a" : 1.0 , "b":9,"c":[ 1, 2 ]}, "z" : 1e2}\n', map('e.o.b = 9 return e',
      '{"o":{ "a" : 1.0 , "b":2,"c":[ 1, 2 ]}, "z" : 1e2}'))
  end)

  it('written in one step are read, selected and renamed with the change by the next', function()
    local line = '{"o":{"z":1.0,"x":2,"a":3},"i":1}'
    local write = 'stream:map(function(e) e.o.x = 5 return e end)'
    assert.equal('{"o":{"z":1.0,"x":5,"a":3}}\n', e(write .. ':select{"o"}', line))
    assert.equal('{"i":1,"n":{"z":1.0,"x":5,"a":3}}\n', e(write .. ':rename{o="n"}', line))
    assert.equal('{"i":1,"n":{"z":1.0,"x":6,"a":3}}\n',
      e(write .. ':rename{o="n"}:map(function(e) e.n.x = e.n.x + 1 return e end)', line))
  end)

  it('given as a value carry what they hold, untouched', function()
    assert.equal('{"g":{"z":1.0,"b":12345678901234567890,"a":"\\u0041"}}\n',
      map('return { g = e.geo }', '{"geo":{"z":1.0,"b":12345678901234567890,"a":"\\u0041"}}'))
    assert.equal('{"geo":{"x":1},"was":{"x":0}}\n', map('e.was = e.geo e.geo.x = 1 return e', '{"geo":{"x":0}}'))
  end)

  it('of an event that became another table read from that table', function()
    assert.equal('{"o":{"a":1,"b":2},"s":3}\n',
      e('stream:map(function(e) return { o = { b = 2, a = 1 } } end):map(function(e) e.s = e.o.a + e.o.b return e end)', '{"o":{"q":9}}'))
  end)

  it('replaced by a value can be replaced again', function()
    assert.equal('{"o":{"n":1}}\n', map('e.o.x = 3 e.o = 5 e.o = { n = 1 } return e', '{"o":{"x":1,"y":2}}'))
    assert.equal('{"o":5}\n', map('e.o.x = 3 e.o = 5 return e', '{"o":{"x":1,"y":2}}'))
    assert.equal('{}\n', map('e.o.x = 3 e.o = nil return e', '{"o":{"x":1,"y":2}}'))
  end)

  it('that are no object in this event cannot be written into', function()
    assert.truthy(told('stream:map(function(e) local o = e.o e.o = 5 o.x = 1 return e end)', '{"o":{"x":1}}')
      :find("cannot write 'o.x': 'o' is not an object in this event", 1, true))
  end)

  it('missing ones are nil, as any missing field', function()
    assert.truthy(told('stream:map(function(e) e.o.x = 1 return e end)', '{"a":1}'):find("attempt to index field 'o' (a nil value)", 1,
      true))
  end)
end)

describe('nested arrays', function()
  it('are plain tables: #, ipairs and table.* work', function()
    assert.equal('{"l":["3","a,b,c","b","table"]}\n', map(
      'local l = {} for i, v in ipairs(e.l) do assert(v == e.l[i]) end return { l = { tostring(#e.l), table.concat(e.l, ","), \z
        e.l[2], type(e.l) } }',
      '{"l":["a","b","c"]}'))
    assert.equal('{"l":[1,2,3]}\n', map('table.sort(e.l) return e', '{"l":[3,1,2]}'))
  end)

  it('changes inside are written back', function()
    assert.equal('{"l":[9,2,{"a":5,"z":1}],"b":1}\n', map('e.l[1] = 9 e.l[3].a = 5 return e', '{"l":[1,2,{"z":1,"a":2}],"b":1}'))
    assert.equal('{"o":{"l":[1,2,3]}}\n', map('table.insert(e.o.l, 3) return e', '{"o":{"l":[1,2]}}'))
  end)

  it('read and not changed keep their bytes', function()
    local line = '{"l":[ 1.0, "\\u0041" ,{"b":1,"a":2}, -0 ]}'
    assert.equal(line .. '\n', map('local n = #e.l return e', line))
    assert.equal(line .. '\n', map('e.l[1] = 5 e.l[1] = 1 return e', line))
  end)

  it('hold null as tm.null', function()
    assert.equal('{"l":[null,1],"n":true}\n', map('e.n = e.l[1] == tm.null and #e.l == 2 return e', '{"l":[null,1]}'))
  end)

  it('are the same table at every read in a call', function()
    assert.equal('{"l":[1],"s":true}\n', map('e.s = e.l == e.l return e', '{"l":[1]}'))
  end)

  it('of a renamed field, or below one, are written back under the new name', function()
    assert.equal('{"n":[9]}\n', e('stream:rename { l = "n" }:map(function(e) e.n[1] = 9 return e end)', '{"l":[1]}'))
    assert.equal('{"n":{"l":[9],"x":1}}\n', e('stream:rename { o = "n" }:map(function(e) e.n.l[1] = 9 return e end)',
      '{"o":{"l":[1],"x":1}}'))
    assert.equal('{"n":{"l":[1]}}\n{"n":{"l":[9]}}\n',
      e('stream:select { "o" }:rename { o = "n" }:flat_map(function(e, emit) emit(e) e.n.l[1] = 9 emit(e) end)', '{"o":{"l":[1]}}'))
  end)

  it('emptied stay arrays, and empty arrays stay []', function()
    assert.equal('{"l":[],"m":[],"o":{}}\n', map('e.l[1] = nil local n = #e.m return e', '{"l":[1],"m":[],"o":{}}'))
  end)

  it('replaced in the same call lose what was changed in the old one', function()
    assert.equal('{"l":"x","g":{}}\n', map('e.l[1] = 5 e.g.t[1] = 6 e.l = "x" e.g = {} return e', '{"l":[1],"g":{"t":[1]}}'))
  end)

  it('kept after the call change nothing', function()
    assert.equal('{"l":[1]}\n{"l":[1]}\n', e('local k return stream:map(function(e) if k then k[1] = 99 end k = e.l return e end)',
      '{"l":[1]}', '{"l":[1]}'))
  end)

  it('that are no list any more cannot be written', function()
    assert.truthy(told('stream:map(function(e) e.l.x = 1 return e end)', '{"l":[1]}'):find('both list items and named fields', 1, true))
    assert.truthy(told('stream:map(function(e) e.l[1] = nil return e end)', '{"l":[1,2,3]}'):find('holes', 1, true))
  end)
end)

describe('raw access and table.* on a view raise', function()
  for name, call in pairs {
    ['rawget'] = 'rawget(e, "a")', ['rawset'] = 'rawset(e, "a", 1)', ['rawlen'] = 'rawlen(e)', ['ipairs'] = 'ipairs(e)',
    ['unpack'] = 'unpack(e)', ['table.insert'] = 'table.insert(e, 1)', ['table.remove'] = 'table.remove(e)',
    ['table.concat'] = 'table.concat(e)', ['table.sort'] = 'table.sort(e)', ['table.maxn'] = 'table.maxn(e)',
    ['setmetatable'] = 'setmetatable(e, {})', ['table.unpack'] = 'table.unpack(e)',
  } do
    it(name, function()
      assert.truthy(told('stream:map(function(e) local _ = ' .. call .. ' return e end)', '{"a":1}')
        :find(name .. ' does not work on an event; use tm.copy(e) for a plain table', 1, true))
    end)
  end

  it('and the view shows nothing of itself', function()
    assert.equal('{"m":"event","t":"table"}\n', map('return { m = getmetatable(e), t = type(e) }', '{"a":1}'))
  end)
end)

describe('functions on events', function()
  it('tm.copy(e) is a plain table to keep, null as tm.null', function()
    assert.equal('{}\n{"a":1,"l":[1,{"x":null}],"n":null,"o":{"p":{"q":2}}}\n', e(
      [[local kept
      return stream:map(function(e) local last = kept or {} kept = tm.copy(e) assert(rawget(kept, 'a') == 1 and kept.n == tm.null)
        return last end)]],
      '{"o":{"p":{"q":2}},"a":1,"n":null,"l":[1,{"x":null}]}', '{"a":1,"n":null}'))
  end)

  it('tm.raw(e) is the text of the event, tm.raw(e.o) that of a nested object', function()
    assert.equal([[{"o":"{ \"a\" : 1.0 }","r":"{\"b\": 1,  \"o\":{ \"a\" : 1.0 } }"}]] .. '\n',
      map('return { r = tm.raw(e), o = tm.raw(e.o) }', '{"b": 1,  "o":{ "a" : 1.0 } }'))
  end)

  it('tm.time(e) is nil until event time is declared', function()
    assert.equal('{"t":true}\n', map('return { t = tm.time(e) == nil }', '{"ts":1}'))
  end)

  it('tm.meta(e): source, position, received, key', function()
    local path = h.write('{"a":1}\n\n{"a":2}\n')
    local out = h.e([[stream:key_by 'a':map(function(e) local m = tm.meta(e)
      return { s = m.source, p = m.position, k = m.key, r = m.received > 1.6e12 and m.received % 1 == 0 } end)]], nil, '--from', path)
    assert.same({ { s = path, p = 1, k = 1, r = true }, { s = path, p = 3, k = 2, r = true } }, h.rows(out))
  end)

  it('take an event and nothing else', function()
    assert.truthy(told('stream:map(function(e) return { x = tm.meta({}) } end)', '{}'):find('tm.meta takes an event', 1, true))
    assert.truthy(told('stream:map(function(e) return { x = tm.raw(5) } end)', '{}'):find('tm.raw takes an event', 1, true))
  end)
end)

describe('views are valid during the call', function()
  local script = [[
    local tm = require 'tidemill'
    local kept
    return tm.pipeline 'p':map(function(e)
      if kept then %s end
      kept = e.o or e
      return e
    end):to(tm.sink.discard())]]
  for name, use in pairs {
    ['reading'] = 'local _ = kept.a', ['writing'] = 'kept.a = 1', ['pairs'] = 'for _ in pairs(kept) do end',
    ['next'] = 'next(kept)', ['tm.copy'] = 'tm.copy(kept)', ['tm.is_null'] = "tm.is_null(kept, 'a')", ['tm.raw'] = 'tm.raw(kept)',
    ['assigning it'] = 'e.z = kept', ['tostring'] = 'tostring(kept)',
  } do
    it(name .. ' an old one is reported by check --sample: event kept after its call; use tm.copy', function()
      for _, line in ipairs { '{"a":1}', '{"o":{"a":1}}' } do
        local r = h.run { 'check', h.write(script:format(use), h.path 'kept.lua'), '--sample', h.write(line .. '\n' .. line .. '\n') }
        assert.truthy(r.err:find('event kept after its call; use tm.copy', 1, true) or
          r.out:find('event kept after its call; use tm.copy', 1, true), r.err .. r.out)
        assert.truthy((r.err .. r.out):find('kept.lua:4', 1, true))
        assert.equal(3, r.code)
      end
    end)
  end

  -- K: what an earlier call kept
  local steps = {
    ['a key function'] = { ":key_by(function(e) if K then K = K.a end K = e return e.a end, 'k')", 'event' },
    ["an aggregate's where"] = { WHERE = 'if K then K = K.a end K = e', 'event' },
    ["an aggregate's where, nested"] = { WHERE = 'if K then K.a = 1 end K = e.o', 'event' },
    ["process' event"] = { PROCESS = 'if K then K = K.a end K = e', 'event' },
    ["process' nested object"] = { PROCESS = 'if K then K = K.a end K = e.o', 'event' },
    ["process' state, read"] = { PROCESS = 'if K then K = K.n end K = s', 'state' },
    ["process' state, written"] = { PROCESS = 'if K then K.n = 1 end K = s', 'state' },
    ['a list of the state'] = { PROCESS = 'if K then K:push(1) end K = s.l', 'state' },
    ['a method of a list'] = { PROCESS = 'if K then K(s.l, 1) end K = s.l.push', 'state' },
    ["process' context"] = { PROCESS = 'if K then K = K.key end K = ctx', 'ctx' },
    ["a function of process' context"] = { PROCESS = 'if K then K() end K = ctx.clear', 'ctx' },
    ['the state after a call that failed'] = { PROCESS = "if K then K = K.n end K = s error 'x'", 'state' },
    ['the event after a call that failed'] = { PROCESS = "if K then K = K.a end K = e error 'x'", 'event' },
  }
  for name, step in pairs(steps) do
    it(name .. ' kept after its call is reported by check --sample', function()
      local chain = step.PROCESS and (":process('p', { max_keys = 9, state = { n = 0, l = tm.state.list { max = 3 } }, " ..
        'on_event = function(e, s, ctx) %s end })'):format(step.PROCESS) or step.WHERE and
        (":running('n', { n = tm.agg.count { where = function(e) %s return true end } })"):format(step.WHERE) or step[1]
      local r = h.run { 'check', h.write("local tm = require 'tidemill'\nlocal K\nreturn tm.pipeline 'p'\n" .. chain ..
        '\n:to(tm.sink.discard())', h.path 'kept.lua'), '--sample', h.write(('{"a":1,"o":{"a":1}}\n'):rep(2)) }
      local what = step[#step]
      assert.truthy((r.err .. r.out):find(what .. ' kept after its call', 1, true), r.err .. r.out)
      assert.truthy((r.err .. r.out):find('kept.lua:4', 1, true))
      assert.equal(3, r.code)
    end)
  end

  it('a process whose function keeps nothing passes', function()
    local r = h.run { 'check', h.write([[
      local tm = require 'tidemill'
      return tm.pipeline 'p':key_by 'a':process('p', { max_keys = 9,
        state = { n = 0, t = 'any', l = tm.state.list { max = 3 }, m = tm.state.map {} },
        on_event = function(e, s, ctx)
          s.n = s.n + 1 s.l:push(s.n) s.m:set('x', e.a) s.t = { o = e.o, e = e, n = s.t and s.t.n }
          for i, v in s.l:each() do s.n = s.n + v * 0 end for k, v in s.m:each() do end
          if s.n > 1 and (s.t.o.a ~= 1 or s.t.e.o.a ~= 1 or not ctx.key or s.l:size() < 1) then error 'no' end
          ctx.emit(e) ctx.emit(e.o) ctx.emit { n = s.n } if s.n == 2 then ctx.clear() end
        end }):running('r', { n = tm.agg.count { where = function(e) return e.n end } }, { max_keys = 10 }):to(tm.sink.discard())]]),
      '--sample', h.write(('{"o":{"a":1},"a":2}\n'):rep(3)) }
    assert.equal(0, r.code, r.err .. r.out)
  end)

  it('and nothing is reported when they are used within it', function()
    local r = h.run { 'check', h.write([[
      local tm = require 'tidemill'
      local kept
      return tm.pipeline 'p':map(function(e) if kept then e.z = kept.o.a end kept = tm.copy(e) e.o.b = e.o.a for k, v in pairs(e.o)
        do end return e end)
        :filter(function(e) return e.o.b == 1 end):flat_map(function(e, emit) emit(e) emit { o = e.o } end):map(function(e) return
          e.o end)
        :to(tm.sink.discard())]]), '--sample', h.write '{"o":{"a":1}}\n{"o":{"a":1}}\n' }
    assert.equal(0, r.code, r.err .. r.out)
  end)
end)
