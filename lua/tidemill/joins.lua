--[[
joins.lua - what a join keeps beside the text of its loop: events without a partner, their order, and making room.

The events of a key wait in its record (host/state/partners.c), in order of arrival: times, bytes, and where events may be sent without
a partner a mark, which is a number that counts arrivals, negative once a partner was found. Such an event without a partner has a record
of its own too, in a state "pipeline/step/waiting" whose key is that number and which is armed on the wheel for the time when no
partner can come any more: so rows come in order of that time, then of arrival, over all keys.

  last     in the record: when all its events are past; it is armed at that or earlier, lazily
  base     where a side's three lists begin: LEFT or RIGHT
A record whose events are all past is removed when the next events come, two for each (`sweep`): nothing that can be seen
depends on it, and memory follows the watermark without a turn of its own.
]]

local lib = require 'tidemill.lib'
local keep = require 'tidemill.keep'
local state = require 'tidemill.state'
local windows = require 'tidemill.windows'
local C, ffi = lib.C, lib.ffi
local huge = math.huge

local M = { LEFT = 0, RIGHT = 3 }
local LEFT = M.LEFT
local TIMES, EVENTS, MARKS = 0, 1, 2   -- from base on
local EXACT = 2 ^ 53                   -- due for events that any later one may be the partner of

--- The cells of a key's record. top: the largest time of a side; slack: how far one was behind it, at most.
M.numbers = { 'last', 'left_top', 'left_slack', 'right_top', 'right_slack' }
M.refs = {
  { name = 'left_times', kind = 'list', of = 'number' }, { name = 'left_events', kind = 'list', of = 'string' },
  { name = 'left_marks', kind = 'list', of = 'number' },
  { name = 'right_times', kind = 'list', of = 'number' }, { name = 'right_events', kind = 'list', of = 'string' },
  { name = 'right_marks', kind = 'list', of = 'number' },
}

local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'
local anchor = ffi.new 'struct tm_value'
local val = ffi.cast('struct tm_value *', anchor)
M.val, M.anchor = val, anchor

local function check(ptr, rc)
  if rc < 0 then state.failed(ptr, rc) end
end

---@param rec table the step's: name, within, options
---@param main table of state.open: a record a key
---@param outer table { [base] = true } whose events are sent without a partner
---@param spans table { [base] = ms } after an event's time when no partner can come any more
---@param clock ffi.cdata*? struct tm_clock *
---@return table seq: the mark given last; waiting: the state of events without a partner; wait, matched, arm, sweep, room: see each;
---   next(to): the record whose event is sent without a partner, its base, time and bytes in base, at, text and len; judge_due;
---   working: one is being sent; event(): it, for a dead letter
function M.new(rec, main, outer, spans, clock)
  local ptr, key = main.ptr, state.key
  local J = { seq = 0, at = 0, base = LEFT, text = false, len = 0, working = false }
  local waiting, wait_ptr
  if outer[M.LEFT] or outer[M.RIGHT] then
    waiting = state.open(main.name .. '/waiting', { 'base', 'at' }, { { name = 'key', kind = 'text' } }, { timed = true },
      { kind = 'join_waiting', key = { 'mark' } })
    waiting.clock = clock
    wait_ptr = waiting.ptr
    J.waiting = wait_ptr
  end

  keep.add(main.name .. '/marks', 'marks of a join', function() return J.seq > 0 and { J.seq } or nil end,
    function(data) J.seq = data[1] end)
  if waiting then
    function main.arrivals(n)
      if n then J.seq = n end
      return J.seq
    end
  end

  --- The record at hand can go at this time; a new one.
  function J.arm(record, at)
    -- beyond what can be due it stays until the end
    if at > EXACT or at < -EXACT then return end
    check(ptr, C.tm_ffi_due_set(ptr, record, at))
  end

  --- Removes a key if all its events are past.
  local function sweep_one(w)
    local p = C.tm_ffi_due_pop(ptr, w)
    if p == nil then
      check(ptr, ptr.code)
      return
    end
    local last = ffi.cast(main.type, p).last
    if last > w then J.arm(p, last) else check(ptr, C.tm_ffi_state_remove(ptr, p)) end
  end

  --- Removes up to two keys all of whose events are past.
  function J.sweep(w)
    sweep_one(w)
    if ptr.due <= w then sweep_one(w) end
  end

  -- Events without a partner ---------------------------------------------------

  --- The event with this mark has no partner yet; none can come after time `at`.
  function J.wait(record, base, mark, at)
    local bytes = C.tm_ffi_state_key(ptr, record, key_len)
    key.len = 0
    C.tm_ffi_key_number(key, mark)
    local p = C.tm_ffi_state_write(wait_ptr, key)
    if p == nil then state.failed(wait_ptr, wait_ptr.code) end
    local r = ffi.cast(waiting.type, p)
    r.base = base
    check(wait_ptr, C.tm_ffi_text_set(wait_ptr, p, 0, bytes, key_len[0]))
    if at > EXACT then at = EXACT elseif at < -EXACT then at = -EXACT end
    check(wait_ptr, C.tm_ffi_due_set(wait_ptr, p, at))
    if clock and at < clock.due then windows.set_due(clock, at) end
  end

  --- Event i of a side has found a partner.
  function J.matched(record, base, i)
    C.tm_ffi_list_get(ptr, record, base + MARKS, i, val)
    local mark = val.num
    if mark < 0 then return end
    val.kind, val.num = C.TM_VALUE_NUMBER, -mark
    check(ptr, C.tm_ffi_list_set(ptr, record, base + MARKS, i, val))
    J.forget(mark)
  end

  --- The event with this mark waits no more.
  function J.forget(mark)
    key.len = 0
    C.tm_ffi_key_number(key, mark)
    local p = C.tm_ffi_state_find(wait_ptr, key)
    if p ~= nil then check(wait_ptr, C.tm_ffi_state_remove(wait_ptr, ffi.cast('void *', p))) end
  end

  --- Takes a record of `waiting` that was popped: the key's record, or nil where its event is gone (max_keys, max).
  local function take(p)
    local bytes = C.tm_ffi_state_key(wait_ptr, p, key_len)
    C.tm_ffi_key_parts(bytes, key_len[0], parts)
    local mark, r = parts[0].num, ffi.cast(waiting.type, p)
    local base = r.base
    key.len = r.key.n
    ffi.copy(key.bytes, wait_ptr.base + 8 * r.key.at, r.key.n)
    check(wait_ptr, C.tm_ffi_state_remove(wait_ptr, p))
    C.tm_ffi_changes_commit(state.changes)
    local found = C.tm_ffi_state_find(ptr, key)
    if found == nil then return nil end
    local i = C.tm_ffi_partners_marked(ptr, found, base, mark)
    if i == 0 then return nil end
    C.tm_ffi_list_get(ptr, found, base + TIMES, i, val)
    J.base, J.at = base, val.num
    C.tm_ffi_list_get(ptr, found, base + EVENTS, i, val)
    J.text, J.len = val.text, val.len
    return ffi.cast('void *', found)
  end

  --- The record of the next event that is sent without a partner until the watermark is `to`; nil: there is none.
  function J.next(to)
    J.working = false
    while wait_ptr.due <= to and wait_ptr.due < huge do
      local p = C.tm_ffi_due_pop(wait_ptr, to)
      if p ~= nil then
        local record = take(p)
        if record ~= nil then
          J.working = true
          return record
        end
      elseif wait_ptr.code == C.TM_STATE_OK then
        return nil
      else
        check(wait_ptr, wait_ptr.code)
      end
    end
    return nil
  end

  function J.judge_due() return wait_ptr.due end

  -- A bound on the events of a key -----------------------------------------------

  local max, on_full = rec.options.max, rec.options.on_full or 'oldest'

  --- The first event of a side goes.
  local function shift(record, base)
    if outer[base] then
      C.tm_ffi_list_get(ptr, record, base + MARKS, 1, val)
      if val.num > 0 then J.forget(val.num) end
      check(ptr, C.tm_ffi_list_shift(ptr, record, base + MARKS, nil))
    end
    check(ptr, C.tm_ffi_list_shift(ptr, record, base + TIMES, nil))
    check(ptr, C.tm_ffi_list_shift(ptr, record, base + EVENTS, nil))
  end

  --- Removes what is past from a side whose times are not in order.
  local function compact(record, base, n, upto)
    for _ = 1, n do
      C.tm_ffi_list_get(ptr, record, base + TIMES, 1, val)
      if val.num <= upto then
        shift(record, base)
      else
        for list = base, base + (outer[base] and MARKS or EVENTS) do
          check(ptr, C.tm_ffi_list_shift(ptr, record, list, val))
          check(ptr, C.tm_ffi_list_push(ptr, record, list, val))
        end
      end
    end
  end

  --- Makes room for one more event of a side that has n, at watermark w.
  function J.room(record, base, n, w)
    local upto = w - spans[base]
    if rec.within and C.tm_ffi_partners_next(ptr, record, base, 0, -huge, upto, huge) ~= 0 then
      compact(record, base, n, upto)
      n = ffi.cast(main.type, record)[base == LEFT and 'left_times' or 'right_times'].n
    end
    if n < max then return end
    if on_full == 'oldest' then return shift(record, base) end
    state.failed(ptr, on_full == 'stop' and C.TM_STATE_STOP or C.TM_STATE_FULL)
  end

  return J
end

--- The events that a record holds, as members of an object: for `state get`.
---@param text function (text, len): one as a text of the library (lib.text)
---@return string
function M.detail(r, ptr, text)
  local sides = {}
  for i, side in ipairs { 'left', 'right' } do
    local list, base = {}, i == 1 and M.LEFT or M.RIGHT
    for n = 1, tonumber(r[side .. '_times'].n) do
      C.tm_ffi_list_get(ptr, r, base + TIMES, n, val)
      local time = val.num
      C.tm_ffi_list_get(ptr, r, base + EVENTS, n, val)
      list[n] = ('{"time":%s,"event":%s}'):format(time == time and ('%.0f'):format(time) or 'null', text(val.text, val.len).text)
    end
    sides[i] = ('"%s_events":%d,"%s":[%s]'):format(side, #list, side, table.concat(list, ','))
  end
  return table.concat(sides, ',')
end

-- Joins of windows --------------------------------------------------------------

local SIDES = {
  { base = LEFT, times = 'left_times', top = 'left_top', slack = 'left_slack' },
  { base = M.RIGHT, times = 'right_times', top = 'right_top', slack = 'right_slack' },
}

--- Session r of state s takes in what a later one, r2 of s2, holds. All of that is later than all of its own, so lists stay in order but
--- for what either was out of it.
function M.merge(r, s, r2, s2)
  for _, side in ipairs(SIDES) do
    local n, base = r2[side.times].n + 0, side.base
    if n > 0 then
      r[side.slack] = r[side.times].n > 0 and math.max(r[side.slack], r2[side.slack]) or r2[side.slack]
      r[side.top] = r2[side.top]
    end
    for i = 1, n do
      for list = base + TIMES, base + EVENTS do
        C.tm_ffi_list_get(s2, r2, list, i, val)
        check(s, C.tm_ffi_list_push(s, r, list, val))
      end
    end
  end
end

--- Session r of state s holds nothing any more.
function M.forget(r, s)
  for _, side in ipairs(SIDES) do
    check(s, C.tm_ffi_state_empty(s, r, side.base + TIMES))
    check(s, C.tm_ffi_state_empty(s, r, side.base + EVENTS))
  end
end

---@param W table of windows.new or sessions.new: each window's state has records as above
---@param main table of state.open: of a window's
---@param keeps table { left, right }: events of that side are sent without a partner
---@return table next(to): the record at work until the watermark is `to`, its window in W.at. side: base of the event that is sent now, in
---   place `at` of its list, with `rights` events in the places order[1..] (no order: 1..) of the other; found, found_n: which of them
---   were partners; done: set when it is sent
function M.windowed(W, main, keeps)
  local J = { side = LEFT, at = 0, rights = 0, order = false, found = {}, found_n = 0, done = false, working = false }
  local lefts, left_order, next_left, next_right = 0, false, 1, 1
  local met = {}   -- by place in the right order: had a partner

  --- The places of a list by time, then arrival; false: it is in that order.
  local function order_of(r, base, n, slack)
    if slack == 0 then return false end
    local times, order = {}, {}
    for i = 1, n do
      C.tm_ffi_list_get(W.at.ptr, r, base + TIMES, i, val)
      times[i], order[i] = val.num, i
    end
    table.sort(order, function(a, b) return times[a] < times[b] or times[a] == times[b] and a < b end)
    return order
  end

  local function begin(p)
    local r = ffi.cast(main.type, p)
    lefts, J.rights = r.left_times.n, r.right_times.n
    left_order, J.order = order_of(r, LEFT, lefts, r.left_slack), order_of(r, M.RIGHT, J.rights, r.right_slack)
    next_left, next_right = J.rights == 0 and not keeps.left and lefts + 1 or 1, 1
    if not keeps.right then next_right = J.rights + 1 end
    met = {}
  end

  --- Is there an event of the record at work to be sent?
  local function one_more()
    if next_left <= lefts then
      J.side, J.at = LEFT, left_order and left_order[next_left] or next_left
      next_left = next_left + 1
      return true
    end
    while next_right <= J.rights and met[next_right] do next_right = next_right + 1 end
    if next_right > J.rights then return false end
    J.side, J.at = M.RIGHT, J.order and J.order[next_right] or next_right
    next_right = next_right + 1
    return true
  end

  function J.next(to)
    if J.done then
      for i = 1, J.found_n do met[J.found[i]] = true end
    end
    J.done, J.found_n = false, 0
    local p = J.working and W.record() or nil
    J.working = false
    while true do
      if p ~= nil and one_more() then
        J.working = true
        return ffi.cast('void *', p)
      end
      p = W.next(to)
      if p == nil then
        lefts, J.rights = 0, 0
        return nil
      end
      begin(p)
    end
  end

  J.judge_due = W.judge_due
  return J
end

return M
