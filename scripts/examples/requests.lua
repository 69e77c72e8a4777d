-- requests.lua - one pipeline feeds another: requests are cleaned once, then kept and judged.
--
--   build/tidemill run scripts/examples/requests.lua --from scripts/examples/data/requests.ndjson --set dir=/tmp
--
-- 'problems' reads what 'requests' makes. If it fails at an event, 'requests' has still kept it.

local tm = require 'tidemill'

local requests = tm.pipeline 'requests'
  :filter(function(e) return e.path ~= '/health' end)
  :map(function(e)
    local cut = e.path:find('?', 1, true)
    if cut then e.path, e.query = e.path:sub(1, cut - 1), e.path:sub(cut + 1) end
    return e
  end)

local problems = tm.pipeline 'problems':from(requests)
  :filter(function(e) return e.status >= 500 or e.ms > 1000 end)
  :set { why = function(e) return e.status >= 500 and 'failed' or 'slow' end }
  :select { 'why', 'path', 'status', 'ms' }

return {
  requests:to(tm.sink.file(tm.setting('dir', '.') .. '/requests.ndjson')),
  problems:to(tm.sink.stdout()),
}
