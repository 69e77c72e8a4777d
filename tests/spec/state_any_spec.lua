--[[
state_any_spec.lua - values of type any: what is kept of them, byte for byte as Python's msgpack packs it (any_reference.py,
through the filter that tests/unit/test_any.c is), and whole, in a process, against plain Lua tables.
]]

local h = require 'spec.helper'
local buffer = require 'string.buffer'

local python = h.python

local filter = (h.bin:match '^(.*)/[^/]*$' or '.') .. '/unit/test_any'
local array_mt, null_mt = { __metatable = 'array' }, {}
local lua = buffer.new { metatable = { array_mt, null_mt } }
local NULL = setmetatable({}, null_mt)

local function frame(bytes)
  local n = #bytes
  return string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536) % 256, math.floor(n / 2 ^ 24)) .. bytes
end

--- A list of byte strings through the filter: a list of them, or of numbers where it refused.
local function through(what, list)
  for i, bytes in ipairs(list) do list[i] = frame(bytes) end
  local r = h.shell(h.quote(filter) .. ' ' .. what, table.concat(list))
  assert.equal(0, r.code, r.err)
  local out, at = {}, 1
  local function number()
    local a, b, c, d = r.out:byte(at, at + 3)
    at = at + 4
    local n = a + b * 256 + c * 65536 + d * 2 ^ 24
    return n < 2 ^ 31 and n or n - 2 ^ 32
  end
  for i = 1, #list do
    local rc, n = number(), number()
    out[i] = rc == 0 and r.out:sub(at, at + n - 1) or rc
    at = at + n
  end
  return out
end

local function hex(bytes)
  if type(bytes) ~= 'string' then return bytes end
  return (bytes:gsub('.', function(c) return ('%02x'):format(c:byte()) end))
end

--- Compares lists of bytes; of those that differ the shortest is told.
local function same_bytes(want, got, names)
  local bad
  for i = 1, #want do
    if want[i] ~= hex(got[i]) and (not bad or #names[i] < #names[bad]) then bad = i end
  end
  if bad then
    local g, at = tostring(hex(got[bad])), 1
    while g:sub(at, at) == want[bad]:sub(at, at) do at = at + 1 end
    error(('%s: at byte %d wanted …%s, got …%s'):format(names[bad]:sub(1, 1000), (at - 1) / 2, want[bad]:sub(at, at + 60),
      g:sub(at, at + 60)))
  end
end

--- A random value and Python's expression for it.
local function random_value(depth)
  local k = math.random(depth < 3 and 12 or 8)
  if k == 1 then local v = math.random(2) == 1 return v, v and 'True' or 'False' end
  if k == 2 then local v = math.random(-200, 200) return v, tostring(v) end
  if k == 3 then
    local v = ({ 2 ^ 53, -2 ^ 53, 2 ^ 53 + 2, 1 / 0, -1 / 0, 0 / 0, -0.0, 0.1, 1e300, 5e-324, 65536, -129 })[math.random(12)]
    return v, v ~= v and 'nan' or (v == 1 / 0 or v == -1 / 0) and (v > 0 and 'inf' or '-inf') or ("F('%a')"):format(v)
  end
  if k == 4 then return NULL, 'None' end
  if k <= 8 then
    local bytes = {}
    for i = 1, ({ 0, 1, 4, 7, 31, 32, 300 })[math.random(7)] do bytes[i] = string.char(math.random(0, 255)) end
    local s = table.concat(bytes)
    return s, ("T(bytes.fromhex('%s'))"):format(hex(s))
  end
  local n = ({ 0, 1, 2, 3, 15, 16, 17 })[math.random(7)]
  local t, parts = {}, {}
  if k <= 10 then
    for i = 1, n do t[i], parts[i] = random_value(depth + 1) end
    return setmetatable(t, array_mt), '[' .. table.concat(parts, ', ') .. ']'
  end
  -- texts, numbers, booleans as keys; also tables of 1..n, with holes, and mixed ones
  for i = 1, n do
    local key, text = i, tostring(i)
    if k == 12 or math.random(8) == 1 then
      repeat key, text = random_value(9) until key == key and key ~= NULL and t[key] == nil
    end
    if t[key] == nil then
      local v, of = random_value(depth + 1)
      t[key] = v
      parts[#parts + 1] = ('(%s, %s)'):format(text, of)
    end
  end
  -- a list written as a table of keys is one; how a table came to its keys does not matter
  if math.random(3) == 1 then
    t.gone = 1
    for i = n + 1, n + 20 do t[i + 0.5] = 1 end
    t.gone = nil
    for i = n + 1, n + 20 do t[i + 0.5] = nil end
  end
  return t, 'D(' .. table.concat(parts, ', ') .. ')'
end

describe('a value of type any', function()
  for seed = 1, 3 do
    it('is packed as Python packs it with its keys in order, seed ' .. seed, function()
      math.randomseed(seed)
      local list, expressions = {}, {}
      for i = 1, 1000 do
        local v
        v, expressions[i] = random_value(0)
        list[i] = lua:reset():encode(v):tostring()
      end
      local got = through('pack', list)
      local r = h.shell(python .. ' tests/spec/any_reference.py pack', table.concat(expressions, '\n') .. '\n')
      assert.equal(0, r.code, r.err)
      local want = h.lines(r.out)
      assert.equal(#list, #want)
      same_bytes(want, got, expressions)
    end)

    it('comes back from what Python packed, and is packed the same again, seed ' .. seed, function()
      local r = h.shell(('%s tests/spec/any_reference.py values %d 1000'):format(python, seed))
      assert.equal(0, r.code, r.err)
      local want, packed = h.lines(r.out), {}
      for i, text in ipairs(want) do packed[i] = text:gsub('..', function(x) return string.char(tonumber(x, 16)) end) end
      local bytes, again = through('unpack', packed), {}
      for i = 1, #bytes do
        assert.equal('string', type(bytes[i]))
        again[i] = lua:reset():encode(lua:set(bytes[i]):decode()):tostring()
      end
      local got = through('pack', again)
      same_bytes(want, got, want)
    end)
  end
end)

-- In a process ------------------------------------------------------------------

-- EITHER: a table that was emptied may be either, an array or not
local PRELUDE = [[
local tm = require 'tidemill'
local function kind(v) return v == tm.null and 'null' or type(v) end
local function same(a, b)
  local t = kind(a)
  if t ~= kind(b) then return false end
  if t == 'number' then return (a == b and 1 / a == 1 / b) or (a ~= a and b ~= b) end
  if t ~= 'table' then return a == b end
  if next(a) == nil and next(b) == nil and not EITHER then return getmetatable(a) == getmetatable(b) end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end
local function copy(v)
  if kind(v) ~= 'table' then return v end
  local c = getmetatable(v) == 'array' and tm.array {} or {}
  for k, x in pairs(v) do c[k] = copy(x) end
  return c
end
]]

local function script(body) return PRELUDE .. body end

describe('state of type any', function()
  it('gives back what was put in', function()
    local r = h.script('local EITHER = false ' .. script [[
      local deep = 1
      for i = 1, 511 do deep = i % 2 == 0 and { deep } or { x = deep } end
      local values = { 1, -0.0, 0, 1 / 0, -1 / 0, 0 / 0, 2 ^ 53, 2 ^ 60, -2 ^ 63, 0.1, true, false, '', 'text', '\255\254\0x',
        ('long '):rep(20000), tm.null, {}, tm.array {}, { 1, 2, 3 }, { a = {} }, { a = tm.array {} }, { tm.null },
        { n = tm.null, { tm.null } },
        tm.bin '', tm.bin '\0\255', { b = tm.bin(('x'):rep(300)) }, tm.ext(5, 'abc'), tm.ext(-128, ''),
        { tm.timestamp(1e9, 5), tm.timestamp(-1, 0) },
        { [1] = 'a', [3] = 'c' }, { [0] = 1 }, { 1, 2, x = 3 },
        { [1.5] = 1, [-1] = 2, [true] = 3, [false] = 4, s = 5 }, { [2] = 2, [1] = 1 },
        { ['\255'] = '\254' }, { [''] = 1 }, deep, { deep = deep, b = tm.bin 'x' }, { { { { {} } } } } }
      return tm.pipeline 'p':key_by 'k':process('p', { max_keys = 9,
        state = { t = 'any', l = tm.state.list { of = 'any' }, m = tm.state.map { of = 'any' } },
        on_event = function(e, s, ctx)
          local v = values[e.i]
          if not e.read then
            s.t = v s.l:push(v) s.l:push(0) s.l:set(1, v) s.m:set('x', v)
            return
          end
          local function check(what, got) if not same(got, v) then error(what .. ' of value ' .. e.i .. ' differs') end end
          check('field', s.t) check('item', s.l:get(1)) check('walked item', (function() for _, x in s.l:each() do return x end end)())
          check('mapped', s.m:get 'x') check('shifted', s.l:shift())
          if e.i == 20 and getmetatable(s.t) ~= 'array' then error 'no array' end
          s.l:clear()
          ctx.emit { ok = e.i, n = #values }
        end })]], (function()
          local lines = {}
          for i = 1, 40 do lines[#lines + 1] = ('{"k":1,"i":%d}'):format(i) lines[#lines + 1] = ('{"k":1,"i":%d,"read":true}'):format(i) end
          return lines
        end)())
    assert.equal('', r.err)
    local rows = h.rows(r.out)
    assert.equal(40, #rows)
    assert.equal(40, rows[1].n)
  end)

  it('keeps events and their objects as copies', function()
    local out, r = h.e([[stream:key_by 'k':process('p', { max_keys = 9, state = { t = 'any', n = 0 }, on_event = function(e, s, ctx)
      s.n = s.n + 1
      if s.n == 1 then s.t = e elseif s.n == 2 then ctx.emit { t = s.t } s.t = { o = e.o, l = { e, e.o } } else ctx.emit { t = s.t } end
    end })]], { '{"k":1,"o":{"a":[1,null,{}],"b":{}}}', '{"k":1,"o":{"x":null}}', '{"k":1}' })
    assert.equal('', r.err)
    local o = { x = h.null }
    assert.same({ { t = { k = 1, o = { a = { 1, h.null, {} }, b = {} } } }, { t = { o = o, l = { { k = 1, o = o }, o } } } }, h.rows(out))
  end)

  it('cannot hold what is no value, and says where it was found', function()
    local cases = {
      ['s.t = print'] = "state field 't' cannot hold a function",
      ['s.t = { a = { b = { 1, 2, print } } }'] = "state field 't' cannot hold a function, found at t.a.b[3]",
      ['s.t = { ["odd key"] = print }'] = "found at t[\"odd key\"]",
      ['s.t = s.t or {} s.t.f = print'] = "state field 't' cannot hold a function, found at t.f",
      ['local t = { x = {} } t.x.y = t s.t = t'] = "state field 't' cannot hold a table that holds itself, found at t.x.y",
      ['local t = { x = 1 } s.t = { a = t, b = { t } } s.t = { [t] = 1 }'] =
        "state field 't' cannot hold a table with a table as a key, found at t",
      ['s.t = { { [tm.null] = 1 } }'] = "cannot hold a table with a null as a key, found at t[1]",
      ['s.t = { { [tm.bin "x"] = 1 } }'] = "cannot hold a table with a userdata as a key, found at t[1]",
      ['local t = 1 for i = 1, 513 do t = { t } end s.t = t'] =
        "state field 't' cannot hold tables nested deeper than 512, found at t[1][1]",
      ['s.l:push { x = print }'] = "state field 'l' cannot hold a function, found at value.x",
      ['s.l:push(nil)'] = "state field 'l' takes a value, got nil",
      ['s.t = { ("x"):rep(17e6) }'] = "state field 't' cannot hold a value of more than 16 MiB",
    }
    for body, message in pairs(cases) do
      local out, r = h.e(("stream:process('p', { max_keys = 9, state = { t = 'any', l = tm.state.list { of = 'any' } }, " ..
        "on_event = function(e, s, ctx) ctx.emit { t = s.t == nil, l = s.l:size() } if e.bad then %s end end })"):format(body),
        { '{"bad":true}', '{}' })
      assert.truthy(r.err:find(message, 1, true), body .. ': ' .. r.err)
      assert.equal('{"l":0,"t":true}\n', out)
    end
  end)

  -- a table changed in place, in part, replaced and cleared; failing events; the reference lives in the script
  for seed = 1, 3 do
    it('is what a plain table would be, failing events taken back, seed ' .. seed, function()
      local r = h.script('local EITHER = true ' .. script(([[
        for _ = 1, %d do math.random() end
        local kept = {}
        local function value(depth)
          local k = math.random(depth < 3 and 9 or 6)
          if k == 1 then return math.random(100) elseif k == 2 then return math.random() elseif k == 3 then return math.random(2) == 1
          elseif k == 4 then return ('\255'):rep(math.random(0, 40)) elseif k == 5 then return 't' .. math.random(9)
          elseif k == 6 then return math.random(6) == 1 and (math.random(2) == 1 and tm.null or tm.bin 'b') or 7 end
          local t = math.random(2) == 1 and tm.array {} or {}
          for i = 1, math.random(0, 4) do t[math.random(3) == 1 and 'k' .. i or i] = value(depth + 1) end
          return t
        end
        local function change(t, op, v)
          -- of a table with holes # may be either of its ends
          local n = 0
          while t[n + 1] ~= nil do n = n + 1 end
          if op.kind == 'set' then t[op.key] = v
          elseif op.kind == 'append' then t[n + 1] = v
          elseif op.kind == 'nested' then for _, x in pairs(t) do if kind(x) == 'table' then x[op.key] = v return end end
          elseif op.kind == 'remove' then t[op.key] = nil
          elseif op.kind == 'drop' then t[n] = nil end
        end
        return tm.pipeline 'p':key_by 'k':process('p', { max_keys = 100, state = { t = 'any', u = 'any' }, on_event = function(e, s, ctx)
          local was = kept[e.k]
          if not same(s.t, was) then error('differs at ' .. e.i) end
          local now = copy(was)
          for _ = 1, math.random(3) do
            local op = { kind = ({ 'set', 'append', 'nested', 'remove', 'drop', 'replace', 'clear', 'nothing' })[math.random(8)],
              key = ({ 'a', 'b', 1, 2, 7, 0.5, true })[math.random(7)] }
            local v = value(0)
            if op.kind == 'replace' or now == nil or kind(now) ~= 'table' then s.t = v now = copy(v)
            elseif op.kind == 'clear' then s.t, now = nil, nil
            else change(s.t, op, copy(v)) change(now, op, v) end
            s.u = { s.t }
          end
          if not same(s.t, now) then error('differs in the call at ' .. e.i) end
          if math.random(4) == 1 then error 'as asked' end
          kept[e.k] = now
          ctx.emit { i = e.i }
        end })]]):format(seed)), (function()
          local lines = {}
          for i = 1, 6000 do lines[i] = ('{"k":%d,"i":%d}'):format(i % 5, i) end
          return lines
        end)())
      assert.falsy(r.err:find('differs', 1, true), r.err)
      local n = #h.lines(r.out)
      assert.is_true(n > 4000 and n < 5000, r.err)
    end)
  end
end)
