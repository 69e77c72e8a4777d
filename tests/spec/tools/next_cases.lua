-- next_cases.lua SAFE FIRST LAST - compiles walks of tables under want of registers, and looks in the machine code for the instruction by
-- which this LuaJIT loses half of a pointer (LuaJIT's issue 829; lua/tidemill/walk.lua).
--
-- SAFE 0: with Lua's own next; 1: with the library's. Cases FIRST..LAST, each from its own seed, are of two kinds: rows read by
-- lua/tidemill/shape.lua, and walks by order.lua's pairs, in loops with many live values. Prints "walks N bad M"; a bad
-- trace ends the process before it runs, as it would crash.

local ffi, util, vmdef = require 'ffi', require 'jit.util', require 'jit.vmdef'
local safe, first, last = tonumber(arg[1]) == 1, tonumber(arg[2]), tonumber(arg[3])
ffi.cdef 'int getpid(void);'

package.loaded['tidemill.lib'] = {
  C = { tm_ffi_table_walked = ffi.C.getpid }, owner = {}, raise = error,
}
local walk = require 'tidemill.walk'
if safe then _G.next, _G.pairs = walk.next, walk.pairs end
local shape = require 'tidemill.shape'
local order = require 'tidemill.order'

local vm_next
for i = 0, #vmdef.ircall do
  if vmdef.ircall[i] == 'lj_vm_next' then vm_next = util.ircalladdr(i) end
end

local walks, CALL, XCHG = 0, '\232', 0x92   -- call rel32; xchg eax, edx

local function on_trace(what, number)
  local code, at
  if what == 'stop' then code, at = util.tracemc(number) end
  local p = code and code:find(CALL, 1, true)
  while p and p + 5 <= #code do
    local target = at + p + 4 + ffi.cast('const int32_t *', ffi.cast('const char *', code) + p)[0]
    if target == vm_next then
      walks = walks + 1
      if code:byte(p + 5) == XCHG then
        print(('walks %d bad 1'):format(walks))
        os.exit(0)
      end
    end
    p = code:find(CALL, p + 1, true)
  end
end
jit.attach(on_trace, 'trace')
jit.opt.start('maxtrace=8000', 'maxmcode=40960', 'maxrecord=8000', 'maxside=400', 'maxsnap=1000', 'maxirconst=4000', 'loopunroll=15')

local random = math.random

--- A loop that calls f(...) with n values live across it.
local function driver(n, call)
  local text = { 'local f, a, b, S = ... ' }
  for i = 1, n do text[#text + 1] = ('local s%d = S[%d] '):format(i, i) end
  text[#text + 1] = 'for i = 1, 300 do ' .. call
  for i = 1, n do
    local j = random(n)
    text[#text + 1] = (' s%d, s%d = s%d, s%d'):format(i, j, j, i)
  end
  text[#text + 1] = ' end return 0'
  for i = 1, n do text[#text + 1] = ', s' .. i end
  return assert(loadstring(table.concat(text)))
end

local S = {}
for i = 1, 20 do S[i] = 's' .. i end

local function shape_case()
  local row, writers = {}, {}
  for i = 1, random(18, 26) do row['k' .. i] = random(3) > 1 and 'v' .. i or i end
  for k in next, row do writers[k] = function(v) S[k] = v end end
  -- both ways of a shape to write its values: by the writers where a fork logs them, and straight
  local slots, n = {}, 0
  for i = 1, 30 do slots[i] = {} end
  local view = { replaced = function() end, root = { writers = writers }, log_undo = random(2) == 1, st = { gen = 1, base = 0 },
    gens = {}, vals = {}, written = {}, slots = slots, field = function() n = n + 1 return { slot = n } end }
  shape.learn(view, row)
  driver(random(0, 12), 'f(a)')(view.shape.assign, row, nil, S)
end

local function order_case()
  local t, n = {}, random(0, 12)
  for i = 1, random(0, 40) do t[random(3) == 1 and i or 'k' .. i] = random(3) == 1 and i or 'v' .. i end
  driver(n, 'for k, v in f(a) do ' .. (n > 0 and 'if k == s1 then s1 = v end' or '') .. ' end')(order.pairs, t, nil, S)
end

for seed = first, last do
  math.randomseed(seed)
  if seed % 4 == 0 then order_case() else shape_case() end
end
print(('walks %d bad 0'):format(walks))
