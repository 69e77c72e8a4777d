--[[
formats.lua - the format of a source or sink: what was asked for, or what the names of its files tell; and the options of the
format fluent. Those of CSV are in csv.lua.

A description of a place (plan.lua) has `format`, and `fluent` with time_key and tag_key where that is 'fluent'.
]]

local lib = require 'tidemill.lib'
local suggest = require 'tidemill.suggest'

local M = {}

-- what names tell; others (.log, .txt, none) tell nothing, and are read as JSON as long as no other file tells something else
local ENDINGS = { csv = 'csv', tsv = 'csv', msgpack = 'msgpack', mpk = 'msgpack', lines = 'lines', ndjson = 'json', jsonl = 'json',
  json = 'json' }
local TIME_KEY, KEY_MAX = 'date', 255

local function names_of(is_sink)
  local list = {}
  for name in pairs(lib.formats) do
    if not (is_sink and name == 'fluent') then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

--- The format a file's name tells, and the delimiter if it is not the comma; nil: it tells none.
local function by_name(path)
  local ending = path:lower():gsub('%.gz$', ''):gsub('%.zst$', ''):match '[^/]%.(%w+)$'
  return ENDINGS[ending or ''], ending == 'tsv' and '\t' or nil
end

--- Paths with folders and patterns that tell nothing replaced by the files they lead to.
local function files_of(paths)
  for _, path in ipairs(paths) do
    if not by_name(path) and lib.host.files then return lib.host.files(paths) or paths end
  end
  return paths
end

local function told(format, delimiter)
  if not format then return ' tells nothing' end
  return ' is ' .. format .. (delimiter == '\t' and ' with tabs' or '')
end

--- What the names of all files tell. Files that tell different things are refused.
local function by_names(fail, paths)
  local format, delimiter, by
  for _, path in ipairs(paths) do
    local f, d = by_name(path)
    if not by then
      format, delimiter, by = f, d, path
    elseif (f or 'json') ~= (format or 'json') or d ~= delimiter then
      fail(by .. told(format, delimiter) .. ' by its name and ' .. path .. told(f, d) ..
        ' by its name; say which format all of them have, or read them apart')
    end
  end
  return format or 'json', delimiter
end

--- The format asked for, or what the names of the files tell, or json.
---@param fail fun(message: string) raises, saying where
---@param given string? the format's name
---@param paths string[]
---@param is_sink boolean?
---@return string format
---@return string? delimiter told by the names
function M.find(fail, given, paths, is_sink)
  if given == nil then
    if is_sink then
      local format, delimiter = by_name(paths[1] or '')
      return format or 'json', delimiter
    end
    return by_names(fail, files_of(paths))
  end
  local names = names_of(is_sink)
  if is_sink and given == 'fluent' then fail("'fluent' is a format of sources alone; write msgpack, json, csv or lines") end
  if lib.formats[given] then return given end
  fail("no format is called '" .. tostring(given) .. "'" .. suggest.hint(tostring(given), names) .. "; it has '" ..
    table.concat(names, "', '") .. "'")
end

local function key_of(fail, what, name)
  if type(name) ~= 'string' or name == '' or #name > KEY_MAX or name:find '%z' then
    fail(what .. ' is the name of a field, of 1 to ' .. KEY_MAX .. ' bytes other than NUL, got ' ..
      (type(name) == 'string' and ('%q'):format(name) or 'a ' .. type(name)))
  end
  return name
end

--- What was said of the format fluent, checked; nil for other formats.
---@param fail fun(message: string) raises, saying where
---@param format string
---@param given table time_key, tag_key
---@return table? fluent time_key, tag_key
function M.fluent(fail, format, given)
  if format ~= 'fluent' then
    for _, name in ipairs { 'time_key', 'tag_key' } do
      if given[name] ~= nil then fail("'" .. name .. "' belongs to the format fluent, and this is '" .. format .. "'") end
    end
    return nil
  end
  local fluent = { time_key = key_of(fail, 'time_key', given.time_key or TIME_KEY) }
  if given.tag_key ~= nil then fluent.tag_key = key_of(fail, 'tag_key', given.tag_key) end
  if fluent.tag_key == fluent.time_key then fail("time_key and tag_key are both '" .. fluent.tag_key .. "'") end
  return fluent
end

--- Do two descriptions say the same of the format fluent?
function M.same(a, b) return (a and a.time_key) == (b and b.time_key) and (a and a.tag_key) == (b and b.tag_key) end

--- The format of an event's bytes in a batch of that source.
function M.of_events(format) return format == 'fluent' and 'msgpack' or format end

return M
