--[[
stream_windows.lua - tm.window and the builder's operators on windows: window, aggregate, emit, late_to, and over. stream.lua has
the others, and loads this.

  window     { kind = 'tumbling' 'hopping' 'sliding' 'global', size, slide, offset, zone }   times in ms; sliding: a size; global: none
  emit       { mode = 'final' 'closed' 'updates' 'early' 'retract', every = ms, count = n, accumulate = boolean }
The step 'window' does nothing by itself: what stands behind it says what becomes of its events.
]]

local duration = require 'tidemill.duration'

local EXACT, OPEN_MAX, EVENTS_MAX = 2 ^ 53, 4096, 1e8
local OWN = { window_start = true, window_end = true, revision = true, op = true, partial = true }

local made = setmetatable({}, { __mode = 'k' })   -- what tm.window.… returned -> its description

return function(methods, step, stream)
  local fault, place, describe = stream.fault, stream.place, stream.describe

  --- Whole milliseconds of a duration; sign: 'positive', 'not negative' or 'any'.
  local function ms_of(where, what, v, sign)
    local ms, why = duration.parse(v)
    if not ms then fault(where, what .. ': ' .. why) end
    if ms % 1 ~= 0 or math.abs(ms) > EXACT then fault(where, what .. ' is whole milliseconds, got ' .. describe(v)) end
    if sign == 'positive' and ms <= 0 then fault(where, what .. ' is longer than nothing, got ' .. describe(v)) end
    if sign == 'not negative' and ms < 0 then fault(where, what .. ' is not negative, got ' .. describe(v)) end
    return ms
  end
  stream.ms_of = ms_of

  local function description(where, w)
    local v = setmetatable({}, { __metatable = 'window' })
    w.place = where
    made[v] = w
    return v
  end

  local function offset_of(where, what, o, limit, limit_name)
    local offset = o.offset == nil and 0 or ms_of(where, what .. ": 'offset'", o.offset, 'any')
    if math.abs(offset) >= limit then
      fault(where, ("%s: 'offset' is shorter than the %s, got %s"):format(what, limit_name, describe(o.offset)))
    end
    return offset
  end

  local window = {}

  --- Windows of one size, one behind the other.
  function window.tumbling(size, options)
    local where, what = place(), 'tm.window.tumbling'
    local o = stream.options(where, what, options)
    local ms = ms_of(where, what .. ': the size', size, 'positive')
    return description(where, { kind = 'tumbling', size = ms, slide = ms, offset = offset_of(where, what, o, ms, 'size') })
  end

  --- Windows of one size, a new one after each slide.
  function window.hopping(size, slide, options)
    local where, what = place(), 'tm.window.hopping'
    local o = stream.options(where, what, options)
    local ms, by = ms_of(where, what .. ': the size', size, 'positive'), ms_of(where, what .. ': the slide', slide, 'positive')
    return description(where, { kind = 'hopping', size = ms, slide = by, offset = offset_of(where, what, o, by, 'slide') })
  end

  --- For each event the window of that size that ends with it; its row comes when the watermark has passed the event.
  function window.sliding(size)
    local where = place()
    return description(where, { kind = 'sliding', size = ms_of(where, 'tm.window.sliding: the size', size, 'positive') })
  end

  --- One window for all time; its rows come by :emit { early = … } and at the end of input.
  function window.global()
    return description(place(), { kind = 'global' })
  end

  --- The record's own, or that of the first of its kind in front of it in the same pipeline.
  local function before(s, kind)
    local rec = stream.record(s)
    while rec and rec.kind ~= kind do rec = rec.parent end
    return rec
  end

  --- Puts events into windows; what stands behind it says what becomes of them.
  function methods:window(name, spec, options)
    local where = place()
    stream.need_name(where, 'window', name)
    local w = made[spec]
    if not w then
      fault(where, "window takes what kind of windows: :window('spend', tm.window.tumbling '1m'); got " .. describe(spec))
    end
    local o = stream.options(where, 'window', options)
    local timed = before(self, 'event_time')
    if w.kind ~= 'global' and not timed then
      fault(where, "window needs event time: write :event_time { field = 'ts', unit = 'ms' } before it, in this pipeline")
    end
    local lateness = o.lateness == nil and 0 or ms_of(where, "window: 'lateness'", o.lateness, 'not negative')
    if w.kind == 'global' and lateness > 0 then fault(where, 'window: nothing is late for a global window; leave lateness out') end
    if w.kind == 'sliding' and lateness > 0 then
      fault(where, "window: the row of an event in a sliding window is sent once; leave lateness out, and make out_of_order of " ..
        "event_time longer")
    end
    if w.slide then
      local open = (w.size + lateness + timed.out_of_order) / w.slide
      if open > OPEN_MAX then
        fault(where, ("window: about %d windows would be open at a time, at most %d can be; make the size shorter, the slide longer, or " ..
          "lateness and out_of_order less"):format(open, OPEN_MAX))
      end
    end
    return step(self, 'window', { name = name, window = w, lateness = lateness, open_max = OPEN_MAX })
  end

  --- The fields of the key that holds for a step.
  local function key_fields(s)
    local key = before(s, 'key_by')
    return key and (key.fn and { key.name } or key.fields) or {}
  end

  local function pending(where, s, what)
    local rec = stream.record(s)
    if rec.kind ~= 'window' then
      fault(where, what .. " stands right behind window: :window('spend', tm.window.tumbling '1m'):" .. what .. ' …')
    end
    return rec
  end

  -- those that give back what they took, or know what comes next
  local SLIDING = { count = true, sum = true, min = true, max = true, avg = true, stddev = true, var = true, first = true, last = true,
    distinct = true, quantile = true }

  local function need_sliding(where, what, list)
    for _, a in ipairs(list) do
      if not SLIDING[a.kind] then
        fault(where, ("%s takes count, sum, min, max, avg, stddev, var, first, last, distinct and quantile; '%s' is tm.agg.%s, which " ..
          "cannot forget an event"):format(what, a.name, a.kind))
      end
    end
  end

  --- Adds exact sliding values to the event and passes it on at once.
  function methods:over(name, aggregates, options)
    local where = place()
    stream.need_name(where, 'over', name)
    local o = stream.state_options(where, 'over', options)
    if o.max ~= nil and (o.max < 1 or o.max > EVENTS_MAX or o.max % 1 ~= 0) then
      fault(where, ("over: 'max' is a whole number from 1 to %d, got %s"):format(EVENTS_MAX, describe(o.max)))
    end
    local list = require('tidemill.aggregate').list(where, 'over', aggregates)
    need_sliding(where, 'over', list)
    for _, a in ipairs(list) do
      if not a.over then
        fault(where, ("over: '%s' needs to know how far it looks back: tm.agg.%s(%s{ over = '1m' })"):format(a.name, a.kind,
          a.field and ("'%s', %s"):format(a.field, a.share and ('%.14g, '):format(a.share) or '') or ''))
      end
      for _, key in ipairs(key_fields(self)) do
        if key == a.name then
          fault(where, "over: '" .. a.name .. "' is a field of the key; give the aggregate another name")
        end
      end
    end
    stream.need_time(where, 'over', self, '')
    return step(self, 'over', { name = name, aggregates = list, options = o })
  end

  --- One row a window and key, with aggregates over its events.
  function methods:aggregate(aggregates)
    local where = place()
    local rec = pending(where, self, 'aggregate')
    local list = require('tidemill.aggregate').list(where, 'aggregate', aggregates)
    if rec.window.kind == 'sliding' then need_sliding(where, 'aggregate over a sliding window', list) end
    local keys = {}
    for _, name in ipairs(key_fields(self)) do
      keys[name] = true
      if OWN[name] then fault(where, "aggregate: '" .. name .. "' is a field of window rows, and of the key; rename the key's") end
    end
    for _, a in ipairs(list) do
      if keys[a.name] or OWN[a.name] then
        fault(where, "aggregate: '" .. a.name .. "' is the name of a field that window rows have already; give the aggregate another one")
      end
    end
    return step(self, 'aggregate', { name = rec.name, aggregates = list, window = rec, options = {},
      emit = { mode = 'final', accumulate = true } })
  end

  local MODES = { final = true, closed = true, updates = true, retract = true }

  --- { early = '10s' } or { early = { count = 100 } } into e.
  local function early_of(where, early, e)
    e.mode = 'early'
    if type(early) == 'table' and not stream.record(early) then
      for k in pairs(early) do
        if k ~= 'count' then fault(where, "emit: 'early' takes '10s' or { count = 100 }, found " .. describe(k)) end
      end
      local n = early.count
      if type(n) ~= 'number' or n < 1 or n % 1 ~= 0 then
        fault(where, "emit: 'count' of 'early' is a whole number of at least 1, got " .. describe(n))
      end
      e.count = n
    else
      e.every = ms_of(where, "emit: 'early'", early, 'positive')
    end
  end

  --- When rows of the windows before it come.
  function methods:emit(how)
    local where = place()
    local rec = stream.record(self)
    if rec.kind ~= 'aggregate' then fault(where, 'emit stands right behind aggregate') end
    if rec.emitted then fault(where, 'emit stands here already: ' .. rec.emitted) end
    if rec.window.window.kind == 'sliding' then
      fault(where, 'emit: a sliding window gives one row for each event, when the watermark has passed it; leave emit out')
    end
    local e = { accumulate = true }
    if type(how) == 'string' then
      how = { mode = how }
    elseif type(how) ~= 'table' or stream.record(how) then
      fault(where, "emit takes 'final', 'closed', 'updates', 'retract' or a table such as { early = '10s' }, got " .. describe(how))
    end
    local o = stream.options(where, 'emit', how)
    if o.early ~= nil then
      if o.mode ~= nil and o.mode ~= 'final' then fault(where, "emit: 'early' goes with mode 'final'") end
      early_of(where, o.early, e)
    else
      e.mode = o.mode or 'final'
      if not MODES[e.mode] then
        fault(where, "emit: there is no mode '" .. tostring(e.mode) .. "'" ..
          require('tidemill.suggest').hint(tostring(e.mode), { 'final', 'closed', 'updates', 'retract' }))
      end
    end
    if o.accumulate == false then
      if e.mode ~= 'final' and e.mode ~= 'early' then fault(where, "emit: 'accumulate' goes with mode 'final' and with 'early'") end
      e.accumulate = false
    end
    if e.every and not before(self, 'event_time') then
      fault(where, "emit: 'early' with a duration needs event time: write :event_time { field = 'ts', unit = 'ms' } before the window")
    end
    if rec.window.window.kind == 'global' and (e.mode == 'closed' or e.mode == 'retract') then
      fault(where, "emit: a global window closes at the end of input only; it takes 'final', 'updates' and { early = … }")
    end
    local copy = {}
    for k, v in pairs(rec) do copy[k] = v end
    copy.emit, copy.emitted, copy.replaces, copy.readers, copy.stream = e, where, rec, nil, nil
    rec.replaced = true
    return stream.new(copy)
  end

  --- Where late events of the whole pipeline go.
  function methods:late_to(sink)
    local where = place()
    if not stream.is_sink(sink) then fault(where, "late_to takes a sink, such as tm.sink.file 'late.ndjson', got " .. describe(sink)) end
    return step(self, 'late_to', { sink = sink })
  end

  stream.window = window
end
