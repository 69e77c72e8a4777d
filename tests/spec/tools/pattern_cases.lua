--[[
pattern_cases.lua - random uses of string.find, match, gmatch and gsub, and what came of them, as text. Run twice by pattern_spec: by
plain luajit, whose own functions are the reference, and as a module of a script, where they are the host's.

Everything is drawn from a generator of its own, so that both sides have the same cases. Returns block(seed, n): n cases, a line each.
]]

local state

local function random(n)   -- 1 to n; 2^31 - 1 and 48271: the minimal standard of Park and Miller (1993)
  state = state * 48271 % 2147483647
  return state % n + 1
end

local function one_of(list) return list[random(#list)] end

local letters = { 'a', 'a', 'a', 'b', 'b', 'A', '1', '2', ' ', '-', '.', '%', '(', ')', '[', ']', '^', '$', '_', '\n', '\0',
  '\127', '\200', 'z' }
local signs = { '%', '%', '(', ')', '[', ']', '^', '$', '.', '*', '+', '-', '?', 'a', 'b', '1', 'f', '\0', '\200' }
local classes = { 'a', 'c', 'd', 'g', 'l', 'p', 's', 'u', 'w', 'x', 'z', 'A', 'C', 'D', 'G', 'L', 'P', 'S', 'U', 'W', 'X',
  'Z', '.', '%', 'y', '-' }
local times = { '', '', '', '?', '*', '+', '-' }

local function repeated(n, make)
  local parts = {}
  for i = 1, n do parts[i] = make() end
  return table.concat(parts)
end

local function letter() return one_of(letters) end
local function sign() return one_of(signs) end

local function in_set()
  local kind = random(6)
  if kind == 1 then return '%' .. one_of(classes) end
  if kind == 2 then return letter() .. '-' .. letter() end
  if kind == 3 then return sign() end
  return letter()
end

local function set()
  return '[' .. (random(4) == 1 and '^' or '') ..
    repeated(random(4) - (random(8) == 1 and 1 or 0), in_set) .. (random(20) > 1 and ']' or '')
end

local opened

local function item()
  local kind = random(20)
  if kind <= 5 then return letter() .. one_of(times) end
  if kind <= 7 then return '.' .. one_of(times) end
  if kind <= 10 then return '%' .. one_of(classes) .. one_of(times) end
  if kind <= 12 then return set() .. one_of(times) end
  if kind == 13 then return '%b' .. repeated(random(10) == 1 and 1 or 2, letter) end
  if kind == 14 then return '%f' .. (random(8) > 1 and set() or '') end
  if kind == 15 then return '%' .. random(10) - 1 end
  if kind == 16 then return '()' end
  if kind == 17 and opened > 0 then opened = opened - 1 return ')' end
  if kind == 18 then return sign() end
  opened = opened + 1
  return '('
end

local function pattern()
  local kind = random(40)
  if kind == 1 then return repeated(random(230), function() return one_of { 'a?', 'a?', 'b*', 'b-' } end) end   -- Lua's levels end at 200
  if kind == 2 then return repeated(random(40), function() return '(' end) .. repeated(random(40), function() return ')' end) end
  if kind <= 8 then return repeated(random(8), sign) end
  if kind <= 11 then return repeated(random(4) - 1, letter) end
  opened = 0
  local text = (random(6) == 1 and '^' or '') .. repeated(random(6), item)
  if random(10) > 1 then text = text .. (')'):rep(opened) end
  return text .. (random(6) == 1 and '$' or '')
end

local function subject()
  if random(4) == 1 then return repeated(random(20), function() return one_of { 'a', 'b' } end) end
  return repeated(random(20) - 1, letter)
end

local function by_text()
  return repeated(random(5) - 1, function()
    local kind = random(6)
    if kind <= 2 then return '%' .. random(10) - 1 end
    if kind == 3 then return sign() end
    return letter()
  end)
end

local starts = { 0, 1, 2, 3, 5, 10, 100, -1, -2, -3, -10, -100, 1.5, -1.5, '2', 2^31, 2^32 + 2, -2^31, 1e300, 0/0 }

local function shown(v)
  if type(v) ~= 'string' then return tostring(v) end
  local parts = {}
  for i = 1, #v do
    local c = v:byte(i)
    parts[i] = c > 32 and c < 127 and c ~= 92 and v:sub(i, i) or ('\\%02x'):format(c)
  end
  return "'" .. table.concat(parts) .. "'"
end

local function all_shown(...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = shown((select(i, ...))) end
  return table.concat(parts, ' ')
end

local function walk(s, p)
  local parts = {}
  local next_match = s:gmatch(p)
  for i = 1, 400 do
    local text = all_shown(next_match())
    if text == '' then break end
    parts[i] = text
  end
  return table.concat(parts, ' | ')
end

local function caller(name)   -- from Lua: messages have this file and line
  return function(...)
    local a, b, c, d, e, f, g, h = string[name](...)
    return a, b, c, d, e, f, g, h
  end
end
local from_lua = { find = caller 'find', match = caller 'match', gsub = caller 'gsub' }

local odd = { function() return nil end, function() return 5 end,
  function(a, b) return b and tostring(b) or a end, function() return false end,
  function(a) return a ~= 'a' and tostring(a) .. '!' end, function() return {} end, function(...) return tostring(select('#', ...)) end }
local tables = { { a = 'X', b = 2, aa = false, ['1'] = 'one' }, { 'x', 'y', 'z' }, { a = {} }, { a = print } }

local function case()
  local s, p, kind = subject(), pattern(), random(12)
  if #p > 60 then s = ('a'):rep(random(250)) .. s end
  local f = random(2) == 1 and from_lua or string
  if kind <= 3 then
    return 'find', s, p, all_shown(pcall(f.find, s, p, random(3) == 1 and one_of(starts) or nil, random(8) == 1))
  elseif kind <= 6 then
    return 'match', s, p, all_shown(pcall(f.match, s, p, random(3) == 1 and one_of(starts) or nil))
  elseif kind <= 8 then
    return 'gmatch', s, p, all_shown(pcall(walk, s, p))
  end
  local by = kind == 9 and one_of(odd) or kind == 10 and one_of(tables) or kind == 11 and random(1000) or by_text()
  return 'gsub ' .. (type(by) == 'string' and shown(by) or type(by)), s, p,
    all_shown(pcall(f.gsub, s, p, by, random(4) == 1 and one_of(starts) or nil))
end

return function(seed, n)
  state = seed * 7919 % 2147483646 + 1
  local lines = {}
  for i = 1, n do
    local what, s, p, got = case()
    lines[i] = ('%s %s %s = %s'):format(what, shown(s), shown(p), got)
  end
  return table.concat(lines, '\n')
end
