--[[
state_view.lua - the state and the context that a `process` function receives: `s`, whose fields are those declared, and `ctx`.

Both are one proxy each a step, over the record at hand (box.r). A field is a cell of the record: numbers and booleans a
double (NaN: nil), texts and values of type `any` a reference to bytes in the state (state_any.lua), lists, maps and sets a
reference that C works on.
]]

local lib = require 'tidemill.lib'
local state_of = require 'tidemill.state'
local stream = require 'tidemill.stream'
local suggest = require 'tidemill.suggest'
local any = require 'tidemill.any'
local aged = require 'tidemill.state_aged'
local element = require 'tidemill.state_values'
local duration = require 'tidemill.duration'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local huge = math.huge
local fill, fill_value, read = element.fill, element.fill_value, element.read

local M = {}

local NIL = 0 / 0
local PATCHED = 256   -- bytes of a text that is compared with the one before (host/state/value.c)
local TYPES = { number = true, integer = true, boolean = true, string = true, any = true }
local declared = setmetatable({}, { __mode = 'k' })   -- what tm.state.… returned -> its description

-- Declarations ------------------------------------------------------------------

local function one_of(where, what, v, allowed, default)
  if v == nil then return default end
  for _, a in ipairs(allowed) do if a == v then return v end end
  stream.fault(where, what .. " is one of '" .. table.concat(allowed, "', '") .. "', got " .. stream.describe(v))
end

local VALUES, KEYS = { 'number', 'integer', 'string', 'boolean', 'any' }, { 'string', 'number', 'boolean' }

local function container(kind)
  return function(options)
    local where, what = stream.place(), 'tm.state.' .. kind
    options = stream.options(where, what, options)
    local ttl = options.ttl ~= nil and stream.ms_of(where, what .. ": 'ttl'", options.ttl, 'positive') or nil
    if options.max ~= nil and (options.max < 1 or options.max % 1 ~= 0) then
      stream.fault(where, what .. ": 'max' is a whole number of at least 1")
    end
    local d = setmetatable({}, { __metatable = what })
    declared[d] = {
      kind = kind, max = options.max, on_full = options.on_full, ttl = ttl,
      of = kind ~= 'set' and one_of(where, what .. ": 'of'", options.of, VALUES, 'any') or nil,
      key = kind == 'map' and one_of(where, what .. ": 'key'", options.key, KEYS, nil)
        or kind == 'set' and one_of(where, what .. ": 'of'", options.of, KEYS, nil) or nil,
    }
    return d
  end
end
M.api = { list = container 'list', map = container 'map', set = container 'set' }

--- The fields of `state = { … }`: a list of { name, type, start, kind … }, in byte order of the names.
function M.fields(where, what, given)
  if type(given) ~= 'table' or stream.record(given) then
    stream.fault(where, what .. ": 'state' takes a table { n = 0, last = 'integer', … }, got " .. stream.describe(given))
  end
  local list = {}
  for name, v in pairs(given) do
    if type(name) ~= 'string' then stream.fault(where, what .. ': every field of the state needs a name') end
    local d, t = declared[v], type(v)
    if d then
      list[#list + 1] = { name = name, type = d.kind, container = d }
    elseif t == 'string' and TYPES[v] then
      list[#list + 1] = { name = name, type = v }
    elseif t == 'number' or t == 'string' or t == 'boolean' then
      if v ~= v then stream.fault(where, what .. ": '" .. name .. "' cannot start as NaN") end
      list[#list + 1] = { name = name, type = t, start = v }
    else
      stream.fault(where, what .. ": '" .. name .. "' takes a start value, a type (number integer boolean string any) or " ..
        'tm.state.list, map or set, got ' .. stream.describe(v))
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

--- What a list, map or set is in words of state_layout.lua.
local function container_type(d)
  if d.kind == 'list' then return 'list_' .. d.of end
  local key = d.key or '*'
  if d.kind == 'map' then return ('map_%s_%s'):format(key, d.of) end
  return (d.ttl and 'aged-set_' or 'set_') .. key
end

--- Names of the number cells, what hangs off the record, and which cells are whose (`of` of state_layout.lua).
function M.cells(fields)
  local numbers, refs, of = {}, {}, {}
  for i, f in ipairs(fields) do
    f.cell = 'f' .. i
    of[f.cell] = { f.name, f.container and container_type(f.container) or f.type }
    for _, part in ipairs(f.container and f.container.ttl and { 'least', 'top', 'slack', 'times' } or {}) do
      of[f.cell .. '_' .. part] = { f.name, nil, part }
    end
    if f.type == 'number' or f.type == 'integer' or f.type == 'boolean' then
      numbers[#numbers + 1] = f.cell
    elseif f.container and f.container.ttl then
      aged.cells(f, numbers, refs)
    elseif f.container then
      local d = f.container
      refs[#refs + 1] = { name = f.cell, kind = d.kind, key = d.key, of = d.of, max = d.max, on_full = d.on_full }
    else
      refs[#refs + 1] = { name = f.cell, kind = 'text' }
    end
  end
  return numbers, refs, of
end

-- The proxies' containers ---------------------------------------------------------

local key, val = ffi.new 'struct tm_value', ffi.new 'struct tm_value'

--- Methods of a list, map or set of the record at hand; and of one with ttl what goes by age.
local function container_view(field, index, state, box, o)
  local ptr, of, what = state.ptr, field.container.of, "state field '" .. field.name .. "'"
  local methods = {}
  local function done(rc)
    if rc < 0 then state_of.failed(ptr, rc) end
    return rc
  end
  function methods.size() return box.r[field.cell].n end
  function methods.clear() done(C.tm_ffi_state_empty(ptr, box.r, index)) end
  if field.type == 'list' then
    local function get(i)
      if type(i) ~= 'number' then raise('type', what .. ': places are numbers, from 1') end
      if C.tm_ffi_list_get(ptr, box.r, index, i, val) < 0 then return nil end
      return (read(val, what))
    end
    local function next_item(_, i)
      local x = get(i + 1)
      if x ~= nil then return i + 1, x end
    end
    function methods.push(_, x)
      fill_value(val, x, of, what)
      done(C.tm_ffi_list_push(ptr, box.r, index, val))
    end
    function methods.get(_, i) return (get(i)) end
    function methods.set(_, i, x)
      fill_value(val, x, of, what)
      done(C.tm_ffi_list_set(ptr, box.r, index, i, val))
    end
    function methods.pop()
      if box.r[field.cell].n == 0 then return nil end
      done(C.tm_ffi_list_pop(ptr, box.r, index, val))
      return (read(val, what))
    end
    function methods.shift()
      if box.r[field.cell].n == 0 then return nil end
      done(C.tm_ffi_list_shift(ptr, box.r, index, val))
      return (read(val, what))
    end
    function methods.each() return next_item, nil, 0 end
  else
    -- a walk is a table with its place: a function of its own would be a closure, which LuaJIT leaves to the interpreter
    local function next_entry(walk)
      local at = type(walk) == 'table' and walk[1]
      if type(at) ~= 'number' or not (at >= 0 and at <= 2 ^ 32) then raise('type', what .. ': the state of each was changed') end
      at = C.tm_ffi_map_next(ptr, box.r, index, at, key, val)
      if at == 0 then return nil end
      walk[1] = at
      if field.type == 'set' then return (read(key, what)) end
      return read(key, what), read(val, what)
    end
    local function has(x)
      fill(key, x, what)
      return C.tm_ffi_map_get(ptr, box.r, index, key, val) >= 0
    end
    function methods.remove(_, x)
      fill(key, x, what)
      local rc = C.tm_ffi_map_remove(ptr, box.r, index, key)
      if rc == C.TM_STATE_RANGE then return false end
      done(rc)
      return true
    end
    function methods.each() return next_entry, { 0 } end
    if field.type == 'set' then
      function methods.has(_, x) return (has(x)) end
      function methods.add(_, x)
        fill(key, x, what)
        return done(C.tm_ffi_map_set(ptr, box.r, index, key, nil)) == C.TM_STATE_NEW
      end
    else
      function methods.get(_, x)
        if not has(x) then return nil end
        return (read(val, what))
      end
      function methods.set(_, k, x)
        fill(key, k, what)
        fill_value(val, x, of, what)
        done(C.tm_ffi_map_set(ptr, box.r, index, key, val))
      end
    end
  end
  local goes = field.container.ttl and aged.wrap(methods, field, state, box, {
    moment = o.moment, expiry = o.expiry, key = key, val = val,
    fill = function(x) fill(key, x, what) end, fill_value = function(x) fill_value(val, x, of, what) end,
  })
  return setmetatable({}, {
    __index = function(_, name)
      local m = methods[name]
      if m then return m end
      local names = {}
      for k in pairs(methods) do names[#names + 1] = k end
      raise('type', what .. ', a ' .. field.type .. ", has no method '" .. tostring(name) .. "'" .. suggest.among(tostring(name), names))
    end,
    __newindex = function() raise('type', what .. ', a ' .. field.type .. ', is changed by its methods') end,
    __metatable = field.type,
  }), goes
end

-- The proxies -----------------------------------------------------------------------

local function wrong(field, v)
  if type(v) == 'number' and v ~= v then raise('type', "state field '" .. field.name .. "' cannot hold NaN") end
  raise('type', "state field '" .. field.name .. "' is " .. (field.type == 'integer' and 'an integer' or 'a ' .. field.type) ..
    ', cannot hold ' .. (type(v) == 'number' and tostring(v) or 'a ' .. type(v)))
end

--- Text that reads and writes one field, of a type other than any; F the list of fields, X what belongs to field @.
local function access(field)
  local cell = 'box.r.' .. field.cell
  if field.container then
    return 'return X[@]', "wrong_container(F[@])"
  elseif field.type == 'number' or field.type == 'integer' then
    local whole = field.type == 'integer' and ' and v % 1 == 0 and v <= 9007199254740992 and v >= -9007199254740992' or ' and v == v'
    return ('local v = %s if v == v then return v end return nil'):format(cell),
      ("if type(v) == 'number'%s then %s = v elseif v == nil then %s = NIL else wrong(F[@], v) end"):format(whole, cell, cell)
  elseif field.type == 'boolean' then
    return ('local v = %s if v == v then return v == 1 end return nil'):format(cell),
      ("if type(v) == 'boolean' then %s = v and 1 or 0 elseif v == nil then %s = NIL else wrong(F[@], v) end"):format(cell, cell)
  end
  return ('return (text(ptr, %s))'):format(cell),
    "if type(v) == 'string' then set_text(F[@], v) elseif v == nil then empty(F[@]) else wrong(F[@], v) end"
end

local WALL_MAX = 1000   -- durations remembered
local wall_known, wall_n = {}, 0

--- How long ctx.wall_timer waits, ms.
local function wall_ms(after)
  local ms = wall_known[after]
  if ms then return ms end
  local why
  ms, why = duration.parse(after)
  if not ms then raise('type', "ctx.wall_timer takes a name and how long to wait, such as '30s': " .. why) end
  if ms < 1 or ms % 1 ~= 0 or ms > 2 ^ 52 then
    raise('type', "ctx.wall_timer waits whole milliseconds, at least one, got '" .. after .. "'")
  end
  if wall_n < WALL_MAX then wall_known[after], wall_n = ms, wall_n + 1 end
  return ms
end

local function read_only(what, index)
  return setmetatable({}, {
    __index = index, __metatable = what,
    __newindex = function(_, name) raise('type', what .. ' has no field ' .. tostring(name) .. ' to assign') end,
  })
end

--- The proxies of a process step.
---@param o table add: takes a row; key_now(): the key at hand; moment: struct tm_view of the event at hand; timers, walls: of the step by
---   event time and by the clock, or nil; expiry: of its records, or nil; only_now: s and ctx live for one call
---@return table { at: the box, view: s, ctx, init(r): start values, settle(): what is left to do when the call returns; timers,
---   count_dropped(): of timers; aged: of expiry.lua, those fields whose elements go by age;
---   only_now: lend() gives an s and a ctx for one call, retire() ends it }
function M.make(rec, state, o)
  local fields, ptr, moment, only_now, timers, walls = rec.fields, state.ptr, o.moment, o.only_now, o.timers, o.walls
  -- fires: 1 for a timer, whose time is `at`; w: the watermark; born: of the last record; dropped: timers of this call that are
  local of_place, of_box = state_of.box_types(state,
    'int32_t new; int32_t late; int32_t cleared; int32_t fires; double at; double w; double born; double dropped;')
  local place = ffi.new(of_place)
  local box = ffi.cast(of_box, place)
  local function checked(rc) if rc < 0 then state_of.failed(ptr, rc) end end
  -- of a long one only what differs is written; being written counts, also when nothing does
  local function set_text(field, v)
    local rc = #v >= PATCHED and C.tm_ffi_text_patch(ptr, box.r, field.index, v, #v) or 0
    if rc == 0 then rc = C.tm_ffi_text_set(ptr, box.r, field.index, v, #v) end
    checked(rc)
  end
  local function empty(field) checked(C.tm_ffi_state_empty(ptr, box.r, field.index)) end
  local names, containers, reads, writes, goes = {}, {}, {}, {}, {}
  -- fields of type any: their functions, and text that calls them, without a loop; a function has 60 upvalues at most
  local any_functions, any_names, settles, forgets = {}, {}, {}, {}
  local function any_call(fn)
    local n = #any_functions + 1
    any_functions[n] = fn
    if n > 40 then return ('A[%d]'):format(n) end
    any_names[n] = 'any' .. n
    return any_names[n]
  end
  for i, field in ipairs(fields) do
    names[i] = field.name
    field.index = state.index[field.cell]
    if field.container then
      containers[i], goes[#goes + 1] = container_view(field, field.index, state, box, o)
    end
    local get, set
    if field.type == 'any' then
      local load_any, store_any, settle, forget = lib.load 'tidemill.state_any' (lib, any, state_of, ptr, box, field)
      get, set = 'return (' .. any_call(load_any) .. '())', any_call(store_any) .. '(v)'
      settles[#settles + 1], forgets[#forgets + 1] = any_call(settle) .. '()', any_call(forget) .. '()'
    else
      get, set = access(field)
    end
    reads[i] = ('if k == %q then %s end'):format(field.name, get:gsub('@', i))
    writes[i] = ('if k == %q then %s return end'):format(field.name, set:gsub('@', i))
  end
  local function unknown(k)
    raise('type', "the state has no field '" .. tostring(k) .. "'" .. suggest.among(tostring(k), names) .. '; declare it in state = { … }')
  end
  local function wrong_container(field)
    raise('type', "state field '" .. field.name .. "' is a " .. field.type .. ': change it by its methods')
  end
  local chunk = assert(loadstring(('local box, ptr, F, X, text, set_text, empty, wrong, wrong_container, unknown, NIL, type, A = ... %s ' ..
    'return function(s, k) %s return (unknown(k)) end, function(s, k, v) %s unknown(k) end, function() %s end, function() %s end'):format(
    #any_names > 0 and ('local %s = unpack(A)'):format(table.concat(any_names, ', ')) or '',
    table.concat(reads, ' '), table.concat(writes, ' '), table.concat(settles, ' '), table.concat(forgets, ' ')), '=tidemill.state_view'))
  local index, newindex, settle_anys, forget_anys = chunk(box, ptr, fields, containers, state_of.text, set_text, empty, wrong,
    wrong_container, unknown, NIL, type, any_functions)

  -- start values of a new key, without a loop: it would keep the batch's loop from being compiled
  local starts, values = {}, {}
  for i, field in ipairs(fields) do
    local v = field.start
    if field.type == 'string' then
      if v then starts[#starts + 1] = ('start_text(r, F[%d])'):format(i) end
    elseif field.container and field.container.ttl then
      values[i] = huge
      starts[#starts + 1] = ('r.%s_least = V[%d]'):format(field.cell, i)
    elseif state.index[field.cell] == nil then
      if type(v) == 'boolean' then v = v and 1 or 0 end
      values[i] = v or NIL
      starts[#starts + 1] = ('r.%s = V[%d]'):format(field.cell, i)
    end
  end
  local function start_text(r, field) checked(C.tm_ffi_text_set(ptr, r, field.index, field.start, #field.start)) end
  local init = assert(loadstring('local F, V, start_text = ... return function(r) ' .. table.concat(starts, ' ') .. ' end',
    '=tidemill.state_view'))(fields, values, start_text)

  local function settle()
    settle_anys()
    if box.cleared ~= 0 then
      box.cleared = 0
      checked(C.tm_ffi_state_remove(ptr, box.r))
    end
    box.late = 0
  end

  --- Forgets the key when the call returns; until then its fields read as at the start.
  local function clear()
    forget_anys()
    for i, field in ipairs(fields) do
      if field.container then containers[i]:clear() elseif field.index then empty(field) end
    end
    init(box.r)
    box.cleared, box.late = 1, 1
    state.cleared = state.cleared + 1
  end

  local function no_timers(name)
    raise('type', 'ctx.' .. name .. ' needs on_timer = function(name, s, ctx) … end in the options of process')
  end
  -- one timer a name: setting it by one clock forgets that of the other
  local function timer(name, ms)
    if not timers then
      raise('type', "ctx.timer goes by event time: write :event_time { field = 'ts' } before this step; ctx.wall_timer(name, '30s') " ..
        'goes by the clock')
    end
    if timers.set(box, name, ms) and walls.ptr.keys > 0 then walls.cancel(box, name) end
  end
  local function wall_timer(name, after)
    local ms = wall_ms(after)
    local from = walls.working and walls.at or walls.clock.highest
    if walls.set(box, name, from + ms) and timers and timers.ptr.keys > 0 then timers.cancel(box, name) end
  end
  local function cancel(name)
    local had = timers and timers.cancel(box, name) or false
    return (not timers or walls.ptr.keys > 0) and walls.cancel(box, name) or had
  end

  local ctx = read_only('ctx', function(_, k)
    if k == 'emit' then return o.add
    elseif k == 'new' then return box.new ~= 0
    elseif k == 'key' then return (o.key_now())
    elseif k == 'time' then
      local t = moment.time
      if t == t then return t end
      return nil
    elseif k == 'watermark' then
      local w = box.w
      if w > -huge then return w end
      return nil
    elseif k == 'clear' then return clear
    elseif k == 'timer' or k == 'cancel' or k == 'wall_timer' then
      if not rec.on_timer then no_timers(k) end
      return k == 'timer' and timer or k == 'cancel' and cancel or wall_timer
    end
    raise('type', "ctx has no '" .. tostring(k) .. "'" ..
      suggest.among(tostring(k), { 'emit', 'new', 'key', 'time', 'watermark', 'timer', 'wall_timer', 'cancel', 'clear' }))
  end)
  local view = setmetatable({}, { __index = index, __newindex = newindex, __metatable = 'state' })
  box.w = -huge
  local made = { at = box, view = view, ctx = ctx, init = init, settle = settle, timers = timers, walls = walls,
    aged = goes, anchor = place }
  if only_now then
    local set = {}
    for _, c in pairs(containers) do set[c] = true end
    made.lend, made.retire = require 'tidemill.state_checked'.make(view, ctx, set)
  end

  --- Counts the timers that the timer at work would have set after the end of input.
  function made.count_dropped()
    walls.count_dropped(box.dropped)
    box.dropped = 0
  end

  function made.abandon()
    forget_anys()
    box.late, box.cleared, box.fires, box.dropped = 0, 0, 0, 0
    if only_now then made.retire() end
  end
  return made
end

return M
