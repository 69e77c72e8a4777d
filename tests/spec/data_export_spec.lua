--[[ `tidemill state export` and `import`, `snapshot export`: states as lines of JSON, in words that are known from elsewhere; into a new
folder and out again byte for byte; that a run goes on from what was imported as it would have; what cannot be read. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

local KINDS = [[
local tm = require 'tidemill'
local s = tm.pipeline 'p':event_time { field = 'ts', unit = 'ms' }:key_by { 'k', 'j' }
local versions = tm.table('versions', { key = 'k', from = tm.source.file(tm.setting 'rows'), time = 'ts', versioned = '1h' })
local latest = tm.table('latest', { key = { 'k', 'j' }, from = tm.source.file(tm.setting 'rows'),
  delete = function(e) return e.n % 7 == 0 end })
local function out(name) return tm.sink.file(tm.setting 'out' .. '.' .. name) end
local agg = tm.agg
return {
  s:running('sums', { n = agg.count(), s = agg.sum 'v', m = agg.max 'w', least = agg.min 'w', f = agg.first 'w', l = agg.last 'v',
    d = agg.distinct 'v', e = agg.distinct 'v', q = agg.quantile('v', 0.5), t = agg.top(3, 'v'), c = agg.collect { max = 5 },
    ad = agg.approx_distinct 'v',
    sd = agg.stddev 'v', ew = agg.ewma('v', { half_life = '5s' }), hh = agg.heavy_hitters('v', 3), a = agg.argmax('v', 'n'),
    x = agg.custom { init = function() return { 0 } end, add = function(acc) acc[1] = acc[1] + 1 return acc end } }, { max_keys = 100 })
    :to(out 'sums'),
  s:dedup('once', { on = 'n', max_keys = 100 }):top('top', 2, 'v', { max_keys = 100 }):to(out 'top'),
  s:dedup('last', { on = 'v', within = '5s', keep = 'last' }):to(out 'last'),
  s:dedup('changes', { on = 'v', keep = 'last', max_keys = 50 }):to(out 'changes'),
  s:running('final', { n = agg.count() }, { emit = 'final', ttl = '1h' }):to(out 'final'),
  s:lookup(versions, { on = 'k', as = 'a' }):lookup(latest, { on = { k = 'k', j = 'j' }, as = 'b' })
    :throttle('slow', { rate = '2/s', unbounded = true }):suppress('calm', { by = 'k', within = '1s', max_keys = 100 }):to(out 'calm'),
  s:window('w', tm.window.tumbling '1s'):aggregate { n = agg.count() }:to(out 'w'),
  s:process('own', { ttl = '1h', max_keys = 500, state = { n = 0, i = 'integer', b = 'boolean', t = '', x = 'any', none = 'number',
    ln = tm.state.list { of = 'number', max = 4 }, la = tm.state.list { ttl = '2s' }, ms = tm.state.map { key = 'string', of = 'integer' },
    ma = tm.state.map { max = 3, ttl = '3s' }, mb = tm.state.map { key = 'number', of = 'boolean' }, ss = tm.state.set { of = 'string' },
    sa = tm.state.set { ttl = '1s' } },
    on_event = function(e, s, ctx)
      s.n, s.i, s.b, s.t = s.n + e.v, e.n, e.n % 2 == 0, 'öé\255\0' .. e.n
      s.x = { e.k, e.w, { tm.bin '\1\2', e.n % 3 == 0 and tm.null or 'z' } }
      if e.n % 11 == 0 then s.i, s.b, s.t, s.x, s.n = nil, nil, '', -0.0, e.n % 2 == 0 and 1 / 0 or -1 / 0 end
      s.ln:push(e.v) s.la:push { e.n } s.ms:set('k' .. e.n % 5, e.n) s.ma:set(e.k, tostring(e.w)) s.mb:set(e.w, e.n > 20)
      s.ss:add('s' .. e.n % 4 .. '\254') s.sa:add(e.v)
      ctx.timer('t' .. e.n % 2, ctx.time + 5000) ctx.wall_timer('wall', '2h')
      ctx.emit { k = e.k, n = e.n, sum = s.ln:size() }
    end, on_timer = function(name, s, ctx) ctx.emit { k = ctx.key.k, timer = name, at = ctx.time, i = s.i } end }):to(out 'own') }
]]

local function events(seed, from, to)
  local state, list = seed * 48271 + 11, {}
  local function pick(...)
    state = state * 16807 % 2147483647
    return (select(state % select('#', ...) + 1, ...))
  end
  for i = from, to do
    list[#list + 1] = ('{"ts":%d,"k":%s,"j":%s,"v":%s,"w":%s,"n":%d}\n'):format(i * 40, pick('"a"', '1', '"b\\u00e9"', 'true', '"1"'),
      pick('9007199254740993', '"x\\u0000"', '-0.5', 'false'), pick('1', '2', '1e300', '-0.25', '7'), pick('0.1', '3', '1e-300'),
      pick(1, 2, 3, 5, 8) * 7 % 50 + i % 3)
  end
  return table.concat(list)
end

local function kept(path, o, ...)
  local args = { ... }
  for _, a in ipairs { path, '--data', o.data, '--set', 'out=' .. (o.out or 'x'), '--set', 'rows=' .. (o.rows or 'x') } do
    args[#args + 1] = a
  end
  return args
end

local function export(path, o)
  local got = h.run(kept(path, o, 'state', 'export'))
  assert.equal(0, got.code, got.err)
  return got.out, got.err
end

--- Runs with these events, then ends by TERM; file: whose size tells that all were done, and how many lines it has then.
local function begun(path, o, text, file, lines)
  local fifo = r.fifo()
  local p = r.start(kept(path, o, 'run', '--quiet'), { stdin = fifo })
  local f = assert(io.open(fifo, 'w'))
  f:write(text)
  f:flush()
  r.wait_until('rows', function() return p:code() or select(2, (h.read(file) or ''):gsub('\n', '\n')) >= lines end)
  p:signal 'TERM'
  assert.equal(0, p:wait(), p:err())
  f:close()
end

local SMALL = [[
local tm = require 'tidemill'
return tm.pipeline 'p':event_time { field = 'ts' }:key_by 'k':process('s', { ttl = '1h', state = { n = 0, x = 'any', t = '',
  m = tm.state.map { key = 'string', of = 'number' }, l = tm.state.list { ttl = '1h' } }, on_event = function(e, s, ctx)
    s.n, s.t, s.x = e.n == 'inf' and 1 / 0 or e.n == '-0' and -0.0 or e.n, e.bin and '\255\254' or 't', e.bin and { tm.bin '\1\2' } or e.x
    s.m:set(tostring(e.k), e.ts) s.l:push(e.ts) if e.ts % 2 == 1 then ctx.timer('soon', e.ts + 500) end ctx.emit { k = e.k }
  end, on_timer = function(name, s, ctx) ctx.emit { k = ctx.key, timer = name, at = ctx.time, n = s.n } end })
  :to(tm.sink.file(tm.setting 'out'))
]]

describe('state export and import', function()
  after_each(r.stop_all)

  it('writes each value in the form that is documented', function()
    local path, o = h.write(SMALL, h.path 's.lua'), { out = h.path 'out', data = h.path 'data' }
    begun(path, o, '{"ts":1,"k":"a","n":0.1,"x":{"b":[1,null],"a":"é"}}\n' ..
      '{"ts":2,"k":2,"n":"inf","bin":true}\n{"ts":4,"k":true,"n":"-0","x":"y"}\n',
      o.out, 3)
    -- the bytes C4 02 01 02 in an array (91) are msgpack's, /v4= is base64 of FE and so on: by hand
    assert.equal(table.concat {
      '{"state":"p/s","key":["a"],"value":{"l":[1],"n":0.1,"m":[["a",1]],"t":"t","x":{"a":"é","b":[1,null]}},' ..
        '"more":{"l":{"least":1,"top":1,"slack":0,"times":[1]},"":{"born":1,"written":1}},"due":3600001}\n' } ,
      (export(path, o)):match '^[^\n]*\n')
    local lines = h.rows((export(path, o)))
    assert.same({ n = { ['$number'] = 'inf' }, t = { ['$bytes'] = '//4=' }, x = { ['$msgpack'] = 'kcQCAQI=' }, m = h.null, l = h.null },
      { n = lines[2].value.n, t = lines[2].value.t, x = lines[2].value.x, m = h.null, l = h.null })
    assert.same({ 2 }, lines[2].key)
    assert.same({ { true }, { ['$number'] = '-0' }, 'y' }, { lines[3].key, lines[3].value.n, lines[3].value.x })
    assert.same({ state = 'p/s/timers', key = { 'soon', { 'a' } }, more = { [''] = { born = 1 } }, due = 501 },
      { state = lines[4].state, key = lines[4].key, more = lines[4].more or { [''] = lines[4].value }, due = lines[4].due })
  end)

  it('gives the same bytes behind an import into a new folder, for every kind of state', function()
    local path, rows = h.write(KINDS, h.path 's.lua'), h.write(events(3, 1, 60), h.path 'rows.ndjson')
    for seed = 1, 4 do
      local o = { out = h.path 'out', data = h.path 'data', rows = rows }
      begun(path, o, events(seed, 1, 200), o.out .. '.own', 200)
      local text = export(path, o)
      local seen = {}
      for _, row in ipairs(h.rows(text)) do
        local name = row.state or row.clock
        seen[name] = (seen[name] or 0) + (name == 'p/w' and 3 or 1)   -- of these windows only the last is open
      end
      for _, name in ipairs { 'versions', 'latest', 'p/sums', 'p/once', 'p/top', 'p/last', 'p/changes', 'p/final', 'p/slow', 'p/calm',
        'p/w',
        'p/own', 'p/own/timers', 'p/own/wall_timers' } do assert.is_true((seen[name] or 0) > 2, name .. ': ' .. tostring(seen[name])) end
      local again = { out = h.path 'out2', data = h.path 'data2', rows = rows }
      local got = h.run(kept(path, again, 'state', 'import'), text)
      assert.equal(0, got.code, got.err)
      assert.truthy(got.err:find('%d+ keys imported'), got.err)
      h.compare(text, (export(path, again)), 'seed ' .. seed)
      -- what was imported replaces what is there
      got = h.run(kept(path, again, 'state', 'import'), text)
      assert.equal(0, got.code, got.err)
      local sorted = function(t) local l = h.lines(t) table.sort(l) return table.concat(l, '\n') end
      h.compare(sorted(text), sorted((export(path, again))), 'twice, seed ' .. seed)
    end
  end)

  it('lets a run go on as it would have', function()
    local path = h.write(SMALL, h.path 's.lua')
    local one, two = { out = h.path 'out', data = h.path 'data' }, { out = h.path 'out2', data = h.path 'data2' }
    local list = {}
    for i = 1, 40 do list[i] = ('{"ts":%d,"k":"k%d","n":%d}\n'):format(i * 3, i % 5, i) end
    begun(path, one, table.concat(list, '', 1, 20), one.out, 20)
    local got = h.run(kept(path, two, 'state', 'import'), (export(path, one)))
    assert.equal(0, got.code, got.err)
    local rest = h.write(table.concat(list, '', 21))
    for _, o in ipairs { one, two } do
      got = h.shell('cat ' .. rest .. ' | ' .. h.command(kept(path, o, 'run', '--quiet')))
      assert.equal(0, got.code, got.err)
    end
    local rows, later = h.rows(h.read(one.out)), h.rows(h.read(two.out))
    assert.is_true(#later > 23)
    for i, row in ipairs(later) do assert.same(rows[20 + i], row) end
    assert.equal(#rows, #later + 20)
  end)

  it('takes all lines or none, and says which one cannot be read and why', function()
    local path, o = h.write(SMALL, h.path 's.lua'), { out = h.path 'out', data = h.path 'data' }
    local good = '{"state":"p/s","key":["a"],"value":{"n":1}}\n'
    local cases = {
      ['{"state":"p/s","key":["b"],"value":{"nn":1}}'] = "line 2: \"value\": the state has no field 'nn' %(did you mean 'n'%?%)",
      ['{"state":"p/x","key":["b"]}'] = "line 2: the script has no state 'p/x' %(did you mean 'p/s'%?%)",
      ['{"state":"p/s","key":["b"],"value":{"n":"1"}}'] = "line 2: field 'n': expected a number or null",
      ['{"state":"p/s","key":["b"],"value":{"m":[["a"]]}}'] = "line 2: field 'm', element 1: expected %[key, value%]",
      ['{"state":"p/s","key":["b"],"value":{"m":[[1,1]]}}'] = "line 2: field 'm', element 1: expected a string",
      ['{"state":"p/s","key":["b"],"value":{"l":{}}}'] = "line 2: field 'l': expected an array",
      ['{"state":"p/s","key":["b"],"value":{"x":{"$msgpack":"wcE="}}}'] = "line 2: field 'x': expected the bytes of a value of msgpack",
      ['{"state":"p/s","key":["b",1]}'] = 'line 2: "key" has 2 parts, and that of the state has 1',
      ['{"state":"p/s","key":"b"}'] = 'line 2: "key" is an array of the parts of the key',
      ['{"state":"p/s","key":[{"a":1}]}'] = 'line 2: "key", part 1: expected a string, number, boolean or null',
      ['{"state":"p/s","key":["b"],"vale":{}}'] = "line 2: a line has no member 'vale' %(did you mean 'value'%?%)",
      ['{"state":"p/s","key":["b"],"due":"x"}'] = 'line 2: "due" is a time in whole ms',
      ['{"state":"p/s","key":["b"],"more":{"l":{"lest":1}}}'] = "line 2: \"more\": the field 'l' has no part 'lest'",
      ['{"state":"p/s/timers","key":["t"]}'] = 'line 2: "key" of a timer is an array of its name and the parts of a key',
      ['{"state":"p/s"'] = 'line 2: no valid JSON at byte 15',
      ['[1]'] = 'line 2: a line is an object',
    }
    for line, wanted in pairs(cases) do
      local got = h.run(kept(path, o, 'state', 'import'), good .. line .. '\n' .. good)
      assert.equal(1, got.code, line .. got.err)
      assert.truthy(got.err:find(wanted .. '.*; nothing was imported'), line .. got.err)
      assert.equal('', (export(path, o)))
    end
    local got = h.run({ 'state', 'import', path, '--set', 'out=x' }, good)
    assert.equal(2, got.code)
    assert.truthy(got.err:find('state import needs the folder in which the run is kept', 1, true), got.err)
    local fifo = r.fifo()
    local p = r.start(kept(path, o, 'run', '--quiet'), { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    r.wait_until('in use', function() return h.run(kept(path, o, 'state', 'import'), good).code == 2 end)
    got = h.run(kept(path, o, 'state', 'import'), good)
    assert.truthy(got.err:find('in use', 1, true), got.err)
    p:signal 'TERM'
    p:wait()
    f:close()
  end)

  it('writes what a snapshot holds', function()
    local path, o = h.write(SMALL, h.path 's.lua'), { out = h.path 'out', data = h.path 'data' }
    local function snapshot(...) return h.run(kept(path, o, 'snapshot', 'export', ...)) end
    begun(path, o, '{"ts":1,"k":"a","n":1}\n{"ts":2,"k":2,"n":2}\n', o.out, 2)
    local got = snapshot()
    assert.equal(1, got.code)
    assert.truthy(got.err:find("there is no snapshot yet; 'tidemill snapshot make", 1, true), got.err)
    assert.equal(0, h.run { 'snapshot', 'make', o.data }.code)
    local then_ = export(path, o)
    begun(path, o, '{"ts":3,"k":"c","n":3}\n', o.out, 3)
    assert.are_not.equal(then_, (export(path, o)))
    assert.equal(then_, snapshot().out)
    local epoch = h.decode(h.run { 'snapshot', 'ls', '--json', o.data }.out)[1].epoch
    assert.equal(then_, snapshot(('%.0f'):format(epoch)).out)
    got = snapshot '999'
    assert.equal(1, got.code)
    assert.truthy(got.err:find(('there is no snapshot of epoch 999; there is that of %.0f'):format(epoch), 1, true), got.err)
  end)
end)
