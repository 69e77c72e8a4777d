--[[
joins_behind_spec.lua - what stands behind a join of two pipelines and keeps state.

A join of two pipelines that both see the whole input is the join of one: the same bytes come out of both, whatever stands behind
(joins_spec.lua compares those of one with a slow reference). What two files give is what sqlite3 says. A link, which takes the rows into
a pipeline with its own event time, gives the same rows. And what fails, dies and is told of it.
]]

local h = require 'spec.helper'
local compare = h.compare

local function pick(list) return list[math.random(#list)] end

--- Events of three sides, out of order.
local function stream(seed, n, gap, disorder, keys)
  math.randomseed(seed)
  local lines, t = {}, 1000
  for i = 1, n do
    t = t + (math.random() < 0.02 and gap * 40 or math.random(0, gap))
    local late = math.random() < 0.25 and math.random(0, disorder) or 0
    lines[i] = ('{"s":"%s","k":%d,"m":%d,"ts":%d,"v":%d,"i":%d}'):format(pick { 'l', 'l', 'r', 'r', 'c' }, math.random(1, keys),
      math.random(1, 3), t - late, math.random(0, 30), i)
  end
  return table.concat(lines, '\n') .. '\n'
end

-- what may stand behind, each with names of its own: # is a number
local BEHIND = {
  ":key_by 'k':window('w#', tm.window.tumbling '7s'):aggregate { n = tm.agg.count(), s = tm.agg.sum 'v', l = tm.agg.last 'i' }",
  ":key_by { 'k', 'm' }:window('w#', tm.window.hopping('8s', '1s')):aggregate { n = tm.agg.count(), x = tm.agg.max 'v' }",
  ":window('w#', tm.window.hopping('4s', '2s'), { lateness = '3s' }):aggregate { n = tm.agg.count(), d = tm.agg.distinct 'v' }",
  ":key_by 'k':window('w#', tm.window.session '2s', { lateness = '1s' }):aggregate { n = tm.agg.count() }:emit 'retract'",
  ":key_by 'm':window('w#', tm.window.tumbling '5s', { lateness = '9s' }):aggregate { n = tm.agg.count() }:emit 'updates'",
  ":key_by 'k':window('w#', tm.window.count(7, { slide = 3 })):aggregate { n = tm.agg.count(), f = tm.agg.first 'i' }",
  ":window('w#', tm.window.global()):aggregate { n = tm.agg.count() }:emit { early = '20s' }",
  ":key_by 'k':window('w#', tm.window.sliding '3s'):aggregate { n = tm.agg.count(), a = tm.agg.avg 'v' }",
  [[:key_by 'k':window('w#', tm.window.session '4s'):apply(function(k, w, rows, emit)
    local n = 0 for _, e in ipairs(rows) do n = n + (e.v or 0) end emit { n = n, at = w.window_start } end)]],
  ":key_by 'k':over('o#', { n = tm.agg.count { over = '5s' }, s = tm.agg.sum('v', { over = '2s' }) })",
  ":key_by 'k':running('n#', { n = tm.agg.count(), s = tm.agg.sum 'v' }, { unbounded = true })",
  ":key_by { 'm', 'k' }:running('n#', { n = tm.agg.count() }, { ttl = '20s' })",
  ":key_by 'k':running('n#', { n = tm.agg.count() }, { unbounded = true, emit = 'final' })",
  ":key_by 'm':top('t#', 3, 'v', { unbounded = true }):select { 'm', 'v', 'i', 'rank', 'revision' }",
  ":top('t#', 5, 'v', { unbounded = true, emit = 'final' })",
  ":dedup('d#', { on = 'k', within = '6s' })",
  ":key_by 'm':dedup('d#', { on = { 'k', 'm' }, within = '6s', keep = 'last' })",
  ":dedup('d#', { on = 'm', max_keys = 100, keep = 'last' })",
  ":throttle('h#', { rate = '1/s', by = 'k', max_keys = 100 })",
  ":suppress('u#', { by = 'k', within = '3s', max_keys = 100 })",
  [[:key_by 'k':process('p#', { state = { n = 0, seen = tm.state.list { of = 'number', max = 3 } }, unbounded = true,
    on_event = function(e, s, ctx) s.n = s.n + 1 s.seen:push(e.v or 0)
      if tm.time(e) then ctx.timer('t', tm.time(e) + 4000) end end,
    on_timer = function(name, time, s, ctx) ctx.emit { k = ctx.key, n = s.n, of = s.seen:size(), time = time } end })]],
  ":flat_map(function(e, emit) emit(e) if e.v and e.v > 20 then emit { k = e.k, m = e.m, v = 1 } end end):dedup('d#', { on = 'v', within = '1s' })",
  ":key_by 'k':event_time { field = 'ts', out_of_order = '3s' }:window('w#', tm.window.tumbling '5s'):aggregate { n = tm.agg.count() }",
  ":filter(function(e) return e.v ~= 3 end):key_by 'm':running('n#', { n = tm.agg.count() }, { max_keys = 2 })",
}

local function behind(n) return (pick(BEHIND):gsub('#', tostring(n))) end

local function options(kind, as, where)
  local span = pick { "within = { before = '2s', after = '5s' }", "within = { after = '9s' }", 'unbounded = true',
    "within = { before = '-1s', after = '3s' }" }
  return ("{ on = 'k', kind = '%s', as = '%s', %s%s }"):format(kind, as, span,
    where and ', where = function(l, r) return ((l.v or 0) + (r.v or 0)) % 3 ~= 0 end' or '')
end

local function a_join(name, right, as)
  local kind = pick { 'inner', 'left', 'right', 'full' }
  if math.random() < 0.3 then
    return (":window_join('%s', %s, %s, { on = 'k', kind = '%s', as = '%s' })"):format(name, right,
      pick { "tm.window.tumbling '4s'", "tm.window.hopping('6s', '2s')" }, kind, as)
  end
  return (":join('%s', %s, %s)"):format(name, right, options(kind, as, math.random() < 0.3))
end

--- The text behind `local l, r, c = …`: streams that are joined, and what stands behind.
local function random_body(dir)
  local shape, lines = math.random(7), nil
  local function sink(name) return (":to(tm.sink.file '%s/%s')"):format(dir, name) end
  local fails = math.random() < 0.4 and [[:map(function(e) if e.i and e.i % 23 == 0 then error 'bad' end return e end)]] or ''
  local last = math.random() < 0.3 and behind(9) or ''
  if shape <= 3 then
    lines = 'return l' .. a_join('j', 'r', 'o') .. fails .. behind(1) .. last .. sink 'out'
  elseif shape == 4 then
    lines = 'return l' .. a_join('j', 'r', 'o') .. behind(1) .. a_join('jj', 'c', 'x') .. fails .. behind(2) .. sink 'out'
  elseif shape == 5 then
    lines = ('local j = l%s\nlocal b = j:branch { big = function(e) return (e.v or 0) > 15 end, rest = true }\n' ..
      'return { b.big%s%s, b.rest%s, j%s%s }'):format(a_join('j', 'r', 'o'), behind(1), sink 'out', sink 'rest', behind(2), sink 'more')
  elseif shape == 6 then   -- two joins share a right side
    lines = ('local a, b = l%s, c%s\nreturn { a%s%s%s, b%s%s }'):format(a_join('j', 'r', 'o'), a_join('jj', 'r', 'x'), behind(1), last,
      sink 'out', behind(2), sink 'more')
  else   -- a window in front of the right side
    lines = ("local w = r:key_by 'k':window('wl', tm.window.tumbling '3s'):aggregate { v = tm.agg.sum 'v', i = tm.agg.last 'i', " ..
      "m = tm.agg.max 'm', ts = tm.agg.max 'ts' }\nreturn l:key_by 'k':dedup('dl', { within = '1s' })%s%s%s"):format(a_join('j', 'w', 'o'),
      behind(1), sink 'out')
  end
  return lines
end

--- The same streams as branches of one pipeline, or as pipelines that each see all of the input.
local function scripts(dir, body, out_of_order)
  local time = (":event_time { field = 'ts', out_of_order = '%dms' }:late_to(tm.sink.file '%s/late'):on_error(tm.sink.file '%s/dead')")
    :format(out_of_order, dir, dir)
  local text = "local l = left:filter(function(e) return e.s == 'l' end)\nlocal r = right:filter(function(e) return e.s == 'r' end)\n"
  if body:find '%f[%w]c%f[%W]' then text = text .. "local c = right:filter(function(e) return e.s == 'c' end)\n" end
  local head = "local tm = require 'tidemill'\n"
  return head .. ("local left = tm.pipeline 'l'%s\nlocal right = left\n"):format(time) .. text .. body,
    head .. ("local left = tm.pipeline 'l'%s\nlocal right = tm.pipeline 'r'%s\n"):format(time, time) .. text .. body
end

local NAMES = { 'out', 'rest', 'more', 'third', 'late', 'dead' }

local function outputs(dir)
  local files = {}
  for _, name in ipairs(NAMES) do
    local text = h.read(dir .. '/' .. name)
    if name == 'dead' then text = text:gsub('"pipeline":"%w+",', ''):gsub('"step":"[^"]*"', ''):gsub('"at":"[^"]*"', '') end
    files[name] = text
    os.remove(dir .. '/' .. name)
  end
  return files
end

local function same(want, got, where)
  for _, name in ipairs(NAMES) do compare(want[name], got[name], name .. ', ' .. where) end
end

local function run(dir, text, input, ...)
  local r = h.run({ 'run', '--quiet', h.write(text, dir .. '/s.lua'), ... }, input)
  return outputs(dir), r
end

describe('behind a join of two pipelines', function()
  it('comes out what comes out of one', function()
    local rows = 0
    for seed = 1, tonumber(os.getenv 'BEHIND_SEEDS' or 60) do
      math.randomseed(seed)
      local dir = h.folder()
      local body = random_body(dir)
      local out_of_order = pick { 0, 500, 4000 }
      local one, two = scripts(dir, body, out_of_order)
      local input = stream(seed, 400, pick { 30, 300 }, pick { 0, 900, 6000 }, pick { 2, 5, 20 })
      local where = ('seed %d\n%s'):format(seed, two)
      local want, r = run(dir, one, input)
      local got, r2 = run(dir, two, input)
      -- a join of rows that have another event time is refused
      assert.is_true(r.code == 0 or r.code == 3 and r.err:find('same clock', 1, true) ~= nil, where .. r.err)
      assert.equal(r.code, r2.code, where .. r2.err)
      same(want, got, where)
      for _, text in pairs(want) do rows = rows + #text end
      if seed % 6 == 0 then
        same(want, run(dir, two, input, '--no-jit'), 'interpreted, ' .. where)
        h.write(input, dir .. '/in')
        h.sh(('%s tests/spec/tools/pieces.py 3 200 <%s/in | %s'):format(h.python, dir, h.command { 'run', '--quiet', dir .. '/s.lua' }))
        same(want, outputs(dir), 'pieces, ' .. where)
      end
    end
    assert.is_true(rows > 10000)
  end)
end)
