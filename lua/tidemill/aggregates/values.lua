--[[
aggregates/values.lua - min, max, first, last, argmin, argmax: one value is kept, and for the last four when its event was.

Cells: v, k, t are a kept value (kept.lua); a is the event's time where there is one, q its arrival where records are merged.
]]

local types = require 'tidemill.types'
local state_of = require 'tidemill.state'
local kept = require 'tidemill.aggregates.kept'
local NUMBER, TEXT = kept.NUMBER, kept.TEXT
local wrong = kept.wrong

local part = {}
local shared = { keep = kept.keep, kept = kept.kept, keep_text = kept.keep_text, copy_text = kept.copy_text }

--- How v compares with the kept value where the two are not numbers: above 0 it is better, 0 they are equal. Texts by byte,
--- int64 by value; a mix fails.
function shared.ranked(state, ref, a, v, kind, num, sign)
  if type(v) ~= 'string' then
    wrong(a, v, type(v) == 'number' and v == v and 'texts here, as it did before, not numbers' or 'numbers or texts')
  end
  if kind == NUMBER then wrong(a, v, 'numbers here, as it did before (' .. tostring(num) .. '), not texts') end
  if kind ~= TEXT then return 1 end
  local old = state_of.text(state, ref)
  if v == old then return 0 end
  local order
  if a.int64 then order = types.i64.cmp(v, old) else order = v < old and -1 or 1 end
  return order * sign
end

local function extreme(op, sign)
  local update = ([[if type(v) == 'number' and r.k@ <= 1 and v == v then if r.k@ == 0 or v %s r.v@ then r.k@ = 1 r.v@ = v end
    elseif ranked(s, r.t@, A@, v, r.k@, r.v@, %d) > 0 then keep_text(s, r, #t@, v) r.k@ = 2 end]]):format(op, sign)
  return {
    cells = function(a, layout) layout:value(a.n) end,
    update = function() return update end,
    merge = function() return 'if r2.k@ ~= 0 then local v = kept(s2, r2.v@, r2.k@, r2.t@) ' .. update .. ' end' end,
    result = function() return 'kept(s, r.v@, r.k@, r.t@)' end,
    row = kept.row,
  }
end
part.min, part.max = extreme('<', -1), extreme('>', 1)

-- First and last --------------------------------------------------------------------

local function order_cells(a, layout)
  if a.timed then layout:number('a' .. a.n) end
  if a.merges then layout:number('q' .. a.n) end
end

--- Text that notes when the event was.
local function note(a) return (a.timed and 'r.a@ = t ' or '') .. (a.merges and 'r.q@ = seq ' or '') end

--- Is what r2 holds from an event before that of r?
local function earlier(a)
  return a.timed and '(r2.a@ < r.a@ or (r2.a@ == r.a@ and r2.q@ < r.q@))' or '(r2.q@ < r.q@)'
end

local function copy_order(a) return (a.timed and 'r.a@ = r2.a@ ' or '') .. 'r.q@ = r2.q@ ' end

local KEEP = "if type(v) == 'number' then r.v@ = v r.k@ = 1 else r.v@, r.k@ = keep(s, r, #t@, v) end "

local function at_end(wins, wins_merge)
  return {
    cells = function(a, layout)
      layout:value(a.n)
      order_cells(a, layout)
    end,
    update = function(a)
      local test = wins(a)
      return test and ('if r.k@ == 0 or %s then %s%send'):format(test, KEEP, note(a)) or KEEP .. note(a)
    end,
    merge = function(a)
      return ('if r2.k@ ~= 0 and (r.k@ == 0 or %s) then r.v@ = r2.v@ r.k@ = r2.k@ copy_text(s, r, #t@, s2, r2.t@) %send')
        :format(wins_merge(a), copy_order(a))
    end,
    result = function() return 'kept(s, r.v@, r.k@, r.t@)' end,
    row = kept.row,
    time = true, arrival = true,
  }
end

part.first = at_end(function(a) return a.timed and 't < r.a@' or 'false' end, earlier)
part.last = at_end(function(a) return a.timed and 't >= r.a@' or nil end, function(a) return 'not ' .. earlier(a) end)

-- The event at an extreme -------------------------------------------------------------

--- Text of what argmin and argmax pick of an event, as x, y, z: a field's value, an object of fields, the event.
local function picked(a)
  if a.pick == nil then return 'keep(s, r, #z@, e)' end
  if type(a.pick) == 'string' then return ('keep(s, r, #z@, e[%s])'):format(a:name_text(a.pick)) end
  local members = {}
  for i, name in ipairs(a.pick) do members[i] = ('[%s] = e[%s]'):format(a:name_text(name), a:name_text(name)) end
  return 'keep(s, r, #z@, { ' .. table.concat(members, ', ') .. ' })'
end

local function arg(op, sign)
  local ties = { [true] = ' or (v == r.v@ and t < r.a@)', [false] = '' }
  local function take(a, text) return ('%s r.x@, r.y@ = %s %s'):format(text, picked(a), note(a)) end
  return {
    cells = function(a, layout)
      layout:value(a.n)
      order_cells(a, layout)
      layout:number('x' .. a.n)
      layout:number('y' .. a.n)
      layout:text('z' .. a.n)
    end,
    update = function(a)
      return ([[if type(v) == 'number' and r.k@ <= 1 and v == v then if r.k@ == 0 or v %s r.v@%s then %send
        else local c = ranked(s, r.t@, A@, v, r.k@, r.v@, %d) if c > 0%s then %send end]]):format(op, ties[a.timed],
        take(a, 'r.k@ = 1 r.v@ = v'), sign, a.timed and ' or (c == 0 and t < r.a@)' or '',
        take(a, 'keep_text(s, r, #t@, v) r.k@ = 2'))
    end,
    merge = function(a)
      return ([[if r2.k@ ~= 0 then local v, c = kept(s2, r2.v@, r2.k@, r2.t@), 1
        if r.k@ ~= 0 then if type(v) == 'number' and r.k@ == 1 then c = v == r.v@ and 0 or v %s r.v@ and 1 or -1
          else c = ranked(s, r.t@, A@, v, r.k@, r.v@, %d) end end
        if c > 0 or (c == 0 and %s) then r.v@, r.k@ = keep(s, r, #t@, v) r.x@ = r2.x@ r.y@ = r2.y@
          copy_text(s, r, #z@, s2, r2.z@) %send end]]):format(op, sign, earlier(a), copy_order(a))
    end,
    result = function() return 'kept(s, r.x@, r.y@, r.z@)' end,
    time = true, arrival = true,
  }
end
part.argmin, part.argmax = arg('<', -1), arg('>', 1)

return { part = part, shared = shared }
