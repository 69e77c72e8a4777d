--[[
codegen_applied.lua - the text of :apply: its function called with the events of a window, and what it emitted taken on.

The rows that it emits are held as those of flat_map. Each gets the fields of the key and the bounds where it has none of that
name, and what `emit` adds to rows (op, revision, partial).

  held.key, held.from, held.to   of the window at hand       held.op, held.revision, held.partial   what is added; false: nothing
]]

local MARKS = { 'op', 'revision', 'partial' }

return function(_, Gen, node_list)
  --- The function, and what belongs to it, of a step: compiled before its aggregates are, which make the rows.
  function Gen:prepare_applied(step, view)
    local rec = step.rec
    local inner, hold, add = self:new_held(view)
    local rows = require('tidemill.rows').new(view, self.checked)
    rec.aggregates[1].rows = rows
    self.boxes[#self.boxes + 1] = { abandon = rows.retire }
    self.applied[rec] = { inner = inner, hold = hold, add = self:const(add), retire = self:const(rows.retire), fn = self:const(rec.apply) }
  end

  --- Fields of an emitted row that it does not have.
  local function put_own(g, rec, a)
    local inner, hold, key = a.inner, a.hold, g.key
    local n = inner.level
    for i, node in ipairs(key and node_list(inner, key.names) or {}) do
      local at = g:const(node)
      g:put('do local k = %s.key', hold)
      if key.composite then g:put('k = k and k[%q]', key.names[i]) end
      g:put("if k ~= nil then if current%d(%s) == nil then put_key%d(%s, k) elseif type(k) == 'table' then own_key%d(%s, k) end end end",
        n, at, n, at, n, at)
    end
    if rec.window.window.bounded then
      for i, name in ipairs { 'window_start', 'window_end' } do
        g:put('if current%d(%s) == nil then %s(%s.%s) end', n, g:const(inner.field(name)), g:writer(inner, name), hold,
          i == 1 and 'from' or 'to')
      end
    end
    for _, name in ipairs(MARKS) do g:put('if %s.%s then %s(%s.%s) end', hold, name, g:writer(inner, name), hold, name) end
  end

  --- What stands behind the step, for each row: the name of the function, which put_applied calls.
  function Gen:behind_applied(step, view)
    local a = self.applied[step.rec]
    self:held_rows(step, view, a.inner, a.hold, function() put_own(self, step.rec, a) end)
    return 'rows' .. a.inner.level
  end

  --- Text that calls the function with the events of record r of state S in window w, and takes on what it emits.
  function Gen:put_applied(view, rec, compiled, marks)
    local a, n = self.applied[rec], view.level
    local bounded = rec.window.window.bounded
    self:put('do local rows = %s(r, S)', self:const(compiled.results))
    if bounded then
      self:put('st%d.time = w.to - 1 %s.from, %s.to = w.from, w.to', n, a.hold, a.hold)
    elseif self.timed then
      self:put('st%d.time = r.at', n)
    end
    for _, name in ipairs(MARKS) do
      local text = 'false'
      for _, m in ipairs(marks) do if m[1] == name then text = m[3] and ('%s and %s or false'):format(m[3], m[2]) or m[2] end end
      self:put('%s.%s = %s', a.hold, name, text)
    end
    self:put('%s.n = 0 %s.bytes = 0 %s.key = %s', a.hold, a.hold, a.hold, self.key and ('v%d.key_letter()'):format(n) or 'nil')
    self:put('%s.open = true', a.hold)
    self:put('%s(%s, %s, rows, %s)', a.fn, self.key and ('v%d.key_now()'):format(n) or 'nil',
      bounded and '{ window_start = w.from, window_end = w.to }' or '{}', a.add)
    self:put('%s.open = false %s()', a.hold, a.retire)
    self:put_held(view, a.inner, a.hold)
    self:put('end')
  end
end
