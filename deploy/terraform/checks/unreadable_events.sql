-- Fails where many of yesterday's events were such that not even their account could be read.
SELECT IF(
  unreadable > ${unreadable_events},
  ERROR(FORMAT('attribeam unreadable_events in ${dataset}: %d', unreadable)),
  'right'
)
FROM (
  SELECT COUNT(DISTINCT dead_letter_id) AS unreadable
  FROM `${dataset}.dead_letters`
  WHERE received_date = CURRENT_DATE() - 1
)
