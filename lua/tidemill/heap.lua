--[[
heap.lua - a binary heap of tables with a number k: the one with the least comes first (Williams, CACM 7 (6), 1964). Its items are
heap[1] to heap[heap.n], the least in heap[1].
]]

local M = {}

function M.new() return { n = 0 } end

function M.push(heap, e)
  local i = heap.n + 1
  heap.n = i
  while i > 1 do
    local up = (i - i % 2) / 2
    if heap[up].k <= e.k then break end
    heap[i] = heap[up]
    i = up
  end
  heap[i] = e
end

--- Takes the least out; nil: it is empty.
function M.pop(heap)
  local n, least = heap.n, heap[1]
  if n == 0 then return nil end
  local last, i = heap[n], 1
  heap[n], heap.n = nil, n - 1
  if n == 1 then return least end
  while 2 * i < n do
    local down = 2 * i
    if down + 1 < n and heap[down + 1].k < heap[down].k then down = down + 1 end
    if heap[down].k >= last.k then break end
    heap[i] = heap[down]
    i = down
  end
  heap[i] = last
  return least
end

return M
