--[[
faults.lua - runs that are kept (--data) with a fault at a chosen call of the system (tests/faults/calls.c), and what they have written.

A scenario is a script with the sinks that are written exactly once, each behind another kind of state, and its input. It is run
without a data folder for what is wanted; then, in a fresh place each time, with a fault at the n-th call and again without one. What is
there then must be the same, byte for byte; compressed files as what they say, tables as their rows, event logs as their records.
]]

local h = require 'spec.helper'

local M = {}

M.library = h.bin:gsub('[^/]*$', '') .. 'faults/calls.so'
if M.library:sub(1, 1) ~= '/' then M.library = h.cwd .. '/' .. M.library end

--- Calls that change something.
M.writing = 'write,pwrite,sync,rename,unlink,ftruncate,fallocate,open,mkdir'
--- Calls that only look.
M.reading = 'read,pread,look'

local HEAD = [[
local tm = require 'tidemill'
local dir = tm.setting 'dir'
local function to(name, o)
  o = o or {}
  o.path = dir .. '/' .. name
  return tm.sink.file(o)
end
local tx = tm.pipeline 'tx':event_time { field = 'ts', unit = 'ms', out_of_order = '2s' }
]]

M.scenarios = {
  -- windows to files that are appended to and to a file a shop, with late events and dead letters
  files = [[
local win = tx:key_by 'card':window('w', tm.window.tumbling '1s', { lateness = '1s' })
  :aggregate { n = tm.agg.count(), total = tm.agg.sum 'amount' }:late_to(to 'late.ndjson'):to(to 'windows.ndjson')
local hop = tx:key_by 'shop':window('h', tm.window.hopping('2s', '1s')):aggregate { n = tm.agg.count(), d = tm.agg.distinct 'card' }
  :emit 'retract':select { 'op', 'shop', 'n', 'd', 'window_end' }:to(to 'hops/{shop}.csv')
local bad = tx:filter(function(e) if e.id % 37 == 0 then error('no ' .. e.id) end return e.id % 10 == 0 end)
  :on_error(to 'dead.ndjson'):to(to 'some.csv')
return { win, hop, bad }]],

  -- files that are rolled by size, plain and compressed, rolled by time, and a compressed one
  rolled = [[
local over = tx:key_by 'card':over('o', { n = tm.agg.count { over = '3s' } })
  :select { 'id', 'card', 'n' }:to(to('over.ndjson', { roll = { size = '4K' } }))
local sessions = tx:key_by 'card':window('s', tm.window.session '500ms'):aggregate { n = tm.agg.count() }
  :to(to('sessions/{card}.ndjson.gz', { roll = { size = '300' } }))
local idle = tx:key_by 'shop':process('idle', { unbounded = true, state = { n = 0 },
  on_event = function(e, s, ctx) s.n = s.n + 1 ctx.timer('idle', ctx.time + 20) end,
  on_timer = function(_, s, ctx) ctx.emit { shop = ctx.key, n = s.n, at = ctx.time } end }):to(to 'idle.ndjson.zst')
local timed = tm.pipeline 'timed':select { 'id' }:to(to('timed.ndjson', { roll = { every = '1s' } }))
return { over, sessions, idle, timed }]],

  -- tables that rows are added to, and whose rows are replaced
  tables = [[
local big = tm.pipeline 'big':event_time { field = 'ts', unit = 'ms', out_of_order = '2s' }:filter(function(e) return e.amount > 60 end)
local small = tm.pipeline 'small':event_time { field = 'ts', unit = 'ms', out_of_order = '2s' }:filter(function(e) return e.amount < 20 end)
local pairs_ = big:join('pairs', small, { on = 'card', within = { before = '1s', after = '1s' }, kind = 'full', as = 'other' })
  :map(function(e) return { id = e.id, card = e.card, other = e.other and e.other.id } end)
  :to(tm.sink.sqlite { path = dir .. '/rows.db', table = 'rows', columns = { 'id', 'card', 'other' } })
local last = tx:dedup('d', { on = 'amount', max_keys = 100 }):select { 'id', 'card', 'amount' }
  :to(tm.sink.sqlite { path = dir .. '/last.db', table = 'last', key = 'card' })
return { pairs_, last }]],

  -- event logs: one of few long records, one of many
  logs = [[
local once = tm.pipeline 'once':dedup('d', { on = 'card', max_keys = 9 }):to(tm.sink.log { name = 'once', segment = '4K' })
local idle = tx:key_by 'card':process('idle', { unbounded = true, state = { n = 0, ids = tm.state.list { max = 200 } },
  on_event = function(e, s, ctx)
    s.n = s.n + 1
    s.ids:push(e.id)
    ctx.timer('idle', ctx.time + 300)
    if s.n % 20 == 0 then ctx.emit { card = e.card, n = s.n, ids = s.ids:size() } end
  end,
  on_timer = function(_, s, ctx) ctx.emit { card = ctx.key, idle = ctx.time, n = s.n } end })
  :to(tm.sink.log { name = 'idle', segment = '4K' })
return { once, idle }]],
}

--- Events of 60 cards in 5 shops, up to 2 s out of order, a few late.
function M.events(n, seed)
  math.randomseed(seed or 20)
  local list = {}
  for i = 1, n do
    local late = math.random() < 0.3 and math.random(0, 1999) or math.random() < 0.02 and math.random(4000, 9000) or 0
    list[i] = ('{"ts":%d,"id":%d,"card":"c%02d","shop":"s%d","amount":%.2f}\n'):format(1700000000000 + i * 10 - late, i,
      math.floor(60 * math.random() ^ 2), math.random(5), math.random() * 100)
  end
  return table.concat(list)
end

--- A fresh folder with the script and its input, and an empty one for what it writes.
function M.place(name, input)
  local root = h.folder { ['s.lua'] = HEAD .. M.scenarios[name], ['in.ndjson'] = input }
  assert(os.execute('mkdir ' .. root .. '/out') == 0)
  return root
end

function M.remove(root) os.execute('rm -rf ' .. h.quote(root)) end

-- names with a number drawn by the clock become one
local CONTENT = [[
cd %s/out
for f in $(find . -type f | LC_ALL=C sort); do
  case $f in
  ./timed-*.ndjson) ;;
  *.db) echo; echo "== $f"; sqlite3 $f "PRAGMA integrity_check; SELECT * FROM $(basename $f .db) ORDER BY id";;
  *.gz) echo; echo "== $f"; gzip -dc $f;;
  *.zst) echo; echo "== $f"; zstd -dcq $f;;
  *) echo; echo "== $f"; cat $f;;
  esac
done
echo; echo "== timed"; cat /dev/null $(ls timed-*.ndjson 2>/dev/null)
for l in $(ls %s/logs 2>/dev/null); do echo; echo "== log $l"; %s log cat $l --data %s; done]]

--- All that was written, as one text.
function M.content(root, data)
  return h.shell(CONTENT:format(h.quote(root), data, h.command {}, data)).out
end

--- Runs the program in a place with these arguments. fault: { at, what, names, who, times }; nil: none.
---@return table { code, err, count: calls, told: what was met, '' nothing }
function M.command(root, args, fault)
  local words = { h.command(args, { cwd = root }) }
  local state, told = root .. '/calls', root .. '/told'
  if fault then
    h.write(('\0'):rep(8), state)
    os.remove(told)
    local settings = {
      LD_PRELOAD = M.library, TM_CALLS_STATE = state, TM_CALLS_TOLD = told, TM_CALLS_UNDER = root,
      TM_CALLS_NAMES = ',' .. fault.names .. ',',
      TM_CALLS_AT = fault.at, TM_CALLS_DO = fault.what, TM_CALLS_WHO = fault.who or 'cws', TM_CALLS_TIMES = fault.times or 1,
    }
    local list = {}
    for name, value in pairs(settings) do list[#list + 1] = name .. '=' .. h.quote(value) end
    words[1] = words[1]:gsub('(timeout %-k 1 %d+ )', function(timeout) return timeout .. 'env ' .. table.concat(list, ' ') .. ' ' end, 1)
  end
  -- all processes of the run hold the pipe: it is over when the last is gone
  local code, err = root .. '/code', root .. '/err'
  h.shell(('{ { %s; } 2>%s 8>&1 >/dev/null; echo $? >%s; } | cat'):format(words[1], err, code))
  local count, bytes = 0, h.read(state)
  for i = #bytes, 1, -1 do count = count * 256 + bytes:byte(i) end
  return { code = tonumber(h.read(code)), err = h.read(err), count = count, told = fault and h.read(told) or '' }
end

--- Runs the scenario in its place. more: further arguments.
function M.run(root, fault, more)
  return M.command(root, { 'run', '--quiet', 's.lua', '--from', 'in.ndjson', '--set', 'dir=out', unpack(more) }, fault)
end

--- What an undisturbed run writes.
function M.wanted(name, input)
  local root = M.place(name, input)
  local r = M.run(root, nil, { '--logs', 'logs' })
  assert(r.code == 0, r.err)
  local text = M.content(root, root .. '/logs')
  M.remove(root)
  return text
end

--- The calls of an undisturbed run, by what makes them do what: lists of numbers under names such as "w pwrite out/rows.db-wal".
function M.sites(name, input, names, more)
  local root = M.place(name, input)
  local r = M.run(root, { at = 1, times = 1e9, what = 'tell', names = names }, more)
  assert(r.code == 0, r.err)
  local sites, order = {}, {}
  for n, what in r.told:gmatch '(%d+) ([^\n]+) %d+\n' do
    what = what:gsub(root:gsub('%p', '%%%0') .. '/?', ''):gsub('%d+', '#')
    if not sites[what] then
      sites[what] = {}
      order[#order + 1] = what
    end
    table.insert(sites[what], tonumber(n))
  end
  M.remove(root)
  assert(#order > 10, 'no calls were counted: is ' .. M.library .. ' built?')
  return sites, order
end

--- Numbers of calls to try: of each place that makes some the first, the last and one in between, then others by lot, `most` in all; with
--- FAULTS=all each number.
function M.choose(name, input, names, more, most)
  local sites, order = M.sites(name, input, names, more)
  local all, chosen, has, last = os.getenv 'FAULTS' == 'all', {}, {}, 0
  local function add(n)
    if has[n] or (not all and #chosen == most) then return end
    has[n] = true
    chosen[#chosen + 1] = n
  end
  for _, what in ipairs(order) do last = math.max(last, sites[what][#sites[what]]) end
  for n = 1, all and last or 0 do add(n) end
  for k = 1, 3 do
    for _, what in ipairs(order) do
      local list = sites[what]
      add(list[k == 1 and math.random(#list) or k == 2 and 1 or #list])
    end
  end
  while not all and #chosen < math.min(most, last) do add(math.random(last)) end
  return chosen
end

return M
