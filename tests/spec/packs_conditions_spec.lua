--[[
packs_conditions_spec.lua - conditions of rules as C knows them against the same functions called by plain, interpreted Lua: random
functions over random events, event by event and rule by rule, what matches and what raises. Values are awkward ones: nil, null, zeros of
both signs, halves, numbers around 2^52, 2^53 and the ends of a double, whose sums and quotients are infinite or no number; texts, digits as
texts, booleans, integers and decimals that Lua may not read.

Left out is what min and max give of NaN and of zeros of both signs, on which LuaJIT's interpreter and its compiler do not agree.
]]

local h = require 'spec.helper'
local generator = require 'spec.pack_reference'.generator
local cjson = h.json or require 'dkjson'

local SEEDS, RULES, EVENTS = tonumber(os.getenv 'SEEDS' or 5), 500, 250
local LARGE = {}   -- a value that raises when it is read

-- Functions ------------------------------------------------------------------------------------------------

local NUMBERS, TEXTS = { 'n1', 'n1', 'n1', 'n2', 'n2', 'n2', 'n3', 'i1', 'i1', 'd1' }, { 's1', 's2' }
local CONSTANTS = { '0', '1', '-1', '0.5', '2', '3', '-2.5', '7', '100', '1e300', '4503599627370497', '1/0', '-(0/0)' }
local WORDS = { "'a'", "'b'", "'7'", "''" }

local HEAD = [[
local half, word = 0.5, 'a'
local function double(x) return x * 2 end
local function above(tx, by) if not tx.n1 then return false end return tx.n1 > by end
local function either(a, b) return a or b end
local floor, max = math.floor, math.max
local opaque = { same = function(x) return x end }
]]

local number

local function leaf(r)
  local k = r.to(12)
  if k <= 7 then return 'tx.' .. r.one(NUMBERS) end
  if k <= 9 then return r.one(CONSTANTS) end
  return r.one { 'p.limit', 'p.other', 'half', 'a', 'b' }
end

function number(r, depth)
  if depth == 0 or r.chance(0.3) then return leaf(r) end
  local k = r.to(16)
  local x, y = number(r, depth - 1), number(r, depth - 1)
  if k <= 8 then return ('(%s %s %s)'):format(x, r.one { '+', '-', '*', '/', '%' }, y) end
  if k == 9 then return '-(' .. x .. ')' end
  if k == 10 then return ('math.%s(%s)'):format(r.one { 'abs', 'floor', 'ceil', 'sqrt' }, x) end
  if k == 11 then return ('math.%s(%s, %s)'):format(r.one { 'min', 'max' }, x, y) end
  if k == 12 then return ('(%s or %s)'):format(x, y) end
  if k == 13 then return ('(%s and %s)'):format(x, y) end
  if k == 14 then return r.one { 'double(%s)', 'floor(%s)', 'max(%s, 1)', 'either(%s, 0)' }:format(x) end
  if k == 15 then return ('either(%s, %s)'):format(x, y) end
  return r.one { '(%s)', '(%s)', '(%s)', 'opaque.same(%s)', '(%s) ^ 2' }:format(x)
end

local condition

local function comparison(r, depth)
  local k = r.to(16)
  if k <= 7 then return ('%s %s %s'):format(number(r, depth), r.one { '<', '<=', '>', '>=', '==', '~=' }, number(r, depth)) end
  if k == 8 then return ('tx.%s %s %s'):format(r.one(TEXTS), r.one { '==', '~=' }, r.one(WORDS)) end
  if k == 9 then return ('tx.%s == p.name'):format(r.one(TEXTS)) end
  if k == 10 then return ('lists.risky:has(tx.%s)'):format(r.one(TEXTS)) end
  if k == 11 then return ('lists.codes:has(tx.%s)'):format(r.one { 'i1', 'n2' }) end
  if k == 12 then return ('tx.%s %s nil'):format(r.one { 'n1', 'n3', 's1', 'b1', 'd1' }, r.one { '==', '~=' }) end
  if k == 13 then return r.one { 'tx.b1', 'not tx.b1', 'tx.b1 == true', 'tx.b1 ~= false', 'tx.s2', 'not tx.n2' } end
  if k == 14 then return ('above(tx, %s)'):format(number(r, 0)) end
  if k == 15 then return ('tx.%s == tx.%s'):format(r.one(NUMBERS), r.one(NUMBERS)) end
  return r.one { "tx.n3 == 'x'", 'tx.s1 == word', "tx.n3 == '7'", 'tx.s1 == tx.s2', 'tx.b1 == p.yes' }
end

function condition(r, depth)
  if depth == 0 or r.chance(0.3) then return comparison(r, 2) end
  local x, y = condition(r, depth - 1), condition(r, depth - 1)
  if r.chance(0.15) then x = 'not (' .. x .. ')' end
  return ('(%s) %s (%s)'):format(x, r.one { 'and', 'or' }, y)
end

local function random_function(r)
  local a, b = number(r, 1):gsub('%f[%w_][ab]%f[^%w_(]', '1'), number(r, 1):gsub('%f[%w_]b%f[^%w_(]', '2')
  local early = r.chance(0.2) and ('if %s then return %s end '):format(condition(r, 0), r.one { 'true', 'false', 'nil', 'a', '0' }) or ''
  return ('function(tx, f, p, lists) local a = %s local b = %s %sreturn %s end'):format(a, b, early,
    r.chance(0.1) and number(r, 2) or condition(r, 2))
end

-- Events ---------------------------------------------------------------------------------------------------

-- as JSON, and as Lua reads it
local function n(text) return { text, tonumber(text) } end
local AWKWARD = { n '0', n '-0.0', n '1', n '-1', n '0.5', n '-0.5', n '1.5', n '2', n '2.5', n '3', n '-3', n '7', n '0.1', n '1e308',
  n '-1e308', n '5e-324',
  n '4503599627370496.5', n '4503599627370495.5', n '9007199254740992', n '-9007199254740992', n '1e300', n '123456.789' }
local OF = {
  n1 = AWKWARD, n2 = AWKWARD,
  n3 = { n '0', n '-0.0', n '7', n '2.5', n '1e308', { '"7"', '7' }, { '"x"', 'x' }, { 'true', true }, { 'false', false },
    { '9007199254740993', LARGE }, { '123456789012345678901', LARGE } },
  i1 = { n '0', n '1', n '-7', n '100', n '9007199254740991', n '-9007199254740991' },
  d1 = { n '0', n '0.01', n '12.34', n '-99.5', n '100', { '"12.34"', 12.34 }, { '"0.50"', 0.5 }, { '12345678901234.56', LARGE } },
  s1 = { { '"a"', 'a' }, { '"b"', 'b' }, { '"7"', '7' }, { '""', '' }, { '"\\u0061"', 'a' }, { '"longer than fifteen bytes"',
    'longer than fifteen bytes' } },
  b1 = { { 'true', true }, { 'false', false } },
}
OF.s2 = OF.s1
local FIELDS = { 'n1', 'n2', 'n3', 'i1', 'd1', 's1', 's2', 'b1' }

local function random_event(r, i)
  local parts, values = { ('"ts":%d,"id":%d'):format(1700000000000 + i, i) }, {}
  for _, name in ipairs(FIELDS) do
    local v = OF[name][r.to(#OF[name])]
    if r.chance(0.05) then
      if r.chance(0.3) then parts[#parts + 1] = ('"%s":null'):format(name) end
    else
      parts[#parts + 1], values[name] = ('"%s":%s'):format(name, v[1]), v[2]
    end
  end
  return '{' .. table.concat(parts, ',') .. '}', setmetatable({}, { __index = function(_, k)
    local v = values[k]
    if v == LARGE then error 'beyond what a number holds' end
    return v
  end })
end

-- A pack, and what it should do ------------------------------------------------------------------------------

local PARAMS = { limit = 2, other = -0.5, name = 'b', yes = true }
local LISTS = { risky = { a = true, ['7'] = true }, codes = { [1] = true, [100] = true, [2.5] = true } }

local doubtful

--- min and max that tell when they are not to be compared.
local function watched(fn)
  return function(a, b)
    if a ~= a or b ~= b or a == 0 and b == 0 and 1 / a ~= 1 / b then doubtful = true end
    return fn(a, b)
  end
end
local MATH = setmetatable({ min = watched(math.min), max = watched(math.max) }, { __index = math })

local function list_view(keys)
  return { has = function(_, k) return k ~= nil and k == k and keys[k] ~= nil end }
end

local function make(seed)
  local r = generator(seed)
  local functions, rules = {}, {}
  for i = 1, RULES do
    functions[i] = random_function(r)
    rules[i] = ("{ id = 'r%04d', score = 1, params = { limit = { default = 2 }, other = { default = -0.5 }, name = { default = 'b' }, " ..
      "yes = { default = true } }, when = %s }"):format(i, functions[i])
  end
  local dir = h.folder {
    ['pack.lua'] = [[return { name = 'random', version = '1.0.0', stream = 's', time = { field = 'ts', unit = 'ms', out_of_order = '1h' },
      decisions = { review = 1e9 }, lists = { risky = { key = 'string', file = 'lists/risky.txt' },
      codes = { key = 'number', file = 'lists/codes.txt' } } }]],
    ['schema/s.lua'] = "return { ts = 'time_ms', id = 'integer', n1 = 'number', n2 = 'number', n3 = 'any', i1 = 'integer', " ..
      "d1 = 'decimal(2)', s1 = 'string', s2 = 'string', b1 = 'boolean' }",
    ['lists/risky.txt'] = 'a\n7\n', ['lists/codes.txt'] = '1\n100\n2.5\n',
    ['rules/all.lua'] = HEAD .. 'return {\n' .. table.concat(rules, ',\n') .. '\n}\n',
  }
  local plain = setfenv(assert(loadstring(HEAD .. 'return {\n' .. table.concat(functions, ',\n') .. '\n}')), { math = MATH })()
  local lines, events = {}, {}
  for i = 1, EVENTS do lines[i], events[i] = random_event(r, i) end
  return dir, h.write(table.concat(lines, '\n') .. '\n'), plain, events, functions, lines
end

--- What matches, what raises, and what is not compared: lists of ids.
local function expected(plain, tx)
  local hits, errors, doubts = {}, {}, {}
  local lists = { risky = list_view(LISTS.risky), codes = list_view(LISTS.codes) }
  for i, fn in ipairs(plain) do
    local id = ('r%04d'):format(i)
    doubtful = false
    local ok, yes = pcall(fn, tx, {}, PARAMS, lists)
    if doubtful then doubts[id] = true elseif not ok then errors[#errors + 1] = id elseif yes then hits[#hits + 1] = id end
  end
  return hits, errors, doubts
end

local function set_of(list)
  local s = {}
  for _, id in ipairs(list) do s[id] = true end
  return s
end

local PACK = ":pack('%s', { fields = { 'rules' } })"
local WAYS = { { 'stream' .. PACK }, { 'stream' .. PACK, '--no-jit' }, { 'stream:map(function(e) e.more = 1 return e end)' .. PACK } }

describe('conditions of rules', function()
  local total = { hits = 0, errors = 0, called = 0, rows = 0 }
  for seed = 1, SEEDS do
    it(('are what plain Lua says, %d functions of seed %d'):format(RULES, seed), function()
      local dir, input, plain, events, functions, lines = make(seed)
      jit.off()
      local want = {}
      for i, tx in ipairs(events) do want[i] = { expected(plain, tx) } end
      jit.on()
      for nth, way in ipairs(WAYS) do
        local words = { 'run', '--json', '-e', way[1]:format(dir), '--from', input }
        for k = 2, #way do words[#words + 1] = way[k] end
        local run = h.run(words)
        assert.equal(0, run.code, run.err)
        local rows = h.rows(run.out)
        assert.equal(EVENTS, #rows)
        for i, row in ipairs(rows) do
          local ids = {}
          for k, rule in ipairs(row.rules) do ids[k] = rule.id end
          for what, pair in pairs { matched = { want[i][1], ids }, raised = { want[i][2], row.errors or {} } } do
            local wanted, got = set_of(pair[1]), set_of(pair[2])
            for k = 1, RULES do
              local id = ('r%04d'):format(k)
              if wanted[id] ~= got[id] and not want[i][3][id] then
                error(('seed %d, way %d, %s: %s %s is %s, should be %s\n%s'):format(seed, nth, lines[i], id, what,
                  tostring(got[id] or false), tostring(wanted[id] or false), functions[k]))
              end
            end
          end
          total.hits, total.errors = total.hits + #want[i][1], total.errors + #want[i][2]
        end
        for _, rule in ipairs(cjson.decode(run.err:match '{.*}').rules) do
          total.called, total.rows = total.called + rule.called, total.rows + EVENTS
        end
      end
    end)
  end

  it('hold, fail and are known to C often enough', function()
    assert.is_true(total.hits > 50000, total.hits .. ' hits')
    assert.is_true(total.errors > 50000, total.errors .. ' errors')
    assert.is_true(total.called < 0.7 * total.rows, ('%d of %d were called'):format(total.called, total.rows))
    assert.is_true(total.called > 0.05 * total.rows, ('%d of %d were called'):format(total.called, total.rows))
  end)
end)
