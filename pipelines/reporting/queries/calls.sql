-- Calls by account, day and decision.
--
-- Columns:
--   account, day (UTC day of the call's start), direction, status, method, reason
--   calls
--   qualified_calls  of those, is_qualified
--   doubt            of those, the sum of 1 - probability: how many are expected to be decided wrong
--   open_calls       of those, not final yet
--   revised_calls    of those, whose row is not the first: later events changed it
SELECT
  account,
  call_date AS day,
  direction,
  status,
  method,
  reason,
  COUNT(*) AS calls,
  COUNT(CASE WHEN is_qualified THEN 1 END) AS qualified_calls,
  SUM(1 - probability) AS doubt,
  COUNT(CASE WHEN NOT is_final THEN 1 END) AS open_calls,
  COUNT(CASE WHEN revision > 1 THEN 1 END) AS revised_calls
FROM conversions_latest
WHERE $account IS NULL OR account = $account
GROUP BY account, call_date, direction, status, method, reason
