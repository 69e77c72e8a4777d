--[[
view_checked.lua - views that live for one call, for `check --sample` and tests: using one later is reported.
Loaded anew for every view, with its view.lua (see there); slow, and only there where it is asked for.
]]

local lib, _, V = ...
local type, setmetatable = type, setmetatable
local NULL, value, raise, owner, stale = lib.NULL, lib.value, lib.raise, lib.owner, lib.stale
local root = V.root
-- proxies of nested objects handed out in the call at hand
local handed = {}

--- For `check --sample` and tests: a proxy of its own for one call; using it after retire() is reported.
function V.fresh_event()
  local proxy = { [lib.VIEW] = true }
  local inner = V.event
  setmetatable(proxy, {
    __index = function(p, k)
      if stale[p] then raise('kept', 'event kept after its call; use tm.copy') end
      local v = inner[k]
      if type(v) == 'table' and owner[v] and owner[v].V == V then return V.wrap(v, p) end
      return v
    end,
    __newindex = function(p, k, v)
      if stale[p] then raise('kept', 'event kept after its call; use tm.copy') end
      inner[k] = v
    end,
    __metatable = 'event',
  })
  owner[proxy] = root
  return proxy
end

function V.wrap(view, parent)
  local proxy
  proxy = setmetatable({ [lib.VIEW] = true }, {
    __index = function(_, k)
      if stale[parent] then raise('kept', 'event kept after its call; use tm.copy') end
      local v = view[k]
      if type(v) == 'table' and owner[v] and owner[v].V == V then return V.wrap(v, parent) end
      return v
    end,
    __newindex = function(_, k, v)
      if stale[parent] then raise('kept', 'event kept after its call; use tm.copy') end
      view[k] = v
    end,
    __metatable = 'event',
  })
  owner[proxy] = owner[view]
  handed[#handed + 1] = proxy
  return proxy
end

--- A user function on a view that lives for this call only.
function V.call(f, extra)
  local proxy = V.fresh_event()
  local r = f(proxy, extra)
  if r == proxy then
    r = V.event
  elseif type(r) == 'table' and r ~= NULL then
    r = owner[r] and value.text(r) or value.settle(r)
  end
  stale[proxy], owner[proxy] = true, lib.KEPT
  for i = 1, #handed do owner[handed[i]], handed[i] = lib.KEPT, nil end
  return r
end
