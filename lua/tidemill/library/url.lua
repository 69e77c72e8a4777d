--[[
url.lua - tm.url: URLs cut into their parts, queries, percent-encoding.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local C, ffi = lib.C, lib.ffi
local ffi_string, cast = ffi.string, ffi.cast
local out, wrong, too_long = args.out, args.wrong, args.too_long

local M = {}
local spans = ffi.new('int32_t[?]', 2 * C.TM_URL_PARTS)
local name_len = ffi.new 'int32_t[1]'
local lower = string.lower

local function part(p, i)
  local from = spans[2 * i]
  if from < 0 then return nil end
  return (ffi_string(p + from, spans[2 * i + 1] - from))
end

--- The parts of a URL, not decoded: scheme and host (small letters), user, password, port (a number), path, query, fragment. What is
--- not there is nil; path is always there.
---@param s string
---@return { scheme: string?, user: string?, password: string?, host: string?, port: number|string|nil, path: string, query: string?,
---fragment: string? }
function M.parse(s)
  if type(s) ~= 'string' then wrong('tm.url.parse', 'a string', s) end
  C.tm_ffi_url_parts(s, #s, spans)
  local p = cast('const char *', s)
  local scheme, host, port = part(p, C.TM_URL_SCHEME), part(p, C.TM_URL_HOST), part(p, C.TM_URL_PORT)
  if scheme then scheme = lower(scheme) end
  if host then host = lower(host) end
  if port then port = tonumber(port) or port end
  return {
    scheme = scheme, host = host, port = port, user = part(p, C.TM_URL_USER), password = part(p, C.TM_URL_PASSWORD),
    path = part(p, C.TM_URL_PATH), query = part(p, C.TM_URL_QUERY), fragment = part(p, C.TM_URL_FRAGMENT),
  }
end

local function all(s)
  local t, at = {}, -1
  while true do
    at = C.tm_ffi_url_pair(s, #s, at, out, name_len)
    if at <= 0 then break end
    local n = name_len[0]
    local name = ffi_string(out.data, n)
    if t[name] == nil then t[name] = ffi_string(out.data + n, out.len - n) end
  end
  if at < 0 then too_long 'tm.url.query' end
  return t
end

--- The first value of that name in the query of a URL (what stands behind its ?, or all of a text without one), decoded, + as a
--- blank; nil: it is not there. Without a name a table of all.
---@param s string
---@param name? string
---@return string|table<string, string>|nil
function M.query(s, name)
  if type(s) ~= 'string' then wrong('tm.url.query', 'a string', s, 1) end
  if name == nil then return (all(s)) end
  if type(name) ~= 'string' then wrong('tm.url.query', 'a string', name, 2, 'name') end
  local n = C.tm_ffi_url_find(s, #s, name, #name, out)
  if n == 0 then return nil end
  if n < 0 then too_long 'tm.url.query' end
  return (ffi_string(out.data + (n - 1), out.len - (n - 1)))
end

--- %41 as A; a % without two hexadecimal digits stays.
---@param s string
---@return string
function M.decode(s)
  if type(s) ~= 'string' then wrong('tm.url.decode', 'a string', s) end
  out.len = 0
  if C.tm_ffi_url_decode(s, #s, 0, out) ~= 0 then too_long 'tm.url.decode' end
  return (ffi_string(out.data, out.len))
end

--- All but letters, digits and - . _ ~ as %XX.
---@param s string
---@return string
function M.encode(s)
  if type(s) ~= 'string' then wrong('tm.url.encode', 'a string', s) end
  if C.tm_ffi_url_encode(s, #s, out) ~= 0 then too_long 'tm.url.encode' end
  return (ffi_string(out.data, out.len))
end

return { url = M }
