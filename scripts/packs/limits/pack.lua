-- pack.lua - what the pack is called, what its events are, and what a score means. It is data: no functions here.

return {
  name = 'limits', version = '0.1.0', engine = '>=0.1',
  stream = 'payment',                                              -- schema/payment.lua
  time = { field = 'ts', unit = 'ms', out_of_order = '5s' },
  decisions = { challenge = 40, review = 50, decline = 90 },       -- the least score of each; below all of them: approve
  suppress = { by = 'card', within = '1h' },                       -- a second alert of a card within an hour is marked `suppressed`
  lists = { risky = { key = 'string', file = 'lists/risky.csv', column = 'country' } },
}
