--[[
codegen_state.lua - the text of steps that remember: running and process, and of the rows they give at the end of input.

A record is found once an event, by the columns that make the key where it is still that of the event as it came (ROW_KEY:
no Lua value is made of it), else by the key in Lua's form. The call that finds it announces the change.

  r        the record of the step at hand, typed; S the state (struct tm_state *)
  vN.key   the key: nil, a plain value, a table by field name, or ROW_KEY
  fireN    the function that takes one record of a step with emit = 'final' through the steps behind
]]

local lib = require 'tidemill.lib'
local aggregate = require 'tidemill.aggregate'
local C, ffi = lib.C, lib.ffi
local cast = ffi.cast

local ROW_KEY = lib.ROW_KEY
local KEY_KINDS = 0x1BC   -- a key at hand: booleans, numbers, integers beyond 2^53, strings

local NAMES = { 'C', 'cast', 'band', 'rshift', 'ROW_KEY', 'record_of', 'failed', 'serial', 'key_of', 'no_memory', 'ch', 'commit' }

return function(emit, Gen, node_list)
  --- What the text of steps with state calls, beside what every loop does.
  function Gen.environment_text()
    return 'local ' .. table.concat(NAMES, ', ') .. ' = unpack(env, 1, ' .. #NAMES .. ') local ahead = 0'
  end

  function Gen.environment()
    local state = require 'tidemill.state'
    return { C, cast, lib.bit.band, lib.bit.rshift, ROW_KEY, state.record_of, state.failed, state.serial, state.key_of,
      function() lib.raise('memory', 'no memory to walk a state (--memory)') end, state.changes, C.tm_ffi_changes_commit }
  end

  --- The columns of a key, for C; nil where a field has none, or a type that reads differently.
  local function columns_of(g, rec, nodes)
    if rec.fn or #nodes == 0 or #nodes > 16 then return nil end
    local cols = ffi.new 'struct tm_key_columns'
    for i, node in ipairs(nodes) do
      if not node.col or node.typ then return nil end
      C.tm_ffi_fields_want_number(g.pipeline.source.fields, node.id)
      cols.cells[i - 1] = node.col
    end
    cols.n, cols.missing = #nodes, 0
    g.anchors = g.anchors or {}
    g.anchors[#g.anchors + 1] = cols
    return cast('struct tm_key_columns *', cols)
  end

  --- Names the key of what comes behind; `body` writes it. In a pipeline that keeps state the key stays in its columns.
  function Gen:with_key(rec, view, nodes)
    local names = rec.fn and { rec.name } or rec.fields
    local key = { names = names, nodes = nodes, composite = rec.composite, view = view }
    if self.stateful and view.level == 0 then key.cols = columns_of(self, rec, nodes) end
    local outer = self.key
    self.key = #names > 0 and key or nil
    return function() self.key = outer end, key
  end

  --- The test that the key lies in its columns as it came.
  function Gen:row_key_test(key)
    local tests = { 'st0.writes == 0 and st0.row == i' }
    for _, node in ipairs(key.nodes) do
      tests[#tests + 1] = ('band(rshift(%d, band(%s[i].tag, 15)), 1) == 1'):format(KEY_KINDS, self:const(node.col))
    end
    return table.concat(tests, ' and ')
  end

  --- Text that finds the record of a state for the event at hand: local r.
  local function find(g, state, view)
    local ptr, name = g:const(state.ptr), 'v' .. view.level .. '.key'
    local by_value = ('record_of(%s, %s, %s)'):format(ptr, g.key and name or 'nil', g:const(g.key and g.key.names or {}))
    if g.key and g.key.cols then
      g.ahead[#g.ahead + 1] = { ptr = ptr, cols = g:const(g.key.cols) }
      g:put('local p if %s == ROW_KEY then p = C.tm_ffi_state_write_row(%s, batch, %s, st0.home, serial[0]) else p = %s end', name, ptr,
        g:const(g.key.cols), by_value)
    else
      g:put('local p = %s', by_value)
    end
    g:put('if p == nil then failed(%s, %s.code) end local r = cast(%s, p)', ptr, ptr, g:const(state.type))
  end

  local function open(g, step, numbers, refs)
    for _, other in ipairs(g.states) do
      if other.step.rec.name == step.rec.name then
        lib.raise('script', step.place .. ": the name '" .. step.rec.name .. "' is taken by " .. other.step.place ..
          '; state is found by its name')
      end
    end
    local state = require('tidemill.state').open(g.pipeline.name .. '/' .. step.rec.name, numbers, refs, step.rec.options)
    state.step, state.names, state.composite = step, g.key and g.key.names or {}, g.key and g.key.composite or false
    g.states[#g.states + 1] = state
    return state
  end

  local function text_refs(names)
    local refs = {}
    for i, name in ipairs(names) do refs[i] = { name = name, kind = 'text', of = 'string' } end
    return refs
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
      local v = key.composite and ('(v%d.key and v%d.key[%q])'):format(n, n, key.names[i]) or ('v%d.key'):format(n)
      g:put('do local k = %s if k ~= nil then put_value%d(%s, k) end end', v, n, g:const(node))
    end
    if key.cols then g:put('end') end
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
    end)
    for _, fn in ipairs(compiled.functions) do g.called[#g.called + 1] = { view = view, fn = fn } end
    local state = open(g, step, compiled.numbers, text_refs(compiled.texts))
    local ptr = g:const(state.ptr)
    g:at(step)
    g:put('do')
    find(g, state, view)
    g:put('%s', g:call(compiled.update, view, 'r, ' .. ptr))
    g:sync(view)
    if rec.options.emit == 'final' then
      g:put('end')
      return g:fire(step, state, compiled)
    end
    put_row(g, view, rec.aggregates, compiled, ptr, function() key_fields(g, view) end)
    g:put('end')
    g:follow(step, view)
  end

  --- The function that takes the records of a step through what comes behind it, at the end of input.
  function Gen:fire(step, state, compiled)
    local view, outer, first, n = self.views[1], self.lines, self.first_step, #self.fires + 1
    self.lines, self.first_step = {}, nil
    local ptr = self:const(state.ptr)
    self:put('local function fire%d(p, i) local full', n)
    self:at(step)
    self:put('do local r = cast(%s, p) v0.key = key_of(%s, p, %s, %s)', self:const(state.type), ptr, self:const(state.names),
      tostring(state.composite))
    local key = self.key
    if key then self.key = { names = key.names, composite = key.composite, nodes = key.nodes } end
    put_row(self, view, step.rec.aggregates, compiled, ptr, function() key_fields(self, view) end)
    self:put("if flow.firing == 2 then %s(true) end end", self:late(function()
      view.field 'partial'
      return view.root.writers.partial
    end))
    self:follow(step, view)
    self.key = key
    self:put('if st0.dirty ~= 0 then begin0() end if ch.used ~= 0 then commit(ch) end return full end')
    self.fires[n] = { text = table.concat(self.lines, ' '), state = state }
    self.lines, self.first_step = outer, first
  end

  --- The fire functions, and the loop over pseudo rows that calls them.
  function Gen:fire_text()
    if #self.fires == 0 then return '' end
    if self.fired then return self.fired end
    local parts, list = {}, {}
    for n, f in ipairs(self.fires) do
      parts[n] = f.text
      list[n] = ('{ fire%d, %s }'):format(n, self:const(f.state))
    end
    self.fired = table.concat(parts, '\n') .. '\nlocal fires, at, cursor = { ' .. table.concat(list, ', ') .. [[ }, 1, nil
local function next_record()
  while fires[at] do
    cursor = cursor or C.tm_ffi_cursor_new(fires[at][2].ptr)
    if cursor == nil then no_memory() end
    local p = C.tm_ffi_cursor_next(cursor)
    if p ~= nil then return p, fires[at][1] end
    if cursor.done ~= 0 then C.tm_ffi_cursor_free(cursor) cursor, at = nil, at + 1 end
  end
end
local function fire(first, last)
  for i = first, last do
    mk.row = i st0.home = i st0.row = i
    local p, f = next_record()
    if not p then return last + 1 end
    flow.fired = flow.fired + 1
    if f(p, i) then return i + 1 end
  end
  return last + 1
end
]]
    return self.fired
  end

  function Gen:fire_call()
    if #self.fires > 0 then return 'if flow.firing ~= 0 then return fire(first, last) end ' .. self:ahead_text() end
    return (self.stateful and 'if flow.firing ~= 0 then return last + 1 end ' or '') .. self:ahead_text()
  end

  --- Fetches what the batch's keys will need, before its first event; a small state is in the caches anyway.
  function Gen:ahead_text()
    local text = {}
    for i, a in ipairs(self.ahead) do
      text[i] = ('if %s.keys > 30000 then C.tm_ffi_state_ahead(%s, batch, %s, first, last, serial[0]) end '):format(a.ptr, a.ptr, a.cols)
    end
    return #text == 0 and '' or 'if ahead ~= serial[0] then ahead = serial[0] ' .. table.concat(text) .. 'end '
  end

  function emit.process(g, step, view)
    local rec = step.rec
    local parts = require 'tidemill.state_view'
    local numbers, refs = parts.cells(rec.fields)
    local state = open(g, step, numbers, refs)
    local ptr = g:const(state.ptr)
    local inner, hold, add = g:new_held(view)
    local box = parts.make(rec, state, add, function() return view.key_now() end, g.checked)
    g:at(step)
    g:put('do')
    find(g, state, view)
    g.boxes[#g.boxes + 1] = box
    local at = g:const(box.at)
    g:put('%s.r = r local new = %s.code == 1 %s.new = new if new then %s(r) end', at, ptr, at, g:const(box.init))
    g:put('%s.n = 0 %s.bytes = 0 %s.open = true', hold, hold, hold)
    if g.checked then
      g:put('local s, ctx = %s()', g:const(box.lend))
      g:put('%s %s()', g:call(rec.on_event, view, 's, ctx'), g:const(box.retire))
    else
      g:put('%s', g:call(rec.on_event, view, g:const(box.view) .. ', ' .. g:const(box.ctx)))
    end
    g:put('%s.open = false', hold)
    g:put('if %s.late ~= 0 then %s() end', at, g:const(box.settle))
    g:sync(view)
    g:take_held(step, view, inner, hold)
    g:put('end')
  end
end
