-- pack.lua - what the pack is called, what its events are, and what a score means. It is data: no functions here.

return {
  name = 'card_fraud', version = '1.0.0', engine = '>=0.1',
  stream = 'activity',                                              -- schema/activity.lua
  time = { field = 'ts', unit = 'ms', out_of_order = '5s' },
  decisions = { challenge = 40, review = 60, decline = 100 },       -- the least score of each; below all of them: approve
  suppress = { by = 'card', within = '1h' },                        -- a second alert of a card within an hour is marked `suppressed`
  guard = { decision = 'decline', max = 2000, within = '1m', action = 'review' },
  lists = {
    cards = { key = 'string', file = 'lists/cards.txt' },           -- reported lost or stolen
    devices = { key = 'string', file = 'lists/devices.txt' },       -- seen in confirmed fraud
    addresses = { key = 'string', file = 'lists/ips.txt' },         -- exits of anonymizing networks
    cash_like = { key = 'string', file = 'lists/mcc.csv', column = 'mcc' },
    countries = { key = 'string', file = 'lists/countries.csv', column = 'country' },
  },
}
