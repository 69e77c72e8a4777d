-- Last bid: of each bidder the last bid on each auction; of several at the same time the one that came last.
SELECT auction, bidder, price, channel, url, ts, extra
FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY ts DESC, n DESC) AS place FROM bid)
WHERE place = 1
