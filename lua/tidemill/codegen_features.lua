--[[
codegen_features.lua - the text that computes features: one record a group, found by the columns of its key where it lies there, and
one call of C. `features` adds the results to the event; a pack has the same text in its loop (Gen:put_features).
]]

local lib = require 'tidemill.lib'

return function(emit, Gen)
  --- The declared types of a view's fields.
  local function typ_of(view)
    return function(field)
      local node = view.root.kids[field]
      return node and node.rule or nil
    end
  end

  --- Text that gives a group the event at hand. row: text of the row of its columns.
  local function put_group(g, view, set, group, step, row)
    local own = g:own_key({ rec = { on = { fields = group.names, composite = #group.names > 1 } }, label = step.kind, place = step.place }, view)
    local n, ptr, names = view.level, g:const(group.state.ptr), g:const(group.names)
    g:put('do local p')
    if own.cols then
      local cols = g:const(own.cols)
      g.ahead[#g.ahead + 1] = { ptr = ptr, cols = cols, member = g.member }
      g:put('if %s then p = C.tm_ffi_state_write_row(%s, batch, %s, st0.home, serial[0])', g:row_key_test(own), ptr, cols)
      g:put('if p == nil then failed(%s, %s.code) end else', ptr, ptr)
    else
      g:put 'do'
    end
    if own.composite then
      g:put('local c = %s()', g:const(view.key_list(own.nodes)))
    else
      g:put('local c = key_of%d(%s)', n, g:const(own.nodes[1]))
    end
    g:put('if c ~= nil then p = record_of(%s, c, %s) if p == nil then failed(%s, %s.code) end end end', ptr, names, ptr, ptr)
    g:put('if p == nil then %s(%s) else %s(p, %s, st%d.time, %s.w) end', g:const(group.none), row, g:const(group.apply), row, n, g.clock.name)
    if group.keys then g:put('%s', g:call(set.keeper(group), view, ('%s, st%d.time, %s.w'):format(row, n, g.clock.name))) end
    g:put 'end'
  end

  --- Text that computes the features of a set for the event at hand. The step that has them needs event time; the functions of the set are
  --- called with the event.
  function Gen:put_features(set, view, step, row)
    self:put('%s', self:call(set.take, view))
    self:sync(view)
    for _, group in ipairs(set.groups) do put_group(self, view, set, group, step, row) end
  end

  --- Opens the states of a step's groups, and makes the functions over its events.
  function Gen:open_features(step, view, groups, state_name)
    local set = require('tidemill.features_set').compile(groups, typ_of(view), { state_name = state_name })
    self:called_by(set, view)
    for _, group in ipairs(set.groups) do
      local state = group.state
      state.owner, state.step, state.names, state.composite = self.pipeline, step, group.names, #group.names > 1
      state.key_nodes, state.key_made, state.view = self:field_nodes(view, group.names), false, view
      self.states[#self.states + 1] = state
    end
    return set
  end

  --- Adds the features of one group to the event.
  function emit.features(g, step, view)
    local rec = step.rec
    for _, other in ipairs(g.states) do
      if other.name == g.pipeline.name .. '/' .. rec.name then
        lib.raise('script', step.place .. ": the name '" .. rec.name .. "' is taken by " .. other.step.place .. '; state is found by its name')
      end
    end
    local set = g:open_features(step, view, { rec.group }, function() return g.pipeline.name .. '/' .. rec.name end)
    local null = lib.NULL
    local group, names = set.groups[1], {}
    for i, column in ipairs(set.columns) do names[i] = { name = column.name } end
    group.state.shown = names
    function group.state.results(r) return set.look(group, r) end
    g:at(step)
    g:put('do')
    g:put_features(set, view, step, '0')
    for i, column in ipairs(set.columns) do
      local number, known, text = set.number[i], set.known[i], set.text[i]
      local function value()
        if known[0] ~= 1 then return null end
        if text then return text[0] end
        return number[0]
      end
      if column.type == 'bool' then
        function value()
          if known[0] ~= 1 then return null end
          return number[0] == 1
        end
      end
      g:put('%s(%s())', g:writer(view, column.name), g:const(value))
    end
    g:put('end')
    g:follow(step, view)
  end
end
