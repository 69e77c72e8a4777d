--[[
csv.lua - what scripts and the command line say of CSV: the options of sources and sinks and their checks, and the columns that
are known of a sink before its first row.

A description of a place (plan.lua) has `format`, and `csv` with delimiter, columns, header, crlf, record (record.lua) where it was said.
]]

local suggest = require 'tidemill.suggest'

local M = {}

--- The fields of a dead letter.
M.LETTER = { 'at', 'code', 'event', 'key', 'pipeline', 'position', 'reason', 'step' }

local OWN = { 'delimiter', 'columns', 'header', 'crlf' }

local function delimiter_of(fail, text)
  if text == '\\t' or text == 'tab' then return '\t' end
  if type(text) ~= 'string' or #text ~= 1 or text:find '[%z\r\n"\128-\255]' then
    fail("a delimiter is one ASCII character that is neither a quote nor a line break, such as ';' or a tab ('\\t'); got " ..
      (type(text) == 'string' and ('%q'):format(text) or 'a ' .. type(text)))
  end
  return text
end

--- A copy of a list of names, in which none is empty or stands twice. what: 'columns', or an option like it.
function M.names(fail, what, list)
  if type(list) ~= 'table' or #list == 0 then
    fail(what .. " are a list of names, such as { 'id', 'amount' }, got " ..
      (type(list) == 'table' and 'an empty list' or 'a ' .. type(list)))
  end
  local seen, copy = {}, {}
  local one = what == 'columns' and 'column' or what
  for i, name in ipairs(list) do
    if type(name) ~= 'string' or name == '' then fail(one .. ' ' .. i .. ' has no name') end
    if seen[name] then fail(what .. ' ' .. seen[name] .. ' and ' .. i .. " are both called '" .. name .. "'") end
    seen[name], copy[i] = i, name
  end
  return copy
end

--- What was said of CSV, checked; nil for other formats.
---@param fail fun(message: string) raises, saying where
---@param format string
---@param given table delimiter, columns, header, crlf
---@param told string? the delimiter that the file's name tells
---@param is_sink boolean?
---@return table? csv delimiter, columns, header, crlf
function M.options(fail, format, given, told, is_sink)
  if format ~= 'csv' then
    for _, name in ipairs(OWN) do
      if given[name] ~= nil and not (name == 'crlf' and format == 'lines') then
        fail("'" .. name .. "' belongs to the format csv, and this is '" .. format .. "'")
      end
    end
    return format == 'lines' and { crlf = given.crlf or false } or nil
  end
  local csv = { crlf = given.crlf or false }
  csv.delimiter = given.delimiter == nil and (told or ',') or delimiter_of(fail, given.delimiter)
  if given.columns ~= nil then csv.columns = M.names(fail, 'columns', given.columns) end
  csv.header = given.header
  if csv.header == nil then csv.header = is_sink or not csv.columns end
  if not is_sink and not csv.header and not csv.columns then
    fail('without a header the columns must be named: columns = { … }')
  end
  return csv
end

--- The names of a list given on the command line.
function M.split(text)
  local list = {}
  for name in (text .. ','):gmatch '([^,]*),' do list[#list + 1] = name end
  return list
end

local function text_of(csv)
  if not csv then return '' end
  local columns = csv.columns and table.concat(csv.columns, '\0') or ''
  local r = csv.record
  local record = r and ('%s\0%d\0%d'):format(r.start, r.max_lines, r.timeout_ms) or ''
  return table.concat({ csv.delimiter or '', tostring(csv.header), tostring(csv.crlf), columns, record }, '\1')
end

--- Do two descriptions say the same of CSV and of lines?
function M.same(a, b) return text_of(a) == text_of(b) end

-- steps that leave the fields of an event as they are
local KEEPS = { filter = true, on_error = true, key_by = true, to = true, arm = true, branch = true, route = true, schema = true }

--- The fields that rows of a stream surely have, in order: those of the last select; nil if they are not known.
---@param rec table the stream's record
function M.fields_of(rec)
  while rec do
    if rec.kind == 'select' then return rec.fields end
    if not KEEPS[rec.kind] then return nil end
    rec = rec.parent
  end
  return nil
end

--- A path by fields that no row has would lead to one file only.
local function path_fields(d, fail)
  local columns = d.format == 'lines' and { 'line' } or d.format == 'csv' and d.csv.columns
  if not columns or not (d.files and d.files.template) then return end
  local has = {}
  for _, name in ipairs(columns) do has[name] = true end
  for name in d.path:gsub('{{', ''):gsub('}}', ''):gmatch '{([^}]*)}' do
    if not has[name] then
      fail(d.place ~= '' and d.place or 'script', d.path .. ' has {' .. name .. '}, and the columns are ' ..
        table.concat(columns, ', ') .. suggest.hint(name, columns))
    end
  end
end

--- Finds the columns of sinks that do not name them: those of select, of dead letters, or, left open, of the first row.
---@param plan table
---@param fail fun(place: string, message: string)
function M.columns(plan, fail)
  local writers = {}
  for _, p in ipairs(plan.pipelines) do
    for _, out in ipairs(p.outs) do
      local d = out.sink
      local columns = d.sqlite or (d.format == 'csv' and d.kind ~= 'link' and d.csv)   -- of a table, too
      if columns and not columns.columns then
        local list = writers[d] or {}
        list[#list + 1] = out
        writers[d] = list
      end
    end
  end
  for _, d in ipairs(plan.sinks) do
    local outs = writers[d]
    if outs then
      local known, same = nil, true
      for _, out in ipairs(outs) do
        for _, fields in ipairs(out.dead and { M.LETTER } or out.fields) do
          known = known or fields
          same = same and fields and table.concat(fields, '\0') == table.concat(known, '\0')
        end
      end
      if known and same then
        (d.sqlite or d.csv).columns = known
      elseif #outs > 1 then
        fail(d.place ~= '' and d.place or 'script', (d.sqlite and d.name or d.path or d.name) .. ' is written' ..
          (d.sqlite and '' or ' as CSV') .. ' by several pipelines, or with their ' ..
          'dead letters, and the columns are not the same everywhere; name them with columns = { … }, or end each with the same :select')
      end
    end
    path_fields(d, fail)
  end
end

return M
