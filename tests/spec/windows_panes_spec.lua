--[[
windows_panes_spec.lua - hopping windows that share panes, against windows_reference.py, which knows of none: from three windows an event
to thousands, byte for byte, for all ways to emit, in pieces and without the compiler. And windows in numbers.
]]

local h = require 'spec.helper'
local cases = require 'spec.windows_cases'

--- A random hopping window whose events are in many windows.
local function random_spec()
  local s = cases.spec()
  s.size = cases.pick { 1200, 6000, 7000, 60000 }
  s.slide = s.size / cases.pick { 3, 4, 5, 8, 10, 12, 20, 25, 50, 100 }
  if math.random() < 0.3 then s.slide = s.size * cases.pick { 0.4, 0.3, 0.15, 0.075 } end   -- panes are shorter than the slide
  s.offset = cases.pick { 0, 0, -1, math.floor(s.slide / 3) }
  s.lateness = cases.pick { 0, 0, 100, s.size, 3 * s.size }
  s.out_of_order = cases.pick { 0, 0, 500, 5000 }
  if s.mode == 'updates' or s.count or not s.accumulate then s.mode, s.count, s.accumulate = 'final', nil, true end
  return s
end

local function both(s, input, where)
  local dir = h.folder()
  local want, want_late = cases.reference(dir, s, input)
  local text = cases.script(s, dir .. '/late')
  local file = h.write(text, dir .. '/s.lua')
  for _, how in ipairs { '--json', '--no-jit' } do
    local r = h.run({ 'run', how, file }, input)
    assert.equal(0, r.code, text .. r.err)
    h.compare(want, r.out, where .. '\n' .. text)
    h.compare(want_late, h.read(dir .. '/late'), 'late, ' .. where .. '\n' .. text)
    os.remove(dir .. '/late')
  end
  local piped = h.shell(('python3 tests/spec/tools/pieces.py 3 <%s/in | %s'):format(dir, h.command { 'run', '--quiet', file }))
  assert.equal(0, piped.code, piped.err)
  h.compare(want, piped.out, 'pieces, ' .. where)
end

describe('windows that share panes', function()
  it('give what the reference gives', function()
    for seed = 1, 12 do
      math.randomseed(seed)
      local s = random_spec()
      local gap, disorder = cases.pick { 3, 50, 400 }, cases.pick { 0, 1000, 9000 }
      both(s, cases.stream(seed, 500, gap, disorder, cases.pick { 0, 1700000000000, -5000 }), 'seed ' .. seed)
    end
  end)

  it('give what the reference gives where an event is in thousands of them', function()
    for seed = 1, 2 do
      math.randomseed(seed)
      local s = { size = 3600000, slide = 1000, offset = 0, lateness = seed == 2 and 5000 or 0, out_of_order = 0, mode = 'final',
        accumulate = true, key = 'k' }
      both(s, cases.stream(seed, 60, 40000, 4000, 1000), 'seed ' .. seed)
    end
  end)

  --- All aggregates that panes may hold give what windows of their own give: beside one that cannot be merged.
  it('hold every aggregate that merges, exactly', function()
    local list = [[n = tm.agg.count(), s = tm.agg.sum 'x', a = tm.agg.avg 'x', v = tm.agg.var 'x', d = tm.agg.stddev 'x',
      lo = tm.agg.min 't', hi = tm.agg.max 'x', f = tm.agg.first 'x', l = tm.agg.last 't', am = tm.agg.argmin('x', 'i'),
      ax = tm.agg.argmax('t', { 'i', 'x' }), c = tm.agg.collect('i', { max = 7 }), u = tm.agg.distinct 'v',
      ap = tm.agg.approx_distinct('i', { precision = 8 }),
      q = tm.agg.quantile('x', 0.9), big = tm.agg.count { where = function(e) return e.v > 30 end }%s]]
    for seed = 1, 4 do
      math.randomseed(seed)
      local lines = {}
      for line in cases.stream(seed, 1500, 40, 3000, 0):gmatch '[^\n]+' do
        local x = (math.random() - 0.5) * 10 ^ math.random(-12, 18)
        lines[#lines + 1] = line:gsub('"v":', ('"x":%.17g,"t":"t%d","v":'):format(x, math.random(99)))
      end
      local input = table.concat(lines, '\n') .. '\n'
      local size = cases.pick { 3000, 10000 }
      local window = (":window('w', tm.window.hopping('%dms', '%dms'), { lateness = '%dms' })"):format(size, size / cases.pick { 5, 20 },
        cases.pick { 0, 4000 })
      local out = {}
      for i, more in ipairs { '', ", z = tm.agg.custom { init = 0, add = function(acc) return acc end }" } do
        local r = h.run({ 'run', '--quiet', '-e', "stream:event_time { field = 'ts', out_of_order = '500ms' }:key_by 'k'" .. window ..
          ':aggregate { ' .. list:format(more) .. ' }' .. (i == 2 and ":drop { 'z' }" or '') }, input)
        assert.equal(0, r.code, r.err)
        out[i] = r.out
      end
      assert.not_equal('', out[1])
      h.compare(out[2], out[1], window)
    end
  end)

  it('fail an event whose value is of another kind than one in a window with it, and no other', function()
    local lines = {}
    math.randomseed(5)
    for i = 1, 300 do
      local text = math.random() < 0.15
      lines[i] = ('{"ts":%d,"k":%d,"v":%s,"i":%d}\n'):format(i * 100 - math.random(0, 4) * 300, math.random(3),
        text and '"x' .. i .. '"' or i, i)
    end
    local input, out, dead = table.concat(lines), {}, {}
    for i, more in ipairs { '', ', z = tm.agg.custom { init = 0, add = function(acc) return acc end }' } do
      local letters = h.path 'dead'
      local r = h.run({ 'run', '--quiet', '-e', ([[stream:on_error(tm.sink.file '%s')
        :event_time { field = 'ts', out_of_order = '500ms' }:key_by 'k':window('w', tm.window.hopping('2s', '200ms'))
        :aggregate { lo = tm.agg.min 'v', hi = tm.agg.argmax('v', 'i')%s }]]):format(letters,
        more) .. (i == 2 and ":drop { 'z' }" or '') }, input)
      assert.equal(0, r.code, r.err)
      out[i], dead[i] = r.out, {}
      for n, letter in ipairs(h.rows(h.read(letters))) do dead[i][n] = letter.position end
    end
    assert.is_true(#dead[1] > 10 and #dead[1] < 250, #dead[1])
    assert.same(dead[2], dead[1])
    h.compare(out[2], out[1], 'rows')
  end)
end)

describe('windows in numbers', function()
  it('are open by the ten thousand, of a second each, over a day of disorder', function()
    -- each second of a day twice, all of it in random order: no row before the end
    math.randomseed(3)
    local times, lines = {}, {}
    for i = 1, 40000 do times[i] = (i - 1) % 20000 * 4319 + 7 end
    for i = #times, 2, -1 do
      local j = math.random(i)
      times[i], times[j] = times[j], times[i]
    end
    for i, t in ipairs(times) do lines[i] = ('{"ts":%d,"k":%d}\n'):format(t, t % 2) end
    local r = h.run({ 'run', '--json', '-e', [[stream:event_time { field = 'ts', out_of_order = '1d' }:key_by 'k'
      :window('w', tm.window.tumbling '1s'):aggregate { n = tm.agg.count() }]] }, table.concat(lines), { timeout = 60 * h.slowness() })
    assert.equal(0, r.code, r.err)
    local want = {}
    for i = 1, 20000 do
      local t = (i - 1) * 4319 + 7
      want[i] = ('{"k":%d,"n":2,"window_end":%d,"window_start":%d}\n'):format(t % 2, t - t % 1000 + 1000, t - t % 1000)
    end
    h.compare(table.concat(want), r.out, 'rows')
  end)

  it('keep their order and their revisions beyond those that have a state of their own', function()
    for seed = 1, 4 do
      math.randomseed(seed)
      local s = cases.spec()
      s.size, s.slide, s.offset = 1000, 1000, 0
      s.out_of_order, s.lateness = 600000, cases.pick { 0, 300000 }
      if s.every then s.every = 90000 end
      s.what = cases.pick { 'aggregate', 'apply', 'reduce' }
      both(s, cases.stream(seed, 1500, 1500, 900000, 0), 'seed ' .. seed)
    end
  end)
end)
