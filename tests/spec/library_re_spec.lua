--[[
library_re_spec.lua - tm.re beside Python's re where the two agree, and what only it does: bounds, flags, bytes, what a script cannot
reach through an expression.
]]

local h = require 'spec.helper'
local oracle = require 'spec.oracle'

local function e(code, ...) return (h.e(code, { ... })) end

--- Random patterns without what the two languages see differently (groups that repeat and may be empty), and random texts.
local PATTERNS = [==[
import re
def atom(depth):
  k = r.randrange(10 if depth < 3 else 7)
  if k < 4: return r.choice(["a", "b", "c", "é", "x", "\\d", "\\w", "\\s"])
  if k < 6: return r.choice(["[ab]", "[^a]", "[a-c]", "[^\\n ]", "[é中]"])
  if k == 6: return "."
  return r.choice(["(", "(?:"]) + alternatives(depth + 1) + ")"
def can_be_empty(p): return re.compile(p).match("") is not None or re.compile(p).fullmatch("") is not None
def piece(depth):
  a = atom(depth)
  if r.random() < .35 and "(" not in a: a += r.choice(["*", "+", "?", "{1,2}", "{2}", "*?", "+?", "??"])
  elif r.random() < .1 and "(" in a and not re.search(r"[*?|]", a): a = "(?:" + a.replace("(?:", "(").replace("(",
    "(?:") + ")" + r.choice(["+", "{1,2}"])
  return a
def sequence(depth): return "".join(piece(depth) for _ in range(r.randrange(1, 4)))
def alternatives(depth): return "|".join(sequence(depth) for _ in range(r.choice([1, 1, 2])))
def pattern():
  p = alternatives(0)
  return r.choice(["", "", "", "^"]) + p + r.choice(["", "", "", "$", "\\b"])
def text(n=14): return "".join(r.choice(["a", "b", "c", "é", "中", "1", " ", "x", "\n", "ab", "😀"]) for _ in range(r.randrange(n)))
]==]

describe('tm.re', function()
  it('finds what re finds: spans, captures, all matches, replacements', function()
    local n = oracle.agree(PATTERNS .. [==[
for _ in range(450):
  p = pattern()
  c = re.compile(p, re.ASCII)
  for _ in range(8):
    s = text()
    bytes_at = lambda i: len(s[:i].encode())
    m = c.search(s)
    first = [bytes_at(m.start()) + 1, bytes_at(m.end())] + [("-" if g is None else g) for g in (m.groups() or (m.group(),))] if m else False
    every = [m.group() for m in c.finditer(s)]
    case({"p": p, "s": s}, [first, "|".join(every) + str(len(every)), c.sub("<\\g<0>>", s), c.sub("%", s, 2), c.search(s) is not None])
]==], [==[local re = res[e.p] or tm.re(e.p)
  res[e.p] = re
  local first, all, n = false, {}, 0
  local from, stop = re:find(e.s)
  if from then
    local m = re:match(e.s)
    first = { from, stop }
    for i = 1, groups(e.p) do first[i + 2] = m[i] or '-' end
  end
  re:gsub(e.s, function(m) n = n + 1 end)
  for m in tm.re('(?<whole>' .. e.p .. ')'):each(e.s) do all[#all + 1] = m.whole end
  assert(n == #all)
  return { first, table.concat(all, '|') .. n, (re:gsub(e.s, '<%0>')), (re:gsub(e.s, '%%', 2)), re:test(e.s) }]==], [==[
local res = {}
local function groups(p)
  local n = 0
  for at in p:gmatch '()%(' do if p:sub(at + 1, at + 1) ~= '?' then n = n + 1 end end
  return n == 0 and 1 or n
end]==])
    assert.equal(3600, n)
  end)

  it('gives captures as a list, or by name and number', function()
    assert.equal('{"a":"2024","b":"07","n":2}\n', e([[local re = tm.re '(\\d+)-(\\d+)'
      return stream:map(function(e) local m = re:match(e.s) return { a = m[1], b = m[2], n = #m } end)]], '{"s":"on 2024-07"}'))
    assert.equal('{"a":"2024","b":"07","c":"2024","none":true}\n', e([[local re = tm.re '(?<year>\\d+)-(?<month>\\d+)(?<day>-\\d+)?'
      return stream:map(function(e) local m = re:match(e.s) return { a = m.year, b = m.month, c = m[1],
        none = m.day == nil and m[3] == nil } end)]],
      '{"s":"2024-07"}'))
    assert.equal('{"a":"abc"}\n', e([[local re = tm.re 'a.c' return stream:map(function(e) return { a = re:match(e.s)[1] } end)]],
      '{"s":"xabcx"}'))
    -- as a row: the names
    assert.equal('{"month":"07","year":"2024"}\n', e([[local re = tm.re '(?<year>\\d+)-(?<month>\\d+)'
      return stream:map(function(e) return re:match(e.s) end)]], '{"s":"2024-07"}', '{"s":"none"}'))
  end)

  it('takes more groups than a function has variables', function()
    assert.equal('{"a":"x","n":300,"z":"z"}\n', e([[local re = tm.re(('(x)'):rep(299) .. '(z)')
      return stream:map(function(e) local m = re:match(e.s:rep(299) .. 'z') return { n = #m, a = m[299], z = m[300] } end)]], '{"s":"x"}'))
  end)

  it('knows its flags', function()
    for call, expected in pairs {
      ["tm.re('É', 'i'):test 'é'"] = 'true', ["tm.re 'É':test 'é'"] = 'false', ["tm.re('^b$', 'm'):test 'a\\nb\\nc'"] = 'true',
      ["tm.re 'a.b':test 'a\\nb'"] = 'false', ["tm.re('a.b', 's'):test 'a\\nb'"] = 'true', ["tm.re('a b # c', 'x'):test 'ab'"] = 'true',
      ["tm.re '^\\\\w$':test 'é'"] = 'false', ["tm.re('^\\\\w$', 'u'):test 'é'"] = 'true', ["tm.re '^.$':test '中'"] = 'true',
      ["tm.re('^.$', 'b'):test '中'"] = 'false', ["tm.re('^...$', 'b'):test '中'"] = 'true', ["tm.re('A', 'ib'):test 'a'"] = 'true',
      ["tm.re('^(é)?x$'):test 'x'"] = 'true', ["tm.re('^\\\\x{e9}$'):test 'é'"] = 'true', ["tm.re('^\\\\p{L}+$'):test 'aé中'"] = 'true',
      ["tm.re 'a' == tm.re 'a'"] = 'true', ["tm.re 'a' == tm.re('a', 'i')"] = 'false', ["tm.re 'b':find('aba', 3)"] = 'nil',
      ["tm.re 'a':find('aba', 2)"] = '3', ["tm.re 'a':find('aba', -1)"] = '3', ["tm.re 'a':find('aba', 5)"] = 'nil',
      ["tm.re '$':find('aba', 4)"] = '4', ["tm.re 'a':find('aba', -9)"] = '1', ["select(2, tm.re '':gsub('abc', '-'))"] = '4',
      ["tm.re '(?<n>b)':gsub('abc', '[%{n}%1%0%%]')"] = 'a[bbb%]c',
        ["tm.re '\\\\d+':gsub('1 22 3', function(m) return #m[1] > 1 and 'x' or nil end)"] =
        '1 x 3', ["tm.re 'x*':gsub('中a', '-')"] = '-中-a-', ["tm.re('x*', 'b'):gsub('é', '-'):len()"] = '5',
    } do
      local out = e('stream:map(function(e) local v = ' .. call .. ' return { v = tostring(v) } end)', '{}')
      assert.equal('{"v":"' .. expected .. '"}\n', out, call)
    end
  end)

  it('bytes that are no UTF-8 match nothing, and are no error', function()
    assert.equal('{"a":true,"b":"1","c":"41ff42"}\n', e([[local re, any = tm.re 'é', tm.re '.'
      return stream:map(function(e) local s = tm.hex.decode '61ffc3a9' return { a = re:test(s), b = tostring(any:find 'a'),
        c = tm.hex.encode(tm.re 'x':gsub(tm.hex.decode '41ff42', 'y')) } end)]], '{}'))
  end)

  it('ends a catastrophic search within milliseconds, whatever the text is', function()
    for _, case in ipairs {
      { '^(a+)+$', "('a'):rep(40) .. 'b'" }, { '(a|aa)+$', "('a'):rep(60) .. 'b'" }, { '(.*)*=(.*)*=x', "('a='):rep(200)" },
      { '^(([a-z])+.)+[A-Z]([a-z])+$', "('a'):rep(5000)" }, { 'a.*a.*b$', "('a'):rep(100000) .. 'c'" },
      { 'a.*[bc]$', "('a'):rep(2000000)" }, { '(x+x+)+y', "('x'):rep(10000000)" }, { '(?<a>a*)*b', "('a'):rep(900)" },
      { '\\s+$', "(' '):rep(1000000) .. 'x'" }, { '(é+)+ü', "('é'):rep(3000)" },
    } do
      for _, call in ipairs { 'match', 'test', 'gsub' } do
        local code = ("local re, s = tm.re '%s', %s\nreturn stream:filter(function(e) return re:%s(s%s) end)"):format(
          case[1]:gsub('\\', '\\\\'), case[2], call, call == 'gsub' and ", 'x'" or '')
        local r = h.run({ 'run', '--deadline', '20s', '-e', code }, '{}\n')
        local found = r.err:find("takes too many steps on this text", 1, true) and r.err:find('-e:2: tm.re: the search for ', 1, true)
        assert.truthy(found or not r.err:find('warning', 1, true), r.err)
        assert.is_nil(r.err:find('deadline', 1, true), case[1] .. r.err)
        assert.is_true(r.seconds < 8, case[1] .. ' ' .. call .. ' ' .. r.seconds)   -- the whole program, under sanitizers too
      end
    end
  end)

  it('does long honest work on long texts', function()
    local out = h.e([[local words, lazy = tm.re '(\\w+) (\\w+)=', tm.re '^(.*?)='
      return stream:map(function(e)
        local s = ('some words here and 12 numbers '):rep(100000)
        return { n = select(2, tm.re '\\d+':gsub(s, '')), a = words:test(s), b = lazy:test(s), c = tm.re '^.*$':test(s),
          d = #tm.re '[a-z]+':gsub(s, '') }
      end)]],
      '{}\n', '--deadline', '20s')
    assert.equal('{"a":false,"b":false,"c":true,"d":800000,"n":100000}\n', out)
    -- a match a place, empty ones too: linear
    out = h.e([[stream:map(function(e) local s, n = ('ab'):rep(400000), 0 for _ in tm.re 'x*':each(s:sub(1, 200000)) do n = n + 1 end
      return { n = select(2, tm.re 'x*':gsub(s, '-')), each = n, u = select(2, tm.re 'x*':gsub(('é'):rep(300000), '-')) } end)]],
      '{}\n', '--deadline', '20s')
    assert.equal('{"each":200001,"n":800001,"u":300001}\n', out)
  end)

  it('refuses patterns, flags and calls that mean nothing, and says what is meant', function()
    for call, expected in pairs {
      ["tm.re '(a'"] = "tm.re: the pattern '(a' does not compile: missing closing parenthesis, at byte 3",
      ["tm.re('a', 'g')"] = "tm.re has no flag 'g'; it has i (any case)",
        ["tm.re(5)"] = 'tm.re takes a string as its first argument (pattern), got a number',
      ["tm.re 'a':match(e.n)"] = 'the method match of tm.re takes a string, got a number', ["tm.re 'a':match(nil)"] =
        'the method match of tm.re takes a string, got nil', ["tm.re 'a'.match('a')"] = 'call match with a colon: expression:match(text)',
      ["tm.re 'a':find('a', 1.5)"] = 'the method find of tm.re takes a whole number as its second argument (where to begin)',
      ["tm.re '(a)':gsub('a', '%2')"] =
        "gsub: the replacement has a % that is not %0 to %9, %{name} or %%, or names a group that '(a)' does not have",
      ["tm.re 'a':gsub('a', 'x%')"] = 'gsub: the replacement has a %', ["tm.re 'a':gsub('a', '%{b}')"] = 'gsub: the replacement has a %',
      ["tm.re 'a':gsub('a', {})"] = 'gsub takes a string or a function as its second argument (replacement), got a table',
      ["tm.re 'a':gsub('a', function() return 5 end)"] = 'gsub takes a function that returns a string or nil, got a number',
      ["tm.re(('a'):rep(70000))"] = 'it is too long (64 KiB)', ["tm.re '((((a{200}){200}){200}){200})'"] =
        'regular expression is too large',
      ["tm.re '(*NO_JIT)a'"] = 'it cannot be compiled to machine code',
    } do
      local said = oracle.error_of(call)
      assert.truthy(said:find(expected, 1, true), call .. '\n' .. said)
    end
    local r = h.e("stream:map(function(e) return { v = tm.re('x' .. e.n):test 'x' } end)", (function()
      local t = {} for i = 1, 1500 do t[i] = '{"n":' .. i .. '}' end return t end)())
    assert.equal(1000, #h.lines(r))
  end)

  it('fields makes rows of a text without making strings: the same rows as match, read or not, in any place', function()
    local lines = {}
    for i = 1, 3000 do
      -- texts with escapes, without, beyond ASCII, that do not match, that are none
      lines[i] = ({ '{"s":"u%d@h%d.org \\"q\\""}', '{"s":"u%d@h%d.org"}', '{"s":"ü%d@h\\u00e9%d.org"}', '{"s":"none%d %d"}',
        '{"s":"a%d@b%d","host":1}' })[i % 5 + 1]:format(i, i)
    end
    local input = table.concat(lines, '\n') .. '\n'
    local function run(steps, ...)
      local r = h.script("local tm = require 'tidemill'\nlocal re = tm.re [[^(?<user>[^@]+)@(?<host>\\S+)(?<rest> .*)?$]]\n" .. steps,
        input, ...)
      assert.equal(0, r.code, r.err)
      return r.out
    end
    for _, behind in ipairs { '', ":map(function(e) e.n = #e.host e.host = e.host .. '!' return e end)",
      ":filter(function(e) return e.user > 'u2' end)",
      ":select { 'host', 'user' }", ":rename { host = 'at' }:drop { 'rest' }", ':set { both = function(e) return e.user .. e.host end }',
      ":map(function(e) return { copy = tm.copy(e), raw = tm.raw(e) } end)", ":flat_map(function(e, emit) emit(e) emit { e = e } end)",
      ":schema { user = 'string' }", ":key_by 'host':running('r', { n = tm.agg.count(), last = tm.agg.last 'user' }, { unbounded = true })",
      ':map(function(e) local t = {} for k, v in pairs(e) do t[#t + 1] = k .. v end return { t = t } end)' } do
      local expected = run("return tm.pipeline 'p':map(function(e) return re:match(e.s) end)" .. behind)
      assert.is_true(#expected > 10000)
      assert.is_true(expected == run("return tm.pipeline 'p':map(re:fields 's')" .. behind), behind)
      assert.is_true(expected == run("return tm.pipeline 'p':map(re:fields 's')" .. behind, '--no-jit'), behind)
      local packed = run("return tm.pipeline 'p':map(function(e) return re:match(e.s) end)" .. behind, '--out-format', 'msgpack')
      assert.is_true(packed == run("return tm.pipeline 'p':map(re:fields 's')" .. behind, '--out-format', 'msgpack'), behind)
    end
    -- the same texts from lines, CSV and msgpack
    local texts = {}
    for i, row in ipairs(h.rows(input)) do texts[i] = row.s end
    for format, text in pairs { lines = table.concat(texts, '\n') .. '\n', csv = 's\n"' .. table.concat(texts, '"\n"'):gsub('\\"',
      '"') .. '"\n' } do
      local steps = ("local tm = require 'tidemill'\nlocal re = tm.re [[^(?<user>[^@]+)@(?<host>\\S+)(?<rest> .*)?$]]\n" ..
        "return tm.pipeline 'p':map(%s)")
      local field = format == 'lines' and 'line' or 's'
      local a = h.script(steps:format('function(e) return re:match(e.' .. field .. ') end'), text, '--format', format)
      local b = h.script(steps:format("re:fields '" .. field .. "'"), text, '--format', format)
      assert.equal(0, b.code, b.err)
      assert.is_true(#a.out > 10000 and a.out == b.out, format)
    end
    -- where the pipeline forks, and where the field was written
    for _, text in ipairs {
      "local s = tm.pipeline 'p':map(%s) return { s:filter(function(e) e.host = 'x' return true end), s:select { 'user' } }",
      "return tm.pipeline 'p':map(function(e) e.s = e.s .. ' more' return e end):map(%s)",
        "return tm.pipeline 'p':schema { user = 'string' }:map(%s)" } do
      assert.is_true(run(text:format 'function(e) return re:match(e.s) end') == run(text:format "re:fields 's'"), text)
    end
  end)

  it('fields with add leaves the event its own fields: the same rows as writing what match gives', function()
    local lines = {}
    for i = 1, 3000 do
      lines[i] = ({ '{"s":"u%d@h%d.org \\"q\\"","n":[1]}', '{"n":2,"s":"u%d@h%d.org"}', '{"s":"ü%d@h\\u00e9%d.org"}', '{"s":"none%d %d"}',
        '{"host":1,"s":"a%d@b%d","rest":null}', '{"user":"a","s":"a%d@b%d","host":"b","user":5}' })[i % 6 + 1]:format(i, i)
    end
    local input = table.concat(lines, '\n') .. '\n'
    local function run(steps, ...)
      local r = h.script("local tm = require 'tidemill'\nlocal re = tm.re [[^(?<user>[^@]+)@(?<host>\\S+)(?<rest> .*)?$]]\n" .. steps,
        input, ...)
      assert.equal(0, r.code, r.err)
      return r.out
    end
    local slow = [[local function add(e)
      local m = re:match(e.s)
      for _, name in ipairs { 'host', 'rest', 'user' } do if m and m[name] then e[name] = m[name] end end
      return e
    end return tm.pipeline 'p':map(add)]]
    for _, behind in ipairs { '', ":map(function(e) e.n = #(e.host or '') e.host = (e.host or 5) .. '!' return e end)",
      ":select { 'host', 'user', 's', 'n' }", ":rename { host = 'at' }:drop { 'rest' }",
      ':set { both = function(e) return (e.user or 1) .. (e.host or 2) end }',
      ":flat_map(function(e, emit) emit(e) emit { e = e } end)", ":filter(function(e) return e.rest end):select { 'rest', 'n' }" } do
      local expected = run(slow .. behind)
      assert.is_true(#expected > 5000)
      for _, extra in ipairs { '--quiet', '--no-jit' } do
        assert.is_true(expected == run("return tm.pipeline 'p':map(re:fields('s', { add = true }))" .. behind, extra), behind)
      end
      local packed = run(slow .. behind, '--out-format', 'msgpack')
      local fast = run("return tm.pipeline 'p':map(re:fields('s', { add = true }))" .. behind, '--out-format', 'msgpack')
      assert.is_true(packed == fast, behind)
    end
    -- where the event was written before, and where the pipeline forks
    for _, text in ipairs { "return tm.pipeline 'p':set { x = 1 }:map(%s)",
      "local s = tm.pipeline 'p':map(%s) return { s:filter(function(e) e.host = 'x' return true end), s:select { 'user' } }" } do
      assert.is_true(run((slow:gsub('return tm.*', '') .. text:format 'add')) == run(text:format "re:fields('s', { add = true })"), text)
    end
  end)

  it('fields fails the event alone whose text cannot be written, and refuses what it cannot do', function()
    local r = h.run({ 'run', '-e', "local re = tm.re '(?<a>[0-9]+)' return stream:map(re:fields 's')" },
      '{"s":5}\n{"s":"x7"}\n{}\n{"s":null}\n{"s":["1"]}\n')
    assert.equal('{"a":"7"}\n', r.out)
    assert.truthy(r.err:find("-e:1: fields: the field 's' is no text but a number [type]", 1, true), r.err)
    for call, expected in pairs {
      ["tm.re 'a(b)':fields 's'"] = "fields: group 1 of 'a(b)' has no name: write (?<name>…)", ["tm.re 'a':fields 's'"] =
        "fields: 'a' has no groups, so no fields",
      ["tm.re '(?<a>b)':fields('s', { ad = true })"] = "fields has no option 'ad' (did you mean 'add'?)",
      ["tm.re '(?<a>b)':fields('s', { add = 1 })"] = "fields: option 'add' is true or false, got a number",
      ["tm.re '(?<a>b)':fields(5)"] = "the method fields of tm.re takes a field's name, got a number",
      ["tm.re '(?<a>b)':fields 's' {}"] = "fields: it is a function for map: stream:map(expression:fields 's')",
    } do
      local said = oracle.error_of(call)
      assert.truthy(said:find(expected, 1, true), call .. '\n' .. said)
    end
  end)

  it('gives scripts nothing but its methods', function()
    local out, r = h.e([[local re = tm.re '(?<a>x)'
      return stream:map(function(e)
        local m = re:match 'x'
        local iter, state = re:each 'xx'
        local kinds = {}
        for _, v in pairs(state) do kinds[#kinds + 1] = type(v) end
        local ok = pcall(function() state[3] = 1e9 return iter(state) end)
        return { type(re), tostring(re), tostring(getmetatable(re)), tostring(pcall(setmetatable, re, {})), tostring(pcall(rawset, re,
          'x', 1)),
          tostring(pcall(function() re.match = 1 end)), tostring(re.re), tostring(re.spans), tostring(getmetatable(m)),
          tostring(pcall(setmetatable, m, {})), table.concat(kinds, ' '), tostring(ok), type(getmetatable(tm.re)) }
      end):map(function(e) return e end)]], '{}\n')
    assert.is_nil((out .. r.err):find '0x%x%x%x')
    r = h.run({ 'run', '-e', "stream:map(function(e) e.x = tm.re 'a' return e end)" }, '{}\n')
    assert.truthy(r.err:find("cannot write a userdata into field 'x'", 1, true), r.err)
  end)
end)
