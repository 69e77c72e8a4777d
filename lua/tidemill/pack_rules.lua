--[[
pack_rules.lua - the rules of a pack as they are written, read and checked. A file of rules/ returns one rule, or a list of them.

  { id = 'travel', rev = 1, score = 60, severity = 'high', reason_code = 'R30', tags = { 'location' }, mode = 'enforce',
    needs = { 'travel_kmh' },                          -- features without which the rule answers unknown
    only = { country = 'DE', mcc = { '6011', '6051' }, amount = { min = 500 } },
      -- indexed: where it does not hold the rule costs nothing
    exceptions = { 'card' },                           -- fields by which a site may make exceptions
    rollout = { percent = 20, by = 'card' },           -- the others are in shadow
    params = { kmh = { default = 900, min = 300, max = 2000 } },
    when = function(tx, f, p, lists) return f.travel_kmh > p.kmh end,
    reason = '{f.travel_km} km at {f.travel_kmh} km/h',   -- {f.since:time}: milliseconds as '9h26m'
    why = 'text for people', false_positives = 'text for people' }

What `when` reads of its four arguments is found in its bytecode: a field, feature, param or list that is not there is a load error.
]]

local bytecode = require 'tidemill.bytecode'
local files = require 'tidemill.pack_files'
local lib = require 'tidemill.lib'
local suggest = require 'tidemill.suggest'
local fault, shown, sorted = files.fault, files.shown, files.sorted

local M = {}

M.MODES = { 'off', 'shadow', 'alert', 'enforce' }
M.SEVERITIES = { 'low', 'medium', 'high', 'critical' }
local RULES_MAX, SET_MAX = 100000, 10000

local FIELDS = {
  id = { 'string', required = "id = 'travel'" }, rev = { 'number' }, score = { 'number', required = 'score = 60' },
  severity = { one_of = M.SEVERITIES }, reason_code = { 'string' }, tags = { 'table' }, mode = { one_of = M.MODES }, needs = { 'table' },
  only = { 'table' }, exceptions = { 'table' }, rollout = { 'table' }, params = { 'table' },
  when = { 'function', required = 'when = function(tx, f, p, lists) … end' }, reason = { 'string' }, why = { 'string' },
  false_positives = { 'string' },
}
local PARAM = { default = { 'number', 'string', 'boolean', required = 'default = 900' }, min = { 'number' }, max = { 'number' },
  about = { 'string' } }
local ROLLOUT = { percent = { 'number', required = 'percent = 20' }, by = { 'string', required = "by = 'card'" } }

local Rule = {}
Rule.__index = Rule

--- Gives a param another value than its default, within its bounds.
function Rule:set_param(name, v, place)
  local about = self.params[name]
  local what = ("the param '%s' of the rule '%s'"):format(name, self.id)
  if type(v) ~= type(about.default) then
    fault(place, ('%s is a %s, got %s'):format(what, type(about.default), shown(v)))
  end
  if type(v) == 'number' and not (v >= (about.min or -math.huge) and v <= (about.max or math.huge)) then
    fault(place, ('%s is from %s to %s, got %s'):format(what, shown(about.min), shown(about.max), shown(v)))
  end
  self.values[name] = v
end

--- Types of Lua that a field of a declared type reads as.
local function reads_as(typ)
  local name = typ.name
  if name == 'any' then return nil end
  if name == 'boolean' then return 'boolean' end
  if name == 'string' or name == 'int64' or name == 'time_iso8601' or name == 'time_ns' then return 'string' end
  return 'number'
end

--- One condition of `only` as { field, values = set } or { field, min, max }.
local function condition(set, pack, path, id, field, v)
  local place = set:at(path, field, id)
  local kind = reads_as(pack.fields[field])
  local function check(value)
    local t = type(value)
    if t ~= 'string' and t ~= 'number' and t ~= 'boolean' or value ~= value then
      fault(place, ("only: '%s' takes a value, a list of values, or { min =, max = }, got %s"):format(field, shown(value)))
    end
    if kind and t ~= kind then
      fault(place, ("only: the field '%s' is declared %s and reads as a %s, got %s"):format(field, pack.fields[field].name, kind,
        shown(value)))
    end
  end
  if type(v) ~= 'table' then
    check(v)
    return { field = field, values = { [v] = true }, n = 1 }
  end
  if v[1] ~= nil then
    local values, n = {}, 0
    for _, value in ipairs(v) do
      check(value)
      if values[value] then fault(place, ("only: '%s' names %s twice"):format(field, shown(value))) end
      values[value], n = true, n + 1
    end
    if n > SET_MAX then fault(place, ("only: '%s' has more than %d values; use a list"):format(field, SET_MAX)) end
    for key in pairs(v) do
      if type(key) ~= 'number' then fault(place, ("only: '%s' is a list of values or { min =, max = }, not both"):format(field)) end
    end
    return { field = field, values = values, n = n }
  end
  set:check(path, "only: '" .. field .. "'", v, { min = { 'number' }, max = { 'number' } }, field)
  if v.min == nil and v.max == nil then fault(place, ("only: '%s' has neither min nor max"):format(field)) end
  if kind and kind ~= 'number' then
    fault(place, ("only: bounds are for numbers, and the field '%s' is declared %s"):format(field, pack.fields[field].name))
  end
  local c = { field = field, min = v.min or -math.huge, max = v.max or math.huge }
  if c.min > c.max or c.min ~= c.min or c.max ~= c.max then
    fault(place, ("only: no value of '%s' is from %s to %s"):format(field, shown(v.min), shown(v.max)))
  end
  return c
end

--- A reason as a list of texts and { 'f' | 'tx' | 'p', name, format }; format: '' or ':time', for milliseconds.
local function template(text, check)
  local parts, at = {}, 1
  while true do
    local from, to, kind, name, format = text:find('{(%a+)%.([%w_]+)(:?%a*)}', at)
    if not from then break end
    if from > at then parts[#parts + 1] = text:sub(at, from - 1) end
    check(kind, name, format)
    parts[#parts + 1] = { kind, name, format }
    at = to + 1
  end
  if at <= #text then parts[#parts + 1] = text:sub(at) end
  return parts
end

--- Checks what `when` reads of its arguments.
local function check_reads(pack, rule)
  local known = { { 'field', pack.fields }, { 'feature', pack.features }, { 'param', rule.params }, { 'list', pack.lists } }
  for i, of in ipairs(known) do
    local reads, writes = bytecode.fields_of(rule.when, i - 1)
    for _, name in ipairs(sorted(writes)) do
      fault(writes[name], ("the rule '%s' assigns the %s '%s'; what a rule is given is read-only"):format(rule.id, of[1], name))
    end
    for _, name in ipairs(sorted(reads)) do
      if of[2][name] == nil then
        fault(reads[name], ("the rule '%s' reads the %s '%s', which the pack does not have%s"):format(rule.id, of[1], name,
          suggest.among(name, sorted(of[2]))))
      end
    end
    rule.reads[i] = reads
  end
end

local function read_params(set, path, rule, given)
  for _, name in ipairs(sorted(given)) do
    local about = given[name]
    if type(name) ~= 'string' then fault(set:at(path, 'params', rule.id), 'params are named: params = { kmh = { default = 900 } }') end
    set:check(path, ("the param '%s' of the rule '%s'"):format(name, rule.id), about, PARAM, name)
    if type(about.default) ~= 'number' and (about.min or about.max) then
      fault(set:at(path, name, rule.id), ("the param '%s': min and max are for numbers"):format(name))
    end
    rule.params[name] = about
    rule:set_param(name, about.default, set:at(path, name, rule.id))
  end
end

--- A list of names of a rule, each of which is known.
local function names_of(set, path, rule, key, given, check)
  local list, seen = {}, {}
  for i, name in ipairs(given or {}) do
    local place = set:at(path, type(name) == 'string' and name or key, rule.id)
    if type(name) ~= 'string' then fault(place, ("the rule '%s': '%s' is a list of names, got %s"):format(rule.id, key, shown(name))) end
    if seen[name] then fault(place, ("the rule '%s': '%s' names '%s' twice"):format(rule.id, key, name)) end
    if check then check(place, name) end
    seen[name], list[i] = true, name
  end
  return list
end

local function read_rule(set, pack, path, v)
  set:check(path, 'the rule', v, FIELDS, type(v) == 'table' and v.id or nil)
  local rule = setmetatable({ id = v.id, rev = v.rev or 1, score = v.score, severity = v.severity or 'medium', code = v.reason_code or v.id,
    mode = v.mode or 'enforce', when = v.when, path = path, place = set:at(path, v.id), params = {}, values = {}, excepted = {}, only = {},
    reads = {}, why = v.why, false_positives = v.false_positives }, Rule)
  if not v.id:match '^[%w_%-%.]+$' or #v.id > 80 then
    fault(rule.place, 'the id of a rule has at most 80 letters, digits, _, - and dots, got ' .. shown(v.id))
  end
  if rule.score ~= rule.score or rule.score < 0 or rule.score == math.huge then
    fault(set:at(path, 'score', v.id), 'a score is a number of at least 0, got ' .. shown(v.score))
  end
  rule.tags = names_of(set, path, rule, 'tags', v.tags)
  rule.needs = names_of(set, path, rule, 'needs', v.needs, function(place, name)
    set:known(place, ("the rule '%s' needs the feature"):format(v.id), name, sorted(pack.features))
  end)
  rule.exceptions = names_of(set, path, rule, 'exceptions', v.exceptions, function(place, name)
    pack.need_field(pack, place, ("the rule '%s': the exception"):format(v.id), name)
  end)
  read_params(set, path, rule, v.params or {})
  for _, field in ipairs(sorted(v.only or {})) do
    pack.need_field(pack, set:at(path, field, v.id), ("the rule '%s': only:"):format(v.id), field)
    rule.only[#rule.only + 1] = condition(set, pack, path, v.id, field, v.only[field])
  end
  if v.rollout then
    set:check(path, 'rollout', v.rollout, ROLLOUT, v.id)
    local place = set:at(path, 'rollout', v.id)
    pack.need_field(pack, place, 'rollout: by', v.rollout.by)
    if not (v.rollout.percent >= 0 and v.rollout.percent <= 100) then
      fault(place, 'rollout: percent is from 0 to 100, got ' .. shown(v.rollout.percent))
    end
    rule.rollout = { by = v.rollout.by, share = v.rollout.percent / 100 }
  end
  check_reads(pack, rule)
  local of = { f = { 'feature', pack.features }, tx = { 'field', pack.fields }, p = { 'param', rule.params } }
  rule.reason = template(v.reason or '', function(kind, name, format)
    local place = set:at(path, 'reason', v.id)
    if format ~= '' and format ~= ':time' then
      fault(place, ("the rule '%s': a reason writes milliseconds as a time with {%s.%s:time}, and has no other form, found '%s'"):format(
        v.id, kind, name, format))
    end
    set:known(place, ("the rule '%s': a reason has {f.feature}, {tx.field} and {p.param}, not"):format(v.id), kind, { 'f', 'tx', 'p' })
    if of[kind][2][name] == nil then
      fault(place, ("the rule '%s': the reason names the %s '%s', which the pack does not have%s"):format(v.id, of[kind][1], name,
        suggest.among(name, sorted(of[kind][2]))))
    end
  end)
  return rule
end

--- The rules of a pack, in order of score, then of id.
---@param set table of pack_files
---@param pack table what is loaded of it
---@return table list
function M.load(set, pack)
  pack.modes = M.MODES
  local list, by_id = {}, {}
  for _, name in ipairs(set:names('rules', '.lua')) do
    local v, path = set:value(name, true)
    for _, one in ipairs(v[1] ~= nil and v or { v }) do
      local rule = read_rule(set, pack, path, one)
      lib.at_work()
      local other = by_id[rule.id]
      if other then
        fault(rule.place, ("the id '%s' is that of the rule at %s; ids are the pack's"):format(rule.id, files.told(other.place)))
      end
      by_id[rule.id], list[#list + 1] = rule, rule
      if #list > RULES_MAX then fault(rule.place, ('a pack has at most %d rules'):format(RULES_MAX)) end
    end
  end
  if #list == 0 then fault(pack.path, 'the pack has no rule; rules are files of rules/, such as rules/travel.lua') end
  table.sort(list, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.id < b.id
  end)
  return list
end

return M
