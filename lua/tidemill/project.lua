--[[
project.lua - the files that `tidemill new pipeline` writes: a pipeline that runs as it is, its spec, a sample, and what editors need.

Needs nothing of the host. The sample has one of each thing that a stream has: a payment that is not settled, one out of order, one too
late, one whose amount is none.
]]

local M = {}

local pipeline = [[
-- pipeline.lua - what each card spends in a minute, out of a stream of payments.
--
-- Every event passes the steps from top to bottom. 'tidemill list operators' tells what else there is, 'tidemill help NAME' of one.

local tm = require 'tidemill'

local least = tm.setting('least', 1)   -- from the command line: --set least=10

return tm.pipeline 'spend'
  -- types of fields: an event that has another one fails alone, and is told with its place
  :schema { id = 'string', card = 'string', amount = 'decimal(2)', ts = 'time_iso8601', status = 'string' }
  :filter(function(e) return e.status == 'settled' and e.amount >= least end)
  -- events may come up to five seconds out of order; then a minute is over, and what comes for it still is late
  :event_time { field = 'ts', unit = 'iso8601', out_of_order = '5s' }
  :key_by 'card'
  :window('per_minute', tm.window.tumbling '1m')
  :aggregate { payments = tm.agg.count(), spent = tm.agg.sum 'amount' }
  -- rows go to standard output, or where --to says. To keep what fails and what is late:
  -- :on_error(tm.sink.file 'failed.ndjson'):late_to(tm.sink.file 'late.ndjson')
]]

local spec = [[
-- pipeline_spec.lua - run by 'tidemill test', with busted (https://lunarmodules.github.io/busted/).
--
-- Sources, sinks and the clock are the spec's: 'tidemill help test' has all that t can do.

local tm = require 'tidemill'

local function payment(ts, card, amount, status)
  return { id = ts, ts = '2024-05-01T' .. ts .. 'Z', card = card, amount = amount, status = status or 'settled' }
end

-- 2024-05-01T10:00:00Z and a minute later
local TEN, MINUTE = 1714557600000, 60000

describe('pipeline.lua', function()
  it('sums up what each card spends in a minute', function()
    local t = tm.testing.run 'pipeline.lua'
    t:send(payment('10:00:01', 'a', 10.10))
    t:send(payment('10:00:59', 'a', 0.90 + 5))
    t:send(payment('10:00:30', 'b', 7))
    assert.same({}, t:out 'spend')        -- the minute is not over yet
    t:watermark(TEN + MINUTE)
    assert.same({
      { card = 'a', payments = 2, spent = 16, window_start = TEN, window_end = TEN + MINUTE },
      { card = 'b', payments = 1, spent = 7, window_start = TEN, window_end = TEN + MINUTE },
    }, t:out 'spend')
  end)

  it('counts settled payments alone, from the least amount on', function()
    local t = tm.testing.run('pipeline.lua', { set = { least = 5 } })
    t:send(payment('10:00:01', 'a', 4.99))
    t:send(payment('10:00:02', 'a', 5))
    t:send(payment('10:00:03', 'a', 100, 'declined'))
    t:watermark(math.huge)                -- the end of the input
    local rows = t:out 'spend'
    assert.equal(1, #rows)
    assert.equal(5, rows[1].spent)
  end)

  it('gives late payments and those that are wrong to nobody else', function()
    local t = tm.testing.run 'pipeline.lua'
    t:send(payment('10:02:00', 'a', 1))
    t:send(payment('10:00:00', 'a', 2))
    t:send(payment('10:02:01', 'a', 'free'))
    assert.equal('10:00:00', t:late()[1].id)
    assert.matches("field 'amount' is declared decimal%(2%), found 'free'", t:errors()[1].reason)
  end)
end)
]]

local sample = [[
{"id":"p-1","ts":"2024-05-01T10:00:01Z","card":"a","amount":10.10,"status":"settled"}
{"id":"p-2","ts":"2024-05-01T10:00:04Z","card":"b","amount":7.00,"status":"settled"}
{"id":"p-3","ts":"2024-05-01T10:00:02Z","card":"a","amount":5.90,"status":"settled"}
{"id":"p-4","ts":"2024-05-01T10:00:20Z","card":"a","amount":99.00,"status":"declined"}
{"id":"p-5","ts":"2024-05-01T10:00:40Z","card":"b","amount":"free","status":"settled"}
{"id":"p-6","ts":"2024-05-01T10:01:10Z","card":"a","amount":3.25,"status":"settled"}
{"id":"p-7","ts":"2024-05-01T10:00:50Z","card":"b","amount":8.00,"status":"settled"}
]]

local luarc = [[
{
  "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
  "runtime.version": "LuaJIT",
  "workspace.library": ["."],
  "diagnostics.globals": ["describe", "it", "pending", "setup", "teardown", "before_each", "after_each", "insulate", "finally"]
}
]]

local readme = [[
# A pipeline

| | |
|---|---|
| `pipeline.lua` | what each card spends in a minute: begin here |
| `pipeline_spec.lua` | its tests |
| `sample.ndjson` | seven payments: one is late, one is wrong, one was declined |
| `tidemill.d.lua`, `.luarc.json` | for editors with the Lua language server: completion and help of `tm` and of streams |

In this folder:

```sh
tidemill check pipeline.lua --sample sample.ndjson   # what is wrong, before anything runs; p-5 is
tidemill test                                        # the specs
tidemill run pipeline.lua --from sample.ndjson       # rows on standard output
tidemill graph pipeline.lua                          # what reads what
```
]]

--- The files as one text: name NUL text NUL, again and again.
---@return string
function M.files()
  local files = { 'pipeline.lua', pipeline, 'pipeline_spec.lua', spec, 'sample.ndjson', sample, '.luarc.json', luarc, 'README.md', readme,
    'tidemill.d.lua', require 'tidemill.annotations'.text() }
  return table.concat(files, '\0') .. '\0'
end

return M
