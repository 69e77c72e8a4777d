# t1.awk - the five fields stand first in the line, so cut it behind the fifth and close it. Trusts its input.
BEGIN { FS = ",\"currency\":" }
{ split($1, part, /"amount":/); if (part[2] + 0 > 100) print $1 "}" }
