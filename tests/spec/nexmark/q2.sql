-- Selection: the bids on certain auctions, every 123rd.
SELECT auction, price FROM bid WHERE auction % 123 = 0
