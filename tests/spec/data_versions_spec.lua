--[[ Runs that are kept in a data folder and go on with another version of their script: what is refused, in which words, and that nothing
is changed then; kills at random moments while keys are migrated. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local system = require 'system'

local KILLS = tonumber(os.getenv 'TM_KILLS') or 20

local script = [[
local tm = require 'tidemill'
return tm.pipeline 'p':key_by 'k'
:process('s', { max_keys = 1e6, STATE, on_event = function(e, s, ctx) BODY end }):to(tm.sink.file(tm.setting 'out'))
]]

local function version(name, state, body)
  return h.write((script:gsub('STATE', function() return state end):gsub('BODY', function() return body end)), h.path(name))
end

local function events(from, to, keys)
  local list = {}
  for i = from, to do list[#list + 1] = ('{"k":"k%d","i":%d}\n'):format(i % keys, i) end
  return table.concat(list)
end

local function run(path, o)
  local args = { 'run', '--quiet', path, '--set', 'out=' .. o.out, '--data', o.data, '--epoch', '5ms' }
  for _, a in ipairs(o) do args[#args + 1] = a end
  return args
end

--- A run that has done with events and ends by TERM, as more could come; rows: in its output then.
local function begun(path, o, text, rows)
  local fifo = r.fifo()
  local p = r.start(run(path, o), { stdin = fifo })
  local f = assert(io.open(fifo, 'w'))
  f:write(text)
  f:flush()
  r.wait_until('rows', function() return select(2, (h.read(o.out) or ''):gsub('\n', '\n')) == rows or p:code() end)
  p:signal 'TERM'
  assert.equal(0, p:wait(), p:err())
  f:close()
end

local V1 = "state = { n = 0, name = '', tags = tm.state.set { of = 'string' } }"
local BODY = "s.n = s.n + 1 s.tags:add(e.k) ctx.emit { k = e.k, n = s.n }"

describe('a run that is kept and goes on with another version of its script', function()
  after_each(r.stop_all)

  local o, v1
  before_each(function()
    o, v1 = { out = h.path 'out', data = h.path 'data' }, version('v1.lua', V1, BODY)
    begun(v1, o, events(1, 30, 3), 30)
  end)

  local function refused(code, state, body, more)
    local function kept() return h.run({ 'state', 'export', v1, '--set', 'out=x', '--data', o.data }).out end
    local before = kept()
    local args = run(version('v2.lua', state, body or 'ctx.emit { k = e.k }'), o)
    for _, a in ipairs(more or {}) do args[#args + 1] = a end
    local got = h.shell('cat ' .. h.write(events(31, 40, 3)) .. ' | ' .. h.command(args))
    assert.equal(code, got.code, got.err)
    assert.is_true(#before > 200)
    assert.equal(before, kept())
    assert.equal(30, select(2, h.read(o.out):gsub('\n', '\n')))
    return got.err
  end

  it('refuses what has gone or changed, and says which field, what it was and is, and how to go on', function()
    local err = refused(6, "state = { n = '', tags = tm.state.list { of = 'string' } }")
    assert.equal("tidemill: error: state 'p/s' is not the one that the data folder keeps: field 'n' was a number and is a string; " ..
      "field 'name', a string, has gone; field 'tags' was a set of 'string' and is a list of 'string'. " ..
      "Write migrate = function(old) … return new end in the step's options, which makes the fields of a key from those it had, or " ..
      "migrate = 'drop', to lose what has gone; give the step another name, to begin with nothing; put the script back; or start anew " ..
      "with --reset. What is kept can be written out before, with the script as it was: 'tidemill state export'\n", err)
    local at = "state = { n = 0, name = '', tags = tm.state.set { of = '%s' %s } }"
    assert.truthy(refused(6, at:format('number', '')):find("field 'tags' was a set of 'string' and is a set of 'number'", 1, true))
    assert.truthy(refused(6, "state = { n = 'any', name = '', tags = tm.state.set { of = 'string' } }")
      :find("field 'n' was a number and is of type 'any'", 1, true))
  end)

  it('names the key for which migrate failed, was too slow, or returned what cannot be', function()
    local function failing(body, wanted, more)
      local err = refused(6, ("state = { m = 0, l = tm.state.list { of = 'number' }, t = tm.state.set { of = 'string', max = 1 } }, " ..
        "migrate = function(old) %s end"):format(body), nil, more)
      assert.truthy(err:find(wanted), err)
    end
    local place = "state 'p/s', key \"k%d\": migrate failed, and nothing that is kept was changed: "
    failing('return { m = old.nothing.x }', place .. ".*v2.lua:3: attempt to index field 'nothing'")
    failing('if old.tags.k2 then while true do end end return {}', "key \"k2\": migrate failed, .*v2.lua:3: still at work",
      { '--deadline', '100ms' })
    failing('return 1', place .. 'migrate returns a table of the fields of the state, got number')
    failing('return { mm = 1 }', place .. "migrate returned a field 'mm', which the state does not have %(did you mean 'm'%?%)")
    failing("return { m = 'x' }", place .. "migrate: field 'm' is a number, cannot hold a string")
    failing('return { m = 0 / 0 }', place .. "migrate: field 'm' cannot hold NaN")
    failing("return { l = { 1, 'x' } }", place .. "migrate: field 'l' holds values of type number, got a string")
    failing('return { l = { 1, nil, 3 } }', place .. "migrate: field 'l' is a list, and the table has other keys than 1 to")
    failing("return { t = { 'a' } }", place .. "migrate: field 't'")
    failing("return { t = { a = true, b = true } }", place .. "migrate: field 't' has room for 1 elements %(max%), got 2")
    failing("return { t = 1 }", place .. "migrate: field 't' is a set, cannot hold 1")
    failing("return { m = os.time() }", place)
  end)

  it('goes on with fields that were added, moved, migrated, and calls migrate for another version alone', function()
    local function shown(path)
      local got = h.run { 'state', 'get', 'p/s', path, '--set', 'out=x', '--data', o.data }
      assert.equal(0, got.code, got.err)
      return h.rows(got.out)
    end
    assert.same({ { k = 'k1', n = 10, more = 'new', name = '', tags = { 'k1' }, x = h.null },
      { k = 'k2', n = 10, more = 'new', name = '', tags = { 'k2' }, x = h.null },
      { k = 'k0', n = 10, more = 'new', name = '', tags = { 'k0' }, x = h.null } },
      shown(version('v2.lua', "state = { x = 'any', more = 'new', tags = tm.state.set { of = 'string' }, name = '', n = 0 }", BODY)))
    local migrated = "state = { total = 0, name = '' }, version = %d, migrate = function(old, version) " ..
      "return { total = (old.n or old.total) * 2, name = tostring(version) } end"
    local path = version('v3.lua', migrated:format(2), 's.total = s.total + 1 ctx.emit { k = e.k, n = s.total }')
    assert.same({ k = 'k1', total = 20, name = 'nil' }, shown(path)[1])
    -- the migrated state is kept, and no function is called for it again
    begun(path, o, events(31, 33, 3), 33)
    assert.same({ k = 'k1', n = 21 }, h.rows(h.read(o.out))[31])
    local failing = version('v4.lua', migrated:format(2):gsub('return {', 'error "called" return {'), 's.total = s.total + 1')
    assert.same({ k = 'k1', total = 21, name = 'nil' }, shown(failing)[1])
    path = version('v5.lua', migrated:format(3), 's.total = s.total + 1')
    assert.same({ k = 'k1', total = 42, name = '2' }, shown(path)[1])
  end)

  it('is not hurt by kills while keys are migrated', function()
    math.randomseed(7)
    local keys, n = 3000, 12000
    local input = h.write(events(1, n, keys), h.path 'in.ndjson')
    local k = { out = h.path 'out', data = h.path 'data', '--from', input, '--rate', '200000/s' }
    local first = version('k1.lua', 'state = { n = 0 }', 's.n = s.n + 1 ctx.emit { k = e.k, n = s.n }')
    local second = version('k2.lua', [[state = { total = 0, list = tm.state.list { of = 'number' } }, migrate = function(old)
      local x = 0
      for i = 1, 20000 do x = x + i % 7 end
      return { total = old.n * 1000 + x - x, list = { old.n } }
    end]], 's.total = s.total + 1 ctx.emit { k = e.k, total = s.total, was = s.list:get(1) }')
    local function kill_all(p)
      local worker = p:worker()
      p:signal 'KILL'
      if worker then p:signal('KILL', worker) end
      p:wait()
    end
    local p = r.start(run(first, k))
    r.wait_until('rows', function() return r.size(k.out) > 80000 or p:code() end)
    assert.is_nil(p:code())
    kill_all(p)
    local before, killed = 0, 0
    local slow = { out = k.out, data = k.data, '--from', input, '--rate', '10000/s' }   -- so that none is done before it is killed
    while killed < KILLS do
      p = r.start(run(second, slow))
      -- each second time while keys are migrated, which follows the worker's start and takes longer than that
      local soon = killed % 2 == 0
      if soon then r.wait_until('the worker', function() return p:worker() or p:code() end) end
      local last = system.monotime() + math.random() * (soon and 0.03 or 0.3)
      while system.monotime() < last and not p:code() do system.sleep(0.001) end
      if p:code() then break end
      kill_all(p)
      killed = killed + 1
      if not h.read(k.out):find('total', 1, true) then before = before + 1 end
    end
    local got = h.run(run(second, k))
    assert.equal(0, got.code, got.err)
    assert.is_true(before >= KILLS / 4, before .. ' of ' .. killed .. ' kills before the first row of the new version')
    -- each key: 1, 2 … a by the one version, then a * 1000 + 1 …, all of its events
    local count, was = {}, {}
    for _, row in ipairs(h.rows(h.read(k.out))) do
      local c = (count[row.k] or 0) + 1
      count[row.k] = c
      if row.n then
        assert.equal(c, row.n)
        assert.is_nil(was[row.k])
      else
        was[row.k] = was[row.k] or c - 1
        assert.equal(was[row.k] * 1000 + c - was[row.k], row.total)
        if was[row.k] > 0 then assert.equal(was[row.k], row.was) end
      end
    end
    for i = 0, keys - 1 do assert.equal(n / keys, count['k' .. i]) end
  end)
end)
