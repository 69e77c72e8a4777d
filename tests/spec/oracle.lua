--[[
oracle.lua - a function of the library beside another program's: thousands of cases, one run of each.

A Python program prints a case a line: {"in": an event, "out": what the library is to make of it}. The script's function gets
the event; an error is "error". Python compares, as values, so that neither side's way of writing JSON matters.
]]

local h = require 'spec.helper'

local M = {}

local COMPARE = [==[
import json, sys
cases, got = open(sys.argv[1]).read().split("\n"), open(sys.argv[2]).read().split("\n")
cases, got = [c for c in cases if c], [g for g in got if g]
bad = 0
for i, case in enumerate(cases):
  case = json.loads(case)
  found = json.loads(got[i]).get("out") if i < len(got) else "no row"
  if found != case["out"]:
    bad += 1
    if bad < 6: print("in", json.dumps(case["in"]), "expected", json.dumps(case["out"]), "found", json.dumps(found))
print(len(cases), "cases,", bad, "wrong")
]==]

--- Runs the cases; fails with the first that differ. Returns how many there were.
---@param program string Python; `case(event, out)` prints one, `r` is seeded
---@param body string Lua: of e and tm, returns the result
---@param prelude? string Lua before the pipeline
function M.agree(program, body, prelude)
  local head = 'import json, random, sys\nr = random.Random(20240501)\n' ..
    'def case(event, out): sys.stdout.write(json.dumps({"in": event, "out": out}) + "\\n")\n'
  local cases = h.shell('python3 ' .. h.quote(h.write(head .. program)))
  assert(cases.code == 0, cases.err)
  local file = h.write(cases.out)
  local events = h.shell([[python3 -c 'import json, sys
for line in sys.stdin: print(json.dumps(json.loads(line)["in"]))']], cases.out)
  assert(events.code == 0, events.err)
  local script = h.write(("local tm = require 'tidemill'\n%s\nlocal function f(e) %s end\n" ..
    "return tm.pipeline 'p':map(function(e) local ok, v = pcall(f, e) return { out = not ok and 'error' or v } end)"):format(
    prelude or '', body), h.path 'oracle.lua')
  local r = h.run({ 'run', '--quiet', script }, events.out)
  assert(r.code == 0, r.err)
  local said = h.shell(('python3 %s %s %s'):format(h.quote(h.write(COMPARE)), file, h.write(r.out))).out
  local n, bad = said:match '(%d+) cases, (%d+) wrong'
  assert(bad == '0', said .. r.err:sub(1, 500))
  return tonumber(n)
end

--- What a function says to a wrong call, with its place.
function M.error_of(body, event)
  local r = h.run({ 'run', h.write("local tm = require 'tidemill'\nlocal function f(e)\n  local v = " .. body ..
    "\n  return v\nend\nreturn tm.pipeline 'p':map(function(e) f(e) return e end)", h.path 'wrong.lua') }, (event or '{"s":"x","n":1}') ..
      '\n')
  return r.err:match 'warning: [^\n]*wrong%.lua:3: ([^\n]*)' or r.err
end

return M
