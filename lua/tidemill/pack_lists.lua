--[[
pack_lists.lua - the lists of a rule pack: sets of keys of one type, read from files, with the values that stand behind them.

  *.txt   a key a line; what follows # is a comment, empty lines are skipped
  *.csv   a header, then a row a key; the key is the column named `column`, or the first one; other columns are the row's values
  site    { add = { … }, remove = { … } }, or { file = 'x.csv' } in place of the pack's (pack_site.lua)

Rules see a list as `lists.mcc`: has(key), get(key) (the row, a table of texts; true for a txt), size(). A key of another type is
not in the list.
]]

local csv_rows = require 'tidemill.csv_rows'
local files = require 'tidemill.pack_files'
local raise = require('tidemill.lib').raise
local fault, shown = files.fault, files.shown

local M = {}

local KEYS_MAX = 5000000
local TYPES = { 'string', 'number' }

--- The rows of a CSV text, each with its line.
local function rows_of(text, path)
  local rows = {}
  for row in csv_rows.each(text, function(line, why) fault(path .. ':' .. line, why) end) do rows[#rows + 1] = row end
  return rows
end

--- A key of a file as the list's type.
local function typed(list, text, place)
  if list.key == 'string' then return text end
  local v = tonumber(text)
  if not v then fault(place, "the list '" .. list.name .. "' has keys of type number, found " .. shown(text)) end
  return v
end

local function put(list, key, v, place)
  if list.keys[key] == nil then
    list.n = list.n + 1
    if list.n > KEYS_MAX then fault(place, ("the list '%s' has more than %d keys"):format(list.name, KEYS_MAX)) end
  end
  list.keys[key] = v
end

local function read_txt(list, text, path)
  local line = 0
  for raw in (text .. '\n'):gmatch '(.-)\r?\n' do
    line = line + 1
    local key = raw:gsub('#.*', ''):match '^%s*(.-)%s*$'
    if key ~= '' then put(list, typed(list, key, path .. ':' .. line), true, path .. ':' .. line) end
  end
end

local function read_csv(list, text, path, column)
  local rows = rows_of(text, path)
  local head = rows[1] or fault(path .. ':1', 'the file is empty; the first row names the columns')
  local at = column and 0 or 1
  for i, name in ipairs(head) do if name == column then at = i end end
  if at == 0 then
    fault(path .. ':1', "there is no column '" .. column .. "'" .. require 'tidemill.suggest'.among(column, head))
  end
  for i = 2, #rows do
    local row = rows[i]
    local place = path .. ':' .. row.line
    if #row ~= #head then fault(place, ('the row has %d cells, the header %d'):format(#row, #head)) end
    local values = {}
    for k, name in ipairs(head) do values[name] = row[k] end
    put(list, typed(list, row[at], place), values, place)
  end
end

--- Reads a list's file.
local function read(list, set, name, column, where)
  local text, path = set:text(name, where)
  if name:find '%.csv$' then
    read_csv(list, text, path, column)
  elseif name:find '%.txt$' then
    read_txt(list, text, path)
  else
    fault(where, "the file of the list '" .. list.name .. "' ends in .csv or .txt, got " .. shown(name))
  end
end

--- Makes the lists of a pack.
---@param set table of pack_files
---@param path string of the manifest
---@param given table its `lists`
---@param site table? what a site says of lists, by name; with `place(name)`
---@return table lists name -> { name, key, keys, n }
function M.load(set, path, given, site)
  local lists = {}
  for _, name in ipairs(files.sorted(given)) do
    local about = given[name]
    local what = "the list '" .. tostring(name) .. "'"
    if type(name) ~= 'string' then fault(set:place(path, 'lists'), 'lists are named: lists = { mcc = { … } }') end
    set:check(path, what, about, { key = { one_of = TYPES, required = "key = 'string'" }, file = { 'string',
      required = "file = 'lists/x.csv'" },
      column = { 'string' } }, name)
    local list = { name = name, key = about.key, keys = {}, n = 0, place = set:place(path, name, 'lists'), asked = 0 }
    local own = site and site[name]
    if own and own.file then
      read(list, site.files, own.file, about.column, site.place(name))
    else
      read(list, set, about.file, about.column, list.place)
    end
    for _, key in ipairs(own and own.add or {}) do put(list, key, true, site.place(name)) end
    for _, key in ipairs(own and own.remove or {}) do
      if list.keys[key] == nil then
        fault(site.place(name), ('%s has no key %s that could be removed'):format(what, shown(key)))
      end
      list.keys[key], list.n = nil, list.n - 1
    end
    lists[name] = list
  end
  return lists
end

--- A list as rules see it.
function M.view(list)
  local keys = list.keys
  local methods = {
    has = function(_, key) return key ~= nil and key == key and keys[key] ~= nil end,
    get = function(_, key) if key == nil or key ~= key then return nil end return keys[key] end,
    size = function() return list.n end,
  }
  return setmetatable({}, {
    __index = function(_, name)
      local f = methods[name]
      if f then return f end
      fault(list.place, "a list has has(key), get(key) and size(), not '" .. tostring(name) .. "'")
    end,
    __newindex = function() raise('type', "the list '" .. list.name .. "' cannot be assigned to; its file is the pack's") end,
    __metatable = 'list',
  })
end

return M
