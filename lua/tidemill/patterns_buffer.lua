--[[
patterns_buffer.lua - the events that matches of a step have taken so far, each once, and what they were taken for: a tree whose branches
share their beginnings.

  node    one event taken as one stage behind another node; parent 0: it begins the match
  event   its bytes, while a node names it, or while it is kept for late events to come before it (patterns_retract.lua): such ones of a
          key are a chain, in order of time and so of their numbers

        1 a1 as probe <── 2 a2 as probe <── 4 b1 as hit          what has come so far is a node: the way from it to its beginning
                      <── 3 b1 as hit

Both are records of states of C, "pipeline/step/nodes" and "…/events", by numbers that are given once. refs: how many nodes, matches that go
on and finished ones name it; without any it is removed, and then what it named.
]]

local lib = require 'tidemill.lib'
local keep = require 'tidemill.keep'
local state = require 'tidemill.state'
local C, ffi = lib.C, lib.ffi

local M = {}

local CACHED_MAX = 4000   -- matches and events in Lua's form kept for the next conditions

---@param name string "pipeline/step"
---@param graph table of patterns_graph.make
---@param copy function(text, len): the event in Lua's form
---@param chained boolean events may be kept
---@return table next_event(): the number of the event at hand; begin(t, text, len): it is another one; take(stage, parent): the node of its
---   being taken, refs 0; refer(node, n): n more name it, or fewer; way(node): its events from the beginning, in lists of places in
---   graph.stages and numbers; text(event): pointer and length; match(node): what functions see as m
function M.new(name, graph, copy, chained)
  local B = { events = 0, nodes = 0, now = 0, at = 0 }
  local key = state.key
  local nodes = state.open(name .. '/nodes', { 'event', 'stage', 'parent', 'refs' }, {}, {}, { kind = 'match_nodes', key = { 'node' } })
  local events = state.open(name .. '/events', chained and { 'time', 'refs', 'before', 'behind' } or { 'time', 'refs' },
    { { name = 'bytes', kind = 'text' } }, {}, { kind = 'match_events', key = { 'event' } })
  local node_ptr, event_ptr, node_type, event_type = nodes.ptr, events.ptr, nodes.type, events.type
  local text, len = nil, 0

  keep.add(name .. '/numbers', 'numbers of events and nodes of a pattern', function() return { B.events, B.nodes } end,
    function(data) B.events, B.nodes = data[1], data[2] end)

  local function check(ptr, rc)
    if rc < 0 then state.failed(ptr, rc) end
  end

  local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'
  --- The number that is the key of a record of another run.
  local function number_of(ptr, record)
    C.tm_ffi_key_parts(C.tm_ffi_state_key(ptr, record, key_len), key_len[0], parts)
    return parts[0].num
  end
  function nodes.imported(record) B.nodes = math.max(B.nodes, number_of(node_ptr, record)) end
  function events.imported(record) B.events = math.max(B.events, number_of(event_ptr, record)) end

  --- The record of a number, announced.
  local function record(ptr, typ, n)
    key.len = 0
    C.tm_ffi_key_number(key, n)
    local p = C.tm_ffi_state_write(ptr, key)
    if p == nil then state.failed(ptr, ptr.code) end
    return ffi.cast(typ, p)
  end

  --- The event at hand is another one, of these bytes, which stay where they are meanwhile.
  function B.begin(t, bytes, n)
    B.events = B.events + 1
    B.now, B.at, text, len = B.events, t, bytes, n
  end

  --- The record of the event at hand, which one more names.
  local function named()
    local e = record(event_ptr, event_type, B.now)
    if event_ptr.code == C.TM_STATE_NEW then
      e.time = B.at
      check(event_ptr, C.tm_ffi_text_set(event_ptr, e, 0, text, len))
    end
    e.refs = e.refs + 1
    return e
  end

  local function unname(event)
    local e = record(event_ptr, event_type, event)
    e.refs = e.refs - 1
    if e.refs == 0 then check(event_ptr, C.tm_ffi_state_remove(event_ptr, e)) end
  end

  function B.take(stage, parent)
    named()
    B.nodes = B.nodes + 1
    local node = B.nodes
    local r = record(node_ptr, node_type, node)
    r.event, r.stage, r.parent, r.refs = B.now, stage, parent, 0
    return node
  end

  function B.refer(node, n)
    while node ~= 0 do
      local r = record(node_ptr, node_type, node)
      r.refs = r.refs + n
      if r.refs > 0 then return end
      local parent, event = r.parent, r.event
      check(node_ptr, C.tm_ffi_state_remove(node_ptr, r))
      unname(event)
      node, n = parent, -1
    end
  end

  --- A node that was made and that nothing names after all.
  function B.forget(node)
    local r = record(node_ptr, node_type, node)
    if r.refs == 0 then B.refer(node, 0) end
  end

  local function found(ptr, typ, n)
    key.len = 0
    C.tm_ffi_key_number(key, n)
    local p = C.tm_ffi_state_find(ptr, key)
    if p == nil then error('a pattern lost an event or a node: ' .. name .. ' ' .. n) end
    return ffi.cast(typ, ffi.cast('void *', p))
  end

  function B.way(node)
    local stages, ids, n = {}, {}, 0
    while node ~= 0 do
      local r = found(node_ptr, node_type, node)
      n = n + 1
      stages[n], ids[n] = r.stage, r.event
      node = r.parent
    end
    for i = 1, math.floor(n / 2) do
      local j = n + 1 - i
      stages[i], stages[j], ids[i], ids[j] = stages[j], stages[i], ids[j], ids[i]
    end
    return stages, ids, n
  end

  function B.text(event)
    local e = found(event_ptr, event_type, event)
    return event_ptr.base + 8 * e.bytes.at, e.bytes.n
  end

  --- The numbers of the first and last event of a stage, a place in graph.stages, in what a node stands for; nil: it has none.
  function B.ends(node, place)
    local owns, first, last = graph.stages[place].owns, nil, nil
    local stages, ids, n = B.way(node)
    for i = 1, n do
      if owns[stages[i]] then first, last = first or ids[i], ids[i] end
    end
    return first, last
  end

  -- Kept events ---------------------------------------------------------------------------

  local function link(a, b)
    if a ~= 0 then record(event_ptr, event_type, a).behind = b end
    if b ~= 0 then record(event_ptr, event_type, b).before = a end
  end

  --- Keeps the event at hand in a chain, between two others or at an end of it (0).
  function B.keep(before, behind)
    named()
    link(before, B.now)
    link(B.now, behind)
  end

  --- The event is no longer kept: the one that came behind it, which is the first of the chain now.
  function B.unkeep(event)
    local behind = record(event_ptr, event_type, event).behind
    unname(event)
    if behind ~= 0 then record(event_ptr, event_type, behind).before = 0 end
    return behind
  end

  --- A kept event's time, and the numbers of its neighbours.
  function B.kept(event)
    local e = found(event_ptr, event_type, event)
    return e.time, e.before, e.behind
  end

  --- A kept event is the one at hand again.
  function B.again(event)
    B.now, B.at = event, found(event_ptr, event_type, event).time
  end

  --- A kept event gets a number larger than all others, and is the one at hand. What was taken of it goes on under its old number.
  function B.renumber(event)
    local e = found(event_ptr, event_type, event)
    local before, behind = e.before, e.behind
    B.begin(e.time, B.text(event))
    B.keep(before, behind)
    unname(event)
  end

  -- What conditions see ------------------------------------------------------------------

  local matches, copies, cached = {}, {}, 0

  local function copy_of(event)
    local c = copies[event]
    if not c then
      c = copy(B.text(event))
      copies[event], cached = c, cached + 1
    end
    return c
  end

  local seen_mt = { __index = function(_, stage)
    local names = {}
    for i, s in ipairs(graph.stages) do names[i] = s.name end
    lib.raise('name', "the pattern has no stage '" .. tostring(stage) .. "'" .. require('tidemill.suggest').among(tostring(stage), names))
  end }

  function B.match(node)
    local m = matches[node]
    if m then return m end
    if cached > CACHED_MAX then matches, copies, cached = {}, {}, 0 end
    m = setmetatable({}, seen_mt)
    local stages, ids, n = B.way(node)
    for place, s in ipairs(graph.stages) do
      local list = {}
      for i = 1, n do
        if s.owns[stages[i]] then list[#list + 1] = copy_of(ids[i]) end
      end
      rawset(m, graph.stages[place].name, list)
    end
    matches[node], cached = m, cached + 1
    return m
  end

  return B
end

return M
