# t0.awk - decode nothing: cut the line at the text of the key, as awk scripts do. Trusts field names and order.
{ split($0, part, /"amount":/); if (part[2] + 0 > 100) count++ }
END { print count > "/dev/stderr" }
