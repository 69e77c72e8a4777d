--[[
lib.lua - what the library's files share: the C functions, the special values, scratch buffers, errors.
The one place that hands abi.h to the FFI; afterwards nobody else declares anything.
]]

local _, host = ...
local ffi = require 'ffi'
local bit = require 'bit'
assert(type(host) == "table", "tidemill.lib is loaded by the host")

ffi.cdef(host.abi)
local C = ffi.C
for name, size in pairs(host.sizes) do
  if ffi.sizeof(name) ~= size then
    error(('abi.h: %s has %d bytes here and %d in the program; rebuild it'):format(name, ffi.sizeof(name), size))
  end
end

local M = { ffi = ffi, bit = bit, C = C, host = host }

--- what all scripts share and none may change
M.shared = setmetatable({}, { __mode = 'k' })

local function special(name)
  local t = setmetatable({}, {
    __tostring = function() return name end, __metatable = name,
    __newindex = function() M.raise('type', name .. ' cannot be assigned to') end,
  })
  M.shared[t] = true
  return t
end

--- JSON's null where a value is needed (arrays, writes). Reading a null field gives nil.
M.NULL = special 'null'
M.REMOVED = special 'removed'
M.OBJECT = special 'object'
--- a text, or what C wrote, that lies in the slot alone: no value of Lua was made of it
M.SPAN = special 'span'
--- the same, and the text is that of a JSON object: a row that lies in a table
M.ROW = special 'row'
--- a key that lies in the columns of the event at hand
M.ROW_KEY = special 'row key'
--- a key that lies in the buffer for keys (state.key): no strings were made of it
M.BYTES_KEY = special 'bytes key'
--- a key that lies with the event whose turn it is in a sliding window
M.TURN_KEY = special 'turn key'

local plain = tostring

--- tostring for the whole library: an address, which differs from run to run and helps attacks, gets into no message.
function M.tostring(v)
  local t = type(v)
  if t == 'number' or t == 'string' or t == 'boolean' or t == 'nil' then return plain(v) end
  local mt = debug.getmetatable(v)
  if mt and rawget(mt, '__tostring') then return plain(v) end
  return t
end

--- The library is at work that is long by itself, with many things one behind the other: the deadline counts anew.
function M.at_work() M.flow.marker.sub = M.flow.marker.sub + 1 end

local text_mt = {}

--- A value as its JSON text, bytes untouched. kind: enum tm_kind; num: a number's value; typ: its declared type.
function M.text(text, kind, num, typ)
  return setmetatable({ text = text, kind = kind, num = num, typ = typ, got = nil }, text_mt)
end

--- Is this table such a text? (Scripts cannot make one, and never see one.)
function M.is_text(v)
  return debug.getmetatable(v) == text_mt
end

M.EMPTY_ROW = C.TM_ROW_EMPTY
local empty = ffi.new('struct tm_cell[?]', C.TM_ROW_EMPTY + 1)
for i = 0, C.TM_ROW_EMPTY do empty[i].num = 0 / 0 end
M.EMPTY_CELLS = ffi.cast('struct tm_cell *', empty)
M.anchor = { empty }
--- the one raw key of every view: a pointer, which no script has, so that C can tell a view in a serialized table
M.VIEW = host.flow
M.anchor[3] = ffi.new('uint8_t[?]', C.TM_ROW_EMPTY + 1)
M.EMPTY_CODES = ffi.cast('const uint8_t *', M.anchor[3])
--- strings made of a column's rows, for a field without a column: none ever
M.EMPTY_STRINGS = {}
for i = 0, C.TM_ROW_EMPTY do M.EMPTY_STRINGS[i] = false end

M.flow = ffi.cast('struct tm_flow *', host.flow)
--- rows that a filter may keep, of the batch at hand of the pipeline at work
M.anchor[2] = ffi.new('int32_t[?]', C.TM_BATCH_ROWS)
M.rows = ffi.cast('int32_t *', M.anchor[2])

local BUF_MAX = 64 * 1024 * 1024

--- The formats of sources and sinks that this version has, by name.
M.formats = { json = C.TM_FORMAT_JSON, msgpack = C.TM_FORMAT_MSGPACK, csv = C.TM_FORMAT_CSV, lines = C.TM_FORMAT_LINES,
  fluent = C.TM_FORMAT_FLUENT }

--- The units of points in time, by name.
M.time_units = { s = C.TM_TIME_S, ms = C.TM_TIME_MS, us = C.TM_TIME_US, ns = C.TM_TIME_NS, iso8601 = C.TM_TIME_ISO8601 }

--- A growing buffer of C.
function M.buf(max)
  local b = ffi.new 'struct tm_buf'
  b.cap_max, b.fixed = max or BUF_MAX, C.TM_BUF_OWNED   -- given back with this library, when scripts are loaded anew
  C.tm_ffi_buf_put(b, '', 0)
  return b
end

M.scratch = M.buf()     -- unescaped strings
M.texts = M.buf()       -- value texts of patches
M.padded = M.buf()      -- texts copied for the scanners
M.encode_buf = M.buf()  -- encode_string, views as text
M.array_buf = M.buf()   -- arrays changed in the middle of a call

local nested = {}

--- The buffer in which the object at this depth is merged.
function M.nested_buf(node)
  local depth = 0
  while node do depth, node = depth + 1, node.parent end
  local b = nested[depth]
  if not b then b = M.buf(); nested[depth] = b end
  return b
end

--- A new function of a library text, with prototypes of its own, on one line: the deadline's guard puts a check at
--- every line of a trace, and these run inside every trace. (So these files have comments on lines of their own only.)
local compiled = {}
function M.load(name)
  local code = compiled[name]
  if not code then
    local text = host.text(name):gsub('^%s*%-%-%[%[.-%]%]', '', 1):gsub('\n%s*%-%-[^\n]*', ''):gsub('%s*\n%s*', ' ')
    if text:find('-- ', 1, true) then error(name .. ': a comment behind code would hide the rest') end
    code = string.dump(assert(loadstring(text, '=' .. name)))
    compiled[name] = code
  end
  return assert(loadstring(code, '=' .. name))
end

--- proxy -> its node: what is an event view.
M.owner = setmetatable({}, { __mode = 'k' })
--- proxies whose call is over (only where views are checked)
M.stale = setmetatable({}, { __mode = 'k' })

-- what an event belongs to when its call is over
local kept_mt = { __index = function() M.raise('kept', 'event kept after its call; use tm.copy') end }
M.KEPT = { V = setmetatable({}, kept_mt), parent = false }

local error_mt = { __tostring = function(e) return e.message end, __metatable = 'error' }

--- Raises an error of the library: code for programs, message for people.
---@param code string static id, e.g. 'bigint'
---@param message string
function M.raise(code, message)
  error(setmetatable({ code = code, message = message }, error_mt), 0)
end
M.error_mt = error_mt

return M
