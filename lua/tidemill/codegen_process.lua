--[[
codegen_process.lua - the text of `process`: calling the user's function for an event and for a timer, and taking what it emitted
through the steps behind.

  at       the step's box (state_view.lua): the record at hand, whether it is new, the timer at work
  rowsN    takes one emitted row on; events and timers share it
]]

local keep = require 'tidemill.keep'
local lib = require 'tidemill.lib'
local C, ffi = lib.C, lib.ffi

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

  --- Text that runs the user's function, which is `call`, and takes what it emitted on. turns: for an event whose key may still lie where
  --- it waited for its turn; what is due has one of its own.
  local function put_call(g, view, box, held, call, turns)
    g:put('%s.n = 0 %s.bytes = 0 %s.open = true', held.hold, held.hold, held.hold)
    g:put('%s', call)
    g:put('%s.open = false', held.hold)
    g:put('if %s.late ~= 0 then %s() end', g:const(box.at), g:const(box.settle))
    g:sync(view)
    if turns and g.key and g.key.turn then g:put('if %s.n > 0 then v%d.key = v%d.turn_key() end', held.hold, view.level, view.level) end
    g:put_held(view, held.inner, held.hold)
  end

  --- The user's function with the state and ctx behind its first argument, as text.
  local function call_of(g, box, call)
    if g.checked then
      return ('local s, ctx = %s() %s %s()'):format(g:const(box.lend), call 's, ctx', g:const(box.retire))
    end
    return call(g:const(box.view) .. ', ' .. g:const(box.ctx))
  end

  --- Text: elements of the record that are over at watermark w go.
  local function put_aging(g, box, w)
    for _, a in ipairs(box.aged) do g:put('if r.%s + %.0f <= %s then %s(r, %s) end', a.least, a.ttl, w, g:const(a.pass), w) end
  end

  --- Text: a use of the key at time t.
  local function put_use(g, rec, t)
    if rec.ttl then g:put('if %s > r.written then r.written = %s end', t, t) end
  end

  --- The function that calls on_timer for the next timer of T that is due, or on_expire for the next key.
  local function put_fire(g, step, view, state, box, held, T)
    local rec, n, wall = step.rec, view.level, T == box.walls
    local outer, first, turn = g.lines, g.first_step, g:fires_in_turn(T)
    local t, at, ptr, clock = ('st%d.time'):format(n), g:const(box.at), g:const(state.ptr), g.clock and g.clock.name
    local on_expire = not wall and rec.on_expire
    g.lines, g.first_step, T = {}, nil, g:const(T)
    g:put('local function fire%d() local p = %s.next(upto) if p == nil then ended = true return true end', turn, T)
    g:begin_unit(step, view)
    g:put('do local r = cast(%s, p)', g:const(state.type))
    if g.keyed then g:put('v%d.key = key_of(%s, r, %s, %s)', n, ptr, g:const(state.names), tostring(state.composite)) end
    g:put('if C.tm_ffi_state_announce(%s, r) < 0 then no_memory() end', ptr)
    if not wall then
      g:put('%s = %s.at local w, over = upto, %s.at - 1 if %s.w > over then over = %s.w end', t, T, T, clock, clock)
    elseif clock then
      -- it is as old as an event that comes now may be
      g:put('local w = %s(%s) local over = w %s = w > -huge and w + 1 or %s.highest', g:now(), clock, t, clock)
    else
      g:put('local w = -huge')
    end
    g:put('%s.r = r %s.new = false %s.fires = 1 %s.at, %s.w = %s, w', at, at, at, at, at, (clock or not wall) and t or '-huge')
    put_aging(g, box, 'over')
    if on_expire then g:put('if not %s.expires then', T) end
    put_use(g, rec, t)
    if on_expire then g:put('end') end
    local timer = rec.on_timer and call_of(g, box, function(more) return ('%s(%s.name, %s)'):format(g:const(rec.on_timer), T, more) end)
    local old = on_expire and call_of(g, box, function(more) return ('%s(%s)'):format(g:const(on_expire), more) end)
    put_call(g, view, box, held, old and ('if %s.expires then %s else %s end'):format(T, old, timer or '') or timer or '')
    if old then g:put('if %s.expires then %s.finish() end', T, T) end
    g:put('%s.fires = 0 if %s.dropped ~= 0 then %s() end end', at, at, g:const(box.count_dropped))
    g:end_unit()
    g.fires[turn].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  --- Timers of a step on a clock: made, and given their turn.
  local function new_timers(g, view, name, clock, o)
    o.clock = clock.ptr
    local T = require('tidemill.timers').new(name, o)
    T.view, T.tally = view, g.tally_of(g.pipeline)
    local turn = g:fires_in_turn(T)
    g.fires[turn].timers = T
    clock.timed[#clock.timed + 1] = { at = turn, W = g:const(T) }
    return T
  end

  --- The elements of a field go by age.
  local function has_aged(fields)
    for _, f in ipairs(fields) do if f.container and f.container.ttl then return true end end
    return false
  end

  --- How long elements of such fields stay, by name.
  local function ages_of(fields)
    local ages = {}
    for _, f in ipairs(fields) do if f.container then ages[f.name] = f.container.ttl end end
    return ages
  end

  function emit.process(g, step, view)
    local rec, clock = step.rec, g.clock
    local parts = require 'tidemill.state_view'
    local numbers, refs, of = parts.cells(rec.fields)
    local aged, timed = has_aged(rec.fields), rec.on_timer or rec.ttl
    if timed then numbers[#numbers + 1] = 'born' end
    if rec.ttl then numbers[#numbers + 1] = 'written' end
    rec.options.timed = aged
    of.born, of.written = { '', nil, 'born' }, { '', nil, 'written' }
    local state = g:open_state(step, numbers, refs, nil, { reshape = true, migrate = rec.options.migrate, version = rec.options.version,
      of = of, ttl = rec.ttl, ages = ages_of(rec.fields) })
    local ptr = g:const(state.ptr)
    local inner, hold, add = g:new_held(view)
    local held = { inner = inner, hold = hold }
    local goes = {}
    local expiry = (aged or rec.ttl) and require('tidemill.expiry').new(state, { ttl = rec.ttl, aged = goes }, clock.ptr) or nil
    local timers, walls
    local function kept(more)
      more.main, more.held = state, g.held[#g.held]
      return more
    end
    -- at the end of input their turn is before that of keys which expire
    if rec.on_timer then walls = new_timers(g, view, state.name .. '/wall_timers', g:wall_clock(view), kept { wall = true }) end
    if clock and (timed or aged) then
      timers = new_timers(g, view, state.name .. '/timers', clock, kept { expiry = expiry, on_expire = rec.on_expire })
    end
    local box = parts.make(rec, state, {
      add = add, key_now = function() return (view.key_now()) end, moment = view.st, only_now = g.checked, timers = timers, walls = walls,
      expiry = expiry,
    })
    for i, a in ipairs(box.aged) do goes[i] = a end
    state.box, state.view = box, view
    --- A record that came otherwise than by an event: those to come have higher numbers.
    function state.imported(record)
      if timed then box.at.born = math.max(box.at.born, ffi.cast(state.type, record).born) end
    end
    g.boxes[#g.boxes + 1] = box
    -- the number of the record made last, by which timers know theirs; and how many went
    keep.add(state.name .. '/records', 'records of a process', function()
      return { box.at.born, state.cleared }
    end, function(data) box.at.born, state.cleared = data[1], data[2] end)
    g:at(step)
    g:put('do')
    g:find_record(state, view)
    g:put_taken()
    local at = g:const(box.at)
    g:put('%s.r = r local new = %s.code == 1 %s.new = new if new then %s(r) %s end', at, ptr, at, g:const(box.init),
      timed and ('%s.born = %s.born + 1 r.born = %s.born'):format(at, at, at) or '')
    if rec.ttl then g:put_used(view, expiry) end
    if clock then
      g:put('%s.w = %s.w', at, clock.name)
      put_aging(g, box, clock.name .. '.w')
    end
    put_call(g, view, box, held, call_of(g, box, function(more) return g:call(rec.on_event, view, more) end), true)
    g:put('end')
    -- what stands behind is also reached by timers, while no event has its turn
    local key = g.key
    if key and key.turn then g.key = { names = key.names, composite = key.composite, nodes = key.nodes } end
    g:held_rows(step, view, inner, hold, function() own_keys(g, view, inner) end)
    g.key = key
    if timers then put_fire(g, step, view, state, box, held, timers) end
    if walls then put_fire(g, step, view, state, box, held, walls) end
    if g.key and g.key.turn then C.tm_ffi_turns_also(g.key.turn, state.ptr) end
  end
end
