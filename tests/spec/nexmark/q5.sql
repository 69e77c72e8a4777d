-- Hot items: which auctions had most bids in the last ten seconds? Told every two seconds; several where they are level.
WITH RECURSIVE step(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM step WHERE i < 4),
counted AS (
  SELECT auction, (ts / 2000 - i) * 2000 AS window_start, count(*) AS num
  FROM bid, step GROUP BY auction, window_start)
SELECT auction, num, window_start, window_start + 10000 AS window_end
FROM (SELECT *, max(num) OVER (PARTITION BY window_start) AS most FROM counted)
WHERE num = most
