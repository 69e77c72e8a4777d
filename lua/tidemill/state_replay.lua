--[[
state_replay.lua - `over` that got aggregates: a kept record's events go through the new list once more, in their order.

A record keeps of each event within the longest window its time and the values that aggregates take, a cell each. What these values are is
kept as words of the state (state_layout.lua, entry): cell 0 has the longest window in ms, the others say which value of which field. A
cell of the new list that takes the same value gets it; others are empty, so an aggregate that was added sees nothing of the events that
came before, nor of what lies further back than was kept. Until its window holds none of those, rows say partial = true.
]]

local lib = require 'tidemill.lib'
local C, ffi = lib.C, lib.ffi

local M = {}

--- What the cells of entries hold, by cell: cell 0 says how far back.
---@param compiled table of slide.compile
---@return table
function M.words(compiled)
  local longest, words = 0, {}
  for i = 0, compiled.plan.windows_n - 1 do longest = math.max(longest, compiled.plan.sizes[i]) end
  words[0] = ('%.0f'):format(longest)
  for _, c in ipairs(compiled.cells) do
    -- functions cannot be compared: the aggregate's name stands for its own
    local text = ('%s %s %g%s'):format(c.takes, c.field or '-', c.a.scale or 1, c.where and " where of '" .. c.a.name .. "'" or '')
    words[c.cell] = text
    if c.low ~= 0 then words[c.low] = text .. ' low' end
  end
  return words
end

--- Does a list only have more aggregates than the kept one?
---@param was table of state_layout.parse
function M.can(was, now)
  for _, s in ipairs(was.set) do
    if now.set[s[1]] ~= s[2] then return false end
  end
  return next(was.entry) ~= nil and next(now.entry) ~= nil
end

--- Up to how many ms behind the last event that was kept rows are partial; 0: all that was added is known.
---@param list table the step's aggregates
---@param compiled table of slide.compile
local function unknown_for(list, compiled, was, from)
  local span, kept = 0, tonumber(was.entry[0]) or 0
  for i, a in ipairs(list) do
    local cell = compiled.plan.parts[i - 1].cell
    local known = (cell == 0 or from[cell] ~= nil) and a.over <= kept
    if not known and not was.set["aggregate '" .. a.name .. "'"] then span = math.max(span, a.over) end
  end
  return span
end

--- Prepares a change: which cell of a kept entry each cell gets.
---@param change table of state_reshape.begin
function M.prepare(change)
  local by_text, from = {}, {}
  for cell, text in pairs(change.was.entry) do
    if cell > 0 then by_text[text] = cell end
  end
  for cell, text in pairs(change.now.entry) do
    if cell > 0 then from[cell] = by_text[text] end
  end
  for _, c in ipairs(change.was.cells) do
    if c.kind == 'series' and c.field == 'entries' then change.entries = c end
  end
  change.replay = change.opened.words.replay
  change.cell_from = from
end

--- The events of a kept record go into the new one, p, which is announced.
function M.fill(change, old, p)
  local replay, entries, from = change.replay, change.entries, change.cell_from
  local plan = replay.compiled.plan
  local ref = ffi.cast('struct tm_state_ref *', ffi.cast('char *', old) + entries.off)
  local values, time = plan['in'], ffi.new 'struct tm_value'
  local clock = change.opened.clock
  for i = 0, tonumber(ref.n) - 1 do
    C.tm_ffi_series_get(change.kept, old, entries.index, i, 0, time)
    for cell = 1, plan.cells - 1 do
      values[cell].kind = C.TM_VALUE_NIL
      if from[cell] then C.tm_ffi_series_get(change.kept, old, entries.index, i, from[cell], values + cell) end
    end
    local rc = C.tm_ffi_slide_add(plan, change.made, p, time.num, clock.w)
    if rc < 0 then replay.compiled.refuse(change.made, rc) end
  end
end

--- All records are filled.
function M.done(change)
  local replay, clock = change.replay, change.opened.clock
  local span = unknown_for(replay.list, replay.compiled, change.was, change.cell_from)
  if span > 0 and clock.highest > -math.huge then replay.partial[0] = math.max(replay.partial[0], clock.highest + span) end
end

--- What `over` gives state.open as words.replay: list, compiled, and partial: until which time rows are partial, a double[1].
function M.new(list, compiled)
  local partial = ffi.new 'double[1]'
  partial[0] = -math.huge
  return { list = list, compiled = compiled, partial = ffi.cast('double *', partial), anchor = partial }
end

--- Registers what is remembered of it.
function M.keep(name, replay)
  require('tidemill.keep').add(name .. '/partial', 'until when rows are partial', function()
    return replay.partial[0] > -math.huge and { replay.partial[0] } or nil
  end, function(data) replay.partial[0] = data[1] end)
end

return M
