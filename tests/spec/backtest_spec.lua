--[[
backtest_spec.lua - `tidemill backtest`: decisions are those of a live run, byte for byte; figures are those that Python counts from the
rows of that run and the labels (backtest_reference.py); what is wrong with labels is told with its line.
]]

local h = require 'spec.helper'
local reference = require 'spec.pack_reference'
local dkjson = require 'dkjson'

local function ok(got)
  assert.equal(0, got.code, got.err)
  return got
end

local function text_of(events)
  local lines = {}
  for i, e in ipairs(events) do
    lines[i] = dkjson.encode(e, { keyorder = { 'id', 'ts', 'card', 'amount', 'country', 'channel', 'note' } })
  end
  return table.concat(lines, '\n') .. '\n'
end

--- A random pack, its events in a file, and the code that runs it.
local function random(seed, n)
  local pack, events = reference.pack(seed, 40), reference.events(seed + 1000, n)
  local files, site = reference.files(pack)
  local dir = h.folder(files)
  if site then h.write(site, dir .. '/../' .. dir:match '[^/]*$' .. '.site.lua') end
  local code = ("stream:pack('%s'%s)"):format(dir, site and (", { site = '%s.site.lua' }"):format(dir) or '')
  return { dir = dir, code = code, events = events, input = h.write(text_of(events), h.path 'in.ndjson') }
end

--- Labels of about every third event, in CSV by id, and in NDJSON by card and time.
local function labels(seed, events)
  local r = reference.generator(seed)
  local rows, ranges = { 'case,id,note,label' }, {}
  for _, e in ipairs(events) do
    if r.chance(0.2) then
      rows[#rows + 1] = ('%s,%d,"a, ""b""",%s'):format(r.chance(0.7) and 'k' .. r.to(30) or '', e.id, r.one { 'fraud', 'legit', '1', 'no' })
    end
    if r.chance(0.02) then
      ranges[#ranges + 1] = ('{"key":"card","value":"%s","from":%d,"to":%d,"label":%s,"case":"r%d"}'):format(e.card, e.ts,
        e.ts + r.to(60000), r.one { 'true', 'false' }, #ranges)
    end
  end
  rows[#rows + 1] = ',999999,,fraud'
  return h.write(table.concat(rows, '\n') .. '\n', h.path 'labels.csv'), h.write(table.concat(ranges, '\n') .. '\n', h.path 'labels.ndjson')
end

describe('a backtest', function()
  for seed = 21, 26 do
    it('decides as the live run, and counts what Python counts, seed ' .. seed, function()
      local x = random(seed, 1500)
      local by_id, by_range = labels(seed, x.events)
      local live = ok(h.run { 'run', '--quiet', '-e', x.code, '--from', x.input }).out
      local rows, report, out = h.write(live), h.path 'report', h.path 'decisions'
      local r = ok(h.run { 'backtest', '-e', x.code, '--from', x.input, '--labels', by_id, '--labels', by_range, '--json',
        '--decisions', out, seed % 2 == 0 and '--no-jit' or '--strict' })
      h.write(r.out, report)
      h.compare(live, h.read(out), 'seed ' .. seed)
      assert.equal('', h.sh('%s tests/spec/backtest_reference.py %s %s %s %s', h.python, rows, report, by_id, by_range))
      -- a run that sends alerts alone decides the same, and so does its backtest
      local alerts = x.code:gsub('%)$', x.code:find 'site' and '' or ", { emit = 'alerts' })"):gsub('{ site', "{ emit = 'alerts', site")
      if x.code:find 'site' then alerts = alerts .. ')' end
      local few = ok(h.run { 'run', '--quiet', '-e', alerts, '--from', x.input }).out
      assert.is_true(#few > 0 and #few <= #live)
      out = h.path 'decisions'
      local again = ok(h.run { 'backtest', '-e', alerts, '--from', x.input, '--labels', by_id, '--labels', by_range, '--json',
        '--decisions', out })
      h.compare(few, h.read(out), 'alerts, seed ' .. seed)
      local a, b = h.decode(r.out), h.decode(again.out)
      a.latency_ns, b.latency_ns = nil, nil
      assert.same(a, b)
    end)
  end

  it('reads an event log as well as a file, with the decisions of a run that reads the log', function()
    local x, dir = random(27, 600), h.path 'data'
    ok(h.run { 'run', '--quiet', '--logs', dir, '--from', x.input, '-e', "stream:to(tm.sink.log 'history')" })
    local function script(source)
      local begin = "local tm = require 'tidemill' return tm.pipeline 's':from(" .. source .. ')'
      return h.write((x.code:gsub('^stream', begin)), h.path 'script.lua')
    end
    local live = ok(h.run { 'run', '--quiet', '--logs', dir, script "tm.source.log { name = 'history', follow = false }" }).out
    local out = h.path 'decisions'
    local r = ok(h.run { 'backtest', '-e', x.code, '--from', 'log:history', '--data', dir, '--decisions', out, '--json' })
    h.compare(live, h.read(out), 'log')
    assert.equal(600, h.decode(r.out).events)
    -- the log takes the place of what a script reads
    out = h.path 'decisions'
    ok(h.run { 'backtest', script "tm.source.file 'nowhere.ndjson'", '--from', 'log:history', '--data', dir, '--decisions', out })
    h.compare(live, h.read(out), 'instead of a file')
  end)

  it('prints a table for people', function()
    local input = 'scripts/packs/limits/sample.ndjson'
    local file = h.write('id,label,case\np-2,fraud,c1\np-8,fraud,c1\np-6,fraud,c2\np-1,fraud,c3\np-99,fraud,c3\n', h.path 'l.csv')
    local r = ok(h.run { 'backtest', 'scripts/packs/limits', '--from', input, '--labels', file })
    -- 2700.00 + 3.25 + 2800.00; the alert about p-7 (620.00) is none; p-1 (10.10) has no alert
    for _, line in ipairs { 'labels     5 fraud, 0 legit; an event without one is legit', '1 match no event, the first at ' .. file .. ':6',
      'alerts     4, 50.00 % of events; 1 suppressed', 'found      3 of 4 events of fraud   precision 0.750   recall 0.750',
      'money      caught 5,503.25   missed 10.10   false 620.00   (amount)', 'cases      2 found of 3 that have events' } do
      assert.truthy(r.out:find(line, 1, true), line .. '\n' .. r.out)
    end
    assert.truthy(r.out:find('large +enforce +2 +2 +0 +1%.000 +0%.500 +5,500%.00 +0%.00 +2 +1\n'), r.out)
    r = ok(h.run({ 'backtest', 'scripts/packs/limits' }, h.read(input)))
    assert.truthy(r.out:find('labels     none given', 1, true), r.out)
    assert.truthy(r.out:find('money      6,123.25 in alerts of 6,241.25', 1, true), r.out)
  end)

  it('leaves what is not labelled out where it is unknown', function()
    local file = h.write('{"id":"p-2","label":"fraud"}\n{"id":"p-7","label":"legit"}\n', h.path 'l.ndjson')
    local function run(...) return h.decode(ok(h.run { 'backtest', 'scripts/packs/limits', '--json', '--from',
      'scripts/packs/limits/sample.ndjson', '--labels', file, ... }).out) end
    local a, b = run(), run('--unlabelled', 'unknown')
    assert.same({ 1, 3, 0, 0.25 }, { a.alerts.fraud, a.alerts.legit, a.alerts.unknown, a.alerts.precision })
    assert.same({ 1, 1, 2, 0.5 }, { b.alerts.fraud, b.alerts.legit, b.alerts.unknown, b.alerts.precision })
    assert.same({ 620, 1 }, { b.alerts['false'], b.alerts.recall })
  end)

  it('adds up money exactly where it is declared decimal', function()
    local lines, want = {}, 0
    for i = 1, 3000 do
      lines[i] = ('{"id":"%d","ts":%d,"card":"c%d","amount":%d.%02d,"country":"DE"}'):format(i, i, i, i % 90, i * 7 % 100)
      want = want + (i % 90) * 100 + i * 7 % 100
    end
    local r = ok(h.run({ 'backtest', 'scripts/packs/limits', '--json' }, table.concat(lines, '\n') .. '\n'))
    assert.equal(want, tonumber(r.out:match '"all":{"amount":([%d.]+)') * 100)
  end)
end)

describe('what is confirmed late', function()
  local PACK = {
    ['pack.lua'] = "return { name = 'late', version = '1.0.0', stream = 's', time = { field = 'ts', unit = 'UNIT' }, " ..
      "decisions = { review = 1 } }",
    ['schema/s.lua'] = "return { id = 'string', ts = 'time_UNIT', terminal = 'string', kind = 'string', amount = 'decimal(2)' }",
    ['features/terminal.lua'] = "return tm.features { key = 'terminal', max_keys = 100, " ..
      "frauds = tm.f.count { over = '28d', where = function(tx) return tx.kind == 'chargeback' end } }",
    ['rules/r.lua'] = "return { id = 'r', score = 1, when = function(tx, f) return f.frauds > 1 and tx.kind ~= 'chargeback' end, " ..
      "reason = '{f.frauds} confirmed' }",
  }
  local DAY, EVENTS = 86400000, 4000

  --- The text of event i at time t, in a unit of which a ms is so much.
  local function event(i, terminal, kind, t, scale)
    return ('{"id":"e%d","ts":%.0f,"terminal":"t%d","kind":"%s","amount":%d.50}'):format(i, t * scale, terminal, kind, i % 100)
  end

  for unit, scale in pairs { ms = 1, s = 0.001 } do
    it('is seen by features when it was known, as in a live run whose stream has it, time in ' .. unit, function()
      local files, r, all, history, known = {}, reference.generator(77), {}, {}, {}
      for name, text in pairs(PACK) do files[name] = text:gsub('UNIT', unit) end
      local dir = h.folder(files)
      for i = 1, EVENTS do
        local t, terminal = 1700000000000 + i * 600000, r.to(20)
        history[i] = event(i, terminal, 'payment', t, scale)
        all[#all + 1] = { t, 0, history[i] }
        if r.chance(0.02) then
          known[#known + 1] = ('{"id":"e%d","fraud":true,"case":%d}'):format(i, i)
          all[#all + 1] = { t + 7 * DAY + 1000, 1, event(i, terminal, 'chargeback', t + 7 * DAY + 1000, scale) }
        elseif r.chance(0.1) then
          known[#known + 1] = ('{"id":"e%d","fraud":false}'):format(i)
        end
      end
      table.sort(all, function(a, b)
        if a[1] ~= b[1] then return a[1] < b[1] end
        return a[2] < b[2]
      end)
      for i, e in ipairs(all) do all[i] = e[3] end
      assert.is_true(#all > EVENTS + 40)
      local live = h.rows(ok(h.run({ 'run', '--quiet', dir }, table.concat(all, '\n') .. '\n')).out)
      local out = h.path 'decisions'
      local input = h.write(table.concat(history, '\n') .. '\n', h.path 'in.ndjson')
      local labelled = h.write(table.concat(known, '\n'), h.path 'l.ndjson')
      local report = h.decode(ok(h.run { 'backtest', dir, '--from', input, '--labels', labelled, '--label-event', 'kind=chargeback',
        '--label-delay', '7d1s', '--json', '--decisions', out }).out)
      local got, found = h.rows(h.read(out)), 0
      assert.equal(#live, #got)
      for i, want in ipairs(live) do
        want.at, want.id, got[i].at, got[i].id = nil, nil, nil, nil   -- the live run read one file, the backtest two
        assert.same(want, got[i])
        if #want.reasons > 0 then found = found + 1 end
      end
      assert.same({ EVENTS, #all - EVENTS, found }, { report.events, report.confirmations, report.alerts.events })
      assert.is_true(found > 50)
    end)
  end

  it('is refused where it cannot be', function()
    local SAMPLE, known = 'scripts/packs/limits/sample.ndjson', h.write('{"id":"e1"}', h.path 'l.ndjson')
    local function refused(text, ...)
      local r = h.run({ 'backtest', 'scripts/packs/limits', '--labels', known, '--label-event', ... }, '')
      assert.equal(2, r.code, r.err)
      assert.truthy(r.err:find(text, 1, true), r.err)
    end
    refused('reads the history twice', 'country=x')
    refused('reads the history twice', 'country=x', '--from', 'log:x', '--data', 'd')
    refused('is FIELD=VALUE', 'country', '--from', SAMPLE)
    refused("'county' is no field of scripts/packs/limits/schema/payment.lua (did you mean 'country'?)", 'county=x', '--from', SAMPLE)
    refused('is for a history of JSON lines; this one is csv', 'country=x', '--from', h.write('id,ts\n', h.path 'in.csv'))
    refused('is compressed', 'country=x', '--from', h.write('', h.path 'in.ndjson.gz'))
  end)
end)

describe('labels that are wrong are told with their line:', function()
  for what, case in pairs {
    ['no column that names an event'] = { 'l.csv', 'ident,label\np-1,fraud\n', ':2: ', "a label has 'id', or 'key'" },
    ['a word that is no label'] = { 'l.csv', 'id,label\np-1,fraud\np-2,fruad\n', ':3: ', "got 'fruad' (did you mean 'fraud'?)" },
    ['a row with a cell too many'] = { 'l.csv', 'id,label\np-1,fraud,x\n', ':2: ', 'the row has 3 cells, the header 2' },
    ['a quote without its pair'] = { 'l.csv', 'id,label\n"p-1,fraud\n', ':2: ', 'a quote without its pair' },
    ['a line that is no JSON'] = { 'l.ndjson', '{"id":"p-1"}\nid\n', ':2: ', 'a label is a JSON object' },
    ['an event labelled in two ways'] = { 'l.ndjson', '{"id":"p-1"}\n{"id":"p-1","label":"legit"}\n', ':2: ',
      "'p-1' is labelled legit here, and fraud in a row before" },
    ['a range without an end'] = { 'l.ndjson', '{"key":"card","value":"a","from":1}\n', ':1: ', "'to' is missing" },
    ['a range that ends before it begins'] = { 'l.ndjson', '{"key":"card","value":"a","from":2,"to":1}\n', ':1: ',
      "'from' lies behind 'to'" },
    ['a range of a field that is not there'] = { 'l.ndjson', '{"key":"cart","value":"a","from":1,"to":2}\n', ':1: ',
      "got 'cart' (did you mean 'card'?)" },
    ['a time that is none'] = { 'l.ndjson', '{"key":"card","value":"a","from":"soon","to":2}\n', ':1: ', "got 'soon'" },
  } do
    it(what, function()
      local file = h.write(case[2], h.path(case[1]))
      local r = h.run { 'backtest', 'scripts/packs/limits', '--from', 'scripts/packs/limits/sample.ndjson', '--labels', file }
      assert.equal(3, r.code, r.err)
      assert.truthy(r.err:find(file .. case[3], 1, true) and r.err:find(case[4], 1, true), r.err)
    end)
  end
end)

describe('a backtest is refused', function()
  local function refused(code, text, ...)
    local r = h.run({ 'backtest', ... }, '')
    assert.equal(code, r.code, r.err)
    assert.truthy(r.err:find(text, 1, true), r.err)
  end
  local PACK = 'scripts/packs/limits'

  it('with what to do', function()
    refused(2, 'takes a rule pack', '-e', 'stream')
    refused(2, 'the script has several packs: limits, limits', '-e',
      ("{ stream:pack('%s', { name = 'a' }), tm.pipeline 'b':pack('%s', { name = 'b' }) }"):format(PACK, PACK))
    refused(2, 'is there already; name a new file', PACK, '--decisions', h.write '')
    refused(2, 'legit or unknown', PACK, '--labels', 'x', '--unlabelled', 'fraud')
    refused(2, 'give --labels FILE too', PACK, '--unlabelled', 'legit')
    refused(2, "--amount 'amuont' is no field of scripts/packs/limits/schema/payment.lua (did you mean 'amount'?)", PACK,
      '--amount', 'amuont')
    refused(2, 'nolabels.csv: No such file', PACK, '--labels', 'nolabels.csv')
    refused(2, 'which data folder is the log', PACK, '--from', 'log:x')
    refused(2, 'stands alone', PACK, '--from', 'log:x', '--from', 'y', '--data', 'd')
    refused(2, "'no/name' is no name of a log", PACK, '--from', 'log:no/name', '--data', 'd')
    refused(2, 'is a file for the one output of a script', '-e', ("local d = stream:pack('%s') return { d:to(tm.sink.file 'a'), " ..
      "d:to(tm.sink.file 'b') }"):format(PACK), '--decisions', h.path 'out')
    refused(3, "labels name events by their field 'id', which is no field", '-e', ("stream:pack('%s')"):format(h.folder {
      ['pack.lua'] = "return { name = 'p', version = '1.0.0', stream = 's', time = { field = 'ts', unit = 'ms' }, " ..
        "decisions = { review = 1 } }",
      ['schema/s.lua'] = "return { ts = 'time_ms', number = 'string' }",
      ['rules/r.lua'] = "return { id = 'r', score = 1, when = function() end }",
    }), '--labels', h.write('id\n1\n', h.path 'l.csv'))
  end)
end)
