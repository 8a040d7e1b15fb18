-- Calls decided by the number on the screen, by the time since that session showed it last.
--
-- Columns:
--   delay_seconds  from the session's last display of the number to the call, whole seconds
--   calls
SELECT
  CAST(FLOOR(EPOCH(call_start - candidate.last_display)) AS BIGINT) AS delay_seconds,
  COUNT(*) AS calls
FROM conversions_latest
CROSS JOIN UNNEST(candidates) AS unnested(candidate)
WHERE
  method = 'number_pool'
  AND candidate.session_id = conversions_latest.session_id
  AND candidate.visitor_id = conversions_latest.visitor_id
  AND ($account IS NULL OR account = $account)
GROUP BY 1
ORDER BY delay_seconds
