--[[ `tidemill status DIR`: how the run of a data folder stands, read from its files. The numbers are those of the input; JSON by jq. ]]

local h = require 'spec.helper'

local script = [[
local tm = require 'tidemill'
local tx = tm.pipeline 'tx':filter(function(e) if e.id % 10 == 0 then error('no') end return true end)
return { tx:to(tm.sink.file 'a.ndjson'), tm.pipeline 'b':to(tm.sink.log 'kept'), tm.pipeline 'c':to(tm.sink.stdout()),
  tm.pipeline 'd':to(tm.sink.sqlite { path = 'r.db', table = 't', columns = { 'id' } }),
  tm.pipeline 'e':to(tm.sink.file { path = 'r.ndjson', roll = { size = '1K' } }) }
]]

local function place(n)
  local list = {}
  for i = 1, n do list[i] = '{"id":' .. i .. '}\n' end
  return h.folder { ['s.lua'] = script, ['in.ndjson'] = table.concat(list) }
end

local function command(root, ...) return h.shell(h.command({ ... }, { cwd = root })) end

describe('tidemill status of a data folder', function()
  it('tells epoch, sources, sinks with their guarantee, counters and failures', function()
    local root = place(100)
    assert.equal(0, command(root, 'run', '--quiet', 's.lua', '--from', 'in.ndjson', '--data', 'data').code)
    local got = command(root, 'status', 'data')
    assert.equal(0, got.code, got.err)
    for _, words in ipairs { 'data: epoch ', 'it came to the end of its input', 'closed in order', 'log        kept: 100 records',
      'in.ndjson: 100 events, 992 bytes read', 'a.ndjson (file): exactly once', 'log kept (log): exactly once',
      'stdout (stdout): at most once',
      'r.db:t (sqlite): exactly once', 'r.ndjson (files): exactly once', 'snapshot   none yet', 'tx, filter#1, lua: 10' } do
      assert.truthy(got.out:find(words, 1, true), words .. '\n' .. got.out)
    end
    assert.truthy(got.out:find '\n  quarantined +0 events\n', got.out)
    local facts = h.shell([[jq -r '.epoch > 0, .ended, .in_use_by, .counters.events_in, .counters.events_failed, (.sinks | length),
      .failures[0].count, .logs[0].records, .sources[0].events']], command(root, 'status', 'data', '--json').out)
    assert.equal('true\ntrue\n0\n100\n10\n5\n10\n100\n100\n', facts.out, facts.err)
    -- it looks, and changes nothing
    assert.equal(0, command(root, 'run', '--quiet', 's.lua', '--from', 'in.ndjson', '--data', 'data').code)
  end)

  it('says what is wrong with a folder', function()
    local root = place(10)
    local got = command(root, 'status', 'none')
    assert.equal(2, got.code)
    assert.truthy(got.err:find('there is no data folder none', 1, true), got.err)
    assert.equal(0, command(root, 'run', '--quiet', 's.lua', '--from', 'in.ndjson', '--data', 'data').code)
    h.sh('truncate -s 100 %s/data/journal.0000000000000001', root)
    got = command(root, 'status', 'data')
    assert.equal(1, got.code)
    assert.truthy(got.err:find('data: a run was kept there, and its journal is gone', 1, true), got.err)
    assert.equal(2, command(root, 'status', 'data', 'more').code)
    assert.equal(2, command(root, 'status', '--what').code)
  end)
end)
