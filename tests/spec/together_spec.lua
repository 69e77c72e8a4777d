--[[
together_spec.lua - operators of all kinds in random pipelines, where nobody knows what comes out: what is compared is one way to run with
another. The same bytes come out compiled and interpreted, from a file, a pipe in small pieces and with other batches, of msgpack, and
with a step in front of each sink that changes nothing (rows written by C, then by Lua); the same values in a spec, where each view lives
for one call and each event is a batch. And pipelines that share a table and read
one source take it event by event, against a slow reference (one_reference.py).
]]

local h = require 'spec.helper'

--- What the library says when it has tripped over itself.
local INTERNAL = { 'tidemill[./][%w_]+%.lua', 'lua/tidemill', '%[string', 'Sanitizer', 'runtime error', 'assert', 'cdata', 'traceback' }

local function sound(text, where)
  for _, pattern in ipairs(INTERNAL) do
    local at = text:find(pattern)
    if at then error(('%s\n%s'):format(where, text:sub(math.max(1, at - 300), at + 300))) end
  end
end

--- Runs a script in a folder of its own; feed: the command whose output it reads. Returns what each of its files holds, and the run.
local function run(script, input, feed, ...)
  local dir = h.folder()
  h.write(h.read(script), dir .. '/script.lua')
  local args = { 'run', '--quiet', 'script.lua', ... }
  if not feed then args[#args + 1] = '--from' args[#args + 1] = input end
  local line = h.command(args)
  local r = h.shell(('cd %s && %s'):format(dir, feed and ('%s <%s | %s'):format(feed, input, line) or line))
  local files = { stdout = r.out }
  for name in h.sh('ls %s', dir):gmatch '[^\n]+' do
    if name ~= 'script.lua' then files[name] = h.read(dir .. '/' .. name) end
  end
  os.execute('rm -r ' .. dir)
  return files, r
end

--- keep: which files are compared, and what of them. Where a place in the input has another name it is left out.
local function compare(want, got, where, keep)
  for name, text in pairs(want) do
    local a, b = keep(name, text), keep(name, got[name] or '')
    if a ~= b then
      local x, y = h.lines(a), h.lines(b)
      for i = 1, math.max(#x, #y) do
        if x[i] ~= y[i] then
          error(('%s\n%s, row %d of %d and %d\nwant: %s\ngot:  %s'):format(where, name, i, #x, #y, tostring(x[i]), tostring(y[i])))
        end
      end
    end
  end
end

local function whole(_, text) return text end
local function no_places(_, text) return (text:gsub('"position":"[^"]*"', '')) end
--- Dead letters hold the event as it is written, and the step's place.
local function rows_only(name, text) return name:find '^dead' and '' or text end

--- A value as text that is the same for the same value, whatever the order of its fields. Specs read rows into tables without marks: an
--- empty array is an empty table, and integers that a number of Lua would round are their digits.
local function canonical(v)
  if type(v) == 'number' then return ('%.17g'):format(v) end
  if type(v) ~= 'table' or v == h.null then return v == h.null and 'null' or ('%q'):format(tostring(v)) end
  local parts = {}
  for k, item in pairs(v) do parts[#parts + 1] = ('%q:%s'):format(tostring(k), canonical(item)) end
  table.sort(parts)
  return '{' .. table.concat(parts, ',') .. '}'
end

--- A file of rows as values. Where several pipelines write, which of them comes first is not said.
local function values(name, text)
  local list = h.lines(text)
  for i, line in ipairs(list) do
    line = line:gsub('([:,%[])(%-?%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d+)([,%]}])', '%1"%2"%3')
    list[i] = canonical(h.decode(line))
  end
  if name == 'stdout' then table.sort(list) end
  return table.concat(list, '\n')
end

--- A spec that gives a script its input event by event and writes what it got, a file for each name.
local SPEC = [[local tm = require 'tidemill'
it('runs', function()
  local t = tm.testing.run 'script.lua'
  for line in io.lines 'input' do t:send(line) end
  t:watermark(math.huge)
  for _, name in ipairs { %s } do
    local f = assert(io.open(name, 'wb'))
    for _, row in ipairs(t:out(name)) do f:write(tm.json.encode(row), '\n') end
    f:close()
  end
end)
]]

--- Runs a chain whose sinks write JSON, from a pipe, and in a spec.
local function compare_checked(chain, input, where)
  local dir = h.folder()
  local text = h.read(chain):gsub("{ path = '(%w+)%.csv', columns = %b{} }", "'%1.ndjson'"):gsub("%.msgpack'", ".ndjson'")
  local script = h.write(text, dir .. '/script.lua')
  local want, r = run(script, input, 'cat')
  assert.equal(0, r.code, where .. r.err)
  local names = {}
  for name, rows in pairs(want) do
    if name ~= 'stdout' or rows ~= '' then names[#names + 1] = ('%q'):format(name) end
  end
  h.write(SPEC:format(table.concat(names, ', ')), dir .. '/chain_spec.lua')
  h.write(h.read(input), dir .. '/input')
  r = h.shell(('cd %s && %s'):format(dir, h.command { 'test', 'chain_spec.lua' }))
  assert.equal(0, r.code, where .. r.out .. r.err)
  sound(r.err, where)
  local got = {}
  for name in pairs(want) do got[name] = h.read(dir .. '/' .. name) end
  compare(want, got, 'in a spec\n' .. where, values)
  os.execute('rm -r ' .. dir)
end

describe('operators together', function()
  --- Runs so many random cases in all ways. more: what they are to have.
  local function judge_all(seed, cases, more)
    local dir, ran = h.folder(), 0
    local made = h.shell(('%s tests/spec/tools/together_cases.py %d %d %s 250 %s'):format(h.python, seed, cases, dir, more))
    assert.equal(0, made.code, made.err)
    for i = 0, cases - 1 do
      local case = dir .. '/' .. i
      local chain, input = case .. '/chain.lua', case .. '/in.ndjson'
      local where = h.read(chain)
      local want, r = run(chain, input)
      sound(r.err, where)
      if r.code ~= 3 then
        ran = ran + 1
        assert.equal(0, r.code, where .. r.err)
        local pieces = ('%s %s/tests/spec/tools/pieces.py %d 7'):format(h.python, h.cwd, i)
        compare(want, run(chain, input, nil, '--no-jit'), 'interpreted\n' .. where, whole)
        compare(want, run(chain, input, nil, '--rate', '2000000/s'), 'other batches\n' .. where, whole)
        if i % 4 == 0 then compare(want, run(chain, input, pieces), 'in pieces\n' .. where, no_places) end
        compare(want, run(case .. '/noop.lua', input), 'with steps that do nothing\n' .. where, rows_only)
        compare(want, run(chain, case .. '/in.msgpack'), 'of msgpack\n' .. where, rows_only)
        compare_checked(chain, case .. '/in.ndjson', where)
      end
    end
    assert.is_true(ran > cases / 2, ran)
  end

  it('give the same rows however they are run', function() judge_all(7, 16, '') end)

  it('give them behind a join of two pipelines, too', function()
    judge_all(tonumber(os.getenv 'TOGETHER_SEED' or 11), tonumber(os.getenv 'TOGETHER_CASES' or 12), 'join')
  end)

  it('that share a table take their source event by event', function()
    for seed = 1, 3 do
      local dir = h.folder()
      local made = h.shell(('%s tests/spec/one_reference.py %d %s'):format(h.python, seed, dir))
      assert.equal(0, made.code, made.err)
      h.sh('gzip -k %s/in.ndjson', dir)
      local function judge(want, what, ...)
        local got, r = run(...)
        assert.equal(0, r.code, r.err)
        for _, name in ipairs { 'changes', 'all', 'found' } do
          compare({ [name] = h.read(('%s/%s/%s'):format(dir, want, name)) }, got, ('seed %d, %s'):format(seed, what), whole)
        end
      end
      local script, input = dir .. '/script.lua', dir .. '/in.ndjson'
      judge('want', 'a file', script, input)
      judge('want', 'interpreted', script, input, nil, '--no-jit')
      judge('want', 'gzip', script, input .. '.gz')
      judge('want', 'msgpack', script, dir .. '/in.msgpack')
      judge('csv', 'CSV', script, dir .. '/in.csv')
      judge('want', 'with a rate', script, input, nil, '--rate', '2000000/s')
      judge('want', 'in pieces', script, input, ('%s %s/tests/spec/tools/pieces.py %d 3000'):format(h.python, h.cwd, seed))
      judge('parts', 'files that take turns', dir .. '/turns.lua', dir .. '/part*.ndjson')
    end
  end)

  it('that read one source end apart: what one gives at the end of input is no event of the others', function()
    local dir = h.folder { ['script.lua'] = [[local tm = require 'tidemill'
local same = tm.pipeline 'same':select { 'i' }:to(tm.sink.file 'same')
local read = tm.pipeline 'read':filter(function(e) return e.i % 2 == 0 end):to(tm.sink.file 'read')
local sums = tm.pipeline 'sums':event_time { field = 'ts', unit = 'ms' }:key_by 'k':window('w', tm.window.tumbling '1s')
  :aggregate { n = tm.agg.count() }:to(tm.sink.file 'sums')
return { same, sums, read }]] }
    local lines = {}
    for i = 1, 3000 do lines[i] = ('{"ts":%d,"i":%d,"k":%d}\n'):format(i, i, i % 1500) end
    local input = h.write(table.concat(lines))
    local r = h.run({ 'run', '--json', 'script.lua', '--from', input }, nil, { cwd = dir })
    assert.equal(0, r.code, r.err)
    assert.equal(h.sh("jq -c '{i}' %s", input), h.read(dir .. '/same'))
    assert.equal(h.sh("jq -c 'select(.i %% 2 == 0)' %s", input), h.read(dir .. '/read'))
    assert.equal(3000, #h.lines(h.read(dir .. '/sums')))   -- no key is twice in a window
    assert.equal(0, h.decode(h.lines(r.err)[1]).counters.events_failed)
  end)

  it('that share a table or a join are refused where events of their source cannot be taken one by one', function()
    local shared = {
      "lookup(tm.table('t', { key = 'k', from = tm.pipeline 'a':from(src), unbounded = true }))",
      "join('j', tm.pipeline 'a':from(src), { on = 'k', unbounded = true })",
    }
    local kinds = {
      ["format = 'lines', record = { start = '^a' }"] = 'records of several lines',
      ["format = 'fluent'"] = "packets ('fluent')",
    }
    for options, what in pairs(kinds) do
      for _, step in ipairs(shared) do
        local r = h.run { 'run', '--quiet', h.write(([[local tm = require 'tidemill'
local src = tm.source.file { path = '/dev/null', %s }
return tm.pipeline 'b':from(src):%s]]):format(options, step)) }
        assert.equal(3, r.code, r.err)
        local why = 'share this and read one source, whose ' .. what .. ' cannot be taken one by one; give each its own source'
        assert.truthy(r.err:find(why, 1, true), r.err)
      end
    end
  end)
end)
