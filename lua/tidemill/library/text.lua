--[[
text.lua - tm.lower upper trim split starts ends contains count replace: plain texts, no patterns.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local C, ffi = lib.C, lib.ffi
local ffi_string, cast = ffi.string, ffi.cast
local out, wrong, too_long = args.out, args.wrong, args.too_long

local M = {}

local PARTS = 8   -- made by one constructor; what has more is filled in a loop
local spans = ffi.new('int32_t[?]', 2 * PARTS)

--- All letters small, by Unicode's simple mapping (one character to one; 'ß' stays); bytes that are no UTF-8 stay.
---@param s string
---@return string
function M.lower(s)
  if type(s) ~= 'string' then wrong('tm.lower', 'a string', s) end
  if C.tm_ffi_text_lower(s, #s, out) ~= 0 then too_long 'tm.lower' end
  return (ffi_string(out.data, out.len))
end

--- All letters capital, likewise.
---@param s string
---@return string
function M.upper(s)
  if type(s) ~= 'string' then wrong('tm.upper', 'a string', s) end
  if C.tm_ffi_text_upper(s, #s, out) ~= 0 then too_long 'tm.upper' end
  return (ffi_string(out.data, out.len))
end

--- Without the white space (ASCII's) at both ends.
---@param s string
---@return string
function M.trim(s)
  if type(s) ~= 'string' then wrong('tm.trim', 'a string', s) end
  C.tm_ffi_text_trim(s, #s, spans)
  return (ffi_string(cast('const char *', s) + spans[0], spans[1] - spans[0]))
end

local function two(what, s, part, name)
  if type(s) ~= 'string' then wrong(what, 'a string', s, 1) end
  if type(part) ~= 'string' then wrong(what, 'a string', part, 2, name) end
end

--- Does s begin with the prefix?
---@param s string
---@param prefix string
---@return boolean
function M.starts(s, prefix)
  two('tm.starts', s, prefix, 'prefix')
  return C.tm_ffi_text_starts(s, #s, prefix, #prefix) == 1
end

--- Does s end with the suffix?
---@param s string
---@param suffix string
---@return boolean
function M.ends(s, suffix)
  two('tm.ends', s, suffix, 'suffix')
  return C.tm_ffi_text_ends(s, #s, suffix, #suffix) == 1
end

--- Is the part somewhere in s?
---@param s string
---@param part string
---@return boolean
function M.contains(s, part)
  two('tm.contains', s, part, 'part')
  return C.tm_ffi_text_find(s, #s, part, #part, 0) >= 0
end

--- How often the part is in s; places do not overlap.
---@param s string
---@param part string not empty
---@return integer
function M.count(s, part)
  two('tm.count', s, part, 'part')
  if part == '' then lib.raise('type', 'tm.count: the part is empty') end
  return C.tm_ffi_text_count(s, #s, part, #part)
end

--- s with every `part` replaced by `by`, both as they stand.
---@param s string
---@param part string not empty
---@param by string
---@return string
function M.replace(s, part, by)
  two('tm.replace', s, part, 'what to look for')
  if type(by) ~= 'string' then wrong('tm.replace', 'a string', by, 3, 'what to put there') end
  if part == '' then lib.raise('type', 'tm.replace: what to look for is empty') end
  local n = C.tm_ffi_text_replace(s, #s, part, #part, by, #by, out)
  if n < 0 then too_long 'tm.replace' end
  if n == 0 then return s end
  return (ffi_string(out.data, out.len))
end

local function piece(p, i)
  return (ffi_string(p + spans[2 * i], spans[2 * i + 1] - spans[2 * i]))
end

local function split_more(s, by, list)
  local p, n = cast('const char *', s), #list
  while spans[2 * PARTS - 1] < #s do
    local found = C.tm_ffi_text_split(s, #s, by, #by, spans[2 * PARTS - 1] + #by, spans, PARTS)
    for i = 0, found - 1 do list[n + i + 1] = piece(p, i) end
    n = n + found
    if found < PARTS then break end
  end
  return list
end

--- The parts of s between the separators, empty ones too; always at least one.
---@param s string
---@param by string the separator as it stands, not empty
---@return string[]
function M.split(s, by)
  two('tm.split', s, by, 'separator')
  if by == '' then lib.raise('type', 'tm.split: the separator is empty') end
  local n = C.tm_ffi_text_split(s, #s, by, #by, 0, spans, PARTS)
  local p = cast('const char *', s)
  local a = piece(p, 0)
  if n == 1 then return { a } end
  local b = piece(p, 1)
  if n == 2 then return { a, b } end
  local c = piece(p, 2)
  if n == 3 then return { a, b, c } end
  local d = piece(p, 3)
  if n == 4 then return { a, b, c, d } end
  local e = piece(p, 4)
  if n == 5 then return { a, b, c, d, e } end
  local f = piece(p, 5)
  if n == 6 then return { a, b, c, d, e, f } end
  local g = piece(p, 6)
  if n == 7 then return { a, b, c, d, e, f, g } end
  return (split_more(s, by, { a, b, c, d, e, f, g, (piece(p, 7)) }))
end

return M
