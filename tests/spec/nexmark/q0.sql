-- Pass through: every bid as it is. What reading and writing alone cost.
SELECT auction, bidder, price, ts, extra FROM bid
