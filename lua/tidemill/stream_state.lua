--[[
stream_state.lua - the builder's operators that keep state: running and process. stream.lua has the others, and loads this;
what needs stream.lua itself is loaded when it is called.
]]

local bytecode = require 'tidemill.bytecode'

return function(methods, step, stream)
  local fault, place, describe = stream.fault, stream.place, stream.describe

  local function need_name(where, what, name)
    if type(name) ~= 'string' or name == '' then
      fault(where, what .. " keeps state, so it needs a name: :" .. what .. "('spend', { … }); got " .. describe(name))
    end
    if #name > 60 then fault(where, what .. ': a name has at most 60 characters') end
  end

  local function options_of(where, what, given)
    local o = stream.options(where, what, given)
    if o.max_keys ~= nil and (o.max_keys < 1 or o.max_keys % 1 ~= 0) then
      fault(where, what .. ": 'max_keys' is a whole number of at least 1")
    end
    return o
  end
  stream.need_name, stream.state_options = need_name, options_of

  --- ttl of the options of a step behind stream s: ms, or nil.
  local function ttl_of(where, what, s, o)
    if o.ttl == nil then return nil end
    local ms = stream.ms_of(where, what .. ": 'ttl'", o.ttl, 'positive')
    stream.need_time(where, what, s, " with 'ttl'")
    return ms
  end
  stream.ttl_of = ttl_of

  --- `version` and `migrate` of a process.
  local function check_migrate(where, o)
    local v, m = o.version, o.migrate
    if v ~= nil and (v < 1 or v % 1 ~= 0 or v > 2 ^ 53) then fault(where, "process: 'version' is a whole number of at least 1") end
    if m ~= nil and m ~= 'drop' and type(m) ~= 'function' then
      fault(where, "process takes migrate = function(old) … return new end, or migrate = 'drop', got " .. describe(m))
    end
  end

  --- Does one of these functions read such a field of ctx, its parameter number `param` (from 0)?
  local function asks_ctx(name, functions)
    for _, f in ipairs(functions) do
      if type(f[1]) == 'function' and bytecode.fields_of(f[1], f[2])[name] then return true end
    end
    return false
  end

  --- Aggregates over all events of a key so far: a row after each event, or with emit = 'final' one a key at the end.
  function methods:running(name, aggregates, options)
    local where = place()
    need_name(where, 'running', name)
    local list = require('tidemill.aggregate').list(where, 'running', aggregates)
    local o = options_of(where, 'running', options)
    return step(self, 'running', { name = name, aggregates = list, options = o, ttl = ttl_of(where, 'running', self, o) })
  end

  --- An operator of the user's own with typed state a key; what it emits goes on.
  function methods:process(name, options)
    local where = place()
    need_name(where, 'process', name)
    if type(options) ~= 'table' then
      fault(where, 'process takes a table { state = { … }, on_event = function(e, s, ctx) … end }, got ' .. describe(options))
    end
    options = options_of(where, 'process', options)
    if type(options.on_event) ~= 'function' then
      fault(where, 'process takes on_event = function(e, s, ctx) … end, got ' .. describe(options.on_event))
    end
    check_migrate(where, options)
    if options.on_timer ~= nil then
      if type(options.on_timer) ~= 'function' then
        fault(where, 'process takes on_timer = function(name, s, ctx) … end, got ' .. describe(options.on_timer))
      end
      -- those of ctx.wall_timer need none
      local functions = { { options.on_event, 2 }, { options.on_timer, 2 } }
      if asks_ctx('timer', functions) or not asks_ctx('wall_timer', functions) then
        stream.need_time(where, 'process', self, " with 'on_timer'")
      end
    end
    local ttl = ttl_of(where, 'process', self, options)
    local fields = require('tidemill.state_view').fields(where, 'process', options.state or {})
    for _, field in ipairs(fields) do
      if field.container and field.container.ttl then
        stream.need_time(where, 'process', self, (" with 'ttl' of state field '%s'"):format(field.name))
      end
    end
    if options.on_expire ~= nil then
      if type(options.on_expire) ~= 'function' then
        fault(where, 'process takes on_expire = function(s, ctx) … end, got ' .. describe(options.on_expire))
      end
      if not ttl then fault(where, "process: 'on_expire' goes with ttl = '30d'") end
    end
    return step(self, 'process', {
      name = name, options = options, on_event = options.on_event, on_timer = options.on_timer,
      ttl = ttl, on_expire = options.on_expire,
      fields = fields,
    })
  end
end
