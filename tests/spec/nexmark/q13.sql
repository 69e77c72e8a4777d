-- Bounded side input: every bid with the value that a table of 10,000 rows has for its auction.
SELECT b.auction, b.bidder, b.price, b.ts, s.value FROM bid b JOIN side_input s ON s.key = b.auction % 10000
