--[[
stream_windows.lua - tm.window and the builder's operators on windows: window, aggregate, apply, reduce, emit, late_to, and over.
stream.lua has the others, and loads this.

  window     { kind = 'tumbling' 'hopping' 'sliding' 'session' 'count' 'global', bounded }   bounded: its rows have window_start, window_end
             tumbling, hopping: size, slide, offset in ms, zone; sliding: size; session: gap in ms, or a function of the event;
             count: n, slide
  emit       { mode = 'final' 'closed' 'updates' 'early' 'retract', every = ms, count = n, accumulate = boolean }
  apply      the step 'aggregate' too, with `apply`, the function, and one aggregate that keeps the events
The step 'window' does nothing by itself: what stands behind it says what becomes of its events.
]]

local duration = require 'tidemill.duration'

local EXACT, EVENTS_MAX = 2 ^ 53, 1e8
-- Open windows of a step: a day of seconds and some. Each is 200 bytes of Lua's memory at least, and its keys.
local OPEN_MAX = 200000
local MANY_MAX = 4096   -- open ones of a key that has its own, and windows that take an event in one by one
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

  --- The name of a zone whose clocks say where windows begin, or nil.
  local function zone_of(where, what, o)
    if o.zone == nil then return nil end
    if type(o.zone) ~= 'string' then
      fault(where, what .. ": 'zone' is the name of a time zone such as 'Europe/Berlin', got " .. describe(o.zone))
    end
    local zone, why = require('tidemill.library.date').zone(o.zone)
    if not zone then fault(where, what .. ": 'zone': " .. why) end
    return o.zone
  end

  --- Windows of one size, one behind the other.
  function window.tumbling(size, options)
    local where, what = place(), 'tm.window.tumbling'
    local o = stream.options(where, what, options)
    local ms = ms_of(where, what .. ': the size', size, 'positive')
    return description(where, { kind = 'tumbling', bounded = true, size = ms, slide = ms, offset = offset_of(where, what, o, ms, 'size'),
      zone = zone_of(where, what, o) })
  end

  --- Windows of one size, a new one after each slide.
  function window.hopping(size, slide, options)
    local where, what = place(), 'tm.window.hopping'
    local o = stream.options(where, what, options)
    local ms, by = ms_of(where, what .. ': the size', size, 'positive'), ms_of(where, what .. ': the slide', slide, 'positive')
    return description(where, { kind = 'hopping', bounded = true, size = ms, slide = by, offset = offset_of(where, what, o, by, 'slide'),
      zone = zone_of(where, what, o) })
  end

  --- Windows of one key's events between which less than a gap lies, or just that.
  function window.session(gap)
    local where, what = place(), 'tm.window.session'
    if type(gap) ~= 'function' then gap = ms_of(where, what .. ': the gap', gap, 'positive') end
    return description(where, { kind = 'session', bounded = true, gap = gap })
  end

  local function whole(where, what, v)
    if type(v) ~= 'number' or v < 1 or v % 1 ~= 0 or v > EXACT then
      fault(where, what .. ' is a whole number of at least 1, got ' .. (type(v) == 'number' and ('%.14g'):format(v) or describe(v)))
    end
    return v
  end

  --- Windows of a number of one key's events, a new one after each `slide` of them.
  function window.count(n, options)
    local where, what = place(), 'tm.window.count'
    local o = stream.options(where, what, options)
    whole(where, what .. ': the number of events', n)
    local slide = o.slide == nil and n or whole(where, what .. ": 'slide'", o.slide)
    if n / slide > MANY_MAX then
      fault(where, ('%s: %d windows of a key would be open at a time, at most %d can be; make n smaller or the slide longer'):format(what,
        math.ceil(n / slide), MANY_MAX))
    end
    return description(where, { kind = 'count', n = n, slide = slide })
  end

  --- For each event the window of that size that ends with it; its row comes when the watermark has passed the event.
  function window.sliding(size)
    local where = place()
    return description(where, { kind = 'sliding', bounded = true, size = ms_of(where, 'tm.window.sliding: the size', size, 'positive') })
  end

  --- One window for all time; its rows come by :emit { early = … } and at the end of input.
  function window.global()
    return description(place(), { kind = 'global' })
  end

  --- Not more windows may be open at a time than can be.
  local function check_open(where, what, w, lateness, timed)
    if not (w.size and w.slide) then return end
    local open = (w.size + lateness + timed.out_of_order) / w.slide
    if open > OPEN_MAX then
      fault(where, ("%s: about %d windows would be open at a time, at most %d can be; make the size shorter, the slide longer, or " ..
        "lateness and out_of_order less"):format(what, open, OPEN_MAX))
    end
  end

  --- An event may not go into too many windows one by one.
  function stream.check_each(where, what, w)
    local n = w.kind == 'hopping' and math.ceil(w.size / w.slide) or 0
    if n > MANY_MAX then
      fault(where, ("%s: each event would go into %d windows one by one, at most %d can be; make the size shorter or the slide longer")
        :format(what, n, MANY_MAX))
    end
  end
  stream.check_open = check_open

  --- How many windows of a step, or sessions of a key, may be open.
  function stream.open_max(kind) return kind == 'session' and MANY_MAX or OPEN_MAX end

  --- What tm.window.… returned; nil: that is none.
  function stream.window_of(v) return made[v] end

  --- Puts events into windows; what stands behind it says what becomes of them.
  function methods:window(name, spec, options)
    local where = place()
    stream.need_name(where, 'window', name)
    local w = made[spec]
    if not w then
      fault(where, "window takes what kind of windows: :window('spend', tm.window.tumbling '1m'); got " .. describe(spec))
    end
    local o = stream.options(where, 'window', options)
    local timed = w.bounded and stream.need_time(where, 'window', self, '') or nil
    local lateness = o.lateness == nil and 0 or ms_of(where, "window: 'lateness'", o.lateness, 'not negative')
    if not w.bounded and lateness > 0 then
      fault(where, ('window: nothing is late for a %s window; leave lateness out'):format(w.kind))
    end
    if w.kind == 'sliding' and lateness > 0 then
      fault(where, "window: the row of an event in a sliding window is sent once; leave lateness out, and make out_of_order of " ..
        "event_time longer")
    end
    check_open(where, 'window', w, lateness, timed)
    return step(self, 'window', { name = name, window = w, lateness = lateness, migrate = o.migrate,
      open_max = stream.open_max(w.kind) })
  end

  --- The fields of the key that holds for a step.
  local function key_fields(s)
    local rec = stream.key_before(s)
    return rec and (rec.fn and { rec.name } or rec.fields) or {}
  end

  local function pending(where, s, what)
    local rec = stream.record(s)
    if rec.kind ~= 'window' then
      fault(where, what .. " stands right behind window: :window('spend', tm.window.tumbling '1m'):" .. what .. ' …')
    end
    return rec
  end

  --- Refuses names of fields that rows of windows have anyway.
  local function free_names(where, what, s, names)
    local keys = {}
    for _, name in ipairs(key_fields(s)) do
      keys[name] = true
      if OWN[name] then fault(where, what .. ": '" .. name .. "' is a field of window rows, and of the key; rename the key's") end
    end
    for _, name in ipairs(names) do
      if keys[name] or OWN[name] then
        fault(where, ("%s: '%s' is the name of a field that window rows have already; give the aggregate another one"):format(what, name))
      end
    end
  end

  local function no_sliding(where, what, rec)
    if rec.window.kind == 'sliding' then
      fault(where, what .. ': a sliding window has a row for each event and takes aggregate; for all events of a window use tumbling, ' ..
        'hopping, session or count')
    end
  end

  --- What becomes of the events of a window: the step 'aggregate'.
  local function ends(s, rec, fields)
    fields.name, fields.window, fields.emit = rec.name, rec, { mode = 'final', accumulate = true }
    fields.options = { timed = rec.window.kind == 'session' or nil, migrate = rec.migrate }
    return step(s, 'aggregate', fields)
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
    local aggregate = require 'tidemill.aggregate'
    local list, names = aggregate.list(where, 'aggregate', aggregates), {}
    for i, a in ipairs(list) do names[i] = a.name end
    free_names(where, 'aggregate', self, names)
    if rec.window.kind == 'sliding' then need_sliding(where, 'aggregate over a sliding window', list) end
    if rec.window.kind == 'session' then aggregate.need_merge(list, where, 'a window of sessions') end
    return ends(self, rec, { aggregates = list })
  end

  local APPLY_MAX, APPLY_MOST = 10000, 1000000

  --- Calls f(key, window, rows, emit) with all events of a window and key; what it emits goes on.
  function methods:apply(f, options)
    local where = place()
    local rec = pending(where, self, 'apply')
    no_sliding(where, 'apply', rec)
    if type(f) ~= 'function' then fault(where, 'apply takes a function(key, window, rows, emit), got ' .. describe(f)) end
    local o = stream.options(where, 'apply', options)
    local max = o.max == nil and APPLY_MAX or whole(where, "apply: 'max'", o.max)
    if max > APPLY_MOST then fault(where, ("apply: 'max' is at most %d, got %.14g"):format(APPLY_MOST, max)) end
    free_names(where, 'apply', self, {})
    return ends(self, rec, { apply = f, shown = 'apply', aggregates = { { kind = 'events', name = 'rows', max = max, place = where } } })
  end

  --- One row a window and key, whose field `name` is what f(a, b) makes of its events, two at a time.
  function methods:reduce(name, f)
    local where = place()
    local rec = pending(where, self, 'reduce')
    no_sliding(where, 'reduce', rec)
    if type(name) ~= 'string' or name == '' then
      fault(where, "reduce takes the name of the row's field first: :reduce('largest', function(a, b) … end); got " .. describe(name))
    end
    if type(f) ~= 'function' then fault(where, "reduce takes a function(a, b) behind the field's name, got " .. describe(f)) end
    free_names(where, 'reduce', self, { name })
    return ends(self, rec, { shown = 'reduce', aggregates = { { kind = 'reduce', name = name, add = f, place = where } } })
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
    if rec.kind ~= 'aggregate' then fault(where, 'emit stands right behind aggregate, apply or reduce') end
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
    if e.every and not stream.before(stream.record(self), 'event_time') then
      fault(where, "emit: 'early' with a duration needs event time: write :event_time { field = 'ts', unit = 'ms' } before the window")
    end
    local kind = rec.window.window.kind
    if (kind == 'global' or kind == 'count') and (e.mode == 'closed' or e.mode == 'retract') then
      fault(where, ("emit: %s; it takes 'final', 'updates' and { early = … }"):format(kind == 'global' and
        'a global window closes at the end of input only' or 'nothing is late for a count window'))
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
