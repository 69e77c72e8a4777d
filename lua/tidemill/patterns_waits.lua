--[[
patterns_waits.lua - events of a pattern that wait until the watermark has passed them: a state "pipeline/step/waiting" in whose queue they
lie (host/state/waits.c), in order of time, then of arrival, or with order_by of a field. Late ones that may correct what was sent have a
queue of their own, "pipeline/step/late", which is empty again behind each.

Without order_by an event that can begin no match is passed over there if its key has no record. With it all events of one time are taken
out at once, as texts, and sorted; that lasts no longer than the turns that follow, and nothing is saved meanwhile.
]]

local lib = require 'tidemill.lib'
local keep = require 'tidemill.keep'
local state = require 'tidemill.state'
local windows = require 'tidemill.windows'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local huge = math.huge

local M = {}

-- what writes and reads lines is loaded where it is asked for
local function export_of() return require 'tidemill.state_export' end
local function exact_of() return require 'tidemill.state_exact' end

local NEW, MORE = C.TM_STATE_NEW, C.TM_STATE_MORE
local OF_USE, BEGINS = 1, 2   -- marks of events with order_by

--- Does a value of the field come before another one? Missing ones first, then numbers, then texts.
function M.comes_before(x, y)
  if x == y then return false end
  if x == nil or y == nil then return x == nil end
  if type(x) ~= type(y) then return type(x) == 'number' end
  return x < y
end

--- Equal ones as they arrived.
local function before(a, b)
  if a.order == b.order then return a.n < b.n end
  return M.comes_before(a.order, b.order)
end

---@param name string of the state
---@param rec table the step's: name, place, order_by
---@param records ffi.cdata* struct tm_state * of keys
---@param o table key: { names } or nil; clock: struct tm_clock *
---@param ordered boolean events of one time are sorted by the field order_by
---@return table ptr: struct tm_state *; put: struct tm_waiting * to be filled for one more, put_order(v) its field, marks: what its mark is
---   when it can begin a match and when not; peek(to): the time of the next event up to `to`, or nil; take(to): it has its turn: text, len,
---   at; false: it can mean nothing; find(): its key's record, announced; judge_due()
function M.new(name, rec, records, o, ordered)
  local opened = state.open(name, {}, {}, {}, { kind = 'match_waiting', key = o.key and o.key.names or {} })
  local ptr = opened.ptr
  local rc = C.tm_ffi_waits_new(ptr, ordered and 1 or 0)
  if rc == C.TM_STATE_TYPE then
    raise('state-changed', ("%s: the events of '%s' that wait in the data folder were kept %s order_by. Give the pattern another name, " ..
      'to begin with nothing, put the script back, or start anew with --reset'):format(rec.place, rec.name,
      ordered and 'without' or 'with'))
  elseif rc ~= 0 then
    raise('memory', "no memory for the state '" .. name .. "' (--memory)")
  end
  C.tm_ffi_turns_also(ptr, records)
  local put, turn = ffi.new 'struct tm_waiting', ffi.new 'struct tm_waiting'
  local W = { ptr = ptr, put = ffi.cast('struct tm_waiting *', put), anchors = { put, turn }, text = nil, len = 0, at = 0,
    marks = ordered and { BEGINS, OF_USE } or { 1, 0 } }
  turn = ffi.cast('struct tm_waiting *', turn)
  local same, same_n, same_at = {}, 0, 0   -- events of one time, in order

  local function first(to)
    local code
    repeat code = C.tm_ffi_waits_first(ptr, records, to, turn) until code ~= MORE
    if code < 0 then state.failed(ptr, code) end
    return code == NEW
  end

  --- Takes out all events of the first time.
  local function take_same(to)
    local at = turn.time
    same_n, same_at = 0, 0
    repeat
      C.tm_ffi_turns_key(ptr, state.key)
      local kind, order = turn.order.kind, nil
      if kind == C.TM_VALUE_NUMBER then order = turn.order.num
      elseif kind == C.TM_VALUE_STRING then order = ffi.string(turn.order.text, turn.order.len) end
      same_n = same_n + 1
      same[same_n] = { text = ffi.string(turn.text, turn.len), key = ffi.string(state.key.bytes, state.key.len), mark = turn.mark,
        order = order, n = same_n, at = at }
      C.tm_ffi_waits_take(ptr)
    until not first(to) or turn.time ~= at
    for i = same_n + 1, #same do same[i] = nil end
    table.sort(same, before)
  end

  if ordered then keep.add_test(function() return same_at >= same_n end) end

  function W.peek(to)
    if same_at < same_n then return same[same_at + 1].at end
    return first(to) and turn.time or nil
  end

  function W.take(to)
    if not ordered then
      W.text, W.len, W.at = turn.text, turn.len, turn.time
      C.tm_ffi_waits_take(ptr)
      return true
    end
    if same_at >= same_n then take_same(to) end
    same_at = same_at + 1
    local e = same[same_at]
    W.text, W.len, W.at = e.text, #e.text, e.at
    state.key.len = #e.key
    ffi.copy(state.key.bytes, e.key, #e.key)
    return e.mark == BEGINS or C.tm_ffi_state_find(records, state.key) ~= nil
  end

  function W.find()
    local p
    if ordered then p = C.tm_ffi_state_write(records, state.key) else p = C.tm_ffi_turns_write(ptr, records) end
    if p == nil then state.failed(records, records.code) end
    return p
  end

  function W.put_order(v)
    local order = W.put.order
    if v == nil or v == lib.NULL then
      order.kind = C.TM_VALUE_NIL
    elseif type(v) == 'number' and v == v then
      order.kind, order.num = C.TM_VALUE_NUMBER, v
    elseif type(v) == 'string' then
      order.kind, order.text, order.len, W.order = C.TM_VALUE_STRING, v, #v, v
    else
      raise('type', ("match: order_by '%s' takes numbers or texts, but the field holds %s"):format(rec.order_by,
        v ~= v and 'NaN' or 'a ' .. type(v)))
    end
  end

  -- For state_export.lua ------------------------------------------------------------

  --- The events that wait, as lines, in their order. It takes them out: for a look into what is kept, which nothing is written back of.
  function opened.waiting_lines()
    local lines, code = {}
    local out, key_text = lib.buf(), state.key
    while true do
      repeat code = C.tm_ffi_waits_first(ptr, nil, huge, turn) until code ~= MORE
      if code ~= NEW then return lines end
      C.tm_ffi_turns_key(ptr, key_text)
      out.len = 0
      export_of().put_waiting(out, opened.name, key_text, turn, ordered)
      lines[#lines + 1] = ffi.string(out.data, out.len)
      C.tm_ffi_waits_take(ptr)
    end
  end

  --- An event that waited in another run; its key is the key at hand.
  function opened.take_waiting(line)
    if type(line.time) ~= 'number' or type(line.mark) ~= 'number' then raise('import', '"time" and "mark" of an event are numbers') end
    local text = exact_of().text_of(line.event, '"event"')
    put.text, put.len, put.time, put.mark = text, #text, line.time, line.mark
    if ordered then W.put_order(line.order) end
    local failed = C.tm_ffi_waits_put(ptr, state.key, put)
    if failed < 0 then state.failed(ptr, failed) end
    C.tm_ffi_changes_commit(state.changes)
    if line.time < o.clock.due then windows.set_due(o.clock, line.time) end
  end

  function W.judge_due()
    if same_at < same_n then return same[same_at + 1].at end
    return ptr.due
  end

  return W
end

return M
