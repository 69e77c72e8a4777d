-- access_log.lua - lines of nginx's combined log as rows, and how often each status came.
--
--   build/tidemill run scripts/examples/access_log.lua --from scripts/examples/data/access_log.ndjson --set dir=/tmp
--
-- A line that has another form becomes a dead letter.

local tm = require 'tidemill'

local combined = tm.re([=[
  ^(?<client>\S+) \s \S+ \s (?<user>\S+) \s \[ (?<time>[^\]]+) \] \s
  "(?<method>[A-Z]+) \s (?<target>\S+) \s (?<protocol>[^"]+)" \s
  (?<status>\d{3}) \s (?<bytes>\d+|-) \s
  "(?<referer>[^"]*)" \s "(?<agent>[^"]*)" ]=], 'x')

local requests = tm.pipeline 'requests'
  :on_error(tm.sink.file(tm.setting('dir', '.') .. '/access_log.bad.ndjson'))
  :map(function(e)
    local m = combined:match(e.line) or error 'not a line of the combined format'
    return {
      time = tm.date.parse(m.time, '%d/%b/%Y:%H:%M:%S %z'), client = m.client, inside = tm.ip.private(m.client),
      method = m.method, path = tm.url.parse(m.target).path, search = tm.url.query(m.target, 'q'),
      status = tonumber(m.status), bytes = tonumber(m.bytes) or 0, agent = tm.hash.crc32(m.agent),
    }
  end)

return {
  requests:to(tm.sink.stdout()),
  requests:key_by 'status':running('statuses', { n = tm.agg.count(), bytes = tm.agg.sum 'bytes' }, { emit = 'final', max_keys = 1000 })
    :to(tm.sink.file(tm.setting('dir', '.') .. '/statuses.ndjson')),
}
