--[[
check_bytecode_spec.lua - what `check` warns of in functions that are called for every event, and what it leaves alone. Each
small script says by a comment `-- WARN words` which lines must be warned of, with these words; no other line may be.
]]

local h = require 'spec.helper'

local head = "local tm = require 'tidemill'\n"

--- Runs check over a script; compares the warnings' places and words with the comments in it.
local function checked(script, files)
  files = files or {}
  files['p.lua'] = head .. script
  local dir = h.folder(files)
  local r = h.run({ 'check', 'p.lua' }, nil, { cwd = dir })
  assert.equal(0, r.code, r.err)
  local wanted, n = {}, 0
  for name, text in pairs(files) do
    local at = 0
    for line in (text .. '\n'):gmatch '(.-)\n' do
      at = at + 1
      for words in line:gmatch '%-%- WARN ([^;]+)' do
        wanted[name .. ':' .. at] = (wanted[name .. ':' .. at] or '') .. '\0' .. words
        n = n + 1
      end
    end
  end
  local found = 0
  for _, line in ipairs(h.lines(r.err)) do
    local place, message = line:match '^tidemill: warning: ([^:]+:%d+): (.*)$'
    assert(place, line)
    assert.truthy(wanted[place], 'not expected: ' .. line)
    local matched = false
    for words in wanted[place]:gmatch '%z([^%z]+)' do
      if message:find(words:gsub('%s+$', ''), 1, true) then matched = true end
    end
    assert.is_true(matched, line)
    found = found + 1
  end
  assert.equal(n, found, r.err)
  assert.equal(n == 0 and 'ok: 1 pipeline\n' or ('ok: 1 pipeline, %d warning%s\n'):format(n, n == 1 and '' or 's'), r.out)
end

local wrong = {
  ['a counter in an upvalue'] = [[
    local n = 0
    return tm.pipeline 'p':filter(function(e)
      n = n + 1   -- WARN assigns 'n', a variable from outside of the function
      return n % 10 == 0
    end)]],
  ['upvalues set to constants'] = [[
    local last, on, off = nil, nil, nil
    return tm.pipeline 'p':map(function(e)
      last = 'x'  -- WARN assigns 'last'
      on = true   -- WARN assigns 'on'
      off = 0     -- WARN assigns 'off'
      return e
    end)]],
  ['a global'] = [[
    return tm.pipeline 'p':map(function(e)
      total = (total or 0) + e.amount   -- WARN assigns the global 'total' for every event; write local total
      return e
    end)]],
  ['a loop variable forgotten to be local'] = [[
    return tm.pipeline 'p':filter(function(e)
      for _, v in ipairs(e.list) do
        found = v   -- WARN assigns the global 'found'
      end
      return found
    end)]],
  ['a table of what was seen'] = [[
    local seen = {}
    return tm.pipeline 'p':filter(function(e)
      if seen[e.id] then return false end
      seen[e.id] = true   -- WARN what events leave in the table 'seen' stays there without a bound
      return true
    end)]],
  ['counts by key'] = [[
    local counts = {}
    return tm.pipeline 'p':map(function(e)
      counts[e.card] = (counts[e.card] or 0) + 1   -- WARN the table 'counts'
      e.n = counts[e.card]
      return e
    end)]],
  ['a counter in a table'] = [[
    local stats = { n = 0 }
    return tm.pipeline 'p':map(function(e)
      stats.n = stats.n + 1   -- WARN 'n' of the table 'stats' goes over from one event to the next
      return e
    end)]],
  ['a list that grows by its length'] = [[
    local all = {}
    return tm.pipeline 'p':map(function(e)
      all[#all + 1] = e.id   -- WARN the table 'all' stays there
      return e
    end)]],
  ['a list that grows by table.insert'] = [[
    local all = {}
    return tm.pipeline 'p':map(function(e)
      table.insert(all, e.id)   -- WARN the table 'all'
      return e
    end)]],
  ['a global table'] = [[
    cache = {}
    return tm.pipeline 'p':map(function(e)
      local v = cache[e.k]
      if not v then
        v = e.k .. '!'
        cache[e.k] = v   -- WARN the table 'cache'
      end
      e.v = v
      return e
    end)]],
  ['a function made for every event'] = [[
    return tm.pipeline 'p':map(function(e)
      local double = function(x) return 2 * x end   -- WARN makes a function for every event
      e.a = double(e.a)
      return e
    end)]],
  ['pcall of a new function'] = [[
    return tm.pipeline 'p':map(function(e)
      pcall(function()   -- WARN makes a function for every event
        e.x = e.y + 1
      end)
      return e
    end)]],
  ['... where LuaJIT misreads it'] = [[
    local function total(...)
      local sum = 0
      for _ = 1, 3 do
        local a = ...   -- WARN reads ... behind a call or in a loop
        sum = sum + a
      end
      return sum
    end
    return tm.pipeline 'p':map(function(e)
      e.total = total(e.a, e.b)
      return e
    end)]],
  ['string.gmatch'] = [[
    return tm.pipeline 'p':map(function(e)
      e.host = string.gmatch(e.url, '//([^/]+)')   -- WARN string.gmatch makes an iterator
      return e
    end)]],
  ['methods of fields'] = [[
    return tm.pipeline 'p':map(function(e)
      e.a = e.url:gmatch('^/(%w+)')   -- WARN string.gmatch makes an iterator
      e.b = e.url:gmatch('%d')    -- WARN string.gmatch makes an iterator
      e.c = e.geo.name:gmatch('^x')    -- WARN string.gmatch makes an iterator
      for w in e.text:gmatch('%a+') do   -- WARN string.gmatch makes an iterator
        e.last = w
      end
      return e
    end)]],
  ['methods of locals, of defaults, of what was joined'] = [[
    return tm.pipeline 'p':filter(function(e)
      local url = e.url
      local path = e.path or ''
      return url:gmatch('a+') or   -- WARN string.gmatch makes an iterator
        path:gmatch('b') or       -- WARN string.gmatch makes an iterator
        (url .. path):gmatch('c') or   -- WARN string.gmatch makes an iterator
        tostring(e.id):gmatch('1$') or  -- WARN string.gmatch makes an iterator
        url:lower():gmatch('d')   -- WARN string.gmatch makes an iterator
    end)]],
  ['a local name for string.gmatch'] = [[
    local walk = string.gmatch
    return tm.pipeline 'p':filter(function(e)
      return walk(e.text, 'a')   -- WARN string.gmatch makes an iterator
    end)]],
  ['a helper'] = [[
    local function host(url)
      return url:gmatch('//([^/]+)')   -- WARN string.gmatch makes an iterator
    end
    return tm.pipeline 'p':map(function(e) e.host = host(e.url) return e end)]],
  ['a helper of a helper'] = [[
    local n = 0
    local function count() n = n + 1 end   -- WARN assigns 'n'
    local function work(e) count() return e end
    return tm.pipeline 'p':map(function(e) return work(e) end)]],
  ['a helper that is passed on'] = [[
    local n = 0
    local function count(e) n = n + 1 return true end   -- WARN assigns 'n'
    return tm.pipeline 'p':filter(function(e) local ok = pcall(count, e) return ok end)]],
  ['functions in a table that is walked over'] = [[
    local rules = {
      { when = function(e) return e.url:gmatch('x') end },   -- WARN string.gmatch makes an iterator
      { when = function(e) return e.a > 1 end },
    }
    return tm.pipeline 'p':filter(function(e)
      for _, rule in ipairs(rules) do
        if rule.when(e) then return true end
      end
      return false
    end)]],
  ['functions in a table that is indexed'] = [[
    local hits = 0
    local by_type = { a = function(e) hits = hits + 1 return e end }   -- WARN assigns 'hits'
    return tm.pipeline 'p':map(function(e) return by_type[e.type](e) end)]],
  ['a function inside that writes outside of both'] = [[
    local n = 0
    return tm.pipeline 'p':map(function(e)
      local function add() n = n + 1 end   -- WARN makes a function; -- WARN assigns 'n'
      add()
      return e
    end)]],
  ['an object that is kept'] = [[
    local Account = {}
    Account.__index = Account
    function Account.add(self, x) self.sum = self.sum + x end   -- WARN 'sum' of the table
    local account = setmetatable({ sum = 0 }, Account)
    return tm.pipeline 'p':map(function(e) account:add(e.amount) e.sum = account.sum return e end)]],
  ['every kind of step'] = [[
    local n = 0
    local s = tm.pipeline 'p'
      :flat_map(function(e, emit) n = n + 1 emit(e) end)   -- WARN assigns 'n'
      :set { a = function(e) n = n + 1 return n end }      -- WARN assigns 'n'
      :key_by(function(e) n = n + 1 return n end, 'k')     -- WARN assigns 'n'
    local out = s:branch { a = function(e) n = n + 1 return true end, rest = true }   -- WARN assigns 'n'
    local way = out.a:route { { 'x', function(e) n = n + 1 return true end }, { 'y' } }   -- WARN assigns 'n'
    return { way.x, way.y, out.rest }]],
}

local right = {
  ['constants from outside'] = [[
    local limit, name, rates = 100, 'DE', { EUR = 1, USD = 0.9 }
    return tm.pipeline 'p':filter(function(e) return e.amount * (rates[e.currency] or 1) > limit and e.country == name end)]],
  ['... read where the function begins, or by select'] = [[
    local function total(e, ...)
      local a, b = ...
      local sum = e.c + a + b
      for i = 1, select('#', ...) do sum = sum + (select(i, ...)) end
      return math.max(sum, ...)
    end
    return tm.pipeline 'p':map(function(e) e.total = total(e, e.a, e.b) return e end)]],
  ['globals that are read'] = [[
    LIMIT = 100
    function is_large(e) return e.amount > LIMIT end
    return tm.pipeline 'p':filter(function(e) return is_large(e) end)]],
  ['local functions and libraries'] = [[
    local floor = math.floor
    local function round(x) return floor(x + 0.5) end
    return tm.pipeline 'p':map(function(e) e.a = round(e.a) e.b = math.max(e.a, 1) e.c = ('%d'):format(e.a) return e end)]],
  ['locals of the function'] = [[
    return tm.pipeline 'p':map(function(e)
      local n, t = 0, {}
      for i, v in ipairs(e.list) do n = n + v t[i] = v t[#t + 1] = v end
      for k, v in pairs(e) do n = n + 1 end
      t.sum = (t.sum or 0) + n
      return t
    end)]],
  ['tm, and its functions'] = [[
    local copy, null = tm.copy, tm.null
    return tm.pipeline 'p':map(function(e)
      local t = copy(e)
      t.raw, t.line, t.x = tm.raw(e), tm.meta(e).position, null
      if tm.is_null(e, 'y') then t.y = tm.array {} end
      return t
    end)]],
  ['a table used again for every row'] = [[
    local row = {}
    return tm.pipeline 'p':flat_map(function(e, emit)
      row.id, row.total = e.id, e.a + e.b
      row.double = row.total * 2
      emit(row)
    end)]],
  ['a list used again'] = [[
    local parts = {}
    return tm.pipeline 'p':map(function(e)
      for i = #parts, 1, -1 do parts[i] = nil end
      parts[#parts + 1] = e.a
      parts[#parts + 1] = e.b
      e.all = table.concat(parts, ',')
      return e
    end)]],
  ['methods that are only read'] = [[
    local Money = {}
    Money.__index = Money
    function Money.round(x) return math.floor(x * 100 + 0.5) / 100 end
    function Money:convert(x) return self.round(x * self.rate) end
    local usd = setmetatable({ rate = 0.9 }, Money)
    return tm.pipeline 'p':map(function(e) e.eur = usd:convert(e.amount) return e end)]],
  ['an object with a method called match'] = [[
    local matcher = { word = 'x' }
    function matcher:match(s) return s == self.word end
    local function test(m, s) return m:match(s) end
    return tm.pipeline 'p':filter(function(e) return matcher:match(e.text) or test(matcher, e.text) end)]],
  ['find, match and gsub'] = [[
    return tm.pipeline 'p':map(function(e)
      e.host, e.n, e.x = e.url:match '//([^/]+)', e.text:gsub('%d', '#'), e.text:find(e.needle)
      return e
    end)]],
  ['plain find'] = [[
    return tm.pipeline 'p':filter(function(e)
      return e.text:find('a.b', 1, true) or string.find(e.text, e.word, 1, true) or e.text:find('plain') ~= nil
    end)]],
  ['strings without patterns'] = [[
    return tm.pipeline 'p':map(function(e)
      e.a, e.b, e.c = e.text:sub(1, 3), e.text:lower(), #e.text
      e.d = e.text:byte(1) .. ('x'):rep(3)
      return e
    end)]],
  ['fields that are called like string functions'] = [[
    return tm.pipeline 'p':filter(function(e) return e.match == 1 and e.find.gsub > e.format end)]],
  ['state while the script loads'] = [[
    local n, list, words = 0, {}, {}
    for i = 1, 10 do n = n + i list[#list + 1] = i end
    for w in ('a b c'):gmatch '%a' do words[w] = (words[w] or 0) + 1 end
    local function above(limit) return function(e) return e.n > limit + n end end
    return tm.pipeline 'p':filter(above(10)):filter(above(#list))]],
  ['functions that load-time code made'] = [[
    local handlers = {}
    for _, name in ipairs { 'a', 'b' } do handlers[name] = function(e) e.kind = name return e end end
    return tm.pipeline 'p':map(function(e) local h = handlers[e.type] return h and h(e) or e end)]],
  ['writes to the event'] = [[
    return tm.pipeline 'p':map(function(e)
      e.n = (e.n or 0) + 1
      e.geo.lat = e.geo.lat + 1
      e[e.name] = e[e.name]
      return e
    end)]],
  ['generators, which count as they like'] = [[
    local n = 0
    return tm.pipeline 'p':from(tm.source.generate(function(i) n = n + 1 return { n = n } end, { count = 3 }))]],
  ['a helper that is never called for an event'] = [[
    local n = 0
    local function setup(s) n = n + 1 return s:match '%d+' end
    local first = setup 'a1'
    return tm.pipeline 'p':filter(function(e) return e.a == first end)]],
  ['recursion'] = [[
    local depth
    depth = function(t) local n = 0 for _, v in ipairs(t) do n = math.max(n, depth(v)) end return n + 1 end
    return tm.pipeline 'p':map(function(e) e.depth = depth(e.tree) return e end)]],
}

describe('check warns of', function()
  for name, script in pairs(wrong) do
    it(name, function() checked(script) end)
  end

  it('functions of the user\'s own modules', function()
    checked([[
      local text = require 'lib.text'
      return tm.pipeline 'p':map(function(e) e.host = text.host(e.url) return e end)]], { ['lib/text.lua'] = [[
      local M = {}
      local calls = 0
      function M.host(url)
        calls = calls + 1   -- WARN assigns 'calls'
        return M.strip(url:gmatch('//([^/]+)'))   -- WARN string.gmatch makes an iterator
      end
      function M.strip(s)
        return function() return s end   -- WARN makes a function
      end
      function M.unused(s) calls = 0 return s:match('x') end
      return M]] })
  end)

  it('the same place once, however many steps lead to it', function()
    checked [[
      local n = 0
      local function count(e) n = n + 1 return true end   -- WARN assigns 'n'
      return tm.pipeline 'p':filter(count):filter(count):map(function(e) count(e) return e end)]]
  end)
end)

describe('check does not warn of', function()
  for name, script in pairs(right) do
    it(name, function() checked(script) end)
  end

  it('any example', function()
    for _, path in ipairs(h.lines(h.shell('ls scripts/examples/*.lua | grep -v _spec.lua').out)) do
      if not path:find 'cards.lua' then
        local r = h.run { 'check', path }
        assert.equal('', r.err)
        assert.equal(0, r.code)
      end
    end
  end)

  it('endless structures', function()
    -- a table that holds itself, functions that call one another, 3,000 functions
    checked [[
      local t = { f = function(e) return e.a end }
      t.t = t
      local list = {}
      for i = 1, 3000 do list[i] = function(e) return list[1](e) end end
      local a, b
      a = function(e) return b(e) end
      b = function(e) return a(e) end
      return tm.pipeline 'p':filter(function(e)
        for _, f in pairs(t) do if e.x then return f(e) end end
        for _, f in ipairs(list) do if e.y then return f(e) end end
        return e.z and a(e)
      end)]]
  end)
end)

describe('warnings', function()
  local script = 'local n = 0 return stream:filter(function(e) n = n + 1 return n > 1 end)'

  it('do not reject a script, but with --strict', function()
    local r = h.run { 'check', '-e', script }
    assert.equal(0, r.code)
    assert.equal('ok: 1 pipeline, 1 warning\n', r.out)
    r = h.run { 'check', '--strict', '-e', script }
    assert.equal(3, r.code)
    assert.equal('', r.out)
    assert.truthy(r.err:find("tidemill: warning: -e:1: assigns 'n'", 1, true), r.err)
    assert.equal(0, h.run({ 'check', '--strict', '-e', 'stream' }).code)
    local help = h.run({ 'help', 'check' }).out
    assert.truthy(help:find('warnings', 1, true) and help:find('--strict', 1, true))
  end)

  it('are not given by run', function()
    local r = h.run({ 'run', '--quiet', '-e', script }, '{"a":1}\n{"a":2}\n')
    assert.equal('', r.err)
    assert.equal('{"a":2}\n', r.out)
  end)

  it('say what to do instead', function()
    local r = h.run { 'check', '-e', [[stream:filter(function(e) g = e.a pcall(function() end) return e.u:gmatch 'x' end)]] }
    for _, words in ipairs { 'write local g', 'make it once, outside', 'find, match and gsub stay in it' } do
      assert.truthy(r.err:find(words, 1, true), r.err)
    end
  end)
end)

describe('state', function()
  -- the rule itself, on plans written by hand: it looks at what the catalog says of an operator
  local function problems(entry, rec)
    local script = ([[
      package.preload['tidemill.lib'] = function() return { bit = require 'bit' } end
      local entry = %s
      package.preload['tidemill.catalog'] = function() return { find = function(_, name) return name == 'count' and entry or nil end } end
      local list = {}
      local step = { kind = 'count', place = 'p.lua:3', rec = %s }
      require 'tidemill.lint'.states({ pipelines = { { steps = { step } } }, tables = {} }, list)
      for _, p in ipairs(list) do print(p.place .. ': ' .. p.message) end]]):format(entry, rec)
    local r = h.shell("LUA_PATH='lua/?.lua' luajit " .. h.write(script))
    assert.equal('', r.err)
    return r.out
  end
  local entry = "{ name = 'count', signature = \":count('name', options)\", state = true, bounds = { 'ttl', 'max_keys' } }"

  it('has a name and a bound', function()
    assert.equal('', problems(entry, "{ name = 'n', options = { max_keys = 10 } }"))
    assert.equal('', problems('nil', '{}'))
    assert.equal("p.lua:3: count keeps state, so it needs a name: :count('name', options)\n", problems(entry, '{ options = { ttl = 1 } }'))
    assert.truthy(problems(entry, "{ name = 'n' }"):find 'p.lua:3: count keeps state without a bound; give one of ttl, max_keys')
  end)
end)
