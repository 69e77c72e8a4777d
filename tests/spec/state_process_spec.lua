--[[
state_process_spec.lua - process: typed fields, lists, maps and sets, ctx, and that a failing event leaves no change behind,
whatever it did and wherever it failed. The reference is the same operations on plain Lua tables, done by this file.
]]

local h = require 'spec.helper'

local function process(body, input, options)
  local code = ("stream:key_by 'k':process('p', { max_keys = 1000, %s on_event = function(e, s, ctx) %s end })"):format(options or '', body)
  local out, r = h.e(code, input)
  return h.rows(out), r, out
end

describe('process', function()
  it('keeps typed fields for each key', function()
    local rows, r = process("s.n = s.n + 1 s.last = e.v s.name = s.name .. e.t s.even = e.v % 2 == 0 " ..
      "s.any = { e.v, s.any and s.any[1] } ctx.emit { k = ctx.key, n = s.n, last = s.last, " ..
      "name = s.name, even = s.even, any = s.any, new = ctx.new, half = s.half }",
      { '{"k":"a","v":1,"t":"x"}', '{"k":"b","v":2,"t":"y"}', '{"k":"a","v":4,"t":"z"}' },
      "state = { n = 0, last = 'integer', name = '>', even = 'boolean', any = 'any', half = 0.5 },")
    assert.equal('', r.err)
    assert.same({
      { k = 'a', n = 1, last = 1, name = '>x', even = false, any = { 1 }, new = true, half = 0.5 },
      { k = 'b', n = 1, last = 2, name = '>y', even = true, any = { 2 }, new = true, half = 0.5 },
      { k = 'a', n = 2, last = 4, name = '>xz', even = true, any = { 4, 1 }, new = false, half = 0.5 },
    }, rows)
  end)

  it('starts type names at nil, and forgets by nil', function()
    local rows = process("ctx.emit { a = s.a == nil, b = s.b == nil, c = s.c == nil, d = s.d == nil } " ..
      "s.a, s.b, s.c, s.d = e.a, e.b, e.c, e.d",
      { '{"k":1,"a":1,"b":true,"c":"t","d":{"x":1}}', '{"k":1}', '{"k":1}' },
      "state = { a = 'number', b = 'boolean', c = 'string', d = 'any' },")
    local none, all = { a = true, b = true, c = true, d = true }, { a = false, b = false, c = false, d = false }
    assert.same({ none, all, none }, rows)
  end)

  it('writes a table of type any back when it was changed in place', function()
    local rows = process("s.t = s.t or { list = {} } s.t.list[#s.t.list + 1] = e.v ctx.emit { n = #s.t.list, list = s.t.list }",
      { '{"k":1,"v":1}', '{"k":1,"v":{"x":null}}', '{"k":2,"v":3}', '{"k":1,"v":"t"}' }, "state = { t = 'any' },")
    assert.same({ { n = 1, list = { 1 } }, { n = 2, list = { 1, { x = h.null } } }, { n = 1, list = { 3 } },
      { n = 3, list = { 1, { x = h.null }, 't' } } }, rows)
  end)

  it('names both types when another one is written, and the fields when one is not declared', function()
    local cases = {
      ["s.n = 'x'"] = "state field 'n' is a number, cannot hold a string",
      ["s.i = 1.5"] = "state field 'i' is an integer, cannot hold 1.5",
      ["s.n = 0 / 0"] = "state field 'n' cannot hold NaN",
      ["s.t = 1"] = "state field 't' is a string, cannot hold 1",
      ["s.b = 1"] = "state field 'b' is a boolean, cannot hold 1",
      ["s.l = {}"] = "state field 'l' is a list: change it by its methods",
      ["s.l:push('x')"] = "state field 'l' holds values of type number, got a string",
      ["s.l:psh(1)"] = "state field 'l', a list, has no method 'psh' (did you mean 'push'?)",
      ["s.m = 1"] = "the state has no field 'm'",
      ["local x = s.m"] = "the state has no field 'm'",
      ["ctx.timer('x', 1)"] = 'ctx.timer needs on_timer = function(name, s, ctx) … end',
      ["ctx.emt {}"] = "ctx has no 'emt' (did you mean 'emit'?)",
    }
    for body, message in pairs(cases) do
      local _, r = process(body, { '{"k":1}' }, "state = { n = 0, i = 'integer', t = '', b = false, l = tm.state.list { of = 'number' } },")
      assert.truthy(r.err:find(message, 1, true), body .. ': ' .. r.err)
    end
  end)

  it('refuses at load what cannot be', function()
    local cases = {
      ["{ max_keys = 1 }"] = 'process takes on_event',
      ["{ on_event = print }"] = 'process keeps state without a bound',
      ["{ max_keys = 1, on_event = print, ttl = '1d' }"] = "process with 'ttl' needs event time: write :event_time",
      ["{ max_keys = 1, on_event = print, on_expire = print }"] = "process: 'on_expire' goes with ttl = '30d'",
      ["{ max_keys = 1, on_event = print, on_timer = print }"] = "process with 'on_timer' needs event time: write :event_time",
      ["{ max_keys = 1, on_event = print, on_timer = 1 }"] = 'process takes on_timer = function(name, s, ctx)',
      ["{ max_keys = 1, on_event = print, state = { x = {} } }"] = "'x' takes a start value, a type",
      ["{ max_keys = 1, on_event = print, stat = {} }"] = "has no option 'stat' (did you mean 'state'?)",
      ["{ max_keys = 0, on_event = print }"] = "'max_keys' is a whole number of at least 1",
      ["{ max_keys = 1, on_event = print, state = { x = tm.state.list { ttl = '1h' } } }"] =
        "process with 'ttl' of state field 'x' needs event time: write :event_time",
      ["{ max_keys = 1, on_event = print, state = { x = tm.state.set { ttl = 5 } } }"] = "tm.state.set: 'ttl': a duration needs a unit",
      ["{ max_keys = 1, on_event = print, state = { x = tm.state.map { ttl = '0s' } } }"] = "tm.state.map: 'ttl'",
      ["{ max_keys = 1, on_event = function(e, s, ctx) ctx.wall_timer('a', '1s') ctx.timer('b', 1) end, on_timer = print }"] =
        "process with 'on_timer' needs event time",
      ["{ max_keys = 1, on_event = print, on_full = 'newest' }"] = "option 'on_full' is one of 'oldest', 'refuse', 'stop'",
    }
    for options, message in pairs(cases) do
      local r = h.run({ 'run', '-e', ("stream:key_by 'k':process('p', %s)"):format(options) }, '')
      assert.equal(3, r.code, options .. r.err)
      assert.truthy(r.err:find(message, 1, true), options .. ': ' .. r.err)
    end
  end)

  it('clear forgets the key', function()
    local rows = process("s.n = s.n + 1 s.l:push(e.v) ctx.emit { n = s.n, l = s.l:size(), new = ctx.new } if e.v == 2 then ctx.clear() " ..
      "ctx.emit { n = s.n, l = s.l:size(), new = ctx.new } end",
      { '{"k":1,"v":1}', '{"k":1,"v":2}', '{"k":1,"v":3}' }, "state = { n = 0, l = tm.state.list { of = 'any' } },")
    assert.same({ { n = 1, l = 1, new = true }, { n = 2, l = 2, new = false }, { n = 0, l = 0, new = false },
      { n = 1, l = 1, new = true } }, rows)
  end)
end)

describe('each of a map or set', function()
  it('walks on its own beside other walks, past what it removes, and from the start each time', function()
    local lines = {}
    for i = 1, 500 do lines[i] = '{"k":1}' end
    local _, r, out = process([[
      s.n = s.n + 1
      s.m:clear()
      for k = 1, 5 do s.m:set(k, k * 10) s.s:add(k) end
      local pairs_of = tm.array {}
      for a in s.s:each() do
        for b, v in s.m:each() do
          if b > a then break end
          if b == a then for c in s.s:each() do if c > 3 then pairs_of[#pairs_of + 1] = a .. '-' .. v .. '-' .. c end end end
        end
      end
      for k in s.m:each() do if k % 2 == 1 then s.m:remove(k) end end
      local left = tm.array {}
      for k, v in s.m:each() do left[#left + 1] = k + v end
      if s.n == 500 then ctx.emit { pairs = pairs_of, left = left } end
    ]], lines, "state = { n = 0, m = tm.state.map { key = 'number', of = 'number', max = 9 }, " ..
      "s = tm.state.set { of = 'number', max = 9 } },")
    assert.equal('', r.err)
    local want = {}
    for a = 1, 5 do for c = 4, 5 do want[#want + 1] = ('"%d-%d0-%d"'):format(a, a, c) end end
    assert.equal('{"left":[22,44],"pairs":[' .. table.concat(want, ',') .. ']}\n', out)
  end)

  it('says so where a script changed its state', function()
    local _, r = process([[
      s.s:add(1) s.s:add(2)
      local step, walk = s.s:each()
      step(walk)
      walk[1] = -1
      step(walk)
    ]], { '{"k":1}' }, "state = { s = tm.state.set { of = 'number', max = 9 } },")
    assert.truthy(r.err:find("state field 's': the state of each was changed", 1, true), r.err)
  end)
end)

-- Containers against plain tables, with failures ------------------------------------

--- Random operations as events; every fifth fails at its end, some in the middle. The reference applies those that do not.
local function operations(n)
  local events, values = {}, { 'a', 'bb', 'a longer text, of more than some bytes', 1, 2.5, -7, true, false }
  for i = 1, n do
    local ops = {}
    for j = 1, math.random(4) do
      ops[j] = { op = ({ 'push', 'pop', 'shift', 'set', 'clear', 'add', 'remove', 'put', 'drop', 'text', 'any' })[math.random(11)],
        x = math.random(#values), y = math.random(#values), i = math.random(6), big = math.random(20) == 1 }
    end
    events[i] = { k = math.random(3), ops = ops, fail = math.random(5) == 1 and math.random(#ops) or 0 }
  end
  return events, values
end

local BODY = [[
  local values = { 'a', 'bb', 'a longer text, of more than some bytes', 1, 2.5, -7, true, false }
  for j, o in ipairs(e.ops) do
    local x, y = values[o.x], values[o.y]
    if o.big then x = type(x) == 'string' and x:rep(50) or x end
    if o.op == 'push' then s.l:push(x)
    elseif o.op == 'pop' then s.l:pop()
    elseif o.op == 'shift' then s.l:shift()
    elseif o.op == 'set' then if o.i <= s.l:size() then s.l:set(o.i, y) end
    elseif o.op == 'clear' then if o.i == 1 then s.l:clear() elseif o.i == 2 then s.m:clear() elseif o.i == 3 then s.s:clear() end
    elseif o.op == 'add' then s.s:add(x)
    elseif o.op == 'remove' then s.s:remove(x)
    elseif o.op == 'put' then s.m:set(x, y)
    elseif o.op == 'drop' then s.m:remove(x)
    elseif o.op == 'text' then s.t = tostring(x)
    elseif o.op == 'any' then s.a = { x, { y = y } } end
    if j == e.fail then error('as asked') end
  end
  local l, m, set = tm.array {}, tm.array {}, tm.array {}
  for _, v in s.l:each() do l[#l + 1] = v end
  for k, v in s.m:each() do m[#m + 1] = tm.array { k, v } end
  for v in s.s:each() do set[#set + 1] = v end
  ctx.emit { l = l, m = m, s = set, t = s.t, a = s.a, sizes = { s.l:size(), s.m:size(), s.s:size() } }
]]

local function reference(events, values)
  local states, rows = {}, {}
  local function find(list, x, key)
    for i, item in ipairs(list) do if (key and item[1] or not key and item) == x then return i end end
  end
  -- false is a value here
  local function find_item(list, x) for i = 1, #list do if list[i] == x then return i end end end
  local function find_key(list, x) for i = 1, #list do if list[i][1] == x then return i end end end
  local _ = find
  local function copy(t)
    local c = { l = {}, m = {}, s = {}, t = t.t, a = t.a }
    for i = 1, #t.l do c.l[i] = t.l[i] end
    for i = 1, #t.m do c.m[i] = { t.m[i][1], t.m[i][2] } end
    for i = 1, #t.s do c.s[i] = t.s[i] end
    return c
  end
  for _, e in ipairs(events) do
    local s = copy(states[e.k] or { l = {}, m = {}, s = {}, t = '' })
    for _, o in ipairs(e.ops) do
      local x, y = values[o.x], values[o.y]
      if o.big then x = type(x) == 'string' and x:rep(50) or x end
      if o.op == 'push' then
        s.l[#s.l + 1] = x
        if #s.l > 5 then table.remove(s.l, 1) end
      elseif o.op == 'pop' then s.l[#s.l] = nil
      elseif o.op == 'shift' then if #s.l > 0 then table.remove(s.l, 1) end
      elseif o.op == 'set' then if o.i <= #s.l then s.l[o.i] = y end
      elseif o.op == 'clear' then if o.i == 1 then s.l = {} elseif o.i == 2 then s.m = {} elseif o.i == 3 then s.s = {} end
      elseif o.op == 'add' then
        if not find_item(s.s, x) then
          if #s.s == 4 then table.remove(s.s, 1) end
          s.s[#s.s + 1] = x
        end
      elseif o.op == 'remove' then
        local i = find_item(s.s, x)
        if i then table.remove(s.s, i) end
      elseif o.op == 'put' then
        local i = find_key(s.m, x)
        if i then s.m[i][2] = y else s.m[#s.m + 1] = { x, y } end
      elseif o.op == 'drop' then
        local i = find_key(s.m, x)
        if i then table.remove(s.m, i) end
      elseif o.op == 'text' then s.t = tostring(x)
      elseif o.op == 'any' then s.a = { x, { y = y } } end
    end
    if e.fail == 0 then
      states[e.k] = s
      local row = copy(s)
      row.sizes = { #s.l, #s.m, #s.s }
      rows[#rows + 1] = row
    end
  end
  return rows
end

describe('lists, maps, sets, texts and tables', function()
  for seed = 1, 3 do
    it('are what plain tables would be, failing events taken back wholly, seed ' .. seed, function()
      math.randomseed(seed)
      local events, values = operations(4000)
      local lines = {}
      for i, e in ipairs(events) do
        local ops = {}
        for j, o in ipairs(e.ops) do ops[j] = ('{"op":"%s","x":%d,"y":%d,"i":%d,"big":%s}'):format(o.op, o.x, o.y, o.i, tostring(o.big)) end
        lines[i] = ('{"k":%d,"fail":%d,"ops":[%s]}'):format(e.k, e.fail, table.concat(ops, ','))
      end
      local rows, r = process(BODY, lines, "state = { l = tm.state.list { max = 5 }, m = tm.state.map { of = 'any' }, " ..
        "s = tm.state.set { max = 4 }, t = '', a = 'any' },")
      local expected = reference(events, values)
      assert.equal(#expected, #rows, r.err)
      for i = 1, #rows do
        if rows[i].a == nil then rows[i].a = expected[i].a end
        assert.same(expected[i], rows[i], 'row ' .. i)
      end
    end)
  end
end)

describe('memory', function()
  it('has one bound for all states; at its end the run stops in order and names the largest', function()
    local lines = {}
    for i = 1, 60000 do lines[i] = ('{"k":"key-%d"}'):format(i) end
    local path = h.write(table.concat(lines, '\n') .. '\n')
    local out = h.path 'out'
    local r = h.run { 'run', '-e', [[stream:key_by 'k':running('small', { n = tm.agg.count() }, { max_keys = 10 })
      :key_by 'k':running('large', { n = tm.agg.last 'n', l = tm.agg.last 'k' }, { unbounded = true })]],
      '--from', path, '--to', out, '--memory', '2M' }
    assert.equal(1, r.code, r.err)
    assert.truthy(r.err:find("warning: keyed state uses 1%.%d of the 2%.0 MiB of %-%-memory; the largest is 'e/large'"), r.err)
    assert.truthy(r.err:find("error: keyed state uses [12]%.%d of the 2%.0 MiB of %-%-memory; the largest is 'e/large'"), r.err)
    -- what was processed before came out
    local n = #h.lines(h.read(out))
    assert.is_true(n > 1000 and n < 60000, tostring(n))
  end)

  it('is watched from 80 % on: a state that keeps to its bound there goes on to the end', function()
    local lines = {}
    for i = 1, 60000 do lines[i] = ('{"k":"key-%d"}'):format(i) end
    local path = h.write(table.concat(lines, '\n') .. '\n')
    local r = h.run { 'run', '-e', [[stream:key_by 'k':running('a', { n = tm.agg.count(), l = tm.agg.last 'k' }, { max_keys = 10000 })]],
      '--from', path, '--to', 'discard', '--memory', '1300K' }
    assert.equal(0, r.code, r.err)
    local _, n = r.err:gsub('warning: keyed state uses', '')
    assert.equal(1, n, r.err)
    assert.truthy(r.err:find('rows out +60,000'), r.err)
  end)
end)
