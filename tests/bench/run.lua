-- run.lua - the benchmark: `make bench`. Prints one table, writes BUILD/bench/result.json.
--
--   luajit tests/bench/run.lua BUILD
--
-- Every speed is events per cpu-second of the whole process tree, over paired rounds: in each round every contender
-- runs once, so that a ratio compares neighbours in time; of rates and ratios the median *and* the worst are told.
-- Environment: BENCH_EVENTS (5000000), BENCH_ROUNDS (5), BENCH_RUNS (20), BENCH_PARTS ("check rounds formats keyed nexmark keys guards
-- robust pipelines start latency durable rules patterns features decisions"), BENCH_DURABLE ("speed log touched sizes"),
-- BENCH_STATE_MB ("10 100 630 1000"), BENCH_CARDS (1000000).
-- Inputs and peers lie in BUILD/bench.
local here = arg[0]:match '^(.*)/[^/]*$' or '.'
package.path = here .. '/?.lua;' .. package.path
local lib, report = require 'lib', require 'report'

local build = arg[1] or 'build'
local bench = build .. '/bench'
local events = tonumber(os.getenv 'BENCH_EVENTS' or 5e6)
local rounds = tonumber(os.getenv 'BENCH_ROUNDS' or 5)
local runs = tonumber(os.getenv 'BENCH_RUNS' or 20)
local parts = os.getenv 'BENCH_PARTS' or 'check rounds formats keyed nexmark keys guards robust pipelines start latency durable ' ..
  'rules patterns features decisions'
local place = { build = build, bench = bench, here = here, chunk = 256 * 1024 }
local measure, tidemill = bench .. '/measure', build .. '/tidemill'
local contenders = require 'contenders' (place)
local here_now, result = {}, { events = events, rounds = rounds, runs = runs }

local function wanted(part) return (' ' .. parts .. ' '):find(' ' .. part .. ' ', 1, true) ~= nil end

-- The first n events of the one seeded stream, made if it is not there. It lies in the page cache afterwards.
local function cards(n)
  local path = ('%s/cards-%d.ndjson'):format(bench, n)
  if not lib.exists(path) then
    report.step(('writing %s events to %s'):format(lib.count(n), path))
    local line = ('%s/gen_cards %d > %s.new && mv %s.new %s'):format(bench, n, path, path, path)
    if not lib.output(line) then error('cannot write ' .. path) end
  end
  return path
end

local function task_events(contender) return math.max(1, math.floor(events * contender.share)) end

---@return Cost|nil  nil and a note when the command failed
local function run(contender, task, n, out)
  local command = contender.tasks[task](cards(n), out or '/dev/null')
  command.output = out
  local cost = lib.run(measure, command)
  if cost.code ~= 0 then
    report.note(('%s failed on %s with exit code %d: %s'):format(contender.name, task, cost.code, lib.line(command.words)))
    return nil
  end
  return cost
end

-- The same rows by everyone: keys sorted and numbers written by one program, then compared by digest.
local function check()
  local n, digests = math.min(events, 100000), {}
  report.step(('comparing the rows of t1 over %s events'):format(lib.count(n)))
  for _, contender in ipairs(here_now) do
    if contender.tasks.t1 then
      local out = bench .. '/check.out'
      local digest = run(contender, 't1', n, out) and
        lib.output(('jq -cS . %s | sha256sum'):format(lib.quote(out)))
      digests[#digests + 1] = { name = contender.name, digest = digest and digest:sub(1, 16) or 'none' }
    end
  end
  result.check = digests
  report.check(digests, n)
end

-- costs[task][name] = list of one rate a round
local function rounds_run()
  local costs = { t0 = {}, t1 = {} }
  for _, contender in ipairs(here_now) do cards(task_events(contender)) end
  for round = 1, rounds do
    report.step(('round %d of %d'):format(round, rounds))
    for _, task in ipairs { 't0', 't1' } do
      for _, contender in ipairs(here_now) do
        local n = task_events(contender)
        local cost = contender.tasks[task] and run(contender, task, n)
        if cost then
          cost.rate, cost.wall_rate, cost.round = n / cost.cpu, n / cost.wall, round
          local list = costs[task][contender.name] or {}
          costs[task][contender.name], list[#list + 1] = list, cost
        end
      end
    end
  end
  result.rates = report.rounds(contenders, costs, task_events)
end

-- The cards in another format, written by the program itself.
local function cards_as(format, n)
  local path = ('%s/cards-%d.%s'):format(bench, n, format)
  if not lib.exists(path) then
    report.step(('writing %s events to %s'):format(lib.count(n), path))
    local command = '%s run -e stream --from %s --out-format %s --quiet > %s.new && mv %s.new %s'
    if not lib.output(command:format(lib.quote(tidemill), cards(n), format, path, path, path)) then error('cannot write ' .. path) end
  end
  return path
end

-- T1 from msgpack and CSV beside T1 from lines of JSON; and a web server's log taken apart.
-- Other programs on the same CSV and the same log, a tenth of it; rates are compared. First all give the same rows.
local function format_peers(ways, n)
  local part, by_name = math.max(1, math.floor(n / 10)), {}
  for _, way in ipairs(ways) do by_name[way.name] = way end
  local peers = {
    { name = 'Miller, csv to json', over = 'csv to json', needs = 'mlr',
      words = function(file) return { 'mlr', '--icsv', '--ojsonl', 'filter', '$amount > 100', 'then', 'cut', '-o', '-f',
        'ts,id,card,merchant,amount', file } end },
    { name = 'sqlite3, csv to json', over = 'csv to json', needs = 'sqlite3',
      words = function(file) return { 'sqlite3', ':memory:', '.mode csv', '.import ' .. file .. ' t', '.mode json',
        'select ts, id, card, merchant, amount + 0.0 amount from t where amount + 0.0 > 100' } end },
    { name = 'Miller, access log', over = 'access log to json', needs = 'mlr',
      words = function(file)
        return { 'mlr', '--inidx', '--ifs', 'ascii_soh', '--ojsonl', '--from', file, 'put', '-f', here .. '/access_log.mlr' }
      end },
  }
  for _, peer in ipairs(peers) do
    local over = by_name[peer.over]
    local file = ('%s.%d'):format(over.file, part)
    if not lib.output('command -v ' .. peer.needs) then
      report.note(peer.name .. ': not here')
    else
      local cut = ('head -n %d %s > %s.new && mv %s.new %s'):format(part, over.file, file, file, file)
      if not lib.exists(file) and not lib.output(cut) then error('cannot write ' .. file) end
      local own = {}
      for i, word in ipairs(over.words) do own[i] = word == over.file and file or word end
      -- values as texts: the peers guess which texts are numbers
      local digest = [[ | jq -cS '(if type == "array" then .[] else . end) | ]] ..
        [[map_values(tostring | if test("^-?[0-9.]+$") then tonumber else . end)' | cksum]]
      local want, got = lib.output(lib.line(own) .. digest), lib.output(lib.line(peer.words(file)) .. digest)
      if want == got then
        ways[#ways + 1] = { name = peer.name, over = peer.over, words = peer.words(file), n = part - (over.from == 'csv' and 1 or 0) }
      else
        report.note(peer.name .. ': gives other rows; left out')
      end
    end
  end
end

local function formats()
  local n = math.min(events, 5000000)
  local lines, packed, csv = cards(n), cards_as('msgpack', n), cards_as('csv', n)
  local log = ('%s/access-%d.log'):format(bench, n)
  if not lib.exists(log) then
    local awk = [[awk -v n=%d 'BEGIN { srand(1); for (i = 0; i < n; i++) printf ]] ..
      [["10.%%d.%%d.%%d - - [23/Nov/2026:%%02d:%%02d:%%02d +0000] \"GET /shop/item/%%d?ref=%%d ]] ..
      [[HTTP/1.1\" %%d %%d \"https://example.org/list?page=%%d\" \"Mozilla/5.0 (X11; Linux x86_64) ]] ..
      [[Gecko/20100101 Firefox/%%d.0\"\n", rand() * 256, rand() * 256, rand() * 256, i / 3600 %% 24, i / 60 %% 60, i %% 60, ]] ..
      [[rand() * 1e6, rand() * 100, rand() < 0.95 ? 200 : 404, rand() * 1e5, rand() * 50, 100 + rand() * 40 }' > %s.new && mv %s.new %s]]
    if not lib.output(awk:format(n, log, log, log)) then error('cannot write ' .. log) end
  end
  local ways = {
    { name = 'json to json', file = lines, from = 'json', to = 'json' },
    { name = 'msgpack to json', file = packed, from = 'msgpack', to = 'json' },
    { name = 'msgpack to msgpack', file = packed, from = 'msgpack', to = 'msgpack' },
    { name = 'csv to json', file = csv, from = 'csv', to = 'json', script = 't1_csv.lua' },
    { name = 'csv to csv', file = csv, from = 'csv', to = 'csv', script = 't1_csv.lua' },
    { name = 'access log to json', file = log, from = 'lines', to = 'json', script = 'access_log.lua' },
  }
  for _, way in ipairs(ways) do
    way.words = { tidemill, 'run', here .. '/' .. (way.script or 't1.lua'), '--from', way.file, '--format', way.from,
      '--out-format', way.to, '--quiet' }
  end
  format_peers(ways, n)
  for round = 1, rounds do
    report.step(('t1 from all formats, round %d of %d'):format(round, rounds))
    for _, way in ipairs(ways) do
      local cost = lib.run(measure, { words = way.words, output = '/dev/null' })
      if cost.code ~= 0 then
        report.note('formats: failed: ' .. lib.line(way.words))
        return
      end
      way[round] = (way.n or n) / cost.cpu
    end
  end
  result.formats = report.formats(ways, n)
end

-- A file that gen_keys writes; from: the event it begins with.
local function keys_file(size, n, count, from)
  local path = ('%s/keys-%s-%d-of-%d-from-%d.ndjson'):format(bench, size, n, count, from)
  if not lib.exists(path) and not lib.output(('%s/gen_keys %s %d %d %d > %s.new && mv %s.new %s'):format(
    bench, size, n, count, from, path, path, path)) then
    error('cannot write ' .. path)
  end
  return path
end

-- Keyed state: T2 beside LuaJIT + lua-cjson in the same rounds, a process with four fields, a stream that always fails.
local function keyed()
  local n = math.min(events, 5000000)
  local few = math.min(n, 1000000)
  local many = keys_file('small', n, 1000000, 0)
  local function dedup(path, on)
    return { tidemill, 'run', here .. '/dedup.lua', '--set', 'on=' .. on, '--from', path, '--quiet' }
  end
  local ways = {
    { name = 't2: tidemill', n = n, words = { tidemill, 'run', here .. '/t2.lua', '--from', cards(n), '--quiet' } },
    { name = 't2: LuaJIT + lua-cjson', n = few, words = { 'luajit', here .. '/cjson.lua', 't2' }, input = cards(few) },
    { name = 't3: tidemill', n = n, words = { tidemill, 'run', here .. '/t3.lua', '--from', cards(n), '--quiet' } },
    { name = 't3: LuaJIT + lua-cjson', n = few, words = { 'luajit', here .. '/cjson.lua', 't3' }, input = cards(few) },
    { name = 'over: tidemill', n = n, words = { tidemill, 'run', here .. '/over.lua', '--from', cards(n), '--quiet' } },
    { name = 'over: LuaJIT + lua-cjson', n = few, words = { 'luajit', here .. '/cjson.lua', 'over' }, input = cards(few) },
    { name = 'totals per card', n = n, words = { tidemill, 'run', here .. '/totals.lua', '--from', cards(n), '--quiet' } },
    { name = 'process, four fields', n = n, words = { tidemill, 'run', here .. '/process.lua', '--from', cards(n), '--quiet' } },
    { name = 'dedup, 1 M keys', n = n, words = dedup(many, 'k') },
    { name = 'dedup by card', n = n, words = dedup(cards(n), 'card') },
    { name = 'pattern: card testing', n = n, words = { tidemill, 'run', here .. '/patterns.lua', '--from', cards(n), '--quiet' } },
    { name = 'every event fails', n = few, words = { tidemill, 'run', here .. '/failing.lua', '--from', cards(few), '--quiet' } },
  }
  for round = 1, rounds do
    report.step(('keyed state, round %d of %d'):format(round, rounds))
    for _, way in ipairs(ways) do
      local cost = lib.run(measure, { words = way.words, input = way.input, output = '/dev/null' })
      if cost.code ~= 0 then
        report.note('keyed state: failed: ' .. lib.line(way.words))
        return
      end
      way[round] = way.n / cost.cpu
    end
  end
  result.keyed = report.keyed(ways)
end

-- NEXMark: each query there is, beside what Flink reached on other machines (figures, no peer that runs here).
local function nexmark()
  local n, ways = math.min(events, 2000000), {}
  local scripts, dir = here .. '/../../scripts/nexmark', bench .. '/nexmark-files'
  local path = ('%s/nexmark-%d.ndjson'):format(bench, n)
  if not lib.exists(path) then
    report.step(('writing %s events to %s'):format(lib.count(n), path))
    local line = '%s run --quiet %s/generate.lua --set events=%d > %s.new && mv %s.new %s'
    if not lib.output(line:format(lib.quote(tidemill), scripts, n, path, path, path)) then error('cannot write ' .. path) end
  end
  local side = bench .. '/side_input.csv'
  local made = lib.output(('%s run --quiet %s/side_input.lua --out-format csv > %s'):format(lib.quote(tidemill), scripts, lib.quote(side)))
  if not made then error('cannot write ' .. side) end
  local settings = { q10 = 'dir=' .. dir, q13 = 'side=' .. side }
  for i = 0, 22 do
    local query, script = 'q' .. i, ('%s/q%d.lua'):format(scripts, i)
    if lib.exists(script) then
      local words = { tidemill, 'run', script, '--from', path, '--quiet' }
      if settings[query] then words[#words + 1], words[#words + 2] = '--set', settings[query] end
      ways[#ways + 1] = { query = query, words = words, peak_mb = 0 }
    end
  end
  for round = 1, rounds do
    for _, way in ipairs(ways) do
      report.step(('NEXMark %s, round %d of %d'):format(way.query, round, rounds))
      lib.output('rm -rf ' .. lib.quote(dir))   -- q10 appends to its files
      local cost = lib.run(measure, { words = way.words, output = '/dev/null' })
      if cost.code ~= 0 then
        report.note('NEXMark: failed: ' .. lib.line(way.words))
        return
      end
      way[round], way.peak_mb = n / cost.cpu, math.max(way.peak_mb, cost.peak_mb)
    end
  end
  lib.output('rm -rf ' .. lib.quote(dir))
  result.nexmark = report.nexmark(ways, n)
end

-- Cost of an event that brings a key and of one that updates it, by size of events and by how many keys there are: a file that has
-- each key once, then one of updates read twice, in one run whose worker is looked at on its way (phases.c). The first twentieth of the
-- updates is in neither.
local function keys()
  local n, list = events, {}
  for _, size in ipairs { 'small', 'large' } do
    for _, count in ipairs { 10000, 100000, 1000000, 10000000 } do
      if count <= 2 * n then
        local updates = keys_file(size, n, count, count)
        local again = updates .. '.again'
        if not lib.output(('ln -sf %s %s'):format(updates:match '[^/]*$', again)) then error('cannot link ' .. again) end
        local new = keys_file(size, count, count, 0)
        local first, bytes = lib.size(new), lib.size(updates)
        list[#list + 1] = { size = size, keys = count, new = {}, event = bytes / n, first = first + bytes / 20,
          words = { bench .. '/phases', ('%.0f'):format(first + bytes / 20), ('%.0f'):format(first + bytes * 1.95), tidemill, 'run',
            here .. '/keys.lua', '--quiet', '--from', new, '--from', updates, '--from', again } }
      end
    end
  end
  for round = 1, rounds do
    report.step(('%s updates by size and number of keys, round %d of %d'):format(lib.count(2 * n), round, rounds))
    for _, item in ipairs(list) do
      local cpu1, bytes1, cpu2, bytes2, code = (lib.output(lib.line(item.words)) or ''):match '^(%S+) (%d+) (%S+) (%d+) (%d+)'
      if code ~= '0' or tonumber(bytes2) == 0 then
        report.note('updates by number of keys: failed: ' .. lib.line(item.words))
        return
      end
      item[round] = (cpu2 - cpu1) / (bytes2 - bytes1) * item.event * 1e9
      item.new[round] = cpu1 / (item.keys + (bytes1 - item.first) / item.event + n / 20) * 1e9
    end
  end
  result.keys = report.keys(list)
end

-- Trace selection must be robust: the worst of many runs against the median.
local function robust(contender)
  local n, rates = math.min(events, 1000000), {}
  report.step(('t1 %d times over %s events'):format(runs, lib.count(n)))
  for i = 1, runs do
    local cost = run(contender, 't1', n)
    if not cost then return end
    rates[i] = n / cost.cpu
  end
  result.robust = report.robust(rates)
end

-- 64 different pipelines, net of what reading and decoding cost (t0 in the same round).
local function pipelines(contender)
  local n, list, path = math.min(events, 1000000), {}, bench .. '/p64.lua'
  report.step(('64 different pipelines %d times over %s events'):format(runs, lib.count(n)))
  if not lib.output(('luajit %s/gen_p64.lua > %s'):format(here, path)) then error('cannot write ' .. path) end
  local words = { tidemill, 'run', path, '--from', cards(n), '--quiet' }
  for i = 1, runs do
    local base, cost = run(contender, 't0', n), lib.run(measure, { words = words })
    if not base or cost.code ~= 0 then
      report.note('64 pipelines: failed: ' .. lib.line(words))
      return
    end
    list[i] = (cost.cpu - base.cpu) / n / 64 * 1e9
  end
  result.pipelines = report.pipelines(list, words)
end

-- What the deadline costs: the same runs without it, in pairs.
local function guards()
  local n, ways = math.min(events, 5000000), {}
  for i, task in ipairs { 't1', 't2' } do
    ways[i] = { task = task, words = { tidemill, 'run', ('%s/%s.lua'):format(here, task), '--from', cards(n), '--quiet' } }
  end
  for round = 1, rounds do
    report.step(('with and without the guards, round %d of %d'):format(round, rounds))
    for _, way in ipairs(ways) do
      local with = lib.run(measure, { words = way.words, output = '/dev/null' })
      local bare = { 'env', 'TIDEMILL_UNGUARDED=1' }
      for _, word in ipairs(way.words) do bare[#bare + 1] = word end
      local without = lib.run(measure, { words = bare, output = '/dev/null' })
      if with.code ~= 0 or without.code ~= 0 then
        report.note('guards: failed: ' .. lib.line(way.words))
        return
      end
      way[round] = with.cpu / without.cpu
    end
  end
  result.guards = report.guards(ways, n)
end

-- One line in: when is it out? And what does the whole file need in memory?
local function start(contender)
  local first, peak = {}, {}
  report.step(('start to first output %d times; peak memory over %s events'):format(runs, lib.count(events)))
  for i = 1, runs do
    local command = contender.tasks.t1(cards(1), '/dev/null')
    command.first = true
    first[i] = lib.run(measure, command).first_ms
  end
  for _, task in ipairs { 't0', 't1' } do
    local command = contender.tasks[task](cards(events), '/dev/null')
    command.tree = true
    peak[task] = lib.run(measure, command)
  end
  result.start = report.start(first, peak)
end

-- Through pipes at 10,000 events a second, in turn, so that a noisy minute hits all.
local function latency()
  local list = {
    { name = 'cat', words = { 'cat' } },
    { name = 'LuaJIT line pipe', words = { 'luajit', here .. '/line_pipe.lua' } },
  }
  if lib.exists(tidemill) then
    table.insert(list, 1, { name = 'tidemill', words = { tidemill, 'run', here .. '/t1.lua', '--quiet' } })
  end
  report.step(('latency at 10,000 events/s, %d rounds of 10 s each'):format(math.min(rounds, 3)))
  for _ = 1, math.min(rounds, 3) do
    for _, item in ipairs(list) do
      local text = lib.output(bench .. '/latency -r 10000 -s 10 ' .. lib.line(item.words)) or ''
      local back, p50, p99, p999, max, lost = text:match '(%d+) (%S+) (%S+) (%S+) (%S+) (%d+)$'
      item[#item + 1] = back and { events = tonumber(back), p50 = tonumber(p50), p99 = tonumber(p99),
        p999 = tonumber(p999), max = tonumber(max), lost = tonumber(lost) } or nil
    end
  end
  result.latency = report.latency(list)
end

local function main()
  result.machine = report.machine()
  result.versions = {}
  for _, contender in ipairs(contenders) do
    local is_here = contender.needs()
    if is_here then here_now[#here_now + 1] = contender end
    local command = is_here and contender.tasks.t0('FILE', 'OUT')
    local version = is_here and contender.version() or 'not here'
    result.versions[contender.name] = version
    report.contender(contender, version, command)
  end
  if wanted 'check' then check() end
  if wanted 'rounds' then rounds_run() end
  if here_now[1] and here_now[1].name == 'tidemill' then
    if wanted 'formats' then formats() end
    if wanted 'keyed' then keyed() end
    if wanted 'nexmark' then nexmark() end
    if wanted 'keys' then keys() end
    if wanted 'guards' then guards() end
    if wanted 'robust' then robust(here_now[1]) end
    if wanted 'pipelines' then pipelines(here_now[1]) end
    if wanted 'start' then start(here_now[1]) end
  end
  if wanted 'latency' then latency() end
  if wanted 'durable' and lib.exists(tidemill) then
    local n = math.min(events, 5000000)
    result.durable = report.durable(require 'durable'.run(place, report, math.min(rounds, 5), cards(n), n,
      os.getenv 'BENCH_DURABLE' or 'speed log touched sizes'))
  end
  if lib.exists(tidemill) then
    local packs, few = require 'packs', math.min(rounds, 3)
    if wanted 'rules' then result.rules = report.rules(packs.rules(place, report, rounds, events)) end
    if wanted 'patterns' then
      local n = math.min(events, 5000000)
      result.patterns = report.patterns(packs.patterns(place, report, rounds, cards(n), n))
    end
    if wanted 'features' then
      result.features = report.features(packs.features(place, report, few, tonumber(os.getenv 'BENCH_CARDS' or 1e6)))
    end
    if wanted 'decisions' then result.decisions = report.decisions(packs.decisions(place, report, few)) end
  end
  local file = assert(io.open(bench .. '/result.json', 'w'))
  file:write(lib.json(result), '\n')
  file:close()
  report.finish(bench .. '/result.json')
end

main()
