--[[
state_query.lua - `tidemill state`: what steps keep, printed when a run has come to its end.

It is a pipeline more, the last of the plan, whose source gives no event: like steps with emit = 'final' it is asked for
rows at the end of input, a record (or a line of the list) for each slot. So it waits for a slow reader, and a record that
cannot be written is told and left out, as with any event. Records are walked where they lie; none is copied.
]]

local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local state_find = require 'tidemill.state_find'
local state_get = require 'tidemill.state_get'
local state_of = require 'tidemill.state'
local value = require 'tidemill.value'
local C = lib.C

local M = {}

local thousands = state_get.thousands

local function nothing() end

--- Adds to a plan the pipeline that prints; what the others write goes to sinks that keep nothing.
function M.extend(plan, o)
  local sink = { kind = 'stdout', name = 'stdout', index = #plan.sinks, prints = true }
  local source = { kind = 'generate', name = 'state ' .. o.state, count = 0, fn = nothing, index = #plan.sources }
  local p = {
    name = source.name, index = #plan.pipelines, source = source, prints = true, fires = true,
    steps = {}, schemas = {}, views = {}, states = {}, abandon = nothing,
  }
  p.outs = { { pipeline = p, sink = sink, index = 0, dead = false } }
  plan.sinks[#plan.sinks + 1], plan.sources[#plan.sources + 1], plan.pipelines[#plan.pipelines + 1] = sink, source, p
end

--- All states of a plan, in its order.
local function all_of(plan)
  local list = {}
  for _, p in ipairs(plan.pipelines) do
    for _, state in ipairs(p.states) do list[#list + 1] = state end
  end
  return list
end

-- ls ------------------------------------------------------------------------------------

--- Keys and bytes: of windows those of all that are open, which have states of their own under one name.
local function size_of(s)
  if s.step.kind ~= 'aggregate' and s.step.kind ~= 'window_join' then return s.ptr.keys, s.ptr.bytes end
  local size = state_of.sizes()[s.name]
  if not size then return s.ptr.keys, s.ptr.bytes end
  return size.keys, size.bytes
end

--- The fields that a script names.
local function fields_of(state)
  local names = value.array {}
  for i, f in ipairs(state.shown or state.step.rec.fields or {}) do names[i] = f.name end
  return names
end

--- What `ls` tells of a state.
local function row_of(state)
  local options, ptr = state.step.rec.options, state.ptr
  local keys, bytes = size_of(state)
  local bounded = options.max_keys ~= nil
  return {
    name = state.name, kind = state.step.kind, place = state.step.place, keys = keys, bytes = bytes, fields = fields_of(state),
    bytes_per_key = keys > 0 and math.floor(bytes / keys * 10 + 0.5) / 10 or lib.NULL, evicted = ptr.evicted,
    max_keys = options.max_keys or lib.NULL, on_full = bounded and (options.on_full or 'oldest') or lib.NULL,
  }
end

--- The same of one that no step declares.
local function orphan_row(o)
  local fields = value.array {}
  for i, name in ipairs(o.fields) do fields[i] = name end
  return { name = o.name, kind = o.kind, place = lib.NULL, keys = o.keys, bytes = o.bytes, fields = fields, orphan = o.until_text ~= nil,
    ['until'] = o.until_text or lib.NULL, bytes_per_key = o.keys > 0 and math.floor(o.bytes / o.keys * 10 + 0.5) / 10 or lib.NULL,
    evicted = o.evicted, max_keys = lib.NULL, on_full = lib.NULL }
end

local function bound_text(state, row)
  if row.max_keys ~= lib.NULL then return thousands(row.max_keys) .. ' keys, on_full ' .. row.on_full end
  if state.step.kind == 'aggregate' or state.step.kind == 'window_join' then return 'open windows' end
  if state.table and state.step.table.bounded then return 'files that end' end
  if state.step.rec.within then return 'within' end
  if state.step.kind == 'over' or state.step.kind == 'features' then return 'the events it looks back on' end
  local ttl = state.step.rec.options.ttl
  return #state.names == 0 and 'one key' or ttl and 'ttl ' .. ttl or 'unbounded'
end

local HEAD = { 'state', 'kind', 'keys', 'bytes', 'bytes/key', 'evicted', 'bound', 'fields' }
local RIGHT = { [3] = true, [4] = true, [5] = true, [6] = true }
local FIELDS_MAX = 60   -- characters of their names

--- The list as lines of a table.
local function table_lines(states, orphans)
  local rows, widths, lines = { HEAD }, {}, {}
  local function add(row, bound)
    local each = row.bytes_per_key ~= lib.NULL and ('%.1f'):format(row.bytes_per_key) or '-'
    local fields = printable.cut(printable.line(table.concat(row.fields, ', ')), FIELDS_MAX)
    rows[#rows + 1] = { printable.line(row.name), row.kind, thousands(row.keys), thousands(row.bytes), each, thousands(row.evicted), bound,
      fields == '' and '-' or fields }
  end
  for _, state in ipairs(states) do
    local row = row_of(state)
    add(row, bound_text(state, row))
  end
  for _, o in ipairs(orphans) do add(orphan_row(o), o.until_text and 'orphan until ' .. o.until_text or '-') end
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 0, printable.width(text)) end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, text in ipairs(row) do
      local gap = (' '):rep(widths[i] - printable.width(text))
      cells[i] = RIGHT[i] and gap .. text or i < #row and text .. gap or text
    end
    lines[n] = table.concat(cells, '  ')
  end
  return lines
end

--- next(out, row): writes the next of the lines that a function gives when it is first asked, or returns false.
local function line_writer(make)
  local lines, at = nil, 0
  return function(out)
    lines = lines or make()
    at = at + 1
    local line = lines[at]
    if not line then return false end
    C.tm_ffi_buf_put(out.buf, line, #line)
    return true
  end
end

--- The same of `ls`.
local function lister(states, o)
  return line_writer(function()
    local orphans = require('tidemill.state_orphans').list()
    if o.json then
      local rows = value.array {}
      for i, state in ipairs(states) do rows[i] = row_of(state) end
      for _, one in ipairs(orphans) do rows[#rows + 1] = orphan_row(one) end
      return { value.json(rows) }
    end
    if #states + #orphans > 0 then return table_lines(states, orphans) end
    lib.host.warn 'no step of these scripts keeps state; running, process and tables do'
    return {}
  end)
end

--- get of a state of a folder, without a script; found when what the library remembers was loaded.
local function orphan_getter(o)
  local step
  return function(out)
    if not step then
      local orphans = require 'tidemill.state_orphans'
      local found, names = nil, {}
      for i, one in ipairs(orphans.list()) do
        names[i] = one.name
        if one.name == o.state_name or not found and one.name:sub(-#o.state_name - 1) == '/' .. o.state_name then found = one end
      end
      if not found then
        lib.host.fail_run(("the folder keeps no state '%s'; there are: %s"):format(printable.line(o.state_name),
          printable.line(table.concat(names, ', '))))
        return false
      end
      step = orphans.getter(found, o.state_key and state_find.parse(found, o.state_key), o.limit)
    end
    return step(out)
  end
end

--- Makes the pipeline that prints: its loop, and what becomes of a record that cannot be written.
---@param p table of M.extend
---@param plan table whose other pipelines are compiled
---@param o table state, state_name, state_key, limit, json
function M.compile(p, plan, o)
  local out, batch, flow, mk = p.outs[1].ptr, p.source.batch, lib.flow, lib.flow.marker
  local again = require 'tidemill.history'.commands[o.state]
  local lines = o.state == 'ls' or again
  local states = all_of(plan)
  local write, state
  local at_work
  if again then write = line_writer(require(again).lines)
  elseif lines then write = lister(states, o)
  elseif o.state == 'export' then write, at_work = require 'tidemill.state_export'.writer()
  elseif not o.scripts[1] and not o.code then write = orphan_getter(o)
  else write, state = state_get.getter(states, o) end
  local failed, ended = 0, false
  function p.loop(first, last)
    if flow.firing == 0 then return last + 1 end
    for i = first, last do
      mk.row = i
      if ended then return last + 1 end
      flow.fired = flow.fired + 1
      C.tm_ffi_out_begin(out, batch, i)
      if not write(out, i) then
        ended, flow.fired = true, flow.fired - 1
        lib.host.rollback(p.index, i)
        if failed > 1 then lib.host.fail_run(('%d records more could not be printed'):format(failed - 1)) end
        return last + 1
      end
      if lines then C.tm_ffi_out_end(out, flow) end
      if flow.stop ~= 0 then return i + 1 end
    end
    return last + 1
  end

  function p.failed(row, e)
    lib.host.rollback(p.index, row)
    failed = failed + 1
    if at_work then
      if failed > 1 then return end
      local opened, ptr, record = at_work()
      local key = record and opened.names and #opened.names > 0 and ' of key ' .. state_find.key_text(opened, record, ptr) or ''
      return lib.host.fail_run(("state '%s': the record%s cannot be written: %s"):format(opened and opened.name or '', key, e.message))
    end
    if not state then return end
    if state.box then state.box.abandon() end
    state.view.abandon()
    if failed > 1 then return end
    local key = state.at ~= nil and #state.names > 0 and ' of key ' .. state_find.key_text(state, state.at, state.at_ptr) or ''
    lib.host.fail_run(("state '%s': the record%s cannot be printed: %s"):format(state.name, key, e.message))
  end
end

return M
