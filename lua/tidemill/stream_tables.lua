--[[
stream_tables.lua - tm.table, and the builder's operator lookup. stream.lua has the others, and loads this.

A table is no stream: it is the step 'table' at the end of one, which writes it, and what lookups name. Of a source it makes a
pipeline of its own that has the table's name.

  table    { kind = 'table', name, on = { fields, composite }, time = { field, unit }, timed, versioned, delete, wait, options }
           on: its key; time: where its rows hold from; timed: that is the time of the event; versioned: ms, or nil: for ever
  lookup   { kind = 'lookup', on = { fields, composite }, as, missing, table_rec }    on: the event's fields, in the table's order
  changes  what the step 'table' gives on: a pass
]]

local suggest = require 'tidemill.suggest'

local PARTS_MAX, NAME_MAX = 16, 60

return function(methods, step, stream)
  local fault, place, describe = stream.fault, stream.place, stream.describe
  local made = setmetatable({}, { __mode = 'k' })   -- what tm.table returned -> the record of its step
  local of_table = { 'changes' }

  local function quoted(list) return "'" .. table.concat(list, "', '") .. "'" end

  local function key_of(where, key)
    if key == nil then fault(where, "tm.table takes the field its rows are found by: { key = 'account', from = … }") end
    local fields = type(key) == 'string' and { key } or stream.need_fields(where, "tm.table: 'key'", key)
    if #fields > PARTS_MAX then fault(where, ("tm.table: 'key' has at most %d fields"):format(PARTS_MAX)) end
    return { fields = fields, composite = #fields > 1 }
  end

  local TIME = { field = 'string', unit = { 's', 'ms', 'us', 'ns', 'iso8601' }, out_of_order = true }

  --- 'since', or { field = 'since', unit = 's' }, which event_time takes too.
  local function time_of(where, time)
    if time == nil then return nil end
    if type(time) == 'string' then time = { field = time } end
    if type(time) ~= 'table' or stream.record(time) then
      fault(where, "tm.table: 'time' takes the field from whose time on a row holds: 'since', or { field = 'since', unit = 's' }; got " ..
        describe(time))
    end
    for k, v in pairs(time) do
      local known = TIME[k]
      if not known then
        fault(where, "tm.table: 'time' has no option '" .. tostring(k) .. "'" ..
          suggest.hint(tostring(k), { 'field', 'unit', 'out_of_order' }))
      end
      if known == 'string' and type(v) ~= 'string' then fault(where, "tm.table: 'field' of 'time' takes a string, got " .. describe(v)) end
    end
    if time.field == nil then fault(where, "tm.table: 'time' takes the field that holds it: { field = 'since', unit = 'ms' }") end
    local ok = time.unit == nil
    for _, unit in ipairs(TIME.unit) do ok = ok or unit == time.unit end
    if not ok then fault(where, "tm.table: 'unit' of 'time' is one of " .. quoted(TIME.unit) .. ', got ' .. describe(time.unit)) end
    return { field = time.field, unit = time.unit or 'ms', out_of_order = time.out_of_order }
  end

  --- The stream whose events are the rows: of a source, a pipeline of the table's own.
  local function rows_of(where, name, o, time)
    local from, s = o.from, nil
    if stream.record(from) then
      if stream.record(from).ended then fault(where, stream.record(from).kind .. ' returned a table of streams; name one of them') end
      if time and time.out_of_order ~= nil then
        fault(where, "tm.table: 'out_of_order' belongs to the event_time of the stream it is made of")
      end
      s = from
    elseif stream.is_source(from) then
      s = stream.pipeline(name)
      stream.record(s).of_table = true
      s = s:from(from)
      stream.record(s).of_table = true
    else
      fault(where, "tm.table takes what its rows come from: { from = tm.source.file 'profiles.csv' }, or a stream; got " .. describe(from))
    end
    if o.schema then s = s:schema(o.schema) end
    if time and not stream.record(from) then s = s:event_time(time) end
    return s
  end

  local table_mt = { __metatable = 'table of tidemill' }

  --- A table that lookups read: a row for each key, the latest one or by time.
  function stream.table(name, options)
    local where = place()
    if type(name) ~= 'string' or name == '' then fault(where, "a table needs a name: tm.table('profiles', { key = …, from = … })") end
    if #name > NAME_MAX then fault(where, ('a table name has at most %d characters'):format(NAME_MAX)) end
    if type(options) ~= 'table' then
      fault(where, "tm.table takes a table { key = 'account', from = tm.source.file 'profiles.csv' }, got " .. describe(options))
    end
    local o = stream.state_options(where, 'tm.table', options)
    local on, time = key_of(where, o.key), time_of(where, o.time)
    local versioned
    if o.versioned ~= nil then
      if not time then
        fault(where, "tm.table: 'versioned' says how long versions are kept, and which one holds when is told by time = 'since'")
      end
      versioned = stream.ms_of(where, "tm.table: 'versioned'", o.versioned, 'not negative')
    end
    if o.delete ~= nil and type(o.delete) ~= 'function' then
      fault(where, 'tm.table takes delete = function(row) … end, which is true for a row that removes its key; got ' .. describe(o.delete))
    end
    local rows = rows_of(where, name, o, time)
    local parent = stream.record(rows)
    local rec = stream.record(stream.new { kind = 'table', parent = parent, pipeline = parent.pipeline, place = where, name = name, on = on,
      time = time, timed = time and not stream.record(o.from), versioned = versioned, delete = o.delete, wait = o.wait, options = o })
    local t = setmetatable({}, table_mt)
    made[t] = rec
    return t
  end

  --- What becomes of the table as a stream: { op = 'c' | 'u' | 'd', before, after } and the key's fields, a row for each change.
  local function changes(t)
    local rec = made[t]
    if not rec then fault(place(), 'call it with a colon: profiles:changes()') end
    for _, name in ipairs(rec.on.fields) do
      if name == 'op' or name == 'before' or name == 'after' then
        fault(place(), "changes: '" .. name .. "' is a field of its rows, and of the table's key; rename the key's")
      end
    end
    return stream.new { kind = 'changes', parent = rec, pipeline = rec.pipeline, place = place() }
  end

  table_mt.__index = function(_, name)
    if name == 'changes' then return changes end
    fault(place(), "a table has no '" .. tostring(name) .. "'" .. suggest.among(tostring(name), of_table) ..
      '; its rows are read by stream:lookup(table, { on = … })')
  end
  table_mt.__newindex = function(_, name) fault(place(), "a table has no field '" .. tostring(name) .. "' to assign") end
  table_mt.__tostring = function(t) return 'table ' .. made[t].name end

  --- The event's fields, in the order of the table's key.
  local function left_of(where, on, key)
    if on == nil then return key end
    local whose = (#key == 1 and 'the key of the table is ' or 'the keys of the table are ') .. quoted(key)
    if type(on) == 'string' then on = { on } end
    if type(on) ~= 'table' or stream.record(on) then
      fault(where, "lookup: 'on' takes a field of both sides, a list of them, or { left = 'right' }, got " .. describe(on))
    end
    local left = {}
    for l, right in pairs(on) do
      if type(l) == 'number' then l = right end
      if type(l) ~= 'string' or type(right) ~= 'string' then
        fault(where, "lookup: 'on' takes a field of both sides, a list of them, or { left = 'right' }, found " .. describe(l) .. ' = ' ..
          describe(right))
      end
      if left[right] then fault(where, ("lookup: 'on' has two fields for '%s' of the table"):format(right)) end
      left[right] = l
    end
    local fields, rest = {}, {}
    for right in pairs(left) do rest[right] = true end
    for i, name in ipairs(key) do
      fields[i], rest[name] = left[name] or false, nil
    end
    local other = next(rest)
    if other then
      fault(where, ("lookup: %s, not '%s'%s"):format(whose, other, #key == 1 and #on == 1 and ("; write on = { %s = '%s' } where the " ..
        "event's field has another name"):format(other, key[1]) or suggest.hint(other, key)))
    end
    for i, name in ipairs(key) do
      if not fields[i] then fault(where, ("lookup: %s; 'on' lacks '%s'"):format(whose, name)) end
    end
    return fields
  end

  --- Adds the row of a table that has the event's key, as a field.
  function methods:lookup(t, options)
    local where = place()
    local rec = made[t]
    if not rec then
      fault(where, "lookup takes a table: stream:lookup(tm.table('profiles', { key = …, from = … }), { on = … }); got " ..
        (stream.record(t) and 'a stream; a table is made of one by tm.table' or describe(t)))
    end
    local o = stream.options(where, 'lookup', options)
    if o.as == '' then fault(where, "lookup: 'as' is the name of the field that gets the row") end
    local fields = left_of(where, o.on, rec.on.fields)
    if rec.time then stream.need_time(where, 'lookup', self, " in a table with 'time'") end
    return step(self, 'lookup', { on = { fields = fields, composite = #fields > 1 }, as = o.as or rec.name, missing = o.missing or 'keep',
      table_rec = rec })
  end
end
