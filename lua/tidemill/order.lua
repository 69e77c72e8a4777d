--[[
order.lua - pairs and next as scripts see them: one fixed order.

Plain tables: 1..n, then other numbers ascending, then strings by byte, then false, true; other key types raise,
because their order would differ between runs. Event views: the event's own order. next() follows the same order
and costs a walk of the table.
]]

local lib = require 'tidemill.lib'
local owner, raise = lib.owner, lib.raise
local rawnext, type, rawget = next, type, rawget

local M = {}

--- The keys of a plain table in the fixed order, and how many there are.
local function keys_of(t)
  local n, numbers, strings = #t, nil, nil
  local list = {}
  local has_false, has_true
  for i = 1, n do
    if rawget(t, i) == nil then n = i - 1 break end
  end
  for i = 1, n do list[i] = i end
  local count = n
  for k in rawnext, t do
    local kind = type(k)
    if kind == 'number' then
      if not (k >= 1 and k <= n and k % 1 == 0) then
        numbers = numbers or {}
        numbers[#numbers + 1] = k
      end
    elseif kind == 'string' then
      strings = strings or {}
      strings[#strings + 1] = k
    elseif k == true then
      has_true = true
    elseif k == false then
      has_false = true
    else
      raise('order', 'pairs needs an order that is the same in every run; a table with a ' .. kind .. ' as a key has none')
    end
  end
  if numbers then
    table.sort(numbers)
    for i = 1, #numbers do count = count + 1; list[count] = numbers[i] end
  end
  if strings then
    local m = #strings
    if m <= 24 then
      for i = 2, m do
        local k, j = strings[i], i - 1
        while j >= 1 and strings[j] > k do
          strings[j + 1] = strings[j]
          j = j - 1
        end
        strings[j + 1] = k
      end
    else
      table.sort(strings)
    end
    for i = 1, m do count = count + 1; list[count] = strings[i] end
  end
  if has_false then count = count + 1; list[count] = false end
  if has_true then count = count + 1; list[count] = true end
  return list, count
end

--- The keys of a table or view, in order.
function M.keys(t)
  local node = owner[t]
  if node then
    local list = node.V.keys(node)
    return list, #list
  end
  return keys_of(t)
end

--- A table of only 1..n needs no list of keys.
local function is_list(t)
  local n = #t
  local count = 0
  for _ in rawnext, t do
    count = count + 1
    if count > n then return false end
  end
  if count ~= n then return false end
  for i = 1, n do
    if rawget(t, i) == nil then return false end
  end
  return true
end

local function list_next(t, i)
  i = i + 1
  local v = rawget(t, i)
  if v ~= nil then return i, v end
end

local function walk(state)
  local i = state.i
  local keys, t = state.keys, state.t
  while i < state.n do
    i = i + 1
    local k = keys[i]
    local v = t[k]
    if v ~= nil or (state.node and state.node.V.is_null(state.node, k)) then
      state.i = i
      return k, v
    end
  end
  state.i = i
  return nil
end

--- pairs in the fixed order; of a view: all its fields (null ones with the value nil).
function M.pairs(t)
  if type(t) ~= 'table' then
    raise('type', 'pairs takes a table or an event, got ' .. (t == nil and 'nil' or 'a ' .. type(t)))
  end
  local node = owner[t]
  if not node and is_list(t) then return list_next, t, 0 end
  local keys, n = M.keys(t)
  return walk, { keys = keys, n = n, i = 0, t = t, node = node }, nil
end

--- next in the fixed order; O(n).
function M.next(t, k)
  if type(t) ~= 'table' then
    raise('type', 'next takes a table or an event, got ' .. (t == nil and 'nil' or 'a ' .. type(t)))
  end
  local node = owner[t]
  local keys, n = M.keys(t)
  local i = 1
  if k ~= nil then
    while i <= n and keys[i] ~= k do i = i + 1 end
    if i > n then raise('order', "next: no key '" .. tostring(k) .. "' in this table") end
    i = i + 1
  end
  while i <= n do
    local v = t[keys[i]]
    if v ~= nil or (node and node.V.is_null(node, keys[i])) then return keys[i], v end
    i = i + 1
  end
  return nil
end

return M
