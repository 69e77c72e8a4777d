--[[
state_exact.lua - cells of records as JSON that reads back bit by bit: what `tidemill state export` writes and `state import` reads.

  number integer boolean   as they are; nil is null; {"$number":"inf"}, {"$number":"-inf"}, {"$number":"-0"}; {"$bits":"16 digits"} of
                           what is no number
  texts                    a string; what is no UTF-8 {"$bytes":"base64"}; nil is null, "" is ""
  any                      its JSON, if that becomes the same bytes again, else {"$msgpack":"base64"}
  lists, sets              arrays;  maps: arrays of [key, value], in their order
  marks                    arrays of [number, bits], by number
  series                   arrays of entries, each an array of its cells

A part of a key that is an integer beyond 2^53 is {"$integer":"digits"}.
]]

local lib = require 'tidemill.lib'
local any = require 'tidemill.any'
local cells = require 'tidemill.state_cells'
local state = require 'tidemill.state'
local value = require 'tidemill.value'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string, band, rshift = ffi.string, lib.bit.band, lib.bit.rshift
local huge = math.huge

local M = {}

local NIL = 0 / 0
local BIGINT = C.TM_KIND_BIGINT
local scratch = lib.buf()

local function check(rc)
  if rc ~= 0 then raise('row-too-large', 'it is larger than 16 MiB') end
end

local function put(buf, s) check(C.tm_ffi_buf_put(buf, s, #s)) end
M.put = put

-- JSON to plain values ----------------------------------------------------------------------

local build

local function build_table(cells_, i, base, t, n, keyed)
  for j = 1, n do
    local k = j
    if keyed then
      k = value.cell_text(base, cells_[i])
      i = i + 1
    end
    t[k], i = build(cells_, i, base)
  end
  return t, i
end

--- The value of cell i of a tape, integers beyond 2^53 as the nearest double; and the index behind it.
function build(tape, i, base)
  local cell = tape[i]
  local kind = band(cell.tag, 15)
  if kind == C.TM_KIND_NUMBER then return cell.num, i + 1 end
  if kind == C.TM_KIND_STRING or kind == C.TM_KIND_ESCAPED then return value.cell_text(base, cell), i + 1 end
  if kind == C.TM_KIND_OBJECT then return build_table(tape, i + 1, base, {}, cell.num, true) end
  if kind == C.TM_KIND_ARRAY then return build_table(tape, i + 1, base, value.array {}, cell.num, false) end
  if kind == C.TM_KIND_TRUE then return true, i + 1 end
  if kind == C.TM_KIND_FALSE then return false, i + 1 end
  if kind == C.TM_KIND_NULL then return lib.NULL, i + 1 end
  if kind == BIGINT then return tonumber(ffi_string(base + cell.off, rshift(cell.tag, 4))), i + 1 end
  raise('type', 'a number is beyond the range of a double')
end

--- The plain value of a JSON text, arrays with their mark; nil and where the fault is, from 1.
function M.decode(text)
  local at = ffi.new 'int32_t[1]'
  if C.tm_ffi_json_check(text, #text, at) ~= 0 then return nil, at[0] + 1 end
  local tape, _, base = value.tape(text)
  return (build(tape, 0, base))
end

--- The text of the one member `name` of an object; nil: it is something else.
local function only(v, name)
  if type(v) ~= 'table' or v == lib.NULL then return nil end
  local text = rawget(v, name)
  return type(text) == 'string' and next(v, next(v)) == nil and text or nil
end

-- Writing -----------------------------------------------------------------------------------

local function put_base64(buf, name, p, len)
  scratch.len = 0
  if C.tm_ffi_base64_encode(p, len, 0, scratch) ~= 0 then raise('row-too-large', 'it is larger than 16 MiB') end
  put(buf, '{"$' .. name .. '":"')
  check(C.tm_ffi_buf_put(buf, scratch.data, scratch.len))
  put(buf, '"}')
end

local bits = ffi.new 'union { double number; uint32_t half[2]; }'
bits.number = NIL
local NIL_LOW, NIL_HIGH = bits.half[0], bits.half[1]

--- The bits of what is no number, at v, as 16 digits; nil: it is the one that stands for nil.
local function bits_of(v)
  bits.half[0], bits.half[1] = v[0], v[1]
  if bits.half[0] == NIL_LOW and bits.half[1] == NIL_HIGH then return nil end
  return ('%08x%08x'):format(bits.half[1], bits.half[0])
end

local function put_number(buf, v, cell)
  if v ~= v then
    local digits = cell and bits_of(ffi.cast('uint32_t *', cell))
    return put(buf, digits and '{"$bits":"' .. digits .. '"}' or 'null')
  end
  if v == 0 and 1 / v < 0 then return put(buf, '{"$number":"-0"}') end
  if v == huge or v == -huge then return put(buf, v > 0 and '{"$number":"inf"}' or '{"$number":"-inf"}') end
  check(C.tm_ffi_json_number(buf, v))
end

local function put_text(buf, p, len)
  local from = buf.len
  if C.tm_ffi_json_string(buf, p, len) == 0 then return end
  buf.len = from
  put_base64(buf, 'bytes', p, len)
end

M.put_text = put_text

--- JSON of bytes of type any from which the same bytes come; nil: there is none.
local function any_json(p, len)
  local v = any.unpack(p, len, 'a value')
  if type(v) == 'table' and v ~= lib.NULL and only(v, '$msgpack') then return nil end
  local bytes = ffi_string(p, len)
  local text = value.json(v)
  any.pack((M.decode(text)), 'a value', 'value')
  return ffi_string(any.packed.data, any.packed.len) == bytes and text or nil
end

local function put_any(buf, p, len)
  local ok, text = pcall(any_json, p, len)
  if ok and text then return put(buf, text) end
  put_base64(buf, 'msgpack', p, len)
end

--- A struct tm_value.
local function put_value(buf, v)
  local kind = v.kind
  if kind == C.TM_VALUE_NUMBER then put_number(buf, v.num)
  elseif kind == C.TM_VALUE_STRING then put_text(buf, v.text, v.len)
  elseif kind == C.TM_VALUE_ANY then put_any(buf, v.text, v.len)
  elseif kind == C.TM_VALUE_INTEGER then put(buf, '{"$integer":"' .. ffi_string(v.text, v.len) .. '"}')
  elseif kind == C.TM_VALUE_TRUE then put(buf, 'true')
  elseif kind == C.TM_VALUE_FALSE then put(buf, 'false')
  else put(buf, 'null') end
end
M.put_value = put_value

local entry = ffi.new 'struct tm_value'

--- A text of JSON in a cell of a series.
local function put_json(buf, v)
  put(buf, '{"$json":')
  put_text(buf, v.text, v.len)
  put(buf, '}')
end

local pair = ffi.new 'double[2]'

local function put_marks(buf, ptr, record, cell)
  local list, place = {}, 0
  repeat
    place = C.tm_ffi_marks_next(ptr, record, cell.index, place, pair)
    if place ~= 0 then list[#list + 1] = { pair[0], pair[1] } end
  until place == 0
  table.sort(list, function(a, b) return a[1] < b[1] end)   -- the order in memory goes by a seed
  for i, m in ipairs(list) do
    put(buf, i > 1 and ',[' or '[')
    put_number(buf, m[1])
    put(buf, (',%d]'):format(m[2]))
  end
end

local function put_series(buf, ptr, record, cell)
  for i = 0, tonumber(cells.ref_at(record, cell).n) - 1 do
    put(buf, i > 0 and ',[' or '[')
    for c = 0, cell.cells - 1 do
      if c > 0 then put(buf, ',') end
      C.tm_ffi_series_get(ptr, record, cell.index, i, c, entry)
      if entry.kind == C.TM_VALUE_ANY then put_json(buf, entry) else put_value(buf, entry) end
    end
    put(buf, ']')
  end
end

--- Appends what a cell holds.
function M.put_cell(buf, ptr, record, cell)
  if cell.number then
    local p = cells.number_at(record, cell)
    local v = p[0]
    if cell.type == 'boolean' and v == v then return put(buf, v == 1 and 'true' or 'false') end
    return put_number(buf, v, p)
  end
  if cell.kind == 'text' then
    local ref = cells.ref_at(record, cell)
    if ref.at == 0 then return put(buf, 'null') end
    if ref.n == 0 then return put(buf, '""') end
    local p = ptr.base + 8 * ref.at
    if cell.type == 'any' then return put_any(buf, p, ref.n) end
    return put_text(buf, p, ref.n)
  end
  put(buf, '[')
  if cell.kind == 'list' then
    for i, v in cells.each_item(ptr, record, cell, nil, true) do
      if i > 1 then put(buf, ',') end
      put_value(buf, v)
    end
  elseif cell.kind == 'marks' then
    put_marks(buf, ptr, record, cell)
  elseif cell.kind == 'series' then
    put_series(buf, ptr, record, cell)
  else
    local comma
    for k, v in cells.each_entry(ptr, record, cell, nil, true) do
      if comma then put(buf, ',') end
      comma = true
      if cell.kind == 'map' then put(buf, '[') end
      put_value(buf, k)
      if cell.kind == 'map' then
        put(buf, ',')
        put_value(buf, v)
        put(buf, ']')
      end
    end
  end
  put(buf, ']')
end

-- Reading -----------------------------------------------------------------------------------

local function wrong(what, expected) raise('import', ('%s: expected %s'):format(what, expected)) end

--- The bytes of an object whose one member `name` is their base64; nil: it is none.
local function bytes_of(v, name)
  local text = only(v, name)
  scratch.len = 0
  if not text or C.tm_ffi_base64_decode(text, #text, scratch) ~= 0 then return nil end
  return ffi_string(scratch.data, scratch.len)
end

--- The bytes of a text as put_text wrote it.
function M.text_of(v, what)
  local text = type(v) == 'string' and v or bytes_of(v, '$bytes')
  if not text then wrong(what, 'a text') end
  return text
end

local NUMBERS = { inf = huge, ['-inf'] = -huge, ['-0'] = -0.0 }

--- A number, or nil.
local function number_of(v)
  if type(v) == 'number' then return v end
  return NUMBERS[only(v, '$number') or '']
end

--- Fills a struct tm_value; of: its type, '*' any that a key may have. Returns what must stay alive while it is used.
local function value_of(out, v, of, what)
  if of == 'any' then
    local bytes = bytes_of(v, '$msgpack')
    if bytes then
      local ok = pcall(any.unpack, ffi.cast('const char *', bytes), #bytes, what)
      if not ok then wrong(what, 'the bytes of a value of msgpack') end
    else
      any.pack(v, what, 'value')
      bytes = ffi_string(any.packed.data, any.packed.len)
    end
    out.kind, out.text, out.len = C.TM_VALUE_ANY, bytes, #bytes
    return bytes
  end
  local text = type(v) == 'string' and v or bytes_of(v, '$bytes')
  local number = not text and number_of(v)
  if (of == 'string' or of == '*') and text then
    out.kind, out.text, out.len = C.TM_VALUE_STRING, text, #text
  elseif (of == 'number' or of == 'integer' or of == '*') and number then
    if of == 'integer' and number % 1 ~= 0 then wrong(what, 'an integer') end
    out.kind, out.num = C.TM_VALUE_NUMBER, number
  elseif (of == 'boolean' or of == '*') and type(v) == 'boolean' then
    out.kind = v and C.TM_VALUE_TRUE or C.TM_VALUE_FALSE
  else
    wrong(what, of == '*' and 'a string, number or boolean' or 'a ' .. of)
  end
  return text
end

M.held = {}   -- texts that C reads, so that they live
local key, val, marks = ffi.new 'struct tm_value', ffi.new 'struct tm_value', ffi.new 'struct tm_marks'

local function done(ptr, rc)
  if rc < 0 then state.failed(ptr, rc) end
end

local function is_list(v) return type(v) == 'table' and v ~= lib.NULL and getmetatable(v) == 'array' end

local entries = ffi.new 'struct tm_value[64]'

--- One cell of an entry of a series; returns what must stay alive.
local function read_entry_cell(out, v, what)
  local json = only(v, '$json')
  if json then
    out.kind, out.text, out.len = C.TM_VALUE_ANY, json, #json
    return json
  end
  if v == lib.NULL then
    out.kind = C.TM_VALUE_NIL
    return nil
  end
  return value_of(out, v, '*', what)
end

local function read_series(ptr, record, cell, v, what)
  for i, item in ipairs(v) do
    local place = ('%s, entry %d'):format(what, i)
    if not is_list(item) or #item ~= cell.cells then wrong(place, ('an array of %d cells'):format(cell.cells)) end
    for c = 1, cell.cells do M.held[c] = read_entry_cell(entries[c - 1], item[c], place) end
    done(ptr, C.tm_ffi_series_push(ptr, record, cell.index, entries))
  end
end

local function read_container(ptr, record, cell, v, what)
  if not is_list(v) then wrong(what, 'an array') end
  if cell.kind == 'series' then return read_series(ptr, record, cell, v, what) end
  for i, item in ipairs(v) do
    local place = ('%s, element %d'):format(what, i)
    local k, x = item, nil
    if cell.kind == 'map' or cell.kind == 'marks' then
      if not is_list(item) or #item ~= 2 then wrong(place, cell.kind == 'map' and '[key, value]' or '[number, bits]') end
      k, x = item[1], item[2]
    end
    if cell.kind == 'list' then
      M.held[1] = value_of(val, k, cell.of, place)
      done(ptr, C.tm_ffi_list_push(ptr, record, cell.index, val))
    elseif cell.kind == 'marks' then
      if not number_of(k) or type(x) ~= 'number' or x < 1 or x > 255 or x % 1 ~= 0 then wrong(place, '[number, bits]') end
      marks.field = cell.index
      done(ptr, C.tm_ffi_marks_add(ptr, record, marks, number_of(k), x))
    else
      M.held[1] = value_of(key, k, cell.key or '*', place)
      if cell.kind == 'map' then M.held[2] = value_of(val, x, cell.of, place) end
      done(ptr, C.tm_ffi_map_set(ptr, record, cell.index, key, cell.kind == 'map' and val or nil))
    end
  end
end

--- A cell, which is empty, takes what put_cell wrote.
function M.read_cell(ptr, record, cell, v, what)
  if cell.number then
    local n, digits = number_of(v), only(v, '$bits')
    if digits then
      if not digits:find '^%x+$' or #digits ~= 16 then wrong(what, '16 digits of base 16') end
      local half = ffi.cast('uint32_t *', cells.number_at(record, cell))
      half[0], half[1] = tonumber(digits:sub(9), 16), tonumber(digits:sub(1, 8), 16)
      return
    end
    if v == lib.NULL then n = NIL
    elseif cell.type == 'boolean' then n = type(v) == 'boolean' and (v and 1 or 0) or nil end
    if n == nil then wrong(what, cell.type == 'boolean' and 'true, false or null' or 'a number or null') end
    if cell.type == 'integer' and n == n and (n % 1 ~= 0 or n > 2 ^ 53 or n < -2 ^ 53) then wrong(what, 'an integer') end
    cells.number_at(record, cell)[0] = n
  elseif cell.kind == 'text' then
    if v == lib.NULL then return end
    M.held[1] = value_of(val, v, cell.type == 'any' and 'any' or 'string', what)
    done(ptr, C.tm_ffi_text_set(ptr, record, cell.index, val.text, val.len))
  else
    read_container(ptr, record, cell, v, what)
  end
end

--- A part of a key comes behind those in the key at hand.
function M.read_key_part(v, what)
  local digits = only(v, '$integer')
  local k, rc = state.key, nil
  if digits then
    if not digits:find '^%-?%d+$' then wrong(what, 'digits') end
    rc = C.tm_ffi_key_integer(k, digits, #digits)
  elseif v == lib.NULL then
    rc = C.tm_ffi_key_nil(k)
  elseif type(v) == 'boolean' then
    rc = C.tm_ffi_key_boolean(k, v and 1 or 0)
  else
    local text = type(v) == 'string' and v or bytes_of(v, '$bytes')
    if text then rc = C.tm_ffi_key_string(k, text, #text)
    elseif number_of(v) then rc = C.tm_ffi_key_number(k, number_of(v))
    else wrong(what, 'a string, number, boolean or null') end
  end
  if rc ~= 0 then state.key_failed(rc) end
end

return M
