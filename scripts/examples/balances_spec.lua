-- balances_spec.lua - balances follow from events: sums by hand, a transfer moves and creates nothing.

local tm = require 'tidemill'

describe('balances', function()
  it('are what events made of them', function()
    local t = tm.testing.run 'balances.lua'
    t:send { ts = 1, type = 'deposit', account = 'a', cents = 500 }
    t:send { ts = 2, type = 'transfer', account = 'a', to = 'b', cents = 120 }
    t:send { ts = 3, type = 'fee', account = 'b', cents = 20 }
    t:watermark(math.huge)
    assert.same({
      { account = 'a', balance = 380, changes = 2, changed = 2 },
      { account = 'b', balance = 100, changes = 2, changed = 3 },
    }, t:out())
  end)

  it('fail alone where an event is of no known type', function()
    local t = tm.testing.run 'balances.lua'
    t:send { ts = 1, type = 'gift', account = 'a', cents = 500 }
    t:watermark(math.huge)
    assert.same({}, t:out())
    assert.equal(1, #t:errors())
  end)
end)
