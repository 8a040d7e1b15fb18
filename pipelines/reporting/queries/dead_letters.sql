-- Events that could not be used, by code.
--
-- Columns:
--   code, event_type, dead_letters
--
-- A stream may write a letter twice, under the same id.
SELECT code, event_type, COUNT(DISTINCT dead_letter_id) AS dead_letters
FROM dead_letters
WHERE $account IS NULL OR account = $account
GROUP BY code, event_type
