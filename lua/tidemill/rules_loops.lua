--[[
rules_loops.lua - the loops in which functions of rules are called, for rows that C asks about.

One loop a rule: shared by several it would be compiled for the first one alone. It ends with the loop of the next rule that is asked, so
that all of them are one chain of traces: a return to what called them could be no part of one.

Where a function does nothing with the event and the features but read members by name, and they are columns that hold plain values in a row
(rows that are `plain`, which come first), it is given just these members instead of views: a struct of doubles, or a table where one is no
number. Filling one and reading it again is nothing that a trace would do, so what is left is loads off columns. It has every member
that the function reads, is never assigned to and never leaves it. All other rows are seen through views.

Half of what a rule costs then are the guards with which its trace begins, as every row that leaves it comes back through them: hence a
struct, whose address is a constant (a table's members are looked for), no more arguments than the function names, a loop that counts
in memory, not in locals that each way back would have to store and check, and one line, as the deadline is looked at behind every line.

  at   { row at work, which of the rows asked for; which of the rules asked, where to end; the last row that is plain }
]]

local bytecode = require 'tidemill.bytecode'
local lib = require 'tidemill.lib'
local C, ffi = lib.C, lib.ffi

local M = {}

local PLAIN_MAX = 24   -- columns that a loop fills; it has 60 upvalues

local LOOP = [[
local K, c = ...
local when, tx, f, p, lists, R, rule, rows, at, st, home, mk, answer, asked, all = K.when, K.tx, K.f, K.p, K.lists, K.R, K.rule, K.rows,
  K.at, K.st, K.home, K.mk, K.answer, K.asked, K.all
COLUMNS
return function(from)
  local n = asked(R, rule)
  at[1], at[4] = from - 1, R.plain_n - 1
  PLAIN
  for i = from, n - 1 do
    local j = rows[i]
    at[0], at[1] = j, i
    PLACE
    if when(tx, f, p, lists) then answer(R, rule, j, 0) end
  end
  local k = at[2] + 1
  at[1], at[2] = -1, k
  if k < at[3] then
    local next = all[R.asking[k] + 1]
    return next(0)
  end
end
]]
local PLAIN = [[
  if at[1] < at[4] then
    repeat
      local i = at[1] + 1
      local j = rows[i]
      at[1], mk.row = i, home[j]
      FILL
      if when(GIVEN) then answer(R, rule, j, 0) end
    until at[1] >= at[4]
    from = R.plain_n
  end
]]
local PLACE = 'local row = home[j] st.row, st.home, mk.row = row, row, row'

local given = { tx = 'tx_of', f = 'f_of' }

--- The columns of what the function of a rule reads by name; nil: it does more.
local function reads_of(rule, columns)
  local list = {}
  local fields, features = bytecode.only_named(rule.when, 0), bytecode.only_named(rule.when, 1)
  if not fields or not features then return nil end
  for name in pairs(fields) do
    local reads = columns:reads(name)
    if columns:gathers(name) then
      list[#list + 1] = { given = 'tx', name = name, column = 'x.' .. name, kind = 'number' }
    elseif reads == 'text' or reads == 'boolean' then
      list[#list + 1] = { given = 'tx', name = name, column = 'v.' .. name, kind = 'value' }
    else
      return nil
    end
  end
  for name in pairs(features) do
    local typ = columns.by_name['f.' .. name].type
    list[#list + 1] = { given = 'f', name = name, column = 'f.' .. name, kind = (typ == 'number' or typ == 'bool') and typ or 'text' }
  end
  table.sort(list, function(a, b) return a.column < b.column end)
  return #list <= PLAIN_MAX and list or nil
end

--- Wants the columns for a rule whose function will be asked; to be called before the columns are counted.
function M.prepare(rule, columns)
  local list = columns.many and reads_of(rule, columns)
  for _, read in ipairs(list or {}) do columns:want(read.column) end
  return list or nil
end

--- What stands for an object of which these members are read: a struct, or a table.
local function stand_in(reads, object, anchor)
  local members = {}
  for _, read in ipairs(reads) do
    if read.given == object then
      if read.kind ~= 'number' or not read.name:find '^[%a_][%w_]*$' then return {} end
      members[#members + 1] = 'double ' .. read.name .. ';'
    end
  end
  if #members == 0 then return {} end
  -- a name may be a word of C
  local ok, typ = pcall(ffi.typeof, 'struct { ' .. table.concat(members, ' ') .. ' }')
  if not ok then return {} end
  local place = typ()
  anchor[#anchor + 1] = place
  return ffi.cast(ffi.typeof('$ *', typ), place)
end

--- Text that fills what stands for the event and the features with row j.
local function fill_text(reads)
  local fill = {}
  for i, read in ipairs(reads) do
    fill[i] = ('%s[%q] = c%d[j]%s'):format(given[read.given], read.name, i, read.kind == 'bool' and ' ~= 0' or '')
  end
  return table.concat(fill, ' ')
end

local OF = { number = 'num', bool = 'num', value = 'given', text = 'text' }

--- The loop of a rule.
---@param K table when, tx, f, p, lists, R, rule, rows, at, st, home, mk, all
---@param id string the rule's, for people
---@param reads table? of prepare
---@param columns table of rules_columns
---@param anchor table what has to stay is added
function M.make(K, id, reads, columns, anchor)
  local parts = { COLUMNS = '', PLAIN = '', PLACE = columns.many and PLACE or '' }
  local c, declared = {}, {}
  if reads then
    K.tx_of, K.f_of = stand_in(reads, 'tx', anchor), stand_in(reads, 'f', anchor)
    for i, read in ipairs(reads) do
      c[i] = columns.by_name[read.column][OF[read.kind]]
      declared[i] = ('local c%d = c[%d]'):format(i, i)
    end
    local names, takes = { 'tx_of', 'f_of', 'p', 'lists' }, math.min(bytecode.takes(K.when), 4)
    parts.COLUMNS = 'local tx_of, f_of = K.tx_of, K.f_of ' .. table.concat(declared, ' ')
    parts.PLAIN = PLAIN:gsub('%u%u%u%u+', { FILL = fill_text(reads), GIVEN = table.concat(names, ', ', 1, takes) })
  end
  K.answer, K.asked = C.tm_ffi_rules_answer, C.tm_ffi_rules_asked
  local text = LOOP:gsub('%u%u%u%u%u+', parts):gsub('%s+', ' ')
  return assert(loadstring(text, '=(rule ' .. id .. ')'))(K, c)
end

return M
