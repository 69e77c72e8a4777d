--[[
state_get.lua - `tidemill state get NAME [KEY]`: what a step keeps of its keys, a line of JSON each.

A row has the fields of the key, then what the state shows: of `running` and windows what their rows have, of `process` its fields, of a
table its row. With KEY more is told of that key: all its windows, the events of both sides of a join, the matches of a pattern that have
begun, its timers.
]]

local lib = require 'tidemill.lib'
local export = require 'tidemill.state_export'
local state_find = require 'tidemill.state_find'
local state_of = require 'tidemill.state'
local tables = require 'tidemill.tables'
local value = require 'tidemill.value'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string

local M = {}

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

local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'

--- Makes the bytes of a record's key the key at hand; of one of several records of a key (siblings.lua) those of that key.
local function take_key(state, record, ptr)
  local bytes, key = C.tm_ffi_state_key(ptr, record, key_len), state_of.key
  local len = key_len[0]
  if state.siblings and ffi.cast(state.type, record).number ~= 0 then
    C.tm_ffi_key_parts(bytes, len, parts)
    bytes, len = parts[0].text, parts[0].len
  end
  key.len = len
  ffi.copy(key.bytes, bytes, len)
end

--- Begins a row in the step's own view with the fields of the key at hand, so that they are written as its rows are.
local function begin_row(state, nodes)
  local V = state.view
  local key = state_of.key_from(state_of.key.bytes, state_of.key.len, state.names, state.composite)
  V.begin()
  V.fresh_ordered()
  for i, name in ipairs(state.names) do
    local k
    if state.composite then k = key[name] else k = key end
    V.put_key(nodes[i], k == nil and lib.NULL or k)
  end
  return V
end

--- Begins a line with the fields of the key: the brace is open.
local function begin_line(buf, state, nodes)
  begin_row(state, nodes).encode(buf)
  buf.len = buf.len - 1
  return #nodes > 0
end

local function end_line(out)
  put(out.buf, '}')
  local rc = C.tm_ffi_out_end(out, lib.flow)
  if rc ~= 0 then check(rc) end
end

--- write(out, row, record, place) of a state whose step says what a row shows (state.shown, a list of { name }; state.results): the row of
--- `running`, cells of the smaller steps, windows with their bounds.
local function row_writer(state, nodes)
  local V, writers, list = state.view, {}, { unpack(state.shown) }
  local rec = state.step.rec
  local bounded = rec.window and rec.window.window and rec.window.window.bounded and state.step.kind == 'aggregate'
  local windows = bounded and rec.window.window.kind ~= 'sliding'
  local shown = #list
  if windows then list[#list + 1], list[#list + 2] = { name = 'window_start' }, { name = 'window_end' } end
  if state.step.kind == 'aggregate' then list[#list + 1] = { name = 'partial' } end
  for i, a in ipairs(list) do
    V.field(a.name)
    writers[i] = V.root.writers[a.name]
  end
  return function(out, row, record, place)
    local r = ffi.cast(state.type, record)
    take_key(state, record, place.ptr)
    begin_row(state, nodes)
    local values = { state.results(r, place.ptr) }
    for i = 1, shown do writers[i](values[i]) end
    local w = place.window or state.siblings and r
    if w and windows then
      writers[shown + 1](w.from)
      writers[shown + 2](w.to)
    end
    if w and w.partial and w.partial ~= 0 then writers[#list](true) end
    V.st.home = row
    V.emit(out)
  end
end

--- Appends the timers that are set for the key at hand: those of event time, then those of the clock.
local function put_timers(buf, state)
  local key, comma = ffi_string(state_of.key.bytes, state_of.key.len), ',"timers":['
  for _, opened in ipairs(state_of.opened) do
    if opened.name == state.name .. '/timers' or opened.name == state.name .. '/wall_timers' then
      for record in export.records(opened.ptr) do
        C.tm_ffi_key_parts(C.tm_ffi_state_key(opened.ptr, record, key_len), key_len[0], parts)
        local due = C.tm_ffi_due_time(opened.ptr, record)
        if due == due and parts[1].kind == C.TM_VALUE_STRING and ffi_string(parts[1].text, parts[1].len) == key then
          put(buf, comma .. '{"name":')
          put_value(buf, ffi_string(parts[0].text, parts[0].len))
          put(buf, (',"at":%.0f%s}'):format(due, opened.words.kind == 'wall_timers' and ',"wall":true' or ''))
          comma = ','
        end
      end
    end
  end
  if comma == ',' then put(buf, ']') end
end

--- The same of `process`: the key's fields, then those declared. of_key: with its timers
local function process_writer(state, nodes, of_key)
  local box, fields, names = state.box, state.step.rec.fields, {}
  local is_key, taken = {}, {}
  for _, name in ipairs(state.names) do is_key[name], taken[name] = true, true end
  for _, field in ipairs(fields) do taken[field.name] = true end
  for i, field in ipairs(fields) do
    local name = field.name
    if is_key[name] then
      repeat name = 'state.' .. name until not taken[name]
      taken[name] = true
    end
    names[i] = value.json(name) .. ':'
  end
  return function(out, _, record, place)
    local buf = out.buf
    take_key(state, record, place.ptr)
    local comma = begin_line(buf, state, nodes)
    box.at.r = ffi.cast(state.type, record)
    for i, field in ipairs(fields) do
      if i > 1 or comma then put(buf, ',') end
      put(buf, names[i])
      local v = box.view[field.name]
      if field.container then put_container[field.type](buf, v) else put_value(buf, v) end
    end
    box.abandon()
    if of_key and (comma or #fields > 0) then
      take_key(state, record, place.ptr)
      put_timers(buf, state)
    end
    end_line(out)
  end
end

--- The same of a table: the key's fields, then its row, or all versions that are kept.
local function table_writer(state, nodes)
  local name = state.index.row and ',"row":' or ',"versions":'
  return function(out, _, record, place)
    take_key(state, record, place.ptr)
    begin_line(out.buf, state, nodes)
    put(out.buf, name)
    put(out.buf, tables.json(state, record) or 'null')
    end_line(out)
  end
end

--- The same of a key of a join or a pattern, by state.detail(put, record, ptr): members of an object, as text.
local function detail_writer(state, nodes)
  return function(out, _, record, place)
    local buf = out.buf
    take_key(state, record, place.ptr)
    local comma = begin_line(buf, state, nodes)
    local w = place.window or state.siblings and ffi.cast(state.type, record)
    if w and w.from > -math.huge then
      put(buf, ('%s"window_start":%.0f,"window_end":%.0f'):format(comma and ',' or '', w.from, w.to))
      comma = true
    end
    local text = state.detail(ffi.cast(state.type, record), place.ptr)
    put(buf, (comma and ',' or '') .. text)
    end_line(out)
  end
end

-- get ---------------------------------------------------------------------------------------

--- Is a record of several of a key one that shows something? Of sessions and counts the key's own may only count the others.
local function is_shown(state, record)
  if not state.siblings then return true end
  local r = ffi.cast(state.type, record)
  return not state.is_head or not state.is_head(r)
end

--- The places where records of a state lie: { ptr, section, window }.
local function places_of(state)
  if not state.places then return { { ptr = state.ptr } } end
  local list = {}
  for _, place in ipairs(state.looks and state.looks() or state.places()) do
    if place.ptr then list[#list + 1] = place end
  end
  return list
end

--- next(): place and record, one by one. key: the bytes of one, or nil for all
local function walker(state, key)
  local places, at, next_record
  return function()
    places = places or places_of(state)
    while true do
      if not next_record then
        at = (at or 0) + 1
        if not places[at] then return nil end
        next_record = export.records(places[at].ptr, places[at].section)
      end
      local record = next_record()
      if not record then
        next_record = nil
      elseif is_shown(state, record) then
        if not key then return places[at], record end
        take_key(state, record, places[at].ptr)
        if ffi_string(state_of.key.bytes, state_of.key.len) == key then return places[at], record end
      end
    end
  end
end

local function writer_of(state, nodes, of_key)
  if of_key and state.detail then return detail_writer(state, nodes) end
  if state.table then return table_writer(state, nodes) end
  return state.shown and row_writer(state, nodes) or process_writer(state, nodes, of_key)
end

--- 1234567 as 1,234,567.
local function thousands(n)
  local text = ('%.0f'):format(n)
  local head = (#text - 1) % 3 + 1
  return text:sub(1, head) .. text:sub(head + 1):gsub('...', ',%0')
end
M.thousands = thousands

--- next(out, row): writes the next record, or returns false; and the state.
function M.getter(states, o)
  local state = state_find.state(states, o.state_name)
  local wanted = o.state_key and state_find.parse(state, o.state_key)
  local nodes = {}
  for i, name in ipairs(state.names) do nodes[i] = state.view.field(name) end
  local write = writer_of(state, nodes, wanted ~= nil)
  local n, over, step = 0, false, nil
  --- The record of the one key asked for, where a key has one.
  local function one()
    over = true
    local record = state_find.record(state, wanted)
    return record and { ptr = state.ptr }, record
  end
  local function none()
    local many = state.places or state.siblings   -- records of it are no keys
    local keys = many and '' or (' (%s key%s)'):format(thousands(state.ptr.keys), state.ptr.keys == 1 and '' or 's')
    lib.host.fail_run(("state '%s' has no key %s%s%s"):format(state.name, state_find.shown(wanted), keys,
      many and '' or state_find.near(state, wanted)))
    return false
  end
  return function(out, row)
    if over or (o.limit > 0 and n >= o.limit) then return false end
    local place, record
    if wanted and not state.places and not state.siblings then
      place, record = one()
    else
      step = step or walker(state, wanted and state_find.key_bytes(state, wanted))
      place, record = step()
    end
    if not record then
      over = true
      return n == 0 and wanted and none() or false
    end
    n = n + 1
    state.at, state.at_ptr = record, place.ptr
    write(out, row, record, place)
    return true
  end, state
end

return M
