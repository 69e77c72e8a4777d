--[[
codegen_state.lua - the text of steps that remember: finding a record by a key, running, and the rows that steps give at the
end of input.

A record is found once an event, by the columns that make the key where it is still that of the event as it came (ROW_KEY:
no Lua value is made of it), else by the key in Lua's form. The call that finds it announces the change.

  r        the record of the step at hand, typed; S the state (struct tm_state *)
  vN.key   the key: nil, a plain value, a table by field name, ROW_KEY, or BYTES_KEY (key_of_fields)
  fireN    the function that takes one record of a step with emit = 'final' through the steps behind
]]

local lib = require 'tidemill.lib'
local aggregate = require 'tidemill.aggregate'
local keep = require 'tidemill.keep'
local C, ffi = lib.C, lib.ffi
local cast = ffi.cast

local ROW_KEY = lib.ROW_KEY
local KEY_KINDS = 0x1BC   -- a key at hand: booleans, numbers, integers beyond 2^53, strings

local NAMES = { 'C', 'cast', 'band', 'rshift', 'ROW_KEY', 'record_of', 'failed', 'serial', 'key_of', 'no_memory', 'ch', 'commit',
  'key_buf', 'set_key', 'key_failed', 'no_own', 'none', 'late', 'trip', 'highest', 'SPAN', 'enter', 'set_due', 'huge',
  'no_room', 'section_record_of', 'TURN_KEY', 'BYTES_KEY' }

local function no_room() lib.raise('row-too-large', 'a row of a join is larger than a row may be') end

local view_functions = { 'emit', 'emit_nothing', 'emit_select', 'take', 'replace', 'sync', 'restore', 'select', 'current',
  'fresh_ordered', 'put', 'remove', 'renamed', 'begin', 'verify', 'key_of', 'key_value', 'no_key', 'call', 'replaced',
  'put_key', 'own_key', 'own_digits', 'time_of', 'own_text', 'put_bytes', 'kept' }

--- An event without what a step of its own key tells it by.
local function no_own(what)
  lib.raise('missing-key', 'the event has no ' .. what)
end

return function(emit, Gen, node_list)
  --- Text: the locals of a view; want: is this in the text that it is for?
  function Gen.view_text(level, want)
    local text = { ('local v%d = views[%d] local e%d, st%d = v%d.event, v%d.st'):format(level, level + 1, level, level, level, level) }
    for _, name in ipairs(view_functions) do
      local used = name .. level
      if want(used .. '(') or name == 'begin' then text[#text + 1] = ('local %s = v%d.%s'):format(used, level, name) end
    end
    return table.concat(text, ' ')
  end

  --- The text of a loop is none that LuaJIT takes.
  function Gen.not_compiled(pipeline, why, text)
    if not why:find('more than %d+') then error('generated code: ' .. why .. '\n' .. text) end
    lib.raise('script', ("%s: the pipeline '%s' has more joins, flat_maps and processes than fit into one loop; let another take over " ..
      "in between: tm.pipeline 'more':from(stream)"):format(pipeline.place, pipeline.name))
  end

  --- What the text of steps with state or event time calls, beside what every loop does.
  function Gen.environment_text()
    return 'local ' .. table.concat(NAMES, ', ') .. ' = unpack(env, 1, ' .. #NAMES .. ') local ahead, untimed = 0, 0'
  end

  function Gen.environment()
    local state, windows = require 'tidemill.state', require 'tidemill.windows'
    return { C, cast, lib.bit.band, lib.bit.rshift, ROW_KEY, state.record_of, state.failed, state.serial, state.key_of,
      function() lib.raise('memory', 'no memory to walk a state (--memory)') end, state.changes, C.tm_ffi_changes_commit,
      state.key, state.set_key, state.key_failed, no_own, 0 / 0, C.tm_ffi_late, C.tm_ffi_time_trip,
      C.tm_ffi_time_highest, lib.SPAN, windows.enter, windows.set_due, math.huge, no_room, state.section_record_of, lib.TURN_KEY,
      lib.BYTES_KEY }
  end

  --- Does a :schema of the pipeline give the field a type that reads differently? It holds for steps before it, too.
  local function read_by_type(view, name)
    for _, schema in ipairs(view.entry.schemas) do
      for _, field in ipairs(schema.rec.types) do
        if field.name == name and field.typ.special then return true end
      end
    end
  end

  --- The columns of a key, for C; nil where a field has none, or a type that reads differently.
  local function columns_of(g, rec, nodes, view)
    if rec.fn or #nodes == 0 or #nodes > 16 then return nil end
    local cols = ffi.new 'struct tm_key_columns'
    for i, node in ipairs(nodes) do
      if not node.col or node.typ or read_by_type(view, node.name) then return nil end
      C.tm_ffi_fields_want_number(view.source.fields, node.id)
      cols.cells[i - 1] = node.col
    end
    cols.n, cols.missing = #nodes, 0
    g.anchors[#g.anchors + 1] = cols
    return cast('struct tm_key_columns *', cols)
  end

  --- Names the key of what comes behind; `body` writes it. In a pipeline that keeps state the key stays in its columns.
  function Gen:with_key(rec, view, nodes)
    local names = rec.fn and { rec.name } or rec.fields
    local key = { names = names, nodes = nodes, composite = rec.composite, view = view, made = rec.fn ~= nil }
    if self.stateful and view.entry then key.cols = columns_of(self, rec, nodes, view) end
    local outer = self.key
    self.key = #names > 0 and key or nil
    return function() self.key = outer end, key
  end

  --- What gives the key of the event at hand in Lua's form, as text. Where all that comes behind is one `running` that finds its record
  --- by it and whose rows C writes of that record, the key is bytes (V.key_bytes), whoever wrote its fields.
  function Gen:key_of_fields(step, key, view)
    local list, child = view.key_list(key.nodes), step.next[1]
    local once = #step.next == 1 and child.kind == 'running' and (child.rec.options.emit == 'final' or self.only_sink(child))
    if key.cols and once then
      local state = require 'tidemill.state'
      key.bytes = true
      list = view.key_bytes(key.nodes, state.key, list)
      function view.bytes_key() return (state.key_from(state.key.bytes, state.key.len, key.names, true)) end
    end
    return self:const(list) .. '()'
  end

  --- The test that the key lies in its columns as it came.
  function Gen:row_key_test(key)
    local st = 'st' .. key.view.level
    local tests, unwritten = { st .. '.row == i' }, {}
    for i, node in ipairs(key.nodes) do unwritten[i] = ('%s[%d] ~= %s.gen'):format(self:const(node.V.gens), node.slot, st) end
    tests[2] = '(' .. st .. '.writes == 0 or ' .. table.concat(unwritten, ' and ') .. ')'
    for _, node in ipairs(key.nodes) do
      tests[#tests + 1] = ('band(rshift(%d, band(%s[i].tag, 15)), 1) == 1'):format(KEY_KINDS, self:const(node.col))
    end
    return table.concat(tests, ' and ')
  end

  --- The key a step has of its own (`on`, `by`), nil if it goes by that of key_by. put_value(): text that gives its value in
  --- Lua's form, local c, where it does not lie in columns.
  function Gen:own_key(step, view)
    local on, n = step.rec.on, view.level
    if not on then return nil end
    local names = on.fn and { on.name } or on.fields
    local key = { names = names, nodes = node_list(view, names), composite = on.composite or false, view = view, made = on.fn ~= nil }
    if view.entry then key.cols = columns_of(self, on, key.nodes, view) end
    local missing = ("'%s', by which %s tells events apart"):format(table.concat(names, "', '"), step.label)
    function key.put_value()
      if on.fn then
        self:put('local c = %s', self:call(on.fn, view))
        self:sync(view)
        self:put('c = key_value%d(c, %s)', n, self:const(on.name))
      elseif on.composite then
        self:put('local c = %s()', self:const(view.key_list(key.nodes)))
      else
        self:put('local c = key_of%d(%s)', n, self:const(key.nodes[1]))
      end
      self:put('if c == nil then no_own(%s) end', self:const(missing))
    end
    return key
  end

  --- Text that finds the record of a state for the event at hand: local r. own: the step's own key (own_key). ptr: the state, as
  --- text, where it is not always the same one; ahead: that of the one the next events will need, perhaps. section: text of the
  --- number of its section, which is below 0 where it is the whole state.
  function Gen:find_record(state, view, own, ptr, ahead, section)
    local name = 'v' .. view.level .. '.key'
    ptr = ptr or self:const(state.ptr)
    local of = ('(%s, %s%s, %s)'):format(ptr, '%s', own and 'c' or self.key and name or 'nil',
      self:const(own and own.names or self.key and self.key.names or {}))
    local by_value = 'p = record_of' .. of:format ''
    if section then
      by_value = ('if %s < 0 then %s else p = section_record_of%s end'):format(section, by_value, of:format(section .. ', '))
    end
    local cols = own and own.cols or not own and self.key and self.key.cols
    self:put 'local p'
    if not own and self.key and self.key.turn then
      self:put('p = C.tm_ffi_turns_write(%s, %s)', self:const(self.key.turn), ptr)
      self:put('if p == nil then failed(%s, %s.code) end local r = cast(%s, p)', ptr, ptr, self:const(state.type))
      return
    end
    if cols then
      cols = self:const(cols)
      if ahead ~= false then self.ahead[#self.ahead + 1] = { ptr = ahead or ptr, cols = cols, member = self.member } end
      self:put('if %s then', own and self:row_key_test(own) or name .. ' == ROW_KEY')
      if section then self:put('if %s < 0 then', section) end
      self:put('p = C.tm_ffi_state_write_row(%s, batch, %s, st0.home, serial[0])', ptr, cols)
      if section then self:put('else p = C.tm_ffi_section_write_row(%s, %s, batch, %s, st0.home) end', ptr, section, cols) end
      self:put 'else'
    else
      self:put 'do'
    end
    if own then own.put_value() end
    if not own and self.key and self.key.bytes then
      by_value = ('if %s == BYTES_KEY then p = C.tm_ffi_state_write(%s, key_buf) else %s end'):format(name, ptr, by_value)
    end
    self:put('%s end', by_value)
    self:put('if p == nil then failed(%s, %s.code) end local r = cast(%s, p)', ptr, ptr, self:const(state.type))
  end

  --- The state of a step. own: its own key (own_key); nil: that of key_by. words: of state.open, beside kind and key.
  function Gen:open_state(step, numbers, refs, own, words)
    for _, other in ipairs(self.states) do
      if other.name == self.pipeline.name .. '/' .. step.rec.name then
        lib.raise('script', step.place .. ": the name '" .. step.rec.name .. "' is taken by " .. other.step.place ..
          '; state is found by its name')
      end
    end
    local name = self.pipeline.name .. '/' .. step.rec.name
    local key = own or self.key
    words = words or {}
    words.kind, words.key = step.kind, key and key.names or {}
    words.migrate = words.migrate or step.rec.options.migrate
    local state = require('tidemill.state').open(name, numbers, refs, step.rec.options, words)
    state.owner, state.step, state.names, state.composite = self.pipeline, step, key and key.names or {}, key and key.composite or false
    state.clock = self.clock and self.clock.ptr
    state.key_nodes, state.key_made = key and key.nodes or {}, key and key.made or false
    self.states[#self.states + 1] = state
    return state
  end

  --- Keys of a state that go when they were not used for `ttl` ms; their turn to. Returns what begins and ends with that (expiry.lua).
  function Gen:expiring(state, ttl)
    local clock, expiry = self.clock, require 'tidemill.expiry'
    local E = expiry.new(state, { ttl = ttl }, clock.ptr)
    local turn = self:fires_in_turn(E)
    self.fires[turn].text = ('local function fire%d() if flow.firing == 0 then %s.pass(upto) end ended = true return true end'):format(turn,
      self:const(E))
    clock.timed[#clock.timed + 1] = { at = turn, W = self:const(E) }
    return E
  end

  --- Text: record r is used at the time of the event at hand; local new: it is a new one.
  function Gen:put_used(view, E)
    local t = ('st%d.time'):format(view.level)
    self:put('if new then r.written = %s %s(r) elseif %s > r.written then r.written = %s end', t, self:const(E.begin), t, t)
  end

  --- Text behind find_record of a step whose option is ttl.
  function Gen:put_ttl(step, view, state)
    if not step.rec.ttl then return end
    self:put('do local new = %s.code == 1', self:const(state.ptr))
    self:put_used(view, self:expiring(state, step.rec.ttl))
    self:put('end')
  end

  --- Has the pipeline one output, dead letters apart?
  local function is_only_out(group)
    local n = #group.members - 1
    for _, out in ipairs(group.members[1].outs) do
      if not out.dead then n = n + 1 end
    end
    return n == 1
  end

  --- Text that counts the event as a row of an output that keeps nothing.
  function Gen:count_row(to, view)
    local out, tally = self:out(to), self:any_tally()
    if self.forks or not view.entry or not is_only_out(self.group) then
      return self:put('emit_nothing%d(%s, %s)', view.level, out, tally)
    end
    -- the event's one row; stored in the order of emit_nothing
    self:put('%s.event_rows = 1 %s.rows_mark = %s.rows %s.event = i %s.rows = %s.rows_mark + 1', out, out, out, out, out, out)
    self:put('%s.before = %s.events %s.event = i %s.events = %s.before + 1', tally, tally, tally, tally, tally)
  end

  --- Text that makes the event the row of a record: the key's fields, then one field an aggregate.
  local function put_row(g, view, list, compiled, ptr, key_text)
    local n, values = view.level, {}
    for i = 1, #list do values[i] = 'x' .. i end
    g:put('local %s = %s(r, %s)', table.concat(values, ', '), g:const(compiled.results), ptr)
    g:put('replaced%d()', n)
    key_text()
    for i, a in ipairs(list) do
      view.field(a.name)
      g:put('%s(x%d)', g:late(function() return view.root.writers[a.name] end), i)
    end
  end

  --- A row of results just before a sink, as C writes it (host/aggregate/result.c); nil: this row is not one of these.
  ---@param bounds boolean with those of a window
  local function result_plan(g, view, list, state, bounds)
    local members, key = {}, g.key
    for i, name in ipairs(key and key.names or {}) do
      members[i] = { name = name, kind = C.TM_RESULT_KEY, i - 1, cells = key.cols and key.nodes[i].col }
    end
    if bounds then
      members[#members + 1] = { name = 'window_start', kind = C.TM_RESULT_BOUND, 0 }
      members[#members + 1] = { name = 'window_end', kind = C.TM_RESULT_BOUND, 1 }
    end
    for _, a in ipairs(list) do
      if not a.row then return nil end
      local member = { name = a.name, kind = a.row.kind, scale = a.row.scale }
      for i, cell in ipairs(a.row) do member[i] = ffi.offsetof(state.record, cell) end
      members[#members + 1] = member
    end
    table.sort(members, function(x, y) return x.name < y.name end)
    local plan = C.tm_ffi_result_new()
    for _, m in ipairs(members) do
      -- a declared type says how its field is written
      if view.field(m.name).rule or C.tm_ffi_result_add(plan, m.name, #m.name, m.kind, ffi.new('int32_t[4]', m), m.scale or 1,
        m.cells or nil) ~= 0 then return nil end
    end
    return plan
  end

  --- Text that makes record r of a state a row and sends it on: in one call where a sink is all that comes behind and C can write
  --- it, else `general` does. row: text of the row whose columns hold the key; window: of a window's bounds, or nil; unless: of when
  --- the row is another one.
  function Gen:put_result(step, view, list, state, ptr, row, window, general, unless)
    local sink = self.only_sink(step)
    local plan = sink and result_plan(self, view, list, state, window ~= nil)
    if not plan then return general() end
    self:at(sink)
    self:put('if %sC.tm_ffi_result_put(%s, flow, batch, st0.home, %s, %s, r, %s, %s) ~= 0 then mk.step = %d',
      unless and unless .. ' or ' or '', self:out(sink.out), self:const(plan), ptr, row, window or '0, 0', step.mark)
    general()
    self:put('end')
    self:watch_room(view)
  end

  function Gen.field_nodes(_, view, names) return node_list(view, names) end

  --- The function that writes this field of a view, as the loop names it.
  function Gen:writer(view, name)
    return self:late(function()
      view.field(name)
      return view.root.writers[name]
    end)
  end

  --- The name of a function (i) that takes the event at hand through what comes behind a step; what it returns is `full`.
  function Gen:behind(step, view)
    local outer, first = self.lines, self.first_step
    self.lines, self.first_step = {}, nil
    self:follow(step, view)
    local name = 'behind' .. #self.functions + 1
    self.functions[#self.functions + 1] = ('local function %s(i) local full %s return full end'):format(name, table.concat(self.lines, ' '))
    self.lines, self.first_step = outer, first
    return name
  end

  --- A part of a key in Lua's form, as text.
  local function key_part(key, level, i)
    return key.composite and ('(v%d.key and v%d.key[%q])'):format(level, level, key.names[i]) or ('v%d.key'):format(level)
  end

  local function key_fields(g, view)
    local key = g.key
    if not key then return end
    local n = view.level
    local nodes = node_list(view, key.names)
    if key.cols then
      g:put('if v%d.key == ROW_KEY then', n)
      for i, node in ipairs(nodes) do
        local from = key.nodes[i]
        g:put('put%d(%s, %s)', n, g:const(node), g:const(from.raw))
      end
      g:put('else')
    end
    for i, node in ipairs(nodes) do
      g:put('do local k = %s if k ~= nil then put_key%d(%s, k) end end', key_part(key, n, i), n, g:const(node))
    end
    if key.cols then g:put('end') end
  end

  Gen.put_row, Gen.key_fields, Gen.key_part = put_row, key_fields, key_part

  --- The row that a record of running gives at the end of input, and what comes behind.
  local function fire_row(g, step, view, state, compiled)
    local n, ptr = view.level, g:const(state.ptr)
    g:put('do v%d.key = key_of(%s, r, %s, %s)', n, ptr, g:const(state.names), tostring(state.composite))
    put_row(g, view, step.rec.aggregates, compiled, ptr, function() key_fields(g, view) end)
    if g.timed then g:put('st%d.time = r.at', n) end
    g:put('if flow.firing == 2 then %s(true) end end', g:writer(view, 'partial'))
    g:follow(step, view)
  end

  --- Events have numbers in order of arrival, by which those of equal times stand in a record: it goes on where it was.
  function Gen.keep_arrivals(state, compiled)
    local arrivals = compiled.arrivals
    if not arrivals then return end
    state.arrivals = arrivals
    keep.add(state.name .. '/arrivals', 'a count of events', function() return arrivals() end, function(n) arrivals(n) end)
  end

  --- The view learns which fields the functions of aggregates name.
  function Gen:called_by(compiled, view)
    for _, fn in ipairs(compiled.functions) do self.called[#self.called + 1] = { view = view, fn = fn } end
    for _, fn in ipairs(compiled.adders) do self.called[#self.called + 1] = { view = view, fn = fn, param = 1 } end
  end

  function emit.running(g, step, view)
    local rec = step.rec
    for _, name in ipairs(g.key and g.key.names or {}) do
      for _, a in ipairs(rec.aggregates) do
        if a.name == name then
          lib.raise('script', step.place .. ": running: '" .. name ..
            "' is the name of a key field and of an aggregate; give the aggregate another one")
        end
      end
    end
    local compiled = aggregate.compile(rec.aggregates, function(field)
      local node = view.root.kids[field]
      return node and node.rule or nil
    end, { timed = g.timed or false, merges = false })
    g:called_by(compiled, view)
    local final = rec.options.emit == 'final'
    if final and g.timed then compiled.numbers[#compiled.numbers + 1] = 'at' end
    if rec.ttl then compiled.numbers[#compiled.numbers + 1] = 'written' end
    local of, declared = compiled.of, compiled.declared
    of.at, of.written = { '', nil, 'at' }, { '', nil, 'written' }
    local state = g:open_state(step, compiled.numbers, compiled.refs, nil, { reshape = true, migrate = rec.options.migrate, of = of,
      declared = declared, ttl = rec.ttl })
    g.keep_arrivals(state, compiled)
    state.results, state.shown, state.view = compiled.results, rec.aggregates, view
    local ptr = g:const(state.ptr)
    g:at(step)
    g:put('do')
    g:find_record(state, view)
    g:put_ttl(step, view, state)
    g:put('%s', g:call(compiled.update, view, ('r, %s%s'):format(ptr, g.timed and (', st%d.time'):format(view.level) or '')))
    g:sync(view)
    if final then
      g:put_taken()
      g:put(g.timed and 'r.at = st%d.time end' or 'end', view.level)
      return g:fire(step, view, state, function() fire_row(g, step, view, state, compiled) end)
    end
    local row = g.key and g.key.cols and ('v%d.key == ROW_KEY and st0.home or %d'):format(view.level, lib.EMPTY_ROW) or lib.EMPTY_ROW
    g:put_result(step, view, rec.aggregates, state, ptr, row, nil, function()
      if g.key and g.key.bytes then
        g:put('if v0.key == BYTES_KEY then v0.key = key_of(%s, r, %s, true) end', ptr, g:const(state.names))
      end
      put_row(g, view, rec.aggregates, compiled, ptr, function() key_fields(g, view) end)
      g:follow(step, view)
    end)
    g:put('end')
  end

  --- The turn of a state at the end of input: what stands behind it comes later, so it is asked for first.
  function Gen:fires_in_turn(state)
    for n, f in ipairs(self.fires) do if f.state == state then return n end end
    self.fires[#self.fires + 1] = { state = state, members = self.members }
    return #self.fires
  end

  --- The function that takes the next record of a step (r) through what `body` writes, at the end of input: true when the
  --- pseudo rows are used up, an output is full, or the cursor gave no record.
  function Gen:fire(step, view, state, body)
    local outer, first, n = self.lines, self.first_step, self:fires_in_turn(state)
    self.fires[n].walks = true
    self.lines, self.first_step = {}, nil
    self:put('local function fire%d() local p = C.tm_ffi_cursor_next(cursor) if p == nil then return true end', n)
    self:put('local i, full = st0.home + 1, nil mk.row = i st0.home = i st0.row = i flow.fired = flow.fired + 1')
    if self.timed then self:put 'st0.time = none' end
    self:put_no_row(view, 'i')
    self:at(step)
    self:put('do local r = cast(%s, p)', self:const(state.type))
    local key = self.key
    if key then self.key = { names = key.names, composite = key.composite, nodes = key.nodes } end
    body()
    self.key = key
    self:put('end')
    self:put_clean()
    self:put('if ch.used ~= 0 then commit(ch) end')
    self:put('return full or flow.stop ~= 0 or i >= st0.last end')
    self.fires[n].text = table.concat(self.lines, ' ')
    self.lines, self.first_step = outer, first
  end

  -- The end of input ------------------------------------------------------------------------------

  --- Where several inputs come to a step, it gives its rows in the loop of the one that ended last, after all that is in front of it.
  local NEXT_OF_GROUP = [=[
local function can_fire(n, m)
  local list, last = fires[n][3], nil
  for i = 1, #list do
    local since = over[list[i]]
    if not since then return false end
    if not last or since > over[last] then last = list[i] end
  end
  if last ~= m then return false end
  for k = 1, n - 1 do
    for i = 1, fires[k][4] and 0 or #fires[k][3] do
      for j = 1, #list do if fires[k][3][i] == list[j] then return false end end
    end
  end
  return true
end
local function next_fire(m)
  for n = 1, #fires do if not fires[n][4] and can_fire(n, m) then return n end end
end
]=]

  --- What is kept of the end of input (keep.lua), and whether something is done in part.
  local KEPT_TEXT = [=[
function K.resting() return PENDINGnot cursor and not K.unfinished end
function K.save_ends()
  local done, order = {}, {}
  for n = 1, #fires do done[n] = fires[n][4] end
  for m, n in pairs(over) do order[m.name] = n end
  return { done, order, overs, at }
end
function K.load_ends(data, members)
  for n = 1, #fires do fires[n][4] = data[1][n] or false end
  for n = 1, #members do over[members[n]] = data[2][members[n].name] end
  overs, at = data[3], data[4]
end
]=]

  --- The fire functions, and the loops over pseudo rows that call them: one a step, which names no upvalue, as that over events.
  function Gen:fire_text()
    if #self.fires == 0 and #self.clocks == 0 and #self.group.members == 1 then return '' end
    if self.fired then return self.fired end
    local parts, list = {}, {}
    local alone = #self.group.members == 1
    for n, f in ipairs(self.fires) do
      parts[n] = f.text
      list[n] = ('{ function() local fire = fire%d repeat until fire() end, %s, %s, false }'):format(n,
        f.walks and self:const(f.state) or 'false', alone and 'false' or self:const(f.members))
    end
    self.fired = 'local cursor, ended\n' .. self:after_text() .. table.concat(parts, '\n') .. '\nlocal fires, at, over, overs = { ' ..
      table.concat(list, ', ') .. ' }, 1, ' .. self:const(self.over) .. ', 0\n' .. (alone and '' or NEXT_OF_GROUP) .. [[
local function fire(first, last, m)
  st0.home, st0.last = first - 1, last
]] .. self:clocks_at_end() .. (alone and '' or '  if not over[m] then overs = overs + 1 over[m] = overs end\n  at = next_fire(m)\n') .. [[
  while fires[at] and st0.home < last and flow.stop == 0 do
    local state = fires[at][2]
    if state then
      cursor = cursor or C.tm_ffi_cursor_new(state.ptr)
      if cursor == nil then mk.row = st0.home + 1 no_memory() end
    end
    ended = false
    fires[at][1]()
    if state and cursor.done ~= 0 then
      C.tm_ffi_cursor_free(cursor)
      cursor, ended = nil, true
    end
    if ended then fires[at][4] = true ]] .. (alone and 'at = at + 1' or 'at = next_fire(m)') .. [[ end
  end
  K.unfinished = fires[at] ~= nil
  return K.unfinished and st0.home + 1 or last + 1
end
]] .. self:advance_text() .. KEPT_TEXT:gsub('PENDING', self.windowed and 'not pending and not held and not held_to and ' or '')
    return self.fired
  end

  function Gen:fire_call(member)
    local m = #self.group.members == 1 and '' or ', ' .. self:const(member)
    if #self.fires > 0 or m ~= '' then
      return ('if flow.firing ~= 0 then return fire(first, last%s) end '):format(m) .. self:ahead_text(member)
    end
    return (self.stateful and 'if flow.firing ~= 0 then return last + 1 end ' or '') .. self:ahead_text(member)
  end

  --- What is done before a batch's first event: times are read off columns, and what its keys will need is fetched; a small state
  --- is in the caches anyway.
  function Gen:ahead_text(member)
    local text = { self:enter_text(member), #self.columns > 0 and self:columns_text(member) or nil }
    for _, c in ipairs(self.checks) do
      if c.member == member then text[#text + 1] = c.text end
    end
    for _, a in ipairs(self.ahead) do
      if a.member == member then
        text[#text + 1] = ('if PTR ~= nil and PTR.keys > 8000 then C.tm_ffi_state_ahead(PTR, batch, %s, first, last, serial[0]) end ')
          :format(a.cols):gsub('PTR', a.ptr)
      end
    end
    text = table.concat(text)
    -- the member's batch may be another one since the last that began
    local ahead = #self.group.members == 1 and 'ahead' or 'of_member.ahead'
    return text == '' and '' or ('if %s ~= serial[0] then %s = serial[0] '):format(ahead, ahead) .. text .. 'end '
  end
end
