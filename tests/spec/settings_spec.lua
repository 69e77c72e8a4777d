--[[
settings_spec.lua - tidemill.lua, the project's settings: what it may say, what goes before it, what is refused.

Every case runs the real program in a folder of its own. Expected values are what the file says, read by a script through
tm.setting or seen in what the run does; messages are compared whole, as people are to act on them.
]]

local h = require 'spec.helper'

--- Runs the program in a fresh folder with this tidemill.lua. options: env ("K=v"), files, input.
local function run(settings, args, options)
  options = options or {}
  local files = { ['tidemill.lua'] = settings }
  for name, text in pairs(options.files or {}) do files[name] = text end
  local dir = h.folder(files)
  local line = h.command(args, {})
  local r = h.shell(('cd %s && env %s %s'):format(h.quote(dir), options.env or '', line), options.input or '{"n":1}\n')
  r.dir = dir
  return r
end

local SHOW = 'stream:map(function() return { s = tm.setting("s", "-"), t = tm.setting("t", "-") } end)'

--- Runs SHOW and returns its row.
local function shown(settings, args, options)
  local words = { 'run', '--quiet', '-e', SHOW }
  for _, a in ipairs(args or {}) do words[#words + 1] = a end
  local r = run(settings, words, options)
  assert.equal('', r.err)
  assert.equal(0, r.code)
  return h.decode(r.out)
end

--- The message with which a file is refused.
local function refused(settings, command)
  local args = command == 'check' and { 'check', '-e', 'stream' } or { 'run', '--quiet', '-e', 'stream' }
  local r = run(settings, args)
  assert.equal(3, r.code)
  assert.equal('', r.out)
  return (r.err:gsub('^tidemill: error: ', ''):gsub('\n$', ''))
end

describe('tidemill.lua', function()
  it('gives options of a run', function()
    local r = run([[
      -- a comment
      local day = '2024-01-01'
      return {
        from = { 'b.ndjson', day .. '.ndjson' }, to = 'out.ndjson', quiet = true, strict = true, max_rows = 2,
        deadline = '150ms', script_memory = 67108864,
      }]], { 'run', '-e', 'stream:flat_map(function(e, emit) for i = 1, e.n do emit { i = i } end end)' },
      { files = { ['b.ndjson'] = '{"n":3}\n', ['2024-01-01.ndjson'] = '{"n":2}\n' } })
    assert.equal(1, r.code)   -- strict: the event of three rows failed
    assert.truthy(r.err:find('max-rows', 1, true), r.err)
    assert.falsy(r.err:find('events in', 1, true), r.err)
    assert.equal('{"i":1}\n{"i":2}\n', h.read(r.dir .. '/out.ndjson'))
    assert.equal('', r.out)
  end)

  it('is below flags and the environment', function()
    local file = "return { set = { s = 'file' }, from = 'file.ndjson', deadline = '1h' }"
    local files = { ['file.ndjson'] = '{"n":"file"}\n', ['env.ndjson'] = '{"n":"env"}\n', ['flag.ndjson'] = '{"n":"flag"}\n' }
    local function n(args, env)
      local words = { 'run', '--quiet', '-e', 'stream' }
      for _, a in ipairs(args) do words[#words + 1] = a end
      local r = run(file, words, { files = files, env = env })
      assert.equal('', r.err)
      return h.decode(r.out).n
    end
    assert.equal('file', n {})
    assert.equal('env', n({}, 'TIDEMILL_FROM=env.ndjson'))
    assert.equal('flag', n({ '--from', 'flag.ndjson' }, 'TIDEMILL_FROM=env.ndjson'))
    assert.equal('flag', n { '--from', 'flag.ndjson' })
  end)

  it('merges set with --set, name by name', function()
    local file = "return { set = { s = 'file', t = 7 } }"
    assert.same({ s = 'file', t = '7' }, shown(file))
    assert.same({ s = 'flag', t = '7' }, shown(file, { '--set', 's=flag' }))
    assert.same({ s = 'env', t = '7' }, shown(file, {}, { env = 'TIDEMILL_SET=s=env' }))
    assert.same({ s = 'a', t = 'b' }, shown(file, { '--set', 's=a', '--set', 't=b' }))
    assert.same({ s = 'true', t = '1.5' }, shown 'return { set = { s = true, t = 1.5 } }')
    assert.same({ s = '-', t = '-' }, shown 'return { set = {}, from = {} }')
  end)

  it('is looked for in the current folder alone, and may be missing', function()
    local dir = h.folder { ['tidemill.lua'] = 'nonsense', ['below/x.lua'] = 'local tm = require "tidemill" return tm.pipeline "x"' }
    local r = h.run({ 'run', '--quiet', 'x.lua' }, '{"n":1}\n', { cwd = dir .. '/below' })
    assert.equal('', r.err)
    assert.equal('{"n":1}\n', r.out)
  end)

  it('leaves what the command has no option for, and checks it all the same', function()
    local r = run("return { strict = true, quiet = true }", { 'check', '-e', 'stream' })
    assert.equal(0, r.code)
    assert.equal("tidemill.lua:1: strict: found 'yes'; expected true or false", refused("return { strict = 'yes' }", 'check'))
    r = run("return { deadline = '2' }", { 'run', '--quiet', '--deadline', '1s', '-e', 'stream' })
    assert.equal(3, r.code)
  end)

  it('is refused with the place, what was found and what was expected', function()
    local cases = {
      { "return {\n  dedline = '2s' }", "tidemill.lua:2: unknown setting 'dedline'; did you mean deadline?" },
      { "return { ['max-rows'] = 3 }", "tidemill.lua:1: unknown setting 'max-rows'; did you mean max_rows?" },
      { "local t = {}\nt.colour = 1\nreturn t", "tidemill.lua:2: unknown setting 'colour'; 'tidemill help settings' lists them" },
      { "-- deadline = 1\nreturn {\n  set = { deadline = 'x' },\n  to = 'deadline = 2',\n  deadline = 2000 }",
        "tidemill.lua:5: deadline: '2000' has no unit: write '2000ms' or '2000s'" },
      { "--[[ \n deadline = '1s' ]]\nreturn { deadline = '2h' }",
        "tidemill.lua:3: deadline: '2h' is out of range: at least 10ms, at most 1h" },
      { "return { max_rows = 1.5 }", "tidemill.lua:1: max_rows: '1.5' is no count: write digits alone, as in '100000'" },
      { "return { max_rows = {} }", "tidemill.lua:1: max_rows: found an empty table; expected a number, such as 100000" },
      { "return { script_memory = true }", "tidemill.lua:1: script_memory: found true; expected a string such as '64K', '16M' or '1G'" },
      { "return { to = { 'a' } }", "tidemill.lua:1: to: found 'a' in a list; expected a string" },
      { "return { to = '' }", "tidemill.lua:1: to: an empty value; expected FILE" },
      { "return { from = { 'a', 2 } }", "tidemill.lua:1: from: found 2 in a list; expected a string, or a list of strings" },
      { "return { from = { x = 'a' } }", "tidemill.lua:1: from: found x = 'a'; expected a string, or a list of strings" },
      { "return { set = 'a=b' }", "tidemill.lua:1: set: found 'a=b'; expected a table of names and values, such as { threshold = '100' }" },
      { "return { set = { a = function() end } }",
        "tidemill.lua:1: set: found a = a function; expected a table of names and values, such as { threshold = '100' }" },
      { "return { deadline = '2s\\0' }",
        "tidemill.lua:1: deadline: found a string with a zero byte in it; expected a string such as '250ms', '1s' or '1m30s'" },
      { "return { format = 'jsno' }", "tidemill.lua:1: format: no format is called 'jsno'; did you mean json?" },
      { "return { listen = 'd' }", "tidemill.lua:1: listen is not available in this version" },
      { "return { 'strict' }", "tidemill.lua: every setting has a name, as in: return { deadline = '2s' }" },
      { "return", "tidemill.lua: must return a table of settings, as in: return { deadline = '2s' }; it returns nothing" },
      { "return 5", "tidemill.lua: must return a table of settings, as in: return { deadline = '2s' }; it returns number" },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], refused(case[1])) end
  end)

  it('tells a syntax error with its line', function()
    assert.truthy(refused("return {\n  deadline = ,\n}"):find("^tidemill%.lua:2: unexpected symbol near ','"))
  end)

  it('cannot call, reach or keep anything', function()
    local function starts(text, settings) assert.equal(text, refused(settings):sub(1, #text)) end
    for _, name in ipairs { 'require', 'print', 'os.exit', 'io.open', 'load', 'setmetatable', 'pcall', 'error', 'getmetatable' } do
      starts('tidemill.lua:1: attempt to ' .. (name:find('.', 1, true) and 'index' or 'call') .. " global '" ..
        name:match '^%w+' .. "' (a nil value)", 'return ' .. name .. '("x")')
    end
    starts('tidemill.lua:1: attempt to index a string value', "return { deadline = ('2s'):rep(2) }")
    starts('tidemill.lua:1: deadline: found a cdata', 'return { deadline = 1LL }')
    starts('tidemill.lua:1: precompiled Lua', '\27LJ\2')
    starts('tidemill.lua:1: attempt to call global', 'return _G()')
  end)

  it('is stopped: endless loops, memory, recursion, slow instructions', function()
    local function stopped(text, settings)
      local r = run(settings, { 'run', '--quiet', '-e', 'stream' })
      assert.equal(3, r.code)
      assert.equal('', r.out)
      assert.equal('tidemill: error: tidemill.lua' .. text .. '\n', r.err)
    end
    stopped(':2: still at work after 1000000 instructions: an endless loop?', 'local n = 0\nwhile true do n = n + 1 end')
    stopped(':1: still at work after 1000000 instructions: an endless loop?', 'goto a ::a:: goto a')
    stopped(': takes more than 4 MiB of memory', "local s = 'x' while true do s = s .. s end")
    stopped(': takes more than 4 MiB of memory', 'local t = {} for i = 1, 1e9 do t[i] = {} end return t')
    stopped(': stack overflow', 'local function f() return 1 + f() end return f()')
    stopped(': still at work after 1 s: a loop over long texts?',
      "local s, n = 'x', 0 for _ = 1, 17 do s = s .. s end while true do local z = s .. n n = n + 1 end")
  end)

  it('that cannot be read is an error', function()
    local dir = h.folder { ['tidemill.lua/x'] = '' }
    local r = h.run({ 'run', '--quiet', '-e', 'stream' }, '', { cwd = dir })
    assert.equal('tidemill: error: tidemill.lua: cannot read the settings: Is a directory\n', r.err)
    assert.equal(3, r.code)
    dir = h.folder()
    h.shell('cd ' .. h.quote(dir) .. ' && ln -s tidemill.lua tidemill.lua')
    r = h.run({ 'run', '--quiet', '-e', 'stream' }, '', { cwd = dir })
    assert.equal('tidemill: error: tidemill.lua: cannot read the settings: Too many levels of symbolic links\n', r.err)
    assert.equal(3, r.code)
    dir = h.folder { ['tidemill.lua'] = ('-'):rep(1024 * 1024 + 1) }
    r = h.run({ 'run', '--quiet', '-e', 'stream' }, '', { cwd = dir })
    assert.equal('tidemill: error: tidemill.lua: cannot read the settings: File too large\n', r.err)
  end)

  it('is explained by help settings, every option of it', function()
    local page = h.run { 'help', 'settings' }
    assert.equal(0, page.code)
    for _, line in ipairs(h.lines(page.out)) do assert.is_true(#line <= 80, line) end
    for _, command in ipairs { 'run', 'check' } do
      for option in h.run({ 'help', command }).out:gmatch '\n  %-%-([%w-]+)' do
        assert.truthy(page.out:find('\n  ' .. option:gsub('-', '_') .. ' = ', 1, true), option)
      end
    end
    assert.truthy(h.run({ 'help', 'setings' }).err:find("did you mean 'help settings'?", 1, true))
  end)
end)
