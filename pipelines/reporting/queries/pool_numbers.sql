-- Tracking numbers, from the view pool_health.
--
-- Columns:
--   tracking_number
--   displays, sessions, calls  as the view has them, summed over the days
--   ambiguous_calls            of those calls
SELECT
  tracking_number,
  CAST(SUM(displays) AS BIGINT) AS displays,
  CAST(SUM(sessions) AS BIGINT) AS sessions,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(ROUND(SUM(COALESCE(share_ambiguous, 0) * calls)) AS BIGINT) AS ambiguous_calls
FROM pool_health
WHERE day BETWEEN $first_day AND $last_day AND ($account IS NULL OR account = $account)
GROUP BY tracking_number
