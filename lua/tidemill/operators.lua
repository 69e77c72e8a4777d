--[[
operators.lua - what steps of codegen_operators.lua do that is too much for text in the loop: the lists of `top`, what `dedup`
keeps with keep = 'last'.

How a list of top lies in the state, and who enters it, is host/aggregate/top.c's.
]]

local lib = require 'tidemill.lib'
local state_of = require 'tidemill.state'
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

local val = ffi.new 'struct tm_value'

local function done(ptr, rc)
  if rc < 0 then state_of.failed(ptr, rc) end
end

--- The event of a rank, as JSON text.
local function event_at(ptr, r, rank)
  done(ptr, C.tm_ffi_top_event(ptr, r, rank, val))
  return (ffi_string(val.text, val.len))
end

--- What enters and shows the lists of one step.
---@param rec table the step's record: n, field, order, timed
---@param view table the view the events are read from
---@param ptr ffi.cdata* struct tm_state *
---@param hold table where the rows go
---@param typ table|nil the field's declared type
---@param plan ffi.cdata*|nil struct tm_top_rows *, where C writes the rows
---@return function enter(r, v, time): does the event change the list? It is in it then
---@return function show(r, partial): puts the rows of the list into hold
function M.top(rec, view, ptr, hold, typ, plan)
  local limit = rec.n
  local digits = typ and (typ.name == 'int64' or typ.name == 'time_ns')
  local order = (rec.order == 'desc' and C.TM_TOP_DESC or 0) + (digits and C.TM_TOP_DIGITS or 0)

  local function wrong(r, v)
    if v ~= v then raise('type', "top '" .. rec.name .. "': field '" .. rec.field .. "' holds NaN, which has no rank") end
    local found = (lib.owner[v] or lib.is_text(v)) and 'an object' or 'a ' .. type(v)
    if type(v) == 'number' or type(v) == 'string' then
      found = found .. ', and the list of this key ranks ' .. (r.kind == NUMBER and 'numbers' or 'texts')
    end
    raise('type', "top '" .. rec.name .. "' ranks numbers or texts, but field '" .. rec.field .. "' holds " .. found)
  end

  local function enter(r, v, time)
    local kind = type(v) == 'number' and v == v and NUMBER or type(v) == 'string' and TEXT or 0
    if kind == 0 or (r.kind ~= 0 and r.kind ~= kind) then wrong(r, v) end
    r.kind = kind
    if kind == NUMBER then val.kind, val.num = C.TM_VALUE_NUMBER, v else val.kind, val.text, val.len = C.TM_VALUE_STRING, v, #v end
    local text, len = view.own_text()
    local rc = C.tm_ffi_top_enter(ptr, r, limit, order, val, time, text, len, plan)
    done(ptr, rc)
    return rc == 1
  end

  local function show(r, partial)
    local n = r.n
    if n > lib.flow.max_rows then
      raise('too-many-rows', "top '" .. rec.name .. "' has " .. n .. ' rows, more than one event may make (--max-rows)')
    end
    local tail = (',"revision":%.0f%s}'):format(r.revision - 1, partial and ',"partial":true' or '')
    for rank = 1, n do
      local event = event_at(ptr, r, rank)
      hold[rank], hold.shapes[rank] = lib.text(event:sub(1, -2) .. ',"rank":' .. rank .. tail, 9), false
    end
    hold.n = n
  end

  return enter, show
end

--- The rows of a list as C writes them: of these fields, nil: of all; nil where a declared type says how one of them is written.
function M.top_rows(view, names)
  if view.field('rank').rule or view.field('revision').rule then return nil end
  local what = { rank = C.TM_TOP_RANK, revision = C.TM_TOP_REVISION }
  local plan = C.tm_ffi_top_rows_new()
  for _, name in ipairs(names or {}) do
    if C.tm_ffi_top_rows_add(plan, name, #name, what[name] or C.TM_TOP_FIELD) ~= 0 then return nil end
  end
  return plan
end

--- What dedup with keep = 'last' keeps of an event.
M.EVENT = { name = 'event', kind = 'text' }

-- what `state get` tells of a record, beside its key: names, and their values
local shown = {
  first = { {}, function() end },
  within = { { 'at' }, function(r) return r.at end },
  last = { { 'event', 'revision' }, function(r, ptr) return lib.text(state_of.text(ptr, r.event), 9), r.revision - 1 end },
  waiting = { { 'events', 'from' }, function(r) return r.times.n, r.from end },
  throttle = { { 'at', 'tokens' }, function(r, _, rec) return r.at, r.credit / rec.per end },
  suppress = { { 'held', 'start' }, function(r) return r.held, r.start end },
  top = { { 'events', 'revision' }, function(r, ptr)
    local list = {}
    for rank = 1, r.n do list[rank] = event_at(ptr, r, rank) end
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
    local rc = C.tm_ffi_text_patch(ptr, r, 0, text, len)
    done(ptr, rc)
    return rc == C.TM_STATE_NEW
  end
end

return M
