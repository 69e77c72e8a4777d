--[[
life.lua - all that happens as one stream in order of arrival: customers' usual life, made as it is asked for, and the events that
were planned (cases.lua). What is at hand at a time is one moment a customer, in a heap.
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
  local item = { order = order }
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

--- A function that gives the next event at each call, nil at the end.
---@param o table seed, customers, from, to (ms), planned: list of events { ts, …, label }, random: the module
function M.stream(o)
  local heap = {}
  for i = 1, o.customers do
    local r = o.random.new(o.seed, 1000 + i)
    heap[i] = item_of(people.customer(r, ('%06d'):format(i)), r, o, i)
  end
  for i = math.floor(#heap / 2), 1, -1 do sink(heap, i, #heap) end
  local planned, at, n = o.planned, 1, 0
  return function()
    local e
    local p = planned[at]
    local top = heap[1]
    if p and (not top or top.at > o.to or p.ts <= top.at) then
      e, at = p, at + 1
    elseif top and top.at <= o.to then
      e = top.go()
      sink(heap, 1, #heap)
    else
      return nil
    end
    n = n + 1
    e.id = ('e-%08d'):format(n)
    return e
  end
end

return M
