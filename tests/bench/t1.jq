# t1.jq - jq -c -f t1.jq FILE
select(.amount > 100) | { ts, id, card, merchant, amount }
