--[[
hostile_escapes_spec.lua - ways out of the sandbox, beyond those of hostile_spec.lua: addresses through formats and messages, objects of
the library written into, forged metatables, odd arguments to every function, one script poisoning another.

Each attack runs on the second of three events after printing that it began, and returns what it got. Expected values follow from
Lua 5.1's manual and from what the sandbox promises (lua/tidemill/sandbox.lua).
]]

local h = require 'spec.helper'

local INPUT = '{"id":1}\n{"id":2,"geo":{"lat":1},"list":[1,2]}\n{"id":3}\n'

local function run(attack, files)
  files = files or {}
  files['h.lua'] = ([[
local tm = require 'tidemill'
local function try(f, ...)
  local ok, why = pcall(f, ...)
  return ok and 'done' or tostring(why)
end
return tm.pipeline 'p'
  :map(function(e)
    if e.id ~= 2 then return { id = e.id, sound = ('a'):rep(2) .. tm.json.encode { 1 } .. tm.date.format(0, '%%Y') } end
    print 'attack begins'
    %s
  end)
  :on_error(tm.sink.file 'dead.ndjson')
]]):format((attack:gsub('%%', '%%%%')):gsub('%%%%', '%%'))
  local dir = h.folder(files)
  local r = h.run({ 'run', '--json', '--deadline', '500ms', 'h.lua' }, INPUT, { cwd = dir, timeout = 20 })
  local dead = h.read(dir .. '/dead.ndjson')
  os.execute('rm -rf ' .. h.quote(dir))
  assert.truthy(r.err:find('attack begins', 1, true), attack .. ': ' .. r.err)
  assert.truthy(r.err:find('"worker_restarts":0', 1, true), attack .. ': ' .. r.err)
  local rows = h.rows(r.out)
  -- the events around it are as without the attack
  assert.same({ id = 1, sound = 'aa[1]1970' }, rows[1], attack)
  assert.same({ id = 3, sound = 'aa[1]1970' }, rows[#rows], attack)
  assert.falsy((r.out .. dead):find '0x%x%x%x%x%x', attack .. ': ' .. r.out .. dead)
  return rows[3] and rows[2].x, dead ~= '' and h.decode(dead) or nil
end

--- `it` for each { name, expression, expected }.
local function gives(cases)
  for _, case in ipairs(cases) do
    it(case[1], function() assert.same(case[3], (run('return { x = ' .. case[2] .. ' }'))) end)
  end
end

local P = "string.format: '%p' prints an address"

describe('addresses', function()
  gives {
    { 'through a width', "try(string.format, '%5p', {})", P },
    { 'through flags', "try(string.format, '%-+ #p', print)", P },
    { 'through a precision', "try(string.format, '%.3p', tm)", P },
    { 'behind a percent sign', "try(string.format, '%%%p', e)", P },
    { 'of a string', "try(string.format, '%020p', 'x')", P },
    { 'not: a percent sign and a p', "string.format('%%p%s', '%p')", '%p%p' },
    { 'through messages of the library about types', 'try(tm.ext, {}, print)',
      'tm.ext takes a type from -128 to 127 and a string, got table as the type' },
    { 'through messages about points in time', 'try(tm.timestamp, print, {})',
      'tm.timestamp takes whole seconds and nanoseconds from 0 to 999999999, got function and table' },
    { 'through names of options', "try(tm.kv.parse, 'a=1', { [print] = 1 }):match '^[^;]*'", "tm.kv.parse has no option 'function'" },
    { 'through the raw key of an event given as options', "try(tm.agg.count, e):match 'no option .*'", "no option 'userdata'" },
    { 'through regular expressions, functions and coroutines as text',
      "{ tostring(tm.re 'a'), tostring(print), tostring(coroutine.create(print)), tostring(tm.bin 'x') }",
      { 'userdata', 'function', 'thread', 'x' } },
    { 'through the words of operators', [[{ try(function() return {} .. 'x' end), try(function() return #print end),
      try(function() return {} < {} end), try(function() return -tm.re 'a' end) }]], { 'h.lua:10: attempt to concatenate a table value',
      "h.lua:10: attempt to get length of global 'print' (a function value)",
      'h.lua:11: attempt to compare two table values', 'h.lua:11: attempt to perform arithmetic on a userdata value' } },
  }
end)

describe('objects of the library', function()
  gives {
    { 'a regular expression is not written into', "{ try(function() tm.re('a').match = print end), type(tm.re 'a'.match) }",
      { "h.lua:10: attempt to index a userdata value", 'function' } },
    { 'a regular expression has no metatable to take', "{ tostring(getmetatable(tm.re 'a')), try(setmetatable, tm.re 'a', {}) }",
      { 'regular expression', "bad argument #1 to '?' (table expected, got userdata)" } },
    { 'bytes of msgpack have no metatable to take', "{ tostring(getmetatable(tm.bin 'x')), try(rawset, tm.bin 'x', 1, 2) }",
      { 'opaque', "bad argument #1 to '?' (table expected, got userdata)" } },
    { 'coroutines, functions and numbers have none',
      '{ tostring(getmetatable(coroutine.create(print))), tostring(getmetatable(print)), tostring(getmetatable(1)), ' ..
      'tostring(getmetatable(nil)) }',
      { 'nil', 'nil', 'nil', 'nil' } },
    { 'errors of the library keep their metatable', "{ try(setmetatable, select(2, pcall(tm.json.decode, '{')), {}), " ..
      "getmetatable(select(2, pcall(tm.json.decode, '{'))) }", { 'cannot change a protected metatable', 'error' } },
    { 'tm shows nothing to walk', '{ tostring(next(tm)), tostring(next(tm.json)), try(table.concat, tm), try(unpack, tm) }',
      { 'nil', 'nil', 'table.concat does not work on a part of the library, which all scripts share',
        'unpack does not work on a part of the library, which all scripts share' } },
    { 'an event has no inner fields',
      '{ tostring(e.__index), tostring(e.V), tostring(e.node), tostring(e[1]), tostring(e.__metatable), getmetatable(e) }',
      { 'nil', 'nil', 'nil', 'nil', 'nil', 'event' } },
    { 'an event as __index and __newindex of a table is the event, no more', '(function() ' ..
      'local m = setmetatable({}, { __index = e, __newindex = e }) m.z = 5 return { m.id, e.z, tostring(rawget(m, "z")) } end)()',
      { 2, 5, 'nil' } },
    { 'the string metatable has no operators to set', [[{ getmetatable(''),
      try(function() getmetatable('').__add = print end), tostring((''):rep(2)), tostring(('x').__index) }]],
      { 'string', 'h.lua:11: attempt to index a string value', '', 'nil' } },
    { 'select knows no place before the first', "{ select(-1, 1, 2), try(select, -3, 1), try(select, 0) }",
      { 2, "bad argument #1 to '?' (index out of range)", "bad argument #1 to '?' (index out of range)" } },
    { 'the length of what has none is refused in words', "try(rawlen, print)", 'rawlen takes a table or a string, got a function' },
  }

  it('each function of each part of tm can be replaced by nobody', function()
    local x = run [[
local tried, done = 0, {}
    for _, part in ipairs { 'json', 'date', 'kv', 'url', 'ip', 'geo', 'hash', 'hmac', 'base64', 'hex', 'log', 'i64', 'agg', 'state',
      'source', 'sink' } do
      for _, f in ipairs { function(t) t.parse = print end, function(t) rawset(t, 'parse', print) end, function(t) setmetatable(t, {}) end,
        function(t) table.insert(t, print) end, function(t) table.remove(t) end, function(t) table.sort(t) end } do
        tried = tried + 1
        if type(tm[part]) == 'table' and pcall(f, tm[part]) then done[#done + 1] = part end
      end
    end
    return { x = { tried = tried, done = table.concat(done, ' ') } }]]
    assert.same({ tried = 96, done = '' }, x)
  end)

  it('an error of the library that a script wrote into is still told', function()
    for change, reason in pairs { ['e2.message = {}'] = '{}', ['e2.code = {}'] = 'tm.json.decode', ['e2.code, e2.message = nil'] = 'nil',
      ["e2.code = ('x'):rep(1e6)"] = 'tm.json.decode', ['e2.message = e'] = '"id":2', ['e2.message = print'] = 'function',
      ['e2.source, e2.line, e2.traceback, e2.pipeline, e2.entry = {}, {}, {}, tm, print'] = 'tm.json.decode' } do
      local _, dead = run("local ok, e2 = pcall(tm.json.decode, '{') " .. change .. ' error(e2)')
      assert.truthy(dead and dead.reason:find(reason, 1, true), change .. ': ' .. tostring(dead and dead.reason))
      assert.equal('h.lua:10', dead.at)
      assert.is_true(#dead.code < 50)
    end
  end)

  it('forged metatables open nothing', function()
    for _, name in ipairs { 'match', 'array', 'event', 'null', 'error', 'stream', 'opaque' } do
      local x = run(("return { x = setmetatable({ a = 1 }, { __metatable = '%s', __index = function() error 'read' end, " ..
        "__tostring = function() return 'null' end }) }"):format(name))
      assert.same({ a = 1 }, x, name)
    end
  end)

  it('__gc set later is never called, __mode holds no event', function()
    assert.same({ 0, 'event' }, (run [[
local n, mt = 0, {}
    for _ = 1, 1000 do setmetatable({}, mt) end
    mt.__gc = function() n = n + 1 end
    local weak = setmetatable({ [e] = 'event' }, { __mode = 'k' })
    for _ = 1, 2e5 do local t = { {} } end
    return { x = { n, weak[e] } }]]))
  end)

  it('coroutines, functions and the library itself are no values', function()
    for value, reason in pairs { ['print'] = 'cannot write a function', ['coroutine.create(print)'] = 'cannot write a thread',
      ["tm.re 'a'"] = 'cannot write a userdata' } do
      local _, dead = run('return { x = ' .. value .. ' }')
      assert.truthy(dead.reason:find(reason, 1, true), dead.reason)
    end
    assert.same({}, (run 'return { x = tm }'))
  end)
end)

describe('odd arguments', function()
  it('to every function do no harm: nothing dies, hangs, or tells an address or the inside of the library', function()
    local dir = h.folder { ['odd.lua'] = h.read 'tests/spec/tools/odd_calls.lua' }
    local events = {}
    for i = 1, 400 do events[i] = ('{"id":%d,"geo":{"lat":1},"l":[1,2]}'):format(i) end
    local r = h.run({ 'run', '--json', '--deadline', '5s', 'odd.lua' }, table.concat(events, '\n'),
      { cwd = dir, timeout = 100 * h.slowness() })
    os.execute('rm -rf ' .. h.quote(dir))
    assert.equal(0, r.code, r.err)
    assert.truthy(r.err:find('"worker_restarts":0', 1, true) and r.err:find('"events_failed":0', 1, true), r.err)
    local rows = h.rows(r.out)
    assert.equal(400, #rows)
    assert.same({}, rows[400].leaks)
    -- most odd calls are refused, and many are not
    assert.is_true(rows[400].calls == 160000 and rows[400].refused > 50000 and rows[400].refused < 150000, r.out:match '[^\n]*\n$')
  end)
end)

describe('a text of megabytes given for a name', function()
  -- looking for what was meant took a hundred seconds, which is for the deadline to end; and the answer repeated all of it
  it('is refused in words, at once', function()
    for _, call in ipairs { "tm.date.format, 0, '%Y', name", "tm.date.parse, '2020', '%Y', name", 'tm.kv.parse, "a=1", { [name] = 1 }',
      'function() return tm[name] end', "tm.agg.count, { [name] = 1 }" } do
      local x, dead = run(("local name = ('x'):rep(2e6) return { x = try(%s) }"):format(call))
      assert.is_nil(dead, call)
      assert.truthy(x:find('xxx', 1, true), x)
    end
    assert.is_true(#run "return { x = try(tm.date.format, 0, '%Y', ('x'):rep(2e6)) }" < 300)
  end)
end)

describe('another script', function()
  it('does not see what one wrote into a module that both require', function()
    local dir = h.folder {
      ['shared.lua'] = 'return { n = 0 }',
      ['evil.lua'] = [[
local tm, m = require 'tidemill', require 'shared'
m.n, evil = 'poisoned', 1
return tm.pipeline 'evil':filter(function() m.n = 'poisoned' print 'attack begins' return false end):to(tm.sink.discard())]],
      ['good.lua'] = [[
local tm, m = require 'tidemill', require 'shared'
return tm.pipeline 'good':map(function(e) return { n = m.n, evil = evil or 'none' } end)]],
    }
    for _, order in ipairs { { 'evil.lua', 'good.lua' }, { 'good.lua', 'evil.lua' } } do
      local r = h.run({ 'run', '--quiet', order[1], order[2] }, '{"id":1}\n{"id":2}\n', { cwd = dir })
      assert.truthy(r.err:find('attack begins', 1, true), r.err)
      assert.equal('{"evil":"none","n":0}\n{"evil":"none","n":0}\n', r.out)
    end
    os.execute('rm -rf ' .. h.quote(dir))
  end)
end)
