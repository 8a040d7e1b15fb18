-- Calls and cost per call by campaign: what was paid for a campaign, divided by its calls.
--
-- The costs are an example: put your own table in place of `costs`, with a row for each account,
-- source and campaign. Cost per expected call counts doubtful calls by their probability.
WITH costs AS (
  SELECT 'shop' AS account, 'google' AS source, 'spring' AS campaign, 120e0 AS cost
  UNION ALL
  SELECT 'shop', 'bing', 'summer', 40e0
),
campaigns AS (
  SELECT
    account,
    source,
    medium,
    campaign,
    SUM(calls) AS calls,
    SUM(qualified_calls) AS qualified_calls,
    SUM(expected_calls) AS expected_calls
  FROM conversions_by_source
  WHERE source IS NOT NULL
  GROUP BY account, source, medium, campaign
)
SELECT
  campaigns.account,
  campaigns.source,
  campaigns.medium,
  campaigns.campaign,
  campaigns.calls,
  campaigns.qualified_calls,
  campaigns.expected_calls,
  costs.cost,
  costs.cost / NULLIF(campaigns.calls, 0) AS cost_per_call,
  costs.cost / NULLIF(campaigns.expected_calls, 0) AS cost_per_expected_call
FROM campaigns
LEFT JOIN costs
  ON costs.account = campaigns.account
  AND costs.source = campaigns.source
  AND costs.campaign = campaigns.campaign
ORDER BY campaigns.calls DESC, campaigns.source, campaigns.campaign
