-- Fails where nothing has been written for too long.
SELECT IF(
  latest IS NULL OR latest < TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL ${staleness_hours} HOUR),
  ERROR(FORMAT('attribeam staleness of ${dataset}: the latest row is of %s', COALESCE(CAST(latest AS STRING), 'never'))),
  'right'
)
FROM (
  SELECT MAX(emitted_at) AS latest FROM `${dataset}.conversions` WHERE call_date >= CURRENT_DATE() - 7
)
