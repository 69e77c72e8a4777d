--[[
rows_spec.lua - rows that C writes in one call just before a sink (select of written events, results of aggregates, lists of top) are
those that Lua writes field by field: the same pipeline gives the same bytes when a map that changes nothing stands in front of the sink.
What these rows say is compared with sqlite3 and Python elsewhere; here it is that the two ways cannot differ.
]]

local h = require 'spec.helper'

local SAME = ':map(function(e) return e end)'

-- keys of all kinds, texts with escapes, numbers in all spellings, nested values, fields that come twice or not at all
local function events()
  math.randomseed(7)
  local keys = { '1', '1.0', '-0', '"1"', '"a b"', '"q\\"\\u00e9\\n"', 'true', 'false', '12345678901234567890', '1e3', '""', '0.1',
    '"' .. ('long'):rep(40) .. '"' }
  local values = { '1', '2.5', '-3', '1e2', '0.1', '99999999999', '1.10', '7' }
  local rows = {}
  for i = 1, 1500 do
    local k, v = keys[math.random(#keys)], values[math.random(#values)]
    rows[i] = ('{"ts":%d, "k":%s,"g":%s ,"v":%s,"s":"t%d%s","o":{"b":[1, %d],"a":{"x":%s}}%s}'):format(i * 50, k,
      keys[math.random(#keys)], v, math.random(50), math.random(9) == 1 and '\\t\\u0001' or '', i, v,
      ({ ',"extra":"e"', ',"v2":null', ',"s2":"a","s2":"b"', '', ',"rank":5,"a":1' })[i % 5 + 1])
  end
  return table.concat(rows, '\n') .. '\n'
end

describe('rows written in one call', function()
  local input = events()

  --- Runs steps with and without the map, and compares. `...`: of the command.
  local function same(steps, ...)
    local head, extra = "local tm = require 'tidemill'\nreturn tm.pipeline 'p'", { ... }
    local fast = h.script(head .. steps, input, unpack(extra))
    local slow = h.script(head .. steps .. SAME, input, unpack(extra))
    assert.equal(fast.code, slow.code, steps .. fast.err .. slow.err)
    assert.is_true(#fast.out > 20, steps .. ': ' .. fast.out .. fast.err)
    assert.is_true(fast.out == slow.out, steps .. '\n' .. fast.out:sub(1, 600) .. '\n' .. slow.out:sub(1, 600))
    return fast.out
  end

  local formats = { {}, { '--no-jit' }, { '--out-format', 'msgpack' } }

  it('select of events that were written to', function()
    for _, steps in ipairs {
      ":set { v = function(e) return e.v * 2 end }:select { 'v', 'k', 'gone', 's' }",
      ":map(function(e) e.s = nil e.o = nil e.t = 'x\\ty' return e end):select { 's', 't', 'k', 'o', 'v' }",
      ":map(function(e) e.o.a.x = 'in' return e end):select { 'o', 'k' }",
      ":map(function(e) e.o = { 1, 2 } e.v2 = tm.null e.b = true return e end):select { 'b', 'v2', 'o', 'extra' }",
      ":map(function(e) if e.v == 7 then return { v = 1, t = e.s } end return e end):select { 'v', 't', 's2' }",
      ":flat_map(function(e, emit) e.n = 1 emit(e) emit { v = e.v, n = 2, o = e.o } end):select { 'n', 'v', 'o', 's2' }",
      ":rename { v = 'w', s = 'v' }:select { 'v', 'w', 'o' }",
      ":schema { v = 'number', s = 'string' }:set { s = function(e) return e.s .. '!' end }:select { 's', 'v' }",
    } do
      for _, extra in ipairs(formats) do same(steps, unpack(extra)) end
    end
  end)

  it('a value that cannot be written fails its event alone, and is named', function()
    local steps = ":set { w = function(e) return e.v == 7 and 0 / 0 or e.v end }:select { 's', 'w' }"
    local r = h.script("local tm = require 'tidemill'\nreturn tm.pipeline 'p'" .. steps, input)
    assert.truthy(r.err:find("field 'w' holds a value that JSON cannot carry: NaN", 1, true), r.err)
    same(steps)
  end)

  it('results of running', function()
    local aggregates = [[{ n = tm.agg.count(), many = tm.agg.count { where = function(e) return e.v > 2 end }, sum = tm.agg.sum 'v',
      avg = tm.agg.avg 'v', least = tm.agg.min 'v', last = tm.agg.last 's', first = tm.agg.first 's2', most = tm.agg.max 's',
      kinds = tm.agg.distinct 's', none = tm.agg.avg 'v2', ['a "name" é'] = tm.agg.count() }, { unbounded = true }]]
    for _, key in ipairs { '', ":key_by 'k'", ":key_by { 'g', 'k' }", ":key_by { 'k', 'g', 's' }", ":key_by('extra', { missing = 'keep' })",
      ":key_by(function(e) return e.s .. 'é' end, 'of')", ":set { d = function(e) return e.s end }:key_by { 'k', 'd' }",
      ":schema { k = 'any', v = 'decimal(2)' }:key_by 'g'" } do
      same(key .. ":running('r', " .. aggregates .. ')')
    end
    for _, extra in ipairs(formats) do same(":key_by { 'g', 'k' }:running('r', " .. aggregates .. ')', unpack(extra)) end
    -- sums that a double does not hold, booleans and objects that are kept
    same(":set { v = function(e) return e.v * 1e17 + 1 end }:key_by 's':running('r', { sum = tm.agg.sum 'v', mean = tm.agg.avg 'v' }, \z
      { unbounded = true })")
    same(":key_by 's':running('r', { o = tm.agg.last 'o', k = tm.agg.first 'k' }, { unbounded = true })")
    same(":key_by 's':running('r', { hot = tm.agg.heavy_hitters('v', 3), n = tm.agg.count() }, { unbounded = true })")
  end)

  it('results of windows', function()
    local head = ":event_time { field = 'ts', out_of_order = '1s' }"
    local aggregates = ":aggregate { n = tm.agg.count(), sum = tm.agg.sum 'v', most = tm.agg.max 's' }"
    for _, key in ipairs { '', ":key_by 'k'", ":key_by { 'g', 'k' }", ":key_by('extra', { missing = 'keep' })",
      ":schema { s = 'string' }:key_by { 's', 'k' }" } do
      for _, more in ipairs { '', ":emit { early = '3s' }", ":emit 'retract'", ":emit { mode = 'final', accumulate = false }" } do
        same(head .. key .. ":window('w', tm.window.tumbling '10s'" .. (more == ":emit 'retract'" and ", { lateness = '2s' }" or '') ..
          ')' .. aggregates .. more)
      end
    end
    same(head .. ":key_by 'k':window('w', tm.window.hopping('10s', '4s'))" .. aggregates)
    same(head .. ":key_by 'k':window('w', tm.window.tumbling '10s')" .. aggregates, '--out-format', 'msgpack')
  end)

  it('lists of top', function()
    for _, steps in ipairs { ":top('t', 3, 'v'%s)", ":key_by 'k':top('t', 2, 'v'%s)", ":key_by 'g':top('t', 4, 's', { order = 'asc'%s })",
      ":event_time { field = 'ts' }:key_by 'k':top('t', 3, 'v'%s)", ":set { s = function(e) return e.s .. '!' end }:top('t', 3, 's'%s)",
      ":map(function(e) return { v = e.v, ['a\"b'] = e.s } end):top('t', 3, 'v'%s)",
      ":schema { k = 'any', rank = 'number' }:top('t', 3, 'v'%s)" } do
      for _, behind in ipairs { '', ":select { 'rank', 's', 'v', 'revision', 'gone' }", ":select { 'o', 's2', 'a' }" } do
        local text = steps:format(steps:find('{ order', 1, true) and ', unbounded = true' or ', { unbounded = true }')
        same(text .. behind)
      end
    end
  end)

  it('lists of top in other formats', function()
    local steps = ":key_by 'k':top('t', 2, 'v', { unbounded = true }):select { 'rank', 's', 'o' }"
    for _, extra in ipairs(formats) do same(steps, unpack(extra)) end
  end)

  it('as CSV, where each row has all columns', function()
    for _, steps in ipairs { ":set { w = function(e) return e.v + 1 end }:select { 'w', 's', 'k', 'o' }",
      ":key_by { 'g', 's' }:running('r', { n = tm.agg.count(), avg = tm.agg.avg 'v', last = tm.agg.last 's' }, { unbounded = true })",
      ":event_time { field = 'ts' }:key_by 's':window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count(), v = tm.agg.max 'v' }",
      ":key_by 'k':top('t', 2, 'v', { unbounded = true }):select { 'rank', 's', 'o' }" } do
      same(steps, '--out-format', 'csv')
    end
  end)

  it('refuses what is one row too many, in either way', function()
    local r = h.script("local tm = require 'tidemill'\nreturn tm.pipeline 'p':top('t', 6, 'v', { unbounded = true })", input,
      '--max-rows', '5')
    assert.truthy(r.err:find("top 't' has 6 rows, more than one event may make (--max-rows)", 1, true), r.err)
  end)
end)
