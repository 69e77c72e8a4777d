-- Channel id: known channels have one, of others it stands in the URL; bids without one are left out.
WITH part AS (SELECT *, instr(url, '&channel_id=') AS place FROM bid),
tail AS (SELECT *, substr(url, place + length('&channel_id=')) AS rest FROM part)
SELECT auction, bidder, price, channel,
  CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
    ELSE substr(rest, 1, instr(rest || '&', '&') - 1) END AS channel_id
FROM tail
WHERE place > 0 OR lower(channel) IN ('apple', 'google', 'facebook', 'baidu')
