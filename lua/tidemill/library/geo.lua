--[[
geo.lua - tm.geo: distances and directions on the Earth as a sphere of its mean radius, 6371.0088 km (IUGG).
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local raise, wrong = lib.raise, args.wrong
local sin, cos, asin, sqrt, atan2, rad, deg, min = math.sin, math.cos, math.asin, math.sqrt, math.atan2, math.rad, math.deg, math.min

local M = {}
local DIAMETER_KM = 2 * 6371.0088

local function check(what, lat1, lon1, lat2, lon2)
  if type(lat1) ~= 'number' then wrong(what, 'a number', lat1, 1, 'latitude') end
  if type(lon1) ~= 'number' then wrong(what, 'a number', lon1, 2, 'longitude') end
  if type(lat2) ~= 'number' then wrong(what, 'a number', lat2, 3, 'latitude') end
  if type(lon2) ~= 'number' then wrong(what, 'a number', lon2, 4, 'longitude') end
  if not (lat1 >= -90 and lat1 <= 90 and lat2 >= -90 and lat2 <= 90 and lon1 >= -360 and lon1 <= 360 and lon2 >= -360 and lon2 <= 360) then
    raise('type', ('%s: a latitude lies within -90 and 90, a longitude within -360 and 360; got %.14g, %.14g, %.14g, %.14g'):format(
      what, lat1, lon1, lat2, lon2))
  end
end

--- Great-circle distance in km (haversine); degrees in.
---@param lat1 number
---@param lon1 number
---@param lat2 number
---@param lon2 number
---@return number
function M.km(lat1, lon1, lat2, lon2)
  check('tm.geo.km', lat1, lon1, lat2, lon2)
  local a, b = sin(rad(lat2 - lat1) / 2), sin(rad(lon2 - lon1) / 2)
  return DIAMETER_KM * asin(min(1, sqrt(a * a + cos(rad(lat1)) * cos(rad(lat2)) * b * b)))
end

--- The direction in which the way begins: 0 is north, 90 east, below 360.
---@param lat1 number
---@param lon1 number
---@param lat2 number
---@param lon2 number
---@return number
function M.bearing(lat1, lon1, lat2, lon2)
  check('tm.geo.bearing', lat1, lon1, lat2, lon2)
  local a, b, l = rad(lat1), rad(lat2), rad(lon2 - lon1)
  return deg(atan2(sin(l) * cos(b), cos(a) * sin(b) - sin(a) * cos(b) * cos(l))) % 360
end

return { geo = M }
