--[[
catalog_patterns.lua - the catalog's entries of patterns: tm.pattern and the operator match.
]]

local M = {}

local MIGRATE = require('tidemill.catalog_shared').MIGRATE

M.operators = {
  { name = 'match',
    signature = ':match(pattern [, { timeouts =, max_partial =, on_full =, order_by =, emit =, lateness =, max_late = }])',
    cost_ns = 1000, state = true,
    bounds = { 'within', 'unbounded' },
    about = 'Sequences of events of a key that fit a pattern: a row each.',
    more = { 'Events are matched in order of time when the watermark has passed them, those of one time as they arrived, or by the field',
      '`order_by`. A row has `key`, `time` (of the last event), and for each stage the list of the events it took, empty if it took none.',
      'A function of a stage sees the event and what the match has taken so far: function(e, m) … m.probe[1].amount. With a skip strategy',
      'a match is held back while one that began earlier goes on. Events behind the watermark go to late_to, but under',
      "emit 'retract' those within the lateness correct what was sent: rows with `op` '-' take back what no longer matches, rows with `op`",
      "'+' are matches, also those sent at first. The step is called as its pattern." },
    options = { { 'timeouts', 'boolean', 'true: a match whose time is over is a row too, with `timed_out` true', default = 'false' },
      { 'max_partial', 'number', 'matches of a key that may have begun', default = '10000' },
      { 'on_full', 'string', 'what one more does: the oldest goes, or no further one begins, or the run ends; what goes is counted',
        one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' },
      { 'emit', 'string', "'final': a match is sent once; 'retract': late events correct it",
        one_of = { 'final', 'retract' }, default = 'final' },
      { 'lateness', 'any', "how far behind the watermark an event may be under emit 'retract'" },
      { 'max_late', 'number', 'events of a key that are kept for it; with more, those before the newer half are final', default = '10000' },
      { 'order_by', 'string', 'a field that orders events of one time; those without it come first' },
      { 'unbounded', 'boolean', 'true: what has begun may go on for ever; a pattern has within otherwise' }, MIGRATE },
    example = [[local probing = tm.pattern 'card_testing'
  :start('probe', function(e) return e.amount < 2 end):times(2)
  :followed_by('hit', function(e, m) return e.amount > 50 * m.probe[1].amount end)
  :within '10m' :after_match 'skip_past_last'
return stream:event_time { field = 'ts' }:key_by 'card':match(probing)]],
    input = { '{"ts":1,"card":"a","amount":1}', '{"ts":2,"card":"a","amount":1.5}', '{"ts":3,"card":"b","amount":900}',
      '{"ts":4,"card":"a","amount":80}' },
    output = { '{"key":"a","time":4,"probe":[{"ts":1,"card":"a","amount":1},{"ts":2,"card":"a","amount":1.5}],' ..
      '"hit":[{"ts":4,"card":"a","amount":80}]}' } },
}

M.functions = {
  { name = 'tm.pattern', signature = "tm.pattern 'name':start('first', function(e) … end) …", cost_ns = 1000,
    about = 'A sequence of events, for the operator match; its name is that of the state.',
    more = { 'A stage has a name and a function, or another pattern, which is a group: :start :next (no event in between) :followed_by',
      '(others may pass, the first that fits is taken) :followed_by_any (also later ones), :not_next :not_followed_by (no such event).',
      'How often, behind the stage: :times(n [, m or math.huge]) :one_or_more() :optional(); :greedy() takes all it can, :consecutive()',
      'without others in between, :combinations() any of them; :stop_when(function(e, m) … end) ends an open number.',
      ":within('10m') is less than from the first event to the last, :within('1m', 'previous') from one event to the next.",
      "What a match leaves to others: :after_match('no_skip'), all; 'skip_to_next', those that begin with another event;",
      "'skip_past_last', those that begin behind it; ('skip_to_first', 'stage') and ('skip_to_last', 'stage'), those that begin with the",
      'first or last event of that stage or behind it; with { strict = true } the run ends where there is none.' },
    example = [[local orders = tm.pattern 'paid_late'
  :start('order', function(e) return e.kind == 'order' end)
  :not_followed_by('pay', function(e) return e.kind == 'pay' end)
  :within '1h'
return stream:event_time { field = 'ts', unit = 's' }:key_by 'id':match(orders)]],
    input = { '{"ts":0,"id":1,"kind":"order"}', '{"ts":1,"id":2,"kind":"order"}', '{"ts":9,"id":1,"kind":"pay"}' },
    output = { '{"key":2,"time":1000,"order":[{"ts":1,"id":2,"kind":"order"}],"pay":[]}' } },
}

return M
