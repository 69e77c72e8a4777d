--[[
sessions.lua - the sessions of a step that are open, and what is to be done with them as the watermark passes.

An event makes a window of its own, [t, t + gap). Windows of a key that overlap or touch are one session, so those of a key never do:
they lie in one order, and are records (siblings.lua) linked from the latest to the oldest.

  first   (heads) the number of the latest session; 0: there is none      open   (heads) how many there are
  top     (heads) the last number given to a record                       live   (heads) 1: the head is itself a session
  older, newer   the numbers of the sessions before and behind it; 0: none      number   of a record; 1 is the head, which has 0 there
  partial   1: it was open when the step got an aggregate, which has seen a part of its events
  from, to   its bounds           fired   1: its row was sent, and nothing came since
  sent    how many rows were sent as final ones; with `retract` 1: a row stands      more   events since an early row

Each is armed (tm_ffi_due_set) at its end, and once its row was sent at the end of its lateness, when it goes. So rows come by
window_end, then in order of the events that gave the windows their ends. One that came to be, or changed, behind the watermark is due
at once, with a row as any other. Events that join several make these one: the oldest takes in the others, one after the other.

Taking one ends in a commit, before its row is made: failing, that must not find the same session again.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local keep = require 'tidemill.keep'
local places = require 'tidemill.state_places'
local siblings = require 'tidemill.siblings'
local windows = require 'tidemill.windows'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local cast, huge = ffi.cast, math.huge

local M = {}

--- Number cells of a record, beside those of what is kept of its events.
M.cells = { 'from', 'to', 'fired', 'older', 'newer', 'number', 'first', 'open', 'top', 'live', 'partial' }

local LATEST = 2 ^ 53   -- no watermark is beyond it

---@param rec table the step's: window, lateness, emit
---@param opened table of state.open, timed
---@param clock ffi.cdata* struct tm_clock *
---@param merge function (r, s, r2, s2): r takes in what r2 holds
---@param forget function (r, s): r holds nothing any more
---@return table take(head, t, to): the session that an event joins, announced, or nil: it is late; standing(head, t, to): how many
---   it would change whose row stands, old(j) is each; next(to): the record to make a row of, or nil; final: is it its final row?
---   record(): the same again behind a commit, `at.ptr` its state; close(r): a session goes, as it does by itself at the end of its
---   lateness; key(): of the record at hand; unit(): what is at work; judge_due()
function M.new(rec, opened, clock, merge, forget)
  local ptr, typ, family = opened.ptr, opened.type, siblings.new(opened)
  local find = family.find
  local lateness, emit, open_max = rec.window.lateness, rec.emit, rec.window.open_max
  local every, mode = emit.every, emit.mode
  local at_over = mode == 'closed' or mode == 'updates'   -- there is nothing to do before
  local silent = mode == 'updates'
  local tick, walking, found = huge, false, false
  local W = { final = false, r = nil, working = false, at = opened }

  local function checked(rc) if rc < 0 then state.failed(ptr, rc) end end

  local function arm(r, when)
    if when > LATEST then when = LATEST end
    checked(C.tm_ffi_due_set(ptr, r, when))
    if when < clock.due then windows.set_due(clock, when) end
  end

  --- There is a row to come of it.
  local function open(r)
    if r.fired ~= 0 then
      r.fired = 0
      -- were it armed for that very time already, it would keep its old place
      checked(C.tm_ffi_due_cancel(ptr, r))
    end
    arm(r, at_over and r.to - 1 + lateness or r.to - 1)
    if every and tick == huge then
      tick = windows.first_tick(clock, every, r.from)
      if tick < clock.due then windows.set_due(clock, tick) end
    end
  end

  --- The key's own record is no session any more, though there are others.
  local function leave_head(h)
    forget(h, ptr)
    checked(C.tm_ffi_due_cancel(ptr, h))
    h.live, h.fired, h.sent, h.more, h.older, h.newer, h.partial = 0, 0, 0, 0, 0, 0, 0
  end

  --- Session number `older` (0: none) is the next one before number `newer` (0: none).
  local function link(h, newer, older)
    if newer == 0 then
      h.first = older
    else
      local r = find(h, newer)
      checked(C.tm_ffi_state_announce(ptr, r))
      r.older = older
    end
    if older ~= 0 then
      local r = find(h, older)
      checked(C.tm_ffi_state_announce(ptr, r))
      r.newer = newer
    end
  end

  --- A session of its own, between numbers `newer` and `older`.
  local function begin(h, newer, older, t, to)
    if to - 1 + lateness <= clock.w then
      if h.first == 0 then checked(C.tm_ffi_state_remove(ptr, h)) end
      return nil
    end
    if h.open >= open_max then
      raise('state-full', ("step '%s': a key has %d open sessions, and no more can be; is the gap too short, or lateness or " ..
        "out_of_order too long?"):format(rec.name, open_max))
    end
    local r, n = h, 1
    if h.live == 0 then
      h.live, h.partial = 1, 0
      if h.top == 0 then h.top = 1 end
    else
      n = h.top + 1
      h.top = n
      r = family.make(h, n)
    end
    h.open = h.open + 1
    r.from, r.to = t, to
    link(h, newer, n)
    link(h, n, older)
    open(r)
    return r
  end

  local run = {}   -- numbers of sessions that become one, the latest first

  --- The oldest of run[1 .. n] takes in the others.
  local function unite(h, r, n)
    for j = n - 1, 1, -1 do
      local other = find(h, run[j])
      merge(r, ptr, other, ptr)
      if other.sent > r.sent then r.sent = other.sent end
      r.more = r.more + other.more
      if other.partial ~= 0 then r.partial = 1 end
      if run[j] == 1 then leave_head(h) else checked(C.tm_ffi_state_remove(ptr, other)) end
    end
    h.open = h.open - (n - 1)
  end

  --- Any event that does not just go on with the key's own record.
  local function place(h, t, to)
    local newer, number = 0, h.first
    local r = number ~= 0 and find(h, number) or nil
    while r and r.from > to do
      newer, number = number, r.older
      r = number ~= 0 and find(h, number) or nil
    end
    if not r or r.to < t then return begin(h, newer, number, t, to) end
    local n, latest = 1, r.to
    run[1] = number
    while r.older ~= 0 do
      local older = find(h, r.older)
      if older.to < t then break end
      n = n + 1
      run[n] = r.older
      r = older
    end
    checked(C.tm_ffi_state_announce(ptr, r))
    if n > 1 then
      unite(h, r, n)
      link(h, newer, run[n])
    end
    local changed = n > 1 or to > latest or r.fired ~= 0
    r.to = to > latest and to or latest
    if t < r.from then r.from = t end
    if changed then open(r) end
    return r
  end

  function W.take(h, t, to)
    -- the latest session is the key's own record, and no other one is near
    if h.first == 1 and t >= h.from and t <= h.to then
      if to > h.to then
        h.to = to
        open(h)
      elseif h.fired ~= 0 then
        open(h)
      end
      return h
    end
    return place(h, t, to)
  end

  local stand = {}

  function W.standing(h, t, to)
    local n, number = 0, h.first
    while number ~= 0 do
      local r = find(h, number)
      if r.to < t then break end
      if r.from <= to and r.sent > 0 then
        n = n + 1
        stand[n] = number
      end
      number = r.older
    end
    return n
  end

  --- The j-th of them from the oldest, announced.
  function W.old(h, n, j)
    local r = find(h, stand[n - j + 1])
    checked(C.tm_ffi_state_announce(ptr, r))
    return r
  end

  function W.close(r)
    local h = family.head(r)
    checked(C.tm_ffi_state_announce(ptr, h))
    link(h, r.newer, r.older)
    h.open = h.open - 1
    if r.number ~= 0 then
      checked(C.tm_ffi_state_remove(ptr, r))
    elseif h.open > 0 then
      leave_head(h)
    end
    if h.open == 0 then checked(C.tm_ffi_state_remove(ptr, h)) end
  end

  -- What is due -------------------------------------------------------------------

  local function list(h, numbers)
    local n, number = 0, h.first
    while number ~= 0 do
      n = n + 1
      numbers[n] = number
      number = find(h, number).older
    end
    for i = 1, n / 2 do numbers[i], numbers[n - i + 1] = numbers[n - i + 1], numbers[i] end
    return n
  end
  local begin_walk, walk = family.walk(list)

  local function at_work(r, final)
    W.final, W.working, W.r = final, true, r
    return r
  end

  --- A session that was taken off the wheel; nil: it goes without a row.
  local function fire(p)
    local r = cast(typ, p)
    if r.fired ~= 0 or silent then
      W.close(r)
      C.tm_ffi_changes_commit(state.changes)
      return nil
    end
    checked(C.tm_ffi_state_announce(ptr, r))
    r.fired = 1
    arm(r, r.to - 1 + lateness)
    family.hold(r)
    C.tm_ffi_changes_commit(state.changes)
    return at_work(family.held(), true)
  end

  --- The next early row of a tick; nil: that is done.
  local function next_early()
    local r = walk()
    while r do
      if r.fired == 0 then
        found = true
        return at_work(r, false)
      end
      r = walk()
    end
    -- where all is sent there is nothing to count on: the next session that opens begins anew
    tick, walking = found and tick + every or huge, false
    return nil
  end

  local function next_slowly(to)
    while true do
      if walking then
        local r = next_early()
        if r then return r end
      end
      -- the end of input is no multiple of anything
      local early = tick <= to and to < huge
      local bound = early and tick - 1 or to
      local p
      if ptr.due <= bound and ptr.due < huge then
        p = C.tm_ffi_due_pop(ptr, bound)
        if p == nil and ptr.code < 0 then state.failed(ptr, ptr.code) end
      elseif early then
        begin_walk()
        walking, found = true, false
      else
        return nil
      end
      local r = p ~= nil and fire(p) or nil
      if r then return r end
    end
  end

  function W.next(to)
    W.working = false
    if tick == huge and ptr.due <= to and ptr.due < huge then
      local p = C.tm_ffi_due_pop(ptr, to)
      local r = p ~= nil and fire(p) or nil
      if r then return r end
    end
    return next_slowly(to)
  end

  function W.record()
    if not W.working then return nil end
    W.r = family.held()
    return W.r
  end

  function W.judge_due() return ptr.due < tick and ptr.due or tick end

  --- Is a record no session, but only where a key's others are found?
  function W.is_head(r) return r.number == 0 and r.live == 0 end

  --- For state_places.lua: when the next early row comes.
  function W.tick() return tick end

  function W.take_tick(at)
    if at < tick then tick = at end
    if clock and tick < clock.due then windows.set_due(clock, tick) end
  end
  places.of_siblings(opened, W)

  keep.add(opened.name .. '/windows', 'sessions', function() return { tick = tick } end, function(data) tick = data.tick end)

  --- The key of the record at hand, in Lua's form.
  function W.key() return family.key_of(W.r) end

  function W.unit()
    if W.working then return W.key(), { window_start = W.r.from, window_end = W.r.to } end
  end

  return W
end

return M
