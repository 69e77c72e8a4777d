--[[ tm.sink.sqlite when something goes wrong: workers killed at random moments and at chosen ones, a database that others hold, that is
full, cannot be written or is none, a table that refuses a row. No row is lost and none is there twice; sqlite3 and Python say so. ]]

local h = require 'spec.helper'
local kill = require 'spec.kill'
local r = require 'spec.running'

local function query(db, sql) return h.sh('sqlite3 -readonly %s %s', h.quote(db), h.quote(sql)) end
local function make(db, sql) h.sh('sqlite3 %s %s', h.quote(db), h.quote(sql)) end

--- Rows that are in a table now, 0 while it is not there; others may write.
local function count(db, name)
  local got = h.shell(('sqlite3 -readonly -cmd ".timeout 5000" %s "SELECT count(*) FROM %s"'):format(h.quote(db), name))
  return tonumber((got.out:match '%d+')) or 0
end

-- programs besides ours; ended and waited for, as they leave files in the folder of the specs
local others = {}
local function stop_all()
  r.stop_all()
  for _, run in ipairs(others) do run:wait() end
  others = {}
end

--- Writes into a pipe: rows, and between them names of files that it waits for, which begin with '/'; then it stays open for `stays` s.
local function feed(fifo, steps, stays)
  local lines = {}
  for i, s in ipairs(steps) do
    lines[i] = s:sub(1, 1) == '/' and 'while [ ! -e ' .. h.quote(s) .. ' ]; do sleep 0.01; done' or 'echo ' .. h.quote(s)
  end
  lines[#lines + 1] = 'exec sleep ' .. (stays or 0)
  local run = r.spawn('sh ' .. h.write(table.concat(lines, '\n') .. '\n', h.path 'feed.sh'), { stdout = fifo })
  others[#others + 1] = run
  return run
end

--- Another program that locks a database, writes the file `held` then, and lets go when there is a file `go`.
local LOCK = h.write([[
import os, sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN " + sys.argv[2])
open(sys.argv[3], "w")
while not os.path.exists(sys.argv[4]): time.sleep(0.01)
c.execute("COMMIT")
]], h.path 'lock.py')
local function lock(db, how, held, go)
  local program = r.spawn(('%s %s %s %s %s %s'):format(h.python, LOCK, db, how, held, go))
  others[#others + 1] = program
  r.wait_until('the lock', function() return r.size(held) == 0 and io.open(held) end)
  return program
end

local input, ROWS = h.path 'input', 120000

setup(function()
  local list, state = {}, 7
  for i = 1, ROWS do
    state = (state * 1103515245 + 12345) % 2147483648
    list[i] = ('{"i":%d,"k":%d,"v":%d,"pad":"%s"}'):format(i, math.floor(state / 65536) % 1000, state % 1000, ('p'):rep(i * 7919 % 120))
  end
  h.write(table.concat(list, '\n') .. '\n', input)
end)

describe('tm.sink.sqlite: a worker killed at random moments', function()
  after_each(stop_all)
  local KILLS = 12

  -- the last row of each k
  local LAST = h.write([==[
import json, sys
last = {}
for line in open(sys.argv[1]):
    e = json.loads(line)
    if e["i"] % 7: last[e["k"]] = (e["k"], e["i"], e["v"], e["pad"])
for k in sorted(last): print("|".join(map(str, last[k])))
]==])

  local SCRIPT = [[local tm = require 'tidemill'
    local db = tm.setting 'db'
    local all = tm.pipeline 'all':filter(function(e) return e.i % 7 ~= 0 end)
    return { all:select { 'i', 'k', 'v' }:to(tm.sink.sqlite { path = db, table = 'added' }),
      all:to(tm.sink.sqlite { path = db, table = 'last', key = 'k', columns = { 'k', 'i', 'v', 'pad' } }),
      all:to(tm.sink.file(tm.setting 'file')) }]]

  --- Runs until KILLS workers were killed, each run into a database of its own; check(db, file) after each.
  local function until_killed(arguments, options, check)
    local left, runs = KILLS, 0
    while left > 0 do
      runs = runs + 1
      assert.is_true(runs < 20, 'runs ended before they could be killed')
      local db, file = h.path 'out.db', h.path 'out.ndjson'
      local script = h.write(SCRIPT, h.path 's.lua')
      local p = r.start({ 'run', '--json', script, '--set', 'db=' .. db, '--set', 'file=' .. file, unpack(arguments) },
        options and options())
      local kills, code = kill.often(p, function() return r.size(file) end, left)
      assert.equal(0, code, p:err())
      check(db, file)
      left = left - kills
    end
  end

  local function is_whole(db, file)
    local want = h.sh('jq -r %s %s', h.quote [[select(.i % 7 != 0) | "\(.i)|\(.k)|\(.v)"]], input)
    h.compare(want, h.sh("sqlite3 -readonly %s 'SELECT * FROM added'", db), db)
    local last = h.sh('%s %s %s', h.python, h.quote(LAST), input)
    h.compare(last, h.sh("sqlite3 -readonly %s 'SELECT * FROM last ORDER BY k'", db), db)
    assert.equal(h.sh("jq -c 'select(.i %% 7 != 0)' %s | sha256sum", input), h.sh('sha256sum <%s', file))
  end

  it('goes on where the token is, from a file', function()
    math.randomseed(11)
    until_killed({ '--from', input }, nil, is_whole)
  end)

  it('goes on where the token is, from a pipe', function()
    math.randomseed(12)
    until_killed({}, function()
      local fifo = r.fifo()
      r.spawn('cat', { stdin = input, stdout = fifo })
      return { stdin = fifo }
    end, is_whole)
  end)
end)

describe('tm.sink.sqlite: a worker killed', function()
  after_each(stop_all)

  local CODE = "stream:to(tm.sink.sqlite { path = '%s', table = 'rows' })"

  it('between two transactions, and while it waits for input, doubles and loses nothing', function()
    local db, fifo = h.path 'out.db', r.fifo()
    local steps = {}
    for i = 1, 6 do steps[2 * i - 1], steps[2 * i] = '{"i":' .. i .. '}', db .. '.' .. i end
    feed(fifo, steps)
    local p = r.start({ 'run', '--json', '-e', CODE:format(db) }, { stdin = fifo })
    for i = 1, 6 do
      r.wait_until('row ' .. i, function() return count(db, 'rows') == i end)
      if i % 2 == 0 then
        local worker = p:worker()
        p:signal('KILL', worker)
        r.wait_until('a new worker', function() local w = p:worker() return w and w ~= worker end)
      end
      h.write('', db .. '.' .. i)
    end
    assert.equal(0, p:wait())
    assert.equal('1,2,3,4,5,6\n', query(db, 'SELECT group_concat(i) FROM rows'))
    assert.equal('rows|6\n', query(db, 'SELECT sink, rows FROM tidemill_tokens'))
    assert.equal(3, p:summary().counters.worker_restarts)
  end)

  it('while the first row, which says the columns, waits for a lock', function()
    local db, fifo = h.path 'out.db', r.fifo()
    make(db, 'CREATE TABLE other(x)')
    local held, go, copy = h.path 'held', h.path 'go', h.path 'copy'
    local code = CODE:format(db) .. ":to(tm.sink.file '" .. copy .. "')"
    local p = r.start({ 'run', '--json', '-e', code }, { stdin = fifo })
    feed(fifo, { held, '{"b":1,"a":2}', go, '{"a":3}' })
    r.wait_until('the token', function() return count(db, 'tidemill_tokens') == 1 end)
    local program = lock(db, 'IMMEDIATE', held, go)
    r.wait_until('the row', function() return r.size(copy) > 0 end)
    local worker = p:worker()
    p:signal('KILL', worker)
    r.wait_until('a new worker', function() local w = p:worker() return w and w ~= worker end)
    h.write('', go)
    program:wait()
    assert.equal(0, p:wait(), p:err())
    assert.equal('b|a\n1|2\n|3\n', h.sh('sqlite3 -header %s "SELECT * FROM rows"', db))
  end)
end)

describe('tm.sink.sqlite: a database', function()
  after_each(stop_all)
  local CODE = "stream:to(tm.sink.sqlite { path = '%s', table = 'rows' })"

  local function run(db, lines, ...)
    return h.run({ 'run', '--quiet', '-e', CODE:format(db), ... }, lines or '{"a":1}\n')
  end

  local function fails(code, what, db, lines)
    local got = run(db, lines)
    assert.equal(code, got.code, got.err)
    assert.truthy(got.err:find(what, 1, true), got.err)
    return got
  end

  it('that another program locks is waited for, and what waits is told', function()
    local db, held, go = h.path 'out.db', h.path 'held', h.path 'go'
    make(db, 'CREATE TABLE other(x)')
    local fifo = r.fifo()
    local p = r.start({ 'run', '--json', '-e', CODE:format(db) }, { stdin = fifo })
    r.spawn(([[sh -c 'while [ ! -e %s ]; do sleep 0.01; done; cat %s']]):format(held, input), { stdout = fifo })
    r.wait_until('the token', function() return count(db, 'tidemill_tokens') == 1 end)
    lock(db, 'EXCLUSIVE', held, go)
    r.wait_until('the words', function() return p:err():find('the database is locked by another program; reading pauses', 1, true) end)
    h.write('', go)
    assert.equal(0, p:wait(60), p:err())
    assert.equal(ROWS .. '|' .. ROWS .. '|1\n', query(db, 'SELECT count(*), max(i), min(i) FROM rows'))
    assert.is_true(p:summary().counters.source_pauses >= 1)
  end)

  it('that stays locked ends a run that is told to end, with exit code 1', function()
    local db, fifo, held = h.path 'out.db', r.fifo(), h.path 'held'
    make(db, 'CREATE TABLE other(x)')
    local p = r.start({ 'run', '--json', '-e', CODE:format(db) }, { stdin = fifo })
    r.spawn(([[sh -c 'while [ ! -e %s ]; do sleep 0.01; done; exec cat %s']]):format(held, input), { stdout = fifo })
    r.wait_until('the token', function() return count(db, 'tidemill_tokens') == 1 end)
    lock(db, 'EXCLUSIVE', held, h.path 'never')
    r.wait_until('the words', function() return p:err():find('; reading pauses until it works again', 1, true) end)
    p:signal 'TERM'
    assert.equal(1, p:wait(60))
    assert.truthy(p:err():find('the database is locked by another program; the last %d+ bytes of rows are not in it'), p:err())
  end)

  it('on a disk that is full is waited for until there is space', function()
    local dir = h.path 'small'
    if h.shell(('mkdir %s && mount -t tmpfs -o size=1M tmpfs %s'):format(dir, dir)).code ~= 0 then return pending 'no right to mount' end
    finally(function() h.shell(('umount -l %s'):format(dir)) end)
    local db = dir .. '/out.db'
    h.sh('head -c 600000 /dev/zero >%s/ballast', dir)
    local p = r.start({ 'run', '--json', '-e', CODE:format(db), '--from', input })
    r.wait_until('the words', function() return p:err():find('cannot write:.*no space left.*reading pauses') end, 60)
    local before = count(db, 'rows')
    h.sh('rm %s/ballast; mount -o remount,size=100M %s', dir, dir)
    assert.equal(0, p:wait(120), p:err())
    assert.is_true(before < ROWS)
    assert.equal(('%d|%d|%.0f\n'):format(ROWS, ROWS, ROWS * (ROWS + 1) / 2),
      query(db, 'SELECT count(*), count(DISTINCT i), sum(i) FROM rows'))
  end)

  it('at a file size limit ends the run, and what was committed stays', function()
    local db = h.path 'out.db'
    local got = h.shell('ulimit -f 4000; ' .. h.command { 'run', '--quiet', '-e', CODE:format(db), '--from', input })
    assert.equal(1, got.code, got.err)
    assert.truthy(got.err:find('File too large', 1, true), got.err)
    local n = tonumber((query(db, 'SELECT count(*) FROM rows'):match '%d+'))
    assert.equal(n, tonumber((query(db, 'SELECT rows FROM tidemill_tokens'):match '%d+')))
    assert.is_true(n < ROWS)
  end)

  it('that is none, a folder, or in no folder, is refused before anything is read', function()
    local text = h.write('a,b\n' .. ('1,2\n'):rep(1000))
    fails(3, text .. ' is no SQLite database; give another path', text)
    assert.equal('a,b\n' .. ('1,2\n'):rep(1000), h.read(text))
    fails(3, 'make its folder first', '/nowhere/at/all/out.db')
    fails(3, 'folder', '/tmp')
  end)

  it('that is read-only is refused', function()
    local db = h.path 'out.db'
    make(db, 'CREATE TABLE rows(a)')
    local dir = h.path 'closed'
    h.sh('mkdir %s; cp %s %s/out.db; chmod a-w %s/out.db %s; chmod a+rx %s', dir, db, dir, dir, dir, dir)
    finally(function() h.sh('chmod u+w %s', dir) end)
    local bin = h.bin:sub(1, 1) == '/' and h.bin or h.cwd .. '/' .. h.bin
    local as = h.sh 'id -u' == '0\n' and 'setpriv --reuid=65534 --regid=65534 --clear-groups ' or ''
    h.sh('chmod a+x %s', dir:match '^(.*)/')
    local got = h.shell(as .. 'timeout 20 ' .. bin .. ' run --quiet -e ' .. h.quote(CODE:format(dir .. '/out.db')), '{"a":1}\n')
    assert.equal(3, got.code, got.err)
    assert.truthy(got.err:find('Permission denied', 1, true), got.err)
    got = h.shell(as .. 'timeout 20 ' .. bin .. ' run --quiet -e ' .. h.quote(CODE:format(dir .. '/new.db')), '{"a":1}\n')
    assert.equal(3, got.code, got.err)
    assert.truthy(got.err:find(dir .. '/new.db: ', 1, true), got.err)
  end)

  it('with a table of tokens of somebody else is refused', function()
    local db = h.path 'out.db'
    make(db, 'CREATE TABLE tidemill_tokens(a)')
    fails(3, "table 'tidemill_tokens' is not the one that sinks keep there", db)
  end)

  it('without a column that is named is refused, with those it has', function()
    local db = h.path 'out.db'
    make(db, 'CREATE TABLE rows(id, amount)')
    local code = "stream:to(tm.sink.sqlite { path = '%s', table = 'rows', columns = { 'id', 'amuont' } })"
    local got = h.run({ 'run', '--quiet', '-e', code:format(db) }, '')
    assert.equal(3, got.code)
    assert.truthy(got.err:find("table 'rows' has no column 'amuont'; it has id, amount", 1, true), got.err)
  end)

  it('whose table refuses a row ends the run, which names the row; nothing of its transaction is there', function()
    local db = h.path 'out.db'
    make(db, 'CREATE TABLE rows(a UNIQUE NOT NULL)')
    local got = fails(1, 'does not take row 3 of this run: UNIQUE constraint failed: rows.a; the row: {"a":1}', db,
      '{"a":1}\n{"a":2}\n{"a":1}\n{"a":4}\n')
    assert.truthy(got.err:find('The rows before it are written up to row', 1, true))
    local n = query(db, 'SELECT count(*) FROM rows')
    assert.equal(n, query(db, 'SELECT rows FROM tidemill_tokens'))
    fails(1, 'NOT NULL constraint failed: rows.a', db, '{"a":null}\n')
    db = h.path 'out.db'
    make(db, 'CREATE TABLE rows(a INTEGER PRIMARY KEY)')
    fails(1, 'datatype mismatch', db, '{"a":"x"}\n')
    db = h.path 'out.db'
    make(db, 'CREATE VIEW rows AS SELECT 1 AS a')
    fails(3, "table 'rows': cannot modify rows because it is a view", db)
  end)

  it('that another run has taken over is written no more', function()
    local db, fifo = h.path 'out.db', r.fifo()
    local go = h.path 'go'
    local p = r.start({ 'run', '-e', CODE:format(db) }, { stdin = fifo })
    feed(fifo, { '{"a":1}', go, '{"a":2}' }, 60)
    r.wait_until('its row', function() return count(db, 'rows') == 1 end)
    assert.equal(0, run(db, '{"a":10}\n').code)
    h.write('', go)
    assert.equal(1, p:wait())
    assert.truthy(p:err():find("another run has written sink 'rows' since", 1, true), p:err())
    assert.equal('1,10\n', query(db, 'SELECT group_concat(a) FROM rows'))
  end)

  it('that is deleted while it is written ends the run', function()
    local db, fifo, go = h.path 'out.db', r.fifo(), h.path 'go'
    local p = r.start({ 'run', '-e', CODE:format(db) }, { stdin = fifo })
    feed(fifo, { '{"a":1}', go, '{"a":2}' }, 60)
    r.wait_until('its row', function() return count(db, 'rows') == 1 end)
    h.sh('rm %s', db)
    h.write('', go)
    assert.equal(1, p:wait(), p:err())
  end)
end)
