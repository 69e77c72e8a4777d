--[[
rules_index.lua - what is done once an event before rules look at it: columns that C does not read by itself are filled
(rules_columns.lua), and the index over `only` gives the rules that may apply.

A rule with `only` is found by one of its conditions, the one that fewest events are likely to meet: by the value of a field (a table from
value to rules), or by bounds (a segment tree over the bounds of all rules of that field). Its other conditions are looked at for what
was found. So a rule whose `only` does not hold costs nothing, and what an event costs grows with the rules that it meets.

  tree   slots of a line cut at all bounds b1 < b2 …: (-inf, b1) [b1] (b1, b2) [b2] …; a rule lies at the O(log n) nodes that make up its
         slots, an event looks at those above its own
]]

local lib = require 'tidemill.lib'
local files = require 'tidemill.pack_files'
local C, sorted = lib.C, files.sorted
local floor, huge = math.floor, math.huge

local M = {}

-- Which condition finds a rule ----------------------------------------------------------------------

--- The share of events that a condition is likely to hold for, as far as the rules tell: one of the values that any of them names.
local function share(c, values)
  if not c.values then return (c.min == -huge or c.max == huge) and 0.9 or 0.5 end
  return c.n / math.max(values[c.field] or 0, c.n + 1)
end

--- The condition by which a rule is found, and the others.
local function choose(rule, values)
  local best, rest = 1, {}
  for i = 2, #rule.only do
    if share(rule.only[i], values) < share(rule.only[best], values) then best = i end
  end
  for i, c in ipairs(rule.only) do if i ~= best then rest[#rest + 1] = c end end
  return rule.only[best], rest
end

-- Bounds ---------------------------------------------------------------------------------------------

--- A tree of intervals. items: list of { min, max, rule }.
---@return function (v): walks the rules whose bounds hold v, by calling visit(list)
function M.tree(items)
  local points, at = {}, {}
  for _, item in ipairs(items) do
    for _, b in ipairs { item.min, item.max } do
      if b > -huge and b < huge and not at[b] then points[#points + 1], at[b] = b, true end
    end
  end
  table.sort(points)
  for i, b in ipairs(points) do at[b] = 2 * i - 1 end
  local n, size = #points, 1
  while size < 2 * n + 1 do size = size * 2 end
  local nodes = {}
  for i = 1, 2 * size - 1 do nodes[i] = false end
  for _, item in ipairs(items) do
    local from = size + (item.min == -huge and 0 or at[item.min])
    local to = size + (item.max == huge and 2 * n or at[item.max]) + 1
    while from < to do
      if from % 2 == 1 then
        nodes[from] = nodes[from] or {}
        table.insert(nodes[from], item.rule)
        from = from + 1
      end
      if to % 2 == 1 then
        to = to - 1
        nodes[to] = nodes[to] or {}
        table.insert(nodes[to], item.rule)
      end
      from, to = floor(from / 2), floor(to / 2)
    end
  end
  return function(v, j, visit)
    local low, high = 0, n   -- the largest i with points[i] <= v
    while low < high do
      local mid = floor((low + high + 1) / 2)
      if points[mid] <= v then low = mid else high = mid - 1 end
    end
    local node = size + ((low > 0 and points[low] == v) and 2 * low - 1 or 2 * low)
    while node >= 1 do
      if nodes[node] then visit(nodes[node], j) end
      node = floor(node / 2)
    end
  end
end

-- The text -------------------------------------------------------------------------------------------

--- What holds of the other conditions of rules that were found.
local function holds(rest, V)
  for i = 1, #rest do
    local c = rest[i]
    local v = V[c.at]
    if c.values then
      if v == nil or not c.values[v] then return false end
    elseif type(v) ~= 'number' or not (v >= c.min and v <= c.max) then
      return false
    end
  end
  return true
end

--- Compiles what takes an event in.
---@param list table rules, those at work, in order
---@param R ffi.cdata* struct tm_rules *
---@param columns table of rules_columns
---@return function (e, j): the event e is row j of the chunk
function M.compile(list, R, columns)
  local values, seen, fields, at = {}, {}, {}, {}
  for _, rule in ipairs(list) do
    for _, c in ipairs(rule.only) do
      fields[c.field] = true
      for v in pairs(c.values or {}) do
        local key = c.field .. '\0' .. type(v) .. '\0' .. tostring(v)
        if not seen[key] then seen[key], values[c.field] = true, (values[c.field] or 0) + 1 end
      end
    end
  end
  for name in pairs(columns.taken) do fields[name] = true end
  local names = sorted(fields)
  local V, rests, by_value, by_bounds = {}, {}, {}, {}
  for i, name in ipairs(names) do at[name], V[i] = i, false end
  for i, rule in ipairs(list) do
    if rule.only[1] then
      local c, rest = choose(rule, values)
      for _, r in ipairs(rest) do r.at = at[r.field] end
      rests[i] = #rest > 0 and rest or false
      if c.values then
        by_value[c.field] = by_value[c.field] or {}
        for v in pairs(c.values) do
          local of = by_value[c.field]
          of[v] = of[v] or {}
          table.insert(of[v], i)
        end
      else
        by_bounds[c.field] = by_bounds[c.field] or {}
        table.insert(by_bounds[c.field], { min = c.min, max = c.max, rule = i })
      end
    end
  end
  local function visit(found, j)
    for k = 1, #found do
      local i = found[k]
      local rest = rests[i]
      if not rest or holds(rest, V) then C.tm_ffi_rules_add(R, i - 1, j) end
    end
  end
  local K, text = { V = V, visit = visit, type = type }, {}
  local function const(v)
    if v == nil then return nil end
    K[#K + 1] = v
    return 'K[' .. #K .. ']'
  end
  for i, name in ipairs(names) do
    local parts = {}
    for _, taken in ipairs(columns.taken[name] or {}) do
      local column = taken.column
      local places = { NUM = const(column.num), KNOWN = const(column.known), GIVEN = const(column.given) }
      parts[#parts + 1] = (taken.text:gsub('%u%u%u+', places))
    end
    local keep = by_value[name] or by_bounds[name]
    for _, rest in pairs(rests) do
      for _, c in ipairs(rest or {}) do keep = keep or c.field == name end
    end
    if keep then parts[#parts + 1] = ('V[%d] = v'):format(i) end
    text[#text + 1] = ('do local v = e[%q] %s end'):format(name, table.concat(parts, ' '))
  end
  for i, name in ipairs(names) do
    if by_value[name] then
      text[#text + 1] = ('do local v = V[%d] if v ~= nil then local found = %s[v] if found then visit(found, j) end end end'):format(i,
        const(by_value[name]))
    end
    if by_bounds[name] then
      text[#text + 1] = ("do local v = V[%d] if type(v) == 'number' and v == v then %s(v, j, visit) end end"):format(i,
        const(M.tree(by_bounds[name])))
    end
  end
  local body = 'local K = ... local V, visit, type = K.V, K.visit, K.type return function(e, j) ' .. table.concat(text, '\n') .. ' end'
  return assert(loadstring(body, '=tidemill.rules_index'))(K)
end

return M
