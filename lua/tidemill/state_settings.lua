--[[
state_settings.lua - what a step's kept state means besides its cells: the size of windows, the bounds of a join, the stages of a pattern.
These words are kept with the state (state_layout.lua): a script that says something else cannot go on with it, as no cell tells which
of what is kept would still be right.

Each is a name and a text; a text that begins with # is for comparing alone. Thresholds, rates and ttls are none of them: a step goes on
with others.
]]

local duration = require 'tidemill.duration'

local M = {}

--- Milliseconds as a script writes them.
local function span(ms)
  if ms < 0 then return '-' .. duration.text(-ms) end
  return ms == 0 and '0s' or duration.text(ms)
end

local function on_words(on)
  local left, right = table.concat(on.left, ', '), table.concat(on.right, ', ')
  return left == right and left or left .. ' = ' .. right
end

--- What decides about the windows of a step: list of { name, text }.
function M.of_window(w, paned)
  local list = { { 'kind of windows', w.kind } }
  local function add(name, text) list[#list + 1] = { name, text } end
  if w.size then add('size', span(w.size)) end
  if w.slide and w.kind == 'hopping' then add('slide', span(w.slide)) end
  if w.kind == 'count' then
    add('size', ('%.0f events'):format(w.n))
    add('slide', ('%.0f events'):format(w.slide))
  end
  if (w.offset or 0) ~= 0 then add('offset', span(w.offset)) end
  if w.zone then add('zone', w.zone) end
  if w.gap then add('gap', type(w.gap) == 'function' and 'by a function' or span(w.gap)) end
  if paned then add('way of keeping', 'panes') end
  return list
end

--- The same of the aggregates of sliding windows, which share what they keep.
---@param declared table list of { name, text }
function M.of_sliding(list, declared)
  local words = {}
  for i, a in ipairs(list) do words[i] = { "aggregate '" .. a.name .. "'", declared[i] .. ' over ' .. span(a.over) } end
  return words
end

-- of a feature, what decides about what is kept of it, besides its kind and fields
local OF_FEATURE = { 'over', 'step', 'half_life', 'share', 'within', 'max' }

--- The same of a group of features, which share what they keep.
---@param group table of features.group
function M.of_features(group)
  local list = {}
  for i, d in ipairs(group.features) do
    local words = { d.kind }
    if type(d.field) == 'string' then words[2] = "of '" .. d.field .. "'" end
    for _, field in ipairs(type(d.fields) == 'table' and d.fields or {}) do words[#words + 1] = "'" .. tostring(field) .. "'" end
    for _, option in ipairs(OF_FEATURE) do
      local v = d[option]
      if type(v) == 'number' then
        words[#words + 1] = option .. ' ' .. ((option == 'share' or option == 'max') and ('%.14g'):format(v) or span(v))
      end
    end
    list[i] = { "feature '" .. d.name .. "'", table.concat(words, ' ') .. (d.current == false and ' (without the event)' or '') }
  end
  return list
end

--- The same of a pattern: its stages, and how they are joined.
---@param graph table of patterns_graph.make
---@param shape string of patterns_graph.shape_of
---@param lateness number|nil ms, of events that correct matches
function M.of_pattern(graph, shape, lateness)
  local names = {}
  for i, s in ipairs(graph.stages) do names[i] = s.name end
  local sum = 5381   -- the shape itself is long and says nothing to people
  for i = 1, #shape do sum = (sum * 33 + shape:byte(i)) % 2 ^ 32 end
  return { { 'list of stages', table.concat(names, ', ') }, { 'form (quantifiers, contiguity, conditions)', ('#%.0f'):format(sum) },
    lateness and { 'lateness of corrections', span(lateness) } or nil }
end

--- The same of a join.
function M.of_join(rec)
  local list = rec.window and M.of_window(rec.window.window) or {}
  list[#list + 1] = { 'key', on_words(rec.on) }
  if not rec.window then
    local w = rec.within
    list[#list + 1] = { 'range of times', w and ('from %s before to %s after'):format(span(w.before), span(w.after)) or 'any time' }
  end
  list[#list + 1] = { 'kind', rec.kind_of or 'inner' }
  return list
end

return M
