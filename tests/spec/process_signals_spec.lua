--[[ Signals and exit codes: TERM and INT drain, a second one stops at once, HUP is told, PIPE ignored; the worker never
outlives control. Exit codes are those of the manual: 0 ok, 1 failed, 2 usage, 3 rejected, 128 + n signal. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

--- A run that reads a pipe we hold open and has passed on its first event.
local function running(args, options)
  local input = r.fifo()
  local list = { 'run' }
  for _, a in ipairs(args or { '--quiet', '-e', 'stream' }) do list[#list + 1] = a end
  options = options or {}
  options.stdin = input
  local p = r.start(list, options)
  p.input = assert(io.open(input, 'wb'))
  p.input:setvbuf 'no'
  p.input:write '{"n":1}\n'
  r.wait_until('the first row', function() return p:out() == '{"n":1}\n' end)
  return p
end

--- An endless run whose worker is in the middle of its work.
local function busy()
  local out = h.path 'out'
  local p = r.start({ 'run', '--quiet', h.write([[local tm = require 'tidemill'
    return tm.pipeline 'p':from(tm.source.generate(function(i) return { i = i } end))]], h.path 's.lua') }, { stdout = out })
  r.wait_until('rows', function() return r.size(out) > 100000 end)
  return p, out
end

describe('TERM', function()
  after_each(r.stop_all)

  it('drains a run that waits for input: exit code 0', function()
    local p = running()
    p:signal 'TERM'
    assert.equal(0, p:wait())
    assert.equal('', p:err())
    p.input:close()
  end)

  it('tells of an unfinished line, and processes what was read', function()
    local p = running()
    p.input:write '{"n":2}\n{"n":'
    r.wait_until('the second row', function() return p:out() == '{"n":1}\n{"n":2}\n' end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    assert.truthy(p:err():find('stdin: 5 bytes of an unfinished last line were read and not processed', 1, true), p:err())
    assert.equal('{"n":1}\n{"n":2}\n', p:out())
    p.input:close()
  end)

  it('drains a busy run: every row whole, none missing in between', function()
    local p, out = busy()
    p:signal 'TERM'
    assert.equal(0, p:wait())
    local n = 0
    for line in io.lines(out) do
      n = n + 1
      assert(line == ('{"i":%d}'):format(n), line)
    end
    assert.equal('', p:err())
  end)

  it('in the middle of a file cuts no event in two', function()
    local list = {}
    for i = 1, 300000 do list[i] = ('{"i":%d,"pad":"%s"}\n'):format(i, ('p'):rep(i % 90)) end
    local text, out = table.concat(list), h.path 'out'
    local p = r.start({ 'run', '--json', '-e', 'stream:map(function(e) return e end)', '--from', h.write(text) }, { stdout = out })
    r.wait_until('rows', function() return r.size(out) > 10000 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    local got = h.read(out)
    assert.is_true(text:sub(1, #got) == got)
    assert.equal('\n', got:sub(-1))
    assert.equal(0, p:summary().counters.lines_bad)
  end)
end)

describe('INT', function()
  after_each(r.stop_all)

  it('drains and ends with 130', function()
    local p = running()
    p:signal 'INT'
    assert.equal(130, p:wait())
    p.input:close()
  end)

  it('to the whole process group, as from a terminal, drains too', function()
    local p, out = busy()
    p:signal('INT', -p.pid)
    assert.equal(130, p:wait())
    local text = h.read(out)
    assert.equal('\n', text:sub(-1))
    assert.equal('', p:err())
  end)
end)

describe('a second signal', function()
  after_each(r.stop_all)

  --- Drains for ever: its sink takes nothing.
  local function stuck()
    local to = r.fifo()
    local holder = r.spawn(('sh -c "exec 3<%s; echo >%s.held; exec sleep 100"'):format(to, to))
    local p = r.start({ 'run', '--quiet', h.write([[local tm = require 'tidemill'
      return tm.pipeline 'p':from(tm.source.generate(function(i) return { i = i } end))]], h.path 's.lua') }, { stdout = to })
    r.wait_until('the reader', function() return r.size(to .. '.held') > 0 end)
    r.wait_until('the worker to wait', function() return p:worker() and r.state(p:worker()) == 'S' and p:resident() > 4e6 end)
    return p, holder
  end

  it('stops at once with 128 + its number', function()
    for _, case in ipairs { { 'TERM', 'TERM', 143 }, { 'TERM', 'INT', 130 }, { 'INT', 'TERM', 143 } } do
      local p = stuck()
      local worker = p:worker()
      p:signal(case[1])
      -- the first has arrived when the worker was woken by it and sleeps again; a second of its kind sent sooner is one with it
      r.wait_until('the drain', function()
        local status = h.read('/proc/' .. p.pid .. '/status')
        return status:match 'SigPnd:%s*0+\n' and status:match 'ShdPnd:%s*0+\n'
      end)
      assert.is_nil(p:code())
      p:signal(case[2])
      assert.equal(case[3], p:wait())
      r.wait_until('the worker to be gone', function() return r.state(worker) == nil end)
    end
  end)
end)

describe('other signals', function()
  after_each(r.stop_all)

  it('HUP loads the scripts anew and the run goes on; PIPE is ignored', function()
    local p = running()
    p:signal 'HUP'
    r.wait_until('the answer', function() return p:err():find('the scripts were loaded anew', 1, true) end)
    p:signal 'PIPE'
    p:signal('PIPE', p:worker())
    p:signal('TERM', p:worker())   -- control alone decides
    p.input:write '{"n":2}\n'
    r.wait_until('the second row', function() return p:out() == '{"n":1}\n{"n":2}\n' end)
    p.input:close()
    assert.equal(0, p:wait())
  end)

  it("control's death ends the worker", function()
    for _, p in ipairs { running(), (busy()) } do
      local worker = p:worker()
      p:signal 'KILL'
      assert.equal(137, p:wait())
      r.wait_until('the worker to be gone', function() return r.state(worker) == nil end)
      if p.input then p.input:close() end
    end
  end)
end)

describe('exit codes', function()
  it('say how a run ended', function()
    local ok = h.write("return require 'tidemill'.pipeline 'p'", h.path 's.lua')
    local bad = '{"n":1}\nno\n'
    assert.equal(0, h.run({ 'run', '--quiet', ok }, bad).code)
    assert.equal(1, h.run({ 'run', '--quiet', '--strict', ok }, bad).code)
    assert.equal(0, h.run({ 'run', '--quiet', '--strict', ok }, '{"n":1}\n').code)
    assert.equal(1, h.run({ 'run', '--quiet', '--strict', '-e', "stream:filter(function(e) error 'x' end)" }, '{"n":1}\n').code)
    assert.equal(2, h.run({ 'run', '--no-such-option', ok }, '').code)
    assert.equal(2, h.run({ 'run' }, '').code)
    assert.equal(2, h.run({ 'no-such-command' }, '').code)
    assert.equal(3, h.run({ 'run', '/no/such/script.lua' }, '').code)
    assert.equal(3, h.run({ 'run', h.write('return 5', h.path 's.lua') }, '').code)
    assert.equal(3, h.run({ 'run', h.write('return (', h.path 's.lua') }, '').code)
    assert.equal(3, h.run({ 'check', h.write('return 5', h.path 's.lua') }, '').code)
    assert.equal(0, h.run({ 'check', ok }, '').code)
  end)
end)
