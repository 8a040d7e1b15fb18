-- Fails where too many of yesterday's events could not be used. Events that became rows are counted by sessions and calls.
DECLARE dead, used INT64;
SET dead = (SELECT COUNT(*) FROM `${dataset}.dead_letters` WHERE received_date = CURRENT_DATE() - 1);
SET used = (SELECT COALESCE(SUM(pageviews + engagements), 0) FROM `${dataset}.sessions_latest` WHERE session_date = CURRENT_DATE() - 1)
  + (SELECT COUNT(*) FROM `${dataset}.conversions_latest` WHERE call_date = CURRENT_DATE() - 1);
IF dead > ${dead_letter_share} * (dead + used) THEN
  RAISE USING MESSAGE = FORMAT('attribeam dead_letter_share of ${dataset}: %d dead letters beside %d events', dead, used);
END IF;
