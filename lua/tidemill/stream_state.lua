--[[
stream_state.lua - the builder's operators that keep state: running and process. stream.lua has the others, and loads this;
what needs stream.lua itself is loaded when it is called.
]]

local LATER = {
  ttl = 'needs watermarks, which are', wall_timer = 'needs watermarks, which are',
  version = 'comes with reload, which is', migrate = 'comes with reload, which is',
}

return function(methods, step, stream)
  local fault, place, describe = stream.fault, stream.place, stream.describe

  local function need_name(where, what, name)
    if type(name) ~= 'string' or name == '' then
      fault(where, what .. " keeps state, so it needs a name: :" .. what .. "('spend', { … }); got " .. describe(name))
    end
    if #name > 60 then fault(where, what .. ': a name has at most 60 characters') end
  end

  local function options_of(where, what, given)
    for name, why in pairs(LATER) do
      if type(given) == 'table' and given[name] ~= nil and not (name == 'ttl' and what == 'process') then
        fault(where, what .. ": option '" .. name .. "' " .. why .. ' not in this version')
      end
    end
    local o = stream.options(where, what, given)
    if o.max_keys ~= nil and (o.max_keys < 1 or o.max_keys % 1 ~= 0) then
      fault(where, what .. ": 'max_keys' is a whole number of at least 1")
    end
    return o
  end
  stream.need_name, stream.state_options = need_name, options_of

  --- Aggregates over all events of a key so far: a row after each event, or with emit = 'final' one a key at the end.
  function methods:running(name, aggregates, options)
    local where = place()
    need_name(where, 'running', name)
    local list = require('tidemill.aggregate').list(where, 'running', aggregates)
    return step(self, 'running', { name = name, aggregates = list, options = options_of(where, 'running', options) })
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
    if options.on_timer ~= nil then
      if type(options.on_timer) ~= 'function' then
        fault(where, 'process takes on_timer = function(name, s, ctx) … end, got ' .. describe(options.on_timer))
      end
      stream.need_time(where, 'process', self, " with 'on_timer'")
    end
    local ttl
    if options.ttl ~= nil then
      ttl = stream.ms_of(where, "process: 'ttl'", options.ttl, 'positive')
      stream.need_time(where, 'process', self, " with 'ttl'")
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
      fields = require('tidemill.state_view').fields(where, 'process', options.state or {}),
    })
  end
end
