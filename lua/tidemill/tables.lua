--[[
tables.lua - what a table keeps beside its text in the loops: the state, opened by whoever names it first, the types of its keys,
and the versions that nobody can ask for any more.

  record without time   { row }           the row as JSON text
  record with time      { times, rows }   in order of time (host/state/versions.c); an empty row: from then on there is none

A version is kept while a lookup may ask for it: until the watermark of all who look up is `versioned` beyond the next version's time.
The record is due then; every SWEEP rows some of those due are looked at, so that what is kept stays in proportion to what can be asked.
]]

local lib = require 'tidemill.lib'
local keep = require 'tidemill.keep'
local state = require 'tidemill.state'
local C, ffi = lib.C, lib.ffi
local ffi_string, huge = ffi.string, math.huge

local M = {}

local SWEEP, SWEEP_MOST, TRIM_MOST = 64, 128, 4096
local KEY_PARTS = 16
local KINDS = { [C.TM_KEY_IS_NUMBER] = 'number', [C.TM_KEY_IS_STRING] = 'string', [C.TM_KEY_IS_BOOLEAN] = 'boolean' }

--- Looks after records that are due; called once a row, and does something every SWEEP of them.
local function sweeper(T, clocks, versioned)
  local function visit(low)
    local p = C.tm_ffi_due_pop(T.ptr, low)
    if p == nil then return false end
    local left = C.tm_ffi_versions_trim(T.ptr, p, 0, low - versioned, TRIM_MOST)
    if left < 0 then state.failed(T.ptr, left) end
    local rc
    if left == 0 then rc = C.tm_ffi_state_remove(T.ptr, p) else rc = T.arm(p) end
    if rc < 0 then state.failed(T.ptr, rc) end
    return true
  end
  return function(time)
    if time > T.highest then T.highest = time end
    T.unswept = T.unswept + 1
    if T.unswept < SWEEP then return end
    T.unswept = 0
    local low = huge
    for i = 1, #clocks do low = math.min(low, clocks[i].w) end
    if #clocks == 0 then low = T.highest end
    for _ = 1, SWEEP_MOST do
      if T.ptr.due > low or not visit(low) then return end
    end
  end
end

--- The time of a record's last version.
local function last_time(T, record)
  local v, n = T.before, tonumber(ffi.cast(T.state.type, record).times.n)
  if n == 0 or C.tm_ffi_list_get(T.ptr, record, 0, n, v) < 0 then return -huge end
  return v.num
end

--- The state of a planned table, and what goes with it; the same for all who ask.
---@param entry table of plan_tables.lua
---@return table { state, ptr, kinds, versioned, arm(record), sweep(time) }
function M.of(entry)
  if entry.opened then return entry.opened end
  local rec = entry.rec
  local refs = rec.time and { { name = 'times', kind = 'list', of = 'number' }, { name = 'rows', kind = 'list', of = 'string' } } or
    { { name = 'row', kind = 'text' } }
  local opened = state.open(rec.name, {}, refs, { max_keys = rec.options.max_keys, on_full = rec.options.on_full,
    timed = rec.versioned ~= nil }, { kind = 'table', key = rec.on.fields })
  local kinds = ffi.new('int32_t[?]', KEY_PARTS)
  local T = { state = opened, ptr = opened.ptr, kinds_anchor = kinds, kinds = ffi.cast('int32_t *', kinds), highest = -huge,
    unswept = 0, before = ffi.new 'struct tm_value', after = ffi.new 'struct tm_value' }
  --- A record that came otherwise than by a row.
  function opened.imported(record)
    C.tm_ffi_key_learn(T.ptr, record, T.kinds)
    if rec.time then T.highest = math.max(T.highest, last_time(T, record)) end
  end
  opened.step, opened.names, opened.composite = entry.step, rec.on.fields, rec.on.composite
  opened.key_nodes, opened.table = {}, T
  if rec.versioned then
    local versioned = rec.versioned
    --- The record is due when its first version can go. Times that no clock can reach are due never.
    function T.arm(record)
      local rc = C.tm_ffi_due_set(T.ptr, record, C.tm_ffi_versions_over(T.ptr, record, 0) + versioned)
      return rc == C.TM_STATE_RANGE and 0 or rc
    end
    T.sweep = sweeper(T, entry.clocks, versioned)
  end
  keep.add('table/' .. rec.name, 'a table', function()
    local list = {}
    for i = 1, KEY_PARTS do list[i] = kinds[i - 1] end
    return { highest = T.highest, unswept = T.unswept, kinds = list }
  end, function(data)
    T.highest, T.unswept = data.highest, data.unswept
    for i = 1, KEY_PARTS do kinds[i - 1] = data.kinds[i] end
  end)
  entry.opened = T
  return T
end

--- What a record holds, as JSON text: the row, or { time, row } of each version; nil: nothing.
function M.json(opened, record)
  local T = opened.table
  local r = ffi.cast(opened.type, record)
  if opened.index.row then return state.text(T.ptr, r.row) end
  local out, time, row = {}, ffi.new 'struct tm_value', ffi.new 'struct tm_value'
  for i = 1, tonumber(r.times.n) do
    C.tm_ffi_list_get(T.ptr, record, 0, i, time)
    C.tm_ffi_list_get(T.ptr, record, 1, i, row)
    out[i] = ('{"time":%.0f,"row":%s}'):format(time.num, row.len > 0 and ffi_string(row.text, row.len) or 'null')
  end
  return '[' .. table.concat(out, ',') .. ']'
end

--- Tells, once for each lookup, that its keys are of another type than all keys of the table.
---@return function (part): part is the first one at fault
function M.teller(step)
  local rec, T, told = step.rec, nil, false
  local name = rec.table_rec.name
  return function(part)
    if told then return end
    told, T = true, M.of(step.table)
    local has = {}
    for bit, kind in pairs(KINDS) do if lib.bit.band(T.kinds[part - 1], bit) ~= 0 then has[#has + 1] = kind .. 's' end end
    table.sort(has)
    local key = state.parts_of(state.key.bytes, state.key.len)[part]
    local kind = type(key) == 'table' and 'number' or type(key)
    local shown = type(key) == 'table' and key.text or kind == 'string' and "'" .. key .. "'" or tostring(key)
    local right = rec.table_rec.on.fields[part]
    local what = rec.on.fields[part]
    local how = kind == 'number' and 'number' or kind == 'boolean' and 'boolean' or 'string'
    lib.host.warn(("%s: lookup: '%s' of the event is a %s, %s, but '%s' of table '%s' holds %s only (1 and \"1\" differ), so nothing is " ..
      "found; give the one side the other's type, as with tm.table('%s', { schema = { %s = '%s' }, … })%s"):format(step.place, what, kind,
      shown, right, name, table.concat(has, ' and '), name, right, how, how == 'number' and '; CSV has strings only' or ''))
  end
end

return M
