--[[
patterns_random_spec.lua - match against a slow reference (patterns_reference.py): random patterns of all constructs, each met together with
each other, on random streams of several keys with equal times and disorder. TIDEMILL_PATTERNS: how many,
TIDEMILL_PATTERNS_SEED: from where on.
]]

local h = require 'spec.helper'
local patterns = require 'spec.patterns'
local random = require 'spec.patterns_random'
local json = require 'dkjson'

local MANY = tonumber(os.getenv 'TIDEMILL_PATTERNS') or 600
local SEED = tonumber(os.getenv 'TIDEMILL_PATTERNS_SEED') or 1
local BATCH = 60
local PAIR_SHARE = 1 / 300   -- of the patterns have two constructs together, at the least
local KILLS = tonumber(os.getenv 'TM_KILLS') or 10

local pick = random.pick

local pairs_met, matches = {}, 0

--- run(args): what runs the command, an ordinary run without it.
local function run_batch(from, n, run)
  local dir = h.folder {}
  local jobs, lines, script, reference = {}, {}, { "local tm = require 'tidemill'", 'local out = {}' }, {}
  for job = 1, n do
    math.randomseed(from + job)
    local text, has, timeouts = random.pattern()
    local disorder = pick { 0, 0, 3, 8 }
    local list, p = random.stream(disorder), patterns.parse(text)
    local bound = p.within or p.between
    jobs[job] = { text = text, p = p, list = list, seed = from + job }
    for a in pairs(has) do
      for b in pairs(has) do pairs_met[a .. ' with ' .. b] = (pairs_met[a .. ' with ' .. b] or 0) + 1 end
    end
    script[#script + 1] = ([[
local p = %s
out[#out + 1] = tm.pipeline 'p%d':filter(function(e) return e.job == %d end):event_time { field = 't', out_of_order = '%dms' }
  :key_by 'key':match(p, { timeouts = %s%s }):set { job = %d }:to(tm.sink.file('%s/out%d'))]]):format(patterns.text(p, 'q' .. job), job,
      job, disorder, tostring(timeouts), bound and '' or ', unbounded = true', job, dir, job)
    for _, e in ipairs(list) do lines[#lines + 1] = random.line(e, job) end
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
  local args = { 'run', '--quiet', dir .. '/x.lua', '--from', dir .. '/in' }
  if run then
    run(args, dir)
  else
    local r = h.run(args)
    assert.equal('', r.err)
    assert.equal(0, r.code)
  end
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
    local names, inside = random.names_of(job.p.stages, {}, {})
    local want, have = {}, {}
    for i, m in ipairs(json.decode(line).matches) do want[i] = random.match_text(m, names, inside, job[key]) end
    for i, row in ipairs(got[(math.floor((at - 1) / 3) + 1) * 4 + key] or {}) do have[i] = random.row_text(row, names) end
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

  it('equal the reference in a run that is killed at random moments, and whose batches have few events', function()
    local kills = 0
    local round = 0
    repeat
      round = round + 1
      run_batch((SEED + round) * 100000, BATCH, function(args, dir)
        for _, word in ipairs { '--data', dir .. '/data', '--epoch', '5ms', '--rate', '2000/s' } do args[#args + 1] = word end
        local n, code, err = random.run_killed(args, 10)
        assert.equal(0, code, err)
        kills = kills + n
      end)
    until kills >= KILLS or round >= 2 * KILLS
    assert.is_true(kills >= KILLS, kills .. ' kills')
  end)

  it('have matches, and every construct with every other', function()
    assert.is_true(matches > MANY)
    if MANY < 600 then return end
    local names = { ',', '>', '>>', 'not_next', 'not_followed_by', 'not_at_end', 'group', 'group_quantified', 'every', 'one_or_more',
      'times', 'times_open', 'times_range', 'consecutive', 'combinations', 'greedy', 'stop_when', 'optional', 'iterative', 'within',
      'previous', 'skip_next', 'skip_past', 'skip_first', 'skip_last', 'timeouts' }
    local least, missing = math.max(1, math.floor(MANY * PAIR_SHARE)), {}
    for i, a in ipairs(names) do
      for j = i + 1, #names do
        local b = names[j]
        -- a pattern has one strategy, and the reference tells of times that are over without one
        local apart = a:find '^skip_' and (b:find '^skip_' or b == 'timeouts')
        local met = pairs_met[a .. ' with ' .. b] or 0
        if not apart and met < least then missing[#missing + 1] = ('%s with %s: %d of %d'):format(a, b, met, least) end
      end
    end
    assert.equal('', table.concat(missing, ', '))
  end)
end)
