-- Landing pages: how many visits began there, and how many calls came of these.
--
-- Columns:
--   page      landing URL without its query
--   sessions  people's sessions that began there on the report's days
--   calls     calls attributed to a session that began there
WITH landed AS (
  SELECT landing_url, 1 AS sessions, 0 AS calls
  FROM sessions_latest
  WHERE
    session_date BETWEEN $first_day AND $last_day
    AND NOT COALESCE(is_bot, FALSE)
    AND ($account IS NULL OR account = $account)
  UNION ALL
  SELECT landing_url, 0, 1
  FROM conversions_latest
  WHERE status = 'attributed' AND ($account IS NULL OR account = $account)
)
SELECT
  REGEXP_REPLACE(landing_url, '[?#].*$', '') AS page,
  CAST(SUM(sessions) AS BIGINT) AS sessions,
  CAST(SUM(calls) AS BIGINT) AS calls
FROM landed
WHERE landing_url IS NOT NULL
GROUP BY 1
