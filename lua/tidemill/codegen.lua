--[[
codegen.lua - one fresh chunk per pipeline: a resumable loop over the batch, next = loop(first, last), with the
steps written out as straight code that calls the user's functions directly. No operator list is interpreted per
event and no closure is made; chunk and view are loaded anew for each pipeline, so that traces of one never decide
how another is compiled.

Pipelines that joins tie together (plan.lua, group) are one chunk of several loops, one a member, which begin with `enter_member`: it
puts the member's batch, outs and tally in place. Each has a view of the events as they come (view.entry); the slot at hand is
st0.home in all of them. self.member is whose text is written, self.members whose events come there.

Names in the generated text: eN the view of level N (a flat_map opens level N + 1), stN its state, fK a user
function, oK an output, mk the attempt marker (row, step and held row, for the deadline and for messages).
]]

local lib = require 'tidemill.lib'
local bytecode = require 'tidemill.bytecode'
local catalog = require 'tidemill.catalog'
local filter = require 'tidemill.filter'
local keep = require 'tidemill.keep'
local value = require 'tidemill.value'
local C = lib.C

local M = {}

local UNROLLED = 3       -- rows of a flat_map run without a loop, which would make a trace of its own
-- values of the loop held in upvalues of their own: the most that leaves its functions with the 60 that LuaJIT allows
local LOCALS = { 30, 20, 10, 0 }

--- The list sorted, each name once.
local function unique(names)
  table.sort(names)
  local list = {}
  for _, name in ipairs(names) do
    if name ~= list[#list] then list[#list + 1] = name end
  end
  return list
end

local Gen = {}
Gen.__index = Gen

function Gen:put(text, ...)
  self.lines[#self.lines + 1] = select('#', ...) > 0 and text:format(...) or text
end

--- Registers a Lua value the loop needs; returns the expression for it, which load_text replaces by kN or K[N].
function Gen:const(v)
  local n = #self.consts + 1
  self.consts[n] = v
  return '\1' .. n .. '\1'
end

--- The same for what each of the members at hand has one of: of[member]. `enter` puts that of the one at work in place.
function Gen:swapped(of)
  if #self.members == 1 then return self:const(of[self.members[1]]) end
  for n, list in pairs(self.swaps) do
    local same = true
    for _, m in ipairs(self.group.members) do same = same and list[m] == of[m] end
    if same then return '\2' .. n .. '\2' end
  end
  local n = #self.consts + 1
  self.consts[n], self.swaps[n] = false, of
  return '\2' .. n .. '\2'
end

--- Where a planned out leads of the member at work.
function Gen:out(out)
  if not out.of then return self:const(out.ptr) end
  local of = {}
  for m, twin in pairs(out.of) do of[m] = twin.ptr end
  return self:swapped(of)
end

--- What an expression of `const` stands for.
function Gen:value_of(name) return self.consts[tonumber(name:match '%d+')] end

--- The text as a chunk, with as many upvalues as it can have; and the text.
local function load_text(pipeline, head, text, consts)
  local chunk, why, whole
  for _, most in ipairs(LOCALS) do
    local locals = {}
    for i = 1, math.min(#consts, most) do locals[i] = ('local k%d = K[%d]'):format(i, i) end
    whole = head .. '\n' .. table.concat(locals, '\n') .. '\n' .. (text:gsub('\1(%d+)\1', function(n)
      return tonumber(n) <= most and 'k' .. n or 'K[' .. n .. ']'
    end):gsub('\2(%d+)\2', 'K[%1]'))
    chunk, why = loadstring(whole, '=(pipeline ' .. pipeline.name .. ')')
    if chunk or not why:find('upvalues', 1, true) then break end
  end
  if not chunk then Gen.not_compiled(pipeline, why, whole) end
  return chunk, whole
end

--- The same for a value that is known only when all steps are there.
function Gen:late(get)
  local n = #self.consts + 1
  self.lates[n] = get
  return self:const(get)
end

--- A view of its own: accessors, overlay and node tree. source: of its events: batch, fields, strings, words; once: true where a row
--- of the batch is another event each time.
function Gen:new_view(source)
  local level = #self.views
  local view_spec = {
    batch = source.batch, fields = source.fields, log = self.forks, strings = source.strings, words = source.words, once = source.once,
  }
  local view
  local parts = { 'tidemill.view', 'tidemill.view_steps', 'tidemill.view_out', 'tidemill.view_seal' }
  if self.checked then parts[#parts + 1] = 'tidemill.view_checked' end
  for _, part in ipairs(parts) do
    view = lib.load(part)(lib, view_spec, view) or view
  end
  self.views[level + 1] = view
  view.level, view.source = level, source
  return view
end

function Gen:call(fn, view, extra)
  local called = self.called
  called[#called + 1] = { view = view, fn = fn }
  local f = self:const(fn)
  if self.checked then
    return ('call%d(%s%s)'):format(view.level, f, extra and (', ' .. extra) or '')
  end
  return ('%s(e%d%s)'):format(f, view.level, extra and (', ' .. extra) or '')
end

function Gen:sync(view)
  self:put('if st%d.dirty ~= 0 then sync%d() end', view.level, view.level)
end

--- The marker names this step from here on; the first one is marked with the row.
function Gen:at(step)
  if step.mark ~= self.first_step then self:put('mk.step = %d', step.mark) end
  self.first_step = nil
end

--- Behind what writes to a buffer: full, it ends the loop after the event.
function Gen:watch_room(view)
  if view.entry then self:put('if flow.stop ~= 0 then full = true end') end
end

local function node_list(view, names)
  local nodes = {}
  for i, name in ipairs(names) do nodes[i] = view.field(name) end
  return nodes
end

local function is_output(step)
  return step.kind == 'to' and step.out.sink.kind ~= 'discard'
end

--- The one sink that is all that comes behind a step, if it is so.
function Gen.only_sink(step)
  local child = step.next[1]
  return #step.next == 1 and is_output(child) and child.out.sink.kind ~= 'log' and #child.next == 0 and child or nil
end

--- Before a row goes to a sink that keeps its time: says which.
function Gen:put_time(out, view)
  if self.timed and out.sink.kind == 'log' then self:put('%s.time = st%d.time', self:out(out), view.level) end
end

local emit = {}

function emit.filter(g, step, view)
  g:at(step)
  g:put('do local c = %s', g:call(step.rec.fn, view))
  g:sync(view)
  g:put('if c then')
  g:follow(step, view)
  g:put('end end')
end

function emit.map(g, step, view)
  g:at(step)
  g:put('do local c = %s', g:call(step.rec.fn, view))
  g:sync(view)
  g:put('if c ~= e%d then c = take%d(c) end', view.level, view.level)
  g:put('if c then')
  g:follow(step, view)
  g:put('end end')
end

--- A place for the rows that a user function emits, and the emit function for it.
function Gen:new_held(view)
  local inner = self:new_view(view.source)   -- the event itself may be among the rows
  inner.inherit(view)
  local held = lib.load 'tidemill.view_rows' (lib, view, inner)
  self.held[#self.held + 1] = held
  return inner, self:const(held), held.add
end

--- Takes the rows emitted so far through the steps behind; own() writes what is done with a row first.
function Gen:take_held(step, view, inner, hold, own)
  self:put_held(view, inner, hold)
  self:held_rows(step, view, inner, hold, own)
end

--- Text that calls the function of held_rows for each row that is held.
function Gen:put_held(view, inner, hold)
  self:put('local n = %s.n', hold)
  for j = 1, UNROLLED do self:put('if n >= %d then rows%d(%d)', j, inner.level, j) end
  self:put('for j = %d, n do rows%d(j) end ', UNROLLED + 1, inner.level)
  self:put(('end '):rep(UNROLLED))
  self:watch_room(view)
end

--- The function that takes one row through the steps behind.
function Gen:held_rows(step, view, inner, hold, own)
  local outer = self.lines
  self.lines = {}
  self:put('local function rows%d(j)', inner.level)
  self:put('mk.sub = mk.sub + 1 st%d.home = st0.home begin%d() st%d.row = %d', inner.level, inner.level, inner.level, lib.EMPTY_ROW)
  self:put('do local row, shape = %s[j], %s.shapes[j] %s[j] = false', hold, hold, hold)
  self:put('if shape then shape.put(row) else replace%d(row) end end', inner.level)
  if self.timed then self:put('st%d.time = st%d.time', inner.level, view.level) end
  if self.keyed then self:put('v%d.key, v%d.key_def = v%d.key, v%d.key_def', inner.level, inner.level, view.level, view.level) end
  if own then own() end
  self:follow(step, inner)
  self:put('end')
  self.functions[#self.functions + 1] = table.concat(self.lines, ' ')
  self.lines = outer
end

function emit.flat_map(g, step, view)
  local inner, hold, add = g:new_held(view)
  g:at(step)
  g:put('do %s.n = 0 %s.bytes = 0 %s.open = true', hold, hold, hold)
  g:put('%s', g:call(step.rec.fn, view, g:const(add)))
  g:put('%s.open = false', hold)
  g:sync(view)
  g:take_held(step, view, inner, hold)
  g:put('end')
end

function emit.on_error(g, step, view)
  g:follow(step, view)
end

function emit.to(g, step, view)
  if step.out.sink.kind == 'discard' then
    g:count_row(step.out, view)
  else
    g:at(step)
    g:put_time(step.out, view)
    g:put('emit%d(%s)', view.level, g:out(step.out))
    g:watch_room(view)
  end
  g:follow(step, view)
end

local function save(g, view)
  g:put('local r, g, w, b, l = st%d.row, st%d.gen, st%d.writes, st%d.base, st%d.log',
    view.level, view.level, view.level, view.level, view.level)
  if g.keyed then g:put('local key = v%d.key', view.level) end
  if g.timed then g:put('local time = st%d.time', view.level) end
end

--- when: text of a condition for what the view undoes.
local function restore(g, view, when)
  g:put(when and when .. 'restore%d(r, g, w, b, l) end' or 'restore%d(r, g, w, b, l)', view.level)
  if g.keyed then g:put('v%d.key = key', view.level) end
  if g.timed then g:put('st%d.time = time', view.level) end
end
Gen.save, Gen.restore = save, restore

function emit.branch(g, step, view)
  g:put('do')
  save(g, view)
  g:put('local any = false')
  local rest
  for _, arm in ipairs(step.arms) do
    if arm.fn == true then
      rest = arm
    else
      g:at(step)
      g:put('do local c = %s', g:call(arm.fn, view))
      g:sync(view)
      restore(g, view)
      g:put('if c then any = true')
      g:follow(arm, view)
      restore(g, view)
      g:put('end end')
    end
  end
  if rest then
    g:put('if not any then')
    g:follow(rest, view)
    g:put('end')
  end
  g:put('end')
end

function emit.route(g, step, view)
  g:put('do')
  save(g, view)
  local depth = 0
  for _, arm in ipairs(step.arms) do
    if arm.fn == true then
      g:follow(arm, view)
    else
      g:at(step)
      g:put('local c = %s', g:call(arm.fn, view))
      g:sync(view)
      restore(g, view)
      g:put('if c then')
      g:follow(arm, view)
      g:put('else')
      depth = depth + 1
    end
  end
  g:put(('end '):rep(depth))
  g:put('end')
end

--- The steps behind one step; several of them see the event as it was here.
function Gen:follow(step, view)
  local list = step.next
  if #list <= 1 then
    local child = list[1]
    if child then
      child.level = view.level
      emit[child.kind](self, child, view)
    end
    return
  end
  self:put('do')
  save(self, view)
  for i, child in ipairs(list) do
    child.level = view.level
    emit[child.kind](self, child, view)
    if i < #list and not (child.kind == 'to' and #child.next == 0) then restore(self, view) end
  end
  self:put('end')
end

--- Tells each view which fields its functions name.
function Gen:seal()
  for _, view in ipairs(self.views) do
    local reads, writes = {}, {}
    for _, call in ipairs(self.called) do
      if call.view == view then
        local r, w = bytecode.fields_of(call.fn, call.param)
        for name in pairs(r) do reads[#reads + 1], r[name] = name, nil end
        for name in pairs(w) do writes[#writes + 1], w[name] = name, nil end
      end
    end
    view.seal(unique(reads), unique(writes))
  end
end

require 'tidemill.codegen_loop'(Gen)
require 'tidemill.codegen_steps'(emit, node_list, is_output)
require 'tidemill.codegen_state'(emit, Gen, node_list)
require 'tidemill.codegen_process'(emit, Gen, node_list)
require 'tidemill.codegen_operators'(emit, Gen)
require 'tidemill.codegen_dedup'(emit, Gen)
require 'tidemill.codegen_windows'(emit, Gen)
require 'tidemill.codegen_applied'(emit, Gen, node_list)
require 'tidemill.codegen_tables'(emit, Gen, node_list)
require 'tidemill.codegen_joins'(emit, Gen)
require 'tidemill.codegen_window_joins'(emit, Gen)
require 'tidemill.codegen_slide'(emit, Gen)
require 'tidemill.codegen_features'(emit, Gen)
require 'tidemill.codegen_patterns'(emit, Gen)
require 'tidemill.codegen_pack'(emit, Gen)

local function has_forks(step)
  if #step.next > 1 or step.arms then return true end
  for _, child in ipairs(step.next) do
    if has_forks(child) then return true end
  end
  return false
end

--- Has the group a step of such a kind?
local function uses(group, is)
  for _, step in ipairs(group.steps) do if is(step.kind, step) then return true end end
  return false
end

--- Has the group a step that sends a row of its own beside the event at hand?
local function sends_more(group)
  return uses(group, function(kind, step)
    if kind == 'suppress' or Gen.sends_last(step) or step.rec.right or step.rec.join then return true end
    local e = kind == 'aggregate' and step.rec.emit
    local window = e and step.rec.window
    return e and (e.mode == 'updates' or e.count or window.lateness > 0 or window.window.kind == 'count')
  end)
end

--- Does such a step find records?
local function keeps_state(kind)
  local entry = catalog.find('operator', kind == 'join_right' and 'join' or kind)
  return kind == 'table' or kind == 'lookup' or entry and entry.state
end

--- Is such a step asked for the watermark?
function Gen.asks_clock(step)
  return Gen.has_due(step) or step.kind == 'over' or step.kind == 'features' or step.kind == 'pack' or
    step.kind == 'lookup' and step.table.rec.versioned ~= nil
end

--- Is it a dedup that waits for the last of several events?
function Gen.sends_last(step) return step.kind == 'dedup' and step.rec.keep == 'last' and step.rec.within ~= nil end

--- Is it a window whose rows come when its lateness is over?
function Gen.sends_closed(step)
  return step.kind == 'aggregate' and step.rec.emit.mode == 'closed' and step.rec.window.lateness > 0
end

local HAS_DUE = { aggregate = true, process = true, join = true, window_join = true, join_right = true, match = true }

--- May something of such a step be due?
function Gen.has_due(step)
  return HAS_DUE[step.kind] or step.rec and (step.rec.ttl or step.kind == 'dedup' and step.rec.within) and true or false
end
local NAMES_KEY = { key_by = true, join = true, window_join = true, join_right = true }
local LEADING = { event_time = true, on_error = true, late_to = true }

--- The filter that all events meet first, if there is one: nothing but where their time is from and what types fields have
--- stands before it. Also returns the names of those fields.
local function leading_filter(pipeline)
  local at, declared = pipeline.tree, {}
  while #at.next == 1 do
    at = at.next[1]
    if at.kind == 'filter' then return at.rec.fn, declared end
    if at.kind == 'schema' then
      for _, field in ipairs(at.rec.types) do declared[#declared + 1] = field.name end
    -- an event of another type than declared in front of its time does not move the clock
    elseif #declared > 0 and at.kind == 'event_time' or not LEADING[at.kind] then
      break
    end
    at.lead = true
  end
  return nil
end

--- Compiles a planned group: sets of each member loop, views, text and abandon, and what it has of clocks and states.
function M.compile(group, checked)
  local members = group.members
  local alone = #members == 1 and members[1]
  local g = setmetatable({
    group = group, lines = {}, functions = {}, called = {}, consts = {}, lates = {}, views = {}, held = {}, checked = checked,
    forks = sends_more(group), entries = {}, bodies = {}, swaps = {}, pipeline = members[1], members = { members[1] },
    keyed = uses(group, function(kind) return NAMES_KEY[kind] end),
    timed = uses(group, function(kind) return kind == 'event_time' end),
    stateful = uses(group, keeps_state), sampled = uses(group, function(kind) return kind == 'sample' end),
    windowed = uses(group, function(_, step) return Gen.asks_clock(step) end),
    states = {}, fires = {}, ahead = {}, columns = {}, checks = {}, boxes = {}, anchors = {}, clocks = {}, applied = {}, joins = {},
      forward = {},
    over = {},
  }, Gen)
  for _, m in ipairs(members) do g.forks = g.forks or has_forks(m.tree) end
  local filtered_by, declared
  if not checked and alone and Gen.has_own_clocks(alone) then filtered_by, declared = leading_filter(alone) end
  for i, m in ipairs(members) do
    local view = g:new_view(m.source)
    view.entry, g.entries[m], m.event, m.loops = m, view, 'event' .. (alone and '' or i), 'loop' .. i
  end
  g.may_drop = filtered_by ~= nil
  for _, m in ipairs(members) do g:put_member(m) end
  g:seal()
  -- types that steps further behind declare are known now
  for i, name in ipairs(declared or {}) do declared[i] = g.views[1].field(name) end
  local dropper = filtered_by and filter.compile(filtered_by, g.views[1], alone.source.fields, declared) or nil
  if not dropper then g:clocks_without_rows() end
  for n, get in pairs(g.lates) do g.consts[n] = get() end
  local bodies = {}
  for i, m in ipairs(members) do
    bodies[i] = table.concat(g.bodies[m], ' ')
    g.bodies[m] = bodies[i]
  end
  local body = table.concat(bodies, '\n')
  local head = { 'local K, views, mk, flow, snapshot, pick, dropper, batch, rows, env = ...' }
  local rows = table.concat(g.functions, '\n')
  local more = g.stateful or g.timed or g.sampled
  if more then head[2] = Gen.environment_text() end
  local fires = g:fire_text()
  local function want(name) return body:find(name, 1, true) or rows:find(name, 1, true) or fires:find(name, 1, true) end
  for level = 0, #g.views - 1 do
    if not g.views[level + 1].scoped then head[#head + 1] = g.view_text(level, want) end
  end
  if #g.forward > 0 then head[#head + 1] = 'local ' .. table.concat(g.forward, ', ') end
  local text = ((g.takes or not alone) and 'local tally = ' .. g:const(g.tally_of(members[1])) .. '\n' or '') .. rows .. '\n' .. fires
  if alone then
    text = text .. (g.pack and g:pack_loop(alone) or g:loop_of_one(alone, dropper))
  else
    local names = {}
    text = text .. g:enter_member_text()
    for i, m in ipairs(members) do
      text = text .. g:event_text(m, 'local i, full = st0.home + 1, nil') .. 'return full or i >= st0.last' .. g:tripped() .. ' end\n' ..
        g:loop_of_member(m)
      names[i] = m.loops
    end
    text = text .. 'return ' .. table.concat(names, ', ')
  end
  local chunk, whole = load_text(members[1], table.concat(head, '\n'), text, g.consts)
  local loops = { chunk(g.consts, g.views, lib.flow.marker, lib.flow, value.snapshot, C.tm_ffi_filter_rows, dropper,
    members[1].source.batch, lib.rows, more and Gen.environment() or nil) }
  local K = g.consts
  if K.resting then
    keep.add_test(K.resting)
    keep.add(members[1].name .. '/end', 'ends of inputs', K.save_ends, function(data)
      if #data[1] ~= #g.fires then
        return data[3] > 0 and "an input has ended, of which other steps gave their rows" or nil   -- else there is nothing to know
      end
      K.load_ends(data, members)
    end)
  end
  local unit = g.windowed and g:unit_at_work() or nil
  local function abandon()
    for _, v in ipairs(g.views) do v.abandon() end
    for _, box in ipairs(g.boxes) do box.abandon() end
    for _, held in ipairs(g.held) do held.abandon() end
  end
  for i, m in ipairs(members) do
    m.loop, m.text, m.filtered, m.views, m.entry, m.unit, m.abandon = loops[i], whole, dropper ~= nil, g.views, g.entries[m], unit, abandon
    m.postpone = g.pack and g.pack.P.postpone
    m.fires, m.clocks, m.clocked, m.states = #g.fires > 0 or not alone, g:own_clocks(m), #g.clocks > 0, {}
    for _, state in ipairs(g.states) do
      if state.owner == m then m.states[#m.states + 1] = state end
    end
  end
end

return M
