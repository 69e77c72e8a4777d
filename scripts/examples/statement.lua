-- statement.lua - cleans a CSV of card payments: names trimmed, card numbers masked, amounts typed; CSV again comes out.
--
--   build/tidemill run scripts/examples/statement.lua --from scripts/examples/data/statement.csv --out-format csv
--
-- Of the sample three rows are told on stderr and left out: one has a field too many, one a quote that is never closed, one an
-- amount that is no number. A payment without an amount is an enquiry and leaves as it is, with nothing in that column.

local tm = require 'tidemill'

local SPACE = 32

-- without a pattern, which would leave machine code for every event
local function trim(text)
  local first, last = 1, #text
  while first <= last and text:byte(first) == SPACE do first = first + 1 end
  while last > first and text:byte(last) == SPACE do last = last - 1 end
  return text:sub(first, last)
end

return tm.pipeline 'statement'
  :map(function(e)
    e.holder = trim(e.holder)
    e.card = '…' .. e.card:sub(-4)
    if e.amount == '' then e.amount = nil end   -- an empty text is no number
    return e
  end)
  :schema { booked = 'string', card = 'string', holder = 'string', note = 'string', amount = 'decimal(2)', fee = 'decimal(2)' }
  :set { fee = function(e) return e.amount and e.amount * 0.015 end }
  :select { 'booked', 'holder', 'card', 'amount', 'fee', 'note' }
