--[[
state_orphans.lua - states of a data folder that no step of the scripts at hand declares, as their own words tell (state_layout.lua):
steps that have gone and stay for some days (keep_removed.lua), or all there are, where `tidemill state` is called without scripts.

Their records are shown as lines of state_export.lua; where windows lie is read from what the library remembered of them.
]]

local lib = require 'tidemill.lib'
local bounds = require 'tidemill.bounds'
local export = require 'tidemill.state_export'
local keep = require 'tidemill.keep'
local layout = require 'tidemill.state_layout'
local removed = require 'tidemill.keep_removed'
local state = require 'tidemill.state'
local state_find = require 'tidemill.state_find'
local C, ffi = lib.C, lib.ffi
local ffi_string = ffi.string

local M = {}

-- steps whose fields are those that the script names
local NAMED = { process = true, running = true, aggregate = true }

--- The states that nobody has asked for: a list, and by address.
local function left()
  local list, by_address = {}, {}
  local s = C.tm_ffi_states_left(state.changes, nil)
  while s ~= nil do
    local ptr = ffi.cast('struct tm_state *', s)
    table.insert(list, 1, ptr)   -- the first made first
    by_address[C.tm_ffi_state_address(ptr)] = ptr
    s = C.tm_ffi_states_left(state.changes, s)
  end
  return list, by_address
end

--- The places of windows that were saved, as state_places.lua gives them; nil: the state has no windows.
local function places_of(name, by_address)
  local part = removed.parts[name .. '/windows']
  local data = part and part[2]
  if not data or not data.list then return nil end
  local size, slide, zone = data[1], data[2], { offset = data[3], zone = data[4] }
  local places = {}
  local function add(word, address, section, edge, k, length)
    local ptr = by_address[address]
    if not ptr then return end
    places[#places + 1] = { ptr = ptr, section = section, k = k,
      head = edge and (',"%s":{"start":%.0f,"end":%.0f}'):format(word, edge(k, 0), edge(k, length)) or (',"%s":{}'):format(word) }
  end
  local edge = size and select(2, bounds.of(zone, slide))
  for i = 1, #data.list, 4 do
    local address, id = data.list[i + 2], data.list[i + 3]
    if address then add('window', id == -1 and address or data.held.crowd, id ~= -1 and id or nil, edge, data.list[i], size) end
  end
  if data.held.panes then
    local unit, other = size, slide
    while other ~= 0 do unit, other = other, unit % other end
    local pane_edge = select(2, bounds.of(zone, unit))
    for i = 1, #data.held.panes, 3 do
      add('pane', data.held.state, data.held.panes[i + 1], pane_edge, data.held.panes[i], unit)
    end
  end
  table.sort(places, function(a, b) return a.k < b.k end)
  return places
end

--- All of them, in the order in which they were made.
---@return table list of { name, kind, key, fields: names, keys, bytes, evicted, until_text or nil; and what export.line_of and
---   state_find.parse take }
function M.list()
  local all, by_name, pointers, by_address = {}, {}, left()
  for _, ptr in ipairs(pointers) do
    local name = ffi_string(ptr.name, ptr.name_len)
    local o = by_name[name]
    if not o then
      local text = ptr.layout_len > 0 and ffi_string(ptr.layout, ptr.layout_len) or 'kind -\n'
      local words, nodes, fields = layout.parse(text), {}, {}
      for i = 1, #words.key do nodes[i] = {} end
      for i, f in ipairs(NAMED[words.kind] and words.fields or {}) do fields[i] = f.name end
      local none = words.fields['']
      o = { name = name, kind = words.kind or '-', key = words.key, fields = fields, keys = 0, bytes = 0, evicted = 0, ptr = ptr,
        layout = text, words = words, made_of = { timed = ptr.due < math.huge and 1 or 0 }, names = words.key, key_nodes = nodes,
        composite = #words.key > 1, siblings = none ~= nil and none.parts.number ~= nil,
        until_text = removed.since[name] and (removed.known[name] or not keep.looks) and removed.until_text(name) or nil }
      by_name[name], all[#all + 1] = o, o
    end
    o.keys, o.bytes, o.evicted = o.keys + ptr.keys, o.bytes + ptr.bytes, o.evicted + ptr.evicted
  end
  for _, o in ipairs(all) do
    local places = places_of(o.name, by_address)
    if places then o.places = function() return places end end
  end
  return all
end

--- The bytes of the key of a record, of one of several of a key those of that key.
local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'
local function key_of(ptr, record, number)
  local bytes = C.tm_ffi_state_key(ptr, record, key_len)
  if number and number(record) ~= 0 then
    C.tm_ffi_key_parts(bytes, key_len[0], parts)
    return ffi_string(parts[0].text, parts[0].len)
  end
  return ffi_string(bytes, key_len[0])
end

--- next(out): writes the next line of one of them, as `get` gives it, or returns false.
---@param o table of M.list
---@param wanted table|nil parts of a key, of state_find.parse
---@param limit integer 0: none
function M.getter(o, wanted, limit)
  local write, number = export.line_of(o), export.number_of(o, o.words)
  local places = o.places and o.places() or { { ptr = o.ptr, head = '' } }
  local key = wanted and state_find.key_bytes(o, wanted)
  local at, next_record, n = 0, nil, 0
  return function(out)
    while limit == 0 or n < limit do
      local record = next_record and next_record()
      if not record then
        at = at + 1
        if not places[at] then break end
        next_record = export.records(places[at].ptr, places[at].section)
      elseif not key or key_of(places[at].ptr, record, number) == key then
        n = n + 1
        write(out.buf, places[at].ptr, record, places[at].head)
        if C.tm_ffi_out_end(out, lib.flow) ~= 0 then lib.raise('row-too-large', 'it is larger than 16 MiB') end
        return true
      end
    end
    if n == 0 and wanted then lib.host.fail_run(("state '%s' has no key %s"):format(o.name, state_find.shown(wanted))) end
    return false
  end
end

return M
