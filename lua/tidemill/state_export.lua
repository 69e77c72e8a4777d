--[[
state_export.lua - states as NDJSON and back: `tidemill state export` and `state import`.

  {"state":"spend/idle","key":["c1"],"value":{"n":3},"more":{"":{"born":1}},"due":1700000060000}

A line a key, the states in the order of the scripts, keys in order of arrival. `value` has the fields of the script, `more` what else is
kept of them, by field ("" of none) and part; left out is what there is nothing of. `due`: when the record is looked at. The key of a timer
is its name and the key that it is for. Then {"state":…,"arrivals":n} where events are counted. Values: state_exact.lua.

What windows, joins and sliding windows keep hangs together with what the library remembers of them, and is left out.
]]

local lib = require 'tidemill.lib'
local exact = require 'tidemill.state_exact'
local layout = require 'tidemill.state_layout'
local printable = require 'tidemill.printable'
local state = require 'tidemill.state'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'
local windows = require 'tidemill.windows'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

local M = {}

-- steps whose whole state lies in records
local WHOLE = { process = true, timers = true, wall_timers = true, running = true, table = true, dedup = true, top = true, throttle = true,
  suppress = true }
local SHOWN_MAX = 200     -- characters of a line in a message
local MEMBERS = { 'state', 'key', 'value', 'more', 'due', 'arrivals' }

local put = exact.put
local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'

local function is_timers(opened) return opened.words.kind == 'timers' or opened.words.kind == 'wall_timers' end

-- Writing -----------------------------------------------------------------------------------

local function put_parts(buf, bytes, len)
  put(buf, '[')
  for i = 1, C.tm_ffi_key_parts(bytes, len, parts) do
    if i > 1 then put(buf, ',') end
    exact.put_value(buf, parts[i - 1])
  end
  put(buf, ']')
end

local function put_key(buf, opened, record)
  local bytes = C.tm_ffi_state_key(opened.ptr, record, key_len)
  if not is_timers(opened) then return put_parts(buf, bytes, key_len[0]) end
  C.tm_ffi_key_parts(bytes, key_len[0], parts)
  local of, len = parts[1].text, parts[1].len
  put(buf, '[')
  exact.put_value(buf, parts[0])
  put(buf, ',')
  put_parts(buf, of, len)
  put(buf, ']')
end

--- Text before each cell of a record, and the cell: first those of `value`, then those of `more`.
local function plan_of(opened)
  local words, list, open = layout.parse(opened.layout), {}, ',"value":{'
  for _, f in ipairs(words.fields) do
    if f.main then
      list[#list + 1] = { open .. value.json(f.name) .. ':', f.main }
      open = ','
    end
  end
  local closed, more = list[1] and '}' or '', false
  local function put_more(f)
    local begins
    for _, c in ipairs(f) do
      if c.part then
        local before = begins and ',' or (more and '},' or closed .. ',"more":{') .. value.json(f.name) .. ':{'
        list[#list + 1] = { before .. value.json(c.part) .. ':', c }
        begins, more = true, true
      end
    end
  end
  for _, f in ipairs(words.fields) do put_more(f) end
  if words.fields[''] then put_more(words.fields['']) end
  return list, more and '}}' or closed
end

--- What of the states of a plan can be written out, and which cannot.
local function whole_states()
  local list, left = {}, {}
  for _, opened in ipairs(state.opened) do
    if WHOLE[opened.words.kind] and not opened.layout:find '\nseries_' then list[#list + 1] = opened
    else left[#left + 1] = "'" .. printable.line(opened.name) .. "'" end
  end
  return list, left
end

--- next(out): writes the next line, or returns false; and a function that gives the state and record at work.
function M.writer()
  local list, left = whole_states()
  local at, cursor, cells, close, record = 0, nil, nil, nil, nil
  if left[1] then
    lib.host.warn(('what windows and joins keep is left out: %s'):format(table.concat(left, ', ')))
  end
  local function next_record()
    while true do
      if not cursor then
        at = at + 1
        if not list[at] then return nil end
        cells, close = plan_of(list[at])
        cursor = C.tm_ffi_cursor_new(list[at].ptr)
        if cursor == nil then raise('memory', 'no memory to walk a state (--memory)') end
      end
      while cursor.done == 0 do
        local p = C.tm_ffi_cursor_next(cursor)
        if p ~= nil then return p end
      end
      C.tm_ffi_cursor_free(cursor)
      cursor = nil
      if list[at].arrivals and list[at].ptr.keys > 0 then return false end
    end
  end
  return function(out)
    record = next_record()
    if record == nil then return false end
    local opened, buf = list[at], out.buf
    put(buf, '{"state":' .. value.json(opened.name))
    if not record then
      put(buf, (',"arrivals":%.0f}'):format(opened.arrivals()))
    else
      put(buf, ',"key":')
      put_key(buf, opened, record)
      for i = 1, #cells do
        put(buf, cells[i][1])
        exact.put_cell(buf, opened.ptr, record, cells[i][2])
      end
      put(buf, close)
      local due = opened.made_of.timed ~= 0 and C.tm_ffi_due_time(opened.ptr, record) or 0 / 0
      if due == due then put(buf, (',"due":%.0f'):format(due)) end
      put(buf, '}')
    end
    if C.tm_ffi_out_end(out, lib.flow) ~= 0 then raise('row-too-large', 'it is larger than 16 MiB') end
    return true
  end, function() return list[at], record end
end

-- Reading -----------------------------------------------------------------------------------

local function refuse(message) raise('import', message) end

local function quoted(name) return "'" .. printable.cut(printable.line(tostring(name)), SHOWN_MAX) .. "'" end

local function is_object(v) return type(v) == 'table' and v ~= lib.NULL and getmetatable(v) ~= 'array' end

--- The state that a line names.
local function state_of(v, by_name, names, left)
  if type(v) ~= 'string' then refuse '"state" is the name of a state, a string' end
  if by_name[v] then return by_name[v] end
  for _, name in ipairs(left) do
    if name == "'" .. v .. "'" then refuse(('the state %s is one of a window or join, which cannot be imported'):format(quoted(v))) end
  end
  refuse(('the script has no state %s'):format(quoted(v)) .. suggest.among(v, names))
end

local function take_key(v, opened)
  local n = #opened.words.key
  if not is_object(v) and type(v) == 'table' and v ~= lib.NULL then
    state.key.len = 0
    if not is_timers(opened) then
      if #v ~= n then refuse(('"key" has %d part%s, and that of the state has %d'):format(#v, #v == 1 and '' or 's', n)) end
      for i, part in ipairs(v) do exact.read_key_part(part, ('"key", part %d'):format(i)) end
      return
    end
    if #v == 2 and type(v[2]) == 'table' and v[2] ~= lib.NULL then
      for i, part in ipairs(v[2]) do exact.read_key_part(part, ('"key", part %d'):format(i)) end
      local of = ffi.string(state.key.bytes, state.key.len)
      state.key.len = 0
      exact.read_key_part(v[1], '"key", the name of a timer')
      local rc = C.tm_ffi_key_string(state.key, of, #of)
      if rc ~= 0 then state.key_failed(rc) end
      return
    end
    refuse '"key" of a timer is an array of its name and the parts of a key'
  end
  refuse '"key" is an array of the parts of the key'
end

local function field_of(opened, name, what)
  local f = opened.parsed.fields[name]
  if f then return f end
  local names = {}
  for _, other in ipairs(opened.parsed.fields) do names[#names + 1] = other.name end
  refuse(('%s: the state has no field %s'):format(what, quoted(name)) .. suggest.among(name, names))
end

local function read_value(opened, record, v)
  if not is_object(v) then refuse '"value" is an object of the fields of the state' end
  for name, x in next, v do
    local f = field_of(opened, name, '"value"')
    if name == '' or not f.main then refuse(('"value": the field %s has no value of its own'):format(quoted(name))) end
    exact.read_cell(opened.ptr, record, f.main, x, "field '" .. name .. "'")
  end
end

local function read_more(opened, record, v)
  if not is_object(v) then refuse '"more" is an object' end
  for name, cells in next, v do
    local f = field_of(opened, name, '"more"')
    if not is_object(cells) then refuse(('"more": that of %s is an object'):format(quoted(name))) end
    for part, x in next, cells do
      if not f.parts[part] then refuse(('"more": the field %s has no part %s'):format(quoted(name), quoted(part))) end
      exact.read_cell(opened.ptr, record, f.parts[part], x, ("part '%s' of field '%s'"):format(part, name))
    end
  end
end

--- What a record that is new begins with.
local function begin(opened, record)
  if opened.box then opened.box.init(ffi.cast(opened.type, record)) end
end

local function read_record(opened, line)
  take_key(line.key, opened)
  local had = C.tm_ffi_state_find(opened.ptr, state.key)
  if had ~= nil and C.tm_ffi_state_remove(opened.ptr, ffi.cast('void *', had)) < 0 then state.failed(opened.ptr, C.TM_STATE_NO_MEMORY) end
  local p = C.tm_ffi_state_write(opened.ptr, state.key)
  if p == nil then state.failed(opened.ptr, opened.ptr.code) end
  begin(opened, p)
  if line.more ~= nil then read_more(opened, p, line.more) end
  if line.value ~= nil then
    -- what it began with goes
    for name in next, is_object(line.value) and line.value or {} do
      local f = opened.parsed.fields[name]
      if f and f.main and not f.main.number then C.tm_ffi_state_empty(opened.ptr, p, f.main.index) end
    end
    read_value(opened, p, line.value)
  end
  if line.due ~= nil then
    if opened.made_of.timed == 0 then refuse '"due": nothing of this state is ever due' end
    local rc = type(line.due) == 'number' and C.tm_ffi_due_set(opened.ptr, p, line.due) or C.TM_STATE_RANGE
    if rc == C.TM_STATE_RANGE then refuse '"due" is a time in whole ms' end
    if rc < 0 then state.failed(opened.ptr, rc) end
    local clock = opened.clock
    if clock and line.due < clock.due then windows.set_due(clock, line.due) end
  end
  if opened.imported then opened.imported(p) end
end

local function read_line(text, by_name, names, left)
  local line, at = exact.decode(text)
  if line == nil then refuse(('no valid JSON at byte %d: %s'):format(at, printable.cut(printable.line(text), SHOWN_MAX))) end
  if not is_object(line) then refuse 'a line is an object {"state":…,"key":[…],"value":{…}}' end
  for name in next, line do
    local known = false
    for _, m in ipairs(MEMBERS) do known = known or m == name end
    if not known then refuse(('a line has no member %s'):format(quoted(name)) .. suggest.among(name, MEMBERS)) end
  end
  local opened = state_of(line.state, by_name, names, left)
  if line.arrivals ~= nil then
    if not opened.arrivals or type(line.arrivals) ~= 'number' then refuse '"arrivals" is a number, of a state that counts events' end
    if line.arrivals > opened.arrivals() then opened.arrivals(line.arrivals) end
    return 0
  end
  read_record(opened, line)
  C.tm_ffi_changes_commit(state.changes)
  return 1
end

--- Reads lines into the states of the plan; the first one that cannot be raises, with its number. Nothing is durable before all is read.
---@param lines function that gives the next line, or nil
---@return integer how many keys came
function M.read(lines)
  local list, left = whole_states()
  local by_name, names, n, keys = {}, {}, 0, 0
  for _, opened in ipairs(list) do
    opened.parsed = layout.parse(opened.layout)
    by_name[opened.name], names[#names + 1] = opened, opened.name
  end
  for text in lines do
    n = n + 1
    if text:find '%S' then
      local ok, more = pcall(read_line, text, by_name, names, left)
      if not ok then
        raise('import', ('line %d: %s; nothing was imported'):format(n, type(more) == 'table' and more.message or tostring(more)))
      end
      keys = keys + more
      lib.flow.marker.sub = lib.flow.marker.sub + 1
    end
  end
  return keys
end

return M
