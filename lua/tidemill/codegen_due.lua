--[[
codegen_due.lua - the text of what follows an event when the watermark has moved far enough.

Behind each event the loop compares one number (trip). Only where it is reached, `advance` takes the steps of the pipeline in their
order through all that is due, one record at a time: each is a unit that may fail by itself, and belongs to the slot of the event
that moved the watermark. It rests where an output is full, and the loop is called again.
]]

return function(Gen)
  --- Text in front of the fire functions: what they share.
  function Gen:after_text()
    if not self.windowed then return '' end
    local units = {}
    for _, m in ipairs(self.group.members) do
      for _, out in ipairs(m.outs) do units[#units + 1] = self:const(out.ptr) .. '.event = -1' end
    end
    return 'local upto, step, after, pending, turn_at, held, last_row, held_to = huge, 1, 0, nil, 1, nil, 0, nil\n' ..
      'local function unit() if after ~= 0 then ' ..
      table.concat(units, ' ') .. ' end end\n'
  end

  -- One due unit behind almost every event, of one step alone: done within the event's trace. What is more is left to `turn`.
  Gen.quick_text = [[
local function quick()
  pending, turn_at, upto, step, after = clocks[1], 1, CLOCK.highest - CLOCK.distance, 0, -2147483648
  if upto > CLOCK.cap then upto = CLOCK.cap end
  if upto < CLOCK.low then upto = CLOCK.low end
  set_after()
  mk.row = st0.home + after
  FIRE()
  local due = TURNS.judge_due()
  if due <= upto or flow.stop ~= 0 then return true end
  CLOCK.w = upto
  set_due(CLOCK, due)
  pending, upto, step, after = nil, huge, 1, 0
  set_after()
  return false
end
]]

  -- The same where rows of a batch wait many at a time; `held_to` is set until all that came due with them is done.
  local HELD_TEXT = [[
local function held_turns()
  local to = R.to
  step, after = 0, -2147483648
  set_after()
  ended = false
  fires[FIRE][1]()
  if not ended then return false end
  C.tm_ffi_turns_count(R, tally, mk, to)
  mk.row = to + after
  st0.home, CLOCK.w = to, held_to
  set_due(CLOCK, S.due)
  held_to, upto, step, after = nil, huge, 1, 0
  set_after()
  return true
end
]]

  --- The loop over the rows of a batch where C lets as many wait as are plain, and Lua looks at the others.
  function Gen:held_loop()
    return ([[
st0.home = first - 1
  if not held_to and not settle() then flow.due = 1 return first end
  while true do
    if held_to then
      if not held_turns() then flow.due = 1 return st0.home + 1 end
      first = st0.home + 1
    end
    if first > last or flow.stop ~= 0 then return first end
    mk.row = first
    if C.tm_ffi_turns_hold_rows(P, S, batch, R, first, last) > 0 then
      held_to = R.marks[R.to]
    else
      st0.home, st0.last = first - 1, last
      event()
      if CLOCK.highest >= CLOCK.trip and not settle() then flow.due = 1 return st0.home + 1 end
      first = first + 1
    end
  end
end
]]):gsub('%f[%w]([PSR])%f[%W]', self.waits)
      :gsub('CLOCK', self.clocks[1].name)
  end

  --- Is a sliding window all that is due by the only clock?
  function Gen:is_quick()
    local clock = self.clocks[1]
    return #self.group.members == 1 and #self.clocks == 1 and #clock.timed == 1 and clock.timed[1].each and not clock.rows and
      not clock.tick
  end

  --- Text of `settle`, which does all that is due behind the event at st0.home (false: it rests), and of `turn`, which is called where
  --- the loop has stopped (true: it is to return `result`).
  function Gen:advance_text()
    if #self.clocks == 0 then return '' end
    local set, clocks, rows = {}, {}, nil
    for _, m in ipairs(self.group.members) do
      for _, out in ipairs(m.outs) do set[#set + 1] = self:const(out.ptr) .. '.after = after' end
    end
    for i, clock in ipairs(self.clocks) do
      local list = {}
      -- a join's text comes behind that of the steps which take its rows, but its turn is in front of theirs
      table.sort(clock.timed, function(a, b) return a.at < b.at end)
      for k, t in ipairs(clock.timed) do
        list[k] = ('{ function() local fire = fire%d repeat until fire() end, %s }'):format(t.at, t.W)
      end
      clocks[i] = ('{ %s, { %s }, %s }'):format(clock.name, table.concat(list, ', '), clock.tick or 'false')
      if clock.rows then rows = clock end
    end
    local text = 'local clocks = { ' .. table.concat(clocks, ', ') .. ' }\nlocal function set_after() ' .. table.concat(set, ' ') ..
      ' end\n' .. [[
local function advance(clock)
  local k, list = clock[1], clock[2]
  if not pending then
    pending, turn_at, upto, step, after = clock, 1, k.highest - k.distance, 0, -2147483648
    if upto > k.cap then upto = k.cap end
    if upto < k.low then upto = k.low end
    set_after()
    mk.row = st0.home + after
  end
  while list[turn_at] do
    ended = false
    list[turn_at][1]()
    if not ended then return false end
    turn_at = turn_at + 1
  end
  local due = huge
  for n = 1, #list do
    local d = list[n][2].judge_due()
    if d < due then due = d end
  end
  k.w = upto
  set_due(k, due)
  pending, upto, step, after = nil, huge, 1, 0
  set_after()
  return true
end
local function settle()
  if st0.home < 0 then return true end   -- what a new partition makes due follows its first event
  if pending and not advance(pending) then return false end
  for n = 1, #clocks do
    local c = clocks[n]
    if c[3] then c[3]() end
    if c[1].highest >= c[1].trip and not advance(c) then return false end
  end
  return true
end
local result
]]
    if self:is_quick() and self.waits then
      text = text .. HELD_TEXT:gsub('CLOCK', self.clocks[1].name):gsub('FIRE', tostring(self.clocks[1].timed[1].at))
        :gsub('%f[%w]([SR])%f[%W]', self.waits)
    elseif self:is_quick() then
      text = text .. self.quick_text:gsub('CLOCK', self.clocks[1].name):gsub('FIRE', 'fire' .. self.clocks[1].timed[1].at)
        :gsub('TURNS', self.clocks[1].timed[1].W)
    end
    if not rows then
      return text .. [[
local function turn()
  if not settle() then flow.due = 1 result = st0.home + 1 return true end
  result = st0.home + 1
  return st0.home >= st0.last or flow.stop ~= 0
end
]]
    end
    local c, highest = rows.name, rows.rows
    return text .. ([[
local function settle_rows(before)
  while HIGHEST[before] >= CLOCK.trip do
    local from = st0.home < 0 and 0 or st0.home
    local j = trip(HIGHEST, from, before - 1, CLOCK.trip)
    if HIGHEST[j + 1] > CLOCK.highest then CLOCK.highest = HIGHEST[j + 1] end
    SET_W
    st0.home = j
    if not settle() then return false end
  end
  if HIGHEST[before] > CLOCK.highest then CLOCK.highest = HIGHEST[before] end
  return settle()
end
local function turn()
  local done = not held and st0.at >= st0.last
  local before = held or done and last_row + 1 or st0.home + 1
  held = nil
  if not settle_rows(before) then flow.due = 1 result = st0.home + 1 return true end
  result = done and last_row + 1 or st0.home + 1
  return done or flow.stop ~= 0
end
]]):gsub('SET_W', (self.set_watermark(c, highest .. '[j]'))):gsub('HIGHEST', highest):gsub('CLOCK', c)
  end

  --- A function that says what the unit at work is: its key, and what a dead letter says of it, { row or timer = what it was }.
  function Gen:unit_at_work()
    return function()
      for _, f in ipairs(self.fires) do
        local T, W = f.timers, f.opened
        if f.join and f.join.working then return f.letter() end
        if T and T.working then
          return T.view.key_letter(), { timer = T.name and { name = T.name, time = T.at } or { expired = true, time = T.at } }
        end
        local key, bounds
        if W then key, bounds = W.unit() end
        if bounds then return key, { row = bounds } end
      end
    end
  end

  --- The test that something is due behind an event, as text that goes on an `or`.
  function Gen:tripped()
    local parts = {}
    if self:is_quick() and not self.waits then
      local name = self.clocks[1].name
      return (' or (%s.highest >= %s.trip and (pending ~= nil or quick()))'):format(name, name)
    end
    for i, clock in ipairs(self.clocks) do
      parts[i] = clock.tick and (' or %s()'):format(clock.tick) or (' or %s.highest >= %s.trip'):format(clock.name, clock.name)
    end
    return table.concat(parts)
  end

  --- The clock that also moves with rows which the loop never sees, or nil.
  function Gen:clock_of_rows()
    for _, clock in ipairs(self.clocks) do if clock.rows then return clock end end
  end
end
