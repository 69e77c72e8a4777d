--[[
dedup.lua - events that wait for dedup with keep = 'last' and `within`: those of a key in order of time, of equal times the one that came
last alone (host/state/versions.c).

  times   | from |      |      | ...      the first one begins a group, [from, from + within); its last one is sent when nothing more of
  events  | e    | e    | e    | ...      the group can come, at from + within - 1; what is left then begins the next group

An earlier event may come as long as the watermark has not reached `from`, so until then all are kept; from then on the group is fixed,
and of its events the last alone. One before a group that is fixed is late: within `within` it is a duplicate, else it is sent at once.
Records are armed on the wheel of C. Taking an event ends in a commit, before it is sent: failing, it must not be found again.
]]

local lib = require 'tidemill.lib'
local state = require 'tidemill.state'
local windows = require 'tidemill.windows'
local C, ffi = lib.C, lib.ffi
local ffi_string, huge = ffi.string, math.huge

local M = {}

M.numbers = { 'from' }
M.refs = { { name = 'times', kind = 'list', of = 'number' }, { name = 'events', kind = 'list', of = 'string' } }
--- Where events have another key than that of the step.
M.refs_with_keys = { M.refs[1], M.refs[2], { name = 'key_times', kind = 'list', of = 'number' },
  { name = 'keys', kind = 'list', of = 'string' } }
local TIMES, EVENTS, KEYS = 0, 1, 2
local EXACT = 2 ^ 53   -- beyond it nothing can be due

local val = ffi.new 'struct tm_value'

---@param rec table the step's: within
---@param main table of state.open
---@param clock ffi.cdata* struct tm_clock *
---@param key table? names and composite of the key that events have behind the step; nil: none
---@return table put(r, t, text, len, w): takes an event in, whose key with refs_with_keys is in state.key; true: it is to be sent at
---   once, nil: it is a duplicate; key_now(r): the key in Lua's form behind the step;
---   next(to): the text of the event that is sent next until the watermark is `to`, or nil; its time and key in Lua's form in `at` and
---   `key`; text; judge_due; working: one is being sent
function M.new(rec, main, clock, key)
  local ptr, within, typ = main.ptr, rec.within, main.type
  local keyed = main.index.keys ~= nil
  local D = { at = 0, key = nil, text = '', working = false }

  local function check(rc)
    if rc < 0 then state.failed(ptr, rc) end
  end

  local function time_of(r, i)
    check(C.tm_ffi_list_get(ptr, r, TIMES, i, val))
    return val.num
  end

  --- The first event goes.
  local function shift(r)
    check(C.tm_ffi_list_shift(ptr, r, TIMES, nil))
    check(C.tm_ffi_list_shift(ptr, r, EVENTS, nil))
    if keyed then
      check(C.tm_ffi_list_shift(ptr, r, KEYS, nil))
      check(C.tm_ffi_list_shift(ptr, r, KEYS + 1, nil))
    end
  end

  --- Of the first group the last one stays.
  local function forget(r)
    local to = r.from + within
    while r.times.n >= 2 and time_of(r, 2) < to do shift(r) end
  end

  local function begin(r, from)
    r.from = from
    local due = from + within - 1
    if due > EXACT then due = EXACT elseif due < -EXACT then due = -EXACT end
    check(C.tm_ffi_due_set(ptr, r, due))
    if due < clock.due then windows.set_due(clock, due) end
  end

  function D.put(r, t, text, len, w)
    local waits = r.times.n > 0
    if waits and t < r.from and t <= w then return t <= r.from - within or nil end
    check(C.tm_ffi_versions_put(ptr, r, TIMES, t, text, len))
    if keyed then check(C.tm_ffi_versions_put(ptr, r, KEYS, t, state.key.bytes, state.key.len)) end
    if not waits or t < r.from then begin(r, t) end
    if r.from <= w then forget(r) end
    return false
  end

  --- The key behind the step of the first event.
  local function key_of(r)
    if not key then return nil end
    if not keyed then return (state.key_of(ptr, r, key.names, key.composite)) end
    check(C.tm_ffi_list_get(ptr, r, KEYS + 1, 1, val))
    return (state.key_from(val.text, val.len, key.names, key.composite))
  end

  --- That of the event at hand.
  function D.key_now(r)
    if keyed then return (state.key_from(state.key.bytes, state.key.len, key.names, key.composite)) end
    if not key then return nil end
    return (state.key_of(ptr, r, key.names, key.composite))
  end

  function D.next(to)
    D.working = false
    if ptr.due > to or ptr.due == huge then return nil end
    local p = C.tm_ffi_due_pop(ptr, to)
    while p == nil and ptr.code == C.TM_STATE_MORE do p = C.tm_ffi_due_pop(ptr, to) end
    if p == nil then
      check(ptr.code)
      return nil
    end
    check(C.tm_ffi_state_announce(ptr, p))
    local r = ffi.cast(typ, p)
    forget(r)
    D.at, D.key = time_of(r, 1), key_of(r)
    check(C.tm_ffi_list_get(ptr, r, EVENTS, 1, val))
    D.text = ffi_string(val.text, val.len)
    shift(r)
    if r.times.n == 0 then check(C.tm_ffi_state_remove(ptr, p)) else begin(r, time_of(r, 1)) end
    C.tm_ffi_changes_commit(state.changes)
    D.working = true
    return D.text
  end

  function D.judge_due() return ptr.due end
  return D
end

return M
