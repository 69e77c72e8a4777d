-- sessions_spec.lua - event time: visits begin where the gap of the device is passed, not a moment before.
--
--   build/tidemill test scripts/examples/sessions_spec.lua

local tm = require 'tidemill'

describe('sessions.lua', function()
  local t

  before_each(function() t = tm.testing.run 'sessions.lua' end)

  local function click(ts, device) t:send { visitor = 'v', ts = ts, device = device, page = '/' .. ts } end

  it('takes clicks a gap apart as one visit, and later ones as the next', function()
    click(0, 'phone')
    click(300, 'phone')
    click(601, 'phone')
    t:watermark(math.huge)
    assert.same({
      { visitor = 'v', visit = 1, pages = 2, from = 0, to = 300, left_at = '/300' },
      { visitor = 'v', visit = 2, pages = 1, from = 601, to = 601, left_at = '/601' },
    }, t:out())
  end)

  it('gives other devices longer', function()
    click(0, 'desktop')
    click(1800, 'desktop')
    assert.same({ last = 1800000, n = 1 }, t:state('visits', 'v'))
    click(3601, 'desktop')
    assert.equal(2, t:state('sessions/visits', 'v').n)
    assert.same({ pages = 2, from = 0, to = 1800, left_at = '/1800' }, t:state('pages', { visitor = 'v', visit = 1 }))
  end)
end)
