--[[
state_ttl_spec.lua - what goes by age in the state of `process`: elements of lists, maps and sets, beside keys and timers, against a slow
reference (state_ttl_reference.py); and that memory is given back. ttl of running, dedup and top: operators_random_spec.
]]

local h = require 'spec.helper'
local json = require 'dkjson'
local running = require 'spec.running'
local kill = require 'spec.kill'

local function pick(list) return list[math.random(#list)] end

local SCRIPT = [[
local tm = require 'tidemill'
local function shown(s, row)
  local set, map, list = tm.array {}, tm.array {}, tm.array {}
  for x in s.set:each() do set[#set + 1] = x end
  for k, v in s.map:each() do map[#map + 1] = k .. '=' .. v assert(s.map:get(k) == v) end
  for i, x in s.list:each() do list[i] = x end
  row.set, row.map, row.list, row.sizes = set, map, list, { s.set:size(), s.map:size(), s.list:size() }
  return row
end
return tm.pipeline 'p':on_error(tm.sink.discard()):event_time { field = 't', out_of_order = '%dms' }:key_by 'k'
  :process('p', { %s state = { set = tm.state.set { ttl = '%dms', max = %d }, map = tm.state.map { ttl = '%dms', max = %d, of = '%s' },
      list = tm.state.list { ttl = '%dms', max = %d, of = '%s' } },
    on_event = function(e, s, ctx)
      for _, op in ipairs(e.ops) do
        local r
        if op.op == 'add' then r = s.set:add(op.x) assert(s.set:has(op.x))
        elseif op.op == 'remove' then r = s.set:remove(op.x)
        elseif op.op == 'put' then s.map:set(op.x, op.v)
        elseif op.op == 'unset' then r = s.map:remove(op.x)
        elseif op.op == 'push' then s.list:push(op.x)
        elseif op.op == 'at' then if op.i <= s.list:size() then s.list:set(op.i, op.x) end
        elseif op.op == 'pop' then r = s.list:pop()
        elseif op.op == 'shift' then r = s.list:shift()
        elseif op.op == 'timer' then ctx.timer('a', ctx.time + op.x)
        elseif op.op == 'empty' then s.set:clear() s.map:clear() s.list:clear() end
        if r ~= nil then ctx.emit { k = ctx.key, r = r } end
      end
      if e.fail then error 'told to' end
      ctx.emit(shown(s, { k = ctx.key, t = ctx.time }))
    end,
    on_timer = function(name, s, ctx)
      s.set:add 'timer' s.list:push 'timer'
      if ctx.time %% 7 == 0 then error 'told to' end
      ctx.emit(shown(s, { k = ctx.key, timer = ctx.time }))
    end %s })
]]

local EXPIRE = ", on_expire = function(s, ctx) ctx.emit(shown(s, { k = ctx.key, old = ctx.time })) end"

local function stream(n, gap, disorder, keys)
  local lines, t = {}, pick { 0, -500, 1700000000000, -9007199254000000 }
  for i = 1, n do
    if math.random() < 0.6 then t = t + math.random(0, gap) elseif math.random() < 0.02 then t = t + 40 * gap end
    local late = math.random() < 0.3 and math.random(0, disorder) or 0
    local ops = {}
    for j = 1, math.random(0, 3) do
      local x = pick { 'u', 'v', 'w', 'x', 'y', 'z', 'n' .. math.random(100) }
      ops[j] = { op = pick { 'add', 'add', 'add', 'put', 'put', 'push', 'push', 'push', 'at', 'remove', 'unset', 'pop', 'shift', 'timer',
        math.random() < 0.1 and 'empty' or 'add' }, x = x, v = 'v' .. i, i = math.random(4) }
      if ops[j].op == 'timer' then ops[j].x = pick { -5, 0, 3, 30 } end
    end
    setmetatable(ops, { __jsontype = 'array' })
    lines[i] = json.encode({ t = t - late, k = 'k' .. math.random(keys), ops = ops, fail = math.random() < 0.1 })
  end
  return table.concat(lines, '\n') .. '\n'
end

describe('elements with a ttl', function()
  after_each(running.stop_all)

  it('go as in the reference, in every way to run', function()
    local gone, fired = 0, 0
    for seed = 1, 60 do
      math.randomseed(seed)
      local dir = h.folder()
      local s = { out_of_order = pick { 0, 0, 25, 200 }, ttl = pick { 1, 10, 60, 400 }, max = pick { 2, 5, 1000 },
        key_ttl = seed % 2 == 0 and pick { 5, 80, 1000 } or h.null }
      local input = stream(seed % 10 == 0 and 600 or 120, pick { 1, 8, 60 }, pick { 0, 40, 300 }, pick { 1, 5 })
      h.write(json.encode(s), dir .. '/spec.json')
      h.write(input, dir .. '/in')
      local ref = h.shell(('python3 tests/spec/state_ttl_reference.py %s/spec.json <%s/in'):format(dir, dir))
      assert.equal(0, ref.code, ref.err)
      local of = pick { 'string', 'any' }
      local key_ttl = s.key_ttl ~= h.null and ("ttl = '%dms', "):format(s.key_ttl) or 'unbounded = true,'
      local file = h.write(SCRIPT:format(s.out_of_order, key_ttl, s.ttl, s.max, s.ttl, s.max, of, s.ttl, s.max, of,
        s.key_ttl ~= h.null and EXPIRE or ''), dir .. '/s.lua')
      local ways = {
        function() return h.run({ 'run', '--quiet', file }, input) end,
        function() return h.run({ 'run', '--quiet', '--no-jit', file }, input) end,
        function()
          return h.shell(('python3 tests/spec/tools/pieces.py 3 <%s/in | %s'):format(dir, h.command { 'run', '--quiet', file }))
        end,
      }
      for i, way in ipairs(ways) do
        if i == 1 or seed % 10 == 0 then
          local r = way()
          local where = ('seed %d, way %d, %s'):format(seed, i, dir)
          assert.equal(0, r.code, where .. r.err)
          local a, b = h.lines(ref.out), h.lines(r.out)
          -- keys that expire in the same ms do so in an order of arming, which elements change
          if s.key_ttl ~= h.null then table.sort(a) table.sort(b) end
          for n = 1, math.max(#a, #b) do
            if a[n] ~= b[n] then
              error(('%s\nrow %d of %d and %d:\nreference: %s\nprogram:   %s'):format(where, n, #a, #b, tostring(a[n]), tostring(b[n])))
            end
          end
        end
      end
      gone = gone + select(2, ref.out:gsub('"old"', ''))
      fired = fired + select(2, ref.out:gsub('"timer":', ''))
    end
    assert.is_true(gone > 100 and fired > 300, gone .. ', ' .. fired)
  end)

  it('give their memory back, also of keys that nothing comes to any more', function()
    -- 2,000 keys with 100 elements each, then one key alone while the watermark goes on; and what is there at the end is shown
    local code = [[stream:event_time { field = 't' }:key_by 'k':process('p', { %s state = {
        set = tm.state.set { ttl = '1s' }, list = tm.state.list { ttl = '1s', of = 'string' }, map = tm.state.map { ttl = '1s' } },
      on_event = function(e, s, ctx)
        for i = 1, e.n do s.set:add(e.t .. '-' .. i) s.list:push('element ' .. i) s.map:set(i, { i }) end
      end })]]
    local function bytes(more, last)
      local lines = {}
      for k = 1, 2000 do lines[k] = ('{"t":%d,"k":%d,"n":100}'):format(k % 100, k) end
      for i = 1, 3000 do lines[#lines + 1] = ('{"t":%d,"k":0,"n":0}'):format(last and 100 + i or 100) end
      local dir = h.folder()
      local file = h.write("local tm = require 'tidemill' local stream = tm.pipeline 'p' return " .. code:format(more) ..
        ':to(tm.sink.discard())', dir .. '/s.lua')
      local r = h.run({ 'state', 'ls', '--json', file }, table.concat(lines, '\n') .. '\n')
      assert.equal(0, r.code, r.err)
      return h.decode(r.out)[1]
    end
    local before, after = bytes('unbounded = true,', false), bytes('unbounded = true,', true)
    assert.equal(2001, after.keys)
    assert.is_true(before.bytes > 10e6 and after.bytes < before.bytes / 10, before.bytes .. ' ' .. after.bytes)
    assert.equal(1, bytes("ttl = '500ms',", true).keys)
  end)

  it('does not keep their key from making room', function()
    -- the set of b is emptied by age between; a was written last
    local r = h.run({ 'run', '--quiet', '-e', [[stream:event_time { field = 't' }:key_by 'k':process('p', { max_keys = 2,
      state = { set = tm.state.set { ttl = '5ms' }, n = 0 }, on_event = function(e, s, ctx)
        s.set:add(e.t) s.n = s.n + 1 ctx.emit { k = ctx.key, n = s.n } end })]] },
      '{"t":1,"k":"b"}\n{"t":2,"k":"a"}\n{"t":3,"k":"a"}\n{"t":50,"k":"a"}\n{"t":60,"k":"c"}\n{"t":61,"k":"a"}\n{"t":62,"k":"b"}\n')
    assert.equal('{"k":"b","n":1}\n{"k":"a","n":1}\n{"k":"a","n":2}\n{"k":"a","n":3}\n{"k":"c","n":1}\n{"k":"a","n":4}\n{"k":"b","n":1}\n',
      r.out, r.err)
  end)

  it('while workers are killed leave the rows beside them exact', function()
    local dir = h.folder()
    local out = dir .. '/out'
    local file = h.write(([[local tm = require 'tidemill'
      local all = tm.pipeline 'p':from(tm.source.generate(function(n)
        return '{"t":' .. n .. ',"k":' .. n %% 50 .. ',"i":' .. n .. '}' end, { count = 300000 })):event_time { field = 't' }
      local aged = all:key_by 'k':process('p', { ttl = '200ms', state = { set = tm.state.set { ttl = '120ms' } },
        on_event = function(e, s, ctx) s.set:add(e.i) ctx.emit { n = s.set:size() } end })
        :running('all', { least = tm.agg.min 'n', most = tm.agg.max 'n' }, { ttl = '1s', emit = 'final' })
      return { all:select { 'i' }:to(tm.sink.file '%s'), aged:to(tm.sink.file '%s') }]]):format(out, dir .. '/aged'), dir .. '/s.lua')
    local p = running.start { 'run', '--json', file }
    local kills, code = kill.often(p, function() return running.size(out) end, 8)
    assert.equal(0, code, p:err())
    assert.is_true(kills > 2)
    assert.equal(h.shell('seq -f \'{"i":%.0f}\' 300000 | sha256sum').out:match '%x+', running.digest(out))
    -- an element each 50 ms lives for 120: of the last ones three are there, whatever died before
    for _, row in ipairs(h.rows(h.read(dir .. '/aged'))) do
      assert.equal(3, row.most)
      assert.is_true(row.least >= 1)
    end
  end)
end)
