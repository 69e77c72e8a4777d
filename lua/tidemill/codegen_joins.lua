--[[
codegen_joins.lua - the text of `join`, which stands in the tree twice: behind its left stream and behind its right one.

Each event looks for partners among those the other side keeps, sends a row for each, and is kept itself. Rows are events of a batch of
their own (host/codec/kept.c), made of the bytes of both sides; what comes behind the join reads them there, so its text and state
exist once, whichever side the event at hand is of.

  r         the key's record; S its state; text, len: the bytes of the event at hand; t its time, -inf: none
  pairN     sends the event at hand with partner j, true, or not (`where`)
  joinedN   takes the row in view N through what comes behind
  fireN     sends the next event whose time without a partner is over
]]

local lib = require 'tidemill.lib'
local joins = require 'tidemill.joins'
local settings = require 'tidemill.state_settings'
local value = require 'tidemill.value'
local windows = require 'tidemill.windows'
local C, ffi = lib.C, lib.ffi
local row_len = ffi.new 'int32_t[1]'

local UNROLLED = 3   -- partners of an event met without a loop, which would make a trace of its own
local KEEPS = { left = { left = true }, right = { right = true }, full = { left = true, right = true }, inner = {} }
local BASE = { left = joins.LEFT, right = joins.RIGHT }

local function no_room() lib.raise('row-too-large', 'a row of a join is larger than a row may be') end

return function(emit, Gen)
  local function step_of(g, rec)
    for _, step in ipairs(g.group.steps) do if step.rec == rec then return step end end
  end

  --- A batch of kept events, and what a view over it needs. name: of the member that its rows get.
  local function kept_source(g, rec, name)
    local packed = false
    for _, m in ipairs(step_of(g, rec).members) do packed = packed or m.source.batch.format == C.TM_FORMAT_MSGPACK end
    local format = packed and C.TM_FORMAT_MSGPACK or C.TM_FORMAT_JSON
    local batch = C.tm_ffi_kept_new(format, name, #name)
    if batch == nil then lib.raise('memory', 'no memory for the rows of a join') end
    local by_id = {}
    local function words(id)
      if not by_id[id] then
        by_id[id] = {}
        for i = 0, C.TM_WORDS_MAX do by_id[id][i] = false end
      end
      return by_id[id]
    end
    return { batch = batch, fields = C.tm_ffi_kept_fields(batch), strings = function() return lib.EMPTY_STRINGS end, words = words,
      once = true, format = format }
  end
  Gen.kept_source = kept_source

  --- The function that `body` writes; its name.
  function Gen:write_function(name, params, body)
    local outer, first = self.lines, self.first_step
    self.lines, self.first_step = {}, nil
    body()
    self.functions[#self.functions + 1] = ('local function %s(%s) %s end'):format(name, params, table.concat(self.lines, ' '))
    self.lines, self.first_step = outer, first
    return name
  end

  --- Text that makes view `to` stand at its batch's row of the event at hand; home: its slot.
  local function put_stand(g, to, home)
    local n = to.level
    g:put('st%d.home = %s begin%d() st%d.row = %s', n, home, n, n, home)
  end

  local NOW = 'local function now(k) local w = k.highest - k.distance if w > k.cap then w = k.cap end ' ..
    'if w < k.low then w = k.low end return w end'

  local LEAST = 'local function least(a, b) if b < a then return b end return a end'

  --- The function that gives the watermark of a clock as it is now, its `w` being that before the event at hand.
  function Gen:now()
    if not self.has_now then self.functions[#self.functions + 1], self.has_now = NOW .. ' ' .. LEAST, true end
    return 'now'
  end

  --- A clock that is worked out from others behind each event (tickN): `highest` is its watermark as it is now. base: others, as
  --- `of`, and how far it is behind, as `less`.
  local function derived_clock(g, step, view, base)
    local anchor, n = ffi.new 'struct tm_clock', step.mark
    anchor.highest, anchor.w, anchor.trip, anchor.due = -math.huge, -math.huge, math.huge, math.huge
    anchor.limit, anchor.cap, anchor.low = math.huge, math.huge, -math.huge
    g.anchors[#g.anchors + 1] = anchor
    g.derived = (g.derived or 0) + 1
    base.ptr = ffi.cast('struct tm_clock *', anchor)
    base.view, base.timed, base.name, base.tick = view, {}, g:const(base.ptr), ('tick%d_%d'):format(n, g.derived)
    g:now()
    g.functions[#g.functions + 1] = ('local function %s() local w = %s %s.highest = w return w >= %s.trip end'):format(base.tick,
      g:watermark_text(base), base.name, base.name)
    g.clocks[#g.clocks + 1] = base
    windows.keep(('%s/%s/event_time'):format(g.pipeline.name, step.rec.name), base)
    return base
  end

  --- Is a clock worked out from another one, or that itself? Then it is never before it.
  local function comes_from(clock, other)
    if clock == other then return true end
    for _, base in ipairs(clock.of or {}) do if comes_from(base, other) then return true end end
    return false
  end

  --- Text: the watermark of a clock, without limit where its inputs have ended. passed: a clock that the event at hand has moved, whose
  --- watermark, and that of what it is worked out from, is the one before it; nil: as it is now.
  function Gen:watermark_text(clock, passed)
    if passed and comes_from(passed, clock) then return clock.name .. '.w' end
    if clock.less == math.huge then return '-huge' end
    if clock.less then return ('(%s - %.0f)'):format(self:watermark_text(clock.of[1], passed), clock.less) end
    if clock.of then
      return ('least(%s, %s)'):format(self:watermark_text(clock.of[1], passed), self:watermark_text(clock.of[2], passed))
    end
    if #self.group.members == 1 then return ('now(%s)'):format(clock.name) end
    local ended = {}
    for i, m in ipairs(clock.members) do ended[i] = ('%s[%s]'):format(self:const(self.over), self:const(m)) end
    return ('(%s and huge or now(%s))'):format(table.concat(ended, ' and '), clock.name)
  end

  --- The clock of a join: that of both sides, or the one that is behind the other; where neither is, a third one, the least of both.
  local function clock_of_both(g, P)
    local a, b = P.sides[1].clock, P.sides[2].clock
    if comes_from(a, b) or a.processing and b.processing then return a end
    if comes_from(b, a) then return b end
    return derived_clock(g, P.step, P.sides[1].view, { of = { a, b } })
  end

  --- Text in front of a side: the watermark before the event at hand, of the clock of the join and of that behind it.
  function Gen:put_before(P, side)
    local clock = P.clock
    if clock and clock.of and clock ~= side.clock then
      self:put('%s.w = %s', clock.name, self:watermark_text(clock, side.clock))
    end
    if P.before then self:put('%s()', P.before) end
  end

  --- Does something with a clock stand behind a step that sends events later than they came: a join those without a partner, dedup the
  --- last of several, a window its one row at the end of its lateness, a pattern matches that were held back?
  function Gen.is_delayed(step)
    local function asked_behind(at)
      for _, child in ipairs(at.next) do if Gen.asks_clock(child) or asked_behind(child) then return true end end
      for _, arm in ipairs(at.arms or {}) do if asked_behind(arm) then return true end end
      return false
    end
    local late = step.kind == 'join' and step.rec.kind_of ~= 'inner' or Gen.sends_last(step) or Gen.sends_closed(step) or
      step.kind == 'match' and step.rec.late_rows
    return late and asked_behind(step)
  end

  --- Are all clocks of the pipeline moved by its events alone, and none worked out from others behind each event?
  function Gen.has_own_clocks(pipeline)
    for _, step in ipairs(pipeline.steps) do if Gen.is_delayed(step) then return false end end
    return true
  end

  --- The clock of what stands behind a step that sends events up to `wait` ms later than they came: its watermark is that of `base` less
  --- that, and nothing is late there. Also the name of the function that is called before the step.
  function Gen:delay_clock(step, view, base, wait)
    local clock = derived_clock(self, step, view, { of = { base }, less = wait })
    local name = 'before' .. clock.tick
    self.functions[#self.functions + 1] = ('local function %s() %s.w = %s.w - %s end'):format(name, clock.name, base.name,
      wait == math.huge and 'huge' or ('%.0f'):format(wait))
    return clock, name
  end

  --- The same behind a join: of the longest wait for a partner.
  local function delay_join(g, rec, P)
    local wait = rec.within and 0 or math.huge
    for side in pairs(rec.within and P.keeps or {}) do wait = math.max(wait, side == 'left' and rec.within.after or rec.within.before) end
    local clock
    clock, P.before = g:delay_clock(P.step, P.sides[1].view, P.clock, wait)
    return clock
  end

  --- The state of a step, whose records are those of joins.lua. cells: names of further number cells, or nil.
  function Gen:open_join(rec, P, cells)
    local numbers = { unpack(joins.numbers) }
    for _, name in ipairs(cells or {}) do numbers[#numbers + 1] = name end
    local state = self:open_state({ rec = rec, place = rec.place, kind = rec.kind }, numbers, joins.refs, P.key,
      { set = settings.of_join(rec) })
    state.view, state.shown = P.view, { { name = 'left_events' }, { name = 'right_events' } }
    function state.results(r) return r.left_times.n, r.right_times.n end
    function state.detail(r, ptr)
      P.detail_text = P.detail_text or self:kept_text(P)
      return joins.detail(r, ptr, P.detail_text)
    end
    P.state = state
    return state
  end

  --- Begins what both sides of a step share; P.finish ends it.
  local function parts_of(g, rec, P)
    local step, on = P.step, rec.on
    P.keeps, P.clock = KEEPS[rec.kind_of], rec.timed and clock_of_both(g, P) or nil
    local source = kept_source(g, rec, rec.as)
    P.source, P.batch = source, g:const(source.batch)
    P.view = g:new_view(source)
    for _, s in ipairs(P.sides) do
      if s.left then P.view.inherit(s.view) end
    end
    local key = { names = on.left, nodes = g:field_nodes(P.view, on.left), composite = on.composite, made = false }
    P.key = key
    local outer_key, outer_clock = g.key, g.clock
    g.key, g.clock = key, Gen.is_delayed(step) and P.clock and delay_join(g, rec, P) or P.clock
    P.follow = function(name)
      return g:write_function(name, '', function() g:follow(step, P.view) end)
    end
    P.finish = function() g.key, g.clock = outer_key, outer_clock end
    P.text_len = source.format == C.TM_FORMAT_JSON and "'{}', 2" or "'\\128', 1"
  end
  Gen.join_parts = parts_of

  --- Text that hands the event at hand to a side of a step. What that does is written when both sides are met, so that what is due in
  --- front of either has its turn before the step. make(g, rec, P) then makes what they share, put(g, side, rec, P) a side's text.
  function Gen:put_side(step, view, rec, left, make, put)
    local P = self.joins[rec] or { sides = {}, step = step_of(self, rec) }
    self.joins[rec] = P
    local name = ('side%d'):format(step.mark)
    self.forward[#self.forward + 1] = name
    P.sides[#P.sides + 1] = { step = step, view = view, left = left, clock = self.clock, name = name, pipeline = self.pipeline,
      member = self.member, members = self.members }
    self:put(view.entry and 'full = %s(i) or full' or '%s()', name)
    if #P.sides < 2 then return end
    local at = P.sides[2]
    self.pipeline, self.member, self.members = P.step.pipeline, nil, P.step.members
    make(self, rec, P)
    local begins = #self.functions + 1
    self.functions[begins] = 'do'
    for _, s in ipairs(P.sides) do
      local outer, first = self.lines, self.first_step
      self.lines, self.first_step = {}, nil
      self.pipeline, self.member, self.members = s.pipeline, s.member, s.members
      put(self, s, rec, P)
      self.functions[#self.functions + 1] = ('%s = function(i) local full %s return full end'):format(s.name, table.concat(self.lines, ' '))
      self.lines, self.first_step = outer, first
    end
    self.pipeline, self.member, self.members = at.pipeline, at.member, at.members
    -- a chunk has 200 locals: what the sides alone use is theirs
    if P.other then
      local text = table.concat(self.functions, ' ', begins)
      P.other.scoped = true
      self.functions[begins] = 'do ' .. self.view_text(P.other.level, function(called) return text:find(called, 1, true) end)
    end
    self.functions[#self.functions + 1] = 'end'
  end

  --- Text that makes the row of the rows' view: the key's fields and `as`, which is the JSON text `text`.
  local function put_right_alone(g, P, rec, text)
    local n = P.view.level
    g:put('if C.tm_ffi_kept_put(%s, batch, i, %s) < 0 then no_room() end replaced%d()', P.batch, P.text_len, n)
    g.key_fields(g, P.view)
    g:put('put%d(%s, %s)', n, g:const(P.view.field(rec.as)), text)
  end
  Gen.put_right_alone, Gen.put_stand = put_right_alone, put_stand

  --- A function that makes a value of the rows' view of an event's bytes.
  function Gen.kept_text(_, P)
    if P.source.format == C.TM_FORMAT_JSON then return function(text, len) return lib.text(ffi.string(text, len), 9) end end
    local aux, n = C.tm_ffi_kept_new(P.source.format, '', 0), ffi.new 'int32_t[1]'
    return function(text, len)
      if C.tm_ffi_kept_put(aux, P.source.batch, 0, text, len) < 0 then no_room() end
      local made = C.tm_ffi_batch_text(aux, 0, nil, n)
      if made == nil then no_room() end
      return lib.text(ffi.string(made, n[0]), 9)
    end
  end

  --- Text: the bytes of the event at hand, local text, len.
  local function put_bytes(g, P, view)
    local n, batch = view.level, view.batch
    local bytes = g:const(lib.load 'tidemill.view_kept' (lib, view, P.source.format))
    if batch.format ~= P.source.format then
      g:put('local text, len = %s()', bytes)
      return
    end
    local b = n == 0 and 'batch' or g:const(batch)
    g:put('local text, len if st%d.writes == 0 and st%d.row ~= %d then text, len = %s.raw + %s.off[st%d.row], %s.len[st%d.row]', n, n,
      lib.EMPTY_ROW, b, b, n, b, n)
    g:put('else text, len = %s() end', bytes)
  end
  Gen.put_bytes = put_bytes

  --- The call of a function of two events, as text.
  function Gen:call_of_two(fn, first, second)
    self.called[#self.called + 1] = { view = first, fn = fn }
    self.called[#self.called + 1] = { view = second, fn = fn, param = 1 }
    if self.checked then
      -- both live for this call alone
      local function call() return first.call(function(l) return second.call(function(r) return fn(l, r) end) end) end
      return self:const(call) .. '()'
    end
    return ('%s(e%d, e%d)'):format(self:const(fn), first.level, second.level)
  end

  --- Text: local c, what `where` says of the event at hand and partner p, n. P.other: a view of partners.
  function Gen:put_where(rec, P, step, view, left)
    if not P.other then
      local source = kept_source(self, rec, '')
      P.other, P.other_batch = self:new_view(source), self:const(source.batch)
    end
    local other = P.other
    self:put('if C.tm_ffi_kept_put(%s, batch, st0.home, p, n) < 0 then no_room() end', P.other_batch)
    put_stand(self, other, 'st0.home')
    self:at(step)
    self:put('local c = %s', self:call_of_two(rec.where, left and view or other, left and other or view))
    self:sync(view)
    self:sync(other)
  end

  --- Text that makes the row of the event at hand and partner p, n.
  local function put_row(g, P, step, left)
    g:at(step)
    g:put('if C.tm_ffi_kept_put_with(%s, batch, st0.home, %s) < 0 then no_room() end', P.batch,
      left and 'text, len, p, n' or 'p, n, text, len')
    put_stand(g, P.view, 'st0.home')
  end

  -- join ----------------------------------------------------------------------------

  --- The function that sends the next event without a partner.
  local function put_fire(g, rec, P)
    local step, view, state, J = P.step, P.view, P.state, P.join
    local n, at, Jn = view.level, g:fires_in_turn(P.join), g:const(J)
    local outer, first = g.lines, g.first_step
    g.fires[at].join = J
    g.fires[at].letter = function()
      local row = { [rec.as] = J.alone }
      if J.base == joins.LEFT then
        local text = C.tm_ffi_batch_text(P.source.batch, view.st.home, nil, row_len)
        row = text ~= nil and lib.text(ffi.string(text, row_len[0]), 9) or {}
      end
      -- of msgpack it may hold what JSON does not have
      return view.key_letter(), { row = pcall(value.json, row) and row or {} }
    end
    if P.clock then P.clock.timed[#P.clock.timed + 1] = { at = at, W = Jn } end
    g.lines, g.first_step = {}, nil
    g:put('local function fire%d() local r = %s.next(upto) if r == nil then ended = true return true end', at, Jn)
    g:begin_unit(step, view)
    g:put('do v%d.key = key_of(%s, r, %s, %s)', n, P.S, g:const(state.names), tostring(state.composite))
    g:put('if %s.base == %d then', Jn, joins.LEFT)
    g:put('if C.tm_ffi_kept_put(%s, batch, i, %s.text, %s.len) < 0 then no_room() end st%d.row = i', P.batch, Jn, Jn, n)
    g:put('else')
    g:put('%s.alone = %s(%s.text, %s.len)', Jn, g:const(g:kept_text(P)), Jn, Jn)
    put_right_alone(g, P, rec, Jn .. '.alone')
    g:put('end')
    if g.timed then g:put('st%d.time = %s.at > -huge and %s.at or none', n, Jn, Jn) end
    g:put('if flow.firing == 2 then %s(true) end', g:writer(view, 'partial'))
    g:put('%s() end', P.joined)
    g:end_unit()
    g.fires[at].text = table.concat(g.lines, ' ')
    g.lines, g.first_step = outer, first
  end

  local function make_join(g, rec, P)
    local w = rec.within
    parts_of(g, rec, P)
    local state = g:open_join(rec, P)
    P.S = g:const(state.ptr)
    P.spans = { left = w and w.after or math.huge, right = w and w.before or math.huge }
    P.join = joins.new(rec, state, { [BASE.left] = P.keeps.left, [BASE.right] = P.keeps.right },
      { [BASE.left] = P.spans.left, [BASE.right] = P.spans.right }, P.clock and P.clock.ptr)
    -- what comes behind takes its turn before and after this step, as it stands
    if next(P.keeps) then g:fires_in_turn(P.join) end
    P.joined = P.follow('joined' .. P.view.level)
    if next(P.keeps) then put_fire(g, rec, P) end
    P.finish()
  end

  --- The function that sends the event at hand with partner j.
  local function put_pair(g, rec, P, step, view, left)
    local theirs = left and 'right' or 'left'
    local val, n = g:const(joins.val), P.view.level
    return g:write_function('pair' .. #g.functions + 1, 'r, j, text, len, t', function()
      g:put('mk.sub = mk.sub + 1 C.tm_ffi_list_get(%s, r, %d, j, %s) local p, n = %s.text, %s.len', P.S, BASE[theirs] + 1, val, val, val)
      if rec.where then
        g:put_where(rec, P, step, view, left)
        g:put('if not c then return false end')
      end
      if P.keeps[theirs] then g:put('%s(r, %d, j)', g:const(P.join.matched), BASE[theirs]) end
      put_row(g, P, step, left)
      if g.timed then
        g:put('C.tm_ffi_list_get(%s, r, %d, j, %s) local u = %s.num if u < t then u = t end st%d.time = u > -huge and u or none', P.S,
          BASE[theirs], val, val, n)
      end
      g:put('%s() return true', P.joined)
    end)
  end

  --- Text that sends the event at hand with all its partners; `any`: was there one?
  local function put_partners(g, rec, P, step, view, left)
    local mine, theirs = left and 'left' or 'right', left and 'right' or 'left'
    local pair, w, state = put_pair(g, rec, P, step, view, left), rec.within, P.state
    local call = pair .. '(r, j, text, len, t)'
    if P.keeps[mine] then call = ('if %s then any = true end'):format(call) end
    local find = ('C.tm_ffi_partners_next(%s, r, %d, %%s, lo, hi, slack)'):format(P.S, BASE[theirs])
    g:put('if r.%s_times.n > 0 then', theirs)
    if w then
      local from, to = left and w.before or w.after, left and w.after or w.before
      g:put('local lo, hi, slack = t - %.0f, t + %.0f, r.%s_slack', from, to, theirs)
    else
      g:put('local lo, hi, slack = -huge, huge, 0')
    end
    g:put('local j = %s', find:format '0')
    g:put('if j ~= 0 then v%d.key = key_of(%s, r, %s, %s)', P.view.level, P.S, g:const(state.names), tostring(state.composite))
    for _ = 1, UNROLLED do g:put('%s j = %s if j ~= 0 then', call, find:format 'j') end
    g:put('repeat %s j = %s until j == 0', call, find:format 'j')
    g:put(('end '):rep(UNROLLED + 2))
  end

  local function put_join(g, s, rec, P)
    local step, view, left = s.step, s.view, s.left
    local mine, n, S = left and 'left' or 'right', view.level, P.S
    local base, span, w, J = BASE[mine], P.spans[mine], rec.within, P.join
    local own = g:own_key({ label = step.label, rec = { on = { fields = rec.on[mine], composite = rec.on.composite } } }, view)
    local W = w and P.clock.name .. '.w'
    -- hints are of one side's columns
    local ahead, held = #g.ahead, nil
    g:at(step)
    g:put_before(P, s)
    g:put('do local t = %s', g.timed and ('st%d.time'):format(n) or '-huge')
    if not w and g.timed then g:put('if t ~= t then t = -huge end') end
    if w then
      g:put('if t <= %s then', W)
      g:put_late(view)
      g:put('else')
      -- where nobody can be a partner of an event that comes now, one may be due that has not had its turn: then nothing goes yet
      held = (P.keeps.left and P.spans.left < 0 or P.keeps.right and P.spans.right < 0) and
        ('%s.due > %s and '):format(g:const(J.waiting), W) or ''
      g:put('if %s%s.due <= %s then %s(%s) end', held, S, W, g:const(J.sweep), W)
    end
    g:find_record(P.state, view, own)
    g:put_taken()
    P.hinted = P.hinted or {}
    if g.member and P.hinted[g.member] then g.ahead[ahead + 1] = nil elseif g.member then P.hinted[g.member] = true end
    if w then
      g:put('local over = t + %.0f if %s.code == 1 then r.last = over %s(p, over) elseif over > r.last then r.last = over end', span, S,
        g:const(J.arm))
      for _, name in ipairs { 'left', 'right' } do
        g:put('if %sr.%s_times.n > 0 then local rc = C.tm_ffi_partners_pass(%s, r, %d, %s - %.0f)', held, name, S, BASE[name], W,
          P.spans[name])
        g:put('if rc < 0 then failed(%s, rc) end end', S)
      end
    end
    put_bytes(g, P, view)
    if P.keeps[mine] then g:put('local any = false') end
    put_partners(g, rec, P, step, view, left)
    local mark = '0'
    if P.keeps[mine] then
      local Jn = g:const(J)
      g:put('local mark = %s.seq + 1 %s.seq = mark if any then mark = -mark else %s(r, %d, mark, %s) end', Jn, Jn, g:const(J.wait), base,
        w and 'over' or 'huge')
      mark = 'mark'
    elseif w and span < 0 then
      -- at once past: no partner can come
      g:put('if over > %s then', W)
    end
    if rec.options.max then
      g:put('if r.%s_times.n >= %.0f then %s(r, %d, r.%s_times.n, %s) end', mine, rec.options.max, g:const(J.room), base, mine, W or '0')
    end
    if w then
      g:put('if r.%s_times.n == 0 then r.%s_top, r.%s_slack = t, 0 elseif t > r.%s_top then r.%s_top = t', mine, mine, mine, mine, mine)
      g:put('elseif r.%s_top - t > r.%s_slack then r.%s_slack = r.%s_top - t end', mine, mine, mine, mine)
    end
    g:put('local rc = C.tm_ffi_partners_keep(%s, r, %d, t, %s, text, len) if rc < 0 then failed(%s, rc) end', S, base, mark, S)
    if w and span < 0 and not P.keeps[mine] then g:put('end') end
    g:watch_room(view)
    g:put(w and 'end end' or 'end')
  end

  function emit.join(g, step, view) g:put_side(step, view, step.rec, true, make_join, put_join) end

  function emit.join_right(g, step, view)
    local rec = step.rec.join
    if rec.kind == 'window_join' then return g:window_join_side(step, view, rec, false) end
    g:put_side(step, view, rec, false, make_join, put_join)
  end

end
