--[[ durable.lua - the part of the benchmark about runs that are kept (--data): what that costs in speed, pauses and memory, how much is
written, how soon a killed run goes on, and how soon a row of an event log is durable.

A run is fed through a pipe; a *mark*, an event without a key, comes back as a row of a file, so all before it was read. ]]

local lib = require 'lib'

local M = {}
local place, report, bench, tidemill, result

local function shell(...) return lib.output(string.format(...)) end
local function sleep(s) os.execute(('sleep %g'):format(s)) end
local function read(path)
  local f = io.open(path)
  local text = f and f:read '*a' or ''
  if f then f:close() end
  return text
end

local function now()
  local up = read '/proc/uptime'
  return tonumber(up:match '^(%S+)')
end

--- Starts a run in the background that reads a pipe.
local function start(script, data, more)
  local marks, err = bench .. '/durable.marks', bench .. '/durable.err'
  local words = { tidemill, 'run', place.here .. '/' .. script, '--set', 'marks=' .. marks, '--json' }
  if data then words[#words + 1], words[#words + 2] = '--data', data end
  for _, word in ipairs(more or {}) do words[#words + 1] = word end
  local run = { marks = marks, err = err, words = words, data = data, marked = #read(marks) }
  run.pipe = io.popen(('exec %s >/dev/null 2>%s'):format(lib.line(words), lib.quote(err)), 'w')
  run.pipe:setvbuf 'no'
  return run
end

--- Feeds files and a mark, and waits until all of it was taken.
local function feed(run, ...)
  for _, path in ipairs { ... } do
    local f = assert(io.open(path, 'rb'))
    for block in function() return f:read(1024 * 1024) end do run.pipe:write(block) end
    f:close()
  end
  run.pipe:write '{"a":1,"mark":1}\n'
  local last = now() + 600
  while #read(run.marks) == run.marked do
    if now() > last or read(run.err):find('error', 1, true) then error('durable: ' .. read(run.err)) end
    sleep(0.02)
  end
  run.marked = #read(run.marks)
end

--- Ends it at the end of its input; what its summary says.
local function stop(run)
  run.pipe:close()
  local text = read(run.err)
  local name, cpu = text:match '"epoch_work_ns":{(.-)}' or '', text:match '"epoch_cpu_ns":{(.-)}' or ''
  local function number(from, key) return tonumber(from:match('"' .. key .. '":(%d+)') or 0) end
  return { work_p999 = number(name, 'p999') / 1e6, work_max = number(name, 'max') / 1e6, work_p50 = number(name, 'p50') / 1e6,
    cpu_p999 = number(cpu, 'p999') / 1e6, cpu_max = number(cpu, 'max') / 1e6, turns = number(name, 'count'),
    epochs = number(text, 'epochs'), epoch_bytes = number(text, 'epoch_bytes'),
    peak_mb = number(text, 'memory_peak_bytes') / 2 ^ 20, cpu = tonumber(text:match '"cpu_s":([%d.]+)' or 0) }
end

--- The processes of a run: control, and the worker, which holds the folder's lock.
local function processes(run)
  local worker = read(run.data .. '/lock'):match '%d+'
  return read(('/proc/%s/status'):format(worker)):match 'PPid:%s*(%d+)', worker
end

--- Both at once, so that nothing is done in order any more.
local function kill(run)
  shell('kill -9 %s %s', processes(run))
  run.pipe:close()
  sleep(0.1)
end

local function fresh(name)
  local dir = bench .. '/' .. name
  shell('rm -rf %s %s/durable.marks', lib.quote(dir), lib.quote(bench))
  return dir
end

local function keys_file(n, count, from)
  local path = ('%s/keys-small-%d-of-%d-from-%d.ndjson'):format(bench, n, count, from)
  if not lib.exists(path) and not shell('%s/gen_keys small %d %d %d > %s.new && mv %s.new %s', bench, n, count, from, path, path, path) then
    error('cannot write ' .. path)
  end
  return path
end

--- Bytes and epochs behind epoch `after`; the number of the last one.
local function written(data, after)
  local bytes, epochs, last = 0, 0, after
  local pipe = io.popen(('%s journal cat %s'):format(lib.quote(tidemill), lib.quote(data)))
  for line in pipe:lines() do
    local epoch, n = line:match '"epoch":(%d+),"bytes":(%d+)'
    epoch = tonumber(epoch)
    if epoch > after then bytes, epochs, last = bytes + tonumber(n), epochs + 1, epoch end
  end
  pipe:close()
  return bytes, epochs, last
end

--- Rates of T2 with the folder and without it, in turns.
local function speed(rounds, cards, n)
  local out = { cpu = {}, wall = {} }
  for round = 1, rounds do
    report.step(('t2 with --data and without, round %d of %d'):format(round, rounds))
    local words = { tidemill, 'run', place.here .. '/t2.lua', '--from', cards, '--quiet' }
    local without = lib.run(bench .. '/measure', { words = words, output = '/dev/null' })
    words[#words + 1], words[#words + 2] = '--data', fresh 'durable.data'
    local with = lib.run(bench .. '/measure', { words = words, output = '/dev/null' })
    if with.code ~= 0 or without.code ~= 0 then error('durable: failed: ' .. lib.line(words)) end
    out.cpu[round], out.wall[round] = without.cpu / with.cpu, without.wall / with.wall
    out[round] = n / with.cpu
  end
  return out
end

--- Fills a state of so many MB, updates it, kills it, takes it up: pauses, memory, bytes written, time to the first row.
local function sized(mb, updates)
  local count = math.floor(mb * 1e6 / 63)   -- bytes a key: host/state/README.md
  local n = math.min(updates, 4 * count)
  report.step(('a state of %d MB: %s keys, %s updates'):format(mb, lib.count(count), lib.count(n)))
  local new, update = keys_file(count, count, 0), keys_file(n, count, count)
  local plain = start('durable_keys.lua', nil)
  fresh 'durable.data'
  feed(plain, new, update)
  local without = stop(plain)
  local data = fresh 'durable.data'
  local run = start('durable_keys.lua', data)
  feed(run, new, update)
  sleep(0.5)
  run.pipe:write '{"a":1,"mark":1}\n'
  -- as TERM does: the run is kept, and tells what it did
  shell('kill -TERM %s', (processes(run)))
  local last = now() + 60
  while not read(run.err):find('epoch_work_ns', 1, true) and now() < last do sleep(0.02) end
  local o = stop(run)
  o.mb, o.keys, o.without_mb, o.cpu_ratio = mb, count, without.peak_mb, without.cpu / o.cpu
  -- a kill behind some more updates, then the first row of the process that goes on
  run = start('durable_keys.lua', data)
  feed(run, keys_file(math.min(count, 100000), count, count))
  kill(run)
  local sizes = shell('%s snapshot ls %s --json', lib.quote(tidemill), lib.quote(data)) or ''
  local snapshot, at = tonumber(sizes:match '"bytes":(%d+)' or 0), tonumber(sizes:match '"epoch":(%d+)' or 0)
  o.snapshot_mb, o.journal_mb = snapshot / 1e6, written(data, at) / 1e6
  shell('rm -rf %s.2 && cp -r %s %s.2', data, data, data)
  o.snapshot_peak_mb = lib.run(bench .. '/measure', { words = { tidemill, 'snapshot', 'make', data .. '.2' } }).peak_mb
  local line = ('echo \'{"a":1,"mark":1}\' | %s'):format(lib.line(run.words))
  local cost = lib.run(bench .. '/measure', { words = { 'sh', '-c', line }, first = true })
  o.first_ms, o.code = cost.first_ms, cost.code
  -- outside: events through a pipe while the state is updated by them, and epochs and snapshots are made
  shell('rm -rf %s && mv %s.2 %s', data, data, data)
  local lat = shell('%s/latency -r 10000 -s 10 -w %.1f %s --quiet 2>/dev/null', bench, cost.first_ms / 500 + 1, lib.line(run.words))
  o.through_p99, o.through_p999, o.through_max = (lat or ''):match '^%d+ %S+ (%S+) (%S+) (%S+)'
  o.recovery = cost.first_ms > 0 and (o.snapshot_mb + o.journal_mb) / cost.first_ms * 1e3 or 0
  return o
end

--- Bytes written when a part of the keys is touched within an epoch.
local function touched()
  local count, list = 1000000, {}
  local data = fresh 'durable.data'
  local run = start('durable_keys.lua', data, { '--epoch', '3s' })
  feed(run, keys_file(count, count, 0))
  sleep(4)
  local _, _, last = written(data, 0)
  for _, part in ipairs { 0.01, 0.1, 1 } do
    report.step(('bytes written when %g %% of %s keys are touched'):format(part * 100, lib.count(count)))
    feed(run, keys_file(math.floor(part * count), count, count))
    sleep(4.5)
    local bytes, epochs
    bytes, epochs, last = written(data, last)
    local name = ('%g %% of %s keys'):format(part * 100, lib.count(count))
    list[#list + 1] = { what = name, touched = part * count, bytes = bytes, epochs = epochs }
  end
  stop(run)
  data = fresh 'durable.data'
  run = start('durable_values.lua', data, { '--epoch', '3s' })
  feed(run, keys_file(5000, 5000, 0))
  sleep(4)
  _, _, last = written(data, 0)
  feed(run, keys_file(5000, 5000, 5000))
  sleep(4.5)
  local bytes, epochs = written(data, last)
  stop(run)
  list[#list + 1] = { what = '16 bytes of 10 KiB, 5,000 keys', touched = 5000, bytes = bytes, epochs = epochs }
  return list
end

--- From when an event is due to when a follower of the log has its row, beside the disk.
local function log_latency(rounds)
  local list = {}
  for round = 1, rounds do
    report.step(('latency stdin to a durable log at 10,000 events/s, round %d of %d'):format(round, rounds))
    local data = fresh 'durable.data'
    local disk = shell('%s/fdatasync %s 1000', bench, bench) or ''
    local text = shell('%s/latency -r 10000 -s 10 -w 1 -f %s %s run %s --quiet --data %s', bench,
      lib.quote(('exec %s log cat out --follow --data %s'):format(lib.quote(tidemill), lib.quote(data))), lib.quote(tidemill),
      place.here .. '/durable_log.lua', lib.quote(data)) or ''
    local p50, p99, p999, max, lost = text:match '%d+ (%S+) (%S+) (%S+) (%S+) (%d+)$'
    local d50, d99 = disk:match '^(%S+) (%S+)'
    if p50 then
      list[#list + 1] = { p50 = tonumber(p50), p99 = tonumber(p99), p999 = tonumber(p999), max = tonumber(max), lost = tonumber(lost),
        disk_p50 = tonumber(d50), disk_p99 = tonumber(d99) }
    end
  end
  return list
end

--- what: the parts of it that are asked for ("speed sizes touched log"); nil for a part that was not.
function M.run(env, say, rounds, cards, n, what)
  place, report, bench, tidemill, result = env, say, env.bench, env.build .. '/tidemill', {}
  local sizes = os.getenv 'BENCH_STATE_MB' or '10 100 630 1000'   -- 630: 10 M records
  local function wanted(part) return (' ' .. what .. ' '):find(' ' .. part .. ' ', 1, true) end
  if wanted 'speed' then result.speed = speed(rounds, cards, n) end
  if wanted 'log' then result.log = log_latency(math.min(rounds, 3)) end
  if wanted 'touched' then result.touched = touched() end
  if wanted 'sizes' then
    result.sizes = {}
    for mb in sizes:gmatch '%d+' do table.insert(result.sizes, sized(tonumber(mb), 4000000)) end
  end
  shell('rm -rf %s %s/durable.marks %s/durable.err', lib.quote(bench .. '/durable.data'), lib.quote(bench), lib.quote(bench))
  return result
end

return M
