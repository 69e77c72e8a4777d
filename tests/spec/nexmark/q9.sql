-- Winning bids: of each auction the highest bid made while it was open, the earliest of equal ones.
SELECT id, item_name, description, initial_bid, reserve, ts, expires, seller, category, extra, bidder, price, bid_ts, bid_extra
FROM (
  SELECT a.*, b.bidder, b.price, b.ts AS bid_ts, b.extra AS bid_extra,
    row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.ts, b.n) AS place
  FROM auction a JOIN bid b ON b.auction = a.id AND b.ts BETWEEN a.ts AND a.expires)
WHERE place = 1
