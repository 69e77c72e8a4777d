--[[
packs_spec.lua - rule packs of the program: what is wrong with one is told with its line, what fails while events flow fails alone, sites,
scorecards, the guard, the summary, `check`, `test`, `new pack`, a crash.
]]

local h = require 'spec.helper'

local BASE = {
  ['pack.lua'] = [[
return { name = 'small', version = '1.0.0', stream = 'payment', time = { field = 'ts', unit = 'ms' },
  decisions = { review = 50, decline = 90 },
  lists = { bad = { key = 'string', file = 'lists/bad.txt' } } }
]],
  ['schema/payment.lua'] = [[
return { id = 'number', ts = 'time_ms', card = 'string', amount = 'number', country = 'string', geo = 'any' }
]],
  ['features/card.lua'] = [[
return tm.features { key = 'card', max_keys = 1000,
  tx_1m = tm.f.count { over = '1m' } }
]],
  ['lists/bad.txt'] = 'XA\n',
  ['rules/burst.lua'] = [[
return { id = 'burst', score = 60, reason_code = 'B1', exceptions = { 'card' },
  params = { n = { default = 2, min = 1, max = 9 } },
  when = function(tx, f, p) return f.tx_1m > p.n end,
  reason = '{f.tx_1m} of {tx.card} above {p.n}' }
]],
}

--- A folder with the pack, and these files changed.
local function folder(files)
  local all = {}
  for name, text in pairs(BASE) do all[name] = text end
  for name, text in pairs(files or {}) do all[name] = text or nil end
  return h.folder(all)
end

local function events(list)
  local lines = {}
  for i, e in ipairs(list) do lines[i] = ('{"id":%d,"ts":%d,"card":"%s"%s}'):format(i, e[1], e[2], e[3] and ',' .. e[3] or '') end
  return table.concat(lines, '\n') .. '\n'
end

local function decide(dir, input, options, ...)
  local r = h.run({ 'run', '--quiet', '-e', ("stream:pack('%s'%s)"):format(dir, options or ''), ... }, input)
  return h.rows(r.out), r
end

local BURST = events { { 0, 'a' }, { 1, 'a' }, { 2, 'a' }, { 3, 'b' } }

describe('a pack that is wrong is told with its line:', function()
  local function rule(text) return 'return { id = \'x\', score = 10,\n' .. text .. ' }\n' end
  local WHEN = 'when = function(tx, f, p, lists) return %s end'
  for what, case in pairs {
    ['an unknown field of the manifest'] = { 'pack.lua', BASE['pack.lua']:gsub('lists =', 'listz ='), ':3: ',
      "no field 'listz' (did you mean 'lists'?)" },
    ['a manifest without a name'] = { 'pack.lua', "return { version = '1.0.0' }", ':1: ', "needs '" },
    ['a schema that is not there'] = { 'pack.lua', BASE['pack.lua']:gsub("'payment'", "'paymint'"), ':1: ',
      "schema/paymint.lua' for the stream 'paymint' (did you mean 'payment'?)" },
    ['a decision without a score'] = { 'pack.lua', BASE['pack.lua']:gsub('review = 50', 'review = 0'), ':2: ', 'least scores above 0' },
    ['a type that is none'] = { 'schema/payment.lua', BASE['schema/payment.lua']:gsub("card = 'string'", "card = 'strin'"), ':1: ',
      "field 'card'" },
    ['a feature of a field that is not there'] = { 'features/card.lua', BASE['features/card.lua']:gsub("key = 'card'", "key = 'cart'"),
      'features/card.lua:', "'cart'" },
    ['a list whose file is not there'] = { 'lists/bad.txt', false, 'pack.lua|lists/bad.txt', 'No such file' },
    ['a list with keys of another type'] = { 'pack.lua', BASE['pack.lua']:gsub("key = 'string'", "key = 'number'"), 'bad.txt:1: ',
      'type number' },
    ['an unknown field of a rule'] = { 'rules/x.lua', rule(WHEN:format 'true' .. ',\nscor = 3'), ':3: ',
      "no field 'scor' (did you mean 'score'?)" },
    ['a rule without a function'] = { 'rules/x.lua', rule 'rev = 1', ':1: ', "needs 'when'" },
    ['a rule that is no table'] = { 'rules/x.lua', 'return 7', ':1: ', 'must return a table' },
    ['a rule that does not compile'] = { 'rules/x.lua', 'return {\nid = = 3 }', 'x.lua:2: ', 'unexpected symbol' },
    ['a feature that is not there'] = { 'rules/x.lua', rule(WHEN:format 'f.tx_1n > 1'), ':2: ',
      "the feature 'tx_1n', which the pack does not have (did you mean 'tx_1m'?)" },
    ['a field that is not there'] = { 'rules/x.lua', rule(WHEN:format 'tx.amonut > 1'), ':2: ',
      "the field 'amonut', which the pack does not have (did you mean 'amount'?)" },
    ['a param that is not there'] = { 'rules/x.lua', rule(WHEN:format 'tx.amount > p.n'), ':2: ', "the param 'n'" },
    ['a list that is not there'] = { 'rules/x.lua', rule(WHEN:format 'lists.bat:has(1)'), ':2: ',
      "the list 'bat', which the pack does not have (did you mean 'bad'?)" },
    ['an assignment'] = { 'rules/x.lua', rule 'when = function(tx) tx.amount = 1 end', ':2: ', "assigns the field 'amount'" },
    ['needs that are not there'] = { 'rules/x.lua', rule(WHEN:format 'true' .. ", needs = { 'tx_1h' }"), ':2: ',
      "needs the feature 'tx_1h'" },
    ['an id used twice'] = { 'rules/x.lua', "return { id = 'burst', score = 1, when = function() end }", 'x.lua:1: ', "burst.lua:1" },
    ['a param out of its bounds'] = { 'rules/burst.lua', BASE['rules/burst.lua']:gsub('default = 2', 'default = 20'), ':2: ',
      'from 1 to 9, got 20' },
    ['only of a field that is not there'] = { 'rules/x.lua', rule(WHEN:format 'true' .. ",\nonly = { contry = 'DE' }"), ':3: ',
      "'contry' is no field" },
    ['only of another type'] = { 'rules/x.lua', rule(WHEN:format 'true' .. ',\nonly = { amount = "7" }'), ':3: ', 'reads as a number' },
    ['only that never holds'] = { 'rules/x.lua', rule(WHEN:format 'true' .. ',\nonly = { amount = { min = 2, max = 1 } }'), ':3: ',
      'no value' },
    ['a reason of what is not there'] = { 'rules/x.lua', rule(WHEN:format 'true' .. ',\nreason = "{f.tx_1h}"'), ':3: ',
      "names the feature 'tx_1h'" },
    ['a mode that is none'] = { 'rules/x.lua', rule(WHEN:format 'true' .. ", mode = 'enforced'"), ':2: ', "(did you mean 'enforce'?)" },
    ['a pack without rules'] = { 'rules/burst.lua', false, 'pack.lua', 'has no rule' },
    ['bands that do not go up'] = { 'scorecards/s.lua',
      "return { id = 's', characteristics = { { field = 'amount',\n" ..
      'bands = { { below = 3, points = 1 }, { below = 2, points = 2 }, { points = 3 } } } } }', ':1: ', 'bands go up' },
    ['a require'] = { 'rules/x.lua', "local x = require 'y' return {}", ':1: ', 'has no require' },
    ['a pack of a newer program'] = { 'pack.lua', BASE['pack.lua']:gsub("version =", "engine = '>=99.0', version ="), ':1: ',
      'needs tidemill 99.0' },
  } do
    it(what, function()
      local r = h.run({ 'check', folder { [case[1]] = case[2] } })
      assert.equal(3, r.code, r.err)
      local place = case[3]
      if place:sub(1, 1) == ':' then place = case[1] .. place end
      local found = false
      for one in place:gmatch '[^|]+' do found = found or r.err:find(one, 1, true) ~= nil end
      assert.is_true(found, place .. '\n' .. r.err)
      assert.truthy(r.err:find(case[4], 1, true), case[4] .. '\n' .. r.err)
    end)
  end
end)

describe('a site', function()
  local function with(text)
    local site = h.write('return ' .. text, h.path 'site.lua')
    return decide(folder(), BURST, (", { site = '%s' }"):format(site))
  end

  it('turns rules off, into another mode, with other params and exceptions', function()
    assert.equal('review', decide(folder(), BURST)[3].decision)
    assert.same({}, with "{ disable = { 'burst' } }"[3].rules)
    local row = with "{ modes = { burst = 'alert' } }"[3]
    assert.same({ 'approve', 'B1', '3 of a above 2' }, { row.decision, row.reasons[1].code, row.reasons[1].text })
    assert.same({}, with "{ modes = { burst = 'shadow' } }"[3].reasons)
    assert.equal('review', with "{ params = { burst = { n = 1 } } }"[2].decision)
    row = with "{ exceptions = { burst = { card = { 'a' } } } }"[3]
    assert.same({ 'approve', 'excepted' }, { row.decision, row.rules[1].mode })
  end)

  it('that names what is not there, or changes nothing, is refused', function()
    for text, why in pairs {
      ["{ disable = { 'bust' } }"] = "no rule 'bust' (did you mean 'burst'?)",
      ["{ disabled = {} }"] = "no field 'disabled' (did you mean 'disable'?)",
      ["{ modes = { burst = 'enforce' } }"] = "is 'enforce' already",
      ["{ params = { burst = { m = 1 } } }"] = "no param 'm'",
      ["{ params = { burst = { n = 10 } } }"] = 'from 1 to 9, got 10',
      ["{ exceptions = { burst = { country = { 'DE' } } } }"] = "takes no exception by 'country'",
      ["{ exceptions = { burst = { card = {} } } }"] = 'no exception is given',
      ["{ lists = { worse = { add = { 'x' } } } }"] = "no list 'worse'",
      ["{ lists = { bad = { remove = { 'XB' } } } }"] = "no key 'XB'",
    } do
      local _, r = with(text)
      assert.equal(3, r.code)
      assert.truthy(r.err:find('site.lua:1: ', 1, true), r.err)
      assert.truthy(r.err:find(why, 1, true), r.err)
    end
  end)

  it('adds to lists', function()
    local dir = folder { ['rules/list.lua'] =
      "return { id = 'list', score = 90, when = function(tx, f, p, lists) return lists.bad:has(tx.country) end }" }
    local input = events { { 0, 'a', '"country":"XA"' }, { 1, 'b', '"country":"XB"' } }
    local rows = decide(dir, input)
    assert.same({ 'decline', 'approve' }, { rows[1].decision, rows[2].decision })
    rows = decide(dir, input, (", { site = '%s' }"):format(h.write("return { lists = { bad = { add = { 'XB' }, remove = { 'XA' } } } }")))
    assert.same({ 'approve', 'decline' }, { rows[1].decision, rows[2].decision })
  end)
end)

describe('while events flow', function()
  it('a rule that raises, writes or asks for what is not there is an error for that event', function()
    for text, _ in pairs { ['error { }'] = 1, ['tx.country.x.y > 1'] = 1, ['f[tx.country] > 1'] = 1,
      ['(function() tx[tx.country] = 1 end)()'] = 1,
      ['(function() tx.geo.lat = 1 end)()'] = 1, ['nil > 1'] = 1, ['rawset(tx, 1, 2)'] = 1, ['lists.bad:had(1)'] = 1 } do
      local dir = folder { ['rules/bad.lua'] = "return { id = 'bad', score = 90, when = function(tx, f, p, lists) " ..
        'if tx.amount then return ' .. text ..
        ' end return false end }' }
      local input = events { { 0, 'a', '"country":"x"' }, { 1, 'a', '"country":"x","amount":1,"geo":{"lat":2}' }, { 2, 'a',
        '"country":"x"' } }
      local rows, r = decide(dir, input)
      assert.equal(0, r.code, text .. r.err)
      assert.same({ 3, 'review' }, { #rows, rows[3].decision }, text)
      assert.same({ nil, { 'bad' }, nil }, { rows[1].errors, rows[2].errors, rows[3].errors }, text)
      if rows[2].event.geo then assert.equal(2, rows[2].event.geo.lat) end
    end
  end)

  it('a function that never ends costs its event alone, and the others are decided', function()
    local dir = folder { ['rules/bad.lua'] =
      "return { id = 'bad', score = 90, when = function(tx) while tx.amount == 7 do end return tx.amount == 8 end }" }
    local list = {}
    for i = 1, 40 do list[i] = { i * 100000, 'c' .. i, '"amount":' .. (i == 20 and 7 or i == 30 and 8 or 1) } end
    for _, before in ipairs { '', ':map(function(e) e.more = 1 return e end)' } do
      local failed = h.path 'failed.ndjson'
      local r = h.run({ 'run', '--quiet', '--deadline', '200ms', '-e', ("stream:on_error(tm.sink.file '%s')%s:pack '%s'"):format(failed,
        before, dir) },
        events(list))
      local rows = h.rows(r.out)
      assert.equal(39, #rows, r.err)
      for i, row in ipairs(rows) do
        assert.equal(i + (i >= 20 and 1 or 0), row.event.id)
        assert.equal(row.event.id == 30 and 'decline' or 'approve', row.decision)
      end
      local letters = h.rows(h.read(failed))
      assert.same({ 1, 'deadline', 20 }, { #letters, letters[1].code, letters[1].event.id })
    end
  end)

  it('events that fail before the pack, in it and behind it fail alone', function()
    local list, dir, failed = {}, folder(), h.path 'failed.ndjson'
    for i = 1, 700 do list[i] = { i * 100000, 'c', i % 7 == 0 and '"amount":"x"' or i % 11 == 0 and '"country":"stop"' or nil } end
    local r = h.run({ 'run', '--quiet', '-e',
      ("stream:on_error(tm.sink.file '%s'):pack('%s'):map(function(d) if d.event.country then error('stop') end return d end)")
      :format(failed, dir) }, events(list))
    local rows, letters, want = h.rows(r.out), h.rows(h.read(failed)), {}
    for i = 1, 700 do if i % 7 == 0 or i % 11 == 0 then want[#want + 1] = i end end
    assert.equal(700 - #want, #rows)
    for i, letter in ipairs(letters) do assert.equal(want[i], letter.event.id) end
    local last = 0
    for _, row in ipairs(rows) do
      assert.is_true(row.event.id > last)
      last = row.event.id
    end
  end)
end)

describe('decisions', function()
  it('need no feature', function()
    local dir = folder { ['features/card.lua'] = false, ['rules/burst.lua'] =
      "return { id = 'x', score = 60, when = function(tx) return tx.amount > 2 end }" }
    local rows = decide(dir, events { { 0, 'a', '"amount":2' }, { 1, 'a', '"amount":3' } })
    assert.same({ 'approve', 'review' }, { rows[1].decision, rows[2].decision })
  end)

  it('add the points of scorecards, or take the largest score', function()
    local card = [[return { id = 'card', base = 5, reason_code = 'S', characteristics = {
      { field = 'amount', bands = { { below = 10, points = 0 }, { below = 100, points = 20 }, { points = 50 } }, missing = 1 },
      { field = 'country', values = { DE = 0, XA = 30 }, other = 10 } } }]]
    local input = events { { 0, 'a', '"amount":9.99,"country":"DE"' }, { 1, 'b', '"amount":10,"country":"FR"' }, { 2, 'c',
      '"amount":100,"country":"XA"' }, { 3, 'd' } }
    local rows, scores = decide(folder { ['scorecards/card.lua'] = card }, input), {}
    for i, row in ipairs(rows) do scores[i] = row.score end
    assert.same({ 5, 35, 85, 6 }, scores)
    assert.same({ 'amount 100', 'country XA' }, { rows[3].reasons[1].text, rows[3].reasons[2].text })
    rows = decide(folder { ['scorecards/card.lua'] = card, ['pack.lua'] = BASE['pack.lua']:gsub('decisions', "score = 'max', decisions") },
      events { { 0, 'a' }, { 1, 'a' }, { 2, 'a', '"amount":100' } })
    assert.equal(60, rows[3].score)
  end)

  it('beyond the bound of a guard become another one, with an alarm', function()
    local dir = folder { ['pack.lua'] = BASE['pack.lua']:gsub('decisions',
      "guard = { decision = 'review', max = 2, within = '10s', action = 'approve' }, decisions"),
      ['rules/burst.lua'] = BASE['rules/burst.lua']:gsub('f.tx_1m > p.n', 'true') }
    local rows, r = decide(dir, events { { 0, 'a' }, { 1000, 'b' }, { 2000, 'c' }, { 9999, 'd' }, { 10000, 'e' }, { 10500, 'f' }, { 11000,
      'g' } })
    local got = {}
    for i, row in ipairs(rows) do got[i] = row.decision .. (row.guarded and '!' or '') end
    assert.same({ 'review', 'review', 'approve!', 'approve!', 'review', 'approve!', 'review' }, got)
    assert.truthy(r.err:find("more than 2 decisions 'review' within 10s", 1, true), r.err)
  end)

  it('are counted by features of the pack itself, without the one at hand', function()
    local dir = folder { ['features/card.lua'] = [[return tm.features { key = 'card', max_keys = 1000,
        past = tm.f.decisions('review', { over = '1m' }), all = tm.f.decisions { over = '1m' } }]],
      ['rules/burst.lua'] = "return { id = 'r', score = 60, when = function(tx, f) return f.past < 2 end, reason = '{f.all}' }" }
    -- a review at 0 and at 1 s; that at 0 is out of the minute behind 60 s, and that at 1 s behind 61 s
    local rows = decide(dir, events { { 0, 'a' }, { 1000, 'a' }, { 2000, 'a' }, { 3000, 'b' }, { 59999, 'a' }, { 60000, 'a' },
      { 61500, 'a' } })
    local got = {}
    for i, row in ipairs(rows) do got[i] = row.decision .. ' ' .. (row.features.all or 0) end
    assert.same({ 'review 0', 'review 1', 'approve 2', 'review 0', 'approve 3', 'review 3', 'review 3' }, got)
  end)

  it('have the fields that are asked for, of the events that are asked for', function()
    local dir = folder { ['pack.lua'] = BASE['pack.lua']:gsub('decisions', "suppress = { by = 'card', within = '1m' }, decisions") }
    local input = events { { 0, 'a' }, { 1, 'a' }, { 2, 'a' }, { 3, 'a' }, { 4, 'b' } }
    assert.same({ { decision = 'review', suppressed = h.null and nil }, { decision = 'review', suppressed = true } },
      (decide(dir, input, ", { emit = 'matched', fields = { 'decision' } }")))
    assert.same({ { decision = 'review', score = 60 } }, (decide(dir, input, ", { emit = 'alerts', fields = { 'decision', 'score' } }")))
    local _, r = decide(dir, input, ", { fields = { 'decisions' } }")
    assert.truthy(r.err:find("no field 'decisions' (did you mean 'decision'?)", 1, true), r.err)
  end)

  it('are rolled out by a hash of the key: the same ones each time, about as many as said', function()
    local dir = folder { ['rules/burst.lua'] = BASE['rules/burst.lua']:gsub('exceptions',
      "rollout = { percent = 25, by = 'card' }, exceptions")
      :gsub('f.tx_1m > p.n', 'true') }
    local list = {}
    for i = 1, 4000 do list[i] = { i, 'c' .. (i - 1) % 2000 } end
    local by_card, n = {}, 0
    for _, row in ipairs((decide(dir, events(list)))) do
      local mode, card = row.rules[1].mode, row.event.card
      assert.equal(by_card[card] or mode, mode)
      by_card[card] = mode
      n = n + (mode == 'enforce' and 1 or 0)
    end
    assert.is_true(n > 850 and n < 1150, tostring(n))   -- 1000 and five standard deviations
  end)
end)

describe('the program', function()
  it('tells at the end what each rule did, and what never decided anything', function()
    local dir = folder { ['rules/more.lua'] = [[return {
      { id = 'never', score = 1, when = function(tx, f) return f.tx_1m > 99 end },
      { id = 'only', score = 1, only = { country = 'DE' }, when = function() return true end } }]] }
    local r = h.run({ 'run', '--json', '-e', ("stream:pack '%s'"):format(dir) }, BURST)
    local rules = {}
    for _, rule in ipairs(h.decode(h.lines(r.err)[#h.lines(r.err)]).rules) do rules[rule.name] = rule end
    assert.equal(1, rules['small/burst'].matches)
    assert.equal('', rules['small/burst'].note)
    assert.truthy(rules['small/never'].note:find('more.lua:2: it never matched', 1, true))
    assert.truthy(rules['small/only'].note:find('more.lua:3: its `only` never held', 1, true))
  end)

  it('makes a pack that passes its tests, which is the one of scripts/packs', function()
    local dir = h.path 'limits'
    local r = h.run { 'new', 'pack', dir }
    assert.equal(0, r.code, r.err)
    assert.equal('', h.shell(('diff -r %s scripts/packs/limits'):format(h.quote(dir))).out)
    assert.equal(0, h.run({ 'check', dir }).code)
    r = h.run { 'test', '--json', dir }
    assert.equal(0, r.code, r.err)
    assert.same({ 9, 0, 0 }, { h.decode(r.out).passed, h.decode(r.out).failed, h.decode(r.out).errors })
    assert.equal(2, h.run({ 'new', 'pack', dir }).code)
    assert.truthy(h.run({ 'new', 'pak', dir }).err:find("did you mean 'pack'?", 1, true))
  end)

  it('tells tests of a pack that fail, with their line, and those that cannot be', function()
    local function run(text)
      local r = h.run { 'test', '--json', folder { ['tests/t.lua'] = 'return {\n' .. text .. ' }\n' } }
      return h.decode(r.out), r
    end
    local out, r = run "{ 'first', events = { { ts = 0, card = 'a' } }, fires = { 'burst' }, decision = 'review', unknown = { 'burst' } }"
    assert.same({ 4, 1 }, { r.code, out.failed })
    for _, text in ipairs { 't.lua:2: ', "fires: the rule 'burst' did not", 'decision: expected review, got approve',
      "unknown: the rule 'burst' did not" } do
      assert.truthy(out.tests[1].message:find(text, 1, true), out.tests[1].message)
    end
    for text, why in pairs { ["{ 'x', events = { { ts = 0 } }, fires = { 'bust' } }"] = "no rule 'bust' (did you mean 'burst'?)",
      ["{ 'x', events = { { ts = 0, cart = 1 } }, fires = { 'burst' } }"] = "'cart' is no field",
        ["{ 'x', events = { { ts = 0 } } }"] = 'expects nothing',
      ["{ 'x', events = {}, fires = {} }"] = 'no event' } do
      out, r = run(text)
      assert.equal(3, r.code, r.out)
      assert.truthy(out.tests[1].message:find(why, 1, true), out.tests[1].message)
      assert.truthy(out.tests[1].message:find('t.lua:2: ', 1, true), out.tests[1].message)
    end
  end)

  it('goes on after a crash with features, suppression and the guard as they were', function()
    local dir = folder { ['pack.lua'] = BASE['pack.lua']:gsub('decisions',
      "suppress = { by = 'card', within = '1m' }, guard = { decision = 'review', max = 2, within = '1h', action = 'approve' }, decisions") }
    local spec = h.folder { ['crash_spec.lua'] = ([[
      local tm = require 'tidemill'
      it('goes on', function()
        local t = tm.testing.run({ tm.pipeline 'p':pack(%q) }, { checked = false })
        for i = 0, 2 do t:send { id = i, ts = i, card = 'a' } end
        assert.same({ 'review' }, { t:out()[3].decision })
        t:crash()
        t:send { id = 3, ts = 3, card = 'a' }
        local row = t:out()[1]
        assert.same({ 4, 'review', true }, { row.features.tx_1m, row.decision, row.suppressed })
        t:crash()
        t:send { id = 4, ts = 4, card = 'a' }
        row = t:out()[1]
        assert.same({ 5, 'approve', true }, { row.features.tx_1m, row.decision, row.guarded })
      end)]]):format(dir) }
    local r = h.run { 'test', spec }
    assert.equal(0, r.code, r.out .. r.err)
  end)
end)
