--[[
rules_columns.lua - the columns over which rules are judged: a number and a code for each row of a chunk (host/abi.h, tm_rules). A column
has a name that says what it holds:

  f.NAME        a feature, as its group computes it
  x.NAME        a field of the event that is a number; read by C off the batch where events are as they came
  t.NAME        a field as the number of its text among those that rules compare it with, 0: another text
  b.NAME        a field that is a boolean: 0, 1
  l.LIST.NAME   is the field's value in that list: 0, 1
  v.NAME        a field that is a text or a boolean, as a value of Lua beside the code

What is not read by C is read once an event, when it is taken in (rules_index.lua). A field whose reading may raise has none of these: it
is the rule that has to fail then, not the event.
]]

local lib = require 'tidemill.lib'
local C, ffi = lib.C, lib.ffi
local huge = math.huge

local M = {}

local ROWS = C.TM_RULES_ROWS
local KNOWN_ROOM = 64   -- bytes behind a column that are read with its last rows

--- What the types of a schema read as: 'number', 'text', 'boolean'; nil: a value of which that is not sure, or one that may raise.
local READS = { number = 'number', integer = 'number', time_s = 'number', time_ms = 'number', time_us = 'number', string = 'text',
  time_iso8601 = 'text', boolean = 'boolean' }

-- what is done with the value v of an event in row j, when it is taken in
local TAKE = {
  x = "if type(v) == 'number' then NUM[j] = v KNOWN[j] = 1 elseif v == nil then KNOWN[j] = 0 else KNOWN[j] = 3 end",
  t = "if type(v) == 'string' then NUM[j] = GIVEN[v] or 0 KNOWN[j] = 1 elseif v == nil then KNOWN[j] = 0 else KNOWN[j] = 3 end",
  b = "if v == true then NUM[j] = 1 KNOWN[j] = 1 elseif v == false then NUM[j] = 0 KNOWN[j] = 1 elseif v == nil then KNOWN[j] = 0 " ..
    'else KNOWN[j] = 3 end',
  l = 'if v ~= nil and v == v and GIVEN.keys[v] ~= nil then NUM[j] = 1 else NUM[j] = 0 end KNOWN[j] = 1',
  v = "GIVEN[j] = v if v == nil then KNOWN[j] = 0 else KNOWN[j] = 1 end",
}

local Columns = {}
Columns.__index = Columns

--- The columns of a pack. Which are used is not known before its rules were read.
---@param pack table of pack.lua
---@param set table of features.compile
---@param view table of the events
---@param many boolean events reach the pack as they came: C may read them off the batch
---@return table columns { by_name, list, taken: field -> list of what is done with its value, gathered: list read by C }
function M.new(pack, set, view, many)
  local W = setmetatable({ pack = pack, set = set, view = view, many = many, by_name = {}, list = {}, taken = {}, gathered = {} }, Columns)
  for i, c in ipairs(set.columns) do
    local name = 'f.' .. c.name
    local column = { name = name, type = c.type, at = i - 1, num = set.number[i], known = set.known[i], text = set.text[i] }
    W.by_name[name], W.list[i] = column, column
  end
  return W
end

function Columns:reads(field) return READS[self.pack.fields[field].name] end

--- Can C read the numbers of a field off a batch? Gives below which number; nil: no.
function Columns:gathers(field)
  local node = self.many and self.view.field(field)
  if not node or not node.col then return nil end
  local rule = node.rule
  if rule and rule.special then return rule.places and rule.exact or nil end
  return huge
end

--- The column of a name, made when it is asked for first.
function Columns:want(name)
  local column = self.by_name[name]
  if column then return column end
  local num, known = ffi.new('double[?]', ROWS), ffi.new('uint8_t[?]', ROWS + KNOWN_ROOM)
  column = { name = name, at = #self.list, num = ffi.cast('double *', num), known = ffi.cast('uint8_t *', known), anchor = { num, known } }
  self.by_name[name], self.list[#self.list + 1] = column, column
  local kind, field = name:sub(1, 1), name:sub(3)
  if kind == 'x' and self:gathers(field) then
    local node = self.view.field(field)
    C.tm_ffi_fields_want_number(self.view.source.fields, node.id)
    column.cells, column.below = node.col, self:gathers(field)
    self.gathered[#self.gathered + 1] = column
    return column
  end
  if kind == 't' then
    column.given, column.texts = {}, 0
  elseif kind == 'l' then
    local list
    list, field = field:match '^([^%z]*)%z(.*)$'
    column.given = self.pack.lists[list]
  elseif kind == 'v' then
    column.given = {}
  end
  self.taken[field] = self.taken[field] or {}
  table.insert(self.taken[field], { text = TAKE[kind], column = column })
  return column
end

--- The number of a text in a column t.
function Columns.text_number(column, text)
  if not column.given[text] then column.texts, column.given[text] = column.texts + 1, column.texts + 1 end
  return column.given[text]
end

--- Does reading a field of the event perhaps raise?
function Columns:raises(field) return not self:reads(field) end

--- What the condition of a rule may be about, for rules_condition.lua.
---@param values table the rule's params
function Columns:of_rule(values)
  return {
    number = function(field)
      local reads = self:reads(field)
      if reads == 'text' or reads == 'boolean' then return nil end
      return (self:gathers(field) or reads == 'number') and 'x.' .. field or nil
    end,
    text = function(field) return self:reads(field) == 'text' and 't.' .. field or nil end,
    plain = function(field)
      local reads = self:reads(field)
      if reads == 'number' then return 'x.' .. field end
      if reads == 'text' then return 't.' .. field end
      if reads == 'boolean' then return 'b.' .. field, true end
    end,
    member = function(list, field)
      local reads = self:reads(field)
      return (reads == 'number' or reads == 'text') and ('l.%s\0%s'):format(list, field) or nil
    end,
    raises = function(field) return self:raises(field) end,
    feature = function(name)
      local typ = self.by_name['f.' .. name].type
      return (typ == 'number' or typ == 'bool') and typ or nil
    end,
    param = function(name) return values[name] end,
  }
end

return M
