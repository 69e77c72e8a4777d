--[[
running.lua - programs that are watched while they run: started in the background, fed and read through pipes, sent
signals by process id, and always ended. Waiting is for a condition that is looked at every few milliseconds; how long
it may take bounds a failing test, not a passing one.
]]

local h = require 'spec.helper'
local system = require 'system'

local M = {}
local list = {}

--- Waits until fn() is true: its value; raises when `seconds` (20) have passed.
function M.wait_until(what, fn, seconds)
  local last = system.monotime() + (seconds or 20)
  while true do
    local v = fn()
    if v then return v end
    if system.monotime() > last then error('waited in vain: ' .. what, 2) end
    system.sleep(0.002)
  end
end

local Run = {}
Run.__index = Run

--- The exit code, or nil while it runs.
function Run:code()
  return tonumber((h.read(self.code_path):match '%d+'))
end

--- Waits for the end; returns the exit code (128 + n: ended by signal n).
function Run:wait(seconds)
  return M.wait_until('the end of ' .. self.what, function() return self:code() end, seconds or 30)
end

function Run:signal(name, pid)
  return os.execute(('kill -%s %d 2>/dev/null'):format(name, pid or self.pid)) == 0
end

--- The process id of its (first) child: the worker. nil while there is none.
function Run:worker()
  return tonumber((h.read(('/proc/%d/task/%d/children'):format(self.pid, self.pid)):match '%d+'))
end

--- The process id of the worker, when there is no other process: neither the one before it nor one that is about to take its place.
function Run:worker_alone()
  local function children(pid) return h.read(('/proc/%d/task/%d/children'):format(pid, pid)) end
  return M.wait_until('the worker alone', function()
    local pid = tonumber(children(self.pid):match '^(%d+) *$')
    return pid and children(pid) == '' and M.state(pid) ~= 'Z' and pid
  end)
end

function Run:out() return h.read(self.stdout) end
function Run:err() return h.read(self.stderr) end

--- The end summary as a table (the run has --json).
function Run:summary()
  local lines = h.lines(self:err())
  return h.decode(lines[#lines])
end

--- Resident memory of the program and its children, bytes.
function Run:resident()
  local sum = 0
  for _, pid in ipairs { self.pid, self:worker() } do
    sum = sum + 1024 * (tonumber(h.read('/proc/' .. pid .. '/status'):match 'VmRSS:%s*(%d+)') or 0)
  end
  return sum
end

--- 'S' asleep, 'R' running ... of a process; nil when it is gone.
function M.state(pid)
  return h.read('/proc/' .. pid .. '/stat'):match '^%d+ %b() (%a)'
end

--- Starts a shell command in the background, in a process group of its own. options: stdin, stdout, stderr (paths),
--- before (shell text, such as 'ulimit -f 8;').
function M.spawn(command, options)
  options = options or {}
  local run = setmetatable({
    what = command, stdin = options.stdin or '/dev/null', stdout = options.stdout or h.path 'stdout',
    stderr = options.stderr or h.path 'stderr', code_path = h.path 'code',
  }, Run)
  local pid_path = h.path 'pid'
  os.execute(([[( { %s exec setsid %s; } <%s >%s 2>%s & pid=$!; echo $pid >%s.tmp; mv %s.tmp %s; wait $pid; echo $? >%s.tmp
    mv %s.tmp %s ) >/dev/null 2>&1 &]]):format(options.before or '', command, h.quote(run.stdin), h.quote(run.stdout),
    h.quote(run.stderr), pid_path, pid_path, pid_path, run.code_path, run.code_path, run.code_path))
  run.pid = M.wait_until('the start of ' .. command, function() return tonumber((h.read(pid_path):match '%d+')) end)
  list[#list + 1] = run
  return run
end

--- Starts the program with these arguments.
function M.start(args, options)
  local words = { h.quote(h.bin:sub(1, 1) == '/' and h.bin or h.cwd .. '/' .. h.bin) }
  for _, arg in ipairs(args) do words[#words + 1] = h.quote(arg) end
  return M.spawn(table.concat(words, ' '), options)
end

--- Ends what still runs; for after_each.
function M.stop_all()
  for _, run in ipairs(list) do
    if not run:code() then
      local worker = run:worker()
      run:signal 'KILL'
      if worker then run:signal('KILL', worker) end
    end
  end
  list = {}
end

--- A new named pipe.
function M.fifo(name)
  local path = h.path(name or 'fifo')
  assert(os.execute('mkfifo ' .. path) == 0)
  return path
end

--- The size of a file, 0 if there is none.
function M.size(path)
  local f = io.open(path, 'rb')
  if not f then return 0 end
  local n = f:seek 'end'
  f:close()
  return n
end

--- The sha256 of a file, by coreutils.
function M.digest(path)
  return h.shell('sha256sum <' .. h.quote(path)).out:match '%x+'
end

return M
