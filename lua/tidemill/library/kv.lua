--[[
kv.lua - tm.kv: lines of pairs (logfmt, query-like, semicolon-separated) as tables and back.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local value = require 'tidemill.value'
local C, raise, owner, NULL = lib.C, lib.raise, lib.owner, lib.NULL
local ffi_string = lib.ffi.string
local out, wrong = args.out, args.wrong

local M = {}

local SEPARATOR_MAX = 16
local key_len = lib.ffi.new 'int32_t[1]'
local suggested = { 'pair', 'field' }

local function separator(what, options, name, default)
  local v = options[name]
  if v == nil then return default end
  if type(v) ~= 'string' or v == '' or #v > SEPARATOR_MAX or v:find('"', 1, true) then
    raise('type', what .. ": option '" .. name .. "' is a text of 1 to 16 bytes without a quote, got " ..
      (type(v) == 'string' and "'" .. v .. "'" or args.kind(v)))
  end
  return v
end

local function separators(what, options)
  if options == nil then return ' ', '=' end
  if type(options) ~= 'table' then wrong(what, "a table such as { pair = ';', field = '=' }", options, 2, 'options') end
  for k in next, options do
    if k ~= 'pair' and k ~= 'field' then
      raise('type', what .. " has no option '" .. tostring(k) .. "'" .. require 'tidemill.suggest'.among(tostring(k), suggested))
    end
  end
  return separator(what, options, 'pair', ' '), separator(what, options, 'field', '=')
end

--- The pairs of a line as a table of strings; a key without a value is true, the last of equal keys counts.
---@param s string
---@param options? { pair: string, field: string } what stands between pairs (' ': any white space) and in them ('=')
---@return table<string, string|true>
function M.parse(s, options)
  if type(s) ~= 'string' then wrong('tm.kv.parse', 'a string', s, 1) end
  local pair, field = ' ', '='
  if options ~= nil then pair, field = separators('tm.kv.parse', options) end
  local t, at = {}, 0
  while true do
    at = C.tm_ffi_kv_pair(s, #s, at, pair, #pair, field, #field, out, key_len)
    if at <= 0 then break end
    local n = key_len[0]
    if n < 0 then
      t[ffi_string(out.data, -1 - n)] = true
    else
      t[ffi_string(out.data, n)] = ffi_string(out.data + n, out.len - n)
    end
  end
  if at < 0 then args.too_long 'tm.kv.parse' end
  return t
end

local function put(s, pair, field)
  if C.tm_ffi_kv_put(out, s, #s, pair, #pair, field, #field) ~= 0 then args.too_long 'tm.kv.format' end
end

local function put_value(key, v, pair, field)
  local t = type(v)
  if t == 'string' then return put(v, pair, field) end
  if v == NULL then return put('null', pair, field) end
  if t == 'boolean' then return put(tostring(v), pair, field) end
  if t == 'number' and C.tm_ffi_json_number(out, v) == 0 then return end
  raise('type', "tm.kv.format: '" .. key .. "' holds " .. (t == 'number' and 'NaN or infinity' or args.kind(v)) ..
    '; it writes strings, numbers and booleans')
end

--- A table as a line of pairs, keys in byte order, values in quotes where they need them.
---@param t table<string, string|number|boolean>
---@param options? { pair: string, field: string }
---@return string
function M.format(t, options)
  if type(t) ~= 'table' or t == NULL then wrong('tm.kv.format', 'a table', t, 1) end
  local pair, field = separators('tm.kv.format', options)
  if owner[t] then t = value.copy(t) end
  local keys, n = value.sorted_keys(t)
  out.len = 0
  for i = 1, n do
    local key, from = keys[i], out.len
    if i > 1 then C.tm_ffi_buf_put(out, pair, #pair) end
    local before = out.len
    put(key, pair, field)
    if key == '' or out.len - before ~= #key then
      out.len = from
      raise('type', 'tm.kv.format: the key ' .. args.shown(key) ..
        ' cannot be written: it is empty, or has a separator, a quote or a blank')
    end
    C.tm_ffi_buf_put(out, field, #field)
    put_value(key, t[key], pair, field)
  end
  return args.text()
end

return { kv = M }
