--[[
process_islands_spec.lua - pipelines that have nothing to do with each other do not wait for each other: not for a sink that
takes nothing, nor for a source that always has more; those that share a sink or a table do, so that nothing depends on
when what was read. Workers killed while several batches are on their way.
]]

local h = require 'spec.helper'
local kill = require 'spec.kill'
local r = require 'spec.running'

--- A script of pipelines, each { name, from, to, rest }: a text of more steps.
local function script_of(pipelines)
  local lines = { "local tm = require 'tidemill'", 'return {' }
  for i, p in ipairs(pipelines) do
    lines[i + 2] = ("  tm.pipeline '%s':from(%s)%s:to(tm.sink.file '%s'),"):format(p[1], p[2], p[4] or '', p[3])
  end
  lines[#lines + 1] = '}'
  return h.write(table.concat(lines, '\n'), h.path 'islands.lua')
end
local function file(path) return ("tm.source.file '%s'"):format(path) end

local function numbered(n, pad)
  local list = {}
  for i = 1, n do list[i] = ('{"i":%d,"pad":"%s"}\n'):format(i, ('p'):rep(pad)) end
  return table.concat(list)
end

describe('islands', function()
  after_each(r.stop_all)

  it('do not wait for a sink that takes nothing, in which others end', function()
    local a, b, full, out = r.fifo 'a', r.fifo 'b', r.fifo 'full', h.path 'out'
    local lines = numbered(3000, 200)
    local reader = r.spawn('sleep 1000', { stdin = full })   -- opens it and reads nothing
    local p = r.start { 'run', '--json', script_of { { 'a', file(a), full }, { 'b', file(b), out } } }
    r.spawn('cat', { stdin = h.write(lines), stdout = a })
    local to_b = assert(io.open(b, 'we'))
    for i = 1, 50 do
      to_b:write(('{"i":%d}\n'):format(i))
      to_b:flush()
      r.wait_until('the event', function() return #h.lines(h.read(out)) == i end)
    end
    assert.is_nil(p:code())
    local all = h.path 'all'
    r.spawn('cat', { stdin = full, stdout = all })
    r.wait_until('the other reader', function() return r.size(all) > 0 end)
    reader:signal 'KILL'
    to_b:close()
    assert.equal(0, p:wait(20))
    assert.equal(lines, h.read(all))
    assert.is_true(p:summary().counters.source_pauses >= 1)
  end)

  it('of one source go on as soon as a sink takes rows again, whenever that is', function()
    local input = h.write(numbered(200000, 200))
    for _ = 1, 8 do
      local into, out = r.fifo(), h.path 'out'
      local reader = r.spawn('dd bs=512 status=none', { stdin = into, stdout = out })
      local p = r.start({ 'run', '--quiet', '-e', 'stream' }, { stdin = input, stdout = into })
      assert.equal(0, p:wait(60))
      reader:wait()
      assert.equal(r.digest(input), r.digest(out))
    end
  end)

  it('go on beside a source that always has more, and their watermarks too', function()
    local b, c, out = r.fifo 'b', r.fifo 'c', h.path 'out'
    local script = h.write(([[local tm = require 'tidemill'
local function live(name, path) return tm.pipeline(name):from(tm.source.file(path)) end
return { tm.pipeline 'busy':from(tm.source.generate(function(i) return { i = i } end, { count = 1e9 })):to(tm.sink.discard()),
  tm.union(live('b', '%s'), live('c', '%s')):event_time { field = 'ts', idle_after = '300ms' }
    :window('w', tm.window.tumbling '1s'):aggregate { n = tm.agg.count() }:to(tm.sink.file '%s') }]]):format(b, c, out), h.path 's.lua')
    local p = r.start { 'run', script }
    local to_b, to_c = assert(io.open(b, 'we')), assert(io.open(c, 'we'))
    to_c:write '{"ts":10}\n'
    to_c:flush()
    for ts = 100, 3500, 100 do to_b:write(('{"ts":%d}\n'):format(ts)) end
    to_b:flush()
    r.wait_until('windows that waited for c', function() return #h.lines(h.read(out)) == 3 end)   -- 'busy' has more meanwhile
    assert.is_nil(p:code())
    p:signal 'INT'
    assert.equal(130, p:wait(20))
    to_b:close()
    to_c:close()
    assert.equal(4, #h.lines(h.read(out)))
  end)

  it('are one where they share a sink or a table: one waits for the other', function()
    local a, b, out, people = r.fifo 'a', r.fifo 'b', h.path 'out', h.write('{"id":1,"name":"x"}\n', h.path 'people.ndjson')
    local full = r.fifo 'full'
    local reader = r.spawn('sleep 1000', { stdin = full })
    local script = h.write(([[local tm = require 'tidemill'
local people = tm.table('people', { key = 'id', from = %s })
return { tm.pipeline 'a':from(%s):to(tm.sink.file '%s'):to(tm.sink.file '%s'),
  tm.pipeline 'b':from(%s):lookup(people, { on = 'id' }):to(tm.sink.file '%s') }]]):format(file(people), file(a), full, out, file(b), out),
      h.path 's.lua')
    local p = r.start { 'run', script }
    r.spawn('cat', { stdin = h.write(numbered(3000, 200)), stdout = a })
    local to_b = assert(io.open(b, 'we'))
    r.wait_until('rows', function() return r.size(out) > 60000 end)
    h.shell 'sleep 0.3'
    to_b:write '{"id":1}\n'
    to_b:close()
    h.shell 'sleep 0.3'
    assert.is_nil(h.read(out):find('people', 1, true))   -- it waits behind what `full` does not take
    r.spawn('cat', { stdin = full, stdout = '/dev/null' })
    reader:signal 'KILL'
    assert.equal(0, p:wait(20))
    assert.truthy(h.read(out):find('{"id":1,"people":{"id":1,"name":"x"}}', 1, true))
  end)

  it('each go on where they were, however often the worker is killed', function()
    math.randomseed(11)
    local input, other = h.write(numbered(60000, 50)), h.write(numbered(80000, 30))
    --- One run from a pipe, also into a pipe that is read slowly, so that a batch stays on its way, and one from a file: what came, and how
    --- many kills.
    local function run(kills)
      local to, list = {}, {}
      for n, from in ipairs { 'tm.source.stdin()', file(other) } do
        to[n] = { out = h.path 'out', bad = h.path 'bad' }
        list[n] = { 'p' .. n, from, to[n].out, (":map(function(e) if e.i %% 1000 == 7 then error 'seven' end e.j = e.i * 2 return e end)" ..
          ":on_error(tm.sink.file '%s')%s"):format(to[n].bad, n == 1 and ':to(tm.sink.stdout())' or '') }
      end
      local from, into, slow = r.fifo(), r.fifo(), h.path 'slow'
      r.spawn('python3 tests/spec/tools/pieces.py 5', { stdin = input, stdout = from })
      local reader = r.spawn('python3 tests/spec/tools/pieces.py 6', { stdin = into, stdout = slow })
      local p = r.start({ 'run', '--json', script_of(list) }, { stdin = from, stdout = into })
      local done, code = kill.often(p, function() return r.size(to[1].out) + r.size(to[2].out) end, kills)
      assert.equal(0, code)
      reader:wait()
      local got, c = {}, p:summary().counters
      assert.equal(h.read(to[1].out), h.read(slow))
      for n = 1, 2 do got[n] = { h.read(to[n].out), (h.read(to[n].bad):gsub('"at":"[^"]*islands', '"at":"')) } end
      got.counters = { c.events_in, c.bytes_in, c.rows_out, c.events_failed, c.rows_dead, c.quarantined }
      return got, done
    end
    local want = run(0)
    assert.same({ 140000, 200000 - 200, 140, 140, 0 },
      { want.counters[1], want.counters[3], want.counters[4], want.counters[5], want.counters[6] })
    local left = 25
    for _ = 1, 20 do
      local got, kills = run(left)
      assert.same(want.counters, got.counters)
      for n = 1, 2 do assert.is_true(want[n][1] == got[n][1] and want[n][2] == got[n][2], 'pipeline ' .. n) end
      left = left - kills
      if left <= 0 then return end
    end
    error('runs ended before they could be killed: they need more input')
  end)

  -- each pipeline has more rows at the end of input than any buffer holds, so they must go as they are made
  local TABLE = [[local rows = tm.pipeline 'rows':filter(function(e) return e.j == 4 end)
        local tab = tm.table('tab', { key = 'k', from = rows, max_keys = 100 })]]
  local LOOKUP = ":lookup(tab, { on = 'k', as = 'row', missing = 'keep' })"
  for name, shared in pairs { ['alone'] = { '', '' }, ['with a table in common'] = { TABLE, LOOKUP } } do
    it('write rows without number into one sink at the end of input, ' .. name, function()
      local script = h.write(([[local tm = require 'tidemill'
        %s
        local out = {}
        for j = 1, 3 do
          out[j] = tm.pipeline('p' .. j):filter(function(e) return e.j == j end):event_time { field = 't' }%s
            :key_by 'k':process('x', { unbounded = true, on_event = function(e, s, ctx) ctx.timer('a', e.t + 100000) end,
              on_timer = function(name, s, ctx)
                for i = 1, 300 do ctx.emit { j = j, k = ctx.key, i = i, text = ('x'):rep(300) } end
              end }):to(tm.sink.stdout())
        end
        return out]]):format(shared[1], shared[2]), h.path 's.lua')
      local input = {}
      for k = 1, 8 do
        for j = 1, 4 do input[#input + 1] = ('{"j":%d,"t":1,"k":%d}\n'):format(j, k) end
      end
      local got = h.run({ 'run', '--quiet', script }, table.concat(input))
      assert.equal(0, got.code, got.err)
      local n, last = 0, {}
      for _, row in ipairs(h.rows(got.out)) do
        local key = row.j .. ' ' .. row.k
        assert.equal((last[key] or 0) + 1, row.i)
        last[key], n = row.i, n + 1
      end
      assert.equal(3 * 8 * 300, n)
    end)
  end
end)
