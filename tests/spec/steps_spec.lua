--[[
steps_spec.lua - chains of operators: what each does, readers and forks, pipelines that feed pipelines, the unit of
roll-back, and what a script is told when it is wired wrongly.
]]

local h = require 'spec.helper'

local function e(code, ...) return (h.e(code, { ... })) end
local function script(body, input, ...) return h.script("local tm = require 'tidemill'\n" .. body, input or {}, ...) end
--- A script that must be rejected: exit code 3 and this text on stderr.
local function rejected(body, text)
  local r = script(body)
  assert.equal(3, r.code, r.out .. r.err)
  assert.truthy(r.err:find(text, 1, true), r.err)
  assert.equal('', r.out)
end

local NUMBERS = { '{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}' }
local TEXT = table.concat(NUMBERS, '\n') .. '\n'

describe('operators', function()
  it('filter keeps the events for which the function is true', function()
    assert.equal('{"n":2}\n{"n":4}\n', e('stream:filter(function(e) return e.n % 2 == 0 end)', unpack(NUMBERS)))
    assert.equal('{"n":0}\n', e('stream:filter(function(e) return e.n end)', '{"n":0}', '{"n":false}', '{"n":null}', '{}'))
  end)

  it('map returns the event, a table, or nil to drop it', function()
    assert.equal('{"n":2}\n{"m":9}\n',
      e('stream:map(function(e) if e.n == 1 then e.n = 2 return e end if e.n == 2 then return { m = 9 } end end)', unpack(NUMBERS)))
  end)

  it('map returning anything else fails the event', function()
    for value, found in pairs { ['5'] = 'a number', ['"x"'] = 'a string', ['true'] = 'a boolean', ['tm.null'] = 'null' } do
      local _, r = h.e('stream:map(function(e) return ' .. value .. ' end)', { '{}' })
      assert.equal('', r.out)
      if value == 'true' or value == '5' or value == '"x"' or value == 'tm.null' then
        assert.truthy(r.err:find('map must return the event, a table or nil, got', 1, true), value .. found .. r.err)
      end
    end
    local _, r = h.e('stream:map(function(e) return { 1, 2 } end)', { '{}' })
    assert.truthy(r.err:find("an event's keys must be strings", 1, true))
  end)

  it('map may return a nested object: it becomes the event, bytes untouched', function()
    assert.equal('{"z":1.0,"a":"\\u0041"}\n', e('stream:map(function(e) return e.o end)', '{"o":{ "z" : 1.0, "a":"\\u0041"}}'))
  end)

  it('flat_map makes a row of each table given to emit', function()
    assert.equal('{"id":7,"sku":"a"}\n{"id":7,"sku":"b"}\n',
      e('stream:flat_map(function(e, emit) for _, item in ipairs(e.items) do emit { sku = item.sku, id = e.id } end end)',
        '{"id":7,"items":[{"sku":"a"},{"sku":"b"}]}', '{"id":8,"items":[]}'))
  end)

  it('a table given to emit or returned is taken at once and may be reused', function()
    assert.equal('{"i":1,"l":[1]}\n{"i":2,"l":[1,2]}\n',
      e('local t = { l = {} } return stream:flat_map(function(e, emit) t.l = {} for i = 1, 2 do t.i = i t.l[i] = i emit(t) end t.i \z
        = 99 end)', '{}'))
    assert.equal('{"n":1}\n{"n":2}\n',
      e('local t = {} return stream:map(function(e) t.n = e.n return t end):filter(function(e) return e.n < 3 end)', unpack(NUMBERS)))
  end)

  it('emit takes the event itself, as it is at that moment', function()
    assert.equal('{"n":1.0,"b":"\\u0041"}\n{"n":5,"b":"\\u0041"}\n',
      e('stream:flat_map(function(e, emit) emit(e) e.n = 5 emit(e) e.n = 6 end)', '{"n":1.0,"b":"\\u0041"}'))
    assert.equal('{"l":[1],"o":{"l":[2]}}\n{"l":[3],"o":{"l":[2]}}\n',
      e('stream:flat_map(function(e, emit) emit(e) e.l[1] = 3 emit(e) end)', '{"l":[1],"o":{"l":[2]}}'))
  end)

  it('emit after its function has returned fails the event', function()
    local _, r = h.e('local k return stream:flat_map(function(e, emit) k = emit end):map(function(e) return e end)', { '{}' })
    assert.equal('', r.err)
    _, r = h.e('local k return stream:filter(function(e) if k then k(e) end return true end):flat_map(function(e, emit) k = emit \z
      emit(e) end)', { '{"a":1}', '{"a":2}' })
    assert.equal('{"a":1}\n', r.out)
    assert.truthy(r.err:find('emit was called after its function had returned', 1, true))
  end)

  it('flat_map within flat_map', function()
    assert.equal('{"n":1}\n{"n":2}\n{"n":2}\n{"n":4}\n',
      e('local function two(e, emit) emit { n = e.n } emit { n = e.n * 2 } end return stream:flat_map(two):flat_map(two)', '{"n":1}'))
  end)

  it('select keeps the fields in the order given and leaves absent ones out', function()
    assert.equal('{"c":null,"a":1}\n{}\n', e("stream:select { 'c', 'x', 'a' }", '{"a":1,"b":2,"c":null}', '{"b":2}'))
    assert.equal('{"b":1}\n', e("stream:select { 'a', 'b' }:select { 'b' }", '{"a":0,"b":1,"c":2}'))
    assert.equal('{"b":{"x":1,"y":2},"a":0,"d":5}\n', e("stream:select { 'b', 'a' }:map(function(e) e.d = 5 e.b.y = 2 return e end)",
      '{"a":0,"b":{"x":1},"c":2}'))
    assert.equal('{"b":1,"a":0,"d":5}\n', e("stream:select { 'b', 'a' }:map(function(e) e.d = 5 e.c = nil return e end)",
      '{"a":0,"b":1,"c":2}'))
  end)

  it('drop removes fields', function()
    assert.equal('{"b":2}\n{}\n', e("stream:drop { 'a', 'c' }", '{"a":1,"b":2,"c":3}', '{"a":1}'))
  end)

  it('rename reads the event as it was before the step', function()
    assert.equal('{"a":2,"b":1}\n', (e("stream:rename { a = 'b', b = 'a' }:select { 'a', 'b' }", '{"a":1,"b":2}')))
    assert.equal('{"b":1,"c":2}\n', (e("stream:rename { a = 'b', b = 'c' }:select { 'b', 'c' }", '{"a":1,"b":2,"c":3}')))
    assert.equal('{"b":2}\n', e("stream:rename { a = 'b' }", '{"b":2}'))
  end)

  it('set reads the event as it was before the step', function()
    assert.equal('{"a":2,"b":1,"c":3,"k":"x"}\n',
      e("stream:set { a = function(e) return e.b end, b = function(e) return e.a end, c = function(e) return e.a + e.b end, k = 'x' }",
      '{"a":1,"b":2}'))
    assert.equal('{"a":5,"z":{"x":1}}\n', e("stream:set { a = function() return 5 end, z = function(e) return e.a end \z
      }", '{"a":{"x":1}}'))
    assert.equal('{"b":2}\n', e("stream:set { a = function() return nil end }", '{"a":1,"b":2}'))
  end)

  it('to writes the stream, may be repeated, and goes on', function()
    local one, two = h.path 'one', h.path 'two'
    local r = script(("return tm.pipeline 'p':to(tm.sink.file '%s'):map(function(e) return { m = e.n * 2 } end):to(tm.sink.file \z
      '%s'):to(tm.sink.stdout())"):format(one, two), NUMBERS)
    assert.equal(0, r.code, r.err)
    assert.equal(TEXT, h.read(one))
    assert.equal('{"m":2}\n{"m":4}\n{"m":6}\n{"m":8}\n', h.read(two))
    assert.equal(h.read(two), r.out)
  end)

  it('without :from a pipeline reads the default input, without :to it writes the default output', function()
    local from, to = h.write(TEXT), h.path 'to'
    assert.equal(TEXT, script("return tm.pipeline 'p'", nil, '--from', from).out)
    script("return tm.pipeline 'p'", NUMBERS, '--to', to)
    assert.equal(TEXT, h.read(to))
    assert.equal(TEXT, script(("return tm.pipeline 'p':from(tm.source.file '%s')"):format(from)).out)
  end)
end)

describe('streams', function()
  it('each call returns a new stream and leaves the old one as it was: two readers', function()
    local r = script([[
      local s = tm.pipeline 'p':map(function(e) e.m = e.n return e end)
      local a, b = s:filter(function(e) return e.m == 1 end), s:filter(function(e) return e.m > 2 end)
      return { a:set { w = 'a' }, b:set { w = 'b' } }]], NUMBERS)
    assert.equal('{"n":1,"m":1,"w":"a"}\n{"n":3,"m":3,"w":"b"}\n{"n":4,"m":4,"w":"b"}\n', r.out)
  end)

  it('several readers each see the event as it was at the fork (copy on write)', function()
    local r = script([[
      local s = tm.pipeline 'p':map(function(e) e.a = 1 return e end)
      return {
        s:map(function(e) e.a, e.n, e.l[1], e.o.x = 2, nil, 9, 8 return e end),
        s:map(function(e) return { l = e.l, n = e.n, o = e.o, a = e.a } end),
        s:rename { a = 'b' }:drop { 'l' },
        s,
      }]], { '{"n":1,"l":[1],"o":{"x":0}}' })
    local want = { '{"l":[9],"o":{"x":8},"a":2}', '{"a":1,"l":[1],"n":1,"o":{"x":0}}', '{"n":1,"o":{"x":0},"b":1}',
      '{"n":1,"l":[1],"o":{"x":0},"a":1}' }
    assert.same(want, h.lines(r.out))
  end)

  it('a fork behind select keeps the order selected', function()
    local r = script([[
      local s = tm.pipeline 'p':select { 'c', 'a', 'b' }
      return { s:select { 'b', 'a' }:map(function(e) return e end), s:map(function(e) e.z = 1 return e end)
        }]], { '{"a":1,"b":2,"c":3}' })
    assert.same({ '{"b":2,"a":1}', '{"c":3,"a":1,"b":2,"z":1}' }, h.lines(r.out))
  end)

  it('branch: to every branch whose function is true, to rest if none was', function()
    local r = script([[
      local out = tm.pipeline 'p':branch { big = function(e) return e.n > 2 end, odd = function(e) return e.n % 2 == 1 end, rest = true }
      return { out.big:set { w = 'big' }, out.odd:set { w = 'odd' }, out.rest:set { w = 'rest' } }]], NUMBERS)
    assert.same({ '{"n":1,"w":"odd"}', '{"n":2,"w":"rest"}', '{"n":3,"w":"big"}', '{"n":3,"w":"odd"}', '{"n":4,"w":"big"}' },
      h.lines(r.out))
  end)

  it('route: to the first whose function is true', function()
    local r = script([[
      local out = tm.pipeline 'p':route { { 'big', function(e) return e.n > 2 end }, { 'odd', function(e) return e.n % 2 == 1 end
        }, { 'rest' } }
      return { out.big:set { w = 'big' }, out.odd:set { w = 'odd' }, out.rest:set { w = 'rest' } }]], NUMBERS)
    assert.same({ '{"n":1,"w":"odd"}', '{"n":2,"w":"rest"}', '{"n":3,"w":"big"}', '{"n":4,"w":"big"}' }, h.lines(r.out))
    r = script([[
      local out = tm.pipeline 'p':route { { 'big', function(e) return e.n > 2 end } }
      return out.big]], NUMBERS)
    assert.same({ '{"n":3}', '{"n":4}' }, h.lines(r.out))
  end)

  it('branches each see the event as it was at the fork', function()
    local r = script([[
      local out = tm.pipeline 'p':branch { a = function(e) e.n = 5 e.l[1] = 7 return true end, b = function(e) return e.n == 1 end }
      return { out.a:map(function(e) e.l[2] = 1 e.a = 1 return e end), out.b }]], { '{"n":1,"l":[0]}' })
    assert.same({ '{"n":1,"l":[0,1],"a":1}', '{"n":1,"l":[0]}' }, h.lines(r.out))
  end)

  it('tm.union is the rows of several streams as one, event by event', function()
    local r = script([[
      local p = tm.pipeline 'p'
      local a, b = p:filter(function(e) return e.n ~= 2 end), p:map(function(e) return { n = -e.n } end)
      return tm.union(a, b):map(function(e) e.u = true return e end)]], NUMBERS)
    assert.same({ '{"n":1,"u":true}', '{"n":-1,"u":true}', '{"n":-2,"u":true}', '{"n":3,"u":true}', '{"n":-3,"u":true}',
      '{"n":4,"u":true}', '{"n":-4,"u":true}' }, h.lines(r.out))
  end)

  it('a script returns a stream or a list of streams; what they reach is part of it', function()
    local path = h.path 'side'
    local r = script(([[
      local a = tm.pipeline 'a':to(tm.sink.file '%s')
      return tm.pipeline 'b':from(a):map(function(e) e.b = 1 return e end)]]):format(path), { '{"n":1}' })
    assert.equal('{"n":1,"b":1}\n', r.out)
    assert.equal('{"n":1}\n', h.read(path))
  end)

  it('several scripts run beside each other', function()
    local one = h.write("return require 'tidemill'.pipeline 'one':map(function(e) return { one = e.n } end)", h.path 'one.lua')
    local two = h.write("return require 'tidemill'.pipeline 'two':map(function(e) return { two = e.n } end)", h.path 'two.lua')
    local r = h.run({ 'run', '--quiet', one, two }, TEXT)
    assert.equal(0, r.code, r.err)
    assert.same({ '{"one":1}', '{"two":1}', '{"one":2}', '{"two":2}', '{"one":3}', '{"two":3}', '{"one":4}', '{"two":4}' }, h.lines(r.out))
  end)
end)

describe('a row made in Lua behind a fork', function()
  it('keeps what was written before the fork, whatever the first branch writes', function()
    local r = script([[
      local s = tm.pipeline 'p':map(function(e) return { c = 1, n = 2 } end)
      return { s:map(function(e) e.l, e.a = 5, 6 return e end), s:map(function(e) e.z = 1 return e end), s }]], { '{"l":"x"}' })
    assert.same({ '{"a":6,"c":1,"l":5,"n":2}', '{"c":1,"n":2,"z":1}', '{"c":1,"n":2}' }, h.lines(r.out))
  end)
end)

describe('pipelines feeding pipelines', function()
  it("tm.pipeline 'b':from(stream) reads the rows of a", function()
    local r = script([[
      local a = tm.pipeline 'a':filter(function(e) return e.n > 1 end):set { a = true }
      local b = tm.pipeline 'b':from(a):map(function(e) e.b = e.n return e end)
      local c = tm.pipeline 'c':from(b):flat_map(function(e, emit) emit(e) emit { c = e.b } end)
      return c]], NUMBERS)
    assert.same({ '{"n":2,"a":true,"b":2}', '{"c":2}', '{"n":3,"a":true,"b":3}', '{"c":3}', '{"n":4,"a":true,"b":4}', '{"c":4}' },
      h.lines(r.out))
  end)

  it('a failure in b does not undo a', function()
    local a_out, dead = h.path 'a', h.path 'dead'
    local r = script(([[
      local a = tm.pipeline 'a':to(tm.sink.file '%s')
      return tm.pipeline 'b':from(a):map(function(e) if e.n == 2 then error 'no' end return e end):on_error(tm.sink.file
        '%s')]]):format(a_out, dead), NUMBERS)
    assert.equal(TEXT, h.read(a_out))
    assert.equal('{"n":1}\n{"n":3}\n{"n":4}\n', r.out)
    local letters = h.rows(h.read(dead))
    assert.equal(1, #letters)
    assert.equal('b', letters[1].pipeline)
    assert.same({ n = 2 }, letters[1].event)
  end)

  it('a failure in a gives b nothing', function()
    local r = script([[
      local a = tm.pipeline 'a':map(function(e) if e.n == 2 then error 'no' end return e end)
      return tm.pipeline 'b':from(a)]], NUMBERS)
    assert.equal('{"n":1}\n{"n":3}\n{"n":4}\n', r.out)
  end)
end)

describe('the unit of roll-back', function()
  it('an error in one branch takes back the event\'s rows in all branches and sinks', function()
    local one, two, dead = h.path 'one', h.path 'two', h.path 'dead'
    local r = script(([[
      local s = tm.pipeline 'p'
      local out = s:branch { a = function() return true end, b = function(e) return true end }
      return { out.a:to(tm.sink.file '%s'), out.b:flat_map(function(e, emit) emit(e) emit(e) end):to(tm.sink.file '%s')
        :map(function(e) if e.n == 3 then error 'no' end return e end), s:on_error(tm.sink.file '%s'):to(tm.sink.discard())
          }]]):format(one, two, dead), NUMBERS)
    assert.equal('{"n":1}\n{"n":2}\n{"n":4}\n', h.read(one))
    assert.equal('{"n":1}\n{"n":1}\n{"n":2}\n{"n":2}\n{"n":4}\n{"n":4}\n', h.read(two))
    assert.equal(h.read(two), r.out)
    assert.equal(1, #h.rows(h.read(dead)))
  end)

  it("encoding included: a NaN at the second sink takes back the first's row", function()
    local one, two = h.path 'one', h.path 'two'
    script(("return tm.pipeline 'p':to(tm.sink.file '%s'):map(function(e) e.x = e.n == 2 and 0/0 or e.n return e \z
      end):to(tm.sink.file '%s')"):format(one, two), NUMBERS)
    assert.equal('{"n":1}\n{"n":3}\n{"n":4}\n', h.read(one))
    assert.equal('{"n":1,"x":1}\n{"n":3,"x":3}\n{"n":4,"x":4}\n', h.read(two))
  end)

  it('what the failing event had written does not reach the next one', function()
    local r = script([[return tm.pipeline 'p':map(function(e) e.x = e.x or 0 e.o.y = 1 e.l[1] = 2 if e.n == 1 then error 'no' end
      return e end)]],
      { '{"n":1,"o":{},"l":[1]}', '{"n":2,"o":{},"l":[1]}' })
    assert.equal('{"n":2,"o":{"y":1},"l":[2],"x":0}\n', r.out)
    r = script([[
      local first = true
      return tm.pipeline 'p':map(function(e) if first then first = false e.x = 1 e.l[1] = 5 error 'no' end return { x = e.x == nil,
        l = e.l } end)]], { '{"l":[1]}', '{"l":[2]}' })
    assert.equal('{"l":[2],"x":true}\n', r.out)
  end)

  it('other pipelines on the same input are not touched', function()
    local r = script([[return { tm.pipeline 'a':map(function(e) if e.n == 2 then error 'no' end return { a = e.n } end),
      tm.pipeline 'b':map(function(e) return { b = e.n } end) }]], NUMBERS)
    assert.same({ '{"a":1}', '{"b":1}', '{"b":2}', '{"a":3}', '{"b":3}', '{"a":4}', '{"b":4}' }, h.lines(r.out))
  end)

  it('a union belongs to the pipeline that reads it', function()
    local dead = h.path 'dead'
    local r = script(([[
      local a, b = tm.pipeline 'a':set { w = 'a' }, tm.pipeline 'b':set { w = 'b' }
      return tm.pipeline 'c':from(tm.union(a, b)):map(function(e) if e.n == 2 and e.w == 'a' then error 'no' end return e end)
        :on_error(tm.sink.file '%s')]]):format(dead), { '{"n":1}', '{"n":2}' })
    assert.same({ '{"n":1,"w":"a"}', '{"n":1,"w":"b"}', '{"n":2,"w":"b"}' }, h.lines(r.out))
    local letters = h.rows(h.read(dead))
    assert.equal(1, #letters)
    assert.equal('c', letters[1].pipeline)
    assert.same({ n = 2, w = 'a' }, letters[1].event)
  end)

  it('on_error holds for the whole pipeline, wherever it stands', function()
    for _, body in ipairs { ":on_error(tm.sink.file '%s'):map(fail)", ":map(fail):on_error(tm.sink.file '%s')" } do
      local dead = h.path 'dead'
      script("local function fail(e) error 'no' end return tm.pipeline 'p'" .. body:format(dead), { '{"n":1}', 'broken' })
      assert.equal(2, #h.rows(h.read(dead)))
    end
  end)

  it('two different on_error are a load error, the same one twice is not', function()
    rejected("local s = tm.pipeline 'p' return { s:on_error(tm.sink.file 'a.bad'):map(print), s:on_error(tm.sink.file \z
      'b.bad'):map(print) }",
      "pipeline 'p' has two different on_error")
    local dead = h.path 'dead'
    local r = script(("local s = tm.pipeline 'p' return { s:on_error(tm.sink.file '%s'):filter(function(e) error 'x' end), \z
      s:on_error(tm.sink.file '%s') }"):format(dead, dead), { '{"n":1}' })
    assert.equal(0, r.code, r.err)
    assert.equal(1, #h.rows(h.read(dead)))
  end)
end)

describe('a script is rejected, with file:line and what to do, when', function()
  it('a stream is neither read nor written', function()
    rejected("local s = tm.pipeline 'p'\nlocal lost = s:filter(function(e) return e.n end)\nreturn s",
      "script.lua:3: the stream made by 'filter' is neither returned by the script nor read by another stream")
    rejected("local lost = tm.pipeline 'lost'\nreturn tm.pipeline 'p'",
      "script.lua:2: pipeline 'lost' is neither returned by the script nor read")
    rejected("local out = tm.pipeline 'p':branch { a = function() end, b = true }\nreturn out.a", "nobody reads or writes the branch 'b'")
  end)
  it('an operator does not exist', function()
    rejected("return tm.pipeline 'p':fliter(function() end)", "a stream has no operator 'fliter' (did you mean 'filter'?)")
    rejected("return tm.pipeline 'p':match('w', 1)", "match takes a pattern first")
    rejected("return tm.pipline 'p'", "tm has no 'pipline' (did you mean 'pipeline'?)")
    rejected("return tm.pipeline 'p':to(tm.sink.flie 'x')", "tm.sink has no 'flie' (did you mean 'file'?)")
  end)
  it('an option does not exist or has the wrong type', function()
    rejected("return tm.pipeline 'p':key_by('a', { mising = 'drop' })", "key_by has no option 'mising' (did you mean 'missing'?)")
    rejected("return tm.pipeline 'p':key_by('a', { missing = 'skip' })", "option 'missing' is one of 'drop', 'keep', got 'skip'")
    rejected("return tm.pipeline 'p':to(tm.sink.file { pth = 'x' })", "tm.sink.file has no option 'pth' (did you mean 'path'?)")
    rejected("return tm.pipeline 'p':to(tm.sink.file { path = 5 })", "option 'path' takes a string")
  end)
  it('two pipelines have one name', function()
    rejected("return {\n tm.pipeline 'p',\n tm.pipeline 'p' }", "script.lua:4: the name 'p' is taken by the pipeline of")
  end)
  it('it returns something else', function()
    rejected("return 5", 'the script must return a stream or a list of streams, got a number')
    rejected("local s = tm.pipeline 'p'", 'the script must return a stream or a list of streams, got nil')
    rejected("return {}", 'the script must return a stream or a list of streams')
    rejected("return { tm.pipeline 'p', 5 }", 'the script returned a list whose item 2 is not a stream but a number')
    rejected("return tm.pipeline 'p':branch { a = true }", 'the script must return a stream or a list of streams')
  end)
  it('operators are given the wrong things', function()
    rejected("return tm.pipeline 'p':filter('x')", "filter takes a function of the event, got 'x'")
    rejected("return tm.pipeline 'p':filter()", 'filter takes a function of the event, got nil')
    rejected("return tm.pipeline 'p'.filter(function() end)", 'call operators with a colon')
    rejected("return tm.pipeline 'p':select { 'a', 'a' }", "select names the field 'a' twice")
    rejected("return tm.pipeline 'p':select 'a'", 'select takes a list of field names')
    rejected("return tm.pipeline 'p':drop {}", 'drop takes a list of at least one field name')
    rejected("return tm.pipeline 'p':rename { a = 'c', b = 'c' }", "rename gives two fields the name 'c'")
    rejected("return tm.pipeline 'p':set { a = {} }", "set: 'a' takes a function or a plain value")
    rejected("return tm.pipeline 'p':branch { a = 5 }", "branch: 'a' takes a function of the event, or true for the rest")
    rejected("return tm.pipeline 'p':branch { a = true, b = true }", 'only one branch can take the rest')
    rejected("return tm.pipeline 'p':route { { 'a' }, { 'b', print } }", "route: 'a' has no function, so it must be the last")
    rejected("return tm.pipeline 'p':to 'x.ndjson'", 'to takes a sink')
    rejected("return tm.pipeline 'p':from 'x.ndjson'", 'from takes a source')
    rejected("return tm.pipeline 'p':filter(print):from(tm.source.stdin())", 'from stands first')
    rejected("return tm.pipeline {}", 'a pipeline needs a name')
    rejected("return tm.union(tm.pipeline 'a')", 'union takes two streams or more')
    rejected("local b = tm.pipeline 'p':branch { a = true } return b.x", "this branch has no stream 'x'")
  end)
end)
