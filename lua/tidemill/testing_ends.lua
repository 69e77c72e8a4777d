--[[
testing_ends.lua - the ends of a run of tm.testing: sources and sinks that are memory, the text of what `send` is
given, rows as plain tables.
]]

local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'
local raise, NULL = lib.raise, lib.NULL

local M = {}

--- A copy of a source's description that is memory. It counts as a file, whose events are not compared with the clock.
function M.memory_source(d)
  if d.kind == 'link' then return d end
  if d.kind == 'every' then
    local copy = {}
    for k, v in pairs(d) do copy[k] = v end
    return copy
  end
  local of_input = d.kind == 'input'
  local format = (d.format == 'csv' or d.format == 'lines') and d.format or 'json'   -- of msgpack a spec gives the event, not the message
  return { kind = 'file', memory = true, paths = {}, key = of_input and 'stdin' or d.key or table.concat(d.paths, '\0'),
    name = of_input and 'stdin' or d.name or d.kind, format = format, csv = d.csv, place = d.place }
end

--- The same of a sink: what is written to one place is one sink until the plan is made.
function M.memory_sink(d)
  if d.kind == 'link' then return d end
  local of_output = d.kind == 'output'
  return { kind = 'memory', path = d.path, key = of_output and 'stdout' or d.key, name = of_output and 'stdout' or d.name or d.kind,
    place = d.place, format = d.format, csv = d.csv, files = d.files }
end

--- Gives each output of each pipeline a sink of its own, and each pipeline dead letters and late events.
function M.own_sinks(plan)
  local sinks = {}
  for _, sink in ipairs(plan.sinks) do
    if sink.kind == 'link' then sinks[#sinks + 1] = sink end
  end
  local function add(p, out, role)
    local to = out.sink
    out.sink = { kind = 'memory', name = to and to.name or role, path = to and to.path, pipeline = (out.lead or p).name, role = role }
    sinks[#sinks + 1] = out.sink
    return out
  end
  local function new(p, role, to)
    local out = { pipeline = p, index = #p.outs, dead = role == 'error', fields = {}, sink = to }
    p.outs[#p.outs + 1] = out
    return add(p, out, role)
  end
  for _, p in ipairs(plan.pipelines) do
    for _, out in ipairs(p.outs) do
      if out.sink.of_table then sinks[#sinks + 1] = out.sink
      elseif out.sink.kind ~= 'link' then add(p, out, out.dead and 'error' or 'row') end
    end
    -- a late_to that writes where rows go too has their out
    local late = p.late_to
    p.late_to = late or { kind = 'late_to', place = p.place, next = {} }
    p.late_to.out = new(p, 'late', late and late.out.sink)
    if not p.on_error then p.on_error = { kind = 'on_error', place = p.place, next = {}, out = new(p, 'error') } end
  end
  -- late rows behind a join of two pipelines are the left one's
  for _, p in ipairs(plan.pipelines) do
    local of = {}
    for _, m in ipairs(p.group.members) do of[m] = m.late_to.out end
    if p.group.members[2] then p.late_to.out.of = of end
  end
  for i, sink in ipairs(sinks) do sink.index = i - 1 end
  plan.sinks = sinks
end

-- Values ----------------------------------------------------------------------------

--- A decoded value without the library's marks.
function M.plain(v)
  if type(v) ~= 'table' or v == NULL then return v end
  if debug.getmetatable(v) == value.array_mt then debug.setmetatable(v, nil) end
  for k, item in pairs(v) do
    if type(item) == 'table' then v[k] = M.plain(item) end
  end
  return v
end

--- A field of CSV, in quotes where it needs them.
local function cell(v, delimiter)
  if v == nil or v == NULL then return '' end
  local text = tostring(v)
  if text:find('[\r\n"]') or text:find(delimiter, 1, true) then text = '"' .. text:gsub('"', '""') .. '"' end
  return text
end

--- A row of CSV, behind the header when it is the first of a source that has one.
local function csv_text(source, row)
  local csv, head = source.csv or {}, ''
  local delimiter = csv.delimiter or ','
  local columns = csv.columns or source.columns
  if not columns and source.texts then
    raise('usage', ("t:send: the source '%s' was given its header as a text, so tables cannot follow it; go on with texts"):format(
      source.name))
  end
  if not columns then
    columns = value.sorted_keys(row)
    source.columns = columns
    local names = {}
    for i, name in ipairs(columns) do names[i] = cell(name, delimiter) end
    head = table.concat(names, delimiter) .. '\n'
  end
  local known, cells = {}, {}
  for i, name in ipairs(columns) do known[name], cells[i] = true, cell(row[name], delimiter) end
  for name in pairs(row) do
    if not known[name] then
      local hint = suggest.among(tostring(name), columns)
      raise('usage', ("t:send: the source '%s' has no column '%s'%s"):format(source.name, tostring(name), hint))
    end
  end
  return head .. table.concat(cells, delimiter) .. '\n'
end

--- What was given to send as text of the source's format.
function M.text_of(source, row)
  if type(row) == 'string' then
    source.texts = true
    return row:sub(-1) == '\n' and row or row .. '\n'
  end
  if type(row) ~= 'table' or row == NULL or stream.record(row) then
    raise('usage', 't:send takes an event as a table, or a line as a text, got ' .. stream.describe(row))
  end
  if source.format == 'csv' then return csv_text(source, row) end
  if source.format == 'lines' then
    if type(row.line) ~= 'string' then
      raise('usage', ("t:send: the source '%s' reads lines; give a text, or { line = '…' }"):format(source.name))
    end
    return row.line .. '\n'
  end
  return value.json(row) .. '\n'
end

return M
