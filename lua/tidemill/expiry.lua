--[[
expiry.lua - what a state gives up as time passes: keys that nothing came to for `ttl`, elements of their containers (state_aged.lua).

A record holds the time of its last use (`written`) and is armed on the wheel of C (host/state/due.c) lazily: a new one for that time +
ttl, and what comes up is armed again where it has been used since. So a use costs one store, and a key goes exactly when the watermark
has reached its last use + ttl, in order of these times. Elements make their record due in the same way.

Each record is taken in a unit of its own, which is committed here: a user's function that fails must not find it again.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local windows = require 'tidemill.windows'
local C, ffi = lib.C, lib.ffi
local huge = math.huge

local M = {}

local EXACT = 2 ^ 53   -- beyond it nothing can be due

---@param main table of state.open: its records are timed, with ttl they have a cell `written`
---@param o table ttl: in ms, or nil; aged: a list of { least: a cell, ttl, pass(record, upto) } of containers, or nil
---@param clock ffi.cdata* struct tm_clock *
---@return table arm(record, at): it is looked at again at that time; begin(record): a new one, whose `written` is set; near(record, at):
---   something of it goes then, perhaps before what it is armed for; take(to): the record that is due first,
---   if it goes now; remove(record); pass(to): all keys go that are due; judge_due()
function M.new(main, o, clock)
  local E = {}
  local ptr, typ, ttl, aged, marker = main.ptr, main.type, o.ttl or huge, o.aged or {}, lib.flow.marker

  local function check(rc)
    if rc < 0 then state.failed(ptr, rc) end
  end

  function E.arm(record, at)
    if at > EXACT then return end
    check(C.tm_ffi_due_set(ptr, record, at < -EXACT and -EXACT or at))
    if at < clock.due then windows.set_due(clock, at) end
  end

  function E.begin(record) E.arm(record, ffi.cast(typ, record).written + ttl) end

  function E.near(record, at)
    local due = C.tm_ffi_due_time(ptr, record)
    if due ~= due or at < due then E.arm(record, at) end
  end

  --- Elements that go by `at`; when the next one does.
  local function pass_elements(record, at)
    local first, r = huge, ffi.cast(typ, record)
    for i = 1, #aged do
      local a = aged[i]
      if r[a.least] + a.ttl <= at then a.pass(record, at) end
      first = math.min(first, r[a.least] + a.ttl)
    end
    return first
  end

  function E.take(to)
    local p = C.tm_ffi_due_pop(ptr, to)
    if p == nil then
      check(ptr.code)
      return nil
    end
    marker.sub = marker.sub + 1
    local at = ptr.due_popped
    local over = ttl < huge and ffi.cast(typ, p).written + ttl or huge
    if over <= at then return p, at end
    local again = math.min(over, pass_elements(p, at))
    if again < huge then E.arm(p, again) end
    C.tm_ffi_changes_commit(state.changes)
    return nil
  end

  function E.remove(record)
    check(C.tm_ffi_state_remove(ptr, record))
    C.tm_ffi_changes_commit(state.changes)
  end

  function E.pass(to)
    while ptr.due <= to and ptr.due < huge do
      local p = E.take(to)
      if p ~= nil then E.remove(p) end
    end
  end

  function E.judge_due() return ptr.due end
  return E
end

return M
