--[[
traces.lua - counts what the compiler does: pieces of Lua made machine code, attempts given up, all thrown away.
LuaJIT calls back at these events only, never in compiled code; the function itself is not compiled, so that counting
changes nothing of what is counted. The host reads the numbers.
]]

local jit = require 'jit'
local lib = require 'tidemill.lib'
local count = lib.ffi.cast('double *', lib.host.traces)

local marker = lib.flow.marker

local index = { stop = 0, abort = 1, flush = 2 }
-- of plans that are gone, as specs make many, nothing stays
local function weak() return setmetatable({}, { __mode = 'k' }) end
local loops, compiled = weak(), weak()
local starting

local function on_trace(what, _, func, _, parent)
  if what == 'start' then
    starting = not parent and loops[func] and func or nil
    return
  end
  local i = index[what]
  if not i then return end
  count[i] = count[i] + 1
  if what == 'flush' then compiled, count[3] = weak(), 0 end
  if what == 'stop' and starting then
    local w = loops[starting]
    if w.tally then w.passed, w.events, w.rows = w.tally.event == marker.row, w.tally.events, 0 end
    if not compiled[starting] then
      compiled[starting] = true
      count[3] = count[3] + 1
    end
  end
  starting = nil
end

jit.off(on_trace)
jit.attach(on_trace, 'trace')

local M = {}

local TRIES, ENOUGH = 6, 2000   -- rows seen before a trace is judged

--- Counts this pipeline's loop when it becomes machine code; tally (struct tm_out_tally *, may be nil) tells which events pass.
function M.watch(loop, tally)
  loops[loop] = { tally = tally, tries = tally and TRIES or 0, rows = 0 }
end

--- A loop's first trace follows the one event during which it was recorded; all that go another way leave it and come
--- back through its start. So where that event was of the rarer kind, passed or dropped, another is recorded.
--- loops: those still to be judged, which have just done a batch of `rows` rows; the others are taken out.
function M.judge(list, rows)
  for n = #list, 1, -1 do
    local w = loops[list[n]]
    w.rows = w.rows + rows
    if w.tries == 0 then
      table.remove(list, n)
    elseif w.passed ~= nil and w.rows >= ENOUGH then
      local share = (w.tally.events - w.events) / w.rows
      if (w.passed and share < 0.4) or (not w.passed and share > 0.6) then
        w.tries, w.passed = w.tries - 1, nil
        jit.flush(list[n])
      else
        w.tries = 0
      end
    end
  end
end

return M
