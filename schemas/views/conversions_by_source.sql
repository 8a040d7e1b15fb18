-- Calls by day and source: counted where one source was decided, and expected from probabilities.
--
-- Columns:
--   account, day (UTC day of the call's start), source, medium, campaign, channel
--   calls            calls whose row has this source; source is null for calls without one
--                    (ambiguous, unattributed, excluded, most outbound calls)
--   qualified_calls  of those, is_qualified
--   first_calls      of those, is_first_call
--   expected_calls   inbound calls that are number_pool, ambiguous or unattributed give each of
--                    their candidates' sources that candidate's probability; every other call gives
--                    its probability to its own source (excluded and unmatched outbound calls: 0)
--
-- A source that only candidates have stands with 0 calls. What no session explains is not expected
-- of any source, so expected_calls add up to fewer than calls.
WITH shares AS (
  SELECT
    account,
    call_date AS day,
    source,
    medium,
    campaign,
    channel,
    1 AS calls,
    CASE WHEN is_qualified THEN 1 ELSE 0 END AS qualified_calls,
    CASE WHEN is_first_call THEN 1 ELSE 0 END AS first_calls,
    CASE
      WHEN direction = 'inbound' AND (method = 'number_pool' OR status IN ('ambiguous', 'unattributed'))
        THEN 0e0
      ELSE COALESCE(probability, 0e0)
    END AS expected_calls
  FROM conversions_latest
  UNION ALL
  SELECT
    account,
    call_date,
    candidate.source,
    candidate.medium,
    candidate.campaign,
    candidate.channel,
    0,
    0,
    0,
    candidate.probability
  FROM conversions_latest
  CROSS JOIN UNNEST(candidates) AS candidate
  WHERE direction = 'inbound' AND (method = 'number_pool' OR status IN ('ambiguous', 'unattributed'))
)
SELECT
  account,
  day,
  source,
  medium,
  campaign,
  channel,
  CAST(SUM(calls) AS INT64) AS calls,
  CAST(SUM(qualified_calls) AS INT64) AS qualified_calls,
  CAST(SUM(first_calls) AS INT64) AS first_calls,
  SUM(expected_calls) AS expected_calls
FROM shares
GROUP BY account, day, source, medium, campaign, channel
