-- rules/location.lua - a card at places, or at times of the day, where its owner cannot be or never is.

return {
  { id = 'impossible_travel', score = 60, severity = 'high', reason_code = 'L1', tags = { 'location' }, needs = { 'travel_kmh' },
    exceptions = { 'card' },
    params = { kmh = { default = 900, min = 200, max = 5000, about = 'faster than an airliner from door to door' },
      km = { default = 150, min = 10, max = 5000, about = 'places closer than this may be one town' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and tx.channel ~= 'ecom' and f.travel_kmh > p.kmh and f.travel_km > p.km
    end,
    reason = '{f.travel_km} km at {f.travel_kmh} km/h since the last payment',
    why = 'The card was copied: it is used at two places between which nobody can travel in that time.',
    false_positives = 'Terminals registered at the address of a head office; payments booked when a plane lands stay below the speed.' },
  { id = 'countries_burst', score = 45, severity = 'medium', reason_code = 'L2', tags = { 'location' }, needs = { 'countries_24h' },
    params = { n = { default = 3, min = 2, max = 10, about = 'countries in a day that are still usual' } },
    when = function(tx, f, p) return tx.kind == 'payment' and tx.channel ~= 'ecom' and f.countries_24h > p.n end,
    reason = 'in {f.countries_24h} countries within a day',
    why = 'Copies of a card are sold and used by several people.',
    false_positives = 'Lorry drivers in small countries, travellers who change planes twice.' },
  { id = 'new_country', score = 40, severity = 'low', reason_code = 'L3', tags = { 'location', 'profile' }, needs = { 'country_known' },
    only = { amount = { min = 100 } }, exceptions = { 'card' },
    params = { amount = { default = 400, min = 100, max = 10000, about = 'paid in a country in which the card was not in 30 days' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and tx.channel ~= 'ecom' and f.country_known == false and tx.amount > p.amount
    end,
    reason = '{tx.amount} in {tx.country}, for the first time in 30 days',
    why = 'Stolen cards are taken abroad, where the chip is asked for less often.',
    false_positives = 'The hotel bill on the first day of a holiday.' },
  { id = 'night', score = 40, severity = 'low', reason_code = 'L4', tags = { 'time', 'profile' }, needs = { 'night_share_30d' },
    only = { amount = { min = 50 } },
    params = { amount = { default = 150, min = 50, max = 5000, about = 'paid between midnight and five, local time' },
      share = { default = 0.03, min = 0, max = 0.5, about = 'share of payments at night that makes a night owl' } },
    when = function(tx, f, p)
      return tx.kind == 'payment' and tx.result == 'approved' and tx.amount > p.amount and f.night_share_30d < p.share
        and (tx.ts / 3600000 + (tx.utc_offset or 0)) % 24 < 5
    end,
    reason = '{tx.amount} at night, where {f.night_share_30d} of the payments are',
    why = 'Fraud from far away happens while the owner sleeps and sees no message.',
    false_positives = 'New Year, a taxi after the opera.' },
}
