-- Calls decided by the number on the screen, by the time since that session showed it last.
--
-- Columns:
--   delay_seconds  from the session's last display of the number to the call, whole seconds
--   calls
SELECT
  CAST(FLOOR((EPOCH_US(decided.call_start) - EPOCH_US(candidate.last_display)) / 1e6) AS BIGINT)
    AS delay_seconds,
  COUNT(*) AS calls
FROM conversions_latest AS decided
CROSS JOIN UNNEST(candidates) AS candidate
WHERE
  decided.method = 'number_pool'
  AND candidate.session_id = decided.session_id
  AND candidate.visitor_id = decided.visitor_id
  AND ($account IS NULL OR decided.account = $account)
GROUP BY 1
