--[[
hash.lua - tm.hash, tm.hmac, tm.base64, tm.hex: digests and the ways to write bytes.
]]

local lib = require 'tidemill.lib'
local args = require 'tidemill.library.args'
local C, raise = lib.C, lib.raise
local ffi_string = lib.ffi.string
local out, wrong, too_long = args.out, args.wrong, args.too_long

local kinds = { md5 = C.TM_HASH_MD5, sha1 = C.TM_HASH_SHA1, sha256 = C.TM_HASH_SHA256, sha512 = C.TM_HASH_SHA512 }
local hash, hmac, base64, hex = {}, {}, {}, {}

local function failed(what)
  raise('hash', what .. ': this OpenSSL does not have it (see its list: openssl list -digest-algorithms)')
end

local function hasher(name, kind)
  local what = 'tm.hash.' .. name
  return function(s)
    if type(s) ~= 'string' then wrong(what, 'a string', s) end
    if C.tm_ffi_hash(kind, s, #s, out) ~= 0 then failed(what) end
    return ffi_string(out.data, out.len)
  end
end

local function signer(name, kind)
  local what = 'tm.hmac.' .. name
  return function(key, s)
    if type(key) ~= 'string' then wrong(what, 'a string', key, 1, 'key') end
    if type(s) ~= 'string' then wrong(what, 'a string', s, 2, 'text') end
    if C.tm_ffi_hmac(kind, key, #key, s, #s, out) ~= 0 then failed(what) end
    return ffi_string(out.data, out.len)
  end
end

--- Digests as hexadecimal digits: tm.hash.sha256(s); xxh3 (64 bits) and crc32 are no secrets' keepers.
for name, kind in pairs(kinds) do
  hash[name], hmac[name] = hasher(name, kind), signer(name, kind)
end
hash.xxh3, hash.crc32 = hasher('xxh3', C.TM_HASH_XXH3), hasher('crc32', C.TM_HASH_CRC32)

--- Bytes as base64; alphabet 'url': - and _ for + and /, without padding.
---@param s string
---@param alphabet? 'url'
---@return string
function base64.encode(s, alphabet)
  if type(s) ~= 'string' then wrong('tm.base64.encode', 'a string', s, 1) end
  if alphabet ~= nil and alphabet ~= 'url' then wrong('tm.base64.encode', "'url' or nothing", alphabet, 2, 'alphabet') end
  if C.tm_ffi_base64_encode(s, #s, alphabet == 'url' and 1 or 0, out) ~= 0 then too_long 'tm.base64.encode' end
  return ffi_string(out.data, out.len)
end

--- What is wrong with a text, and where.
local function refuse(what, s, rc, expected)
  if rc < 0 then too_long(what) end
  if rc > #s then raise('type', what .. ': ' .. args.shown(s) .. ' ends too early, or its padding is wrong') end
  raise('type', what .. ': ' .. args.shown(s) .. ' has ' .. args.shown(s:sub(rc, rc)) .. ' at byte ' .. rc .. ', expected ' .. expected)
end

--- The bytes of base64 in either alphabet, with padding or without.
---@param s string
---@return string
function base64.decode(s)
  if type(s) ~= 'string' then wrong('tm.base64.decode', 'a string', s) end
  local rc = C.tm_ffi_base64_decode(s, #s, out)
  if rc ~= 0 then refuse('tm.base64.decode', s, rc, 'letters, digits, + / or - _') end
  return ffi_string(out.data, out.len)
end

--- Bytes as hexadecimal digits, small ones.
---@param s string
---@return string
function hex.encode(s)
  if type(s) ~= 'string' then wrong('tm.hex.encode', 'a string', s) end
  if C.tm_ffi_hex_encode(s, #s, out) ~= 0 then too_long 'tm.hex.encode' end
  return ffi_string(out.data, out.len)
end

--- The bytes of hexadecimal digits.
---@param s string
---@return string
function hex.decode(s)
  if type(s) ~= 'string' then wrong('tm.hex.decode', 'a string', s) end
  local rc = C.tm_ffi_hex_decode(s, #s, out)
  if rc ~= 0 then refuse('tm.hex.decode', s, rc, 'two hexadecimal digits a byte') end
  return ffi_string(out.data, out.len)
end

return { hash = hash, hmac = hmac, base64 = base64, hex = hex }
