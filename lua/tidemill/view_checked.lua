--[[
view_checked.lua - views that live for one call, for `check --sample` and tests: using one later is reported.
Loaded anew for every view, with its view.lua (see there); slow, and only there where it is asked for.
]]

local lib, _, V = ...
local type, setmetatable = type, setmetatable
local NULL, value, raise, owner, stale = lib.NULL, lib.value, lib.raise, lib.owner, lib.stale
local root, abandon = V.root, V.abandon
-- proxies of nested objects handed out in the call at hand; the event's own
local handed, current = {}, false

--- `view` for as long as the call of the event proxy `event` lasts (nil: it is that proxy).
local function lent(view, event)
  local proxy = { [lib.VIEW] = true }
  event = event or proxy
  owner[proxy] = owner[view]
  return setmetatable(proxy, {
    __index = function(_, k)
      if stale[event] then raise('kept', 'event kept after its call; use tm.copy') end
      local v = view[k]
      if type(v) == 'table' and owner[v] and owner[v].V == V then
        v = lent(v, event)
        handed[#handed + 1] = v
      end
      return v
    end,
    __newindex = function(_, k, v)
      if stale[event] then raise('kept', 'event kept after its call; use tm.copy') end
      view[k] = v
    end,
    __metatable = 'event',
  })
end

local function retire()
  if not current then return end
  stale[current], owner[current], current = true, lib.KEPT, false
  for i = 1, #handed do owner[handed[i]], handed[i] = lib.KEPT, nil end
end

--- What a call gave, which is over; what the library's functions give besides holds no views.
local function given(proxy, r, ...)
  if r == proxy then
    r = V.event
  elseif type(r) == 'table' and r ~= NULL then
    r = owner[r] and value.text(r) or value.settle(r)
  end
  retire()
  return r, ...
end

--- A user function (or one of the library that calls some) on a view that lives for this call only; a to x: what it gets besides.
function V.call(f, a, b, c, d, x)
  current = lent(root.view)
  return given(current, f(current, a, b, c, d, x))
end

--- After an error: the views of its call are over too.
function V.abandon()
  retire()
  abandon()
end
