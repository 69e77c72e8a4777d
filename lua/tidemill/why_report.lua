--[[
why_report.lua - what `tidemill why` saw (why.lua), for people, or an object of JSON a decision.

Rules that fired come first, then those that could not answer, then the others, each in the pack's order.
]]

local date = require 'tidemill.library.date'.date
local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local shown = require 'tidemill.why_conditions'.shown
local value = require 'tidemill.value'

local M = {}

local ORDER = { fired = 1, error = 2, unknown = 3, no = 4, only = 5, off = 6 }
local WORDS = { fired = 'fired', error = 'error', unknown = 'unknown', no = 'no', only = 'no', off = 'off' }

--- A value out of JSON-like data, for people.
local function told(v)
  if v == nil or v == lib.NULL then return 'nil' end
  return shown(v) or value.json(v)
end

local function add(lines, text, ...) lines[#lines + 1] = printable.line(text:format(...)) end

--- What `only` asks of a field.
local function only_text(c)
  if c.values then
    local parts = {}
    for i, v in ipairs(c.values) do parts[i] = told(v) end
    return #parts == 1 and c.field .. ' is ' .. parts[1] or c.field .. ' is one of ' .. table.concat(parts, ', ')
  end
  return c.field .. (c.min and ' from ' .. told(c.min) or '') .. (c.max and ' to ' .. told(c.max) or '')
end

local function rule_lines(lines, rule)
  add(lines, '  %-8s %s   %s, score %s%s', WORDS[rule.answer], rule.id, rule.mode, told(rule.score),
    rule.counts and rule.counts ~= rule.mode and ', counts as ' .. rule.counts or '')
  if rule.reason and rule.reason ~= '' then add(lines, '             "%s"', rule.reason) end
  for _, c in ipairs(rule.only or {}) do
    if not c.holds or rule.answer ~= 'only' then
      add(lines, '             only   %s: it is %s, %s', only_text(c), told(c.value), c.holds and 'holds' or 'does not hold')
    end
  end
  for _, n in ipairs(rule.needs or {}) do
    add(lines, '             needs  %s: %s', n.feature, n.state == 'known' and told(n.value) or n.state)
  end
  if rule.answer == 'unknown' then add(lines, '             unknown because of %s', table.concat(rule.because, ', ')) end
  local width = 0
  for _, c in ipairs(rule.conditions or {}) do
    c.said = c.name and c.name .. ' = ' .. c.text or c.text
    width = math.max(width, math.min(printable.width(c.said), 60))
  end
  for _, c in ipairs(rule.conditions or {}) do
    local gap = (' '):rep(width - printable.width(c.said))
    if not c.asked then add(lines, '             %s%s   not asked', c.said, gap)
    elseif c.kind == 'local' then add(lines, '             %s%s   %s: %s', c.said, gap, c.shown, told(c.value))
    else add(lines, '             %s%s   %s: %s', c.said, gap, c.shown, told(c.value)) end
    c.said = nil
  end
  if rule.untold then add(lines, '             %s', rule.untold) end
  if rule.error then add(lines, '             %s', rule.error) end
  if rule.differs then add(lines, '             in the decision it was %s: what it asks is not of the event alone', rule.differs) end
end

local function decision_lines(lines, run, seen)
  if #lines > 0 then lines[#lines + 1] = '' end
  add(lines, '%s', seen.asked)
  if seen.changed then
    add(lines, '  the pack has changed since: this is %s %s (%s), and what it decides', seen.pack, seen.version, seen.hash)
  end
  local from = {}
  for i, d in ipairs(run.pack.decisions) do from[i] = ('%s from %s'):format(d.name, told(d.at)) end
  add(lines, '  decision   %s, score %s (%s)%s%s', seen.decision, told(seen.score), table.concat(from, ', '),
    seen.suppressed and ', suppressed' or '', seen.guarded and ', another one before the rate guard' or '')
  add(lines, '  event      %s%s', seen.at, seen.time ~= lib.NULL and '   ' .. date.format(seen.time, 'iso8601') or '')
  add(lines, '             %s', value.json(seen.event))
  local parts, names = {}, {}
  for name in pairs(seen.features) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = name .. ' = ' .. told(seen.features[name]) end
  add(lines, '  features   %s', #parts > 0 and table.concat(parts, ', ') or 'none is known')
  if #seen.warming > 0 then add(lines, '             warming: %s', table.concat(seen.warming, ', ')) end
  for i, reason in ipairs(seen.reasons) do
    add(lines, '  %-10s %s %s, %s: %s', i == 1 and 'reasons' or '', reason.code, reason.rule, told(reason.score), reason.text)
  end
  lines[#lines + 1] = ''
  local list = {}
  for i, rule in ipairs(seen.rules) do list[i] = { rule, ORDER[rule.answer], i } end
  table.sort(list, function(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  for _, of in ipairs(list) do rule_lines(lines, of[1]) end
end

--- The lines to print, in order of the ids.
---@param run table of why.lua: ids, json, pack
---@return string[]
function M.lines(run)
  local lines = {}
  for _, of in ipairs(run.ids) do
    if of.seen then
      if run.json then lines[#lines + 1] = value.json(of.seen) else decision_lines(lines, run, of.seen) end
    end
  end
  return lines
end

return M
