--[[
catalog_features.lua - the catalog's entries of features: tm.f, tm.features, and the operator that adds them to events.
]]

local M = {}

local OVER = { 'over', 'any', "how far it looks back: '1m', '30d'; at most 400d", required = true }
local WHERE = { 'where', 'any', 'function(tx): only events for which it is true count' }
local CURRENT = { 'current', 'boolean', 'false: the event at hand does not count', default = 'true' }
local HISTORY = { 'min_history', 'number', 'below so many events in the window it is warming', default = '1' }
local STEP = { 'step', 'any', "a resolution, such as '1h': the window begins at a multiple of it", default = 'to the ms' }

local function of_number(kind, about, more)
  return { name = 'tm.f.' .. kind, signature = ("tm.f.%s('field', { over = '1h' [, …] })"):format(kind), cost_ns = 20, state = true,
    about = about, more = more, options = { OVER, WHERE, CURRENT, HISTORY, STEP },
    example = ([[stream:event_time { field = 'ts' }
  :features('k', tm.features { key = 'k', x = tm.f.%s('v', { over = '10ms' }) })]]):format(kind),
    input = { '{"ts":0,"k":"a","v":6}', '{"ts":5,"k":"a","v":2}', '{"ts":12,"k":"a","v":4}' } }
end

local function rows(entry, ...)
  local ts, v = { 0, 5, 12 }, { 6, 2, 4 }
  entry.output = {}
  for i, x in ipairs { ... } do entry.output[i] = ('{"ts":%d,"k":"a","v":%d,"x":%s}'):format(ts[i], v[i], x) end
  return entry
end

local function one(feature)
  return ([[stream:event_time { field = 'ts' }:features('k', tm.features { key = 'k', ttl = '1d', x = %s })]]):format(feature)
end

local IN = { '{"ts":0,"k":"a","v":6}', '{"ts":5,"k":"a","v":2}', '{"ts":12,"k":"a","v":4}' }

local function entry(kind, signature, about, more, options, feature, ...)
  return rows({ name = 'tm.f.' .. kind, signature = signature, about = about, more = more, cost_ns = 20, state = true, options = options,
    example = one(feature), input = IN }, ...)
end

M.functions = {
  { name = 'tm.features', signature = "tm.features { key = 'card' | { fields }, name = tm.f.…, … }",
    about = 'What is to be known of an entity: features of one key, found with one lookup.',
    more = { "Counts start at 0; any other feature without history is nil. Windows are (t - over, t]; events of the same time that arrived",
      'before count. What had arrived by then counts: a late event comes into the windows of its time, and no earlier answer is',
      'given again. An event without the key has no features. Features over the same events share them, and what is equal is kept once.',
      'At most 32 different conditions a group.' },
    options = { { 'key', 'any', 'a field, or a list of fields', required = true },
      { 'ttl', 'any', 'a key that no event came to for so long is forgotten', default = 'the longest over' },
      { 'max', 'number', 'events of a key held at most', default = '10000' },
      { 'max_keys', 'number', 'keys kept at most', default = 'what --memory allows' },
      { 'on_full', 'string', 'what one more event or key does', one_of = { 'oldest', 'refuse', 'stop' }, default = 'oldest' },
      require('tidemill.catalog_shared').MIGRATE },
    example = [[stream:event_time { field = 'ts' }
  :features('card', tm.features { key = 'card', n = tm.f.count { over = '1m' },
    spent = tm.f.sum('amount', { over = '1h', current = false }) })]],
    input = { '{"ts":0,"card":"a","amount":5}', '{"ts":60000,"card":"a","amount":7}' },
    output = { '{"ts":0,"card":"a","amount":5,"n":1,"spent":null}', '{"ts":60000,"card":"a","amount":7,"n":1,"spent":5}' } },
  entry('count', "tm.f.count { over = '1h' [, …] }", 'How many events.', nil, { OVER, WHERE, CURRENT, HISTORY, STEP },
    "tm.f.count { over = '10ms' }", '1', '2', '2'),
  rows(of_number('sum', 'Their sum, exactly as tm.agg.sum has it, rounded once.'), '6', '8', '6'),
  rows(of_number('avg', 'Their mean, rounded once.'), '6', '4', '3'),
  rows(of_number('stddev', 'The standard deviation of the sample (n - 1); nil below two values.'), 'null', '2.8284271247461903',
    '1.4142135623730951'),
  rows(of_number('min', 'The least number.'), '6', '2', '2'),
  rows(of_number('max', 'The greatest number.'), '6', '6', '4'),
  entry('distinct', "tm.f.distinct('field', { over = '1h', max = 100 [, …] })", 'How many different values.',
    { 'Numbers, texts and booleans; 1 and "1" differ. Told apart by 62 bits of a hash: two values are taken for one with a chance of',
      '2^-62. With max the answer stays there. Costs a look at the events in the window.' },
    { OVER, WHERE, CURRENT, HISTORY, { 'max', 'number', 'the answer is at most this: more is as many' } },
    "tm.f.distinct('v', { over = '10ms' })", '1', '2', '2'),
  entry('last', "tm.f.last('field', { over = '1h', current = false [, …] })", 'The value of the last event that has one.',
    { 'Numbers, texts and booleans. With the event at hand, unless current = false.' }, { OVER, WHERE, CURRENT, HISTORY },
    "tm.f.last('v', { over = '10ms', current = false })", 'null', '6', '2'),
  entry('quantile', "tm.f.quantile('field', share, { over = '1h' [, …] })", 'The value below which a share of all values lies, exactly.',
    { 'Of n values in order that with the number floor(share * (n - 1)), from 0. Costs a look at the events in the window.' },
    { OVER, WHERE, CURRENT, HISTORY }, "tm.f.quantile('v', 0.5, { over = '10ms' })", '6', '2', '2'),
  entry('has', "tm.f.has('field', { over = '30d' [, …] })", 'Was this value of the event seen before, in the window?',
    { 'nil where the event has no value. Costs a look at the events in the window.' }, { OVER, WHERE, HISTORY },
    "tm.f.has('v', { over = '10ms' })", 'false', 'false', 'false'),
  entry('first_seen', 'tm.f.first_seen { [over = …] }', 'The time of the first event, ms: in the window, or as long as the key is kept.',
    { 'Without over the group needs a ttl.' },
    { { 'over', 'any', 'how far it looks back', default = 'as long as the key is kept' }, WHERE, CURRENT },
    'tm.f.first_seen()', '0', '0', '0'),
  entry('time_since', 'tm.f.time_since { [over = …] }', 'The time since the last event before this one, in ms.',
    { 'The last is the one with the largest time that had arrived; 0 where this event is older. Without over the group needs a ttl.' },
    { { 'over', 'any', 'nil beyond it', default = 'as long as the key is kept' }, WHERE }, 'tm.f.time_since()', 'null', '5', '7'),
  entry('ewma', "tm.f.ewma('field', { half_life = '7d' })", 'A mean in which an event counts half as much as one that is half_life later.',
    { 'It does not depend on the order of arrival but for its last places. The group needs a ttl.' },
    { { 'half_life', 'any', 'a duration', required = true }, WHERE, CURRENT }, "tm.f.ewma('v', { half_life = '1ms' })", '6',
    '2.121212121212121', '3.984984257689513'),
  entry('ratio', 'tm.f.ratio(feature, feature)', 'One feature divided by another; nil where that is nil or 0.', nil, {},
    "tm.f.ratio(tm.f.max('v', { over = '10ms' }), tm.f.count { over = '10ms' })", '6', '3', '2'),
  { name = 'tm.f.travel', signature = "tm.f.travel { 'lat', 'lon', within = '24h' }", cost_ns = 150, state = true,
    about = 'How far the place before is away: NAME_km, NAME_kmh, NAME_ms.',
    more = { 'The great circle (haversine, mean radius) from the place of the event with the largest time that had arrived; the time',
      'is the one between both, also where this event is the older one, and counts as 1 ms at least. nil without both places, or beyond',
      'within.' },
    options = { { 'within', 'any', 'a duration', required = true }, WHERE },
    example = [[stream:event_time { field = 'ts' }
  :features('k', tm.features { key = 'k', t = tm.f.travel { 'lat', 'lon', within = '1d' } })]],
    input = { '{"ts":0,"k":"a","lat":0,"lon":0}', '{"ts":3600000,"k":"a","lat":0,"lon":180}' },
    output = { '{"ts":0,"k":"a","lat":0,"lon":0,"t_km":null,"t_kmh":null,"t_ms":null}',
      '{"ts":3600000,"k":"a","lat":0,"lon":180,"t_km":20015.114442035923,"t_kmh":20015.114442035923,"t_ms":3600000}' } },
  { name = 'tm.f.decisions', signature = "tm.f.decisions(['decline' | { names },] { over = '24h' })", cost_ns = 30, state = true,
    about = 'How many decisions the pack itself has made about the key before: of these names, or of all.',
    more = { 'In rule packs alone. Events of one key are then decided one after the other.' }, options = { OVER },
    example = [[local card = tm.features { key = 'card', declined = tm.f.decisions('decline', { over = '24h' }) }   -- of features/card.lua
return stream:filter(function(e) return e.card end)]], input = { '{"card":"a"}' }, output = { '{"card":"a"}' } },
}

M.operators = {
  { name = 'features', signature = ":features('name', tm.features { … })", cost_ns = 300, state = true,
    about = 'Adds features to each event, and passes it on at once.',
    more = { 'What a rule pack knows of an entity, for any pipeline: fields of the names in tm.features. null where there is nothing, or',
      'less than min_history. Needs event_time; late events count too.',
      "step = '1h' names a resolution: the window begins at the multiple of it at or before t - over, t the newest time of the key, so it",
      'holds all of (t - over, t] and less than one step more. An event that is older than others of its key has the answer of these.' },
    example = [[stream:event_time { field = 'ts' }
  :features('ip', tm.features { key = 'ip', cards = tm.f.distinct('card', { over = '1h' }) })]],
    input = { '{"ts":0,"ip":"x","card":"a"}', '{"ts":9,"ip":"x","card":"b"}', '{"ts":9}' },
    output = { '{"ts":0,"ip":"x","card":"a","cards":1}', '{"ts":9,"ip":"x","card":"b","cards":2}', '{"ts":9,"cards":null}' } },
}

return M
