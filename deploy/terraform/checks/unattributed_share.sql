-- Fails where too many of yesterday's inbound calls have no source. Few calls say nothing about a share.
DECLARE calls, unattributed INT64;
SET (calls, unattributed) = (
  SELECT AS STRUCT COUNT(*), COUNTIF(status = 'unattributed')
  FROM `${dataset}.conversions_latest`
  WHERE call_date = CURRENT_DATE() - 1 AND direction = 'inbound' AND status != 'excluded'
);
IF calls >= 20 AND unattributed > ${unattributed_share} * calls THEN
  RAISE USING MESSAGE = FORMAT('attribeam unattributed_share of ${dataset}: %d of %d calls', unattributed, calls);
END IF;
