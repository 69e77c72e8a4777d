--[[
random.lua - random numbers of the generator: L'Ecuyer's two combined multiplicative generators (CACM 31, 1988). Every product stays below
2^53, so a plain Lua number holds it exactly, and the same seed draws the same numbers everywhere.
]]

local M = {}

local Random = {}
Random.__index = Random

--- In (0, 1).
function Random:share()
  local a, b = self.a * 40014 % 2147483563, self.b * 40692 % 2147483399
  self.a, self.b = a, b
  local z = a - b
  if z < 1 then z = z + 2147483562 end
  return z / 2147483563
end

--- A number from low to high.
function Random:within(low, high) return low + (high - low) * self:share() end

--- A whole number from low to high, both included.
function Random:whole(low, high) return low + math.floor(self:share() * (high - low + 1)) end

function Random:chance(p) return self:share() < p end

function Random:pick(list) return list[self:whole(1, #list)] end

--- Exponential, with this mean.
function Random:exponential(mean) return -mean * math.log(self:share()) end

--- Normal (Box and Muller).
function Random:normal() return math.sqrt(-2 * math.log(self:share())) * math.cos(2 * math.pi * self:share()) end

--- Numbers of their own for each pair (seed, stream): what one part of the generator draws never moves another one.
---@param seed number
---@param stream number
function M.new(seed, stream)
  local r = setmetatable({ a = 1 + (seed * 104729 + stream * 7919) % 2147483562, b = 1 + (seed * 15485863 + stream * 611953) % 2147483398 },
    Random)
  for _ = 1, 10 do r:share() end
  return r
end

return M
