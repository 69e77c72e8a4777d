--[[
cases.lua - the plan of what is planted: cases of fraud (patterns.lua), each with the strengths asked for, and harmless doings that look
like it (harmless.lua); their people, who have a life before, and the times at which all of it happens.

A case has people of its own, so that nothing else that happens is counted with it: they live as everybody does until a day before.

  case   what a pattern's function works on: t (when it begins, ms), r (random numbers), s (strength), and the methods below
]]

local harmless, patterns = require 'harmless', require 'patterns'
local people, random = require 'people', require 'random'

local M = {}

local DAY, HOUR = 86400000, 3600000
local HISTORY = 35 * DAY

local Case = {}
Case.__index = Case

--- A number of things of which `least` is what still is usual: a share of it, away from it.
function Case:number(least)
  if self.s < 1 then return math.floor(least * self.s + 1e-9) end
  return math.ceil(least * self.s - 1e-9)
end

--- An event of the case.
function Case:tell(e)
  e.label = { case = self.id, pattern = self.pattern, strength = self.s, fraud = self.fraud }
  self.out[#self.out + 1] = e
  return e
end

--- An event before or around it, which is no part of it.
function Case:add(e) self.out[#self.out + 1] = e return e end

--- Somebody of whom nothing is known yet.
function Case:stranger(kind)
  self.people_n = self.people_n + 1
  return people.customer(self.r, ('%s-%d'):format(self.name, self.people_n), kind)
end

--- Somebody who has lived for 35 days until a day before the case. history: { mean, deviation, sum, ewma of 7 days, n } of what was paid
--- in the last 30 of them.
function Case:victim(kind)
  local c, r, list = self:stranger(kind or 'regular'), self.r, {}
  local t = self.t - HISTORY
  while true do
    t = people.next_time(c, r, t)
    if t > self.t - 26 * HOUR then break end
    local e = people.live(c, r, t)
    if e.kind == 'payment' and self.rare and #list % 8 == 7 and e.channel ~= 'atm' then e.amount = people.cents(r:within(150, 190)) end
    if e.kind == 'payment' and self.rare and #list % 8 ~= 7 then e.amount = people.cents(r:within(10, 20)) end
    self:add(e)
    if e.kind == 'payment' and e.result == 'approved' then list[#list + 1] = e end
  end
  local h = { mean = 0, deviation = 0, sum = 0, ewma = 0, n = 0 }
  local weights = 0
  for _, e in ipairs(list) do
    local weight = 0.5 ^ ((self.t - e.ts) / (7 * DAY))
    h.ewma, weights = h.ewma + weight * e.amount, weights + weight
    if e.ts > self.t - 30 * DAY then h.n, h.sum = h.n + 1, h.sum + e.amount end
  end
  h.mean, h.ewma = h.sum / h.n, h.ewma / weights
  for _, e in ipairs(list) do
    if e.ts > self.t - 30 * DAY then h.deviation = h.deviation + (e.amount - h.mean) ^ 2 end
  end
  h.deviation = math.sqrt(h.deviation / (h.n - 1))
  c.history = h
  return c
end

--- A payment of somebody, so long after the case began.
function Case:pay(c, after, over) return self:tell(people.payment(c, self.r, self.t + after, over)) end

--- The same before it, no part of it.
function Case:paid(c, before, over) return self:add(people.payment(c, self.r, self.t - before, over)) end

--- An event of somebody's account.
function Case:bank(c, after, kind, over) return self:tell(people.banking(c, self.t + after, kind, over)) end

--- Amounts that are usual for the person, and small.
function Case:small() return people.cents(self.r:within(4, 15)) end

--- A shop of the case's own.
function Case:shop(c, n) return people.shop(self.r, c.country, ('shop-%s-%d'):format(self.name, n or 1)) end

local function sorted(set)
  local list = {}
  for k in pairs(set) do list[#list + 1] = k end
  table.sort(list)
  return list
end

--- The events of one case, in order of time.
local function make(o, n, planned)
  local case = setmetatable({ id = n, pattern = planned.name, r = random.new(o.seed, 5000000 + n), s = planned.s, fraud = planned.fraud,
    out = {}, name = ('k%d-%d'):format(o.seed, n), people_n = 0 }, Case)
  -- a morning of the last days
  case.t = o.to - case.r:whole(1, 6) * DAY + 8 * HOUR + case.r:whole(0, HOUR)
  planned.build(case, case.r)
  for i, e in ipairs(case.out) do e.order = i end
  table.sort(case.out, function(a, b)
    if a.ts ~= b.ts then return a.ts < b.ts end
    return a.order < b.order
  end)
  for _, e in ipairs(case.out) do e.order = nil end
  return case.out
end

--- What is planted, case by case: a function that gives the events of the next one, nil behind the last.
---@param o table seed, to (ms), cases (of each pattern and strength), strengths, look_alikes (of each kind), only: a pattern's name or ''
---@return function
function M.plan(o)
  local list, at = {}, 0
  local function add(name, n, build, s, fraud)
    for _ = 1, n do
      list[#list + 1] = { name = name, build = build, s = s, fraud = fraud, left_out = o.only ~= '' and o.only ~= name }
    end
  end
  for _, name in ipairs(sorted(patterns)) do
    for _, s in ipairs(o.strengths) do add(name, o.cases, patterns[name], s, s >= 1) end
  end
  for _, name in ipairs(sorted(harmless)) do add(name, o.look_alikes, harmless[name], nil, false) end
  return function()
    repeat at = at + 1 until not list[at] or not list[at].left_out
    return list[at] and make(o, at, list[at]) or nil
  end
end

return M
