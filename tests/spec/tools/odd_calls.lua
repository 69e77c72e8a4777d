-- odd_calls.lua - a script for hostile_escapes_spec.lua: calls every function that scripts have with values nobody expects there, the same
-- at each run. Rows tell how many calls there were so far, how many were refused, and the first messages with an address or a
-- place inside the library.

local tm = require 'tidemill'

local fns = {}
local function add(name, t)
  for key in name:gmatch '[^.]+' do t = t[key] end
  fns[#fns + 1] = { name, t }
end

for name in ([[copy raw time meta is_null array bin ext timestamp lower upper trim split starts ends contains replace re
  json.decode json.encode date.parse date.format kv.parse kv.format url.parse url.query url.encode url.decode ip.parse ip.valid ip.within
  ip.private geo.km geo.bearing hash.md5 hash.sha1 hash.sha256 hash.sha512 hash.crc32 hash.xxh3 hmac.sha256 base64.encode
  base64.decode hex.encode hex.decode i64.add i64.sub i64.mod i64.cmp agg.count agg.sum agg.min agg.max agg.avg agg.first agg.last
  state.list state.map state.set]]):gmatch '%S+' do
  add(name, tm)
end
for name in ([[string.byte string.char string.find string.format string.gmatch string.gsub string.len string.lower string.match string.rep
  string.reverse string.sub string.upper table.concat table.insert table.maxn table.remove table.sort table.unpack table.pack
  next pairs ipairs select tonumber tostring rawget rawset rawlen rawequal setmetatable getmetatable unpack type assert
  bit.band bit.bswap bit.rol bit.tohex bit.tobit bit.arshift math.floor math.fmod math.random math.ldexp math.frexp math.max math.modf
  coroutine.create coroutine.resume coroutine.status coroutine.wrap]]):gmatch '%S+' do
  add(name, _G)
end
local methods = { 'match', 'find', 'gsub', 'test', 'fields', 'gmatch' }

local seed = 1
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end

local calls, refused, leaks = 0, 0, {}

local function call(name, f, ...)
  local ok, why = pcall(f, ...)
  calls = calls + 1
  if ok then return end
  refused = refused + 1
  local text = tostring(why)
  if #leaks < 5 and (text:find '0x%x%x%x%x%x' or text:find 'tidemill%.[%w_.]+:%d' or text:find 'cdata' or text:find 'ctype') then
    leaks[#leaks + 1] = name .. ': ' .. text:sub(1, 200)
  end
end

local COUNT = 49

local function odd_values(e, re)
  return { nil, true, false, 0, -0, 1, -1, 0 / 0, 1 / 0, -1 / 0, 2 ^ 31, -2 ^ 31 - 1, 2 ^ 53, 1e308, 1.5, '', 'a', '\0', '\255\254',
    ('ab'):rep(300), '1e400', '-9223372036854775808', '%', '[', '(', '%Y-%m', 'ms', '2020-01-01', '127.0.0.1/8', '{}', '[1',
    'http://a/b?c=d', {}, { 1, 2, 3 }, { a = 1 }, tm.null, tm.array {}, tm.bin 'x', tm.ext(5, 'y'), tm, tm.source, e, e.geo, print,
    function() return 'x' end, coroutine.create(print), re,
    setmetatable({}, { __index = function() return 'z' end, __tostring = function() return 'q' end }), tm.pipeline 'q' }
end

return tm.pipeline 'p':map(function(e)
  local re = tm.re '(a)(?<n>b)?'
  local odd = odd_values(e, re)
  for _ = 1, 200 do
    local f = fns[random(#fns)]
    local a, b, c, d = odd[random(COUNT)], odd[random(COUNT)], odd[random(COUNT)], odd[random(COUNT)]
    local n = random(5)
    if n == 1 then call(f[1], f[2])
    elseif n == 2 then call(f[1], f[2], a)
    elseif n == 3 then call(f[1], f[2], a, b)
    elseif n == 4 then call(f[1], f[2], a, b, c)
    else call(f[1], f[2], a, b, c, d) end
    local method = methods[random(#methods)]
    call('re:' .. method, re[method], random(2) == 1 and re or a, b, c, d)
  end
  return { id = e.id, calls = calls, refused = refused, leaks = leaks }
end)
