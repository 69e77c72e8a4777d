--[[
sliding_spec.lua - over, and sliding windows, judged by a slow reference (sliding_reference.py): random streams with disorder, late
events, gaps, equal, negative and huge times, values that are not there or of the wrong type, events that fail. With the JIT off and
however the input is cut. And bounds, memory, mistakes.
]]

local h = require 'spec.helper'
local json = require 'dkjson'

local ROUNDS = tonumber(os.getenv 'SLIDING_ROUNDS' or 20)

local function pick(list) return list[math.random(#list)] end

local KINDS = { 'count', 'sum', 'avg', 'var', 'stddev', 'min', 'max', 'first', 'last', 'distinct', 'quantile' }
local SIZES = { 1, 700, 5000, 60000 }

--- Random lines: times around `base`, steps of up to `gap` ms, up to `disorder` ms late.
local function stream(n, gap, disorder, base, odd)
  local lines, t = {}, base
  for i = 1, n do
    local r = math.random()
    if r < 0.6 then t = t + math.random(0, gap) elseif r < 0.61 then t = t + gap * math.random(50, 500) end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    local v = pick { math.random(-50, 50), math.random(-5000, 5000) / 100, math.random() * 1e6, 0 }
    local x = pick { 'null', '"b"', '"a"', '"ab"', '""', '"é"' }
    local y = pick { 'true', 'false', '1', '"1"', '[1,2]', '{"a":null}', 'null', '-3.5' }
    local wrong = odd and math.random() < 0.02
    lines[i] = ('{"ts":%.0f,"k":"k%d","v":%s,"x":%s,"y":%s,"d":%s,"i":%d,"boom":%s}'):format(t - late, math.random(1, 5),
      wrong and '"no number"' or ('%.17g'):format(v), odd and math.random() < 0.05 and '7' or x, y, pick { '1', '"1"', 'true', 'null', '2.5' }, i,
      tostring(odd and math.random() < 0.05))
  end
  return table.concat(lines, '\n') .. '\n'
end

local FIELD = { min = { 'v', 'x' }, max = { 'v', 'x' }, first = { 'v', 'y', 'x' }, last = { 'v', 'y', 'x' }, distinct = { 'v', 'd' } }

local function random_spec(mode)
  local size = pick(SIZES)
  local s = { mode = mode, out_of_order = pick { 0, 500, 5000 }, key = math.random() < 0.7 and 'k' or h.null, fails = 'boom', aggregates = {} }
  for i = 1, math.random(1, 6) do
    local kind = pick(KINDS)
    s.aggregates[i] = { name = 'a' .. i, kind = kind, field = pick(FIELD[kind] or { 'v' }), over = mode == 'over' and pick(SIZES) or size,
      where = math.random() < 0.3 and 'big' or nil, share = pick { 0, 0.5, 0.9, 1 } }
  end
  if mode == 'sliding' then s.fails = math.random(1, 30) end
  return s
end

local function script(s, dir)
  local list = {}
  for i, a in ipairs(s.aggregates) do
    local options = { a.where and 'where = function(e) return e.v > 0 end' or nil }
    if s.mode == 'over' then options[#options + 1] = ("over = '%dms'"):format(a.over) end
    local args = { a.kind ~= 'count' and "'" .. a.field .. "'" or nil }
    if a.kind == 'quantile' then args[#args + 1] = tostring(a.share) end
    args[#args + 1] = '{ ' .. table.concat(options, ', ') .. ' }'
    list[i] = ('    %s = tm.agg.%s(%s)'):format(a.name, a.kind, table.concat(args, ', '))
  end
  list = '{\n' .. table.concat(list, ',\n') .. ' }'
  return ([[local tm = require 'tidemill'
return tm.pipeline 'p':on_error(tm.sink.discard()):event_time { field = 'ts', out_of_order = '%dms' }%s
  %s
  :map(function(e) if %s then error 'as was asked for' end return e end):late_to(tm.sink.file '%s/late')]]):format(s.out_of_order,
    s.key == 'k' and ":key_by 'k'" or '',
    s.mode == 'over' and ":over('o', " .. list .. ')' or (":window('o', tm.window.sliding '%dms'):aggregate %s"):format(s.aggregates[1].over, list),
    s.mode == 'over' and 'e.boom' or ('e.a1 == %d'):format(s.fails), dir)
end

--- Runs the script and has the reference judge its rows.
local function judge(s, input, where)
  local dir = h.folder()
  local text = script(s, dir)
  h.write(json.encode(s), dir .. '/spec.json')
  h.write(input, dir .. '/in')
  local r = h.run { 'run', '--quiet', '--from', dir .. '/in', h.write(text, dir .. '/s.lua') }
  assert.equal(0, r.code, text .. r.err)
  h.write(r.out, dir .. '/out')
  local j = h.shell(('python3 tests/spec/sliding_reference.py %s/spec.json %s/in %s/out %s/late'):format(dir, dir, dir, dir))
  assert.equal(0, j.code, ('%s\n%s\n%s in %s'):format(where, text, j.err, dir))
  return dir, r.out
end

describe('sliding values', function()
  for _, mode in ipairs { 'over', 'sliding' } do
    it('are those of the reference: ' .. mode, function()
      for seed = 1, ROUNDS do
        math.randomseed(seed)
        local s = random_spec(mode)
        local input = stream(500, pick { 1, 30, 400, 20000 }, pick { 0, 1000, 9000 }, pick { 0, 1700000000000, -5000, -9e14, 9e14 },
          seed % 2 == 0)
        judge(s, input, 'seed ' .. seed)
      end
    end)

    it('and of a key with many events, most of them out of order: ' .. mode, function()
      for seed = 101, 103 do
        math.randomseed(seed)
        local s = random_spec(mode)
        s.key, s.out_of_order = h.null, 3000
        judge(s, stream(3000, 20, 3000, 0, false), 'seed ' .. seed)
      end
    end)

    it('do not depend on the JIT, nor on how the input is cut: ' .. mode, function()
      for seed = 201, 202 do
        math.randomseed(seed)
        local s = random_spec(mode)
        local dir, out = judge(s, stream(3000, 30, 6000, 0, true), 'seed ' .. seed)
        local r = h.run { 'run', '--quiet', '--no-jit', '--from', dir .. '/in', dir .. '/s.lua' }
        assert.equal(out, r.out)
        local command = h.command { 'run', '--quiet', dir .. '/s.lua' }
        assert.equal(out, h.sh('python3 tests/spec/tools/pieces.py %d <%s/in | %s', seed, dir, command))
      end
    end)
  end
end)
