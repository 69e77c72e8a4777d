--[[
sink_sqlite.lua - what scripts say of tm.sink.sqlite, checked: the database, the table, its key and columns.

A description (plan.lua) has `sqlite`: { table, sink, keys, columns, named, batch }. sink: what the token is called in the database;
columns: nil until csv.columns finds those of select; named: the script said them.
]]

local csv = require 'tidemill.csv'
local suggest = require 'tidemill.suggest'

local M = {}

local BATCH, BATCH_MOST, KEYS_MOST, NAME_MOST = 10000, 1000000, 16, 200
local MODES = { 'append', 'upsert' }

local function shown(v) return type(v) == 'string' and ('%q'):format(v) or 'a ' .. type(v) end

local function table_of(fail, name)
  if type(name) ~= 'string' or name == '' then fail("table is the table's name: { path = 'out.db', table = 'alerts' }") end
  if #name > NAME_MOST or name:find '%z' then fail('table: a name has 1 to ' .. NAME_MOST .. ' bytes other than NUL') end
  if name:lower():find '^sqlite_' or name:lower() == 'tidemill_tokens' then
    fail("table: '" .. name .. "' is a name that " .. (name:lower():find '^sqlite_' and 'SQLite' or 'this sink') .. ' keeps for itself')
  end
  return name
end

--- A name, or a list of names, in which none stands twice; SQLite takes upper and lower case for one.
local function names_of(fail, what, list, most)
  if type(list) == 'string' then list = { list } end
  local copy = csv.names(fail, what, list)
  local seen = {}
  for _, name in ipairs(copy) do
    if name:find '%z' then fail(what .. ': a name cannot have a NUL in it') end
    local other = seen[name:lower()]
    if other then fail(what .. ": '" .. other .. "' and '" .. name .. "' are one column to SQLite") end
    seen[name:lower()] = name
  end
  if #copy > most then fail(what .. ': at most ' .. most .. ' names, got ' .. #copy) end
  return copy
end

local function mode_of(fail, given)
  if given.mode == nil then return given.key and 'upsert' or 'append' end
  if given.mode ~= 'append' and given.mode ~= 'upsert' then
    fail("mode is 'append' or 'upsert', got " .. shown(given.mode) .. suggest.hint(tostring(given.mode), MODES))
  end
  if given.mode == 'upsert' and not given.key then
    fail("mode = 'upsert' needs key, the fields that say which row is replaced: key = 'id'")
  end
  if given.mode == 'append' and given.key then fail("key belongs to mode = 'upsert'; rows that are appended need none") end
  return given.mode
end

--- The key's fields are among the columns, where these are known.
local function has_keys(fail, s)
  local has = {}
  for _, column in ipairs(s.columns or s.keys or {}) do has[column] = true end
  for _, key in ipairs(s.keys or {}) do
    if not has[key] then
      fail("key: '" .. key .. "' is none of the columns " .. table.concat(s.columns, ', ') .. suggest.hint(key, s.columns))
    end
  end
end

--- What a sink is described by, beside its kind and place.
---@param fail fun(message: string) raises, saying where
---@param given table the options, with types checked
---@return table
function M.describe(fail, given)
  if given.path:find '%z' then fail 'path: a path cannot have a NUL in it' end
  if given.path == ':memory:' or given.path:find '^file:' then
    fail("path: '" .. given.path .. "' is no file; rows are stored to last. Write ./" .. given.path .. ' if a file is called so')
  end
  if given.path:find '[{}]' then fail("path: '" .. given.path .. "' has a brace, and a sink writes one database") end
  mode_of(fail, given)
  local name = table_of(fail, given.table)
  local s = { table = name, sink = given.name or name, batch = given.batch or BATCH }
  if s.sink:find '%z' or s.sink == '' then fail 'name: at least one byte, and none that is NUL' end
  if s.batch < 1 or s.batch > BATCH_MOST or s.batch % 1 ~= 0 then
    fail('batch is a whole number of rows from 1 to ' .. BATCH_MOST .. ', got ' .. tostring(given.batch))
  end
  if given.key ~= nil then s.keys = names_of(fail, 'key', given.key, KEYS_MOST) end
  if given.columns ~= nil then
    s.columns, s.named = names_of(fail, 'columns', given.columns, 2000), true
    has_keys(fail, s)
  end
  return { path = given.path, key = given.path .. '\0' .. name, name = given.name or given.path .. ':' .. name, format = 'json',
    sqlite = s }
end

local function text_of(s)
  return table.concat({ s.sink, s.batch, table.concat(s.keys or {}, '\0'), s.named and table.concat(s.columns, '\0') or '' }, '\1')
end

--- Do two descriptions of one table say the same?
function M.same(a, b) return text_of(a) == text_of(b) end

--- Tokens of one database have names of their own, rows that `select` makes have the key, and nobody else writes the file.
---@param sinks table[] descriptions
---@param fail fun(place: string, message: string)
function M.check(sinks, fail)
  local by_token, files = {}, {}
  for _, d in ipairs(sinks) do
    if d.kind == 'file' then files[d.path] = true end
  end
  for _, d in ipairs(sinks) do
    if d.sqlite then
      has_keys(function(message) fail(d.place, d.name .. ': ' .. message) end, d.sqlite)
      if files[d.path] then fail(d.place, d.path .. ' is written as a file and as a database; choose one') end
      local token = d.path .. '\0' .. d.sqlite.sink
      if by_token[token] then
        fail(d.place, d.path .. ": two sinks are called '" .. d.sqlite.sink .. "', those of the tables " .. by_token[token] .. ' and ' ..
          d.sqlite.table .. '; how far each is stands in the database by name: name them apart')
      end
      by_token[token] = d.sqlite.table
    end
  end
end

return M
