--[[
published_joins_spec.lua - joins whose answers others have published: what Flink's interval join is tested with (IntervalJoinOperatorTest:
bounds of either sign, whichever side is ahead, late events of both) and its window join (CoGroupJoinITCase), and the one
input on which Kafka Streams shows its joins (AbstractJoinIntegrationTest), stream by stream and stream by table with tombstones.

A case is the text of a stream made of `l` and `r`, two pipelines with a time `ts` and a key `k`; steps { 'l' or 'r', ts, k, v }, or
{ w = ms, of = 'l' or 'r' } a watermark; `gives` the rows of that step as "left-right", `all` those of all steps, in any order; `late`
what was late, as "side ts".
]]

local h = require 'spec.helper'

local UNIT = "{ on = 'k', within = { before = '%dms', after = '%dms' } }"
--- A join of events whose times differ, right less left, by `from` to `to` ms.
local function interval(from, to) return "l:join('j', r, " .. UNIT:format(-from, to) .. ')' end

local function both_orders(cases, name, chain, gives)
  for _, first in ipairs { 'l', 'r' } do
    local steps = {}
    for _, side in ipairs { first, first == 'l' and 'r' or 'l' } do
      for ts = 1, 4 do
        steps[#steps + 1] = { side, ts, 'key', ts }
        steps[#steps + 1] = { w = ts, of = side }
      end
    end
    cases[('Flink: %s, %s first'):format(name, first)] = { chain, steps, all = gives }
  end
end

local cases = {}
both_orders(cases, 'right by 1 or 2 later', interval(1, 2), '1-2 1-3 2-3 2-4 3-4')
both_orders(cases, 'right by 1 or 2 earlier', interval(-2, -1), '2-1 3-1 3-2 4-2 4-3')
both_orders(cases, 'no more than 1 apart', interval(-1, 1), '1-1 1-2 2-1 2-2 2-3 3-2 3-3 3-4 4-3 4-4')
both_orders(cases, 'right by more than 1 and less than 3 earlier', interval(-2, -2), '3-1 4-2')
both_orders(cases, 'less than 1 apart', interval(0, 0), '1-1 2-2 3-3 4-4')
both_orders(cases, 'right by more than 1 and less than 3 later', interval(2, 2), '1-3 2-4')

local function at(...)
  local steps = {}
  for step in table.concat({ ... }, ' '):gmatch '%S+' do
    local side, ts = step:match '^(%a)(%d+)$'
    ts = tonumber(ts)
    if side == 'w' then steps[#steps + 1] = { w = ts } else steps[#steps + 1] = { side, ts, 'key', ts } end
  end
  return steps
end
cases['Flink: a late event joins none'] = { interval(-1, 1), at 'l1 r1 l2 r2 l3 r3 w3 l1 l4 r4 l5 r5', late = 'l 1',
  all = '1-1 1-2 2-1 2-2 2-3 3-2 3-3 3-4 4-3 4-4 4-5 5-4 5-5' }
cases['Flink: late events of both sides'] = { interval(-1, 1), at 'l3 r3 w3 l4 r4 l1 r2 l5 r5', late = 'l 1 r 2',
  all = '3-3 3-4 4-3 4-4 4-5 5-4 5-5' }

local tuples = {}
for side, list in pairs { l = 'a x 0 a y 1 a z 2 b u 3 b w 5 a i 6 a j 7 a k 8', r = 'a u 0 a w 1 b i 3 b k 5 a x 6 a z 8' } do
  for k, v, ts in list:gmatch '(%a) (%a) (%d)' do tuples[#tuples + 1] = { side, tonumber(ts), k, v } end
end
local ended = { w = math.huge }
tuples[#tuples + 1] = ended
cases['Flink: tumbling windows'] = { "l:window_join('j', r, tm.window.tumbling '3ms', { on = 'k' })", tuples,
  all = 'x-u x-w y-u y-w z-u z-w u-i u-k w-i w-k i-x i-z j-x j-z k-x k-z' }
local self = {}
for _, step in ipairs(tuples) do
  if step[1] ~= 'r' then self[#self + 1] = step end
end
cases['Flink: tumbling windows of a stream and itself'] = {
  "l:window_join('j', l:key_by 'k', tm.window.tumbling '3ms', { on = 'k', as = 'right' })", self,
  all = 'x-x x-y x-z y-x y-y y-z z-x z-y z-z u-u u-w w-u w-w i-i i-j i-k j-i j-j j-k k-i k-j k-k' }

--- Kafka's input, a step a ms; false: the value null, which is no event of a stream and takes the key out of a table.
local function kafka(nulls, gives)
  local steps = {}
  for ts, step in ipairs { 'l', 'r', 'lA', 'ra', 'lB', 'rb', 'l', 'r', 'lC', 'rc', 'r', 'l', 'r', 'rd', 'lD' } do
    local side, v = step:match '(.)(.*)'
    if v ~= '' or side == 'r' and nulls then
      steps[#steps + 1] = { side, ts, 0, v ~= '' and v or nil, gives = gives[ts] or '' }
    end
  end
  return steps
end
local pairs_of = { [4] = 'A-a', [5] = 'B-a', [6] = 'A-b B-b', [9] = 'C-a C-b', [10] = 'A-c B-c C-c', [14] = 'A-d B-d C-d',
  [15] = 'D-a D-b D-c D-d' }
cases['Kafka: a stream and a stream'] = { "l:join('j', r, { on = 'k', within = { before = '10s', after = '10s' } })",
  kafka(false, pairs_of) }
local TABLE = "l:lookup(tm.table('right', { key = 'k', from = r, delete = function(e) return e.v == nil end }), " ..
  "{ on = 'k', missing = '%s' })"
cases['Kafka: a stream and a table'] = { TABLE:format 'drop', kafka(true, { [5] = 'B-a', [15] = 'D-d' }) }
cases['Kafka: a stream and a table, left'] = { TABLE:format 'keep',
  kafka(true, { [3] = 'A-null', [5] = 'B-a', [9] = 'C-null', [15] = 'D-d' }) }

describe('published joins', function()
  for name, case in pairs(cases) do
    it(name, function()
      local text = ([[local tm = require 'tidemill'
it('x', function()
  local function side(name)
    return tm.pipeline(name):from(tm.source.file { path = name, name = name }):event_time { field = 'ts', out_of_order = '1m' }
  end
  local l, r = side 'l', side 'r'
  local t = tm.testing.run({ %s:to(tm.sink.file { path = 'o', name = 'o' }) %s }, { watermark = 'manual' })
  local function sorted(list)
    table.sort(list)
    return list
  end
  local function words(text)
    local list = {}
    for word in text:gmatch '%%S+' do list[#list + 1] = word end
    return sorted(list)
  end
  local all = {}
  for i, step in ipairs(%s) do
    if step.w then
      for _, of in ipairs(step.of and { step.of } or %s) do t:watermark(of, step.w) end
    else
      t:send(step[1], { ts = step[2], k = step[3], v = step[4], side = step[1] })
    end
    local rows = {}
    for n, row in ipairs(t:out 'o') do
      rows[n] = row.v .. '-' .. (row.right and row.right.v or 'null')
      all[#all + 1] = rows[n]
    end
    if step.gives then assert.same({ i, words(step.gives) }, { i, sorted(rows) }) end
  end
  local wanted = %s
  if wanted then assert.same(words(wanted), sorted(all)) end
  local late = {}
  for i, e in ipairs(t:late()) do late[i] = e.side .. ' ' .. e.ts end
  assert.same(%s, table.concat(sorted(late), ' '))
  assert.same({}, t:errors())
end)]]):format(case[1], case[1]:find 'r[,)]' and '' or ", r:to(tm.sink.file { path = 'unread', name = 'unread' })", h.literal(case[2]),
        "{ 'l', 'r' }", h.literal(case.all or false), h.literal(case.late or ''))
      local dir = h.folder { ['x_spec.lua'] = text }
      local r = h.run({ 'test' }, nil, { cwd = dir })
      assert.equal(0, r.code, r.out .. r.err)
    end)
  end
end)
