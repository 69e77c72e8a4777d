--[[
aggregates/sketches.lua - approx_distinct, quantile, heavy_hitters: answers with a stated error out of bounded memory. C keeps
them in a text (host/aggregate/hll.c, buckets.c, heavy.c).
]]

local lib = require 'tidemill.lib'
local kept = require 'tidemill.aggregates.kept'
local C, ffi = lib.C, lib.ffi
local check, wrong = kept.check, kept.wrong

local part, shared = {}, {}

local number = ffi.new 'double[1]'
local number_bytes = ffi.cast('const char *', number)

-- a value's type, which is part of what its hash says
local STRING, NUMBER, BOOLEAN = 1, 2, 3

function shared.hash(s, r, ref, a, v)
  local t, rc = type(v), nil
  if t == 'string' then
    rc = C.tm_ffi_hll_add(s, r, ref, a.precision, STRING, v, #v)
  elseif t == 'number' and v == v then
    number[0] = v + 0   -- -0 becomes 0
    rc = C.tm_ffi_hll_add(s, r, ref, a.precision, NUMBER, number_bytes, 8)
  elseif t == 'boolean' then
    rc = C.tm_ffi_hll_add(s, r, ref, a.precision, BOOLEAN, v and 't' or 'f', 1)
  else
    wrong(a, v, 'numbers, texts and booleans')
  end
  check(s, rc)
end
function shared.merge_hash(s, r, ref, a, s2, r2) check(s, C.tm_ffi_hll_merge(s, r, ref, a.precision, s2, r2)) end
function shared.about(s, r, ref, a) return (C.tm_ffi_hll_count(s, r, ref, a.precision)) end

local function one_text(a, layout) layout:text('t' .. a.n) end

part.approx_distinct = {
  cells = one_text,
  update = function() return 'hash(s, r, #t@, A@, v)' end,
  merge = function() return 'merge_hash(s, r, #t@, A@, s2, r2)' end,
  result = function() return 'about(s, r, #t@, A@)' end,
}

function shared.bucket(s, r, ref, a, v, sign)
  if type(v) ~= 'number' or v - v ~= 0 then wrong(a, v, 'finite numbers') end
  check(s, C.tm_ffi_buckets_add(s, r, ref, a.log_g, v, sign))
end
function shared.merge_buckets(s, r, ref, s2, r2) check(s, C.tm_ffi_buckets_merge(s, r, ref, s2, r2)) end
function shared.quantile(s, r, ref, a)
  local v = C.tm_ffi_buckets_quantile(s, r, ref, a.log_g, a.share)
  if v ~= v then return lib.NULL end
  return v
end

part.quantile = {
  cells = function(a, layout)
    -- a little less than promised, for what logarithms are rounded
    local e = a.error * (1 - 1e-6)
    a.log_g = math.log((1 + e) / (1 - e))
    one_text(a, layout)
  end,
  update = function() return 'bucket(s, r, #t@, A@, v, 1)' end,
  unupdate = function() return 'bucket(s, r, #t@, A@, v, -1)' end,
  merge = function() return 'merge_buckets(s, r, #t@, s2, r2)' end,
  result = function() return 'quantile(s, r, #t@, A@)' end,
}

function shared.hit(s, r, ref, a, v)
  local text = kept.json(v)
  check(s, C.tm_ffi_heavy_add(s, r, ref, a.counters, text, #text))
end
function shared.merge_hits(s, r, ref, a, s2, r2) check(s, C.tm_ffi_heavy_merge(s, r, ref, a.counters, s2, r2)) end
function shared.hits(s, r, ref, a) return (kept.array(a, C.tm_ffi_heavy_json(s, r, ref, a.size, kept.out))) end

part.heavy_hitters = {
  cells = one_text,
  update = function() return 'hit(s, r, #t@, A@, v)' end,
  merge = function() return 'merge_hits(s, r, #t@, A@, s2, r2)' end,
  result = function() return 'hits(s, r, #t@, A@)' end,
}

return { part = part, shared = shared }
