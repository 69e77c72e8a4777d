--[[
patterns_published_spec.lua - match gives what the public tests of Flink CEP say, case by case (patterns_cases.lua), and so does the slow
reference of the random specs.
]]

local h = require 'spec.helper'
local patterns = require 'spec.patterns'
local json = require 'dkjson'

local function line_of(e) return ('{"k":"%s","n":"%s","p":%g,"t":%d,"i":%d}'):format(e.k, e.n, e.p, e.t, e.i) end

--- Matches as sorted text, each the words of its events in order of the stream.
local function sets_of(text)
  local list = {}
  for part in text:gmatch '[^,]+' do
    local words = {}
    for word in part:gmatch '%S+' do words[#words + 1] = word end
    list[#list + 1] = table.concat(words, ' ')
  end
  table.sort(list)
  return table.concat(list, ', ')
end

--- What a run says of these events.
local function matched(pattern, events)
  local lines = {}
  for i, e in ipairs(events) do lines[i] = line_of(e) end
  local bound = pattern.within or pattern.between
  local r = h.run({ 'run', '--quiet', '-e', ([[
    local tm = tm
    local p = %s
    return stream:event_time { field = 't' }:match(p%s)]]):format(patterns.text(pattern), bound and '' or ', { unbounded = true }') },
    table.concat(lines, '\n') .. '\n')
  assert.equal(0, r.code, r.err)
  assert.equal('', r.err)
  local list = {}
  for line in r.out:gmatch '[^\n]+' do
    local row, seen, words = h.decode(line), {}, {}
    for _, events_of in pairs(row) do
      for _, e in ipairs(type(events_of) == 'table' and events_of or {}) do seen[e.i] = e.n end
    end
    for i = 1, #events do words[#words + 1] = seen[i] end
    list[#list + 1] = table.concat(words, ' ')
  end
  table.sort(list)
  return table.concat(list, ', ')
end

describe('published cases', function()
  for _, case in ipairs(require 'spec.patterns_cases') do
    local name, text, stream, want = unpack(case)
    it(name, function()
      assert.equal(sets_of(want), matched(patterns.parse(text), patterns.events(stream)), text .. '   ' .. stream)
    end)
  end
end)

describe('the reference', function()
  it('gives the published matches too', function()
    local jobs, cases = {}, require 'spec.patterns_cases'
    for i, case in ipairs(cases) do
      jobs[i] = json.encode { pattern = patterns.parse(case[2]), events = patterns.events(case[3]) }
    end
    local dir = h.folder { jobs = table.concat(jobs, '\n') .. '\n' }
    local r = h.shell(('python3 tests/spec/patterns_reference.py <%s/jobs'):format(dir))
    assert.equal(0, r.code, r.err)
    local n = 0
    for line in r.out:gmatch '[^\n]+' do
      n = n + 1
      local list = {}
      for _, m in ipairs(json.decode(line).matches) do
        local ids, words = {}, {}
        for _, e in ipairs(m.events) do ids[#ids + 1] = e end
        table.sort(ids)
        local events = patterns.events(cases[n][3])
        for _, id in ipairs(ids) do words[#words + 1] = events[id].n end
        list[#list + 1] = table.concat(words, ' ')
      end
      table.sort(list)
      assert.equal(sets_of(cases[n][4]), table.concat(list, ', '), cases[n][1] .. ': ' .. cases[n][2])
    end
    assert.equal(#cases, n)
  end)
end)
