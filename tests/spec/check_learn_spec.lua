--[[
`check --sample FILE` shows a schema learned from the file's events.

What it must be: accepted by `:schema`, satisfied by every event it was learned from, and no wider than the values ask for.
]]

local h = require 'spec.helper'

local function learned(text)
  local path = h.write(text)
  local r = h.run { 'check', '-e', 'stream', '--sample', path }
  return r.out:match 'learned from[^\n]*\n(.*)', r, path
end

--- The schema's lines without layout and remarks, as a table from name to type.
local function types(schema)
  local list = {}
  for name, typ in schema:gmatch "\n    (.-) = '(.-)'," do list[name] = typ end
  return list
end

describe('a schema learned from a sample', function()
  it('names the narrowest type that all values of a field have', function()
    local schema = learned(table.concat({
      '{"s":"a","i":1,"big":9007199254740993,"n":1.5,"m":12.34,"lat":52.12345,"b":true,"at":"2026-11-23T10:00:00Z","o":{"x":1}}',
      '{"s":"2026-11-23T10:00:00Z","i":-0,"big":-3,"n":2e3,"m":7,"lat":1,"b":false,"at":"2026-11-23T10:00:00.5+02:00","o":[1]}',
      '{"ts":1700000000,"ts_ms":1700000000123,"t_time":1700000000123456,"created_at":1700000000123456789,"mixed":"1"}',
      '{"ts":1700000001,"ts_ms":1700000000124,"t_time":1700000000123457,"created_at":1700000000123456790,"mixed":1}',
      '{"huge":99999999999999999999,"at_large":5,"null":null,"end":1,"a b":"x","q\\"\\\\\\n":1}',
    }, '\n') .. '\n')
    assert.same({
      s = 'string', i = 'integer', big = 'int64', n = 'number', m = 'decimal(2)', lat = 'number', b = 'boolean', at = 'time_iso8601',
      o = 'any', ts = 'time_s', ts_ms = 'time_ms', t_time = 'time_us', created_at = 'time_ns', mixed = 'any', huge = 'any',
      at_large = 'integer', ['["end"]'] = 'integer', ['["a b"]'] = 'string', ['["q\\"\\\\\\n"]'] = 'integer',
    }, types(schema))
  end)

  it('says which values stood in the way of a type, and which fields not every event has', function()
    local schema = learned '{"a":1,"b":null}\n{"a":"x","b":2}\n{"a":"y","b":3,"c":true}\n'
    assert.truthy(schema:find("a = 'any',       -- 1 number, 2 strings", 1, true), schema)
    assert.truthy(schema:find("b = 'integer',   -- 1 null", 1, true), schema)
    assert.truthy(schema:find("c = 'boolean',   -- in 1 of 3 events", 1, true), schema)
  end)

  it('is satisfied by every event it was learned from, which pass untouched', function()
    for seed = 1, 6 do
      local sample = h.shell('python3 -', ([[
import json, random
random.seed(%d)
def number(): return random.choice([0, -1, 3.25, 1e9, 12.5, 9007199254740993, 2**63, -2**63, 1700000000, 1700000000000, 1e-7])
def text(): return random.choice(['', 'x', '12', 'ä', 'a"b', '2026-01-01T00:00:00Z', '\n'])
def value(d): return random.choice([number, text, lambda: True, lambda: None, lambda: [1, 'a'], lambda: {'k': 1}, number, text])()
kinds = {n: random.choice([number, text, lambda: value(0), lambda: random.randint(0, 99), lambda: round(random.random() * 100, 2),
  lambda: True]) for n in ['a', 'ts', 'b_at', 'end', 'x y', 'é', 'q"', 'time']}
for _ in range(200):
  names = [n for n in kinds if random.random() < 0.9]
  random.shuffle(names)
  print(json.dumps({n: kinds[n]() for n in names}, ensure_ascii=random.random() < 0.5))
]]):format(seed)).out
      local schema, _, path = learned(sample)
      local script = h.write("local tm = require 'tidemill' return tm.pipeline 'p'" .. schema)
      local r = h.run { 'run', script, '--from', path, '--strict', '--quiet' }
      assert.equal(0, r.code, 'seed ' .. seed .. ': ' .. r.err .. schema)
      assert.equal(sample, r.out)
    end
  end)

  it('takes texts of CSV for what they can be read as', function()
    local path = h.write('id,price,n,ok,at,note,big,some\n1,12.30,1,true,2026-11-23T10:00:00Z,a,9007199254740993,1\n' ..
      '2,0.50,x,false,2026-11-24T10:00:00Z,,1,\n', h.path 'learn.csv')
    local r = h.run { 'check', '-e', 'stream', '--format', 'csv', '--sample', path }
    assert.same({ id = 'integer', price = 'decimal(2)', n = 'string', ok = 'boolean', at = 'time_iso8601', note = 'string',
      big = 'int64', some = 'string' }, types(r.out))
    assert.truthy(r.out:find("some = 'string',   -- 1 number, 1 string; 1 empty", 1, true), r.out)
    local script = h.write("local tm = require 'tidemill' return tm.pipeline 'p'" .. r.out:match '\n  :schema.*')
    assert.equal(0, h.run({ 'run', script, '--from', path, '--strict', '--quiet' }).code)
  end)

  it('is learned from events alone, not from the rows that steps give at the end', function()
    local r = h.run { 'check', '--sample', h.write '{"ts":1}\n{"ts":2,"x":"a"}\n', '-e',
      "stream:event_time { field = 'ts' }:window('w', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }" }
    assert.truthy(r.out:find('learned from 2 events', 1, true), r.out)
  end)

  it('is learned where pipelines share a table and take events one by one', function()
    local path = h.write '{"g":1}\n{"g":2}\n'
    local r = h.run { 'check', '--sample', path, h.write([[local tm = require 'tidemill'
      return tm.pipeline 'p':lookup(tm.table('t', { key = 'g', from = tm.pipeline 'rows', unbounded = true }), { on = 'g' })]],
      h.path 'shared.lua') }
    assert.equal(0, r.code, r.err)
    assert.truthy(r.out:find(' 2 events of ', 1, true), r.out)
    assert.same({ g = 'integer' }, types(r.out))
  end)

  it('is learned from msgpack too, and nothing from an empty file', function()
    local packed = h.shell('/usr/bin/python3 -',
      "import sys, msgpack\nsys.stdout.buffer.write(msgpack.packb({'a': 1, 'b': b'x', 'c': 'y'}))").out
    local r = h.run { 'check', '-e', 'stream', '--format', 'msgpack', '--sample', h.write(packed) }
    assert.same({ a = 'integer', b = 'any', c = 'string' }, types(r.out))
    assert.is_nil((learned ''))
  end)
end)
