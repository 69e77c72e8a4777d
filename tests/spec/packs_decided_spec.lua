--[[
packs_decided_spec.lua - features that count the pack's own decisions, and those that are warming below min_history, against a plain
loop: for every event all decisions about its key before are looked at, one by one. Events are up to 4 s out of order, times are often
equal, keys are missing now and then; in one batch and in many, compiled and interpreted.
]]

local h = require 'spec.helper'
local generator = require 'spec.pack_reference'.generator
local dkjson = require 'dkjson'

local EVENTS, SEEDS = 1500, 6
local SECOND, MINUTE = 1000, 60000

local FILES = {
  ['pack.lua'] = [[return { name = 'decided', version = '1.0.0', stream = 's', time = { field = 'ts', unit = 'ms', out_of_order = '5s' },
    guard = { decision = 'decline', max = 3, within = '20s', action = 'review' }, decisions = { review = 50, decline = 100 } }]],
  ['schema/s.lua'] = "return { ts = 'time_ms', id = 'integer', card = 'string', shop = 'string', amount = 'number' }",
  ['features/card.lua'] = [[return tm.features { key = 'card', max_keys = 1000, declined = tm.f.decisions('decline', { over = '1m' }),
    bad = tm.f.decisions({ 'review', 'decline' }, { over = '5m' }), all = tm.f.decisions { over = '30s' },
    mean = tm.f.avg('amount', { over = '1m', current = false, min_history = 4 }) }]],
  ['features/pair.lua'] = [[return tm.features { key = { 'card', 'shop' }, max_keys = 1000,
    pair_reviewed = tm.f.decisions('review', { over = '2m' }) }]],
  ['rules/all.lua'] = [[return {
    { id = 'large', score = 50, when = function(tx) return tx.amount > 600 end },
    { id = 'largest', score = 60, when = function(tx) return tx.amount > 850 end },
    { id = 'again', score = 100, when = function(tx, f) return f.declined >= 2 and tx.amount > 200 end },
    { id = 'often', score = 45, when = function(tx, f) return f.bad > 3 and tx.amount > 400 end },
    { id = 'pair', score = 30, when = function(tx, f) return f.pair_reviewed > 0 and tx.amount > 300 end },
    { id = 'busy', score = 20, when = function(tx, f) return f.all > 6 end },
    { id = 'unusual', score = 35, needs = { 'mean' }, when = function(tx, f) return tx.amount > 2 * f.mean end },
  }]],
}

local function events_of(seed)
  local r, list, now = generator(seed), {}, 1700000000000
  for i = 1, EVENTS do
    if not r.chance(0.3) then now = now + r.to(3 * SECOND) end
    local e = { id = i, ts = r.chance(0.2) and now - r.to(4 * SECOND) or now, amount = r.to(1000), shop = 's' .. r.to(3) }
    if r.chance(0.95) then e.card = 'c' .. r.to(5) end
    list[i] = e
  end
  return list
end

--- How many decisions about events of the same key, made before, have their time in (t - size, t].
local function made(log, e, keys, size, names)
  local n = 0
  for _, key in ipairs(keys) do if e[key] == nil then return nil end end
  for _, d in ipairs(log) do
    local same = d.ts > e.ts - size and d.ts <= e.ts and (not names or names[d.decision])
    for _, key in ipairs(keys) do same = same and d.e[key] == e[key] end
    if same then n = n + 1 end
  end
  return n
end

--- The mean of amounts before in a minute; nil below four of them.
local function mean_of(log, e)
  local n, sum = 0, 0
  if e.card == nil then return nil end
  for _, d in ipairs(log) do
    if d.e.card == e.card and d.ts > e.ts - MINUTE and d.ts <= e.ts then n, sum = n + 1, sum + d.e.amount end
  end
  if n >= 4 then return sum / n end
end

local CARD, PAIR = { 'card' }, { 'card', 'shop' }

local function decide(events)
  local log, out, guarded = {}, {}, {}
  local seen = { decline = 0, review = 0, approve = 0, warming = 0, again = 0, pair = 0 }
  for i, e in ipairs(events) do
    local declined = made(log, e, CARD, MINUTE, { decline = true })
    local bad, all = made(log, e, CARD, 5 * MINUTE, { decline = true, review = true }), made(log, e, CARD, 30 * SECOND)
    local pair, mean = made(log, e, PAIR, 2 * MINUTE, { review = true }), mean_of(log, e)
    local ids, score = {}, 0
    local function rule(id, points, yes)
      if yes then ids[#ids + 1], score = id, score + points end
    end
    local known = e.card ~= nil
    rule('again', 100, known and declined >= 2 and e.amount > 200)
    rule('largest', 60, e.amount > 850)
    rule('large', 50, e.amount > 600)
    rule('often', 45, known and bad > 3 and e.amount > 400)
    rule('unusual', 35, mean and e.amount > 2 * mean)
    rule('pair', 30, known and pair > 0 and e.amount > 300)
    rule('busy', 20, known and all > 6)
    local decision = score >= 100 and 'decline' or score >= 50 and 'review' or 'approve'
    if decision == 'decline' then
      if #guarded >= 3 and guarded[#guarded - 2] > e.ts - 20 * SECOND then
        decision = 'review'
      else
        guarded[#guarded + 1] = e.ts
      end
    end
    log[i] = { e = e, ts = e.ts, decision = decision }
    table.sort(ids)
    out[i] = ('%d %s %d %s %s %s %s %s'):format(e.id, decision, score, table.concat(ids, ','), tostring(declined), tostring(bad),
      tostring(all), tostring(pair))
    seen[decision] = seen[decision] + 1
    if known and not mean then seen.warming = seen.warming + 1 end
    for _, id in ipairs(ids) do if seen[id] then seen[id] = seen[id] + 1 end end
  end
  return table.concat(out, '\n'), seen
end

local function shown(text)
  local out = {}
  for i, row in ipairs(h.rows(text)) do
    local ids, f = {}, row.features
    for k, rule in ipairs(row.rules) do ids[k] = rule.id end
    table.sort(ids)
    out[i] = ('%d %s %d %s %s %s %s %s'):format(row.event.id, row.decision, row.score, table.concat(ids, ','), tostring(f.declined),
      tostring(f.bad), tostring(f.all), tostring(f.pair_reviewed))
  end
  return table.concat(out, '\n')
end

describe('features of decisions and of some history', function()
  for seed = 1, SEEDS do
    it('are what a plain loop counts, seed ' .. seed, function()
      local dir, events, lines = h.folder(FILES), events_of(seed), {}
      local want, seen = decide(events)
      for name, n in pairs(seen) do assert.is_true(n > 20, name .. ': ' .. n) end
      for i, e in ipairs(events) do lines[i] = dkjson.encode(e, { keyorder = { 'ts', 'id', 'card', 'shop', 'amount' } }) end
      local input, code = h.write(table.concat(lines, '\n') .. '\n'), ("stream:pack('%s')"):format(dir)
      for way = 1, seed % 3 == 0 and 2 or 1 do
        local r = h.run { 'run', way == 1 and '--quiet' or '--no-jit', '-e', code, '--from', input }
        assert.equal(0, r.code, r.err)
        h.compare(want, shown(r.out), ('one batch, seed %d, way %d'):format(seed, way))
      end
      local cut = h.write(([[
import sys, time
lines = open(%q).read().splitlines(True)
i, k = 0, 1
while i < len(lines):
    sys.stdout.write(''.join(lines[i:i + k])); sys.stdout.flush(); i += k; k = k * 7 %% 61 + 1; time.sleep(0.002)
]]):format(input))
      local r = h.shell(('%s %s | %s'):format(h.python, h.quote(cut), h.command { 'run', '--quiet', '-e', code }))
      assert.equal(0, r.code, r.err)
      h.compare(want, shown(r.out), 'many batches, seed ' .. seed)
    end)
  end
end)
