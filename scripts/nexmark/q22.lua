-- q22.lua - URL directories: the first three parts of the path.
--
--   tidemill run scripts/nexmark/q22.lua --from events.ndjson

local tm = require 'tidemill'

-- https:, nothing, the host, then the directories; a URL that has fewer has none of those fields
local directories = tm.re '^[^/]*/[^/]*/[^/]*/(?<dir1>[^/]*)(?:/(?<dir2>[^/]*)(?:/(?<dir3>[^/]*))?)?'

return tm.pipeline 'q22'
  :filter(function(e) return e.kind == 'bid' end)
  :map(directories:fields('url', { add = true }))
  :select { 'auction', 'bidder', 'price', 'channel', 'dir1', 'dir2', 'dir3' }
