--[[
crash_spec.lua - a run that crashes between its events and goes on from what is kept gives what an undisturbed one does: rows, late events
and dead letters, in the same order. Random pipelines and inputs of every kind of step that remembers something (crash_cases.lua), crashed
at random and between all events; and what tm.testing says of it.
CRASH_SEEDS: how many inputs of each kind (10).
]]

local h = require 'spec.helper'
local cases = require 'spec.crash_cases'

local SEEDS = tonumber(os.getenv 'CRASH_SEEDS' or 10)

-- what a spec of its own does with the kinds from, to
local BODY = [[
local tm = require 'tidemill'
local cases = require 'spec.crash_cases'
for i = %d, %d do
  it(cases.names[i], function()
    local crashes, bytes = 0, 0
    for seed = 1, %d do
      local why, n, more = cases.run(tm, i, seed)
      if why then error(why:sub(1, 8000), 0) end
      crashes, bytes = crashes + n, bytes + more
    end
    io.stderr:write(('%%d %%d %%d\n'):format(i, crashes, bytes))
  end)
end
]]

local function run(from, to)
  local dir = h.folder { ['x_spec.lua'] = BODY:format(from, to, SEEDS) }
  local r = h.run { 'test', dir }
  assert.equal(0, r.code, r.out .. r.err)
  local counted = 0
  for _, crashes, bytes in r.err:gmatch '(%d+) (%d+) (%d+)' do
    assert.is_true(tonumber(crashes) > 2 * SEEDS, r.err)
    assert.is_true(tonumber(bytes) > 100 * SEEDS, r.err)
    counted = counted + 1
  end
  assert.equal(to - from + 1, counted, r.err)
end

describe('a run that crashes', function()
  for from = 1, #cases.names, 4 do
    local to = math.min(from + 3, #cases.names)
    it('gives what an undisturbed one does: ' .. table.concat(cases.names, ', ', from, to), function() run(from, to) end)
  end

  it('loses what a script has in globals and upvalues, and keeps its state', function()
    local dir = h.folder {
      ['s.lua'] = [[
        local tm = require 'tidemill'
        local seen = 0
        return tm.pipeline 's':map(function(e)
          seen = seen + 1
          return { seen = seen, k = e.k }
        end):running('n', { n = tm.agg.count(), seen = tm.agg.last 'seen' }, { unbounded = true }):to(tm.sink.file 'o')]],
      ['x_spec.lua'] = [[
        local tm = require 'tidemill'
        it('x', function()
          local t = tm.testing.run 's.lua'
          t:send { k = 1 }
          t:send { k = 1 }
          t:crash()
          t:send { k = 1 }
          assert.same({ { n = 1, seen = 1 }, { n = 2, seen = 2 }, { n = 3, seen = 1 } }, t:out())
        end)]],
    }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('tells what is new and another one than before, and refuses what is no such text', function()   -- what is gone: state_removed_spec
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      local keep = require 'tidemill.keep'   -- as the engine does
      local function run(window, more)
        local s = tm.pipeline 'p':event_time { field = 't' }:key_by 'k'
        return tm.testing.run { s:window('w', window):aggregate { n = tm.agg.count() }:to(tm.sink.file 'o'), more and more(s) }
      end
      local function processed(s)
        return s:process('more', { state = { n = 0 }, max_keys = 9, on_event = function() end }):to(tm.sink.file 'q')
      end
      local function told(text)
        local out = {}
        for i, d in ipairs(keep.restore(text)) do out[i] = d.name .. ': ' .. d.what .. (d.why and ', ' .. d.why or '') end
        return out
      end
      it('x', function()
        run(tm.window.tumbling '10ms', processed):send { t = 1, k = 1 }
        assert.is_true(keep.resting())
        local text = keep.save()
        run(tm.window.tumbling '10ms')
        assert.error_matches(function() keep.restore(text) end, 'a state that was saved at address %d+ is not there')
        run(tm.window.tumbling '20ms')
        assert.same({ 'p/w/windows: changed, its windows have another size, slide, offset or zone' }, told(text))
        run(tm.window.session '10ms', function(s) return s:key_by 'k':join('j', s, { on = 'k', unbounded = true }):to(tm.sink.file 'j') end)
        assert.same({ 'p/j/marks: new', 'p/w/windows: changed, it was windows and is sessions' }, told(text))
        for _, bad in ipairs { '', 'x', text:sub(1, -2), require 'string.buffer'.encode { parts = 1 } } do
          assert.error_matches(function() keep.restore(bad) end, 'cannot be read')
        end
        assert.error_matches(function() keep.restore(require 'string.buffer'.encode { version = 99, parts = {} }) end, 'of version 99')
      end)]] }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('keeps rows that were not looked at, the clock, and which inputs have ended', function()
    local dir = h.folder { ['x_spec.lua'] = [[
      local tm = require 'tidemill'
      it('x', function()
        local a, b = tm.pipeline('a'):from(tm.source.file 'a'), tm.pipeline('b'):from(tm.source.file 'b')
        local t = tm.testing.run { a:to(tm.sink.file 'o'), b:to(tm.sink.file 'p') }
        t:send('a', { n = 1 })
        t:watermark('a', math.huge)
        t:crash()
        t:send('b', '{"n":')     -- no event
        t:crash()
        assert.same({ { n = 1 } }, t:out())
        assert.equal(1, #t:errors())
        assert.has_error(function() t:send('a', { n = 2 }) end)
        local csv = tm.testing.run(tm.pipeline('c'):from(tm.source.file 'c.csv'):to(tm.sink.file 'o'))
        csv:send { x = '1', y = '2' }
        csv:crash()
        csv:send { y = '4', x = '3' }
        assert.same({ { x = '1', y = '2' }, { x = '3', y = '4' } }, csv:out())
      end)]] }
    local r = h.run { 'test', dir }
    assert.equal(0, r.code, r.out .. r.err)
  end)
end)
