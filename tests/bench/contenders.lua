-- contenders.lua - who runs in the rounds: the command of each for each task, how many events it gets, its version.
--
-- A contender is { name, tasks = { t0 = fn(file, out), t1 = fn(file, out) }, share, needs, version }. fn returns the words of the
-- command and, when it reads stdin, `input`; rows of t1 go to stdout unless the command is given `out` itself.
-- `share` is the part of the events a slow one gets, since rates are compared: the round must end the same day.
-- A contender whose `needs` is not there is told as "not here".
local lib = require 'lib'

local function words(...) return { words = { ... } } end

-- first line of what a command prints
local function version_of(line)
  return function()
    local text = lib.output(line)
    return text and text:match '^[^\n]*' or 'not known'
  end
end

local function package(name)
  return version_of(("dpkg-query -W -f='${Package} ${Version}' %s"):format(name))
end

---@param place { build: string, bench: string, here: string, chunk: integer }
return function(place)
  local tidemill, bench, here = place.build .. '/tidemill', place.bench, place.here
  local chunk = ('%d'):format(place.chunk)

  local function yardstick(task)
    return function(file) return words(bench .. '/yardstick', task, file, chunk) end
  end
  local function simdjson(mode)
    return function(file) return words(bench .. '/simdjson_t0', mode, file, chunk) end
  end
  local function script(task)
    return function(file) return words(tidemill, 'run', here .. '/' .. task .. '.lua', '--from', file, '--quiet') end
  end
  local function cjson(task)
    return function(file) return { words = { 'luajit', here .. '/cjson.lua', task }, input = file } end
  end
  local function node(task)
    return function(file) return words('node', here .. '/node_peer.js', task, file) end
  end
  local function duckdb(task)
    return function(file, out)
      return words('env', 'NODE_PATH=' .. bench .. '/node_modules', 'node', here .. '/duckdb_peer.js', task, file, out)
    end
  end
  local function command(name) return function() return lib.output('command -v ' .. name) ~= nil end end
  local function file(path) return function() return lib.exists(path) end end
  local duckdb_words = ('NODE_PATH=%s/node_modules node %s/duckdb_peer.js version'):format(lib.quote(bench), lib.quote(here))

  return {
    { name = 'tidemill', share = 1, needs = file(tidemill), version = version_of(lib.quote(tidemill) .. ' version'),
      tasks = { t0 = script 't0', t1 = script 't1' } },
    { name = 'C yardstick', note = 'trusts its input', share = 1, needs = file(bench .. '/yardstick'),
      version = version_of 'gcc --version', tasks = { t0 = yardstick 't0', t1 = yardstick 't1' } },
    { name = 'simdjson on-demand', note = 'haswell, skips what it does not read', share = 1,
      needs = file(bench .. '/simdjson_t0'), version = package 'libsimdjson-dev', tasks = { t0 = simdjson 'ondemand' } },
    { name = 'simdjson dom', note = 'haswell, full validation', share = 1, needs = file(bench .. '/simdjson_t0'),
      version = package 'libsimdjson-dev', tasks = { t0 = simdjson 'dom' } },
    { name = 'DuckDB', note = 'one thread', share = 1,
      needs = function() return lib.output(duckdb_words) ~= nil end, version = version_of(duckdb_words),
      tasks = { t0 = duckdb 't0', t1 = duckdb 't1' } },
    { name = 'mawk', note = 'cuts text, trusts its input', share = 0.2, needs = command 'mawk', version = version_of 'mawk -W version',
      tasks = {
        t0 = function(path) return words('mawk', '-f', here .. '/t0.awk', path) end,
        t1 = function(path) return words('mawk', '-f', here .. '/t1.awk', path) end,
      } },
    { name = 'LuaJIT + lua-cjson', share = 0.2, needs = function() return lib.output "luajit -e 'require \"cjson\"'" ~= nil end,
      version = function() return version_of 'luajit -v'():match '^(.-) %-%-' .. ', ' .. package 'lua-cjson'() end,
      tasks = { t0 = cjson 't0', t1 = cjson 't1' } },
    { name = 'Node.js', share = 0.2, needs = command 'node', version = version_of 'node --version',
      tasks = { t0 = node 't0', t1 = node 't1' } },
    { name = 'jq', share = 0.04, needs = command 'jq', version = version_of 'jq --version',
      tasks = {
        t0 = function(path) return words('jq', '-n', '-f', here .. '/t0.jq', path) end,
        t1 = function(path) return words('jq', '-c', '-f', here .. '/t1.jq', path) end,
      } },
  }
end
