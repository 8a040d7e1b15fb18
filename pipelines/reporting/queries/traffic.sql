-- Sessions by whether a robot made them.
--
-- Columns:
--   is_bot
--   sessions   sessions that began on the report's days
--   pageviews  pageviews of these
SELECT
  COALESCE(is_bot, FALSE) AS is_bot,
  COUNT(*) AS sessions,
  CAST(SUM(pageviews) AS BIGINT) AS pageviews
FROM sessions_latest
WHERE
  session_date BETWEEN $first_day AND $last_day
  AND ($account IS NULL OR account = $account)
GROUP BY 1
