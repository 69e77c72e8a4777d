-- Monitor new users: who came and put up an auction within the same period of ten seconds?
SELECT DISTINCT p.id, p.name, p.ts / 10000 * 10000 AS window_start
FROM person p JOIN auction a ON a.seller = p.id AND a.ts / 10000 = p.ts / 10000
