--[[
published_spec.lua - cases whose answers others have published: the running example of the Dataflow paper (Akidau et al., VLDB 2015: one
team's scores, windows of two minutes, sessions of one, early and late rows, retractions), and what Flink's operator for windows is tested
with (WindowOperatorTest: assignment, merging, lateness, purging, counts, processing time). Where a row comes is part of a case.

A case is a stream and a list of steps: { key, value, time } an event, { w = ms } the watermark, { clock = ms } the clock; `gives` the
rows that come of the last step, each { key, sum, window_start, window_end, revision }, in any order; `late` how many events were late.
]]

local h = require 'spec.helper'

local function minutes(text)
  local m, s = text:match '(%d+):(%d+)'
  return (m * 60 + s) * 1000
end

-- event time, score, in order of arrival
local scores = {}
for at, score in ([[00:26 5 02:26 7 03:39 3 04:19 4 03:06 8 06:39 3 01:26 9 07:26 8 07:46 1]]):gmatch '(%S+) (%S+)' do
  scores[#scores + 1] = { 'team', tonumber(score), minutes(at) }
end
assert(#scores == 9)

local function s(key, sum, from, to, revision)
  return { key = key, sum = sum, window_start = from, window_end = to, revision = revision }
end
local function fixed(sum, from, revision) return s('team', sum, from * 60000, (from + 2) * 60000, revision) end
local late_score = { w = minutes '02:30', gives = { fixed(5, 0) } }   -- 9 comes after it

local sliding_steps = {
  { 'key2', 1, 3999 }, { 'key2', 1, 3000 }, { 'key1', 1, 20 }, { 'key1', 1, 0 }, { 'key1', 1, 999 }, { 'key2', 1, 1998 },
  { 'key2', 1, 1999 }, { 'key2', 1, 1000 },
}
local session_steps = {
  { 'k', 1, 1000 }, { w = 1999 }, { 'k', 1, 2000 }, { w = 4998 }, { 'k', 1, 4500 }, { 'k', 1, 8500 }, { w = 7400 },
  { 'k', 1, 7000 }, { w = 11501, gives = { s('k', 5, 1000, 11500) } }, { 'k', 1, 11600 },
  { w = 14600, gives = { s('k', 1, 11600, 14600) } },
}

local function then_(list, ...)
  local all = {}
  for i, step in ipairs(list) do all[i] = step end
  for _, step in ipairs { ... } do all[#all + 1] = step end
  return all
end

local SUM = ":aggregate { sum = tm.agg.sum 'v' }"

local cases = {
  -- the paper's figures: sums of two minutes are 14, 18, 4, 12; of sessions 36 and 12
  ['Dataflow: fixed windows of a bounded input'] = { "window('w', tm.window.tumbling '2m')" .. SUM, declared = '10m',
    then_(scores, { w = math.huge, gives = { fixed(14, 0), fixed(18, 2), fixed(4, 4), fixed(12, 6) } }) },
  ['Dataflow: sessions of a bounded input'] = { "window('w', tm.window.session '1m')" .. SUM, declared = '10m',
    then_(scores, { w = math.huge, gives = { s('team', 36, minutes '00:26', minutes '05:19'),
      s('team', 12, minutes '06:39', minutes '08:46') } }) },
  ['Dataflow: a late score gives its window anew'] = { "window('w', tm.window.tumbling('2m', {}), { lateness = '10m' })" .. SUM,
    { scores[1], scores[2], late_score, scores[7], { w = minutes '02:31', gives = { fixed(14, 0, 1) } } } },
  ['Dataflow: discarding, a late row holds what is new'] = {
    "window('w', tm.window.tumbling '2m', { lateness = '10m' })" .. SUM .. ':emit { accumulate = false }',
    { scores[1], scores[2], late_score, scores[7], { w = minutes '02:31', gives = { fixed(9, 0, 1) } } } },

  ['Flink: hopping windows, disorder'] = { "window('w', tm.window.hopping('3s', '1s'))" .. SUM, then_(sliding_steps,
    { w = 999, gives = { s('key1', 3, -2000, 1000) } },
    { w = 1999, gives = { s('key1', 3, -1000, 2000), s('key2', 3, -1000, 2000) } },
    { w = 2999, gives = { s('key1', 3, 0, 3000), s('key2', 3, 0, 3000) } },
    { w = 3999, gives = { s('key2', 5, 1000, 4000) } }, { w = 4999, gives = { s('key2', 2, 2000, 5000) } },
    { w = 5999, gives = { s('key2', 2, 3000, 6000) } }, { w = 6999 }, { w = 7999 }) },
  ['Flink: tumbling windows, disorder'] = { "window('w', tm.window.tumbling '3s')" .. SUM, then_(sliding_steps, { w = 999 }, { w = 1999 },
    { w = 2999, gives = { s('key1', 3, 0, 3000), s('key2', 3, 0, 3000) } }, { w = 3999 }, { w = 4999 },
    { w = 5999, gives = { s('key2', 2, 3000, 6000) } }, { w = 6999 }, { w = 7999 }) },
  ['Flink: sessions'] = { "window('w', tm.window.session '3s')" .. SUM, {
    { 'key2', 1, 0 }, { 'key2', 2, 1000 }, { 'key2', 3, 2500 }, { 'key1', 1, 10 }, { 'key1', 2, 1000 }, { 'key1', 3, 2500 },
    { 'key2', 4, 5501 }, { 'key2', 5, 6000 }, { 'key2', 5, 6000 }, { 'key2', 6, 6050 },
    { w = 12000, gives = { s('key1', 6, 10, 5500), s('key2', 6, 0, 5500), s('key2', 20, 5501, 9050) } },
    { 'key2', 10, 15000 }, { 'key2', 20, 15000 }, { w = 17999, gives = { s('key2', 30, 15000, 18000) } } } },
  ['Flink: sessions of a gap each'] = { "window('w', tm.window.session(function(e) return e.v == 33 and 1 or 3000 end))" .. SUM, {
    { 'key2', 1, 0 }, { 'key2', 33, 1000 }, { 'key2', 33, 2500 }, { 'key1', 1, 10 }, { 'key1', 2, 1000 }, { 'key1', 33, 2500 },
    { w = 12000, gives = { s('key1', 36, 10, 4000), s('key2', 67, 0, 3000) } } } },

  ['Flink: lateness, purging'] = {
    "window('w', tm.window.tumbling '2s', { lateness = '500ms' })" .. SUM .. ':emit { accumulate = false }', {
    { 'key2', 1, 500 }, { w = 1500 }, { 'key2', 1, 1300 }, { w = 2300, gives = { s('key2', 2, 0, 2000) } },
    { 'key2', 1, 1997 }, { w = 2300, gives = { s('key2', 1, 0, 2000, 1) } }, { w = 6000 }, { 'key2', 1, 1998 }, { w = 7000 } }, late = 1 },
  ['Flink: too late for a tumbling one'] = { "window('w', tm.window.tumbling '2s')" .. SUM, {
    { 'k', 1, 1000 }, { w = 1985 }, { 'k', 1, 1980 }, { w = 1999, gives = { s('k', 2, 0, 2000) } }, { 'k', 1, 1998 }, { 'k', 1, 2001 },
    { w = 2999 }, { w = 3999, gives = { s('k', 1, 2000, 4000) } } }, late = 1 },
  ['Flink: too late for some hopping windows'] = { "window('w', tm.window.hopping('3s', '1s'))" .. SUM, {
    { 'key2', 1, 1000 }, { w = 1999, gives = { s('key2', 1, -1000, 2000) } },
    { 'key2', 1, 2000 }, { w = 3000, gives = { s('key2', 2, 0, 3000) } },
    { 'key1', 1, 3001 }, { 'key2', 1, 2400 }, { 'key2', 1, 2400 }, { 'key1', 1, 3001 }, { 'key2', 1, 3900 },
    { w = 6000, gives = { s('key2', 5, 1000, 4000), s('key1', 2, 1000, 4000), s('key2', 4, 2000, 5000), s('key1', 2, 2000, 5000),
      s('key2', 1, 3000, 6000), s('key1', 2, 3000, 6000) } },
    { 'key1', 1, 3001 }, { w = 25000 } }, late = 1 },
  ['Flink: too late for a session'] = { "window('w', tm.window.session '3s')" .. SUM, then_(session_steps, { 'k', 1, 10000 },
    { 'k', 1, 10100 }, { 'k', 1, 14500 }, { w = 20000, gives = { s('k', 1, 14500, 17500) } }, { w = 100000 }), late = 2 },
  ['Flink: a session with a little lateness'] = { "window('w', tm.window.session '3s', { lateness = '10ms' })" .. SUM, then_(session_steps,
    { 'k', 1, 10000 }, { w = 14600, gives = { s('k', 2, 10000, 14600, 1) } }, { 'k', 1, 14500 },
    { w = 20000, gives = { s('k', 3, 10000, 17500, 2) } }, { w = 100000 }) },
  ['Flink: a session with much lateness'] = { "window('w', tm.window.session '3s', { lateness = '10s' })" .. SUM, then_(session_steps,
    { 'k', 1, 10000 }, { w = 14600, gives = { s('k', 7, 1000, 14600, 1) } }, { 'k', 1, 14500 },
    { w = 20000, gives = { s('k', 8, 1000, 17500, 2) } }, { w = 100000 }) },

  ['Flink: a purging trigger of four events'] = {
    "window('w', tm.window.global())" .. SUM .. ':emit { early = { count = 4 }, accumulate = false }', {
      { 'key2', 1, 3000 }, { 'key2', 1, 3999 }, { 'key1', 1, 20 }, { 'key1', 1, 0 }, { 'key1', 1, 999 }, { 'key2', 1, 1998 },
      { 'key2', 1, 1999 }, { w = 0, gives = { s('key2', 4) } }, { 'key2', 1, 1000 }, { 'key1', 1, 10999 },
      { w = 0, gives = { s('key1', 4) } },
      { 'key2', 1, 1000 }, { 'key2', 1, 1000 }, { 'key2', 1, 1000 }, { w = 0, gives = { s('key2', 4) } } } },

  ['Flink: tumbling windows of the clock'] = { "window('w', tm.window.tumbling '3s')" .. SUM, {
    { clock = 3 }, { 'key2', 1 }, { 'key2', 1 }, { 'key2', 1 }, { 'key1', 1 }, { 'key1', 1 },
    { clock = 5000, gives = { s('key2', 3, 0, 3000), s('key1', 2, 0, 3000) } }, { 'key1', 1 }, { 'key1', 1 }, { 'key1', 1 },
    { clock = 7000, gives = { s('key1', 3, 3000, 6000) } } } },
  ['Flink: hopping windows of the clock'] = { "window('w', tm.window.hopping('3s', '1s'))" .. SUM, {
    { clock = 3 }, { 'key2', 1 }, { clock = 1000, gives = { s('key2', 1, -2000, 1000) } }, { 'key2', 1 }, { 'key2', 1 },
    { clock = 2000, gives = { s('key2', 3, -1000, 2000) } }, { 'key1', 1 }, { 'key1', 1 },
    { clock = 3000, gives = { s('key2', 3, 0, 3000), s('key1', 2, 0, 3000) } }, { 'key1', 1 }, { 'key1', 1 }, { 'key1', 1 },
    { clock = 7000, gives = { s('key2', 2, 1000, 4000), s('key1', 5, 1000, 4000), s('key1', 5, 2000, 5000),
      s('key1', 3, 3000, 6000) } } } },
  ['Flink: sessions of the clock'] = { "window('w', tm.window.session '3s')" .. SUM, {
    { clock = 3 }, { 'key2', 1 }, { clock = 1000 }, { 'key2', 1 }, { clock = 5000, gives = { s('key2', 2, 3, 4000) } },
    { 'key2', 1 }, { 'key2', 1 }, { 'key1', 1 }, { 'key1', 1 }, { 'key1', 1 },
    { clock = 10000, gives = { s('key2', 2, 5000, 8000), s('key1', 3, 5000, 8000) } } } },
}

describe('published cases', function()
  for name, case in pairs(cases) do
    it(name, function()
      local chain, steps = case[1], case[2]
      local clocked = steps[1].clock
      local text = ([[local tm = require 'tidemill'
it('x', function()
  local s = tm.pipeline 'p':%s:key_by 'key':%s
  local t = tm.testing.run(s, { watermark = %s })
  local function line(row)
    return ('%%s: %%s in [%%s, %%s) revision %%s'):format(row.key, row.sum, row.window_start, row.window_end, row.revision)
  end
  local function lines(rows)
    local list = {}
    for i, row in ipairs(rows) do list[i] = line(row) end
    table.sort(list)
    return list
  end
  local now, w = 0, -math.huge
  for i, step in ipairs(%s) do
    if step.clock then
      t:advance((step.clock - now) .. 'ms')
      now = step.clock
    elseif step.w then
      if step.w > w then t:watermark(step.w) end
      w = math.max(w, step.w)
    else
      t:send { key = step[1], v = step[2], ts = step[3] }
    end
    if step.w or step.clock then assert.same({ i, lines(step.gives or {}) }, { i, lines(t:out()) }) end
  end
  assert.equal(%d, #t:late())
  assert.same({}, t:errors())
end)]]):format(clocked and 'processing_time()' or ("event_time { field = 'ts', out_of_order = '%s' }"):format(case.declared or '0s'), chain,
        clocked and "'declared'" or "'manual'", h.literal(steps), case.late or 0)
      local dir = h.folder { ['x_spec.lua'] = text }
      local r = h.run({ 'test' }, nil, { cwd = dir })
      assert.equal(0, r.code, r.out .. r.err)
    end)
  end
end)
