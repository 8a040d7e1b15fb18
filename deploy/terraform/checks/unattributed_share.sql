-- Fails where too many of yesterday's inbound calls have no source. Few calls say nothing about a share.
SELECT IF(
  calls >= 20 AND unattributed > ${unattributed_share} * calls,
  ERROR(FORMAT('attribeam unattributed_share of ${dataset}: %d of %d calls', unattributed, calls)),
  'right'
)
FROM (
  SELECT COUNT(*) AS calls, COUNTIF(status = 'unattributed') AS unattributed
  FROM `${dataset}.conversions_latest`
  WHERE call_date = CURRENT_DATE() - 1 AND direction = 'inbound' AND status != 'excluded'
)
