-- Load of the tracking numbers by the hour of the day, robots' displays included.
--
-- Columns:
--   hour      0 to 23, UTC
--   numbers   numbers on display, summed over the hours (number-hours)
--   visitors  visitors who were shown a number, summed over these
--   shared    of those, visitors of a number that another visitor was shown in the same hour
--
-- A session counts in each hour from its first to its last display of the number on a day. Hours
-- are counted from 1970 on, 36e8 microseconds each.
WITH shown AS (
  SELECT account, tracking_number, visitor_id, first_display, last_display, is_deleted
  FROM displays
  WHERE
    display_date BETWEEN $first_day AND $last_day
    AND ($account IS NULL OR account = $account)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY account, tracking_number, visitor_id, session_id, session_start, display_date
    ORDER BY emitted_at DESC, revision DESC, is_deleted
  ) = 1
),
hours AS (
  SELECT DISTINCT
    account,
    tracking_number,
    visitor_id,
    hour
  FROM shown
  CROSS JOIN
    UNNEST(
      GENERATE_SERIES(
        CAST(FLOOR(EPOCH_US(first_display) / 36e8) AS BIGINT),
        CAST(FLOOR(EPOCH_US(last_display) / 36e8) AS BIGINT)
      )
    ) AS hour
  WHERE NOT is_deleted
),
load AS (
  SELECT account, tracking_number, hour, COUNT(*) AS visitors
  FROM hours
  GROUP BY account, tracking_number, hour
)
SELECT
  MOD(hour, 24) AS hour,
  COUNT(*) AS numbers,
  CAST(SUM(visitors) AS BIGINT) AS visitors,
  CAST(SUM(CASE WHEN visitors > 1 THEN visitors ELSE 0 END) AS BIGINT) AS shared
FROM load
GROUP BY 1
