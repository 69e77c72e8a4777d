--[[
lint_events.lua - what `check` warns of in functions that are called for every event: variables from outside that they
assign, globals, tables in which they keep something from one event to the next, functions made for every event,
iterators over patterns, and `...` where it is read wrongly.

A function is walked once from its first instruction to its last, branches or not, and of each register is kept what is
certain of the value in it; a value that is not known never makes a warning. Functions it calls are walked too, where it
can be told which they are: upvalues, globals, fields of tables, functions in a table that is walked over.

  value   { is = 'known', v = the value itself, name = what the script calls it }   an upvalue, a global, a constant
          { is = 'given' }                    an event, a field of one
          { is = 'text' }                     a string
          { is = 'nil' }
          { is = 'method', name }             a string's method, read off one of these
          { is = 'length', of = table }       #table, #table + 1
          nil                                 anything
]]

local jutil = require 'jit.util'
local bytecode = require 'tidemill.bytecode'
local catalog = require 'tidemill.catalog'
local decode, OP, ARGS = bytecode.decode, bytecode.OP, bytecode.ARGS

local M = {}

local CALLS_MAX, NESTED_MAX, IN_TABLE_MAX, TABLES_MAX = 2000, 60, 1000, 3   -- so that no script makes a check endless
local GIVEN, TEXT, NIL = { is = 'given' }, { is = 'text' }, { is = 'nil' }
local MAKES_TEXT = { sub = true, lower = true, upper = true, rep = true, reverse = true, format = true, gsub = true, char = true }
local WALKERS = { ipairs = true, pairs = true, next = true, unpack = true }
local VARIABLE = {}   -- stands for every key that is not written in the script

--- Where to keep what belongs to more than one event: the steps for it, as far as there are some.
local function advice()
  local steps = {}
  for _, name in ipairs { 'process', 'running' } do
    if catalog.find('operator', name) then steps[#steps + 1] = name end
  end
  return #steps > 0 and ('keep it in the state of ' .. table.concat(steps, ' or ')) or
    'work on the event at hand alone, as this version keeps no state'
end

local function known(v, name)
  return v ~= nil and { is = 'known', v = v, name = name } or NIL
end

local function known_table(value)
  return value and value.is == 'known' and type(value.v) == 'table' and value.v or nil
end

--- A field of a table: its own, or of the tables it inherits from. Runs nothing of the script.
local function field(t, key)
  for _ = 1, 10 do
    local v = rawget(t, key)
    if v ~= nil then return v end
    local mt = debug.getmetatable(t)
    t = type(mt) == 'table' and rawget(mt, '__index') or nil
    if type(t) ~= 'table' then return nil end
  end
end

local function clear(regs, from)
  for r in pairs(regs) do
    if r >= from then regs[r] = nil end
  end
end

local function constant(f, d) return jutil.funck(f, -d - 1) end

local Walk = {}
Walk.__index = Walk

function Walk:warn(f, pc, message)
  self.add(bytecode.place_of(f, pc), message)
end

--- Is this a function written in a script?
function Walk:is_users(v)
  if type(v) ~= 'function' then return false end
  local source = jutil.funcinfo(v).source
  return source ~= nil and source:sub(1, 1) == '@' and self.is_user(source:sub(2))
end

-- Which functions ------------------------------------------------------------------------

--- A number for a value, so that combinations of them can be compared.
function Walk:id(v)
  if not self.ids[v] then self.ids[v], self.ids_n = self.ids_n + 1, self.ids_n + 1 end
  return self.ids[v]
end

--- Walks a function that exists, once for each combination of what it is given. args: values by number from 0; without
--- them it is given events.
function Walk:call(f, args)
  local parts, values = { self:id(f) }, {}
  for i = 0, jutil.funcinfo(f).params - 1 do
    local value = GIVEN
    if args then value = args[i] end
    if value and value.is == 'known' then
      local sort = type(value.v)
      if sort == 'string' then value = TEXT elseif sort ~= 'table' and sort ~= 'function' then value = nil end
    end
    values[i] = value
    parts[#parts + 1] = value and (value.is == 'known' and self:id(value.v) or value.is) or '-'
  end
  local key = table.concat(parts, ' ')
  if self.walked[key] or self.calls >= CALLS_MAX or self.nested >= NESTED_MAX then return end
  self.walked[key] = true
  self.calls, self.nested = self.calls + 1, self.nested + 1
  local ups, i = {}, 0
  while true do
    local name, v = debug.getupvalue(f, i + 1)
    if not name then break end
    ups[i] = { outside = true, value = known(v, name) }
    i = i + 1
  end
  self:walk(f, getfenv(f), values, ups, bytecode.upvalues(f))
  self.nested = self.nested - 1
end

--- All functions in a table that is walked over may be called.
function Walk:enter_table(t, depth)
  if self.entered[t] or depth > TABLES_MAX then return end
  self.entered[t] = true
  local n = 0
  for _, v in next, t do
    n = n + 1
    if n > IN_TABLE_MAX then return end
    if self:is_users(v) then self:call(v) elseif type(v) == 'table' then self:enter_table(v, depth + 1) end
  end
end

-- Tables that outlive the event -------------------------------------------------------

function Walk:note_read(value, key)
  local t = known_table(value)
  if not t then return end
  self.reads[t] = self.reads[t] or {}
  self.reads[t][key] = true
end

function Walk:warn_kept(f, pc, value, key)
  local what = value.name and "the table '" .. value.name .. "'" or 'a table from outside of the function'
  if key == VARIABLE then
    self:warn(f, pc, 'what events leave in ' .. what .. ' stays there without a bound and is lost at a restart; ' .. advice())
  else
    self:warn(f, pc, "'" .. tostring(key) .. "' of " .. what .. ' goes over from one event to the next: it belongs to no key and ' ..
      'is lost at a restart; ' .. advice())
  end
end

--- A key that is first read and then written goes over to the next event; one that is only written is a table that is
--- used again.
function Walk:note_write(f, pc, value, key)
  local t = known_table(value)
  if t and self.reads[t] and self.reads[t][key] then self:warn_kept(f, pc, value, key) end
end

--- Something behind the last item: fine where somewhere items are taken out, which is known at the end only.
function Walk:note_append(f, pc, value)
  local t = known_table(value)
  if t then self.appends[#self.appends + 1] = { t = t, f = f, pc = pc, value = value } end
end

function Walk:note_removal(value)
  local t = known_table(value)
  if t then self.removals[t] = true end
end

function Walk:finish()
  for _, a in ipairs(self.appends) do
    if not self.removals[a.t] then self:warn_kept(a.f, a.pc, a.value, VARIABLE) end
  end
end

-- Calls --------------------------------------------------------------------------------

--- What is called is a function of string: returns the result's value.
function Walk:call_string(s, pc, name)
  if name == 'gmatch' then
    self:warn(s.f, pc, 'string.gmatch makes an iterator for every event, which leaves machine code; find, match and gsub stay in it')
  end
  return MAKES_TEXT[name] and TEXT or nil
end

--- The function in register a is called with n arguments. Returns what is known of its result.
function Walk:called(s, pc, a, n)
  local regs, target = s.regs, s.regs[a]
  for i = 0, n - 1 do
    local arg = regs[a + ARGS + i]
    if arg and arg.is == 'known' and self:is_users(arg.v) then self:call(arg.v) end
  end
  if not target then return nil end
  local first = regs[a + ARGS]
  if target.is == 'method' then
    if not first or first.is == 'known' and type(first.v) ~= 'string' then return nil end
    return self:call_string(s, pc, target.name)
  end
  if target.is ~= 'known' or type(target.v) ~= 'function' then return nil end
  local name = self.names[target.v]
  if name then return self:call_string(s, pc, name) end
  if self:is_users(target.v) then
    local args = {}
    for i = 0, n - 1 do args[i] = regs[a + ARGS + i] end
    self:call(target.v, args)
    return nil
  end
  return self:call_library(s, pc, target.v, first)
end

--- A function of the sandbox, found by what it is called in the script's environment.
function Walk:call_library(s, pc, fn, first)
  local env = s.env
  local tables = type(rawget(env, 'table')) == 'table' and rawget(env, 'table') or {}
  if fn == rawget(env, 'tostring') or fn == rawget(tables, 'concat') then return TEXT end
  if fn == rawget(tables, 'insert') then self:note_append(s.f, pc, first) end
  if fn == rawget(tables, 'remove') then self:note_removal(first) end
  for name in pairs(WALKERS) do
    if fn == rawget(env, name) and known_table(first) then self:enter_table(first.v, 1) end
  end
  return nil
end

-- One function ---------------------------------------------------------------------------

--- What t[key] is, key a string of the script.
function Walk:index(t, key)
  if not t then return nil end
  if known_table(t) then
    self:note_read(t, key)
    local v = field(t.v, key)
    local sort = type(v)
    return (sort == 'function' or sort == 'table') and known(v, t.name and t.name .. '.' .. key) or nil
  end
  if t.is == 'known' and type(t.v) ~= 'string' then return nil end
  if self.strings[key] then return { is = 'method', name = key, given = t == GIVEN } end
  return (t == GIVEN or t.given) and GIVEN or nil
end

-- By opcode: what the instruction does to the registers. s: the function being walked; a, b, c, d: the instruction's fields.
local does = {}

does[OP.UGET] = function(_, s, a, _, _, d) s.regs[a] = s.ups[d] and s.ups[d].value end
does[OP.GGET] = function(_, s, a, _, _, d)
  local name = constant(s.f, d)
  s.regs[a] = known(rawget(s.env, name), name)
end
does[OP.GSET] = function(w, s, _, _, _, d, pc)
  local name = constant(s.f, d)
  w:warn(s.f, pc, "assigns the global '" .. name .. "' for every event; write local " .. name ..
    '; if it is to last: ' .. advice())
end
local function assign(w, s, a, _, _, _, pc)
  if not (s.ups[a] and s.ups[a].outside) then return end
  w:warn(s.f, pc, "assigns '" .. jutil.funcuvname(s.f, a) .. "', a variable from outside of the function, for every event: " ..
    'it belongs to no key and is lost at a restart; ' .. advice())
end
does[OP.USETV], does[OP.USETS], does[OP.USETN], does[OP.USETP] = assign, assign, assign, assign
does[OP.MOV] = function(_, s, a, _, _, d) s.regs[a] = s.regs[d] end
does[OP.ISTC], does[OP.ISFC] = does[OP.MOV], does[OP.MOV]
does[OP.KSTR] = function(_, s, a, _, _, d) s.regs[a] = known(constant(s.f, d)) end
does[OP.KPRI] = function(_, s, a, _, _, d) s.regs[a] = d == 0 and NIL or d == 2 and known(true) or nil end
does[OP.CAT] = function(_, s, a) s.regs[a] = TEXT end
does[OP.LEN] = function(_, s, a, _, _, d)
  local t = known_table(s.regs[d])
  s.regs[a] = t and { is = 'length', of = t } or nil
end
does[OP.ADDVN] = function(_, s, a, b) s.regs[a] = s.regs[b] and s.regs[b].is == 'length' and s.regs[b] or nil end
does[OP.TGETS] = function(w, s, a, b, c) s.regs[a] = w:index(s.regs[b], constant(s.f, c)) end
does[OP.TGETV] = function(w, s, a, b)
  local value = s.regs[b]
  w:note_read(value, VARIABLE)
  if known_table(value) then w:enter_table(value.v, 1) end
  s.regs[a] = value == GIVEN and GIVEN or nil
end
does[OP.TSETS] = function(w, s, _, b, c, _, pc) w:note_write(s.f, pc, s.regs[b], constant(s.f, c)) end
does[OP.TSETV] = function(w, s, a, b, c, _, pc)
  local value, key = s.regs[b], s.regs[c]
  if s.regs[a] == NIL then w:note_removal(value) end
  if key and key.is == 'length' and key.of == known_table(value) then return w:note_append(s.f, pc, value) end
  w:note_write(s.f, pc, value, VARIABLE)
end
does[OP.FNEW] = function(w, s, a, _, _, d, pc)
  local proto = constant(s.f, d)
  -- the instruction's own line is that of the function's end
  w.add((bytecode.place_of(s.f, pc):gsub('%d+$', jutil.funcinfo(proto).linedefined)),
    'makes a function for every event, which leaves machine code; make it once, outside of this function')
  for i, inner in ipairs(bytecode.inner(s.f)) do
    if inner == proto then
      local map, ups, u = s.map.inner[i], {}, 0
      while map[u] do
        ups[u] = map[u].fresh and { value = s.regs[map[u].index] } or s.ups[map[u].index]
        u = u + 1
      end
      w:walk(proto, s.env, {}, ups, map)
    end
  end
  s.regs[a] = nil
end
local function call_of(w, s, a, _, c, _, pc)
  local result = w:called(s, pc, a, c - 1)
  clear(s.regs, a)
  s.regs[a] = result
end
does[OP.CALL], does[OP.CALLT] = call_of, call_of
does[OP.CALLM] = function(w, s, a, _, c, _, pc) call_of(w, s, a, nil, c + 1, nil, pc) end   -- and what a call before it gave
does[OP.CALLMT] = does[OP.CALLM]
local function leave(_, s, a) clear(s.regs, a) end
for _, op in ipairs { OP.JMP, OP.ISNEXT, OP.ITERC, OP.ITERN, OP.FORI, OP.VARG, OP.KNIL } do does[op] = leave end
local function nothing() end
for _, op in ipairs { OP.UCLO, OP.RET0, OP.RET1, OP.RET, OP.RETM, OP.TSETB } do does[op] = nothing end

--- f may be the prototype of an inner function. args: values of parameters; ups: i -> { outside, value }; map: where the
--- upvalues of inner functions come from.
function Walk:walk(f, env, args, ups, map)
  local misread = bytecode.misread_varargs(f)
  if misread then
    self:warn(f, misread, 'reads ... behind a call or in a loop, which LuaJIT compiles wrongly: so this function is left to the ' ..
      "interpreter, and what calls it too; read it where the function begins: local a, b = ...")
  end
  local s = { f = f, env = env, regs = {}, ups = ups, map = map }
  for i, value in pairs(args) do s.regs[i] = value end
  for pc = 1, jutil.funcinfo(f).bytecodes - 1 do
    local op, a, b, c, d = decode(jutil.funcbc(f, pc))
    local act = does[op]
    if act then
      act(self, s, a, b, c, d, pc)
    elseif op > OP.MOV then
      s.regs[a] = nil   -- those before MOV only compare
    end
  end
end

--- Warns of what function f does for every event.
---@param f function of a script
---@param is_user function is this the name of a script?
---@param add function(place, message)
function M.check(f, is_user, add)
  local strings, names = debug.getmetatable('').__index, {}
  for name, fn in pairs(strings) do names[fn] = name end
  local walk = setmetatable({
    add = add, is_user = is_user, strings = strings, names = names, ids = {}, ids_n = 0, walked = {}, entered = {},
    reads = {}, appends = {}, removals = {}, calls = 0, nested = 0,
  }, Walk)
  if walk:is_users(f) then
    walk:call(f)
    walk:finish()
  end
end

return M
