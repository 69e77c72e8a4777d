--[[
list_spec.lua - `list`, `help NAME` and the catalog they print: it has what exists and nothing else, and what it shows as an
example does what it says. The rows of examples are written in the catalog by hand, from api.md.
]]

local h = require 'spec.helper'

local function json(...)
  local r = h.run { ... }
  assert.equal(0, r.code, r.err)
  return h.decode(r.out)
end

--- The names a part of the library has, from what it says of a name it has not.
local function names_of(code, message)
  local r = h.run { 'check', '-e', code }
  assert.equal(3, r.code)
  local list = r.err:match(message .. '; it has ([^\n]*)')
  assert(list, r.err)
  local names = {}
  for name in list:gmatch '[^, ]+' do names[#names + 1] = name end
  return names
end

describe('the catalog', function()
  local entries = json('list', '--json')
  local by_name = {}
  for _, e in ipairs(entries) do by_name[e.name] = e end

  it('has every operator that streams have, and no other', function()
    local n = 0
    for _, name in ipairs(names_of('stream:qqqqqqqq()', "no operator 'qqqqqqqq'")) do
      assert.truthy(by_name[name] and by_name[name].kind == 'operator', name)
      n = n + 1
    end
    assert.equal(#json('list', 'operators', '--json'), n)
  end)

  it('has everything below tm, and nothing else', function()
    local n = 0
    local function visit(path)
      for _, name in ipairs(names_of(path .. '.qqqqqqqq', path:gsub('%.', '%%.') .. " has no 'qqqqqqqq'")) do
        local whole = path .. '.' .. name
        local below = false
        for other in pairs(by_name) do below = below or other:sub(1, #whole + 1) == whole .. '.' end
        if below then
          visit(whole)
        else
          assert.truthy(by_name[whole], whole .. ' exists and is not in the catalog')
          n = n + 1
        end
      end
    end
    visit 'tm'
    local listed = 0
    for name in pairs(by_name) do if name:find '^tm%.' then listed = listed + 1 end end
    assert.equal(listed, n)
  end)

  it('tells of each a signature, a line, a cost, whether it keeps state, and an example', function()
    local seen = {}
    for _, e in ipairs(entries) do
      assert.is_nil(seen[e.name], e.name)
      seen[e.name] = true
      for _, member in ipairs { 'signature', 'about', 'example', 'kind' } do
        assert.equal('string', type(e[member]), e.name .. ' ' .. member)
      end
      assert.equal('number', type(e.cost_ns), e.name)
      assert.equal('boolean', type(e.state), e.name)
      assert.truthy(e.signature:find(e.name, 1, true), e.name .. ': ' .. e.signature)
      assert.truthy(e.about:find '%.', e.name)
      for _, o in ipairs(e.options) do assert.truthy(o.name and o.type and o.about, e.name) end
    end
    assert.is_true(#entries > 20)
  end)

  -- what stands in front of the options of an operator
  local before = {
    key_by = "key_by('card', ", running = "running('r', { n = tm.agg.count() }, ", process = "process('p', ", event_time = 'event_time(',
    join = "join('j', stream, ", window_join = "window_join('j', stream, tm.window.tumbling '1m', ",
    dedup = "dedup('d', ", top = "top('t', 3, 'v', ", sample = 'sample(', throttle = "throttle('t', ", suppress = "suppress('s', ",
    over = "event_time { field = 'ts' }:over('o', { n = tm.agg.count { over = '1m' } }, ",
    window = "event_time { field = 'ts' }:window('w', tm.window.tumbling '1m', ",
    emit = "event_time { field = 'ts' }:window('w', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }:emit(",
    apply = "window('w', tm.window.global()):apply(function() end, ",
    match = "event_time { field = 'ts' }:match(tm.pattern 'p':start('a'):within '1s', ",
  }

  before.pack = "pack('scripts/packs/limits', "
  before.lookup = "lookup(tm.table('t', { key = 'k', from = stream, max_keys = 1 }), "

  local before_options = {
    ['tm.agg.count'] = '{ %s = tm.null }', ['tm.agg.custom'] = '{ %s = tm.null }', ['tm.agg.top'] = "(3, 'v', { %s = tm.null })",
    ['tm.agg.quantile'] = "('v', 0.5, { %s = tm.null })",
  }

  it('has options that are taken, and an unknown one is refused with what was meant', function()
    for _, e in ipairs(entries) do
      for _, o in ipairs(e.options) do
        -- a value of no type: an option that exists is refused for its value, not for its name
        local call = ('%s { %s = tm.null }'):format(e.name, o.name)
        if e.name == 'tm.window.tumbling' then call = ("tm.window.tumbling('1m', { %s = tm.null })"):format(o.name) end
        if e.name == 'tm.window.count' then call = ("tm.window.count(3, { %s = tm.null })"):format(o.name) end
        if e.name == 'tm.window.hopping' then call = ("tm.window.hopping('2m', '1m', { %s = tm.null })"):format(o.name) end
        if e.name == 'tm.table' then call = ("tm.table('t', { %s = tm.null })"):format(o.name) end
        if before[e.name] then call = ('stream:%s{ %s = tm.null })'):format(before[e.name], o.name) end
        if e.name:find '^tm%.kv%.' then
          call = ("%s(%s, { %s = tm.null })"):format(e.name, e.name == 'tm.kv.parse' and "''" or '{}', o.name)
        end
        if e.name == 'tm.source.generate' then call = ('tm.source.generate(function() end, { %s = tm.null })'):format(o.name) end
        if e.kind == 'aggregate' then call = e.name .. (before_options[e.name] or "('v', { %s = tm.null })"):format(o.name) end
        if e.name:find '^tm%.f%.' and e.signature:find("('field'", 1, true) then
          call = ("%s('v', %s{ %s = tm.null })"):format(e.name, e.name == 'tm.f.quantile' and '0.5, ' or '', o.name)
        end
        local r = h.run { 'check', '-e', call }
        assert.is_nil(r.err:find('has no option', 1, true), r.err)
        r = h.run { 'check', '-e', (call:gsub(o.name .. ' =', o.name .. 'x =')) }
        assert.truthy(r.err:find(("has no option '%sx' (did you mean '%s'?)"):format(o.name, o.name), 1, true), r.err)
      end
    end
  end)

  for _, e in ipairs(entries) do
    it(e.name .. ': the example does what it shows', function()
      local page = h.run { 'help', e.name }
      assert.equal(0, page.code)
      local input, output, file = '', '', page.out:match 'where (%S+) holds'
      local example = page.out:sub((page.out:find '\nExample'))
      for line in example:gmatch '\n  < ([^\n]*)' do input = input .. line .. '\n' end
      for line in example:gmatch '\n  > ([^\n]*)' do output = output .. line .. '\n' end
      local dir = h.folder(file and { [file] = input } or {})
      if e.name == 'pack' then assert.equal(0, h.run({ 'new', 'pack', 'limits' }, nil, { cwd = dir }).code) end
      local check = h.run({ 'check', '-e', e.example }, nil, { cwd = dir })
      assert.equal(0, check.code, check.err)
      assert.equal('', check.err)
      local args, text = { 'run', '--quiet', '-e', e.example }, file and '' or input
      if e.name:find '%.log$' and e.kind ~= 'function' then
        args[5], args[6] = '--logs', dir .. '/data'
        if e.kind == 'source' then   -- what it reads is written first
          assert.equal(0, h.run({ 'run', '-e', "stream:to(tm.sink.log 'payments')", args[5], args[6] }, input).code)
          text = ''
        end
      end
      local r = h.run(args, text, { cwd = dir })
      assert.equal(0, r.code, r.err)
      assert.equal(output, r.out)
    end)
  end
end)

describe('list', function()
  it('prints all kinds, or one of them', function()
    local r = h.run { 'list' }
    assert.equal(0, r.code)
    for _, kind in ipairs { 'operators', 'aggregates', 'sources', 'sinks', 'functions' } do
      assert.truthy(('\n' .. r.out):find('\n' .. kind, 1, true), kind)
      assert.equal(0, h.run({ 'list', kind }).code)
    end
    local sinks = h.run({ 'list', 'sinks' }).out
    assert.truthy(sinks:find('\n  tm.sink.file ', 1, true))
    assert.is_nil(sinks:find('tm.source', 1, true))
    for _, line in ipairs(h.lines(r.out)) do assert.is_true(#line <= 84, line) end
  end)

  it('refuses what it does not know', function()
    local r = h.run { 'list', 'snks' }
    assert.equal(2, r.code)
    assert.equal('', r.out)
    assert.truthy(r.err:find("there is no list of 'snks' (did you mean 'sinks'?)", 1, true), r.err)
    assert.equal(2, h.run({ 'list', 'sinks', 'sources' }).code)
    assert.equal(2, h.run({ 'list', '--jsn' }).code)
    assert.equal(0, h.run({ 'list', '--help' }).code)
  end)

  it('gives JSON that jq reads', function()
    local r = h.shell(h.command { 'list', 'sources', '--json' } .. " | jq -r '.[].name'")
    assert.equal('tm.source.file\ntm.source.stdin\ntm.source.every\ntm.source.generate\ntm.source.log\n', r.out)
    r = h.shell(h.command { 'list', 'aggregates', '--json' } .. " | jq -r '.[] | select(.state) | .name' | wc -l")
    assert.equal('19\n', r.out)
  end)
end)

describe('help', function()
  it('finds a thing by its name, by a part of it, and as it is called', function()
    for _, name in ipairs { 'filter', ':filter', 'stream:filter' } do
      assert.truthy(h.run({ 'help', name }).out:find('^:filter%(function%(e%)'), name)
    end
    for _, name in ipairs { 'tm.sink.file', 'sink.file' } do
      assert.truthy(h.run({ 'help', name }).out:find('^tm%.sink%.file'), name)
    end
    local both = h.run({ 'help', 'file' }).out
    assert.truthy(both:find('tm.source.file(', 1, true))
    assert.truthy(both:find('tm.sink.file(', 1, true))
    assert.equal('tm.sink.file', json('help', 'sink.file', '--json').name)
    assert.equal(2, #json('help', 'file', '--json'))
  end)

  it('says what was meant', function()
    for wrong, meant in pairs {
      fliter = 'help filter', ['tm.snk.file'] = 'help tm.sink.file', chek = 'help check', setings = 'help settings',
    } do
      local r = h.run { 'help', wrong }
      assert.equal(2, r.code)
      assert.equal('', r.out)
      assert.truthy(r.err:find(("nothing is called '%s'; did you mean '%s'?"):format(wrong, meant), 1, true), r.err)
    end
    assert.truthy(h.run({ 'help', 'qqqqqqqqqq' }).err:find("'tidemill list' tell", 1, true))
    assert.truthy(h.run({ 'help', 'completion' }).err:find('the command completion is not available in this version', 1, true))
    assert.equal(2, h.run({ 'help', '--json' }).code)
    assert.equal(2, h.run({ 'help', 'filter', 'map' }).code)
    -- what came from outside cannot steer the terminal
    assert.is_nil(h.run({ 'help', 'a\27[2Jb' }).err:find '\27')
  end)

  it('still tells of every command', function()
    for _, name in ipairs { 'run', 'check', 'graph', 'list', 'help', 'version' } do
      assert.truthy(h.run({ 'help', name }).out:find('^Usage: tidemill ' .. name), name)
      assert.equal(h.run({ 'help', name }).out, h.run({ name, '--help' }).out)
    end
    -- what shares its last part with a command goes by a longer name
    assert.truthy(h.run({ 'help', 'state.list' }).out:find('^tm%.state%.list'))
  end)
end)
