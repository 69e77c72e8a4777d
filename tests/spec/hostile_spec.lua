--[[
hostile_spec.lua - scripts that attack the host: endless loops, memory, deep recursion, odd errors, ways out of the sandbox.

An attack runs on the second of three events, after a print that shows it began. What must hold each time: the attacked
event alone fails, with the cause, line and event in the message and in one dead letter; the rows of the others are exact;
the worker stops it itself (no restart is counted) unless the attack sits inside C. Where a script attacks while it loads, it
is refused with file:line. Expected rows are written out by hand.
]]

local h = require 'spec.helper'

local DEADLINE_MS = 150
local INPUT = '{"id":1}\n{"id":2,"bad":true}\n{"id":3}\n'
local BAD = '{"id":2,"bad":true}'

--- Seconds from start to end of a run that does nothing: what is allowed beside the deadlines.
local start_seconds = h.run({ 'run', '--quiet', '-e', 'stream' }, INPUT).seconds

--- An attack inside a step; ATTACK stands on line 6.
local function in_map(attack)
  return ([[
local tm = require 'tidemill'
return tm.pipeline 'p'
  :map(function(e)
    if e.bad then
      print 'attack begins'
      %s
    end
    return { id = e.id }
  end)
  :on_error(tm.sink.file 'dead.ndjson')
]]):format(attack)
end

--- Runs hostile.lua in a folder of its own. options: args, files, input. Adds: summary (decoded), dead (a text).
local function run(script, options)
  options = options or {}
  local files = { ['hostile.lua'] = script }
  for name, text in pairs(options.files or {}) do files[name] = text end
  local args = { 'run', '--strict', '--json', '--deadline', DEADLINE_MS .. 'ms' }
  for _, a in ipairs(options.args or {}) do args[#args + 1] = a end
  args[#args + 1] = 'hostile.lua'
  local dir = h.folder(files)
  local r = h.run(args, options.input or INPUT, { cwd = dir, timeout = 20 })
  r.dead = h.read(dir .. '/dead.ndjson')
  local last = r.err:match '(%b{})\n$'
  if last and last:find('^{"exit_code"') then r.summary = h.decode(last) end
  os.execute('rm -rf ' .. h.quote(dir))
  return r
end

--- One dead letter for the bad event: its fields, checked. Returns its place.
local function letter(r, code, at, reason, or_at)
  assert.equal(1, #h.lines(r.dead), r.dead .. r.err)
  local d = h.decode(r.dead)
  assert.equal(code, d.code, r.err)
  if d.at ~= or_at then assert.equal(at, d.at) end
  assert.equal('stdin:2', d.position)
  assert.equal('p', d.pipeline)
  assert.same(h.decode(BAD), d.event)
  assert.truthy(d.reason:find(reason), d.reason)
  return d.at
end

--- The bad event fails alone. spec: script or attack; code; reason (pattern); at, or_at: "file:line"; rows; args, files;
--- slack: seconds beside start and two deadlines. A stack without any room lets no message handler run: then the place
--- told is that of the step (or_at).
local function fails(spec)
  local r = run(spec.script or in_map(spec[1]), spec)
  local at = spec.at or 'hostile.lua:6'
  assert.truthy(r.err:find('attack begins', 1, true), r.err)
  assert.equal(spec.rows or '{"id":1}\n{"id":3}\n', r.out, r.err)
  assert.equal(1, r.code)
  at = letter(r, spec.code, at, spec.reason, spec.or_at)
  assert.truthy(r.err:find(at .. ': ', 1, true), r.err)
  assert.truthy(r.err:find('event stdin:2\n', 1, true) and r.err:find(BAD, 1, true), r.err)
  assert.equal(0, r.summary.counters.worker_restarts, r.err)
  assert.equal(1, r.summary.counters.events_failed)
  assert.is_true(r.seconds <= start_seconds + 2 * DEADLINE_MS / 1000 + (spec.slack or 2), r.seconds .. ' s')
end

--- `it` for each { name = spec or attack }, all with the same cause.
local function each(cases, code, reason, more)
  for _, case in ipairs(cases) do
    local spec = type(case[2]) == 'table' and case[2] or { case[2] }
    for k, v in pairs(more or {}) do if spec[k] == nil then spec[k] = v end end
    spec.code, spec.reason = spec.code or code, spec.reason or reason
    it(case[1], function() fails(spec) end)
  end
end

--- The script is refused while it loads.
local function refused(script, message, options)
  local r = run(script, options)
  assert.equal(3, r.code, r.err)
  assert.equal('', r.out)
  assert.truthy(r.err:find(message), r.err)
  assert.is_true(r.seconds <= start_seconds + 2 * DEADLINE_MS / 1000 + 2)
  return r
end

local OVERDUE = '^still at work on this event at the deadline %(%-%-deadline%): an endless loop%?$'

describe('endless', function()
  each({
    { 'while', 'while true do end' },
    { 'repeat', 'repeat until false' },
    { 'goto', '::top:: goto top' },
    { 'numeric for', 'for i = 1, math.huge do end' },
    { 'tight arithmetic', 'local n = 0 for i = 1, 1e15 do n = n + i % 7 end return { n = n }' },
    { 'tail calls', 'local function f() return f() end f()' },
    { 'calls', 'local function f(x) return x + 1 end local n = 0 while true do n = f(n) end' },
    { 'in pcall', 'pcall(function() while true do end end) return { id = 0 }' },
    { 'pcall catching again and again', 'while true do pcall(function() while true do end end) end' },
    { 'pcall in pcall in pcall', [[local function f(n) while true do pcall(n > 0 and f or error, n - 1) end end f(50)]] },
    { 'pcall of error', "while true do pcall(error, 'x') end" },
    { 'in a coroutine', 'coroutine.wrap(function() while true do end end)()' },
    { 'coroutine after coroutine', 'while true do coroutine.resume(coroutine.create(function() while true do end end)) end' },
    { 'yield and resume', [[local c = coroutine.wrap(function() while true do coroutine.yield(1) end end) while true do c() end]] },
    { 'comparator of table.sort', [[local t = {} for i = 1, 50 do t[i] = i end table.sort(t, function() while true do end end)]] },
    { '__index', 'local t = setmetatable({}, { __index = function() while true do end end }) return { x = t.x }' },
    { '__newindex', 'local t = setmetatable({}, { __newindex = function() while true do end end }) t.x = 1' },
    { '__call', 'local t = setmetatable({}, { __call = function() while true do end end }) t()' },
    { '__concat', "local t = setmetatable({}, { __concat = function() while true do end end }) return { x = t .. 'x' }" },
    { '__eq', [[local m = { __eq = function() while true do end end }
      return { x = setmetatable({}, m) == setmetatable({}, m) }]] },
    { '__lt', 'local m = { __lt = function() while true do end end } return { x = setmetatable({}, m) < setmetatable({}, m) }' },
    { '__add', 'local t = setmetatable({}, { __add = function() while true do end end }) return { x = t + 1 }' },
    { '__tostring', 'tostring(setmetatable({}, { __tostring = function() while true do end end }))' },
    { '__tostring under print', 'print(setmetatable({}, { __tostring = function() while true do end end }))' },
    { '__tostring under format', "string.format('%s', setmetatable({}, { __tostring = function() while true do end end }))" },
    { 'an iterator that never ends', 'for _ in function() return 1 end do end' },
    { '__call as an iterator', 'for _ in setmetatable({}, { __call = function() return 1 end }) do end' },
    { 'pairs of the event inside', 'for _ in pairs(e) do while true do end end' },
    { 'callback of gsub', "string.gsub('xxx', '.', function() while true do end end)" },
    { 'gsub again and again', "while true do ('abc'):gsub('b', 'x') end" },
    { 'rep again and again', "local s while true do s = ('x'):rep(100) end return { s = s }" },
    { 'garbage', 'while true do local t = { {} } end' },
    { 'reading the event', 'local n = 0 while true do n = n + e.id end' },
    { 'writing the event', 'local n = 0 while true do n = n + 1 e.x = n end' },
    { 'copying the event', 'local t while true do t = tm.copy(e) end return t' },
    { 'printing', "while true do print 'x' end" },
  }, 'deadline', OVERDUE)
end)

describe('endless, elsewhere:', function()
  local BEGIN = "print 'attack begins' while true do end"
  local function pipeline(text)
    return "local tm = require 'tidemill'\n" .. text:gsub('LOOP', BEGIN)
  end
  each({
    { 'filter', { script = pipeline [[
return tm.pipeline 'p':filter(function(e)
  if e.bad then LOOP end
  return true
end):on_error(tm.sink.file 'dead.ndjson')]], at = 'hostile.lua:3' } },
    { 'branch', { script = pipeline [[
local out = tm.pipeline 'p':on_error(tm.sink.file 'dead.ndjson'):branch { all = function(e)
  if e.bad then LOOP end
  return true
end }
return { out.all }]], at = 'hostile.lua:3' } },
    { 'route', { script = pipeline [[
local out = tm.pipeline 'p':on_error(tm.sink.file 'dead.ndjson'):route { { 'all', function(e)
  if e.bad then LOOP end
  return true
end } }
return { out.all }]], at = 'hostile.lua:3' } },
    { 'set', { script = pipeline [[
return tm.pipeline 'p':set { id = function(e)
  if e.bad then LOOP end
  return e.id
end }:on_error(tm.sink.file 'dead.ndjson')]], at = 'hostile.lua:3' } },
    { 'key_by', { script = pipeline [[
return tm.pipeline 'p':key_by(function(e)
  if e.bad then LOOP end
  return e.id
end, 'k'):on_error(tm.sink.file 'dead.ndjson')]], at = 'hostile.lua:3' } },
    { 'flat_map, rows made before are taken back', { script = pipeline [[
return tm.pipeline 'p':flat_map(function(e, emit)
  emit { id = e.id }
  if e.bad then emit { id = 'b' } LOOP end
end):on_error(tm.sink.file 'dead.ndjson')]], at = 'hostile.lua:4' } },
    { 'a step behind emit, rows written before are taken back', { script = pipeline [[
return tm.pipeline 'p':flat_map(function(e, emit)
  emit { id = e.id }
  if e.bad then emit { id = 'b', bad = true } end
end):filter(function(e)
  if e.bad then LOOP end
  return true
end):on_error(tm.sink.file 'dead.ndjson')]], at = 'hostile.lua:6' } },
    { 'a function of a module', { script = pipeline [[
local m = require 'lib.mod'
return tm.pipeline 'p':map(m):on_error(tm.sink.file 'dead.ndjson')]], at = 'lib/mod.lua:2',
      files = { ['lib/mod.lua'] = 'return function(e)\n  if e.bad then ' .. BEGIN .. ' end\n  return e\nend' } } },
    { 'everything on one line', { script = "local tm = require 'tidemill' return tm.pipeline 'p':filter(function(e) if e.bad then " ..
      BEGIN .. " end return true end):on_error(tm.sink.file 'dead.ndjson')", at = 'hostile.lua:1' } },
  }, 'deadline', OVERDUE)

  it('while the script loads', function()
    refused("local x\nwhile true do x = 1 end", '^tidemill: error: hostile%.lua:2: .*deadline')
    -- pcall may catch it once; the instruction behind raises it again
    refused("local x\npcall(function() while true do x = 1 end end)\nreturn x", '^tidemill: error: hostile%.lua:%d: .*deadline')
  end)

  it('while a module loads', function()
    refused("local x = require 'mod'", '^tidemill: error: mod%.lua:3: .*deadline', { files = { ['mod.lua'] = '\n\nrepeat until false' } })
  end)

  it('in a generator: the run ends, what was made before is exact', function()
    local r = run [[
local tm = require 'tidemill'
return tm.pipeline 'p':from(tm.source.generate(function(i)
  if i == 3 then print 'attack begins' while true do end end
  return { id = i }
end))]]
    assert.equal(1, r.code)
    assert.truthy(r.err:find('attack begins', 1, true))
    assert.truthy(r.err:find('hostile%.lua:3: still at work .* at the deadline'), r.err)
  end)
end)

describe('memory:', function()
  each({
    { 'strings', "local s = 'x' while true do s = s .. s end" },
    { 'one string', "return { s = ('x'):rep(1e9) }" },
    { 'tables', 'local t = {} for i = 1, 1e9 do t[i] = {} end return t' },
    { 'one table', 'local t = {} for i = 1, 1e9 do t[i] = i end return t' },
    { 'closures', 'local t = {} for i = 1, 1e9 do t[i] = function() return i end end return t' },
    { 'coroutines', 'local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() return i end) end return t' },
    { 'table.concat', "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1e5) .. i % 2 end return { s = table.concat(t) }" },
    { 'in pcall', [[local ok = pcall(function() local t = {} for i = 1, 1e9 do t[i] = {} end end)
      error(ok and 'no' or 'caught: not enough memory')]] },
    { 'a chain of tables', 'local t = {} while true do t = { t } end' },
  }, 'memory', '^the script used more than its memory %(%-%-script%-memory%)$', {
    args = { '--script-memory', '24M', '--deadline', '5s' }, slack = 10, at = 'hostile.lua:3',
  })

  --- n events { id }, from 1.
  local function ids(n)
    local lines = {}
    for i = 1, n do lines[i] = '{"id":' .. i .. '}' end
    return table.concat(lines, '\n') .. '\n'
  end

  it('kept from event to event: the run ends in order and says what holds it; nothing is lost on the way', function()
    -- the third needs, where it fails first, a table of twice the size
    for _, keep in ipairs { 'kept[#kept + 1] = { id = e.id, name = "a name " .. e.id }',
      'kept[e.id] = ("x"):rep(500) .. e.id', 'kept[e.id] = ("x"):rep(140) .. e.id',
      'kept["k" .. e.id] = function() return e end' } do
      local r = run(([[
local tm = require 'tidemill'
local kept = {}
return tm.pipeline 'p':map(function(e)
  %s
  return { id = e.id }
end):on_error(tm.sink.file 'dead.ndjson')]]):format(keep), { input = ids(200000), args = { '--script-memory', '8M', '--deadline', '5s' } })
      assert.equal(1, r.code, r.err)
      assert.truthy(r.err:find('error: scripts hold too much of their 8.0 MiB (--script-memory) to go on, and no collection frees it: ' ..
        'globals or upvalues that grow with the events? Keep such things in the state of a step', 1, true), r.err)
      assert.equal(1, select(2, r.err:gsub('warning: hostile.lua:%d: the script used more than its memory', '')), r.err)
      assert.equal(0, r.summary.counters.worker_restarts)
      -- each event read is a row or a dead letter, once
      local seen, read = {}, r.summary.counters.events_in
      for _, row in ipairs(h.rows(r.out)) do seen[row.id] = (seen[row.id] or 0) + 1 end
      local dead = h.rows(r.dead)
      for _, d in ipairs(dead) do
        assert.equal('memory', d.code)
        seen[d.event.id] = (seen[d.event.id] or 0) + 1
      end
      assert.is_true(#dead >= 8 and read > 1000 and read < 200000)
      for i = 1, read do assert.equal(1, seen[i], 'event ' .. i) end
    end
  end)

  it('half of it held does no harm: collections come before the cap', function()
    local r = run([[
local tm = require 'tidemill'
local kept = {}
for i = 1, 60000 do kept[i] = { i } end
return tm.pipeline 'p':map(function(e)
  local t = {}
  for i = 1, 20 do t[i] = { i, e.id } end
  return { id = e.id, n = #t }
end)]], { input = ids(50000), args = { '--script-memory', '12M', '--deadline', '5s' } })
    assert.equal(0, r.code, r.err)
    assert.equal(50000, #h.lines(r.out))
  end)

  it('rows of one event', function()
    fails { script = [[
local tm = require 'tidemill'
return tm.pipeline 'p':flat_map(function(e, emit)
  emit { id = e.id }
  if e.bad then
    print 'attack begins' while true do emit { id = 0 } end
  end
end):on_error(tm.sink.file 'dead.ndjson')]], at = 'hostile.lua:5', code = 'too-many-rows',
      reason = 'max%-rows', args = { '--max-rows', '1000' } }
  end)

  it('bytes of one row', function()
    fails { "return { s = ('x'):rep(20e6) }", code = 'row-too-large', reason = '16 MiB', at = 'hostile.lua:10' }
  end)

  it('a 10 MB string is a row like others', function()
    local r = run(in_map "return { id = e.id, s = ('x'):rep(10e6) }")
    assert.equal(0, r.code, r.err)
    assert.is_true(r.out == '{"id":1}\n{"id":2,"s":"' .. ('x'):rep(10e6) .. '"}\n{"id":3}\n')
  end)
end)

describe('what runs inside C, where no guard reaches', function()
  it('is killed from outside at twice the deadline; after two deaths the event is left out', function()
    local attack = "return { x = ('a'):rep(%d):find(('a'):rep(1e6) .. 'b') }"   -- some 500 million steps
    local r = run(in_map(attack:format(6e7 / h.slowness())))
    assert.equal('{"id":1}\n{"id":3}\n', r.out)
    assert.equal(1, r.code)
    assert.equal(2, r.summary.counters.worker_kills_deadline)
    assert.equal(2, r.summary.counters.worker_restarts)
    assert.equal(1, r.summary.counters.quarantined)
    assert.equal(2, select(2, r.err:gsub('attack begins', '')))
    assert.truthy(r.err:find('worker killed: one event was not done after 300 ms (deadline 150 ms), in pipeline p, stdin line 2: ' .. BAD,
      1, true), r.err)
    letter(r, 'quarantined', 'hostile.lua:3', 'died of this event twice')
  end)
end)

describe('deep', function()
  each({
    { 'recursion', 'local function f() return 1 + f() end f()' },
    { 'recursion of two', 'local g local function f() return 1 + g() end function g() return 1 + f() end f()' },
    { 'recursion with many values', 'local function f(...) return 1, f(1, 2, 3, ...) end f()' },
    { '__index', 'local t t = setmetatable({}, { __index = function(_, k) return t[k .. 1] end }) return { x = t.x }' },
    { '__concat', "local t t = setmetatable({}, { __concat = function() return t .. 'x' end }) return { x = t .. 'x' }" },
    { 'tostring', "local t t = setmetatable({}, { __tostring = function() return 'x' .. tostring(t) end }) tostring(t)" },
    { 'gsub', { "local function f() return (string.gsub('x', 'x', f)) end f()", reason = 'nested too deep' } },
    { 'gsub over __index', { "local t = {} setmetatable(t, { __index = function() return (('x'):gsub('x', t)) end }) return { x = t.x }",
      reason = 'nested too deep' } },
    { 'sort', { 'local function f() table.sort({ 3, 2, 1 }, f) end f()', reason = 'nested too deep' } },
    { 'wrap', { 'local function f() coroutine.wrap(f)() end f()', reason = '200 coroutines' } },
    { 'gsub and wrap', { "local function f() coroutine.wrap(function() string.gsub('x', 'x', f) end)() end f()",
      reason = '200 coroutines' } },
  }, 'stack-overflow', 'overflow', { or_at = 'hostile.lua:3' })

  it('recursion through pcall ends, and harms nothing', function()
    local r = run(in_map 'local n = 0 local function f() n = n + 1 pcall(f) end f() return { id = e.id, deep = n > 100 }')
    assert.equal('{"id":1}\n{"deep":true,"id":2}\n{"id":3}\n', r.out, r.err)
  end)

  it('coroutines end, and more can be made', function()
    local r = run(in_map [[
local function f() return coroutine.resume(coroutine.create(f)) end f() f()
      local n = 0 for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do n = n + i end
      return { id = e.id, n = n }]])
    assert.equal('{"id":1}\n{"id":2,"n":6}\n{"id":3}\n', r.out, r.err)
  end)

  it('calls are no reason to refuse gsub and sort', function()
    local r = run(in_map [[
local function f(n)
        if n > 0 then local x = f(n - 1) return x end
        local t = { 3, 1, 2 } table.sort(t, function(a, b) return a < b end)
        return (('x'):gsub('x', function() return table.concat(t) end))
      end
      return { id = e.id, x = f(1500) }]])
    assert.equal('{"id":1}\n{"id":2,"x":"123"}\n{"id":3}\n', r.out, r.err)
  end)

  it('a value in itself cannot be written', function()
    fails { "local t = {} t.t = t return t", code = 'too-deep', reason = '512', at = 'hostile.lua:3',
      args = { '--deadline', '5s' }, slack = 10 }
  end)
end)

describe('an error', function()
  each({
    { 'nil', { 'error()', reason = '^nil$' } },
    { 'a number', { 'error(5)', reason = '^5$' } },
    { 'true', { 'error(true)', reason = '^true$' } },
    { 'a table', { 'error { a = 1 }', reason = '^{"a":1}$' } },
    { 'a table with a message', { "error { message = 'no card' }", reason = '^no card$' } },
    { 'a function', { 'error(print)', reason = '^function$' } },
    { 'a coroutine', { 'error(coroutine.create(print))', reason = '^thread$' } },
    { 'the event', { 'error(e)', reason = '"id":2' } },
    { 'of several lines and control characters', { [[error 'a\n\27[31m\0b']], reason = '^a\n\27%[31m%zb$' } },
    { 'of no UTF-8', { [[error '\255\254']], reason = '\239\191\189' } },
    { 'a megabyte', { "error(('x'):rep(1e6))", reason = '^' .. ('x'):rep(1990) .. 'x*…$' } },
    { '20 megabytes', { "error({ message = ('x'):rep(20e6) })", reason = '^' .. ('x'):rep(1990) .. 'x*…$' } },
    { 'a table that tells itself', { "error(setmetatable({}, { __tostring = function() return 'told' end }))", reason = '^told$' } },
    { 'a table that raises when told', { "error(setmetatable({}, { __tostring = function() error 'again' end }))",
      reason = '__tostring failed$' } },
    { 'a table that tells no text', { "error(setmetatable({}, { __tostring = function() return {} end }))",
      reason = '__tostring failed$' } },
    { 'a table that tells nothing', { "error(setmetatable({}, { __tostring = function() end }))",
      reason = '__tostring failed$' } },
    { 'a table that tells a number', { "error(setmetatable({}, { __tostring = function() return 5 end }))",
      reason = '__tostring failed$' } },
    { 'a table with a message that raises', { "error(setmetatable({}, { __index = function() error 'again' end }))",
      reason = '^table$' } },
    { 'from yield outside', { 'coroutine.yield(1)', reason = 'yield' } },
    { 'deeper than its function', { "error('far', 50)", reason = '^far$' } },
  }, 'lua', '.')

  it('whose __tostring never ends', function()
    fails { 'error(setmetatable({}, { __tostring = function() while true do end end }))', code = 'deadline', reason = 'deadline' }
  end)
end)

describe('the way out', function()
  --- What a script sees of an expression on the second event.
  local function seen(expression)
    local r = run(in_map('return { id = e.id, x = ' .. expression .. ' }'))
    assert.equal(0, r.code, expression .. ': ' .. r.err)
    local rows = h.rows(r.out)
    assert.equal(3, #rows)
    return rows[2].x
  end

  it('through names: none of them is there', function()
    local names = [[ffi jit debug io os package module load loadstring dofile loadfile getfenv setfenv newproxy collectgarbage
      xpcall gcinfo arg string.dump table.new table.clear coroutine.isyieldable host lib math.randomseed bit.C]]
    local parts = {}
    for name in names:gmatch '%S+' do parts[#parts + 1] = 'tostring(' .. name .. ')' end
    local x = seen('{ ' .. table.concat(parts, ', ') .. ' }')
    assert.equal(#parts, #x)
    for i, v in ipairs(x) do assert.equal('nil', v, parts[i]) end
  end)

  it('through require', function()
    for _, name in ipairs { 'ffi', 'jit', 'jit.util', 'bit', 'table.new', 'table.clear', 'string.buffer', 'os', 'io', 'debug', 'package',
      'tidemill.lib', 'tidemill.view', '../mod', '/etc/passwd', 'a/../../mod', '..mod', '.mod', '', '~' } do
      local r = run("local ok, why = pcall(require, '" .. name .. "')\nerror('got ' .. tostring(ok) .. ': ' .. tostring(why))",
        { files = { ['x/y'] = '' } })
      assert.equal(3, r.code)
      assert.truthy(r.err:find('got false: ', 1, true), name .. ': ' .. r.err)
      assert.truthy(r.err:find('no module', 1, true) or r.err:find('a module name has', 1, true), r.err)
    end
  end)

  it('through precompiled code, as a script and as a module', function()
    local p = assert(io.popen [[luajit -e "io.write(string.dump(function() return 1 end))"]])
    local code = p:read '*a'
    p:close()
    assert.equal('\27LJ', code:sub(1, 3))
    refused(code, 'hostile%.lua:1: precompiled Lua is not accepted')
    refused("local x\nx = require 'mod'", 'mod%.lua:1: precompiled Lua is not accepted', { files = { ['mod.lua'] = code } })
  end)

  it('through 64-bit literals', function()
    for _, literal in ipairs { '1LL', '1ULL', '0x7fULL', '1i' } do
      refused('local x = ' .. literal, 'hostile%.lua: 64%-bit and imaginary literals')
      refused('local f = function() return function() return ' .. literal .. ' end end', 'hostile%.lua: 64%-bit')
    end
  end)

  it('through metatables', function()
    assert.same({ 'string', 'tidemill', 'event' }, { seen 'getmetatable("")', seen 'type(getmetatable(tm)) == "string" and "tidemill"',
      seen 'type(getmetatable(e)) == "string" and "event"' })
    assert.equal('table', seen 'type(setmetatable({}, { __index = string }))')
    for _, attack in ipairs { "getmetatable('').__index = function() end", 'setmetatable(tm, {})', 'setmetatable(tm.null, {})',
      'setmetatable(tm.source, {})', "setmetatable({}, { __gc = print })", 'setmetatable(e, {})', "rawset(e, 'id', 7)",
      "rawset(tm, 'copy', print)", "rawset(tm.sink, 'file', print)", "rawset(tm.null, 'x', 1)", "tm.null.x = 1", "tm.copy = print",
      "table.insert(tm, 1)", "table.insert(e, 1)", "table.sort(e)", "e.id.x = 1", "local s = 'x' s.y = 1" } do
      local r = run(in_map(attack))
      assert.truthy(r.err:find('attack begins', 1, true), attack .. ': ' .. r.err)
      assert.equal('{"id":1}\n{"id":3}\n', r.out, attack)
      assert.truthy(r.err:find('hostile.lua:6: ', 1, true), attack .. ': ' .. r.err)
      assert.equal('hostile.lua:6', h.decode(r.dead).at)
    end
  end)

  it('through what another script sees', function()
    local evil = [[
local tm = require 'tidemill'
string.rep, string.format, table.concat, math.floor, bit.band = nil, nil, nil, nil, nil
string.evil, table.evil, math.evil, coroutine.evil, bit.evil, _G.evil, evil2 = 1, 1, 1, 1, 1, 1, 1
pairs, tostring, type, require = nil, nil, nil, nil
pcall(function() tm.evil = 1 end) pcall(rawset, tm, 'evil', 1) pcall(rawset, tm.sink, 'evil', 1) pcall(rawset, tm.null, 'evil', 1)
return tm.pipeline 'evil':to(tm.sink.discard())]]
    local good = [[
local tm = require 'tidemill'
local function has(t, k) local ok, v = pcall(function() return t[k] end) return ok and v ~= nil end
return tm.pipeline 'good':map(function(e)
  return { id = e.id, s = ('ab'):rep(2) .. string.format('%d', 7) .. table.concat { 1, 2 } .. math.floor(1.5) .. bit.band(3, 1),
    evil = has(string, 'evil') or has(table, 'evil') or has(math, 'evil') or has(coroutine, 'evil') or has(bit, 'evil') or
      has(_G, 'evil') or has(_G, 'evil2') or has(tm, 'evil') or has(tm.sink, 'evil') or has(tm.null, 'evil') or not (pairs and type) }
end)]]
    local dir = h.folder { ['evil.lua'] = evil, ['good.lua'] = good }
    for _, order in ipairs { { 'evil.lua', 'good.lua' }, { 'good.lua', 'evil.lua' } } do
      local r = h.run({ 'run', '--quiet', order[1], order[2] }, '{"id":1}\n', { cwd = dir })
      assert.equal('', r.err)
      assert.equal('{"evil":false,"id":1,"s":"abab71211"}\n', r.out)
    end
  end)

  it('through addresses', function()
    for _, value in ipairs { '{}', 'print', 'coroutine.create(print)', 'e', 'tm', 'tm.null', 'setmetatable({}, {})' } do
      for _, form in ipairs { 'tostring(%s)', 'string.format("%%s", %s)', 'select(2, pcall(error, tostring(%s)))',
        'select(2, pcall(function() return %s + 1 end))', 'select(2, pcall(string.rep, %s))' } do
        local x = seen('tostring(' .. form:format(value) .. ')')
        assert.falsy(x:find '0x%x%x', value .. ': ' .. x)
      end
    end
    assert.equal('string.format: \'%p\' prints an address', seen "tostring(select(2, pcall(string.format, '%p', {})))")
  end)

  it('through an event kept from before', function()
    local r = run [[
local tm = require 'tidemill'
local kept
return tm.pipeline 'p':map(function(e)
  kept = kept or e
  print 'attack begins'
  local ok, why = pcall(function() kept.id = 'changed' end)
  return { id = kept.id, own = e.id }
end)]]
    -- one view serves all events: the old one reads and writes the event at hand, never one that has left
    assert.equal('{"id":"changed","own":"changed"}\n{"id":"changed","own":"changed"}\n{"id":"changed","own":"changed"}\n', r.out, r.err)
    local dir = h.folder { ['s.ndjson'] = INPUT, ['kept.lua'] = [[
local tm = require 'tidemill'
local kept
return tm.pipeline 'p':map(function(e)
  kept = kept or e
  return { id = kept.id }
end)]] }
    r = h.run({ 'check', '--sample', 's.ndjson', 'kept.lua' }, '', { cwd = dir })
    assert.equal(3, r.code)
    assert.truthy(r.err:find('kept.lua:5: ', 1, true) and r.err:find('use tm.copy', 1, true), r.err)
  end)

  it('through emit kept from before', function()
    local r = run [[
local tm = require 'tidemill'
local kept
return tm.pipeline 'p':flat_map(function(e, emit)
  kept = emit
  emit { id = e.id }
end):map(function(e)
  if e.id == 2 then print 'attack begins' kept { id = 'smuggled' } end
  return e
end):on_error(tm.sink.file 'dead.ndjson')]]
    assert.equal('{"id":1}\n{"id":3}\n', r.out, r.err)
    assert.truthy(r.err:find('attack begins', 1, true))
    assert.equal('hostile.lua:7', h.decode(r.dead).at)
  end)
end)
