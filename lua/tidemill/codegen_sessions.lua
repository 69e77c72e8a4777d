--[[
codegen_sessions.lua - the text of windows whose bounds are their events': sessions (sessions.lua) and counts (counted.lua). What
they share with other windows is in codegen_windows.lua.

The record of an open window is the window, so w is r; both lie in the step's one state.
]]

local lib = require 'tidemill.lib'
local sessions = require 'tidemill.sessions'
local counted = require 'tidemill.counted'
local C = lib.C

local UNROLLED = 8   -- windows of an event written out one by one

--- A gap that a function gave.
local function gap_of(gap)
  if type(gap) == 'number' and gap > 0 and gap % 1 == 0 and gap <= 2 ^ 53 then return gap end
  lib.raise('type', 'the gap of a session is whole milliseconds above 0, but its function returned ' ..
    (type(gap) == 'number' and ('%.17g'):format(gap) or gap == nil and 'nothing' or type(gap) == 'string' and "the text '" .. gap .. "'" or
    'a ' .. type(gap)))
end

--- forget(r, s): nothing is kept of the events of r any more. Written out, as a loop would end the trace.
local function forgetter(compiled)
  local text = {}
  for _, name in ipairs(compiled.counted) do text[#text + 1] = ('r.%s = 0'):format(name) end
  for i = 1, #compiled.refs do text[#text + 1] = ('check(s, empty(s, r, %d))'):format(i - 1) end
  local state = require 'tidemill.state'
  return assert(loadstring('local check, empty = ... return function(r, s) ' .. table.concat(text, ' ') .. ' end', '=tidemill.sessions'))(
    function(s, rc) if rc < 0 then state.failed(s, rc) end end, C.tm_ffi_state_empty)
end

return function(Gen, text)
  Gen.cells = { session = sessions.cells, count = counted.cells }

  --- The open windows of a step, for sessions and counts.
  function Gen.open_windows(rec, state, compiled, clock)
    local kind = rec.window.window.kind
    if kind == 'session' then
      return sessions.new(rec, state, clock.ptr, compiled.merge, forgetter(compiled))
    elseif kind == 'count' then
      return counted.new(rec, state, clock and clock.ptr, forgetter(compiled))
    end
  end

  --- A function of what `body` writes, which takes the event at hand through a step; `call` is its call.
  local function put_function(g, view, parameters, body)
    local outer, first = g.lines, g.first_step
    g.lines, g.first_step = {}, nil
    body()
    local name = 'into' .. #g.functions + 1
    g.functions[#g.functions + 1] = ('local function %s(%s) local full %s return full end'):format(name, parameters,
      table.concat(g.lines, ' '))
    g.lines, g.first_step = outer, first
    return view.entry and 'full = ' .. name .. '(%s) or full' or name .. '(%s)'
  end

  --- Text: local to, where the session that the event at hand would have for itself ends, which begins at t.
  function Gen:put_session_end(view, gap)
    if type(gap) == 'function' then
      self:put('local gap = %s', self:call(gap, view))
      self:sync(view)
      self:put('local to = t + %s(gap)', self:const(gap_of))
    else
      self:put('local to = t + %.0f', gap)
    end
  end

  local function put_session(g, step, view, W, state, compiled, call)
    local rec, ptr = step.rec, g:const(state.ptr)
    local e, gap = rec.emit, rec.window.window.gap
    local into = put_function(g, view, 'i', function()
      g:put('local t = st%d.time', view.level)
      g:put_session_end(view, gap)
      g:find_record(state, view)
      if e.mode == 'retract' then
        g:put('local head, n = r, %s.standing(r, t, to) for j = 1, n do local r = %s.old(head, n, j) local w, S = r, %s', W, W, ptr)
        text.send(g, view, rec, compiled, call, { { 'op', "'-'" } })
        g:put('r.sent = 0 end')
      end
      g:put('r = %s.take(r, t, to) if r == nil then', W)
      g:put_late(view)
      g:put('else local w, S = r, %s', ptr)
      g:put_taken()
      g:put('%s', g:call(compiled.update, view, 'r, S, t'))
      g:sync(view)
      text.put_early(g, view, rec, compiled, call)
      g:put('end')
    end)
    g:put(into, view.entry and 'i' or '')
    local kept = rec.window.lateness > 0 and e.mode ~= 'closed'
    local counts = kept and e.mode ~= 'retract'
    return {
      record = ('local r, w, S = p, p, %s'):format(ptr), key = W .. '.key()',
      begins = kept and ('local revision = 0 if %s.final then if C.tm_ffi_state_announce(S, r) < 0 then no_memory() end ' ..
        'revision = r.sent r.sent = revision + 1 end'):format(W) or '',
      mark = counts and { 'revision', 'revision', 'revision > 0' } or nil,
      ends = not kept and ('if %s.final then %s.close(r) end'):format(W, W) or '',
    }
  end

  local function put_count(g, step, view, W, state, compiled, call)
    local rec, ptr, n = step.rec, g:const(state.ptr), view.level
    local most = g.fires[g:fires_in_turn(state)].opened.most
    local into = put_function(g, view, view.entry and 'i, h, j' or 'h, j', function()
      g:put('local r, count = %s.nth(h, j) local w, S = r, %s', W, ptr)
      g:put('%s', g:call(compiled.update, view, ('r, S, st%d.time'):format(n)))
      g:sync(view)
      if g.timed then g:put('r.at = st%d.time', n) end
      text.put_early(g, view, rec, compiled, call)
      g:put('if count == %.0f then', rec.window.window.n)
      if rec.emit.mode ~= 'updates' then text.send(g, view, rec, compiled, call) end
      g:put('%s.close(r) end', W)
    end)
    local of = view.entry and 'i, r, ' or 'r, '
    g:put('do')
    g:find_record(state, view)
    g:put('local n = %s.count(r, st%d.time) if n > 0 then', W, n)
    g:put_taken()
    g:put('end')
    if most <= UNROLLED then
      for j = 1, most do g:put('if n >= %d then ' .. into, j, of .. j) end
      g:put(('end '):rep(most))
    else
      g:put('for j = 1, n do ' .. into .. ' end', of .. 'j')
    end
    g:put('end')
    return { record = ('local r, w, S = p, p, %s'):format(ptr), key = W .. '.key()', begins = '',
      ends = ('if %s.final then %s.close(r) end'):format(W, W) }
  end

  --- Text that takes the event at hand into its sessions or counts; what put_fire needs of them. nil: windows of another kind.
  function Gen:put_assigned(step, view, W, state, compiled, behind)
    local kind = step.rec.window.window.kind
    local put = kind == 'session' and put_session or kind == 'count' and put_count
    if not put then return nil end
    local call = view.entry and 'full = ' .. behind .. '(i) or full' or behind .. '()'
    return put(self, step, view, W, state, compiled, call)
  end
end
