--[[
csv_rows.lua - the rows of a small CSV file as tables, for lists of packs and labels of backtests. Events in CSV are read by the host.

A cell in double quotes may hold separators, line breaks and quotes (two of them); a row ends with LF or CRLF; empty lines are none.
]]

local M = {}

--- An iterator over the rows of a text: list of cells, with the `line` on which it begins.
---@param text string
---@param fail function (line, why): raises
---@param separator? string one character, a comma without it
function M.each(text, fail, separator)
  separator = separator or ','
  local at, line, n = 1, 1, #text
  local byte, pattern = separator:byte(), '[' .. separator .. '\n]'
  local function quoted(row)
    local parts, from = {}, at + 1
    while true do
      local to = text:find('"', from, true)
      if not to then fail(row.line, 'a quote without its pair') end
      parts[#parts + 1] = text:sub(from, to - 1)
      if text:byte(to + 1) ~= 34 then
        at = to + 1
        break
      end
      parts[#parts + 1], from = '"', to + 2
    end
    local cell = table.concat(parts)
    local _, breaks = cell:gsub('\n', '')
    line = line + breaks
    return cell
  end
  local function cell_of(row)
    if text:byte(at) == 34 then return quoted(row) end
    local to = text:find(pattern, at) or n + 1
    local cell = text:sub(at, to - 1):gsub('\r$', '')
    at = to
    return cell
  end
  return function()
    while at <= n do
      local row, more = { line = line }, true
      while more do
        row[#row + 1] = cell_of(row)
        if text:byte(at) == 13 then at = at + 1 end
        local sign = text:byte(at)
        more = sign == byte
        if sign and not more and sign ~= 10 then fail(row.line, 'text behind a closing quote') end
        at = at + 1
        if more and at > n then row[#row + 1], more = '', false end
      end
      line = line + 1
      if #row > 1 or row[1] ~= '' then return row end
    end
  end
end

return M
