-- stack_traces.lua - the log of a Java application: entries with their stack traces as rows, and which failure came how often, where.
--
--   build/tidemill run scripts/examples/stack_traces.lua --set dir=/tmp
--   build/tidemill run scripts/examples/stack_traces.lua --set log=/var/log/shop/app.log --set follow=true
--
-- An entry begins with its time and goes up to the next one. The last entry of a quiet log is given after five seconds. What stands
-- in front of the first entry is a record too, and becomes a dead letter here.

local tm = require 'tidemill'

local entry = tm.re [=[^(?<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(?<ms>\d{3}) (?<level>[A-Z]+) +\[[^\]]+\] (?<logger>\S+) - (?<message>.*)]=]
local thrown = tm.re [=[\n(?<class>[\w.$]+)(?:: [^\n]*)?\n\tat (?<frame>[^(\n]+\([^)\n]*\))]=]

local entries = tm.pipeline 'entries'
  :from(tm.source.file { path = tm.setting('log', 'scripts/examples/data/app.log'), follow = tm.setting('follow', false), format = 'lines',
    record = { start = '^%d%d%d%d%-%d%d%-%d%d ', max_lines = 500, timeout = '5s' } })
  :on_error(tm.sink.file(tm.setting('dir', '.') .. '/app_log.bad.ndjson'))
  :map(function(e)
    local head = entry:match(e.line) or error 'no entry: it does not begin with its time, level, thread and logger'
    local row = { time = tm.date.parse(head.time, '%Y-%m-%d %H:%M:%S') + tonumber(head.ms),
      level = head.level, logger = head.logger, message = head.message }
    local trace = thrown:match(e.line)
    if trace then
      row.thrown, row.frame, row.frames = trace.class, trace.frame, #tm.split(e.line, '\n\tat ') - 1
    end
    return row
  end)

return {
  entries:to(tm.sink.stdout()),
  entries:filter(function(e) return e.thrown end):key_by { 'thrown', 'frame' }
    :running('failures', { n = tm.agg.count(), last = tm.agg.last 'message' }, { emit = 'final', max_keys = 10000 })
    :to(tm.sink.file(tm.setting('dir', '.') .. '/failures.ndjson')),
}
