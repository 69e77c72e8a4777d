--[[
bounds.lua - where windows of one size begin and end.

Windows lie on a line of whole ms: UTC, or what the clocks of a zone show. Window k covers [k * slide + offset, + size) of that line. A time
of the line is met at one point in time, the first by which the clocks have shown that much: so of an hour that is shown twice the
first one counts, and what is left out is met when the clocks are put forward. A local day is 23 or 25 hours long where it should
be, the hour that comes twice is one window of two, and what lies in a gap alone is a window without time, which no event falls into.
]]

local lib = require 'tidemill.lib'
local C, floor = lib.C, math.floor

local M = {}

--- Of windows that begin every `slide` ms.
---@param w table offset, zone (a name, or nil)
---@return function number(t): of the last that has begun by point in time t
---@return function edge(k, more): the point in time at which k * slide + more is met on the line
function M.of(w, slide)
  local offset, zone = w.offset, w.zone and require('tidemill.library.date').zone(w.zone)
  if not zone then
    return function(t) return floor((t - offset) / slide) end, function(k, more) return k * slide + offset + more end
  end
  return function(t) return floor((C.tm_ffi_zone_reached(zone, t) - offset) / slide) end,
    function(k, more) return (C.tm_ffi_zone_first(zone, k * slide + offset + more)) end
end

return M
