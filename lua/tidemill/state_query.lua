--[[
state_query.lua - `tidemill state`: what steps keep, printed when a run has come to its end.

It is a pipeline more, the last of the plan, whose source gives no event: like steps with emit = 'final' it is asked for
rows at the end of input, a record (or a line of the list) for each slot. So it waits for a slow reader, and a record that
cannot be written is told and left out, as with any event. Records are walked where they lie; none is copied.
]]

local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local state_of = require 'tidemill.state'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string = ffi.string

local M = {}

local NEAR_MAX = 10000   -- keys of a state among which one close to a KEY is looked for
local SHOWN_MAX = 80     -- characters of a key in a message
local NUMBER, BIGINT, STRING, ESCAPED = C.TM_KIND_NUMBER, C.TM_KIND_BIGINT, C.TM_KIND_STRING, C.TM_KIND_ESCAPED

local function nothing() end

--- Adds to a plan the pipeline that prints; what the others write goes to sinks that keep nothing.
function M.extend(plan, o)
  local sink = { kind = 'stdout', name = 'stdout', index = #plan.sinks, prints = true }
  local source = { kind = 'generate', name = 'state ' .. o.state, count = 0, fn = nothing, index = #plan.sources }
  local p = {
    name = source.name, index = #plan.pipelines, source = source, prints = true, fires = true,
    steps = {}, schemas = {}, views = {}, states = {}, abandon = nothing,
  }
  p.outs = { { pipeline = p, sink = sink, index = 0, dead = false } }
  plan.sinks[#plan.sinks + 1], plan.sources[#plan.sources + 1], plan.pipelines[#plan.pipelines + 1] = sink, source, p
end

--- All states of a plan, in its order.
local function all_of(plan)
  local list = {}
  for _, p in ipairs(plan.pipelines) do
    for _, state in ipairs(p.states) do list[#list + 1] = state end
  end
  return list
end

-- ls ------------------------------------------------------------------------------------

--- What `ls` tells of a state.
local function row_of(state)
  local options, ptr = state.step.rec.options, state.ptr
  local bounded = options.max_keys ~= nil
  return {
    name = state.name, kind = state.step.kind, place = state.step.place, keys = ptr.keys, bytes = ptr.bytes,
    bytes_per_key = ptr.keys > 0 and math.floor(ptr.bytes / ptr.keys * 10 + 0.5) / 10 or lib.NULL, evicted = ptr.evicted,
    max_keys = options.max_keys or lib.NULL, on_full = bounded and (options.on_full or 'oldest') or lib.NULL,
  }
end

local function thousands(n)
  local text, found = ('%.0f'):format(n)
  repeat text, found = text:gsub('^(%d+)(%d%d%d)', '%1,%2') until found == 0
  return text
end

local function bound_text(state, row)
  if row.max_keys ~= lib.NULL then return thousands(row.max_keys) .. ' keys, on_full ' .. row.on_full end
  return #state.names == 0 and 'one key' or 'unbounded'
end

local HEAD = { 'state', 'kind', 'keys', 'bytes', 'bytes/key', 'evicted', 'bound' }
local RIGHT = { [3] = true, [4] = true, [5] = true, [6] = true }

--- The list as lines of a table.
local function table_lines(states)
  local rows, widths, lines = { HEAD }, {}, {}
  for _, state in ipairs(states) do
    local row = row_of(state)
    local each = row.bytes_per_key ~= lib.NULL and ('%.1f'):format(row.bytes_per_key) or '-'
    rows[#rows + 1] = { printable.line(row.name), row.kind, thousands(row.keys), thousands(row.bytes), each, thousands(row.evicted),
      bound_text(state, row) }
  end
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do widths[i] = math.max(widths[i] or 0, printable.width(text)) end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, text in ipairs(row) do
      local gap = (' '):rep(widths[i] - printable.width(text))
      cells[i] = RIGHT[i] and gap .. text or i < #row and text .. gap or text
    end
    lines[n] = table.concat(cells, '  ')
  end
  return lines
end

--- next(out, row): writes the next line, or returns false.
local function lister(states, o)
  local lines, at
  return function(out)
    if not lines then
      at, lines = 0, {}
      if o.json then
        local rows = value.array {}
        for i, state in ipairs(states) do rows[i] = row_of(state) end
        lines[1] = value.json(rows)
      elseif #states > 0 then
        lines = table_lines(states)
      else
        lib.host.warn 'no step of these scripts keeps state; running and process do'
      end
    end
    at = at + 1
    local line = lines[at]
    if not line then return false end
    C.tm_ffi_buf_put(out.buf, line, #line)
    return true
  end
end

-- Values as JSON --------------------------------------------------------------------------

local function check(rc)
  if rc ~= 0 then raise('row-too-large', 'it is larger than 16 MiB') end
end

local function put(buf, s) check(C.tm_ffi_buf_put(buf, s, #s)) end

--- What a field of `process` holds: everything there is can be shown, texts that are no UTF-8 with U+FFFD.
local function put_value(buf, v)
  local t = type(v)
  if t == 'number' then
    if v - v ~= 0 then return put(buf, v > 0 and '"inf"' or v < 0 and '"-inf"' or '"nan"') end
    check(C.tm_ffi_json_number(buf, v))
  elseif t == 'string' then
    check(C.tm_ffi_json_lossy(buf, v, #v))
  elseif t == 'boolean' then
    put(buf, v and 'true' or 'false')
  elseif t == 'nil' or v == lib.NULL then
    put(buf, 'null')
  elseif t ~= 'table' then
    value.encode(buf, v)
  elseif value.is_array(v) then
    put(buf, '[')
    for i = 1, #v do
      if i > 1 then put(buf, ',') end
      put_value(buf, v[i])
    end
    put(buf, ']')
  else
    put(buf, '{')
    for i, k in ipairs((value.sorted_keys(v))) do
      if i > 1 then put(buf, ',') end
      put_value(buf, k)
      put(buf, ':')
      put_value(buf, v[k])
    end
    put(buf, '}')
  end
end

local put_container = {}

function put_container.list(buf, list)
  put(buf, '[')
  for i, v in list:each() do
    if i > 1 then put(buf, ',') end
    put_value(buf, v)
  end
  put(buf, ']')
end

function put_container.set(buf, set)
  local comma = '['
  for v in set:each() do
    put(buf, comma)
    put_value(buf, v)
    comma = ','
  end
  put(buf, comma == ',' and ']' or '[]')
end

function put_container.map(buf, map)
  local comma = '['
  for k, v in map:each() do
    put(buf, comma)
    put(buf, '[')
    put_value(buf, k)
    put(buf, ',')
    put_value(buf, v)
    put(buf, ']')
    comma = ','
  end
  put(buf, comma == ',' and ']' or '[]')
end

-- Records ---------------------------------------------------------------------------------

--- The key of a record in Lua's form.
local function key_of(state, record) return state_of.key_of(state.ptr, record, state.names, state.composite) end

--- Begins a row in the step's own view with the key's fields, so that they are written as its rows are.
local function begin_row(state, record, nodes)
  local V, key = state.view, key_of(state, record)
  V.begin()
  V.fresh_ordered()
  for i, name in ipairs(state.names) do
    local k
    if state.composite then k = key[name] else k = key end
    V.put_key(nodes[i], k == nil and lib.NULL or k)
  end
  return V
end

--- write(out, row, record) of a state of `running`: its row.
local function running_writer(state, nodes)
  local V, writers = state.view, {}
  local list = state.step.rec.aggregates
  for i, a in ipairs(list) do
    V.field(a.name)
    writers[i] = V.root.writers[a.name]
  end
  return function(out, row, record)
    begin_row(state, record, nodes)
    local values = { state.results(ffi.cast(state.type, record), state.ptr) }
    for i = 1, #list do writers[i](values[i]) end
    V.st.home = row
    V.emit(out)
  end
end

--- The same of `process`: the key's fields, then those declared.
local function process_writer(state, nodes)
  local box, fields, names = state.box, state.step.rec.fields, {}
  local of_key, taken = {}, {}
  for _, name in ipairs(state.names) do of_key[name], taken[name] = true, true end
  for _, field in ipairs(fields) do taken[field.name] = true end
  for i, field in ipairs(fields) do
    local name = field.name
    if of_key[name] then
      repeat name = 'state.' .. name until not taken[name]
      taken[name] = true
    end
    names[i] = value.json(name) .. ':'
  end
  return function(out, _, record)
    local buf = out.buf
    begin_row(state, record, nodes).encode(buf)
    buf.len = buf.len - 1   -- the brace
    box.at.r = ffi.cast(state.type, record)
    for i, field in ipairs(fields) do
      if i > 1 or #nodes > 0 then put(buf, ',') end
      put(buf, names[i])
      local v = box.view[field.name]
      if field.container then put_container[field.type](buf, v) else put_value(buf, v) end
    end
    box.abandon()
    put(buf, '}')
    local rc = C.tm_ffi_out_end(out, lib.flow)
    if rc ~= 0 then check(rc) end
  end
end

-- NAME and KEY ------------------------------------------------------------------------------

--- The state that NAME means, "pipeline/step" or the step alone.
local function find_state(states, name)
  local names, found = {}, {}
  for i, state in ipairs(states) do
    names[i] = state.name
    if state.name == name then return state end
    if state.step.rec.name == name then found[#found + 1] = state end
  end
  if #found == 1 then return found[1] end
  local shown = "'" .. printable.cut(printable.line(name), SHOWN_MAX) .. "'"
  if #names == 0 then raise('usage', 'no state is called ' .. shown .. ': no step of these scripts keeps state; running and process do') end
  local list = printable.line(table.concat(names, ', '))
  if #found > 1 then raise('usage', shown .. ' is the name of several states; write PIPELINE/STEP: ' .. list) end
  local short = {}
  for _, state in ipairs(states) do short[#short + 1] = state.step.rec.name end
  for _, full in ipairs(names) do short[#short + 1] = full end
  raise('usage', 'no state is called ' .. shown .. suggest.hint(name, short) .. '; there ' .. (#names == 1 and 'is ' or 'are ') .. list)
end

--- The value of a cell of KEY, as a part of a key: a string, number, boolean, text of an integer beyond 2^53, or NULL.
local function part_of(cells, i, base)
  local cell = cells[i]
  local kind = lib.bit.band(cell.tag, 15)
  if kind == NUMBER then return cell.num end
  if kind == STRING or kind == ESCAPED then return value.cell_text(base, cell) end
  if kind == BIGINT then return lib.text(ffi_string(base + cell.off, lib.bit.rshift(cell.tag, 4)), BIGINT) end
  if kind == C.TM_KIND_TRUE then return true end
  if kind == C.TM_KIND_FALSE then return false end
  if kind == C.TM_KIND_NULL then return lib.NULL end
  raise('usage', 'KEY: a part of a key is a string, number, boolean or null')
end

local function wanted_form(names)
  if #names == 1 then return 'write its value alone' end
  local values, members = {}, {}
  for i, name in ipairs(names) do
    values[i] = '"' .. ('abcdefghijklmnop'):sub(i, i) .. '"'
    members[i] = value.json(name) .. ':' .. values[i]
  end
  return ("write '[%s]' or '{%s}'"):format(table.concat(values, ','), table.concat(members, ','))
end

--- The members of a KEY that is an object, in the order of names.
local function members_of(cells, n, base, names)
  local parts, i = {}, 1
  local index = {}
  for at, name in ipairs(names) do index[name] = at end
  while i < n do
    local name = value.cell_text(base, cells[i])
    if not index[name] then raise('usage', "KEY: the key has no field '" .. printable.line(name) .. "'" .. suggest.among(name, names)) end
    parts[index[name]] = part_of(cells, i + 1, base)
    i = i + 2
  end
  for at, name in ipairs(names) do
    if parts[at] == nil then raise('usage', "KEY: '" .. printable.line(name) .. "' is missing; " .. wanted_form(names)) end
  end
  return parts
end

--- KEY as a list of parts. What is no JSON is a string.
local function parse_key(state, text)
  local names, at = state.names, ffi.new 'int32_t[1]'
  if #names == 0 then raise('usage', "state '" .. state.name .. "' has no key, as there is no key_by before it: leave KEY out") end
  if text == '' or C.tm_ffi_json_check(text, #text, at) ~= 0 then
    if #names > 1 then
      raise('usage', ("KEY: the key of '%s' is made of %s; %s"):format(state.name, table.concat(names, ', '), wanted_form(names)))
    end
    return { text }
  end
  local cells, n, base = value.tape(text)
  local kind = lib.bit.band(cells[0].tag, 15)
  if kind == C.TM_KIND_OBJECT then return members_of(cells, n, base, names) end
  if kind == C.TM_KIND_ARRAY then
    if cells[0].num ~= #names then
      raise('usage', ("KEY: the key of '%s' is made of %s, found %d values; %s"):format(state.name, table.concat(names, ', '),
        cells[0].num, wanted_form(names)))
    end
    local parts = {}
    for i = 1, #names do parts[i] = part_of(cells, i, base) end
    return parts
  end
  if #names > 1 then
    raise('usage', ("KEY: the key of '%s' is made of %s; %s"):format(state.name, table.concat(names, ', '), wanted_form(names)))
  end
  return { part_of(cells, 0, base) }
end

--- The digits of an integer, or nil.
local function digits_of(k)
  if type(k) == 'table' and k ~= lib.NULL then return k.text end
  if type(k) == 'number' and k % 1 == 0 and k > -1e15 and k < 1e15 then return ('%.0f'):format(k) end
end

--- Parts as a key in Lua's form. A field declared int64 is kept as digits.
local function form_of(state, parts)
  local form = {}
  for i, name in ipairs(state.names) do
    local k = parts[i]
    local rule = state.key_nodes[i].rule
    if rule and rule.digits and not state.key_made then k = digits_of(k) or k end
    if k == lib.NULL then k = nil end
    if not state.composite then return k end
    form[name] = k
  end
  return form
end

local function find_record(state, parts)
  if state_of.set_key(form_of(state, parts), state.names) ~= 0 then return nil end
  local p = C.tm_ffi_state_find(state.ptr, state_of.key)
  return p ~= nil and ffi.cast('void *', p) or nil
end

local function shown_key(parts)
  if #parts == 1 then return printable.cut(printable.line(value.json(parts[1])), SHOWN_MAX) end
  return printable.cut(printable.line(value.json(value.array { unpack(parts) })), SHOWN_MAX)
end

--- The same text as a value of another type: 42 and "42", true and "true".
local function other_type(k)
  if type(k) == 'boolean' then return tostring(k) end
  if type(k) ~= 'string' then return digits_of(k) or type(k) == 'number' and value.json(k) or nil end
  if C.tm_ffi_json_check(k, #k, ffi.new 'int32_t[1]') ~= 0 then return nil end
  local cells, _, base = value.tape(k)
  local kind = lib.bit.band(cells[0].tag, 15)
  if kind == NUMBER or kind == BIGINT or kind == C.TM_KIND_TRUE or kind == C.TM_KIND_FALSE then return part_of(cells, 0, base) end
end

--- The key that was meant by one that differs from it in a type, or in some letters; a few keys where there is none. As text.
local function near(state, parts)
  for i = 1, #parts do
    local other = other_type(parts[i])
    if other ~= nil then
      local tried = { unpack(parts) }
      tried[i] = other
      if find_record(state, tried) then return '; there is ' .. shown_key(tried) .. ", another type: write '" .. shown_key(tried) .. "'" end
    end
  end
  if state.ptr.keys == 0 then return '' end
  local texts, cursor = {}, C.tm_ffi_cursor_new(state.ptr)
  if cursor == nil then return '' end
  while cursor.done == 0 and #texts < NEAR_MAX do
    local record = C.tm_ffi_cursor_next(cursor)
    if record ~= nil then
      local key = key_of(state, record)
      if type(key) ~= 'table' or not state.composite then texts[#texts + 1] = key == nil and 'null' or value.json(key) end
      if state.composite then
        local list = value.array {}
        for i, name in ipairs(state.names) do list[i] = key[name] == nil and lib.NULL or key[name] end
        texts[#texts + 1] = value.json(list)
      end
    end
  end
  C.tm_ffi_cursor_free(cursor)
  local word = #parts == 1 and value.json(parts[1]) or value.json(value.array { unpack(parts) })
  local meant = suggest.closest(word, texts)
  if meant then return '; did you mean ' .. printable.cut(printable.line(meant), SHOWN_MAX) .. '?' end
  for i = 1, math.min(#texts, 3) do texts[i] = printable.cut(printable.line(texts[i]), SHOWN_MAX) end
  return '; its first ' .. (#texts == 1 and 'key is ' or 'keys are ') .. table.concat(texts, ', ', 1, math.min(#texts, 3))
end

-- get ---------------------------------------------------------------------------------------

--- next(out, row): writes the next record, or returns false; and the state.
local function getter(states, o)
  local state = find_state(states, o.state_name)
  local parts = o.state_key and parse_key(state, o.state_key)
  local nodes = {}
  for i, name in ipairs(state.names) do nodes[i] = state.view.field(name) end
  local write = state.step.kind == 'running' and running_writer(state, nodes) or process_writer(state, nodes)
  local n, cursor, over = 0, nil, false
  local function one(out, row)
    over = true
    local record = find_record(state, parts)
    if record then
      state.at = record
      write(out, row, record)
      return true
    end
    lib.host.fail_run(("state '%s' has no key %s (%s key%s)%s"):format(state.name, shown_key(parts), thousands(state.ptr.keys),
      state.ptr.keys == 1 and '' or 's', near(state, parts)))
    return false
  end
  return function(out, row)
    if over or (o.limit > 0 and n >= o.limit) then return false end
    if parts then return one(out, row) end
    cursor = cursor or C.tm_ffi_cursor_new(state.ptr)
    if cursor == nil then
      over = true
      lib.host.fail_run("state '" .. state.name .. "': no memory to walk it (--memory)")
      return false
    end
    while cursor.done == 0 do
      local record = C.tm_ffi_cursor_next(cursor)
      if record ~= nil then
        n = n + 1
        state.at = record
        write(out, row, record)
        return true
      end
    end
    over = true
    return false
  end, state
end

--- Makes the pipeline that prints: its loop, and what becomes of a record that cannot be written.
---@param p table of M.extend
---@param plan table whose other pipelines are compiled
---@param o table state, state_name, state_key, limit, json
function M.compile(p, plan, o)
  local out, batch, flow, mk = p.outs[1].ptr, p.source.batch, lib.flow, lib.flow.marker
  local lines = o.state == 'ls'
  local states = all_of(plan)
  local write, state
  if lines then write = lister(states, o) else write, state = getter(states, o) end
  local failed, ended = 0, false
  function p.loop(first, last)
    if flow.firing == 0 then return last + 1 end
    for i = first, last do
      mk.row = i
      if ended then return last + 1 end
      flow.fired = flow.fired + 1
      C.tm_ffi_out_begin(out, batch, i)
      if not write(out, i) then
        ended, flow.fired = true, flow.fired - 1
        lib.host.rollback(p.index, i)
        if failed > 1 then lib.host.fail_run(('%d records more could not be printed'):format(failed - 1)) end
        return last + 1
      end
      if lines then C.tm_ffi_out_end(out, flow) end
      if flow.stop ~= 0 then return i + 1 end
    end
    return last + 1
  end

  function p.failed(row, e)
    lib.host.rollback(p.index, row)
    if state and state.box then state.box.abandon() end
    failed = failed + 1
    if failed > 1 or not state then return end
    local key = state.at ~= nil and #state.names > 0 and value.json(key_of(state, state.at)) or ''
    lib.host.fail_run(("state '%s': the record%s cannot be printed: %s"):format(state.name,
      key ~= '' and ' of key ' .. printable.cut(printable.line(key), SHOWN_MAX) or '', e.message))
  end
end

return M
