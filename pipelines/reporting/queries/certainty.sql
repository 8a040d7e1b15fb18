-- Attributed calls by the probability of what was decided.
--
-- Columns:
--   percent  0, 10, … 90, 100: the probability, rounded down to whole tens of percent
--   calls
SELECT
  CAST(FLOOR(probability * 10) * 10 AS BIGINT) AS percent,
  COUNT(*) AS calls
FROM conversions_latest
WHERE status = 'attributed' AND ($account IS NULL OR account = $account)
GROUP BY 1
