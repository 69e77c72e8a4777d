--[[
shadow.lua - a candidate beside the run (host/engine/shadow.h): its packs in the place of the run's, its sinks, and its decisions compared
with the run's event by event.

  decisions   both note { step, slot of the event, rank, score, rules that matched } in C while somebody watches (tm_ffi_decided)
  compare     by step and slot; several about one event (a pack behind flat_map) in their order
  cell        live decision x candidate's: events, money, and where they differ the rules that do and some examples

A rule is responsible for a difference as '+id' where it matched in the candidate alone, '-id' in the run alone, '~id' in both and says
another score or mode; '~decisions' is what is left: thresholds, scorecards, the guard. Steps are the same by their name, "pipeline/step".

Everything here that is called per event runs in the candidate, which may be slow; the run only notes.
]]

local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local buffer = require 'string.buffer'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local floor = math.floor

local M = {}

local EXAMPLES, EXAMPLE_BYTES = 5, 400   -- of a cell; of the text of an event
local RULES_SHOWN = 12                   -- of a cell, in the text
local NONE = '-'                         -- no decision there: the event failed, or the pack is not there

local steps, amount_field = {}, nil        -- of the plan at hand
local candidate = false                    -- this process runs a candidate
local warming = {}                         -- of a candidate: { name, why } of what begins with nothing
local given, names = {}, {}                -- folders instead of others; names of packs that scripts have asked for

--- Scripts are about to be loaded; o: instead: folders of packs; amount: the field of money, for a candidate.
function M.begin(o)
  amount_field, given, names = o.amount, {}, {}
  candidate, warming = o.shadow or false, {}
  for i, dir in ipairs(o.instead or {}) do given[i] = { dir = dir } end
end

--- What a step kept cannot go on: does it begin with nothing? A candidate's does, which is told; anybody else is refused.
---@param name string of the state
---@param why string[] what has changed
function M.begins_anew(name, why)
  if candidate then warming[#warming + 1] = { state = name, why = table.concat(why, '; ') } end
  return candidate
end

--- Does this process run a candidate?
function M.is_candidate() return candidate end

--- A plan is about to be compiled.
function M.begin_plan() steps = {} end

--- The folder from which a pack is loaded that a script names: one given instead whose pack has the same name, the last of these.
function M.folder_of(dir, tm)
  if not given[1] then return dir end
  local open = require 'tidemill.pack_files'.open
  local function name_of(path)
    local files = open(path, tm)
    return files:has 'pack.lua' and files:value 'pack.lua'.name
  end
  local name = name_of(dir)
  names[#names + 1] = tostring(name)
  local found = dir
  for _, g in ipairs(given) do
    g.name = g.name or name_of(g.dir)
    if g.name and g.name == name then found, g.used = g.dir, true end
  end
  return found
end

--- A step has been compiled; J: of rules.new. Its number, and for a candidate a function: the money of the event at hand.
function M.add(name, J)
  local n = #steps
  steps[n + 1] = { name = name, J = J }
  if not amount_field or not J.pack.fields[amount_field] then return n, nil end
  local tx, field = J.tx, amount_field
  steps[n + 1].amount = field
  return n, function()
    local v = tx[field]
    return type(v) == 'number' and v or tonumber(v) or 0
  end
end

--- The plan of a candidate: its sinks are files of a folder, or keep nothing; the pack it is about is one of the run's.
function M.change(plan, o)
  if not o.shadow then return end
  local last = given[#given]
  if last and not last.used then
    raise('script', ("%s: no pack of the run is called '%s'%s"):format(last.dir, tostring(last.name),
      require 'tidemill.suggest'.among(tostring(last.name), names)))
  end
  local taken = {}
  for _, d in ipairs(plan.sinks) do
    if d.kind ~= 'link' and not d.of_table then
      local path = o.out and d.kind ~= 'discard' and o.out .. '/' .. require 'tidemill.replay'.file_of(d, taken)
      d.name = 'candidate ' .. (d.name or d.kind)   -- what the run's sink of that name has is the run's
      d.kind, d.path, d.files, d.sqlite = path and 'file' or 'discard', path or nil, nil, nil
    end
  end
end

-- Which packs there are ----------------------------------------------------------------------------

local function describe(step)
  local pack = step.J.pack
  local out = { name = step.name, pack = pack.name, version = pack.version, decisions = { [0] = pack.approve }, rules = {}, defs = {},
    amount = step.amount, top = #pack.decisions }
  for _, d in ipairs(pack.decisions) do out.decisions[d.rank] = d.name end
  for i, rule in ipairs(step.J.list) do
    out.rules[i] = rule.id
    out.defs[rule.id] = ('%s %s'):format(rule.score, rule.mode)
  end
  return out
end

--- The packs of the plan as text, for begin_compare of another process.
function M.packs()
  local list = {}
  for i, step in ipairs(steps) do list[i] = describe(step) end
  return buffer.encode(list)
end
jit.off(M.packs)

-- Comparing ------------------------------------------------------------------------------------------

local compared   -- list of { name, live, own, events, changed, rescored, cells, order, rules }
local of_live, of_own   -- by number of a step, from 0

local function new_comparison(name, live, own)
  return { name = name, live = live, own = own, events = 0, changed = 0, rescored = 0, cells = {}, list = {}, rules = {} }
end

--- From here on batches are compared; text: the run's packs.
function M.begin_compare(text)
  local live, own, by_name = buffer.decode(text), {}, {}
  compared, of_live, of_own = {}, {}, {}
  for i, step in ipairs(steps) do own[i] = describe(step) end
  for i, s in ipairs(live) do
    local c = new_comparison(s.name, s, nil)
    by_name[s.name], of_live[i - 1], compared[#compared + 1] = c, c, c
  end
  for i, s in ipairs(own) do
    local c = by_name[s.name]
    if not c then
      c = new_comparison(s.name, nil, s)
      compared[#compared + 1] = c
    end
    c.own, of_own[i - 1] = s, c
  end
end
jit.off(M.begin_compare)

local DECIDED = ffi.sizeof 'struct tm_decided'
local decided_ptr = ffi.typeof 'const struct tm_decided *'
local rules_ptr = ffi.typeof 'const int32_t *'

local function size_of(d) return DECIDED + 8 * floor((d.rules_n + 1) / 2) end
local function at(base, off) return ffi.cast(decided_ptr, base + off) end
local function rules_at(base, off) return ffi.cast(rules_ptr, base + off + DECIDED) end

--- Money is added in two parts, so that a million small sums are not lost in a large one.
local function add(cell, v)
  local sum = cell.sum + v
  cell.rest = cell.rest + (math.abs(cell.sum) >= math.abs(v) and (cell.sum - sum) + v or (v - sum) + cell.sum)
  cell.sum = sum
end

local function cell_of(c, live, own)
  local row = c.cells[live]
  if not row then
    row = {}
    c.cells[live] = row
  end
  local cell = row[own]
  if not cell then
    cell = { live = live, own = own, events = 0, sum = 0, rest = 0, rules = {}, examples = {} }
    row[own], c.list[#c.list + 1] = cell, cell
  end
  return cell
end

--- The ids of the rules that matched, as a set and in order.
local function matched(base, off, s)
  local set, list = {}, {}
  if not base then return set, list end
  local d, ids = at(base, off), rules_at(base, off)
  for i = 0, d.rules_n - 1 do
    local id = s.rules[ids[i] + 1]
    set[id], list[#list + 1] = true, id
  end
  return set, list
end

--- Which rules make the difference.
local function responsible(c, a_set, a_list, b_set, b_list)
  local out = {}
  for _, id in ipairs(b_list) do if not a_set[id] then out[#out + 1] = '+' .. id end end
  for _, id in ipairs(a_list) do if not b_set[id] then out[#out + 1] = '-' .. id end end
  if out[1] or not (c.live and c.own) then return out end
  for _, id in ipairs(a_list) do
    if c.live.defs[id] ~= c.own.defs[id] then out[#out + 1] = '~' .. id end
  end
  if not out[1] then out[1] = '~decisions' end
  return out
end

local function side(name, base, off, list)
  if not base then return { decision = name } end
  return { decision = name, score = at(base, off).score, rules = printable.list(list) }
end

local batch, origin   -- at hand

local function event_text(slot)
  local len = ffi.new 'int32_t[1]'
  local text = C.tm_ffi_batch_text(batch, slot, nil, len)
  if text == nil then return '' end
  return printable.cut(printable.line(ffi.string(text, math.min(len[0], 4 * EXAMPLE_BYTES))), EXAMPLE_BYTES)
end

--- One event's decisions: of the run at a of `live`, of the candidate at b of `own`; nil: it has none.
local function pair(c, live, a, own, b)
  local da, db = a and at(live, a), b and at(own, b)
  local name_a = da and c.live.decisions[da.rank] or NONE
  local name_b = db and c.own.decisions[db.rank] or NONE
  local cell = cell_of(c, name_a, name_b)
  c.events, cell.events = c.events + 1, cell.events + 1
  if db then add(cell, db.amount) end
  local a_n, b_n = da and da.rules_n or 0, db and db.rules_n or 0
  if a_n == 0 and b_n == 0 and name_a == name_b then return end
  local a_set, a_list = matched(a and live, a, c.live)
  local b_set, b_list = matched(b and own, b, c.own)
  for id in pairs(a_set) do
    c.rules[id] = c.rules[id] or { live = 0, own = 0 }
    c.rules[id].live = c.rules[id].live + 1
  end
  for id in pairs(b_set) do
    c.rules[id] = c.rules[id] or { live = 0, own = 0 }
    c.rules[id].own = c.rules[id].own + 1
  end
  if name_a == name_b then
    if da.score ~= db.score then c.rescored = c.rescored + 1 end
    return
  end
  c.changed = c.changed + 1
  local why = responsible(c, a_set, a_list, b_set, b_list)
  for _, id in ipairs(why) do cell.rules[id] = (cell.rules[id] or 0) + 1 end
  if #cell.examples == EXAMPLES then return end
  local slot = (da or db).slot
  local place = batch.line_first + batch.line[slot]
  cell.examples[#cell.examples + 1] = { at = ('%s:%s%.0f'):format(origin, batch.format == C.TM_FORMAT_MSGPACK and '@' or '', place),
    number = batch.before + slot + 1, amount = db and db.amount or nil, rules = printable.list(why), event = event_text(slot),
    live = side(name_a, a and live, a, a_list), candidate = side(name_b, b and own, b, b_list) }
end

--- What is left when both do not go side by side: by step and slot.
local function pair_rest(live, a, a_end, own, b, b_end)
  local waits = {}
  while a < a_end do
    local d = at(live, a)
    local c = of_live[d.step]
    local key = c.name .. '\0' .. d.slot
    local list = waits[key]
    if not list then
      list = { first = 1 }
      waits[key] = list
    end
    list[#list + 1] = { c, a }
    a = a + size_of(d)
  end
  while b < b_end do
    local d = at(own, b)
    local c = of_own[d.step]
    local list = waits[c.name .. '\0' .. d.slot]
    local found = list and list[list.first]
    if found then list.first = list.first + 1 end
    pair(c, live, found and found[2], own, b)
    b = b + size_of(d)
  end
  local left = {}
  for _, list in pairs(waits) do
    for i = list.first, #list do left[#left + 1] = list[i] end
  end
  table.sort(left, function(x, y) return x[2] < y[2] end)
  for _, item in ipairs(left) do pair(item[1], live, item[2], own, nil) end
end

--- Decisions of the run and of the candidate about the events of one batch: structs tm_decided, one behind the other.
function M.compare(live, live_n, own, own_n, b, from)
  batch, origin = ffi.cast('struct tm_batch *', b), from
  live, own = ffi.cast('const char *', live), ffi.cast('const char *', own)
  local x, y = 0, 0
  while x < live_n and y < own_n do
    local da, db = at(live, x), at(own, y)
    local c = of_live[da.step]
    if c ~= of_own[db.step] or da.slot ~= db.slot then break end
    pair(c, live, x, own, y)
    x, y = x + size_of(da), y + size_of(db)
  end
  if x < live_n or y < own_n then pair_rest(live, x, live_n, own, y, own_n) end
end

-- What was found -------------------------------------------------------------------------------------

--- Names of decisions, the lowest first: the candidate's, and those that the run alone has.
local function decisions_of(c)
  local list, seen = {}, {}
  for _, s in ipairs { c.own or c.live, c.live or c.own } do
    for rank = 0, s.top do
      local name = s.decisions[rank]
      if not seen[name] then list[#list + 1], seen[name] = name, true end
    end
  end
  for _, cell in ipairs(c.list) do
    if (cell.live == NONE or cell.own == NONE) and not seen[NONE] then list[#list + 1], seen[NONE] = NONE, true end
  end
  return list
end

local function in_order(rules)
  local list = {}
  for id, n in pairs(rules) do list[#list + 1] = { rule = id, events = n } end
  table.sort(list, function(a, b)
    if a.events ~= b.events then return a.events > b.events end
    return a.rule < b.rule
  end)
  return list
end

local function sorted_cells(c, changed)
  local list = {}
  for _, cell in ipairs(c.list) do if not changed or cell.live ~= cell.own then list[#list + 1] = cell end end
  table.sort(list, function(a, b)
    if a.events ~= b.events then return a.events > b.events end
    return a.live .. '\0' .. a.own < b.live .. '\0' .. b.own
  end)
  return list
end

local function which(s) return s and { pack = s.pack, version = s.version } or nil end

local function as_data(c)
  local cells, rules = {}, {}
  for i, cell in ipairs(sorted_cells(c)) do
    local changed = cell.live ~= cell.own
    cells[i] = { live = cell.live, candidate = cell.own, events = cell.events,
      amount = c.own and c.own.amount and cell.sum + cell.rest or nil,
      rules = changed and printable.list(in_order(cell.rules)) or nil, examples = changed and printable.list(cell.examples) or nil }
  end
  for id, n in pairs(c.rules) do rules[#rules + 1] = { rule = id, live = n.live, candidate = n.own } end
  table.sort(rules, function(a, b) return a.rule < b.rule end)
  return { step = c.name, live = which(c.live), candidate = which(c.own), events = c.events, changed = c.changed, rescored = c.rescored,
    amount_field = c.own and c.own.amount, decisions = printable.list(decisions_of(c)), matrix = printable.list(cells),
    rules = printable.list(rules) }
end

--- 1234567 as '1,234,567'.
local function counted(n)
  local text = ('%.0f'):format(n)
  repeat
    local more
    text, more = text:gsub('^(%-?%d+)(%d%d%d)', '%1,%2')
  until more == 0
  return text
end

local function money(v)
  local whole = v < 0 and math.ceil(v) or floor(v)
  local sign = v < 0 and whole == 0 and '-' or ''
  local cents = floor(math.abs(v - whole) * 100 + 0.5)
  if cents == 100 then whole, cents = whole + (v < 0 and -1 or 1), 0 end
  return ('%s%s.%02d'):format(sign, counted(whole), cents)
end

local function put_matrix(out, c)
  local decisions = decisions_of(c)
  local rows = { { 'live \\ candidate', unpack(decisions) } }
  for _, live in ipairs(decisions) do
    local row = { live }
    for _, own in ipairs(decisions) do
      local cell = c.cells[live] and c.cells[live][own]
      row[#row + 1] = cell and counted(cell.events) or '.'
    end
    rows[#rows + 1] = row
  end
  local widths = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 0, #text) end
  end
  for _, row in ipairs(rows) do
    local line = { row[1] .. (' '):rep(widths[1] - #row[1]) }
    for i = 2, #row do line[i] = (' '):rep(widths[i] - #row[i]) .. row[i] end
    out[#out + 1] = '  ' .. table.concat(line, '  ')
  end
end

local function put_cell(out, c, cell)
  local amount = c.own and c.own.amount and ('  %s %s'):format(c.own.amount, money(cell.sum + cell.rest)) or ''
  local rules = {}
  for i, r in ipairs(in_order(cell.rules)) do
    if i > RULES_SHOWN then
      rules[#rules + 1] = '…'
      break
    end
    rules[i] = ('%s %s'):format(r.rule, counted(r.events))
  end
  out[#out + 1] = ('  %s -> %s  %s events%s  %s'):format(cell.live, cell.own, counted(cell.events), amount, table.concat(rules, ', '))
  for _, e in ipairs(cell.examples) do
    out[#out + 1] = ('    %s  score %s -> %s  %s'):format(e.at, e.live.score and ('%.14g'):format(e.live.score) or '-',
      e.candidate.score and ('%.14g'):format(e.candidate.score) or '-', printable.cut(e.event, 120))
  end
end

local function put_text(out, c)
  local function shown(s) return s and s.pack .. ' ' .. s.version or 'none' end
  out[#out + 1] = ('%s: %s -> %s'):format(c.name, shown(c.live), shown(c.own))
  out[#out + 1] = ('  %s decisions, %s changed%s%s'):format(counted(c.events), counted(c.changed),
    c.events > 0 and (' (%.2f %%)'):format(100 * c.changed / c.events) or '',
    c.rescored > 0 and (', %s the same with another score'):format(counted(c.rescored)) or '')
  put_matrix(out, c)
  for _, cell in ipairs(sorted_cells(c, true)) do put_cell(out, c, cell) end
end

--- What was found so far, as text and as JSON, two objects of `packs`.
function M.found()
  local out, data = {}, {}
  for i, c in ipairs(compared) do
    put_text(out, c)
    data[i] = as_data(c)
  end
  for _, w in ipairs(warming) do
    out[#out + 1] = ("warming: '%s' began with nothing when the candidate did: %s"):format(w.state, printable.line(w.why))
  end
  if not compared[1] then out[#out + 1] = 'neither the run nor the candidate has a pack: there are no decisions to compare' end
  return table.concat(out, '\n') .. '\n', printable.json { packs = printable.list(data), warming = printable.list(warming) }
end
jit.off(M.found)

return M
