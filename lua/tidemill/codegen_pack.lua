--[[
codegen_pack.lua - the text of `pack`: events are taken in, rules judge them, what was decided goes on.

  many   where events reach the pack as they came, and nothing beside it asks for the watermark, the loop takes in up to a chunk of rows,
         judges them rule by rule, and decides row by row (K: P). flow.taken tells the host that rows before the one at work are not done.
  one    everywhere else the same three things are done with each event at its turn

Taking an event in is a unit, and stands: its features count it. The decision and what comes of it is another one, as rows of a window
are: what fails there is told with the event, and takes back its rows and what suppression and steps behind changed, not the features.

  P      { n: rows taken in, pos: the next to be decided, judged, judging, taking: what is under way,
         done: the last row that was taken in, retry: the one behind it failed, and is taken in again }
  home   rows of the batch, by row of the chunk; times, marks: their event times, and the watermarks before them
]]

local decisions = require 'tidemill.decisions'
local ids = require 'tidemill.decision_ids'
local keep = require 'tidemill.keep'
local lib = require 'tidemill.lib'
local rules = require 'tidemill.rules'
local C, ffi, huge = lib.C, lib.ffi, math.huge

local function failed_rule(why) lib.raise('deadline', why) end

return function(emit, Gen)
  -- what may stand in front of a pack, where it takes many events in before it decides
  local PLAIN = { event_time = true, on_error = true, late_to = true, schema = true, pack = true }

  --- Do events reach the step as they came, one behind the other, so that many can be taken in at a time?
  local function takes_many(g, step, set)
    if #g.group.members > 1 or g.checked or g.keyed or set.reads_decisions then return false end
    for _, other in ipairs(g.group.steps) do
      if other ~= step and (Gen.asks_clock(other) or other.kind == 'event_time' and other.rec.processing) then return false end
    end
    local at = g.pipeline.tree
    while at ~= step do
      at = #at.next == 1 and at.next[1]
      if not at or not PLAIN[at.kind] or at.kind == 'pack' and at ~= step then return false end
    end
    return true
  end

  --- A step of the library's own in the place of this one.
  local function part_of(step, name, options)
    return { rec = { name = step.rec.name .. '/' .. name, options = options }, place = step.place, label = step.label, kind = 'pack' }
  end

  --- The state of suppression: by entity the time of the last alert that was not suppressed, and its decision's rank. Text that says so of
  --- the event at hand; and a function that gives up what is over.
  local function suppression(g, step, view)
    local s = step.rec.pack.suppress
    if not s then return nil end
    local part = part_of(step, 'suppress', { max_keys = s.max_keys, timed = true })
    part.rec.on = { fields = s.by, composite = s.composite }
    local own = g:own_key(part, view)
    local state = g:open_state(part, { 'at', 'rank', 'written' }, {}, own)
    require 'tidemill.operators'.shows(state, view, 'suppress')
    -- looked at behind chunks, so nothing goes while an event that may still ask for it waits to be decided
    local clock = ffi.new 'struct tm_clock'
    clock.due, clock.trip = -huge, -huge
    g.anchors[#g.anchors + 1] = clock
    local E = require 'tidemill.expiry'.new(state, { ttl = s.within }, ffi.cast('struct tm_clock *', clock))
    local present = {}
    for i, node in ipairs(own.nodes) do present[i] = ('key_of%d(%s) ~= nil'):format(view.level, g:const(node)) end
    -- what the watermark w has passed is over, whether it is gone or not
    local function put(D, w)
      g:put('if %s.alert and %s then local t = st%d.time', D, table.concat(present, ' and '), view.level)
      g:find_record(state, view, own)
      g:put('local new = %s.code == 1 local over = new or %s >= r.at + %.0f', g:const(state.ptr), w, s.within)
      g:put('if not over and t >= r.at and t < r.at + %.0f and %s.rank <= r.rank then send = %s.suppress() and send', s.within, D, D)
      g:put('elseif over or t >= r.at then r.at, r.rank, r.written = t, %s.rank, t if new then %s(r) end end end', D, g:const(E.begin))
    end
    E.ptr = state.ptr
    return put, E
  end

  --- Text that makes of the decision D a row in view `inner`.
  local function put_row(g, step, view, inner, D)
    local pack, want = step.rec.pack, {}
    for _, name in ipairs(step.rec.fields) do want[name] = true end
    local function put_value(node, v) inner.put_value(node, v, 1) end
    local function value(name, v)
      if want[name] then g:put('%s(%s)', g:writer(inner, name), v) end
    end
    local function whole(name, wanted)
      if wanted then g:put('if %s.%s then %s(%s, %s.%s) end', D, name, g:const(put_value), g:const(inner.field(name)), D, name) end
    end
    value('decision', D .. '.decision')
    value('score', D .. '.score')
    value('pack', ('%q'):format(pack.name))
    value('version', ('%q'):format(pack.version))
    value('at', D .. '.at')
    value('id', D .. '.id')
    whole('reasons', want.reasons)
    whole('rules', want.rules)
    whole('features', want.features)
    whole('errors', true)
    for _, name in ipairs { 'suppressed', 'guarded' } do g:put('if %s.%s then %s(true) end', D, name, g:writer(inner, name)) end
    if want.event then
      local keep_event = lib.load 'tidemill.view_kept' (lib, view, C.TM_FORMAT_JSON)
      g:put('do local text, len = %s() put_bytes%d(%s, text, len) end', g:const(keep_event), inner.level, g:const(inner.field 'event'))
    end
  end

  --- The function that takes the decision D through the steps behind.
  local function rows_text(g, step, view, inner, D)
    local outer, first = g.lines, g.first_step
    local n = inner.level
    g.lines, g.first_step = {}, nil
    g:put('local function rows%d() mk.sub = mk.sub + 1 st%d.home = st0.home begin%d() replaced%d()', n, n, n, n)
    put_row(g, step, view, inner, D)
    if g.timed then g:put('st%d.time = st%d.time', n, view.level) end
    if g.keyed then g:put('v%d.key, v%d.key_def = v%d.key, v%d.key_def', n, n, view.level, view.level) end
    local clock = g.clock
    g:follow(step, inner)
    g.clock = clock
    g:put('end')
    g.functions[#g.functions + 1] = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  --- Text that decides about row j of the chunk; st has its place and time.
  local function put_decide(g, view, D, set, put_suppress, w, inner)
    g:put('local send = %s.decide(j, st%d.time)', D, view.level)
    if put_suppress then put_suppress(D, w) end
    if set.reads_decisions then g:put('%s.decided(j, %s.decision)', D, D) end
    g:put('if send then rows%d() end', inner.level)
  end

  function emit.pack(g, step, view)
    local rec, pack, n = step.rec, step.rec.pack, view.level
    local clock = g.clock
    local set = g:open_features(step, view, pack.groups, function(group)
      return ('%s/%s/features/%s'):format(g.pipeline.name, rec.name, group)
    end)
    local many = takes_many(g, step, set)
    local J = rules.new(pack, set, view, many)
    local decide = decisions.new(J, set, { name = g.pipeline.name .. '/' .. rec.name, emit = rec.emit, fields = rec.fields,
      place = ids.namer(pack, g.pipeline.source), watch = rec.watch })
    function decide.decided(j, decision) set:decided(j, decision) end
    local P = { n = 0, pos = 0, judged = false, judging = false, taking = false, retry = false, done = -1, home = J.home, many = many,
      J = J }
    local times = ffi.new('double[?]', rules.ROWS)
    local marks = ffi.new('double[?]', rules.ROWS)
    P.times, P.marks = ffi.cast('double *', times), ffi.cast('double *', marks)
    g.anchors[#g.anchors + 1] = { times, marks, J, set }
    rec.judged, rec.decided = J, decide
    --- The event at work has failed while others before it wait to be decided: it has its turn behind them. Taken in, it is done again;
    --- judged, it fails there.
    function P.postpone(e)
      if P.judging then J.leave_out(e.message) else P.retry = true end
    end
    if many then keep.add_test(function() return P.n == 0 end) end
    g.boxes[#g.boxes + 1] = { abandon = function() if not many then J.working = false end end }
    for _, rule in ipairs(J.list) do g.called[#g.called + 1] = { view = view, fn = rule.when } end
    g.called[#g.called + 1] = { view = view, fn = J.take }
    local inner = g:new_view(view.source)
    local D, p = g:const(decide), g:const(P)
    -- the event is taken in
    g:at(step)
    g:put('do local j = %s', many and p .. '.n' or '0')
    if #pack.groups > 0 then g:put_features(set, view, step, 'j') end
    g:put('%s(e%d, j)', g:const(J.take), n)
    g:sync(view)
    if many then
      g:put('%s[j], %s[j], %s[j] = i, st%d.time, %s.w %s.n = j + 1 if j == 0 then flow.taken = i + 1 end end', g:const(P.home),
        g:const(P.times), g:const(P.marks), n, clock.name, p)
    else
      g:put_taken()
      g:put('if ch.used ~= 0 then commit(ch) end %s(1)', g:const(J.judge))
      g:put('%s[0] = 0', g:const(J.at))
    end
    local outer, first = g.lines, g.first_step
    if many then g.lines, g.first_step = {}, nil end
    -- the decision
    local put_suppress, E = suppression(g, step, view)
    if many then
      g:put('local function decide_row(j) local i, full = %s[j], nil mk.row, mk.step, mk.sub = i, %d, 0', g:const(P.home), step.mark)
      g:put('st0.home, st0.row, st0.time = i, i, %s[j]', g:const(P.times))
      g:put('%s[0] = j', g:const(J.at))
      g:put('do local why = %s(j) if why then %s(why) end end', g:const(J.left_out), g:const(failed_rule))
      g:put_taken()
    end
    put_decide(g, view, D, set, put_suppress, many and g:const(P.marks) .. '[j]' or clock.name .. '.w', inner)
    local pass = E and ('if %s.due <= %s.w then %s(%s.w) end'):format(g:const(E.ptr), clock.name, g:const(E.pass), clock.name) or ''
    if many then
      g:put('if st0.dirty ~= 0 then begin0() end if ch.used ~= 0 then commit(ch) end end')
      local text = table.concat(g.lines, ' ')
      g.lines, g.first_step = outer, first
      rows_text(g, step, view, inner, D)
      g.functions[#g.functions + 1] = text
      g.pack = { p = p, judge = g:const(J.judge), P = P, mark = step.mark, pass = pass, home = g:const(P.home) }
    else
      g:watch_room(view)
      g:put('if ch.used ~= 0 then commit(ch) end %s end', pass)
      rows_text(g, step, view, inner, D)
    end
    g.clock = clock
  end

  --- The loop of a pipeline whose pack takes many events in.
  function Gen:pack_loop(member)
    local k = self.pack
    local settle = #self.clocks > 0
    return (self:event_text(member, 'local i, full = st0.home + 1, nil') .. 'return full or i >= st0.last' .. self:tripped() .. [[ end
local function finish()
  local P = PACK
  if not P.judged then
    flow.taken, mk.step = HOME[0] + 1, MARK
    P.judging = true
    JUDGE(P.n)
    P.judging = false
    if st0.dirty ~= 0 then begin0() end
    P.judged, P.pos, flow.taken = true, 0, 0
  end
  while P.pos < P.n do
    local j = P.pos
    P.pos = j + 1
    decide_row(j)
    if flow.stop ~= 0 and P.pos < P.n then return false end
  end
  P.n, P.judged = 0, false
  PASS
  return true
end
return function(first, last) FIRE
  local P = PACK
  if P.taking then P.taking, P.done = false, P.n > 0 and st0.home or -1 end
  if P.retry then P.retry, P.done = false, P.done - 1 end
  SETTLE
  if first > last then return first end
  if P.n > 0 then
    if not finish() then return HOME[P.pos] end
    if P.done >= first then first = P.done + 1 end
  end
  P.done = -1
  local event = event
  while first <= last do
    local to = first + (flow.careful ~= 0 and 1 or ROWS) - 1
    if to > last then to = last end
    P.taking = true
    st0.home, st0.last = first - 1, to
    repeat
      repeat until event()
      TURN
    until st0.home >= to or flow.stop ~= 0
    P.taking, P.done, first = false, st0.home, st0.home + 1
    if P.n > 0 and not finish() then return HOME[P.pos] end
    if flow.stop ~= 0 then return first end
  end
  return last + 1
end
]]):gsub('%f[%w_](%u[%u_]+)%f[^%w_]', { PACK = k.p, HOME = k.home, MARK = tostring(k.mark), JUDGE = k.judge,
      PASS = k.pass, FIRE = self:fire_call(member), ROWS = tostring(rules.ROWS), TURN = settle and 'settle()' or '',
      SETTLE = settle and 'st0.home = first - 1 settle()' or '' })
  end
end
