--[[
codegen_operators.lua - the text of event_time and of the steps that remember little: top, sample, throttle, suppress (dedup:
codegen_dedup.lua).

  st.time  the event's time, ms; NaN: none. Forks keep it, rows inherit it.
  kN[i]    the times of a batch, read off a column in C before the first event (Gen:before_text); NaN: look closer
  behindN  what comes behind a step that two rows of one event pass (suppress)
]]

local lib = require 'tidemill.lib'
local operators = require 'tidemill.operators'
local C, ffi = lib.C, lib.ffi
local cast = ffi.cast

local UNITS = lib.time_units
local ABOUT_COLUMN = { time_s = 's', time_ms = 'ms', time_us = 'us', time_ns = 'ns', time_iso8601 = 'iso8601' }

return function(emit, Gen)
  function emit.event_time(g, step, view)
    local rec, n = step.rec, view.level
    if rec.processing then return g:processing_time(step, view) end
    local node = view.field(rec.field)
    local declared = node.rule and ABOUT_COLUMN[node.rule.name]
    if declared and declared ~= rec.unit then
      lib.raise('script', ("%s: event_time reads field '%s' in '%s', which :schema declares %s"):format(step.place, rec.field, rec.unit,
        node.rule.name))
    end
    local look = ("time_of%d(%s, %d, '%s')"):format(n, g:const(node), UNITS[rec.unit], rec.unit)
    g:at(step)
    local column
    if view.entry and node.col then
      C.tm_ffi_fields_want_number(view.source.fields, node.id)
      local times = ffi.new('double[?]', C.TM_BATCH_ROWS + 1)
      column = { times = g:const(cast('double *', times)), cells = g:const(node.col), unit = UNITS[rec.unit], lead = step.lead,
        member = g.member }
      g.anchors[#g.anchors + 1] = times
      g.columns[#g.columns + 1] = column
      g:put('do local t = none if st%d.writes == 0 and st%d.row == i then t = %s[i] end if t ~= t then t = %s end st%d.time = t end',
        n, n, column.times, look, n)
    else
      g:put('st%d.time = %s', n, look)
    end
    if not g.windowed then return g:follow(step, view) end
    local outer = g.clock
    g.clock = g:new_clock(step, view, column)
    g:move_clock(g.clock, view)
    local ahead = g.clock.ahead
    if ahead then
      g:put('if st%d.time > batch.received_ms + %.0f then', n, ahead)
      g:put_late(view)
      g:put('else')
    end
    g:follow(step, view)
    if ahead then g:put('end') end
    g.clock = outer
  end

  --- The time of an event is when it arrived, and that of the clock when the batch did.
  function Gen:processing_time(step, view)
    local outer = self.clock
    self:at(step)
    if self.windowed then
      self.clock = self:new_clock(step, view)
      self:put('st%d.time = %s.highest do local w = %s.highest - 1 if w > %s.w then %s.w = w end end', view.level, self.clock.name,
        self.clock.name, self.clock.name, self.clock.name)
    else
      self:put('st%d.time = batch.received_ms', view.level)
    end
    self:follow(step, view)
    self.clock = outer
  end

  --- Text that runs before the first event of a batch: times of columns. `untimed`: events whose time is not in its column.
  function Gen:columns_text(member)
    local text = { #self.columns > 0 and 'untimed = 0 ' or nil }
    for _, c in ipairs(self.columns) do if c.member == member then
      text[#text + 1] = ('%sC.tm_ffi_time_column(batch, %s, %d, %s) '):format(c.lead and 'untimed = untimed + ' or 'local _ = ', c.cells,
        c.unit, c.times)
      if c.highest then
        local limit = c.clock.ahead and ('batch.received_ms + %.0f'):format(c.clock.ahead) or '1 / 0'
        text[#text + 1] = ('highest(%s, batch.rows, %s.highest, %s, %s) '):format(c.times, c.clock.name, limit, c.highest)
      end
    end end
    return table.concat(text)
  end

  function emit.throttle(g, step, view)
    local rec = step.rec
    local full = ('%.0f'):format(rec.n * rec.per)
    local own = g:own_key(step, view)
    local state = g:open_state(step, { 'at', 'credit' }, {}, own)
    operators.shows(state, view, 'throttle')
    g:at(step)
    g:put('do')
    g:find_record(state, view, own)
    g:put('local t = st%d.time if %s.code == 1 then r.at, r.credit = t, %s', view.level, g:const(state.ptr), full)
    g:put('elseif t > r.at then local c = r.credit + (t - r.at) * %.0f if c > %s then c = %s end r.at, r.credit = t, c end', rec.n,
      full, full)
    g:put('if r.credit >= %.0f then r.credit = r.credit - %.0f', rec.per, rec.per)
    g:follow(step, view)
    g:put('end end')
  end

  function emit.suppress(g, step, view)
    local rec, n = step.rec, view.level
    local own = g:own_key(step, view)
    local state = g:open_state(step, { 'start', 'held' }, {}, own)
    operators.shows(state, view, 'suppress')
    local ptr, nodes = g:const(state.ptr), g:field_nodes(view, state.names)
    g:fires_in_turn(state)
    local behind = g:behind(step, view)
    local send = view.entry and 'full = ' .. behind .. '(i) or full' or behind .. '()'
    --- Text that makes the event at hand the row that ends the period of r, and sends it on.
    local function close(more)
      g:put('local held, key = r.held, key_of(%s, r, %s, %s) replaced%d() st%d.time = r.start + %.0f', ptr, g:const(state.names),
        tostring(state.composite), n, n, rec.within - 1)
      if g.keyed then g:put('v%d.key = %s', n, rec.on and 'nil' or 'key') end
      for i, node in ipairs(nodes) do
        g:put('do local k = key%s if k ~= nil then put_key%d(%s, k) end end',
          state.composite and ('[%q]'):format(state.names[i]) or '', n,
          g:const(node))
      end
      g:put('%s(held) %s %s', g:writer(view, 'suppressed'), more or '', send)
    end
    g:at(step)
    g:put('do')
    g:find_record(state, view, own)
    g:put('local new, t = %s.code == 1, st%d.time', ptr, n)
    g:put('if new or t >= r.start + %.0f then', rec.within)
    g:put('if not new and r.held > 0 then local record = r')
    g:save(view)
    g:put('do local r = record')
    close()
    -- the row wrote in generations of its own: where the event has no writes nothing of it is covered, and undoing is a loop
    g:put('end if w == 0 then st%d.row, st%d.gen, st%d.writes, st%d.base = r, g, w, b end', n, n, n, n)
    g:restore(view, 'if w ~= 0 then ')
    g:put('end r.start, r.held = t, 0 %s', send)
    g:put('else r.held = r.held + 1 end end')
    g:fire(step, view, state, function()
      g:put('if r.held > 0 then')
      close(('if flow.firing == 2 then %s(true) end'):format(g:writer(view, 'partial')))
      g:put('end')
    end)
  end

  function emit.top(g, step, view)
    local rec, n = step.rec, view.level
    local numbers = { unpack(operators.top_numbers) }
    if rec.ttl then numbers[#numbers + 1] = 'written' end
    local state = g:open_state(step, numbers, operators.top_refs)
    operators.shows(state, view, 'top')
    local ptr = g:const(state.ptr)
    local node = view.field(rec.field)
    local inner, hold = g:new_held(view)
    local final = rec.options.emit == 'final'
    -- the list just before a sink, or a select before one, is written from its texts
    local child = step.next[1]
    local select = #step.next == 1 and child.kind == 'select' and #child.rec.fields > 0 and child or nil
    local sink = not final and g.only_sink(select or step)
    local plan = sink and operators.top_rows(inner, select and select.rec.fields) or nil
    local enter, show = operators.top(rec, view, state.ptr, g.held[#g.held], node.rule, plan)
    local read = assert(loadstring(('return function(e) return e[%q] end'):format(rec.field), '=tidemill.operators'))()
    g:at(step)
    g:put('do local v = %s', g:call(read, view))
    g:put('if v ~= nil then local t = %s', rec.timed and ('st%d.time'):format(n) or '0')
    g:find_record(state, view)
    g:put_ttl(step, view, state)
    g:put_taken()
    g:put("if not (type(v) == 'number' and r.n == %d and r.kind == %d and (v %s r.worst or v == r.worst and t >= r.worst_at))", rec.n,
      operators.NUMBER, rec.order == 'desc' and '<' or '>')
    g:put('then if %s(r, v, t) then', g:const(enter))
    if not final then
      if plan then
        g:at(sink)
        g:put('if C.tm_ffi_top_put(%s, flow, batch, st0.home, %s, %s, r) == 0 then', g:out(sink.out), g:const(plan), ptr)
        g:watch_room(view)
        g:put('else mk.step = %d', step.mark)
      end
      g:put('%s(r)', g:const(show))
      g:take_held(step, view, inner, hold)
      if plan then g:put('end') end
    end
    g:put('end end end end')
    if not final then return end
    g:fire(step, view, state, function()
      g:put('v%d.key = key_of(%s, r, %s, %s) %s %s(r, flow.firing == 2)', n, ptr, g:const(state.names), tostring(state.composite),
        rec.timed and 'st' .. n .. '.time = r.at' or '', g:const(show))
      g:take_held(step, view, inner, hold)
    end)
  end

  function emit.sample(g, step, view)
    local rec = step.rec
    g:at(step)
    g:put('do')
    if rec.every then
      g:put('if (batch.before + st0.home + 1) %% %.0f == 0 then', rec.every)
    else
      if rec.on then
        local own = g:own_key(step, view)
        g:put('local rc if %s then rc = C.tm_ffi_key_row(key_buf, batch, %s, st0.home) else', own.cols and g:row_key_test(own) or 'false',
          own.cols and g:const(own.cols) or 'nil')
        own.put_value()
        g:put('rc = set_key(c, %s) end if rc ~= 0 then key_failed(rc) end', g:const(own.names))
      else
        g:put 'key_buf.len = 0 C.tm_ffi_key_number(key_buf, batch.before + st0.home + 1)'
      end
      g:put('if C.tm_ffi_key_share(key_buf, %.0f) < %.17g then', rec.seed, rec.rate)
    end
    g:follow(step, view)
    g:put('end end')
  end
end
