-- archive.lua - sorts log records into a compressed file a service and level, each at most 64 MB of records, and leaves
-- debug records out. Files get their names, archive/api/error-000001.ndjson.gz, when they are complete.
--
--   build/tidemill run scripts/examples/archive.lua --from scripts/examples/data/log.ndjson --set dir=/tmp
--   build/tidemill run scripts/examples/archive.lua --from '/var/log/app/*.log' --follow

local tm = require 'tidemill'

local dir = tm.setting('dir', '.')

return tm.pipeline 'archive'
  :filter(function(e) return e.level ~= 'debug' end)
  :to(tm.sink.file { path = dir .. '/archive/{service}/{level}.ndjson.gz', roll = { size = '64M', every = '1d' } })
