--[[
aggregates/events.lua - what :apply and :reduce keep of a window: its events as text, in order of time, then arrival; or one value of
type `any` that stands for all so far.

Events are kept as they stand, as JSON text with its notes (value.lua), and become rows when the window is shown (rows.lua). Beyond
`max` an event fails: leaving one out would change what the function sees without a word.
]]

local lib = require 'tidemill.lib'
local any = require 'tidemill.any'
local value = require 'tidemill.value'
local kept = require 'tidemill.aggregates.kept'
local C, raise = lib.C, lib.raise
local check = kept.check

local shared = {}

function shared.full(a)
  raise('state-full', ("the window holds %d events, which is 'max' of apply; make max larger or the window smaller, or use aggregate or " ..
    'reduce, which keep no events'):format(a.max))
end

function shared.keep_event(s, r, ref, a, at, seq, e)
  local p, len = lib.owner[e].V.own_text()
  check(s, C.tm_ffi_ranked_put(s, r, ref, a.order, at, seq, p, len))
end

function shared.merge_events(s, r, ref, a, s2, r2) check(s, C.tm_ffi_ranked_merge(s, r, ref, a.order, s2, r2)) end

local events = {
  cells = function(a, layout)
    layout:number('n' .. a.n)
    layout:text('t' .. a.n)
    a.order = lib.ffi.new 'struct tm_ranked'
    a.order.kind, a.order.max = C.TM_RANKED_VALUES, a.max
  end,
  update = function(a)
    return ('if r.n@ >= %d then full(A@) end r.n@ = r.n@ + 1 keep_event(s, r, #t@, A@, %s, seq, e)'):format(a.max, a.timed and 't' or '0')
  end,
  merge = function(a)
    return ('if r.n@ + r2.n@ > %d then full(A@) end r.n@ = r.n@ + r2.n@ merge_events(s, r, #t@, A@, s2, r2)'):format(a.max)
  end,
  result = function() return 'A@.rows.list(s, r, #t@)' end,
  time = true, arrival = true,
}

-- Reduce ------------------------------------------------------------------------------

local function what_of(a) return "what reduce keeps in '" .. a.name .. "'" end

local function put(s, r, ref, a, v)
  if v == nil then raise('type', ("reduce: the function of '%s' returned nil; it returns what stands for both"):format(a.name)) end
  any.pack(v, what_of(a), a.name)
  check(s, C.tm_ffi_text_set(s, r, ref, any.packed.data, any.packed.len))
end

local function get(s, t, a) return any.unpack(s.base + 8 * t.at, t.n, what_of(a)) end

function shared.reduce_add(s, r, ref, t, a, e)
  put(s, r, ref, a, t.n == 0 and value.copy(e) or a.add(get(s, t, a), e))
end

function shared.reduce_merge(s, r, ref, t, a, s2, t2)
  if t2.n == 0 then return end
  local v = get(s2, t2, a)
  if t.n ~= 0 then v = a.add(get(s, t, a), v) end
  put(s, r, ref, a, v)
end

function shared.reduced(s, t, a)
  if t.n == 0 then return lib.NULL end
  return get(s, t, a)
end

local reduce = {
  cells = function(a, layout) layout:text('t' .. a.n) end,
  update = function() return 'reduce_add(s, r, #t@, r.t@, A@, e)' end,
  merge = function() return 'reduce_merge(s, r, #t@, r.t@, A@, s2, r2.t@)' end,
  result = function() return 'reduced(s, r.t@, A@)' end,
}

return { part = { events = events, reduce = reduce }, shared = shared }
