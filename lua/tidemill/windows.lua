--[[
windows.lua - the windows of a step that are open, and what is to be done with them as the watermark passes.

Each open window is a keyed state of its own, with a record a key: in order of the keys' first arrival, given back as a whole when
nothing more can come. A window that no event fell into does not exist.

  entry   { from, to, over, ptr, fired }   from and to: its bounds; over: when nothing more can come, to - 1 + lateness; fired: its
          rows were sent; ptr: its state
  job     what is being done with a window: 'tick' an early row, 'final' its row, 'over' it goes. One record at a time (next), so it
          can rest where an output is full. `next` has no loop of its own where it can be helped: it is part of a trace.
In order of time, then of the windows' starts; at the same time early rows come before final ones.
]]

local lib = require 'tidemill.lib'
local duration = require 'tidemill.duration'
local state = require 'tidemill.state'
local C, raise = lib.C, lib.raise
local floor, huge = math.floor, math.huge

local M = {}

--- From which watermark on there is something to do in a pipeline.
function M.set_due(clock, due)
  -- of a timer that was set behind the watermark no event of this partition need come near
  clock.due, clock.trip = due, due <= clock.low and -huge or clock.cap >= due and due + clock.distance or huge
end

--- Partitions that have ended hold nothing back any more.
local function forget_ended(at)
  for q in pairs(at.highest) do
    if q ~= at.part and lib.host.part_over(q) then at.highest[q] = nil end
  end
end

--- Since when a live partition has brought nothing though it was asked; nil: that is not so.
local function silent_since(at, q)
  local quiet = lib.host.quiet(q)
  return quiet and math.max(quiet, at.seen[q])
end

--- The least watermark of the partitions besides the one at hand that hold it back, and when the next of them does so no more.
local function cap_of(at, unbegun, now)
  local cap, due = unbegun - at.ptr.distance, huge
  for q, highest in pairs(at.highest) do
    if q ~= at.part then
      local w, from = highest - at.ptr.distance, not at.bounded[q] and silent_since(at, q)
      if not from or now - from < at.idle then
        if w < cap then cap = w end
        if from and from + at.idle < due then due = from + at.idle end
      end
    end
  end
  return cap, due
end

--- The partition that holds the clock back, and since when it has brought nothing; nil: none does but the one at hand.
local function holder(at)
  local k, least, found = at.ptr, huge, nil
  for q, highest in pairs(at.highest) do
    if q ~= at.part and highest < least then least, found = highest, q end
  end
  if not found or least >= k.highest then return nil end
  return found, not at.bounded[found] and silent_since(at, found) or nil
end

--- Is the clock held back by a partition that has fallen silent, or, in processing time, is something due? Then true; else when it would
--- be. Who waits for whom is told at half of the time.
function M.idle(at, now, pipeline)
  if at.processing then
    local due = at.ptr.due + at.ptr.distance
    return now >= due or due
  end
  if not at.part then return huge end
  local cap, due = cap_of(at, at.unbegun, now)
  local q, from = holder(at)
  if at.told and (q ~= at.told or from ~= at.told_from) then at.told = nil end
  if from and not at.told then
    local tell = from + at.idle / 2
    if tell > now then
      due = math.min(due, tell)
    else
      at.told, at.told_from = q, from
      lib.host.warn(("pipeline '%s': waiting: %s silent for %s; its watermark waits for that input at most %s (idle_after)"):format(
        pipeline, lib.host.part_name(q), duration.text(math.max(1, floor((now - from) / 100) * 100)), duration.text(at.idle)))
    end
  end
  return cap > at.ptr.cap or due
end

--- For the summary: the watermark, and the partition it waits for, if that is silent, for how long.
function M.watermark(at, now)
  local k = at.ptr
  if at.processing then return k.highest - k.distance end
  local q, from = holder(at)
  return math.max(k.low, math.min(k.highest - k.distance, k.cap)), from and q, from and now - from
end

--- A batch begins: the clock becomes that of its partition. The watermark is the least of all partitions: of those that are bounded and
--- not begun by their first events, none if these are not known; those that ended hold nothing back, nor do live ones that brought
--- nothing for `idle` ms.
---@param at table ptr, idle; part, highest, seen, bounded by partition; over: how many had ended
function M.enter(at, batch)
  local k, p = at.ptr, batch.part
  if at.processing then
    if batch.received_ms > k.highest then k.highest = batch.received_ms end
    return M.set_due(k, k.due)
  end
  local w = k.highest - k.distance
  if w > k.cap then w = k.cap end
  if w > k.low then k.low = w end
  if p ~= at.part then
    if at.part then at.highest[at.part] = k.highest end
    k.highest, at.part = at.highest[p] or -huge, p
    if batch.live >= 0 then at.bounded[p] = batch.live == 0 end
  end
  if batch.live >= 0 then at.seen[p] = batch.received_ms end
  if batch.parts_over ~= at.over then
    forget_ended(at)
    at.over = batch.parts_over
  end
  at.unbegun = batch.unbegun
  k.cap = cap_of(at, at.unbegun, batch.received_ms)
  M.set_due(k, k.due)
end

--- The first multiple of `every` that the watermark will pass; from: where the first window begins.
function M.first_tick(clock, every, from)
  local low = clock.w > -huge and clock.w or clock.highest - clock.distance
  if low == -huge then low = from - 1 end   -- a spec that has not moved its watermark yet
  return (floor(low / every) + 1) * every
end

local IDLE_MAX = 4   -- empty states kept for windows to come

-- stands where no window is
local NONE = { from = huge, to = -huge, over = huge, ptr = lib.ffi.cast('struct tm_state *', nil), fired = false }

---@param rec table the step's: window, lateness, emit
---@param opened table of state.open; the first window's
---@return table cur: the window met last, ptr: a state to start with; find(t): the window of a time, or nil when it is too late;
---   due: the watermark at which there is something to do
function M.new(rec, opened, clock)
  local w, lateness, emit = rec.window.window, rec.window.lateness, rec.emit
  local size, slide, offset, every = w.size, w.slide, w.offset, emit.every
  local closed, open_max = emit.mode == 'closed', rec.window.open_max
  local open, idle = {}, { opened.ptr }
  local job, cursor, tick = nil, nil, huge
  local W = { cur = NONE, due = huge, none = NONE, at = NONE, kind = false }

  local function judge_due()
    local due = tick
    for i = 1, #open do
      local e = open[i]
      if not e.fired and not closed and e.to - 1 < due then due = e.to - 1 end
      if e.over < due then due = e.over end
    end
    W.due = due
    return due
  end
  W.judge_due = judge_due

  local function make(from, to)
    if #open >= open_max then
      raise('state-full', ("step '%s' has %d open windows, and no more can be; is a time far off, or out_of_order too long?")
        :format(rec.name, open_max))
    end
    local ptr = table.remove(idle) or state.again(opened)
    local e = { from = from, to = to, over = to - 1 + lateness, ptr = ptr, fired = false, size = to - from }
    local i = #open
    while i > 0 and open[i].from > from do
      open[i + 1] = open[i]
      i = i - 1
    end
    open[i + 1] = e
    if every and tick == huge then tick = M.first_tick(clock, every, from) end
    judge_due()
    if clock and W.due < clock.due then M.set_due(clock, W.due) end
    return e
  end

  --- The window that begins at `from`, made if it is new; nil: nothing more may come into it.
  local function at(from)
    local to = from + size
    if to - 1 + lateness <= clock.w then return nil end
    for i = #open, 1, -1 do
      if open[i].from == from then return open[i] end
    end
    return make(from, to)
  end

  --- The window of a time (tumbling), or the j-th latest of them from 0 (hopping): nil it is too late, false there is none.
  function W.find(t, j)
    local from = floor((t - offset) / slide) * slide + offset - (j or 0) * slide
    if t >= from + size then return false end
    local e = at(from)
    if e and not j then W.cur = e end
    return e
  end

  --- The one window for all time.
  function W.whole()
    local e = open[1] or make(-huge, huge)
    W.cur = e
    return e
  end

  local function drop(e)
    for i = 1, #open do
      if open[i] == e then
        table.remove(open, i)
        break
      end
    end
    if W.cur == e then W.cur = NONE end
    if #idle < IDLE_MAX then
      local rc = C.tm_ffi_state_recycle(e.ptr)
      if rc < 0 then state.failed(e.ptr, rc) end
      C.tm_ffi_changes_commit(state.changes)
      idle[#idle + 1] = e.ptr
    else
      C.tm_ffi_state_free(e.ptr)
    end
    if #open == 0 then tick = huge end
  end

  --- What is to be done first until the watermark is `to`; nil: nothing.
  local function next_job(to)
    local best, time, rank
    for i = 1, #open do
      local e = open[i]
      local t, r = e.to - 1, 2
      if closed then t = e.over end
      if e.fired then t, r = e.over, 3 end
      if t <= to and (not time or t < time or (t == time and r < rank)) then best, time, rank = e, t, r end
    end
    -- the end of input is no multiple of anything
    if tick <= to and to < huge and (not time or tick <= time) then
      local list = {}
      for i = 1, #open do if not open[i].fired then list[#list + 1] = open[i] end end
      if #list > 0 then return { kind = 'tick', list = list, n = 1 } end
      tick = huge
    end
    if not best then return nil end
    return { kind = rank == 2 and 'final' or 'over', e = best }
  end


  --- The job is done: what follows from that.
  local function finish()
    local j = job
    if j.kind == 'tick' then
      if j.n < #j.list then
        j.n = j.n + 1
        return
      end
      tick = tick + every
    elseif j.kind == 'final' and j.e.over > j.e.to - 1 and not closed then
      j.e.fired = true
    else
      drop(j.e)
    end
    job = nil
    judge_due()
  end

  --- The first record of the next window at work; nil: nothing is left until the watermark is `to`.
  local function first_of_next(to)
    while true do
      if cursor and cursor.done ~= 0 then
        C.tm_ffi_cursor_free(cursor)
        cursor = nil
        finish()
      end
      if not job then
        job = next_job(to)
        if not job then return nil end
      end
      if job.kind == 'over' then
        finish()
      else
        if not cursor then
          W.at, W.final = job.kind == 'tick' and job.list[job.n] or job.e, job.kind == 'final'
          cursor = C.tm_ffi_cursor_new(W.at.ptr)
          if cursor == nil then   -- it can only be left out: what fails again and again would never end
            cursor = nil
            finish()
            raise('memory', ("step '%s': no memory to make rows of the window from %.0f; it is left out (--memory)")
              :format(rec.name, W.at.from))
          end
        end
        local p = C.tm_ffi_cursor_next(cursor)
        if p ~= nil then return p end
      end
    end
  end

  --- The next record to make a row of until the watermark is `to`: a pointer, its window in W.at; nil: nothing is left.
  function W.next(to)
    if cursor then
      local p = C.tm_ffi_cursor_next(cursor)
      if p ~= nil then return p end
    end
    return first_of_next(to)
  end

  --- The record next gave last, if it is still there; its window is W.at.
  function W.record()
    local p = cursor and C.tm_ffi_cursor_at(cursor)
    if p and p ~= nil then return p end
  end

  --- Its key and bounds.
  function W.unit()
    local p = W.record()
    if not p then return nil end
    local e = W.at
    return state.key_of(e.ptr, p, opened.names, opened.composite),
      e.from > -huge and { window_start = e.from, window_end = e.to } or {}
  end

  --- For tests and `state`: the windows that are open.
  function W.list() return open end

  return W
end

return M
