--[[
plan_tables.lua - the tables of a plan: who writes them, who looks them up, what is read before what. plan.lua loads this.

  table    { name, rec, place, writer = pipeline, step, readers = { pipelines }, bounded, clocks }
           bounded: its rows come from files that end; clocks: of those who look up versions (codegen_tables.lua)
  pipeline.waits_for   pipelines whose tables are read to their end before this one begins
  source.waits_for     the same of what they read in the end, which is what the host is told; read_first: some other one waits for it
  source.shares_with   sources whose pipelines share a table or a join with pipelines of this one
  pipeline.of_files    all that it reads in the end comes from files as they are, whose events may have any time
  source.one           pipelines of it share a table or a join: it gives one event at a time, which each of them has before the next one
]]

local stream = require 'tidemill.stream'
local fault = stream.fault

local M = {}

--- Two tables have one name.
function M.twice(place, name, other)
  fault(place, "two tables are called '" .. name .. "', the other one in " .. other .. '; a table is found by its name')
end

local function table_of(plan, rec)
  for _, t in ipairs(plan.tables) do
    if t.rec == rec then return t end
    if t.name == rec.name then M.twice(rec.place, rec.name, t.place) end
  end
  local t = { name = rec.name, rec = rec, place = rec.place, readers = {}, clocks = {} }
  plan.tables[#plan.tables + 1] = t
  return t
end

local function add(list, item)
  for _, other in ipairs(list) do if other == item then return end end
  list[#list + 1] = item
end

--- The step 'table' of this pipeline was planned.
function M.written(plan, step, pipeline)
  local t = table_of(plan, step.rec)
  t.writer, t.step, step.table = pipeline, step, t
end

--- A lookup of this pipeline was planned.
function M.read(plan, step, pipeline)
  local t = table_of(plan, step.rec.table_rec)
  step.table = t
  add(t.readers, pipeline)
end

--- What a pipeline reads in the end, links followed: a list, and the same as a set.
local function roots_of(p, by_link, list, seen)
  list, seen = list or {}, seen or {}
  if p.source.kind ~= 'link' then
    if not seen[p.source] then
      seen[p.source] = true
      list[#list + 1] = p.source
    end
  elseif not seen[p] then
    seen[p] = true
    for _, before in ipairs(by_link[p.source] or {}) do roots_of(before, by_link, list, seen) end
  end
  return list, seen
end

--- Does what a source gives end without anybody's doing?
local function is_bounded(d)
  return d.kind == 'file' and not d.follow or d.kind == 'generate'
end

local function is_endless(d)
  return d.kind == 'file' and d.follow or d.kind == 'every' and not d.ticks
end

--- Does `source` wait for `other`, itself or by those that it waits for?
local function waits(source, other)
  if source == other then return true end
  for _, s in ipairs(source.waits_for or {}) do if waits(s, other) then return true end end
  return false
end

--- Why a reader's source cannot wait for one of the table's; nil: it can.
local function why_not(s, first)
  if s == first then return "its rows come from '" .. (s.name or s.kind) .. "', which is read by whoever looks it up" end
  if waits(first, s) then return "'" .. (first.name or first.kind) .. "' itself waits for '" .. (s.name or s.kind) .. "'" end
end

--- What a table's rows are made of.
local function roots_of_table(t, by_link)
  local list, seen = {}, {}
  for _, p in ipairs(t.step.members) do roots_of(p, by_link, list, seen) end
  return list
end

local function plan_wait(t, p, by_link)
  local from, to = roots_of(p, by_link), roots_of_table(t, by_link)
  if t.rec.wait == false or t.rec.wait == nil and not t.bounded then return end
  for _, d in ipairs(to) do
    if is_endless(d) then
      fault(t.place, ("table '%s' is to be read to its end (wait = true), but '%s' never ends; leave wait out"):format(t.name,
        d.name or d.kind))
    end
  end
  for _, s in ipairs(from) do
    for _, first in ipairs(to) do
      local why = why_not(s, first)
      if why and t.rec.wait then
        fault(t.place, ("table '%s' cannot be read to its end first (wait = true): %s"):format(t.name, why))
      elseif not why then
        p.waits_for, s.waits_for, first.read_first = p.waits_for or {}, s.waits_for or {}, true
        add(p.waits_for, t.writer)
        add(s.waits_for, first)
      end
    end
  end
end

--- Two pipelines share a state: their sources know each other, and what both read comes event by event, as otherwise each would see
--- what the other did with a whole batch.
local function share(where, p, q, by_link)
  local list, of_p = roots_of(p, by_link)
  for _, d in ipairs((roots_of(q, by_link))) do
    d.shares_with = d.shares_with or {}
    for _, other in ipairs(list) do add(d.shares_with, other) end
    if of_p[d] then
      local of_lines = d.csv and d.csv.record
      if of_lines or d.format == 'fluent' then
        local what = of_lines and 'records of several lines' or "packets ('fluent')"
        fault(where, ("'%s' and '%s' share this and read one source, whose %s cannot be taken one by one; give each its own source")
          :format(p.name, q.name, what))
      end
      d.one = true
    end
  end
end

local function is_of_files(p, by_link)
  for _, d in ipairs((roots_of(p, by_link))) do
    if d.kind ~= 'file' or d.follow then return false end
  end
  return true
end

--- When all pipelines are planned: bounds, order, who shares what. by_link: the source of a link -> the pipelines that feed it.
function M.finish(plan, pipelines, by_link)
  for _, p in ipairs(pipelines) do p.of_files = is_of_files(p, by_link) end
  for _, d in ipairs(plan.sources) do d.waits_for, d.shares_with, d.read_first, d.one = nil, nil, nil, nil end   -- a spec plans them again
  for _, t in ipairs(plan.tables) do
    t.bounded = true
    for _, d in ipairs(roots_of_table(t, by_link)) do t.bounded = t.bounded and is_bounded(d) end
    for _, p in ipairs(t.readers) do
      for _, writer in ipairs(t.step.members) do if p ~= writer then share(t.place, writer, p, by_link) end end
    end
  end
  for _, p in ipairs(pipelines) do
    for _, q in ipairs(p.group.members) do
      if q ~= p then share(p.group.place, p, q, by_link) end
    end
  end
  for _, t in ipairs(plan.tables) do
    for _, p in ipairs(t.readers) do plan_wait(t, p, by_link) end
  end
end

return M
