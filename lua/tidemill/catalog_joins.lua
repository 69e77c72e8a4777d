--[[
catalog_joins.lua - the catalog's entries of the operators on two streams.
]]

local M = {}

local ON = { 'on', 'any', "a field of both sides, { left = 'right' }, or a list of such", required = true }
local KIND = { 'kind', 'string', 'which events are sent without a partner: none, those of a side, or of both',
  one_of = { 'inner', 'left', 'right', 'full' }, default = 'inner' }
local AS = { 'as', 'string', 'the field of the row that holds the right event', default = 'right' }
local WHERE = { 'where', 'any', 'function(left, right) … end: are these two partners?' }

M.operators = {
  { name = 'join', signature = ":join('name', right, { on =, within = { before =, after = }, kind =, as =, where = })", cost_ns = 1000,
    state = true, bounds = { 'within', 'unbounded' },
    about = 'Pairs of events of two streams with equal keys, whose times are near each other.',
    more = { "The right event's time lies in [left - before, left + after], both ends included; either may be negative ('-1ms'). A row is",
      "the left event with the right one in `as`, sent when the later of both comes; its time is the later one. Without a partner `as` is",
      "absent, or there are only the key's fields and `as`; such rows come when the watermark has passed the last time a partner could",
      'have. Events behind the watermark go to late_to. Streams of one pipeline have one event_time, and an event may be in both; of two',
      'pipelines each has its own, and steps behind the join keep nothing. With unbounded = true instead of within, all pairs with',
      'equal keys meet, whatever their times.' },
    options = { ON, { 'within', 'any', "{ before = '0s', after = '15m' }" }, KIND, AS, WHERE,
      { 'unbounded', 'boolean', 'true: events are kept for ever' },
      { 'max_keys', 'number', 'keys kept at most' }, { 'max', 'number', 'events of a key and side kept at most' },
      { 'on_full', 'string', 'what one more does; an event that goes is sent no more, with or without a partner',
        one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' } },
    example = [[(function(s) return s:filter(function(e) return e.limit end):join('settle', s:filter(function(e) return e.paid end),
  { on = { id = 'auth' }, within = { after = '15m' }, kind = 'left', as = 'capture' }) end)(stream:event_time { field = 'ts' })]],
    input = { '{"ts":1,"id":"a","limit":9}', '{"ts":2,"id":"b","limit":9}', '{"ts":60000,"auth":"a","paid":5}' },
    output = { '{"ts":1,"id":"a","limit":9,"capture":{"ts":60000,"auth":"a","paid":5}}', '{"ts":2,"id":"b","limit":9}' } },
  { name = 'window_join', signature = ":window_join('name', right, tm.window.…, { on =, kind =, as =, where = })", cost_ns = 1000,
    state = true,
    about = 'Pairs of events of two streams with equal keys in the same window, sent when it is complete.',
    more = { 'Windows are tumbling or hopping. A row is the left event with the right one in `as`, window_start and window_end; its time',
      "is window_end - 1. Rows come by window, in order of the keys' first arrival, then by the left event's time, then the right one's.",
      'Events all of whose windows are complete go to late_to.' },
    options = { ON, KIND, AS, WHERE },
    example = [[(function(s) return s:filter(function(e) return e.buy end):window_join('both', s:filter(function(e) return e.sell end),
  tm.window.tumbling '5m', { on = 'id', where = function(l, r) return l.buy >= r.sell end }) end)(stream:event_time { field = 'ts' })]],
    input = { '{"ts":1,"id":"a","buy":9}', '{"ts":2,"id":"a","sell":10}', '{"ts":3,"id":"a","sell":8}' },
    output = { '{"ts":1,"id":"a","buy":9,"right":{"ts":3,"id":"a","sell":8},"window_end":300000,"window_start":0}' } },
}

return M
