--[[
suggest.lua - "did you mean": the closest of some names by optimal string alignment distance
(Damerau-Levenshtein with adjacent transpositions), when it is close enough to be a slip.
]]

local M = {}

local function distance(a, b)
  local prev2, prev = {}, {}
  for j = 0, #b do prev[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(prev[j] + 1, row[j - 1] + 1, prev[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, prev2[j - 2] + 1)
      end
      row[j] = best
    end
    prev2, prev = prev, row
  end
  return prev[#b]
end

--- The closest name, or nil.
---@param word string
---@param names string[]
function M.closest(word, names)
  local best, found = math.max(1, math.floor(#word / 3)), nil
  local sorted = {}
  for i = 1, #names do sorted[i] = names[i] end
  table.sort(sorted)
  for _, name in ipairs(sorted) do
    -- names whose length alone is farther off are not looked at: the word may be a text of megabytes out of an event
    local d = math.abs(#word - #name) <= best and distance(word:lower(), name:lower()) or math.huge
    if d < best or (d == best and not found) then best, found = d, name end
  end
  return found
end

--- " (did you mean 'x'?)", or "".
function M.hint(word, names)
  local name = M.closest(word, names)
  return name and (" (did you mean '" .. name .. "'?)") or ''
end

--- The same, or all the names where none is close: "; it has a, b, c".
function M.among(word, names)
  local hint = M.hint(word, names)
  if hint ~= '' then return hint end
  local sorted = {}
  for i, name in ipairs(names) do sorted[i] = name end
  table.sort(sorted)
  return '; it has ' .. (#sorted > 0 and table.concat(sorted, ', ') or 'none')
end

return M
