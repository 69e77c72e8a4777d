-- cjson.lua - the same tasks as a plain LuaJIT script with lua-cjson: what a person would write without tidemill.
--   luajit cjson.lua t0|t1|t2|t3|over < cards.ndjson     (rows go to stdout, the count of t0 to stderr)
local cjson = require 'cjson'
local decode = cjson.decode
local task = arg[1]
-- 14 digits, the default: ids and milliseconds stay whole, amounts keep their cents
local out, n, count = {}, 0, 0
local encode, concat, write = cjson.encode, table.concat, io.write

local function rows_flush()
  write(concat(out, '', 1, n))
  n = 0
end

--- Windows of a minute: those that can get no more events are written as soon as an event five seconds younger has come.
local function t2()
  local windows, highest, due = {}, -math.huge, math.huge
  local function send(upto)
    local starts = {}
    for start in pairs(windows) do if start + 60000 <= upto then starts[#starts + 1] = start end end
    table.sort(starts)
    for _, start in ipairs(starts) do
      for _, row in ipairs(windows[start].list) do
        n = n + 1
        out[n] = encode(row) .. '\n'
        if n >= 512 then rows_flush() end
      end
      windows[start] = nil
    end
    due = math.huge
    for start in pairs(windows) do due = math.min(due, start + 60000) end
  end
  for line in io.lines() do
    local e = decode(line)
    local start = e.ts - e.ts % 60000
    local w = windows[start]
    if not w then
      w = { by_card = {}, list = {} }
      windows[start], due = w, math.min(due, start + 60000)
    end
    local row = w.by_card[e.card]
    if not row then
      row = { card = e.card, n = 0, total = 0, window_start = start, window_end = start + 60000 }
      w.by_card[e.card], w.list[#w.list + 1] = row, row
    end
    row.n, row.total = row.n + 1, row.total + e.amount
    if e.ts > highest then
      highest = e.ts
      if highest - 5000 >= due then send(highest - 5000) end
    end
  end
  send(math.huge)
  rows_flush()
end

--- Count and sum over the last 60 s of a card, the events in order of time: a ring of events and a running sum for each.
local function slide(card, e)
  local first, last = card.first, card.last + 1
  card.last, card[last] = last, e
  local total = card.total + e.amount
  while card[first].ts <= e.ts - 60000 do
    total = total - card[first].amount
    card[first] = nil
    first = first + 1
  end
  card.first, card.total = first, total
  return last - first + 1, total
end

--- Per card over 60 s in order of event time: an alert when more than 5 events and more than 1000 spent becomes true. Events wait in
--- buckets of a millisecond until one five seconds younger has come.
local function t3()
  local cards, buckets, highest, done = {}, {}, -math.huge, nil
  local function turn(e)
    local card = cards[e.card]
    if not card then
      card = { first = 1, last = 0, total = 0, on = false }
      cards[e.card] = card
    end
    local events, total = slide(card, e)
    local on = events > 5 and total > 1000
    if on and not card.on then
      n = n + 1
      out[n] = encode { card = e.card, at = e.ts, n = events, total = total } .. '\n'
      if n >= 512 then rows_flush() end
    end
    card.on = on
  end
  local function pass(upto)
    for t = done, upto do
      local bucket = buckets[t]
      if bucket then
        for i = 1, #bucket do turn(bucket[i]) end
        buckets[t] = nil
      end
    end
    done = upto + 1
  end
  for line in io.lines() do
    local e = decode(line)
    done = done or e.ts - 5000
    local bucket = buckets[e.ts]
    if bucket then bucket[#bucket + 1] = e else buckets[e.ts] = { e } end
    if e.ts > highest then
      highest = e.ts
      pass(highest - 5001)
    end
  end
  if done then pass(highest) end
  rows_flush()
end

--- Count and sum over the last 60 s of a card with each event, as it comes: one that is out of order has its place found.
local function over()
  local cards = {}
  for line in io.lines() do
    local e = decode(line)
    local list = cards[e.card]
    if not list then
      list = {}
      cards[e.card] = list
    end
    local at = #list + 1
    while at > 1 and list[at - 1].ts > e.ts do at = at - 1 end
    table.insert(list, at, { ts = e.ts, amount = e.amount })
    -- what an event five seconds behind the last cannot reach any more
    while list[1].ts <= list[#list].ts - 65000 do
      table.remove(list, 1)
      at = at - 1
    end
    local events, total = 0, 0
    for i = at, 1, -1 do
      if list[i].ts <= e.ts - 60000 then break end
      events, total = events + 1, total + list[i].amount
    end
    e.n, e.total = events, total
    n = n + 1
    out[n] = encode(e) .. '\n'
    if n >= 512 then rows_flush() end
  end
  rows_flush()
end

if task == 't2' then return t2() elseif task == 't3' then return t3() elseif task == 'over' then return over() end

for line in io.lines() do
  local e = decode(line)
  if e.amount > 100 then
    count = count + 1
    if task == 't1' then
      out[n + 1] = encode { ts = e.ts, id = e.id, card = e.card, merchant = e.merchant, amount = e.amount }
      out[n + 2] = '\n'
      n = n + 2
      if n >= 512 then rows_flush() end
    end
  end
end
rows_flush()
io.stderr:write(count, '\n')
