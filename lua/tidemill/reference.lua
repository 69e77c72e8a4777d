--[[
reference.lua - what `tidemill list` and `tidemill help NAME` print of the catalog, for people and as JSON.

Run by the commands themselves in a state of its own, without any script: needs nothing of the host.
]]

local catalog = require 'tidemill.catalog'
local printable = require 'tidemill.printable'
local suggest = require 'tidemill.suggest'

local M = {}

local WIDTH, INDENT = 80, 26

local function kinds_named(name)
  if name == nil then return catalog.kinds end
  for _, k in ipairs(catalog.kinds) do
    if k[2] == name or k[1] == name then return { k } end
  end
end

--- An entry as it is written in JSON.
local function plain(entry)
  local options = printable.list()
  for i, o in ipairs(entry.options or {}) do
    options[i] = { name = o[1], type = o[2], about = o[3], default = o.default, required = o.required, one_of = o.one_of }
  end
  local about = { entry.about }
  for _, line in ipairs(entry.more or {}) do about[#about + 1] = line end
  return {
    name = entry.name, kind = entry.kind, signature = entry.signature, about = table.concat(about, ' '), options = options,
    example = entry.example, cost_ns = entry.cost_ns or 0, state = entry.state or false,
  }
end

local function column(name, text)
  name = '  ' .. name
  local n = printable.width(name)
  local gap = n > INDENT - 2 and '\n' .. (' '):rep(INDENT) or (' '):rep(INDENT - n)
  return name .. gap .. printable.wrap(text, WIDTH, INDENT)
end

--- All entries, or those of one kind: the text, or nil and what is wrong with the name of the kind.
---@param name string|nil 'operators' …
---@param json boolean
function M.list(name, json)
  local kinds = kinds_named(name)
  if not kinds then
    local names = {}
    for i, k in ipairs(catalog.kinds) do names[i] = k[2] end
    return nil, "there is no list of '" .. printable.line(name) .. "'" .. suggest.hint(name, names) .. '; the lists are ' ..
      table.concat(names, ', ')
  end
  local lines, entries = {}, printable.list()
  for _, k in ipairs(kinds) do
    lines[#lines + 1] = (#lines > 0 and '\n' or '') .. k[2] .. (#k[3] == 0 and ': none in this version' or '')
    for _, entry in ipairs(k[3]) do
      entries[#entries + 1] = plain(entry)
      lines[#lines + 1] = column(entry.name, entry.about)
    end
  end
  if json then return printable.json(entries) .. '\n' end
  lines[#lines + 1] = "\n'tidemill help NAME' tells more of each."
  return table.concat(lines, '\n') .. '\n'
end

--- What each entry may be called: 'tm.sink.file', 'sink.file'; an operator ':filter', 'stream:filter', too. Then those of
--- which the name is a last part alone, as 'file' is.
local function entries_called(name)
  name = name:gsub('^stream:', ''):gsub('^:', '')
  local whole, part = {}, {}
  for _, k in ipairs(catalog.kinds) do
    for _, entry in ipairs(k[3]) do
      if entry.name == name or entry.name == 'tm.' .. name then whole[#whole + 1] = entry end
      if entry.name:sub(-#name - 1) == '.' .. name then part[#part + 1] = entry end
    end
  end
  for _, entry in ipairs(whole) do
    if entry.name == name then return { entry }, part end
  end
  return whole, part
end

--- '' if something is called so by its whole name, else nil and that there is not: a part is no claim to a command's name.
function M.has(name)
  if #entries_called(name) > 0 then return '' end
  return nil, 'nothing is called so'
end

local function cost_text(entry)
  local state = entry.state and ', and the memory of its state' or ''
  if not entry.cost_ns then return 'nothing while events pass' .. state end
  return ('some %d ns an event%s'):format(entry.cost_ns, state ~= '' and state or '; keeps no state')
end

local function put_options(lines, entry)
  if #(entry.options or {}) == 0 then return end
  lines[#lines + 1] = '\nOptions:'
  for _, o in ipairs(entry.options) do
    local default = o.required and '. Required' or o.default and '. Default: ' .. o.default or ''
    local sort = o.one_of and "'" .. table.concat(o.one_of, "' | '") .. "'" or o[2] ~= 'any' and o[2] or nil
    lines[#lines + 1] = column(o[1], (sort and '(' .. sort .. ') ' or '') .. o[3] .. default .. '.')
  end
end

local function put_example(lines, entry)
  lines[#lines + 1] = '\nExample' .. (entry.input_file and ', where ' .. entry.input_file .. ' holds what stands behind <:' or ':')
  for line in (entry.example .. '\n'):gmatch '(.-)\n' do lines[#lines + 1] = '  ' .. line end
  for _, line in ipairs(entry.input or {}) do lines[#lines + 1] = '  < ' .. line end
  for _, line in ipairs(entry.output or {}) do lines[#lines + 1] = '  > ' .. line end
end

local function page(entry)
  local lines = { printable.wrap(entry.signature, 100, 4, 0), printable.wrap(entry.about, WIDTH, 0) }
  if entry.more then lines[#lines + 1] = printable.wrap(table.concat(entry.more, ' '), WIDTH, 0) end
  lines[#lines + 1] = '\nCosts ' .. cost_text(entry) .. '.'
  put_options(lines, entry)
  put_example(lines, entry)
  return table.concat(lines, '\n') .. '\n'
end

--- All that is known of a name; where several things are called so, of each. nil and what is wrong when there is none.
---@param name string
---@param json boolean
---@param others string names that help knows besides, separated by blanks
function M.help(name, json, others)
  local found, part = entries_called(name)
  if #found == 0 then found = part end
  if #found == 0 then
    local names = {}
    for word in others:gmatch '%S+' do names[#names + 1] = word end
    for _, k in ipairs(catalog.kinds) do
      for _, entry in ipairs(k[3]) do
        names[#names + 1] = entry.name
        names[#names + 1] = entry.name:match '[^.]+$'
      end
    end
    local meant = suggest.closest(name, names)
    return nil, "nothing is called '" .. printable.cut(printable.line(name), 80) .. "'" ..
      (meant and "; did you mean 'help " .. meant .. "'?" or "; 'tidemill help' and 'tidemill list' tell what there is")
  end
  local texts = printable.list()
  for i, entry in ipairs(found) do texts[i] = json and plain(entry) or page(entry) end
  if json then return printable.json(#found == 1 and texts[1] or texts) .. '\n' end
  return table.concat(texts, '\n')
end

--- The files of `tidemill new pipeline`.
function M.project() return require 'tidemill.project'.files() end
function M.project_pack() return require 'tidemill.project_pack'.files() end

return M
