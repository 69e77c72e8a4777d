--[[
order_spec.lua - the order of pairs and next on plain tables: 1..n, then numbers ascending, then strings by byte, then
false, true; other key types raise.
]]

local h = require 'spec.helper'

--- The keys of a table expression, as pairs and as next visit them.
local function keys(text)
  local out, r = h.e([[stream:map(function(e)
    local t = ]] .. text .. [[
    local a, b = {}, {}
    for k, v in pairs(t) do assert(t[k] == v) a[#a + 1] = type(k):sub(1, 1) .. tostring(k) end
    local k = next(t)
    while k ~= nil do b[#b + 1] = type(k):sub(1, 1) .. tostring(k) k = next(t, k) end
    return { a = a, b = b }
  end)]], { '{}' })
  assert.equal('', r.err)
  local row = h.rows(out)[1]
  assert.same(row.a, row.b)
  return table.concat(row.a, ' ')
end

describe('pairs and next on plain tables', function()
  it('visit 1..n, then numbers ascending, then strings by byte, then false, true', function()
    assert.equal('n1 n2 n3 n-2.5 n0 n10 n10.5 sB sa saa sé bfalse btrue',
      keys "{ 'x', 'y', 'z', [10.5] = 1, [true] = 1, a = 1, ['é'] = 1, [0] = 1, B = 1, [-2.5] = 1, aa = 1, [false] = 1, [10] = 1 }")
  end)
  it('n is where the list ends', function()
    assert.equal('n1 n2 n4', keys "{ 'a', 'b', [4] = 'd' }")
    assert.equal('n2 n3', keys "{ [3] = 1, [2] = 1 }")
    assert.equal('nInf', (keys '{ [math.huge] = 1 }':gsub('inf', 'Inf')))
    assert.equal('s', keys "{ [''] = 1 }")
  end)
  it('do not depend on how the table was filled', function()
    local insert = 'setmetatable({}, nil) for i = %s do t["k" .. i] = i end'
    local up, down = keys(insert:format '1, 40'), keys(insert:format '40, 1, -1')
    assert.equal(up, down)
    local want = h.shell [[python3 -c 'print(" ".join("sk%s" % i for i in sorted(map(str, range(1, 41)))))']].out
    assert.equal(want, up .. '\n')
  end)
  it('of a decoded object inside an array are the same', function()
    assert.equal('{"l":"a b c"}\n',
      (h.e([[stream:map(function(e) local l = {} for k in pairs(e.l[1]) do l[#l + 1] = k end return { l = table.concat(l, ' ') } end)]],
      { '{"l":[{"c":1,"a":2,"b":3}]}' })))
  end)
  it('raise for other key types, whose order would differ between runs', function()
    for _, key in ipairs { 'print', '{}', 'tm.null' } do
      for _, walk in ipairs { 'for _ in pairs(t) do end', 'next(t)' } do
        local _, r = h.e('stream:map(function(e) local t = { [' .. key .. '] = 1 } ' .. walk .. ' return e end)', { '{}' })
        assert.equal('', r.out)
        assert.truthy(r.err:find('pairs needs an order that is the same in every run; a table with a', 1, true), r.err)
      end
    end
  end)
  it('a field may be set or removed while walking', function()
    assert.equal('{"a":2,"c":2}\n',
      (h.e('stream:map(function(e) for k in pairs(e) do if k == "b" then e.b = nil else e[k] = 2 end end return e end)',
      { '{"a":1,"b":1,"c":1}' })))
    assert.equal('{"n":2}\n',
      (h.e('stream:map(function(e) local t, n = { a = 1, b = 1, c = 1 }, 0 for k in pairs(t) do n = n + 1 t.b = nil end return { n \z
        = n } end)', { '{}' })))
  end)
  it('of something else raise', function()
    for what, call in pairs { ['a number'] = 'pairs(5)', ['nil'] = 'pairs(nil)', ['a string'] = 'next("x")' } do
      local _, r = h.e('stream:map(function(e) ' .. call .. ' return e end)', { '{}' })
      assert.truthy(r.err:find('takes a table or an event, got ' .. what, 1, true), r.err)
    end
  end)
  it('next with a key that is not there raises', function()
    local _, r = h.e('stream:map(function(e) next({ a = 1 }, "b") return e end)', { '{}' })
    assert.truthy(r.err:find("next: no key 'b' in this table", 1, true))
  end)
end)
