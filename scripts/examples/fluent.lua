-- fluent.lua - logs as Fluent Bit forwards them in msgpack: as JSON, one object a line, and how many came of each level.
--
--   build/tidemill run scripts/examples/fluent.lua --set dir=/tmp
--   build/tidemill run scripts/examples/fluent.lua --set from=/var/log/fluent-bit/flb.msgpack    # of [OUTPUT] name file, format msgpack
--
-- Message, Forward and PackedForward mode may stand side by side. Each record gets its time and its tag as fields.
-- The sample was packed by data/fluent.py.

local tm = require 'tidemill'

local logs = tm.pipeline 'logs'
  :from(tm.source.file { path = tm.setting('from', 'scripts/examples/data/fluent.msgpack'), format = 'fluent',
    time_key = 'date', tag_key = 'tag' })
  :event_time { field = 'date' }
  :set { level = function(e) return e.level or 'unknown' end, minute = function(e) return tm.date.format(tm.time(e), '%H:%M') end }

return {
  logs:drop { 'minute' }:to(tm.sink.stdout()),
  logs:key_by { 'minute', 'level' }:running('levels', { n = tm.agg.count() }, { emit = 'final', max_keys = 10000 })
    :to(tm.sink.file(tm.setting('dir', '.') .. '/levels.ndjson')),
}
