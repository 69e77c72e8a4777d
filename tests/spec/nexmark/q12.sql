-- Processing time windows: how many bids does a person make in ten seconds of the clock? Which window a bid falls into depends on
-- the run, so the answer is what all windows of a person come to.
SELECT bidder, count(*) AS bid_count FROM bid GROUP BY bidder
