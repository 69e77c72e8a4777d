--[[
windows.lua - the windows of a step that are open, and what is to be done with them as the watermark passes.

A window has a record a key, in order of the keys' first arrival. The first OWN_MAX that are open have a keyed state each, which is
given back as a whole when nothing more can come; further ones are sections of one state (host/state/sections.c), which costs a
lookup more for a new key, and little for a window. A window that no event fell into does not exist. What windows that overlap hold
may lie in panes instead (panes.lua); then a window is shown by what it gets of those.

  entry   { k, from, to, over, fired, ptr, id }   k: its number (bounds.lua), from and to: its bounds; over: when nothing more can
          come, to - 1 + lateness; fired: its rows were sent; ptr: its state, id: its section there, OWN: it is the whole state;
          partial: it was open when the step got an aggregate, which has seen a part of its events
  job     what is being done with a window: 'tick' an early row, 'final' its row, 'over' it goes. One record at a time (next), so it
          can rest where an output is full. `next` has no loop of its own where it can be helped: it is part of a trace.
In order of time, then of the windows' starts; at the same time early rows come before final ones. Ends, and so all times, ascend with k:
what is due next is the first in a heap.
]]

local lib = require 'tidemill.lib'
local bounds = require 'tidemill.bounds'
local duration = require 'tidemill.duration'
local heap = require 'tidemill.heap'
local keep = require 'tidemill.keep'
local places = require 'tidemill.state_places'
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

--- Registers a clock: how far it is. Its distance and its limit are the script's.
---@param name string of keep.add
---@param at table as of M.enter
function M.keep(name, at)
  local k = at.ptr
  keep.add(name, 'a clock', function()
    return { k.highest, k.w, k.due, k.cap, k.low, part = at.part, highest = at.highest, seen = at.seen, bounded = at.bounded,
      over = at.over, unbegun = at.unbegun, told = at.told, told_from = at.told_from }
  end, function(data)
    k.highest, k.w, k.due, k.cap, k.low = data[1], data[2], data[3], data[4], data[5]
    for _, field in ipairs { 'part', 'highest', 'seen', 'bounded', 'over', 'unbegun', 'told', 'told_from' } do at[field] = data[field] end
    M.set_due(k, k.due)
  end)
  keep.add_clock(name, k, M.set_due)
end

--- The first multiple of `every` that the watermark will pass; from: where the first window begins.
function M.first_tick(clock, every, from)
  local low = clock.w > -huge and clock.w or clock.highest - clock.distance
  if low == -huge then low = from - 1 end   -- a spec that has not moved its watermark yet
  return (floor(low / every) + 1) * every
end

local IDLE_MAX = 4     -- empty states kept for windows to come
local OWN_MAX = 256    -- windows with a state of their own
local OWN = -1

-- stands where no window is
local NONE = { k = 0, from = huge, to = -huge, over = huge, ptr = lib.ffi.cast('struct tm_state *', nil), id = OWN, fired = false }

--- What windows hold that have records of their own, as panes.lua is it for those that share them.
---@param opened table of state.open; the first window's state is its
local function holdings(opened)
  local H = {}
  local idle, own, crowd, sections = { opened.ptr }, 0, nil, 0

  function H.begin(e)
    if own < OWN_MAX then
      own = own + 1
      e.ptr, e.id = table.remove(idle) or state.again(opened), OWN
      return
    end
    crowd = crowd or state.with_sections(opened)
    sections = sections + 1
    e.ptr, e.id = crowd, sections
  end

  --- Its records can be walked: a section, or OWN.
  function H.shown(e) return e.id end

  function H.no_more_shown() end
  function H.sent() end

  --- For keep.lua: of a window, and what else there is.
  function H.saved_of(e) return keep.address(e.ptr), e.id end

  function H.save()
    local addresses = {}
    for i = 1, #idle do addresses[i] = keep.address(idle[i]) end
    return { idle = addresses, crowd = crowd and keep.address(crowd), sections = sections }
  end

  --- list: the windows, with address and id; data: what H.save gave.
  function H.load(list, data)
    local crowded = {}
    for _, e in ipairs(list) do
      if e.id ~= OWN then crowded[#crowded + 1] = e.id end
    end
    own, crowd, sections = 0, data.crowd and keep.state(data.crowd, nil, opened, crowded), data.sections
    idle[1] = nil
    local first = not opened.change and opened.ptr or nil   -- one that has changed is asked for by its old address
    for i, address in ipairs(data.idle) do idle[i] = keep.state(address, first, opened) end
    for _, e in ipairs(list) do
      if e.id == OWN then e.ptr, own = keep.state(e.address, first, opened), own + 1 else e.ptr = crowd end
    end
  end

  function H.drop(e)
    if e.id ~= OWN then return state.drop_section(e.ptr, e.id) end
    own = own - 1
    -- the first one stays: of those of its name it is what a process that goes on makes first, and so gets
    if #idle < IDLE_MAX or e.ptr == opened.ptr then
      local rc = C.tm_ffi_state_recycle(e.ptr)
      if rc < 0 then state.failed(e.ptr, rc) end
      C.tm_ffi_changes_commit(state.changes)
      idle[#idle + 1] = e.ptr
    else
      C.tm_ffi_state_free(e.ptr)
    end
  end

  return H
end

---@param rec table the step's: window, lateness, emit
---@param opened table of state.open; the first window's
---@param panes table|nil of panes.new: what the windows hold
---@return table cur: the window met last, ptr: a state to start with; find(t): the window of a time, or nil when it is too late;
---   due: the watermark at which there is something to do
function M.new(rec, opened, clock, panes)
  local w, lateness, emit = rec.window.window, rec.window.lateness, rec.emit
  local size, every = w.size, emit.every
  local closed, open_max = emit.mode == 'closed', rec.window.open_max
  local number, edge
  if size then number, edge = bounds.of(w, w.slide) end
  local held = panes or holdings(opened)
  local by, count, waiting, fired = {}, 0, heap.new(), heap.new()   -- entries by k; those whose rows are not sent, those that are
  local job, cursor, tick = nil, nil, huge
  local section, place = OWN, 0   -- of what is shown: its section, and the record at work
  local empty = true              -- so far: an event that failed may have left a window without any
  local W = { cur = NONE, due = huge, none = NONE, at = NONE, pending = false }

  local function judge_due()
    local due, e, f = tick, waiting[1], fired[1]
    if e then
      local t = closed and e.over or e.to - 1
      if t < due then due = t end
    end
    if f and f.over < due then due = f.over end
    W.due = due
    return due
  end
  W.judge_due = judge_due

  local function make(k, from, to)
    if count >= open_max then
      raise('state-full', ("step '%s' has %d open windows, and no more can be; is a time far off, or out_of_order too long?")
        :format(rec.name, open_max))
    end
    local e = { k = k, from = from, to = to, over = to - 1 + lateness, fired = false }
    held.begin(e)
    count = count + 1
    by[k] = e
    heap.push(waiting, e)
    if every and tick == huge then tick = M.first_tick(clock, every, from) end
    judge_due()
    if clock and W.due < clock.due then M.set_due(clock, W.due) end
    return e
  end

  --- The window of a number, made if it is new; nil: nothing more may come into it.
  function W.open(k)
    local e = by[k]
    if e then
      if e.over <= clock.w then return nil end
      return e
    end
    local to = edge(k, size)
    if to - 1 + lateness <= clock.w then return nil end
    return make(k, edge(k, 0), to)
  end

  --- That window, if it is open.
  function W.of(k) return by[k] end

  --- The window of a time (tumbling), or the j-th latest of them from 0 (hopping): nil it is too late, false there is none.
  function W.find(t, j)
    local k = number(t) - (j or 0)
    local e = by[k]
    if t >= (e and e.to or edge(k, size)) then return false end
    e = W.open(k)
    if e and not j then W.cur = e end
    return e
  end

  --- The one window for all time.
  function W.whole()
    local e = by[0] or make(0, -huge, huge)
    W.cur = e
    return e
  end

  local function drop(e, again)
    by[e.k], count = nil, count - 1
    if W.cur == e then W.cur = NONE end
    if count == 0 then tick = huge end
    held.drop(e, again)
  end

  --- Those whose rows are not sent, in order of their starts.
  local function unsent()
    local list = {}
    for i = 1, waiting.n do list[i] = waiting[i] end
    table.sort(list, function(a, b) return a.k < b.k end)
    return list
  end

  --- What is to be done first until the watermark is `to`; nil: nothing.
  local function next_job(to)
    local e, f = waiting[1], fired[1]
    local time, over = e and (closed and e.over or e.to - 1) or huge, f and f.over or huge
    -- the end of input is no multiple of anything
    if tick <= to and to < huge and tick <= time and tick <= over then
      local list = unsent()
      if #list > 0 then return { kind = 'tick', list = list, n = 1 } end
      tick = huge
    end
    if e and time <= to and (time <= over or not f) then return { kind = 'final', e = heap.pop(waiting) } end
    if f and over <= to then return { kind = 'over', e = heap.pop(fired) } end
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
      if empty then
        drop(j.e, true)
      else
        j.e.fired = true
        held.sent(j.e)
        heap.push(fired, j.e)
      end
    else
      drop(j.e)
    end
    job = nil
    judge_due()
  end

  --- The record behind the one at work.
  local function step()
    if section == OWN then
      local p = C.tm_ffi_cursor_next(cursor)
      if p ~= nil or cursor.done == 0 then
        empty = false
        return p
      end
      C.tm_ffi_cursor_free(cursor)
    else
      place = place + 1
      local p = C.tm_ffi_section_at(W.at.ptr, section, place)
      if p ~= nil then
        empty = false
        return p
      end
    end
    cursor = nil
    held.no_more_shown(W.at)
    finish()
    return nil
  end

  --- Begins to walk the window at work: false, it takes longer.
  local function begin()
    W.at, W.final = job.kind == 'tick' and job.list[job.n] or job.e, job.kind == 'final'
    local shown = held.shown(W.at)
    if not shown then return false end
    section, place, empty = shown, 0, true
    cursor = section ~= OWN or C.tm_ffi_cursor_new(W.at.ptr)
    if cursor == nil then   -- it can only be left out: what fails again and again would never end
      cursor = nil
      finish()
      raise('memory', ("step '%s': no memory to make rows of the window from %.0f; it is left out (--memory)")
        :format(rec.name, W.at.from))
    end
    return true
  end

  --- The first record of the next window at work; nil: nothing is left until the watermark is `to`, or W.pending.
  local function first_of_next(to)
    while true do
      if not job then
        job = next_job(to)
        if not job then return nil end
      end
      if job.kind == 'over' then
        finish()
      else
        if not cursor and not begin() then
          W.pending = true
          return nil
        end
        local p = step()
        if p ~= nil then return p end
      end
    end
  end

  --- The next record to make a row of until the watermark is `to`: a pointer, its window in W.at; nil: nothing is left, or, with
  --- W.pending, more than is done in one go comes before it.
  function W.next(to)
    if cursor then
      local p = step()
      if p ~= nil then return p end
    end
    return first_of_next(to)
  end

  --- The record next gave last, if it is still there; its window is W.at.
  function W.record()
    if not cursor then return nil end
    local p
    if section == OWN then p = C.tm_ffi_cursor_at(cursor) else p = C.tm_ffi_section_at(W.at.ptr, section, place) end
    if p ~= nil then return p end
  end

  keep.add(opened.name .. '/windows', panes and 'windows made of panes' or 'windows', function()
    -- one flat list, as there may be thousands
    local list, n = {}, 0
    for k, e in pairs(by) do
      list[n + 1], list[n + 2] = k, e.fired
      list[n + 3], list[n + 4] = held.saved_of(e)
      n = n + 4
    end
    local partial
    for k, e in pairs(by) do
      if e.partial then
        partial = partial or {}
        partial[#partial + 1] = k
      end
    end
    return { tick = tick, list = list, held = held.save(), size, w.slide, w.offset, w.zone, partial = partial }
  end, function(data)
    if data[1] ~= size or data[2] ~= w.slide or data[3] ~= w.offset or data[4] ~= w.zone then
      return 'its windows have another size, slide, offset or zone'
    end
    local list, from = {}, data.list
    tick = data.tick
    for i = 1, #from, 4 do
      local k = from[i]
      local e = { k = k, from = size and edge(k, 0) or -huge, to = size and edge(k, size) or huge, fired = from[i + 1],
        address = from[i + 2], id = from[i + 3] }
      e.over = e.to - 1 + lateness
      list[#list + 1], by[k] = e, e
      heap.push(e.fired and fired or waiting, e)
    end
    count = #list
    for _, k in ipairs(data.partial or {}) do by[k].partial = true end
    if opened.change and opened.change.begun then
      for _, e in ipairs(list) do e.partial = true end
    end
    local why = held.load(list, data.held)
    judge_due()
    return why
  end)

  --- For state_places.lua: the windows that are open, by their starts; and when the next early row comes.
  function W.list()
    local list = {}
    for _, e in pairs(by) do list[#list + 1] = e end
    table.sort(list, function(a, b) return a.k < b.k end)
    return list, tick
  end

  --- A window of another run, made if it is new; nil: it has other bounds, or no more can be open. from: its start, nil of the one for
  --- all time
  function W.take_in(from, sent, partial)
    local k = from and number(from) or 0
    local e = by[k]
    if not e then
      e = { k = k, from = size and edge(k, 0) or -huge, to = size and edge(k, size) or huge, fired = sent }
      if from and e.from ~= from or count >= open_max then return nil end
      e.over = e.to - 1 + lateness
      held.begin(e)
      by[k], count = e, count + 1
      heap.push(sent and fired or waiting, e)
      if sent then held.sent(e) end
    end
    e.partial = e.partial or partial
    judge_due()
    if clock and W.due < clock.due then M.set_due(clock, W.due) end
    return e
  end

  --- The next early row comes at that time.
  function W.take_tick(at)
    if at < tick then tick = at end
    judge_due()
    if clock and W.due < clock.due then M.set_due(clock, W.due) end
  end
  W.panes = panes
  places.of_windows(opened, W)

  --- Its key and bounds.
  function W.unit()
    local p = W.record()
    if not p then return nil end
    local e = W.at
    return state.key_of(e.ptr, p, opened.names, opened.composite),
      e.from > -huge and { window_start = e.from, window_end = e.to } or {}
  end

  return W
end

return M
