--[[
keep.lua - what the library itself remembers between events, as one text: saved at an epoch, loaded by the process that goes on.

Keyed state lies in C and survives by itself; here is what hangs beside it in Lua: clocks, windows that are open, counters that decide about
rows to come. Whoever keeps such registers it when it is made, under the name of its pipeline and step, never by its place in a plan:

  M.add(name, kind, save, load)     save(): plain data (numbers, strings, booleans, tables of these), nil: nothing yet; load(data): back
                                    to what it was, or a text that says why it cannot be

Numbers keep all their bits, infinities and NaN too. A state of C is its address, which means the same in the process that goes on; what
was registered by a step that has several states asks for each again (M.state). What is saved grows with open windows, never with keys.
The text is that of LuaJIT's string.buffer, which later versions of it read.

Both are called between two batches, when M.resting() says that nothing is under way: no window is being shown, no timer at work.
]]

local lib = require 'tidemill.lib'
local buffer = require 'string.buffer'
local removed = require 'tidemill.keep_removed'
local shadow = require 'tidemill.shadow'
local state = require 'tidemill.state'
local C, ffi, raise = lib.C, lib.ffi, lib.raise

jit.off(true, true)   -- nothing here is worth a trace, and a trace may not raise in string.buffer (README, decision 18)

local M = {}

local VERSION = 1

local parts, by_name, tests, clocks = {}, {}, {}, {}

M.looks = false   -- there are no scripts: all that is kept is looked at

--- A plan begins: what was registered by the one before is forgotten.
function M.begin()
  parts, by_name, tests, clocks = {}, {}, {}, {}
  state.begin()
  removed.begin()
end

--- Registers what a step remembers.
---@param name string "pipeline/step", "pipeline/step/part"; of several of one name the order in the text of the script tells
---@param kind string what it is: data of another kind is not loaded
---@param save function (): plain data, or nil
---@param load function (data): why it cannot be loaded, or nil
function M.add(name, kind, save, load)
  local base, n = name, 1
  while by_name[name] do
    n = n + 1
    name = base .. ' ' .. n
  end
  local part = { name = name, kind = kind, save = save, load = load }
  parts[#parts + 1], by_name[name] = part, part
end

--- Registers a clock beside its part.
---@param name string of M.add
---@param k ffi.cdata* struct tm_clock *
---@param set_due function (k, due)
function M.add_clock(name, k, set_due)
  clocks[#clocks + 1] = { name = name, k = k, set_due = set_due }
  clocks[name] = clocks[name] or clocks[#clocks]
end

--- How far clocks are, as lines of state_export.lua: watermark, that of now; passed: what steps have seen of it.
function M.clock_lines()
  local lines = {}
  for _, c in ipairs(clocks) do
    local k = c.k
    local w = math.max(k.low, math.min(k.highest - k.distance, k.cap))
    if w > -math.huge and w < math.huge and clocks[c.name] == c then
      lines[#lines + 1] = ('{"clock":%s,"watermark":%.0f,"passed":%.0f}'):format(require('tidemill.value').json(c.name), w,
        k.w > -math.huge and k.w or w)
    end
  end
  return lines
end

--- A clock of another run was so far: its watermark is never behind that.
function M.take_clock(name, watermark, passed)
  local c = clocks[name]
  if not c then return false end
  if watermark > c.k.low then c.k.low = watermark end
  if passed > c.k.w then c.k.w = passed end
  c.set_due(c.k, c.k.due)
  return true
end

--- Registers a test: is nothing of it under way?
function M.add_test(resting) tests[#tests + 1] = resting end

--- Is nothing under way that is not saved? False while the rows of a window, the timers of an event or the end of an input are done in
--- part; between two batches that is so only while such things fill more than one.
function M.resting()
  for i = 1, #tests do
    if not tests[i]() then return false end
  end
  return true
end

--- The address of a state, as data.
function M.address(ptr) return tonumber(ffi.cast('uintptr_t', ptr)) end

--- The state at an address that was saved: struct tm_state *. had: one that this step has already.
---@param opened table|nil of state.open: whose it is. Where the step has changed, it is the one that takes its place (state_reshape.lua)
---@param sections table|nil of state_reshape.also
function M.state(address, had, opened, sections)
  if opened and opened.change then return state.reshape.also(opened, address, had, sections) end
  if had ~= nil and M.address(had) == address then return had end
  local ptr = C.tm_ffi_state_adopt(state.changes, address)
  if ptr == nil then raise('state', ('a state that was saved at address %.0f is not there'):format(address)) end
  return ptr
end

-- Random numbers -----------------------------------------------------------------

-- the generator of math.random lies in a userdata of the function; four words of 64 bits
local RANDOM_BYTES = 32

local function random_words()
  local _, held = debug.getupvalue(math.random, 1)
  return type(held) == 'userdata' and ffi.cast('char *', held) or nil
end

-- Saving and loading -----------------------------------------------------------------

--- All that is registered, as one text.
---@return string
function M.save()
  local out, words = {}, random_words()
  removed.pass()
  for name, part in pairs(removed.parts) do out[name] = part end
  for i = 1, #parts do
    local p = parts[i]
    out[p.name] = { p.kind, p.save() }
  end
  return buffer.encode { version = VERSION, random = words and ffi.string(words, RANDOM_BYTES), parts = out,
    removed = removed.since }
end
jit.off(M.save)   -- machine code made of it crashes in buffer.encode (LuaJIT of 2022-03)

local function by_text(a, b) return a.name < b.name end

--- Loads what M.save gave, in a process that has loaded the scripts and has not begun with events.
---@param text string
---@return table list of { name, what, why }, in order of names; what: 'gone' it was saved, and no step has it now: it is kept for some days
---   more (known: it was gone before); 'old' it was kept for so long, and goes; 'new' a step has nothing to go on from; 'changed' what was
---   saved is of another kind, or cannot be (why). A state of C that nobody has is 'gone' too.
function M.restore(text)
  local ok, saved = pcall(buffer.decode, text)
  if not ok or type(saved) ~= 'table' or type(saved.parts) ~= 'table' then
    raise('state', 'what the library saved cannot be read: ' .. (ok and 'it is something else' or tostring(saved)))
  end
  if saved.version ~= VERSION then
    raise('state', ('what the library saved is of version %s, this program reads %d'):format(tostring(saved.version), VERSION))
  end
  local told = {}
  local dropped = next(state.dropped) and require('tidemill.state_dropped').is_dropped or function() return false end
  for i = 1, #parts do
    local p = parts[i]
    local found = not dropped(p.name) and saved.parts[p.name]
    if not found then
      told[#told + 1] = { name = p.name, what = 'new' }
    else
      local why
      if found[1] ~= p.kind then why = ('it was %s and is %s'):format(found[1], p.kind)
      elseif found[2] ~= nil then why = p.load(found[2]) end
      if why then told[#told + 1] = { name = p.name, what = shadow.begins_anew(p.name, { why }) and 'new' or 'changed', why = why } end
    end
  end
  local changed = false
  for _, t in ipairs(told) do changed = changed or t.what == 'changed' end
  if not changed then
    state.change_kept()
    local old, back = removed.take(saved, function(name) return by_name[name] or dropped(name) end)
    for _, name in ipairs(old) do told[#told + 1] = { name = name, what = 'old' } end
    for name in pairs(removed.since) do
      told[#told + 1] = { name = name, what = 'gone', known = (saved.removed or {})[name] ~= nil }
    end
    if back then
      for _, c in ipairs(clocks) do
        if c.k.w < c.k.due then c.set_due(c.k, c.k.w) end   -- it looks at all that may be due
      end
    end
  end
  local words = random_words()
  if words and saved.random then ffi.copy(words, saved.random, RANDOM_BYTES) end
  table.sort(told, by_text)
  return told
end

local GO_ON = "give the step another name, to begin with nothing, put the script back, or start anew with --reset"

local function list_of(names) return "'" .. table.concat(names, "', '") .. "'" end

--- The same for the start of a run: what is new begins with nothing, what is gone is told, what cannot be loaded refuses.
---@return string|nil why the run cannot go on with these scripts
function M.restore_told(text)
  local changed, gone, old = {}, {}, {}
  for _, t in ipairs(M.restore(text)) do
    if t.what == 'changed' then changed[#changed + 1] = ("'%s': %s"):format(t.name, t.why) end
    if t.what == 'gone' then gone[#gone + 1] = t.name end
    if t.what == 'old' then old[#old + 1] = t.name end
  end
  if shadow.is_candidate() then return nil end   -- what the run keeps is told by the run
  if changed[1] then return 'steps have changed whose state is kept: ' .. table.concat(changed, '; ') .. '. ' .. GO_ON end
  if gone[1] and not M.looks then
    local last = gone[1]
    for _, name in ipairs(gone) do
      if removed.since[name] > removed.since[last] then last = name end
    end
    lib.host.warn(('the data folder keeps state that no step has any more: %s. It is taken up again by a script that declares it, until %s')
      :format(list_of(gone), removed.until_text(last)))
  end
  if old[1] then
    lib.host.warn(('no step has declared %s for %d days: what was kept of it is given up'):format(list_of(old), removed.DAYS))
  end
  return nil
end

return M
