--[[
printable.lua - texts for people and programs: valid UTF-8, nothing that steers a terminal, wrapped lines, JSON to be read.

Not for events: those are written by the host. Needs nothing of the host.
]]

local M = {}

--- Bytes of the UTF-8 character at `i`, or nil: RFC 3629, no surrogates, no overlong forms.
local function char_length(s, i)
  local a, b, c, d = s:byte(i, i + 3)
  local function rest(x) return x and x >= 128 and x < 192 end
  if a < 128 then return 1 end
  if a >= 194 and a < 224 and rest(b) then return 2 end
  if a >= 224 and a < 240 and rest(b) and rest(c) and (a ~= 224 or b >= 160) and (a ~= 237 or b < 160) then return 3 end
  if a >= 240 and a < 245 and rest(b) and rest(c) and rest(d) and (a ~= 240 or b >= 144) and (a ~= 244 or b < 144) then return 4 end
  return nil
end

--- The text in valid UTF-8: bytes that are none as U+FFFD.
function M.utf8(s)
  if not s:find '[\128-\255]' then return s end
  local parts, i = {}, 1
  while i <= #s do
    local n = char_length(s, i)
    parts[#parts + 1] = n and s:sub(i, i + n - 1) or '\239\191\189'
    i = i + (n or 1)
  end
  return table.concat(parts)
end

local named = { ['\n'] = '\\n', ['\t'] = '\\t', ['\r'] = '\\r' }

--- One line that cannot steer a terminal: control characters as \n, \t, \x1b.
function M.line(s)
  s = M.utf8(s):gsub('[%z\1-\31\127]', function(c) return named[c] or ('\\x%02x'):format(c:byte()) end)
  -- C1 controls, which are two bytes in UTF-8
  return (s:gsub('\194([\128-\159])', function(c) return ('\\x%02x'):format(c:byte()) end))
end

--- Characters of a text in valid UTF-8.
function M.width(s)
  return select(2, s:gsub('[^\128-\191]', ''))
end

--- The text cut to so many characters, with … at its end.
function M.cut(s, width)
  if M.width(s) <= width then return s end
  local n = 0
  for at in s:gmatch '()[^\128-\191]' do
    n = n + 1
    if n == width then return s:sub(1, at - 1) .. '…' end
  end
end

--- Words in lines of at most `width`, those behind the first begin with `indent` blanks; the first has `used` already.
function M.wrap(text, width, indent, used)
  local lines, line, at = {}, '', used or indent
  for word in text:gmatch '%S+' do
    local n = M.width(word)
    if line ~= '' and at + 1 + n > width then
      lines[#lines + 1], line, at = line, '', indent
    end
    line, at = line == '' and word or line .. ' ' .. word, at + n + (line == '' and 0 or 1)
  end
  lines[#lines + 1] = line
  return table.concat(lines, '\n' .. (' '):rep(indent))
end

local json_named = { ['"'] = '\\"', ['\\'] = '\\\\', ['\n'] = '\\n', ['\t'] = '\\t', ['\r'] = '\\r' }

local function json_string(s)
  return '"' .. M.utf8(s):gsub('[%z\1-\31"\\\127]', function(c) return json_named[c] or ('\\u%04x'):format(c:byte()) end) .. '"'
end

--- The value as JSON, keys in byte order. A table with [1], or `list = true` in it, is an array.
function M.json(v)
  if type(v) == 'string' then return json_string(v) end
  if type(v) ~= 'table' then return type(v) == 'number' and ('%.14g'):format(v) or tostring(v) end
  local parts = {}
  if v[1] ~= nil or v.list == true then
    for i, item in ipairs(v) do parts[i] = M.json(item) end
    return '[' .. table.concat(parts, ',') .. ']'
  end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys)
  for i, k in ipairs(keys) do parts[i] = json_string(k) .. ':' .. M.json(v[k]) end
  return '{' .. table.concat(parts, ',') .. '}'
end

--- A list that is written as [] also when it is empty.
function M.list(items)
  items = items or {}
  items.list = true
  return items
end

return M
