--[[
catalog.lua - the one table of what scripts can call: operators, aggregates, sources, sinks, functions of tm. `tidemill list`
and `tidemill help NAME` print it, the builder reads its options here, `check` which operators keep state. A test compares it
with what exists, and runs its examples.

  entry    name       as a script writes it: 'filter' (an operator), 'tm.sink.file'
           kind       'operator' 'aggregate' 'source' 'sink' 'function'
           signature  the whole call
           about      one line; more: further lines, each a sentence or two
           cost_ns    of one event, order of magnitude on one core, by `run` over the 228-byte events of tests/bench with and
                      without it; nil: costs nothing while events pass
           state      true: keeps something from one event to the next; bounds: the options that bound it
           options    list of { name, type, about, default =, required =, one_of = }; type 'any' is checked elsewhere
           example    code for -e; input, output: lines it reads (input_file: from there) and writes. Nothing of the host is
                      needed to load this file.
]]

local M = {}

local FORMATS = 'json: one object a line; msgpack: maps, end to end; csv; lines: plain text, events are { line = … }'
local BY_NAME = 'csv for *.csv and *.tsv, msgpack for *.msgpack and *.mpk, lines for *.lines, else json'
local IN_FORMAT = { 'format', 'string', 'how events are written; ' .. FORMATS .. '; fluent: msgpack of Fluent Bit and fluentd',
  default = BY_NAME }
local OUT_FORMAT = { 'format', 'string', 'how rows are written; ' .. FORMATS, default = BY_NAME }
local TIME_KEY = { 'time_key', 'string', 'fluent: the field that holds the time of an event, a timestamp', default = 'date' }
local TAG_KEY = { 'tag_key', 'string', 'fluent: the field that holds the tag of an event', default = 'left out' }
local DELIMITER = { 'delimiter', 'string', "csv: one character, also a tab ('\\t')", default = 'a comma; *.tsv: a tab' }
local CRLF = { 'crlf', 'boolean', 'csv, lines: rows end with CR LF', default = 'false' }
local IN_COLUMNS = { 'columns', 'any', 'csv: the list of names; then the first row is an event', default = 'the first row' }
local IN_HEADER = { 'header', 'boolean', 'csv: the first row of each file is no event', default = 'true without columns' }
local OUT_COLUMNS = { 'columns', 'any', 'csv: the list of names', default = 'of select, else of the first row' }
local OUT_HEADER = { 'header', 'boolean', 'csv: the names are written first in each file, but not into one that has something in it',
  default = 'true' }
local RECORD = { 'record', 'table', "lines: { start = '^%d%d%d%d%-', max_lines = 1000, timeout = '5s' }: an event is several lines, " ..
  'from one that the Lua pattern start matches up to the next such line', default = 'a line is an event' }
local SOURCE_NAME = { 'name', 'string', 'what it is called in messages', default = 'the path' }
local GUARANTEE = { 'guarantee', 'string', 'refused where it cannot be kept: with --data files and databases keep exactly once',
  one_of = { 'exactly_once', 'at_least_once', 'at_most_once' }, default = 'the best there is' }
local SINK_NAME = { 'name', 'string', 'what it is called in the summary', default = 'the path' }

local RATE = { 'rate', 'string', "events at most a second, minute or hour: '1000/s', '6/m', '20/h'", default = 'as fast as they go' }
local MIGRATE = require('tidemill.catalog_shared').MIGRATE
local MAX_KEYS = { 'max_keys', 'number', 'keys kept at most' }
local ON_FULL = { 'on_full', 'string', 'what a further key does', one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' }
local TTL = { 'ttl', 'any', 'a duration: a key that no event came to for so long goes; needs event_time' }
local ELEMENT_TTL = { 'ttl', 'any', 'a duration: an element that was not written for so long goes; needs event_time' }
local UNBOUNDED = { 'unbounded', 'boolean', 'true: any number of keys is meant' }
local OWN_KEY = "a field, a list of fields, or { function(e) … end, 'name' }"

local operators = {
  { name = 'from', signature = ':from(source | stream)', about = 'What the pipeline reads.',
    more = { 'Stands first. A source, a stream of another pipeline, or a tm.union. Without it: --from, else standard input.',
      'What fails in this pipeline does not undo what the other one did.' },
    example = "stream:from(tm.source.file 'old.ndjson'):filter(function(e) return e.ok end)",
    input = { '{"id":1,"ok":true}', '{"id":2,"ok":false}' }, input_file = 'old.ndjson', output = { '{"id":1,"ok":true}' } },
  { name = 'filter', signature = ':filter(function(e) … end)', cost_ns = 10,
    about = 'Keeps the events for which the function is true.',
    example = 'stream:filter(function(e) return e.amount > 100 end)',
    input = { '{"amount":120}', '{"amount":80}' }, output = { '{"amount":120}' } },
  { name = 'map', signature = ':map(function(e) … end)', cost_ns = 100,
    about = 'Replaces the event by what the function returns.',
    more = { 'The event itself, changed or not; a table, which is a new event; or nil, which drops it.' },
    example = 'stream:map(function(e) e.eur = e.amount * (e.fx or 1) return e end)',
    input = { '{"amount":10,"fx":1.5}', '{"amount":2}' }, output = { '{"amount":10,"fx":1.5,"eur":15}', '{"amount":2,"eur":2}' } },
  { name = 'flat_map', signature = ':flat_map(function(e, emit) … end)', cost_ns = 300,
    about = 'Any number of events out of each: emit(table) makes one.',
    more = { 'A table given to emit is taken at once and may be used again. Cost is that of one emit.' },
    example = 'stream:flat_map(function(e, emit) for _, sku in ipairs(e.items) do emit { id = e.id, sku = sku } end end)',
    input = { '{"id":7,"items":["a","b"]}' }, output = { '{"id":7,"sku":"a"}', '{"id":7,"sku":"b"}' } },
  { name = 'select', signature = ":select { 'field', … }", cost_ns = 100,
    about = 'Keeps only these fields, in this order; an absent one is left out.',
    example = "stream:select { 'amount', 'id' }",
    input = { '{"id":1,"pan":"4000","amount":9.50}' }, output = { '{"amount":9.50,"id":1}' } },
  { name = 'drop', signature = ":drop { 'field', … }", cost_ns = 300, about = 'Removes these fields.',
    example = "stream:drop { 'pan' }", input = { '{"id":1,"pan":"4000","amount":9.50}' }, output = { '{"id":1,"amount":9.50}' } },
  { name = 'rename', signature = ":rename { old = 'new', … }", cost_ns = 300, about = 'Renames fields, all at once.',
    example = "stream:rename { amt = 'amount' }", input = { '{"id":1,"amt":9.50}' }, output = { '{"id":1,"amount":9.50}' } },
  { name = 'set', signature = ':set { field = function(e) … end | value, … }', cost_ns = 100,
    about = 'Sets fields; every function reads the event as it was before the step.',
    example = 'stream:set { a = function(e) return e.b end, b = function(e) return e.a end }',
    input = { '{"a":1,"b":2}' }, output = { '{"a":2,"b":1}' } },
  { name = 'schema', signature = ":schema { field = 'type', … }", cost_ns = 100,
    about = 'Fixes the types of fields for every event of the pipeline; another type fails the event.',
    more = { 'Types: string number integer int64 decimal(n) boolean time_s time_ms time_us time_ns time_iso8601 any.',
      'int64 reads as digits; decimal(2) is compared and written exactly. A field that is absent or null always passes.' },
    example = "stream:schema { id = 'int64', fee = 'decimal(2)' }:set { fee = function(e) return e.fee * 1.5 end }",
    input = { '{"id":9223372036854775807,"fee":0.30}' }, output = { '{"id":9223372036854775807,"fee":0.45}' } },
  { name = 'key_by', signature = ":key_by('field' | { fields } | function(e) … end, 'name' [, options])", cost_ns = 300,
    about = 'Names the key of the events; {} removes it.',
    more = { 'It stays until the next key_by; rows made of an event have its key. 1 and "1" differ.' },
    options = { { 'missing', 'string', "an event without the key: 'drop' it, or 'keep' it without a key",
      one_of = { 'drop', 'keep' }, default = 'the event fails' } },
    example = "stream:key_by('card', { missing = 'drop' }):map(function(e) return { key = tm.meta(e).key } end)",
    input = { '{"card":"c1"}', '{"id":2}' }, output = { '{"key":"c1"}' } },
  { name = 'running', signature = ":running('name', { field = tm.agg.…, … } [, options])", cost_ns = 100, state = true,
    bounds = { 'ttl', 'max_keys', 'unbounded' },
    about = 'Aggregates over all events of the key so far: a row after each event.',
    more = { "The row has the key's fields and the aggregates. With emit = 'final' it comes once a key, at the end of input, in order",
      "of the keys' first arrival." },
    options = { { 'emit', 'string', 'when rows come', one_of = { 'final' }, default = 'after each event' },
      MIGRATE, TTL, MAX_KEYS, ON_FULL, UNBOUNDED },
    example = "stream:key_by 'card':running('spent', { n = tm.agg.count(), total = tm.agg.sum 'amount' }, { max_keys = 1e6 })",
    input = { '{"card":"a","amount":1.5}', '{"card":"b","amount":2}', '{"card":"a","amount":3}' },
    output = { '{"card":"a","n":1,"total":1.5}', '{"card":"b","n":1,"total":2}', '{"card":"a","n":2,"total":4.5}' } },
  { name = 'process', signature = ":process('name', { state = { … }, on_event = function(e, s, ctx) … end, … })",
    cost_ns = 300, state = true, bounds = { 'ttl', 'max_keys', 'unbounded' },
    about = "An operator of your own with typed state a key; what it emits goes on.",
    more = { 'A field of the state is declared by a start value, a type (number integer boolean string any) or tm.state.list, map, set.',
      'ctx: key, new (the first event of the key), time (of event_time), watermark, emit(row), clear(). A failing event leaves no',
      'change behind. ctx.timer(name, ms) calls on_timer when the watermark reaches that time, ctx.cancel(name) forgets it: one a key',
      "and name, a later call replaces it. ctx.wall_timer(name, '30s') calls it when so long has passed by the clock, also while no input",
      'comes, with ctx.time the watermark + 1. At the end of input every timer fires; ctx.clear() removes them too.' },
    options = { { 'state', 'table', 'the fields of the state', default = 'none' },
      { 'on_event', 'any', 'function(e, s, ctx), called for each event', required = true },
      { 'on_timer', 'any', 'function(name, s, ctx), called when a timer is due; ctx.timer needs event_time' },
      { 'ttl', 'any', "a duration: keys that no event or timer came to for as long go; needs event_time" },
      { 'on_expire', 'any', 'function(s, ctx), called before such a key goes' },
      { 'migrate', 'any', "function(old), called once a key when a run that is kept (--data) goes on with other fields, or another " ..
        "`version`: the fields it had as a plain table, returns the new ones; or 'drop': what has gone is lost" },
      { 'version', 'number', 'a whole number; another one calls `migrate` though the fields are the same, with the one that is kept as ' ..
        'its second parameter' },
      MAX_KEYS, ON_FULL, UNBOUNDED },
    example = [[stream:key_by 'card':process('first', { state = { n = 0 }, max_keys = 1e6, on_event = function(e, s, ctx)
  s.n = s.n + 1
  if s.n == 2 then ctx.emit { card = ctx.key, second = e.amount } end
end })]],
    input = { '{"card":"a","amount":1}', '{"card":"b","amount":2}', '{"card":"a","amount":3}' },
    output = { '{"card":"a","second":3}' } },
  { name = 'event_time', signature = ":event_time { field = 'ts' [, unit = 'ms'] [, out_of_order = '5s'] … }", cost_ns = 10,
    about = 'Declares the time of events, which tm.time(e) and ctx.time read: milliseconds since 1970.',
    more = { 'An event whose field is missing, or no time, fails. Numbers may be text; iso8601 may have a zone (+01:00), else it is UTC.',
      'May stand anywhere, also twice: the last one in front of a step counts. Rows made of an event have its time; a pipeline that',
      'reads another one declares its own. What is finer than a millisecond is cut off.' },
    options = { { 'field', 'string', 'the field that holds the time', required = true },
      { 'unit', 'string', 'what it counts', one_of = { 's', 'ms', 'us', 'ns', 'iso8601' }, default = 'ms' },
      { 'out_of_order', 'any', "how late an event may come: the watermark, from which on nothing older is waited for, follows the " ..
        'largest time at this distance', default = 'nothing' },
      { 'max_ahead', 'any', 'an event further ahead of the clock at its arrival is sent to late_to and moves no watermark',
        default = "files: none; live input '1h'" },
      { 'idle_after', 'any', 'an input that brought nothing for so long is not waited for', default = "'1m'" } },
    example = "stream:event_time { field = 'at', unit = 'iso8601' }:set { ms = tm.time }",
    input = { '{"at":"1970-01-01T01:00:00.5+01:00"}' }, output = { '{"at":"1970-01-01T01:00:00.5+01:00","ms":500}' } },
  { name = 'processing_time', signature = ':processing_time()', cost_ns = 5,
    about = 'The time of events is when they arrived, and the watermark is the clock: windows and timers go by it.',
    more = { 'What comes out then depends on when a run takes place: for results that can be repeated write event_time.',
      'Windows that are open at the natural end of input close then.' },
    example = [[stream:processing_time():window('all', tm.window.tumbling '1m'):aggregate { n = tm.agg.count() }:select { 'n' }]],
    input = { '{"a":1}', '{"a":2}' }, output = { '{"n":2}' } },
  { name = 'dedup', signature = ":dedup('name', { on = 'id', … })", cost_ns = 100, state = true,
    bounds = { 'ttl', 'max_keys', 'within', 'unbounded' },
    about = 'Lets the first of equal events pass and drops the others.',
    more = { "within = '1h' (needs event_time): dropped is only what lies less than that before or behind the last event that passed, in",
      "order of arrival, until the watermark is that far. keep = 'last': an event passes, with a field `revision` (0, 1 …), unless its",
      "bytes are those of the last one. keep = 'last' with `within`: of the events from a key's first one to `within` after it, by event",
      'time, the last is sent when the watermark has passed that; at an end that comes early with partial = true. A duplicate keeps its',
      'key from being the oldest, and from its ttl. An event without the field fails.' },
    options = { { 'on', 'any', 'what makes two events equal: ' .. OWN_KEY, default = 'the key of key_by' },
      { 'within', 'any', "how long it is remembered, such as '1h'", default = 'for ever' },
      { 'keep', 'string', 'the first one, or each change (with within: the last one)',
        one_of = { 'first', 'last' }, default = 'first' },
      MIGRATE, TTL, MAX_KEYS, ON_FULL, UNBOUNDED },
    example = "stream:dedup('once', { on = 'id', max_keys = 1e6 })",
    input = { '{"id":1,"v":"a"}', '{"id":2,"v":"b"}', '{"id":1,"v":"c"}' }, output = { '{"id":1,"v":"a"}', '{"id":2,"v":"b"}' } },
  { name = 'top', signature = ":top('name', n, 'field' [, options])", cost_ns = 100, state = true,
    bounds = { 'ttl', 'max_keys', 'unbounded' },
    about = 'The n events of each key with the largest values of a field, best first.',
    more = { 'After each event that changes the list all its rows: the fields of the events, `rank` from 1, and `revision`, the number of',
      'changes before. Equal values: the earlier event time, then who came first. Values are numbers, or strings by byte; events without',
      'one are dropped. A list goes on, or fails, as a whole. Cost is that of an event that changes nothing.' },
    options = { { 'order', 'string', 'desc: the largest; asc: the least', one_of = { 'desc', 'asc' }, default = 'desc' },
      { 'emit', 'string', 'when rows come; final: at the end of input, keys in order of their first arrival', one_of = { 'final' },
        default = 'after each change' },
      MIGRATE, TTL, MAX_KEYS, ON_FULL, UNBOUNDED },
    example = "stream:key_by 'shop':top('best', 2, 'amount', { emit = 'final', max_keys = 1e4 })",
    input = { '{"shop":"a","amount":5}', '{"shop":"a","amount":9}', '{"shop":"a","amount":7}' },
    output = { '{"shop":"a","amount":9,"rank":1,"revision":2}', '{"shop":"a","amount":7,"rank":2,"revision":2}' } },
  { name = 'sample', signature = ":sample(0.01) | :sample { rate = 0.01, on = 'field', seed = 1 } | :sample { every = 10 }", cost_ns = 30,
    about = 'Keeps a share of the events, the same ones in each run.',
    more = { 'With `on` all events of a value or none (by its XXH64); else by the number of the event in its source or link (bad lines',
      'count, blank ones do not), so that rows made of one event stay together. A smaller rate keeps a part of what a larger one does.',
      'every = 10: the 10th, 20th … event of the source: in front of filters, or in a pipeline of its own behind them.' },
    options = { { 'rate', 'number', 'the share, from 0 to 1' }, { 'every', 'number', 'instead of a rate: each so many-th' },
      { 'on', 'any', OWN_KEY, default = "the event's number" },
      { 'seed', 'number', 'another whole number keeps other events', default = '0' } },
    example = 'stream:sample { every = 2 }',
    input = { '{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}' }, output = { '{"n":2}', '{"n":4}' } },
  { name = 'throttle', signature = ":throttle('name', { rate = '10/s', by = 'card', … })", cost_ns = 100, state = true,
    bounds = { 'max_keys', 'unbounded' },
    about = 'At most so many events of a key in so much event time; the others are dropped.',
    more = { 'Needs event_time. A bucket: it holds n at first, an event that passes takes 1, n come back in `per`, evenly, up to n.',
      'So in any span d at most n + n * d / per pass. An event older than one before it finds the bucket as that one left it.' },
    options = { { 'rate', 'any', "'10/s' (ms s m h d) or { 10, per = '5m' }", required = true },
      { 'by', 'any', OWN_KEY, default = 'the key of key_by, or none' }, MIGRATE, MAX_KEYS, ON_FULL, UNBOUNDED },
    example = "stream:event_time { field = 'ts', unit = 's' }:throttle('calm', { by = 'card', rate = { 1, per = '10s' }, max_keys = 1e6 })",
    input = { '{"card":"a","ts":0}', '{"card":"a","ts":9}', '{"card":"b","ts":9}', '{"card":"a","ts":10}' },
    output = { '{"card":"a","ts":0}', '{"card":"b","ts":9}', '{"card":"a","ts":10}' } },
  { name = 'suppress', signature = ":suppress('name', { by = 'card', within = '10m', … })", cost_ns = 100, state = true,
    bounds = { 'max_keys', 'unbounded' },
    about = 'The first event of a key passes, what follows within a time is held back and counted.',
    more = { 'Needs event_time. The period ends with the first event of the key at the time of the first one plus `within`, or later.',
      'In front of it comes a row with the fields of `by` and `suppressed`, how many were held back, if any were; periods still open at',
      "the end of input give it in order of the keys' first arrival. Its time is the last ms of the period; with `by` it has no key." },
    options = { { 'by', 'any', OWN_KEY, default = 'the key of key_by, or none' },
      { 'within', 'any', "how long, such as '10m'", required = true }, MIGRATE, MAX_KEYS, ON_FULL, UNBOUNDED },
    example = "stream:event_time { field = 'ts', unit = 's' }:suppress('calm', { by = 'card', within = '1m', max_keys = 1e6 })",
    input = { '{"card":"a","ts":0}', '{"card":"a","ts":10}', '{"card":"a","ts":20}', '{"card":"a","ts":60}', '{"card":"a","ts":61}' },
    output = { '{"card":"a","ts":0}', '{"card":"a","suppressed":2}', '{"card":"a","ts":60}', '{"card":"a","suppressed":1}' } },
  { name = 'branch', signature = ':branch { name = function(e) … end, …, rest = true }', cost_ns = 10,
    about = 'To every branch whose function is true, to the one that is `true` if none was.',
    more = { 'Ends the chain and returns a table of streams, each of which sees the event as it was here.' },
    example = [[local out = stream:branch { big = function(e) return e.n > 5 end, odd = function(e) return e.n % 2 == 1 end }
return { out.big:set { big = true }, out.odd:set { odd = true } }]],
    input = { '{"n":7}', '{"n":3}' }, output = { '{"n":7,"big":true}', '{"n":7,"odd":true}', '{"n":3,"odd":true}' } },
  { name = 'route', signature = ":route { { 'name', function(e) … end }, …, { 'rest' } }", cost_ns = 10,
    about = 'To the first of the list whose function is true; one without a function takes what is left.',
    more = { 'Ends the chain and returns a table of streams.' },
    example = [[local out = stream:route { { 'big', function(e) return e.n > 5 end }, { 'small' } }
return { out.big:set { big = true }, out.small:to(tm.sink.discard()) }]],
    input = { '{"n":7}', '{"n":3}' }, output = { '{"n":7,"big":true}' } },
  { name = 'on_error', signature = ':on_error(sink)',
    about = 'Where dead letters of the whole pipeline go: events that failed, with the reason.',
    more = { 'A dead letter is { at, code, event, pipeline, position, reason, step }, and key where the event had one.' },
    example = "stream:on_error(tm.sink.file 'bad.ndjson'):filter(function(e) return e.amount > 100 end)",
    input = { '{"amount":120}', '{"amount":"much"}' }, output = { '{"amount":120}' } },
  { name = 'to', signature = ':to(sink)', cost_ns = 100, about = 'Writes the events to a sink; may be repeated.',
    more = { 'A stream that is returned without it goes to --to, else to standard output.' },
    example = "stream:to(tm.sink.stdout()):filter(function(e) return e.n > 1 end):to(tm.sink.file 'large.ndjson')",
    input = { '{"n":1}', '{"n":2}' }, output = { '{"n":1}', '{"n":2}' } },
}

local WHERE = { 'where', 'any', 'function(e): only events for which it is true count' }
local OVER = { 'over', 'any', "in :over, how far it looks back: '1m'" }
local V = { '{"v":2}', '{"v":1}', '{"v":6}' }
local function running(agg) return "stream:running('all', { x = " .. agg .. " }, { unbounded = true })" end

-- Entries come with the aggregates themselves.
local aggregates = {
  { name = 'tm.agg.count', signature = "tm.agg.count([options])", cost_ns = 10, state = true, about = 'How many events.',
    options = { WHERE, OVER }, example = running "tm.agg.count { where = function(e) return e.v > 1 end }",
    input = V, output = { '{"x":1}', '{"x":1}', '{"x":2}' } },
  { name = 'tm.agg.sum', signature = "tm.agg.sum('field' [, options])", cost_ns = 10, state = true,
    about = 'Sum of a field, exact and rounded once, whatever the order.',
    more = { 'Integers and decimals leave exactly up to 2^127, also where a double would round them.' },
    options = { WHERE, OVER }, example = running "tm.agg.sum 'v'", input = V, output = { '{"x":2}', '{"x":3}', '{"x":9}' } },
  { name = 'tm.agg.avg', signature = "tm.agg.avg('field' [, options])", cost_ns = 10, state = true,
    about = 'Mean of a field: the exact sum, divided and rounded once; null while it has no value.',
    options = { WHERE, OVER }, example = running "tm.agg.avg 'v'", input = V, output = { '{"x":2}', '{"x":1.5}', '{"x":3}' } },
  { name = 'tm.agg.var', signature = "tm.agg.var('field' [, options])", cost_ns = 300, state = true,
    about = "Variance of a sample (n - 1), of exact sums, rounded once; null below two values.",
    options = { WHERE, OVER }, example = running "tm.agg.var 'v'", input = V, output = { '{"x":null}', '{"x":0.5}', '{"x":7}' } },
  { name = 'tm.agg.stddev', signature = "tm.agg.stddev('field' [, options])", cost_ns = 300, state = true,
    about = "Standard deviation of a sample (n - 1), of exact sums, rounded once; null below two values.",
    options = { WHERE, OVER }, example = running "tm.agg.stddev 'v'",
    input = { '{"v":2}', '{"v":5}', '{"v":8}' }, output = { '{"x":null}', '{"x":2.1213203435596424}', '{"x":3}' } },
  { name = 'tm.agg.min', signature = "tm.agg.min('field' [, options])", cost_ns = 10, state = true,
    about = 'Least value of a field: numbers, or strings by byte.',
    options = { WHERE, OVER }, example = running "tm.agg.min 'v'", input = V, output = { '{"x":2}', '{"x":1}', '{"x":1}' } },
  { name = 'tm.agg.max', signature = "tm.agg.max('field' [, options])", cost_ns = 10, state = true,
    about = 'Greatest value of a field: numbers, or strings by byte.',
    options = { WHERE, OVER }, example = running "tm.agg.max 'v'", input = V, output = { '{"x":2}', '{"x":2}', '{"x":6}' } },
  { name = 'tm.agg.first', signature = "tm.agg.first('field' [, options])", cost_ns = 10, state = true,
    about = 'First value of a field that is not nil: by event time, of equal times the first that came; without one by arrival.',
    options = { WHERE, OVER }, example = running "tm.agg.first 'v'", input = V, output = { '{"x":2}', '{"x":2}', '{"x":2}' } },
  { name = 'tm.agg.last', signature = "tm.agg.last('field' [, options])", cost_ns = 10, state = true,
    about = 'Last value of a field that is not nil: by event time, of equal times the last that came; without one by arrival.',
    options = { WHERE, OVER }, example = running "tm.agg.last 'v'", input = V, output = { '{"x":2}', '{"x":1}', '{"x":6}' } },
  { name = 'tm.agg.argmin', signature = "tm.agg.argmin('field' [, 'other' | { … }] [, options])", cost_ns = 100, state = true,
    about = 'What another field held in the event in which this one was least.',
    more = { 'A list of fields gives an object, nothing gives the event. Of equal values the earlier, by event time, then arrival.' },
    options = { WHERE }, example = running "tm.agg.argmin('v', 'id')",
    input = { '{"id":"a","v":2}', '{"id":"b","v":1}', '{"id":"c","v":1}' }, output = { '{"x":"a"}', '{"x":"b"}', '{"x":"b"}' } },
  { name = 'tm.agg.argmax', signature = "tm.agg.argmax('field' [, 'other' | { … }] [, options])", cost_ns = 100, state = true,
    about = 'What another field held in the event in which this one was greatest.',
    more = { 'A list of fields gives an object, nothing gives the event. Of equal values the earlier, by event time, then arrival.' },
    options = { WHERE }, example = running "tm.agg.argmax('v', { 'id', 'v' })",
    input = { '{"id":"a","v":2}', '{"id":"b","v":1}', '{"id":"c","v":6,"z":0}' },
    output = { '{"x":{"id":"a","v":2}}', '{"x":{"id":"a","v":2}}', '{"x":{"id":"c","v":6}}' } },
  { name = 'tm.agg.collect', signature = "tm.agg.collect(['field'] [, options])", cost_ns = 300, state = true,
    about = 'The values of a field, or without one the events, as a list by event time, then arrival.',
    more = { 'A full list drops its oldest. Cost is that of an event; a row is as long as its list.' },
    options = { WHERE, { 'max', 'number', 'values kept at most, up to 100000', default = '10000' } },
    example = running "tm.agg.collect('v', { max = 2 })", input = V, output = { '{"x":[2]}', '{"x":[2,1]}', '{"x":[1,6]}' } },
  { name = 'tm.agg.distinct', signature = "tm.agg.distinct('field' [, options])", cost_ns = 100, state = true,
    about = 'How many different values, exactly; 1 and "1" differ.',
    more = { 'Numbers, strings and booleans. An event with one value more than max fails.' },
    options = { WHERE, OVER, { 'max', 'number', 'values kept at most', default = 'what --memory allows' } },
    example = running "tm.agg.distinct 'v'",
    input = { '{"v":1}', '{"v":"1"}', '{"v":1.0}' }, output = { '{"x":1}', '{"x":2}', '{"x":2}' } },
  { name = 'tm.agg.approx_distinct', signature = "tm.agg.approx_distinct('field' [, options])", cost_ns = 100, state = true,
    about = 'How many different values, about: HyperLogLog, standard error 1.15 %.',
    more = { 'The error is 1.04 / sqrt(2^precision). A key takes at most 2^precision bytes and 264; few values take four to eight',
      'each, and are counted almost exactly.' },
    options = { WHERE, { 'precision', 'number', 'from 8 to 16', default = '13' } },
    example = running "tm.agg.approx_distinct 'v'",
    input = { '{"v":"a"}', '{"v":"b"}', '{"v":"a"}' }, output = { '{"x":1}', '{"x":2}', '{"x":2}' } },
  { name = 'tm.agg.quantile', signature = "tm.agg.quantile('field', share [, options])", cost_ns = 100, state = true,
    about = 'The value below which a share of all values lies, off by at most 1 % of itself: DDSketch.',
    more = { 'Of n values in order it is about the one with number share * (n - 1), rounded down, counted from 0; null if there is none.',
      'A key takes 12 bytes for each 2 % between its least and its greatest value that something lies in.' },
    options = { WHERE, OVER, { 'error', 'number', 'relative, from 0.001 to 0.5', default = '0.01' } },
    example = running "tm.agg.quantile('v', 0.5)" .. ":set { x = function(e) return math.floor(e.x + 0.5) end }",
    input = { '{"v":10}', '{"v":30}', '{"v":20}' }, output = { '{"x":10}', '{"x":10}', '{"x":20}' } },
  { name = 'tm.agg.top', signature = "tm.agg.top(n, 'field' [, options])", cost_ns = 100, state = true,
    about = 'The n largest values of a field as a list, the largest first: numbers, or strings by byte.',
    more = { 'A value that comes twice is there twice. The operator :top gives the events.' },
    options = { WHERE, { 'order', 'string', "'asc': the smallest", one_of = { 'desc', 'asc' }, default = 'desc' } },
    example = running "tm.agg.top(2, 'v')", input = V, output = { '{"x":[2]}', '{"x":[2,1]}', '{"x":[6,2]}' } },
  { name = 'tm.agg.heavy_hitters', signature = "tm.agg.heavy_hitters('field' [, n] [, options])", cost_ns = 200, state = true,
    about = 'The n values (10) that come most often, with counts: SpaceSaving.',
    more = { 'The true count lies between count - error and count; error is at most events / counters, and 0',
      'while there are no more values than counters. Every value that comes more often than that is counted.' },
    options = { WHERE, { 'counters', 'number', 'values counted at once, up to 10000', default = '10 n, at least 100' } },
    example = running "tm.agg.heavy_hitters('v', 1)", input = { '{"v":"a"}', '{"v":"b"}', '{"v":"b"}' },
    output = { '{"x":[{"count":1,"error":0,"value":"a"}]}', '{"x":[{"count":1,"error":0,"value":"a"}]}',
      '{"x":[{"count":2,"error":0,"value":"b"}]}' } },
  { name = 'tm.agg.ewma', signature = "tm.agg.ewma('field', { half_life = '5m', … })", cost_ns = 50, state = true,
    about = 'Mean of a field in which an event counts half as much as one that is half_life later.',
    more = { 'By event time, in any order; null while it has no value.' },
    options = { WHERE, { 'half_life', 'any', "a duration such as '5m'", required = true } },
    example = "stream:event_time { field = 'ts', unit = 's' }:running('all', { x = tm.agg.ewma('v', { half_life = '1m' }) }, " ..
      "{ unbounded = true })",
    input = { '{"ts":0,"v":8}', '{"ts":60,"v":2}' }, output = { '{"x":8}', '{"x":4}' } },
  { name = 'tm.agg.custom', signature = 'tm.agg.custom { init = …, add = function(acc, e) … end, … }', cost_ns = 1000, state = true,
    about = 'An aggregate of functions; the accumulator is a value of any type but nil.',
    more = { 'add gets a copy of the accumulator, may change it, and returns it. Windows that merge (sessions, hopping) need merge.' },
    options = { WHERE, { 'init', 'any', 'the first accumulator, or a function that returns it', required = true },
      { 'add', 'any', 'function(acc, e), which returns the new accumulator', required = true },
      { 'merge', 'any', 'function(a, b), which returns one accumulator of two' },
      { 'result', 'any', 'function(acc): what a row shows', default = 'the accumulator' } },
    example = running "tm.agg.custom { init = 1, add = function(acc, e) return acc * e.v end }", input = V,
    output = { '{"x":2}', '{"x":2}', '{"x":12}' } },
}

local sources = {
  { name = 'tm.source.file', signature = "tm.source.file('path' | { path = 'path' | { paths }, … })", cost_ns = 200,
    about = 'Files: one, a list, those that match a pattern, all in a folder.',
    more = { 'In the order of their names, byte by byte. In a pattern * ? [a-z] stand for parts of a name; a folder means all',
      'regular files in it but hidden ones, not those of folders below. A file that is called like a pattern is meant itself.',
      'Found when the run starts: what comes later is not read. gzip and zstd are recognized by content.',
      'With follow = true files are read on as they grow, through rotation by renaming and by truncation, and new ones are',
      'looked for; the run then ends when it is told to. Cost is that of checking and reading 228 bytes of JSON.',
      'With record = { start = pattern } an event is { line = … } of several lines: one that the Lua pattern start matches, and',
      'all up to the next such line, blank ones too, joined by LF. A record also ends with max_lines (1000), before a line with',
      'which it would be longer than --max-event, with its file, and, of what can be silent (a followed file, a pipe), when',
      'nothing came for timeout (5s). Lines in front of the first start, or behind an end without one, are a record of their own.' },
    options = { { 'path', 'any', 'a path, or a list of them', required = true }, IN_FORMAT, DELIMITER, IN_COLUMNS, IN_HEADER, TIME_KEY,
      TAG_KEY, RECORD, { 'follow', 'boolean', 'true: read on as files grow, as tail -F does', default = 'false' }, RATE, SOURCE_NAME },
    example = "stream:from(tm.source.file 'data/*.ndjson')",
    input = { '{"n":1}' }, input_file = 'data/a.ndjson', output = { '{"n":1}' } },
  { name = 'tm.source.stdin', signature = 'tm.source.stdin([options])', cost_ns = 200, about = 'Standard input.',
    more = { 'gzip and zstd are recognized by content. record is that of tm.source.file.' },
    options = { IN_FORMAT, DELIMITER, IN_COLUMNS, IN_HEADER, TIME_KEY, TAG_KEY, RECORD, RATE,
      { 'name', 'string', 'what it is called in messages', default = 'stdin' } },
    example = 'stream:from(tm.source.stdin())', input = { '{"n":1}' }, output = { '{"n":1}' } },
  { name = 'tm.source.every', signature = "tm.source.every('10s' | { '10s', … })", cost_ns = 1000,
    about = 'A clock: { time, n } at every full period since the run began.',
    more = { 'time is when the tick was due, in ms; n counts from 1. Ticks that nobody had time for are made up for.' },
    options = { { 'period', 'any', "time between two, such as '10s' (or the first item)", required = true },
      { 'count', 'number', 'how many at most', default = 'no end' },
      { 'name', 'string', 'what it is called in messages', default = 'every' } },
    example = "stream:from(tm.source.every { '10ms', count = 2 }):select { 'n' }", output = { '{"n":1}', '{"n":2}' } },
  { name = 'tm.source.generate', signature = 'tm.source.generate(function(i) … end [, options])', cost_ns = 1000,
    about = 'Calls the function with 1, 2, … for a table (or a JSON text) each, until it returns nil.',
    options = { { 'count', 'number', 'how many events at most', default = 'no end' }, RATE,
      { 'name', 'string', 'what it is called in messages', default = 'generate' } },
    example = 'stream:from(tm.source.generate(function(i) return { i = i } end, { count = 2 }))',
    output = { '{"i":1}', '{"i":2}' } },
  { name = 'tm.source.log', signature = "tm.source.log('name' | { name = 'name', … })", cost_ns = 200,
    about = 'An event log that tm.sink.log writes, in this run or another one (--data DIR).',
    more = { 'The line number of an event is its sequence in the log. A place in a log is start, end, a sequence number, a time such as',
      "'2026-03-01T10:00:00Z', or '@' and ms since 1970; both ends are included. By time the events are read whose own time lies there,",
      'in the order of the log. It is read while it is written; what its retention deleted before it was read is told and counted.' },
    options = { { 'name', 'string', 'the log', required = true },
      { 'from', 'any', 'where to begin', default = "'start'" },
      { 'to', 'any', 'where to end; then it is not followed', default = 'end' },
      { 'follow', 'boolean', 'true: read on as it is written; false: to where it ended when the run began',
        default = 'true without to' } },
    example = "stream:from(tm.source.log { name = 'payments', follow = false })",
    input = { '{"n":1}', '{"n":2}' }, output = { '{"n":1}', '{"n":2}' } },
}

local sinks = {
  { name = 'tm.sink.file', signature = "tm.sink.file('path' | { path = 'path', … })", cost_ns = 10,
    about = 'Appends to a file, or to many whose names are made of fields.',
    more = { "In the path {f} is the row's field f: 'out/{day}/{shop}.ndjson'. Characters other than letters, digits and . _ : -",
      'become %XX, a field that is absent or null %null, an empty one %empty; folders are made; {{ and }} are braces.',
      'A path that ends in .gz or .zst is compressed. With roll a file gets its name, with a number, when it is complete:',
      'out-000001.ndjson; until then it ends in .part. Cost is that of one plain file; with fields 300.' },
    options = { { 'path', 'string', 'the file; made if it is not there', required = true }, OUT_FORMAT, DELIMITER,
      OUT_COLUMNS, OUT_HEADER, CRLF,
      { 'compress', 'string', 'gzip and zstd work in pieces of up to 1 MiB, which wait 10 s at most', one_of = { 'none', 'gzip', 'zstd' },
        default = "by the path's end" },
      { 'roll', 'table', "{ size = '100M', every = '1h' }: bytes of rows before compression; hours of UTC", default = 'never' },
      { 'max_files', 'number', 'different paths of a run at most; one more ends it', default = '10000' }, GUARANTEE, SINK_NAME },
    example = "stream:to(tm.sink.file 'out.ndjson')", input = { '{"n":1}' }, output = {} },
  { name = 'tm.sink.stdout', signature = 'tm.sink.stdout([options])', cost_ns = 10, about = 'Standard output.',
    options = { OUT_FORMAT, DELIMITER, OUT_COLUMNS, OUT_HEADER, CRLF, GUARANTEE,
      { 'name', 'string', 'what it is called in the summary', default = 'stdout' } },
    example = 'stream:to(tm.sink.stdout())', input = { '{"n":1}' }, output = { '{"n":1}' } },
  { name = 'tm.sink.log', signature = "tm.sink.log('name' | { name = 'name', … })", cost_ns = 100,
    about = 'Appends to an event log of the host, in DIR/logs/name (--data DIR).',
    more = { 'Each event has a sequence number there, from 1, and a time: its event time where it has one, else when it was written.',
      'tm.source.log, `tidemill log` and `tidemill replay` read it, also while it is written. One run at a time writes a log. Full',
      'segments are compressed with zstd, and go as retention says, oldest first; the one being written never does.' },
    options = { { 'name', 'string', 'the log: letters, digits and . _ -', required = true },
      { 'retention', 'table', "{ age = '7d', bytes = '10G' }: segments go so long after they were full, or while all are larger",
        default = 'all is kept' },
      { 'segment', 'string', 'how large a segment gets', default = '64M' } },
    example = "stream:to(tm.sink.log 'payments')", input = { '{"n":1}' }, output = {} },
  { name = 'tm.sink.sqlite', signature = "tm.sink.sqlite { path = 'out.db', table = 'alerts', … }", cost_ns = 1000,
    about = 'Writes rows into a table of an SQLite database, each once, also when a worker dies.',
    more = { 'A row and the count of rows that are there (table tidemill_tokens) change in one transaction, on a thread of its own.',
      'Columns are those of columns, of the table, of select or of the first row; a row with another field fails. A table or database',
      'that is not there is made, the columns without types. Integers of 64 bits are INTEGER, numbers whose digits a double has REAL,',
      'other numbers TEXT with all digits; true and false 1 and 0, null and what is absent NULL, objects and arrays JSON text.',
      "With key a row replaces the one with the same key. Rows of emit 'retract' do what they say: op = '-' deletes the row with",
      "its key, '+' writes one; op is then a column only if columns or the table has it. A row that the table refuses ends the run." },
    options = { { 'path', 'string', 'the database; made if it is not there', required = true },
      { 'table', 'string', 'the table; made if it is not there', required = true },
      { 'key', 'any', 'upsert: the field, or the list of fields, that says which row is replaced' },
      { 'mode', 'string', 'append: each row is one more; upsert: it replaces the one with its key', one_of = { 'append', 'upsert' },
        default = 'upsert with key, else append' },
      { 'columns', 'any', 'the list of names', default = 'of the table, of select, else of the first row' },
      { 'batch', 'number', 'rows in a transaction at most', default = '10000' }, GUARANTEE,
      { 'name', 'string', 'what it is called in the summary and in tidemill_tokens', default = 'path:table; there the table' } },
    example = "stream:to(tm.sink.sqlite { path = 'out.db', table = 'rows' })", input = { '{"n":1}' }, output = {} },
  { name = 'tm.sink.discard', signature = 'tm.sink.discard()', cost_ns = 10, about = 'Counts rows and keeps nothing.',
    options = {}, example = 'stream:to(tm.sink.discard())', input = { '{"n":1}' }, output = {} },
}

local functions = {
  { name = 'tm.pipeline', signature = "tm.pipeline 'name'", about = 'Begins a pipeline; its name is what counters and messages call it.',
    example = "tm.union(stream, tm.pipeline 'old':from(tm.source.file 'old.ndjson'))",
    input = { '{"n":1}' }, input_file = 'old.ndjson', output = { '{"n":1}' } },
  { name = 'tm.union', signature = 'tm.union(stream, stream, …)', cost_ns = 100, about = 'The events of several streams as one.',
    example = "tm.union(stream, tm.pipeline 'more':from(tm.source.generate(function(i) return { i = i } end, { count = 2 })))",
    input = { '{"n":1}' }, output = { '{"i":1}', '{"i":2}', '{"n":1}' } },
  { name = 'tm.setting', signature = "tm.setting('name' [, default])", about = 'What --set name=value gave, or the default.',
    more = { "A value takes the default's type: with a number as default a text that is none is refused." },
    example = "stream:set { limit = tm.setting('limit', 5) }", input = { '{"n":1}' }, output = { '{"n":1,"limit":5}' } },
  { name = 'tm.copy', signature = 'tm.copy(e)', cost_ns = 10000, about = 'A plain table of an event or of a part of it, to keep.',
    more = { 'Cost is that of 13 fields.' },
    example = 'stream:map(function(e) local t = tm.copy(e.geo) t.n = e.n return t end)',
    input = { '{"n":1,"geo":{"lat":2.5}}' }, output = { '{"lat":2.5,"n":1}' } },
  { name = 'tm.raw', signature = 'tm.raw(e)', cost_ns = 1000, about = "The event's bytes as they came in; of a row made in Lua, its JSON.",
    example = 'stream:map(function(e) return { text = tm.raw(e) } end)',
    input = { '{"n": 1.0}' }, output = { [[{"text":"{\"n\": 1.0}"}]] } },
  { name = 'tm.meta', signature = 'tm.meta(e)', cost_ns = 1000,
    about = 'Where the event came from: { source, position, received, key }.',
    example = 'stream:map(function(e) e.line = tm.meta(e).position return e end)',
    input = { '{"n":1}', '', '{"n":2}' }, output = { '{"n":1,"line":1}', '{"n":2,"line":3}' } },
  { name = 'tm.time', signature = 'tm.time(e)', cost_ns = 10, about = 'Event time in ms; nil until it is declared.',
    example = "stream:event_time { field = 'at', unit = 's' }:set { ms = function(e) return tm.time(e) end }",
    input = { '{"at":1.5}' }, output = { '{"at":1.5,"ms":1500}' } },
  { name = 'tm.is_null', signature = "tm.is_null(e, 'field')", cost_ns = 300,
    about = 'Is the field there and null? (Reading it gives nil, as for a missing one.)',
    example = "stream:filter(function(e) return tm.is_null(e, 'x') end)", input = { '{"x":null}', '{"y":1}' }, output = { '{"x":null}' } },
  { name = 'tm.null', signature = 'tm.null', about = "JSON's null, for writing it: e.x = tm.null. In arrays null is tm.null.",
    example = 'stream:map(function(e) e.x = tm.null return e end)', input = { '{"x":1}' }, output = { '{"x":null}' } },
  { name = 'tm.array', signature = 'tm.array { … }', cost_ns = 300, about = 'A table that is written as [], also when it is empty.',
    example = 'stream:map(function(e) e.tags = tm.array {} return e end)', input = { '{"n":1}' }, output = { '{"n":1,"tags":[]}' } },
  { name = 'tm.bin', signature = 'tm.bin(s)', cost_ns = 3000, about = 'Bytes: bin in msgpack, base64 in JSON.',
    more = { 'A bin that was read is such a value too: # .. and the methods of strings work on it, tostring gives the string.' },
    example = "stream:map(function(e) e.b = tm.bin '\\0\\255' return e end)", input = { '{"n":1}' }, output = { '{"n":1,"b":"AP8="}' } },
  { name = 'tm.ext', signature = 'tm.ext(type, s)', cost_ns = 3000,
    about = 'An extension of msgpack: a type from -128 to 127 and bytes; it has .type and .data.',
    example = "stream:map(function(e) e.x = tm.ext(5, 'abc') return e end)",
    input = { '{"n":1}' }, output = { '{"n":1,"x":{"ext":5,"data":"YWJj"}}' } },
  { name = 'tm.timestamp', signature = 'tm.timestamp(seconds [, nanoseconds])', cost_ns = 3000,
    about = 'A timestamp of msgpack, ISO 8601 in JSON; it has .seconds and .nanoseconds.',
    example = 'stream:map(function(e) e.t = tm.timestamp(e.s, 5e6) return e end)',
    input = { '{"s":0}' }, output = { '{"s":0,"t":"1970-01-01T00:00:00.005Z"}' } },
  { name = 'tm.state.list', signature = 'tm.state.list { … }', state = true,
    about = 'In the state of process: a list; :push :get :set :pop :shift :size :clear :each.',
    more = { 'It counts from 1; a full one drops its oldest element. With ttl :set makes an element as old as the event.' },
    options = { { 'of', 'string', 'type of the elements: number integer string boolean any', default = 'any' },
      { 'max', 'number', 'elements at most' }, ELEMENT_TTL },
    example = [[stream:process('p', { unbounded = true, state = { last = tm.state.list { of = 'number', max = 2 } },
  on_event = function(e, s, ctx)
    s.last:push(e.v) ctx.emit { first = s.last:get(1), n = s.last:size() }
  end })]],
    input = { '{"v":5}', '{"v":6}', '{"v":7}' }, output = { '{"first":5,"n":1}', '{"first":5,"n":2}', '{"first":6,"n":2}' } },
  { name = 'tm.state.map', signature = 'tm.state.map { … }', state = true,
    about = 'In the state of process: a map; :get :set :remove :size :clear :each.',
    options = { { 'key', 'string', 'type of the keys: string number boolean', default = 'any of them' },
      { 'of', 'string', 'type of the values: number integer string boolean any', default = 'any' },
      { 'max', 'number', 'keys at most' },
      { 'on_full', 'string', 'what a further key does', one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' },
      ELEMENT_TTL },
    example = [[stream:process('p', { unbounded = true, state = { n = tm.state.map { key = 'string', of = 'number', max = 100 } },
  on_event = function(e, s, ctx)
    s.n:set(e.v, (s.n:get(e.v) or 0) + 1) ctx.emit { v = e.v, n = s.n:get(e.v) }
  end })]],
    input = { '{"v":"a"}', '{"v":"a"}' }, output = { '{"n":1,"v":"a"}', '{"n":2,"v":"a"}' } },
  { name = 'tm.state.set', signature = 'tm.state.set { … }', state = true,
    about = 'In the state of process: a set; :add :has :remove :size :clear :each.',
    options = { { 'of', 'string', 'type of the elements: string number boolean', default = 'any of them' },
      { 'max', 'number', 'elements at most' },
      { 'on_full', 'string', 'what a further one does', one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' },
      ELEMENT_TTL },
    example = [[stream:process('p', { unbounded = true, state = { seen = tm.state.set { max = 100 } },
  on_event = function(e, s, ctx)
    if s.seen:add(e.v) then ctx.emit { new = e.v } end
  end })]],
    input = { '{"v":"a"}', '{"v":"a"}', '{"v":"b"}' }, output = { '{"new":"a"}', '{"new":"b"}' } },
  { name = 'tm.i64.add', signature = 'tm.i64.add(a, b)', cost_ns = 3000, about = 'Sum of two int64, given and returned as digits.',
    example = "stream:schema { id = 'int64' }:set { id = function(e) return tm.i64.add(e.id, 1) end }",
    input = { '{"id":9007199254740993}' }, output = { '{"id":9007199254740994}' } },
  { name = 'tm.i64.sub', signature = 'tm.i64.sub(a, b)', cost_ns = 3000, about = 'Difference of two int64 given as digits.',
    example = "stream:schema { id = 'int64' }:set { id = function(e) return tm.i64.sub(e.id, 1) end }",
    input = { '{"id":9007199254740993}' }, output = { '{"id":9007199254740992}' } },
  { name = 'tm.i64.mod', signature = 'tm.i64.mod(a, b)', cost_ns = 3000, about = "Remainder, with the sign of b as in Lua's %.",
    example = "stream:schema { id = 'int64' }:filter(function(e) return tm.i64.mod(e.id, 2) == '1' end)",
    input = { '{"id":9007199254740993}', '{"id":2}' }, output = { '{"id":9007199254740993}' } },
  { name = 'tm.i64.cmp', signature = 'tm.i64.cmp(a, b)', cost_ns = 3000, about = '-1, 0 or 1: a is less, equal, more.',
    example = "stream:schema { id = 'int64' }:filter(function(e) return tm.i64.cmp(e.id, '9007199254740992') > 0 end)",
    input = { '{"id":9007199254740993}', '{"id":2}' }, output = { '{"id":9007199254740993}' } },
}

for _, e in ipairs(require 'tidemill.catalog_library') do functions[#functions + 1] = e end
for _, name in ipairs { 'windows', 'joins', 'patterns', 'features', 'packs' } do
  local more = require('tidemill.catalog_' .. name)
  for _, e in ipairs(more.operators) do operators[#operators + 1] = e end
  for _, e in ipairs(more.functions) do functions[#functions + 1] = e end
end

--- The kinds, in the order of `list`: { kind, what `list` calls them, entries }.
M.kinds = {
  { 'operator', 'operators', operators }, { 'aggregate', 'aggregates', aggregates }, { 'source', 'sources', sources },
  { 'sink', 'sinks', sinks }, { 'function', 'functions', functions },
}

local by_name = {}
for _, k in ipairs(M.kinds) do
  by_name[k[1]] = {}
  for _, entry in ipairs(k[3]) do
    entry.kind = k[1]
    by_name[k[1]][entry.name] = entry
  end
end

--- The entry of that kind and name, or nil.
function M.find(kind, name) return by_name[kind][name] end

local option_maps = {}
-- options that are tables themselves
local of_record = { start = true, max_lines = true, timeout = true }
local parts = { after_match = { strict = 'boolean' }, ['tm.sink.log retention'] = { age = true, bytes = true },
  ['tm.sink.file roll'] = { size = true, every = true }, ['tm.source.file record'] = of_record,
  ['tm.source.stdin record'] = of_record }

--- The options of a call as stream.options takes them: name -> type, list of what it may be, or true.
---@param what string an entry's name; an operator's without its colon
function M.options(what)
  if option_maps[what] then return option_maps[what] end
  if parts[what] then return parts[what] end
  local map, entry = {}, nil
  for _, k in ipairs(M.kinds) do entry = entry or by_name[k[1]][what] end
  for _, o in ipairs(assert(entry, what).options or {}) do
    map[o[1]] = o.one_of or o[2] == 'any' or o[2]
  end
  option_maps[what] = map
  return map
end

return M
