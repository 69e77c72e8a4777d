--[[
aggregates/lists.lua - collect, top, distinct: many values of a key, exactly.

Lists are texts in order (host/aggregate/ranked.c); what is different are sets of the state that aggregates of one field share, or where
values may be taken back a map from each to how often it is there.
]]

local lib = require 'tidemill.lib'
local kept = require 'tidemill.aggregates.kept'
local C, ffi = lib.C, lib.ffi
local band, bor, bnot = lib.bit.band, lib.bit.bor, lib.bit.bnot
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

--- The first aggregate of a group that has a bit of `marks`.
local function marked_by(group, marks)
  local i = 1
  while band(marks, lib.bit.lshift(1, i - 1)) == 0 do i = i + 1 end
  return group[i]
end

--- v as a key: its type is kept. marks: of the group that a is in, if it is in one.
local function set_key(a, v, marks)
  local t = type(v)
  if t == 'number' and v == v then
    key.kind, key.num = C.TM_VALUE_NUMBER, v
  elseif t == 'string' then
    key.kind, key.text, key.len = C.TM_VALUE_STRING, v, #v
  elseif t == 'boolean' then
    key.kind = v and C.TM_VALUE_TRUE or C.TM_VALUE_FALSE
  else
    wrong(marks and marked_by(a.group, marks) or a, v, 'numbers, texts and booleans')
  end
end

--- v, which is no number, comes into the sets of `marks` of a group: raises their sizes.
local function differ(s, r, a, v, marks)
  set_key(a, v, marks)
  local g = a.group
  local rc = C.tm_ffi_map_get(s, r, g.others, key, count)
  local had = rc == 0 and count.num or 0
  local fresh = band(marks, bnot(had))
  if fresh == 0 then return end
  count.kind, count.num = C.TM_VALUE_NUMBER, bor(had, marks)
  check(s, C.tm_ffi_map_set(s, r, g.others, key, count))
  check(s, C.tm_ffi_marks_count(g.plan, r, fresh))
end

function shared.marked(s, r, a, v, marks)
  if type(v) == 'number' and v == v then
    check(s, C.tm_ffi_marks_add(s, r, a.group.plan, v, marks))
  else
    differ(s, r, a, v, marks)
  end
end

local pair = ffi.new 'double[2]'

function shared.merge_marked(s, r, a, s2, r2)
  local g, at = a.group, 0
  repeat
    at = C.tm_ffi_marks_next(s2, r2, g.plan.field, at, pair)
    if at ~= 0 then check(s, C.tm_ffi_marks_add(s, r, g.plan, pair[0], pair[1])) end
  until at == 0
  repeat
    at = C.tm_ffi_map_next(s2, r2, g.others, at, key, count)
    if at ~= 0 then
      local v = key.kind == C.TM_VALUE_STRING and ffi.string(key.text, key.len) or key.kind == C.TM_VALUE_TRUE
      differ(s, r, a, v, count.num)
    end
  until at == 0
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

function shared.merge_differ(s, r, ref, s2, r2)
  local at = 0
  repeat
    at = C.tm_ffi_map_next(s2, r2, ref, at, key, count)
    if at ~= 0 then change(s, r, ref, count.num) end
  until at == 0
end

-- Where values are taken back, a map counts each. Elsewhere aggregates of one field share a group: each number is kept once, with a bit
-- for each of them (host/state/marks.c), each other value in a map to such bits.
part.distinct = {
  group = function(a) return not a.retracts and a.field .. '\0' .. (a.max or 0) end,
  cells = function(a, layout)
    if a.retracts then
      return layout:ref { name = 't' .. a.n, kind = 'map', of = 'number', max = a.max, on_full = 'refuse' }
    end
    local g = a.group
    if g[1] ~= a then return end
    local plan = ffi.new 'struct tm_marks'
    plan.counts, plan.n, plan.max = 8 * #layout.numbers, #g, a.max or 0
    for _, member in ipairs(g) do layout:number('d' .. member.n) end
    layout:ref { name = 'm' .. a.n, kind = 'marks' }
    layout:ref { name = 't' .. a.n, kind = 'map', of = 'number' }
    plan.field, g.others, g.plan = layout.index['m' .. a.n], layout.index['t' .. a.n], plan
  end,
  joint = function() return 'marked(s, r, A@, v, marks)' end,
  update = function() return 'differ_by(s, r, #t@, A@, v, 1)' end,
  unupdate = function() return 'differ_by(s, r, #t@, A@, v, -1)' end,
  merge = function(a)
    if a.retracts then return 'merge_differ(s, r, #t@, s2, r2)' end
    return a.group[1] == a and 'merge_marked(s, r, A@, s2, r2)' or ''
  end,
  result = function(a) return a.retracts and '(r.t@.n + 0)' or 'r.d@' end,
  row = function(a)
    if a.retracts then return { kind = C.TM_RESULT_COUNT, 't' .. a.n } end
    return { kind = C.TM_RESULT_NUMBER, 'd' .. a.n }
  end,
}

return { part = part, shared = shared }
