--[[
codegen_slide.lua - the text of `over`, and of `aggregate` over a sliding window.

over       the event goes into its key's record and leaves with the results at once; kN.w is the watermark before it
aggregate  it waits in the record until the watermark has passed it: fireN takes its turn and makes the row
]]

local lib = require 'tidemill.lib'
local slide = require 'tidemill.slide'
local C = lib.C

return function(emit, Gen)
  --- The list of a step compiled, and its state.
  local function open(g, step, view, options)
    local compiled = slide.compile(step.rec.aggregates, function(field)
      local node = view.root.kids[field]
      return node and node.rule or nil
    end, options)
    g:called_by(compiled, view)
    local state = g:open_state(step, compiled.numbers, compiled.refs)
    state.shown, state.view = step.rec.aggregates, view
    function state.results(r, ptr)
      local rc = C.tm_ffi_slide_look(compiled.plan, ptr, r)
      if rc < 0 then compiled.refuse(ptr, rc) end
      return compiled.results(r, ptr)
    end
    return compiled, state
  end

  function emit.over(g, step, view)
    local rec, n = step.rec, view.level
    local compiled, state = open(g, step, view, rec.options)
    local values = {}
    for i = 1, #rec.aggregates do values[i] = 'x' .. i end
    g:at(step)
    g:put('do')
    g:find_record(state, view)
    g:put('local %s = %s', table.concat(values, ', '),
      g:call(compiled.update, view, ('r, %s, st%d.time, %s.w'):format(g:const(state.ptr), n, g.clock.name)))
    g:sync(view)
    for i, a in ipairs(rec.aggregates) do g:put('%s(x%d)', g:writer(view, a.name), i) end
    g:put('end')
    g:follow(step, view)
  end

  --- Text that takes the event at hand in, or says that it is late.
  local function put_hold(g, view, compiled, state)
    local n, clock = view.level, g.clock.name
    g:put('do local t = st%d.time if t <= %s.w then', n, clock)
    g:put_late(view)
    g:put('else')
    g:find_record(state, view)
    g:put_taken()
    g:put('%s', g:call(compiled.hold, view, ('r, %s, t, %s.w'):format(g:const(state.ptr), clock)))
    g:sync(view)
    g:put('if t < %s.due then set_due(%s, t) end end end', clock, clock)
  end

  --- The function that gives the next event whose turn has come its row.
  local function put_turn(g, step, view, W, state, compiled, behind)
    local n, key, plan = view.level, g.key, g:const(compiled.plan)
    local outer, first, at = g.lines, g.first_step, g:fires_in_turn(state)
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() local p = %s.next(upto) if p == nil then ended = true return true end', at, W)
    g:begin_unit(step, view)
    g:put('do local r, w, S = cast(%s, p), %s.at, %s', g:const(state.type), W, g:const(state.ptr))
    g:put('if C.tm_ffi_state_announce(S, r) < 0 then no_memory() end')
    g:put('local rc = C.tm_ffi_slide_next(%s, S, r) if rc < 0 then %s(S, rc) end', plan, g:const(compiled.refuse))
    local fired = g:row_of_fired(step, view)
    if fired == 'value' then g:put('local key = key_of(S, r, %s, %s) v%d.key = key', g:const(state.names), tostring(state.composite), n) end
    if key then g.key = { names = key.names, composite = key.composite, nodes = key.nodes } end
    g.put_window_row(g, view, step.rec, compiled, fired)
    g:put('if flow.firing == 2 then %s(true) end', g:writer(view, 'partial'))
    g:put('%s', n == 0 and 'full = ' .. behind .. '(i)' or behind .. '()')
    g.key = key
    g:put('end %s.working = false', W)
    g:end_unit()
    g.fires[at].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  --- `aggregate` behind a sliding window.
  function Gen:sliding(step, view)
    local size = step.rec.window.window.size
    for _, a in ipairs(step.rec.aggregates) do a.over = size end
    step.rec.options.timed = true
    local compiled, state = open(self, step, view, {})
    local turns = slide.turns(state, compiled, size)
    local W, at = self:const(turns), self:fires_in_turn(state)
    self.fires[at].windows, self.fires[at].opened = W, turns
    self.clock.timed[#self.clock.timed + 1] = { at = at, W = W, each = true }
    local behind = self:behind(step, view)
    self:at(step)
    put_hold(self, view, compiled, state)
    put_turn(self, step, view, W, state, compiled, behind)
  end
end
