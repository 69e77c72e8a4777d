-- Calculation: the bids from 1 to 50 million euro cents, with the time of the day they were made at and how many c there are in extra.
SELECT auction, bidder, price * 908 / 1000.0 AS price,
  CASE WHEN hour BETWEEN 8 AND 18 THEN 'dayTime' WHEN hour <= 6 OR hour >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bid_time_type,
  ts, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
FROM (SELECT *, ts / 3600000 % 24 AS hour FROM bid)
WHERE price * 908 > 1000000000 AND price * 908 < 50000000000
