-- What the warehouse holds of calls and sessions, by account and rule set.
--
-- Columns:
--   account, rule_set
--   first_call_day, last_call_day        UTC days of the calls; null without calls
--   first_session_day, last_session_day  UTC days of the sessions' starts; null without sessions
--   written_at                           when the latest row was written
--   calls, sessions                      how many of each
WITH held AS (
  SELECT
    account,
    rule_set,
    call_date AS call_day,
    CAST(NULL AS DATE) AS session_day,
    emitted_at,
    1 AS calls,
    0 AS sessions
  FROM conversions_latest
  WHERE $account IS NULL OR account = $account
  UNION ALL
  SELECT account, rule_set, NULL, session_date, emitted_at, 0, 1
  FROM sessions_latest
  WHERE $account IS NULL OR account = $account
)
SELECT
  account,
  rule_set,
  MIN(call_day) AS first_call_day,
  MAX(call_day) AS last_call_day,
  MIN(session_day) AS first_session_day,
  MAX(session_day) AS last_session_day,
  MAX(emitted_at) AS written_at,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(sessions) AS BIGINT) AS sessions
FROM held
GROUP BY account, rule_set
