--[[
helper.lua - how specs run the real program: start it, give it input, look at what came out.

Nothing here knows the library: rows are decoded by dkjson (Debian's lua-dkjson, which busted itself needs), values are
compared by jq or Python where a spec says so. Every run has its own files under one temporary folder that is
removed when the specs end; every run is bounded by `timeout`, so that a program that hangs fails one test only.
]]

local dkjson = require 'dkjson'
local system = require 'system'

local M = {}

--- JSON's null in decoded rows.
M.null = dkjson.null
--- The program under test.
M.bin = os.getenv 'TIDEMILL_BIN' or 'build/tidemill'

--- How much longer things may take: 1, or with sanitizers in the program 4.
function M.slowness()
  return M.read(M.bin):find('__asan_init', 1, true) and 4 or 1
end

--- A text as one word of the shell.
function M.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

--- A value as text of Lua, for scripts and specs that a spec writes.
function M.literal(v)
  if type(v) ~= 'table' then return v == math.huge and 'math.huge' or type(v) == 'string' and ('%q'):format(v) or tostring(v) end
  local parts = {}
  for k, item in pairs(v) do parts[#parts + 1] = ('[%s] = %s'):format(M.literal(k), M.literal(item)) end
  return '{ ' .. table.concat(parts, ', ') .. ' }'
end

local folder, serial

local function root()
  if folder then return folder end
  local p = assert(io.popen 'mktemp -d /tmp/tidemill-spec.XXXXXX')
  folder, serial = p:read '*l', 0
  p:close()
  -- gone with the process that runs the specs, however it ends
  M.guard = newproxy(true)
  getmetatable(M.guard).__gc = function() os.execute('rm -rf ' .. M.quote(folder)) end
  return folder
end

--- A path in the temporary folder that nothing uses yet.
function M.path(name)
  local base = root()
  serial = serial + 1
  return ('%s/%d-%s'):format(base, serial, name or 'file')
end

--- Writes a file (a fresh one unless `path` is given) and returns its path.
function M.write(text, path)
  path = path or M.path 'file'
  local f = assert(io.open(path, 'wb'))
  f:write(text)
  f:close()
  return path
end

--- A whole file; '' if there is none.
function M.read(path)
  local f = io.open(path, 'rb')
  if not f then return '' end
  local text = f:read '*a' or ''   -- a file of /proc whose process has just gone
  f:close()
  return text
end

--- A new folder holding these files: { ['lib/x.lua'] = text }. Returns its path.
function M.folder(files)
  local dir = M.path 'folder'
  os.execute('mkdir -p ' .. M.quote(dir))
  for name, text in pairs(files or {}) do
    local sub = name:match '^(.*)/'
    if sub then os.execute('mkdir -p ' .. M.quote(dir .. '/' .. sub)) end
    M.write(text, dir .. '/' .. name)
  end
  return dir
end

--- Runs a shell command line with stdin_text (or nothing) on its standard input.
---@return table { out, err, code, seconds }   code: 128 + n when a signal n ended it
function M.shell(line, stdin_text)
  local out, err, code = M.path 'out', M.path 'err', M.path 'code'
  local input = stdin_text and M.write(stdin_text) or '/dev/null'
  local from = system.monotime()
  os.execute(('{ %s\n} <%s >%s 2>%s; echo $? >%s'):format(line, input, out, err, code))
  local result = {
    seconds = system.monotime() - from, out = M.read(out), err = M.read(err), code = tonumber(M.read(code)),
  }
  for _, path in ipairs { out, err, code } do os.remove(path) end
  if stdin_text then os.remove(input) end
  return result
end

--- What a shell command prints that is made as by string.format; raises when it fails.
function M.sh(line, ...)
  local got = M.shell(line:format(...))
  assert(got.code == 0, line .. ': ' .. got.err)
  return got.out
end

--- The command line that runs the program with these arguments, for pipes and the like.
function M.command(args, options)
  options = options or {}
  local words = { 'timeout -k 1', tostring(options.timeout or 60), M.quote(M.bin:sub(1, 1) == '/' and M.bin or M.cwd .. '/' .. M.bin) }
  for _, arg in ipairs(args) do words[#words + 1] = M.quote(arg) end
  local line = table.concat(words, ' ')
  if options.cwd then line = 'cd ' .. M.quote(options.cwd) .. ' && ' .. line end
  return line
end
M.cwd = assert(io.popen 'pwd'):read '*l'

--- Runs the program. args: list of arguments; options: cwd, timeout (s).
---@return table { out, err, code, seconds }
function M.run(args, stdin_text, options)
  return M.shell(M.command(args, options), stdin_text)
end

--- One JSON text as a Lua value, null as M.null; raises on what is no JSON.
function M.decode(text)
  local v, at, why = dkjson.decode(text, 1, M.null, nil, nil)
  assert(at and not why, ('not JSON: %s (%s)'):format(text, why or ''))
  return v
end

--- The lines of a text.
function M.lines(text)
  local list = {}
  for line in text:gmatch '[^\n]+' do list[#list + 1] = line end
  return list
end

--- Fails with the first line that differs.
function M.compare(want, got, where)
  if want == got then return end
  local a, b = M.lines(want), M.lines(got)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then
      error(('%s\nrow %d of %d and %d:\nreference: %s\nprogram:   %s'):format(where, i, #a, #b, tostring(a[i]), tostring(b[i])))
    end
  end
  error(where .. ': they differ in line ends')
end

--- The rows of an NDJSON text, decoded.
function M.rows(text)
  local list = M.lines(text)
  for i, line in ipairs(list) do list[i] = M.decode(line) end
  return list
end

--- Runs CODE (-e) over NDJSON lines, a text or a list. Returns the output as it is, and the whole result.
function M.e(code, input, ...)
  if type(input) == 'table' then input = table.concat(input, '\n') .. '\n' end
  local r = M.run({ 'run', '--quiet', '-e', code, ... }, input or '')
  return r.out, r
end

--- Runs a script given as text.
function M.script(text, input, ...)
  if type(input) == 'table' then input = table.concat(input, '\n') .. '\n' end
  return M.run({ 'run', '--quiet', M.write(text, M.path 'script.lua'), ... }, input or '')
end

-- the Python of the system, which has its msgpack
M.python = M.read '/usr/bin/python3' ~= '' and '/usr/bin/python3' or 'python3'

return M
