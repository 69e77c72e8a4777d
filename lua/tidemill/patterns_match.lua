--[[
patterns_match.lua - matches that have begun: what an event makes of each of them, when their time is over, which are sent.

The record of a key holds them as rows of doubles, in order of their first event, and those that are complete but held back as one
that began earlier is still going on:

  runs   | state | node | from | from_time | last_time | state | ...      from: the number of the first event
  done   | node | from | last_time | ...                                  node: what was taken (patterns_buffer.lua)

With rows that late events correct there is more in it (patterns_retract.lua).

A record without either is removed. It is armed on the wheel for the first time at which a run is over. Events wait (patterns_waits.lua)
until the watermark has passed them; what is over goes before an event of that time.
]]

local lib = require 'tidemill.lib'
local buffer = require 'tidemill.patterns_buffer'
local waits = require 'tidemill.patterns_waits'
local conditions = require 'tidemill.patterns_conditions'
local keep = require 'tidemill.keep'
local graphs = require 'tidemill.patterns_graph'
local state = require 'tidemill.state'
local retract = require 'tidemill.patterns_retract'
local rows = require 'tidemill.patterns_rows'
local windows = require 'tidemill.windows'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local huge = math.huge

local M = {}

--- The number cells and the references of a key's record.
function M.layout(rec)
  local refs = { { name = 'runs', kind = 'text' }, { name = 'done', kind = 'text' } }
  if not rec.lateness then return {}, refs end
  for _, name in ipairs(retract.texts) do refs[#refs + 1] = { name = name, kind = 'text' } end
  return retract.numbers, refs
end

local RUN, DONE = 5, 3                 -- doubles of each
local RUNS_FIELD, DONE_FIELD = 0, 1
local EXACT = 2 ^ 53                   -- beyond it nothing can be due
local TAKE, IGNORE, FINAL, STOP, PENDING = graphs.TAKE, graphs.IGNORE, graphs.FINAL, graphs.STOP, graphs.PENDING
local PROCEED = graphs.PROCEED
local MORE = C.TM_STATE_MORE
local doubles, double_ptr = ffi.typeof 'double[?]', ffi.typeof 'double *'

local function clear(t) for k in pairs(t) do t[k] = nil end end

-- A step -------------------------------------------------------------------------------

---@param o table name: "pipeline/step"; rec: the step's (graph, pattern, timeouts, max_partial, on_full, order_by, lateness); main: of
---   state.open; clock: struct tm_clock *; key: { names, composite } or nil; copy(text, len): an event in Lua's form; json(text, len): its
---   JSON; hold: where rows go; tally: struct tm_out_tally * or nil; show(t, text, len): these bytes are the event that conditions
---   see, t its time
---@return table waits: of patterns_waits.new; calls: see above; next(to): is there something to do until the watermark is `to`? event, at:
---   is it an event, its time; text, len: its bytes; find(): its key's record, its key in `key`; step(r): it comes to that; times: of the
---   rows in hold; counts(r); working, letter(); judge_due(). With rec.lateness: late: where late events wait, is_final(t): is the one
---   whose key is in state.key too late
function M.new(o)
  local rec, main = o.rec, o.main
  local ptr, typ, graph, hold = main.ptr, main.type, rec.graph, o.hold
  local within, between = rec.pattern.within or huge, rec.pattern.between or huge
  local after, max, on_full = rec.pattern.after, rec.max_partial, rec.on_full
  local skips = after and after.kind ~= 'no_skip' and after.kind or false
  local first, states = graph.first, graph.states
  local bounded = within < huge or between < huge
  local calls, times = {}, {}
  local X = { rec = rec, calls = calls, times = times, event = false, at = 0, working = false, text = nil, len = 0, key = nil }
  local env = conditions.compile(graph, calls)
  local event_seen, run_seen = env.event_seen, env.run_seen

  local W, late = waits.new(o.name .. '/waiting', rec, ptr, o, rec.order_by ~= nil), nil
  if rec.lateness then late = waits.new(o.name .. '/late', rec, ptr, o, false) end
  X.waits, X.late, X.queue = W, late, W
  local B = buffer.new(o.name, graph, o.copy, rec.lateness ~= nil)
  local shape = graphs.shape_of(graph)
  keep.add(o.name .. '/shape', 'the stages of a pattern', function() return { shape } end, function(data)
    if data[1] ~= shape then return 'the pattern has other stages than the matches that have begun' end
  end)
  local run_node = 0
  env.match = function() return B.match(run_node) end

  local function check(code)
    if code < 0 then state.failed(ptr, code) end
  end

  local R = rows.new(o, X, B)
  local K = nil   -- what may still be corrected (patterns_retract.lua)

  --- A match leaves. timed_out: it is none, its time is over.
  local function send(node, time, timed_out)
    if K then K.sent(node, time, timed_out) else R.put(node, time, timed_out) end
  end

  -- Runs at hand -------------------------------------------------------------------------

  local runs, room, runs_n = doubles(64 * RUN), 64, 0     -- as they were
  local out, out_room, out_n = doubles(64 * RUN), 64, 0   -- as they become
  local done, done_n = {}, 0                              -- held back, DONE numbers each

  local function push(s, node, from, from_time, last_time)
    if out_n == out_room then
      local more = doubles(2 * out_room * RUN)
      ffi.copy(more, out, out_n * RUN * 8)
      out, out_room = more, 2 * out_room
    end
    local at = out_n * RUN
    out[at], out[at + 1], out[at + 2], out[at + 3], out[at + 4] = s.number, node, from, from_time, last_time
    out_n = out_n + 1
  end

  --- What became is what was.
  local function turn_over()
    runs, room, out, out_room = out, out_room, runs, room
    runs_n, out_n = out_n, 0
  end

  --- Runs and complete matches as two texts of a record have them.
  local function load(runs_text, done_text)
    runs_n = math.max(runs_text.n, 0) / (8 * RUN)
    if runs_n > room then
      room = runs_n * 2
      runs = doubles(room * RUN)
    end
    if runs_n > 0 then ffi.copy(runs, ptr.base + 8 * runs_text.at, runs_n * RUN * 8) end
    done_n, out_n = 0, 0
    if done_text.n > 0 then
      local p = ffi.cast(double_ptr, ptr.base + 8 * done_text.at)
      done_n = done_text.n / 8
      for i = 1, done_n do done[i] = p[i - 1] end
    end
  end

  --- When the first run is over; huge: no time ends one.
  local function first_over()
    local due = huge
    for k = 0, runs_n - 1 do
      local at = k * RUN
      local t = runs[at + 3] + within
      if t < due then due = t end
      t = runs[at + 4] + between
      if t < due then due = t end
    end
    return due
  end

  --- When there is something to do for a record.
  local function due_of(r)
    local due = first_over()
    if K and r.open == 1 then due = math.min(due, K.settled_at(r)) end
    if due == huge and done_n > 0 or due > EXACT and due < huge then due = EXACT end
    return due
  end

  --- Writes runs and complete matches to two texts of a record.
  local function save(r, runs_field, done_field, had_done)
    check(C.tm_ffi_text_set(ptr, r, runs_field, ffi.cast('char *', runs), runs_n * RUN * 8))
    if done_n > 0 or had_done then
      local held = doubles(math.max(done_n, 1))
      for i = 1, done_n do held[i - 1] = done[i] end
      check(C.tm_ffi_text_set(ptr, r, done_field, ffi.cast('char *', held), done_n * 8))
    end
  end

  local function store(r)
    if runs_n == 0 and done_n == 0 and not (K and r.open == 1) then
      check(C.tm_ffi_state_remove(ptr, r))
      return
    end
    save(r, RUNS_FIELD, DONE_FIELD, r.done.n > 0)
    local due = due_of(r)
    if due == huge then
      check(C.tm_ffi_due_cancel(ptr, r))
    else
      check(C.tm_ffi_due_set(ptr, r, due))
      if due < o.clock.due then windows.set_due(o.clock, due) end
    end
  end

  -- Complete matches ---------------------------------------------------------------------

  --- A match is complete; node has one reference of it.
  local function complete(node, from, last_time)
    done[done_n + 1], done[done_n + 2], done[done_n + 3] = node, from, last_time
    done_n = done_n + DONE
  end

  local function remove_done(i)
    for k = i, done_n - DONE do done[k] = done[k + DONE] end
    done_n = done_n - DONE
  end

  --- Up to which first event a match that is sent ends others, and whether those that began with it end too; nil: none.
  local function skip_to(node, from)
    if skips == 'skip_past_last' then
      local _, ids, n = B.way(node)
      return ids[n], true
    elseif skips == 'skip_to_next' then
      return from, true
    end
    local a, b = B.ends(node, rec.after_place)
    local to = a
    if skips == 'skip_to_last' then to = b end
    if after.strict and (to == nil or to == from) then
      local why = to == nil and ("took no event in stage '%s'"):format(after.stage) or ("begins with the event of '%s' to go on from")
        :format(after.stage)
      local text = ("pattern '%s': after_match('%s', '%s', { strict = true }), and a match %s"):format(rec.name, skips, after.stage, why)
      lib.host.stop_run(text)
      raise('pattern', text)
    end
    return to, false
  end

  --- Ends runs and matches that began up to event `to`, with it if `too`.
  local function prune(to, too)
    local n = 0
    for k = 0, runs_n - 1 do
      local at = k * RUN
      if runs[at + 2] < to or too and runs[at + 2] == to then
        B.refer(runs[at + 1], -1)
      else
        if n ~= k then ffi.copy(runs + n * RUN, runs + at, RUN * 8) end
        n = n + 1
      end
    end
    runs_n = n
    for i = done_n - DONE + 1, 1, -DONE do
      if done[i + 1] < to or too and done[i + 1] == to then
        B.refer(done[i], -1)
        remove_done(i)
      end
    end
  end

  --- Sends what is complete and need not be held back. Runs are those that go on.
  local function settle()
    if not skips then
      for i = 1, done_n, DONE do
        send(done[i], done[i + 2], false)
        B.refer(done[i], -1)
      end
      done_n = 0
      return
    end
    while done_n > 0 do
      local best = 1
      for i = 1 + DONE, done_n, DONE do
        if done[i + 1] < done[best + 1] then best = i end
      end
      local node, from, time = done[best], done[best + 1], done[best + 2]
      if runs_n > 0 and runs[2] < from then return end
      remove_done(best)
      local to, too = skip_to(node, from)
      send(node, time, false)
      if to then prune(to, too) end
      B.refer(node, -1)
    end
  end

  -- Time ---------------------------------------------------------------------------------

  --- Can a run in this state be complete without another event?
  local function is_pending(s)
    if s.kind == PENDING then return true end
    for _, e in ipairs(s.edges) do
      if e.kind == PROCEED and (e.cond == true or s.asks) and is_pending(e.to) then return true end
    end
    return false
  end
  local pending = {}
  for i, s in ipairs(states) do pending[i] = is_pending(s) end

  local over_nodes, ended = {}, {}   -- when a node's time was over, 0: that was told; nodes of runs that are over

  --- Ends the runs whose time is over at t. few: as many as rows may be sent at once, the others stay for the next call.
  local function expire(t, few)
    if not bounded then return end
    local n, most = 0, few and lib.flow.max_rows - done_n / DONE or huge
    clear(over_nodes)
    for k = 0, runs_n - 1 do
      local at = k * RUN
      local over = huge
      if runs[at + 3] + within <= t then over = runs[at + 3] + within end
      if runs[at + 4] + between <= t and runs[at + 4] + between < over then over = runs[at + 4] + between end
      if over == huge or few and (k - n >= most or R.is_half_full()) then
        if n ~= k then ffi.copy(runs + n * RUN, runs + at, RUN * 8) end
        n = n + 1
      else
        -- what waits for several things is several runs of one node, and one match
        local node = runs[at + 1]
        if pending[runs[at]] and over_nodes[node] ~= 0 then
          over_nodes[node] = 0
          complete(node, runs[at + 2], runs[at + 4])
        else
          if rec.timeouts and not over_nodes[node] then over_nodes[node] = over end
          ended[#ended + 1] = node
        end
      end
    end
    if n == runs_n then return end
    runs_n = n
    for i = 1, #ended do
      local node = ended[i]
      local over = over_nodes[node]
      if over and over ~= 0 then
        over_nodes[node] = 0
        send(node, over, true)
      end
      B.refer(node, -1)
      ended[i] = nil
    end
    settle()
  end

  -- Events -------------------------------------------------------------------------------

  local stack, asked, onward, kinds, targets, takes = {}, {}, {}, {}, {}, {}
  local visited, round = {}, 0

  --- Is a match complete whose next state is this one?
  local function is_final(s)
    if s.kind == FINAL then return true end
    if s.asks then return false end
    for i = 1, #s.edges do
      local e = s.edges[i]
      if e.kind == PROCEED and e.to.kind ~= STOP and (not e.holds or e.holds()) and is_final(e.to) then return true end
    end
    return false
  end

  --- What the event at hand makes of a match that is in state s; node 0: it begins one.
  local function advance(s, node, from, from_time, last_time)
    local n, top, stop, over = 0, 1, false, false
    stack[1], asked[1] = s, false
    env.m, run_node = false, node
    clear(run_seen)
    round = round + 1
    while top > 0 do
      local at, told = stack[top], asked[top] or stack[top].asks
      top = top - 1
      if at.kind == STOP then stop = true end
      if told and at.kind == FINAL then over = true end
      local edges = at.edges
      -- there may be two ways to a state, by what is optional
      local n_edges = visited[at.number] == round and 0 or #edges
      visited[at.number] = round
      local proceeds = 0
      for i = 1, n_edges do
        local e = edges[i]
        if not e.holds or e.holds() then
          if e.kind == PROCEED then
            proceeds = proceeds + 1
            onward[proceeds] = e.to
          elseif e.kind == TAKE or node ~= 0 then
            n = n + 1
            kinds[n], targets[n], takes[n] = e.kind, e.to, e.stage
          end
        end
      end
      -- in the order of edges: who is nearer goes first
      for i = proceeds, 1, -1 do
        top = top + 1
        stack[top], asked[top] = onward[i], told
      end
    end
    if n == 1 and kinds[1] == IGNORE and not stop and not over then return push(targets[1], node, from, from_time, last_time) end
    local references = node ~= 0 and -1 or 0
    for i = 1, n do
      local to = targets[i]
      if kinds[i] == IGNORE then
        if not stop then
          push(to, node, from, from_time, last_time)
          references = references + 1
        end
      else
        local final = is_final(to)
        if final or not stop then
          local began = node == 0
          local taken = B.take(takes[i], node)
          references = references + 1
          local start, start_time = began and B.now or from, began and B.at or from_time
          local named = 0
          if to.kind ~= FINAL and not stop and (#to.edges > 0 or to.kind == PENDING) then
            push(to, taken, start, start_time, B.at)
            named = 1
          end
          if final then
            complete(taken, start, B.at)
            named = named + 1
          end
          if named > 0 then B.refer(taken, named) else B.forget(taken) end
        end
      end
    end
    if over and node ~= 0 then
      complete(node, from, last_time)
      references = references + 1
    end
    if node ~= 0 and references ~= 0 then B.refer(node, references) end
  end

  local function drop_runs(from, n)
    for k = from, from + n - 1 do B.refer(out[k * RUN + 1], -1) end
    if o.tally and not (K and K.again) then o.tally.matches_dropped = o.tally.matches_dropped + n end
  end

  --- Not more runs than max_partial.
  local function bound()
    local over = out_n - max
    if over <= 0 then return end
    if on_full == 'stop' then
      lib.host.stop_run(("pattern '%s' has %d partial matches of one key (max_partial, on_full = 'stop')"):format(rec.name, max))
      raise('state-full', ("pattern '%s': a key has %d partial matches, and on_full = 'stop' ends the run"):format(rec.name, max))
    elseif on_full == 'refuse' then
      drop_runs(max, over)
    else
      drop_runs(0, over)
      for i = 0, max * RUN - 1 do out[i] = out[over * RUN + i] end   -- they overlap, which ffi.copy may not
    end
    out_n = max
  end

  --- What the event at hand makes of all that is loaded.
  local function turn()
    clear(event_seen)
    for k = 0, runs_n - 1 do
      local at = k * RUN
      advance(states[runs[at]], runs[at + 1], runs[at + 2], runs[at + 3], runs[at + 4])
    end
    advance(first, 0, 0, 0, 0)
    bound()
    turn_over()
    settle()
  end

  --- The event at hand comes to its key's record.
  function X.step(r)
    R.begin()
    if K then return K.step(r) end
    load(r.runs, r.done)
    expire(X.at)
    B.begin(X.at, X.text, X.len)
    turn()
    store(r)
  end

  if rec.lateness then
    K = retract.new(o, { X = X, B = B, rows = R, load = load, save = save, store = store, turn = turn, expire = expire,
      first_over = first_over, RUN = RUN, DONE = DONE })
    X.is_final = K.is_final
  end

  -- Turns --------------------------------------------------------------------------------

  --- The key of a record in Lua's form.
  local function key_of(p)
    if not o.key then return nil end
    return (state.key_of(ptr, p, o.key.names, o.key.composite))
  end

  --- The record whose first run is over until `to`, if there is one.
  local function pop_due(to)
    while ptr.due <= to and ptr.due < huge do
      local p = C.tm_ffi_due_pop(ptr, to)
      if p ~= nil then return p end
      if ptr.code ~= MORE then
        check(ptr.code)
        return nil
      end
    end
    return nil
  end

  --- A record's time is over. That stands, whatever becomes of its rows.
  local function pass(p)
    local r = ffi.cast(typ, p)
    check(C.tm_ffi_state_announce(ptr, p))
    R.begin()
    X.key = key_of(p)
    load(r.runs, r.done)
    local t = ptr.due_popped
    if K then K.pass(r, t) end
    if t >= EXACT then
      for k = 0, runs_n - 1 do B.refer(runs[k * RUN + 1], -1) end
      runs_n = 0
      settle()
    elseif not K then
      expire(t, true)
    end
    store(r)
    C.tm_ffi_changes_commit(state.changes)
  end

  --- Takes the next event of a queue.
  local function take(queue, to)
    if not queue.take(to) then return false end
    X.queue, X.event, X.at, X.text, X.len, X.working = queue, true, queue.at, queue.text, queue.len, true
    return true
  end

  function X.next(to)
    X.working, X.upto = false, to
    if late and late.peek(to) then return take(late, to) end
    while true do
      local at = W.peek(to)
      local p = pop_due(at or to)
      if p ~= nil then
        pass(p)
        if hold.n > 0 then
          X.event, X.working = false, true
          return true
        end
      elseif not at then
        return false
      elseif take(W, to) then
        return true
      end
    end
  end

  --- The record of the event's key, announced.
  function X.find()
    local p = X.queue.find()
    local r = ffi.cast(typ, p)
    if K and ptr.code == C.TM_STATE_NEW then K.begin(r) end
    X.key = key_of(p)
    return r
  end

  --- How many matches of a key have begun, and how many are held back.
  function X.counts(r)
    return math.max(r.runs.n, 0) / (8 * RUN), math.max(r.done.n, 0) / (8 * DONE)
  end

  --- The matches of a record that go on, and those held back, as members of an object: for `state get`.
  function X.detail(r)
    load(r.runs, r.done)
    local going, back = {}, {}
    for i = 0, runs_n - 1 do
      local at = i * RUN
      going[i + 1] = ('{"began":%.0f,"last":%.0f%s}'):format(runs[at + 3], runs[at + 4], R.lists(runs[at + 1]))
    end
    for i = 1, done_n, DONE do
      back[#back + 1] = ('{"last":%.0f%s}'):format(done[i + 2], R.lists(done[i]))
    end
    return ('"partial":%d,"held_back":%d,"matches":[%s],"held":[%s]'):format(#going, #back, table.concat(going, ','),
      table.concat(back, ','))
  end

  --- What was at work, for a dead letter.
  function X.letter()
    if X.event then return o.json(X.text, X.len) end
    return hold.n > 0 and hold[1] or nil
  end

  function X.judge_due()
    local due = math.min(W.judge_due(), ptr.due)
    return late and math.min(due, late.judge_due()) or due
  end

  return X
end

return M
