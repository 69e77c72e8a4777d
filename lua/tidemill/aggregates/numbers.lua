--[[
aggregates/numbers.lua - count, sum, avg, var, stddev, ewma: what is kept is numbers of the record.

A sum is exact. The pair h, l holds it as the nearest double and the rest: each addition's rounding errors are known exactly
(Knuth, TAOCP 2, 4.2.2, theorem B; Dekker 1971), and what the pair cannot hold goes to a text of wide integers
(host/aggregate/exact.c), which most sums never need. So a sum is the same whatever the order, what was taken back leaves nothing
behind, and results are rounded once. Decimals are summed as integers of their last place, int64 in two halves. var and
stddev are made of the sum and the sum of squares, each of them such a sum.
]]

local lib = require 'tidemill.lib'
local types = require 'tidemill.types'
local kept = require 'tidemill.aggregates.kept'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local check, wrong = kept.check, kept.wrong

local EXACT = 2 ^ 53
local part, shared = {}, {}

-- Sums ----------------------------------------------------------------------------

-- the sum cells H and L, the text Q; v is added
local ADD = ([[local h = r.H@ local t = h + v if t < BIG and t > -BIG then
  local b = t - h local d, l = (h - (t - b)) + (v - b), r.L@ local u = l + d
  local c = u - l local x = (l - (u - c)) + (d - c) if x ~= 0 then spill(s, r, #Q@, x, 0) end
  local y = t + u r.L@ = u - (y - t) r.H@ = y
  else r.H@, r.L@ = beyond(s, r, #Q@, A@, h, r.L@, v) end]]):gsub('BIG', ('%.17g'):format(2 ^ 1000))

local function add(h, l, q) return (ADD:gsub('[HLQ]@', { ['H@'] = h .. '@', ['L@'] = l .. '@', ['Q@'] = q .. '@' })) end
local ADD_SUM, ADD_SQUARE = add('h', 'l', 'q'), add('g', 'm', 'p')
local function block(v, text) return ('do local v = %s %s end '):format(v, text) end

function shared.spill(s, r, q, x, y) check(s, C.tm_ffi_exact_add(s, r, q, x, y)) end
local spill = shared.spill

--- What is too large for the pair, whose sum might overflow, goes to the text as a whole.
function shared.beyond(s, r, q, a, h, l, v)
  if v - v ~= 0 then wrong(a, v, 'finite numbers') end
  spill(s, r, q, h, l)
  spill(s, r, q, v, 0)
  return 0, 0
end

--- Text that makes v a number, or for int64 the numbers v and low; `sign` of what is added.
local function number_of(a, sign)
  if a.int64 then return 'local v, low = halves(v) ' .. (sign < 0 and 'v, low = -v, -low ' or '') end
  local text = "if type(v) ~= 'number' then wrong(A@, v, 'numbers') end "
  if a.places > 0 then text = text .. ('v = floor(v * %.0f + 0.5) '):format(a.scale) end
  return text .. (sign < 0 and 'v = -v ' or '')
end

local function sum_text(a, sign)
  return number_of(a, sign) .. block('v', ADD_SUM) .. (a.int64 and block('low', ADD_SUM) or '')
end

local function sum_merge()
  return block('r2.h@', ADD_SUM) .. block('r2.l@', ADD_SUM) .. 'if r2.q@.n ~= 0 then merge_exact(s, r, #q@, s2, r2) end '
end

function shared.merge_exact(s, r, q, s2, r2) check(s, C.tm_ffi_exact_merge(s, r, q, s2, r2)) end
shared.halves, shared.floor = types.i64_halves, math.floor

local digits = ffi.new 'char[64]'

--- A sum as a value to write: a number, or where a double does not hold the integer or decimal its digits.
function shared.total(s, r, q, h, l, more, places, scale)
  -- h is the nearest double of both, and whole where it is scaled; one path, as each turns a trace into two
  if more == 0 and h < EXACT and h > -EXACT then return h / scale end
  local v = C.tm_ffi_exact_sum(s, r, q, h, l)
  if v < EXACT and v > -EXACT then return v / scale end
  local len = C.tm_ffi_exact_digits(s, r, q, h, l, places, digits)
  if len == 0 then return v / scale end
  return (lib.text(ffi.string(digits, len), 5, v / scale))
end

part.count = {
  cells = function(a, layout) layout:number('n' .. a.n) end,
  update = function() return 'r.n@ = r.n@ + 1' end,
  unupdate = function() return 'r.n@ = r.n@ - 1' end,
  merge = function() return 'r.n@ = r.n@ + r2.n@' end,
  result = function() return 'r.n@' end,
  row = function(a) return { kind = C.TM_RESULT_NUMBER, 'n' .. a.n } end,
}

part.sum = {
  cells = function(a, layout)
    layout:number('h' .. a.n)
    layout:number('l' .. a.n)
    layout:text('q' .. a.n)
  end,
  update = function(a) return sum_text(a, 1) end,
  unupdate = function(a) return sum_text(a, -1) end,
  merge = sum_merge,
  result = function(a) return ('total(s, r, #q@, r.h@, r.l@, r.q@.n, %d, %.0f)'):format(a.places, a.scale) end,
  row = function(a) return { kind = C.TM_RESULT_SUM, scale = a.scale, 'h' .. a.n, 'l' .. a.n, 'q' .. a.n } end,
}

function shared.mean(s, r, q, h, l, more, n, scale)
  if n == 0 then return lib.NULL end
  if more == 0 and l == 0 and h < EXACT and h > -EXACT and n * scale < EXACT then return h / (n * scale) end
  return (C.tm_ffi_exact_mean(s, r, q, h, l, n, scale))
end

part.avg = {
  cells = function(a, layout)
    part.sum.cells(a, layout)
    layout:number('n' .. a.n)
  end,
  update = function(a) return sum_text(a, 1) .. 'r.n@ = r.n@ + 1' end,
  unupdate = function(a) return sum_text(a, -1) .. 'r.n@ = r.n@ - 1' end,
  merge = function() return sum_merge() .. 'r.n@ = r.n@ + r2.n@' end,
  result = function(a) return ('mean(s, r, #q@, r.h@, r.l@, r.q@.n, r.n@, %.0f)'):format(a.scale) end,
  row = function(a) return { kind = C.TM_RESULT_MEAN, scale = a.scale, 'h' .. a.n, 'l' .. a.n, 'q' .. a.n, 'n' .. a.n } end,
}

-- Variance --------------------------------------------------------------------------

-- v squared as p, and what p is off, exactly (Dekker's product), where neither overflows nor loses low bits
local SQUARE = [[local v = v local p = v * v if p < 1e300 and (p > 1e-270 or v == 0) then
  local c = 134217729 * v local x = c - (c - v) local y = v - x local e = ((x * x - p) + 2 * x * y) + y * y
  v = SIGNp ]] .. ADD_SQUARE .. ' v = SIGNe if v ~= 0 then ' .. ADD_SQUARE .. ' end else square(s, r, #p@, A@, v, 0, SIGN1) end '

--- (v + low)^2, added or with sign -1 taken away
function shared.square(s, r, p, a, v, low, sign)
  if v - v ~= 0 then wrong(a, v, 'finite numbers') end
  check(s, C.tm_ffi_exact_add_square(s, r, p, v, low, sign))
end

local function variance_text(a, sign)
  local squares = ('square(s, r, #p@, A@, v, low, %d) '):format(sign)
  if not a.int64 then squares = 'do ' .. SQUARE:gsub('SIGN', sign < 0 and '-' or '') .. ' end ' end
  return number_of(a, 1) .. squares .. (sign < 0 and 'v = -v ' .. (a.int64 and 'low = -low ' or '') or '') ..
    block('v', ADD_SUM) .. (a.int64 and block('low', ADD_SUM) or '') .. ('r.n@ = r.n@ %s 1'):format(sign < 0 and '-' or '+')
end

local sums, fields = ffi.new 'double[4]', ffi.new 'int32_t[2]'

function shared.variance(s, r, q, p, h, l, g, m, n, scale, root)
  if n < 2 then return lib.NULL end
  fields[0], fields[1] = q, p
  sums[0], sums[1], sums[2], sums[3] = h, l, g, m
  return (C.tm_ffi_exact_variance(s, r, fields, sums, n, scale, root))
end

local function variance(root)
  return {
    cells = function(a, layout)
      part.avg.cells(a, layout)
      layout:number('g' .. a.n)
      layout:number('m' .. a.n)
      layout:text('p' .. a.n)
    end,
    update = function(a) return variance_text(a, 1) end,
    unupdate = function(a) return variance_text(a, -1) end,
    merge = function()
      return part.avg.merge() .. ' ' .. block('r2.g@', ADD_SQUARE) .. block('r2.m@', ADD_SQUARE) ..
        'if r2.p@.n ~= 0 then merge_exact(s, r, #p@, s2, r2) end'
    end,
    result = function(a)
      return ('variance(s, r, #q@, #p@, r.h@, r.l@, r.g@, r.m@, r.n@, %.0f, %d)'):format(a.scale, root)
    end,
  }
end
part.var, part.stddev = variance(0), variance(1)

-- Means that forget -------------------------------------------------------------------

-- x: sum of v * 2^((time - a) / half_life), w: that of the weights; a: the latest time so far
part.ewma = {
  cells = function(a, layout)
    if not a.timed then
      raise('script', ("%s: '%s': tm.agg.ewma needs event time; put :event_time { field = 'ts', unit = 'ms' } before this step")
        :format(a.place, a.name))
    end
    for _, cell in ipairs { 'x', 'w', 'a' } do layout:number(cell .. a.n) end
  end,
  update = function(a)
    return ([[if type(v) ~= 'number' or v - v ~= 0 then wrong(A@, v, 'finite numbers') end
      if r.w@ == 0 then r.x@, r.w@, r.a@ = v, 1, t
      elseif t >= r.a@ then local f = 2 ^ ((r.a@ - t) * SHARE) r.x@, r.w@, r.a@ = r.x@ * f + v, r.w@ * f + 1, t
      else local f = 2 ^ ((t - r.a@) * SHARE) r.x@, r.w@ = r.x@ + v * f, r.w@ + f end]]):gsub('SHARE', ('%.17g'):format(1 / a.half_life))
  end,
  merge = function(a)
    return ([[if r2.w@ == 0 then elseif r.w@ == 0 then r.x@, r.w@, r.a@ = r2.x@, r2.w@, r2.a@
      elseif r2.a@ >= r.a@ then local f = 2 ^ ((r.a@ - r2.a@) * SHARE) r.x@, r.w@, r.a@ = r.x@ * f + r2.x@, r.w@ * f + r2.w@, r2.a@
      else local f = 2 ^ ((r2.a@ - r.a@) * SHARE) r.x@, r.w@ = r.x@ + r2.x@ * f, r.w@ + r2.w@ * f end]])
      :gsub('SHARE', ('%.17g'):format(1 / a.half_life))
  end,
  result = function() return '(r.w@ == 0 and NULL or r.x@ / r.w@)' end,
  time = true, numeric = true,
}

return { part = part, shared = shared }
