--[[
backtest_labels.lua - what events were in truth: files of labels, read and checked, and the label of an event.

  id       one event, by a field of it (--id)                     id,label,case
  range    all events whose field `key` has `value`, from `from` to `to`, both included; of several ranges that
           hold, the one that begins last                         key,value,from,to,label,case
  label    fraud true 1 yes | legit false 0 no; without the column, which may be called `fraud` too, fraud
  times    ms since 1970, or ISO 8601

A file is ndjson, or csv with a header (*.csv, *.tsv). What cannot be read is told with file:line; an event that is labelled in two
ways, too. A label takes some 200 bytes; there are at most a million, in files of at most 64 MiB each.

  labels   { n, fraud, legit, files, case_n, finder() -> find(event, t) -> number of a label or nil,
             is_fraud[i], case[i] (number or 0), matched[i] (events), case_names[number] }
]]

local csv_rows = require 'tidemill.csv_rows'
local date = require 'tidemill.library.date'.date
local json = require 'tidemill.library.json'.json
local lib = require 'tidemill.lib'
local suggest = require 'tidemill.suggest'

local M = {}

local LABELS_MAX, BYTES_MAX = 1000000, 64 * 2 ^ 20
local COLUMNS = { 'id', 'key', 'value', 'from', 'to', 'label', 'fraud', 'case' }
local WORDS = { fraud = true, ['true'] = true, ['1'] = true, yes = true, legit = false, ['false'] = false, ['0'] = false, no = false }

local function fault(place, message, ...) lib.raise('script', place .. ': ' .. message:format(...)) end

local function shown(v) return type(v) == 'string' and "'" .. v .. "'" or type(v) == 'table' and 'a table' or tostring(v) end

--- Names of the fields of a pack, for messages.
local function fields_of(pack)
  local names = {}
  for name in pairs(pack.fields) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- A cell that says nothing is nil.
local function given(v)
  if v == nil or v == '' or v == lib.NULL then return nil end
  return v
end

--- A value as the field's declared type reads.
function M.typed(pack, place, field, v)
  local kind = pack.fields[field].name
  if type(v) == 'table' then fault(place, "'%s' is a text or a number, got a table", field) end
  local is_number = kind:find '^number' or kind:find '^integer' or kind:find '^decimal' or kind:find '^time' and
    kind ~= 'time_iso8601' and kind ~= 'time_ns'
  if is_number then
    local number = tonumber(v)
    if not number then fault(place, "the field '%s' is declared %s, got %s", field, kind, shown(v)) end
    return number
  end
  if kind == 'any' then return v end
  return type(v) == 'number' and ('%.14g'):format(v) or tostring(v)
end

local function time_of(place, name, v)
  local ms = tonumber(v)
  if ms then return ms end
  local ok, parsed = pcall(date.parse, tostring(v))
  if not ok then fault(place, "'%s' is ms since 1970 or a time such as 2026-03-01T10:00:00Z, got %s", name, shown(v)) end
  return parsed
end

--- Rows of a file as tables by column, each with its place: calls take(row, place).
local function each_row(path, text, take)
  local ending = path:match '%.([%w]+)$'
  if ending == 'csv' or ending == 'tsv' then
    local head
    for cells in csv_rows.each(text, function(line, why) fault(path .. ':' .. line, '%s', why) end, ending == 'tsv' and '\t' or ',') do
      local place = path .. ':' .. cells.line
      if not head then
        head = cells
      else
        if #cells ~= #head then fault(place, 'the row has %d cells, the header %d', #cells, #head) end
        local row = {}
        for i, name in ipairs(head) do row[name] = cells[i] end
        take(row, place)
      end
    end
    return
  end
  local line = 0
  for one in text:gmatch '([^\n]*)\n?' do
    line = line + 1
    if one:find '%S' then
      local place = path .. ':' .. line
      local ok, row = pcall(json.decode, one)
      if not ok or type(row) ~= 'table' then fault(place, 'a label is a JSON object, found %s', shown(one:sub(1, 60))) end
      take(row, place)
    end
  end
end

local Labels = {}
Labels.__index = Labels

--- One label more; its number.
function Labels:add(row, place)
  local word = given(row.label)
  if word == nil then word = given(row.fraud) end
  local fraud = true
  if word ~= nil then
    fraud = WORDS[tostring(word):lower()]
    if fraud == nil then
      fault(place, "'label' is fraud, true, 1, yes, or legit, false, 0, no; got %s%s", shown(word), suggest.hint(tostring(word),
        { 'fraud', 'legit' }))
    end
  end
  local i = self.n + 1
  if i > LABELS_MAX then fault(place, 'there are more than %d labels; give fewer, or ranges', LABELS_MAX) end
  local case, number = given(row.case), 0
  if case ~= nil then
    number = self.case_numbers[tostring(case)]
    if not number then
      number = self.case_n + 1
      self.case_n, self.case_numbers[tostring(case)], self.case_names[number] = number, number, tostring(case)
    end
  end
  self.n, self.is_fraud[i], self.case[i], self.matched[i] = i, fraud, number, 0
  if fraud then self.fraud = self.fraud + 1 else self.legit = self.legit + 1 end
  return i
end

function Labels:add_id(row, place, id)
  local key = M.typed(self.pack, place, self.id, id)
  local other = self.by_id[key]
  if other then
    local before = self.is_fraud[other]
    local i = self:add(row, place)
    if self.is_fraud[i] ~= before then
      fault(place, '%s is labelled %s here, and %s in a row before', shown(key), before and 'legit' or 'fraud',
        before and 'fraud' or 'legit')
    end
    self.n, self.twice = i - 1, self.twice + 1
    if before then self.fraud = self.fraud - 1 else self.legit = self.legit - 1 end
    return
  end
  self.by_id[key] = self:add(row, place)
end

function Labels:add_range(row, place)
  for _, name in ipairs { 'key', 'value', 'from', 'to' } do
    if given(row[name]) == nil then
      fault(place, "a label has 'id', or 'key', 'value', 'from' and 'to'; '%s' is missing", name)
    end
  end
  local field = row.key
  if type(field) ~= 'string' or not self.pack.fields[field] then
    fault(place, "'key' is a field of %s, got %s%s", self.pack.schema_path, shown(field),
      suggest.among(tostring(field), fields_of(self.pack)))
  end
  local from, to = time_of(place, 'from', row.from), time_of(place, 'to', row.to)
  if from > to then fault(place, "'from' lies behind 'to'") end
  local by = self.ranges[field]
  if not by then
    by = {}
    self.ranges[field], self.keys[#self.keys + 1] = by, field
  end
  local value = M.typed(self.pack, place, field, row.value)
  by[value] = by[value] or {}
  table.insert(by[value], { from = from, to = to, label = self:add(row, place) })
end

--- Puts ranges in order of their beginnings; `last`: the latest end of a range and those before it.
local function sort_ranges(ranges)
  for _, by in pairs(ranges) do
    for _, list in pairs(by) do
      table.sort(list, function(a, b)
        if a.from ~= b.from then return a.from < b.from end
        return a.label < b.label
      end)
      local last = -math.huge
      for _, range in ipairs(list) do
        last = math.max(last, range.to)
        range.last = last
      end
    end
  end
end

--- The label of a range that holds time t, the one that begins last; nil.
local function in_ranges(list, t)
  local low, high = 0, #list
  while low < high do
    local mid = math.floor((low + high + 1) / 2)
    if list[mid].from <= t then low = mid else high = mid - 1 end
  end
  while low > 0 and list[low].last >= t do
    if list[low].to >= t then return list[low].label end
    low = low - 1
  end
end

--- A function that finds the label of an event, by its fields and its time in ms.
---@return function find(event, t): the label's number, or nil
function Labels:finder()
  local by_id, id, keys, ranges = self.by_id, self.id, self.keys, self.ranges
  local function by_range(e, t)
    for k = 1, #keys do
      local v = e[keys[k]]
      local list = v ~= nil and ranges[keys[k]][v]
      local i = list and in_ranges(list, t)
      if i then return i end
    end
  end
  if not self.id_given then return by_range end
  local function by_name(e)
    local v = e[id]
    if v ~= nil then return by_id[v] end
  end
  if #keys == 0 then return by_name end
  return function(e, t) return by_name(e) or by_range(e, t) end
end

--- How many labels no event has, and the first of them.
function Labels:unmatched()
  local n, first = 0, nil
  for i = 1, self.n do
    if self.matched[i] == 0 then n, first = n + 1, first or self.places[i] end
  end
  return n, first
end

--- Reads files of labels. Raises with file:line what is wrong.
---@param paths table list
---@param pack table of pack.lua
---@param id? string the field by which labels name events
---@return table labels
function M.read(paths, pack, id)
  local self = setmetatable({ pack = pack, id = id or 'id', n = 0, fraud = 0, legit = 0, twice = 0, files = paths, case_n = 0,
    case_names = {},
    case_numbers = {}, is_fraud = {}, case = {}, matched = {}, places = {}, by_id = {}, ranges = {}, keys = {} }, Labels)
  for _, path in ipairs(paths) do
    local text, why = lib.host.read_data(path, BYTES_MAX)
    if not text then lib.raise('usage', '--labels: ' .. path .. ': ' .. why) end
    each_row(path, text, function(row, place)
      local one = given(row.id)
      if one == nil and self.id ~= 'id' then one = given(row[self.id]) end
      if one ~= nil then
        if not pack.fields[self.id] then
          fault(place, "labels name events by their field '%s', which is no field of %s%s; give another: --id FIELD", self.id,
            pack.schema_path, suggest.among(self.id, fields_of(pack)))
        end
        self.id_given = true
        self:add_id(row, place, one)
      elseif given(row.key) ~= nil then
        self:add_range(row, place)
      else
        local names = {}
        for name in pairs(row) do names[#names + 1] = tostring(name) end
        table.sort(names)
        fault(place, "a label has 'id', or 'key', 'value', 'from' and 'to'; found the columns %s (it may have: %s)",
          table.concat(names, ', '), table.concat(COLUMNS, ', '))
      end
      self.places[self.n] = self.places[self.n] or place
    end)
  end
  sort_ranges(self.ranges)
  return self
end

return M
