--[[
state_cells.lua - cells of records by their words (state_layout.lua): read as plain Lua values, written, and copied from the record of one
state to that of another. Who writes has announced the record.
]]

local lib = require 'tidemill.lib'
local any = require 'tidemill.any'
local element = require 'tidemill.state_values'
local order = require 'tidemill.order'
local state = require 'tidemill.state'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local cast, ffi_string = ffi.cast, ffi.string

local M = {}

local NIL = 0 / 0
local double_p, ref_p = ffi.typeof 'double *', ffi.typeof 'struct tm_state_ref *'
local key, val = ffi.new 'struct tm_value', ffi.new 'struct tm_value'
M.TYPES = { number = 'number', integer = 'number', boolean = 'boolean', string = 'string' }

local function number_at(record, cell) return cast(double_p, cast('char *', record) + cell.off) end
local function ref_at(record, cell) return cast(ref_p, cast('char *', record) + cell.off) end
M.number_at, M.ref_at = number_at, ref_at

local function check(ptr, rc)
  if rc < 0 then state.failed(ptr, rc) end
  return rc
end

-- Walking containers -----------------------------------------------------------------

--- Elements of a list, in order: for i, v in each(…).
---@param raw boolean|nil give struct tm_value, valid until the next step, in place of Lua values
function M.each_item(ptr, record, cell, what, raw)
  local n, i = tonumber(ref_at(record, cell).n), 0
  return function()
    if i >= n then return nil end
    i = i + 1
    check(ptr, C.tm_ffi_list_get(ptr, record, cell.index, i, val))
    return i, raw and val or element.read(val, what)
  end
end

--- Entries of a map or set, in order of first setting; as each_item.
function M.each_entry(ptr, record, cell, what, raw)
  local at, has = 0, cell.kind == 'map'
  return function()
    at = C.tm_ffi_map_next(ptr, record, cell.index, at, key, has and val or nil)
    if at == 0 then return nil end
    if raw then return key, val end
    if not has then return element.read(key, what) end
    return element.read(key, what), element.read(val, what)
  end
end

-- Reading --------------------------------------------------------------------------

--- The value of a cell as a plain Lua value: of a list a table 1..n, of a map by key, of a set true by element.
function M.read(ptr, record, cell, what)
  if cell.number then
    local v = number_at(record, cell)[0]
    if v ~= v then return nil end
    if cell.type == 'boolean' then return v == 1 end
    return v
  end
  local out = {}
  if cell.kind == 'text' then
    local ref = ref_at(record, cell)
    if cell.type ~= 'any' then return state.text(ptr, ref) end
    if ref.at == 0 then return nil end
    return (any.unpack(ptr.base + 8 * ref.at, ref.n, what))
  elseif cell.kind == 'list' then
    for i = 1, ref_at(record, cell).n do
      check(ptr, C.tm_ffi_list_get(ptr, record, cell.index, i, val))
      out[i] = element.read(val, what)
    end
    return out
  end
  local v, place = not cell.set and val or nil, 0
  repeat
    place = C.tm_ffi_map_next(ptr, record, cell.index, place, key, v)
    if place ~= 0 then
      local x = true
      if v then x = element.read(val, what) end
      out[element.read(key, what)] = x
    end
  until place == 0
  return out
end

-- Copying -----------------------------------------------------------------------------

local pair, no_counts = ffi.new 'double[2]', ffi.new 'struct tm_marks'

--- Numbers of several sets; the sizes of the sets are number cells, copied as such.
local function copy_marks(ptr, to, cell, from_ptr, from, from_cell)
  local place = 0
  no_counts.field = cell.index
  repeat
    place = C.tm_ffi_marks_next(from_ptr, from, from_cell.index, place, pair)
    if place ~= 0 then check(ptr, C.tm_ffi_marks_add(ptr, to, no_counts, pair[0], pair[1])) end
  until place == 0
end

local function copy_ref(ptr, to, cell, from_ptr, from, from_cell)
  local ref = ref_at(from, from_cell)
  if ref.at == 0 and ref.n == 0 then return end
  if cell.kind == 'text' then
    return check(ptr, C.tm_ffi_text_set(ptr, to, cell.index, ref.n > 0 and from_ptr.base + 8 * ref.at or '', ref.n))
  end
  if cell.kind == 'marks' then return copy_marks(ptr, to, cell, from_ptr, from, from_cell) end
  if cell.kind == 'list' then
    for i = 1, ref.n do
      check(ptr, C.tm_ffi_list_get(from_ptr, from, from_cell.index, i, val))
      check(ptr, C.tm_ffi_list_push(ptr, to, cell.index, val))
    end
  else
    local v, place = cell.kind == 'map' and val or nil, 0
    repeat
      place = C.tm_ffi_map_next(from_ptr, from, from_cell.index, place, key, v)
      if place ~= 0 then check(ptr, C.tm_ffi_map_set(ptr, to, cell.index, key, v)) end
    until place == 0
  end
end

--- What a cell of one record holds comes to a cell of the same type of another, which holds nothing, or its start value.
function M.copy(ptr, to, cell, from_ptr, from, from_cell)
  if cell.number then
    number_at(to, cell)[0] = number_at(from, from_cell)[0]
    return
  end
  local had = ref_at(to, cell)
  if had.at ~= 0 then check(ptr, C.tm_ffi_state_empty(ptr, to, cell.index)) end
  copy_ref(ptr, to, cell, from_ptr, from, from_cell)
end

-- Writing -----------------------------------------------------------------------------

local function wrong(cell, v, what)
  if type(v) == 'number' and v ~= v then raise('type', what .. ' cannot hold NaN') end
  local kind = cell.type == 'integer' and 'an integer' or 'a ' .. (M.TYPES[cell.type] or cell.kind)
  local got = type(v) == 'number' and tostring(v) or v == nil and 'nil' or 'a ' .. type(v)
  raise('type', ('%s is %s, cannot hold %s'):format(what, kind, got))
end

local function write_number(record, cell, v, what)
  local p = number_at(record, cell)
  if v == nil then
    p[0] = NIL
  elseif cell.type == 'boolean' then
    if type(v) ~= 'boolean' then wrong(cell, v, what) end
    p[0] = v and 1 or 0
  else
    if type(v) ~= 'number' or v ~= v then wrong(cell, v, what) end
    if cell.type == 'integer' and (v % 1 ~= 0 or v > 2 ^ 53 or v < -2 ^ 53) then wrong(cell, v, what) end
    p[0] = v
  end
end

--- The number of items of a table 1..n, or an error.
local function length(t, what)
  local n, count = #t, 0
  for _ in next, t do count = count + 1 end
  if n ~= count then raise('type', ('%s is a list, and the table has other keys than 1 to %d, or holes'):format(what, n)) end
  return n
end

--- The elements of a map or set in Lua's form, a table: first those that `before` (a list of keys, or nil) names, in its order, then the
--- others in the order of pairs.
local function keys_of(t, before)
  local list, known = {}, {}
  for _, k in ipairs(before or {}) do
    if t[k] ~= nil then list[#list + 1], known[k] = k, true end
  end
  for _, k in ipairs((order.keys(t))) do
    if not known[k] then list[#list + 1] = k end
  end
  return list
end

--- Fills a container that is empty. time(i or k): of elements that go by age, kept in `times`, or of a set as its values.
---@param max integer|nil room: the last ones of a list stay
---@param before table|nil of keys_of
---@param times table|nil the cell of the times
function M.fill(ptr, record, cell, t, what, max, before, times, time)
  if type(t) ~= 'table' or t == lib.NULL then wrong(cell, t, what) end
  local function put_time(k)
    val.kind, val.num = C.TM_VALUE_NUMBER, time(k)
  end
  if cell.kind == 'list' then
    local n = length(t, what)
    for i = max and n > max and n - max + 1 or 1, n do
      element.fill_value(val, t[i], cell.of, what)
      check(ptr, C.tm_ffi_list_push(ptr, record, cell.index, val))
      if times then
        put_time(i)
        check(ptr, C.tm_ffi_list_push(ptr, record, times.index, val))
      end
    end
    return
  end
  local keys = keys_of(t, before)
  if max and #keys > max then raise('type', ('%s has room for %d elements (max), got %d'):format(what, max, #keys)) end
  local is_set, aged_set = cell.set, cell.set and cell.kind == 'map'
  for _, k in ipairs(keys) do
    if cell.key ~= '*' and type(k) ~= cell.key then
      raise('type', ('%s holds keys of type %s, got a %s'):format(what, cell.key, type(k)))
    end
    if is_set and t[k] ~= true then raise('type', what .. ' is a set, which is a table { [element] = true }') end
    element.fill(key, k, what)
    local v
    if aged_set then
      put_time(k)
      v = val
    elseif cell.kind == 'map' then
      element.fill_value(val, t[k], cell.of, what)
      v = val
    end
    check(ptr, C.tm_ffi_map_set(ptr, record, cell.index, key, v))
    if times then
      put_time(k)
      check(ptr, C.tm_ffi_map_set(ptr, record, times.index, key, val))
    end
  end
end

--- A cell that is no container takes a plain Lua value.
function M.write(ptr, record, cell, v, what)
  if cell.number then return write_number(record, cell, v, what) end
  if v == nil then
    check(ptr, C.tm_ffi_state_empty(ptr, record, cell.index))
  elseif cell.type == 'any' then
    any.pack(v, what, what)
    check(ptr, C.tm_ffi_text_set(ptr, record, cell.index, any.packed.data, any.packed.len))
  else
    if type(v) ~= 'string' then wrong(cell, v, what) end
    check(ptr, C.tm_ffi_text_set(ptr, record, cell.index, v, #v))
  end
end

--- The bytes of a text cell; nil: none.
function M.bytes(ptr, record, cell)
  local ref = ref_at(record, cell)
  if ref.at == 0 then return nil end
  return ref.n == 0 and '' or ffi_string(ptr.base + 8 * ref.at, ref.n)
end

return M
