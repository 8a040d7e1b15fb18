-- Inbound calls by the hour of the day and how they ended.
--
-- Columns:
--   hour         0 to 23, UTC, of the call's start
--   call_status  answered, missed, abandoned, busy, failed, voicemail; null where unknown
--   calls
SELECT
  CAST(EXTRACT(HOUR FROM call_start) AS BIGINT) AS hour,
  call_status,
  COUNT(*) AS calls
FROM conversions_latest
WHERE direction = 'inbound' AND ($account IS NULL OR account = $account)
GROUP BY 1, 2
