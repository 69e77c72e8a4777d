-- order_lines.lua - makes one row of each line of an order; orders without lines make none.
--
--   build/tidemill run scripts/examples/order_lines.lua --from scripts/examples/data/orders.ndjson

local tm = require 'tidemill'

return tm.pipeline 'order_lines'
  :flat_map(function(order, emit)
    for i, item in ipairs(order.items or {}) do
      emit { order = order.id, line = i, sku = item.sku, qty = item.qty, total = item.qty * item.price, gift = item.gift }
    end
  end)
