--[[
aggregates/kept.lua - what parts of aggregates share: one value of any type in a record, texts made of values, what is wrong.
]]

local lib = require 'tidemill.lib'
local state_of = require 'tidemill.state'
local value = require 'tidemill.value'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string

local M = {}

--- What a kept value is: NUMBER is in its num, TEXT and JSON in its text; 0: there is none.
M.NUMBER, M.TEXT, M.FALSE, M.TRUE, M.JSON = 1, 2, 3, 4, 5
local NUMBER, TEXT, FALSE, TRUE, JSON = 1, 2, 3, 4, 5

local text_of = state_of.text

--- Raises what a negative code of C means.
local function check(state, rc)
  if rc < 0 then state_of.failed(state, rc) end
end
M.check = check

local function found(v)
  if lib.owner[v] then return 'an object' end
  if v ~= v then return 'NaN' end
  if v == math.huge or v == -math.huge then return 'an infinity' end
  return 'a ' .. type(v)
end

--- Fails the event: the aggregate takes other values.
function M.wrong(agg, v, wanted)
  raise('type', ("'%s': %s takes %s, but field '%s' holds %s"):format(agg.name, agg.kind, wanted, agg.field, found(v)))
end

local function keep_text(state, record, ref, text)
  check(state, C.tm_ffi_text_set(state, record, ref, text, #text))
end
M.keep_text = keep_text

--- Puts a value into the text of a record that numbers do not fit in; its num and kind.
function M.keep(state, record, ref, v)
  local t = type(v)
  if t == 'number' then
    return v, NUMBER
  elseif t == 'nil' then
    return 0, 0
  elseif t == 'string' then
    keep_text(state, record, ref, v)
    return 0, TEXT
  elseif t == 'boolean' then
    return 0, v and TRUE or FALSE
  elseif t == 'table' or value.is_opaque(v) then
    keep_text(state, record, ref, lib.owner[v] and value.text(v).text or lib.is_text(v) and v.text or value.encode_string(v))
    return 0, JSON
  end
  raise('type', 'a ' .. t .. ' cannot be kept')
end

--- The value again, for a row.
function M.kept(state, num, kind, ref)
  if kind == NUMBER then return num
  elseif kind == TRUE then return true
  elseif kind == FALSE then return false
  elseif kind == 0 then return lib.NULL end
  local text = text_of(state, ref)
  if kind == TEXT then return text end
  local first = text:byte(1)
  return (lib.text(text, first == 0x5B and 10 or first == 0x22 and 11 or 9))
end

--- Where C finds it, for a row (host/aggregate/result.c).
function M.row(a) return { kind = C.TM_RESULT_KEPT, 'v' .. a.n, 'k' .. a.n, 't' .. a.n } end

--- Makes the text of a record that of another one.
function M.copy_text(state, record, ref, state2, ref2)
  local text = text_of(state2, ref2)
  if text then keep_text(state, record, ref, text) end
end

--- A value as JSON text, as it would leave.
function M.json(v)
  if lib.owner[v] then return value.text(v).text end
  if lib.is_text(v) then return v.text end
  return (value.encode_string(v))
end

local out = lib.buf()
M.out = out

--- A JSON text in M.out as a value for a row; rc: what C said of it.
function M.array(agg, rc)
  if rc == -2 then raise('not-writable', ("'%s': %s holds NaN, an infinity or a text that is not UTF-8, which cannot be written")
    :format(agg.name, agg.kind)) end
  if rc ~= 0 then raise('row-too-large', ("'%s': the list of %s is larger than a row may be (16 MiB)"):format(agg.name, agg.kind)) end
  return (lib.text(ffi_string(out.data, out.len), 10))
end

return M
