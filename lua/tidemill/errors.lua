--[[
errors.lua - what happens when an event fails: the message with its place, the dead letter, the first report.

A caught error becomes { code, message, source, line, traceback }. The dead letter is one JSON object, keys in byte
order: { at, code, event, key, pipeline, position, reason, step }; `event` is the event as it entered the pipeline
(a line that is no event: its text, invalid bytes as U+FFFD). The same root cause is reported once, then counted.
]]

local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local value = require 'tidemill.value'
local sandbox = require 'tidemill.sandbox'
local C, host = lib.C, lib.host
local ffi_string = lib.ffi.string

local M = { quiet = false }   -- quiet: what fails is counted and not told, as a spec looks at the dead letters

local MESSAGE_MAX = 2000   -- bytes of what a script says went wrong
local CODE_MAX = 40        -- bytes of an error's code
local CAUSES_MAX = 1000    -- root causes reported one by one; further ones are counted

local function user_traceback(level)
  local lines = {}
  for i = level, level + 200 do
    local info = debug.getinfo(i, 'Sln')
    if not info or info.source == '=tidemill.testing' then break end
    local name = info.source:sub(1, 1) == '@' and info.source:sub(2)
    if name and stream.is_user(name) then
      lines[#lines + 1] = ('  %s:%d: in %s'):format(name, info.currentline, info.name or
        (info.what == 'main' and 'the script' or ('the function at line ' .. info.linedefined)))
    end
  end
  return table.concat(lines, '\n')
end

local absent = { os = true, io = true, debug = true, package = true, ffi = true, jit = true, load = true, loadstring = true,
  dofile = true, loadfile = true, collectgarbage = true, xpcall = true, setfenv = true, getfenv = true, newproxy = true }

--- What to do about a common mistake, from LuaJIT's own words.
local function advice(message)
  local name = message:match "global '([%w_]+)'"
  if name and absent[name] then return '; scripts have no ' .. name .. ': the host does files, clocks and code loading' end
  if message:find 'compare .*nil' or message:find "field '[^']*' %(a nil value%)" then
    return '; a missing or null field reads as nil: test it first, or give it a value, as in (e.x or 0)'
  end
  if message:find 'compare string with number' or message:find 'compare number with string' then
    return '; tonumber(e.x) makes a number of a text'
  end
  local method = message:match "^attempt to call method '([%w_]+)'"
  if method then return '; events and values have no ' .. method .. ': a field is e.x, functions are in tm, string, table and math' end
  if message:find '^malformed pattern' then return '; write % before a sign that stands for itself, as in %[' end
  return ''
end

--- A value that a script raised, for people. Its __tostring may raise; where it never ends the deadline ends it.
local function describe(e)
  if type(e) ~= 'table' then return sandbox.tostring(e) end
  if type(rawget(e, 'message')) == 'string' then return rawget(e, 'message') end
  if debug.getmetatable(e) == nil then
    local ok, text = pcall(value.json, e)
    if ok and #text < 400 then return text end
  end
  local ok, text = pcall(sandbox.tostring, e)
  return ok and text or 'a table whose __tostring failed'
end

-- places whose traceback is told: walking the stack costs more than all the rest of a failing event
local traced, traced_n = {}, 0

local function traceback_once(source, line)
  local key = (source or '') .. ':' .. (line or '')
  if traced[key] or traced_n >= CAUSES_MAX then return nil end
  traced[key], traced_n = true, traced_n + 1
  return user_traceback(4)
end

--- What a text that was raised says; the same text again is the same table.
local said, said_n = {}, 0

local function describe_text(e, out)
  local name, at, text = e:match '^(.-):(%d+): (.*)$'
  if name and stream.is_user(name) then
    out.source, out.line, out.message = name, tonumber(at), text
  else
    out.message = e:gsub('^%(pipeline [^)]*%):%d+: ', ''):gsub('^tidemill%.[%w_]+:%d+: ', '')
  end
  out.message = out.message .. advice(out.message)
  out.code = e:find('not enough memory', 1, true) and 'memory' or 'lua'
  if out.code == 'memory' then
    out.message = 'the script used more than its memory (--script-memory)'
  elseif e:find('stack overflow', 1, true) then
    out.code = 'stack-overflow'
  end
end

--- Runs where the error was raised (message handler). source, line: that place in the script, if it is in one.
function M.handle(e, source, line)
  local before = said[e]
  if before and before.at_source == source and before.at_line == line then
    return before
  end
  local out = { source = source, line = line, at_source = source, at_line = line, traceback = traceback_once(source, line) }
  if type(e) == 'table' and debug.getmetatable(e) == lib.error_mt then
    -- a script that caught it may have written into it
    local code, message = rawget(e, 'code'), rawget(e, 'message')
    out.code = type(code) == 'string' and #code <= CODE_MAX and code or 'lua'
    out.message = type(message) == 'string' and message or describe(message)
  elseif type(e) == 'string' then
    describe_text(e, out)
    if #e < MESSAGE_MAX and said_n < CAUSES_MAX then said[e], said_n = out, said_n + 1 end
  else
    out.code = 'lua'
    out.message = describe(e)
  end
  if #out.message > MESSAGE_MAX then out.message = out.message:sub(1, MESSAGE_MAX) .. '…' end
  return out
end

--- "file:line" of an error, or the step's place.
local function at_of(e, step)
  if e.source then return e.source .. ':' .. e.line end
  return step and step.place or ''
end

local function position_of(pipeline, row)
  return host.position(pipeline.index, row)
end

--- The first bytes of a text, whole characters.
local function cut(text, n)
  if #text <= n then return text end
  while n > 0 and text:byte(n + 1) >= 0x80 and text:byte(n + 1) < 0xc0 do n = n - 1 end
  return text:sub(1, n) .. '…'
end

local function put(buf, s) C.tm_ffi_buf_put(buf, s, #s) end

local function put_string(buf, s)
  if C.tm_ffi_json_lossy(buf, s, #s) ~= 0 then put(buf, '""') end
end

local function put_key(buf, key)
  put(buf, ',"key":')
  if not pcall(value.encode, buf, key) then put(buf, 'null') end
end

local text_len = lib.ffi.new 'int32_t[1]'
local SHOWN_MAX = 400

--- What is no event: its text, or what bytes it has.
local function put_bad(buf, batch, row)
  local p, len = batch.raw + batch.off[row], batch.len[row]
  if batch.format == C.TM_FORMAT_MSGPACK then return C.tm_ffi_note_opaque(buf, 0xc4, 0, p, len) end
  C.tm_ffi_json_lossy(buf, p, len)
end

--- The event in `row` as text for a letter; its bytes where the format has no text for it (NaN in JSON).
local function put_event(buf, batch, row, format)
  local text = C.tm_ffi_batch_text(batch, row, nil, text_len)
  local from = buf.len
  if text ~= nil and C.tm_ffi_buf_put(buf, text, text_len[0]) == 0 then
    local keeps = format == C.TM_FORMAT_MSGPACK or batch.format == format and format == C.TM_FORMAT_JSON
    if keeps or C.tm_ffi_note_clean(buf, from) == 0 then return end
  end
  buf.len = from
  put_bad(buf, batch, row)
end

--- The first bytes of an event, or of what is none, for people.
local function shown(batch, row, is_bad)
  local p, len = batch.raw + batch.off[row], math.min(batch.len[row], SHOWN_MAX)
  local buf = lib.scratch
  buf.len = 0
  if batch.format ~= C.TM_FORMAT_MSGPACK then
    -- a text of CSV may hold whatever a terminal obeys
    if not is_bad and batch.format == C.TM_FORMAT_JSON then return ffi_string(p, len) end
    C.tm_ffi_json_lossy(buf, p, len)
  elseif is_bad then
    local bytes = ffi_string(p, math.min(len, 64))
    return (bytes:gsub('.', function(c) return ('%02x '):format(c:byte()) end)) .. (len > 64 and '…' or '')
  else
    put_event(buf, batch, row, C.TM_FORMAT_JSON)
    C.tm_ffi_note_clean(buf, 0)
  end
  return ffi_string(buf.data, math.min(buf.len, SHOWN_MAX))
end

--- row: of the batch; below 0 what failed follows its event. letter.row, letter.timer: what failed was no event, but this.
local function write_letter(pipeline, row, letter, is_bad)
  local step = pipeline.on_error
  if not step then return false end
  local out, batch = step.out.ptr, pipeline.source.batch
  C.tm_ffi_out_begin(out, batch, row < 0 and row - C.TM_AFTER or row)
  local buf = out.buf
  put(buf, '{"at":') put_string(buf, letter.at)
  put(buf, ',"code":') put_string(buf, letter.code)
  if not (letter.row or letter.timer) then
    put(buf, ',"event":')
    if is_bad then put_bad(buf, batch, row) else put_event(buf, batch, row, out.format) end
  end
  if letter.key ~= nil then put_key(buf, letter.key) end
  put(buf, ',"pipeline":') put_string(buf, pipeline.name)
  put(buf, ',"position":') put_string(buf, letter.position)
  put(buf, ',"reason":') put_string(buf, letter.reason)
  if letter.row then put(buf, ',"row":') value.encode(buf, letter.row) end
  put(buf, ',"step":') put_string(buf, letter.step)
  if letter.timer then put(buf, ',"timer":') value.encode(buf, letter.timer) end
  put(buf, '}')
  C.tm_ffi_out_end(out, lib.flow)
  return true
end

local reported, known = {}, {}
local causes = 0

--- Is this root cause counted already, so that counting is all that is left to do? And is it to be reported?
local function cause_of(pipeline, step_label, code, at, reason)
  local field = reason:match "^field '[^']*'" or ''
  local counted = pipeline.name .. '\0' .. step_label .. '\0' .. code
  local cause = counted .. '\0' .. at .. '\0' .. field
  local was_known, first = known[counted], not reported[cause] and causes < CAUSES_MAX
  known[counted] = true
  if first then
    reported[cause] = true
    causes = causes + 1
  end
  return was_known and not first, first
end

--- Reports a root cause; the host counts the rest. first: it was not told yet.
local function report(pipeline, letter, first, event_text, traceback)
  local text
  if first and not M.quiet then
    event_text = cut(event_text, 300)
    text = ('%s: %s [%s]\n  pipeline %s, step %s, event %s\n  %s'):format(letter.at ~= '' and letter.at or letter.position,
      letter.reason, letter.code, pipeline.name, letter.step, letter.position, event_text)
    if traceback and select(2, traceback:gsub('\n', '\n')) >= 1 then text = text .. '\n' .. traceback end
    text = text .. '\n  (counted from here on; see the summary' .. (pipeline.on_error and ' and the dead letters' or
      ", or keep such events with :on_error(tm.sink.file '…')") .. ')'
  end
  local example = (letter.at ~= '' and letter.at .. ': ' or '') .. letter.reason .. ' (event ' .. letter.position .. ')'
  -- the host's texts end at a zero byte
  host.failure(pipeline.name, letter.step, letter.code, (example:gsub('%z', '\\0')), text and text:gsub('%z', '\\0'))
end

--- The event in `row` failed in this pipeline: undo, dead letter, report. Called by the host after the loop raised.
function M.fail(pipeline, row, e)
  local number = lib.flow.marker.step
  -- events that were taken in before it are told first
  if row >= 0 and lib.flow.taken ~= 0 and pipeline.postpone then
    pipeline.abandon()
    host.rollback(pipeline.index, row)
    return pipeline.postpone(e)
  end
  -- it has moved the watermark: what is due then follows it, also where it is the last of its batch
  if row >= 0 and pipeline.clocked and lib.flow.firing == 0 then lib.flow.due = 1 end
  local again = e.pipeline == pipeline and e.number == number
  if again and not pipeline.on_error then
    pipeline.abandon()
    return host.failed_again(pipeline.index, row, e.entry)
  end
  local views, step = pipeline.views, pipeline.group.steps[number]
  local at, label = at_of(e, step), step and step.label or 'read'
  local told, first = true, false
  if not again then told, first = cause_of(pipeline, label, e.code, at, e.message) end
  local key, unit
  if pipeline.unit and (row < 0 or lib.flow.firing ~= 0) then key, unit = pipeline.unit() end
  if not unit and row >= 0 and pipeline.on_error then
    local view = step and step.level and views and views[step.level + 1] or pipeline.entry
    key = view and view.key_letter()
  end
  pipeline.abandon()
  host.rollback(pipeline.index, row)
  if told then
    e.pipeline, e.number = pipeline, number
    if not pipeline.on_error then
      e.entry = host.failure(pipeline.name, label, e.code, '')
      return
    end
  end
  local batch = pipeline.source.batch
  local letter = { at = at, code = e.code, reason = e.message, position = position_of(pipeline, row), step = label, key = key,
    row = unit and unit.row, timer = unit and unit.timer }
  write_letter(pipeline, row, letter, false)
  report(pipeline, letter, first, unit and value.json(unit.row or unit.timer) or row >= 0 and shown(batch, row, false) or '', e.traceback)
  e.traceback = nil   -- the same error of another pipeline needs it no more
end

--- A line that is no event, for one pipeline that reads its source; or an event that is left out ('quarantined'), at
--- the step that the marker names.
function M.bad_line(pipeline, row, code, why)
  local batch = pipeline.source.batch
  local step = code == 'quarantined' and pipeline.group.steps[lib.flow.marker.step]
  local letter = {
    at = step and step.place or '', code = code, reason = why, position = position_of(pipeline, row),
    step = step and step.label or 'decode',
  }
  local is_bad = code ~= 'quarantined'
  write_letter(pipeline, row, letter, is_bad)
  local _, first = cause_of(pipeline, letter.step, code, letter.at, why)
  report(pipeline, letter, first, shown(batch, row, true))
end

return M
