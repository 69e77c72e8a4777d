--[[
lint.lua - what `tidemill check` finds by reading the bytecode of scripts: names that do not exist.

Nothing is run. A problem is { place = 'file:line', message = ... }.
]]

local jutil = require 'jit.util'
local lib = require 'tidemill.lib'
local bytecode = require 'tidemill.bytecode'
local suggest = require 'tidemill.suggest'
local bit = lib.bit
local band, rshift = bit.band, bit.rshift

local decode, place_of, fields_of = bytecode.decode, bytecode.place_of, bytecode.fields_of
local GGET, GSET, TGETS, VALUE_RETURNS = bytecode.GGET, bytecode.GSET, bytecode.TGETS, bytecode.VALUE_RETURNS

local M = {}

local LIBRARIES = { string = true, math = true, table = true, bit = true, coroutine = true }

local function each_proto(f, visit)
  visit(f)
  local i = -1
  while true do
    local k = jutil.funck(f, i)
    if k == nil then break end
    if type(k) == 'proto' then each_proto(k, visit) end
    i = i - 1
  end
end

local function names_of(t)
  local list = {}
  for k in pairs(t) do
    if type(k) == 'string' then list[#list + 1] = k end
  end
  return list
end

local function add(problems, seen, place, message)
  local key = place .. message
  if not seen[key] then
    seen[key] = true
    problems[#problems + 1] = { place = place, message = message }
  end
end

--- Globals and library functions a chunk uses that its environment does not have and no line of it sets.
function M.globals(chunk, env, problems)
  local set, seen = {}, {}
  each_proto(chunk, function(f)
    for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
      local ins = jutil.funcbc(f, pc)
      if band(ins, 255) == GSET then set[jutil.funck(f, -rshift(ins, 16) - 1)] = true end
    end
  end)
  each_proto(chunk, function(f)
    local library = {}   -- register -> the library table last read into it
    for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
      local ins = jutil.funcbc(f, pc)
      local op, a, b, c = decode(ins)
      if op == GGET then
        local name = jutil.funck(f, -rshift(ins, 16) - 1)
        library[a] = LIBRARIES[name] and not set[name] and name or nil
        if rawget(env, name) == nil and not set[name] then
          add(problems, seen, place_of(f, pc), "nothing is called '" .. name .. "' here" .. suggest.hint(name, names_of(env)))
        end
      elseif op == TGETS and library[b] then
        local name, of = jutil.funck(f, -c - 1), library[b]
        if type(name) == 'string' and type(env[of]) == 'table' and rawget(env[of], name) == nil then
          add(problems, seen, place_of(f, pc), "there is no " .. of .. '.' .. name .. suggest.hint(name, names_of(env[of])))
        end
        library[a] = nil
      else
        library[a] = nil
      end
    end
  end)
end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

local walk

local function functions_of(step)
  local rec = step.rec
  local list = {}
  if rec and type(rec.fn) == 'function' then list[1] = rec.fn end
  for _, fn in ipairs(rec and rec.fns or {}) do
    if type(fn) == 'function' then list[#list + 1] = fn end
  end
  for _, arm in ipairs(step.arms or {}) do
    if type(arm.fn) == 'function' then list[#list + 1] = arm.fn end
  end
  return list
end

local function check_function(fn, known, problems, seen)
  local reads, writes = fields_of(fn)
  for _, name in ipairs(sorted(reads)) do
    if not known[name] and not writes[name] then
      add(problems, seen, reads[name], "the schema has no field '" .. name .. "'" .. suggest.hint(name, sorted(known)))
    end
  end
  for name in pairs(writes) do known[name] = true end
end

--- Does f return anything at all?
local function returns_value(f)
  for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
    local op = band(jutil.funcbc(f, pc), 255)
    if VALUE_RETURNS[op] then return true end
  end
  return false
end

--- Functions that can only drop every event, which nobody means.
local function check_step(step, problems, seen)
  local fn = step.rec and step.rec.fn
  if type(fn) ~= 'function' then return end
  local info = jutil.funcinfo(fn)
  if step.kind == 'map' and not returns_value(fn) then
    add(problems, seen, step.place, 'this map returns nothing, so it drops every event; return the event (return e)')
  elseif step.kind == 'filter' and not returns_value(fn) then
    add(problems, seen, step.place, 'this filter returns nothing, so it drops every event; return a condition')
  elseif step.kind == 'flat_map' and info.params < 2 and not info.isvararg then
    add(problems, seen, step.place, 'this flat_map takes no emit, so it drops every event; write function(e, emit)')
  end
end

local function copy(t)
  local out = {}
  for k, v in pairs(t) do out[k] = v end
  return out
end

--- Follows a step's readers with the fields known there; what a map or flat_map may return is anybody's guess.
function walk(step, known, problems, seen)
  for _, child in ipairs(step.next) do
    check_step(child, problems, seen)
    local here = known and copy(known)
    local rec = child.rec
    if child.kind == 'schema' then
      here = here or {}
      for _, field in ipairs(rec.types) do here[field.name] = true end
    elseif here then
      for _, fn in ipairs(functions_of(child)) do check_function(fn, here, problems, seen) end
      if child.kind == 'set' then
        for _, name in ipairs(rec.fields) do here[name] = true end
      elseif child.kind == 'rename' then
        for i, name in ipairs(rec.to) do here[name] = true; here[rec.from[i]] = nil end
        for _, name in ipairs(rec.to) do here[name] = true end
      elseif child.kind == 'drop' then
        for _, name in ipairs(rec.fields) do here[name] = nil end
      elseif child.kind == 'select' then
        local kept = {}
        for _, name in ipairs(rec.fields) do
          if not here[name] then
            add(problems, seen, child.place, "the schema has no field '" .. name .. "'" .. suggest.hint(name, sorted(here)))
          end
          kept[name] = true
        end
        here = kept
      elseif child.kind == 'map' or child.kind == 'flat_map' then
        here = nil
      end
    end
    walk(child, here, problems, seen)
    for _, arm in ipairs(child.arms or {}) do walk(arm, here, problems, seen) end
  end
end

--- Fields that functions behind a :schema read and the schema does not have.
function M.fields(plan, problems)
  for _, p in ipairs(plan.pipelines) do walk(p.tree, nil, problems, {}) end
end

return M
