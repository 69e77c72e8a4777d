-- report.lua - the benchmark's text: one part a function, each with its bars beside the figures.
-- Each function also returns the figures it printed, for result.json. Progress goes to stderr, the table to stdout.
local lib = require 'lib'
local M = { bars = {} }
io.stdout:setvbuf 'line'

local function say(...) io.stdout:write(string.format(...), '\n') end

-- A bar: told beside its figure and once more at the end.
local function bar(name, value, holds, text)
  M.bars[#M.bars + 1] = { name = name, value = value, holds = holds, text = text }
end

function M.step(text) io.stderr:write('bench: ', text, '\n') end
function M.note(text) say('note: %s', text) end

function M.machine()
  local cpu = lib.output "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1" or ''
  local text = ('%s, %s cores, Linux %s'):format(cpu, lib.output 'nproc', lib.output 'uname -r')
  say('tidemill benchmark: %s\n', text)
  return text
end

function M.contender(contender, version, command)
  say('%-20s %s%s', contender.name, version, contender.note and ' (' .. contender.note .. ')' or '')
  if command then say('%20s $ %s%s', '', lib.line(command.words), command.input and ' < ' .. command.input or '') end
end

function M.check(digests, n)
  local same = true
  for _, item in ipairs(digests) do same = same and item.digest == digests[1].digest end
  say('\nRows of t1 over %s events, normalised (jq -cS), sha256: %s', lib.count(n), same and 'all the same' or 'THEY DIFFER')
  if not same then
    for _, item in ipairs(digests) do say('  %-20s %s', item.name, item.digest) end
  end
  bar('t1: the same rows by everyone', same and 'yes' or 'no', same, 'yes')
end

-- tidemill's rate over the peer's in the same round
local function ratios(costs, name)
  local mine, other, list = costs.tidemill or {}, {}, {}
  for _, cost in ipairs(costs[name]) do other[cost.round] = cost end
  for _, cost in ipairs(mine) do
    if other[cost.round] then list[#list + 1] = cost.rate / other[cost.round].rate end
  end
  return list
end

local peer_bars = {
  t0 = { ['simdjson on-demand'] = { 0.45, 0.6 } },
  t1 = { ['LuaJIT + lua-cjson'] = { 8, 12 }, DuckDB = { 2 } },
}

local function rounds_line(task, contender, costs, n)
  local list = costs[contender.name]
  local rates, walls = lib.pluck(list, 'rate'), lib.pluck(list, 'wall_rate')
  local figures = { median = lib.median(rates), worst = lib.min(rates), wall_median = lib.median(walls), events = n,
    peak_mb = lib.max(lib.pluck(list, 'peak_mb')) }
  local ratio, told = contender.name ~= 'tidemill' and ratios(costs, contender.name) or {}, ''
  if #ratio > 0 then
    figures.ratio_median, figures.ratio_worst = lib.median(ratio), lib.min(ratio)
    told = ('%8.2f x %8.2f x'):format(figures.ratio_median, figures.ratio_worst)
    local want = peer_bars[task][contender.name]
    if want then
      told = told .. ('  bar %gx'):format(want[1]) .. (want[2] and (' (aim %gx)'):format(want[2]) or '')
      bar(('%s: tidemill over %s'):format(task, contender.name), ('%.2fx, worst %.2fx'):format(figures.ratio_median, figures.ratio_worst),
        figures.ratio_median >= want[1], ('%gx'):format(want[1]))
    end
  end
  say('%-20s %10s %9.3f %9.3f %9.3f %8.1f %s', contender.name, lib.count(n), figures.median / 1e6, figures.worst / 1e6,
    figures.wall_median / 1e6, figures.peak_mb, told)
  return figures
end

function M.rounds(contenders, costs, task_events)
  local out = {}
  for _, task in ipairs { 't0', 't1' } do
    say('\n%s, M events per cpu-second', task == 't0' and 'T0: decode, test one number, count' or
      'T1: amount > 100 (18 % pass), five fields written as JSON')
    say('%-20s %10s %9s %9s %9s %8s %10s %10s', '', 'events', 'median', 'worst', 'by wall', 'peak MB', 'tidemill is', 'worst')
    out[task] = {}
    for _, contender in ipairs(contenders) do
      if costs[task][contender.name] then
        out[task][contender.name] = rounds_line(task, contender, costs[task], task_events(contender))
      elseif contender.tasks[task] then
        say('%-20s %10s', contender.name, 'not here')
      end
    end
  end
  return out
end

function M.keyed(ways)
  say('\nKeyed state, M events per cpu-second')
  say('%-26s %9s %9s', '', 'median', 'worst')
  local out = {}
  for _, way in ipairs(ways) do
    local figures = { median = lib.median(way), worst = lib.min(way) }
    say('%-26s %9.3f %9.3f   $ %s', way.name, figures.median / 1e6, figures.worst / 1e6, lib.line(way.words))
    out[way.name] = figures
  end
  local ratio = {}
  for i = 1, #ways[1] do ratio[i] = ways[1][i] / ways[2][i] end
  local median = lib.median(ratio)
  bar('t2: tidemill over LuaJIT + lua-cjson', ('%.2fx, worst %.2fx'):format(median, lib.min(ratio)), median >= 6, '6x')
  bar('t2, M events per cpu-second', ('%.2f'):format(out['t2: tidemill'].median / 1e6), out['t2: tidemill'].median >= 2e6, 'at least 2')
  for _, name in ipairs { 't3', 'over' } do
    local rate = out[name .. ': tidemill'].median
    bar(name .. ', M events per cpu-second', ('%.2f'):format(rate / 1e6), rate >= 1.5e6, 'at least 1.5')
  end
  local process, failing = out['process, four fields'].median, out['every event fails'].median
  bar('process with four fields, M events per cpu-second', ('%.2f'):format(process / 1e6), process >= 1.5e6, 'at least 1.5')
  for _, name in ipairs { 'dedup, 1 M keys', 'dedup by card' } do
    local rate = out[name].median
    bar(name .. ', M events per cpu-second', ('%.2f'):format(rate / 1e6), rate >= 2e6, 'at least 2')
  end
  local card_testing = out['pattern: card testing'].median
  bar('pattern of card testing, M events per cpu-second', ('%.2f'):format(card_testing / 1e6), card_testing >= 1e6, 'at least 1')
  bar('every event fails, events per cpu-second', ('%.0f'):format(failing), failing >= 200000, 'at least 200,000')
  return out
end

-- Flink SQL 2.2, warm, 1 M events of NDJSON: K events per cpu-second. Others of the table were not measured.
local flink = { q0 = 233, q1 = 225, q2 = 246, q3 = 188, q4 = 111, q5 = 161, q7 = 74, q8 = 186, q9 = 82, q11 = 150, q12 = 215, q14 = 213,
  q15 = 124, q16 = 30, q17 = 173, q18 = 122, q19 = 106, q20 = 98, q21 = 186, q22 = 236 }
-- M events per cpu-second; 0.7 for those that are not named
local nexmark_bars = { q0 = 2, q1 = 2, q2 = 2, q14 = 2, q22 = 2, q5 = 1.2, q7 = 1.2, q8 = 1.2, q11 = 1.2, q12 = 1.2, q21 = 1.2 }

function M.nexmark(ways, n)
  local out = {}
  say('\nNEXMark over %s events, M events per cpu-second; times what Flink reaches; MiB resident at most', lib.count(n))
  say('%-8s %9s %9s %9s %9s %9s', '', 'median', 'worst', 'Flink', 'times', 'MiB')
  for _, way in ipairs(ways) do
    local figures, of_flink = { median = lib.median(way), worst = lib.min(way), peak_mb = way.peak_mb }, flink[way.query]
    local ratio = of_flink and figures.median / (of_flink * 1000)
    say('%-8s %9.2f %9.2f %9s %9s %9.0f   $ %s', way.query, figures.median / 1e6, figures.worst / 1e6,
      of_flink and ('%.3f'):format(of_flink / 1000) or '-', ratio and ('%.1fx'):format(ratio) or '-', way.peak_mb, lib.line(way.words))
    local want = nexmark_bars[way.query] or 0.7
    bar(('NEXMark %s, M events per cpu-second'):format(way.query), ('%.2f, worst %.2f'):format(figures.median / 1e6, figures.worst / 1e6),
      figures.median >= want * 1e6, ('at least %g'):format(want))
    if ratio then bar(('NEXMark %s over Flink'):format(way.query), ('%.1fx'):format(ratio), ratio >= 5, 'at least 5x') end
    figures.flink_ratio = ratio
    out[way.query] = figures
  end
  return out
end

--- Of each size of events the ratio of the most keys to the fewest, round by round.
function M.keys(list)
  local out, few = {}, {}
  say('\nAn event that updates a key, ns of cpu, by its size and the number of keys; new: one that brings a key, with the start of the run')
  say('%-6s %12s %8s %8s %8s %8s', '', 'keys', 'median', 'worst', 'ratio', 'new')
  for i, item in ipairs(list) do
    few[item.size] = few[item.size] or item
    local ratio = {}
    for round = 1, #item do ratio[round] = item[round] / few[item.size][round] end
    local figures = { size = item.size, keys = item.keys, median = lib.median(item), worst = lib.max(item),
      ratio_median = lib.median(ratio), ratio_worst = lib.max(ratio), new_median = lib.median(item.new) }
    out[i] = figures
    say('%-6s %12s %8.0f %8.0f %7.2fx %8.0f   $ %s', item.size, lib.count(item.keys), figures.median, figures.worst,
      figures.ratio_median, figures.new_median, lib.line(item.words))
    local last = list[i + 1] == nil or list[i + 1].size ~= item.size
    if last and few[item.size] ~= item then
      bar(('a %s event with %s keys over one with %s'):format(item.size, lib.count(item.keys), lib.count(few[item.size].keys)),
        ('%.2fx, worst %.2fx'):format(figures.ratio_median, figures.ratio_worst), figures.ratio_median <= 2, 'at most 2x')
    end
  end
  return out
end

--- ways: for each task the ratio of cpu-seconds with the guards to those without, a round.
function M.guards(ways, n)
  local out = {}
  say('\nThe deadline on scripts: cpu-seconds with it over those without in the same round, %s events', lib.count(n))
  for _, way in ipairs(ways) do
    local median, worst = lib.median(way), lib.max(way)
    bar(way.task .. ': what the deadline costs', ('%+.1f %%, worst %+.1f %%'):format((median - 1) * 100, (worst - 1) * 100),
      median <= 1.05, 'at most 5 %')
    out[way.task] = { median = median, worst = worst }
  end
  return out
end

function M.formats(ways, n)
  local out = {}
  say('\nT1 from all formats over %s events, M events per cpu-second; over json to json in the same round', lib.count(n))
  say('(of other programs: how much faster tidemill does the same task in that round)')
  say('%-20s %9s %9s %9s %9s', '', 'median', 'worst', 'ratio', 'worst')
  local by_name = {}
  for _, way in ipairs(ways) do by_name[way.name] = way end
  for _, way in ipairs(ways) do
    local ratio = {}
    for i = 1, #way do ratio[i] = way.over and by_name[way.over][i] / way[i] or way[i] / ways[1][i] end
    local figures = { median = lib.median(way), worst = lib.min(way), ratio_median = lib.median(ratio), ratio_worst = lib.min(ratio) }
    say('%-20s %9.3f %9.3f %8.2fx %8.2fx   $ %s', way.name, figures.median / 1e6, figures.worst / 1e6, figures.ratio_median,
      figures.ratio_worst, lib.line(way.words))
    out[way.name] = figures
  end
  local figures = out['msgpack to json']
  bar('t1: from msgpack over from json', ('%.2fx, worst %.2fx'):format(figures.ratio_median, figures.ratio_worst),
    figures.ratio_median >= 1.3, '1.3x')
  figures = out['csv to json']
  bar('t1: from CSV over from json', ('%.2fx, worst %.2fx'):format(figures.ratio_median, figures.ratio_worst),
    figures.ratio_median >= 1, '1x')
  figures = out['access log to json']
  bar('access log, nine captures, M lines per cpu-second', ('%.2f'):format(figures.median / 1e6), figures.median >= 1e6,
    'at least 1')
  figures = out['Miller, access log']
  if figures then
    bar('access log: over Miller', ('%.1fx, worst %.1fx'):format(figures.ratio_median, figures.ratio_worst),
      figures.ratio_median >= 5, '5x')
  end
  return out
end

function M.robust(rates)
  local median, worst = lib.median(rates), lib.min(rates)
  say('\nT1, %d runs: median %.3f, worst %.3f M events per cpu-second: worst is %.2f of the median (bar 0.6)', #rates, median / 1e6,
    worst / 1e6, worst / median)
  bar(('t1: worst of %d runs over the median'):format(#rates), ('%.2f'):format(worst / median), worst / median >= 0.6, '0.6')
  return { median = median, worst = worst }
end

function M.pipelines(list, words)
  local median, worst = lib.median(list), lib.max(list)
  say('\n64 different pipelines, %d runs, net of t0: median %.1f, worst %.1f ns a pipeline and event (bar 15)', #list, median, worst)
  say('  $ %s', lib.line(words))
  bar('64 different pipelines, ns a pipeline and event', ('%.1f, worst %.1f'):format(median, worst), median <= 15, 'at most 15')
  return { median_ns = median, worst_ns = worst }
end

function M.start(first, peak)
  local median, worst = lib.median(first), lib.max(first)
  say('\nStart to first output, %d runs: median %.1f, worst %.1f ms (bar 60)', #first, median, worst)
  bar('start to first output, ms', ('%.1f, worst %.1f'):format(median, worst), median < 60, 'under 60')
  local out = { first_ms_median = median, first_ms_worst = worst }
  for _, task in ipairs { 't0', 't1' } do
    local cost = peak[task]
    say('Peak memory, %s: largest process %.1f MB, all processes together %.1f MB (bar 64)', task, cost.peak_mb, cost.tree_mb)
    bar(task .. ': peak memory of all processes, MB', ('%.1f'):format(cost.tree_mb), cost.tree_mb > 0 and cost.tree_mb < 64, 'under 64')
    out[task] = { peak_mb = cost.peak_mb, tree_mb = cost.tree_mb }
  end
  return out
end

function M.latency(list)
  local out = {}
  say('\nLatency stdin to stdout at 10,000 events/s, ms from when each event was due; median of the rounds (worst)')
  say('%-20s %18s %18s %18s', '', 'p50', 'p99', 'p99.9')
  for _, item in ipairs(list) do
    local cells, figures = {}, {}
    for i, key in ipairs { 'p50', 'p99', 'p999' } do
      local values = lib.pluck(item, key)
      if #values > 0 then
        figures[key], figures[key .. '_worst'] = lib.median(values), lib.max(values)
        cells[i] = ('%.3f (%.3f)'):format(figures[key], figures[key .. '_worst'])
      end
    end
    say('%-20s %18s %18s %18s   $ %s', item.name, cells[1] or 'failed', cells[2] or '', cells[3] or '', lib.line(item.words))
    out[item.name] = figures
  end
  for _, pair in ipairs { { 'p50', 0.05 }, { 'p99', 0.5 } } do
    local key, want = unpack(pair)
    local value, floor = out.tidemill and out.tidemill[key], out.cat and out.cat[key]
    -- what cat cannot do on this machine now, nobody can
    local holds = value and (value <= want or (floor and floor > want and 'noise' or false))
    if value then bar(('latency %s, ms'):format(key), ('%.3f, cat %.3f'):format(value, floor or 0), holds, ('at most %g'):format(want)) end
  end
  return out
end

function M.durable(out)
  if out.speed then
    local cpu, wall = out.speed.cpu, out.speed.wall
    local median = lib.median(cpu)
    say('\nT2 with --data, of the rate without: median %.2f by cpu-seconds (worst %.2f), %.2f by wall time (worst %.2f); bar 0.6', median,
      lib.min(cpu), lib.median(wall), lib.min(wall))
    bar('t2 with --data, of the rate without', ('%.2f, by wall time %.2f'):format(median, lib.median(wall)), median >= 0.6, '0.6')
  end
  if out.log and out.log[1] then
    say('\nLatency stdin to durable log to its follower, 10,000 events/s, ms from when each event was due')
    say('%8s %8s %8s %8s   the disk alone: %8s %8s', 'p50', 'p99', 'p99.9', 'max', 'p50', 'p99')
    for _, r in ipairs(out.log) do
      say('%8.3f %8.3f %8.3f %8.3f   %15s %8.3f %8.3f', r.p50, r.p99, r.p999, r.max, '', r.disk_p50, r.disk_p99)
    end
    local p99, disk = lib.median(lib.pluck(out.log, 'p99')), lib.median(lib.pluck(out.log, 'disk_p99'))
    bar('durable latency p99, ms', ('%.2f, the disk %.2f'):format(p99, disk), p99 <= 7 or (disk > 3 and 'noise'), 'at most 7')
  end
  if out.touched then
    say('\nBytes written')
    for _, r in ipairs(out.touched) do
      say('  %-34s %12s bytes in %d epochs, %.0f for each', r.what, lib.count(r.bytes), r.epochs, r.bytes / r.touched)
    end
  end
  if out.sizes then
    say('\n%8s %12s %9s %9s %9s %9s %9s %9s %9s %9s %8s %9s %9s', 'state MB', 'keys', 'work p50', 'p99.9', 'max ms', 'cpu p99.9', 'max ms',
      'through99', 'p99.9 ms', 'MB', 'epochs', 'first ms', 'MB/s')
    for _, r in ipairs(out.sizes) do
      say('%8d %12s %9.3f %9.3f %9.3f %9.3f %9.3f %9s %9s %9.0f %8d %9.0f %9.0f', r.mb, lib.count(r.keys), r.work_p50, r.work_p999,
        r.work_max, r.cpu_p999, r.cpu_max, r.through_p99 or '-', r.through_p999 or '-', r.peak_mb, r.epochs, r.first_ms, r.recovery)
      say('%8s without --data %.0f MB; making a snapshot %.0f MB; snapshot %.1f MB, journal behind it %.1f MB, written in all %.1f MB;', '',
        r.without_mb, r.snapshot_peak_mb, r.snapshot_mb, r.journal_mb, r.epoch_bytes / 1e6)
      say('%8s processor time of the run without --data %.2f of that with it', '', r.cpu_ratio)
    end
    local last = out.sizes[#out.sizes]
    local pause = last.work_p999 <= 5 or (last.cpu_p999 <= 5 and 'noise')
    local figures = ('%.2f, processor time %.2f'):format(last.work_p999, last.cpu_p999)
    bar(('pause of a worker, %d MB, p99.9 ms'):format(last.mb), figures, pause, 'at most 5')
    local memory = (last.peak_mb + last.snapshot_peak_mb) / last.peak_mb
    bar('memory with a snapshot being made, of that without', ('%.2f'):format(memory), memory <= 1.1, '1.1')
    bar('recovery, MB/s', ('%.0f'):format(last.recovery), last.recovery >= 200, 'at least 200')
  end
  return out
end

--- Task R: what others reach is told as it was measured elsewhere, for want of a peer that runs here (Esper 291,000, a plain loop in Java
--- 283,000, Python 91,000, Drools 51,000 to 116,000 events a cpu-second).
function M.rules(list)
  say('\nMany rules over 20 numbers, events per cpu-second without the start (elsewhere: Esper 291,000, a plain loop in Java 283,000)')
  say('%8s %-34s %10s %10s %8s', 'rules', '', 'median', 'worst', 'start s')
  for _, r in ipairs(list) do
    local median, worst = lib.median(r.rates), lib.min(r.rates)
    say('%8s %-34s %10s %10s %8.2f', lib.count(r.rules), r.name, lib.count(math.floor(median)), lib.count(math.floor(worst)),
      lib.median(r.starts))
    bar(('%s rules: %s'):format(lib.count(r.rules), r.name), ('%s, worst %s'):format(lib.count(math.floor(median)),
      lib.count(math.floor(worst))), median >= r.bar, 'at least ' .. lib.count(r.bar))
  end
  return list
end

function M.patterns(rates)
  if not rates then return nil end
  local median, worst = lib.median(rates), lib.min(rates)
  say('\nPattern of card testing: %.3f M events per cpu-second (worst %.3f)', median / 1e6, worst / 1e6)
  bar('card testing, M events per cpu-second', ('%.2f, worst %.2f'):format(median / 1e6, worst / 1e6), median >= 1e6, 'at least 1')
  return { median = median, worst = worst }
end

function M.features(list)
  say('\nFeatures, events per cpu-second of one worker, once each card has 20 events')
  for _, way in ipairs(list) do
    local median, worst = lib.median(way.rates), lib.min(way.rates)
    say('  %-28s %9s cards %10s (worst %s), %.0f MB   $ %s', way.name, lib.count(way.cards), lib.count(math.floor(median)),
      lib.count(math.floor(worst)), way.peak_mb, lib.line(way.words))
    if way.bar then
      bar(('%s, %s cards'):format(way.name, lib.count(way.cards)), ('%s, worst %s'):format(lib.count(math.floor(median)),
        lib.count(math.floor(worst))), median >= way.bar, 'at least ' .. lib.count(way.bar))
    end
  end
  return list
end

function M.decisions(out)
  if not out then return nil end
  say('\nLatency of decisions of the card-fraud pack, open loop at %s events/s (half of its rate), ms from when each event was due',
    lib.count(out.rate))
  say('%-14s %8s %8s %8s %8s %6s', '', 'p50', 'p99', 'p99.9', 'max', 'lost')
  for _, way in ipairs { 'without', 'with' } do
    for _, r in ipairs(out[way]) do
      say('%-14s %8.3f %8.3f %8.3f %8.3f %6d', way .. ' --data', r.p50, r.p99, r.p999, r.max, r.lost)
    end
  end
  local function middle(way, key) return lib.median(lib.pluck(out[way], key)) end
  for _, b in ipairs { { 'without', 'p99', 2 }, { 'without', 'p999', 10 }, { 'with', 'p99', 10 } } do
    local value = middle(b[1], b[2])
    bar(('decisions %s --data, %s, ms'):format(b[1], b[2]), ('%.3f'):format(value), value <= b[3], ('at most %g'):format(b[3]))
  end
  return out
end

function M.finish(path)
  say('\nBars')
  for _, item in ipairs(M.bars) do
    say('  %-5s %-52s %-22s (%s)', item.holds == 'noise' and 'noise' or item.holds and 'holds' or 'MISS', item.name, item.value, item.text)
  end
  say('\nFigures as JSON: %s', path)
end

return M
