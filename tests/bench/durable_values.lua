-- A document of 10 KiB a key, of which an event replaces 16 bytes.
local tm = require 'tidemill'

local blank = ('.'):rep(10240)
local docs = tm.pipeline 'docs':key_by(function(e) return e.k or 'mark' end, 'key'):process('docs', { unbounded = true,
  state = { doc = 'string' },
  on_event = function(e, s, ctx)
    local doc, n = s.doc or blank, math.floor(e.a * 100) % 600 * 16
    s.doc = doc:sub(1, n) .. ('%16.2f'):format(e.a) .. doc:sub(n + 17)
    if not e.k then ctx.emit { mark = e.mark } end
  end })
return docs:to(tm.sink.file(tm.setting 'marks'))
