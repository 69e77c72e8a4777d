--[[
stream_joins.lua - the builder's operators on two streams: join and window_join. stream.lua has the others, and loads this.

  join, window_join   { name, parent = the left stream, right = record of the right side, on, within, kind, as, where, ... }
  join_right          { parent = the right stream, join = record of the join }: where events of the right side come in
  on                  { left = fields, right = fields, composite }; the key of the rows is made of the left's fields
  timed               its rows have event time: both sides do, in one pipeline the same one
                      What comes behind is of the left pipeline by name.
]]

local suggest = require 'tidemill.suggest'

local MAX = 2 ^ 27   -- elements of a list (host/state)

return function(methods, step, stream)
  local fault, place, describe = stream.fault, stream.place, stream.describe

  --- 'id', { 'a', 'b' } or { left = 'right' } as { left, right, composite }.
  local function on_of(where, what, v)
    local how = what .. ": 'on' is a field of both sides, or { left = 'right' }: on = 'id', on = { id = 'order_id' }"
    if v == nil then fault(where, what .. " takes what makes two events partners: on = 'id', or on = { id = 'order_id' }") end
    if type(v) == 'string' and v ~= '' then return { left = { v }, right = { v }, composite = false } end
    if type(v) ~= 'table' or stream.record(v) then fault(where, how .. '; got ' .. describe(v)) end
    local on = { left = {}, right = {} }
    local of = {}
    for k, name in pairs(v) do
      if type(k) ~= 'number' and type(k) ~= 'string' or type(name) ~= 'string' or name == '' or k == '' then
        fault(where, how .. '; found ' .. describe(k) .. ' = ' .. describe(name))
      end
      local left = type(k) == 'number' and name or k
      if of[left] then fault(where, what .. ": 'on' names the left field '" .. left .. "' twice") end
      of[left] = name
      on.left[#on.left + 1] = left
    end
    table.sort(on.left)
    for i, left in ipairs(on.left) do on.right[i] = of[left] end
    if #on.left == 0 or #on.left > 16 then fault(where, what .. ": 'on' names 1 to 16 fields, got " .. #on.left) end
    on.composite = #on.left > 1
    return on
  end

  --- The fields that select shows to be there, or nil where others may be.
  local function shown(rec)
    while rec do
      if rec.kind == 'select' then return rec.fields end
      if rec.kind ~= 'filter' and rec.kind ~= 'key_by' and rec.kind ~= 'event_time' then return nil end
      rec = rec.parent
    end
  end

  --- What both have: name, right stream, on, kind, as, where.
  local function common(self, where, what, name, right, o)
    stream.need_name(where, what, name)
    local left, other = stream.record(self), stream.record(right)
    if not other then
      fault(where, ("%s takes the other stream behind the name: :%s('%s', captures, { on = 'id' }); got %s"):format(what, what, name,
        describe(right)))
    end
    if other.ended then fault(where, other.kind .. ' returned a table of streams; name one of them') end
    if other.kind == 'window' then fault(where, what .. ': the right stream ends in a window that nothing stands behind') end
    local as = o.as == nil and 'right' or o.as
    if as == '' then fault(where, what .. ": 'as' is the name of a field, got ''") end
    local on = on_of(where, what, o.on)
    for _, field in ipairs(on.left) do
      if field == as then fault(where, ("%s: '%s' is a field of the key; give 'as' another name"):format(what, as)) end
    end
    for _, field in ipairs(shown(left) or {}) do
      if field == as then fault(where, ("%s: the left stream has a field '%s' (select); give 'as' another name"):format(what, as)) end
    end
    if o.where ~= nil and type(o.where) ~= 'function' then
      fault(where, what .. ": 'where' is function(left, right) … end, got " .. describe(o.where))
    end
    local timed, other_timed = (stream.before(left, 'event_time')), (stream.before(other, 'event_time'))
    local two = left.pipeline ~= other.pipeline
    local one_clock = timed ~= nil and timed == other_timed
    return { name = name, on = on, kind_of = o.kind or 'inner', as = as, where = o.where,
      timed = one_clock or two and timed ~= nil and other_timed ~= nil, left_timed = timed, right_timed = other_timed, fields = on.left,
      place = where,
      options = { max_keys = o.max_keys, max = o.max, on_full = o.on_full, within = o.within, unbounded = o.unbounded, migrate = o.migrate,
        timed = o.within ~= nil } }, other
  end

  local function need_times(where, what, rec, why)
    for _, side in ipairs { 'left', 'right' } do
      if not rec[side .. '_timed'] then
        fault(where, ("%s%s needs event time on both sides, and the %s one has none: write :event_time { field = 'ts', unit = 'ms' } " ..
          'before it'):format(what, why, side))
      end
    end
    if not rec.timed then
      fault(where, ("%s: both sides need the same clock, and they have event_time apart (%s and %s); write it once, before the " ..
        "streams part"):format(what, rec.left_timed.place, rec.right_timed.place))
    end
  end

  --- Links both sides to the step.
  local function link(self, kind, rec, other)
    local s = step(self, kind, rec)
    local made = stream.record(s)
    local right = stream.new { kind = 'join_right', parent = other, pipeline = other.pipeline, join = made, place = rec.place }
    made.right = stream.record(right)
    return s
  end

  local function within_of(where, o)
    local given = o.within
    if type(given) ~= 'table' or stream.record(given) then
      fault(where, "join: 'within' is a table: within = { before = '0s', after = '15m' }, got " .. describe(given))
    end
    local ms = {}
    for k, v in pairs(given) do
      if k ~= 'before' and k ~= 'after' then
        fault(where, "join: 'within' has no '" .. tostring(k) .. "'" .. suggest.hint(tostring(k), { 'before', 'after' }))
      end
      ms[k] = stream.ms_of(where, "join: '" .. k .. "' of 'within'", v, 'any')
    end
    if not (ms.before or ms.after) then
      fault(where, "join: 'within' says how far the right event may be before and after the left one: { before = '0s', after = '15m' }")
    end
    ms.before, ms.after = ms.before or 0, ms.after or 0
    if ms.before + ms.after < 0 then
      fault(where, ("join: 'within' is empty: it ends before it begins, %d ms after the left event and %d"):format(-ms.before, ms.after))
    end
    return ms
  end

  --- Pairs of events with equal keys whose times are near each other.
  function methods:join(name, right, options)
    local where = place()
    local o = stream.state_options(where, 'join', options)
    local rec, other = common(self, where, 'join', name, right, o)
    if o.within ~= nil then
      if o.unbounded then fault(where, "join: 'within' is a bound; leave 'unbounded' out") end
      rec.within = within_of(where, o)
      need_times(where, 'join', rec, " with 'within'")
    elseif not o.unbounded then
      fault(where, "join keeps every event for ever; write within = { after = '15m' }, or unbounded = true if that is meant")
    end
    if o.max ~= nil and (o.max < 1 or o.max % 1 ~= 0 or o.max > MAX) then
      fault(where, "join: 'max' is how many events of a key and side are kept, a whole number from 1 to 2^27")
    end
    return link(self, 'join', rec, other)
  end

  --- Pairs of events with equal keys in the same window.
  function methods:window_join(name, right, spec, options)
    local where = place()
    local w = stream.window_of(spec)
    if not w then
      fault(where, "window_join takes what kind of windows behind the other stream: :window_join('both', captures, " ..
        "tm.window.tumbling '5m', { on = 'id' }); got " .. describe(spec))
    end
    if w.kind ~= 'tumbling' and w.kind ~= 'hopping' and w.kind ~= 'session' then
      fault(where, 'window_join takes tumbling, hopping and session windows, got ' .. w.kind)
    end
    local o = stream.options(where, 'window_join', options)
    local rec, other = common(self, where, 'window_join', name, right, o)
    need_times(where, 'window_join', rec, '')
    for _, field in ipairs { 'window_start', 'window_end' } do
      if rec.as == field then fault(where, ("window_join: '%s' is a field of its rows already; give 'as' another name"):format(field)) end
      for _, key in ipairs(rec.on.left) do
        if key == field then fault(where, ("window_join: '%s' is a field of its rows, and of the key; rename the key's"):format(field)) end
      end
    end
    stream.check_open(where, 'window_join', w, 0, rec.left_timed)
    stream.check_open(where, 'window_join', w, 0, rec.right_timed)
    stream.check_each(where, 'window_join', w)
    rec.window = { window = w, lateness = 0, open_max = stream.open_max(w.kind) }
    rec.options.timed = w.kind == 'session' or nil
    return link(self, 'window_join', rec, other)
  end
end
