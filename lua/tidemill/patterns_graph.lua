--[[
patterns_graph.lua - a pattern as states and edges: what an event may do to a match that has come so far.

  graph   { stages, conditions, states, first }
  stage   of the pattern and of all its groups, in order: { name, owns: places in this list whose events are its own, leaf }
  state   { kind, edges, asks, number }; asks: only another event can tell (not_next).
          kind: NORMAL FINAL, STOP: the match ends for nothing, PENDING: it is one if time runs out
  edge    { kind, to, cond, stage }; kind: TAKE the event is `stage`'s, IGNORE it is none of the match, PROCEED the edges of `to` are tried
          with the same event. cond: an expression over conditions, as text; nil: always

A state stands for what is waited for. What is optional, or may end, is left by PROCEED, but only with the first event that is looked
at there: behind an IGNORE the match has decided to wait, in a state of its own without that edge. So no choice is made twice, and no match
found twice. What is excluded by not_followed_by is an edge to STOP of each state between the stages around it.

The shapes are those of the published description and tests of Flink CEP; a group is put in place of a stage by wiring its first state and
its last one, and one that loops comes back to its first state through a state of no stage.
]]

local M = { TAKE = 1, IGNORE = 2, PROCEED = 3, NORMAL = 1, FINAL = 2, STOP = 3, PENDING = 4 }
local TAKE, IGNORE, PROCEED = M.TAKE, M.IGNORE, M.PROCEED
local STATES_MAX = 20000

-- Expressions over conditions: text, true or false -----------------------------------

local function no(x)
  if type(x) == 'boolean' then return not x end
  return 'not (' .. x .. ')'
end

local function both(a, b)
  if a == false or b == false then return false end
  if a == true then return b end
  if b == true then return a end
  return '(' .. a .. ') and (' .. b .. ')'
end

-- Building -----------------------------------------------------------------------------

local Graph = {}
Graph.__index = Graph

function Graph:state(kind)
  local n = #self.states + 1
  if n > STATES_MAX then self.fault(('the pattern becomes more than %d states; let its stages come fewer times'):format(STATES_MAX)) end
  local s = { kind = kind or M.NORMAL, edges = {}, number = n }
  self.states[n] = s
  return s
end

local function edge(s, kind, to, cond, stage)
  if cond == false then return end
  s.edges[#s.edges + 1] = { kind = kind, to = to, cond = cond, stage = stage }
end

--- The expression of a user's function; nil: every event.
function Graph:condition(fn)
  if fn == nil then return true end
  local n = self.numbers[fn]
  if not n then
    n = #self.conditions + 1
    self.conditions[n], self.numbers[fn] = fn, n
  end
  return self.iterative(fn) and ('run(%d)'):format(n) or ('event(%d)'):format(n)
end

-- A place is where the builder stands: { list = stages, i, group: the stage that the list is the group of, or nil, up: the place of that,
-- entry: how the group's first stage follows what is before it, left: the group is left from its first state, following: the stage behind }

local function at_head(at) return at.group ~= nil and at.i == 1 end

--- The same unless a group around is stopped.
function Graph:unless_stopped(at, cond)
  while at.group do
    if at.group.stop then cond = both(no(self:condition(at.group.stop)), cond) end
    at = at.up
  end
  return cond
end

function Graph:take_of(at, stage) return self:unless_stopped(at, self:condition(stage.fn)) end

--- What may pass while the stage is waited for. inner: between its own events.
function Graph:ignore_of(at, stage, inner)
  local how = inner and stage.inner or at_head(at) and at.entry or stage.link
  if how == 'strict' or how == 'next' then return nil end
  -- in front of a pattern's first stage nothing is passed: no match has begun
  local cond = how == 'any' or how == 'followed_by_any' or no(self:condition(stage.fn))
  return self:unless_stopped(at, cond)
end

local function until_stopped(cond, stop)
  if cond == nil then return nil end
  return both(no(stop), cond)
end

--- What is excluded right in front of a stage, or in front of optional ones before it: list of { stage, place }. A group begins where it
--- stands; in a further round of it that is behind the round before, where what is excluded behind the group may come.
local function excluded_before(at)
  local list, i = {}, at.i - 1
  while true do
    if i < 1 then
      if not at.group then return list end
      local again = at.again
      at = at.up
      if again then
        local f = at.following
        if f and f.link == 'not_followed_by' then list[#list + 1] = { f, at } end
        return list
      end
      i = at.i - 1
    else
      local s = at.list[i]
      if s.link == 'not_followed_by' then
        list[#list + 1] = { s, at }
      elseif not s.optional and s.link ~= 'not_next' then
        return list
      end
      i = i - 1
    end
  end
end

function Graph:add_stop(s, at, stage)
  local cond = self:take_of(at, stage)
  self.stop_of[stage] = self.stop_of[stage] or self:state(M.STOP)
  edge(s, PROCEED, self.stop_of[stage], cond)
end

function Graph:add_stops(s, at)
  for _, e in ipairs(excluded_before(at)) do self:add_stop(s, e[2], e[1]) end
end

--- Of a stage that may go on taking events: what is excluded behind it ends it, too.
function Graph:add_stop_behind(s, at)
  local f = at.following
  if not f or f.link ~= 'not_followed_by' then return end
  self:add_stop(s, at, f)
  for i = 1, #s.edges do
    local e = s.edges[i]
    if e.kind == IGNORE and e.to ~= s then self:add_stop(e.to, at, f) end
  end
end

--- Once an optional stage has taken an event, what was excluded in front of it is allowed again: the state behind without those edges.
function Graph:without_stops(at, sink)
  local list = excluded_before(at)
  if #list == 0 or not at.list[at.i].optional then return sink end
  local gone = {}
  for _, e in ipairs(list) do if self.stop_of[e[1]] then gone[self.stop_of[e[1]]] = true end end
  local copies = {}
  local function copied(s)
    if s.kind ~= M.NORMAL and s.kind ~= M.PENDING then return s end
    if copies[s] then return copies[s] end
    local c = self:state(s.kind)
    copies[s], c.asks = c, s.asks
    for _, e in ipairs(s.edges) do
      if not (e.kind == PROCEED and gone[e.to]) then
        edge(c, e.kind, e.kind == PROCEED and copied(e.to) or e.to == s and c or e.to, e.cond, e.stage)
      end
    end
    return c
  end
  return copied(sink)
end

--- Behind a greedy stage nothing takes or passes an event that the stage would take.
local function yield_to(sink, cond)
  for _, e in ipairs(sink.edges) do e.cond = both(e.cond, no(cond)) end
  local kept = {}
  for _, e in ipairs(sink.edges) do if e.cond ~= false then kept[#kept + 1] = e end end
  sink.edges = kept
  if not sink.asks then return end
  for _, e in ipairs(kept) do
    if e.kind == PROCEED and e.to.kind ~= M.STOP then yield_to(e.to, cond) end
  end
end

--- Behind a greedy stage that is stopped, its sink as it was without it.
function Graph:free_copy(sink)
  local c = self:state(sink.kind)
  c.asks = sink.asks
  for _, e in ipairs(sink.edges) do edge(c, e.kind, e.to == sink and c or e.to, e.cond, e.stage) end
  return c
end

-- Stages -------------------------------------------------------------------------------

local convert, middle

--- The states of a group, from its first to `sink`. again: it is not its first round; left: its first state will get an edge that leaves
--- it.
function Graph:group_states(at, stage, sink, again, left)
  local inner = { list = stage.group.stages, i = #stage.group.stages, group = stage, up = at, following = at.following,
    again = again, entry = again and stage.inner or at_head(at) and at.entry or stage.link, left = left or at_head(at) and at.left }
  local last = middle(self, inner, sink)
  return convert(self, inner, last)
end

--- One round of a stage: its state, from which `sink` follows; without an event `out` does, if it may be missing.
function Graph:single(at, sink, out, take, ignore, optional, again)
  local stage = at.list[at.i]
  if stage.group then
    local first = self:group_states(at, stage, sink, again, optional)
    if optional then edge(first, PROCEED, out, true) end
    return first
  end
  local s = self:state()
  local behind = self:without_stops(at, sink)
  edge(s, TAKE, behind, take, stage)
  if optional and out then
    local stop = stage.greedy and stage.stop and self:condition(stage.stop)
    if stop then
      edge(s, PROCEED, self.free[out] or out, stop)
      edge(s, PROCEED, out, no(stop))
    else
      edge(s, PROCEED, out, true)
    end
  end
  if ignore then
    local waits = s
    if optional or at_head(at) and at.left then
      waits = self:state()
      edge(waits, TAKE, behind, take, stage)
      edge(waits, IGNORE, waits, ignore)
      if not again then self:add_stops(waits, at) end
    end
    edge(s, IGNORE, waits, ignore)
  end
  return s
end

--- The state in which more of a stage may come, without end.
function Graph:looping(at, sink)
  local stage = at.list[at.i]
  if stage.group then
    local round = self:state()
    local first = self:group_states(at, stage, round, true, true)
    edge(first, PROCEED, sink, true)
    edge(round, PROCEED, first, true)
    self:add_stop_behind(round, at)
    return first
  end
  local stop = stage.stop and self:condition(stage.stop) or false
  local ignore = until_stopped(self:ignore_of(at, stage, true), stop)
  local take = until_stopped(self:take_of(at, stage), stop)
  local s = self:state()
  if stage.greedy then
    if stop then
      local free = self:free_copy(sink)
      self.free[sink] = free
      edge(s, PROCEED, free, stop)
    end
    edge(s, PROCEED, sink, no(stop))
    yield_to(sink, self:take_of(at, stage))
  else
    edge(s, PROCEED, sink, true)
  end
  -- its own event goes before what follows: that is the order of matches that end together
  table.insert(s.edges, 1, { kind = TAKE, to = s, cond = take, stage = stage })
  if ignore then
    local waits = self:state()
    edge(waits, TAKE, s, take, stage)
    edge(waits, IGNORE, waits, ignore)
    edge(s, IGNORE, waits, ignore)
  end
  self:add_stop_behind(s, at)
  return s
end

--- from to `to` rounds of a stage, behind which `sink` follows; `out` without further ones.
function Graph:rounds(at, sink, out, from, to)
  local stage = at.list[at.i]
  local stop = stage.stop and self:condition(stage.stop) or false
  local inner, ignore = until_stopped(self:ignore_of(at, stage, true), stop), self:ignore_of(at, stage, false)
  local take = until_stopped(self:take_of(at, stage), stop)
  if stage.greedy and from ~= to then
    if stop and not self.free[out] then self.free[out] = self:free_copy(out) end
    yield_to(out, take)
  end
  local last = sink
  for _ = from, to - 1 do
    last = self:single(at, last, out, take, inner, true, true)
    self:add_stop_behind(last, at)
  end
  for _ = 1, from - 1 do
    last = self:single(at, last, nil, take, inner, false, true)
    self:add_stop_behind(last, at)
  end
  return self:single(at, last, out, take, ignore, stage.optional, false)
end

--- The states of the stage at hand, in front of `sink`.
function convert(self, at, sink)
  local stage = at.list[at.i]
  local first
  if stage.to == math.huge then
    local loop = self:looping(at, self:without_stops(at, sink))
    first = self:rounds(at, loop, sink, stage.from, stage.from)
  elseif stage.quantified and stage.quantified ~= 'optional' then
    first = self:rounds(at, sink, sink, stage.from, stage.to)
  else
    first = self:single(at, sink, sink, self:take_of(at, stage), self:ignore_of(at, stage, false), stage.optional, false)
  end
  self:add_stops(first, at)
  return first
end

--- The states of all stages of a list but the first.
function middle(self, at, sink)
  local last, pending = sink, nil
  while at.i > 1 do
    local stage = at.list[at.i]
    if stage.link == 'not_followed_by' then
      if last.kind == M.FINAL then
        local waits = self:state(M.PENDING)
        self:add_stop(waits, at, stage)
        edge(waits, IGNORE, waits, no(self:take_of(at, stage)))
        last, pending = waits, waits
      elseif pending then
        self:add_stop(pending, at, stage)
      end
    elseif stage.link == 'not_next' then
      local s, cond = self:state(), self:take_of(at, stage)
      s.asks = true
      edge(s, PROCEED, last, no(cond))
      self:add_stop(s, at, stage)
      self:add_stops(s, at)
      last = s
    else
      last, pending = convert(self, at, last), nil
    end
    at.following = stage
    at.i = at.i - 1
  end
  return last
end

--- All stages, those of groups behind their group; owns: places whose events are a stage's.
local function stages_of(rec, list)
  for _, s in ipairs(rec.stages) do
    local at = #list + 1
    local entry = { name = s.name, stage = s, owns = {}, leaf = not s.group }
    list[at] = entry
    list[s] = at
    if s.group then
      stages_of(s.group, list)
      for i = at + 1, #list do if list[i].leaf then entry.owns[i] = true end end
    else
      entry.owns[at] = true
    end
  end
  return list
end

--- Conditions that decide whether an event can begin a match: numbers of user functions; true: any event may.
local function starts(first)
  local list, seen, todo = {}, {}, { first }
  while #todo > 0 do
    local s = table.remove(todo)
    if not seen[s] then
      seen[s] = true
      for _, e in ipairs(s.edges) do
        if e.kind == TAKE then
          if e.cond == true then return true end
          list[#list + 1] = e.cond
        elseif e.kind == PROCEED then
          todo[#todo + 1] = e.to
        end
      end
    end
  end
  return list
end

--- A text that is another one where what has begun would mean something else: names of stages, states and edges.
function M.shape_of(g)
  local parts = {}
  for _, s in ipairs(g.stages) do parts[#parts + 1] = ('%q'):format(s.name) end
  for _, s in ipairs(g.states) do
    parts[#parts + 1] = ' ' .. s.kind
    for _, e in ipairs(s.edges) do
      parts[#parts + 1] = ('%d>%d,%d,%s'):format(e.kind, e.to.number, e.stage, tostring(e.cond))
    end
  end
  return table.concat(parts, ' ')
end

---@param rec table record of a pattern (patterns.lua) that has been checked
---@param iterative function(fn): does it ask for the match so far?
---@param fault function(message): refuses the script
---@return table graph; start: expressions of which one is true for an event that begins a match, or true
function M.make(rec, iterative, fault)
  local g = setmetatable({ states = {}, conditions = {}, numbers = {}, stop_of = {}, free = {}, iterative = iterative, fault = fault },
    Graph)
  g.stages = stages_of(rec, {})
  local at = { list = rec.stages, i = #rec.stages }
  g.first = convert(g, at, middle(g, at, g:state(M.FINAL)))
  for _, s in ipairs(g.states) do
    for _, e in ipairs(s.edges) do e.stage = e.stage and g.stages[e.stage] or 0 end
  end
  g.start = starts(g.first)
  return g
end

return M
