--[[
catalog_joins.lua - the catalog's entries of tables and of what brings two streams together.
]]

local M = {}

local ON = { 'on', 'any', "a field of both sides, { left = 'right' }, or a list of such", required = true }
local KIND = { 'kind', 'string', 'which events are sent without a partner: none, those of a side, or of both',
  one_of = { 'inner', 'left', 'right', 'full' }, default = 'inner' }
local MIGRATE = require('tidemill.catalog_shared').MIGRATE
local AS = { 'as', 'string', 'the field of the row that holds the right event', default = 'right' }
local WHERE = { 'where', 'any', 'function(left, right) … end, true where the two are partners' }

M.operators = {
  { name = 'join', signature = ":join('name', right, { on =, within = { before =, after = }, kind =, as =, where = })", cost_ns = 1000,
    state = true, bounds = { 'within', 'unbounded' },
    about = 'Pairs of events of two streams with equal keys, whose times are near each other.',
    more = { "The right event's time lies in [left - before, left + after], both ends included; either may be negative ('-1ms'). A row is",
      "the left event with the right one in `as`, sent when the later of both comes; its time is the later one. Without a partner `as` is",
      "absent, or there are only the key's fields and `as`; such rows come when the watermark has passed the last time a partner could",
      'have. Events behind the watermark go to late_to. Streams of one pipeline have one event_time, and an event may be in both; of two',
      'pipelines each has its own, and the watermark is the least of both; what comes behind is of the left one by name. With',
      'unbounded = true instead of within, all pairs with equal keys meet, whatever their times.' },
    options = { ON, { 'within', 'any', "{ before = '0s', after = '15m' }" }, KIND, AS, WHERE,
      { 'unbounded', 'boolean', 'true: events are kept for ever' },
      { 'max_keys', 'number', 'keys kept at most' }, { 'max', 'number', 'events of a key and side kept at most' },
      { 'on_full', 'string', 'what one more does; an event that goes is sent no more, with or without a partner',
        one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' }, MIGRATE },
    example = [[local s = stream:event_time { field = 'ts' }
local auths, captures = s:filter(function(e) return e.limit end), s:filter(function(e) return e.paid end)
return auths:join('settle', captures, { on = { id = 'auth' }, within = { after = '15m' }, kind = 'left', as = 'capture' })]],
    input = { '{"ts":1,"id":"a","limit":9}', '{"ts":2,"id":"b","limit":9}', '{"ts":60000,"auth":"a","paid":5}' },
    output = { '{"ts":1,"id":"a","limit":9,"capture":{"ts":60000,"auth":"a","paid":5}}', '{"ts":2,"id":"b","limit":9}' } },
  { name = 'window_join', signature = ":window_join('name', right, tm.window.…, { on =, kind =, as =, where = })", cost_ns = 1000,
    state = true,
    about = 'Pairs of events of two streams with equal keys in the same window, sent when it is complete.',
    more = { 'Windows are tumbling, hopping, or sessions, which events of both sides make together. A row is the left event with the right',
      'one in `as`, window_start and window_end; its time is window_end - 1. Rows come by window, of fixed ones in order of the keys\'',
      "first arrival, then by the left event's time, then the right one's. Events all of whose windows are complete go to late_to." },
    options = { ON, KIND, AS, WHERE, MIGRATE },
    example = [[local s = stream:event_time { field = 'ts' }
local buys, sales = s:filter(function(e) return e.buy end), s:filter(function(e) return e.sell end)
return buys:window_join('both', sales, tm.window.tumbling '5m', { on = 'id', where = function(l, r) return l.buy >= r.sell end })]],
    input = { '{"ts":1,"id":"a","buy":9}', '{"ts":2,"id":"a","sell":10}', '{"ts":3,"id":"a","sell":8}' },
    output = { '{"ts":1,"id":"a","buy":9,"right":{"ts":3,"id":"a","sell":8},"window_end":300000,"window_start":0}' } },
  { name = 'lookup', signature = ":lookup(table [, { on = 'account' | { left = 'right' }, as = 'profile', … }])", cost_ns = 100,
    about = 'Adds the row of a table that has the same key, as an object.',
    more = { 'Types count: 1 and "1" are two keys. The summary counts lookups without a row, and apart those whose key has a type that no',
      'key of the table has. In a table with `time` it is the row that holds at the time of the event. The row keeps its bytes, a field',
      'of it is decoded when it is read; an event without a row has no field `as`.' },
    options = { { 'on', 'any', "a field of both sides, a list of them, or { left = 'right' }", default = 'the key of the table' },
      { 'as', 'string', 'the field that gets the row', default = 'the name of the table' },
      { 'missing', 'string', 'an event without a row, or without the key: kept as it is, or dropped', one_of = { 'keep', 'drop' },
        default = 'keep' } },
    example = [[stream:lookup(tm.table('names', { key = 'code',
  from = tm.source.generate(function(i) return { code = 'c' .. i, name = 'Nr ' .. i } end, { count = 9 }) }), { on = { c = 'code' } })]],
    input = { '{"c":"c2"}', '{"c":"x"}' }, output = { '{"c":"c2","names":{"code":"c2","name":"Nr 2"}}', '{"c":"x"}' } },
}

M.functions = {
  { name = 'tm.table', signature = "tm.table('name', { key = 'account', from = source | stream, … })", cost_ns = 300, state = true,
    bounds = { 'max_keys', 'unbounded' },
    about = 'A table that lookups of any pipeline read: the last row of each key, or with `time` the one that holds at a time.',
    more = { 'A row replaces the one of the same key. Rows of files are read to their end before those who look them up begin (`wait`).',
      'Values of CSV are strings unless `schema` says otherwise. A table whose rows come from files that end needs no bound.',
      't:changes() is a stream with a row for each change: { op, before, after } and the fields of the key; op is c (created), u (updated)',
      'or d (deleted), as Debezium has it; before and after are rows. A row with the bytes of the one before is no change. With `time` a',
      'row that comes late changes what holds from its own time on, and that is the time of the change.' },
    options = { { 'key', 'any', 'the field, or the list of fields, that rows are found by', required = true },
      { 'from', 'any', 'a source, or a stream', required = true },
      { 'time', 'any', "the field with the time a row holds from: 'since', or { field =, unit =, out_of_order = } as of event_time",
        default = 'the last row holds at all times' },
      { 'versioned', 'any', "how far behind the watermark of those who look up versions are still found; needs `time`",
        default = 'for ever' },
      { 'delete', 'any', 'function(row), true where a row removes its key' },
      { 'wait', 'boolean', 'all rows are read before anything of the streams that look them up',
        default = 'true where all rows come from files that end' },
      { 'schema', 'table', 'types of fields, as of :schema' },
      { 'max_keys', 'number', 'keys kept at most' },
      { 'on_full', 'string', 'what a further key does', one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' },
      { 'unbounded', 'boolean', 'true: any number of keys is meant' } },
    example = [[local prices = tm.table('prices', { key = 'sku', from = stream, max_keys = 1e6,
  delete = function(row) return row.gone end })
return prices:changes()]],
    input = { '{"sku":"a","eur":5}', '{"sku":"a","eur":6}', '{"sku":"a","gone":true}' },
    output = { '{"after":{"sku":"a","eur":5},"op":"c","sku":"a"}',
      '{"after":{"sku":"a","eur":6},"before":{"sku":"a","eur":5},"op":"u","sku":"a"}',
      '{"before":{"sku":"a","eur":6},"op":"d","sku":"a"}' } },
}

return M
