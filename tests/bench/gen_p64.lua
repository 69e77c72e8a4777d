-- gen_p64.lua - writes a script of 64 different pipelines, the benchmark of many small ones side by side.
--
--   luajit gen_p64.lua > p64.lua
--
-- Each pipeline is text of its own, as a person would have written it, so that no two share a function: 16 string
-- tests, each passed by 20 to 28 % of the events of gen_cards, times four kinds of operators. Each reads two to five
-- fields. All read the default input and discard what they make.

local tests = {
  "e.channel == 'pos'", "e.country == 'DE'", "e.status == 'settled'", "e.currency == 'GBP'",
  "e.channel == 'ecom'", "e.country == 'FR'", "e.status == 'declined'", "e.country == 'GB'",
  "e.channel == 'contactless'", "e.channel == 'atm'", "e.status == 'settled' and e.mcc ~= 7995",
  "e.channel == 'ecom' and e.lat > 20", "e.country == 'DE' and e.lon < 170", "e.status == 'declined' and e.lon > -170",
  "e.channel == 'pos' and e.mcc > 4000", "e.channel == 'contactless' and e.lat > 10",
}

local selects = {
  "'id', 'amount'", "'ts', 'card'", "'id', 'merchant', 'amount'", "'card', 'country', 'amount'", "'ts', 'id', 'mcc'",
}
local maps = {
  "e.fee = e.amount * %g", "e.cents = e.amount * 100 + %g", "e.grid = e.lat * 10 + e.lon + %g",
  "e.band = e.mcc > 5500 and 'high' or 'low%g'", "e.seen = e.ts + %g",
}
local sets = {
  "{ score = function(e) return e.amount / %g end }", "{ far = function(e) return e.lon > %g end }",
  "{ label = function(e) return e.channel end, limit = function(e) return e.amount + %g end }",
}

-- i runs from 1 to 16, and makes the numbers in the text differ too
local kinds = {
  function(i, test)
    return (":filter(function(e) return %s and e.amount > %g end)\n    :to(tm.sink.discard())"):format(test, 5 + i)
  end,
  function(i, test)
    return (":filter(function(e) return %s end)\n    :select { %s }\n    :to(tm.sink.discard())")
      :format(test, selects[i % #selects + 1])
  end,
  function(i, test)
    return (":filter(function(e) return %s end)\n    :map(function(e) %s return e end)\n    :to(tm.sink.discard())")
      :format(test, maps[i % #maps + 1]:format(i))
  end,
  function(i, test)
    if i % 4 == 0 then
      return (":filter(function(e) return %s end)\n    :rename { amount = 'amount_%d' }\n    :to(tm.sink.discard())"):format(test, i)
    end
    return (":filter(function(e) return %s end)\n    :set %s\n    :to(tm.sink.discard())")
      :format(test, sets[i % #sets + 1]:format(i))
  end,
}

io.write("-- Written by tests/bench/gen_p64.lua.\nlocal tm = require 'tidemill'\n\nreturn {\n")
for i, test in ipairs(tests) do
  for k, kind in ipairs(kinds) do
    io.write(("  tm.pipeline 'p%02d'\n    %s,\n"):format((i - 1) * #kinds + k, kind(i, test)))
  end
end
io.write('}\n')
