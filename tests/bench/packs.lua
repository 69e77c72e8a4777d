--[[ packs.lua - the parts of the benchmark about rule packs, patterns and features.

  rules      task R: many synthetic rules over events of 20 numbers (gen_rules.lua says what a rule is), JSON in and JSON out. Events a
             second of processor time without the start: a run over one event is taken off each round
  patterns   card testing over the cards
  features   21 features of three keys, and the card-fraud pack, over CARDS cards with a day of history each: from when each card has about
             20 events on (phases.c); memory of the whole run
  decisions  how long a decision takes, open loop at half of the rate that the pack reached with one run of the same events (latency.c),
             without --data and with it ]]

local lib = require 'lib'

local M = {}

local function failed(report, part, words)
  report.note(part .. ': failed: ' .. lib.line(words))
end

-- gives a file that a command writes, made if it is not there
local function file_of(path, line)
  if not lib.exists(path) and not lib.output(('%s > %s.new && mv %s.new %s'):format(line, path, path, path)) then
    error('cannot write ' .. path)
  end
  return path
end

local KINDS = {
  { 'comparisons', 1000, 'compare', 1, 300000 }, { 'arithmetic', 1000, 'arithmetic', 1, 300000 },
  { 'functions that only Lua can call', 1000, 'function', 0.6, 150000 }, { 'each with an `only`', 1000, 'only', 1, 500000 },
  { 'each with an `only`', 10000, 'only', 1, 200000 },
}

--- Task R. place: see run.lua. Returns a list of { name, rules, bar, rates, starts }.
function M.rules(place, report, rounds, events)
  local measure, tidemill, list = place.bench .. '/measure', place.build .. '/tidemill', {}
  for _, kind in ipairs(KINDS) do
    local dir, n = ('%s/rules-%s-%d'):format(place.bench, kind[3], kind[2]), math.floor(math.min(events, 1e6) * kind[4])
    local input, one = dir .. '/events.ndjson', dir .. '/one.ndjson'
    if not lib.exists(('%s/done-%d'):format(dir, n)) then
      local line = 'luajit %s/gen_rules.lua %s %d %s %d && head -n 1 %s > %s && rm -f %s/done-* && touch %s/done-%d'
      line = line:format(place.here, dir, kind[2], kind[3], n, input, one, dir, dir, n)
      if not lib.output(line) then error('cannot write ' .. dir) end
    end
    local item = { name = kind[1], rules = kind[2], bar = kind[5], rates = {}, starts = {} }
    local function cost_of(path)
      local code = ("stream:pack('%s/pack', { fields = { 'decision', 'score' } })"):format(dir)
      local words = { tidemill, 'run', '--quiet', '-e', code, '--from', path }
      local cost = lib.run(measure, { words = words, output = '/dev/null' })
      if cost.code ~= 0 then failed(report, 'rules', words) end
      return cost.code == 0 and cost.cpu
    end
    for i = 1, rounds do
      report.step(('%s rules, %s, round %d of %d'):format(lib.count(item.rules), item.name, i, rounds))
      local start, whole = cost_of(one), cost_of(input)
      if not start or not whole then return list end
      item.rates[i], item.starts[i] = n / (whole - start), start
    end
    list[#list + 1] = item
  end
  return list
end

--- Card testing over the cards: a list of rates.
function M.patterns(place, report, rounds, input, n)
  local rates = {}
  local words = { place.build .. '/tidemill', 'run', place.here .. '/patterns.lua', '--from', input, '--quiet' }
  for i = 1, rounds do
    report.step(('card testing, round %d of %d'):format(i, rounds))
    local cost = lib.run(place.bench .. '/measure', { words = words, output = '/dev/null' })
    if cost.code ~= 0 then return failed(report, 'patterns', words) end
    rates[i] = n / cost.cpu
  end
  return rates
end

local PER_DAY, HISTORY, MORE = 24, 20, 0.25

--- Features over cards with a day of history: list of { name, cards, rates, peak_mb }.
function M.features(place, report, rounds, cards)
  local tidemill, list = place.build .. '/tidemill', {}
  local ways = {
    { name = '21 features of three keys', generator = 'gen_history', script = place.here .. '/features.lua' },
    { name = 'the card-fraud pack', generator = 'gen_activity', script = place.here .. '/../../scripts/packs/card_fraud', bar = 250000 },
  }
  local history, all = cards * HISTORY, math.floor(cards * HISTORY * (1 + MORE))
  for _, way in ipairs(ways) do
    local generate = ('%s/%s %d %d %d'):format(place.bench, way.generator, all, cards, PER_DAY)
    -- bytes of an event, of the first events
    local bytes = tonumber(lib.output(('%s/%s 10000 %d %d | wc -c'):format(place.bench, way.generator, cards, PER_DAY))) / 10000
    local run = { tidemill, 'run', way.script, '--quiet', '--memory', '24G' }
    local words = { place.bench .. '/phases', ('%.0f'):format(history * bytes), ('%.0f'):format((all - history * MORE * 0.1) * bytes) }
    for _, word in ipairs(run) do words[#words + 1] = word end
    way.cards, way.rates, way.words = cards, {}, run
    for i = 1, rounds do
      report.step(('%s, %s cards, round %d of %d'):format(way.name, lib.count(cards), i, rounds))
      local said = lib.output(('%s | %s 2>/dev/null | tail -n 1'):format(generate, lib.line(words))) or ''
      local cpu1, bytes1, cpu2, bytes2, code = said:match '(%S+) (%d+) (%S+) (%d+) (%d+)$'
      if code ~= '0' or bytes2 == bytes1 then
        failed(report, 'features', words)
        return list
      end
      way.rates[i] = (bytes2 - bytes1) / bytes / (cpu2 - cpu1)
    end
    local cost = lib.output(('%s | %s -t -i /dev/stdin -o /dev/null %s'):format(generate, place.bench .. '/measure', lib.line(run))) or ''
    way.peak_mb = (tonumber(cost:match '^%S+ %S+ %S+ %d+ (%d+) ') or 0) / 1024
    list[#list + 1] = way
  end
  return list
end

local LATENCY_CARDS, LATENCY_EVENTS, SECONDS = 50000, 2000000, 10

--- Latency of decisions: { rate, without = list, with = list of { events, p50, p99, p999, max, lost } }.
function M.decisions(place, report, rounds)
  local tidemill, pack = place.build .. '/tidemill', place.here .. '/../../scripts/packs/card_fraud'
  local input = file_of(('%s/activity-%d.ndjson'):format(place.bench, LATENCY_EVENTS), ('%s/gen_activity %d %d %d'):format(place.bench,
    LATENCY_EVENTS, LATENCY_CARDS, PER_DAY))
  local out = { without = {}, with = {} }
  local words = { tidemill, 'run', pack, '--quiet', '--from', input }
  local cost = lib.run(place.bench .. '/measure', { words = words, output = '/dev/null' })
  if cost.code ~= 0 then return failed(report, 'decisions', words) end
  -- by wall time: an open loop asks for that
  out.rate = math.floor(math.min(LATENCY_EVENTS / cost.wall / 2, LATENCY_EVENTS / (SECONDS + 1)))
  for i = 1, rounds do
    report.step(('decisions at %s events/s, round %d of %d'):format(lib.count(out.rate), i, rounds))
    for _, way in ipairs { 'without', 'with' } do
      local data = place.bench .. '/decisions.data'
      lib.output('rm -rf ' .. lib.quote(data))
      local run = { tidemill, 'run', pack, '--quiet' }
      if way == 'with' then run[#run + 1], run[#run + 2] = '--data', data end
      local text = lib.output(('%s/latency -w 1 -i %s -r %d -s %d %s'):format(place.bench, input, out.rate, SECONDS, lib.line(run))) or ''
      local back, p50, p99, p999, max, lost = text:match '(%d+) (%S+) (%S+) (%S+) (%S+) (%d+)$'
      if not back then return failed(report, 'decisions', run) end
      out[way][i] = { events = tonumber(back), p50 = tonumber(p50), p99 = tonumber(p99), p999 = tonumber(p999), max = tonumber(max),
        lost = tonumber(lost) }
      lib.output('rm -rf ' .. lib.quote(data))
    end
  end
  return out
end

return M
