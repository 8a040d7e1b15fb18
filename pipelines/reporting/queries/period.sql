-- What the warehouse holds: one row.
--
-- Columns:
--   first_call_day, last_call_day        UTC days of the calls; null without calls
--   first_session_day, last_session_day  UTC days of the sessions' starts; null without sessions
--   calls, sessions, dead_letters        how many of each
--   accounts                             their names
--   rule_sets                            rule sets that made the calls' and sessions' rows
--   written_at                           when the latest row was written
WITH calls AS (
  SELECT account, call_date, rule_set, emitted_at
  FROM conversions_latest
  WHERE $account IS NULL OR account = $account
),
sessions AS (
  SELECT account, session_date, rule_set, emitted_at
  FROM sessions_latest
  WHERE $account IS NULL OR account = $account
),
made AS (
  SELECT account, rule_set, emitted_at FROM calls
  UNION ALL
  SELECT account, rule_set, emitted_at FROM sessions
)
SELECT
  (SELECT MIN(call_date) FROM calls) AS first_call_day,
  (SELECT MAX(call_date) FROM calls) AS last_call_day,
  (SELECT MIN(session_date) FROM sessions) AS first_session_day,
  (SELECT MAX(session_date) FROM sessions) AS last_session_day,
  (SELECT COUNT(*) FROM calls) AS calls,
  (SELECT COUNT(*) FROM sessions) AS sessions,
  (SELECT COUNT(*) FROM dead_letters WHERE $account IS NULL OR account = $account) AS dead_letters,
  (SELECT ARRAY_AGG(DISTINCT account ORDER BY account) FROM made) AS accounts,
  (SELECT STRING_AGG(DISTINCT rule_set, ', ' ORDER BY rule_set) FROM made) AS rule_sets,
  (SELECT MAX(emitted_at) FROM made) AS written_at
