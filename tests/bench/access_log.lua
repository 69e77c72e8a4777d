-- A web server's log in the combined format, a line an event: nine captures of one expression as JSON.
local tm = require 'tidemill'

local line = tm.re([==[^(?<client>\S+) \S+ (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>[A-Z]+) (?<target>\S+) [^"]+" ]==] ..
  [==[(?<status>\d{3}) (?<bytes>\d+|-) "(?<referer>[^"]*)" "(?<agent>[^"]*)"]==])

return tm.pipeline 'log'
  :map(line:fields 'line')
  :to(tm.sink.stdout())
