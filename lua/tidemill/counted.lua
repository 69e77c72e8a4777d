--[[
counted.lua - windows of a number of events: those of each key that are open, early rows of them, and what is left of them at
the end of input.

The first window of a key begins with its first event, the next one `slide` events later. With slide >= n a key has one record, which
is its open window; else its own record is the head, which only counts, and each open window is a record of its own
(siblings.lua): at most `most` at once, number 2 + i % most that of window i.

  seen    events of the key so far; with slide >= n since its window began      number   of a record; 0: it is the head
  partial   1: it was open when the step got an aggregate, which has seen a part of its events
A window is full, and gives its row, with the event that is its n-th.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local keep = require 'tidemill.keep'
local places = require 'tidemill.state_places'
local siblings = require 'tidemill.siblings'
local windows = require 'tidemill.windows'
local C = lib.C
local ceil, floor, huge = math.ceil, math.floor, math.huge

local M = {}

--- Number cells of a record, beside those of what is kept of its events.
M.cells = { 'seen', 'number', 'partial' }

---@param rec table the step's: window, emit
---@param opened table of state.open
---@param clock ffi.cdata*|nil struct tm_clock *
---@param forget function (r, s): r holds nothing any more
---@return table most: windows of a key at once; count(head, t): how many the event at hand, which is counted, is in; nth(head, j): its
---   j-th from the oldest, announced, and how many events that has then; close(r): one that is full or at its end goes;
---   next(to): the record to make a row of, or nil; final: is it its final row? key(), unit(), judge_due()
function M.new(rec, opened, clock, forget)
  local ptr, family = opened.ptr, siblings.new(opened)
  local n, slide, every = rec.window.window.n, rec.window.window.slide, rec.emit.every
  local most = slide < n and ceil(n / slide) or 1
  local tick, walking, found = huge, false, false
  local W = { most = most, final = false, r = nil, working = false }

  local function checked(rc) if rc < 0 then state.failed(ptr, rc) end end

  --- The first window that is open with so many events, counted from 0.
  local function oldest(seen)
    local first = ceil((seen - n) / slide)
    return first > 0 and first or 0
  end

  local function start_tick(t)
    tick = windows.first_tick(clock, every, t)
    if tick < clock.due then windows.set_due(clock, tick) end
  end

  function W.count(h, t)
    h.seen = h.seen + 1
    if every and tick == huge then start_tick(t) end
    if most > 1 then return floor((h.seen - 1) / slide) - oldest(h.seen) + 1 end
    if h.seen <= n then return 1 end
    if h.seen == slide then checked(C.tm_ffi_state_remove(ptr, h)) end
    return 0
  end

  function W.nth(h, j)
    if most == 1 then return h, h.seen end
    local i = oldest(h.seen) + j - 1
    return family.make(h, 2 + i % most), h.seen - i * slide
  end

  function W.close(r)
    -- in the gap behind it the key is still counted
    if slide > n then
      r.partial = 0
      return forget(r, ptr)
    end
    checked(C.tm_ffi_state_remove(ptr, r))
  end

  --- The open windows of a key.
  local function list(h, numbers)
    if most == 1 then
      numbers[1] = 1
      return h.seen > 0 and h.seen < n and 1 or 0
    end
    local first, count = oldest(h.seen + 1), 0
    while (first + count) * slide < h.seen do
      numbers[count + 1] = 2 + (first + count) % most
      count = count + 1
    end
    return count
  end
  local begin_walk, walk = family.walk(list)

  --- The next record until the watermark is `to`: early rows at each tick, at the end of input all.
  function W.next(to)
    W.working = false
    while true do
      if walking then
        local r = walk()
        if r then
          found = true
          W.final, W.working, W.r = walking == 'final', true, r
          return r
        end
        if walking == 'early' then tick = found and tick + every or huge end
        walking = false
        if to == huge then return nil end
      end
      if tick > to and to < huge then return nil end
      begin_walk()
      walking, found = to < huge and 'early' or 'final', false
    end
  end

  function W.judge_due() return tick end

  --- Is a record no window, but only where a key's are counted?
  function W.is_head(r) return r.number == 0 and (most > 1 or r.seen >= n) end

  --- For state_places.lua: when the next early row comes.
  function W.tick() return tick end

  function W.take_tick(at)
    if at < tick then tick = at end
    if clock and tick < clock.due then windows.set_due(clock, tick) end
  end
  places.of_siblings(opened, W)

  keep.add(opened.name .. '/windows', 'windows of a number of events', function() return { tick = tick } end,
    function(data) tick = data.tick end)
  function W.key() return family.key_of(W.r) end
  function W.unit() if W.working then return W.key(), {} end end

  return W
end

return M
