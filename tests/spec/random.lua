--[[
random.lua - a source of random numbers for specs: the same ones for the same seed, on every machine, and apart from math.random, which
is part of what is tested (Park and Miller's generator, "minimal standard", 1988). It is loaded by specs that `tidemill test` runs, too.

  r(n) from 1 to n, r.pick(list) one of its elements, r.chance(p) true with probability p
]]

--- A source of its own for each seed, a whole number.
return function(seed)
  local state = (seed * 2654435761 + 12345) % 2147483647
  if state == 0 then state = 1 end
  local r = setmetatable({}, { __call = function(_, n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end })
  function r.pick(list) return list[r(#list)] end
  function r.chance(p) return r(1000) <= p * 1000 end
  return r
end
