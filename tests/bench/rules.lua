--[[
rules.lua - task R: many synthetic rules over events of 20 numbers, through the program, JSON in and JSON out.

  luajit tests/bench/rules.lua BUILD EVENTS ROUNDS      (1000000, 5)

A line a kind: events a second of processor time without the start (a run over one event is taken off each round), median and worst, and
what the start costs. Inputs lie in BUILD/bench. gen_rules.lua says what a rule is.
]]

local here = arg[0]:match '^(.*)/[^/]*$' or '.'
package.path = here .. '/?.lua;' .. package.path
local lib = require 'lib'

local build, events, rounds = arg[1] or 'build', tonumber(arg[2] or 1e6), tonumber(arg[3] or 5)
local measure, tidemill = build .. '/bench/measure', build .. '/tidemill'
local KINDS = {
  { 'comparisons, read by C', 1000, 'compare', 1 }, { 'functions that only Lua can call', 1000, 'function', 0.2 },
  { 'each with an `only`', 1000, 'only', 1 }, { 'each with an `only`, 10,000 of them', 10000, 'only', 1 },
}

local function cost_of(dir, input)
  local code = ("stream:pack('%s/pack', { fields = { 'decision', 'score' } })"):format(dir)
  local cost = lib.run(measure, { words = { tidemill, 'run', '--quiet', '-e', code, '--from', input }, output = '/dev/null' })
  if cost.code ~= 0 then error('the run over ' .. input .. ' failed') end
  return cost.cpu
end

for _, kind in ipairs(KINDS) do
  local n = math.floor(events * kind[4])
  local dir = ('%s/bench/rules-%s-%d'):format(build, kind[3], kind[2])
  local input, one = dir .. '/events.ndjson', dir .. '/one.ndjson'
  if not lib.exists(('%s/done-%d'):format(dir, n)) then
    local line = ("luajit %s/gen_rules.lua %s %d %s %d && head -n 1 %s > %s && touch %s/done-%d"):format(here, dir, kind[2], kind[3], n,
      input, one, dir, n)
    if not lib.output(line) then error('cannot write ' .. dir) end
  end
  local rates, starts = {}, {}
  for i = 1, rounds do
    starts[i] = cost_of(dir, one)
    rates[i] = n / (cost_of(dir, input) - starts[i])
  end
  print(('%6d rules, %-36s %10s events/s (worst %s)   start %.2f s'):format(kind[2], kind[1], lib.count(math.floor(lib.median(rates))),
    lib.count(math.floor(lib.min(rates))), lib.median(starts)))
end
