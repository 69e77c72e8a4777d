-- Local item suggestion: who in Oregon, Idaho or California sells in category 10, and which auctions?
SELECT p.name, p.city, p.state, a.id
FROM auction a JOIN person p ON p.id = a.seller
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
