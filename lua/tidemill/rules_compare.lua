--[[
rules_compare.lua - what the function of a rule says about columns and constants, read off its bytecode, so that C can tell for whole chunks
of events (host/event/rules.c). What C cannot tell it asks the function about, which stays the judge.

A column is that of a feature; of a field of the event as a number; or of a field as the number of its text among those that rules
compare it with. Params are constants.
]]

local filter = require 'tidemill.filter'
local lib = require 'tidemill.lib'
local C = lib.C

local M = {}

local MATCH = C.TM_FILTER_MATCH
local ORDERS = { [C.TM_FILTER_LT] = true, [C.TM_FILTER_LE] = true, [C.TM_FILTER_GT] = true, [C.TM_FILTER_GE] = true }

--- A test as one of a column: column key, operator, number; nil: C cannot.
local function of_feature(t, name, types)
  local typ = types[name]
  if typ == 'bool' then
    local op = (t.op == C.TM_FILTER_TRUTH or t.op == C.TM_FILTER_EQ_TRUE) and C.TM_FILTER_EQ_TRUE or
      (t.op == C.TM_FILTER_EQ_FALSE or t.op == C.TM_FILTER_EQ_NIL) and t.op or nil
    return op and 'f.' .. name, op, 0
  end
  if typ ~= 'number' then return nil end
  if t.op == C.TM_FILTER_TRUTH or t.op == C.TM_FILTER_EQ_NIL then return 'f.' .. name, t.op, 0 end
  if (ORDERS[t.op] or t.op == C.TM_FILTER_EQ_NUMBER) and type(t.constant) == 'number' then return 'f.' .. name, t.op, t.constant end
end

--- columns: of the event: { number = names, which C reads, text = name -> text -> number, filled while it is taken in }.
local function of_field(t, name, columns, is_plain)
  if t.op == C.TM_FILTER_EQ_TEXT then
    local ids = columns.text[name]
    if not ids then
      ids = { n = 0, of = {} }
      columns.text[name] = ids
    end
    if not ids.of[t.constant] then ids.n, ids.of[t.constant] = ids.n + 1, ids.n + 1 end
    return 't.' .. name, C.TM_FILTER_EQ_NUMBER, ids.of[t.constant]
  end
  if (ORDERS[t.op] or t.op == C.TM_FILTER_EQ_NUMBER) and type(t.constant) == 'number' and is_plain(name) then
    columns.number[name] = true
    return 'x.' .. name, t.op, t.constant
  end
end

--- The condition of a rule as tests of columns.
---@param rule table of pack_rules.lua
---@param types table feature -> 'number' | 'bool' | 'text' | 'any'
---@param columns table number, text: fields of the event that need a column are added
---@param is_plain function (name): does C find the numbers of that field in columns of the batch?
---@return table? list of { column, op, num, on_true, on_false }; nil: the function is asked for every row
function M.tests(rule, types, columns, is_plain)
  local objects = {
    [0] = function(name) return { field = 'x.' .. name }, true end,
    [1] = function(name) return { field = 'f.' .. name } end,
    [2] = function(name)
      local v = rule.values[name]
      if type(v) ~= 'number' and type(v) ~= 'string' then return nil end
      return { constant = v }
    end,
  }
  local graph = filter.graph(rule.when, objects, MATCH)
  if not graph then return nil end
  local list, wanted = {}, { number = {}, text = columns.text }
  for i, t in ipairs(graph) do
    local of, name = t.field:sub(1, 1), t.field:sub(3)
    local column, op, num
    if of == 'f' then column, op, num = of_feature(t, name, types) else column, op, num = of_field(t, name, wanted, is_plain) end
    if not column then return nil end
    list[i] = { column = column, op = op, num = num, on_true = t.on_true, on_false = t.on_false }
  end
  for name in pairs(wanted.number) do columns.number[name] = true end
  return list
end

return M
