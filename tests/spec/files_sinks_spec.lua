--[[
files_sinks_spec.lua - rows spread over files by their fields, rolled, compressed; full disks; workers killed meanwhile. Names
are made again by a few lines of Python, where files end by a slow walk over the rows.
]]

local h = require 'spec.helper'
local r = require 'spec.running'
local kill = require 'spec.kill'

local sh = h.sh

local python = h.python

--- What is below a folder: { ['a/b'] = text }.
local function tree(dir)
  local files = {}
  for _, name in ipairs(h.lines(sh('cd %s && find . -type f', dir))) do
    files[name:sub(3)] = h.read(dir .. '/' .. name)
  end
  return files
end

local function total(dir)
  return tonumber(h.shell("find " .. dir .. " -type f -printf '%s\\n' | awk '{ n += $1 } END { print n + 0 }'").out) or 0
end

--- Escaping as the documentation says, by Python: { { template, field values … } → path }.
local reference = [[
import json, re, sys
def value(row, name):
  v = row.get(name)
  if v is None: return '%null'
  t = v if isinstance(v, str) else json.dumps(v, separators=(',', ':'), ensure_ascii=False)
  if t == '': return '%empty'
  if set(t) == {'.'}: return '%2E' * len(t)
  return ''.join(c if re.match(r'[A-Za-z0-9._:-]', c) else ''.join('%%%02X' % b for b in c.encode()) for c in t)
template, out = sys.argv[1], {}
for line in sys.stdin:
  row = json.loads(line)
  path = re.sub(r'\{([^{}]+)\}', lambda m: value(row, m[1]), template)
  out[path] = out.get(path, '') + line
print(json.dumps(out))
]]

local odd = { '"a"', '"x/y"', '".."', '"."', '"...a"', '""', 'null', '1', '-2.5', 'true', 'false', '"a b"', '"M\195\188nchen"', '"\\u00fc"',
  '"%null"', '"12:30"', '"a\\"b\\\\c"', '"\\n"', '"{z}"', '"~"', '[1,2]', '{"k":"v"}', '"_-_"' }

describe('a path with fields', function()
  it('gives each row its file, odd values escaped; folders are made', function()
    local lines = {}
    for i, v in ipairs(odd) do
      for j = 1, 3 do lines[#lines + 1] = ('{"v":%s,"w":%d,"n":%d}\n'):format(v, j, i) end
      lines[#lines + 1] = ('{"w":9,"n":%d}\n'):format(i)
    end
    local input = table.concat(lines)
    for _, template in ipairs { '{v}.ndjson', 'a/{v}/{w}', '{v}{v}/x-{w}.gone', 'plain{w}' } do
      local dir = h.folder()
      local got = h.run({ 'run', '--quiet', '-e', 'stream', '--to', dir .. '/' .. template }, input)
      assert.equal(0, got.code, got.err)
      local want = h.decode(h.shell('python3 ' .. h.write(reference) .. ' ' .. h.quote(template), input).out)
      assert.same(want, tree(dir), template)
    end
  end)

  it('also of msgpack, byte for byte', function()
    local dir = h.folder()
    local input = h.shell(python .. [==[ -c '
import msgpack, sys
for i in range(100):
  sys.stdout.buffer.write(msgpack.packb({"s": ["a", "b/c", "", None][i % 4], "i": i % 3, "f": 0.5, "t": "\u00fc\"", "n": i}))']==]).out
    local got = h.run({ 'run', '--quiet', '--format', 'msgpack', '--out-format', 'msgpack', '-e', 'stream',
      '--to', dir .. '/{s}-{i}-{f}-{t}' }, input)
    assert.equal(0, got.code, got.err)
    local want = h.decode(h.shell(python .. [==[ -c '
import json, msgpack, sys
out = {}
for row in msgpack.Unpacker(sys.stdin.buffer):
  s = {"a": "a", "b/c": "b%2Fc", "": "%empty", None: "%null"}[row["s"]]
  key = s + "-%d-0.5-%%C3%%BC%%22" % row["i"]
  out[key] = out.get(key, []) + [row["n"]]
print(json.dumps(out))']==], input).out)
    local files, n = tree(dir), 0
    for name, numbers in pairs(want) do
      local rows = h.shell(python .. [==[ -c '
import json, msgpack, sys
print(json.dumps([r["n"] for r in msgpack.Unpacker(sys.stdin.buffer)]))']==], files[name]).out
      assert.same(numbers, h.decode(rows), name)
      n = n + 1
      files[name] = nil
    end
    assert.equal(12, n)
    assert.is_nil(next(files))
  end)

  it('takes more files than may be open, and no more than max_files', function()
    local dir, lines = h.folder(), {}
    for i = 1, 3000 do lines[i] = ('{"k":%d,"n":%d}\n'):format(i * 7919 % 600, i) end
    local input = table.concat(lines)
    local got = h.shell('ulimit -n 80; ' .. h.command { 'run', '--quiet', '-e', 'stream', '--to', dir .. '/{k}' }, input)
    assert.equal(0, got.code, got.err)
    local want = {}
    for _, line in ipairs(lines) do
      local k = line:match '"k":(%d+)'
      want[k] = (want[k] or '') .. line
    end
    assert.same(want, tree(dir))
    got = h.run({ 'run', '--quiet', '-e', ("stream:to(tm.sink.file { path = '%s/x{k}', max_files = 500 })"):format(dir) }, input)
    assert.equal(1, got.code)
    assert.truthy(got.err:find('asks for one more file than the 500 of max_files', 1, true), got.err)
  end)

  it('is cut where a value is too long, so that different ones stay different', function()
    local dir = h.folder()
    local input = ('{"v":"%s"}\n{"v":"%s1"}\n{"v":"%s2"}\n'):format(('a'):rep(119), ('a'):rep(500), ('a'):rep(500))
    assert.equal(0, h.run({ 'run', '--quiet', '-e', 'stream', '--to', dir .. '/{v}' }, input).code)
    local n = 0
    for name in pairs(tree(dir)) do
      n = n + 1
      assert.truthy(#name < 150 and (name == ('a'):rep(119) or name:match '^a+~%x+$' and #name:match '~(.*)' == 16), name)
    end
    assert.equal(3, n)
  end)

  it('that cannot be is told when it is loaded', function()
    for path, message in pairs {
      ['{a'] = "'{a' has a brace without its pair", ['a}'] = "'a}' has a brace without its pair",
      ['{}'] = 'has {}, expected the name of a field',
      ['{a/b}'] = 'has {a/b}, expected the name of a field',
    } do
      local got = h.run({ 'check', '-e', ("stream:to(tm.sink.file '%s')"):format(path) })
      assert.equal(3, got.code)
      assert.truthy(got.err:find('-e:1: tm.sink.file: ', 1, true) and got.err:find(message, 1, true), got.err)
      assert.equal(2, h.run({ 'run', '-e', 'stream', '--to', path }, '').code)
    end
    local got = h.run({ 'run', '--quiet', '-e', 'stream', '--to', '/proc/no/{n}' }, '{"n":1}\n')
    assert.equal(1, got.code)
    assert.truthy(got.err:find('/proc/no/1: its folder cannot be made: ', 1, true), got.err)
  end)
end)

describe('rolled files', function()
  local function rolled(path, roll, input, more)
    return h.run({ 'run', '--quiet', '-e', ("stream:to(tm.sink.file { path = '%s', roll = %s%s })"):format(path, roll, more or '') }, input)
  end

  it('end before the row that would make them larger, whatever the batches', function()
    math.randomseed(5)
    local lines, files, size = {}, {}, 0
    for i = 1, 4000 do
      lines[i] = ('{"i":%d,"pad":"%s"}\n'):format(i, ('p'):rep(math.random(0, 300) ^ 1.3))
      if #files == 0 or size + #lines[i] > 20480 then files[#files + 1], size = '', 0 end
      files[#files] = files[#files] .. lines[i]
      size = size + #lines[i]
    end
    local want = {}
    for i, text in ipairs(files) do want[('a.b-%06d.ndjson'):format(i)] = text end
    for _, rate in ipairs { '', ", rate = '9000/s'" } do
      local dir = h.folder()
      local code = "stream:from(tm.source.stdin { name = 'x'%s }):to(tm.sink.file { path = '%s/a.b.ndjson', roll = { size = '20K' } })"
      local got = h.run({ 'run', '--quiet', '-e', code:format(rate, dir) }, table.concat(lines))
      assert.equal(0, got.code, got.err)
      assert.same(want, tree(dir))
    end
    -- compressed: the same rows in each
    local dir = h.folder()
    assert.equal(0, rolled(dir .. '/a.b.ndjson.zst', "{ size = '20K' }", table.concat(lines)).code)
    for name, text in pairs(want) do assert.is_true(h.shell('zstd -qdc ' .. dir .. '/' .. name .. '.zst').out == text, name) end
  end)

  it('count on behind those that are there; what a run left behind stays', function()
    local dir = h.folder { ['x-000007.log'] = 'old', ['x-000009.log.part'] = 'torn', ['x-12.txt'] = '', ['y-000020.log'] = '' }
    local got = rolled(dir .. '/x.log', "{ size = '15B' }", '{"n":1}\n{"n":2}\n{"n":3}\n')
    assert.equal(0, got.code, got.err)
    local message = 'x-000009.log.part: was left behind by a run that did not end in order; it stays as it is'
    assert.truthy(got.err:find(message, 1, true), got.err)
    local files = tree(dir)
    assert.equal('old', files['x-000007.log'])
    assert.equal('torn', files['x-000009.log.part'])
    for i = 1, 3 do assert.equal(('{"n":%d}\n'):format(i), files[('x-%06d.log'):format(9 + i)]) end
  end)

  it('get their names by time too, with no row to push them; TERM completes them', function()
    local dir = h.folder()
    local fifo = r.fifo()
    local held = r.spawn('sleep 60', { stdout = fifo })
    local code = ("stream:to(tm.sink.file { path = '%s/{k}/t.ndjson', roll = { every = '1s' } })"):format(dir)
    local p = r.start({ 'run', '--quiet', '-e', code }, { stdin = fifo })
    h.shell([[printf '{"k":"a","n":1}\n{"k":"b","n":2}\n' >]] .. fifo)
    r.wait_until('the names', function() return h.read(dir .. '/a/t-000001.ndjson') ~= '' and h.read(dir .. '/b/t-000001.ndjson') ~= '' end)
    h.shell([[printf '{"k":"a","n":3}\n' >]] .. fifo)
    r.wait_until('a part', function() return total(dir) == 48 end)
    p:signal 'TERM'
    assert.equal(0, p:wait())
    held:signal 'KILL'
    local files = tree(dir)
    assert.equal('{"k":"a","n":1}\n', files['a/t-000001.ndjson'])
    assert.equal('{"k":"a","n":3}\n', files['a/t-000002.ndjson'])
    assert.equal('{"k":"b","n":2}\n', files['b/t-000001.ndjson'])
    r.stop_all()
  end)

  it('are refused where it makes no sense', function()
    for roll, message in pairs {
      ['{}'] = "roll takes size or every, such as { size = '100M', every = '1h' }",
      ['{ sice = "1M" }'] = "has no option 'sice' (did you mean 'size'?)",
      ['{ size = 5 }'] = "size is a text such as '100M'", ['{ every = "1x" }'] = "roll: every: '1x' is not a duration",
      ['"1M"'] = "option 'roll' takes a table",
    } do
      local got = h.run({ 'check', '-e', ("stream:to(tm.sink.file { path = 'x', roll = %s })"):format(roll) })
      assert.equal(3, got.code)
      assert.truthy(got.err:find(message, 1, true), got.err)
    end
    local got = rolled('/proc/no/x', "{ size = '1M' }", '')
    assert.equal(3, got.code)
    got = h.script([[local tm = require 'tidemill'
      return tm.pipeline 'p':to(tm.sink.file 'x'):to(tm.sink.file { path = 'x', compress = 'gzip' })]], '')
    assert.equal(3, got.code)
    assert.truthy(got.err:find('x is written with two different values of compress, roll or max_files; choose one', 1, true), got.err)
  end)
end)

describe('a worker killed while it writes', function()
  after_each(r.stop_all)
  local lines = {}
  for i = 1, 40000 do lines[i] = ('{"i":%d,"k":%d,"pad":"%s"}'):format(i, i * 7919 % 40, ('p'):rep(i * 31 % 90)) end
  local file = h.write(table.concat(lines, '\n') .. '\n')
  local want = sh('LC_ALL=C sort %s | sha256sum', file)

  for _, case in ipairs {
    { 'files by field', "path = '%s/{k}/x.ndjson'", 'cat' }, { 'compressed files by field', "path = '%s/{k}.gz'", 'gzip -dc' },
    { 'rolled files', "path = '%s/x.ndjson', roll = { size = '60K' }", 'cat' },
    { 'all at once', "path = '%s/{k}/x.zst', roll = { size = '8K' }", 'zstd -qdc' },
  } do
    it('leaves each row once, in order: ' .. case[1], function()
      math.randomseed(6)
      local left = 5
      for _ = 1, 30 do
        local dir = h.folder()
        local p = r.start { 'run', '--json', '-e', ('stream:to(tm.sink.file { ' .. case[2] .. ' })'):format(dir), '--from', file }
        local kills, code = kill.often(p, function() return total(dir) end, 3)
        assert.equal(0, code)
        assert.equal('', sh('find %s -name "*.part"', dir))
        assert.equal(want, sh('find %s -type f -print0 | sort -z | xargs -0 %s | LC_ALL=C sort | sha256sum', dir, case[3]))
        for name in pairs(tree(dir)) do
          local last = 0
          for i in h.shell(case[3] .. ' ' .. dir .. '/' .. name).out:gmatch '{"i":(%d+)' do
            assert(tonumber(i) > last, name)
            last = tonumber(i)
          end
        end
        os.execute('rm -rf ' .. dir)
        left = left - kills
        if left <= 0 then return end
      end
      error 'runs ended before they could be killed: they need more input'
    end)
  end
end)

describe('a full disk', function()
  after_each(r.stop_all)
  local input = {}
  for i = 1, 2000 do input[i] = ('{"i":%d,"k":%d,"pad":"%s"}\n'):format(i, i % 3, tostring(i * 7919 % 99991):rep(16)) end
  local file = h.write(table.concat(input))

  for name, sink in pairs {
    ['of files by field'] = "path = '%s/{k}.ndjson'", ['of rolled files'] = "path = '%s/x.ndjson', roll = { size = '20K' }",
    ['of compressed files'] = "path = '%s/{k}.gz'",
  } do
    it(name .. ' is told once; the run goes on when there is space, or ends and counts what is missing', function()
      local dir = h.folder()
      if os.execute('mount -t tmpfs -o size=160k none ' .. dir .. ' 2>/dev/null') ~= 0 then
        pending 'only root may mount a small file system'
        return
      end
      finally(function() os.execute('umount -l ' .. dir) end)
      local fill = name == 'of compressed files' and 155648 or 131072
      for _, ends in ipairs { false, true } do
        os.execute('rm -rf ' .. dir .. '/*; head -c ' .. fill .. ' /dev/zero >' .. dir .. '/other')
        local p = r.start { 'run', '--quiet', '-e', ('stream:to(tm.sink.file { ' .. sink .. ' })'):format(dir), '--from', file }
        r.wait_until('the warning', function()
          return p:err():find('No space left on device; reading pauses until it works again', 1, true)
        end)
        assert.is_nil(p:code())
        if ends then
          p:signal 'TERM'
          assert.equal(1, p:wait())
          assert.truthy(p:err():find('No space left on device; the last %d+ bytes of rows are not in it'), p:err())
        else
          os.remove(dir .. '/other')
          h.shell('mount -o remount,size=4m ' .. dir)
          assert.equal(0, p:wait())
          local rows = h.shell('cd ' .. dir .. ' && for f in *; do case $f in *.gz) gzip -dc $f ;; *) cat $f ;; esac; done | wc -l')
          assert.equal(2000, tonumber(rows.out))
          assert.equal(1, #h.lines(p:err()), p:err())
          sh('rm -rf %s/* && mount -o remount,size=160k %s', dir, dir)
        end
      end
    end)
  end
end)

describe('a folder that becomes read-only', function()
  after_each(r.stop_all)

  --- From here on nothing below dir can be made or renamed, also not by root; files that are open stay so. False: not permitted.
  --- A file opened between the two mounts lies in the new one, which is busy then: once more.
  local function lock(dir)
    for _ = 1, 40 do
      if os.execute('mount --bind ' .. dir .. ' ' .. dir .. ' 2>/dev/null') ~= 0 then return false end
      if os.execute('mount -o remount,ro,bind ' .. dir .. ' 2>/dev/null') == 0 then return true end
      os.execute('umount -l ' .. dir .. '; sleep 0.05')
    end
    return false
  end

  local function rows(from, to)
    local lines = {}
    for i = from, to do
      lines[#lines + 1] = ('{"i":%d,"k":%d,"pad":"%s"}\n'):format(i, math.floor(i / 1000), tostring(i * 7919 % 99991):rep(16))
    end
    return table.concat(lines)
  end

  for name, sink in pairs {
    ['files by field'] = "path = '%s/{k}.ndjson'", ['files in folders by field'] = "path = '%s/{k}/x.ndjson'",
    ['rolled files'] = "path = '%s/x.ndjson', roll = { size = '20K' }",
    ['rolled compressed files'] = "path = '%s/x.gz', roll = { size = '20K' }",
    ['compressed files by field'] = "path = '%s/{k}.gz'",
  } do
    for _, ends in ipairs { false, true } do
      it(name .. (ends and ': a drain ends the run and counts what is missing' or ': is told once; the run goes on when it can be written'),
        function()
          local dir, input = h.folder(), r.fifo()
          local p = r.start({ 'run', '--quiet', '-e', ('stream:to(tm.sink.file { ' .. sink .. ' })'):format(dir) }, { stdin = input })
          local feed = assert(io.open(input, 'wb'))
          feed:setvbuf 'no'
          feed:write(rows(1, 999))
          r.wait_until('the first files', function() return next(tree(dir)) end)
          if not lock(dir) then
            feed:close()
            pending 'no permission to mount: a folder cannot be made read-only'
            return
          end
          local locked = true
          finally(function() if locked then os.execute('umount -l ' .. dir) end end)
          feed:write(rows(1000, 3000))
          feed:close()
          r.wait_until('the warning', function()
            return p:err():find('Read-only file system; reading pauses until it works again', 1, true)
          end)
          assert.is_nil(p:code())
          assert.truthy(p:err():find('^tidemill: warning: ' .. dir:gsub('%p', '%%%0') .. '/%S+: cannot %l+: Read%-only'), p:err())
          if ends then
            p:signal 'TERM'
            assert.equal(1, p:wait())
            assert.truthy(p:err():find 'Read%-only file system; the last %d+ bytes of rows are not in it', p:err())
            return
          end
          os.execute('umount ' .. dir)
          locked = false
          assert.equal(0, p:wait())
          assert.equal(1, #h.lines(p:err()), p:err())
          local texts = h.shell('cd ' .. dir ..
            ' && for f in $(find . -type f | sort -V); do case $f in *.gz) gzip -dc $f ;; *) cat $f ;; esac; done').out
          assert.is_true(texts == rows(1, 3000), #texts .. ' bytes')
        end)
    end
  end

  it('before the run: a file of a fixed name is refused at the start, with the folder', function()
    local dir = h.folder()
    if not lock(dir) then
      pending 'no permission to mount: a folder cannot be made read-only'
      return
    end
    finally(function() os.execute('umount -l ' .. dir) end)
    for _, sink in ipairs { "path = '%s/x.ndjson'", "path = '%s/x.ndjson', roll = { size = '20K' }", "path = '%s/x.gz'" } do
      local got = h.run({ 'run', '-e', ('stream:to(tm.sink.file { ' .. sink .. ' })'):format(dir) }, rows(1, 3))
      assert.equal(3, got.code)
      assert.truthy(got.err:find('^tidemill: error: ' .. dir:gsub('%p', '%%%0') .. '/x%.%l+: cannot be written: [^\n]*Read%-only'),
        got.err)
    end
  end)
end)
