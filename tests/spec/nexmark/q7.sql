-- Highest bid: the highest bids of each period of ten seconds; several where they are level.
SELECT auction, bidder, price, ts, extra
FROM (SELECT *, max(price) OVER (PARTITION BY ts / 10000) AS highest FROM bid)
WHERE price = highest
