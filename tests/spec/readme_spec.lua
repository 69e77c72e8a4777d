--[[
readme_spec.lua - every command the README shows is run, and its output compared where some is shown.

Blocks marked `sh` hold commands for the shell: here only targets of make, which are asked for with `make -n`, since make
test would come back to this file. Blocks marked `console` hold "$ command" (going on behind a backslash) and the standard
output it must have. Blocks marked `lua` begin with "-- name.lua" and are that file. All run in one folder, in order.
]]

local h = require 'spec.helper'

--- The fenced blocks of a page: { kind, text, line }.
local function blocks(path)
  local list, open, n = {}, nil, 0
  for line in (h.read(path) .. '\n'):gmatch '(.-)\n' do
    n = n + 1
    local kind = line:match '^```(.*)$'
    if open then
      if kind then open = nil else open.text = open.text .. line .. '\n' end
    elseif kind then
      open = { kind = kind, text = '', line = n }
      list[#list + 1] = open
    end
  end
  return list
end

--- { command, expected, line } of a console block.
local function commands(block)
  local list, at = {}, block.line
  local joined
  for line in block.text:gmatch '([^\n]*)\n' do
    at = at + 1
    if joined then
      joined.command = joined.command .. '\n' .. line
    else
      local command = line:match '^%$ (.*)$'
      if command then
        joined = { command = command, expected = '', line = at }
        list[#list + 1] = joined
      else
        assert(#list > 0, 'README.md:' .. at .. ': output before a command')
        list[#list].expected = list[#list].expected .. line .. '\n'
      end
    end
    if joined and joined.command:sub(-1) ~= '\\' then joined = nil end
  end
  return list
end

--- A folder in which the README's paths hold.
local function place()
  local dir = h.folder()
  local bin = h.bin:sub(1, 1) == '/' and h.bin or h.cwd .. '/' .. h.bin
  assert(h.shell(('mkdir %s/build && ln -s %s %s/build/tidemill && ln -s %s/scripts %s/scripts'):format(
    dir, h.quote(bin), dir, h.quote(h.cwd), dir)).code == 0)
  return dir
end

describe('README.md', function()
  local page = blocks 'README.md'

  it('is short, and its links lead somewhere', function()
    local text = h.read 'README.md'
    assert.is_true(#h.lines(text) < 150)
    for target in text:gmatch '%]%(([^)]+)%)' do
      assert.is_true(h.shell('test -e ' .. h.quote(target)).code == 0, target)
    end
  end)

  it('shows blocks of known kinds alone', function()
    for _, block in ipairs(page) do
      assert.is_truthy(({ sh = true, console = true, lua = true })[block.kind], 'README.md:' .. block.line)
    end
  end)

  it('names targets that make has', function()
    local n = 0
    for _, block in ipairs(page) do
      if block.kind == 'sh' then
        for line in block.text:gmatch '[^\n]+' do
          local target = line:match '^make (%l+)%s+#' or line:match '^make (%l+)$'
          assert(target, 'README.md:' .. block.line .. ': not a target of make: ' .. line)
          local r = h.shell('MAKEFLAGS= MAKELEVEL= make -n ' .. target)
          assert.equal(0, r.code, r.err)
          n = n + 1
        end
      end
    end
    assert.is_true(n >= 2)
  end)

  it('runs the demonstration that make demo runs', function()
    local script = h.shell('MAKEFLAGS= MAKELEVEL= make -n demo').out:match 'tidemill run (%S+)'
    assert.equal('scripts/fraud/demo.lua', script)   -- card_fraud_spec.lua runs it
  end)

  it('shows commands that do what it says', function()
    local dir, n = place(), 0
    for _, block in ipairs(page) do
      if block.kind == 'lua' then
        h.write(block.text, dir .. '/' .. assert(block.text:match '^%-%- ([%w_]+%.lua)\n', 'README.md:' .. block.line))
      elseif block.kind == 'console' then
        for _, shown in ipairs(commands(block)) do
          local r = h.shell('cd ' .. h.quote(dir) .. '\n' .. shown.command)
          assert.equal(shown.expected, r.out, ('README.md:%d: %s\n%s'):format(shown.line, shown.command, r.err))
          n = n + 1
        end
      end
    end
    assert.is_true(n >= 5)
  end)

  it('computes the fees it shows as Python does', function()
    local shown
    for _, block in ipairs(page) do
      if block.kind == 'console' then
        for _, c in ipairs(commands(block)) do if c.command:find 'run fees.lua' and c.expected:find '{' then shown = c.expected end end
      end
    end
    local r = h.shell([[python3 -c '
import json, sys
from decimal import Decimal
for line in sys.stdin:
  e = json.loads(line)
  if e["status"] == "settled" and not isinstance(e["amt"], str):
    fee = Decimal(e["amt"] * 0.015).quantize(Decimal("0.01"))
    print("{\"id\":\"%s\",\"amt\":%.2f,\"fee\":%s}" % (e["id"], e["amt"], fee))' ]], h.read 'scripts/examples/data/payments.ndjson')
    assert.equal(r.out, shown)
  end)
end)

describe('scripts/README.md', function()
  it('has a line for every example, and every sample is used', function()
    local text, used = h.read 'scripts/README.md', ''
    for _, path in ipairs(h.lines(h.shell('cd scripts && ls examples/*.lua').out)) do
      assert.is_truthy(text:find('`' .. path .. '`', 1, true), path)
      used = used .. h.read('scripts/' .. path)
    end
    for _, name in ipairs(h.lines(h.shell('ls scripts/examples/data').out)) do
      assert.is_truthy(used:find(name, 1, true), name)
    end
  end)
end)

describe('what a newcomer mistypes', function()
  -- each answer says where, what was found, and what to write
  local slips = {
    { 'stream:fliter(function(e) return true end)', "-e:1: a stream has no operator 'fliter' (did you mean 'filter'?)" },
    { 'stream:filter("ms > 1")', "-e:1: filter takes a function of the event, got 'ms > 1'" },
    { 'stream:select("path", "ms")', "-e:1: select takes a list of field names, such as { 'id', 'amount' }, got 'path'" },
    { 'stream:rename { "a", "b" }', "-e:1: rename takes a table { old = 'new' }, found a number = 'a'" },
    { 'stream:set { function(e) return 1 end }',
      '-e:1: set takes a table { field = function(e) … end }, found a function without a field name' },
    { 'stream:branch { function(e) return 1 end }',
      '-e:1: branch: each branch needs a name: { name = function(e) … end }, found a function without one' },
    { 'stream:schema { ms = "integr" }', "-e:1: schema: field 'ms': no type 'integr' (did you mean 'integer'?)" },
    { 'stream:to("out.ndjson")', "-e:1: to takes a sink, such as tm.sink.file 'out.ndjson' or tm.sink.stdout(), got 'out.ndjson'" },
    { 'stream:to(tm.sink.fil "x")', "-e:1: tm.sink has no 'fil' (did you mean 'file'?)" },
    { 'stream:to(tm.sink.file { pth = "x" })', "-e:1: tm.sink.file has no option 'pth' (did you mean 'path'?)" },
    { 'stream:window("w", 1)', "-e:1: window takes what kind of windows: :window('spend', tm.window.tumbling '1m'); got a number" },
    { 'stream:match("w", 1)', "-e:1: match takes a pattern first: :match(tm.pattern('probing')" },
    { 'stream:branch { all = function(e) return true end }', 'or behind branch and route: return { out.a, out.b }' },
    { 'local m = require "rates" return stream', "-e:1: no module 'rates' beside the script: rates.lua" },
    { 'stream:filter(function(e) return e.ms > 1)', "-e:1: 'end' expected near ')'" },
  }
  for _, slip in ipairs(slips) do
    it(slip[1], function()
      local r = h.run({ 'check', '-e', slip[1] }, nil, { cwd = h.folder() })
      assert.equal(3, r.code)
      assert.is_truthy(r.err:find(slip[2], 1, true), r.err)
    end)
  end
end)
