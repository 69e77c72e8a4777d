-- tests/limits.lua - run by `tidemill test`. Each test is a stream of its own; what it expects is of its last event.

return {
  { 'four payments in a minute are usual', decision = 'approve', not_fires = { 'burst' },
    events = { { ts = 0, card = 'a' }, { ts = 1000, card = 'a' }, { ts = 2000, card = 'a' }, { ts = 59999, card = 'a' } } },
  { 'the fifth one is not', fires = { 'burst' }, decision = 'review', score = 60,
    events = { { ts = 0, card = 'a' }, { ts = 1000, card = 'a' }, { ts = 2000, card = 'a' }, { ts = 3000, card = 'a' }, { ts = 59999,
      card = 'a' } } },
  { 'after a minute the first one does not count any more', not_fires = { 'burst' },
    events = { { ts = 0, card = 'a' }, { ts = 1000, card = 'a' }, { ts = 2000, card = 'a' }, { ts = 3000, card = 'a' }, { ts = 60000,
      card = 'a' } } },
  { 'one that comes late counts at its time', fires = { 'burst' },
    events = { { ts = 10000, card = 'a' }, { ts = 11000, card = 'a' }, { ts = 12000, card = 'a' },
      { ts = 9000, card = 'a' },
      { ts = 13000, card = 'a' } } },
  { 'a large payment', fires = { 'large' }, decision = 'review', events = { { ts = 0, card = 'a', amount = 2000 } } },
  { 'just below it', not_fires = { 'large' }, events = { { ts = 0, card = 'a', amount = 1999.99 } } },
  { 'what is usual is not known before the fifth payment', unknown = { 'unusual' },
    events = { { ts = 0, card = 'a', amount = 1 }, { ts = 3600000, card = 'a', amount = 900 } } },
  { 'a country on the list', fires = { 'risky_country' }, decision = 'challenge',
    events = { { ts = 0, card = 'a', amount = 501,
    country = 'XA' } } },
  { 'a country that is not', not_fires = { 'risky_country' }, events = { { ts = 0, card = 'a', amount = 501, country = 'DE' } } },
}
