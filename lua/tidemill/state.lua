--[[
state.lua - keyed state as the library sees it: records of C (host/state) with a layout made from a declared schema.

The one file beside lib.lua that makes types for the FFI: a record is an anonymous struct of doubles and of references to
texts, lists, maps and sets, so that reading a field is one load at a constant offset. A state is opened once a step and
found by its name, "pipeline/step". The log of changes, which takes back what a failing event did, is the worker's.
]]

local lib = require 'tidemill.lib'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string, table_new = ffi.string, require 'table.new'
local layout = require 'tidemill.state_layout'
local BIGINT = C.TM_KIND_BIGINT

local M = {}

local changes = ffi.cast('struct tm_changes *', lib.host.changes)
M.changes = changes
M.opened = {}    -- the states of a plan, in the order in which they were opened
M.dropped = {}   -- names of kept states that were given up while scripts loaded, which the library forgets with them

local key = ffi.new 'struct tm_key'
M.key = ffi.cast('struct tm_key *', key)
M.anchor = key

--- Counts batches, over all sources; C remembers with it which batch its hints belong to.
local serial = ffi.new('double[1]', 1)
M.serial_anchor = serial
M.serial = ffi.cast('double *', serial)

local ON_FULL = { oldest = 'TM_ON_FULL_OLDEST', refuse = 'TM_ON_FULL_REFUSE', stop = 'TM_ON_FULL_STOP' }
local FIELD_KIND = {
  text = 'TM_FIELD_TEXT', any = 'TM_FIELD_TEXT', list = 'TM_FIELD_LIST', map = 'TM_FIELD_MAP', set = 'TM_FIELD_SET',
  series = 'TM_FIELD_SERIES', marks = 'TM_FIELD_MARKS',
}
local VALUE_KIND = {
  number = 'TM_VALUE_NUMBER', integer = 'TM_VALUE_NUMBER', string = 'TM_VALUE_STRING', boolean = 'TM_VALUE_TRUE',
  any = 'TM_VALUE_ANY',
}

-- why a state is not the one that was kept, where its words are the same
local CHANGED = {
  TM_REFUSED_RECORD = 'its records have more numbers, or fewer', TM_REFUSED_FIELDS = 'its records have more texts and containers, or fewer',
  TM_REFUSED_FIELD = 'one of its fields is of another type', TM_REFUSED_LAYOUT = 'its fields have other names',
  TM_REFUSED_TIMED = 'its records had a ttl or timers and have none now, or the other way round',
  TM_REFUSED_SECTIONS = 'it keeps windows otherwise', TM_REFUSED_ORDER = "max_keys with on_full = 'oldest' has come or gone",
}

M.GO_ON = "give the step another name, to begin with nothing; put the script back; or start anew with --reset. What is kept can be " ..
  "written out before, with the script as it was: 'tidemill state export'"

--- Raises why a state was not made: no memory, or the one that the data folder keeps is another.
local function refused(name)
  local why
  for code, text in pairs(CHANGED) do
    if changes.refused == C[code] then why = text end
  end
  if not why then raise('memory', "no memory for the state '" .. name .. "' (--memory)") end
  raise('state-changed', ("state '%s' is not the one that the data folder keeps: %s. %s"):format(name, why,
    M.GO_ON:gsub('^%l', string.upper)))
end

-- by the text of a record: its type and the pointer's. A process has 65,536 types at most, and specs make many plans
local types = {}

local function types_of(text)
  local found = types[text]
  if not found then
    local record = ffi.typeof(text)
    found = { record = record, pointer = ffi.typeof('$ *', record) }
    types[text] = found
  end
  return found
end

--- The type of a struct with a pointer r to records of a state in front of what `members` says, and that of a pointer to it.
function M.box_types(opened, members)
  local of = opened.types
  if not of.box then
    of.box = ffi.typeof('struct { $ r; ' .. members .. ' }', opened.type)
    of.box_pointer = ffi.typeof('$ *', of.box)
  end
  return of.box, of.box_pointer
end

--- Opens a state.
---@param name string "pipeline/step"
---@param numbers table names of its number cells
---@param refs table list of { name, kind, key, of, max, on_full; of a series cells and room } of what hangs off the record
---@param options table max_keys, on_full; timed, or a ttl: its records can be due
---@param words table|nil of state_layout.text; what its fields are. reshape: one that is kept otherwise can be changed into this one
---   (state_reshape.lua); migrate: the option of that name; set: of state_settings.lua
---@return table { ptr: struct tm_state *, type: the record's pointer type, record: its type, index: cell name -> index of its reference,
---   cleared: records that went otherwise than by max_keys, layout: its words }
function M.open(name, numbers, refs, options, words)
  local members, fields, index = {}, ffi.new('struct tm_state_field[?]', math.max(#refs, 1)), {}
  for _, n in ipairs(numbers) do members[#members + 1] = 'double ' .. n .. ';' end
  local at = 8 * #numbers
  for i, ref in ipairs(refs) do
    members[#members + 1] = 'struct tm_state_ref ' .. ref.name .. ';'
    local f = fields[i - 1]
    f.off = at
    at = at + 8
    f.kind = C[FIELD_KIND[ref.kind]]
    f.key = ref.key and C[VALUE_KIND[ref.key]] or C.TM_VALUE_NIL
    f.of = ref.cells or ref.of and C[VALUE_KIND[ref.of]] or C.TM_VALUE_NIL
    f.max = ref.max or 0
    if ref.room then
      members[#members + 1] = ('double %s_room[%d];'):format(ref.name, ref.room * ref.cells)
      f.max, at = ref.room, at + 8 * ref.room * ref.cells
    end
    f.on_full = C[ON_FULL[ref.on_full or 'oldest']]
    index[ref.name] = i - 1
  end
  if #members == 0 then members[1] = 'double nothing;' end
  local of = types_of('struct { ' .. table.concat(members, ' ') .. ' }')
  local record = of.record
  local o = ffi.new 'struct tm_state_options'
  o.name, o.name_len = name, #name
  o.fields, o.fields_n = fields, #refs
  o.record_size = ffi.sizeof(record)
  o.max_keys = options.max_keys or 0
  o.on_full = C[ON_FULL[options.on_full or 'oldest']]
  o.timed = (options.timed or options.ttl) and 1 or 0
  local text = layout.text(numbers, refs, words)
  o.layout, o.layout_len = text, #text
  local opened = { name = name, type = of.pointer, record = record, types = of,
    index = index, options = options, made_of = o, anchor = fields, cleared = 0, layout = text, words = words or {}, refs = refs }
  local ptr = C.tm_ffi_state_new(changes, o)
  if ptr == nil then
    local kept = C.tm_ffi_state_kept(changes, name, #name)
    if kept ~= nil then
      M.reshape = M.reshape or require 'tidemill.state_reshape'
      ptr = M.reshape.begin(opened, kept)
    end
    if ptr == nil then refused(name) end
  end
  opened.ptr = ptr
  M.opened[#M.opened + 1] = opened
  o.layout_len = 0   -- further ones of its name are found by their address
  return opened
end

--- Where a script's function was that changes a kept state, when it raised: a text, or nil.
function M.changing() return M.reshape and M.reshape.place() end

--- A plan begins: the states of the one before are forgotten, and what of them was kept otherwise.
function M.begin()
  M.opened, M.dropped = {}, {}
  if M.reshape then M.reshape.forget() end
end

--- What was kept otherwise than it is now becomes what it is now: when the library has back what it remembered.
function M.change_kept()
  if M.reshape then M.reshape.run_all() end
end

--- One more state of the same name and layout: its struct tm_state *.
function M.again(opened)
  local ptr = C.tm_ffi_state_new(changes, opened.made_of)
  if ptr == nil then raise('memory', "no memory for the state '" .. opened.name .. "' (--memory)") end
  return ptr
end

--- The options of a state of sections, whose records are as those of `opened`, with the same fields in the same places; and what has to
--- live as long as they.
function M.options_with_sections(opened)
  local a, o = opened.made_of, ffi.new 'struct tm_state_options'
  local fields = ffi.new('struct tm_state_field[?]', a.fields_n + 1)
  ffi.copy(o, a, ffi.sizeof(o))
  ffi.copy(fields, a.fields, a.fields_n * ffi.sizeof 'struct tm_state_field')
  local order = fields[a.fields_n]
  order.off, order.kind, order.of = a.record_size, C.TM_FIELD_LIST, C.TM_VALUE_STRING
  o.fields, o.fields_n, o.record_size, o.sections = fields, a.fields_n + 1, a.record_size + 8, 1
  return o, fields
end

--- A state of sections beside it.
function M.with_sections(opened)
  local o, anchor = M.options_with_sections(opened)
  local ptr = C.tm_ffi_state_new(changes, o)
  if ptr == nil or not anchor then raise('memory', "no memory for the state '" .. opened.name .. "' (--memory)") end
  return ptr
end

--- The names of states that a run before left and nobody has asked for, each once.
function M.left()
  local names, known = {}, {}
  local s = C.tm_ffi_states_left(changes, nil)
  while s ~= nil do
    local name = ffi_string(s.name, s.name_len)
    if not known[name] then known[name], names[#names + 1] = true, name end
    s = C.tm_ffi_states_left(changes, s)
  end
  return names
end

--- Raises what a negative code of a key means.
function M.key_failed(code)
  if code == C.TM_STATE_TOO_LONG then raise('too-long', 'a key has at most 65535 bytes') end
  if code == C.TM_STATE_NO_MEMORY then raise('memory', 'no memory for a key') end
  raise('type', 'a key must be a string, number or boolean')
end

--- Raises what a negative code of C means.
function M.failed(state, code)
  local name = ffi_string(state.name, state.name_len)
  if code == C.TM_STATE_FULL then
    raise('state-full', "state '" .. name .. "' has max_keys keys, or a container in it is full (on_full = 'refuse')")
  elseif code == C.TM_STATE_STOP then
    lib.host.stop_run("state '" .. name .. "' is full (on_full = 'stop')")
    raise('state-full', "state '" .. name .. "' is full, and on_full = 'stop' ends the run")
  elseif code == C.TM_STATE_NO_MEMORY then
    raise('memory', "state '" .. name .. "' needs more memory than --memory leaves")
  elseif code == C.TM_STATE_TOO_LONG then
    raise('too-long', "state '" .. name .. "': a key has at most 65535 bytes, a text 16 MiB")
  elseif code == C.TM_STATE_NOT_KEY then
    raise('type', "a key must be a string, number or boolean")
  elseif code == C.TM_STATE_NO_KEY then
    raise('missing-key', 'the event has no key')
  elseif code == C.TM_STATE_GONE then
    raise('state', "state '" .. name .. "': the record of this key was removed in this event")
  elseif code == C.TM_STATE_RANGE then
    raise('state', "state '" .. name .. "': a list has no element at that place")
  elseif code == C.TM_STATE_TYPE then
    raise('type', "state '" .. name .. "': a value of another type than declared")
  end
  raise('state', "state '" .. name .. "' failed with code " .. code)
end

--- The record of a key in Lua's form, made if it is new; its changes are announced.
function M.record_of(state, v, names)
  local rc = M.set_key(v, names)
  if rc ~= 0 then M.failed(state, rc) end
  return (C.tm_ffi_state_write(state, M.key))
end

--- The first time at which a record is due, exactly; huge: none is.
function M.due_first(state)
  if state.due == math.huge then return math.huge end
  local at
  repeat at = C.tm_ffi_due_first(state) until state.code ~= C.TM_STATE_MORE
  return at
end

--- The same of a section.
function M.section_record_of(state, section, v, names)
  local rc = M.set_key(v, names)
  if rc ~= 0 then M.failed(state, rc) end
  return (C.tm_ffi_section_write(state, section, M.key))
end

--- Removes all records of a section, for good.
function M.drop_section(state, section)
  repeat
    local rc = C.tm_ffi_section_drop(state, section, 1000)
    if rc < 0 then M.failed(state, rc) end
    C.tm_ffi_changes_commit(changes)
  until rc == 0
end

--- The string a reference of a text holds; nil: none.
function M.text(state, ref)
  if ref.at == 0 then return nil end
  if ref.n == 0 then return '' end
  return (ffi_string(state.base + 8 * ref.at, ref.n))
end

--- What states hold, those of one name together, the largest first: a list of { name, keys, bytes }.
function M.sizes()
  local list, s = {}, changes.states
  while s ~= nil do
    local name = ffi_string(s.name, s.name_len)
    local size = list[name]
    if not size then
      size = { name = name, keys = 0, bytes = 0 }
      list[name], list[#list + 1] = size, size
    end
    size.keys, size.bytes = size.keys + s.keys, size.bytes + s.bytes
    s = s.next
  end
  table.sort(list, function(a, b) return a.bytes > b.bytes or a.bytes == b.bytes and a.name < b.name end)
  return list
end

-- Keys ----------------------------------------------------------------------------

local function add(v)
  local t = type(v)
  if t == 'string' then return (C.tm_ffi_key_string(M.key, v, #v))
  elseif t == 'number' then return (C.tm_ffi_key_number(M.key, v))
  elseif t == 'boolean' then return (C.tm_ffi_key_boolean(M.key, v and 1 or 0))
  elseif t == 'table' then return (C.tm_ffi_key_integer(M.key, v.text, #v.text)) end
  return (C.tm_ffi_key_nil(M.key))
end

--- Adds one part, a plain value, to M.key: 0 or a code.
M.add_part = add

-- Keys of several fields are written out up to four: a loop of a few rounds would end the trace of the batch.

local function add_all(v, names)
  local n = #names
  local rc = add(v[names[1]])
  if n >= 2 and rc == 0 then rc = add(v[names[2]]) end
  if n >= 3 and rc == 0 then rc = add(v[names[3]]) end
  if n >= 4 and rc == 0 then rc = add(v[names[4]]) end
  for i = 5, n do
    if rc ~= 0 then break end
    rc = add(v[names[i]])
  end
  return rc
end

--- A key in Lua's form as C's: a plain value, for several fields a table by name. An integer beyond 2^53 is a text of the
--- library (lib.text) in either place, so that it is no string.
function M.set_key(v, names)
  M.key.len = 0
  if type(v) == 'table' and getmetatable(v) == nil then return (add_all(v, names)) end
  return (add(v))
end

local parts = ffi.new('struct tm_value[16]')

local function part(i)
  local p = parts[i]
  if p.kind == C.TM_VALUE_NUMBER then return p.num
  elseif p.kind == C.TM_VALUE_STRING then return (ffi_string(p.text, p.len))
  elseif p.kind == C.TM_VALUE_INTEGER then return (lib.text(ffi_string(p.text, p.len), BIGINT))
  elseif p.kind == C.TM_VALUE_TRUE then return true
  elseif p.kind == C.TM_VALUE_FALSE then return false end
  return nil
end

local key_len = ffi.new 'int32_t[1]'

--- The parts of a key's bytes as a list; a missing one is nil.
function M.parts_of(bytes, len)
  local list = {}
  for i = 1, C.tm_ffi_key_parts(bytes, len, parts) do list[i] = part(i - 1) end
  return list
end

--- A key's bytes in Lua's form: a plain value, or a table by field name.
function M.key_from(bytes, len, names, composite)
  local n = C.tm_ffi_key_parts(bytes, len, parts)
  if not composite then
    if n == 0 then return nil end
    return (part(0))
  end
  local t = table_new(0, n)
  t[names[1]] = part(0)
  if n >= 2 then t[names[2]] = part(1) end
  if n >= 3 then t[names[3]] = part(2) end
  if n >= 4 then t[names[4]] = part(3) end
  for i = 5, n do t[names[i]] = part(i - 1) end
  return t
end

--- The key of a record in Lua's form.
function M.key_of(state, record, names, composite)
  local bytes = C.tm_ffi_state_key(state, record, key_len)
  return (M.key_from(bytes, key_len[0], names, composite))
end

return M
