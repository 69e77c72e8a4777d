--[[
new_spec.lua - `tidemill new pipeline DIR`: what it writes works as it is, and nothing is overwritten. Rows of the sample are computed
by Python.
]]

local h = require 'spec.helper'

describe('tidemill new pipeline', function()
  local dir = h.folder()
  local made = h.run({ 'new', 'pipeline', 'shop' }, nil, { cwd = dir })

  local function there(command)
    local bin = h.bin:sub(1, 1) == '/' and h.bin or h.cwd .. '/' .. h.bin
    return h.shell(('cd %s && PATH=%s:$PATH && %s'):format(h.quote(dir), h.quote(bin:match '^(.*)/'), command))
  end

  it('writes a project and tells three commands, which work', function()
    assert.equal(0, made.code, made.err)
    local n = 0
    for command in made.out:gmatch '\n  (tidemill [^\n]*)' do
      n = n + 1
      assert.equal(0, there(command).code, command)
    end
    assert.equal(3, n)
    assert.matches('%d+ successes / 0 failures / 0 errors', there('tidemill test shop').out)
    assert.matches('%d+ successes / 0 failures / 0 errors', there('cd shop && tidemill test').out)
  end)

  it('has a pipeline whose rows of the sample are what Python makes of it', function()
    local r = h.shell([[python3 -c '
import json, sys
from datetime import datetime
from decimal import Decimal
w, sums = None, {}
for line in sys.stdin:
  e = json.loads(line, parse_float=Decimal)
  if e["status"] != "settled" or isinstance(e["amount"], str): continue
  ms = int(datetime.fromisoformat(e["ts"].replace("Z", "+00:00")).timestamp()) * 1000
  start = ms // 60000 * 60000
  if w is None or start + 60000 - 1 > w:
    n, total = sums.get((start, e["card"]), (0, Decimal(0)))
    sums[(start, e["card"])] = (n + 1, total + e["amount"])
  w = max(w or 0, ms - 5001)
for (start, card), (n, total) in sorted(sums.items()):
  print(json.dumps({"card": card, "payments": n, "spent": float(total), "window_end": start + 60000, "window_start": start}))
']], h.read(dir .. '/shop/sample.ndjson'))
    assert.equal(0, r.code, r.err)
    local run = there 'tidemill run --quiet shop/pipeline.lua --from shop/sample.ndjson | jq -cS .'
    assert.equal(h.shell('jq -cS .', r.out).out, run.out)
    assert.equal(3, #h.lines(run.out))
  end)

  it('has a README whose commands run', function()
    local n = 0
    for command in h.read(dir .. '/shop/README.md'):match '```sh\n(.-)```':gmatch '(tidemill [^\n#]*)' do
      n = n + 1
      -- the sample has a payment that is wrong, on purpose
      assert.equal(command:find('--sample', 1, true) and 3 or 0, there('cd shop && ' .. command).code, command)
    end
    assert.equal(4, n)
  end)

  it('has annotations of everything in the catalog, which are Lua and JSON', function()
    local meta = h.read(dir .. '/shop/tidemill.d.lua')
    local tm = assert(loadstring(meta))()
    for _, e in ipairs(h.decode(h.run { 'list', '--json' }.out)) do
      if e.kind == 'operator' then
        assert.truthy(meta:find('\nfunction Stream:' .. e.name .. '(', 1, true), e.name)
      else
        local at = tm
        for name in e.name:sub(4):gmatch '[^.]+' do at = at[name] end
        assert.truthy(at, e.name)
      end
      assert.truthy(meta:find(e.signature, 1, true), e.name)
    end
    local parse = '---@param s any\n---@param format? any\n---@param zone? any\n---@return any\nfunction tm.date.parse(s, format, zone) end'
    assert.truthy(meta:find(parse, 1, true))
    assert.equal('function', type(tm.testing.run))
    for line in meta:gmatch '[^\n]+' do assert.is_true(#line < 200, line) end
    assert.equal(0, h.shell('jq -e . ' .. h.quote(dir .. '/shop/.luarc.json')).code)
  end)

  it('overwrites nothing', function()
    local other = h.folder { ['p/sample.ndjson'] = 'mine' }
    local r = h.run({ 'new', 'pipeline', 'p/' }, nil, { cwd = other })
    assert.equal(2, r.code)
    assert.matches('new: p/sample.ndjson exists; nothing was written', r.err)
    assert.equal('sample.ndjson\n', h.shell('ls -A ' .. other .. '/p').out)
    assert.equal('mine', h.read(other .. '/p/sample.ndjson'))
    -- a folder with other files is fine
    assert.equal(0, h.run({ 'new', 'pipeline', '.' }, nil, { cwd = other }).code)
  end)

  it('refuses what makes no sense', function()
    for _, case in ipairs {
      { 'new takes what to make and a folder: tidemill new pipeline DIR', 'new' },
      { 'new takes what to make and a folder: tidemill new pipeline DIR', 'new', 'pipeline' },
      { "'pipline' is nothing that can be made %(did you mean 'pipeline'%?%)", 'new', 'pipline', 'x' },
      { 'unknown option %-%-force', 'new', 'pipeline', 'x', '--force' },
    } do
      local r = h.run({ unpack(case, 2) }, nil, { cwd = dir })
      assert.equal(2, r.code)
      assert.matches(case[1], r.err)
    end
    local r = h.run({ 'new', 'pipeline', 'no/such/folder' }, nil, { cwd = dir })
    assert.equal(1, r.code)
    assert.matches('cannot make the folder no/such/folder: No such file or directory', r.err)
  end)
end)
