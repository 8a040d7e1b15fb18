-- Events that could not be used, by code.
--
-- Columns:
--   code, event_type, dead_letters
SELECT code, event_type, COUNT(*) AS dead_letters
FROM dead_letters
WHERE $account IS NULL OR account = $account
GROUP BY code, event_type
ORDER BY dead_letters DESC, code, event_type
