--[[ Standard input of a run that is kept, from a pipe: what was read since the last epoch outlives a worker, in the same program; a full
ring asks for an epoch; and what a kill of all processes loses is said. ]]

local h = require 'spec.helper'
local kill = require 'spec.kill'
local r = require 'spec.running'
local system = require 'system'

local KILLS = tonumber(os.getenv 'TM_KILLS') or 40

local script = [[
local tm = require 'tidemill'
local dir = tm.setting 'dir'
local tx = tm.pipeline 'tx':event_time { field = 'ts', unit = 'ms', out_of_order = '2s' }
local sums = tx:key_by 'k':window('w', tm.window.tumbling '5s'):aggregate { n = tm.agg.count(), s = tm.agg.sum 'id' }
  :to(tm.sink.file(dir .. '/sums'))
local all = tm.pipeline 'all':filter(function(e) return e.id % 3 == 0 end):to(tm.sink.file(dir .. '/all'))
return { sums, all }
]]

--- Writes its lines in pieces of random sizes, which end anywhere, with pauses.
local writer = [[
math.randomseed(5)
local ffi = require 'ffi'
ffi.cdef 'int usleep(unsigned us);'
local list, at = {}, 1
for i = 1, 30000 do
  list[i] = ('{"ts":%d,"id":%d,"k":"k%d","pad":"%s"}\n'):format(1700000000000 + i * 10 - math.random(0, 1500), i, i % 11, ('p'):rep(i % 60))
end
local text = table.concat(list)
io.stdout:setvbuf 'no'
while at <= #text do
  local n = math.random(20) == 1 and math.random(60000) or math.random(3000)
  io.stdout:write(text:sub(at, at + n - 1))
  at = at + n
  if tonumber(arg[1]) > 0 then ffi.C.usleep(math.random(tonumber(arg[1]))) end
end
]]

describe('standard input of a run that is kept', function()
  after_each(r.stop_all)

  local path, write, want
  local function content(dir) return { sums = h.read(dir .. '/sums'), all = h.read(dir .. '/all') } end
  local function out_dir()
    local dir = h.path 'out'
    assert(os.execute('mkdir -p ' .. h.quote(dir)) == 0)
    return dir
  end
  --- A pipe that the writer feeds, pausing so many µs at most behind each piece.
  local function feed(pause)
    local fifo = r.fifo('fifo' .. pause)
    r.spawn(('luajit %s %d'):format(h.quote(write), pause), { stdout = fifo })
    return fifo
  end

  setup(function()
    path, write = h.write(script, h.path 's.lua'), h.write(writer, h.path 'writer.lua')
    local dir = out_dir()
    local got = h.shell(('luajit %s 0 | %s'):format(h.quote(write), h.command { 'run', '--quiet', path, '--set', 'dir=' .. dir }))
    assert.equal(0, got.code, got.err)
    want = content(dir)
    assert.is_true(#want.sums > 10000 and #want.all > 500000)
  end)

  for _, epoch in ipairs { '5ms', '200ms', '1h' } do
    it('loses and doubles nothing when workers die, with epochs of ' .. epoch, function()
      math.randomseed(11)
      local dir = out_dir()
      local args = { 'run', '--json', path, '--set', 'dir=' .. dir, '--data', h.path 'data', '--epoch', epoch }
      local p = r.start(args, { stdin = feed(8000) })
      -- with long epochs all is done again each time, so a kill waits for as much as is written within a while
      local kills, last = 0, nil
      if epoch == '5ms' then
        local code
        kills, code = kill.often(p, function() return r.size(dir .. '/all') end, KILLS)
        assert.equal(0, code, p:err())
      else
        r.wait_until('rows', function() return r.size(dir .. '/all') > 0 end)
        while not p:code() and kills < KILLS / 4 do
          system.sleep(0.05 + math.random() * 0.1)
          local worker = p:worker()
          if worker and worker ~= last and r.state(worker) ~= 'Z' and p:signal('KILL', worker) then kills, last = kills + 1, worker end
        end
        assert.equal(0, p:wait(60), p:err())
      end
      assert.is_true(kills >= math.min(5, KILLS / 8), kills .. ' kills')
      local got = content(dir)
      h.compare(want.all, got.all, 'after ' .. kills .. ' kills, rows')
      h.compare(want.sums, got.sums, 'after ' .. kills .. ' kills, windows')
      assert.equal(30000, p:summary().counters.events_in)
    end)
  end

  it('is taken up by TERM too when a worker has died just before', function()
    local dir, data, fifo = out_dir(), h.path 'data', r.fifo 'fifo'
    local args = { 'run', '--quiet', path, '--set', 'dir=' .. dir, '--data', data, '--epoch', '1h' }
    local text = h.shell(('luajit %s 0'):format(h.quote(write))).out
    local cut = math.floor(#text / 2)
    while text:sub(cut, cut) ~= '\n' do cut = cut + 1 end
    local p = r.start(args, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    f:write(text:sub(1, cut))
    f:flush()
    -- all of it was read, as what still lies in the pipe goes with its readers
    local bytes = 0
    for line, id in text:sub(1, cut):gmatch '([^\n]*"id":(%d+)[^\n]*\n)' do bytes = bytes + (id % 3 == 0 and #line or 0) end
    r.wait_until('rows', function() return r.size(dir .. '/all') == bytes end)
    local worker = p:worker()
    p:signal('KILL', worker)
    r.wait_until('the next worker', function() return p:worker() and p:worker() ~= worker end)
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
    local got = h.shell('cat ' .. h.write(text:sub(cut + 1)) .. ' | ' .. h.command(args))
    assert.equal(0, got.code, got.err)
    assert.is_nil(got.err:find('ended by force', 1, true), got.err)
    h.compare(want.all, content(dir).all, 'rows')
    h.compare(want.sums, content(dir).sums, 'windows')
  end)

  -- what comes behind a kill is not what came before it, so a table must not be ahead of the epochs
  it('gives a table, a file and a log the same rows, though everything is killed', function()
    local dir, data, fifo = out_dir(), h.path 'data', r.fifo 'fifo'
    local three = h.write([[local tm = require 'tidemill'
      local dir = tm.setting 'dir'
      local all = tm.pipeline 'all':select { 'id' }
      return { all:to(tm.sink.file(dir .. '/rows')), all:to(tm.sink.log 'rows'),
        all:to(tm.sink.sqlite { path = dir .. '/rows.db', table = 'rows' }) }]], h.path 'three.lua')
    local args = { 'run', '--quiet', three, '--set', 'dir=' .. dir, '--data', data, '--epoch', '20ms' }
    local f = assert(io.open(fifo, 'r+'))   -- open for both, so that nobody waits for the other end
    local id = 0
    local function write_some(n)
      for _ = 1, n do
        id = id + 1
        f:write(('{"id":%d}\n'):format(id))
      end
      f:flush()
    end
    math.randomseed(9)
    for _ = 1, 8 do
      local p = r.start(args, { stdin = fifo })
      local last = system.monotime() + 0.1 + math.random() * 0.2
      while system.monotime() < last do
        write_some(20)
        system.sleep(0.002)
        assert.is_nil(p:code(), p:err())
      end
      local worker = p:worker()
      p:signal 'KILL'
      if worker then p:signal('KILL', worker) end
      p:wait()
    end
    local p = r.start(args, { stdin = fifo })
    write_some(500)
    local function last_row(text) return text:find(('{"id":%d}\n'):format(id), 1, true) end
    r.wait_until('the last row', function() return p:code() or last_row(h.read(dir .. '/rows')) end)
    p:signal 'TERM'
    assert.equal(0, p:wait(), p:err())
    f:close()
    local rows = h.read(dir .. '/rows')
    assert.is_true(#h.lines(rows) > 500)
    assert.equal(rows, h.shell(([[sqlite3 %s/rows.db "select '{\"id\":' || id || '}' from rows order by rowid"]]):format(h.quote(dir))).out)
    assert.equal(rows, h.run({ 'log', 'cat', 'rows', '--data', data }).out)
  end)

  it('asks for an epoch when much was read, and takes more than its ring holds', function()
    local dir, line = out_dir(), '{"ts":1700000000000,"id":3,"k":"k","pad":"' .. ('p'):rep(2000) .. '"}\n'
    local n = 24000   -- 49 MB
    local big = h.path 'big'
    local f = assert(io.open(big, 'w'))
    for _ = 1, n do f:write(line) end
    f:close()
    local got = h.shell('cat ' .. big .. ' | ' ..
      h.command { 'run', '--json', path, '--set', 'dir=' .. dir, '--data', h.path 'data', '--epoch', '1h' })
    os.remove(big)
    assert.equal(0, got.code, got.err)
    local lines = h.lines(got.err)
    local counters = h.decode(lines[#lines]).counters
    assert.equal(n, counters.events_in)
    assert.is_true(counters.epochs >= 5, counters.epochs .. ' epochs')
    assert.equal(n * #line, r.size(dir .. '/all'))
    os.remove(dir .. '/all')
  end)

  it('tells after a kill of all that what was read since is lost', function()
    local dir, data, fifo = out_dir(), h.path 'data', r.fifo 'fifo'
    local args = { 'run', '--quiet', path, '--set', 'dir=' .. dir, '--data', data, '--epoch', '5ms' }
    local p = r.start(args, { stdin = fifo })
    local f = assert(io.open(fifo, 'w'))
    f:write('{"ts":1700000000000,"id":3,"k":"k"}\n')
    f:flush()
    r.wait_until('an epoch', function() return h.run({ 'journal', 'cat', data }).out:find('"epoch":2', 1, true) end)
    local worker = p:worker()
    p:signal 'KILL'
    p:signal('KILL', worker)
    p:wait()
    f:close()
    local got = h.shell('echo \'{"ts":1700000000000,"id":6,"k":"k"}\' | ' .. h.command(args))
    assert.equal(0, got.code, got.err)
    assert.truthy(got.err:find('had read 36 bytes of standard input, 1 events; what it read behind them is lost, 16 MiB at most; ' ..
      'how much it was cannot be known', 1, true), got.err)
    assert.equal('{"ts":1700000000000,"id":3,"k":"k"}\n{"ts":1700000000000,"id":6,"k":"k"}\n', content(dir).all)
  end)
end)
