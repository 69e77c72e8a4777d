--[[ Data folders on disks that are full, read-only or in use, of later versions, and copied while a run writes to them: nothing is lost,
doubled or damaged, and what is wrong is said. Disks are small file systems in memory, so these tests need the right to mount. ]]

local h = require 'spec.helper'
local r = require 'spec.running'
local system = require 'system'

-- Each event changes all of a text of 10,000 bytes. There are 8,000 keys, so however few epochs there are, the journal's first
-- segment of 64 MiB is filled.
local script = [[
local tm = require 'tidemill'
return tm.pipeline 'texts':key_by 'k':process('p', { unbounded = true, state = { n = 0, text = 'any' },
  on_event = function(e, s, ctx)
    s.n = s.n + 1
    s.text = ('%08d'):format(e.id):rep(1250)
    if e.id % 10 == 0 then ctx.emit { id = e.id, k = e.k, n = s.n } end
  end }):to(tm.sink.file(tm.setting 'out'))
]]

local function events(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = ('{"k":"k%d","id":%d}\n'):format(i * 7 % 8000, i) end
  return table.concat(list)
end

--- What the script writes, counted here.
local function wanted(to)
  local n, list = {}, {}
  for i = 1, to do
    local k = 'k' .. i * 7 % 8000
    n[k] = (n[k] or 0) + 1
    if i % 10 == 0 then list[#list + 1] = ('{"id":%d,"k":"%s","n":%d}\n'):format(i, k, n[k]) end
  end
  return table.concat(list)
end

local mounts = {}
--- A file system in memory of so many MiB: its path, or nil and why not.
local function disk(size, options)
  local dir = h.path 'disk'
  assert(os.execute('mkdir ' .. h.quote(dir)) == 0)
  local got = h.shell(('mount -t tmpfs -o size=%dM%s tidemill-test %s'):format(size, options or '', h.quote(dir)))
  if got.code ~= 0 then return nil, got.err end
  mounts[#mounts + 1] = dir
  return dir
end

local function remount(dir, options)
  assert.equal(0, h.shell(('mount -o remount,%s %s'):format(options, h.quote(dir))).code)
end

local function unmount_all()
  r.stop_all()
  for _, dir in ipairs(mounts) do
    r.wait_until('its processes to be gone', function() return h.shell('umount ' .. h.quote(dir)).code == 0 end)
  end
  mounts = {}
end

local function run(o)
  local args = { 'run', o.script or h.write(script, h.path 's.lua'), '--set', 'out=' .. o.out, '--data', o.data, '--epoch', '5ms' }
  for _, arg in ipairs(o) do args[#args + 1] = arg end
  return args
end

local function count(text, what)
  local n, at = 0, 1
  while true do
    local from, to = text:find(what, at, true)
    if not from then return n end
    n, at = n + 1, to + 1
  end
end

describe('a data folder on a full disk', function()
  after_each(unmount_all)
  local n = 16000

  --- A run whose folder has no room left, waiting.
  local function full()
    local dir, why = disk(100)
    if not dir then return pending('nobody may mount here: ' .. why) end
    local o = { out = h.path 'out', data = dir .. '/data', '--from', h.write(events(1, n), h.path 'in.ndjson'), '--rate', '15000/s' }
    local p = r.start(run(o))
    r.wait_until('no room', function()
      assert.is_nil(p:code(), p:err())
      return p:err():find('reading pauses', 1, true)
    end)
    return p, o, dir
  end

  it('pauses the run, which goes on by itself when there is room', function()
    local p, o, dir = full()
    if not p then return end
    assert.truthy(p:err():find('The run goes on until what was set aside is used', 1, true), p:err())
    assert.truthy(p:err():find('journal.new: No space left on device. What was acknowledged is safe; make room on the disk', 1, true),
      p:err())
    -- it rests: neither rows nor processor time
    local worker, size = p:worker(), -1
    local function used()  -- ticks of processor time
      local user, system_ = h.read('/proc/' .. worker .. '/stat'):match('%) %a' .. (' %S+'):rep(10) .. ' (%d+) (%d+)')
      return user + system_
    end
    r.wait_until('rest', function()
      local before = size
      size = r.size(o.out)
      system.sleep(0.3)
      return before == size and r.state(worker) == 'S'
    end)
    assert.is_true(size < #wanted(n))
    local before = used()
    system.sleep(1)
    assert.is_true(used() - before < 20, 'the worker works while it waits')
    remount(dir, 'size=600M')
    assert.equal(0, p:wait(60), p:err())
    assert.equal(1, count(p:err(), 'reading pauses'), p:err())
    assert.equal(1, count(p:err(), 'there is room again; the run goes on'), p:err())
    h.compare(wanted(n), h.read(o.out), 'rows')
    assert.equal(0, h.run { 'journal', 'verify', o.data }.code)
  end)

  it('ends a run by TERM with exit code 1, and loses nothing', function()
    local p, o, dir = full()
    if not p then return end
    p:signal 'TERM'
    assert.equal(1, p:wait(), p:err())
    assert.truthy(p:err():find('the run ends without its last epoch', 1, true), p:err())
    assert.truthy(p:err():find('start again with the same folder', 1, true), p:err())
    -- still no room: it waits for it, may be ended, and nothing is damaged by that
    local size = r.size(o.out)
    for _ = 1, 2 do
      p = r.start(run(o))
      r.wait_until('waiting', function()
        assert.is_nil(p:code(), p:err())
        return p:err():find('The run begins when there is room', 1, true)
      end)
      p:signal 'TERM'
      assert.equal(1, p:wait(), p:err())
      assert.truthy(p:err():find('No space left on device. What was acknowledged is safe; make room on the disk', 1, true), p:err())
    end
    p = r.start(run(o))
    r.wait_until('waiting', function() return p:err():find('The run begins when there is room', 1, true) end)
    assert.equal(size, r.size(o.out))
    remount(dir, 'size=600M')
    assert.equal(0, p:wait(60), p:err())
    assert.equal(1, count(p:err(), 'begins when there is room'), p:err())
    assert.equal(1, count(p:err(), 'there is room again; the run goes on'), p:err())
    h.compare(wanted(n), h.read(o.out), 'rows')
  end)

  it('is waited for by a worker that follows one that was killed', function()
    local p, o, dir = full()
    if not p then return end
    local before = p:worker()
    p:signal('KILL', before)
    r.wait_until('the next worker to wait', function()
      assert.is_nil(p:code(), p:err())
      return p:err():find('The run begins when there is room', 1, true)
    end)
    assert.not_equal(before, p:worker())
    remount(dir, 'size=600M')
    assert.equal(0, p:wait(60), p:err())
    h.compare(wanted(n), h.read(o.out), 'rows')
  end)

  it('is waited for by a run that is new', function()
    for _, left in ipairs { 0, 4, 8, 30 * 1024 } do  -- KiB: for no name, for some small files, for half of a segment
      local dir, why = disk(100)
      if not dir then return pending('nobody may mount here: ' .. why) end
      local o = { out = h.path 'out', data = dir .. '/data', '--from', h.write(events(1, 2000), h.path 'in.ndjson') }
      assert(os.execute('mkdir ' .. h.quote(o.data)) == 0)
      h.sh('head -c %d /dev/zero >%s/filler 2>/dev/null || :', (100 * 1024 - left) * 1024, dir)
      local p = r.start(run(o))
      r.wait_until('waiting', function()
        assert.is_nil(p:code(), p:err())
        return p:err():find('The run begins when there is room', 1, true)
      end)
      h.sh('rm %s/filler; mount -o remount,size=600M %s', dir, dir)
      assert.equal(0, p:wait(60), p:err())
      assert.equal(1, count(p:err(), 'there is room again; the run goes on'), p:err())
      h.compare(wanted(2000), h.read(o.out), 'rows')
    end
  end)

  it('loses and doubles nothing when the run is killed meanwhile', function()
    local p, o, dir = full()
    if not p then return end
    local worker = p:worker()
    p:signal 'KILL'
    p:signal('KILL', worker)
    p:wait()
    remount(dir, 'size=600M')
    local got = h.run(run(o))
    assert.equal(0, got.code, got.err)
    h.compare(wanted(n), h.read(o.out), 'rows')
  end)
end)

describe('a data folder that cannot be used', function()
  after_each(unmount_all)

  local function refused(o, code, words)
    local got = h.run(run(o))
    assert.equal(code, got.code, got.err)
    assert.truthy(got.err:find(words, 1, true), got.err)
    assert.equal(0, r.size(o.out))
  end

  it('is refused on a disk that is read-only, before and after it was one', function()
    local dir, why = disk(200)
    if not dir then return pending('nobody may mount here: ' .. why) end
    local o = { out = h.path 'out', data = dir .. '/data', '--quiet', '--from', h.write(events(1, 100), h.path 'in.ndjson') }
    remount(dir, 'ro')
    refused(o, 2, 'cannot make the data folder ' .. o.data .. ': Read-only file system')
    remount(dir, 'rw')
    assert.equal(0, h.run(run(o)).code)
    os.remove(o.out)
    remount(dir, 'ro')
    refused(o, 2, 'cannot write to the data folder ' .. o.data .. ': Read-only file system')
    -- what only looks goes on
    assert.equal(0, h.run { 'journal', 'verify', o.data }.code)
    assert.equal(0, h.run { 'journal', 'ls', o.data }.code)
  end)

  it('is refused when it belongs to another user', function()
    local data, out = h.path 'data', h.path 'out'
    assert(os.execute('mkdir ' .. h.quote(data)) == 0)
    if h.shell('chown 12345 ' .. h.quote(data)).code ~= 0 then return pending 'nobody may give files away here' end
    refused({ out = out, data = data, '--from', h.write(events(1, 100), h.path 'in.ndjson') }, 2, 'belongs to another user')
  end)

  it('is refused when it is of a later version', function()
    local input = h.write(events(1, 100), h.path 'in.ndjson')
    local o = { out = h.path 'out', data = h.path 'data', '--quiet', '--from', input }
    assert.equal(0, h.run(run(o)).code)
    os.remove(o.out)
    local before = h.shell('cd ' .. h.quote(o.data) .. ' && sha256sum *').out
    local version = h.read(o.data .. '/version')
    h.write((version:gsub('%d+', '99')), o.data .. '/version')
    refused(o, 1, 'was written by a newer tidemill')
    h.write(version, o.data .. '/version')
    assert.equal(before, h.shell('cd ' .. h.quote(o.data) .. ' && sha256sum *').out)
  end)
end)

describe('a data folder that is copied while a run writes to it', function()
  after_each(unmount_all)

  it('goes on from an earlier epoch or is refused, and never gives wrong rows', function()
    local n, started, told = 80000, 0, {}
    local path = h.write((script:gsub('1250', '125')), h.path 's.lua')  -- smaller texts: what is read again is written again
    local o = { script = path, out = h.path 'out', data = h.path 'data', '--quiet', '--from', h.write(events(1, n), h.path 'in.ndjson') }
    local slow = { script = path, out = o.out, data = o.data, '--quiet', o[2], o[3], '--rate', '8000/s' }
    local p, want, copies = r.start(run(slow)), wanted(n), {}
    r.wait_until('rows', function() return r.size(o.out) > 1000 end)
    for i = 1, 6 do
      assert.is_nil(p:code(), 'the run has ended before it was copied')
      local c = { data = h.path 'copy', out = h.path 'copied' }
      -- what was written goes behind what is known of it
      -- files come and go meanwhile, so cp may tell of some that it did not find
      assert.equal(0, h.shell(('cp -r %s %s; cp %s %s'):format(h.quote(o.data), h.quote(c.data), h.quote(o.out), h.quote(c.out))).code)
      copies[i] = c
    end
    p:signal 'TERM'
    assert.equal(0, p:wait(60), p:err())
    for _, c in ipairs(copies) do
      h.write(h.read(c.out), o.out)
      local got = h.run(run { script = path, out = o.out, data = c.data, '--quiet', o[2], o[3] })
      if got.code == 0 then
        started = started + 1
        h.compare(want, h.read(o.out), 'rows of a copy')
      else
        told[#told + 1] = got.err
        assert.equal(1, got.code, got.err)
        assert.truthy(got.err:find(c.data, 1, true), got.err)
      end
      os.execute('rm -rf ' .. h.quote(c.data))
    end
    assert.is_true(started > 0, table.concat(told, '\n'))
  end)
end)
