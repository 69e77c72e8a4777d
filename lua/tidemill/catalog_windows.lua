--[[
catalog_windows.lua - the catalog's entries of windows: the operators around them, and tm.window.
]]

local OFFSET = { 'offset', 'any', "shifts where windows begin, from 1970-01-01T00:00Z, such as '-1h'; shorter than the size (hopping: " ..
  'the slide)', default = 'nothing' }

local ZONE = { 'zone', 'string', "the time zone on whose clocks windows begin and end, such as 'Europe/Berlin'", default = 'UTC' }

local MIGRATE = require('tidemill.catalog_shared').MIGRATE

local M = {}

M.operators = {
  { name = 'window', signature = ":window('name', tm.window.… [, { lateness = '30s' }])", cost_ns = 10,
    about = 'Puts events into windows; aggregate, apply or reduce, behind it, says what becomes of them.',
    more = { 'Each key has windows of its own. A window is complete when the watermark has reached its end; an event all of whose windows',
      'were complete lateness ago goes to late_to.' },
    options = { { 'lateness', 'any', 'how long a complete window still takes events', default = 'nothing' }, MIGRATE },
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
  { name = 'apply', signature = ":apply(function(key, window, rows, emit) … end [, { max = 10000 }])", cost_ns = 2000, state = true,
    about = 'Calls a function with all events of a window and key, when the window is complete; what it emits goes on.',
    more = { 'rows is a list of the events in order of time, then of arrival, read-only and gone when the function returns (tm.copy keeps',
      'one); window is { window_start, window_end }, empty for count and global. Emitted rows get the fields of the key and the bounds',
      'unless they set them; their time is window_end - 1. Whole events are kept: aggregate or reduce need much less. :emit as behind',
      'aggregate: the function is called for each row that aggregate would give, under retract again for what it takes back.' },
    options = { { 'max', 'any', 'events a window and key holds, at most 1,000,000; one more fails (and 16 MiB)', default = '10000' } },
    example = [[stream:event_time { field = 'ts' }:key_by 'card':window('w', tm.window.tumbling '1m')
  :apply(function(key, window, rows, emit) emit { from = rows[1].city, to = rows[#rows].city } end)]],
    input = { '{"ts":2000,"card":"a","city":"Rome"}', '{"ts":30000,"card":"a","city":"Bari"}' },
    output = { '{"card":"a","from":"Rome","to":"Bari","window_end":60000,"window_start":0}' } },
  { name = 'reduce', signature = ":reduce('field', function(a, b) … end)", cost_ns = 10000, state = true,
    about = 'Folds the events of a window and key into one value: a row with it when the window is complete.',
    more = { 'The first event stands for itself, as a table; each further one is b, and what the function returns is the next a. Sessions',
      'that merge are given to it, too, the earlier one first, so (a, b), c should be the same as a, (b, c).' },
    example = [[stream:event_time { field = 'ts' }:window('w', tm.window.tumbling '1m')
  :reduce('largest', function(a, b) return b.amount > a.amount and b or a end)]],
    input = { '{"ts":1,"amount":5}', '{"ts":2,"amount":7}', '{"ts":3,"amount":6}' },
    output = { '{"largest":{"amount":7,"ts":2},"window_end":60000,"window_start":0}' } },
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
  { name = 'over', signature = ":over('name', { field = tm.agg.…('…', { over = '1m' }), … } [, options])", cost_ns = 150, state = true,
    about = 'Adds exact aggregates over the last minute, hour … of the key to each event, and passes it on at once.',
    more = { 'Each looks at the events of its key in (t - over, t], t the time of the event, which counts: what had arrived by then. Late',
      'events count too, as far as the watermark - over. count, sum, min, max, avg, stddev, var, first, last, distinct, quantile.',
      'A key holds its events of the longest over, and goes when it has none. An event that is out of order costs what lies',
      'between it and the last one.' },
    options = { { 'max', 'number', 'events of a key held at most', default = 'what --memory allows' },
      { 'max_keys', 'number', 'keys kept at most', default = 'what --memory allows' },
      { 'on_full', 'string', 'what one more event or key does', one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' },
      { 'unbounded', 'boolean', 'accepted; the durations bound what is kept' }, MIGRATE },
    example = [[stream:event_time { field = 'ts' }:key_by 'card'
  :over('rate', { n_1m = tm.agg.count { over = '1m' }, spent = tm.agg.sum('amount', { over = '1h' }) })]],
    input = { '{"ts":0,"card":"a","amount":5}', '{"ts":30000,"card":"a","amount":7}', '{"ts":60000,"card":"a","amount":1}' },
    output = { '{"ts":0,"card":"a","amount":5,"n_1m":1,"spent":5}', '{"ts":30000,"card":"a","amount":7,"n_1m":2,"spent":12}',
      '{"ts":60000,"card":"a","amount":1,"n_1m":2,"spent":13}' } },
  { name = 'late_to', signature = ':late_to(sink)',
    about = 'Where late events of the whole pipeline go, as they came to the step that was to take them.',
    example = [[stream:event_time { field = 'ts' }:window('all', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }
  :late_to(tm.sink.file 'late.ndjson')]],
    input = { '{"ts":1}', '{"ts":60001}', '{"ts":2}' },
    output = { '{"n":1,"window_end":60000,"window_start":0}', '{"n":1,"window_end":120000,"window_start":60000}' } },
}

M.functions = {
  { name = 'tm.window.tumbling', signature = "tm.window.tumbling('1m' [, { offset = '15s', zone = 'Europe/Berlin' }])",
    about = 'Windows of one size, one behind the other: an event is in one.',
    more = { 'With zone they are of local time: a day has 23 or 25 hours when clocks change, an hour that clocks show twice is one window',
      'of two, and a date that a zone skips is none. Bounds are ms since 1970 as ever. At most 200,000 windows of a step are open',
      'at a time.' },
    options = { OFFSET, ZONE },
    example = [[stream:event_time { field = 'ts' }:window('w', tm.window.tumbling('1m', { offset = '30s' }))
  :aggregate { n = tm.agg.count() }]],
    input = { '{"ts":1}', '{"ts":30000}' },
    output = { '{"n":1,"window_end":30000,"window_start":-30000}', '{"n":1,"window_end":90000,"window_start":30000}' } },
  { name = 'tm.window.hopping', signature = "tm.window.hopping('10m', '1m' [, { offset = '15s', zone = 'Europe/Berlin' }])",
    about = 'Windows of one size, a new one after each slide: an event is in all that hold its time.',
    more = { 'A slide longer than the size leaves gaps; events in them are dropped. With zone windows are of local time, as tumbling ones.',
      'At most 200,000 of a step are open at a time.' },
    options = { OFFSET, ZONE },
    example = [[stream:event_time { field = 'ts' }:window('w', tm.window.hopping('2m', '1m')):aggregate { n = tm.agg.count() }]],
    input = { '{"ts":61000}' },
    output = { '{"n":1,"window_end":120000,"window_start":0}', '{"n":1,"window_end":180000,"window_start":60000}' } },
  { name = 'tm.window.session', signature = "tm.window.session('30m' | function(e) return ms end)",
    about = "A window for each burst of a key's events: it ends when none has come for the gap.",
    more = { 'An event gap after the last one, exactly, still belongs to the session. window_end is the last event and its gap. An event',
      'may join sessions: a complete one gives its row anew then, with revision 1, 2 …. It is late where it would begin a session of its',
      'own that was complete lateness ago. A function gives each event a gap of its own, in whole ms. Rows come by window_end, then in',
      'order of the events that set it; early rows by key in order of arrival, then by time.' },
    example = [[stream:event_time { field = 'ts' }:key_by 'user':window('visit', tm.window.session '30m')
  :aggregate { pages = tm.agg.count() }]],
    input = { '{"ts":0,"user":"a"}', '{"ts":1800000,"user":"a"}', '{"ts":3600001,"user":"a"}' },
    output = { '{"pages":2,"user":"a","window_end":3600000,"window_start":0}',
      '{"pages":1,"user":"a","window_end":5400001,"window_start":3600001}' } },
  { name = 'tm.window.count', signature = 'tm.window.count(100 [, { slide = 10 }])',
    about = "Windows of so many events of a key, complete with the last of them; those that are open close at the end of input.",
    more = { 'The first begins with the first event of the key, the next one slide events later; a slide longer than the number leaves',
      'gaps, whose events are dropped. Needs no event time; rows have no bounds and the time of their last event.' },
    options = { { 'slide', 'any', 'after how many events the next window begins', default = 'the number' } },
    example = [[stream:key_by 'user':window('w', tm.window.count(2)):aggregate { total = tm.agg.sum 'v' }]],
    input = { '{"user":"a","v":1}', '{"user":"b","v":10}', '{"user":"a","v":2}', '{"user":"a","v":3}' },
    output = { '{"total":3,"user":"a"}', '{"total":10,"user":"b"}', '{"total":3,"user":"a"}' } },
  { name = 'tm.window.sliding', signature = "tm.window.sliding '1m'",
    about = 'For each event the window that ends with it: (t - size, t], exactly. A row an event, in order of event time.',
    more = { 'The row comes when the watermark has passed the event, and has window_start = t - size + 1, window_end = t + 1, the first',
      'time not in it. Aggregates are those of over, which passes the event on at once instead.' },
    example = [[stream:event_time { field = 'ts', out_of_order = '1s' }:window('w', tm.window.sliding '1m')
  :aggregate { n = tm.agg.count() }]],
    input = { '{"ts":1000}', '{"ts":500}', '{"ts":60500}' },
    output = { '{"n":1,"window_end":501,"window_start":-59499}', '{"n":2,"window_end":1001,"window_start":-58999}',
      '{"n":2,"window_end":60501,"window_start":501}' } },
  { name = 'tm.window.global', signature = 'tm.window.global()',
    about = 'One window for all time, closed at the end of input; its rows have no bounds and the time of its last event.',
    example = [[stream:window('w', tm.window.global()):aggregate { n = tm.agg.count() }:emit { early = { count = 2 } }]],
    input = { '{"v":1}', '{"v":2}', '{"v":3}' }, output = { '{"n":2}', '{"n":3}' } },
}

return M
