-- Calls by day and what is known of the caller's past.
--
-- Columns:
--   day     UTC day of the call's start
--   caller  first (no earlier inbound call to the account), repeat, or withheld (number not sent)
--   calls
SELECT
  call_date AS day,
  CASE WHEN is_first_call THEN 'first' WHEN is_first_call IS NULL THEN 'withheld' ELSE 'repeat' END
    AS caller,
  COUNT(*) AS calls
FROM conversions_latest
WHERE $account IS NULL OR account = $account
GROUP BY 1, 2
