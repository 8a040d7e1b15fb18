-- Fails where nothing has been written for too long.
DECLARE latest TIMESTAMP;
SET latest = (SELECT MAX(emitted_at) FROM `${dataset}.conversions` WHERE call_date >= CURRENT_DATE() - 7);
IF latest IS NULL OR latest < TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL ${staleness_hours} HOUR) THEN
  RAISE USING MESSAGE = FORMAT('attribeam staleness of ${dataset}: the latest row is of %t', latest);
END IF;
