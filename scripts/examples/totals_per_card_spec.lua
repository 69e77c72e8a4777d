-- totals_per_card_spec.lua - state: what a step keeps of a key, and what a failing event leaves of it.
--
--   build/tidemill test scripts/examples/totals_per_card_spec.lua

local tm = require 'tidemill'

describe('totals_per_card.lua', function()
  local t

  before_each(function()
    t = tm.testing.run('totals_per_card.lua', { set = { large = 50 } })
  end)

  it('tells of a large payment at a merchant new to the card, once', function()
    t:send { card = 'c1', merchant = 'm1', amount = 49.99 }
    t:send { card = 'c1', merchant = 'm2', amount = 50 }
    t:send { card = 'c1', merchant = 'm2', amount = 900 }
    t:send { card = 'c2', merchant = 'm2', amount = 60 }
    assert.same({
      { card = 'c1', merchant = 'm2', amount = 50, merchants = 2 },
      { card = 'c2', merchant = 'm2', amount = 60, merchants = 1 },
    }, t:out 'stdout')
    assert.same({ seen = { 'm1', 'm2' } }, t:state('merchants', 'c1'))
  end)

  it('keeps a total for each card, which comes at the end of input', function()
    t:send { card = 'c1', merchant = 'm1', amount = 0.1 }
    t:send { card = 'c1', merchant = 'm2', amount = 0.2 }
    assert.same({}, t:out './totals.ndjson')
    assert.is_nil(t:state('totals', 'c2'))
    t:watermark(math.huge)
    assert.same({ { card = 'c1', payments = 2, spent = 0.3, largest = 0.2, last_at = 'm2' } }, t:out './totals.ndjson')
  end)

  it('leaves nothing of a payment that is none', function()
    t:send { card = 'c1', merchant = 'm1', amount = 'free' }
    local letters = t:errors()
    assert.equal(1, #letters)
    assert.matches("field 'amount' is declared decimal%(2%), found 'free'", letters[1].reason)
    assert.same({ card = 'c1', merchant = 'm1', amount = 'free' }, letters[1].event)
    assert.is_nil(t:state('totals', 'c1'))
  end)
end)
