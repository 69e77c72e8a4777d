--[[ The order of rows: several pipelines that write one place do so event by event, as if each event had gone through
all of them before the next was read - whatever pieces the input comes in, whoever reads the output how slowly. The
model below does just that: one event at a time, the pipelines in the order in which the script declares them. ]]

local h = require 'spec.helper'
local r = require 'spec.running'

local script = [[
local tm = require 'tidemill'
local all = tm.sink.file(tm.setting 'all')
local first = tm.pipeline 'first':filter(function(e) return e.i % 3 ~= 0 end)
local lines = tm.pipeline 'lines':flat_map(function(e, emit) for j = 1, e.n do emit { i = e.i, j = j, t = ('x'):rep(e.w) } end end)
local odd = tm.pipeline 'odd':from(lines):filter(function(e) return e.j % 2 == 1 end)
  :map(function(e) if e.i % 10 == 7 then error 'seven' end return { odd = e.i, j = e.j } end):on_error(all)
local both = tm.pipeline 'both':from(tm.union(first, lines)):map(function(e) return { both = e.i, j = e.j } end)
local last = tm.pipeline 'last':from(odd):map(function(e) return { last = e.odd * 1000 + e.j } end)
return { first:to(all), odd:to(all), both:to(all):to(tm.sink.stdout()), last:to(all), lines:to(tm.sink.stdout()),
  tm.pipeline 'end':map(function(e) return { stop = e.i } end):to(all):to(tm.sink.stdout()) }
]]

-- how many rows an event makes and how wide they are: few, many, more than a batch, more than a buffer
local shapes = { { 0, 0 }, { 1, 0 }, { 3, 5 }, { 2, 0 }, { 1500, 0 }, { 40, 3000 }, { 0, 0 }, { 5, 100000 }, { 7, 40 } }

local function model(count, letters)
  local input, all, out = {}, {}, {}
  for i = 1, count do
    local shape = shapes[(i * 7 + math.floor(i / 11)) % #shapes + 1]
    local n, w = shape[1], shape[2]
    if i % 50 ~= 0 and n > 100 then n = 4 end
    if i % 20 ~= 0 and w > 1000 then w = 1 end
    local line = ('{"i":%d,"n":%d,"w":%d}'):format(i, n, w)
    local pad = ('x'):rep(w)
    input[#input + 1] = line .. '\n'
    if i % 3 ~= 0 then all[#all + 1] = line .. '\n' end
    for j = 1, n do out[#out + 1] = ('{"i":%d,"j":%d,"t":"%s"}\n'):format(i, j, pad) end
    for j = 1, n, 2 do
      all[#all + 1] = i % 10 == 7 and letters(i, j, pad) or ('{"j":%d,"odd":%d}\n'):format(j, i)
    end
    local both = {}
    if i % 3 ~= 0 then both[1] = ('{"both":%d}\n'):format(i) end
    for j = 1, n do both[#both + 1] = ('{"both":%d,"j":%d}\n'):format(i, j) end
    both = table.concat(both)
    all[#all + 1] = both
    out[#out + 1] = both
    if i % 10 ~= 7 then
      for j = 1, n, 2 do all[#all + 1] = ('{"last":%d}\n'):format(i * 1000 + j) end
    end
    all[#all + 1] = ('{"stop":%d}\n'):format(i)
    out[#out + 1] = ('{"stop":%d}\n'):format(i)
  end
  return table.concat(input), table.concat(all), table.concat(out)
end

local function letter_of(source, path)
  return function(i, j, pad)
    return ('{"at":"%s:6","code":"lua","event":{"i":%d,"j":%d,"t":"%s"},"pipeline":"odd","position":"%s:%d",' ..
      '"reason":"seven","step":"map#2"}\n')
      :format(path, i, j, pad, source, i)
  end
end

local function same(want, got, what)
  if want == got then return end
  local at = 1
  while want:byte(at) == got:byte(at) do at = at + 1 end
  error(('%s: %d bytes, not %d; from byte %d: %q, not %q'):format(what, #got, #want, at, got:sub(at, at + 60), want:sub(at, at + 60)))
end

describe('rows of several pipelines for one sink', function()
  after_each(r.stop_all)
  local path = h.write(script, h.path 'script.lua')

  it('come event by event from a file', function()
    local file = h.path 'input'
    local input, all, out = model(1500, letter_of(file, path))
    h.write(input, file)
    local to = h.path 'all'
    local got = h.run { 'run', '--quiet', path, '--from', file, '--set', 'all=' .. to }
    assert.equal(0, got.code)
    same(all, h.read(to), 'file')
    same(out, got.out, 'stdout')
  end)

  it('are byte for byte the same for any pieces and any reader', function()
    local input, all, out = model(1000, letter_of('stdin', path))
    local file = h.write(input)
    for seed = 1, 4 do
      local to = h.path 'all'
      local got = h.shell(('python3 tests/spec/tools/pieces.py %d %d <%s | %s | python3 tests/spec/tools/pieces.py %d')
        :format(seed, seed == 1 and 7 or 100000, file, h.command { 'run', '--quiet', path, '--set', 'all=' .. to }, seed))
      same(all, h.read(to), 'file, seed ' .. seed)
      same(out, got.out, 'stdout, seed ' .. seed)
    end
  end)

  it('are the same for one event at a time', function()
    local input, all, out = model(120, letter_of('stdin', path))
    local to, from, stdout = h.path 'all', r.fifo(), h.path 'stdout'
    local p = r.start({ 'run', '--quiet', path, '--set', 'all=' .. to }, { stdin = from, stdout = stdout })
    local f = assert(io.open(from, 'wb'))
    f:setvbuf 'no'
    for i, line in ipairs(h.lines(input)) do
      f:write(line, '\n')
      r.wait_until('event ' .. i, function()
        local tail = ('{"stop":%d}\n'):format(i)
        local text = h.read(to)
        return text:sub(-#tail) == tail
      end)
    end
    f:close()
    assert.equal(0, p:wait())
    same(all, h.read(to), 'file')
    same(out, h.read(stdout), 'stdout')
  end)
end)

describe('several scripts', function()
  it('run as one, in the order in which they are named', function()
    local dir = h.folder {
      ['a.lua'] = "local tm = require 'tidemill' return tm.pipeline 'a':map(function(e) return { a = e.n } end)",
      ['b.lua'] = "local tm = require 'tidemill' return { tm.pipeline 'b', tm.pipeline 'b2':filter(function(e) return e.n == 2 end) }",
    }
    local got = h.run({ 'run', '--quiet', dir .. '/b.lua', dir .. '/a.lua' }, '{"n":1}\n{"n":2}\n')
    assert.equal('{"n":1}\n{"a":1}\n{"n":2}\n{"n":2}\n{"a":2}\n', got.out)
    assert.equal(0, got.code)
  end)
end)
