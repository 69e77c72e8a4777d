-- Average price for a category: of each auction the highest bid made while it was open; of these the mean a category.
WITH closing AS (
  SELECT a.id, a.category, max(b.price) AS final
  FROM auction a JOIN bid b ON b.auction = a.id AND b.ts BETWEEN a.ts AND a.expires
  GROUP BY a.id, a.category)
SELECT category, avg(final) AS final FROM closing GROUP BY category
