--[[
patterns_conditions.lua - whether the edges of a pattern hold for an event and a match that has begun: their expressions, compiled once.
]]

local M = {}

--- Functions that say whether an edge holds for the event at hand. calls: user's functions with the view in place, f(m), by number, filled
--- in later; each is asked once an event, or once an event and run.
---@return table env: event_seen, run_seen: what was answered, to be cleared for the next event and run; m: what functions see, false: not
---   asked for yet; match(): gives it, to be set
function M.compile(graph, calls)
  local env = { event_seen = {}, run_seen = {}, m = false, match = false }
  local text = { [[
local env, calls = ...
local event_seen, run_seen = env.event_seen, env.run_seen
local function event(i)
  local v = event_seen[i]
  if v == nil then
    v = calls[i](false) and true or false
    event_seen[i] = v
  end
  return v
end
local function run(i)
  local v = run_seen[i]
  if v == nil then
    local m = env.m
    if not m then
      m = env.match()
      env.m = m
    end
    v = calls[i](m) and true or false
    run_seen[i] = v
  end
  return v
end
local list = {}
]] }
  local numbers = {}
  for _, s in ipairs(graph.states) do
    for _, e in ipairs(s.edges) do
      if type(e.cond) == 'string' and not numbers[e.cond] then
        numbers[e.cond] = #text
        text[#text + 1] = ('list[%d] = function() return %s end\n'):format(#text, e.cond)
      end
    end
  end
  text[#text + 1] = 'return list'
  local list = assert(loadstring(table.concat(text), '=tidemill.patterns'))(env, calls)
  for _, s in ipairs(graph.states) do
    for _, e in ipairs(s.edges) do e.holds = type(e.cond) == 'string' and list[numbers[e.cond]] or nil end
  end
  return env
end

return M
