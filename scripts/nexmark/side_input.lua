-- side_input.lua - the bounded table that q13 joins with: keys from 0 on, each with its value, as CSV.
--
--   tidemill run scripts/nexmark/side_input.lua --out-format csv > side_input.csv          --set rows=10000

local tm = require 'tidemill'

return tm.pipeline 'side_input'
  :from(tm.source.generate(function(i) return { key = i - 1, value = tostring(i - 1) } end, { count = tm.setting('rows', 10000) }))
  :select { 'key', 'value' }
