--[[
timers.lua - the timers of a `process` step: set and cancelled by name, taken in order of time, then of setting.

They are a keyed state of their own, "pipeline/step/timers": the name and the canonical bytes of the step's key, two strings, make
its key; its records are armed on the wheel of C (host/state/due.c), so what a failing call did to them goes back with its state.

A timer belongs to the record it was set for. Records go in several ways (ctx.clear, max_keys), all at once with what hangs off
them, so a record has a number (`born`), each timer that of its record, and one whose record is gone is no timer any more: it is
left out when its time comes. New timers pay for clearing such away before (`sweep`).

A step has two of these: by event time, in one order with its keys that expire (expiry.lua; of equal times timers come first), and by the
clock (ctx.wall_timer), whose state is "pipeline/step/wall_timers".

Taking one ends in a commit, before the user's function runs: failing, that must not find the same timer again. A record whose
on_expire failed goes when the next one is asked for.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local windows = require 'tidemill.windows'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string, huge = ffi.string, math.huge

local M = {}

local NAME_MAX = 255

local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'

local function describe(v) return type(v) == 'number' and tostring(v) or v == nil and 'nil' or 'a ' .. type(v) end

---@param name string of the state that is made
---@param o table main: table of state.open, the step's records, with a cell `born`; held: the rows of the call at hand, open while it
---   lasts; clock: struct tm_clock *; wall: it is the one of batches' arrival; expiry: of the step's keys, or nil; on_expire
---@return table set(box, name, ms), cancel(box, name): what ctx does; next(to): the record of the next timer, its name and time in
---   `name` and `at`; expires: it is a key that goes, finish() ends that; judge_due(): from which watermark on there is something to
---   do; working: a unit is at work
function M.new(name, o)
  local opened = state.open(name, { 'born' }, {}, { timed = true },
    { kind = o.wall and 'wall_timers' or 'timers', key = { 'name', 'key' } })
  opened.clock = o.clock
  local main, held, clock = o.main, o.held, o.clock
  local ptr, key, main_ptr, flow = opened.ptr, state.key, main.ptr, lib.flow
  local T = { ptr = ptr, at = huge, name = false, working = false, expires = false, clock = clock }
  local cursor
  local gone = 0   -- records that had gone when the last walk began
  -- timers set by a timer for its own time or before: such a chain may have no end
  local latest, still = -huge, 0

  --- The number of a record of the step.
  local function born(record) return ffi.cast(main.type, record).born end

  local function set_key(box, timer_name, what)
    if not held.open then raise('kept', what .. ' was called after its function had returned') end
    if type(timer_name) ~= 'string' or timer_name == '' or #timer_name > NAME_MAX then
      raise('type', what .. ': a timer has a name of 1 to ' .. NAME_MAX .. ' bytes, got ' .. (type(timer_name) == 'string' and
        'one of ' .. #timer_name or describe(timer_name)))
    end
    key.len = 0
    local rc = C.tm_ffi_key_string(key, timer_name, #timer_name)
    local bytes = C.tm_ffi_state_key(main_ptr, box.r, key_len)
    if rc == 0 then rc = C.tm_ffi_key_string(key, bytes, key_len[0]) end
    if rc ~= 0 then state.key_failed(rc) end
  end

  --- Makes the key at hand that of a timer's record of the step; its name.
  local function take_key(p)
    local bytes = C.tm_ffi_state_key(ptr, p, key_len)
    C.tm_ffi_key_parts(bytes, key_len[0], parts)
    key.len = parts[1].len
    ffi.copy(key.bytes, parts[1].text, key.len)
    return (ffi_string(parts[0].text, parts[0].len))
  end

  --- The record that a timer belongs to, by the key at hand; nil: it is gone.
  local function record_of(number)
    local p = C.tm_ffi_state_find(main_ptr, key)
    if p == nil or born(p) ~= number then return nil end
    return (ffi.cast('void *', p))
  end

  local function begin_sweep()
    gone = main_ptr.evicted + main.cleared
    cursor = C.tm_ffi_cursor_new(ptr)
    if cursor == nil then
      cursor = nil
      raise('memory', 'no memory to walk a state (--memory)')
    end
  end

  --- Removes the next timer of the walk if its record is gone.
  local function sweep()
    if not cursor then
      if main_ptr.evicted + main.cleared == gone then return end
      begin_sweep()
    end
    local p = C.tm_ffi_cursor_next(cursor)
    if p ~= nil then
      take_key(p)
      if not record_of(ffi.cast(opened.type, p).born) then C.tm_ffi_state_remove(ptr, p) end
    elseif cursor.done ~= 0 then
      C.tm_ffi_cursor_free(cursor)
      cursor = nil
    end
  end

  local function bad_time(ms)
    raise('type', 'ctx.timer takes a time in whole ms, such as ctx.time + 60000, got ' .. describe(ms))
  end

  local function chain()
    still = still + 1
    if still > flow.max_rows then
      raise('too-many-timers', ('%d timers in a row were set by timers for their own time or before it (--max-rows)'):format(flow.max_rows))
    end
  end

  --- Sets or moves the timer of this name; false: it was dropped, as the input has ended.
  function T.set(box, timer_name, ms)
    set_key(box, timer_name, o.wall and 'ctx.wall_timer' or 'ctx.timer')
    if type(ms) ~= 'number' or ms % 1 ~= 0 or ms > 9007199254740992 or ms < -9007199254740992 then bad_time(ms) end
    if box.fires ~= 0 then
      if flow.firing ~= 0 then
        box.dropped = box.dropped + 1
        return false
      end
      if ms <= box.at and not o.wall then chain() end
    end
    local p = C.tm_ffi_state_write(ptr, key)
    if p == nil then state.failed(ptr, ptr.code) end
    local new, timer = ptr.code == C.TM_STATE_NEW, ffi.cast(opened.type, p)
    local rc = 0
    -- one of a record that is gone has no place in the order to keep
    if not new and timer.born ~= box.r.born then rc = C.tm_ffi_due_cancel(ptr, p) end
    timer.born = box.r.born
    if rc == 0 then rc = C.tm_ffi_due_set(ptr, p, ms) end
    if rc < 0 then state.failed(ptr, rc) end
    if ms < clock.due then windows.set_due(clock, ms) end
    if new then
      sweep()
      sweep()
    end
    return true
  end

  --- Forgets the timer of this name: was there one?
  function T.cancel(box, timer_name)
    set_key(box, timer_name, 'ctx.cancel')
    local p = C.tm_ffi_state_find(ptr, key)
    if p == nil then return false end
    local number = ffi.cast(opened.type, p).born
    local rc = C.tm_ffi_state_remove(ptr, ffi.cast('void *', p))
    if rc < 0 then state.failed(ptr, rc) end
    return number == box.r.born
  end

  --- Takes a timer that was popped; the record it is for, or nil: that is gone.
  local function take(p)
    local at, number = ptr.due_popped, ffi.cast(opened.type, p).born
    T.name = take_key(p)
    local rc = C.tm_ffi_state_remove(ptr, p)
    if rc < 0 then state.failed(ptr, rc) end
    C.tm_ffi_changes_commit(state.changes)
    if at > latest then latest, still = at, 0 end
    T.at = at
    return (record_of(number))
  end

  --- next where the first timer was none, or where there are too many to find it in one call.
  local function next_slowly(to)
    while true do
      local p = C.tm_ffi_due_pop(ptr, to)
      if p ~= nil then
        local record = take(p)
        if record ~= nil then
          if flow.firing ~= 2 then return record end
          T.count_dropped(1)
        end
      elseif ptr.code == C.TM_STATE_OK then
        return nil
      elseif ptr.code < 0 then
        state.failed(ptr, ptr.code)
      end
    end
  end

  --- The record whose timer is due first until the watermark is `to`; nil: there is none. At an end that came early none is due.
  function T.next(to)
    T.working = false
    if ptr.due > to then return nil end
    local record
    if flow.firing ~= 2 then
      local p = C.tm_ffi_due_pop(ptr, to)
      if p == nil and ptr.code == C.TM_STATE_OK then return nil end
      if p ~= nil then record = take(p) end
    end
    if record == nil then record = next_slowly(to) end
    T.working = record ~= nil
    return record
  end

  local next_timer = T.next
  local expiry, on_expire = o.expiry, o.on_expire
  local expired   -- the bytes of the key that goes

  --- The record that expires, as it is now; nil: it is gone.
  local function find_expired()
    key.len = #expired
    ffi.copy(key.bytes, expired, #expired)
    local p = C.tm_ffi_state_find(main_ptr, key)
    if p == nil then return nil end
    return (ffi.cast('void *', p))
  end

  --- Its function has returned, or failed: the key goes.
  function T.finish()
    T.expires = false
    local p = find_expired()
    if p ~= nil then
      local rc = C.tm_ffi_state_remove(main_ptr, p)
      if rc < 0 then state.failed(main_ptr, rc) end
    end
    main.cleared = main.cleared + 1
  end

  --- The record that goes now is to be shown to on_expire.
  local function show(p, at)
    expired = ffi_string(C.tm_ffi_state_key(main_ptr, p, key_len), key_len[0])
    C.tm_ffi_changes_commit(state.changes)
    T.at, T.name, T.expires = at, false, true
    return (find_expired())
  end

  --- The same with keys that expire. At the natural end of input those go that on_expire is to see, and those whose timers would be later.
  local function next_of_both(to)
    T.working = false
    if T.expires then
      T.finish()
      C.tm_ffi_changes_commit(state.changes)
    end
    if flow.firing == 2 then return next_timer(to) end
    while true do
      local timer, old = state.due_first(ptr), state.due_first(main_ptr)
      local record
      if timer <= to and timer <= old and timer < huge then
        local p = C.tm_ffi_due_pop(ptr, to)
        if p ~= nil then record = take(p) end
      elseif old <= to and old < huge and (flow.firing == 0 or on_expire or timer < huge) then
        local p, at = expiry.take(to)
        if p ~= nil and on_expire then
          record = show(p, at)
        elseif p ~= nil then
          expiry.remove(p)
          main.cleared = main.cleared + 1
        end
      else
        return nil
      end
      if record ~= nil then
        T.working = true
        return record
      end
    end
  end
  if expiry then T.next = next_of_both end

  function T.count_dropped(n)
    local tally = T.tally
    if tally then tally.timers_dropped = tally.timers_dropped + n end
  end

  function T.judge_due()
    latest, still = -huge, 0
    return expiry and main_ptr.due < ptr.due and main_ptr.due or ptr.due
  end

  return T
end

return M
