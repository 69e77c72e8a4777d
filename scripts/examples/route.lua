-- route.lua - sends log records to one file a severity, unchanged. Files are appended to.
--
--   build/tidemill run scripts/examples/route.lua --from scripts/examples/data/log.ndjson --set dir=/tmp

local tm = require 'tidemill'

local dir = tm.setting('dir', '.')
local grave = { error = true, fatal = true }

-- the first function that is true decides; the last, without a function, takes what is left
local log = tm.pipeline 'log':route {
  { 'grave', function(e) return grave[e.level] end },
  { 'warnings', function(e) return e.level == 'warning' end },
  { 'noise', function(e) return e.level == 'debug' end },
  { 'rest' },
}

return {
  log.grave:to(tm.sink.file(dir .. '/grave.ndjson')),
  log.warnings:to(tm.sink.file(dir .. '/warnings.ndjson')),
  log.noise:to(tm.sink.discard()),
  log.rest:to(tm.sink.file(dir .. '/rest.ndjson')),
}
