--[[
pack_files.lua - the files of a rule pack: reading them, evaluating them in an environment that has nothing but what it is given, and
the places of what they say.

A file of a pack is Lua that returns a table. Manifest, schema, scorecards and tests are data: their environment is empty. Features and
rules hold functions and see what a script sees, without `require`. Messages name the line where a key stands, found in the
file's text: the first one where a table is given that key.
]]

local lib = require 'tidemill.lib'
local sandbox = require 'tidemill.sandbox'
local stream = require 'tidemill.stream'
local suggest = require 'tidemill.suggest'
local raise = lib.raise

local M = {}

local Files = {}
Files.__index = Files

--- The files below a folder.
---@param dir string
---@param tm table what `tm` is in files with functions
---@return table files
function M.open(dir, tm)
  dir = dir:gsub('/+$', '')
  return setmetatable({ dir = dir, tm = tm, texts = {} }, Files)
end

--- The text of a place: itself, or of what Files:at gave.
function M.told(place)
  return type(place) == 'table' and place.set:place(place.path, place.key, place.after) or place
end

--- Rejects the pack: where, what, what to do.
function M.fault(place, message) raise('script', M.told(place) .. ': ' .. message) end

--- The names in a folder of the pack that end in one of the endings, in byte order; none if it is not there.
function Files:names(folder, ...)
  local list, found = lib.host.folder(self.dir .. '/' .. folder) or {}, {}
  for _, name in ipairs(list) do
    for _, ending in ipairs { ... } do
      if name:sub(-#ending) == ending then found[#found + 1] = folder .. '/' .. name break end
    end
  end
  return found
end

--- Is there such a file?
function Files:has(name) return lib.host.read(self.dir .. '/' .. name) ~= nil end

--- A file's text and path; where: what named it, told when it is not there.
function Files:text(name, where)
  local path = name:sub(1, 1) == '/' and name or self.dir .. '/' .. name
  local text, why = lib.host.read(path)
  if not text then M.fault(where or self.dir, path .. ': ' .. why) end
  self.texts[path] = text
  return text, path
end

--- What a file returns, a table, and its path. functions: it may hold functions.
---@return table value, string path
function Files:value(name, functions)
  local text, path = self:text(name)
  local env = {}
  stream.user_sources[path] = true
  if functions then
    env = sandbox.environment(function()
      raise('script', stream.place() .. ': a pack has no require; tm is there by itself')
    end)
    env.tm = self.tm
  end
  local chunk = sandbox.compile(text, path, env)
  local v = chunk()
  if type(v) ~= 'table' then
    M.fault(path .. ':1', 'the file must return a table: return { … }; it returned ' .. (v == nil and 'nothing' or 'a ' .. type(v)))
  end
  return v, path
end

--- "file:line" of a key's first use in a file, or of the file's first line. after: a key in front of it, from which to look.
function Files:place(path, key, after)
  local text = self.texts[path] or ''
  local from = 1
  for _, name in ipairs { after or false, key } do
    if name then
      local plain = tostring(name):gsub('%p', '%%%0')
      local at
      for _, pattern in ipairs { '%f[%w_]' .. plain .. '%s*=[^=]', '[\'"]' .. plain .. '[\'"]%s*%]?%s*=[^=]', '[\'"]' .. plain ..
        '[\'"]' } do
        at = text:find(pattern, from)
        if at then break end
      end
      if not at then break end
      from = at
    end
  end
  local _, line = text:sub(1, from - 1):gsub('\n', '')
  return path .. ':' .. line + 1
end

--- The same for `fault`, which looks for it when it is told: a search for each of ten thousand rules takes seconds.
function Files:at(path, key, after) return { set = self, path = path, key = key, after = after } end

--- What was read, as 8 hexadecimal digits: names below the folder and texts, so a pack that was moved is the same one.
---@param more table? other files that count, a site's
function Files:hash(more)
  local parts, hash = {}, require 'tidemill.library.hash'.hash.xxh3
  for _, set in ipairs { self, more } do
    local names = {}
    for path in pairs(set.texts) do names[#names + 1] = path end
    table.sort(names)
    for _, path in ipairs(names) do
      local name = path:sub(1, #set.dir + 1) == set.dir .. '/' and path:sub(#set.dir + 2) or path
      parts[#parts + 1] = ('%d %s %d '):format(set == self and 1 or 2, name, #set.texts[path]) .. hash(set.texts[path])
    end
  end
  return hash(table.concat(parts, '\n')):sub(1, 8)
end

-- What is wrong with tables ----------------------------------------------------------------------

local function shown(v)
  if type(v) == 'string' then return "'" .. v .. "'" end
  if type(v) == 'number' or type(v) == 'boolean' or v == nil then return tostring(v) end
  return 'a ' .. type(v)
end
M.shown = shown

--- Checks a table of a file against the fields it may have.
---@param path string of the file
---@param what string how messages call the table
---@param t any
---@param fields table name -> { type or a list of types or a list of the words allowed under `one_of`; required }
---@param after string? a key of the file in front of the table
function Files:check(path, what, t, fields, after)
  if type(t) ~= 'table' then M.fault(self:place(path, after), what .. ' is a table, got ' .. shown(t)) end
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  local given = {}
  for key in pairs(t) do given[#given + 1] = tostring(key) end
  table.sort(given)
  for _, key in ipairs(given) do
    if not fields[key] then
      M.fault(self:place(path, key, after), what .. " has no field '" .. key .. "'" .. suggest.among(key, names))
    end
  end
  for _, name in ipairs(names) do
    local rule, v = fields[name], t[name]
    if v == nil then
      if rule.required then M.fault(self:place(path, after), what .. " needs '" .. name .. "', such as " .. rule.required) end
    elseif rule.one_of then
      local ok = false
      for _, word in ipairs(rule.one_of) do ok = ok or word == v end
      if not ok then
        M.fault(self:place(path, name, after), what .. ": '" .. name .. "' is one of '" .. table.concat(rule.one_of, "', '") .. "', got " ..
          shown(v) .. (type(v) == 'string' and suggest.hint(v, rule.one_of) or ''))
      end
    elseif rule[1] then
      local ok = false
      for _, kind in ipairs(rule) do ok = ok or type(v) == kind end
      if not ok then
        M.fault(self:place(path, name, after), what .. ": '" .. name .. "' is a " .. table.concat(rule, ' or a ') .. ', got ' .. shown(v))
      end
    end
  end
end

--- A name that must be one of some; else what is close, with the place.
function Files.known(_, place, what, name, names)
  for _, n in ipairs(names) do if n == name then return end end
  M.fault(place, what .. " '" .. tostring(name) .. "'" .. suggest.among(tostring(name), names))
end

--- Keys of a table in order.
function M.sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == 'string' or type(a) == 'number') then return a < b end
    return type(a) < type(b)
  end)
  return keys
end

return M
