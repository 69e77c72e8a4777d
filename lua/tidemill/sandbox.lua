--[[
sandbox.lua - what a script can see. An allow list: nothing else exists for it.

Left out on purpose: ffi, bit's cdata, debug, io, os, package, load*, dofile, xpcall, newproxy, collectgarbage,
getfenv/setfenv, string.dump, print to stdout. Library tables are copies of its own; the string metatable is locked
and leads to the script's copy. Raw access to a view and table.* on it raise, because they would see nothing of it; on
what scripts share (tm and its parts) because another script would see it.
]]

local lib = require 'tidemill.lib'
local order = require 'tidemill.order'
local nesting = require 'tidemill.nesting'
local pattern = require 'tidemill.pattern'
local value = require 'tidemill.value'
local sort = require 'tidemill.sort'.sort
local bytecode = require 'tidemill.bytecode'
local jutil = require 'jit.util'
local owner, shared, raise, NULL = lib.owner, lib.shared, lib.raise, lib.NULL
local host = lib.host

local M = {}

local function no_view(t, what)
  if owner[t] then
    raise('type', what .. ' does not work on an event; use tm.copy(e) for a plain table')
  end
  if shared[t] then raise('type', what .. ' does not work on a part of the library, which all scripts share') end
  return t
end

local function describe(v)
  local t = type(v)
  if t == 'table' then
    if v == NULL then return 'null' end
    if owner[v] then return value.json(v) end
    local mt = debug.getmetatable(v)
    if mt and rawget(mt, '__tostring') then
      local text = tostring(v)
      if type(text) ~= 'string' then raise('type', '__tostring must return a string, it returned a ' .. type(text)) end
      return text
    end
    return 'table'
  end
  if value.is_opaque(v) then return value.opaque_shown(v) end
  if t == 'function' or t == 'thread' or t == 'userdata' or t == 'cdata' then return t end
  return (tostring(v))
end
M.tostring = describe

-- print: to stderr, at most 200 lines a second by the host's clock
local function print_line(...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = describe((select(i, ...))) end
  host.print(table.concat(parts, '\t'))
end

-- string.format. For each number of arguments there is a function of its own, as neither `unpack` nor a loop over what was given
-- stays in a compiled loop: 17 us an event with one format of seven arguments, 2 us so.
local FORMATS_KEPT, DIRECT = 1000, 12
local formats, formats_kept = {}, 0   -- those known to print no address

local function admit(fmt)
  if type(fmt) ~= 'string' then return end
  if fmt:gsub('%%%%', ''):find '%%[-+ #%d.]*p' then raise('type', "string.format: '%p' prints an address") end
  if formats_kept == FORMATS_KEPT then
    for known in pairs(formats) do formats[known] = nil end
    formats_kept = 0
  end
  formats[fmt], formats_kept = true, formats_kept + 1
end

local by_count = {}
for n = 0, DIRECT do
  local names, checks = { 'fmt' }, {}
  for i = 1, n do
    names[i + 1] = 'a' .. i
    checks[i] = ("t = type(a%d) if t ~= 'string' and t ~= 'number' and t ~= 'nil' and t ~= 'boolean' then a%d = describe(a%d) end"):format(
      i, i, i)
  end
  local list = table.concat(names, ', ')
  by_count[n] = loadstring(([[local format, describe, formats, admit, type = ...
    return function(%s) if not formats[fmt] then admit(fmt) end local t %s return format(%s) end]]):format(list,
    table.concat(checks, ' '), list), '=format')(string.format, describe, formats, admit, type)
end

local function safe_format(fmt, ...)
  local n = select('#', ...)
  if n <= DIRECT then return by_count[n](fmt, ...) end
  if not formats[fmt] then admit(fmt) end
  local args = { ... }
  for i = 1, n do
    local t = type(args[i])
    if t ~= 'string' and t ~= 'number' and t ~= 'nil' and t ~= 'boolean' then args[i] = describe(args[i]) end
  end
  return string.format(fmt, unpack(args, 1, n))
end

local function copy_functions(from, names)
  local out = {}
  for name in names:gmatch '%S+' do out[name] = from[name] end
  return out
end

local string_names = 'byte char len lower rep reverse sub upper'
local pattern_names = 'find gmatch gsub match'
local math_names = [[abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max min modf
  pi pow rad random sin sinh sqrt tan tanh]]

local string_library = copy_functions(string, string_names)
string_library.format = safe_format
for name, f in pairs(copy_functions(pattern, pattern_names)) do string_library[name] = f end

local function table_library()
  local t = {}
  -- Lua 5.1 moves all items from there, in one call of C that no deadline ends: from -1e9, or what it takes for it (NaN, 2^31),
  -- a thousand million. So what is handed on is the very number that was looked at.
  function t.insert(a, ...)
    local at, v = ...
    no_view(a, 'table.insert')
    if select('#', ...) ~= 2 then return table.insert(a, ...) end
    local place = tonumber(at)
    if not place then return table.insert(a, at, v) end
    if not (place >= 0 and place < 2^31) then raise('type', 'table.insert: position ' .. place .. ' is no place in a list') end
    return table.insert(a, place, v)
  end
  function t.remove(a, ...) no_view(a, 'table.remove') return table.remove(a, ...) end
  function t.concat(a, ...) no_view(a, 'table.concat') return table.concat(a, ...) end
  function t.sort(a, ...)
    no_view(a, 'table.sort')
    -- nothing to sort: looking how deep calls are nested would end the trace
    if select('#', ...) == 0 and type(a) == 'table' and #a < 2 then return end
    nesting.check()
    return sort(a, ...)
  end
  function t.maxn(a) no_view(a, 'table.maxn') return table.maxn(a) end
  function t.unpack(a, ...) no_view(a, 'table.unpack') return unpack(a, ...) end
  function t.pack(...) return { n = select('#', ...), ... } end
  return t
end

--- Locks the string metatable onto the scripts' copy; once a process, after the library has loaded.
function M.lock_strings()
  local mt = debug.getmetatable('')
  mt.__index = string_library
  mt.__metatable = 'string'
end

--- A new environment. require is the script's own loader.
function M.environment(require)
  local env = {
    assert = assert, error = error, ipairs = ipairs, next = order.next, pairs = order.pairs, pcall = pcall,
    select = select, tonumber = tonumber, tostring = describe, type = type,
    print = print_line, require = require,
    _VERSION = _VERSION,
    math = copy_functions(math, math_names), table = table_library(),
    coroutine = nesting.coroutine_library(),
    bit = copy_functions(lib.bit, 'arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex'),
  }
  env.string = copy_functions(string_library, string_names .. ' format ' .. pattern_names)
  function env.ipairs(t) no_view(t, 'ipairs') return ipairs(t) end
  function env.unpack(t, ...) no_view(t, 'unpack') return unpack(t, ...) end
  function env.rawget(t, k) no_view(t, 'rawget') return rawget(t, k) end
  function env.rawset(t, k, v) no_view(t, 'rawset') return rawset(t, k, v) end
  function env.rawequal(a, b) return rawequal(a, b) end
  function env.rawlen(t)
    if type(t) ~= 'table' and type(t) ~= 'string' then
      raise('type', 'rawlen takes a table or a string, got ' .. (t == nil and 'nil' or 'a ' .. type(t)))
    end
    return #no_view(t, 'rawlen')
  end
  function env.getmetatable(v)
    if type(v) == 'string' then return 'string' end
    return getmetatable(v)
  end
  function env.setmetatable(t, mt)
    no_view(t, 'setmetatable')
    if mt ~= nil and type(mt) == 'table' and rawget(mt, '__gc') ~= nil then
      raise('type', 'setmetatable: __gc is not available to scripts')
    end
    return setmetatable(t, mt)
  end
  env._G = env
  return env
end

--- Looks over a function and all inside it: refuses literals that are cdata.
local function admit_code(proto, where)
  local i = -1
  while true do
    local k = jutil.funck(proto, i)
    if k == nil then break end
    if type(k) == 'cdata' then
      raise('script', where .. ': 64-bit and imaginary literals (1LL, 1ULL, 1i) are not available; use tm.i64 on digits')
    elseif type(k) == 'proto' then
      admit_code(k, where)
    end
    i = i - 1
  end
end

--- What to do about a common error of syntax, from LuaJIT's own words.
local function advice(text, why)
  if text:find '^%s*{' then return '; this is data, not a script; data is given with --from' end
  if why:find "near '!'" then return '; not equal is ~= in Lua, and ! is not' end
  if why:find "'end' expected.*<eof>" then return '; a function, if, for, while or do above it has no end' end
  if why:find "near '[%+%-%*/]?='" then return '; equal is == and there is no += in Lua: write x = x + 1' end
  return ''
end

--- Compiles a script's text in an environment. Raises with file:line on a syntax error.
function M.compile(text, name, env)
  if text:byte(1) == 27 then raise('script', name .. ':1: precompiled Lua is not accepted; give the source') end
  if text:sub(1, 3) == '\239\187\191' then text = text:sub(4) end
  if text:sub(1, 1) == '#' then text = '--' .. text end
  local chunk, why = load(text, '@' .. name, 't', env)
  if not chunk then raise('script', (tostring(why):gsub('^%[string "(.-)"%]', '%1')) .. advice(text, tostring(why))) end
  admit_code(chunk, name)
  bytecode.interpret_misread(chunk)
  return chunk
end

return M
