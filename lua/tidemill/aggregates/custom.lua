--[[
aggregates/custom.lua - tm.agg.custom: functions of the user's; the accumulator is a value of type `any` in a text.

It is read for each event, given to add, and kept again. So what add is given is a copy that nobody else has.
]]

local lib = require 'tidemill.lib'
local any = require 'tidemill.any'
local kept = require 'tidemill.aggregates.kept'
local C, raise = lib.C, lib.raise

local shared = {}

local function what_of(a) return "the accumulator of '" .. a.name .. "'" end

local function put(s, r, ref, a, acc, by)
  if acc == nil then
    raise('type', ("'%s': %s of tm.agg.custom returned nil; it returns the accumulator"):format(a.name, by))
  end
  any.pack(acc, what_of(a), by)
  kept.check(s, C.tm_ffi_text_set(s, r, ref, any.packed.data, any.packed.len))
end

local function start(a)
  local init = a.init
  if type(init) == 'function' then init = init() end
  if init == nil then raise('type', ("'%s': init of tm.agg.custom returned nil; it returns the first accumulator"):format(a.name)) end
  if type(init) ~= 'table' then return init end
  any.pack(init, what_of(a), 'init')   -- a copy: add may change it
  return any.unpack(any.packed.data, any.packed.len, what_of(a))
end

local function get(s, ref, a)
  if ref.n == 0 then return start(a) end
  return any.unpack(s.base + 8 * ref.at, ref.n, what_of(a))
end

function shared.custom_add(s, r, ref, t, a, e) put(s, r, ref, a, a.add(get(s, t, a), e), 'add') end

function shared.custom_merge(s, r, ref, t, a, s2, t2)
  if t2.n ~= 0 then put(s, r, ref, a, a.merge_fn(get(s, t, a), get(s2, t2, a)), 'merge') end
end

function shared.custom_result(s, t, a)
  local acc = get(s, t, a)
  if a.result_fn then acc = a.result_fn(acc) end
  if acc == nil then return lib.NULL end
  return acc
end

local custom = {
  cells = function(a, layout) layout:text('t' .. a.n) end,
  update = function() return 'custom_add(s, r, #t@, r.t@, A@, e)' end,
  merge = function() return 'custom_merge(s, r, #t@, r.t@, A@, s2, r2.t@)' end,
  result = function() return 'custom_result(s, r.t@, A@)' end,
}

return { part = { custom = custom }, shared = shared }
