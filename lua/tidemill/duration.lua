--[[
duration.lua - '5m', '1m30s', '250ms' to milliseconds. A bare number is an error that shows both spellings.
]]

local M = {}

local unit_ms = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

--- Milliseconds, or nil and why not.
---@param text any
function M.parse(text)
  if type(text) == 'number' then
    return nil, ("a duration needs a unit: write '%gs' for seconds or '%gms' for milliseconds"):format(text, text)
  end
  if type(text) ~= 'string' then return nil, "a duration is a text such as '5m' or '1m30s'" end
  local sign, rest = text:match '^(%-?)(.+)$'
  if not rest then return nil, "a duration is a text such as '5m' or '1m30s'" end
  local total, at = 0, 1
  while at <= #rest do
    local number, unit, stop = rest:match('^(%d+%.?%d*)(%a+)()', at)
    if not number or not unit_ms[unit] then
      return nil, "'" .. text .. "' is not a duration; write ms, s, m, h or d behind a number, such as '1m30s'"
    end
    total = total + tonumber(number) * unit_ms[unit]
    at = stop
  end
  return sign == '-' and -total or total
end

--- Milliseconds as a text that parse takes.
---@param ms number whole and not negative
function M.text(ms)
  local parts = {}
  for _, unit in ipairs { 'd', 'h', 'm', 's', 'ms' } do
    local n = math.floor(ms / unit_ms[unit])
    if n > 0 then parts[#parts + 1] = ('%.0f%s'):format(n, unit) end
    ms = ms - n * unit_ms[unit]
  end
  return #parts > 0 and table.concat(parts) or '0s'
end

--- Milliseconds for people: the two largest units, '9h26m', '13m2s'.
---@param ms number
function M.short(ms)
  local parts, left = {}, math.floor(math.abs(ms))
  for _, unit in ipairs { 'd', 'h', 'm', 's', 'ms' } do
    local n = math.floor(left / unit_ms[unit])
    if #parts > 0 or n > 0 then parts[#parts + 1] = n > 0 and ('%.0f%s'):format(n, unit) or '' end
    left = left - n * unit_ms[unit]
    if #parts == 2 then break end
  end
  return (ms < 0 and '-' or '') .. (#parts > 0 and table.concat(parts) or '0s')
end

local per_second = { s = 1, m = 1 / 60, h = 1 / 3600 }

--- '1000/s', '6/m' as events a second, or nil and why not.
---@param text any
function M.rate(text)
  local number, unit = tostring(text):match '^(%d+%.?%d*)/(%a+)$'
  local rate = unit and per_second[unit] and tonumber(number) * per_second[unit]
  if not rate or rate <= 0 or rate > 1e9 then
    return nil, "'" .. tostring(text) .. "' is not a rate; write events a second, minute or hour, such as '1000/s' or '6/m'"
  end
  return rate
end

return M
