-- Count and sum per key, and a row for an event without a key: it tells that all before it was read.
local tm = require 'tidemill'

local keys = tm.pipeline 'keys':key_by(function(e) return e.k or e.card or 'mark' end, 'key')
  :running('keys', { n = tm.agg.count(), total = tm.agg.sum 'a' }, { unbounded = true })
local rows = keys:filter(function(e) return e.key == 'mark' end):to(tm.sink.file(tm.setting 'marks'))
return { rows, tm.pipeline 'through':filter(function(e) return e.card ~= nil or e.mark ~= nil end):to(tm.sink.stdout()) }
