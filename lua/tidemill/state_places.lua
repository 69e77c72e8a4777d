--[[
state_places.lua - where the records of a step lie that has more than one place for them: windows, and the panes that windows share.

Export writes them place by place, import asks for a place by what a line says of it:

  "window":{"start":0,"end":60000,"sent":true,"partial":true}   of all time: {}. A line without a key says that the window is open
  "pane":{"start":0,"end":10000}                                 what several windows share (panes.lua)
  "tick":70000                                                   the next early row of the step

A place is { ptr, section, head }: the state, the section of it or nil, and the line's members. `opened` gets: places(), a list of
such; place_of(line), ptr and section, or nil and why not; tick(), take_tick(at); siblings, where records of a key have numbers.
]]

local M = {}

local HUGE = math.huge
local OWN = -1   -- the section of a window that has a state of its own

local function bounds(name, e, more)
  if e.from == -HUGE then return (',"%s":{%s}'):format(name, more:sub(2)) end
  return (',"%s":{"start":%.0f,"end":%.0f%s}'):format(name, e.from, e.to, more)
end

local function flags(e) return (e.fired and ',"sent":true' or '') .. (e.partial and ',"partial":true' or '') end

--- Windows of fixed bounds.
---@param opened table of state.open
---@param W table of windows.new; panes: of panes.new, or nil
function M.of_windows(opened, W)
  local P = W.panes

  function opened.places()
    local list = {}
    for _, e in ipairs((W.list())) do
      local head = bounds('window', e, flags(e))
      -- those made of panes may have no record of their own
      if P then list[#list + 1] = { head = head } end
      if not P or e.id >= 0 then
        list[#list + 1] = { ptr = e.ptr, section = e.id ~= OWN and e.id or nil, head = head, window = e }
      end
    end
    for _, e in ipairs(P and P.list() or {}) do
      list[#list + 1] = { ptr = e.ptr, section = e.id, head = bounds('pane', e, ''), pane = e }
    end
    return list
  end

  --- For a look: what each window of panes would show of each key, in records made for it.
  if P then
    function opened.looks() return P.looks((W.list())) end
  end

  function opened.place_of(line)
    local at = line.window or line.pane
    if type(at) ~= 'table' then return nil, '"window" says which window, an object { "start":…, "end":… }' end
    if at.start ~= nil and type(at.start) ~= 'number' then return nil, '"start" is a time in ms' end
    if line.pane then
      local e = P and at.start and P.take_in(at.start)
      if not e then return nil, 'the step has no such pane, or no open window that has it: lines of windows come before' end
      return e.ptr, e.id
    end
    local e = W.take_in(at.start, at.sent == true, at.partial == true or nil)
    if not e or at['end'] and at['end'] ~= e.to then return nil, 'the windows of the step have other bounds, or too many are open' end
    if P then return e.ptr, line.key ~= nil and P.section_of(e) or nil end
    return e.ptr, e.id ~= OWN and e.id or nil
  end

  function opened.tick() return select(2, W.list()) end
  opened.take_tick = W.take_tick
  if P then
    function opened.imported(p, line) if line.pane then P.imported(p) end end
  end
end

--- Windows that are records: sessions, counts.
function M.of_siblings(opened, W)
  opened.siblings, opened.tick, opened.take_tick, opened.is_head = true, W.tick, W.take_tick, W.is_head
end

return M
