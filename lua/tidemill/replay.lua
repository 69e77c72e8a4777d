--[[
replay.lua - `tidemill replay`: a plan whose input becomes an event log and whose sinks become outputs of the replay.

  input    sources that read the log by tm.source.log; where there is none, the one source the script has (but for those of tables, which
           are read as they are). Files beside the log are read as in a run; what cannot be read again is refused.
  output   --out DIR: each sink is a file in DIR, named after it. Without it the one sink there is goes to standard output; several are
           refused. With --compare one is compared, and the others are counted.
Nothing else of the plan is changed, so steps and states are those of a run.
]]

local lib = require 'tidemill.lib'
local logs = require 'tidemill.logs'

local M = {}

local function refuse(message, ...) lib.raise('usage', message:format(...)) end

local function names_of(list)
  local names = {}
  for i, d in ipairs(list) do names[i] = d.name or d.kind end
  return table.concat(names, ', ')
end

--- '10x' as a number, 0: as fast as it goes.
local function speed_of(text)
  if text == nil or text == 'max' then return 0 end
  local n = tonumber(text:match '^(%d+%.?%d*)x$')
  if not n or n <= 0 then refuse("--speed: '%s' is no speed; write max, 1x or 10x", text) end
  return n
end

--- Makes a source's description that of the log.
local function become_log(d, name, range)
  for _, key in ipairs { 'paths', 'format', 'csv', 'fluent', 'follow', 'rate', 'fn', 'count' } do d[key] = nil end
  d.kind, d.log, d.name, d.format, d.range = 'log', name, 'log ' .. name, 'json', range
end

--- Puts the log in the place of what the script reads.
function M.change_sources(plan, o)
  local range = logs.range(function(m) refuse('replay: %s', m) end, o.replay_from, o.replay_to, false)
  range.speed = speed_of(o.speed)
  local reads, others = {}, {}
  for _, d in ipairs(plan.sources) do
    if d.kind == 'log' and d.log == o.replay then reads[#reads + 1] = d
    elseif d.kind ~= 'link' and not d.read_first then others[#others + 1] = d end
  end
  if #reads == 0 then
    if #others ~= 1 then
      refuse("replay: the script reads %s, and none is tm.source.log '%s'; let the one that the log is the history of read it",
        #others == 0 and 'no input of its own' or names_of(others), o.replay)
    end
    reads, others = others, {}
  end
  for _, d in ipairs(reads) do become_log(d, o.replay, range) end
  for _, d in ipairs(others) do
    if d.kind == 'stdin' or d.kind == 'every' then
      refuse('replay: the script also reads %s, which cannot be read again; keep that in a log too', d.name or d.kind)
    end
    d.follow = nil
    if d.kind == 'log' then
      local own = { follow = false, from = 0, from_at = 0, until_ = 0, until_at = 0, speed = range.speed }
      if range.from == 3 then own.from, own.from_at = range.from, range.from_at end
      if range.until_ == 2 then own.until_, own.until_at = range.until_, range.until_at end
      d.range = own
    end
  end
  for _, d in ipairs(plan.sinks) do   -- what carries rows between pipelines is of what they read
    if d.kind == 'link' then d.format, d.source.format = nil, nil end
  end
  plan:link_formats()
end

--- The file in the folder of outputs that a sink becomes; taken: names that are.
function M.file_of(d, taken)
  local name = d.kind == 'stdout' and 'out.ndjson' or d.kind == 'log' and d.path .. '.ndjson' or d.path
  name = name:gsub('^%./', ''):gsub('/', '_')
  local base, n = name, 1
  while taken[name] do
    n = n + 1
    name = n .. '-' .. base
  end
  taken[name] = true
  return name
end

--- The sink that is compared, and the log it is compared with.
local function compared(list, text)
  local output, log = text:match '^(.-)=(.+)$'
  log = log or text
  if not log:find '^[%w_-][%w._-]*$' then refuse("--compare: '%s' is no name of a log", log) end
  for _, d in ipairs(list) do
    if output and (d.path == output or d.name == output) or not output and d.kind == 'log' and d.path == log then return d, log end
  end
  if output then refuse("--compare: the script has no output '%s'; it has %s", output, names_of(list)) end
  if #list ~= 1 then
    refuse('--compare: which output? The script has %s; write --compare OUTPUT=%s', #list == 0 and 'none' or names_of(list), log)
  end
  return list[1], log
end

local function change_sinks(plan, o)
  local list, taken = {}, {}
  for _, d in ipairs(plan.sinks) do
    if d.kind ~= 'link' and d.kind ~= 'discard' and not d.of_table then list[#list + 1] = d end
  end
  local target, log
  if o.compare then
    target, log = compared(list, o.compare)
    local rest = {}
    for _, d in ipairs(list) do if d ~= target then rest[#rest + 1] = d end end
    list = rest
    target.kind, target.path, target.log, target.format, target.csv, target.files = 'compare', log, log, 'json', nil, nil
    target.part = o.replay_to ~= nil
  end
  if #list > 1 and not o.out and not target then
    refuse('replay: the script writes %s; give --out DIR, where each becomes a file', names_of(list))
  end
  for _, d in ipairs(list) do
    if o.out then d.path, d.kind = o.out .. '/' .. M.file_of(d, taken), 'file'
    elseif target then d.kind, d.path, d.files = 'discard', nil, nil
    else d.kind, d.path, d.files = 'stdout', nil, nil end
  end
end

--- Steps that follow the clock are not the same in a replay.
function M.warn_of_clocks(plan)
  for _, p in ipairs(plan.pipelines) do
    for _, step in ipairs(p.steps) do
      if step.kind == 'event_time' and step.rec.processing then
        lib.host.warn(step.place .. ': processing_time follows the clock, so what comes of it is not what it was; declare :event_time')
      end
    end
  end
end

--- Changes a plan before it is bound; o: what the command line said.
function M.change(plan, o)
  M.change_sources(plan, o)
  change_sinks(plan, o)
  M.warn_of_clocks(plan)
end

return M
