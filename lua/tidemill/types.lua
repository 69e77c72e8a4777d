--[[
types.lua - the types of :schema, and arithmetic on int64 digits.

A type knows which JSON kinds it takes (`kinds`, a bit mask over enum tm_kind), what more a text must satisfy
(`verify`), what Lua reads (`read`, only where that differs from an undeclared field), what may be written (`write`)
and how it leaves (`encode`). 64-bit cdata never leaves this file.
]]

local lib = require 'tidemill.lib'
local C, ffi, bit, raise = lib.C, lib.ffi, lib.bit, lib.raise

local M = {}

local function kinds(...)
  local mask = 0
  for _, k in ipairs { ... } do mask = bit.bor(mask, bit.lshift(1, k)) end
  return bit.bor(mask, 3)   -- absent and null always pass
end

local NUMBER, BIGINT, STRING, ESCAPED = 4, 5, 7, 8

local function wrong(node, typ, found)
  raise('type', "field '" .. node.V.path_of(node) .. "' is declared " .. typ.name .. ', found ' .. found)
end
M.wrong = wrong

--- A value that is to be written, for a message. The library's own texts are results that no Lua number holds.
local function found(v)
  if lib.is_text(v) then return v.text or 'a large number' end
  return 'a ' .. type(v)
end

local kind_names = { [0] = 'nothing', 'null', 'a boolean', 'a boolean', 'a number', 'a large integer',
  "a number beyond a double's range", 'a string', 'a string', 'an object', 'an array', 'bytes or an extension of msgpack' }
function M.kind_name(kind) return kind_names[kind] end

-- int64 digits ------------------------------------------------------------

local MIN_TEXT, MAX_TEXT = '9223372036854775808', '9223372036854775807'

--- Canonical digits of an int64 literal, or nil.
local function int64_digits(text)
  local sign, digits = text:match '^(%-?)(%d+)$'
  if not digits then return nil end
  digits = digits:match '^0*(%d+)$'
  if #digits > 19 then return nil end
  if #digits == 19 and digits > (sign == '-' and MIN_TEXT or MAX_TEXT) then return nil end
  if digits == '0' then return '0' end
  return sign .. digits
end

local function to_int64(v, what)
  local text = type(v) == 'number' and ('%.0f'):format(v) or v
  if type(v) == 'number' and (v % 1 ~= 0 or v > 2 ^ 53 or v < -2 ^ 53) then
    raise('type', 'tm.i64.' .. what .. ': ' .. tostring(v) .. ' is no integer a Lua number holds exactly')
  end
  local canonical = type(text) == 'string' and int64_digits(text)
  if not canonical then
    raise('type', 'tm.i64.' .. what .. ' takes the digits of an int64, got ' .. (type(v) == 'string' and "'" .. v .. "'" or type(v)))
  end
  local sign, digits = canonical:match '^(%-?)(%d+)$'
  local n = ffi.new('int64_t', 0)
  for i = 1, #digits do n = n * 10 - (digits:byte(i) - 48) end   -- negative: the range is one wider there
  if sign == '' then n = -n end
  return n
end

local function from_int64(n)
  return (tostring(n):gsub('LL$', ''))
end

local ZERO = ffi.new('int64_t', 0)
local i64 = {}
M.i64 = i64

local function overflow(what)
  raise('type', 'tm.i64.' .. what .. ': the result is beyond an int64')
end

--- Sum of two int64 given as digits (or integers); raises beyond the range.
function i64.add(a, b)
  local x, y = to_int64(a, 'add'), to_int64(b, 'add')
  local r = x + y
  if (y > ZERO and r < x) or (y < ZERO and r > x) then overflow 'add' end
  return from_int64(r)
end

--- Difference of two int64 given as digits.
function i64.sub(a, b)
  local x, y = to_int64(a, 'sub'), to_int64(b, 'sub')
  local r = x - y
  if (y < ZERO and r < x) or (y > ZERO and r > x) then overflow 'sub' end
  return from_int64(r)
end

--- Remainder with the sign of the divisor, as Lua's %.
function i64.mod(a, b)
  local x, y = to_int64(a, 'mod'), to_int64(b, 'mod')
  if y == ZERO then raise('type', 'tm.i64.mod: division by zero') end
  if y == ffi.new('int64_t', -1) then return '0' end
  local r = x % y
  if r ~= ZERO and (r < ZERO) ~= (y < ZERO) then r = r + y end
  return from_int64(r)
end

--- -1, 0 or 1.
function i64.cmp(a, b)
  local x, y = to_int64(a, 'cmp'), to_int64(b, 'cmp')
  if x < y then return -1 elseif x > y then return 1 end
  return 0
end

--- An int64's digits as two numbers: high * 2^32 and low, which are exact and add up to it.
function M.i64_halves(text)
  if type(text) ~= 'string' then raise('type', 'an int64 is digits') end
  local v = to_int64(text, 'halves')
  local high = bit.arshift(v, 32)
  return tonumber(high) * 2 ^ 32, tonumber(v - bit.lshift(high, 32))
end

-- The types -----------------------------------------------------------------

local function plain(name, mask, lua_type)
  local typ = { name = name, kinds = mask }
  function typ.write(node, v)
    if type(v) ~= lua_type then wrong(node, typ, found(v)) end
    return v
  end
  return typ
end

-- Texts are checked for every event, inside compiled loops: byte by byte, without patterns and without making strings.

local function digits_type(name)
  local typ = { name = name, kinds = kinds(NUMBER, BIGINT, STRING), special = true, digits = true }
  function typ.verify(node, _, p, len)
    if C.tm_ffi_text_int64(p, len) == 0 then wrong(node, typ, ffi.string(p, len)) end
  end
  function typ.read(node, kind, text)
    if kind ~= STRING and text ~= '-0' and C.tm_ffi_text_int64(text, #text) == 1 then return text end
    local digits = int64_digits(text)
    if not digits then wrong(node, typ, kind == STRING and "'" .. text .. "'" or text) end
    return digits
  end
  function typ.write(node, v)
    if type(v) == 'number' then
      if v % 1 ~= 0 or v > 2 ^ 53 or v < -2 ^ 53 then wrong(node, typ, tostring(v)) end
      v = ('%.0f'):format(v)
    elseif lib.is_text(v) and v.kind == BIGINT then
      v = v.text   -- a sum beyond 2^53
    end
    local digits = type(v) == 'string' and int64_digits(v)
    if not digits then wrong(node, typ, type(v) == 'string' and "'" .. v .. "'" or found(v)) end
    return digits
  end
  typ.slot = C.TM_SLOT_TEXT
  function typ.encode(buf, v) return (C.tm_ffi_buf_put(buf, v, #v)) end
  return typ
end

local NO_NUMBER = -2147483648

local function decimal_type(places)
  local typ = { name = 'decimal(' .. places .. ')', kinds = kinds(NUMBER, BIGINT, STRING), special = true, numeric = true,
    text = C.TM_TEXT_NUMBER }
  -- 15 digits are what a double keeps of any decimal
  typ.exact = 10 ^ (15 - places)
  function typ.verify(node, kind, p, len)
    local used = C.tm_ffi_text_decimals(p, len)
    if used == NO_NUMBER then wrong(node, typ, kind == STRING and "'" .. ffi.string(p, len) .. "'" or ffi.string(p, len)) end
    if used > places then wrong(node, typ, ffi.string(p, len) .. ', which has more than ' .. places .. ' decimals') end
  end
  function typ.read(node, kind, text, num)
    typ.verify(node, kind, ffi.cast('const char *', text), #text)
    if num ~= num then num = tonumber(text) end
    if num < typ.exact and num > -typ.exact then return num end
    raise('bigint', "field '" .. node.V.path_of(node) .. "' holds " .. text .. ', a ' .. typ.name ..
      ' with more digits than a Lua number keeps exactly')
  end
  function typ.write(node, v)
    if type(v) ~= 'number' or v ~= v or v == math.huge or v == -math.huge then
      wrong(node, typ, type(v) == 'number' and tostring(v) or found(v))
    end
    return v
  end
  typ.slot, typ.places = C.TM_SLOT_DECIMAL, places
  function typ.encode(buf, v) return (C.tm_ffi_json_decimal(buf, v, places)) end
  return typ
end

local made = {
  string = plain('string', kinds(STRING, ESCAPED), 'string'),
  number = plain('number', kinds(NUMBER), 'number'),
  boolean = plain('boolean', kinds(2, 3), 'boolean'),
  any = { name = 'any', kinds = bit.lshift(1, 12) - 1, write = function(_, v) return v end },
  int64 = digits_type 'int64',
  time_ns = digits_type 'time_ns',
}

local integer = plain('integer', kinds(NUMBER), 'number')
integer.numeric = true
made.integer = integer
function integer.verify(node, _, p, len, num)
  local v = num == num and num or tonumber(ffi.string(p, len))
  if v % 1 ~= 0 then wrong(node, integer, ffi.string(p, len)) end
end
local write_number = integer.write
function integer.write(node, v)
  write_number(node, v)
  if v % 1 ~= 0 or v > 2 ^ 53 or v < -2 ^ 53 then wrong(node, integer, tostring(v)) end
  return v
end

for _, unit in ipairs { 'time_s', 'time_ms', 'time_us' } do made[unit] = plain(unit, kinds(NUMBER), 'number') end
local iso = plain('time_iso8601', kinds(STRING), 'string')
function iso.verify(node, _, p, len)
  if C.tm_ffi_text_iso8601(p, len) == 0 then wrong(node, iso, "'" .. ffi.string(p, len) .. "'") end
end
local write_string = iso.write
function iso.write(node, v)
  write_string(node, v)
  iso.verify(node, STRING, ffi.cast('const char *', v), #v)
  return v
end
made.time_iso8601, made.iso8601 = iso, iso

-- what texts of CSV are read as where they are declared so; all others stay texts
for _, name in ipairs { 'number', 'integer', 'int64', 'time_s', 'time_ms', 'time_us', 'time_ns' } do made[name].text = C.TM_TEXT_NUMBER end
made.boolean.text = C.TM_TEXT_BOOLEAN

local from_text = {}
local number = ffi.new 'double[1]'

--- The same type in a pipeline that reads CSV, where texts may be written: they are read as the columns' texts are.
function M.from_text(typ)
  if typ.slot == C.TM_SLOT_TEXT then return typ end   -- digits are texts already
  local made_of = from_text[typ]
  if made_of then return made_of end
  made_of = setmetatable({}, { __index = typ })
  function made_of.write(node, v)
    if type(v) == 'string' then
      local kind = C.tm_ffi_text_value(v, #v, typ.text, number)
      if kind ~= NUMBER and kind ~= 2 and kind ~= 3 then wrong(node, typ, "'" .. v .. "'") end
      if kind == NUMBER and typ.verify then typ.verify(node, kind, ffi.cast('const char *', v), #v, number[0]) end
      if kind == NUMBER then v = number[0] else v = kind == 3 end
    end
    return typ.write(node, v)
  end
  from_text[typ] = made_of
  return made_of
end

local names = { 'decimal(2)' }
for name in pairs(made) do names[#names + 1] = name end
table.sort(names)

--- The type of that name, or nil and why not.
function M.parse(name)
  if type(name) ~= 'string' then return nil, 'a type is a name such as \'int64\'' end
  if made[name] then return made[name] end
  local places = name:match '^decimal%((%d+)%)$'
  if places then
    places = tonumber(places)
    if places > 18 then return nil, 'decimal takes 0 to 18 decimals' end
    made[name] = decimal_type(places)
    return made[name]
  end
  if name == 'decimal' then return nil, "a decimal says how many decimals it has: 'decimal(2)'" end
  local suggest = require 'tidemill.suggest'
  return nil, "no type '" .. name .. "'" .. suggest.hint(name, names) .. '; the types are ' .. table.concat(names, ', ')
end

return M
