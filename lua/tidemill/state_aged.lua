--[[
state_aged.lua - lists, maps and sets of a `process` state whose elements go by age: `ttl` after they were last written, when the
watermark has reached that.

The times of elements stand beside them (host/state/aging.c): of a list in a second list, of a map in a second map, of a set as the value
of a map. An element that is written takes the time of the event or timer at hand, if that is later than its own; in maps and sets it
then moves behind all others, so they stand in order of writing. Elements that are over go before a function is called (`pass`), and
where none is, when the wheel says so (expiry.lua): memory goes back in either case.
]]

local lib = require 'tidemill.lib'
local state_of = require 'tidemill.state'
local C, ffi = lib.C, lib.ffi
local huge = math.huge

local M = {}

--- What hangs off the record for a container with ttl, and its cells.
---@param f table the field: cell, type, container
---@param numbers table gets the names of cells
---@param refs table gets { name, kind … } of state.open
function M.cells(f, numbers, refs)
  local d, cell = f.container, f.cell
  for _, name in ipairs { '_least', '_top', '_slack' } do numbers[#numbers + 1] = cell .. name end
  if d.kind == 'set' then
    refs[#refs + 1] = { name = cell, kind = 'map', key = d.key, of = 'number', max = d.max, on_full = d.on_full }
    return
  end
  refs[#refs + 1] = { name = cell, kind = d.kind, key = d.key, of = d.of, max = d.max, on_full = d.on_full }
  refs[#refs + 1] = { name = cell .. '_times', kind = d.kind, key = d.key, of = 'number', max = d.max, on_full = d.on_full }
end

--- Replaces the methods that write.
---@param methods table of state_view.lua, which know nothing of times
---@param field table
---@param state table of state.open
---@param box table the record at hand in r
---@param o table moment: struct tm_view, whose time is that of the event or timer; expiry: of expiry.lua; fill(x), fill_value(x):
---   a key, a value into key and val, struct tm_value
---@return table { least: a cell, ttl, pass(record, upto) }, for expiry.lua
function M.wrap(methods, field, state, box, o)
  local ptr, cell, index, ttl = state.ptr, field.cell, field.index, field.container.ttl
  local least, top, slack = cell .. '_least', cell .. '_top', cell .. '_slack'
  local times = state.index[cell .. '_times'] or index
  local offset = ffi.offsetof(state.record, least)
  local key, val, moment, expiry = o.key, o.val, o.moment, o.expiry

  local function done(rc)
    if rc < 0 then state_of.failed(ptr, rc) end
    return rc
  end

  --- An element was written, it has this time now.
  local function note(t)
    local r = box.r
    if r[top] < t then r[top] = t
    elseif r[top] - t > r[slack] then r[slack] = r[top] - t end
    if t < r[least] then
      r[least] = t
      expiry.near(r, t + ttl)
    end
  end

  local function put_time(t) val.kind, val.num = C.TM_VALUE_NUMBER, t end

  --- The first one: nothing is known of those that were there.
  local function begin()
    local r = box.r
    if r[cell].n == 0 then r[least], r[top], r[slack] = huge, -huge, 0 end
  end

  local function nothing()
    begin()
    return nil
  end

  function methods.clear()
    done(C.tm_ffi_state_empty(ptr, box.r, index))
    if times ~= index then done(C.tm_ffi_state_empty(ptr, box.r, times)) end
    begin()
  end

  if field.type == 'list' then
    function methods.push(_, x)
      local t = moment.time
      begin()
      o.fill_value(x)
      done(C.tm_ffi_list_push(ptr, box.r, index, val))
      put_time(t)
      done(C.tm_ffi_list_push(ptr, box.r, times, val))
      note(t)
    end
    function methods.set(_, i, x)
      local t = moment.time
      o.fill_value(x)
      done(C.tm_ffi_list_set(ptr, box.r, index, i, val))
      done(C.tm_ffi_list_get(ptr, box.r, times, i, val))
      if val.num >= t then return end
      put_time(t)
      done(C.tm_ffi_list_set(ptr, box.r, times, i, val))
      note(t)
      -- those behind it may be as much older as any
      if t - box.r[least] > box.r[slack] then box.r[slack] = t - box.r[least] end
    end
    local pop, shift = methods.pop, methods.shift
    function methods.pop()
      if box.r[cell].n == 0 then return nothing() end
      done(C.tm_ffi_list_pop(ptr, box.r, times, nil))
      return (pop())
    end
    function methods.shift()
      if box.r[cell].n == 0 then return nothing() end
      done(C.tm_ffi_list_shift(ptr, box.r, times, nil))
      return (shift())
    end
  else
    --- The element of `key` goes: was it there?
    local function remove()
      local rc = C.tm_ffi_map_remove(ptr, box.r, times, key)
      if rc == C.TM_STATE_RANGE then return false end
      done(rc)
      if times ~= index then done(C.tm_ffi_map_remove(ptr, box.r, index, key)) end
      return true
    end
    --- Has the element of `key` a time that is not before t?
    local function is_later(t)
      if C.tm_ffi_map_get(ptr, box.r, times, key, val) < 0 then return false end
      return val.num >= t
    end
    function methods.remove(_, x)
      o.fill(x)
      return (remove())
    end
    if field.type == 'set' then
      function methods.add(_, x)
        local t = moment.time
        o.fill(x)
        if is_later(t) then return false end
        local was = remove()
        begin()
        put_time(t)
        done(C.tm_ffi_map_set(ptr, box.r, index, key, val))
        note(t)
        return not was
      end
    else
      function methods.set(_, k, x)
        local t = moment.time
        o.fill(k)
        local later = is_later(t)
        if not later then
          remove()
          begin()
        end
        o.fill_value(x)
        done(C.tm_ffi_map_set(ptr, box.r, index, key, val))
        if later then return end
        put_time(t)
        done(C.tm_ffi_map_set(ptr, box.r, times, key, val))
        note(t)
      end
    end
  end

  local ages = ffi.typeof 'struct tm_ages *'
  return { least = least, ttl = ttl, pass = function(record, upto)
    done(C.tm_ffi_aging_pass(ptr, record, index, times, ffi.cast(ages, ffi.cast('char *', record) + offset), upto - ttl))
  end }
end

return M
