--[[
codegen_panes.lua - the text of hopping windows that share panes (panes.lua): an event is taken into its pane, and where it comes behind
what was made of that, into the nodes and the windows that it concerns.

  intoN     takes the event at hand into w: a pane or node, or a window whose rows were sent
  behindN   takes it into all of these but the pane
]]

local lib = require 'tidemill.lib'
local C = lib.C

return function(Gen)
  --- The function that takes the event at hand into a pane or node.
  local function put_into(g, view, P, state, compiled)
    local name = g.const(g, P)
    return g:write_function('into' .. #g.functions + 1, 'i, w', function()
      g:put('local S = w.ptr')
      g:find_record(state, view, nil, 'S', false, 'w.id')
      g:put_taken()
      g:put('if S.code == %d then local n = %s.records + 1 %s.records = n r.first = n end', C.TM_STATE_NEW, name, name)
      g:put('%s', g:call(compiled.update, view, ('r, S, st%d.time'):format(view.level)))
      g:sync(view)
      for _, n in ipairs(P.ranked) do
        g:put('if r.k%d ~= %s.kinds[%d] and r.k%d ~= 0 then %s.check_kind(%d, w, r) end', n, name, n, n, name, n)
      end
    end)
  end

  local function put_behind(g, P, into, revise)
    local name = g:const(P)
    return g:write_function('behind' .. #g.functions + 1, 'i, w', function()
      g:put('local full')
      if revise then
        g:put('for k = %s.last(w), %s.first(w), -1 do local f = %s.late(k)', name, name, name)
      g:put('if f then full = %s(i, f) or full end end', revise)
      end
      if P.top > 0 then
        g:put('for level = 1, %d do local node = %s.node(level, w) if node then %s(i, node) end end', P.top, name, into)
      end
      g:put('return full')
    end)
  end

  --- Text that takes the event at hand into its pane, or to those that came too late. revise: the function that takes it into a window
  --- whose rows were sent, or nil.
  function Gen:put_panes(view, W, P, state, compiled, revise)
    local name, row = self:const(P), view.entry and 'i' or 'nil'
    local into = put_into(self, view, P, state, compiled)
    self:put('do local t = st%d.time local w = %s.cur', view.level, W)
    self:put('if not (t >= w.from and t < w.to) then w = %s.find(t) end if w then', name)
    if revise or P.top > 0 then
      local behind = put_behind(self, P, into, revise)
      local call = ('%s(%s, w)'):format(behind, row)
      self:put('if t < %s.slow_to then %s end', name, view.entry and 'full = ' .. call .. ' or full' or call)
    end
    self:put('%s(%s, w) else', into, row)
    self:put_late(view)
    self:put('end end')
  end
end
