--[[
annotations.lua - the catalog as a meta file of LuaLS, so that an editor knows streams and `tm` (`tidemill new pipeline` writes it).

Needs nothing of the host. A signature whose arguments are plain names becomes a function with these parameters, any other one a
function of `...` with the signature in its text: what a call takes is checked by `tidemill check`, not by the editor.
]]

local catalog = require 'tidemill.catalog'

local M = {}

local WIDTH = 110

--- Lines of a comment that an editor shows.
local function put_text(lines, text)
  local line = ''
  for word in text:gmatch '%S+' do
    if #line + #word >= WIDTH then
      lines[#lines + 1], line = '---' .. line, ''
    end
    line = line == '' and word or line .. ' ' .. word
  end
  lines[#lines + 1] = '---' .. line
end

--- The parameters of a signature as a list of { name, optional }, or nil.
local function params_of(signature)
  local inside = signature:match '^[%w_.:]+(%b())$'
  if not inside then return nil end
  local list, depth = {}, 0
  for piece in inside:sub(2, -2):gmatch '[^,]+' do
    local name = piece:gsub('[%[%]%s]', '')
    if not name:match '^[%a_][%w_]*$' then return nil end
    list[#list + 1] = { name, depth > 0 or piece:match '^%s*%[' ~= nil }
    depth = depth + select(2, piece:gsub('%[', '')) - select(2, piece:gsub('%]', ''))
  end
  return list
end

local function put_entry(lines, entry, name, returns)
  lines[#lines + 1] = ''
  put_text(lines, entry.about)
  for _, text in ipairs(entry.more or {}) do put_text(lines, text) end
  lines[#lines + 1] = '---```lua'
  lines[#lines + 1] = '---' .. entry.signature
  for line in (entry.example .. '\n'):gmatch '(.-)\n' do lines[#lines + 1] = '---' .. line end
  lines[#lines + 1] = '---```'
  for _, o in ipairs(entry.options or {}) do
    put_text(lines, ('- `%s` %s%s'):format(o[1], o[3], o.required and '. Required' or o.default and '. Default: ' .. o.default or ''))
  end
  local params, names = params_of(entry.signature), {}
  for i, p in ipairs(params or {}) do
    lines[#lines + 1] = ('---@param %s%s any'):format(p[1], p[2] and '?' or '')
    names[i] = p[1]
  end
  if not params then
    names[1], lines[#lines + 1] = '...', '---@param ... any'
  end
  lines[#lines + 1] = '---@return ' .. returns
  lines[#lines + 1] = ('function %s(%s) end'):format(name, table.concat(names, ', '))
end

local RETURNS = { ['tm.pipeline'] = 'tidemill.Stream', ['tm.union'] = 'tidemill.Stream' }
local BRANCHES = { branch = true, route = true }

local HEAD = [[
---@meta tidemill
-- What scripts and specs of tidemill can call, for editors: written by `tidemill new pipeline`, of what `tidemill list` prints.

---@class tidemill.Stream what a pipeline's steps make; each call gives a new one
local Stream = {}
]]

local TESTING = [[

---A run in a spec (`tidemill test`): sources and sinks are memory, the clock starts at 0.
---@class tidemill.Run
local Run = {}

---An event: a table, or a line of text.
---@overload fun(self: tidemill.Run, row: table|string)
---@param source string name of a source, or of the pipeline that reads it
---@param row table|string
function Run:send(source, row) end

---No event with time <= ms is expected any more; math.huge ends the input.
---@overload fun(self: tidemill.Run, ms: number)
---@param source string
---@param ms number
function Run:watermark(source, ms) end

---@param duration string such as '5m'
function Run:advance(duration) end

---Rows of a pipeline or sink since the last call; nil: all rows.
---@param name? string
---@return table[]
function Run:out(name) end

---@return table[] events that came too late since the last call
function Run:late() end

---@return table[] dead letters since the last call: at, code, event, pipeline, position, reason, step
function Run:errors() end

---What a step keeps of a key; nil: nothing.
---@param name string the step, or 'pipeline/step'
---@param key? any a value, or a table by field for keys of several
---@return table?
function Run:state(name, key) end

tm.testing = {}

---In specs alone: a run of a stream, a list of streams, or a script by its path (beside the spec, or from the current folder).
---@param what tidemill.Stream|tidemill.Stream[]|string
---@param options? { watermark?: 'declared'|'manual', set?: table<string, any> }
---@return tidemill.Run
function tm.testing.run(what, options) end

return tm
]]

--- The text of tidemill.d.lua.
---@return string
function M.text()
  local lines, tables = { HEAD }, {}
  local rest = {}
  for _, kind in ipairs(catalog.kinds) do
    for _, entry in ipairs(kind[3]) do
      if entry.kind == 'operator' or kind[1] == 'operator' then
        put_entry(lines, entry, 'Stream:' .. entry.name, BRANCHES[entry.name] and 'table<string, tidemill.Stream>' or 'tidemill.Stream')
      else
        rest[#rest + 1] = entry
      end
    end
  end
  lines[#lines + 1] = '\n---@class tidemill\nlocal tm = {}'
  for _, entry in ipairs(rest) do
    local space = entry.name:match '^(tm%..+)%.[^.]+$'
    if space and not tables[space] then
      tables[space] = true
      lines[#lines + 1] = '\n' .. space .. ' = {}'
    end
    if entry.name == entry.signature then
      lines[#lines + 1] = ''
      put_text(lines, entry.about)
      lines[#lines + 1] = entry.name .. ' = {}'
    else
      put_entry(lines, entry, entry.name, RETURNS[entry.name] or 'any')
    end
  end
  lines[#lines + 1] = TESTING
  return table.concat(lines, '\n')
end

return M
