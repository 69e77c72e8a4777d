-- lib.lua - what the benchmark's parts share: running a command and its cost, order statistics, text, JSON.
-- Nothing here knows a contender. Paths given to the shell are quoted; a command is a list of words.
local M = {}

---@class Cost
---@field cpu number seconds, user and system of the whole process tree
---@field wall number seconds
---@field peak_mb number resident peak of the largest process
---@field tree_mb number sum of the peaks of all processes (asked for with tree)
---@field first_ms number start to first byte of output (asked for with first)
---@field code integer exit code

function M.quote(word)
  if word:find '^[%w_@%%+=:,./-]+$' then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

---@param words string[]
function M.line(words)
  local list = {}
  for i, word in ipairs(words) do list[i] = M.quote(word) end
  return table.concat(list, ' ')
end

-- What a command prints, both streams, without the last LF; nil if it fails.
function M.output(line)
  local pipe = io.popen('{ ' .. line .. '; } 2>&1; printf "\\n%d\\n" $?')
  local text = pipe:read '*a'
  pipe:close()
  local body, code = text:match '^(.-)\n*\n(%d+)\n$'
  return code == '0' and body or nil
end

function M.exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

function M.size(path)
  local file = assert(io.open(path))
  local bytes = file:seek 'end'
  file:close()
  return bytes
end

---@param measure string path of the measuring program
---@param command { words: string[], input: string?, output: string?, tree: boolean?, first: boolean? }
---@return Cost
function M.run(measure, command)
  local words = { measure, '-e', command.errors or '/dev/null' }
  if command.input then words[#words + 1] = '-i' words[#words + 1] = command.input end
  if command.output then words[#words + 1] = '-o' words[#words + 1] = command.output end
  if command.tree then words[#words + 1] = '-t' end
  if command.first then words[#words + 1] = '-f' end
  for _, word in ipairs(command.words) do words[#words + 1] = word end
  local text = M.output(M.line(words)) or ''
  local user, sys, wall, peak, tree, first, code =
    text:match '^(%S+) (%S+) (%S+) (%d+) (%d+) (%S+) (%d+)$'
  if not user then return { code = -1, cpu = 0, wall = 0, peak_mb = 0, tree_mb = 0, first_ms = 0 } end
  return { cpu = user + sys, wall = tonumber(wall), peak_mb = peak / 1024, tree_mb = tree / 1024,
    first_ms = tonumber(first), code = tonumber(code) }
end

---@param list number[]
---@return number
function M.median(list)
  local sorted = { unpack(list) }
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[(n + 1) / 2] or (sorted[n / 2] + sorted[n / 2 + 1]) / 2
end

function M.min(list) return math.min(unpack(list)) end
function M.max(list) return math.max(unpack(list)) end

-- The key's values over a list of tables.
function M.pluck(list, key)
  local out = {}
  for i, item in ipairs(list) do out[i] = item[key] end
  return out
end

-- 1234567 as 1,234,567
function M.count(n)
  local text = ('%d'):format(n):reverse():gsub('(%d%d%d)', '%1,'):reverse()
  return (text:gsub('^,', ''))
end

-- Keys in byte order; a table with [1] or nothing in it is an array.
function M.json(value, indent)
  indent = indent or ''
  if type(value) == 'number' then
    return value == math.floor(value) and ('%d'):format(value) or ('%.6g'):format(value)
  elseif type(value) == 'string' then
    return '"' .. value:gsub('[%c"\\]', function(c) return ('\\u%04x'):format(c:byte()) end) .. '"'
  elseif type(value) ~= 'table' then
    return tostring(value)
  end
  local inner, parts, keys = indent .. '  ', {}, {}
  if value[1] ~= nil or next(value) == nil then
    for i, item in ipairs(value) do parts[i] = M.json(item, inner) end
    return '[' .. table.concat(parts, ', ') .. ']'
  end
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = inner .. M.json(key) .. ': ' .. M.json(value[key], inner) end
  return '{\n' .. table.concat(parts, ',\n') .. '\n' .. indent .. '}'
end

return M
