--[[
why_conditions.lua - the conditions of a rule's `when` as they stood for one event, from the function's own text.

The text is found in the file of the pack by the function's lines, and compiled a second time, with calls around conditions, their sides and
the names that they read; variables from outside are joined to those of the rule's function. So what is told is what the same text computes,
and parts that `and` and `or` did not ask are told as not asked.

  condition   { text = 'f.tx_1m > p.n', shown = '7 > 4', value = true, kind: 'compare' | 'test' | 'local', name: of a local, asked,
                left, right: of a comparison, values = { ['f.tx_1m'] = 7 } }
]]

local tokens_of = require 'tidemill.lua_tokens'
local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local value = require 'tidemill.value'

jit.off(true, true)   -- once an event and rule that somebody asks about

local M = {}

local SHOWN_MAX = 60

--- A value in a text: numbers with the digits that read back, texts in quotes.
local function shown(v)
  if type(v) == 'string' then return ('%q'):format(printable.cut(printable.line(v), SHOWN_MAX)) end
  if type(v) == 'number' then return v - v == 0 and value.json(v) or tostring(v) end
  if type(v) == 'table' or type(v) == 'function' then return nil end
  return tostring(v)
end
M.shown = shown

--- A value as it is told in JSON: what is no plain value is left out.
local function plain(v)
  local t = type(v)
  if t == 'number' and v - v ~= 0 then return tostring(v) end
  if t == 'number' or t == 'string' or t == 'boolean' then return v end
  return lib.NULL
end
M.plain = plain

--- The token at which the function stands in the tokens of its file; nil and why it is not found.
local function token_of(tokens, fn)
  local info = debug.getinfo(fn, 'S')
  local found, named = {}, {}
  for i, token in ipairs(tokens) do
    if token.kind == 'keyword' and token.text == 'function' and token.line == info.linedefined then
      local ok, _, _, last = pcall(tokens_of.walk, tokens, i)
      if ok and tokens[last].line == info.lastlinedefined then
        found[#found + 1] = i
        if i > 2 and tokens[i - 1].text == '=' and tokens[i - 2].text == 'when' then named[#named + 1] = i end
      end
    end
  end
  if #found == 1 then return found[1] end
  if #named == 1 then return named[1] end
  return nil, #found == 0 and 'its function is not in the text of the file' or
    'two functions stand on its line, so their conditions cannot be told apart'
end

--- Tokens from..to as text, with what stands before and behind each.
local function text_of(tokens, from, to, before, behind)
  local parts, line = {}, tokens[from].line
  for i = from, to do
    while line < tokens[i].line do parts[#parts + 1], line = '\n', line + 1 end
    parts[#parts + 1] = (before[i] or '') .. tokens[i].text .. (behind[i] or '') .. ' '
    local _, breaks = tokens[i].text:gsub('\n', '')
    line = line + breaks
  end
  return table.concat(parts)
end

local WORDS = { ['and'] = true, ['or'] = true, ['not'] = true }

--- Does a token follow the one before it without a blank?
local function is_tight(last, put)
  if not last or last == '(' or last == '[' or last == '.' or last == ':' or last == '#' then return true end
  if put == '.' or put == ',' or put == ')' or put == ']' or put == ':' or put == ';' then return true end
  return (put == '(' or put == '[') and last:find '[%w_%)%]]$' ~= nil and not WORDS[last]
end

--- The text of tokens as it is told: blanks where two words would run together, or around operators.
local function told_text(tokens, from, to, values)
  local parts, i, last = {}, from, nil
  while i <= to do
    local path = values and values[i]
    local put = path and path.text or tokens[i].text
    parts[#parts + 1] = (is_tight(last, put) and '' or ' ') .. put
    i, last = path and path.to + 1 or i + 1, put
  end
  return table.concat(parts)
end

--- Joins the variables from outside that two functions have by the same name.
local function join(to, from)
  local by_name, i = {}, 1
  while true do
    local name = debug.getupvalue(from, i)
    if not name then break end
    by_name[name], i = i, i + 1
  end
  i = 1
  while true do
    local name = debug.getupvalue(to, i)
    if not name then return end
    if by_name[name] then debug.upvaluejoin(to, i, from, by_name[name]) end
    i = i + 1
  end
end

--- A list of the names of a function's variables from outside, as text that declares them.
local function outside(fn)
  local names, i = {}, 1
  while true do
    local name = debug.getupvalue(fn, i)
    if not name then break end
    names[#names + 1], i = name, i + 1
  end
  return #names > 0 and 'local ' .. table.concat(names, ', ') .. ' ' or ''
end

--- Makes what explains a function.
---@param fn function
---@param text string of the file in which it stands
---@return function? explain(...): list of conditions, ok, answer or what was raised
---@return string? why there is none
function M.explainer(fn, text)
  local tokens = tokens_of.of(text)
  local at, why = token_of(tokens, fn)
  if not at then return nil, why end
  local conditions, paths, last = tokens_of.walk(tokens, at)
  local before, behind = {}, {}
  local function around(from, to, name, number)
    before[from] = ('%s(%d, '):format(name, number) .. (before[from] or '')
    behind[to] = (behind[to] or '') .. ')'
  end
  for k, path in ipairs(paths) do around(path.from, path.to, '__tidemill_value', k) end
  for n, c in ipairs(conditions) do
    if c.kind == 'compare' then
      around(c.left.from, c.left.to, '__tidemill_left', n)
      around(c.right.from, c.right.to, '__tidemill_right', n)
    end
    around(c.from, c.to, '__tidemill_test', n)
  end
  local source = outside(fn) .. 'return ' .. text_of(tokens, at, last, before, behind)
  local seen = {}   -- of the call at hand
  local env = setmetatable({
    __tidemill_value = function(k, v) seen.values[k] = { v } return v end,
    __tidemill_left = function(n, v) seen.left[n] = { v } return v end,
    __tidemill_right = function(n, v) seen.right[n] = { v } return v end,
    __tidemill_test = function(n, v) seen.tests[n] = { v } return v end,
  }, { __index = getfenv(fn) })
  local chunk, wrong = loadstring(source, '=(why)')
  if not chunk then return nil, 'its text cannot be read again: ' .. tostring(wrong) end
  setfenv(chunk, env)
  local again = chunk()
  join(again, fn)

  --- One condition of the call at hand.
  local function told(n, c)
    local asked = seen.tests[n] ~= nil
    local of, values = {}, nil
    for k, path in ipairs(paths) do
      if path.from >= c.from and path.to <= c.to and seen.values[k] then
        local v = seen.values[k][1]
        local text_of_value = shown(v)
        if text_of_value then
          of[path.from] = { text = text_of_value, to = path.to }
          values = values or {}
          values[told_text(tokens, path.from, path.to)] = plain(v)
        end
      end
    end
    local row = { text = told_text(tokens, c.from, c.to), kind = c.kind, name = c.name, asked = asked }
    if not asked then return row end
    row.value, row.values = plain(seen.tests[n][1]), values
    row.shown = told_text(tokens, c.from, c.to, of)
    if c.kind == 'compare' and seen.left[n] and seen.right[n] then
      row.left, row.right = plain(seen.left[n][1]), plain(seen.right[n][1])
      if not (c.left.plain and c.right.plain) then
        local a, b = shown(seen.left[n][1]), shown(seen.right[n][1])
        if a and b then row.shown = row.shown .. (': %s %s %s'):format(a, c.op, b) end
      end
    end
    return row
  end

  return function(...)
    seen = { values = {}, left = {}, right = {}, tests = {} }
    local ok, answer = pcall(again, ...)
    local list = value.array {}
    for n, c in ipairs(conditions) do list[n] = told(n, c) end
    return list, ok, answer
  end
end

return M
