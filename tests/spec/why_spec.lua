--[[
why_spec.lua - `tidemill why`: what it rebuilds is what the decision said, for a thousand alerts of a live run; how conditions stood is what
the text of the rule says; what cannot be found is told.
]]

local h = require 'spec.helper'
local reference = require 'spec.pack_reference'
local dkjson = require 'dkjson'

local function ok(got)
  assert.equal(0, got.code, got.err)
  return got
end

--- Does a rule that the reference made fire for this row? As the decision's own list has it.
local function fired(row)
  local set = {}
  for _, rule in ipairs(row.rules) do set[rule.id] = rule.mode end
  return set
end

describe('a thousand alerts of a live run', function()
  for seed = 31, 33 do
    it('are rebuilt as they were, seed ' .. seed, function()
      local pack, events = reference.pack(seed, 12), reference.events(seed + 1000, 2500)
      local files, site = reference.files(pack)
      local dir = h.folder(files)
      if site then h.write(site, dir .. '/../' .. dir:match '[^/]*$' .. '.site.lua') end
      local code = ("stream:pack('%s'%s)"):format(dir, site and (", { site = '%s.site.lua' }"):format(dir) or '')
      local lines = {}
      for i, e in ipairs(events) do
        lines[i] = dkjson.encode(e, { keyorder = { 'id', 'ts', 'card', 'amount', 'country', 'channel', 'note' } })
      end
      local input = h.write(table.concat(lines, '\n') .. '\n', h.path 'in.ndjson')
      local live = h.rows(ok(h.run({ 'run', '--quiet', '-e', code }, h.read(input))).out)
      local r, ids, wanted = reference.generator(seed), {}, {}
      for _, row in ipairs(live) do
        if #row.reasons > 0 or row.decision ~= 'approve' then wanted[#wanted + 1] = row end
      end
      while #wanted > 1000 do table.remove(wanted, r.to(#wanted)) end
      for i, row in ipairs(wanted) do ids[i] = i % 2 == 0 and row.id or dkjson.encode(row) end
      assert.is_true(#wanted == 1000 or #wanted > 600)
      local got = h.rows(ok(h.run { 'why', '-e', code, '--from', input, '--json', '--ids', h.write(table.concat(ids, '\n')),
        seed == 32 and '--no-jit' or '--strict' }).out)
      assert.equal(#wanted, #got)
      for i, want in ipairs(wanted) do
        local seen = got[i]
        assert.equal(want.id, seen.asked)
        assert.same(want.features, seen.features)
        assert.same({ want.decision, want.score, want.suppressed or false, want.guarded or false, want.reasons },
          { seen.decision, seen.score, seen.suppressed, seen.guarded, seen.reasons })
        assert.same(want.event.id, seen.event.id)
        local hits, raised = fired(want), {}
        for _, id in ipairs(want.errors or {}) do raised[id] = true end
        for _, rule in ipairs(seen.rules) do
          assert.is_nil(rule.differs, rule.id)
          assert.is_nil(rule.untold, rule.id)
          assert.equal(hits[rule.id] ~= nil, rule.answer == 'fired', rule.id)
          assert.equal(hits[rule.id], rule.counts, rule.id)
          assert.equal(raised[rule.id] == true, rule.answer == 'error', rule.id)
        end
      end
    end)
  end
end)

local FILES = {
  ['pack.lua'] = [[
return { name = 'forms', version = '1.0.0', stream = 'payment', time = { field = 'ts', unit = 'ms' }, decisions = { review = 1 },
  lists = { bad = { key = 'string', file = 'lists/bad.txt' } } }
]],
  ['schema/payment.lua'] = "return { id = 'number', ts = 'time_ms', card = 'string', amount = 'number', country = 'string', geo = 'any' }",
  ['features/card.lua'] = [[
return tm.features { key = 'card', max_keys = 1000, n = tm.f.count { over = '1m' },
  mean = tm.f.avg('amount', { over = '1h', current = false, min_history = 2 }) }
]],
  ['lists/bad.txt'] = 'XA\n',
}

--- What `why` says of the rule `x` with this text about the last of some events.
local function explained(text, events)
  local files = {}
  for name, file in pairs(FILES) do files[name] = file end
  files['rules/x.lua'] = text
  local dir = h.folder(files)
  local lines = {}
  for i, e in ipairs(events or { '"amount":7,"country":"XA"' }) do lines[i] = ('{"id":%d,"ts":%d,"card":"a",%s}'):format(i, i * 1000, e) end
  local input = h.write(table.concat(lines, '\n') .. '\n', h.path 'in.ndjson')
  local rows = h.rows(ok(h.run { 'run', '--quiet', dir, '--from', input }).out)
  local r = ok(h.run { 'why', rows[#rows].id, dir, '--from', input, '--json' })
  for _, rule in ipairs(h.decode(r.out).rules) do if rule.id == 'x' then return rule, dir, rows[#rows].id, input end end
end

--- Conditions as texts.
local function told(rule)
  local list = {}
  for i, c in ipairs(rule.conditions or {}) do
    list[i] = c.asked and ('%s%s | %s | %s'):format(c.name and c.name .. ' = ' or '', c.text, c.shown, tostring(c.value)) or c.text ..
      ' | not asked'
  end
  return list
end

local function rule(when, more) return ("return { id = 'x', score = 1, %s when = %s }"):format(more or '', when) end

describe('conditions', function()
  for what, case in pairs {
    ['of one comparison'] = { 'function(tx, f, p) return f.n > p.least end', { 'f.n > p.least | 1 > 0 | true' }, 'fired',
      'params = { least = { default = 0 } },' },
    ['of sums, with both sides worked out'] = { 'function(tx, f) return tx.amount*2 >= (f.n + 1) ^ 2 * 4 - -1 end',
      { 'tx.amount * 2 >= (f.n + 1) ^ 2 * 4 - - 1 | 7 * 2 >= (1 + 1) ^ 2 * 4 - - 1: 14 >= 17 | false' }, 'no' },
    ['with parts that were not asked'] = { "function(tx, f) return f.n > 1 and tx.country == 'XA' or not (tx.amount < 5) end",
      { 'f.n > 1 | 1 > 1 | false', "tx.country == 'XA' | not asked", 'not (tx.amount < 5) | not (7 < 5) | true' }, 'fired' },
    ['of lists, and of what is asked for truth'] = {
      'function(tx, f, p, lists) if lists.bad:has(tx.country) and tx.geo then return true end return false end',
      { 'lists.bad:has(tx.country) | lists.bad:has("XA") | true', 'tx.geo | nil | null' }, 'no' },
    ['with locals and names from outside'] = {
      'function(tx) local ratio = tx.amount / LIMIT local big = ratio > 1 if big then return "yes" end end',
      { 'ratio = tx.amount / LIMIT | 7 / 2 | 3.5', 'big = ratio > 1 | 3.5 > 1 | true', 'big | true | true' }, 'fired' },
    ['in loops, as they stood last'] = {
      'function(tx) local n = 0 for i = 1, 3 do if i * 2 < tx.amount then n = n + i end end while n > 5 do n = n - 5 end ' ..
        'repeat n = n + 1 until n >= 3 return n == 3 end',
      { 'n = 0 | 0 | 0', 'i * 2 < tx.amount | 3 * 2 < 7: 6 < 7 | true', 'n = n + i | 3 + 3 | 6', 'n > 5 | 1 > 5 | false',
        'n = n - 5 | 6 - 5 | 1', 'n = n + 1 | 2 + 1 | 3', 'n >= 3 | 3 >= 3 | true', 'n == 3 | 3 == 3 | true' }, 'fired' },
    ['with functions inside, tables, long texts and comments'] = {
      'function(tx) --[==[ and ]] ]==] local t = { [1] = "a and b", b = [[x]], 3 } -- not\n' ..
        'local function g(v) return v > 1 and v < 9 end return g(tx.amount) and #t.b == 1 and t[1] ~= "c" end',
      { 't = { [1] = "a and b", b = [[x]], 3 } | { [1] = "a and b", b = [[x]], 3 } | null', 'g(tx.amount) | g(7) | true',
        '#t.b == 1 | #"x" == 1: 1 == 1 | true', 't[1] ~= "c" | t[1] ~= "c": 3 ~= "c" | true' }, 'fired' },
  } do
    it(what, function()
      local x = explained('local LIMIT = 2 ' .. rule(case[1], case[4]))
      local values = told(x)
      for i, text in ipairs(values) do values[i] = text:gsub('| table: .*$', '| null'):gsub('| nil$', '| null') end
      assert.same(case[2], values)
      assert.equal(case[3], x.answer)
      assert.is_nil(x.differs)
    end)
  end

  it('of a rule that raises end where it raised', function()
    local x = explained(rule 'function(tx) return tx.amount > 1 and tx.geo.lat > 2 end')
    assert.same({ 'tx.amount > 1 | 7 > 1 | true', 'tx.geo.lat > 2 | not asked' }, told(x))
    assert.equal('error', x.answer)
    assert.truthy(x.error:find('geo', 1, true), x.error)
  end)

  it('of rules that are made in a loop have the values of their own', function()
    local x = explained([[local list = {}
      for i = 1, 3 do list[i] = { id = i == 2 and 'x' or 'y' .. i, score = 1, when = function(tx) return tx.amount > i * 10 end } end
      return list]])
    assert.same({ 'tx.amount > i * 10 | 7 > 2 * 10: 7 > 20 | false' }, told(x))
  end)

  it('are left out where two functions cannot be told apart, and the answer is not', function()
    local x = explained("return { { id = 'x', score = 1, when = function(tx) return tx.amount > 1 end }, " ..
      "{ id = 'y', score = 1, when = function(tx) return tx.amount > 2 end } }")
    assert.equal('fired', x.answer)
    assert.truthy(x.untold:find('two functions stand on its line', 1, true), x.untold)
  end)

  it('are not asked where `only` does not hold, or what the rule needs is not known', function()
    local x = explained(rule('function(tx, f) return f.n > 0 end', "only = { country = { 'DE', 'FR' }, amount = { min = 5, max = 9 } },"))
    assert.equal('only', x.answer)
    assert.same({ { field = 'amount', value = 7, min = 5, max = 9, holds = true },
      { field = 'country', value = 'XA', values = { 'DE', 'FR' }, holds = false } }, x.only)
    x = explained(rule('function(tx, f) return f.n > 0 end', "needs = { 'mean', 'n' },"))
    assert.equal('unknown', x.answer)
    assert.same({ 'mean' }, x.because)
    assert.same({ { feature = 'mean', value = h.null, state = 'nil' }, { feature = 'n', value = 1, state = 'known' } }, x.needs)
    x = explained(rule 'function(tx, f) return f.mean ~= nil end', { '"amount":1', '"amount":2' })
    assert.same({ 'unknown', { 'mean' } }, { x.answer, x.because })
  end)
end)

describe('why', function()
  local PACK, INPUT = 'scripts/packs/limits', 'scripts/packs/limits/sample.ndjson'
  local id = h.rows(h.run { 'run', '--quiet', PACK, '--from', INPUT }.out)[7].id

  it('tells people what stood how', function()
    local out = ok(h.run { 'why', id, PACK, '--from', INPUT }).out
    for _, line in ipairs { id .. '\n  decision   challenge, score 40 (decline from 90, review from 50, challenge from 40)\n',
      '  features   spent_24h = 620, tx_1m = 1\n', '  fired    risky_country   enforce, score 40\n             "620 in a day, in XA"\n',
      '             lists.risky:has(tx.country)   lists.risky:has("XA"): true\n', '  unknown  unusual   enforce, score 40\n',
      '             f.tx_1m > p.n   1 > 4: false\n', '             only   amount from 1000: it is 620, does not hold\n' } do
      assert.truthy(out:find(line, 1, true), line .. '\n' .. out)
    end
  end)

  it('ends behind the last event it is asked about', function()
    local one = h.read(INPUT):match '[^\n]+\n'
    local file = h.write(one:rep(200000), h.path 'in.ndjson')
    local first = h.rows(ok(h.run({ 'run', '--quiet', PACK }, one)).out)[1].id
    local r = ok(h.run { 'why', first, PACK, '--from', file, '--json' })
    local all = ok(h.run { 'backtest', PACK, '--from', file, '--json' })
    assert.equal(200000, h.decode(all.out).events)
    assert.is_true(r.seconds < all.seconds, r.seconds .. ' ' .. all.seconds)
  end)

  it('finds decisions of several files by the name of the file, and those of a log by their number', function()
    local a, b, dir = h.write(h.read(INPUT), h.path 'a.ndjson'), h.write(h.read(INPUT), h.path 'b.ndjson'), h.path 'data'
    local rows = h.rows(ok(h.run { 'run', '--quiet', PACK, '--from', a, '--from', b }).out)
    assert.not_equal(rows[2].id, rows[10].id)
    local got = h.rows(ok(h.run { 'why', rows[10].id, rows[2].id, PACK, '--from', a, '--from', b, '--json' }).out)
    assert.same({ rows[10].features, rows[2].features }, { got[1].features, got[2].features })
    ok(h.run { 'run', '--quiet', '--logs', dir, '--from', INPUT, '-e', "stream:to(tm.sink.log 'history')" })
    local script = h.write(("local tm = require 'tidemill' return tm.pipeline 's'" ..
      ":from(tm.source.log { name = 'history', follow = false }):pack '%s'"):format(PACK))
    rows = h.rows(ok(h.run { 'run', '--quiet', '--logs', dir, script }).out)
    got = h.rows(ok(h.run { 'why', rows[6].id, PACK, '--from', 'log:history', '--data', dir, '--json' }).out)
    assert.same({ rows[6].features, rows[6].at }, { got[1].features, got[1].at })
  end)

  it('goes back in the folder of a run that is kept, also of one that was killed, and shows what the decision said', function()
    local pack = reference.pack(35, 12)
    pack.guard = { max = 2, within = 60000 }
    local files = reference.files(pack)
    local dir, data, out = h.folder(files), h.path 'data', h.path 'out.ndjson'
    local lines = {}
    for i, e in ipairs(reference.events(1035, 9000)) do lines[i] = dkjson.encode(e) end
    local input = h.write(table.concat(lines, '\n') .. '\n', h.path 'in.ndjson')
    local run = h.command { 'run', '--quiet', dir, '--from', input, '--to', out, '--data', data, '--rate', '9000/s', '--epoch', '10ms' }
    h.shell(('timeout -s KILL 0.5 %s'):format(run:gsub('^timeout %-k 1 60 ', '')))
    ok(h.shell(run))
    local rows, alerts = h.rows(h.read(out)), {}
    assert.equal(9000, #rows)
    for _, row in ipairs(rows) do if #row.reasons > 0 then alerts[#alerts + 1] = row end end
    local r, went_back = reference.generator(7), 0
    for _ = 1, 15 do
      local row = alerts[r.to(#alerts)]
      local got = ok(h.run { 'why', row.id, dir, '--from', input, '--data', data, '--json' })
      local seen = h.decode(got.out)
      assert.same({ row.id, row.decision, row.score, row.reasons, row.features, row.guarded or false, row.suppressed or false },
        { seen.id, seen.decision, seen.score, seen.reasons, seen.features, seen.guarded, seen.suppressed })
      local epoch = tonumber(got.err:match 'state is that of epoch (%d+) of %d+, and what follows is read again')
      assert.is_true(epoch ~= nil or got.err:find('reach back to epoch', 1, true) ~= nil, got.err)
      if epoch and epoch > 1 then went_back = went_back + 1 end
    end
    assert.is_true(went_back > 5, went_back)
    -- nothing of it was changed
    assert.equal(9000, #h.rows(h.read(out)))
    assert.truthy(ok(h.shell(run)).err:find('has come to the end of its input', 1, true))
  end)

  it('goes back in a run that reads an event log', function()
    local data, logs, out = h.path 'data', h.path 'logs', h.path 'out.ndjson'
    local lines = {}
    for i = 1, 4000 do
      lines[i] = ('{"id":"p-%d","ts":%d,"card":"c%d","amount":%d,"country":"XA"}'):format(i, i * 100, i % 7, i % 900)
    end
    ok(h.run({ 'run', '--quiet', '--logs', logs, '-e', "stream:to(tm.sink.log 'history')" }, table.concat(lines, '\n') .. '\n'))
    local script = h.write(("local tm = require 'tidemill' return tm.pipeline 's'" ..
      ":from(tm.source.log { name = 'history', follow = false }):pack '%s':to(tm.sink.file '%s')"):format(PACK, out))
    ok(h.run { 'run', '--quiet', '--data', data, '--logs', logs, '--epoch', '10ms', '--rate', '8000/s', script })
    local row = h.rows(h.read(out))[3210]
    local got = ok(h.run { 'why', row.id, script, '--from', 'log:history', '--data', data, '--logs', logs, '--json' })
    local seen = h.decode(got.out)
    assert.same({ row.id, row.features, row.reasons }, { seen.id, seen.features, seen.reasons })
    assert.truthy(got.err:find('state is that of epoch', 1, true), got.err)
  end)

  it('says when the pack has changed since', function()
    local dir = h.path 'limits'
    h.sh('cp -r %s %s', PACK, dir)
    local out = ok(h.run { 'why', id, dir, '--from', INPUT }).out
    assert.is_nil(out:find('the pack has changed since', 1, true))
    h.sh("sed -i 's/n = { default = 4/n = { default = 5/' %s/rules/burst.lua", dir)
    out = ok(h.run { 'why', id, dir, '--from', INPUT }).out
    assert.truthy(out:find('  the pack has changed since: this is limits 0.1.0 (', 1, true), out)
    assert.is_true(h.decode(ok(h.run { 'why', id, dir, '--from', INPUT, '--json' }).out).changed)
  end)

  it('refuses what it cannot find, with what to do', function()
    local function refused(code, text, ...)
      local r = h.run({ 'why', ... }, '')
      assert.equal(code, r.code, r.err)
      assert.truthy(r.err:find(text, 1, true), r.err)
    end
    refused(1, 'why: no decision of this history is limits-d369724a@x:9, nor is another one; is it the input of that run',
      'limits-d369724a@x:9', 'limits-d369724a@x:10', PACK, '--from', INPUT)
    refused(2, 'why takes the id of a decision, such as', PACK, '--from', INPUT)
    refused(2, "is of the pack 'other', and this one is 'limits'", 'other-d369724a@x:9', PACK, '--from', INPUT)
    refused(2, "'no id' is no id of a decision", PACK, '--from', INPUT, '--ids', h.write 'no id\n')
    refused(2, "a row of a decision has the field 'id'", PACK, '--from', INPUT, '--ids', h.write '{"x":1}\n')
    refused(2, 'No such file', PACK, '--from', INPUT, '--ids', 'nowhere')
    refused(2, 'why takes a rule pack', id, '-e', 'stream', '--from', INPUT)
  end)
end)
