--[[
re.lua - tm.re: regular expressions (PCRE2), compiled to machine code once, searched within a bound.

An expression is a userdata whose methods are these; what belongs to it is kept apart, out of reach. Its match function is
made for its groups: a table of captures comes from one constructor.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local suggest = require 'tidemill.suggest'
local C, ffi, bit, raise = lib.C, lib.ffi, lib.bit, lib.raise
local ffi_string, cast = ffi.string, ffi.cast
local out, wrong, shown = args.out, args.wrong, args.shown

local M = {}

local EXPRESSIONS_MAX = 1000
local LOCALS_MAX = 150   -- groups that one function holds in variables
local records = {}       -- expression -> { re, spans, match, pattern, groups, names }
local made, made_n = {}, 0
local prototype = newproxy(true)
local mt = debug.getmetatable(prototype)

local flags_of = { i = C.TM_RE_CASELESS, m = C.TM_RE_MULTILINE, s = C.TM_RE_DOTALL, x = C.TM_RE_EXTENDED, u = C.TM_RE_UNICODE,
  b = C.TM_RE_BYTES }

--- What ends a search badly.
local function failed(r, rc)
  if rc == C.TM_RE_OVER_LIMIT then
    raise('re-limit', 'tm.re: the search for ' .. shown(r.pattern) .. ' takes too many steps on this text: groups or repeats that ' ..
      'can match the same characters in many ways; make them exclude one another, or possessive: [^"]*+')
  elseif rc == C.TM_RE_BAD_REPLACEMENT then
    raise('type', "gsub: the replacement has a % that is not %0 to %9, %{name} or %%, or names a group that " .. shown(r.pattern) ..
      ' does not have')
  end
  raise('too-long', 'tm.re: there is not enough memory to search for ' .. shown(r.pattern) .. ' in this text')
end

-- Captures ------------------------------------------------------------------

--- By number where groups have names: m[2] is what m.name is.
local function by_number(names)
  return { __index = function(t, i) return names[i] and rawget(t, names[i]) end, __metatable = 'match' }
end

local HEAD = [[
local C, r, re, sp, cast, str, failed, setmetatable, mt = ...
return function(s, from, was_empty)
  local rc = C.tm_ffi_re_match(re, s, #s, from, was_empty)
  if rc ~= 1 then
    if rc == 0 then return nil end
    failed(r, rc)
  end
  local p = cast('const char *', s)
]]

--- The text of a function that searches and returns the captures.
local function match_text(groups, names)
  local lines, items, first = { HEAD }, {}, groups == 0 and 0 or 1
  for i = first, groups do
    lines[#lines + 1] = ('local c%d local a%d = sp[%d] if a%d >= 0 then c%d = str(p + a%d, sp[%d] - a%d) end\n'):format(
      i, i, 2 * i, i, i, i, 2 * i + 1, i)
    items[#items + 1] = names[i] and ('[%q] = c%d'):format(names[i], i) or next(names) and ('[%d] = c%d'):format(i, i) or 'c' .. i
  end
  local whole = '{ ' .. table.concat(items, ', ') .. ' }'
  lines[#lines + 1] = next(names) and 'return setmetatable(' .. whole .. ', mt)' or 'return ' .. whole
  lines[#lines + 1] = ' end'
  return table.concat(lines)
end

--- The same for more groups than a function has variables.
local function match_many(r, groups, names)
  local meta = next(names) and by_number(names) or nil
  return function(s, from, was_empty)
    local rc = C.tm_ffi_re_match(r.re, s, #s, from, was_empty)
    if rc == 0 then return nil elseif rc < 0 then failed(r, rc) end
    local t, p, sp = {}, cast('const char *', s), r.spans
    for i = 1, groups do
      if sp[2 * i] >= 0 then t[names[i] or i] = ffi_string(p + sp[2 * i], sp[2 * i + 1] - sp[2 * i]) end
    end
    return setmetatable(t, meta)
  end
end

local function new(pattern, flags)
  local mask = 0
  for i = 1, #flags do
    local flag = flags_of[flags:sub(i, i)]
    if not flag then
      raise('type', "tm.re has no flag '" .. flags:sub(i, i) .. "'; it has i (any case) m (^ and $ at lines) s (. takes a line's end) " ..
        'x (white space and # comments) u (\\w \\d \\s of Unicode) b (bytes)')
    end
    mask = bit.bor(mask, flag)
  end
  if made_n >= EXPRESSIONS_MAX then
    raise('type', 'tm.re: more than 1000 expressions; are patterns made of what events hold?')
  end
  local re = C.tm_ffi_re_new(pattern, #pattern, mask, out)
  if re == nil then raise('type', 'tm.re: the pattern ' .. shown(pattern) .. ' does not compile: ' .. args.text()) end
  local groups, names = C.tm_ffi_re_groups(re), {}
  for i = 1, groups do
    local name = C.tm_ffi_re_name(re, i)
    if name ~= nil then names[i] = ffi_string(name) end
  end
  local r = { re = re, spans = C.tm_ffi_re_spans(re), pattern = pattern, groups = groups, names = names, match = false }
  if groups <= LOCALS_MAX then
    r.match = assert(loadstring(match_text(groups, names), '=tidemill.library.re'))(C, r, re, r.spans, cast, ffi_string, failed,
      setmetatable, by_number(names))
  else
    r.match = match_many(r, groups, names)
  end
  made_n = made_n + 1
  local e = newproxy(prototype)
  records[e] = r
  return e
end

--- A regular expression. The same pattern and flags are the same expression, so a call for every event costs a look-up.
---@param pattern string PCRE2's syntax
---@param flags? string of i m s x u b
function M.re(pattern, flags)
  if type(pattern) ~= 'string' then wrong('tm.re', 'a string', pattern, 1, 'pattern') end
  if flags == nil then flags = '' elseif type(flags) ~= 'string' then wrong('tm.re', "a string such as 'i'", flags, 2, 'flags') end
  local by_flags = made[flags]
  if not by_flags then
    by_flags = {}
    made[flags] = by_flags
  end
  local e = by_flags[pattern]
  if not e then
    e = new(pattern, flags)
    by_flags[pattern] = e
  end
  return e
end

-- Methods -------------------------------------------------------------------

local methods = {}

local function record_of(e, s, what)
  local r = records[e]
  if not r then raise('type', 'call ' .. what .. ' with a colon: expression:' .. what .. '(text)') end
  if type(s) ~= 'string' then wrong('the method ' .. what .. ' of tm.re', 'a string', s) end
  return r
end

--- Where to begin, from 0: counted from 1, or back from the end as in string.find; -1 behind the text.
local function begin(s, init, what)
  if init == nil then return 0 end
  if type(init) ~= 'number' or init % 1 ~= 0 then wrong('the method ' .. what .. ' of tm.re', 'a whole number', init, 2,
    'where to begin') end
  if init > #s + 1 then return -1 end
  if init > 0 then return init - 1 end
  return init == 0 and 0 or init < -#s and 0 or #s + init
end

--- The captures of the first match: a list, or, where groups have names, a table by name that takes numbers too. A group that
--- took no part is nil; without groups the whole match is the one capture. nil: no match.
function methods.match(e, s, init)
  local r = record_of(e, s, 'match')
  local from = begin(s, init, 'match')
  if from < 0 then return nil end
  return r.match(s, from, 0)
end

--- Does it match somewhere?
function methods.test(e, s)
  local r = record_of(e, s, 'test')
  local rc = C.tm_ffi_re_match(r.re, s, #s, 0, 0)
  if rc < 0 then failed(r, rc) end
  return rc == 1
end

--- First and last byte of the first match, counted from 1; nil: no match.
function methods.find(e, s, init)
  local r = record_of(e, s, 'find')
  local from = begin(s, init, 'find')
  if from < 0 then return nil end
  local rc = C.tm_ffi_re_match(r.re, s, #s, from, 0)
  if rc == 0 then return nil elseif rc < 0 then failed(r, rc) end
  return r.spans[0] + 1, r.spans[1]
end

--- state: { expression, text, where the last match ended, was it empty }
local function each_next(state)
  local e, s, at = state[1], state[2], state[3]
  local r = record_of(e, s, 'each')
  if type(at) ~= 'number' or not (at >= 0 and at <= #s) then raise('type', 'each: its state was changed') end
  local m = r.match(s, at, state[4])
  if m == nil then return nil end
  local stop = r.spans[1]
  state[3], state[4] = stop, r.spans[0] == stop and 1 or 0
  return m
end

--- The captures of all matches, one behind the other: for m in expression:each(text) do … end
function methods.each(e, s)
  record_of(e, s, 'each')
  return each_next, { e, s, 0, 0 }
end

local function replace_by(r, s, by, max)
  local parts, n, done, at, was_empty = {}, 0, 0, 0, 0
  while n < max do
    local m = r.match(s, at, was_empty)
    if m == nil then break end
    local from, stop = r.spans[0], r.spans[1]
    local text = by(m)
    if text == nil or text == false then
      text = s:sub(from + 1, stop)
    elseif type(text) ~= 'string' then
      wrong('gsub', 'a function that returns a string or nil', text)
    end
    n = n + 1
    parts[2 * n - 1], parts[2 * n] = s:sub(done + 1, from), text
    done, at, was_empty = stop, stop, from == stop and 1 or 0
  end
  parts[#parts + 1] = s:sub(done + 1)
  return table.concat(parts), n
end

--- All matches, or the first max, replaced: by a text, in which %1 to %9 and %{name} are captures, %0 is the match and %% is %,
--- or by what a function of the captures returns (nil: the match stays). Returns the text and how many.
function methods.gsub(e, s, by, max)
  local r = record_of(e, s, 'gsub')
  if max == nil then max = 1e9 elseif type(max) ~= 'number' then wrong('gsub', 'a number', max, 3, 'how many at most') end
  if type(by) == 'function' then return replace_by(r, s, by, max) end
  if type(by) ~= 'string' then wrong('gsub', 'a string or a function', by, 2, 'replacement') end
  local n = C.tm_ffi_re_replace(r.re, s, #s, by, #by, max, out)
  if n < 0 then failed(r, n) end
  if n == 0 then return s, 0 end
  return ffi_string(out.data, out.len), n
end

--- A function for map: the event becomes the captures of a field's text, by name; where it does not match, it is dropped. Nine
--- captures cost a fifth of what :match costs: strings are made of those only that a later step reads.
---@param options table|nil add = true: the captures are added to the event; where it does not match, it goes on as it is
function methods.fields(e, name, options)
  local r = records[e]
  if not r then raise('type', 'call fields with a colon: expression:fields(name)') end
  if type(name) ~= 'string' then wrong('the method fields of tm.re', "a field's name", name) end
  local add = false
  if options ~= nil then
    if type(options) ~= 'table' then wrong('the method fields of tm.re', 'options such as { add = true }', options, 2) end
    for k, v in pairs(options) do
      if k ~= 'add' then
        raise('type', 'fields has no option ' .. shown(tostring(k)) .. suggest.among(tostring(k), { 'add' }))
      end
      if type(v) ~= 'boolean' then raise('type', "fields: option 'add' is true or false, got " .. args.kind(v)) end
      add = v
    end
  end
  for i = 1, r.groups do
    if not r.names[i] then
      raise('type', 'fields: group ' .. i .. ' of ' .. shown(r.pattern) .. ' has no name: write (?<name>…), or (?:…) for what is no field')
    end
  end
  if r.groups == 0 then raise('type', 'fields: ' .. shown(r.pattern) .. ' has no groups, so no fields') end
  require 'tidemill.stream'.place()   -- of this line, for the step that is made of it in a tail call
  return require 'tidemill.library.re_fields'(r, name, failed, add)
end

mt.__index = methods
mt.__metatable = 'regular expression'
function mt.__tostring(e) return records[e] and 'tm.re ' .. shown(records[e].pattern) or 'tm.re' end

return M
