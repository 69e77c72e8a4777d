--[[
guarantee.lua - how often a row reaches a sink when the program is ended by force: what each kind of sink keeps, whether that is
what a script asked for with `guarantee`, and which input can be read again.

Without --data nothing outlives the run: a worker that dies is taken up exactly, but when all of the program ends, rows on
their way are gone and none is written twice by this run. With --data the run goes on where its folder says, and a sink keeps what can
be asked how far it came.
]]

local M = {}

--- What can be asked for.
M.LEVELS = { 'exactly_once', 'at_least_once', 'at_most_once' }

-- by kind of sink, with --data; why not more
local KEPT = {
  file = { 'exactly_once' },
  sqlite = { 'exactly_once' },
  log = { 'exactly_once' },
  stdout = { 'at_most_once', 'nobody can be asked what standard output took; write to a file or a database' },
}
local NOT_MORE = { 'at_most_once', 'without a folder to recover from, a run that is ended by force begins anew; give --data DIR' }

-- what a level is as good as
local AS_GOOD = {
  exactly_once = { exactly_once = true, at_least_once = true, at_most_once = true },
  at_least_once = { at_least_once = true },
  at_most_once = { at_most_once = true },
}

--- The level of a sink, and why it is not better; nil for what is no way out of the program.
---@param d table a description (plan.lua)
---@param data boolean the run has --data
---@return string? level
---@return string? why
function M.of(d, data)
  local kept = KEPT[d.kind]
  if not kept or d.of_table then return nil end
  if not data then kept = NOT_MORE end
  return kept[1], kept[2]
end

--- 'exactly once'
function M.words(level) return (level:gsub('_', ' ')) end

--- Refuses a plan with a sink that cannot keep what was asked for.
---@param sinks table[] descriptions
---@param data boolean the run has --data, or whether it will is not known yet
---@param fail fun(place: string, message: string)
function M.check(sinks, data, fail)
  for _, d in ipairs(sinks) do
    local level, why = M.of(d, data)
    if d.guarantee and level and not AS_GOOD[level][d.guarantee] then
      fail(d.place ~= '' and d.place or 'script', ("%s: guarantee = '%s' cannot be kept, only %s: %s"):format(
        d.path and d.name or d.kind, d.guarantee, level, why or "ask for '" .. level .. "', or leave guarantee out"))
    end
  end
end

--- One sink is one description, whoever names it: what is asked for in one place holds.
function M.merge(found, d, fail)
  if found.guarantee and d.guarantee and found.guarantee ~= d.guarantee then
    fail(d.place, (d.name or d.kind) .. " is asked for two different values of guarantee; choose one")
  end
  found.guarantee = found.guarantee or d.guarantee
end

-- by kind of source, with --data: can what was read be read again? and what if not
local READ = {
  file = { 'again' }, log = { 'again' }, every = { 'again' }, generate = { 'again' },
  stdin = { 'once', 'a pipe: what was read since the last epoch outlives a worker, and is lost when all of the program ends by force; ' ..
    'a file is read on' },
}

--- Whether a run with --data can read again what a source gave since its last epoch, and if not what that means; nil for a link.
---@param d table a description (plan.lua)
---@return string? again 'again' or 'once'
---@return string? why
function M.of_source(d)
  local read = READ[d.kind]
  if read then return read[1], read[2] end
end

--- The same of all sources of a run with --data, in a line: for when the run starts.
---@param sources table[]
---@return string? nil: there is nothing to say
function M.sources_line(sources)
  local parts, told = {}, {}
  for _, d in ipairs(sources) do
    local again, why = M.of_source(d)
    local text = again and (d.name or d.kind) .. ' ' .. again .. (why and ' (' .. why .. ')' or '')
    if text and not told[text] then parts[#parts + 1], told[text] = text, true end
  end
  return parts[1] and 'input can be read: ' .. table.concat(parts, ', ') or nil
end

--- What each sink of a run with --data keeps, in a line: for when the run starts.
---@param sinks table[]
---@return string
function M.line(sinks)
  local parts = {}
  for _, d in ipairs(sinks) do
    local level = M.of(d, true)
    if level then parts[#parts + 1] = (d.name or d.kind) .. ' ' .. M.words(level) end
  end
  return 'rows are written: ' .. (#parts > 0 and table.concat(parts, ', ') or 'nowhere')
end

return M
