--[[
codegen_process.lua - the text of `process`: calling the user's function for an event and for a timer, and taking what it emitted
through the steps behind.

  at       the step's box (state_view.lua): the record at hand, whether it is new, the timer at work
  rowsN    takes one emitted row on; events and timers share it
]]

local C = require 'tidemill.lib'.C

return function(emit, Gen, node_list)
  local key_part = Gen.key_part

  --- Fields of a row of ctx.emit that have the key's names: what scripts know as digits of an integer leaves as that.
  local function own_keys(g, view, inner)
    local key, n = g.key, view.level
    if not key then return end
    for i, node in ipairs(node_list(inner, key.names)) do
      local n_inner, at = inner.level, g:const(node)
      if key.cols then
        local col = g:const(key.nodes[i].col)
        g:put('if v%d.key == ROW_KEY then if band(%s[st0.home].tag, 15) == 5 then own_digits%d(%s, v0, %s, st0.home) end else', n, col,
          n_inner, at, col)
      end
      g:put("do local k = %s if type(k) == 'table' then own_key%d(%s, k) end end", key_part(key, n, i), n_inner, at)
      if key.cols then g:put('end') end
    end
  end

  --- Text that runs the user's function, which is `call`, and takes what it emitted on.
  local function put_call(g, view, box, held, call)
    g:put('%s.n = 0 %s.bytes = 0 %s.open = true', held.hold, held.hold, held.hold)
    g:put('%s', call)
    g:put('%s.open = false', held.hold)
    g:put('if %s.late ~= 0 then %s() end', g:const(box.at), g:const(box.settle))
    g:sync(view)
    if g.key and g.key.turn then g:put('if %s.n > 0 then v%d.key = v%d.turn_key() end', held.hold, view.level, view.level) end
    g:put_held(view, held.inner, held.hold)
  end

  --- The user's function with the state and ctx behind its first argument, as text.
  local function call_of(g, box, call)
    if g.checked then
      return ('local s, ctx = %s() %s %s()'):format(g:const(box.lend), call 's, ctx', g:const(box.retire))
    end
    return call(g:const(box.view) .. ', ' .. g:const(box.ctx))
  end

  --- The function that calls on_timer for the next timer that is due, or on_expire for the next key.
  local function put_fire(g, step, view, state, box, held)
    local rec, n, timers = step.rec, view.level, box.timers
    local outer, first, turn = g.lines, g.first_step, g:fires_in_turn(timers)
    local T, at, ptr = g:const(timers), g:const(box.at), g:const(state.ptr)
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() local p = %s.next(upto) if p == nil then ended = true return true end', turn, T)
    g:begin_unit(step, view)
    g:put('do local r = cast(%s, p)', g:const(state.type))
    if g.keyed then g:put('v%d.key = key_of(%s, r, %s, %s)', n, ptr, g:const(state.names), tostring(state.composite)) end
    g:put('if C.tm_ffi_state_announce(%s, r) < 0 then no_memory() end', ptr)
    g:put('st%d.time = %s.at %s.r = r %s.new = false %s.fires = 1 %s.at, %s.w = %s.at, upto', n, T, at, at, at, at, at, T)
    local timer = rec.on_timer and call_of(g, box, function(more) return ('%s(%s.name, %s)'):format(g:const(rec.on_timer), T, more) end)
    local old = rec.on_expire and call_of(g, box, function(more) return ('%s(%s)'):format(g:const(rec.on_expire), more) end)
    local touch = rec.ttl and ('if %s.at > r.written then r.written = %s.at end '):format(T, T) or ''
    put_call(g, view, box, held, old and ('if %s.expires then %s else %s %s end'):format(T, old, touch, timer or '') or
      touch .. (timer or ''))
    if old then g:put('if %s.expires then %s.finish() end', T, T) end
    g:put('%s.fires = 0 if %s.dropped ~= 0 then %s() end end', at, at, g:const(box.count_dropped))
    g:end_unit()
    g.fires[turn].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  function emit.process(g, step, view)
    local rec, clock = step.rec, g.clock
    local parts = require 'tidemill.state_view'
    local numbers, refs = parts.cells(rec.fields)
    local timed = rec.on_timer or rec.ttl
    if timed then numbers[#numbers + 1] = 'born' end
    if rec.ttl then numbers[#numbers + 1] = 'written' end
    local state = g:open_state(step, numbers, refs)
    local ptr = g:const(state.ptr)
    local inner, hold, add = g:new_held(view)
    local held = { inner = inner, hold = hold }
    local timers
    if timed then
      timers = require('tidemill.timers').new(state.name, rec, state, g.held[#g.held], clock.ptr)
      timers.view, timers.tally = view, g:any_tally()
      local turn = g:fires_in_turn(timers)
      g.fires[turn].timers = timers
      clock.timed[#clock.timed + 1] = { at = turn, W = g:const(timers) }
    end
    local box = parts.make(rec, state, {
      add = add, key_now = function() return view.key_now() end, moment = view.st, only_now = g.checked, timers = timers,
    })
    state.box, state.view = box, view
    g.boxes[#g.boxes + 1] = box
    g:at(step)
    g:put('do')
    g:find_record(state, view)
    g:put_taken()
    local at = g:const(box.at)
    g:put('%s.r = r local new = %s.code == 1 %s.new = new if new then %s(r) %s end', at, ptr, at, g:const(box.init),
      timers and ('%s.born = %s.born + 1 r.born = %s.born'):format(at, at, at) or '')
    if rec.ttl then
      local t = ('st%d.time'):format(view.level)
      g:put('if new then r.written = %s %s(r) elseif %s > r.written then r.written = %s end', t, g:const(timers.arm), t, t)
    end
    if clock then g:put('%s.w = %s.w', at, clock.name) end
    put_call(g, view, box, held, call_of(g, box, function(more) return g:call(rec.on_event, view, more) end))
    g:put('end')
    g:held_rows(step, view, inner, hold, function() own_keys(g, view, inner) end)
    if timers then put_fire(g, step, view, state, box, held) end
    if g.key and g.key.turn then C.tm_ffi_turns_also(g.key.turn, state.ptr) end
  end
end
