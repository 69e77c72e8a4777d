--[[
state_import.lua - `tidemill state import`: the lines that state_export.lua writes become states of a run that is kept. A key that is there
is replaced. All lines are taken or none: nothing is durable before the last one was read.
]]

local lib = require 'tidemill.lib'
local exact = require 'tidemill.state_exact'
local export = require 'tidemill.state_export'
local keep = require 'tidemill.keep'
local layout = require 'tidemill.state_layout'
local printable = require 'tidemill.printable'
local seal = require 'tidemill.state_seal'
local state = require 'tidemill.state'
local suggest = require 'tidemill.suggest'
local windows = require 'tidemill.windows'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

local M = {}

local SHOWN_MAX = 200     -- characters of a line in a message
local MEMBERS = { 'state', 'key', 'value', 'more', 'due', 'arrivals', 'window', 'pane', 'tick', 'clock', 'watermark', 'passed', 'set',
  'time', 'event', 'mark', 'order', 'seal', 'lines', 'sum' }

local function refuse(message) raise('import', message) end

local function quoted(name) return "'" .. printable.cut(printable.line(tostring(name)), SHOWN_MAX) .. "'" end

local function is_object(v) return type(v) == 'table' and v ~= lib.NULL and getmetatable(v) ~= 'array' end

--- The state that a line names.
local function state_of(v, list, left)
  if type(v) ~= 'string' then refuse '"state" is the name of a state, a string' end
  if list[v] then return list[v] end
  if left[v] then
    refuse(("the state %s is one of 'aggregate' behind a sliding window, or of features of different values, which cannot be imported")
      :format(quoted(v)))
  end
  local names = {}
  for i, opened in ipairs(list) do names[i] = opened.name end
  refuse(('the script has no state %s'):format(quoted(v)) .. suggest.among(v, names))
end

--- Makes the key at hand that of record `number` of this key (siblings.lua).
local function take_sibling(opened, number)
  local of = ffi.string(state.key.bytes, state.key.len)
  state.key.len = 0
  local rc = C.tm_ffi_key_string(state.key, of, #of)
  if rc == 0 then rc = C.tm_ffi_key_number(state.key, number) end
  if rc == 0 and #opened.words.key == 2 then rc = C.tm_ffi_key_boolean(state.key, 1) end
  if rc ~= 0 then state.key_failed(rc) end
end

--- The number of a record among those of its key, as a line says it; 0: the key's own.
local function number_of(opened, line)
  local none = opened.siblings and is_object(line.more) and line.more['']
  local n = none and is_object(none) and none.number
  return type(n) == 'number' and n or 0
end

local function take_key(v, opened)
  local n = #opened.words.key
  if not is_object(v) and type(v) == 'table' and v ~= lib.NULL then
    state.key.len = 0
    if not export.is_timers(opened) then
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

local function read_value(opened, ptr, record, v)
  if not is_object(v) then refuse '"value" is an object of the fields of the state' end
  for name, x in next, v do
    local f = field_of(opened, name, '"value"')
    if name == '' or not f.main then refuse(('"value": the field %s has no value of its own'):format(quoted(name))) end
    exact.read_cell(ptr, record, f.main, x, "field '" .. name .. "'")
  end
end

local function read_more(opened, ptr, record, v)
  if not is_object(v) then refuse '"more" is an object' end
  for name, cells in next, v do
    local f = field_of(opened, name, '"more"')
    if not is_object(cells) then refuse(('"more": that of %s is an object'):format(quoted(name))) end
    for part, x in next, cells do
      if not f.parts[part] then refuse(('"more": the field %s has no part %s'):format(quoted(name), quoted(part))) end
      exact.read_cell(ptr, record, f.parts[part], x, ("part '%s' of field '%s'"):format(part, name))
    end
  end
end

--- What a record that is new begins with.
local function begin(opened, record)
  if opened.box then opened.box.init(ffi.cast(opened.type, record)) end
end

--- A record that is there holds nothing any more.
local function empty(opened, ptr, record)
  for _, cell in ipairs(opened.parsed.cells) do
    if cell.number then ffi.cast('double *', ffi.cast('char *', record) + cell.off)[0] = 0
    else
      local rc = C.tm_ffi_state_empty(ptr, record, cell.index)
      if rc < 0 then state.failed(ptr, rc) end
    end
  end
end

--- The record that a line is for, as it begins.
local function record_of(opened, line)
  local ptr, section, why = opened.ptr, nil, nil
  if opened.place_of then
    ptr, section = opened.place_of(line)
    if not ptr then why = section end
  elseif line.window ~= nil or line.pane ~= nil then
    why = 'the state has no windows of fixed bounds'
  end
  if why then refuse(why) end
  if line.key == nil and line.window ~= nil then return ptr end
  take_key(line.key, opened)
  local number = number_of(opened, line)
  if number ~= 0 then take_sibling(opened, number) end
  if section then
    local p = C.tm_ffi_section_write(ptr, section, state.key)
    if p == nil then state.failed(ptr, ptr.code) end
    if ptr.code ~= C.TM_STATE_NEW then empty(opened, ptr, p) end
    return ptr, p
  end
  local had = C.tm_ffi_state_find(ptr, state.key)
  if had ~= nil and C.tm_ffi_state_remove(ptr, ffi.cast('void *', had)) < 0 then state.failed(ptr, C.TM_STATE_NO_MEMORY) end
  local p = C.tm_ffi_state_write(ptr, state.key)
  if p == nil then state.failed(ptr, ptr.code) end
  begin(opened, p)
  return ptr, p
end

--- What a record is due at, and its clock with it.
local function arm(opened, ptr, p, due)
  if opened.made_of.timed == 0 then refuse '"due": nothing of this state is ever due' end
  local rc = type(due) == 'number' and C.tm_ffi_due_set(ptr, p, due) or C.TM_STATE_RANGE
  if rc == C.TM_STATE_RANGE then refuse '"due" is a time in whole ms' end
  if rc < 0 then state.failed(ptr, rc) end
  local clock = opened.clock
  if clock and due < clock.due then windows.set_due(clock, due) end
end

--- How many keys came: 1, or 0 where the line only says that a window is open.
local function read_record(opened, line)
  local ptr, p = record_of(opened, line)
  if not p then return 0 end
  if line.more ~= nil then read_more(opened, ptr, p, line.more) end
  if line.value ~= nil then
    -- what it began with goes
    for name in next, is_object(line.value) and line.value or {} do
      local f = opened.parsed.fields[name]
      if f and f.main and not f.main.number then C.tm_ffi_state_empty(ptr, p, f.main.index) end
    end
    read_value(opened, ptr, p, line.value)
  end
  if line.due ~= nil then arm(opened, ptr, p, line.due) end
  if opened.imported then opened.imported(p, line) end
  return 1
end

local function is_number(v) return type(v) == 'number' end

--- What a line says of a state besides its records: true, or nil where it is of a record.
local function read_rest(opened, line)
  if line.set ~= nil then
    local set = is_object(line.set) and line.set or {}
    for _, s in ipairs(opened.words.set or {}) do
      if set[s[1]] ~= s[2] then
        refuse(('the %s of %s is %s in the script, and %s in the line'):format(s[1], quoted(opened.name), s[2], tostring(set[s[1]])))
      end
    end
    return true
  elseif line.event ~= nil then
    if not opened.take_waiting then refuse(('no events wait in %s'):format(quoted(opened.name))) end
    take_key(line.key, opened)
    opened.take_waiting(line)
    return true
  elseif line.arrivals ~= nil then
    if not opened.arrivals or not is_number(line.arrivals) then refuse '"arrivals" is a number, of a state that counts events' end
    if line.arrivals > opened.arrivals() then opened.arrivals(line.arrivals) end
    return true
  elseif line.tick ~= nil then
    if not opened.take_tick or not is_number(line.tick) then refuse '"tick" is a time in ms, of windows with early rows' end
    opened.take_tick(line.tick)
    return true
  end
end

local function read_clock(line)
  if not is_number(line.watermark) or not is_number(line.passed) then refuse '"watermark" and "passed" of a clock are times in ms' end
  if not keep.take_clock(line.clock, line.watermark, line.passed) then refuse(('the script has no clock %s'):format(quoted(line.clock))) end
end

--- The first line of a sealed state, whose states must hold nothing.
local function check_empty(step, list)
  for _, opened in ipairs(list) do
    local keys = opened.places and #opened.places() or opened.ptr.keys
    if seal.step_of(opened) == step and keys > 0 then
      refuse(('what %s keeps can be imported only where it keeps nothing: give a new folder (--data)'):format(quoted(step)))
    end
  end
end

--- A seal: the lines before it are those that were written.
local function read_seal(line, sums)
  local s = type(line.seal) == 'string' and sums.of(line.seal)
  if not s or s.lines ~= line.lines or s.sum ~= line.sum then
    refuse(('the seal does not fit: lines of %s were changed, left out or put in; %s were read, and %s written'):format(quoted(line.seal),
      s and s.lines or 0, is_number(line.lines) and ('%.0f'):format(line.lines) or '?'))
  end
  s.sealed = true
end

local function read_line(text, list, left, sums)
  local line, at = exact.decode(text)
  if line == nil then refuse(('no valid JSON at byte %d: %s'):format(at, printable.cut(printable.line(text), SHOWN_MAX))) end
  if not is_object(line) then refuse 'a line is an object {"state":…,"key":[…],"value":{…}}' end
  for name in next, line do
    local known = false
    for _, m in ipairs(MEMBERS) do known = known or m == name end
    if not known then refuse(('a line has no member %s'):format(quoted(name)) .. suggest.among(name, MEMBERS)) end
  end
  if line.clock ~= nil then
    read_clock(line)
    return 0
  end
  if line.seal ~= nil then
    read_seal(line, sums)
    return 0
  end
  local opened = state_of(line.state, list, left)
  local step = seal.step_of(opened)
  if step then
    if not sums.of(step) then check_empty(step, list) end
    sums.add(step, text)
  end
  local n = read_rest(opened, line) and 0 or read_record(opened, line)
  C.tm_ffi_changes_commit(state.changes)
  return n
end

--- Reads lines into the states of the plan; the first one that cannot be raises, with its number. Nothing is durable before all is read.
---@param lines function that gives the next line, or nil
---@return integer how many keys came
function M.read(lines)
  local list, left = export.states()
  local n, keys, sums = 0, 0, seal.new()
  for _, opened in ipairs(list) do opened.parsed = layout.parse(opened.layout) end
  for text in lines do
    n = n + 1
    if text:find '%S' then
      local ok, more = pcall(read_line, text, list, left, sums)
      if not ok then
        raise('import', ('line %d: %s; nothing was imported'):format(n, type(more) == 'table' and more.message or tostring(more)))
      end
      keys = keys + more
      lib.flow.marker.sub = lib.flow.marker.sub + 1
    end
  end
  for _, step in ipairs(sums.steps) do
    if not sums.of(step).sealed then
      raise('import', ("what '%s' keeps has no seal, a line behind its own: lines are missing; nothing was imported"):format(step))
    end
  end
  return keys
end

return M
