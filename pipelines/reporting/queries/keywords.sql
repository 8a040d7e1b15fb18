-- Calls by keyword and source, counted and expected as in the view conversions_by_source.
--
-- Columns:
--   keyword, source, medium
--   calls, expected_calls
--
-- Candidates carry no keyword: it is their session's, the last of that id to begin before it showed
-- the number. Rows without a keyword are left out.
WITH judged AS (
  SELECT
    *,
    direction = 'inbound' AND (method = 'number_pool' OR status IN ('ambiguous', 'unattributed'))
      AS is_shared_out
  FROM conversions_latest
  WHERE $account IS NULL OR account = $account
),
possible AS (
  SELECT
    account,
    conversion_id,
    candidate.visitor_id AS visitor_id,
    candidate.session_id AS session_id,
    candidate.first_display AS first_display,
    candidate.probability AS probability
  FROM judged
  CROSS JOIN UNNEST(candidates) AS candidate
  WHERE is_shared_out
),
named AS (
  SELECT found.keyword, found.source, found.medium, possible.probability
  FROM possible
  INNER JOIN sessions_latest AS found
    ON found.account = possible.account
    AND found.visitor_id = possible.visitor_id
    AND found.session_id = possible.session_id
    AND found.session_start <= possible.first_display
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY possible.account, possible.conversion_id, possible.visitor_id, possible.session_id
    ORDER BY found.session_start DESC
  ) = 1
),
shares AS (
  SELECT
    keyword,
    source,
    medium,
    1 AS calls,
    CASE WHEN is_shared_out THEN 0e0 ELSE COALESCE(probability, 0e0) END AS expected_calls
  FROM judged
  UNION ALL
  SELECT keyword, source, medium, 0, probability FROM named
)
SELECT
  keyword,
  source,
  medium,
  CAST(SUM(calls) AS BIGINT) AS calls,
  SUM(expected_calls) AS expected_calls
FROM shares
WHERE keyword IS NOT NULL
GROUP BY keyword, source, medium
