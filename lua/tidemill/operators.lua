--[[
operators.lua - what steps of codegen_operators.lua do that is too much for text in the loop: the lists of `top`, what `dedup`
keeps with keep = 'last'.

A list of top lies in the state as slots in no order (the value, the time, the event as text) and `order`, the slots by rank: an
event that enters changes one slot and moves ranks. A full list gives the slot of its last rank to the event that enters. The
record itself holds what that last rank is, so that an event which does not enter costs one comparison in the loop.
]]

local lib = require 'tidemill.lib'
local state_of = require 'tidemill.state'
local types = require 'tidemill.types'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string

local M = {}

M.NUMBER, M.TEXT = 1, 2   -- what a list ranks by
local NUMBER, TEXT = M.NUMBER, M.TEXT

--- The record of top: its numbers, and what hangs off it.
M.top_numbers = { 'n', 'kind', 'worst', 'worst_at', 'revision', 'at' }
M.top_refs = {
  { name = 'order', kind = 'list', of = 'number' }, { name = 'numbers', kind = 'list', of = 'number' },
  { name = 'texts', kind = 'list', of = 'string' }, { name = 'times', kind = 'list', of = 'number' },
  { name = 'events', kind = 'list', of = 'string' },
}
local ORDER, NUMBERS, TEXTS, TIMES, EVENTS = 0, 1, 2, 3, 4

local val = ffi.new 'struct tm_value'

local function done(ptr, rc)
  if rc < 0 then state_of.failed(ptr, rc) end
end

local function number_at(ptr, r, list, i)
  done(ptr, C.tm_ffi_list_get(ptr, r, list, i, val))
  return val.num
end

local function text_at(ptr, r, list, i)
  done(ptr, C.tm_ffi_list_get(ptr, r, list, i, val))
  return (ffi_string(val.text, val.len))
end

--- Sets element i of a list that has at least i - 1.
local function put(ptr, r, list, i, n)
  if i > n then done(ptr, C.tm_ffi_list_push(ptr, r, list, val)) else done(ptr, C.tm_ffi_list_set(ptr, r, list, i, val)) end
end

local function put_number(ptr, r, list, i, n, v)
  val.kind, val.num = C.TM_VALUE_NUMBER, v
  put(ptr, r, list, i, n)
end

local function put_text(ptr, r, list, i, n, text, len)
  val.kind, val.text, val.len = C.TM_VALUE_STRING, text, len
  put(ptr, r, list, i, n)
end

--- What enters and shows the lists of one step.
---@param rec table the step's record: n, field, order, timed
---@param view table the view the events are read from
---@param ptr ffi.cdata* struct tm_state *
---@param hold table where the rows go
---@param typ table|nil the field's declared type
---@return function enter(r, v, time): does the event change the list? It is in it then
---@return function show(r, partial): puts the rows of the list into hold
function M.top(rec, view, ptr, hold, typ)
  local limit, desc = rec.n, rec.order == 'desc'
  local int64 = typ and (typ.name == 'int64' or typ.name == 'time_ns')
  local cmp = types.i64.cmp

  local function wrong(r, v)
    if v ~= v then raise('type', "top '" .. rec.name .. "': field '" .. rec.field .. "' holds NaN, which has no rank") end
    local found = lib.owner[v] and 'an object' or 'a ' .. type(v)
    if type(v) == 'number' or type(v) == 'string' then
      found = found .. ', and the list of this key ranks ' .. (r.kind == NUMBER and 'numbers' or 'texts')
    end
    raise('type', "top '" .. rec.name .. "' ranks numbers or texts, but field '" .. rec.field .. "' holds " .. found)
  end

  --- Does v at that time come before w at its own? Equal in both: it came later.
  local function before(v, time, w, w_time)
    if v == w then return time < w_time end
    local less
    if int64 then less = cmp(v, w) < 0 else less = v < w end
    return less ~= desc
  end

  local function value_at(r, slot)
    if r.kind == NUMBER then return (number_at(ptr, r, NUMBERS, slot)) end
    return (text_at(ptr, r, TEXTS, slot))
  end

  local function enter(r, v, time)
    local kind = type(v) == 'number' and v == v and NUMBER or type(v) == 'string' and TEXT or 0
    if kind == 0 or (r.kind ~= 0 and r.kind ~= kind) then wrong(r, v) end
    r.kind = kind
    local n, slot = r.n, r.n + 1
    if n == limit then
      slot = number_at(ptr, r, ORDER, n)
      if not before(v, time, value_at(r, slot), number_at(ptr, r, TIMES, slot)) then return false end
    else
      put_number(ptr, r, ORDER, slot, n, 0)
    end
    local rank = n == limit and n - 1 or n
    while rank >= 1 do
      local other = number_at(ptr, r, ORDER, rank)
      if not before(v, time, value_at(r, other), number_at(ptr, r, TIMES, other)) then break end
      put_number(ptr, r, ORDER, rank + 1, limit, other)
      rank = rank - 1
    end
    put_number(ptr, r, ORDER, rank + 1, limit, slot)
    if kind == NUMBER then put_number(ptr, r, NUMBERS, slot, n, v) else put_text(ptr, r, TEXTS, slot, n, v, #v) end
    put_number(ptr, r, TIMES, slot, n, time)
    local text, len = view.own_text()
    put_text(ptr, r, EVENTS, slot, n, text, len)
    n = n < limit and n + 1 or n
    r.n, r.revision, r.at = n, r.revision + 1, time
    local last = number_at(ptr, r, ORDER, n)
    r.worst_at = number_at(ptr, r, TIMES, last)
    if kind == NUMBER then r.worst = number_at(ptr, r, NUMBERS, last) end
    return true
  end

  local function show(r, partial)
    local n = r.n
    if n > lib.flow.max_rows then
      raise('too-many-rows', "top '" .. rec.name .. "' has " .. n .. ' rows, more than one event may make (--max-rows)')
    end
    local tail = (',"revision":%.0f%s}'):format(r.revision - 1, partial and ',"partial":true' or '')
    for rank = 1, n do
      local event = text_at(ptr, r, EVENTS, number_at(ptr, r, ORDER, rank))
      hold[rank], hold.shapes[rank] = lib.text(event:sub(1, -2) .. ',"rank":' .. rank .. tail, 9), false
    end
    hold.n = n
  end

  return enter, show
end

--- What dedup with keep = 'last' keeps of an event.
M.EVENT = { name = 'event', kind = 'text' }

-- what `state get` tells of a record, beside its key: names, and their values
local shown = {
  first = { {}, function() end },
  within = { { 'at' }, function(r) return r.at end },
  last = { { 'event', 'revision' }, function(r, ptr) return lib.text(state_of.text(ptr, r.event), 9), r.revision - 1 end },
  throttle = { { 'at', 'tokens' }, function(r, _, rec) return r.at, r.credit / rec.per end },
  suppress = { { 'held', 'start' }, function(r) return r.held, r.start end },
  top = { { 'events', 'revision' }, function(r, ptr)
    local list = {}
    for rank = 1, r.n do list[rank] = text_at(ptr, r, EVENTS, number_at(ptr, r, ORDER, rank)) end
    return lib.text('[' .. table.concat(list, ',') .. ']', 10), r.revision - 1
  end },
}

--- Tells `state get` how to print the records of a step.
function M.shows(state, view, what)
  local rec, of_key, names = state.step.rec, {}, {}
  for _, name in ipairs(state.names) do of_key[name] = true end
  for i, name in ipairs(shown[what][1]) do names[i] = { name = of_key[name] and 'state.' .. name or name } end
  state.view, state.shown = view, names
  function state.results(r, ptr) return shown[what][2](r, ptr, rec) end
end

--- The test of dedup with keep = 'last': is the event another one than that kept? It is kept then.
---@param view table the view the events are read from
---@param ptr ffi.cdata* struct tm_state *, whose first reference is the text
---@return function changed(r)
function M.changed(view, ptr)
  return function(r)
    local text, len = view.own_text()
    local rc = C.tm_ffi_text_change(ptr, r, 0, text, len)
    done(ptr, rc)
    return rc == C.TM_STATE_NEW
  end
end

return M
