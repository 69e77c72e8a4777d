--[[
lint.lua - what `tidemill check` finds in scripts that load: names that do not exist, fields the schema does not have, steps
that drop everything, state without a name or a bound. Nothing is run.

A problem is { place = 'file:line', message = ... }. Problems reject a script; warnings (lint_events.lua: what functions do
for every event) only with --strict.
]]

local jutil = require 'jit.util'
local bytecode = require 'tidemill.bytecode'
local catalog = require 'tidemill.catalog'
local suggest = require 'tidemill.suggest'

local decode, place_of, fields_of, OP = bytecode.decode, bytecode.place_of, bytecode.fields_of, bytecode.OP

local M = {}

local LIBRARIES = { string = true, math = true, table = true, bit = true, coroutine = true }

local function each_proto(f, visit)
  visit(f)
  for _, inner in ipairs(bytecode.inner(f)) do each_proto(inner, visit) end
end

--- The string keys of a table, in byte order.
local function names_of(t)
  local list = {}
  for k in pairs(t) do
    if type(k) == 'string' then list[#list + 1] = k end
  end
  table.sort(list)
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
      local op, _, _, _, d = decode(jutil.funcbc(f, pc))
      if op == OP.GSET then set[jutil.funck(f, -d - 1)] = true end
    end
  end)
  each_proto(chunk, function(f)
    local library = {}   -- register -> the library table last read into it
    for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
      local op, a, b, c, d = decode(jutil.funcbc(f, pc))
      if op == OP.GGET then
        local name = jutil.funck(f, -d - 1)
        library[a] = LIBRARIES[name] and not set[name] and name or nil
        if rawget(env, name) == nil and not set[name] then
          add(problems, seen, place_of(f, pc), "nothing is called '" .. name .. "' here" .. suggest.hint(name, names_of(env)))
        end
      elseif op == OP.TGETS and library[b] then
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

local walk

-- what of a step's record leads to other steps or to the host, or is called less often than once an event (apply)
local ELSEWHERE = { parent = true, readers = true, stream = true, from = true, union = true, arms = true, sink = true, replaces = true,
  apply = true, table_rec = true, right = true, join = true, left_timed = true, right_timed = true }

local function collect(t, depth, into)
  for _, key in ipairs(names_of(t)) do
    if not ELSEWHERE[key] then
      local v = t[key]
      if type(v) == 'function' then into[#into + 1] = v
      elseif type(v) == 'table' and depth < 4 then
        for _, item in ipairs(v) do
          if type(item) == 'function' then into[#into + 1] = item elseif type(item) == 'table' then collect(item, depth + 1, into) end
        end
        collect(v, depth + 1, into)
      end
    end
  end
end

--- Functions whose first parameter is the event: fn, fns, those of the arms.
local function event_functions(step)
  local list = {}
  local rec = step.rec or {}
  if type(rec.fn) == 'function' then list[1] = rec.fn end
  if type(rec.on) == 'table' and type(rec.on.fn) == 'function' then list[1] = rec.on.fn end
  if type(rec.window) == 'table' and type(rec.window.gap) == 'function' then list[1] = rec.window.gap end
  if type(rec.delete) == 'function' then list[1] = rec.delete end
  for _, fn in ipairs(rec.fns or {}) do
    if type(fn) == 'function' then list[#list + 1] = fn end
  end
  for _, arm in ipairs(step.arms or {}) do
    if type(arm.fn) == 'function' then list[#list + 1] = arm.fn end
  end
  return list
end

--- All functions a step was given, those in its options too, in a fixed order.
local function functions_of(step)
  local list = {}
  if step.rec then collect(step.rec, 1, list) end
  for _, arm in ipairs(step.arms or {}) do
    if type(arm.fn) == 'function' then list[#list + 1] = arm.fn end
  end
  return list
end

--- A field that a schema leaves out; known: those that there are.
local function unknown(problems, seen, place, name, known)
  local hint = suggest.hint(name, names_of(known))
  local shown = name:find '^[%a_][%w_]*$' and name or ('[%q]'):format(name)
  add(problems, seen, place, ("the schema has no field '%s'%s"):format(name,
    hint ~= '' and hint or ("; a schema lists all fields: add %s = 'any' to it, or its type"):format(shown)))
end

local function check_function(fn, known, problems, seen)
  local reads, writes = fields_of(fn)
  for _, name in ipairs(names_of(reads)) do
    if not known[name] and not writes[name] then
      unknown(problems, seen, reads[name], name, known)
    end
  end
  for name in pairs(writes) do known[name] = true end
end

--- Does f return anything at all?
local function returns_value(f)
  for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
    if bytecode.VALUE_RETURNS[decode(jutil.funcbc(f, pc))] then return true end
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

-- fields that steps add to events
local ADDED = { dedup = { 'revision' }, top = { 'rank', 'revision', 'partial' }, suppress = { 'suppressed', 'partial' },
  aggregate = { 'window_start', 'window_end', 'revision', 'op', 'partial' }, running = { 'partial' },
  over = { 'partial' } }

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
      for _, fn in ipairs(event_functions(child)) do check_function(fn, here, problems, seen) end
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
          if not here[name] then unknown(problems, seen, child.place, name, here) end
          kept[name] = true
        end
        here = kept
      elseif ADDED[child.kind] then
        for _, name in ipairs(ADDED[child.kind]) do here[name] = true end
        for _, a in ipairs(rec.aggregates or {}) do here[a.name] = true end
        for _, name in ipairs(rec.adds or {}) do here[name] = true end
        if rec.apply then here = nil end
      elseif child.kind == 'lookup' then
        for _, name in ipairs(rec.on.fields) do
          if not here[name] then unknown(problems, seen, child.place, name, here) end
        end
        here[rec.as] = true
      elseif child.kind == 'table' then
        here = nil
      elseif rec and rec.right then
        here[rec.as] = true
        if rec.window then here.window_start, here.window_end = true, true end
      elseif child.kind == 'map' or child.kind == 'flat_map' or child.kind == 'process' then
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

--- Tables whose keys, or versions, nothing bounds.
local function check_tables(plan, problems)
  for _, t in ipairs(plan.tables) do
    local o = t.rec.options
    local free = t.bounded or o.unbounded
    if not free and not o.max_keys then
      add(problems, {}, t.place, ("table '%s' keeps a row for each key, and what it is made of may never end; give max_keys in its " ..
        'options (unbounded = true if that is meant)'):format(t.name))
    elseif not free and t.rec.time and not t.rec.versioned then
      add(problems, {}, t.place, ("table '%s' keeps every version of a row, and what it is made of may never end; give versioned = '7d'" ..
        ', how far behind the watermark events may ask (unbounded = true if all are meant)'):format(t.name))
    end
  end
end

--- State that has no name, by which it would be found again, or no bound. An operator that keeps state says so in the
--- catalog (`state`, and in `bounds` which of its options bound it); its step's record holds `name` and `options`.
function M.states(plan, problems)
  for _, p in ipairs(plan.pipelines) do
    for _, step in ipairs(p.steps) do
      local entry = catalog.find('operator', step.kind)
      local given = step.rec and step.rec.options or {}
      if entry and entry.state and type(step.rec.name) ~= 'string' then
        add(problems, {}, step.place, entry.name .. " keeps state, so it needs a name: " .. entry.signature)
      end
      local bounded = not (entry and entry.state and entry.bounds)
      for _, name in ipairs(not bounded and entry.bounds or {}) do bounded = bounded or given[name] ~= nil end
      if not bounded then
        add(problems, {}, step.place, entry.name .. ' keeps state without a bound; give one of ' .. table.concat(entry.bounds, ', ') ..
          ' in its options (unbounded = true if that is meant)')
      end
    end
  end
  check_tables(plan, problems)
end

--- What the steps' functions do for every event and should not.
function M.events(plan, is_user, warnings)
  local events, seen = require 'tidemill.lint_events', {}
  for _, p in ipairs(plan.pipelines) do
    for _, step in ipairs(p.steps) do
      for _, fn in ipairs(functions_of(step)) do
        events.check(fn, is_user, function(place, message) add(warnings, seen, place, message) end)
      end
    end
  end
end

local function lines(problems)
  local list = {}
  for i, p in ipairs(problems) do list[i] = p.place .. ': ' .. p.message end
  return list
end

--- All of it: what rejects the script, and what it is only warned of, as "file:line: message".
---@param plan table of plan.make
---@param chunks table list of { chunk, env }
---@param is_user function is this the name of a script?
function M.all(plan, chunks, is_user)
  local problems, warnings = {}, {}
  for _, c in ipairs(chunks) do M.globals(c.chunk, c.env, problems) end
  M.fields(plan, problems)
  M.states(plan, problems)
  M.events(plan, is_user, warnings)
  return lines(problems), lines(warnings)
end

return M
