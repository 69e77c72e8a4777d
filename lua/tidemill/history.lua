--[[
history.lua - the plan of a command that goes through history again with a pack (backtest.lua, why.lua): the one pack of a script, whose
input becomes the history and whose sinks are not written.

  input   --from log:NAME, or files: the source from which the pack's events come; tables are read as they are. Without --from the source
          of the script itself, where that can be read again.
  output  thrown away; with a file, the one sink that is not of dead letters or late events becomes that file
Nothing else of the plan is changed: steps, states and the path of an event are those of a run.
]]

local lib = require 'tidemill.lib'
local replay = require 'tidemill.replay'

local M = {}

--- What is printed when history has come to its end: state of the command line -> module with prepare(plan, o, input) and lines().
M.commands = { backtest = 'tidemill.backtest', confirm = 'tidemill.backtest_confirm', why = 'tidemill.why' }

local KEYS = { 'paths', 'format', 'csv', 'fluent', 'follow', 'rate', 'fn', 'count', 'kind', 'name', 'log', 'range' }

local function refuse(message, ...) lib.raise('usage', message:format(...)) end

local function names_of(list)
  local names = {}
  for i, d in ipairs(list) do names[i] = d.name or d.kind end
  return table.concat(names, ', ')
end

--- The one step of the plan that is a pack.
---@param what string the command, for messages
function M.pack_step(plan, what)
  local found, names = nil, {}
  for _, p in ipairs(plan.pipelines) do
    for _, step in ipairs(p.steps) do
      if step.kind == 'pack' then
        found = found or step
        names[#names + 1] = step.rec.pack.name
      end
    end
  end
  if not found then refuse("%s takes a rule pack: its folder, or a script with :pack; there is none here", what) end
  if #names > 1 then refuse('%s: the script has several packs: %s; give the folder of one', what, table.concat(names, ', ')) end
  return found
end

--- Puts what --from names in the place of what the script reads.
local function change_source(plan, o, input, what)
  if o.replay then return replay.change_sources(plan, o) end
  local reads = {}
  for _, d in ipairs(plan.sources) do
    if d.kind ~= 'link' and not d.read_first then reads[#reads + 1] = d end
  end
  if #o.from > 0 then
    if #reads ~= 1 then
      refuse('%s: --from takes the place of what the script reads, and that is %s; give the folder of the pack', what,
        #reads == 0 and 'nothing' or names_of(reads))
    end
    for _, key in ipairs(KEYS) do reads[1][key] = input[key] end
  end
  for _, d in ipairs(reads) do
    if d.kind == 'every' or d.kind == 'log' and #o.from == 0 then
      refuse("%s: which history? Give --from FILE or --from log:NAME; the script reads %s", what, names_of(reads))
    end
    d.follow, d.rate = nil, nil
  end
  for _, d in ipairs(plan.sinks) do   -- what carries rows between pipelines is of what they read
    if d.kind == 'link' then d.format, d.source.format = nil, nil end
  end
  plan:link_formats()
end

local function change_sinks(plan, file, what)
  local plain, is_plain = {}, {}
  for _, p in ipairs(plan.pipelines) do
    for _, out in ipairs(p.outs) do
      local d = out.sink
      if not out.dead and not (p.late_to and p.late_to.out == out) and d.kind ~= 'link' and d.kind ~= 'discard' and not d.of_table and
        not is_plain[d] then
        plain[#plain + 1], is_plain[d] = d, true
      end
    end
  end
  if file and #plain ~= 1 then
    refuse('%s: --decisions is a file for the one output of a script, and this one has %s', what, #plain == 0 and 'none' or names_of(plain))
  end
  for _, d in ipairs(plan.sinks) do
    if d.kind ~= 'link' and d.kind ~= 'discard' and not d.of_table then
      if file and is_plain[d] then
        d.kind, d.path, d.name, d.files, d.prints = 'file', file, file, nil, true   -- prints: it is written, though states are shown
      else
        d.kind, d.path, d.files = 'discard', nil, nil
      end
    end
  end
end

--- Changes a plan before it is bound; the step of the pack.
---@param input table the default input, as a source of the plan
---@param what string the command
---@param file? string where the rows of the script's output go
function M.change(plan, o, input, what, file)
  local step = M.pack_step(plan, what)
  change_source(plan, o, input, what)
  change_sinks(plan, file, what)
  replay.warn_of_clocks(plan)
  return step
end

return M
