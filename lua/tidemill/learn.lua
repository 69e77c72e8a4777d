--[[
learn.lua - a schema learned from examples: `check --sample FILE` shows the :schema that all its events satisfy.

For each field it counts what kinds of values it had, and for numbers and strings what all of them had in common; at the end the
narrowest type that fits is chosen. Texts of CSV count as what they can be read as. Where a type would be a guess that a later
event may well break, the wider one is taken: decimals only up to two places, times only where the field's name says so.
]]

local lib = require 'tidemill.lib'
local value = require 'tidemill.value'
local printable = require 'tidemill.printable'
local C, ffi, bit = lib.C, lib.ffi, lib.bit
local band, rshift = bit.band, bit.rshift

local M = {}

local FIELDS_MAX, EVENTS_MAX = 256, 100000
local NULL, FALSE, TRUE, NUMBER, BIGINT, STRING, ESCAPED, OBJECT, ARRAY = 1, 2, 3, 4, 5, 7, 8, 9, 10
local KINDS = { [FALSE] = 'boolean', [TRUE] = 'boolean', [NUMBER] = 'number', [BIGINT] = 'large integer', [6] = 'huge number',
  [STRING] = 'string', [ESCAPED] = 'string', [OBJECT] = 'object', [ARRAY] = 'array', [11] = 'bytes' }

local fields, list, events, left_out = {}, {}, 0, 0
local text_len = ffi.new 'int32_t[1]'

local function field_of(name)
  local f = fields[name]
  if f then return f end
  if #list >= FIELDS_MAX then
    left_out = left_out + 1
    return nil
  end
  f = { name = name, seen = 0, nulls = 0, kinds = {}, integers = 0, int64s = 0, dates = 0, decimals = 0, plain = true,
    low = math.huge, high = -math.huge, texts = false, empty = 0 }
  fields[name], list[#list + 1] = f, f
  return f
end

local function observe_number(f, text, num)
  f.low, f.high = math.min(f.low, num), math.max(f.high, num)
  if C.tm_ffi_text_int64(text, #text) == 1 then f.int64s = f.int64s + 1 end
  if text:find '^%-?%d+$' then
    f.integers = f.integers + 1
  else
    local places = text:match '^%-?%d+%.(%d+)$'
    if places then f.decimals = math.max(f.decimals, #places) else f.plain = false end
  end
end

--- The cell behind the value at cell i.
local function skip(cells, i)
  local kind, n = band(cells[i].tag, 15), cells[i].num
  i = i + 1
  if kind == OBJECT then
    for _ = 1, n do i = skip(cells, i + 1) end
  elseif kind == ARRAY then
    for _ = 1, n do i = skip(cells, i) end
  end
  return i
end

local num = ffi.new 'double[1]'

--- What a text of CSV would be, declared so.
local function kind_of_text(p, len)
  if len == 0 then return STRING end
  local kind = C.tm_ffi_text_value(p, len, C.TM_TEXT_NUMBER, num)
  return kind ~= STRING and kind or C.tm_ffi_text_value(p, len, C.TM_TEXT_BOOLEAN, num)
end

local function observe(f, cell, base, is_csv)
  local kind, value_of = band(cell.tag, 15), cell.num
  if is_csv and kind == STRING then
    kind = kind_of_text(base + cell.off, rshift(cell.tag, 4))
    value_of, f.texts = num[0], true
    if rshift(cell.tag, 4) == 0 then f.empty = f.empty + 1 end
  end
  if kind == NULL then
    f.nulls = f.nulls + 1
    return
  end
  local name = KINDS[kind]
  f.seen = f.seen + 1
  f.kinds[name] = (f.kinds[name] or 0) + 1
  if kind == NUMBER or kind == BIGINT then
    local text = ffi.string(base + cell.off, rshift(cell.tag, 4))
    observe_number(f, text, kind == NUMBER and value_of or tonumber(text))
  elseif kind == STRING and C.tm_ffi_text_iso8601(base + cell.off, rshift(cell.tag, 4)) == 1 then
    f.dates = f.dates + 1
  end
end

--- Looks at all events of a decoded batch.
---@param batch ffi.cdata* struct tm_batch *
function M.batch(batch)
  for row = 0, batch.rows - 1 do
    if events >= EVENTS_MAX then return end
    local text = batch.status[row] == C.TM_LINE_OK and C.tm_ffi_batch_text(batch, row, nil, text_len)
    if text and text ~= nil then
      events = events + 1
      local cells, _, base = value.tape(ffi.string(text, text_len[0]))
      local i = 1
      for _ = 1, cells[0].num do
        local f = field_of(value.cell_text(base, cells[i]))
        if f then observe(f, cells[i + 1], base, batch.format == C.TM_FORMAT_CSV) end
        i = skip(cells, i + 1)
      end
    end
  end
end

local UNITS = { { 'time_s', 1 }, { 'time_ms', 1e3 }, { 'time_us', 1e6 }, { 'time_ns', 1e9 } }
local FROM, TO = 946684800, 4102444800   -- the years 2000 to 2099, in seconds

--- The unit of a field whose name says that it is a time and whose values are such ones, all of this century.
local function time_unit(f)
  local name = f.name:lower()
  local says_so = name == 'ts' or name:find '^ts_' or name:find '_ts$' or name:find 'time' or name:find '_at$' or name:find 'date'
  if not says_so then return nil end
  for _, unit in ipairs(UNITS) do
    if f.low >= FROM * unit[2] and f.high < TO * unit[2] then return unit[1] end
  end
end

local function type_of(f)
  local kind, several = next(f.kinds), next(f.kinds, next(f.kinds)) ~= nil
  local numbers = (f.kinds.number or 0) + (f.kinds['large integer'] or 0)
  if numbers == f.seen and f.integers == f.seen then
    if f.int64s == f.seen and time_unit(f) then return time_unit(f) end
    if not f.kinds['large integer'] then return 'integer' end
    return f.int64s == f.seen and 'int64' or 'any'
  end
  if several then return f.texts and 'string' or 'any' end
  if kind == 'number' then return f.plain and f.decimals == 2 and 'decimal(2)' or 'number' end
  if kind == 'string' then return f.dates == f.seen and 'time_iso8601' or 'string' end
  return kind == 'boolean' and kind or 'any'
end

--- What a person should know before declaring this: values of several kinds, events without the field.
local function remark(f)
  local words, kinds = {}, {}
  for name in pairs(f.kinds) do kinds[#kinds + 1] = name end
  table.sort(kinds)
  if #kinds > 1 or type_of(f) == 'any' then
    for i, name in ipairs(kinds) do kinds[i] = ('%d %s%s'):format(f.kinds[name], name, f.kinds[name] == 1 and '' or 's') end
    words[1] = table.concat(kinds, ', ')
  end
  if f.empty > 0 then words[#words + 1] = ('%d empty'):format(f.empty) end
  if f.nulls > 0 then words[#words + 1] = ('%d null'):format(f.nulls) end
  if f.seen + f.nulls < events then words[#words + 1] = ('in %d of %d events'):format(f.seen + f.nulls, events) end
  return table.concat(words, '; ')
end

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch '%a+' do keywords[word] = true end

local function key_text(name)
  if name:find '^[%a_][%w_]*$' and not keywords[name] then return name end
  return '[' .. (('%q'):format(name):gsub('\\\n', '\\n')) .. ']'
end

--- The schema as text of a script; nil when there was no event.
---@return string|nil
function M.text()
  if events == 0 then return nil end
  local lines, width = {}, 0
  table.sort(list, function(a, b) return a.name < b.name end)
  local entries = {}
  for _, f in ipairs(list) do
    if f.seen > 0 then
      local entry = { ("    %s = '%s',"):format(key_text(f.name), type_of(f)), remark(f) }
      entries[#entries + 1] = entry
      if entry[2] ~= '' then width = math.max(width, printable.width(entry[1])) end
    end
  end
  for _, e in ipairs(entries) do
    lines[#lines + 1] = e[2] == '' and e[1] or e[1] .. (' '):rep(width - printable.width(e[1])) .. '   -- ' .. e[2]
  end
  if left_out > 0 then lines[#lines + 1] = ('    -- further names are left out: at most %d are looked at'):format(FIELDS_MAX) end
  return ('learned from %s event%s:\n  :schema {\n%s\n  }\n'):format(events, events == 1 and '' or 's', table.concat(lines, '\n'))
end

return M
