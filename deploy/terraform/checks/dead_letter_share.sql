-- Fails where too many of yesterday's events could not be used; those that could are counted by their rows.
SELECT IF(
  dead > ${dead_letter_share} * (dead + used),
  ERROR(FORMAT('attribeam dead_letter_share of ${dataset}: %d dead letters beside %d events', dead, used)),
  'right'
)
FROM (
  SELECT
    (SELECT COUNT(DISTINCT dead_letter_id) FROM `${dataset}.dead_letters` WHERE received_date = CURRENT_DATE() - 1) AS dead,
    (SELECT COALESCE(SUM(pageviews + engagements), 0) FROM `${dataset}.sessions_latest` WHERE session_date = CURRENT_DATE() - 1)
      + (SELECT COUNT(*) FROM `${dataset}.conversions_latest` WHERE call_date = CURRENT_DATE() - 1) AS used
)
