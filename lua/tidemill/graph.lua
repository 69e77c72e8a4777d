--[[
graph.lua - what `tidemill graph` draws: sources, pipelines with their steps, forks, what feeds what, sinks.

The plan (plan.lua) becomes nodes and edges, which DOT, Mermaid and JSON are written from; the text is drawn from the plan's
tree, as its indentation is the tree. Nothing runs and nothing is opened: a pattern of files is shown as it stands.

  node { id, kind = 'source' 'pipeline' 'sink' or a step's, label, place, pipeline = index, guarantee = a sink's with --data,
    again = whether a source can be read again ('again', 'once') }
  edge { from, to, label, dead }
]]

local duration = require 'tidemill.duration'
local guarantee = require 'tidemill.guarantee'
local printable = require 'tidemill.printable'

local M = {}

local PLACE_AT, WIDTH, DETAIL_MAX = 72, 100, 400

-- What stands where ------------------------------------------------------------------------

--- "file:line"; of what no line of a script made, nil.
local function place_of(thing)
  return thing.place and thing.place:find ':%d+$' and thing.place or nil
end

local function quoted(kind, name)
  return kind == name and kind or kind .. ' ' .. name
end

local function source_label(d)
  if d.kind == 'file' then return quoted('file', table.concat(d.paths, ', ')) end
  if d.kind == 'log' then return quoted('log', d.log) end
  return quoted(d.kind, d.name or d.kind)
end

local function sink_label(d)
  local path = (d.kind == 'file' or d.kind == 'log') and d.path
  local label = quoted(d.kind, d.sqlite and d.path .. ':' .. d.sqlite.table or path or d.name or d.kind)
  return label .. (d.guarantee and ' (' .. guarantee.words(d.guarantee) .. ')' or '')
end

local function joined(list) return table.concat(list, ', ') end

local function on_text(on)
  local parts = {}
  for i, left in ipairs(on.left) do parts[i] = left .. (left ~= on.right[i] and ' = ' .. on.right[i] or '') end
  return joined(parts)
end

--- A duration that may be below nothing.
local function signed(ms) return (ms < 0 and '-' or '') .. duration.text(math.abs(ms)) end

local function join_text(rec, of)
  return rec.name .. ': ' .. (rec.kind_of ~= 'inner' and rec.kind_of .. ', ' or '') .. 'on ' .. on_text(rec.on) .. of .. ', as ' .. rec.as
end

local function window_text(w)
  local size = w.size and ' ' .. duration.text(w.size) or w.n and (' %.0f'):format(w.n) or
    w.gap and ' gap ' .. (type(w.gap) == 'number' and duration.text(w.gap) or 'by function') or ''
  local by = w.kind == 'hopping' and ' by ' .. duration.text(w.slide) or w.n and w.slide ~= w.n and (' by %.0f'):format(w.slide) or ''
  return w.kind .. size .. by .. (w.zone and ' in ' .. w.zone or '')
end

-- what a step does with which fields, by kind
local details = {
  join = function(rec)
    local w = rec.within
    return join_text(rec, w and (', within %s before to %s after'):format(signed(w.before), signed(w.after)) or '')
  end,
  window_join = function(rec)
    return join_text(rec, ', ' .. window_text(rec.window.window))
  end,
  join_right = function(rec)
    return rec.join.name .. ', as its right side' .. (rec.join.pipeline ~= rec.pipeline and ', of pipeline ' .. rec.join.pipeline or '')
  end,
  select = function(rec) return joined(rec.fields) end,
  drop = function(rec) return joined(rec.fields) end,
  set = function(rec) return joined(rec.fields) end,
  key_by = function(rec) return rec.fn and rec.name or #rec.fields > 0 and joined(rec.fields) or 'nothing' end,
  rename = function(rec)
    local parts = {}
    for i, from in ipairs(rec.from) do parts[i] = from .. ' = ' .. rec.to[i] end
    return joined(parts)
  end,
  event_time = function(rec)
    if rec.processing then return 'when it arrives' end
    return rec.field .. ' ' .. rec.unit .. (rec.out_of_order > 0 and ', out of order ' .. duration.text(rec.out_of_order) or '')
  end,
  window = function(rec)
    return rec.name .. ': ' .. window_text(rec.window) .. (rec.lateness > 0 and ', lateness ' .. duration.text(rec.lateness) or '')
  end,
  aggregate = function(rec)
    local e, names = rec.emit, {}
    for i, a in ipairs(rec.aggregates) do names[i] = a.name end
    local how = e.every and 'early ' .. duration.text(e.every) or e.count and ('early %d'):format(e.count) or e.mode
    local detail = { not rec.apply and joined(names) or nil }
    if how ~= 'final' then detail[#detail + 1] = 'emit ' .. how end
    return joined(detail)
  end,
  table = function(rec)
    return rec.name .. ': key ' .. joined(rec.on.fields) .. (rec.time and ', time ' .. rec.time.field or '') ..
      (rec.versioned and ', versioned ' .. duration.text(rec.versioned) or '')
  end,
  lookup = function(rec)
    local parts, right = {}, rec.table_rec.on.fields
    for i, left in ipairs(rec.on.fields) do parts[i] = left == right[i] and left or left .. ' = ' .. right[i] end
    return rec.table_rec.name .. ' on ' .. joined(parts) .. ' as ' .. rec.as .. (rec.missing == 'drop' and ', missing drop' or '')
  end,
  over = function(rec)
    local parts = {}
    for i, a in ipairs(rec.aggregates) do parts[i] = a.name .. ' ' .. duration.text(a.over) end
    return rec.name .. ': ' .. joined(parts)
  end,
  features = function(rec)
    local memory = rec.memory
    return ('%s: key %s; %s; a key %d bytes and %d an event, at most %d'):format(rec.name, joined(rec.group.key), joined(rec.adds),
      memory.record, memory.entry, memory.most)
  end,
  top = function(rec) return rec.name .. ': ' .. rec.n .. ' by ' .. rec.field end,
  sample = function(rec)
    if rec.every then return 'every ' .. ('%.0f'):format(rec.every) end
    return ('%.14g'):format(rec.rate) .. (rec.on and ' on ' .. (rec.on.name or joined(rec.on.fields)) or '')
  end,
  schema = function(rec)
    local parts = {}
    for i, field in ipairs(rec.types) do parts[i] = field.name .. ' ' .. field.typ.name end
    return joined(parts)
  end,
}

--- "select id, amount"; a kind of step that says nothing of itself is shown by its name, if it has one.
local function step_label(step)
  local rec = step.rec or {}
  local detail = details[step.kind] and details[step.kind](rec) or type(rec.name) == 'string' and rec.name or ''
  local kind = rec.shown or (rec.join or rec).kind or step.kind
  return kind .. (detail ~= '' and ' ' .. printable.cut(printable.utf8(detail), DETAIL_MAX) or '')
end

--- Pipelines that read what this sink, a link, carries.
local function readers_of(plan, sink)
  local list = {}
  for _, p in ipairs(plan.pipelines) do
    if p.source == sink.source then list[#list + 1] = p end
  end
  return list
end

-- Text ---------------------------------------------------------------------------------------

local Drawing = {}
Drawing.__index = Drawing

function Drawing:put(text, place)
  local lines = self.lines
  text = printable.line(text)
  if place then
    local room = WIDTH - 2 - printable.width(place)
    if room < 40 then room = 40 end
    text = printable.cut(text, math.max(room, 1))
    local gap = PLACE_AT - printable.width(text)
    text = text .. (' '):rep(gap > 2 and gap or 2) .. printable.line(place)
  else
    text = printable.cut(text, WIDTH)
  end
  lines[#lines + 1] = text
end

local function writes(drawing, sink)
  if sink.kind ~= 'link' then return sink_label(sink) end
  local names = {}
  for i, p in ipairs(readers_of(drawing.plan, sink)) do names[i] = p.name end
  return 'pipeline ' .. joined(names)
end

--- A step's own lines and what comes behind it. prefix: what stands in front of its first line; rest: in front of others.
function Drawing:step(step, prefix, rest)
  if step.kind == 'to' then
    self:put(prefix .. '→ ' .. writes(self, step.out.sink), step.rec and place_of(step))
  elseif step.kind == 'on_error' or step.kind == 'late_to' then
    self:put(prefix .. step.id .. ' ' .. step.kind .. ' → ' .. sink_label(step.out.sink), place_of(step))
  else
    self:put(prefix .. step.id .. ' ' .. step_label(step), place_of(step))
  end
  if step.kind == 'table' and #step.table.readers > 0 then
    local names = {}
    for i, p in ipairs(step.table.readers) do names[i] = p.name end
    self:put(rest .. '· looked up by pipeline ' .. joined(names))
  end
  local arms = step.arms or {}
  for i, arm in ipairs(arms) do
    local last = i == #arms
    self:put(rest .. (last and '└─ ' or '├─ ') .. arm.name .. ':', arm.place ~= step.place and place_of(arm) or nil)
    self:behind(arm, rest .. (last and '   ' or '│  '))
  end
  if step.kind ~= 'join_right' then self:behind(step, rest) end   -- what comes behind a join stands behind its left stream
end

--- One reader goes on at the same depth; several are a fork.
function Drawing:behind(step, prefix)
  local n = #step.next
  for i, child in ipairs(step.next) do
    if n == 1 then self:step(child, prefix, prefix)
    else self:step(child, prefix .. (i == n and '└─ ' or '├─ '), prefix .. (i == n and '   ' or '│  ')) end
  end
end

local function feeders(plan, source)
  local names = {}
  for _, p in ipairs(plan.pipelines) do
    for _, out in ipairs(p.outs) do
      if out.sink.source == source then names[#names + 1] = p.name end
    end
  end
  return 'pipeline ' .. joined(names)
end

function M.text(plan)
  local drawing = setmetatable({ plan = plan, lines = {} }, Drawing)
  for i, p in ipairs(plan.pipelines) do
    if i > 1 then drawing:put '' end
    local source = p.source
    drawing:put('pipeline ' .. p.name .. ' ← ' .. (source.kind == 'link' and feeders(plan, source) or source_label(source)), place_of(p))
    drawing:behind(p.tree, '  ')
  end
  return table.concat(drawing.lines, '\n') .. '\n'
end

-- Nodes and edges ------------------------------------------------------------------------------

local Model = {}
Model.__index = Model

function Model:node(id, kind, label, place, pipeline)
  self.nodes[#self.nodes + 1] = { id = id, kind = kind, label = label, place = place, pipeline = pipeline }
  return id
end

function Model:edge(from, to, label, dead)
  self.edges[#self.edges + 1] = { from = from, to = to, label = label, dead = dead or false }
end

--- Edges from a node to what a sink leads to.
function Model:lead(from, sink, label, dead)
  if sink.kind ~= 'link' then return self:edge(from, 'k' .. sink.index, label, dead) end
  for _, p in ipairs(readers_of(self.plan, sink)) do self:edge(from, 'p' .. p.index, label, dead) end
end

function Model:follow(p, step, from, label)
  for _, child in ipairs(step.next) do
    if child.kind == 'to' then
      self:lead(from, child.out.sink, label)
      self:follow(p, child, from, label)
    elseif child.kind == 'join_right' then
      for _, of in ipairs(self.plan.pipelines) do
        for _, other in ipairs(of.steps) do
          if other.rec == child.rec.join then
            self:edge(from, 'p' .. of.index .. '_' .. other.id, label and label .. ', right' or 'right')
          end
        end
      end
    else
      local id = self:node('p' .. p.index .. '_' .. child.id, child.kind, step_label(child), place_of(child), p.index)
      self:edge(from, id, label)
      if child.kind == 'on_error' or child.kind == 'late_to' then self:lead(id, child.out.sink, nil, true) end
      for _, arm in ipairs(child.arms or {}) do self:follow(p, arm, id, arm.name) end
      self:follow(p, child, id)
    end
  end
end

local function model_of(plan)
  local model = setmetatable({ plan = plan, nodes = printable.list(), edges = printable.list() }, Model)
  for _, d in ipairs(plan.sources) do
    if d.kind ~= 'link' then
      model:node('s' .. d.index, 'source', source_label(d))
      model.nodes[#model.nodes].again = guarantee.of_source(d)
    end
  end
  for _, p in ipairs(plan.pipelines) do
    local root = model:node('p' .. p.index, 'pipeline', p.name, place_of(p), p.index)
    if p.source.kind ~= 'link' then model:edge('s' .. p.source.index, root) end
    model:follow(p, p.tree, root)
  end
  for _, p in ipairs(plan.pipelines) do
    for _, step in ipairs(p.steps) do
      local t = step.kind == 'lookup' and step.table
      if t then model:edge('p' .. t.writer.index .. '_' .. t.step.id, 'p' .. p.index .. '_' .. step.id, 'lookup') end
    end
  end
  for _, d in ipairs(plan.sinks) do
    if d.kind ~= 'link' and not d.of_table then
      model:node('k' .. d.index, 'sink', sink_label(d))
      model.nodes[#model.nodes].guarantee = guarantee.of(d, true)
    end
  end
  return model
end

function M.json(plan)
  local model = model_of(plan)
  return printable.json { nodes = model.nodes, edges = model.edges } .. '\n'
end

--- Nodes of each pipeline, then those of none. pipeline(p, nodes) and node(n) write them.
local function by_pipeline(plan, model, pipeline, node)
  local groups = {}
  for _, n in ipairs(model.nodes) do
    if n.pipeline then
      groups[n.pipeline] = groups[n.pipeline] or {}
      table.insert(groups[n.pipeline], n)
    else
      node(n, '  ')
    end
  end
  for _, p in ipairs(plan.pipelines) do pipeline(p, groups[p.index]) end
end

-- DOT (graphviz.org/doc/info/lang.html) ----------------------------------------------------------

--- In a quoted string a quote and a backslash are escaped; in labels & begins an HTML entity. Parts are lines.
local function dot_text(...)
  local parts = {}
  for i = 1, select('#', ...) do
    parts[i] = printable.line((select(i, ...))):gsub('&', '&amp;'):gsub('[\\"]', '\\%0')
  end
  return '"' .. table.concat(parts, '\\n') .. '"'
end

local dot_shapes = { source = 'cds', sink = 'note', pipeline = 'ellipse', branch = 'diamond', route = 'diamond' }

function M.dot(plan)
  local model = model_of(plan)
  local lines = { 'digraph tidemill {', '  rankdir=LR;', '  node [shape=box];' }
  local function put(text) lines[#lines + 1] = text end
  local function node(n, indent)
    local label = n.kind ~= 'pipeline' and n.place and dot_text(n.label, n.place) or dot_text(n.label)
    put(indent .. n.id .. ' [label=' .. label .. (dot_shapes[n.kind] and ', shape=' .. dot_shapes[n.kind] or '') .. '];')
  end
  by_pipeline(plan, model, function(p, nodes)
    put('  subgraph cluster_' .. p.index .. ' {')
    put('    label=' .. dot_text(place_of(p) or '') .. ';')
    for _, n in ipairs(nodes) do node(n, '    ') end
    put '  }'
  end, node)
  for _, e in ipairs(model.edges) do
    local attributes = {}
    if e.label then attributes[1] = 'label=' .. dot_text(e.label) end
    if e.dead then attributes[#attributes + 1] = 'style=dashed' end
    put('  ' .. e.from .. ' -> ' .. e.to .. (#attributes > 0 and ' [' .. joined(attributes) .. ']' or '') .. ';')
  end
  put '}'
  return table.concat(lines, '\n') .. '\n'
end

-- Mermaid (mermaid.js.org/syntax/flowchart.html) ---------------------------------------------------

--- In quotes, and what means something there as an entity: quotes, those of Markdown (` * _ ~), HTML and # itself.
local function mermaid_text(...)
  local parts = {}
  for i = 1, select('#', ...) do
    parts[i] = printable.line((select(i, ...))):gsub('[#"&<>\\`*_~;]', function(c) return '#' .. c:byte() .. ';' end)
  end
  return '"' .. table.concat(parts, '<br/>') .. '"'
end

local mermaid_shapes = {
  source = { '[(', ')]' }, sink = { '[/', '/]' }, pipeline = { '([', '])' }, branch = { '{', '}' }, route = { '{', '}' },
}

function M.mermaid(plan)
  local model = model_of(plan)
  local lines = { 'flowchart LR' }
  local function put(text) lines[#lines + 1] = text end
  local function node(n, indent)
    local shape = mermaid_shapes[n.kind] or { '[', ']' }
    local label = n.kind ~= 'pipeline' and n.place and mermaid_text(n.label, n.place) or mermaid_text(n.label)
    put(indent .. n.id .. shape[1] .. label .. shape[2])
  end
  by_pipeline(plan, model, function(p, nodes)
    put('  subgraph g' .. p.index .. '[' .. mermaid_text(place_of(p) or '-e') .. ']')
    for _, n in ipairs(nodes) do node(n, '    ') end
    put '  end'
  end, node)
  for _, e in ipairs(model.edges) do
    put('  ' .. e.from .. (e.dead and ' -.->' or ' -->') .. (e.label and '|' .. mermaid_text(e.label) .. '|' or '') .. ' ' .. e.to)
  end
  return table.concat(lines, '\n') .. '\n'
end

--- The plan drawn as 'text', 'dot', 'mermaid' or 'json'.
function M.draw(plan, format)
  return assert(({ text = M.text, dot = M.dot, mermaid = M.mermaid, json = M.json })[format], format)(plan)
end

return M
