--[[
codegen_windows.lua - the text of clocks and of windows: what an event does there, and the row of a record that is due (its turn:
codegen_due.lua).

  kN       a clock (struct tm_clock *), a step's windows (windows.lua)
  intoN    takes the event at hand into a window w
  fireN    the next unit of a step; `ended`: there was none
  step     1 at the end of input, where each unit has a slot of its own (engine/flow_fire.c), else 0
  after    TM_AFTER behind an event, else 0
]]

local lib = require 'tidemill.lib'
local aggregate = require 'tidemill.aggregate'
local panes = require 'tidemill.panes'
local settings = require 'tidemill.state_settings'
local windows = require 'tidemill.windows'
local stream = require 'tidemill.stream'
local C, ffi = lib.C, lib.ffi

local UNROLLED = 8   -- windows of an event written out one by one

return function(emit, Gen)
  function emit.window(g, step, view) g:follow(step, view) end
  function emit.late_to(g, step, view) g:follow(step, view) end

  -- Clocks ------------------------------------------------------------------

  --- The clock of an event_time: its text once the event's time is known. `t` is that time, `column` where times of the batch are.
  function Gen:new_clock(step, view, column)
    local rec = step.rec
    local clock = ffi.new 'struct tm_clock'
    clock.highest, clock.w, clock.trip, clock.due = -math.huge, -math.huge, math.huge, math.huge
    clock.distance, clock.limit = self.pipeline.manual and not rec.processing and 0 or rec.out_of_order + 1, math.huge
    clock.cap, clock.low = math.huge, -math.huge
    local live = false
    for _, m in ipairs(self.members) do live = live or not m.of_files end
    local ahead = not rec.processing and (rec.max_ahead or live and 3600000) or nil
    local at = { ptr = ffi.cast('struct tm_clock *', clock), view = view, timed = {}, ahead = ahead, idle = rec.idle_after, highest = {},
      seen = {}, bounded = {}, over = 0, processing = rec.processing,
      members = rec.processing and self.group.members or self.members }
    at.name, at.self = self:const(at.ptr), self:const(at)
    self.anchors[#self.anchors + 1] = clock
    self.clocks[#self.clocks + 1] = at
    windows.keep(self.pipeline.name .. '/event_time', at)
    if column and column.lead and self.may_drop and view.entry then
      local highest = ffi.new('double[?]', C.TM_BATCH_ROWS + 1)
      self.anchors[#self.anchors + 1] = highest
      at.rows = self:const(ffi.cast('double *', highest))
      column.highest, column.clock = at.rows, at
    end
    return at
  end

  --- The clock by which batches arrive, of timers that go by it beside event time.
  function Gen:wall_clock(view)
    if self.wall then return self.wall end
    local clock = ffi.new 'struct tm_clock'
    clock.highest, clock.w, clock.trip, clock.due = -math.huge, -math.huge, math.huge, math.huge
    clock.limit, clock.cap, clock.low = math.huge, math.huge, -math.huge
    self.anchors[#self.anchors + 1] = clock
    local at = { ptr = ffi.cast('struct tm_clock *', clock), view = view, timed = {}, processing = true, wall = true,
      members = self.group.members }
    at.name, at.self = self:const(at.ptr), self:const(at)
    self.clocks[#self.clocks + 1], self.wall = at, at
    windows.keep(self.pipeline.name .. '/clock', at)
    return at
  end

  local SET_W = 'local w = HIGH - CLOCK.distance if w > CLOCK.cap then w = CLOCK.cap end ' ..
    'if w < CLOCK.low then w = CLOCK.low end CLOCK.w = w'

  --- Text that takes the largest time, which is `highest`, into the watermark of a clock.
  local function set_watermark(name, highest) return (SET_W:gsub('CLOCK', name):gsub('HIGH', highest)) end
  Gen.set_watermark = set_watermark

  --- Text that moves the clock by the event at hand.
  function Gen:move_clock(clock, view)
    if self.pipeline.manual then return end   -- by a spec alone: `highest` is the watermark
    local c, t = clock.name, 'st' .. view.level .. '.time'
    self:put('do local t, m = %s, %s.highest', t, c)
    if clock.rows then
      self:put('do local h = %s[st0.home] if h > m then m = h end end', clock.rows)
      clock.rows_text, clock.lines, clock.line = self.lines[#self.lines], self.lines, #self.lines
    end
    self:put(set_watermark(c, 'm'))
    if clock.ahead then self:put('if t <= batch.received_ms + %.0f then', clock.ahead) end
    self:put('if t > m then %s.highest = t end', c)
    self:put(clock.ahead and 'end end' or 'end')
  end

  --- The loop sees all rows: clocks need not look at those it would have left out.
  function Gen:clocks_without_rows()
    for _, clock in ipairs(self.clocks) do
      if clock.rows then
        clock.rows, clock.lines[clock.line] = nil, ''
        for _, column in ipairs(self.columns) do if column.clock == clock then column.highest = nil end end
      end
    end
  end

  --- The clocks that a member's events move, and none that is worked out from others.
  function Gen:own_clocks(member)
    local own = {}
    for _, clock in ipairs(self.clocks) do
      for _, m in ipairs(not clock.tick and clock.members or {}) do
        if m == member then own[#own + 1] = clock end
      end
    end
    return own
  end

  --- Text that runs when a batch begins, for its partition.
  function Gen:enter_text(member)
    local text = {}
    for i, clock in ipairs(self:own_clocks(member)) do text[i] = ('enter(%s, batch) '):format(clock.self) end
    return table.concat(text)
  end

  --- Text that takes the last times into the watermarks, at the end of input.
  function Gen:clocks_at_end()
    local text = {}
    for _, clock in ipairs(self.clocks) do
      if not clock.tick then text[#text + 1] = ('do %s end '):format(set_watermark(clock.name, clock.name .. '.highest')) end
    end
    return table.concat(text) .. '\n'
  end

  --- Text for an event that came too late, or from too far ahead.
  function Gen:put_late(view)
    local out = self.pipeline.late_to
    if out then
      self:put_time(out.out, view)
      self:put('emit%d(%s)', view.level, self:out(out.out))
      self:watch_room(view)
    end
    self:put('late(%s, st0.home)', self:any_tally())
  end

  --- Text for an event that a step takes in: it is none of those that left no row, and counts as one that made some.
  function Gen:put_taken()
    self:put('if mk.row >= 0 and tally.event ~= mk.row then tally.before = tally.events tally.event = mk.row ' ..
      'tally.events = tally.before + 1 end')
    self.takes = true
  end

  function Gen.tally_of(member)
    for _, out in ipairs(member.outs) do
      if out.ptr.tally ~= nil then return out.ptr.tally end
    end
  end

  --- Text: the tally of the pipeline at work.
  function Gen:any_tally()
    local of = {}
    for _, m in ipairs(self.members) do of[m] = self.tally_of(m) end
    return self:swapped(of)
  end

  -- Windows -----------------------------------------------------------------

  --- Text that makes the event at hand the row of record r of state S in window w. Fields are written in byte order, which spares
  --- sorting them. fired: the key lies in the record alone.
  local function put_row(g, view, rec, compiled, fired)
    local n, values, writes = view.level, {}, {}
    for i = 1, #rec.aggregates do values[i] = 'x' .. i end
    g:put('local %s = %s(r, S) replaced%d()', table.concat(values, ', '), g:const(compiled.results), n)
    for i, a in ipairs(rec.aggregates) do
      view.field(a.name)
      writes[#writes + 1] = { a.name, ('%s(x%d)'):format(g:writer(view, a.name), i) }
    end
    if rec.window.window.bounded then
      for name, from in pairs { window_start = 'from', window_end = 'to' } do
        writes[#writes + 1] = { name, ('%s(w.%s)'):format(g:writer(view, name), from) }
      end
      g:put('st%d.time = w.to - 1', n)
    elseif g.timed then
      g:put('st%d.time = r.at', n)
    end
    if not fired then g.key_fields(g, view) end
    local key = fired and g.key
    for i, name in ipairs(key and key.names or {}) do
      local node = view.field(name)
      local from = key.composite and ('key and key[%q]'):format(name) or 'key'
      local plain = ('do local k = %s if k ~= nil then put_key%d(%s, k) end end'):format(from, n, g:const(node))
      if fired == 'text' then
        plain = ('if C.tm_ffi_key_slot(S, r, %d, st%d, v%d.overlay, %d) == 1 then v%d.vals[%d] = SPAN ' ..
          'else local key = key_of(S, r, %s, %s) %s end'):format(i - 1, n, n, node.slot, n, node.slot, g:const(key.names),
            tostring(key.composite), plain)
      end
      writes[#writes + 1] = { name, plain }
    end
    table.sort(writes, function(x, y) return x[1] < y[1] end)
    for _, w in ipairs(writes) do g:put('%s', w[2]) end
  end

  --- Text that empties what was sent of a record; announce: it was only read so far.
  local function put_reset(g, rec, compiled, announce)
    if rec.emit.accumulate then return end
    if announce then g:put('if C.tm_ffi_state_announce(S, r) < 0 then no_memory() end') end
    for _, name in ipairs(compiled.counted) do g:put('r.%s = 0', name) end
    for i = 1, #compiled.refs do g:put('C.tm_ffi_state_empty(S, r, %d)', i - 1) end
  end

  --- Text that sends what is shown of record r of state S in window w: its row, or those of apply. marks: { field, value, condition },
  --- as text, of fields that they have besides.
  local function put_shown(g, view, rec, compiled, fired, marks, behind)
    if rec.apply then return g:put_applied(view, rec, compiled, marks) end
    put_row(g, view, rec, compiled, fired)
    for _, m in ipairs(marks) do g:put(m[3] and 'if %s then %s(%s) end' or '%s%s(%s)', m[3] or '', g:writer(view, m[1]), m[2]) end
    g:put('%s', behind)
  end

  --- Text: did the step get an aggregate while window w was open? Of the windows that are records, r is w.
  local function partial_text(rec)
    local kind = rec.window.window.kind
    return (kind == 'session' or kind == 'count') and 'w.partial ~= 0' or 'w.partial'
  end

  --- Text that sends what is shown in the middle of an event, which is as it was behind it.
  local function send(g, view, rec, compiled, behind, marks)
    marks = { { 'partial', 'true', partial_text(rec) }, unpack(marks or {}) }
    g:put('do local record, window, state = r, w, S')
    g:save(view)
    g:put('do local r, w, S = record, window, state')
    put_shown(g, view, rec, compiled, nil, marks, behind)
    g:put('end')
    -- the row wrote in generations of its own: where the event has no writes nothing of it is covered, and undoing is a loop
    local n = view.level
    g:put('if w == 0 then st%d.row, st%d.gen, st%d.writes, st%d.base = r, g, w, b end', n, n, n, n)
    g:restore(view, 'if w ~= 0 then ')
    g:put('end')
  end

  --- Text behind an event that record r has taken in: the rows that some ways to emit give then.
  local function put_early(g, view, rec, compiled, call)
    local e = rec.emit
    if e.mode == 'updates' then
      send(g, view, rec, compiled, call)
    elseif e.count then
      -- behind the end the event gives a further row as a late one, and no early one besides
      g:put('r.more = r.more + 1 if r.more >= %.0f then r.more = 0', e.count)
      if rec.window.lateness > 0 then g:put('if w.to - 1 > %s.w then', g.clock.name) end
      send(g, view, rec, compiled, call)
      put_reset(g, rec, compiled)
      if rec.window.lateness > 0 then g:put('end') end
      g:put('end')
    end
  end

  --- The function that takes the event at hand into window w. seed: text where a record is new.
  local function put_into(g, step, view, W, state, compiled, behind, seed)
    local rec, n = step.rec, view.level
    local e, lateness = rec.emit, rec.window.lateness
    local outer, first = g.lines, g.first_step
    g.lines, g.first_step = {}, nil
    g:put('local S = w.ptr')
    g:find_record(state, view, nil, 'S', not seed and W .. '.cur.ptr', 'w.id')
    if seed then g:put('if S.code == %d then %s end', C.TM_STATE_NEW, seed) end
    g:put_taken()
    local call = view.entry and 'full = ' .. behind .. '(i) or full' or behind .. '()'
    if e.mode == 'retract' then
      g:put('if w.fired and r.sent > 0 then')
      send(g, view, rec, compiled, call, { { 'op', "'-'" } })
      g:put('end')
    end
    g:put('%s', g:call(compiled.update, view, ('r, S, st%d.time'):format(n)))
    g:sync(view)
    if rec.window.window.kind == 'global' and g.timed then g:put('r.at = st%d.time', n) end
    put_early(g, view, rec, compiled, call)
    if lateness > 0 and e.mode ~= 'closed' and e.mode ~= 'updates' then
      g:put('if w.fired then local revision = r.sent r.sent = revision + 1')
      send(g, view, rec, compiled, call, { e.mode == 'retract' and { 'op', "'+'" } or { 'revision', 'revision', 'revision > 0' } })
      put_reset(g, rec, compiled)
      g:put('end')
    end
    local name = 'into' .. #g.functions + 1
    g.functions[#g.functions + 1] = ('local function %s(i, w) local full %s return full end'):format(name, table.concat(g.lines, ' '))
    g.lines, g.first_step = outer, first
    return name
  end

  --- Text that takes the event at hand into its windows, by the function `into`, or to those that came too late.
  local function put_assign(g, view, rec, W, into)
    local w = rec.window.window
    local take = view.entry and 'full = ' .. into .. '(i, w) or full' or into .. '(nil, w)'
    g:put('do local t = st%d.time', view.level)
    if w.kind == 'global' then
      g:put('local w = %s.cur if w == %s.none then w = %s.whole() end %s', W, W, W, take)
    elseif w.kind == 'tumbling' then
      g:put('local w = %s.cur if not (t >= w.from and t < w.to) then w = %s.find(t) end', W, W)
      g:put('if w then %s else', take)
      g:put_late(view)
      g:put('end')
    else
      local n = math.ceil(w.size / w.slide)
      g:put('local w = %s.find(t, 0) if w == nil then', W)
      g:put_late(view)
      g:put('elseif w then %s', take)
      if n <= UNROLLED then
        for j = 1, n - 1 do g:put('do local w = %s.find(t, %d) if w then %s end end', W, j, take) end
      else
        g:put('for j = 1, %d do local w = %s.find(t, j) if w then %s end end', n - 1, W, take)
      end
      g:put('end')
    end
    g:put('end')
  end

  Gen.put_assign = put_assign

  local DATA = { to = true, select = true, drop = true, rename = true, on_error = true, late_to = true }

  --- Are the steps behind such as ask for no key and call nothing?
  local function only_data(step)
    for _, child in ipairs(step.next) do
      if not DATA[child.kind] or not only_data(child) then return false end
    end
    return true
  end

  Gen.put_window_row = put_row

  --- How the row of a record that is due has its key: 'text', as it lies in the state, or 'value' of Lua.
  --- turn: a process is what comes behind.
  function Gen:row_of_fired(step, view, turn)
    local fired = (turn or only_data(step)) and not view.log_undo and 'text' or 'value'
    for _, name in ipairs(self.key and self.key.names or {}) do
      if view.field(name).rule then fired = 'value' end
    end
    return fired
  end

  --- Text: view stands at no event, in slot `home`; rows that leave it are of that slot.
  function Gen:put_no_row(view, home)
    local n = view.level
    if n == 0 then return end
    self:put('st%d.home = %s begin%d() st%d.row = %d', n, home, n, n, lib.EMPTY_ROW)
    if view.source.once then self:put('%s.origin[%s] = batch.origin[%s]', self:const(view.batch), home, home) end
  end

  --- Text: what was written in views of events as they come is forgotten.
  function Gen:put_clean()
    for _, m in ipairs(self.group.members) do
      local n = self.entries[m].level
      self:put('if st%d.dirty ~= 0 then begin%d() end', n, n)
    end
  end

  --- Text that begins what is done with one record that is due (fireN), and what ends it.
  function Gen:begin_unit(step, view)
    self:put('local i, full = st0.home + step, nil mk.row = i + after mk.sub = mk.sub + 1 st0.home = i st0.row = %d unit()', lib.EMPTY_ROW)
    self:put('flow.fired = flow.fired + step')
    self:at(step)
    self:put_no_row(view, 'i')
  end

  function Gen:end_unit()
    self:put_clean()
    self:put('if ch.used ~= 0 then commit(ch) end')
    self:put('return full or flow.stop ~= 0 or (step == 1 and i >= st0.last) end')
  end

  --- The function that makes the next record due a row. how: texts of the kind of windows, { record = local r, w, S of p; key: of r;
  --- begins, ends: around the row; marks }
  local function put_fire(g, step, view, W, state, compiled, behind, how)
    local rec, n = step.rec, view.level
    local e, key = rec.emit, g.key
    local outer, first, at = g.lines, g.first_step, g:fires_in_turn(state)
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() local p = %s.next(upto)', at, W)
    if how.pending then
      g:put('if %s.pending then %s.pending = false mk.sub = mk.sub + 1 return flow.stop ~= 0 end', W, W)
    end
    g:put('if p == nil then ended = true return true end')
    g:begin_unit(step, view)
    g:put('do %s', how.record)
    local fired = (rec.apply or how.key) and 'value' or g:row_of_fired(step, view)
    local plain = not how.key and not how.mark and not rec.apply and e.mode ~= 'retract'
    local function put_key()
      if fired ~= 'value' then return end
      g:put('local key = %s v%d.key = key', how.key or ('key_of(S, r, %s, %s)'):format(g:const(state.names), tostring(state.composite)), n)
    end
    if not plain then put_key() end
    if key then g.key = { names = key.names, composite = key.composite, nodes = key.nodes } end
    g:put('%s', how.begins)
    if e.mode == 'updates' then g:put('if false then') end   -- each event has given its row
    local partial = 'flow.firing == 2 or ' .. partial_text(rec)
    local marks = { { 'partial', 'true', partial } }
    if e.mode == 'retract' then marks[2] = { 'op', "'+'" } end
    marks[#marks + 1] = how.mark
    local function put_all()
      if plain then put_key() end
      put_shown(g, view, rec, compiled, fired, marks, view.entry and 'full = ' .. behind .. '(i)' or behind .. '()')
    end
    if plain then
      g:put_result(step, view, rec.aggregates, state, 'S', lib.EMPTY_ROW, rec.window.window.kind ~= 'global' and 'w.from, w.to' or nil,
        put_all, partial)
    else
      put_all()
    end
    put_reset(g, rec, compiled, true)
    if e.mode == 'updates' then g:put('end') end
    g:put('%s', how.ends or '')
    g.key = key
    g:put('end')
    g:end_unit()
    g.fires[at].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  --- Text around a row of a window of fixed bounds.
  local function bounds_fire(g, rec, W, state, paned)
    local revised = rec.window.lateness > 0 and rec.emit.mode ~= 'closed' and not paned
    return {
      pending = paned,
      record = ('local r, w = cast(%s, p), %s.at local S = w.ptr'):format(g:const(state.type), W),
      begins = revised and ('if %s.final then if C.tm_ffi_state_announce(S, r) < 0 then no_memory() end r.sent = 1 end'):format(W) or '',
    }
  end

  function emit.aggregate(g, step, view)
    local rec = step.rec
    local kind = rec.window.window.kind
    if kind == 'sliding' then return g:sliding(step, view) end
    if rec.apply then g:prepare_applied(step, view) end
    local paned = panes.shared(rec)
    if not paned then stream.check_each(rec.place, rec.shown or 'aggregate', rec.window.window) end
    local compiled = aggregate.compile(rec.aggregates, function(field)
      local node = view.root.kids[field]
      return node and node.rule or nil
    end, { timed = g.timed or false, merges = kind == 'session' or paned })
    g:called_by(compiled, view)
    compiled.counted = { unpack(compiled.numbers) }
    local numbers = compiled.numbers
    numbers[#numbers + 1] = 'sent'
    numbers[#numbers + 1] = 'more'
    numbers[#numbers + 1] = 'at'
    for _, name in ipairs(g.cells[kind] or {}) do numbers[#numbers + 1] = name end
    if paned then numbers[#numbers + 1] = 'first' end
    for i = #compiled.counted + 1, #numbers do compiled.of[numbers[i]] = { '', nil, numbers[i] } end
    local state = g:open_state(step, numbers, compiled.refs, nil, { of = compiled.of, declared = compiled.declared,
      reshape = true, set = settings.of_window(rec.window.window, paned) })
    g.keep_arrivals(state, compiled)
    state.results, state.shown, state.view = compiled.results, rec.aggregates, view
    local clock = g.clock
    local P = paned and panes.new(rec, state, clock.ptr, compiled)
    local opened = g.open_windows(rec, state, compiled, clock) or windows.new(rec, state, clock and clock.ptr, P)
    local W = g:const(opened)
    local at = g:fires_in_turn(state)
    g.fires[at].windows, g.fires[at].opened = W, opened
    if clock then clock.timed[#clock.timed + 1] = { at = at, W = W } end
    local before
    if g.is_delayed(step) then g.clock, before = g:delay_clock(step, view, clock, rec.window.lateness) end
    local behind = rec.apply and g:behind_applied(step, view) or g:behind(step, view)
    g.clock = clock
    g:at(step)
    if before then g:put('%s()', before) end
    local how = g:put_assigned(step, view, W, state, compiled, behind)
    if P then
      P.attach(opened)
      local revise = P.revises and put_into(g, step, view, W, state, compiled, behind, g:const(P) .. '.seed(w, r)')
      g:put_panes(view, W, P, state, compiled, revise)
    elseif not how then
      put_assign(g, view, rec, W, put_into(g, step, view, W, state, compiled, behind))
    end
    how = how or bounds_fire(g, rec, W, state, paned)
    put_fire(g, step, view, W, state, compiled, behind, how)
  end

  require 'tidemill.codegen_panes'(Gen)
  require 'tidemill.codegen_sessions'(Gen, { send = send, put_early = put_early })
  require 'tidemill.codegen_due'(Gen)
end
