--[[
testing_busted.lua - `tidemill test`: finds specs, runs them with busted in this Lua state, and says how it went.

busted is Debian's, taken apart as its own runner does, for two reasons: its command starts another interpreter, and its exit code is a
count. Nothing of it is kept here; without it the command says what to install. Exit codes: 0, 4 when a test failed, 3 when a spec or a
script under test does not load.
]]

local bytecode = require 'tidemill.bytecode'
local lib = require 'tidemill.lib'
local stream = require 'tidemill.stream'
local value = require 'tidemill.value'
local raise = lib.raise

local FAILED, REJECTED = 4, 3

--- Files below a folder whose names end in _spec.lua, and manifests of packs that have tests; hidden ones left out; folders are not
--- followed through links.
local function find(lfs, folder, list)
  local names = {}
  for name in lfs.dir(folder) do
    if name:sub(1, 1) ~= '.' then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = folder == '.' and name or folder .. '/' .. name
    local about = lfs.symlinkattributes(path)
    if about and about.mode == 'link' and name:find '_spec%.lua$' then about = lfs.attributes(path) end
    if about and about.mode == 'directory' then
      find(lfs, path, list)
    elseif about and about.mode == 'file' and name:find '_spec%.lua$' then
      list[#list + 1] = path
    elseif name == 'pack.lua' and lfs.attributes(folder .. '/tests', 'mode') == 'directory' then
      list[#list + 1] = path
    end
  end
  return list
end

local function specs_of(paths)
  local lfs = require 'lfs'
  local list = {}
  for _, path in ipairs(#paths > 0 and paths or { '.' }) do
    path = path ~= '/' and path:gsub('/+$', '') or path
    local about, why = lfs.attributes(path)
    if not about then raise('usage', 'test: ' .. why) end
    local before = #list
    if about.mode == 'directory' then
      find(lfs, path, list)
    elseif path:find '%.lua$' then
      list[#list + 1] = path
    else
      raise('usage', "test: '" .. path .. "' is no spec: it does not end in .lua")
    end
    if #list == before then
      raise('usage', "test: no *_spec.lua, and no pack with tests, in '" .. path .. "'; 'tidemill help test' tells what a spec is")
    end
  end
  return list
end

--- How the tests went, by busted's events: prints nothing.
local function watch(busted, rejected)
  local seen = { tests = {}, passed = 0, failed = 0, errors = 0, pending = 0, unloaded = 0 }
  local handler = require 'busted.outputHandlers.base'()
  local function note(element, status, message)
    local trace = element.trace or {}
    local text = message ~= nil and tostring(message) or nil
    seen.tests[#seen.tests + 1] = { name = element.descriptor == 'file' and element.name or handler.getFullName(element), status = status,
      file = trace.short_src or element.name, line = trace.currentline, message = text }
    if status == 'error' then
      local is_load = element.descriptor == 'file'
      for _, known in ipairs(rejected) do is_load = is_load or (text ~= nil and text:find(known, 1, true) ~= nil) end
      if is_load then seen.unloaded = seen.unloaded + 1 end
    end
  end
  busted.subscribe({ 'test', 'end' }, function(element, _, status)
    if status == 'success' then
      seen.passed = seen.passed + 1
      note(element, 'passed')
    elseif status == 'pending' then
      seen.pending = seen.pending + 1
      note(element, 'pending')
    end
    return nil, true
  end)
  busted.subscribe({ 'failure' }, function(element, _, message)
    seen.failed = seen.failed + 1
    note(element, 'failed', message)
    return nil, true
  end)
  busted.subscribe({ 'error' }, function(element, _, message)
    seen.errors = seen.errors + 1
    note(element, 'error', message)
    return nil, true
  end)
  return seen
end

--- What is not the user's, for "file:line" in messages: busted and what it loads lie beside each other.
local function know_user_files()
  local beside = debug.getinfo(require 'busted.core', 'S').source:match '^@(.*)busted/core%.lua$' or '@'
  setmetatable(stream.user_sources, { __index = function(_, name) return name:sub(1, #beside) ~= beside end })
end

--- Methods of texts that busted's libraries add, and scripts have not. All share one metatable, so what no script may have stays out.
local function unlock_strings()
  setmetatable(debug.getmetatable('').__index, { __index = function(_, name) return name ~= 'dump' and string[name] or nil end })
end

--- The exit code.
---@param o table paths, json
---@param testing table rejected: load errors; close()
---@param globals table what specs see
return function(o, testing, globals)
  local there, core = pcall(require, 'busted.core')
  if not there then
    lib.host.fail_run('test: busted does not load; on Debian and Ubuntu: apt-get install lua-busted. ' .. tostring(core):match '^[^\n]*')
    return 1
  end
  unlock_strings()
  local specs = specs_of(o.paths)
  know_user_files()
  local busted = core()
  require 'busted'(busted)
  busted.sort, busted.randomize = false, false
  local seen = watch(busted, testing.rejected)
  if o.json then
    -- standard output is the object's alone
    function globals.print(...)
      local words = {}
      for i = 1, select('#', ...) do words[i] = globals.tostring((select(i, ...))) end
      io.stderr:write(table.concat(words, '\t'), '\n')
    end
  else
    local is_terminal = require 'term'.isatty(io.stdout)
    local output = is_terminal and 'utfTerminal' or 'plainTerminal'
    require 'busted.modules.output_handler_loader'()(busted, output, { defaultOutput = 'plainTerminal', language = 'en', arguments = {} })
  end
  local loader = require 'busted.modules.files.lua'
  local load = loader.load
  function loader.load(...)
    local _, path = ...
    if path:match '[^/]*$' == 'pack.lua' then
      return require 'tidemill.pack_tests'.chunk(testing, busted, path:match '^(.*)/[^/]*$' or '.'), function(_, info) return info end
    end
    local chunk, trace = load(...)
    if chunk then bytecode.interpret_misread(chunk) end
    return chunk, trace
  end
  require 'busted.modules.test_file_loader'(busted, { 'lua' })(specs, { '_spec%.lua$' }, { excludes = {}, recursive = false })
  require 'busted.execute'(busted)(1, {})
  testing.close()
  if o.json then
    io.write(value.json { passed = seen.passed, failed = seen.failed, errors = seen.errors, pending = seen.pending,
      tests = value.array(seen.tests) }, '\n')
  end
  io.flush()
  if seen.unloaded > 0 then return REJECTED end
  return seen.failed + seen.errors > 0 and FAILED or 0
end
