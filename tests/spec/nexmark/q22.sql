-- URL directories: the first three parts of the path, the 4th to 6th piece of the URL between slashes.
WITH a AS (SELECT *, url || '////' AS r FROM bid),
b AS (SELECT *, substr(r, instr(r, '/') + 1) AS r1 FROM a),
c AS (SELECT *, substr(r1, instr(r1, '/') + 1) AS r2 FROM b),
d AS (SELECT *, substr(r2, instr(r2, '/') + 1) AS r3 FROM c),
e AS (SELECT *, substr(r3, instr(r3, '/') + 1) AS r4 FROM d),
f AS (SELECT *, substr(r4, instr(r4, '/') + 1) AS r5 FROM e)
SELECT auction, bidder, price, channel, substr(r3, 1, instr(r3, '/') - 1) AS dir1, substr(r4, 1, instr(r4, '/') - 1) AS dir2,
  substr(r5, 1, instr(r5, '/') - 1) AS dir3
FROM f
