--[[
mistakes_spec.lua - what people do wrong, and what they are told: the whole text, kept here to be read. Each must say where,
what was found, what is expected and what to do next, and end with the right exit code.

A case: name, then one of script (a text; line 1 is `local tm = require 'tidemill'`), code (-e) or args; input; files; the exit
code; what stderr is, without the summary. $DIR stands for the folder.
]]

-- luacheck: no max line length
local h = require 'spec.helper'

local CASES = {
  { 'a field that is called otherwise',
    script = "return tm.pipeline 'p'\n  :schema { id = 'integer', amount = 'number' }\n  :filter(function(e) return e.amuont > 1 end)",
    args = { 'check', 's.lua' },
    exit = 3, says = [[
tidemill: error: s.lua:4: the schema has no field 'amuont' (did you mean 'amount'?)
]] },
  { 'an option that is called otherwise',
    script = "return tm.pipeline 'p':key_by('id', { mising = 'drop' })",
    exit = 3, says = [[
tidemill: error: s.lua:2: key_by has no option 'mising' (did you mean 'missing'?)
]] },
  { 'an operator that is called otherwise',
    script = "return tm.pipeline 'p'\n  :fliter(function(e) return true end)",
    exit = 3, says = [[
tidemill: error: s.lua:3: a stream has no operator 'fliter' (did you mean 'filter'?)
]] },
  { 'a function of tm that is called otherwise',
    script = "return tm.pipline 'p'",
    exit = 3, says = [[
tidemill: error: s.lua:2: tm has no 'pipline' (did you mean 'pipeline'?)
]] },
  { 'a source that is called otherwise',
    script = "return tm.pipeline 'p':from(tm.source.flie 'in.ndjson')",
    exit = 3, says = [[
tidemill: error: s.lua:2: tm.source has no 'flie' (did you mean 'file'?)
]] },
  { 'an aggregate that is called otherwise',
    script = "return tm.pipeline 'p':running('r', { n = tm.agg.cuont() }, { unbounded = true })",
    exit = 3, says = [[
tidemill: error: s.lua:2: tm.agg has no 'cuont' (did you mean 'count'?)
]] },
  { 'a command that is called otherwise',
    args = { 'rnu', 's.lua' },
    exit = 2, says = [[
tidemill: error: unknown command 'rnu'; did you mean 'run'?
]] },
  { 'a flag that is called otherwise',
    args = { 'run', '--form', 'in.ndjson', '-e', 'stream' },
    exit = 2, says = [[
tidemill: error: unknown option --form; did you mean --from?
]] },
  { 'a flag without its value',
    args = { 'run', '-e', 'stream', '--from' },
    exit = 2, says = [[
tidemill: error: --from needs a value: --from FILE
]] },
  { 'a setting that is called otherwise',
    code = 'stream',
    files = { ['tidemill.lua'] = "return { dedline = '2s' }" },
    exit = 3, says = [[
tidemill: error: tidemill.lua:1: unknown setting 'dedline'; did you mean deadline?
]] },
  { 'a setting of the wrong kind',
    code = 'stream',
    files = { ['tidemill.lua'] = "return { deadline = 2 }" },
    exit = 3, says = [[
tidemill: error: tidemill.lua:1: deadline: '2' has no unit: write '2ms' or '2s'
]] },
  { 'a duration that makes no sense',
    args = { 'run', '-e', 'stream', '--deadline', 'soon' },
    exit = 2, says = [[
tidemill: error: --deadline: 'soon' is no duration: write it as '250ms', '1s' or '1m30s'
]] },
  { 'the last call of a script, far from the one before it',
    script = "local a = tm.pipeline 'a'\n\nlocal function fit(e) return e.n > 1 end\n\nreturn a\n  :filter(fit)\n  :filter(3)",
    exit = 3, says = [[
tidemill: error: s.lua:8: filter takes a function of the event, got a number
]] },
  { 'a pipeline without a name',
    script = "return tm.pipeline():filter(function(e) return true end)",
    exit = 3, says = [[
tidemill: error: s.lua:2: a pipeline needs a name: tm.pipeline 'clean'
]] },
  { 'state without a name',
    script = "return tm.pipeline 'p':running({ n = tm.agg.count() }, { unbounded = true })",
    exit = 3, says = [[
tidemill: error: s.lua:2: running keeps state, so it needs a name: :running('spend', { … }); got a table
]] },
  { 'state without a bound',
    script = "return tm.pipeline 'p':key_by 'id':running('r', { n = tm.agg.count() })",
    exit = 3, says = [[
tidemill: error: s.lua:2: running keeps state without a bound; give one of ttl, max_keys, unbounded in its options (unbounded = true if that is meant)
]] },
  { 'a dot for a colon',
    script = "local s = tm.pipeline 'p'\nreturn s.filter(function(e) return true end)",
    exit = 3, says = [[
tidemill: error: s.lua:3: call operators with a colon: stream:filter(f), not stream.filter(f)
]] },
  { 'computing with a field that is not there',
    script = "return tm.pipeline 'p':map(function(e)\n  e.total = e.amount * e.factor\n  return e\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: attempt to perform arithmetic on field 'factor' (a nil value); a missing or null field reads as nil: test it first, or give it a value, as in (e.x or 0) [lua]
  pipeline p, step map#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'joining text with a field that is not there',
    script = "return tm.pipeline 'p':map(function(e)\n  e.name = e.first .. ' ' .. e.last\n  return e\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: attempt to concatenate field 'last' (a nil value); a missing or null field reads as nil: test it first, or give it a value, as in (e.x or 0) [lua]
  pipeline p, step map#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'comparing a number with a text',
    script = "return tm.pipeline 'p':filter(function(e)\n  return e.amount > '100'\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: attempt to compare string with number; tonumber(e.x) makes a number of a text [lua]
  pipeline p, step filter#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'comparing with a field that is not there',
    script = "return tm.pipeline 'p':filter(function(e)\n  return e.amuont > 100\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: attempt to compare number with nil; a missing or null field reads as nil: test it first, or give it a value, as in (e.x or 0) [lua]
  pipeline p, step filter#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'reading into a field that is not there',
    script = "return tm.pipeline 'p':filter(function(e)\n  return e.geo.lat > 1\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: attempt to index field 'geo' (a nil value); a missing or null field reads as nil: test it first, or give it a value, as in (e.x or 0) [lua]
  pipeline p, step filter#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'calling a field',
    script = "return tm.pipeline 'p':filter(function(e)\n  return e:has 'id'\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: attempt to call method 'has' (a nil value); events and values have no has: a field is e.x, functions are in tm, string, table and math [lua]
  pipeline p, step filter#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'reading an integer that a number does not hold',
    script = "return tm.pipeline 'p':filter(function(e)\n  return e.ref > 1\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: field 'ref' holds 9007199254740993, an integer outside +-2^53 that a Lua number would round; declare :schema { ref = 'int64' } to read its digits [bigint]
  pipeline p, step filter#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'JSON that is none',
    code = 'stream',
    input = '{"id":1}\n{"id":2,}\n{id:3}\n',
    exit = 0, says = [[
tidemill: warning: in.ndjson:2: byte 8: expected '"' before a key, found '}' [syntax]
  pipeline e, step decode, event in.ndjson:2
  "{\"id\":2,}"
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'JSON that is no object',
    code = 'stream',
    input = '[1,2]\n"text"\n',
    exit = 0, says = [[
tidemill: warning: in.ndjson:1: not an object: an event is a JSON object on one line [not-object]
  pipeline e, step decode, event in.ndjson:1
  "[1,2]"
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'JSON of one large array',
    code = 'stream',
    input = '[\n{"id":1},\n{"id":2}\n]\n',
    exit = 0, says = [[
tidemill: warning: in.ndjson:1: byte 1: expected a value, found the end; an array over several lines? jq -c '.[]' writes an item a line [syntax]
  pipeline e, step decode, event in.ndjson:1
  "["
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'UTF-16',
    code = 'stream',
    input = '\255\254{\0"\0i\0d\0"\0:\0001\0}\0\n\0',
    exit = 0, says = [[
tidemill: warning: in.ndjson:1: byte 0: expected a value, found byte 0xFF; UTF-16? iconv -f UTF-16 -t UTF-8 converts it [syntax]
  pipeline e, step decode, event in.ndjson:1
  "��{\u0000\"\u0000i\u0000d\u0000\"\u0000:\u00001\u0000}\u0000"
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'Latin-1',
    code = 'stream',
    input = '{"name":"caf\233"}\n',
    exit = 0, says = [[
tidemill: warning: in.ndjson:1: byte 12: expected UTF-8, found byte 0xE9; Latin-1? iconv -f LATIN1 -t UTF-8 converts it [syntax]
  pipeline e, step decode, event in.ndjson:1
  "{\"name\":\"caf�\"}"
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'an input that is not there',
    args = { 'run', '--quiet', '--from', 'nope.ndjson', '-e', 'stream' },
    exit = 3, says = [[
tidemill: error: nope.ndjson: cannot be read: No such file or directory
]] },
  { 'an input below a file',
    args = { 'run', '--quiet', '--from', 'secret/in.ndjson', '-e', 'stream' },
    files = { ['secret'] = 'x' },
    exit = 3, says = [[
tidemill: error: secret/in.ndjson: cannot be read: Not a directory
]] },
  { 'a pattern that no file matches',
    args = { 'run', '--quiet', '--from', 'data/*.ndjson', '-e', 'stream' },
    exit = 3, says = [[
tidemill: error: data/*.ndjson: no file matches this pattern, and none is called so
]] },
  { 'an output in a folder that is not there',
    args = { 'run', '--quiet', '--from', 'in.ndjson', '--to', 'out/rows.ndjson', '-e', 'stream' },
    exit = 3, says = [[
tidemill: error: out/rows.ndjson: cannot be written: No such file or directory; make its folder first
]] },
  { 'an output that is a folder',
    args = { 'run', '--quiet', '--from', 'in.ndjson', '--to', 'out', '-e', 'stream' },
    before = 'mkdir out',
    exit = 3, says = [[
tidemill: error: out: cannot be written: Is a directory
]] },
  { 'a script that is not there',
    args = { 'run', 'nope.lua' },
    exit = 3, says = [[
tidemill: error: nope.lua: cannot read the script: No such file or directory
]] },
  { 'a script that is a folder',
    args = { 'run', 'dir' },
    before = 'mkdir dir',
    exit = 3, says = [[
tidemill: error: dir: cannot read the script: Is a directory
]] },
  { 'a script that is data',
    args = { 'run', 'in.ndjson' },
    exit = 3, says = [[
tidemill: error: in.ndjson:1: unexpected symbol near '{'; this is data, not a script; data is given with --from
]] },
  { 'no script at all',
    args = { 'run' },
    exit = 2, says = [[
tidemill: error: nothing to run: name a script, or give code with -e, as in
  tidemill run -e 'stream:filter(function(e) return e.amount > 100 end)'
]] },
  { 'a syntax error',
    script = "return tm.pipeline 'p'\n  :filter(function(e) return e.amount > end)",
    exit = 3, says = [[
tidemill: error: s.lua:3: unexpected symbol near 'end'
]] },
  { 'an end that is missing',
    script = "return tm.pipeline 'p':filter(function(e) return true",
    exit = 3, says = [[
tidemill: error: s.lua:2: 'end' expected near '<eof>'; a function, if, for, while or do above it has no end
]] },
  { '!= for ~=',
    script = "return tm.pipeline 'p':filter(function(e) return e.id != 1 end)",
    exit = 3, says = [[
tidemill: error: s.lua:2: 'end' expected near '!'; not equal is ~= in Lua, and ! is not
]] },
  { 'a script that returns nothing',
    script = "tm.pipeline 'p':filter(function(e) return true end)",
    exit = 3, says = [[
tidemill: error: s.lua: the script must return a stream or a list of streams, got nil; end it with: return tm.pipeline 'name':…, or behind branch and route: return { out.a, out.b }
]] },
  { 'a script that returns a number',
    script = "return 5",
    exit = 3, says = [[
tidemill: error: s.lua: the script must return a stream or a list of streams, got a number; end it with: return tm.pipeline 'name':…, or behind branch and route: return { out.a, out.b }
]] },
  { 'a script that returns a table of other things',
    script = "return { tm.pipeline 'p', 5 }",
    exit = 3, says = [[
tidemill: error: s.lua: the script returned a list whose item 2 is not a stream but a number
]] },
  { 'a stream that nobody reads',
    script = "local a = tm.pipeline 'a'\nlocal b = a:filter(function(e) return true end)\nreturn a",
    exit = 3, says = [[
tidemill: error: s.lua:3: the stream made by 'filter' is neither returned by the script nor read by another stream; return it or remove it
]] },
  { 'a filter that is no function',
    script = "return tm.pipeline 'p':filter 'amount'",
    exit = 3, says = [[
tidemill: error: s.lua:2: filter takes a function of the event, got 'amount'
]] },
  { 'a map that forgets to return',
    script = "return tm.pipeline 'p':map(function(e)\n  e.x = 1\nend)",
    args = { 'check', '--sample', 'in.ndjson', 's.lua' },
    exit = 3, says = [[
tidemill: error: s.lua:2: this map returns nothing, so it drops every event; return the event (return e)
]] },
  { 'a map that returns a text',
    script = "return tm.pipeline 'p':map(function(e)\n  return e.id .. ''\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:2: map must return the event, a table or nil, got a string [type]
  pipeline p, step map#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'a filter that forgets to return',
    script = "return tm.pipeline 'p':filter(function(e)\n  local ok = e.amount > 1\nend)",
    args = { 'check', 's.lua' },
    exit = 3, says = [[
tidemill: error: s.lua:2: this filter returns nothing, so it drops every event; return a condition
]] },
  { 'a type that is none',
    script = "return tm.pipeline 'p':schema { id = 'int' }",
    exit = 3, says = [[
tidemill: error: s.lua:2: schema: field 'id': no type 'int'; the types are any, boolean, decimal(2), int64, integer, iso8601, number, string, time_iso8601, time_ms, time_ns, time_s, time_us
]] },
  { 'a value of another type',
    script = "return tm.pipeline 'p':schema { id = 'string' }",
    exit = 0, says = [[
tidemill: warning: s.lua:2: field 'id' is declared string, found a number [type]
  pipeline p, step schema#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'a global that is called otherwise',
    script = "return tm.pipeline 'p':filter(function(e)\n  return tonubmer(e.id) > 1\nend)",
    args = { 'check', 's.lua' },
    exit = 3, says = [[
tidemill: error: s.lua:3: nothing is called 'tonubmer' here (did you mean 'tonumber'?)
]] },
  { 'os.time',
    script = "return tm.pipeline 'p':map(function(e)\n  e.now = os.time()\n  return e\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: attempt to index global 'os' (a nil value); scripts have no os: the host does files, clocks and code loading [lua]
  pipeline p, step map#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'require of a file with its ending',
    script = "local m = require 'm.lua'\nreturn tm.pipeline 'p'",
    files = { ['m.lua'] = 'return 1' },
    exit = 3, says = [[
tidemill: error: s.lua:2: no module 'm.lua' beside the script: m/lua.lua: No such file or directory; require 'm' reads m.lua
]] },
  { 'writing NaN',
    script = "return tm.pipeline 'p':map(function(e)\n  return { r = 0 / 0 }\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:2: field 'r' holds a value that JSON cannot carry: NaN, infinity or text that is not UTF-8 [not-writable]
  pipeline p, step map#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'writing a function',
    script = "return tm.pipeline 'p':map(function(e)\n  return { f = print }\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:2: cannot write a function into field 'f' [type]
  pipeline p, step map#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
  { 'a malformed pattern',
    script = "return tm.pipeline 'p':filter(function(e)\n  return ('x'):match '[a-z' ~= nil\nend)",
    exit = 0, says = [[
tidemill: warning: s.lua:3: malformed pattern (missing ']'); write % before a sign that stands for itself, as in %[ [lua]
  pipeline p, step filter#1, event in.ndjson:1
  {"id":1,"amount":5,"ref":9007199254740993}
  (counted from here on; see the summary, or keep such events with :on_error(tm.sink.file '…'))
]] },
}

local function run(case)
  local files = { ['in.ndjson'] = case.input or '{"id":1,"amount":5,"ref":9007199254740993}\n' }
  for name, text in pairs(case.files or {}) do files[name] = text end
  if case.script then files['s.lua'] = "local tm = require 'tidemill'\n" .. case.script end
  local dir = h.folder(files)
  if case.before then os.execute('cd ' .. h.quote(dir) .. ' && ' .. case.before) end
  local args = case.args or { 'run', '--quiet', '--from', 'in.ndjson' }
  if not case.args then
    if case.script then args[#args + 1] = 's.lua' end
    if case.code then args[#args + 1], args[#args + 2] = '-e', case.code end
    for _, a in ipairs(case.more or {}) do args[#args + 1] = a end
  end
  local r = h.run(args, '', { cwd = dir, timeout = 20 })
  return r.code, (r.err:gsub(dir:gsub('%p', '%%%0'), '$DIR'))
end

if os.getenv 'MISTAKES_PRINT' then   -- what is told now, to be read before it is kept
  for _, case in ipairs(CASES) do
    local code, err = run(case)
    print(('==== %s [%d]\n%s'):format(case[1], code, err))
  end
end

describe('a mistake is told:', function()
  for _, case in ipairs(CASES) do
    it(case[1], function()
      local code, err = run(case)
      assert.equal(case.says, err)
      assert.equal(case.exit, code)
    end)
  end
end)
