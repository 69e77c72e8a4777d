--[[
pattern_spec.lua - string patterns as scripts see them. The reference is LuaJIT itself, outside of the sandbox: the same random cases
(tools/pattern_cases.lua) run by plain luajit and inside a script; answers and messages are compared. Plain luajit does not
compile them: compiled, it takes a start beyond 2^31 for another one. PATTERN_CASES, a number of thousands, makes it longer;
PATTERN_SEED begins elsewhere. And patterns that would run for hours end at a bound.
]]

local h = require 'spec.helper'

local THOUSANDS = tonumber(os.getenv 'PATTERN_CASES' or 60)
local SEED = tonumber(os.getenv 'PATTERN_SEED' or os.time() % 100000)

--- The first lines that differ, for the message.
local function difference(a, b)
  local theirs, ours = h.lines(a), h.lines(b)
  for i = 1, math.max(#theirs, #ours) do
    if theirs[i] ~= ours[i] then
      return ('seed %d, case %d\n  luajit: %s\n  host:   %s'):format(SEED, i, tostring(theirs[i]), tostring(ours[i]))
    end
  end
end

local function both(thousands, ...)
  local dir = h.folder {
    ['pattern_cases.lua'] = h.read(h.cwd .. '/tests/spec/tools/pattern_cases.lua'),
    ['ours.lua'] = [[
local tm, block = require 'tidemill', require 'pattern_cases'
return tm.pipeline 'p':map(function(e) return { r = block(e.seed, 1000) } end)]],
  }
  local events = {}
  for i = 1, thousands do events[i] = ('{"seed":%d}'):format(SEED + i) end
  local theirs = h.shell(("cd %s && luajit -joff -e \z
    'local block = assert(loadfile \"pattern_cases.lua\")() for i = %d, %d do print(block(i, 1000)) end'")
    :format(dir, SEED + 1, SEED + thousands))
  local ours = h.run({ 'run', '--quiet', '--strict', '--deadline', '30s', 'ours.lua', ... }, table.concat(events, '\n') .. '\n',
    { cwd = dir, timeout = 1800 })
  assert.equal(0, ours.code, ours.err)
  local rows = {}
  for i, line in ipairs(h.lines(ours.out)) do rows[i] = h.decode(line).r end
  assert.equal(thousands, #rows)
  return theirs.out, table.concat(rows, '\n') .. '\n'
end

describe('patterns are those of LuaJIT', function()
  it('in answers and messages', function()
    local theirs, ours = both(THOUSANDS)
    assert.truthy(theirs == ours, theirs ~= ours and difference(theirs, ours) or '')
    -- the cases are worth something: answers, misses and each of the messages are among them
    for _, text in ipairs { '= true nil', '= true \'', 'ends\\20with', "missing\\20']'", "missing\\20'['", 'unbalanced',
      'invalid\\20pattern',
      'invalid\\20capture\\20index', 'too\\20many', 'too\\20complex', 'unfinished', 'invalid\\20replacement' } do
      assert.truthy(theirs:find(text, 1, true), ('seed %d: no case of: %s'):format(SEED, text))
    end
  end)

  it('without the compiler too', function()
    local theirs, ours = both(5, '--no-jit')
    assert.truthy(theirs == ours, theirs ~= ours and difference(theirs, ours) or '')
  end)

  it('in what they say of arguments', function()
    local calls = [[
      function() return string.find() end, function() return ('x'):find() end, function() return string.match({}, 'x') end,
      function() return (string.gsub('x', 'y')) end, function() return (('x'):gsub('y', true)) end,
      function() return ('x'):gmatch({}) end, function() return string.find('x', 'y', {}) end,
      function() return string.gsub('x', 'y', 'z', 'w') end,
      function() local f = string.match return (f(nil, 'x')) end, function() return string.find(12321, 2, 3) end,
      function() return (string.gsub(121, 1, 3)) end, function() return string.find.x end]]
    local code = 'local out = {} for i, f in ipairs {' .. calls .. '} do out[i] = tostring(select(2, pcall(f))) end ' ..
      'return table.concat(out, "\\n")'
    local theirs = h.shell('luajit -e ' .. h.quote('io.write((function() ' .. code .. ' end)())')).out
    local ours = h.rows((h.e('stream:map(function(e) return { r = (function() ' .. code .. ' end)() } end)', { '{}' })))[1].r
    local function plain(text) return (text:gsub('%f[^\n%z][^\n]-:%d+: ', ''):gsub('got nil', 'got no value')) end
    assert.equal(plain(theirs), plain(ours))
    assert.equal(12, #h.lines(theirs))
  end)
end)

describe('a pattern that would run for hours', function()
  local bombs = {
    "('a'):rep(50000):match '(.-)(.-)(.-)b'",
    "('a'):rep(50000):find '.-.-.-.-b'",
    "('a'):rep(30000):match(('a*'):rep(30) .. 'b')",
    "('a'):rep(100):match(('a?'):rep(100) .. ('a'):rep(101))",
    "('('):rep(300000):find '%b()'",
    "(('a'):rep(100000) .. 'b'):rep(2):match '^(.+).-%1%1'",
    "((' '):rep(100000) .. 'x'):gsub('%s*$', '')",
    "('a'):rep(50000):gsub('.-.-.-b', print)",
    "(('a'):rep(50000):gmatch '.-.-.-b')()",
    "(' '):rep(100000):match '^%s*(.-)%s*x$'",
  }
  for _, bomb in ipairs(bombs) do
    it('is a plain error: ' .. bomb, function()
      local r = h.script("local tm = require 'tidemill'\nreturn tm.pipeline 'p':map(function(e)\n  if e.bad then print 'attack' \z
        local x = " .. bomb .. " end\n  return e\nend)", { '{"id":1}', '{"bad":true}', '{"id":3}' },
        '--json', '--deadline', 500 * h.slowness() .. 'ms')
      assert.equal('{"id":1}\n{"id":3}\n', r.out)
      assert.truthy(r.err:find('attack\n', 1, true))
      assert.truthy(r.err:find('script.lua:3: pattern too complex for this subject: %d+ steps on %d+ bytes; ' ..
        'anchor it with ^, or use sets such as %[^,%]%* for %.%* %[pattern%]'), r.err)
      assert.is_true(r.seconds < 2 * h.slowness(), r.seconds)
    end)
  end

  it('and texts looked for as they are: linear', function()
    local r = h.e("stream:map(function(e) return { a = ('a'):rep(5e6):find(('a'):rep(2e6) .. 'b', 1, true) or 'none' } end)", { '{}' })
    assert.equal('{"a":"none"}\n', r)
  end)

  it('is no reason to refuse long subjects that are simple', function()
    local out, r = h.e([[stream:map(function(e)
      local s = ('word '):rep(1e6)
      local n = 0
      for w in s:gmatch '%a+' do n = n + 1 end
      return { n = n, g = select(2, s:gsub('%a', '#')), l = #s:gsub('word', 'longer'), m = #s:match '^(.*)$' }
    end)]], { '{}' }, '--deadline', '20s')
    assert.equal('{"g":4000000,"l":7000000,"m":5000000,"n":1000000}\n', out, r.err)
  end)

  it('what gsub makes is bounded by --script-memory', function()
    local out, r = h.e("stream:map(function(e) return { n = #('x'):rep(1e6):gsub('x', ('y'):rep(1e5)) } end)", { '{}' },
      '--script-memory', '64M')
    assert.equal('', out)
    assert.truthy(r.err:find('the script used more than its memory %(%-%-script%-memory%) %[memory%]'), r.err)
  end)
end)
