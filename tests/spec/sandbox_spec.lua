--[[
sandbox_spec.lua - what a script can see and reach: the deny list, the locked string metatable, what is not compiled,
print, names without addresses, environments of their own, and modules beside the script.
]]

local h = require 'spec.helper'

local function e(code, ...) return (h.e(code, { ... })) end
local function script(text, input, ...) return h.script("local tm = require 'tidemill'\n" .. text, input or { '{"n":1}' }, ...) end

describe('the sandbox', function()
  it('has none of the names on the deny list', function()
    local names = { 'ffi', 'debug', 'io', 'os', 'package', 'load', 'loadstring', 'loadfile', 'dofile', 'xpcall', 'newproxy',
      'collectgarbage', 'gcinfo',
      'getfenv', 'setfenv', 'module', 'jit', 'arg' }
    local r = script("local l = {} for _, name in ipairs { '" .. table.concat(names, "', '") ..
      "' } do if rawget(_G, name) ~= nil then l[#l + 1] = name end end\n" ..
      "l[#l + 1] = string.dump and 'string.dump' l[#l + 1] = math.randomseed and 'math.randomseed' l[#l + 1] = ('').dump and 'dump'\n" ..
      "return tm.pipeline 'p':map(function(e) return { l = tm.array(l) } end)")
    assert.equal('{"l":[]}\n', r.out, r.err)
  end)

  it('has these names and no others: an allow list', function()
    local r = script("local l = {} for k in pairs(_G) do l[#l + 1] = k end return tm.pipeline 'p':map(function(e) return { l = \z
      table.concat(l, ' ') } end)")
    assert.equal('_G _VERSION assert bit coroutine error getmetatable ipairs math next pairs pcall print rawequal rawget rawlen \z
      rawset require select ' ..
      'setmetatable string table tonumber tostring type unpack', h.rows(r.out)[1].l)
  end)

  it("require 'ffi' and the library's own files are not there", function()
    for _, name in ipairs { 'ffi', 'bit', 'jit', 'jit.util', 'io', 'os', 'debug', 'tidemill.lib', 'tidemill.view', 'string.buffer',
      'table.new' } do
      local r = script("local x = require '" .. name .. "' return tm.pipeline 'p'")
      assert.equal(3, r.code)
      assert.truthy(r.err:find("no module '" .. name .. "'", 1, true), r.err)
    end
  end)

  it('the string metatable is locked', function()
    assert.equal('{"a":"string","b":false,"c":"X"}\n',
      e("stream:map(function(e) return { a = getmetatable(''), b = (pcall(setmetatable, '', {})), c = ('x'):upper() } end)", '{}'))
    local r = script("string.upper = function() return 'evil' end return tm.pipeline 'p':map(function(e) return { s = ('x'):upper() \z
      } end)")
    assert.equal('{"s":"X"}\n', r.out)
  end)

  it('64-bit literals are refused', function()
    for _, literal in ipairs { '1LL', '1ULL', '0x10LL', '2i' } do
      for _, text in ipairs { 'local x = %s return tm.pipeline "p"',
        'return tm.pipeline "p":map(function(e) local t = { %s } return e end)', 'return tm.pipeline "p":map(function(e) e.x = e.n \z
          + %s return e end)' } do
        local r = script(text:format(literal))
        assert.equal(3, r.code, literal)
        assert.truthy(r.err:find('64-bit and imaginary literals (1LL, 1ULL, 1i) are not available; use tm.i64 on digits', 1, true))
      end
    end
  end)

  it('bytecode is refused', function()
    local code = h.path 'bytecode'
    assert.equal(0, h.shell('luajit -b -t raw ' .. h.quote(h.write("return require 'tidemill'.pipeline 'p'", h.path 'source.lua')) ..
      ' ' .. code).code)
    local r = h.run { 'run', '--quiet', code }
    assert.equal(3, r.code)
    assert.truthy(r.err:find('precompiled Lua is not accepted; give the source', 1, true))
    local dir = h.folder { ['main.lua'] = "local m = require 'm' return require 'tidemill'.pipeline 'p'" }
    os.execute(('cp %s %s/m.lua'):format(code, dir))
    assert.truthy(h.run({ 'run', '--quiet', dir .. '/main.lua' }).err:find('m.lua:1: precompiled Lua is not accepted', 1, true))
  end)

  it('print goes to stderr, and 200 lines a second at most', function()
    local out, r = h.e("stream:map(function(e) print('seen', e.n, nil, true) return e end)", { '{"n":1}' })
    assert.equal('{"n":1}\n', out)
    assert.truthy(r.err:find('seen\t1\tnil\ttrue\n', 1, true))
    local lines = {}
    for i = 1, 5000 do lines[i] = '{"n":' .. i .. '}' end
    out, r = h.e("stream:map(function(e) print('seen', e.n) return e end)", lines)
    local _, n = r.err:gsub('seen', '')
    assert.equal(5000, #h.lines(out))
    assert.truthy(n >= 200 and n <= 200 * (r.seconds + 2), n)
  end)

  it('tostring, %s and error messages show no addresses', function()
    local out, r = h.e([[stream:map(function(e)
      local t = { tostring({}), tostring(print), tostring(function() end), tostring(coroutine.create(print)), tostring(tm),
        tostring(stream), tostring(tm.null),
        ('%s %s'):format({}, print), tostring(e), tostring(setmetatable({}, { __tostring = function() return 'mine' end })) }
      print({}, print)
      return { t = t }
    end)]], { '{"n":1}' })
    assert.same({ 'table', 'function', 'function', 'thread' }, { unpack(h.rows(out)[1].t, 1, 4) })
    assert.same({ 'null', 'table function', '{"n":1}', 'mine' }, { unpack(h.rows(out)[1].t, 7, 10) })
    assert.falsy((out .. r.err):find '0x%x%x%x%x')
    for _, body in ipairs { 'error({})', 'error(print)', "local x = {} .. 'x'", 'error(tostring(e) .. tostring({}))',
      "('%p'):format({})", "('%10p'):format('x')", "('%%%-4p'):format({})", "table.concat({ {} })" } do
      _, r = h.e('stream:map(function(e) ' .. body .. ' return e end)', { '{"n":1}' })
      assert.falsy(r.err:find '0x%x%x%x%x', body .. r.err)
      assert.truthy(r.err:find('warning', 1, true), body)
    end
  end)

  it('string.format takes any number of arguments, and says what LuaJIT says of wrong ones', function()
    -- expected: LuaJIT's own string.format
    local function same(expression)
      local out, r = h.e('stream:map(function(e) local ok, v = pcall(function() return ' .. expression ..
        " end) return { ok = ok, v = type(v) == 'table' and v.message or v } end)", { '{"n":1}' })
      assert.equal(0, r.code, r.err)
      local ok, v = pcall(assert(loadstring('return ' .. expression)))
      local row = h.rows(out)[1]
      assert.equal(ok, row.ok, expression)
      if ok then assert.equal(v, row.v) else assert.truthy(row.v:find(v:match "bad argument.*", 1, true), row.v) end
    end
    for n = 0, 20 do
      local list = {}
      for i = 1, n do list[i] = i % 3 == 0 and 'nil' or i % 3 == 1 and i or "'t" .. i .. "'" end
      same(("string.format('%s|%%%%p'%s)"):format(('%s,'):rep(n), n > 0 and ', ' .. table.concat(list, ', ') or ''))
    end
    for _, expression in ipairs { "('%d'):format()", "('%s %s'):format(1)", "('%d'):format('x')", 'string.format(nil)',
      "('%5.1f|'):format(2.25)" } do
      same(expression)
    end
  end)

  it('math.random gives the same numbers in every run', function()
    local code = 'stream:map(function(e) return { a = math.random(), b = math.random(1, 1000000) } end)'
    local a, b = e(code, '{}', '{}'), e(code, '{}', '{}')
    assert.equal(a, b)
    assert.not_equal(h.lines(a)[1], h.lines(a)[2])
  end)

  it('setting a global works for the script only; a script cannot reach another\'s environment', function()
    local one = h.write([[
      shared, tostring, math.floor, string.upper = 'mine', nil, nil, nil
      pcall(function() table.insert = nil end)
      pcall(rawset, getmetatable('') or {}, 'x', 1)
      local tm = require 'tidemill'
      pcall(function() tm.leak = 1 end)
      pcall(function() tm.sink.leak = 1 end)
      pcall(function() tm.null.leak = 1 end)
      return tm.pipeline 'one':map(function(e) return { one = shared } end)]], h.path 'one.lua')
    local two = h.write([[
      local tm = require 'tidemill'
      local ok = pcall(function() return tm.leak end)
      return tm.pipeline 'two':map(function(e) return { two = shared == nil and tostring(1) .. math.floor(1.5) .. ('x'):upper() ..
        string.upper 'y' .. type(table.insert), leak = ok } end)]], h.path 'two.lua')
    local r = h.run({ 'run', '--quiet', one, two }, '{}\n')
    assert.equal('{"one":"mine"}\n{"leak":false,"two":"11XYfunction"}\n', r.out, r.err)
  end)

  it('nothing happens while a script loads but what it declares: an error tells where', function()
    local r = script("local x = nil\nlocal y = x.z\nreturn tm.pipeline 'p'")
    assert.equal(3, r.code)
    assert.truthy(r.err:find("script.lua:3: attempt to index local 'x' (a nil value)", 1, true))
    r = script("return tm.pipeline 'p':filter(function(e) return e.n == end)")
    assert.equal(3, r.code)
    assert.truthy(r.err:find('script.lua:2:', 1, true))
    assert.falsy(r.err:find('[string', 1, true))
  end)
end)

describe('modules of the user\'s own', function()
  it("require 'mylib' loads the file beside the script, once, in the same sandbox", function()
    local dir = h.folder {
      ['main.lua'] = "local tm = require 'tidemill'\nlocal a, b = require 'mylib', require 'mylib'\nreturn tm.pipeline \z
        'p':map(function(e) return { v = a.double(e.n), same = a == b, env = seen, name = a.name } end)",
      ['mylib.lua'] = "seen = (seen or 0) + 1\nlocal M = { name = ... }\nfunction M.double(n) return n * 2 end\nassert(io == nil \z
        and os == nil and debug == nil and load == nil)\nreturn M",
    }
    assert.equal('{"env":1,"name":"mylib","same":true,"v":10}\n', h.run({ 'run', '--quiet', dir .. '/main.lua' }, '{"n":5}\n').out)
    assert.equal('{"env":1,"name":"mylib","same":true,"v":10}\n', h.run({ 'run', '--quiet', 'main.lua' }, '{"n":5}\n', { cwd = dir }).out)
  end)

  it('dots are folders; modules require modules, and the library', function()
    local dir = h.folder {
      ['main.lua'] = "return require 'a.b.chain'",
      ['a/b/chain.lua'] = "local tm, f = require 'tidemill', require 'a.fn'\nreturn tm.pipeline 'p':map(f)",
      ['a/fn.lua'] = 'return function(e) e.ok = true return e end',
    }
    assert.equal('{"ok":true}\n', h.run({ 'run', '--quiet', dir .. '/main.lua' }, '{}\n').out)
  end)

  it('a module that is missing is told with the file that was looked for', function()
    local dir = h.folder { ['main.lua'] = "local tm = require 'tidemill'\nlocal x = require 'lib.nope'\nreturn tm.pipeline 'p'" }
    local r = h.run({ 'run', '--quiet', dir .. '/main.lua' })
    assert.equal(3, r.code)
    assert.truthy(r.err:find(dir .. "/main.lua:2: no module 'lib.nope' beside the script: " .. dir .. '/lib/nope.lua: ', 1, true), r.err)
  end)

  it('names outside the folder are refused', function()
    for _, name in ipairs { '../x', '/etc/passwd', '..x', 'a..b', '', 'a/b' } do
      local dir = h.folder { ['main.lua'] = "local x = require '" .. name .. "'\nreturn x" }
      local r = h.run({ 'run', '--quiet', dir .. '/main.lua' })
      assert.equal(3, r.code)
      assert.truthy(r.err:find('a module name has letters, digits, _ - and dots between folders', 1, true), name .. r.err)
    end
  end)

  it('one that requires itself is told', function()
    local dir = h.folder { ['main.lua'] = "return require 'a'", ['a.lua'] = "return require 'b'", ['b.lua'] = "return require 'a'" }
    local r = h.run({ 'run', '--quiet', dir .. '/main.lua' })
    assert.equal(3, r.code)
    assert.truthy(r.err:find("module 'a' requires itself", 1, true))
  end)

  it('errors in a module carry its file and line, at load and at run', function()
    local dir = h.folder { ['main.lua'] = "local m = require 'm'\nreturn require 'tidemill'.pipeline 'p':map(function(e)\n  return \z
      m(e)\nend)",
      ['m.lua'] = "\nreturn function(e)\n  error 'inside'\nend" }
    local r = h.run({ 'run', '--quiet', dir .. '/main.lua' }, '{}\n')
    assert.truthy(r.err:find(dir .. '/m.lua:3: inside [lua]', 1, true), r.err)
    dir = h.folder { ['main.lua'] = "local m = require 'm'", ['m.lua'] = '\n\nlocal x = = 1' }
    r = h.run({ 'run', '--quiet', dir .. '/main.lua' })
    assert.equal(3, r.code)
    assert.truthy(r.err:find(dir .. '/m.lua:3:', 1, true), r.err)
    dir = h.folder { ['main.lua'] = "local m = require 'm'", ['m.lua'] = '\nlocal x = nil + 1' }
    r = h.run({ 'run', '--quiet', dir .. '/main.lua' })
    assert.truthy(r.err:find(dir .. '/m.lua:2:', 1, true), r.err)
  end)

  it('two scripts have their own copies', function()
    local dir = h.folder {
      ['one.lua'] = "local c = require 'count'\nreturn require 'tidemill'.pipeline 'one':map(function(e) c.n = c.n + 1 return { one \z
        = c.n } end)",
      ['two.lua'] = "local c = require 'count'\nreturn require 'tidemill'.pipeline 'two':map(function(e) c.n = c.n + 10 return { \z
        two = c.n } end)",
      ['count.lua'] = 'return { n = 0 }',
    }
    local r = h.run({ 'run', '--quiet', dir .. '/one.lua', dir .. '/two.lua' }, '{}\n{}\n')
    assert.same({ '{"one":1}', '{"two":10}', '{"one":2}', '{"two":20}' }, h.lines(r.out))
  end)
end)
