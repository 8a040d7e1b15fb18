-- First calls by keyword: callers who had not called within the lookback window, by what they searched.
SELECT
  account,
  keyword,
  source,
  COUNT(*) AS first_calls,
  SUM(CASE WHEN is_qualified THEN 1 ELSE 0 END) AS qualified_calls,
  SUM(outcome_value) AS outcome_value
FROM conversions_latest
WHERE is_first_call AND keyword IS NOT NULL
GROUP BY account, keyword, source
ORDER BY first_calls DESC, keyword, source
