--[[
codegen_loop.lua - the text around what a pipeline's steps are: the function of one event, and the loops over a batch that call it.
]]

return function(Gen)
  --- The text of a member's events: what its tree says, in its view. Its lines are joined when all is known.
  function Gen:put_member(member)
    local first = member.tree.next[1]
    local outer = { self.lines, self.first_step }
    self.lines, self.first_step = {}, first and first.mark
    self.pipeline, self.member, self.members = member, member, { member }
    self:follow(member.tree, self.entries[member])
    self.bodies[member], self.lines, self.first_step = self.lines, outer[1], outer[2]
  end

  --- Text of a member's function of one event. next: text that steps to it.
  function Gen:event_text(member, next)
    local view, first = self.entries[member], member.tree.next[1]
    local n = view.level
    return ('local function %s() %s st0.home = i %smk.row = i mk.step = %d stN.row = i %s%s%s%s if stN.dirty ~= 0 then beginN() end %s')
      :gsub('%f[%a](%a+)N', '%1' .. n):format(member.event, next, n > 0 and ('st%d.home = i '):format(n) or '', first and first.mark or 0,
        #self.views > 1 and 'mk.sub = 0 ' or '', self.keyed and ('v%d.key = nil '):format(n) or '',
        self.timed and ('st%d.time = none '):format(n) or '', self.bodies[member],
        self.stateful and 'if ch.used ~= 0 then commit(ch) end ' or '')
  end

  --- Text of a loop of a group's member: it has no other than this plain form.
  function Gen:loop_of_member(member)
    local head = ('local function %s(first, last) enter_member(%s) %s'):format(member.loops, self:const(member), self:fire_call(member))
    if #self.clocks > 0 then
      return head .. ('st0.home = first - 1 if not settle() then flow.due = 1 return first end if first > last then return first end ' ..
        'local event, turn = %s, turn st0.home, st0.last = first - 1, last repeat repeat until event() until turn() return result end\n')
        :format(member.event)
    end
    return head .. ('local event = %s st0.home, st0.last = first - 1, last repeat until event() return st0.home + 1 end\n')
      :format(member.event)
  end

  --- Text of `enter_member`: what its loop begins with.
  function Gen:enter_member_text()
    local of = {}
    for _, m in ipairs(self.group.members) do
      local list = { batch = m.source.batch, tally = self.tally_of(m), swaps = {}, ahead = 0 }
      for n, swap in pairs(self.swaps) do list.swaps[#list.swaps + 1] = { n, swap[m] or false } end
      of[m] = list
    end
    return ('local members, of_member = %s, nil local function enter_member(m) of_member = members[m] ' ..
      'batch, tally = of_member.batch, of_member.tally ' ..
      'for i = 1, #of_member.swaps do local s = of_member.swaps[i] K[s[1]] = s[2] end end\n'):format(self:const(of))
  end

  --- The loop of a pipeline that no join ties to another. The event is a function of its own, called through a local, and the row is
  --- counted in C's memory: so there is nothing in the loop's frame that a trace must write when it is left, and read and convert when it
  --- is entered. For that the loop itself may not name an upvalue.
  function Gen:loop_of_one(member, dropper)
    local row, start, done = 'st0.home + 1', 'st0.home, st0.last = first - 1, last', 'st0.home + 1'
    local clock = self:clock_of_rows()
    local hold = ''
    if dropper then
      row = 'rows[st0.at + 1]'
      -- an event without a time fails, also one that the filter would drop
      local picked = 'local n = pick(' .. (self.timed and 'untimed == 0 and dropper or nil' or 'dropper') .. ', batch, first, last, rows) '
      if clock then
        start = 'last_row = last ' .. picked .. 'st0.at, st0.last = -1, n - 1 if n == 0 then turn() return result end'
        hold = ('if i > 0 and %s[i] >= %s.trip then held = i return true end '):format(clock.rows, clock.name)
      else
        start = picked ..
          (#self.clocks > 0 and 'if n == 0 then st0.home = last if not settle() then flow.due = 1 end return last + 1 end ' or
          'if n == 0 then return last + 1 end ') .. 'st0.at, st0.last = -1, n - 1'
      end
      done = '(st0.at >= st0.last and last or st0.home) + 1'
    end
    local text = self:event_text(member, 'local i, full = ' .. row .. ', nil ' .. hold .. (dropper and 'st0.at = st0.at + 1 ' or '')) ..
      'return full or ' .. (dropper and 'st0.at' or 'i') .. ' >= st0.last' .. self:tripped() .. ' end\n' ..
      'return function(first, last) ' .. self:fire_call(member)
    if self.waits and self:is_quick() then return text .. self:held_loop() end
    if #self.clocks > 0 then
      return text .. 'st0.home = first - 1 if not settle() then flow.due = 1 return first end if first > last then return first end ' ..
        'local event, turn = event, turn ' .. start .. ' repeat repeat until event() until turn() return result end\n'
    end
    return text .. 'local event = event ' .. start .. ' repeat until event() return ' .. done .. ' end\n'
  end
end
