-- Load of tracking numbers: sessions that shared a number on its busiest day, and calls in doubt.
SELECT
  account,
  tracking_number,
  COUNT(*) AS days,
  MAX(sessions) AS sessions_on_busiest_day,
  SUM(calls) AS calls,
  SUM(share_ambiguous * calls) / NULLIF(SUM(calls), 0) AS share_ambiguous
FROM pool_health
GROUP BY account, tracking_number
ORDER BY sessions_on_busiest_day DESC, tracking_number
