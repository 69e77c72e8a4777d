--[[
turns_spec.lua - bounded inputs take turns by event time: files of a pattern and several sources against an obvious merge of their
events; what the watermark is meanwhile; bad and blank lines, headers of CSV, compressed files, workers that die.
]]

local h = require 'spec.helper'
local kill = require 'spec.kill'
local r = require 'spec.running'

--- Lists of events of n inputs: { ts, f, i }, times that overlap, go back at times, and are often equal.
local function inputs(seed, n, events, apart)
  math.randomseed(seed)
  local list = {}
  for f = 1, n do
    local t, one = f * apart, {}
    for i = 1, events do
      t = t + math.random(0, 3)
      one[i] = { ts = t - (math.random() < 0.1 and math.random(0, 5) or 0), f = f, i = i }
    end
    list[f] = one
  end
  return list
end

--- The next event is the oldest of those that are next in their input, the first of equal ones by input; those without a time at once.
local function merged(list)
  local at, out = {}, {}
  for f = 1, #list do at[f] = 1 end
  while true do
    local best, time
    for f = 1, #list do
      local e = list[f][at[f]]
      local t = e and (e.ts or -math.huge)
      if e and (not best or t < time) then best, time = f, t end
    end
    if not best then return out end
    local e = list[best][at[best]]
    at[best] = at[best] + 1
    if e.i then out[#out + 1] = e.f .. ':' .. e.i end
  end
end

local function order_of(text)
  local list = {}
  for i, row in ipairs(h.rows(text)) do list[i] = ('%d:%d'):format(row.f, row.i) end
  return list
end

local function line(e) return ('{"ts":%d,"f":%d,"i":%d}'):format(e.ts, e.f, e.i) end

--- Files f1.ndjson … of the inputs; odd(f, i): a line more in front of an event, or nil.
local function write(list, odd)
  local files = {}
  for f, events in ipairs(list) do
    local text = {}
    for i, e in ipairs(events) do
      local more = odd and odd(f, i)
      if more then text[#text + 1] = more end
      text[#text + 1] = line(e)
    end
    files[('f%d.ndjson'):format(f)] = table.concat(text, '\n') .. (f % 2 == 0 and '\n' or '')
  end
  return h.folder(files)
end

local function run(dir, script, ...)
  h.write("local tm = require 'tidemill'\n" .. script, dir .. '/p.lua')
  local got = h.run({ 'run', '--json', 'p.lua', ... }, nil, { cwd = dir })
  local lines = h.lines(got.err)
  return got, h.decode(lines[#lines])
end

local FILES = "return tm.pipeline 'p':from(tm.source.file 'f*.ndjson')"

describe('files of a pattern', function()
  it('go event by event by their time', function()
    for seed, apart in ipairs { 0, 20, 300, 5000, -200 } do
      local list = inputs(seed, 2 + seed, 700, apart)
      local got = run(write(list), FILES .. ":event_time { field = 'ts', out_of_order = '10ms' }")
      assert.equal(0, got.code, got.err)
      assert.same(merged(list), order_of(got.out))
    end
  end)

  it('go one after the other where no time is known', function()
    local list = inputs(1, 3, 300, 0)
    local want = {}
    for _, events in ipairs(list) do for _, e in ipairs(events) do want[#want + 1] = e.f .. ':' .. e.i end end
    local got = run(write(list), FILES)
    assert.same(want, order_of(got.out))
    got = run(write(list), FILES .. ":map(function(e) return e end):event_time { field = 'ts', out_of_order = '10ms' }")
    assert.same(want, order_of(got.out))
  end)

  it('count bad and blank lines, and tell their places', function()
    local list = inputs(7, 3, 400, 50)
    local bad, blank = 0, 0
    local dir = write(list, function(f, i)
      if i % 37 == f then bad = bad + 1 return '{"ts":1,}' end
      if i % 41 == 0 then blank = blank + 2 return ' \n' end
    end)
    local got, summary = run(dir, FILES .. ":on_error(tm.sink.file 'bad.ndjson'):event_time { field = 'ts', out_of_order = '10ms' }")
    assert.equal(bad, summary.counters.lines_bad)
    assert.equal(blank, summary.counters.lines_blank)
    assert.equal(1200, #order_of(got.out))
    local places, want = {}, h.lines(h.shell(("cd %s && grep -n '1,}' f*.ndjson | cut -d: -f1,2"):format(dir)).out)
    for i, row in ipairs(h.rows(h.read(dir .. '/bad.ndjson'))) do places[i] = row.position end
    table.sort(places)
    table.sort(want)
    assert.same(want, places)
    local size = h.shell('cat ' .. dir .. '/f*.ndjson | wc -c').out
    assert.equal(tonumber(size), summary.counters.bytes_in)
  end)

  it('of CSV have headers of their own', function()
    local list, files = inputs(3, 4, 300, 40), {}
    for f, events in ipairs(list) do
      local columns = f % 2 == 0 and { 'i', 'ts', 'f', 'x' } or { 'ts', 'f', 'i' }
      local text = { (f == 3 and '\239\187\191' or '') .. table.concat(columns, ',') }
      for k, e in ipairs(events) do
        local row = {}
        for n, name in ipairs(columns) do row[n] = e[name] or '"a\n' .. k .. '"' end
        text[k + 1] = table.concat(row, ',')
      end
      files[('f%d.csv'):format(f)] = table.concat(text, '\r\n') .. '\r\n'
    end
    local got = run(h.folder(files), "return tm.pipeline 'p':from(tm.source.file 'f*.csv')" ..
      ":schema { ts = 'integer', i = 'integer', f = 'integer' }:event_time { field = 'ts', out_of_order = '10ms' }")
    assert.equal(0, got.code, got.err)
    assert.same(merged(list), order_of(got.out))
  end)

  it('that are compressed are read to their end when it is their turn', function()
    local list = inputs(5, 3, 300, 10)
    local dir = write(list)
    assert.equal(0, h.shell(('cd %s && gzip f2.ndjson && mv f2.ndjson.gz f2.ndjson'):format(dir)).code)
    local got = run(dir, FILES .. ":event_time { field = 'ts', out_of_order = '10ms' }")
    local rows = order_of(got.out)
    assert.equal(900, #rows)
    local want = merged { list[1], list[3] }
    local others, packed = {}, {}
    for _, row in ipairs(rows) do
      local into = row:sub(1, 2) == '2:' and packed or others
      into[#into + 1] = row
    end
    assert.same(want, others)
    for i, row in ipairs(packed) do assert.equal('2:' .. i, row) end
  end)

  it('close windows as time passes through all of them', function()
    -- more windows in all than may be open at once; the last file begins when the first has ended
    local files = {}
    for f = 1, 6 do
      local text = {}
      for i = 1, 1500 do text[i] = ('{"ts":%d}'):format(((f - 1) * 1500 + i) * 60000) end
      files[('f%d.ndjson'):format(f)] = table.concat(text, '\n') .. '\n'
    end
    local got, summary = run(h.folder(files), FILES .. ":event_time { field = 'ts', out_of_order = '5m' }" ..
      ":window('w', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }")
    assert.equal(0, got.code, got.err)
    assert.equal(0, summary.counters.events_late)
    local rows = h.rows(got.out)
    assert.equal(9000, #rows)
    for i, row in ipairs(rows) do assert.equal(i * 60000, row.window_start) end
  end)

  it('hold the watermark back: it is the least of theirs', function()
    -- b stays at 0 until its last event: nothing of a, which runs ahead by less than its order, is late, nor is b
    local a, b = {}, {}
    for i = 1, 200 do a[i] = ('{"ts":%d,"f":1}'):format(i * 10) end
    for i = 1, 50 do b[i] = ('{"ts":%d,"f":2}'):format(i * 40 - (i % 2) * 35) end
    local dir = h.folder { ['fa.ndjson'] = table.concat(a, '\n') .. '\n', ['fb.ndjson'] = table.concat(b, '\n') .. '\n' }
    local _, summary = run(dir, FILES .. ":event_time { field = 'ts', out_of_order = '36ms' }" ..
      ":window('w', tm.window.tumbling '10ms'):aggregate { n = tm.agg.count() }")
    assert.equal(0, summary.counters.events_late)
  end)

  it('go on in the same order when workers die', function()
    local list = inputs(11, 3, 60000, 100)
    local dir = write(list)
    h.write(([[local tm = require 'tidemill'
return tm.pipeline 'p':from(tm.source.file '%s/f*.ndjson'):event_time { field = 'ts', out_of_order = '10ms' }
  :to(tm.sink.file '%s/out.ndjson')]]):format(dir, dir), dir .. '/p.lua')
    local p = r.start { 'run', dir .. '/p.lua' }
    local kills, code = kill.often(p, function() return r.size(dir .. '/out.ndjson') end, 6)
    assert.equal(0, code)
    assert.is_true(kills > 0)
    assert.same(merged(list), order_of(h.read(dir .. '/out.ndjson')))
  end)
end)

describe('several sources', function()
  local function script(n, sep)
    local parts = {}
    for f = 1, n do
      parts[f] = ("tm.pipeline 'p%d':from(tm.source.file 'f%d.ndjson')%s"):format(f, f, sep or '')
    end
    return 'tm.union(' .. table.concat(parts, ', ') .. ')'
  end

  it('take turns too, behind a union', function()
    local list = inputs(21, 4, 500, 30)
    local got = run(write(list), 'return ' .. script(4) .. ":event_time { field = 'ts', out_of_order = '10ms' }")
    assert.equal(0, got.code, got.err)
    assert.same(merged(list), order_of(got.out))
    got = run(write(list), 'return ' .. script(4, ':filter(function(e) return e.i % 2 == 0 end)') ..
      ":event_time { field = 'ts', out_of_order = '10ms' }")
    local want = {}
    for _, row in ipairs(merged(list)) do if row:match ':(%d+)' % 2 == 0 then want[#want + 1] = row end end
    assert.same(want, order_of(got.out))
  end)

  it('take turns with generators, and with standard input that is a file', function()
    local list = inputs(22, 2, 400, 20)
    local dir = write(list)
    h.write([[local tm = require 'tidemill'
local function row(i) return { ts = 100 + i * 7, f = 3, i = i } end
return tm.union(tm.pipeline 'a':from(tm.source.file 'f1.ndjson'), tm.pipeline 'b',
  tm.pipeline 'c':from(tm.source.generate(row, { name = 'gen', count = 100 }))):event_time { field = 'ts', out_of_order = '10ms' }]],
      dir .. '/p.lua')
    local got = h.shell(('cd %s && %s run p.lua < f2.ndjson'):format(dir, h.quote(h.bin)))
    assert.equal(0, got.code, got.err)
    local generated = {}
    for i = 1, 100 do generated[i] = { ts = 100 + i * 7, f = 3, i = i } end
    -- equal times by name: f1.ndjson, gen, stdin
    local want = merged { list[1], generated, list[2] }
    assert.same(want, order_of(got.out))
  end)
end)

describe('a live input that falls silent', function()
  after_each(r.stop_all)

  it('holds the watermark back for idle_after, and is named meanwhile', function()
    local a, b, out = r.fifo 'a', r.fifo 'b', h.path 'out.ndjson'
    local script = h.write(([[local tm = require 'tidemill'
local a, b = tm.pipeline 'a':from(tm.source.file '%s'), tm.pipeline 'b':from(tm.source.file '%s')
return tm.union(a, b):event_time { field = 'ts', idle_after = '2s' }:window('w', tm.window.tumbling '1s')
  :aggregate { n = tm.agg.count() }:to(tm.sink.file '%s')]]):format(a, b, out), h.path 'p.lua')
    local p = r.start { 'run', '--json', script }
    local to_a, to_b = assert(io.open(a, 'w')), assert(io.open(b, 'w'))
    local function send(to, ts)
      to:write(('{"ts":%d}\n'):format(ts))
      to:flush()
    end
    send(to_b, 50)
    r.wait_until('what is said of b', function()
      send(to_a, 100)
      h.shell 'sleep 0.1'
      return p:err():find('waiting: ' .. b .. ' silent for 1', 1, true)
    end)
    assert.equal(0, r.size(out))
    for ts = 200, 2900, 100 do send(to_a, ts) end
    -- nothing more of b: the windows close all the same, behind an event of a or without one
    r.wait_until('two windows', function() return #h.lines(h.read(out)) == 2 end)
    assert.is_nil(p:code())
    -- b goes on behind: it holds back again, and what is late is late
    send(to_b, 2950)
    send(to_b, 10)
    to_a:close()
    to_b:close()
    assert.equal(0, p:wait(20))
    local lines = h.lines(p:err())
    local summary = h.decode(lines[#lines])
    assert.equal(1, summary.counters.events_late)
    assert.equal('union(a,b)', summary.watermarks[1].pipeline)
    local n = 0
    for _, row in ipairs(h.rows(h.read(out))) do n = n + row.n end
    assert.equal(summary.counters.events_in - 1, n)
  end)
end)
