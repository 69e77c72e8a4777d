--[[
files_packed_spec.lua - compressed files, both ways. What gzip and zstd make is read, what is written they decompress: they
are the reference, on random data. Damage, ends in the middle and other bytes behind are told with the file and the byte.
]]

local h = require 'spec.helper'
local r = require 'spec.running'
local kill = require 'spec.kill'

local stream = { 'run', '--quiet', '-e', 'stream' }

local function sh(line, ...)
  local got = h.shell(line:format(...))
  assert(got.code == 0, line .. ': ' .. got.err)
  return got
end

--- NDJSON of events with random texts, some of them long.
local function events(count, seed)
  math.randomseed(seed)
  local list = {}
  for i = 1, count do
    local text = {}
    for k = 1, math.random(0, 40) do text[k] = string.char(math.random(97, 122)):rep(math.random(3)) end
    list[i] = ('{"i":%d,"k":%d,"pad":"%s"}\n'):format(i, i % 7, table.concat(text) .. (i % 5000 == 0 and ('l'):rep(300000) or ''))
  end
  return table.concat(list)
end

local file = h.write(events(30000, 1))
local digest = r.digest(file)

local function from(path, ...)
  local args = { 'run', '--quiet', '-e', 'stream', '--from', path, ... }
  return h.run(args)
end

describe('compressed input', function()
  after_each(r.stop_all)

  it('is recognized by content: files, pipes and standard input, members and frames one behind the other', function()
    local dir = h.folder()
    sh('cd %s && split -n l/5 %s part. && gzip -1 part.aa && gzip -9 part.ab && gzip part.ae', dir, file)
    sh('cd %s && zstd -q --rm part.ac && zstd -q -19 --rm part.ad', dir)
    -- a skippable frame (RFC 8878, 3.1.2) of 5 bytes between two
    h.write('\x53\x2A\x4D\x18\5\0\0\0skips', dir .. '/skip')
    sh('cd %s && cat part.aa.gz part.ab.gz part.ac.zst skip part.ad.zst skip part.ae.gz >mixed', dir)
    sh('gzip -c %s >%s/whole; zstd -qc --long=27 %s >%s/long', file, dir, file, dir)
    for _, name in ipairs { 'mixed', 'whole', 'long' } do
      local path = dir .. '/' .. name
      assert.equal(digest, h.shell(h.command { 'run', '--quiet', '-e', 'stream', '--from', path } .. ' | sha256sum').out:match '%x+', name)
      assert.equal(digest, h.shell(h.command(stream) .. ' <' .. path .. ' | sha256sum').out:match '%x+', name)
      assert.equal(digest, h.shell('cat ' .. path .. ' | ' .. h.command(stream) .. ' | sha256sum').out:match '%x+', name)
    end
  end)

  it('that comes byte by byte, and msgpack', function()
    local path = h.write '{"n":1}\n{"n":2}\n'
    for _, program in ipairs { 'gzip', 'zstd -q' } do
      local got = h.shell(program .. ' -c ' .. path .. [[ | python3 -c 'import os, time
while True:
  b = os.read(0, 1)
  if not b: break
  os.write(1, b); time.sleep(0.001)' | ]] .. h.command(stream))
      assert.equal('{"n":1}\n{"n":2}\n', got.out)
      got = h.shell("printf '\\201\\241n\\001' | " .. program .. ' -c | ' ..
        h.command { 'run', '--quiet', '--format', 'msgpack', '-e', 'stream' })
      assert.equal('{"n":1}\n', got.out)
    end
  end)

  it('ends in zeros of a tape, and may hold nothing', function()
    local path = h.path 'z'
    sh('gzip -c %s >%s; head -c 1000 /dev/zero >>%s', file, path, path)
    local padded = from(path)
    assert.equal(0, padded.code, padded.err)
    assert.is_true(padded.out == h.read(file))
    sh(': | gzip >%s', path)
    local got = from(path)
    assert.equal('', got.out)
    assert.equal(0, got.code)
  end)

  it('that breaks off, is damaged, or has other bytes behind it: what was before is processed, the exit code is 1', function()
    math.randomseed(2)
    local text = h.read(file)
    for _, program in ipairs { 'gzip', 'zstd -q' } do
      local whole = h.shell(program .. ' -c ' .. file).out
      for k = 1, 12 do
        local cut = math.random(20, #whole - 1)
        local path = h.write(whole:sub(1, cut))
        local got = from(path)
        assert.equal(1, got.code, k)
        assert.truthy(got.err:find(path .. ': byte ' .. cut .. ': the input ends in the middle of compressed data; what came before is ' ..
          'processed, nothing behind it can be read', 1, true), got.err)
        -- all that the program itself gives, in whole lines; of zstd blocks that it keeps to itself too
        local own = h.shell(program .. ' -dc <' .. path .. ' 2>/dev/null').out
        local lines = own:match '^(.*\n)' or ''
        assert.is_true(got.out == text:sub(1, #got.out) and #got.out >= #lines and (#got.out == 0 or got.out:sub(-1) == '\n'), program)
        if program == 'gzip' then assert.equal(#lines, #got.out) end
        local at = math.random(#whole - 8)
        path = h.write(whole:sub(1, at) .. string.char((whole:byte(at + 1) + math.random(255)) % 256) .. whole:sub(at + 2))
        got = from(path)
        if h.shell(program .. ' -dc <' .. path .. ' >/dev/null 2>&1').code ~= 0 and at >= 4 then assert.equal(1, got.code, got.err) end
      end
      local path = h.write(whole .. 'garbage')
      local got = from(path)
      assert.equal(1, got.code)
      assert.is_true(got.out == text)
      local message = ': bytes that are not compressed behind the end of what is'
      assert.truthy(got.err:find(path .. ': byte ' .. #whole .. message, 1, true), got.err)
      -- the next file is read
      local dir = h.folder { a = whole:sub(1, 1000), b = '{"last":1}\n' }
      got = from(dir)
      assert.equal(1, got.code)
      assert.truthy(got.out:find '{"last":1}\n$')
    end
  end)

  it('of any ratio is streamed; a window of more than 128 MiB is refused', function()
    local bomb = h.path 'bomb'
    sh([[python3 -c '
import sys
sys.stdout.write("{\"n\":1,\"pad\":\"")
for i in range(300): sys.stdout.write("x" * 1000000)
sys.stdout.write("\"}\n{\"n\":2}\n")' | zstd -q >%s]], bomb)
    local p = r.start { 'run', '--json', '-e', 'stream', '--from', bomb, '--to', h.path 'to' }
    assert.equal(0, p:wait(60))
    local s = p:summary()
    assert.equal(1, s.counters.lines_bad)
    assert.equal(1, s.counters.rows_out)
    assert.is_true(s.memory_peak_bytes < 200e6, s.memory_peak_bytes)
    -- a frame that says so: magic, descriptor, a window of 2^28 bytes, an empty last block
    local got = from(h.write '\x28\xB5\x2F\xFD\0\x90\1\0\0')
    assert.equal(1, got.code)
    assert.truthy(got.err:find('this zstd frame needs a window of more than 128 MiB', 1, true), got.err)
  end)

  it('goes on where it was when the worker is killed', function()
    math.randomseed(3)
    local many = h.path 'many'
    sh('for i in 1 2 3 4 5 6; do cat %s; done >%s', file, many)
    local want = r.digest(many)
    for _, program in ipairs { 'gzip -c', 'zstd -qc', 'zstd -qc --long=27' } do
      local packed, left = h.path 'packed', 10
      sh('%s %s >%s', program, many, packed)
      for round = 1, 30 do
        local to = h.path 'to'
        local p
        if round % 2 == 0 then
          p = r.start({ 'run', '--json', '-e', 'stream', '--from', packed }, { stdout = to })
        else
          local fifo = r.fifo()
          r.spawn('cat', { stdin = packed, stdout = fifo })
          p = r.start({ 'run', '--json', '-e', 'stream' }, { stdin = fifo, stdout = to })
        end
        local kills, code = kill.often(p, function() return r.size(to) end, 4)
        assert.equal(0, code)
        assert.equal(want, r.digest(to), program)
        os.remove(to)
        left = left - kills
        if left <= 0 then break end
      end
      assert.is_true(left <= 0)
    end
  end)
end)

describe('compressed output', function()
  after_each(r.stop_all)

  it('by the name of the file, or as asked; appended to; of no rows too', function()
    for ending, program in pairs { ['.gz'] = 'gzip', ['.zst'] = 'zstd -q' } do
      local to = h.path('to' .. ending)
      for _ = 1, 2 do assert.equal(0, from(file, '--to', to).code) end
      assert.is_true(h.shell(program .. ' -dc <' .. to).out == h.read(file):rep(2))
      assert.is_true(r.size(to) < r.size(file))
      local got = h.script(([[local tm = require 'tidemill'
        return tm.pipeline 'p':to(tm.sink.file { path = '%s.x', compress = '%s' })
          :to(tm.sink.file { path = '%s.no%s', compress = 'none' })]])
        :format(to, program:match '%a+', to, ending), '{"n":1}\n')
      assert.equal(0, got.code, got.err)
      assert.equal('{"n":1}\n', h.shell(program .. ' -dc <' .. to .. '.x').out)
      assert.equal('{"n":1}\n', h.read(to .. '.no' .. ending))
      local none = h.path('none' .. ending)
      assert.equal(0, h.run({ 'run', '--quiet', '-e', 'stream', '--to', none }, '').code)
      got = h.shell(program .. ' -dc <' .. none)
      assert.equal(0, got.code)
      assert.equal('', got.out)
    end
  end)

  it('is refused where it cannot be', function()
    local got = h.run({ 'run', '-e', 'stream', '--to', r.fifo 'pipe.gz' }, '')
    assert.equal(3, got.code)
    got = h.run({ 'run', '-e', "stream:to(tm.sink.file { path = 'x', compress = 'gzp' })" }, '')
    assert.equal(3, got.code)
    assert.truthy(got.err:find("option 'compress' is one of 'none', 'gzip', 'zstd', got 'gzp'", 1, true), got.err)
  end)

  it('is complete and exact when the worker is killed', function()
    math.randomseed(4)
    for ending, program in pairs { ['.gz'] = 'gzip', ['.zst'] = 'zstd -q' } do
      local left = 8
      for _ = 1, 30 do
        local to = h.path('to' .. ending)
        local p = r.start { 'run', '--json', '-e', 'stream', '--from', file, '--to', to }
        local kills, code = kill.often(p, function() return r.size(to) end, 3)
        assert.equal(0, code)
        assert.equal(digest, h.shell(program .. ' -dc <' .. to .. ' | sha256sum').out:match '%x+')
        left = left - kills
        if left <= 0 then break end
      end
      assert.is_true(left <= 0)
    end
  end)
end)
