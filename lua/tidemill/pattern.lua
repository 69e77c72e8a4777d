--[[
pattern.lua - find, match, gmatch and gsub as scripts see them: LuaJIT's patterns, run by C in bounded steps
(host/library/pattern.c), so that they stay in machine code and no pattern outlives a deadline. What calls back or is
called back is partly C with a Lua state: host/engine/script_pattern.c.

Compiled patterns are kept by their text, up to KEPT of them and KEPT_BYTES long; a text of a script that makes patterns
is compiled anew when it comes again. They are memory of Lua: the collector frees them, --script-memory counts them.
Answers and messages are those of LuaJIT's own functions; what those leave to the caller's name is asked of debug.getinfo.
]]

local lib = require 'tidemill.lib'
local nesting = require 'tidemill.nesting'
local ffi, C, raise = lib.ffi, lib.C, lib.raise
local sub, getinfo, ffi_string = string.sub, debug.getinfo, ffi.string

local M = {}

local KEPT, KEPT_BYTES = 500, 1000
local PATTERN_MAX = 2 ^ 28
local OUT_KEPT = 2 ^ 20        -- bytes of gsub's buffer that stay for the next call
local NONE = -1000

local new_program = ffi.typeof 'struct tm_pattern[?]'
local found = ffi.new('int32_t[?]', C.TM_FOUND_SIZE)
local FIRST, LAST, FROM, TO, STEPS = C.TM_FOUND_FIRST, C.TM_FOUND_LAST, C.TM_FOUND_CAPTURES, C.TM_FOUND_CAPTURES + 1, C.TM_FOUND_STEPS
local make, replace = lib.host.pattern_make, lib.host.pattern_replace
local c_find, c_gsub, c_plain = C.tm_ffi_pattern_find, C.tm_ffi_pattern_gsub, C.tm_ffi_pattern_plain
local out = lib.buf(math.min(lib.host.script_memory or 2 ^ 31, 2 ^ 31 - 128))

-- What is wrong ------------------------------------------------------------

local faults = {
  [C.TM_PATTERN_ENDS] = "malformed pattern (ends with '%')",
  [C.TM_PATTERN_BRACKET] = "malformed pattern (missing ']')",
  [C.TM_PATTERN_BALANCE] = 'unbalanced pattern',
  [C.TM_PATTERN_FRONTIER] = "missing '[' after '%f' in pattern",
  [C.TM_PATTERN_CLOSE] = 'invalid pattern capture',
  [C.TM_PATTERN_INDEX] = 'invalid capture index',
  [C.TM_PATTERN_MANY] = 'too many captures',
  [C.TM_PATTERN_DEEP] = 'pattern too complex',
  [C.TM_PATTERN_UNFINISHED] = 'unfinished capture',
  [C.TM_PATTERN_MEMORY] = 'not enough memory',
}

--- Raises what C found. level: of the function that a script called, seen from who calls this.
local function refuse(fault, s, steps, level)
  if fault == -C.TM_PATTERN_STEPS then
    raise('pattern', ('pattern too complex for this subject: %d000 steps on %d bytes; anchor it with ^, or use sets such as \z
      [^,]* for .*'):format(steps, #s))
  end
  error(faults[-fault], level + 2)
end

--- level: of the function that a script called, seen from who calls this.
local function bad_argument(i, why, level)
  local info = getinfo(level + 1, 'n')
  local name = info.name or '?'
  if info.namewhat == 'method' then i = i - 1 end
  if i == 0 then error(("calling '%s' on bad self (%s)"):format(name, why), level + 2) end
  error(("bad argument #%d to '%s' (%s)"):format(i, name, why), level + 2)
end

local function text(v, i)
  if type(v) == 'string' then return v end
  if type(v) == 'number' then return tostring(v) end
  bad_argument(i, 'string expected, got ' .. (v == nil and 'no value' or type(v)), 2)
end

local function number(v, i, default)
  if v == nil then return default end
  local n = type(v) ~= 'boolean' and tonumber(v)
  return n or bad_argument(i, 'number expected, got ' .. type(v), 2)
end

-- Programs --------------------------------------------------------------------

local programs, plains, kept = {}, {}, 0   -- plains: does find take it as it is?

local function compile(p, anchor)
  if #p > PATTERN_MAX then error(faults[C.TM_PATTERN_DEEP], 3) end
  local program = new_program(C.tm_ffi_pattern_room(#p))
  C.tm_ffi_pattern_compile(p, #p, anchor, program)
  return program
end

--- What is wrong with a pattern, whatever text it meets; nil: nothing.
---@param p string
---@return string?
function M.fault(p)
  if #p > PATTERN_MAX then return faults[C.TM_PATTERN_DEEP] end
  return faults[C.tm_ffi_pattern_fault(compile(p, 1))]
end

--- The program of a text met for the first time.
local function meet(p)
  local program = compile(p, 1)
  if #p > KEPT_BYTES then return program end
  if kept >= KEPT then
    for k in pairs(programs) do programs[k], plains[k] = nil, nil end
    kept = 0
  end
  programs[p], plains[p], kept = program, C.tm_ffi_pattern_is_plain(p, #p) ~= 0, kept + 1
  return program
end

-- Captures -----------------------------------------------------------------------

local function capture(s, i)
  local from, to = found[FROM + i * 2], found[TO + i * 2]
  if to < 0 then return from end   -- a position
  return sub(s, from, to)
end

local function captures_from(s, i, n)
  if i == n - 1 then return capture(s, i) end
  return capture(s, i), captures_from(s, i + 1, n)
end

--- The n captures of what was found; without any the whole.
local function captures(s, n)
  if n == 0 then return sub(s, found[FIRST], found[LAST]) end
  if n == 1 then return (capture(s, 0)) end
  if n == 2 then return capture(s, 0), (capture(s, 1)) end
  if n == 3 then return capture(s, 0), capture(s, 1), (capture(s, 2)) end
  if n == 4 then return capture(s, 0), capture(s, 1), capture(s, 2), (capture(s, 3)) end
  return capture(s, 0), capture(s, 1), capture(s, 2), capture(s, 3), captures_from(s, 4, n)
end

-- What scripts call -----------------------------------------------------------------

function M.find(s, p, init, plain)
  if type(s) ~= 'string' then s = text(s, 1) end
  if type(p) ~= 'string' then p = text(p, 2) end
  if type(init) ~= 'number' then init = number(init, 3, 1) end
  local program = programs[p]
  if not program then program = meet(p) end
  if plain or plains[p] then
    local at = c_plain(s, #s, p, #p, init)
    if at == 0 then return nil end
    return at, at + #p - 1
  end
  local n = c_find(program, s, #s, init, found)
  if n < 0 then
    if n == NONE then return nil end
    refuse(n, s, found[STEPS], 1)
  end
  local first, last = found[FIRST], found[LAST]
  if n == 0 then return first, last end
  return first, last, captures(s, n)
end

function M.match(s, p, init)
  if type(s) ~= 'string' then s = text(s, 1) end
  if type(p) ~= 'string' then p = text(p, 2) end
  if type(init) ~= 'number' then init = number(init, 3, 1) end
  local program = programs[p]
  if not program then program = meet(p) end
  local n = c_find(program, s, #s, init, found)
  if n < 0 then
    if n == NONE then return nil end
    refuse(n, s, found[STEPS], 1)
  end
  if n == 0 then return sub(s, found[FIRST], found[LAST]) end
  return captures(s, n)
end

--- An iterator. Made by way of C: see there.
local function walk(program, s)
  local at = 1
  return function()
    if at > #s + 1 then return end
    local n = c_find(program, s, #s, at, found)
    if n < 0 then
      if n ~= NONE then refuse(n, s, found[STEPS], 1) end
      at = #s + 2
      return
    end
    local first, last = found[FIRST], found[LAST]
    at = last < first and last + 2 or last + 1
    if n == 0 then return sub(s, first, last) end
    return captures(s, n)
  end
end

function M.gmatch(s, p)
  s, p = text(s, 1), text(p, 2)
  local program = p:byte() == 94 and compile(p, 0) or programs[p] or meet(p)   -- ^ is a character here
  local iterator = make(walk, program, s)
  return iterator
end

function M.gsub(s, p, by, most)
  if type(s) ~= 'string' then s = text(s, 1) end
  if type(p) ~= 'string' then p = text(p, 2) end
  if type(most) ~= 'number' then most = number(most, 4, #s + 1) end
  local program = programs[p]
  if not program then program = meet(p) end
  local kind = type(by)
  if kind == 'number' then
    by = tostring(by)
  elseif kind ~= 'string' then
    if kind ~= 'function' and kind ~= 'table' then bad_argument(3, 'string/function/table expected', 1) end
    nesting.check()
    local result, n = replace(program, s, by, most, refuse)
    return result, n
  end
  out.len = 0
  local n = c_gsub(program, s, #s, by, #by, most, out, found)
  if n < 0 then refuse(n, s, found[STEPS], 1) end
  if n == 0 then return s, 0 end
  local result = ffi_string(out.data, out.len)
  if out.cap > OUT_KEPT then C.tm_ffi_buf_release(out) end
  return result, n
end

return M
