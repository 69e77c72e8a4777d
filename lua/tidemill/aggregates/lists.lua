--[[
aggregates/lists.lua - collect, top, distinct: many values of a key, exactly.

Lists are texts in order (host/aggregate/ranked.c); what is different is a set of the state, or where values may be taken back a
map from each to how often it is there.
]]

local lib = require 'tidemill.lib'
local kept = require 'tidemill.aggregates.kept'
local C, ffi = lib.C, lib.ffi
local check, wrong = kept.check, kept.wrong

local part, shared = {}, {}

local function ranked(kind, reverse, max)
  local o = ffi.new 'struct tm_ranked'
  o.kind, o.reverse, o.max = kind, reverse and 1 or 0, max
  return o
end

function shared.collected(s, r, ref, a, at, seq, v)
  local text = kept.json(v)
  check(s, C.tm_ffi_ranked_put(s, r, ref, a.order, at, seq, text, #text))
end
function shared.merge_ranked(s, r, ref, a, s2, r2) check(s, C.tm_ffi_ranked_merge(s, r, ref, a.order, s2, r2)) end
function shared.listed(s, r, ref, a) return (kept.array(a, C.tm_ffi_ranked_json(s, r, ref, a.order, kept.out))) end

part.collect = {
  cells = function(a, layout)
    layout:text('t' .. a.n)
    a.order = ranked(C.TM_RANKED_VALUES, false, a.max)
  end,
  update = function(a) return ('collected(s, r, #t@, A@, %s, seq, %s)'):format(a.timed and 't' or '0', a.field and 'v' or 'e') end,
  merge = function() return 'merge_ranked(s, r, #t@, A@, s2, r2)' end,
  result = function() return 'listed(s, r, #t@, A@)' end,
  time = true, arrival = true,
}

--- Puts v in a list of the largest, whose first value says of which kind all are.
function shared.place(s, r, ref, a, kind, v)
  local k = type(v) == 'number' and v == v and kept.NUMBER or type(v) == 'string' and kept.TEXT or 0
  if k == 0 then wrong(a, v, 'numbers or texts') end
  if kind ~= 0 and kind ~= k then wrong(a, v, (kind == kept.NUMBER and 'numbers' or 'texts') .. ' here, as it did before') end
  if k == kept.NUMBER then
    check(s, C.tm_ffi_ranked_put(s, r, ref, a.numbers, v, 0, '', 0))
  else
    check(s, C.tm_ffi_ranked_put(s, r, ref, a.texts, 0, 0, v, #v))
  end
  return k
end

function shared.merge_top(s, r, ref, a, kind, s2, r2, kind2)
  if kind2 == 0 then return kind end
  if kind ~= 0 and kind ~= kind2 then wrong(a, kind2 == kept.NUMBER and 0 or '', 'values of one type') end
  check(s, C.tm_ffi_ranked_merge(s, r, ref, kind2 == kept.NUMBER and a.numbers or a.texts, s2, r2))
  return kind2
end

function shared.best(s, r, ref, a, kind)
  return (kept.array(a, C.tm_ffi_ranked_json(s, r, ref, kind == kept.TEXT and a.texts or a.numbers, kept.out)))
end

part.top = {
  cells = function(a, layout)
    layout:number('k' .. a.n)
    layout:text('t' .. a.n)
    local reverse = a.order == 'asc'
    a.numbers = ranked(C.TM_RANKED_NUMBERS, reverse, a.size)
    a.texts = ranked(a.int64 and C.TM_RANKED_DIGITS or C.TM_RANKED_TEXTS, reverse, a.size)
  end,
  update = function() return 'r.k@ = place(s, r, #t@, A@, r.k@, v)' end,
  merge = function() return 'r.k@ = merge_top(s, r, #t@, A@, r.k@, s2, r2, r2.k@)' end,
  result = function() return 'best(s, r, #t@, A@, r.k@)' end,
}

-- Distinct ------------------------------------------------------------------------------

local key, count = ffi.new 'struct tm_value', ffi.new 'struct tm_value'

--- v as a key: its type is kept.
local function set_key(a, v)
  local t = type(v)
  if t == 'number' and v == v then
    key.kind, key.num = C.TM_VALUE_NUMBER, v
  elseif t == 'string' then
    key.kind, key.text, key.len = C.TM_VALUE_STRING, v, #v
  elseif t == 'boolean' then
    key.kind = v and C.TM_VALUE_TRUE or C.TM_VALUE_FALSE
  else
    wrong(a, v, 'numbers, texts and booleans')
  end
end

function shared.differ(s, r, ref, a, v)
  set_key(a, v)
  check(s, C.tm_ffi_map_set(s, r, ref, key, nil))
end

--- The same counted: `by` more of v.
local function change(s, r, ref, by)
  local rc = C.tm_ffi_map_get(s, r, ref, key, count)
  local n = (rc == 0 and count.num or 0) + by
  if n <= 0 then
    rc = C.tm_ffi_map_remove(s, r, ref, key)
  else
    count.kind, count.num = C.TM_VALUE_NUMBER, n
    rc = C.tm_ffi_map_set(s, r, ref, key, count)
  end
  check(s, rc)
end

function shared.differ_by(s, r, ref, a, v, by)
  set_key(a, v)
  change(s, r, ref, by)
end

function shared.merge_differ(s, r, ref, a, s2, r2)
  local at = 0
  repeat
    at = C.tm_ffi_map_next(s2, r2, ref, at, key, a.retracts and count or nil)
    if at ~= 0 then
      if a.retracts then change(s, r, ref, count.num) else check(s, C.tm_ffi_map_set(s, r, ref, key, nil)) end
    end
  until at == 0
end

part.distinct = {
  cells = function(a, layout)
    layout:ref { name = 't' .. a.n, kind = a.retracts and 'map' or 'set', of = a.retracts and 'number' or nil, max = a.max,
      on_full = 'refuse' }
  end,
  update = function(a) return a.retracts and 'differ_by(s, r, #t@, A@, v, 1)' or 'differ(s, r, #t@, A@, v)' end,
  unupdate = function() return 'differ_by(s, r, #t@, A@, v, -1)' end,
  merge = function() return 'merge_differ(s, r, #t@, A@, s2, r2)' end,
  result = function() return '(r.t@.n + 0)' end,
  row = function(a) return { kind = C.TM_RESULT_COUNT, 't' .. a.n } end,
}

return { part = part, shared = shared }
