--[[
codegen_patterns.lua - the text of `match`. An event waits with its bytes until the watermark has passed it, with what the conditions of
the pattern's beginning say of it; fireN gives it its turn (patterns_match.lua): it is an event of a batch of its own then, on which the
other conditions are asked, and matches that it ends leave as rows.
]]

local lib = require 'tidemill.lib'
local match = require 'tidemill.patterns_match'
local graphs = require 'tidemill.patterns_graph'
local settings = require 'tidemill.state_settings'
local value = require 'tidemill.value'
local C = lib.C

return function(emit, Gen)
  --- Text: is the event at hand one that a match may begin with? Where late ones may come before it, each is of use.
  local function start_text(g, rec, view)
    local graph = rec.graph
    if graph.start == true or rec.lateness then return 'true' end
    local nothing = g:const(setmetatable({}, { __index = function() return {} end }))
    local list = {}
    for i, cond in ipairs(graph.start) do
      list[i] = '(' .. cond:gsub('(%a+)%((%d+)%)', function(kind, n)
        return '(' .. g:call(graph.conditions[tonumber(n)], view, kind == 'run' and nothing or nil) .. ')'
      end) .. ')'
    end
    return #list > 0 and table.concat(list, ' or ') or 'false'
  end

  --- A view of events that were taken before, for their copies.
  local function copies(g, rec, view)
    local source = g.kept_source(g, rec, '')
    local past = g:new_view(source)
    past.inherit(view)
    local st, begin, batch = past.st, past.begin, source.batch
    return function(text, len)
      if C.tm_ffi_kept_put(batch, batch, 0, text, len) < 0 then lib.raise('row-too-large', 'an event is larger than a row may be') end
      st.home = 0
      begin()
      st.row = 0
      return value.copy(past.event)
    end
  end

  --- A function that makes an event of earlier turns the one that conditions see, in the place of that at hand.
  local function showing(P)
    local st, begin, batch = P.view.st, P.view.begin, P.source.batch
    return function(t, text, len)
      local row = st.home
      if C.tm_ffi_kept_put(batch, batch, row, text, len) < 0 then lib.raise('row-too-large', 'an event is larger than a row may be') end
      begin()
      st.row, st.time = row, t
    end
  end

  --- Text: the event at hand waits in `queue` of patterns_waits.
  local function put_wait(g, key, n, queue, mark)
    local W, put = g:const(queue.ptr), g:const(queue.put)
    g:put('%s.text, %s.len, %s.time, %s.mark = text, len, t, %s', put, put, put, put, mark)
    g:put('local rc')
    if key and key.cols then
      g:put('if v%d.key == ROW_KEY then rc = C.tm_ffi_waits_put_row(%s, batch, %s, st0.home, %s) else', n, W, g:const(key.cols), put)
    else
      g:put('do')
    end
    g:put('rc = set_key(%s, %s) if rc ~= 0 then failed(%s, rc) end', key and ('v%d.key'):format(n) or 'nil',
      g:const(key and key.names or {}), W)
    g:put('rc = C.tm_ffi_waits_put(%s, key_buf, %s) end if rc ~= 0 then failed(%s, rc) end', W, put, W)
  end

  --- Text for an event behind the watermark: it may correct what was sent, or it is late.
  local function put_behind(g, view, P, X, clock, key)
    local rec, n = X.rec, view.level
    if not rec.lateness then return g:put_late(view) end
    g:put('local is_late = t <= %s.w - %.0f', clock.name, rec.lateness)
    g:put('if not is_late then local rc')
    if key and key.cols then
      g:put('if v%d.key == ROW_KEY then rc = C.tm_ffi_key_row(key_buf, batch, %s, st0.home) else', n, g:const(key.cols))
    else
      g:put('do')
    end
    g:put('rc = set_key(%s, %s) end if rc ~= 0 then failed(%s, rc) end', key and ('v%d.key'):format(n) or 'nil',
      g:const(key and key.names or {}), g:const(X.late.ptr))
    g:put('is_late = %s(t) end', g:const(X.is_final))
    g:put('if is_late then')
    g:put_late(view)
    g:put('else')
    g:put_taken()
    g:sync(view)
    g.put_bytes(g, P, view)
    put_wait(g, key, n, X.late, '1')
    g:put('if t < %s.due then set_due(%s, t) end end', clock.name, clock.name)
  end

  --- The function that gives the next event its turn, or ends what time is over.
  local function put_fire(g, step, P, X, inner, hold)
    local view, n, Xn = P.view, P.view.level, g:const(X)
    local outer, first, at = g.lines, g.first_step, g:fires_in_turn(X)
    g.fires[at].join = X
    g.fires[at].letter = function()
      local row = X.letter()
      if type(row) == 'string' then row = lib.text(row, 9) end
      return view.key_letter(), { row = row ~= nil and pcall(value.json, row) and row or {} }
    end
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() if not %s.next(upto) then ended = true return true end', at, Xn)
    g:begin_unit(step, view)
    if P.before then g:put('%s()', P.before) end
    g:put('if %s.event then local r = %s.find() v%d.key = %s.key st%d.time = %s.at', Xn, Xn, n, Xn, n, Xn)
    g:put('if C.tm_ffi_kept_put(%s, batch, i, %s.text, %s.len) < 0 then no_room() end st%d.row = i', P.batch, Xn, Xn, n)
    g:put('%s.step(r) else v%d.key = %s.key end', Xn, n, Xn)
    g:put_held(view, inner, hold)
    g:end_unit()
    g.fires[at].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  function emit.match(g, step, view)
    local rec, n, clock, key, graph = step.rec, view.level, g.clock, g.key, step.rec.graph
    local numbers, refs = match.layout(rec)
    local state = g:open_state(step, numbers, refs, nil, { set = settings.of_pattern(graph, graphs.shape_of(graph), rec.lateness) })
    local P = { source = g.kept_source(g, rec, '') }
    P.batch, P.view = g:const(P.source.batch), g:new_view(P.source)
    P.view.inherit(view)
    local inner, hold = g:new_held(P.view)
    local show = g.kept_text(g, P)
    local X = match.new {
      name = state.name, rec = rec, main = state, clock = clock.ptr, copy = copies(g, rec, view), tally = g.tally_of(g.pipeline),
      key = key and { names = key.names, composite = key.composite } or nil, hold = g:value_of(hold),
      json = function(text, len) return show(text, len).text end, show = showing(P),
    }
    state.view, state.shown = view, { { name = 'partial' }, { name = 'held_back' } }
    function state.results(r) return X.counts(r) end
    function state.detail(r) return X.detail(r) end
    g.anchors[#g.anchors + 1] = X
    local Xn, at = g:const(X), g:fires_in_turn(X)
    clock.timed[#clock.timed + 1] = { at = at, W = Xn }
    local calls = {}
    for i, fn in ipairs(graph.conditions) do calls[i] = ('function(m) return %s end'):format(g:call(fn, P.view, 'm')) end
    g.functions[#g.functions + 1] = ('do local list = { %s } for i = 1, #list do %s.calls[i] = list[i] end end'):format(
      table.concat(calls, ', '), Xn)
    -- what stands behind is reached by what is due alone
    local behind = clock
    if Gen.is_delayed(step) then
      behind, P.before = g:delay_clock(step, view, clock, (rec.pattern.within or math.huge) + (rec.lateness or 0))
    end
    g.key = key and { names = key.names, composite = key.composite, nodes = g:field_nodes(inner, key.names), made = true } or nil
    g.clock = behind
    put_fire(g, step, P, X, inner, hold)
    g:held_rows(step, P.view, inner, hold, function() g:put('st%d.time = %s.times[j]', inner.level, Xn) end)
    g.key, g.clock = key, clock
    -- the event as it comes
    local waits = X.waits
    g:at(step)
    if P.before then g:put('%s()', P.before) end
    g:put('do local t = st%d.time if t <= %s.w then', n, clock.name)
    put_behind(g, view, P, X, clock, key)
    g:put('else')
    g:put_taken()
    g:put('local begins = %s', start_text(g, rec, view))
    g:sync(view)
    if rec.order_by then
      view.field(rec.order_by)
      local read = assert(loadstring(('return function(e) return e[%q] end'):format(rec.order_by), '=tidemill.patterns'))()
      g:put('%s(%s)', g:const(waits.put_order), g:call(read, view))
    end
    g.put_bytes(g, P, view)
    put_wait(g, key, n, waits, ('begins and %d or %d'):format(unpack(waits.marks)))
    g:put('if t < %s.due then set_due(%s, t) end end end', clock.name, clock.name)
  end
end
