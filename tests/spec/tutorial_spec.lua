--[[
tutorial_spec.lua - the first steps with a rule pack in scripts/README.md, one after the other in one folder: each file is written, each
command is run, and what it prints is compared with what the page shows.
]]

local h = require 'spec.helper'

--- The section as a list of { kind, text, line }.
local function blocks()
  local list, open, inside, n = {}, nil, false, 0
  for line in (h.read 'scripts/README.md' .. '\n'):gmatch '(.-)\n' do
    n = n + 1
    if line:find '^## ' and not open then inside = line == '## First steps with a rule pack' end
    local kind = line:match '^```(.*)$'
    if open then
      if kind then open = nil else open.text = open.text .. line .. '\n' end
    elseif kind and inside then
      open = { kind = kind, text = '', line = n }
      list[#list + 1] = open
    end
  end
  return list
end

--- The commands of a block, each with what is shown below it. A command goes on behind a backslash.
local function commands(block)
  local list, joined = {}, nil
  for line in block.text:gmatch '([^\n]*)\n' do
    local command = line:match '^%$ (.*)$'
    if joined then
      joined.command = joined.command .. '\n' .. line
    elseif command then
      joined = { command = command, expected = '' }
      list[#list + 1] = joined
    else
      list[#list].expected = list[#list].expected .. line .. '\n'
    end
    if joined and joined.command:sub(-1) ~= '\\' then joined = nil end
  end
  return list
end

describe('the first steps with a rule pack in scripts/README.md', function()
  local dir = h.folder()
  teardown(function() h.shell(('cd %s && test -e dev.pid && kill "$(cat dev.pid)"'):format(h.quote(dir))) end)

  it('work as they are shown', function()
    local steps = 0
    local bin = h.bin:sub(1, 1) == '/' and h.bin or h.cwd .. '/' .. h.bin
    assert.equal(0, h.shell(('ln -s %s/scripts %s/scripts'):format(h.quote(h.cwd), dir)).code)
    for _, block in ipairs(blocks()) do
      if block.kind == 'lua' then
        h.write(block.text, dir .. '/' .. assert(block.text:match '^%-%- ([%w_/]+%.lua)\n', 'scripts/README.md:' .. block.line))
      else
        assert.equal('console', block.kind)
        for _, shown in ipairs(commands(block)) do
          local r = h.shell(('cd %s; PATH=%s:$PATH\n%s'):format(h.quote(dir), h.quote(bin:match '^(.*)/'), shown.command))
          assert.equal(shown.expected, r.out, ('scripts/README.md:%d: %s\n%s'):format(block.line, shown.command, r.err))
        end
      end
      steps = steps + 1
    end
    assert.is_true(steps >= 10)
  end)

  it('fit one page', function()
    local text = h.read 'scripts/README.md'
    local page = text:match '\n## First steps with a rule pack\n(.-)\n## '
    assert.is_true(#h.lines(page) <= 100)
  end)
end)
