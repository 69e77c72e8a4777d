--[[
codegen_features.lua - the text that computes features: one record a group, found by the columns of its key where it lies there, and
one call of C. `features` adds the results to the event; a pack has the same text in its loop (Gen:put_features).
]]

local lib = require 'tidemill.lib'
local C, ffi = lib.C, lib.ffi

local LARGE = 4   -- groups with which one event's way through the loop is longer than a trace may be without being asked for

return function(emit, Gen)
  --- The declared types of a view's fields.
  local function typ_of(view)
    return function(field)
      local node = view.root.kids[field]
      return node and node.rule or nil
    end
  end

  --- Does a number or text of this column read as C has it? Of a field that is declared decimal only where a schema has looked at the
  --- event before.
  local function reads_plainly(node, is_checked)
    local typ = node.rule
    return node.col and not node.typed and (not typ or not typ.special or is_checked and typ.places)
  end

  --- What C takes of a row, for each value that the set reads; nil where one of them is no plain column. is_checked: the declared types
  --- of all fields have been looked at.
  local function takes_of(g, view, set, is_checked)
    local takes = ffi.new('struct tm_feature_take[?]', math.max(#set.asked.slots, 1))
    for i, slot in ipairs(set.asked.slots) do
      local node, to = view.field(slot.field), takes[i - 1]
      if not reads_plainly(node, is_checked) or slot.most and slot.scale ~= 1 then return nil end
      C.tm_ffi_fields_want_number(view.source.fields, node.id)
      to.cells, to.most, to.any = node.col, slot.most or 0, slot.takes ~= 'number' and 1 or 0
      to.scale = slot.scale
      -- what a number does not hold exactly raises when it is read
      if node.rule and node.rule.exact then to.most = (1 - 2 ^ -53) * node.rule.exact end
    end
    g.anchors[#g.anchors + 1] = takes
    return { list = takes, is_checked = is_checked }
  end

  --- The conditions of features that C can tell for a whole batch (host/event/filter.c). fill(): does so for the batch at hand; flags[i]:
  --- by row, those of group i that hold; unsure: by row, whether Lua has to be asked; nodes: what they read; rest(e, row): the event's
  --- flags where some of its conditions only Lua can tell, else nil.
  local function conditions_of(g, view, set, is_checked)
    local counted = {}
    for _, slot in ipairs(set.asked.slots) do counted[slot.field] = slot.takes == 'number' or counted[slot.field] end
    -- of a decimal field that is counted too, C leaves to Lua what is too large (take)
    local function node_of(name)
      local node = view.field(name)
      local plain = reads_plainly(node, is_checked) and (not (node.rule and node.rule.special) or counted[name])
      return plain and node or nil
    end
    local filters, others, unsure, nodes = {}, {}, ffi.new('uint8_t[?]', C.TM_BATCH_ROWS), {}
    for i, fn in ipairs(set.asked.conditions) do
      local filter, read = require 'tidemill.filter'.condition(fn, node_of, view.source.fields)
      if filter then filters[#filters + 1] = { filter = filter, number = i } else others[#others + 1] = i end
      for _, node in ipairs(read or {}) do nodes[#nodes + 1] = node end
    end
    local flags, calls = {}, {}
    for k, group in ipairs(set.groups) do
      flags[k] = ffi.new('uint32_t[?]', C.TM_BATCH_ROWS)
      for _, f in ipairs(filters) do
        local bit = set.flag_of(group, f.number)
        if bit then calls[#calls + 1] = { f.filter, flags[k], bit } end
      end
    end
    g.anchors[#g.anchors + 1] = { flags, unsure }
    local function fill(batch)
      local n = batch.rows
      ffi.fill(unsure, n)
      for k = 1, #flags do ffi.fill(flags[k], 4 * n) end
      for k = 1, #calls do
        local c = calls[k]
        C.tm_ffi_filter_flags(c[1], batch, n, c[3], c[2], unsure)
      end
    end
    jit.off(fill)
    return { fill = fill, flags = flags, unsure = unsure, nodes = nodes, rest = others[1] and set:flags_function(others, flags) or nil }
  end

  --- Columns of the keys of all groups; nil where one of them does not lie in any.
  local function keys_of(g, view, set, step)
    local keys = {}
    for i, group in ipairs(set.groups) do
      local on = { fields = group.names, composite = #group.names > 1 }
      keys[i] = g:own_key({ rec = { on = on }, label = step.kind, place = step.place }, view).cols
      if not keys[i] then return nil end
    end
    return keys
  end

  --- The test that what the set reads is that of the event as it came.
  local function unwritten_text(g, view, set, nodes)
    local st, tests, seen = 'st' .. view.level, {}, {}
    local function add(name)
      local node = view.field(name)
      if not seen[name] then tests[#tests + 1] = ('%s[%d] ~= %s.gen'):format(g:const(node.V.gens), node.slot, st) end
      seen[name] = true
    end
    for _, slot in ipairs(set.asked.slots) do add(slot.field) end
    for _, group in ipairs(set.groups) do
      for _, name in ipairs(group.names) do add(name) end
    end
    for _, node in ipairs(nodes) do add(node.name) end
    return ('%s.row == i and (%s.writes == 0 or %s)'):format(st, st, table.concat(tests, ' and '))
  end

  --- Text that gives the groups the event as it lies in its columns, where C can read it: else `general`.
  local function put_rows(g, view, set, keys, takes, row, general)
    local n, args = view.level, ('%s, st%d.time, %s.w'):format(row, view.level, g.clock.name)
    local conditions = conditions_of(g, view, set, takes.is_checked)
    local at = g:const { serial = -1 }
    g:put('if %s.serial ~= serial[0] then %s.serial = serial[0] %s(batch) end', at, at, g:const(conditions.fill))
    g:put('if %s and %s[st0.home] == 0 and C.tm_ffi_features_take(%s, %s, %d, batch, st0.home) == 1 then',
      unwritten_text(g, view, set, conditions.nodes), g:const(conditions.unsure), g:const(set.values), g:const(takes.list),
      #set.asked.slots)
    if conditions.rest then
      g:put('%s', g:call(conditions.rest, view, 'st0.home'))
      g:sync(view)
    else
      for i, group in ipairs(set.groups) do g:put('%s.flags = %s[st0.home]', g:const(group.p), g:const(conditions.flags[i])) end
    end
    for i, group in ipairs(set.groups) do
      local ptr, cols = g:const(group.state.ptr), g:const(keys[i])
      g.ahead[#g.ahead + 1] = { ptr = ptr, cols = cols, member = g.member }
      g:put('do local rc = C.tm_ffi_features_row(%s, %s, batch, %s, st0.home, serial[0], st%d.time, %s.w, %s)', g:const(group.p), ptr,
        cols, n, g.clock.name, row)
      g:put('if rc == 1 then %s elseif rc ~= 0 then %s(rc) end end', g:call(group.step, view, args), g:const(group.failed))
      if group.has_texts then g:put('%s(%s)', g:const(group.copy_texts), row) end
    end
    g:put('else')
    general()
    g:put('end')
  end

  --- Text that computes the features of a set for the event at hand, into row `row` (a text) of its columns. The step that has them
  --- is one that asks for the watermark; the functions of the set are called with the event.
  function Gen:put_features(set, view, step, row)
    local args = ('%s, st%d.time, %s.w'):format(row, view.level, self.clock.name)
    local function general()
      self:put('%s', self:call(set.ask, view))
      self:sync(view)
      self:put('%s', self:call(set.read, view))
      for _, group in ipairs(set.groups) do self:put('%s', self:call(group.step, view, args)) end
      self:sync(view)
    end
    if #set.groups >= LARGE then jit.opt.start('maxsnap=4000', 'maxrecord=24000') end
    local keys = view.entry and not self.checked and keys_of(self, view, set, step)
    local takes = keys and takes_of(self, view, set, step.kind == 'pack')
    if takes then put_rows(self, view, set, keys, takes, row, general) else general() end
    for _, group in ipairs(set.groups) do
      if group.keys then self:put('%s', self:call(set.keeper(group), view, args)) end
    end
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

  --- Text that writes results into the event, all in one call of C; nil: where writes are logged, or fields have a declared type.
  local function put_places(g, view, set, group)
    local places, slots, n = ffi.new('struct tm_feature_place[?]', #set.columns), {}, view.level
    if view.log_undo then return nil end
    for i, column in ipairs(set.columns) do
      local node = view.field(column.name)
      if node.rule then return nil end
      places[i - 1].slot, places[i - 1].show, places[i - 1].boolean = node.slot, column.show.index, column.type == 'bool' and 1 or 0
      slots[i] = ('s[%d]'):format(node.slot)
    end
    g.anchors[#g.anchors + 1] = places
    g:put('C.tm_ffi_features_write(%s, st%d, v%d.overlay, %s, %d, 0)', g:const(group.p), n, n, g:const(places), #set.columns)
    g:put('local s = v%d.vals', n)
    for i = 1, #slots do g:put('%s = SPAN', slots[i]) end
    return true
  end

  --- Adds the features of one group to the event.
  function emit.features(g, step, view)
    local rec = step.rec
    for _, other in ipairs(g.states) do
      if other.name == g.pipeline.name .. '/' .. rec.name then
        lib.raise('script', ("%s: the name '%s' is taken by %s; state is found by its name"):format(step.place, rec.name, other.step.place))
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
    local fast = put_places(g, view, set, group)
    for i, column in ipairs(fast and {} or set.columns) do
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
