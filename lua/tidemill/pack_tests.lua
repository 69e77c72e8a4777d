--[[
pack_tests.lua - the tests of a rule pack, as `tidemill test` runs them: each is a stream of its own, given event by event to the engine
of a
run (testing.lua). A file of tests/ returns a list of tests.

  { 'name', events = { { ts = 0, card = 'a' }, … },     -- in the order in which they come, so one may come late
    fires = { 'travel' }, not_fires = { 'burst' },      -- rules that match the last event, in any mode but off; and rules that do not
    unknown = { 'unusual' }, errors = { 'broken' },     -- rules that lack what they need, and that raise
    decision = 'review', score = 60, suppressed = true, -- of the last event
    failed = 1 }                                        -- events that become dead letters; 0 if it is left out
]]

local files = require 'tidemill.pack_files'
local stream = require 'tidemill.stream'
local fault, shown = files.fault, files.shown

local M = {}

local FIELDS = { ['1'] = {}, events = { 'table', required = 'events = { { ts = 0 } }' }, fires = { 'table' }, not_fires = { 'table' },
  unknown = { 'table' }, errors = { 'table' }, decision = { 'string' }, score = { 'number' }, suppressed = { 'boolean' },
  failed = { 'number' } }
local LISTS = { 'fires', 'not_fires', 'unknown', 'errors' }

local function check_test(set, path, pack, test)
  local name = test[1]
  set:check(path, "the test '" .. tostring(name) .. "'", test, FIELDS, name)
  local place = set:place(path, name)
  local ids, decisions = {}, { pack.approve }
  for _, rule in ipairs(pack.rules) do ids[#ids + 1] = rule.id end
  for _, d in ipairs(pack.decisions) do decisions[#decisions + 1] = d.name end
  local expects = test.decision ~= nil or test.score ~= nil or test.suppressed ~= nil or test.failed ~= nil
  for _, key in ipairs(LISTS) do
    for _, id in ipairs(test[key] or {}) do set:known(set:place(path, key, name), 'the pack has no rule', id, ids) end
    expects = expects or test[key] ~= nil
  end
  if test.decision then set:known(place, 'the pack has no decision', test.decision, decisions) end
  if not expects then fault(place, 'the test expects nothing; say what fires, or the decision') end
  if #test.events == 0 then fault(place, 'the test has no event') end
  for i, event in ipairs(test.events) do
    if type(event) ~= 'table' then fault(place, ('event %d is a table, got %s'):format(i, shown(event))) end
    for field in pairs(event) do
      if not pack.fields[field] then
        pack.need_field(pack, set:place(path, field, name), ('event %d:'):format(i), field)
      end
    end
  end
end

--- The tests of a pack: list of { path, tests = list of { name, place, test } }.
---@param pack table of pack.lua
function M.load(pack)
  local out = {}
  for _, name in ipairs(pack.files:names('tests', '.lua')) do
    local list, path = pack.files:value(name)
    local of = { path = path, tests = {} }
    for i, test in ipairs(list) do
      if type(test) ~= 'table' or type(test[1]) ~= 'string' then
        fault(path .. ':1', ("test %d is no table that begins with its name: { 'second city', events = { … }, fires = { … } }"):format(i))
      end
      check_test(pack.files, path, pack, test)
      of.tests[i] = { name = test[1], place = pack.files:place(path, test[1]), test = test }
    end
    out[#out + 1] = of
  end
  return out
end

local function sorted_ids(list, of)
  local ids = {}
  for i, v in ipairs(list or {}) do ids[i] = of and v[of] or v end
  table.sort(ids)
  return ids
end

--- Runs a test. Returns nil, or what was otherwise than expected.
---@param testing table of testing.lua
---@param s table the stream that judges its events
---@param case table of M.load
function M.run(testing, s, case)
  local test, at, before = case.test, nil, {}
  local rows, failed = testing.judge(s, test.events, case.place, function(plan, i)
    for _, step in ipairs(i == #test.events and plan.pipelines[1].steps or {}) do
      if step.kind == 'pack' then at = step.rec.judged end
    end
    for k in ipairs(at and at.list or {}) do before[k] = at.R.stats[k - 1].unknowns end
  end)
  local wrong = {}
  local function expect(what, want, got)
    if want ~= got then wrong[#wrong + 1] = ('%s: expected %s, got %s'):format(what, want, got) end
  end
  expect('events that failed', tostring(test.failed or 0), tostring(#failed))
  if failed[1] and #failed ~= (test.failed or 0) then wrong[#wrong] = wrong[#wrong] .. ' (' .. failed[1].reason .. ')' end
  local row = rows[#rows] or { rules = {}, errors = {}, decision = 'none' }
  local fired, errors, unknown = {}, {}, {}
  for _, rule in ipairs(row.rules) do fired[rule.id] = true end
  for _, id in ipairs(row.errors or {}) do errors[id] = true end
  for k, rule in ipairs(at.list) do unknown[rule.id] = at.R.stats[k - 1].unknowns > before[k] end
  local what = 'the last event: fired: ' .. table.concat(sorted_ids(row.rules, 'id'), ', ')
  for _, list in ipairs { { 'fires', fired, true }, { 'not_fires', fired, false }, { 'unknown', unknown, true }, { 'errors', errors,
    true } } do
    for _, id in ipairs(test[list[1]] or {}) do
      if (list[2][id] or false) ~= list[3] then
        wrong[#wrong + 1] = ("%s: the rule '%s' %s (%s)"):format(list[1], id, list[3] and 'did not' or 'did', what)
      end
    end
  end
  if test.decision then expect('decision', test.decision, tostring(row.decision)) end
  if test.score then expect('score', tostring(test.score), tostring(row.score)) end
  if test.suppressed ~= nil then expect('suppressed', tostring(test.suppressed), tostring(row.suppressed or false)) end
  return wrong[1] and case.place .. ': ' .. table.concat(wrong, '\n  ') or nil
end

--- A file for busted: the tests of the pack in a folder.
---@param testing table of testing.lua
---@param busted table
---@param dir string
---@return function whose environment is busted's
function M.chunk(testing, busted, dir)
  local function declare(describe, it)
    local list = testing.enter_load(dir, function() return M.load(stream.record(stream.of_pack(dir)).pack) end)
    for i = 1, #list do
      describe(list[i].path, function()
        for k = 1, #list[i].tests do
          local case = list[i].tests[k]
          it(case.name, function()
            -- A stream and its record hold each other, which a table with weak keys does not see through: the pack, and what judged by
            -- it, are taken off the record, as those of all tests together would not fit into a script's memory.
            local outer = stream.all
            stream.all = {}
            local ok, why = pcall(testing.enter, case.place, function() return M.run(testing, stream.of_pack(dir), case) end)
            for _, rec in ipairs(stream.all) do rec.pack, rec.judged, rec.decided = nil, nil, nil end
            stream.all = outer
            if not ok then error(why, 0) end
            if why then busted.fail(why, 2) end
          end)
        end
      end)
    end
  end
  return loadstring('local declare = ... return function() declare(describe, it) end', '=tidemill.pack_tests')(declare)
end

return M
