--[[
stream_operators.lua - the builder's operators on single events that remember little: event_time, dedup, top, sample, throttle,
suppress. stream.lua has the others, and loads this.

A step with a key of its own (`on`, `by`) has it as { fields, fn, name, composite }; without one it goes by that of key_by.
]]

local duration = require 'tidemill.duration'

local TOP_MAX, PARTS_MAX, EXACT = 10000, 16, 2 ^ 53
local UNITS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

return function(methods, step, stream)
  local fault, place, describe = stream.fault, stream.place, stream.describe

  --- The record of the step that names the key which holds for a stream: key_by or a join. Its fields, or fn and name.
  local function key_before(s)
    local rec = stream.record(s)
    while rec and rec.kind ~= 'key_by' and not rec.right do rec = rec.parent end
    return rec
  end
  stream.key_before = key_before

  local function need_time(where, what, s, why)
    local timed, join = stream.before(stream.record(s), 'event_time')
    if timed then return timed end
    fault(where, what .. why .. " needs event time: write :event_time { field = 'ts', unit = 'ms' } before " ..
      (join and ("both sides of the join '%s' (%s)"):format(join.name, join.place) or 'it, in this pipeline'))
  end

  stream.need_time = need_time

  --- A key of the step's own. named: rows show it, so a function must say what it is called.
  local function own_key(where, what, option, v, named)
    if v == nil then return nil end
    if type(v) == 'string' then return { fields = { v }, composite = false } end
    if type(v) == 'function' then
      if named then
        fault(where, ("%s: a function comes with the name of its field: %s = { function(e) … end, 'bucket' }"):format(what, option))
      end
      return { fn = v, name = option }
    end
    if type(v) == 'table' and type(v[1]) == 'function' then
      if type(v[2]) ~= 'string' or #v ~= 2 then
        fault(where, ("%s: '%s' with a function is { function(e) … end, 'name' }"):format(what, option))
      end
      return { fn = v[1], name = v[2] }
    end
    if type(v) ~= 'table' or stream.record(v) then
      fault(where, ("%s: '%s' takes a field, a list of fields, or { function(e) … end, 'name' }, got %s"):format(what, option, describe(v)))
    end
    local fields = stream.need_fields(where, what .. ": '" .. option .. "'", v)
    if #fields > PARTS_MAX then fault(where, ("%s: '%s' has at most %d fields"):format(what, option, PARTS_MAX)) end
    return { fields = fields, composite = true }
  end

  local function positive_duration(where, what, option, v)
    local ms, why = duration.parse(v)
    if not ms then fault(where, what .. ": '" .. option .. "': " .. why) end
    if ms <= 0 or ms > EXACT then fault(where, what .. ": '" .. option .. "' is longer than nothing, got " .. describe(v)) end
    if ms % 1 ~= 0 then fault(where, what .. ": '" .. option .. "' is whole milliseconds, got " .. describe(v)) end
    return ms
  end

  --- Declares what tm.time(e) and ctx.time read, and how the watermark follows from it.
  function methods:event_time(options)
    local where = place()
    if type(options) ~= 'table' then
      fault(where, "event_time takes a table { field = 'ts', unit = 'ms' }, got " .. describe(options))
    end
    options = stream.options(where, 'event_time', options)
    if options.field == nil or options.field == '' then
      fault(where, "event_time takes the field that holds the time: { field = 'ts', unit = 'ms' }")
    end
    local function ms_of(name, sign)
      local v = options[name]
      return v ~= nil and stream.ms_of(where, "event_time: '" .. name .. "'", v, sign) or nil
    end
    return step(self, 'event_time', { field = options.field, unit = options.unit or 'ms',
      out_of_order = ms_of('out_of_order', 'not negative') or 0, idle_after = ms_of('idle_after', 'positive') or 60000,
      max_ahead = ms_of('max_ahead', 'positive') })
  end

  --- The time of events is when they arrived; the watermark is the clock.
  function methods:processing_time(...)
    local where = place()
    if select('#', ...) > 0 then fault(where, 'processing_time takes nothing: the time of an event is when it arrived') end
    return step(self, 'event_time', { processing = true, out_of_order = 0, idle_after = math.huge })
  end

  --- Drops events that are there already, by `on` or the key; keep = 'last': sends what changed.
  function methods:dedup(name, options)
    local where = place()
    stream.need_name(where, 'dedup', name)
    local o = stream.state_options(where, 'dedup', options)
    local on = own_key(where, 'dedup', 'on', o.on)
    local key = key_before(self)
    if not on and not (key and (key.fn or #key.fields > 0)) then
      fault(where, "dedup takes what makes two events the same: { on = 'id' }, or a key_by before it")
    end
    local within = o.within and positive_duration(where, 'dedup', 'within', o.within)
    if within then
      if o.ttl then fault(where, "dedup: 'within' says how long a key is kept; leave 'ttl' out, or 'within'") end
      need_time(where, 'dedup', self, " with 'within'")
    end
    return step(self, 'dedup', { name = name, options = o, on = on, within = within or nil, keep = o.keep or 'first',
      ttl = stream.ttl_of(where, 'dedup', self, o) })
  end

  --- The n events of each key with the largest (or least) values of a field, as rows with a rank.
  function methods:top(name, n, field, options)
    local where = place()
    stream.need_name(where, 'top', name)
    if type(n) ~= 'number' or n < 1 or n > TOP_MAX or n % 1 ~= 0 then
      fault(where, ("top takes how many rows, a whole number from 1 to %d: :top('best', 10, 'amount'); got %s"):format(TOP_MAX,
        type(n) == 'number' and tostring(n) or describe(n)))
    end
    if type(field) ~= 'string' or field == '' then
      fault(where, "top takes the name of a field: :top('best', 10, 'amount'); got " .. describe(field))
    end
    local o = stream.state_options(where, 'top', options)
    return step(self, 'top', { name = name, options = o, n = n, field = field, order = o.order or 'desc',
      ttl = stream.ttl_of(where, 'top', self, o), timed = stream.before(stream.record(self), 'event_time') ~= nil })
  end

  --- A share of the events, always the same ones.
  function methods:sample(options)
    local where = place()
    if type(options) == 'number' then options = { rate = options } end
    if type(options) ~= 'table' then
      fault(where, 'sample takes a share, such as 0.01, or a table { rate = 0.01, on = \'field\' } or { every = 10 }, got ' ..
        describe(options))
    end
    local o = stream.options(where, 'sample', options)
    if (o.rate == nil) == (o.every == nil) then fault(where, 'sample takes either a rate, such as 0.01, or every = 10') end
    if o.rate and not (o.rate >= 0 and o.rate <= 1) then
      fault(where, ("sample: a share is from 0 to 1, got %s; 5 %% is 0.05, each tenth event { every = 10 }"):format(tostring(o.rate)))
    end
    if o.every and not (o.every >= 1 and o.every <= EXACT and o.every % 1 == 0) then
      fault(where, "sample: 'every' is a whole number of at least 1, got " .. tostring(o.every))
    end
    if o.every and (o.on ~= nil or o.seed ~= nil) then fault(where, "sample: 'on' and 'seed' go with a rate, not with 'every'") end
    if o.seed and not (o.seed % 1 == 0 and o.seed >= -EXACT and o.seed <= EXACT) then
      fault(where, "sample: 'seed' is a whole number, got " .. tostring(o.seed))
    end
    return step(self, 'sample', { rate = o.rate, every = o.every, on = own_key(where, 'sample', 'on', o.on), seed = o.seed or 0 })
  end

  --- '10/s' or { 10, per = '1m' }: how many, and the ms they are for.
  local function rate_of(where, rate)
    local n, ms
    if type(rate) == 'string' then
      local digits, unit = rate:match '^(%d+)/(%a+)$'
      n, ms = tonumber(digits), UNITS[unit]
    elseif type(rate) == 'table' and not stream.record(rate) then
      for k in pairs(rate) do
        if k ~= 1 and k ~= 'per' then
          fault(where, "throttle: 'rate' takes { 10, per = '1m' }, found " .. describe(k))
        end
      end
      n = rate[1]
      if type(n) == 'number' then ms = positive_duration(where, 'throttle', "per' of 'rate", rate.per) end
    end
    if not ms then
      fault(where, "throttle: 'rate' is a text such as '10/s' (ms s m h d) or a table { 10, per = '5m' }, got " .. describe(rate))
    end
    if n < 1 or n % 1 ~= 0 or n * ms > EXACT then
      fault(where, ("throttle: 'rate' allows a whole number of at least 1, and not more than 2^53 in a ms, got %s; one event in 2 s is " ..
        "{ 1, per = '2s' }"):format(tostring(n)))
    end
    return n, ms
  end

  --- At most so many events of a key in so much event time; the others are dropped.
  function methods:throttle(name, options)
    local where = place()
    stream.need_name(where, 'throttle', name)
    local o = stream.state_options(where, 'throttle', options)
    local n, per = rate_of(where, o.rate)
    local by = own_key(where, 'throttle', 'by', o.by)
    need_time(where, 'throttle', self, '')
    return step(self, 'throttle', { name = name, options = o, on = by, n = n, per = per })
  end

  --- The first event of a period of a key; the others are counted, and their number ends the period.
  function methods:suppress(name, options)
    local where = place()
    stream.need_name(where, 'suppress', name)
    local o = stream.state_options(where, 'suppress', options)
    if o.within == nil then fault(where, "suppress takes how long it holds back: { by = 'card', within = '10m' }") end
    local within = positive_duration(where, 'suppress', 'within', o.within)
    local by = own_key(where, 'suppress', 'by', o.by, true)
    local key = key_before(self)
    local names = by and (by.fields or { by.name }) or key and (key.fn and { key.name } or key.fields) or {}
    for _, field in ipairs(names) do
      if field == 'suppressed' or field == 'partial' then
        fault(where, "suppress: '" .. field .. "' is a field of its rows, and of the key; rename the key's")
      end
    end
    need_time(where, 'suppress', self, '')
    return step(self, 'suppress', { name = name, options = o, on = by, within = within })
  end
end
