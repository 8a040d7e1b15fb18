-- Calls by source, medium and campaign, from the view conversions_by_source.
--
-- Columns:
--   source, medium, campaign, channel                              null where no session was decided
--   calls, qualified_calls, first_calls, expected_calls            as the view has them
SELECT
  source,
  medium,
  campaign,
  channel,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(SUM(qualified_calls) AS BIGINT) AS qualified_calls,
  CAST(SUM(first_calls) AS BIGINT) AS first_calls,
  SUM(expected_calls) AS expected_calls
FROM conversions_by_source
WHERE $account IS NULL OR account = $account
GROUP BY source, medium, campaign, channel
