-- cjson.lua - the same tasks as a plain LuaJIT script with lua-cjson: what a person would write without tidemill.
--   luajit cjson.lua t0|t1|t2 < cards.ndjson     (t1 and t2 write rows to stdout, t0 the count to stderr)
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

if task == 't2' then return t2() end

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
