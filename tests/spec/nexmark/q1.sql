-- Currency conversion: the price of every bid in euros, at 0.908 a dollar.
SELECT auction, bidder, price * 908 / 1000.0 AS price, ts, extra FROM bid
