--[[
state_layout.lua - what the cells of a state's records are, in words: a text that is kept with the state (tm_state_options.layout), so
that the state a later script opens under that name can be compared with it, and its cells found by name.

  kind process              the step's
  version 2                 its option; left out where it has none
  key "card"                a line for each field of the key
  set "size" 1m             what all of it goes by besides its cells (state_settings.lua)
  entry "1" number amount   what the entries of a series hold, by cell (state_replay.lua)
  declared "total" sum …    what the script says of a field, where its cells do not tell all of it
  number "n"                then a line a cell, as they lie in the record: type, field, which part of it (none: the field itself)
  aged-set_string "seen"
  number "seen" least

Numbers come first, 8 bytes each, then references of 8 bytes; a series has its room behind it. Cells of no field of the script's have
the field "". Types: number integer boolean · text string any · list_OF map_KEY_OF set_KEY aged-set_KEY (a map from elements to times) ·
series_CELLS_ROOM · marks; * is any key.
]]

local M = {}

local NUMBERS = { number = true, integer = true, boolean = true }
local TEXTS = { text = true, string = true, any = true }

local function quoted(name)
  return '"' .. name:gsub('[%c\\"]', function(c) return ('\\%03d'):format(c:byte()) end) .. '"'
end

local function unquoted(text)
  return (text:gsub('\\(%d%d%d)', function(n) return string.char(tonumber(n)) end))
end

--- The type of what hangs off a record, by its entry of state.open.
local function type_of(ref)
  if ref.kind == 'text' or ref.kind == 'any' or ref.kind == 'marks' then return ref.kind end
  if ref.kind == 'series' then return ('series_%d_%d'):format(ref.cells, ref.room or 0) end
  if ref.kind == 'list' then return 'list_' .. (ref.of or '*') end
  if ref.kind == 'map' then return ('map_%s_%s'):format(ref.key or '*', ref.of or '*') end
  return 'set_' .. (ref.key or '*')
end

---@param numbers table names of number cells
---@param refs table of state.open
---@param words table|nil kind; version; key: names of its fields; set, declared: lists of { name, text }; entry: by cell; of: cell ->
---   { field, type, part }, type and part may be nil. A cell that is not in it is a field of its name
---@return string
function M.text(numbers, refs, words)
  words = words or {}
  local of, lines = words.of or {}, { 'kind ' .. (words.kind or '-') }
  local function add(...) lines[#lines + 1] = table.concat({ ... }, ' ') end
  if words.version then add('version', ('%.0f'):format(words.version)) end
  for _, name in ipairs(words.key or {}) do add('key', quoted(name)) end
  for _, s in ipairs(words.set or {}) do add('set', quoted(s[1]), (s[2]:gsub('[%c\\"]', '.'))) end
  for i = 0, words.entry and #words.entry or -1 do
    if words.entry[i] then add('entry', quoted(tostring(i)), (words.entry[i]:gsub('[%c\\"]', '.'))) end
  end
  for _, d in ipairs(words.declared or {}) do add('declared', quoted(d[1]), (d[2]:gsub('[%c\\"]', '.'))) end
  local function cell(name, typ)
    local w = of[name]
    if not w then return add(typ, quoted(name)) end
    add(w[2] or typ, quoted(w[1]), w[3])
  end
  for _, name in ipairs(numbers) do cell(name, 'number') end
  for _, ref in ipairs(refs) do cell(ref.name, type_of(ref)) end
  return table.concat(lines, '\n') .. '\n'
end

local function parse_cell(layout, typ, field, part)
  local kind, a, b = typ:match '^([^_]+)_?([^_]*)_?([^_]*)$'
  local c = { field = field, part = part, type = typ, off = layout.size, kind = kind }
  layout.size = layout.size + 8
  if NUMBERS[kind] then
    c.number = true
  else
    c.index, layout.refs = layout.refs, layout.refs + 1
    if TEXTS[kind] then c.kind = 'text'
    elseif kind == 'list' then c.of = a
    elseif kind == 'map' then c.key, c.of = a, b
    elseif kind == 'set' then c.key, c.set = a, true
    elseif kind == 'aged-set' then c.kind, c.key, c.of, c.set = 'map', a, 'number', true
    elseif kind == 'series' then
      c.cells = tonumber(a)
      layout.size = layout.size + 8 * c.cells * tonumber(b)
    end
  end
  layout.cells[#layout.cells + 1] = c
  local f = layout.fields[field]
  if not f then
    f = { name = field, parts = {} }
    layout.fields[field] = f
    if field ~= '' then layout.fields[#layout.fields + 1] = f end
  end
  f[#f + 1] = c
  if part then f.parts[part] = c else f.main = c end
end

---@param text string of M.text
---@return table { kind, version, key: names, set: list of { name, text }, by name its text; entry: by cell; size, refs: how many; cells: list
---   of { field, part, type, kind, key, of, set, number, off, index; cells: of an entry of a series }; fields: list and by name of { name,
---   main: a cell, parts: by name, declared, and its cells }; [''] are those of no field }
function M.parse(text)
  local layout = { key = {}, set = {}, entry = {}, cells = {}, fields = {}, refs = 0, size = 0 }
  local declared = {}
  for line in text:gmatch '[^\n]+' do
    local word, rest = line:match '^(%S+) (.*)$'
    if word == 'kind' then layout.kind = rest
    elseif word == 'version' then layout.version = tonumber(rest)
    elseif word == 'key' then layout.key[#layout.key + 1] = unquoted(rest:sub(2, -2))
    elseif word == 'set' then
      local name, what = rest:match '^"([^"]*)" (.*)$'
      name = unquoted(name)
      layout.set[#layout.set + 1], layout.set[name] = { name, what }, what
    elseif word == 'entry' then
      local cell, what = rest:match '^"(%d+)" (.*)$'
      layout.entry[tonumber(cell)] = what
    elseif word == 'declared' then
      local name, what = rest:match '^"([^"]*)" (.*)$'
      declared[unquoted(name)] = what
    else
      local name, part = rest:match '^"([^"]*)" ?(%S*)$'
      parse_cell(layout, word, unquoted(name), part ~= '' and part or nil)
    end
  end
  for _, f in ipairs(layout.fields) do f.declared = declared[f.name] end
  return layout
end

--- Is a field of the same type in both layouts, cell by cell?
function M.same_field(a, b)
  if #a ~= #b or a.declared ~= b.declared then return false end
  for i, c in ipairs(a) do
    if c.part ~= b[i].part or c.type ~= b[i].type then return false end
  end
  return true
end

local function kind_words(name) return name == '*' and 'any kind' or "'" .. name .. "'" end

--- What a field is, for people: "an integer", "a map from 'string' to 'any' with ttl".
function M.field_words(f)
  if f.declared then return f.declared end
  local c = f.main or f[1]
  local kind, a, b = c.type:match '^([^_]+)_?([^_]*)_?([^_]*)$'
  local aged = f.parts.least and ' with ttl' or ''
  if kind == 'list' then return 'a list of ' .. kind_words(a) .. aged end
  if kind == 'map' then return ('a map from %s to %s'):format(kind_words(a), kind_words(b)) .. aged end
  if kind == 'set' or kind == 'aged-set' then return 'a set of ' .. kind_words(a) .. aged end
  if kind == 'any' then return "of type 'any'" end
  if kind == 'integer' then return 'an integer' end
  return 'a ' .. kind
end

return M
