--[[
codegen_slide.lua - the text of `over`, and of `aggregate` over a sliding window.

over       the event goes into its key's record and leaves with the results at once; kN.w is the watermark before it
aggregate  it waits, with its key, until the watermark has passed it: fireN gives it its turn and makes the row

Where a window is all that a pipeline has of time, and nothing stands before it that needs Lua, rows of a batch wait many at a time
(held_to: the watermark behind them), and have their turns in a loop of its own. Almost every event makes one due, so a loop over
events that took turns in between was more than one trace can hold.
]]

local lib = require 'tidemill.lib'
local slide = require 'tidemill.slide'
local replay = require 'tidemill.state_replay'
local settings = require 'tidemill.state_settings'
local C, ffi = lib.C, lib.ffi

return function(emit, Gen)
  --- The list of a step compiled, and its state. bound: the options of `over`, which gives results at once; nil: events have turns.
  local function open(g, step, view, bound)
    local options = { max = bound and bound.max, on_full = bound and bound.on_full, at_once = bound ~= nil, turns = bound == nil }
    local compiled = slide.compile(step.rec.aggregates, function(field)
      local node = view.root.kids[field]
      return node and node.rule or nil
    end, options)
    g:called_by(compiled, view)
    local again = bound and replay.new(step.rec.aggregates, compiled)
    local state = g:open_state(step, compiled.numbers, compiled.refs, nil, { set = settings.of_sliding(step.rec.aggregates,
      compiled.declared), replay = again, entry = bound and replay.words(compiled) })
    if again then replay.keep(state.name, again) end
    state.shown, state.view, state.bound_here = step.rec.aggregates, view, bound == nil
    function state.results(r, ptr)
      local rc = compiled.moving and 0 or C.tm_ffi_slide_look(compiled.plan, ptr, r)
      if rc < 0 then compiled.refuse(ptr, rc) end
      return compiled.results(r, ptr)
    end
    return compiled, state, again
  end

  function emit.over(g, step, view)
    local rec, n = step.rec, view.level
    local compiled, state, again = open(g, step, view, rec.options)
    local values = {}
    for i = 1, #rec.aggregates do values[i] = 'x' .. i end
    g:at(step)
    g:put('do')
    g:find_record(state, view)
    g:put('local %s = %s', table.concat(values, ', '),
      g:call(compiled.update, view, ('r, %s, st%d.time, %s.w'):format(g:const(state.ptr), n, g.clock.name)))
    g:sync(view)
    for i, a in ipairs(rec.aggregates) do g:put('%s(x%d)', g:writer(view, a.name), i) end
    g:put('if st%d.time < %s[0] then %s(true) end', n, g:const(again.partial), g:writer(view, 'partial'))
    g:put('end')
    g:follow(step, view)
  end

  --- Text that lets the event at hand wait, or says that it is late.
  local function put_hold(g, view, compiled, state)
    local n, clock, key = view.level, g.clock.name, g.key
    local ptr, of = g:const(state.ptr), ('v%d.key'):format(n)
    g:put('do local t = st%d.time if t <= %s.w then', n, clock)
    g:put_late(view)
    g:put('else')
    g:put_taken()
    if key and key.cols then
      local args = ('%s, t, batch, %s, st0.home'):format(ptr, g:const(key.cols))
      g:put('if %s == ROW_KEY then %s else', of, g:call(compiled.hold_row, view, args))
    else
      g:put('do')
    end
    g:put('local rc = set_key(%s, %s) if rc ~= 0 then failed(%s, rc) end', key and of or 'nil', g:const(key and key.names or {}), ptr)
    g:put('%s end', g:call(compiled.hold, view, ptr .. ', t, key_buf'))
    g:sync(view)
    g:put('if t < %s.due then set_due(%s, t) end end end', clock, clock)
  end

  --- The function that gives the next event whose turn has come its row.
  local function put_turn(g, step, view, W, state, compiled, behind, turn)
    local n, key, clock = view.level, g.key, g.clock.name
    local outer, first, at = g.lines, g.first_step, g:fires_in_turn(state)
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() local p', at)
    if g.waits then
      local R = g.waits.R
      g:put('if held_to then p = %s.next(held_to, %s) st0.home, upto, %s.w = %s.at, %s.w, %s.before', W, R, clock, R, R, R)
      g:put('C.tm_ffi_turns_count(%s, tally, mk, %s.at) else p = %s.next(upto) end', R, R, W)
    else
      g:put('p = %s.next(upto)', W)
    end
    g:put('if not %s.working then ended = true return true end', W)
    g:begin_unit(step, view)
    g:put('do local r, w, S = cast(%s, p), %s.at, %s', g:const(state.type), W, g:const(state.ptr))
    g:put('if p == nil then %s(S, S.code) end', g:const(compiled.refuse))
    local fired = g:row_of_fired(step, view, turn)
    if fired == 'value' then
      g:put('local key = %s.key() v%d.key = key', W, n)
    elseif turn then
      g:put('v%d.key = TURN_KEY', n)
    end
    if key then g.key = { names = key.names, composite = key.composite, nodes = key.nodes } end
    g.put_window_row(g, view, step.rec, compiled, fired)
    g:put('if flow.firing == 2 then %s(true) end', g:writer(view, 'partial'))
    g:put('%s', view.entry and 'full = ' .. behind .. '(i)' or behind .. '()')
    g.key = key
    g:put('end %s.working = false', W)
    g:end_unit()
    g.fires[at].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  -- what may stand between the events as they come and a sliding window, if they are to wait without a look by Lua
  local PLAIN = { event_time = true, on_error = true, late_to = true, key_by = true, window = true }

  --- What C needs to let rows of a batch wait many at a time; nil: each has to be looked at.
  local function rows_of(g, step, view, compiled)
    local column, key, at, keys = g.columns[1], g.key, g.pipeline.tree, 0
    if #g.group.members > 1 or g.checked or g.pipeline.manual or not (key and key.cols) then return nil end
    if #g.columns ~= 1 or #g.clocks ~= 1 or g.clock.processing then return nil end
    while at ~= step do
      at = #at.next == 1 and at.next[1]
      if not at or not (at == step or PLAIN[at.kind]) then return nil end
      if at.kind == 'key_by' then keys = keys + 1 end
    end
    local R = ffi.new 'struct tm_slide_rows'
    for _, c in ipairs(compiled.cells) do
      local node = c.field and view.field(c.field)
      if c.takes ~= 'number' or c.where or not node or not node.col or node.rule or c.low ~= 0 then return nil end
      C.tm_ffi_fields_want_number(view.source.fields, node.id)
      R.cells[c.cell] = node.col
    end
    if keys ~= 1 then return nil end
    R.key, R.times, R.clock = key.cols, g:value_of(column.times), g.clock.ptr
    R.ahead, R.to = g.clock.ahead or math.huge, -1
    g.anchors[#g.anchors + 1] = R
    return ffi.cast('struct tm_slide_rows *', R)
  end

  --- `aggregate` behind a sliding window.
  function Gen:sliding(step, view)
    local size = step.rec.window.window.size
    for _, a in ipairs(step.rec.aggregates) do a.over = size end
    local compiled, state = open(self, step, view)
    local turns = slide.turns(state, compiled, size)
    local W, at = self:const(turns), self:fires_in_turn(state)
    self.fires[at].windows, self.fires[at].opened = W, turns
    self.clock.timed[#self.clock.timed + 1] = { at = at, W = W, each = true }
    local rows = rows_of(self, step, view, compiled)
    self.waits = rows and { P = self:const(compiled.plan), S = self:const(state.ptr), R = self:const(rows) }
    -- a process that is all that comes behind finds its record by the key as it lies with the event
    local turn, key = view.entry and not self.checked and #step.next == 1 and step.next[1].kind == 'process', self.key
    turn = turn and key and self:row_of_fired(step, view, true) == 'text'
    if turn then
      self.key = { names = key.names, composite = key.composite, nodes = key.nodes, turn = state.ptr }
      view.turn_key = turns.key
    end
    local behind = self:behind(step, view)
    self.key = key
    self:at(step)
    put_hold(self, view, compiled, state)
    put_turn(self, step, view, W, state, compiled, behind, turn)
  end
end
