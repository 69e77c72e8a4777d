--[[
state_export.lua - states as lines of JSON: `tidemill state export`, which state_import.lua reads back.

  {"state":"spend/idle","key":["c1"],"value":{"n":3},"more":{"":{"born":1}},"due":1700000060000}
  {"state":"sums/w","window":{"start":0,"end":60000},"key":["c1"],"value":…}
  {"clock":"spend/event_time","watermark":1700000000999,"passed":1700000000999}

A line a key, the states in the order of the scripts, windows by their starts (state_places.lua), keys in order of arrival. `value` has
the fields of the script, `more` what else is kept of them, by field ("" of none) and part; left out is what there is nothing of.
`due`: when the record is looked at. The key of a timer is its name and the key that it is for. Then {"state":…,"arrivals":n} where
events are counted, and {"state":…,"tick":t} where rows come early; at last how far clocks are. Values: state_exact.lua.

Of what sliding windows, features, joins and patterns keep, records mean something to the same step only: a line
{"state":…,"set":{…}} says what it is (state_settings.lua). Events that wait for a pattern are lines of their own (patterns_waits.lua). What
`aggregate` keeps behind a sliding window lies in C in a form of its own, and features that tell values apart by hashes, whose seed is the
folder's: both are left out (bound_here).
]]

local lib = require 'tidemill.lib'
local exact = require 'tidemill.state_exact'
local keep = require 'tidemill.keep'
local layout = require 'tidemill.state_layout'
local printable = require 'tidemill.printable'
local seal = require 'tidemill.state_seal'
local state = require 'tidemill.state'
local value = require 'tidemill.value'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

local M = {}

-- steps whose lines are of use to the very same step alone
local OWN_WORDS = { over = true, features = true, match = true, join = true, window_join = true }

local put = exact.put
local parts, key_len = ffi.new 'struct tm_value[16]', ffi.new 'int32_t[1]'

function M.is_timers(opened) return opened.words.kind == 'timers' or opened.words.kind == 'wall_timers' end

--- What of the states of a plan can be written out and read: a list, by name too; and by name why not.
function M.states()
  local list, left = {}, {}
  for _, opened in ipairs(state.opened) do
    local kind = opened.words.kind
    if not kind or opened.bound_here then
      left[#left + 1] = opened.name
      left[opened.name] = true
    else
      list[#list + 1] = opened
      list[opened.name] = opened
    end
  end
  return list, left
end

local function put_parts(buf, bytes, len)
  put(buf, '[')
  for i = 1, C.tm_ffi_key_parts(bytes, len, parts) do
    if i > 1 then put(buf, ',') end
    exact.put_value(buf, parts[i - 1])
  end
  put(buf, ']')
end

--- number: the cell of a record that has a number among those of its key (siblings.lua), or nil.
local function put_key(buf, opened, ptr, record, number)
  local bytes = C.tm_ffi_state_key(ptr, record, key_len)
  if number and number(record) ~= 0 then
    C.tm_ffi_key_parts(bytes, key_len[0], parts)
    return put_parts(buf, parts[0].text, parts[0].len)
  end
  if not M.is_timers(opened) then return put_parts(buf, bytes, key_len[0]) end
  C.tm_ffi_key_parts(bytes, key_len[0], parts)
  local of, len = parts[1].text, parts[1].len
  put(buf, '[')
  exact.put_value(buf, parts[0])
  put(buf, ',')
  put_parts(buf, of, len)
  put(buf, ']')
end

--- Text before each cell of a record, and the cell: first those of `value`, then those of `more`.
local function plan_of(opened)
  local words, list, open = layout.parse(opened.layout), {}, ',"value":{'
  for _, f in ipairs(words.fields) do
    if f.main then
      list[#list + 1] = { open .. value.json(f.name) .. ':', f.main }
      open = ','
    end
  end
  local closed, more = list[1] and '}' or '', false
  local function put_more(f)
    local begins
    for _, c in ipairs(f) do
      if c.part then
        local before = begins and ',' or (more and '},' or closed .. ',"more":{') .. value.json(f.name) .. ':{'
        list[#list + 1] = { before .. value.json(c.part) .. ':', c }
        begins, more = true, true
      end
    end
  end
  for _, f in ipairs(words.fields) do put_more(f) end
  if words.fields[''] then put_more(words.fields['']) end
  return list, more and '}}' or closed
end

--- The number of a record among those of its key.
function M.number_of(opened, words)
  local cell = opened.siblings and words.fields[''].parts.number
  if not cell then return nil end
  return function(record) return ffi.cast('double *', ffi.cast('char *', record) + cell.off)[0] end
end

--- next(): the records of a place one by one; nil: these are all.
local function records(ptr, section)
  local cursor, i = nil, 0
  return function()
    if section then
      i = i + 1
      local p = C.tm_ffi_section_at(ptr, section, i)
      return p ~= nil and p or nil
    end
    if not cursor then cursor = C.tm_ffi_cursor_new(ptr) end
    if cursor == nil then raise('memory', 'no memory to walk a state (--memory)') end
    while cursor.done == 0 do
      local p = C.tm_ffi_cursor_next(cursor)
      if p ~= nil then return p end
    end
    C.tm_ffi_cursor_free(cursor)
    return nil
  end
end
M.records = records

--- put(buf, ptr, record, head): a line of a state, without its end.
function M.line_of(opened)
  local cells, close = plan_of(opened)
  local begin, number = '{"state":' .. value.json(opened.name), M.number_of(opened, layout.parse(opened.layout))
  return function(buf, ptr, record, head)
    put(buf, begin)
    put(buf, head)
    put(buf, ',"key":')
    put_key(buf, opened, ptr, record, number)
    for i = 1, #cells do
      put(buf, cells[i][1])
      exact.put_cell(buf, ptr, record, cells[i][2])
    end
    put(buf, close)
    local due = opened.made_of.timed ~= 0 and C.tm_ffi_due_time(ptr, record) or 0 / 0
    if due == due then put(buf, (',"due":%.0f'):format(due)) end
    put(buf, '}')
  end
end

--- A line of an event that waits.
---@param e ffi.cdata* struct tm_waiting; key: struct tm_key; ordered: it has an order
function M.put_waiting(buf, name, key, e, ordered)
  put(buf, '{"state":' .. value.json(name) .. ',"key":')
  put_parts(buf, key.bytes, key.len)
  put(buf, (',"time":%.0f,"mark":%.0f,"event":'):format(e.time, e.mark))
  exact.put_text(buf, e.text, e.len)
  if ordered then
    put(buf, ',"order":')
    exact.put_value(buf, e.order)
  end
  put(buf, '}')
end

--- Lines of a state behind its records.
local function closing(opened)
  local list, name = {}, value.json(opened.name)
  local holds = opened.ptr.keys > 0
  if opened.places then holds = opened.places()[1] ~= nil end
  if holds and OWN_WORDS[opened.words.kind] and opened.words.set then
    local set = {}
    for _, s in ipairs(opened.words.set) do set[s[1]] = s[2] end
    list[1] = ('{"state":%s,"set":%s}'):format(name, value.json(set))
  end
  if opened.arrivals and (opened.places or opened.ptr.keys > 0) and opened.arrivals() > 0 then
    list[#list + 1] = ('{"state":%s,"arrivals":%.0f}'):format(name, opened.arrivals())
  end
  local tick = opened.tick and opened.tick() or math.huge
  if tick < math.huge then list[#list + 1] = ('{"state":%s,"tick":%.0f}'):format(name, tick) end
  return list
end

--- What is to be written, in order: a list of { opened, text } and { opened, write, ptr, section, head }.
local function jobs_of(list)
  local jobs = {}
  local function add(job) jobs[#jobs + 1] = job end
  for _, opened in ipairs(list) do
    local write = M.line_of(opened)
    for _, place in ipairs(opened.places and opened.places() or { { ptr = opened.ptr, head = '' } }) do
      if place.ptr then add { opened = opened, write = write, ptr = place.ptr, section = place.section, head = place.head }
      else add { opened = opened, text = '{"state":' .. value.json(opened.name) .. place.head .. '}' } end
    end
    for _, line in ipairs(closing(opened)) do add { opened = opened, text = line } end
    for _, line in ipairs(opened.waiting_lines and opened.waiting_lines() or {}) do add { opened = opened, text = line } end
  end
  return jobs
end

--- Lines of seals, and at last of clocks.
local function last_lines(sums)
  local lines = {}
  for _, step in ipairs(sums.steps) do
    local s = sums.of(step)
    lines[#lines + 1] = ('{"seal":%s,"lines":%d,"sum":"%s"}'):format(value.json(step), s.lines, s.sum)
  end
  for _, line in ipairs(keep.clock_lines()) do lines[#lines + 1] = line end
  return lines
end

--- next(out): writes the next line, or returns false; and a function that gives the state and record at work.
function M.writer()
  local list, left = M.states()
  local jobs, at, next_record, record = {}, 0, nil, nil
  local sums, sealed = seal.new(), false
  if left[1] then
    lib.host.warn(("left out, as no other folder can read it: what sliding windows and features of different values keep: '%s'"):format(
      printable.line(table.concat(left, "', '"))))
  end
  local function step()
    if at == 0 then jobs = jobs_of(list) end   -- not before what the library remembers was loaded
    while true do
      record = next_record and next_record()
      if record then return jobs[at] end
      at, next_record = at + 1, nil
      local job = jobs[at]
      if not job and not sealed then
        sealed = true
        for i, line in ipairs(last_lines(sums)) do jobs[at + i - 1] = { text = line } end
        job = jobs[at]
      end
      if not job or job.text then return job end
      next_record = records(job.ptr, job.section)
    end
  end
  return function(out)
    local job = step()
    if not job then return false end
    local from = out.buf.len
    if job.text then put(out.buf, job.text) else job.write(out.buf, job.ptr, record, job.head) end
    local name = job.opened and seal.step_of(job.opened)
    if name then sums.add(name, ffi.string(out.buf.data + from, out.buf.len - from)) end
    if C.tm_ffi_out_end(out, lib.flow) ~= 0 then raise('row-too-large', 'it is larger than 16 MiB') end
    return true
  end, function() return jobs[at] and jobs[at].opened, jobs[at] and jobs[at].ptr, record end
end

return M
