--[[
codegen_tables.lua - the text of tables: a row written into one, what changed of it, and a row looked up.

A row that is found stays where it lies: its bytes become the written value of a slot (lib.ROW), which a sink takes from there.
They hold until the event is done, as nothing in a state moves before.

  T     the table (tables.lua); S its state (struct tm_state *); p a record, only to be read; c the key in Lua's form
  op    what became of the key: 'c' created, 'u' updated, 'd' deleted; nil: nothing
]]

local lib = require 'tidemill.lib'
local tables = require 'tidemill.tables'
local C = lib.C

local UNITS = { s = C.TM_TIME_S, ms = C.TM_TIME_MS, us = C.TM_TIME_US, ns = C.TM_TIME_NS, iso8601 = C.TM_TIME_ISO8601 }

return function(emit, _, node_list)
  --- The event's key for a table's state, as text that finds a record to read: locals p (nil: there is none) and c. An event
  --- without the key finds nothing. in_row: text of the test that the key lies in columns.
  local function put_find(g, view, key, ptr)
    local n, in_row = view.level, key.cols and g:row_key_test(key) or 'false'
    local cols = key.cols and g:const(key.cols) or 'nil'
    g:put('local p, c')
    if key.cols then
      g.ahead[#g.ahead + 1] = { ptr = ptr, cols = cols, member = g.member }
      g:put('if %s then p = C.tm_ffi_state_find_row(%s, batch, %s, st0.home, serial[0])', in_row, ptr, cols)
      g:put('if p == nil and %s.code < 0 and %s.code ~= %d then failed(%s, %s.code) end else', ptr, ptr, C.TM_STATE_NO_KEY, ptr, ptr)
    else
      g:put('do')
    end
    if key.composite then
      g:put('c = %s()', g:const(view.key_list(key.nodes)))
    else
      g:put('c = key_of%d(%s)', n, g:const(key.nodes[1]))
    end
    g:put('if c ~= nil then local rc = set_key(c, %s) if rc ~= 0 then key_failed(rc) end p = C.tm_ffi_state_find(%s, key_buf) end end',
      g:const(key.names), ptr)
    return in_row, cols
  end

  function emit.changes(g, step, view) g:follow(step, view) end

  -- Writing ------------------------------------------------------------------------------------

  --- Text that makes the event the row of a change, where there is one (op).
  local function put_change(g, step, view, T, nodes)
    local n, before, after = view.level, g:const(T.before), g:const(T.after)
    g:put('if op then')
    for i, node in ipairs(nodes) do g:put('local x%d = current%d(%s)', i, n, g:const(node)) end
    g:put('replaced%d()', n)
    for i, node in ipairs(nodes) do g:put('if x%d ~= nil then renamed%d(%s, x%d) end', i, n, g:const(node), i) end
    g:put('%s(op)', g:writer(view, 'op'))
    g:put("if op ~= 'c' then put_bytes%d(%s, %s.text, %s.len) end", n, g:const(view.field 'before'), before, before)
    g:put("if op ~= 'd' then put_bytes%d(%s, %s.text, %s.len) end", n, g:const(view.field 'after'), after, after)
    if step.rec.time and g.timed then g:put('st%d.time = t', n) end
    g:follow(step, view)
    g:put('end')
  end

  --- Text that gives a value (struct tm_value) the text of a record's row.
  local function put_row_text(g, value, ptr)
    g:put('%s.text, %s.len = %s.base + 8 * r.row.at, r.row.n', g:const(value), g:const(value), ptr)
  end

  --- A table without time: the row, or nothing.
  local function put_latest(g, step, view, T, own, ptr)
    local rec, n, shown = step.rec, view.level, #step.next > 0
    local type = g:const(T.state.type)
    if rec.delete then
      g:put('if gone then')
      put_find(g, view, own, ptr)
      g:put('if p ~= nil then')
      if shown then
        g:put('local r = cast(%s, p)', type)
        put_row_text(g, T.before, ptr)
        g:put("op = 'd'")
      end
      g:put('local rc = C.tm_ffi_state_remove(%s, cast("void *", p)) if rc < 0 then failed(%s, rc) end end else', ptr, ptr)
    end
    g:find_record(T.state, view, own)
    g:put('local new = %s.code == 1 if new then C.tm_ffi_key_learn(%s, r, %s)', ptr, ptr, g:const(T.kinds))
    if shown then
      g:put('else')
      put_row_text(g, T.before, ptr)
    end
    g:put('end local text, len = own_text%d() local rc = C.tm_ffi_text_change(%s, r, 0, text, len) if rc < 0 then failed(%s, rc) end', n,
      ptr, ptr)
    if shown then
      g:put("if new then op = 'c' elseif rc == 1 then op = 'u' end")
      put_row_text(g, T.after, ptr)
    end
    if rec.delete then g:put('end') end
  end

  --- A table whose rows hold from a time on.
  local function put_version(g, step, view, T, own, ptr)
    local rec, n, shown = step.rec, view.level, #step.next > 0
    g:find_record(T.state, view, own)
    g:put('if %s.code == 1 then C.tm_ffi_key_learn(%s, r, %s) end', ptr, ptr, g:const(T.kinds))
    if shown then g:put('local had = C.tm_ffi_versions_get(%s, r, 0, t, %s) == 1', ptr, g:const(T.before)) end
    g:put('local text, len = own_text%d()', n)
    if rec.delete then g:put('if gone then len = 0 end') end
    g:put('local rc = C.tm_ffi_versions_put(%s, r, 0, t, text, len) if rc < 0 then failed(%s, rc) end', ptr, ptr)
    if rec.versioned then
      g:put('rc = %s(r) if rc < 0 then failed(%s, rc) end %s(t)', g:const(T.arm), ptr, g:const(T.sweep))
    end
    if shown then
      g:put("if C.tm_ffi_versions_get(%s, r, 0, t, %s) == 1 then op = had and 'u' or 'c' elseif had then op = 'd' end", ptr,
        g:const(T.after))
    end
  end

  function emit.table(g, step, view)
    local rec, n = step.rec, view.level
    local T = tables.of(step.table)
    local own = g:own_key(step, view)
    local state, ptr = T.state, g:const(T.ptr)
    state.owner, state.step, state.view, state.key_nodes = g.pipeline, step, view, own.nodes
    g.states[#g.states + 1] = state
    g:at(step)
    g:put('do local op')
    if rec.timed then
      g:put('local t = st%d.time', n)
    elseif rec.time then
      local node = view.field(rec.time.field)
      if node.col then C.tm_ffi_fields_want_number(view.source.fields, node.id) end
      g:put("local t = time_of%d(%s, %d, '%s')", n, g:const(node), UNITS[rec.time.unit], rec.time.unit)
    end
    if rec.delete then
      g:put('local gone = %s', g:call(rec.delete, view))
      g:sync(view)
    end
    if rec.time then put_version(g, step, view, T, own, ptr) else put_latest(g, step, view, T, own, ptr) end
    g:count_row(step.out, view)
    if #step.next > 0 then put_change(g, step, view, T, node_list(view, own.names)) end
    g:put('end')
  end

  -- Looking up ---------------------------------------------------------------------------------

  function emit.lookup(g, step, view)
    local rec, of, n = step.rec, step.rec.table_rec, view.level
    local T = tables.of(step.table)
    local ptr, node = g:const(T.ptr), view.field(rec.as)
    local key = g:own_key(step, view)
    local place = ('st%d, v%d.overlay, %d'):format(n, n, node.slot)
    g:at(step)
    g:put('do')
    local in_row, cols = put_find(g, view, key, ptr)
    if view.log_undo then g:put('v%d.log_undo(%d)', n, node.slot) end
    g:put('if p ~= nil')
    if of.versioned then
      step.table.clocks[#step.table.clocks + 1] = g.clock.ptr
      g:put('and st%d.time >= %s.w - %.0f', n, g.clock.name, of.versioned)
    end
    if of.time then
      g:put('and C.tm_ffi_versions_slot(%s, p, 0, st%d.time, %s) == 1 then', ptr, n, place)
    else
      g:put('and C.tm_ffi_text_slot(%s, p, 0, %s) == 1 then', ptr, place)
    end
    g:put('v%d.vals[%d] = %s', n, node.slot, g:const(lib.ROW))
    if rec.missing == 'drop' then g:follow(step, view) end
    g:put('else local m = 0')
    -- which key it was is looked at only here
    g:put('if %s then if C.tm_ffi_key_row(key_buf, batch, %s, st0.home) == 0 then m = C.tm_ffi_key_foreign(key_buf, %s) end', in_row, cols,
      g:const(T.kinds))
    g:put('elseif c ~= nil then m = C.tm_ffi_key_foreign(key_buf, %s) end', g:const(T.kinds))
    g:put('if m ~= 0 then %s(m) m = 1 end C.tm_ffi_missed(%s, st0.home, m)', g:const(tables.teller(step)), g:any_tally())
    if rec.missing == 'keep' then g:put('if current%d(%s) ~= nil then remove%d(%s) end', n, g:const(node), n, g:const(node)) end
    g:put('end end')
    if rec.missing == 'keep' then g:follow(step, view) end
  end
end
