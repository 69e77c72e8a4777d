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
  --- Text: is the event at hand one that a match may begin with?
  local function start_text(g, graph, view)
    if graph.start == true then return 'true' end
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
    local state = g:open_state(step, match.numbers, match.refs, nil, { set = settings.of_pattern(graph, graphs.shape_of(graph)) })
    local P = { source = g.kept_source(g, rec, '') }
    P.batch, P.view = g:const(P.source.batch), g:new_view(P.source)
    P.view.inherit(view)
    local inner, hold = g:new_held(P.view)
    local show = g.kept_text(g, P)
    local X = match.new {
      name = state.name, rec = rec, main = state, clock = clock.ptr, copy = copies(g, rec, view), tally = g.tally_of(g.pipeline),
      key = key and { names = key.names, composite = key.composite } or nil, hold = g:value_of(hold),
      json = function(text, len) return show(text, len).text end,
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
    if Gen.is_delayed(step) then behind, P.before = g:delay_clock(step, view, clock, rec.pattern.within or math.huge) end
    g.key = key and { names = key.names, composite = key.composite, nodes = g:field_nodes(inner, key.names), made = true } or nil
    g.clock = behind
    put_fire(g, step, P, X, inner, hold)
    g:held_rows(step, P.view, inner, hold, function() g:put('st%d.time = %s.times[j]', inner.level, Xn) end)
    g.key, g.clock = key, clock
    -- the event as it comes
    local waits = X.waits
    local W, put = g:const(waits.ptr), g:const(waits.put)
    g:at(step)
    if P.before then g:put('%s()', P.before) end
    g:put('do local t = st%d.time if t <= %s.w then', n, clock.name)
    g:put_late(view)
    g:put('else')
    g:put_taken()
    g:put('local begins = %s', start_text(g, graph, view))
    g:sync(view)
    if rec.order_by then
      view.field(rec.order_by)
      local read = assert(loadstring(('return function(e) return e[%q] end'):format(rec.order_by), '=tidemill.patterns'))()
      g:put('%s(%s)', g:const(waits.put_order), g:call(read, view))
    end
    g.put_bytes(g, P, view)
    g:put('%s.text, %s.len, %s.time, %s.mark = text, len, t, begins and %d or %d', put, put, put, put, unpack(waits.marks))
    g:put('local rc')
    if key and key.cols then
      g:put('if v%d.key == ROW_KEY then rc = C.tm_ffi_waits_put_row(%s, batch, %s, st0.home, %s) else', n, W, g:const(key.cols), put)
    else
      g:put('do')
    end
    g:put('rc = set_key(%s, %s) if rc ~= 0 then failed(%s, rc) end', key and ('v%d.key'):format(n) or 'nil',
      g:const(key and key.names or {}), W)
    g:put('rc = C.tm_ffi_waits_put(%s, key_buf, %s) end if rc ~= 0 then failed(%s, rc) end', W, put, W)
    g:put('if t < %s.due then set_due(%s, t) end end end', clock.name, clock.name)
  end
end
