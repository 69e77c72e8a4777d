--[[
packs_random_spec.lua - rule packs against a plain loop over rules for every event (pack_reference.lua): random packs and streams, in one
batch and
in many, events as they come and changed before the pack, compiled and interpreted. What is decided never depends on that.
]]

local h = require 'spec.helper'
local reference = require 'spec.pack_reference'
local dkjson = require 'dkjson'

local SEEDS, RULES, EVENTS = 12, 40, 900

local function text_of(events)
  local lines = {}
  for i, e in ipairs(events) do
    lines[i] = dkjson.encode(e, { keyorder = { 'id', 'ts', 'card', 'amount', 'country', 'channel', 'note' } })
  end
  return table.concat(lines, '\n') .. '\n'
end

--- The rows of a run, as the reference writes them.
local function decided(r)
  assert.equal(0, r.code, r.err)
  local out = {}
  for i, row in ipairs(h.rows(r.out)) do out[i] = reference.shown(row) end
  return table.concat(out, '\n')
end

local total = { unknown = 0, error = 0, hit = 0 }

describe('a random rule pack', function()
  for seed = 1, SEEDS do
    it('decides as a plain loop does, seed ' .. seed, function()
      local pack, events = reference.pack(seed, RULES), reference.events(seed + 1000, EVENTS)
      local files, site = reference.files(pack)
      local dir = h.folder(files)
      if site then h.write(site, dir .. '/../' .. dir:match '[^/]*$' .. '.site.lua') end
      local option = site and (", { site = '%s.site.lua' }"):format(dir) or ''
      local list, stats = reference.decide(pack, events)
      for name, n in pairs(stats) do total[name] = total[name] + n end
      local want, input = table.concat(list, '\n'), h.write(text_of(events))
      local function check(code, what, ...)
        local got = decided(h.run { 'run', '--quiet', '-e', code, '--from', input, ... })
        h.compare(want, got, what .. ', seed ' .. seed .. ', ' .. dir)
      end
      check(("stream:pack('%s'%s)"):format(dir, option), 'as events come')
      check(("stream:map(function(e) e.more = 1 return e end):pack('%s'%s):map(function(d) d.event.more = nil return d end)"):format(dir,
        option),
        'changed before')
      if seed % 4 == 0 then check(("stream:pack('%s'%s)"):format(dir, option), 'interpreted', '--no-jit') end
      -- batches are what a pipe gives: pieces of some events
      local cut = h.write(([[
import sys, time
lines = open(%q).read().splitlines(True)
i, k = 0, 1
while i < len(lines):
    sys.stdout.write(''.join(lines[i:i + k])); sys.stdout.flush(); i += k; k = k * 7 %% 61 + 1; time.sleep(0.002)
]]):format(input))
      local r = h.shell(('%s %s | %s'):format(h.python, h.quote(cut), h.command { 'run', '--quiet', '-e',
        ("stream:pack('%s'%s)"):format(dir, option) }))
      h.compare(want, decided(r), 'in many batches, seed ' .. seed)
    end)
  end

  it('is one in which rules match, lack what they need, and raise', function()
    for name, n in pairs(total) do assert.is_true(n > 100, name .. ': ' .. n) end
  end)
end)
