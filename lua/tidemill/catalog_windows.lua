--[[
catalog_windows.lua - the catalog's entries of windows: the operators around them, and tm.window.
]]

local OFFSET = { 'offset', 'any', "shifts where windows begin, from 1970-01-01T00:00Z, such as '-1h'; shorter than the size (hopping: " ..
  'the slide)', default = 'nothing' }

local M = {}

M.operators = {
  { name = 'window', signature = ":window('name', tm.window.… [, { lateness = '30s' }])", cost_ns = 10,
    about = 'Puts events into windows of event time; aggregate, behind it, says what becomes of them.',
    more = { 'Each key has windows of its own. A window is complete when the watermark has reached its end; an event all of whose windows',
      'were complete lateness ago goes to late_to.' },
    options = { { 'lateness', 'any', 'how long a complete window still takes events', default = 'nothing' } },
    example = [[stream:event_time { field = 'ts' }:key_by 'card'
  :window('spend', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }]],
    input = { '{"ts":1000,"card":"a"}', '{"ts":59000,"card":"a"}', '{"ts":61000,"card":"a"}' },
    output = { '{"card":"a","n":2,"window_end":60000,"window_start":0}', '{"card":"a","n":1,"window_end":120000,"window_start":60000}' } },
  { name = 'aggregate', signature = ':aggregate { field = tm.agg.…, … }', cost_ns = 100, state = true,
    about = 'Aggregates over the events of a window and key: a row when the window is complete.',
    more = { "The row has the key's fields, window_start and window_end (ms) and the aggregates; its time is window_end - 1. Rows come by",
      "window, then in order of the keys' first arrival there. With lateness a late event gives the row anew, with revision 1, 2 …; :emit",
      'says otherwise.' },
    example = [[stream:event_time { field = 'ts' }:window('all', tm.window.hopping('2m', '1m')):aggregate { total = tm.agg.sum 'amount' }]],
    input = { '{"ts":70000,"amount":1.5}', '{"ts":121000,"amount":2}' },
    output = { '{"total":1.5,"window_end":120000,"window_start":0}', '{"total":3.5,"window_end":180000,"window_start":60000}',
      '{"total":2,"window_end":240000,"window_start":120000}' } },
  { name = 'emit',
    signature = ":emit('final' | 'closed' | 'updates' | 'retract' | { early = '10s' | { count = 100 } } | { mode =, accumulate = })",
    about = 'When rows of the windows come.',
    more = { "'final': when the window is complete, and one more for each late event, with revision 1, 2 … 'closed': one row, when",
      "nothing more can come. 'updates': a row after each event. 'retract': each further row comes as",
      "op '-', the row before, and op '+', the new one.",
      'early: also before the end, at every multiple of a duration of event time or after every n events of the key in the window.',
      'accumulate = false: a further row has only what came since the last one.' },
    options = { { 'mode', 'string', 'as above', one_of = { 'final', 'closed', 'updates', 'retract' }, default = 'final' },
      { 'early', 'any', "a duration, or { count = n }", default = 'no early rows' },
      { 'accumulate', 'boolean', 'false: rows of what is new', default = 'true' } },
    example = [[stream:event_time { field = 'ts' }:window('all', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }:emit 'updates']],
    input = { '{"ts":1}', '{"ts":2}' },
    output = { '{"n":1,"window_end":60000,"window_start":0}', '{"n":2,"window_end":60000,"window_start":0}' } },
  { name = 'late_to', signature = ':late_to(sink)',
    about = 'Where late events of the whole pipeline go, as they came to the step that was to take them.',
    example = [[stream:event_time { field = 'ts' }:window('all', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }
  :late_to(tm.sink.file 'late.ndjson')]],
    input = { '{"ts":1}', '{"ts":60001}', '{"ts":2}' },
    output = { '{"n":1,"window_end":60000,"window_start":0}', '{"n":1,"window_end":120000,"window_start":60000}' } },
}

M.functions = {
  { name = 'tm.window.tumbling', signature = "tm.window.tumbling('1m' [, { offset = '15s' }])",
    about = 'Windows of one size, one behind the other: an event is in one.', options = { OFFSET },
    example = [[stream:event_time { field = 'ts' }:window('w', tm.window.tumbling('1m', { offset = '30s' }))
  :aggregate { n = tm.agg.count() }]],
    input = { '{"ts":1}', '{"ts":30000}' },
    output = { '{"n":1,"window_end":30000,"window_start":-30000}', '{"n":1,"window_end":90000,"window_start":30000}' } },
  { name = 'tm.window.hopping', signature = "tm.window.hopping('10m', '1m' [, { offset = '15s' }])",
    about = 'Windows of one size, a new one after each slide: an event is in all that hold its time.',
    more = { 'A slide longer than the size leaves gaps; events in them are dropped.' }, options = { OFFSET },
    example = [[stream:event_time { field = 'ts' }:window('w', tm.window.hopping('2m', '1m')):aggregate { n = tm.agg.count() }]],
    input = { '{"ts":61000}' },
    output = { '{"n":1,"window_end":120000,"window_start":0}', '{"n":1,"window_end":180000,"window_start":60000}' } },
  { name = 'tm.window.global', signature = 'tm.window.global()',
    about = 'One window for all time, closed at the end of input; its rows have no bounds and the time of its last event.',
    example = [[stream:window('w', tm.window.global()):aggregate { n = tm.agg.count() }:emit { early = { count = 2 } }]],
    input = { '{"v":1}', '{"v":2}', '{"v":3}' }, output = { '{"n":2}', '{"n":3}' } },
}

return M
