--[[
chains_spec.lua - several steps with time and state one behind the other.

The short cases are worked out by hand from the sentences they name. The long one compares random chains with a reference that was written
from the same sentences and keeps everything it has seen (chains_reference.py); CHAINS is how many, from seed CHAINS_FROM (1).
]]

local h = require 'spec.helper'

--- Rows of a pipeline over events that are given as { time, key, further fields as JSON }.
local function rows_of(chain, events)
  local lines = {}
  for i, e in ipairs(events) do lines[i] = ('{"t":%d,"k":"%s"%s}\n'):format(e[1], e[2], e[3] and ',' .. e[3] or '') end
  local r = h.run({ 'run', '--json', '-e', "stream:event_time { field = 't' }" .. chain }, table.concat(lines))
  assert.equal(0, r.code, r.err)
  return h.rows(r.out), h.decode(r.err:match '(%b{})\n$').counters
end

local function window(from, to, fields)
  fields.window_start, fields.window_end = from, to
  return fields
end

describe('chains', function()
  -- semantics.md, 10: rows made by process inherit the key
  it('process behind a sliding window: rows of its timers and of keys that expire have the key of the timer', function()
    for _, behind in ipairs { '', ":window('n', tm.window.tumbling '100ms'):aggregate { n = tm.agg.count() }",
      ":key_by 'of':running('r', { n = tm.agg.count() }, { max_keys = 9 })" } do
      local got = rows_of([[:key_by 'k':window('w', tm.window.sliding '10ms'):aggregate { n = tm.agg.count() }
        :process('p', { ttl = '20ms', on_event = function(e, s, ctx) ctx.timer('t', ctx.time + 5) end,
          on_timer = function(name, s, ctx) ctx.emit { of = ctx.key } end,
          on_expire = function(s, ctx) ctx.emit { of = ctx.key } end })]] .. behind, { { 0, 'a' }, { 3, 'b' }, { 50, 'c' }, { 51, 'b' } })
      -- a: timer at 5, gone at 25 (a timer is a use); b: 8 and 28; c: 55 and 75; b again: 56 and 76
      if behind == '' then
        assert.same({ { of = 'a' }, { of = 'b' }, { of = 'a' }, { of = 'b' }, { of = 'c' }, { of = 'b' }, { of = 'c' }, { of = 'b' } }, got)
      elseif behind:find 'window' then
        assert.same({ window(0, 100, { k = 'a', n = 2 }), window(0, 100, { k = 'b', n = 4 }), window(0, 100, { k = 'c', n = 2 }) }, got)
      else
        assert.same({ { of = 'a', n = 1 }, { of = 'b', n = 1 }, { of = 'a', n = 2 }, { of = 'b', n = 2 }, { of = 'c', n = 1 },
          { of = 'b', n = 3 }, { of = 'c', n = 2 }, { of = 'b', n = 4 } }, got)
      end
    end
  end)

  -- 3: rows that a step makes while w passes are never late behind it
  it("nothing that emit 'closed' sends at the end of its lateness is late for the window behind", function()
    local events = {}
    for t = 0, 297, 3 do events[#events + 1] = { t, 'a' } end
    for _, of in ipairs { "tumbling '20ms'", "hopping('20ms', '5ms')", "session '2ms'" } do
      local chain = ([[:key_by 'k':window('w', tm.window.%s, { lateness = '50ms' })SHOWN:emit 'closed'
        :window('w2', tm.window.tumbling '20ms'):aggregate { n = tm.agg.sum 'n' }]]):format(of)
      for _, shown in ipairs { ':aggregate { n = tm.agg.count() }', ':apply(function(key, w, rows, emit) emit { n = #rows } end)' } do
        local got, counters = rows_of(chain:gsub('SHOWN', (shown:gsub('%%', '%%%%'))), events)
        local sum = 0
        for _, row in ipairs(got) do sum = sum + row.n end
        assert.equal(of:find 'hopping' and 400 or 100, sum, of)   -- each event is in four of the hopping windows
        assert.equal(0, counters.events_late)
      end
    end
  end)

  -- api.md, 3: with lateness one more row per late event; early rows come before the end
  it('an event behind the end gives one row, also where early rows are counted', function()
    local events = { { 0, 'a' }, { 12, 'a' }, { 3, 'a' }, { 4, 'a' }, { 5, 'a' } }
    local function row(to, n, revision) return window(0, to, { k = 'a', n = n, revision = revision }) end
    local chain = ":key_by 'k':window('w', tm.window.%s, { lateness = '50ms' }):aggregate { n = tm.agg.count() }" ..
      ':emit { early = { count = 2 }%s }'
    assert.same({ row(10, 1), row(10, 2, 1), row(10, 3, 2), row(10, 4, 3), window(10, 20, { k = 'a', n = 1 }) },
      (rows_of(chain:format("tumbling '10ms'", ''), events)))
    assert.same({ row(10, 1), row(10, 1, 1), row(10, 1, 2), row(10, 1, 3), window(10, 20, { k = 'a', n = 1 }) },
      (rows_of(chain:format("tumbling '10ms'", ', accumulate = false'), events)))
    assert.same({ row(4, 1), row(7, 2, 1), row(8, 3, 2), row(9, 4, 3), window(12, 16, { k = 'a', n = 1 }) },
      (rows_of(chain:format("session '4ms'", ''), events)))
  end)

  -- 17: unmatched rows come when w passes the last time a partner could have
  it('an event on both sides of a join that is past when it comes is sent without a partner', function()
    local rights = { { k = 'y', right = { t = 10, k = 'y' } }, { k = 'x', right = { t = 10, k = 'x', i = 1 } } }
    for kind, more in pairs { left = {}, full = rights } do
      local r = h.run({ 'run', '--quiet', '-e', ([[(function()
        local s = stream:event_time { field = 't' }
        return s:join('previous', s, { on = 'k', within = { before = '1m', after = '-1ms' }, kind = '%s' })
      end)()]]):format(kind) }, '{"t":10,"k":"y"}\n{"t":10,"k":"x","i":1}\n')
      local got, want = {}, { { t = 10, k = 'y' }, { t = 10, k = 'x', i = 1 } }
      for _, row in ipairs(more) do want[#want + 1] = row end
      for i, row in ipairs(h.rows(r.out)) do got[i] = row end
      assert.same(want, got, kind)
    end
  end)

  -- api.md, 2 and 3: int64 is digits always; integers are summed exactly
  it("a sum of int64 may have its field's name", function()
    local input = '{"n":9007199254740993}\n{"n":5}\n{"n":9223372036854775807}\n{"n":-7}\n'
    local r = h.run({ 'run', '-e', [[stream:schema { n = 'int64' }:running('r', { n = tm.agg.sum 'n' }, { unbounded = true })
      :set { more = function(e) return tm.i64.add(e.n, '1') end }]] }, input)
    assert.equal([[
{"more":"9007199254740994","n":9007199254740993}
{"more":"9007199254740999","n":9007199254740998}
{"more":"9007199254740992","n":9007199254740991}
]], (r.out:gsub('{"n":(%d+),"more":("%d+")}', '{"more":%2,"n":%1}')))
    assert.truthy(r.err:find("field 'n' is declared int64, found '9232379236109516805'", 1, true), r.err)
    r = h.run({ 'run', '-e', "stream:schema { n = 'number' }:running('r', { n = tm.agg.sum 'n' }, { unbounded = true })" },
      '{"n":9007199254740990}\n{"n":5}\n')
    assert.equal('{"n":9007199254740990}\n', r.out)
    assert.truthy(r.err:find("field 'n' is declared number, found 9007199254740995", 1, true), r.err)
  end)

  it('a state without fields says so', function()
    local _, r = h.e("stream:process('p', { unbounded = true, on_event = function(e, s) s.n = 1 end })", { '{}' })
    assert.truthy(r.err:find("the state has no field 'n'; it has none; declare it", 1, true), r.err)
  end)

  it('of any steps are what a slow reference of each says', function()
    local count, from = tonumber(os.getenv 'CHAINS') or 40, tonumber(os.getenv 'CHAINS_FROM') or 1
    for _, option in ipairs { '', '--no-jit' } do
      local n = option == '' and count or math.ceil(count / 3)
      local r = h.shell(('python3 tests/spec/chains_random.py %s %s %d %d %s'):format(h.quote(h.bin), h.folder(), from, from + n - 1,
        option))
      assert.equal('0', r.out:match '(%d+) wrong\n$', r.out .. r.err)
    end
  end)
end)
