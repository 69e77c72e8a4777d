# t0.jq - jq -n -f t0.jq FILE
reduce inputs as $e (0; if $e.amount > 100 then . + 1 else . end)
