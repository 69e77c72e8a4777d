--[[
panes.lua - what hopping windows hold when they share it: an event goes into one pane, and a window's rows are merged from its panes.

A pane is as long as the greatest common divisor of size and slide, so a window is `many` panes in a row and begins every `stride`
panes. All are sections of one state (host/state/sections.c). Where a window has more than DIRECT panes, 2, 4, 8 … panes in a row
that begin at a multiple of as many are merged into nodes once, when the first window needs them; so a row is made of at most
2 log2(many) records, and a pane's record is merged log2(many) times, whatever the slide.

  pane, node   { k, from, to, ptr, id }   k: the number of its first pane; a pane: over, as of a window. A node whose id is false is empty
  record       those of its aggregates, and `first`: a count of all records when it was new, in ascending order in each section. By it
               merged ones lie in the order of the keys' first arrival in the window.

What comes after a window's rows were sent goes into its panes, for windows to come, into the nodes that hold these, and into a record
of the window's own, made of its panes when the first such event of its key comes: by that its rows are sent anew.
]]

local lib = require 'tidemill.lib'
local bounds = require 'tidemill.bounds'
local heap = require 'tidemill.heap'
local keep = require 'tidemill.keep'
local state = require 'tidemill.state'
local C, ffi = lib.C, lib.ffi
local floor, huge = math.floor, math.huge

local M = {}

local DIRECT = 8         -- panes of a window that are merged for each of its rows without nodes
local LEAST = 3          -- windows of an event from which on panes pay
local WASTE = 4          -- panes of a window for each window of an event, at most
local VISITS = 1000      -- records merged in one go

-- Those whose merges give the same to the bit, whatever was merged when, and cannot fail. custom and reduce go by their functions, ewma
-- rounds, heavy_hitters errs, top refuses a mix of types; where distinct and apply have a `max` the event that is too many must fail.
local SAME = { count = true, sum = true, avg = true, var = true, stddev = true, min = true, max = true, first = true, last = true,
  argmin = true, argmax = true, collect = true, distinct = true, approx_distinct = true, quantile = true }
local RANKED = { min = true, max = true, argmin = true, argmax = true }   -- refuse numbers beside texts

local function divisor(a, b)
  while b ~= 0 do a, b = b, a % b end
  return a
end

--- Do the windows of a step `aggregate` share panes? Only where no row is about one event, or about what came since the last row.
function M.shared(rec)
  local w, e = rec.window.window, rec.emit
  if w.kind ~= 'hopping' or e.mode == 'updates' or e.count or not e.accumulate then return false end
  for _, a in ipairs(rec.aggregates) do
    if not SAME[a.kind] or (a.kind == 'distinct' and a.max) then return false end
  end
  local windows = math.ceil(w.size / w.slide)
  return windows >= LEAST and w.size / divisor(w.size, w.slide) <= WASTE * windows
end

---@param rec table the step's
---@param opened table of state.open; its records have a cell `first`
---@param compiled table of aggregate.compile, with merge
---@return table as windows.lua holds windows: begin, shown, no_more_shown, drop; attach(W) before anything else.
---   find(t): the pane of a time, nil when it is too late. slow_to: an event before it may concern what was made of panes already:
---   windows first(pane) to last(pane), of which late(k) is one whose rows were sent, and for level 1 to top node(level, pane)
function M.new(rec, opened, clock, compiled)
  local w, lateness = rec.window.window, rec.window.lateness
  local unit = divisor(w.size, w.slide)
  local many, stride = w.size / unit, w.slide / unit
  local number, edge = bounds.of(w, unit)
  local shared, serial = state.with_sections(opened), 0
  local revises = lateness > 0 and rec.emit.mode ~= 'closed'
  local panes, nodes, kept = {}, {}, heap.new()   -- panes by number, nodes by level and number, nodes by their first pane
  local P = { ptr = shared, slow_to = -huge, records = 0, top = 0, revises = revises }
  local W
  local merging = ffi.new 'struct tm_section_merge'
  local into = ffi.cast('struct tm_section_merge *', merging)
  local merge, typ = compiled.merge, opened.type
  local todo, at_work, result = nil, false, nil   -- merges in front of the window at work, is the first of them begun, the section made
  P.anchor = merging
  into.first = ffi.offsetof(opened.record, 'first')
  if many > DIRECT then
    while 2 ^ (P.top + 1) <= many do
      P.top = P.top + 1
      nodes[P.top] = {}
    end
  end

  local function section()
    serial = serial + 1
    return serial
  end

  function P.attach(windows) W = windows end

  -- For keep.lua ------------------------------------------------------------

  function P.saved_of(e) return false, e.id end

  function P.save()
    local list, made, n = {}, {}, 0
    for k, e in pairs(panes) do
      list[n + 1], list[n + 2], list[n + 3] = k, e.id, e.over
      n = n + 3
    end
    for i = 1, kept.n do
      local node = kept[i]
      made[3 * i - 2], made[3 * i - 1], made[3 * i] = node.level, node.i, node.id
    end
    return { panes = list, nodes = made, serial = serial, state = keep.address(shared), slow_to = P.slow_to, records = P.records,
      kinds = P.kinds }
  end

  function P.load(list, data)
    local ids = {}
    for i = 2, #data.panes, 3 do ids[#ids + 1] = data.panes[i] end
    for i = 3, #data.nodes, 3 do ids[#ids + 1] = data.nodes[i] or nil end
    for _, e in ipairs(list) do
      e.ptr = shared
      if e.id >= 0 then ids[#ids + 1] = e.id end
    end
    keep.state(data.state, shared, opened, ids)
    for i = 1, #data.panes, 3 do
      local k = data.panes[i]
      panes[k] = { k = k, from = edge(k, 0), to = edge(k, unit), over = data.panes[i + 2], ptr = shared, id = data.panes[i + 1] }
    end
    for i = 1, #data.nodes, 3 do
      local level, at = data.nodes[i], data.nodes[i + 1]
      local node = { k = at * 2 ^ level, level = level, i = at, ptr = shared, id = data.nodes[i + 2] }
      nodes[level][at] = node
      heap.push(kept, node)
    end
    serial, P.slow_to, P.records = data.serial, data.slow_to, data.records
    for n, kind in pairs(data.kinds) do if P.kinds[n] then P.kinds[n] = kind end end
  end

  function P.begin(e) e.ptr, e.id = shared, -1 end

  --- For state_places.lua: the panes, by their starts.
  function P.list()
    local list = {}
    for _, e in pairs(panes) do list[#list + 1] = e end
    table.sort(list, function(a, b) return a.k < b.k end)
    return list
  end

  --- A pane of another run, made if it is new; nil: no open window has it.
  function P.take_in(from)
    local k = number(from)
    local window = W.of(floor(k / stride))
    if edge(k, 0) ~= from or not window and not panes[k] then return nil end
    panes[k] = panes[k] or { k = k, from = from, to = edge(k, unit), over = window.over, ptr = shared, id = section() }
    return panes[k]
  end

  --- The section of a window's own records.
  function P.section_of(e)
    if e.id < 0 then e.id = section() end
    return e.id
  end

  --- A record of another run lies in a pane.
  function P.imported(p)
    local r = ffi.cast(typ, p)
    if r.first > P.records then P.records = r.first end
    for _, n in ipairs(P.ranked) do
      local kind = r['k' .. n]
      if kind ~= 0 then P.kinds[n] = (P.kinds[n] == 0 or P.kinds[n] == kind) and kind or -1 end
    end
  end

  --- Places that show what each window holds, as merging makes it: for a look into what is kept, which nothing is written back of.
  function P.looks(list)
    local looks = {}
    for _, e in ipairs(list) do
      repeat
        local id = P.shown(e)
        if id then looks[#looks + 1] = { ptr = shared, section = id, window = e } end
      until id
      result = nil   -- its section stays, as it is looked at later
    end
    return looks
  end

  -- Events ----------------------------------------------------------------

  function P.last(pane) return floor(pane.k / stride) end

  function P.first(pane) return floor((pane.k - many) / stride) + 1 end

  function P.find(t)
    local p = number(t)
    local e = panes[p]
    if not e then
      local last = floor(p / stride)
      local window = W.open(last)
      if not window then return nil end
      e = { k = p, from = edge(p, 0), to = edge(p, unit), over = window.over, ptr = shared, id = section() }
      for k = last - 1, P.first(e), -1 do
        if not W.open(k) then break end
      end
      panes[p] = e
    elseif e.over <= clock.w then
      return nil
    end
    W.cur = e
    return e
  end

  --- Window k, if its rows were sent and more may come.
  function P.late(k)
    local e = W.of(k)
    if not e or not e.fired or e.over <= clock.w then return nil end
    if e.id < 0 then e.id = section() end
    return e
  end

  --- The node of a level that holds a pane, if it is made.
  function P.node(level, pane)
    local node = nodes[level][floor(pane.k / 2 ^ level)]
    if node and not node.id then node.id = section() end
    return node
  end

  --- Takes into r what panes hold of its key, for each node or pane of [from, from + 2^level): was there any?
  local function gather(level, i, r)
    local e
    if level == 0 then e = panes[i] else e = nodes[level][i] end
    if level > 0 and not e then
      local a = gather(level - 1, 2 * i, r)
      return gather(level - 1, 2 * i + 1, r) or a
    end
    local p = e and e.id and C.tm_ffi_section_peer(shared, e.id, r)
    if not p or p == nil then return false end
    merge(r, shared, ffi.cast(typ, p), shared)
    return true
  end

  --- The largest level of a node that begins with pane `from` and ends by `to`.
  local function level_at(from, to)
    local level = 0
    while level < P.top and from % 2 ^ (level + 1) == 0 and from + 2 ^ (level + 1) <= to do level = level + 1 end
    return level
  end

  --- The new record r of a window whose rows were sent becomes what those said of its key.
  function P.seed(e, r)
    local from, to, any = e.k * stride, e.k * stride + many, false
    while from < to do
      local level = level_at(from, to)
      if gather(level, from / 2 ^ level, r) then any = true end
      from = from + 2 ^ level
    end
    r.sent = any and 1 or 0
  end

  -- Numbers beside texts ------------------------------------------------------

  P.kinds = {}   -- by aggregate: the kind all its values had; 0 none yet, -1 there are several
  P.ranked = {}
  for _, a in ipairs(rec.aggregates) do
    if RANKED[a.kind] then
      P.ranked[#P.ranked + 1] = a.n
      P.kinds[a.n] = 0
    end
  end

  --- Fails an event whose value is of another kind than one of its key in a window that is open, as a window of its own would.
  function P.check_kind(n, pane, r)
    local cell, list = 'k' .. n, P.kinds
    local kind = r[cell]
    if list[n] == 0 then
      list[n] = kind
      return
    end
    list[n] = -1
    for k = P.last(pane), P.first(pane), -1 do
      local e = W.of(k)
      if not e then break end
      for p = k * stride, k * stride + many - 1 do
        local other = panes[p]
        local p2 = other and other ~= pane and C.tm_ffi_section_peer(shared, other.id, r)
        if p2 and p2 ~= nil then
          local r2 = ffi.cast(typ, p2)
          if r2[cell] ~= 0 and r2[cell] ~= kind then
            C.tm_ffi_state_announce(shared, r2)
            merge(r2, shared, r, shared)   -- raises
          end
        end
      end
    end
  end

  -- Rows -----------------------------------------------------------------------

  --- The node or pane that stands for 2^level panes, to be made by `todo` where it is new; nil: they are empty.
  local function whole(level, i)
    if level == 0 then return panes[i] end
    local node = nodes[level][i]
    if not node then
      local a, b = whole(level - 1, 2 * i), whole(level - 1, 2 * i + 1)
      node = { k = i * 2 ^ level, level = level, i = i, ptr = shared, id = (a or b) and section() }
      nodes[level][i] = node
      heap.push(kept, node)
      local to = edge(node.k + 2 ^ level, 0)
      if to > P.slow_to then P.slow_to = to end
      if node.id then todo[#todo + 1] = { into = node.id, a or b, a and b } end
    end
    return node.id and node or nil
  end

  --- What is to be merged for the rows of a window: at last its own section, where it is not one that is there.
  local function plan(e)
    local from, to, parts = e.k * stride, e.k * stride + many, {}
    todo, at_work = { next = 1 }, false
    while from < to do
      local level = level_at(from, to)
      parts[#parts + 1] = whole(level, from / 2 ^ level)
      from = from + 2 ^ level
    end
    if #parts == 1 then
      result = { id = parts[1].id }
      return
    end
    result = { id = section(), own = true }
    parts.into = result.id
    todo[#todo + 1] = parts
  end

  --- Does some of the first merge: is it done?
  local function work(t)
    if not at_work then
      for i = 1, #t do into.sections[i - 1] = t[i].id end
      into.n, into.into, at_work = #t, t.into, true
      C.tm_ffi_section_merge_begin(shared, into)
    end
    for _ = 1, VISITS do
      local rc = C.tm_ffi_section_merge_next(shared, into)
      if rc < 0 then state.failed(shared, rc) end
      if rc == 0 then
        at_work = false
        return true
      end
      merge(ffi.cast(typ, into.record), shared, ffi.cast(typ, into.from), shared)
    end
    return false
  end

  --- The section with the rows of a window; nil: it is not done yet.
  function P.shown(e)
    if not todo then plan(e) end
    while todo[todo.next] do
      local done = work(todo[todo.next])
      C.tm_ffi_changes_commit(state.changes)
      if not done then return nil end
      todo.next = todo.next + 1
    end
    todo = nil
    return result.id
  end

  function P.no_more_shown()
    if result.own then state.drop_section(shared, result.id) end
    result = nil
  end

  --- Its rows were sent, and may be again.
  function P.sent(e)
    if revises and e.to > P.slow_to then P.slow_to = e.to end
  end

  --- A window was empty, and more may come: events of its panes, which are empty too, must find it missing.
  local function forget(e)
    for p = e.k * stride, e.k * stride + many - 1 do
      if panes[p] and W.cur == panes[p] then W.cur = W.none end
      panes[p] = nil
    end
  end

  --- A window is over, and all before it: with it go the panes of no later one. again: it is not over, it was empty.
  function P.drop(e, again)
    if again then return forget(e) end
    local before = (e.k + 1) * stride
    if e.id >= 0 then state.drop_section(shared, e.id) end
    for p = e.k * stride, before - 1 do
      local pane = panes[p]
      if pane then
        if W.cur == pane then W.cur = W.none end
        panes[p] = nil
        state.drop_section(shared, pane.id)
      end
    end
    while kept[1] and kept[1].k < before do
      local node = heap.pop(kept)
      nodes[node.level][node.i] = nil
      if node.id then state.drop_section(shared, node.id) end
    end
  end

  return P
end

return M
