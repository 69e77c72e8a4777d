--[[
ip.lua - tm.ip: addresses of IPv4 and IPv6, and whether they lie in networks.

A list of networks becomes sorted ranges at its first use, searched by halves; they are kept as long as the list.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local C, ffi, raise = lib.C, lib.ffi, lib.raise
local ffi_string, cast = ffi.string, ffi.cast
local out, wrong, shown = args.out, args.wrong, args.shown

local M = {}

local range_list = ffi.typeof 'struct tm_ip_range[?]'
local range_ptr = ffi.typeof 'const struct tm_ip_range *'
local one = ffi.new(range_list, 1)
local compiled = setmetatable({}, { __mode = 'k' })   -- list -> { ranges, n, p, items }

local function ranges_of(networks)
  local n = #networks
  local ranges = ffi.new(range_list, n + 1)
  for i = 1, n do
    local text = networks[i]
    if type(text) ~= 'string' or C.tm_ffi_ip_network(text, #text, ranges + (i - 1)) ~= 1 then
      raise('ip', 'tm.ip.within: item ' .. i .. ' of the list is ' .. (type(text) == 'string' and shown(text) or args.kind(text)) ..
        ", no address or network such as '10.0.0.0/8'")
    end
  end
  local left = C.tm_ffi_ip_sort(ranges, n)
  return { ranges = ranges, p = cast(range_ptr, ranges), n = left, items = n }
end

local function fixed(networks) return ranges_of(networks) end
local private = fixed { '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7' }
local loopback = fixed { '127.0.0.0/8', '::1' }

local function test(what, s, r)
  if type(s) ~= 'string' then wrong(what, 'an address as a string', s) end
  local found = C.tm_ffi_ip_within(s, #s, r.p, r.n)
  if found < 0 then raise('ip', what .. ': ' .. shown(s) .. ' is no IP address') end
  return found == 1
end

--- Is this an address?
---@param s any
---@return boolean
function M.valid(s)
  return type(s) == 'string' and C.tm_ffi_ip_parse(s, #s, out) > 0
end

--- An address as { version = 4 | 6, text = its one spelling (RFC 5952), private =, loopback = }; nil: it is none.
---@param s string
---@return { version: integer, text: string, private: boolean, loopback: boolean }?
function M.parse(s)
  if type(s) ~= 'string' then wrong('tm.ip.parse', 'an address as a string', s) end
  local version = C.tm_ffi_ip_parse(s, #s, out)
  if version <= 0 then return nil end
  local text = ffi_string(out.data, out.len)
  return { version = version, text = text, private = test('tm.ip.parse', s, private), loopback = test('tm.ip.parse', s, loopback) }
end

--- Does the address lie in a network ('10.0.0.0/8', or an address), or in one of a list? A list is read at its first use, and again
--- when its length has changed. ::ffff:1.2.3.4 lies where 1.2.3.4 does.
---@param s string
---@param networks string|string[]
---@return boolean
function M.within(s, networks)
  if type(s) ~= 'string' then wrong('tm.ip.within', 'an address as a string', s, 1) end
  local found
  if type(networks) == 'string' then
    if C.tm_ffi_ip_network(networks, #networks, one) ~= 1 then
      raise('ip', 'tm.ip.within: ' .. shown(networks) .. " is no address or network such as '10.0.0.0/8'")
    end
    found = C.tm_ffi_ip_within(s, #s, one, 1)
  elseif type(networks) == 'table' and not lib.owner[networks] then
    local r = compiled[networks]
    if not r or r.items ~= #networks then
      r = ranges_of(networks)
      compiled[networks] = r
    end
    found = C.tm_ffi_ip_within(s, #s, r.p, r.n)
  else
    wrong('tm.ip.within', 'a network or a list of them', networks, 2)
  end
  if found < 0 then raise('ip', 'tm.ip.within: ' .. shown(s) .. ' is no IP address') end
  return found == 1
end

--- Is it an address of a private network (RFC 1918, RFC 4193)?
---@param s string
---@return boolean
function M.private(s) return (test('tm.ip.private', s, private)) end

--- Is it the machine's own (127.0.0.0/8, ::1)?
---@param s string
---@return boolean
function M.loopback(s) return (test('tm.ip.loopback', s, loopback)) end

return { ip = M }
