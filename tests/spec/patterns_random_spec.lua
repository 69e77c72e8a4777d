--[[
patterns_random_spec.lua - match against a slow reference (patterns_reference.py): random patterns of all constructs, each met together with
each other, on random streams of several keys with equal times and disorder. TIDEMILL_PATTERNS: how many,
TIDEMILL_PATTERNS_SEED: from where on.
]]

local h = require 'spec.helper'
local patterns = require 'spec.patterns'
local json = require 'dkjson'

local MANY = tonumber(os.getenv 'TIDEMILL_PATTERNS') or 600
local SEED = tonumber(os.getenv 'TIDEMILL_PATTERNS_SEED') or 1
local BATCH = 60

local function pick(list) return list[math.random(#list)] end
local function chance(p) return math.random() < p end

local LETTERS = { 'a', 'b', 'c', 'ab', 'bc', 'ac', 'd' }

--- Stages as text. has: constructs met.
local function random_stages(has, depth, least, behind_greedy)
  local parts, before, required = {}, { behind_greedy = behind_greedy }, false
  local n = math.random(least, depth == 0 and 4 or 3)
  for i = 1, n do
    local s = {}
    local link = i > 1 and pick { ',', '>', '>', '>>' } or ''
    local excluded = i > 1 and not before.optional and chance(0.2) and (depth == 0 or i < n and required)
    if excluded then
      link = pick { '!,', '!>', '!>' }
      has[link == '!,' and 'not_next' or i == n and 'not_at_end' or 'not_followed_by'] = true
      parts[i] = link .. ' ' .. pick { 'a', 'b', 'c', 'd', 'bd' }
      s.excluded, s.behind_greedy = true, before.greedy or before.behind_greedy
    else
      if link ~= '' then has[link] = true end
      local text
      if depth < 2 and chance(0.15) then
        text, has.group, s.group = '(' .. random_stages(has, depth + 1, 1, before.greedy or before.behind_greedy) .. ')', true, true
      else
        text = chance(0.05) and '.' or pick(LETTERS)
        if text == '.' then has.every = true end
      end
      if chance(0.45) then
        local q = pick { '+', '{2}', '{1,2}', '{2,3}', '{2,}' }
        has[q == '+' and 'one_or_more' or q == '{2}' and 'times' or q == '{2,}' and 'times_open' or 'times_range'] = true
        if s.group then has.group_quantified = true end
        text = text .. q
        local open = q == '+' or q == '{2,}'
        local inner = chance(0.3) and pick { 's', 'c' } or ''
        if inner ~= '' then has[inner == 's' and 'consecutive' or 'combinations'] = true end
        text = text .. inner
        -- what greedy yields to at the end of a group, or behind what is excluded, Flink leaves open
        if inner ~= 'c' and not s.group and chance(0.3) and (depth == 0 or i > 1 and i < n) and not before.excluded and
          text:sub(1, 1) ~= '.' then
          text, s.greedy, has.greedy = text .. 'g', true, true
        end
        if open and chance(0.25) and not s.greedy then text, has.stop_when = text .. '/' .. pick { 'a', 'b', 'd' }, true end
      end
      -- a group has a stage that must come
      if not (before.greedy or before.behind_greedy) and chance(0.2) and (depth == 0 or i == 1 and n > 1 or required) then
        text, s.optional, has.optional = text .. '?', true, true
      else
        required = true
      end
      if not s.group and chance(0.12) then text, has.iterative = text .. '#' .. pick { 'up', 'sum' }, true end
      parts[i] = (link ~= '' and link .. ' ' or '') .. text
    end
    before = s
  end
  return table.concat(parts, ' ')
end

local function random_pattern()
  local has = {}
  local text = random_stages(has, 0, 2)
  local words = {}
  if has.not_at_end or chance(0.5) then
    words[1], has.within = 'within ' .. math.random(3, 12), true
  end
  if chance(0.2) then words[#words + 1], has.previous = 'prev ' .. math.random(2, 6), true end
  local skip = pick { 'none', 'none', 'next', 'past', 'first', 'last' }
  if skip == 'first' or skip == 'last' then skip = skip .. ' s1' end
  if skip ~= 'none' then words[#words + 1], has['skip_' .. skip:match '%l+'] = skip, true end
  local timeouts = skip == 'none' and (has.within or has.previous) and chance(0.4)
  if timeouts then has.timeouts = true end
  return text .. (#words > 0 and ' | ' .. table.concat(words, ' ') or ''), has, timeouts
end

--- Events of some keys in order of arrival; within `disorder` of the latest time.
local function random_stream(disorder)
  local list, t, top = {}, 100, 100
  for i = 1, math.random(12, 34) do
    if not chance(0.25) then t = t + math.random(1, 3) end
    local at = t - (disorder > 0 and chance(0.4) and math.random(0, disorder) or 0)
    if at < top - disorder then at = top - disorder end
    if at > top then top = at end
    list[i] = { k = pick { 'a', 'b', 'c', 'a', 'b', 'd', 'x' }, p = math.random(0, 4), t = at, i = i, key = math.random(1, 3), n = i }
  end
  return list
end

local function line_of(e, job)
  return ('{"job":%d,"key":%d,"k":"%s","p":%d,"t":%d,"i":%d}'):format(job, e.key, e.k, e.p, e.t, e.i)
end

--- The rows of a key as text, each its time and the events of each stage.
local function row_text(row, names)
  local parts = { row.time .. (row.timed_out and '!' or '') }
  for _, name in ipairs(names) do
    local ids = {}
    for i, e in ipairs(row[name]) do ids[i] = e.i end
    parts[#parts + 1] = name .. '=' .. table.concat(ids, ',')
  end
  return table.concat(parts, ' ')
end

local function names_of(stages, list, inside)
  for _, s in ipairs(stages) do
    list[#list + 1] = s.name
    inside[s.name] = {}
    if s.group then
      local from = #list + 1
      names_of(s.group, list, inside)
      for i = from, #list do inside[s.name][list[i]] = true end
    end
  end
  return list, inside
end

local function want_text(m, names, inside, events)
  local of = {}
  for _, name in ipairs(names) do of[name] = {} end
  for i, id in ipairs(m.events) do
    for _, name in ipairs(names) do
      if name == m.stages[i] or inside[name][m.stages[i]] then table.insert(of[name], events[id].i) end
    end
  end
  local parts = { m.time .. (m.timed_out and '!' or '') }
  for _, name in ipairs(names) do parts[#parts + 1] = name .. '=' .. table.concat(of[name], ',') end
  return table.concat(parts, ' ')
end

local pairs_met, matches = {}, 0

local function run_batch(from, n)
  local dir = h.folder {}
  local jobs, lines, script, reference = {}, {}, { "local tm = require 'tidemill'", 'local out = {}' }, {}
  for job = 1, n do
    math.randomseed(from + job)
    local text, has, timeouts = random_pattern()
    local disorder = pick { 0, 0, 3, 8 }
    local list, p = random_stream(disorder), patterns.parse(text)
    local bound = p.within or p.between
    jobs[job] = { text = text, p = p, list = list, seed = from + job }
    for a in pairs(has) do for b in pairs(has) do pairs_met[a .. ' with ' .. b] = true end end
    script[#script + 1] = ([[
local p = %s
out[#out + 1] = tm.pipeline 'p%d':filter(function(e) return e.job == %d end):event_time { field = 't', out_of_order = '%dms' }
  :key_by 'key':match(p, { timeouts = %s%s }):set { job = %d }:to(tm.sink.file('%s/out%d'))]]):format(patterns.text(p, 'q' .. job), job,
      job, disorder, tostring(timeouts), bound and '' or ', unbounded = true', job, dir, job)
    for _, e in ipairs(list) do lines[#lines + 1] = line_of(e, job) end
    for key = 1, 3 do
      local mine = {}
      for _, e in ipairs(list) do if e.key == key then mine[#mine + 1] = e end end
      table.sort(mine, function(a, b) return a.t < b.t or a.t == b.t and a.i < b.i end)
      local copy = {}
      for i, e in ipairs(mine) do copy[i] = { k = e.k, p = e.p, t = e.t, i = i } end
      jobs[job][key] = mine
      setmetatable(copy, { __jsontype = 'array' })
      reference[#reference + 1] = json.encode { pattern = p, timeouts = timeouts or false, events = copy }
    end
  end
  script[#script + 1] = 'return out'
  h.write(table.concat(script, '\n'), dir .. '/x.lua')
  h.write(table.concat(lines, '\n') .. '\n', dir .. '/in')
  h.write(table.concat(reference, '\n') .. '\n', dir .. '/jobs')
  local r = h.run({ 'run', '--quiet', dir .. '/x.lua', '--from', dir .. '/in' })
  assert.equal('', r.err)
  assert.equal(0, r.code)
  local got = {}
  for job = 1, n do
    for line in h.read(('%s/out%d'):format(dir, job)):gmatch '[^\n]+' do
      local row = h.decode(line)
      local at = row.job * 4 + row.key
      got[at] = got[at] or {}
      table.insert(got[at], row)
    end
  end
  local ref = h.shell(('python3 tests/spec/patterns_reference.py <%s/jobs'):format(dir))
  assert.equal(0, ref.code, ref.err)
  local at = 0
  for line in ref.out:gmatch '[^\n]+' do
    at = at + 1
    local job, key = jobs[math.floor((at - 1) / 3) + 1], (at - 1) % 3 + 1
    local names, inside = names_of(job.p.stages, {}, {})
    local want, have = {}, {}
    for i, m in ipairs(json.decode(line).matches) do want[i] = want_text(m, names, inside, job[key]) end
    for i, row in ipairs(got[(math.floor((at - 1) / 3) + 1) * 4 + key] or {}) do have[i] = row_text(row, names) end
    local events = {}
    for i, e in ipairs(job[key]) do events[i] = ('%s%d:%d@%d'):format(e.k, e.i, e.p, e.t) end
    matches = matches + #want
    assert.equal(table.concat(want, '\n'), table.concat(have, '\n'), ('seed %d: %s   on   %s'):format(job.seed, job.text,
      table.concat(events, ' ')))
  end
  assert.equal(3 * n, at)
end

describe('random patterns', function()
  for from = SEED, SEED + MANY - 1, BATCH do
    it(('%d to %d equal the reference'):format(from, math.min(from + BATCH, SEED + MANY) - 1), function()
      run_batch(from, math.min(BATCH, SEED + MANY - from))
    end)
  end

  it('have matches, and every construct with every other', function()
    assert.is_true(matches > MANY)
    if MANY < 600 then return end
    local names = { ',', '>', '>>', 'not_next', 'not_followed_by', 'not_at_end', 'group', 'group_quantified', 'every', 'one_or_more',
      'times', 'times_open', 'times_range', 'consecutive', 'combinations', 'greedy', 'stop_when', 'optional', 'iterative', 'within',
      'previous', 'skip_next', 'skip_past', 'skip_first', 'skip_last', 'timeouts' }
    local missing = {}
    for i, a in ipairs(names) do
      for j = i + 1, #names do
        local b = names[j]
        -- a pattern has one strategy, and the reference tells of times that are over without one
        local apart = a:find '^skip_' and (b:find '^skip_' or b == 'timeouts')
        if not apart and not pairs_met[a .. ' with ' .. b] then missing[#missing + 1] = a .. ' with ' .. b end
      end
    end
    assert.equal('', table.concat(missing, ', '))
  end)
end)
