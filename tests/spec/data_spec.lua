--[[ Runs that are kept in a data folder: ending and going on, what is told when something does not fit, and looking into the folder. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local sums = require 'spec.sums'

local script, events = sums.script, sums.events

local function run(o)
  local args = { 'run', o.script or h.write(script, h.path 's.lua'), '--set', 'out=' .. o.out, '--data', o.data }
  if not o.loud then args[#args + 1] = '--quiet' end
  for _, arg in ipairs(o) do args[#args + 1] = arg end
  return args
end

local function wanted(text)
  local out = h.path 'want'
  assert.equal(0, h.run({ 'run', '--quiet', h.write(script, h.path 's.lua'), '--set', 'out=' .. out }, text).code)
  return h.read(out)
end

describe('a run that is kept', function()
  after_each(r.stop_all)

  it('goes on after TERM with windows that are open, and stays ended at the end', function()
    local o = { out = h.path 'out', data = h.path 'data' }
    local fifo = r.fifo()
    local p = r.start(run(o), { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    f:write(events(1, 3333))
    f:flush()
    r.wait_until('rows', function() return r.size(o.out) > 3000 end)
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
    local before = h.read(o.out)
    assert.is_true(#before < #wanted(events(1, 3333)))
    local got = h.shell('cat ' .. h.write(events(3334, 5000)) .. ' | ' .. h.command(run(o)))
    assert.equal(0, got.code, got.err)
    assert.equal(wanted(events(1, 5000)), h.read(o.out))
    got = h.run(run(o), events(1, 10))
    assert.equal(0, got.code)
    assert.truthy(got.err:find('has come to the end of its input; --reset starts anew', 1, true), got.err)
    assert.equal(wanted(events(1, 5000)), h.read(o.out))
    o[1] = '--reset'
    os.remove(o.out)
    assert.equal(0, h.run(run(o), events(1, 2000)).code)
    assert.equal(wanted(events(1, 2000)), h.read(o.out))
  end)

  --- A run over a file, killed when it has written something.
  local function killed(o, input)
    local p = r.start(run(o))
    r.wait_until('rows', function() return r.size(o.out) > 30000 or p:code() end)
    local worker = p:worker()
    p:signal 'KILL'
    if worker then p:signal('KILL', worker) end
    p:wait()
    return input
  end

  it('refuses files that are not what they were, and a folder that is in use', function()
    local input = h.write(events(1, 300000), h.path 'in.ndjson')
    local o = { out = h.path 'out', data = h.path 'data', '--from', input, '--epoch', '5ms', '--rate', '100000/s' }
    local p = r.start(run(o))
    r.wait_until('rows', function() return r.size(o.out) > 30000 end)
    local got = h.run(run(o))
    assert.equal(2, got.code)
    assert.truthy(got.err:find('in use', 1, true), got.err)
    local worker = p:worker()
    p:signal 'KILL'
    if worker then p:signal('KILL', worker) end
    p:wait()
    local text = h.read(o.out)
    h.write(text:sub(1, 10), o.out)
    got = h.run(run(o))
    assert.equal(1, got.code)
    assert.truthy(got.err:find('out: has 10 bytes, but %d+ were written to it: rows are gone'), got.err)
    h.write(text, o.out)
    h.write(events(2, 300001), input)
    got = h.run(run(o))
    assert.equal(1, got.code)
    assert.truthy(got.err:find(input .. ': begins otherwise than the file that was read up to byte', 1, true), got.err)
    h.write(events(1, 300000), input)
    o[5], o[6] = nil, nil
    assert.equal(0, h.run(run(o)).code)
    assert.equal(wanted(events(1, 300000)), h.read(o.out))
  end)

  it('can be looked into, and says which state a script has changed', function()
    local input = h.write(events(1, 300000), h.path 'in.ndjson')
    local o = { out = h.path 'out', data = h.path 'data', '--from', input, '--epoch', '5ms', '--rate', '100000/s' }
    killed(o, input)
    local path = h.write(script, h.path 's.lua')
    local got = h.run { 'state', 'ls', path, '--set', 'out=x', '--data', o.data, '--json' }
    assert.equal(0, got.code, got.err)
    local list = h.decode(got.out)
    assert.equal('sums/w', list[1].name)
    assert.is_true(list[1].keys > 0 and list[1].keys <= 7)
    o.script = h.write(script:gsub("s = tm.agg.sum 'v'", "m = tm.agg.max 'v'"), h.path 's2.lua')
    got = h.run(run(o))
    assert.equal(6, got.code)
    assert.truthy(got.err:find("state 'sums/w' is not the one that the data folder keeps", 1, true), got.err)
    assert.truthy(got.err:find('--reset', 1, true), got.err)
    assert.equal(0, h.run { 'journal', 'verify', o.data }.code)
  end)

  it('writes event logs and tables once', function()
    local path = h.write([[local tm = require 'tidemill'
      local some = tm.pipeline 'some':filter(function(e) return e.v % 3 == 0 end)
      return { some:to(tm.sink.log 'some'), some:to(tm.sink.sqlite { path = tm.setting 'db', table = 'rows' }) }]], h.path 's.lua')
    local input = h.write(events(1, 60000), h.path 'in.ndjson')
    local data, db = h.path 'data', h.path 'rows.db'
    local args = { 'run', '--quiet', path, '--set', 'db=' .. db, '--data', data, '--from', input, '--epoch', '5ms' }
    math.randomseed(7)
    local kills = 0
    for _ = 1, 60 do
      local p = r.start(args)
      local from = r.size(db .. '-wal') + r.size(db)
      r.wait_until('progress', function() return p:code() or r.size(db .. '-wal') + r.size(db) > from end)
      require('system').sleep(math.random() * 0.02)
      if p:code() then break end
      local worker = p:worker()
      p:signal 'KILL'
      if worker then p:signal('KILL', worker) end
      p:wait()
      kills = kills + 1
    end
    local got = h.run(args)
    assert.equal(0, got.code, got.err)
    assert.is_true(kills > 0)
    local rows = h.lines(h.run { 'log', 'cat', 'some', '--data', data }.out)
    assert.equal(20000, #rows)
    for i, row in ipairs(rows) do
      if h.decode(row).v ~= 3 * i then error(('row %d of the log is %s'):format(i, row)) end
    end
    local query = 'select count(*), count(distinct v), min(v), max(v) from rows'
    assert.equal('20000|20000|3|60000\n', h.shell(("sqlite3 %s '%s'"):format(db, query)).out)
  end)
end)
