--[[
codegen_window_joins.lua - the text of `window_join`: events of both sides are kept in their windows, and paired when these are complete.

A window is what it is for aggregates (windows.lua, sessions.lua), its records those of a join (joins.lua). When it is complete each left
event is a unit of its own, with all its partners; then each right event that had none. So a large window rests between two of them.
The record of a session is the session, so w is r; all of them lie in the step's one state.

  intoN    keeps the event at hand in window w         pairsN   sends the left event at work with its partners
]]

local joins = require 'tidemill.joins'
local sessions = require 'tidemill.sessions'
local windows = require 'tidemill.windows'

--- Number cells of a session's record, beside those of joins: its own, and those of rows that none of a join has.
local SESSION = { 'sent', 'more' }
for _, name in ipairs(sessions.cells) do SESSION[#SESSION + 1] = name end

return function(emit, Gen)
  local val

  --- Text that gives the row of the rows' view the window's bounds, and takes it on.
  local function put_row_of_window(g, P)
    local view = P.view
    -- in byte order, as fields of rows without a base are written
    g:put('%s(w.to) %s(w.from) st%d.time = w.to - 1', g:writer(view, 'window_end'), g:writer(view, 'window_start'), view.level)
    g:put('if flow.firing == 2 then %s(true) end %s()', g:writer(view, 'partial'), P.joined)
  end

  --- A view of events that `where` sees: a kept one at a time.
  local function put_seen(g, seen, text)
    g:put('if C.tm_ffi_kept_put(%s, batch, i, %s) < 0 then no_room() end', seen.batch, text)
    g.put_stand(g, seen.view, 'i')
  end

  local function seen_of(g, rec)
    local source = g:kept_source(rec, '')
    return { view = g:new_view(source), batch = g:const(source.batch) }
  end

  --- Text: the first lines of a loop's turn that is left where `where` says no.
  local function put_where(g, rec, P, left, right)
    put_seen(g, right, 'rp, rn')
    g:at(P.step)
    g:put('local c = %s', g:call_of_two(rec.where, left.view, right.view))
    g:sync(left.view)
    g:sync(right.view)
    g:put('if c then')
  end

  --- The function that sends the left event at work with its partners.
  local function put_pairs(g, rec, P)
    local view, J = P.view, g:const(P.join)
    local left, right
    if rec.where then left, right = seen_of(g, rec), seen_of(g, rec) end
    return g:write_function('pairs' .. view.level, 'i, r, w, S', function()
      g:put('local any, order = false, %s.order', J)
      g:put('C.tm_ffi_list_get(S, r, %d, %s.at, %s) local lp, ln = %s.text, %s.len', joins.LEFT + 1, J, val, val, val)
      if left then put_seen(g, left, 'lp, ln') end
      g:put('for k = 1, %s.rights do mk.sub = mk.sub + 1', J)
      g:put('C.tm_ffi_list_get(S, r, %d, order and order[k] or k, %s) local rp, rn = %s.text, %s.len', joins.RIGHT + 1, val, val, val)
      if rec.where then put_where(g, rec, P, left, right) end
      g:put('any = true')
      if P.keeps.right then g:put('%s.found_n = %s.found_n + 1 %s.found[%s.found_n] = k', J, J, J, J) end
      g:put('if C.tm_ffi_kept_put_with(%s, batch, i, lp, ln, rp, rn) < 0 then no_room() end', P.batch)
      g.put_stand(g, view, 'i')
      put_row_of_window(g, P)
      if rec.where then g:put('end') end
      g:put('end')
      if P.keeps.left then
        g:put('if not any then if C.tm_ffi_kept_put(%s, batch, i, lp, ln) < 0 then no_room() end', P.batch)
        g.put_stand(g, view, 'i')
        put_row_of_window(g, P)
        g:put('end')
      end
    end)
  end

  --- The function that sends the next event of a window that is complete.
  local function put_fire(g, rec, P)
    local step, view, state = P.step, P.view, P.state
    local at, n, J = g:fires_in_turn(P.join), view.level, g:const(P.join)
    local pairs_name = put_pairs(g, rec, P)
    local outer, first = g.lines, g.first_step
    g.fires[at].join = P.join
    P.clock.timed[#P.clock.timed + 1] = { at = at, W = J }
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() local p = %s.next(upto) if p == nil then ended = true return true end', at, J)
    g:begin_unit(step, view)
    if P.session then
      g:put('do local r, S = cast(%s, p), %s local w = r v%d.key = %s.key()', g:const(state.type), g:const(state.ptr), n, P.W)
    else
      g:put('do local r, w = p, %s.at local S = w.ptr v%d.key = key_of(S, r, %s, %s)', P.W, n, g:const(state.names),
        tostring(state.composite))
    end
    g:put('if %s.side == %d then %s(i, r, w, S) else', J, joins.LEFT, pairs_name)
    g:put('C.tm_ffi_list_get(S, r, %d, %s.at, %s)', joins.RIGHT + 1, J, val)
    g:put('local alone = %s(%s.text, %s.len)', g:const(g:kept_text(P)), val, val)
    g.put_right_alone(g, P, rec, 'alone')
    put_row_of_window(g, P)
    g:put('end end %s.done = true', J)
    g:end_unit()
    g.fires[at].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
    g.fires[at].letter = function()
      local _, bounds = P.opened.unit()
      return view.key_letter(), { row = bounds }
    end
  end

  local function make(g, rec, P)
    g.join_parts(g, rec, P)
    P.session = rec.window.window.kind == 'session'
    local state = g:open_join(rec, P, P.session and SESSION or nil)
    local how = { name = rec.name, window = rec.window, emit = { mode = 'final', accumulate = true } }
    P.opened = P.session and sessions.new(how, state, P.clock.ptr, joins.merge, joins.forget) or windows.new(how, state, P.clock.ptr)
    P.join = joins.windowed(P.opened, state, P.keeps)
    P.W = g:const(P.opened)
    val = g:const(joins.val)
    g:fires_in_turn(P.join)
    P.joined = P.follow('joined' .. P.view.level)
    put_fire(g, rec, P)
    P.finish()
  end

  --- The key that an event of a side goes by.
  local function side_key(g, rec, s)
    local fields = rec.on[s.left and 'left' or 'right']
    return g:own_key({ label = s.step.label, rec = { on = { fields = fields, composite = rec.on.composite } } }, s.view)
  end

  --- Text: record r of state S keeps the event at hand, of time t.
  local function put_kept(g, P, s)
    local mine = s.left and 'left' or 'right'
    g:put_taken()
    g.put_bytes(g, P, s.view)
    g:put('if r.%s_times.n == 0 then r.%s_top, r.%s_slack = t, 0 elseif t > r.%s_top then r.%s_top = t', mine, mine, mine, mine, mine)
    g:put('elseif r.%s_top - t > r.%s_slack then r.%s_slack = r.%s_top - t end', mine, mine, mine, mine)
    g:put('local rc = C.tm_ffi_partners_keep(S, r, %d, t, 0, text, len) if rc < 0 then failed(S, rc) end',
      s.left and joins.LEFT or joins.RIGHT)
  end

  --- The function that keeps the event at hand in a window.
  local function put_into(g, rec, P, s)
    local own = side_key(g, rec, s)
    return g:write_function('into' .. #g.functions + 1, 'i, w', function()
      g:put('local S, t = w.ptr, st%d.time', s.view.level)
      g:at(s.step)
      g:find_record(P.state, s.view, own, 'S', P.W .. '.cur.ptr', 'w.id')
      put_kept(g, P, s)
    end)
  end

  --- Text that keeps the event at hand in its session.
  local function put_into_session(g, rec, P, s)
    g:put('do local S, t = %s, st%d.time', g:const(P.state.ptr), s.view.level)
    g:put_session_end(s.view, rec.window.window.gap)
    g:find_record(P.state, s.view, side_key(g, rec, s), 'S', g:const(P.state.ptr))
    g:put('r = %s.take(r, t, to) if r == nil then', P.W)
    g:put_late(s.view)
    g:put('else')
    put_kept(g, P, s)
    g:put('end end')
  end

  local function put(g, s, rec, P)
    local into = not P.session and put_into(g, rec, P, s)
    g:put_before(P, s)
    g:at(s.step)
    if P.session then put_into_session(g, rec, P, s) else g.put_assign(g, s.view, rec, P.W, into) end
  end

  function Gen:window_join_side(step, view, rec, left) self:put_side(step, view, rec, left, make, put) end

  function emit.window_join(g, step, view) g:window_join_side(step, view, step.rec, true) end
end
