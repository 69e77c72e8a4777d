--[[
windows_cases.lua - what specs of windows share: random streams and windows, the script of a window, and what
windows_reference.py says of it.
]]

local h = require 'spec.helper'
local json = require 'dkjson'

local M = {}

local MINUTE = 60000

--- A random stream: { lines }, its times around `base`, steps of up to `gap` ms, up to `disorder` ms late.
function M.stream(seed, n, gap, disorder, base)
  math.randomseed(seed)
  local lines, t = {}, base
  for i = 1, n do
    local r = math.random()
    if r < 0.6 then t = t + math.random(0, gap) elseif r < 0.61 then t = t + gap * math.random(50, 500) end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    lines[i] = ('{"ts":%d,"k":"k%d","v":%d,"i":%d}'):format(t - late, math.random(1, 7), math.random(-50, 50), i)
  end
  return table.concat(lines, '\n') .. '\n'
end

--- One of a list.
function M.pick(list) return list[math.random(#list)] end

--- A random window, way to emit and disorder.
function M.spec()
  local size = M.pick { 1000, 1500, 10000, MINUTE }
  local s = { size = size, slide = size, offset = 0, lateness = 0, out_of_order = M.pick { 0, 500, 5000 }, mode = 'final',
    accumulate = true, key = math.random() < 0.7 and 'k' or h.null }
  if math.random() < 0.5 then s.slide = M.pick { size / 2, size / 5, size / 10, size * 2, math.floor(size / 3) } end
  if math.random() < 0.3 then s.offset = M.pick { -100, 250, -s.slide + 1, s.slide - 1 } end
  if math.random() < 0.5 then s.lateness = M.pick { 100, 1000, 20000 } end
  local how = math.random(6)
  if how == 2 then s.mode = 'closed'
  elseif how == 3 then s.mode = 'updates'
  elseif how == 4 then s.mode = 'retract'
  elseif how == 5 then s.mode, s.every = 'early', M.pick { 300, 1000, 7000 }
  elseif how == 6 then s.mode, s.count = 'early', M.pick { 1, 3, 10 } end
  if (s.mode == 'final' or s.mode == 'early') and math.random() < 0.3 then s.accumulate = false end
  return s
end

-- what the reference's `shown` makes of a window's events
local SHOWN = {
  aggregate = "aggregate { n = tm.agg.count(), total = tm.agg.sum 'v', least = tm.agg.min 'v' }",
  reduce = "reduce('sum', function(a, b) return { v = a.v + b.v, i = math.max(a.i, b.i) } end)",
  apply = [[apply(function(_, _, rows, emit)
    local all, total = {}, 0
    for i = 1, #rows do all[i], total = rows[i].i, total + rows[i].v end
    emit { n = #rows, all = all, total = total }
    if #rows > 0 then
      emit { span = rows[#rows].ts - rows[1].ts, window_end = 'own', last = tm.copy(rows[#rows]) }
    end
  end)]],
}

--- The script of a spec; late: where late events go; more: text behind event_time.
function M.script(s, late, more)
  local options = ("{ offset = '%dms'%s }"):format(s.offset, s.zone and (", zone = '%s'"):format(s.zone) or '')
  local window = s.slide == s.size and ("tm.window.tumbling('%dms', %s)"):format(s.size, options) or
    ("tm.window.hopping('%dms', '%dms', %s)"):format(s.size, s.slide, options)
  local emit = { "mode = '" .. (s.mode == 'early' and 'final' or s.mode) .. "'" }
  if s.every then emit[2] = ("early = '%dms'"):format(s.every) end
  if s.count then emit[2] = ('early = { count = %d }'):format(s.count) end
  if not s.accumulate then emit[#emit + 1] = 'accumulate = false' end
  return ([[local tm = require 'tidemill'
return tm.pipeline 'w':event_time { field = 'ts', out_of_order = '%dms' }%s%s
  :window('w', %s, { lateness = '%dms' })
  :%s:emit { %s }:late_to(tm.sink.file '%s')]]):format(
    s.out_of_order, more or '', s.key == 'k' and ":key_by 'k'" or '', window, s.lateness, SHOWN[s.what or 'aggregate'],
    table.concat(emit, ', '), late)
end

--- The rows and the late events of the reference.
function M.reference(dir, s, input)
  s.late = dir .. '/late.want'
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.shell(('python3 tests/spec/windows_reference.py %s/spec.json <%s/in'):format(dir, dir))
  assert(r.code == 0, r.err)
  return r.out, h.read(s.late)
end

--- A window gives the same behind a filter that the host applies, from a pipe in small pieces, and without the compiler.
---@param input string a stream, whose events get a mark by which a fifth and more are dropped; dropped events move the watermark
---@param script_of fun(late: string, more: string): string the script, as M.script makes it
function M.other_ways(input, script_of, where)
  local dir = h.folder()
  local marked = input:gsub('"v":(-?%d+)', function(v) return ('"v":%s,"keep":%s'):format(v, tostring(tonumber(v) > 20)) end)
  local computed = script_of(dir .. '/late1', ':filter(function(e) return (e.keep and 1 or 0) + 0 == 1 end)')
  local plain = h.run({ 'run', '--quiet', h.write(computed, dir .. '/a.lua') }, marked)
  assert(plain.code == 0 and plain.out ~= '', plain.err)
  local tested = script_of(dir .. '/late2', ':filter(function(e) return e.keep == true end)')
  local file = h.write(tested, dir .. '/b.lua')
  where = where .. '\n' .. tested
  for _, option in ipairs { '--quiet', '--no-jit' } do
    os.remove(dir .. '/late2')
    local r = h.run({ 'run', option, file }, marked)
    assert(r.code == 0, r.err)
    h.compare(plain.out, r.out, option .. ', ' .. where)
    h.compare(h.read(dir .. '/late1'), h.read(dir .. '/late2'), 'late, ' .. option .. ', ' .. where)
  end
  h.write(marked, dir .. '/in')
  local piped = h.shell(('python3 tests/spec/tools/pieces.py 3 <%s/in | %s'):format(dir, h.command { 'run', '--quiet', file }))
  assert(piped.code == 0, piped.err)
  h.compare(plain.out, piped.out, 'pieces, ' .. where)
end

return M
