-- sensors_spec.lua - branches, and dead letters with their reasons.
--
--   build/tidemill test scripts/examples/sensors_spec.lua

local tm = require 'tidemill'

describe('sensors.lua', function()
  local t

  before_each(function() t = tm.testing.run 'sensors.lua' end)

  it('makes an alert for each branch a reading goes to', function()
    t:send { sensor = 'a', celsius = 61, humidity = 10 }
    t:send { sensor = 'b', celsius = 20, humidity = 50 }
    local alerts = {}
    for _, row in ipairs(t:out 'stdout') do
      assert.same({ 'a', 61, 10 }, { row.sensor, row.celsius, row.humidity })
      alerts[row.alert] = true
    end
    assert.same({ hot = true, dry = true }, alerts)
    assert.same({ { sensor = 'b', celsius = 20, humidity = 50 } }, t:out 'discard')
  end)

  it('keeps what cannot be judged, with the reason', function()
    t:send { sensor = 'a', humidity = 10 }
    t:send '{ "sensor": '
    local letters = t:errors()
    assert.same({ 'no temperature', 'syntax' }, { letters[1].reason, letters[2].code })
    assert.same({}, t:out())
  end)

  it('says nothing of a sensor that is broken', function()
    t:send { sensor = 'a', celsius = -51, humidity = 10 }
    assert.same({}, t:out())
    assert.same({}, t:errors())
  end)
end)
