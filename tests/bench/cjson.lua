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

if task == 't2' then
  local cards, index = {}, {}
  for line in io.lines() do
    local e = decode(line)
    local c = index[e.card]
    if not c then
      c = { card = e.card, n = 0, total = 0 }
      cards[#cards + 1], index[e.card] = c, c
    end
    c.n, c.total = c.n + 1, c.total + e.amount
  end
  for i = 1, #cards do write(encode(cards[i]), '\n') end
  return
end

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
