--[[
testing.lua - tm.testing: a spec gives a pipeline events one by one and looks at what came of them; `tidemill test`, which runs such specs
with busted, is testing_busted.lua.

What is tested is the engine of a run (host/engine/testing.c moves it): same batches, loops, state. Only the ends differ: each source
but tm.source.every is memory that `send` fills, each output of a pipeline is a sink of memory, rows are JSON there whatever the format,
the clock is the spec's. Every pipeline has an on_error and a late_to, so that nothing that fails or is late is lost. No file of a
source or sink is opened.

  run    { plan, place, rows, now, sources, clocks, sinks, ended }   one at a time; clocks: its sources of tm.source.every
  row    { value, sink }                                             in the order in which they came
  sink   { name, path, pipeline, role }                              role: 'row' 'late' 'error'
]]

local duration = require 'tidemill.duration'
local lib = require 'tidemill.lib'
local state_find, tables = require 'tidemill.state_find', require 'tidemill.tables'
local stream = require 'tidemill.stream'
local suggest = require 'tidemill.suggest'
local ends = require 'tidemill.testing_ends'
local value = require 'tidemill.value'
local ffi, raise, NULL = lib.ffi, lib.raise, lib.NULL
local huge = math.huge

local M = { rejected = {} }   -- rejected: texts of load errors, by which `tidemill test` knows them again

local ROWS_MAX = 1000000      -- rows that a spec has not taken
local engine, begin, save     -- of host/engine/testing.c; of boot.lua
local current                 -- the run at hand

-- A run -------------------------------------------------------------------------------

local Run = {}

--- Takes the rows that have come, in the order of pipelines.
local function collect(run)
  for _, sink in ipairs(run.sinks) do
    local text = engine.take(sink.host)
    local from = 1
    while from <= #text do
      local to = text:find('\n', from, true) or #text + 1
      if #run.rows >= ROWS_MAX then
        raise('usage', ('more than %d rows were not taken: call t:out(), t:late(), t:errors()'):format(ROWS_MAX))
      end
      local v = ends.plain(value.decode_digits(text:sub(from, to - 1)))
      run.rows[#run.rows + 1] = { value = v, sink = sink }
      if run.texts then
        run.texts[#run.texts + 1] = { text = text:sub(from, to - 1), value = v, role = sink.role, pipeline = sink.pipeline }
      end
      from = to + 1
    end
  end
end

--- Moves what is at hand through, and what the source has; nil: only the former.
local function drain(run, source)
  while engine.step(source and source.index) do collect(run) end
end

local function alive(run)
  if run ~= current then
    raise('usage', 'this run has ended: another tm.testing.run began at ' .. current.place .. '; there is one at a time')
  end
end

local function each_name(run, of, visit)
  for _, p in ipairs(run.plan.pipelines) do visit(p.name, of(p)) end
end

--- The source that a name means, its own or that of a pipeline; nil: the only one.
local function source_of(run, name, what)
  local list, names, found = run.sources, {}, nil
  if name == nil then
    if #list == 1 then return list[1] end
    for _, s in ipairs(list) do names[#names + 1] = "'" .. s.name .. "'" end
    raise('usage', what .. (#list == 0 and ': no pipeline has a source to send to' or ': which source? ' .. table.concat(names, ', ')))
  end
  for _, s in ipairs(list) do
    names[#names + 1] = s.name
    if s.name == name then return s end
  end
  each_name(run, function(p) return p.source end, function(pipeline, source)
    names[#names + 1] = pipeline
    if pipeline == name and source.memory then found = source end
  end)
  if found then return found end
  raise('usage', what .. ": no source is called '" .. tostring(name) .. "'" .. suggest.among(tostring(name), names))
end

--- t:send([source,] row)
function Run.send(run, ...)
  local name, row = ...
  alive(run)
  if select('#', ...) < 2 then name, row = nil, name end
  local source = source_of(run, name, 't:send')
  if source.ended then raise('usage', "t:send: the input of '" .. source.name .. "' has ended (t:watermark(math.huge))") end
  engine.feed(source.index, ends.text_of(source, row))
  drain(run, source)
end

--- Pipelines of a source and those behind them, first ones first.
local function behind(run, source)
  local reached, list = { [source] = true }, {}
  for _, p in ipairs(run.plan.pipelines) do
    if reached[p.source] then
      list[#list + 1] = p
      for _, out in ipairs(p.outs) do
        if out.sink.kind == 'link' then reached[out.sink.source] = true end
      end
    end
  end
  return list
end

--- Ends sources; when all have ended, what is kept is given.
local function finish(run, sources)
  for _, source in ipairs(sources) do
    if not source.ended then
      source.ended = true
      engine.finish(source.index)
      drain(run, source)
    end
  end
  for _, source in ipairs(run.sources) do
    if not source.ended then return end
  end
  run.ended = true
  while engine.fire() do drain(run) end
end

--- Which partition of its input a source is (flow.c).
local function part_of(source) return source.index * 65536 end

--- The watermark of a source so far, by its events or the spec.
local function watermark_of(run, source)
  local part, w = part_of(source), source.watermark or -huge
  for _, p in ipairs(run.plan.pipelines) do
    for _, clock in ipairs(p.clocks) do
      local highest = clock.part == part and clock.ptr.highest or clock.highest[part] or -huge
      w = math.max(w, highest - clock.ptr.distance)
    end
  end
  return w
end

--- Moves the clocks of a pipeline, those of the partition that is the source, and does what is due.
local function move(p, source, ms)
  local part = part_of(source)
  for _, clock in ipairs(p.clocks) do
    local k, to = clock.ptr, ms + clock.ptr.distance
    if clock.part == part then
      if to > k.highest then k.highest = to end
    elseif to > (clock.highest[part] or -huge) then
      clock.highest[part] = to
    end
  end
  engine.settle(p.source.index, source.index)
end

--- The watermark behind what was done, by which the next event is late or not.
local function keep_watermark(p)
  for _, clock in ipairs(p.clocks) do
    local k = clock.ptr
    k.w = math.max(math.min(k.highest - k.distance, k.cap), k.low)
  end
end

--- In a run whose watermark only the spec moves, every source has one from the start, and holds back the others.
local function begin_clocks(run)
  for _, source in ipairs(run.sources) do
    for _, p in ipairs(behind(run, source)) do
      for _, clock in ipairs(p.clocks) do clock.highest[part_of(source)], clock.seen[part_of(source)] = -huge, 0 end
    end
  end
end

--- t:watermark([source,] ms): no event with time <= ms is expected any more
function Run.watermark(run, ...)
  local name, ms = ...
  alive(run)
  if select('#', ...) < 2 then name, ms = nil, name end
  if type(ms) ~= 'number' or ms ~= ms then
    raise('usage', 't:watermark takes milliseconds, or math.huge for the end of input, got ' .. stream.describe(ms))
  end
  local sources = name == nil and run.sources or { source_of(run, name, 't:watermark') }
  if run.ended then raise('usage', 't:watermark: the input has ended') end
  if ms == huge then return finish(run, sources) end
  for _, source in ipairs(sources) do
    local w = watermark_of(run, source)
    if ms < w then raise('usage', ('t:watermark: a watermark never goes back: %.0f is before %.0f'):format(ms, w)) end
    source.watermark = ms
    for _, p in ipairs(behind(run, source)) do
      if #p.clocks > 0 then
        move(p, source, ms)
        drain(run)
        keep_watermark(p)
      end
    end
  end
end

--- The pipeline whose clock of processing time has something due first, if that is so by `to`, and when.
local function first_by_clock(run, to)
  local found, due
  for _, p in ipairs(run.plan.pipelines) do
    for _, clock in ipairs(p.clocks or {}) do
      local at = clock.processing and clock.ptr.due + clock.ptr.distance or huge
      if at <= to and at < (due or huge) then found, due = p, at end
    end
  end
  return found, due
end

--- The source of a partition of event time that the pipelines of a source are at.
local function root_of(run, source)
  for _, p in ipairs(run.plan.pipelines) do
    for _, clock in ipairs(p.source == source and p.clocks or {}) do
      if clock.part then return math.floor(clock.part / 65536) end
    end
  end
  return source.index
end

--- t:advance '5m': the clock, and what goes by it
function Run.advance(run, by)
  alive(run)
  local ms, why = duration.parse(by)
  if not ms or ms < 0 then raise('usage', "t:advance takes a duration such as '5m': " .. (why or 'time goes on only')) end
  local to = run.now + ms
  local function go(at)
    if at > run.now then
      engine.advance(at - run.now)
      run.now = at
    end
  end
  while true do
    local tick, next_of = huge, nil
    for _, source in ipairs(run.clocks) do
      local at = (source.passed + 1) * source.period_ms
      if source.passed < (source.ticks or huge) and at < tick then tick, next_of = at, source end
    end
    local p, due = first_by_clock(run, math.min(tick, to))
    if p then
      go(due)
      engine.settle(p.source.index, root_of(run, p.source), true)
      drain(run)
    elseif next_of and tick <= to then
      go(tick)
      next_of.passed = next_of.passed + 1
      drain(run, next_of)
    else
      return go(to)
    end
  end
end

--- The rows that `wanted` is true of: returned and removed.
local function take(run, wanted)
  local taken, left = {}, {}
  for _, row in ipairs(run.rows) do
    local list = wanted(row.sink) and taken or left
    list[#list + 1] = list == taken and row.value or row
  end
  run.rows = left
  return taken
end

--- t:out([name]): rows of a pipeline, or of a sink (then also dead letters and late events that it was given); nil: all rows
function Run.out(run, name)
  alive(run)
  if name == nil then return take(run, function(sink) return sink.role == 'row' end) end
  local names, known = {}, false
  for _, sink in ipairs(run.sinks) do
    names[#names + 1] = sink.pipeline
    if sink.path or sink.role == 'row' then names[#names + 1] = sink.name end
    known = known or sink.name == name or sink.path == name
  end
  each_name(run, function(p) return p end, function(pipeline) known = known or pipeline == name end)
  if not known then
    raise('usage', "t:out: no pipeline and no sink is called '" .. tostring(name) .. "'" .. suggest.among(tostring(name), names))
  end
  return take(run, function(sink) return sink.name == name or sink.path == name or (sink.pipeline == name and sink.role == 'row') end)
end

--- t:late(): events that came too late
function Run.late(run)
  alive(run)
  return take(run, function(sink) return sink.role == 'late' end)
end

--- t:errors(): dead letters
function Run.errors(run)
  alive(run)
  return take(run, function(sink) return sink.role == 'error' end)
end

local function container(kind, view)
  local t = {}
  if kind == 'map' then
    for k, v in view:each() do t[k] = v end
  elseif kind == 'set' then
    for v in view:each() do t[#t + 1] = v end
  else
    for i, v in view:each() do t[i] = v end
  end
  return t
end

--- What a record holds, as a table.
local function shown(state, record)
  if state.table then return ends.plain(value.decode_digits(tables.json(state, record))) end
  local t = {}
  if state.shown then
    local values = { state.results(ffi.cast(state.type, record), state.ptr) }
    for i, a in ipairs(state.shown) do t[a.name] = values[i] end
    return t
  end
  local box = state.box
  box.at.r = ffi.cast(state.type, record)
  for _, field in ipairs(state.step.rec.fields) do
    local v = box.view[field.name]
    if field.container then v = container(field.type, v) end
    if type(v) == 'table' and v ~= NULL then v = ends.plain(value.copy(v)) end
    t[field.name] = v
  end
  box.abandon()
  return t
end

--- The key that a spec wrote as the parts of a key.
local function parts_of(state, key)
  local names, parts = state.names, {}
  if #names == 0 then
    if key ~= nil then raise('usage', "t:state: '" .. state.name .. "' has no key, as there is no key_by before it") end
    return parts
  end
  if type(key) ~= 'table' or key == NULL then
    if #names > 1 then
      raise('usage', ("t:state: the key of '%s' is made of %s; give a table"):format(state.name, table.concat(names, ', ')))
    end
    parts[1] = key == nil and NULL or key
    return parts
  end
  for i, name in ipairs(names) do
    local k = key[name]
    if k == nil then k = key[i] end
    parts[i] = k == nil and NULL or k
  end
  return parts
end

--- t:state(name[, key]): what a step keeps of a key, as a table; nil: nothing
function Run.state(run, name, key)
  alive(run)
  local states = {}
  for _, p in ipairs(run.plan.pipelines) do
    for _, state in ipairs(p.states) do states[#states + 1] = state end
  end
  if type(name) ~= 'string' then
    raise('usage', "t:state takes the name of a step, or 'pipeline/step', got " .. stream.describe(name))
  end
  local state = state_find.state(states, name)
  if state.step.kind == 'aggregate' or state.step.kind == 'window_join' then
    raise('usage', "t:state: the windows of '" .. name .. "' are seen in their rows: t:watermark, then t:out")
  end
  local record = state_find.record(state, parts_of(state, key))
  if not record then return nil end
  return shown(state, record)
end

-- Making one ----------------------------------------------------------------------------

local OPTIONS = { watermark = true, set = true, checked = true }
local OPTION_NAMES = { 'watermark', 'set', 'checked' }
local OF_SPEC = { 'columns', 'texts', 'ended', 'watermark', 'passed' }   -- what a run knows of a source besides the engine

local function options_of(given)
  if given == nil then given = {} end
  if type(given) ~= 'table' then raise('usage', 'tm.testing.run takes its options as a table, got ' .. stream.describe(given)) end
  for name in pairs(given) do
    if not OPTIONS[name] then
      raise('usage', "tm.testing.run has no option '" .. tostring(name) .. "'" .. suggest.among(tostring(name), OPTION_NAMES))
    end
  end
  if given.watermark ~= nil and given.watermark ~= 'manual' and given.watermark ~= 'declared' then
    raise('usage', "tm.testing.run: watermark is 'declared' or 'manual', got " .. stream.describe(given.watermark))
  end
  local set = {}
  for name, v in pairs(given.set or {}) do set[name] = tostring(v) end
  if given.checked ~= nil and type(given.checked) ~= 'boolean' then
    raise('usage', 'tm.testing.run: checked is true or false, got ' .. stream.describe(given.checked))
  end
  return { manual = given.watermark == 'manual', set = set, checked = given.checked ~= false }
end

--- Dead letters that no spec looked at are told: a test that waits for rows says too little of why there are none.
local function tell_unread(run)
  local list = take(run, function(sink) return sink.role == 'error' end)
  if #list == 0 then return end
  local e = list[1]
  lib.host.warn(("%s: %d dead letter%s of this run that t:errors() did not take; the first: %s%s [%s]"):format(run.place, #list,
    #list == 1 and '' or 's', e.at ~= '' and e.at .. ': ' or '', e.reason, e.code))
end

--- The run at hand has ended.
function M.close()
  if current then tell_unread(current) end
end

local library_globals, spec_globals = _G, nil

--- What a spec called has ended. `where`: its line.
local function leave(where, ok, ...)
  local e = (...)
  setfenv(0, spec_globals)
  if ok then return ... end
  if type(e) == 'table' and debug.getmetatable(e) == lib.error_mt then e = e.message end
  if type(e) ~= 'string' then error(e, 0) end
  error(e:match '^[^\n ]+:%d+: ' and e or where .. ': ' .. e, 0)
end

--- Calls a function of the library for a spec: with the library's globals, as it makes code. What it raises becomes a text that begins
--- with a place.
local function enter(where, f, ...)
  setfenv(0, library_globals)
  return leave(where, pcall(f, ...))
end

--- The line of the spec that called what called this.
local function caller()
  local info = debug.getinfo(3, 'Sl')
  return info.short_src .. ':' .. info.currentline
end

--- Where a script lies: beside the spec, else as the path says from the current folder.
local function path_of(path, spec)
  local folder = spec:match '^@(.*/)[^/]*$'
  if not folder or path:sub(1, 1) == '/' then return path end
  local f = io.open(folder .. path)
  if not f then return path end
  f:close()
  return folder .. path
end

--- Makes the plan of a run, of its streams or its script. saved: what it was when it crashed, else nil; changed: it goes on with others.
local function plan_of(run, saved, changed)
  local o, before = run.options, run.plan
  run.plan = begin(run.what, { settings = o.set or {}, canonical = { source = ends.memory_source, sink = ends.memory_sink },
    engine = engine, checked = o.checked, saved = saved, changed = changed,
    change = function(plan)
      ends.own_sinks(plan)
      for _, p in ipairs(plan.pipelines) do p.manual = o.manual end
    end })
  run.sources, run.clocks, run.sinks = {}, {}, {}
  for i, source in ipairs(run.plan.sources) do
    if source.memory then run.sources[#run.sources + 1] = source end
    if source.kind == 'every' then
      source.passed = 0
      run.clocks[#run.clocks + 1] = source
    end
    for _, name in ipairs(before and OF_SPEC or {}) do source[name] = before.sources[i][name] end
  end
  for _, sink in ipairs(run.plan.sinks) do
    if sink.kind == 'memory' then run.sinks[#run.sinks + 1] = sink end
  end
end

--- Do both plans have sources, pipelines and sinks of the same names? What is on its way between them is found by its place.
local function same_plan(a, b)
  for _, list in ipairs { 'sources', 'pipelines', 'sinks' } do
    if #a[list] ~= #b[list] then return false end
    for i, d in ipairs(a[list]) do if d.name ~= b[list][i].name then return false end end
  end
  return true
end

--- t:crash([what]): the process is killed between two events, and another one goes on from what is kept. What a script has in globals and
--- upvalues is lost, where t was made of a script; what the spec made of streams itself it still has. what: another version of it, a
--- stream, a list of streams or the path of a script, with the same pipelines, sources and sinks; its states may have changed.
function Run.crash(run, what)
  alive(run)
  local saved, before = save(), run.plan
  if not saved then raise('usage', 't:crash: rows are still being made; call it between two events') end
  if type(what) == 'string' then what = path_of(what, run.spec) end
  run.what = what or run.what
  plan_of(run, saved, what ~= nil)
  if what ~= nil and not same_plan(before, run.plan) then
    raise('usage', 't:crash: the other version must have the same pipelines, sources and sinks')
  end
end

local function start(what, given, where)
  local o = options_of(given)
  if type(what) ~= 'string' and type(what) ~= 'table' then
    raise('usage', "tm.testing.run takes a stream, a list of streams or the path of a script, got " .. stream.describe(what))
  end
  M.close()
  local run = { rows = {}, now = 0, place = where, what = what, options = o }
  current = run
  plan_of(run)
  if o.manual then begin_clocks(run) end
  return run
end

local run_mt = { __metatable = 'run', __index = {} }
local runs = setmetatable({}, { __mode = 'k' })   -- what a spec has -> its run

for name, f in pairs(Run) do
  run_mt.__index[name] = function(t, ...)
    local run = runs[t]
    if not run then error("call it with a colon: t:" .. name .. '(…)', 2) end
    return enter(caller(), f, run, ...)
  end
end

--- A run of a stream, a list of streams, or a script by its path.
---@param what table|string
---@param options table? watermark: 'declared' (default) or 'manual'; set: settings of the script; checked: false: functions are called as
---   in a run, where nothing is looked at that they do with an event after their call
local function new_run(what, options)
  local where, spec = caller(), debug.getinfo(2, 'S').source
  if type(what) == 'string' then what = path_of(what, spec) end
  local run = enter(where, function()
    local ok, made = pcall(start, what, options, where)
    if ok then
      made.spec = spec
      return made
    end
    current = { rows = {}, place = where }   -- nothing of an older one can go on
    local message = type(made) == 'table' and debug.getmetatable(made) == lib.error_mt and made.message or tostring(made)
    if type(made) ~= 'table' or rawget(made, 'code') ~= 'usage' then M.rejected[#M.rejected + 1] = message end
    error(made, 0)
  end)
  local t = setmetatable({}, run_mt)
  runs[t] = run
  return t
end

--- For the tests of packs: calls f, which is the library's, from a spec.
function M.enter(where, f, ...) return enter(where, f, ...) end

--- The same for what loads a pack: what it raises is a load error.
function M.enter_load(where, f, ...)
  return enter(where, function(...)
    local ok, made = pcall(f, ...)
    if ok then return made end
    if type(made) == 'table' and debug.getmetatable(made) == lib.error_mt then M.rejected[#M.rejected + 1] = made.message end
    error(made, 0)
  end, ...)
end

--- Gives a stream events one by one: its rows and dead letters. look(plan, i) is called before the i-th one. Within M.enter.
function M.judge(s, events, where, look)
  local run = start({ s }, { checked = false }, where)
  for i, event in ipairs(events) do
    look(run.plan, i)
    Run.send(run, event)
  end
  return Run.out(run), Run.errors(run), run.plan
end

--- For `tidemill repl`: the functions of runs, and a run of what it is given whose rows are kept as texts, too (texts: { text, value, role,
--- pipeline }, which the caller empties).
M.of = Run
function M.open(what, options, where)
  local run = start(what, options, where)
  run.texts = {}
  return run
end

--- The same: the engine it runs on, as for main.
function M.prepare(moves, begin_run, save_run)
  engine, begin, save = moves, begin_run, save_run
end

--- `tidemill test`: runs the specs; the exit code.
---@param o table paths, json
---@param moves table the functions of host/engine/testing.c
---@param begin_run function of boot.lua
---@param save_run function of boot.lua: what a run remembers, as text; nil: something is under way
---@param globals table what specs and busted see: Lua's own next, pairs and tostring, by which busted tells tables apart
---@param publish function makes `require 'tidemill'` of specs
function M.main(o, moves, begin_run, save_run, globals, publish)
  engine, begin, save, spec_globals = moves, begin_run, save_run, globals
  publish { testing = { run = new_run } }
  local run_specs = require 'tidemill.testing_busted'
  setfenv(0, globals)
  return run_specs(o, M, globals)
end

return M
