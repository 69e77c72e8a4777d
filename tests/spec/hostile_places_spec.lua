--[[
hostile_places_spec.lua - every attack in every place where a script's function runs, and while it loads.

One run a place: between good events stand bad ones, each with an attack by name. What must hold: each attack began (it says
so first); its event alone fails, with the cause, the attack's own line and the event in a dead letter; the worker stopped it itself (no
restart); the rows are those of the same run without the bad events, state included; and all is over within twice the deadline an
attack.
]]

local h = require 'spec.helper'

local SLOW = h.slowness()
local DEADLINE_MS = 250 * SLOW

local ATTACKS = {   -- name, code of the dead letter, what it does
  { 'loop', 'deadline', 'while true do end' },
  { 'pcall', 'deadline', 'while true do pcall(function() while true do end end) end' },
  { 'caught', 'deadline', 'local n = 0 while true do if not pcall(function() while true do end end) then n = n + 1 end end' },
  { 'coroutine', 'deadline', 'while true do coroutine.wrap(function() while true do end end)() end' },
  { 'comparator', 'deadline', 'table.sort({ 3, 2, 1 }, function() while true do end end)' },
  { 'iterator', 'deadline', 'for _ in function() return 1 end do end' },
  { 'metamethod', 'deadline', 'local t = setmetatable({}, { __index = function() while true do end end }) return t.x .. 1' },
  { 'tostring', 'deadline', 'tostring(setmetatable({}, { __tostring = function() while true do end end }))' },
  { 'gsub', 'deadline', "string.gsub('x', '.', function() while true do end end)" },
  { 'patterns', 'deadline', "while true do pcall(string.find, ('a'):rep(20000), '.-.-.-b') end" },
  { 'strings', 'memory', "local s = 'x' while true do s = s .. s end" },
  { 'tables', 'memory', 'local t = {} while true do t = { t, {} } end' },
  { 'closures', 'memory', 'local t = {} for i = 1, 1e9 do t[i] = function() return i end end' },
  { 'coroutines', 'memory', 'local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() return i end) end' },
  { 'rep', 'memory', "local s = ('x'):rep(1e9) return s" },
  { 'concat', 'memory', "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1e5) end return table.concat(t)" },
  { 'format', 'memory', "local s = ('x'):rep(5e6) return ('%s%s%s%s%s%s%s%s'):format(s, s, s, s, s, s, s, s)" },
  { 'gsub text', 'memory', "return (('x'):rep(1e6):gsub('x', ('y'):rep(1e4)))" },
  { 'bomb', 'pattern', "local x = ('a'):rep(20000):match '(.-)(.-)(.-)b' return x" },
  { 'recursion', 'stack-overflow', 'local function f() return 1 + f() end return f()' },
  { 'crash', 'lua', 'local x return x.y' },
  { 'large', 'lua', "error('made ' .. #('x'):rep(1e7))" },
}

--- attacks.lua: attack n stands on line n + 1.
local function attacks_file()
  local lines = { 'local A = {}' }
  for i, a in ipairs(ATTACKS) do lines[i + 1] = ('A[%q] = function() %s end'):format(a[1], a[3]) end
  lines[#lines + 1] = "return function(e) local name = e.attack if name then print('begins: ' .. name .. '.') A[name]() end end"
  return table.concat(lines, '\n')
end

local PLACES = {
  { 'filter', ':filter(function(e) attack(e) return true end)' },
  { 'map', ':map(function(e) attack(e) return { id = e.id } end)' },
  { 'flat_map, behind a row', ':flat_map(function(e, emit) emit { id = e.id } attack(e) end)' },
  { 'set', ':set { x = function(e) attack(e) return e.id end }' },
  { 'key_by', ":key_by(function(e) attack(e) return e.id % 2 end, 'k'):running('r', { n = tm.agg.count() }, { unbounded = true })" },
  { 'process', [[:key_by 'k':process('s', { unbounded = true, state = { n = 0, all = tm.state.list { of = 'number', max = 100 } },
    on_event = function(e, s, ctx)
      s.n = s.n + 1 s.all:push(e.id)
      ctx.emit { n = s.n, size = s.all:size(), id = e.id }
      attack(e)
    end })]] },
  { 'where of an aggregate', [[:key_by 'k':running('r', { n = tm.agg.count(),
    m = tm.agg.sum('id', { where = function(e) attack(e) return true end }) },
    { unbounded = true })]] },
  { 'add of tm.agg.custom', [[:key_by 'k':running('r', { n = tm.agg.count(), d = tm.agg.distinct 'id', h = tm.agg.heavy_hitters 'id',
    c = tm.agg.custom { init = 0, add = function(acc, e) attack(e) return acc + 1 end } }, { unbounded = true })]] },
  { 'a step behind state', ":key_by 'k':running('r', { n = tm.agg.count(), attack = tm.agg.last 'attack' }, { unbounded = true })\
    :filter(function(e) attack(e) return true end):drop { 'attack' }" },
}

local function script(place)
  return "local tm, attack = require 'tidemill', require 'attacks'\nlocal s = tm.pipeline 'p':on_error(tm.sink.file 'dead.ndjson')" ..
    place .. '\nreturn s'
end

local function input(with)
  local lines, id = {}, 0
  for _, a in ipairs(ATTACKS) do
    for _ = 1, 2 do
      id = id + 1
      lines[#lines + 1] = ('{"id":%d,"k":"%s"}'):format(id, id % 3 == 0 and 'a' or 'b')
    end
    if with then lines[#lines + 1] = ('{"id":-1,"k":"b","attack":"%s"}'):format(a[1]) end
  end
  return table.concat(lines, '\n') .. '\n'
end

local function run(text, with, ...)
  local dir = h.folder { ['attacks.lua'] = attacks_file(), ['main.lua'] = text }
  local r = h.run({ 'run', '--json', '--deadline', DEADLINE_MS .. 'ms', '--script-memory', '48M', 'main.lua', ... }, input(with),
    { cwd = dir, timeout = 60 * SLOW })
  r.letters = h.rows(h.read(dir .. '/dead.ndjson'))
  os.execute('rm -rf ' .. h.quote(dir))
  return r
end

local function attacked(place, ...)
  local quiet = run(script(place), false, ...)
  assert.equal(0, quiet.code, quiet.err)
  assert.equal(2 * #ATTACKS, #h.lines(quiet.out))
  local r = run(script(place), true, ...)
  local summary = h.decode(r.err:match '(%b{})\n$')
  assert.equal(0, summary.counters.worker_restarts, r.err)
  assert.equal(#ATTACKS, summary.counters.events_failed, r.err)
  assert.equal(#ATTACKS, #r.letters)
  local overdue = 0
  for i, a in ipairs(ATTACKS) do
    local letter, where = r.letters[i], place .. '\n' .. a[1] .. ': ' .. r.letters[i].reason
    assert.truthy(r.err:find('begins: ' .. a[1] .. '.\n', 1, true), where)
    assert.equal(a[2], letter.code, where)
    assert.equal(a[1], letter.event.attack, where)
    assert.equal('stdin:' .. 3 * i, letter.position, where)
    -- where a stack is full no handler runs: then the place told is that of the step
    if a[2] ~= 'stack-overflow' and a[2] ~= 'memory' then assert.equal('attacks.lua:' .. i + 1, letter.at, where) end
    if a[2] == 'deadline' then overdue = overdue + 1 end
  end
  assert.equal(quiet.out, r.out)
  assert.is_true(r.seconds < quiet.seconds + SLOW * 2 * (#ATTACKS * 2 * DEADLINE_MS / 1000 + 2), r.seconds)
end

describe('every attack', function()
  -- a run takes a minute under sanitizers, and what they look at are the attacks more than the places
  for i, place in ipairs(PLACES) do
    if SLOW == 1 or i % 3 == 0 then it('in ' .. place[1], function() attacked(place[2]) end) end
  end

  it('in map, without the compiler', function() attacked(PLACES[2][2], '--no-jit') end)

  for i, a in ipairs(ATTACKS) do
    it('while a script loads: ' .. a[1], function()
      local r = run(("local tm, attack = require 'tidemill', require 'attacks'\nattack { attack = %q }\nreturn tm.pipeline 'p'"):format(
        a[1]), false)
      assert.equal(3, r.code, r.err)
      assert.equal('', r.out)
      assert.truthy(r.err:find('begins: ' .. a[1] .. '.\n', 1, true), r.err)
      local at = a[2] == 'memory' and '[%w/%.]*:?' or a[2] == 'stack-overflow' and '' or 'attacks%.lua:' .. i + 1 .. ': '
      local said = ({ deadline = 'still at work', memory = 'more than its memory', pattern = 'pattern too complex',
        ['stack-overflow'] = 'overflow',
        lua = a[1] == 'large' and 'made 10000000' or "attempt to index local 'x'" })[a[2]]
      assert.truthy(r.err:find('tidemill: error: ' .. at .. '[^\n]*' .. said), r.err)
      assert.is_true(r.seconds < 2 * DEADLINE_MS / 1000 + 3 * SLOW, r.seconds)
    end)
  end
end)
