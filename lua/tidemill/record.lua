--[[
record.lua - what scripts say of records of several lines: `record = { start =, max_lines =, timeout = }` of a source of lines, and its
checks. Which lines are one record is C's to find (host/codec/record.c); a record always has a bound in lines, in bytes and in time.
]]

local duration = require 'tidemill.duration'
local stream = require 'tidemill.stream'
local fault, describe = stream.fault, stream.describe

local M = {}

-- as in host/codec/record.h
local LINES, LINES_MAX, PATTERN_MAX = 1000, 1000000, 1000
local TIMEOUT, TIMEOUT_MAX_MS = '5s', 86400000

--- Faults that no text needs to be met for; and what can be no start of a record, though it is a pattern.
local function start_fault(start)
  local pattern = require 'tidemill.pattern'   -- needs the FFI, which plans do not
  if type(start) ~= 'string' or start == '' then
    return "takes the Lua pattern that the first line of a record matches, such as '^%d%d%d%d%-'; got " ..
      (start == '' and 'an empty text' or describe(start))
  end
  if #start > PATTERN_MAX then return ('is a pattern of at most %d bytes, got %d'):format(PATTERN_MAX, #start) end
  local letter = start:match '\\([dswbDSWB])'
  if letter then
    return ("'%s' has \\%s, and is a Lua pattern, where classes are written with %%: '^%%d%%d%%d%%d%%-%%d%%d'"):format(start, letter)
  end
  local why = pattern.fault(start)
  if why then return ("'%s' is no Lua pattern: %s"):format(start, why) end
  if start:sub(-1) ~= '$' and pattern.find('', start) then
    return ("'%s' matches every line, so that each would be a record of its own; write what only first lines have"):format(start)
  end
  return nil
end

--- The option `record` of a source, checked.
---@param where string file:line of the script
---@param what string the call, such as 'tm.source.file'
---@param format string of the source
---@param given any the option's value
---@return table { start, max_lines, timeout_ms }
function M.options(where, what, format, given)
  if format ~= 'lines' then
    fault(where, what .. ": 'record' makes events of several lines and belongs to the format lines, and this is '" .. format ..
      "'; write format = 'lines'")
  end
  what = what .. ' record'
  given = stream.options(where, what, given)
  local why = start_fault(given.start)
  if why then fault(where, what .. ': start ' .. why) end
  local lines = given.max_lines or LINES
  if type(lines) ~= 'number' or lines % 1 ~= 0 or lines < 1 or lines > LINES_MAX then
    fault(where, ('%s: max_lines is a whole number from 1 to %d, got %s'):format(what, LINES_MAX, describe(given.max_lines)))
  end
  local ms, bad = duration.parse(given.timeout == nil and TIMEOUT or given.timeout)
  if ms and (ms < 1 or ms > TIMEOUT_MAX_MS) then bad = ("from '1ms' to '1d', got '%s'"):format(given.timeout) end
  if bad then fault(where, what .. ': timeout: ' .. bad) end
  return { start = given.start, max_lines = lines, timeout_ms = ms }
end

--- Does a pipeline read records, itself or by way of others? writers: of links, by sink.
local function reads_records(p, writers)
  if p.source.csv then return p.source.csv.record ~= nil end
  for _, before in ipairs(writers[p.source.sink] or {}) do
    if before.records then return true end
  end
  return false
end

--- Lets sinks of lines write rows with line breaks where what they write may come from records: `breaks` of the sink. Not where a file's
--- place or end is found row by row, which are lines there.
---@param plan table its pipelines stand behind those that feed them
function M.breaks(plan)
  local writers = {}
  for _, p in ipairs(plan.pipelines) do
    p.records = reads_records(p, writers)
    for _, out in ipairs(p.outs) do
      local d, files = out.sink, out.sink.files or {}
      if d.kind == 'link' then
        writers[d] = writers[d] or {}
        table.insert(writers[d], p)
      elseif p.records and d.format == 'lines' then
        d.breaks = not (files.template or (files.roll_size or 0) > 0 or (files.roll_every_ms or 0) > 0)
      end
    end
  end
end

return M
