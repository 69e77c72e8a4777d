--[[
re_fields.lua - tm.re's :fields: a step of map that reads a field's bytes where they lie and leaves the captures as written slots of
the view, in place of the event's fields or beside them, which a sink writes as they are. A Lua string is made of a capture when a
later step reads it (lib.SPAN).

Where the view forks or declares a capture's type, where the field was written before, or needs more than JSON's escapes to be read,
the captures go the general way, as a table.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local C, ffi, bit, raise, owner = lib.C, lib.ffi, lib.bit, lib.raise, lib.owner
local band, rshift = bit.band, bit.rshift
local EMPTY_ROW, SPAN = lib.EMPTY_ROW, lib.SPAN

--- Made for the number of groups, so that no loop stands in the way of the batch's.
local function text_of(groups)
  local marks = {}
  for i = 1, groups do marks[i] = ('vals[s[%d]] = SPAN'):format(i) end
  return 'local SPAN = ... return function(vals, s) ' .. table.concat(marks, ' ') .. ' end'
end

--- What the step needs of a view; false where it is to go the general way.
local function plan_of(V, r, name)
  local source = V.field(name)
  if V.log_undo or not V.batch or not source.col or source.typ then return false end
  local n = r.groups
  local plan = { source = source, groups = ffi.new('int32_t[?]', n), slots = ffi.new('int32_t[?]', n), list = {} }
  -- in the order in which they leave, which spares sorting them for each event
  local order = {}
  for i = 1, n do order[i] = i end
  table.sort(order, function(a, b) return r.names[a] < r.names[b] end)
  for i, group in ipairs(order) do
    local node = V.field(r.names[group])
    if node.rule or node.typ then return false end
    plan.groups[i - 1], plan.slots[i - 1], plan.list[i] = group, node.slot, node.slot
  end
  return plan
end

local MARKS_MAX = 60   -- beyond, the table costs little beside the rest

---@param r table the expression's record
---@param name string the field
---@param failed function of the record and a result below 0
---@param add boolean the event keeps its fields, and goes on as it is where it does not match
---@return function of an event, for map
return function(r, name, failed, add)
  local plans, buf = setmetatable({}, { __mode = 'k' }), lib.buf()
  local re, groups = r.re, r.groups
  local mark = groups <= MARKS_MAX and assert(loadstring(text_of(groups), '=tidemill.library.re_fields'))(SPAN)

  -- new fields in the order of plan_of
  local sorted = { unpack(r.names, 1, groups) }
  table.sort(sorted)

  local function general(e)
    local s = e[name]
    if type(s) ~= 'string' then raise('type', "fields: the field '" .. name .. "' is no text but " .. args.kind(s)) end
    local found = r.match(s, 0, 0)
    if not add then return found end
    for i = 1, found and groups or 0 do
      local v = found[sorted[i]]
      if v ~= nil then e[sorted[i]] = v end
    end
    return e
  end

  return function(e)
    local node = owner[e]
    if not node or node.parent then raise('type', "fields: it is a function for map: stream:map(expression:fields '" .. name .. "')") end
    local V = node.V
    local plan, st = plans[V], V.st
    if plan == nil then
      plan = mark and plan_of(V, r, name)
      plans[V] = plan
    end
    local row = st.row
    if not plan or st.writes ~= 0 or row == EMPTY_ROW then return general(e) end
    local cell = plan.source.col + row
    local kind, len, p = band(cell.tag, 15), rshift(cell.tag, 4), V.batch.raw + cell.off
    if kind == 8 and not V.packed then
      buf.len = 0
      if C.tm_ffi_json_unescape(p, len, buf) ~= 0 then raise('memory', 'a string is too long to read') end
      p, len = buf.data, buf.len
    elseif kind ~= 7 then
      return general(e)
    end
    local rc = C.tm_ffi_re_match(re, p, len, 0, 0)
    if rc ~= 1 then
      if rc == 0 then return add and e or nil end
      failed(r, rc)
    end
    if not add then V.replaced() end
    C.tm_ffi_re_write(re, p, st, V.overlay, plan.groups, plan.slots, groups)
    mark(V.vals, plan.list)
    return e
  end
end
