--[[
life.lua - all that happens as one stream in order of arrival: customers' usual life, made as it is asked for, and the events that
were planned (cases.lua). What is at hand at a time is the next event of each customer and case, in a heap.
]]

local people = require 'people'

local M = {}

local LATE, LATE_MS = 0.05, 4000
local CHARGEBACK = 0.0004   -- of the payments of usual life
local DAY = 86400000

local function less(a, b)
  if a.at ~= b.at then return a.at < b.at end
  return a.order < b.order
end

--- Puts the item at place i where it belongs, downwards.
local function sink(heap, i, n)
  local item = heap[i]
  while 2 * i <= n do
    local child = 2 * i
    if child < n and less(heap[child + 1], heap[child]) then child = child + 1 end
    if not less(heap[child], item) then break end
    heap[i], i = heap[child], child
  end
  heap[i] = item
end

--- A customer's life as an item of the heap: at: when the next event arrives; go(): that event, and on to the one behind it.
local function item_of(c, r, o, order)
  local t, event, back = o.from + r:within(0, 2 * DAY), nil, {}
  local item = { order = order, last = o.to }
  local function prepare()
    t = people.next_time(c, r, t)
    -- what was found to be fraud comes days behind the payment
    if back[1] and back[1].ts <= t then
      event = table.remove(back, 1)
      t = event.ts
    else
      event = people.live(c, r, t)
      if event.kind == 'payment' and event.result == 'approved' and r:chance(CHARGEBACK) then
        back[#back + 1] = { kind = 'chargeback', ts = math.floor(t + r:within(3, 20) * DAY), card = event.card, amount = event.amount,
          merchant = event.merchant, terminal = event.terminal }
      end
    end
    item.at = t + (r:chance(LATE) and r:whole(1, LATE_MS) or 0)
  end
  function item.go()
    local e = event
    prepare()
    return e
  end
  prepare()
  return item
end

--- The events of a case as an item of the heap.
local function item_of_case(events, order)
  local at = 1
  local item = { order = order, at = events[1].ts }
  function item.go()
    local e = events[at]
    at = at + 1
    item.at = events[at] and events[at].ts or math.huge
    return e
  end
  return item
end

--- A function that gives the next event at each call, nil at the end. The first calls, which make customers and cases, a few at a time so
--- that none takes long, give a table without `id` that is no event.
---@param o table seed, customers, from, to (ms), next_case: function that gives the events of a case in order of time, nil behind the last
---   one; random: the module
function M.stream(o)
  local heap, made, planned, n = {}, 0, false, 0

  --- Makes some of what there will be; false: all of it is there.
  local function prepare()
    if made < o.customers then
      for i = made + 1, math.min(made + 50, o.customers) do
        local r = o.random.new(o.seed, 1000 + i)
        heap[i] = item_of(people.customer(r, ('%06d'):format(i)), r, o, i)
      end
      made = math.min(made + 50, o.customers)
      return true
    end
    if planned then return false end
    local events = o.next_case()
    if events then
      if events[1] then heap[#heap + 1] = item_of_case(events, #heap + 1) end
      return true
    end
    planned = true
    for i = math.floor(#heap / 2), 1, -1 do sink(heap, i, #heap) end
    return false
  end

  return function()
    if not planned and prepare() then return {} end
    local top = heap[1]
    -- whose time is over, or who has no more events
    while top and (top.at == math.huge or top.last and top.at > top.last) do
      local another = table.remove(heap)
      if heap[1] then
        heap[1] = another
        sink(heap, 1, #heap)
      end
      top = heap[1]
    end
    if not top then return nil end
    local e = top.go()
    sink(heap, 1, #heap)
    n = n + 1
    e.id = ('e-%08d'):format(n)
    return e
  end
end

return M
