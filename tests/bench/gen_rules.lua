--[[
gen_rules.lua - task R: a rule pack of many synthetic rules, and events of 20 numbers.

  luajit tests/bench/gen_rules.lua DIR RULES KIND EVENTS      KIND: compare, arithmetic, function, only

Each of the 20 numbers is uniform in [0, 1). A rule has one to three comparisons, with thresholds of its own such that it is true on 2 % of
the events, at random; `arithmetic`: of twice the number; `function`: of what a function gives that lies in a table, which only Lua can
call; `only`: and each rule holds for one of RULES / 2 merchants, so that two rules may apply to an event. Writes DIR/pack and
DIR/events.ndjson.
]]

local dir, rules, kind, events = arg[1], tonumber(arg[2]), arg[3], tonumber(arg[4])
local FIELDS, TRUE = 20, 0.02

-- L'Ecuyer's combined generator
local a, b = 12345, 67890
local function unit()
  a, b = a * 40014 % 2147483563, b * 40692 % 2147483399
  return (a - b) % 2147483562 / 2147483563
end

os.execute(("mkdir -p '%s/pack/schema' '%s/pack/rules'"):format(dir, dir))
local function write(name, text)
  local f = assert(io.open(dir .. '/' .. name, 'wb'))
  f:write(text)
  f:close()
end

write('pack/pack.lua', [[return { name = 'synthetic', version = '1.0.0', stream = 'numbers', time = { field = 'ts', unit = 'ms' },
  decisions = { review = 200, decline = 300 } }]])
local schema = {}
for i = 1, FIELDS do schema[i] = ("f%d = 'number'"):format(i) end
write('pack/schema/numbers.lua', "return { ts = 'time_ms', merchant = 'string', " .. table.concat(schema, ', ') .. ' }')

local list = {}
for i = 1, rules do
  local n, parts = math.floor(unit() * 3) + 1, {}
  for k = 1, n do
    local field, share = math.floor(unit() * FIELDS) + 1, TRUE ^ (1 / n)
    local text = (kind == 'function' and 'scale.double(tx.f%d)' or kind == 'arithmetic' and 'tx.f%d * 2' or 'tx.f%d'):format(field)
    local scale = (kind == 'function' or kind == 'arithmetic') and 2 or 1
    -- a band of that share, at the top, at the bottom
    parts[k] = unit() < 0.5 and ('%s > %.6f'):format(text, (1 - share) * scale) or ('%s < %.6f'):format(text, share * scale)
  end
  list[i] = ("{ id = 'r%05d', score = %d, %s when = function(tx) return %s end }"):format(i, math.floor(unit() * 20) + 1,
    kind == 'only' and ("only = { merchant = 'm%d' },"):format(i % math.max(1, math.floor(rules / 2))) or '', table.concat(parts, ' and '))
end
local HEAD = 'local scale = { double = function(x) return x * 2 end }\nreturn {\n'
for from = 1, rules, 500 do
  write(('pack/rules/%05d.lua'):format(from), HEAD .. table.concat(list, ',\n', from, math.min(from + 499, rules)) .. '\n}')
end

local out = assert(io.open(dir .. '/events.ndjson', 'wb'))
local numbers = {}
for i = 1, events do
  for k = 1, FIELDS do numbers[k] = ('"f%d":%.4f'):format(k, unit()) end
  out:write(('{"ts":%d,"merchant":"m%d",%s}\n'):format(1700000000000 + i, math.floor(unit() * math.max(1, math.floor(rules / 2))),
    table.concat(numbers, ',')))
end
out:close()
