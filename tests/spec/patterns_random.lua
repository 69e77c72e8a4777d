--[[
patterns_random.lua - random patterns of all constructs and random streams, for specs that compare match with a reference; and matches as
text, from rows and from what the reference says.
]]

local r = require 'spec.running'
local system = require 'system'

local M = {}

--- One of a list.
local function pick(list) return list[math.random(#list)] end
local function chance(p) return math.random() < p end

M.pick, M.chance = pick, chance

local LETTERS = { 'a', 'b', 'c', 'ab', 'bc', 'ac', 'd' }

--- Stages as text. has: constructs met.
local function random_stages(has, depth, least, behind_greedy)
  local parts, before, required, behind_not = {}, { behind_greedy = behind_greedy }, false, false
  local n = math.random(least, depth == 0 and 4 or 3)
  for i = 1, n do
    local s = {}
    local link = i > 1 and pick { ',', '>', '>', '>>' } or ''
    local excluded = i > 1 and not before.optional and chance(0.2) and (depth == 0 or i < n and required)
    if excluded then
      link = pick { '!,', '!>', '!>' }
      behind_not = behind_not or link == '!>'
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
      -- a group has a stage that must come, also behind what is excluded
      local may_miss = depth == 0 or (i == 1 and n > 1 or required) and not (behind_not and i == n)
      if may_miss and not (before.greedy or before.behind_greedy) and chance(0.2) then
        text, s.optional, has.optional = text .. '?', true, true
      else
        required, behind_not = true, false
      end
      if not s.group and chance(0.12) then text, has.iterative = text .. '#' .. pick { 'up', 'sum' }, true end
      parts[i] = (link ~= '' and link .. ' ' or '') .. text
    end
    before = s
  end
  return table.concat(parts, ' ')
end

--- A pattern as text, constructs met in it, whether timeouts are rows.
function M.pattern()
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

--- Events of some keys in order of arrival; within `disorder` of the latest time. least, most: how many (12 to 34); keys: 3; letters: a
--- list
function M.stream(disorder, least, most, keys, letters)
  local list, t, top = {}, 100, 100
  for i = 1, math.random(least or 12, most or 34) do
    if not chance(0.25) then t = t + math.random(1, 3) end
    local at = t - (disorder > 0 and chance(0.4) and math.random(0, disorder) or 0)
    if at < top - disorder then at = top - disorder end
    if at > top then top = at end
    list[i] = { k = pick(letters or { 'a', 'b', 'c', 'a', 'b', 'd', 'x' }), p = math.random(0, 4), t = at, i = i,
      key = math.random(1, keys or 3), n = i }
  end
  return list
end

--- An event as a line.
function M.line(e, job)
  return ('{"job":%d,"key":%d,"k":"%s","p":%d,"t":%d,"i":%d}'):format(job, e.key, e.k, e.p, e.t, e.i)
end

--- A row as text: its time and the events of each stage.
function M.row_text(row, names)
  local parts = { row.time .. (row.timed_out and '!' or '') }
  for _, name in ipairs(names) do
    local ids = {}
    for i, e in ipairs(row[name]) do ids[i] = e.i end
    parts[#parts + 1] = name .. '=' .. table.concat(ids, ',')
  end
  return table.concat(parts, ' ')
end

--- Names of all stages in order, and by name those inside each.
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

M.names_of = names_of

--- A match of the reference as the same text. events: by the numbers that it has.
function M.match_text(m, names, inside, events)
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

--- Runs a command that keeps its state, slowly, so that a batch has few events; kills it, host and worker, at random moments until it was
--- killed so often or has ended, and lets it end. Returns how often it was killed, its exit code and its words.
function M.run_killed(args, most)
  local kills = 0
  while kills < most do
    local p = r.start(args)
    local last = system.monotime() + math.random() * 0.25
    while system.monotime() < last and not p:code() do system.sleep(0.002) end
    if p:code() then return kills, p:code(), p:err() end
    local worker = p:worker()
    p:signal 'KILL'
    if worker then p:signal('KILL', worker) end
    p:wait()
    kills = kills + 1
  end
  local p = r.start(args)
  return kills, p:wait(120), p:err()
end

return M
