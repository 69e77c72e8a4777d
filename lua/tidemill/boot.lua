--[[
boot.lua - the library's one entrance: the host runs this text with its table of functions and gets back the
table of functions it calls. Nothing here runs per event.

host gives   text(name), compiled(name[, bytes]), compiles, abi, flow, traces, read(path), files(paths), print(line), failure(...),
             position(...), origin(...), rollback(...),
             add_source, add_sink, add_pipeline, add_out, show(text), fail_run(why)
host calls   load{...}, test{...}, lint, fail, bad_line, batch_begin, idle, ending, generate
             save() -> text, resting(), restore(text) -> list: between two batches (keep.lua); restoring() -> where that raised
]]

local host = ...
local modules = {}
local builtin = { ffi = true, bit = true, jit = true, ['jit.util'] = true, ['table.new'] = true, ['string.buffer'] = true }
local lua_require = require
local plain = { next = next, pairs = pairs, tostring = tostring }   -- Lua's own, for specs

_G.require = function(name)
  if builtin[name] then return lua_require(name) end
  if modules[name] == nil then
    local text = host.compiled(name) or host.text(name)
    if not text and modules.specs then return lua_require(name) end   -- `tidemill test`: busted, and what specs require
    if not text then error("no module '" .. name .. "' in the library") end
    local chunk = setfenv(assert(loadstring(text, '=' .. name)), _G)   -- whoever asks for it first, a spec too
    if host.compiles then host.compiled(name, string.dump(chunk)) end
    modules[name] = chunk(name, host) or true
  end
  return modules[name]
end

local lib = require 'tidemill.lib'
local walk = require 'tidemill.walk'
_G.next, _G.pairs = walk.next, walk.pairs
_G.tostring = lib.tostring
local traces = require 'tidemill.traces'
lib.types = require 'tidemill.types'
lib.value = require 'tidemill.value'
lib.shape = require 'tidemill.shape'
local stream = require 'tidemill.stream'
local sandbox = require 'tidemill.sandbox'
local plan_module = require 'tidemill.plan'
local codegen = require 'tidemill.codegen'
local errors = require 'tidemill.errors'
local keep = require 'tidemill.keep'
local api = require 'tidemill.api'
local csv = require 'tidemill.csv'
local logs = require 'tidemill.logs'
local formats = require 'tidemill.formats'
local guarantee = require 'tidemill.guarantee'
local suggest = require 'tidemill.suggest'
local shadow = require 'tidemill.shadow'
local state = require 'tidemill.state'
local state_query = require 'tidemill.state_query'
local windows = require 'tidemill.windows'
local ffi, C, raise = lib.ffi, lib.C, lib.raise
local value = lib.value

local M = { handle = errors.handle, save = keep.save, resting = keep.resting, restore = keep.restore_told,
  restoring = state.changing, shadow = shadow }
local CARE = 4096   -- elements of keyed state looked at between two batches
local plan, checked, kept
local learner, learned_from   -- check --sample: the module that learns a schema, and the source whose batches it sees

-- Scripts -----------------------------------------------------------------

local chunks = {}   -- what was compiled, for lint

local function compile(text, name, env)
  local chunk = sandbox.compile(text, name, env)
  chunks[#chunks + 1] = { chunk = chunk, env = env }
  return chunk
end

local function dirname(path)
  return path:match '^(.*)/[^/]*$' or '.'
end

--- require for one script: 'tidemill', or modules beside the script, in the script's own environment.
local function script_require(script, tm)
  local loaded, env = {}, nil
  local function req(name)
    if type(name) ~= 'string' then raise('script', 'require takes a module name') end
    if name == 'tidemill' then return tm end
    if loaded[name] ~= nil then
      if loaded[name] == script then raise('script', "module '" .. name .. "' requires itself") end
      return loaded[name]
    end
    if not name:match '^[%w_%-%.]+$' or name:find('..', 1, true) then
      raise('script', "require '" .. name .. "': a module name has letters, digits, _ - and dots between folders")
    end
    local dir = script == '-e' and '.' or dirname(script)
    local base = (dir == '.' and not script:find '^%./') and '' or dir .. '/'
    local path = base .. name:gsub('%.', '/') .. '.lua'
    local text, why = host.read(path)
    if not text then
      raise('script', stream.place() .. ": no module '" .. name .. "' beside the script: " .. path .. ': ' .. why ..
        (name:find '%.lua$' and "; require '" .. name:sub(1, -5) .. "' reads " .. name or ''))
    end
    stream.user_sources[path] = true
    loaded[name] = script
    local result = compile(text, path, env)(name)
    loaded[name] = result == nil and true or result
    return loaded[name]
  end
  env = sandbox.environment(req)
  return env
end

local function add_results(results, name, v)
  if stream.record(v) then
    if stream.record(v).ended then
      raise('script', name .. ': ' .. stream.record(v).kind .. ' ends the chain; return the streams of its table')
    end
    results[#results + 1] = stream.record(v)
    return
  end
  if type(v) == 'table' then
    local n = 0
    for _, s in ipairs(v) do
      n = n + 1
      if not stream.record(s) then
        raise('script', name .. ': the script returned a list whose item ' .. n .. ' is not a stream but ' .. stream.describe(s))
      end
      add_results(results, name, s)
    end
    if n > 0 then return end
  end
  raise('script', name .. ': the script must return a stream or a list of streams, got ' .. stream.describe(v) ..
    "; end it with: return tm.pipeline 'name':…, or behind branch and route: return { out.a, out.b }")
end

local function run_script(path, tm, results)
  if stream.is_pack(path) then return add_results(results, path, stream.of_pack(path)) end
  local text, why = host.read(path)
  if not text then raise('script', path .. ': ' .. why) end
  stream.user_sources[path] = true
  local env = script_require(path, tm)
  env.tm = nil
  add_results(results, path, compile(text, path, env)())
end

--- -e CODE: an expression or a chunk over `stream`, the default input.
local function run_code(code, tm, results)
  stream.user_sources['-e'] = true
  local env = script_require('-e', tm)
  env.tm = tm
  env.stream = stream.pipeline 'e'
  local ok, chunk = pcall(sandbox.compile, 'return (' .. code .. '\n)', '-e', env)   -- ( ): a tail call would hide its line
  if ok then chunks[#chunks + 1] = { chunk = chunk, env = env } else chunk = compile(code, '-e', env) end
  add_results(results, '-e', chunk())
end

-- Binding to the host -------------------------------------------------------

--- The default input and output are one of the others: what reads or writes both does so in one place.
local function canonical(o)
  --- format, csv and fluent of the default input or output; flags of another format are refused.
  local function format_of(option, named, given, paths, is_sink)
    local function fail(m) raise('usage', option .. ': ' .. m) end
    local format, told = formats.find(fail, named, paths, is_sink)
    local ok = format == 'csv' or not (given.delimiter or given.columns)
    if not ok then
      raise('usage', given.names .. ' are of CSV, and the default ' .. (is_sink and 'output' or 'input') .. " is '" .. format ..
        "'; give " .. option .. ' csv too')
    end
    if format ~= 'fluent' and (given.time_key or given.tag_key) then
      raise('usage', "--time-key and --tag-key are of fluent, and the default input is '" .. format .. "'; give --format fluent too")
    end
    given.columns = given.columns and csv.split(given.columns)
    return format, csv.options(function(m) raise('usage', given.names .. ': ' .. m) end, format, given, told, is_sink),
      formats.fluent(fail, format, given)
  end
  local from = { delimiter = o.delimiter, columns = o.columns, names = '--delimiter and --columns',
    time_key = o.time_key, tag_key = o.tag_key }
  local to = { delimiter = o.out_delimiter, columns = o.out_columns, names = '--out-delimiter and --out-columns' }
  local in_format, in_csv, in_fluent = format_of('--format', o.format, from, o.from)
  local out_format, out_csv = format_of('--out-format', o.out_format, to, { o.to }, true)
  return {
    source = function(d)
      if d.kind ~= 'input' then return d end
      if #o.from == 0 or (#o.from == 1 and o.from[1] == '-') then
        if o.follow then raise('usage', '--follow: standard input is followed by itself; name files with --from') end
        return { kind = 'stdin', key = 'stdin', name = 'stdin', format = in_format, csv = in_csv, fluent = in_fluent }
      end
      local paths = {}
      for i, p in ipairs(o.from) do paths[i] = p end
      table.sort(paths)
      return { kind = 'file', paths = paths, name = table.concat(paths, ','), format = in_format, csv = in_csv,
        fluent = in_fluent, follow = o.follow }
    end,
    sink = function(d)
      if d.kind ~= 'output' then return d end
      if o.to == nil or o.to == '-' then
        return { kind = 'stdout', key = 'stdout', name = 'stdout', place = d.place, format = out_format, csv = out_csv }
      end
      if o.to == 'discard' then return { kind = 'discard', key = 'discard', name = 'discard', place = d.place } end
      return { kind = 'file', path = o.to, name = o.to, place = d.place, format = out_format, csv = out_csv,
        files = api.files_of(nil, '--to', { path = o.to }) }
    end,
  }
end

local function describe_source(d, o)
  if d.memory then return 'generate', {}, d.name end   -- of a spec, which gives its text
  -- what tables are read from before the rest is not what the sample is one of
  if o.sample and d.kind ~= 'link' and d.kind ~= 'generate' and not d.read_first then return 'file', { o.sample }, o.sample end
  if d.kind == 'log' then return 'log', { o.checked and '' or logs.folder(o, d) }, d.name end
  return d.kind, d.paths or {}, d.name or d.kind
end

local function describe_sink(d, o)
  if d.kind == 'memory' then return 'memory', '', d.name end
  if d.of_table then return 'table', '', d.name end
  if (o.checked or o.state and not d.prints) and d.kind ~= 'link' and d.kind ~= 'discard' then
    return 'file', '/dev/null', d.name or 'the output'   -- rows are made all the same: one that cannot be written fails its event
  end
  return d.kind, (d.kind == 'log' or d.kind == 'compare') and logs.folder(o, d) or d.path or '', d.name or d.kind
end

--- A list of false from 0 to n for each field, made when first asked for.
local function caches(n, list)
  local by_id = {}
  return function(id)
    local t = by_id[id]
    if not t then
      t = require 'table.new'(n + 1, 1)
      for i = 0, n do t[i] = false end
      t.used = false
      by_id[id] = t
      if list then list[#list + 1] = t end
    end
    return t
  end
end

local function bind(o)
  keep.begin()
  shadow.begin_plan()
  for _, d in ipairs(plan.sinks) do
    local kind, path, name = describe_sink(d, o)
    local of = d.source and d.source.index or -1
    local c = d.csv or {}
    d.host = host.add_sink(kind, path, name, d.place or '', of, lib.formats[d.format or 'json'], c.delimiter, c.header, c.columns, c.crlf,
      d.breaks or false)
    if d.files and path == d.path then host.sink_how(d.host, d.files) end
    if kind == 'log' then host.sink_log(d.host, d.kept) end
    if kind == 'compare' then host.sink_compare(d.host, d.part) end
    if d.sqlite and kind ~= 'memory' and not o.state then host.sink_sqlite(d.host, d.sqlite) end
  end
  for _, d in ipairs(plan.sources) do
    local kind, paths, name = describe_source(d, o)
    local c, fluent = d.csv or {}, d.fluent or {}
    local batch, fields = host.add_source(kind, name, paths, d.sink and d.sink.host or -1, d.place or '',
      lib.formats[d.format or 'json'], c.delimiter, c.header, c.columns, false, c.record, fluent.time_key, fluent.tag_key)
    if kind == d.kind then
      local rate = d.rate or (d.kind ~= 'link' and o.rate) or nil
      if kind == 'log' then host.source_log(d.index, d.range) end
      host.source_how(d.index, { follow = d.follow, rate = rate, period_ms = d.period_ms, count = d.ticks })
    end
    d.batch = ffi.cast('struct tm_batch *', batch)
    d.fields = ffi.cast('struct tm_fields *', fields)
    d.cache_list = {}
    d.strings, d.words = caches(C.TM_BATCH_ROWS, d.cache_list), caches(C.TM_WORDS_MAX)
    d.views, d.loops = {}, {}
    local time = plan:time_of(d)
    if time then
      host.source_time(d.index, C.tm_ffi_fields_add(d.fields, 0, time.field, #time.field), lib.time_units[time.unit])
    end
  end
  for _, d in ipairs(plan.sources) do
    for _, first in ipairs(d.waits_for or {}) do host.source_waits(d.index, first.index) end
    for _, other in ipairs(d.shares_with or {}) do host.source_shares(d.index, other.index) end
    if d.one then host.source_one(d.index) end
  end
  for _, p in ipairs(plan.pipelines) do
    host.add_pipeline(p.name, p.source.index)
    for _, out in ipairs(p.outs) do
      out.ptr = ffi.cast('struct tm_out *', host.add_out(p.index, out.sink.host, out.dead or false))
    end
  end
  local loops = {}
  for i, p in ipairs(plan.pipelines) do
    if p.prints then state_query.compile(p, plan, o) elseif not p.loop then codegen.compile(p.group, o.checked) end
    if p.fires then host.fires(p.index) end
    for _, v in ipairs(p.views) do
      if not v.entry or v.entry == p then p.source.views[#p.source.views + 1] = v end
    end
    loops[i] = p.loop
    if not p.prints then
      p.source.loops[#p.source.loops + 1] = p.loop
      local out = p.outs[1]
      traces.watch(p.loop, not p.filtered and out and out.ptr.tally ~= nil and out.ptr.tally or nil)
    end
  end
  return loops
end

--- What `check` finds without running anything: problems and warnings, each a list of "file:line: message".
function M.lint()
  return require 'tidemill.lint'.all(plan, chunks, stream.is_user)
end

--- Runs scripts and plans what they return.
local function make_plan(o)
  local settings = {}
  checked, kept = o.checked, o.data ~= nil
  learner = o.sample and require 'tidemill.learn' or nil
  for _, pair in ipairs(o.set) do
    local k, v = pair:match '^([^=]+)=(.*)$'
    if not k then raise('usage', "--set takes name=value, got '" .. pair .. "'") end
    settings[k] = v
  end
  if o.rate then
    local rate, why = require 'tidemill.duration'.rate(o.rate)
    if not rate then raise('usage', '--rate: ' .. why) end
    o.rate = rate
  end
  local tm = api.make(settings)
  local results = {}
  shadow.begin(o)
  for _, path in ipairs(o.scripts) do run_script(path, tm, results) end
  if o.code then run_code(o.code, tm, results) end
  local ends = canonical(o)
  plan = plan_module.make(results, ends)
  local again = o.state and require 'tidemill.history'.commands[o.state]
  if again then require(again).prepare(plan, o, ends.source { kind = 'input' }) end
  if o.state then state_query.extend(plan, o) end
  if o.replay and not again then require 'tidemill.replay'.change(plan, o) end
  shadow.change(plan, o)
end

--- Loads scripts, plans, opens what they name, compiles. Returns the loops in the order of pipelines.
---@param o table scripts, code, from, to, set, checked; drawing: only the plan is made, and drawn in that format; state, state_name,
---   state_key, limit, json: what steps keep is printed at the end, and nothing else is written
function M.load(o)
  keep.looks = o.state and not o.scripts[1] and not o.code
  make_plan(o)
  -- whether a run will have --data is not the script's to say: check and graph refuse what no folder gives
  if not o.state then guarantee.check(plan.sinks, (o.data or o.checked or o.drawing) and true or false, stream.fault) end
  if o.drawing then
    host.show(require 'tidemill.graph'.draw(plan, o.drawing))
    return {}
  end
  if not checked then   -- check tells all of them
    local problems = {}
    require 'tidemill.lint'.states(plan, problems)
    if problems[1] then raise('script', problems[1].place .. ': ' .. problems[1].message) end
  end
  if o.data and not (checked or o.quiet or o.state) then
    host.inform(guarantee.line(plan.sinks))
    local input = guarantee.sources_line(plan.sources)
    if input then host.inform(input) end
  end
  return bind(o)
end

--- What tidemill.testing makes a run of: a script by its name, or a list of streams. The run before has ended.
---@param what string|table
---@param o table settings: of the script; canonical: as of plan.make; change(plan): what becomes of its sources and sinks;
---   engine: the functions of host/engine/testing.c; checked: views live for one call; saved: of the same run before it crashed;
---   changed: by another version of what it was made of
---@return table plan
local function begin_test(what, o)
  local results, all = {}, false
  if type(what) == 'string' then
    local outer = stream.all
    stream.all = {}
    local ok, why = o.engine.guarded(run_script, what, api.make(o.settings), results)
    all, stream.all = stream.all, outer
    if not ok then error(why, 0) end
  else
    add_results(results, 'tm.testing.run', what)
  end
  local made = plan_module.make(results, o.canonical, all)
  o.change(made)
  local problems = {}
  require 'tidemill.lint'.states(made, problems)
  if problems[1] then raise('script', problems[1].place .. ': ' .. problems[1].message) end
  -- a proxy and what it belongs to hold each other, which a table with weak keys does not see through
  for proxy in next, lib.owner do lib.owner[proxy] = nil end
  jit.flush()   -- traces of the library's functions hold the plans for which they were recorded
  if o.saved then
    math.randomseed(0)
    C.tm_ffi_states_orphan(state.changes)
    o.engine.crash()
  else
    while state.changes.states ~= nil do C.tm_ffi_state_free(state.changes.states) end
    o.engine.begin()
  end
  plan, checked = made, o.checked
  o.engine.open(bind { checked = o.checked })
  if o.saved then
    local told
    local ok, why = o.engine.guarded(function() told = keep.restore(o.saved) end)   -- which calls functions of scripts, too
    if not ok then
      local place = state.changing()
      if not place then error(why, 0) end
      raise('state-changed', place .. (type(why) == 'table' and why.message or tostring(why)))
    end
    for _, t in ipairs(told) do
      if t.what == 'changed' or not o.changed and not t.known and t.what ~= 'old' then
        raise('state', ("t:crash: '%s' is %s%s%s"):format(t.name, t.what, o.changed and '' or ' in the same script',
          t.why and ' (' .. t.why .. ')' or ''))
      end
    end
  end
  return plan
end

--- `tidemill state import`: reads standard input into the states of a run that is kept; how many keys came.
function M.import()
  return require 'tidemill.state_import'.read(io.stdin:lines())
end

--- `tidemill test`: runs the specs; the exit code.
---@param o table paths, json
---@param engine table the functions of host/engine/testing.c
function M.test(o, engine)
  modules.specs, errors.quiet = true, true
  local globals = {}
  for name, v in pairs(_G) do globals[name] = v end
  for name, v in pairs(plain) do globals[name] = v end
  globals._G = globals
  local testing = require 'tidemill.testing'
  local function save() return keep.resting() and keep.save() or nil end
  return testing.main(o, engine, begin_test, save, globals, function(parts) modules.tidemill = api.make({}, parts) end)
end

--- `tidemill repl`: reads lines of the input until it ends; the exit code.
---@param o table paths: the script or pack to begin with, if any; terminal: somebody types
---@param engine table the functions of host/engine/testing.c
function M.repl(o, engine)
  errors.quiet = true
  local testing = require 'tidemill.testing'
  testing.prepare(engine, begin_test, function() return keep.resting() and keep.save() or nil end)
  return require 'tidemill.repl'(o, testing, engine.guarded)
end

--- After a sample: the schema that its events have, as text; nil if there were none.
function M.learned()
  return learner.text()
end

-- During the run --------------------------------------------------------------

local cared, warned = false, false

local function memory_text(used, limit)
  local largest = state.sizes()[1]
  return ("keyed state uses %.1f of the %.1f MiB of --memory; the largest is '%s', %.1f MiB for %.0f keys"):format(
    used / 2 ^ 20, limit / 2 ^ 20, largest.name, largest.bytes / 2 ^ 20, largest.keys)
end

--- Keyed state near its bound: at 80 % nothing is read until what can be given back is, at 95 % the run ends in order.
local function watch_memory()
  local budget = state.changes.budget
  local limit = budget.limit
  if limit == 0 or budget.used < 0.8 * limit then
    cared = false
    return
  end
  if not cared then
    if not warned then host.warn(memory_text(budget.used, limit) .. '; reading waits while it gives back what it can') end
    cared, warned = true, true
    repeat until C.tm_ffi_changes_care(state.changes, 1e6) == 0
  end
  if budget.used >= 0.95 * limit then host.stop_run(memory_text(budget.used, limit)) end
end

--- A new batch of this source is at hand: yesterday's strings are forgotten. rows: slots of the batch before. firing: it has no
--- events but what steps give at the end of input.
function M.batch_begin(index, rows, firing)
  local source = plan.sources[index + 1]
  local list = source.cache_list
  for i = 1, #list do
    local t = list[i]
    if t.used then
      t.used = false
      for r = 0, rows - 1 do t[r] = false end
    end
  end
  if learner and not firing and not source.read_first then
    learned_from = learned_from or index
    if learned_from == index then learner.batch(source.batch) end
  end
  state.serial[0] = state.serial[0] + 1
  if state.changes.budget.limit ~= 0 then watch_memory() end
  if state.changes.care ~= 0 then C.tm_ffi_changes_care(state.changes, CARE) end
  if source.loops[1] then traces.judge(source.loops, rows) end
  for _, v in ipairs(source.views) do
    if v.transient[1] then v.forget() end
  end
end

--- The partition at which the clocks of event time of a source's pipelines are.
local function part_of(source)
  for _, p in ipairs(plan.pipelines) do
    for _, clock in ipairs(p.source == source and p.clocks or {}) do
      if clock.part then return clock.part end
    end
  end
  return 0
end

--- Nothing is there to be read of some inputs. A clock that waited for a partition which has been silent for long enough, or by which
--- something is due: its pipeline's source and the partition it is at; else nil, and when there will be one.
---@param now number ms
function M.idle(now)
  local due = math.huge
  for _, p in ipairs(plan.pipelines) do
    for _, clock in ipairs(host.at_work(p.source.index) and {} or p.clocks or {}) do
      local at = windows.idle(clock, now, p.name)
      if at == true then return p.source.index, part_of(p.source) end
      due = math.min(due, at)
    end
  end
  return nil, due
end

--- The end of the run begins: how far each pipeline's event time is, and what states hold, for the summary.
function M.ending(now)
  for _, p in ipairs(plan.pipelines) do
    for _, clock in ipairs(p.clocks or {}) do
      if not clock.wall and clock.members[1] == p then host.watermark(p.name, windows.watermark(clock, now)) end
    end
  end
  for _, size in ipairs(state.sizes()) do host.state_size(size.name, size.keys, size.bytes) end
  for _, p in ipairs(plan.pipelines) do
    for _, step in ipairs(p.steps) do
      if step.kind == 'pack' and step.rec.judged then require 'tidemill.decisions'.tell(step.rec.judged, step.rec.name) end
    end
  end
end

--- Tells the host what each sink promises.
function M.guarantees()
  for _, d in ipairs(plan.sinks) do
    local level = d.host and guarantee.of(d, kept)
    if level then host.guarantee(d.host, guarantee.words(level)) end
  end
end

function M.fail(index, row, e)
  if state.changes.used ~= 0 then C.tm_ffi_changes_rollback(state.changes, 0) end
  local p = plan.pipelines[index + 1]
  if p.prints then return p.failed(row, e) end
  return errors.fail(p, row, e)
end

function M.bad_line(index, row, code, why)
  return errors.bad_line(plan.pipelines[index + 1], row, code, why)
end

--- Fills a buffer with generated events from the one after `n` on: how many were made, and whether it has ended.
function M.generate(index, buf, max_bytes, max_rows, n)
  local source = plan.sources[index + 1]
  local fn, count = source.fn, source.count or math.huge
  if checked then count = math.min(count, 1000) end
  buf = ffi.cast('struct tm_buf *', buf)
  local marker = lib.flow.marker
  local made = 0
  while made < max_rows and buf.len < max_bytes do
    if n + made >= count then return made, true end
    marker.sub = made
    local row = fn(n + made + 1)
    if row == nil then return made, true end
    if type(row) == 'string' then
      if C.tm_ffi_buf_put(buf, row, #row) ~= 0 then
        raise('row-too-large', 'tm.source.generate: the text of an event has ' .. #row .. ' bytes (--max-event)')
      end
    elseif type(row) ~= 'table' or row == lib.NULL then
      raise('type', 'tm.source.generate: the function must return a table, a JSON text or nil, got a ' .. type(row))
    else
      value.encode(buf, row)
    end
    C.tm_ffi_buf_put(buf, '\n', 1)
    made = made + 1
  end
  return made, false
end

sandbox.lock_strings()
M.suggest = suggest
return M
