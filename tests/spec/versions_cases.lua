--[[
versions_cases.lua - random changes of a process's state between two versions of its script, for state_versions_spec.lua: what every key
holds behind them is compared with the same done to plain Lua tables. It is loaded by specs that `tidemill test` runs.

  schema   field -> type: number integer boolean string any list:OF map:KEY:OF set:KEY; start -> its start value
  model    key -> field -> value: a scalar, or of containers { order = list of keys (of a list 1..n), at = key -> value }
]]

local M = {}

local random = require 'spec.random'

local SCALARS = { 'number', 'integer', 'boolean', 'string', 'any' }
local CONTAINERS = { 'list:number', 'list:string', 'list:any', 'map:string:number', 'map:number:any', 'map:string:boolean', 'set:string',
  'set:number' }

local function parts_of(typ) return typ:match '^(%a+):?(%a*):?(%a*)$' end

-- Values ---------------------------------------------------------------------------

local function scalar(r, typ)
  if typ == 'number' then return r.pick { 0, -1.5, 1e300, 7, 1 / 3, -0.0, 1 / 0 } end
  if typ == 'integer' then return r.pick { 0, 5, -9007199254740992, 42 } end
  if typ == 'boolean' then return r.chance(0.5) end
  if typ == 'string' then return r.pick { '', 'x', 'größe', 'a\0b', '\255\254', ('long'):rep(60) } end
  return r.pick { 1, 'any', true, { 1, 2, { x = 'y' } }, { a = { b = 1 } }, {} }
end

local function start_of(r, typ)
  if typ == 'number' then return r.pick { 0, 1.5 } end
  if typ == 'string' then return r.pick { 'start', '>' } end
  if typ == 'boolean' then return r.chance(0.5) end
end

--- A schema of so many fields, some of them without a start value.
local function schema_of(r, n, names)
  local schema, start = {}, {}
  for i = 1, n do
    local name = names .. i
    schema[name] = r.chance(0.5) and r.pick(SCALARS) or r.pick(CONTAINERS)
    if r.chance(0.5) then start[name] = start_of(r, schema[name]) end
  end
  return schema, start
end

local function declared(tm, schema, start)
  local state = {}
  for name, typ in pairs(schema) do
    local kind, a, b = parts_of(typ)
    if start[name] ~= nil then state[name] = start[name]
    elseif kind == 'list' then state[name] = tm.state.list { of = a }
    elseif kind == 'map' then state[name] = tm.state.map { key = a, of = b }
    elseif kind == 'set' then state[name] = tm.state.set { of = a }
    else state[name] = typ end
  end
  return state
end

-- What both do -----------------------------------------------------------------------

local function sorted(t)
  local list = {}
  for k in pairs(t) do list[#list + 1] = k end
  table.sort(list)
  return list
end

--- A change of a field: { field, what, key, value }.
local function action(r, schema)
  local field = r.pick(sorted(schema))
  local typ = schema[field]
  local kind, a, b = parts_of(typ)
  if a == '' then return { field, r.chance(0.15) and 'forget' or 'put', nil, scalar(r, typ) } end
  if kind == 'list' then return { field, r.pick { 'push', 'push', 'push', 'pop', 'shift' }, nil, scalar(r, a) } end
  local key = a == 'number' and r.pick { 1, 2, 3, -7.5, 1e9 } or r.pick { 'a', 'b', 'c', '', 'd\255' }
  local act = { field, r.pick { 'set', 'set', 'set', 'remove' }, key, nil }
  if b ~= '' then act[4] = scalar(r, b) end
  return act
end

local function apply(s, act, typ)
  local field, what, key, v = act[1], act[2], act[3], act[4]
  if what == 'put' then s[field] = v
  elseif what == 'forget' then s[field] = nil
  elseif what == 'push' then s[field]:push(v)
  elseif what == 'pop' then s[field]:pop()
  elseif what == 'shift' then s[field]:shift()
  elseif what == 'remove' then s[field]:remove(key)
  elseif typ:find '^set' then s[field]:add(key)
  else s[field]:set(key, v) end
end

local function model_apply(m, act)
  local field, what, key, v = act[1], act[2], act[3], act[4]
  local c = m[field]
  if what == 'put' then m[field] = v
  elseif what == 'forget' then m[field] = nil
  elseif what == 'push' then c[#c + 1] = v
  elseif what == 'pop' then c[#c] = nil
  elseif what == 'shift' then table.remove(c, 1)
  else
    local found
    for i, e in ipairs(c) do if e[1] == key then found = i end end
    if what == 'remove' then
      if found then table.remove(c, found) end
    elseif found then
      c[found][2] = v
    else
      c[#c + 1] = { key, v }
    end
  end
end

local function model_start(schema, start)
  local m = {}
  for name, typ in pairs(schema) do
    local _, a = parts_of(typ)
    if a ~= '' then m[name] = {} else m[name] = start[name] end
  end
  return m
end

--- A text that tells values apart, by bits and types.
local function show(v)
  local t = type(v)
  if t == 'number' then return ('%.17g%s'):format(v, v == 0 and 1 / v < 0 and '-' or '') end
  if t == 'string' then return '"' .. v:gsub('[^%w ]', function(c) return ('\\%03d'):format(c:byte()) end) .. '"' end
  if t ~= 'table' then return tostring(v) end
  local out = {}
  for _, k in ipairs(sorted(v)) do out[#out + 1] = tostring(k) .. '=' .. show(v[k]) end
  return '{' .. table.concat(out, ',') .. '}'
end

local function show_model(m, schema)
  local out = {}
  for _, name in ipairs(sorted(schema)) do
    local kind, a = parts_of(schema[name])
    local items = {}
    if a == '' then items[1] = show(m[name])
    else
      for i, e in ipairs(m[name]) do
        items[i] = kind == 'list' and show(e) or show(e[1]) .. (kind == 'map' and '=' .. show(e[2]) or '')
      end
    end
    out[#out + 1] = name .. ': ' .. table.concat(items, ' ')
  end
  return table.concat(out, '; ')
end

--- The same of a state as a function of process sees it.
local function show_state(s, schema)
  local m = {}
  for name, typ in pairs(schema) do
    local kind, a = parts_of(typ)
    if a == '' then m[name] = s[name]
    else
      local c = {}
      if kind == 'list' then
        for i, v in s[name]:each() do c[i] = v end
      else
        for k, v in s[name]:each() do c[#c + 1] = { k, v } end
      end
      m[name] = c
    end
  end
  return show_model(m, schema)
end

-- Migrations ---------------------------------------------------------------------------

--- A model's value as migrate sees it.
local function plain(v, typ)
  local kind, a = parts_of(typ)
  if a == '' then return v end
  local t = {}
  for i, e in ipairs(v) do
    if kind == 'list' then t[i] = e elseif kind == 'set' then t[e[1]] = true else t[e[1]] = e[2] end
  end
  return t
end

--- And back: elements that were there first, in their order, then the others, numbers before strings.
local function modelled(t, typ, before)
  local kind, a = parts_of(typ)
  if a == '' then return t end
  local out, known = {}, {}
  if kind == 'list' then
    for i, v in ipairs(t) do out[i] = v end
    return out
  end
  for _, e in ipairs(before or {}) do
    if t[e[1]] ~= nil then
      out[#out + 1], known[e[1]] = { e[1], t[e[1]] }, true
    end
  end
  for _, k in ipairs(sorted(t)) do
    if not known[k] then out[#out + 1] = { k, t[k] } end
  end
  return out
end

local function size(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

--- What a new version makes of a key, by functions of all old fields as plain tables: { field -> function(old) }.
local function conversions(r, schema, kept)
  local makes = {}
  local olds = sorted(kept)
  for name, typ in pairs(schema) do
    local from = r.pick(olds)
    local kind, a = parts_of(typ)
    if kept[name] == typ then
      makes[name] = function(old)
        local v = old[name]
        if kind == 'set' or kind == 'list' then
          v = {}
          for k, x in pairs(old[name]) do v[k] = x end
        end
        if kind == 'set' then
          v.a, v[2], v.new = nil, nil, nil
          if a == 'string' then v.new = true else v[99] = true end
        elseif kind == 'list' and #v > 2 then
          v[#v] = nil
        end
        return v
      end
    elseif typ == 'string' then
      makes[name] = function(old) return type(old[from]) .. ' ' .. tostring(type(old[from]) == 'table' or old[from]) end
    elseif typ == 'number' or typ == 'integer' then
      makes[name] = function(old) return type(old[from]) == 'table' and size(old[from]) or old[from] ~= nil and 1 or nil end
    elseif typ == 'boolean' then makes[name] = function(old) return old[from] ~= nil end
    elseif typ == 'any' then makes[name] = function(old) return { was = type(old[from]) } end
    elseif typ == 'list:string' then makes[name] = function(old) return { type(old[from]), 'x' } end
    elseif typ == 'set:string' then makes[name] = function(old) return { [type(old[from])] = true, b = true } end
    elseif typ == 'map:string:number' then makes[name] = function(old) return { [type(old[from])] = 1, a = 2 } end
    end   -- others stay empty
  end
  return makes
end

-- A case ---------------------------------------------------------------------------------

local function stream_of(tm, schema, start, script, migrate)
  return tm.pipeline 'p':key_by 'k':process('s', { max_keys = 100, state = declared(tm, schema, start), migrate = migrate,
    on_event = function(e, s, ctx)
      if e.dump then return ctx.emit { text = show_state(s, schema) } end
      local act = script[e.i]
      apply(s, act, schema[act[1]])
    end }):to(tm.sink.file 'o')
end

local function run_actions(t, model, r, schema, start, script, keys)
  for _ = 1, 40 do
    local k, act = r.pick(keys), action(r, schema)
    script[#script + 1] = act
    model[k] = model[k] or model_start(schema, start)
    model_apply(model[k], act)
    t:send { k = k, i = #script }
  end
end

local function compare(t, model, schema, keys)
  for _, k in ipairs(keys) do
    if model[k] then
      t:send { k = k, dump = true }
      local got, want = t:out 'o'[1], show_model(model[k], schema)
      if not got or got.text ~= want then
        return ('key %s\n---- plain tables\n%s\n---- state\n%s'):format(tostring(k), want, got and got.text or show(t:errors()))
      end
    end
  end
end

--- One random history over three versions: an error text, or nil and how many fields stayed, came, went and were converted.
function M.run(tm, seed)
  local r = random(seed)
  local keys, model, script = { 'a', 'b', 1, 'with "quotes"' }, {}, {}
  local schema, start = schema_of(r, 1 + r(6), 'f')
  local t = tm.testing.run(stream_of(tm, schema, start, script))
  run_actions(t, model, r, schema, start, script, keys)
  local counts = { stayed = 0, came = 0, went = 0, converted = 0 }
  for version = 2, 3 do
    local new, new_start = schema_of(r, r(4), 'v' .. version .. '_')
    local way = r.pick { 'add', 'add', 'drop', 'migrate', 'migrate' }
    for name, typ in pairs(schema) do
      if way == 'add' or r.chance(0.5) then
        new[name], new_start[name] = typ, start[name]
      elseif way == 'migrate' and r.chance(0.5) then
        new[name] = r.pick { 'string', 'number', 'list:string', 'set:string', 'any' }
      end
    end
    local makes = way == 'migrate' and conversions(r, new, schema) or nil
    local old_schema, calls = schema, 0
    local migrate = makes and function(old)
      calls = calls + 1
      local out = {}
      for name, make in pairs(makes) do out[name] = make(old) end
      return out
    end or way == 'drop' and 'drop' or nil
    for k, m in pairs(model) do
      local next_m = model_start(new, new_start)
      for name, typ in pairs(new) do
        if makes then
          local old = {}
          for f, of in pairs(old_schema) do old[f] = plain(m[f], of) end
          local v = makes[name] and makes[name](old)
          if v ~= nil then next_m[name] = modelled(v, typ, (old_schema[name] or ''):find '^[ms][ae][pt]:' and m[name] or nil) end
        elseif old_schema[name] == typ then
          next_m[name] = m[name]
        end
      end
      model[k] = next_m
    end
    for name, typ in pairs(new) do
      if not old_schema[name] then counts.came = counts.came + 1
      elseif old_schema[name] == typ then counts.stayed = counts.stayed + 1
      else counts.converted = counts.converted + 1 end
    end
    for name in pairs(old_schema) do if not new[name] then counts.went = counts.went + 1 end end
    schema, start = new, new_start
    t:crash(stream_of(tm, schema, start, script, migrate))
    local why = compare(t, model, schema, keys)
    if not why then
      run_actions(t, model, r, schema, start, script, keys)
      why = compare(t, model, schema, keys)
    end
    if why then return ('seed %d, version %d, %s: %s'):format(seed, version, way, why) end
    -- the same version again: nothing is called
    local called = calls
    t:crash(stream_of(tm, schema, start, script, migrate))
    why = compare(t, model, schema, keys)
    if why or calls ~= called then return ('seed %d, version %d, %s, again: %s'):format(seed, version, way, why or 'migrate was called') end
  end
  return nil, counts
end

return M
