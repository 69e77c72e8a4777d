-- User sessions: how many bids did a person make in each time of activity? It ends after ten seconds without a bid.
WITH marked AS (
  SELECT bidder, ts, n,
    ts - lag(ts, 1, ts - 10001) OVER (PARTITION BY bidder ORDER BY ts, n) > 10000 AS begins
  FROM bid),
numbered AS (SELECT bidder, ts, sum(begins) OVER (PARTITION BY bidder ORDER BY ts, n) AS session FROM marked)
SELECT bidder, count(*) AS bid_count, min(ts) AS window_start, max(ts) + 10000 AS window_end
FROM numbered GROUP BY bidder, session
