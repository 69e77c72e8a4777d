--[[
state_windows_cases.lua - for state_windows_spec.lua, in `tidemill test`: what the windows of a list of events { ts, k, v } hold, counted
the slow way: each window a list { key, from, to, the numbers of its events }.
]]

local M = {}

local function fixed(events, size, slide)
  local by, list = {}, {}
  for i, e in ipairs(events) do
    for from = math.floor(e.ts / slide) * slide, e.ts - size + 1, -slide do
      local name = from .. ' ' .. e.k
      if not by[name] then
        by[name] = { key = e.k, from = from, to = from + size }
        list[#list + 1] = by[name]
      end
      table.insert(by[name], i)
    end
  end
  return list
end

local function sessions(events, gap)
  local list = {}
  for i, e in ipairs(events) do
    local new, rest = { key = e.k, from = e.ts, to = e.ts + gap, i }, {}
    for _, w in ipairs(list) do
      if w.key == e.k and w.from <= new.to and new.from <= w.to then
        new.from, new.to = math.min(w.from, new.from), math.max(w.to, new.to)
        for _, n in ipairs(w) do new[#new + 1] = n end
      else
        rest[#rest + 1] = w
      end
    end
    rest[#rest + 1] = new
    list = rest
  end
  return list
end

local function counts(events, n, slide)
  local by, list = {}, {}
  for i, e in ipairs(events) do
    by[e.k] = by[e.k] or { seen = 0, open = {} }
    local at = by[e.k]
    if at.seen % slide == 0 then
      local w = { key = e.k }
      at.open[#at.open + 1], list[#list + 1] = w, w
    end
    at.seen = at.seen + 1
    for j = #at.open, 1, -1 do
      local w = at.open[j]
      w[#w + 1] = i
      if #w == n then
        w.full = i
        table.remove(at.open, j)
      end
    end
  end
  return list
end

M.kinds = {
  { 'tumbling', function(tm) return tm.window.tumbling '20ms' end, function(e) return fixed(e, 20, 20) end },
  { 'hopping', function(tm) return tm.window.hopping('20ms', '10ms') end, function(e) return fixed(e, 20, 10) end },
  { 'panes', function(tm) return tm.window.hopping('40ms', '10ms') end, function(e) return fixed(e, 40, 10) end },
  { 'nodes', function(tm) return tm.window.hopping('200ms', '10ms') end, function(e) return fixed(e, 200, 10) end },
  { 'session', function(tm) return tm.window.session '7ms' end, function(e) return sessions(e, 7) end },
  { 'count', function(tm) return tm.window.count(5) end, function(e) return counts(e, 5, 5) end },
  { 'gaps', function(tm) return tm.window.count(3, { slide = 5 }) end, function(e) return counts(e, 3, 5) end },
  { 'overlap', function(tm) return tm.window.count(6, { slide = 2 }) end, function(e) return counts(e, 6, 2) end },
}

--- The rows of windows, as texts, sorted; changed: so many events came before an aggregate s was added; delay: of the watermark.
function M.rows(events, kind, changed, delay)
  local list, highest, open = {}, -math.huge, {}
  for i = 1, changed do highest = math.max(highest, events[i].ts) end
  local shared = kind[1] ~= 'session' and not kind[1]:find 'count' and kind[1] ~= 'gaps' and kind[1] ~= 'overlap'
  local windows = kind[3](events)
  for _, w in ipairs(windows) do
    if w[1] <= changed then open[tostring(w.from)] = true end
  end
  for _, w in ipairs(windows) do
    table.sort(w)
    local sum, before = 0, false
    for _, i in ipairs(w) do
      if i > changed then sum = sum + events[i].v else before = true end
    end
    local sent = w.from and w.to - 1 <= highest - delay or w.full and w.full <= changed
    if shared then before = open[tostring(w.from)] end
    local text = ('%s %s-%s n %d'):format(w.key, tostring(w.from), tostring(w.to), #w)
    list[#list + 1] = sent and text or ('%s s %d%s'):format(text, sum, before and ' partial' or '')
  end
  table.sort(list)
  return list
end

function M.text(row)
  return ('%s %s-%s n %d%s%s'):format(row.k, tostring(row.window_start), tostring(row.window_end), row.n, row.s and ' s ' .. row.s or '',
    row.partial and ' partial' or '')
end

return M
