--[[ The control socket of a running host: status, reload and drain by command, and what Python's socket module sends to it as it is. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

--- Sends bytes to a socket and prints what comes back until it is closed.
local TALK = [[
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
data = sys.stdin.buffer.read()
step = int(sys.argv[2])
for i in range(0, len(data), step):
    s.sendall(data[i:i + step])
    if step < len(data): time.sleep(0.001)
out = b''
while True:
    part = s.recv(65536)
    if not part: break
    out += part
sys.stdout.buffer.write(out)
]]

describe('the control socket', function()
  after_each(r.stop_all)

  local script, out, socket

  before_each(function()
    script, out, socket = h.path 's.lua', h.path 'out', h.path 'control'
    h.write(([[local tm = require 'tidemill'
      return tm.pipeline 'p':from(tm.source.every('2ms', { name = 'clock' })):map(function(e) return { by = 1, ts = e.n * 1000 } end)
        :event_time { field = 'ts', unit = 'ms' }:key_by 'by':window('w', tm.window.tumbling '10s'):aggregate { n = tm.agg.count() }
        :emit 'updates':to(tm.sink.file '%s')]]):format(out), script)
  end)

  local function start(...)
    local p = r.start { 'run', script, '--control', socket, '--quiet', ... }
    r.wait_until('its socket', function() return p:code() or h.run({ 'status', '--control', socket }).code == 0 end)
    assert.is_nil(p:code(), p:err())
    return p
  end

  local function talk(text, step)
    return h.shell(('python3 -c %s %s %d'):format(h.quote(TALK), h.quote(socket), step or 1e9), text).out
  end

  it('tells how the run stands, as JSON and in lines', function()
    local data = h.path 'data'
    local p = start('--data', data)
    r.wait_until('events', function() return r.size(out) > 100 end)
    local got = h.run { 'status', '--control', socket, '--json' }
    assert.equal(0, got.code, got.err)
    local s = h.decode(got.out)
    assert.equal(p.pid, s.pid)
    assert.equal(p:worker(), s.worker)
    assert.equal('running', s.phase)
    assert.is_true(s.told)
    assert.equal(1, s.generation)
    assert.equal(0, s.deaths)
    assert.equal(h.sh('realpath %s', h.quote(script)):match '%S+', s.scripts[1])
    assert.equal(data, s.data)
    assert.is_true(s.epoch >= 1 and s.memory_bytes > 1e6)
    assert.equal('every', s.sources[1].name)
    assert.equal('every', s.sources[1].kind)
    assert.is_true(s.sources[1].events >= 1 and s.sources[1].events <= s.sources[1].position)
    assert.equal('exactly once', s.sinks[1].guarantee)
    assert.equal('p/w', s.state[1].name)
    assert.equal(1, s.state[1].keys)
    assert.equal('p', s.watermarks[1].pipeline)
    local lines = h.run { 'status', '--control', socket }
    assert.truthy(lines.out:find('process ' .. p.pid, 1, true), lines.out)
    assert.truthy(lines.out:find('exactly once', 1, true), lines.out)
  end)

  it('is found by --data and by the script, is for its user alone, and goes with the run', function()
    local data = h.path 'data'
    local p = r.start { 'run', script, '--data', data, '--quiet' }
    r.wait_until('its socket', function() return h.shell('ls ' .. h.quote(data .. '/control.sock')).code == 0 end)
    assert.truthy(h.run({ 'status', '--data', data }).out:find('generation', 1, true))
    assert.equal('600', h.sh('stat -c %%a %s', h.quote(data .. '/control.sock')):match '%d+')
    assert.equal(0, h.run({ 'status', script }).code)
    local got = h.run { 'drain', script }
    assert.equal(0, got.code, got.err)
    assert.equal('the run has ended with exit code 0\n', got.out)
    assert.equal(0, p:wait())
    assert.equal(0, #h.shell('ls ' .. h.quote(data .. '/control.sock')).out)
    local gone = h.run { 'status', '--data', data }   -- its files tell
    assert.equal(0, gone.code, gone.err)
    assert.truthy(gone.out:find('closed in order', 1, true), gone.out)
    gone = h.run { 'drain', '--data', data }
    assert.equal(5, gone.code)
    assert.truthy(gone.err:find('control.sock: nothing is there', 1, true), gone.err)
    assert.equal(5, h.run({ 'status', script }).code)
  end)

  it('takes the place of one that a killed run left, and of no other file', function()
    local p = start()
    p:signal 'KILL'
    p:wait()
    r.wait_until('the end of the worker', function() return h.run({ 'status', '--control', socket }).code == 5 end)
    start()
    local file = h.write 'mine'
    local other = r.start { 'run', script, '--control', file, '--quiet' }
    r.wait_until('a word', function() return other:err():find('no socket', 1, true) end)
    assert.equal('mine', h.read(file))
  end)

  it('is refused what is no message, and answers in pieces of one byte', function()
    start()
    local cases = {
      { 'GET /status HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP/1.1 200 OK' },
      { 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP/1.1 404 Not Found' },
      { 'GET /reload HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP/1.1 405 Method Not Allowed' },
      { 'POST /reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]', 'HTTP/1.1 400 Bad Request' },
      { 'GET /status HTTP/1.0\r\nHost: x\r\n\r\n', 'HTTP/1.1 505 ' },
      { '\0\1\2\n', 'HTTP/1.1 400 Bad Request' },
      { 'GET /' .. ('x'):rep(9000), 'HTTP/1.1 431 ' },
      { 'POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n', 'HTTP/1.1 413 ' },
    }
    for _, case in ipairs(cases) do
      for _, step in ipairs { 1e9, #case[1] > 1000 and 500 or 1 } do
        local got = talk(case[1], step)
        assert.equal(case[2], got:sub(1, #case[2]), case[1]:sub(1, 40))
      end
    end
    assert.equal(0, h.run({ 'status', '--control', socket }).code)
  end)

  it('is not held up by those who connect and say nothing', function()
    local p = start()
    local idle = r.spawn(([[python3 -c '
import socket, time
all = []
for i in range(40):
    s = socket.socket(socket.AF_UNIX)
    s.connect(%q)
    s.sendall(b"GET /sta")
    all.append(s)
open(%q, "w").close()
time.sleep(60)']]):format(socket, socket .. '.ready'))
    r.wait_until('forty connections', function() return h.shell('ls ' .. h.quote(socket .. '.ready')).code == 0 end)
    local before = r.size(out)
    r.wait_until('events meanwhile', function() return r.size(out) > before + 1000 end)
    assert.is_nil(p:code())
    -- they are given ten seconds; whoever comes behind waits as long at most
    assert.equal(0, h.run({ 'status', '--control', socket }, nil, { timeout = 40 }).code)
    idle:signal 'KILL'
  end)

  it('names the runs when it is not clear which is meant', function()
    local dir = h.folder {}
    local first = r.start { 'run', script, '--control', dir .. '/a', '--quiet' }
    local other = h.read(script):gsub("pipeline 'p'", "pipeline 'q'"):gsub(':to%(.*', ":to(tm.sink.file '/dev/null')")
    local copy = h.write(other, h.path 'copy.lua')
    r.start { 'run', copy, script, '--control', dir .. '/b', '--quiet' }
    r.wait_until('both', function()
      return h.run({ 'status', '--control', dir .. '/a' }).code == 0 and h.run({ 'status', '--control', dir .. '/b' }).code == 0
    end)
    local got = h.run { 'status', script }
    assert.equal(2, got.code)
    assert.truthy(got.err:find('2 runs could be meant', 1, true), got.err)
    assert.equal(0, h.run({ 'status', copy }).code)
    assert.equal(2, h.run({ 'status', '-e', 'stream' }).code)
    first:signal 'TERM'
  end)
end)
