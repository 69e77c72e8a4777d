-- Average selling price by seller: the mean of the winning bids of a seller's last ten closed auctions, told at each closing.
-- An auction is won by the highest bid made while it was open, and closes when it expires; one without bids does not count.
WITH won AS (
  SELECT a.id, a.seller, a.expires, max(b.price) AS price
  FROM auction a JOIN bid b ON b.auction = a.id AND b.ts BETWEEN a.ts AND a.expires
  GROUP BY a.id, a.seller, a.expires)
SELECT seller, id AS auction,
  avg(price) OVER (PARTITION BY seller ORDER BY expires, id ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS avg_price
FROM won
