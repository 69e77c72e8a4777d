--[[
aggregate.lua - tm.agg: what is kept for each aggregate, how an event changes it, what a row shows of it.

An aggregate is a passive description until a step compiles its list (compile): then each gets cells in the step's
record, and text of its own in one function that updates them all, so that the loop's trace holds nothing but loads,
additions and stores. Everything is additive, or keeps one value; windows build on the same parts.

Sums are double-double: the value and the rounding error of each addition are kept apart (Knuth, TAOCP 2, 4.2.2,
theorem B; Dekker 1971). Integers are exact to 2^105 that way, whatever their order; decimals are summed as integers of
their last place. A nil is skipped, another type than declared fails the event.
]]

local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local types = require 'tidemill.types'
local value = require 'tidemill.value'
local C, raise = lib.C, lib.raise

local M = {}
local made = setmetatable({}, { __mode = 'k' })   -- what tm.agg.… returned -> its description

local EXACT = 2 ^ 53

-- Descriptions ----------------------------------------------------------------

local function description(kind, field, options)
  local where = stream.place()
  local what = 'tm.agg.' .. kind
  if kind ~= 'count' and (type(field) ~= 'string' or field == '') then
    stream.fault(where, what .. " takes the name of a field: " .. what .. " 'amount'; got " .. stream.describe(field))
  end
  options = stream.options(where, what, options)
  local agg = setmetatable({}, { __metatable = 'aggregate' })
  made[agg] = { kind = kind, field = field, where = options.where, place = where }
  return agg
end

M.agg = {}
--- How many events.
function M.agg.count(options) return description('count', nil, options) end
for _, kind in ipairs { 'sum', 'avg', 'min', 'max', 'first', 'last' } do
  M.agg[kind] = function(field, options) return description(kind, field, options) end
end

--- The list a step was given, in byte order of the names: { { name, kind, field, where }, … }.
function M.list(where, what, given)
  if type(given) ~= 'table' or stream.record(given) then
    stream.fault(where, what .. ' takes a table { name = tm.agg.count(), … }, got ' .. stream.describe(given))
  end
  local list = {}
  for name, agg in pairs(given) do
    if type(name) ~= 'string' then stream.fault(where, what .. ': every aggregate needs a name, found ' .. stream.describe(name)) end
    local d = made[agg]
    if not d then
      stream.fault(where, what .. ": '" .. name .. "' must be an aggregate, such as tm.agg.count(), got " .. stream.describe(agg))
    end
    list[#list + 1] = { name = name, kind = d.kind, field = d.field, where = d.where, place = d.place }
  end
  if #list == 0 then stream.fault(where, what .. ' takes at least one aggregate') end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- Arithmetic ------------------------------------------------------------------

--- The digits of hi + lo, two doubles that are whole numbers, with the point `places` from the right.
local function exact_digits(hi, lo, places)
  local a, b = ('%.0f'):format(math.abs(hi)), ('%.0f'):format(math.abs(lo))
  local negative, same = hi < 0, (hi < 0) == (lo < 0)
  local n, carry, out = math.max(#a, #b) + 1, 0, {}
  a, b = ('0'):rep(n - #a) .. a, ('0'):rep(n - #b) .. b
  for i = n, 1, -1 do
    local x, y = a:byte(i) - 48, b:byte(i) - 48
    local d = x + (same and y or -y) + carry
    carry = math.floor(d / 10)
    out[i] = d % 10
  end
  local text = table.concat(out)
  if places > 0 then
    text = ('0'):rep(places + 1 - #text) .. text
    text = text:sub(1, -places - 1) .. '.' .. text:sub(-places):gsub('0+$', '')
    text = text:gsub('%.$', '')
  end
  return (negative and '-' or '') .. text:gsub('^0+(%d)', '%1')
end
M.exact_digits = exact_digits

--- A sum as a value to write: a number, or where a double does not hold it the digits.
local function total(hi, lo, places, scale)
  if lo == 0 and hi < EXACT and hi > -EXACT then return hi / scale end
  if hi % 1 ~= 0 or lo % 1 ~= 0 then return (hi + lo) / scale end
  return lib.text(exact_digits(hi, lo, places), 5, (hi + lo) / scale)
end

local function wrong(agg, v, wanted)
  raise('type', ("'%s': %s takes %s, but field '%s' holds %s"):format(agg.name, agg.kind, wanted, agg.field,
    lib.owner[v] and 'an object' or 'a ' .. type(v)))
end

-- Kept values: one of any type ----------------------------------------------------

-- what a kept value is; NUMBER is in its num, TEXT and JSON in its text
local NUMBER, TEXT, FALSE, TRUE, JSON = 1, 2, 3, 4, 5

local function check(state, rc)
  if rc < 0 then require('tidemill.state').failed(state, rc) end
end

local function keep_text(state, record, ref, text)
  check(state, C.tm_ffi_text_set(state, record, ref, text, #text))
end

--- Puts a value into cells (num, kind, ref) of a record.
local function keep(state, record, ref, v)
  local t = type(v)
  if t == 'string' then
    keep_text(state, record, ref, v)
    return 0, TEXT
  elseif t == 'boolean' then
    return 0, v and TRUE or FALSE
  elseif t == 'table' then
    keep_text(state, record, ref, lib.owner[v] and value.text(v).text or value.encode_string(v))
    return 0, JSON
  end
  raise('type', 'a ' .. t .. ' cannot be kept')
end

local function kept(state, num, kind, ref)
  if kind == NUMBER then return num
  elseif kind == TRUE then return true
  elseif kind == FALSE then return false
  elseif kind == 0 then return lib.NULL end
  local text = require('tidemill.state').text(state, ref)
  if kind == TEXT then return text end
  return lib.text(text, text:byte(1) == 0x5B and 10 or 9)
end

-- Parts ---------------------------------------------------------------------------
-- Each: cells(a, layout) declares what is kept, update(a) is the text that takes the value v, result(a) the expression a
-- row shows. @ is the number of the aggregate; r the record, s the state, A[@] the description, R@ the index
-- of its text.

local part = {}

part.count = {
  cells = function(a, layout) layout:number('n' .. a.n) end,
  update = function() return 'r.n@ = r.n@ + 1' end,
  result = function() return 'r.n@' end,
}

local ADD = [[local h = r.h@ local t = h + v local b = t - h local l = r.l@ + ((h - (t - b)) + (v - b))
  local u = t + l r.l@ = l - (u - t) r.h@ = u]]

local function sum_update(a)
  if a.int64 then
    return 'local v, low = halves(v) ' .. ADD .. ' v = low ' .. ADD:gsub('local ([htbu]) ', '%1 '):gsub('local l ', 'l ')
  end
  local number = "if type(v) ~= 'number' then wrong(A[@], v, 'numbers') end "
  if a.places > 0 then number = number .. ('v = floor(v * %d + 0.5) '):format(a.scale) end
  return number .. ADD
end

part.sum = {
  cells = function(a, layout)
    layout:number('h' .. a.n)
    layout:number('l' .. a.n)
  end,
  update = sum_update,
  result = function(a) return ('total(r.h@, r.l@, %d, %d)'):format(a.places, a.scale) end,
}

part.avg = {
  cells = function(a, layout)
    part.sum.cells(a, layout)
    layout:number('n' .. a.n)
  end,
  update = function(a) return sum_update(a) .. ' r.n@ = r.n@ + 1' end,
  result = function(a) return ('(r.n@ == 0 and NULL or (r.h@ + r.l@) / r.n@ / %d)'):format(a.scale) end,
}

local function extreme(sign)
  return {
    cells = function(a, layout) layout:value(a.n) end,
    -- numbers among themselves are the rule; the rest is a function's business
    update = function()
      return ("if type(v) == 'number' and r.k@ <= 1 then if r.k@ == 0 or v %s r.v@ then r.k@ = 1 r.v@ = v end " ..
        "else extreme%s(s, r, A[@], v, r.k@, r.v@) if type(v) == 'number' then r.k@ = 1 r.v@ = v else r.k@ = 2 end end")
        :format(sign, sign == '<' and '_min' or '_max')
    end,
    result = function() return 'kept(s, r.v@, r.k@, r.t@)' end,
  }
end
part.min, part.max = extreme '<', extreme '>'

local KEEP = "if type(v) == 'number' then r.v@ = v r.k@ = 1 else r.v@, r.k@ = keep(s, r, R@, v) end"

part.first = {
  cells = function(a, layout) layout:value(a.n) end,
  update = function() return 'if r.k@ == 0 then ' .. KEEP .. ' end' end,
  result = function() return 'kept(s, r.v@, r.k@, r.t@)' end,
}
part.last = {
  cells = part.first.cells,
  update = function() return KEEP end,
  result = part.first.result,
}

--- Strings among themselves, by byte (int64: by value); a mix fails. Keeps the text where v is the new extreme.
local function extreme_of(better)
  return function(state, record, a, v, kind, num)
    if type(v) ~= 'string' then wrong(a, v, kind == TEXT and 'texts here, as it did before, not numbers' or 'numbers or texts') end
    if kind == NUMBER then wrong(a, v, 'numbers here, as it did before (' .. tostring(num) .. '), not texts') end
    if kind == TEXT then
      local old = require('tidemill.state').text(state, record['t' .. a.n])
      local is_better
      if a.int64 then is_better = better(types.i64.cmp(v, old), 0) else is_better = better(v, old) end
      if not is_better then return end
    end
    keep_text(state, record, a.ref, v)
  end
end
local extreme_min = extreme_of(function(a, b) return a < b end)
local extreme_max = extreme_of(function(a, b) return a > b end)

-- Compiling -----------------------------------------------------------------------

local Layout = {}
Layout.__index = Layout
function Layout:number(name) self.numbers[#self.numbers + 1] = name end
--- A number v, its kind k, a text t.
function Layout:value(n)
  self.numbers[#self.numbers + 1] = 'v' .. n
  self.numbers[#self.numbers + 1] = 'k' .. n
  self.texts[#self.texts + 1] = 't' .. n
end

--- Compiles a list of aggregates for one step.
---@param list table of M.list
---@param typ_of function field -> its declared type, or nil
---@return table { numbers, texts: names of the record's cells; update(e, r, s); results(r, s): one value each;
---   functions: the user's, which read the event }
function M.compile(list, typ_of)
  local layout = setmetatable({ numbers = {}, texts = {} }, Layout)
  local names, args, body, results, functions = { 'lib' }, { lib }, {}, {}, {}
  local function arg(name, v)
    names[#names + 1], args[#args + 1] = name, v
  end
  local shared = { A = list, wrong = wrong, keep = keep, kept = kept, total = total, halves = types.i64_halves, NULL = lib.NULL,
    floor = math.floor, type = type, extreme_min = extreme_min, extreme_max = extreme_max }
  for n, a in ipairs(list) do
    a.n = n
    local typ = a.field and typ_of(a.field)
    a.places = typ and typ.places or 0
    a.scale = 10 ^ a.places
    a.int64 = typ and typ.name == 'int64' or false
    part[a.kind].cells(a, layout)
    a.ref = #layout.texts - 1
    if a.where then
      arg('w' .. n, a.where)
      functions[#functions + 1] = a.where
    end
    local update = part[a.kind].update(a)
    if a.field then update = ('local v = e[%q] if v ~= nil then %s end'):format(a.field, update) end
    if a.where then update = ('if w%d(e) then %s end'):format(n, update) end
    body[n] = 'do ' .. update:gsub('R@', a.ref):gsub('@', n) .. ' end'
    results[n] = part[a.kind].result(a):gsub('@', n)
  end
  local text = table.concat(body, ' ') .. table.concat(results, ' ')
  for name, v in pairs(shared) do
    if text:find(name, 1, true) then arg(name, v) end
  end
  local chunk = ('local %s = ... return function(e, r, s) %s end, function(r, s) return %s end'):format(
    table.concat(names, ', '), table.concat(body, ' '), table.concat(results, ', '))
  local update, show = assert(loadstring(chunk:gsub('%s*\n%s*', ' '), '=tidemill.aggregate'))(unpack(args))
  functions[#functions + 1] = update
  return { numbers = layout.numbers, texts = layout.texts, update = update, results = show, functions = functions }
end

return M
