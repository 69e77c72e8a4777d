--[[
patterns_retract_spec.lua - match with emit 'retract' against a reference that matches everything anew behind each event
(patterns_retract_reference.py): random patterns on random streams in disorder, of which some events come later than the watermark waits. Also
its bounds, and what becomes of it in a crash and in a run that is kept. TIDEMILL_RETRACTIONS: how many, TIDEMILL_PATTERNS_SEED: from
where on.
]]

local h = require 'spec.helper'
local patterns = require 'spec.patterns'
local random = require 'spec.patterns_random'
local running = require 'spec.running'
local json = require 'dkjson'

local MANY = tonumber(os.getenv 'TIDEMILL_RETRACTIONS') or 240
local SEED = tonumber(os.getenv 'TIDEMILL_PATTERNS_SEED') or 1
local BATCH = 40
local KILLS = tonumber(os.getenv 'TM_KILLS') or 10

local taken_back, sent, were_late = 0, 0, 0

-- what late events are likely to spoil
local BODIES = { 'a , b', 'a > b', 'a !> c > b', 'a , b+', 'a+ > b', 'a+g > b', 'a , (b , c)? , d', '(a , b)+', 'a !> b', 'a > b !> c', 'a !, b',
  'a{2} > b', 'a{1,2}c > b', 'ab+s , c', 'a >> b', 'a+/d > b', 'a > b#up', 'a , .', 'a > b#sum > c?' }
local SKIPS = { '', '', ' next', ' past', ' first s2', ' last s2', ' last s1' }

--- A pattern as text, and whether timeouts are rows.
local function pattern_of()
  if random.chance(0.4) then
    local text, _, timeouts = random.pattern()
    return text, timeouts
  end
  local body, skip = random.pick(BODIES), random.pick(SKIPS)
  if not body:find ' ' or body:find '^%(' then skip = '' end
  return ('%s | within %d%s'):format(body, math.random(4, 20), skip), skip == '' and random.chance(0.4)
end

--- Jobs from one seed on: patterns, events, and what a script and the reference are to be given.
local function jobs_from(from, n, dir)
  local jobs, lines, script, reference = {}, {}, { "local tm = require 'tidemill'", 'local out = {}' }, {}
  for job = 1, n do
    math.randomseed(from + job)
    local text, timeouts = pattern_of()
    local disorder, waits, lateness = random.pick { 3, 8, 15 }, random.pick { 0, 0, 1, 4 }, random.pick { 2, 5, 12, 40, 40 }
    local p = patterns.parse(text)
    local bound = p.within or p.between
    -- without a bound the answers grow with each event
    local list = bound and random.stream(disorder, 24, 50, 2, { 'a', 'a', 'b', 'b', 'c', 'd' }) or random.stream(disorder)
    jobs[job] = { text = text, p = p, list = list, seed = from + job }
    script[#script + 1] = ([[
local p = %s
out[#out + 1] = tm.pipeline 'p%d':filter(function(e) return e.job == %d end):event_time { field = 't', out_of_order = '%dms' }
  :key_by 'key':match(p, { timeouts = %s, emit = 'retract', lateness = '%dms'%s })
  :map(function(m) m.job = %d return m end):late_to(tm.sink.file('%s/late%d')):to(tm.sink.file('%s/out%d'))]]):format(
      patterns.text(p, 'q' .. job), job, job, waits, tostring(timeouts), lateness, bound and '' or ', unbounded = true', job, dir, job, dir,
      job)
    for _, e in ipairs(list) do lines[#lines + 1] = random.line(e, job) end
    reference[job] = json.encode { pattern = p, timeouts = timeouts or false, events = list, out_of_order = waits, lateness = lateness }
  end
  script[#script + 1] = 'return out'
  h.write(table.concat(script, '\n'), dir .. '/x.lua')
  h.write(table.concat(lines, '\n') .. '\n', dir .. '/in')
  h.write(table.concat(reference, '\n') .. '\n', dir .. '/jobs')
  return jobs
end

--- Rows of a file by key, each as { op, text }; numbers of late events.
local function rows_of(dir, job, names)
  local by_key, late = {}, {}
  for line in h.read(('%s/out%d'):format(dir, job)):gmatch '[^\n]+' do
    local row = h.decode(line)
    by_key[row.key] = by_key[row.key] or {}
    table.insert(by_key[row.key], { row.op, random.row_text(row, names) })
  end
  for line in h.read(('%s/late%d'):format(dir, job)):gmatch '[^\n]+' do late[#late + 1] = h.decode(line).i end
  return by_key, late
end

--- The next n rows of a key as sorted text, those that are taken back before the others.
local function take(rows, at, minus, plus)
  local list = {}
  for i = at, at + minus + plus - 1 do
    local row = rows[i] or { '?', 'no row' }
    list[#list + 1] = (i - at < minus and 1 or 2) .. ' ' .. row[1] .. ' ' .. row[2]
  end
  table.sort(list)
  return table.concat(list, '\n')
end

local function compare(dir, jobs)
  local ref = h.shell(('cd tests/spec && python3 patterns_retract_reference.py <%s/jobs'):format(dir))
  assert.equal(0, ref.code, ref.err)
  local n = 0
  for line in ref.out:gmatch '[^\n]+' do
    n = n + 1
    local job, want = jobs[n], json.decode(line)
    local names, inside = random.names_of(job.p.stages, {}, {})
    local rows, late = rows_of(dir, n, names)
    local events = {}
    for i, e in ipairs(job.list) do events[i] = ('%s%d:%d@%d/%d'):format(e.k, e.i, e.p, e.t, e.key) end
    local what = ('seed %d: %s   on   %s'):format(job.seed, job.text, table.concat(events, ' '))
    assert.same(want.late, late, what)
    were_late = were_late + #late
    local at = {}
    for _, step in ipairs(want.steps) do
      local list = {}
      for place, matches in ipairs { step.minus, step.plus } do
        for _, m in ipairs(matches) do
          list[#list + 1] = place .. (place == 1 and ' - ' or ' + ') .. random.match_text(m, names, inside, job.list)
        end
      end
      table.sort(list)
      local from = at[step.key] or 1
      assert.equal(table.concat(list, '\n'), take(rows[step.key] or {}, from, #step.minus, #step.plus),
        ('key %d, row %d, '):format(step.key, from) .. what)
      at[step.key] = from + #list
      taken_back, sent = taken_back + #step.minus, sent + #step.plus
    end
    for key, list in pairs(rows) do assert.equal(#list + 1, at[key] or 1, ('key %d has more rows, '):format(key) .. what) end
  end
  assert.equal(#jobs, n)
end

describe('late events', function()
  after_each(running.stop_all)

  for from = SEED, SEED + MANY - 1, BATCH do
    it(('correct random patterns %d to %d as the reference does'):format(from, math.min(from + BATCH, SEED + MANY) - 1), function()
      local dir = h.folder {}
      local jobs = jobs_from(from, math.min(BATCH, SEED + MANY - from), dir)
      local r = h.run { 'run', '--quiet', dir .. '/x.lua', '--from', dir .. '/in' }
      assert.equal('', r.err)
      assert.equal(0, r.code)
      compare(dir, jobs)
    end)
  end

  it('correct them too in a run that is killed at random moments, and whose batches have few events', function()
    local dir = h.folder {}
    local jobs = jobs_from(SEED + 70000, BATCH, dir)
    local kills, code, err = random.run_killed({ 'run', '--quiet', dir .. '/x.lua', '--from', dir .. '/in', '--data', dir .. '/data',
      '--epoch', '5ms', '--rate', '2000/s' }, KILLS)
    assert.equal(0, code, err)
    compare(dir, jobs)
    assert.is_true(kills >= math.min(KILLS, 5), kills .. ' kills')
  end)

  it('took matches back, sent others, and some came too late', function()
    assert.is_true(taken_back > MANY / 8, taken_back .. ' taken back')
    assert.is_true(sent > MANY, sent .. ' sent')
    assert.is_true(were_late > MANY / 4, were_late .. ' late')
  end)
end)
