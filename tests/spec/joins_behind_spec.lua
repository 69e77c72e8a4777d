--[[
joins_behind_spec.lua - what stands behind a join of two pipelines and keeps state.

A join of two pipelines that both see the whole input is the join of one: the same bytes come out of both, whatever stands behind
(joins_spec.lua compares those of one with a slow reference). What two files give is what sqlite3 says. A link, which takes the rows into
a pipeline with its own event time, gives the same rows. And what fails, dies and is told of it.
]]

local h = require 'spec.helper'
local kill = require 'spec.kill'
local running = require 'spec.running'
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
    on_timer = function(name, s, ctx) ctx.emit { k = ctx.key, n = s.n, of = s.seen:size(), time = ctx.time } end })]],
  [[:flat_map(function(e, emit) emit(e) if e.v and e.v > 20 then emit { k = e.k, m = e.m, v = 1 } end end)
    :dedup('d#', { on = 'v', within = '1s' })]],
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
  local shape = math.random(7)
  local lines
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
    if name == 'dead' then
      -- who it was, and where in the script; what is due of two joins beside each other fails in either order
      local list = h.lines((text:gsub('"pipeline":"%w+",', ''):gsub('"step":"[^"]*"', ''):gsub('"at":"[^"]*"', '')))
      table.sort(list)
      text = table.concat(list, '\n')
    end
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
      assert.equal(0, r2.code, where .. r2.err)
      -- of one pipeline a join of rows that have another event time is refused
      if r.code == 3 then assert.truthy(r.err:find('same clock', 1, true), where .. r.err) else same(want, got, where) end
      want = got
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

  --- Three files of events, and what sqlite3 says of them: sql(select) over l, r and c.
  local function three_files()
    local dir = h.folder()
    math.randomseed(23)
    local lines, sides, t = {}, { l = {}, r = {}, c = {} }, 0
    for i = 1, 2400 do
      t = t + math.random(0, 300)
      local side = pick { 'l', 'r', 'c' }
      lines[i] = ('{"s":"%s","k":%d,"m":%d,"ts":%d,"v":%d,"i":%d}'):format(side, math.random(1, 30), math.random(1, 4), t,
        math.random(0, 30), i)
      table.insert(sides[side], lines[i])
    end
    h.write(table.concat(lines, '\n') .. '\n', dir .. '/in')
    for name, list in pairs(sides) do h.write(table.concat(list, '\n') .. '\n', dir .. '/' .. name) end
    local function sql(select)
      h.write(([[create table j (t text);
.mode list
.import %s/in j
create table e as select t->>'s' as s, t->>'k' as k, t->>'m' as m, t->>'ts' as ts, t->>'v' as v, t->>'i' as i from j;
create view l as select * from e where s = 'l'; create view r as select * from e where s = 'r';
create view c as select * from e where s = 'c';
%s;
]]):format(dir, select), dir .. '/q.sql')
      return h.sh("sqlite3 :memory: <%s/q.sql | LC_ALL=C sort", dir)
    end
    local head = "local tm = require 'tidemill'\n"
    for _, name in ipairs { 'l', 'r', 'c' } do
      head = head .. ("local NAME = tm.pipeline 'NAME':from(tm.source.file '%s/NAME'):event_time { field = 'ts', out_of_order = '10m' }\n")
        :format(dir):gsub('NAME', name)
    end
    local function rows(body)
      local text = head .. body
      if not body:find '%f[%w]c%f[%W]' then text = text:gsub("local c = [^\n]*\n", '') end
      local r = h.run({ 'run', '--quiet', h.write(text, dir .. '/s.lua') })
      assert.equal(0, r.code, text .. r.err)
      return h.sh('LC_ALL=C sort %s', h.write(r.out)), text
    end
    return sql, rows
  end

  it('is what sqlite3 says of files, for every kind, and what a link gives', function()
    local sql, rows = three_files()
    local ends = { inner = 'where l.i is not null and r.i is not null', left = 'where l.i is not null', right = 'where r.i is not null',
      full = '' }
    local joined = [[select coalesce(l.k, r.k) as k, max(coalesce(l.ts, r.ts), coalesce(r.ts, l.ts)) as ts, coalesce(l.v, 0) as v
      from l full join r on l.k = r.k and %s %s]]
    local joins = {
      { "join('j', r, { on = 'k', within = { before = '2s', after = '15s' }, kind = '%s', as = 'o' })",
        'r.ts between l.ts - 2000 and l.ts + 15000' },
      { "join('j', r, { on = 'k', unbounded = true, kind = '%s', as = 'o', " ..
        'where = function(l, r) return l.i + 40 > r.i and r.i > l.i end })',
        'l.i + 40 > r.i and r.i > l.i' },
      { "window_join('j', r, tm.window.tumbling '10s', { on = 'k', kind = '%s', as = 'o' })", 'l.ts / 10000 = r.ts / 10000', 10000 },
    }
    local steps = {
      { ":key_by 'k':window('w', tm.window.tumbling '20s'):aggregate { n = tm.agg.count(), s = tm.agg.sum 'v' }",
        [[select json_object('k', k, 'n', count(*), 's', sum(v), 'window_end', ts / 20000 * 20000 + 20000, 'window_start',
          ts / 20000 * 20000) from (%s) group by k, ts / 20000]] },
      { ":key_by 'k':running('n', { n = tm.agg.count(), s = tm.agg.sum 'v' }, { unbounded = true, emit = 'final' })",
        "select json_object('k', k, 'n', count(*), 's', sum(v)) from (%s) group by k" },
    }
    for kind in pairs(ends) do
      for _, how in ipairs(joins) do
        local from = joined:format(how[2], ends[kind])
        -- a row of a window has the time of its last ms
        if how[3] then from = ('select k, ts / %d * %d + %d as ts, v from (%s)'):format(how[3], how[3], how[3] - 1, from) end
        local time = how[3] and 'window_end' or 'ts'
        for _, step in ipairs(steps) do
          local want = sql(step[2]:format(from))
          assert.not_equal('', want)
          local set = ":set { v = function(e) return e.v or 0 end, " ..
            (time == 'ts' and 'ts = function(e) return tm.time(e) end' or 'ts = function(e) return e.window_end - 1 end') .. ' }'
          local join = 'local j = l:' .. how[1]:format(kind) .. set .. '\n'
          local direct, text = rows(join .. 'return j' .. step[1])
          compare(want, direct, text)
          local link
          link, text = rows(join .. "return tm.pipeline 'joined':from(j):event_time { field = 'ts', out_of_order = '20m' }" .. step[1])
          compare(want, link, text)
        end
      end
    end
  end)

  it('may be joined again, by the same side too, and looked up', function()
    local sql, rows = three_files()
    compare(sql [[select json_object('n', count(*), 'window_start', t / 10000 * 10000) from (
        select max(l.ts, r.ts, c.ts) as t from l join r on l.k = r.k and r.ts between l.ts - 2000 and l.ts + 20000
          join c on c.m = l.m and c.ts between max(l.ts, r.ts) - 500 and max(l.ts, r.ts) + 3000) group by t / 10000]],
      rows [[return l:join('lr', r, { on = 'k', within = { before = '2s', after = '20s' }, as = 'r' })
        :join('lrc', c, { on = 'm', within = { before = '500ms', after = '3s' }, as = 'c' })
        :key_by {}:window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }:select { 'n', 'window_start' }]])
    -- the right side of one is joined itself
    compare(sql [[select json_object('n', count(*), 'window_start', t / 10000 * 10000) from (
        select max(c.ts, u.t) as t from c left join
            (select l.m, max(l.ts, r.ts) as t from l join r on l.k = r.k and r.ts between l.ts - 2000 and l.ts + 20000) u
          on c.m = u.m and u.t between c.ts and c.ts + 900 where u.t is not null) group by t / 10000]],
      rows [[local lr = l:join('lr', r, { on = 'k', within = { before = '2s', after = '20s' }, as = 'r' })
        return c:join('clr', lr, { on = 'm', within = { after = '900ms' }, as = 'lr' })
          :key_by {}:window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }:select { 'n', 'window_start' }]])
    -- two share a right side
    compare(sql [[select json_object('s', s, 'k', k, 'n', count(*)) from (
        select 'l' as s, r.k as k from l join r on l.k = r.k and r.ts between l.ts and l.ts + 9000 union all
        select 'c', r.k from c join r on c.k = r.k and r.ts between c.ts and c.ts + 9000) group by s, k]],
      rows [[local function counted(s) return s:key_by { 's', 'k' }:running('n', { n = tm.agg.count() },
          { unbounded = true, emit = 'final' }):select { 's', 'k', 'n' } end
        return { counted(l:join('j', r, { on = 'k', within = { after = '9s' } })),
          counted(c:join('j', r, { on = 'k', within = { after = '9s' } })) }]])
    -- a table of joined rows: the last one of each key, by time
    compare(sql [[select json_object('i', c.i, 'k', c.k, 'n', (select count(*) from l join r on l.k = r.k
        and r.ts between l.ts and l.ts + 9000 where l.k = c.k)) from c]],
      rows [[local n = l:join('j', r, { on = 'k', within = { after = '9s' } }):key_by 'k':running('n', { n = tm.agg.count() },
          { unbounded = true })
        local t = tm.table('counts', { from = n, key = 'k', unbounded = true })
        return c:lookup(t, { on = 'k', as = 'n', missing = 'keep' })
          :map(function(e) return { k = e.k, i = e.i, n = e.n and e.n.n or 0 } end)]])
    -- and rows that are looked up
    compare(sql [[select json_object('k', l.k, 'n', count(*), 'o', (select max(i) from c where c.k = l.k)) from l
        join r on l.k = r.k and r.ts between l.ts and l.ts + 9000 group by l.k]],
      rows [[local t = tm.table('t', { from = c, key = 'k', unbounded = true })
        return l:join('j', r, { on = 'k', within = { after = '9s' } }):lookup(t, { on = 'k', as = 'c' })
          :set { o = function(e) return e.c and e.c.i or tm.null end }
          :key_by 'k':running('n', { n = tm.agg.count(), o = tm.agg.max 'o' }, { unbounded = true, emit = 'final' })]])
  end)

  it('an event that fails takes back its rows, and is a dead letter of its own pipeline; a row that is due, of the one at work', function()
    local dir = h.folder()
    h.write([[local tm = require 'tidemill'
local l = tm.pipeline 'l':filter(function(e) return e.s == 'l' end):event_time { field = 'ts' }:on_error(tm.sink.file 'dead_l')
local r = tm.pipeline 'r':filter(function(e) return e.s == 'r' end):event_time { field = 'ts' }:on_error(tm.sink.file 'dead_r')
local j = l:join('j', r, { on = 'k', within = { before = '9s', after = '9s' }, kind = 'left' })
return { j:running('n', { n = tm.agg.count() }, { unbounded = true })
    :map(function(e) if e.n == 3 then error 'third' end return e end),
  j:to(tm.sink.file 'rows'), j:window('w', tm.window.tumbling '1s'):aggregate { n = tm.agg.count() }:to(tm.sink.file 'windows') }]],
      dir .. '/s.lua')
    local r = h.run({ 'run', '--json', 's.lua' }, [[{"s":"l","k":1,"ts":1000}
{"s":"r","k":1,"ts":1100}
{"s":"r","k":1,"ts":1200}
{"s":"r","k":1,"ts":1300}
{"s":"l","k":1,"ts":1400}
{"s":"l","k":2,"ts":1500}
{"s":"l","k":2,"ts":1501,"ts2":0}
{"s":"r","k":9,"ts":60000}
{"s":"l","k":9,"ts":60000}
]], { cwd = dir })
    assert.equal(0, r.code, r.err)
    -- the third row of key 1 is that of the right event of 1300, which is not kept; then that of the left one of 1400, with 1100
    assert.same({ { k = 1, n = 1 }, { k = 1, n = 2 }, { k = 9, n = 1 }, { k = 2, n = 1 }, { k = 2, n = 2 } }, h.rows(r.out))
    local right, left = h.rows(h.read(dir .. '/dead_r')), h.rows(h.read(dir .. '/dead_l'))
    assert.equal(1, #right)
    assert.same({ 'r', 'stdin:4', { s = 'r', k = 1, ts = 1300 } }, { right[1].pipeline, right[1].position, right[1].event })
    assert.equal(1, right[1].key)
    assert.equal(1, #left)
    assert.same({ 'l', 'stdin:5', { s = 'l', k = 1, ts = 1400 } }, { left[1].pipeline, left[1].position, left[1].event })
    assert.equal(2 + 2 + 1, #h.lines(h.read(dir .. '/rows')))
    local n = 0
    for _, row in ipairs(h.rows(h.read(dir .. '/windows'))) do n = n + row.n end
    assert.equal(2 + 2 + 1, n)
    -- each state once, by the left one's name; a bound on it counts once
    local names = {}
    for _, state in ipairs(h.decode(r.err:match '(%b{})\n$').state) do names[#names + 1] = state.name end
    table.sort(names)
    assert.same({ 'l/j', 'l/j/waiting', 'l/n', 'l/w' }, names)
    local ls = h.decode(h.run({ 'state', 'ls', '--json', dir .. '/s.lua' }, '', { cwd = dir }).out)
    assert.same({ 'l/j', 'l/n', 'l/w' }, { ls[1].name, ls[2].name, ls[3].name })
  end)

  it('is seen by specs, by its clock and its state', function()
    local dir = h.folder { ['j_spec.lua'] = [[local tm = require 'tidemill'
it('counts', function()
  local l = tm.pipeline 'l':from(tm.source.file { path = 'l', name = 'l' }):event_time { field = 'ts' }
  local r = tm.pipeline 'r':from(tm.source.file { path = 'r', name = 'r' }):event_time { field = 'ts' }
  local j = l:join('j', r, { on = 'k', within = { after = '1s' } })
  local t = tm.testing.run { j:running('n', { n = tm.agg.count() }, { unbounded = true }):to(tm.sink.file { path = 'n', name = 'n' }),
    j:window('w', tm.window.tumbling '1s'):aggregate { n = tm.agg.count() }:to(tm.sink.file { path = 'w', name = 'w' }) }
  t:send('l', { k = 1, ts = 1000 }) t:send('r', { k = 1, ts = 1500 }) t:send('r', { k = 1, ts = 1700 })
  assert.same({ { k = 1, n = 1 }, { k = 1, n = 2 } }, t:out 'n')
  assert.same(2, t:state('n', 1).n)
  assert.same(2, t:state('j', 1).right_events)
  t:send('l', { k = 2, ts = 9000 })
  assert.same({}, t:out 'w')                              -- r has not passed 2000
  t:send('r', { k = 3, ts = 2500 })
  assert.same({ { k = 1, n = 2, window_start = 1000, window_end = 2000 } }, t:out 'w')
  t:send('l', { k = 3, ts = 2000 })                       -- late for the join: behind both
  assert.same(1, #t:late())
  t:watermark(math.huge)
  assert.same({}, t:out())
end)
it('moves by hand', function()
  local l = tm.pipeline 'l':from(tm.source.file { path = 'l', name = 'l' }):event_time { field = 'ts' }
  local r = tm.pipeline 'r':from(tm.source.file { path = 'r', name = 'r' }):event_time { field = 'ts' }
  local t = tm.testing.run(l:join('j', r, { on = 'k', unbounded = true }):window('w', tm.window.tumbling '1s')
    :aggregate { n = tm.agg.count() }, { watermark = 'manual' })
  t:send('l', { k = 1, ts = 1000 }) t:send('r', { k = 1, ts = 1500 })
  t:watermark('l', 5000)
  assert.same({}, t:out())
  t:watermark('r', 1999)
  assert.same({ { k = 1, n = 1, window_start = 1000, window_end = 2000 } }, t:out 'l')
  t:send('l', { k = 1, ts = 1200 })                       -- its row is late for the window
  assert.same(1, #t:late())
end)
]] }
    local r = h.run({ 'test' }, nil, { cwd = dir })
    assert.equal(0, r.code, r.out .. r.err)
  end)

  it('needs event time on both sides', function()
    local code = "stream:event_time { field = 'ts' }:join('j', tm.pipeline 'q':from(tm.source.file 'x'), " ..
      "{ on = 'id', unbounded = true })"
    for after, what in pairs {
      [":window('w', tm.window.tumbling '1s'):aggregate { n = tm.agg.count() }"] = 'window',
      [":dedup('d', { within = '1s' })"] = "dedup with 'within'",
    } do
      local r = h.run { 'check', '-e', code .. after }
      assert.equal(3, r.code, r.err)
      assert.truthy(r.err:find('-e:1: ' .. what .. " needs event time: write :event_time { field = 'ts', unit = 'ms' } before both " ..
        "sides of the join 'j' (-e:1)", 1, true), r.err)
    end
    local r = h.run { 'check', '-e', code .. ":window('w', tm.window.count(3)):aggregate { n = tm.agg.count() }" }
    assert.equal(0, r.code, r.err)
  end)

  it('rows that are due stand in a sink where the event did that made them so', function()
    local lines, want = {}, {}
    for i = 0, 39 do lines[i + 1] = ('{"s":"%s","k":1,"ts":%d,"i":%d}'):format(i % 2 == 0 and 'l' or 'r', i * 300, i) end
    -- each right event meets the left one 300 ms before it; a window closes with the first event behind its end
    local n, window = 0, 0
    for i = 0, 39 do
      want[#want + 1] = ('{"i":%d}'):format(i)   -- that pipeline stands first
      if i * 300 >= window + 1000 then
        want[#want + 1], n, window = ('{"n":%d}'):format(n), 0, window + 1000
      end
      if i % 2 == 1 then n = n + 1 end
    end
    for _, right in ipairs { "left", "tm.pipeline 'r':event_time { field = 'ts' }" } do
      local r = h.run({ 'run', '--quiet', '-e', ([[(function()
        local left = tm.pipeline 'l':event_time { field = 'ts' }
        local right = %s
        local l, r = left:filter(function(e) return e.s == 'l' end), right:filter(function(e) return e.s == 'r' end)
        return { l:join('j', r, { on = 'k', within = { after = '300ms' } }):window('w', tm.window.tumbling '1s')
          :aggregate { n = tm.agg.count() }:map(function(e) return { n = e.n } end),
          stream:map(function(e) return { i = e.i } end) } end)()]]):format(right) }, table.concat(lines, '\n') .. '\n')
      assert.equal(0, r.code, r.err)
      compare(table.concat(want, '\n'), r.out:gsub('%s*$', ''):sub(1, #table.concat(want, '\n')), right)
    end
  end)

  -- one event makes more rows due than the buffers in front of a slow reader hold: nobody goes on in between
  it('waits for a slow reader in the middle of what is due', function()
    local dir = h.folder()
    local lines = {}
    for i = 1, 900 do lines[i] = ('{"s":"%s","k":%d,"ts":%d,"i":%d,"pad":"%s"}'):format(i % 2 == 0 and 'l' or 'r', i % 3, i * 40, i,
      ('p'):rep(200)) end
    local body = [[local w = l:join('j', r, { on = 'k', within = { before = '5s', after = '5s' }, kind = 'full' })
      :key_by 'k':window('w', tm.window.tumbling '10s'):apply(function(k, w, rows, emit)
        for _, e in ipairs(rows) do emit { i = e.i, o = e.right and e.right.i, pad = e.pad } end end)
      return { w, w:running('n', { n = tm.agg.count() }, { unbounded = true }) }]]
    local one, two = scripts(dir, body, 0)
    local input = h.write(table.concat(lines, '\n') .. '\n', dir .. '/in')
    local out = {}
    for name, text in pairs { one = one, two = two } do
      out[name] = h.shell(('%s <%s | %s tests/spec/tools/pieces.py 5 3000'):format(h.command { 'run', '--quiet',
        h.write(text, dir .. '/' .. name .. '.lua') }, input, h.python)).out
    end
    assert.is_true(#out.one > 2000000, #out.one)
    compare(out.one, out.two)
  end)

  it('survives workers that are killed: state is lost, no row comes twice, and the run ends', function()
    local dir = h.folder()
    math.randomseed(3)
    local sides, times = { l = {}, r = {} }, {}
    for i = 1, 40000 do
      local side = pick { 'l', 'r' }
      times[i] = i * 10
      table.insert(sides[side], ('{"k":%d,"ts":%d,"i":%d}'):format(i % 500, times[i], i))
    end
    for name, list in pairs(sides) do h.write(table.concat(list, '\n') .. '\n', dir .. '/' .. name) end
    local script = h.write(([[local tm = require 'tidemill'
local l = tm.pipeline 'l':from(tm.source.file '%s/l'):event_time { field = 'ts' }
local r = tm.pipeline 'r':from(tm.source.file '%s/r'):event_time { field = 'ts' }
local j = l:join('j', r, { on = 'k', within = { before = '20s', after = '20s' }, kind = 'left', as = 'o' })
return { j:map(function(e) return { l = e.i, r = e.o and e.o.i } end):to(tm.sink.file '%s/pairs'),
  j:window('w', tm.window.tumbling '5s'):aggregate { n = tm.agg.count() }:to(tm.sink.file '%s/windows') }]]):format(dir, dir, dir, dir),
      dir .. '/s.lua')
    local p = running.start({ 'run', '--json', script }, {})
    local kills, code = kill.often(p, function() return running.size(dir .. '/pairs') end, 8)
    assert.equal(0, code, h.read(p.stderr))
    assert.is_true(kills > 0)
    local seen = {}
    for _, row in ipairs(h.rows(h.read(dir .. '/pairs'))) do
      local name = row.l .. ' ' .. (row.r or '-')
      assert.is_nil(seen[name], name)
      seen[name] = true
      if row.r then
        assert.equal(row.l % 500, row.r % 500)
        assert.is_true(math.abs(times[row.l] - times[row.r]) <= 20000)
      end
    end
    local summary = h.decode(h.read(p.stderr):match '(%b{})%s*$')
    assert.equal(40000, summary.counters.events_in)
    running.stop_all()
  end)
end)
