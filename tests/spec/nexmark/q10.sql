-- Log to file system: every bid into a file of its minute.
SELECT auction, bidder, price, ts, extra,
  strftime('%Y-%m-%d', ts / 1000, 'unixepoch') AS dt, strftime('%H:%M', ts / 1000, 'unixepoch') AS hm
FROM bid
