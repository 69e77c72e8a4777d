--[[
repl.lua - `tidemill repl`: lines are read one by one; each is an event, an expression, or a command that begins with a dot. A script or a
pack that is loaded gets the events, and what comes of them is printed at once: rows, dead letters, late events, decisions with their
reasons.

The engine is that of `tidemill test` (testing.lua): sources and sinks are memory, and no file of a script's sinks is opened. Expressions
see what a script sees, under the deadline of one event; their globals stay, their locals end with the line. What they may use beside:

  stream  the default input: an expression that gives a stream is loaded, as -e is by `run`
  e       the last event, as a table          rows  the rows that came of it          f  the features of the last decision

Answers go to stdout, prompts and what is wrong to stderr. The exit code of a session that is no terminal is 1 where a line failed.
]]

local api = require 'tidemill.api'
local duration = require 'tidemill.duration'
local lib = require 'tidemill.lib'
local printable = require 'tidemill.printable'
local sandbox = require 'tidemill.sandbox'
local stream = require 'tidemill.stream'
local suggest = require 'tidemill.suggest'
local value = require 'tidemill.value'
local raise = lib.raise

local LINE_MAX = 1048576   -- bytes of an expression that goes over several lines

local HELP = [[
{"ts":0,"card":"a"}       an event, as JSON or as a table of Lua: what comes of it is printed
e.amount * 2              an expression; e is the last event, rows what came of it, f the features of the last decision
stream:filter(…)          a stream is loaded, and events go to it
.load PATH                loads a script, or the folder of a rule pack; again: reads its files anew, with empty state
.rules [all]              rules that matched the last event, or lack what they need; all: every rule
.rule ID                  a rule: its params, and what it read of the last event
.features [TEXT]          features of the last decision, those whose name has this text in it
.watermark MS             no event up to this time is expected any more; .end: none at all
.advance DURATION         moves the clock of processing time: .advance 5m
.help  .quit              Ctrl-D ends, too]]

-- What is printed ----------------------------------------------------------------------------------------

local function put(...)
  io.stdout:write(table.concat { ... }, '\n')
end

local function say(text) io.stderr:write(text, '\n') end

--- A value of Lua for people: JSON where it is data.
local function shown(v)
  if type(v) == 'function' or type(v) == 'userdata' or type(v) == 'thread' or type(v) == 'cdata' then return type(v) end
  if v == nil then return 'nil' end
  if type(v) == 'string' then return printable.json(v) end
  if stream.record(v) then return 'a stream' end
  local ok, text = pcall(value.json, v)
  return ok and text or 'a ' .. type(v)
end

local function message_of(e)
  if type(e) == 'table' and type(rawget(e, 'message')) == 'string' then return rawget(e, 'message') end
  return type(e) == 'string' and e or 'what was raised is no text'
end

local Repl = {}
Repl.__index = Repl

function Repl:failed(why)
  self.failures = self.failures + 1
  say('error: ' .. message_of(why))
end

-- A pack at work -----------------------------------------------------------------------------------------

--- The rules of a pack that is loaded; nil: none is.
function Repl:judged()
  for _, p in ipairs(self.run and self.run.plan.pipelines or {}) do
    for _, step in ipairs(p.steps) do
      if step.kind == 'pack' then return step.rec.judged end
    end
  end
end

function Repl:need_judged()
  local J = self:judged()
  if not J then raise('usage', 'no rule pack is loaded: .load FOLDER') end
  return J
end

--- How often each rule matched, was unknown and raised so far.
local function counts_of(J)
  local counts = {}
  for i in ipairs(J and J.list or {}) do
    local s = J.R.stats[i - 1]
    counts[i] = { looked = s.looked, hits = s.hits, unknowns = s.unknowns, errors = s.errors }
  end
  return counts
end

--- What the rule said of the last event.
local function answer_of(J, before, i)
  local s, b = J.R.stats[i - 1], before[i]
  if s.errors > b.errors then return 'error' end
  if s.unknowns > b.unknowns then return 'unknown' end
  if s.hits > b.hits then return 'matched' end
  return s.looked > b.looked and 'no' or 'not asked'
end

local function put_decision(row)
  local tail = (row.suppressed and ' suppressed' or '') .. (row.guarded and ' guarded' or '')
  put(('%s %s%s'):format(row.decision, shown(row.score), tail))
  for _, r in ipairs(row.reasons or {}) do put(('  %-20s %4s  %s'):format(r.rule, shown(r.score), r.text)) end
  for _, id in ipairs(row.errors or {}) do put(('  %-20s error'):format(id)) end
end

local function is_decision(row)
  return type(row) == 'table' and type(row.decision) == 'string' and type(row.reasons) == 'table' and row.pack ~= nil
end

-- Events -------------------------------------------------------------------------------------------------

--- Prints what came since the last time.
function Repl:report()
  local several = #self.run.plan.pipelines > 1
  local rows = self.testing.of.out(self.run)
  self.env.rows = rows
  for _, row in ipairs(rows) do
    if is_decision(row) then
      self.env.f = row.features
      self.decision = row
      put_decision(row)
    end
  end
  for _, row in ipairs(self.run.texts) do
    if row.role == 'error' then
      say('dead letter: ' .. tostring(row.value.reason))
    elseif not is_decision(row.value) then
      put((row.role == 'late' and 'late: ' or '') .. (several and row.pipeline .. ': ' or '') .. row.text)
    end
  end
  self.run.texts = {}
  self.testing.of.errors(self.run)
  self.testing.of.late(self.run)
end

--- Gives an event to what is loaded; text: JSON.
function Repl:send(text, event)
  if not self.run then raise('usage', 'nothing is loaded that takes an event: .load PATH, or a stream such as stream:filter(…)') end
  self.before, self.env.e, self.env.f, self.decision = counts_of(self:judged()), event, nil, nil
  self.testing.of.send(self.run, text)
  self:report()
end

--- Makes a run of a script, a pack or streams.
function Repl:load(what, name)
  local ok, run = pcall(self.testing.open, what, { checked = false }, name)
  if not ok then
    self.run = nil
    error(run, 0)
  end
  self.run, self.path, self.decision = run, type(what) == 'string' and what or nil, nil
  local names = {}
  for _, p in ipairs(run.plan.pipelines) do names[#names + 1] = p.name end
  local J = self:judged()
  say(('loaded %s: %s%s'):format(name, table.concat(names, ', '), J and (', %d rules at work'):format(#J.list) or ''))
end

-- Expressions --------------------------------------------------------------------------------------------

--- The chunk of a text; nil: it goes on in the next line.
function Repl:compile(text)
  local ok, chunk = pcall(sandbox.compile, 'return ' .. text .. '\n', 'line', self.env)
  if ok then return chunk end
  ok, chunk = pcall(sandbox.compile, text, 'line', self.env)
  if ok then return chunk end
  if message_of(chunk):find "near '<eof>'" then return nil end
  error(chunk, 0)
end

--- Runs a chunk under the deadline: its values.
function Repl:values(chunk)
  local values = { n = 0 }
  self.env.stream = stream.pipeline 'e'
  local ok, why = self.guarded(function()
    local function keep(...) values = { n = select('#', ...), ... } end
    keep(chunk())
  end)
  if not ok then error(why, 0) end
  return values
end

function Repl:evaluate(chunk, is_table)
  local values = self:values(chunk)
  local v = values[1]
  if stream.record(v) or type(v) == 'table' and stream.record(v[1]) then return self:load(v, 'line') end
  if is_table and type(v) == 'table' and values.n == 1 and self.run then return self:send(value.json(v), v) end
  for i = 1, values.n do put(shown(values[i])) end
end

-- Commands -----------------------------------------------------------------------------------------------

local commands = {}

function commands.help() put(HELP) end

function commands.quit(self) self.quits = true end

function commands.load(self, argument)
  local path = argument ~= '' and argument or self.path
  if not path then raise('usage', '.load takes the path of a script, or the folder of a rule pack') end
  self:load(path, path)
end

function commands.rules(self, argument)
  local J = self:need_judged()
  if not self.before then raise('usage', 'no event has come yet') end
  for i, rule in ipairs(J.list) do
    local said = answer_of(J, self.before, i)
    if argument == 'all' or said ~= 'no' and said ~= 'not asked' then put(('%-10s %-20s %s'):format(said, rule.id, rule.mode)) end
  end
end

function commands.rule(self, argument)
  local J, ids = self:need_judged(), {}
  for i, rule in ipairs(J.list) do
    ids[i] = rule.id
    if rule.id == argument then
      put(rule.id, self.before and ': ' .. answer_of(J, self.before, i) or '', rule.why and '\n  ' .. rule.why or '')
      for _, name in ipairs(value.sorted_keys(rule.params)) do put(('  p.%s = %s'):format(name, shown(rule.values[name]))) end
      for _, name in ipairs(value.sorted_keys(rule.reads[2])) do
        put(('  f.%s = %s'):format(name, shown(self.env.f and self.env.f[name])))
      end
      for _, name in ipairs(value.sorted_keys(rule.reads[1])) do
        put(('  tx.%s = %s'):format(name, shown(self.env.e and self.env.e[name])))
      end
      return
    end
  end
  raise('usage', ("the pack has no rule '%s' at work%s"):format(argument, suggest.among(argument, ids)))
end

function commands.features(self, argument)
  self:need_judged()
  if not self.env.f then raise('usage', 'no decision has come of the last event') end
  for _, name in ipairs(value.sorted_keys(self.env.f)) do
    if name:find(argument, 1, true) then put(('  %-26s %s'):format(name, shown(self.env.f[name]))) end
  end
end

function commands.watermark(self, argument)
  local ms = tonumber(argument)
  if not ms then raise('usage', '.watermark takes milliseconds: .watermark 60000') end
  self.testing.of.watermark(self.run or raise('usage', 'nothing is loaded: .load PATH'), ms)
  self:report()
end

commands['end'] = function(self)
  self.testing.of.watermark(self.run or raise('usage', 'nothing is loaded: .load PATH'), math.huge)
  self:report()
end

function commands.advance(self, argument)
  local ms, why = duration.parse(argument)
  if not ms then raise('usage', '.advance: ' .. why) end
  self.testing.of.advance(self.run or raise('usage', 'nothing is loaded: .load PATH'), argument)
  self:report()
end

function Repl:command(line)
  local name, argument = line:match '^%.(%S*)%s*(.-)%s*$'
  if not commands[name] then
    raise('usage', ("there is no command '.%s'%s; .help lists them"):format(name, suggest.among(name, value.sorted_keys(commands))))
  end
  commands[name](self, argument)
end

-- Lines --------------------------------------------------------------------------------------------------

--- Is it a JSON object? Then the table, too.
function Repl:object_of(line)
  if not line:find '^%s*{' then return nil end
  local ok, event = pcall(self.env.tm.json.decode, line)
  return ok and type(event) == 'table' and event or nil
end

--- One line, behind those that wait for more of it. Returns true where it is not complete.
function Repl:take(line)
  local waiting = self.waiting
  if not waiting then
    if not line:find '%S' then return end
    if line:find '^%s*%.%a' then return self:command(line:match '^%s*(.*)') end
    local event = self:object_of(line)
    if event then return self:send(line, event) end
  end
  local text = waiting and waiting .. '\n' .. line or line
  self.waiting = nil
  if #text > LINE_MAX then raise('usage', ('an expression has at most %d bytes'):format(LINE_MAX)) end
  local chunk = self:compile(text)
  if not chunk then
    self.waiting = text
    return
  end
  self:evaluate(chunk, text:find '^%s*{' ~= nil)
end

--- Reads lines until the input ends; the exit code.
---@param o table paths: at most one script or folder of a pack; terminal: boolean
---@param testing table testing.lua, made ready
---@param guarded function (f): f under the deadline; true, or false and why
return function(o, testing, guarded)
  local tm = api.make {}
  local self = setmetatable({ testing = testing, guarded = guarded, failures = 0 }, Repl)
  self.env = sandbox.environment(function(name)
    if name == 'tidemill' then return tm end
    raise('script', "line: modules are found beside a script: write one, and .load it; require takes 'tidemill' here")
  end)
  self.env.tm = tm
  stream.user_sources.line = true
  if o.paths[1] then self:load(o.paths[1], o.paths[1]) end
  if o.terminal then say "'.help' tells what can be typed; Ctrl-D ends" end
  while not self.quits do
    if o.terminal then
      io.stdout:flush()
      io.stderr:write(self.waiting and '>> ' or '> ')
    end
    local line = io.stdin:read '*l'
    if not line then break end
    local ok, why = pcall(self.take, self, line)
    if not ok then
      self.waiting = nil
      self:failed(why)
    end
    io.stdout:flush()
  end
  if self.waiting then self:failed('the input ended within an expression: ' .. self.waiting:match '^[^\n]*') end
  testing.close()
  return self.failures > 0 and not o.terminal and 1 or 0
end
