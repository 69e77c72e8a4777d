--[[
state_reshape.lua - a state that was kept by another version of its script becomes what this version declares: fields that were added,
put in another order, taken away or changed by `migrate`.

While scripts load it is judged (begin): what can go on and what cannot, which refuses the start with words. A new state is made beside
the kept one, and when the library has back what it remembered (keep.lua), so that clocks are known, it is filled key by key and takes the
other's place (run_all). Until then nothing that is kept has changed, and nothing is written: the changed state is part of the first epoch
that is cut, and a process that dies before that epoch is durable begins again from what was kept.

Windows have several states under one name, with sections or without; who loads what is remembered of them asks for each by its address
(also). A state that cannot go on, and whose step says migrate = 'drop', is given up while scripts load (state_dropped.lua).

Keys keep their order of arrival and of last writing, what is due stays due in its order, elements keep their order and age.
]]

local lib = require 'tidemill.lib'
local cells = require 'tidemill.state_cells'
local layout = require 'tidemill.state_layout'
local replay = require 'tidemill.state_replay'
local printable = require 'tidemill.printable'
local shadow = require 'tidemill.shadow'
local state = require 'tidemill.state'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'
local windows = require 'tidemill.windows'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local cast, huge = ffi.cast, math.huge

local M = {}

local EXACT = 2 ^ 53      -- beyond it nothing can be due
local SHOWN_MAX = 80      -- characters of a key in a message

-- how a state can go on
local ALL = "Write migrate = 'drop' in the options of %s, to begin with nothing; "
local FUNCTION = "Write migrate = function(old) … return new end in the step's options, which makes the fields of a key from those it " ..
  "had, or migrate = 'drop', to lose what has gone; "
local DROP = "Write migrate = 'drop' in the step's options, to lose what has gone; "

local waiting = {}        -- changes that were judged, and not made yet
local at                  -- the change whose function is at work, and the key it works on

-- Judging -----------------------------------------------------------------------------

--- whole: nothing of the state can go on.
local function refuse(opened, diffs, whole)
  local words = opened.words
  local step = words.kind == 'aggregate' and 'window' or words.kind or 'the step'
  local how = (whole and ALL:format(step) or words.kind == 'process' and FUNCTION or DROP) ..
    state.GO_ON
  raise('state-changed', ("state '%s' is not the one that the data folder keeps: %s. %s"):format(opened.name, table.concat(diffs, '; '),
    how))
end

local function shown(name) return "'" .. printable.line(name) .. "'" end

local function key_words(key) return #key == 0 and 'no key' or 'the key ' .. table.concat(key, ', ') end

--- What the kept layout has that this one has not, in words; and whether nothing can help.
local function differences(was, now)
  local diffs = {}
  if was.kind ~= now.kind then return { ("it was kept by '%s', and is '%s' now"):format(was.kind, now.kind) }, true end
  if table.concat(was.key, '\0') ~= table.concat(now.key, '\0') then
    diffs[1] = ('it had %s and has %s'):format(key_words(was.key), key_words(now.key))
    if #was.key ~= #now.key then return diffs, true end
  end
  for _, f in ipairs(was.fields) do
    local new = now.fields[f.name]
    if not new then
      diffs[#diffs + 1] = ('field %s, %s, has gone'):format(shown(f.name), layout.field_words(f))
    elseif not layout.same_field(f, new) then
      local a, b = layout.field_words(f), layout.field_words(new)
      diffs[#diffs + 1] = ('field %s was %s and is %s'):format(shown(f.name), a, a == b and b .. ', kept otherwise' or b)
    end
  end
  return diffs, false
end

--- What the whole state goes by and is another than it was, in words.
local function settings(was, now)
  local diffs = {}
  if was.kind ~= now.kind then return diffs end
  for _, s in ipairs(was.set) do
    if not now.set[s[1]] then diffs[#diffs + 1] = ('it had the %s %s'):format(s[1], s[2])
    elseif now.set[s[1]] ~= s[2] and s[2]:sub(1, 1) == '#' then diffs[#diffs + 1] = ('its %s has changed'):format(s[1])
    elseif now.set[s[1]] ~= s[2] then diffs[#diffs + 1] = ('its %s was %s and is %s'):format(s[1], s[2], now.set[s[1]]) end
  end
  for _, s in ipairs(now.set) do
    if not was.set[s[1]] then diffs[#diffs + 1] = ('it has the %s %s now'):format(s[1], s[2]) end
  end
  return diffs
end

local function added_words(was, now)
  local diffs = {}
  for _, f in ipairs(now.fields) do
    if not was.fields[f.name] then diffs[#diffs + 1] = ('field %s, %s, has been added'):format(shown(f.name), layout.field_words(f)) end
  end
  return diffs
end

--- Cells of the kept records that stay, each with its place in the new ones; of no field: all that both have.
local function pairs_of(was, now)
  local list = {}
  for _, c in ipairs(was.cells) do
    local f, new = was.fields[c.field], now.fields[c.field]
    local same = new and (c.field == '' or layout.same_field(f, new))
    local to = same and (c.part and new.parts[c.part] or not c.part and new.main)
    if to and to.type == c.type then list[#list + 1] = { from = c, to = to } end
  end
  return list
end

--- Has a field that the kept records do not have, or not as it is now?
local function begun(was, now)
  for _, f in ipairs(now.fields) do
    local old = was.fields[f.name]
    if not old or not layout.same_field(f, old) then return true end
  end
  return false
end

--- A new state beside a kept one, with the options it was made with; its bounds are for what comes, and begin when it takes the place.
local function beside(made_of, kept)
  local o, fields = ffi.new 'struct tm_state_options', ffi.new('struct tm_state_field[?]', math.max(made_of.fields_n, 1))
  ffi.copy(o, made_of, ffi.sizeof(o))
  ffi.copy(fields, made_of.fields, made_of.fields_n * ffi.sizeof 'struct tm_state_field')
  for i = 0, o.fields_n - 1 do
    if fields[i].kind ~= C.TM_FIELD_SERIES then fields[i].max = 0 end
  end
  o.fields, o.beside = fields, 1
  if o.max_keys > 0 then o.max_keys = math.max(o.max_keys, kept.keys) end
  return (C.tm_ffi_state_new(state.changes, o))
end

--- A kept state does not fit: judges it, and makes one beside it.
---@param opened table of state.open, without its ptr
---@param kept ffi.cdata* struct tm_state *
---@return ffi.cdata*|nil struct tm_state *; nil: no memory, or nothing but how its records are bound has changed, and it cannot be reshaped
function M.begin(opened, kept)
  local words = opened.words
  local was, now = layout.parse(ffi.string(kept.layout, kept.layout_len)), layout.parse(opened.layout)
  local diffs, fatal = differences(was, now)
  local migrate, whole = words.migrate, settings(was, now)
  local renamed = table.concat(was.key, '\0') ~= table.concat(now.key, '\0')
  local added = added_words(was, now)
  local again = words.replay and not fatal and not renamed and replay.can(was, now)
  if not again and (whole[1] or fatal or not words.reshape or renamed and migrate == 'drop') then
    for _, text in ipairs(diffs) do whole[#whole + 1] = text end
    if not fatal then for _, text in ipairs(added) do whole[#whole + 1] = text end end
    if migrate == 'drop' or whole[1] and shadow.begins_anew(opened.name, whole) then
      require('tidemill.state_dropped').drop(opened.name, whole)
      return (C.tm_ffi_state_new(state.changes, opened.made_of))
    end
    if whole[1] then refuse(opened, whole, true) end
    return nil
  end
  if diffs[1] and not migrate and not again then
    if not shadow.begins_anew(opened.name, diffs) then refuse(opened, diffs) end
    require('tidemill.state_dropped').drop(opened.name, diffs)
    return (C.tm_ffi_state_new(state.changes, opened.made_of))
  end
  local ptr = beside(opened.made_of, kept)
  if ptr == nil then return nil end
  local change = { opened = opened, made = ptr, made_of = opened.made_of, kept = kept, was = was, now = now,
    copied = again and {} or pairs_of(was, now), migrate = type(migrate) == 'function' and migrate or nil, begun = begun(was, now) }
  if again then replay.prepare(change) end
  waiting[#waiting + 1], opened.change = change, change
  opened.made_of.beside = 1   -- further ones of this name are new: those that are kept are asked for by their address
  return ptr
end

--- A state beside the one at an address, which belongs to a step that has changed, and takes its place.
---@param opened table of state.open, with change
---@param address number of keep.address
---@param made ffi.cdata*|nil struct tm_state *: the one that takes its place, if it is made
---@param sections table|nil the numbers of its sections: it has such
---@return ffi.cdata* struct tm_state *
function M.also(opened, address, made, sections)
  local first = opened.change
  if C.tm_ffi_state_address(first.kept) == address then return first.made end
  local kept = C.tm_ffi_state_adopt(state.changes, address)
  if kept == nil then raise('state', ("a state of '%s' that was saved at address %.0f is not there"):format(opened.name, address)) end
  local change = {}
  for k, v in pairs(first) do change[k] = v end
  change.made_of = opened.made_of
  if sections then change.made_of, change.anchor = state.options_with_sections(opened) end
  if not made then made = beside(change.made_of, kept) end
  if made == nil then raise('memory', "no memory for the state '" .. opened.name .. "' (--memory)") end
  change.kept, change.made, change.sections = kept, made, sections
  waiting[#waiting + 1] = change
  return made
end

--- A plan begins: what was judged for the one before is forgotten.
function M.forget() waiting, at = {}, nil end

-- Filling -------------------------------------------------------------------------------

local key_len = ffi.new 'int32_t[1]'

--- Makes the key at hand that of a record.
local function take_key(ptr, record)
  local bytes = C.tm_ffi_state_key(ptr, record, key_len)
  state.key.len = key_len[0]
  ffi.copy(state.key.bytes, bytes, key_len[0])
end

--- The fields of a kept record as a plain table.
local function old_of(change, record)
  local t = {}
  for _, f in ipairs(change.was.fields) do t[f.name] = cells.read(change.kept, record, f.main, "state field '" .. f.name .. "'") end
  return t
end

--- The elements' times of a kept field that went by age: by element, or place in its list; and its elements in their order.
local function times_of(change, record, f)
  local times, keys, ptr = {}, {}, change.kept
  if not f or not f.main or f.main.kind ~= 'list' and f.main.kind ~= 'map' and f.main.kind ~= 'set' then return times, keys end
  local from = f.parts.times or f.parts.least and f.main
  if f.main.kind == 'list' then
    for i, t in cells.each_item(ptr, record, from or { off = f.main.off, index = f.main.index }, 'times') do
      times[i] = from and t or nil
    end
    return times, keys
  end
  for k, t in cells.each_entry(ptr, record, f.main.kind == 'map' and from or f.main, 'times') do
    keys[#keys + 1] = k
    times[k] = from and t or nil
  end
  return times, keys
end

--- Fills a container of a new record, and what it knows of the times of its elements.
local function fill_container(change, record, old, f, t, what)
  local ptr, max = change.made, change.max[f.main.index]
  local times, keys = times_of(change, old, change.was.fields[f.name])
  if not f.parts.least then return cells.fill(ptr, record, f.main, t, what, max, keys) end
  local least, top, slack = huge, -huge, 0
  cells.fill(ptr, record, f.main, t, what, max, keys, f.parts.times, function(k)
    local time = times[k] or change.time
    least = math.min(least, time)
    if time > top then top = time elseif top - time > slack then slack = top - time end
    return time
  end)
  cells.number_at(record, f.parts.least)[0] = least
  cells.number_at(record, f.parts.top)[0] = top
  cells.number_at(record, f.parts.slack)[0] = slack
end

--- The user's function makes the fields of a record.
local function migrate(change, record, old)
  local new = change.migrate(old_of(change, old), change.was.version)
  if type(new) ~= 'table' or new == lib.NULL or lib.owner[new] then
    raise('type', 'migrate returns a table of the fields of the state, got ' .. (type(new) == 'table' and 'something else' or type(new)))
  end
  local names = {}
  for name in next, new do
    if not change.now.fields[name] or name == '' then
      for _, f in ipairs(change.now.fields) do names[#names + 1] = f.name end
      raise('type', "migrate returned a field '" .. printable.line(tostring(name)) .. "', which the state does not have" ..
        suggest.among(tostring(name), names))
    end
  end
  for _, f in ipairs(change.now.fields) do
    local v, what = new[f.name], "migrate: field '" .. f.name .. "'"
    if v ~= nil then
      local kind = f.main.kind
      if kind == 'list' or kind == 'map' or kind == 'set' then fill_container(change, record, old, f, v, what)
      else cells.write(change.made, record, f.main, v, what) end
    end
  end
end

--- A record of the new state for one of the kept one's.
---@param section number|nil the one in which it is
local function fill_record(change, old, section)
  local opened, ptr = change.opened, change.made
  take_key(change.kept, old)
  local p
  if section then p = C.tm_ffi_section_write(ptr, section, state.key) else p = C.tm_ffi_state_write(ptr, state.key) end
  if p == nil then state.failed(ptr, ptr.code) end
  if opened.box then opened.box.init(cast(opened.type, p)) end
  for i = 1, #change.copied do
    local c = change.copied[i]
    if not change.migrate or c.to.field == '' then cells.copy(ptr, p, c.to, change.kept, old, c.from) end
  end
  if change.replay then replay.fill(change, old, p) end
  if change.undated then cells.number_at(p, change.undated)[0] = change.time end
  if change.partial then cells.number_at(p, change.partial)[0] = 1 end
  if change.migrate then
    at = { change = change, record = old }
    migrate(change, p, old)
    at = nil
  end
end

--- What is due stays so, in its order.
local function copy_due(change)
  local from, to = change.kept, change.made
  while true do
    local p = C.tm_ffi_due_pop(from, huge)
    if p ~= nil then
      take_key(from, p)
      local due = from.due_popped
      local record = C.tm_ffi_state_find(to, state.key)
      local rc = record ~= nil and C.tm_ffi_due_set(to, cast('void *', record), due) or 0
      if rc < 0 then state.failed(to, rc) end
      C.tm_ffi_changes_commit(state.changes)
      lib.flow.marker.sub = lib.flow.marker.sub + 1
    elseif from.code == C.TM_STATE_OK then
      return
    elseif from.code < 0 then
      state.failed(from, from.code)
    end
  end
end

--- What goes by age is looked at when the first of it may go.
local function arm(change, record)
  local ptr, first = change.made, huge
  for _, a in ipairs(change.ages) do first = math.min(first, cells.number_at(record, a.cell)[0] + a.ttl) end
  local due = C.tm_ffi_due_time(ptr, record)
  if first > EXACT or due <= first then return end
  local rc = C.tm_ffi_due_set(ptr, record, math.max(first, -EXACT))
  if rc < 0 then state.failed(ptr, rc) end
  local clock = change.opened.clock
  if first < clock.due then windows.set_due(clock, first) end
end

--- One call for each record of a state, each a unit of its own.
local function each(ptr, visit)
  local cursor = C.tm_ffi_cursor_new(ptr)
  if cursor == nil then raise('memory', 'no memory to walk a state (--memory)') end
  while cursor.done == 0 do
    local p = C.tm_ffi_cursor_next(cursor)
    if p ~= nil then
      visit(p)
      C.tm_ffi_changes_commit(state.changes)
      lib.flow.marker.sub = lib.flow.marker.sub + 1
    end
  end
  C.tm_ffi_cursor_free(cursor)
end

--- Cells by which something of a record goes, and how long after.
local function ages_of(change)
  local list, words, now = {}, change.opened.words, change.now
  local written = now.fields[''] and now.fields[''].parts.written
  if words.ttl and written then
    list[1] = { cell = written, ttl = words.ttl }
    local had = change.was.fields['']
    if not (had and had.parts.written) then change.undated = written end
  end
  for name, ttl in pairs(words.ages or {}) do list[#list + 1] = { cell = now.fields[name].parts.least, ttl = ttl } end
  return list
end

--- One unit for each record of a section.
local function each_of_section(change, section)
  local i = 1
  local old = C.tm_ffi_section_at(change.kept, section, i)
  while old ~= nil do
    fill_record(change, old, section)
    C.tm_ffi_changes_commit(state.changes)
    lib.flow.marker.sub = lib.flow.marker.sub + 1
    i = i + 1
    old = C.tm_ffi_section_at(change.kept, section, i)
  end
end

local function run(change)
  local opened, kept = change.opened, change.kept
  local clock = opened.clock
  change.time = clock and clock.highest > -huge and clock.highest or 0
  change.max = {}
  for i, ref in ipairs(opened.refs) do change.max[i - 1] = ref.max end
  change.ages = ages_of(change)
  local none = change.now.fields['']
  change.partial = change.begun and none and none.parts.partial or nil
  if change.sections then
    for _, section in ipairs(change.sections) do each_of_section(change, section) end
  else
    each(kept, function(old) fill_record(change, old) end)
  end
  if kept.due < huge and opened.made_of.timed ~= 0 then copy_due(change) end
  if change.ages[1] then each(change.made, function(record) arm(change, record) end) end
  if change.replay then replay.done(change) end
  C.tm_ffi_state_replace(change.made, kept, change.made_of)
end

--- Makes all changes that were judged.
function M.run_all()
  local list = waiting
  waiting = {}
  for _, change in ipairs(list) do run(change) end
end

--- Where a user's function was when it raised, for a message; nil: none was at work.
function M.place()
  if not at then return nil end
  local change, opened = at.change, at.change.opened
  local key = state.key_of(change.kept, at.record, opened.names or {}, opened.composite)
  at = nil
  local text = key == nil and 'without a key' or 'key ' .. printable.cut(printable.line(value.json(key)), SHOWN_MAX)
  return ("state '%s', %s: migrate failed, and nothing that is kept was changed: "):format(opened.name, text)
end

return M
