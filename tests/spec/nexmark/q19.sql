-- Auction top ten: the ten highest bids on each auction; of equal ones the earlier.
SELECT auction, bidder, price, channel, url, ts, extra, rank
FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, ts, n) AS rank FROM bid)
WHERE rank <= 10
