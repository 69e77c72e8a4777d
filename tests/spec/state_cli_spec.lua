--[[
state_cli_spec.lua - `tidemill state ls` and `state get`: what is kept agrees with sqlite3, jq and Python's json on the same
input; keys of every type; mistakes; a million keys in bounded memory; signals, slow and absent readers, deaths.
]]

local h = require 'spec.helper'
local r = require 'spec.running'

local function state(args, input)
  if type(input) == 'table' then input = table.concat(input, '\n') .. '\n' end
  return h.run({ 'state', unpack(args) }, input or '')
end

local COUNT = "stream:key_by 'k':running('r', { n = tm.agg.count() }, { unbounded = true })"

describe('state ls', function()
  it('lists name, kind, keys, bytes, evicted and bound of every state', function()
    local path = h.write([[local tm = require 'tidemill'
      local p = tm.pipeline 'p'
      return { p:running('all', { n = tm.agg.count() }, { unbounded = true }),
        p:key_by 'k':process('some', { max_keys = 2, on_event = function(e, s, ctx) ctx.emit { k = e.k } end }),
        p:key_by 'k':running('most', { n = tm.agg.count() }, { max_keys = 1234567, on_full = 'stop' }),
        tm.pipeline 'q':from(p):key_by { 'k', 'v' }:running('each', { n = tm.agg.count() }, { unbounded = true }) }]], h.path 'p.lua')
    local input = { '{"k":1,"v":1}', '{"k":2,"v":1}', '{"k":3,"v":1}', '{"k":1,"v":2}' }
    local got = state({ 'ls', path }, input)
    assert.equal(0, got.code)
    assert.equal('', got.err)
    assert.equal([[
state   kind     keys B B evicted  bound                         fields
p/all   running  1 B B 0  one key                       n
p/some  process  2 B B 2  2 keys, on_full oldest        -
p/most  running  3 B B 0  1,234,567 keys, on_full stop  n
q/each  running  4 B B 0  unbounded                     n
]], (got.out:gsub('keys +bytes +bytes/key +', 'keys B B '):gsub(' +(%d) +[%d,]+ +[%d,.]+ +', '  %1 B B ')))
    local width = #h.lines(got.out)[1]:match '^.*evicted'
    for _, line in ipairs(h.lines(got.out)) do assert.truthy(line:sub(1, width):find '[%dd]$', line) end   -- columns stand in line

    got = state({ 'ls', path, '--json' }, input)
    local jq = h.shell([[jq -c '.[] | [.name, .kind, .keys, .evicted, .max_keys, .on_full, .bytes > .keys,
      ((.bytes / .keys * 10 | round) / 10) == .bytes_per_key]' ]], got.out)
    assert.equal([=[
["p/all","running",1,0,null,null,true,true]
["p/some","process",2,2,2,"oldest",true,true]
["p/most","running",3,0,1234567,"stop",true,true]
["q/each","running",4,0,null,null,true,true]
]=], jq.out)
    assert.truthy(h.decode(got.out)[3].place:find 'p%.lua:5$')
  end)

  it('counts the keys that sqlite3 does', function()
    math.randomseed(5)
    local lines, values = {}, {}
    for i = 1, 20000 do
      local k = math.random(3000)
      lines[i], values[i] = ('{"k":%d}'):format(k), '(' .. k .. ')'
    end
    local sql = 'create table t(k); insert into t values ' .. table.concat(values, ',') .. '; select count(distinct k) from t;'
    local n = tonumber(h.shell('sqlite3 :memory:', sql).out)
    assert.equal(n, h.decode(state({ 'ls', '--json', '-e', COUNT }, lines).out)[1].keys)
    assert.equal(n, #h.lines(state({ 'get', 'r', '-e', COUNT }, lines).out))
  end)

  it('of scripts that keep nothing is empty, and says so', function()
    local got = state({ 'ls', '-e', 'stream' }, { '{}' })
    assert.same({ 0, '' }, { got.code, got.out })
    assert.truthy(got.err:find('no step of these scripts keeps state; running, process and tables do', 1, true))
    assert.equal('[]\n', state({ 'ls', '--json', '-e', 'stream' }, { '{}' }).out)
  end)
end)

describe('state', function()
  it('writes nothing but the states: no rows, no dead letters, no files', function()
    local dir = h.folder { ['p.lua'] = [[local tm = require 'tidemill'
      local p = tm.pipeline 'p':key_by 'k':on_error(tm.sink.file 'dead'):running('r', { n = tm.agg.count() }, { unbounded = true })
        :map(function(e) print 'seen' return e end)
      return { p:to(tm.sink.stdout()), p:to(tm.sink.file 'rows'), tm.pipeline 'q':from(p) }]] }
    local got = h.run({ 'state', 'get', 'r', 'p.lua' }, '{"k":1}\n{"x":1}\nnot json\n{"k":1}\n', { cwd = dir })
    assert.equal('{"k":1,"n":2}\n', got.out)
    assert.equal(0, got.code)
    assert.equal('p.lua\n', h.shell('ls ' .. h.quote(dir)).out)
    assert.truthy(got.err:find 'missing%-key')
    assert.truthy(got.err:find '\n  p, key_by#1: missing%-key +1\n')
    assert.truthy(got.err:find '\n  p, decode: syntax +1\n')
    assert.equal(1, h.run({ 'state', 'get', 'r', 'p.lua', '--strict' }, '{"k":1}\nnot json\n', { cwd = dir }).code)
  end)

  it('is that of a run: a row that cannot be written takes its event back here too', function()
    local code = "stream:key_by 'k':running('r', { n = tm.agg.count(), l = tm.agg.last 'v' }, { unbounded = true })" ..
      ":map(function(e) return { n = e.n, k = e.k, l = e.l == 2 and 0 / 0 or e.l } end)"
    local input = { '{"k":1,"v":1}', '{"k":1,"v":2}', '{"k":1,"v":3}' }
    assert.equal('{"k":1,"l":1,"n":1}\n{"k":1,"l":3,"n":2}\n', (h.e(code, input)))
    assert.equal('{"k":1,"l":3,"n":2}\n', state({ 'get', 'r', '-e', code }, input).out)
  end)

  it('holds what came with the last rows of other steps, and of pipelines behind links', function()
    local path = h.write([[local tm = require 'tidemill'
      local sums = tm.pipeline 'sums':key_by 'k':running('r', { s = tm.agg.sum 'v' }, { emit = 'final', unbounded = true })
      return { sums:to(tm.sink.discard()),
        tm.pipeline 'top':from(sums):running('t', { hi = tm.agg.max 's', n = tm.agg.count() }, { unbounded = true }) }]],
      h.path 'p.lua')
    local input = { '{"k":1,"v":2}', '{"k":2,"v":9}', '{"k":1,"v":5}' }
    assert.equal('{"hi":9,"n":2}\n', state({ 'get', 'top/t', path }, input).out)
    assert.equal('{"k":1,"s":7}\n{"k":2,"s":9}\n', state({ 'get', 'r', path }, input).out)
  end)
end)

describe('state get', function()
  it('prints what sqlite3 finds in the same input, in order of first arrival', function()
    math.randomseed(12)
    local lines, values = {}, {}
    for i = 1, 30000 do
      local k, v = 'k' .. math.random(2000), math.random(-5000, 5000)
      lines[i] = ('{"k":"%s","v":%d}'):format(k, v)
      values[i] = ("('%s',%d,%d)"):format(k, v, i)
    end
    local sql = { 'create table t(k text, v integer, i integer);' }
    for i = 1, #values, 400 do
      sql[#sql + 1] = 'insert into t values ' .. table.concat(values, ',', i, math.min(i + 399, #values)) .. ';'
    end
    sql[#sql + 1] = [[select '{"k":"' || k || '","hi":' || max(v) || ',"lo":' || min(v) || ',"n":' || count(*) || ',"s":' || sum(v) || '}'
      from t group by k order by min(i);]]
    local expected = h.shell('sqlite3 :memory:', table.concat(sql, '\n')).out
    local aggregates = "{ n = tm.agg.count(), s = tm.agg.sum 'v', lo = tm.agg.min 'v', hi = tm.agg.max 'v' }"
    local code = "stream:key_by 'k':running('r', " .. aggregates .. ", { unbounded = true })"
    assert.equal(expected, state({ 'get', 'r', '-e', code }, lines).out)
    assert.equal(expected, state({ 'get', 'e/r', '-e', code, '--no-jit' }, lines).out)
    local ten = {}
    for line in expected:gmatch '[^\n]+\n' do if #ten < 10 then ten[#ten + 1] = line end end
    assert.equal(table.concat(ten), state({ 'get', 'r', '-e', code, '--limit', '10' }, lines).out)
    -- the state of process, by the same operations on plain numbers
    local process = [[stream:key_by 'k':process('r', { unbounded = true, state = { n = 0, s = 0, lo = 'number', hi = 'number' },
      on_event = function(e, s) s.n = s.n + 1 s.s = s.s + e.v s.lo = math.min(s.lo or e.v, e.v) s.hi = math.max(s.hi or e.v, e.v) end })]]
    assert.equal(expected, state({ 'get', 'r', '-e', process }, lines).out)
  end)

  it('shows of running what its rows show', function()
    local chain = "stream:schema { id = 'int64', amt = 'decimal(2)' }:key_by { 'k', 'id' }:running('r', { amt = tm.agg.sum 'amt', " ..
      "a = tm.agg.avg 'amt', lo = tm.agg.min 'id', l = tm.agg.last 'o', f = tm.agg.first 'x', t = tm.agg.max 't' }, { unbounded = true%s })"
    local input = { '{"k":"a","id":9223372036854775807,"amt":1.50,"o":{"b":[1,{"c":null}],"big":12345678901234567890},"t":"z"}',
      '{"k":"a","id":9223372036854775807,"amt":2.25,"o":[true],"t":"\\u00e9\\n"}', '{"k":"b","id":3,"o":"x","x":0.1,"amt":7}' }
    local rows = h.shell('jq -cS .', (h.e(chain:format ", emit = 'final'", input))).out
    assert.truthy(rows:find('"amt":3.75', 1, true) and rows:find('"id":3', 1, true))
    assert.equal(rows, h.shell('jq -cS .', state({ 'get', 'r', '-e', chain:format '' }, input).out).out)
    assert.truthy(state({ 'get', 'r', '-e', chain:format '' }, input).out:find(
      '^{"k":"a","id":9223372036854775807,"a":1.875,"amt":3.75,"f":null,'))
  end)

  it('shows fields, lists, maps and sets of process', function()
    local code = [[stream:key_by 'k':process('p', { unbounded = true, state = { n = 0, none = 'integer', yes = true, t = 'x"\n', a = 'any',
      best = -math.huge, l = tm.state.list(), m = tm.state.map(), s = tm.state.set(), k = 'string', e = tm.state.map(), ['state.k'] = 0 },
      on_event = function(e, s) s.n = s.n + 1 s.k = e.k .. '!' s.a = e.a
        s.l:push(e.v) s.l:push { s.n, tm.null } s.m:set(e.v, { e.v }) s.m:set('w', 'two') s.m:set(true, 3) s.s:add(e.v) s.s:add 'v' end })]]
    local got = state({ 'get', 'p', '-e', code }, { '{"k":"a","v":2,"a":{"z":[],"y":{"b":null}}}', '{"k":"b","v":"t"}',
      '{"k":"a","v":0.5,"a":"text"}' })
    assert.equal('', got.err)
    assert.equal('{"k":"a","a":"text","best":"-inf","e":[],"state.state.k":"a!","l":[2,[1,null],0.5,[2,null]],' ..
      '"m":[[2,[2]],["w","two"],[true,3],[0.5,[0.5]]],"n":2,"none":null,"s":[2,"v",0.5],"state.k":0,"t":"x\\"\\n","yes":true}\n' ..
      '{"k":"b","a":null,"best":"-inf","e":[],"state.state.k":"b!","l":["t",[1,null]],' ..
      '"m":[["t",["t"]],["w","two"],[true,3]],"n":1,"none":null,"s":["t","v"],"state.k":0,"t":"x\\"\\n","yes":true}\n', got.out)
  end)

  -- every key, as Python's json reads it, leads to its record and to no other
  it('finds by KEY each record of keys of every type, given as it is printed', function()
    local keys = { '"c01"', '42', '"42"', '-7', '0.5', 'true', '"true"', 'false', '""', '"say \\"hi\\""', '"two\\nlines"', '"nul\\u0000in"',
      '"it\'s"', '"-5"', '"p.lua"', '9007199254740993', '"9007199254740993"', '-12345678901234567890', '1e300',
      '"Stra\\u00dfe \\ud83d\\ude00"', '"null"',
      '"[1]"', '"' .. ('x'):rep(3000) .. '"' }
    local input = {}
    for i, key in ipairs(keys) do
      for _ = 1, i do input[#input + 1] = ('{"k":%s}'):format(key) end
    end
    input[#input + 1], input[#input + 2] = '{"other":1}', '{"k":null}'
    local code = "stream:key_by('k', { missing = 'keep' }):running('r', { n = tm.agg.count() }, { unbounded = true })"
    local file = h.write(table.concat(input, '\n') .. '\n')
    local all = h.run { 'state', 'get', 'r', '-e', code, '--from', file }
    assert.equal('', all.err)
    -- Python counts and tells types apart; lines in order
    local expected = h.shell([[python3 -c '
import json, sys
n = {}
for line in sys.stdin:
  k = json.loads(line).get("k")
  n[(type(k).__name__, k)] = n.get((type(k).__name__, k), 0) + 1
for (_, k), c in n.items(): print(json.dumps({"k": k, "n": c}))']], h.read(file)).out
    local same = [[python3 -c '
import json, sys
for line in sys.stdin: print(json.dumps(json.loads(line)))']]
    assert.equal(h.shell(same, expected).out, h.shell(same, all.out).out)
    local n = 0
    for line in all.out:gmatch '[^\n]+' do
      local key = line:match '^{"k":(.*),"n":%d+}$'
      local one = h.run { 'state', 'get', 'r', key, '-e', code, '--from', file }
      assert.equal(line .. '\n', one.out, key .. one.err)
      n = n + 1
    end
    assert.equal(#keys + 1, n)
    -- what is no JSON is a string as it stands
    assert.equal('{"k":"c01","n":1}\n', h.run({ 'state', 'get', 'r', 'c01', '-e', code, '--from', file }).out)
    assert.equal('{"k":"p.lua","n":15}\n', h.run({ 'state', 'get', 'r', 'p.lua', '-e', code, '--from', file }).out)
    assert.equal('{"k":"","n":9}\n', h.run({ 'state', 'get', 'r', '', '-e', code, '--from', file }).out)
    assert.equal('{"k":-7,"n":4}\n', h.run({ 'state', 'get', 'r', '-7', '-e', code, '--from', file }).out)
  end)

  it('reads msgpack as well', function()
    local got = h.run({ 'state', 'get', 'r', '-e', COUNT, '--format', 'msgpack' }, '\129\161k\207' .. ('\255'):rep(8) .. '\129\161k\161x')
    assert.equal('{"k":18446744073709551615,"n":1}\n{"k":"x","n":1}\n', got.out, got.err)
  end)

  it('does not look for a near key so long that it would miss the deadline', function()
    local list = {}
    for i = 1, 2000 do list[i] = '{"k":"' .. ('x'):rep(3000) .. i .. '"}' end
    local got = state({ 'get', 'r', ('x'):rep(3000), '-e', COUNT, '--deadline', '300ms' }, list)
    assert.equal(1, got.code)
    assert.truthy(got.err:find("(2,000 keys); its first keys are", 1, true), got.err)
  end)

  it('finds keys of several fields as a list or by name, typed ones by their integers', function()
    local code = "stream:schema { id = 'int64' }:key_by { 'country', 'id' }:running('r', { n = tm.agg.count() }, { unbounded = true })"
    local input = { '{"country":"DE","id":5}', '{"country":"DE","id":9007199254740993}', '{"country":"FR","id":"5"}',
      '{"country":"DE","id":"5"}' }
    for key, line in pairs {
      ['["DE",5]'] = '{"country":"DE","id":5,"n":2}', ['["DE","5"]'] = '{"country":"DE","id":5,"n":2}',
      ['{"id":5,"country":"FR"}'] = '{"country":"FR","id":5,"n":1}',
      [' [ "DE", 9007199254740993 ] '] = '{"country":"DE","id":9007199254740993,"n":1}',
    } do
      assert.equal(line .. '\n', state({ 'get', 'r', key, '-e', code }, input).out, key)
    end
    local keep = "stream:key_by({ 'a', 'b' }, { missing = 'keep' }):running('r', { n = tm.agg.count() }, { unbounded = true })"
    local rows = { '{"a":1,"b":2}' }
    assert.equal('{"a":1,"b":2,"n":1}\n', state({ 'get', 'r', '{"b":2,"a":1}', '-e', keep }, rows).out)
    local by_function = "stream:key_by(function(e) return e.n % 2 == 0 end, 'even')" ..
      ":running('r', { n = tm.agg.count() }, { unbounded = true })"
    assert.equal('{"even":true,"n":2}\n', state({ 'get', 'r', 'true', '-e', by_function }, { '{"n":2}', '{"n":3}', '{"n":4}' }).out)
    local one = "stream:running('r', { n = tm.agg.count() }, { unbounded = true })"
    assert.equal('{"n":2}\n', state({ 'get', 'r', '-e', one }, { '{}', '{}' }).out)
  end)

  it('tells a key that is not there, one of another type, and what comes near', function()
    local input = { '{"k":"c01"}', '{"k":"c02"}', '{"k":42}', '{"k":"7"}' }
    for key, text in pairs {
      c03 = [[state 'e/r' has no key "c03" (4 keys); did you mean "c01"?]],
      ['"42"'] = [[state 'e/r' has no key "42" (4 keys); there is 42, another type: write '42']],
      ['7'] = [[state 'e/r' has no key 7 (4 keys); there is "7", another type: write '"7"']],
      ['null'] = [[state 'e/r' has no key null (4 keys); its first keys are "c01", "c02", 42]],
      ['{"k":"nothing alike"}'] = [[state 'e/r' has no key "nothing alike" (4 keys); its first keys are "c01", "c02", 42]],
      [('y'):rep(70000)] = [[(4 keys); its first keys are]],
    } do
      local got = state({ 'get', 'r', key, '-e', COUNT }, input)
      assert.same({ 1, '' }, { got.code, got.out }, key)
      assert.truthy(got.err:find(text, 1, true), got.err)
    end
    local got = state({ 'get', 'r', 'x', '-e', COUNT }, '')
    assert.equal(1, got.code)
    assert.truthy(got.err:find([[state 'e/r' has no key "x" (0 keys)]], 1, true), got.err)
  end)
end)

describe('mistakes', function()
  local path = h.write([[local tm = require 'tidemill'
    return { tm.pipeline 'one':key_by { 'a', 'b' }:running('totals', { n = tm.agg.count() }, { unbounded = true }),
      tm.pipeline 'two':running('totals', { n = tm.agg.count() }, { unbounded = true }),
      tm.pipeline 'three':key_by 'a':running('last', { n = tm.agg.count() }, { max_keys = 1 }) }]],
    h.path 'p.lua')
  local cases = {
    { 2, 'state takes ls, get, export or import' }, { 2, "state has no 'lst'; did you mean 'state ls'?", 'lst', path },
    { 2, "state has no 'totals'; it takes ls, get, export or import first", 'totals', path },
    { 2, 'state get takes the NAME of a state first', 'get' },
    { 2, "found '" .. path .. "' alone", 'get', path }, { 2, 'nothing to look at: name a script', 'ls' },
    { 2, 'nothing to look at: name a script', 'get', 'totals' },
    { 2, "no state is called 'lats' (did you mean 'last'?); there are one/totals, two/totals, three/last", 'get', 'lats', path },
    { 2, "'totals' is the name of several states; write PIPELINE/STEP: one/totals, two/totals, three/last", 'get', 'totals', path },
    { 2, 'no step of these scripts keeps state', 'get', 'r', '-e', 'stream' },
    { 2, "KEY: the key of 'one/totals' is made of a, b; write '[\"a\",\"b\"]' or '{\"a\":\"a\",\"b\":\"b\"}'",
      'get', 'one/totals', 'x', path },
    { 2, "KEY: the key of 'one/totals' is made of a, b, found 3 values", 'get', 'one/totals', '[1,2,3]', path },
    { 2, "KEY: 'b' is missing", 'get', 'one/totals', '{"a":1}', path },
    { 2, "KEY: the key has no field 'aa' (did you mean 'a'?)", 'get', 'one/totals', '{"aa":1,"b":1}', path },
    { 2, 'a part of a key is a string, number, boolean or null', 'get', 'one/totals', '[1,{}]', path },
    { 2, "state 'two/totals' has no key, as there is no key_by before it: leave KEY out", 'get', 'two/totals', 'x', path },
    { 2, "--to belongs to 'tidemill run', not to 'state ls'", 'ls', path, '--to', 'x' },
    { 2, '--listen is not available in this version', 'ls', path, '--listen', 'd' },
    { 2, "unknown option --jsn; did you mean --json?", 'ls', path, '--jsn' },
    { 2, "unknown option --zzzzzz; 'tidemill help state' lists them", 'ls', path, '--zzzzzz' },
    { 2, "--limit belongs to 'tidemill state get', not to 'state ls'", 'ls', path, '--limit', '1' },
    { 2, 'unknown option -x', 'get', 'last', '-x', path }, { 2, 'both a script', 'get', 'last', path, '-e', 'stream', path },
    { 3, 'cannot read the script', 'ls', 'not/there.lua' }, { 3, "a stream has no operator 'fliter'", 'ls', '-e', 'stream:fliter()' },
    { 3, 'cannot read the script', 'get', 'last', 'k', 'not/there' },
    { 3, 'running keeps state without a bound', 'ls', '-e', "stream:key_by 'k':running('r', { n = tm.agg.count() })" },
  }
  for _, case in ipairs(cases) do
    it(table.concat(case, ' ', 3):gsub('%S*/', ''):sub(1, 60) .. ': exit code ' .. case[1], function()
      local got = state({ unpack(case, 3) }, '{"a":1}\n')
      assert.same({ case[1], '' }, { got.code, got.out }, got.err)
      assert.truthy(got.err:find(case[2], 1, true), got.err)
    end)
  end

  it('scripts without the ending .lua may follow NAME, KEY, or --', function()
    local plain = h.write(h.read(path), h.path 'script')
    for _, args in ipairs { { 'get', 'last', plain }, { 'get', 'last', '--', plain },
      { 'get', 'last', '1', plain }, { 'get', '--', 'x' } } do
      local got = state(args, '{"a":1}\n')
      if args[2] == '--' then
        assert.equal(2, got.code)
      else
        assert.equal('{"a":1,"n":1}\n', got.out, got.err)
      end
    end
  end)

  it('help tells the forms', function()
    local got = h.run { 'help', 'state' }
    assert.equal(0, got.code)
    for _, text in ipairs { 'Usage: tidemill state ls | get NAME [KEY] | export | import  SCRIPT | -e CODE', '--limit N', '--from FILE',
      'nothing is written', 'Exit codes: 0 ok, 1 no such key' } do
      assert.truthy(got.out:find(text, 1, true), text)
    end
    assert.is_nil(got.out:find('--to FILE', 1, true))
    for _, line in ipairs(h.lines(got.out)) do assert.is_true(#line <= 80, line) end
    assert.equal(got.out, h.run({ 'state', '--help' }).out)
    assert.equal(got.out, h.run({ 'state', 'get', '-h' }).out)
  end)
end)

describe('many keys', function()
  after_each(r.stop_all)
  local N = 1000000
  local file = h.path 'many'

  setup(function()
    h.shell(([[python3 -c '
import sys
for i in range(%d): sys.stdout.write("{\"k\":\"key-%%07d\",\"v\":%%d}\n" %% (i, i %% 100))' >%s]]):format(N, file))
  end)
  teardown(function() os.remove(file) end)

  --- Output and the most memory any process of a command had resident, by wait4(2) through Python.
  local function peak(args, out)
    local got = h.shell(([[python3 -c '
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=open("%s", "wb"))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, code)' ]]):format(out) .. h.command(args))
    local bytes, code = got.out:match '(%d+) (%d+)'
    assert.equal('0', code, got.err)
    return tonumber(bytes)
  end

  it('a million stream out without more memory than the state itself', function()
    local code = "stream:key_by 'k':running('r', { n = tm.agg.count(), s = tm.agg.sum 'v' }, { unbounded = true })"
    local out, none = h.path 'out', h.path 'none'
    local before = peak({ 'run', '--quiet', '-e', code .. ':to(tm.sink.discard())', '--from', file }, none)
    local after = peak({ 'state', 'get', 'r', '-e', code, '--from', file }, out)
    assert.equal(N, tonumber(h.shell('wc -l <' .. out).out))
    assert.equal(h.shell([[jq -c '{ k: .k, n: 1, s: .v }' ]] .. file .. ' | sha256sum').out, h.shell('sha256sum <' .. out).out)
    assert.is_true(r.size(out) > 30e6)
    -- the sanitizers' own memory grows with every allocation of LuaJIT's that they see
    if not os.getenv 'UBSAN_OPTIONS' then assert.is_true(after < before + 12 * 2 ^ 20, ('%d then %d bytes'):format(before, after)) end
    os.remove(out)
  end)

  it('wait for a slow reader, and end when it goes away', function()
    local list = {}
    for i = 1, 20000 do list[i] = '{"k":' .. i .. '}\n' end
    local small = h.write(table.concat(list))
    local command = h.command { 'state', 'get', 'r', '-e', COUNT, '--from', small }
    local slow = h.shell(command .. ' | python3 tests/spec/tools/pieces.py 1 | sha256sum')
    assert.equal(h.shell(command .. ' | sha256sum').out, slow.out)
    assert.equal(20000, #h.lines(h.shell(command .. ' | cat').out))
    local got = h.shell(command .. ' | head -n 1')
    assert.equal('{"k":1,"n":1}\n', got.out)
  end)

  it('a record larger than a row may be is told and left out', function()
    local code = [[stream:key_by 'k':process('p', { unbounded = true, state = { l = tm.state.list() },
      on_event = function(e, s) for _ = 1, e.n do s.l:push(e.t) end end })]]
    local got = state({ 'get', 'p', '-e', code }, { '{"k":1,"n":1,"t":"x"}',
      '{"k":2,"n":2000,"t":"' .. ('y'):rep(10000) .. '"}', '{"k":3,"n":0,"t":""}' })
    assert.same({ 1, '{"k":1,"l":["x"]}\n{"k":3,"l":[]}\n' }, { got.code, got.out })
    assert.truthy(got.err:find("state 'e/p': the record of key 2 cannot be printed: it is larger than 16 MiB", 1, true), got.err)
  end)
end)

describe('a run that is ended', function()
  after_each(r.stop_all)

  for name, code in pairs { TERM = 0, INT = 130 } do
    it('by ' .. name .. ' prints the states as of then, and says so', function()
      local fifo, seen = r.fifo(), h.path 'seen'
      local p = r.start({ 'state', 'get', 'r', '-e', COUNT .. ':map(function(e) print(e.n) return e end)' },
        { stdin = fifo, stderr = seen })
      local pipe = assert(io.open(fifo, 'wb'))
      pipe:write '{"k":1}\n{"k":1}\n{"k":2}\n{"k":'
      pipe:flush()
      r.wait_until('three events', function() return #h.lines(h.read(seen)) >= 3 end)
      p:signal(name)
      assert.equal(code, p:wait())
      pipe:close()
      assert.equal('{"k":1,"n":2}\n{"k":2,"n":1}\n', p:out())
      assert.truthy(h.read(seen):find('the run ended before its input did: these are the states after 3 events', 1, true), h.read(seen))
    end)
  end

  it("by on_full = 'stop' prints them too, with exit code 1", function()
    local got = state({ 'get', 'r', '-e', "stream:key_by 'k':running('r', { n = tm.agg.count() }, { max_keys = 2, on_full = 'stop' })" },
      { '{"k":1}', '{"k":2}', '{"k":3}', '{"k":1}' })
    assert.equal(1, got.code)
    assert.truthy(got.out:find '^{"k":1,"n":[12]}\n{"k":2,"n":1}\n$')
  end)

  it('at its end has nothing to say', function()
    assert.equal('', state({ 'get', 'r', '-e', COUNT }, { '{"k":1}' }).err)
  end)
end)

describe('a worker that dies', function()
  after_each(r.stop_all)

  it('while it reads takes its state along: nothing is printed, exit code 1', function()
    local fifo, seen = r.fifo(), h.path 'seen'
    local p = r.start({ 'state', 'get', 'r', '-e', COUNT .. ':map(function(e) print(e.n) return e end)' }, { stdin = fifo, stderr = seen })
    local pipe = assert(io.open(fifo, 'wb'))
    pipe:write '{"k":1}\n'
    pipe:flush()
    r.wait_until('an event', function() return #h.read(seen) > 0 end)
    p:signal('KILL', p:worker())
    assert.equal(1, p:wait())
    pipe:close()
    assert.equal('', p:out())
    assert.truthy(h.read(seen):find('what it kept is gone with it; what is printed, if anything, is not all', 1, true), h.read(seen))
  end)

  it('while it prints leaves the first records, none twice, and exit code 1', function()
    local list = {}
    for i = 1, 100000 do list[i] = '{"k":' .. i .. '}\n' end
    local file, out = h.write(table.concat(list)), r.fifo()
    local got = h.path 'got'
    local p = r.start({ 'state', 'get', 'r', '-e', COUNT, '--from', file }, { stdout = out })
    local reader = assert(io.open(out, 'rb'))
    local text = { reader:read(1000) }
    p:signal('KILL', p:worker())
    text[2] = reader:read '*a'
    reader:close()
    assert.equal(1, p:wait())
    h.write(table.concat(text), got)
    local n = 0
    for line in h.read(got):gmatch '([^\n]*)\n' do
      n = n + 1
      assert.equal(('{"k":%d,"n":1}'):format(n), line)
    end
    assert.is_true(n > 10 and n < 100000)
  end)
end)
