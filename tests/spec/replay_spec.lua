--[[
replay_spec.lua - `tidemill replay`: history through scripts. What is expected is what the live run wrote, or what Python computes from the
same events.
]]

local h = require 'spec.helper'
local r = require 'spec.running'
local kill = require 'spec.kill'

local function data() return h.path 'data' end

local function ok(got)
  assert.equal(0, got.code, got.err)
  return got
end

--- Writes lines into the log `history` of a new data folder.
local function history(text)
  local dir = data()
  ok(h.run({ 'run', '--quiet', '--logs', dir, '-e',
    "stream:event_time { field = 'ts' }:to(tm.sink.log { name = 'history', segment = '64K' })" }, text))
  return dir
end

--- Payments, somewhat out of order, the last ones far behind so that windows close.
local function payments(n)
  local list = {}
  for i = 1, n do
    local ts = 1700000000000 + i * 100 + i * 104729 % 3000
    list[#list + 1] = ('{"card":"c%d","amount":%d,"ts":%d}\n'):format(i * 7919 % 50, i * 31 % 997, ts)
  end
  return table.concat(list)
end

local SCRIPT = [[local tm = require 'tidemill'
  local s = tm.pipeline 's':from(SOURCE):event_time { field = 'ts', out_of_order = '2s' }
  local spend = s:key_by 'card':window('spend', tm.window.tumbling '1m', { lateness = '5s' })
    :aggregate { n = tm.agg.count(), total = tm.agg.sum 'amount', p90 = tm.agg.quantile('amount', 0.9) }
  return { spend:to(tm.sink.log 'spend'), s:key_by 'card':over('o', { n_1m = tm.agg.count { over = '1m' } }, { max_keys = 100 })
      :filter(function(e) return e.n_1m > 3 end):to(tm.sink.file(tm.setting('file', 'live.ndjson'))),
    s:dedup('d', { on = 'amount', within = '10s' }):select { 'amount' }:to(tm.sink.log 'fresh') }]]

local function script(source) return h.write((SCRIPT:gsub('SOURCE', source)), h.path 'script.lua') end

local function logged(dir, name) return ok(h.run { 'log', 'cat', name, '--data', dir }).out end

describe('replay', function()
  after_each(r.stop_all)

  it('gives the bytes of the live run, with the compiler and without, also of a script that reads something else', function()
    local dir, file = history(payments(20000)), h.path 'live.ndjson'
    ok(h.run { 'run', '--quiet', '--logs', dir, '--set', 'file=' .. file, script "tm.source.log { name = 'history', follow = false }" })
    local live = h.read(file)
    assert.is_true(#live > 10000 and #logged(dir, 'spend') > 10000 and #logged(dir, 'fresh') > 10000)
    for i, case in ipairs { { script "tm.source.log 'history'" }, { script "tm.source.file 'nowhere.csv'" },
      { script "tm.source.log { name = 'history', follow = false }", '--no-jit' } } do
      local out = h.path 'out'
      ok(h.run { 'replay', case[1], '--quiet', '--log', 'history', '--data', dir, '--set', 'file=x/live.ndjson', '--out', out, case[2] })
      assert.equal(logged(dir, 'spend'), h.read(out .. '/spend.ndjson'), i)
      assert.equal(logged(dir, 'fresh'), h.read(out .. '/fresh.ndjson'), i)
      assert.equal(live, h.read(out .. '/x_live.ndjson'), i)
    end
    assert.equal(live, h.read(file), 'what the run wrote is left alone')
    for _, name in ipairs { 'spend', 'fresh' } do
      local got = ok(h.run { 'replay', script "tm.source.log 'history'", '--quiet', '--log', 'history', '--data', dir, '--compare', name })
      assert.truthy(got.err:find('rows of log ' .. name .. ' are those of the log', 1, true), got.err)
    end
  end)

  it('reads a part, by sequence and by time', function()
    local text = payments(2000)
    local dir, list = history(text), {}
    for line in text:gmatch '[^\n]+' do list[#list + 1] = line end
    local function replay(...)
      return ok(h.run { 'replay', '-e', 'stream', '--quiet', '--log', 'history', '--data', dir, ... }).out
    end
    assert.equal(text, replay())
    assert.equal(table.concat(list, '\n', 700, 900) .. '\n', replay('--from', '700', '--to', '900'))
    local want = {}
    for _, line in ipairs(list) do
      local ts = tonumber(line:match '"ts":(%d+)')
      if ts >= 1700000050000 and ts <= 1700000051000 then want[#want + 1] = line .. '\n' end
    end
    assert.is_true(#want > 5)
    assert.equal(table.concat(want), replay('--from', '2023-11-14T22:14:10Z', '--to', '@1700000051000'))
    assert.equal('', replay('--from', 'end'))
  end)

  it('shows the first difference and ends with 4', function()
    local dir = history '{"n":1,"ts":1}\n{"n":2,"ts":2}\n{"n":3,"ts":3}\n'
    ok(h.run { 'run', '--quiet', '--logs', dir, '-e',
      "stream:from(tm.source.log { name = 'history', follow = false }):to(tm.sink.log 'copy')" })
    local function compare(code, ...)
      return h.run { 'replay', '-e', code, '--quiet', '--log', 'history', '--data', dir, '--compare', ... }
    end
    assert.equal(0, compare('stream', 'copy').code)
    local got = compare('stream:set { n = function(e) return e.n == 2 and 5 or e.n end }', 'copy')
    assert.equal(4, got.code)
    assert.truthy(got.err:find('row 2 of stdout differs from record 2 of the log, in byte 6; from byte 1 on:\n' ..
      '  log:    {"n":2,"ts":2}\n  replay: {"n":5,"ts":2}', 1, true), got.err)
    got = compare('stream:filter(function(e) return e.n < 3 end)', 'copy')
    assert.equal(4, got.code)
    assert.truthy(got.err:find('stdout has 2 rows, all equal to those of the log, and the log has more; the first: {"n":3,"ts":3}',
      1, true), got.err)
    got = compare('stream:flat_map(function(e, emit) emit(e) if e.n == 3 then emit { more = true } end end)', 'copy')
    assert.equal(4, got.code)
    assert.truthy(got.err:find('the log ends after 3 rows, and stdout has more; the first: {"more":true}', 1, true), got.err)
    assert.equal(0, compare('stream', 'copy', '--to', '2').code, 'of a part the log may have more')
    assert.equal(4, compare("stream:to(tm.sink.file 'a'):filter(function() return false end):to(tm.sink.file 'b')", 'b=copy').code)
    assert.equal(0, compare("stream:to(tm.sink.file 'a'):filter(function() return false end):to(tm.sink.file 'b')", 'a=copy').code)
  end)

  it('has each row once, whenever its workers are killed', function()
    local dir, out = history(payments(40000)), h.path 'out'
    local code = 'stream:map(function(e) e.double = e.amount * 2 return e end)'
    local want = ok(h.run { 'replay', '-e', code, '--quiet', '--log', 'history', '--data', dir }).out
    local p = r.start { 'replay', '-e', code, '--quiet', '--log', 'history', '--data', dir, '--speed', '2000x', '--out', out }
    local kills, exit = kill.often(p, function() return r.size(out .. '/out.ndjson') end, 15)
    assert.equal(0, exit, p:err())
    assert.is_true(kills >= 5, kills .. ' kills')
    assert.equal(want, h.read(out .. '/out.ndjson'))
    ok(h.run { 'run', '--quiet', '--logs', dir, '-e', "stream:to(tm.sink.log 'want')", '--from', h.write(want) })
    out = h.path 'out'
    p = r.start { 'replay', '-e', code .. ":to(tm.sink.log 'want'):to(tm.sink.file 'other')", '--log', 'history', '--data', dir, '--speed',
      '2000x', '--compare', 'want', '--out', out }
    kills, exit = kill.often(p, function() return r.size(out .. '/other') end, 15)
    assert.equal(0, exit, p:err())
    assert.is_true(kills >= 5, kills .. ' kills')
    assert.truthy(p:err():find('the 40000 rows of log want are those of the log', 1, true), p:err())
  end)

  it('keeps to the times of events where it is told a speed', function()
    local dir = history '{"n":1,"ts":1000}\n{"n":2,"ts":3000}\n{"n":3,"ts":6000}\n'
    local got = ok(h.run { 'replay', '-e', 'stream', '--quiet', '--log', 'history', '--data', dir, '--speed', '10x' })
    assert.equal('{"n":1,"ts":1000}\n{"n":2,"ts":3000}\n{"n":3,"ts":6000}\n', got.out)
    assert.is_true(got.seconds >= 0.5, got.seconds .. ' s')
  end)

  it('tells on a terminal how far it is, and nowhere else', function()
    local list = {}
    for i = 1, 8 do list[i] = ('{"n":%d,"ts":%d}\n'):format(i, i * 5000) end
    local dir = history(table.concat(list))
    local args = { 'replay', '-e', 'stream', '--quiet', '--log', 'history', '--data', dir, '--speed', '10x', '--out' }
    args[#args + 1] = h.path 'out'
    local shown = h.sh('%s -c %s', h.python, h.quote(([[
import os, pty
pid, fd = pty.fork()
if pid == 0:
  os.chdir(%q)
  os.execvp('sh', ['sh', '-c', %q])
while True:
  try: text = os.read(fd, 1000)
  except OSError: break
  if not text: break
  os.write(1, text)
os.waitpid(pid, 0)]]):format(h.cwd, h.command(args))))
    assert.truthy(shown:find 'replay: %d+%.%d %% of the log, %d events', shown)
    assert.equal('\r\27[K', shown:sub(-4), 'it is wiped out at the end')
    args[#args] = h.path 'out'
    assert.equal('', ok(h.run(args)).err)
  end)

  it('refuses what it cannot do, in words', function()
    local dir = history '{"n":1,"ts":1}\n'
    local function refused(what, ...)
      local got = h.run { 'replay', ... }
      assert.equal(2, got.code, got.err)
      assert.truthy(got.err:find(what, 1, true), got.err)
    end
    refused('replay takes a log: --log NAME', '-e', 'stream', '--data', dir)
    refused('which data folder is the log in? Give --data DIR', '-e', 'stream', '--log', 'history')
    refused("'a/b' is no name of a log", '-e', 'stream', '--log', 'a/b', '--data', dir)
    refused("--to: 'soon' is no place in a log", '-e', 'stream', '--log', 'history', '--data', dir, '--to', 'soon')
    refused("--speed: 'fast' is no speed; write max, 1x or 10x", '-e', 'stream', '--log', 'history', '--data', dir, '--speed', 'fast')
    refused("is not empty; name a new folder", '-e', 'stream', '--log', 'history', '--data', dir, '--out', dir)
    refused('leave --from out', '-e', 'stream', '--log', 'history', '--data', dir, '--from', '2', '--compare', 'x')
    refused('--compare: there is no such log', '-e', 'stream', '--log', 'history', '--data', dir, '--compare', 'x')
    refused("the script writes a, b; give --out DIR", '-e', "stream:to(tm.sink.file 'a'):to(tm.sink.file 'b')", '--log', 'history',
      '--data', dir)
    refused("which output? The script has a, b; write --compare OUTPUT=history", '-e', "stream:to(tm.sink.file 'a'):to(tm.sink.file 'b')",
      '--log', 'history', '--data', dir, '--compare', 'history')
    refused("the script reads a, b, and none is tm.source.log 'history'", '-e',
      "tm.union(stream:from(tm.source.file 'a'), tm.pipeline 'b':from(tm.source.file 'b'))", '--log', 'history', '--data', dir)
    refused('which cannot be read again', '-e', "tm.union(stream, tm.pipeline 'b':from(tm.source.log 'history'))", '--log', 'history',
      '--data', dir)
    local got = h.run { 'replay', '-e', 'stream', '--log', 'other', '--data', dir }
    assert.equal(3, got.code)
    assert.truthy(got.err:find('log other: there is no such log', 1, true), got.err)
  end)
end)

describe('scripts/examples/balances.lua', function()
  it('has what was on each account at any moment', function()
    local sample, dir = 'scripts/examples/data/account_events.ndjson', data()
    ok(h.run { 'run', '--quiet', '--logs', dir, '--from', sample, '-e', "stream:event_time { field = 'ts' }:to(tm.sink.log 'ledger')" })
    local moments = { 0, 9999999999999 }
    for ts in h.read(sample):gmatch '"ts":(%d+)' do
      moments[#moments + 1] = tonumber(ts)
      moments[#moments + 1] = tonumber(ts) - 1
    end
    for _, moment in ipairs(moments) do
      local want = h.sh('%s -c %s <%s', h.python, h.quote(([[
import json, sys
accounts = {}
def change(account, cents, ts):
  a = accounts.setdefault(account, [0, 0, 0])
  a[0] += cents; a[1] += 1; a[2] = max(a[2], ts)
for line in sys.stdin:
  e = json.loads(line)
  if e["ts"] > %.0f: continue
  change(e["account"], e["cents"] if e["type"] == "deposit" else -e["cents"], e["ts"])
  if e["type"] == "transfer": change(e["to"], e["cents"], e["ts"])
for name, a in accounts.items():
  print(json.dumps({"account": name, "balance": a[0], "changed": a[2], "changes": a[1]}, separators=(",", ":")))]]):format(moment)), sample)
      local got = ok(h.run { 'replay', 'scripts/examples/balances.lua', '--quiet', '--log', 'ledger', '--data', dir, '--to',
        ('@%.0f'):format(moment) })
      assert.equal(want, got.out)
    end
  end)
end)
