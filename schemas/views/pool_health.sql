-- Load of each tracking number by day: how many sessions share it, and how often that leaves doubt.
--
-- Columns:
--   account, day (UTC), tracking_number
--   displays         pageviews that showed the number, robots' too
--   sessions         sessions that showed it, robots' too
--   calls            inbound calls to it
--   share_ambiguous  share of those calls whose status is ambiguous; null without calls
WITH latest_displays AS (
  SELECT *
  FROM displays
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY account, tracking_number, visitor_id, session_id, session_start, display_date
    ORDER BY emitted_at DESC, revision DESC, is_deleted
  ) = 1
),
parts AS (
  SELECT
    account,
    display_date AS day,
    tracking_number,
    displays,
    1 AS sessions,
    0 AS calls,
    0 AS ambiguous
  FROM latest_displays
  WHERE NOT is_deleted
  UNION ALL
  SELECT
    account,
    call_date,
    tracking_number,
    0,
    0,
    1,
    CASE WHEN status = 'ambiguous' THEN 1 ELSE 0 END
  FROM conversions_latest
  WHERE direction = 'inbound'
)
SELECT
  account,
  day,
  tracking_number,
  CAST(SUM(displays) AS INT64) AS displays,
  CAST(SUM(sessions) AS INT64) AS sessions,
  CAST(SUM(calls) AS INT64) AS calls,
  1e0 * SUM(ambiguous) / NULLIF(SUM(calls), 0) AS share_ambiguous
FROM parts
GROUP BY account, day, tracking_number
