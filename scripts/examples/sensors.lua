-- sensors.lua - raises alerts from sensor readings; what cannot be judged becomes a dead letter.
--
--   build/tidemill run scripts/examples/sensors.lua --from scripts/examples/data/readings.ndjson --set dir=/tmp
--
-- A reading goes to every branch whose function is true: hot and dry at once makes two alerts. One broken line and two
-- readings without a temperature end in sensors.bad.ndjson, each with the reason, its place and the reading itself.

local tm = require 'tidemill'

local dir = tm.setting('dir', '.')
local hot_at = tm.setting('hot_at', 60)

local readings = tm.pipeline 'readings'
  :on_error(tm.sink.file(dir .. '/sensors.bad.ndjson'))
  :schema { sensor = 'string', celsius = 'number', humidity = 'number' }
  :filter(function(e)
    if e.celsius == nil then error 'no temperature' end
    return e.celsius > -50   -- below, the sensor is broken
  end)
  :branch {
    hot = function(e) return e.celsius >= hot_at end,
    frost = function(e) return e.celsius < -10 end,
    dry = function(e) return e.humidity < 20 end,
    fine = true,
  }

local function alert(stream, what)
  return stream:map(function(e) return { alert = what, sensor = e.sensor, celsius = e.celsius, humidity = e.humidity } end)
end

return {
  alert(readings.hot, 'hot'):to(tm.sink.stdout()),
  alert(readings.frost, 'frost'):to(tm.sink.stdout()),
  alert(readings.dry, 'dry'):to(tm.sink.stdout()),
  readings.fine:to(tm.sink.discard()),
}
