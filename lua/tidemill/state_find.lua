--[[
state_find.lua - what `tidemill state get NAME KEY` means: the state, and the record of a key written on a command line.

KEY is JSON, or else a string: 42 and "42" are two keys. It is made into a list of parts in the order of the key's fields; a
part is a string, number or boolean, NULL for a missing one, a text (lib.text) for an integer beyond 2^53.
]]

local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local state_of = require 'tidemill.state'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string

local M = {}

local NEAR_MAX, NEAR_BYTES = 2000, 64   -- keys among which one close to KEY is looked for, and how long they and KEY may be
local SHOWN_MAX = 80                    -- characters of a key in a message
local NUMBER, BIGINT, STRING, ESCAPED = C.TM_KIND_NUMBER, C.TM_KIND_BIGINT, C.TM_KIND_STRING, C.TM_KIND_ESCAPED

--- A key as JSON for a message.
local function shown(json) return printable.cut(printable.line(json), SHOWN_MAX) end

--- Parts as JSON: the value where there is one, else a list.
local function json_of(parts)
  return value.json(#parts == 1 and parts[1] or value.array { unpack(parts) })
end

--- The key of a record as a list of parts. ptr: the state it is of, where there are several
local function parts_of(state, record, ptr)
  local key, parts = state_of.key_of(ptr or state.ptr, record, state.names, state.composite), {}
  for i, name in ipairs(state.names) do
    local k
    if state.composite then k = key[name] else k = key end
    parts[i] = k == nil and lib.NULL or k
  end
  return parts
end

--- The key of a record, for a message.
function M.key_text(state, record, ptr) return shown(json_of(parts_of(state, record, ptr))) end

--- The state that NAME means, "pipeline/step" or the step alone.
function M.state(states, name)
  local names, found = {}, {}
  for i, state in ipairs(states) do
    names[i] = state.name
    if state.name == name then return state end
    if state.step.rec.name == name then found[#found + 1] = state end
  end
  if #found == 1 then return found[1] end
  local named = "'" .. printable.cut(printable.line(name), SHOWN_MAX) .. "'"
  if #names == 0 then
    raise('usage', 'no state is called ' .. named .. ': no step of these scripts keeps state; running, process and tables do')
  end
  local list = printable.line(table.concat(names, ', '))
  if #found > 1 then raise('usage', named .. ' is the name of several states; write PIPELINE/STEP: ' .. list) end
  local short = {}
  for _, state in ipairs(states) do short[#short + 1] = state.step.rec.name end
  for _, full in ipairs(names) do short[#short + 1] = full end
  raise('usage', 'no state is called ' .. named .. suggest.hint(name, short) .. '; there ' .. (#names == 1 and 'is ' or 'are ') .. list)
end

--- The value of a cell of KEY, as a part of a key: a string, number, boolean, text of an integer beyond 2^53, or NULL.
local function part_of(cells, i, base)
  local cell = cells[i]
  local kind = lib.bit.band(cell.tag, 15)
  if kind == NUMBER then return cell.num end
  if kind == STRING or kind == ESCAPED then return value.cell_text(base, cell) end
  if kind == BIGINT then return lib.text(ffi_string(base + cell.off, lib.bit.rshift(cell.tag, 4)), BIGINT) end
  if kind == C.TM_KIND_TRUE then return true end
  if kind == C.TM_KIND_FALSE then return false end
  if kind == C.TM_KIND_NULL then return lib.NULL end
  raise('usage', 'KEY: a part of a key is a string, number, boolean or null')
end

local function wanted_form(names)
  if #names == 1 then return 'write its value alone' end
  local values, members = {}, {}
  for i, name in ipairs(names) do
    values[i] = '"' .. ('abcdefghijklmnop'):sub(i, i) .. '"'
    members[i] = value.json(name) .. ':' .. values[i]
  end
  return ("write '[%s]' or '{%s}'"):format(table.concat(values, ','), table.concat(members, ','))
end

--- The members of a KEY that is an object, in the order of names.
local function members_of(cells, n, base, names)
  local parts, i = {}, 1
  local index = {}
  for at, name in ipairs(names) do index[name] = at end
  while i < n do
    local name = value.cell_text(base, cells[i])
    if not index[name] then raise('usage', "KEY: the key has no field '" .. printable.line(name) .. "'" .. suggest.among(name, names)) end
    parts[index[name]] = part_of(cells, i + 1, base)
    i = i + 2
  end
  for at, name in ipairs(names) do
    if parts[at] == nil then raise('usage', "KEY: '" .. printable.line(name) .. "' is missing; " .. wanted_form(names)) end
  end
  return parts
end

--- KEY as a list of parts. What is no JSON is a string.
function M.parse(state, text)
  local names, at = state.names, ffi.new 'int32_t[1]'
  if #names == 0 then raise('usage', "state '" .. state.name .. "' has no key, as there is no key_by before it: leave KEY out") end
  if text == '' or C.tm_ffi_json_check(text, #text, at) ~= 0 then
    if #names > 1 then
      raise('usage', ("KEY: the key of '%s' is made of %s; %s"):format(state.name, table.concat(names, ', '), wanted_form(names)))
    end
    return { text }
  end
  local cells, n, base = value.tape(text)
  local kind = lib.bit.band(cells[0].tag, 15)
  if kind == C.TM_KIND_OBJECT then return members_of(cells, n, base, names) end
  if kind == C.TM_KIND_ARRAY then
    if cells[0].num ~= #names then
      raise('usage', ("KEY: the key of '%s' is made of %s, found %d values; %s"):format(state.name, table.concat(names, ', '),
        cells[0].num, wanted_form(names)))
    end
    local parts = {}
    for i = 1, #names do parts[i] = part_of(cells, i, base) end
    return parts
  end
  if #names > 1 then
    raise('usage', ("KEY: the key of '%s' is made of %s; %s"):format(state.name, table.concat(names, ', '), wanted_form(names)))
  end
  return { part_of(cells, 0, base) }
end

--- The digits of an integer, or nil.
local function digits_of(k)
  if type(k) == 'table' and k ~= lib.NULL then return k.text end
  if type(k) == 'number' and k % 1 == 0 and k > -1e15 and k < 1e15 then return ('%.0f'):format(k) end
end

--- Parts as a key in Lua's form. A field declared int64 is kept as digits.
local function form_of(state, parts)
  local form = {}
  for i, name in ipairs(state.names) do
    local k = parts[i]
    local rule = state.key_nodes[i].rule
    if rule and rule.digits and not state.key_made then k = digits_of(k) or k end
    if k == lib.NULL then k = nil end
    if not state.composite then return k end
    form[name] = k
  end
  return form
end

--- The record of a key; nil: there is none.
function M.record(state, parts)
  if state_of.set_key(form_of(state, parts), state.names) ~= 0 then return nil end
  local p = C.tm_ffi_state_find(state.ptr, state_of.key)
  return p ~= nil and ffi.cast('void *', p) or nil
end

--- The bytes of a key in C's form; it is the key at hand then.
function M.key_bytes(state, parts)
  local rc = state_of.set_key(form_of(state, parts), state.names)
  if rc ~= 0 then state_of.key_failed(rc) end
  return ffi_string(state_of.key.bytes, state_of.key.len)
end

--- The same text as a value of another type: 42 and "42", true and "true".
local function other_type(k)
  if type(k) == 'boolean' then return tostring(k) end
  if type(k) ~= 'string' then return digits_of(k) or type(k) == 'number' and value.json(k) or nil end
  if C.tm_ffi_json_check(k, #k, ffi.new 'int32_t[1]') ~= 0 then return nil end
  local cells, _, base = value.tape(k)
  local kind = lib.bit.band(cells[0].tag, 15)
  if kind == NUMBER or kind == BIGINT or kind == C.TM_KIND_TRUE or kind == C.TM_KIND_FALSE then return part_of(cells, 0, base) end
end

--- The first keys of a state, as parts.
local function first_keys(state)
  local list, cursor = {}, C.tm_ffi_cursor_new(state.ptr)
  while cursor ~= nil and cursor.done == 0 and #list < NEAR_MAX do
    local record = C.tm_ffi_cursor_next(cursor)
    if record ~= nil then list[#list + 1] = json_of(parts_of(state, record)) end
  end
  if cursor ~= nil then C.tm_ffi_cursor_free(cursor) end
  return list
end

--- What to say of a key that is not there: one that differs from it in a type, or in some letters, else a few that are.
function M.near(state, parts)
  for i = 1, #parts do
    local other = other_type(parts[i])
    if other ~= nil then
      local tried = { unpack(parts) }
      tried[i] = other
      local text = shown(json_of(tried))
      if M.record(state, tried) then return '; there is ' .. text .. ", another type: write '" .. text .. "'" end
    end
  end
  local keys, word, short = first_keys(state), json_of(parts), {}
  if #keys == 0 then return '' end
  for _, key in ipairs(keys) do
    if #key <= NEAR_BYTES and #word <= NEAR_BYTES then short[#short + 1] = key end
  end
  local meant = suggest.closest(word, short)
  if meant then return '; did you mean ' .. shown(meant) .. '?' end
  local few = {}
  for i = 1, math.min(#keys, 3) do few[i] = shown(keys[i]) end
  return '; its first ' .. (#keys == 1 and 'key is ' or 'keys are ') .. table.concat(few, ', ')
end

--- A key that was asked for, for a message.
function M.shown(parts) return shown(json_of(parts)) end

return M
