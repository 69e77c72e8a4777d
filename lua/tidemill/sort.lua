--[[
sort.lua - table.sort of scripts: LuaJIT's own up to SMALL items, beyond that the same in Lua, where the deadline reaches.

LuaJIT's runs in C: while it sorts millions of items no guard can stop it. Here every comparison is a turn of a loop. The way
is the same (quicksort: the median of three, the smaller part first), so is what it does step by step: orders of equal
items, errors of orders that are none and what they leave behind are those of LuaJIT. Few items are its own business: a loop
of some turns inside an event would keep the batch's loop from being compiled.

A quadratic order of items is possible, as there; the deadline ends it. Unlike there, a comparison may yield.
]]

local lib = require 'tidemill.lib'
local rawget, rawequal, type, error, pcall = rawget, rawequal, type, error, pcall
local getinfo, getmetatable, builtin = debug.getinfo, debug.getmetatable, table.sort

local M = {}

local SMALL = 1000
local SORTERS_MAX = 100
local function sorter() return lib.load 'tidemill.sort_loop' () end
-- machine code of its own for each kind of items
local sort_plain, sort_any = { number = sorter(), string = sorter() }, sorter()

--- What compares values of v's type, if something does.
local function order_of(v)
  local mt = getmetatable(v)
  return mt ~= nil and rawget(mt, '__lt') or nil
end

local function less_plain(a, b) return a < b end

--- Items of several types, or that only their metatables can compare. LuaJIT's sort says no place either.
local function less_mixed(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb or (ta ~= 'number' and ta ~= 'string' and (order_of(a) == nil or not rawequal(order_of(a), order_of(b)))) then
    error(ta == tb and ('attempt to compare two %s values'):format(ta) or ('attempt to compare %s with %s'):format(ta, tb), 0)
  end
  return a < b
end

--- A function of C as an order: what it raises is worded as LuaJIT's sort has it.
local function less_of_c(f)
  return function(a, b)
    local ok, v = pcall(f, a, b)
    if ok then return v end
    builtin({ b, a }, f)
    error(v, 0)
  end
end

local sorters, sorters_n = {}, 0

--- The loop for functions of that place in a script: one for all would be compiled for whichever came first.
local function sort_by(t, n, less)
  local info = getinfo(less, 'S')
  if info.what == 'C' then return sort_any(t, n, less_of_c(less)) end
  local place = info.source .. ':' .. info.linedefined .. ':' .. info.lastlinedefined
  local own = sorters[place]
  if not own then
    if sorters_n == SORTERS_MAX then return sort_any(t, n, less) end
    own = sorter()
    sorters[place], sorters_n = own, sorters_n + 1
  end
  return own(t, n, less)
end

--- 'number' or 'string' when all of t[1..n] are.
local function kind_of(t, n)
  local kind = type(rawget(t, 1))
  for i = 2, n do
    if type(rawget(t, i)) ~= kind then return nil end
  end
  return kind
end

--- table.sort. Arguments that are none are LuaJIT's to name.
---@param t table
---@param less? fun(a, b): boolean
function M.sort(t, less, ...)
  local n = type(t) == 'table' and #t or 0
  if n <= SMALL or (less ~= nil and type(less) ~= 'function') then return builtin(t, less, ...) end
  local done
  if less ~= nil then
    done = sort_by(t, n, less)
  else
    local plain = sort_plain[kind_of(t, n) or 'mixed']
    if plain then done = plain(t, n, less_plain) else done = sort_any(t, n, less_mixed) end
  end
  if not done then error('invalid order function for sorting', 2) end
end

return M
