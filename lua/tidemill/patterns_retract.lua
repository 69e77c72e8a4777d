--[[
patterns_retract.lua - corrections: what a late event changes of matches that were sent. A key's events of the lateness are kept, and what
had begun before them; a late one is put in its place and those behind it are matched once more. Matches that are no longer among the
answers go out as rows '-', new ones as rows '+'.

  base ──── kept events ──── mid ──── kept events ──── now
   │ runs, done as they were before all of them │ as they were behind one of them │ as they are (patterns_match.lua)
             └ sent matches ┘        └ sent matches ┘

An event within the lateness stands behind `base`, for that is as old as the lateness, so it is matched from there, or from `mid` if it
stands behind that. When `mid` is old enough it becomes the base and what lies before it is forgotten: so nothing is matched twice but what
a late event makes anew. Where nothing has happened for as long as the lateness, all is settled: there is no base then, it is what is now.

A key keeps max_late events, and about as many matches, at most: beyond that `mid` becomes the base before its time, and an event that
is older than that is late (is_final).

Numbers of a record: open: there is a base; kept first last: of events; sent sent_first sent_last: of matches sent, in a state of their own;
top: when something changed last; final: events up to then are too late; mid: the event it stands behind, 0: there is none;
mid_time, mid_sent: of that event, and the last match that had been sent. All of it is C's, so it is rolled back, and survives, by itself.
]]

local lib = require 'tidemill.lib'
local keep = require 'tidemill.keep'
local state = require 'tidemill.state'
local waits = require 'tidemill.patterns_waits'
local C, ffi = lib.C, lib.ffi
local huge, EXACT = math.huge, 2 ^ 53

local M = {}

M.numbers = { 'open', 'kept', 'first', 'last', 'sent', 'sent_first', 'sent_last', 'top', 'final', 'mid', 'mid_time', 'mid_sent' }
M.texts = { 'base_runs', 'base_done', 'mid_runs', 'mid_done' }
local BASE_RUNS, BASE_DONE, MID_RUNS, MID_DONE = 2, 3, 4, 5   -- behind runs and done
local double_ptr = ffi.typeof 'double *'

---@param o table as of patterns_match.new; rec.lateness: ms, rec.max_late
---@param core table of patterns_match: X, B, rows; load(runs, done): two texts; save(r, runs, done, had_done): two fields; store(r);
---   turn(): the event at hand comes to what is loaded; expire(t, few); first_over(); RUN, DONE: doubles of each
---@return table begin(r): a new record; step(r): an event comes to its record; pass(r, t): time does; sent(node, time, timed_out): a match
---   is complete; settled_at(r); is_final(t); again: what is matched was matched before
function M.new(o, core)
  local rec, ptr, typ, X, B, R = o.rec, o.main.ptr, o.main.type, core.X, core.B, core.rows
  local lateness, max, order_by = rec.lateness, rec.max_late, rec.order_by
  local K = { again = false }
  local key, r_now, fresh, numbers = state.key, nil, nil, { 0 }

  local sent = state.open(o.name .. '/sent', { 'node', 'time', 'timed_out', 'behind' }, {}, {}, { kind = 'match_sent', key = { 'match' } })
  local sent_ptr, sent_type = sent.ptr, sent.type
  local parts, parts_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'
  function sent.imported(record)
    C.tm_ffi_key_parts(C.tm_ffi_state_key(sent_ptr, record, parts_len), parts_len[0], parts)
    numbers[1] = math.max(numbers[1], parts[0].num)
  end
  keep.add(o.name .. '/sent_numbers', 'numbers of matches of a pattern', function() return numbers end,
    function(data) numbers[1] = data[1] end)

  local function check(of, code)
    if code < 0 then state.failed(of, code) end
  end

  -- Matches that were sent -----------------------------------------------------------------

  --- The record of a match, announced.
  local function sent_record(n)
    key.len = 0
    C.tm_ffi_key_number(key, n)
    local p = C.tm_ffi_state_write(sent_ptr, key)
    if p == nil then state.failed(sent_ptr, sent_ptr.code) end
    return ffi.cast(sent_type, p)
  end

  --- Removes a match's record: the one behind it.
  local function forget_sent(n)
    local s = sent_record(n)
    local behind = s.behind
    B.refer(s.node, -1)
    check(sent_ptr, C.tm_ffi_state_remove(sent_ptr, s))
    return behind
  end

  --- Matches up to one are final; 0: none of them.
  local function settle_sent(r, last)
    if last == 0 then return end
    local n = r.sent_first
    while n ~= 0 do
      local was = n
      n = forget_sent(n)
      r.sent = r.sent - 1
      if was == last then break end
    end
    r.sent_first = n
    if n == 0 then r.sent_last = 0 end
  end

  function K.sent(node, time, timed_out)
    local r = r_now
    if r.open == 1 then
      numbers[1] = numbers[1] + 1
      local n = numbers[1]
      local s = sent_record(n)
      s.node, s.time, s.timed_out, s.behind = node, time, timed_out and 1 or 0, 0
      B.refer(node, 1)
      if r.sent_last ~= 0 then sent_record(r.sent_last).behind = n else r.sent_first = n end
      r.sent_last, r.sent = n, r.sent + 1
    end
    if fresh then
      fresh[#fresh + 1] = { node = node, time = time, timed_out = timed_out }
    else
      R.put(node, time, timed_out, '+')
    end
  end

  --- Takes the matches behind one, 0: all, out of the row: a list of { number, node, time, timed_out }.
  local function cut_sent(r, last)
    local list, n = {}, r.sent_first
    if last ~= 0 then
      local s = sent_record(last)
      n, s.behind = s.behind, 0
    else
      r.sent_first = 0
    end
    r.sent_last = last
    while n ~= 0 do
      local s = sent_record(n)
      list[#list + 1] = { number = n, node = s.node, time = s.time, timed_out = s.timed_out == 1 }
      n = s.behind
    end
    r.sent = r.sent - #list
    return list
  end

  -- As it was ---------------------------------------------------------------------------------

  local function refer_text(text, size, at, n)
    local p = ffi.cast(double_ptr, ptr.base + 8 * text.at)
    for i = 0, text.n / (8 * size) - 1 do B.refer(p[i * size + at], n) end
  end

  --- So many more name what a pair of texts holds, or fewer.
  local function refer_texts(runs, done, n)
    if runs.n > 0 then refer_text(runs, core.RUN, 1, n) end
    if done.n > 0 then refer_text(done, core.DONE, 0, n) end
  end

  --- One text of a record becomes that of another field, or none. had: what it was.
  local function copy_text(r, field, had, text)
    if text and text.n > 0 then
      check(ptr, C.tm_ffi_text_set(ptr, r, field, ptr.base + 8 * text.at, text.n))
    elseif had.n > 0 then
      check(ptr, C.tm_ffi_text_set(ptr, r, field, '', 0))
    end
  end

  --- There is a base from now on: what the record holds.
  local function open(r)
    if r.open == 1 then return end
    r.open = 1
    copy_text(r, BASE_RUNS, r.base_runs, r.runs)
    copy_text(r, BASE_DONE, r.base_done, r.done)
    refer_texts(r.base_runs, r.base_done, 1)
  end

  local function drop_mid(r)
    if r.mid == 0 then return end
    refer_texts(r.mid_runs, r.mid_done, -1)
    copy_text(r, MID_RUNS, r.mid_runs, nil)
    copy_text(r, MID_DONE, r.mid_done, nil)
    r.mid = 0
  end

  --- Kept events up to one go; 0: all.
  local function unkeep(r, last)
    local e = r.first
    while e ~= 0 do
      local was = e
      e = B.unkeep(e)
      r.kept = r.kept - 1
      if was == last then break end
    end
    r.first = e
    if e == 0 then r.last = 0 end
  end

  --- What was between base and mid is final.
  local function move_base(r)
    refer_texts(r.base_runs, r.base_done, -1)
    copy_text(r, BASE_RUNS, r.base_runs, r.mid_runs)
    copy_text(r, BASE_DONE, r.base_done, r.mid_done)
    copy_text(r, MID_RUNS, r.mid_runs, nil)
    copy_text(r, MID_DONE, r.mid_done, nil)
    unkeep(r, r.mid)
    settle_sent(r, r.mid_sent)
    r.final, r.mid = r.mid_time, 0
  end

  --- All is final.
  local function close(r)
    drop_mid(r)
    refer_texts(r.base_runs, r.base_done, -1)
    copy_text(r, BASE_RUNS, r.base_runs, nil)
    copy_text(r, BASE_DONE, r.base_done, nil)
    unkeep(r, 0)
    settle_sent(r, r.sent_last)
    r.open, r.final = 0, r.top
  end

  --- The event at hand, the n-th behind the base, has come to what is loaded: that may be the mid to be.
  local function mark(r, n)
    if r.mid ~= 0 then return end
    if n < max / 2 and r.sent < max / 2 and B.at - B.kept(r.first) < lateness / 2 then return end
    core.save(r, MID_RUNS, MID_DONE, true)
    refer_texts(r.mid_runs, r.mid_done, 1)
    r.mid, r.mid_time, r.mid_sent = B.now, B.at, r.sent_last
  end

  -- In order --------------------------------------------------------------------------------------

  local function come_last(r)
    core.load(r.runs, r.done)
    if r.mid ~= 0 and (r.mid_time <= X.at - lateness or r.kept >= max or r.sent >= max) then move_base(r) end
    open(r)
    core.expire(X.at)
    B.begin(X.at, X.text, X.len)
    B.keep(r.last, 0)
    if r.first == 0 then r.first = B.now end
    r.last, r.kept, r.top = B.now, r.kept + 1, X.at
    core.turn()
    mark(r, r.kept)
    core.store(r)
  end

  --- A record's time has come.
  function K.pass(r, t)
    r_now, fresh, K.again = r, nil, false
    if r.open == 1 and K.settled_at(r) <= t then close(r) end
    if core.first_over() <= t then
      open(r)
      core.expire(t, true)
      r.top = t
    end
  end

  function K.settled_at(r) return r.top + lateness end

  -- Late --------------------------------------------------------------------------------------------

  local function order_of(text, len)
    local v = o.copy(text, len)[order_by]
    if v == lib.NULL then return nil end
    return v
  end

  --- Does the event at hand stand before a kept one?
  local function stands_before(event)
    local time = B.kept(event)
    if time ~= X.at then return X.at < time end
    return order_by ~= nil and waits.comes_before(order_of(X.text, X.len), order_of(B.text(event)))
  end

  --- Ends what is over up to t, each at its time. The last of these times, or nil.
  local function expire_to(t)
    local last
    local over = core.first_over()
    while over <= t and over < huge do
      core.expire(over)
      last, over = over, core.first_over()
    end
    return last
  end

  --- What a match is, whatever numbers its events got since. was: earlier numbers by number.
  local function name_of(m, was)
    local stages, ids, n = B.way(m.node)
    local words = { m.timed_out and 'timed out' or '', ('%.17g'):format(m.time) }
    for i = 1, n do words[#words + 1] = ('%d=%d'):format(stages[i], was[ids[i]] or ids[i]) end
    return table.concat(words, ' ')
  end

  --- Sends what makes the answers that were the answers that are.
  local function send_difference(before, now, was)
    local counts, names = {}, {}
    for i, m in ipairs(now) do
      names[i] = name_of(m, was)
      counts[names[i]] = (counts[names[i]] or 0) + 1
    end
    local stays = {}
    for _, m in ipairs(before) do
      local name = name_of(m, {})
      local left = counts[name] or 0
      if left > 0 then
        counts[name], stays[name] = left - 1, (stays[name] or 0) + 1
      else
        R.put(m.node, m.time, m.timed_out, '-')
      end
    end
    for i, m in ipairs(now) do
      local left = stays[names[i]] or 0
      if left > 0 then stays[names[i]] = left - 1 else R.put(m.node, m.time, m.timed_out, '+') end
    end
  end

  --- Matches the kept events from one on once more, those behind the new one with new numbers: earlier ones by number.
  local function match_again(r, from, new)
    local was, behind_new, e, n = {}, false, from, 0
    while e ~= 0 do
      local time, _, behind = B.kept(e)
      local over = expire_to(time)
      if over and over > r.top then r.top = over end
      if behind_new then
        B.renumber(e)
        was[B.now] = e
        if r.last == e then r.last = B.now end
      else
        B.again(e)
        behind_new = e == new
      end
      o.show(time, B.text(B.now))
      core.turn()
      n, e = n + 1, behind
      mark(r, n)
    end
    local over = expire_to(X.upto)
    if over and over > r.top then r.top = over end
    return was
  end

  local function come_late(r)
    -- its place: behind `before`
    local before, behind, from_mid = r.last, 0, r.mid ~= 0
    while before ~= 0 and stands_before(before) do
      if before == r.mid then from_mid = false end
      behind = before
      before = select(2, B.kept(before))
    end
    if behind == 0 and r.top <= X.at then return come_last(r) end
    open(r)
    if from_mid and r.kept >= max then
      if before == r.mid then before = 0 end
      move_base(r)
      from_mid = false
    end
    B.begin(X.at, X.text, X.len)
    local new = B.now
    B.keep(before, behind)
    if before == 0 then r.first = new end
    if behind == 0 then r.last = new end
    r.kept = r.kept + 1
    -- what was goes when what is has been made, as they share most
    local from, sent_before
    if from_mid then
      from, sent_before = select(3, B.kept(r.mid)), cut_sent(r, r.mid_sent)
      core.load(r.mid_runs, r.mid_done)
      refer_texts(r.mid_runs, r.mid_done, 1)
    else
      drop_mid(r)
      from, sent_before = r.first, cut_sent(r, 0)
      core.load(r.base_runs, r.base_done)
      refer_texts(r.base_runs, r.base_done, 1)
    end
    fresh, K.again = {}, true
    local was = match_again(r, from, new)
    local made = fresh
    fresh, K.again = nil, false
    send_difference(sent_before, made, was)
    refer_texts(r.runs, r.done, -1)
    for _, m in ipairs(sent_before) do forget_sent(m.number) end
    core.store(r)
  end

  function K.begin(r)
    r.top, r.final = -EXACT, -EXACT
  end

  function K.step(r)
    r_now, fresh, K.again = r, nil, false
    if X.queue == X.late then return come_late(r) end
    come_last(r)
  end

  --- Is an event of the key in state.key and of time t older than what may still change?
  function K.is_final(t)
    local p = C.tm_ffi_state_find(ptr, key)
    if p == nil then return false end
    local r = ffi.cast(typ, ffi.cast('void *', p))
    return t <= r.final or r.kept >= max and r.mid ~= 0 and t <= r.mid_time
  end

  return K
end

return M
