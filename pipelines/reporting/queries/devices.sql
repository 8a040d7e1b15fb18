-- Devices: how many visits were made with them, and how many calls came of these.
--
-- Columns:
--   device_type  desktop, mobile, tablet, other
--   sessions     people's sessions of the report's days
--   calls        calls attributed to a session of that device
WITH used AS (
  SELECT device_type, 1 AS sessions, 0 AS calls
  FROM sessions_latest
  WHERE
    session_date BETWEEN $first_day AND $last_day
    AND NOT COALESCE(is_bot, FALSE)
    AND ($account IS NULL OR account = $account)
  UNION ALL
  SELECT device_type, 0, 1
  FROM conversions_latest
  WHERE status = 'attributed' AND ($account IS NULL OR account = $account)
)
SELECT
  device_type,
  CAST(SUM(sessions) AS BIGINT) AS sessions,
  CAST(SUM(calls) AS BIGINT) AS calls
FROM used
WHERE device_type IS NOT NULL
GROUP BY device_type
