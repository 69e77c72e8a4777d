--[[
steps_key_spec.lua - key_by as far as it can be seen without keyed state: tm.meta(e).key and the key of dead letters.
]]

local h = require 'spec.helper'

local KEY = ':map(function(e) local k = tm.meta(e).key return { k = k == nil and tm.null or k, t = type(k) } end)'
local function keys(chain, ...) return h.rows((h.e('stream' .. chain .. KEY, { ... }))) end

describe('key_by', function()
  it('is evaluated at that step', function()
    assert.same({ { k = 'a', t = 'string' } }, keys(":key_by 'c':map(function(e) e.c = 'b' return e end)", '{"c":"a"}'))
    assert.same({ { k = 'b', t = 'string' } }, keys(":map(function(e) e.c = 'b' return e end):key_by 'c'", '{"c":"a"}'))
  end)

  it('rows made by later steps inherit the key until the next key_by', function()
    assert.same({ { k = 'a', t = 'string' } },
      keys(":key_by 'c':map(function(e) return { x = 1 } end):select { 'x' }:filter(function(e) return true end)", '{"c":"a"}'))
    assert.same({ { k = 'a', t = 'string' }, { k = 'a', t = 'string' } },
      keys(":key_by 'c':flat_map(function(e, emit) emit { x = 1 } emit(e) end)", '{"c":"a"}'))
    assert.same({ { k = 1, t = 'number' }, { k = 2, t = 'number' } },
      keys(":key_by 'c':flat_map(function(e, emit) emit { x = 1 } emit { x = 2 } end):key_by 'x'", '{"c":"a"}'))
  end)

  it('an event without key_by has no key, and the key of one event is not that of the next', function()
    assert.same({ { k = h.null, t = 'nil' } }, keys('', '{"c":"a"}'))
    assert.same({ { k = 'a', t = 'string' }, { k = h.null, t = 'nil' } }, keys(":key_by('c', { missing = 'keep' })", '{"c":"a"}', '{}'))
  end)

  it('key_by {} removes the key', function()
    assert.same({ { k = h.null, t = 'nil' } }, keys(":key_by 'c':key_by {}", '{"c":"a"}'))
  end)

  it('a fork keeps the key as it was at the fork', function()
    local r = h.script([[
      local tm = require 'tidemill'
      local s = tm.pipeline 'p':key_by 'c'
      local function show(e) return { k = tm.meta(e).key } end
      return { s:key_by 'd':map(show), s:map(show), s:key_by {}:map(function(e) return { k = tm.meta(e).key == nil } end)
        }]], { '{"c":"a","d":"b"}' })
    assert.same({ { k = 'b' }, { k = 'a' }, { k = true } }, h.rows(r.out))
  end)

  it('keys keep their type: equal numbers are equal keys, 1 and "1" differ', function()
    assert.equal('{"a":true,"b":false,"c":false}\n', (h.e([[local first
      return stream:key_by 'c':filter(function(e) if not first then first = { tm.meta(e).key } return false end return true end)
        :map(function(e) local k = tm.meta(e).key first[#first + 1] = k return e end)
        :filter(function(e) return #first == 4 end)
        :map(function(e) return { a = first[1] == first[2], b = first[1] == first[3], c = first[1] == first[4] } end)]],
      { '{"c":1}', '{"c":1.0}', '{"c":"1"}', '{"c":true}' })))
  end)

  it('with several fields the key is a table by field name', function()
    assert.same({ { k = { a = 1, b = 'x' }, t = 'table' } }, keys(":key_by { 'b', 'a' }", '{"a":1,"b":"x","c":2}'))
    assert.same({ { k = { a = 1 }, t = 'table' } }, keys(":key_by { 'a' }", '{"a":1}'))
  end)

  it('a function takes a name too', function()
    assert.same({ { k = 2, t = 'number' } }, keys(":key_by(function(e) return e.n % 5 end, 'bucket')", '{"n":7}'))
    local _, r = h.e('stream:key_by(function(e) return 1 end)', {})
    assert.equal(3, r.code)
    assert.truthy(r.err:find("key_by with a function takes the key's name too: key_by(fn, 'bucket')", 1, true))
  end)

  it("a nil key goes to on_error unless { missing = 'drop' | 'keep' }", function()
    local dead = h.path 'dead'
    local chain = ":on_error(tm.sink.file '" .. dead .. "')" .. KEY
    for _, input in ipairs { '{}', '{"c":null}' } do
      assert.equal('{"k":1,"t":"number"}\n', (h.e("stream:key_by 'c'" .. chain, { input, '{"c":1}' })))
      assert.equal('{"k":1,"t":"number"}\n', (h.e("stream:key_by('c', { missing = 'drop' })" .. chain, { input, '{"c":1}' })))
      assert.equal('{"k":null,"t":"nil"}\n{"k":1,"t":"number"}\n',
        (h.e("stream:key_by('c', { missing = 'keep' })" .. chain, { input, '{"c":1}' })))
      assert.equal('', (h.e("stream:key_by { 'a', 'c' }" .. chain, { input })))
      assert.equal('', (h.e("stream:key_by(function(e) return e.c end, 'x')" .. chain, { input })))
    end
    local letters = h.rows(h.read(dead))
    assert.equal(6, #letters)
    for _, letter in ipairs(letters) do
      assert.equal('missing-key', letter.code)
      assert.truthy(letter.reason:find("the event has no key '", 1, true))
      assert.is_nil(letter.key)
    end
  end)

  it('a key is a string, number or boolean', function()
    assert.same({ { k = false, t = 'boolean' } }, keys(":key_by 'c'", '{"c":false}'))
    for _, c in ipairs { '{}', '[1]' } do
      local _, r = h.e("stream:key_by 'c'" .. KEY, { '{"c":' .. c .. '}' })
      assert.equal('', r.out)
      assert.truthy(r.err:find("the key 'c' must be a string, number or boolean, got a table", 1, true))
    end
    local _, r = h.e("stream:key_by(function() return 0/0 end, 'c')" .. KEY, { '{}' })
    assert.truthy(r.err:find("the key 'c' is NaN", 1, true))
  end)

  it('is told in dead letters, at the level at which it held', function()
    local dead = h.path 'dead'
    local fail = ":filter(function(e) error 'no' end):on_error(tm.sink.file '" .. dead .. "')"
    h.e("stream:key_by 'c'" .. fail, { '{"c":"a"}' })
    h.e("stream:key_by { 'c', 'd' }" .. fail, { '{"c":"a","d":1.5}' })
    h.e("stream:key_by 'c':flat_map(function(e, emit) emit { x = 5 } end):key_by 'x'" .. fail, { '{"c":"a"}' })
    h.e("stream:key_by 'c':key_by {}" .. fail, { '{"c":"a"}' })
    local got = {}
    for i, letter in ipairs(h.rows(h.read(dead))) do got[i] = letter.key == nil and 'none' or letter.key end
    assert.same({ 'a', { c = 'a', d = 1.5 }, 5, 'none' }, got)
  end)
end)
