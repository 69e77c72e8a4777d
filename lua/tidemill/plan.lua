--[[
plan.lua - from the streams a script returned to pipelines: what each reads, its steps as a tree, its outputs.

  pipeline { name, index, source, tree, outs, on_error, schema, steps, place, group }
  group    { members, steps, place }   pipelines that joins tie together, which become one chunk; steps: of all of them, by mark;
           place: of a join, nil: it is one pipeline
  step     { kind, id, label, place, next = { steps… }, ... }       id: 1.. within the pipeline, in order of the text
           a join stands behind its left stream; behind the right one stands 'join_right', whose record names the join's
           mark: its number within the group; members: the pipelines whose events come to it, more than one behind a join of two
  out      { pipeline, sink, feeds }                                 one per pipeline and sink
           of: { [member] = its out } of what stands behind such a join, as each row leaves by the pipeline of the event that made it
Two pipelines of one name, streams nobody reads or writes, and unknown wiring are load errors.
]]

local csv = require 'tidemill.csv'
local formats = require 'tidemill.formats'
local guarantee = require 'tidemill.guarantee'
local record = require 'tidemill.record'
local sink_sqlite = require 'tidemill.sink_sqlite'
local stream = require 'tidemill.stream'
local tables = require 'tidemill.plan_tables'
local fault = stream.fault

local M = {}

local function sink_key(s)
  local d = stream.described(s)
  return d.kind .. ':' .. (d.key or d.path or '')
end

--- One place has one format, whoever names it.
local function same_format(found, d, what)
  local a, b = found.format or 'json', d.format or 'json'
  if a ~= b then
    fault(d.place or 'script', (d.path or d.name or d.kind) .. ' is ' .. what .. " as '" .. a .. "' and as '" .. b .. "'; choose one")
  end
  if not csv.same(found.csv, d.csv) then
    fault(d.place or 'script', (d.path or d.name or d.kind) .. ' is ' .. what ..
      ' with different delimiter, columns, header, crlf or record; choose one')
  end
  if not formats.same(found.fluent, d.fluent) then
    fault(d.place or 'script', (d.path or d.name or d.kind) .. ' is ' .. what .. ' with different time_key or tag_key; choose one')
  end
  return found
end

--- One place is read in one way, whoever names it.
local function same_way(found, d)
  for _, what in ipairs { 'follow', 'rate' } do
    if found[what] ~= d[what] then
      fault(d.place or found.place or 'script', (d.name or d.kind) .. " is read with two different values of '" .. what .. "'; choose one")
    end
  end
  return same_format(found, d, 'read')
end

--- One path is written in one way, whoever names it.
local function same_files(found, d)
  local a, b = found.files or {}, d.files or {}
  for _, what in ipairs { 'pack', 'roll_size', 'roll_every_ms', 'max_files' } do
    if a[what] ~= b[what] then
      fault(d.place or 'script', (d.path or d.name) .. " is written with two different values of compress, roll or max_files; choose one")
    end
  end
  for what, v in pairs(found.kept or {}) do
    if d.kept[what] ~= v then
      fault(d.place or 'script', d.name .. ' is written with two different values of segment or retention; choose one')
    end
  end
  if found.sqlite and not sink_sqlite.same(found.sqlite, d.sqlite) then
    fault(d.place or 'script', d.name .. ' is written with two different values of key, columns, batch or name; choose one')
  end
  guarantee.merge(found, d, fault)
  return same_format(found, d, 'written')
end

local Plan = {}
Plan.__index = Plan

function Plan:sink(d)
  d = self.canonical.sink(d)
  local key = d.kind .. ':' .. (d.key or d.path or '')
  local found = self.sink_by_key[key]
  if found then return same_files(found, d) end
  d.index = #self.sinks
  self.sinks[#self.sinks + 1] = d
  self.sink_by_key[key] = d
  return d
end

function Plan:source(d)
  d = self.canonical.source(d)
  local key = d.kind .. ':' .. (d.key or table.concat(d.paths or {}, '\0'))
  local found = self.source_by_key[key]
  if found then return same_way(found, d) end
  d.index = #self.sources
  self.sources[#self.sources + 1] = d
  self.source_by_key[key] = d
  return d
end

--- dead: the dead letters' own, also where rows go to the same sink: they are counted apart.
local function out_of(pipeline, sink, dead)
  for _, out in ipairs(pipeline.outs) do
    if out.sink == sink and out.dead == dead then return out end
  end
  local out = { pipeline = pipeline, sink = sink, index = #pipeline.outs, dead = dead, fields = {} }
  pipeline.outs[#pipeline.outs + 1] = out
  return out
end

--- The link that carries the rows of one stream (or union) to the pipelines that read it.
function Plan:link(key, name, place)
  local sink = self:sink { kind = 'link', key = key, name = name, place = place }
  local source = self:source { kind = 'link', key = key, name = name, sink = sink, place = place }
  sink.source = source
  return sink, source
end

--- A link carries what its writers read, so that values of msgpack stay what they are and JSON keeps its bytes; where both
--- meet it is msgpack.
function Plan:link_formats()
  for _, p in ipairs(self.pipelines) do
    for _, out in ipairs(p.outs) do
      if out.sink.kind == 'link' and formats.of_events(p.source.format) == 'msgpack' then
        out.sink.format, out.sink.source.format = 'msgpack', 'msgpack'
      end
    end
  end
end

local function reached(rec, into)
  while rec and not into[rec] do
    into[rec] = true
    if rec.kind == 'root' then
      if rec.union then
        for _, s in ipairs(rec.union) do reached(stream.record(s), into) end
      elseif rec.from and stream.record(rec.from) then
        reached(stream.record(rec.from), into)
      end
      return
    end
    if rec.table_rec then reached(rec.table_rec, into) end
    if rec.right then reached(rec.right, into) end
    rec = rec.parent
  end
end

function Plan:root_source(rec)
  if rec.union then
    local key = 'union' .. tostring(self:id(rec))
    local sink, source = self:link(key, rec.pipeline, rec.place)
    for _, s in ipairs(rec.union) do
      local list = self.feeds[stream.record(s)] or {}
      list[#list + 1] = sink
      self.feeds[stream.record(s)] = list
    end
    return source
  end
  if rec.from == nil then return self:source { kind = 'input', key = 'default' } end
  local from = stream.record(rec.from)
  if from then
    if from.kind == 'root' and from.union then return self:root_source(from) end
    local sink, source = self:link('stream' .. tostring(self:id(from)), from.pipeline, rec.place)
    local list = self.feeds[from] or {}
    local there = false
    for _, s in ipairs(list) do there = there or s == sink end
    if not there then list[#list + 1] = sink end
    self.feeds[from] = list
    return source
  end
  return self:source(stream.described(rec.from))
end

function Plan:id(rec)
  local id = self.ids[rec]
  if not id then
    self.ids_n = self.ids_n + 1
    id = self.ids_n
    self.ids[rec] = id
  end
  return id
end


local function children_of(rec, live)
  local list = {}
  for _, r in ipairs(rec.readers) do
    if live[r] and r.kind ~= 'root' then list[#list + 1] = r end
  end
  return list
end

function Plan:build_step(rec, pipeline, live)
  local step = {
    kind = rec.kind, rec = rec, place = rec.place, id = #pipeline.steps + 1, next = {}, pipeline = pipeline,
  }
  pipeline.steps[step.id] = step
  step.label = (rec.shown or (rec.join or rec).kind) .. '#' .. step.id
  if rec.kind == 'to' then
    step.out = out_of(pipeline, self:sink(stream.described(rec.sink)))
    step.fields = csv.fields_of(rec) or false
    table.insert(step.out.fields, step.fields)
  elseif rec.kind == 'on_error' then
    local d = stream.described(rec.sink)
    if pipeline.on_error and sink_key(pipeline.on_error.rec.sink) ~= sink_key(rec.sink) then
      fault(rec.place, "pipeline '" .. pipeline.name .. "' has two different on_error (the other: " ..
        pipeline.on_error.place .. '); it holds for the whole pipeline')
    end
    pipeline.on_error = step
    step.out = out_of(pipeline, self:sink(d), true)
  elseif rec.kind == 'late_to' then
    local other = pipeline.late_to
    if other and sink_key(other.rec.sink) ~= sink_key(rec.sink) then
      fault(rec.place, "pipeline '" .. pipeline.name .. "' has two different late_to (the other: " .. other.place ..
        '); it holds for the whole pipeline')
    end
    pipeline.late_to = step
    step.out = out_of(pipeline, self:sink(stream.described(rec.sink)))
  elseif rec.kind == 'table' then
    tables.written(self, step, pipeline)
    step.out = out_of(pipeline, self:sink { kind = 'discard', key = 'table ' .. rec.name, name = 'table ' .. rec.name, of_table = true })
  elseif rec.kind == 'lookup' then
    tables.read(self, step, pipeline)
  elseif rec.kind == 'schema' then
    pipeline.schemas[#pipeline.schemas + 1] = step
  end
  if rec.kind == 'branch' or rec.kind == 'route' then
    step.arms = {}
    for _, arm in ipairs(rec.arms) do
      if not live[arm] then
        fault(rec.place, rec.kind .. ": nobody reads or writes the branch '" .. arm.name .. "'; return it or leave it out")
      end
      local made = { kind = 'arm', rec = arm, name = arm.name, fn = arm.fn, place = arm.place, next = {}, id = step.id }
      self:follow(arm, made, pipeline, live)
      step.arms[#step.arms + 1] = made
    end
    return step
  end
  self:follow(rec, step, pipeline, live)
  for _, child in ipairs(rec.kind == 'window' and step.next or {}) do
    if child.kind ~= 'aggregate' then
      fault(rec.place, 'window says nothing of what becomes of its events; add, for example, :aggregate { n = tm.agg.count() }')
    end
  end
  return step
end

--- What comes behind a stream: steps that read it, links it feeds, the default output where it is returned.
function Plan:follow(rec, step, pipeline, live)
  for _, child in ipairs(children_of(rec, live)) do
    step.next[#step.next + 1] = self:build_step(child, pipeline, live)
  end
  for _, sink in ipairs(self.feeds[rec] or {}) do
    step.next[#step.next + 1] = { kind = 'to', out = out_of(pipeline, sink), next = {}, id = step.id, place = rec.place }
  end
  if self.returned[rec] and rec.kind ~= 'to' then
    local out = out_of(pipeline, self:sink { kind = 'output', key = 'default', place = rec.place })
    local fields = csv.fields_of(rec) or false
    table.insert(out.fields, fields)
    step.next[#step.next + 1] = { kind = 'to', out = out, fields = fields, next = {}, id = step.id, place = rec.place }
  end
end

-- Pipelines that joins tie together -------------------------------------------------------------

--- The pipelines whose events come to what stands behind a stream, as a set.
function Plan:sources_of(rec)
  local set = self.sets[rec]
  if set then return set end
  set = {}
  self.sets[rec] = set
  if rec.kind == 'root' then
    set[self.by_name[rec.pipeline]] = true
  else
    for _, from in ipairs { rec.parent, rec.right and rec.right.parent } do
      for p in pairs(self:sources_of(from)) do set[p] = true end
    end
  end
  return set
end

--- The outs by which rows of others than its own pipeline leave behind a step.
local function twin_outs(step, pipeline, members)
  local out = step.out
  if not out or #members < 2 or step.kind == 'on_error' then return end
  out.of = out.of or { [pipeline] = out }
  for _, m in ipairs(members) do
    if m ~= pipeline then
      local had = #m.outs
      out.of[m] = out_of(m, out.sink)
      if #m.outs > had then m.outs[#m.outs].lead = pipeline end
      if step.fields ~= nil then table.insert(out.of[m].fields, step.fields) end
    end
  end
end

--- Numbers the steps behind one, and says whose events come there.
function Plan:mark(step, pipeline, first, members)
  step.mark, step.members = first + step.id, members
  twin_outs(step, pipeline, members)
  if step.kind == 'lookup' then
    for _, m in ipairs(members) do tables.read(self, step, m) end
  end
  local behind = members
  if step.rec and step.rec.right then
    local set = self:sources_of(step.rec)
    behind = {}
    for _, m in ipairs(pipeline.group.members) do if set[m] then behind[#behind + 1] = m end end
    step.members = behind
    -- wherever late_to stands, what is late there is its pipeline's, by name
    if pipeline.late_to then twin_outs(pipeline.late_to, pipeline, behind) end
  end
  for _, list in ipairs { step.next, step.arms or {} } do
    for _, child in ipairs(list) do self:mark(child, pipeline, first, behind) end
  end
end

--- Makes one group of two; where: the join that ties them.
local function unite(into, from, where)
  into.place = into.place or from.place or where
  for _, m in ipairs(from.members) do into.members[#into.members + 1], m.group = m, into end
end

--- The groups of pipelines that are tied by joins.
function Plan:group(pipelines)
  local at = {}
  for i, p in ipairs(pipelines) do
    p.group, at[p] = { members = { p }, steps = {} }, i
  end
  for _, p in ipairs(pipelines) do
    for _, step in ipairs(p.steps) do
      for other in pairs(step.rec.right and self:sources_of(step.rec) or {}) do
        if other.group ~= p.group then unite(p.group, other.group, step.place) end
      end
    end
  end
  for _, p in ipairs(pipelines) do table.sort(p.group.members, function(x, y) return at[x] < at[y] end) end
  for _, p in ipairs(pipelines) do
    local steps = p.group.steps
    local first = #steps
    for _, step in ipairs(p.steps) do steps[#steps + 1] = step end
    self:mark(p.tree, p, first, { p })
  end
end

--- Checks that nothing dangles: streams neither returned nor read, branches without readers.
local function check_dangling(all, live)
  for _, rec in ipairs(all) do
    if not live[rec] and not rec.replaced and rec.kind == 'table' then
      fault(rec.place, "nobody reads the table '" .. rec.name .. "'; look it up by stream:lookup(table, { on = … }) or leave it out")
    end
    if not live[rec] and not rec.replaced and rec.kind ~= 'arm' and rec.kind ~= 'join_right' and not rec.of_table then
      local what = rec.kind == 'root' and ("pipeline '" .. rec.pipeline .. "'") or ("the stream made by '" .. rec.kind .. "'")
      fault(rec.place, what .. ' is neither returned by the script nor read by another stream; return it or remove it')
    end
  end
end

--- The source of each link -> the pipelines that feed it.
local function feeders(pipelines)
  local by_link = {}
  for _, p in ipairs(pipelines) do
    for _, o in ipairs(p.outs) do
      if o.sink.kind == 'link' then
        by_link[o.sink.source] = by_link[o.sink.source] or {}
        table.insert(by_link[o.sink.source], p)
      end
    end
  end
  return by_link
end

--- Orders pipelines so that one that feeds another comes first; so does one that writes a table before those that look it up, where
--- that can be. Of a group those come first that fewer links lead to: they meet an event first, and take it one after the other.
local function order(pipelines, by_link)
  local done, out, busy = {}, {}, {}
  local function feeds(p, other, seen)
    seen = seen or {}
    if other == p then return true end
    if seen[other] then return false end
    seen[other] = true
    for _, before in ipairs(by_link[other.source] or {}) do
      if feeds(p, before, seen) then return true end
    end
    return false
  end
  local function depth(p, seen)
    local n = 0
    seen = seen or {}
    seen[p] = true
    for _, before in ipairs(by_link[p.source] or {}) do
      if not seen[before] then n = math.max(n, depth(before, seen) + 1) end
    end
    seen[p] = nil
    return n
  end
  local function visit(p)
    if done[p] then return end
    if busy[p] then fault(p.place, "pipeline '" .. p.name .. "' feeds itself") end
    busy[p] = true
    for _, before in ipairs(by_link[p.source] or {}) do visit(before) end
    for _, step in ipairs(p.group.steps) do
      local writer = step.kind == 'lookup' and step.table.writer
      if writer and not busy[writer] and not feeds(p, writer) then visit(writer) end
    end
    for _, m in ipairs(p.group.members) do
      if m ~= p and not busy[m] and depth(m) < depth(p) and not feeds(m, p) then visit(m) end
    end
    done[p] = true
    out[#out + 1] = p
  end
  for _, p in ipairs(pipelines) do visit(p) end
  return out
end

-- what leaves the field of an event's time as it came
local LEAVES_TIME = { filter = true, schema = true, on_error = true, late_to = true, sample = true, key_by = true, branch = true,
  route = true, arm = true, select = true, source = true, throttle = true, suppress = true, dedup = true }

--- The first event_time behind a step that reads what the source's events have; nil: there is none.
function Plan:time_behind(step)
  if step.kind == 'event_time' then return not step.rec.processing and step.rec or nil end
  if step.kind == 'to' then
    return step.out.sink.kind == 'link' and self:time_of(step.out.sink.source) or nil
  end
  if not LEAVES_TIME[step.kind] then return nil end
  for _, list in ipairs { step.next, step.arms or {} } do
    for _, behind in ipairs(list) do
      local found = self:time_behind(behind)
      if found then return found end
    end
  end
  return nil
end

--- Where events of a source have their time, as far as that is the same for all who read it: an event_time, or nil.
function Plan:time_of(source)
  for _, p in ipairs(self.pipelines) do
    local found = p.source == source and not p.prints and self:time_behind(p.tree)
    if found then return found end
  end
  return nil
end

--- Plans what scripts returned. results: list of { streams = {...}, name = script }; canonical: functions source and
--- sink that put the default input and output in terms of the others, so that each place has one reader or writer; all: every
--- stream that was made for them, false: streams that are not reached are another run's.
function M.make(results, canonical, all)
  local plan = setmetatable({
    sinks = {}, sources = {}, sink_by_key = {}, source_by_key = {}, feeds = {}, returned = {}, ids = {}, ids_n = 0, tables = {},
    canonical = canonical, sets = {}, by_name = {},
  }, Plan)
  local live = {}
  for _, rec in ipairs(results) do
    plan.returned[rec] = true
    reached(rec, live)
  end
  if all ~= false then check_dangling(all or stream.all, live) end
  all = all or stream.all
  local roots, pipelines, by_name = {}, {}, plan.by_name
  for _, rec in ipairs(all) do
    if live[rec] and rec.kind == 'root' then
      local absorbed = false
      if rec.union then
        local own, other = false, false
        for _, r in ipairs(rec.readers) do
          if live[r] then
            if r.kind == 'root' and r.from == rec.stream then other = true else own = true end
          end
        end
        absorbed = other and not own and not plan.returned[rec]
      end
      if not absorbed then roots[#roots + 1] = rec end
    end
  end
  for _, rec in ipairs(roots) do
    if by_name[rec.pipeline] then
      if rec.of_table and by_name[rec.pipeline].rec.of_table then tables.twice(rec.place, rec.pipeline, by_name[rec.pipeline].place) end
      fault(rec.place, "the name '" .. rec.pipeline .. "' is taken by the pipeline of " .. by_name[rec.pipeline].place ..
        '; state and counters are found by name')
    end
    local p = { name = rec.pipeline, rec = rec, place = rec.place, outs = {}, steps = {}, schemas = {} }
    by_name[rec.pipeline] = p
    p.source = plan:root_source(rec)
    pipelines[#pipelines + 1] = p
  end
  for _, p in ipairs(pipelines) do
    p.tree = { kind = 'source', next = {}, id = 0, place = p.place }
    plan:follow(p.rec, p.tree, p, live)
  end
  plan:group(pipelines)
  local by_link = feeders(pipelines)
  tables.finish(plan, pipelines, by_link)
  plan.pipelines = order(pipelines, by_link)
  plan:link_formats()
  csv.columns(plan, fault)
  sink_sqlite.check(plan.sinks, fault)
  record.breaks(plan)
  for i, p in ipairs(plan.pipelines) do p.index = i - 1 end
  return plan
end

return M
