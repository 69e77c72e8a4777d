-- q22.lua - URL directories: the first three parts of the path.
--
--   tidemill run scripts/nexmark/q22.lua --from events.ndjson

local tm = require 'tidemill'

return tm.pipeline 'q22'
  :filter(function(e) return e.kind == 'bid' end)
  :map(function(e)
    local parts = tm.split(e.url, '/')   -- https: '' www.nexmark.com dir1 dir2 dir3 …
    e.dir1, e.dir2, e.dir3 = parts[4], parts[5], parts[6]
    return e
  end)
  :select { 'auction', 'bidder', 'price', 'channel', 'dir1', 'dir2', 'dir3' }
