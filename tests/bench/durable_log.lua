-- Every event into an event log.
local tm = require 'tidemill'

return tm.pipeline 'log':to(tm.sink.log 'out')
