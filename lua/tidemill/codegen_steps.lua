--[[
codegen_steps.lua - the text of steps that are data and call little: select, drop, rename, set, schema, key_by.
]]

local filter = require 'tidemill.filter'
local lib = require 'tidemill.lib'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

local CHECKED_ONE_BY_ONE = 8   -- fields of a schema that are looked at in Lua
local STRAIGHT_MAX = 60   -- fields of a select written out one by one; a loop would end the trace of the batch

return function(emit, node_list, is_output)
  --- Do only sinks that count rows come behind? Then their fields need no work.
  local function only_counted(step)
    for _, child in ipairs(step.next) do
      if child.kind ~= 'to' or is_output(child) or #child.next > 0 then return false end
    end
    return #step.next > 0
  end

  --- These fields as C writes them; nil: one has no column, or a name that is not UTF-8.
  local function select_plan(nodes)
    local plan = C.tm_ffi_select_new()
    for _, node in ipairs(nodes) do
      if not node.col or C.tm_ffi_select_add(plan, node.col, node.slot, node.name, node.len) ~= 0 then return nil end
    end
    return plan
  end

  function emit.select(g, step, view)
    if only_counted(step) then return g:follow(step, view) end
    local nodes = node_list(view, step.rec.fields)
    local n = #nodes
    local plan = #step.next > 0 and select_plan(nodes)
    for _, child in ipairs(step.next) do
      if not is_output(child) or #child.next > 0 then plan = nil end
    end
    local list = g:const(nodes)
    if not plan then
      if n > STRAIGHT_MAX then
        g:put('select%d(%s, %d)', view.level, list, n)
      else
        g:put('do')
        for i = 1, n do g:put('local c%d = kept%d(%s)', i, view.level, g:const(nodes[i])) end
        g:put('fresh_ordered%d()', view.level)
        for i = 1, n do g:put('if c%d ~= nil then put%d(%s, c%d) end', i, view.level, g:const(nodes[i]), i) end
        g:put('end')
      end
      return g:follow(step, view)
    end
    for _, child in ipairs(step.next) do
      g:at(child)
      g:put_time(child.out, view)
      g:put('emit_select%d(%s, %s, %s, %d)', view.level, g:out(child.out), g:const(plan), list, n)
      g:watch_room(view)
    end
  end

  function emit.drop(g, step, view)
    if only_counted(step) then return g:follow(step, view) end
    local nodes = node_list(view, step.rec.fields)
    for _, node in ipairs(nodes) do g:put('remove%d(%s)', view.level, g:const(node)) end
    g:follow(step, view)
  end

  function emit.rename(g, step, view)
    if only_counted(step) then return g:follow(step, view) end
    local from, to = node_list(view, step.rec.from), node_list(view, step.rec.to)
    g:put('do')
    for i = 1, #from do g:put('local c%d = current%d(%s)', i, view.level, g:const(from[i])) end
    for i = 1, #from do g:put('if c%d ~= nil then remove%d(%s) end', i, view.level, g:const(from[i])) end
    for i = 1, #from do g:put('if c%d ~= nil then renamed%d(%s, c%d) end', i, view.level, g:const(to[i]), i) end
    g:put('end')
    g:follow(step, view)
  end

  function emit.set(g, step, view)
    local nodes = node_list(view, step.rec.fields)
    g:at(step)
    g:put('do')
    for i = 1, #nodes do
      local fn = step.rec.fns[i]
      g:put('local c%d = %s', i, type(fn) == 'function' and g:call(fn, view) or g:const(fn))
      if type(fn) == 'function' then g:put("if type(c%d) == 'table' then c%d = snapshot(c%d) end", i, i, i) end
    end
    g:sync(view)
    for i, node in ipairs(nodes) do
      g:put('%s(c%d)', g:late(function() return view.root.writers[node.name] end), i)
    end
    g:put('end')
    g:follow(step, view)
  end

  --- Text of an array that says of each row of a batch whether its fields have what their types allow: found before its first event. A look
  --- at each of many fields in Lua would be more than a trace can hold. nil: there is none.
  local function kinds_ahead(g, view, nodes)
    if not view.entry or view.packed or not (g.stateful or g.timed or g.sampled) then return nil end
    local n = #nodes
    local cells, kinds = ffi.new('const struct tm_cell *[?]', n), ffi.new('int32_t[?]', n)
    for i, node in ipairs(nodes) do
      local sure = filter.sure_kinds(node)
      if not sure then return nil end
      cells[i - 1], kinds[i - 1] = node.col, sure
    end
    local fine = ffi.new('uint8_t[?]', C.TM_BATCH_ROWS + 1)
    g.anchors[#g.anchors + 1] = { cells, kinds, fine }
    local at = g:const(ffi.cast('uint8_t *', fine))
    g.checks[#g.checks + 1] = { member = g.member, text = ('C.tm_ffi_kinds_rows(%s, %s, %d, batch.rows, %s) '):format(
      g:const(ffi.cast('const struct tm_cell *const *', cells)), g:const(ffi.cast('const int32_t *', kinds)), n, at) }
    return at
  end

  function emit.schema(g, step, view)
    local nodes, n = {}, 0
    for _, field in ipairs(step.rec.types) do
      local node = view.field(field.name)
      if node.rule and node.rule.name ~= field.typ.name then
        raise('script', step.place .. ": field '" .. field.name .. "' is declared " .. node.rule.name .. ' elsewhere in this pipeline')
      end
      view.declare(node, field.typ)
      n = n + 1
      nodes[n] = node
    end
    g:at(step)
    local fine = n > CHECKED_ONE_BY_ONE and kinds_ahead(g, view, nodes)
    if fine then g:put('if st%d.writes ~= 0 or st%d.row ~= i or %s[i] == 0 then', view.level, view.level, fine) end
    for i = 1, n do g:put('verify%d(%s)', view.level, g:const(nodes[i])) end
    if fine then g:put('end') end
    g:follow(step, view)
  end

  function emit.key_by(g, step, view)
    local rec = step.rec
    local level = view.level
    local nodes = rec.fn and { view.field(rec.name) } or node_list(view, rec.fields)
    local leave, key = g:with_key(rec, view, nodes)
    g:at(step)
    if rec.fn then
      g:put('do local c = %s', g:call(rec.fn, view))
      g:sync(view)
      g:put('v%d.key = key_value%d(c, %s)', level, level, g:const(rec.name))
    elseif #rec.fields == 0 then
      g:put('do v%d.key = nil', level)
      g:follow(step, view)
      g:put('end')
      return leave()
    else
      g:put('do')
      if key.cols then g:put('if %s then v%d.key, v%d.key_def = ROW_KEY, %s else', g:row_key_test(key), level, level, g:const(key)) end
      if not rec.composite then
        g:put('v%d.key = key_of%d(%s)', level, level, g:const(nodes[1]))
      else
        g:put('v%d.key = %s', level, g:key_of_fields(step, key, view))
      end
      if key.cols then g:put('end') end
    end
    if rec.missing == 'fail' then
      g:put('if v%d.key == nil then no_key%d(%s) end', level, level, g:const(rec.name or table.concat(rec.fields, ', ')))
      g:follow(step, view)
    elseif rec.missing == 'drop' then
      g:put('if v%d.key ~= nil then', level)
      g:follow(step, view)
      g:put('end')
    else
      g:follow(step, view)
    end
    g:put('end')
    leave()
  end
end
