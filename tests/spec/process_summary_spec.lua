--[[ The end summary: its numbers are those that wc, grep and jq find in the same input and output. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

local function summary_of(result)
  local lines = h.lines(result.err)
  return h.decode(lines[#lines])
end

local function number(command)
  return tonumber(h.shell(command).out)
end

describe('the end summary', function()
  after_each(r.stop_all)
  local input, all, few, bad, s

  setup(function()
    local list = {}
    for i = 1, 5000 do
      list[#list + 1] = ('{"i":%d,"kind":"%s"}\n'):format(i, ({ 'a', 'b', 'c' })[i % 3 + 1])
      if i % 10 == 0 then list[#list + 1] = ' \t\r\n' end
      if i % 70 == 0 then list[#list + 1] = '[1]\n' end
      if i % 90 == 0 then list[#list + 1] = '{"i":1,}\n' end
    end
    list[#list + 1] = '{"i":5001,"kind":"a"}'
    input, all, few, bad = h.write(table.concat(list)), h.path 'all', h.path 'few', h.path 'bad'
    local got = h.run { 'run', '--json', '--from', input, h.write(([[local tm = require 'tidemill'
      local p = tm.pipeline 'p':on_error(tm.sink.file '%s')
        :filter(function(e) if e.i %% 100 == 0 then error 'hundred' end return e.kind ~= 'b' end)
      return { p:to(tm.sink.file '%s'), p:filter(function(e) return e.kind == 'c' end):to(tm.sink.file '%s'),
        tm.pipeline 'q':filter(function(e) return e.i > 4000 end):to(tm.sink.discard()) }]]):format(bad, all, few), h.path 's.lua') }
    assert.equal(0, got.code)
    s = summary_of(got)
  end)

  it('counts what came in', function()
    local c = s.counters
    local blank = number("grep -c '^[[:space:]]*$' " .. input)
    local broken = number("grep -c -e ',}' -e '^\\[' " .. input)
    local lines = number("awk 'END { print NR }' " .. input)   -- a last line without LF is one
    assert.equal(blank, c.lines_blank)
    assert.equal(broken, c.lines_bad)
    assert.equal(lines - blank - broken, c.events_in)
    assert.equal(number('wc -c <' .. input), c.bytes_in)
    assert.equal(c.events_in, s.latency_ns.count)
  end)

  it('counts what went out, by pipeline and sink', function()
    local rows = {}
    for _, flow in ipairs(s.rows) do rows[flow.flow] = flow.rows end
    local discarded = number("grep -v -e ',}' -e '^\\[' " .. input .. " | jq -n '[inputs | select(.i > 4000)] | length'")
    assert.same({
      ['p -> ' .. all] = number('wc -l <' .. all), ['p -> ' .. few] = number('wc -l <' .. few),
      ['p -> ' .. bad] = number('wc -l <' .. bad), ['q -> discard'] = discarded,
    }, rows)
    assert.equal(number('cat ' .. all .. ' ' .. few .. ' | wc -l') + discarded, s.counters.rows_out)
    assert.equal(number('cat ' .. all .. ' ' .. few .. ' | wc -c'), s.counters.bytes_out)
    assert.equal(number('wc -l <' .. bad), s.counters.rows_dead)
    assert.equal(0, s.counters.rows_discarded)
  end)

  it('counts what did not: dropped and failed events', function()
    local good = "grep -v -e ',}' -e '^\\[' " .. input .. ' | jq -n '
    local dropped_p = number(good .. "'[inputs | select(.i % 100 != 0 and .kind == \"b\")] | length'")
    local dropped_q = number(good .. "'[inputs | select(.i <= 4000)] | length'")
    assert.equal(dropped_p + dropped_q, s.counters.events_dropped)
    local failed = number(good .. "'[inputs | select(.i % 100 == 0)] | length'")
    local count, bad_lines = 0, 0
    for _, f in ipairs(s.failures) do
      if f.code == 'lua' then
        count = count + f.count
        assert.equal('filter#2', f.step)
      else
        assert.equal('decode', f.step)
        bad_lines = bad_lines + f.count
      end
    end
    assert.equal(failed, count)
    assert.equal(2 * s.counters.lines_bad, bad_lines)   -- of both pipelines that read the source
    assert.equal(number('jq -n \'[inputs | select(.code == "lua")] | length\' ' .. bad), failed)
  end)

  it('for people says the same', function()
    local got = h.run({ 'run', '-e', 'stream:filter(function(e) return e.n > 1 end)' }, '{"n":1}\n{"n":2}\n{"n":3}\n')
    local text = got.err
    for name, n in pairs { ['events in'] = 3, ['rows out'] = 2, ['events dropped'] = 1, ['events failed'] = 0 } do
      assert.equal(n, tonumber(text:match(name .. ' +(%d+)')), text)
    end
    assert.truthy(text:find('e %-> stdout +2\n'), text)
  end)

  it('events that a state took in are not dropped, and what states hold is told', function()
    local lines = '{"ts":0,"k":"a","v":1}\n{"ts":1,"k":"b","v":2}\n{"ts":61000,"k":"a","v":2}\n{"ts":500000,"k":"a","v":3}\n'
    local timed = "stream:event_time { field = 'ts', out_of_order = '10m' }:filter(function(e) return e.v > 1 end):key_by 'k':"
    for chain, want in pairs {
      ["window('s', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }"] = { 1, 3 },
      ["window('s', tm.window.hopping('1m', '2m')):aggregate { n = tm.agg.count() }"] = { 2, 2 },
      ["window('s', tm.window.session '1m'):aggregate { n = tm.agg.count() }"] = { 1, 3 },
      ["window('s', tm.window.count(2)):aggregate { n = tm.agg.count() }"] = { 1, 1 },
      ["window('s', tm.window.sliding '1m'):aggregate { n = tm.agg.count() }"] = { 1, 0 },   -- they wait
      ["running('s', { n = tm.agg.count() }, { unbounded = true, emit = 'final' })"] = { 1, 2 },
      ["running('s', { n = tm.agg.count() }, { unbounded = true }):filter(function(e) return e.n > 1 end)"] = { 3, 2 },
      ["top('s', 1, 'v', { unbounded = true, emit = 'final' })"] = { 1, 2 },
      ["process('s', { unbounded = true, state = { n = 0 }, on_event = function(e, s) s.n = s.n + 1 end })"] = { 1, 2 },
    } do
      local got = summary_of(h.run({ 'run', '--json', '-e', timed .. chain }, lines))
      assert.equal(want[1], got.counters.events_dropped, chain)
      assert.equal('e/s', got.state[1].name, chain)
      assert.equal(want[2], got.state[1].keys, chain)
      assert.is_true(got.state[1].bytes > 0, chain)
    end
  end)

  it('counts compiled traces: few, not more for more input, none without the compiler', function()
    local function traces(count, option)
      local got = h.run({ 'run', '--json', option or '--strict', h.write(([[local tm = require 'tidemill'
        return tm.pipeline 'p':from(tm.source.generate(function(i) return { i = i, k = i %% 7 } end, { count = %d }))
          :filter(function(e) return e.k < 3 end):to(tm.sink.discard())]]):format(count), h.path 's.lua') })
      return summary_of(got).counters
    end
    -- which pieces are compiled is chance (LuaJIT waits a random while before it tries one again): 18 to 31 in 70 runs, with 2,000
    -- events as with 6,000,000. A trace for each 25th batch would make 60 more of these 1,500 batches
    local short, long, none = traces(20000), traces(1500000), traces(2000, '--no-jit')
    assert.is_true(short.traces > 0 and short.traces < 60, short.traces)
    assert.is_true(long.traces > 0 and long.traces < short.traces + 30, short.traces .. ', then ' .. long.traces)
    assert.equal(0, short.trace_flushes + long.trace_flushes)
    assert.equal(0, none.traces)
  end)
end)
