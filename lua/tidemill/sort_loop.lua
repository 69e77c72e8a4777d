--[[
sort_loop.lua - quicksort as LuaJIT's table.sort does it, step by step; loaded anew for each way to compare (sort.lua).
]]

local rawget, rawset, floor = rawget, rawset, math.floor

--- Sorts t[1..n]; false when `less` is no order.
return function(t, n, less)
  local parts, depth, l, u = {}, 0, 1, n
  while true do
    while l < u do
      local low, high = rawget(t, l), rawget(t, u)
      if less(high, low) then
        rawset(t, l, high)
        rawset(t, u, low)
      end
      if u - l == 1 then break end
      local i = floor((l + u) / 2)
      local pivot = rawget(t, i)
      low = rawget(t, l)
      if less(pivot, low) then
        rawset(t, i, low)
        rawset(t, l, pivot)
      else
        high = rawget(t, u)
        if less(high, pivot) then
          rawset(t, i, high)
          rawset(t, u, pivot)
        end
      end
      if u - l == 2 then break end
      pivot = rawget(t, i)
      rawset(t, i, rawget(t, u - 1))
      rawset(t, u - 1, pivot)
      i = l
      local j = u - 1
      while true do
        i = i + 1
        local left = rawget(t, i)
        while less(left, pivot) do
          if i >= u then return false end
          i = i + 1
          left = rawget(t, i)
        end
        j = j - 1
        local right = rawget(t, j)
        while less(pivot, right) do
          if j <= l then return false end
          j = j - 1
          right = rawget(t, j)
        end
        if j < i then break end
        rawset(t, i, right)
        rawset(t, j, left)
      end
      high = rawget(t, u - 1)
      rawset(t, u - 1, rawget(t, i))
      rawset(t, i, high)
      if i - l < u - i then
        parts[depth + 1], parts[depth + 2] = i + 1, u
        u = i - 1
      else
        parts[depth + 1], parts[depth + 2] = l, i - 1
        l = i + 1
      end
      depth = depth + 2
    end
    if depth == 0 then return true end
    l, u = parts[depth - 1], parts[depth]
    depth = depth - 2
  end
end
