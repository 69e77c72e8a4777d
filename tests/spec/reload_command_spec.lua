--[[ `tidemill reload`, `reload --back` and `dev`: how they end, what they say, and that a run goes on exactly whatever is killed meanwhile.

What each event must give is known from its number alone, whichever script saw it. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local system = require 'system'

local KEYS = 7

--- Counts by key in a state, with a limit that tells which script saw the event.
local function counter(limit, more)
  return ([[local tm = require 'tidemill'
    local LIMIT = %s
    return tm.pipeline 'p':key_by 'k':process('c', { max_keys = 100, state = { n = 0 }, on_event = function(e, s, ctx)
      s.n = s.n + 1
      ctx.emit { k = e.k, n = s.n, v = e.v, limit = LIMIT }
    end }):to(tm.sink.file(tm.setting 'out'))
    %s]]):format(limit, more or '')
end

local function event(i) return ('{"ts":%d,"k":"k%d","v":%d}\n'):format(i * 10, i % KEYS, i) end

describe('tidemill reload', function()
  after_each(r.stop_all)

  local script, out, from, socket

  --- Each event once and in order, counted as if nothing had happened; the limits, as they were met first.
  local function judge(events)
    local n, limits, v = {}, {}, 0
    for _, row in ipairs(h.rows(h.read(out))) do
      v = v + 1
      n[row.k] = (n[row.k] or 0) + 1
      assert.equal(v, row.v)
      assert.equal(n[row.k], row.n)
      if limits[#limits] ~= row.limit then limits[#limits + 1] = row.limit end
    end
    assert.equal(events, v)
    return limits
  end

  local function input(events)
    local text = {}
    for i = 1, events do text[i] = event(i) end
    from = h.write(table.concat(text), h.path 'in.ndjson')
  end

  before_each(function()
    script, out, socket = h.path 's.lua', h.path 'out', h.path 'control'
    h.write(counter(1), script)
  end)

  local function start(...)
    local p = r.start { 'run', script, '--set', 'out=' .. out, '--from', from, '--follow', '--control', socket, '--quiet', ... }
    r.wait_until('its socket', function() return p:code() or h.run({ 'status', '--control', socket }).code == 0 end)
    assert.is_nil(p:code(), p:err())
    return p
  end

  --- One event more behind those of the input.
  local function append(i)
    local f = assert(io.open(from, 'ab'))
    f:write(event(i))
    f:close()
  end

  local function reload(...) return h.run { 'reload', '--control', socket, ... } end
  local function lines() return #h.lines(h.read(out)) end

  it('says which generation runs, or what is wrong and where, with the exit code that fits', function()
    input(2000)
    local p = start()
    r.wait_until('all rows', function() return lines() == 2000 end)
    h.write(counter(2), script)
    local got = reload()
    assert.equal(0, got.code, got.err)
    assert.truthy(got.out:find '^generation 2 runs, after %d+ ms\n$', got.out)
    h.write(counter('= 3'), script)
    got = reload()
    assert.equal(3, got.code)
    assert.truthy(got.err:find('s.lua:2: unexpected symbol', 1, true), got.err)
    assert.truthy(got.err:find('generation 2 runs on', 1, true), got.err)
    h.write((counter(3):gsub('s.n = s.n %+ 1', 's.n = s.n + 1 nothing_of_that_name()')), script)
    got = reload()
    assert.equal(3, got.code)
    assert.truthy(got.err:find("s.lua:4: nothing is called 'nothing_of_that_name'", 1, true), got.err)
    h.write((counter(4):gsub('n = 0', "n = 'text'"):gsub('s.n = s.n %+ 1', 's.n = e.k')), script)
    got = reload()
    assert.equal(6, got.code)
    assert.truthy(got.err:find("state 'p/c' is not the one that .*: field 'n' was a number and is a string"), got.err)
    h.write(counter(5), script)
    local json = h.decode(reload('--json').out)
    assert.is_true(json.ok)
    assert.equal(3, json.generation)
    assert.equal(2, reload('--bac').code)
    assert.is_nil(p:code())
    append(2001)
    r.wait_until('a row of the new ones', function() return lines() == 2001 end)
    assert.equal(0, h.run({ 'drain', '--control', socket }).code)
    assert.same({ 1, 5 }, judge(2001))
  end)

  it('is refused by a spec beside the script that fails, and by the tests of a pack', function()
    input(10)
    start()
    local spec = script:gsub('%.lua$', '_spec.lua')
    h.write(([[describe('s', function() it('has a limit', function()
      local t = require 'tidemill'.testing.run(%q, { set = { out = 'rows' } })
      t:send { k = 'a', v = 1 }
      assert.equal(8, t:out('rows')[1].limit)
    end) end)]]):format(script), spec)
    h.write(counter(7), script)
    local got = reload()
    assert.equal(4, got.code, got.err)
    assert.truthy(got.err:find('_spec.lua', 1, true), got.err)
    assert.truthy(got.err:find('tests of the scripts failed', 1, true), got.err)
    h.write(counter(8), script)
    got = reload()
    assert.equal(0, got.code, got.err)
    h.write('describe(', spec)
    assert.equal(3, reload().code)
    os.remove(spec)

    local pack = h.path 'pack'
    assert(os.execute(('cp -r scripts/packs/limits %s'):format(h.quote(pack))) == 0)
    h.write(([[local tm = require 'tidemill'
      return tm.pipeline 'q':from(tm.source.file { path = '%s/sample.ndjson', follow = true }):pack '%s':to(tm.sink.file '%s')]])
      :format(pack, pack, h.path 'alerts'), script)
    h.run { 'drain', '--control', socket }
    local p = r.start { 'run', script, '--control', socket, '--quiet' }
    r.wait_until('its socket', function() return p:code() or h.run({ 'status', '--control', socket }).code == 0 end)
    assert.equal(0, reload().code)
    local rule = pack .. '/rules/burst.lua'
    h.write((h.read(rule):gsub('default = 4', 'default = 40')), rule)
    got = reload()
    assert.equal(4, got.code, got.err)
    assert.truthy(got.err:find('limits.lua:%d+: fires'), got.err)
    h.write((h.read(rule):gsub('default = 40', 'default = 4'):gsub('why =', 'wyh =')), rule)
    got = reload()
    assert.equal(3, got.code)
    assert.truthy(got.err:find("burst.lua:%d+: the rule has no field 'wyh' %(did you mean 'why'%?%)"), got.err)
  end)

  it('goes back to the generation before, and before that, after another start too', function()
    input(100)
    local data = h.path 'data'
    local p = start('--data', data)
    for i = 2, 3 do
      h.write(counter(i), script)
      assert.equal(0, reload().code)
    end
    local function limit_now(n)
      append(n)
      r.wait_until('its row', function() return lines() == n end)
      local rows = h.rows(h.read(out))
      return rows[#rows].limit
    end
    assert.equal(3, limit_now(101))
    assert.equal(0, reload('--back').code)
    assert.equal(2, limit_now(102))
    assert.equal(0, reload('--back').code)
    assert.equal(1, limit_now(103))
    local got = reload('--back')
    assert.equal(1, got.code)
    assert.truthy(got.err:find('there is none to go back to', 1, true), got.err)
    assert.equal(0, h.run({ 'drain', '--control', socket }).code)
    assert.equal(0, p:wait())
    -- the files on disk are the third one's: a start takes them, and leads back to what ran before
    start('--data', data)
    assert.equal(3, limit_now(104))
    assert.equal(0, reload('--back').code)
    assert.equal(1, limit_now(105))
    h.run { 'drain', '--control', socket }
    judge(105)
  end)

  it('is what a worker that follows a dead one loads, whatever the files say by then', function()
    input(100)
    local p = start()
    r.wait_until('all rows', function() return lines() == 100 end)
    h.write(counter(2), script)
    assert.equal(0, reload().code)
    h.write('no script at all', script)
    local worker = p:worker()
    p:signal('KILL', worker)
    r.wait_until('another worker', function() return p:worker() and p:worker() ~= worker end)
    append(101)
    r.wait_until('its row', function() return lines() == 101 end)
    local rows = h.rows(h.read(out))
    assert.equal(2, rows[101].limit)
    assert.is_nil(p:code())
  end)

  it('is exact with a data folder when trial, worker or host are killed at any moment', function()
    input(40000)
    local data = h.path 'data'
    local args = { 'run', script, '--set', 'out=' .. out, '--quiet', '--data', data, '--epoch', '5ms', '--from', from, '--rate', '20000/s' }
    math.randomseed(11)
    local limit, kills, changed = 1, 0, 0
    for _ = 1, 40 do
      local p = r.start(args)
      r.wait_until('its socket', function() return p:code() or h.run({ 'status', '--data', data }).code == 0 end)
      for _ = 1, 3 do
        if p:code() then break end
        limit = limit + 1
        h.write(counter(limit), script)
        local asked = r.spawn(h.command { 'reload', '--data', data })
        system.sleep(math.random() * 0.12)
        local children = {}
        for pid in h.read(('/proc/%d/task/%d/children'):format(p.pid, p.pid)):gmatch '%d+' do children[#children + 1] = pid end
        if #children > 0 and math.random(4) > 1 then
          p:signal('KILL', children[math.random(#children)])
          kills = kills + 1
        end
        local code = asked:wait()
        if code == 0 then changed = changed + 1 end
        assert.is_true(code == 0 or code == 1 or code == 3 or code == 5, asked:err())
      end
      if p:code() then break end
      p:signal('KILL')
      kills = kills + 1
      p:wait()
    end
    local got = h.run(args)
    assert.equal(0, got.code, got.err)
    assert.is_true(#judge(40000) > 2)
    assert.is_true(kills > 10 and changed > 2, kills .. ' kills, ' .. changed .. ' changes')
  end)

  it('a hundred and twenty times takes no memory, no address space, no descriptors', function()
    input(1000)
    local p = start()
    local function held()
      local pid = p:worker_alone()
      local status = h.read('/proc/' .. pid .. '/status')
      return { anonymous = 1024 * status:match 'RssAnon:%s*(%d+)', size = 1024 * status:match 'VmSize:%s*(%d+)',
        descriptors = #h.lines(h.shell('ls /proc/' .. pid .. '/fd').out) }
    end
    local before
    for i = 1, 120 do
      h.write(counter(i), script)
      local got = reload()
      assert.equal(0, got.code, got.err)
      if i == 40 then
        system.sleep(0.3)
        before = held()
      end
    end
    system.sleep(0.3)
    local now = held()
    assert.equal(before.descriptors, now.descriptors)
    if h.slowness() > 1 then return end   -- sanitizers keep what was freed
    -- 80 generations: less than 8 KB each, and of address space less than 40 KB
    assert.is_true(now.anonymous < before.anonymous + 640e3, now.anonymous .. ' bytes, ' .. before.anonymous .. ' after 40')
    assert.is_true(now.size < before.size + 3.2e6, now.size .. ' bytes of address space, ' .. before.size .. ' after 40')
  end)
end)

describe('tidemill dev', function()
  after_each(r.stop_all)

  local script, out

  before_each(function()
    local dir = h.folder {}
    script, out = dir .. '/s.lua', h.path 'out'
  end)

  local function text(by, module)
    return ([[local tm = require 'tidemill'
      %s
      return tm.pipeline 'p':from(tm.source.every '2ms'):map(function(e) return { by = %s } end):to(tm.sink.file '%s')]])
      :format(module and "local m = require 'm'" or '', by, out)
  end

  local function by_now() return (h.read(out):match '"by":(%d+)}\n$') end
  local function wait_by(by) r.wait_until('rows by ' .. by, function() return by_now() == by end) end

  it('loads what was changed, new modules too, and goes on with the old where it is wrong', function()
    h.write(text '1', script)
    local p = r.start { 'dev', script, '--control', h.path 'control' }
    wait_by '1'
    h.write(text '2', script)
    wait_by '2'
    h.write(text('m.by', true), script)
    r.wait_until('an error', function() return p:err():find("no module 'm' beside the script", 1, true) end)
    assert.equal('2', by_now())
    h.write('return { by = 3 }', script:gsub('s%.lua$', 'm.lua'))
    wait_by '3'
    h.write('return { by = }', script:gsub('s%.lua$', 'm.lua'))
    r.wait_until('a place', function() return p:err():find('m.lua:1: unexpected symbol', 1, true) end)
    -- as editors do it: another file in its place
    h.write('return { by = 4 }', script:gsub('s%.lua$', 'm.lua.tmp'))
    assert(os.rename((script:gsub('s%.lua$', 'm.lua.tmp')), (script:gsub('s%.lua$', 'm.lua'))))
    wait_by '4'
    p:signal 'INT'
    assert.equal(130, p:wait())
  end)

  it('waits for a change where the first scripts are wrong', function()
    h.write('return 1 +', script)
    local p = r.start { 'dev', script, '--control', h.path 'control' }
    r.wait_until('a word', function() return p:err():find('waiting for a change', 1, true) end)
    assert.truthy(p:err():find('s.lua:1: unexpected symbol', 1, true), p:err())
    h.write(text '5', script)
    wait_by '5'
    assert.is_nil(p:code())
  end)

  it('shows on a terminal how alerts move', function()
    h.write(text '6', script)
    -- Python's pty is the terminal
    local watch = h.write([==[
import os, pty, re, select, signal, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "dev", sys.argv[2], "--control", sys.argv[3]])
text, counts, until = b"", [], time.time() + 30
while time.time() < until and len(set(counts)) < 3:
    if select.select([fd], [], [], 1)[0]:
        try: text += os.read(fd, 65536)
        except OSError: break
    counts = re.findall(rb"generation 1 \| (\d+) events, [^|]*\| failed 0 \| rows (\d+)", text)
os.kill(pid, signal.SIGTERM)
os.waitpid(pid, 0)
print(len(set(counts)), sorted(counts, key=lambda c: int(c[0])) == counts)
]==], h.path 'watch.py')
    local bin = h.bin:sub(1, 1) == '/' and h.bin or h.cwd .. '/' .. h.bin
    local got = h.shell(('timeout -k 1 40 python3 %s %s %s %s'):format(watch, h.quote(bin), h.quote(script), h.quote(h.path 'control')))
    assert.equal('3 True\n', got.out, got.err)
  end)
end)
