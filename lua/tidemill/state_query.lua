--[[
state_query.lua - `tidemill state`: what steps keep, printed when a run has come to its end.

It is a pipeline more, the last of the plan, whose source gives no event: like steps with emit = 'final' it is asked for
rows at the end of input, a record (or a line of the list) for each slot. So it waits for a slow reader, and a record that
cannot be written is told and left out, as with any event. Records are walked where they lie; none is copied.
]]

local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local state_find = require 'tidemill.state_find'
local state_of = require 'tidemill.state'
local tables = require 'tidemill.tables'
local value = require 'tidemill.value'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

local M = {}

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

--- What `ls` tells of a state.
local function row_of(state)
  local options, ptr = state.step.rec.options, state.ptr
  local keys, bytes = size_of(state)
  local bounded = options.max_keys ~= nil
  return {
    name = state.name, kind = state.step.kind, place = state.step.place, keys = keys, bytes = bytes,
    bytes_per_key = keys > 0 and math.floor(bytes / keys * 10 + 0.5) / 10 or lib.NULL, evicted = ptr.evicted,
    max_keys = options.max_keys or lib.NULL, on_full = bounded and (options.on_full or 'oldest') or lib.NULL,
  }
end

--- 1234567 as 1,234,567.
local function thousands(n)
  local text = ('%.0f'):format(n)
  local head = (#text - 1) % 3 + 1
  return text:sub(1, head) .. text:sub(head + 1):gsub('...', ',%0')
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

local HEAD = { 'state', 'kind', 'keys', 'bytes', 'bytes/key', 'evicted', 'bound' }
local RIGHT = { [3] = true, [4] = true, [5] = true, [6] = true }

--- The list as lines of a table.
local function table_lines(states)
  local rows, widths, lines = { HEAD }, {}, {}
  for _, state in ipairs(states) do
    local row = row_of(state)
    local each = row.bytes_per_key ~= lib.NULL and ('%.1f'):format(row.bytes_per_key) or '-'
    rows[#rows + 1] = { printable.line(row.name), row.kind, thousands(row.keys), thousands(row.bytes), each, thousands(row.evicted),
      bound_text(state, row) }
  end
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
function M.line_writer(make)
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
  return M.line_writer(function()
    if o.json then
      local rows = value.array {}
      for i, state in ipairs(states) do rows[i] = row_of(state) end
      return { value.json(rows) }
    end
    if #states > 0 then return table_lines(states) end
    lib.host.warn 'no step of these scripts keeps state; running, process and tables do'
    return {}
  end)
end

-- Values as JSON --------------------------------------------------------------------------

local function check(rc)
  if rc ~= 0 then raise('row-too-large', 'it is larger than 16 MiB') end
end

local function put(buf, s) check(C.tm_ffi_buf_put(buf, s, #s)) end

--- What a field of `process` holds: everything there is can be shown, texts that are no UTF-8 with U+FFFD.
local function put_value(buf, v)
  local t = type(v)
  if t == 'number' then
    if v - v ~= 0 then return put(buf, v > 0 and '"inf"' or v < 0 and '"-inf"' or '"nan"') end
    check(C.tm_ffi_json_number(buf, v))
  elseif t == 'string' then
    check(C.tm_ffi_json_lossy(buf, v, #v))
  elseif t == 'boolean' then
    put(buf, v and 'true' or 'false')
  elseif t == 'nil' or v == lib.NULL then
    put(buf, 'null')
  elseif t ~= 'table' then
    value.encode(buf, v)
  elseif value.is_array(v) then
    put(buf, '[')
    for i = 1, #v do
      if i > 1 then put(buf, ',') end
      put_value(buf, v[i])
    end
    put(buf, ']')
  else
    put(buf, '{')
    for i, k in ipairs((value.sorted_keys(v))) do
      if i > 1 then put(buf, ',') end
      put_value(buf, k)
      put(buf, ':')
      put_value(buf, v[k])
    end
    put(buf, '}')
  end
end

local put_container = {}

function put_container.list(buf, list)
  put(buf, '[')
  for i, v in list:each() do
    if i > 1 then put(buf, ',') end
    put_value(buf, v)
  end
  put(buf, ']')
end

function put_container.set(buf, set)
  local comma = '['
  for v in set:each() do
    put(buf, comma)
    put_value(buf, v)
    comma = ','
  end
  put(buf, comma == ',' and ']' or '[]')
end

function put_container.map(buf, map)
  local comma = '['
  for k, v in map:each() do
    put(buf, comma)
    put(buf, '[')
    put_value(buf, k)
    put(buf, ',')
    put_value(buf, v)
    put(buf, ']')
    comma = ','
  end
  put(buf, comma == ',' and ']' or '[]')
end

-- Records ---------------------------------------------------------------------------------

--- The key of a record in Lua's form.
local function key_of(state, record) return state_of.key_of(state.ptr, record, state.names, state.composite) end

--- Begins a row in the step's own view with the key's fields, so that they are written as its rows are.
local function begin_row(state, record, nodes)
  local V, key = state.view, key_of(state, record)
  V.begin()
  V.fresh_ordered()
  for i, name in ipairs(state.names) do
    local k
    if state.composite then k = key[name] else k = key end
    V.put_key(nodes[i], k == nil and lib.NULL or k)
  end
  return V
end

--- write(out, row, record) of a state whose step says what a row shows (state.shown, a list of { name }; state.results): the row of
--- `running`, cells of the smaller steps.
local function row_writer(state, nodes)
  local V, writers, list = state.view, {}, state.shown
  for i, a in ipairs(list) do
    V.field(a.name)
    writers[i] = V.root.writers[a.name]
  end
  return function(out, row, record)
    begin_row(state, record, nodes)
    local values = { state.results(ffi.cast(state.type, record), state.ptr) }
    for i = 1, #list do writers[i](values[i]) end
    V.st.home = row
    V.emit(out)
  end
end

--- The same of `process`: the key's fields, then those declared.
local function process_writer(state, nodes)
  local box, fields, names = state.box, state.step.rec.fields, {}
  local of_key, taken = {}, {}
  for _, name in ipairs(state.names) do of_key[name], taken[name] = true, true end
  for _, field in ipairs(fields) do taken[field.name] = true end
  for i, field in ipairs(fields) do
    local name = field.name
    if of_key[name] then
      repeat name = 'state.' .. name until not taken[name]
      taken[name] = true
    end
    names[i] = value.json(name) .. ':'
  end
  return function(out, _, record)
    local buf = out.buf
    begin_row(state, record, nodes).encode(buf)
    buf.len = buf.len - 1   -- the brace
    box.at.r = ffi.cast(state.type, record)
    for i, field in ipairs(fields) do
      if i > 1 or #nodes > 0 then put(buf, ',') end
      put(buf, names[i])
      local v = box.view[field.name]
      if field.container then put_container[field.type](buf, v) else put_value(buf, v) end
    end
    box.abandon()
    put(buf, '}')
    local rc = C.tm_ffi_out_end(out, lib.flow)
    if rc ~= 0 then check(rc) end
  end
end

--- The same of a table: the key's fields, then its row, or all versions that are kept.
local function table_writer(state, nodes)
  local name = state.index.row and ',"row":' or ',"versions":'
  return function(out, _, record)
    local buf = out.buf
    begin_row(state, record, nodes).encode(buf)
    buf.len = buf.len - 1   -- the brace
    put(buf, name)
    put(buf, tables.json(state, record) or 'null')
    put(buf, '}')
    local rc = C.tm_ffi_out_end(out, lib.flow)
    if rc ~= 0 then check(rc) end
  end
end

-- get ---------------------------------------------------------------------------------------

--- next(out, row): writes the next record, or returns false; and the state.
local function getter(states, o)
  local state = state_find.state(states, o.state_name)
  local parts = o.state_key and state_find.parse(state, o.state_key)
  local nodes = {}
  for i, name in ipairs(state.names) do nodes[i] = state.view.field(name) end
  local writer = state.table and table_writer or state.shown and row_writer or process_writer
  local write = writer(state, nodes)
  local n, cursor, over = 0, nil, false
  local function one(out, row)
    over = true
    local record = state_find.record(state, parts)
    if record then
      state.at = record
      write(out, row, record)
      return true
    end
    lib.host.fail_run(("state '%s' has no key %s (%s key%s)%s"):format(state.name, state_find.shown(parts), thousands(state.ptr.keys),
      state.ptr.keys == 1 and '' or 's', state_find.near(state, parts)))
    return false
  end
  return function(out, row)
    if over or (o.limit > 0 and n >= o.limit) then return false end
    if parts then return one(out, row) end
    cursor = cursor or C.tm_ffi_cursor_new(state.ptr)
    if cursor == nil then
      over = true
      lib.host.fail_run("state '" .. state.name .. "': no memory to walk it (--memory)")
      return false
    end
    while cursor.done == 0 do
      local record = C.tm_ffi_cursor_next(cursor)
      if record ~= nil then
        n = n + 1
        state.at = record
        write(out, row, record)
        return true
      end
    end
    over = true
    return false
  end, state
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
  if again then write = M.line_writer(require(again).lines)
  elseif lines then write = lister(states, o)
  elseif o.state == 'export' then write, at_work = require 'tidemill.state_export'.writer()
  else write, state = getter(states, o) end
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
      local opened, record = at_work()
      return lib.host.fail_run(("state '%s': the record%s cannot be written: %s"):format(opened.name,
        record and opened.names and #opened.names > 0 and ' of key ' .. state_find.key_text(opened, record) or '', e.message))
    end
    if not state then return end
    if state.box then state.box.abandon() end
    state.view.abandon()
    if failed > 1 then return end
    local key = state.at ~= nil and #state.names > 0 and ' of key ' .. state_find.key_text(state, state.at) or ''
    lib.host.fail_run(("state '%s': the record%s cannot be printed: %s"):format(state.name, key, e.message))
  end
end

return M
